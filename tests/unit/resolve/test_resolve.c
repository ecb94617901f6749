/* SPDX-License-Identifier: BSD-3-Clause */
#include <endian.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include "bench.h"
#include "resolve/internal.h"

static void test_both_families_come_in_one_order(void **state)
{
	struct bench *b = *state;

	add(b, "a.test", TYPE_A, 60, "192.0.2.9");
	add(b, "a.test", TYPE_AAAA, 60, "2001:db8::2");
	add(b, "a.test", TYPE_A, 60, "192.0.2.1");
	add(b, "a.test", TYPE_AAAA, 60, "2001:db8::1");
	add(b, "a.test", TYPE_A, 60, "192.0.2.9");
	expect(b, RESOLVE_ADDRESS, "a.test",
		"192.0.2.1:0 192.0.2.9:0 [2001:db8::1]:0 [2001:db8::2]:0");
	add(b, "six.test", TYPE_AAAA, 60, "2001:db8::1");
	expect(b, RESOLVE_ADDRESS, "six.test", "[2001:db8::1]:0");
	/* RFC 3263 4.2: with a port, SRV is not asked for. */
	assert_int_equal(dns_server_questions(b->server, NULL, TYPE_SRV), 0);
}

static void test_names_are_found_in_any_case_and_with_a_dot(void **state)
{
	struct bench *b = *state;
	const struct resolve_addresses *a;

	add(b, "Mixed.Test", TYPE_A, 60, "192.0.2.1");
	expect(b, RESOLVE_ADDRESS, "mIXED.tEST", "192.0.2.1:0");
	assert_int_equal(find(b, RESOLVE_ADDRESS, "mixed.test", &a), RESOLVE_FOUND);
	assert_int_equal(find(b, RESOLVE_ADDRESS, "MIXED.TEST.", &a), RESOLVE_FOUND);
	assert_int_equal(find(b, RESOLVE_SIP_UDP, "mixed.test", &a), RESOLVE_MISSING);
	assert_int_equal(find(b, RESOLVE_ADDRESS, "mixed.tes", &a), RESOLVE_MISSING);
	assert_int_equal(find(b, RESOLVE_ADDRESS, "", &a), RESOLVE_FAILED);
	expect(b, RESOLVE_ADDRESS, "MIXED.test.", "192.0.2.1:0");
	assert_int_equal(dns_server_questions(b->server, NULL, TYPE_A), 1);
}

static void test_services_come_by_priority_weight_and_address(void **state)
{
	static const struct {
		uint16_t priority, weight, port;
		const char *target;
	} srv[] = {{20, 100, 5070, "c.test"}, {10, 1, 5061, "b.test"}, {10, 60, 5062, "d.test"},
		{10, 60, 5060, "a.test"}, {20, 0, 5071, "a.test"}, {10, 0, 5063, "a.test"}};
	const char *want = "192.0.2.1:5060 192.0.2.4:5062 192.0.2.2:5061 192.0.2.1:5063 "
			   "192.0.2.3:5070 192.0.2.1:5071";
	struct bench *b = *state;

	add(b, "a.test", TYPE_A, 60, "192.0.2.1");
	add(b, "b.test", TYPE_A, 60, "192.0.2.2");
	add(b, "c.test", TYPE_A, 60, "192.0.2.3");
	add(b, "d.test", TYPE_A, 60, "192.0.2.4");
	/*
	 * The records come in another order each time; the answer does not change (RFC 3263 4.4).
	 *
	 */
	for (unsigned round = 0; round < COUNT(srv); round++) {
		dns_server_remove(b->server, "_sip._udp.pbx.test");
		for (unsigned i = 0; i < COUNT(srv); i++) {
			unsigned k = (i * 5 + round) % COUNT(srv);

			add_srv(b, "_sip._udp.pbx.test", srv[k].priority, srv[k].weight,
				srv[k].port, srv[k].target);
		}
		expect(b, RESOLVE_SIP_UDP, "pbx.test", want);
		b->ahead += 61 * S;
		settle(b);
	}
	assert_true(dns_server_questions(b->server, "_sip._udp.pbx.test", TYPE_SRV) >= COUNT(srv));
}

/* RFC 3263 4.1, its example: the services in the order of NAPTR, of which we speak the last. */
static void test_naptr_says_where_the_services_are(void **state)
{
	struct bench *b = *state;

	add_naptr(b, "example.test", 50, 50, "SIPS+D2T", "_sips._tcp.example.test");
	add_naptr(b, "example.test", 90, 50, "SIP+D2T", "_sip._tcp.example.test");
	add_naptr(b, "example.test", 100, 50, "SIP+D2U", "_sip._udp.farm.test");
	add_srv(b, "_sip._udp.farm.test", 0, 1, 5070, "a.test");
	add_srv(b, "_sip._udp.example.test", 0, 1, 5080, "b.test");
	add(b, "a.test", TYPE_A, 60, "192.0.2.1");
	add(b, "b.test", TYPE_A, 60, "192.0.2.2");
	add(b, "example.test", TYPE_A, 60, "192.0.2.3");
	expect(b, RESOLVE_SIP, "example.test", "192.0.2.1:5070");
	assert_int_equal(dns_server_questions(b->server, NULL, TYPE_NAPTR), 1);
	assert_int_equal(dns_server_questions(b->server, "_sips._tcp.example.test", 0), 0);
	assert_int_equal(dns_server_questions(b->server, "_sip._udp.example.test", 0), 0);
	/* Where the transport is known, and where the port is, they are not asked for. */
	expect(b, RESOLVE_SIP_UDP, "example.test", "192.0.2.2:5080");
	expect(b, RESOLVE_ADDRESS, "example.test", "192.0.2.3:0");
	assert_int_equal(dns_server_questions(b->server, NULL, TYPE_NAPTR), 1);
	/* Nor where that is the setting. */
	resolver_set_naptr(b->resolver, false);
	b->ahead += 61 * S;
	settle(b);
	expect(b, RESOLVE_SIP, "example.test", "192.0.2.2:5080");
	assert_int_equal(dns_server_questions(b->server, NULL, TYPE_NAPTR), 1);
	assert_int_equal(resolver_counter(b->resolver, RESOLVE_COUNTER_NAPTR), 1);
	assert_true(resolver_counter(b->resolver, RESOLVE_COUNTER_FOUND) >= 4);
}

static void test_of_naptr_the_lowest_order_counts_by_preference(void **state)
{
	struct bench *b = *state;

	add(b, "a.test", TYPE_A, 60, "192.0.2.1");
	add(b, "b.test", TYPE_A, 60, "192.0.2.2");
	add_srv(b, "_sip._udp.a.test", 0, 1, 5060, "a.test");
	add_srv(b, "_sip._udp.b.test", 0, 1, 5060, "b.test");
	/* The first has no records, the second has. */
	add_naptr(b, "p.test", 10, 2, "SIP+D2U", "_sip._udp.b.test");
	add_naptr(b, "p.test", 10, 1, "SIP+D2U", "_sip._udp.gone.test");
	add_naptr(b, "p.test", 11, 0, "SIP+D2U", "_sip._udp.a.test");
	expect(b, RESOLVE_SIP, "p.test", "192.0.2.2:5060");
	assert_int_equal(dns_server_questions(b->server, "_sip._udp.gone.test", TYPE_SRV), 1);
	/* A higher order is not looked at once a lower one has a service of ours; then _sip._udp.
	 * and the name itself. */
	add_naptr(b, "q.test", 10, 1, "SIP+D2U", "_sip._udp.gone.test");
	add_naptr(b, "q.test", 11, 1, "SIP+D2U", "_sip._udp.a.test");
	add(b, "q.test", TYPE_A, 60, "192.0.2.7");
	expect(b, RESOLVE_SIP, "q.test", "192.0.2.7:0");
	assert_int_equal(dns_server_questions(b->server, "_sip._udp.q.test", TYPE_SRV), 1);
	assert_int_equal(dns_server_questions(b->server, "_sip._udp.a.test", TYPE_SRV), 0);
	/* More than are followed: the first ones of them. */
	for (uint16_t i = 0; i < 2 * RESOLVE_SERVICES_MAX; i++) {
		static char name[2 * RESOLVE_SERVICES_MAX][32];

		snprintf(name[i], sizeof(name[i]), "_sip._udp.no-%u.test", i);
		add_naptr(b, "many.test", 1, i, "SIP+D2U", name[i]);
	}
	expect(b, RESOLVE_SIP, "many.test", "");
	assert_int_equal(dns_server_questions(b->server, "_sip._udp.no-3.test", TYPE_SRV), 1);
	assert_int_equal(dns_server_questions(b->server, "_sip._udp.no-4.test", TYPE_SRV), 0);
	assert_int_equal(dns_server_questions(b->server, "_sip._udp.many.test", TYPE_SRV), 1);
}

