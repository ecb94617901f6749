/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <cmocka.h>

#include "kernel/hop.h"

#define ROUNDS 40
#define LOOKUPS 3000

/* Repeatable: a failure can be looked at. */
static uint64_t state_of_random = 0x243f6a8885a308d3ULL;

static uint32_t draw(uint32_t below)
{
	state_of_random ^= state_of_random << 13;
	state_of_random ^= state_of_random >> 7;
	state_of_random ^= state_of_random << 17;
	return (uint32_t)((state_of_random >> 11) % below);
}

static struct net_addr addr_of(const char *text)
{
	struct net_addr addr = {.family = 0};

	assert_int_equal(net_addr_parse(str_c(text), &addr), 0);
	return addr;
}

/* What a hop has of a source says so on its own, too. */
static void find_both(
	const struct kernel_hops *hops, const struct net_addr *to, struct kernel_hop *out)
{
	struct net_addr source;
	uint16_t port;
	bool is;

	kernel_hop_find(hops, to, out);
	is = kernel_hop_source(hops, to, &source, &port);
	assert_int_equal(is, out->state != KERNEL_HOP_NO_ROUTE);
	if (is) {
		assert_int_equal(port, out->port);
		assert_true(net_addr_equal(&source, &out->source));
	}
}

static struct kernel_hop find(const struct kernel_hops *hops, const char *to)
{
	struct net_addr addr = addr_of(to);
	struct kernel_hop hop;

	memset(&hop, 0xee, sizeof(hop));
	find_both(hops, &addr, &hop);
	return hop;
}

/* ---- table ---- */

static void test_table_holds_what_was_added_and_no_more(void **state)
{
	enum { KEYS = 300, MAX = 200 };
	struct kernel_table t;
	bool there[KEYS] = {false};
	uint32_t number[KEYS], count = 0;
	struct net_addr addr = {.family = 4};

	assert_int_equal(kernel_table_init(&t, MAX), 0);
	for (unsigned round = 0; round < 20000; round++) {
		uint32_t key = draw(KEYS), got;

		/* Two tags of one address are two keys. */
		addr.v4 = key / 2;
		got = kernel_table_find(&t, &addr, key % 2);
		assert_int_equal(got != KERNEL_TABLE_NONE, there[key]);
		if (there[key])
			assert_int_equal(got, number[key]);
		if (there[key] && draw(2) == 0) {
			kernel_table_remove(&t, got);
			there[key] = false;
			count--;
		} else if (!there[key]) {
			got = kernel_table_add(&t, &addr, key % 2);
			assert_int_equal(got == KERNEL_TABLE_NONE, count == MAX);
			if (got != KERNEL_TABLE_NONE) {
				assert_true(got < MAX);
				number[key] = got;
				there[key] = true;
				count++;
			}
		}
		assert_int_equal(t.count, count);
	}
	kernel_table_fini(&t);
}

/* ---- hand ---- */

static void fill(uint8_t *frame, uint32_t len, uint32_t n)
{
	for (uint32_t i = 0; i < len; i++)
		frame[i] = (uint8_t)(n * 31 + i);
}

static void test_ring_keeps_order_and_content_across_its_end(void **state)
{
	struct kernel_ring r = {.data = malloc(KERNEL_RING_BYTES)};
	uint8_t *frame = malloc(KERNEL_HAND_MAX), *got;
	uint32_t put = 0, taken = 0, len, lens[4096];
	uint16_t port;

	assert_non_null(r.data);
	assert_non_null(frame);
	/* Positions wrap at 32 bits, too. */
	atomic_store(&r.head, UINT32_MAX - 3000 + 1);
	atomic_store(&r.tail, UINT32_MAX - 3000 + 1);
	atomic_fetch_and(&r.head, ~7u);
	atomic_fetch_and(&r.tail, ~7u);
	r.tail_seen = atomic_load(&r.tail);
	while (taken < 4000) {
		if (put < 4000 && draw(3) != 0) {
			len = draw(20) == 0 ? KERNEL_HAND_MAX : 14 + draw(1500);
			fill(frame, len, put);
			if (kernel_ring_put(&r, (uint16_t)(put % 7), frame, len))
				lens[put++] = len;
		} else if ((got = kernel_ring_peek(&r, &port, &len)) != NULL) {
			assert_int_equal(len, lens[taken]);
			assert_int_equal(port, taken % 7);
			fill(frame, len, taken);
			assert_memory_equal(got, frame, len);
			kernel_ring_drop(&r);
			taken++;
		}
	}
	assert_null(kernel_ring_peek(&r, &port, &len));
	free(frame);
	free(r.data);
}

