/* SPDX-License-Identifier: BSD-3-Clause */
/* The core language's functions that are a proxy's: forward() and its kin. And the registration of
 * this room's modules. */
#include "proxy/internal.h"

#define CORE_FUNCTIONS_MAX 192

/* "host", "host:port", "[v6]:port", with a transport in front or not (`*kind` says it). False: not
 * over UDP, or no such port. */
static bool split_host(struct str text, enum resolve_kind *kind, struct str *host, uint16_t *port)
{
	int64_t colon = str_find(text, ':');
	uint32_t number = 0;

	*kind = RESOLVE_SIP;
	if (colon > 0) {
		enum sip_transport said = sip_transport_of((struct str){text.s, (uint32_t)colon});

		if (said == SIP_TRANSPORT_UDP) {
			*kind = RESOLVE_SIP_UDP;
			text.s += colon + 1;
			text.len -= (uint32_t)colon + 1;
		} else if (said != SIP_TRANSPORT_NONE && said != SIP_TRANSPORT_OTHER) {
			return false;
		}
	}
	*port = 0;
	for (uint32_t i = text.len; i-- > 0 && text.s[i] != ']';) {
		if (text.s[i] != ':')
			continue;
		if (text.s[0] != '[' && memchr(text.s, ':', i) != NULL)
			break; /* a bare IPv6 address */
		if (str_to_u32((struct str){text.s + i + 1, text.len - i - 1}, 65535, &number) !=
				0 ||
			number == 0)
			return false;
		*port = (uint16_t)number;
		text.len = i;
		break;
	}
	*host = text;
	return text.len != 0;
}

MODULE_RUN(run_forward)
{
	char digits[24];
	struct str text, host;
	enum resolve_kind kind;
	uint16_t port;
	int64_t number;

	if (args->n == 0)
		return proxy_next_hop(args->room, ctx, 0);
	text = str_trim(arg_text(&args->v[0], digits));
	if (str_istarts(text, STR("sip:")) || str_istarts(text, STR("sips:")))
		return proxy_forward_uri(args->room, ctx, text);
	if (!split_host(text, &kind, &host, &port))
		return proxy_forward_refuse(ctx, PROXY_REFUSAL_TRANSPORT);
	if (args->n > 1) {
		if (!arg_number(&args->v[1], 65535, &number))
			return proxy_forward_refuse(ctx, PROXY_REFUSAL_URI);
		port = (uint16_t)number;
	}
	return proxy_forward_host(args->room, ctx, kind, host, port);
}

MODULE_RUN(run_force_rport)
{
	proxy_state(ctx)->flags |= STATE_RPORT;
	return ROUTE_TRUE;
}

MODULE_RUN(run_add_local_rport)
{
	proxy_state(ctx)->flags |= STATE_LOCAL_RPORT;
	return ROUTE_TRUE;
}

MODULE_RUN(run_force_send_socket)
{
	const struct sockets *s = proxy_sockets(args->room);
	char digits[24];
	int listener =
		s != NULL ? proxy_sockets_find(s, str_trim(arg_text(&args->v[0], digits))) : -1;

	if (listener < 0)
		return ROUTE_FALSE;
	ctx->socket = (int16_t)listener;
	return ROUTE_TRUE;
}

#define REQUEST_IN (ROUTE_IN_REQUEST | ROUTE_IN_FAILURE | ROUTE_IN_BRANCH)

const struct route_function proxy_core_functions[] = {
	{.name = "forward",
		.args_max = 2,
		.in = ROUTE_IN_REQUEST,
		.run = run_forward,
		.usage = "forward([uri | host [, port]])",
		.rfc = "3261 16.6, 16.11",
		.help = "Forwards the request without state: to $du, else the next Route, else the "
			"Request-URI, or to what is given. "
			"False where it may not or cannot go there; the caller then gets the "
			"fitting error, unless the script decides otherwise."},
	{.name = "force_rport",
		.in = ROUTE_IN_REQUEST,
		.run = run_force_rport,
		.usage = "force_rport()",
		.rfc = "3581 4",
		.help = "Sends responses to the port that the request came from, as if its Via had "
			"asked for it (RFC 3581).",
		.statement = "add_rport"},
	{.name = "add_local_rport",
		.in = REQUEST_IN,
		.run = run_add_local_rport,
		.usage = "add_local_rport()",
		.rfc = "3581 3",
		.help = "Adds `rport` to our own Via (RFC 3581)."},
	{.name = "force_send_socket",
		.args_min = 1,
		.args_max = 1,
		.in = REQUEST_IN,
		.run = run_force_send_socket,
		.usage = "force_send_socket([udp:]address:port)",
		.rfc = "3261 18.1.1",
		.help = "Sends the request from this listener. False where there is no such one."},
	{.name = NULL},
};

/*
 * The core's functions stand in one module without a name, which is always loaded. Ours join those
 * that the registry has: the entry is replaced by one with both tables. Functions of the language
 * itself ask for no room.
 */
static int join_core(struct proxy *p, struct route_registry *registry)
{
	static struct route_function functions[CORE_FUNCTIONS_MAX];
	static struct route_module joined;
	const struct route_function *from;
	unsigned at = 0, n = 0;

	while (at < registry->count && registry->module[at]->name[0] != 0)
		at++;
	if (at == registry->count)
		return -ENOENT;
	/* Built once: scripts of earlier generations point into it. */
	if (joined.functions == NULL) {
		for (from = registry->module[at]->functions;
			from != NULL && from->name != NULL && n < CORE_FUNCTIONS_MAX - 1; from++)
			functions[n++] = *from;
		for (from = proxy_core_functions; from->name != NULL && n < CORE_FUNCTIONS_MAX - 1;
			from++)
			functions[n++] = *from;
		if (from->name != NULL)
			return -ENOSPC;
		joined = *registry->module[at];
		joined.functions = functions;
	}
	registry->module[at] = &joined;
	registry->room[at] = p;
	return 0;
}

int proxy_register(struct proxy *p, struct route_registry *registry)
{
	const struct route_module *const modules[] = {&proxy_sl_module, &proxy_rr_module,
		&proxy_maxfwd_module, &proxy_siputils_module, &proxy_sanity_module,
		&proxy_path_module};
	int ret = join_core(p, registry);

	for (unsigned i = 0; i < sizeof(modules) / sizeof(modules[0]) && ret == 0; i++)
		ret = route_registry_add(registry, modules[i], p);
	return ret;
}
