/* SPDX-License-Identifier: BSD-3-Clause */
/* avpops: avp_check(), avp_op(), avp_subst(). */
#include <errno.h>
#include <stdlib.h>

#include "route/function_avpops.h"
#include "route/pattern.h"

enum op {
	OP_EQ,
	OP_NE,
	OP_LT,
	OP_LE,
	OP_GT,
	OP_GE,
	OP_RE,
	OP_FM,
	OP_AND,
	OP_OR,
	OP_XOR,
	CHECK_OPS,
	OP_ADD = CHECK_OPS,
	OP_SUB,
	OP_MUL,
	OP_DIV,
	OP_MOD,
	OP_NOT,
	OPS
};

static const char *const op_name[OPS] = {"eq", "ne", "lt", "le", "gt", "ge", "re", "fm", "and",
	"or", "xor", "add", "sub", "mul", "div", "mod", "not"};

/* A call of avp_check() or avp_op(). */
struct operation {
	struct avpops_target from, to; /* to: its name is empty where the result stays */
	struct route_format *of;       /* what is compared, where it is no AVP */
	enum op op;
	struct avpops_value value;
	struct route_regex *regex;
	char *text[2];
};

void avpops_free_check(void *data)
{
	struct operation *o = data;

	if (o == NULL)
		return;
	route_format_free(o->of);
	route_format_free(o->value.format);
	route_regex_free(o->regex);
	free(o->text[0]);
	free(o->text[1]);
	free(o);
}

static struct operation *create(const struct route_arg *arg, struct route_report *report)
{
	struct operation *o = calloc(1, sizeof(*o));

	if (o == NULL) {
		route_error(report, &arg->place, "out of memory");
		return NULL;
	}
	for (unsigned i = 0; i < 2; i++) {
		o->text[i] = avpops_copy(&arg[i], report);
		if (o->text[i] == NULL) {
			avpops_free_check(o);
			return NULL;
		}
	}
	return o;
}

/* Takes "/gi" off the end of a value, unless that is part of it. */
static void take_flags(struct str *value, struct avpops_target *t, const char *flags)
{
	const char *slash = value->len > 0 ? memrchr(value->s, '/', value->len) : NULL;
	const char *end = value->s + value->len;

	if (slash == NULL || end - slash > 3)
		return;
	for (const char *c = slash + 1; c < end; c++) {
		if (strchr(flags, str_lower_char(*c)) == NULL)
			return;
	}
	for (const char *c = slash + 1; c < end; c++)
		avpops_take_flag(t, *c);
	value->len = (uint32_t)(slash - value->s);
}

static enum op find_op(struct str name, enum op first, enum op end)
{
	for (enum op op = first; op < end; op++) {
		if (str_eq(name, str_c(op_name[op])))
			return op;
	}
	return OPS;
}

static bool read_pattern(const struct route_arg *arg, struct str text, struct operation *o,
	struct route_report *report)
{
	char error[160];

	/* No text has a letter behind its end. */
	for (uint32_t i = 0; i + 1 < text.len; i++) {
		if (text.s[i] == '$' && str_is_alpha(text.s[i + 1])) {
			route_error(report, &arg->place,
				"a pattern has to be known when the file is read: it has no "
				"variables");
			return false;
		}
	}
	o->regex = route_regex_compile(text, o->from.ignore_case, error, sizeof(error));
	if (o->regex == NULL)
		route_error(report, &arg->place, "not a regular expression: %s", error);
	return o->regex != NULL;
}

/* "eq/$ru/i": the operation, what it compares with, flags. */
static bool read_check(
	const struct route_arg *arg, struct operation *o, struct route_report *report)
{
	struct str text = str_c(o->text[1]), value = avpops_part(text, 1, 2);

	o->op = value.s != NULL ? find_op(avpops_part(text, 0, 2), OP_EQ, CHECK_OPS) : OPS;
	if (o->op == OPS) {
		route_error(report, &arg->place,
			"this is \"eq/value\", with eq, ne, lt, le, gt, ge, re, fm, and, or or "
			"xor, and perhaps \"/gi\" behind it");
		return false;
	}
	take_flags(&value, &o->from, "gi");
	return o->op == OP_RE ? read_pattern(arg, value, o, report)
			      : avpops_read_value(arg, value, &o->value, report);
}

/* What is compared: an AVP, or any other variable. */
static bool read_compared(
	const struct route_arg *arg, struct operation *o, struct route_report *report)
{
	struct str text = str_c(o->text[0]);

	if (text.len == 0 || text.s[0] != '$' || str_istarts(text, STR("$avp(")))
		return avpops_read_target(arg, text, false, &o->from, report);
	o->of = route_format_compile(text, &arg->place, report);
	return o->of != NULL;
}

static int give(struct operation *o, bool good, void **data)
{
	if (good) {
		*data = o;
		return 0;
	}
	avpops_free_check(o);
	return -EINVAL;
}