static void test_without_naptr_of_ours_srv_is_asked(void **state)
{
	struct bench *b = *state;

	add(b, "a.test", TYPE_A, 60, "192.0.2.1");
	add(b, "n.test", TYPE_A, 60, "192.0.2.9");
	add_srv(b, "_sip._udp.n.test", 0, 1, 5066, "a.test");
	expect(b, RESOLVE_SIP, "n.test", "192.0.2.1:5066");
	add_naptr(b, "t.test", 1, 1, "SIP+D2T", "_sip._tcp.t.test");
	add_srv(b, "_sip._udp.t.test", 0, 1, 5067, "a.test");
	expect(b, RESOLVE_SIP, "t.test", "192.0.2.1:5067");
	/* The usual service is asked for once, whoever says it. */
	add_naptr(b, "u.test", 1, 1, "SIP+D2U", "_SIP._UDP.u.test");
	add(b, "u.test", TYPE_A, 60, "192.0.2.8");
	expect(b, RESOLVE_SIP, "u.test", "192.0.2.8:0");
	assert_int_equal(dns_server_questions(b->server, "_sip._udp.u.test", TYPE_SRV), 1);
	expect(b, RESOLVE_SIP, "nobody.test", "");
	/* What a "." says of the service that NAPTR names is decided. */
	add_naptr(b, "dot.test", 1, 1, "SIP+D2U", "_sip._udp.dot.test");
	add_srv(b, "_sip._udp.dot.test", 0, 0, 0, "");
	add(b, "dot.test", TYPE_A, 60, "192.0.2.8");
	expect(b, RESOLVE_SIP, "dot.test", "");
}

/* Many servers know nothing of NAPTR: what SRV says is taken, and asked for again soon. */
static void test_servers_that_fail_at_naptr_take_nothing_away(void **state)
{
	static const enum dns_mode modes[] = {DNS_SERVFAIL, DNS_LONG_DATA, DNS_NAME_LOOP};
	struct bench *b = *state;
	const struct resolve_addresses *a;

	add(b, "a.test", TYPE_A, 60, "192.0.2.1");
	for (unsigned i = 0; i < COUNT(modes); i++) {
		static const char *const names[] = {"f0.test", "f1.test", "f2.test"};
		static const char *const services[] = {
			"_sip._udp.f0.test", "_sip._udp.f1.test", "_sip._udp.f2.test"};
		unsigned asked;

		add_srv(b, services[i], 0, 1, 5066, "a.test");
		dns_server_mode(b->server, names[i], TYPE_NAPTR, modes[i]);
		expect(b, RESOLVE_SIP, names[i], "192.0.2.1:5066");
		asked = dns_server_questions(b->server, services[i], TYPE_SRV);
		assert_int_equal(find(b, RESOLVE_SIP, names[i], &a), RESOLVE_FOUND);
		b->ahead += (RESOLVE_TTL_MIN_S + 1) * S;
		settle(b);
		assert_int_equal(find(b, RESOLVE_SIP, names[i], &a), RESOLVE_FOUND);
		assert_int_equal(dns_server_questions(b->server, services[i], TYPE_SRV), asked + 1);
	}
}

/* ---- the order of a call ---- */

static unsigned first_of(const struct resolve_addresses *a, uint64_t digest)
{
	uint8_t order[RESOLVE_ADDRESSES_MAX];
	uint32_t seen = 0;

	resolve_order(a, digest, order);
	for (unsigned i = 0; i < a->count; i++) {
		assert_true(order[i] < a->count);
		seen |= 1u << order[i];
		/* Ranks come one after the other, whatever is drawn. */
		assert_int_equal(a->tier[order[i]], a->tier[i]);
	}
	assert_int_equal(seen, (1u << a->count) - 1);
	return order[0];
}

#define CALLS 20000

static void expect_shares(const struct resolve_addresses *a, const unsigned *percent)
{
	unsigned first[RESOLVE_ADDRESSES_MAX] = {0};
	uint64_t x = 88172645463325252ULL;

	for (unsigned i = 0; i < CALLS; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		assert_int_equal(first_of(a, x), first_of(a, x));
		first[first_of(a, x)]++;
	}
	for (unsigned i = 0; i < a->count; i++) {
		unsigned want = CALLS / 100 * percent[i];

		if (first[i] + CALLS / 50 < want || first[i] > want + CALLS / 50)
			fail_msg("address %u: %u calls of %u", i, first[i], CALLS);
	}
}

static void test_calls_share_the_targets_by_their_weights(void **state)
{
	struct bench *b = *state;
	const struct resolve_addresses *a;

	add(b, "a.test", TYPE_A, 60, "192.0.2.1");
	add(b, "a.test", TYPE_AAAA, 60, "2001:db8::1");
	add(b, "b.test", TYPE_A, 60, "192.0.2.2");
	add(b, "c.test", TYPE_A, 60, "192.0.2.3");
	add_srv(b, "_sip._udp.w.test", 10, 60, 5060, "b.test");
	add_srv(b, "_sip._udp.w.test", 10, 40, 5060, "a.test");
	add_srv(b, "_sip._udp.w.test", 20, 100, 5060, "c.test");
	expect(b, RESOLVE_SIP_UDP, "w.test",
		"192.0.2.2:5060 192.0.2.1:5060 [2001:db8::1]:5060 192.0.2.3:5060");
	assert_int_equal(find(b, RESOLVE_SIP_UDP, "w.test", &a), RESOLVE_FOUND);
	assert_true(a->shared);
	/* A target's addresses stay together. */
	expect_shares(a, (const unsigned[]){60, 40, 0, 0});

	add_srv(b, "_sip._udp.zero.test", 0, 0, 5060, "b.test");
	add_srv(b, "_sip._udp.zero.test", 0, 0, 5060, "c.test");
	expect(b, RESOLVE_SIP_UDP, "zero.test", "192.0.2.2:5060 192.0.2.3:5060");
	assert_int_equal(find(b, RESOLVE_SIP_UDP, "zero.test", &a), RESOLVE_FOUND);
	expect_shares(a, (const unsigned[]){50, 50});

	/* RFC 2782: a weight of 0 beside others is drawn hardly ever. */
	add_srv(b, "_sip._udp.some.test", 0, 0, 5060, "b.test");
	add_srv(b, "_sip._udp.some.test", 0, 999, 5060, "c.test");
	expect(b, RESOLVE_SIP_UDP, "some.test", "192.0.2.3:5060 192.0.2.2:5060");
	assert_int_equal(find(b, RESOLVE_SIP_UDP, "some.test", &a), RESOLVE_FOUND);
	expect_shares(a, (const unsigned[]){100, 0});
	/* The most that there can be. */
	for (unsigned i = 0; i < RESOLVE_ADDRESSES_MAX; i++)
		add_srv(b, "_sip._udp.full.test", 0, 65535, (uint16_t)(5060 + i), "b.test");
	expect(b, RESOLVE_SIP_UDP, "few.test", "");
	assert_int_equal(
		resolve(b, RESOLVE_SIP_UDP, "full.test", &(const char *){NULL}), RESOLVE_FOUND);
	assert_int_equal(find(b, RESOLVE_SIP_UDP, "full.test", &a), RESOLVE_FOUND);
	assert_int_equal(a->count, RESOLVE_ADDRESSES_MAX);
	expect_shares(a, (const unsigned[]){6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6});

	/* One target, and ranks of one each: nothing is shared. */
	assert_int_equal(
		resolve(b, RESOLVE_ADDRESS, "a.test", &(const char *){NULL}), RESOLVE_FOUND);
	assert_int_equal(find(b, RESOLVE_ADDRESS, "a.test", &a), RESOLVE_FOUND);
	assert_false(a->shared);
	add_srv(b, "_sip._udp.ranks.test", 1, 5, 5060, "b.test");
	add_srv(b, "_sip._udp.ranks.test", 2, 5, 5060, "c.test");
	expect(b, RESOLVE_SIP_UDP, "ranks.test", "192.0.2.2:5060 192.0.2.3:5060");
	assert_int_equal(find(b, RESOLVE_SIP_UDP, "ranks.test", &a), RESOLVE_FOUND);
	assert_false(a->shared);
}

