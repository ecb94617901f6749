/* SPDX-License-Identifier: BSD-3-Clause */
#include "harness.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static bool possible;

/* Each case has fresh namespaces, which vanish with it. */
#define BEGIN(h) \
	struct harness h; \
	char error[512] = ""; \
	if (!possible) { \
		print_message("           skipped: needs root, ip and network namespaces\n"); \
		skip(); \
	} \
	assert_int_equal(harness_setup(&h), 0)
#define CREATE(h) \
	if (harness_create(&h, error, sizeof(error)) == NULL) \
	fail_msg("%s", error)

/* ---- what harness_pump() waits for ---- */

struct ready {
	const char *to;
	const uint8_t *mac;
};

static bool is_ready(struct harness *h, void *arg)
{
	const struct ready *r = arg;
	struct kernel_hop hop = harness_hop(h, r->to);

	return hop.state == KERNEL_HOP_READY && (r->mac == NULL || memcmp(hop.mac, r->mac, 6) == 0);
}

static bool is_unready(struct harness *h, void *arg)
{
	return harness_hop(h, arg).state != KERNEL_HOP_READY;
}

static bool has_seen(struct harness *h, void *arg)
{
	return h->seen >= *(unsigned *)arg;
}

static void resolve(struct harness *h, const char *to)
{
	struct kernel_hop hop = harness_hop(h, to);

	assert_int_equal(hop.state, KERNEL_HOP_UNRESOLVED);
	assert_int_equal(kernel_resolve(h->k, &hop), 0);
}

/* ---- ping ---- */

static bool arrived(struct harness *h, void *arg)
{
	uint8_t reply[256];
	ssize_t n = recv(*(int *)arg, reply, sizeof(reply), 0);

	/* A raw ICMP socket gives the IPv4 header, a raw ICMPv6 socket does not. */
	return n > 20 && (reply[0] == ICMP6_ECHO_REPLY || reply[20] == ICMP_ECHOREPLY);
}

static void test_ping_from_the_network_is_answered_by_the_kernel(void **state)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
	struct icmphdr echo = {.type = ICMP_ECHO};
	uint8_t echo6[32] = {ICMP6_ECHO_REQUEST};
	struct icmp6_filter filter;
	int fd, fd6;

	BEGIN(h);
	CREATE(h);
	fd = harness_socket(&h, h.there, AF_INET, SOCK_RAW, IPPROTO_ICMP);
	fd6 = harness_socket(&h, h.there, AF_INET6, SOCK_RAW, IPPROTO_ICMPV6);
	assert_true(fd >= 0 && fd6 >= 0);
	ICMP6_FILTER_SETBLOCKALL(&filter);
	ICMP6_FILTER_SETPASS(ICMP6_ECHO_REPLY, &filter);
	setsockopt(fd6, IPPROTO_ICMPV6, ICMP6_FILTER, &filter, sizeof(filter));
	echo.checksum = net_checksum_fold(net_checksum_add(0, &echo, sizeof(echo)));
	inet_pton(AF_INET, "10.1.0.1", &v4.sin_addr);
	inet_pton(AF_INET6, "2001:db8:1::1", &v6.sin6_addr);
	assert_int_equal(sendto(fd, &echo, sizeof(echo), 0, (void *)&v4, sizeof(v4)), sizeof(echo));
	assert_true(harness_pump(&h, PATIENCE_MS, arrived, &fd));
	assert_int_equal(
		sendto(fd6, echo6, sizeof(echo6), 0, (void *)&v6, sizeof(v6)), sizeof(echo6));
	assert_true(harness_pump(&h, PATIENCE_MS, arrived, &fd6));
	close(fd);
	close(fd6);
	harness_teardown(&h);
}

/* ---- neighbours ---- */

static void test_next_hop_is_resolved_on_demand(void **state)
{
	static const uint8_t mac[6] = {0x02, 0, 0, 0, 0, 0x02};
	struct kernel_hop hop;

	BEGIN(h);
	CREATE(h);
	for (const char *const *to = (const char *const[]){"10.1.0.2", "2001:db8:1::2", NULL};
		*to != NULL; to++) {
		struct ready ready = {.to = *to, .mac = mac};

		resolve(&h, *to);
		h.changed = 0;
		assert_true(harness_pump(&h, PATIENCE_MS, is_ready, &ready));
		assert_true(h.changed > 0);
	}
	hop = harness_hop(&h, "10.1.0.2");
	assert_true(
		net_addr_equal(&hop.source, &(struct net_addr){.b = {10, 1, 0, 1}, .family = 4}));
	assert_int_equal(hop.mtu, 1500);
	/* Nobody is there: it stays what it is, and asking again is no error. */
	resolve(&h, "10.1.0.99");
	harness_pump(&h, 300, NULL, NULL);
	resolve(&h, "10.1.0.99");
	assert_int_equal(harness_hop(&h, "10.1.0.99").state, KERNEL_HOP_UNRESOLVED);
	hop.state = KERNEL_HOP_LOCAL;
	assert_int_equal(kernel_resolve(h.k, &hop), -EHOSTUNREACH);
	harness_teardown(&h);
}

