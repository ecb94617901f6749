/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/* What the tests of this room share: a clock that they turn, a room with a list in it, messages as
 * choices. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <errno.h>
#include <string.h>
#include <cmocka.h>

#include "../resolve/dns_server.h"
#include "dispatch/internal.h"

#define S CLOCK_NS_PER_S

struct room {
	struct rcu rcu;
	struct dispatch *d;
	struct route_report *report;
	struct route_thread thread[8]; /* as workers */
	int reader;
};

/* The virtual time; atomic, since tests with threads read it everywhere. */
extern _Atomic uint64_t test_now_ns;
uint64_t test_now(void);

void room_open(struct room *room, uint32_t pins);
void room_close(struct room *room);
/* Loads a list: 0 where it was published. */
int room_load(struct room *room, const char *list);
int room_load_options(struct room *room, const char *list, const struct dispatch_options *options);
/* Lets time pass, with a tick each second. */
void room_pass(struct room *room, uint64_t ns);
/* The id of a URI in a set, of the current version; 0 where there is none. */
uint16_t room_id(struct room *room, uint32_t set, const char *uri);

/* A list of n lines for one set: sip:10.x.y.z:5060, weights by `weight` (NULL: none given). Caller
 * frees. */
char *list_of(uint32_t set, unsigned n, uint32_t (*weight)(unsigned i));

/* One message. */
struct message {
	uint32_t set;
	unsigned algorithm;
	uint8_t klass;
	uint64_t key;         /* of the hash algorithms */
	uint64_t transaction; /* number of the transaction */
};
uint16_t choose(struct room *room, unsigned worker, const struct message *m);

uint64_t test_random(uint64_t *state);
/* The address of an id as a number, so that destinations can be told apart after ids have gone. */
uint32_t address_of(struct room *room, uint16_t id);

/* A resolver with a name server of its own: two.test has two addresses, srv.test two SRV records;
 * there is no other name. */
struct names {
	struct dns_server *dns;
	struct rcu rcu;
	struct resolver *resolver;
};
void names_open(struct names *names);
void names_close(struct names *names);
