/* SPDX-License-Identifier: BSD-3-Clause */
/* How long a name may take, and what there is meanwhile: servers that are silent in whole or in
 * part, refreshes ahead of time, old answers that stand in. */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "bench.h"

#define ASK(b, kind, name, result) \
	assert_int_equal(resolve_ask((b)->resolver, kind, str_c(name), done, result), 0)

static void test_a_silent_server_takes_four_seconds_and_no_more(void **state)
{
	static const enum resolve_kind kinds[] = {RESOLVE_ADDRESS, RESOLVE_SIP_UDP, RESOLVE_SIP};
	struct bench *b = *state;
	struct result result[3] = {{0}};

	dns_server_mode(b->server, "*.test", 0, DNS_SILENT);
	for (unsigned i = 0; i < 3; i++)
		ASK(b, kinds[i], "silent.test", &result[i]);
	pass(b, (RESOLVE_QUESTION_MS - 100) * MS);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(result[i].calls, 0);
	pass(b, 200 * MS);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(result[i].calls, 1);
		assert_int_equal(result[i].answer, RESOLVE_FAILED);
	}
	assert_int_equal(counter(b, RESOLVE_COUNTER_ASKING), 0);
	assert_int_equal(counter(b, RESOLVE_COUNTER_FAILED), 3);
}

/* By the real clock: with several servers, too, of which none answers. */
static void test_more_silent_servers_take_no_longer(void **state)
{
	struct bench *b = *state;
	struct result result = {0};
	uint64_t began;
	char servers[128];

	dns_server_mode(b->server, "*.test", 0, DNS_SILENT);
	snprintf(servers, sizeof(servers), "%s,127.0.0.2:9,127.0.0.3:9,%s",
		dns_server_address(b->server), dns_server_address(b->server));
	assert_int_equal(resolver_set_servers(b->resolver, servers), 0);
	began = clock_now_ns();
	ASK(b, RESOLVE_SIP, "silent.test", &result);
	while (result.calls == 0) {
		b->ahead = clock_now_ns() - b->began;
		poll_for(b, MS);
		assert_true(clock_now_ns() - began < (RESOLVE_QUESTION_MS + PATIENCE_MS) * MS);
	}
}

/* RFC 3263 4.1: no answer about NAPTR is no reason to be silent oneself. */
static void test_srv_does_not_wait_for_naptr(void **state)
{
	struct bench *b = *state;
	struct result result = {0};

	add(b, "a.test", TYPE_A, 60, "192.0.2.1");
	add_srv(b, "_sip._udp.n.test", 0, 1, 5066, "a.test");
	dns_server_mode(b->server, "n.test", TYPE_NAPTR, DNS_SILENT);
	ASK(b, RESOLVE_SIP, "n.test", &result);
	poll_for(b, 30 * MS);
	assert_int_equal(dns_server_questions(b->server, NULL, TYPE_SRV), 0);
	pass(b, RESOLVE_NAPTR_ALONE_MS * MS);
	UNTIL(b, dns_server_questions(b->server, "_sip._udp.n.test", TYPE_SRV) == 1);
	UNTIL(b, dns_server_questions(b->server, "a.test", TYPE_A) == 1);
	assert_int_equal(result.calls, 0);
	pass(b, (RESOLVE_PATIENCE_MS - RESOLVE_NAPTR_ALONE_MS) * MS);
	UNTIL(b, result.calls == 1);
	expect_found(b, RESOLVE_SIP, "n.test", "192.0.2.1:5066");
	/* It holds for a short time; asking again disturbs nobody. */
	pass(b, RESOLVE_TTL_MIN_S * S);
	UNTIL(b, dns_server_questions(b->server, "n.test", TYPE_NAPTR) >= 2);
	expect_found(b, RESOLVE_SIP, "n.test", "192.0.2.1:5066");
}

