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
	uint16_t shard; /* of a request that may belong to a transaction */
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
enum tx_kind {
	TX_NOTHING = 0,
	TX_FORWARDED,
	TX_ANSWERED,
	TX_OWN, /* our reply beside a forwarded request */
	TX_TXN, /* a transaction's own */
	TX_KERNEL,
	TX_KINDS
};

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
	_Atomic uint64_t cycles[PIPELINE_STAGE_ALL];
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

/*
 * Places for messages that a worker sends to slow lcores: taken by it alone, the last one that came
 * back first, so that few stay in use and in the caches. They come back by a ring, from any thread.
 */
struct places {
	struct held **free; /* a stack */
	unsigned count, total;
	struct rte_ring *returned;
	char *memory;
	size_t bytes;
};

/* What a worker has for one slow lcore at the end of a burst. */
struct to_slow {
	unsigned count;
	unsigned fill; /* of its ring, as the first of them found it */
	struct held *held[PORT_BURST];
};

#define WAYS 16 /* a power of 2 */
#define LINKS 8 /* likewise */

/* A worker, or a slow lcore: the same with another source of messages. */
struct worker {
	_Alignas(64) struct pipeline *p;
	struct counters *count;
	unsigned index; /* slow lcores count on behind the workers */
	bool is_slow;
	bool has_state; /* this burst's script */
	int reader;     /* RCU */
	struct route_thread thread;
	uint64_t now, pass;

	/* snapshots of this burst */
	struct route_script *script;
	const struct kernel_hops *hops;

	/* route: what scripts will look up, a message each */
	struct registrar_brought brought[PORT_BURST];

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
	uint64_t reassembly_at; /* next expiry */

	struct places places;
	struct to_slow *to_slow;  /* one a slow lcore */
	struct share *share;      /* of calls in what crosses; NULL: no slow lcores */
	struct held *unreachable; /* what ICMP errors of this burst tell slow lcores */

