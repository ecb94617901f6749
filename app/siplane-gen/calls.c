/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The caller: calls in a table that is made once, their steps, timers, and what becomes of them.
 *
 * A call that has ended keeps its place for a while, so that an answer that comes twice is known as
 * such; the place is the call's number in the branch, and a generation tells its users apart.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "internal.h"

#define LINGER_MAX 4096  /* ended calls that are remembered */
#define RUN_STEPS_MAX 64 /* that one call does at a time */
#define ORDINALS 128
#define ORDINAL_ACK 128 /* of the branch of a 2xx's ACK, beside the INVITE's */

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
	bool told_asked;      /* a final answer was looked at for it */
	char scratch[GEN_TEXT_MAX + TEMPLATE_SLACK];
	bool program_dialog[GEN_CALLS_MAX], program_digest[GEN_CALLS_MAX];
};

static void *map(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p != MAP_FAILED ? p : NULL;
}

static void unmap(void *p, size_t bytes)
{
	if (p != NULL)
		munmap(p, bytes);
}

struct calls *calls_create(const struct calls_config *config)
{
	struct calls *c = calloc(1, sizeof(*c));
	const struct scenario *s = config->scenario;

	if (c == NULL)
		return NULL;
	c->config = *config;
	c->count = config->config->calls;
	c->call = map((size_t)c->count * sizeof(*c->call));
	c->text = map((size_t)c->count * sizeof(*c->text));
	c->free = map((size_t)c->count * sizeof(*c->free));
	c->linger = calloc(LINGER_MAX, sizeof(*c->linger));
	if (c->call == NULL || c->text == NULL || c->free == NULL || c->linger == NULL) {
		calls_destroy(c);
		errno = ENOMEM;
		return NULL;
	}
	for (unsigned i = 0; i < s->calls; i++)
		for (unsigned j = 0; j < s->call[i].steps; j++) {
			const struct step *step = &s->call[i].step[j];
			const struct template *t = &config->template[step->message];

			if (step->kind != STEP_SEND)
				continue;
			c->program_dialog[i] =
				c->program_dialog[i] || t->to_tags + t->contacts + t->routes != 0;
			c->program_digest[i] = c->program_digest[i] || t->digests != 0;
		}
	return c;
}

void calls_destroy(struct calls *c)
{
	if (c == NULL)
		return;
	unmap(c->call, (size_t)c->count * sizeof(*c->call));
	unmap(c->text, (size_t)c->count * sizeof(*c->text));
	unmap(c->free, (size_t)c->count * sizeof(*c->free));
	free(c->linger);
	free(c);
}

void calls_begin(struct calls *c, struct gen_result *result, uint32_t run, uint64_t now)
{
	c->result = result;
	/* Slots that an earlier run has used keep their generation: with `run`, nothing old fits.
	 */
	for (uint32_t i = 0; i < c->fresh; i++)
		c->call[i] = (struct call){.generation = c->call[i].generation};
	c->fresh = 0;
	c->free_count = c->linger_count = c->linger_at = 0;
	c->open = 0;
	c->run = run & 0xfff;
	wheel_begin(&c->wheel, c->call, now);
	c->requests = c->answered_most = 0;
	c->told_behind = 0;
	c->told_asked = false;
	c->random = c->config.config->seed;
	result->messages = c->config.scenario->messages;
	for (unsigned i = 0; i < result->messages; i++)
		memcpy(result->message[i].name, c->config.scenario->message[i].name,
			sizeof(result->message[i].name));
}

/* ---- places ---- */

static uint32_t linger_take(struct calls *c)
{
	uint32_t slot = c->linger[c->linger_at];

	c->linger_at = (c->linger_at + 1) % LINGER_MAX;
	c->linger_count--;
	return slot;
}

static uint32_t slot_take(struct calls *c)
{
	if (c->free_count > 0)
		return c->free[--c->free_count];
	if (c->fresh < c->count)
		return c->fresh++;
	if (c->linger_count > 0)
		return linger_take(c);
	return CALL_NONE;
}

static void slot_give(struct calls *c, uint32_t slot)
{
	if (c->linger_count == LINGER_MAX)
		c->free[c->free_count++] = linger_take(c);
	c->linger[(c->linger_at + c->linger_count++) % LINGER_MAX] = slot;
}

/* ---- sending ---- */

static uint64_t reference(const struct calls *c, const struct call *call, unsigned ordinal)
{
	return (uint64_t)c->run << 52 | (uint64_t)ordinal << 44 |
	       (uint64_t)(call->generation & 0xfffff) << GEN_CALLS_BITS |
	       (uint64_t)(call - c->call);
}

