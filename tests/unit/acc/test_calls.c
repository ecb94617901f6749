/* SPDX-License-Identifier: BSD-3-Clause */
/* Calls: one record each, from the answer to whatever ends them. */
#include "common.h"

#define RELAYS "request_route { setflag(1); t_relay(); }\n"
#define CDR "SELECT callid, from_tag, to_tag, end_reason, duration FROM acc_cdrs"
#define LIFE_MS 60000

static const struct ask invite = {.from_tag = "me"};
static const struct ask bye = {.method = "BYE", .from_tag = "me", .to_tag = "it", .cseq = 2};

/* A call that is answered. */
static void begin(struct world *w, struct ask a)
{
	answer_with(w, call(w, a), "200 OK", "it", NULL);
	line_has(next_line(), "transaction answered");
}

/* A BYE that is answered so. */
static void end(struct world *w, struct ask a, const char *status)
{
	ask(w, a);
	answer(w, take_request(w, "BYE", BOB), status);
}

static void skip_lines(unsigned n)
{
	while (n-- > 0)
		next_line();
}

static void finish(struct world *w)
{
	take_all(w);
	acc_close(w);
}

static void a_call_has_one_record(void **state)
{
	struct world *w = acc_world(FLAGS CDRS "modparam(\"acc\", \"cdr_extra\", \"\")\n" RELAYS);

	begin(w, invite);
	assert_int_equal(acc_counted(ACC_COUNTER_CALLS_NOW), 1);
	pass(w, 12340);
	end(w, bye, "200 OK");
	line_has(next_line(), "method=BYE");
	line_has(next_line(),
		";duration=12.340;call_id=call;from_tag=me;to_tag=it;"
		"caller=sip:alice@example.org;callee=sip:bob@10.2.0.1;end_reason=bye caller");
	assert_string_equal(rows_of(CDR, 1), "call|me|it|bye caller|12.34");
	assert_string_equal(rows_of("SELECT caller, callee FROM acc_cdrs", 1),
		"sip:alice@example.org|sip:bob@10.2.0.1");
	assert_string_equal(rows_of("SELECT CAST(strftime('%s', end_time) AS INTEGER) - "
				    "CAST(strftime('%s', start_time) AS INTEGER) BETWEEN 12 AND 13 "
				    "FROM acc_cdrs",
				    1),
		"1");
	assert_int_equal(acc_counted(ACC_COUNTER_CALLS_NOW), 0);
	/* It comes again, later than its transaction lives. */
	pass(w, 2 * T64);
	end(w, (struct ask){.method = "BYE", .from_tag = "me", .to_tag = "it", .cseq = 3},
		"481 Gone");
	assert_int_equal(count_rows("acc_cdrs"), 1);
	finish(w);
}

static void either_side_ends_it(void **state)
{
	struct world *w = acc_world(FLAGS CDRS RELAYS);

	begin(w, invite);
	end(w, (struct ask){.method = "BYE", .from_tag = "it", .to_tag = "me", .cseq = 9},
		"200 OK");
	assert_string_equal(rows_of("SELECT from_tag, to_tag, end_reason FROM acc_cdrs", 1),
		"me|it|bye callee");
	skip_lines(2);
	finish(w);
}

static void the_bye_need_not_be_marked(void **state)
{
	struct world *w = acc_world(
		FLAGS CDRS "request_route { if (is_method(\"INVITE\")) setflag(2); t_relay(); }\n");

	answer_with(w, call(w, invite), "200 OK", "it", NULL);
	end(w, bye, "200 OK");
	rows_of(CDR, 1);
	assert_string_equal(rows_of("SELECT method FROM acc", 1), "INVITE");
	line_has(next_line(), "ACC: call ended: ");
	finish(w);
}

static void a_call_that_is_not_marked_has_none(void **state)
{
	struct world *w = acc_world(FLAGS CDRS "request_route { t_relay(); }\n");

	answer_with(w, call(w, invite), "200 OK", "it", NULL);
	end(w, bye, "200 OK");
	assert_int_equal(acc_counted(ACC_COUNTER_CALLS), 0);
	assert_int_equal(count_rows("acc_cdrs"), 0);
	finish(w);
}

