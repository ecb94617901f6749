/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * PostgreSQL, over libpq: without blocking, so that each wait has its end.
 *
 * Values travel as text and the server finds their types, so that a statement means the same here
 * as in the other databases; SQL's `?` become $1, $2. What a text must not have here (a NUL, bytes
 * that are not UTF-8) is refused before the library cuts it.
 *
 * TLS and what else the library can stands in its environment (PGSSLMODE, PGSSLROOTCERT, ...).
 */
#include <errno.h>
#include <libpq-fe.h>
#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "db/remote.h"

#define NUMBER_TEXT_MAX 32
#define MARK_MAX 4 /* "$32" instead of "?" */
#define SQL_MAX (DB_SQL_MAX + DB_PARAMS_MAX * MARK_MAX)
#define PARAM_BYTES_MAX (DB_CALL_MAX + DB_PARAMS_MAX * NUMBER_TEXT_MAX)
#define NAME_MAX_LEN 24

/* Of the server's catalogue of types, the same in each version. */
enum {
	TYPE_BOOL = 16,
	TYPE_INT8 = 20,
	TYPE_INT2 = 21,
	TYPE_INT4 = 23,
	TYPE_REAL = 700,
	TYPE_DOUBLE = 701,
	TYPE_NUMERIC = 1700
};

struct postgres_link {
	PGconn *conn;
	struct remote_wait wait;
	bool dead;
	enum db_fault fault; /* of the statement that it runs */
	unsigned long names; /* of statements, so far */
	char param[PARAM_BYTES_MAX];
};

struct postgres_ready {
	char name[NAME_MAX_LEN];
	unsigned params;
};

static enum db_result say(enum db_result result, char *error, size_t error_size, const char *text)
{
	remote_say(error, error_size, "", text);
	return result;
}

/* ---- what went wrong ---- */

/* The connection failed, or nobody waits for it any more. */
static enum db_result broken(struct postgres_link *link, char *error, size_t error_size)
{
	const char *text = PQerrorMessage(link->conn);

	link->dead = true;
	if (link->wait.late)
		text = "it does not answer in time";
	else if (link->wait.stopped)
		text = "it was not waited for any more";
	else if (*text == '\0')
		text = "the connection has ended";
	return say(DB_DOWN, error, error_size, text);
}

static bool state_begins(const char *state, const char *with)
{
	return strncmp(state, with, strlen(with)) == 0;
}

/* Classes of SQLSTATE that say nothing about the statement: connection, resources, an operator who
 * intervenes, system; somebody else has locked it; cut off by the server's limit. */
static bool is_down(const char *state)
{
	static const char *const down[] = {"08", "53", "57", "58", "XX", "40", "55P03", "25006"};

	for (size_t i = 0; i < sizeof(down) / sizeof(*down); i++) {
		if (state_begins(state, down[i]))
			return true;
	}
	return false;
}

/* The server closes, or may only be read (another one is the first now), or does not know our
 * statements any more (a pooler between us, another type of a column): a new connection may be
 * better. */
static bool ends_link(const char *state)
{
	return state_begins(state, "57P") || state_begins(state, "08") ||
	       state_begins(state, "26") || state_begins(state, "25006") ||
	       state_begins(state, "0A000");
}

/* What a server says about values has the values in it. */
static void sentence(const PGresult *res, const char *state, char *error, size_t error_size)
{
	const char *name = PQresultErrorField(res, PG_DIAG_CONSTRAINT_NAME);
	const char *text = PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY);

	if (state_begins(state, "22"))
		text = state_begins(state, "22001") ? "a text is too long for its column"
						    : "a value is not of its column's type";
	else if (state_begins(state, "23505"))
		text = "there is such a row already";
	else if (state_begins(state, "23"))
		text = "a constraint is violated: ";
	remote_say(error, error_size, text != NULL ? text : "an error without words",
		state_begins(state, "23") && name != NULL && !state_begins(state, "23505") ? name
											   : "");
}

