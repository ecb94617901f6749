/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * lookup() without state while who is registered changes (RFC 3261 16.11): what belongs to an
 * INVITE goes where it went, and a new one to whoever comes first now.
 */
#include "common.h"

#define REG(name, value) "modparam(\"registrar\", \"" name "\", " value ")\n"
#define LOOKUP \
	"\tif (method == \"REGISTER\") { save(\"location\"); exit; }\n\tlookup(\"location\");\n" \
	"\t$var(rc) = $rc;"

#define A "<sip:alice@198.51.100.1>"
#define B "<sip:alice@198.51.100.2>"
#define C "<sip:alice@198.51.100.3>"
#define TO_A "sip:alice@198.51.100.1"
#define TO_B "sip:alice@198.51.100.2"
#define TO_C "sip:alice@198.51.100.3"
#define NOBODY ""

/* Where a request of a transaction to a user goes: its Request-URI. */
static const char *goes_of(
	struct stage *s, const char *user, const char *method, const char *branch)
{
	static char uri[16][256];
	static unsigned at;
	char text[1024], *out = uri[at++ % 16];
	struct str to;

	snprintf(text, sizeof(text),
		"%s sip:%s@example.com SIP/2.0\n"
		"Via: SIP/2.0/UDP 198.51.100.9:5060;branch=%s\n"
		"Max-Forwards: 70\n"
		"From: <sip:bob@example.com>;tag=f2\n"
		"To: <sip:%s@example.com>%s\n"
		"Call-ID: call-of-%s\n"
		"CSeq: 1 %s\n"
		"Content-Length: 0\n\n",
		method, user, branch, user, strcmp(method, "ACK") == 0 ? ";tag=failed" : "", branch,
		method);
	assert_null(stage_send(s, text));
	assert_int_equal(s->error, SIP_OK);
	if (stage_rc(s) < 0)
		return NOBODY;
	to = route_ctx_uri(s->ctx);
	snprintf(out, sizeof(uri[0]), "%.*s", STR_FMT(to));
	return out;
}

static const char *goes(struct stage *s, const char *method, const char *branch)
{
	return goes_of(s, "alice", method, branch);
}

#define assert_goes(s, method, branch, to) assert_string_equal(goes(s, method, branch), to)

static void registers(struct stage *s, unsigned cseq, const char *contacts)
{
	char lines[512];

	snprintf(lines, sizeof(lines), "%s%s%s", contacts[0] != '\0' ? "Contact: " : "", contacts,
		contacts[0] != '\0' ? "\n" : "");
	assert_status(send_registration(s, "c1", cseq, lines), 200);
}

/* One contact in the place of all others: the instance is the same. */
static const char *replaces(struct stage *s, unsigned cseq, const char *contact)
{
	char lines[512];

	snprintf(lines, sizeof(lines), "Contact: %s;q=0.3;+sip.instance=\"<urn:x>\"\n", contact);
	return send_registration(s, "c1", cseq, lines);
}

static uint64_t counted(const struct stage *s, enum registrar_counter counter)
{
	return registrar_counter(s->registrar, counter);
}

/* What belongs to an INVITE of before goes to `was`, a new one to `now`, with what belongs to it.
 */
static void check_change(struct stage *s, const char *was, const char *now)
{
	assert_goes(s, "INVITE", "z9hG4bKnew", now);
	assert_goes(s, "CANCEL", "z9hG4bKcancelled", was);
	assert_goes(s, "INVITE", "z9hG4bKagain", was);
	assert_goes(s, "CANCEL", "z9hG4bKagain", was);
	assert_goes(s, "ACK", "z9hG4bKfailed", was);
	assert_goes(s, "INVITE", "z9hG4bKnew", now);
	/* One that went nowhere has been answered. */
	if (now[0] != '\0') {
		assert_goes(s, "CANCEL", "z9hG4bKnew", now);
		assert_goes(s, "ACK", "z9hG4bKnew", now);
	}
	/* A request that has no CANCEL. */
	assert_goes(s, "OPTIONS", "z9hG4bKother", now);
}

