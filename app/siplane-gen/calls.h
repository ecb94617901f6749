/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * What the files of the caller share. calls.c has the table and its places; call_send.c writes
 * messages; call_steps.c plays the steps and their timers; call_answers.c takes the answers that
 * come, call_keep.c what they leave behind, call_peer.c the requests; call_clear.c ends what nobody
 * wants any more; call_errands.c sends again what goes beside the steps.
 *
 * A call that has ended keeps its place for a while, so that an answer that comes twice is known as
 * such; the place is the call's number in the branch, and a generation tells its users apart.
 */
#include "internal.h"

#define ORDINALS 128    /* of requests in a branch */
#define ORDINAL_ACK 128 /* of the branch of a 2xx's ACK, beside the INVITE's */
/* The place in the branches of errands: no call's. */
#define ERRAND_PLACE ((1U << GEN_CALLS_BITS) - 1)
#define ERRANDS_BITS 16
#define ERRANDS_MAX (1U << ERRANDS_BITS)
#define ERRAND_TURNS 32

/*
 * A message that is sent again until it is answered, whatever the steps of its call do, and though
 * that may be over: CANCEL, the BYE of a dialog that nobody wants, PRACK, and our 200 to a
 * re-INVITE. Errands that have been sent equally often wait equally long, so each such queue is in
 * the order of time.
 */
struct errand {
	uint64_t due_ns, end_ns;
	uint32_t next, prev; /* in its queue; next: of the free ones */
	uint32_t id;         /* generation and place; 0: free */
	uint16_t generation;
	uint8_t turn; /* queue: transmissions so far, less 1 */
	struct packet packet;
};

struct errands {
	struct errand *errand;
	uint32_t head[ERRAND_TURNS], tail[ERRAND_TURNS];
	uint32_t free, fresh; /* places from `fresh` on were never used */
	uint32_t count;
};

#define TOLD_LOOK_MAX 100 /* final answers that may say nothing of how many there were */

struct calls {
	struct calls_config config;
	struct gen_result *result;
	struct call *call;
	char (*text)[CALL_TEXT_MAX];
	uint32_t count;
	uint32_t *free, free_count; /* a stack: the last one used is in the cache */
	uint32_t *linger, linger_at, linger_count;
	uint32_t fresh; /* slots from here on were never used */
	uint32_t open;
	uint32_t run;
	struct wheel wheel;
	struct errands errands;
	uint64_t now;                     /* of the message that is being sent */
	uint32_t strays;                  /* requests of no call's: makes their branches unique */
	uint64_t requests, answered_most; /* numbers; most + 1 */
	uint64_t random;
	struct sip_msg msg;
	struct sip_msg peer_msg; /* our INVITE, when a request is answered */
	uint32_t told_behind;    /* where answers say how many there are; 0: not known */
	unsigned told_looked;    /* final answers that were looked at for it */
	char scratch[GEN_TEXT_MAX + TEMPLATE_SLACK];
	bool program_dialog[GEN_CALLS_MAX], program_digest[GEN_CALLS_MAX];
	bool reliable[GEN_MESSAGES_MAX]; /* INVITEs that speak of 100rel */
};

/* ---- calls ---- */

/* The attempt is over; its place is given back. */
void call_end(struct calls *c, struct call *call);
/* Likewise, and counted as failed. */
void call_fail(struct calls *c, struct call *call, enum gen_fail why);

/* ---- call_send ---- */

/* The second half of a branch: run, ordinal of the request, generation and place of the call. */
uint64_t call_reference(const struct calls *c, const struct call *call, unsigned ordinal);
/* The {tag} of the call's dialog; and the reference (with the dialog's number for an ordinal) of a
 * tag. */
uint64_t call_tag(const struct calls *c, const struct call *call);
uint64_t call_of_tag(const struct calls *c, uint64_t tag);
/* Sends what was written, to the target from one of our ports; it may be refused yet:
 * calls_refused(). */