	/* slow lcores */
	struct rte_ring *in_slow; /* struct held: from workers and other slow lcores */
	struct txn_shard *shard;  /* NULL: no transactions */
	struct message *hand;     /* whom what is sent belongs to; NULL: nobody */
	struct held *parked;      /* blocks of the script that wait */
	uint64_t swept;           /* until when contacts have been looked at */
	uint32_t sweep_places;    /* of its share of the location */
	uint32_t sweep_left;      /* places that are to be looked at without delay */
	uint64_t sweep_began;     /* when that began */
	uint64_t sweep_rests;     /* until when it does not begin again */
	_Atomic uint64_t marks;   /* HELD_MARKs that it has met */
	/* What the control thread asks of it, the last one first. */
	_Atomic(struct pipeline_job *) jobs;

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
enum held_why {
	HELD_ANSWER, /* its script waits: ctx.wait_for */
	HELD_NEIGHBOUR,
	/* for a slow lcore */
	HELD_SCRIPT,      /* its script stopped at an operation that needs state */
	HELD_REQUEST,     /* it may belong to a transaction; the script has not seen it */
	HELD_RESPONSE,    /* likewise */
	HELD_UNREACHABLE, /* no message: what a transaction sent to `to`, as far as is known, did
			     not arrive */
	HELD_MARK         /* no message: all before it has been taken */
};

/* Whose place it is. */
enum held_home { HOME_SMALL, HOME_BIG, HOME_WORKER };

/* A message that left its burst: its text and context, or, for a neighbour, the text as it will be
 * sent. */
struct held {
	struct held *next;
	enum held_why why;
	uint16_t worker;    /* who goes on with it */
	uint16_t owner;     /* HOME_WORKER: whose place */
	uint8_t home;       /* enum held_home */
	uint8_t hops;       /* from one slow lcore to another */
	bool parked;        /* a transaction's block of the script, and no message of its own */
	bool referred;      /* script is a reference */
	uint16_t no_answer; /* it never came, for this reason (counter); 0: it did, or may */
	uint32_t wait;      /* whose part it waits on, plus one; 0: nobody's (waits_take()) */
	uint32_t wait_site; /* likewise, of IPv6 its /48's */
	uint32_t frames;
	uint64_t deadline;
	uint64_t turn_at; /* ROUTE_WAIT_TURN: when it goes on */
	/* HELD_NEIGHBOUR: what transmit needs */
	struct proxy_out to;
	enum tx_kind kind;
	struct kernel_hop hop;
	uint32_t text_len;
	/* messages with a context */
	struct pipeline *p; /* for the answer */
	const struct route_script *script;
	struct route_ctx ctx;
	/* text follows */
};

#define HELD_TEXT_SMALL 2048 /* bytes of text in most places */

static inline size_t held_bytes(uint32_t text)
{
	return RTE_ALIGN_CEIL(sizeof(struct held) + text, 64);
}

static inline void held_init(struct held *h, enum held_home home)
{
	h->next = NULL;
	h->home = (uint8_t)home;
	h->hops = 0;
	h->parked = false;
	h->no_answer = 0;
	h->wait = h->wait_site = 0;
	h->referred = false;
	h->deadline = 0;
}

/* The script stays at least until the place is given back. */
static inline void held_refer(struct held *h)
{
	if (!h->referred)
		route_script_ref(h->script);
	h->referred = true;
}

/* A worker's word to the control thread that is no message. */
struct note {
	enum { NOTE_PMTU, NOTE_UNREACHABLE } kind;
	uint32_t mtu;
	struct net_endpoint to;
};

/* A script that no worker runs any more, and messages on their way to slow lcores may. */
struct passing {
	struct passing *next;
	struct route_script *script;
	uint64_t mark; /* let go when every slow lcore has passed that many; 0: not put yet */
	bool quiet;    /* no worker runs it */
	bool orphan;   /* the pipeline is no more */
};

struct pipeline {
	struct pipeline_config config;
	struct worker *worker;  /* workers, then slow lcores */
	struct counters *count; /* one block each, and the control thread's last */
	_Atomic(struct route_script *) script;
	/* A script of this process has needed state: from then on requests and responses may belong
	 * to transactions, also when a later script needs none. */
	_Atomic bool has_state;
	struct hash_key fragment_key, spread_key;
	struct access_rate *reply_rate;
	struct slab *slab;
	struct rte_ring *to_control;     /* struct held */
	struct rte_ring *notes;          /* struct note */
	struct held *neighbours;         /* waiting, control thread's */
	struct held *turns, **turns_end; /* likewise, in the order in which they go on */
	struct waits *waits;             /* who waits for databases */
	uint64_t ask_at;
	struct route_xlog **xlog;
	/* old scripts, the control thread's */
	struct held mark;
	uint64_t marks;
	struct passing *passing;
};

/* Workers and slow lcores. */
static inline unsigned pipeline_threads(const struct pipeline *p)
{
	return p->config.workers + p->config.slow;
}

static inline struct worker *slow_of(struct pipeline *p, unsigned shard)
{
	return &p->worker[p->config.workers + shard];
}

/* ---- stages, in a packet's order ---- */

/* Charges a stage with the cycles since `begun`; returns the time, at which the next one begins. */
uint64_t stage_end(struct worker *w, enum pipeline_stage stage, uint64_t begun);
void stage_messages(struct worker *w, unsigned n);
/* Takes the time and the snapshots. */
void worker_begin_pass(struct worker *w);
/* Makes a worker a slow lcore. 0 or -errno. */
int slow_open(struct worker *w, unsigned shard);

/* classify: frames of one port; puts SIP messages into w->msg, which has room for one a frame.
 * Consumes all mbufs. */
void classify_burst(
	struct worker *w, struct port *port, struct rte_mbuf **m, unsigned n, bool crossed);
/* index, route, rewrite: all messages of w->msg, rewrite `count` of them from `first` on. What is
 * to be sent comes into w->written. */
void index_burst(struct worker *w);
void route_burst(struct worker *w);
void rewrite_burst(struct worker *w, unsigned first, unsigned count);
/* Whether a reply of `len` bytes to this request is one too many for its source; takes from its
 * rate. */
bool reply_too_often(struct worker *w, const struct message *msg, unsigned status, uint32_t len);

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
/* Of an outgoing message that is lost: what it carried is lost with it, for this reason; one of our
 * own carried nothing. */
void count_loss(struct counters *count, enum tx_kind kind, uint32_t frames, unsigned counter);
/* A whole frame to a port; consumes m. */
void transmit_frame(struct worker *w, uint16_t port, struct rte_mbuf *m);
/* Sends what waits in w->out. */
void transmit_flush(struct worker *w);

/* route: what a message that goes no further counts as. */
void message_drop(struct worker *w, struct message *msg, unsigned counter);
/* A request gets this 500 instead of what the script wanted; an ACK or a response is dropped under
 * `counter`. */
void route_fail(struct worker *w, struct message *msg, struct str reason, unsigned counter);
/* There is no room to go on with it: a request gets a 503; an ACK, a CANCEL (which comes again) or
 * a response is dropped under `counter`. */
void route_no_room(struct worker *w, struct message *msg, unsigned counter);
/* What it waited for never came, for this reason: likewise. */
void route_no_answer(struct worker *w, struct message *msg, unsigned counter);
/* The proxy's rules before the script; false: they were all there is to it. */
bool route_begin(struct worker *w, struct message *msg);
/* What the script's result says of a message whose run ended. */
void route_ended(struct worker *w, struct message *msg);
/* A verdict on a worker becomes a fate; also for resumed messages. */
void route_judge(struct worker *w, struct message *msg, enum route_verdict verdict);

/* Control thread: lets go of old scripts that no message needs any more. */
void passing_poll(struct pipeline *p);

/* ---- crossing ---- */

struct slab;
struct slab *slab_create(uint32_t small, uint32_t big);
void slab_destroy(struct slab *s);
/* A held with room for `len` bytes of text; NULL when there is none. Any thread. */
struct held *slab_get(struct slab *s, uint32_t len);
void slab_put(struct slab *s, struct held *h);
/* Whether a message of that length may wait for a name or a neighbour: who has the answers to names
 * that nobody knows withheld must not fill all the big places. */
bool slab_may_wait(const struct slab *s, uint32_t len);
unsigned slab_used(const struct slab *s);
int places_create(struct places *places, unsigned total);
void places_destroy(struct places *places);
/* Its worker only. Those that came back can be taken again. */
void places_collect(struct places *places);
/* Its worker only, whose number is `owner`. NULL: none is left. */
struct held *places_take(struct places *places, unsigned owner);
/* Gives a place back to whose it is. Any thread that polls. */
void held_give_back(struct pipeline *p, struct held *h);
static inline char *held_text(struct held *h)
{
	return (char *)(h + 1);
}

struct share;
/* For one thread. NULL: not enough memory; free() ends it. */
struct share *share_create(void);
/* One more message of a call, of which `digest` is a keyed one. False: it has had its share in this
 * window of time. */
bool share_take(struct share *s, uint64_t now, uint64_t digest);

struct waits;
/* How many may wait for databases. NULL: not enough memory; free() ends it. */
struct waits *waits_create(uint32_t most, const struct hash_key *key);
/* One more that waits, for a source. False: there is no room for it. Whoever it was allowed gives
 * it back, once. Any thread. */
bool waits_take(struct waits *s, struct held *h);
void waits_give_back(struct waits *s, struct held *h);

/* Takes a message out of its burst until what its script waits for is there. False: there is no
 * room for it. */
bool crossing_wait(struct worker *w, struct message *msg);
/* Copies a written message until a neighbour's MAC is known; consumes m. */
void crossing_wait_neighbour(struct worker *w, struct rte_mbuf *m, const struct proxy_out *to,
	const struct kernel_hop *hop, enum tx_kind kind, uint32_t frames);
/* Takes a message to slow lcore `shard`, or refuses it; it leaves with crossing_flush(). */
void crossing_slow(struct worker *w, struct message *msg, enum held_why why, unsigned shard);
/* What a burst has for slow lcores gets there. */
void crossing_flush(struct worker *w);
/* A message that a slow lcore has written has no way to go: its transaction hears of it in the next
 * pass. m stays the caller's. */
void crossing_no_route(struct worker *w, const struct rte_mbuf *m, const struct proxy_out *to);
/* An ICMP error quotes a datagram to `to`: who seems to have sent it hears of it, behind the
 * messages of this burst: who has answered is there. */
void crossing_unreachable(struct worker *w, const struct net_endpoint *to, struct str quoted);
void crossing_flush_unreachable(struct worker *w);
/* The shard that a request or a response in ctx belongs to. */
unsigned crossing_shard(struct worker *w, struct route_ctx *ctx);
/* Hands a place over to the control thread, which asks for what it waits for. */
void crossing_ask(struct worker *w, struct held *h);
/* What came back: resumes or sends it. */
void crossing_resume(struct worker *w, struct held *h);
void crossing_note(struct worker *w, const struct note *note);
/* Back to who goes on with it, whose ring has room for every place of the slab, too. Any thread. */
static inline void held_go_on(struct pipeline *p, struct held *h)
{
	(void)rte_ring_enqueue(p->worker[h->worker].in_held, h);
}

/* ---- ask: the control thread ---- */

/* Asks for what a message's script waits for; it goes on when that is there, or does not come. */
void ask_begin(struct pipeline *p, struct held *h, uint64_t now);
/* Those whose turn it may be by now go on; how many. */
unsigned turns_poll(struct pipeline *p, uint64_t now);