static enum db_result refused(
	struct postgres_link *link, const PGresult *res, char *error, size_t error_size)
{
	const char *state = PQresultErrorField(res, PG_DIAG_SQLSTATE);

	/* Without one it was the library that found the connection gone. */
	if (state == NULL)
		return broken(link, error, error_size);
	sentence(res, state, error, error_size);
	if (state_begins(state, "40"))
		link->fault = DB_FAULT_DEADLOCK;
	else if (state_begins(state, "55P03") || state_begins(state, "57014"))
		link->fault = DB_FAULT_LOCKED;
	if (ends_link(state)) {
		link->dead = true;
		return DB_DOWN;
	}
	return is_down(state) ? DB_DOWN : DB_REFUSED;
}

/* ---- waiting ---- */

static bool wait_for(struct postgres_link *link, short events)
{
	return remote_poll(&link->wait, PQsocket(link->conn), events) == 1;
}

/* Sends what the library holds back. What comes meanwhile is taken, or both sides would wait. */
static bool flush(struct postgres_link *link)
{
	int left;

	while ((left = PQflush(link->conn)) == 1) {
		if (!wait_for(link, POLLIN | POLLOUT) || PQconsumeInput(link->conn) == 0)
			return false;
	}
	return left == 0;
}

/* The next result. False: the connection has failed; *res is NULL where there is none any more. */
static bool next_result(struct postgres_link *link, PGresult **res)
{
	*res = NULL;
	while (PQisBusy(link->conn)) {
		if (!wait_for(link, POLLIN) || PQconsumeInput(link->conn) == 0)
			return false;
	}
	*res = PQgetResult(link->conn);
	return true;
}

/* Reads results to the last: of what was sent, whose rows nobody wants. */
static enum db_result finish(struct postgres_link *link, enum db_result result, const char *tag,
	char *error, size_t error_size)
{
	ExecStatusType status;
	PGresult *res;

	for (;;) {
		if (!next_result(link, &res))
			return broken(link, error, error_size);
		if (res == NULL)
			return result;
		status = PQresultStatus(res);
		if (result == DB_DONE && status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK &&
			status != PGRES_SINGLE_TUPLE)
			result = refused(link, res, error, error_size);
		/* COMMIT of a transaction that had failed is done, as a ROLLBACK. */
		else if (result == DB_DONE && tag != NULL && strcmp(PQcmdStatus(res), tag) != 0)
			result = say(DB_REFUSED, error, error_size, "the transaction had failed");
		PQclear(res);
	}
}

static enum db_result query(struct postgres_link *link, const char *sql, const char *tag,
	char *error, size_t error_size)
{
	if (PQsendQuery(link->conn, sql) == 0 || !flush(link))
		return broken(link, error, error_size);
	return finish(link, DB_DONE, tag, error, error_size);
}

/* ---- connections ---- */

static void postgres_close(void *arg)
{
	struct postgres_link *link = arg;

	if (link->conn != NULL)
		PQfinish(link->conn);
	remote_close(&link->wait);
	free(link);
}

static bool connects(struct postgres_link *link)
{
	PostgresPollingStatusType status = PGRES_POLLING_WRITING;

	if (link->conn == NULL || PQstatus(link->conn) == CONNECTION_BAD)
		return false;
	while (status != PGRES_POLLING_OK && status != PGRES_POLLING_FAILED) {
		if (!wait_for(link, status == PGRES_POLLING_READING ? POLLIN : POLLOUT))
			return false;
		status = PQconnectPoll(link->conn);
	}
	return status == PGRES_POLLING_OK;
}

/* A socket is given as its path, or as the folder that it is in, as libpq has it. */
static void place(
	const struct db_url *url, char *host, size_t host_size, char *port, size_t port_size)
{
	char *name;

	snprintf(host, host_size, "%s", url->host);
	snprintf(port, port_size, "%s", "");
	if (url->port != 0)
		snprintf(port, port_size, "%u", url->port);
	name = url->socket ? strstr(host, "/.s.PGSQL.") : NULL;
	if (name != NULL) {
		snprintf(port, port_size, "%s", name + strlen("/.s.PGSQL."));
		*name = '\0';
	}
}

