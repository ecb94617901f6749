/* SPDX-License-Identifier: BSD-3-Clause */
/* What is printed: for people, or as JSON. */
#include <ctype.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "siplanectl.h"

/* Rows whose widths are found out together. */
#define ROWS_TOGETHER 1000

bool say_json;

/* ---- progress ---- */

#define PROGRESS_AFTER_S 2

static struct {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t ended;
	const char *what;
	bool runs, over, shown;
} progress = {.lock = PTHREAD_MUTEX_INITIALIZER, .ended = PTHREAD_COND_INITIALIZER};

static void *watch(void *arg)
{
	struct timespec at;
	unsigned s;

	clock_gettime(CLOCK_REALTIME, &at);
	pthread_mutex_lock(&progress.lock);
	for (s = PROGRESS_AFTER_S, at.tv_sec += PROGRESS_AFTER_S; !progress.over;) {
		if (pthread_cond_timedwait(&progress.ended, &progress.lock, &at) == 0 ||
			progress.over)
			continue;
		fprintf(stderr, "\rsiplanectl: %s: %u s ...", progress.what, s++);
		progress.shown = true;
		at.tv_sec++;
	}
	pthread_mutex_unlock(&progress.lock);
	return NULL;
}

void progress_begin(const char *what)
{
	if (!isatty(STDERR_FILENO))
		return;
	progress.what = what;
	progress.over = progress.shown = false;
	progress.runs = pthread_create(&progress.thread, NULL, watch, NULL) == 0;
}

void progress_end(void)
{
	if (!progress.runs)
		return;
	pthread_mutex_lock(&progress.lock);
	progress.over = true;
	pthread_cond_signal(&progress.ended);
	pthread_mutex_unlock(&progress.lock);
	pthread_join(progress.thread, NULL);
	progress.runs = false;
	if (progress.shown)
		fputs("\r\033[K", stderr);
}

/* ---- sentences ---- */

/* Text for a terminal: what could be a command to it is not shown. Returns the columns taken. */
static unsigned put_text(FILE *out, const char *text)
{
	const unsigned char *p = (const unsigned char *)text;
	unsigned n = 0;

	for (; *p != '\0'; p++) {
		/* C0 and DEL; C1 as UTF-8 writes it. */
		if (*p < ' ' || *p == 0x7f) {
			if (out != NULL)
				fputc('?', out);
			n++;
		} else if (*p == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0) {
			if (out != NULL)
				fputc('?', out);
			n++;
			p++;
		} else {
			if (out != NULL)
				fputc(*p, out);
			n += (*p & 0xc0) != 0x80;
		}
	}
	return n;
}

/* The same, line by line. */
static void put_lines(FILE *out, char *text)
{
	char *line, *rest = text;

	while ((line = strsep(&rest, "\n")) != NULL) {
		if (line[0] == '\0' && rest == NULL)
			break;
		put_text(out, line);
		fputc('\n', out);
	}
}

static int put_member(const char *name, const char *text)
{
	json_t *value = json_string(text);

	return say_value(
		json_pack("{s:o}", name, value != NULL ? value : json_string("(no UTF-8)")));
}

static void sentence(char out[4096], const char *fmt, va_list ap)
{
	vsnprintf(out, 4096, fmt, ap);
}

int fail(const char *fmt, ...)
{
	char text[4096];
	va_list ap;

	va_start(ap, fmt);
	sentence(text, fmt, ap);
	va_end(ap);
	progress_end();
	if (say_json) {
		put_member("error", text);
	} else {
		fputs("siplanectl: ", stderr);
		put_lines(stderr, text);
	}
	return FAILED;
}

void warn(const char *fmt, ...)
{
	char text[4096];
	va_list ap;

	va_start(ap, fmt);
	sentence(text, fmt, ap);
	va_end(ap);
	fputs("siplanectl: ", stderr);
	put_lines(stderr, text);
}

int done(const char *fmt, ...)
{
	char text[4096];
	va_list ap;

	va_start(ap, fmt);
	sentence(text, fmt, ap);
	va_end(ap);
	progress_end();
	if (say_json)
		return put_member("done", text);
	put_lines(stdout, text);
	return DONE;
}

/* ---- values ---- */