/* Who comes or goes takes or leaves its share; all other calls stay where they are. */
static void test_a_change_moves_only_its_share_of_the_calls(void **state)
{
	struct resolve_addresses few, many;
	struct bench *b = *state;
	const struct resolve_addresses *a;
	unsigned moved = 0;

	add(b, "a.test", TYPE_A, 60, "192.0.2.1");
	add(b, "b.test", TYPE_A, 60, "192.0.2.2");
	add(b, "c.test", TYPE_A, 60, "192.0.2.3");
	add(b, "d.test", TYPE_A, 60, "192.0.2.4");
	add_srv(b, "_sip._udp.w.test", 10, 30, 5060, "a.test");
	add_srv(b, "_sip._udp.w.test", 10, 20, 5060, "c.test");
	add_srv(b, "_sip._udp.w.test", 10, 30, 5060, "d.test");
	expect(b, RESOLVE_SIP_UDP, "w.test", "192.0.2.1:5060 192.0.2.4:5060 192.0.2.3:5060");
	assert_int_equal(find(b, RESOLVE_SIP_UDP, "w.test", &a), RESOLVE_FOUND);
	few = *a;
	add_srv(b, "_sip._udp.w.test", 10, 20, 5060, "b.test");
	b->ahead += 61 * S;
	settle(b);
	expect(b, RESOLVE_SIP_UDP, "w.test",
		"192.0.2.1:5060 192.0.2.4:5060 192.0.2.2:5060 192.0.2.3:5060");
	assert_int_equal(find(b, RESOLVE_SIP_UDP, "w.test", &a), RESOLVE_FOUND);
	many = *a;
	for (uint64_t call = 0; call < CALLS; call++) {
		uint64_t digest = call * 0x9e3779b97f4a7c15ULL;
		const struct net_endpoint *before = &few.ep[first_of(&few, digest)],
					  *after = &many.ep[first_of(&many, digest)];

		if (net_endpoint_equal(before, after))
			continue;
		assert_int_equal(after->addr.b[3], 2);
		moved++;
	}
	/* 20 of 100. */
	assert_in_range(moved, CALLS / 5 - CALLS / 50, CALLS / 5 + CALLS / 50);
}

/* Each target has a place before any has two, and each family of a host that has both. */
static void test_no_target_takes_the_places_of_others(void **state)
{
	static char address[2][20][32];
	struct bench *b = *state;
	const struct resolve_addresses *a;
	unsigned of[2] = {0}, v4 = 0;

	for (unsigned i = 0; i < 20; i++) {
		snprintf(address[0][i], sizeof(address[0][i]), "192.0.2.%u", 1 + i);
		add(b, "wide.test", TYPE_A, 60, address[0][i]);
		snprintf(address[1][i], sizeof(address[1][i]), "2001:db8::%u", 1 + i);
		add(b, "wide.test", TYPE_AAAA, 60, address[1][i]);
	}
	add(b, "one.test", TYPE_A, 60, "198.51.100.1");
	add_srv(b, "_sip._udp.w.test", 10, 60, 5060, "wide.test");
	add_srv(b, "_sip._udp.w.test", 10, 40, 5060, "one.test");
	assert_int_equal(
		resolve(b, RESOLVE_SIP_UDP, "w.test", &(const char *){NULL}), RESOLVE_FOUND);
	assert_int_equal(find(b, RESOLVE_SIP_UDP, "w.test", &a), RESOLVE_FOUND);
	assert_int_equal(a->count, RESOLVE_ADDRESSES_MAX);
	for (unsigned i = 0; i < a->count; i++) {
		of[a->target[i]]++;
		v4 += a->target[i] == 0 && a->ep[i].addr.family == 4;
	}
	assert_int_equal(of[0], RESOLVE_ADDRESSES_MAX - 1);
	assert_int_equal(of[1], 1);
	assert_int_equal(v4, RESOLVE_ADDRESSES_MAX / 2);
	/* What was left out is counted, once for an answer. */
	assert_int_equal(counter(b, RESOLVE_COUNTER_CUT), 1);
	expect(b, RESOLVE_ADDRESS, "one.test", "198.51.100.1:0");
	assert_int_equal(counter(b, RESOLVE_COUNTER_CUT), 1);
}

/* RFC 6761 6.3 and 6.4, RFC 7686. */
static void test_names_that_mean_the_same_everywhere_are_not_asked_for(void **state)
{
	static const char *const here[] = {"localhost", "LOCALHOST.", "sip.localhost"};
	static const char *const nowhere[] = {"anonymous.invalid", "invalid", "x.onion."};
	struct bench *b = *state;
	struct resolve_addresses a;
	char error[200] = "";

	for (unsigned i = 0; i < COUNT(here); i++) {
		expect_found(b, RESOLVE_SIP, here[i], "127.0.0.1:0 [::1]:0");
		expect(b, RESOLVE_ADDRESS, here[i], "127.0.0.1:0 [::1]:0");
		assert_int_equal(resolve_now(b->resolver, RESOLVE_SIP_UDP, str_c(here[i]), 100, &a,
					 error, sizeof(error)),
			2);
	}
	for (unsigned i = 0; i < COUNT(nowhere); i++) {
		expect_found(b, RESOLVE_SIP, nowhere[i], "");
		expect(b, RESOLVE_ADDRESS, nowhere[i], "");
		assert_int_equal(resolve_now(b->resolver, RESOLVE_SIP_UDP, str_c(nowhere[i]), 100,
					 &a, error, sizeof(error)),
			-ENOENT);
		assert_non_null(strstr(error, "stands for no host"));
	}
	assert_int_equal(dns_server_questions(b->server, NULL, 0), 0);
	/* Names that only look like them are asked for. */
	add(b, "notlocalhost", TYPE_A, 60, "192.0.2.1");
	expect(b, RESOLVE_ADDRESS, "notlocalhost", "192.0.2.1:0");
	add(b, "invalid.test", TYPE_A, 60, "192.0.2.1");
	expect(b, RESOLVE_ADDRESS, "invalid.test", "192.0.2.1:0");
}

