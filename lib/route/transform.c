/* SPDX-License-Identifier: BSD-3-Clause */
/* Transformations of values, with Kamailio's names and meanings: what stands between the braces,
 * and which file does it. */
#include "route/transform.h"

#include <stdio.h>

static const struct transform_name {
	const char *name, *args, *help;
} names[TRANSFORM_KINDS] = {
#define TRANSFORM(id, name, args, help) [TRANSFORM_##id] = {name, args, help},
#include "route/transform.def"
#undef TRANSFORM
};

/* Others of Kamailio's cookbook; a name that ends with a dot stands for all that begin so. */
static const struct {
	const char *names, *why;
} others[] = {
	{"s.md5 s.sha256 s.sha384 s.sha512", "scripts compute no digests"},
	{"s.corehash", "it is Kamailio's own hash"},
	{"s.encode.7bit s.decode.7bit s.encode.base58 s.decode.base58 s.fmtlines s.fmtlinet",
		"it is not there yet"},
	{"s.ftime", "$TS is the time in seconds"},
	{"re.", "subst_uri(), subst_user() and avp_subst() replace what matches a pattern"},
	{"sql.", "variables of avp_db_query() are parameters, which need no quoting"},
	{"json. val.json val.jsonqe", "there is no JSON in scripts"},
	{"msrpuri.", "there is no MSRP"},
	{"url.", "there is no HTTP"},
	{"sock. urialias.", "{uri.host}, {uri.port} and {uri.transport} are a URI's parts"},
};

/* ---- reading ---- */

static const char *why_not(struct str name)
{
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		struct str rest = str_c(others[i].names);

		while (rest.len != 0) {
			int64_t blank = str_find(rest, ' ');
			struct str one = blank < 0 ? rest : str_of(rest.s, (size_t)blank);

			rest = blank < 0
				       ? STR_NONE
				       : str_of(rest.s + blank + 1, rest.len - (uint32_t)blank - 1);
			if (str_eq(one, name) ||
				(one.s[one.len - 1] == '.' && str_istarts(name, one)))
				return others[i].why;
		}
	}
	return NULL;
}

/* The text up to the next comma; `rest` is what follows it, or none. */
static struct str next_part(struct str *rest)
{
	int64_t comma = str_find(*rest, ',');
	struct str part = comma < 0 ? *rest : str_of(rest->s, (size_t)comma);

	*rest = comma < 0 ? STR_NONE : str_of(rest->s + comma + 1, rest->len - (uint32_t)comma - 1);
	return part;
}

static bool read_number(struct str text, int64_t *out)
{
	struct route_value v = {.type = ROUTE_STR, .s = str_trim(text)};

	return value_as_int(&v, out);
}

/* One argument off the front of `rest`, whose s is NULL where there is none. */
static bool take_argument(
	char kind, struct str *rest, struct transform *out, unsigned *numbers, unsigned *texts)
{
	if (rest->s == NULL)
		return kind == 'N' || kind == 'C';
	switch (kind) {
	case 'n':
	case 'N':
		return read_number(next_part(rest), &out->number[(*numbers)++]);
	case 'w':
		out->text[*texts] = str_trim(next_part(rest));
		return out->text[(*texts)++].len != 0;
	case 't':
		out->text[*texts] = next_part(rest);
		return out->text[(*texts)++].len != 0;
	case 'x':
		/* What something is replaced by may be empty. */
		out->text[(*texts)++] = *rest;
		*rest = STR_NONE;
		return *texts == 2 || out->text[0].len != 0;
	default:
		if (rest->len > 1)
			*rest = str_trim(*rest);
		out->separator = rest->len == 1 ? rest->s[0] : '\0';
		*rest = STR_NONE;
		return out->separator != '\0';
	}
}