static void ringing_counts_unless_that_is_not_wanted(void **state)
{
	struct world *w = acc_world(FLAGS "modparam(\"acc\", \"cdr_enable\", 1)\n" RELAYS);
	const struct sent *m = call(w, invite);

	pass(w, 3000);
	answer_with(w, m, "200 OK", "it", NULL);
	pass(w, 2000);
	end(w, bye, "200 OK");
	skip_lines(2);
	line_has(next_line(), ";duration=5.000;");
	take_all(w);
	acc_close(w);
	w = acc_world(FLAGS CDRS RELAYS);
	m = call(w, invite);
	pass(w, 3000);
	answer_with(w, m, "200 OK", "it", NULL);
	pass(w, 2000);
	end(w, bye, "200 OK");
	skip_lines(2);
	line_has(next_line(), ";duration=2.000;");
	finish(w);
}

static void each_phone_that_answers_is_a_call(void **state)
{
	struct world *w =
		acc_world(FLAGS CDRS "modparam(\"acc\", \"cdr_extra\", \"s=$hdr(Subject)\")\n"
				     "request_route { setflag(1); append_branch(\"sip:carol@" CAROL
				     "\"); t_relay(); }\n");
	const struct sent *bob, *carol;

	run_sql("ALTER TABLE acc_cdrs ADD COLUMN s VARCHAR(255)");
	bob = call(w, (struct ask){.from_tag = "me", .more = "Subject: both\n"});
	carol = take_request(w, "INVITE", CAROL);
	answer_with(w, carol, "200 OK", "carol", NULL);
	pass(w, 1000);
	for (unsigned i = 0; i < 3; i++) /* it comes again, and again */
		answer_with(w, bob, "200 OK", "bob", NULL);
	answer_with(w, carol, "200 OK", "carol", NULL);
	assert_int_equal(acc_counted(ACC_COUNTER_CALLS), 2);
	pass(w, 1000);
	for (unsigned i = 0; i < 2; i++) {
		ask(w, (struct ask){.method = "BYE",
			       .from_tag = "me",
			       .to_tag = i == 0 ? "bob" : "carol",
			       .cseq = 2 + i});
		answer(w, take_request(w, "BYE", BOB), "200 OK");
	}
	assert_string_equal(rows_of("SELECT to_tag, s, duration FROM acc_cdrs ORDER BY to_tag", 2),
		"bob|both|1.0\ncarol|both|2.0");
	skip_lines(5);
	finish(w);
}

static void a_reinvite_begins_nothing(void **state)
{
	struct world *w = acc_world(FLAGS CDRS RELAYS);

	begin(w, invite);
	answer_with(w, call(w, (struct ask){.from_tag = "me", .to_tag = "it", .cseq = 2}), "200 OK",
		"it", NULL);
	answer_with(w, call(w, (struct ask){.from_tag = "it", .to_tag = "me", .cseq = 7}), "200 OK",
		"me", NULL);
	assert_int_equal(acc_counted(ACC_COUNTER_CALLS), 1);
	skip_lines(2);
	end(w, (struct ask){.method = "BYE", .from_tag = "me", .to_tag = "it", .cseq = 3},
		"200 OK");
	rows_of(CDR, 1);
	skip_lines(2);
	finish(w);
}

static void a_challenge_ends_nothing(void **state)
{
	struct world *w = acc_world(FLAGS CDRS RELAYS);

	begin(w, invite);
	end(w, bye, "407 Proxy Authentication Required");
	end(w, (struct ask){.method = "BYE", .from_tag = "me", .to_tag = "it", .cseq = 3},
		"500 No");
	assert_int_equal(acc_counted(ACC_COUNTER_CALLS_NOW), 1);
	pass(w, 1000);
	end(w, (struct ask){.method = "BYE", .from_tag = "me", .to_tag = "it", .cseq = 4},
		"481 Gone");
	assert_string_equal(rows_of(CDR, 1), "call|me|it|bye caller 481|1.0");
	skip_lines(1);
	finish(w);
}

