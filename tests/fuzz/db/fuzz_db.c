/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What this room reads: packed calls, of which no length is believed; URLs, whose form for people
 * reads as the same URL and holds no password; SQL, whose marks stand where they do whatever is
 * before them; texts that should be numbers.
 *
 * The input's first byte chooses which; the rest stands in a block that ends where it does.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "db/internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Says which line found it. */
static void require_at(bool holds, int line)
{
	if (holds)
		return;
	fprintf(stderr, "fuzz_db.c:%d: does not hold\n", line);
	abort();
}
#define require(holds) require_at((holds), __LINE__)

static const struct db_driver server = {.name = "server", .scheme = {"mysql", "postgresql"}};

static struct db *the_db(void)
{
	static const struct db_statement statement[] = {
		{.text = "SELECT a FROM t WHERE b = ?", .columns = "s", .params = 1},
		{.text = "INSERT INTO t VALUES (?, ?)", .params = 2},
		{.text = "DELETE FROM t"},
	};
	static struct db *db;
	char error[DB_ERROR_MAX];
	int database;

	if (db != NULL)
		return db;
	db = db_create(&(struct db_config){.rows = 16, .waiters = 16}, error, sizeof(error));
	require(db != NULL);
	require(db_driver_add(db, &server) == 0);
	database = db_use(db, "sqlite:///nowhere/x", error, sizeof(error));
	require(database == 0);
	for (int i = 0; i < 3; i++)
		require(db_statement(db, 0, &statement[i], error, sizeof(error)) == i);
	return db;
}

static void calls(const char *s, uint32_t len)
{
	struct db *db = the_db();
	struct str in = str_of(s, len), rest = in;
	struct db_call call;
	char again[DB_CALL_MAX];
	unsigned count, n = 0;
	uint32_t at;
	bool change = len > 4 && s[4] != 0;
	int packed, database = db_calls_check(db, in, change, &count);

	for (at = 0; db_unpack(&rest, &call) == 0; at = len - rest.len, n++) {
		require(call.params <= DB_PARAMS_MAX && rest.len < len - at);
		for (unsigned i = 0; i < call.params; i++) {
			struct str t = call.param[i].s;

			require(call.param[i].type <= DB_TEXT);
			require(call.param[i].type != DB_TEXT ||
				(t.len <= DB_VALUE_MAX && t.s >= s && t.s + t.len <= s + len));
		}
		/* What is taken is what would be packed. */
		packed = db_pack(
			db, again, sizeof(again), 0, call.statement, call.param, call.params);
		require(packed < 0 || (uint32_t)packed == len - rest.len - at);
		require(packed < 0 || memcmp(again, s + at, (size_t)packed) == 0);
	}
	require(database < 0 || (database == 0 && rest.len == 0 && count == n && n != 0));
}

static void url(const char *s, uint32_t len)
{
	struct db *db = the_db();
	char text[4 * DB_URL_MAX], error[DB_ERROR_MAX];
	struct db_url u, again;

	if (len >= sizeof(text))
		return;
	memcpy(text, s, len);
	text[len] = '\0';
	error[0] = '\0';
	if (db_url_parse(db, text, "/base", &u, error, sizeof(error)) != 0) {
		require(error[0] != '\0');
		return;
	}
	require(strlen(u.text) < sizeof(u.text));
	require(db_url_parse(db, u.text, NULL, &again, error, sizeof(error)) == 0);
	require(strcmp(again.text, u.text) == 0);
	require(strcmp(again.password, u.password[0] != '\0' ? "***" : "") == 0);
	memcpy(again.password, u.password, sizeof(u.password));
	require(memcmp(&again, &u, sizeof(u)) == 0);
}

static void marks(const char *s, uint32_t len)
{
	char *text = malloc(len + 1);
	const char *before;

	require(text != NULL);
	memcpy(text, s, len);
	text[len] = '\0';
	before = text;
	for (const char *p = text; (p = sql_mark(p)) != NULL; p++) {
		require(*p == '?' && p >= before);
		before = p + 1;
	}
	free(text);
}

static void numbers(const char *s, uint32_t len)
{
	struct db_value i = db_value_as('i', str_of(s, len)), r = db_value_as('r', str_of(s, len));
	char text[32];

	require(i.type == DB_INT || i.type == DB_NULL);
	require(r.type == DB_NULL || (r.type == DB_REAL && isfinite(r.r)));
	/* What is written is read as it was. */
	if (i.type == DB_INT)
		require(db_value_as('i', db_value_turn('s', &i, text).s).i == i.i);
	if (r.type == DB_REAL)
		require(db_value_as('r', db_value_turn('s', &r, text).s).r == r.r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *s;

	if (size < 1 || size > 65536)
		return 0;
	s = malloc(size - 1 != 0 ? size - 1 : 1);
	require(s != NULL);
	memcpy(s, data + 1, size - 1);
	switch (data[0] % 4) {
	case 0:
		calls(s, (uint32_t)size - 1);
		break;
	case 1:
		url(s, (uint32_t)size - 1);
		break;
	case 2:
		marks(s, (uint32_t)size - 1);
		break;
	default:
		numbers(s, (uint32_t)size - 1);
	}
	free(s);
	return 0;
}