static void test_a_name_without_services_has_its_addresses(void **state)
{
	struct bench *b = *state;

	add(b, "plain.test", TYPE_A, 60, "192.0.2.7");
	expect(b, RESOLVE_SIP_UDP, "plain.test", "192.0.2.7:0");
	assert_int_equal(dns_server_questions(b->server, "_sip._udp.plain.test", TYPE_SRV), 1);
	/* The name exists, but has no SRV record: NODATA. */
	add(b, "_sip._udp.nodata.test", TYPE_A, 60, "192.0.2.66");
	add(b, "nodata.test", TYPE_A, 60, "192.0.2.8");
	expect(b, RESOLVE_SIP_UDP, "nodata.test", "192.0.2.8:0");
	/* Too long to have a service. */
	const char *label = "a23456789012345678901234567890123456789012345678901234567890abc";
	char name[256];

	snprintf(name, sizeof(name), "%s.%s.%s.%.50s.test", label, label, label, label);
	add(b, name, TYPE_A, 60, "192.0.2.9");
	expect(b, RESOLVE_SIP_UDP, name, "192.0.2.9:0");
}

/* RFC 2782: a target of "." is a decided no, and not a reason to try the name itself. */
static void test_a_service_that_is_not_offered_fails(void **state)
{
	struct bench *b = *state;

	add_srv(b, "_sip._udp.none.test", 0, 0, 0, "");
	add(b, "none.test", TYPE_A, 60, "192.0.2.1");
	expect(b, RESOLVE_SIP_UDP, "none.test", "");
	assert_int_equal(dns_server_questions(b->server, "none.test", 0), 0);
	add_srv(b, "_sip._udp.gone.test", 0, 0, 5060, "no-such-host.test");
	expect(b, RESOLVE_SIP_UDP, "gone.test", "");
	/* A port of 0 is no port; a target that is no host is none. */
	add_srv(b, "_sip._udp.bad.test", 0, 0, 0, "a.test");
	add_srv(b, "_sip._udp.bad.test", 1, 0, 5060, "10.0.0.1");
	add_srv(b, "_sip._udp.bad.test", 2, 0, 5061, "a.test");
	add(b, "a.test", TYPE_A, 60, "192.0.2.1");
	expect(b, RESOLVE_SIP_UDP, "bad.test", "192.0.2.1:5061");
}

static void test_aliases_are_followed_and_loops_end(void **state)
{
	struct bench *b = *state;

	add(b, "alias.test", TYPE_CNAME, 60, "middle.test");
	add(b, "middle.test", TYPE_CNAME, 60, "real.test");
	add(b, "real.test", TYPE_A, 60, "192.0.2.1");
	expect(b, RESOLVE_ADDRESS, "alias.test", "192.0.2.1:0");
	add(b, "_sip._udp.alias.test", TYPE_CNAME, 60, "_sip._udp.real.test");
	add_srv(b, "_sip._udp.real.test", 0, 0, 5080, "alias.test");
	expect(b, RESOLVE_SIP_UDP, "alias.test", "192.0.2.1:5080");
	add(b, "loop.test", TYPE_CNAME, 60, "pool.test");
	add(b, "pool.test", TYPE_CNAME, 60, "loop.test");
	expect(b, RESOLVE_ADDRESS, "loop.test", "");
	add(b, "self.test", TYPE_CNAME, 60, "self.test");
	expect(b, RESOLVE_ADDRESS, "self.test", "");
}

static void test_addresses_that_no_server_has_are_not_believed(void **state)
{
	struct bench *b = *state;

	add(b, "bad.test", TYPE_A, 60, "0.0.0.0");
	add(b, "bad.test", TYPE_A, 60, "224.0.0.1");
	add(b, "bad.test", TYPE_A, 60, "255.255.255.255");
	add(b, "bad.test", TYPE_AAAA, 60, "::");
	add(b, "bad.test", TYPE_AAAA, 60, "ff02::1");
	add(b, "bad.test", TYPE_AAAA, 60, "::ffff:192.0.2.1");
	expect(b, RESOLVE_ADDRESS, "bad.test", "");
	add(b, "good.test", TYPE_A, 60, "0.0.0.0");
	add(b, "good.test", TYPE_A, 60, "192.0.2.1");
	expect(b, RESOLVE_ADDRESS, "good.test", "192.0.2.1:0");
}

/* RFC 2308: a name that is not there is remembered as such, for RESOLVE_NEGATIVE_S. */
static void test_a_failure_is_remembered_for_a_while(void **state)
{
	struct bench *b = *state;
	const struct resolve_addresses *a;
	struct result result = {0};

	expect(b, RESOLVE_ADDRESS, "nobody.test", "");
	assert_int_equal(dns_server_questions(b->server, "nobody.test", 0), 2);
	assert_int_equal(
		resolve_ask(b->resolver, RESOLVE_ADDRESS, str_c("nobody.test"), done, &result), 0);
	assert_int_equal(result.calls, 1);
	assert_int_equal(result.answer, RESOLVE_FAILED);
	b->ahead += (RESOLVE_NEGATIVE_S - 1) * S;
	settle(b);
	assert_int_equal(find(b, RESOLVE_ADDRESS, "nobody.test", &a), RESOLVE_FAILED);
	b->ahead += 2 * S;
	settle(b);
	assert_int_equal(find(b, RESOLVE_ADDRESS, "nobody.test", &a), RESOLVE_MISSING);
	assert_int_equal(dns_server_questions(b->server, "nobody.test", 0), 2);
	add(b, "nobody.test", TYPE_A, 60, "192.0.2.1");
	expect(b, RESOLVE_ADDRESS, "nobody.test", "192.0.2.1:0");
}

/* How long an answer lives: asked once, found again and again, refreshed shortly before its end. */
static void lifetime(struct bench *b, const char *name, uint64_t seconds)
{
	const struct resolve_addresses *a;
	uint64_t ahead = seconds * MS * 1000 / RESOLVE_AHEAD_PART, most = RESOLVE_AHEAD_MAX_S * S;
	unsigned before;

	ahead = ahead < most ? ahead : most;

	expect(b, RESOLVE_ADDRESS, name, "192.0.2.1:0");
	before = dns_server_questions(b->server, name, TYPE_A);
	b->ahead += seconds * S - ahead - 300 * MS;
	settle(b);
	assert_int_equal(find(b, RESOLVE_ADDRESS, name, &a), RESOLVE_FOUND);
	if (dns_server_questions(b->server, name, TYPE_A) != before)
		fail_msg("%s: asked again long before %llu s", name, (unsigned long long)seconds);
	b->ahead += 400 * MS;
	settle(b);
	if (dns_server_questions(b->server, name, TYPE_A) != before + 1)
		fail_msg("%s: not asked again in %llu s", name, (unsigned long long)seconds);
	assert_int_equal(find(b, RESOLVE_ADDRESS, name, &a), RESOLVE_FOUND);
}

static void test_answers_live_for_their_ttl_within_bounds(void **state)
{
	struct bench *b = *state;

	add(b, "zero.test", TYPE_A, 0, "192.0.2.1");
	lifetime(b, "zero.test", RESOLVE_TTL_MIN_S);
	add(b, "minute.test", TYPE_A, 60, "192.0.2.1");
	lifetime(b, "minute.test", 60);
	add(b, "long.test", TYPE_A, 2000000000, "192.0.2.1");
	lifetime(b, "long.test", RESOLVE_TTL_MAX_S);
	/* RFC 2181 8: the top bit makes it 0. */
	add(b, "negative.test", TYPE_A, 0x80000001U, "192.0.2.1");
	lifetime(b, "negative.test", RESOLVE_TTL_MIN_S);
	/* The alias lives shorter than what it leads to. */
	add(b, "alias.test", TYPE_CNAME, 30, "minute.test");
	lifetime(b, "alias.test", 30);
	/* Of all records the least counts. */
	add(b, "two.test", TYPE_A, 500, "192.0.2.1");
	add(b, "two.test", TYPE_A, 20, "192.0.2.1");
	lifetime(b, "two.test", 20);
}