static void call_before(struct stage *s, const char *to)
{
	assert_goes(s, "INVITE", "z9hG4bKcancelled", to);
	assert_goes(s, "INVITE", "z9hG4bKagain", to);
	assert_goes(s, "INVITE", "z9hG4bKfailed", to);
}

static void a_better_contact_registers(void **state)
{
	struct stage *s = stage_open("", LOOKUP);

	registers(s, 1, A ";q=0.5");
	call_before(s, TO_A);
	registers(s, 2, B ";q=0.9");
	check_change(s, TO_A, TO_B);
	assert_int_equal(counted(s, REGISTRAR_COUNTER_LOOKUP_PINNED), 3);
	assert_int_equal(counted(s, REGISTRAR_COUNTER_LOOKUP_FOLLOWED), 6);
	/* All the same when the retransmissions are over, and the phone rings on. */
	stage_pass(s, 180);
	assert_goes(s, "CANCEL", "z9hG4bKcancelled", TO_A);
	assert_goes(s, "CANCEL", "z9hG4bKagain", TO_A);
	assert_goes(s, "CANCEL", "z9hG4bKnew", TO_B);
	/* It has gone again meanwhile. */
	registers(s, 3, B ";expires=0");
	assert_goes(s, "ACK", "z9hG4bKnew", TO_B);
	assert_goes(s, "INVITE", "z9hG4bKnewer", TO_A);
	assert_goes(s, "CANCEL", "z9hG4bKnewer", TO_A);
	assert_int_equal(counted(s, REGISTRAR_COUNTER_LOOKUP_PIN_FULL), 0);
	stage_close(s);
}

static void the_contact_is_removed(void **state)
{
	struct stage *s = stage_open("", LOOKUP);

	registers(s, 1, A ";q=0.9, " B ";q=0.5");
	call_before(s, TO_A);
	registers(s, 2, A ";expires=0");
	check_change(s, TO_A, TO_B);
	stage_close(s);
}

static void all_contacts_are_removed(void **state)
{
	struct stage *s = stage_open("", LOOKUP);

	registers(s, 1, A ";q=0.9, " B ";q=0.5");
	call_before(s, TO_A);
	assert_status(send_registration(s, "c1", 2, "Contact: *\nExpires: 0\n"), 200);
	check_change(s, TO_A, NOBODY);
	assert_string_equal(registered_contacts(s), "");
	registers(s, 3, C);
	assert_goes(s, "INVITE", "z9hG4bKlater", TO_C);
	assert_goes(s, "CANCEL", "z9hG4bKlater", TO_C);
	assert_goes(s, "CANCEL", "z9hG4bKcancelled", TO_A);
	stage_close(s);
}

static void the_contact_ends(void **state)
{
	struct stage *s = stage_open("", LOOKUP);

	registers(s, 1, A ";q=0.9;expires=60, " B ";q=0.5");
	stage_pass(s, 59);
	call_before(s, TO_A);
	stage_pass(s, 1);
	check_change(s, TO_A, TO_B);
	/* A sweep takes it out of what is registered, and changes nothing else. */
	assert_int_equal(location_sweep(s->location, 0, registrar_now(s->ctx), 1000), 1);
	check_change(s, TO_A, TO_B);
	stage_close(s);
}

static void the_last_contact_ends(void **state)
{
	struct stage *s = stage_open("", LOOKUP);

	registers(s, 1, A ";expires=60");
	stage_pass(s, 59);
	call_before(s, TO_A);
	stage_pass(s, 1);
	check_change(s, TO_A, NOBODY);
	location_sweep(s->location, 0, registrar_now(s->ctx), 1000);
	check_change(s, TO_A, NOBODY);
	stage_close(s);
}

/* The phone has another address: what is ringing is what was called. */
static void the_contact_is_replaced(void **state)
{
	struct stage *s = stage_open("", LOOKUP);

	assert_status(send_registration(s, "c1", 1,
			      "Supported: outbound\nContact: " A ";+sip.instance=\"<urn:x>\"\n"),
		200);
	call_before(s, TO_A);
	assert_status(send_registration(s, "c1", 2,
			      "Supported: outbound\nContact: " B ";+sip.instance=\"<urn:x>\"\n"),
		200);
	check_change(s, TO_A, TO_B);
	stage_close(s);
}

