/* SPDX-License-Identifier: BSD-3-Clause */
/* What stands in rows and lines: extra fields, and texts that somebody chose with care. */
#include "common.h"

#include <syslog.h>

#include "base/log.h"

#define RELAYS \
	"request_route { setflag(1); setflag(2); $avp(n) = 7; $avp(t) = \"x\";" \
	" $avp(v) = \"of the run\"; t_relay(); }\n"

static const struct ask invite = {.from_tag = "me"};

static const char *columns(const char *names)
{
	char *list = strdup(names), *save = NULL;

	for (char *one = strtok_r(list, ",", &save); one != NULL; one = strtok_r(NULL, ",", &save))
		run_sql(printed("ALTER TABLE acc ADD COLUMN %s VARCHAR(255)", one));
	free(list);
	return names;
}

/* A call that is answered, and the row that is asked for. */
static const char *row_of(struct world *w, struct ask a, const char *status, const char *what)
{
	answer_with(w, call(w, a), status, "it", NULL);
	return rows_of(printed("SELECT %s FROM acc", what), 1);
}

static void extra_fields_are_variables(void **state)
{
	struct world *w = acc_world(FLAGS "modparam(\"acc\", \"db_extra\", \"caller=$fu; n=$avp(n) "
					  ";user=$(ru{uri.user});none=$avp(none);"
					  "subject=$hdr(Subject);code=$rs\")\n"
					  "modparam(\"acc\", \"log_extra\", "
					  "\"v=$avp(v);t=$avp(t);none=$avp(none)\")\n" RELAYS);
	struct ask a = invite;

	a.more = "Subject: a; b=c\n";
	columns("caller,n,user,none,subject,code");
	assert_string_equal(row_of(w, a, "200 OK", "caller, n, user, none, subject"),
		"sip:alice@example.org|7|bob||a; b=c");
	line_has(next_line(), ";reason=OK;v=of the run;t=x;none=");
	take_all(w);
	acc_close(w);
}

static void what_is_not_there_is_null_where_that_is_wanted(void **state)
{
	struct world *w =
		acc_world(FLAGS "modparam(\"acc\", \"db_extra\", \"none=$avp(none);n=$avp(n)\")\n"
				"modparam(\"acc\", \"acc_extra_nullable\", 1)\n" RELAYS);

	columns("none,n");
	assert_string_equal(row_of(w, invite, "200 OK", "none, n"), "NULL|7");
	next_line();
	take_all(w);
	acc_close(w);
}

/* A tag of 500 bytes: the whole's hash stands behind what the column holds of it. */
static void a_long_tag_stays_what_it_is(void **state)
{
	struct world *w = acc_world(FLAGS RELAYS);
	char tag[501];
	struct ask a = {.from_tag = tag, .call = "1"};
	const char *first, *line;

	memset(tag, 't', 500);
	tag[500] = '\0';
	first = printed("%s", row_of(w, a, "200 OK", "from_tag"));
	assert_int_equal(strlen(first), ACC_TAG_MAX);
	assert_int_equal(strspn(first, "t"), ACC_TAG_MAX - 17);
	assert_int_equal(first[ACC_TAG_MAX - 17], '~');
	line = next_line();
	line_has(line, first);
	/* The same again, and one that differs in its last byte. */
	a.call = "2";
	answer(w, call(w, a), "200 OK");
	tag[499] = 'u';
	a.call = "3";
	answer(w, call(w, a), "200 OK");
	rows_of("SELECT 1 FROM acc", 3);
	assert_string_equal(rows_of("SELECT COUNT(DISTINCT from_tag) FROM acc", 1), "2");
	assert_string_equal(
		rows_of("SELECT COUNT(DISTINCT from_tag) FROM acc WHERE callid <> '3'", 1), "1");
	assert_true(acc_counted(ACC_COUNTER_SHORTENED) == 3);
	next_line();
	next_line();
	take_all(w);
	acc_close(w);
}

