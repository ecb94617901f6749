/* SPDX-License-Identifier: BSD-3-Clause */
#include "net/slot.h"

#include <errno.h>
#include <stdlib.h>

/* ---- the pools ---- */

static void *zeroed(size_t count, size_t size)
{
	void *p = NULL;

	if (count > SIZE_MAX / size || posix_memalign(&p, 64, count * size) != 0)
		return NULL;
	/* Touched now, so that no page fault meets the first packet. */
	memset(p, 0, count * size);
	return p;
}

static uint32_t *stack_new(uint32_t count)
{
	uint32_t *stack = zeroed(count, sizeof(uint32_t));

	for (uint32_t i = 0; stack != NULL && i < count; i++)
		stack[i] = count - 1 - i;
	return stack;
}

static uint32_t *buckets_new(uint32_t count)
{
	uint32_t *buckets = zeroed(count, sizeof(uint32_t));

	if (buckets != NULL)
		memset(buckets, 0xff, count * sizeof(uint32_t));
	return buckets;
}

struct net_reassembler *net_reassembler_create(
	const struct net_reassembler_config *config, const struct hash_key *key)
{
	uint64_t blocks = config->bytes_max / BLOCK;
	uint32_t slots = config->datagrams_max, buckets = 16;
	struct net_reassembler *r;

	if (slots == 0 || slots > NET_REASSEMBLER_DATAGRAMS_MAX || blocks == 0 || blocks >= NONE ||
		config->datagrams_per_source_max == 0) {
		errno = EINVAL;
		return NULL;
	}
	r = calloc(1, sizeof(*r));
	if (r == NULL)
		return NULL;
	while (buckets < 2 * slots)
		buckets *= 2;
	r->config = *config;
	r->key = *key;
	r->mask = buckets - 1;
	r->oldest = r->newest = NONE;
	r->free_slots = r->free_sources = slots;
	r->free_blocks = (uint32_t)blocks;
	r->slot = zeroed(slots, sizeof(*r->slot));
	r->source = zeroed(slots, sizeof(*r->source));
	r->block = zeroed(blocks, BLOCK);
	r->packet = zeroed(1, HEADER_MAX + UNITS_MAX * UNIT);
	r->free_slot = stack_new(slots);
	r->free_source = stack_new(slots);
	r->free_block = stack_new((uint32_t)blocks);
	r->slot_bucket = buckets_new(buckets);
	r->source_bucket = buckets_new(buckets);
	if (r->slot == NULL || r->source == NULL || r->block == NULL || r->packet == NULL ||
		r->free_slot == NULL || r->free_source == NULL || r->free_block == NULL ||
		r->slot_bucket == NULL || r->source_bucket == NULL) {
		net_reassembler_destroy(r);
		errno = ENOMEM;
		return NULL;
	}
	return r;
}

void net_reassembler_destroy(struct net_reassembler *r)
{
	if (r == NULL)
		return;
	free(r->slot);
	free(r->source);
	free(r->block);
	free(r->packet);
	free(r->free_slot);
	free(r->free_source);
	free(r->free_block);
	free(r->slot_bucket);
	free(r->source_bucket);
	free(r);
}

/* ---- keys ---- */

/*
 * RFC 791 3.2: source, destination, protocol, identification. RFC 8200 4.5 leaves the protocol out:
 * fragments of one datagram may name different next headers, and the first one's holds.
 */
static uint8_t key_protocol(const struct net_frame *f)
{
	return f->family == 4 ? f->protocol : 0;
}

uint64_t slot_hash(const struct hash_key *key, const struct net_frame *f)
{
	uint32_t bytes = f->family == 4 ? 4 : 16;
	struct hash h;

	hash_init(&h, key);
	hash_bytes(&h, f->src.addr.b, bytes);
	hash_bytes(&h, f->dst.addr.b, bytes);
	hash_u64(&h, (uint64_t)f->frag_id << 32 | (uint32_t)key_protocol(f) << 8 | f->family);
	return hash_final(&h);
}

/* The upper half of the hash, so that the buckets of one owner, by the lower half, are all used. */
uint32_t net_fragment_owner(
	const struct hash_key *key, const struct net_frame *frame, uint32_t owners)
{
	return (uint32_t)((slot_hash(key, frame) >> 32) * owners >> 32);
}

uint32_t slot_find(const struct net_reassembler *r, uint32_t bucket, const struct net_frame *f)
{
	uint32_t i = r->slot_bucket[bucket];

	while (i != NONE) {
		const struct slot *s = &r->slot[i];

		if (s->id == f->frag_id && s->protocol == key_protocol(f) &&
			net_addr_equal(&s->src, &f->src.addr) &&
			net_addr_equal(&s->dst, &f->dst.addr))
			break;
		i = s->chain_next;
	}
	return i;
}

/* ---- sources ---- */

static struct net_addr source_of(const struct net_frame *f)
{
	struct net_addr a = f->src.addr;

	if (a.family == 6)
		a.q[1] = 0;
	return a;
}