static void a_refresh_is_no_change(void **state)
{
	struct stage *s = stage_open("", LOOKUP);

	registers(s, 1, A ";q=0.5");
	call_before(s, TO_A);
	registers(s, 2, A ";q=0.7, " B ";q=0.1");
	check_change(s, TO_A, TO_A);
	assert_int_equal(counted(s, REGISTRAR_COUNTER_LOOKUP_PINNED), 0);
	assert_int_equal(counted(s, REGISTRAR_COUNTER_LOOKUP_FOLLOWED), 0);
	stage_close(s);
}

/* Through several changes, each transaction keeps to the one that was first when it began. */
static void changes_follow_each_other(void **state)
{
	struct stage *s = stage_open("", LOOKUP);

	registers(s, 1, A ";q=0.5");
	call_before(s, TO_A);
	registers(s, 2, B ";q=0.6");
	assert_goes(s, "INVITE", "z9hG4bKb", TO_B);
	assert_goes(s, "INVITE", "z9hG4bKb2", TO_B);
	registers(s, 3, C ";q=0.7");
	assert_goes(s, "INVITE", "z9hG4bKc", TO_C);
	registers(s, 4, B ";expires=0, " A ";expires=0");
	assert_goes(s, "CANCEL", "z9hG4bKcancelled", TO_A);
	assert_goes(s, "CANCEL", "z9hG4bKb", TO_B);
	assert_goes(s, "INVITE", "z9hG4bKb2", TO_B);
	stage_pass(s, 200);
	registers(s, 5, C ";expires=0, " A);
	assert_goes(s, "CANCEL", "z9hG4bKb2", TO_B);
	assert_goes(s, "CANCEL", "z9hG4bKc", TO_C);
	assert_goes(s, "INVITE", "z9hG4bKlast", TO_A);
	stage_pass(s, 211);
	assert_goes(s, "ACK", "z9hG4bKlast", TO_A);
	stage_close(s);
}

/* When no call of before can be under way, nothing is remembered any more. */
static void a_change_is_over(void **state)
{
	struct stage *s = stage_open("", LOOKUP);
	uint64_t pinned;

	registers(s, 1, A ";q=0.5");
	registers(s, 2, B ";q=0.9");
	assert_goes(s, "INVITE", "z9hG4bK1", TO_B);
	pinned = counted(s, REGISTRAR_COUNTER_LOOKUP_PINNED);
	assert_int_equal(pinned, 1);
	stage_pass(s, LOCATION_WINDOW - 1);
	assert_goes(s, "INVITE", "z9hG4bK2", TO_B);
	assert_int_equal(counted(s, REGISTRAR_COUNTER_LOOKUP_PINNED), pinned + 1);
	stage_pass(s, 1);
	assert_goes(s, "INVITE", "z9hG4bK3", TO_B);
	assert_goes(s, "CANCEL", "z9hG4bK2", TO_B);
	assert_int_equal(counted(s, REGISTRAR_COUNTER_LOOKUP_PINNED), pinned + 1);
	stage_close(s);
}

/* RFC 2543 clients have one branch for all, or none. */
static void a_branch_without_the_cookie(void **state)
{
	struct stage *s = stage_open("", LOOKUP);

	registers(s, 1, A ";q=0.5");
	assert_goes(s, "INVITE", "1", TO_A);
	registers(s, 2, B ";q=0.9");
	assert_goes(s, "INVITE", "2", TO_B);
	assert_goes(s, "INVITE", "1", TO_A);
	assert_goes(s, "CANCEL", "1", TO_A);
	assert_goes(s, "CANCEL", "2", TO_B);
	stage_close(s);
}

/* An INVITE that came longer ago than one is retransmitted is none that comes again. */
static void an_invite_of_long_ago_is_new(void **state)
{
	struct stage *s = stage_open("", LOOKUP);

	registers(s, 1, A ";q=0.5");
	assert_goes(s, "INVITE", "z9hG4bK1", TO_A);
	stage_pass(s, 20);
	registers(s, 2, B ";q=0.9");
	stage_pass(s, 20);
	assert_goes(s, "INVITE", "z9hG4bK1", TO_B);
	assert_goes(s, "CANCEL", "z9hG4bK1", TO_B);
	stage_close(s);
}

