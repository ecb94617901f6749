/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * What the tests of the resolver share: a name server of their own, a resolver that asks it, and a
 * clock that stands still until a test moves it, so that a busy machine changes nothing. Only
 * c-ares' retries, and how long resolve_now() waits, go by the real one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "dns_server.h"
#include "resolve/resolve.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define S CLOCK_NS_PER_S
#define MS CLOCK_NS_PER_MS

struct bench {
	struct dns_server *server;
	struct resolver *resolver;
	struct rcu *rcu;
	uint64_t began, ahead; /* the clock is their sum */
};

struct result {
	unsigned calls;
	enum resolve_answer answer;
};

/* The machine's clock; clock_now_ns() is that of patient.c. */
uint64_t machine_ns(void);

int setup(void **state);
int teardown(void **state);
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

/* For resolve_ask(), with a result as its argument. */
void done(void *arg, enum resolve_answer answer);
unsigned step(struct bench *b);
/* Polls until nothing is under way and what is known is published. */
void settle(struct bench *b);
/* Polls for so long of the real clock, and some times at least, whatever is under way. */
void poll_for(struct bench *b, uint64_t ns);
/* Lets so much of the clock pass and what is due happen. */
void pass(struct bench *b, uint64_t ns);
/* Polls until it holds; a test that fails waits a minute for it. */
#define PATIENCE_MS 60000
#define UNTIL(b, condition) \
	do { \
		for (unsigned i_ = 0; i_ < PATIENCE_MS && !(condition); i_++) \
			poll_for(b, MS); \
		assert_true(condition); \
	} while (0)
enum resolve_answer find(struct bench *b, enum resolve_kind kind, const char *name,
	const struct resolve_addresses **out);
/* The endpoints as text, in their order: "192.0.2.1:5060 [2001:db8::1]:0". */
const char *text_of(const struct resolve_addresses *a);
/* Asks, waits, looks up. The result of the waiter and of the look-up agree. */
enum resolve_answer resolve(
	struct bench *b, enum resolve_kind kind, const char *name, const char **text);
/* Likewise; `want` is text_of() the answer, "" where it fails. */
void expect(struct bench *b, enum resolve_kind kind, const char *name, const char *want);
/* What the snapshot says, or will say soon, in the same words; "?" where nothing is known. */
void expect_found(struct bench *b, enum resolve_kind kind, const char *name, const char *want);

void add(struct bench *b, const char *name, enum dns_type type, uint32_t ttl, const char *data);
void add_srv(struct bench *b, const char *name, uint16_t priority, uint16_t weight, uint16_t port,
	const char *target);
void add_naptr(struct bench *b, const char *name, uint16_t order, uint16_t preference,
	const char *service, const char *replacement);
uint64_t counter(struct bench *b, enum resolve_counter id);
