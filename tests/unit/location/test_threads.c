/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Readers beside the writers: whatever is read is one of the sets that were written, never a mix of
 * two, and whoever is always registered is always found.
 *
 * All that a set holds comes from one number: its contacts' count, each length, each byte. So a
 * reader knows the whole set by its first contact's CSeq.
 */
#include "common.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#define SHARDS 2
#define USERS 24  /* few, so that writer and readers meet */
#define PASSING 8 /* of them, the last, come and go */
#define READERS 2
#define READS 60000 /* together, at the least */

struct race {
	struct location *table;
	_Atomic uint64_t read, mixed, missed, again, walked, former;
	_Atomic bool stop;
};

struct made {
	char text[2048];
	char agent[6][64];
	struct location_contact contact[6];
	unsigned count;
};

/* The set of a number. */
static void make(uint32_t user, uint32_t number, struct made *out)
{
	uint64_t random = (uint64_t)user << 32 | number;
	static const char scheme[] = "sip:";
	/* Most sets take one place, some a chain. */
	unsigned mode = (unsigned)(test_random(&random) % 8);

	out->count = mode < 5 ? 1 : (unsigned)(1 + test_random(&random) % 6);
	memset(out->text, (int)('a' + test_random(&random) % 26), sizeof(out->text));
	memcpy(out->text, scheme, sizeof(scheme) - 1);
	for (unsigned i = 0; i < out->count; i++) {
		struct location_contact *c = &out->contact[i];

		*c = test_contact("", 1000 + number);
		c->uri = str_of(
			out->text, (uint32_t)(20 + test_random(&random) % (mode == 7 ? 900 : 60)));
		c->call_id = str_of(out->text, (uint32_t)(test_random(&random) % 30));
		c->received.addr = net_addr_v4(number);
		c->received.port = (uint16_t)number;
		c->cseq = number;
		c->modified = number;
		c->flags = number % 3;
		c->user_agent = str_of(
			out->agent[i], (uint32_t)snprintf(out->agent[i], sizeof(out->agent[i]),
					       "agent %u of %u", i, number % 61));
	}
}

/* Who was registered before was written once, too. */
static bool former_were(uint32_t user, const struct location_set *set)
{
	static _Thread_local struct made was;

	for (unsigned i = 0; i < set->former; i++) {
		const struct location_contact *c = &set->contact[set->count + i];
		bool found = false;

		make(user, c->cseq, &was);
		for (unsigned j = 0; j < was.count; j++)
			found |= location_same_way(c, &was.contact[j]);
		if (!found)
			return false;
	}
	return set->before < (int)(set->count + set->former) && set->changing;
}

static bool is_one(uint32_t user, const struct location_set *set)
{
	static _Thread_local struct made want;

	if (set->former != 0 && !former_were(user, set))
		return false;
	make(user, set->contact[0].cseq, &want);
	if (set->count != want.count)
		return false;
	for (unsigned i = 0; i < want.count; i++) {
		if (!test_is_same(&set->contact[i], &want.contact[i]))
			return false;
	}
	return true;
}

static struct str name_of(uint32_t user, char name[32])
{
	return str_of(name, (uint32_t)snprintf(name, 32, "user%u@example.net", user));
}

static void read_one(struct race *r, uint32_t user, struct location_set *set)
{
	char name[32];
	struct str aor = name_of(user, name);
	struct hash128 digest = location_digest(r->table, TEST_TABLE, aor);
	int n;

	location_prefetch(r->table, digest);
	location_prefetch_record(r->table, digest);
	n = location_read(r->table, digest, TEST_TABLE, aor, 1, set);
	atomic_fetch_add_explicit(&r->read, 1, memory_order_relaxed);
	if (n >= 0)
		atomic_fetch_add_explicit(&r->former, set->former, memory_order_relaxed);
	if (n == -EAGAIN)
		atomic_fetch_add(&r->again, 1);
	else if ((n > 0 && !is_one(user, set)) || (n == 0 && !former_were(user, set)))
		atomic_fetch_add(&r->mixed, 1);
	else if (n <= 0 && user < USERS - PASSING)
		atomic_fetch_add(&r->missed, 1);
	if (user < USERS - PASSING && !location_has(r->table, digest, TEST_TABLE, aor, 1))
		atomic_fetch_add(&r->missed, 1);
}

static void seen(void *arg, uint8_t table, struct str aor, const struct location_set *set)
{
	struct race *r = arg;
	char name[32];

	atomic_fetch_add_explicit(&r->walked, 1, memory_order_relaxed);
	for (uint32_t user = 0; user < USERS; user++) {
		if (str_eq(name_of(user, name), aor) && is_one(user, set))
			return;
	}
	atomic_fetch_add(&r->mixed, 1);
}

static void *read_on(void *arg)
{
	static _Thread_local struct location_set set;
	struct race *r = arg;
	uint64_t random = (uint64_t)(uintptr_t)&set;

	for (unsigned n = 0; !atomic_load_explicit(&r->stop, memory_order_relaxed); n++) {
		read_one(r, (uint32_t)(test_random(&random) >> 40) % USERS, &set);
		if (n % 64 == 0) {
			for (unsigned shard = 0; shard < SHARDS; shard++) {
				uint64_t at = 0;

				while (location_walk(r->table, shard, &at, 16, 1, seen, r))
					;
			}
		}
	}
	return NULL;
}

static void write_one(struct race *r, uint32_t user, uint32_t number)
{
	struct made made = {.count = 0};
	char name[32];
	struct str aor = name_of(user, name);
	struct hash128 digest = location_digest(r->table, TEST_TABLE, aor);

	if (user < USERS - PASSING || number % 2 != 0)
		make(user, number, &made);
	assert_int_equal(location_replace(r->table, location_shard(r->table, digest), digest,
				 TEST_TABLE, aor, 1, made.contact, made.count),
		0);
}

static void what_is_read_was_written(void **state)
{
	static struct race r;
	pthread_t reader[READERS];
	uint64_t random = 9;

	r.table = test_table(SHARDS, 400);
	for (uint32_t user = 0; user < USERS; user++)
		write_one(&r, user, 1);
	for (unsigned i = 0; i < READERS; i++)
		assert_int_equal(pthread_create(&reader[i], NULL, read_on, &r), 0);
	for (uint32_t n = 2; n < 100000 || atomic_load(&r.read) < READS; n++) {
		write_one(&r, (uint32_t)(test_random(&random) >> 40) % USERS, n);
		if (n % 1000 == 0)
			location_sweep(r.table, n / 1000 % SHARDS, 1, 50);
	}
	atomic_store(&r.stop, true);
	for (unsigned i = 0; i < READERS; i++)
		pthread_join(reader[i], NULL);
	print_message("%llu read, %llu walked, %llu to be asked again\n",
		(unsigned long long)r.read, (unsigned long long)r.walked,
		(unsigned long long)r.again);
	assert_int_equal(r.mixed, 0);
	assert_int_equal(r.missed, 0);
	assert_true(r.walked > 1000 && r.former > 1000);
	/* Only where a writer lost its CPU. */
	assert_true(r.again < r.read / 100);
	location_destroy(r.table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(what_is_read_was_written)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
