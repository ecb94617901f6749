/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * turn: where nothing is in memory (db_mode 3) two REGISTERs of one address-of-record must not both
 * build on the rows that were there before them. The second one looks again, in short intervals,
 * until the first has been committed. All that changes an address-of-record runs on one slow lcore,
 * whose these places are; another process is no part of this.
 *
 * Who has it gives it back, also where he cannot wait (route_wait_holds()); and a turn ends by
 * itself. A change that was begun in it may come later than its end; what is
 * sent behind it is made behind it.
 */
#include <stdlib.h>

#include "registrar/internal.h"

_Static_assert((REGISTRAR_TURN_PLACES & (REGISTRAR_TURN_PLACES - 1)) == 0, "a mask takes a place");

struct registrar_turn {
	struct hash128 digest, copy;
	uint64_t until; /* thread->now_ns; what is over is free */
	uint32_t number;
};

static bool same(struct hash128 a, struct hash128 b)
{
	return a.lo == b.lo && a.hi == b.hi;
}

struct registrar_turn *registrar_turns_create(void)
{
	return calloc(REGISTRAR_TURN_PLACES, sizeof(struct registrar_turn));
}

/* Whose turn it is; else NULL and a free place, if there is one. */
static struct registrar_turn *find(struct registrar_shard *s, struct hash128 digest, uint64_t now,
	struct registrar_turn **free_at)
{
	*free_at = NULL;
	for (unsigned i = 0; i < REGISTRAR_TURN_LOOKS; i++) {
		struct registrar_turn *t = &s->turn[(digest.hi + i) & (REGISTRAR_TURN_PLACES - 1)];

		if (t->until <= now) {
			if (*free_at == NULL)
				*free_at = t;
		} else if (same(t->digest, digest)) {
			return t;
		}
	}
	return NULL;
}

enum registrar_turn_is registrar_turn_take(
	struct registrar *r, struct route_ctx *ctx, struct hash128 digest, struct hash128 copy)
{
	struct registrar_shard *s = &r->shard[ctx->thread->shard];
	enum route_answer answer = route_answer_any(ctx, ROUTE_WAIT_TURN);
	uint64_t now = ctx->thread->now_ns,
		 tries = answer != ROUTE_ANSWER_NONE ? ctx->wait_note : 0;
	struct registrar_turn *free_at, *t = find(s, digest, now, &free_at);

	if (t == NULL && free_at != NULL) {
		/* Never 0: nobody's. */
		if (++s->turns == 0)
			s->turns = 1;
		*free_at = (struct registrar_turn){digest, copy, now + REGISTRAR_TURN_NS, s->turns};
		ctx->wait_note = (uint64_t)s->turns << 32 | registrar_now(ctx);
		return REGISTRAR_TURN_MINE;
	}
	if (t != NULL && tries == 0 && (copy.lo | copy.hi) != 0 && same(t->copy, copy))
		return REGISTRAR_TURN_COPY;
	if (tries == REGISTRAR_TURN_TRIES || answer == ROUTE_ANSWER_FAILED)
		return REGISTRAR_TURN_BUSY;
	if (tries == 0)
		registrar_count(r, ctx, REGISTRAR_COUNTER_TURNS);
	(void)route_wait_turn(ctx);
	ctx->wait_note = tries + 1;
	return REGISTRAR_TURN_WAITS;
}

void registrar_turn_give(struct registrar *r, const struct route_ctx *ctx, struct hash128 digest)
{
	struct registrar_shard *s = &r->shard[ctx->thread->shard];
	struct registrar_turn *free_at, *t = find(s, digest, ctx->thread->now_ns, &free_at);

	if (t != NULL && t->number == (uint32_t)(ctx->wait_note >> 32))
		t->until = 0;
}