/* ARP requests of ours. */
static void count_questions(struct harness *h, const uint8_t *frame, uint32_t len)
{
	h->seen += len >= 42 && frame[12] == 0x08 && frame[13] == 0x06 && frame[21] == 1;
}

static void test_announced_change_of_mac_holds_at_once(void **state)
{
	static const uint8_t mac[6] = {0x02, 0, 0, 0, 0, 0x77};
	struct ready ready = {.to = "10.1.0.2"};
	uint64_t begun;

	BEGIN(h);
	CREATE(h);
	resolve(&h, "10.1.0.2");
	assert_true(harness_pump(&h, PATIENCE_MS, is_ready, &ready));
	/* The kernel believes no two changes within a second. */
	harness_pump(&h, 1100, NULL, NULL);
	ready.mac = mac;
	assert_int_equal(harness_run(&h, h.there,
				 "echo 1 >/proc/sys/net/ipv4/conf/net0/arp_notify; "
				 "ip link set net0 address 02:00:00:00:00:77"),
		0);
	begun = clock_now_ns();
	h.watch = count_questions;
	h.seen = 0;
	assert_true(harness_pump(&h, PATIENCE_MS, is_ready, &ready));
	/* Whoever has the CPU meanwhile: before the kernel came to ask for itself. */
	assert_true(h.seen == 0 || clock_now_ns() - begun < 500 * CLOCK_NS_PER_MS);
	harness_teardown(&h);
}

static void test_silent_change_of_mac_is_found_again(void **state)
{
	static const uint8_t mac[6] = {0x02, 0, 0, 0, 0, 0x78};
	struct ready ready = {.to = "10.1.0.2"};
	uint64_t begun;

	BEGIN(h);
	CREATE(h);
	resolve(&h, "10.1.0.2");
	assert_true(harness_pump(&h, PATIENCE_MS, is_ready, &ready));
	ready.mac = mac;
	assert_int_equal(harness_run(&h, h.there,
				 "ip link set net0 arp off address 02:00:00:00:00:78 arp on"),
		0);
	begun = clock_now_ns();
	/* Nothing is sent to it, and nothing comes from it: only the kernel's own care finds it. */
	assert_true(harness_pump(&h, PATIENCE_MS, is_ready, &ready));
	print_message("           found after %.1f s\n", (double)(clock_now_ns() - begun) / 1e9);
	harness_teardown(&h);
}

static void test_neighbour_that_goes_is_unresolved_and_comes_back(void **state)
{
	struct ready ready = {.to = "10.1.0.2"};

	BEGIN(h);
	CREATE(h);
	resolve(&h, "10.1.0.2");
	assert_true(harness_pump(&h, PATIENCE_MS, is_ready, &ready));
	h.cut = true;
	assert_true(harness_pump(&h, PATIENCE_MS, is_unready, "10.1.0.2"));
	h.cut = false;
	assert_true(harness_pump(&h, PATIENCE_MS, is_ready, &ready));
	/* Swept away by hand: it is in use, so it is asked for again without a message needing it.
	 */
	assert_int_equal(harness_run(&h, h.here, "ip neigh del 10.1.0.2 dev ct0"), 0);
	harness_pump(&h, 20, NULL, NULL);
	assert_true(harness_pump(&h, PATIENCE_MS, is_ready, &ready));
	harness_teardown(&h);
}

/* ---- routes ---- */

struct expected {
	const char *to, *via;
	enum kernel_hop_state state;
};

static bool is_expected(struct harness *h, void *arg)
{
	const struct expected *e = arg;
	struct kernel_hop hop = harness_hop(h, e->to);
	struct net_addr via;

	if (hop.state != e->state)
		return false;
	if (e->via == NULL)
		return true;
	via = harness_addr(e->via);
	return net_addr_equal(&hop.via, &via);
}

static void expect(struct harness *h, const char *to, enum kernel_hop_state state, const char *via)
{
	struct expected e = {to, via, state};

	if (!harness_pump(h, PATIENCE_MS, is_expected, &e))
		fail_msg("%s: state %d", to, harness_hop(h, to).state);
}