/* Who comes first for an INVITE, where not every contact takes one. */
static void methods_decide_who_comes_first(void **state)
{
	struct stage *s = stage_open(REG("method_filtering", "1"), LOOKUP);

	/* A's Allow lacks INVITE, B's CANCEL and ACK. */
	registers(s, 1,
		A ";q=0.9;methods=\"MESSAGE, OPTIONS, CANCEL, ACK\", " B
		  ";q=0.5;methods=\"INVITE\"");
	assert_goes(s, "INVITE", "z9hG4bK1", TO_B);
	assert_goes(s, "CANCEL", "z9hG4bK1", TO_B);
	assert_goes(s, "ACK", "z9hG4bK1", TO_B);
	assert_goes(s, "OPTIONS", "z9hG4bK2", TO_A);
	registers(s, 2, C ";q=0.6;methods=\"INVITE\"");
	assert_goes(s, "OPTIONS", "z9hG4bK3", TO_A);
	assert_goes(s, "INVITE", "z9hG4bK4", TO_C);
	assert_goes(s, "CANCEL", "z9hG4bK4", TO_C);
	assert_goes(s, "CANCEL", "z9hG4bK1", TO_B);
	stage_close(s);
}

/* Where methods do not count, they say nothing of who comes first. */
static void methods_that_do_not_count(void **state)
{
	struct stage *s = stage_open("", LOOKUP);

	registers(s, 1, A ";q=0.9;methods=\"MESSAGE\", " B ";q=0.5");
	assert_goes(s, "INVITE", "z9hG4bK1", TO_A);
	registers(s, 2, A ";expires=0");
	assert_goes(s, "CANCEL", "z9hG4bK1", TO_A);
	assert_goes(s, "INVITE", "z9hG4bK1", TO_A);
	assert_goes(s, "INVITE", "z9hG4bK2", TO_B);
	stage_close(s);
}

static void the_way_is_the_contact_s_of_then(void **state)
{
	struct stage *s = stage_open(REG("use_path", "1"), LOOKUP);
	struct str du;

	assert_status(send_registration(s, "c1", 1,
			      "Supported: path\nPath: <sip:p1.example.net;lr>\nContact: " A "\n"),
		200);
	assert_goes(s, "INVITE", "z9hG4bK1", TO_A);
	assert_status(send_registration(s, "c1", 2,
			      "Supported: path\nPath: <sip:p2.example.net;lr>\nContact: " A "\n"),
		200);
	assert_goes(s, "CANCEL", "z9hG4bK1", TO_A);
	du = route_text_str(s->ctx, s->ctx->du);
	assert_true(str_eq(du, STR("sip:p1.example.net;lr")));
	assert_goes(s, "INVITE", "z9hG4bK2", TO_A);
	du = route_text_str(s->ctx, s->ctx->du);
	assert_true(str_eq(du, STR("sip:p2.example.net;lr")));
	stage_close(s);
}

/* The others are still branches, each once. */
static void the_others_are_branches(void **state)
{
	struct stage *s = stage_open("", LOOKUP);

	registers(s, 1, A ";q=0.5, " B ";q=0.4");
	assert_goes(s, "INVITE", "z9hG4bK1", TO_A);
	registers(s, 2, C ";q=0.9");
	assert_goes(s, "INVITE", "z9hG4bK1", TO_A);
	assert_int_equal(s->ctx->branches, 2);
	assert_true(str_eq(route_text_str(s->ctx, s->ctx->branch[0].uri), STR(TO_C)));
	assert_true(str_eq(route_text_str(s->ctx, s->ctx->branch[1].uri), STR(TO_B)));
	registers(s, 3, A ";expires=0");
	assert_goes(s, "INVITE", "z9hG4bK1", TO_A);
	assert_int_equal(s->ctx->branches, 2);
	stage_close(s);
}

