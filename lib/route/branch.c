/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The targets of a request: its Request-URI's own and the branches beside it, which t_relay() forks
 * to, and those that wait until their turn comes (serial forking by q, RFC 3261 16.6).
 */
#include "route/branch.h"

#include <errno.h>

#define Q_MAX 1000

/* "0.7", ".7", "1.000" or thousandths; false where it is no q (RFC 3261 25.1). */
static bool parse_q(const struct route_value *value, uint16_t *q)
{
	struct str s = value->s;
	uint32_t thousandths = 0, digits = 0;
	int64_t dot;

	if (value->type == ROUTE_INT || (s.len > 0 && str_find(s, '.') < 0)) {
		int64_t n;

		/* "1" is a q; a number counts thousandths. */
		if (!value_as_int(value, &n) || n < 0 || n > (value->type == ROUTE_STR ? 1 : Q_MAX))
			return false;
		*q = (uint16_t)(value->type == ROUTE_STR ? n * Q_MAX : n);
		return true;
	}
	dot = str_find(s, '.');
	if (value->type != ROUTE_STR || dot < 0 || dot > 1 || s.len < 2)
		return false;
	if (dot == 1 && s.s[0] != '0' && s.s[0] != '1')
		return false;
	for (uint32_t i = (uint32_t)dot + 1; i < s.len; i++, digits++) {
		if (!str_is_digit(s.s[i]) || digits == 3)
			return false;
		thousandths = thousandths * 10 + (uint32_t)(s.s[i] - '0');
	}
	for (; digits < 3; digits++)
		thousandths *= 10;
	if (dot == 1 && s.s[0] == '1')
		thousandths += Q_MAX;
	*q = (uint16_t)thousandths;
	return thousandths <= Q_MAX;
}

unsigned route_q_text(uint16_t q, char out[ROUTE_Q_TEXT])
{
	static const char digit[] = "0123456789";

	if (q >= Q_MAX) {
		out[0] = '1';
		return 1;
	}
	out[0] = '0';
	out[1] = '.';
	out[2] = digit[q / 100];
	out[3] = digit[q / 10 % 10];
	out[4] = digit[q % 10];
	for (unsigned n = 5; n > 3; n--) {
		if (out[n - 1] != '0')
			return n;
	}
	return out[2] != '0' ? 3 : 1;
}

static uint16_t q_of(uint16_t q)
{
	return q == ROUTE_Q_NONE ? Q_MAX : q;
}

/* The Request-URI with all that belongs to it. */
static struct route_branch own_branch(const struct route_ctx *ctx)
{
	return (struct route_branch){.uri = ctx->uri.space != ROUTE_SPACE_NONE
						    ? ctx->uri
						    : route_text_of_span(ctx->msg.uri_text),
		.du = ctx->du,
		.du_target = ctx->du_target,
		.path = ctx->path,
		.instance = ctx->instance,
		.socket = ctx->socket,
		.q = ctx->q,
		.flags = ctx->branch_flags,
		.reg_id = ctx->reg_id};
}

/* ---- append_branch() ---- */

FUNCTION_CHECK(check_append_branch)
{
	uint16_t q;

	if (n < 2 || !arg[1].constant || parse_q(&arg[1].value, &q))
		return 0;
	route_error(report, &arg[1].place, "q is 0 to 1 with at most three decimals: \"0.5\"");
	return -EINVAL;
}

FUNCTION_RUN(run_append_branch)
{
	struct route_branch branch;
	bool own = args->n == 0 || args->v[0].type != ROUTE_STR || args->v[0].s.len == 0;

	if (ctx->msg.is_response || ctx->branches + ctx->waiting >= ROUTE_BRANCHES_MAX)
		return ROUTE_FALSE;
	branch = own_branch(ctx);
	if (!own) {
		struct uri_view view;

		if (!uri_text_is_clean(args->v[0].s) || !uri_view_of(args->v[0].s, &view) ||
			view.uri->headers.len != 0)
			return ROUTE_FALSE;
		branch.uri = route_text_keep(ctx, args->v[0].s);
		if (branch.uri.space == ROUTE_SPACE_NONE)
			return ROUTE_FALSE;
		branch.instance = ROUTE_TEXT_NONE;
		branch.reg_id = 0;
		branch.q = ROUTE_Q_NONE;
	}
	if (args->n > 1 && !parse_q(&args->v[1], &branch.q))
		return ROUTE_FALSE;
	/* It is the Request-URI's one branch: there is no other of the same. */
	if (own && args->n < 2)
		ctx->uri_spent = true;
	ctx->branch[ctx->branches++] = branch;
	return ROUTE_TRUE;
}

