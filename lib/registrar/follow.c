/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which contact a transaction goes to, where who comes first has changed (RFC 3261 16.11: what a
 * stateless proxy forwards of one transaction goes one way).
 *
 * For LOCATION_WINDOW seconds after a change the location says that an address-of-record is
 * changing, and who came first before. Then
 *
 *   a pin		decides, whatever the method: it names a contact, or one that was
 *   a note		of this thread does likewise: for what there was no pin for
 *   CANCEL, ACK	without either go to who came first before: an INVITE since has one
 *   an INVITE		that this thread saw before the change is a retransmission: it goes to who
 *			came first before, and is pinned there
 *   all others		go to who comes first now, and are pinned there
 *
 * What an INVITE came by before a change is known for as many INVITEs as SEEN has room for, the
 * last ones of each thread: a retransmission comes within seconds, and by the same queue. One that
 * is older, or comes by another way, is taken for new. Notes stand among them.
 *
 * Pins are shared by all, and strangers make them: who registers one contact after the other and
 * calls himself makes as many as he can send INVITEs. So half of the room is there for everybody,
 * and each address-of-record and each source has a part of the rest (base/pin.h). What gets no pin
 * goes on with a note, which may be lost: then its CANCEL goes to who came first before. To refuse
 * it would lose the call for certain, also where t_relay() comes next, which remembers on its own.
 *
 * A pin has 13 bits for its contact. They are a digest of what routes by it, so that no contact has
 * to keep a number; two of one address-of-record share theirs once in 8,191.
 */
#include <emmintrin.h>
#include <sys/mman.h>

#include "registrar/internal.h"

#define SEEN_BITS \
	15 /* of four INVITEs each, of one thread: half a megabyte, once they have come \
	    */
#define SEEN_SECONDS ((uint32_t)(PIN_RETRANSMIT_NS / CLOCK_NS_PER_S))
#define SEEN_SECONDS_MASK 0xffu /* of an entry; the other bits are the key's */
#define NOTED_SECONDS ((uint32_t)((PIN_INVITE_NS + PIN_SLACK_NS) / CLOCK_NS_PER_S))
#define NOTE_SHIFT 12 /* of a contact's name, to where an entry has bits of the key */

_Static_assert(NOTED_SECONDS < SEEN_SECONDS_MASK, "an entry's second is the rest of 256");
_Static_assert(NOTE_SHIFT + PIN_ID_BITS <= 32, "an entry has 32 bits of the key");

struct registrar_seen {
	/* One writer and reader each; the others are pages that nobody touches. The newest of four
	 * is the lowest. */
	__m128i at[RCU_READERS_MAX][1u << SEEN_BITS];
};

