/* SPDX-License-Identifier: BSD-3-Clause */
#include "net/wire.h"

#include <errno.h>
#include <stdlib.h>

/*
 * A datagram under way is a slot: its key, the headers of its first fragment, a map of the 8-byte
 * units that have come, and a table of the blocks that hold them. Blocks come from one pool, so
 * that small datagrams cost little; what is whole is copied into one linear buffer. Slots stand in
 * three lists: the chain of their hash bucket, all slots by age, and the slots of one source by
 * age. Both ages are the order of arrival, as the timeout is counted from the first fragment (RFC
 * 8200 4.5).
 *
 * Bounds are kept by dropping the oldest: under a flood of halves an honest datagram, whole within
 * milliseconds, still lives as long as the table takes to turn over, while refusing the newest
 * would shut everybody out for the whole timeout. A source that exceeds its share loses its own
 * oldest.
 */
#define UNIT 8
#define UNITS_MAX ((WIRE_IP_MAX + UNIT) / UNIT) /* 8192 */
#define WORDS_MAX (UNITS_MAX / 64)
#define BLOCK 1024
#define BLOCKS_MAX (UNITS_MAX * UNIT / BLOCK) /* 64 */
#define HEADER_MAX 256 /* IP header with options or extensions of a first fragment */
#define EXPIRE_MAX 32  /* datagrams a call of net_reassembler_expire() */
#define NONE UINT32_MAX

struct slot {
	struct net_addr src, dst;
	uint32_t id;
	uint8_t protocol;

	uint32_t bucket, chain_next;
	uint32_t older, newer;
	uint32_t source, source_older, source_newer;

	uint64_t began;
	uint32_t frames;
	uint32_t units;       /* that have come */
	uint32_t end;         /* furthest byte that has come */
	uint32_t length;      /* of the datagram's data, NONE until the last fragment has come */
	uint32_t header_len;  /* 0 until the first has come */
	uint32_t header_next; /* IPv6: place of the next-header byte that named the fragment header
			       */
	uint8_t header_protocol;

	uint64_t have[WORDS_MAX];  /* units that have come */
	uint64_t start[WORDS_MAX]; /* units that a fragment began with */
	uint32_t block[BLOCKS_MAX];
	uint8_t header[HEADER_MAX];
};

/* An address, or an IPv6 /64 since its owner has all of it, with datagrams under way. */
struct source {
	struct net_addr addr;
	uint32_t bucket, chain_next;
	uint32_t oldest, newest;
	uint32_t count;
};

struct net_reassembler {
	struct net_reassembler_config config;
	struct hash_key key;
	uint32_t mask; /* of both hash tables */
	uint32_t *slot_bucket, *source_bucket;
	struct slot *slot;
	struct source *source;
	uint32_t *free_slot, *free_source, *free_block;
	uint32_t free_slots, free_sources, free_blocks;
	uint8_t *block;
	uint32_t oldest, newest;
	uint64_t held;
	uint8_t *packet; /* the last one that became whole */
};

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

uint64_t net_reassembler_held(const struct net_reassembler *r)
{
	return r->held;
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

static uint64_t hash_fragment(const struct hash_key *key, const struct net_frame *f)
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
	return (uint32_t)((hash_fragment(key, frame) >> 32) * owners >> 32);
}

static uint32_t slot_find(
	const struct net_reassembler *r, uint32_t bucket, const struct net_frame *f)
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

/* Lets go of a slot with all its blocks; returns the frames that it held. */
static uint32_t slot_drop(struct net_reassembler *r, uint32_t i)
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

