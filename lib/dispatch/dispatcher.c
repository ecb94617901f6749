/* SPDX-License-Identifier: BSD-3-Clause */
/* The module "dispatcher": functions and parameters under the names that operators of OpenSER and
 * Kamailio type. */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

#include "dispatch/internal.h"

struct params {
	const char *list_file, *hash_pvar, *hash_key, *db_url;
	int64_t flags, force_dst, use_default;
	int64_t number; /* of what is accepted only */
	const char *text;
};

#define FLAG_USER_ONLY 1 /* bits of the parameter flags */

/* Kamailio's bits of ds_is_from_list's mode. 16, the best match, is what we do anyway: all have to
 * match. */
#define MODE_NO_PORT 1
#define MODE_NO_PROTOCOL 2
#define MODE_ACTIVE 4
#define MODE_SOCKET 8
#define MODE_ALL 31

/* What check() leaves for run(): parameters of the script's generation. */
struct call {
	bool user_only, force_dst;
	struct route_format *format; /* of hash_pvar */
};

/* What ds_next_dst goes on from; plain data in the message's context. */
struct state {
	uint64_t hash;
	uint32_t set;
	uint16_t current; /* 0: nothing chosen */
	uint16_t limit;   /* tries at most */
	uint16_t tries;
	uint8_t algorithm;
	bool pending; /* ds_select() chose `current`, and nobody has used it */
	uint16_t tried[DISPATCH_TRIES_MAX];
};
_Static_assert(
	sizeof(struct state) <= ROUTE_SCRATCH_BYTES, "the state fits the scratch of a context");

enum use { USE_DST, USE_DOMAIN, USE_NOTHING };

static struct state *state_of(struct route_ctx *ctx)
{
	return (struct state *)(void *)ctx->scratch[ROUTE_SCRATCH_DISPATCH];
}

/* A number, or text that is one. */
static bool number_of(const struct route_value *value, int64_t *out)
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
	listener = listener_of(d, t);
	if (listener >= 0)
		ctx->socket = listener;
	return ROUTE_TRUE;
}

static int32_t use_choice(struct dispatch *d, struct route_ctx *ctx, uint16_t id, enum use use)
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

static int32_t select_for(struct route_ctx *ctx, const struct route_args *args, enum use use)
{
	struct dispatch *d = args->room;
	const struct call *call = args->data;
	struct state *state = state_of(ctx);
	struct asking asking = {d, ctx};
	struct dispatch_choice choice = {.klass = class_of(&ctx->msg),
		.transaction = transaction,
		.arg = &asking,
		.thread = ctx->thread,
		.now_ns = ctx->thread->now_ns};
	int64_t set, algorithm, limit = DISPATCH_TRIES_MAX;
	uint16_t id;

	*state = (struct state){.current = 0};
	if (call == NULL)
		return ROUTE_FALSE; /* a call that is marked slow for its arguments has not been
				       checked */
	if (!number_of(&args->v[0], &set) || set < 0 || set > UINT32_MAX ||
		!number_of(&args->v[1], &algorithm) ||
		dispatch_algorithm_refused(algorithm) != NULL ||
		ctx->thread->index >= DISPATCH_WORKERS_MAX)
		return ROUTE_FALSE;
	if (args->n > 2 && (!number_of(&args->v[2], &limit) || limit < 0))
		return ROUTE_FALSE;
	/* Kamailio: 0 is no limit. */
	if (limit == 0 || limit > DISPATCH_TRIES_MAX)
		limit = DISPATCH_TRIES_MAX;
	if (use == USE_DST && !call->force_dst && ctx->du.len != 0)
		return ROUTE_FALSE;
	if (!dispatch_key(ctx, (unsigned)algorithm, call->user_only, call->format, &choice.hash))
		return ROUTE_FALSE;
	choice.set = (uint32_t)set;
	choice.algorithm = (uint8_t)algorithm;
	id = dispatch_choose(d, &choice);
	if (id == 0)
		return ROUTE_FALSE;
	state->hash = choice.hash;
	state->set = choice.set;
	state->algorithm = choice.algorithm;
	state->limit = (uint16_t)limit;
	state->current = id;
	state->tried[state->tries++] = id;
	state->pending = use == USE_NOTHING;
	return use_choice(d, ctx, id, use);
}

