/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * lane: calls from one lcore to the writers, a ring of bytes for each database. A change stands in
 * one piece behind its length; where the end of the ring is too near, SKIP stands there and the
 * change at the beginning. What the writer has read it gives back when it is committed.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "db/internal.h"

/* The longest change, behind as much that is left at the end. */
#define BYTES_MIN (4u * DB_CALL_MAX)
#define BYTES_MAX (1u << 30)
#define SKIP UINT32_MAX
#define ALIGN 8u

struct lane_ring {
	_Alignas(64) _Atomic uint64_t head; /* given back */
	_Atomic bool spooled;               /* by the thread of its spool */
	_Alignas(64) _Atomic uint64_t tail;
	uint64_t head_seen; /* the lcore's */
};

struct db_lane {
	struct db *db;
	uint32_t bytes;
	char *memory; /* `bytes` for each database */
	_Atomic uint64_t refused;
	struct spool *_Atomic spool; /* NULL: it has none */
	struct lane_ring ring[DB_DATABASES_MAX];
};

struct db_lane *db_lane_create(struct db *db, uint32_t bytes)
{
	struct db_lane *lane;
	int err = 0;

	if (bytes < BYTES_MIN || bytes > BYTES_MAX || (bytes & (bytes - 1)) != 0) {
		errno = EINVAL;
		return NULL;
	}
	lane = aligned_alloc(_Alignof(struct db_lane), sizeof(*lane));
	if (lane == NULL)
		return NULL;
	memset(lane, 0, sizeof(*lane));
	lane->db = db;
	lane->bytes = bytes;
	/* Of databases that are not written to no page is ever used. */
	lane->memory = mmap(NULL, (size_t)bytes * DB_DATABASES_MAX, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (lane->memory == MAP_FAILED) {
		free(lane);
		errno = ENOMEM;
		return NULL;
	}
	pthread_mutex_lock(&db->lock);
	for (unsigned i = 0; i < db->databases && err == 0; i++) {
		if (atomic_load_explicit(&db->database[i]->changes, memory_order_relaxed))
			err = writer_start(db->database[i]);
	}
	if (err == 0 && db->lanes == DB_LANES_MAX)
		err = -ENOSPC;
	if (err == 0) {
		db->lane[db->lanes] = lane;
		atomic_store_explicit(&db->lanes, db->lanes + 1, memory_order_seq_cst);
	}
	for (unsigned i = 0; i < db->databases; i++) {
		if (db->database[i]->writer != NULL)
			writer_wake(db->database[i]->writer);
	}
	pthread_mutex_unlock(&db->lock);
	if (err == 0)
		return lane;
	lane_destroy(lane);
	errno = -err;
	return NULL;
}

void lane_destroy(struct db_lane *lane)
{
	munmap(lane->memory, (size_t)lane->bytes * DB_DATABASES_MAX);
	free(lane);
}

static uint32_t entry_bytes(uint32_t len)
{
	return (uint32_t)(sizeof(uint32_t) + len + ALIGN - 1) & ~(ALIGN - 1);
}

/* Room for an entry in one piece: where it begins, or NULL. *tail is behind it then. */
static char *room(
	struct db_lane *lane, struct lane_ring *r, char *memory, uint32_t need, uint64_t *tail)
{
	uint64_t at = atomic_load_explicit(&r->tail, memory_order_relaxed);
	uint32_t offset = (uint32_t)at & (lane->bytes - 1), to_end = lane->bytes - offset;
	uint32_t skipped = need > to_end ? to_end : 0;
	uint32_t skip = SKIP;

