/* SPDX-License-Identifier: BSD-3-Clause */
/* What arrives at an open port and shall cost little: noise, broken messages, scanners. */
#include "bench.h"

#define SET 8192
#define ROOM 2048
#define STRANGERS 16 /* hosts 203.0.113.1 and on */

typedef void make_fn(struct draft *out, struct lot *lot, uint32_t n);

/* Bytes without a meaning. */
static void make_noise(struct draft *out, struct lot *lot, uint32_t n)
{
	uint32_t len = 20 + lot_below(lot, 880);

	for (uint32_t i = 0; i < len; i++)
		out->s[i] = (char)lot_below(lot, 256);
	out->len = len;
}

/* Other protocols' words. */
static void make_stranger_protocol(struct draft *out, struct lot *lot, uint32_t n)
{
	static const char *const word[] = {
		"GET /index.html HTTP/1.1\r\nHost: 10.10.0.1:5060\r\nUser-Agent: probe\r\n\r\n",
		"SSH-2.0-client_9.2\r\n",
		"M-SEARCH * HTTP/1.1\r\nMAN: \"ssdp:discover\"\r\n\r\n",
		"OPTIONS rtsp://10.10.0.1/ RTSP/1.0\r\nCSeq: 1\r\n\r\n",
		"\r\n\r\nHELP\r\n\r\n",
	};

	draft_add(out, "%s", word[lot_below(lot, RTE_DIM(word))]);
}

/* Takes one field's line out; nothing where there is none. */
static void cut_line(struct draft *t, const char *name)
{
	char *at = memmem(t->s, t->len, name, strlen(name)), *end;

	if (at == NULL)
		return;
	end = memchr(at + 2, '\n', t->len - (size_t)(at + 2 - t->s));
	if (end == NULL)
		return;
	memmove(at + 2, end + 1, t->len - (size_t)(end + 1 - t->s));
	t->len -= (uint32_t)(end + 1 - (at + 2));
}

/* Puts another text of the same length, or a shorter one, in place. */
static void put(struct draft *t, const char *old, const char *now)
{
	char *at = memmem(t->s, t->len, old, strlen(old));
	size_t n = strlen(now), was = strlen(old);

	if (at == NULL)
		return;
	memcpy(at, now, n);
	memmove(at + n, at + was, t->len - (size_t)(at + was - t->s));
	t->len -= (uint32_t)(was - n);
}

static void make_invite(struct draft *out, struct lot *lot, uint32_t n)
{
	struct message_spec spec = {.kind = MESSAGE_INVITE, .least = 600, .greatest = 900};
	struct call c;

	call_of(&c, n);
	message_request(out, &c, &spec, lot);
}

/* An INVITE with one fault. */
static void make_broken(struct draft *out, struct lot *lot, uint32_t n)
{
	static const char *const missing[] = {
		"\r\nVia:", "\r\nFrom:", "\r\nTo:", "\r\nCall-ID:", "\r\nCSeq:"};

	make_invite(out, lot, n);
	switch (lot_below(lot, 8)) {
	case 0:
	case 1:
		cut_line(out, missing[lot_below(lot, RTE_DIM(missing))]);
		break;
	case 2:
		put(out, " SIP/2.0\r\n", " SIP/7.0\r\n");
		break;
	case 3:
		put(out, "\r\nCSeq: ", "\r\nCSeq: x");
		break;
	case 4:
		put(out, "\r\nFrom: ", "\r\nFrom; ");
		break;
	case 5:
		put(out, "SIP/2.0/UDP ", "SIP/2.0 UDP ");
		break;
	case 6:
		out->len = 40 + lot_below(lot, 300); /* cut off before the blank line */
		break;
	default:
		put(out, "INVITE sip:", "INVITE :sip");
		break;
	}
}

/* A Content-Length that says more than there is, or no number. */
static void make_length(struct draft *out, struct lot *lot, uint32_t n)
{
	make_invite(out, lot, n);
	if (lot_below(lot, 2) != 0)
		put(out, "\r\nContent-Length: ", "\r\nContent-Length:9");
	else
		put(out, "\r\nContent-Length: ", "\r\nContent-Length:-");
}