static void test_full_ring_refuses_and_loses_nothing(void **state)
{
	struct kernel_ring r = {.data = malloc(KERNEL_RING_BYTES)};
	uint8_t frame[1400];
	uint32_t put = 0, got = 0, len;
	uint16_t port;

	assert_non_null(r.data);
	for (fill(frame, sizeof(frame), put); kernel_ring_put(&r, 0, frame, sizeof(frame));
		fill(frame, sizeof(frame), put))
		put++;
	assert_true(put > KERNEL_RING_BYTES / 1500 && put <= KERNEL_RING_BYTES / 1400);
	for (uint8_t *p; (p = kernel_ring_peek(&r, &port, &len)) != NULL; kernel_ring_drop(&r)) {
		fill(frame, sizeof(frame), got++);
		assert_memory_equal(p, frame, sizeof(frame));
	}
	assert_int_equal(got, put);
	free(r.data);
}

static void *produce(void *arg)
{
	struct kernel_ring *r = arg;
	uint8_t frame[300];

	for (uint32_t n = 0; n < 200000;) {
		uint32_t len = 14 + n % 280;

		fill(frame, len, n);
		n += kernel_ring_put(r, (uint16_t)n, frame, len);
	}
	return NULL;
}

static void test_ring_carries_between_two_threads(void **state)
{
	struct kernel_ring r = {.data = malloc(KERNEL_RING_BYTES)};
	uint8_t frame[300];
	pthread_t thread;

	assert_non_null(r.data);
	assert_int_equal(pthread_create(&thread, NULL, produce, &r), 0);
	for (uint32_t n = 0; n < 200000;) {
		uint16_t port;
		uint32_t len;
		uint8_t *got = kernel_ring_peek(&r, &port, &len);

		if (got == NULL)
			continue;
		fill(frame, 14 + n % 280, n);
		assert_int_equal(len, 14 + n % 280);
		assert_int_equal(port, (uint16_t)n);
		assert_memory_equal(got, frame, len);
		kernel_ring_drop(&r);
		n++;
	}
	pthread_join(thread, NULL);
	free(r.data);
}

static void test_bucket_passes_its_rate_and_a_burst_of_100_ms(void **state)
{
	struct kernel_bucket b = {.full_at = 0};
	uint64_t now = 5 * CLOCK_NS_PER_S;
	unsigned passed = 0;

	for (unsigned i = 0; i < 10000; i++)
		passed += kernel_bucket_take(&b, 2000, now);
	assert_in_range(passed, 200, 202);
	/* For ten seconds ten times the rate is asked for. */
	passed = 0;
	for (unsigned i = 0; i < 200000; i++) {
		now += CLOCK_NS_PER_S / 20000;
		passed += kernel_bucket_take(&b, 2000, now);
	}
	assert_in_range(passed, 19990, 20010);
	/* A pause gives no more than the burst. */
	now += 3600 * CLOCK_NS_PER_S;
	passed = 0;
	for (unsigned i = 0; i < 10000; i++)
		passed += kernel_bucket_take(&b, 2000, now);
	assert_in_range(passed, 200, 202);
}

/* ---- hops ---- */

static void add_neighbour(struct kernel_mirror *m, struct net_addr addr, uint16_t port)
{
	uint32_t i = kernel_table_add(&m->neighbours, &addr, port);

	assert_true(i != KERNEL_TABLE_NONE);
	m->neighbour[i].usable = true;
	m->neighbour[i].mac[0] = 0x02;
	m->neighbour[i].mac[1] = (uint8_t)port;
	memcpy(m->neighbour[i].mac + 2, addr.b + (addr.family == 4 ? 0 : 12), 4);
}