static int32_t run_select_dst(struct route_ctx *ctx, const struct route_args *args)
{
	return select_for(ctx, args, USE_DST);
}

static int32_t run_select_domain(struct route_ctx *ctx, const struct route_args *args)
{
	return select_for(ctx, args, USE_DOMAIN);
}

static int32_t run_select(struct route_ctx *ctx, const struct route_args *args)
{
	return select_for(ctx, args, USE_NOTHING);
}

static int32_t next_for(struct route_ctx *ctx, const struct route_args *args, enum use use)
{
	struct dispatch *d = args->room;
	struct state *state = state_of(ctx);
	struct dispatch_choice choice = {.set = state->set,
		.algorithm = state->algorithm,
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

static int32_t run_next_dst(struct route_ctx *ctx, const struct route_args *args)
{
	return next_for(ctx, args, USE_DST);
}

static int32_t run_next_domain(struct route_ctx *ctx, const struct route_args *args)
{
	return next_for(ctx, args, USE_DOMAIN);
}

static int check_set(const struct route_arg *arg, struct route_report *report)
{
	int64_t set;

	if (!arg->constant || (number_of(&arg->value, &set) && set >= 0 && set <= INT32_MAX))
		return 0;
	route_error(report, &arg->place, "a set is a number as in the list file");
	return -EINVAL;
}

static int check_algorithm(
	const struct route_arg *arg, const struct params *params, struct route_report *report)
{
	int64_t algorithm;

	if (!arg->constant)
		return 0;
	if (!number_of(&arg->value, &algorithm)) {
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

static void free_call(void *data)
{
	struct call *call = data;

	if (call == NULL)
		return;
	if (call->format != NULL)
		route_format_free(call->format);
	free(call);
}

static int check_select(void *room, const void *config, const struct route_arg *arg, unsigned n,
	const struct route_place *place, struct route_report *report, void **data)
{
	const struct params *params = config;
	struct call *call;
	int64_t number;

	if (check_set(&arg[0], report) != 0 || check_algorithm(&arg[1], params, report) != 0)
		return -EINVAL;
	if (n > 2 && arg[2].constant && (!number_of(&arg[2].value, &number) || number < 0)) {
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
	if (params->hash_pvar != NULL &&
		(!arg[1].constant ||
			(number_of(&arg[1].value, &number) && number == DISPATCH_VARIABLE))) {
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

/* ---- ds_is_from_list, ds_is_active, ds_list_exist ---- */

/* The address of a URI: only where it is written as one, as names are not looked up here. */
static bool endpoint_of_uri(struct str text, struct net_endpoint *ep, enum sip_transport *transport)
{
	struct sip_uri uri;

	memset(ep, 0, sizeof(*ep));
	if (sip_uri_parse(text.s, (struct sip_span){0, text.len}, &uri) != 0 ||
		net_addr_parse(sip_text(text.s, uri.host), &ep->addr) != 0)
		return false;
	ep->port = uri.port != 0 ? uri.port : SIP_DEFAULT_PORT;
	*transport = uri.transport != SIP_TRANSPORT_NONE ? uri.transport : SIP_TRANSPORT_UDP;
	return true;
}

static int32_t run_is_from_list(struct route_ctx *ctx, const struct route_args *args)
{
	struct dispatch_query q = {.any_set = true, .ep = ctx->origin.src};
	enum sip_transport transport = (enum sip_transport)ctx->origin.transport;
	int64_t set = -1, mode = MODE_NO_PROTOCOL;

	if ((args->n > 0 && !number_of(&args->v[0], &set)) ||
		(args->n > 1 && !number_of(&args->v[1], &mode)))
		return ROUTE_FALSE;
	if (args->n > 2 && args->v[2].type == ROUTE_STR && args->v[2].s.len > 0 &&
		!endpoint_of_uri(args->v[2].s, &q.ep, &transport))
		return ROUTE_FALSE;
	if (set > UINT32_MAX || ((mode & MODE_NO_PROTOCOL) == 0 && transport != SIP_TRANSPORT_UDP))
		return ROUTE_FALSE;
	q.any_set = set < 0;
	q.set = (uint32_t)set;
	q.with_port = (mode & MODE_NO_PORT) == 0;
	q.active = (mode & MODE_ACTIVE) != 0;
	q.socket = (mode & MODE_SOCKET) != 0 ? &ctx->origin.dst : NULL;
	return dispatch_find(args->room, &q) ? ROUTE_TRUE : ROUTE_FALSE;
}

static const struct dispatch_set *set_of(struct dispatch *d, const struct route_value *value)
{
	const struct dispatch_view *view = atomic_load_explicit(&d->view, memory_order_acquire);
	const struct dispatch_chain *chain;
	int64_t set;

	if (!number_of(value, &set) || set < 0 || set > UINT32_MAX)
		return NULL;
	chain = dispatch_chain_find(view, (uint32_t)set);
	return chain != NULL && chain->version[chain->count - 1]->members > 0
		       ? chain->version[chain->count - 1]
		       : NULL;
}

static int32_t run_is_active(struct route_ctx *ctx, const struct route_args *args)
{
	struct dispatch *d = args->room;
	const struct dispatch_set *s = set_of(d, &args->v[0]);
	enum sip_transport transport;
	struct net_endpoint ep;
	bool by_uri = args->n > 1 && args->v[1].type == ROUTE_STR && args->v[1].s.len > 0;

	if (s == NULL || (by_uri && !endpoint_of_uri(args->v[1].s, &ep, &transport)))
		return ROUTE_FALSE;
	for (unsigned i = 0; i < s->members; i++) {
		const struct dispatch_target *t = dispatch_target_at(d, s->member[i].id);

		if (t != NULL && s->member[i].state == DISPATCH_ENABLED &&
			dispatch_is_up(d, t->id) && (!by_uri || net_endpoint_equal(&t->ep, &ep)))
			return ROUTE_TRUE;
	}
	return ROUTE_FALSE;
}

static int32_t run_list_exist(struct route_ctx *ctx, const struct route_args *args)
{
	return set_of(args->room, &args->v[0]) != NULL ? ROUTE_TRUE : ROUTE_FALSE;
}

static int check_from_list(void *room, const void *config, const struct route_arg *arg, unsigned n,
	const struct route_place *place, struct route_report *report, void **data)
{
	enum sip_transport transport;
	struct net_endpoint ep;
	int64_t number;

	if (n > 0 && arg[0].constant &&
		(!number_of(&arg[0].value, &number) || number < -1 || number > INT32_MAX)) {
		route_error(
			report, &arg[0].place, "a set is a number as in the list file, -1 for all");
		return -EINVAL;
	}
	if (n > 1 && arg[1].constant &&
		(!number_of(&arg[1].value, &number) || number < 0 || number > MODE_ALL)) {
		route_error(report, &arg[1].place,
			"a mode is a sum of 1 any port, 2 any protocol, 4 active ones only, 8 same "
			"socket, 16 best match");
		return -EINVAL;
	}
	if (n > 2 && arg[2].constant && arg[2].value.s.len > 0 &&
		!endpoint_of_uri(arg[2].value.s, &ep, &transport)) {
		route_error(report, &arg[2].place,
			"a SIP URI with an address is expected: names are not looked up here");
		return -EINVAL;
	}
	return 0;
}

static int check_active(void *room, const void *config, const struct route_arg *arg, unsigned n,
	const struct route_place *place, struct route_report *report, void **data)
{
	return check_set(&arg[0], report);
}

/* ---- ds_mark_dst ---- */

/* Kamailio's letters; `down` tells what they say, 0 nothing, 1 down, -1 up. */
static bool read_mark(struct str text, int *down)
{
	*down = text.len == 0 ? 1 : 0;
	for (uint32_t i = 0; i < text.len; i++) {
		switch (str_lower_char(text.s[i])) {
		case 'a':
			*down = -1;
			break;
		case 'i':
		case 'd':
			*down = 1;
			break;
		case 't': /* tried once more before it counts as down: counting needs probes */
		case 'p':
			break;
		default:
			return false;
		}
	}
	return text.len <= 2;
}

static int32_t run_mark_dst(struct route_ctx *ctx, const struct route_args *args)
{
	const struct state *state = state_of(ctx);
	struct str text = args->n > 0 && args->v[0].type == ROUTE_STR ? args->v[0].s : STR_NONE;
	int down;

	if (state->current == 0 || !read_mark(text, &down))
		return ROUTE_FALSE;
	if (down == 0)
		return ROUTE_TRUE;
	return dispatch_set_up(args->room, state->current, down < 0) == 0 ? ROUTE_TRUE
									  : ROUTE_FALSE;
}

static int check_mark(void *room, const void *config, const struct route_arg *arg, unsigned n,
	const struct route_place *place, struct route_report *report, void **data)
{
	int down = 1;

	if (n > 0 && arg[0].constant && !read_mark(arg[0].value.s, &down)) {
		route_error(report, &arg[0].place,
			"a state is one of \"a\", \"i\", \"d\", \"t\", with \"p\" behind it or "
			"not");
		return -EINVAL;
	}
	if (down > 0)
		route_warning(report, place,
			"a destination that is marked down stays down until ds_mark_dst(\"a\") or "
			"an operator marks it up: "
			"it is not probed yet");
	return 0;
}

/* ---- the list ---- */

/* hash_key sets the tables of one group apart from those of others. */
static uint64_t salt_of(const char *hash_key)
{
	static const struct hash_key key = {{0x7369706c616e6520ULL, 0x73616c7420202020ULL}};

	return hash_key != NULL ? hash_text(&key, str_c(hash_key)) : 0;
}

static int prepare(void *room, const void *config, struct route_report *report, void **prepared)
{
	const struct params *params = config;
	struct dispatch_options options = {salt_of(params->hash_key), params->use_default != 0};
	struct dispatch_prepared *p = NULL;
	struct dispatch *d = room;
	struct dispatch_specs specs;
	int err;

	if (params->list_file == NULL) {
		route_error(report, NULL,
			params->db_url != NULL
				? "dispatcher: lists in a database are not read yet: use "
				  "modparam(\"dispatcher\", \"list_file\", \"PATH\")"
				: "dispatcher: modparam(\"dispatcher\", \"list_file\", \"PATH\") "
				  "is missing");
		return -EINVAL;
	}
	if (params->db_url != NULL)
		route_warning(report, NULL, "dispatcher: db_url has no effect: %s is what is read",
			params->list_file);
	err = dispatch_list_read(params->list_file, d->config.resolver, report, &specs);
	if (err != 0)
		return err;
	err = dispatch_generation_prepare(d, params->list_file, &specs, &options, report, &p);
	dispatch_specs_free(&specs);
	*prepared = p;
	return err;
}

static void publish(void *room, void *prepared)
{
	dispatch_generation_publish(room, prepared);
}

static void discard(void *room, void *prepared)
{
	dispatch_generation_discard(room, prepared);
}

/* ---- tables ---- */

#define IN_REQUEST (ROUTE_IN_REQUEST | ROUTE_IN_FAILURE | ROUTE_IN_BRANCH)

static const struct route_function functions[] = {
	{.name = "ds_select_dst",
		.args_min = 2,
		.args_max = 3,
		.in = IN_REQUEST,
		.run = run_select_dst,
		.check = check_select,
		.free_data = free_call,
		.usage = "ds_select_dst(set, algorithm [, limit])",
		.help = "Chooses a destination of the set and makes it the next hop ($du)."},
	{.name = "ds_select_domain",
		.args_min = 2,
		.args_max = 3,
		.in = IN_REQUEST,
		.run = run_select_domain,
		.check = check_select,
		.free_data = free_call,
		.usage = "ds_select_domain(set, algorithm [, limit])",
		.help = "Chooses a destination of the set and writes its host and port into the "
			"Request-URI."},
	{.name = "ds_select",
		.args_min = 2,
		.args_max = 3,
		.in = IN_REQUEST,
		.run = run_select,
		.check = check_select,
		.free_data = free_call,
		.usage = "ds_select(set, algorithm [, limit])",
		.help = "Chooses a destination of the set for ds_next_dst() or ds_next_domain() to "
			"use."},
	{.name = "ds_next_dst",
		.in = IN_REQUEST,
		.run = run_next_dst,
		.usage = "ds_next_dst()",
		.help = "Makes the next destination after the last one the next hop; false where "
			"all have been tried."},
	{.name = "ds_next_domain",
		.in = IN_REQUEST,
		.run = run_next_domain,
		.usage = "ds_next_domain()",
		.help = "Writes the next destination after the last one into the Request-URI."},
	{.name = "ds_is_from_list",
		.args_max = 3,
		.in = ROUTE_IN_ANY,
		.run = run_is_from_list,
		.check = check_from_list,
		.usage = "ds_is_from_list([set [, mode [, uri]]])",
		.help = "Whether the message (or the URI) comes from a destination of the set, of "
			"any set where it is -1 or missing."},
	{.name = "ds_is_active",
		.args_min = 1,
		.args_max = 2,
		.in = ROUTE_IN_ANY,
		.run = run_is_active,
		.check = check_active,
		.usage = "ds_is_active(set [, uri])",
		.help = "Whether any destination of the set (or the one with this address) is "
			"enabled and up."},
	{.name = "ds_list_exist",
		.args_min = 1,
		.args_max = 1,
		.in = ROUTE_IN_ANY,
		.run = run_list_exist,
		.check = check_active,
		.usage = "ds_list_exist(set)",
		.help = "Whether the list has such a set."},
	{.name = "ds_list_exists",
		.args_min = 1,
		.args_max = 1,
		.in = ROUTE_IN_ANY,
		.run = run_list_exist,
		.check = check_active,
		.usage = "ds_list_exists(set)",
		.help = "The same as ds_list_exist()."},
	{.name = "ds_mark_dst",
		.args_max = 1,
		.in = IN_REQUEST,
		.run = run_mark_dst,
		.check = check_mark,
		.usage = "ds_mark_dst([state])",
		.help = "Marks the last chosen destination: \"i\" or \"d\" down (the default), "
			"\"a\" up, \"t\" no verdict; \"p\" is accepted."},
	{.name = NULL},
};

#define INT(field_name, text_name, low, high, first, words) \
	{ \
		.name = text_name, .type = ROUTE_PARAM_INT, \
		.offset = offsetof(struct params, field_name), .min = low, .max = high, \
		.initial = first, .help = words \
	}
#define TEXT(field_name, text_name, words) \
	{ \
		.name = text_name, .type = ROUTE_PARAM_STR, \
		.offset = offsetof(struct params, field_name), .help = words \
	}
#define ACCEPTED_INT(text_name, words) \
	{ \
		.name = text_name, .type = ROUTE_PARAM_INT, \
		.offset = offsetof(struct params, number), .min = INT64_MIN, .max = INT64_MAX, \
		.help = words, .accepted_only = true \
	}
#define ACCEPTED_TEXT(text_name, words) \
	{ \
		.name = text_name, .type = ROUTE_PARAM_STR, \
		.offset = offsetof(struct params, text), .help = words, .accepted_only = true \
	}

#define NO_DB "Lists in a database are not read yet."
#define NO_PROBES "Destinations are not probed yet."
#define NO_LOAD "The load of calls is not counted yet."
#define NO_AVP "What ds_next_dst() goes on from is kept with the message."

static const struct route_param parameters[] = {
	{.name = "list_file",
		.type = ROUTE_PARAM_FILE,
		.offset = offsetof(struct params, list_file),
		.help = "The file with the sets: setid uri flags priority attrs."},
	INT(flags, "flags", 0, 3, "0",
		"1: hash only the user of a URI. 2: failover, which is always on here."),
	INT(force_dst, "force_dst", 0, 1, "1",
		"0: ds_select_dst() is false where $du is set already."),
	INT(use_default, "use_default", 0, 1, "0",
		"1: the last destination of a set is for when no other is up."),
	TEXT(hash_pvar, "hash_pvar", "What algorithm 7 hashes: a string with pseudo-variables."),
	TEXT(hash_key, "hash_key",
		"Any text: tables of another text spread keys in another way. The same on all "
		"nodes of a group."),
	TEXT(db_url, "db_url", NO_DB),
	ACCEPTED_TEXT("table_name", NO_DB),
	ACCEPTED_TEXT("setid_col", NO_DB),
	ACCEPTED_TEXT("destination_col", NO_DB),
	ACCEPTED_TEXT("flags_col", NO_DB),
	ACCEPTED_TEXT("priority_col", NO_DB),
	ACCEPTED_TEXT("attrs_col", NO_DB),
	ACCEPTED_TEXT("dst_avp", NO_AVP),
	ACCEPTED_TEXT("grp_avp", NO_AVP),
	ACCEPTED_TEXT("cnt_avp", NO_AVP),
	ACCEPTED_TEXT("dstid_avp", NO_AVP),
	ACCEPTED_TEXT("attrs_avp", NO_AVP),
	ACCEPTED_TEXT("sock_avp", NO_AVP),
	ACCEPTED_TEXT("xavp_dst", NO_AVP),
	ACCEPTED_INT("xavp_dst_mode", NO_AVP),
	ACCEPTED_TEXT("xavp_ctx", NO_AVP),
	ACCEPTED_INT("xavp_ctx_mode", NO_AVP),
	ACCEPTED_TEXT("setid_pvname", "Not set yet by ds_is_from_list()."),
	ACCEPTED_TEXT("attrs_pvname", "Not set yet by ds_is_from_list()."),
	ACCEPTED_TEXT("ds_ping_method", NO_PROBES),
	ACCEPTED_TEXT("ds_ping_from", NO_PROBES),
	ACCEPTED_INT("ds_ping_interval", NO_PROBES),
	ACCEPTED_INT("ds_ping_latency_stats", NO_PROBES),
	ACCEPTED_INT("ds_retain_latency_stats", NO_PROBES),
	ACCEPTED_INT("ds_latency_estimator_alpha", NO_PROBES),
	ACCEPTED_INT("ds_probing_threshold", NO_PROBES),
	ACCEPTED_INT("ds_probing_threshhold", NO_PROBES),
	ACCEPTED_INT("ds_inactive_threshold", NO_PROBES),
	ACCEPTED_TEXT("ds_ping_reply_codes", NO_PROBES),
	ACCEPTED_INT("ds_probing_mode", NO_PROBES),
	ACCEPTED_TEXT("ds_ping_socket", NO_PROBES),
	ACCEPTED_TEXT("outbound_proxy", NO_PROBES),
	ACCEPTED_TEXT("ds_default_socket",
		"The listener is chosen by route, or by the attribute socket."),
	ACCEPTED_TEXT("ds_default_sockname",
		"The listener is chosen by route, or by the attribute socket."),
	ACCEPTED_INT("ds_hash_size", NO_LOAD),
	ACCEPTED_INT("ds_hash_expire", NO_LOAD),
	ACCEPTED_INT("ds_hash_initexpire", NO_LOAD),
	ACCEPTED_INT("ds_hash_check_interval", NO_LOAD),
	ACCEPTED_INT("ds_timer_mode", NO_PROBES),
	ACCEPTED_TEXT("event_callback", "There is no scripting language but this one."),
	ACCEPTED_INT("ds_attrs_none", "Attributes are not handed to the script yet."),
	ACCEPTED_INT("ds_db_extra_attrs", NO_DB),
	ACCEPTED_INT("ds_load_mode", NO_LOAD),
	ACCEPTED_INT(
		"reload_delta", "Reloads are never too close: what would split a call is refused."),
	ACCEPTED_INT("ds_dns_mode", "Names are resolved at load."),
	ACCEPTED_INT("ds_dns_interval", "Names are resolved at load."),
	ACCEPTED_INT("ds_dns_ttl", "Names are resolved at load."),
	{.name = NULL},
};

const struct route_module dispatch_module = {
	.name = "dispatcher",
	.functions = functions,
	.params = parameters,
	.config_size = sizeof(struct params),
	.prepare = prepare,
	.publish = publish,
	.discard = discard,
};