/* NAPTR that comes late, but comes, says where to go. */
static void test_a_late_naptr_is_followed(void **state)
{
	struct bench *b = *state;
	struct result result = {0};

	add(b, "a.test", TYPE_A, 60, "192.0.2.1");
	add(b, "b.test", TYPE_A, 60, "192.0.2.2");
	add_srv(b, "_sip._udp.late.test", 0, 1, 5066, "a.test");
	add_srv(b, "_sip._udp.farm.test", 0, 1, 5070, "b.test");
	add_naptr(b, "late.test", 10, 1, "SIP+D2U", "_sip._udp.farm.test");
	dns_server_mode(b->server, "late.test", TYPE_NAPTR, DNS_SILENT);
	ASK(b, RESOLVE_SIP, "late.test", &result);
	poll_for(b, 10 * MS);
	pass(b, RESOLVE_NAPTR_ALONE_MS * MS);
	UNTIL(b, dns_server_questions(b->server, "a.test", TYPE_A) == 1);
	dns_server_mode(b->server, "late.test", TYPE_NAPTR, DNS_NORMAL);
	/* c-ares asks again, by its own clock. */
	poll_for(b, 700 * MS);
	UNTIL(b, result.calls == 1);
	expect_found(b, RESOLVE_SIP, "late.test", "192.0.2.2:5070");
}

static void test_nothing_found_waits_for_naptr(void **state)
{
	struct bench *b = *state;
	struct result result = {0};

	add(b, "b.test", TYPE_A, 60, "192.0.2.2");
	add_srv(b, "_sip._udp.farm.test", 0, 1, 5070, "b.test");
	add_naptr(b, "only.test", 10, 1, "SIP+D2U", "_sip._udp.farm.test");
	dns_server_mode(b->server, "only.test", TYPE_NAPTR, DNS_SILENT);
	ASK(b, RESOLVE_SIP, "only.test", &result);
	poll_for(b, 10 * MS);
	pass(b, (RESOLVE_PATIENCE_MS + 500) * MS);
	assert_int_equal(result.calls, 0);
	dns_server_mode(b->server, "only.test", TYPE_NAPTR, DNS_NORMAL);
	poll_for(b, 700 * MS);
	expect_found(b, RESOLVE_SIP, "only.test", "192.0.2.2:5070");
}

/* Firewalls that swallow what they do not know: AAAA; and one of several servers whose zone is
 * dead. */
static void test_parts_that_are_silent_hold_up_nobody_for_long(void **state)
{
	struct bench *b = *state;
	struct result result[2] = {{0}};

	add(b, "four.test", TYPE_A, 600, "192.0.2.1");
	dns_server_mode(b->server, "four.test", TYPE_AAAA, DNS_SILENT);
	add_srv(b, "_sip._udp.pair.test", 0, 1, 5060, "dead.test");
	add_srv(b, "_sip._udp.pair.test", 1, 1, 5061, "four.test");
	dns_server_mode(b->server, "dead.test", 0, DNS_SILENT);
	ASK(b, RESOLVE_ADDRESS, "four.test", &result[0]);
	ASK(b, RESOLVE_SIP_UDP, "pair.test", &result[1]);
	poll_for(b, 30 * MS);
	assert_int_equal(result[0].calls + result[1].calls, 0);
	pass(b, RESOLVE_PATIENCE_MS * MS);
	UNTIL(b, result[0].calls == 1);
	UNTIL(b, result[1].calls == 1);
	expect_found(b, RESOLVE_ADDRESS, "four.test", "192.0.2.1:0");
	expect_found(b, RESOLVE_SIP_UDP, "pair.test", "192.0.2.1:5061");
}