	/* The writer's line is read only when what was seen of it does not do. */
	if (at + skipped + need - r->head_seen > lane->bytes)
		r->head_seen = atomic_load_explicit(&r->head, memory_order_acquire);
	if (at + skipped + need - r->head_seen > lane->bytes)
		return NULL;
	if (skipped != 0) {
		memcpy(memory + offset, &skip, sizeof(skip));
		offset = 0;
	}
	*tail = at + skipped + need;
	return memory + offset;
}

/* A spool's file knows of no calls that are made only where others change nothing. */
static bool is_for_spool(const struct db_lane *lane, struct str calls)
{
	int number;

	while ((number = db_calls_next(&calls)) >= 0)
		if (db_statement_of(lane->db, (unsigned)number)->unless_changed)
			return false;
	return true;
}

bool db_lane_change(struct db_lane *lane, struct str calls)
{
	unsigned count;
	int database = db_calls_check(lane->db, calls, true, &count);
	char *out = NULL;
	uint64_t tail;

	if (database >= 0 && (lane_spool(lane) == NULL || is_for_spool(lane, calls)))
		out = room(lane, &lane->ring[database],
			lane->memory + (size_t)database * lane->bytes, entry_bytes(calls.len),
			&tail);
	if (out == NULL) {
		atomic_store_explicit(&lane->refused,
			atomic_load_explicit(&lane->refused, memory_order_relaxed) + 1,
			memory_order_relaxed);
		return false;
	}
	memcpy(out, &calls.len, sizeof(calls.len));
	memcpy(out + sizeof(calls.len), calls.s, calls.len);
	atomic_store_explicit(&lane->ring[database].tail, tail, memory_order_release);
	return true;
}

int db_lane_spool(
	struct db_lane *lane, const struct db_spool_config *config, char *error, size_t error_size)
{
	struct spool *s, *has = lane_spool(lane);
	int err = spool_use(lane->db, config, &s, error, error_size);

	if (err != 0)
		return err;
	if (has != NULL && has != s) {
		snprintf(error, error_size,
			"db: %s: what has a spool keeps it until the next start", config->path);
		return -EINVAL;
	}
	atomic_store_explicit(&lane->spool, s, memory_order_release);
	return 0;
}

uint64_t db_lane_refused(const struct db_lane *lane)
{
	return atomic_load_explicit(&lane->refused, memory_order_relaxed);
}

/* ---- the writer's side ---- */

uint64_t lane_begin(const struct db_lane *lane, unsigned database)
{
	return atomic_load_explicit(&lane->ring[database].head, memory_order_relaxed);
}

bool lane_next(const struct db_lane *lane, unsigned database, uint64_t *at, struct str *calls)
{
	const char *memory = lane->memory + (size_t)database * lane->bytes;
	uint64_t tail = atomic_load_explicit(&lane->ring[database].tail, memory_order_acquire);
	uint32_t offset, len;

	if (*at == tail)
		return false;
	offset = (uint32_t)*at & (lane->bytes - 1);
	memcpy(&len, memory + offset, sizeof(len));
	if (len == SKIP) {
		*at += lane->bytes - offset;
		offset = 0;
		memcpy(&len, memory, sizeof(len));
	}
	*calls = str_of(memory + offset + sizeof(len), len);
	*at += entry_bytes(len);
	return true;
}

void lane_give_back(struct db_lane *lane, unsigned database, uint64_t at)
{
	atomic_store_explicit(&lane->ring[database].head, at, memory_order_release);
}

bool lane_is_spooled(const struct db_lane *lane, unsigned database)
{
	return atomic_load_explicit(&lane->ring[database].spooled, memory_order_acquire);
}

void lane_set_spooled(struct db_lane *lane, unsigned database, bool spooled)
{
	atomic_store_explicit(&lane->ring[database].spooled, spooled, memory_order_release);
}

bool lane_is_filling(const struct db_lane *lane, unsigned database)
{
	const struct lane_ring *r = &lane->ring[database];
	uint64_t head = atomic_load_explicit(&r->head, memory_order_relaxed);

	return atomic_load_explicit(&r->tail, memory_order_acquire) - head > lane->bytes / 2;
}

struct spool *lane_spool(const struct db_lane *lane)
{
	return atomic_load_explicit(&lane->spool, memory_order_acquire);
}
