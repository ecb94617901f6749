/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What came: whose answer it is, whether it is new, and what it does to its call.
 */
#include "calls.h"

static bool was_seen(const struct call *call, uint16_t key)
{
	unsigned n = call->seen_count < CALL_SEEN_MAX ? call->seen_count : CALL_SEEN_MAX;

	for (unsigned i = 0; i < n; i++)
		if (call->seen[i] == key)
			return true;
	return false;
}

static void note_seen(struct call *call, uint16_t key)
{
	call->seen[call->seen_count % CALL_SEEN_MAX] = key;
	/* Counts on in the upper half, so that "how many are valid" stays known. */
	call->seen_count = call->seen_count == 2 * CALL_SEEN_MAX - 1
				   ? CALL_SEEN_MAX
				   : (uint8_t)(call->seen_count + 1);
}

/* Whether the 2xx, which c->msg is not yet the index of, is of the dialog that the call has. */
static bool of_this_dialog(struct calls *c, const struct call *call, const struct packet *in)
{
	struct str ours = dialog_part(call, c->text[call - c->call], CALL_TO_TAG);
	const struct sip_address *to;

	return ours.len == 0 || sip_msg_index(&c->msg, in->text, in->len) != SIP_OK ||
	       (to = sip_msg_to(&c->msg, in->text)) == NULL ||
	       str_eq(ours, sip_text(in->text, to->tag));
}

/*
 * A 2xx to an INVITE whose answer the call has, or waits for no more. The same again: its ACK was
 * lost, or is late. Of another branch: nobody wants it. Each gets an ACK (RFC 3261 13.2.2.4).
 * Returns whether it is one that was there before.
 */
static bool success_again(
	struct calls *c, struct call *call, const struct packet *in, unsigned ordinal, uint64_t now)
{
	if (ordinal != call->invite) {
		/* Of a dialog that was, as far as it is an INVITE's at all. */
		if (answer_is_to(&c->msg, in->text, in->len, SIP_METHOD_INVITE))
			call_ack_answer(c, in, now);
		return true;
	}
	if (call->has_dialog && !of_this_dialog(c, call, in)) {
		c->result->forked++;
		call_unwanted(c, NULL, in, now);
		return false;
	}
	if (call->ack != 0) {
		call_transmit(c, call, call->ack - 1U, true);
	} else if (call->state == CALL_ENDED) {
		call_unwanted(c, call, in, now);
		call->cleared = true;
	}
	return true;
}

/* An answer to the last INVITE that the call does not wait for, but has to do something about. */
static bool invite_again(struct calls *c, struct call *call, const struct packet *in,
	uint16_t status, unsigned ordinal, uint64_t now)
{
	if (call->invite_ns == 0)
		return true;
	if (status < 200) {
		/* We gave up before anything came: now it can be cancelled (RFC 3261 9.1). */
		if (call->gave_up && ordinal == call->invite)
			call_cancel(c, call, now);
		return true;
	}
	if (ordinal == call->invite)
		errand_end(&c->errands, call->cancel);
	if (status < 300)
		return success_again(c, call, in, ordinal, now);
	if (ordinal == call->invite)
		call_acknowledge(c, call, in);
	return true;
}

/* An answer to a request that asks no more. */
static void take_old(struct calls *c, struct call *call, const struct packet *in, uint16_t status,
	unsigned ordinal, uint64_t now)
{
	struct gen_result *r = c->result;

	if (!invite_again(c, call, in, status, ordinal, now))
		return;
	if (!call->asked && ordinal == call->ordinal)
		r->unasked++;
	else if (call->gave_up && ordinal == call->ordinal)
		r->late++;
	else if (status < 200)
		r->reordered++; /* behind its final */
	else
		r->duplicates++;
}

static bool matches(const struct step *step, uint16_t status)
{
	for (unsigned i = 0; i < step->ranges; i++)
		if (status >= step->range[i].low && status <= step->range[i].high)
			return true;
	return false;
}

