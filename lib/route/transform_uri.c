/* SPDX-License-Identifier: BSD-3-Clause */
/* Transformations of URIs and what stands around them: {uri.*}, {param.*}, {nameaddr.*},
 * {tobody.*}. */
#include "route/transform.h"

/* A span of a URI; empty where it has none. */
static bool give(struct route_value *value, const char *base, struct sip_span span)
{
	return value_str(value, span.len != 0 ? sip_text(base, span) : STR(""));
}

static struct str unquote(struct str s)
{
	return s.len > 1 && s.s[0] == '"' && s.s[s.len - 1] == '"' ? str_of(s.s + 1, s.len - 2) : s;
}

/* ---- URIs ---- */

/* The parameter that such a transformation means, or an empty name. */
static struct str param_of(const struct transform *t)
{
	switch (t->kind) {
	case TRANSFORM_URI_PARAM:
		return t->text[0];
	case TRANSFORM_URI_TRANSPORT:
		return STR("transport");
	case TRANSFORM_URI_TTL:
		return STR("ttl");
	case TRANSFORM_URI_UPARAM:
		return STR("user");
	case TRANSFORM_URI_MADDR:
		return STR("maddr");
	case TRANSFORM_URI_METHOD:
		return STR("method");
	case TRANSFORM_URI_LR:
		return STR("lr");
	case TRANSFORM_URI_R2:
		return STR("r2");
	default:
		return STR("");
	}
}

static struct sip_span span_of(const struct transform *t, const struct sip_uri *uri)
{
	switch (t->kind) {
	case TRANSFORM_URI_USER:
	case TRANSFORM_TO_USER:
		return uri->user;
	case TRANSFORM_URI_HOST:
	case TRANSFORM_URI_DOMAIN:
	case TRANSFORM_TO_HOST:
		return uri->host;
	case TRANSFORM_URI_PASSWORD:
		return uri->password;
	case TRANSFORM_URI_PARAMS:
		return uri->params;
	case TRANSFORM_URI_HEADERS:
		return uri->headers;
	case TRANSFORM_URI_SCHEME:
		return uri->scheme_text;
	default:
		return (struct sip_span){0, 0};
	}
}

static bool part_of_uri(const struct transform *t, struct str s, struct route_value *value)
{
	struct str param = param_of(t);
	struct sip_span span = {0, 0};
	struct uri_view view;

	if (!uri_view_of(s, &view))
		return t->kind == TRANSFORM_URI_PORT ? value_int(value, 0)
						     : value_str(value, STR(""));
	if (t->kind == TRANSFORM_URI_PORT)
		return value_int(value, view.uri->port);
	if (param.len == 0)
		span = span_of(t, view.uri);
	else if (!sip_param_find(view.base, view.uri->params, param, &span, NULL))
		span.len = 0;
	return give(value, view.base, span);
}

/* "sip:user@host:port;transport=tcp", as much of it as is wanted. */
static void make_uri(
	struct transform_maker *m, const struct uri_view *view, bool user, bool host_only)
{
	const struct sip_uri *uri = view->uri;
	struct sip_span transport;

	transform_puts(m, sip_text(view->base, uri->scheme_text));
	transform_put(m, ':');
	if (user && uri->user.len != 0) {
		transform_puts(m, sip_text(view->base, uri->user));
		transform_put(m, '@');
	}
	if (!host_only) {
		transform_puts(m, sip_text(view->base, uri->hostport));
		if (sip_param_find(view->base, uri->params, STR("transport"), &transport, NULL)) {
			transform_puts(m, STR(";transport="));
			transform_puts(m, sip_text(view->base, transport));
		}
		return;
	}
	if (uri->host_is_ip6)
		transform_put(m, '[');
	transform_puts(m, sip_text(view->base, uri->host));
	if (uri->host_is_ip6)
		transform_put(m, ']');
}

static void make_socket(struct transform_maker *m, const struct uri_view *view)
{
	struct sip_span transport;

	if (sip_param_find(view->base, view->uri->params, STR("transport"), &transport, NULL))
		transform_puts(m, sip_text(view->base, transport));
	else
		transform_puts(m, STR("udp"));
	transform_put(m, ':');
	transform_puts(m, sip_text(view->base, view->uri->hostport));
}