static void test_routes_and_gateways_are_honoured_as_they_change(void **state)
{
	struct ready ready = {.to = "203.0.113.9"};

	BEGIN(h);
	h.gateway = "10.1.0.2";
	CREATE(h);
	expect(&h, "8.8.8.8", KERNEL_HOP_UNRESOLVED, "10.1.0.2");
	expect(&h, "2001:db8:2::1", KERNEL_HOP_NO_ROUTE, NULL);
	resolve(&h, "203.0.113.9");
	assert_true(harness_pump(&h, PATIENCE_MS, is_ready, &ready));
	/* All that goes by this gateway is ready with it. */
	expect(&h, "8.8.8.8", KERNEL_HOP_READY, "10.1.0.2");
	assert_int_equal(harness_run(&h, h.here,
				 "ip route add 192.0.2.0/24 via 10.1.0.3 && ip route add "
				 "unreachable 192.0.2.128/25 && "
				 "ip -6 route add 2001:db8:2::/48 via 2001:db8:1::3 mtu 1400 && "
				 "ip route add 198.18.0.0/15 via inet6 2001:db8:1::2 dev ct0 && "
				 "ip route add 198.51.100.0/24 dev lo"),
		0);
	expect(&h, "192.0.2.1", KERNEL_HOP_UNRESOLVED, "10.1.0.3");
	expect(&h, "192.0.2.129", KERNEL_HOP_NO_ROUTE, NULL);
	expect(&h, "2001:db8:2::1", KERNEL_HOP_UNRESOLVED, "2001:db8:1::3");
	expect(&h, "198.51.100.1", KERNEL_HOP_NO_ROUTE, NULL);
	/* An IPv4 network behind an IPv6 gateway (RFC 5549 as Linux has it). */
	expect(&h, "198.19.1.1", KERNEL_HOP_UNRESOLVED, "2001:db8:1::2");
	assert_int_equal(harness_hop(&h, "2001:db8:2::1").mtu, 1400);
	assert_int_equal(harness_run(&h, h.here,
				 "ip route replace 192.0.2.0/24 nexthop via 10.1.0.3 dev ct0 "
				 "nexthop via 10.1.0.4 dev ct0 && "
				 "ip route del unreachable 192.0.2.128/25 && ip route del default"),
		0);
	expect(&h, "8.8.8.8", KERNEL_HOP_NO_ROUTE, NULL);
	{
		unsigned first = 0;

		for (unsigned i = 1; i < 101; i++) {
			char to[32];
			struct kernel_hop hop;

			snprintf(to, sizeof(to), "192.0.2.%u", i);
			hop = harness_hop(&h, to);
			assert_int_equal(hop.state, KERNEL_HOP_UNRESOLVED);
			assert_in_range(hop.via.b[3], 3, 4);
			first += hop.via.b[3] == 3;
		}
		assert_in_range(first, 25, 75);
	}
	/* An interface that goes down takes its routes with it, silently for some. */
	assert_int_equal(harness_run(&h, h.here, "ip link set ct0 down"), 0);
	expect(&h, "10.1.0.2", KERNEL_HOP_NO_ROUTE, NULL);
	assert_int_equal(harness_run(&h, h.here, "ip link set ct0 up"), 0);
	expect(&h, "10.1.0.50", KERNEL_HOP_UNRESOLVED, "10.1.0.50");
	harness_teardown(&h);
}

static void test_ipv6_address_holds_where_ipv6_is_off_by_default(void **state)
{
	BEGIN(h);
	assert_int_equal(
		harness_run(&h, h.here, "echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6"), 0);
	CREATE(h);
	expect(&h, "2001:db8:1::1", KERNEL_HOP_LOCAL, NULL);
	expect(&h, "2001:db8:1::9", KERNEL_HOP_UNRESOLVED, NULL);
	harness_teardown(&h);
}

static void test_addresses_follow_the_interface(void **state)
{
	struct net_addr addr[8];
	struct expected local = {"10.1.7.7", NULL, KERNEL_HOP_LOCAL};

	BEGIN(h);
	CREATE(h);
	/* No link-local one among them. */
	assert_int_equal(kernel_addresses(h.k, 0, addr, 8), 2);
	assert_true(net_addr_equal(&addr[0], &(struct net_addr){.b = {10, 1, 0, 1}, .family = 4}));
	assert_int_equal(addr[1].family, 6);
	assert_int_equal(kernel_addresses(h.k, 1, addr, 8), 0);
	assert_int_equal(kernel_addresses(h.k, 0, addr, 1), 1);
	assert_int_equal(harness_run(&h, h.here, "ip addr add 10.1.7.7/24 dev ct0"), 0);
	assert_true(harness_pump(&h, PATIENCE_MS, is_expected, &local));
	assert_int_equal(kernel_addresses(h.k, 0, addr, 8), 3);
	assert_int_equal(harness_hop(&h, "10.1.0.1").state, KERNEL_HOP_LOCAL);
	assert_int_equal(harness_run(&h, h.here, "ip addr del 10.1.7.7/24 dev ct0"), 0);
	local.state = KERNEL_HOP_NO_ROUTE;
	assert_true(harness_pump(&h, PATIENCE_MS, is_expected, &local));
	assert_int_equal(kernel_addresses(h.k, 0, addr, 8), 2);
	harness_teardown(&h);
}

