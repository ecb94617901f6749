/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * A network with a clock of its own. What the caller sends goes to a reflector that stands here;
 * what it answers comes back as `fate` says: lost, twice, later. So a test knows what became of
 * each message before the generator counts it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <errno.h>

#include "internal.h"

#define FAKE_PENDING_MAX 8192
#define FAKE_TEXT_MAX 2048
#define FAKE_WIRE_NS 50000 /* there and back, where nothing else is said */

/* What becomes of one message. */
struct fate {
	bool lost;
	unsigned copies;   /* more than one */
	uint64_t delay_ns; /* of the first; each copy comes 10 us later */
};

struct pending {
	uint64_t at;
	uint64_t order;
	uint32_t len;
	uint16_t port;
	char text[FAKE_TEXT_MAX];
};

struct fake {
	struct io io;         /* the caller's */
	struct io server;     /* where the reflector puts its answers */
	struct outbox outbox; /* of the reflector */
	struct reflector *reflector;
	struct gen_reflected reflected;
	uint64_t clock, order;
	uint64_t send_costs_ns; /* a slow device */
	unsigned refuse_after;  /* takes only so many of a burst; 0: all */
	unsigned gives;         /* so many buffers at a time; 0: as many as are wanted */
	bool starved;           /* none */
	uint64_t lost;          /* by the device, so far */
	struct pending *pending[FAKE_PENDING_MAX];
	unsigned pendings;
	char buffer[2 * GEN_BURST][FAKE_TEXT_MAX];
	char answer[2 * GEN_BURST][FAKE_TEXT_MAX];
	struct pending *given[GEN_BURST];
	struct fate (*on_request)(struct fake *f, const struct packet *p);
	struct fate (*on_answer)(struct fake *f, const struct packet *p);
	void (*on_delivery)(struct fake *f, const struct pending *p);
	uint64_t requests, answers, delivered;
	uint64_t sent_at[256]; /* of the first transmissions, for timers */
	void *arg;
};

struct fake *fake_create(const struct reflector_config *reflector);
/* The caller's io is closed by gen_close(), which calls this. */
void fake_destroy(struct fake *f);
/* A message for the caller, now. */
void fake_deliver(struct fake *f, const char *text, uint32_t len, uint64_t delay_ns, uint16_t port);
/* A generator on the fake, with a scenario's text. */
struct gen *fake_gen(struct fake *f, const char *scenario, const struct gen_config *config);
struct gen_config fake_config(void);
/* The number of the attempt in a message's Call-ID. */
uint64_t fake_seq(const char *text, uint32_t len);