static void add_address(struct kernel_mirror *m, const char *addr, uint8_t bits, uint16_t port)
{
	m->address[m->addresses++] =
		(struct kernel_address){.addr = addr_of(addr), .port = port, .bits = bits};
}

static struct kernel_route *add_route(
	struct kernel_mirror *m, const char *to, uint8_t bits, uint32_t metric)
{
	struct kernel_route *r = &m->route[m->routes++];

	*r = (struct kernel_route){
		.to = {.addr = addr_of(to), .bits = bits}, .metric = metric, .hop = m->hops};
	return r;
}

static void add_hop(struct kernel_mirror *m, struct kernel_route *r, const char *gateway,
	uint16_t port, uint16_t weight)
{
	struct kernel_route_hop *h = &m->hop[m->hops++];

	*h = (struct kernel_route_hop){.port = port, .weight = weight};
	if (gateway != NULL)
		h->gateway = addr_of(gateway);
	r->hops++;
	r->ours |= port != KERNEL_FOREIGN;
}

static void two_ports(struct kernel_mirror *m)
{
	assert_int_equal(kernel_mirror_init(m), 0);
	m->mtu[0] = 1500;
	m->mtu[1] = 9000;
	add_address(m, "198.51.100.10", 24, 0);
	add_address(m, "10.0.0.5", 24, 1);
	add_address(m, "2001:db8:1::5", 64, 0);
	add_address(m, "fe80::5", 64, 0);
	add_address(m, "192.168.9.9", 24, KERNEL_FOREIGN);
	add_hop(m, add_route(m, "198.51.100.0", 24, 0), NULL, 0, 1);
	add_hop(m, add_route(m, "10.0.0.0", 24, 0), NULL, 1, 1);
	add_hop(m, add_route(m, "2001:db8:1::", 64, 256), NULL, 0, 1);
	add_hop(m, add_route(m, "192.168.9.0", 24, 0), NULL, KERNEL_FOREIGN, 1);
	add_hop(m, add_route(m, "0.0.0.0", 0, 0), "192.168.9.1", KERNEL_FOREIGN, 1);
	add_hop(m, add_route(m, "0.0.0.0", 0, 1024), "198.51.100.1", 0, 1);
	add_hop(m, add_route(m, "::", 0, 1024), "fe80::1", 0, 1);
	add_hop(m, add_route(m, "172.16.0.0", 12, 0), "10.0.0.1", 1, 1);
	add_route(m, "172.20.0.0", 16, 0); /* unreachable */
	add_neighbour(m, addr_of("198.51.100.1"), 0);
	add_neighbour(m, addr_of("10.0.0.77"), 1);
	add_neighbour(m, addr_of("fe80::1"), 0);
	/* The same address on the other link is another host. */
	add_neighbour(m, addr_of("10.0.0.78"), 0);
}

static void assert_hop(const struct kernel_hops *hops, const char *to, enum kernel_hop_state state,
	unsigned port, unsigned mtu, const char *via, const char *source)
{
	struct kernel_hop hop = find(hops, to);
	char text[NET_ADDR_TEXT_MAX];

	assert_int_equal(hop.state, state);
	if (state == KERNEL_HOP_NO_ROUTE)
		return;
	assert_int_equal(hop.port, port);
	assert_int_equal(hop.mtu, mtu);
	net_addr_format(&hop.via, text);
	assert_string_equal(text, via);
	if (source == NULL) {
		assert_int_equal(hop.source.family, 0);
		return;
	}
	net_addr_format(&hop.source, text);
	assert_string_equal(text, source);
}

