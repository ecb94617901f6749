/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * MySQL and MariaDB, over MariaDB's client library.
 *
 * The library waits by asking a callback, which knows the connection's end of time: that of the
 * calling thread, as the callback has no argument of ours. Values come and go in binary, texts as
 * utf8mb4. The session's SQL is as near to the standard as the server can: quotes quote as in the
 * other databases, and what does not fit into a column is refused instead of cut.
 *
 * TLS, and what else the library can, stands in the option files that it reads ([client] and
 * [siplane] in my.cnf).
 */
#include <errno.h>
#include <fcntl.h>
#include <mysql.h>
#include <errmsg.h>
#include <mysqld_error.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "db/remote.h"

#define TIMEOUT_S ((DB_TIMEOUT_MS + 999) / 1000)
#define PACKET_MAX (16UL << 20) /* what a server may send at once, a row for one */
#define NUMBER_TEXT_MAX 32

/* Of MySQL; MariaDB's headers do not have it. */
#define ER_QUERY_TIMEOUT_OF_MYSQL 3024

struct mysql_link {
	MYSQL *mysql;
	struct remote_wait wait;
	bool dead;
	enum db_fault fault; /* of the statement that it runs */
	bool undone; /* the server has ended the transaction: what comes must not be outside of it
		      */
	char *text;  /* DB_COLUMNS_MAX texts of DB_VALUE_MAX */
};

struct mysql_ready {
	MYSQL_STMT *stmt;
	unsigned params;
};

/* A column of the row that is read. */
struct cell {
	union {
		long long i;
		double r;
	};
	unsigned long length;
	my_bool null;
};

/* The connection in which this thread waits. */
static _Thread_local struct mysql_link *waiting;

static int wait_io(my_socket fd, my_bool is_read, int timeout)
{
	return remote_poll(&waiting->wait, fd, is_read ? POLLIN : POLLOUT);
}

static void begin(struct mysql_link *link, uint64_t until)
{
	waiting = link;
	remote_begin(&link->wait, until);
}

/* ---- what went wrong ---- */

/* A sentence of ours where the server's has what was in a parameter. */
static const char *own_words(unsigned code)
{
	switch (code) {
	case ER_DUP_ENTRY:
	case ER_DUP_ENTRY_WITH_KEY_NAME:
		return "there is such a row already";
	case ER_TRUNCATED_WRONG_VALUE:
	case ER_TRUNCATED_WRONG_VALUE_FOR_FIELD:
	case ER_WRONG_VALUE:
	case ER_WRONG_VALUE_FOR_TYPE:
		return "a value is not of its column's type";
	case ER_DATA_OUT_OF_RANGE:
		return "a number is out of range";
	default:
		return NULL;
	}
}

/* The connection is of no use any more; or the server may only be read (another one is the first
 * now). */
static bool ends_link(unsigned code)
{
	if (code >= CR_MIN_ERROR && code <= CR_MAX_ERROR)
		return true;
	return code == ER_SERVER_SHUTDOWN || code == ER_NORMAL_SHUTDOWN ||
	       code == ER_CONNECTION_KILLED || code == ER_NEW_ABORTING_CONNECTION ||
	       code == ER_UNKNOWN_STMT_HANDLER || code == ER_NEED_REPREPARE ||
	       code == ER_NET_PACKET_TOO_LARGE || code == ER_OPTION_PREVENTS_STATEMENT ||
	       code == ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION;
}

static bool is_down(unsigned code)
{
	switch (code) {
	case ER_CON_COUNT_ERROR:
	case ER_TOO_MANY_USER_CONNECTIONS:
	case ER_LOCK_WAIT_TIMEOUT:
	case ER_LOCK_DEADLOCK:
	case ER_LOCK_TABLE_FULL:
	case ER_QUERY_INTERRUPTED:
	case ER_STATEMENT_TIMEOUT:
	case ER_QUERY_TIMEOUT_OF_MYSQL:
	case ER_DISK_FULL:
	case ER_RECORD_FILE_FULL:
	case ER_OUTOFMEMORY:
	case ER_OUT_OF_SORTMEMORY:
	case ER_OUT_OF_RESOURCES:
	case ER_ERROR_DURING_COMMIT:
	case ER_ERROR_DURING_ROLLBACK:
		return true;
	default:
		return false;
	}
}

/* Of the statement alone. */
static bool is_own_fault(unsigned code)
{
	return code == ER_LOCK_WAIT_TIMEOUT || code == ER_QUERY_INTERRUPTED ||
	       code == ER_STATEMENT_TIMEOUT || code == ER_QUERY_TIMEOUT_OF_MYSQL;
}

