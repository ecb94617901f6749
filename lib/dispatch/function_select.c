/* SPDX-License-Identifier: BSD-3-Clause */
/* ds_select_dst, ds_select_domain, ds_select, ds_next_dst, ds_next_domain: a choice, and what is
 * made of it. */
#include <errno.h>
#include <stdlib.h>

#include "dispatch/dispatcher.h"

#define FLAG_USER_ONLY 1 /* bits of the parameter flags */

enum use { USE_DST, USE_DOMAIN, USE_NOTHING };

/* A number, or text that is one. */
bool dispatcher_number(const struct route_value *value, int64_t *out)
{
	struct str text = value->s;
	bool negative;
	uint64_t v;

	if (value->type == ROUTE_INT) {
		*out = value->i;
		return true;
	}
	if (value->type != ROUTE_STR)
		return false;
	text = str_trim(text);
	negative = text.len > 0 && text.s[0] == '-';
	if (negative) {
		text.s++;
		text.len--;
	}
	if (str_to_u64(text, INT64_MAX, &v) != 0)
		return false;
	*out = negative ? -(int64_t)v : (int64_t)v;
	return true;
}

/* ---- using a choice ---- */

static int16_t listener_of(const struct dispatch *d, const struct dispatch_target *t)
{
	if (t->socket_transport == SIP_TRANSPORT_NONE)
		return -1;
	return (int16_t)d->config.find_listener(
		d->config.arg, &t->socket, (enum sip_transport)t->socket_transport);
}

static int32_t use_as_dst(
	struct dispatch *d, struct route_ctx *ctx, const struct dispatch_target *t)
{
	ctx->du = route_text_make(ctx, str_of(t->uri, t->uri_len));
	if (ctx->du.len == 0)
		return ROUTE_FALSE;
	ctx->du_target = (struct route_target){
		.ep = t->ep,
		.transport = SIP_TRANSPORT_UDP,
		.listener = listener_of(d, t),
		.destination = t->id,
		.valid = true,
	};
	route_uri_changed(ctx);
	return ROUTE_TRUE;
}

/* The Request-URI with another host and port; user and parameters stay. */
static int32_t use_as_domain(
	struct dispatch *d, struct route_ctx *ctx, const struct dispatch_target *t)
{
	struct str text = route_ctx_uri(ctx), part[3];
	struct route_text made;
	struct sip_uri uri;
	int16_t listener;
	uint32_t end;

	if (sip_uri_parse(text.s, (struct sip_span){0, text.len}, &uri) != 0 ||
		uri.hostport.len == 0)
		return ROUTE_FALSE;
	end = uri.hostport.off + uri.hostport.len;
	part[0] = str_of(text.s, uri.hostport.off);
	part[1] = str_of(t->hostport, t->hostport_len);
	part[2] = str_of(text.s + end, text.len - end);
	made = route_text_join(ctx, part, 3);
	if (made.len == 0)
		return ROUTE_FALSE;
	ctx->uri = made;
	route_uri_changed(ctx);
	listener = listener_of(d, t);
	if (listener >= 0)
		ctx->socket = listener;
	return ROUTE_TRUE;
}

static inline int32_t use_choice(
	struct dispatch *d, struct route_ctx *ctx, uint16_t id, enum use use)
{
	const struct dispatch_target *t = dispatch_target_at(d, id);

	if (t == NULL)
		return ROUTE_FALSE;
	if (use == USE_NOTHING)
		return ROUTE_TRUE;
	return use == USE_DST ? use_as_dst(d, ctx, t) : use_as_domain(d, ctx, t);
}

/* ---- ds_select_dst and its kin ---- */

struct asking {
	struct dispatch *d;
	struct route_ctx *ctx;
};

static struct hash128 transaction(void *arg)
{
	const struct asking *asking = arg;

	return asking->d->config.transaction_key(asking->d->config.arg, asking->ctx);
}

static uint8_t class_of(const struct sip_msg *msg)
{
	if (msg->method == SIP_METHOD_INVITE)
		return DISPATCH_CLASS_INVITE;
	return msg->method == SIP_METHOD_CANCEL || msg->method == SIP_METHOD_ACK
		       ? DISPATCH_CLASS_FOLLOWS
		       : DISPATCH_CLASS_OTHER;
}