static void a_tag_that_fits_is_as_it_came(void **state)
{
	struct world *w = acc_world(FLAGS RELAYS);
	char tag[ACC_TAG_MAX + 1];

	memset(tag, 't', ACC_TAG_MAX);
	tag[ACC_TAG_MAX] = '\0';
	assert_string_equal(row_of(w, (struct ask){.from_tag = tag}, "200 OK", "from_tag"), tag);
	assert_int_equal(acc_counted(ACC_COUNTER_SHORTENED), 0);
	next_line();
	take_all(w);
	acc_close(w);
}

/* Characters stay whole where a text is shortened. */
static void a_long_text_is_shortened_between_characters(void **state)
{
	struct world *w =
		acc_world(FLAGS "modparam(\"acc\", \"db_extra\", \"s=$hdr(Subject)\")\n" RELAYS);
	char more[1024] = "Subject: x";
	struct ask a = {.more = more, .from_tag = "me"};
	const char *got;

	columns("s");
	for (unsigned i = 0; i < 100; i++)
		strcat(more, "\xe2\x82\xac"); /* the euro's sign */
	strcat(more, "\n");
	got = row_of(w, a, "200 OK", "s");
	/* x, 79 of them, and what stands for the whole: one more would be 256. */
	assert_int_equal(strlen(got), 1 + 79 * 3 + 17);
	assert_int_equal(str_utf8_len(str_c(got)), strlen(got));
	next_line();
	take_all(w);
	acc_close(w);
}

static void bytes_that_are_no_text_are_escaped(void **state)
{
	struct world *w =
		acc_world(FLAGS "modparam(\"acc\", \"db_extra\", \"s=$hdr(Subject)\")\n"
				"modparam(\"acc\", \"log_extra\", \"s=$hdr(Subject)\")\n" RELAYS);
	struct ask a = {.more = "Subject: \xff\xc3(\x80\xed\xa0\x80 \x01 \\x\n", .from_tag = "me"};

	columns("s");
	assert_string_equal(
		row_of(w, a, "200 OK", "s"), "\\xff\\xc3(\\x80\\xed\\xa0\\x80 \x01 \\x5cx");
	line_has(next_line(), ";s=\\xff\\xc3(\\x80\\xed\\xa0\\x80 \\x01 \\x5cx");
	take_all(w);
	acc_close(w);
}

/* A byte, and the text that stands for it, differ; other backslashes stand as they are. */
static void a_text_that_looks_escaped(void **state)
{
	struct world *w =
		acc_world(FLAGS "modparam(\"acc\", \"db_extra\", \"s=$hdr(Subject)\")\n" RELAYS);
	struct ask a = {.more = "Subject: \xff \\xff \\\xff a\\b \\\n", .from_tag = "me"};

	columns("s");
	assert_string_equal(row_of(w, a, "200 OK", "s"), "\\xff \\x5cxff \\\\xff a\\b \\");
	next_line();
	take_all(w);
	acc_close(w);
}

/* Columns of Latin-1, or of the shorter of MySQL's UTF-8s, refuse some characters: a tag, a Call-ID
 * or a phrase that has them does not keep its row away. */
static void names_of_a_call_are_ascii(void **state)
{
	struct world *w =
		acc_world(FLAGS "modparam(\"acc\", \"db_extra\", \"s=$hdr(Subject)\")\n"
				"modparam(\"acc\", \"cdr_enable\", 1)\n"
				"modparam(\"acc\", \"cdrs_table\", \"acc_cdrs\")\n" RELAYS);
	struct ask a = {.more = "Subject: \xe2\x98\x83\n",
		.from_tag = "\xe2\x98\x83",
		.call = "a\\x",
		.branch = "b"};
	struct ask bye = {.method = "BYE",
		.from_tag = "\xe2\x98\x83",
		.to_tag = "it",
		.call = "a\\x",
		.branch = "c",
		.cseq = 2};

	columns("s");
	assert_string_equal(row_of(w, a, "200 \xf0\x9f\x98\x80", "from_tag, callid, sip_reason, s"),
		"\\xe2\\x98\\x83|a\\x5cx|\\xf0\\x9f\\x98\\x80|\xe2\x98\x83");
	next_line();
	ask(w, bye);
	answer(w, take_request(w, "BYE", BOB), "200 OK");
	assert_string_equal(
		rows_of("SELECT from_tag, callid FROM acc_cdrs", 1), "\\xe2\\x98\\x83|a\\x5cx");
	next_line();
	next_line();
	take_all(w);
	acc_close(w);
}

