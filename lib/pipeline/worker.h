/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * What the stages share: a worker's state and a message on its way. Private to the room.
 */
#include <rte_ring.h>

#include "pipeline/pipeline.h"

/* A message within one burst. */
struct message {
	struct rte_mbuf *m; /* received buffer, freed when the burst ends; NULL for a resumed one */
	struct held *held;  /* the slab it comes back in, given back when the burst ends; or NULL */
	struct route_ctx *ctx; /* of the burst's array, or the slab's */
	char *text;
	uint32_t text_len;
	uint32_t frames;
	enum message_fate {
		FATE_NONE = 0, /* on its way */
		FATE_REQUEST,  /* to be written as the proxy's request */
		FATE_RESPONSE,
		FATE_REPLY, /* our reply to it */
		FATE_GONE   /* counted, handed over or held */
	} fate;
	enum sip_error error;
};

/* What is counted when a frame has been taken by its device; carried in mbuf->hash.usr. */
enum tx_kind { TX_NOTHING = 0, TX_FORWARDED, TX_ANSWERED, TX_OWN, TX_KERNEL, TX_KINDS };

/* A message as it will be sent, on its way from rewrite to transmit. */
struct written {
	struct rte_mbuf *m;
	struct proxy_out to;
	enum tx_kind kind;
	uint32_t frames;
};

/* A request can leave with a reply of our own beside it. */
#define WRITTEN_MAX (2 * PORT_BURST)

/* Frames that wait for the end of the burst to be sent on one port, with what to count then. */
struct outgoing {
	struct rte_mbuf *m[PORT_BURST];
	uint16_t count;
};

static inline void tx_mark(struct rte_mbuf *m, enum tx_kind kind, uint32_t frames)
{
	m->hash.usr = (uint32_t)kind << 24 | frames;
}

/* Cycles by stage, written by the worker alone, once a burst and stage. */
struct stages {
	_Atomic uint64_t cycles[PIPELINE_STAGE_COUNT];
	_Atomic uint64_t frames, messages;
};

/*
 * What a pass's messages from one listener by one port have in common: written by the first of
 * them. Good for one pass only, since all that it was made from may be another in the next.
 */
struct link {
	uint64_t pass;
	uint16_t listener, port;
	struct net_header header; /* but for the destination and its neighbour */
	struct net_template headers;
};

/* How a pass's messages get from one listener to one endpoint: found out by the first of them. Good
 * for one pass, too. */
struct way {
	uint64_t pass;
	struct net_endpoint dst;
	uint16_t listener;
	uint16_t mtu; /* of the path and the port */
	bool to_ourselves;
	const struct link *link; /* NULL: no hop that is ready */
	struct kernel_hop hop;
};

#define WAYS 16 /* a power of 2 */
#define LINKS 8 /* likewise */

struct worker {
	_Alignas(64) struct pipeline *p;
	struct counters *count;
	unsigned index;
	int reader; /* RCU */
	struct route_thread thread;
	uint64_t now, pass;

	/* snapshots of this burst */
	struct route_script *script;
	const struct kernel_hops *hops;

	/* receive */
	uint16_t ports; /* in poll order */
	struct {
		struct port *port;
		int queue;                  /* -1: none of its own */
		struct worker *transmitter; /* who owns the queue that we send by */
	} at[PORT_MAX];

	/* from other threads */
	struct rte_ring *in_frames; /* mbufs to classify: fragments, spread packets */
	struct rte_ring *in_held;   /* struct held: go on */
	struct rte_ring *in_tx;     /* mbufs to send; mbuf->port is our index of the port */

	struct net_reassembler *reassembler;
	struct access_rate *reply_rate;
	uint64_t reassembly_at; /* next expiry */

	struct outgoing out[PORT_MAX];
	struct way way[WAYS];
	struct link link[LINKS];
	struct stages stages;
	unsigned batch, writes;
	struct message msg[PORT_BURST];
	struct written written[WRITTEN_MAX];
	struct route_ctx *ctx; /* PORT_BURST of them */
};

