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

	return access_address_in_group(
		app->access, group, src, port != 0 ? port : ACCESS_PORT_NONE);
}

static bool is_domain(void *arg, struct str host)
{
	const struct app *app = arg;

	return access_domain_is_myself(app->access, host);
}

static bool domains_are_unread(void *arg)
{
	const struct app *app = arg;

	return access_myself_is_unread(app->access);
}

static bool route_to(void *arg, const struct net_addr *to, struct net_addr *source, uint16_t *port)
{
	const struct app *app = arg;

	return kernel_hop_source(kernel_hops(app->kernel), to, source, port);
}

/* What a configuration asks for, built before anything is touched. */
struct plan {
	struct proxy_config config;
	struct proxy_listener listener[PROXY_LISTENERS_MAX];
	struct proxy_alias alias[PROXY_ALIASES_MAX];
};

static int no_listener_twice(const struct plan *plan, char *error, size_t error_size)
{
	for (unsigned i = 0; i < plan->config.listeners; i++)
		for (unsigned j = 0; j < i; j++) {
			char text[NET_ENDPOINT_TEXT_MAX];

			if (!net_endpoint_equal(&plan->listener[i].ep, &plan->listener[j].ep))
				continue;
			net_endpoint_format(&plan->listener[i].ep, text);
			snprintf(error, error_size, "two `listen` lines mean udp:%s; leave one out",
				text);
			return -EEXIST;
		}
	return 0;
}

static int plan_listeners(const struct app *app, const struct route_config *config,
	struct plan *plan, char *error, size_t error_size)
{
	struct proxy_config *pc = &plan->config;
	struct address_list have;
	int err = 0;

	addresses_of_ports(app, config, &have);
	for (unsigned i = 0; i < config->listens && err == 0; i++)
		err = expand(
			config, &config->listen[i], &have, pc, plan->listener, error, error_size);
	if (err != 0)
		return err;
	if (config->listens == 0)
		for (unsigned i = 0; i < have.n; i++)
			add_listener(pc, plan->listener, &have.at[i].addr, have.at[i].port,
				config->port_default != 0 ? (uint16_t)config->port_default
							  : SIP_DEFAULT_PORT,
				config, NULL);
	return no_listener_twice(plan, error, error_size);
}

static int plan_make(const struct app *app, const struct route_config *config, struct plan *plan,
	char *error, size_t error_size)
{
	struct proxy_config *pc = &plan->config;

	memset(plan, 0, sizeof(*plan));
	*pc = (struct proxy_config){
		.listener = plan->listener,
		.alias = plan->alias,
		.mhomed = config->mhomed != 0,
		.require_token = config->require_token != 0,
		.token_trusted_group = (uint32_t)config->token_trusted_group,
		.is_trusted = is_trusted,
		.is_trusted_arg = (void *)(uintptr_t)app,
		.is_domain = is_domain,
		.domains_are_unread = domains_are_unread,
		.is_domain_arg = (void *)(uintptr_t)app,
	};
	for (unsigned i = 0; i < config->aliases && i < PROXY_ALIASES_MAX; i++) {
		struct proxy_alias *alias = &plan->alias[pc->aliases++];

		snprintf(alias->host, sizeof(alias->host), "%s", config->alias[i].host);
		alias->port = config->alias[i].port;
		alias->transport = (uint8_t)config->alias[i].transport;
	}
	if (config->server_header != NULL)
		snprintf(pc->server, sizeof(pc->server), "%s", config->server_header);
	if (app->kernel != NULL) {
		pc->route = route_to;
		pc->route_arg = (void *)(uintptr_t)app;
	}
	return plan_listeners(app, config, plan, error, error_size);
}

static int publish(struct app *app, const struct plan *plan, char *error, size_t error_size)
{
	int err = proxy_configure(app->proxy, &plan->config);

	if (err != 0)
		snprintf(error, error_size, "listeners: %s", strerror(-err));
	return err;
}

static void placeholder_drop(struct app *app, unsigned i)
{
	kernel_placeholder_close(app->kernel, &app->placeholder[i]);
	app->placeholder[i] = app->placeholder[--app->placeholders];
}

static bool plan_has(const struct plan *plan, const struct net_endpoint *ep)
{
	for (unsigned i = 0; i < plan->config.listeners; i++)
		if (net_endpoint_equal(&plan->listener[i].ep, ep))
			return true;
	return false;
}

