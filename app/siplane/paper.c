/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A stateless proxy must send the CANCEL and the ACK of a failure where the INVITE went (RFC
 * 3261 16.11). Whether a script does can't be read off its text, so an INVITE, its CANCEL and its
 * ACK run through it here, on paper, for several callers.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "siplane.h"

#define CALLS 16

struct outcome {
	bool forwarded;
	bool unknown; /* needs state, or a name that is not known yet: nothing can be said */
	struct net_endpoint to;
	char text[128];
};

static struct str write_message(char *out, size_t size, const char *method, unsigned call,
	const char *to_tag, const char *host)
{
	int n = snprintf(out, size,
		"%s sip:alice@%s SIP/2.0\r\n"
		"Via: SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bKpaper%u;rport\r\n"
		"From: <sip:bob@example.net>;tag=paper%u\r\n"
		"To: <sip:alice@%s>%s\r\n"
		"Call-ID: paper-%u-%u@198.51.100.7\r\n"
		"CSeq: 1 %s\r\n"
		"Contact: <sip:bob@198.51.100.7>\r\n"
		"Max-Forwards: 70\r\n"
		"Content-Length: 0\r\n\r\n",
		method, host, call, call, host, to_tag, call, call * 2654435761u, method);

	return str_of(out, (size_t)n);
}

static void judge(const struct app *app, struct route_ctx *ctx, enum route_verdict verdict,
	struct outcome *out)
{
	if (verdict == ROUTE_SLOW || verdict == ROUTE_WAIT) {
		out->unknown = true;
	} else if (verdict == ROUTE_FAILED) {
		snprintf(out->text, sizeof(out->text), "is refused: a limit of the script is met");
	} else if (ctx->result.forward) {
		char to[NET_ENDPOINT_TEXT_MAX];

		out->forwarded = true;
		out->to = ctx->result.target.ep;
		net_endpoint_format(&out->to, to);
		snprintf(out->text, sizeof(out->text), "goes to %s", to);
	} else if (ctx->result.reply) {
		snprintf(out->text, sizeof(out->text), "is answered %u", ctx->result.status);
	} else {
		snprintf(out->text, sizeof(out->text), "is dropped");
	}
}

static void play(const struct app *app, struct route_thread *thread, struct route_ctx *ctx,
	char *buf, struct str text, struct outcome *out)
{
	enum proxy_reason reason = PROXY_REASON_NONE;
	const struct proxy_listener *l = proxy_listener_at(app->proxy, 0);
	enum sip_error error;

	memset(out, 0, sizeof(*out));
	memset(&ctx->origin, 0, sizeof(ctx->origin));
	net_addr_parse(STR("198.51.100.7"), &ctx->origin.src.addr);
	ctx->origin.src.port = 5060;
	ctx->origin.dst = l->ep;
	ctx->origin.transport = SIP_TRANSPORT_UDP;
	error = sip_msg_index(&ctx->msg, buf, text.len);
	if (error == SIP_OK)
		error = sip_msg_check(&ctx->msg, buf);
	ctx->buf = buf;
	ctx->script = app->script;
	ctx->thread = thread;
	route_ctx_reset(ctx);
	switch (proxy_request_receive(app->proxy, ctx, error, &reason)) {
	case PROXY_GO:
		judge(app, ctx, route_run(ctx), out);
		break;
	case PROXY_REPLY:
		snprintf(out->text, sizeof(out->text), "is answered %u", ctx->result.status);
		break;
	case PROXY_DROP:
		snprintf(out->text, sizeof(out->text), "is dropped");
		break;
	}
}

static bool parts(const struct app *app, const struct outcome *invite, const struct outcome *other,
	const char *what)
{
	if (other->unknown || (other->forwarded && net_endpoint_equal(&invite->to, &other->to)))
		return false;
	fprintf(stderr,
		"%s: warning: an INVITE %s and %s %s; both must take the INVITE's way (RFC 3261 "
		"16.11)\n",
		app->options.config, invite->text, what, other->text);
	return true;
}

unsigned paper_check(struct app *app)
{
	struct route_thread thread;
	struct route_ctx *ctx = aligned_alloc(64, (sizeof(*ctx) + 63) & ~63UL);
	unsigned warnings = 0;
	bool cancel_said = false, ack_said = false;
	char buf[2048], host[NET_ENDPOINT_TEXT_MAX];
	char error[256];

	if (ctx == NULL || proxy_listener_count(app->proxy) == 0 ||
		route_thread_init(&thread, 0) != 0 ||
		proxy_secret_load(app->proxy, NULL, error, sizeof(error)) != 0) {
		free(ctx);
		return 0;
	}
	memset(ctx, 0, sizeof(*ctx));
	route_script_publish(app->script);
	net_endpoint_format(&proxy_listener_at(app->proxy, 0)->ep, host);
	for (unsigned call = 0; call < CALLS; call++) {
		struct outcome invite, cancel, ack;

		play(app, &thread, ctx, buf,
			write_message(buf, sizeof(buf), "INVITE", call, "", host), &invite);
		if (!invite.forwarded)
			continue;
		play(app, &thread, ctx, buf,
			write_message(buf, sizeof(buf), "CANCEL", call, "", host), &cancel);
		play(app, &thread, ctx, buf,
			write_message(buf, sizeof(buf), "ACK", call, ";tag=callee", host), &ack);
		if (!cancel_said && parts(app, &invite, &cancel, "its CANCEL")) {
			cancel_said = true;
			warnings++;
		}
		if (!ack_said && parts(app, &invite, &ack, "the ACK of its failure")) {
			ack_said = true;
			warnings++;
		}
	}
	route_thread_fini(&thread);
	free(ctx);
	return warnings;
}
