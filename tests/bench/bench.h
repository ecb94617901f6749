/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * What the cases that feed themselves share: samples and rows, messages, and the feed, which puts
 * bursts of a set of messages before a worker and takes away what leaves.
 *
 * A case measures windows of some hundred microseconds for as long as it was told, and gives each
 * figure as least, median and greatest of them. The least is what the machine can do, the distance
 * to the median is what others did to it meanwhile.
 */
#include <stdarg.h>
#include <stdio.h>

#include "../unit/pipeline/rig.h"

/* The program guard counts instructions between two of these; elsewhere they are nothing. */
#ifdef BENCH_GUARD
#include <valgrind/callgrind.h>
#else
#define CALLGRIND_TOGGLE_COLLECT
#endif

/* ---- samples and rows ---- */

#define GUARD_SET 1024 /* messages of a set under callgrind */

struct samples {
	double *v;
	unsigned n, room;
};

void samples_init(struct samples *s);
void samples_free(struct samples *s);
/* Exits where memory ends. */
void samples_add(struct samples *s, double value);
/* Sorts. */
double samples_min(struct samples *s);
double samples_median(struct samples *s);
double samples_max(struct samples *s);

struct bench {
	const char *name; /* of the case */
	double seconds;   /* for each figure, or family of figures that is measured together */
	bool json;
	const char *config; /* routing file */
	uint64_t count;     /* not 0: so many bursts under callgrind, instead of time */
	uint32_t contacts;  /* of the greatest table */
	bool wire;          /* phones at sockets, around a system that runs elsewhere */
	unsigned threads;   /* at most, where a case has several */
	unsigned show;      /* messages to print instead of measuring */
	const char *cpu;
	double ns_per_cycle;
	bool headed; /* the table's head was printed */
};

/* A row of samples, of which there is at least one. Sorts them. */
void bench_row(struct bench *b, const char *metric, const char *unit, struct samples *s,
	const char *device, const char *note);
/* A row of rates: how many a second, of samples of nanoseconds for one. */
void bench_rate_row(struct bench *b, const char *metric, const struct samples *ns,
	const char *device, const char *note);
/* The same of one value. */
void bench_value(struct bench *b, const char *metric, const char *unit, double value,
	const char *device, const char *note);