static PGconn *start(const struct db_url *url, enum db_role role)
{
	char host[DB_HOST_MAX], port[DB_HOST_MAX], options[256];
	const char *const key[] = {"host", "port", "user", "password", "dbname", "options",
		"client_encoding", "application_name", "keepalives_idle", NULL};
	const char *const value[] = {host, port, url->user, url->password, url->database, options,
		"UTF8", "siplane", "60", NULL};
	int len;

	place(url, host, sizeof(host), port, sizeof(port));
	/* UTC: what CURRENT_TIMESTAMP is in the other databases. */
	len = snprintf(options, sizeof(options),
		"-c standard_conforming_strings=on -c DateStyle=ISO -c TimeZone=UTC "
		"-c lock_timeout=%d",
		REMOTE_LOCK_MS);
	if (role != DB_ROLE_NOW)
		snprintf(options + len, sizeof(options) - (size_t)len, " -c statement_timeout=%d%s",
			REMOTE_STATEMENT_MS,
			role == DB_ROLE_ASK ? " -c default_transaction_read_only=on" : "");
	return PQconnectStartParams(key, value, 0);
}

static void say_nothing(void *arg, const PGresult *res)
{
}

static void *postgres_open(
	const struct db_url *url, enum db_role role, char *error, size_t error_size)
{
	struct postgres_link *link = calloc(1, sizeof(*link));

	if (link == NULL) {
		say(DB_DOWN, error, error_size, "no memory for a connection");
		return NULL;
	}
	if (remote_open(&link->wait) != 0) {
		remote_say(error, error_size, "no descriptor for a connection: ", strerror(errno));
		postgres_close(link);
		return NULL;
	}
	remote_begin(&link->wait, remote_until());
	link->conn = start(url, role);
	if (!connects(link)) {
		if (link->conn == NULL)
			say(DB_DOWN, error, error_size, "no memory for a connection");
		else
			broken(link, error, error_size);
		postgres_close(link);
		return NULL;
	}
	/* What the server remarks, such as a table that is there already, is not for stderr. */
	PQsetNoticeReceiver(link->conn, say_nothing, NULL);
	PQsetnonblocking(link->conn, 1);
	return link;
}

static bool postgres_dead(void *arg)
{
	const struct postgres_link *link = arg;

	return link->dead || PQstatus(link->conn) != CONNECTION_OK;
}

static void postgres_interrupt(void *arg)
{
	remote_stop(&((struct postgres_link *)arg)->wait);
}

/* ---- statements ---- */

/* SQL with $1 for its first `?`, and so on. False: it does not fit, or has not so many. */
static bool number_marks(const char *sql, unsigned params, char *out, size_t size)
{
	const char *mark;
	unsigned n = 0;
	size_t len = 0;

	while ((mark = sql_mark(sql)) != NULL) {
		len += (size_t)snprintf(
			out + len, size - len, "%.*s$%u", (int)(mark - sql), sql, ++n);
		if (n > params || len >= size)
			return false;
		sql = mark + 1;
	}
	len += (size_t)snprintf(out + len, size - len, "%s", sql);
	return n == params && len < size;
}

static enum db_result postgres_prepare(
	void *arg, const char *sql, unsigned params, void **out, char *error, size_t error_size)
{
	struct postgres_link *link = arg;
	struct postgres_ready *ready;
	char text[SQL_MAX];
	enum db_result result;

	if (link->dead)
		return say(DB_DOWN, error, error_size, "the connection has ended");
	ready = calloc(1, sizeof(*ready));
	if (ready == NULL)
		return say(DB_DOWN, error, error_size, "no memory for a statement");
	remote_begin(&link->wait, remote_until());
	ready->params = params;
	snprintf(ready->name, sizeof(ready->name), "s%lu", link->names++);
	if (!number_marks(sql, params, text, sizeof(text)))
		result = say(DB_REFUSED, error, error_size,
			"the statement has another number of parameters, or is too long");
	else if (PQsendPrepare(link->conn, ready->name, text, 0, NULL) == 0 || !flush(link))
		result = broken(link, error, error_size);
	else
		result = finish(link, DB_DONE, NULL, error, error_size);
	if (result == DB_DONE)
		*out = ready;
	else
		free(ready);
	return result;
}