FUNCTION_CHECK(avpops_check_check)
{
	struct operation *o = create(arg, report);

	return o != NULL ? give(o,
				   read_compared(&arg[0], o, report) &&
					   read_check(&arg[1], o, report),
				   data)
			 : -EINVAL;
}

/* "$avp(x)", "$avp(x)/$avp(y)" and perhaps "/gd". */
static bool read_pair(const struct route_arg *arg, struct str text, struct avpops_target *from,
	struct avpops_target *to, struct route_report *report)
{
	struct str second = avpops_part(text, 1, 3), flags = avpops_part(text, 2, 3);

	to->name = STR_NONE;
	if (second.len != 0 && !avpops_read_target(arg, second, false, to, report))
		return false;
	for (uint32_t i = 0; i < flags.len; i++) {
		if (!avpops_take_flag(from, flags.s[i])) {
			route_error(report, &arg->place, "flags are g and d, not '%.*s'",
				STR_FMT(flags));
			return false;
		}
	}
	return avpops_read_target(arg, avpops_part(text, 0, 3), false, from, report);
}

FUNCTION_CHECK(avpops_check_op)
{
	struct operation *o = create(arg, report);
	struct str text, value;
	bool good;

	if (o == NULL)
		return -EINVAL;
	text = str_c(o->text[1]);
	value = avpops_part(text, 1, 2);
	take_flags(&value, &o->from, "gd");
	o->op = find_op(avpops_part(text, 0, 2), OP_AND, OPS);
	good = o->op != OPS && (value.len != 0 || o->op == OP_NOT);
	if (!good)
		route_error(report, &arg[1].place,
			"this is \"add/value\", with add, sub, mul, div, mod, and, or, xor or not, "
			"and perhaps \"/gd\" behind it");
	if (value.len == 0)
		value = STR("i:0");
	good = good && avpops_read_value(&arg[1], value, &o->value, report) &&
	       read_pair(&arg[0], str_c(o->text[0]), &o->from, &o->to, report);
	return give(o, good, data);
}

/* ---- running ---- */

static bool compare_numbers(enum op op, int64_t x, int64_t y)
{
	switch (op) {
	case OP_LT:
		return x < y;
	case OP_LE:
		return x <= y;
	case OP_GT:
		return x > y;
	case OP_GE:
		return x >= y;
	case OP_AND:
		return (x & y) != 0;
	case OP_OR:
		return (x | y) != 0;
	default:
		return (x ^ y) != 0;
	}
}

static bool compare(
	const struct operation *o, const struct route_value *x, const struct route_value *y)
{
	char digits_x[VALUE_NUMBER_MAX], digits_y[VALUE_NUMBER_MAX];
	struct str s = value_as_text(x, digits_x), t = value_as_text(y, digits_y);
	int64_t i = 0, j = 0;

	if (o->op == OP_EQ || o->op == OP_NE)
		return (o->from.ignore_case ? str_ieq(s, t) : str_eq(s, t)) == (o->op == OP_EQ);
	if (o->op == OP_FM)
		return avpops_glob(t, s);
	return value_as_int(x, &i) && value_as_int(y, &j) && compare_numbers(o->op, i, j);
}

static bool check_value(struct route_ctx *ctx, const struct operation *o,
	const struct route_value *v, const struct route_value *with)
{
	char digits[VALUE_NUMBER_MAX];

	if (o->regex == NULL)
		return compare(o, v, with);
	return route_regex_match(ctx, o->regex, value_as_text(v, digits), NULL, 0) > 0;
}

FUNCTION_RUN(avpops_run_check)
{
	const struct operation *o = args->data;
	struct route_value v, with = {.type = ROUTE_NULL};

	if (o->regex == NULL && !avpops_value_get(ctx, &o->value, &with))
		return ROUTE_FALSE;
	if (o->of != NULL)
		return truth(route_format_eval(ctx, o->of, &v) && v.type != ROUTE_NULL &&
			     check_value(ctx, o, &v, &with));
	for (int64_t i = 0; route_avp_get(ctx, o->from.name, i, &v); i++) {
		if (check_value(ctx, o, &v, &with))
			return ROUTE_TRUE;
		if (!o->from.all)
			break;
	}
	return ROUTE_FALSE;
}

/* Numbers wrap. False: by zero nothing is divided. */
static bool calculate(enum op op, int64_t x, int64_t y, int64_t *out)
{
	uint64_t u = (uint64_t)x, v = (uint64_t)y;

	switch (op) {
	case OP_ADD:
		u += v;
		break;
	case OP_SUB:
		u -= v;
		break;
	case OP_MUL:
		u *= v;
		break;
	case OP_DIV:
		if (y == 0)
			return false;
		u = y == -1 ? 0 - u : (uint64_t)(x / y);
		break;
	case OP_MOD:
		if (y == 0)
			return false;
		u = y == -1 ? 0 : (uint64_t)(x % y);
		break;
	case OP_AND:
		u &= v;
		break;
	case OP_OR:
		u |= v;
		break;
	case OP_XOR:
		u ^= v;
		break;
	default:
		u = ~u;
		break;
	}
	*out = (int64_t)u;
	return true;
}

