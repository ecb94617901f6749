/* SPDX-License-Identifier: BSD-3-Clause */
/* What the modules of this room have in common: arguments, URIs, and questions to databases. */
#include <stdio.h>

#include "auth/internal.h"

bool auth_arg_number(const struct route_value *v, int64_t max, int64_t *out)
{
	uint64_t u = 0;

	if (v->type == ROUTE_INT) {
		*out = v->i;
		return v->i >= 0 && v->i <= max;
	}
	if (v->type != ROUTE_STR || str_to_u64(str_trim(v->s), (uint64_t)max, &u) != 0)
		return false;
	*out = (int64_t)u;
	return true;
}

bool auth_uri_read(struct str text, struct str *user, struct str *host)
{
	struct sip_uri uri;

	if (text.len == 0 || sip_uri_parse(text.s, (struct sip_span){0, text.len}, &uri) != 0)
		return false;
	*user = sip_text(text.s, uri.user);
	*host = sip_text(text.s, uri.host);
	return uri.scheme != SIP_SCHEME_OTHER;
}

/* ---- SQL ---- */

int auth_statement(struct auth *a, const struct auth_asks *asks, const char *text,
	const char *otherwise, const char *columns, unsigned params,
	const struct route_place *place, struct route_report *report)
{
	const struct db_statement statement = {.text = text,
		.otherwise = otherwise,
		.columns = columns,
		.params = (uint8_t)params,
		.ttl_s = (uint32_t)asks->ttl,
		.negative_ttl_s = (uint32_t)asks->negative_ttl};
	const char *url = asks->db_url != NULL ? asks->db_url : a->db_url;
	char error[512] = "";
	int ret;

	if (a->config.db == NULL || url[0] == '\0') {
		route_error(report, place, "this asks a database, and db_url names none");
		return -EINVAL;
	}
	ret = db_use(a->config.db, url, error, sizeof(error));
	if (ret >= 0)
		ret = db_statement(a->config.db, ret, &statement, error, sizeof(error));
	if (ret < 0)
		route_error(report, place, "%s", error);
	return ret;
}

int32_t auth_ask(struct auth *a, struct route_ctx *ctx, unsigned statement, const struct str *param,
	unsigned params, unsigned domain, struct db_set *out)
{
	struct db_value value[DB_PARAMS_MAX];
	char call[AUTH_CALL_MAX], lower[AUTH_CALL_MAX];
	int32_t ret;
	int len;

	for (unsigned i = 0; i < params; i++)
		value[i] = db_text(param[i]);
	if (domain < params && param[domain].len <= sizeof(lower)) {
		str_lower(lower, param[domain]);
		value[domain].s.s = lower;
	}
	len = db_pack(a->config.db, call, sizeof(call), 0, statement, value, params);
	if (len < 0)
		return ROUTE_FALSE;
	ret = route_rows(ctx, a->config.db, str_of(call, (size_t)len), out);
	if (ret == ROUTE_NO_ROWS)
		auth_count(a, ctx, AUTH_COUNTER_NO_ANSWER);
	return ret;
}
