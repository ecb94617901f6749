/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * textops: headers are added, removed and looked for. What a script adds is checked when it is
 * known: text of the file at load, text with values of a message in it each time, since a value may
 * hold the end of a line and a header of the sender's choice behind it.
 */
#include <errno.h>
#include <stdlib.h>

#include <stdio.h>
#include <time.h>

#include "route/function.h"
#include "route/pattern.h"

/* ---- header lines ---- */

/* RFC 3261 25.1 token. */
static bool is_token_char(char c)
{
	return str_is_alpha(c) || str_is_digit(c) || (c != '\0' && strchr("-.!%*_+`'~", c) != NULL);
}

/* A name, LWS, a colon: where a header line begins. */
static bool begins_header(struct str line)
{
	uint32_t i = 0;

	while (i < line.len && is_token_char(line.s[i]))
		i++;
	if (i == 0 || i > SIP_HEADER_NAME_MAX)
		return false;
	while (i < line.len && (line.s[i] == ' ' || line.s[i] == '\t'))
		i++;
	return i < line.len && line.s[i] == ':';
}

bool header_lines_are_whole(struct str text)
{
	bool first = true;

	if (text.len == 0)
		return false;
	while (text.len != 0) {
		const char *cr = memchr(text.s, '\r', text.len);
		struct str line = cr != NULL ? str_of(text.s, (size_t)(cr - text.s)) : text;

		if (line.len != 0 && (memchr(line.s, '\n', line.len) != NULL ||
					     memchr(line.s, '\0', line.len) != NULL))
			return false;
		bool continues = !first && line.len > 1 && (line.s[0] == ' ' || line.s[0] == '\t');

		if (!continues && !begins_header(line))
			return false;
		if (cr == NULL)
			break;
		if (text.len - line.len < 2 || cr[1] != '\n')
			return false;
		text = str_of(cr + 2, text.len - line.len - 2);
		first = false;
	}
	return true;
}

static bool ends_with_crlf(struct str text)
{
	return text.len >= 2 && text.s[text.len - 2] == '\r' && text.s[text.len - 1] == '\n';
}

/* One header line whose text is not the operator's: nothing in it may end it but its own end. */
static bool is_single_line(struct str text)
{
	if (ends_with_crlf(text))
		text.len -= 2;
	return header_lines_are_whole(text) && memchr(text.s, '\r', text.len) == NULL;
}

/* ---- append_hf, insert_hf, append_to_reply ---- */

static int refuse(struct route_report *report, const struct route_place *place)
{
	route_error(report, place,
		"this is no header line: it needs a name, a colon and a value, and no CR or LF but "
		"\\r\\n at its end");
	return -EINVAL;
}

/* The data is the format of the first argument. */
FUNCTION_CHECK(check_add_hf)
{
	if (!arg[0].constant)
		return 0;
	if (arg[0].value.type != ROUTE_STR)
		return refuse(report, &arg[0].place);
	struct route_format *format = route_format_compile(arg[0].value.s, &arg[0].place, report);

	if (format == NULL)
		return -EINVAL;
	struct route_value value;

	/* A constant is evaluated without a message. */
	if (route_format_is_constant(format) && format_parts(format) <= 1) {
		route_format_eval(NULL, format, &value);
		if (!header_lines_are_whole(value.s)) {
			route_format_free(format);
			return refuse(report, &arg[0].place);
		}
	}
	*data = format;
	return 0;
}

void free_add_hf(void *data)
{
	route_format_free(data);
}

/* The lines to add; false where they would be more, or other, than what the script wrote. */
static bool lines_to_add(struct route_ctx *ctx, const struct route_args *args, struct str *lines)
{
	const struct route_format *format = args->data;
	struct route_value value;
	bool clean = true;

	if (format == NULL) {
		*lines = args->v[0].type == ROUTE_STR ? args->v[0].s : STR_NONE;
		return is_single_line(*lines);
	}
	if (route_format_is_constant(format) && format_parts(format) <= 1) {
		if (!route_format_eval(ctx, format, &value))
			return false;
		*lines = value.s;
		return true;
	}
	if (!format_eval_line(ctx, format, &value, &clean) || !clean)
		return false;
	*lines = value.s;
	return header_lines_are_whole(value.s);
}

/* The name as it stands: the index has cut LWS before the colon off. */
static struct str name_of(const struct route_ctx *ctx, const struct sip_header *h)
{
	return str_of(ctx->buf + h->name, h->name_len);
}

/* The first line of that name, or the last. */
static const struct sip_header *line_named(const struct route_ctx *ctx, struct str name, bool last)
{
	const struct sip_header *found = NULL;
	enum sip_header_id id = sip_header_of(name);

	SIP_MSG_FOREACH (&ctx->msg, id, h) {
		if (id == SIP_HEADER_OTHER && !str_ieq(name_of(ctx, h), name))
			continue;
		found = h;
		if (!last)
			break;
	}
	return found;
}