static void nobody_adds_a_field_to_a_line(void **state)
{
	struct world *w =
		acc_world(FLAGS "modparam(\"acc\", \"log_extra\", \"s=$hdr(Subject)\")\n" RELAYS);
	struct ask a = {.more = "Subject: x;code=999\n", .from_tag = "me"};
	const char *line;

	answer_with(w, call(w, a), "200 O;K=\tx", "it", NULL);
	line = next_line();
	line_has(line, ";code=200;reason=O\\x3bK=\\x09x;s=x\\x3bcode=999");
	take_all(w);
	acc_close(w);
}

/* Nobody keeps a line away by what has to be escaped. */
static void a_line_of_nothing_but_separators(void **state)
{
	char script[4096] = FLAGS "modparam(\"acc\", \"log_extra\", \"", more[700] = "Subject: x";
	struct world *w;
	const char *line;

	for (unsigned i = 0; i < ACC_FIELDS_MAX; i++)
		snprintf(script + strlen(script), 128, "%063u=$hdr(Subject);", i);
	strcat(script, "\")\n" RELAYS);
	memset(more + strlen(more), ';', 600);
	strcat(more, "\n");
	w = acc_world(script);
	answer_with(w, call(w, (struct ask){.from_tag = "me", .more = more}), "200 OK", "it", NULL);
	line = next_line();
	assert_in_range(strlen(line), ACC_FIELDS_MAX * 4 * 230, UINT32_MAX);
	line_has(line, "019=x\\x3b\\x3b");
	assert_int_equal(acc_counted(ACC_COUNTER_LOG_LOST), 0);
	take_all(w);
	acc_close(w);
}

static void text_is_never_sql(void **state)
{
	struct world *w =
		acc_world(FLAGS "modparam(\"acc\", \"db_extra\", \"s=$hdr(Subject)\")\n" RELAYS);
	struct ask a = {.more = "Subject: x'); DROP TABLE acc;--\n",
		.from_tag = "'--",
		.branch = "b",
		.call = "'\"?$1"};

	columns("s");
	assert_string_equal(
		row_of(w, a, "200 '); DELETE FROM acc;--", "s, from_tag, callid, sip_reason"),
		"x'); DROP TABLE acc;--|'--|'\"?$1|'); DELETE FROM acc;--");
	next_line();
	take_all(w);
	acc_close(w);
}

static void a_method_that_nobody_knows(void **state)
{
	struct world *w = acc_world(FLAGS RELAYS);

	ask(w, (struct ask){.method = "ABCDEFGHIJKLMNOPQRSTUVW"});
	answer(w, take_request(w, "ABCDEFGHIJKLMNOPQRSTUVW", BOB), "200 OK");
	assert_string_equal(rows_of("SELECT method FROM acc", 1), "ABCDEFGHIJKLMNO~");
	next_line();
	take_all(w);
	acc_close(w);
}

static void a_reason_header_is_the_reason_where_that_is_wanted(void **state)
{
	struct world *w = acc_world(FLAGS "modparam(\"acc\", \"reason_from_hf\", 1)\n"
					  "request_route { setflag(2); setflag(5); t_relay(); }\n");
	const struct ask first = {.call = "1"}, second = {.call = "2"};

	answer_with(w, call(w, first), "486 Busy Here", "it", "Reason: Q.850;cause=17\n");
	take_request(w, "ACK", BOB);
	ack(w, first, take_response(w, 486, "INVITE"));
	refuse(w, call(w, second), "480 Away");
	ack(w, second, take_response(w, 480, "INVITE"));
	assert_string_equal(
		rows_of("SELECT sip_reason FROM acc ORDER BY id", 2), "Q.850;cause=17\nAway");
	take_all(w);
	acc_close(w);
}