/* False where they are none that check() would have let pass. */
static bool read_arguments(
	const struct route_value *v, unsigned n, struct dispatcher_arguments *out)
{
	int64_t set, algorithm, limit = DISPATCH_TRIES_MAX;

	if (!dispatcher_number(&v[0], &set) || set < 0 || set > UINT32_MAX ||
		!dispatcher_number(&v[1], &algorithm) ||
		dispatch_algorithm_refused(algorithm) != NULL)
		return false;
	if (n > 2 && (!dispatcher_number(&v[2], &limit) || limit < 0))
		return false;
	/* Kamailio: 0 is no limit. */
	if (limit == 0 || limit > DISPATCH_TRIES_MAX)
		limit = DISPATCH_TRIES_MAX;
	*out = (struct dispatcher_arguments){
		.set = (uint32_t)set, .algorithm = (uint8_t)algorithm, .limit = (uint16_t)limit};
	return true;
}

/* Where more than the table decides. */
__attribute__((noinline)) static uint16_t choose(struct dispatch *d, struct route_ctx *ctx,
	const struct dispatcher_arguments *a, uint64_t hash)
{
	struct asking asking = {d, ctx};
	struct dispatch_choice choice = {.set = a->set,
		.algorithm = a->algorithm,
		.klass = class_of(&ctx->msg),
		.hash = hash,
		.transaction = transaction,
		.arg = &asking,
		.thread = ctx->thread,
		.now_ns = ctx->thread->now_ns};

	return dispatch_choose(d, &choice);
}

static inline int32_t select_for(struct route_ctx *ctx, const struct route_args *args, enum use use)
{
	struct dispatch *d = args->room;
	const struct dispatcher_call *call = args->data;
	struct dispatcher_state *state = dispatcher_state(ctx);
	struct dispatcher_arguments read;
	const struct dispatcher_arguments *a = &read;
	uint64_t hash;
	uint16_t id;

	/* What has been tried counts up to `tries`. */
	state->current = 0;
	state->tries = 0;
	if (call == NULL)
		return ROUTE_FALSE; /* a call that is marked slow for its arguments has not been
				       checked */
	if (call->constant)
		a = &call->arguments;
	else if (!read_arguments(args->v, args->n, &read))
		return ROUTE_FALSE;
	if (ctx->thread->index >= DISPATCH_WORKERS_MAX)
		return ROUTE_FALSE;
	if (use == USE_DST && !call->force_dst && ctx->du.len != 0)
		return ROUTE_FALSE;
	if (!dispatch_key(ctx, a->algorithm, call->user_only, call->format, &hash))
		return ROUTE_FALSE;
	id = dispatch_choose_calmly(d, a->set, a->algorithm, hash, ctx->thread);
	if (id == 0)
		id = choose(d, ctx, a, hash);
	if (id == 0)
		return ROUTE_FALSE;
	state->hash = hash;
	state->set = a->set;
	state->algorithm = a->algorithm;
	state->limit = a->limit;
	state->current = id;
	state->tried[state->tries++] = id;
	state->pending = use == USE_NOTHING;
	return use_choice(d, ctx, id, use);
}

int32_t dispatcher_run_select_dst(struct route_ctx *ctx, const struct route_args *args)
{
	return select_for(ctx, args, USE_DST);
}

int32_t dispatcher_run_select_domain(struct route_ctx *ctx, const struct route_args *args)
{
	return select_for(ctx, args, USE_DOMAIN);
}

int32_t dispatcher_run_select(struct route_ctx *ctx, const struct route_args *args)
{
	return select_for(ctx, args, USE_NOTHING);
}