FUNCTION_RUN(run_clear_branches)
{
	ctx->branches = 0;
	ctx->branch_flags = 0;
	ctx->q = ROUTE_Q_NONE;
	ctx->uri_spent = true;
	return ROUTE_TRUE;
}

/* ---- serial forking ---- */

/* The first of those that wait. */
static struct route_branch *waiting_at(struct route_ctx *ctx, unsigned n)
{
	return &ctx->branch[ROUTE_BRANCHES_MAX - ctx->waiting + n];
}

int32_t route_branches_load(struct route_ctx *ctx)
{
	struct route_branch all[ROUTE_BRANCHES_MAX + 1];
	unsigned n = 0;

	if (ctx->msg.is_response)
		return ROUTE_FALSE;
	ctx->waiting = 0;
	if (!ctx->uri_spent)
		all[n++] = own_branch(ctx);
	memcpy(&all[n], ctx->branch, ctx->branches * sizeof(all[0]));
	n += ctx->branches;
	if (n < 2)
		return ROUTE_TRUE; /* nothing to choose */
	if (n > ROUTE_BRANCHES_MAX)
		return ROUTE_FALSE;
	/* A stable sort: of equal ones, the first given goes first. */
	for (unsigned i = 1; i < n; i++) {
		struct route_branch one = all[i];
		unsigned to = i;

		for (; to > 0 && q_of(all[to - 1].q) < q_of(one.q); to--)
			all[to] = all[to - 1];
		all[to] = one;
	}
	ctx->waiting = (uint8_t)n;
	memcpy(waiting_at(ctx, 0), all, n * sizeof(all[0]));
	ctx->branches = 0;
	ctx->uri_spent = true;
	return ROUTE_TRUE;
}

static bool same_instance(
	const struct route_ctx *ctx, const struct route_branch *a, const struct route_branch *b)
{
	return a->instance.len != 0 &&
	       str_eq(route_text_str(ctx, a->instance), route_text_str(ctx, b->instance));
}

static void become_own(struct route_ctx *ctx, const struct route_branch *branch)
{
	ctx->uri = branch->uri;
	ctx->du = branch->du;
	ctx->du_target = branch->du_target;
	ctx->path = branch->path;
	ctx->instance = branch->instance;
	ctx->socket = branch->socket;
	ctx->q = branch->q;
	ctx->branch_flags = branch->flags;
	ctx->reg_id = branch->reg_id;
	route_uri_changed(ctx);
}

int32_t route_branches_next(struct route_ctx *ctx)
{
	struct route_branch taken[ROUTE_BRANCHES_MAX], left[ROUTE_BRANCHES_MAX];
	unsigned takes = 0, lefts = 0, n = ctx->waiting;

	if (ctx->msg.is_response)
		return ROUTE_FALSE;
	if (n == 0)
		return -2;
	for (unsigned i = 0; i < n; i++) {
		const struct route_branch *one = waiting_at(ctx, i);
		bool again = takes > 0 && q_of(one->q) != q_of(taken[0].q);

		for (unsigned k = 0; k < takes && !again; k++)
			again = same_instance(ctx, one, &taken[k]);
		if (again)
			left[lefts++] = *one;
		else
			taken[takes++] = *one;
	}
	ctx->waiting = (uint8_t)lefts;
	memcpy(waiting_at(ctx, 0), left, lefts * sizeof(left[0]));
	become_own(ctx, &taken[0]);
	ctx->branches = (uint8_t)(takes - 1);
	memcpy(ctx->branch, &taken[1], (takes - 1) * sizeof(taken[0]));
	return ROUTE_TRUE;
}