static void postgres_unprepare(void *arg, void *which)
{
	struct postgres_link *link = arg;
	struct postgres_ready *ready = which;
	char sql[64], error[DB_ERROR_MAX];

	/* In a transaction that has failed it would be refused: the server keeps it to the end of
	 * the connection. */
	if (!postgres_dead(link) && PQtransactionStatus(link->conn) != PQTRANS_INERROR) {
		remote_begin(&link->wait, remote_until());
		snprintf(sql, sizeof(sql), "DEALLOCATE %s", ready->name);
		query(link, sql, NULL, error, sizeof(error));
	}
	free(ready);
}

/* The text of a parameter, with a NUL at its end, at *p of what is left of link->param. */
static const char *param_text(const struct db_value *v, char **p, size_t *left)
{
	const char *text = *p;
	int n;

	switch (v->type) {
	case DB_INT:
		n = snprintf(*p, *left, "%lld", (long long)v->i);
		break;
	case DB_REAL:
		n = snprintf(*p, *left, "%.17g", v->r);
		break;
	default:
		n = snprintf(*p, *left, "%.*s", STR_FMT(v->s));
	}
	if (n < 0 || (size_t)n >= *left)
		return NULL;
	*p += n + 1;
	*left -= (size_t)n + 1;
	return text;
}

/* The types of what is in a row, as far as they are numbers. */
static char own_type(Oid type)
{
	switch (type) {
	case TYPE_BOOL:
	case TYPE_INT8:
	case TYPE_INT2:
	case TYPE_INT4:
		return 'i';
	case TYPE_REAL:
	case TYPE_DOUBLE:
	case TYPE_NUMERIC:
		return 'r';
	default:
		return 's';
	}
}

static struct db_value field(const PGresult *res, int column, char wanted)
{
	struct str text = str_of(PQgetvalue(res, 0, column), (size_t)PQgetlength(res, 0, column));

	if (PQgetisnull(res, 0, column))
		return (struct db_value){.type = DB_NULL};
	/* 't' and 'f' */
	if (PQftype(res, column) == TYPE_BOOL)
		text = text.len == 1 && text.s[0] == 't' ? STR("1") : STR("0");
	return db_value_as(
		wanted != '\0' && wanted != 'a' ? wanted : own_type(PQftype(res, column)), text);
}

/* One row to visit(). *on: whether more are wanted. */
static enum db_result take_row(
	const PGresult *res, struct db_run *run, bool *on, char *error, size_t error_size)
{
	struct db_value value[DB_COLUMNS_MAX];
	int columns = PQnfields(res);

	*on = false;
	if (columns > DB_COLUMNS_MAX ||
		(run->columns != NULL && strlen(run->columns) != (size_t)columns))
		return say(DB_REFUSED, error, error_size,
			"the statement has another number of columns");
	for (int i = 0; i < columns; i++) {
		if (PQgetlength(res, 0, i) > DB_VALUE_MAX)
			return say(DB_TOO_LONG, error, error_size, "a text is too long");
		value[i] = field(res, i, run->columns != NULL ? run->columns[i] : '\0');
	}
	*on = run->visit == NULL || run->visit(run->arg, value, (unsigned)columns);
	return DB_DONE;
}

static enum db_result take_rows(
	struct postgres_link *link, struct db_run *run, char *error, size_t error_size)
{
	enum db_result result = DB_DONE;
	ExecStatusType status;
	bool on = true;
	PGresult *res;

	while (result == DB_DONE && on) {
		if (!next_result(link, &res))
			return broken(link, error, error_size);
		if (res == NULL)
			return DB_DONE;
		status = PQresultStatus(res);
		if (status == PGRES_SINGLE_TUPLE)
			result = take_row(res, run, &on, error, error_size);
		else if (status == PGRES_COMMAND_OK)
			run->changed = strtoull(PQcmdTuples(res), NULL, 10);
		else if (status != PGRES_TUPLES_OK)
			result = refused(link, res, error, error_size);
		PQclear(res);
	}
	if (postgres_dead(link))
		return result;
	/* An error after the rows that were wanted is of no interest; nor does one replace the
	 * first. */
	return finish(link, result, NULL, error, error_size);
}

