/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Calls as bytes. Each is a head of 8 bytes and its values one behind the other, without gaps, so
 * that equal calls are equal bytes:
 *
 *   u32 bytes of this call   u16 statement   u16 parameters
 *   u8 type, then   NULL: nothing   INT, REAL: 8 bytes   TEXT: u16 length and so many bytes
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "db/internal.h"

#define HEAD 8
#define NUMBER_TEXT_MAX 32

struct head {
	uint32_t bytes;
	uint16_t statement, params;
};
_Static_assert(sizeof(struct head) == HEAD, "a head has no gaps");
_Static_assert(DB_VALUE_MAX <= UINT16_MAX, "a text's length has 16 bits");
_Static_assert(DB_STATEMENTS_MAX <= UINT16_MAX, "a statement's number has 16 bits");

const char *db_result_text(enum db_result result)
{
	switch (result) {
	case DB_DONE:
		return "done";
	case DB_DOWN:
		return "no answer";
	case DB_REFUSED:
		return "refused";
	case DB_FULL:
		return "too much is under way";
	case DB_TOO_LONG:
		return "the answer is too long";
	}
	return "?";
}

/* ---- SQL ---- */

/* Behind the quote that ends what began at `p`. A quote that is doubled begins anew. */
static const char *skip_quoted(const char *p)
{
	const char *end = strchr(p + 1, *p);

	return end != NULL ? end + 1 : p + strlen(p);
}

const char *sql_mark(const char *p)
{
	const char *end;

	while (*p != '\0' && *p != '?') {
		if (*p == '\'' || *p == '"' || *p == '`') {
			p = skip_quoted(p);
		} else if (p[0] == '-' && p[1] == '-') {
			p += strcspn(p, "\n");
		} else if (p[0] == '/' && p[1] == '*') {
			end = strstr(p + 2, "*/");
			p = end != NULL ? end + 2 : p + strlen(p);
		} else {
			p++;
		}
	}
	return *p == '?' ? p : NULL;
}

/* ---- values ---- */

static bool number_text(struct str text, char *out)
{
	if (text.len == 0 || text.len >= NUMBER_TEXT_MAX)
		return false;
	memcpy(out, text.s, text.len);
	out[text.len] = '\0';
	/* No hexadecimal, no "nan", no white space, no NUL. */
	return strspn(out, "+-.0123456789eE") == text.len;
}

struct db_value db_value_as(char wanted, struct str text)
{
	struct db_value v = {.type = DB_NULL};
	char copy[NUMBER_TEXT_MAX], *end;

	if (wanted == 's')
		return db_text(text);
	if (!number_text(text, copy))
		return v;
	errno = 0;
	if (wanted == 'i') {
		v.i = strtoll(copy, &end, 10);
		v.type = *end == '\0' && errno == 0 ? DB_INT : DB_NULL;
	} else {
		v.r = strtod(copy, &end);
		v.type = *end == '\0' && isfinite(v.r) ? DB_REAL : DB_NULL;
	}
	return v;
}

struct db_value db_value_turn(char wanted, const struct db_value *value, char *text)
{
	struct db_value v = {.type = DB_NULL};
	int len = 0;

	if (wanted == 'a')
		return *value;
	switch (value->type) {
	case DB_NULL:
		return v;
	case DB_TEXT:
		return db_value_as(wanted, value->s);
	case DB_INT:
		if (wanted == 'r')
			return (struct db_value){.type = DB_REAL, .r = (double)value->i};
		if (wanted != 's')
			return *value;
		len = snprintf(text, NUMBER_TEXT_MAX, "%lld", (long long)value->i);
		break;
	case DB_REAL:
		if (wanted == 'r')
			return *value;
		if (wanted != 's') {
			/* Whole numbers only, and none that an int64_t cannot hold. */
			if (!(fabs(value->r) < 9.2e18) || value->r != floor(value->r))
				return v;
			return db_int((int64_t)value->r);
		}
		len = snprintf(text, NUMBER_TEXT_MAX, "%.17g", value->r);
		break;
	}
	return db_text(str_of(text, (size_t)len));
}

/* ---- packing ---- */

uint32_t db_value_bytes(const struct db_value *v)
{
	switch (v->type) {
	case DB_INT:
	case DB_REAL:
		return 1 + 8;
	case DB_TEXT:
		return 1 + 2 + v->s.len;
	default:
		return 1;
	}
}

