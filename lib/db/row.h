/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * What the files of the cache share: the answers and their queues (row.c), and the calls that are
 * under way (fetch.c).
 */
#include "base/arena.h"
#include "base/digest_index.h"
#include "db/internal.h"

#define ROWS_CALL_SHARE 4 /* of those who may wait, that part may wait for one call */
#define ROWS_BUCKETS 4096 /* of calls under way */
#define VALUES_MAX (sizeof(((struct db_set *)NULL)->value) / sizeof(struct db_value))
#define SET_TEXT_MAX sizeof(((struct db_set *)NULL)->text)

/* ---- an answer ---- */

/* Its first words; the call and the values follow, as call.c packs them. */
struct head {
	uint16_t bytes; /* of all: the arena knows that */
	uint16_t call_len;
	uint8_t found; /* enum db_found */
	uint8_t count, columns;
	uint8_t unused;
	uint64_t expires;
	uint32_t generation;
	uint32_t unused_too;
};
_Static_assert(sizeof(struct head) == 24, "a head has no gaps");
/* A type and eight bytes, or a type and a length before the text. */
#define VALUE_MAX 9
_Static_assert(
	sizeof(struct head) + DB_CALL_MAX + VALUES_MAX * VALUE_MAX + SET_TEXT_MAX <= ARENA_TEXT_MAX,
	"any answer fits");
_Static_assert(VALUES_MAX <= UINT8_MAX, "a count has 8 bits");

enum queue { QUEUE_NONE, QUEUE_NEGATIVE, QUEUE_NEW, QUEUE_KNOWN, QUEUES };

/* What the writer knows of an answer; by the number of its first place. */
struct slot {
	uint64_t digest;
	uint64_t over;       /* from then on it is not even good for a failure */
	uint32_t next, prev; /* plus one; 0: none */
	uint32_t generation;
	uint32_t since; /* second in which it came into its queue */
	uint16_t places;
	uint8_t queue;
};

struct queue_ends {
	uint32_t first, last; /* plus one */
	uint32_t count, places;
};

struct rows {
	struct arena arena;
	/* read by all */
	struct mac_key key;
	struct digest_index *index;
	_Atomic uint32_t *used;      /* by place: the second in which it was found last */
	_Atomic uint32_t generation; /* answers of another one are forgotten */
	/* the control thread's */
	_Alignas(64) struct db *db;
	struct slot *slot;
	struct queue_ends queue[QUEUES];
	uint32_t negative_max, negative_places, found_max, found_places, known_max;
	uint32_t stale_s;
	uint32_t waiters, waiters_max;
	uint64_t now, swept;
	uint32_t sweep_at, sweep_left;
	_Atomic uint64_t counter[DB_COUNTER_COUNT];
	struct asking *asking[ROWS_BUCKETS];
	uint64_t old[ARENA_TEXT_MAX / 8], new[ARENA_TEXT_MAX / 8];
};

static inline void rows_count(struct rows *r, enum db_counter counter, int64_t by)
{
	atomic_store_explicit(&r->counter[counter],
		atomic_load_explicit(&r->counter[counter], memory_order_relaxed) + (uint64_t)by,
		memory_order_relaxed);
}

static inline struct head head_of(const void *text)
{
	struct head head;

	memcpy(&head, text, sizeof(head));
	return head;
}

static inline uint32_t generation_of(const struct rows *r)
{
	return atomic_load_explicit(&r->generation, memory_order_acquire);
}

static inline uint32_t second_of(uint64_t ns)
{
	return (uint32_t)(ns / CLOCK_NS_PER_S);
}

/* ---- row.c, for the control thread ---- */

/* Copies the answer to a call, whose digest is given, into out[ARENA_TEXT_MAX]. Its length;
 * negative: there is none. `*number` is its first place. */
int rows_read(const struct rows *r, uint64_t digest, struct str call, char *out, uint32_t *number);
/* An answer, whatever it is, is remembered. */
void rows_take(struct rows *r, uint64_t digest, struct str call, enum db_result result,
	const struct db_rows *rows);
/* What stands in r->old of `had` bytes stands in for a while for an answer that did not come.
 * False: it is too old, or a failure itself. */
bool rows_keep_old(struct rows *r, uint64_t digest, int had, uint32_t number);
/* Takes the answer away that stands there. */
void rows_forget(struct rows *r, uint32_t number);

/* ---- fetch.c ---- */

/* Who waits is not called any more. */
void rows_asking_destroy(struct rows *r);
