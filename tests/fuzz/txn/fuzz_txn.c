/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Messages and time in any order against two shards: callers, phones, what is retransmitted,
 * altered or made up, buffers that are not there, a clock that jumps. Whatever leaves parses, each
 * verdict is what the sender saw, and at the end nothing is left. The input is a list of steps of
 * three bytes: what, and two arguments.
 */
#include "../../unit/txn/harness.h"

#define SCRIPTS 3
#define RECENT 32

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct world *world[SCRIPTS];

static const char *const script[SCRIPTS] = {RELAY,
	MODULES
	"modparam(\"tm\", \"fr_timer\", 8000)\nmodparam(\"tm\", \"fr_inv_timer\", 20000)\n"
	"request_route {\n"
	"	$avp(n) = 1;\n	t_on_reply(\"r\");\n	t_on_branch(\"b\");\n"
	"	append_branch(\"sip:carol@" CAROL "\");\n	append_branch(\"sip:loop@" PROXY
	"\");\n"
	"	t_on_failure(\"f\");\n	if (!t_relay()) sl_reply_error();\n}\n"
	"branch_route[b] {\n	append_hf(\"X-Branch: $rd $avp(n)\\r\\n\");\n"
	"	if ($rU == \"drop\") drop;\n}\n"
	"reply_route {\n	append_hf(\"X-Main: $rs\\r\\n\");\n}\n"
	"onreply_route[r] {\n	$avp(n) = $avp(n) + 1;\n	if (status == \"183\") drop;\n"
	"	if (status == \"182\") t_cancel_branches(\"others\");\n"
	"	if (status == \"199\") t_reply(\"488\", \"Enough\");\n}\n"
	"failure_route[f] {\n	if ($avp(n) > 20) exit;\n	t_on_failure(\"f\");\n"
	"	if (t_check_status(\"40.\")) t_reply(\"480\", \"Gone\");\n"
	"	else if (t_check_status(\"5..\")) exit;\n"
	"	else if (t_check_status(\"699\")) { t_reply(\"481\", \"Odd\"); append_branch(); "
	"t_relay(); }\n"
	"	else if (t_check_status(\"302\")) { t_drop_replies(); $ru = \"sip:dave@" DAVE
	"\"; t_relay(); t_relay(); }\n"
	"	else { append_branch(\"sip:mail@" MAIL "\"); t_relay(); }\n}\n",
	MODULES "request_route {\n	if (method == \"CANCEL\" && !t_check_trans()) exit;\n"
		"	if (!t_newtran()) exit;\n"
		"	if ($rU == \"reply\") { t_reply(\"404\", \"No\"); exit; }\n"
		"	if ($rU == \"drop\") exit;\n"
		"	if ($rU == \"soon\") t_set_fr(3000, 1000);\n"
		"	if ($rU == \"loop\") { append_branch(); append_branch(\"sip:x@" PROXY
		"\"); }\n"
		"	t_relay();\n	t_reply(\"200\", \"Both\");\n}\n"};

static void set_up(void)
{
	setenv("CMOCKA_TEST_ABORT", "1", 1);
	for (unsigned i = 0; i < SCRIPTS; i++)
		world[i] = world_new((struct world_config){
			.script = script[i], .transactions = 64, .shards = 2, .unobserved = true});
}

static struct ask asked(uint8_t a, uint8_t b)
{
	static const char *const call[] = {"1", "2", "3", "4"};
	static const char *const method[] = {
		"INVITE", "INVITE", "MESSAGE", "OPTIONS", "BYE", "ACK", "CANCEL", "FLY"};
	static const char *const user[] = {"sip:bob@" BOB, "sip:drop@" BOB, "sip:reply@" BOB,
		"sip:loop@" PROXY, "sip:soon@" CAROL, "sip:x@127.0.0.1", "sip:bob@" BOB ":5099",
		"tel:+1"};
	static const char *const more[] = {"", "", "Max-Breadth: 1\n", "Max-Breadth: 0\n",
		"Max-Breadth: x\n", "Reason: SIP;cause=200\n", "Route: <sip:" DAVE ";lr>\n",
		"Route: <sip:" PROXY ";lr>\n"};

	return (struct ask){.call = call[a & 3],
		.method = method[a >> 2 & 7],
		.uri = user[b & 7],
		.more = more[b >> 3 & 7],
		.to_tag = (b & 64) != 0 ? "t" : NULL,
		.cseq = 1 + (b >> 7)};
}