/* The longest row: nothing of it is left out. */
static void twenty_long_fields(void **state)
{
	char script[4096] = FLAGS "modparam(\"acc\", \"db_extra\", \"",
	     more[600] = "Subject: ", names[64];
	struct world *w;
	const char *got;

	memset(more + 9, 's', 500);
	strcat(more, "\n");
	for (unsigned i = 0; i < ACC_FIELDS_MAX; i++)
		snprintf(script + strlen(script), 64, "f%u=$hdr(Subject);", i);
	strcat(script, "\")\nmodparam(\"acc\", \"log_extra\", \"");
	for (unsigned i = 0; i < ACC_FIELDS_MAX; i++)
		snprintf(script + strlen(script), 64, "f%u=$hdr(Subject);", i);
	strcat(script, "\")\n" RELAYS);
	w = acc_world(script);
	for (unsigned i = 0; i < ACC_FIELDS_MAX; i++) {
		snprintf(names, sizeof(names), "f%u", i);
		columns(names);
	}
	got = row_of(w, (struct ask){.from_tag = "me", .more = more}, "200 OK", "f0, f19");
	assert_int_equal(strlen(got), 2 * ACC_EXTRA_MAX + 1);
	line_has(next_line(), ";f19=sss");
	assert_int_equal(acc_counted(ACC_COUNTER_LOST), 0);
	take_all(w);
	acc_close(w);
}

static void times_are_those_of_the_day(void **state)
{
	struct world *w = acc_world(FLAGS RELAYS);
	long long before = time(NULL), said;
	const char *line;

	assert_string_equal(
		row_of(w, invite, "200 OK",
			printed("time BETWEEN datetime(%lld, 'unixepoch', 'localtime') AND "
				"datetime(%lld, 'unixepoch', 'localtime')",
				before - 2, before + 600)),
		"1");
	line = next_line();
	said = strtoll(strstr(line, "timestamp=") + 10, NULL, 10);
	assert_in_range(said, before - 2, before + 600);
	take_all(w);
	acc_close(w);
}

static void lines_have_their_facility_and_level(void **state)
{
	struct world *w =
		acc_world(FLAGS "modparam(\"acc\", \"cdr_enable\", 1)\n"
				"modparam(\"acc\", \"log_facility\", \"LOG_LOCAL3\")\n"
				"modparam(\"acc\", \"log_level\", 2)\n"
				"modparam(\"acc\", \"cdr_facility\", \"LOG_LOCAL4\")\n" RELAYS);

	answer_with(w, call(w, invite), "200 OK", "it", NULL);
	next_line();
	assert_int_equal(last_facility(), LOG_LOCAL3);
	assert_int_equal(last_level(), LOG_LEVEL_INFO);
	ask(w, (struct ask){.method = "BYE", .from_tag = "me", .to_tag = "it", .cseq = 2});
	answer(w, take_request(w, "BYE", BOB), "200 OK");
	next_line();
	next_line();
	assert_int_equal(last_facility(), LOG_LOCAL4);
	take_all(w);
	acc_close(w);
}

#define CODES "SELECT sip_code, c FROM "

