/* SPDX-License-Identifier: BSD-3-Clause */
/* OpenSER's module domain: whether a domain is one of ours. */
#include <errno.h>
#include <stdlib.h>

#include "access/internal.h"

#define AVP_NAME_MAX 64 /* bytes of what lookup_domain() puts before the name of an AVP */

struct domain_config {
	struct access_source source;
	int64_t register_myself;
};

/* A domain was not found. While its table was never read that says nothing, and no script is to go
 * on as if it were somebody else's: it may ask only our own for a password. */
static int32_t not_found(struct route_ctx *ctx, const struct route_args *args)
{
	if (access_domains_are_unread(args->room))
		ctx->failure = ROUTE_FAILURE_LIST_UNREAD;
	return ROUTE_FALSE;
}

static int32_t is_local(struct route_ctx *ctx, const struct route_args *args, struct str host)
{
	return access_domain_is_local(args->room, host) ? ROUTE_TRUE : not_found(ctx, args);
}

/* The host of URI text; false where it has none (tel, or no URI). */
static bool uri_host(struct str text, struct str *host)
{
	struct sip_uri uri;

	if (text.len == 0 || sip_uri_parse(text.s, (struct sip_span){0, text.len}, &uri) != 0 ||
		uri.host.len == 0)
		return false;
	*host = sip_text(text.s, uri.host);
	return true;
}

static int32_t run_is_uri_host_local(struct route_ctx *ctx, const struct route_args *args)
{
	struct str host;

	return uri_host(route_ctx_uri(ctx), &host) ? is_local(ctx, args, host) : ROUTE_FALSE;
}

static int32_t run_is_from_local(struct route_ctx *ctx, const struct route_args *args)
{
	const struct sip_address *from = sip_msg_from(&ctx->msg, ctx->buf);
	struct str host;

	if (from == NULL || !uri_host(sip_text(ctx->buf, from->uri), &host))
		return ROUTE_FALSE;
	return is_local(ctx, args, host);
}

static struct str without_brackets(struct str domain)
{
	if (domain.len > 2 && domain.s[0] == '[' && domain.s[domain.len - 1] == ']')
		return str_of(domain.s + 1, domain.len - 2);
	return domain;
}

static int32_t run_is_domain_local(struct route_ctx *ctx, const struct route_args *args)
{
	if (args->v[0].type != ROUTE_STR)
		return ROUTE_FALSE;
	return is_local(ctx, args, without_brackets(args->v[0].s));
}

/* The domain's id becomes an AVP, as its attributes do in Kamailio. */
static int32_t run_lookup_domain(struct route_ctx *ctx, const struct route_args *args)
{
	struct route_value value = {.type = ROUTE_STR};
	char room[AVP_NAME_MAX + 3];
	struct str domain = args->v[0].s, name = {room, 0};

	if (args->v[0].type != ROUTE_STR || (args->n > 1 && args->v[1].type != ROUTE_STR))
		return ROUTE_FALSE;
	if (args->n > 1 && args->v[1].s.len > AVP_NAME_MAX)
		return ROUTE_FALSE;
	if (!access_find_domain(args->room, without_brackets(domain), &value.s))
		return not_found(ctx, args);
	if (args->n > 1) {
		memcpy(room, args->v[1].s.s, args->v[1].s.len);
		name.len = args->v[1].s.len;
	}
	memcpy(room + name.len, "did", 3);
	name.len += 3;
	return route_avp_add(ctx, name, &value) ? ROUTE_TRUE : ROUTE_FALSE;
}

/* ---- the list ---- */

struct prepared {
	struct access_prepared *list;
	bool myself;
};

static int prepare(void *room, const void *config, struct route_report *report, void **prepared)
{
	const struct domain_config *c = config;
	struct prepared *p = calloc(1, sizeof(*p));
	int err;

	if (p == NULL) {
		route_error(report, NULL, "domain: not enough memory");
		return -ENOMEM;
	}
	p->myself = c->register_myself != 0;
	err = access_list_prepare(room, ACCESS_DOMAINS, &c->source, true, report, &p->list);
	if (err != 0)
		free(p);
	else
		*prepared = p;
	return err;
}

