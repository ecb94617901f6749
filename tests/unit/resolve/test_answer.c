/* SPDX-License-Identifier: BSD-3-Clause */
/* The reader of DNS messages alone, on bytes that end where their block ends. */
#include <endian.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "resolve/internal.h"

/* A message as it is built up. */
struct message {
	uint8_t b[4096];
	uint32_t len;
};

static void put(struct message *m, const void *data, uint32_t n)
{
	assert_true(m->len + n <= sizeof(m->b));
	memcpy(m->b + m->len, data, n);
	m->len += n;
}

static void put16(struct message *m, unsigned v)
{
	put(m, (uint8_t[]){(uint8_t)(v >> 8), (uint8_t)v}, 2);
}

static void put_name(struct message *m, const char *name)
{
	while (*name != '\0') {
		uint32_t n = (uint32_t)strcspn(name, ".");

		put(m, &(uint8_t){(uint8_t)n}, 1);
		put(m, name, n);
		name += n + (name[n] == '.');
	}
	put(m, "", 1);
}

/* The header and one question for sip.test, at offset 12. */
static void begin(struct message *m, unsigned answers)
{
	m->len = 0;
	put(m, (uint8_t[]){1, 2, 0x84, 0x80, 0, 1}, 6);
	put16(m, answers);
	put(m, (uint8_t[]){0, 0, 0, 0}, 4);
	put_name(m, "sip.test");
	put(m, (uint8_t[]){0, 1, 0, 1}, 4);
}

/* An owner as a pointer to the question's name. */
static void put_owner(struct message *m)
{
	put16(m, 0xc00c);
}

static void put_head(
	struct message *m, unsigned type, unsigned class, uint32_t ttl, unsigned length)
{
	put16(m, type);
	put16(m, class);
	put16(m, ttl >> 16);
	put16(m, ttl & 0xffff);
	put16(m, length);
}

static void put_a(struct message *m, unsigned last)
{
	put_head(m, DNS_A, DNS_IN, 60, 4);
	put(m, (uint8_t[]){192, 0, 2, (uint8_t)last}, 4);
}

static struct host_name name(const char *text)
{
	struct host_name n;

	assert_true(name_read(str_c(text), &n));
	return n;
}

/* Whether the last answer that was read had more than was kept. */
static bool was_cut;

/* Reads a copy that ends where its block ends. */
static int addresses(const struct message *m, struct net_addr *out, uint32_t *ttl)
{
	uint8_t *copy = malloc(m->len + 1);
	struct host_name n = name("sip.test");
	struct answer_extent extent = {.ttl = UINT32_MAX};
	int got;

	assert_non_null(copy);
	memcpy(copy + 1, m->b, m->len);
	got = answer_addresses(copy + 1, m->len, &n, 4, out, 16, &extent);
	free(copy);
	*ttl = extent.ttl;
	was_cut = extent.cut;
	return got;
}

static int services(const struct message *m, struct answer_srv *out, unsigned max, uint32_t *ttl)
{
	uint8_t *copy = malloc(m->len + 1);
	struct host_name n = name("sip.test");
	struct answer_extent extent = {.ttl = UINT32_MAX};
	int got;

	assert_non_null(copy);
	memcpy(copy + 1, m->b, m->len);
	got = answer_services(copy + 1, m->len, &n, out, max, &extent);
	free(copy);
	*ttl = extent.ttl;
	was_cut = extent.cut;
	return got;
}

static int naptrs(const struct message *m, struct answer_naptr *out, unsigned max, uint32_t *ttl)
{
	uint8_t *copy = malloc(m->len + 1);
	struct host_name n = name("sip.test");
	struct answer_extent extent = {.ttl = UINT32_MAX};
	int got;

	assert_non_null(copy);
	memcpy(copy + 1, m->b, m->len);
	got = answer_naptrs(copy + 1, m->len, &n, out, max, &extent);
	free(copy);
	*ttl = extent.ttl;
	was_cut = extent.cut;
	return got;
}