static void test_what_nobody_finds_is_forgotten(void **state)
{
	struct bench *b = *state;
	const struct resolve_addresses *a;
	struct result result = {0};

	add(b, "idle.test", TYPE_A, 60, "192.0.2.1");
	assert_int_equal(
		resolve_ask(b->resolver, RESOLVE_ADDRESS, str_c("idle.test"), done, &result), 0);
	settle(b);
	b->ahead += 61 * S;
	settle(b);
	assert_int_equal(find(b, RESOLVE_ADDRESS, "idle.test", &a), RESOLVE_MISSING);
	assert_int_equal(dns_server_questions(b->server, "idle.test", TYPE_A), 1);
	/* One that is found is refreshed, and forgotten when it is not found any more. */
	expect(b, RESOLVE_ADDRESS, "idle.test", "192.0.2.1:0");
	b->ahead += 61 * S;
	settle(b);
	assert_int_equal(dns_server_questions(b->server, "idle.test", TYPE_A), 3);
	b->ahead += 61 * S;
	settle(b);
	assert_int_equal(find(b, RESOLVE_ADDRESS, "idle.test", &a), RESOLVE_MISSING);
	assert_int_equal(dns_server_questions(b->server, "idle.test", TYPE_A), 3);
}

static void test_a_change_is_seen_after_the_ttl(void **state)
{
	struct bench *b = *state;
	const struct resolve_addresses *a;

	add(b, "move.test", TYPE_A, 60, "192.0.2.1");
	expect(b, RESOLVE_ADDRESS, "move.test", "192.0.2.1:0");
	dns_server_remove(b->server, "move.test");
	add(b, "move.test", TYPE_A, 60, "192.0.2.2");
	b->ahead += 61 * S;
	settle(b);
	assert_int_equal(find(b, RESOLVE_ADDRESS, "move.test", &a), RESOLVE_FOUND);
	assert_string_equal(text_of(a), "192.0.2.2:0");
	/* Gone is gone, though there was an answer. */
	dns_server_remove(b->server, "move.test");
	b->ahead += 61 * S;
	settle(b);
	assert_int_equal(find(b, RESOLVE_ADDRESS, "move.test", &a), RESOLVE_FAILED);
}

/* RFC 8767: servers that fail take nothing away, for RESOLVE_STALE_S. */
static void test_stale_answers_stay_while_servers_fail(void **state)
{
	struct bench *b = *state;
	const struct resolve_addresses *a;
	unsigned asked;

	add(b, "stale.test", TYPE_A, 60, "192.0.2.1");
	expect(b, RESOLVE_ADDRESS, "stale.test", "192.0.2.1:0");
	dns_server_mode(b->server, "stale.test", 0, DNS_SERVFAIL);
	b->ahead += 61 * S;
	/* While the refresh is under way, too. */
	step(b);
	assert_int_equal(find(b, RESOLVE_ADDRESS, "stale.test", &a), RESOLVE_FOUND);
	settle(b);
	for (unsigned minutes = 1; minutes < 60; minutes++) {
		asked = dns_server_questions(b->server, "stale.test", TYPE_A);
		assert_int_equal(find(b, RESOLVE_ADDRESS, "stale.test", &a), RESOLVE_FOUND);
		assert_string_equal(text_of(a), "192.0.2.1:0");
		b->ahead += 60 * S;
		settle(b);
		assert_true(dns_server_questions(b->server, "stale.test", TYPE_A) > asked);
	}
	assert_int_equal(find(b, RESOLVE_ADDRESS, "stale.test", &a), RESOLVE_FOUND);
	b->ahead += 120 * S;
	settle(b);
	assert_int_equal(find(b, RESOLVE_ADDRESS, "stale.test", &a), RESOLVE_FAILED);
	/* And it comes back. */
	dns_server_mode(b->server, "stale.test", 0, DNS_NORMAL);
	b->ahead += (RESOLVE_FAILURE_MAX_S + 1) * S;
	settle(b);
	expect(b, RESOLVE_ADDRESS, "stale.test", "192.0.2.1:0");
}

/* Far beyond a datagram: truncated, asked again over TCP, and the best 16 of all kept. */
static void test_a_thousand_services_are_cut_to_the_best(void **state)
{
	static char names[1000][32], addresses[1000][16];
	struct bench *b = *state;
	char want[1024] = "";
	size_t n = 0;

	for (unsigned i = 0; i < 1000; i++) {
		unsigned k = i * 7 % 1000;

		snprintf(names[k], sizeof(names[k]), "gateway-%u.test", k);
		snprintf(addresses[k], sizeof(addresses[k]), "10.1.%u.%u", k / 250, k % 250);
		add_srv(b, "_sip._udp.big.test", (uint16_t)(k + 1), 0, 5060, names[k]);
		add(b, names[k], TYPE_A, 60, addresses[k]);
	}
	for (unsigned i = 0; i < RESOLVE_ADDRESSES_MAX; i++)
		n += (size_t)snprintf(
			want + n, sizeof(want) - n, "%s10.1.0.%u:5060", i > 0 ? " " : "", i);
	expect(b, RESOLVE_SIP_UDP, "big.test", want);
	assert_true(dns_server_tcp_questions(b->server) > 0);
	/* Not one question for the others. */
	assert_int_equal(dns_server_questions(b->server, "gateway-16.test", 0), 0);
}

static void test_a_thousand_addresses_are_cut_to_the_lowest(void **state)
{
	static char addresses[1000][16];
	struct bench *b = *state;
	const struct resolve_addresses *a;

	for (unsigned i = 0; i < 1000; i++) {
		unsigned k = i * 7 % 1000;

		snprintf(addresses[k], sizeof(addresses[k]), "10.1.%u.%u", k / 250, k % 250);
		add(b, "many.test", TYPE_A, 60, addresses[k]);
	}
	struct result result = {0};

	assert_int_equal(
		resolve_ask(b->resolver, RESOLVE_ADDRESS, str_c("many.test"), done, &result), 0);
	settle(b);
	assert_int_equal(find(b, RESOLVE_ADDRESS, "many.test", &a), RESOLVE_FOUND);
	assert_int_equal(a->count, RESOLVE_ADDRESSES_MAX);
	for (unsigned i = 0; i < RESOLVE_ADDRESSES_MAX; i++)
		assert_true(a->ep[i].addr.v4 == htobe32(0x0a010000 + i));
}

static void test_garbage_is_a_failure_and_a_forgery_is_waited_out(void **state)
{
	static const struct {
		const char *name;
		enum dns_mode mode;
	} cases[] = {{"noise.test", DNS_NOISE}, {"loop.test", DNS_NAME_LOOP},
		{"long.test", DNS_LONG_DATA}, {"short.test", DNS_SHORT_ADDRESS},
		{"stranger.test.test", DNS_STRANGER}, {"servfail.test", DNS_SERVFAIL}};
	struct bench *b = *state;

	for (unsigned i = 0; i < COUNT(cases); i++) {
		add(b, cases[i].name, TYPE_A, 60, "192.0.2.1");
		dns_server_mode(b->server, cases[i].name, 0, cases[i].mode);
		expect(b, RESOLVE_ADDRESS, cases[i].name, "");
		expect(b, RESOLVE_SIP_UDP, cases[i].name, "");
	}
	add(b, "forged.test", TYPE_A, 60, "192.0.2.1");
	dns_server_mode(b->server, "forged.test", 0, DNS_WRONG_ID);
	expect(b, RESOLVE_ADDRESS, "forged.test", "192.0.2.1:0");
}

/* A part that fails leaves the rest, for the shortest time. */
static void test_half_an_answer_is_one(void **state)
{
	struct bench *b = *state;

	add(b, "half.test", TYPE_A, 3600, "192.0.2.1");
	dns_server_mode(b->server, "half.test", TYPE_AAAA, DNS_SERVFAIL);
	lifetime(b, "half.test", RESOLVE_TTL_MIN_S);
	add_srv(b, "_sip._udp.pair.test", 0, 0, 5060, "bad.test");
	add_srv(b, "_sip._udp.pair.test", 1, 0, 5061, "good.test");
	add(b, "good.test", TYPE_A, 60, "192.0.2.2");
	dns_server_mode(b->server, "bad.test", 0, DNS_SERVFAIL);
	expect(b, RESOLVE_SIP_UDP, "pair.test", "192.0.2.2:5061");
	/* Whether there are services is not known: the name's own addresses would be a guess. */
	add(b, "guess.test", TYPE_A, 60, "192.0.2.3");
	dns_server_mode(b->server, "_sip._udp.guess.test", 0, DNS_SERVFAIL);
	expect(b, RESOLVE_SIP_UDP, "guess.test", "");
	assert_int_equal(dns_server_questions(b->server, "guess.test", 0), 0);
}