static uint32_t source_find(
	const struct net_reassembler *r, const struct net_addr *addr, uint32_t *bucket)
{
	uint32_t i;

	*bucket = (uint32_t)hash_text(&r->key, str_of((const char *)addr->b, 16)) & r->mask;
	for (i = r->source_bucket[*bucket]; i != NONE; i = r->source[i].chain_next)
		if (net_addr_equal(&r->source[i].addr, addr))
			break;
	return i;
}

/* There are as many sources as slots, and a source has a slot: one is free when a slot is. */
static uint32_t source_take(struct net_reassembler *r, const struct net_addr *addr, uint32_t bucket)
{
	uint32_t i = r->free_source[--r->free_sources];

	r->source[i] = (struct source){.addr = *addr,
		.bucket = bucket,
		.chain_next = r->source_bucket[bucket],
		.oldest = NONE,
		.newest = NONE};
	r->source_bucket[bucket] = i;
	return i;
}

static void unchain_source(struct net_reassembler *r, uint32_t i)
{
	uint32_t *link = &r->source_bucket[r->source[i].bucket];

	while (*link != i)
		link = &r->source[*link].chain_next;
	*link = r->source[i].chain_next;
	r->free_source[r->free_sources++] = i;
}

/* ---- slots ---- */

uint32_t slot_drop(struct net_reassembler *r, uint32_t i)
{
	struct slot *s = &r->slot[i];
	struct source *source = &r->source[s->source];
	uint32_t *link = &r->slot_bucket[s->bucket];

	while (*link != i)
		link = &r->slot[*link].chain_next;
	*link = s->chain_next;

	*(s->older != NONE ? &r->slot[s->older].newer : &r->oldest) = s->newer;
	*(s->newer != NONE ? &r->slot[s->newer].older : &r->newest) = s->older;
	*(s->source_older != NONE ? &r->slot[s->source_older].source_newer : &source->oldest) =
		s->source_newer;
	*(s->source_newer != NONE ? &r->slot[s->source_newer].source_older : &source->newest) =
		s->source_older;
	if (--source->count == 0)
		unchain_source(r, s->source);

	for (uint32_t b = 0; b <= (s->end != 0 ? s->end - 1 : 0) / BLOCK; b++)
		if (s->block[b] != NONE)
			r->free_block[r->free_blocks++] = s->block[b];
	r->free_slot[r->free_slots++] = i;
	r->held -= s->frames;
	return s->frames;
}

static void slot_clear(struct slot *s, const struct net_frame *f, uint64_t now)
{
	s->src = f->src.addr;
	s->dst = f->dst.addr;
	s->id = f->frag_id;
	s->protocol = key_protocol(f);
	s->began = now;
	s->frames = s->units = s->end = s->header_len = 0;
	s->length = NONE;
	memset(s->have, 0, sizeof(s->have));
	memset(s->start, 0, sizeof(s->start));
	memset(s->block, 0xff, sizeof(s->block));
}

uint32_t slot_take(struct net_reassembler *r, uint32_t bucket, const struct net_frame *f,
	uint64_t now, uint32_t *evicted)
{
	struct net_addr addr = source_of(f);
	uint32_t source_bucket, source = source_find(r, &addr, &source_bucket), i;
	struct slot *s;

	if (source != NONE && r->source[source].count >= r->config.datagrams_per_source_max) {
		*evicted += slot_drop(r, r->source[source].oldest);
		/* The source goes with its last datagram. */
		source = source_find(r, &addr, &source_bucket);
	} else if (r->free_slots == 0) {
		*evicted += slot_drop(r, r->oldest);
		source = source_find(r, &addr, &source_bucket);
	}
	if (source == NONE)
		source = source_take(r, &addr, source_bucket);

	i = r->free_slot[--r->free_slots];
	s = &r->slot[i];
	slot_clear(s, f, now);
	s->bucket = bucket;
	s->chain_next = r->slot_bucket[bucket];
	r->slot_bucket[bucket] = i;
	s->older = r->newest;
	s->newer = NONE;
	*(r->newest != NONE ? &r->slot[r->newest].newer : &r->oldest) = i;
	r->newest = i;
	s->source = source;
	s->source_older = r->source[source].newest;
	s->source_newer = NONE;
	*(s->source_older != NONE ? &r->slot[s->source_older].source_newer
				  : &r->source[source].oldest) = i;
	r->source[source].newest = i;
	r->source[source].count++;
	return i;
}

bool slot_take_blocks(
	struct net_reassembler *r, uint32_t keep, uint32_t off, uint32_t len, uint32_t *evicted)
{
	struct slot *s = &r->slot[keep];
	uint32_t first = off / BLOCK, last = (off + len - 1) / BLOCK, missing = 0;

	for (uint32_t b = first; b <= last; b++)
		missing += s->block[b] == NONE;
	while (r->free_blocks < missing) {
		uint32_t victim = r->oldest != keep ? r->oldest : s->newer;

		if (victim == NONE)
			return false;
		*evicted += slot_drop(r, victim);
	}
	for (uint32_t b = first; b <= last; b++)
		if (s->block[b] == NONE)
			s->block[b] = r->free_block[--r->free_blocks];
	return true;
}