/* Well formed, and nobody asked for it: searches for open relays and weak passwords. */
static void make_scanner(struct draft *out, struct lot *lot, uint32_t n)
{
	static const char *const method[] = {"OPTIONS", "REGISTER", "INVITE"};
	const char *m = method[lot_below(lot, RTE_DIM(method))];
	unsigned host = 1 + n % STRANGERS, user = 100 + n % 9000;

	draft_add(out,
		"%s sip:%u@10.10.0.1 SIP/2.0\r\n"
		"Via: SIP/2.0/UDP 203.0.113.%u:5%03u;branch=z9hG4bK-%u;rport\r\n"
		"Max-Forwards: 70\r\n"
		"From: \"sipscan\" <sip:%u@1.1.1.1>;tag=%08x\r\n"
		"To: \"sipscan\" <sip:%u@1.1.1.1>\r\n"
		"Call-ID: %u%u\r\n"
		"CSeq: 1 %s\r\n"
		"Contact: <sip:%u@203.0.113.%u:5060>\r\n"
		"Accept: application/sdp\r\n"
		"User-Agent: friendly-looking-scanner\r\n"
		"Content-Length: 0\r\n\r\n",
		m, user, host, n % 1000, lot_below(lot, 1u << 31), user, lot_below(lot, 1u << 31),
		user, lot_below(lot, 1u << 31), n, m, user, host);
}

struct kind {
	const char *variant, *note;
	make_fn *make[4]; /* by turns */
	unsigned makes;
};

static const struct kind kinds[] = {
	{"", "noise, other protocols, broken SIP, wrong Content-Length, by turns",
		{make_noise, make_stranger_protocol, make_broken, make_length}, 4},
	{"/noise", "random bytes, 20 to 900", {make_noise}, 1},
	{"/protocol", "HTTP, SSH, SSDP, RTSP", {make_stranger_protocol}, 1},
	{"/broken", "INVITEs with one fault", {make_broken}, 1},
	{"/length", "INVITEs with a wrong Content-Length", {make_length}, 1},
	{"/scanner", "well formed, from strangers: the script answers 403", {make_scanner}, 1},
};

static void make_set(struct bench *b, const struct kind *k, struct set *s, unsigned n)
{
	struct lot lot = {0x2545f4914f6cdd1dULL};
	static char room[MESSAGE_MAX];

	set_create(b, s, n);
	for (unsigned i = 0; i < n; i++) {
		struct draft t = {.s = room, .size = sizeof(room)};
		struct net_endpoint src = {.port = (uint16_t)(5000 + i % 1000)};
		char host[16];

		k->make[i % k->makes](&t, &lot, i);
		snprintf(host, sizeof(host), "203.0.113.%u", 1 + i % STRANGERS);
		net_addr_parse(str_c(host), &src.addr);
		set_add(b, s, 0, &src, str_of(t.s, t.len));
	}
}

static void measure(struct bench *b, struct rig *r, const struct kind *k)
{
	struct figures f;
	struct feed feed;
	char metric[64];
	struct set s;

	make_set(b, k, &s, b->count != 0 ? GUARD_SET : SET);
	feed_create(b, &feed, r, 0, s.item, s.n, ROOM);
	feed.broken = true;
	figures_init(&f);
	feed_run(b, &feed, b->seconds / 3, &f);
	figures_check(b, &f, COUNTER_COUNT, k->variant);
	feed_rows(b, &f, k->variant, k->note);
	if (b->count == 0) {
		snprintf(metric, sizeof(metric), "answered%s", k->variant);
		bench_value(b, metric, "%",
			100 * (double)f.counter[COUNTER_ANSWERED] /
				(double)f.counter[COUNTER_FRAMES_IN],
			"ring", "the rest was dropped");
	}
	figures_free(&f);
	feed_destroy(&feed);
	set_destroy(&s);
}

int case_malformed(struct bench *b)
{
	struct rig *r = bench_rig(b, 1, 1500);

	for (unsigned i = 0; i < (b->count != 0 ? 1 : RTE_DIM(kinds)); i++)
		measure(b, r, &kinds[i]);
	bench_rig_end(r);
	return 0;
}
