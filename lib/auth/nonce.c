/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Nonces, which say themselves what is to be known of them:
 *
 *	key id (1), numbers (24), MAC (16), and where it is bound to its request, a MAC of that (8)
 *
 * numbers, of 60 bits each: time of day in seconds (32), what was offered (12), node (16); process
 * (14), thread (8), serial (38). All in lower-case base32. The MAC binds key, numbers and realm.
 */
#include "auth/internal.h"

#define TIME_SHIFT 32
#define OFFER_SHIFT 20
#define NODE_SHIFT 4
#define INSTANCE_SHIFT 50
#define THREAD_SHIFT 42
#define SERIAL_SHIFT 4
#define SERIAL_MASK ((1ull << AUTH_SERIAL_BITS) - 1)
#define INSTANCE_MASK 0x3fffu
#define THREAD_MASK 0xffu
#define OFFER_MASK 0xfffu
#define OFFER_SESSIONS 4 /* where in the offer's bits */
#define OFFER_QOP 8
#define SECRET_ID '0' /* of the key that modparam secret gave: no base32 character */

static uint64_t offer_bits(const struct auth_offer *o)
{
	return (uint64_t)(o->algorithms | o->sessions << OFFER_SESSIONS |
			  (unsigned)o->qop << OFFER_QOP);
}

static struct auth_offer offer_of(uint64_t bits)
{
	return (struct auth_offer){.algorithms = bits & 15,
		.sessions = bits >> OFFER_SESSIONS & 15,
		.qop = (enum auth_qop)(bits >> OFFER_QOP & 3)};
}

static bool code(const struct auth *a, const struct auth_settings *s, char id, struct str data,
	struct hash128 *out)
{
	if (id != SECRET_ID)
		return proxy_code(a->config.proxy, id, data, out);
	if (!s->has_secret)
		return false;
	*out = mac_text(&s->secret, data);
	return true;
}

/* The MAC of key id, numbers and realm. */
static bool nonce_mac(const struct auth *a, const struct auth_settings *s, const char *text,
	struct str realm, struct hash128 *out)
{
	char data[1 + AUTH_NONCE_NUMBERS + AUTH_REALM_MAX];

	if (realm.len > AUTH_REALM_MAX)
		return false;
	memcpy(data, text, 1 + AUTH_NONCE_NUMBERS);
	str_copy(data + 1 + AUTH_NONCE_NUMBERS, realm);
	return code(a, s, text[0], str_of(data, 1 + AUTH_NONCE_NUMBERS + realm.len), out);
}

/* The MAC of what a nonce is bound to beside that. */
static bool checks_mac(const struct auth *a, const struct auth_settings *s, struct route_ctx *ctx,
	char id, struct hash128 mac, unsigned checks, struct hash128 *out)
{
	struct {
		struct hash128 mac, call_id, tag, uri;
		uint64_t source[2];
		uint64_t checks;
	} bound = {.mac = mac, .checks = checks};

	if ((checks & AUTH_CHECK_CALL_ID) != 0)
		bound.call_id = proxy_call_id_digest(a->config.proxy, ctx);
	if ((checks & AUTH_CHECK_FROM_TAG) != 0) {
		const struct sip_address *from = sip_msg_from(&ctx->msg, ctx->buf);

		if (from == NULL || !code(a, s, id, sip_text(ctx->buf, from->tag), &bound.tag))
			return false;
	}
	if ((checks & AUTH_CHECK_URI) != 0 &&
		!code(a, s, id, sip_text(ctx->buf, ctx->msg.uri_text), &bound.uri))
		return false;
	if ((checks & AUTH_CHECK_SOURCE) != 0) {
		bound.source[0] = ctx->origin.src.addr.q[0];
		bound.source[1] = ctx->origin.src.addr.q[1];
	}
	return code(a, s, id, str_of((const char *)&bound, sizeof(bound)), out);
}

unsigned auth_checks(const struct auth_settings *s, struct route_ctx *ctx)
{
	/* What is counted against a source has to come from there. */
	unsigned always = s->p.wrong_limit != 0 ? AUTH_CHECK_SOURCE : 0;
	const struct sip_address *to;

	if (ctx->msg.method == SIP_METHOD_REGISTER)
		return (unsigned)s->p.checks_register | always;
	to = sip_msg_to(&ctx->msg, ctx->buf);
	return (unsigned)(to != NULL && to->tag.len != 0 ? s->p.checks_in_dialog
							 : s->p.checks_no_dialog) |
	       always;
}