static bool has_forgotten_all(struct harness *h, void *arg)
{
	return h->k->mirror.neighbours.count == 0;
}

static void test_netlink_overrun_loses_nothing(void **state)
{
	enum { MANY = 30000 };
	struct ready last = {.to = "10.2.117.47"}; /* the last of MANY */
	char path[] = "/tmp/siplane-test-XXXXXX";
	FILE *f;
	int fd;

	BEGIN(h);
	CREATE(h);
	fd = mkstemp(path);
	assert_true(fd >= 0);
	f = fdopen(fd, "w");
	assert_non_null(f);
	fprintf(f, "route add 10.2.0.0/16 dev ct0\n");
	for (unsigned i = 0; i < MANY; i++)
		fprintf(f, "neigh add 10.2.%u.%u lladdr 02:01:00:00:%02x:%02x dev ct0\n", i >> 8,
			i & 255, i >> 8, i & 255);
	fprintf(f, "neigh del 10.2.0.7 dev ct0\n");
	fclose(f);
	/* We do not listen meanwhile: far more events than the socket holds. */
	assert_int_equal(harness_run(&h, h.here, "ip -batch %s", path), 0);
	unlink(path);
	assert_true(harness_pump(&h, PATIENCE_MS, is_ready, &last));
	assert_true(h.k->overruns > 0);
	/* Old events that still waited did not undo what the dump said. */
	harness_pump(&h, 200, NULL, NULL);
	assert_int_equal(h.k->mirror.neighbours.count, MANY - 1);
	assert_int_equal(harness_hop(&h, "10.2.0.7").state, KERNEL_HOP_UNRESOLVED);
	assert_int_equal(harness_hop(&h, "10.2.0.8").state, KERNEL_HOP_READY);
	/* What went away in an overrun goes away here. */
	assert_int_equal(harness_run(&h, h.here, "ip neigh flush dev ct0 nud permanent"), 0);
	assert_true(harness_pump(&h, PATIENCE_MS, is_unready, "10.2.117.47"));
	assert_true(harness_pump(&h, PATIENCE_MS, is_unready, "10.2.0.8"));
	assert_true(harness_pump(&h, PATIENCE_MS, has_forgotten_all, NULL));
	assert_int_equal(harness_hop(&h, "10.2.0.8").state, KERNEL_HOP_UNRESOLVED);
	harness_teardown(&h);
}

/* ---- carrier ---- */

static bool is_running(struct harness *h, const char *name)
{
	return harness_run(h, h->here, "ip link show %s | grep -q LOWER_UP", name) == 0;
}

static void count_announcements(struct harness *h, const uint8_t *frame, uint32_t len)
{
	struct net_frame f;

	/* ARP whose sender asks for itself; an advertisement that nobody has asked for, its sum
	 * right. */
	if (len >= 42 && frame[12] == 0x08 && frame[13] == 0x06)
		h->seen |= memcmp(frame + 28, frame + 38, 4) == 0 ? 1 : 0;
	else if (net_frame_parse(frame, len, true, &f) == NET_ICMP && f.family == 6 &&
		 frame[f.l4_off] == 136 && f.dst.addr.b[0] == 0xff) {
		uint64_t sum = net_checksum_add(0, f.src.addr.b, 16);

		sum = net_checksum_add(sum, f.dst.addr.b, 16) + htobe16(58) +
		      htobe16((uint16_t)f.l4_len);
		h->seen |= net_checksum_fold(net_checksum_add(sum, frame + f.l4_off, f.l4_len)) == 0
				   ? 2
				   : 0;
	}
}

static void test_carrier_follows_the_port(void **state)
{
	struct ready ready = {.to = "10.1.0.2"};
	unsigned both = 3;

	BEGIN(h);
	CREATE(h);
	assert_true(is_running(&h, "ct0"));
	resolve(&h, "10.1.0.2");
	assert_true(harness_pump(&h, PATIENCE_MS, is_ready, &ready));
	kernel_set_carrier(h.k, 0, false);
	assert_false(is_running(&h, "ct0"));
	assert_true(harness_pump(&h, PATIENCE_MS, is_unready, "10.1.0.2"));
	h.watch = count_announcements;
	h.seen = 0;
	kernel_set_carrier(h.k, 0, true);
	/* Peers hear of us at once, and what was in use is found without being asked for. */
	kernel_poll(h.k, clock_now_ns());
	assert_int_equal(h.seen, both);
	assert_true(is_running(&h, "ct0"));
	assert_true(harness_pump(&h, PATIENCE_MS, is_ready, &ready));
	harness_teardown(&h);
}

static void test_addresses_are_announced_at_the_start(void **state)
{
	BEGIN(h);
	/* As a crash leaves it: there, up, and known to the network by another MAC. */
	assert_int_equal(harness_run(&h, h.here,
				 "ip tuntap add ct0 mode tap && ip link set ct0 address "
				 "02:00:00:00:00:99 up"),
		0);
	CREATE(h);
	h.watch = count_announcements;
	kernel_poll(h.k, clock_now_ns());
	assert_int_equal(h.seen, 3);
	harness_teardown(&h);
}