static void test_silence_ends_and_poll_never_blocks(void **state)
{
	struct bench *b = *state;
	struct result result[3] = {{0}};
	uint64_t began = clock_now_ns();
	unsigned polls = 0, slow = 0;

	dns_server_mode(b->server, "silent.test", 0, DNS_SILENT);
	dns_server_mode(b->server, "_sip._udp.silent.test", 0, DNS_SILENT);
	dns_server_mode(b->server, "empty.test", 0, DNS_EMPTY);
	assert_int_equal(
		resolve_ask(b->resolver, RESOLVE_ADDRESS, str_c("silent.test"), done, &result[0]),
		0);
	assert_int_equal(
		resolve_ask(b->resolver, RESOLVE_SIP_UDP, str_c("silent.test"), done, &result[1]),
		0);
	assert_int_equal(
		resolve_ask(b->resolver, RESOLVE_ADDRESS, str_c("empty.test"), done, &result[2]),
		0);
	for (;;) {
		uint64_t before = machine_ns();
		unsigned left = resolver_poll(b->resolver, clock_now_ns());

		polls++;
		slow += machine_ns() - before > S / 10;
		if (left == 0)
			break;
		assert_true(clock_now_ns() - began < PATIENCE_MS * MS);
		usleep(2000);
	}
	step(b);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(result[i].calls, 1);
		assert_int_equal(result[i].answer, RESOLVE_FAILED);
	}
	assert_int_equal(dns_server_questions(b->server, "silent.test", TYPE_A), 3);
	/* The machine may be busy at times; polls that wait for c-ares' clock do so for half a
	 * second, each of them. */
	assert_true(polls > 40);
	assert_true(slow < polls / 4);
}

static void test_many_who_wait_for_a_name_ask_once(void **state)
{
	static struct result result[1000];
	struct bench *b = *state;

	memset(result, 0, sizeof(result));
	add(b, "popular.test", TYPE_A, 60, "192.0.2.1");
	for (unsigned i = 0; i < COUNT(result); i++)
		assert_int_equal(resolve_ask(b->resolver, RESOLVE_ADDRESS,
					 str_c(i % 2 == 0 ? "popular.test" : "POPULAR.test."), done,
					 &result[i]),
			0);
	settle(b);
	for (unsigned i = 0; i < COUNT(result); i++) {
		assert_int_equal(result[i].calls, 1);
		assert_int_equal(result[i].answer, RESOLVE_FOUND);
	}
	assert_int_equal(dns_server_questions(b->server, "popular.test", 0), 2);
}

/* Who is called may ask for the next name at once. */
struct chain {
	struct bench *bench;
	unsigned left;
	char name[32];
};

static void ask_next(void *arg, enum resolve_answer answer)
{
	struct chain *c = arg;

	assert_int_equal(answer, RESOLVE_FAILED);
	if (c->left-- == 0)
		return;
	snprintf(c->name, sizeof(c->name), "link-%u.test", c->left / 2);
	assert_int_equal(
		resolve_ask(c->bench->resolver, RESOLVE_ADDRESS, str_c(c->name), ask_next, c), 0);
}

static void test_who_is_called_may_ask_again(void **state)
{
	struct chain c = {.bench = *state, .left = 40};

	assert_int_equal(
		resolve_ask(c.bench->resolver, RESOLVE_ADDRESS, str_c("first.test"), ask_next, &c),
		0);
	for (unsigned i = 0; i < 100; i++)
		settle(c.bench);
	assert_int_equal(c.left, UINT_MAX);
}

static void test_bounds_are_refused_with_eagain(void **state)
{
	static struct result result[RESOLVE_WAITERS_MAX];
	struct bench *b = *state;
	unsigned taken = 0;
	char name[32];
	int err = 0;

	/* Servers that stay silent: all of them are under way. */
	dns_server_mode(b->server, "silent.test", 0, DNS_SILENT);
	for (unsigned i = 0; i < RESOLVE_QUERIES_MAX + 10; i++) {
		snprintf(name, sizeof(name), "name-%u.test", i);
		err = resolve_ask(b->resolver, RESOLVE_ADDRESS, str_c(name), done, &result[0]);
		taken += err == 0;
	}
	assert_int_equal(err, -EAGAIN);
	assert_true(taken > RESOLVE_QUERIES_MAX / 2 && taken < RESOLVE_QUERIES_MAX);
	/* Joining one that is under way is possible still. */
	assert_int_equal(
		resolve_ask(b->resolver, RESOLVE_ADDRESS, str_c("name-0.test"), done, &result[1]),
		0);
	settle(b);
	assert_int_equal(result[0].calls, taken);
	assert_int_equal(result[1].calls, 1);
	/* A refused name left nothing behind. */
	expect(b, RESOLVE_ADDRESS, name, "");

	/* A name that is ours may be waited for by half of all. */
	memset(result, 0, sizeof(result));
	for (unsigned i = 0; i < RESOLVE_WAITERS_MAX / 2; i++)
		assert_int_equal(resolve_ask_ours(b->resolver, RESOLVE_ADDRESS,
					 str_c("silent.test"), done, &result[i]),
			0);
	assert_int_equal(resolve_ask_ours(b->resolver, RESOLVE_ADDRESS, str_c("silent.test"), done,
				 &result[0]),
		-EAGAIN);
	assert_int_equal(counter(b, RESOLVE_COUNTER_WAITING), RESOLVE_WAITERS_MAX / 2);
	/* Destroyed with all of them waiting: nobody is called, nothing leaks. */
}

static void test_a_full_table_gives_up_what_nobody_uses(void **state)
{
	struct bench *b = *state;
	const struct resolve_addresses *a;
	struct result result = {0};
	char name[32];

	add(b, "used.test", TYPE_A, 86400, "192.0.2.1");
	expect(b, RESOLVE_ADDRESS, "used.test", "192.0.2.1:0");
	for (unsigned i = 0; i < RESOLVE_NAMES_MAX + 200; i++) {
		snprintf(name, sizeof(name), "name-%u.test", i);
		assert_int_equal(
			resolve_ask(b->resolver, RESOLVE_ADDRESS, str_c(name), done, &result), 0);
		if (i % 100 == 99)
			settle(b);
	}
	for (unsigned i = 0; i < 100 && result.calls < RESOLVE_NAMES_MAX + 200; i++)
		settle(b);
	assert_int_equal(result.calls, RESOLVE_NAMES_MAX + 200);
	assert_int_equal(find(b, RESOLVE_ADDRESS, "used.test", &a), RESOLVE_FOUND);
	assert_int_equal(find(b, RESOLVE_ADDRESS, "name-0.test", &a), RESOLVE_MISSING);
	assert_int_equal(find(b, RESOLVE_ADDRESS, name, &a), RESOLVE_FAILED);
}