static void test_hop_follows_the_longest_prefix_of_our_ports(void **state)
{
	struct kernel_mirror m;
	struct kernel_hops *hops;
	struct kernel_hop hop;

	two_ports(&m);
	hops = kernel_hops_build(&m);
	assert_non_null(hops);
	/* On-link: known, and not. */
	assert_hop(hops, "10.0.0.77", KERNEL_HOP_READY, 1, 9000, "10.0.0.77", "10.0.0.5");
	hop = find(hops, "10.0.0.77");
	assert_memory_equal(hop.mac, ((uint8_t[]){0x02, 1, 10, 0, 0, 77}), 6);
	assert_hop(hops, "10.0.0.78", KERNEL_HOP_UNRESOLVED, 1, 9000, "10.0.0.78", "10.0.0.5");
	/* By gateways: one that is known, one that is not; ours before the host's own default
	 * route. */
	assert_hop(hops, "8.8.8.8", KERNEL_HOP_READY, 0, 1500, "198.51.100.1", "198.51.100.10");
	assert_hop(hops, "172.31.255.255", KERNEL_HOP_UNRESOLVED, 1, 9000, "10.0.0.1", "10.0.0.5");
	assert_hop(hops, "2001:db8:2::1", KERNEL_HOP_READY, 0, 1500, "fe80::1", "2001:db8:1::5");
	assert_hop(hops, "2001:db8:1::9", KERNEL_HOP_UNRESOLVED, 0, 1500, "2001:db8:1::9",
		"2001:db8:1::5");
	/* What a longer prefix takes away, the default does not give back. */
	assert_hop(hops, "172.20.1.1", KERNEL_HOP_NO_ROUTE, 0, 0, NULL, NULL);
	assert_hop(hops, "192.168.9.1", KERNEL_HOP_NO_ROUTE, 0, 0, NULL, NULL);
	assert_hop(hops, "192.168.9.9", KERNEL_HOP_NO_ROUTE, 0, 0, NULL, NULL);
	assert_hop(hops, "172.21.0.0", KERNEL_HOP_UNRESOLVED, 1, 9000, "10.0.0.1", "10.0.0.5");
	/* Our own, and what is nobody's. */
	assert_hop(
		hops, "198.51.100.10", KERNEL_HOP_LOCAL, 0, 1500, "198.51.100.10", "198.51.100.10");
	assert_hop(hops, "10.0.0.5", KERNEL_HOP_LOCAL, 1, 9000, "10.0.0.5", "10.0.0.5");
	assert_hop(
		hops, "2001:db8:1::5", KERNEL_HOP_LOCAL, 0, 1500, "2001:db8:1::5", "2001:db8:1::5");
	for (const char *const *never = (const char *const[]){"10.0.0.255", "10.0.0.0",
		     "198.51.100.255", "255.255.255.255", "224.0.0.1", "239.255.255.250",
		     "127.0.0.1", "127.255.255.255", "0.0.0.0", "0.1.2.3", "::", "::1", "ff02::1",
		     NULL};
		*never != NULL; never++)
		assert_hop(hops, *never, KERNEL_HOP_NO_ROUTE, 0, 0, NULL, NULL);
	hop.state = KERNEL_HOP_READY;
	find_both(hops, &(struct net_addr){.family = 0}, &hop);
	assert_int_equal(hop.state, KERNEL_HOP_NO_ROUTE);
	free(hops);
	kernel_mirror_fini(&m);
}

static void test_hop_on_an_empty_machine_is_none(void **state)
{
	struct kernel_mirror m;
	struct kernel_hops *hops;

	assert_int_equal(kernel_mirror_init(&m), 0);
	hops = kernel_hops_build(&m);
	assert_non_null(hops);
	assert_int_equal(find(hops, "10.0.0.1").state, KERNEL_HOP_NO_ROUTE);
	assert_int_equal(find(hops, "2001:db8::1").state, KERNEL_HOP_NO_ROUTE);
	free(hops);
	kernel_mirror_fini(&m);
}

