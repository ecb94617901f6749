/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Rows for the database: statements, and their way to the writer.
 *
 * Where the outcome of a commit is unknown its rows are written again (db_lane_change()). So each
 * has an id that no other has, `rid`, which the table takes once. Tables of OpenSER and Kamailio
 * have no such column until `siplanectl db migrate` adds it: there the row is without, and may be
 * there twice after such an end.
 */
#include <stdarg.h>
#include <stdio.h>

#include "acc/internal.h"
#include "base/log.h"

#define LANE_BYTES (16u << 20)
#define ROW_COLUMNS 8
#define CDR_COLUMNS 10
#define RID_BYTES 48
_Static_assert(CDR_COLUMNS + ACC_FIELDS_MAX <= DB_PARAMS_MAX, "a parameter for each column");

/* ---- statements ---- */

struct sql {
	unsigned len;
	bool full;
	char text[DB_SQL_MAX];
};

static void add(struct sql *q, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void add(struct sql *q, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(q->text + q->len, sizeof(q->text) - q->len, fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= sizeof(q->text) - q->len)
		q->full = true;
	else
		q->len += (unsigned)n;
}

/* The first column is one that every such table has and that is never NULL; `ours` behind it are
 * those that Kamailio's tables have not, the first of them `rid`. */
struct columns {
	unsigned count, ours;
	struct str name[DB_PARAMS_MAX];
};

static int column(struct columns *c, struct str name, char *error, size_t error_size)
{
	bool good = acc_is_name(name) && c->count < DB_PARAMS_MAX;

	for (unsigned i = 0; i < c->count && good; i++)
		good = !str_ieq(c->name[i], name);
	if (!good) {
		snprintf(error, error_size,
			"'%.*s' is no name of a column, is one twice, or one too many",
			STR_FMT(name));
		return -EINVAL;
	}
	c->name[c->count++] = name;
	return 0;
}

static int columns(struct columns *c, const char *const *name, unsigned names,
	const struct acc_fields *extra, char *error, size_t error_size)
{
	int err = 0;

	for (unsigned i = 0; i < names && err == 0; i++)
		err = column(c, str_c(name[i]), error, error_size);
	for (unsigned i = 0; i < extra->count && err == 0; i++)
		err = column(c, extra->field[i].name, error, error_size);
	return err;
}

enum dialect { DIALECT_SQLITE, DIALECT_MYSQL, DIALECT_POSTGRES };

static enum dialect dialect_of(const char *url)
{
	if (str_istarts(str_c(url), STR("mysql")) || str_istarts(str_c(url), STR("mariadb")))
		return DIALECT_MYSQL;
	return str_istarts(str_c(url), STR("postgres")) ? DIALECT_POSTGRES : DIALECT_SQLITE;
}

/* With all columns: a row whose `rid` is there already is not written again. */
static void full_statement(
	struct sql *q, const char *table, const struct columns *c, enum dialect dialect)
{
	add(q, "INSERT INTO %s (", table);
	for (unsigned i = 0; i < c->count; i++)
		add(q, "%s%.*s", i != 0 ? "," : "", STR_FMT(c->name[i]));
	add(q, ") VALUES (?");
	for (unsigned i = 1; i < c->count; i++)
		add(q, ",?");
	add(q, dialect == DIALECT_MYSQL ? ") ON DUPLICATE KEY UPDATE rid=rid"
					: ") ON CONFLICT DO NOTHING");
}

/* Without ours. Their values stand behind one that is never NULL, and are not looked at. */
static void other_statement(struct sql *q, const char *table, const struct columns *c,
	bool begins_with_time, enum dialect dialect)
{
	/* There the type of what stands in COALESCE() is text. */
	bool cast = begins_with_time && dialect == DIALECT_POSTGRES;

	add(q, "INSERT INTO %s (%.*s", table, STR_FMT(c->name[0]));
	for (unsigned i = 1 + c->ours; i < c->count; i++)
		add(q, ",%.*s", STR_FMT(c->name[i]));
	add(q, ") VALUES (%sCOALESCE(?", cast ? "CAST(" : "");
	for (unsigned i = 0; i < c->ours; i++)
		add(q, ",?");
	add(q, ")%s", cast ? " AS TIMESTAMP)" : "");
	for (unsigned i = 1 + c->ours; i < c->count; i++)
		add(q, ",?");
	add(q, ")");
}

static int register_statement(struct acc *a, const struct acc_params *p, const char *table,
	const struct columns *c, bool begins_with_time, char *error, size_t error_size)
{
	struct db_statement st = {.params = (uint8_t)c->count};
	struct sql *full, *other;
	enum dialect dialect;
	int ret = db_use(a->config.db, p->db_url, error, error_size);

	if (ret < 0)
		return ret;
	full = calloc(2, sizeof(*full));
	if (full == NULL) {
		snprintf(error, error_size, "not enough memory");
		return -ENOMEM;
	}
	other = full + 1;
	dialect = dialect_of(db_url_text(a->config.db, ret));
	full_statement(full, table, c, dialect);
	other_statement(other, table, c, begins_with_time, dialect);
	st.text = full->text;
	st.otherwise = other->text;
	if (full->full || other->full) {
		snprintf(error, error_size, "a row of %s has too many columns", table);
		ret = -E2BIG;
	} else {
		ret = db_statement(a->config.db, ret, &st, error, error_size);
	}
	free(full);
	return ret;
}

static int check_table(struct acc *a, const char *table, char *error, size_t error_size)
{
	if (a->config.db == NULL) {
		snprintf(error, error_size, "there is no database here");
		return -EINVAL;
	}
	if (acc_is_name(str_c(table)))
		return 0;
	snprintf(error, error_size,
		"'%s' cannot be the name of a table: rows go to one table, "
		"which is known when the script is loaded",
		table);
	return -EINVAL;
}

int acc_statement(struct acc *a, const struct acc_params *p, const char *table,
	const struct acc_fields *extra, char *error, size_t error_size)
{
	/* In this order acc_row() gives their values. */
	const char *const name[] = {p->reason_column, "rid", p->method_column, p->from_tag_column,
		p->to_tag_column, p->call_id_column, p->code_column, p->time_column};
	struct columns c = {.ours = 1};
	int err = check_table(a, table, error, error_size);

	if (err == 0)
		err = columns(&c, name, ROW_COLUMNS, extra, error, error_size);
	return err != 0 ? err : register_statement(a, p, table, &c, false, error, error_size);
}

int acc_cdr_statement(struct acc *a, const struct acc_params *p, const struct acc_fields *extra,
	char *error, size_t error_size)
{
	const char *const name[] = {p->cdr_start_id, "rid", "callid", "from_tag", "to_tag",
		"caller", "callee", "end_reason", p->cdr_end_id, p->cdr_duration_id};
	struct columns c = {.ours = 7};
	int err = check_table(a, p->table_cdrs, error, error_size);

	if (err == 0)
		err = columns(&c, name, CDR_COLUMNS, extra, error, error_size);
	return err != 0 ? err
			: register_statement(a, p, p->table_cdrs, &c, true, error, error_size);
}

/* ---- rows ---- */

static char *put_hex(char *at, uint64_t v)
{
	static const char digit[] = "0123456789abcdef";
	int shift = 60;

	while (shift > 0 && v >> shift == 0)
		shift -= 4;
	for (; shift >= 0; shift -= 4)
		*at++ = digit[v >> shift & 15];
	return at;
}

/* Of no other row: this process's number, the slow lcore's, and that of the row there. */
static struct db_value rid(struct acc *a, unsigned shard, char out[RID_BYTES])
{
	char *at = put_hex(out, a->instance);

	*at++ = '-';
	at = put_hex(at, shard);
	*at++ = '-';
	at = put_hex(at, a->shard[shard].serial++);
	return db_text(str_of(out, (size_t)(at - out)));
}

static unsigned add_extras(
	struct db_value *v, const struct acc_value *extra, unsigned extras, bool nullable)
{
	for (unsigned i = 0; i < extras; i++)
		v[i] = extra[i].null && nullable ? (struct db_value){.type = DB_NULL}
						 : db_text(extra[i].s);
	return extras;
}

static void send(
	struct acc *a, unsigned shard, int statement, const struct db_value *v, unsigned count)
{
	struct acc_shard *sh = &a->shard[shard];
	struct db_lane *lane = atomic_load_explicit(&sh->lane, memory_order_acquire);
	int len = db_pack(a->config.db, sh->packed, DB_CALL_MAX, 0, (unsigned)statement, v, count);
	bool sent =
		lane != NULL && len > 0 && db_lane_change(lane, str_of(sh->packed, (size_t)len));

	acc_count(sh, sent ? ACC_COUNTER_ROWS : ACC_COUNTER_LOST);
}

void acc_row(struct acc *a, unsigned shard, int statement, const struct acc_record *r,
	const struct acc_value *extra, unsigned extras, bool nullable)
{
	struct db_value v[DB_PARAMS_MAX];
	char time[DB_TIME_TEXT], id[RID_BYTES];
	unsigned n = 0;

	acc_time_text(a, r->at_ns, time);
	v[n++] = db_text(r->reason);
	v[n++] = rid(a, shard, id);
	v[n++] = db_text(r->method);
	v[n++] = db_text(r->from_tag);
	v[n++] = db_text(r->to_tag);
	v[n++] = db_text(r->call_id);
	v[n++] = db_text(r->code);
	v[n++] = db_text(str_of(time, DB_TIME_TEXT - 1));
	n += add_extras(v + n, extra, extras, nullable);
	send(a, shard, statement, v, n);
}

void acc_cdr_row(
	struct acc *a, unsigned shard, const struct acc_settings *s, const struct acc_cdr *c)
{
	struct db_value v[DB_PARAMS_MAX];
	char start[DB_TIME_TEXT], end[DB_TIME_TEXT], id[RID_BYTES];
	unsigned n = 0;

	acc_time_text(a, c->start_ns, start);
	acc_time_text(a, c->end_ns, end);
	v[n++] = db_text(str_of(start, DB_TIME_TEXT - 1));
	v[n++] = rid(a, shard, id);
	v[n++] = db_text(c->call_id);
	v[n++] = db_text(c->from_tag);
	v[n++] = db_text(c->to_tag);
	v[n++] = db_text(c->caller);
	v[n++] = db_text(c->callee);
	v[n++] = db_text(c->end);
	v[n++] = db_text(str_of(end, DB_TIME_TEXT - 1));
	v[n++] = (struct db_value){
		.type = DB_REAL, .r = (double)((c->end_ns - c->start_ns) / CLOCK_NS_PER_MS) / 1000};
	n += add_extras(v + n, c->extra, c->extras, s->cdr_extra_nullable);
	send(a, shard, s->statement_cdrs, v, n);
}

/* What is on its way is on disk then, whatever becomes of the database, and of us. */
static void give_spool(struct acc *a, struct db_lane *lane, const struct acc_settings *s)
{
	const struct db_spool_config config = {.path = s->spool_file, .bytes = s->spool_bytes};
	char error[512];

	if (s->spool_file[0] != '\0' && db_lane_spool(lane, &config, error, sizeof(error)) != 0)
		log_warning(
			"acc: while the database is down rows are kept in memory only: %s", error);
}

int acc_lanes(struct acc *a, const struct acc_settings *s)
{
	for (unsigned i = 0; i < a->config.shards; i++) {
		_Atomic(struct db_lane *) *lane = &a->shard[i].lane;
		struct db_lane *made;

		made = atomic_load_explicit(lane, memory_order_relaxed);
		if (made == NULL)
			made = db_lane_create(a->config.db, LANE_BYTES);
		if (made == NULL)
			return -errno;
		give_spool(a, made, s);
		atomic_store_explicit(lane, made, memory_order_release);
	}
	return 0;
}
