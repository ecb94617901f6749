/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The statements of usrloc's tables. A row is a binding: with db_mode 3, where the table alone says
 * what is registered, each that is removed or refreshed is found as one, and another process's of
 * the same URI stays.
 */
#include <errno.h>
#include <stdio.h>

#include "registrar/internal.h"

/* What makes a row one binding, beside its user and URI. */
#define OF_BINDING " AND COALESCE(instance,'')=? AND COALESCE(reg_id,0)=?"

static int statement(struct registrar *r, int database, const struct db_statement *st, int *out,
	char *error, size_t error_size)
{
	*out = db_statement(r->config.db, database, st, error, error_size);
	return *out < 0 ? *out : 0;
}

static int insert_make(struct registrar *r, int database, const char *table, bool unless_changed,
	int *out, char *error, size_t error_size)
{
	char sql[512], older[512];
	const struct db_statement st = {.text = sql,
		.otherwise = older,
		.params = REGISTRAR_WRITE_PARAMS,
		.unless_changed = unless_changed};

	snprintf(sql, sizeof(sql),
		"INSERT INTO %s (" REGISTRAR_COLUMNS ",user_agent,ruid,instance,reg_id) VALUES "
		"(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
		table);
	/* OpenSER 1.3 has none of the last three; a user agent is never NULL. */
	snprintf(older, sizeof(older),
		"INSERT INTO %s (" REGISTRAR_COLUMNS ",user_agent) VALUES "
		"(?,?,?,?,?,?,?,?,?,?,?,?,?,?,COALESCE(?,?,?,?))",
		table);
	return statement(r, database, &st, out, error, error_size);
}

/* Of a table without ruid, OpenSER's, a URI has one row, and there are no others. */
static int refresh_make(struct registrar *r, int database, const char *table, const char *of_domain,
	bool only, struct registrar_rows *out, char *error, size_t error_size)
{
	uint8_t keys = of_domain[0] != '\0' ? 4 : 3;
	char sql[512], older[512];
	struct db_statement st = {.text = sql,
		.otherwise = older,
		.params = (uint8_t)(REGISTRAR_REFRESH_PARAMS + keys)};
	int err;

	snprintf(sql, sizeof(sql),
		"UPDATE %s SET " REGISTRAR_REFRESH " WHERE username=?%s AND contact=? AND ruid=?",
		table, of_domain);
	snprintf(older, sizeof(older),
		"UPDATE %s SET " REGISTRAR_REFRESH " WHERE username=?%s AND contact=? AND ''<>?",
		table, of_domain);
	err = statement(r, database, &st, &out->refresh, error, error_size);
	if (err != 0)
		return err;
	snprintf(sql, sizeof(sql), "DELETE FROM %s WHERE username=?%s AND contact=? AND ruid<>?%s",
		table, of_domain, only ? OF_BINDING : "");
	snprintf(older, sizeof(older), "DELETE FROM %s WHERE username=?%s AND contact=? AND ''=%s",
		table, of_domain, only ? "COALESCE(?,?,?)" : "?");
	st.params = (uint8_t)(keys + (only ? 2 : 0));
	st.unless_changed = true;
	return statement(r, database, &st, &out->others, error, error_size);
}

/* Those of one table. 0 or -errno and a sentence. */
static int statements_make(struct registrar *r, int database, const char *table,
	const struct registrar_usrloc *p, struct registrar_rows *out, char *error,
	size_t error_size)
{
	bool use_domain = p->use_domain != 0, only = registrar_only(p);
	/* Where domains do not count, others have written NULL or '' there. */
	const char *of_domain = use_domain ? " AND domain=?" : "";
	char sql[512], older[512], of_user[96] = "";
	struct db_statement st = {.text = sql};
	int err;

	snprintf(sql, sizeof(sql), "DELETE FROM %s WHERE username=?%s AND contact=?%s", table,
		of_domain, only ? OF_BINDING : "");
	snprintf(older, sizeof(older),
		"DELETE FROM %s WHERE username=?%s AND contact=? AND COALESCE(?,?) IS NOT NULL",
		table, of_domain);
	st.otherwise = only ? older : NULL;
	st.params = (uint8_t)((use_domain ? 3 : 2) + (only ? 2 : 0));
	err = statement(r, database, &st, &out->remove, error, error_size);
	snprintf(sql, sizeof(sql), "DELETE FROM %s WHERE username=?%s", table, of_domain);
	st.otherwise = NULL;
	st.params = use_domain ? 2 : 1;
	if (err == 0)
		err = statement(r, database, &st, &out->remove_all, error, error_size);
	snprintf(sql, sizeof(sql), "SELECT MIN(expires) FROM %s", table);
	st = (struct db_statement){.text = sql, .columns = "s"};
	if (err == 0)
		err = statement(r, database, &st, &out->oldest, error, error_size);
	st = (struct db_statement){.text = sql};
	snprintf(sql, sizeof(sql), "DELETE FROM %s WHERE expires<?", table);
	st.params = 1;
	if (err == 0)
		err = statement(r, database, &st, &out->clean, error, error_size);
	if (err == 0)
		err = insert_make(r, database, table, false, &out->insert, error, error_size);
	if (err == 0)
		err = insert_make(r, database, table, true, &out->add, error, error_size);
	if (err == 0)
		err = refresh_make(r, database, table, of_domain, only, out, error, error_size);
	if (only)
		snprintf(of_user, sizeof(of_user),
			" WHERE username=?%s AND expires>? ORDER BY id LIMIT %d", of_domain,
			REGISTRAR_READ_ROWS);
	snprintf(sql, sizeof(sql),
		"SELECT " REGISTRAR_COLUMNS ",user_agent,instance,reg_id FROM %s%s", table,
		of_user);
	snprintf(older, sizeof(older), "SELECT " REGISTRAR_COLUMNS ",user_agent,NULL,0 FROM %s%s",
		table, of_user);
	st = (struct db_statement){
		.text = sql, .otherwise = older, .columns = REGISTRAR_READ_TYPES};
	st.params = only ? (use_domain ? 3 : 2) : 0;
	if (err == 0)
		err = statement(r, database, &st, &out->read, error, error_size);
	return err;
}

/* Of a name that a refused configuration has left. */
static const struct registrar_rows no_rows = {-1, -1, -1, -1, -1, -1, -1, -1, -1};

int registrar_persist_prepare(struct registrar *r, const struct registrar_usrloc *p,
	struct registrar_usrloc_settings *s, char *error, size_t error_size)
{
	int database, err = 0;

	if (r->config.db == NULL) {
		snprintf(error, error_size, "there is no database here");
		return -EINVAL;
	}
	database = db_use(r->config.db, p->db_url, error, error_size);
	if (database < 0)
		return database;
	s->database = database;
	s->tables = atomic_load_explicit(&r->tables, memory_order_acquire);
	for (unsigned i = 0; i < s->tables && err == 0; i++) {
		s->rows[i] = no_rows;
		if (!registrar_table_there(r, i))
			continue;
		if (!db_is_name(str_c(r->table[i])) || strchr(r->table[i], '.') != NULL) {
			snprintf(error, error_size, "'%s' cannot be the name of a database's table",
				r->table[i]);
			return -EINVAL;
		}
		err = statements_make(r, database, r->table[i], p, &s->rows[i], error, error_size);
	}
	return err;
}
