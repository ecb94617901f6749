/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Random calls over a network that loses, doubles and reorders: callers and phones that keep to the
 * RFC, for a while of bad weather and then for long enough. What the observer holds has to hold all
 * the time, and at the end nobody is left who has heard nothing, no failure without its ACK, and
 * nothing in memory. A seed makes the same run again: TXN_SEED=n, TXN_SEEDS=how many.
 */
#include "harness.h"

#define CALLS 24
#define PHONES_MAX 512
#define BAD_WEATHER_MS 15000
#define RUN_MS 190000

struct packet {
	struct packet *next;
	uint64_t due;
	struct net_endpoint to;
	char from[16];
	char *text;
};

struct caller {
	struct ask ask;
	char call[24], uri[64];
	bool invite, began, over, provisional, cancels, cancel_answered, gave_up;
	unsigned final;
	uint64_t starts, again, interval, cancel_at, cancel_interval;
};

struct phone {
	struct sent request;
	char branch[64];
	bool invite, acknowledged;
	bool closed; /* nobody is at its port, and its host says so */
	const char *final;
	uint64_t rings_at, final_at, again, interval, came;
	const char *said; /* status of its last response */
	char *said_text;
};

struct sim {
	struct world *w;
	uint64_t random;
	unsigned loss, twice, delay; /* percent, percent, ms */
	bool names;
	char *name[CALLS][2]; /* of the hosts of each call */
	struct packet *packet;
	struct caller caller[CALLS];
	struct phone phone[PHONES_MAX];
	unsigned phones, seen;
};

static uint64_t draw(struct sim *s, uint64_t below)
{
	s->random ^= s->random << 13;
	s->random ^= s->random >> 7;
	s->random ^= s->random << 17;
	return (s->random >> 11) % below;
}

static bool bad_weather(const struct sim *s)
{
	return now_ms(s->w) < BAD_WEATHER_MS;
}

/* ---- the network ---- */

static void post_once(
	struct sim *s, const char *text, const char *from, const struct net_endpoint *to)
{
	struct packet *p = calloc(1, sizeof(*p)), **at = &s->packet;

	assert_non_null(p);
	p->text = strdup(text);
	snprintf(p->from, sizeof(p->from), "%s", from);
	p->to = *to;
	p->due = now_ms(s->w) + (bad_weather(s) ? draw(s, s->delay + 1) : 0);
	while (*at != NULL && (*at)->due <= p->due)
		at = &(*at)->next;
	p->next = *at;
	*at = p;
}

static void post(struct sim *s, const char *text, const char *from, const struct net_endpoint *to)
{
	if (bad_weather(s) && draw(s, 100) < s->loss)
		return;
	post_once(s, text, from, to);
	if (bad_weather(s) && draw(s, 100) < s->twice)
		post_once(s, text, from, to);
}

static const char *host_of(const struct net_endpoint *ep)
{
	static char text[4][64];
	static unsigned at;
	char *out = text[at++ % 4];

	out[net_addr_format(&ep->addr, out)] = 0;
	return out;
}

/* ---- callers ---- */

static void caller_start(struct sim *s, unsigned i)
{
	static const char *const user[] = {"one", "two", "three", "hunt", "mail", "reply", "first",
		"late", "search", "named", "lost"};
	const char *host = BOB;
	unsigned who = (unsigned)draw(s, s->names ? 11 : 7);

	struct caller *c = &s->caller[i];

	snprintf(c->call, sizeof(c->call), "random-%u", i);
	if (who >= 9)
		host = who == 9 ? "two.test:5060" : "nowhere.test:5060";
	snprintf(c->uri, sizeof(c->uri), "sip:%s@%s", user[who], host);
	c->invite = draw(s, 4) != 0;
	c->ask = (struct ask){
		.method = c->invite ? "INVITE" : "MESSAGE", .call = c->call, .uri = c->uri};
	c->starts = draw(s, 5000);
	c->again = c->starts;
	c->interval = T1;
	c->cancels = c->invite && draw(s, 3) == 0;
	c->cancel_at = UINT64_MAX;
	c->cancel_interval = T1;
}

static void caller_turn(struct sim *s, struct caller *c)
{
	uint64_t now = now_ms(s->w);

	if (c->over || now < c->starts)
		return;
	c->began = true;
	/* Timer B before any response; Timer F before the final one. */
	if ((!c->provisional || !c->invite) && c->final == 0 && now >= c->starts + T64) {
		c->gave_up = c->over = true;
		return;
	}
	if (now >= c->again && c->final == 0 && !(c->invite && c->provisional)) {
		post(s, ask_text(c->ask), CALLER, &s->w->address);
		c->again = now + c->interval;
		c->interval = c->invite || c->interval < T2 ? 2 * c->interval : T2;
	}
	if (now >= c->cancel_at && !c->cancel_answered && c->final == 0) {
		post(s, cancel_text(c->ask), CALLER, &s->w->address);
		c->cancel_at = now + c->cancel_interval;
		c->cancel_interval = c->cancel_interval < T2 ? 2 * c->cancel_interval : T2;
	}
}

