/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * AES-CMAC (RFC 4493): the message authentication code of the tokens that we write into messages,
 * and the pseudo-random function that our branches come from. Where the CPU has AES instructions a
 * block of 16 bytes costs eleven of them; where it has none the same bits come from a slower
 * computation. Both take a time that does not depend on key or content: neither looks anything up
 * in memory by them.
 *
 *	struct mac_key key;
 *	mac_key_set(&key, &secret);
 *	struct hash128 v = mac_text(&key, call_id);
 *
 * Tables use hash.h, which is made for them. Any thread; no allocation.
 */
#include "base/hash.h"

#define MAC_BLOCK 16
#define MAC_ROUNDS 10

/* A key made ready for use: the eleven round keys of AES-128 and the two subkeys of RFC 4493 2.3.
 */
struct mac_key {
	_Alignas(MAC_BLOCK) uint8_t round[MAC_ROUNDS + 1][MAC_BLOCK];
	uint8_t subkey[2][MAC_BLOCK];
};

void mac_key_set(struct mac_key *key, const struct hash_key *secret);

/* The code's 16 bytes in the order of memory. What is made block by block: mac_chain.h. */
struct hash128 mac_bytes(const struct mac_key *key, const void *data, uint32_t len);

static inline struct hash128 mac_text(const struct mac_key *key, struct str s)
{
	return mac_bytes(key, s.s, s.len);
}

/*
 * The best of "aesni" and "portable" that the CPU has is picked before main(); a name forces one,
 * for tests and measurements. Returns 0, or -ENOTSUP where the CPU lacks it, -EINVAL for another
 * name. Not while another thread uses it.
 */
int mac_select(const char *name);
