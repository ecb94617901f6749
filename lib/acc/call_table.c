/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The table of a shard's calls: their memory and texts, who is who, in and out of it. A call is
 * known by its Call-ID and both tags, whichever way they stand, and to the further 2xx of its fork
 * by its Call-ID and From tag; what its record will say is kept as a text of an arena. What lasts
 * and what has ended stand in lists, the oldest first.
 */
#include <sys/mman.h>

#include "acc/call.h"

#define ARENA_PLACES_EACH 6 /* of 168 bytes; pages come as they are used */
#define NULL_VALUE UINT16_MAX
#define SIBLINGS_MAX 4                 /* calls of a Call-ID and From tag that are found by these */
#define ENDED_NS (32 * CLOCK_NS_PER_S) /* 64*T1: copies of a 2xx */

/* ---- memory ---- */

int acc_calls_create(struct acc_shard *sh, uint32_t room)
{
	struct acc_calls *c = &sh->calls;
	void *map = mmap(NULL, (size_t)room * sizeof(struct acc_call), PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (map == MAP_FAILED)
		return -ENOMEM;
	c->call = map;
	c->room = room;
	c->free = ACC_NO_CALL;
	c->last = c->ended = (struct acc_call_list){ACC_NO_CALL, ACC_NO_CALL};
	c->scratch = malloc(ARENA_TEXT_MAX);
	c->index = digest_index_create(2 * room);
	if (c->scratch == NULL || c->index == NULL)
		return -ENOMEM;
	return arena_create(&c->arena, room * ARENA_PLACES_EACH, false);
}

void acc_calls_destroy(struct acc_shard *sh)
{
	struct acc_calls *c = &sh->calls;

	if (c->call != NULL)
		munmap(c->call, (size_t)c->room * sizeof(struct acc_call));
	if (c->index != NULL)
		digest_index_destroy(c->index);
	arena_destroy(&c->arena);
	free(c->scratch);
}

static uint32_t call_take(struct acc_calls *c)
{
	uint32_t n = c->free;

	if (n == ACC_NO_CALL)
		return c->fresh < c->room ? c->fresh++ : ACC_NO_CALL;
	c->free = c->call[n].newer;
	return n;
}

static void gauge(struct acc_shard *sh, int by)
{
	atomic_store_explicit(&sh->count[ACC_COUNTER_CALLS_NOW],
		atomic_load_explicit(&sh->count[ACC_COUNTER_CALLS_NOW], memory_order_relaxed) +
			(uint64_t)(int64_t)by,
		memory_order_relaxed);
}

/* ---- texts ---- */

/* Packs them behind a length, as the arena wants it. Bytes, 0: they do not fit. */
static uint32_t pack(struct acc_calls *c, const struct acc_call_values *values)
{
	char *out = (char *)c->scratch;
	uint32_t at = sizeof(uint16_t) + 1, padded;
	uint16_t len;

	for (unsigned i = 0; i < values->count; i++) {
		const struct acc_value *v = &values->v[i];

		if (v->s.len + sizeof(len) > ARENA_TEXT_MAX - 8 - at)
			return 0;
		len = v->null ? NULL_VALUE : (uint16_t)v->s.len;
		memcpy(out + at, &len, sizeof(len));
		at += sizeof(len);
		str_copy(out + at, v->s);
		at += v->s.len;
	}
	out[sizeof(uint16_t)] = (char)values->count;
	len = (uint16_t)at;
	memcpy(out, &len, sizeof(len));
	padded = (at + 7) & ~7u;
	memset(out + at, 0, padded - at);
	return at;
}

bool acc_calls_unpack(struct acc_calls *c, const struct acc_call *call, struct acc_call_values *out)
{
	const char *in = (const char *)c->scratch;
	uint32_t version, at = sizeof(uint16_t) + 1;

	if (arena_copy(&c->arena, call->text, (char *)c->scratch, &version) < 0)
		return false;
	out->count = (uint8_t)in[sizeof(uint16_t)];
	out->extras = call->extras;
	for (unsigned i = 0; i < out->count; i++) {
		uint16_t len;

		memcpy(&len, in + at, sizeof(len));
		at += sizeof(len);
		out->v[i].null = len == NULL_VALUE;
		len = out->v[i].null ? 0 : len;
		out->v[i].s = str_of(in + at, len);
		at += len;
	}
	return true;
}

/* ---- who is who ---- */

uint64_t acc_calls_key(const struct acc *a, struct str call_id, struct str one, struct str other)
{
	struct hash h;

	hash_init(&h, &a->key);
	hash_str(&h, call_id);
	/* The same whichever side says it. */
	hash_u64(&h, hash_text(&a->key, one) + hash_text(&a->key, other));
	return hash_final(&h);
}

uint64_t acc_calls_sibling(const struct acc *a, struct str call_id, struct str from_tag)
{
	struct hash h;

	hash_init(&h, &a->key);
	hash_str(&h, from_tag);
	hash_str(&h, call_id);
	return hash_final(&h);
}

static bool is_call(
	const struct acc_call_values *v, struct str call_id, struct str one, struct str other)
{
	struct str from = v->v[FROM_TAG].s, to = v->v[TO_TAG].s;

	return str_eq(v->v[CALL_ID].s, call_id) &&
	       ((str_eq(from, one) && str_eq(to, other)) ||
		       (str_eq(from, other) && str_eq(to, one)));
}

uint32_t acc_calls_find(struct acc *a, struct acc_calls *c, struct str call_id, struct str one,
	struct str other, struct acc_call_values *out)
{
	uint32_t found[DIGEST_INDEX_FOUND_MAX];
	uint64_t key = acc_calls_key(a, call_id, one, other);
	unsigned n = digest_index_find(c->index, key, found);

	for (unsigned i = 0; i < n; i++)
		if (c->call[found[i]].key == key && acc_calls_unpack(c, &c->call[found[i]], out) &&
			is_call(out, call_id, one, other))
			return found[i];
	return ACC_NO_CALL;
}

uint32_t acc_calls_find_sibling(struct acc *a, struct acc_calls *c, struct str call_id,
	struct str from_tag, struct acc_call_values *out)
{
	uint32_t found[DIGEST_INDEX_FOUND_MAX];
	uint64_t key = acc_calls_sibling(a, call_id, from_tag);
	unsigned n = digest_index_find(c->index, key, found);

	for (unsigned i = 0; i < n; i++)
		if (c->call[found[i]].sibling == key &&
			acc_calls_unpack(c, &c->call[found[i]], out) &&
			str_eq(out->v[CALL_ID].s, call_id) && str_eq(out->v[FROM_TAG].s, from_tag))
			return found[i];
	return ACC_NO_CALL;
}

/* ---- in the table, and out of it ---- */

static struct acc_call_list *list_of(struct acc_calls *c, uint32_t n)
{
	return c->call[n].ended ? &c->ended : &c->last;
}

static void link_newest(struct acc_calls *c, uint32_t n)
{
	struct acc_call_list *list = list_of(c, n);

	c->call[n].older = list->newest;
	c->call[n].newer = ACC_NO_CALL;
	if (list->newest != ACC_NO_CALL)
		c->call[list->newest].newer = n;
	else
		list->oldest = n;
	list->newest = n;
}

static void unlink_call(struct acc_calls *c, uint32_t n)
{
	const struct acc_call *call = &c->call[n];
	struct acc_call_list *list = list_of(c, n);

	if (call->older != ACC_NO_CALL)
		c->call[call->older].newer = call->newer;
	else
		list->oldest = call->newer;
	if (call->newer != ACC_NO_CALL)
		c->call[call->newer].older = call->older;
	else
		list->newest = call->older;
}

void acc_calls_forget(struct acc_shard *sh, uint32_t n)
{
	struct acc_calls *c = &sh->calls;
	struct acc_call *call = &c->call[n];

	unlink_call(c, n);
	digest_index_remove(c->index, call->key, n);
	if (call->is_sibling)
		digest_index_remove(c->index, call->sibling, n);
	arena_forget(&c->arena, call->text);
	call->newer = c->free;
	c->free = n;
	if (!call->ended)
		gauge(sh, -1);
}

void acc_calls_keep_ended(struct acc_shard *sh, uint32_t n, uint64_t now_ns)
{
	struct acc_calls *c = &sh->calls;

	unlink_call(c, n);
	c->call[n].ended = true;
	c->call[n].expires_ns = now_ns + ENDED_NS;
	link_newest(c, n);
	gauge(sh, -1);
}

/* How a fork's further 2xx finds it. Some are enough: whoever gives all of his calls one Call-ID
 * and From tag, and an index has few places for one digest, is not to have them for nothing. */
static void insert_sibling(struct acc_calls *c, uint32_t n)
{
	uint32_t found[DIGEST_INDEX_FOUND_MAX];
	struct acc_call *call = &c->call[n];

	if (digest_index_find(c->index, call->sibling, found) < SIBLINGS_MAX)
		call->is_sibling = digest_index_insert(c->index, call->sibling, n) == 0;
}

static int insert(struct acc_calls *c, uint32_t n, const struct acc_call_values *v)
{
	struct acc_call *call = &c->call[n];
	uint32_t bytes = pack(c, v);

	if (bytes == 0)
		return -E2BIG;
	if (arena_write(&c->arena, c->scratch, bytes, &call->text) != 0)
		return -ENOSPC;
	if (digest_index_insert(c->index, call->key, n) == 0) {
		insert_sibling(c, n);
		return 0;
	}
	arena_forget(&c->arena, call->text);
	return -ENOSPC;
}

int acc_calls_add(
	struct acc_shard *sh, const struct acc_call *call, const struct acc_call_values *v)
{
	struct acc_calls *c = &sh->calls;
	uint32_t n = call_take(c);
	int err;

	if (n == ACC_NO_CALL)
		return -ENOSPC;
	c->call[n] = *call;
	err = insert(c, n, v);
	if (err != 0) {
		c->call[n].newer = c->free;
		c->free = n;
		return err;
	}
	link_newest(c, n);
	gauge(sh, 1);
	return 0;
}
