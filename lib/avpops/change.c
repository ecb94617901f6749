/* SPDX-License-Identifier: BSD-3-Clause */
/* avp_db_store() and avp_db_delete(): AVPs become rows, and rows go. */
#include "avpops/internal.h"

struct change {
	struct avpops *room;
	struct avpops_source source;
	struct avpops_target target;
	unsigned keys, statement;
	int database;
	char table[AVPOPS_NAME_MAX + 1];
	char *text; /* of the argument */
};

void avpops_free_change(void *data)
{
	struct change *c = data;

	if (c == NULL)
		return;
	route_format_free(c->source.format);
	free(c->text);
	free(c);
}

/* ---- load ---- */

static int store_statement(struct avpops *a, const struct avpops_params *p, const struct change *c,
	const struct route_arg *arg, struct route_report *report)
{
	const char *const columns[] = {p->uuid_column, p->user_column, p->domain_column,
		p->attribute_column, p->value_column, p->type_column};
	struct db_sql with = {0}, without = {0};
	struct db_statement statement = {
		.text = with.text, .otherwise = without.text, .params = 6, .ttl_s = 1};

	for (unsigned i = 0; i < 2; i++) {
		struct db_sql *q = i == 0 ? &with : &without;

		db_sql_add(q, "INSERT INTO ");
		db_sql_add(q, c->table);
		db_sql_add(q, " (");
		for (size_t n = 0; n < sizeof(columns) / sizeof(columns[0]); n++) {
			db_sql_add(q, columns[n]);
			db_sql_add(q, n + 1 < sizeof(columns) / sizeof(columns[0]) ? ", " : "");
		}
		db_sql_add(q, i == 0 ? ", last_modified) VALUES (?, ?, ?, ?, ?, ?, "
				       "CURRENT_TIMESTAMP)"
				     : ") VALUES (?, ?, ?, ?, ?, ?)");
	}
	return avpops_statement(a, p, c->database, &statement, &arg->place, report);
}

static int delete_statement(struct avpops *a, const struct avpops_params *p, const struct change *c,
	const struct avpops_place *place, const struct route_arg *arg, struct route_report *report)
{
	struct db_sql q = {0};
	struct db_statement statement = {.text = q.text, .ttl_s = 1};
	unsigned params;

	db_sql_add(&q, "DELETE FROM ");
	db_sql_add(&q, c->table);
	params = avpops_add_keys(&q, place, c->keys);
	if (c->target.match == AVPOPS_NAME) {
		db_sql_add(&q, " AND ");
		db_sql_add(&q, p->attribute_column);
		db_sql_add(&q, " = ?");
		params++;
	} else if (c->target.match != AVPOPS_ANY) {
		db_sql_add(&q, " AND ");
		db_sql_add(&q, p->type_column);
		db_sql_add(&q, c->target.match == AVPOPS_NUMBERS ? " >= 2" : " < 2");
	}
	statement.params = (uint8_t)params;
	return avpops_statement(a, p, c->database, &statement, &arg->place, report);
}

static bool read_change(struct avpops *a, const struct avpops_params *p, struct change *c,
	bool stores, const struct route_arg *arg, struct route_report *report)
{
	struct str text, name;
	struct avpops_place place;
	int64_t slash;
	int statement;

	if (!avpops_check_columns(p, &arg[0].place, report) ||
		!avpops_read_source(&arg[0], &c->source, report))
		return false;
	if (!arg[1].constant || arg[1].value.type != ROUTE_STR) {
		route_error(report, &arg[1].place, "a string is needed here");
		return false;
	}
	c->text = strndup(arg[1].value.s.s, arg[1].value.s.len);
	if (c->text == NULL) {
		route_error(report, &arg[1].place, "out of memory");
		return false;
	}
	text = str_c(c->text);
	slash = str_find(text, '/');
	name = slash < 0 ? text : str_of(text.s, (size_t)slash);
	text = slash < 0 ? STR_NONE : str_of(text.s + slash + 1, text.len - (uint32_t)slash - 1);
	if (!avpops_read_target(&arg[1], name, true, &c->target, report) ||
		!avpops_read_place(p, &arg[1], text, &place, report))
		return false;
	if (place.scheme) {
		route_error(report, &arg[1].place, "a db_scheme is for avp_db_load() alone");
		return false;
	}
	memcpy(c->table, place.table.s, place.table.len);
	c->room = a;
	c->keys = avpops_keys(&c->source, p);
	c->database = avpops_database(a, p, &arg[0].place, report);
	if (c->database < 0)
		return false;
	statement = stores ? store_statement(a, p, c, &arg[1], report)
			   : delete_statement(a, p, c, &place, &arg[1], report);
	c->statement = (unsigned)statement;
	return statement >= 0;
}

