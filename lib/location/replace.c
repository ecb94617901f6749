/* SPDX-License-Identifier: BSD-3-Clause */
/* Changing: the shard's one writer. */
#include <errno.h>

#include "location/internal.h"

#define SHORT_SHARE 8 /* room is short when less than that part of it is left */

static int refused(struct shard *s, int err)
{
	shard_count(&s->failed, 1);
	return err;
}

/* A first record for an address-of-record: the text in s->new. */
static int insert(struct shard *s, uint64_t digest, uint32_t bytes)
{
	uint32_t number;
	int err = arena_write(&s->records, s->new, bytes, &number);

	if (err != 0)
		return err;
	err = digest_index_insert(s->index, digest, number);
	if (err != 0) {
		arena_forget(&s->records, number);
		return err;
	}
	return 0;
}

/* The number of contacts of a record becomes another one; -1: there is no record. */
static void recount(struct shard *s, int before, int now)
{
	if (before == now)
		return;
	shard_count(&s->contacts, (now > 0 ? now : 0) - (before > 0 ? before : 0));
	shard_count(&s->aors, (now > 0) - (before > 0));
	s->bare += (unsigned)(now == 0) - (unsigned)(before == 0);
}

static void forget(struct shard *s, uint64_t digest, uint32_t number)
{
	digest_index_remove(s->index, digest, number);
	arena_forget(&s->records, number);
	record_release(s->agents, s->old);
	recount(s, record_head(s->old).contacts, -1);
}

/* A record whose text of `old_bytes` (or -ENOENT) stands in s->old, and what takes its place. */
struct change {
	uint64_t digest;
	uint32_t number;
	int old_bytes;
	uint8_t table;
	struct str aor;
	const struct location_contact *contact;
	unsigned count;
};

__attribute__((always_inline)) static inline int rewrite(
	struct shard *s, const struct change *c, const struct past *past)
{
	int before = c->old_bytes > 0 ? record_head(s->old).contacts : -1, bytes, err;
	uint64_t standing = atomic_load_explicit(&s->contacts, memory_order_relaxed);
	unsigned had = before > 0 ? (unsigned)before : 0;

	if (c->count > had && standing - had + c->count > s->contacts_max)
		return -ENOSPC;
	bytes = record_write(s->agents, c->table, c->aor, c->contact, c->count, past,
		c->old_bytes > 0 ? s->old : NULL, s->new);
	if (bytes < 0)
		return bytes;
	if (c->old_bytes > 0)
		err = arena_rewrite(&s->records, c->number, s->old, (uint32_t)c->old_bytes, s->new,
			(uint32_t)bytes);
	else
		err = insert(s, c->digest, (uint32_t)bytes);
	if (err != 0) {
		record_release(s->agents, s->new);
		return err;
	}
	/* Not before: a text that the old record named could be written over. */
	if (c->old_bytes > 0)
		record_release(s->agents, s->old);
	recount(s, before, (int)c->count);
	return 0;
}

/* Whether there is room to spare for what was. */
static bool has_spare(const struct shard *s, const struct change *c)
{
	return shard_has_spare(s) && (c->count != 0 || s->bare < s->bare_max);
}

/* With what was before, if that has room. */
__attribute__((noinline)) static bool replace_and_keep(
	struct shard *s, uint32_t now, const struct change *c)
{
	struct past past;

	if (!past_make(s, now, c->contact, c->count, &past))
		return false;
	if (has_spare(s, c) && rewrite(s, c, &past) == 0)
		return true;
	shard_count(&s->forgotten, 1);
	return false;
}

static int replace(struct shard *s, uint32_t now, const struct change *c)
{
	if (c->old_bytes > 0 && !past_is_calm(s, now, c->contact, c->count) &&
		replace_and_keep(s, now, c))
		return 0;
	if (c->count != 0)
		return rewrite(s, c, NULL);
	if (c->old_bytes > 0)
		forget(s, c->digest, c->number);
	return 0;
}

int location_replace(struct location *l, unsigned shard, struct hash128 digest, uint8_t table,
	struct str aor, uint32_t now, const struct location_contact *contact, unsigned count)
{
	struct shard *s = l->shard[shard];
	struct change c = {.digest = digest.lo,
		.table = table,
		.aor = aor,
		.contact = contact,
		.count = count};
	uint32_t version;
	int err;

	c.old_bytes = read_record(s, digest.lo, table, aor, (char *)s->old, &c.number, &version);
	err = replace(s, now, &c);
	return err == 0 ? 0 : refused(s, err);
}

/* Takes away what has ended of the record at a place, and a past that is over; returns how many
 * contacts. */
static unsigned sweep_place(struct location *l, struct shard *s, uint32_t number, uint32_t now)
{
	struct location_set *set = &s->swept;
	struct change c = {.number = number};
	struct record_head head;
	uint32_t version;
	unsigned ended;

	c.old_bytes = arena_copy(&s->records, number, set->text, &version);
	if (c.old_bytes < 0)
		return 0;
	head = record_head(set->text);
	ended = head.contacts - record_live(set->text, now);
	/* What was before makes room for what is. */
	if (ended == 0 && !record_past_is_over(set->text, now) &&
		(head.has_past == 0 || shard_has_spare(s)))
		return 0;
	c.table = head.table;
	c.aor = record_aor(set->text);
	c.digest = location_digest(l, c.table, c.aor).lo;
	memcpy(s->old, set->text, (size_t)c.old_bytes);
	set->text_len = (uint32_t)c.old_bytes;
	record_read(s->agents, now, set);
	c.contact = set->contact;
	c.count = set->count;
	/* Fewer contacts find room, but if all places are taken and what is left needs other ones
	 * than it has: a later sweep has it. */
	return replace(s, now, &c) == 0 ? ended : 0;
}

unsigned location_sweep(struct location *l, unsigned shard, uint32_t now, unsigned records)
{
	struct shard *s = l->shard[shard];
	uint32_t fresh = arena_fresh(&s->records);
	unsigned swept = 0;

	if (records > fresh)
		records = fresh;
	for (unsigned i = 0; i < records; i++) {
		if (s->sweep_at >= fresh)
			s->sweep_at = 0;
		swept += sweep_place(l, s, s->sweep_at++, now);
	}
	if (swept != 0)
		shard_count(&s->expired, swept);
	return swept;
}

static bool is_short(uint64_t used, uint64_t of)
{
	return used >= of - of / SHORT_SHARE;
}

uint32_t location_wants_sweep(const struct location *l, unsigned shard)
{
	const struct shard *s = l->shard[shard];

	if (!is_short(atomic_load_explicit(&s->contacts, memory_order_relaxed), s->contacts_max) &&
		!is_short(atomic_load_explicit(&s->records.used, memory_order_relaxed),
			s->records.places))
		return 0;
	return arena_fresh(&s->records);
}
