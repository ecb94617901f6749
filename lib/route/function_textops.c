/* SPDX-License-Identifier: BSD-3-Clause */
/* textops: questions about the method, the body and about texts. */
#include <errno.h>
#include <stdlib.h>

#include "route/function.h"

/* ---- is_method ---- */

/* Steps through "INVITE|ACK"; Kamailio trims nothing, we trim blanks. */
static bool next_token(struct str *rest, char separator, struct str *token)
{
	if (rest->s == NULL)
		return false;
	int64_t end = str_find(*rest, separator);

	if (end < 0) {
		*token = str_trim(*rest);
		*rest = STR_NONE;
	} else {
		*token = str_trim(str_of(rest->s, (size_t)end));
		*rest = str_of(rest->s + end + 1, rest->len - (uint32_t)end - 1);
	}
	return true;
}

/* What a script calls a method: those that have a number are written in any letter case there. */
static enum sip_method method_in_any_case(struct str token)
{
	char upper[16];

	if (token.len > sizeof(upper))
		return SIP_METHOD_OTHER;
	for (uint32_t i = 0; i < token.len; i++)
		upper[i] = token.s[i] >= 'a' && token.s[i] <= 'z' ? (char)(token.s[i] - 'a' + 'A')
								  : token.s[i];
	return sip_method_of(str_of(upper, token.len));
}

FUNCTION_CHECK(check_is_method)
{
	if (!arg[0].constant)
		return 0;
	struct str list = arg[0].value.s, rest = list, token;

	if (arg[0].value.type != ROUTE_STR || str_trim(list).len == 0) {
		route_error(report, &arg[0].place,
			"is_method() needs a method, or several with '|' between them");
		return -EINVAL;
	}
	struct methods *m = calloc(1, sizeof(*m) + list.len);

	if (m == NULL) {
		route_error(report, place, "out of memory");
		return -EINVAL;
	}
	memcpy(m->text, list.s, list.len);
	m->list = str_of(m->text, list.len);
	while (next_token(&rest, '|', &token)) {
		enum sip_method method = method_in_any_case(token);

		if (token.len == 0) {
			route_error(report, &arg[0].place, "an empty method name in '%.*s'",
				STR_FMT(list));
			free(m);
			return -EINVAL;
		}
		if (method == SIP_METHOD_OTHER)
			m->others = true;
		else
			m->known |= 1u << method;
	}
	*data = m;
	return 0;
}
_Static_assert(SIP_METHOD_COUNT <= 32, "methods are bits of a uint32_t");

/* Whether the list names a method by its text. */
static bool names_method(struct str list, struct str text)
{
	struct str token;

	while (next_token(&list, '|', &token))
		if (str_eq(token, text))
			return true;
	return false;
}

FUNCTION_RUN(run_is_method)
{
	const struct methods *m = args->data;
	struct sip_span text = ctx->msg.method_text;
	unsigned method = ctx->msg.method;

	if (ctx->msg.is_response) {
		if (!sip_msg_cseq(&ctx->msg, ctx->buf))
			return ROUTE_FALSE;
		method = ctx->msg.cseq_method;
		text = ctx->msg.cseq_method_text;
	}
	if (m == NULL)
		return truth(names_method(args->v[0].s, sip_text(ctx->buf, text)));
	if (method != SIP_METHOD_OTHER)
		return truth((m->known >> method & 1) != 0);
	return truth(m->others && names_method(m->list, sip_text(ctx->buf, text)));
}

/* ---- has_body ---- */

/* "application/sdp;charset=utf-8" without its parameters. */
static struct str media_type(struct str value)
{
	int64_t end = str_find(value, ';');

	return str_trim(end < 0 ? value : str_of(value.s, (size_t)end));
}

FUNCTION_CHECK(check_has_body)
{
	if (n == 0 || !arg[0].constant)
		return 0;
	if (arg[0].value.type == ROUTE_STR && str_find(media_type(arg[0].value.s), '/') > 0)
		return 0;
	route_error(
		report, &arg[0].place, "has_body() needs a media type, such as application/sdp");
	return -EINVAL;
}

FUNCTION_RUN(run_has_body)
{
	if (ctx->msg.body_len == 0)
		return ROUTE_FALSE;
	if (args->n == 0)
		return ROUTE_TRUE;
	struct str type = sip_text(ctx->buf, sip_msg_value(&ctx->msg, SIP_HEADER_CONTENT_TYPE));

	return truth(args->v[0].type == ROUTE_STR &&
		     str_ieq(media_type(type), media_type(args->v[0].s)));
}

