/* SPDX-License-Identifier: BSD-3-Clause */
/* Changing: the shard's one writer. */
#include <errno.h>

#include "location/internal.h"

static void counts(_Atomic uint64_t *counter, int64_t by)
{
	atomic_store_explicit(counter,
		atomic_load_explicit(counter, memory_order_relaxed) + (uint64_t)by,
		memory_order_relaxed);
}

static int refused(struct shard *s, int err)
{
	counts(&s->failed, 1);
	return err;
}

/* A first record for an address-of-record: the text in s->new. */
static int insert(struct shard *s, uint64_t digest, uint32_t bytes)
{
	uint32_t number;
	int err = place_write(s, s->new, bytes, &number);

	if (err != 0)
		return err;
	err = digest_index_insert(s->index, digest, number);
	if (err != 0) {
		place_forget(s, number);
		return err;
	}
	counts(&s->aors, 1);
	return 0;
}

static void forget(struct shard *s, uint64_t digest, uint32_t number)
{
	digest_index_remove(s->index, digest, number);
	place_forget(s, number);
	record_release(s->agents, s->old);
	counts(&s->contacts, -(int64_t)record_head(s->old).contacts);
	counts(&s->aors, -1);
}

/* Whose record of `old_bytes` (or -ENOENT) stands in s->old. */
static int replace(struct shard *s, uint64_t digest, uint32_t number, int old_bytes, uint8_t table,
	struct str aor, const struct location_contact *contact, unsigned count)
{
	unsigned before = old_bytes > 0 ? record_head(s->old).contacts : 0;
	int bytes, err;

	if (atomic_load_explicit(&s->contacts, memory_order_relaxed) - before + count >
			s->contacts_max &&
		count > before)
		return -ENOSPC;
	bytes = record_write(
		s->agents, table, aor, contact, count, old_bytes > 0 ? s->old : NULL, s->new);
	if (bytes < 0)
		return bytes;
	if (old_bytes > 0)
		err = place_rewrite(
			s, number, s->old, (uint32_t)old_bytes, s->new, (uint32_t)bytes);
	else
		err = insert(s, digest, (uint32_t)bytes);
	if (err != 0) {
		record_release(s->agents, s->new);
		return err;
	}
	/* Not before: a text that the old record named could be written over. */
	if (old_bytes > 0)
		record_release(s->agents, s->old);
	counts(&s->contacts, (int64_t)count - (int64_t)before);
	return 0;
}

int location_replace(struct location *l, unsigned shard, struct hash128 digest, uint8_t table,
	struct str aor, const struct location_contact *contact, unsigned count)
{
	struct shard *s = l->shard[shard];
	uint32_t number = 0, version;
	int old_bytes, err;

	old_bytes = read_record(s, digest.lo, table, aor, (char *)s->old, &number, &version);
	if (count == 0) {
		if (old_bytes > 0)
			forget(s, digest.lo, number);
		return 0;
	}
	err = replace(s, digest.lo, number, old_bytes, table, aor, contact, count);
	return err == 0 ? 0 : refused(s, err);
}

/* Takes away what has ended of the record at a place; returns how many contacts. */
static unsigned sweep_place(struct location *l, struct shard *s, uint32_t number, uint32_t now)
{
	struct location_set *set = &s->swept;
	struct record_head head;
	struct hash128 digest;
	uint32_t version;
	unsigned live;
	int bytes = place_copy(s, number, set->text, &version);

	if (bytes < 0)
		return 0;
	head = record_head(set->text);
	live = record_live(set->text, now);
	if (live == head.contacts)
		return 0;
	digest = location_digest(l, head.table, record_aor(set->text));
	memcpy(s->old, set->text, (size_t)bytes);
	set->text_len = (uint32_t)bytes;
	record_read(s->agents, now, set);
	if (live == 0)
		forget(s, digest.lo, number);
	/* Fewer contacts find room, but if all places are taken and what is left needs other ones
	 * than it has: a later sweep has it. */
	else if (replace(s, digest.lo, number, bytes, head.table, record_aor(set->text),
			 set->contact, set->count) != 0)
		return 0;
	return head.contacts - live;
}

unsigned location_sweep(struct location *l, unsigned shard, uint32_t now, unsigned records)
{
	struct shard *s = l->shard[shard];
	uint32_t fresh = atomic_load_explicit(&s->fresh, memory_order_relaxed);
	unsigned swept = 0;

	if (records > fresh)
		records = fresh;
	for (unsigned i = 0; i < records; i++) {
		if (s->sweep_at >= fresh)
			s->sweep_at = 0;
		swept += sweep_place(l, s, s->sweep_at++, now);
	}
	if (swept != 0)
		counts(&s->expired, swept);
	return swept;
}