static enum db_result failed(
	struct mysql_link *link, unsigned code, const char *text, char *error, size_t error_size)
{
	const char *own = own_words(code);

	if (link->wait.late)
		remote_say(error, error_size, "", "it does not answer in time");
	else if (link->wait.stopped)
		remote_say(error, error_size, "", "it was not waited for any more");
	else
		remote_say(error, error_size, "", own != NULL ? own : text);
	if (ends_link(code) || link->wait.late || link->wait.stopped) {
		link->dead = true;
		return code == CR_NET_PACKET_TOO_LARGE ? DB_TOO_LONG : DB_DOWN;
	}
	if (code == ER_LOCK_DEADLOCK)
		link->fault = DB_FAULT_DEADLOCK;
	else if (is_own_fault(code))
		link->fault = DB_FAULT_LOCKED;
	/* A deadlock ends the transaction, of which no statement says so: the next one would stand
	 * alone. */
	link->undone |= code == ER_LOCK_DEADLOCK;
	return is_down(code) ? DB_DOWN : DB_REFUSED;
}

static enum db_result stmt_failed(
	struct mysql_link *link, MYSQL_STMT *stmt, char *error, size_t error_size)
{
	/* What comes instead of a row stands with the connection only. */
	if (mysql_stmt_errno(stmt) == 0)
		return failed(link, mysql_errno(link->mysql), mysql_error(link->mysql), error,
			error_size);
	return failed(link, mysql_stmt_errno(stmt), mysql_stmt_error(stmt), error, error_size);
}

static enum db_result say(enum db_result result, char *error, size_t error_size, const char *text)
{
	remote_say(error, error_size, "", text);
	return result;
}

/* ---- connections ---- */

static enum db_result query(
	struct mysql_link *link, const char *sql, char *error, size_t error_size)
{
	if (mysql_real_query(link->mysql, sql, strlen(sql)) == 0)
		return DB_DONE;
	return failed(link, mysql_errno(link->mysql), mysql_error(link->mysql), error, error_size);
}

static void options(struct mysql_link *link)
{
	MYSQL *m = link->mysql;
	unsigned seconds = TIMEOUT_S, off = 0;
	size_t packet = PACKET_MAX;

	mysql_optionsv(m, MYSQL_READ_DEFAULT_GROUP, "siplane");
	mysql_optionsv(m, MYSQL_SET_CHARSET_NAME, "utf8mb4");
	mysql_optionsv(m, MYSQL_OPT_CONNECT_TIMEOUT, &seconds);
	mysql_optionsv(m, MYSQL_OPT_READ_TIMEOUT, &seconds);
	mysql_optionsv(m, MYSQL_OPT_WRITE_TIMEOUT, &seconds);
	mysql_optionsv(m, MYSQL_OPT_MAX_ALLOWED_PACKET, &packet);
	/* A server may else ask for any file of ours. */
	mysql_optionsv(m, MYSQL_OPT_LOCAL_INFILE, &off);
	mysql_optionsv(m, MARIADB_OPT_IO_WAIT, (void *)wait_io);
}

static enum db_result session(
	struct mysql_link *link, enum db_role role, char *error, size_t error_size)
{
	char sql[512];
	enum db_result result;

	/* UTC: what CURRENT_TIMESTAMP is in the other databases. */
	snprintf(sql, sizeof(sql),
		"SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION,ANSI_QUOTES,"
		"NO_BACKSLASH_ESCAPES,PIPES_AS_CONCAT', time_zone = '+00:00', autocommit = 1, "
		"innodb_lock_wait_timeout = %d, lock_wait_timeout = %d, wait_timeout = 31536000",
		REMOTE_LOCK_MS / 1000, REMOTE_LOCK_MS / 1000);
	result = query(link, sql, error, error_size);
	if (result == DB_DONE && role == DB_ROLE_ASK)
		result = query(link, "SET SESSION TRANSACTION READ ONLY", error, error_size);
	if (result != DB_DONE || role == DB_ROLE_NOW)
		return result;
	/* A name each for what a server does no longer than this: MySQL only questions. */
	if (mariadb_connection(link->mysql))
		snprintf(sql, sizeof(sql), "SET SESSION max_statement_time = %.3f",
			REMOTE_STATEMENT_MS / 1000.0);
	else
		snprintf(sql, sizeof(sql), "SET SESSION max_execution_time = %d",
			REMOTE_STATEMENT_MS);
	return query(link, sql, error, error_size);
}

