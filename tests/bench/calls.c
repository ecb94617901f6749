/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The case calls: INVITE, 100, 180, 200, ACK, BYE and its 200 through t_relay(), by Record-Route. A
 * session is done when the BYE is answered; no reply but these may come.
 */
#include "phones.h"

#include <stdlib.h>

#define TRANSACTIONS \
	6000000 /* that stand, the completed ones for as long as Timers say included \
		 */
#define WINDOW 128
#define WIRE_WINDOW 32 /* each has several messages under way */
#define ROUTES_MAX 4
#define TAG ";tag=as" /* and the eight characters of who called */
#define STEADY_S 34   /* after which as many transactions end as begin: Timer J, and some */
#define WARM_SHARE 7  /* at most so many times what is measured */
#define RINGING 512   /* calls whose memory is looked at before they are answered */
#define RINGING_NS (5 * CLOCK_NS_PER_S)

struct invite {
	struct net_endpoint at; /* the backend */
	struct str text;
};

struct calls {
	struct phones phones; /* first: what react() gets */
	struct invite *ringing;
	unsigned ringing_count, rung;
	bool rings; /* a backend does not answer yet */
	uint64_t bytes;
};

static void write_template(struct draft *out, unsigned host, struct lot *lot)
{
	char via[160], contact[200], sdp[600], length[40];
	const char *line[] = {via, "Max-Forwards: 70\r\n",
		"From: \"Caller\" <sip:" PHONES_MARK_USER "@10.10.0.1>;tag=" PHONES_MARK_SERIAL
		"\r\n",
		"To: <sip:+4930" PHONES_MARK_SERIAL "@10.10.0.1>\r\n",
		"Call-ID: " PHONES_MARK_SERIAL "-84381763-2f01@10.10.0.9\r\n", "CSeq: 1 INVITE\r\n",
		contact,
		"Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE, REFER, NOTIFY\r\n",
		"User-Agent: Example Phone T4 66.85.0.5\r\n", "Supported: timer, replaces\r\n",
		"Content-Type: application/sdp\r\n", length};
	int n = snprintf(sdp, sizeof(sdp),
		"v=0\r\no=- 8438 8438 IN IP4 10.10.0.%u\r\ns=-\r\nc=IN IP4 10.10.0.%u\r\nt=0 "
		"0\r\nm=audio %u RTP/AVP 0 8 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 "
		"PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\n"
		"a=sendrecv\r\n",
		host, host, 10000 + 2 * lot_below(lot, 20000));

	snprintf(via, sizeof(via),
		"Via: SIP/2.0/UDP 10.10.0.%u:5060;branch=z9hG4bK" PHONES_MARK_SERIAL "%s\r\n", host,
		lot_below(lot, 4) != 0 ? ";rport" : "");
	snprintf(contact, sizeof(contact),
		"Contact: <sip:" PHONES_MARK_USER "@10.10.0.%u:5060>\r\n", host);
	snprintf(length, sizeof(length), "Content-Length: %d\r\n", n);
	draft_add(out, "INVITE sip:+4930" PHONES_MARK_SERIAL "@10.10.0.1 SIP/2.0\r\n");
	phones_shuffled(out, line, RTE_DIM(line), lot);
	draft_add(out, "\r\n%s", sdp);
}

static void begin(struct phones *p)
{
	const struct phones_template *t = &p->template[p->serial % PHONES_TEMPLATES];
	struct net_endpoint src = phones_caller(t->host);
	char text[PHONES_TEXT_MAX];

	phones_send(p, 0, &src,
		phones_fill(t, lot_below(&p->lot, 100000000), p->serial, p->cseq, text));
	((struct calls *)p)->bytes += t->len;
	p->serial++;
}

/* ---- what a message says: its lines, each with its end ---- */

struct heads {
	struct str from, to, call_id, cseq, contact;
	struct str via[ROUTES_MAX], route[ROUTES_MAX]; /* route: Record-Route */
	unsigned vias, routes;
};