static enum db_result say_value(
	struct db_run *run, char *error, size_t error_size, const char *text)
{
	run->fault = DB_FAULT_VALUE;
	return say(DB_REFUSED, error, error_size, text);
}

static enum db_result postgres_run(
	void *arg, void *which, struct db_run *run, char *error, size_t error_size)
{
	struct postgres_link *link = arg;
	struct postgres_ready *ready = which;
	const char *value[DB_PARAMS_MAX] = {NULL};
	char *p = link->param;
	size_t left = sizeof(link->param);
	enum db_result result;

	run->changed = 0;
	/* What was not waited for may come yet: it is nobody else's answer. */
	if (link->dead)
		return say(DB_DOWN, error, error_size, "the connection has ended");
	remote_begin(&link->wait, run->deadline);
	if (run->silence_ms != 0)
		link->wait.silence_ms = run->silence_ms;
	if (run->params != ready->params)
		return say(DB_REFUSED, error, error_size, "another number of parameters");
	for (unsigned i = 0; i < run->params; i++) {
		const struct db_value *v = &run->param[i];

		if (v->type == DB_NULL)
			continue;
		if (v->type == DB_TEXT && str_utf8_len(v->s) != v->s.len)
			return say_value(run, error, error_size, "a text is not UTF-8");
		value[i] = param_text(v, &p, &left);
		if (value[i] == NULL)
			return say_value(run, error, error_size, "the parameters are too long");
	}
	link->fault = DB_FAULT_NONE;
	if (PQsendQueryPrepared(link->conn, ready->name, (int)run->params, value, NULL, NULL, 0) ==
			0 ||
		PQsetSingleRowMode(link->conn) == 0 || !flush(link))
		return broken(link, error, error_size);
	result = take_rows(link, run, error, error_size);
	run->fault = link->fault;
	return result;
}

/* ---- transactions ---- */

static enum db_result postgres_step(void *arg, enum db_step step, char *error, size_t error_size)
{
	/* With the word that the server answers where it has done that and nothing else. */
	static const char *const sql[][2] = {
		[DB_STEP_BEGIN] = {"BEGIN", "BEGIN"},
		[DB_STEP_COMMIT] = {"COMMIT", "COMMIT"},
		[DB_STEP_ROLLBACK] = {"ROLLBACK", "ROLLBACK"},
		[DB_STEP_PART] = {"SAVEPOINT part", "SAVEPOINT"},
		[DB_STEP_PART_KEEP] = {"RELEASE SAVEPOINT part", "RELEASE"},
		[DB_STEP_PART_UNDO] = {"ROLLBACK TO SAVEPOINT part;RELEASE SAVEPOINT part", NULL},
		[DB_STEP_HURRY] = {"SET lock_timeout = 50", "SET"},
		[DB_STEP_PATIENCE] = {"RESET lock_timeout", "RESET"}, /* to the start's options */
		[DB_STEP_LOOK_END] = {NULL, NULL},
	};
	struct postgres_link *link = arg;

	if (link->dead)
		return say(DB_DOWN, error, error_size, "the connection has ended");
	if (sql[step][0] == NULL)
		return DB_DONE;
	remote_begin(&link->wait, remote_until());
	return query(link, sql[step][0], sql[step][1], error, error_size);
}

const struct db_driver db_postgres = {
	.name = "postgres",
	.scheme = {"postgres", "postgresql"},
	.goes_on = false,
	.open = postgres_open,
	.close = postgres_close,
	.prepare = postgres_prepare,
	.unprepare = postgres_unprepare,
	.run = postgres_run,
	.step = postgres_step,
	.dead = postgres_dead,
	.interrupt = postgres_interrupt,
};
