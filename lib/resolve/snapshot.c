/* SPDX-License-Identifier: BSD-3-Clause */
#include "resolve/internal.h"

#include <stdlib.h>

/* A name in a snapshot. Its text and addresses stand behind the records. */
struct record {
	uint64_t hash;
	uint32_t slot; /* of shared.used */
	uint32_t name_off, name_len;
	uint32_t address; /* index */
	uint8_t kind, answer;
};

/*
 * One allocation: this, then addresses, what they were, records, buckets, text. Buckets hold 1 +
 * index, probed in line; 0 ends.
 */
struct resolve_snapshot {
	struct shared *shared;
	struct hash_key key;
	const struct resolve_addresses *address;
	const struct record *record;
	const uint32_t *bucket;
	const char *text;
	uint32_t mask;
};

uint64_t snapshot_hash(const struct hash_key *key, enum resolve_kind kind, struct str name)
{
	struct hash h;

	hash_init(&h, key);
	hash_u32(&h, (uint32_t)kind);
	hash_str_lower(&h, name);
	return hash_final(&h);
}

const struct resolve_addresses snapshot_localhost = {.count = 2,
	.ep = {{.addr = {.b = {127, 0, 0, 1}, .family = 4}},
		{.addr = {.b = {[15] = 1}, .family = 6}}}};

/* What there is to be copied. */
struct size {
	uint32_t names, found, former, buckets;
	size_t text;
};

static struct size measure(const struct resolver *r)
{
	struct size s = {.buckets = 16};

	for (uint32_t i = 0; i < RESOLVE_NAMES_MAX; i++) {
		const struct entry *e = r->entry[i];

		if (e == NULL || e->answer == RESOLVE_MISSING)
			continue;
		s.names++;
		s.found += e->answer == RESOLVE_FOUND;
		s.former += e->answer == RESOLVE_FOUND && e->history != NULL;
		s.text += e->name.len;
	}
	while (s.buckets < 2 * s.names)
		s.buckets *= 2;
	return s;
}

/* A name's addresses, and what they were. */
static void put_addresses(
	const struct entry *e, struct resolve_addresses *out, struct resolve_former **former)
{
	*out = e->addresses;
	if (e->history == NULL)
		return;
	**former = e->history->former;
	out->former = (*former)++;
}

struct resolve_snapshot *snapshot_new(const struct resolver *r)
{
	struct size size = measure(r);
	size_t addresses = size.found * sizeof(struct resolve_addresses);
	size_t formers = size.former * sizeof(struct resolve_former);
	size_t records = size.names * sizeof(struct record);
	size_t buckets = size.buckets * sizeof(uint32_t);
	struct resolve_snapshot *s =
		calloc(1, sizeof(*s) + addresses + formers + records + buckets + size.text);
	uint32_t n = 0, found = 0, text_len = 0;
	struct resolve_addresses *address;
	struct resolve_former *former;
	struct record *record;
	uint32_t *bucket;
	char *text;

	if (s == NULL)
		return NULL;
	address = (struct resolve_addresses *)(s + 1);
	former = (struct resolve_former *)(address + size.found);
	record = (struct record *)(former + size.former);
	bucket = (uint32_t *)(record + size.names);
	text = (char *)(bucket + size.buckets);
	*s = (struct resolve_snapshot){.shared = r->shared,
		.key = r->key,
		.address = address,
		.record = record,
		.bucket = bucket,
		.text = text,
		.mask = size.buckets - 1};
	for (uint32_t i = 0; i < RESOLVE_NAMES_MAX; i++) {
		const struct entry *e = r->entry[i];
		uint32_t at;

		if (e == NULL || e->answer == RESOLVE_MISSING)
			continue;
		record[n] = (struct record){
			.hash = snapshot_hash(&r->key, e->kind, str_of(e->name.s, e->name.len)),
			.slot = e->slot,
			.name_off = text_len,
			.name_len = e->name.len,
			.address = found,
			.kind = (uint8_t)e->kind,
			.answer = (uint8_t)e->answer};
		memcpy(text + text_len, e->name.s, e->name.len);
		text_len += e->name.len;
		if (e->answer == RESOLVE_FOUND)
			put_addresses(e, &address[found++], &former);
		at = (uint32_t)record[n].hash & s->mask;
		while (bucket[at] != 0)
			at = (at + 1) & s->mask;
		bucket[at] = ++n;
	}
	s->shared->references++;
	s->shared->snapshots++;
	return s;
}

void shared_release(struct shared *shared)
{
	if (--shared->references == 0)
		free(shared);
}

void snapshot_free(void *snapshot)
{
	struct resolve_snapshot *s = snapshot;

	s->shared->snapshots--;
	shared_release(s->shared);
	free(s);
}

/* RFC 6761, RFC 7686: names that mean the same whatever servers say. */
static enum resolve_answer find_special(struct str name, const struct resolve_addresses **out)
{
	switch (name_special(name)) {
	case NAME_LOCALHOST:
		*out = &snapshot_localhost;
		return RESOLVE_FOUND;
	case NAME_NOWHERE:
		return RESOLVE_FAILED;
	case NAME_ORDINARY:
		break;
	}
	return RESOLVE_MISSING;
}

enum resolve_answer resolve_find(const struct resolve_snapshot *s, enum resolve_kind kind,
	struct str name, const struct resolve_addresses **out)
{
	struct str given = name;
	struct host_name ignored;
	uint64_t hash;

	if (name.len > 0 && name.s[name.len - 1] == '.')
		name.len--;
	if (name.len > RESOLVE_NAME_MAX)
		return RESOLVE_FAILED;
	hash = snapshot_hash(&s->key, kind, name);
	for (uint32_t at = (uint32_t)hash & s->mask; s->bucket[at] != 0; at = (at + 1) & s->mask) {
		const struct record *rec = &s->record[s->bucket[at] - 1];
		_Atomic uint8_t *used = &s->shared->used[rec->slot];

		if (rec->hash != hash || rec->kind != kind ||
			!str_ieq(str_of(s->text + rec->name_off, rec->name_len), name))
			continue;
		/* Written once between two refreshes, not by every message. */
		if (atomic_load_explicit(used, memory_order_relaxed) == 0)
			atomic_store_explicit(used, 1, memory_order_relaxed);
		if (rec->answer == RESOLVE_FOUND)
			*out = &s->address[rec->address];
		return (enum resolve_answer)rec->answer;
	}
	/* What can't be asked for needs no waiting. */
	if (!name_read(given, &ignored))
		return RESOLVE_FAILED;
	return find_special(name, out);
}
