/* SPDX-License-Identifier: BSD-3-Clause */
/* What comes from files: messages of others, and a secret that is the same each time. */
#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"

#define FILES_MAX 4096
#define FILE_LEN_MAX 16384

static struct str found[FILES_MAX];
static unsigned found_count;

static bool is_valid(const char *text, uint32_t len)
{
	struct sip_msg msg;

	return sip_msg_index(&msg, text, len) == SIP_OK && sip_msg_check(&msg, text) == SIP_OK;
}

static int take_file(const char *path, const struct stat *st, int kind, struct FTW *at)
{
	FILE *f = kind == FTW_F && st->st_size > 0 && st->st_size <= FILE_LEN_MAX ? fopen(path, "r")
										  : NULL;
	char *text;
	size_t n;

	if (f == NULL || found_count == FILES_MAX) {
		if (f != NULL)
			fclose(f);
		return 0;
	}
	text = malloc(FILE_LEN_MAX);
	n = text != NULL ? fread(text, 1, FILE_LEN_MAX, f) : 0;
	fclose(f);
	if (n > 0 && is_valid(text, (uint32_t)n))
		found[found_count++] = str_of(text, n);
	else
		free(text);
	return 0;
}

struct str *bench_corpus(unsigned *n)
{
	const char *shared = getenv("SIPLANE_SHARED");
	struct str *out;
	char path[4096];

	snprintf(path, sizeof(path), "%s/corpus", shared != NULL ? shared : BENCH_SHARED);
	found_count = 0;
	if (nftw(path, take_file, 16, FTW_PHYS) != 0 || found_count == 0)
		return NULL;
	out = calloc(found_count, sizeof(*out));
	if (out != NULL)
		memcpy(out, found, found_count * sizeof(*out));
	*n = found_count;
	return out;
}

void bench_write_file(struct bench *b, char *path, const char *text)
{
	int fd = mkstemp(path);
	FILE *f = fd >= 0 ? fdopen(fd, "w") : NULL;

	if (f == NULL || fputs(text, f) < 0 || fclose(f) != 0)
		bench_fail(b, "%s cannot be written", path);
}

void bench_secret(struct bench *b, char *path)
{
	bench_write_file(b, path,
		"version 1\n"
		"branch 00112233445566778899aabbccddeeff\n"
		"mac a 0123456789abcdef0123456789abcdef\n"
		"next b fedcba9876543210fedcba9876543210\n");
}