/* Progress on stderr, of what takes over two seconds. */
void bench_say(const struct bench *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Memory, or the end of the program: zeroed; a copy. */
void *bench_alloc(struct bench *b, size_t n, size_t size);
void *bench_copy(struct bench *b, const void *data, size_t len);
/* What went wrong; ends the program with 1. */
void bench_fail(const struct bench *b, const char *fmt, ...)
	__attribute__((format(printf, 2, 3), noreturn));
/* How the program was built, which scanner it took, and its pages. */
const char *bench_build(void);

/* ---- messages ---- */

#define MESSAGE_MAX 60000

/* Numbers that look drawn by lot and are the same each time. */
struct lot {
	uint64_t state;
};
uint32_t lot_below(struct lot *lot, uint32_t bound);

/* A message being written. `over`: it did not fit, and is of no use. */
struct draft {
	char *s;
	uint32_t len, size;
	bool over;
};
void draft_add(struct draft *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void draft_add_str(struct draft *t, struct str s);

/* One call: everything that its messages share follows from the number. */
struct call {
	uint32_t number;
	struct net_endpoint caller;
	char caller_host[16];
	char id[64], from_tag[16], to_tag[16];
};
void call_of(struct call *c, uint32_t number);

enum message_kind {
	MESSAGE_INVITE,
	MESSAGE_REINVITE,
	MESSAGE_ACK,
	MESSAGE_BYE,
	MESSAGE_OPTIONS,
	MESSAGE_REGISTER
};

struct message_spec {
	enum message_kind kind;
	bool from_callee;         /* in-dialog, the other way */
	bool bare;                /* only what must be there */
	struct str route;         /* value of the Route header, or none */
	uint32_t least, greatest; /* bytes; 0: as it comes */
};
/* Header fields in an order drawn by lot, optional ones now and then, SDP where the kind has it. */
void message_request(
	struct draft *out, const struct call *c, const struct message_spec *spec, struct lot *lot);
/* The answer of who received `request`: its Vias, Record-Route, From, To with our tag, Call-ID,
 * CSeq. */
void message_response(struct draft *out, struct str request, const struct call *c, unsigned status,
	struct lot *lot);
/* The Route that an in-dialog request needs, from the Record-Routes of the forwarded INVITE: the
 * callee's order, or reversed for the caller. */
void message_route(struct draft *out, struct str forwarded, bool from_callee);

/* ---- the feed ---- */

/*
 * The messages of one port stand in a pool whose buffers come back in the order in which they went:
 * a ring of its own, no cache. So a buffer that the worker has freed is the same message again a
 * whole set later, nothing is copied, and freeing costs the worker what it costs in service.
 */
struct feed {
	struct bench *b;
	struct rig *rig;
	unsigned worker;
	struct rte_mempool *pool[RIG_PORTS];
	unsigned count[RIG_PORTS]; /* messages (or frames) */
	unsigned frames_per_message;
	uint64_t bytes;                            /* of all messages */
	unsigned at;                               /* bursts so far: which port comes next */
	uint64_t in_frames, out_frames, out_bytes; /* since it was made */
	/* Changes a frame before it goes in once more; NULL: it stays what it is. */
	void (*renew)(void *arg, uint8_t *frame, uint32_t len);
	void *renew_arg;
	bool inspects; /* what comes out is looked at, while no time is taken */
	bool broken; /* what goes in lacks what an answer repeats: only that it is one is wanted */
};

/* A frame for one port. */
struct feed_item {
	unsigned port;
	struct net_endpoint src;
	struct str text;      /* UDP payload */
	const uint8_t *frame; /* or a whole frame */
	uint32_t frame_len;
};

/* Items with the texts and frames that they hold. */
struct set {
	struct feed_item *item;
	unsigned n, size;
};
void set_create(struct bench *b, struct set *s, unsigned size);
void set_destroy(struct set *s);
/* Adds a copy; exits beyond `size`. */
void set_add(struct bench *b, struct set *s, unsigned port, const struct net_endpoint *src,
	struct str text);
void set_add_frame(
	struct bench *b, struct set *s, unsigned port, const uint8_t *frame, uint32_t len);
/* Makes a set of one such request of each of n calls, from call `first` on, that come in by port 0.
 */
void set_create_requests(struct bench *b, struct set *s, unsigned first, unsigned n,
	const struct message_spec *spec, struct lot *lot);
void set_shuffle(struct set *s, struct lot *lot);

/* Makes a feed of n items, in this order; those of each port a multiple of PORT_BURST. Exits where
 * memory ends. */
void feed_create(struct bench *b, struct feed *f, struct rig *r, unsigned worker,
	const struct feed_item *item, unsigned n, unsigned buffer_room);
void feed_destroy(struct feed *f);

/* One window. */
struct window {
	uint64_t work, refill; /* cycles in the worker, and of feeding it and taking away */
	uint64_t frames;
	uint64_t stage[PIPELINE_STAGE_COUNT];
};
/* Puts one burst before the worker; returns how many frames. */
unsigned feed_refill(struct feed *f);
/* What is wrong with a frame that came out, if it shall be SIP that we would take; NULL: nothing.
 */
const char *bench_flaw(const uint8_t *data, uint32_t len);
void feed_window(struct feed *f, unsigned bursts, struct window *out);

/* What one run of a feed gave. */
struct figures {
	struct samples ns, refill, cycles, stage[PIPELINE_STAGE_COUNT];
	uint64_t counter[COUNTER_COUNT]; /* what was counted meanwhile */
	uint64_t frames, out_frames;     /* put in, and taken away */
	double bytes_in, bytes_out;      /* a message */
};
void figures_init(struct figures *f);
void figures_free(struct figures *f);
/*
 * Runs windows for `seconds`, or what --count says under callgrind. What they gave is added to
 * `out`. Of what comes out while the first run warms up, or all of it under callgrind, each has to
 * be a datagram with good sums and SIP that we would take ourselves, or a fragment: else it exits.
 */
void feed_run(struct bench *b, struct feed *f, double seconds, struct figures *out);
/* What became of the frames, a counter a line. */
void figures_print_ends(const struct figures *f, FILE *out);
/*
 * Exits unless every frame ended as it should: counted as `end` (COUNTER_COUNT: answered or dropped
 * for a reason, and none of them sent on), none of them waits, and each that was sent came out.
 * Under callgrind it prints how they ended too.
 */
void figures_check(struct bench *b, const struct figures *f, unsigned end, const char *variant);
/* Rows of it; `variant` "" or "/something". */
void feed_rows(struct bench *b, struct figures *f, const char *variant, const char *note);

/* ---- what cases use of each other ---- */

/* Next hops: the callers' and backends' networks with their neighbours, and `more` neighbours in
 * 10.128.0.0/9 behind the core port. NULL without memory; free(). */
struct kernel_hops *bench_hops(unsigned more, unsigned mtu);
/* The rig with the operator's script; exits where it fails. */
struct rig *bench_rig(struct bench *b, unsigned workers, unsigned mtu);
/* With its next hops. */
void bench_rig_end(struct rig *r);
/* Writes a text to the path of mkstemp(3). */
void bench_write_file(struct bench *b, char *path, const char *text);
/* Writes a secret file that is the same each time to the path of mkstemp(3). */
void bench_secret(struct bench *b, char *path);

/* The valid messages of others beside the checkout ($SIPLANE_SHARED/corpus), as they are; NULL
 * where there are none. Each is allocated on its own. */
struct str *bench_corpus(unsigned *n);

int case_parse(struct bench *b);
int case_dispatch(struct bench *b);
int case_response(struct bench *b);
int case_indialog(struct bench *b);
int case_options(struct bench *b);
int case_mix(struct bench *b);
int case_malformed(struct bench *b);
int case_fragments(struct bench *b);
int case_size(struct bench *b);
int case_tables(struct bench *b);
int case_register(struct bench *b);
int case_register_auth(struct bench *b);
int case_db(struct bench *b);
int case_calls(struct bench *b);
int case_lookup(struct bench *b);
int case_beside(struct bench *b);
int case_location(struct bench *b);
int case_scale(struct bench *b);