static void publish(void *room, void *prepared)
{
	struct prepared *p = prepared;
	struct access *a = room;

	access_list_publish(a, p->list);
	atomic_store_explicit(&a->myself, p->myself, memory_order_relaxed);
	free(p);
}

static void discard(void *room, void *prepared)
{
	struct prepared *p = prepared;

	access_list_discard(p->list);
	free(p);
}

static const struct route_function functions[] = {
	{.name = "is_uri_host_local",
		.in = ROUTE_IN_REQUEST | ROUTE_IN_FAILURE | ROUTE_IN_BRANCH,
		.run = run_is_uri_host_local,
		.usage = "is_uri_host_local()",
		.help = "Whether the host of the Request-URI, as it will leave, is one of our "
			"domains."},
	{.name = "is_from_local",
		.in = ROUTE_IN_ANY,
		.run = run_is_from_local,
		.usage = "is_from_local()",
		.help = "Whether the host of the From URI is one of our domains."},
	{.name = "is_domain_local",
		.args_min = 1,
		.args_max = 1,
		.in = ROUTE_IN_ANY,
		.run = run_is_domain_local,
		.usage = "is_domain_local(domain)",
		.help = "Whether a domain is one of ours, in any letter case."},
	{.name = "lookup_domain",
		.args_min = 1,
		.args_max = 2,
		.in = ROUTE_IN_ANY,
		.run = run_lookup_domain,
		.usage = "lookup_domain(domain [, prefix])",
		.help = "The same, and sets $avp(did), with the prefix before its name, to the "
			"domain's id: what the column did has, else the domain itself."},
	{.name = NULL},
};

#define NO_ATTRIBUTES "Of a domain's attributes there is only its id."
#define NO_TABLE(text) \
	{ \
		.name = text, .type = ROUTE_PARAM_STR, .accepted_only = true, \
		.help = NO_ATTRIBUTES \
	}
#define TEXT(text, field, start, ...) \
	{ \
		.name = text, .type = ROUTE_PARAM_STR, \
		.offset = offsetof(struct domain_config, source.field), .initial = start, \
		.help = __VA_ARGS__ \
	}

static const struct route_param params[] = {
	{.name = "domain_file",
		.type = ROUTE_PARAM_FILE,
		.offset = offsetof(struct domain_config, source.file),
		.help = "File of our domains, one a line."},
	TEXT("db_url", db_url, NULL,
		"Database with a table of our domains, beside those of domain_file. Left out, the "
		"global db_url where there is no domain_file."),
	TEXT("domain_table", table, "domain", "Table of our domains."),
	TEXT("domain_col", column[0], "domain", "Column of the domain."),
	TEXT("did_col", column[1], "did", "Column of the domain's id."),
	{.name = "register_myself",
		.type = ROUTE_PARAM_INT,
		.offset = offsetof(struct domain_config, register_myself),
		.min = 0,
		.max = 1,
		.initial = "0",
		.help = "1: each of our domains is `myself`, on any port."},
	{.name = "db_mode",
		.type = ROUTE_PARAM_INT,
		.accepted_only = true,
		.help = "Domains are always in memory."},
	NO_TABLE("attrs_col"),
	NO_TABLE("subdomain_col"),
	NO_TABLE("domain_attrs_table"),
	NO_TABLE("domain_attrs_did_col"),
	NO_TABLE("domain_attrs_name_col"),
	NO_TABLE("domain_attrs_type_col"),
	NO_TABLE("domain_attrs_value_col"),
	{.name = NULL},
};

const struct route_module access_domain_module = {
	.name = "domain",
	.functions = functions,
	.params = params,
	.config_size = sizeof(struct domain_config),
	.prepare = prepare,
	.publish = publish,
	.discard = discard,
};
