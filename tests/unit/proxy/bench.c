/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a pass costs: index and check (lib/sip) apart, receive + forward + write of an INVITE with
 *Record-Route, and receive + write of its response. Prints the least and the median of many rounds,
 *in nanoseconds a message.
 *
 *	meson test --benchmark proxy		or run it by hand
 */
#include "harness.h"

#define ROUNDS 400
#define PER_ROUND 500

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

struct bench {
	struct fixture *f;
	char *text;
	uint32_t len;
	unsigned listener;
	enum { INDEX, REQUEST, REQUEST_RR, REQUEST_TOKEN, KEPT, RESPONSE, REPLY } what;
};

static void step(struct bench *b)
{
	static const struct route_args no_args;
	struct fixture *f = b->f;
	struct route_ctx *ctx = f->ctx;
	struct route_args args = no_args;
	enum proxy_reason reason;

	if (sip_msg_index(&ctx->msg, b->text, b->len) != SIP_OK ||
		sip_msg_check(&ctx->msg, b->text) != SIP_OK)
		abort();
	if (b->what == INDEX)
		return;
	route_ctx_reset(ctx);
	args.room = f->proxy;
	if (b->what == RESPONSE) {
		if (proxy_response_receive(f->proxy, ctx, SIP_OK, &reason) != PROXY_GO ||
			proxy_response_write(f->proxy, ctx, f->out, sizeof(f->out), &f->to) <= 0)
			abort();
		return;
	}
	if (proxy_request_receive(f->proxy, ctx, SIP_OK, &reason) != PROXY_GO)
		abort();
	if (b->what == REPLY) {
		proxy_reply_set(ctx, 503, STR("No Destination"));
		if (proxy_reply_write(f->proxy, ctx, f->out, sizeof(f->out), &f->to) <= 0)
			abort();
		return;
	}
	if (b->what == KEPT) {
		proxy_max_breadth_set(ctx, 60);
		proxy_branch_set(ctx, 1, 0);
	}
	if (b->what == REQUEST_RR || b->what == KEPT)
		proxy_state(ctx)->flags |= STATE_RR | STATE_RR_FTAG;
	if (proxy_core_functions[0].run(ctx, &args) != ROUTE_TRUE ||
		proxy_request_write(f->proxy, ctx, f->out, sizeof(f->out), &f->to) <= 0)
		abort();
}

static void measure(const char *name, struct bench *b)
{
	static uint64_t ns[ROUNDS];

	b->f->ctx->buf = b->text;
	for (unsigned r = 0; r < ROUNDS; r++) {
		uint64_t start = clock_now_ns();

		for (unsigned i = 0; i < PER_ROUND; i++)
			step(b);
		ns[r] = (clock_now_ns() - start) * 10 / PER_ROUND;
	}
	qsort(ns, ROUNDS, sizeof(ns[0]), by_value);
	printf("%-44s min %6.1f ns  median %6.1f ns\n", name, (double)ns[0] / 10,
		(double)ns[ROUNDS / 2] / 10);
}

static struct bench make(struct fixture *f, int what, const char *text)
{
	struct bench b = {.f = f, .what = what};

	receive(f, text, "10.0.0.9", 5060, LEFT);
	b.text = malloc(f->len);
	memcpy(b.text, f->buf, f->len);
	b.len = f->len;
	return b;
}

int main(void)
{
	static const char invite[] =
		"INVITE sip:bob@10.9.9.9:5062 SIP/2.0\n"
		"Via: SIP/2.0/UDP 10.0.0.9:5060;rport;branch=z9hG4bK-524287-1---0123456789abcdef\n"
		"Max-Forwards: 70\n"
		"Contact: <sip:alice@10.0.0.9:5060;transport=udp>\n"
		"To: \"Bob\" <sip:bob@example.com>\n"
		"From: \"Alice\" <sip:alice@example.org>;tag=8f3a2b1c\n"
		"Call-ID: 84381MTc2NDMwOTg4ZWU0N2UwYjM1ZmE4NzVh\n"
		"CSeq: 1 INVITE\n"
		"Allow: INVITE, ACK, CANCEL, OPTIONS, BYE, REFER, NOTIFY, MESSAGE, SUBSCRIBE, "
		"INFO\n"
		"Content-Type: application/sdp\n"
		"Supported: replaces, outbound, timer\n"
		"User-Agent: siplane bench 1.0 on a phone\n"
		"Content-Length: 222\n"
		"\n"
		"v=0\no=- 13374842 1 IN IP4 10.0.0.9\ns=call\nc=IN IP4 10.0.0.9\nt=0 0\n"
		"m=audio 49170 RTP/AVP 0 8 96 101\na=rtpmap:0 PCMU/8000\na=rtpmap:8 "
		"PCMA/8000\na=rtpmap:96 opus/48000/2\n"
		"a=rtpmap:101 telephone-event/8000\na=sendrecv\n";
	struct fixture *f = fixture_new(NULL);
	struct bench b = make(f, INDEX, invite);
	char response[4096], bye[2048];

	measure("index, check (INVITE)", &b);
	b = make(f, REQUEST, invite);
	measure("+ reset, receive, forward, write", &b);
	b = make(f, REQUEST_RR, invite);
	measure("+ the same with Record-Route", &b);
	b = make(f, KEPT, invite);
	measure("+ the same as a branch of a transaction", &b);
	b = make(f, REQUEST_RR, invite);
	step(&b);
	f->written = proxy_request_write(f->proxy, f->ctx, f->out, sizeof(f->out) - 1, &f->to);
	f->out[f->written] = 0;
	snprintf(response, sizeof(response), "%s", response_to(f->out, "200 OK"));
	snprintf(bye, sizeof(bye),
		"BYE sip:b@10.9.9.9 SIP/2.0\nVia: SIP/2.0/UDP 10.0.0.9;branch=z9hG4bKbye\nRoute: "
		"%s\nMax-Forwards: 5\n"
		"From: <sip:a@b>;tag=8f3a2b1c\nTo: <sip:c@d>;tag=b1\nCall-ID: "
		"84381MTc2NDMwOTg4ZWU0N2UwYjM1ZmE4NzVh\n"
		"CSeq: 8 BYE\n\n",
		line(f->out, "Record-Route"));
	b = make(f, INDEX, response);
	measure("index, check (response)", &b);
	b = make(f, RESPONSE, response);
	measure("+ reset, receive, write", &b);
	b = make(f, INDEX, bye);
	measure("index, check (BYE)", &b);
	b = make(f, REQUEST_TOKEN, bye);
	measure("+ reset, receive, Route token, forward, write", &b);
	b = make(f, REPLY, invite);
	measure("index, check, reset, receive, reply 503", &b);
	fixture_free(f);
	return 0;
}
