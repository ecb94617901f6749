/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/* What the tests of index and check share. */
#include "sip/sip.h"

#define TEST_TEXT_MAX (160 * 1024)

/* The scanners that this CPU has; the scalar one, which the others are held against, comes first.
 */
extern const char *test_scanners[4];
extern unsigned test_scanner_count;
void test_scanners_find(void);

/* A copy of text that ends where its allocation ends, so that ASan (and valgrind) see a read behind
 * it. */
char *test_exact_copy(struct str text);

/* NULL, or what differs between two views that sip_msg_index() has made of the same text. */
const char *test_views_differ(const struct sip_msg *a, const struct sip_msg *b);

/* The same for what the accessors give, before or after sip_msg_check(), from the same text. */
const char *test_parsed_differ(struct sip_msg *a, struct sip_msg *b, const char *buf);

/* NULL, or what is wrong with a view: a span outside the text, lines that are not adjacent, chains
 * that lie. */
const char *test_view_wrong(const struct sip_msg *msg, const char *buf, uint32_t len);

/*
 * Indexes and checks text with every scanner and calls every accessor; NULL, or what was wrong.
 * Leaves the best scanner selected and, where they are not NULL, the view and both verdicts.
 */
const char *test_every_way(
	struct str text, struct sip_msg *msg, enum sip_error *index, enum sip_error *check);

/* Reads a whole file; false where it cannot be read or is larger than `room`. */
bool test_read_file(const char *path, char *out, uint32_t room, uint32_t *len);

/* $SIPLANE_SHARED/name, or ../shared/name beside the source tree. */
void test_shared_path(char *out, size_t room, const char *name);