static int32_t next_for(struct route_ctx *ctx, const struct route_args *args, enum use use)
{
	struct dispatch *d = args->room;
	struct dispatcher_state *state = dispatcher_state(ctx);
	struct dispatch_choice choice = {.set = state->set,
		.algorithm = state->algorithm,
		.once = (ctx->in & (ROUTE_IN_FAILURE | ROUTE_IN_BRANCH)) != 0,
		.hash = state->hash,
		.thread = ctx->thread,
		.now_ns = ctx->thread->now_ns};
	uint16_t id;

	if (state->current == 0 || ctx->thread->index >= DISPATCH_WORKERS_MAX)
		return ROUTE_FALSE;
	if (state->pending) {
		state->pending = false;
		return use_choice(d, ctx, state->current, use);
	}
	if (state->tries >= state->limit)
		return ROUTE_FALSE;
	id = dispatch_choose_next(d, &choice, state->tried, state->tries);
	if (id == 0)
		return ROUTE_FALSE;
	state->current = id;
	state->tried[state->tries++] = id;
	return use_choice(d, ctx, id, use);
}

int32_t dispatcher_run_next_dst(struct route_ctx *ctx, const struct route_args *args)
{
	return next_for(ctx, args, USE_DST);
}

int32_t dispatcher_run_next_domain(struct route_ctx *ctx, const struct route_args *args)
{
	return next_for(ctx, args, USE_DOMAIN);
}

int dispatcher_check_set(const struct route_arg *arg, struct route_report *report)
{
	int64_t set;

	if (!arg->constant ||
		(dispatcher_number(&arg->value, &set) && set >= 0 && set <= INT32_MAX))
		return 0;
	route_error(report, &arg->place, "a set is a number as in the list file");
	return -EINVAL;
}

static int check_algorithm(const struct route_arg *arg, const struct dispatcher_params *params,
	struct route_report *report)
{
	int64_t algorithm;

	if (!arg->constant)
		return 0;
	if (!dispatcher_number(&arg->value, &algorithm)) {
		route_error(report, &arg->place, "an algorithm is a number");
		return -EINVAL;
	}
	if (dispatch_algorithm_refused(algorithm) != NULL) {
		route_error(report, &arg->place, "algorithm %lld %s", (long long)algorithm,
			dispatch_algorithm_refused(algorithm));
		return -EINVAL;
	}
	if (algorithm == DISPATCH_VARIABLE && params->hash_pvar == NULL) {
		route_error(report, &arg->place,
			"algorithm 7 needs modparam(\"dispatcher\", \"hash_pvar\", \"...\")");
		return -EINVAL;
	}
	return 0;
}

void dispatcher_free_call(void *data)
{
	struct dispatcher_call *call = data;

	if (call == NULL)
		return;
	if (call->format != NULL)
		route_format_free(call->format);
	free(call);
}

int dispatcher_check_select(void *room, const void *config, const struct route_arg *arg, unsigned n,
	const struct route_place *place, struct route_report *report, void **data)
{
	const struct dispatcher_params *params = config;
	struct dispatcher_call *call;
	int64_t number;

	if (dispatcher_check_set(&arg[0], report) != 0 ||
		check_algorithm(&arg[1], params, report) != 0)
		return -EINVAL;
	if (n > 2 && arg[2].constant &&
		(!dispatcher_number(&arg[2].value, &number) || number < 0)) {
		route_error(report, &arg[2].place, "a limit is how many destinations may be tried");
		return -EINVAL;
	}
	call = calloc(1, sizeof(*call));
	if (call == NULL) {
		route_error(report, place, "out of memory");
		return -ENOMEM;
	}
	call->user_only = (params->flags & FLAG_USER_ONLY) != 0;
	call->force_dst = params->force_dst != 0;
	call->constant = arg[0].constant && arg[1].constant && (n < 3 || arg[2].constant);
	if (call->constant) {
		struct route_value v[3];

		for (unsigned i = 0; i < n && i < 3; i++)
			v[i] = arg[i].value;
		/* What check() has let pass can be read. */
		call->constant = read_arguments(v, n, &call->arguments);
	}
	if (params->hash_pvar != NULL &&
		(!arg[1].constant || (dispatcher_number(&arg[1].value, &number) &&
					     number == DISPATCH_VARIABLE))) {
		call->format = route_format_compile(str_c(params->hash_pvar), place, report);
		if (call->format == NULL) {
			route_error(report, place, "hash_pvar \"%s\" cannot be read",
				params->hash_pvar);
			free(call);
			return -EINVAL;
		}
	}
	*data = call;
	return 0;
}