/* ---- placeholder ---- */

static bool shown(const char *file, const char *what)
{
	char line[512];
	bool found = false;
	FILE *f = fopen(file, "re");

	assert_non_null(f);
	while (!found && fgets(line, sizeof(line), f) != NULL)
		found = strstr(line, what) != NULL;
	fclose(f);
	return found;
}

static void test_placeholder_shows_and_takes_nothing(void **state)
{
	struct net_endpoint ep = {.addr = {.b = {10, 1, 0, 1}, .family = 4}, .port = 5060},
			    ep6 = ep;
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(5060)};
	int fd;

	BEGIN(h);
	CREATE(h);
	ep6.addr = harness_addr("2001:db8:1::1");
	assert_false(shown("/proc/net/udp", "0100010A:13C4"));
	assert_int_equal(kernel_placeholder_open(h.k, &ep), 0);
	assert_int_equal(kernel_placeholder_open(h.k, &ep), -EALREADY);
	assert_int_equal(kernel_placeholder_open(h.k, &ep6), 0);
	assert_true(shown("/proc/net/udp", "0100010A:13C4"));
	assert_true(shown("/proc/net/udp6", "B80D0120000001000000000001000000:13C4"));
	/* What comes to it, by loopback, stays out of its queue: columns tx_queue:rx_queue. */
	inet_pton(AF_INET, "10.1.0.1", &to.sin_addr);
	fd = harness_socket(&h, h.here, AF_INET, SOCK_DGRAM, 0);
	for (unsigned i = 0; i < 50; i++)
		assert_int_equal(sendto(fd, "x", 1, 0, (void *)&to, sizeof(to)), 1);
	close(fd);
	assert_true(shown("/proc/net/udp", "0100010A:13C4 00000000:0000 07 00000000:00000000"));
	kernel_placeholder_close(h.k, &ep);
	assert_false(shown("/proc/net/udp", "0100010A:13C4"));
	/* Somebody else has the port. */
	fd = harness_socket(&h, h.here, AF_INET, SOCK_DGRAM, 0);
	assert_int_equal(bind(fd, (void *)&to, sizeof(to)), 0);
	assert_int_equal(kernel_placeholder_open(h.k, &ep), -EADDRINUSE);
	close(fd);
	assert_int_equal(kernel_placeholder_open(h.k, &ep), 0);
	ep.addr.b[3] = 200;
	assert_int_equal(kernel_placeholder_open(h.k, &ep), -EADDRNOTAVAIL);
	harness_teardown(&h);
}

/* ---- path MTU ---- */

struct path {
	const char *to;
	unsigned mtu;
};

static bool has_mtu(struct harness *h, void *arg)
{
	const struct path *p = arg;

	return harness_hop(h, p->to).mtu == p->mtu;
}

static void expect_mtu(struct harness *h, const char *to, unsigned mtu)
{
	struct path p = {to, mtu};

	if (!harness_pump(h, PATIENCE_MS, has_mtu, &p))
		fail_msg("%s: MTU %u, not %u", to, harness_hop(h, to).mtu, mtu);
}

static void test_path_mtu_is_kept_bounded_and_forgotten(void **state)
{
	struct net_addr far = harness_addr("203.0.113.9"), v6 = harness_addr("2001:db8:1::77"),
			many = harness_addr("10.3.0.0");
	uint64_t now = clock_now_ns();

	BEGIN(h);
	h.gateway = "10.1.0.2";
	CREATE(h);
	kernel_pmtu(h.k, &far, 1400, now);
	expect_mtu(&h, "203.0.113.9", 1400);
	assert_int_equal(harness_hop(&h, "203.0.113.10").mtu, 1500);
	/* It does not grow by what a router says, nor shrink to nothing. */
	kernel_pmtu(h.k, &far, 9000, now);
	kernel_pmtu(h.k, &far, 1450, now);
	harness_pump(&h, 20, NULL, NULL);
	assert_int_equal(harness_hop(&h, "203.0.113.9").mtu, 1400);
	kernel_pmtu(h.k, &far, 68, now);
	kernel_pmtu(h.k, &v6, 68, now);
	expect_mtu(&h, "203.0.113.9", KERNEL_PMTU_MIN_V4);
	expect_mtu(&h, "2001:db8:1::77", 1280);
	assert_int_equal(harness_hop(&h, "2001:db8:1::77").state, KERNEL_HOP_UNRESOLVED);
	/* A stranger's flood of them pushes out old ones, and takes no more room. */
	for (unsigned i = 0; i < KERNEL_PMTU_MAX + 100; i++) {
		many.b[2] = (uint8_t)(i >> 8);
		many.b[3] = (uint8_t)i;
		kernel_pmtu(h.k, &many, 1300, now + 1 + i);
	}
	assert_int_equal(h.k->mirror.pmtus.count, KERNEL_PMTU_MAX);
	expect_mtu(&h, "10.3.16.99", 1300);
	assert_int_equal(harness_hop(&h, "203.0.113.9").mtu, 1500);
	now += KERNEL_PMTU_NS + KERNEL_PMTU_MAX + 1000;
	/* What is forgotten is published after a rest. */
	for (unsigned i = 0; i < PATIENCE_MS && harness_hop(&h, "10.3.16.99").mtu != 1500; i++) {
		kernel_poll(h.k, now);
		usleep(1000);
	}
	assert_int_equal(h.k->mirror.pmtus.count, 0);
	assert_int_equal(harness_hop(&h, "10.3.16.99").mtu, 1500);
	harness_teardown(&h);
}

