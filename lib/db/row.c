/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The cache: answers by their calls, as texts in an arena (base/arena.h). The control thread
 * writes, any thread reads.
 *
 * An answer stands in one of three queues, the oldest first. What the database has not, and
 * failures, have an eighth of the room, and what is asked for again and again of made-up names
 * pushes out nothing else. What was found is *new* until somebody wants it again, some time after;
 * then it is *known*. Where room is short new ones go first, so that who goes through the names of
 * all users once takes nothing from those who are here; known ones have three quarters at most, and
 * those of them that nobody has looked at meanwhile are new again.
 *
 * What is asked for is fetch.c's.
 */
#include <errno.h>
#include <stdlib.h>

#include "db/row.h"

#define ROWS 65536 /* left out */
#define ROWS_MIN 1024
#define ROW_BYTES 256 /* left out: of each */
#define WAITERS 16384 /* left out */
/* Room for so many of the longest answers in the smallest share. */
#define LONGEST_MIN 2
#define NEGATIVE_SHARE 8
#define NEW_SHARE 4                    /* of what was found */
#define LOOKS_MAX 1024                 /* second chances that one answer gives to others */
#define DEMOTE_LOOKS 64                /* the same among known ones */
#define AGAIN_S 1                      /* who looks that much later was not the first one */
#define TRIES 100                      /* of an answer that is being changed */
#define ROUND_NS (60 * CLOCK_NS_PER_S) /* all answers are looked at once in that time */
#define SWEEP_MAX 256u                 /* of them in one poll */

uint64_t rows_counter(const struct rows *r, enum db_counter counter)
{
	return atomic_load_explicit(&r->counter[counter], memory_order_relaxed);
}

/* ---- reading: any thread ---- */

static inline bool is_of(const char *text, struct str call)
{
	return head_of(text).call_len == call.len &&
	       memcmp(text + sizeof(struct head), call.s, call.len) == 0;
}

/* One look: the answer's text, and its number. -ENOENT, -EAGAIN. */
static int look(
	const struct rows *r, uint64_t digest, struct str call, char *text, uint32_t *number)
{
	uint32_t found[DIGEST_INDEX_FOUND_MAX], version;
	unsigned n = digest_index_find(r->index, digest, found);

	for (unsigned i = 0; i < n; i++)
		arena_prefetch(&r->arena, found[i]);
	for (unsigned i = 0; i < n; i++) {
		int bytes = arena_copy(&r->arena, found[i], text, &version);

		/* It has gone since the index was read: whether another stands elsewhere, the index
		 * says. */
		if (bytes < 0)
			return -EAGAIN;
		if (is_of(text, call)) {
			*number = found[i];
			return bytes;
		}
	}
	return -ENOENT;
}

int rows_read(const struct rows *r, uint64_t digest, struct str call, char *text, uint32_t *number)
{
	int bytes = -EAGAIN;

	for (unsigned i = 0; i < TRIES && bytes == -EAGAIN; i++) {
		if (i != 0)
			__builtin_ia32_pause();
		bytes = look(r, digest, call, text, number);
	}
	return bytes;
}

/* The next value, whose text is copied to `to`. The writer saw to it that all fit. */
static const char *get_value(const char *p, struct db_value *v, char **to)
{
	uint16_t len;

	*v = (struct db_value){.type = (enum db_type)(uint8_t)*p++};
	switch (v->type) {
	case DB_NULL:
		return p;
	case DB_INT:
		memcpy(&v->i, p, 8);
		return p + 8;
	case DB_REAL:
		memcpy(&v->r, p, 8);
		return p + 8;
	case DB_TEXT:
		break;
	}
	memcpy(&len, p, 2);
	memcpy(*to, p + 2, len);
	v->s = str_of(*to, len);
	*to += len;
	return p + 2 + len;
}

static void get_rows(const char *text, struct db_set *out)
{
	struct head head = head_of(text);
	const char *p = text + sizeof(head) + head.call_len;
	unsigned values = (unsigned)head.count * head.columns;
	char *to = out->text;

	out->rows =
		(struct db_rows){.count = head.count, .columns = head.columns, .value = out->value};
	for (unsigned i = 0; i < values; i++)
		p = get_value(p, &out->value[i], &to);
}