static bool begins(struct str line, struct str with)
{
	return line.len > with.len && memcmp(line.s, with.s, with.len) == 0;
}

static void read_line(struct str line, struct heads *h)
{
	if (begins(line, STR("Via:")) && h->vias < ROUTES_MAX)
		h->via[h->vias++] = line;
	else if (begins(line, STR("Record-Route:")) && h->routes < ROUTES_MAX)
		h->route[h->routes++] = line;
	else if (begins(line, STR("From:")))
		h->from = line;
	else if (begins(line, STR("To:")))
		h->to = line;
	else if (begins(line, STR("Call-ID:")))
		h->call_id = line;
	else if (begins(line, STR("CSeq:")))
		h->cseq = line;
	else if (begins(line, STR("Contact:")))
		h->contact = line;
}

static void read_heads(struct phones *p, struct str text, struct heads *h)
{
	const char *at = text.s, *end = text.s + text.len, *next;

	memset(h, 0, sizeof(*h));
	while ((next = memchr(at, '\n', (size_t)(end - at))) != NULL && next - at > 1) {
		read_line(str_of(at, (size_t)(next + 1 - at)), h);
		at = next + 1;
	}
	if (h->from.len == 0 || h->to.len == 0 || h->call_id.len == 0 || h->cseq.len == 0 ||
		h->vias == 0)
		bench_fail(
			p->b, "a message lacks what an answer needs:\n%.*s", (int)text.len, text.s);
}

/* ---- the backend ---- */

static void answer(struct phones *p, const struct net_endpoint *self, const struct heads *h,
	const char *status, bool has_tag, bool is_invite)
{
	char room[PHONES_TEXT_MAX];
	struct draft out = {.s = room, .size = sizeof(room)};

	draft_add_str(&out, str_c(status));
	for (unsigned i = 0; i < h->vias; i++)
		draft_add_str(&out, h->via[i]);
	for (unsigned i = 0; i < h->routes && has_tag; i++)
		draft_add_str(&out, h->route[i]);
	draft_add_str(&out, h->from);
	draft_add_str(&out, str_of(h->to.s, h->to.len - 2));
	if (has_tag && is_invite) {
		draft_add_str(&out, STR(TAG));
		draft_add_str(&out, str_of(h->call_id.s + 9, 8));
	}
	draft_add_str(&out, STR("\r\n"));
	draft_add_str(&out, h->call_id);
	draft_add_str(&out, h->cseq);
	if (has_tag && is_invite)
		draft_add_str(&out, STR("Contact: <sip:agent@10.20.0.11:5060>\r\n"));
	draft_add_str(&out, STR("Server: Example B2BUA 2.1\r\nContent-Length: 0\r\n\r\n"));
	if (out.over)
		bench_fail(p->b, "an answer is too long");
	phones_send(p, 1, self, str_of(out.s, out.len));
}

static void keep_ringing(struct calls *c, const struct net_endpoint *self, struct str text)
{
	struct invite *i = &c->ringing[c->ringing_count];

	/* One that was sent twice has its place. */
	if (c->ringing_count == RINGING)
		return;
	i->at = *self;
	i->text = str_of(bench_copy(c->phones.b, text.s, text.len), text.len);
	c->ringing_count++;
}

static void as_backend(struct phones *p, const struct net_endpoint *self, struct str text)
{
	struct calls *c = (struct calls *)p;
	struct heads h;

	if (begins(text, STR("ACK ")))
		return;
	read_heads(p, text, &h);
	if (begins(text, STR("BYE "))) {
		answer(p, self, &h, "SIP/2.0 200 OK\r\n", true, false);
		return;
	}
	if (!begins(text, STR("INVITE ")))
		bench_fail(p->b, "a backend got:\n%.*s", (int)text.len, text.s);
	answer(p, self, &h, "SIP/2.0 100 Trying\r\n", false, true);
	answer(p, self, &h, "SIP/2.0 180 Ringing\r\n", true, true);
	if (c->rings) {
		keep_ringing(c, self, text);
		return;
	}
	answer(p, self, &h, "SIP/2.0 200 OK\r\n", true, true);
}

