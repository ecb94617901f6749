/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/* Inside lib/txn: the functions behind the table of module "tm", and what several of them use. */
#include "txn/internal.h"

#define TM_RUN(name) int32_t name(struct route_ctx *ctx, const struct route_args *args)
#define TM_CHECK(name) \
	int name(void *room, const void *config, const struct route_arg *arg, unsigned n, \
		const struct route_place *place, struct route_report *report, void **data)

static inline int32_t tm_truth(bool yes)
{
	return yes ? ROUTE_TRUE : ROUTE_FALSE;
}

/* A number that scripts write with or without quotes. */
static inline bool tm_number(const struct route_value *v, int64_t most, int64_t *out)
{
	uint64_t u = 0;

	if (v->type == ROUTE_INT)
		*out = v->i;
	else if (v->type == ROUTE_STR && str_to_u64(str_trim(v->s), (uint64_t)most, &u) == 0)
		*out = (int64_t)u;
	else
		return false;
	return *out >= 0 && *out <= most;
}

/* The transaction where there is one, for settings that reach what is under way. */
static inline struct place *tm_existing(
	struct txn *room, struct route_ctx *ctx, struct txn_shard **s)
{
	if (!ctx->thread->has_state || ctx->thread->shard >= room->shards)
		return NULL;
	*s = &room->shard[ctx->thread->shard];
	return txn_current(*s, ctx);
}

/* ---- tm_relay.c: t_relay and its kin, replies, which transaction ---- */
TM_RUN(tm_relay);
TM_RUN(tm_reply);
TM_RUN(tm_reply_error);
TM_CHECK(tm_check_reply);
TM_RUN(tm_newtran);
TM_RUN(tm_check_trans);
TM_RUN(tm_lookup_request);
TM_RUN(tm_precheck_trans);
TM_RUN(tm_lookup_cancel);
TM_RUN(tm_release);

/* ---- tm_replicate.c ---- */
TM_CHECK(tm_check_replicate);
TM_RUN(tm_replicate);

/* ---- tm_setting.c: what the transaction is to do ---- */
TM_RUN(tm_on_failure);
TM_RUN(tm_on_branch);
TM_RUN(tm_on_reply);
TM_RUN(tm_set_fr);
TM_RUN(tm_reset_fr);
TM_RUN(tm_set_retr);
TM_RUN(tm_reset_retr);
TM_RUN(tm_set_max_lifetime);
TM_RUN(tm_reset_max_lifetime);
TM_RUN(tm_set_auto_inv_100);
TM_RUN(tm_set_disable_6xx);
TM_RUN(tm_set_disable_failover);
TM_RUN(tm_set_no_e2e_cancel_reason);

/* ---- tm_query.c: what has happened ---- */
TM_RUN(tm_is_canceled);
TM_RUN(tm_any_timeout);
TM_RUN(tm_any_replied);
TM_RUN(tm_branch_timeout);
TM_RUN(tm_branch_replied);
TM_RUN(tm_check_status);
TM_CHECK(tm_check_check_status);
TM_RUN(tm_get_status_code);
TM_RUN(tm_cancel_branches);
void tm_free_regex(void *data);
