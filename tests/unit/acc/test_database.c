/* SPDX-License-Identifier: BSD-3-Clause */
/* On the way to the database and to the log: what is away, full, older, or another's. */
#include "common.h"

#include <malloc.h>
#include <pthread.h>
#include <unistd.h>

#define END_NS (60 * CLOCK_NS_PER_S)
#define KAMAILIO \
	"CREATE TABLE acc (id INTEGER PRIMARY KEY, method VARCHAR(16) DEFAULT '' NOT NULL, " \
	"from_tag VARCHAR(128) DEFAULT '' NOT NULL, to_tag VARCHAR(128) DEFAULT '' NOT NULL, " \
	"callid VARCHAR(255) DEFAULT '' NOT NULL, sip_code VARCHAR(3) DEFAULT '' NOT NULL, " \
	"sip_reason VARCHAR(128) DEFAULT '' NOT NULL, time DATETIME NOT NULL, ua VARCHAR(64));" \
	"CREATE TABLE missed_calls AS SELECT * FROM acc;" \
	"CREATE TABLE acc_cdrs (id INTEGER PRIMARY KEY, start_time DATETIME DEFAULT '2000-01-01 " \
	"00:00:00' NOT NULL, end_time DATETIME DEFAULT '2000-01-01 00:00:00' NOT NULL, " \
	"duration FLOAT(10,3) DEFAULT 0 NOT NULL, ua VARCHAR(64));"
#define RELAYS "request_route { setflag(2); setflag(4); t_relay(); }\n"

static const struct ask invite = {.from_tag = "me"};

static void begin_and_end(struct world *w, const char *call_id)
{
	const struct ask bye = {
		.method = "BYE", .from_tag = "me", .to_tag = "it", .call = call_id, .cseq = 2};

	answer_with(w,
		call(w, (struct ask){.from_tag = "me", .call = call_id, .more = "User-Agent: U\n"}),
		"200 OK", "it", NULL);
	pass(w, 1500);
	ask(w, bye);
	answer(w, take_request(w, "BYE", BOB), "200 OK");
	take_all(w);
}

static void tables_of_kamailio_serve(void **state)
{
	struct world *w =
		acc_world_on(FLAGS CDRS "modparam(\"acc\", \"db_extra\", \"ua=$ua\")\n"
					"modparam(\"acc\", \"cdr_extra\", \"ua=$ua\")\n"
					"modparam(\"acc\", \"cdr_log_enable\", 0)\n" RELAYS,
			KAMAILIO);

	begin_and_end(w, "call");
	assert_string_equal(rows_of("SELECT method, from_tag, to_tag, callid, sip_code, "
				    "sip_reason, ua FROM acc "
				    "ORDER BY id",
				    2),
		"INVITE|me|it|call|200|OK|U\nBYE|me|it|call|200|OK|");
	assert_string_equal(
		rows_of("SELECT duration, ua, length(start_time), start_time <= end_time FROM "
			"acc_cdrs",
			1),
		"1.5|U|19|1");
	refuse(w, call(w, (struct ask){.call = "2", .from_tag = "me"}), "486 Busy Here");
	ack(w, (struct ask){.call = "2", .from_tag = "me"}, take_response(w, 486, "INVITE"));
	assert_string_equal(rows_of("SELECT sip_code FROM missed_calls", 1), "486");
	take_all(w);
	acc_close(w);
}

static void each_row_has_an_id(void **state)
{
	struct world *w = acc_world(FLAGS CDRS "modparam(\"acc\", \"cdr_log_enable\", 0)\n" RELAYS);

	begin_and_end(w, "1");
	begin_and_end(w, "2");
	rows_of("SELECT 1 FROM acc", 4);
	rows_of("SELECT 1 FROM acc_cdrs", 2);
	assert_string_equal(
		rows_of("SELECT COUNT(DISTINCT rid) FROM (SELECT rid FROM acc UNION ALL SELECT rid "
			"FROM acc_cdrs)",
			1),
		"6");
	acc_close(w);
}

/* What a database that is away has coming to it is there when it is back: all, once. */
static void a_database_that_is_away(void **state)
{
	enum { CALLS = 40 };
	struct world *w = acc_world(FLAGS RELAYS);

	lock_database();
	for (unsigned i = 0; i < CALLS; i++)
		begin_and_end(w, printed("%u", i));
	unlock_database();
	rows_of("SELECT 1 FROM acc", 2 * CALLS);
	assert_string_equal(rows_of("SELECT COUNT(DISTINCT callid || method) FROM acc", 1),
		printed("%u", 2 * CALLS));
	assert_int_equal(acc_counted(ACC_COUNTER_LOST), 0);
	acc_close(w);
}

/* A table that is not there: its rows are refused, others are written. */
static void a_row_that_is_refused_takes_no_other_with_it(void **state)
{
	struct world *w = acc_world(FLAGS "request_route { setflag(2); acc_db_request(\"200 x\", "
					  "\"nowhere\"); t_relay(); }\n");

	answer_with(w, call(w, invite), "200 OK", "it", NULL);
	rows_of("SELECT 1 FROM acc", 1);
	assert_int_equal(acc_counted(ACC_COUNTER_LOST), 0);
	take_all(w);
	acc_close(w);
}