/* Step behind the `expect` that takes this status, or 0. */
static unsigned expecting(const struct calls *c, const struct call *call, uint16_t status)
{
	const struct step *step;

	for (unsigned at = call->step;
		(step = call_step(c, call, at)) != NULL && step->kind == STEP_EXPECT; at++) {
		if (matches(step, status))
			return at + 1;
		if (!step->optional)
			break;
	}
	return 0;
}

static void measure(struct calls *c, struct call *call, const struct answer *a, uint64_t now)
{
	uint64_t ns = now > call->from_ns ? now - call->from_ns : 0;

	if (!call->answered) {
		call->answered = true;
		histogram_add(&c->result->first, ns);
		if (call->number < c->answered_most)
			c->result->reordered++;
		else
			c->answered_most = call->number;
	}
	if (a->status >= 200) {
		histogram_add(&c->result->final, ns);
		histogram_add(&c->result->service, now > a->time ? now - a->time : 0);
		histogram_add(&c->result->message[call->message].latency, ns);
		c->result->message[call->message].answered++;
	}
}

/* Our BYE and the other side's have crossed, so there was no call any more (RFC 3261 15.1.2). */
static bool gone(struct calls *c, struct call *call, uint16_t status, uint64_t now)
{
	const struct step *step;

	if (!call->peer_over || c->config.template[call->message].method != SIP_METHOD_BYE ||
		(status != 481 && status != 408))
		return false;
	while ((step = call_step(c, call, call->step)) != NULL && step->kind == STEP_EXPECT)
		call->step++;
	call_go_on(c, call, now);
	return true;
}

/* The 2xx to the call's INVITE fails it; its ACK is due all the same. */
static void refuse_success(
	struct calls *c, struct call *call, const struct packet *in, uint64_t now)
{
	if (!call->has_dialog) {
		call_unwanted(c, call, in, now);
		call->cleared = true;
	} else if (answer_is_to(&c->msg, in->text, in->len, SIP_METHOD_INVITE)) {
		call_ack_answer(c, in, now); /* the BYE follows, of the dialog that there is */
	}
}

/* No step takes it. */
static void take_unexpected(struct calls *c, struct call *call, const struct packet *in,
	uint16_t status, bool invite, uint64_t now)
{
	if (status < 200) { /* 100, or another that nobody waits for */
		call_set_timer(c, call, now);
		return;
	}
	if (call_authorized(c, call, in, status, now) || gone(c, call, status, now))
		return;
	c->result->failed_status[status]++;
	if (status < 300 && invite)
		refuse_success(c, call, in, now);
	call_abort(c, call, GEN_FAIL_STATUS, now);
}

static void take_current(struct calls *c, struct call *call, const struct packet *in,
	const struct answer *a, uint64_t now)
{
	bool invite = c->config.template[call->message].method == SIP_METHOD_INVITE;
	unsigned step = expecting(c, call, a->status);

	measure(c, call, a, now);
	if (a->status >= 200 && invite)
		errand_end(&c->errands, call->cancel);
	if (a->status >= 300 && invite)
		call_acknowledge(c, call, in);
	if (a->status > 100 && a->status < 200 && invite && c->reliable[call->message])
		call_prack(c, call, in, now);
	if (step == 0) {
		take_unexpected(c, call, in, a->status, invite, now);
		return;
	}
	call->step = (uint16_t)step;
	if (call_keep(c, call, in, a->status)) {
		call_go_on(c, call, now);
		return;
	}
	if (a->status >= 200 && a->status < 300 && invite)
		refuse_success(c, call, in, now);
	call_abort(c, call, GEN_FAIL_DIALOG, now);
}

/*
 * What the reflector said it answers to an INVITE, against what came: a 1xx that no `expect` needs
 * is lost all the same. It may come behind the final answer, even when the call has ended.
 */
static void count_answers(
	struct calls *c, struct call *call, const struct packet *in, uint16_t status)
{
	unsigned before = call_owed(call), now;