/* ---- frames ---- */

static uint8_t request[NET_ETHER_LEN + NET_VLAN_LEN + 28];

/* An ARP request for 10.1.0.1 with a tag, or (vid < 0) without. */
static uint32_t arp_request(int vid)
{
	static const uint8_t macs[12] = {
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02, 0, 0, 0, 0, 0x02};
	static const uint8_t arp[30] = {0x08, 0x06, 0, 1, 8, 0, 6, 4, 0, 1, 0x02, 0, 0, 0, 0, 0x02,
		10, 1, 0, 2, 0, 0, 0, 0, 0, 0, 10, 1, 0, 1};
	uint32_t at = 12;

	memcpy(request, macs, 12);
	if (vid >= 0) {
		request[at++] = 0x81;
		request[at++] = 0x00;
		request[at++] = (uint8_t)(vid >> 8);
		request[at++] = (uint8_t)vid;
	}
	memcpy(request + at, arp, sizeof(arp));
	return at + (uint32_t)sizeof(arp);
}

static void count_tagged_replies(struct harness *h, const uint8_t *frame, uint32_t len)
{
	static const uint8_t tag[] = {0x81, 0x00, 0x01, 0x2c, 0x08, 0x06};

	h->seen += len >= 46 && memcmp(frame + 12, tag, sizeof(tag)) == 0 && frame[25] == 2;
}

static void count_plain_replies(struct harness *h, const uint8_t *frame, uint32_t len)
{
	h->seen += len >= 42 && frame[12] == 0x08 && frame[13] == 0x06 && frame[21] == 2;
}

static void test_vlan_tag_is_taken_off_and_put_on(void **state)
{
	unsigned one = 1;
	uint32_t len;

	BEGIN(h);
	h.vlan = 300;
	h.watch = count_tagged_replies;
	CREATE(h);
	/* Another network's frames, and untagged ones, are not ours. */
	len = arp_request(-1);
	assert_true(kernel_hand(h.k, 0, 0, KERNEL_REASON_ARP, request, len, clock_now_ns()));
	len = arp_request(301);
	assert_true(kernel_hand(h.k, 0, 0, KERNEL_REASON_ARP, request, len, clock_now_ns()));
	harness_pump(&h, 200, NULL, NULL);
	assert_int_equal(h.seen, 0);
	len = arp_request(300);
	assert_true(kernel_hand(h.k, 0, 0, KERNEL_REASON_ARP, request, len, clock_now_ns()));
	assert_true(harness_pump(&h, PATIENCE_MS, has_seen, &one));
	harness_pump(&h, 100, NULL, NULL);
	assert_int_equal(h.seen, 1);
	harness_teardown(&h);
}

static void test_priority_tag_is_no_network(void **state)
{
	unsigned one = 1;
	uint32_t len = arp_request(0);

	BEGIN(h);
	h.watch = count_plain_replies;
	CREATE(h);
	assert_true(kernel_hand(h.k, 0, 0, KERNEL_REASON_ARP, request, len, clock_now_ns()));
	assert_true(harness_pump(&h, PATIENCE_MS, has_seen, &one));
	harness_teardown(&h);
}

static void test_hand_refuses_what_exceeds_rate_or_bounds(void **state)
{
	uint32_t len = arp_request(-1);
	uint64_t now = clock_now_ns();
	unsigned taken = 0;
	uint8_t *huge = calloc(1, KERNEL_HAND_MAX + 1);

	BEGIN(h);
	assert_non_null(huge);
	CREATE(h);
	for (unsigned i = 0; i < 1000; i++)
		taken += kernel_hand(h.k, 0, 0, KERNEL_REASON_ARP, request, len, now);
	assert_in_range(taken, 200, 202);
	/* Another reason has its own. */
	assert_true(kernel_hand(h.k, 0, 0, KERNEL_REASON_ICMP, request, len, now));
	assert_true(kernel_hand(h.k, 0, 1, KERNEL_REASON_ARP, request, len, now));
	assert_false(kernel_hand(h.k, 1, 0, KERNEL_REASON_ICMP, request, len, now));
	assert_false(kernel_hand(h.k, 0, KERNEL_PORTS_MAX, KERNEL_REASON_ICMP, request, len, now));
	assert_false(kernel_hand(h.k, 0, 0, KERNEL_REASON_ICMP, request, 13, now));
	assert_false(kernel_hand(h.k, 0, 0, KERNEL_REASON_OTHER, huge, KERNEL_HAND_MAX + 1, now));
	assert_true(kernel_hand(h.k, 0, 0, KERNEL_REASON_OTHER, huge, KERNEL_HAND_MAX, now));
	kernel_poll(h.k, now);
	free(huge);
	harness_teardown(&h);
}