static void test_multipath_is_spread_by_weight_and_the_same_everywhere(void **state)
{
	struct kernel_mirror a, b;
	struct kernel_hops *x, *y;
	unsigned first = 0;

	two_ports(&a);
	two_ports(&b);
	/* Two nodes learn the same two ways in another order. */
	for (unsigned n = 0; n < 2; n++) {
		struct kernel_mirror *m = n == 0 ? &a : &b;
		struct kernel_route *r = add_route(m, "203.0.113.0", 24, 0);

		add_hop(m, r, n == 0 ? "10.0.0.1" : "10.0.0.2", 1, n == 0 ? 3 : 1);
		add_hop(m, r, n == 0 ? "10.0.0.2" : "10.0.0.1", 1, n == 0 ? 1 : 3);
		add_hop(m, r, "192.168.9.1", KERNEL_FOREIGN, 50);
	}
	x = kernel_hops_build(&a);
	y = kernel_hops_build(&b);
	assert_non_null(x);
	assert_non_null(y);
	for (unsigned i = 1; i < 255; i++) {
		struct net_addr to = addr_of("203.0.113.0");
		struct kernel_hop p, q;

		to.b[3] = (uint8_t)i;
		find_both(x, &to, &p);
		find_both(y, &to, &q);
		assert_true(net_addr_equal(&p.via, &q.via));
		assert_int_equal(p.port, 1);
		first += p.via.b[3] == 1;
	}
	/* 254 addresses at three to one: 190, and 28 is four standard deviations. */
	assert_in_range(first, 162, 218);
	free(x);
	free(y);
	kernel_mirror_fini(&a);
	kernel_mirror_fini(&b);
}

static void test_mtu_is_the_least_of_port_route_and_path(void **state)
{
	struct kernel_mirror m;
	struct kernel_hops *hops;
	struct kernel_route *r;
	struct net_addr far = addr_of("172.16.5.5"), near = addr_of("10.0.0.77"),
			unknown = addr_of("10.0.0.99");
	uint32_t i;

	two_ports(&m);
	r = add_route(&m, "203.0.113.0", 24, 0);
	r->mtu = 1400;
	add_hop(&m, r, "10.0.0.1", 1, 1);
	add_neighbour(&m, addr_of("10.0.0.1"), 1);
	i = kernel_table_add(&m.pmtus, &far, 0);
	m.pmtu[i].mtu = 1280;
	i = kernel_table_add(&m.pmtus, &near, 0);
	m.pmtu[i].mtu = 1300;
	i = kernel_table_add(&m.pmtus, &unknown, 0);
	m.pmtu[i].mtu = 1350;
	hops = kernel_hops_build(&m);
	assert_non_null(hops);
	assert_hop(hops, "203.0.113.1", KERNEL_HOP_READY, 1, 1400, "10.0.0.1", "10.0.0.5");
	assert_hop(hops, "172.16.5.5", KERNEL_HOP_READY, 1, 1280, "10.0.0.1", "10.0.0.5");
	assert_memory_equal(find(hops, "172.16.5.5").mac, ((uint8_t[]){0x02, 1, 10, 0, 0, 1}), 6);
	assert_hop(hops, "172.16.5.6", KERNEL_HOP_READY, 1, 9000, "10.0.0.1", "10.0.0.5");
	assert_hop(hops, "10.0.0.77", KERNEL_HOP_READY, 1, 1300, "10.0.0.77", "10.0.0.5");
	assert_hop(hops, "10.0.0.99", KERNEL_HOP_UNRESOLVED, 1, 1350, "10.0.0.99", "10.0.0.5");
	free(hops);
	kernel_mirror_fini(&m);
}

/* ---- against a reference that has no cleverness ---- */

static bool covers(const struct net_prefix *p, const struct net_addr *addr)
{
	if (p->addr.family != addr->family)
		return false;
	for (unsigned bit = 0; bit < p->bits; bit++)
		if (((p->addr.b[bit / 8] ^ addr->b[bit / 8]) >> (7 - bit % 8) & 1) != 0)
			return false;
	return true;
}

static struct net_addr random_addr(uint8_t family)
{
	struct net_addr addr = {.family = family};

	/* Few distinct bytes, so that prefixes nest and neighbours collide. */
	for (unsigned i = 0; i < (family == 4 ? 4u : 16u); i++)
		addr.b[i] = draw(4) == 0 ? (uint8_t)draw(256) : (uint8_t)(draw(3) + 10);
	return addr;
}

static void mask(struct net_prefix *p)
{
	for (unsigned bit = p->bits; bit < 128; bit++)
		p->addr.b[bit / 8] &= (uint8_t) ~(0x80 >> bit % 8);
}