static void put_string(struct message *m, const char *text)
{
	put(m, &(uint8_t){(uint8_t)strlen(text)}, 1);
	put(m, text, (uint32_t)strlen(text));
}

static void put_naptr(struct message *m, unsigned order, unsigned preference, const char *flags,
	const char *service, const char *regexp, const char *replacement)
{
	struct message data = {.len = 0};

	put16(&data, order);
	put16(&data, preference);
	put_string(&data, flags);
	put_string(&data, service);
	put_string(&data, regexp);
	put_name(&data, replacement);
	put_owner(m);
	put_head(m, DNS_NAPTR, DNS_IN, 60, data.len);
	put(m, data.b, data.len);
}

static void test_pointers_are_followed_backwards_only(void **state)
{
	struct net_addr a[16];
	struct message m;
	uint32_t ttl;

	begin(&m, 1);
	put_owner(&m);
	put_a(&m, 1);
	assert_int_equal(addresses(&m, a, &ttl), 1);
	assert_int_equal(ttl, 60);
	/* To itself, and past the end. */
	begin(&m, 1);
	put16(&m, 0xc000 | m.len);
	put_a(&m, 1);
	assert_int_equal(addresses(&m, a, &ttl), -EBADMSG);
	begin(&m, 1);
	put16(&m, 0xffff);
	put_a(&m, 1);
	assert_int_equal(addresses(&m, a, &ttl), -EBADMSG);
	/* Two that point at each other: the first leads forward. */
	begin(&m, 1);
	put16(&m, 0xc000 | (m.len + 2));
	put16(&m, 0xc000 | (m.len - 2));
	put_a(&m, 1);
	assert_int_equal(addresses(&m, a, &ttl), -EBADMSG);
	/* A label, then a pointer to that very label. */
	begin(&m, 1);
	put(&m, (uint8_t[]){1, 'a', 0xc0, (uint8_t)m.len}, 4);
	put_a(&m, 1);
	assert_int_equal(addresses(&m, a, &ttl), -EBADMSG);
	/* Neither a label nor a pointer. */
	begin(&m, 1);
	put(&m, (uint8_t[]){0x80, 0}, 2);
	put_a(&m, 1);
	assert_int_equal(addresses(&m, a, &ttl), -EBADMSG);
}

/* The owner of a record leads to the question's name through so many pointers, the first one among
 * them, which stand in a record before. */
static int through(unsigned pointers)
{
	struct net_addr a[16];
	struct message m;
	uint32_t ttl;
	unsigned last = 12;

	begin(&m, 2);
	put_owner(&m);
	put_head(&m, 16, DNS_IN, 60, 2 * (pointers - 1)); /* TXT */
	for (unsigned i = 1; i < pointers; i++) {
		unsigned at = m.len;

		put16(&m, 0xc000 | last);
		last = at;
	}
	put16(&m, 0xc000 | last);
	put_a(&m, 1);
	return addresses(&m, a, &ttl);
}

/* A name has 127 labels at most. Who puts thousands of pointers in one's way has us walk over all
 * of them for each of thousands of records. */
static void test_chains_of_pointers_are_bounded(void **state)
{
	assert_int_equal(through(1), 1);
	assert_int_equal(through(127), 1);
	assert_int_equal(through(128), -EBADMSG);
	assert_int_equal(through(1500), -EBADMSG);
}

static void test_only_the_names_own_records_count(void **state)
{
	struct net_addr a[16];
	struct message m;
	uint32_t ttl;

	begin(&m, 4);
	put_name(&m, "other.test");
	put_a(&m, 1);
	put_name(&m, "SIP.Test");
	put_a(&m, 2);
	/* One label "sip.test" is not two. */
	put(&m, "\x08sip.test", 10);
	put_a(&m, 3);
	/* Class CHAOS. */
	put_owner(&m);
	put_head(&m, DNS_A, 3, 60, 4);
	put(&m, "\xc0\x00\x02\x04", 4);
	assert_int_equal(addresses(&m, a, &ttl), 1);
	assert_true(a[0].v4 == htobe32(0xc0000202));
}

