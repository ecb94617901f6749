/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * What the files of the caller share. calls.c has the table and its places; call_send.c writes
 * messages; call_steps.c plays the steps and their timers; call_answers.c takes what comes.
 *
 * A call that has ended keeps its place for a while, so that an answer that comes twice is known as
 * such; the place is the call's number in the branch, and a generation tells its users apart.
 */
#include "internal.h"

#define ORDINALS 128    /* of requests in a branch */
#define ORDINAL_ACK 128 /* of the branch of a 2xx's ACK, beside the INVITE's */

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
	uint64_t requests, answered_most; /* numbers; most + 1 */
	uint64_t random;
	struct sip_msg msg;
	uint32_t told_behind; /* where answers say how many there are; 0: not known */
	unsigned told_looked; /* final answers that were looked at for it */
	char scratch[GEN_TEXT_MAX + TEMPLATE_SLACK];
	bool program_dialog[GEN_CALLS_MAX], program_digest[GEN_CALLS_MAX];
};

/* ---- calls ---- */

/* The attempt is over; its place is given back. */
void call_end(struct calls *c, struct call *call);
/* Likewise, and counted as failed. */
void call_fail(struct calls *c, struct call *call, enum gen_fail why);

/* ---- call_send ---- */

/* The second half of a branch: run, ordinal of the request, generation and place of the call. */
uint64_t call_reference(const struct calls *c, const struct call *call, unsigned ordinal);
/* Sends what was written; it may be refused yet: calls_refused(). */
void call_put(struct calls *c, const struct call *call, struct packet *p, enum sip_method method,
	uint64_t ref, bool again);
/* One message of the scenario. 0, -ENOBUFS where no buffer is left, -EBADMSG where a field could
 * not be filled. */
int call_transmit(struct calls *c, struct call *call, unsigned message, bool again);
/* A message's first transmission; as call_transmit(). */
int call_send(struct calls *c, struct call *call, unsigned message, uint64_t now);
/* The ACK of a failed INVITE (RFC 3261 17.1.1.3), whose answer is `in`. */
void call_acknowledge(struct calls *c, struct call *call, const struct packet *in);
/* Answers to its INVITE that the call should have had. */
unsigned call_owed(const struct call *call);

/* ---- call_steps ---- */

/* A step of the call's program, or NULL behind its end. */
const struct step *call_step(const struct calls *c, const struct call *call, unsigned at);
/* Goes through the steps until the call has to wait for something, or is over. */
void call_go_on(struct calls *c, struct call *call, uint64_t now);
/* The timer of the current request: its retransmission, or the end of its time. */
void call_set_timer(struct calls *c, struct call *call, uint64_t now);
/* The call's timer has come. */
void call_fire(struct calls *c, struct call *call, uint64_t now);