/* One store a second, whoever reads it. */
static inline void mark_used(const struct rows *r, uint32_t number, uint32_t second)
{
	if (atomic_load_explicit(&r->used[number], memory_order_relaxed) != second)
		atomic_store_explicit(&r->used[number], second, memory_order_relaxed);
}

enum db_found db_find(const struct db *db, struct str call, uint64_t now_ns, struct db_set *out)
{
	const struct rows *r = db->rows;
	_Alignas(16) char text[ARENA_TEXT_MAX];
	struct head head;
	uint32_t number;

	out->rows = (struct db_rows){.value = out->value};
	if (call.len == 0 || call.len > DB_CALL_MAX)
		return DB_FAILED;
	if (rows_read(r, mac_text(&r->key, call).lo, call, text, &number) < 0)
		return DB_MISSING;
	head = head_of(text);
	mark_used(r, number, second_of(now_ns));
	if (head.expires <= now_ns || head.generation != generation_of(r))
		return DB_MISSING;
	if (head.found == DB_FOUND)
		get_rows(text, out);
	return (enum db_found)head.found;
}

/* ---- queues ---- */

static void enqueue(struct rows *r, uint32_t number, enum queue queue)
{
	struct queue_ends *q = &r->queue[queue];
	struct slot *s = &r->slot[number];

	s->queue = (uint8_t)queue;
	s->since = second_of(r->now);
	s->next = 0;
	s->prev = q->last;
	if (q->last != 0)
		r->slot[q->last - 1].next = number + 1;
	else
		q->first = number + 1;
	q->last = number + 1;
	q->count++;
	q->places += s->places;
}

static void dequeue(struct rows *r, uint32_t number)
{
	struct slot *s = &r->slot[number];
	struct queue_ends *q = &r->queue[s->queue];

	if (s->prev != 0)
		r->slot[s->prev - 1].next = s->next;
	else
		q->first = s->next;
	if (s->next != 0)
		r->slot[s->next - 1].prev = s->prev;
	else
		q->last = s->prev;
	q->count--;
	q->places -= s->places;
	s->queue = QUEUE_NONE;
}

static void move(struct rows *r, uint32_t number, enum queue queue)
{
	dequeue(r, number);
	enqueue(r, number, queue);
}

/* What stands in no queue any more. */
static void drop(struct rows *r, uint32_t number)
{
	digest_index_remove(r->index, r->slot[number].digest, number);
	arena_forget(&r->arena, number);
	rows_count(r, DB_COUNTER_CACHED, -1);
}

void rows_forget(struct rows *r, uint32_t number)
{
	dequeue(r, number);
	drop(r, number);
}

/* Whether somebody has wanted it since it came into its queue, who was not waiting for it. */
static bool is_used(const struct rows *r, uint32_t number)
{
	return atomic_load_explicit(&r->used[number], memory_order_relaxed) >
	       r->slot[number].since + AGAIN_S;
}

/* New becomes known; where there are too many of these, one that nobody has wanted since is new
 * again, or the one that came first. */
static void make_known(struct rows *r, uint32_t number)
{
	const struct queue_ends *known = &r->queue[QUEUE_KNOWN];

	move(r, number, QUEUE_KNOWN);
	for (unsigned i = 0; i < DEMOTE_LOOKS && known->count > r->known_max; i++)
		move(r, known->first - 1, is_used(r, known->first - 1) ? QUEUE_KNOWN : QUEUE_NEW);
	if (known->count > r->known_max)
		move(r, known->first - 1, QUEUE_NEW);
}

static void evict(struct rows *r, uint32_t number)
{
	rows_forget(r, number);
	rows_count(r, DB_COUNTER_EVICTED, 1);
}

