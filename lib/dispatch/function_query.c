/* SPDX-License-Identifier: BSD-3-Clause */
/* ds_is_from_list, ds_is_active, ds_list_exist, ds_mark_dst: who is in the list, and how they are.
 */
#include <errno.h>
#include <stdlib.h>

#include "dispatch/dispatcher.h"

/* Kamailio's bits of ds_is_from_list's mode. 16, the best match, is what we do anyway: all have to
 * match. */
#define MODE_NO_PORT 1
#define MODE_NO_PROTOCOL 2
#define MODE_ACTIVE 4
#define MODE_SOCKET 8
#define MODE_ALL 31

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

/* The set and the mode of ds_is_from_list(). */
struct from_list {
	int64_t set, mode;
};

static bool read_from_list(const struct route_value *v, unsigned n, struct from_list *out)
{
	*out = (struct from_list){.set = -1, .mode = MODE_NO_PROTOCOL};
	return (n < 1 || dispatcher_number(&v[0], &out->set)) &&
	       (n < 2 || dispatcher_number(&v[1], &out->mode));
}

int32_t dispatcher_run_is_from_list(struct route_ctx *ctx, const struct route_args *args)
{
	struct dispatch_query q = {.ep = ctx->origin.src};
	enum sip_transport transport = (enum sip_transport)ctx->origin.transport;
	const struct from_list *from = args->data;
	struct from_list read;

	if (from == NULL) {
		if (!read_from_list(args->v, args->n, &read))
			return ROUTE_FALSE;
		from = &read;
	}
	if (args->n > 2 && args->v[2].type == ROUTE_STR && args->v[2].s.len > 0 &&
		!endpoint_of_uri(args->v[2].s, &q.ep, &transport))
		return ROUTE_FALSE;
	if (from->set > UINT32_MAX ||
		((from->mode & MODE_NO_PROTOCOL) == 0 && transport != SIP_TRANSPORT_UDP))
		return ROUTE_FALSE;
	q.any_set = from->set < 0;
	q.set = (uint32_t)from->set;
	q.with_port = (from->mode & MODE_NO_PORT) == 0;
	q.active = (from->mode & MODE_ACTIVE) != 0;
	q.socket = (from->mode & MODE_SOCKET) != 0 ? &ctx->origin.dst : NULL;
	return dispatch_find(args->room, &q) ? ROUTE_TRUE : ROUTE_FALSE;
}

/* Set and mode are read once where they are known by now. */
static int keep_from_list(const struct route_arg *arg, unsigned n, const struct route_place *place,
	struct route_report *report, void **data)
{
	struct route_value v[2];
	struct from_list *kept;

	for (unsigned i = 0; i < n && i < 2; i++) {
		if (!arg[i].constant)
			return 0;
		v[i] = arg[i].value;
	}
	kept = malloc(sizeof(*kept));
	if (kept == NULL) {
		route_error(report, place, "out of memory");
		return -ENOMEM;
	}
	/* What check() has let pass can be read. */
	read_from_list(v, n, kept);
	*data = kept;
	return 0;
}

static const struct dispatch_set *set_of(struct dispatch *d, const struct route_value *value)
{
	const struct dispatch_view *view = atomic_load_explicit(&d->view, memory_order_acquire);
	const struct dispatch_chain *chain;
	int64_t set;

	if (!dispatcher_number(value, &set) || set < 0 || set > UINT32_MAX)
		return NULL;
	chain = dispatch_chain_find(view, (uint32_t)set);
	return chain != NULL && chain->version[chain->count - 1]->members > 0
		       ? chain->version[chain->count - 1]
		       : NULL;
}

int32_t dispatcher_run_is_active(struct route_ctx *ctx, const struct route_args *args)
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

int32_t dispatcher_run_list_exist(struct route_ctx *ctx, const struct route_args *args)
{
	return set_of(args->room, &args->v[0]) != NULL ? ROUTE_TRUE : ROUTE_FALSE;
}

int dispatcher_check_from_list(void *room, const void *config, const struct route_arg *arg,
	unsigned n, const struct route_place *place, struct route_report *report, void **data)
{
	enum sip_transport transport;
	struct net_endpoint ep;
	int64_t number;

	if (n > 0 && arg[0].constant &&
		(!dispatcher_number(&arg[0].value, &number) || number < -1 || number > INT32_MAX)) {
		route_error(
			report, &arg[0].place, "a set is a number as in the list file, -1 for all");
		return -EINVAL;
	}
	if (n > 1 && arg[1].constant &&
		(!dispatcher_number(&arg[1].value, &number) || number < 0 || number > MODE_ALL)) {
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
	return keep_from_list(arg, n, place, report, data);
}

int dispatcher_check_active(void *room, const void *config, const struct route_arg *arg, unsigned n,
	const struct route_place *place, struct route_report *report, void **data)
{
	return dispatcher_check_set(&arg[0], report);
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

int32_t dispatcher_run_mark_dst(struct route_ctx *ctx, const struct route_args *args)
{
	const struct dispatcher_state *state = dispatcher_state(ctx);
	struct str text = args->n > 0 && args->v[0].type == ROUTE_STR ? args->v[0].s : STR_NONE;
	int down;

	if (state->current == 0 || !read_mark(text, &down))
		return ROUTE_FALSE;
	if (down == 0)
		return ROUTE_TRUE;
	return dispatch_set_up(args->room, state->current, down < 0) == 0 ? ROUTE_TRUE
									  : ROUTE_FALSE;
}

int dispatcher_check_mark(void *room, const void *config, const struct route_arg *arg, unsigned n,
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