static void test_aliases_may_stand_in_any_order(void **state)
{
	struct net_addr a[16];
	struct message m;
	uint32_t ttl;

	begin(&m, 3);
	put_name(&m, "real.test");
	put_a(&m, 1);
	put_name(&m, "middle.test");
	put_head(&m, DNS_CNAME, DNS_IN, 9, 11);
	put_name(&m, "real.test");
	put_owner(&m);
	put_head(&m, DNS_CNAME, DNS_IN, 30, 13);
	put_name(&m, "middle.test");
	assert_int_equal(addresses(&m, a, &ttl), 1);
	assert_int_equal(ttl, 9);
	/* To what is no host name, beside another such owner: nothing equals nothing. */
	begin(&m, 2);
	put_owner(&m);
	put_head(&m, DNS_CNAME, DNS_IN, 30, 5);
	put(&m,
		"\x03"
		"a b",
		5);
	put(&m,
		"\x03"
		"a b",
		5);
	put_a(&m, 1);
	assert_int_equal(addresses(&m, a, &ttl), 0);
}

/* As many as are followed, and more of them than are looked at, which are said. */
static void test_chains_of_aliases_are_bounded(void **state)
{
	struct net_addr a[16];
	struct message m;
	uint32_t ttl;

	for (unsigned n = ANSWER_CNAMES_MAX - 1; n <= ANSWER_ALIASES_MAX + 1; n++) {
		begin(&m, n + 1);
		for (unsigned i = 0; i < n; i++) {
			char owner[16], target[16];

			snprintf(owner, sizeof(owner), "%c.test", 'a' + i);
			snprintf(target, sizeof(target), "%c.test", 'a' + i + 1);
			put_name(&m, i == 0 ? "sip.test" : owner);
			put_head(&m, DNS_CNAME, DNS_IN, 30, 8);
			put_name(&m, target);
		}
		put_name(&m, (char[]){(char)('a' + n), '.', 't', 'e', 's', 't', '\0'});
		put_a(&m, 1);
		assert_int_equal(addresses(&m, a, &ttl), n < ANSWER_CNAMES_MAX ? 1 : 0);
		assert_int_equal(was_cut, n > ANSWER_ALIASES_MAX);
	}
}

static struct host_name zone_of(const char *text)
{
	struct host_name n = name(text), zone = {.len = 0};
	struct str z = name_zone(&n);

	memcpy(zone.s, z.s, z.len);
	zone.s[z.len] = '\0';
	return zone;
}

static void test_a_zone_is_two_labels_or_three(void **state)
{
	static const char *const zones[][2] = {{"a.b.example.com", "example.com"},
		{"example.com", "example.com"}, {"com", "com"}, {"a.b.co.uk", "b.co.uk"},
		{"b.co.uk", "b.co.uk"}, {"co.uk", "co.uk"}, {"x.y.com.br.", "y.com.br"},
		{"x.y.co.info", "co.info"}, {"x.y.corp.uk", "corp.uk"}, {"x.ab.de", "ab.de"}};

	for (unsigned i = 0; i < sizeof(zones) / sizeof(zones[0]); i++)
		assert_string_equal(zone_of(zones[i][0]).s, zones[i][1]);
}

static void test_services_are_kept_best_first_and_once(void **state)
{
	struct answer_srv srv[3];
	struct message m;
	uint32_t ttl;

	begin(&m, 40);
	for (unsigned i = 0; i < 40; i++) {
		char target[16];

		snprintf(target, sizeof(target), "t%02u.test", (39 - i) / 2);
		put_owner(&m);
		put_head(&m, DNS_SRV, DNS_IN, 100 + i, 6 + 10);
		put16(&m, 5 + (39 - i) / 2 / 10);
		put16(&m, 1000 - (39 - i) / 2);
		put16(&m, 5060);
		put_name(&m, target);
	}
	assert_int_equal(services(&m, srv, 3, &ttl), 3);
	for (unsigned i = 0; i < 3; i++) {
		char target[16];

		snprintf(target, sizeof(target), "t%02u.test", i);
		assert_string_equal(srv[i].target.s, target);
		assert_int_equal(srv[i].priority, 5);
		assert_int_equal(srv[i].weight, 1000 - i);
	}
	assert_int_equal(ttl, 100);
}