static void a_bye_of_somebody_else_ends_nothing(void **state)
{
	struct world *w = acc_world(FLAGS CDRS RELAYS);
	static const struct ask strangers[] = {
		{.method = "BYE", .from_tag = "me", .to_tag = "other", .cseq = 2},
		{.method = "BYE", .from_tag = "it", .to_tag = "it", .cseq = 3},
		{.method = "BYE", .from_tag = "me", .to_tag = "it", .call = "another", .cseq = 4}};

	begin(w, invite);
	for (unsigned i = 0; i < 3; i++) {
		end(w, strangers[i], "200 OK");
		skip_lines(1);
	}
	assert_int_equal(acc_counted(ACC_COUNTER_CALLS_NOW), 1);
	assert_int_equal(count_rows("acc_cdrs"), 0);
	finish(w);
}

/* One that goes nowhere tells nobody: the call goes on, whoever is told otherwise. */
static void a_bye_that_is_not_forwarded_ends_nothing(void **state)
{
	struct world *w =
		acc_world(FLAGS CDRS "request_route { setflag(1);\n"
				     " if ($rU == \"ours\") t_reply(\"200\", \"OK\");\n"
				     " else if ($rU == \"gone\") t_reply(\"481\", \"Gone\");\n"
				     " else t_relay(); }\n");
	static const char *const uri[] = {"sip:ours@10.2.0.1", "sip:gone@10.2.0.1"};
	struct ask ends = bye;

	begin(w, invite);
	for (unsigned i = 0; i < 2; i++) {
		ends.uri = uri[i];
		ends.cseq = 2 + i;
		ask(w, ends);
	}
	assert_int_equal(requests_sent(w, "BYE"), 0);
	line_has(next_line(), "method=BYE");
	assert_int_equal(acc_counted(ACC_COUNTER_CALLS_NOW), 1);
	pass(w, 1000);
	end(w, (struct ask){.method = "BYE", .from_tag = "me", .to_tag = "it", .cseq = 4},
		"200 OK");
	assert_string_equal(rows_of(CDR, 1), "call|me|it|bye caller|1.0");
	skip_lines(2);
	finish(w);
}

static void nobody_answers_the_bye(void **state)
{
	struct world *w = acc_world(FLAGS CDRS RELAYS);

	begin(w, invite);
	pass(w, 5000);
	ask(w, bye);
	pass(w, T64 + LATE_MS);
	/* Until it came, not until it was given up. */
	assert_string_equal(rows_of(CDR, 1), "call|me|it|bye caller 408|5.0");
	skip_lines(1);
	finish(w);
}

static unsigned expire(struct world *w, uint64_t ms)
{
	pass(w, ms);
	return acc_poll(the_acc(), 0, w->now_ns);
}

static void a_call_that_does_not_end_is_said_to_be_so(void **state)
{
	struct world *w =
		acc_world(FLAGS CDRS "modparam(\"acc\", \"cdr_lifetime\", 60)\n"
				     "modparam(\"acc\", \"cdr_expired_dlg_enable\", 1)\n" RELAYS);

	begin(w, invite);
	assert_int_equal(expire(w, LIFE_MS - 1000), 0);
	assert_int_equal(expire(w, 1000), 1);
	assert_int_equal(expire(w, 1000), 0);
	line_has(next_line(), "ACC: call expired: ");
	assert_string_equal(rows_of(CDR, 1), "call|me|it|expired|60.0");
	end(w, bye, "200 OK");
	skip_lines(1);
	assert_int_equal(acc_counted(ACC_COUNTER_CALLS_EXPIRED), 1);
	assert_int_equal(count_rows("acc_cdrs"), 1);
	finish(w);
}