static void mysql_close_link(void *arg)
{
	struct mysql_link *link = arg;

	if (link->mysql != NULL) {
		/* It says goodbye; who does not answer gets no time for that. */
		begin(link, link->dead ? 1 : remote_until());
		mysql_close(link->mysql);
	}
	waiting = NULL;
	remote_close(&link->wait);
	free(link->text);
	free(link);
}

static bool connects(
	struct mysql_link *link, const struct db_url *url, char *error, size_t error_size)
{
	const char *host = url->socket ? NULL : url->host;
	const char *socket = url->socket ? url->host : NULL;
	my_socket fd;

	/* FOUND_ROWS: an UPDATE counts the rows that it finds, as elsewhere. */
	if (mysql_real_connect(link->mysql, host, url->user, url->password, url->database,
		    url->port, socket, CLIENT_FOUND_ROWS) != NULL) {
		/* TLS reads until there is something, unless the socket would not have it wait:
		 * then it asks wait_io(). */
		fd = mysql_get_socket(link->mysql);
		(void)fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
		return true;
	}
	failed(link, mysql_errno(link->mysql), mysql_error(link->mysql), error, error_size);
	return false;
}

static void begin_library(void)
{
	mysql_library_init(0, NULL, NULL);
}

static void *mysql_open_link(
	const struct db_url *url, enum db_role role, char *error, size_t error_size)
{
	/* The first connection of a process would begin it, and several may be the first. */
	static pthread_once_t begun = PTHREAD_ONCE_INIT;
	struct mysql_link *link = calloc(1, sizeof(*link));

	pthread_once(&begun, begin_library);
	if (link == NULL)
		goto none;
	link->wait.wake = -1;
	link->text = malloc((size_t)DB_COLUMNS_MAX * DB_VALUE_MAX);
	link->mysql = mysql_init(NULL);
	if (link->text == NULL || link->mysql == NULL || remote_open(&link->wait) != 0)
		goto none;
	begin(link, remote_until());
	options(link);
	if (!connects(link, url, error, error_size) ||
		session(link, role, error, error_size) != DB_DONE) {
		link->dead = true;
		mysql_close_link(link);
		return NULL;
	}
	return link;
none:
	remote_say(error, error_size, "", "no memory for a connection");
	if (link != NULL)
		mysql_close_link(link);
	return NULL;
}

static bool mysql_dead(void *arg)
{
	return ((struct mysql_link *)arg)->dead;
}

static void mysql_interrupt(void *arg)
{
	remote_stop(&((struct mysql_link *)arg)->wait);
}

/* ---- statements ---- */

static void mysql_unprepare(void *arg, void *which)
{
	struct mysql_link *link = arg;
	struct mysql_ready *ready = which;

	begin(link, link->dead ? 1 : remote_until());
	mysql_stmt_close(ready->stmt);
	free(ready);
}

static enum db_result mysql_prepare_link(
	void *arg, const char *sql, unsigned params, void **out, char *error, size_t error_size)
{
	struct mysql_link *link = arg;
	struct mysql_ready *ready;
	enum db_result result = DB_REFUSED;

	if (link->dead)
		return say(DB_DOWN, error, error_size, "the connection has ended");
	begin(link, remote_until());
	ready = calloc(1, sizeof(*ready));
	if (ready != NULL)
		ready->stmt = mysql_stmt_init(link->mysql);
	if (ready == NULL || ready->stmt == NULL) {
		free(ready);
		return say(DB_DOWN, error, error_size, "no memory for a statement");
	}
	ready->params = params;
	if (mysql_stmt_prepare(ready->stmt, sql, strlen(sql)) != 0) {
		result = stmt_failed(link, ready->stmt, error, error_size);
	} else if (mysql_stmt_param_count(ready->stmt) != params) {
		say(result, error, error_size, "the statement has another number of parameters");
	} else if (mysql_stmt_field_count(ready->stmt) > DB_COLUMNS_MAX) {
		say(result, error, error_size, "the statement has too many columns");
	} else {
		*out = ready;
		return DB_DONE;
	}
	mysql_stmt_close(ready->stmt);
	free(ready);
	return result;
}

