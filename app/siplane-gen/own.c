/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the generator itself lost or did not send in a trial, and whether that was the limit:
 * nothing of it is the system's doing.
 */
#include "generator.h"

static uint64_t lost_here(const struct gen *g)
{
	return (g->caller != NULL ? g->caller->lost(g->caller) : 0) +
	       (g->reflector != NULL ? g->reflector->lost(g->reflector) : 0);
}

static void limit(struct gen_result *r, enum gen_limit what, const char *why, int error)
{
	if (r->limits == 0)
		snprintf(r->limit_reason, sizeof(r->limit_reason), "%s%s%s", why,
			error != 0 ? ": " : "", error != 0 ? strerror(error) : "");
	r->limits |= 1U << what;
	r->generator_limit = true;
}

void own_judge(const struct gen *g, struct gen_result *r)
{
	if (r->missed * 1000 > r->slots * GEN_MISSED_PER_MILLE)
		limit(r, GEN_LIMIT_LATE, "it was late for more than 0.1 % of its send slots", 0);
	if (r->failed_by[GEN_FAIL_FULL] > 0)
		limit(r, GEN_LIMIT_CALLS, "its table of open calls was full (--calls)", 0);
	if (g->caller != NULL &&
		(r->failed_by[GEN_FAIL_SEND] > 0 || (r->tx_refused > 0 && !g->caller->peer_queue)))
		limit(r, GEN_LIMIT_SEND, "its device or socket did not take all messages",
			g->caller->send_error);
	if (g->reflector != NULL && r->reflected.refused > 0 && !g->reflector->peer_queue)
		limit(r, GEN_LIMIT_REFLECTOR, "its reflector could not send all answers",
			g->reflector->send_error);
	if (r->rx_lost > 0)
		limit(r, GEN_LIMIT_RECEIVE, "its device or socket lost messages that came", 0);
	if (r->rx_fragments > 0)
		limit(r, GEN_LIMIT_FRAGMENTS,
			"messages came in fragments, which it does not put together on a device",
			0);
}

static void add_counts(const struct io *io, struct gen_result *r, int sign)
{
	if (io == NULL)
		return;
	r->rx_fragments += (uint64_t)sign * io->fragments;
	r->rx_other += (uint64_t)sign * io->others;
	r->rx_bad += (uint64_t)sign * io->bad;
}

void own_count(struct gen *g, struct gen_result *r, int sign)
{
	r->rx_lost += (uint64_t)sign * lost_here(g);
	add_counts(g->caller, r, sign);
	add_counts(g->reflector, r, sign);
	if (sign > 0)
		return;
	memset(&g->reflected, 0, sizeof(g->reflected));
	g->out.refused = g->reflector_out.refused = 0;
	if (g->caller != NULL)
		g->caller->send_error = 0;
	if (g->reflector != NULL)
		g->reflector->send_error = 0;
}