static void it_is_not_billed_unless_that_is_wanted(void **state)
{
	struct world *w = acc_world(FLAGS CDRS "modparam(\"acc\", \"cdr_lifetime\", 60)\n" RELAYS);

	begin(w, invite);
	assert_int_equal(expire(w, LIFE_MS), 1);
	line_has(next_line(), "end_reason=expired");
	assert_int_equal(count_rows("acc_cdrs"), 0);
	finish(w);
}

static void a_call_that_fails(void **state)
{
	struct world *w = acc_world(FLAGS CDRS RELAYS);

	refuse(w, call(w, invite), "486 Busy Here");
	ack(w, invite, take_response(w, 486, "INVITE"));
	line_has(next_line(), "ACC: call failed: ");
	assert_string_equal(rows_of(CDR, 1), "call|me|t10.2.0.1|failed 486|0.0");
	take_all(w);
	acc_close(w);
	w = acc_world(FLAGS CDRS "modparam(\"acc\", \"cdr_on_failed\", 0)\n" RELAYS);
	refuse(w, call(w, invite), "486 Busy Here");
	ack(w, invite, take_response(w, 486, "INVITE"));
	assert_int_equal(count_rows("acc_cdrs"), 0);
	finish(w);
}

/* There is room for two: the oldest makes room for the third, and has its record. Whoever fills the
 * table ends his own calls. */
static void there_is_no_room_for_more(void **state)
{
	struct world *w = acc_world_of(FLAGS CDRS RELAYS, 2);
	struct ask ends = bye;

	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < 3; i++) {
			begin(w,
				(struct ask){.from_tag = "me", .call = printed("%u-%u", round, i)});
			pass(w, 1000);
		}
		line_has(next_line(), "ACC: call displaced: ");
		assert_int_equal(acc_counted(ACC_COUNTER_CALLS_NOW), 2);
		for (unsigned i = 0; i < 3; i++) {
			ends.call = printed("%u-%u", round, i);
			end(w, ends, "200 OK");
		}
		skip_lines(3 + 2);
		rows_of(CDR, 3 * (round + 1));
		assert_string_equal(
			rows_of(printed("SELECT end_reason, duration FROM acc_cdrs WHERE callid = "
					"'%u-0'",
					round),
				1),
			"displaced|2.0");
		assert_int_equal(acc_counted(ACC_COUNTER_CALLS_DISPLACED), round + 1);
		assert_int_equal(acc_counted(ACC_COUNTER_CALLS_FULL), 0);
		assert_int_equal(acc_counted(ACC_COUNTER_CALLS_NOW), 0);
		take_all(w);
	}
	finish(w);
}

/* Ends in any order: the list of who expires next stays whole. */
static void many_calls(void **state)
{
	enum { CALLS = 300 };
	struct world *w =
		acc_world_of(FLAGS CDRS "modparam(\"acc\", \"cdr_lifetime\", 60)\n" RELAYS, CALLS);
	unsigned over = 0;
	struct ask ends = bye;

	for (unsigned i = 0; i < CALLS; i++)
		begin(w, (struct ask){.from_tag = "me", .call = printed("c%u", i)});
	for (unsigned i = 0; i < CALLS; i += 3) {
		ends.call = printed("c%u", (i * 7) % CALLS);
		end(w, ends, "200 OK");
		skip_lines(2);
	}
	rows_of(CDR, CALLS / 3);
	pass(w, LIFE_MS);
	for (unsigned n = 1; n != 0; over += n)
		n = acc_poll(the_acc(), 0, w->now_ns);
	assert_int_equal(over, CALLS);
	assert_int_equal(acc_counted(ACC_COUNTER_CALLS_EXPIRED), CALLS - CALLS / 3);
	assert_int_equal(acc_counted(ACC_COUNTER_CALLS_NOW), 0);
	skip_lines(CALLS - CALLS / 3);
	begin(w, (struct ask){.from_tag = "me", .call = "one-more"});
	finish(w);
}

