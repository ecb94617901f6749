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
#define CALLERS_MAX 34 /* a stranger, one of each address group, a destination */

/* Who calls. Scripts let some in and others not. */
struct callers {
	unsigned n;
	struct net_endpoint at[CALLERS_MAX];
};

struct outcome {
	bool forwarded;
	bool unknown; /* needs state, or a name that is not known yet: nothing can be said */
	struct net_endpoint to;
	char text[128];
};

struct paper {
	struct app *app;
	struct route_thread thread;
	struct route_ctx *ctx;
	const struct proxy_listener *listener;
	char host[NET_ENDPOINT_TEXT_MAX];
	const struct net_endpoint *caller;
	char buf[2048];
};

static struct str write_message(
	struct paper *p, const char *method, unsigned call, const char *to_tag)
{
	char source[NET_ENDPOINT_TEXT_MAX];
	int n;

	net_endpoint_format(p->caller, source);
	n = snprintf(p->buf, sizeof(p->buf),
		"%s sip:alice@%s SIP/2.0\r\n"
		"Via: SIP/2.0/UDP %s;branch=z9hG4bKpaper%u;rport\r\n"
		"From: <sip:bob@example.net>;tag=paper%u\r\n"
		"To: <sip:alice@%s>%s\r\n"
		"Call-ID: paper-%u-%u@example.net\r\n"
		"CSeq: 1 %s\r\n"
		"Contact: <sip:bob@%s>\r\n"
		"Max-Forwards: 70\r\n"
		"Content-Length: 0\r\n\r\n",
		method, p->host, source, call, call, p->host, to_tag, call, call * 2654435761u,
		method, source);
	return str_of(p->buf, (size_t)n);
}

static void judge(struct route_ctx *ctx, enum route_verdict verdict, struct outcome *out)
{
	if (verdict == ROUTE_SLOW || verdict == ROUTE_WAIT) {
		out->unknown = true;
		snprintf(out->text, sizeof(out->text), "%s",
			verdict == ROUTE_SLOW              ? "needs state"
			: ctx->wait_for == ROUTE_WAIT_NAME ? "waits for a name"
							   : "asks a database");
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

static void play(
	struct paper *p, const char *method, unsigned call, const char *to_tag, struct outcome *out)
{
	enum proxy_reason reason = PROXY_REASON_NONE;
	struct str text = write_message(p, method, call, to_tag);
	struct route_ctx *ctx = p->ctx;
	enum sip_error error;

	memset(out, 0, sizeof(*out));
	memset(&ctx->origin, 0, sizeof(ctx->origin));
	ctx->origin.src = *p->caller;
	ctx->origin.dst = p->listener->ep;
	ctx->origin.transport = SIP_TRANSPORT_UDP;
	error = sip_msg_index(&ctx->msg, p->buf, text.len);
	if (error == SIP_OK)
		error = sip_msg_check(&ctx->msg, p->buf);
	ctx->buf = p->buf;
	ctx->script = p->app->script;
	ctx->thread = &p->thread;
	route_ctx_reset(ctx);
	switch (proxy_request_receive(p->app->proxy, ctx, error, &reason)) {
	case PROXY_GO:
		judge(ctx, route_run(ctx), out);
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

static void add_destination(void *arg, const struct dispatch_info *info)
{
	struct callers *c = arg;

	if (c->n < CALLERS_MAX && info->ep.port != 0)
		c->at[c->n++] = info->ep;
}

/* A stranger (RFC 5737, RFC 3849), somebody of each address group, a destination: whom a script may
 * know. All of the listener's family. */
static void callers_make(struct paper *p, struct callers *c)
{
	unsigned kept = 0;

	net_addr_parse(p->listener->ep.addr.family == 4 ? STR("198.51.100.7") : STR("2001:db8::7"),
		&c->at[0].addr);
	c->at[0].port = SIP_DEFAULT_PORT;
	c->n = 1 + access_address_examples(p->app->access, &c->at[1], CALLERS_MAX - 2);
	dispatch_list(p->app->dispatch, add_destination, c);
	for (unsigned i = 0; i < c->n; i++) {
		if (c->at[i].addr.family != p->listener->ep.addr.family)
			continue;
		if (c->at[i].port == 0)
			c->at[i].port = SIP_DEFAULT_PORT;
		c->at[kept++] = c->at[i];
	}
	c->n = kept;
}

/* Compares the calls of one caller. False: no INVITE went anywhere, `last` says what became of
 * them.
 */
static bool compare(struct paper *p, unsigned *warnings, struct outcome *last)
{
	bool compared = false, cancel_said = false, ack_said = false;

	for (unsigned call = 0; call < CALLS; call++) {
		struct outcome invite, cancel, ack;

		play(p, "INVITE", call, "", &invite);
		*last = invite;
		if (!invite.forwarded)
			continue;
		compared = true;
		play(p, "CANCEL", call, "", &cancel);
		play(p, "ACK", call, ";tag=callee", &ack);
		if (!cancel_said && parts(p->app, &invite, &cancel, "its CANCEL")) {
			cancel_said = true;
			(*warnings)++;
		}
		if (!ack_said && parts(p->app, &invite, &ack, "the ACK of its failure")) {
			ack_said = true;
			(*warnings)++;
		}
	}
	return compared;
}

unsigned paper_check(struct app *app)
{
	struct paper p = {.app = app, .listener = proxy_listener_at(app->proxy, 0)};
	struct callers callers = {0};
	struct outcome last = {0};
	unsigned warnings = 0;
	bool compared = false;
	char error[256];

	if (p.listener == NULL || proxy_secret_load(app->proxy, NULL, error, sizeof(error)) != 0 ||
		route_thread_init(&p.thread, 0) != 0)
		return 0;
	p.ctx = aligned_alloc(64, (sizeof(*p.ctx) + 63) & ~63UL);
	if (p.ctx == NULL)
		goto out;
	memset(p.ctx, 0, sizeof(*p.ctx));
	route_script_publish(app->script);
	net_endpoint_format(&p.listener->ep, p.host);
	callers_make(&p, &callers);
	/* The first whom the script lets in. */
	for (unsigned i = 0; i < callers.n && !compared; i++) {
		p.caller = &callers.at[i];
		compared = compare(&p, &warnings, &last);
	}
	if (!compared)
		fprintf(stderr,
			"%s: note: an INVITE on paper %s, so the ways of CANCEL and ACK were not "
			"compared\n",
			app->options.config, last.text);
	free(p.ctx);
out:
	route_thread_fini(&p.thread);
	return warnings;
}