static void caller_hears(struct sim *s, const char *text)
{
	const char *call = header(text, "Call-ID", 0), *cseq = header(text, "CSeq", 0);
	unsigned status = (unsigned)strtoul(text + 8, NULL, 10);
	struct caller *c = &s->caller[strtoul(call + strlen("random-"), NULL, 10)];
	struct sent m = {.text = (char *)(uintptr_t)text};

	if (strstr(cseq, "CANCEL") != NULL) {
		c->cancel_answered = true;
		return;
	}
	if (status < 200) {
		if (!c->provisional && c->cancels)
			c->cancel_at = now_ms(s->w) + draw(s, 8000);
		c->provisional = true;
		return;
	}
	if (c->final == 0)
		c->final = status;
	if (!c->invite)
		return;
	if (status >= 300)
		post(s, ack_text(c->ask, &m), CALLER, &s->w->address);
	else
		post(s,
			ask_text((struct ask){.method = "ACK",
				.call = c->call,
				.uri = printed(
					"sip:bob@%s", param(header(text, "To", 0), "tag") + 1),
				.branch = printed("ack-%s", c->call),
				.to_tag = param(header(text, "To", 0), "tag")}),
			CALLER, &s->w->address);
}

/* ---- phones ---- */

static void phone_says(struct sim *s, struct phone *p, const char *status)
{
	free(p->said_text);
	p->said_text = strdup(answer_text(&p->request, status, NULL, NULL));
	p->said = status;
	post(s, p->said_text, host_of(&p->request.to), &s->w->address);
}

static struct phone *phone_find(struct sim *s, const char *text, const struct net_endpoint *to)
{
	const char *branch = branch_of(text);

	for (unsigned i = 0; i < s->phones; i++) {
		if (strcmp(s->phone[i].branch, branch) == 0 &&
			net_endpoint_equal(&s->phone[i].request.to, to))
			return &s->phone[i];
	}
	return NULL;
}

static void phone_rings(struct sim *s, const char *text, const struct net_endpoint *to)
{
	static const char *const final[] = {"200 OK", "200 OK", "404 Not Found", "486 Busy Here",
		"503 Service Unavailable", "603 Decline", "302 Moved",
		"407 Proxy Authentication Required"};
	struct phone *p;

	assert_true(s->phones < PHONES_MAX);
	p = &s->phone[s->phones++];
	p->request = (struct sent){.to = *to, .text = strdup(text), .len = (uint32_t)strlen(text)};
	snprintf(p->branch, sizeof(p->branch), "%s", branch_of(text));
	p->invite = strncmp(text, "INVITE ", 7) == 0;
	p->came = now_ms(s->w);
	p->rings_at = p->final_at = p->again = UINT64_MAX;
	p->interval = T1;
	switch (draw(s, 8)) {
	case 0: /* dead */
		p->closed = draw(s, 2) == 0;
		return;
	case 1: /* rings for ever */
		p->rings_at = p->came + draw(s, 1000);
		return;
	default:
		if (draw(s, 4) != 0)
			p->rings_at = p->came + draw(s, 1000);
		p->final_at = p->came + draw(s, 12000);
		p->final = final[draw(s, sizeof(final) / sizeof(final[0]))];
	}
}

static void phone_hears(struct sim *s, const char *text, const struct net_endpoint *to)
{
	struct phone *p = phone_find(s, text, to);

	if (strncmp(text, "ACK ", 4) == 0) {
		if (p != NULL) {
			p->acknowledged = true;
			return;
		}
		/* Of a 2xx: whoever picked that call up here. */
		for (unsigned i = 0; i < s->phones; i++) {
			p = &s->phone[i];
			if (p->said != NULL && p->said[0] == '2' &&
				net_addr_equal(&p->request.to.addr, &to->addr) &&
				strcmp(header(p->request.text, "Call-ID", 0),
					header(text, "Call-ID", 0)) == 0)
				p->acknowledged = true;
		}
		return;
	}
	if (strncmp(text, "CANCEL ", 7) == 0) {
		struct sent m = {.to = *to, .text = (char *)(uintptr_t)text};

		post(s,
			answer_text(
				&m, p != NULL ? "200 OK" : "481 Call Does Not Exist", NULL, NULL),
			host_of(to), &s->w->address);
		if (p != NULL && (p->said == NULL || p->said[0] == '1')) {
			p->final = "487 Request Terminated";
			p->final_at = now_ms(s->w);
		}
		return;
	}
	if (p != NULL && p->said_text != NULL)
		post(s, p->said_text, host_of(to), &s->w->address);
	if (p == NULL) {
		phone_rings(s, text, to);
		p = &s->phone[s->phones - 1];
	}
	/* An ICMP error may be lost as all else. */
	if (p->closed && draw(s, 100) >= s->loss)
		lose_request(s->w, text, to);
}