/* A Call-ID, tags and URIs as long as they can be. */
static void long_texts(void **state)
{
	struct world *w = acc_world(FLAGS CDRS RELAYS);
	char call_id[401], tag[401], uri[600];
	struct ask a = {.call = call_id, .from_tag = tag, .uri = uri, .branch = "b1"}, ends = bye;

	memset(call_id, 'c', 400);
	memset(tag, 't', 400);
	call_id[400] = tag[400] = '\0';
	snprintf(uri, sizeof(uri), "sip:%.390s@10.2.0.1", call_id);
	begin(w, a);
	ends.call = call_id;
	ends.from_tag = tag;
	ends.branch = "b2";
	end(w, ends, "200 OK");
	skip_lines(2);
	assert_string_equal(
		rows_of("SELECT length(callid), length(from_tag), length(callee), to_tag FROM "
			"acc_cdrs",
			1),
		"255|128|255|it");
	finish(w);
}

/* A call that comes by twice, to be forwarded elsewhere, is one. */
static void a_spiral_is_one_call(void **state)
{
	struct world *w = acc_world_unobserved(FLAGS CDRS RELAYS);

	begin(w, invite);
	begin(w, (struct ask){
			 .from_tag = "me", .branch = "again", .cseq = 1, .uri = "sip:x@10.2.0.1"});
	assert_int_equal(acc_counted(ACC_COUNTER_CALLS), 1);
	finish(w);
}

/* Nobody has his calls for nothing by giving them all one Call-ID and From tag. */
static void one_call_id_and_many_calls(void **state)
{
	enum { CALLS = 40 };
	struct world *w = acc_world_unobserved(FLAGS CDRS RELAYS);

	for (unsigned i = 0; i < CALLS; i++) {
		answer_with(w, call(w, (struct ask){.from_tag = "me", .cseq = 1 + i}), "200 OK",
			printed("t%u", i), NULL);
		take_all(w);
	}
	assert_int_equal(acc_counted(ACC_COUNTER_CALLS), CALLS);
	assert_int_equal(acc_counted(ACC_COUNTER_CALLS_FULL), 0);
	for (unsigned i = 0; i < CALLS; i++) {
		end(w,
			(struct ask){.method = "BYE",
				.from_tag = "me",
				.to_tag = printed("t%u", i),
				.cseq = 100 + i},
			"200 OK");
		take_all(w);
	}
	rows_of(CDR, CALLS);
	skip_lines(3 * CALLS);
	finish(w);
}

#define EXTRA(list) FLAGS CDRS "modparam(\"acc\", \"cdr_extra\", \"" list "\")\n" RELAYS

/* What a caller writes into one field is not to stand in another, that of who pays for it. */
static void other_extra_fields_while_calls_last(void **state)
{
	struct world *w;
	struct ask asks = {.from_tag = "me", .more = "Subject: bob-pays\n"}, ends = bye;

	w = acc_world(EXTRA("account=$fU;s=$hdr(Subject)"));
	run_sql("ALTER TABLE acc_cdrs ADD COLUMN s VARCHAR(255) NOT NULL DEFAULT ''");
	run_sql("ALTER TABLE acc_cdrs ADD COLUMN account VARCHAR(255) NOT NULL DEFAULT ''");
	begin(w, asks);
	asks.call = "stays";
	begin(w, asks);
	acc_reload(w, EXTRA("s=$hdr(Subject);account=$fU"));
	end(w, ends, "200 OK");
	assert_string_equal(rows_of("SELECT account, s FROM acc_cdrs", 1), "|");
	next_line();
	line_has(next_line(), ";s=;account=");
	/* The list is what it was, however it is spelled. */
	acc_reload(w, EXTRA(" account = $fU ; s=$hdr(Subject);"));
	ends.call = "stays";
	end(w, ends, "200 OK");
	assert_string_equal(rows_of("SELECT account, s FROM acc_cdrs WHERE callid = 'stays'", 1),
		"alice|bob-pays");
	skip_lines(2);
	finish(w);
}