/* One of those that left last; NULL where there is none. */
static const struct sent *recent(struct world *w, uint8_t n, bool response)
{
	for (unsigned i = 0; i < w->sents && i < RECENT; i++) {
		const struct sent *m = w->sent[w->sents - 1 - i];

		if (m->is_response == response && n-- == 0)
			return m;
	}
	return NULL;
}

static void come_from(struct world *w, const char *text, uint32_t len, uint8_t b)
{
	static const char *const from[] = {BOB, CAROL, CALLER, PROXY};
	struct net_endpoint ep = {.port = 5060};

	net_addr_parse(str_c(from[b & 3]), &ep.addr);
	come(w, text, len, &ep);
}

static void answered(struct world *w, uint8_t a, uint8_t b)
{
	static const char *const status[] = {"100 Trying", "180 Ringing", "182 Queued",
		"183 Progress", "199 Early", "200 OK", "202 Accepted", "302 Moved",
		"401 Unauthorized", "404 Not Found", "408 Timeout", "486 Busy", "487 Terminated",
		"503 Unavailable", "603 Decline", "699 Odd"};
	static const char *const more[] = {"", "WWW-Authenticate: Digest realm=\"a\"\n",
		"Proxy-Authenticate: Digest realm=\"b\"\nProxy-Authenticate: Digest realm=\"c\"\n",
		"Retry-After: 10\n"};
	const struct sent *m = recent(w, a & 15, false);

	if (m != NULL && m->method[0] != 0)
		answer_with(w, m, status[b & 15], (b & 64) != 0 ? "other" : NULL, more[b >> 4 & 3]);
}

/* A message that left or that a caller sends, with a byte changed, doubled or left out. */
static void altered(struct world *w, uint8_t a, uint8_t b, uint8_t how)
{
	const struct sent *m = recent(w, a & 15, (a & 16) != 0);
	const char *text;
	uint32_t len, at;
	char *out;

	if (m == NULL || m->len == 0)
		return;
	text = (a & 32) != 0 && !m->is_response && m->method[0] != 0
		       ? answer_text(m, "200 OK", NULL, NULL)
		       : m->text;
	len = (uint32_t)strlen(text);
	out = malloc(2 * len + 1);
	at = (uint32_t)(b * 7919u) % len;
	switch (how % 3) {
	case 0:
		memcpy(out, text, len);
		out[at] = (char)how;
		break;
	case 1:
		memcpy(out, text, at);
		memcpy(out + at, text + at + 1, len - at - 1);
		len--;
		break;
	default:
		memcpy(out, text, len);
		memcpy(out + len, text + at, len - at);
		len += len - at;
	}
	come_from(w, out, len, b);
	free(out);
}

static void step(struct world *w, const uint8_t *in)
{
	uint8_t a = in[1], b = in[2];
	const struct sent *m;
	struct ask who = asked(a, b);

	switch (in[0] & 15) {
	case 0:
	case 1:
		ask(w, who);
		break;
	case 2:
		cancel(w, who);
		break;
	case 3:
		m = recent(w, b & 7, true);
		if (m != NULL && header(m->text, "To", 0) != NULL)
			ack(w, who, m);
		break;
	case 4:
	case 5:
	case 6:
	case 7:
		answered(w, a, b);
		break;
	case 8:
		pass_in_steps(w, 10u * a + 1, 10);
		break;
	case 9:
		pass_in_steps(w, 100u * a + 1, 100);
		break;
	case 10:
		w->refuse_begin = (a & 1) != 0;
		break;
	case 11:
		altered(w, a, b, in[0] >> 4);
		break;
	case 12: /* as it left: to ourselves, or back */
		m = recent(w, a & 15, (a & 16) != 0);
		if (m != NULL)
			come_from(w, m->text, m->len, b);
		break;
	case 13:
		jump(w, (a & 1) != 0 ? 1000 * (int64_t)b : -100 * (int64_t)b);
		break;
	case 14:
		poll_once(w, 1 + (a & 3));
		break;
	default:
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct world *w;

	if (world[0] == NULL)
		set_up();
	if (size < 4 || size > 3 * 200 + 1)
		return 0;
	w = world[data[0] % SCRIPTS];
	for (size_t at = 1; at + 3 <= size; at += 3)
		step(w, data + at);
	w->refuse_begin = false;
	world_rest(w);
	return 0;
}