bool transform_make_uri(struct transform_maker *m, const struct transform *t, struct str s)
{
	struct uri_view view;

	if (t->kind != TRANSFORM_URI_DESTINATION && t->kind != TRANSFORM_URI_AOR &&
		t->kind != TRANSFORM_URI_SIMPLE && t->kind != TRANSFORM_URI_SOCKET)
		return false;
	if (!uri_view_of(s, &view) || view.uri->host.len == 0)
		return true;
	if (t->kind == TRANSFORM_URI_SOCKET)
		make_socket(m, &view);
	else
		make_uri(m, &view, t->kind != TRANSFORM_URI_DESTINATION,
			t->kind == TRANSFORM_URI_AOR);
	return true;
}

/* ---- parameters ---- */

struct param {
	struct str name, value;
};

/* The next of "a=1;b=2", where what stands in double quotes is whole. False: there is none. */
static bool next_param(struct str *rest, char separator, struct param *out)
{
	struct str item;
	int64_t equals;
	uint32_t end;

	do {
		bool quoted = false;

		if (rest->len == 0)
			return false;
		for (end = 0; end < rest->len; end++) {
			char c = rest->s[end];

			if (quoted && c == '\\' && end + 1 < rest->len)
				end++;
			else if (c == '"')
				quoted = !quoted;
			else if (!quoted && c == separator)
				break;
		}
		item = str_trim(str_of(rest->s, end));
		*rest = end < rest->len ? str_of(rest->s + end + 1, rest->len - end - 1) : STR_NONE;
	} while (item.len == 0);
	equals = str_find(item, '=');
	out->name = equals < 0 ? item : str_trim(str_of(item.s, (size_t)equals));
	out->value = equals < 0 ? STR("")
				: unquote(str_trim(str_of(
					  item.s + equals + 1, item.len - (uint32_t)equals - 1)));
	return true;
}

static int64_t count_params(struct str s, char separator)
{
	struct param param;
	int64_t n = 0;

	while (next_param(&s, separator, &param))
		n++;
	return n;
}

/* The one of that name, or, where there is no name, of that number. */
static bool find_param(const struct transform *t, struct str s, struct param *out)
{
	int64_t n = t->number[0];

	if (t->text[0].len == 0 && n < 0)
		n += count_params(s, t->separator);
	while (next_param(&s, t->separator, out)) {
		if (t->text[0].len != 0 ? str_ieq(out->name, t->text[0]) : n-- == 0)
			return true;
	}
	return false;
}

static bool part_of_params(const struct transform *t, struct str s, struct route_value *value)
{
	struct param param;
	bool found;

	if (t->kind == TRANSFORM_PARAM_COUNT)
		return value_int(value, count_params(s, t->separator));
	found = find_param(t, s, &param);
	if (t->kind == TRANSFORM_PARAM_IN)
		return value_int(value, found);
	if (!found)
		return value_str(value, STR(""));
	return value_str(value, t->kind == TRANSFORM_PARAM_NAME ? param.name : param.value);
}

/* ---- addresses ---- */

static bool part_of_address(const struct transform *t, struct str s, struct route_value *value)
{
	struct sip_address address = {0};
	struct sip_uri uri;
	bool parsed =
		s.len > 0 && sip_address_parse(s.s, (struct sip_span){0, s.len}, &address) == 0;

	if (t->kind == TRANSFORM_ADDRESS_LENGTH)
		return value_int(value, !parsed ? 0
						: address.uri.off + address.uri.len +
							  address.brackets - address.value.off);
	if (!parsed)
		return value_str(value, STR(""));
	switch (t->kind) {
	case TRANSFORM_ADDRESS_NAME:
	case TRANSFORM_TO_DISPLAY:
		give(value, s.s, address.display);
		return value_str(value, unquote(value->s));
	case TRANSFORM_ADDRESS_URI:
	case TRANSFORM_TO_URI:
		return give(value, s.s, address.uri);
	case TRANSFORM_TO_TAG:
		return give(value, s.s, address.tag);
	case TRANSFORM_TO_PARAMS:
		return give(value, s.s, address.params);
	default:
		if (sip_uri_parse(s.s, address.uri, &uri) != 0)
			return value_str(value, STR(""));
		return give(value, s.s, span_of(t, &uri));
	}
}

bool transform_part_of_uri(const struct transform *t, struct str s, struct route_value *value)
{
	if (t->kind >= TRANSFORM_URI_USER && t->kind <= TRANSFORM_URI_R2)
		return part_of_uri(t, s, value);
	if (t->kind >= TRANSFORM_PARAM_VALUE && t->kind <= TRANSFORM_PARAM_COUNT)
		return part_of_params(t, s, value);
	return t->kind >= TRANSFORM_ADDRESS_NAME && t->kind <= TRANSFORM_TO_PARAMS &&
	       part_of_address(t, s, value);
}
