/* SPDX-License-Identifier: BSD-3-Clause */
#include "common.h"

struct location *test_table(unsigned shards, uint32_t contacts)
{
	struct location_config config = {.shards = shards, .contacts = contacts};
	char error[200];
	struct location *l = location_create(&config, error, sizeof(error));

	assert_non_null(l);
	return l;
}

struct hash128 test_digest(const struct location *l, const char *aor)
{
	return location_digest(l, TEST_TABLE, str_c(aor));
}

int test_replace_at(struct location *l, const char *aor, uint32_t now,
	const struct location_contact *contact, unsigned count)
{
	struct hash128 digest = test_digest(l, aor);

	return location_replace(
		l, location_shard(l, digest), digest, TEST_TABLE, str_c(aor), now, contact, count);
}

int test_replace(
	struct location *l, const char *aor, const struct location_contact *contact, unsigned count)
{
	return test_replace_at(l, aor, 0, contact, count);
}

int test_read(const struct location *l, const char *aor, uint32_t now, struct location_set *set)
{
	int n = location_read(l, test_digest(l, aor), TEST_TABLE, str_c(aor), now, set);

	if (n >= 0) {
		assert_int_equal(n, set->count);
		assert_true(set->text_len <= LOCATION_SET_TEXT);
		assert_int_equal(
			location_has(l, test_digest(l, aor), TEST_TABLE, str_c(aor), now), n > 0);
	}
	return n;
}

struct location_contact test_contact(const char *uri, uint32_t expires)
{
	return (struct location_contact){
		.uri = str_c(uri),
		.call_id = STR("843817637684230@998sdasdh09"),
		.listener = -1,
		.q = LOCATION_Q_NONE,
		.methods = UINT32_MAX,
		.cseq = 1,
		.expires = expires,
	};
}

bool test_is_same(const struct location_contact *a, const struct location_contact *b)
{
	return str_eq(a->uri, b->uri) && str_eq(a->path, b->path) &&
	       str_eq(a->instance, b->instance) && str_eq(a->user_agent, b->user_agent) &&
	       str_eq(a->call_id, b->call_id) && net_endpoint_equal(&a->received, &b->received) &&
	       a->listener == b->listener && a->q == b->q && a->reg_id == b->reg_id &&
	       a->flags == b->flags && a->methods == b->methods && a->cseq == b->cseq &&
	       a->expires == b->expires && a->modified == b->modified;
}

void test_same(const struct location_contact *a, const struct location_contact *b)
{
	assert_int_equal(a->expires, b->expires);
	assert_int_equal(a->cseq, b->cseq);
	assert_true(str_eq(a->uri, b->uri));
	assert_true(test_is_same(a, b));
}

uint64_t test_random(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15ULL;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	return z ^ z >> 31;
}

struct location_stats test_stats(const struct location *l)
{
	struct location_stats stats;

	location_stats(l, &stats);
	return stats;
}

uint64_t test_bytes_after(struct location *l, uint32_t second)
{
	location_sweep(l, 0, second + LOCATION_WINDOW, UINT32_MAX);
	return test_stats(l).bytes_used;
}