/* What was whole stays whole while a part can't be had; what changed is taken. */
static void test_a_part_does_not_replace_a_whole_answer(void **state)
{
	struct bench *b = *state;

	add(b, "both.test", TYPE_A, 60, "192.0.2.1");
	add(b, "both.test", TYPE_AAAA, 60, "2001:db8::1");
	expect(b, RESOLVE_ADDRESS, "both.test", "192.0.2.1:0 [2001:db8::1]:0");
	dns_server_mode(b->server, "both.test", TYPE_AAAA, DNS_SERVFAIL);
	pass(b, 61 * S);
	UNTIL(b, counter(b, RESOLVE_COUNTER_STALE) == 1);
	expect_found(b, RESOLVE_ADDRESS, "both.test", "192.0.2.1:0 [2001:db8::1]:0");
	dns_server_remove(b->server, "both.test");
	add(b, "both.test", TYPE_A, 60, "192.0.2.2");
	pass(b, 61 * S);
	expect_found(b, RESOLVE_ADDRESS, "both.test", "192.0.2.2:0");
}

/* A name in use is asked for before its time is over, so that it never is. */
static void test_names_in_use_are_asked_for_ahead(void **state)
{
	struct bench *b = *state;

	add(b, "use.test", TYPE_A, 60, "192.0.2.1");
	expect(b, RESOLVE_ADDRESS, "use.test", "192.0.2.1:0");
	dns_server_remove(b->server, "use.test");
	add(b, "use.test", TYPE_A, 60, "192.0.2.2");
	pass(b, 55 * S);
	expect_found(b, RESOLVE_ADDRESS, "use.test", "192.0.2.2:0");
	UNTIL(b, dns_server_questions(b->server, "use.test", TYPE_A) == 2);
	/* A refresh that gets no answer is noticed by nobody. */
	dns_server_mode(b->server, "use.test", 0, DNS_SILENT);
	for (unsigned i = 0; i < 30; i++) {
		pass(b, 4 * S);
		expect_found(b, RESOLVE_ADDRESS, "use.test", "192.0.2.2:0");
	}
	UNTIL(b, counter(b, RESOLVE_COUNTER_STALE) >= 2);
}

/* RFC 8767: a name that was forgotten for want of use, whose servers fail when it is wanted again.
 */
static void test_an_old_answer_stands_in_for_one_that_does_not_come(void **state)
{
	struct bench *b = *state;
	struct result result = {0};

	add(b, "seldom.test", TYPE_A, 60, "192.0.2.1");
	ASK(b, RESOLVE_ADDRESS, "seldom.test", &result);
	settle(b);
	pass(b, 300 * S);
	expect_found(b, RESOLVE_ADDRESS, "seldom.test", "?");
	dns_server_mode(b->server, "seldom.test", 0, DNS_SILENT);
	ASK(b, RESOLVE_ADDRESS, "seldom.test", &result);
	pass(b, (RESOLVE_STALE_AFTER_MS - 100) * MS);
	UNTIL(b, result.calls == 1);
	expect_found(b, RESOLVE_ADDRESS, "seldom.test", "?");
	pass(b, 200 * MS);
	UNTIL(b, result.calls == 2);
	assert_int_equal(result.answer, RESOLVE_FOUND);
	expect_found(b, RESOLVE_ADDRESS, "seldom.test", "192.0.2.1:0");
	/* Servers that answer are believed. */
	pass(b, 300 * S);
	dns_server_mode(b->server, "seldom.test", 0, DNS_NORMAL);
	dns_server_remove(b->server, "seldom.test");
	expect_found(b, RESOLVE_ADDRESS, "seldom.test", "192.0.2.1:0");
	pass(b, 100 * S);
	expect_found(b, RESOLVE_ADDRESS, "seldom.test", "");
	/* Not for ever. */
	add(b, "old.test", TYPE_A, 60, "192.0.2.1");
	ASK(b, RESOLVE_ADDRESS, "old.test", &result);
	settle(b);
	dns_server_mode(b->server, "old.test", 0, DNS_SERVFAIL);
	pass(b, (RESOLVE_STALE_S + 70) * S);
	expect(b, RESOLVE_ADDRESS, "old.test", "");
}

