/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "location/location.h"

#define TEST_TABLE 1

struct location *test_table(unsigned shards, uint32_t contacts);
struct hash128 test_digest(const struct location *l, const char *aor);
int test_replace(struct location *l, const char *aor, const struct location_contact *contact,
	unsigned count); /* at second 0 */
int test_replace_at(struct location *l, const char *aor, uint32_t now,
	const struct location_contact *contact, unsigned count);
int test_read(const struct location *l, const char *aor, uint32_t now, struct location_set *set);
/* A contact as most are: a URI, a Call-ID, what remains unset. */
struct location_contact test_contact(const char *uri, uint32_t expires);
/* All that there is to say of a contact. */
void test_same(const struct location_contact *a, const struct location_contact *b);
bool test_is_same(const struct location_contact *a, const struct location_contact *b);

uint64_t test_random(uint64_t *state);
struct location_stats test_stats(const struct location *l);
/* Bytes in use when no call can be under way any more that began before a second; of one shard. */
uint64_t test_bytes_after(struct location *l, uint32_t second);