static void evict_found(struct rows *r)
{
	const struct queue_ends *new = &r->queue[QUEUE_NEW], *known = &r->queue[QUEUE_KNOWN];

	for (unsigned i = 0; i < LOOKS_MAX; i++) {
		uint32_t number = (new->count != 0 ? new->first : known->first) - 1;

		if (!is_used(r, number))
			break;
		if (new->count != 0)
			make_known(r, number);
		else
			move(r, number, QUEUE_KNOWN);
	}
	evict(r, (new->count != 0 ? new->first : known->first) - 1);
}

/* An answer of so many places finds room in its share afterwards. */
static void make_room(struct rows *r, enum queue queue, uint32_t places)
{
	const struct queue_ends *q = r->queue;

	if (queue == QUEUE_NEGATIVE) {
		while (q[queue].count >= r->negative_max ||
			q[queue].places + places > r->negative_places)
			evict(r, q[queue].first - 1);
		return;
	}
	while (q[QUEUE_NEW].count + q[QUEUE_KNOWN].count >= r->found_max ||
		q[QUEUE_NEW].places + q[QUEUE_KNOWN].places + places > r->found_places)
		evict_found(r);
}

/* ---- writing ---- */

/* When an answer that ends then is of no use any more. */
static uint64_t over_at(const struct rows *r, const struct head *head)
{
	return head->expires + (head->found != DB_FAILED ? r->stale_s * CLOCK_NS_PER_S : 0);
}

/* False: there is no room. */
static bool insert(struct rows *r, uint64_t digest, const struct head *head, enum queue queue)
{
	uint32_t number, places = arena_places(head->bytes);
	struct slot *s;

	make_room(r, queue, places);
	if (arena_write(&r->arena, r->new, head->bytes, &number) != 0)
		return false;
	s = &r->slot[number];
	*s = (struct slot){.digest = digest,
		.over = over_at(r, head),
		.generation = head->generation,
		.places = (uint16_t)places};
	atomic_store_explicit(&r->used[number], 0, memory_order_relaxed);
	if (digest_index_insert(r->index, digest, number) != 0) {
		arena_forget(&r->arena, number);
		return false;
	}
	enqueue(r, number, queue);
	rows_count(r, DB_COUNTER_CACHED, 1);
	return true;
}

/* The same where an older answer stands at `number`, which is found until the new one is. */
static void insert_instead(
	struct rows *r, uint64_t digest, const struct head *head, enum queue queue, uint32_t number)
{
	bool done;

	/* It shall not be what makes room, nor be counted twice. */
	dequeue(r, number);
	done = insert(r, digest, head, queue);
	drop(r, number);
	/* The shares have room for each of them, but not for both. */
	if (!done)
		(void)insert(r, digest, head, queue);
}

/* The text in r->new takes the place of what is known of its call: the text in r->old at `number`,
 * of which there are `had` bytes, or a negative errno. */
static void put(struct rows *r, uint64_t digest, int had, uint32_t number)
{
	struct head head = head_of(r->new);
	enum queue queue = head.found == DB_FOUND ? QUEUE_NEW : QUEUE_NEGATIVE;
	enum queue was = had > 0 ? (enum queue)r->slot[number].queue : QUEUE_NONE;
	bool stays = was == queue || (was == QUEUE_KNOWN && queue == QUEUE_NEW);
	/* It has been asked for again. */
	enum queue again =
		was == QUEUE_NEW && r->queue[QUEUE_KNOWN].count < r->known_max ? QUEUE_KNOWN : was;
	struct slot *s = &r->slot[number];

	if (!stays || arena_places(head.bytes) != arena_places((uint32_t)had)) {
		if (had > 0)
			insert_instead(r, digest, &head, stays ? again : queue, number);
		else
			(void)insert(r, digest, &head, queue);
		return;
	}
	(void)arena_rewrite(&r->arena, number, r->old, (uint32_t)had, r->new, head.bytes);
	s->over = over_at(r, &head);
	s->generation = head.generation;
	if (was == QUEUE_NEW)
		make_known(r, number);
	else
		move(r, number, was);
}

