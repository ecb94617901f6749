/* SPDX-License-Identifier: BSD-3-Clause */
/* AVPs: named values that live as long as their transaction. A name can have several: the one that
 * was added last is found first. */
#include "route/avp.h"
#include "route/avpops.h"
#include "route/load.h"

static bool names(const struct route_ctx *ctx, const struct route_avp *avp, struct str name)
{
	return avp->name.len == name.len && str_eq(route_text_str(ctx, avp->name), name);
}

/* The place of the nth one of this name, the newest first; -1: there is none. */
static int find(const struct route_ctx *ctx, struct str name, int64_t nth)
{
	for (unsigned i = ctx->avps; i-- > 0;) {
		if (names(ctx, &ctx->avp[i], name) && nth-- == 0)
			return (int)i;
	}
	return -1;
}

static bool read_at(const struct route_ctx *ctx, unsigned at, struct route_value *out)
{
	const struct route_cell *cell = &ctx->avp[at].value;

	if (cell->type == ROUTE_INT)
		return value_int(out, cell->i);
	return value_str(out, route_text_str(ctx, cell->text));
}

unsigned route_avp_count(const struct route_ctx *ctx, struct str name)
{
	unsigned count = 0;

	for (unsigned i = 0; i < ctx->avps; i++)
		count += names(ctx, &ctx->avp[i], name);
	return count;
}

bool route_avp_get(
	const struct route_ctx *ctx, struct str name, int64_t nth, struct route_value *out)
{
	int at;

	if (nth < 0)
		nth += route_avp_count(ctx, name);
	at = nth >= 0 ? find(ctx, name, nth) : -1;
	value_null(out);
	return at >= 0 && read_at(ctx, (unsigned)at, out);
}

bool route_avp_add(struct route_ctx *ctx, struct str name, const struct route_value *value)
{
	struct route_avp avp = {.value = {.type = (uint8_t)value->type, .i = value->i}};

	if (ctx->avps == ROUTE_AVPS_MAX) {
		ctx->failure = ROUTE_FAILURE_AVPS_FULL;
		return false;
	}
	avp.name = route_text_keep(ctx, name);
	if (avp.name.space == ROUTE_SPACE_NONE)
		return false;
	if (value->type == ROUTE_STR) {
		avp.value.text = route_text_keep(ctx, value->s.len > 0 ? value->s : STR(""));
		if (avp.value.text.space == ROUTE_SPACE_NONE)
			return false;
	}
	ctx->avp[ctx->avps++] = avp;
	return true;
}

unsigned route_avp_delete(struct route_ctx *ctx, struct str name, bool all)
{
	unsigned gone = 0;

	for (unsigned i = ctx->avps; i-- > 0;) {
		if (!names(ctx, &ctx->avp[i], name))
			continue;
		ctx->avps--;
		memmove(&ctx->avp[i], &ctx->avp[i + 1], (ctx->avps - i) * sizeof(ctx->avp[0]));
		gone++;
		if (!all)
			break;
	}
	return gone;
}

struct str route_avp_name(struct str spec)
{
	spec = str_trim(spec);
	if (spec.len > 0 && spec.s[0] == '$')
		spec = str_of(spec.s + 1, spec.len - 1);
	if (spec.len > 5 && memcmp(spec.s, "avp(", 4) == 0 && spec.s[spec.len - 1] == ')')
		spec = str_trim(str_of(spec.s + 4, spec.len - 5));
	return avp_check_name(&spec) ? spec : STR_NONE;
}

static bool is_name_char(char c)
{
	return str_is_alpha(c) || str_is_digit(c) || c == '_' || c == '-' || c == '.' || c == ':';
}

bool avp_check_name(struct str *name)
{
	struct str s = *name;
	bool number;

	load_avp_alias(&s);
	number = s.len > 2 && (s.s[0] == 'i' || s.s[0] == 'I') && s.s[1] == ':';
	if (number || (s.len > 2 && (s.s[0] == 's' || s.s[0] == 'S') && s.s[1] == ':'))
		s = str_of(s.s + 2, s.len - 2);
	for (uint32_t i = 0; i < s.len; i++) {
		if (number ? !str_is_digit(s.s[i]) : !is_name_char(s.s[i]))
			return false;
	}
	*name = s;
	return s.len > 0;
}

bool avpops_can_name(struct str name)
{
	for (uint32_t i = 0; i < name.len; i++) {
		if (!is_name_char(name.s[i]))
			return false;
	}
	return name.len > 0 && (name.len < 2 || name.s[1] != ':');
}

/* All values, the newest first, with ", " between them, as in Kamailio. */
static bool get_all(struct route_ctx *ctx, struct str name, struct route_value *out)
{
	char digits[ROUTE_AVPS_MAX][VALUE_NUMBER_MAX];
	struct str part[2 * ROUTE_AVPS_MAX];
	struct route_text text;
	struct route_value value;
	unsigned parts = 0;

	for (unsigned i = ctx->avps; i-- > 0;) {
		if (!names(ctx, &ctx->avp[i], name))
			continue;
		if (parts > 0)
			part[parts++] = STR(", ");
		read_at(ctx, i, &value);
		part[parts++] = value_as_text(&value, digits[i]);
	}
	if (parts == 0)
		return value_null(out);
	text = route_text_join(ctx, part, parts);
	return text.space != ROUTE_SPACE_NONE && value_str(out, route_text_str(ctx, text));
}

VARIABLE_GET(get_avp)
{
	if (index->all)
		return get_all(ctx, index->name, out);
	route_avp_get(ctx, index->name, route_index_element(ctx, index), out);
	return true;
}

VARIABLE_SET(set_avp)
{
	if (value->type == ROUTE_NULL) {
		route_avp_delete(ctx, index->name, index->all);
		return true;
	}
	if (index->all)
		route_avp_delete(ctx, index->name, true);
	return route_avp_add(ctx, index->name, value);
}

/* $cnt(avp(x)), $cnt(hdr(X)): what is within those parentheses, and whether it is a header. */
static bool counted(struct str *name, bool *header)
{
	if (name->len > 0 && name->s[0] == '$')
		*name = str_of(name->s + 1, name->len - 1);
	if (name->len < 6 || name->s[name->len - 1] != ')')
		return false;
	*header = memcmp(name->s, "hdr(", 4) == 0;
	if (!*header && memcmp(name->s, "avp(", 4) != 0)
		return false;
	*name = str_trim(str_of(name->s + 4, name->len - 5));
	return name->len > 0;
}

/* Of an AVP its name is left, in which there are no parentheses. */
bool check_count_of(struct str *name)
{
	struct str inner = *name;
	bool header;

	if (name->len > 0 && name->s[0] == '$')
		*name = str_of(name->s + 1, name->len - 1);
	if (!counted(&inner, &header) || (!header && !avp_check_name(&inner)))
		return false;
	if (!header)
		*name = inner;
	return true;
}

VARIABLE_GET(get_count_of)
{
	struct route_index inner = {.name = index->name, .slot = -1};
	bool header;

	if (!counted(&inner.name, &header))
		return value_int(out, route_avp_count(ctx, index->name));
	return get_header_count(ctx, &inner, out);
}