const struct sip_header *header_walk(
	const struct route_ctx *ctx, struct str name, struct header_walk *walk)
{
	enum sip_header_id id = sip_header_of(name);
	const struct sip_header *found = NULL;

	if (walk->which != 'a') {
		found = walk->next == 0 ? line_named(ctx, name, walk->which == 'l') : NULL;
		walk->next = 1;
		return found;
	}
	while (walk->next < ctx->msg.header_count) {
		const struct sip_header *h = &ctx->msg.header[walk->next++];

		if (h->id == id && (id != SIP_HEADER_OTHER || str_ieq(name_of(ctx, h), name)))
			return h;
	}
	return NULL;
}

static int32_t add_lines(struct route_ctx *ctx, const struct route_args *args, bool append)
{
	uint32_t mark = ctx->text_len;
	uint32_t off = append ? ctx->msg.headers_end : ctx->msg.headers;
	struct str lines;
	bool added = false;

	if (lines_to_add(ctx, args, &lines)) {
		if (args->n > 1 && args->v[1].type == ROUTE_STR) {
			const struct sip_header *h = line_named(ctx, args->v[1].s, append);

			if (h != NULL)
				off = append ? sip_msg_line_end(&ctx->msg, h) : h->name;
		}
		const struct str part[2] = {lines, ends_with_crlf(lines) ? STR_NONE : STR("\r\n")};

		added = sip_edit_insert_parts(&ctx->edits, off,
				append ? SIP_EDIT_LAST : SIP_EDIT_NORMAL, part, 2) == 0;
	}
	/* The edit has a copy of its own. */
	ctx->text_len = mark;
	return truth(added);
}

FUNCTION_RUN(run_append_hf)
{
	return add_lines(ctx, args, true);
}

FUNCTION_RUN(run_insert_hf)
{
	return add_lines(ctx, args, false);
}

/* The Request-URI as it came, between two texts that make it a header line. */
FUNCTION_RUN(run_append_urihf)
{
	char digits[2][VALUE_NUMBER_MAX];
	const struct str part[3] = {value_as_text(&args->v[0], digits[0]),
		sip_text(ctx->buf, ctx->msg.uri_text), value_as_text(&args->v[1], digits[1])};
	uint32_t mark = ctx->text_len;
	struct route_text text;
	bool added;

	if (ctx->msg.is_response)
		return ROUTE_FALSE;
	text = route_text_join(ctx, part, 3);
	if (text.space == ROUTE_SPACE_NONE)
		return ROUTE_FALSE;
	const struct str line[2] = {route_text_str(ctx, text),
		ends_with_crlf(route_text_str(ctx, text)) ? STR_NONE : STR("\r\n")};

	added = is_single_line(line[0]) && sip_edit_insert_parts(&ctx->edits, ctx->msg.headers_end,
						   SIP_EDIT_LAST, line, 2) == 0;
	ctx->text_len = mark; /* the edit has a copy of its own */
	return truth(added);
}

/* RFC 3261 20.17: a Date of now. The names are the RFC's, whatever the locale is. */
#define DATE_LINE_MAX 48

