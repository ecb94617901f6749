/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/* What the tests of lib/sip share: input that ends where its block ends, and the corpora outside
 * the tree. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "sip/sip.h"

/* A copy whose last byte is the last one of its heap block: ASan sees any read behind it. */
static inline char *input_copy(struct str text)
{
	char *copy = malloc(text.len != 0 ? text.len : 1);

	assert_non_null(copy);
	if (text.len != 0)
		memcpy(copy, text.s, text.len);
	/* An empty input gets a block of one byte, all of which is out of bounds to the parser. */
	return copy;
}

static inline void input_expect(
	const char *what, struct str in, const char *buf, struct sip_span got, const char *want)
{
	struct str text = sip_text(buf, got);

	if (!str_eq(text, str_c(want)))
		fail_msg("%.*s: %s is '%.*s', not '%s'", STR_FMT(in), what, STR_FMT(text), want);
}

/* Reads a whole file below $SIPLANE_SHARED (or ../shared beside the source); NULL where it is not
 * there. */
static inline char *input_shared(const char *name, size_t *len)
{
	const char *root = getenv("SIPLANE_SHARED");
	char path[8192], *data = NULL;
	FILE *f;
	long size;

	snprintf(path, sizeof(path), "%s/%s", root != NULL ? root : SOURCE_ROOT "/../shared", name);
	f = fopen(path, "rb");
	if (f == NULL)
		return NULL;
	if (fseek(f, 0, SEEK_END) == 0 && (size = ftell(f)) >= 0 && fseek(f, 0, SEEK_SET) == 0) {
		data = malloc((size_t)size + 1);
		if (data != NULL)
			*len = fread(data, 1, (size_t)size, f);
	}
	fclose(f);
	return data;
}

/* Calls `line` for each line of a shared file that is not empty and no comment; returns how many,
 * -1 without the file. */
static inline int input_shared_lines(const char *name, void (*line)(struct str text))
{
	size_t len;
	char *data = input_shared(name, &len);
	int count = 0;

	if (data == NULL) {
		print_message("no %s\n", name);
		return -1;
	}
	for (size_t at = 0; at < len;) {
		char *end = memchr(data + at, '\n', len - at);
		size_t n = end != NULL ? (size_t)(end - data) - at : len - at;

		if (n > 0 && data[at] != '#') {
			line(str_of(data + at, n));
			count++;
		}
		at += n + 1;
	}
	free(data);
	return count;
}
