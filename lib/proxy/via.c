/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The client's Via: what we write into it (RFC 3261 18.2.1, RFC 3581 4), and where a message goes
 * by it (18.2.2).
 */
#include "proxy/internal.h"

static void change(struct via_stamp *out, uint32_t off, uint32_t del, bool received, bool rport)
{
	unsigned n = out->changes++;

	out->change[n].off = off;
	out->change[n].del = del;
	out->change[n].received = received;
	out->change[n].rport = rport;
}

/* Whether the sent-by says the source's address already. */
static bool host_is_source(const struct route_ctx *ctx, const struct sip_via *via)
{
	const struct net_addr *source = &ctx->origin.src.addr;
	struct net_addr literal;

	if (via->host_is_ip4)
		return source->family == 4 && source->v4 == via->ip4;
	return via->host_is_ip6 && net_addr_parse(sip_text(ctx->buf, via->host), &literal) == 0 &&
	       net_addr_equal(&literal, source);
}

void proxy_via_stamp(const struct route_ctx *ctx, const struct sip_via *via, bool force_rport,
	struct via_stamp *out)
{
	const struct net_endpoint *src = &ctx->origin.src;
	bool has_received = sip_present(via->received_param), received, rport;

	out->changes = 0;
	out->rport = via->has_rport || force_rport ? src->port : 0;
	/* RFC 3581 4: with rport, `received` is written even where it equals the host. A client's
	 * own one never stays. */
	received = has_received || out->rport != 0 || !host_is_source(ctx, via);
	out->received_len = received ? (uint8_t)net_addr_format(&src->addr, out->received) : 0;
	/* At most two changes in all: a parameter is either inserted here or replaced below. */
	received = received && !has_received;
	rport = out->rport != 0 && !via->has_rport;
	if (received || rport)
		change(out, via->sent_by.off + via->sent_by.len, 0, received, rport);
	if (has_received && via->has_rport && via->rport_param.off < via->received_param.off) {
		change(out, via->rport_param.off, via->rport_param.len, false, true);
		change(out, via->received_param.off, via->received_param.len, true, false);
		return;
	}
	if (has_received)
		change(out, via->received_param.off, via->received_param.len, true, false);
	if (via->has_rport)
		change(out, via->rport_param.off, via->rport_param.len, false, true);
}

char *proxy_via_change_put(char *at, const struct via_stamp *stamp, unsigned change)
{
	if (stamp->change[change].received) {
		at = put_lit(at, ";received=");
		at = put_padded(at, stamp->received, stamp->received_len);
	}
	if (stamp->change[change].rport) {
		at = put_lit(at, ";rport=");
		at = put_number(at, stamp->rport);
	}
	return at;
}

void proxy_via_reply_target(const struct route_ctx *ctx, const struct sip_via *via,
	bool force_rport, struct net_endpoint *out)
{
	uint16_t sent_by_port = via->port != 0 ? via->port : SIP_DEFAULT_PORT;

	memset(out, 0, sizeof(*out));
	if (sip_present(via->maddr) &&
		net_addr_parse(sip_text(ctx->buf, via->maddr), &out->addr) == 0) {
		out->port = sent_by_port;
		return;
	}
	*out = ctx->origin.src;
	if (!via->has_rport && !force_rport)
		out->port = sent_by_port;
}
