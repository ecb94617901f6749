/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The steps of a call, one after the other, and the timers that move it on.
 */
#include <errno.h>

#include "calls.h"

#define RUN_STEPS_MAX 64 /* that one call does at a time */

const struct step *call_step(const struct calls *c, const struct call *call, unsigned at)
{
	const struct scenario_call *s = &c->config.scenario->call[call->program];

	return at < s->steps ? &s->step[at] : NULL;
}

static uint64_t retransmit_at(const struct calls *c, const struct call *call, uint64_t now)
{
	const struct gen_config *g = c->config.config;
	bool invite = c->config.template[call->message].method == SIP_METHOD_INVITE;
	unsigned doubled = call->transmissions > 16 ? 16 : call->transmissions - 1U;
	uint64_t wait = g->t1_ns << doubled;

	/* RFC 3261 17.1.1.2: an INVITE that was answered provisionally is not sent again. 17.1.2.2:
	 * others go on, each T2. */
	if (g->no_retransmit || (invite && call->answered))
		return UINT64_MAX;
	if (!invite && (wait > g->t2_ns || call->answered))
		wait = g->t2_ns;
	return now + wait;
}

void call_set_timer(struct calls *c, struct call *call, uint64_t now)
{
	uint64_t again = retransmit_at(c, call, now);

	wheel_set(&c->wheel, call, again < call->end_ns ? again : call->end_ns);
}

/* How long the answers from here on may take: the first `expect` that has to be met. */
static uint64_t within(const struct calls *c, const struct call *call)
{
	const struct step *step = NULL, *each;
	uint64_t most = c->config.config->threshold_ns;

	for (unsigned at = call->step;
		(each = call_step(c, call, at)) != NULL && each->kind == STEP_EXPECT; at++) {
		step = each;
		if (!step->optional)
			break;
	}
	if (step == NULL)
		return 0;
	return most != 0 && most < step->from_ns ? most : step->from_ns;
}

/* Waits for what is expected from here on, of the current request. */
static void wait_for_answers(struct calls *c, struct call *call, uint64_t now)
{
	call->state = CALL_ASKING;
	call->asked = true;
	call->end_ns = now + within(c, call);
	call_set_timer(c, call, now);
}

void call_ask(struct calls *c, struct call *call, uint64_t now)
{
	call->number = c->requests++;
	c->result->expected++;
	wait_for_answers(c, call, now);
}

/* false where the call is over, or asks. */
static bool do_send(struct calls *c, struct call *call, const struct step *step, uint64_t now)
{
	enum sip_method method = c->config.template[step->message].method;
	const struct step *after;
	int rc;

	call->authorizations = 0;
	rc = call_send(c, call, step->message, now);
	if (rc != 0) {
		call_abort(c, call, rc == -ENOBUFS ? GEN_FAIL_SEND : GEN_FAIL_DIALOG, now);
		return false;
	}
	call->step++;
	after = call_step(c, call, call->step);
	if (after == NULL || after->kind != STEP_EXPECT)
		return true;
	if (method != SIP_METHOD_CANCEL && method != SIP_METHOD_ACK)
		call_ask(c, call, now);
	else
		wait_for_answers(c, call, now);
	return false;
}

/* false where it has to wait. */
static bool do_wait(struct calls *c, struct call *call, const struct step *step, uint64_t now)
{
	uint64_t ns = step->from_ns;

	if (step->to_ns > step->from_ns)
		ns += gen_random(&c->random) % (step->to_ns - step->from_ns + 1);
	call->step++;
	if (ns == 0)
		return true;
	call->slot_ns = 0;
	call->state = CALL_WAITING;
	wheel_set(&c->wheel, call, now + ns);
	return false;
}

void call_go_on(struct calls *c, struct call *call, uint64_t now)
{
	for (unsigned n = 0; n < RUN_STEPS_MAX; n++) {
		const struct step *step = call_step(c, call, call->step);

		if (step == NULL) {
			c->result->ok++;
			call->well = true;
			c->result->incomplete += call->lacks || call_owed(call) > 0;
			call_end(c, call);
			return;
		}
		switch (step->kind) {
		case STEP_SEND:
			if (!do_send(c, call, step, now))
				return;
			break;
		case STEP_EXPECT: /* further answers to the same request */
			wait_for_answers(c, call, now);
			return;
		case STEP_AWAIT:
			call->awaiting = true;
			call->state = CALL_WAITING;
			wheel_set(&c->wheel, call, now + step->from_ns);
			return;
		case STEP_WAIT:
			if (!do_wait(c, call, step, now))
				return;
			break;
		case STEP_REPEAT:
			call->repeat = step->count;
			call->step = step->count != 0 ? (uint16_t)(call->step + 1) : step->jump;
			break;
		case STEP_AGAIN:
			call->step = --call->repeat != 0 ? step->jump : (uint16_t)(call->step + 1);
			break;
		}
	}
	/* Others have their turn. */
	call->state = CALL_WAITING;
	wheel_set(&c->wheel, call, now);
}

/* ---- time ---- */

static void retransmit(struct calls *c, struct call *call, uint64_t now)
{
	if (call->transmissions < UINT8_MAX)
		call->transmissions++;
	call_transmit(c, call, call->message, true);
	call_set_timer(c, call, now);
}

/* Where nothing that is expected has to come, the call goes on without it. */
static bool pass_optional(const struct calls *c, struct call *call)
{
	const struct step *step;
	unsigned at = call->step;

	for (; (step = call_step(c, call, at)) != NULL && step->kind == STEP_EXPECT; at++)
		if (!step->optional)
			return false;
	call->step = (uint16_t)at;
	return true;
}

void call_fire(struct calls *c, struct call *call, uint64_t now)
{
	if (call->awaiting) {
		call->awaiting = false;
		call_abort(c, call, GEN_FAIL_TIMEOUT, now);
	} else if (call->state == CALL_WAITING) {
		call_go_on(c, call, now);
	} else if (now < call->end_ns) {
		retransmit(c, call, now);
	} else if (pass_optional(c, call)) {
		call_go_on(c, call, now);
	} else {
		call->gave_up = true;
		if (!call->answered)
			c->result->lost++;
		call_abort(c, call, GEN_FAIL_TIMEOUT, now);
	}
}