/* Whatever its client has heard before, and whatever a failure_route was about. */
static void the_code_is_that_which_is_accounted(void **state)
{
	struct world *w = acc_world(
		FLAGS CDRS "modparam(\"acc\", \"db_extra\", \"c=$T_reply_code\")\n"
			   "modparam(\"acc\", \"log_extra\", \"c=$T(reply_code)\")\n"
			   "modparam(\"acc\", \"cdr_extra\", \"c=$T_reply_code\")\n"
			   "request_route { setflag(1); setflag(2); setflag(4); setflag(5);\n"
			   " t_set_fr(2000); t_on_failure(\"f\"); t_relay(); }\n"
			   "failure_route[f] { if ($T_reply_code == 486) t_reply(\"480\", \"Not \" "
			   "+ $T_reply_code); }\n");
	const struct sent *m;

	for (unsigned i = 0; i < 3; i++)
		run_sql(printed(
			"ALTER TABLE %s ADD COLUMN c VARCHAR(255)", i == 0   ? "acc"
								    : i == 1 ? "acc_cdrs"
									     : "missed_calls"));
	m = call(w, invite);
	answer(w, m, "183 Session Progress");
	answer_with(w, m, "202 Fine", "it", NULL);
	line_has(next_line(), ";code=202;reason=Fine;c=202");
	assert_string_equal(rows_of(CODES "acc", 1), "202|202");
	ask(w, (struct ask){.method = "BYE", .from_tag = "me", .to_tag = "it", .cseq = 2});
	answer(w, take_request(w, "BYE", BOB), "200 OK");
	line_has(next_line(), ";code=200;reason=OK;c=200");
	line_has(next_line(), "end_reason=bye caller;c=202");
	assert_string_equal(rows_of("SELECT c FROM acc_cdrs", 1), "202");
	/* What a failure_route says instead of what it was about. */
	m = call(w, (struct ask){.from_tag = "me", .call = "busy"});
	answer(w, m, "180 Ringing");
	refuse(w, m, "486 Busy Here");
	ack(w, (struct ask){.from_tag = "me", .call = "busy"}, take_response(w, 480, "INVITE"));
	line_has(next_line(), ";code=480;reason=Not 486;c=480");
	line_has(next_line(), "end_reason=failed 480;c=480");
	assert_string_equal(rows_of(CODES "acc WHERE callid = 'busy'", 1), "480|480");
	assert_string_equal(rows_of(CODES "missed_calls WHERE callid = 'busy'", 1), "486|486");
	/* And behind a failure. */
	m = call(w, (struct ask){.from_tag = "me", .call = "late"});
	answer(w, m, "180 Ringing");
	pass(w, 2000 + LATE_MS);
	ack(w, (struct ask){.from_tag = "me", .call = "late"}, take_response(w, 408, "INVITE"));
	answer_with(w, m, "200 OK", "it", NULL);
	assert_string_equal(rows_of(CODES "acc WHERE callid = 'late' ORDER BY sip_code", 2),
		"200|200\n408|408");
	line_has(next_line(), ";c=408");
	line_has(next_line(), ";c=408");
	line_has(next_line(), ";c=200");
	take_all(w);
	acc_close(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(extra_fields_are_variables),
		cmocka_unit_test(what_is_not_there_is_null_where_that_is_wanted),
		cmocka_unit_test(a_long_tag_stays_what_it_is),
		cmocka_unit_test(a_tag_that_fits_is_as_it_came),
		cmocka_unit_test(a_long_text_is_shortened_between_characters),
		cmocka_unit_test(bytes_that_are_no_text_are_escaped),
		cmocka_unit_test(a_text_that_looks_escaped),
		cmocka_unit_test(names_of_a_call_are_ascii),
		cmocka_unit_test(nobody_adds_a_field_to_a_line),
		cmocka_unit_test(a_line_of_nothing_but_separators),
		cmocka_unit_test(text_is_never_sql),
		cmocka_unit_test(a_method_that_nobody_knows),
		cmocka_unit_test(a_reason_header_is_the_reason_where_that_is_wanted),
		cmocka_unit_test(twenty_long_fields),
		cmocka_unit_test(times_are_those_of_the_day),
		cmocka_unit_test(lines_have_their_facility_and_level),
		cmocka_unit_test(the_code_is_that_which_is_accounted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
