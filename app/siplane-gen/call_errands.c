/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is sent again beside the steps of calls: after T1, twice that, and so on up to T2, for 64*T1
 * (RFC 3261 17.1.2.2; 13.3.1.4 for a 200).
 */
#include <errno.h>
#include <stdlib.h>

#include "calls.h"

#define NONE UINT32_MAX

int errands_create(struct errands *e)
{
	e->errand = calloc(ERRANDS_MAX, sizeof(*e->errand));
	if (e->errand == NULL)
		return -ENOMEM;
	errands_begin(e);
	return 0;
}

void errands_begin(struct errands *e)
{
	for (uint32_t i = 0; i < e->fresh; i++) {
		free(e->errand[i].packet.text);
		e->errand[i] = (struct errand){.generation = e->errand[i].generation};
	}
	for (unsigned i = 0; i < ERRAND_TURNS; i++)
		e->head[i] = e->tail[i] = NONE;
	e->free = NONE;
	e->fresh = e->count = 0;
}

void errands_destroy(struct errands *e)
{
	if (e->errand == NULL)
		return;
	errands_begin(e);
	free(e->errand);
}

static void append(struct errands *e, struct errand *errand, unsigned turn)
{
	uint32_t place = (uint32_t)(errand - e->errand);

	errand->turn = (uint8_t)turn;
	errand->next = NONE;
	errand->prev = e->tail[turn];
	if (errand->prev != NONE)
		e->errand[errand->prev].next = place;
	else
		e->head[turn] = place;
	e->tail[turn] = place;
}

static void take_out(struct errands *e, struct errand *errand)
{
	if (errand->prev != NONE)
		e->errand[errand->prev].next = errand->next;
	else
		e->head[errand->turn] = errand->next;
	if (errand->next != NONE)
		e->errand[errand->next].prev = errand->prev;
	else
		e->tail[errand->turn] = errand->prev;
}

static void give_back(struct errands *e, struct errand *errand)
{
	free(errand->packet.text);
	errand->packet.text = NULL;
	errand->id = 0;
	errand->next = e->free;
	e->free = (uint32_t)(errand - e->errand);
}

uint32_t errand_new(struct calls *c)
{
	struct errands *e = &c->errands;
	struct errand *errand;
	uint32_t place = e->free;

	if (c->config.config->no_retransmit)
		return 0;
	if (place != NONE) {
		e->free = e->errand[place].next;
	} else if (e->fresh < ERRANDS_MAX) {
		place = e->fresh++;
	} else {
		c->result->uncleared++;
		return 0;
	}
	errand = &e->errand[place];
	/* 12 bits and never 0, so that no id is. */
	errand->generation = (uint16_t)(errand->generation % 0xfff + 1);
	errand->id = (uint32_t)errand->generation << ERRANDS_BITS | place;
	return errand->id;
}

uint64_t errand_reference(const struct calls *c, uint32_t id)
{
	return (uint64_t)c->run << 52 | (uint64_t)(id >> 20) << 44 |
	       (uint64_t)(id & 0xfffff) << GEN_CALLS_BITS | ERRAND_PLACE;
}

static struct errand *errand_of(const struct errands *e, uint32_t id)
{
	struct errand *errand = &e->errand[id & (ERRANDS_MAX - 1)];

	return id != 0 && errand->id == id ? errand : NULL;
}

static uint64_t pause_after(const struct calls *c, unsigned turn)
{
	const struct gen_config *g = c->config.config;
	uint64_t ns = g->t1_ns << turn;

	return ns < g->t2_ns && ns >> turn == g->t1_ns ? ns : g->t2_ns;
}

void errand_go(struct calls *c, uint32_t id, const struct packet *p, uint64_t now)
{
	struct errands *e = &c->errands;
	struct errand *errand = errand_of(e, id);

	if (errand == NULL)
		return;
	errand->packet = *p;
	errand->packet.text = p->len != 0 ? malloc(p->len) : NULL;
	if (errand->packet.text == NULL) {
		c->result->uncleared += p->len != 0;
		give_back(e, errand);
		return;
	}
	memcpy(errand->packet.text, p->text, p->len);
	errand->due_ns = now + pause_after(c, 0);
	errand->end_ns = now + 64 * c->config.config->t1_ns;
	append(e, errand, 0);
	e->count++;
}

void errand_end(struct errands *e, uint32_t id)
{
	struct errand *errand = errand_of(e, id);

	if (errand == NULL || errand->packet.text == NULL)
		return;
	take_out(e, errand);
	give_back(e, errand);
	e->count--;
}

static void send_again(struct calls *c, struct errand *errand)
{
	struct packet *p = outbox_next(c->config.out);

	if (p == NULL)
		return; /* its next turn comes */
	memcpy(p->text, errand->packet.text, errand->packet.len);
	p->len = errand->packet.len;
	call_put(c, errand->packet.port, p, (enum sip_method)errand->packet.method,
		errand->packet.ref, true);
	p->peer = errand->packet.peer;
	p->mac = errand->packet.mac;
}

void errands_run(struct calls *c, uint64_t now)
{
	struct errands *e = &c->errands;

	/* From behind: what is put into a later queue is not due yet. */
	for (unsigned turn = ERRAND_TURNS; turn-- > 0;)
		while (e->head[turn] != NONE && e->errand[e->head[turn]].due_ns <= now) {
			struct errand *errand = &e->errand[e->head[turn]];
			unsigned later = turn + 1 < ERRAND_TURNS ? turn + 1 : turn;

			if (now >= errand->end_ns) {
				c->result->uncleared++;
				errand_end(e, errand->id);
				continue;
			}
			take_out(e, errand);
			send_again(c, errand);
			errand->due_ns = now + pause_after(c, later);
			if (errand->due_ns > errand->end_ns)
				errand->due_ns = errand->end_ns;
			append(e, errand, later);
		}
}

uint64_t errands_next(const struct errands *e)
{
	uint64_t at = UINT64_MAX;

	for (unsigned i = 0; e->count > 0 && i < ERRAND_TURNS; i++)
		if (e->head[i] != NONE && e->errand[e->head[i]].due_ns < at)
			at = e->errand[e->head[i]].due_ns;
	return at;
}