/* A request that is looked up for several is each's on its own. */
static void users_are_apart(void **state)
{
	struct stage *s = stage_open("",
		"\tif (method == \"REGISTER\") { save(\"location\"); exit; }\n"
		"\tlookup(\"location\", \"sip:carol@example.com\");\n"
		"\tlookup(\"location\", \"sip:alice@example.com\");\n\t$var(rc) = $rc;");

	registers(s, 1, A ";q=0.5");
	assert_goes(s, "INVITE", "z9hG4bK1", TO_A);
	registers(s, 2, B ";q=0.9");
	assert_goes(s, "INVITE", "z9hG4bK1", TO_A);
	assert_goes(s, "INVITE", "z9hG4bK2", TO_B);
	stage_close(s);
}

static void registered_knows_whom_a_cancel_belongs_to(void **state)
{
	struct stage *s =
		stage_open("", "\tif (method == \"REGISTER\") { save(\"location\"); exit; }\n"
			       "\tif (!registered(\"location\")) { $var(rc) = -1; exit; }\n"
			       "\tlookup(\"location\");\n\t$var(rc) = $rc;");

	registers(s, 1, A);
	call_before(s, TO_A);
	registers(s, 2, A ";expires=0");
	assert_goes(s, "CANCEL", "z9hG4bKcancelled", TO_A);
	assert_goes(s, "ACK", "z9hG4bKfailed", TO_A);
	assert_goes(s, "INVITE", "z9hG4bKnew", NOBODY);
	stage_pass(s, LOCATION_WINDOW);
	assert_goes(s, "CANCEL", "z9hG4bKcancelled", NOBODY);
	stage_close(s);
}

/* More have come first than are kept: what was pinned to one of the others is pinned anew. */
static void who_nobody_knows_any_more_is_followed_no_more(void **state)
{
	struct stage *s = stage_open("", LOOKUP);
	char contact[64];

	registers(s, 1, A ";q=0.1");
	registers(s, 2, B ";q=0.2");
	assert_goes(s, "INVITE", "z9hG4bK1", TO_B);
	registers(s, 3, B ";expires=0");
	for (unsigned i = 0; i <= LOCATION_FORMER_MAX; i++) {
		snprintf(contact, sizeof(contact), "<sip:alice@198.51.100.1%u>", i);
		assert_status(replaces(s, 4 + i, contact), 200);
	}
	assert_goes(s, "INVITE", "z9hG4bK1", "sip:alice@198.51.100.16");
	assert_goes(s, "CANCEL", "z9hG4bK1", "sip:alice@198.51.100.16");
	assert_goes(s, "CANCEL", "z9hG4bK2", TO_A);
	stage_close(s);
}

/* A pin's time comes round again: until then it has been swept. */
static void a_pin_does_not_live_again(void **state)
{
	struct stage *s = stage_open("", LOOKUP);

	registers(s, 1, A ";q=0.5");
	registers(s, 2, B ";q=0.9");
	assert_goes(s, "INVITE", "z9hG4bK1", TO_B);
	for (unsigned i = 0; i < 1150; i++) {
		stage_pass(s, 1);
		registrar_tick(s->registrar, s->thread.now_ns);
	}
	registers(s, 3, B ";expires=0");
	assert_goes(s, "INVITE", "z9hG4bK1", TO_A);
	stage_close(s);
}

/* ---- where there is no room for a pin ---- */

/* Another user's first contact has changed: from <user>@198.51.100.1 to ...2. */
static void user_changes(struct stage *s, const char *user)
{
	for (unsigned i = 1; i <= 2; i++) {
		char text[512];

		snprintf(text, sizeof(text),
			"REGISTER sip:example.com SIP/2.0\n"
			"Via: SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bKr%u\n"
			"Max-Forwards: 70\n"
			"From: <sip:%s@example.com>;tag=f1\n"
			"To: <sip:%s@example.com>\n"
			"Call-ID: of-%s\n"
			"CSeq: %u REGISTER\n"
			"Contact: <sip:%s@198.51.100.%u>;q=0.%u\n"
			"Content-Length: 0\n\n",
			i, user, user, user, i, user, i, i);
		assert_status(stage_send(s, text), 200);
	}
}

