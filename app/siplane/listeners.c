/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From `listen` lines and the ports' addresses to listeners; each also gets a placeholder socket,
 * so that `ss` shows it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "siplane.h"

struct address_list {
	unsigned n;
	struct {
		struct net_addr addr;
		uint16_t port; /* index */
	} at[PROXY_LISTENERS_MAX];
};

/* Where a listener may be: what the kernel says the ports have, or on paper what the configuration
 * gives them. */
static void addresses_of_ports(
	const struct app *app, const struct route_config *config, struct address_list *out)
{
	out->n = 0;
	for (unsigned p = 0; p < config->ports; p++) {
		struct net_addr addr[ROUTE_ADDRESSES_MAX];
		unsigned n = 0;

		if (app->kernel != NULL) {
			n = kernel_addresses(app->kernel, (uint16_t)p, addr, ROUTE_ADDRESSES_MAX);
		} else {
			for (unsigned i = 0; i < config->port[p].addresses; i++) {
				struct str text = str_c(config->port[p].address[i]);
				int64_t slash = str_find(text, '/');

				if (net_addr_parse(slash < 0 ? text : str_of(text.s, (size_t)slash),
					    &addr[n]) == 0)
					n++;
			}
			if (n == 0) { /* RFC 5737: an address for paper */
				char text[16];
				int len = snprintf(text, sizeof(text), "192.0.2.%u", p + 1);

				net_addr_parse(str_of(text, (size_t)len), &addr[n++]);
			}
		}
		for (unsigned i = 0; i < n && out->n < PROXY_LISTENERS_MAX; i++) {
			/* A link-local address needs a zone, which SIP has no words for. */
			if (net_addr_is_link_local(&addr[i]))
				continue;
			out->at[out->n].addr = addr[i];
			out->at[out->n++].port = (uint16_t)p;
		}
	}
}

static void add_listener(struct proxy_config *pc, struct proxy_listener *l,
	const struct net_addr *addr, uint16_t nic, uint16_t port, const struct route_config *config,
	const struct route_config_listen *line)
{
	if (pc->listeners == PROXY_LISTENERS_MAX)
		return;
	l = &l[pc->listeners++];
	memset(l, 0, sizeof(*l));
	l->ep.addr = *addr;
	l->ep.port = port;
	l->transport = SIP_TRANSPORT_UDP;
	l->port = nic;
	if (line != NULL && line->advertise_host != NULL) {
		snprintf(l->advertise_host, sizeof(l->advertise_host), "%s", line->advertise_host);
		l->advertise_port = line->advertise_port;
	} else if (config->advertised_address != NULL) {
		snprintf(l->advertise_host, sizeof(l->advertise_host), "%s",
			config->advertised_address);
		l->advertise_port = (uint16_t)config->advertised_port;
	}
	if (line != NULL && line->name != NULL)
		snprintf(l->name, sizeof(l->name), "%s", line->name);
}

static int port_of_name(const struct route_config *config, const char *name)
{
	for (unsigned p = 0; p < config->ports; p++)
		if (strcmp(config->port[p].name, name) == 0)
			return (int)p;
	return -1;
}

/* One `listen` line. */
static int expand(const struct route_config *config, const struct route_config_listen *line,
	const struct address_list *have, struct proxy_config *pc, struct proxy_listener *l,
	char *error, size_t error_size)
{
	int nic = port_of_name(config, line->where);
	struct net_addr addr;
	unsigned before = pc->listeners;
	uint16_t port = line->port != 0 ? line->port : SIP_DEFAULT_PORT;

	if (line->transport != SIP_TRANSPORT_UDP && line->transport != SIP_TRANSPORT_NONE) {
		snprintf(error, error_size, "%s:%d:%d: listen: only udp is served by this version",
			line->place.file, line->place.line, line->place.column);
		return -EPROTONOSUPPORT;
	}
	if (nic < 0 && net_addr_parse(str_c(line->where), &addr) != 0) {
		snprintf(error, error_size,
			"%s:%d:%d: listen: '%s' is neither an address nor the name of a port",
			line->place.file, line->place.line, line->place.column, line->where);
		return -EINVAL;
	}
	for (unsigned i = 0; i < have->n; i++)
		if (nic >= 0 ? have->at[i].port == nic : net_addr_equal(&have->at[i].addr, &addr))
			add_listener(
				pc, l, &have->at[i].addr, have->at[i].port, port, config, line);
	if (pc->listeners == before && nic < 0) {
		snprintf(error, error_size,
			"%s:%d:%d: listen: no port has the address %s; give it one with `address = "
			"%s/...` in port { }",
			line->place.file, line->place.line, line->place.column, line->where,
			line->where);
		return -EADDRNOTAVAIL;
	}
	return 0;
}

static bool is_trusted(void *arg, uint32_t group, const struct net_addr *src, uint16_t port)
{
	const struct app *app = arg;

	return access_address_in_group(app->access, group, src, port);
}

