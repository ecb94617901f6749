/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The caller's table of calls: made once, places taken and given back, attempts begun and ended.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "calls.h"

#define LINGER_MAX 4096 /* ended calls that are remembered */

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
	if (c->call == NULL || c->text == NULL || c->free == NULL || c->linger == NULL ||
		errands_create(&c->errands) != 0) {
		calls_destroy(c);
		errno = ENOMEM;
		return NULL;
	}
	for (unsigned i = 0; i < s->messages; i++)
		c->reliable[i] = s->message[i].method == SIP_METHOD_INVITE &&
				 str_find_str(str_of(s->message[i].text, s->message[i].len),
					 STR("100rel")) >= 0;
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
	errands_destroy(&c->errands);
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
	errands_begin(&c->errands);
	c->requests = c->answered_most = 0;
	c->told_behind = 0;
	c->told_looked = 0;
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

void call_end(struct calls *c, struct call *call)
{
	call->state = CALL_ENDED;
	c->open--;
	slot_give(c, (uint32_t)(call - c->call));
}

void call_fail(struct calls *c, struct call *call, enum gen_fail why)
{
	c->result->failed++;
	c->result->failed_by[why]++;
	call_end(c, call);
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
	call_go_on(c, call, now);
}

/* ---- time ---- */

static void due(void *arg, struct call *call, uint64_t now)
{
	call_fire(arg, call, now);
}

void calls_timers(struct calls *c, uint64_t now)
{
	wheel_run(&c->wheel, now, due, c);
	if (c->errands.count > 0)
		errands_run(c, now);
}

uint64_t calls_next(const struct calls *c)
{
	uint64_t call = wheel_next(&c->wheel), errand = errands_next(&c->errands);

	return call < errand ? call : errand;
}

uint64_t calls_open(const struct calls *c)
{
	return c->open + c->errands.count;
}

bool calls_full(const struct calls *c)
{
	return c->open == c->count;
}

void calls_end(struct calls *c, bool cut_short)
{
	c->result->uncleared += c->errands.count;
	for (uint32_t i = 0; i < c->fresh; i++) {
		struct call *call = &c->call[i];

		if (call->state != CALL_ASKING && call->state != CALL_WAITING)
			continue;
		if (call->state == CALL_ASKING && !call->answered && !cut_short)
			c->result->lost++;
		call_fail(c, call, GEN_FAIL_UNFINISHED);
	}
}