/* Calls of one source to a user who has changed; returns how many went to who comes first now. */
static unsigned calls_that_go(struct stage *s, const char *user, unsigned calls)
{
	char branch[64], to[64];
	unsigned go = 0;

	snprintf(to, sizeof(to), "sip:%s@198.51.100.2", user);
	for (unsigned i = 0; i < calls; i++) {
		snprintf(branch, sizeof(branch), "z9hG4bK%s-%u", user, i);
		go += strcmp(goes_of(s, user, "INVITE", branch), to) == 0;
	}
	return go;
}

static bool calls_go(struct stage *s, const char *user, unsigned calls)
{
	return calls_that_go(s, user, calls) == calls;
}

/*
 * A note has 24 bits of a key that is drawn anew in each run: of 60,000 calls beside as many notes
 * one takes another's note for its own in one run of a hundred or two, and so many in none.
 */
#define MISTAKEN 16

/* Who calls himself over and over, while his contacts change, has his own share of the pins. */
static void one_user_does_not_take_the_pins_of_others(void **state)
{
	struct stage *s = stage_open_pins("", LOOKUP, 4096);
	uint64_t pinned, followed;

	user_changes(s, "mallory");
	assert_in_range(calls_that_go(s, "mallory", 60000), 60000 - MISTAKEN, 60000);
	pinned = counted(s, REGISTRAR_COUNTER_LOOKUP_PINNED);
	followed = counted(s, REGISTRAR_COUNTER_LOOKUP_FOLLOWED);
	assert_in_range(pinned, 4096 / REGISTRAR_PINS_AOR_PART / 2, 4096 / 2);
	assert_in_range(followed, 0, MISTAKEN);
	assert_int_equal(counted(s, REGISTRAR_COUNTER_LOOKUP_PIN_SHARE), 60000 - pinned - followed);
	s->source.addr.b[3]++;
	user_changes(s, "bob");
	assert_true(calls_go(s, "bob", 4));
	assert_int_equal(counted(s, REGISTRAR_COUNTER_LOOKUP_PINNED), pinned + 4);
	assert_int_equal(counted(s, REGISTRAR_COUNTER_LOOKUP_PIN_FULL), 0);
	/* His share comes back as his calls end. */
	stage_pass(s, 150);
	user_changes(s, "mallory2");
	assert_true(calls_go(s, "mallory2", 2));
	assert_int_equal(counted(s, REGISTRAR_COUNTER_LOOKUP_PINNED), pinned + 6);
	stage_close(s);
}

/* Nor does one source that calls many users. */
static void one_source_does_not_take_the_pins_of_others(void **state)
{
	struct stage *s = stage_open_pins("", LOOKUP, 4096);
	char user[16];
	uint64_t pinned, followed;
	unsigned go = 0;

	for (unsigned i = 0; i < 1000; i++) {
		snprintf(user, sizeof(user), "u%u", i);
		user_changes(s, user);
		go += calls_that_go(s, user, 8);
	}
	assert_in_range(go, 8000 - MISTAKEN, 8000);
	pinned = counted(s, REGISTRAR_COUNTER_LOOKUP_PINNED);
	followed = counted(s, REGISTRAR_COUNTER_LOOKUP_FOLLOWED);
	assert_in_range(followed, 0, MISTAKEN);
	assert_in_range(pinned, 4096 / 4, 4096 / 2 + 4096 / REGISTRAR_PINS_SOURCE_PART);
	assert_int_equal(counted(s, REGISTRAR_COUNTER_LOOKUP_PIN_SHARE), 8000 - pinned - followed);
	/* A user, or a source, may share its part with one that has used it up, by the chance of
	 * the keys: not all of these. The first eight calls are those of before, and have been
	 * noted. */
	for (unsigned i = 992; i < 1000; i++) {
		s->source.addr.b[3]++;
		snprintf(user, sizeof(user), "u%u", i);
		assert_true(calls_go(s, user, 16));
	}
	assert_true(counted(s, REGISTRAR_COUNTER_LOOKUP_PINNED) > pinned);
	assert_int_equal(counted(s, REGISTRAR_COUNTER_LOOKUP_PIN_FULL), 0);
	stage_close(s);
}

/* A call that nobody can pin is a call all the same: it goes to who comes first, and what belongs
 * to it follows as long as this thread knows it. */