char *db_value_put(char *out, const struct db_value *v)
{
	uint16_t len = (uint16_t)v->s.len;

	*out++ = (char)v->type;
	if (v->type == DB_INT) {
		memcpy(out, &v->i, 8);
		return out + 8;
	}
	if (v->type == DB_REAL) {
		memcpy(out, &v->r, 8);
		return out + 8;
	}
	if (v->type == DB_TEXT) {
		memcpy(out, &len, 2);
		str_copy(out + 2, v->s);
		return out + 2 + len;
	}
	return out;
}

int db_pack(const struct db *db, char *out, uint32_t size, uint32_t len, unsigned statement,
	const struct db_value *param, unsigned params)
{
	const struct statement *s = db_statement_of(db, statement);
	struct head head = {HEAD, (uint16_t)statement, (uint16_t)params};

	if (s == NULL || s->params != params)
		return -EINVAL;
	if (size > DB_CALL_MAX)
		size = DB_CALL_MAX;
	for (unsigned i = 0; i < params; i++) {
		if (param[i].type > DB_TEXT)
			return -EINVAL;
		if (param[i].type == DB_TEXT && param[i].s.len > DB_VALUE_MAX)
			return -E2BIG;
		head.bytes += db_value_bytes(&param[i]);
	}
	if (len > size || head.bytes > size - len)
		return -E2BIG;
	out += len;
	memcpy(out, &head, HEAD);
	out += HEAD;
	for (unsigned i = 0; i < params; i++)
		out = db_value_put(out, &param[i]);
	return (int)(len + head.bytes);
}

bool db_value_get(struct str *in, struct db_value *v)
{
	uint16_t len;

	if (in->len < 1)
		return false;
	*v = (struct db_value){.type = (enum db_type)(uint8_t)in->s[0]};
	in->s++, in->len--;
	if (v->type == DB_NULL)
		return true;
	if (v->type == DB_INT || v->type == DB_REAL) {
		if (in->len < 8)
			return false;
		if (v->type == DB_INT)
			memcpy(&v->i, in->s, 8);
		else
			memcpy(&v->r, in->s, 8);
		in->s += 8, in->len -= 8;
		return true;
	}
	if (v->type != DB_TEXT || in->len < 2)
		return false;
	memcpy(&len, in->s, 2);
	in->s += 2, in->len -= 2;
	if (len > in->len || len > DB_VALUE_MAX)
		return false;
	v->s = str_of(in->s, len);
	in->s += len, in->len -= len;
	return true;
}

/* The head of the first of these calls, false where there is none that is whole. */
static bool get_head(struct str calls, struct head *head)
{
	if (calls.len < HEAD)
		return false;
	memcpy(head, calls.s, HEAD);
	return head->bytes >= HEAD && head->bytes <= calls.len && head->params <= DB_PARAMS_MAX;
}

int db_unpack(struct str *calls, struct db_call *out)
{
	struct head head;
	struct str in;

	if (calls->len == 0)
		return -ENOENT;
	if (!get_head(*calls, &head))
		return -EINVAL;
	in = str_of(calls->s + HEAD, head.bytes - HEAD);
	out->statement = head.statement;
	out->params = head.params;
	for (unsigned i = 0; i < head.params; i++) {
		if (!db_value_get(&in, &out->param[i]))
			return -EINVAL;
	}
	if (in.len != 0)
		return -EINVAL;
	calls->s += head.bytes;
	calls->len -= head.bytes;
	return 0;
}

int db_renumber(char *calls, uint32_t len, int (*number)(void *arg, unsigned statement), void *arg)
{
	struct head head;
	int n;

	for (; len > 0; calls += head.bytes, len -= head.bytes) {
		if (!get_head(str_of(calls, len), &head))
			return -EINVAL;
		n = number(arg, head.statement);
		if (n < 0 || n > UINT16_MAX)
			return n < 0 ? n : -EINVAL;
		head.statement = (uint16_t)n;
		memcpy(calls, &head, HEAD);
	}
	return 0;
}

int db_calls_next(struct str *calls)
{
	struct head head;

	if (!get_head(*calls, &head))
		return -1;
	calls->s += head.bytes;
	calls->len -= head.bytes;
	return head.statement;
}

int db_calls_check(const struct db *db, struct str calls, bool change, unsigned *count)
{
	const struct statement *s;
	struct db_call call;
	int database = -1;
	int err;

	*count = 0;
	if (calls.len > DB_CALL_MAX)
		return -EINVAL;
	while ((err = db_unpack(&calls, &call)) == 0) {
		s = db_statement_of(db, call.statement);
		if (s == NULL || s->params != call.params || s->change != change)
			return -EINVAL;
		if (database >= 0 && s->database != (unsigned)database)
			return -EINVAL;
		database = (int)s->database;
		++*count;
	}
	if (err != -ENOENT || *count == 0 || (!change && *count != 1))
		return -EINVAL;
	return database;
}
