/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/* What the tests of lib/access share: files to load, addresses, numbers that look random. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "access/internal.h"

#define FILE_PATH_MAX 64

/* Writes a file of its own; the caller unlinks it. */
static inline void file_make(char path[FILE_PATH_MAX], const char *text, size_t len)
{
	int fd;

	snprintf(path, FILE_PATH_MAX, "/tmp/siplane-access-XXXXXX");
	fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, len), (ssize_t)len);
	assert_int_equal(close(fd), 0);
}

static inline struct net_addr address(const char *text)
{
	struct net_addr addr;

	if (net_addr_parse(str_c(text), &addr) != 0)
		fail_msg("%s is no address", text);
	return addr;
}

/* xorshift64: the same numbers in each run. */
struct draw {
	uint64_t state;
};

static inline uint32_t draw(struct draw *d, uint32_t below)
{
	d->state ^= d->state << 13;
	d->state ^= d->state >> 7;
	d->state ^= d->state << 17;
	return (uint32_t)(d->state >> 33) % below;
}

/* Loads a table from text; NULL where it is refused. `*said` gets the report's text. */
#define LOAD(kind) \
	static inline struct access_##kind *kind##_load(const char *text, char said[1024]) \
	{ \
		struct route_report *report = route_report_create(); \
		struct access_##kind *table; \
		char path[FILE_PATH_MAX]; \
\
		file_make(path, text, strlen(text)); \
		table = access_##kind##_load(path, report); \
		unlink(path); \
		/* The file's name is another one each time. */ \
		snprintf(said, 1024, "%s", route_report_text(report)); \
		for (char *at; (at = strstr(said, path)) != NULL;) \
			memmove(at, at + strlen(path), strlen(at + strlen(path)) + 1); \
		assert_int_equal(table == NULL, route_report_errors(report) != 0); \
		route_report_destroy(report); \
		return table; \
	}