	if (status <= 100)
		return;
	if (status < 200) {
		call->came += call->came < UINT8_MAX;
	} else if (call->told == 0 && status < 300) {
		const char *by = c->config.reflector;
		struct str who = STR_NONE;

		/* So many that say nothing speak for all. */
		if (c->told_behind != 0 || c->told_looked < TOLD_LOOK_MAX) {
			c->told_looked++;
			call->told = (uint8_t)answer_told(in->text, in->len, &c->told_behind, &who);
		}
		call->own = by != NULL && who.len == REFLECTOR_NAME_LEN &&
			    memcmp(who.s, by, REFLECTOR_NAME_LEN) == 0;
		c->result->told = c->result->told || call->told != 0;
	}
	now = call_owed(call);
	c->result->missing += now;
	c->result->missing -= before;
	if (call->well && !call->lacks && before > 0 && now == 0)
		c->result->incomplete--;
}

/* A 2xx to an INVITE of which nothing is known any more: the other side has to know, too. */
static void take_stranger(struct calls *c, const struct packet *in, uint16_t status, uint64_t now)
{
	if (status >= 200 && status < 300)
		call_unwanted(c, NULL, in, now);
}

/* A provisional answer may come as often as it likes (RFC 3261 17.1.1.2, 17.1.2.2). */
static bool take_again(struct calls *c, struct call *call, const struct packet *in,
	const struct answer *a, unsigned ordinal, uint64_t now)
{
	uint16_t key = (uint16_t)((ordinal & 0x3f) << 10 | a->status);

	if (a->status < 200)
		return false;
	if (!was_seen(call, key)) {
		note_seen(call, key);
		return false;
	}
	c->result->duplicates += invite_again(c, call, in, a->status, ordinal, now);
	return true;
}

static void take_answer(
	struct calls *c, const struct packet *in, const struct answer *a, uint64_t now)
{
	struct gen_result *r = c->result;
	uint32_t slot = (uint32_t)(a->ref & ((1U << GEN_CALLS_BITS) - 1));
	uint32_t generation = a->ref >> GEN_CALLS_BITS & 0xfffff;
	unsigned ordinal = a->ref >> 44 & 0xff;
	struct call *call;

	if (a->ref >> 52 == c->run && slot == ERRAND_PLACE) {
		r->received_by[a->status]++;
		if (a->status >= 200)
			errand_end(&c->errands, ordinal << 20 | generation);
		return;
	}
	if (a->ref >> 52 != c->run || slot >= c->fresh || ordinal >= ORDINALS) {
		r->foreign++;
		take_stranger(c, in, a->status, now);
		return;
	}
	r->received_by[a->status]++;
	call = &c->call[slot];
	if (generation != (call->generation & 0xfffff)) {
		r->stale++;
		take_stranger(c, in, a->status, now);
		return;
	}
	if (call->cancelled && ordinal == call->invite &&
		answer_is_to(&c->msg, in->text, in->len, SIP_METHOD_CANCEL)) {
		if (a->status >= 200)
			errand_end(&c->errands, call->cancel);
		return;
	}
	if (ordinal == call->invite && call->invite_ns != 0)
		count_answers(c, call, in, a->status);
	if (take_again(c, call, in, a, ordinal, now))
		return;
	if (call->state == CALL_ASKING && ordinal == call->ordinal)
		take_current(c, call, in, a, now);
	else
		take_old(c, call, in, a->status, ordinal, now);
}

void calls_take(struct calls *c, const struct packet *in, uint64_t now)
{
	struct answer a;

	c->result->received++;
	switch (answer_read(in->text, in->len, &a)) {
	case ANSWER_MALFORMED:
		c->result->malformed++;
		break;
	case ANSWER_REQUEST:
		call_requested(c, in, now);
		break;
	case ANSWER_FOREIGN:
		c->result->foreign++;
		break;
	case ANSWER_RESPONSE:
		take_answer(c, in, &a, now);
		break;
	}
}
