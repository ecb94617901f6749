/* SPDX-License-Identifier: BSD-3-Clause */
/* Users: rows of `subscriber`. Passwords are there as HA1s alone. */
#include <stdio.h>

#include <openssl/crypto.h>

#include "siplanectl.h"

#define WHERE_USER " WHERE username = ? AND domain = ?"

/* All that is made of a password. */
struct secrets {
	char ha1[HA1_COUNT][HA1_TEXT];
};

/* One in the command line, which the list of processes shows, is wiped out there. */
static int take_given(char *given, char password[PASSWORD_MAX + 1])
{
	if (given[0] == '\0' || strlen(given) > PASSWORD_MAX)
		return fail("a password has 1 to %d bytes", PASSWORD_MAX);
	strcpy(password, given);
	OPENSSL_cleanse(given, strlen(given));
	return DONE;
}

static int hash_all(
	const struct ctl *c, const struct user *user, const char *password, struct secrets *out)
{
	const char *realm = c->settings.realm[0] != '\0' ? c->settings.realm : user->domain;

	for (unsigned i = 0; i < HA1_COUNT; i++)
		if (!make_ha1((enum ha1)i, user, realm, password, out->ha1[i]))
			return fail("this machine's OpenSSL makes no %s",
				i == HA1_SHA512_256 ? "SHA-512/256"
				: i == HA1_SHA256   ? "SHA-256"
						    : "MD5");
	return DONE;
}

/* What is `given` is taken at once, since others see it there; one that has to be asked for, when
 * `ready` says that there is a use for it. That may change how the user is written, too. */
static int make_secrets(struct ctl *c, struct user *user, char *given,
	int (*ready)(struct ctl *c, struct user *user), struct secrets *out)
{
	char password[PASSWORD_MAX + 1];
	int status = given != NULL ? take_given(given, password) : DONE;

	if (status == DONE)
		status = ready(c, user);
	if (status == DONE && given == NULL)
		status = read_password(password);
	if (status == DONE)
		status = hash_all(c, user, password, out);
	OPENSSL_cleanse(password, sizeof(password));
	return status;
}

/* Whether the table has columns for SHA-256, as OpenSER's and Kamailio's have not. */
static bool has_sha(struct ctl *c)
{
	struct query q = {
		.text = "SELECT ha1_sha256, ha1_sha512t256 FROM subscriber WHERE username = ''",
		.columns = "ss",
		.may_refuse = true};

	return ask_database(c, &q) == DONE || !q.refused;
}

/* Whether it has one for mail addresses, as Kamailio's has not. */
static bool has_email(struct ctl *c)
{
	struct query q = {.text = "SELECT email_address FROM subscriber WHERE username = ''",
		.columns = "s",
		.may_refuse = true};

	return ask_database(c, &q) == DONE || !q.refused;
}

static void warn_sha(struct ctl *c)
{
	if (!has_sha(c))
		warn("this database has no columns for SHA-256: only MD5 was stored ('siplanectl "
		     "db migrate' adds them)");
}

int verb_add(struct ctl *c, int argc, char **argv)
{
	const char *email = argc > 2 ? argv[2] : "";
	struct secrets s;
	struct user user;

	if (strlen(email) > 64)
		return fail("a mail address has 64 bytes at most");
	if (read_user(c, argv[0], &user) != DONE ||
		make_secrets(c, &user, argc > 1 ? argv[1] : NULL, need_new, &s) != DONE)
		return FAILED;
	/* A database without the last columns takes the others. */
	struct db_value param[7] = {db_text(str_c(user.name)), db_text(str_c(user.domain)),
		db_text(str_c(s.ha1[HA1_MD5])), db_text(str_c(s.ha1[HA1_MD5_DOMAIN]))};
	bool sha = has_sha(c), mail = has_email(c);
	char text[256];
	unsigned n = 4;

	if (sha) {
		param[n++] = db_text(str_c(s.ha1[HA1_SHA256]));
		param[n++] = db_text(str_c(s.ha1[HA1_SHA512_256]));
	}
	if (mail)
		param[n++] = db_text(str_c(email));
	snprintf(text, sizeof(text),
		"INSERT INTO subscriber (username, domain, password, ha1, ha1b%s%s) "
		"VALUES (?, ?, '', ?, ?%s%s)",
		sha ? ", ha1_sha256, ha1_sha512t256" : "", mail ? ", email_address" : "",
		sha ? ", ?, ?" : "", mail ? ", ?" : "");
	struct query q = {.text = text, .param = param, .params = n};

	if (ask_database(c, &q) != DONE)
		return FAILED;
	forget_rows(c);
	if (!mail && email[0] != '\0')
		warn("this database has no column for mail addresses ('siplanectl db migrate' adds "
		     "it)");
	warn_sha(c);
	return done("user %s@%s is added", user.name, user.domain);
}