static struct world *forking_world(void)
{
	return acc_world_unobserved(
		FLAGS CDRS "request_route { setflag(1); append_branch(\"sip:carol@" CAROL
			   "\"); t_relay(); }\n");
}

static void bye_of(struct world *w, const char *to_tag, unsigned cseq)
{
	end(w, (struct ask){.method = "BYE", .from_tag = "me", .to_tag = to_tag, .cseq = cseq},
		"200 OK");
}

/* Copies of a 2xx that come behind the BYE of its call begin none, while those of other phones do.
 */
static void a_2xx_that_comes_again_after_the_bye(void **state)
{
	struct world *w = forking_world();
	const struct sent *bob = call(w, invite), *carol = take_request(w, "INVITE", CAROL);

	answer_with(w, bob, "200 OK", "bob", NULL);
	bye_of(w, "bob", 2);
	answer_with(w, bob, "200 OK", "bob", NULL);
	assert_int_equal(acc_counted(ACC_COUNTER_CALLS_NOW), 0);
	answer_with(w, carol, "200 OK", "carol", NULL);
	answer_with(w, bob, "200 OK", "bob", NULL);
	assert_int_equal(acc_counted(ACC_COUNTER_CALLS_NOW), 1);
	pass(w, 1000);
	bye_of(w, "carol", 3);
	assert_int_equal(acc_counted(ACC_COUNTER_CALLS), 2);
	rows_of(CDR, 2);
	/* A BYE that comes again ends nothing again. */
	bye_of(w, "bob", 4);
	assert_int_equal(count_rows("acc_cdrs"), 2);
	assert_int_equal(acc_counted(ACC_COUNTER_CALLS_ENDED), 2);
	/* Both are forgotten. */
	skip_lines((unsigned)acc_counted(ACC_COUNTER_LINES));
	assert_int_equal(expire(w, T64 + 1000), 2);
	finish(w);
}

/* The same names once more, and at once: that is another call, which is paid for. */
static void a_call_that_looks_like_one_that_ended(void **state)
{
	struct world *w = acc_world_unobserved(FLAGS CDRS RELAYS);

	for (unsigned i = 0; i < 3; i++) {
		begin(w, (struct ask){.from_tag = "me", .cseq = 1 + 10 * i});
		bye_of(w, "it", 2 + 10 * i);
		skip_lines(2);
		take_all(w);
	}
	rows_of(CDR, 3);
	finish(w);
}

#define RINGS_MS 2000
#define RINGS_SHORTLY "request_route { setflag(1); setflag(2); t_set_fr(2000); t_relay(); }\n"

/* A phone that is slow to answer: the caller has heard 408 when it does, and hears that, too. */
static void an_answer_behind_a_timeout_begins_a_call(void **state)
{
	struct world *w = acc_world(
		FLAGS CDRS "modparam(\"acc\", \"cdr_on_failed\", 0)\n"
			   "modparam(\"acc\", \"db_extra\", \"s=$hdr(Subject)\")\n" RINGS_SHORTLY);
	const struct ask asks = {.from_tag = "me", .more = "Subject: late\n"};
	const struct sent *m;

	run_sql("ALTER TABLE acc ADD COLUMN s VARCHAR(255)");
	m = call(w, asks);
	answer_with(w, m, "180 Ringing", "it", NULL);
	pass(w, RINGS_MS + LATE_MS);
	ack(w, asks, take_response(w, 408, "INVITE"));
	assert_int_equal(acc_counted(ACC_COUNTER_CALLS), 0);
	/* It crosses with the CANCEL, and comes again. */
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(answer_with(w, m, "200 OK", "it", NULL), FATE_SENT);
	line_has(next_line(), "code=200;reason=OK");
	assert_string_equal(rows_of("SELECT method, sip_code, from_tag, to_tag, s FROM acc", 1),
		"INVITE|200|me|it|late");
	assert_int_equal(acc_counted(ACC_COUNTER_CALLS_NOW), 1);
	pass(w, 1000);
	end(w, bye, "200 OK");
	assert_string_equal(rows_of(CDR, 1), "call|me|it|bye caller|1.0");
	assert_int_equal(acc_counted(ACC_COUNTER_CALLS), 1);
	skip_lines(2);
	finish(w);
}

