/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fetch: what the cache asks databases for. Who asks while a call is under way joins it. Answers
 * that were forgotten on their way are not believed: it is asked anew.
 */
#include <errno.h>
#include <stdlib.h>

#include "db/row.h"

#define ANEW_MAX 3 /* times that an answer is forgotten on its way */
/* An answer that ends sooner is no answer for who has to be told of it first. */
#define MARGIN_NS (100 * CLOCK_NS_PER_MS)

/* Who waits for a call. */
struct waiter {
	struct waiter *next;
	db_done done;
	void *arg;
};

/* A call under way. */
struct asking {
	struct asking *next; /* of its bucket */
	struct rows *rows;
	uint64_t digest;
	uint32_t generation;
	uint32_t waiting;
	unsigned anew;
	bool forgotten;
	uint64_t until; /* it may be asked anew */
	struct waiter *first, **end;
	uint32_t len;
	char call[];
};

static struct asking **bucket_of(struct rows *r, uint64_t digest)
{
	return &r->asking[digest % ROWS_BUCKETS];
}

static struct asking *find_asking(struct rows *r, uint64_t digest, struct str call)
{
	struct asking *a = *bucket_of(r, digest);

	while (a != NULL && (a->digest != digest || !str_eq(str_of(a->call, a->len), call)))
		a = a->next;
	return a;
}

static void unlink_asking(struct rows *r, struct asking *a)
{
	struct asking **at = bucket_of(r, a->digest);

	while (*at != a)
		at = &(*at)->next;
	*at = a->next;
}

/* Who waits may ask for more. */
static void notify(struct rows *r, struct asking *a)
{
	struct waiter *w = a->first, *next;

	r->waiters -= a->waiting;
	free(a);
	for (; w != NULL; w = next) {
		next = w->next;
		w->done(w->arg, DB_DONE, NULL);
		free(w);
	}
}

static bool was_forgotten(const struct rows *r, const struct asking *a)
{
	return a->forgotten || a->generation != generation_of(r);
}

static void arrived(void *arg, enum db_result result, const struct db_rows *rows)
{
	struct asking *a = arg;
	struct rows *r = a->rows;
	struct str call = str_of(a->call, a->len);

	if (was_forgotten(r, a)) {
		a->forgotten = false;
		a->generation = generation_of(r);
		if (a->anew++ < ANEW_MAX && r->now < a->until &&
			db_ask(r->db, call, arrived, a) == 0)
			return;
		result = DB_FULL;
	}
	unlink_asking(r, a);
	rows_take(r, a->digest, call, result, rows);
	notify(r, a);
}

static bool wait_for(struct rows *r, struct asking *a, db_done done, void *arg)
{
	struct waiter *w;

	if (r->waiters >= r->waiters_max || a->waiting >= r->waiters_max / ROWS_CALL_SHARE)
		return false;
	w = malloc(sizeof(*w));
	if (w == NULL)
		return false;
	*w = (struct waiter){NULL, done, arg};
	*a->end = w;
	a->end = &w->next;
	a->waiting++;
	r->waiters++;
	return true;
}

static int ask(struct rows *r, uint64_t digest, struct str call, db_done done, void *arg)
{
	struct asking *a = malloc(sizeof(*a) + call.len);
	int err;

	if (a == NULL)
		return -EAGAIN;
	*a = (struct asking){.rows = r,
		.digest = digest,
		.generation = generation_of(r),
		.until = r->now + DB_FAILURE_MS * CLOCK_NS_PER_MS,
		.len = call.len};
	a->end = &a->first;
	memcpy(a->call, call.s, call.len);
	a->next = *bucket_of(r, digest);
	if (!wait_for(r, a, done, arg)) {
		free(a);
		return -EAGAIN;
	}
	*bucket_of(r, digest) = a;
	err = db_ask(r->db, str_of(a->call, a->len), arrived, a);
	if (err != 0) {
		unlink_asking(r, a);
		r->waiters--;
		free(a->first);
		free(a);
	}
	return err;
}

/* Whether db_find() says something of it now and in a moment. */
static bool is_there(const struct rows *r, int had)
{
	struct head head = head_of(r->old);

	return had > 0 && head.expires > r->now + MARGIN_NS && head.generation == generation_of(r);
}

int db_fetch(struct db *db, struct str call, db_done done, void *arg)
{
	struct rows *r = db->rows;
	struct asking *a;
	uint64_t digest;
	uint32_t number;
	unsigned calls;
	int had, err;

	if (db_calls_check(db, call, false, &calls) < 0)
		return -EINVAL;
	digest = mac_text(&r->key, call).lo;
	a = find_asking(r, digest, call);
	had = rows_read(r, digest, call, (char *)r->old, &number);
	if (a == NULL && is_there(r, had)) {
		done(arg, DB_DONE, NULL);
		return 0;
	}
	if (a != NULL)
		err = wait_for(r, a, done, arg) ? 0 : -EAGAIN;
	else
		err = ask(r, digest, call, done, arg);
	/* An old answer is better than none. */
	if (err == -EAGAIN && rows_keep_old(r, digest, had, number)) {
		done(arg, DB_DONE, NULL);
		return 0;
	}
	return err;
}

void db_forget(struct db *db, struct str call)
{
	struct rows *r = db->rows;
	struct asking *a;
	uint64_t digest;
	uint32_t number;

	if (call.len == 0) {
		atomic_fetch_add_explicit(&r->generation, 1, memory_order_release);
		r->sweep_left = arena_fresh(&r->arena);
		return;
	}
	digest = mac_text(&r->key, call).lo;
	a = find_asking(r, digest, call);
	if (a != NULL)
		a->forgotten = true;
	if (rows_read(r, digest, call, (char *)r->old, &number) > 0)
		rows_forget(r, number);
}

static void free_asking(struct asking *a)
{
	struct waiter *w = a->first, *next;

	for (; w != NULL; w = next) {
		next = w->next;
		free(w);
	}
	free(a);
}

void rows_asking_destroy(struct rows *r)
{
	struct asking *a, *next;

	for (unsigned i = 0; i < ROWS_BUCKETS; i++) {
		for (a = r->asking[i]; a != NULL; a = next) {
			next = a->next;
			free_asking(a);
		}
	}
}