/* ---- texts ---- */

FUNCTION_RUN(run_cmp_str)
{
	char digits[2][VALUE_NUMBER_MAX];

	return truth(str_eq(
		value_as_text(&args->v[0], digits[0]), value_as_text(&args->v[1], digits[1])));
}

FUNCTION_RUN(run_cmp_istr)
{
	char digits[2][VALUE_NUMBER_MAX];

	return truth(str_ieq(
		value_as_text(&args->v[0], digits[0]), value_as_text(&args->v[1], digits[1])));
}

FUNCTION_RUN(run_starts_with)
{
	char digits[2][VALUE_NUMBER_MAX];
	struct str text = value_as_text(&args->v[0], digits[0]);
	struct str start = value_as_text(&args->v[1], digits[1]);

	return truth(text.len >= start.len && str_eq(str_of(text.s, start.len), start));
}

FUNCTION_RUN(run_ends_with)
{
	char digits[2][VALUE_NUMBER_MAX];
	struct str text = value_as_text(&args->v[0], digits[0]);
	struct str end = value_as_text(&args->v[1], digits[1]);

	return truth(
		text.len >= end.len && str_eq(str_of(text.s + text.len - end.len, end.len), end));
}

FUNCTION_RUN(run_str_find)
{
	char digits[2][VALUE_NUMBER_MAX];

	return truth(text_contains(value_as_text(&args->v[0], digits[0]),
		value_as_text(&args->v[1], digits[1]), false));
}

FUNCTION_RUN(run_str_ifind)
{
	char digits[2][VALUE_NUMBER_MAX];

	return truth(text_contains(value_as_text(&args->v[0], digits[0]),
		value_as_text(&args->v[1], digits[1]), true));
}

/* ---- is_privacy ---- */

static const char *const privacy_values[] = {
	"header", "session", "user", "none", "critical", "id", "history"};

FUNCTION_CHECK(check_privacy)
{
	struct str text = arg[0].value.s;

	if (!arg[0].constant)
		return 0;
	for (size_t i = 0; i < sizeof(privacy_values) / sizeof(privacy_values[0]); i++) {
		if (arg[0].value.type == ROUTE_STR && str_ieq(text, str_c(privacy_values[i])))
			return 0;
	}
	route_error(report, &arg[0].place,
		"a privacy value is header, session, user, none, critical, id or history");
	return -EINVAL;
}

/* RFC 3323 4.2: the values are separated by semicolons; commas are met as well. */
FUNCTION_RUN(run_is_privacy)
{
	if (args->v[0].type != ROUTE_STR)
		return ROUTE_FALSE;
	SIP_MSG_FOREACH (&ctx->msg, SIP_HEADER_PRIVACY, h) {
		struct str rest = sip_text(ctx->buf, sip_header_value(h)), token;

		while (rest.len > 0) {
			uint32_t n = 0;

			while (n < rest.len && rest.s[n] != ';' && rest.s[n] != ',')
				n++;
			token = str_trim(str_of(rest.s, n));
			if (str_ieq(token, args->v[0].s))
				return ROUTE_TRUE;
			n += n < rest.len;
			rest = str_of(rest.s + n, rest.len - n);
		}
	}
	return ROUTE_FALSE;
}

/* ---- lists ---- */

FUNCTION_CHECK(check_in_list)
{
	if (!arg[2].constant || (arg[2].value.type == ROUTE_STR && arg[2].value.s.len == 1))
		return 0;
	route_error(report, &arg[2].place, "the separator is one character");
	return -EINVAL;
}

/* Whether the subject is an element, or begins with one. */
static int32_t in_list(const struct route_args *args, bool prefix)
{
	char digits[3][VALUE_NUMBER_MAX];
	struct str subject = value_as_text(&args->v[0], digits[0]);
	struct str rest = value_as_text(&args->v[1], digits[1]);
	struct str separator = value_as_text(&args->v[2], digits[2]);
	struct str token;

	if (separator.len != 1)
		return ROUTE_FALSE;
	while (next_token(&rest, separator.s[0], &token)) {
		struct str begin = subject;

		if (prefix && token.len != 0 && token.len < subject.len)
			begin.len = token.len;
		if (str_eq(token, begin))
			return ROUTE_TRUE;
	}
	return ROUTE_FALSE;
}

FUNCTION_RUN(run_in_list)
{
	return in_list(args, false);
}

FUNCTION_RUN(run_in_list_prefix)
{
	return in_list(args, true);
}
