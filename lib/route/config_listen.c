/* SPDX-License-Identifier: BSD-3-Clause */
/* listen and alias. */
#include "route/load.h"

const char *config_keep(struct route_load *load, struct str s)
{
	const char *kept = code_keep(load->script, s);

	if (kept == NULL)
		load_no_memory(load);
	return kept;
}

/* "udp:host:5060", "host:5060", "host", "[2001:db8::1]:5060": false where the port or the transport
 * is none. */
static bool split_socket(
	struct str word, enum sip_transport *transport, struct str *host, uint16_t *port)
{
	int64_t colon = str_find(word, ':');
	uint32_t number = 0;

	*transport = SIP_TRANSPORT_NONE;
	*port = 0;
	if (colon > 0 && word.s[0] != '[') {
		enum sip_transport t = sip_transport_of(str_of(word.s, (size_t)colon));

		if (t != SIP_TRANSPORT_NONE && t != SIP_TRANSPORT_OTHER) {
			*transport = t;
			word = str_of(word.s + colon + 1, word.len - (size_t)colon - 1);
		}
	}
	*host = word;
	if (word.len > 0 && word.s[0] == '[') {
		colon = str_find(word, ']');
		if (colon < 0)
			return false;
		*host = str_of(word.s, (size_t)colon + 1);
		if ((uint32_t)colon + 1 == word.len)
			return true;
		if (word.s[++colon] != ':')
			return false;
	} else {
		colon = str_find(word, ':');
		if (colon < 0)
			return word.len > 0;
		*host = str_of(word.s, (size_t)colon);
	}
	if (str_to_u32(str_of(word.s + colon + 1, word.len - (size_t)colon - 1), 65535, &number) !=
			0 ||
		number == 0)
		return false;
	*port = (uint16_t)number;
	return host->len > 0;
}

void config_listen(struct route_load *load, struct str word, struct ast_at at, struct str advertise,
	struct ast_at advertise_at, struct str name)
{
	struct route_config *config = &load->script->config;
	struct route_config_listen *listen = &config->listen[config->listens];
	enum sip_transport transport;
	struct str host;
	uint16_t port;

	if (config->listens == ROUTE_LISTEN_MAX) {
		load_error(load, at, "more than %d listeners", ROUTE_LISTEN_MAX);
		return;
	}
	if (!split_socket(word, &transport, &host, &port)) {
		load_error(load, at,
			"'%.*s' is no listener: write udp:ADDRESS:PORT or udp:PORTNAME:PORT",
			STR_FMT(word));
		return;
	}
	memset(listen, 0, sizeof(*listen));
	listen->place = load_place(load, at);
	listen->place.file = config_keep(load, str_c(listen->place.file));
	listen->transport = transport != SIP_TRANSPORT_NONE ? transport : SIP_TRANSPORT_UDP;
	listen->where = config_keep(load, host);
	listen->port = port;
	if (advertise.s != NULL) {
		if (!split_socket(advertise, &transport, &host, &port)) {
			load_error(load, advertise_at,
				"'%.*s' cannot be advertised: write HOST or HOST:PORT",
				STR_FMT(advertise));
			return;
		}
		listen->advertise_host = config_keep(load, host);
		listen->advertise_port = port;
	}
	if (name.s != NULL)
		listen->name = config_keep(load, name);
	config->listens++;
}

void config_alias(struct route_load *load, struct str word, struct ast_at at)
{
	struct route_config *config = &load->script->config;
	struct route_config_alias *alias = &config->alias[config->aliases];
	struct str host;
	uint16_t port;

	if (config->aliases == ROUTE_ALIAS_MAX) {
		load_error(load, at, "more than %d aliases", ROUTE_ALIAS_MAX);
		return;
	}
	if (!split_socket(word, &alias->transport, &host, &port)) {
		load_error(load, at, "'%.*s' is no alias: write HOST or HOST:PORT", STR_FMT(word));
		return;
	}
	alias->host = config_keep(load, host);
	alias->port = port;
	config->aliases++;
}

void config_finish(struct route_load *load)
{
	struct route_config *config = &load->script->config;

	for (unsigned i = 0; i < config->listens; i++) {
		struct route_config_listen *listen = &config->listen[i];
		bool known = false;
		struct net_addr addr;
		struct suggest near;

		if (listen->port == 0 && listen->transport == SIP_TRANSPORT_TLS)
			listen->port = SIPS_DEFAULT_PORT;
		else if (listen->port == 0)
			listen->port = config->port_default != 0 ? (uint16_t)config->port_default
								 : SIP_DEFAULT_PORT;
		if (listen->where == NULL || net_addr_parse(str_c(listen->where), &addr) == 0)
			continue;
		suggest_begin(&near, str_c(listen->where));
		for (unsigned j = 0; j < config->ports && !known; j++) {
			known = config->port[j].name != NULL &&
				strcmp(config->port[j].name, listen->where) == 0;
			suggest_offer(&near, str_c(config->port[j].name));
		}
		if (known)
			continue;
		if (suggest_end(&near) != NULL)
			route_error(load->report, &listen->place,
				"'%s' is neither an address nor a port (did you mean '%s'?)",
				listen->where, suggest_end(&near));
		else
			route_error(load->report, &listen->place,
				"'%s' is neither an address nor a port", listen->where);
	}
}