static bool bind_params(MYSQL_STMT *stmt, const struct db_run *run)
{
	static const enum enum_field_types type[] = {
		[DB_NULL] = MYSQL_TYPE_NULL,
		[DB_INT] = MYSQL_TYPE_LONGLONG,
		[DB_REAL] = MYSQL_TYPE_DOUBLE,
		[DB_TEXT] = MYSQL_TYPE_STRING,
	};
	MYSQL_BIND bind[DB_PARAMS_MAX] = {{0}};

	/* The library copies what `bind` points to when it runs the statement, and `bind` now. */
	for (unsigned i = 0; i < run->params; i++) {
		const struct db_value *v = &run->param[i];

		bind[i].buffer_type = type[v->type];
		if (v->type == DB_TEXT) {
			bind[i].buffer = (void *)(uintptr_t)(v->s.len != 0 ? v->s.s : "");
			bind[i].buffer_length = v->s.len;
		} else {
			bind[i].buffer = v->type == DB_INT ? (void *)(uintptr_t)&v->i
							   : (void *)(uintptr_t)&v->r;
		}
	}
	return run->params == 0 || mysql_stmt_bind_param(stmt, bind) == 0;
}

static void bind_column(MYSQL_BIND *bind, struct cell *cell, const MYSQL_FIELD *field, char *text)
{
	bind->length = &cell->length;
	bind->is_null = &cell->null;
	switch (field->type) {
	case MYSQL_TYPE_TINY:
	case MYSQL_TYPE_SHORT:
	case MYSQL_TYPE_INT24:
	case MYSQL_TYPE_LONG:
	case MYSQL_TYPE_LONGLONG:
	case MYSQL_TYPE_YEAR:
		bind->buffer_type = MYSQL_TYPE_LONGLONG;
		bind->is_unsigned = (field->flags & UNSIGNED_FLAG) != 0;
		bind->buffer = &cell->i;
		break;
	case MYSQL_TYPE_DOUBLE:
		bind->buffer_type = MYSQL_TYPE_DOUBLE;
		bind->buffer = &cell->r;
		break;
	default:
		/* FLOAT, too: its text is what was written, its double is not. */
		bind->buffer_type = MYSQL_TYPE_STRING;
		bind->buffer = text;
		bind->buffer_length = DB_VALUE_MAX;
	}
}

static struct db_value cell_value(const MYSQL_BIND *bind, const struct cell *cell, const char *text,
	char wanted, char *number)
{
	struct db_value v = {.type = DB_NULL};

	if (cell->null)
		return v;
	if (bind->buffer_type == MYSQL_TYPE_STRING) {
		v = db_text(str_of(text, cell->length));
	} else if (bind->buffer_type == MYSQL_TYPE_DOUBLE) {
		v = (struct db_value){.type = DB_REAL, .r = cell->r};
	} else if (bind->is_unsigned && cell->i < 0) {
		v = (struct db_value){.type = DB_REAL, .r = (double)(unsigned long long)cell->i};
	} else {
		v = db_int(cell->i);
	}
	return wanted == '\0' ? v : db_value_turn(wanted, &v, number);
}

/* Rows of a statement that has run, until there are no more or nobody wants them. */
static enum db_result read_rows(struct mysql_link *link, MYSQL_STMT *stmt, struct db_run *run,
	const MYSQL_FIELD *field, unsigned columns, char *error, size_t error_size)
{
	MYSQL_BIND bind[DB_COLUMNS_MAX] = {{0}};
	struct cell cell[DB_COLUMNS_MAX];
	struct db_value value[DB_COLUMNS_MAX];
	char number[DB_COLUMNS_MAX][NUMBER_TEXT_MAX];
	int got;

	for (unsigned i = 0; i < columns; i++)
		bind_column(&bind[i], &cell[i], &field[i], link->text + i * DB_VALUE_MAX);
	if (mysql_stmt_bind_result(stmt, bind) != 0)
		return stmt_failed(link, stmt, error, error_size);
	while ((got = mysql_stmt_fetch(stmt)) == 0 || got == MYSQL_DATA_TRUNCATED) {
		for (unsigned i = 0; i < columns; i++) {
			if (bind[i].buffer_type == MYSQL_TYPE_STRING && !cell[i].null &&
				cell[i].length > DB_VALUE_MAX)
				return say(DB_TOO_LONG, error, error_size, "a text is too long");
			value[i] = cell_value(&bind[i], &cell[i], link->text + i * DB_VALUE_MAX,
				run->columns != NULL ? run->columns[i] : '\0', number[i]);
		}
		if (!run->visit(run->arg, value, columns))
			return DB_DONE;
	}
	return got == MYSQL_NO_DATA ? DB_DONE : stmt_failed(link, stmt, error, error_size);
}