static int check_change(void *room, const void *config, bool stores, const struct route_arg *arg,
	struct route_report *report, void **data)
{
	struct change *c = calloc(1, sizeof(*c));

	if (c != NULL && read_change(room, config, c, stores, arg, report)) {
		*data = c;
		return 0;
	}
	avpops_free_change(c);
	return c != NULL ? -EINVAL : -ENOMEM;
}

AVPOPS_CHECK(avpops_check_store)
{
	return check_change(room, config, true, arg, report, data);
}

AVPOPS_CHECK(avpops_check_delete)
{
	return check_change(room, config, false, arg, report, data);
}

/* ---- run ---- */

int avpops_waited(struct route_ctx *ctx, const void *data, char *out, size_t size)
{
	struct str calls = route_text_str(ctx, ctx->wait);

	if (ctx->answer == ROUTE_ANSWER_NONE || ctx->wait_note != (uintptr_t)data ||
		calls.len > size)
		return 0;
	ctx->wait_note = 0;
	str_copy(out, calls);
	return (int)calls.len;
}

int32_t avpops_change(struct route_ctx *ctx, const void *data, struct str calls)
{
	enum route_answer answer = route_answer(ctx, calls);

	if (answer != ROUTE_ANSWER_NONE)
		ctx->changed = true;
	switch (answer) {
	case ROUTE_ANSWER_NONE:
		ctx->wait_note = (uintptr_t)data;
		return route_wait_change(ctx, calls);
	case ROUTE_ANSWER_DONE:
		return ROUTE_TRUE;
	case ROUTE_ANSWER_REFUSED:
		return ROUTE_FALSE;
	case ROUTE_ANSWER_FAILED:
	case ROUTE_ANSWER_TOO_LONG: /* no change is */
		break;
	}
	return ROUTE_NO_ROWS;
}

int32_t avpops_rows(struct route_ctx *ctx, const void *data, const struct db *db, struct str call,
	struct db_set *out)
{
	int32_t ret = route_rows(ctx, db, call, out);

	if (ret == ROUTE_PENDING)
		ctx->wait_note = (uintptr_t)data;
	return ret;
}

/* Packs what the cache may know of these rows and is not so any more, behind a change. The new
 * length; negative: there is no room. */
static int add_questions(const struct change *c, const struct avpops_who *who, struct str attribute,
	char *calls, int len)
{
	unsigned sites = atomic_load_explicit(&c->room->sites->count, memory_order_acquire);

	for (unsigned i = 0; i < sites && len > 0; i++) {
		const struct avpops_site *s = &c->room->sites->site[i];
		struct db_value param[4];
		unsigned params;
		int with;

		if (!atomic_load_explicit(&s->published, memory_order_acquire) ||
			s->database != c->database || strcmp(s->table, c->table) != 0 ||
			(s->keys & ~who->known) != 0)
			continue;
		if (s->attribute != NULL && attribute.len != 0 &&
			!str_eq(str_c(s->attribute), attribute))
			continue;
		params = avpops_put_keys(who, s->keys, param);
		if (s->attribute != NULL)
			param[params++] = db_text(str_c(s->attribute));
		with = db_pack(c->room->db, calls, DB_CALL_MAX, (uint32_t)len, s->statement, param,
			params);
		/* Of a statement that is no more there is nothing to forget. */
		if (with != -EINVAL)
			len = with;
	}
	return len;
}

