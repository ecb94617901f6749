/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The branches of a stateful request: what leaves is marked with, by which its response finds back
 * (RFC 3261 16.6 step 8, 17.1.3), and by which it is known as a loop (RFC 5393).
 */
#include "proxy/internal.h"

void proxy_branch_set(struct route_ctx *ctx, uint16_t owner, uint16_t branch)
{
	struct proxy_state *state = proxy_state(ctx);

	assert(owner < PROXY_OWNERS_MAX && branch < PROXY_BRANCHES_MAX);
	state->owner = owner;
	state->branch = branch;
	state->flags |= STATE_OWNER;
}

void proxy_max_breadth_set(struct route_ctx *ctx, uint16_t max_breadth)
{
	proxy_state(ctx)->max_breadth = max_breadth;
}

bool proxy_response_branch(const struct route_ctx *ctx, struct proxy_branch *out)
{
	const struct proxy_state *state =
		(const struct proxy_state *)ctx->scratch[ROUTE_SCRATCH_PROXY];

	if ((state->flags & STATE_OWNER) == 0)
		return false;
	out->key = state->branch_key;
	out->owner = state->owner;
	out->branch = state->branch;
	out->ours = (state->flags & STATE_OURS) != 0;
	return true;
}

/* ---- loops ---- */

/*
 * What RFC 5393 4.2.1 calls the second part: it varies with the Request-URI as received and the
 * Routes, which are what a message says of its way, and with Call-ID, CSeq and From tag, so that no
 * two calls share an unlucky one; not with the method. The node is part of it: another node of the
 * group that forks what we have forked is no loop.
 */
static uint64_t loop_digest(struct proxy *p, struct route_ctx *ctx)
{
	struct hash128 call_id = proxy_call_id_digest(p, ctx), parts[3];
	const struct mac_key *key = &proxy_keys(p)->loop;
	const struct sip_address *from = sip_msg_from(&ctx->msg, ctx->buf);
	uint64_t head[6] = {call_id.lo, call_id.hi,
		sip_msg_cseq(&ctx->msg, ctx->buf) ? ctx->msg.cseq_number : 0,
		proxy_sockets(p)->node};

	memset(parts, 0, sizeof(parts));
	if (from != NULL)
		parts[0] = mac_text(key, sip_text(ctx->buf, from->tag));
	parts[1] = mac_text(key, sip_text(ctx->buf, ctx->msg.uri_text));
	SIP_MSG_FOREACH (&ctx->msg, SIP_HEADER_ROUTE, h) {
		struct hash128 line = mac_text(key, sip_text(ctx->buf, sip_header_value(h))),
			       both[2] = {parts[2], line};

		parts[2] = mac_bytes(key, both, sizeof(both));
	}
	call_id = mac_bytes(key, parts, sizeof(parts));
	head[4] = call_id.lo;
	head[5] = call_id.hi;
	return mac_bytes(key, head, sizeof(head)).lo & ~(uint64_t)0 << (64 - 5 * TOKEN_LOOP_LEN);
}

/* Whether a Via value carries this digest. What others write may be anything: what can't be read is
 * not ours. */
static bool has_digest(const char *buf, struct sip_span value, uint64_t digest)
{
	struct sip_via via;
	uint64_t loop;

	return sip_via_parse(buf, value, &via) == 0 && sip_present(via.token) &&
	       proxy_via_token_loop(sip_text(buf, via.token), &loop) && loop == digest;
}

bool proxy_is_loop(struct proxy *p, struct route_ctx *ctx)
{
	struct proxy_state *state = proxy_state(ctx);
	unsigned n = 0;

	if ((state->flags & STATE_LOOP) == 0) {
		state->loop = loop_digest(p, ctx);
		state->flags |= STATE_LOOP;
	}
	SIP_MSG_FOREACH (&ctx->msg, SIP_HEADER_VIA, h) {
		struct sip_span value;
		uint32_t at = 0;

		while (sip_list_next(ctx->buf, sip_header_value(h), &at, &value)) {
			if (has_digest(ctx->buf, value, state->loop))
				return true;
			if (++n >= SIP_VALUES_MAX)
				return false;
		}
	}
	return false;
}