/* ---- the phone ---- */

/* What stands between the angle brackets of a line, them included or not. */
static struct str in_brackets(struct str line, bool with_them)
{
	const char *open = memchr(line.s, '<', line.len), *close;

	if (open == NULL)
		return STR_NONE;
	close = memchr(open, '>', (size_t)(line.s + line.len - open));
	if (close == NULL)
		return STR_NONE;
	return with_them ? str_of(open, (size_t)(close + 1 - open))
			 : str_of(open + 1, (size_t)(close - open - 1));
}

static void send_in_dialog(struct phones *p, const struct net_endpoint *self, const struct heads *h,
	const char *method, const char *cseq)
{
	char room[PHONES_TEXT_MAX];
	struct draft out = {.s = room, .size = sizeof(room)};

	draft_add(&out, "%s ", method);
	draft_add_str(&out, in_brackets(h->contact, false));
	draft_add(&out,
		" SIP/2.0\r\nVia: SIP/2.0/UDP 10.10.0.%u:5060;branch=z9hG4bK%08xb\r\n"
		"Max-Forwards: 70\r\n",
		self->addr.b[3], p->serial++);
	/* The caller's way: the last one first (RFC 3261 12.1.2). */
	for (unsigned i = h->routes; i-- > 0;) {
		draft_add_str(&out, STR("Route: "));
		draft_add_str(&out, in_brackets(h->route[i], true));
		draft_add_str(&out, STR("\r\n"));
	}
	draft_add_str(&out, h->from);
	draft_add_str(&out, h->to);
	draft_add_str(&out, h->call_id);
	draft_add(&out, "CSeq: %s\r\nContent-Length: 0\r\n\r\n", cseq);
	if (out.over)
		bench_fail(p->b, "a request is too long");
	phones_send(p, 0, self, str_of(out.s, out.len));
}

static void as_phone(struct phones *p, const struct net_endpoint *self, struct str text)
{
	struct heads h;

	if (begins(text, STR("SIP/2.0 180 ")))
		((struct calls *)p)->rung++;
	if (begins(text, STR("SIP/2.0 100 ")) || begins(text, STR("SIP/2.0 180 ")))
		return;
	if (!begins(text, STR("SIP/2.0 200 ")))
		bench_fail(p->b, "a phone got:\n%.*s", (int)text.len, text.s);
	read_heads(p, text, &h);
	if (memmem(h.cseq.s, h.cseq.len, "BYE", 3) != NULL) {
		p->open -= p->open != 0;
		p->done++;
		return;
	}
	if (h.routes == 0 || h.contact.len == 0)
		bench_fail(p->b, "a 200 without Record-Route or Contact:\n%.*s", (int)text.len,
			text.s);
	send_in_dialog(p, self, &h, "ACK", "1 ACK");
	send_in_dialog(p, self, &h, "BYE", "2 BYE");
}

static void react(struct phones *p, unsigned port, const struct net_endpoint *to, struct str text)
{
	if (port == 0)
		as_phone(p, to, text);
	else
		as_backend(p, to, text);
}

/* ---- calls that ring ---- */

/* All take turns on this thread, until so many ring and so many are done. */
static void until(struct calls *c, unsigned rung, uint64_t done, uint64_t end)
{
	struct phones *p = &c->phones;

	while (c->rung < rung || p->done < done) {
		if (p->open == c->rung)
			phones_begin(p, rung);
		pipeline_worker_poll(p->rig->pipeline, 0);
		pipeline_slow_poll(p->rig->pipeline, 0);
		phones_take(p);
		if (clock_now_ns() > end)
			bench_fail(p->b, "of %u calls %u ring, %" PRIu64 " are done", RINGING,
				c->rung, p->done);
	}
}

