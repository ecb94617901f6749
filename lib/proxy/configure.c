/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The snapshot of listeners, aliases and settings: built and published by the control thread.
 */
#include "proxy/internal.h"

#include <stdio.h>
#include <stdlib.h>

struct proxy *proxy_create(struct rcu *rcu, struct resolver *resolver)
{
	struct proxy *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return NULL;
	p->rcu = rcu;
	p->resolver = resolver;
	/* Without listeners at first: whoever asks gets an answer. */
	if (proxy_configure(p, &(struct proxy_config){.require_token = true}) != 0) {
		free(p);
		return NULL;
	}
	return p;
}

void proxy_destroy(struct proxy *p)
{
	if (p == NULL)
		return;
	free(atomic_load_explicit(&p->keys, memory_order_relaxed));
	free(atomic_load_explicit(&p->sockets, memory_order_relaxed));
	free(p);
}

void proxy_retire(struct proxy *p, void *object)
{
	/* Where too many wait, some reader is stuck: leaking one snapshot is better than freeing it
	 * under a reader. */
	if (p->rcu == NULL)
		free(object);
	else
		(void)rcu_retire(p->rcu, object, free);
}

static void add_name(
	struct sockets *s, struct str host, uint16_t port, uint8_t transport, int socket)
{
	struct name *n = &s->name[s->names];
	struct net_addr addr;
	uint32_t slot;

	n->host_len = (uint16_t)proxy_host_canonical(host, n->host);
	if (n->host_len == 0)
		return;
	if (net_addr_parse((struct str){n->host, n->host_len}, &addr) == 0 && addr.family == 4)
		s->ip4_names |= proxy_ip4_bit(addr.v4);
	slot = proxy_name_slot(n->host, n->host_len);
	n->port = port;
	n->transport = transport;
	n->socket = (int16_t)socket;
	n->next = s->by_name[slot];
	s->by_name[slot] = (int16_t)s->names++;
}

static void put_host(struct text *t, struct str host)
{
	bool brackets = host.len != 0 && host.s[0] != '[' && memchr(host.s, ':', host.len) != NULL;

	if (brackets)
		text_lit(t, "[");
	text_put(t, host);
	if (brackets)
		text_lit(t, "]");
}

static bool host_is_plain(const char *host, size_t size)
{
	size_t len = strnlen(host, size);

	if (len == size)
		return false;
	for (size_t i = 0; i < len; i++) {
		char c = host[i];

		if (!str_is_alpha(c) && !str_is_digit(c) && strchr(".-_:[]", c) == NULL)
			return false;
	}
	return true;
}

static int socket_init(struct sockets *s, unsigned index, const struct proxy_listener *listener)
{
	struct socket *k = &s->socket[index];
	struct text via = {k->via, 0, sizeof(k->via), false},
		    sip = {k->sip, 0, sizeof(k->sip), false},
		    record = {k->record, 0, sizeof(k->record), false};
	struct str transport = sip_transport_name(listener->transport);
	char literal[NET_ADDR_TEXT_MAX];
	struct str host;
	uint16_t port;

	if (!host_is_plain(listener->advertise_host, sizeof(listener->advertise_host)) ||
		transport.len == 0 || listener->ep.port == 0 ||
		(listener->ep.addr.family != 4 && listener->ep.addr.family != 6))
		return -EINVAL;
	k->listener = *listener;
	k->id = proxy_listener_id(&listener->ep, listener->transport);
	k->loopback = net_addr_is_loopback(&listener->ep.addr);
	proxy_place_write(k->place, s->node, k->id);
	host = (struct str){literal, net_addr_format(&listener->ep.addr, literal)};
	add_name(s, host, listener->ep.port, listener->transport, (int)index);
	port = listener->advertise_port != 0 ? listener->advertise_port : listener->ep.port;
	if (listener->advertise_host[0] != 0)
		host = str_c(listener->advertise_host);
	if (listener->advertise_host[0] != 0 || port != listener->ep.port)
		add_name(s, host, port, listener->transport, (int)index);

	text_lit(&via, "Via: SIP/2.0/");
	text_put(&via, transport);
	text_lit(&via, " ");
	k->sent_by = (uint16_t)via.len;
	put_host(&via, host);
	text_lit(&via, ":");
	text_number(&via, port);
	k->sent_by_len = (uint16_t)(via.len - k->sent_by);
	text_lit(&via, ";branch=" BRANCH_COOKIE);
	k->via_len = (uint16_t)via.len;

	text_lit(&sip, "sip:");
	put_host(&sip, host);
	text_lit(&sip, ":");
	text_number(&sip, port);
	if (listener->transport != SIP_TRANSPORT_UDP) {
		text_lit(&sip, ";transport=");
		for (uint32_t i = 0; i < transport.len; i++) {
			char c = str_lower_char(transport.s[i]);

			text_put(&sip, (struct str){&c, 1});
		}
	}
	k->sip_len = (uint16_t)sip.len;

	text_lit(&record, "Record-Route: <");
	text_put(&record, (struct str){sip.s, sip.len});
	text_lit(&record, ";lr;" SIP_VIA_TOKEN_PARAM "=");
	k->record_len = (uint16_t)record.len;
	return via.full || sip.full || record.full ? -EINVAL : 0;
}

static int endpoint_add(struct sockets *s, unsigned index)
{
	const struct proxy_listener *l = &s->socket[index].listener;
	uint32_t slot = proxy_endpoint_slot(&l->ep);

	if (proxy_sockets_at_endpoint(s, &l->ep, l->transport) >= 0)
		return -EEXIST;
	while (s->by_endpoint[slot] >= 0)
		slot = (slot + 1) & (BUCKETS - 1);
	s->by_endpoint[slot] = (int16_t)index;
	slot = proxy_id_slot(s->socket[index].id);
	while (s->by_id[slot] >= 0)
		slot = (slot + 1) & (BUCKETS - 1);
	s->by_id[slot] = (int16_t)index;
	s->addresses |= proxy_address_bit(&l->ep.addr);
	return 0;
}