static bool received(struct harness *h, void *arg)
{
	char text[16];

	return recv(*(int *)arg, text, sizeof(text), 0) == 5;
}

static void test_unfinished_checksum_is_finished_only_where_the_port_says_so(void **state)
{
	const struct net_header header = {
		.dst_mac = HARNESS_MAC,
		.src_mac = {0x02, 0, 0, 0, 0, 0x02},
		.src = {.addr = {.b = {10, 1, 0, 2}, .family = 4}, .port = 4000},
		.dst = {.addr = {.b = {10, 1, 0, 1}, .family = 4}, .port = 7777},
	};
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(7777)};
	uint32_t len = net_header_length(&header);
	uint8_t frame[64];
	uint16_t sum;

	net_header_write(&header, 5, frame);
	memcpy(frame + len, "hello", 5);
	for (unsigned complete = 0; complete < 2; complete++) {
		int fd;

		BEGIN(h);
		h.complete_checksums = complete != 0;
		CREATE(h);
		fd = harness_socket(&h, h.here, AF_INET, SOCK_DGRAM, 0);
		assert_int_equal(bind(fd, (void *)&to, sizeof(to)), 0);
		/* A wrong sum is no unfinished one. */
		sum = net_udp_pseudo_checksum(&header.src.addr, &header.dst.addr, 13) ^ 1;
		memcpy(frame + len - 2, &sum, 2);
		assert_true(
			kernel_hand(h.k, 0, 0, KERNEL_REASON_UDP, frame, len + 5, clock_now_ns()));
		assert_false(harness_pump(&h, 100, received, &fd));
		sum ^= 1;
		memcpy(frame + len - 2, &sum, 2);
		assert_true(
			kernel_hand(h.k, 0, 0, KERNEL_REASON_UDP, frame, len + 5, clock_now_ns()));
		assert_int_equal(
			harness_pump(&h, complete ? PATIENCE_MS : 100, received, &fd), complete);
		close(fd);
		harness_teardown(&h);
	}
}

/* The kernel's frames reach the network with whole sums: no "NIC" finishes them behind us. */
static void check_checksum(struct harness *h, const uint8_t *frame, uint32_t len)
{
	struct net_frame f;

	if (net_frame_parse(frame, len, true, &f) == NET_UDP && f.dst.port == 7000)
		h->seen += net_udp_verify(frame, &f) == NET_CHECKSUM_GOOD;
}

static void test_kernel_sends_whole_checksums(void **state)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(7000)};
	unsigned one = 1;
	int fd;

	BEGIN(h);
	h.watch = check_checksum;
	CREATE(h);
	inet_pton(AF_INET, "10.1.0.2", &to.sin_addr);
	fd = harness_socket(&h, h.here, AF_INET, SOCK_DGRAM, 0);
	assert_int_equal(sendto(fd, "hello", 5, 0, (void *)&to, sizeof(to)), 5);
	assert_true(harness_pump(&h, PATIENCE_MS, has_seen, &one));
	close(fd);
	harness_teardown(&h);
}

/* ---- create and destroy ---- */

