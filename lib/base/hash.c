/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/hash.h"

#include <errno.h>
#include <sys/random.h>

static inline uint64_t rotate(uint64_t x, int b)
{
	return (x << b) | (x >> (64 - b));
}

static inline void sip_round(struct hash *h)
{
	h->v0 += h->v1;
	h->v1 = rotate(h->v1, 13) ^ h->v0;
	h->v0 = rotate(h->v0, 32);
	h->v2 += h->v3;
	h->v3 = rotate(h->v3, 16) ^ h->v2;
	h->v0 += h->v3;
	h->v3 = rotate(h->v3, 21) ^ h->v0;
	h->v2 += h->v1;
	h->v1 = rotate(h->v1, 17) ^ h->v2;
	h->v2 = rotate(h->v2, 32);
}

static inline void mix(struct hash *h, uint64_t word)
{
	h->v3 ^= word;
	sip_round(h);
	sip_round(h);
	h->v0 ^= word;
}

static void start(struct hash *h, const struct hash_key *key)
{
	h->v0 = 0x736f6d6570736575ULL ^ key->k[0];
	h->v1 = 0x646f72616e646f6dULL ^ key->k[1];
	h->v2 = 0x6c7967656e657261ULL ^ key->k[0];
	h->v3 = 0x7465646279746573ULL ^ key->k[1];
	h->tail = 0;
	h->length = 0;
	h->wide = false;
}

void hash_init(struct hash *h, const struct hash_key *key)
{
	start(h, key);
}

void hash_init128(struct hash *h, const struct hash_key *key)
{
	start(h, key);
	h->v1 ^= 0xee;
	h->wide = true;
}

void hash_bytes(struct hash *h, const void *data, uint32_t len)
{
	const uint8_t *p = data;
	unsigned have = h->length & 7;

	h->length += len;
	if (have != 0) {
		while (have < 8 && len > 0) {
			h->tail |= (uint64_t)*p++ << (8 * have++);
			len--;
		}
		if (have < 8)
			return;
		mix(h, h->tail);
		h->tail = 0;
	}
	for (; len >= 8; len -= 8, p += 8) {
		uint64_t word;

		memcpy(&word, p, 8);
		mix(h, word);
	}
	for (unsigned i = 0; i < len; i++)
		h->tail |= (uint64_t)p[i] << (8 * i);
}

void hash_str(struct hash *h, struct str s)
{
	hash_u32(h, s.len);
	hash_bytes(h, s.s, s.len);
}

void hash_str_lower(struct hash *h, struct str s)
{
	char low[64];

	hash_u32(h, s.len);
	while (s.len > 0) {
		uint32_t n = s.len < sizeof(low) ? s.len : (uint32_t)sizeof(low);

		for (uint32_t i = 0; i < n; i++)
			low[i] = str_lower_char(s.s[i]);
		hash_bytes(h, low, n);
		s.s += n;
		s.len -= n;
	}
}

void hash_u64(struct hash *h, uint64_t v)
{
	hash_bytes(h, &v, sizeof(v));
}

void hash_u32(struct hash *h, uint32_t v)
{
	hash_bytes(h, &v, sizeof(v));
}

static inline uint64_t finish(struct hash *h)
{
	mix(h, h->tail | (uint64_t)h->length << 56);
	h->v2 ^= h->wide ? 0xee : 0xff;
	for (int i = 0; i < 4; i++)
		sip_round(h);
	return h->v0 ^ h->v1 ^ h->v2 ^ h->v3;
}

uint64_t hash_final(struct hash *h)
{
	return finish(h);
}

struct hash128 hash_final128(struct hash *h)
{
	struct hash128 out;

	out.lo = finish(h);
	h->v1 ^= 0xdd;
	for (int i = 0; i < 4; i++)
		sip_round(h);
	out.hi = h->v0 ^ h->v1 ^ h->v2 ^ h->v3;
	return out;
}

uint64_t hash_text(const struct hash_key *key, struct str s)
{
	struct hash h;

	hash_init(&h, key);
	hash_bytes(&h, s.s, s.len);
	return hash_final(&h);
}

int hash_key_random(struct hash_key *key)
{
	ssize_t n = getrandom(key, sizeof(*key), 0);

	if (n == (ssize_t)sizeof(*key))
		return 0;
	return n < 0 ? -errno : -EIO;
}

static const char base32_alphabet[32] = "abcdefghijklmnopqrstuvwxyz234567";

void hash_base32(char *out, uint64_t v, unsigned bits)
{
	for (unsigned i = 0; i < bits / 5; i++)
		out[i] = base32_alphabet[(v >> (59 - 5 * i)) & 31];
}

bool hash_unbase32(struct str in, uint64_t *v)
{
	uint64_t out = 0;

	if (in.len > 12)
		return false;
	for (uint32_t i = 0; i < in.len; i++) {
		char c = str_lower_char(in.s[i]);
		uint64_t digit;

		if (c >= 'a' && c <= 'z')
			digit = (uint64_t)(c - 'a');
		else if (c >= '2' && c <= '7')
			digit = (uint64_t)(c - '2') + 26;
		else
			return false;
		out |= digit << (59 - 5 * i);
	}
	*v = out;
	return true;
}

bool hash_equal_constant_time(const void *a, const void *b, uint32_t len)
{
	const uint8_t *x = a, *y = b;
	uint8_t diff = 0;

	for (uint32_t i = 0; i < len; i++)
		diff |= (uint8_t)(x[i] ^ y[i]);
	return diff == 0;
}