/* What the message's fields are, for a first transmission and for every other. */
static void fill_of(
	const struct calls *c, const struct call *call, const struct template *t, struct fill *f)
{
	*f = (struct fill){
		.bind = c->config.bind,
		.call = call,
		.text = c->text[call - c->call],
		.time = call->sent_ns,
		.ref = reference(c, call, call->ordinal),
		.cseq = call->cseq,
		.local_port = (uint16_t)(c->config.bind->port_first + call->port),
		.digest_user = c->config.digest_user,
		.digest_password = c->config.digest_password,
		.room = c->config.out->io->room,
	};
	if (t->method == SIP_METHOD_ACK || t->method == SIP_METHOD_CANCEL) {
		f->cseq = call->invite_cseq;
		f->time = call->invite_ns;
		f->ref = reference(
			c, call, call->invite | (t->method == SIP_METHOD_ACK ? ORDINAL_ACK : 0));
	}
}

/* Sends what was written; it may be refused yet: calls_refused(). */
static void put(struct calls *c, const struct call *call, struct packet *p, enum sip_method method,
	uint64_t ref, bool again)
{
	p->port = call->port;
	p->peer = c->config.bind->target;
	p->mac = 0;
	p->method = (uint8_t)method;
	p->ref = ref;
	p->again = again;
	outbox_put(c->config.out);
	c->result->sent++;
	c->result->sent_by[method]++;
	c->result->retransmissions += again;
}

/* 0, -ENOBUFS where no buffer is left, -EBADMSG where a field could not be filled. */
static int transmit(struct calls *c, struct call *call, unsigned message, bool again)
{
	const struct template *t = &c->config.template[message];
	struct packet *p = outbox_next(c->config.out);
	struct fill f;

	if (p == NULL)
		return -ENOBUFS;
	fill_of(c, call, t, &f);
	p->len = template_fill(t, &f, p->text);
	if (p->len == 0)
		return -EBADMSG;
	put(c, call, p, t->is_response ? SIP_METHOD_NONE : t->method, f.ref, again);
	return 0;
}

/* Answers to its INVITE that the call should have had. */
static unsigned owed(const struct call *call)
{
	return call->told > call->came + 1U ? call->told - call->came - 1U : 0;
}