bool transform_parse(struct str text, struct transform *out, const char **why)
{
	struct str rest = text, name = str_trim(next_part(&rest));
	unsigned numbers = 0, texts = 0;
	int kind = 0;

	while (kind < TRANSFORM_KINDS && !str_eq(name, str_c(names[kind].name)))
		kind++;
	if (kind == TRANSFORM_KINDS) {
		*why = why_not(name);
		if (*why == NULL)
			*why = "it is no transformation that is known here";
		return false;
	}
	*out = (struct transform){.kind = (enum transform_kind)kind, .separator = ';'};
	*why = "its arguments are others: docs/configuration.md has them";
	for (const char *arg = names[kind].args; *arg != '\0'; arg++) {
		if (!take_argument(*arg, &rest, out, &numbers, &texts))
			return false;
	}
	return rest.s == NULL;
}

/* ---- the reference ---- */

/* "{s.substr,n,n}", the arguments by name. */
static void write_usage(const struct transform_name *t, char *out, size_t size)
{
	size_t len = (size_t)snprintf(out, size, "{%s", t->name);

	for (const char *arg = t->args; *arg != '\0' && len < size; arg++) {
		const char *what = *arg == 'n'   ? ",number"
				   : *arg == 'N' ? "[,number]"
				   : *arg == 'w' ? ",name"
				   : *arg == 'c' ? ",character"
				   : *arg == 'C' ? "[,character]"
						 : ",text";

		len += (size_t)snprintf(out + len, size - len, "%s", what);
	}
	if (len < size)
		snprintf(out + len, size - len, "}");
}

void transform_reference(int (*print)(void *arg, const char *line), void *arg)
{
	char usage[64], line[256];

	print(arg, "## Transformations");
	print(arg, "");
	print(arg, "`$(ru{uri.user}{s.len})`: several stand one behind the other. Arguments are "
		   "constants.");
	print(arg, "");
	print(arg, "| transformation | is |");
	print(arg, "|---|---|");
	for (unsigned i = 0; i < TRANSFORM_KINDS; i++) {
		write_usage(&names[i], usage, sizeof(usage));
		snprintf(line, sizeof(line), "| `%s` | %s |", usage, names[i].help);
		print(arg, line);
	}
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		snprintf(line, sizeof(line), "| not here: `%s` | %s |", others[i].names,
			others[i].why);
		print(arg, line);
	}
	print(arg, "");
}

/* ---- running ---- */

void transform_put(struct transform_maker *m, char c)
{
	uint32_t at = m->ctx->text_len + m->len;

	m->full |= at >= ROUTE_TEXT_MAX;
	if (m->full)
		return;
	m->ctx->text[at] = c;
	m->len++;
}

void transform_puts(struct transform_maker *m, struct str s)
{
	for (uint32_t i = 0; i < s.len; i++)
		transform_put(m, s.s[i]);
}

/* Text that transform_make_*() have made is the last of the arena. */
static bool take_made(struct transform_maker *m, struct route_value *value)
{
	struct route_ctx *ctx = m->ctx;
	struct route_text made = {ctx->text_len, m->len, ROUTE_SPACE_ARENA};

	if (m->full) {
		ctx->failure = ROUTE_FAILURE_TEXT_FULL;
		return false;
	}
	ctx->text_len += m->len;
	return value_str(value, route_text_str(ctx, made));
}

bool transform_apply(
	struct route_ctx *ctx, const struct transform *transform, struct route_value *value)
{
	struct transform_maker m = {.ctx = ctx};
	char digits[VALUE_NUMBER_MAX];
	struct str s = value_as_text(value, digits);
	int64_t number = 0;

	switch (transform->kind) {
	case TRANSFORM_LENGTH:
		return value_int(value, s.len);
	case TRANSFORM_INT:
		/* Text that is no number reads 0. */
		return value_int(value, value_as_int(value, &number) ? number : 0);
	case TRANSFORM_NULL_ZERO:
		return value->type != ROUTE_NULL || value_int(value, 0);
	case TRANSFORM_NULL_EMPTY:
		return value->type != ROUTE_NULL || value_str(value, STR(""));
	default:
		break;
	}
	if (transform_make_text(&m, transform, s) || transform_make_uri(&m, transform, s))
		return take_made(&m, value);
	/* The digits of a number are kept where a part of them may be the result. */
	if (value->type == ROUTE_INT) {
		if (!value_made(ctx, value, s))
			return false;
		s = value->s;
	}
	return transform_part_of_text(transform, s, value) ||
	       transform_part_of_uri(transform, s, value);
}