/* RFC 9520 3.2: 5, 10, 20 and 40 s, then no longer; an answer begins anew. */
static void test_failures_are_remembered_longer_each_time(void **state)
{
	static const unsigned pauses[] = {5, 10, 20, 40, 40};
	struct bench *b = *state;
	unsigned asked = 0;

	dns_server_mode(b->server, "fails.test", 0, DNS_SERVFAIL);
	for (unsigned i = 0; i < COUNT(pauses); i++) {
		expect(b, RESOLVE_ADDRESS, "fails.test", "");
		assert_true(dns_server_questions(b->server, "fails.test", TYPE_A) > asked);
		asked = dns_server_questions(b->server, "fails.test", TYPE_A);
		pass(b, pauses[i] * S - 500 * MS);
		expect_found(b, RESOLVE_ADDRESS, "fails.test", "");
		pass(b, S);
		expect_found(b, RESOLVE_ADDRESS, "fails.test", "?");
	}
	dns_server_mode(b->server, "fails.test", 0, DNS_NORMAL);
	add(b, "fails.test", TYPE_A, 60, "192.0.2.1");
	expect(b, RESOLVE_ADDRESS, "fails.test", "192.0.2.1:0");
}

/* Other servers are asked for what is under way; nobody who waits is forgotten. */
static void test_servers_may_change_while_names_are_under_way(void **state)
{
	struct bench *b = *state;
	struct dns_server *other = dns_server_start();
	struct result result[2] = {{0}};

	assert_non_null(other);
	dns_server_mode(b->server, "*.test", 0, DNS_SILENT);
	dns_server_add(other, (struct dns_record){"a.test", TYPE_A, 60, "192.0.2.1"});
	ASK(b, RESOLVE_ADDRESS, "a.test", &result[0]);
	ASK(b, RESOLVE_SIP, "a.test", &result[1]);
	poll_for(b, 10 * MS);
	assert_int_equal(resolver_set_servers(b->resolver, "nonsense"), -EINVAL);
	assert_int_equal(resolver_set_servers(b->resolver, dns_server_address(other)), 0);
	settle(b);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(result[i].calls, 1);
		assert_int_equal(result[i].answer, RESOLVE_FOUND);
	}
	dns_server_stop(other);
}

/* A list that is read again while no server answers. */
static void test_a_load_takes_old_answers_where_servers_are_silent(void **state)
{
	struct bench *b = *state;
	struct resolve_addresses a;
	char error[200] = "";

	add(b, "list.test", TYPE_A, 60, "192.0.2.1");
	assert_int_equal(resolve_now(b->resolver, RESOLVE_SIP_UDP, str_c("list.test"), 2000, &a,
				 error, sizeof(error)),
		1);
	for (unsigned i = 0; i < 10; i++)
		pass(b, 60 * S);
	dns_server_mode(b->server, "*.test", 0, DNS_SILENT);
	/* resolve_now() goes by the real clock, which has to catch up with the test's. */
	step(b);
	assert_int_equal(resolve_now(b->resolver, RESOLVE_SIP_UDP, str_c("list.test"), 300, &a,
				 error, sizeof(error)),
		1);
	assert_string_equal(text_of(&a), "192.0.2.1:0");
	assert_int_equal(counter(b, RESOLVE_COUNTER_STALE), 1);
	/* A name that was never there has none. */
	assert_int_equal(resolve_now(b->resolver, RESOLVE_SIP_UDP, str_c("new.test"), 300, &a,
				 error, sizeof(error)),
		-ETIMEDOUT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_silent_server_takes_four_seconds_and_no_more),
		TEST(test_more_silent_servers_take_no_longer),
		TEST(test_srv_does_not_wait_for_naptr),
		TEST(test_a_late_naptr_is_followed),
		TEST(test_nothing_found_waits_for_naptr),
		TEST(test_parts_that_are_silent_hold_up_nobody_for_long),
		TEST(test_a_part_does_not_replace_a_whole_answer),
		TEST(test_names_in_use_are_asked_for_ahead),
		TEST(test_an_old_answer_stands_in_for_one_that_does_not_come),
		TEST(test_failures_are_remembered_longer_each_time),
		TEST(test_servers_may_change_while_names_are_under_way),
		TEST(test_a_load_takes_old_answers_where_servers_are_silent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
