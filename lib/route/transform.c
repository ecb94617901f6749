/* SPDX-License-Identifier: BSD-3-Clause */
/* Transformations of values, with Kamailio's names and meanings. */
#include "route/transform.h"

static const struct transform_name {
	const char *name;
	enum transform_kind kind;
	unsigned args;
} names[] = {
	{"s.len", TRANSFORM_LENGTH, 0},
	{"s.int", TRANSFORM_INT, 0},
	{"s.tolower", TRANSFORM_LOWER, 0},
	{"s.lower", TRANSFORM_LOWER, 0},
	{"s.toupper", TRANSFORM_UPPER, 0},
	{"s.upper", TRANSFORM_UPPER, 0},
	{"s.substr", TRANSFORM_SUBSTRING, 2},
	{"uri.user", TRANSFORM_URI_USER, 0},
	{"uri.host", TRANSFORM_URI_HOST, 0},
	{"uri.port", TRANSFORM_URI_PORT, 0},
	{"uri.param", TRANSFORM_URI_PARAM, 1},
};

/* The text up to the next comma, trimmed; `rest` is what follows it, or none. */
static struct str next_part(struct str *rest)
{
	int64_t comma = str_find(*rest, ',');
	struct str part = str_trim(comma < 0 ? *rest : str_of(rest->s, (size_t)comma));

	*rest = comma < 0 ? STR_NONE : str_of(rest->s + comma + 1, rest->len - (uint32_t)comma - 1);
	return part;
}

bool transform_parse(struct str text, struct transform *out)
{
	struct str rest = text, name = next_part(&rest);

	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct route_value number[2] = {{.type = ROUTE_STR}, {.type = ROUTE_STR}};

		if (!str_eq(name, str_c(names[i].name)))
			continue;
		*out = (struct transform){.kind = names[i].kind};
		for (unsigned n = 0; n < names[i].args; n++) {
			if (rest.s == NULL)
				return false;
			number[n].s = next_part(&rest);
		}
		out->name = number[0].s;
		if (rest.s != NULL)
			return false;
		if (out->kind == TRANSFORM_SUBSTRING)
			return value_as_int(&number[0], &out->offset) &&
			       value_as_int(&number[1], &out->length);
		return out->kind != TRANSFORM_URI_PARAM || out->name.len != 0;
	}
	return false;
}

static bool change_case(struct route_ctx *ctx, struct str s, bool upper, struct route_value *value)
{
	struct route_text text = route_text_make(ctx, s);

	if (text.space == ROUTE_SPACE_NONE)
		return false;
	for (char *c = ctx->text + text.off, *end = c + text.len; c < end; c++)
		*c = upper && *c >= 'a' && *c <= 'z' ? (char)(*c & ~0x20)
		     : upper                         ? *c
						     : str_lower_char(*c);
	return value_str(value, route_text_str(ctx, text));
}

/* A negative offset counts from the end; a length of 0 means all that is left. */
static struct str substring(struct str s, int64_t offset, int64_t length)
{
	if (offset < 0)
		offset += s.len;
	if (offset < 0 || offset > s.len || length < 0)
		return STR("");
	if (length == 0 || length > (int64_t)s.len - offset)
		length = (int64_t)s.len - offset;
	return str_of(s.s + offset, (size_t)length);
}

static bool uri_part(const struct transform *transform, struct str s, struct route_value *value)
{
	struct uri_view view;
	struct sip_span span = {0, 0};
	bool parsed = uri_view_of(s, &view);

	if (transform->kind == TRANSFORM_URI_PORT)
		return value_int(value, parsed ? view.uri->port : 0);
	if (!parsed)
		return value_str(value, STR(""));
	if (transform->kind == TRANSFORM_URI_USER)
		span = view.uri->user;
	else if (transform->kind == TRANSFORM_URI_HOST)
		span = view.uri->host;
	else if (!sip_param_find(view.base, view.uri->params, transform->name, &span, NULL))
		return value_str(value, STR(""));
	return value_str(value, sip_text(view.base, span));
}

bool transform_apply(
	struct route_ctx *ctx, const struct transform *transform, struct route_value *value)
{
	char digits[VALUE_NUMBER_MAX];
	struct str s = value_as_text(value, digits);
	int64_t number = 0;

	/* The digits of a number are kept where a part of them may be the result. */
	if (value->type == ROUTE_INT && transform->kind != TRANSFORM_LENGTH &&
		transform->kind != TRANSFORM_INT) {
		if (!value_made(ctx, value, s))
			return false;
		s = value->s;
	}
	switch (transform->kind) {
	case TRANSFORM_LENGTH:
		return value_int(value, s.len);
	case TRANSFORM_INT:
		/* Text that is no number reads 0. */
		return value_int(value, value_as_int(value, &number) ? number : 0);
	case TRANSFORM_LOWER:
		return change_case(ctx, s, false, value);
	case TRANSFORM_UPPER:
		return change_case(ctx, s, true, value);
	case TRANSFORM_SUBSTRING:
		return value_str(value, substring(s, transform->offset, transform->length));
	default:
		return uri_part(transform, s, value);
	}
}