static void phone_turn(struct sim *s, struct phone *p)
{
	uint64_t now = now_ms(s->w);

	if (now >= p->rings_at) {
		p->rings_at = UINT64_MAX;
		if (p->said == NULL || p->said[0] == '1')
			phone_says(s, p, p->invite ? "180 Ringing" : "100 Trying");
	}
	if (now >= p->final_at) {
		p->final_at = UINT64_MAX;
		phone_says(s, p, p->final);
		p->again = p->invite ? now + p->interval : UINT64_MAX;
		p->came = now;
	}
	if (now >= p->again && !p->acknowledged && now < p->came + T64) {
		post(s, p->said_text, host_of(&p->request.to), &s->w->address);
		p->interval = p->interval < T2 ? 2 * p->interval : T2;
		p->again = now + p->interval;
	}
}

/* ---- the whole ---- */

static bool lose_buffer(struct world *w)
{
	struct sim *s = w->test;

	return bad_weather(s) && draw(s, 100) < 3;
}

static void deliver(struct sim *s)
{
	while (s->packet != NULL && s->packet->due <= now_ms(s->w)) {
		struct packet *p = s->packet;

		s->packet = p->next;
		if (net_endpoint_equal(&p->to, &s->w->address))
			come_text(s->w, p->text, p->from, 5060);
		else if (strncmp(p->text, "SIP/2.0 ", 8) == 0)
			caller_hears(s, p->text);
		else
			phone_hears(s, p->text, &p->to);
		free(p->text);
		free(p);
		while (s->seen < s->w->sents) {
			const struct sent *m = s->w->sent[s->seen++];

			post(s, m->text, PROXY, &m->to);
		}
	}
}

static void step(struct sim *s)
{
	for (unsigned i = 0; i < CALLS; i++)
		caller_turn(s, &s->caller[i]);
	for (unsigned i = 0; i < s->phones; i++)
		phone_turn(s, &s->phone[i]);
	deliver(s);
	pass(s->w, STEP_MS);
	if (s->w->parked != NULL && draw(s, 20) == 0) {
		if (draw(s, 4) == 0)
			lose_names(s->w);
		else
			answer_names(s->w);
	}
	while (s->seen < s->w->sents) {
		const struct sent *m = s->w->sent[s->seen++];

		post(s, m->text, PROXY, &m->to);
	}
	deliver(s);
}

static void judge(struct sim *s)
{
	for (unsigned i = 0; i < CALLS; i++) {
		const struct caller *c = &s->caller[i];

		assert_true(c->began);
		/* RFC 4320: to others than INVITE there may be no answer. */
		if (c->invite && c->final == 0 && !c->gave_up)
			fail_msg("%s (%s) has heard nothing", c->call, c->uri);
		if (c->invite && c->gave_up)
			continue;
		if (c->cancels && c->cancel_at != UINT64_MAX && c->cancel_interval > T2 &&
			c->final == 0 && !c->cancel_answered)
			fail_msg("nobody answered the CANCEL of %s", c->call);
	}
	for (unsigned i = 0; i < s->phones; i++) {
		const struct phone *p = &s->phone[i];

		if (p->invite && p->said != NULL && p->said[0] >= '3' && !p->acknowledged)
			fail_msg("no ACK to the %s of\n%s", p->said, p->request.text);
	}
}

