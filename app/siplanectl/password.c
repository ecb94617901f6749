/* SPDX-License-Identifier: BSD-3-Clause */
/* Passwords: asked for, and hashed. None is ever printed. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <termios.h>
#include <unistd.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "siplanectl.h"

/* ---- asking ---- */

static struct termios before, silent;
static const char *asked;

static void restore(int sig)
{
	tcsetattr(STDIN_FILENO, TCSANOW, &before);
	signal(sig, SIG_DFL);
	raise(sig);
}

/* Ctrl-Z: the terminal is the shell's as it was, and silent again when the question goes on. */
static void pause_asking(int sig)
{
	struct sigaction stop = {.sa_handler = SIG_DFL}, own;
	sigset_t unblocked, mask;
	int saved = errno;

	tcsetattr(STDIN_FILENO, TCSANOW, &before);
	sigaction(sig, &stop, &own);
	raise(sig);
	sigemptyset(&unblocked);
	sigaddset(&unblocked, sig);
	sigprocmask(SIG_UNBLOCK, &unblocked, &mask); /* it stops here */
	sigprocmask(SIG_SETMASK, &mask, NULL);
	sigaction(sig, &own, NULL);
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
	(void)!write(STDERR_FILENO, asked, strlen(asked));
	errno = saved;
}

/* A line of standard input without its end, read byte by byte: nothing of it stays in a buffer. */
static int read_line(char out[PASSWORD_MAX + 1])
{
	size_t n = 0;
	char c = '\0';
	ssize_t got;

	while ((got = read(STDIN_FILENO, &c, 1)) == 1 && c != '\n') {
		if (n == PASSWORD_MAX)
			return fail("a password has at most %d bytes", PASSWORD_MAX);
		if (c == '\0')
			return fail("a password has no NUL in it");
		out[n++] = c;
	}
	if (n > 0 && out[n - 1] == '\r')
		n--;
	out[n] = '\0';
	if (got < 0)
		return fail("standard input: %s", strerror(errno));
	return n > 0 ? DONE : fail("an empty password is none");
}

static int ask(const char *prompt, char out[PASSWORD_MAX + 1])
{
	static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP};
	struct sigaction old[sizeof(signals) / sizeof(signals[0])];
	struct sigaction sa = {.sa_flags = SA_RESTART};
	int status;

	asked = prompt;
	silent = before;
	silent.c_lflag &= (tcflag_t)~ECHO;
	for (unsigned i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		sa.sa_handler = signals[i] == SIGTSTP ? pause_asking : restore;
		sigaction(signals[i], &sa, &old[i]);
	}
	/* Silent before it asks: who is quick is neither shown nor lost. */
	if (tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent) != 0) {
		status = fail("the terminal cannot be told to be silent: %s", strerror(errno));
	} else {
		fputs(prompt, stderr);
		status = read_line(out);
	}
	tcsetattr(STDIN_FILENO, TCSANOW, &before);
	fputc('\n', stderr);
	for (unsigned i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		sigaction(signals[i], &old[i], NULL);
	return status;
}

int read_password(char out[PASSWORD_MAX + 1])
{
	char again[PASSWORD_MAX + 1];
	int status;

	progress_end();
	if (tcgetattr(STDIN_FILENO, &before) != 0)
		return read_line(out);
	status = ask("Password: ", out);
	if (status == DONE)
		status = ask("Again: ", again);
	if (status == DONE && strcmp(out, again) != 0)
		status = fail("they are not the same");
	OPENSSL_cleanse(again, sizeof(again));
	return status;
}

/* ---- hashing ---- */

static const EVP_MD *algorithm(enum ha1 kind)
{
	switch (kind) {
	case HA1_MD5:
	case HA1_MD5_DOMAIN:
		return EVP_md5();
	case HA1_SHA256:
		return EVP_sha256();
	case HA1_SHA512_256:
		return EVP_sha512_256();
	case HA1_COUNT:
		break;
	}
	return NULL;
}

bool make_ha1(enum ha1 kind, const struct user *user, const char *realm, const char *password,
	char out[HA1_TEXT])
{
	static const char digits[] = "0123456789abcdef";
	unsigned char digest[EVP_MAX_MD_SIZE];
	char text[1024];
	unsigned len = 0;
	bool with_domain = kind == HA1_MD5_DOMAIN;
	int n = snprintf(text, sizeof(text), "%s%s%s:%s:%s", user->name, with_domain ? "@" : "",
		with_domain ? user->domain : "", realm, password);
	bool good = n > 0 && n < (int)sizeof(text) &&
		    EVP_Digest(text, (size_t)n, digest, &len, algorithm(kind), NULL) == 1 &&
		    2 * len < HA1_TEXT;

	for (unsigned i = 0; good && i < len; i++) {
		out[2 * i] = digits[digest[i] >> 4];
		out[2 * i + 1] = digits[digest[i] & 15];
	}
	out[good ? 2 * len : 0] = '\0';
	OPENSSL_cleanse(text, sizeof(text));
	return good;
}
