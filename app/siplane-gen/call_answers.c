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

/* A final answer to the INVITE came again: its ACK was lost, or is late. */
static void acknowledge_again(
	struct calls *c, struct call *call, const struct packet *in, uint16_t status)
{
	if (status >= 300)
		call_acknowledge(c, call, in);
	else if (call->ack != 0)
		call_transmit(c, call, call->ack - 1U, true);
}

/* An answer to a request that asks no more. */
static void take_old(struct calls *c, struct call *call, uint16_t status, unsigned ordinal)
{
	struct gen_result *r = c->result;

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

/* Keeps what later messages need of the answer. false where that cannot be. */
static bool keep(struct calls *c, struct call *call, const struct packet *in, uint16_t status)
{
	char *text = c->text[call - c->call];
	const struct step *after = call_step(c, call, call->step);

	if (status < 300) {
		bool early = status < 200;

		if (!c->program_dialog[call->program] || call->has_dialog ||
			(early && (after == NULL || after->kind == STEP_EXPECT)))
			return true;
		if (answer_dialog(&c->msg, in->text, in->len, call, text) != 0)
			return false;
		call->has_dialog = !early;
		return true;
	}
	if ((status == 401 || status == 407) && c->program_digest[call->program])
		return answer_challenge(&c->msg, in->text, in->len, call, text) == 0;
	return true;
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

static void take_current(struct calls *c, struct call *call, const struct packet *in,
	const struct answer *a, uint64_t now)
{
	bool invite = c->config.template[call->message].method == SIP_METHOD_INVITE;
	unsigned step = expecting(c, call, a->status);

	measure(c, call, a, now);
	if (a->status >= 300 && invite)
		call_acknowledge(c, call, in);
	if (step == 0) {
		if (a->status < 200) { /* 100, or another that nobody waits for */
			call_set_timer(c, call, now);
			return;
		}
		c->result->failed_status[a->status]++;
		call_fail(c, call, GEN_FAIL_STATUS);
		return;
	}
	call->step = (uint16_t)step;
	if (!keep(c, call, in, a->status))
		call_fail(c, call, GEN_FAIL_DIALOG);
	else
		call_go_on(c, call, now);
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

void calls_take(struct calls *c, const struct packet *in, uint64_t now)
{
	struct gen_result *r = c->result;
	struct answer a;
	struct call *call;
	unsigned ordinal;
	uint32_t slot;
	uint16_t key;

	r->received++;
	switch (answer_read(in->text, in->len, &a)) {
	case ANSWER_MALFORMED:
		r->malformed++;
		return;
	case ANSWER_REQUEST:
		r->received_requests++;
		return;
	case ANSWER_FOREIGN:
		r->foreign++;
		return;
	case ANSWER_RESPONSE:
		break;
	}
	slot = (uint32_t)(a.ref & ((1U << GEN_CALLS_BITS) - 1));
	ordinal = a.ref >> 44 & 0xff;
	if (a.ref >> 52 != c->run || slot >= c->fresh || ordinal >= ORDINALS) {
		r->foreign++;
		return;
	}
	r->received_by[a.status]++;
	call = &c->call[slot];
	if ((a.ref >> GEN_CALLS_BITS & 0xfffff) != (call->generation & 0xfffff)) {
		r->stale++;
		return;
	}
	if (call->cancelled && ordinal == call->invite &&
		answer_is_to(&c->msg, in->text, in->len, SIP_METHOD_CANCEL))
		return;
	if (ordinal == call->invite && call->invite_ns != 0)
		count_answers(c, call, in, a.status);
	key = (uint16_t)((ordinal & 0x3f) << 10 | a.status);
	if (was_seen(call, key)) {
		r->duplicates++;
		if (ordinal == call->invite && call->invite_ns != 0 && a.status >= 200)
			acknowledge_again(c, call, in, a.status);
		return;
	}
	note_seen(call, key);
	if (call->state == CALL_ASKING && ordinal == call->ordinal)
		take_current(c, call, in, &a, now);
	else
		take_old(c, call, a.status, ordinal);
}