static void test_a_name_stays_inside_its_record(void **state)
{
	struct answer_srv srv[3];
	struct message m;
	uint32_t ttl;

	/* A target that goes on behind the record's end. */
	begin(&m, 2);
	put_owner(&m);
	put_head(&m, DNS_SRV, DNS_IN, 60, 9);
	put16(&m, 0);
	put16(&m, 0);
	put16(&m, 5060);
	put_name(&m, "target.test");
	assert_int_equal(services(&m, srv, 3, &ttl), -EBADMSG);
	/* A record too short for its fields. */
	begin(&m, 1);
	put_owner(&m);
	put_head(&m, DNS_SRV, DNS_IN, 60, 6);
	put(&m, "\0\0\0\0\x13\xc4", 6);
	assert_int_equal(services(&m, srv, 3, &ttl), -EBADMSG);
	/* More records promised than there are. */
	begin(&m, 2);
	put_owner(&m);
	put_head(&m, DNS_A, DNS_IN, 60, 4);
	put(&m, "\xc0\0\2\1", 4);
	assert_int_equal(services(&m, srv, 3, &ttl), -EBADMSG);
}

static void test_only_services_that_we_speak_are_kept(void **state)
{
	struct answer_naptr naptr[4];
	struct message m;
	uint32_t ttl;

	begin(&m, 9);
	put_naptr(&m, 10, 10, "s", "SIPS+D2T", "", "_sips._tcp.a.test");
	put_naptr(&m, 50, 9, "S", "sip+d2u", "", "_sip._udp.c.test");
	put_naptr(&m, 50, 7, "s", "SIP+D2U", "", "_sip._udp.b.test");
	put_naptr(&m, 50, 7, "s", "SIP+D2T", "", "_sip._tcp.b.test");
	put_naptr(&m, 20, 1, "s", "SIP+D2U", "!^.*$!sip:x@y!", "");
	put_naptr(&m, 20, 1, "s", "SIP+D2U", "!^.*$!sip:x@y!", "z.test");
	put_naptr(&m, 20, 1, "u", "SIP+D2U", "", "z.test");
	put_naptr(&m, 20, 1, "s", "SIP+D2U", "", "");
	put_naptr(&m, 60, 1, "s", "SIP+D2U", "", "_sip._udp.d.test");
	assert_int_equal(naptrs(&m, naptr, 4, &ttl), 3);
	assert_false(was_cut);
	assert_string_equal(naptr[0].replacement.s, "_sip._udp.b.test");
	assert_int_equal(naptr[0].order, 50);
	assert_int_equal(naptr[0].preference, 7);
	assert_string_equal(naptr[1].replacement.s, "_sip._udp.c.test");
	assert_string_equal(naptr[2].replacement.s, "_sip._udp.d.test");
	assert_int_equal(ttl, 60);
	assert_int_equal(naptrs(&m, naptr, 2, &ttl), 2);
	assert_true(was_cut);
	assert_string_equal(naptr[1].replacement.s, "_sip._udp.c.test");
}

