/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * The reassembler's inside: slot.c keeps the datagrams under way, reassemble.c says what a fragment
 * means to them.
 */
#include "net/wire.h"

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

/* slot.c. Slots by number; NONE is none. */

uint64_t slot_hash(const struct hash_key *key, const struct net_frame *f);
uint32_t slot_find(const struct net_reassembler *r, uint32_t bucket, const struct net_frame *f);
/* Takes a slot for a new datagram, at the cost of an older one where a bound is met. */
uint32_t slot_take(struct net_reassembler *r, uint32_t bucket, const struct net_frame *f,
	uint64_t now, uint32_t *evicted);
/* Lets go of a slot with all its blocks; returns the frames that it held. */
uint32_t slot_drop(struct net_reassembler *r, uint32_t i);
/* Blocks for [off, off + len) of a slot, at the cost of the oldest other datagrams. */
bool slot_take_blocks(
	struct net_reassembler *r, uint32_t i, uint32_t off, uint32_t len, uint32_t *evicted);
