/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/* What the functions of the module "dispatcher" and its tables share. */
#include "dispatch/internal.h"

struct dispatcher_params {
	const char *list_file, *hash_pvar, *hash_key, *db_url;
	const char *table_name, *setid_col, *destination_col, *flags_col, *priority_col, *attrs_col;
	int64_t flags, force_dst, use_default;
	int64_t number; /* of what is accepted only */
	const char *text;
};

/* The arguments of ds_select_dst() and its kin. */
struct dispatcher_arguments {
	uint32_t set;
	uint8_t algorithm;
	uint16_t limit; /* 1 to DISPATCH_TRIES_MAX */
};

/* What check() leaves for run(): parameters of the script's generation. */
struct dispatcher_call {
	bool user_only, force_dst;
	bool constant; /* all arguments are: they have been read */
	struct dispatcher_arguments arguments;
	struct route_format *format; /* of hash_pvar */
};

/* What ds_next_dst goes on from; plain data in the message's context. */
struct dispatcher_state {
	uint64_t hash;
	uint32_t set;
	uint16_t current; /* 0: nothing chosen */
	uint16_t limit;   /* tries at most */
	uint16_t tries;
	uint8_t algorithm;
	bool pending; /* ds_select() chose `current`, and nobody has used it */
	uint16_t tried[DISPATCH_TRIES_MAX];
};
_Static_assert(sizeof(struct dispatcher_state) <= ROUTE_SCRATCH_BYTES,
	"the state fits the scratch of a context");

static inline struct dispatcher_state *dispatcher_state(struct route_ctx *ctx)
{
	return (struct dispatcher_state *)(void *)ctx->scratch[ROUTE_SCRATCH_DISPATCH];
}

/* A number, or text that is one. */
bool dispatcher_number(const struct route_value *value, int64_t *out);
/* At load: a constant that is no set. 0, or -EINVAL after route_error(). */
int dispatcher_check_set(const struct route_arg *arg, struct route_report *report);

/* As struct route_function wants them. */
int32_t dispatcher_run_select_dst(struct route_ctx *ctx, const struct route_args *args);
int32_t dispatcher_run_select_domain(struct route_ctx *ctx, const struct route_args *args);
int32_t dispatcher_run_select(struct route_ctx *ctx, const struct route_args *args);
int32_t dispatcher_run_next_dst(struct route_ctx *ctx, const struct route_args *args);
int32_t dispatcher_run_next_domain(struct route_ctx *ctx, const struct route_args *args);
int dispatcher_check_select(void *room, const void *config, const struct route_arg *arg, unsigned n,
	const struct route_place *place, struct route_report *report, void **data);
void dispatcher_free_call(void *data);
int32_t dispatcher_run_is_from_list(struct route_ctx *ctx, const struct route_args *args);
int32_t dispatcher_run_is_active(struct route_ctx *ctx, const struct route_args *args);
int32_t dispatcher_run_list_exist(struct route_ctx *ctx, const struct route_args *args);
int dispatcher_check_from_list(void *room, const void *config, const struct route_arg *arg,
	unsigned n, const struct route_place *place, struct route_report *report, void **data);
int dispatcher_check_active(void *room, const void *config, const struct route_arg *arg, unsigned n,
	const struct route_place *place, struct route_report *report, void **data);
int32_t dispatcher_run_mark_dst(struct route_ctx *ctx, const struct route_args *args);
int dispatcher_check_mark(void *room, const void *config, const struct route_arg *arg, unsigned n,
	const struct route_place *place, struct route_report *report, void **data);