static char *put_value(char *out, const struct db_value *v)
{
	uint16_t len = (uint16_t)v->s.len;

	*out++ = (char)v->type;
	switch (v->type) {
	case DB_NULL:
		return out;
	case DB_INT:
		memcpy(out, &v->i, 8);
		return out + 8;
	case DB_REAL:
		memcpy(out, &v->r, 8);
		return out + 8;
	case DB_TEXT:
		break;
	}
	memcpy(out, &len, 2);
	str_copy(out + 2, v->s);
	return out + 2 + len;
}

/* Whether what db_find() fills has room for them. */
static bool fits(const struct db_rows *rows)
{
	uint64_t values = (uint64_t)rows->count * rows->columns;
	size_t bytes = 0;

	if (values > VALUES_MAX || rows->count > VALUES_MAX)
		return false;
	for (unsigned i = 0; i < values; i++)
		bytes += rows->value[i].type == DB_TEXT ? rows->value[i].s.len : 0;
	return bytes <= SET_TEXT_MAX;
}

/* Writes an answer to r->new; `rows` where it was found. */
static void write_answer(struct rows *r, struct str call, enum db_found found,
	const struct db_rows *rows, uint64_t expires)
{
	char *begin = (char *)r->new, *p = begin + sizeof(struct head);
	struct head head = {.call_len = (uint16_t)call.len,
		.found = (uint8_t)found,
		.expires = expires,
		.generation = generation_of(r)};

	memcpy(p, call.s, call.len);
	p += call.len;
	if (found == DB_FOUND) {
		head.count = (uint8_t)rows->count;
		head.columns = (uint8_t)rows->columns;
		for (unsigned i = 0; i < rows->count * rows->columns; i++)
			p = put_value(p, &rows->value[i]);
	}
	head.bytes = (uint16_t)(p - begin);
	memcpy(begin, &head, sizeof(head));
	memset(p, 0, (size_t)(-head.bytes & 7));
}

static uint64_t ttl_of(const struct rows *r, struct str call, bool negative)
{
	const struct statement *s = NULL;
	struct db_call unpacked;
	uint32_t ttl = 0;

	if (db_unpack(&call, &unpacked) == 0)
		s = db_statement_of(r->db, unpacked.statement);
	if (s != NULL)
		ttl = atomic_load_explicit(
			negative ? &s->negative_ttl_s : &s->ttl_s, memory_order_relaxed);
	return (ttl < DB_TTL_MIN_S ? DB_TTL_MIN_S : ttl) * CLOCK_NS_PER_S;
}

/* What was known before stands in, if that was not too long ago. Its text is in r->old. */
bool rows_keep_old(struct rows *r, uint64_t digest, int had, uint32_t number)
{
	struct head head;

	if (had < 0)
		return false;
	head = head_of(r->old);
	if (head.found == DB_FAILED || r->now >= r->slot[number].over ||
		head.generation != generation_of(r))
		return false;
	memcpy(r->new, r->old, (size_t)(had + 7) / 8 * 8);
	head.expires = r->now + DB_FAILURE_MS * CLOCK_NS_PER_MS;
	memcpy(r->new, &head, sizeof(head));
	(void)arena_rewrite(&r->arena, number, r->old, (uint32_t)had, r->new, (uint32_t)had);
	rows_count(r, DB_COUNTER_STALE, 1);
	return true;
}

void rows_take(struct rows *r, uint64_t digest, struct str call, enum db_result result,
	const struct db_rows *rows)
{
	uint32_t number;
	int had = rows_read(r, digest, call, (char *)r->old, &number);

	if (result == DB_DONE && rows != NULL && rows->count == 0) {
		write_answer(r, call, DB_NO_ROW, NULL, r->now + ttl_of(r, call, true));
		rows_count(r, DB_COUNTER_FOUND, 1);
	} else if (result == DB_DONE && rows != NULL && fits(rows)) {
		write_answer(r, call, DB_FOUND, rows, r->now + ttl_of(r, call, false));
		rows_count(r, DB_COUNTER_FOUND, 1);
	} else {
		if ((result == DB_DOWN || result == DB_FULL) &&
			rows_keep_old(r, digest, had, number))
			return;
		write_answer(r, call, DB_FAILED, NULL, r->now + DB_FAILURE_MS * CLOCK_NS_PER_MS);
	}
	put(r, digest, had, number);
}