static void random_mirror(struct kernel_mirror *m, unsigned routes, unsigned neighbours)
{
	assert_int_equal(kernel_mirror_init(m), 0);
	for (uint16_t port = 0; port < 4; port++)
		m->mtu[port] = (uint16_t)(1500 + port);
	for (unsigned i = 0; i < routes; i++) {
		uint8_t family = draw(2) == 0 ? 4 : 6;
		struct kernel_route *r = &m->route[m->routes++];

		*r = (struct kernel_route){.hop = m->hops, .metric = draw(3)};
		r->to.addr = random_addr(family);
		r->to.bits = (uint8_t)draw(family == 4 ? 33 : 129);
		mask(&r->to);
		if (draw(10) == 0)
			continue; /* unreachable */
		m->hop[m->hops] = (struct kernel_route_hop){
			.port = draw(6) == 0 ? KERNEL_FOREIGN : (uint16_t)draw(4), .weight = 1};
		if (draw(2) == 0)
			m->hop[m->hops].gateway = random_addr(family);
		r->ours = m->hop[m->hops++].port != KERNEL_FOREIGN;
		r->hops = 1;
	}
	for (unsigned i = 0; i < neighbours; i++)
		add_neighbour(m, random_addr(draw(2) == 0 ? 4 : 6), (uint16_t)draw(4));
}

static bool is_never(const struct net_addr *a)
{
	return net_addr_is_multicast(a) || net_addr_is_loopback(a) || net_addr_is_unspecified(a);
}

static void naive_find(
	const struct kernel_mirror *m, const struct net_addr *to, struct kernel_hop *out)
{
	const struct kernel_route *best = NULL;
	const struct kernel_route_hop *h;
	uint32_t i;

	*out = (struct kernel_hop){.state = KERNEL_HOP_NO_ROUTE};
	if (is_never(to))
		return;
	for (unsigned n = 0; n < m->routes; n++) {
		const struct kernel_route *r = &m->route[n];

		if (!covers(&r->to, to))
			continue;
		if (best == NULL || r->to.bits > best->to.bits ||
			(r->to.bits == best->to.bits &&
				(r->ours > best->ours ||
					(r->ours == best->ours && r->metric < best->metric))))
			best = r;
	}
	if (best == NULL || !best->ours)
		return;
	h = &m->hop[best->hop];
	out->port = h->port;
	out->mtu = m->mtu[h->port];
	out->via = h->gateway.family != 0 ? h->gateway : *to;
	out->state = KERNEL_HOP_UNRESOLVED;
	i = kernel_table_find(&m->neighbours, &out->via, h->port);
	if (i != KERNEL_TABLE_NONE) {
		out->state = KERNEL_HOP_READY;
		memcpy(out->mac, m->neighbour[i].mac, 6);
	}
}

static void test_hop_agrees_with_a_naive_reference(void **state)
{
	unsigned ready = 0, unresolved = 0;

	for (unsigned round = 0; round < ROUNDS; round++) {
		struct kernel_mirror m;
		struct kernel_hops *hops;

		/* Few routes are searched without an index, many with one. */
		random_mirror(&m, draw(round % 2 == 0 ? 30 : 600), 400);
		hops = kernel_hops_build(&m);
		assert_non_null(hops);
		for (unsigned n = 0; n < LOOKUPS; n++) {
			struct net_addr to = random_addr(draw(2) == 0 ? 4 : 6);
			struct kernel_hop got, want;

			if (draw(4) == 0 && m.neighbours.high > 0)
				to = m.neighbours.key[draw(m.neighbours.high)].addr;
			find_both(hops, &to, &got);
			naive_find(&m, &to, &want);
			assert_int_equal(got.state, want.state);
			if (want.state == KERNEL_HOP_NO_ROUTE)
				continue;
			assert_int_equal(got.port, want.port);
			assert_int_equal(got.mtu, want.mtu);
			assert_true(net_addr_equal(&got.via, &want.via));
			assert_memory_equal(got.mac, want.mac, 6);
			ready += want.state == KERNEL_HOP_READY;
			unresolved += want.state == KERNEL_HOP_UNRESOLVED;
		}
		free(hops);
		kernel_mirror_fini(&m);
	}
	/* The comparison has met both. */
	assert_true(ready > 1000 && unresolved > 1000);
}