static bool route_to(void *arg, const struct net_addr *to, struct net_addr *source, uint16_t *port)
{
	const struct app *app = arg;
	struct kernel_hop hop;

	kernel_hop_find(kernel_hops(app->kernel), to, &hop);
	if (hop.state == KERNEL_HOP_NO_ROUTE)
		return false;
	*source = hop.source;
	*port = hop.port;
	return true;
}

static int configure(
	struct app *app, const struct route_config *config, char *error, size_t error_size)
{
	static struct proxy_listener listener[PROXY_LISTENERS_MAX];
	static struct proxy_alias alias[PROXY_ALIASES_MAX];
	struct proxy_config pc = {
		.listener = listener,
		.alias = alias,
		.mhomed = config->mhomed != 0,
		.require_token = config->require_token != 0,
		.token_trusted_group = (uint32_t)config->token_trusted_group,
		.is_trusted = is_trusted,
		.is_trusted_arg = app,
	};
	struct address_list have;
	int err = 0;

	addresses_of_ports(app, config, &have);
	for (unsigned i = 0; i < config->listens && err == 0; i++)
		err = expand(config, &config->listen[i], &have, &pc, listener, error, error_size);
	if (err != 0)
		return err;
	if (config->listens == 0)
		for (unsigned i = 0; i < have.n; i++)
			add_listener(&pc, listener, &have.at[i].addr, have.at[i].port,
				config->port_default != 0 ? (uint16_t)config->port_default
							  : SIP_DEFAULT_PORT,
				config, NULL);
	for (unsigned i = 0; i < config->aliases && i < PROXY_ALIASES_MAX; i++) {
		snprintf(alias[i].host, sizeof(alias[i].host), "%s", config->alias[i].host);
		alias[i].port = config->alias[i].port;
		alias[i].transport = (uint8_t)config->alias[i].transport;
		pc.aliases++;
	}
	if (config->server_header != NULL)
		snprintf(pc.server, sizeof(pc.server), "%s", config->server_header);
	if (app->kernel != NULL) {
		pc.route = route_to;
		pc.route_arg = app;
	}
	err = proxy_configure(app->proxy, &pc);
	if (err != 0)
		snprintf(error, error_size, "listeners: %s", strerror(-err));
	return err;
}

static bool listens_at(const struct app *app, const struct net_endpoint *ep)
{
	return proxy_listener_find(app->proxy, ep, SIP_TRANSPORT_UDP) >= 0;
}

/* Closes the sockets of listeners that are gone and opens those of new ones. */
static int placeholders_follow(struct app *app, char *error, size_t error_size)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < app->placeholders; i++) {
		if (listens_at(app, &app->placeholder[i]))
			app->placeholder[kept++] = app->placeholder[i];
		else
			kernel_placeholder_close(app->kernel, &app->placeholder[i]);
	}
	app->placeholders = kept;
	for (unsigned i = 0; i < proxy_listener_count(app->proxy); i++) {
		const struct net_endpoint *ep = &proxy_listener_at(app->proxy, i)->ep;
		char text[NET_ENDPOINT_TEXT_MAX];
		bool have = false;
		int err;

		for (unsigned j = 0; j < kept; j++)
			have = have || net_endpoint_equal(&app->placeholder[j], ep);
		if (have)
			continue;
		err = kernel_placeholder_open(app->kernel, ep);
		if (err != 0) {
			net_endpoint_format(ep, text);
			snprintf(error, error_size,
				err == -EADDRINUSE ? "listen udp:%s: another program has this port "
						     "open (see: ss -ulpn 'sport = :%u')"
						   : "listen udp:%s: port %u: %s",
				text, ep->port, strerror(-err));
			return err;
		}
		app->placeholder[app->placeholders++] = *ep;
	}
	return 0;
}

int listeners_apply(void *arg, const struct route_config *config, char *error, size_t error_size)
{
	struct app *app = arg;
	int err = configure(app, config, error, error_size);

	if (err != 0)
		return err;
	app->config = config;
	return placeholders_follow(app, error, error_size);
}

int listeners_on_paper(struct app *app)
{
	char error[512];
	int err = configure(app, route_script_config(app->script), error, sizeof(error));

	if (err != 0)
		fprintf(stderr, "%s\n", error);
	return err;
}

void listeners_print(const struct app *app)
{
	printf("listen");
	for (unsigned i = 0; i < proxy_listener_count(app->proxy); i++) {
		const struct proxy_listener *l = proxy_listener_at(app->proxy, i);
		char text[NET_ENDPOINT_TEXT_MAX];

		net_endpoint_format(&l->ep, text);
		printf("%s udp %s", i > 0 ? "," : "", text);
		if (l->advertise_host[0] != '\0')
			printf(" (%s:%u)", l->advertise_host,
				l->advertise_port != 0 ? l->advertise_port : l->ep.port);
	}
	printf("\n");
}
