/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The client's Via: what we write into it (RFC 3261 18.2.1, RFC 3581 4), and where a message goes
 * by it (18.2.2).
 */
#include "proxy/internal.h"

static void change(struct via_stamp *out, uint32_t off, uint32_t del, const struct text *t)
{
	out->change[out->changes].off = off;
	out->change[out->changes].del = del;
	out->change[out->changes].len = (uint8_t)t->len;
	out->changes++;
}

/* The text of the next change is written in its place. */
static struct text next_text(struct via_stamp *out)
{
	return (struct text){out->change[out->changes].text, 0, sizeof(out->change[0].text), false};
}

static void put_received(struct text *t, const struct via_stamp *out)
{
	text_lit(t, ";received=");
	text_put(t, (struct str){out->received, out->received_len});
}

static void put_rport(struct text *t, const struct via_stamp *out)
{
	text_lit(t, ";rport=");
	text_number(t, out->rport);
}

void proxy_via_stamp(const struct route_ctx *ctx, const struct sip_via *via, bool force_rport,
	struct via_stamp *out)
{
	const struct net_endpoint *src = &ctx->origin.src;
	bool has_received = sip_present(via->received_param);
	uint32_t after_sent_by = via->sent_by.off + via->sent_by.len;
	unsigned len = net_addr_format(&src->addr, out->received);
	struct str host = sip_text(ctx->buf, via->host);
	struct net_addr literal;
	struct text t;

	out->changes = 0;
	out->received_len = 0;
	out->rport = via->has_rport || force_rport ? src->port : 0;
	/* RFC 3581 4: with rport, `received` is written even where it equals the host. A client's
	 * own one never stays. */
	if (has_received || out->rport != 0 ||
		!(str_eq(host, (struct str){out->received, len}) ||
			(via->host_is_ip6 && net_addr_parse(host, &literal) == 0 &&
				net_addr_equal(&literal, &src->addr))))
		out->received_len = (uint8_t)len;
	t = next_text(out);
	if (out->received_len != 0 && !has_received)
		put_received(&t, out);
	if (out->rport != 0 && !via->has_rport)
		put_rport(&t, out);
	if (t.len != 0)
		change(out, after_sent_by, 0, &t);
	/* At most two changes in all: a parameter is either inserted above or replaced below. */
	if (has_received) {
		t = next_text(out);
		put_received(&t, out);
		change(out, via->received_param.off, via->received_param.len, &t);
	}
	if (via->has_rport) {
		t = next_text(out);
		put_rport(&t, out);
		change(out, via->rport_param.off, via->rport_param.len, &t);
	}
	if (out->changes == 2 && out->change[1].off < out->change[0].off) {
		struct via_stamp swap = *out;

		out->change[0] = swap.change[1];
		out->change[1] = swap.change[0];
	}
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
