/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * What the tests of lib/net share: cmocka, frames as text, and bytes that end where their block
 * ends.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "net/net.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Bytes at the very end of a block of their own, so that a sanitizer sees a read past them. */
struct bytes {
	uint8_t *block;
	uint8_t *p;
	uint32_t len;
};

struct bytes bytes_new(const void *data, uint32_t len);
void bytes_free(struct bytes *b);

/*
 * A frame written as hex digits; blanks are skipped, "xx*n" repeats a byte n times. Returns its
 * length; `out` holds 70,000 bytes.
 */
uint32_t hex_read(const char *text, uint8_t *out);

/* A small generator (xorshift), so that a failing case can be run again. */
uint64_t random_next(uint64_t *state);
uint32_t random_below(uint64_t *state, uint32_t n);