static void without_room_for_a_pin_calls_go_on(void **state)
{
	struct stage *s = stage_open_pins("", LOOKUP, 64);
	uint64_t full, pinned;
	char user[16];

	registers(s, 1, A ";q=0.5");
	call_before(s, TO_A);
	registers(s, 2, B ";q=0.9");
	/* Many sources and many users, so that nobody's share is what ends it. */
	for (unsigned i = 0; counted(s, REGISTRAR_COUNTER_LOOKUP_PIN_FULL) < 1000; i++) {
		assert_true(i < 60000);
		snprintf(user, sizeof(user), "u%u", i);
		user_changes(s, user);
		s->source.addr.b[2] = (uint8_t)(i >> 8);
		s->source.addr.b[3] = (uint8_t)i;
		assert_true(calls_go(s, user, 1));
	}
	full = counted(s, REGISTRAR_COUNTER_LOOKUP_PIN_FULL);
	pinned = counted(s, REGISTRAR_COUNTER_LOOKUP_PINNED);
	assert_true(pinned >= 64);
	for (unsigned i = 0; i < 40; i++) {
		char branch[32];

		snprintf(branch, sizeof(branch), "z9hG4bKnew%u", i);
		check_change(s, TO_A, TO_B);
		assert_goes(s, "INVITE", branch, TO_B);
	}
	assert_true(counted(s, REGISTRAR_COUNTER_LOOKUP_PIN_FULL) +
			    counted(s, REGISTRAR_COUNTER_LOOKUP_PIN_SHARE) >
		    full + 20);
	/* Another change parts nothing of it, nor a phone that has gone. */
	registers(s, 3, C ";q=1, " B ";expires=0");
	stage_pass(s, 20);
	for (unsigned i = 0; i < 40; i++) {
		char branch[32];

		snprintf(branch, sizeof(branch), "z9hG4bKnew%u", i);
		assert_goes(s, "INVITE", branch, TO_B);
		stage_pass(s, i == 39 ? 150 : 0);
		assert_goes(s, "CANCEL", branch, TO_B);
		assert_goes(s, "ACK", branch, TO_B);
	}
	assert_goes(s, "CANCEL", "z9hG4bKcancelled", TO_A);
	/* When the others have ended there is room again. */
	for (unsigned i = 0; i < 250; i++) {
		stage_pass(s, 1);
		registrar_tick(s->registrar, s->thread.now_ns);
		if (i == 100)
			registers(s, 4, A ";q=1, " C ";q=0.1");
	}
	pinned = counted(s, REGISTRAR_COUNTER_LOOKUP_PINNED);
	assert_goes(s, "INVITE", "z9hG4bKlater", TO_A);
	assert_int_equal(counted(s, REGISTRAR_COUNTER_LOOKUP_PINNED), pinned + 1);
	stage_close(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_better_contact_registers),
		cmocka_unit_test(the_contact_is_removed),
		cmocka_unit_test(all_contacts_are_removed),
		cmocka_unit_test(the_contact_ends),
		cmocka_unit_test(the_last_contact_ends),
		cmocka_unit_test(the_contact_is_replaced),
		cmocka_unit_test(a_refresh_is_no_change),
		cmocka_unit_test(changes_follow_each_other),
		cmocka_unit_test(a_change_is_over),
		cmocka_unit_test(a_branch_without_the_cookie),
		cmocka_unit_test(an_invite_of_long_ago_is_new),
		cmocka_unit_test(methods_decide_who_comes_first),
		cmocka_unit_test(methods_that_do_not_count),
		cmocka_unit_test(the_way_is_the_contact_s_of_then),
		cmocka_unit_test(the_others_are_branches),
		cmocka_unit_test(users_are_apart),
		cmocka_unit_test(registered_knows_whom_a_cancel_belongs_to),
		cmocka_unit_test(who_nobody_knows_any_more_is_followed_no_more),
		cmocka_unit_test(a_pin_does_not_live_again),
		cmocka_unit_test(one_user_does_not_take_the_pins_of_others),
		cmocka_unit_test(one_source_does_not_take_the_pins_of_others),
		cmocka_unit_test(without_room_for_a_pin_calls_go_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
