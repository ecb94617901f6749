/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/* Golden cases as a person writes them; the format is told in golden/README. */
#include <stdio.h>

#include "sip/sip.h"

#define GOLDEN_NAME_MAX 160
#define GOLDEN_MESSAGE_MAX (96 * 1024)
#define GOLDEN_EXPECT_MAX 8192

struct golden_case {
	char name[GOLDEN_NAME_MAX];
	unsigned line; /* of its file */
	char message[GOLDEN_MESSAGE_MAX];
	uint32_t message_len;
	char expect[GOLDEN_EXPECT_MAX]; /* lines "key: value" */
};

/* Reads the next case. 1: there is one, 0: end of file, -1: the file is not well formed, at
 * c->line. */
int golden_next(FILE *file, unsigned *line, struct golden_case *c);

/* Text as the files write it: printable ASCII as it is, all else escaped. Returns out. */
char *golden_escape(struct str text, char *out, size_t room);
