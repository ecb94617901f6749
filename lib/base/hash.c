/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/hash.h"

#include <errno.h>
#include <sys/random.h>

/*
 * The state while it is mixed: a copy, which the compiler keeps in registers, since what is hashed
 * could be the hash itself as far as it knows.
 */
struct state {
	uint64_t v0, v1, v2, v3;
};

static inline struct state load(const struct hash *h)
{
	return (struct state){h->v0, h->v1, h->v2, h->v3};
}

static inline void store(struct hash *h, const struct state *s)
{
	h->v0 = s->v0;
	h->v1 = s->v1;
	h->v2 = s->v2;
	h->v3 = s->v3;
}

static inline uint64_t rotate(uint64_t x, int b)
{
	return (x << b) | (x >> (64 - b));
}

static inline void sip_round(struct state *s)
{
	s->v0 += s->v1;
	s->v1 = rotate(s->v1, 13) ^ s->v0;
	s->v0 = rotate(s->v0, 32);
	s->v2 += s->v3;
	s->v3 = rotate(s->v3, 16) ^ s->v2;
	s->v0 += s->v3;
	s->v3 = rotate(s->v3, 21) ^ s->v0;
	s->v2 += s->v1;
	s->v1 = rotate(s->v1, 17) ^ s->v2;
	s->v2 = rotate(s->v2, 32);
}

static inline void mix(struct state *s, uint64_t word)
{
	s->v3 ^= word;
	sip_round(s);
	sip_round(s);
	s->v0 ^= word;
}

static inline uint64_t load8(const uint8_t *p)
{
	uint64_t word;

	memcpy(&word, p, 8);
	return word;
}

/* Less than eight bytes, the first one lowest; no byte behind them is read. */
static inline uint64_t load_short(const uint8_t *p, uint32_t len)
{
	uint32_t low, high;

	if (len >= 4) {
		memcpy(&low, p, 4);
		memcpy(&high, p + len - 4, 4);
		return (uint64_t)high >> (8 * (8 - len)) << 32 | low;
	}
	if (len == 0)
		return 0;
	/* One, two or three: the middle and the last may be the first again. */
	return (uint64_t)p[0] | (uint64_t)p[len >> 1] << (8 * (len >> 1)) |
	       (uint64_t)p[len - 1] << (8 * (len - 1));
}

static inline struct state begin(const struct hash_key *key)
{
	return (struct state){0x736f6d6570736575ULL ^ key->k[0], 0x646f72616e646f6dULL ^ key->k[1],
		0x6c7967656e657261ULL ^ key->k[0], 0x7465646279746573ULL ^ key->k[1]};
}

static void start(struct hash *h, const struct hash_key *key)
{
	struct state s = begin(key);

	store(h, &s);
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
	struct state s;

	if (len == 0)
		return;
	h->length += len;
	s = load(h);
	if (have != 0) {
		uint32_t n = len < 8 - have ? len : 8 - have;

		h->tail |= load_short(p, n) << (8 * have);
		if (have + n < 8)
			return;
		mix(&s, h->tail);
		p += n;
		len -= n;
	}
	for (; len >= 8; len -= 8, p += 8)
		mix(&s, load8(p));
	h->tail = load_short(p, len);
	store(h, &s);
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

		str_lower(low, (struct str){s.s, n});
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

static inline uint64_t finish(struct state *s, uint64_t last, bool wide)
{
	mix(s, last);
	s->v2 ^= wide ? 0xee : 0xff;
	for (int i = 0; i < 4; i++)
		sip_round(s);
	return s->v0 ^ s->v1 ^ s->v2 ^ s->v3;
}

uint64_t hash_final(struct hash *h)
{
	struct state s = load(h);

	return finish(&s, h->tail | (uint64_t)h->length << 56, h->wide);
}

struct hash128 hash_final128(struct hash *h)
{
	struct state s = load(h);
	struct hash128 out;

	out.lo = finish(&s, h->tail | (uint64_t)h->length << 56, h->wide);
	s.v1 ^= 0xdd;
	for (int i = 0; i < 4; i++)
		sip_round(&s);
	out.hi = s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
	return out;
}

uint64_t hash_text(const struct hash_key *key, struct str text)
{
	const uint8_t *p = (const uint8_t *)text.s;
	uint32_t len = text.len;
	struct state s = begin(key);

	for (; len >= 8; len -= 8, p += 8)
		mix(&s, load8(p));
	return finish(&s, load_short(p, len) | (uint64_t)text.len << 56, false);
}

int hash_key_random(struct hash_key *key)
{
	ssize_t n = getrandom(key, sizeof(*key), 0);

	if (n == (ssize_t)sizeof(*key))
		return 0;
	return n < 0 ? -errno : -EIO;
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