/* Takes a slot for a new datagram, at the cost of an older one where a bound is met. */
static uint32_t slot_take(struct net_reassembler *r, uint32_t bucket, const struct net_frame *f,
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

/* ---- units ---- */

static bool test_bit(const uint64_t *map, uint32_t i)
{
	return (map[i / 64] >> (i % 64) & 1) != 0;
}

/* How many of the units [first, last] have come. */
static uint32_t count_units(const struct slot *s, uint32_t first, uint32_t last)
{
	uint32_t n = 0;

	for (uint32_t w = first / 64; w <= last / 64; w++) {
		uint64_t mask = UINT64_MAX;

		if (w == first / 64)
			mask &= UINT64_MAX << (first % 64);
		if (w == last / 64)
			mask &= UINT64_MAX >> (63 - last % 64);
		n += (uint32_t)__builtin_popcountll(s->have[w] & mask);
	}
	return n;
}

static void set_units(struct slot *s, uint32_t first, uint32_t last)
{
	for (uint32_t w = first / 64; w <= last / 64; w++) {
		uint64_t mask = UINT64_MAX;

		if (w == first / 64)
			mask &= UINT64_MAX << (first % 64);
		if (w == last / 64)
			mask &= UINT64_MAX >> (63 - last % 64);
		s->have[w] |= mask;
	}
	s->start[first / 64] |= 1ULL << (first % 64);
	s->units += last - first + 1;
}

/* Bytes from `off` that lie in one block, at most len. */
static uint32_t run_length(uint32_t off, uint32_t len)
{
	uint32_t room = BLOCK - off % BLOCK;

	return len < room ? len : room;
}

static uint8_t *byte_at(const struct net_reassembler *r, const struct slot *s, uint32_t off)
{
	return r->block + (size_t)s->block[off / BLOCK] * BLOCK + off % BLOCK;
}

/*
 * RFC 8200 4.5 lets a fragment that the network has doubled pass: the same bounds, the same bytes.
 * All its units have come, as the caller knows.
 */
static bool is_duplicate(const struct net_reassembler *r, const struct slot *s, const uint8_t *p,
	const struct net_frame *f)
{
	uint32_t first = f->frag_off / UNIT, end = f->frag_off + f->l4_len;
	uint32_t next = (end + UNIT - 1) / UNIT;

	if (!test_bit(s->start, first))
		return false;
	for (uint32_t u = first + 1; u < next; u++)
		if (test_bit(s->start, u))
			return false;
	if (f->frag_more != (end != s->length) || end > s->length)
		return false;
	if (next < UNITS_MAX && test_bit(s->have, next) && !test_bit(s->start, next))
		return false;
	for (uint32_t off = f->frag_off; off < end;) {
		uint32_t n = run_length(off, end - off);

		if (memcmp(byte_at(r, s, off), p, n) != 0)
			return false;
		off += n;
		p += n;
	}
	return true;
}

/* ---- one fragment ---- */

/*
 * What RFC 791 and RFC 8200 4.5 ask of one fragment beside those that have come. HELD: it may be
 * stored.
 */
static enum net_reassembly judge(const struct net_reassembler *r, const struct slot *s,
	const uint8_t *data, const struct net_frame *f)
{
	uint32_t end = f->frag_off + f->l4_len, units;

	/* net_frame_parse() refuses these already; here they would break the maps. */
	if (f->l4_len == 0 || f->frag_off % UNIT != 0 || (f->frag_more && f->l4_len % UNIT != 0))
		return NET_REASSEMBLY_BAD;
	if (f->frag_off > WIRE_IP_MAX || f->l4_len > WIRE_IP_MAX - f->frag_off)
		return NET_REASSEMBLY_TOO_BIG;
	units = count_units(s, f->frag_off / UNIT, (end - 1) / UNIT);
	if (units != 0) {
		if (units == (end - 1) / UNIT - f->frag_off / UNIT + 1 &&
			is_duplicate(r, s, data + f->l4_off, f))
			return NET_REASSEMBLY_DUPLICATE;
		return NET_REASSEMBLY_OVERLAP;
	}
	/* Two ends, or data behind the end. */
	if (s->length != NONE && (!f->frag_more || end > s->length))
		return NET_REASSEMBLY_BAD;
	if (!f->frag_more && s->end > end)
		return NET_REASSEMBLY_BAD;
	if (f->frag_off == 0 && f->l4_off - f->l3_off > HEADER_MAX)
		return NET_REASSEMBLY_BAD;
	return NET_REASSEMBLY_HELD;
}

/* Blocks for [off, off + len), at the cost of the oldest other datagrams. */
static bool take_blocks(
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

static void store(
	struct net_reassembler *r, struct slot *s, const uint8_t *data, const struct net_frame *f)
{
	const uint8_t *p = data + f->l4_off;
	uint32_t end = f->frag_off + f->l4_len;

	for (uint32_t off = f->frag_off; off < end;) {
		uint32_t n = run_length(off, end - off);

		memcpy(byte_at(r, s, off), p, n);
		off += n;
		p += n;
	}
	set_units(s, f->frag_off / UNIT, (end - 1) / UNIT);
	if (end > s->end)
		s->end = end;
	if (!f->frag_more)
		s->length = end;
	if (f->frag_off == 0) {
		/*
		 * IPv6: all in front of the fragment header (RFC 8200 4.5, "unfragmentable part").
		 *
		 */
		s->header_len = f->l4_off - f->l3_off;
		if (f->family == 6)
			s->header_len -= WIRE_IPV6_FRAGMENT_LEN;
		memcpy(s->header, data + f->l3_off, s->header_len);
		s->header_next = f->frag_next_off - f->l3_off;
		s->header_protocol = f->protocol;
	}
	s->frames++;
	r->held++;
}

/* Writes the header of what is whole: lengths, no fragment fields, IPv4's checksum. */
static void finish_header(const struct slot *s, uint8_t *out)
{
	uint16_t sum;

	memcpy(out, s->header, s->header_len);
	if (s->src.family == 6) {
		wire_put16(out + 4, s->header_len - NET_IPV6_LEN + s->length);
		out[s->header_next] = s->header_protocol;
		return;
	}
	wire_put16(out + 2, s->header_len + s->length);
	wire_put16(out + 6, 0);
	out[10] = out[11] = 0;
	sum = net_checksum_fold(net_checksum_add(0, out, s->header_len));
	memcpy(out + 10, &sum, 2);
}

/* The first fragment's own headers may make the sum exceed what no single fragment did. */
static bool is_too_big(const struct slot *s)
{
	uint32_t counted = s->header_len;

	if (s->header_len == 0 || s->length == NONE)
		return false;
	if (s->src.family == 6)
		counted -= NET_IPV6_LEN;
	return counted + s->length > WIRE_IP_MAX;
}

static void assemble(struct net_reassembler *r, const struct slot *s, struct net_reassembled *out)
{
	finish_header(s, r->packet);
	for (uint32_t off = 0; off < s->length;) {
		uint32_t n = run_length(off, s->length - off);

		memcpy(r->packet + s->header_len + off, byte_at(r, s, off), n);
		off += n;
	}
	out->packet = r->packet;
	out->len = s->header_len + s->length;
}

/* Ends a datagram, this frame included in the count. */
static enum net_reassembly drop_all(
	struct net_reassembler *r, uint32_t i, enum net_reassembly why, struct net_reassembled *out)
{
	out->frames = slot_drop(r, i) + 1;
	return why;
}

enum net_reassembly net_reassemble(struct net_reassembler *r, const uint8_t *data,
	const struct net_frame *frame, uint64_t now, struct net_reassembled *out)
{
	uint32_t bucket = (uint32_t)hash_fragment(&r->key, frame) & r->mask;
	uint32_t i = slot_find(r, bucket, frame);
	enum net_reassembly verdict;
	struct slot *s;

	*out = (struct net_reassembled){0};
	if (i != NONE && now - r->slot[i].began >= r->config.timeout_ns) {
		out->evicted += slot_drop(r, i);
		i = NONE;
	}
	if (i == NONE)
		i = slot_take(r, bucket, frame, now, &out->evicted);
	s = &r->slot[i];
	verdict = judge(r, s, data, frame);
	if (verdict == NET_REASSEMBLY_DUPLICATE) {
		out->frames = 1;
		return verdict;
	}
	if (verdict != NET_REASSEMBLY_HELD)
		return drop_all(r, i, verdict, out);
	if (!take_blocks(r, i, frame->frag_off, frame->l4_len, &out->evicted))
		return drop_all(r, i, NET_REASSEMBLY_FULL, out);
	store(r, s, data, frame);
	if (is_too_big(s)) {
		out->frames = slot_drop(r, i);
		return NET_REASSEMBLY_TOO_BIG;
	}
	if (s->header_len == 0 || s->length == NONE || s->units != (s->length + UNIT - 1) / UNIT)
		return NET_REASSEMBLY_HELD;
	assemble(r, s, out);
	out->frames = slot_drop(r, i);
	return NET_REASSEMBLY_WHOLE;
}

uint32_t net_reassembler_expire(struct net_reassembler *r, uint64_t now)
{
	uint32_t dropped = 0;

	for (unsigned n = 0; n < EXPIRE_MAX && r->oldest != NONE; n++) {
		if (now - r->slot[r->oldest].began < r->config.timeout_ns)
			break;
		dropped += slot_drop(r, r->oldest);
	}
	return dropped;
}