int verb_passwd(struct ctl *c, int argc, char **argv)
{
	struct secrets s;
	struct user user;

	if (read_user(c, argv[0], &user) != DONE ||
		make_secrets(c, &user, argc > 1 ? argv[1] : NULL, need_user, &s) != DONE)
		return FAILED;
	bool sha = has_sha(c);
	struct db_value param[6] = {
		db_text(str_c(s.ha1[HA1_MD5])), db_text(str_c(s.ha1[HA1_MD5_DOMAIN]))};
	unsigned n = 2;

	if (sha) {
		param[n++] = db_text(str_c(s.ha1[HA1_SHA256]));
		param[n++] = db_text(str_c(s.ha1[HA1_SHA512_256]));
	}
	param[n++] = db_text(str_c(user.name));
	param[n++] = db_text(str_c(user.domain));
	struct query q = {
		.text = sha ? "UPDATE subscriber SET password = '', ha1 = ?, ha1b = ?, ha1_sha256 "
			      "= ?, ha1_sha512t256 = ?" WHERE_USER
			    : "UPDATE subscriber SET password = '', ha1 = ?, ha1b = ?" WHERE_USER,
		.param = param,
		.params = n};

	if (ask_database(c, &q) != DONE)
		return FAILED;
	forget_rows(c);
	warn_sha(c);
	return done("the password of %s@%s is changed", user.name, user.domain);
}

/* With all that is his: groups and other names. Contacts end with their time, or by `ul rm`. */
int verb_rm(struct ctl *c, int argc, char **argv)
{
	struct user user;

	if (read_user(c, argv[0], &user) != DONE || need_user(c, &user) != DONE)
		return FAILED;
	struct db_value key[] = {db_text(str_c(user.name)), db_text(str_c(user.domain))};
	const struct query q[] = {
		{.text = "DELETE FROM grp" WHERE_USER, .param = key, .params = 2},
		{.text = "DELETE FROM dbaliases" WHERE_USER, .param = key, .params = 2},
		{.text = "DELETE FROM subscriber" WHERE_USER, .param = key, .params = 2},
	};

	if (change_database(c, q, 3) != DONE)
		return FAILED;
	forget_rows(c);
	return done("user %s@%s is removed, with groups and aliases", user.name, user.domain);
}

int verb_show(struct ctl *c, int argc, char **argv)
{
	static const char *const columns[] = {"username", "domain", "email", NULL};
	struct user user;
	struct query q = {.text = "SELECT username, domain, email_address FROM subscriber ORDER BY "
				  "domain, username",
		.otherwise = "SELECT username, domain, '' FROM subscriber ORDER BY domain, "
			     "username",
		.columns = "sss"};

	if (argc == 0)
		return show_rows(c, &q, columns, "there are no users");
	if (read_user(c, argv[0], &user) != DONE || need_user(c, &user) != DONE)
		return FAILED;
	struct db_value key[] = {db_text(str_c(user.name)), db_text(str_c(user.domain))};

	q.text = "SELECT username, domain, email_address FROM subscriber" WHERE_USER;
	q.otherwise = "SELECT username, domain, '' FROM subscriber" WHERE_USER;
	q.param = key;
	q.params = 2;
	return show_rows(c, &q, columns, "there is no such user");
}