/* Puts a result in its place. Without another name it takes that of the value. */
static bool put(struct route_ctx *ctx, struct route_avp *avp, struct str name,
	const struct route_value *value)
{
	struct route_cell cell = {.type = (uint8_t)value->type, .i = value->i};

	if (name.len != 0)
		return route_avp_add(ctx, name, value);
	if (value->type == ROUTE_STR) {
		cell.text = route_text_keep(ctx, value->s.len > 0 ? value->s : STR(""));
		if (cell.text.space == ROUTE_SPACE_NONE)
			return false;
	}
	avp->value = cell;
	return true;
}

static void get(const struct route_ctx *ctx, const struct route_avp *avp, struct route_value *v)
{
	if (avp->value.type == ROUTE_INT)
		value_int(v, avp->value.i);
	else
		value_str(v, route_text_str(ctx, avp->value.text));
}

static void take_away(struct route_ctx *ctx, unsigned i)
{
	ctx->avps--;
	memmove(&ctx->avp[i], &ctx->avp[i + 1], (ctx->avps - i) * sizeof(ctx->avp[0]));
}

/* The place of the newest one that is meant; ctx->avps: there is none. */
static unsigned newest(const struct route_ctx *ctx, const struct avpops_target *t)
{
	for (unsigned i = ctx->avps; i-- > 0;) {
		if (avpops_matches(ctx, &ctx->avp[i], t))
			return i;
	}
	return ctx->avps;
}

/*
 * Makes something of the newest value, or of all that were there, the oldest first, so that their
 * order stays. make() is false where nothing can be made of one: it stays as it is. ROUTE_TRUE:
 * something was made.
 */
static int32_t change_values(struct route_ctx *ctx, const struct avpops_target *from,
	const struct avpops_target *to,
	bool (*make)(struct route_ctx *ctx, const void *arg, struct route_value *v),
	const void *arg)
{
	unsigned i = from->all ? 0 : newest(ctx, from), end = from->all ? ctx->avps : i + 1;
	bool moves = from->take_away && to->name.len != 0, made = false;
	struct route_value v;

	for (; i < end && i < ctx->avps; i++) {
		if (!avpops_matches(ctx, &ctx->avp[i], from))
			continue;
		get(ctx, &ctx->avp[i], &v);
		if (!make(ctx, arg, &v))
			continue;
		if (!put(ctx, &ctx->avp[i], to->name, &v))
			return ROUTE_FALSE;
		made = true;
		if (moves) {
			take_away(ctx, i--);
			end--;
		}
	}
	return truth(made);
}

struct with_number {
	enum op op;
	int64_t number;
};

static bool make_number(struct route_ctx *ctx, const void *arg, struct route_value *v)
{
	const struct with_number *with = arg;
	int64_t x;

	return value_as_int(v, &x) && calculate(with->op, x, with->number, &x) && value_int(v, x);
}

FUNCTION_RUN(avpops_run_op)
{
	const struct operation *o = args->data;
	struct with_number with = {.op = o->op};
	struct route_value v;

	if (!avpops_value_get(ctx, &o->value, &v) || !value_as_int(&v, &with.number))
		return ROUTE_FALSE;
	return change_values(ctx, &o->from, &o->to, make_number, &with);
}

/* ---- avp_subst ---- */

struct substitution {
	struct avpops_target from, to;
	void *subst;
	char *text;
};

void avpops_free_subst(void *data)
{
	struct substitution *s = data;

	if (s == NULL)
		return;
	free_subst(s->subst);
	free(s->text);
	free(s);
}

FUNCTION_CHECK(avpops_check_subst)
{
	struct substitution *s = calloc(1, sizeof(*s));

	if (s == NULL) {
		route_error(report, &arg->place, "out of memory");
		return -ENOMEM;
	}
	s->text = avpops_copy(&arg[0], report);
	if (s->text != NULL && read_pair(&arg[0], str_c(s->text), &s->from, &s->to, report) &&
		check_subst(room, config, &arg[1], 1, place, report, &s->subst) == 0) {
		*data = s;
		return 0;
	}
	avpops_free_subst(s);
	return -EINVAL;
}

static bool make_text(struct route_ctx *ctx, const void *arg, struct route_value *v)
{
	struct str made;

	return v->type == ROUTE_STR && subst_text(ctx, arg, v->s, &made) && value_str(v, made);
}

FUNCTION_RUN(avpops_run_subst)
{
	const struct substitution *s = args->data;

	return change_values(ctx, &s->from, &s->to, make_text, s->subst);
}