uint32_t auth_nonce_write(struct auth *a, const struct auth_settings *s, struct route_ctx *ctx,
	struct str realm, const struct auth_offer *offer, unsigned checks, char out[AUTH_NONCE_MAX])
{
	struct auth_thread *thread = auth_thread(a, ctx);
	uint64_t node = proxy_node(a->config.proxy);
	struct hash128 mac, bound;

	if (thread == NULL)
		return 0;
	out[0] = s->has_secret ? SECRET_ID : proxy_code_id(a->config.proxy);
	hash_base32(out + 1,
		(uint64_t)auth_now_s(a, ctx) << TIME_SHIFT | offer_bits(offer) << OFFER_SHIFT |
			node << NODE_SHIFT,
		60);
	hash_base32(out + 13,
		(uint64_t)a->instance << INSTANCE_SHIFT |
			(uint64_t)ctx->thread->index << THREAD_SHIFT |
			(thread->serial++ & SERIAL_MASK) << SERIAL_SHIFT,
		60);
	if (!nonce_mac(a, s, out, realm, &mac))
		return 0;
	hash_base32_of_80(out + 1 + AUTH_NONCE_NUMBERS, mac);
	if (checks == 0)
		return AUTH_NONCE_LEN;
	if (!checks_mac(a, s, ctx, out[0], mac, checks, &bound))
		return 0;
	hash_base32(out + AUTH_NONCE_LEN, bound.lo, 5 * AUTH_NONCE_CHECKS);
	return AUTH_NONCE_MAX;
}

/* In a time that does not depend on where they differ. */
static bool same_text(const char *a, const char *b, unsigned len)
{
	uint8_t differs = 0;

	for (unsigned i = 0; i < len; i++)
		differs |= (uint8_t)(a[i] ^ b[i]);
	return differs == 0;
}

static bool bound_to(struct auth *a, const struct auth_settings *s, struct route_ctx *ctx,
	struct str text, struct hash128 mac, unsigned checks)
{
	char want[AUTH_NONCE_CHECKS];
	struct hash128 bound;

	if (text.len != AUTH_NONCE_MAX || !checks_mac(a, s, ctx, text.s[0], mac, checks, &bound))
		return false;
	hash_base32(want, bound.lo, 5 * AUTH_NONCE_CHECKS);
	return same_text(want, text.s + AUTH_NONCE_LEN, AUTH_NONCE_CHECKS);
}

enum auth_nonce_verdict auth_nonce_read(struct auth *a, const struct auth_settings *s,
	struct route_ctx *ctx, struct str realm, struct str text, unsigned checks,
	struct auth_nonce *out)
{
	uint64_t first, second;
	char want[AUTH_NONCE_MAC];
	struct hash128 mac;

	if ((text.len != AUTH_NONCE_LEN && text.len != AUTH_NONCE_MAX) ||
		!hash_unbase32_60(text.s + 1, &first) || !hash_unbase32_60(text.s + 13, &second) ||
		!nonce_mac(a, s, text.s, realm, &mac))
		return AUTH_NONCE_FORGED;
	hash_base32_of_80(want, mac);
	if (!same_text(want, text.s + 1 + AUTH_NONCE_NUMBERS, AUTH_NONCE_MAC))
		return AUTH_NONCE_FORGED;
	out->offer = offer_of(first >> OFFER_SHIFT & OFFER_MASK);
	out->thread = (unsigned)(second >> THREAD_SHIFT & THREAD_MASK);
	out->serial = second >> SERIAL_SHIFT & SERIAL_MASK;
	out->own = (first >> NODE_SHIFT & 0xffff) == proxy_node(a->config.proxy) &&
		   (second >> INSTANCE_SHIFT & INSTANCE_MASK) == a->instance &&
		   (uint32_t)(first >> TIME_SHIFT) >=
			   atomic_load_explicit(&a->started_s, memory_order_relaxed);
	/* Seconds of 32 bits go round in 2106. */
	out->age_s = (int32_t)(auth_now_s(a, ctx) - (uint32_t)(first >> TIME_SHIFT));
	if (out->age_s < -s->p.max_drift || out->age_s > s->p.nonce_expire ||
		(checks != 0 && !bound_to(a, s, ctx, text, mac, checks)))
		return AUTH_NONCE_STALE;
	return AUTH_NONCE_GOOD;
}