static void test_destroy_removes_what_was_made_and_no_more(void **state)
{
	uint8_t mac[6];

	BEGIN(h);
	h.gateway = "10.1.0.2";
	assert_int_equal(kernel_interface_mac("ct0", mac), -ENODEV);
	CREATE(h);
	assert_int_equal(kernel_interface_mac("ct0", mac), 0);
	assert_memory_equal(mac, ((uint8_t[])HARNESS_MAC), 6);
	assert_int_equal(harness_run(&h, h.here, "ip -d link show ct0 | grep -q 'persist on'"), 0);
	kernel_destroy(h.k);
	h.k = NULL;
	assert_int_not_equal(harness_run(&h, h.here, "ip link show ct0 >/dev/null 2>&1"), 0);
	/* One that was there before, as after a crash or from the operator, stays with what it had.
	 */
	assert_int_equal(harness_run(&h, h.here,
				 "ip tuntap add ct0 mode tap && ip addr add 10.9.9.9/24 dev ct0 && "
				 "ip addr add 10.1.0.1/24 dev ct0 "
				 "&& ip link set ct0 up && ip route add default via 10.9.9.1"),
		0);
	CREATE(h);
	assert_int_equal(harness_run(&h, h.here, "ip -6 addr show ct0 | grep -q 2001:db8:1::1"), 0);
	assert_int_equal(harness_run(&h, h.here, "ip route | grep -q 'default via 10.1.0.2'"), 0);
	expect(&h, "8.8.8.8", KERNEL_HOP_UNRESOLVED, NULL);
	kernel_destroy(h.k);
	h.k = NULL;
	assert_int_equal(harness_run(&h, h.here, "ip addr show ct0 | grep -q 10.9.9.9"), 0);
	assert_int_equal(harness_run(&h, h.here, "ip addr show ct0 | grep -q 10.1.0.1"), 0);
	assert_int_equal(harness_run(&h, h.here, "ip route | grep -q 'default via 10.9.9.1'"), 0);
	assert_int_not_equal(
		harness_run(&h, h.here, "ip -6 addr show ct0 | grep -q 2001:db8:1::1"), 0);
	assert_int_not_equal(
		harness_run(&h, h.here, "ip route | grep -q 'default via 10.1.0.2'"), 0);
	harness_teardown(&h);
}

static void assert_refused(struct harness *h, struct kernel_port_config port, const char *why)
{
	struct kernel_config config = {.port = &port, .ports = 1, .workers = 1, .rcu = &h->rcu};
	char error[512] = "";

	assert_null(kernel_create(&config, error, sizeof(error)));
	if (strstr(error, why) == NULL)
		fail_msg("'%s' does not say '%s'", error, why);
	/* Nothing is left of the attempt. */
	assert_int_not_equal(harness_run(h, h->here, "ip link show ct9 >/dev/null 2>&1"), 0);
}

static void test_create_says_what_is_wrong(void **state)
{
	const char *address[] = {"10.1.0.1/24"}, *bad[] = {"10.1.0/24"}, *wide[] = {"10.1.0.1/33"};
	struct kernel_port_config good = {.interface = "ct9",
					  .mac = HARNESS_MAC,
					  .mtu = 1500,
					  .address = address,
					  .addresses = 1,
					  .vlan = -1},
				  port;

	BEGIN(h);
	port = good;
	port.address = bad;
	assert_refused(&h, port, "'10.1.0/24' is no address");
	port = good;
	port.address = wide;
	assert_refused(&h, port, "'10.1.0.1/33' is no address with a prefix length");
	port = good;
	port.gateway[0] = "192.0.2.1";
	assert_refused(&h, port, "gateway 192.0.2.1 is in no subnet of interface ct9");
	port = good;
	port.gateway[0] = "nonsense";
	assert_refused(&h, port, "'nonsense' is no gateway address");
	port = good;
	port.interface = "a-name-of-17-char";
	assert_refused(&h, port, "a name has 1 to 15 characters");
	port = good;
	port.interface = "lo";
	assert_refused(&h, port, "is no single-queue tap");
	port = good;
	port.mtu = 20;
	assert_refused(&h, port, "MTU 20 cannot be set");
	CREATE(h);
	port = good;
	port.interface = "ct0";
	assert_refused(&h, port, "held by another process");
	harness_teardown(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ping_from_the_network_is_answered_by_the_kernel),
		cmocka_unit_test(test_next_hop_is_resolved_on_demand),
		cmocka_unit_test(test_announced_change_of_mac_holds_at_once),
		cmocka_unit_test(test_silent_change_of_mac_is_found_again),
		cmocka_unit_test(test_neighbour_that_goes_is_unresolved_and_comes_back),
		cmocka_unit_test(test_routes_and_gateways_are_honoured_as_they_change),
		cmocka_unit_test(test_ipv6_address_holds_where_ipv6_is_off_by_default),
		cmocka_unit_test(test_addresses_follow_the_interface),
		cmocka_unit_test(test_netlink_overrun_loses_nothing),
		cmocka_unit_test(test_carrier_follows_the_port),
		cmocka_unit_test(test_addresses_are_announced_at_the_start),
		cmocka_unit_test(test_placeholder_shows_and_takes_nothing),
		cmocka_unit_test(test_path_mtu_is_kept_bounded_and_forgotten),
		cmocka_unit_test(test_vlan_tag_is_taken_off_and_put_on),
		cmocka_unit_test(test_priority_tag_is_no_network),
		cmocka_unit_test(test_hand_refuses_what_exceeds_rate_or_bounds),
		cmocka_unit_test(test_unfinished_checksum_is_finished_only_where_the_port_says_so),
		cmocka_unit_test(test_kernel_sends_whole_checksums),
		cmocka_unit_test(test_destroy_removes_what_was_made_and_no_more),
		cmocka_unit_test(test_create_says_what_is_wrong),
	};

	possible = harness_possible();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