/* Each string, the name, and the record as a whole, a byte too short. */
static void test_a_naptr_s_strings_stay_inside_their_record(void **state)
{
	static const char whole[] = "\0\1\0\2\1s\7SIP+D2U\0\1a";
	struct answer_naptr naptr[4];
	struct message m;
	uint32_t ttl;

	for (unsigned len = 0; len <= sizeof(whole); len++) {
		begin(&m, 1);
		put_owner(&m);
		put_head(&m, DNS_NAPTR, DNS_IN, 60, len);
		put(&m, whole, len);
		if (naptrs(&m, naptr, 4, &ttl) != (len < sizeof(whole) ? -EBADMSG : 1))
			fail_msg("%u bytes", len);
	}
	/* A string that leads over the record's end into what follows. */
	for (unsigned at = 4; at < 15; at++) {
		begin(&m, 1);
		put_owner(&m);
		put_head(&m, DNS_NAPTR, DNS_IN, 60, sizeof(whole));
		put(&m, whole, sizeof(whole));
		m.b[m.len - sizeof(whole) + at] = 200;
		put(&m, whole, sizeof(whole));
		if (at == 4 || at == 6 || at == 14)
			assert_int_equal(naptrs(&m, naptr, 4, &ttl), -EBADMSG);
		else
			assert_in_range(naptrs(&m, naptr, 4, &ttl), 0, 1);
	}
}

/* Altered and cut at random: it ends, inside, and with what it may say. */
static void test_no_message_leads_past_its_end(void **state)
{
	struct answer_naptr naptr[4];
	struct answer_srv srv[4];
	struct net_addr a[16];
	uint64_t x = 88172645463325252ULL;
	struct message good, m;
	unsigned read = 0, found = 0;

	begin(&good, 7);
	put_owner(&good);
	put_head(&good, DNS_CNAME, DNS_IN, 30, 11);
	put_name(&good, "real.test");
	put_name(&good, "real.test");
	put_a(&good, 1);
	put16(&good, 0xc000 | 38);
	put_a(&good, 2);
	put_name(&good, "real.test");
	put_head(&good, DNS_SRV, DNS_IN, 60, 6 + 11);
	put(&good, "\0\1\0\2\x13\xc4", 6);
	put_name(&good, "real.test");
	put_owner(&good);
	put_a(&good, 3);
	put_naptr(&good, 1, 2, "s", "SIP+D2U", "", "real.test");
	put_name(&good, "real.test");
	put_head(&good, DNS_NAPTR, DNS_IN, 60, 13 + 3);
	put(&good, "\0\1\0\2\1S\7sip+d2u\0\1a", 17);
	for (unsigned round = 0; round < 200000; round++) {
		uint32_t ttl;
		int got;

		m = good;
		for (unsigned n = 0; n < 1 + round % 4; n++) {
			x ^= x << 13;
			x ^= x >> 7;
			x ^= x << 17;
			m.b[(x >> 20) % m.len] = (uint8_t)(x >> 40);
		}
		if (round % 3 == 0)
			m.len = (uint32_t)((x >> 8) % (m.len + 1));
		got = addresses(&m, a, &ttl);
		assert_in_range(got + EBADMSG, 0, EBADMSG + 16);
		read += got > 0;
		got = services(&m, srv, 4, &ttl);
		assert_in_range(got + EBADMSG, 0, EBADMSG + 4);
		got = naptrs(&m, naptr, 4, &ttl);
		assert_in_range(got + EBADMSG, 0, EBADMSG + 4);
		found += got > 0;
	}
	assert_true(found > 1000);
	assert_true(read > 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pointers_are_followed_backwards_only),
		cmocka_unit_test(test_chains_of_pointers_are_bounded),
		cmocka_unit_test(test_only_the_names_own_records_count),
		cmocka_unit_test(test_aliases_may_stand_in_any_order),
		cmocka_unit_test(test_chains_of_aliases_are_bounded),
		cmocka_unit_test(test_a_zone_is_two_labels_or_three),
		cmocka_unit_test(test_services_are_kept_best_first_and_once),
		cmocka_unit_test(test_a_name_stays_inside_its_record),
		cmocka_unit_test(test_only_services_that_we_speak_are_kept),
		cmocka_unit_test(test_a_naptr_s_strings_stay_inside_their_record),
		cmocka_unit_test(test_no_message_leads_past_its_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
