/* SPDX-License-Identifier: BSD-3-Clause */
/* Reading: any thread, no lock, no waiting. */
#include <errno.h>

#include "location/internal.h"

#define TRIES 100 /* of a record that changes; a change takes some 50 ns */

static inline const struct shard *shard_of(const struct location *l, struct hash128 digest)
{
	return l->shard[location_shard(l, digest)];
}

void location_prefetch(const struct location *l, struct hash128 digest)
{
	digest_index_prefetch(shard_of(l, digest)->index, digest.lo);
}

void location_prefetch_record(const struct location *l, struct hash128 digest)
{
	const struct shard *s = shard_of(l, digest);
	uint32_t found[DIGEST_INDEX_FOUND_MAX];
	unsigned n = digest_index_find(s->index, digest.lo, found);

	for (unsigned i = 0; i < n; i++)
		arena_prefetch(&s->records, found[i]);
}

/* One look. */
static int look(const struct shard *s, uint64_t digest, uint8_t table, struct str aor, char *text,
	uint32_t *number, uint32_t *version)
{
	uint32_t found[DIGEST_INDEX_FOUND_MAX];
	unsigned n = digest_index_find(s->index, digest, found);

	for (unsigned i = 0; i < n; i++)
		arena_prefetch(&s->records, found[i]);
	for (unsigned i = 0; i < n; i++) {
		int bytes = arena_copy(&s->records, found[i], text, version);

		/* It was forgotten since the index was read: whether another stands elsewhere, the
		 * index says. */
		if (bytes == -EAGAIN || bytes == -ENOENT)
			return -EAGAIN;
		if (record_is(text, table, aor)) {
			*number = found[i];
			return bytes;
		}
	}
	return -ENOENT;
}

int read_record(const struct shard *s, uint64_t digest, uint8_t table, struct str aor, char *text,
	uint32_t *number, uint32_t *version)
{
	int bytes = -EAGAIN;

	for (unsigned i = 0; i < TRIES && bytes == -EAGAIN; i++) {
		if (i != 0)
			__builtin_ia32_pause();
		bytes = look(s, digest, table, aor, text, number, version);
	}
	return bytes;
}

static void empty(struct location_set *set)
{
	set->count = set->former = 0;
	set->text_len = 0;
	set->changing = false;
	set->before = -1;
}

int location_read(const struct location *l, struct hash128 digest, uint8_t table, struct str aor,
	uint32_t now, struct location_set *out)
{
	const struct shard *s = shard_of(l, digest);
	uint32_t number, version;

	for (unsigned i = 0; i < TRIES; i++) {
		int bytes = read_record(s, digest.lo, table, aor, out->text, &number, &version);

		if (bytes < 0) {
			empty(out);
			return bytes == -ENOENT ? 0 : bytes;
		}
		out->text_len = (uint32_t)bytes;
		record_read(s->agents, now, out);
		/* The user agents stand elsewhere: they are the record's if it is still this one.
		 */
		if (arena_unchanged(&s->records, number, version))
			return (int)out->count;
	}
	empty(out);
	return -EAGAIN;
}

bool location_has(const struct location *l, struct hash128 digest, uint8_t table, struct str aor,
	uint32_t now)
{
	const struct shard *s = shard_of(l, digest);
	uint32_t number, version;
	char text[RECORD_MAX];
	int bytes = read_record(s, digest.lo, table, aor, text, &number, &version);

	/* A record that keeps changing is one whose phone registers. */
	return bytes == -EAGAIN || (bytes > 0 && record_live(text, now) != 0);
}

/* The record at a place, if one stands there; -EAGAIN: it keeps changing. */
static int read_place(
	const struct shard *s, uint32_t number, uint32_t now, struct location_set *set)
{
	uint32_t version;

	for (unsigned tries = 0; tries < TRIES; tries++) {
		int bytes = arena_copy(&s->records, number, set->text, &version);

		if (bytes == -ENOENT)
			return bytes;
		if (bytes < 0)
			continue;
		set->text_len = (uint32_t)bytes;
		record_read(s->agents, now, set);
		if (arena_unchanged(&s->records, number, version))
			return (int)set->count;
	}
	return -EAGAIN;
}

bool location_walk(const struct location *l, unsigned shard, uint64_t *at, unsigned records,
	uint32_t now,
	void (*visit)(void *arg, uint8_t table, struct str aor, const struct location_set *set),
	void *arg)
{
	const struct shard *s = l->shard[shard];
	uint32_t fresh = arena_fresh(&s->records);
	struct location_set set;

	for (unsigned i = 0; i < records && *at < fresh; i++, ++*at) {
		int n = read_place(s, (uint32_t)*at, now, &set);

		/* Its writer has lost its CPU in the middle of a change: the next call begins with
		 * it, and passes it over where nothing has moved since. */
		if (n == -EAGAIN && i != 0)
			return true;
		if (n > 0)
			visit(arg, record_head(set.text).table, record_aor(set.text), &set);
	}
	return *at < fresh;
}