/* A message's first transmission; as transmit(). */
static int send_first(struct calls *c, struct call *call, unsigned message, uint64_t now)
{
	const struct template *t = &c->config.template[message];
	int rc;

	if (t->method == SIP_METHOD_ACK) {
		call->ack = (uint8_t)(message + 1);
	} else if (t->method == SIP_METHOD_CANCEL) {
		call->cancelled = true;
	} else {
		call->ordinal = (uint8_t)((call->ordinal + 1) % ORDINALS);
		call->cseq++;
		call->sent_ns = now;
		call->from_ns = call->slot_ns != 0 ? call->slot_ns : now;
		call->slot_ns = 0;
		call->message = (uint16_t)message;
		call->transmissions = 1;
		call->asked = call->answered = false;
		if (t->digests != 0)
			call->nonce_count++;
		if (t->method == SIP_METHOD_INVITE) {
			call->invite = call->ordinal;
			call->invite_cseq = call->cseq;
			call->invite_ns = now;
			call->invite_message = (uint16_t)message;
			call->ack = 0;
			call->cancelled = false;
			call->lacks = call->lacks || owed(call) > 0;
			call->told = call->came = 0;
		}
	}
	rc = transmit(c, call, message, false);
	if (rc != 0)
		return rc;
	c->result->message[message].sent++;
	c->result->acks += t->method == SIP_METHOD_ACK;
	return 0;
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

static void set_request_timer(struct calls *c, struct call *call, uint64_t now)
{
	uint64_t again = retransmit_at(c, call, now);

	wheel_set(&c->wheel, call, again < call->end_ns ? again : call->end_ns);
}

/* ---- steps ---- */

static void call_end(struct calls *c, struct call *call)
{
	call->state = CALL_ENDED;
	c->open--;
	slot_give(c, (uint32_t)(call - c->call));
}

static void call_fail(struct calls *c, struct call *call, enum gen_fail why)
{
	c->result->failed++;
	c->result->failed_by[why]++;
	call_end(c, call);
}

static const struct step *step_of(const struct calls *c, const struct call *call, unsigned at)
{
	const struct scenario_call *s = &c->config.scenario->call[call->program];

	return at < s->steps ? &s->step[at] : NULL;
}

/* How long the answers from here on may take: the first `expect` that has to be met. */
static uint64_t within(const struct calls *c, const struct call *call)
{
	const struct step *step = NULL, *each;
	uint64_t most = c->config.config->threshold_ns;

	for (unsigned at = call->step;
		(each = step_of(c, call, at)) != NULL && each->kind == STEP_EXPECT; at++) {
		step = each;
		if (!step->optional)
			break;
	}
	if (step == NULL)
		return 0;
	return most != 0 && most < step->from_ns ? most : step->from_ns;
}

/* The current request waits for its answers. */
static void ask(struct calls *c, struct call *call, uint64_t now)
{
	call->state = CALL_ASKING;
	call->asked = true;
	call->end_ns = now + within(c, call);
	set_request_timer(c, call, now);
}

/* false where the call is over, or asks. */
static bool do_send(struct calls *c, struct call *call, const struct step *step, uint64_t now)
{
	enum sip_method method = c->config.template[step->message].method;
	const struct step *after;
	int rc = send_first(c, call, step->message, now);

	if (rc != 0) {
		call_fail(c, call, rc == -ENOBUFS ? GEN_FAIL_SEND : GEN_FAIL_DIALOG);
		return false;
	}
	call->step++;
	after = step_of(c, call, call->step);
	if (after == NULL || after->kind != STEP_EXPECT)
		return true;
	if (method != SIP_METHOD_CANCEL && method != SIP_METHOD_ACK) {
		call->number = c->requests++;
		c->result->expected++;
	}
	ask(c, call, now);
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

/* Goes through the steps until the call has to wait for something, or is over. */
static void go_on(struct calls *c, struct call *call, uint64_t now)
{
	for (unsigned n = 0; n < RUN_STEPS_MAX; n++) {
		const struct step *step = step_of(c, call, call->step);

		if (step == NULL) {
			c->result->ok++;
			call->well = true;
			c->result->incomplete += call->lacks || owed(call) > 0;
			call_end(c, call);
			return;
		}
		switch (step->kind) {
		case STEP_SEND:
			if (!do_send(c, call, step, now))
				return;
			break;
		case STEP_EXPECT: /* further answers to the same request */
			ask(c, call, now);
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

static uint8_t choose_program(struct calls *c)
{
	const struct scenario *s = c->config.scenario;
	uint64_t at;

	if (s->calls == 1)
		return 0;
	at = gen_random(&c->random) % s->weights;
	for (unsigned i = 0; i < s->calls; i++) {
		if (at < s->call[i].weight)
			return (uint8_t)i;
		at -= s->call[i].weight;
	}
	return 0;
}

void calls_attempt(struct calls *c, uint64_t slot_ns, uint64_t now)
{
	const struct gen_config *g = c->config.config;
	uint64_t seq = c->result->attempts++;
	uint32_t slot = slot_take(c);
	struct call *call;

	if (slot == CALL_NONE) {
		c->result->failed++;
		c->result->failed_by[GEN_FAIL_FULL]++;
		return;
	}
	call = &c->call[slot];
	*call = (struct call){
		.seq = seq,
		.slot_ns = slot_ns,
		.generation = call->generation + 1,
		.program = choose_program(c),
		.port = (uint16_t)(seq / GEN_BURST % c->config.bind->ports),
		.user = (uint32_t)((g->random_users ? gen_random(&c->random)
						    : c->config.bind->first_user + seq) %
				   g->users),
		/* It may still stand in a list of the wheel. */
		.tick = call->tick,
		.next = call->next,
		.prev = call->prev,
	};
	c->open++;
	if (c->open > c->result->calls_most)
		c->result->calls_most = c->open;
	go_on(c, call, now);
}

/* ---- answers ---- */

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

/* The ACK of a failed INVITE (RFC 3261 17.1.1.3). */
static void acknowledge(struct calls *c, struct call *call, const struct packet *in)
{
	const struct template *t = &c->config.template[call->invite_message];
	struct packet *p = outbox_next(c->config.out);
	struct call then = *call;
	struct fill f;
	uint32_t n;

	if (p == NULL)
		return;
	/* The INVITE as it was: with what was known then, as far as its transaction goes. */
	then.sent_ns = call->invite_ns;
	then.ordinal = call->invite;
	then.cseq = call->invite_cseq;
	fill_of(c, call, t, &f);
	f.call = &then;
	f.time = call->invite_ns;
	f.cseq = call->invite_cseq;
	f.ref = reference(c, call, call->invite);
	f.room = GEN_TEXT_MAX;
	n = template_fill(t, &f, c->scratch);
	p->len = n != 0 ? answer_ack(&c->msg, c->scratch, n, in->text, in->len, p->text,
				  c->config.out->io->room)
			: 0;
	if (p->len == 0)
		return;
	put(c, call, p, SIP_METHOD_ACK, f.ref, false);
}

/* A final answer to the INVITE came again: its ACK was lost, or is late. */
static void acknowledge_again(
	struct calls *c, struct call *call, const struct packet *in, uint16_t status)
{
	if (status >= 300)
		acknowledge(c, call, in);
	else if (call->ack != 0)
		transmit(c, call, call->ack - 1U, true);
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
		(step = step_of(c, call, at)) != NULL && step->kind == STEP_EXPECT; at++) {
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
	const struct step *after = step_of(c, call, call->step);

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
		acknowledge(c, call, in);
	if (step == 0) {
		if (a->status < 200) { /* 100, or another that nobody waits for */
			set_request_timer(c, call, now);
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
		go_on(c, call, now);
}

/*
 * What the reflector said it answers to an INVITE, against what came: a 1xx that no `expect` needs
 * is lost all the same. It may come behind the final answer, even when the call has ended.
 */
static void count_answers(
	struct calls *c, struct call *call, const struct packet *in, uint16_t status)
{
	unsigned before = owed(call), now;

	if (status <= 100)
		return;
	if (status < 200) {
		call->came += call->came < UINT8_MAX;
	} else if (call->told == 0 && status < 300) {
		/* One that says nothing says so for all. */
		if (!c->told_asked || c->told_behind != 0)
			call->told = (uint8_t)answer_told(in->text, in->len, &c->told_behind);
		c->told_asked = true;
		c->result->told = c->result->told || call->told != 0;
	}
	now = owed(call);
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

/* ---- time ---- */

static void retransmit(struct calls *c, struct call *call, uint64_t now)
{
	if (call->transmissions < UINT8_MAX)
		call->transmissions++;
	transmit(c, call, call->message, true);
	set_request_timer(c, call, now);
}

void calls_refused(void *arg, const struct packet *p)
{
	struct calls *c = arg;
	struct gen_result *r = c->result;
	uint32_t slot = (uint32_t)(p->ref & ((1U << GEN_CALLS_BITS) - 1));
	struct call *call = &c->call[slot];

	r->sent--;
	r->sent_by[p->method]--;
	r->retransmissions -= p->again;
	/* The ACK of a 2xx; that of another answer is its INVITE's. */
	if (p->method == SIP_METHOD_ACK && !p->again && (p->ref >> 44 & ORDINAL_ACK) != 0)
		r->acks--;
	/* Of the request that the call waits for; a retransmission has its next turn. */
	if (p->again || p->method == SIP_METHOD_ACK || p->method == SIP_METHOD_CANCEL ||
		slot >= c->fresh || call->state != CALL_ASKING || call->answered ||
		p->ref != reference(c, call, call->ordinal))
		return;
	r->message[call->message].sent--;
	r->expected--;
	call_fail(c, call, GEN_FAIL_SEND);
}

/* Where nothing that is expected has to come, the call goes on without it. */
static bool pass_optional(const struct calls *c, struct call *call)
{
	const struct step *step;
	unsigned at = call->step;

	for (; (step = step_of(c, call, at)) != NULL && step->kind == STEP_EXPECT; at++)
		if (!step->optional)
			return false;
	call->step = (uint16_t)at;
	return true;
}

static void fire(struct calls *c, struct call *call, uint64_t now)
{
	if (call->state == CALL_WAITING) {
		go_on(c, call, now);
	} else if (now < call->end_ns) {
		retransmit(c, call, now);
	} else if (pass_optional(c, call)) {
		go_on(c, call, now);
	} else {
		call->gave_up = true;
		if (!call->answered)
			c->result->lost++;
		call_fail(c, call, GEN_FAIL_TIMEOUT);
	}
}

static void due(void *arg, struct call *call, uint64_t now)
{
	fire(arg, call, now);
}

void calls_timers(struct calls *c, uint64_t now)
{
	wheel_run(&c->wheel, now, due, c);
}

uint64_t calls_next(const struct calls *c)
{
	return wheel_next(&c->wheel);
}

uint64_t calls_open(const struct calls *c)
{
	return c->open;
}

bool calls_full(const struct calls *c)
{
	return c->open == c->count;
}

void calls_end(struct calls *c)
{
	for (uint32_t i = 0; i < c->fresh; i++) {
		struct call *call = &c->call[i];

		if (call->state != CALL_ASKING && call->state != CALL_WAITING)
			continue;
		if (call->state == CALL_ASKING && !call->answered)
			c->result->lost++;
		call_fail(c, call, GEN_FAIL_UNFINISHED);
	}
}