static int16_t named(const struct sockets *s, unsigned index)
{
	const struct proxy_listener *l = &s->socket[index].listener;
	uint16_t port = l->advertise_port != 0 ? l->advertise_port : l->ep.port;
	char literal[NET_ADDR_TEXT_MAX];

	if (l->advertise_host[0] != 0)
		return (int16_t)proxy_sockets_named(s, str_c(l->advertise_host), port);
	return (int16_t)proxy_sockets_named(
		s, (struct str){literal, net_addr_format(&l->ep.addr, literal)}, port);
}

/* Once all listeners are there. */
static void only_init(struct sockets *s)
{
	uint8_t seen[PORTS_WITH_ONLY][2] = {0};

	memset(s->only, -1, sizeof(s->only));
	for (unsigned i = 0; i < s->count; i++) {
		const struct proxy_listener *l = &s->socket[i].listener;
		unsigned six = l->ep.addr.family == 6;

		if (!proxy_sockets_has(s, i) || l->transport != SIP_TRANSPORT_UDP ||
			l->port >= PORTS_WITH_ONLY)
			continue;
		if (seen[l->port][six] < 2)
			seen[l->port][six]++;
		s->only[l->port][six] = seen[l->port][six] == 1 ? (int16_t)i : -1;
	}
}

static int settings_init(struct sockets *s, const struct proxy_config *config)
{
	size_t server = strnlen(config->server, sizeof(config->server));

	s->mhomed = config->mhomed;
	s->require_token = config->require_token;
	s->token_trusted_group = config->token_trusted_group;
	s->is_trusted = config->is_trusted;
	s->is_trusted_arg = config->is_trusted_arg;
	s->is_domain = config->is_domain;
	s->domains_are_unread = config->domains_are_unread;
	s->is_domain_arg = config->is_domain_arg;
	s->route = config->route;
	s->route_arg = config->route_arg;
	s->node = config->node;
	if (server == sizeof(config->server) || memchr(config->server, '\n', server) != NULL ||
		memchr(config->server, '\r', server) != NULL)
		return -EINVAL;
	if (server != 0)
		s->server_len = (uint16_t)snprintf(
			s->server, sizeof(s->server), "Server: %s\r\n", config->server);
	memset(s->by_endpoint, -1, sizeof(s->by_endpoint));
	memset(s->by_id, -1, sizeof(s->by_id));
	memset(s->by_name, -1, sizeof(s->by_name));
	return 0;
}

/*
 * Messages that wait, and those of a burst in hand, carry indices of listeners: one that stays
 * keeps its index, one that goes leaves its place empty (no family: nothing is received there or
 * sent from it), and a new one takes such a place only where there is no other left.
 */
struct order {
	unsigned places;
	int16_t listener[PROXY_LISTENERS_MAX]; /* by place; -1: empty */
};

static int place_of(const struct sockets *old, const struct proxy_listener *l)
{
	return old != NULL ? proxy_sockets_at_endpoint(old, &l->ep, l->transport) : -1;
}

static void order_make(
	const struct sockets *old, const struct proxy_config *config, struct order *out)
{
	unsigned hole = 0;

	out->places = old != NULL ? old->count : 0;
	memset(out->listener, -1, sizeof(out->listener));
	for (unsigned i = 0; i < config->listeners; i++) {
		int place = place_of(old, &config->listener[i]);

		if (place >= 0)
			out->listener[place] = (int16_t)i;
	}
	for (unsigned i = 0; i < config->listeners; i++) {
		int place = place_of(old, &config->listener[i]);

		if (place >= 0 && out->listener[place] == (int)i)
			continue;
		if (out->places < PROXY_LISTENERS_MAX) {
			out->listener[out->places++] = (int16_t)i;
			continue;
		}
		while (out->listener[hole] >= 0)
			hole++;
		out->listener[hole] = (int16_t)i;
	}
}

int proxy_configure(struct proxy *p, const struct proxy_config *config)
{
	struct sockets *old = atomic_load_explicit(&p->sockets, memory_order_relaxed), *s;
	struct order order;
	int ret;

	if (config->listeners > PROXY_LISTENERS_MAX || config->aliases > PROXY_ALIASES_MAX)
		return -E2BIG;
	order_make(old, config, &order);
	s = calloc(1, sizeof(*s) + order.places * sizeof(s->socket[0]));
	if (s == NULL)
		return -ENOMEM;
	ret = settings_init(s, config);
	for (; s->count < order.places && ret == 0; s->count++) {
		if (order.listener[s->count] < 0)
			continue;
		ret = socket_init(s, s->count, &config->listener[order.listener[s->count]]);
		if (ret == 0)
			ret = endpoint_add(s, s->count);
	}
	for (unsigned i = 0; i < config->aliases && ret == 0; i++) {
		const struct proxy_alias *alias = &config->alias[i];

		if (!host_is_plain(alias->host, sizeof(alias->host)) || alias->host[0] == 0)
			ret = -EINVAL;
		else
			add_name(s, str_c(alias->host), alias->port, alias->transport, -1);
	}
	if (ret != 0) {
		free(s);
		return ret;
	}
	only_init(s);
	for (unsigned i = 0; i < s->count; i++)
		s->socket[i].named = named(s, i);
	atomic_store_explicit(&p->sockets, s, memory_order_release);
	if (old != NULL)
		proxy_retire(p, old);
	return 0;
}
