/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * phones: what stands around a stateful siplane in the cases that measure one: phones that register
 * and call by port 0, backends that answer by port 1. They react to what comes out, so that what is
 * under way never exceeds a window, and nothing is refused for want of room.
 *
 * They run on the worker's thread, between its passes; the slow lcore has a CPU of its own. With
 * one thread (--threads 1, --count) all take turns.
 */
#include "bench.h"

#define PHONES_TEMPLATES 512 /* messages of each kind, their fields in orders drawn by lot */
#define PHONES_TEXT_MAX 1400
#define PHONES_SPOTS_MAX 24

/* Eight characters of a template that are written anew for each message. */
enum phones_spot_kind {
	PHONES_USER = 1, /* decimal */
	PHONES_SERIAL,   /* hexadecimal: the session's, or the registration's */
	PHONES_CSEQ      /* decimal, greater each time */
};
#define PHONES_MARK_USER "\1\1\1\1\1\1\1\1"
#define PHONES_MARK_SERIAL "\2\2\2\2\2\2\2\2"
#define PHONES_MARK_CSEQ "\3\3\3\3\3\3\3\3"

struct phones_template {
	char text[PHONES_TEXT_MAX];
	uint32_t len;
	unsigned host; /* of the caller: 10.10.0.host */
	unsigned spots;
	struct {
		uint16_t at;
		uint8_t kind;
	} spot[PHONES_SPOTS_MAX];
};

struct slow_thread;
struct phones_wire;

struct phones {
	struct bench *b;
	struct rig *rig;
	struct rte_mempool *pool;
	struct slow_thread *slow;
	struct phones_wire *wire; /* they are at sockets, and there is no rig */
	struct lot lot;
	struct phones_template *template;
	uint32_t users; /* numbers below it */
	uint32_t serial, cseq;
	unsigned window;    /* of what may be under way */
	unsigned open;      /* is under way */
	uint64_t window_ns; /* of a sample */
	bool inspects;      /* each message that comes out is looked at */
	uint64_t in_frames, out_frames;
	uint64_t begun, done;
	/* Begins one more. */
	void (*begin)(struct phones *p);
	/* A message that came out; `to` is where it goes. */
	void (*react)(
		struct phones *p, unsigned port, const struct net_endpoint *to, struct str text);
};

/* A rig with workers and a slow lcore, and the phones around worker 0; exits where that fails. */
void phones_create(struct bench *b, struct phones *p, const char *config, unsigned workers,
	uint32_t contacts, uint32_t transactions);
/* The same with more settings; what concerns the phones is made the same. */
void phones_create_with(struct bench *b, struct phones *p, const struct rig_config *config);
void phones_destroy(struct phones *p);
/* Makes the templates: `write` writes one, with marks in it. */
void phones_templates(
	struct phones *p, void (*write)(struct draft *out, unsigned host, struct lot *lot));
/* Header lines in an order drawn by lot. */
void phones_shuffled(struct draft *out, const char *const *line, unsigned lines, struct lot *lot);
/* A template with its spots filled; `out` has PHONES_TEXT_MAX bytes. */
struct str phones_fill(
	const struct phones_template *t, uint32_t user, uint32_t serial, uint32_t cseq, char *out);
/* Puts a datagram before the worker. */
void phones_send(struct phones *p, unsigned port, const struct net_endpoint *src, struct str text);
struct net_endpoint phones_caller(unsigned host);

/* Begins up to a burst of them, as far as the window goes, until `last` have begun. */
void phones_begin(struct phones *p, uint64_t last);
/* Takes away what came out. */
void phones_take(struct phones *p);
/* The slow lcore's thread, where it has one. */
bool phones_has_two(const struct phones *p);
void phones_start(struct phones *p);
void phones_stop(struct phones *p);

/* The slow lcore's stages between two of its passes: what it spent from one mark to the next is
 * never more than the time between them. */
struct slow_mark {
	uint64_t tsc;
	struct pipeline_stages stages;
};
/* False: asked for, and not made yet; ask again. */
bool phones_slow_mark(const struct phones *p, struct slow_mark *out);

/* What a run gave, a sample a window. */
struct load {
	struct samples ns;           /* of one, by the clock on the wall */
	struct samples worker, slow; /* cycles for one */
	struct samples own_slow,
		own;         /* ns of CPU for one: the slow lcore's, and with the worker's */
	struct samples busy; /* share of the slow lcore's time, percent */
	double stage[PIPELINE_STAGE_ALL]; /* cycles for one, of both */
	uint64_t done;
};
void load_init(struct load *l);
void load_free(struct load *l);
/* Runs for some seconds, or until `count` are done (0: no limit). `out` may be NULL: nothing is
 * kept. */
void phones_run(struct phones *p, double seconds, uint64_t count, struct load *out);
/* Lets what is under way end; then all frames have to be accounted for. */
void phones_settle(struct phones *p);
/* Rows: `what` is the plural of what was done, `one` its singular. */
void phones_rows(struct phones *p, struct load *l, const char *what, const char *one);

/* ---- a database with siplane's tables ---- */

struct store {
	char folder[256], url[sizeof("sqlite:///bench.sqlite") + 256];
	const char *device; /* its driver and file system, for notes */
};
/* One a program; it ends with the program. */
void store_make(struct bench *b, struct store *s);

/* ---- phones at sockets (--wire) ---- */

void phones_wire_open(struct bench *b, struct phones *p);
void phones_wire_send(
	struct phones *p, unsigned port, const struct net_endpoint *src, struct str text);
/* Does as it is told by stdin until that ends; `first` begins what `new` asks for. */
void phones_wire_serve(struct phones *p, void (*first)(struct phones *p));

/* ---- phones that register (the case register), for other cases ---- */

void register_templates(struct phones *p, uint32_t users);
/* A user registers; one drawn by lot. */
void register_user(struct phones *p, uint32_t user);
void register_any(struct phones *p);
/* A reply that has to be its 200. */
void register_reply(struct phones *p, const struct net_endpoint *to, struct str text);