FUNCTION_RUN(run_serialize_branches)
{
	int64_t clear = 0;

	if (value_as_int(&args->v[0], &clear) && clear != 0)
		ctx->waiting = 0;
	return ctx->waiting != 0 ? ROUTE_FALSE : route_branches_load(ctx);
}

FUNCTION_RUN(run_load_contacts)
{
	return route_branches_load(ctx);
}

FUNCTION_RUN(run_next_branches)
{
	return route_branches_next(ctx);
}

/* ---- $branch(...), $br, $bR, $ru_q ---- */

enum branch_part {
	BRANCH_URI,
	BRANCH_DESTINATION,
	BRANCH_PATH,
	BRANCH_Q,
	BRANCH_SOCKET,
	BRANCH_COUNT,
	BRANCH_FLAGS,
	BRANCH_INSTANCE,
	BRANCH_PARTS
};

static const char *const part_name[BRANCH_PARTS] = {
	"uri", "dst_uri", "path", "q", "send_socket", "count", "flags", "instance"};

static enum branch_part part_of(struct str name)
{
	unsigned i = 0;

	while (i < BRANCH_PARTS && !str_eq(name, str_c(part_name[i])))
		i++;
	return (enum branch_part)i;
}

bool check_branch_part(struct str *name)
{
	return part_of(*name) != BRANCH_PARTS;
}

/* The branch that [n] means; NULL where there is none. */
static struct route_branch *branch_of(struct route_ctx *ctx, const struct route_index *index)
{
	int64_t n = route_index_element(ctx, index);

	if (n < 0)
		n += ctx->branches;
	return n >= 0 && n < ctx->branches ? &ctx->branch[n] : NULL;
}

static bool socket_text(struct route_ctx *ctx, int16_t socket, struct route_value *out)
{
	int16_t own = ctx->socket;
	const struct route_index none = {.slot = -1};
	bool got;

	ctx->socket = socket;
	got = get_socket(ctx, &none, out);
	ctx->socket = own;
	return got;
}

VARIABLE_GET(get_branch)
{
	enum branch_part part = part_of(index->name);
	const struct route_branch *b = branch_of(ctx, index);

	if (part == BRANCH_COUNT)
		return value_int(out, ctx->branches);
	if (b == NULL)
		return value_null(out);
	switch (part) {
	case BRANCH_URI:
		return value_str(out, route_text_str(ctx, b->uri));
	case BRANCH_DESTINATION:
		return value_text(out, route_text_str(ctx, b->du));
	case BRANCH_PATH:
		return value_text(out, route_text_str(ctx, b->path));
	case BRANCH_INSTANCE:
		return value_text(out, route_text_str(ctx, b->instance));
	case BRANCH_Q:
		return b->q != ROUTE_Q_NONE ? value_int(out, b->q) : value_null(out);
	case BRANCH_SOCKET:
		return socket_text(ctx, b->socket, out);
	case BRANCH_FLAGS:
		return value_int(out, b->flags);
	default:
		return value_null(out);
	}
}

static void drop_branch(struct route_ctx *ctx, const struct route_branch *b)
{
	unsigned at = (unsigned)(b - ctx->branch);

	ctx->branches--;
	memmove(&ctx->branch[at], &ctx->branch[at + 1],
		(ctx->branches - at) * sizeof(ctx->branch[0]));
}

static bool set_uri(struct route_ctx *ctx, struct route_branch *b, const struct route_value *value)
{
	struct uri_view view;

	if (value->type == ROUTE_NULL || (value->type == ROUTE_STR && value->s.len == 0)) {
		drop_branch(ctx, b);
		return true;
	}
	if (value->type != ROUTE_STR || !uri_text_is_clean(value->s) ||
		!uri_view_of(value->s, &view) || view.uri->headers.len != 0)
		return false;
	struct route_text text = route_text_keep(ctx, value->s);

	if (text.space == ROUTE_SPACE_NONE)
		return false;
	b->uri = text;
	return true;
}