static const char script[] = MODULES
	"modparam(\"tm\", \"fr_timer\", 32000)\nmodparam(\"tm\", \"fr_inv_timer\", 40000)\n"
	"modparam(\"tm\", \"max_inv_lifetime\", 100000)\n"
	"request_route {\n"
	"	t_on_reply(\"r\");\n	$avp(u) = $rU;\n"
	"	if ($rU == \"two\" || $rU == \"three\") append_branch(\"sip:carol@" CAROL "\");\n"
	"	if ($rU == \"three\") append_branch(\"sip:dave@" DAVE "\");\n"
	"	if ($rU == \"reply\") { t_newtran(); t_reply(\"404\", \"None\"); exit; }\n"
	"	if ($rU == \"first\") { append_branch(\"sip:carol@" CAROL "\"); "
	"append_branch(\"sip:dave@" DAVE "\"); }\n"
	"	if ($rU == \"hunt\") t_on_failure(\"hunt\");\n"
	"	if ($rU == \"mail\") t_on_failure(\"mail\");\n"
	"	if ($rU == \"late\") { append_branch(\"sip:carol@" CAROL "\"); "
	"append_branch(\"sip:dave@" DAVE "\"); t_on_branch(\"late\"); t_on_failure(\"mail\"); }\n"
	"	if ($rU == \"search\") t_on_failure(\"search\");\n"
	"	t_relay();\n}\n"
	"onreply_route[r] {\n	if (status == \"180\" && $tU == \"bob\" && $avp(u) == \"first\")\n"
	"		t_cancel_branches(\"others\");\n	append_hf(\"X-Reply: "
	"$rs\\r\\n\");\n}\n"
	"branch_route[late] {\n	append_hf(\"X-Branch: $T_branch_idx\\r\\n\");\n"
	"	if ($ru =~ \"carol\") $du = \"sip:c-\" + $ci + \".test:5060\";\n"
	"	if ($ru =~ \"dave\") $du = \"sip:d-\" + $ci + \".test:5060\";\n}\n"
	"failure_route[search] {\n	if (t_is_canceled()) exit;\n"
	"	append_branch(\"sip:carol@" CAROL "\"); append_branch(\"sip:dave@" DAVE "\");\n"
	"	t_on_branch(\"late\");\n	t_on_failure(\"mail\");\n	t_relay();\n}\n"
	"failure_route[hunt] {\n	if (t_is_canceled()) exit;\n"
	"	$ru = \"sip:carol@" CAROL "\";\n	append_branch(\"sip:dave@" DAVE "\");\n"
	"	t_on_failure(\"mail\");\n	t_relay();\n}\n"
	"failure_route[mail] {\n"
	"	if (t_check_status(\"486|408\")) {\n		$ru = \"sip:mail@" MAIL "\";\n"
	"		t_relay();\n	} else if (t_check_status(\"404\")) {\n"
	"		t_reply(\"480\", \"Gone\");\n	}\n}\n";

/* A host of one call's own, with two addresses; or there is none of that name. */
static char *name_of(struct sim *s, char which, unsigned call, const char *address)
{
	char *name = strdup(printed("%c-random-%u.test", which, call));

	assert_non_null(name);
	if (draw(s, 4) != 0) {
		add_address(s->w, name, address);
		add_address(s->w, name, MAIL);
	}
	return name;
}

static void run(uint64_t seed)
{
	struct sim *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	s->names = seed % 3 == 1;
	s->w = world_new(
		(struct world_config){.script = script, .shards = 1 + seed % 3, .names = s->names});
	if (s->names) {
		add_address(s->w, "two.test", BOB);
		add_address(s->w, "two.test", CAROL);
	}
	for (unsigned i = 0; s->names && i < CALLS; i++) {
		s->name[i][0] = name_of(s, 'c', i, CAROL);
		s->name[i][1] = name_of(s, 'd', i, DAVE);
	}
	s->w->test = s;
	s->random = 0x9e3779b97f4a7c15ULL * (seed + 1);
	s->loss = (unsigned)draw(s, 4) * 10;
	s->twice = (unsigned)draw(s, 3) * 10;
	s->delay = (unsigned)draw(s, 3) * 200;
	s->w->lose = seed % 4 == 3 ? lose_buffer : NULL;
	for (unsigned i = 0; i < CALLS; i++)
		caller_start(s, i);
	while (now_ms(s->w) < RUN_MS)
		step(s);
	answer_names(s->w);
	judge(s);
	world_close(s->w);
	while (s->packet != NULL) {
		struct packet *p = s->packet;

		s->packet = p->next;
		free(p->text);
		free(p);
	}
	for (unsigned i = 0; i < s->phones; i++) {
		free(s->phone[i].request.text);
		free(s->phone[i].said_text);
	}
	for (unsigned i = 0; i < CALLS; i++) {
		free(s->name[i][0]);
		free(s->name[i][1]);
	}
	free(s);
}

static void random_calls_come_to_an_end(void **state)
{
	uint64_t first = getenv("TXN_SEED") != NULL ? strtoull(getenv("TXN_SEED"), NULL, 10) : 0;
	uint64_t n = getenv("TXN_SEEDS") != NULL ? strtoull(getenv("TXN_SEEDS"), NULL, 10) : 24;

	for (uint64_t seed = first; seed < first + n; seed++) {
		print_message("seed %llu\n", (unsigned long long)seed);
		run(seed);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_calls_come_to_an_end),
	};

	cmocka_set_test_filter(getenv("TXN_TEST"));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