static struct str date_line(char out[DATE_LINE_MAX])
{
	static const char days[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
	static const char months[12][4] = {
		"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
	time_t now = time(NULL);
	struct tm at;
	int n;

	gmtime_r(&now, &at);
	n = snprintf(out, DATE_LINE_MAX, "Date: %s, %02d %s %d %02d:%02d:%02d GMT\r\n",
		days[at.tm_wday], at.tm_mday, months[at.tm_mon], at.tm_year + 1900, at.tm_hour,
		at.tm_min, at.tm_sec);
	return str_of(out, n > 0 && n < DATE_LINE_MAX ? (size_t)n : 0);
}

static bool add_to_reply(struct route_ctx *ctx, struct str lines)
{
	const struct str part[3] = {route_text_str(ctx, ctx->result.headers), lines,
		ends_with_crlf(lines) ? STR_NONE : STR("\r\n")};
	struct route_text all = route_text_join(ctx, part, 3);

	if (all.space == ROUTE_SPACE_NONE)
		return false;
	ctx->result.headers = all;
	return true;
}

FUNCTION_RUN(run_append_time)
{
	char line[DATE_LINE_MAX];

	return truth(add_to_reply(ctx, date_line(line)));
}

FUNCTION_RUN(run_append_time_to_request)
{
	char line[DATE_LINE_MAX];
	struct str part = date_line(line);

	return truth(sip_edit_insert_parts(
			     &ctx->edits, ctx->msg.headers_end, SIP_EDIT_LAST, &part, 1) == 0);
}

FUNCTION_RUN(run_append_to_reply)
{
	uint32_t mark = ctx->text_len;
	struct str lines;

	if (!lines_to_add(ctx, args, &lines)) {
		ctx->text_len = mark;
		return ROUTE_FALSE;
	}
	return truth(add_to_reply(ctx, lines));
}

/* ---- remove_hf, is_present_hf ---- */

/* Without these a message is none, and the Vias are ours to change. */
static bool may_be_removed(enum sip_header_id id)
{
	return id != SIP_HEADER_VIA && id != SIP_HEADER_FROM && id != SIP_HEADER_TO &&
	       id != SIP_HEADER_CALL_ID && id != SIP_HEADER_CSEQ;
}

FUNCTION_CHECK(check_name)
{
	if (!arg[0].constant)
		return 0;
	struct str name = arg[0].value.s;

	for (uint32_t i = 0; arg[0].value.type == ROUTE_STR && i < name.len; i++)
		if (!is_token_char(name.s[i]))
			name.len = 0;
	if (arg[0].value.type == ROUTE_STR && name.len != 0 && name.len <= SIP_HEADER_NAME_MAX)
		return 0;
	route_error(report, &arg[0].place, "a header name is needed here");
	return -EINVAL;
}

FUNCTION_CHECK(check_remove_hf)
{
	int err = check_name(room, config, arg, n, place, report, data);

	if (err < 0 || !arg[0].constant || may_be_removed(sip_header_of(arg[0].value.s)))
		return err;
	route_error(report, &arg[0].place, "a message without %.*s is no SIP message",
		STR_FMT(arg[0].value.s));
	return -EINVAL;
}

static bool remove_line(struct route_ctx *ctx, const struct sip_header *h)
{
	return sip_edit_delete(&ctx->edits, h->name, sip_msg_line_end(&ctx->msg, h) - h->name) == 0;
}

FUNCTION_RUN(run_remove_hf)
{
	struct str name = args->v[0].type == ROUTE_STR ? args->v[0].s : STR_NONE;
	enum sip_header_id id = sip_header_of(name);
	bool removed = false;

	if (!may_be_removed(id))
		return ROUTE_FALSE;
	if (id != SIP_HEADER_OTHER) {
		SIP_MSG_FOREACH (&ctx->msg, id, h)
			removed |= remove_line(ctx, h);
		return truth(removed);
	}
	for (unsigned i = 0; i < ctx->msg.header_count; i++) {
		const struct sip_header *h = &ctx->msg.header[i];

		if (h->id == SIP_HEADER_OTHER && str_ieq(name_of(ctx, h), name))
			removed |= remove_line(ctx, h);
	}
	return truth(removed);
}

/* From 0, or with -1 from the last one. */
FUNCTION_RUN(run_remove_hf_idx)
{
	struct str name = args->v[0].type == ROUTE_STR ? args->v[0].s : STR_NONE;
	struct header_walk walk = {.which = 'a'};
	const struct sip_header *h;
	int64_t index, count = 0;

	if (!may_be_removed(sip_header_of(name)) || !value_as_int(&args->v[1], &index))
		return ROUTE_FALSE;
	if (index < 0) {
		while (header_walk(ctx, name, &walk) != NULL)
			count++;
		index += count;
		walk.next = 0;
	}
	for (count = 0; index >= 0 && (h = header_walk(ctx, name, &walk)) != NULL; count++) {
		if (count == index)
			return truth(remove_line(ctx, h));
	}
	return ROUTE_FALSE;
}

FUNCTION_RUN(run_is_present_hf)
{
	return truth(args->v[0].type == ROUTE_STR &&
		     sip_msg_header_named(&ctx->msg, ctx->buf, args->v[0].s) != NULL);
}

/* The n-th header line from `from` whose name the pattern matches, -1 where there is none or a
 * limit is met. */
static int find_name(struct route_ctx *ctx, const struct route_regex *regex, unsigned from)
{
	for (unsigned i = from; i < ctx->msg.header_count; i++) {
		int rc = route_regex_match(ctx, regex, name_of(ctx, &ctx->msg.header[i]), NULL, 0);

		if (rc != 0)
			return rc > 0 ? (int)i : -1;
	}
	return -1;
}

FUNCTION_RUN(run_remove_hf_re)
{
	bool removed = false;

	for (int i = -1; (i = find_name(ctx, args->data, (unsigned)(i + 1))) >= 0;) {
		const struct sip_header *h = &ctx->msg.header[i];

		/* Those that must stay are passed over, since ".*" was not meant for them. */
		if (may_be_removed(h->id))
			removed |= remove_line(ctx, h);
	}
	return truth(removed && ctx->failure == ROUTE_FAILURE_NONE);
}

/* Those whose name matches the first pattern, and not the second. */
FUNCTION_RUN(run_remove_hf_exp)
{
	const struct name_patterns *patterns = args->data;
	bool removed = false;

	for (int i = -1; (i = find_name(ctx, patterns->match, (unsigned)(i + 1))) >= 0;) {
		const struct sip_header *h = &ctx->msg.header[i];

		if (may_be_removed(h->id) &&
			route_regex_match(ctx, patterns->skip, name_of(ctx, h), NULL, 0) == 0)
			removed |= remove_line(ctx, h);
	}
	return truth(removed && ctx->failure == ROUTE_FAILURE_NONE);
}

FUNCTION_RUN(run_is_present_hf_re)
{
	return truth(find_name(ctx, args->data, 0) >= 0);
}