/* Of this thread: what others do meanwhile is not in it. */
static uint64_t cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * CLOCK_NS_PER_S + (uint64_t)ts.tv_nsec;
}

static void measure(
	struct kernel_mirror *m, const char *what, const struct net_addr *to, unsigned n)
{
	struct kernel_hops *hops;
	uint64_t begun = cpu_ns(), built, took = UINT64_MAX;
	unsigned ready = 0;

	hops = kernel_hops_build(m);
	built = cpu_ns() - begun;
	assert_non_null(hops);
	for (unsigned pass = 0; pass < 5; pass++) {
		uint64_t one;

		begun = cpu_ns();
		for (unsigned i = 0; i < 100000; i++) {
			struct kernel_hop hop;

			/* A stride that is no power of two: the next neighbour lies elsewhere. */
			kernel_hop_find(hops, &to[i * 7919ULL % n], &hop);
			ready += hop.state == KERNEL_HOP_READY;
		}
		one = cpu_ns() - begun;
		took = one < took ? one : took;
	}
	print_message("           %s: %.1f ns a lookup, built in %.2f ms\n", what,
		(double)took / 100000, (double)built / 1e6);
	assert_true(ready > 0);
	/* Flat: far below what a walk over the table would take, on a loaded machine and with
	 * sanitizers. */
	assert_true(took / 100000 < 3000);
	free(hops);
}

static void test_lookup_cost_is_flat(void **state)
{
	struct kernel_mirror m;
	struct net_addr *to = calloc(10000, sizeof(*to));
	struct kernel_route *r;

	assert_non_null(to);
	two_ports(&m);
	for (unsigned i = 0; i < 10; i++) {
		to[i] = addr_of("10.0.0.100");
		to[i].b[3] = (uint8_t)(100 + i);
		add_neighbour(&m, to[i], 1);
	}
	measure(&m, "10 neighbours", to, 10);
	r = add_route(&m, "10.128.0.0", 9, 0);
	add_hop(&m, r, NULL, 1, 1);
	for (unsigned i = 0; i < 10000; i++) {
		to[i] = addr_of("10.128.0.0");
		to[i].b[2] = (uint8_t)(i >> 8);
		to[i].b[3] = (uint8_t)i;
		add_neighbour(&m, to[i], 1);
	}
	measure(&m, "10,000 neighbours", to, 10000);
	for (unsigned i = 0; i < 20000; i++) {
		r = add_route(&m, "20.0.0.0", 24, 0);
		r->to.addr.b[0] = (uint8_t)(20 + (i >> 13));
		r->to.addr.b[1] = (uint8_t)(i >> 5);
		r->to.addr.b[2] = (uint8_t)(i << 3);
		add_hop(&m, r, i % 2 == 0 ? "198.51.100.1" : "10.0.0.77", i % 2, 1);
	}
	for (unsigned i = 0; i < 10000; i++) {
		to[i] = m.route[m.routes - 1 - draw(20000)].to.addr;
		to[i].b[3] = (uint8_t)draw(256);
	}
	measure(&m, "10,000 neighbours, 20,000 routes, by gateway", to, 10000);
	free(to);
	kernel_mirror_fini(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table_holds_what_was_added_and_no_more),
		cmocka_unit_test(test_ring_keeps_order_and_content_across_its_end),
		cmocka_unit_test(test_full_ring_refuses_and_loses_nothing),
		cmocka_unit_test(test_ring_carries_between_two_threads),
		cmocka_unit_test(test_bucket_passes_its_rate_and_a_burst_of_100_ms),
		cmocka_unit_test(test_hop_follows_the_longest_prefix_of_our_ports),
		cmocka_unit_test(test_hop_on_an_empty_machine_is_none),
		cmocka_unit_test(test_multipath_is_spread_by_weight_and_the_same_everywhere),
		cmocka_unit_test(test_mtu_is_the_least_of_port_route_and_path),
		cmocka_unit_test(test_hop_agrees_with_a_naive_reference),
		cmocka_unit_test(test_lookup_cost_is_flat),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