/* It is another proxy that gave up, and whose phone answered all the same. */
static void an_answer_behind_a_failure_begins_a_call(void **state)
{
	struct world *w = acc_world_unobserved(FLAGS CDRS RELAYS);
	const struct sent *m = call(w, invite);

	refuse(w, m, "408 Request Timeout");
	ack(w, invite, take_response(w, 408, "INVITE"));
	line_has(next_line(), "ACC: call failed: ");
	answer_with(w, m, "200 OK", "it", NULL);
	line_has(next_line(), "code=200;reason=OK");
	/* And another phone of it. */
	answer_with(w, m, "200 OK", "other", NULL);
	assert_int_equal(acc_counted(ACC_COUNTER_CALLS), 2);
	pass(w, 1000);
	bye_of(w, "it", 2);
	bye_of(w, "other", 3);
	assert_string_equal(rows_of("SELECT to_tag, end_reason FROM acc_cdrs ORDER BY to_tag", 3),
		"it|bye caller\nother|bye caller\nt10.2.0.1|failed 408");
	skip_lines(4);
	finish(w);
}

/* Neither re-INVITEs nor what nobody has marked. */
static void a_late_answer_that_begins_nothing(void **state)
{
	struct world *w = acc_world_unobserved(
		FLAGS CDRS "request_route { if (has_totag()) setflag(1); t_relay(); }\n");
	const struct ask marked = {.from_tag = "me", .to_tag = "it", .cseq = 2};
	const struct ask other = {.from_tag = "me", .call = "not-marked"};
	const struct ask *asks[] = {&marked, &other};

	for (unsigned i = 0; i < 2; i++) {
		const struct sent *m = call(w, *asks[i]);

		refuse(w, m, "486 Busy Here");
		ack(w, *asks[i], take_response(w, 486, "INVITE"));
		answer_with(w, m, "200 OK", "it", NULL);
	}
	line_has(next_line(), "code=200;reason=OK");
	assert_int_equal(acc_counted(ACC_COUNTER_CALLS), 0);
	assert_int_equal(acc_counted(ACC_COUNTER_ANSWERED), 1);
	finish(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_call_has_one_record),
		cmocka_unit_test(either_side_ends_it),
		cmocka_unit_test(the_bye_need_not_be_marked),
		cmocka_unit_test(a_call_that_is_not_marked_has_none),
		cmocka_unit_test(ringing_counts_unless_that_is_not_wanted),
		cmocka_unit_test(each_phone_that_answers_is_a_call),
		cmocka_unit_test(a_reinvite_begins_nothing),
		cmocka_unit_test(a_challenge_ends_nothing),
		cmocka_unit_test(a_bye_of_somebody_else_ends_nothing),
		cmocka_unit_test(a_bye_that_is_not_forwarded_ends_nothing),
		cmocka_unit_test(nobody_answers_the_bye),
		cmocka_unit_test(a_call_that_does_not_end_is_said_to_be_so),
		cmocka_unit_test(it_is_not_billed_unless_that_is_wanted),
		cmocka_unit_test(a_call_that_fails),
		cmocka_unit_test(there_is_no_room_for_more),
		cmocka_unit_test(many_calls),
		cmocka_unit_test(long_texts),
		cmocka_unit_test(a_spiral_is_one_call),
		cmocka_unit_test(one_call_id_and_many_calls),
		cmocka_unit_test(other_extra_fields_while_calls_last),
		cmocka_unit_test(a_2xx_that_comes_again_after_the_bye),
		cmocka_unit_test(a_call_that_looks_like_one_that_ended),
		cmocka_unit_test(an_answer_behind_a_timeout_begins_a_call),
		cmocka_unit_test(an_answer_behind_a_failure_begins_a_call),
		cmocka_unit_test(a_late_answer_that_begins_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