static int placeholder_add(
	struct app *app, const struct net_endpoint *ep, char *error, size_t error_size)
{
	char text[NET_ENDPOINT_TEXT_MAX];
	int err;

	for (unsigned i = 0; i < app->placeholders; i++)
		if (net_endpoint_equal(&app->placeholder[i], ep))
			return 0;
	err = app->placeholders < LISTENERS_PLACEHOLDERS_MAX
		      ? kernel_placeholder_open(app->kernel, ep)
		      : -ENOSPC;
	if (err == 0) {
		app->placeholder[app->placeholders++] = *ep;
		return 0;
	}
	net_endpoint_format(ep, text);
	snprintf(error, error_size,
		err == -EADDRINUSE ? "listen udp:%s: another program has this port open (see: ss "
				     "-ulpn 'sport = :%u')"
				   : "listen udp:%s: port %u: %s",
		text, ep->port, strerror(-err));
	return err;
}

/*
 * All or nothing: the sockets of new listeners are opened first, then the listeners are published,
 * then the sockets of those that are gone are closed.
 */
static int plan_apply(struct app *app, const struct plan *plan, char *error, size_t error_size)
{
	unsigned before = app->placeholders;
	int err = 0;

	for (unsigned i = 0; i < plan->config.listeners && err == 0; i++)
		err = placeholder_add(app, &plan->listener[i].ep, error, error_size);
	if (err == 0)
		err = publish(app, plan, error, error_size);
	if (err != 0) {
		while (app->placeholders > before)
			placeholder_drop(app, app->placeholders - 1);
		return err;
	}
	for (unsigned i = app->placeholders; i-- > 0;)
		if (!plan_has(plan, &app->placeholder[i]))
			placeholder_drop(app, i);
	return 0;
}

static struct plan *plan_create(
	const struct app *app, const struct route_config *config, char *error, size_t error_size)
{
	struct plan *plan = malloc(sizeof(*plan));

	if (plan == NULL) {
		snprintf(error, error_size, "not enough memory");
		return NULL;
	}
	if (plan_make(app, config, plan, error, error_size) != 0) {
		free(plan);
		return NULL;
	}
	return plan;
}

int listeners_apply(
	struct app *app, const struct route_config *config, char *error, size_t error_size)
{
	struct plan *plan = plan_create(app, config, error, error_size);
	int err = plan != NULL ? plan_apply(app, plan, error, error_size) : -EINVAL;

	if (err == 0)
		app->config = config;
	free(plan);
	return err;
}

void listeners_follow(struct app *app)
{
	char error[512];
	struct plan *plan;
	bool same;

	if (app->config == NULL)
		return;
	plan = plan_create(app, app->config, error, sizeof(error));
	if (plan == NULL)
		goto failed;
	/* Neighbours come and go much more often than addresses. */
	same = plan->config.listeners == app->placeholders;
	for (unsigned i = 0; same && i < app->placeholders; i++)
		same = plan_has(plan, &app->placeholder[i]);
	if (same || plan_apply(app, plan, error, sizeof(error)) == 0) {
		free(plan);
		return;
	}
	free(plan);
failed:
	log_warning("%s", error);
}

int listeners_on_paper(struct app *app)
{
	char error[512];
	struct plan *plan =
		plan_create(app, route_script_config(app->script), error, sizeof(error));
	int err = plan != NULL ? publish(app, plan, error, sizeof(error)) : -EINVAL;

	if (err != 0)
		fprintf(stderr, "%s\n", error);
	free(plan);
	return err;
}

void listeners_print(const struct app *app)
{
	printf("listen");
	for (unsigned i = 0; i < proxy_listener_count(app->proxy); i++) {
		const struct proxy_listener *l = proxy_listener_at(app->proxy, i);
		char text[NET_ENDPOINT_TEXT_MAX];

		if (l == NULL)
			continue;
		net_endpoint_format(&l->ep, text);
		printf("%s udp %s", i > 0 ? "," : "", text);
		if (l->advertise_host[0] != '\0')
			printf(" (%s:%u)", l->advertise_host,
				l->advertise_port != 0 ? l->advertise_port : l->ep.port);
	}
	printf("\n");
}