static enum db_result take_rows(struct mysql_link *link, MYSQL_STMT *stmt, struct db_run *run,
	char *error, size_t error_size)
{
	unsigned columns = mysql_stmt_field_count(stmt);
	enum db_result result = DB_DONE;
	MYSQL_RES *meta;

	if (columns == 0) {
		run->changed = mysql_stmt_affected_rows(stmt);
		return DB_DONE;
	}
	if (columns > DB_COLUMNS_MAX || (run->columns != NULL && strlen(run->columns) != columns)) {
		result = say(DB_REFUSED, error, error_size,
			"the statement has another number of columns");
	} else if (run->visit != NULL) {
		meta = mysql_stmt_result_metadata(stmt);
		if (meta == NULL)
			return stmt_failed(link, stmt, error, error_size);
		result = read_rows(
			link, stmt, run, mysql_fetch_fields(meta), columns, error, error_size);
		mysql_free_result(meta);
	}
	/* Reads what is left. */
	if (!link->dead && mysql_stmt_free_result(stmt) != 0)
		result = stmt_failed(link, stmt, error, error_size);
	else if (link->wait.late || link->wait.stopped)
		link->dead = true;
	return result;
}

static enum db_result mysql_run(
	void *arg, void *which, struct db_run *run, char *error, size_t error_size)
{
	struct mysql_link *link = arg;
	struct mysql_ready *ready = which;
	enum db_result result;

	run->changed = 0;
	/* What was not waited for may come yet: it is nobody else's answer. */
	if (link->dead)
		return say(DB_DOWN, error, error_size, "the connection has ended");
	begin(link, run->deadline);
	if (run->silence_ms != 0)
		link->wait.silence_ms = run->silence_ms;
	if (link->undone)
		return say(DB_DOWN, error, error_size, "the transaction was ended by a deadlock");
	if (run->params != ready->params)
		return say(DB_REFUSED, error, error_size, "another number of parameters");
	for (unsigned i = 0; i < run->params; i++) {
		if (run->param[i].type == DB_TEXT &&
			str_utf8_len(run->param[i].s) != run->param[i].s.len)
			run->fault = DB_FAULT_VALUE;
	}
	if (run->fault == DB_FAULT_VALUE)
		return say(DB_REFUSED, error, error_size, "a text is not UTF-8");
	link->fault = DB_FAULT_NONE;
	if (!bind_params(ready->stmt, run) || mysql_stmt_execute(ready->stmt) != 0)
		result = stmt_failed(link, ready->stmt, error, error_size);
	else
		result = take_rows(link, ready->stmt, run, error, error_size);
	run->fault = link->fault;
	return result;
}

/* ---- transactions ---- */

/* One SQL statement for both, of which only MariaDB's is not to wait at all. */
static enum db_result set_patience(
	struct mysql_link *link, bool hurry, char *error, size_t error_size)
{
	const char *version = mysql_get_server_info(link->mysql);
	int least = version != NULL && strstr(version, "MariaDB") != NULL ? 0 : 1;
	int s = hurry ? least : REMOTE_LOCK_MS / 1000;
	char sql[96];

	snprintf(sql, sizeof(sql), "SET innodb_lock_wait_timeout = %d, lock_wait_timeout = %d", s,
		s);
	return query(link, sql, error, error_size);
}

static enum db_result mysql_step(void *arg, enum db_step step, char *error, size_t error_size)
{
	static const char *const sql[] = {
		[DB_STEP_BEGIN] = "START TRANSACTION",
		[DB_STEP_COMMIT] = "COMMIT",
		[DB_STEP_ROLLBACK] = "ROLLBACK",
		[DB_STEP_PART] = "SAVEPOINT part",
		[DB_STEP_PART_KEEP] = "RELEASE SAVEPOINT part",
		[DB_STEP_PART_UNDO] =
			"ROLLBACK TO SAVEPOINT part", /* the next one of the name takes its place */
	};
	struct mysql_link *link = arg;

	if (link->dead)
		return say(DB_DOWN, error, error_size, "the connection has ended");
	if (step == DB_STEP_LOOK || step == DB_STEP_LOOK_END)
		return DB_DONE;
	begin(link, remote_until());
	if (step == DB_STEP_HURRY || step == DB_STEP_PATIENCE)
		return set_patience(link, step == DB_STEP_HURRY, error, error_size);
	if (step == DB_STEP_BEGIN || step == DB_STEP_ROLLBACK)
		link->undone = false;
	if (link->undone)
		return say(DB_DOWN, error, error_size, "the transaction was ended by a deadlock");
	return query(link, sql[step], error, error_size);
}

const struct db_driver db_mysql = {
	.name = "mysql",
	.scheme = {"mysql", "mariadb"},
	.goes_on = true,
	.open = mysql_open_link,
	.close = mysql_close_link,
	.prepare = mysql_prepare_link,
	.unprepare = mysql_unprepare,
	.run = mysql_run,
	.step = mysql_step,
	.dead = mysql_dead,
	.interrupt = mysql_interrupt,
};