struct registrar_seen *registrar_seen_create(void)
{
	void *p = mmap(NULL, sizeof(struct registrar_seen), PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	/* A wish: a place is drawn by lot, and each page would miss the TLB. */
	(void)madvise(p, sizeof(struct registrar_seen), MADV_HUGEPAGE);
	return p;
}

void registrar_seen_destroy(struct registrar_seen *seen)
{
	if (seen != NULL)
		munmap(seen, sizeof(*seen));
}

/* The transaction, and the address-of-record: a request may be looked up by several. */
static inline struct hash128 key_of(
	const struct registrar *r, struct route_ctx *ctx, struct hash128 digest)
{
	struct hash128 key = proxy_transaction_key(r->config.proxy, ctx);

	return (struct hash128){key.lo ^ digest.lo, key.hi ^ digest.hi};
}

/* ---- what came before ---- */

static inline __m128i *seen_at(
	const struct registrar *r, const struct route_ctx *ctx, struct hash128 key)
{
	return &r->seen->at[ctx->thread->index][key.lo >> (64 - SEEN_BITS)];
}

/* What an entry is, but for its second; never 0. */
static inline uint32_t seen_tag(struct hash128 key)
{
	return ((uint32_t)key.hi | (SEEN_SECONDS_MASK + 1)) & ~SEEN_SECONDS_MASK;
}

static void note(const struct registrar *r, const struct route_ctx *ctx, struct hash128 key)
{
	uint32_t entry = seen_tag(key) | (registrar_now(ctx) & SEEN_SECONDS_MASK);
	__m128i *four = seen_at(r, ctx, key);

	/* The oldest of the four goes. */
	*four = _mm_or_si128(_mm_slli_si128(*four, 4), _mm_cvtsi32_si128((int)entry));
}

/* The transaction key costs little here: forward() and t_relay() find it computed. */
void registrar_note(struct registrar *r, struct route_ctx *ctx, struct hash128 digest)
{
	note(r, ctx, key_of(r, ctx, digest));
}

void registrar_note_bring(
	const struct registrar *r, struct route_ctx *ctx, const struct hash128 *digest)
{
	__builtin_prefetch(seen_at(r, ctx, key_of(r, ctx, *digest)), 1);
}

static bool is_seen(const struct registrar *r, const struct route_ctx *ctx, struct hash128 key,
	uint32_t seconds)
{
	uint32_t entry[4], tag = seen_tag(key);
	bool seen = false;

	memcpy(entry, seen_at(r, ctx, key), sizeof(entry));
	for (unsigned i = 0; i < 4; i++)
		seen |= (entry[i] & ~SEEN_SECONDS_MASK) == tag &&
			((registrar_now(ctx) - entry[i]) & SEEN_SECONDS_MASK) <= seconds;
	return seen;
}

/* ---- pins ---- */

/* The name that a pin has for a contact, never 0. */
static uint16_t name_of(const struct location_contact *c)
{
	struct str address =
		str_of((const char *)c->received.addr.b, c->received.addr.family == 6   ? 16
							 : c->received.addr.family == 4 ? 4
											: 0);
	uint64_t h =
		registrar_mix((uint64_t)c->received.port << 16 | (uint16_t)c->listener, c->uri);

	h = registrar_mix(h ^ (uint64_t)c->flags << 32 ^ c->reg_id, c->path);
	h = registrar_mix(registrar_mix(h, c->instance), address);
	return (uint16_t)(1 + (h >> 32) % (PIN_IDS - 1));
}

static int find(const struct location_set *set, uint16_t name)
{
	for (unsigned i = 0; i < set->count + set->former; i++) {
		if (name_of(&set->contact[i]) == name)
			return (int)i;
	}
	return -1;
}

/* Who it is pinned to; one that nobody knows any more is forgotten. */
static int find_pinned(struct registrar *r, const struct route_ctx *ctx, struct hash128 key,
	const struct location_set *set)
{
	uint16_t name = pin_find(r->pins, key, ctx->thread->now_ns);
	int at = name != 0 ? find(set, name) : -1;

	if (name != 0 && at < 0)
		pin_drop(r->pins, key, name);
	return at;
}

/* ---- notes, where there is no pin ---- */

/* A transaction and its contact, in the place of the transaction. */
static struct hash128 noted_key(struct hash128 key, uint16_t name)
{
	key.hi ^= (uint64_t)name << NOTE_SHIFT;
	return key;
}

static void note_unpinned(
	struct registrar *r, const struct route_ctx *ctx, struct hash128 key, uint16_t name)
{
	r->thread[ctx->thread->index].unpinned_until =
		ctx->thread->now_ns + PIN_INVITE_NS + PIN_SLACK_NS;
	note(r, ctx, noted_key(key, name));
}

static int find_noted(const struct registrar *r, const struct route_ctx *ctx, struct hash128 key,
	const struct location_set *set)
{
	if (ctx->thread->now_ns >= r->thread[ctx->thread->index].unpinned_until)
		return -1;
	for (unsigned i = 0; i < set->count + set->former; i++) {
		if (is_seen(r, ctx, noted_key(key, name_of(&set->contact[i])), NOTED_SECONDS))
			return (int)i;
	}
	return -1;
}

/* ---- what has neither ---- */

/* Where it came from, keyed; of IPv6 the network, whose addresses are one customer's. */
static uint64_t source_of(const struct registrar *r, const struct route_ctx *ctx)
{
	const struct net_addr *a = &ctx->origin.src.addr;

	return location_digest(
		r->config.location, 0, str_of((const char *)a->b, a->family == 6 ? 8 : 4))
		.hi;
}

/* Pins it to a contact, unless another thread has been faster. */
static int bind(struct registrar *r, const struct route_ctx *ctx, struct hash128 key,
	struct hash128 digest, const struct location_set *set, int to)
{
	const struct pin_payer payer[] = {{digest.hi, REGISTRAR_PINS_AOR_PART},
		{source_of(r, ctx), REGISTRAR_PINS_SOURCE_PART}};
	uint64_t life = ctx->msg.method == SIP_METHOD_INVITE ? PIN_INVITE_NS : PIN_RETRANSMIT_NS;
	uint16_t name = name_of(&set->contact[to]), bound;
	bool over;

	bound = pin_put_for(r->pins, key, name, ctx->thread->now_ns, life, payer,
		sizeof(payer) / sizeof(payer[0]), &over);
	if (bound == 0) {
		registrar_count(r, ctx,
			over ? REGISTRAR_COUNTER_LOOKUP_PIN_SHARE
			     : REGISTRAR_COUNTER_LOOKUP_PIN_FULL);
		note_unpinned(r, ctx, key, name);
		return to;
	}
	registrar_count(r, ctx, REGISTRAR_COUNTER_LOOKUP_PINNED);
	return bound == name ? to : find(set, bound);
}

int registrar_follow(struct registrar *r, struct route_ctx *ctx, struct hash128 digest,
	const struct location_set *set, int usual)
{
	struct hash128 key = key_of(r, ctx, digest);
	uint8_t method = ctx->msg.method;
	int at = find_pinned(r, ctx, key, set);

	if (at < 0)
		at = find_noted(r, ctx, key, set);
	if (at < 0 && set->before >= 0 && (method == SIP_METHOD_CANCEL || method == SIP_METHOD_ACK))
		at = set->before;
	if (at >= 0) {
		registrar_count(r, ctx, REGISTRAR_COUNTER_LOOKUP_FOLLOWED);
		return at;
	}
	if (method == SIP_METHOD_CANCEL || method == SIP_METHOD_ACK)
		return REGISTRAR_LEAD_USUAL;
	if (method == SIP_METHOD_INVITE && set->before >= 0 && is_seen(r, ctx, key, SEEN_SECONDS))
		usual = set->before;
	return usual >= 0 ? bind(r, ctx, key, digest, set, usual) : REGISTRAR_LEAD_USUAL;
}
