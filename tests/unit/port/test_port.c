/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <net/if.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <arpa/inet.h>
#include <cmocka.h>

#include <rte_eal.h>
#include <rte_eth_ring.h>

#include "port/port_internal.h"

#define PROFILES SOURCE_ROOT "/drivers-config/profiles"
#define NEEDS_NAMESPACES() \
	if (!namespaces) { \
		print_message("           skipped: needs root, ip and network namespaces\n"); \
		skip(); \
	}

/* The driver of af_xdp forgets one of libxdp's descriptions when it closes several queues. */
const char *__lsan_default_suppressions(void);

const char *__lsan_default_suppressions(void)
{
	return "leak:xsk_umem__create";
}

static char error[PORT_ERROR_MAX];
static bool namespaces; /* we are in one of our own, and may make more */
static int here, there; /* ours; the network's side */
static struct rte_mempool *pool, *big_pool;

static void assert_says(const char *why)
{
	if (strstr(error, why) == NULL)
		fail_msg("'%s' does not say '%s'", error, why);
}

static int run(int ns, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static int run(int ns, const char *fmt, ...)
{
	char command[1024];
	va_list ap;
	int status;

	va_start(ap, fmt);
	vsnprintf(command, sizeof(command), fmt, ap);
	va_end(ap);
	assert_int_equal(setns(ns, CLONE_NEWNET), 0);
	status = system(command);
	assert_int_equal(setns(here, CLONE_NEWNET), 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static struct port_config config(const char *device)
{
	return (struct port_config){.name = "edge",
		.device = device,
		.profile_dir = PROFILES,
		.queues = 1,
		.pool = pool};
}

static int open_port(const char *device, struct port *port)
{
	struct port_config c = config(device);

	return port_open(&c, port, error, sizeof(error));
}

/* ---- EAL ---- */

static void test_eal_refuses_what_cannot_be_with_a_sentence(void **state)
{
	int cpu[2] = {0, CPU_SETSIZE - 1};
	struct port_eal eal = {.program = "t", .lcores = 0, .cpu = cpu, .memory_bytes = 32 << 20};

	assert_int_equal(port_eal_start(&eal, error, sizeof(error)), -EINVAL);
	assert_says("0 threads");
	eal.lcores = RTE_MAX_LCORE + 1;
	assert_int_equal(port_eal_start(&eal, error, sizeof(error)), -EINVAL);
	eal.lcores = 2;
	assert_int_equal(port_eal_start(&eal, error, sizeof(error)), -EINVAL);
	assert_says("CPU 1023 is not one that this process may use");
	cpu[1] = 0;
	eal.memory_bytes = 1ULL << 50;
	assert_int_equal(port_eal_start(&eal, error, sizeof(error)), -ENOMEM);
	assert_says("MB of memory are needed");
	eal.huge = 1;
	assert_int_equal(port_eal_start(&eal, error, sizeof(error)), -ENOMEM);
	assert_says("drivers-config/hugepages");
}

/* Not a case of its own: all that follow stand on it. */
static void start_eal(void)
{
	static const int cpu[3] = {0, 0, 0};
	static const char *const device[] = {"net_ring0", "net_af_packet0,iface=vp0"};
	struct port_eal eal = {.program = "test_port",
		.lcores = 3,
		.cpu = cpu,
		.huge = 0,
		.memory_bytes = 192 << 20,
		.device = device,
		.devices = 2};

	if (port_eal_start(&eal, error, sizeof(error)) != 0)
		fail_msg("%s", error);
	pool = port_pool_create("packets", 12288, PORT_MBUF_ROOM, false, SOCKET_ID_ANY);
	big_pool = port_pool_create("big", 512, PORT_MBUF_BIG_ROOM, true, SOCKET_ID_ANY);
	assert_non_null(pool);
	assert_non_null(big_pool);
}

static int count_lcore(void *arg)
{
	__atomic_add_fetch((int *)arg, 1, __ATOMIC_RELAXED);
	return 0;
}

static void test_eal_runs_several_threads_on_one_cpu_and_telemetry(void **state)
{
	char path[256];
	struct stat st;
	int ran = 0;
	unsigned lcore;

	assert_int_equal(rte_lcore_count(), 3);
	rte_eal_mp_remote_launch(count_lcore, &ran, CALL_MAIN);
	RTE_LCORE_FOREACH_WORKER(lcore)
	{
		cpu_set_t cpus = rte_lcore_cpuset(lcore);

		assert_int_equal(rte_eal_wait_lcore(lcore), 0);
		assert_true(CPU_ISSET(0, &cpus) && CPU_COUNT(&cpus) == 1);
	}
	assert_int_equal(ran, 3);
	snprintf(path, sizeof(path), "%s/dpdk_telemetry.v2", rte_eal_get_runtime_dir());
	assert_int_equal(stat(path, &st), 0);
	assert_true(S_ISSOCK(st.st_mode));
	assert_non_null(strstr(path, "siplane-"));
}

/* ---- pools ---- */

static void test_pools_hold_messages_of_both_sizes(void **state)
{
	struct rte_mbuf *m;

	assert_int_equal(rte_pktmbuf_data_room_size(pool), PORT_MBUF_ROOM + RTE_PKTMBUF_HEADROOM);
	assert_string_equal(rte_mempool_get_ops(pool->ops_index)->name, "ring_mp_mc");
	assert_string_equal(rte_mempool_get_ops(big_pool->ops_index)->name, "ring_mt_rts");
	m = rte_pktmbuf_alloc(big_pool);
	assert_non_null(m);
	assert_non_null(rte_pktmbuf_append(m, PORT_MBUF_BIG_ROOM));
	memset(rte_pktmbuf_mtod(m, void *), 1, PORT_MBUF_BIG_ROOM);
	rte_pktmbuf_free(m);
	assert_int_equal(rte_mempool_avail_count(big_pool), 512);
	assert_null(port_pool_create("huge", 16, PORT_MBUF_BIG_ROOM + 1, false, SOCKET_ID_ANY));
	assert_null(port_pool_create("none", 0, PORT_MBUF_ROOM, false, SOCKET_ID_ANY));
}

/* ---- devices inside the process ---- */

static struct rte_mbuf *frame_of(const void *data, uint16_t len)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(pool);

	assert_non_null(m);
	memcpy(rte_pktmbuf_append(m, len), data, len);
	return m;
}

static void test_ring_port_carries_and_names_itself_in_frames(void **state)
{
	struct port port = {.index = 3};
	struct rte_mbuf *m = frame_of("0123456789abcdef", 16), *got[PORT_BURST];

	if (open_port("net_ring0", &port) != 0)
		fail_msg("%s", error);
	assert_string_equal(port.driver, "net_ring");
	assert_int_equal(port.index, 3);
	assert_int_equal(port.queues, 1);
	assert_int_equal(port.mtu, 1500);
	assert_true(port.virtual_device && !port.rss && !port.tx_udp_checksum &&
		    !port.rx_checksum_flags);
	/* Locally administered, unicast, and another one each time. */
	assert_int_equal(port.mac[0] & 3, 2);
	assert_string_equal(port.description, "net_ring up, 1 queue");
	m->port = 0x1234;
	assert_int_equal(port_tx_burst(&port, 0, &m, 1), 1);
	assert_int_equal(port_rx_burst(&port, 0, got, PORT_BURST), 1);
	assert_int_equal(got[0]->port, port.id);
	rte_pktmbuf_free(got[0]);
	assert_true(port_link_up(&port));
	port_close(&port);
	port_close(&port); /* no harm */
}

static void test_ring_port_that_a_harness_made_is_taken(void **state)
{
	struct rte_ring *ring[4];
	struct port port = {.index = 0};
	struct port_config c = config("net_ring_harness");

	for (unsigned i = 0; i < 4; i++) {
		char name[16];

		snprintf(name, sizeof(name), "ring%u", i);
		ring[i] = rte_ring_create(name, 64, SOCKET_ID_ANY, 0);
		assert_non_null(ring[i]);
	}
	assert_true(rte_eth_from_rings("harness", ring, 4, ring, 4, SOCKET_ID_ANY) >= 0);
	c.queues = 4;
	if (port_open(&c, &port, error, sizeof(error)) != 0)
		fail_msg("%s", error);
	assert_int_equal(port.queues, 4);
	assert_true(port.rx_set_port);
	port_close(&port);
	for (unsigned i = 0; i < 4; i++)
		rte_ring_free(ring[i]);
}

static void test_mac_of_the_configuration_holds(void **state)
{
	static const uint8_t mac[6] = {0x02, 1, 2, 3, 4, 5};
	struct port_config c = config("net_null0");
	struct port port = {.index = 0};
	uint8_t first[6];

	c.mac = mac;
	if (port_open(&c, &port, error, sizeof(error)) != 0)
		fail_msg("%s", error);
	assert_memory_equal(port.mac, mac, 6);
	port_close(&port);
	assert_int_equal(open_port("net_null", &port), 0);
	memcpy(first, port.mac, 6);
	port_close(&port);
	/* Without a number two ports can say the same. */
	assert_int_equal(open_port("net_null", &port), 0);
	assert_memory_not_equal(port.mac, first, 6);
	port_close(&port);
}

static void test_pcap_port_reads_and_writes_files(void **state)
{
	static const uint32_t head[6] = {0xa1b2c3d4, 0x00040002, 0, 0, 65535, 1};
	static const uint32_t record[4] = {1, 0, 60, 60};
	char in[] = "/tmp/siplane-in-XXXXXX", out[] = "/tmp/siplane-out-XXXXXX", device[128];
	uint8_t frame[60] = {0x02, 0, 0, 0, 0, 1}, got[200];
	struct rte_mbuf *m[PORT_BURST];
	struct port port = {.index = 0};
	int fd = mkstemp(in), fd_out = mkstemp(out);

	assert_true(fd >= 0 && fd_out >= 0);
	assert_int_equal(write(fd, head, sizeof(head)), sizeof(head));
	assert_int_equal(write(fd, record, sizeof(record)), sizeof(record));
	assert_int_equal(write(fd, frame, sizeof(frame)), sizeof(frame));
	close(fd);
	snprintf(device, sizeof(device), "net_pcap0,rx_pcap=%s,tx_pcap=%s", in, out);
	if (open_port(device, &port) != 0)
		fail_msg("%s", error);
	assert_int_equal(port_rx_burst(&port, 0, m, PORT_BURST), 1);
	assert_int_equal(rte_pktmbuf_pkt_len(m[0]), 60);
	assert_memory_equal(rte_pktmbuf_mtod(m[0], void *), frame, 60);
	assert_int_equal(port_tx_burst(&port, 0, m, 1), 1);
	port_close(&port);
	assert_int_equal(read(fd_out, got, sizeof(got)), 24 + 16 + 60);
	assert_memory_equal(got + 40, frame, 60);
	close(fd_out);
	unlink(in);
	unlink(out);
}

/* ---- refusals ---- */

static void test_device_that_cannot_be_opened_is_explained(void **state)
{
	static const struct {
		const char *device;
		int rc;
		const char *why;
	} bad[] = {
		{"0000:fe:1f.7", -ENODEV, "there is no PCI device 0000:fe:1f.7"},
		{"lo", -ENODEV, "'lo' is a kernel interface: write \"net_af_packet0,iface=lo\""},
		{"eth77", -ENODEV, "there is no device 'eth77'"},
		{"", -ENODEV, "there is no device ''"},
		{"net_nonsense0", -ENODEV, "there is no device 'net_nonsense0'"},
		{"net_af_packet0", -EINVAL, "names no interface: write net_af_packet0,iface=NAME"},
		{"net_af_packet0,iface=absent0", -ENODEV, "there is no interface 'absent0'"},
		{"net_af_xdp0,iface=absent0", -ENODEV, "there is no interface 'absent0'"},
		{"net_pcap0,rx_pcap=/nonexistent/file", -1, "net_pcap0"},
	};
	struct port port = {.index = 0};

	NEEDS_NAMESPACES();
	for (size_t i = 0; i < RTE_DIM(bad); i++) {
		int rc = open_port(bad[i].device, &port);

		assert_true(rc < 0);
		if (bad[i].rc != -1)
			assert_int_equal(rc, bad[i].rc);
		assert_says(bad[i].why);
	}
	assert_int_equal(rte_eth_dev_count_avail(), 0);
}

static void test_settings_that_cannot_hold_are_explained(void **state)
{
	struct port_config c = config("net_null0");
	struct port port = {.index = 0};

	c.mtu = 9000;
	assert_int_equal(port_open(&c, &port, error, sizeof(error)), -EINVAL);
	assert_says("MTU 9000 needs packet buffers of 9026 bytes, and the pool's have 2048");
	c = config("net_null0");
	c.rx_descriptors = 8;
	assert_int_equal(port_open(&c, &port, error, sizeof(error)), -EINVAL);
	assert_says("descriptors are too few: 32 is the least");
	c = config("net_null0");
	c.profile = "nosuch";
	assert_int_equal(port_open(&c, &port, error, sizeof(error)), -ENOENT);
	assert_says("profile nosuch");
	/* Each refusal has left nothing behind. */
	assert_int_equal(rte_eth_dev_count_avail(), 0);
	assert_int_equal(open_port("net_null0", &port), 0);
	port_close(&port);
}

static void test_missing_capability_is_explained(void **state)
{
	char said[PORT_ERROR_MAX] = "";
	int fds[2], status;
	pid_t pid;

	NEEDS_NAMESPACES();
	assert_int_equal(pipe(fds), 0);
	pid = fork();
	if (pid == 0) {
		/* These two alone: the profiles stay readable, wherever the tree is. */
		struct __user_cap_header_struct whose = {.version = _LINUX_CAPABILITY_VERSION_3};
		struct __user_cap_data_struct caps[_LINUX_CAPABILITY_U32S_3];
		struct port port = {.index = 0};
		int rc = syscall(SYS_capget, &whose, caps);

		caps[0].effective &= ~(1u << CAP_NET_ADMIN | 1u << CAP_NET_RAW);
		rc = rc == 0 && syscall(SYS_capset, &whose, caps) == 0
			     ? open_port("net_tap0,iface=tp0", &port)
			     : 0;

		if (write(fds[1], error, strlen(error)) < 0)
			_exit(2);
		_exit(rc == -EPERM ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_true(read(fds[0], said, sizeof(said) - 1) > 0);
	assert_non_null(strstr(said, "CAP_NET_ADMIN and CAP_NET_RAW are needed"));
	close(fds[0]);
	close(fds[1]);
}

/* ---- devices on kernel interfaces ---- */

struct echo {
	const struct port *port;
	unsigned frames, longest;
};

/* Answers as a host would: all that is UDP to port 7 comes back. */
static void echo_burst(struct echo *e)
{
	for (uint16_t q = 0; q < e->port->queues; q++) {
		struct rte_mbuf *m[PORT_BURST];
		uint16_t n = port_rx_burst(e->port, q, m, PORT_BURST);

		for (uint16_t i = 0; i < n; i++) {
			uint8_t *d = rte_pktmbuf_mtod(m[i], uint8_t *), mac[6], ip[4];
			struct net_frame f;

			if (net_frame_parse(d, m[i]->data_len, true, &f) != NET_UDP ||
				f.dst.port != 7) {
				rte_pktmbuf_free(m[i]);
				continue;
			}
			e->frames++;
			e->longest = RTE_MAX(e->longest, m[i]->pkt_len);
			memcpy(mac, d, 6);
			memcpy(d, d + 6, 6);
			memcpy(d + 6, e->port->mac, 6);
			memcpy(ip, d + f.l3_off + 12, 4);
			memcpy(d + f.l3_off + 12, d + f.l3_off + 16, 4);
			memcpy(d + f.l3_off + 16, ip, 4);
			memcpy(ip, d + f.l4_off, 2);
			memcpy(d + f.l4_off, d + f.l4_off + 2, 2);
			memcpy(d + f.l4_off + 2, ip, 2);
			/* No sum: legal for IPv4, and whatever came in may have been unfinished. */
			memset(d + f.l4_off + 6, 0, 2);
			if (m[i]->pkt_len > 1514 || port_tx_burst(e->port, q, &m[i], 1) == 0)
				rte_pktmbuf_free(m[i]);
		}
	}
}

static int socket_there(void)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(7)};
	int fd;

	assert_int_equal(setns(there, CLONE_NEWNET), 0);
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_int_equal(setns(here, CLONE_NEWNET), 0);
	inet_pton(AF_INET, "10.7.0.1", &to.sin_addr);
	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	return fd;
}

/* Sends messages from the network's side and counts what comes back. */
static unsigned exchange(struct echo *e, int fd, unsigned messages)
{
	uint64_t end = clock_now_ns() + 60 * CLOCK_NS_PER_S;
	unsigned sent = 0, back = 0;
	char text[64];

	while (back < messages && clock_now_ns() < end) {
		/* A window of 8, so that no queue overflows on a busy machine. */
		if (sent < messages && sent - back < 8)
			sent += send(fd, "hello", 5, 0) == 5;
		echo_burst(e);
		while (recv(fd, text, sizeof(text), 0) == 5)
			back++;
	}
	return back;
}

static void peer_up(const char *iface, const struct port *port)
{
	assert_int_equal(run(there,
				 "ip addr add 10.7.0.2/24 dev %s && ip link set %s up && ip neigh "
				 "replace 10.7.0.1 lladdr "
				 "%02x:%02x:%02x:%02x:%02x:%02x dev %s",
				 iface, iface, port->mac[0], port->mac[1], port->mac[2],
				 port->mac[3], port->mac[4], port->mac[5], iface),
		0);
}

static void test_tap_port_works_on_after_its_netdev_has_moved(void **state)
{
	struct port port = {.index = 0};
	struct echo echo = {.port = &port};
	struct port_config c = config("net_tap0,iface=tp0");
	int fd;

	NEEDS_NAMESPACES();
	c.queues = 2;
	if (port_open(&c, &port, error, sizeof(error)) != 0)
		fail_msg("%s", error);
	assert_int_equal(port.queues, 2);
	assert_true(port_link_up(&port));
	assert_int_equal(
		run(here, "ip link set tp0 netns /proc/%d/fd/%d", (int)getpid(), there), 0);
	peer_up("tp0", &port);
	fd = socket_there();
	assert_int_equal(exchange(&echo, fd, 200), 200);
	/* The driver cannot see it any more, and must not take it for gone. */
	assert_true(port_link_up(&port));
	close(fd);
	port_close(&port);
	assert_int_not_equal(run(there, "ip link show tp0 >/dev/null 2>&1"), 0);
}

static void make_veth(void)
{
	assert_int_equal(run(here,
				 "ip link add vp0 type veth peer name vp1 && ip link set vp1 netns "
				 "/proc/%d/fd/%d && "
				 "ip link set vp0 up && ip addr add 10.7.0.9/24 dev vp0 && ip -6 "
				 "addr add 2001:db8:7::9/64 dev "
				 "vp0 nodad && ip route add 192.0.2.0/24 via 10.7.0.2",
				 (int)getpid(), there),
		0);
}

static void test_netdev_below_is_bare_and_restored(void **state)
{
	struct port port = {.index = 0};

	NEEDS_NAMESPACES();
	make_veth();
	if (open_port("net_af_packet0,iface=vp0", &port) != 0)
		fail_msg("%s", error);
	assert_int_equal(run(here, "test -z \"$(ip -o addr show dev vp0)\""), 0);
	assert_int_equal(run(here, "ip link show vp0 | grep -q PROMISC"), 0);
	assert_int_equal(run(here, "test $(cat /proc/sys/net/ipv4/conf/vp0/arp_ignore) = 8"), 0);
	assert_int_equal(run(here, "test $(cat /proc/sys/net/ipv6/conf/vp0/disable_ipv6) = 1"), 0);
	/* The link is the netdev's, which the driver does not look at. */
	assert_int_equal(run(there, "ip link set vp1 up"), 0);
	/* The kernel lets its link watch tell, up to a second later; on a busy machine, more. */
	for (unsigned i = 0; i < 2000 && !port_link_up(&port); i++)
		usleep(10000);
	assert_true(port_link_up(&port));
	assert_int_equal(run(there, "ip link set vp1 down"), 0);
	assert_false(port_link_up(&port));
	port_close(&port);
	assert_int_equal(run(here, "ip addr show dev vp0 | grep -q 10.7.0.9/24"), 0);
	assert_int_equal(run(here, "ip addr show dev vp0 | grep -q 2001:db8:7::9/64"), 0);
	assert_int_equal(run(here, "ip route | grep -q '192.0.2.0/24 via 10.7.0.2'"), 0);
	assert_int_not_equal(run(here, "ip link show vp0 | grep -q PROMISC"), 0);
	assert_int_equal(run(here, "test $(cat /proc/sys/net/ipv4/conf/vp0/arp_ignore) = 0"), 0);
	assert_int_equal(run(here, "test $(cat /proc/sys/net/ipv6/conf/vp0/disable_ipv6) = 0"), 0);
	/* Its own MTU holds where nothing is said, what is said holds until it is closed. */
	assert_int_equal(run(here, "ip link set vp0 mtu 1400"), 0);
	assert_int_equal(open_port("net_af_packet0,iface=vp0", &port), 0);
	assert_int_equal(port.mtu, 1400);
	port_close(&port);
	{
		struct port_config c = config("net_af_packet0,iface=vp0");

		c.mtu = 1450;
		assert_int_equal(port_open(&c, &port, error, sizeof(error)), 0);
		assert_int_equal(port.mtu, 1450);
		assert_int_equal(run(here, "ip link show vp0 | grep -q 'mtu 1450'"), 0);
		port_close(&port);
		assert_int_equal(run(here, "ip link show vp0 | grep -q 'mtu 1400'"), 0);
	}
	/* A refused port puts everything back, too. */
	{
		struct port_config c = config("net_af_packet0,iface=vp0");

		c.rx_descriptors = 1;
		assert_true(port_open(&c, &port, error, sizeof(error)) < 0);
		assert_int_equal(run(here, "ip addr show dev vp0 | grep -q 10.7.0.9/24"), 0);
	}
	assert_int_equal(run(here, "ip link del vp0"), 0);
}

static void count_pool(struct rte_mempool *mp, void *arg)
{
	++*(unsigned *)arg;
}

static unsigned count_pools(void)
{
	unsigned n = 0;

	rte_mempool_walk(count_pool, &n);
	return n;
}

static void test_af_packet_port_carries_and_gets_datagrams_whole(void **state)
{
	struct port_config c = config("net_af_packet0,iface=vp0");
	struct port port = {.index = 0};
	struct echo echo = {.port = &port};
	static char text[60000];
	unsigned before = rte_mempool_avail_count(pool), pools = count_pools();
	uint64_t end;
	int fd;

	NEEDS_NAMESPACES();
	make_veth();
	c.queues = 2;
	if (port_open(&c, &port, error, sizeof(error)) != 0)
		fail_msg("%s", error);
	assert_int_equal(port.queues, 2);
	assert_true(port.rx_pseudo_checksum);
	peer_up("vp1", &port);
	fd = socket_there();
	assert_int_equal(exchange(&echo, fd, 200), 200);
	/* The driver's fan-out has the kernel put fragments together: 60,000 bytes come as one
	 * frame, uncut. */
	assert_int_equal(send(fd, text, sizeof(text), 0), sizeof(text));
	end = clock_now_ns() + 60 * CLOCK_NS_PER_S;
	while (echo.longest < sizeof(text) && clock_now_ns() < end)
		echo_burst(&echo);
	assert_int_equal(echo.longest, sizeof(text) + 42);
	close(fd);
	port_close(&port);
	/* Its own large buffers are gone with it, and ours were not touched. */
	assert_int_equal(rte_mempool_avail_count(pool), before);
	assert_int_equal(count_pools(), pools);
	assert_int_equal(run(here, "ip link del vp0"), 0);
}

static void test_af_xdp_port_carries_in_copy_mode(void **state)
{
	struct port_config c = config("net_af_xdp0,iface=vp0");
	struct port port = {.index = 0};
	struct echo echo = {.port = &port};
	int fd;

	NEEDS_NAMESPACES();
	make_veth();
	/* More than a veth of one queue has, so that it is given more or fewer are opened. */
	c.queues = 2;
	if (port_open(&c, &port, error, sizeof(error)) != 0) {
		/* Where the kernel has no XDP sockets, the sentence must at least say whose fault
		 * it is. */
		assert_says("net_af_xdp");
		print_message("           skipped: %s\n", error);
		run(here, "ip link del vp0");
		skip();
	}
	peer_up("vp1", &port);
	fd = socket_there();
	assert_int_equal(exchange(&echo, fd, 200), 200);
	close(fd);
	port_close(&port);
	assert_int_equal(run(here, "ip link del vp0"), 0);
}

static void test_memif_port_opens(void **state)
{
	struct port port = {.index = 0};
	char device[128];

	snprintf(device, sizeof(device),
		"net_memif0,role=server,socket-abstract=no,socket=/tmp/siplane-memif-%d.sock",
		(int)getpid());
	if (open_port(device, &port) != 0)
		fail_msg("%s", error);
	assert_string_equal(port.driver, "net_memif");
	/* Nobody is at the other side yet. */
	assert_false(port_link_up(&port));
	port_close(&port);
	unlink(strstr(device, "/tmp/"));
}

static int prepare(void **state)
{
	int status;
	pid_t pid;

	if (geteuid() == 0 && access("/dev/net/tun", R_OK | W_OK) == 0 &&
		system("ip -V >/dev/null 2>&1") == 0) {
		pid = fork();
		if (pid == 0)
			_exit(unshare(CLONE_NEWNET) == 0 ? 0 : 1);
		namespaces = pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
	}
	/* Before the EAL's threads: they must live where we do. */
	if (namespaces) {
		if (unshare(CLONE_NEWNET) != 0)
			return -1;
		there = open("/proc/self/ns/net", O_RDONLY);
		if (unshare(CLONE_NEWNET) != 0)
			return -1;
		here = open("/proc/self/ns/net", O_RDONLY);
	}
	return 0;
}

static int finish(void **state)
{
	port_eal_stop();
	return 0;
}

static int setup_eal(void **state)
{
	start_eal();
	return 0;
}

int main(void)
{
	const struct CMUnitTest before[] = {
		cmocka_unit_test(test_eal_refuses_what_cannot_be_with_a_sentence),
	};
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_eal_runs_several_threads_on_one_cpu_and_telemetry),
		cmocka_unit_test(test_pools_hold_messages_of_both_sizes),
		cmocka_unit_test(test_ring_port_carries_and_names_itself_in_frames),
		cmocka_unit_test(test_ring_port_that_a_harness_made_is_taken),
		cmocka_unit_test(test_mac_of_the_configuration_holds),
		cmocka_unit_test(test_pcap_port_reads_and_writes_files),
		cmocka_unit_test(test_device_that_cannot_be_opened_is_explained),
		cmocka_unit_test(test_settings_that_cannot_hold_are_explained),
		cmocka_unit_test(test_missing_capability_is_explained),
		cmocka_unit_test(test_tap_port_works_on_after_its_netdev_has_moved),
		cmocka_unit_test(test_netdev_below_is_bare_and_restored),
		cmocka_unit_test(test_af_packet_port_carries_and_gets_datagrams_whole),
		cmocka_unit_test(test_af_xdp_port_carries_in_copy_mode),
		cmocka_unit_test(test_memif_port_opens),
	};
	int failed;

	failed = cmocka_run_group_tests_name("port, without EAL", before, prepare, NULL);
	return failed + cmocka_run_group_tests_name("port", tests, setup_eal, finish);
}