static void test_only_host_names_are_asked_for(void **state)
{
	static const char *const bad[] = {"", ".", "..", "a..b", "a..", ".a", "a b", "-a.test",
		"a-.test", "192.0.2.1", "1.2.3", "[2001:db8::1]", "2001:db8::1", "a.test/",
		"a.test:5060", "sip:a.test", "a\r\nb.test", "a.\xc3\xa9.test", "a.1", "*.test",
		"a234567890123456789012345678901234567890123456789012345678901234.test"};
	struct bench *b = *state;
	const struct resolve_addresses *a;
	struct result result = {0};
	char text[300];

	for (unsigned i = 0; i < COUNT(bad); i++)
		if (resolve_ask(b->resolver, RESOLVE_ADDRESS, str_c(bad[i]), done, &result) !=
			-EINVAL)
			fail_msg("\"%s\" is asked for", bad[i]);
	/* Nor is there anything to wait for. */
	for (unsigned i = 0; i < COUNT(bad); i++)
		assert_int_equal(find(b, RESOLVE_ADDRESS, bad[i], &a), RESOLVE_FAILED);
	assert_int_equal(
		resolve_ask(b->resolver, RESOLVE_ADDRESS, str_of("a\0b.test", 8), done, &result),
		-EINVAL);
	/* 254 bytes, each label fine. */
	for (unsigned i = 0; i < sizeof(text); i++)
		text[i] = i % 2 == 0 ? 'a' : '.';
	assert_int_equal(
		resolve_ask(b->resolver, RESOLVE_ADDRESS, str_of(text, 255), done, &result),
		-EINVAL);
	assert_int_equal(
		resolve_ask(b->resolver, RESOLVE_ADDRESS, str_of(text, 253), done, &result), 0);
	settle(b);
	assert_int_equal(result.calls, 1);
	/* What is in use although RFC 1123 has it not. */
	add(b, "my_pbx.test", TYPE_A, 60, "192.0.2.1");
	expect(b, RESOLVE_ADDRESS, "my_pbx.test", "192.0.2.1:0");
	add(b, "single", TYPE_A, 60, "192.0.2.1");
	expect(b, RESOLVE_ADDRESS, "single", "192.0.2.1:0");
}

static void test_now_waits_and_explains(void **state)
{
	struct bench *b = *state;
	struct resolve_addresses a;
	char error[200] = "";
	uint64_t began;

	add(b, "now.test", TYPE_A, 60, "192.0.2.1");
	assert_int_equal(resolve_now(b->resolver, RESOLVE_SIP_UDP, str_c("NOW.test"), 2000, &a,
				 error, sizeof(error)),
		1);
	assert_string_equal(text_of(&a), "192.0.2.1:0");
	/* Readers have it at once, and a second call asks nobody. */
	const struct resolve_addresses *found;

	assert_int_equal(find(b, RESOLVE_SIP_UDP, "now.test", &found), RESOLVE_FOUND);
	assert_int_equal(resolve_now(b->resolver, RESOLVE_SIP_UDP, str_c("now.test"), 2000, &a,
				 error, sizeof(error)),
		1);
	assert_int_equal(dns_server_questions(b->server, "now.test", TYPE_A), 1);

	assert_int_equal(resolve_now(b->resolver, RESOLVE_ADDRESS, str_c("late.test"), 2000, &a,
				 error, sizeof(error)),
		-ENOENT);
	assert_non_null(strstr(error, "late.test"));
	/* Mended a moment later: a load sees it, no memory of failure stands in its way. */
	add(b, "late.test", TYPE_A, 60, "192.0.2.2");
	assert_int_equal(resolve_now(b->resolver, RESOLVE_ADDRESS, str_c("late.test"), 2000, &a,
				 error, sizeof(error)),
		1);
	assert_int_equal(resolve_now(b->resolver, RESOLVE_ADDRESS, str_c("10.0.0.1"), 2000, &a,
				 error, sizeof(error)),
		-EINVAL);
	assert_non_null(strstr(error, "\"10.0.0.1\""));

	dns_server_mode(b->server, "fails.test", 0, DNS_SERVFAIL);
	assert_int_equal(resolve_now(b->resolver, RESOLVE_ADDRESS, str_c("fails.test"), 2000, &a,
				 error, sizeof(error)),
		-ETIMEDOUT);
	assert_non_null(strstr(error, "fails.test"));

	dns_server_mode(b->server, "silent.test", 0, DNS_SILENT);
	began = clock_now_ns();
	assert_int_equal(resolve_now(b->resolver, RESOLVE_ADDRESS, str_c("silent.test"), 300, &a,
				 error, sizeof(error)),
		-ETIMEDOUT);
	assert_true(clock_now_ns() - began >= 300 * MS);
	assert_non_null(strstr(error, "300 ms"));
	/* A small buffer takes what fits. */
	char small[8];

	assert_int_equal(resolve_now(b->resolver, RESOLVE_ADDRESS, str_c("nowhere.test"), 2000, &a,
				 small, sizeof(small)),
		-ENOENT);
	assert_string_equal(small, "nowhere");
}

static void *stop_soon(void *arg)
{
	usleep(50000);
	atomic_store((_Atomic bool *)arg, true);
	return NULL;
}

/* Who waits for names is told that nobody wants them any more. */
static void test_now_is_stopped(void **state)
{
	static _Atomic bool stop;
	struct bench *b = *state;
	struct resolve_addresses a;
	char error[200] = "";
	pthread_t thread;

	atomic_store(&stop, false);
	resolver_stop_by(b->resolver, &stop);
	dns_server_mode(b->server, "silent.test", 0, DNS_SILENT);
	dns_server_mode(b->server, "dumb.test", 0, DNS_SILENT);
	add(b, "now.test", TYPE_A, 60, "192.0.2.1");
	assert_int_equal(resolve_now(b->resolver, RESOLVE_ADDRESS, str_c("now.test"), 2000, &a,
				 error, sizeof(error)),
		1);
	assert_int_equal(pthread_create(&thread, NULL, stop_soon, &stop), 0);
	assert_int_equal(resolve_now(b->resolver, RESOLVE_ADDRESS, str_c("silent.test"), 3000, &a,
				 error, sizeof(error)),
		-ECANCELED);
	assert_non_null(strstr(error, "silent.test"));
	pthread_join(thread, NULL);
	assert_int_equal(resolve_now(b->resolver, RESOLVE_ADDRESS, str_c("dumb.test"), 3000, &a,
				 error, sizeof(error)),
		-ECANCELED);
	/* What is known needs no wait. */
	assert_int_equal(resolve_now(b->resolver, RESOLVE_ADDRESS, str_c("now.test"), 2000, &a,
				 error, sizeof(error)),
		1);
}

/*
 * A reader that does not move on keeps a few snapshots, not all of them; those who wait wait with
 * it.
 */
static void test_a_stuck_reader_does_not_fill_the_memory(void **state)
{
	struct bench *b = *state;
	int reader = rcu_register(b->rcu);
	struct result result = {0};
	char name[32];

	for (unsigned i = 0; i < 30; i++) {
		snprintf(name, sizeof(name), "name-%u.test", i);
		assert_int_equal(
			resolve_ask(b->resolver, RESOLVE_ADDRESS, str_c(name), done, &result), 0);
		settle(b);
	}
	assert_in_range(result.calls, 1, 10);
	assert_true(b->rcu->retired_count <= 8);
	rcu_quiescent(b->rcu, reader);
	settle(b);
	assert_int_equal(result.calls, 30);
	rcu_offline(b->rcu, reader);
}

struct reader {
	struct bench *bench;
	int id;
	atomic_bool stop;
	unsigned found;
};

/* What a worker does: a burst of look-ups on one snapshot, then a quiescent state. */
static void *read_along(void *arg)
{
	struct reader *reader = arg;

	while (!atomic_load(&reader->stop)) {
		const struct resolve_snapshot *s = resolver_snapshot(reader->bench->resolver);
		const struct resolve_addresses *a;

		for (unsigned i = 0; i < 32; i++) {
			char name[32];

			snprintf(name, sizeof(name), "host-%u.test", i);
			if (resolve_find(s, RESOLVE_ADDRESS, str_c(name), &a) != RESOLVE_FOUND)
				continue;
			reader->found++;
			if (a->count != 1 || a->ep[0].addr.b[3] != i)
				abort();
		}
		rcu_quiescent(reader->bench->rcu, reader->id);
	}
	rcu_offline(reader->bench->rcu, reader->id);
	return NULL;
}