/* Without a spool a slow lcore keeps 16 MB: what finds no room is counted, and the rest is there in
 * the end. */
static void a_lane_that_is_full(void **state)
{
	enum { REQUESTS = 5000 };
	char script[2048] = "modparam(\"acc\", \"db_extra\", \"", more[300] = "Subject: ";
	uint64_t lost;
	struct world *w;

	memset(more + 9, 's', 250);
	strcat(more, "\n");
	for (unsigned i = 0; i < ACC_FIELDS_MAX; i++)
		snprintf(script + strlen(script), 64, "f%u=$hdr(Subject);", i);
	strcat(script, "\")\nrequest_route { acc_db_request(\"404 x\", \"acc\"); exit; }\n");
	w = acc_world(script);
	for (unsigned i = 0; i < ACC_FIELDS_MAX; i++)
		run_sql(printed("ALTER TABLE acc ADD COLUMN f%u TEXT", i));
	lock_database();
	for (unsigned i = 0; i < REQUESTS; i++)
		ask(w, (struct ask){.method = "OPTIONS", .call = printed("%u", i), .more = more});
	lost = acc_counted(ACC_COUNTER_LOST);
	assert_in_range(lost, 1, REQUESTS / 2);
	assert_int_equal(acc_counted(ACC_COUNTER_ROWS) + lost, REQUESTS);
	unlock_database();
	rows_of(printed("SELECT 1 FROM (SELECT COUNT(*) AS n FROM acc) AS t WHERE n = %u",
			(unsigned)(REQUESTS - lost)),
		1);
	acc_close(w);
}

/* Nobody takes the lines: what their ring has no room for is counted, and nothing waits. */
static void a_log_that_stands_still(void **state)
{
	enum { CALLS = 6000 };
	struct world *w = acc_world(
		FLAGS "request_route { acc_log_request(\"404 $hdr(Subject)\"); exit; }\n");
	uint64_t lost;
	long last = -1;
	char more[256] = "Subject: ";

	memset(more + 9, 's', 120);
	strcat(more, "\n");
	hold_lines();
	for (unsigned i = 0; i < CALLS; i++)
		ask(w, (struct ask){.method = "OPTIONS", .call = printed("%u", i), .more = more});
	lost = acc_counted(ACC_COUNTER_LOG_LOST);
	assert_in_range(lost, 1, CALLS - 1);
	assert_int_equal(acc_counted(ACC_COUNTER_LINES) + lost, CALLS);
	let_lines();
	/* In their order, each whole; which of them there was room for is a matter of time. */
	for (unsigned i = 0; i < CALLS - lost; i++) {
		const char *line = next_line(), *id = strstr(line, ";call_id=");

		line_has(line, ";code=404;reason=sss");
		assert_true(strtol(id + 9, NULL, 10) > last);
		last = strtol(id + 9, NULL, 10);
	}
	/* There is room again. */
	ask(w, (struct ask){.method = "OPTIONS", .call = "last"});
	assert_int_equal(acc_counted(ACC_COUNTER_LOG_LOST), lost);
	line_has(next_line(), "call_id=last");
	acc_close(w);
}

static struct {
	struct acc *acc;
	_Atomic bool over;
	bool too_late;
} ending;

/* Whoever waits for the log for ever is helped, so that the test ends. */
static void *watch(void *arg)
{
	for (uint64_t end = clock_now_ns() + END_NS; !ending.over && clock_now_ns() < end;)
		usleep(50);
	ending.too_late = !ending.over;
	if (ending.too_late)
		let_lines();
	return NULL;
}

/* A syslog that hangs keeps nobody from ending, and finds what it needs when it comes back: what is
 * freed too early is no ring any more (M_PERTURB). */
static void a_log_that_hangs_at_the_end(void **state)
{
	struct world *w = acc_world(FLAGS "request_route { acc_log_request(\"404 x\"); exit; }\n");
	pthread_t watcher;

	hold_lines();
	ask(w, (struct ask){.method = "OPTIONS", .call = "one"});
	ask(w, (struct ask){.method = "OPTIONS", .call = "two"});
	ending.acc = the_acc();
	assert_int_equal(pthread_create(&watcher, NULL, watch, NULL), 0);
	mallopt(M_PERTURB, 0xa5);
	acc_discard(w);
	ending.over = true;
	pthread_join(watcher, NULL);
	assert_false(ending.too_late);
	let_lines();
	line_has(next_line(), "call_id=one");
	line_has(next_line(), "call_id=two");
	mallopt(M_PERTURB, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tables_of_kamailio_serve), cmocka_unit_test(each_row_has_an_id),
		cmocka_unit_test(a_database_that_is_away),
		cmocka_unit_test(a_row_that_is_refused_takes_no_other_with_it),
		cmocka_unit_test(a_lane_that_is_full), cmocka_unit_test(a_log_that_stands_still),
		cmocka_unit_test(a_log_that_hangs_at_the_end), /* the last: its thread goes on */
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
