/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The case register: phones register with save(), without authentication: a million for the first
 * time, then again, drawn by lot, as they do in service.
 */
#include "phones.h"

#define USERS 1000000
#define WINDOW 384     /* below what a worker begins to refuse at */
#define WIRE_WINDOW 96 /* what the smallest queue on the way holds */
#define EXPECTED "SIP/2.0 200 "

static void write_template(struct draft *out, unsigned host, struct lot *lot)
{
	char via[160], contact[200], id[64];
	const char *line[] = {via, "Max-Forwards: 70\r\n",
		"From: <sip:" PHONES_MARK_USER "@10.10.0.1>;tag=" PHONES_MARK_SERIAL "\r\n",
		"To: <sip:" PHONES_MARK_USER "@10.10.0.1>\r\n", id,
		"CSeq: " PHONES_MARK_CSEQ " REGISTER\r\n", contact, "Expires: 3600\r\n",
		"Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE, REFER, NOTIFY\r\n",
		"User-Agent: Example Phone T4 66.85.0.5\r\n", "Content-Length: 0\r\n"};

	snprintf(via, sizeof(via),
		"Via: SIP/2.0/UDP 10.10.0.%u:5060;branch=z9hG4bK" PHONES_MARK_SERIAL "%s\r\n", host,
		lot_below(lot, 4) != 0 ? ";rport" : "");
	snprintf(id, sizeof(id), "Call-ID: " PHONES_MARK_USER "-84381763@10.10.0.%u\r\n", host);
	snprintf(contact, sizeof(contact),
		"Contact: <sip:" PHONES_MARK_USER "@10.10.0.%u:5060%s>\r\n", host,
		lot_below(lot, 2) != 0 ? ";transport=udp" : "");
	draft_add(out, "REGISTER sip:10.10.0.1 SIP/2.0\r\n");
	phones_shuffled(out, line, RTE_DIM(line), lot);
	draft_add(out, "\r\n");
}

void register_user(struct phones *p, uint32_t user)
{
	/* A user's phone stays the same. */
	const struct phones_template *t = &p->template[user % PHONES_TEMPLATES];
	struct net_endpoint src = phones_caller(t->host);
	char text[PHONES_TEXT_MAX];

	phones_send(p, 0, &src, phones_fill(t, user, p->serial++, p->cseq++, text));
}

static void register_new(struct phones *p)
{
	register_user(p, (uint32_t)(p->begun - 1));
}

void register_any(struct phones *p)
{
	register_user(p, lot_below(&p->lot, p->users));
}

void register_templates(struct phones *p, uint32_t users)
{
	phones_templates(p, write_template);
	p->users = users;
	p->cseq = 10000000;
}

/* Each is answered 200 with its contact; anything else ends the case. */
void register_reply(struct phones *p, const struct net_endpoint *to, struct str text)
{
	if (text.len < sizeof(EXPECTED) || memcmp(text.s, EXPECTED, sizeof(EXPECTED) - 1) != 0 ||
		(p->inspects && memmem(text.s, text.len, ";expires=3600", 13) == NULL))
		bench_fail(p->b, "a phone was not registered:\n%.*s", (int)text.len, text.s);
	p->open -= p->open != 0;
	p->done++;
}

static void react(struct phones *p, unsigned port, const struct net_endpoint *to, struct str text)
{
	if (port != 0)
		bench_fail(p->b, "a REGISTER went on:\n%.*s", (int)text.len, text.s);
	register_reply(p, to, text);
}

static void check(struct phones *p)
{
	uint64_t counter[COUNTER_COUNT];
	struct location_stats stats;

	phones_settle(p);
	location_stats(p->rig->location, &stats);
	pipeline_counters(p->rig->pipeline, counter);
	if (stats.contacts != p->users || stats.aors != p->users)
		bench_fail(
			p->b, "%" PRIu64 " of %u users are registered", stats.contacts, p->users);
	if (counter[COUNTER_ANSWERED] != counter[COUNTER_FRAMES_IN] ||
		registrar_counter(p->rig->registrar, REGISTRAR_COUNTER_ACCEPTED) != p->done)
		bench_fail(p->b, "not each registration was counted and answered");
}

/* The same phones around another system. */
static int serve(struct bench *b)
{
	struct phones p;

	phones_wire_open(b, &p);
	register_templates(&p, b->contacts);
	p.window = WIRE_WINDOW;
	p.begin = register_any;
	p.react = react;
	phones_wire_serve(&p, register_new);
	return 0;
}

int case_register(struct bench *b)
{
	uint32_t users = RTE_MIN(b->contacts, (uint32_t)USERS);
	struct load new, again;
	struct phones p;

	if (b->wire)
		return serve(b);
	phones_create(b, &p, BENCH_CONFIG_STATE, 1, users, 0);
	register_templates(&p, users);
	p.window = WINDOW;
	p.react = react;
	load_init(&new);
	load_init(&again);
	p.begin = register_new;
	p.inspects = true;
	bench_say(b, "%u users register for the first time", users);
	if (b->count != 0)
		p.users = (uint32_t)b->count;
	phones_run(&p, 0, users, &new);
	check(&p);
	p.inspects = false;
	p.begin = register_any;
	phones_run(&p, b->seconds, 0, &again);
	check(&p);
	bench_rate_row(b, "registrations_per_second/new", &new.ns, "ring",
		"for the first time, each reply looked at");
	phones_rows(&p, &again, "registrations", "registration");
	load_free(&new);
	load_free(&again);
	phones_destroy(&p);
	return 0;
}