/* What transactions in progress take: INVITEs that ring, of callers who get their 200 then. */
static void measure_ringing(struct calls *c)
{
	struct phones *p = &c->phones;
	uint64_t end = clock_now_ns() + RINGING_NS;
	struct txn_usage usage;
	char note[96];

	c->ringing = bench_alloc(p->b, RINGING, sizeof(*c->ringing));
	c->rings = true;
	p->window = RINGING;
	until(c, RINGING, 0, end);
	txn_usage(p->rig->txn, &usage);
	if (usage.transactions != RINGING || c->ringing_count != RINGING)
		bench_fail(p->b, "%" PRIu64 " transactions of %u calls that ring",
			usage.transactions, RINGING);
	snprintf(note, sizeof(note), "INVITEs of %.0f bytes that ring, in the mean",
		(double)c->bytes / RINGING);
	c->rings = false;
	for (unsigned i = 0; i < RINGING; i++) {
		struct heads h;

		read_heads(p, c->ringing[i].text, &h);
		answer(p, &c->ringing[i].at, &h, "SIP/2.0 200 OK\r\n", true, true);
		free((char *)(uintptr_t)c->ringing[i].text.s);
		if (i % PORT_BURST == PORT_BURST - 1)
			until(c, RINGING, i + 1, end);
	}
	free(c->ringing);
	bench_value(p->b, "bytes_per_transaction/ringing", "B",
		(double)usage.bytes / (double)usage.transactions, "memory", note);
}

/* ---- the case ---- */

static void check(struct phones *p)
{
	const struct txn *t = p->rig->txn;
	uint64_t again = txn_counter(t, TXN_COUNTER_RETRANSMITTED);

	phones_settle(p);
	/* A 200 that was sent twice gets two BYEs. */
	if (txn_counter(t, TXN_COUNTER_CREATED) != p->begun + p->done || p->done < p->begun ||
		txn_counter(t, TXN_COUNTER_REFUSED) != 0)
		bench_fail(p->b,
			"%" PRIu64 " transactions for %" PRIu64 " sessions, %" PRIu64 " begun",
			txn_counter(t, TXN_COUNTER_CREATED), p->done, p->begun);
	/* Each message in time goes once; a thread that lost its CPU may be late. */
	if (again != 0)
		bench_say(p->b, "%" PRIu64 " retransmissions", again);
}

/* The same phones and backends around another system. */
static int serve(struct bench *b)
{
	struct calls calls = {0};
	struct phones *p = &calls.phones;

	phones_wire_open(b, p);
	phones_templates(p, write_template);
	p->window = WIRE_WINDOW;
	p->begin = begin;
	p->react = react;
	phones_wire_serve(p, begin);
	return 0;
}

int case_calls(struct bench *b)
{
	struct txn_usage usage;
	struct load load;
	struct calls calls = {0};
	struct phones *p = &calls.phones;

	if (b->wire)
		return serve(b);
	phones_create(b, p, BENCH_CONFIG_STATE, 1, 0, TRANSACTIONS);
	phones_templates(p, write_template);
	p->begin = begin;
	p->react = react;
	load_init(&load);
	p->inspects = true;
	if (b->count == 0)
		measure_ringing(&calls);
	p->window = WINDOW;
	phones_run(p, RTE_MIN(0.3, b->seconds), 0, NULL);
	p->inspects = b->count != 0;
	bench_say(b, "until as many transactions end as begin");
	if (b->count == 0)
		phones_run(p, RTE_MIN((double)STEADY_S, WARM_SHARE * b->seconds), 0, NULL);
	phones_run(p, b->seconds, 0, &load);
	txn_usage(p->rig->txn, &usage);
	check(p);
	phones_rows(p, &load, "sessions", "session");
	bench_value(b, "bytes_per_transaction", "B",
		(double)usage.bytes / (double)usage.transactions, "memory",
		"of those that stand, nearly all completed");
	bench_value(b, "transactions", "", (double)usage.transactions, "memory", "that stand");
	load_free(&load);
	phones_destroy(p);
	return 0;
}