/* ---- time ---- */

static void sweep_one(struct rows *r, uint32_t number)
{
	const struct slot *s = &r->slot[number];

	if (s->queue == QUEUE_NONE)
		return;
	if (r->now >= s->over || s->generation != generation_of(r))
		rows_forget(r, number);
	else if (s->queue == QUEUE_NEW && is_used(r, number))
		make_known(r, number);
}

/* Places that it is time for. */
static uint32_t sweep_due(struct rows *r, uint32_t fresh)
{
	uint64_t each = ROUND_NS / fresh + 1, due = (r->now - r->swept) / each;

	/* What was missed comes with the next round. */
	r->swept = due > SWEEP_MAX ? r->now : r->swept + due * each;
	return due > SWEEP_MAX || r->sweep_left != 0 ? SWEEP_MAX : (uint32_t)due;
}

/* What is of no use any more goes; all that was forgotten at once hurries. */
static void sweep(struct rows *r)
{
	uint32_t fresh = arena_fresh(&r->arena), due;

	if (fresh == 0)
		return;
	due = sweep_due(r, fresh);
	r->sweep_left -= due < r->sweep_left ? due : r->sweep_left;
	for (; due > 0; due--) {
		if (r->sweep_at >= fresh)
			r->sweep_at = 0;
		sweep_one(r, r->sweep_at++);
	}
}

void rows_poll(struct rows *r, uint64_t now_ns)
{
	if (r->now == 0)
		r->swept = now_ns;
	if (now_ns > r->now)
		r->now = now_ns;
	sweep(r);
}

/* ---- life ---- */

static uint32_t at_least(uint32_t n, uint32_t least)
{
	return n < least ? least : n;
}

static int open_memory(struct rows *r, const struct db_config *config)
{
	uint32_t rows = at_least(config->rows != 0 ? config->rows : ROWS, ROWS_MIN), places;
	uint64_t bytes = config->row_bytes != 0 ? config->row_bytes : (uint64_t)rows * ROW_BYTES;
	struct hash_key secret;
	int err = hash_key_random(&secret);

	if (err != 0)
		return err;
	mac_key_set(&r->key, &secret);
	bytes /= sizeof(struct arena_place);
	places = bytes < ARENA_PLACES_MAX ? (uint32_t)bytes : ARENA_PLACES_MAX;
	places = at_least(places, NEGATIVE_SHARE * LONGEST_MIN * arena_places(ARENA_TEXT_MAX));
	r->negative_max = rows / NEGATIVE_SHARE;
	r->negative_places = places / NEGATIVE_SHARE;
	r->found_max = rows - r->negative_max;
	r->found_places = places - r->negative_places;
	r->known_max = r->found_max - r->found_max / NEW_SHARE;
	r->slot = calloc(places, sizeof(*r->slot));
	r->used = calloc(places, sizeof(*r->used));
	r->index = digest_index_create(rows + 1); /* one stands twice for a moment */
	if (r->slot == NULL || r->used == NULL || r->index == NULL)
		return -ENOMEM;
	return arena_create(&r->arena, places, true);
}

struct rows *rows_create(struct db *db, const struct db_config *config)
{
	struct rows *r = aligned_alloc(_Alignof(struct rows), sizeof(*r));
	int err;

	if (r == NULL)
		return NULL;
	memset(r, 0, sizeof(*r));
	r->db = db;
	r->stale_s = config->stale_s;
	r->waiters_max =
		at_least(config->waiters != 0 ? config->waiters : WAITERS, ROWS_CALL_SHARE);
	err = open_memory(r, config);
	if (err != 0) {
		rows_destroy(r);
		errno = -err;
		return NULL;
	}
	return r;
}

void rows_destroy(struct rows *r)
{
	if (r == NULL)
		return;
	rows_asking_destroy(r);
	arena_destroy(&r->arena);
	digest_index_destroy(r->index);
	free((void *)r->used);
	free(r->slot);
	free(r);
}