/* As $du and $fs check theirs, so these are asked with the branch's in their place. */
static bool set_as_own(
	struct route_ctx *ctx, struct route_branch *b, bool socket, const struct route_value *value)
{
	struct route_text du = ctx->du;
	struct route_target target = ctx->du_target;
	const struct route_index none = {.slot = -1};
	int16_t own = ctx->socket;
	bool spent = ctx->uri_spent, done;

	done = socket ? set_socket(ctx, &none, value) : set_destination(ctx, &none, value);
	if (done && socket)
		b->socket = ctx->socket;
	else if (done) {
		b->du = ctx->du;
		b->du_target = ctx->du_target;
	}
	ctx->du = du;
	ctx->du_target = target;
	ctx->socket = own;
	ctx->uri_spent = spent;
	return done;
}

/* One or more whole Route values; what is none would end up in the message. */
static bool set_path(struct route_ctx *ctx, struct route_branch *b, const struct route_value *value)
{
	if (value->type == ROUTE_NULL || (value->type == ROUTE_STR && value->s.len == 0)) {
		b->path = ROUTE_TEXT_NONE;
		return true;
	}
	if (value->type != ROUTE_STR || value->s.s[0] != '<' || !text_stays_in_line(value->s))
		return false;
	struct route_text text = route_text_keep(ctx, value->s);

	if (text.space == ROUTE_SPACE_NONE)
		return false;
	b->path = text;
	return true;
}

static bool set_flags_of(struct route_branch *b, const struct route_value *value)
{
	int64_t number = 0;

	if (value->type != ROUTE_NULL &&
		(!value_as_int(value, &number) || number < INT32_MIN || number > UINT32_MAX))
		return false;
	b->flags = (uint32_t)number;
	return true;
}

static bool set_q(uint16_t *q, const struct route_value *value)
{
	if (value->type == ROUTE_NULL) {
		*q = ROUTE_Q_NONE;
		return true;
	}
	return parse_q(value, q);
}

VARIABLE_SET(set_branch)
{
	struct route_branch *b = branch_of(ctx, index);

	if (b == NULL)
		return false;
	switch (part_of(index->name)) {
	case BRANCH_URI:
		return set_uri(ctx, b, value);
	case BRANCH_DESTINATION:
		return set_as_own(ctx, b, false, value);
	case BRANCH_SOCKET:
		return set_as_own(ctx, b, true, value);
	case BRANCH_PATH:
		return set_path(ctx, b, value);
	case BRANCH_Q:
		return set_q(&b->q, value);
	case BRANCH_FLAGS:
		return set_flags_of(b, value);
	default:
		return false;
	}
}

VARIABLE_GET(get_first_branch)
{
	return ctx->branches > 0 ? value_str(out, route_text_str(ctx, ctx->branch[0].uri))
				 : value_null(out);
}

/* "<uri>;q=0.5, uri" */
VARIABLE_GET(get_branches)
{
	struct str part[ROUTE_BRANCHES_MAX * 5];
	char q[ROUTE_BRANCHES_MAX][ROUTE_Q_TEXT];
	struct route_text text;
	unsigned n = 0;

	for (unsigned i = 0; i < ctx->branches; i++) {
		const struct route_branch *b = &ctx->branch[i];

		if (i > 0)
			part[n++] = STR(", ");
		if (b->q != ROUTE_Q_NONE)
			part[n++] = STR("<");
		part[n++] = route_text_str(ctx, b->uri);
		if (b->q != ROUTE_Q_NONE) {
			part[n++] = STR(">;q=");
			part[n++] = str_of(q[i], route_q_text(b->q, q[i]));
		}
	}
	if (n == 0)
		return value_null(out);
	text = route_text_join(ctx, part, n);
	return text.space != ROUTE_SPACE_NONE && value_str(out, route_text_str(ctx, text));
}

VARIABLE_GET(get_ruri_q)
{
	return ctx->q != ROUTE_Q_NONE ? value_int(out, ctx->q) : value_null(out);
}

VARIABLE_SET(set_ruri_q)
{
	return set_q(&ctx->q, value);
}