/* Why a message waits. */
enum held_why { HELD_NAME, HELD_NEIGHBOUR };

/* A message that left its burst: its text and context, or, for a neighbour, the text as it will be
 * sent. */
struct held {
	struct held *next;
	enum held_why why;
	uint16_t worker; /* who goes on with it */
	bool big;
	uint32_t frames;
	uint64_t deadline;
	/* HELD_NEIGHBOUR: what transmit needs */
	struct proxy_out to;
	enum tx_kind kind;
	struct kernel_hop hop;
	uint32_t text_len;
	/* HELD_NAME */
	struct pipeline *p; /* for the resolver's answer */
	struct route_ctx ctx;
	/* text follows */
};

/* A worker's word to the control thread that is no message. */
struct note {
	enum { NOTE_PMTU, NOTE_UNREACHABLE } kind;
	uint32_t mtu;
	struct net_endpoint to;
};

struct pipeline {
	struct pipeline_config config;
	struct worker *worker;
	struct counters *count; /* one block a worker, and the control thread's last */
	_Atomic(struct route_script *) script;
	struct hash_key fragment_key, spread_key;
	struct slab *slab;
	struct rte_ring *to_control; /* struct held */
	struct rte_ring *notes;      /* struct note */
	struct held *neighbours;     /* waiting, control thread's */
	uint64_t ask_at;
	struct route_xlog **xlog;
};

/* ---- stages, in a packet's order ---- */

/* Charges a stage with the cycles since `begun`; returns the time, at which the next one begins. */
uint64_t stage_end(struct worker *w, enum pipeline_stage stage, uint64_t begun);

/* classify: frames of one port; puts SIP messages into w->msg, which has room for one a frame.
 * Consumes all mbufs. */
void classify_burst(
	struct worker *w, struct port *port, struct rte_mbuf **m, unsigned n, bool crossed);
/* index, route, rewrite: all messages of w->msg. What is to be sent comes into w->written. */
void index_burst(struct worker *w);
void route_burst(struct worker *w);
void rewrite_burst(struct worker *w);

/* The place of the next message that is to be sent; it counts when it has been added. */
static inline struct written *written_next(struct worker *w)
{
	return &w->written[w->writes];
}

static inline struct written *written_add(struct worker *w)
{
	return &w->written[w->writes++];
}

/* transmit: all of w->written. */
void transmit_burst(struct worker *w);
/* A written message whose text begins at m's data; consumes m. */
void transmit_message(struct worker *w, struct rte_mbuf *m, const struct proxy_out *to,
	enum tx_kind kind, uint32_t frames);
/* A whole frame to a port; consumes m. */
void transmit_frame(struct worker *w, uint16_t port, struct rte_mbuf *m);
/* Sends what waits in w->out. */
void transmit_flush(struct worker *w);

/* route: what a message that goes no further counts as. */
void message_drop(struct worker *w, struct message *msg, unsigned counter);
/* A script's verdict becomes a fate; also for resumed messages. */
void route_judge(struct worker *w, struct message *msg, enum route_verdict verdict);

/* ---- crossing ---- */

struct slab;
struct slab *slab_create(uint32_t small, uint32_t big);
void slab_destroy(struct slab *s);
/* A held with room for `len` bytes of text; NULL when there is none. Any thread. */
struct held *slab_get(struct slab *s, uint32_t len);
void slab_put(struct slab *s, struct held *h);
unsigned slab_used(const struct slab *s);
static inline char *held_text(struct held *h)
{
	return (char *)(h + 1);
}

/* Takes a message out of its burst until a name is known. */
void crossing_wait_name(struct worker *w, struct message *msg);
/* Copies a written message until a neighbour's MAC is known; consumes m. */
void crossing_wait_neighbour(struct worker *w, struct rte_mbuf *m, const struct proxy_out *to,
	const struct kernel_hop *hop, enum tx_kind kind, uint32_t frames);
/* What came back: resumes or sends it. */
void crossing_resume(struct worker *w, struct held *h);
void crossing_note(struct worker *w, const struct note *note);