static void test_readers_see_whole_snapshots_while_they_change(void **state)
{
	static char names[32][32], addresses[32][32];
	struct bench *b = *state;
	struct reader reader = {.bench = b, .id = rcu_register(b->rcu)};
	struct result result = {0};
	pthread_t thread;

	for (unsigned i = 0; i < 32; i++) {
		snprintf(names[i], sizeof(names[i]), "host-%u.test", i);
		snprintf(addresses[i], sizeof(addresses[i]), "192.0.2.%u", i);
		add(b, names[i], TYPE_A, i % 7, addresses[i]);
	}
	assert_int_equal(pthread_create(&thread, NULL, read_along, &reader), 0);
	for (unsigned round = 0; round < 300; round++) {
		resolve_ask(b->resolver, RESOLVE_ADDRESS, str_c(names[round % 32]), done, &result);
		b->ahead += S / 2;
		step(b);
		usleep(300);
	}
	settle(b);
	atomic_store(&reader.stop, true);
	pthread_join(thread, NULL);
	assert_true(reader.found > 0);
}

static void test_the_hosts_file_is_read_with_the_systems_servers(void **state)
{
	struct bench *b = *state;
	struct resolver *r;
	struct resolve_addresses a;
	char line[256], error[200];
	bool has = false;
	FILE *f = fopen("/etc/hosts", "r");

	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		has = has ||
		      (strncmp(line, "127.0.0.1", 9) == 0 && strstr(line, "localhost") != NULL);
	if (f != NULL)
		fclose(f);
	if (!has) {
		print_message("no localhost in /etc/hosts\n");
		skip();
	}
	r = resolver_create(NULL, b->rcu);
	assert_non_null(r);
	assert_true(resolve_now(r, RESOLVE_SIP_UDP, str_c("localhost"), 2000, &a, error,
			    sizeof(error)) >= 1);
	assert_int_equal(a.ep[0].addr.v4, htobe32(0x7f000001));
	resolver_destroy(r);
}

static unsigned hosts_file_read;

int __wrap_ares_gethostbyname_file(
	ares_channel channel, const char *name, int family, struct hostent **host);
int __real_ares_gethostbyname_file(
	ares_channel channel, const char *name, int family, struct hostent **host);

int __wrap_ares_gethostbyname_file(
	ares_channel channel, const char *name, int family, struct hostent **host)
{
	hosts_file_read++;
	return __real_ares_gethostbyname_file(channel, name, family, host);
}

/* Strangers choose names, and the file may be long: once a family, and once for a host that an SRV
 * record names. */
static void test_the_hosts_file_is_read_once_for_a_name(void **state)
{
	static const struct {
		enum resolve_kind kind;
		const char *name, *want;
		unsigned times;
	} row[] = {
		{RESOLVE_SIP_UDP, "plain.test", "192.0.2.1:0", 2},
		{RESOLVE_SIP, "plain2.test", "192.0.2.2:0", 2},
		{RESOLVE_ADDRESS, "plain.test", "192.0.2.1:0", 2},
		{RESOLVE_SIP_UDP, "service.test", "192.0.2.1:5070", 4},
		{RESOLVE_SIP_UDP, "itself.test", "192.0.2.3:5070", 2},
	};
	struct bench *b = *state;

	add(b, "plain.test", TYPE_A, 60, "192.0.2.1");
	add(b, "plain2.test", TYPE_A, 60, "192.0.2.2");
	add(b, "itself.test", TYPE_A, 60, "192.0.2.3");
	add_srv(b, "_sip._udp.service.test", 0, 1, 5070, "plain.test");
	add_srv(b, "_sip._udp.itself.test", 0, 1, 5070, "itself.test");
	b->resolver->hosts_file = true;
	for (unsigned i = 0; i < COUNT(row); i++) {
		hosts_file_read = 0;
		expect(b, row[i].kind, row[i].name, row[i].want);
		assert_int_equal(hosts_file_read, row[i].times);
	}
}

static void test_bad_servers_are_refused(void **state)
{
	struct bench *b = *state;

	errno = 0;
	assert_null(resolver_create("no address", b->rcu));
	assert_int_equal(errno, EINVAL);
	errno = 0;
	assert_null(resolver_create("127.0.0.1,127.0.0.1,127.0.0.1,127.0.0.1,127.0.0.1,127.0.0.1,"
				    "127.0.0.1,127.0.0.1,127.0.0.1,127.0.0.1,127.0.0.1,127.0.0.1,"
				    "127.0.0.1,127.0.0.1,127.0.0.1,127.0.0.1,127.0.0.1",
		b->rcu));
	assert_int_equal(errno, EINVAL);
	resolver_destroy(NULL);
}

/* Nobody listens there, as the kernel says: c-ares tries again, but not to the end of its time. */
static void test_a_dead_server_is_given_up_early(void **state)
{
	struct bench *b = *state;
	struct resolver *r;
	struct resolve_addresses a;
	char error[200];
	uint64_t began = clock_now_ns();

	r = resolver_create("127.0.0.1:1", b->rcu);
	assert_non_null(r);
	assert_int_equal(
		resolve_now(r, RESOLVE_ADDRESS, str_c("a.test"), 5000, &a, error, sizeof(error)),
		-ETIMEDOUT);
	assert_true(clock_now_ns() - began < 4 * S);
	resolver_destroy(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_both_families_come_in_one_order),
		TEST(test_names_are_found_in_any_case_and_with_a_dot),
		TEST(test_services_come_by_priority_weight_and_address),
		TEST(test_naptr_says_where_the_services_are),
		TEST(test_of_naptr_the_lowest_order_counts_by_preference),
		TEST(test_without_naptr_of_ours_srv_is_asked),
		TEST(test_servers_that_fail_at_naptr_take_nothing_away),
		TEST(test_calls_share_the_targets_by_their_weights),
		TEST(test_a_change_moves_only_its_share_of_the_calls),
		TEST(test_no_target_takes_the_places_of_others),
		TEST(test_names_that_mean_the_same_everywhere_are_not_asked_for),
		TEST(test_a_name_without_services_has_its_addresses),
		TEST(test_a_service_that_is_not_offered_fails),
		TEST(test_aliases_are_followed_and_loops_end),
		TEST(test_addresses_that_no_server_has_are_not_believed),
		TEST(test_a_failure_is_remembered_for_a_while),
		TEST(test_answers_live_for_their_ttl_within_bounds),
		TEST(test_what_nobody_finds_is_forgotten),
		TEST(test_a_change_is_seen_after_the_ttl),
		TEST(test_stale_answers_stay_while_servers_fail),
		TEST(test_a_thousand_services_are_cut_to_the_best),
		TEST(test_a_thousand_addresses_are_cut_to_the_lowest),
		TEST(test_garbage_is_a_failure_and_a_forgery_is_waited_out),
		TEST(test_half_an_answer_is_one),
		TEST(test_silence_ends_and_poll_never_blocks),
		TEST(test_many_who_wait_for_a_name_ask_once),
		TEST(test_who_is_called_may_ask_again),
		TEST(test_bounds_are_refused_with_eagain),
		TEST(test_a_full_table_gives_up_what_nobody_uses),
		TEST(test_only_host_names_are_asked_for),
		TEST(test_now_waits_and_explains),
		TEST(test_now_is_stopped),
		TEST(test_a_stuck_reader_does_not_fill_the_memory),
		TEST(test_readers_see_whole_snapshots_while_they_change),
		TEST(test_the_hosts_file_is_read_with_the_systems_servers),
		TEST(test_the_hosts_file_is_read_once_for_a_name),
		TEST(test_bad_servers_are_refused),
		TEST(test_a_dead_server_is_given_up_early),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
