/* SPDX-License-Identifier: BSD-3-Clause */
#include "harness.h"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

bool harness_possible(void)
{
	pid_t pid;
	int status;

	if (geteuid() != 0 || access("/dev/net/tun", R_OK | W_OK) != 0)
		return false;
	if (system("ip -V >/dev/null 2>&1") != 0)
		return false;
	pid = fork();
	if (pid == 0)
		_exit(unshare(CLONE_NEWNET) == 0 ? 0 : 1);
	return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

static int enter(int ns)
{
	return setns(ns, CLONE_NEWNET);
}

static int own_namespace(void)
{
	return open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
}

int harness_run(struct harness *h, int ns, const char *fmt, ...)
{
	char command[1024];
	va_list ap;
	int status;

	va_start(ap, fmt);
	vsnprintf(command, sizeof(command), fmt, ap);
	va_end(ap);
	if (enter(ns) != 0)
		return -1;
	status = system(command);
	if (enter(h->here) != 0)
		abort();
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int harness_socket(struct harness *h, int ns, int family, int type, int protocol)
{
	int fd;

	if (enter(ns) != 0)
		return -1;
	fd = socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol);
	if (enter(h->here) != 0)
		abort();
	return fd;
}

int harness_setup(struct harness *h)
{
	struct ifreq ifr = {.ifr_flags = IFF_TAP | IFF_NO_PI, .ifr_name = "net0"};

	*h = (struct harness){.wire = -1};
	rcu_init(&h->rcu);
	h->home = own_namespace();
	if (unshare(CLONE_NEWNET) != 0)
		return -1;
	h->there = own_namespace();
	h->wire = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (h->wire < 0 || ioctl(h->wire, TUNSETIFF, &ifr) != 0 || unshare(CLONE_NEWNET) != 0)
		return -1;
	h->here = own_namespace();
	if (harness_run(h, h->there,
		    "ip link set lo up && ip addr add 10.1.0.2/24 dev net0 && ip addr add "
		    "2001:db8:1::2/64 dev net0 nodad && ip link set net0 address 02:00:00:00:00:02 "
		    "up") != 0)
		return -1;
	return harness_run(h, h->here, "ip link set lo up");
}

void harness_teardown(struct harness *h)
{
	kernel_destroy(h->k);
	h->k = NULL;
	rcu_reclaim(&h->rcu);
	if (h->wire >= 0)
		close(h->wire);
	/* Nothing holds them any more: the kernel removes them with all that is in them. */
	if (enter(h->home) != 0)
		abort();
	close(h->here);
	close(h->there);
	close(h->home);
}

static enum kernel_reason reason_of(const uint8_t *frame, uint32_t len)
{
	struct net_frame f;

	if (frame[12] == 0x08 && frame[13] == 0x06)
		return KERNEL_REASON_ARP;
	switch (net_frame_parse(frame, len, true, &f)) {
	case NET_UDP:
		return KERNEL_REASON_UDP;
	case NET_ICMP:
		return f.family == 6 ? KERNEL_REASON_ND : KERNEL_REASON_ICMP;
	default:
		return KERNEL_REASON_OTHER;
	}
}

bool harness_pump(
	struct harness *h, unsigned ms, bool (*done)(struct harness *h, void *arg), void *arg)
{
	uint64_t end = clock_now_ns() + ms * CLOCK_NS_PER_MS, now;
	static uint8_t frame[KERNEL_HAND_MAX];

	/* Some times even where others have the CPU for all that time. */
	for (unsigned i = 0; (now = clock_now_ns()) < end || i < 3; i++) {
		struct pollfd p = {.fd = h->wire, .events = POLLIN};
		ssize_t n;

		kernel_poll(h->k, now);
		rcu_reclaim(&h->rcu);
		while ((n = read(h->wire, frame, sizeof(frame))) > 0) {
			if (h->cut)
				continue;
			h->arrived++;
			kernel_hand(
				h->k, 0, 0, reason_of(frame, (uint32_t)n), frame, (uint32_t)n, now);
		}
		if (done != NULL && done(h, arg))
			return true;
		poll(&p, 1, 1);
	}
	return done == NULL || done(h, arg);
}

static void transmit(void *arg, uint16_t port, const uint8_t *frame, uint32_t len)
{
	struct harness *h = arg;

	h->sent++;
	if (h->watch != NULL)
		h->watch(h, frame, len);
	if (!h->cut && write(h->wire, frame, len) < 0)
		h->arrived--; /* nobody is there: the interface is down */
}

static void changed(void *arg)
{
	struct harness *h = arg;

	h->changed++;
}

struct kernel *harness_create(struct harness *h, char *error, size_t error_size)
{
	static const char *const address[] = {"10.1.0.1/24", "2001:db8:1::1/64"};
	struct kernel_port_config port = {.interface = "ct0",
		.mac = HARNESS_MAC,
		.mtu = 1500,
		.address = address,
		.addresses = 2,
		.gateway = {h->gateway},
		.vlan = h->vlan != 0 ? h->vlan : -1,
		.complete_checksums = h->complete_checksums};
	struct kernel_config config = {.port = &port,
		.ports = 1,
		.workers = 1,
		.rcu = &h->rcu,
		.transmit = transmit,
		.changed = changed,
		.arg = h};

	h->k = kernel_create(&config, error, error_size);
	return h->k;
}

struct net_addr harness_addr(const char *text)
{
	struct net_addr addr = {.family = 0};

	assert_int_equal(net_addr_parse(str_c(text), &addr), 0);
	return addr;
}

struct kernel_hop harness_hop(const struct harness *h, const char *to)
{
	struct net_addr addr = harness_addr(to);
	struct kernel_hop hop;

	kernel_hop_find(kernel_hops(h->k), &addr, &hop);
	return hop;
}