int say_value(json_t *value)
{
	progress_end();
	if (value == NULL)
		return fail("not enough memory");
	json_dumpf(value, stdout, JSON_INDENT(2) | JSON_ENCODE_ANY);
	fputc('\n', stdout);
	json_decref(value);
	return DONE;
}

/* A value as people read it; what is nothing is a dash. In room[64] where it is no text. */
static const char *text_of(const json_t *value, char room[64])
{
	switch (json_typeof(value)) {
	case JSON_STRING:
		return json_string_value(value)[0] != '\0' ? json_string_value(value) : "-";
	case JSON_INTEGER:
		snprintf(room, 64, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
		return room;
	case JSON_REAL:
		snprintf(room, 64, "%g", json_real_value(value));
		return room;
	case JSON_TRUE:
		return "yes";
	case JSON_FALSE:
		return "no";
	default:
		return "-";
	}
}

static const char *member(const json_t *row, const char *name, char room[64])
{
	const json_t *value = json_object_get(row, name);

	return value != NULL ? text_of(value, room) : "-";
}

int say_object(json_t *object)
{
	const char *name;
	json_t *value;
	size_t width = 0;

	if (say_json || !json_is_object(object))
		return say_value(object);
	progress_end();
	json_object_foreach(object, name, value) if (strlen(name) > width) width = strlen(name);
	json_object_foreach(object, name, value)
	{
		char room[64];

		printf("%-*s  ", (int)width, name);
		put_text(stdout, text_of(value, room));
		fputc('\n', stdout);
	}
	json_decref(object);
	return DONE;
}

/* ---- tables ---- */

void table_begin(struct table *t, const char *const *columns)
{
	*t = (struct table){.column = columns, .rows = json_array()};
}

static void put_cell(const struct table *t, unsigned column, const char *text)
{
	unsigned n = put_text(stdout, text);

	if (t->column[column + 1] == NULL)
		return;
	for (; n < t->width[column] + 2; n++)
		fputc(' ', stdout);
}

static void put_heading(const struct table *t)
{
	for (unsigned i = 0; t->column[i] != NULL; i++) {
		char text[64];
		unsigned n = 0;

		for (; t->column[i][n] != '\0' && n < sizeof(text) - 1; n++)
			text[n] = t->column[i][n] == '_' ? ' ' : (char)toupper(t->column[i][n]);
		text[n] = '\0';
		put_cell(t, i, text);
	}
	fputc('\n', stdout);
}

/* Prints what is there; a later part's columns are no narrower. */
static void flush(struct table *t)
{
	char room[64];
	size_t i;
	json_t *row;

	progress_end();
	for (unsigned c = 0; t->column[c] != NULL; c++) {
		unsigned n = put_text(NULL, t->column[c]);

		t->width[c] = n > t->width[c] ? n : t->width[c];
		json_array_foreach(t->rows, i, row)
		{
			n = put_text(NULL, member(row, t->column[c], room));
			t->width[c] = n > t->width[c] ? n : t->width[c];
		}
	}
	if (!t->begun)
		put_heading(t);
	t->begun = true;
	json_array_foreach(t->rows, i, row)
	{
		for (unsigned c = 0; t->column[c] != NULL; c++)
			put_cell(t, c, member(row, t->column[c], room));
		fputc('\n', stdout);
	}
	json_array_clear(t->rows);
}

static void put_json_row(struct table *t, json_t *row)
{
	fputs(t->begun ? ",\n " : "[", stdout);
	t->begun = true;
	json_dumpf(row, stdout, 0);
	json_decref(row);
}

void table_row(struct table *t, json_t *row)
{
	t->count++;
	if (say_json) {
		progress_end();
		put_json_row(t, row);
		return;
	}
	json_array_append_new(t->rows, row);
	if (json_array_size(t->rows) >= ROWS_TOGETHER)
		flush(t);
}

int table_end(struct table *t, const char *none)
{
	progress_end();
	if (say_json)
		fputs(t->begun ? "]\n" : "[]\n", stdout);
	else if (t->count == 0)
		printf("%s\n", none);
	else if (json_array_size(t->rows) > 0)
		flush(t);
	json_decref(t->rows);
	t->rows = NULL;
	return fflush(stdout) == 0 && !ferror(stdout) ? DONE : FAILED;
}