static bool is_to_store(
	const struct route_ctx *ctx, const struct change *c, const struct route_avp *avp)
{
	return !avp->value.stored && avpops_matches(ctx, avp, &c->target);
}

static int pack_avp(const struct route_ctx *ctx, const struct change *c,
	const struct avpops_who *who, const struct route_avp *avp, char *calls, int len)
{
	struct str name = route_text_str(ctx, avp->name), none = STR("");
	bool number = avp->value.type == ROUTE_INT;
	char digits[32];
	struct db_value param[] = {
		db_text((c->keys & AVPOPS_UUID) != 0 ? who->uuid : none),
		db_text((c->keys & AVPOPS_USER) != 0 ? who->user : none),
		db_text((c->keys & AVPOPS_DOMAIN) != 0 ? who->domain : none),
		db_text(name),
		db_text(none),
		db_int((avpops_is_number(name) ? 2 : 0) + number),
	};

	if (number) {
		bool negative = avp->value.i < 0;
		uint64_t u = negative ? 0 - (uint64_t)avp->value.i : (uint64_t)avp->value.i;

		digits[0] = '-';
		param[4].s = str_of(digits + !negative, str_from_u64(digits + 1, u) + negative);
	} else {
		param[4].s = route_text_str(ctx, avp->value.text);
	}
	return db_pack(c->room->db, calls, DB_CALL_MAX, (uint32_t)len, c->statement, param, 6);
}

/* What changes, and what is old then; 0 or negative: nothing, or there is no room. */
static int pack_store(struct route_ctx *ctx, const struct change *c, char *calls)
{
	bool named = c->target.match == AVPOPS_NAME;
	struct avpops_who who;
	int len = 0;

	if (!avpops_find_who(ctx, &c->source, &who))
		return 0;
	/* The oldest first: they are loaded in that order. */
	for (unsigned i = 0; i < ctx->avps && len >= 0; i++) {
		if (is_to_store(ctx, c, &ctx->avp[i]))
			len = pack_avp(ctx, c, &who, &ctx->avp[i], calls, len);
	}
	return len > 0 ? add_questions(c, &who, named ? c->target.name : STR_NONE, calls, len)
		       : len;
}

AVPOPS_RUN(avpops_run_store)
{
	const struct change *c = args->data;
	char calls[DB_CALL_MAX];
	int len = avpops_waited(ctx, c, calls, sizeof(calls));
	int32_t ret;

	if (len == 0)
		len = pack_store(ctx, c, calls);
	if (len <= 0)
		return ROUTE_FALSE;
	ret = avpops_change(ctx, c, str_of(calls, (size_t)len));
	for (unsigned i = 0; ret == ROUTE_TRUE && i < ctx->avps; i++) {
		if (is_to_store(ctx, c, &ctx->avp[i]))
			ctx->avp[i].value.stored = true;
	}
	return ret;
}

static int pack_delete(struct route_ctx *ctx, const struct change *c, char *calls)
{
	bool named = c->target.match == AVPOPS_NAME;
	struct db_value param[4];
	struct avpops_who who;
	unsigned params;
	int len;

	if (!avpops_find_who(ctx, &c->source, &who))
		return 0;
	params = avpops_put_keys(&who, c->keys, param);
	if (named)
		param[params++] = db_text(c->target.name);
	len = db_pack(c->room->db, calls, DB_CALL_MAX, 0, c->statement, param, params);
	return len > 0 ? add_questions(c, &who, named ? c->target.name : STR_NONE, calls, len)
		       : len;
}

AVPOPS_RUN(avpops_run_delete)
{
	const struct change *c = args->data;
	char calls[DB_CALL_MAX];
	int len = avpops_waited(ctx, c, calls, sizeof(calls));

	if (len == 0)
		len = pack_delete(ctx, c, calls);
	return len > 0 ? avpops_change(ctx, c, str_of(calls, (size_t)len)) : ROUTE_FALSE;
}
