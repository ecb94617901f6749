/* SPDX-License-Identifier: BSD-3-Clause */
/* OpenSER's module domain: whether a domain is one of ours. */
#include <errno.h>

#include "access/internal.h"

struct domain_config {
	const char *domain_file;
};

static int32_t is_local(const struct route_args *args, struct str host)
{
	return access_domain_is_local(args->room, host) ? ROUTE_TRUE : ROUTE_FALSE;
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

	return uri_host(route_ctx_uri(ctx), &host) ? is_local(args, host) : ROUTE_FALSE;
}

static int32_t run_is_from_local(struct route_ctx *ctx, const struct route_args *args)
{
	const struct sip_address *from = sip_msg_from(&ctx->msg, ctx->buf);
	struct str host;

	if (from == NULL || !uri_host(sip_text(ctx->buf, from->uri), &host))
		return ROUTE_FALSE;
	return is_local(args, host);
}

static int32_t run_is_domain_local(struct route_ctx *ctx, const struct route_args *args)
{
	struct str domain = args->v[0].s;

	if (args->v[0].type != ROUTE_STR)
		return ROUTE_FALSE;
	if (domain.len > 2 && domain.s[0] == '[' && domain.s[domain.len - 1] == ']')
		domain = str_of(domain.s + 1, domain.len - 2);
	return is_local(args, domain);
}

static int prepare(void *room, const void *config, struct route_report *report, void **prepared)
{
	const struct domain_config *c = config;

	*prepared = access_domains_load(c->domain_file, report);
	return *prepared != NULL ? 0 : -EINVAL;
}

static void publish(void *room, void *prepared)
{
	struct access *a = room;
	struct access_domains *old =
		atomic_exchange_explicit(&a->domains, prepared, memory_order_acq_rel);

	access_retire(a, old, access_domains_free);
}

static void discard(void *room, void *prepared)
{
	access_domains_free(prepared);
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
	{.name = NULL},
};

#define DB_PARAM(text) \
	{ \
		.name = text, .type = ROUTE_PARAM_STR, .accepted_only = true \
	}
#define DB_NUMBER(text) \
	{ \
		.name = text, .type = ROUTE_PARAM_INT, .min = INT64_MIN, .max = INT64_MAX, \
		.accepted_only = true \
	}

static const struct route_param params[] = {
	{.name = "domain_file",
		.type = ROUTE_PARAM_FILE,
		.offset = offsetof(struct domain_config, domain_file),
		.help = "File of our domains, one a line."},
	DB_PARAM("db_url"),
	DB_NUMBER("db_mode"),
	DB_PARAM("domain_table"),
	DB_PARAM("domain_col"),
	DB_PARAM("did_col"),
	DB_PARAM("attrs_col"),
	DB_PARAM("subdomain_col"),
	DB_PARAM("domain_attrs_table"),
	DB_PARAM("domain_attrs_did_col"),
	DB_PARAM("domain_attrs_name_col"),
	DB_PARAM("domain_attrs_type_col"),
	DB_PARAM("domain_attrs_value_col"),
	DB_NUMBER("register_myself"),
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
