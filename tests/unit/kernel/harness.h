/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * Two network namespaces and a wire between them. The test process lives in the first, where the
 * exception interface is; the second is the network's side: a tap whose file the test holds, so
 * that the test is the wire and can look at, count and change every frame.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "kernel/kernel_internal.h"

#define HARNESS_MAC \
	{ \
		0x02, 0, 0, 0, 0, 0x01 \
	}

struct harness {
	struct kernel *k;
	struct rcu rcu;
	int home, here, there;  /* namespaces: as we began, the appliance's, the network's */
	int wire;               /* tap "net0" in the network's namespace */
	unsigned changed;       /* calls of the callback */
	unsigned sent, arrived; /* frames from and to the kernel */
	bool cut;               /* the wire carries nothing */
	int vlan;               /* 0: none */
	bool complete_checksums;
	const char *gateway;
	/* Of frames that the kernel sent. */
	void (*watch)(struct harness *h, const uint8_t *frame, uint32_t len);
	unsigned seen;
};

/* Whether this machine lets us: root, and namespaces. */
bool harness_possible(void);
/* Namespaces and the wire; the network's side has 10.1.0.2/24 and 2001:db8:1::2/64 on net0. 0 or
 * -1. */
int harness_setup(struct harness *h);
void harness_teardown(struct harness *h);
/* Runs a command in a namespace; its exit status. */
int harness_run(struct harness *h, int ns, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* A socket that lives in a namespace. */
int harness_socket(struct harness *h, int ns, int family, int type, int protocol);
/* For what comes at the kernel's pace: it may ask for a neighbour three times, a second apart,
 * while its own address is tentative, and begins anew after five. */
#define PATIENCE_MS 60000
/* Polls and carries frames for so many ms, or until done() says so; returns what it said. */
bool harness_pump(
	struct harness *h, unsigned ms, bool (*done)(struct harness *h, void *arg), void *arg);
/* kernel_create() with one port 0 named ct0 in the appliance's namespace: 10.1.0.1/24,
 * 2001:db8:1::1/64. */
struct kernel *harness_create(struct harness *h, char *error, size_t error_size);
struct net_addr harness_addr(const char *text);
struct kernel_hop harness_hop(const struct harness *h, const char *to);