void call_put(struct calls *c, uint16_t port, struct packet *p, enum sip_method method,
	uint64_t ref, bool again);
/* The call's INVITE as it was sent, in c->scratch; empty where it cannot be. */
struct str call_invite(struct calls *c, const struct call *call);
/* One message of the scenario. 0, -ENOBUFS where no buffer is left, -EBADMSG where a field could
 * not be filled. */
int call_transmit(struct calls *c, struct call *call, unsigned message, bool again);
/* A message's first transmission; as call_transmit(). */
int call_send(struct calls *c, struct call *call, unsigned message, uint64_t now);
/* The ACK of a failed INVITE (RFC 3261 17.1.1.3), whose answer is `in`. */
void call_acknowledge(struct calls *c, struct call *call, const struct packet *in);
/* The current request once more, with the credentials that were asked for; as call_transmit(). */
int call_authorize(struct calls *c, struct call *call, uint64_t now);
/* Answers to its INVITE that the call should have had. */
unsigned call_owed(const struct call *call);

/* ---- call_steps ---- */

/* A step of the call's program, or NULL behind its end. */
const struct step *call_step(const struct calls *c, const struct call *call, unsigned at);
/* Goes through the steps until the call has to wait for something, or is over. */
void call_go_on(struct calls *c, struct call *call, uint64_t now);
/* The timer of the current request: its retransmission, or the end of its time. */
void call_set_timer(struct calls *c, struct call *call, uint64_t now);
/* The current request waits for its answers, which are counted. */
void call_ask(struct calls *c, struct call *call, uint64_t now);
/* The call's timer has come. */
void call_fire(struct calls *c, struct call *call, uint64_t now);

/* ---- call_keep ---- */

/* Keeps what later messages need of an answer that a step took. false where that cannot be. */
bool call_keep(struct calls *c, struct call *call, const struct packet *in, uint16_t status);
/*
 * A challenge that no `expect` takes is answered, where the message has a place for it and it is
 * worth it. false: it is a failure.
 */
bool call_authorized(
	struct calls *c, struct call *call, const struct packet *in, uint16_t status, uint64_t now);

/* ---- call_clear ---- */

/* The attempt failed: as call_fail(), and the other side is told, by CANCEL or BYE. */
void call_abort(struct calls *c, struct call *call, enum gen_fail why, uint64_t now);
/*
 * A 2xx to an INVITE that nobody wants, or one of another branch than the call's: ACK, and BYE
 * (RFC 3261 13.2.2.4, 15). `call` may be NULL, where nothing is known of it.
 */
void call_unwanted(struct calls *c, struct call *call, const struct packet *in, uint64_t now);
/* Its ACK alone. c->msg is its index. */
void call_ack_answer(struct calls *c, const struct packet *in, uint64_t now);
/* CANCELs the call's INVITE, if it has not been. */
void call_cancel(struct calls *c, struct call *call, uint64_t now);
/* Acknowledges a reliable 1xx (RFC 3262 4). */
void call_prack(struct calls *c, struct call *call, const struct packet *in, uint64_t now);

/* ---- call_errands ---- */

int errands_create(struct errands *e);
void errands_destroy(struct errands *e);
void errands_begin(struct errands *e);
/* An errand's id, which is in its branch; 0 where there is no room, or nothing is sent again. */
uint32_t errand_new(struct calls *c);
uint64_t errand_reference(const struct calls *c, uint32_t id);
/* It was written to p, and goes out now for the first time. */
void errand_go(struct calls *c, uint32_t id, const struct packet *p, uint64_t now);
/* It was answered. Any id. */
void errand_end(struct errands *e, uint32_t id);
void errands_run(struct calls *c, uint64_t now);
/* When to look again; UINT64_MAX: there is none. */
uint64_t errands_next(const struct errands *e);

/* ---- call_peer ---- */

/* A request that came. */
void call_requested(struct calls *c, const struct packet *in, uint64_t now);
