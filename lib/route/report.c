/* SPDX-License-Identifier: BSD-3-Clause */
/* What a load has to say: errors and warnings with the line that they are about. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "route/load.h"

#define REPORT_SOURCES_MAX (SOURCE_FILES_MAX + 1)
#define REPORT_ENTRIES_MAX 1000 /* warnings that come later are counted, not printed */
#define REPORT_LINE_SHOWN 400   /* bytes of an offending line that are shown */

struct report_source {
	char *name;
	char *text;
	size_t len;
};

struct route_report {
	unsigned errors, warnings, printed;
	struct text text;
	struct report_source source[REPORT_SOURCES_MAX];
	unsigned sources;
};

struct route_report *route_report_create(void)
{
	return calloc(1, sizeof(struct route_report));
}

void route_report_destroy(struct route_report *report)
{
	if (report == NULL)
		return;
	for (unsigned i = 0; i < report->sources; i++) {
		free(report->source[i].name);
		free(report->source[i].text);
	}
	text_free(&report->text);
	free(report);
}

void report_source(struct route_report *report, const char *name, struct str text)
{
	struct report_source *source;

	if (report->sources == REPORT_SOURCES_MAX)
		return;
	source = &report->source[report->sources];
	source->name = strdup(name);
	source->text = malloc((size_t)text.len + 1);
	if (source->name == NULL || source->text == NULL) {
		free(source->name);
		free(source->text);
		return;
	}
	if (text.len > 0)
		memcpy(source->text, text.s, text.len);
	source->text[text.len] = '\0';
	source->len = text.len;
	report->sources++;
}

/* The text of a line, from 1; empty where it is not known. */
static struct str source_line(const struct route_report *report, const char *file, int line)
{
	for (unsigned i = report->sources; i-- > 0;) {
		const struct report_source *source = &report->source[i];
		const char *at = source->text, *end = source->text + source->len, *stop;

		if (strcmp(source->name, file) != 0)
			continue;
		for (int n = 1; n < line && at != NULL; n++) {
			at = memchr(at, '\n', (size_t)(end - at));
			if (at != NULL)
				at++;
		}
		if (at == NULL)
			return STR_NONE;
		stop = memchr(at, '\n', (size_t)(end - at));
		if (stop == NULL)
			stop = end;
		if (stop > at && stop[-1] == '\r')
			stop--;
		return str_of(at, (size_t)(stop - at));
	}
	return STR_NONE;
}

/* The offending line and, below it, an underline; tabs stay tabs so that both stand alike. */
static void show_line(struct route_report *report, const struct route_place *place)
{
	struct str line = source_line(report, place->file, place->line);
	uint32_t column = place->column > 0 ? (uint32_t)place->column - 1 : 0, length;

	if (line.s == NULL || column > line.len || line.len > REPORT_LINE_SHOWN)
		return;
	text_addf(&report->text, "%5d | ", place->line);
	for (uint32_t i = 0; i < line.len; i++) {
		unsigned char c = (unsigned char)line.s[i];

		text_add(&report->text,
			c == '\t' || (c >= 0x20 && c != 0x7f) ? str_of(&line.s[i], 1) : STR("?"));
	}
	text_add(&report->text, STR("\n      | "));
	for (uint32_t i = 0; i < column; i++)
		text_add(&report->text, line.s[i] == '\t' ? STR("\t") : STR(" "));
	length = place->length > 1 ? (uint32_t)place->length : 1;
	if (length > line.len - column)
		length = line.len > column ? line.len - column : 1;
	text_add(&report->text, STR("^"));
	for (uint32_t i = 1; i < length; i++)
		text_add(&report->text, STR("~"));
	text_add(&report->text, STR("\n"));
}

static void add(struct route_report *report, const struct route_place *place, const char *kind,
	const char *fmt, va_list ap)
{
	char message[1024];

	/* What stands at the end may be the error that the others are only warnings beside. */
	if (report->printed++ >= REPORT_ENTRIES_MAX && strcmp(kind, "error") != 0)
		return;
	vsnprintf(message, sizeof(message), fmt, ap);
	if (place != NULL && place->file != NULL) {
		if (place->line > 0)
			text_addf(&report->text, "%s:%d:%d: ", place->file, place->line,
				place->column);
		else
			text_addf(&report->text, "%s: ", place->file);
	}
	text_addf(&report->text, "%s: %s\n", kind, message);
	if (place != NULL && place->file != NULL && place->line > 0)
		show_line(report, place);
}

void route_error(struct route_report *report, const struct route_place *place, const char *fmt, ...)
{
	va_list ap;

	report->errors++;
	va_start(ap, fmt);
	add(report, place, "error", fmt, ap);
	va_end(ap);
}

void route_warning(
	struct route_report *report, const struct route_place *place, const char *fmt, ...)
{
	va_list ap;

	report->warnings++;
	va_start(ap, fmt);
	add(report, place, "warning", fmt, ap);
	va_end(ap);
}

unsigned route_report_errors(const struct route_report *report)
{
	return report->errors;
}

unsigned route_report_warnings(const struct route_report *report)
{
	return report->warnings;
}

const char *route_report_text(const struct route_report *report)
{
	return report->text.s != NULL ? report->text.s : "";
}

struct route_place load_place(const struct route_load *load, struct ast_at at)
{
	return source_place(load->source, at.from, at.to);
}

static void load_say(
	struct route_load *load, struct ast_at at, bool is_error, const char *fmt, va_list ap)
{
	struct route_place place = load_place(load, at);
	char message[1024];

	vsnprintf(message, sizeof(message), fmt, ap);
	if (is_error)
		route_error(load->report, &place, "%s", message);
	else
		route_warning(load->report, &place, "%s", message);
}

void load_error(struct route_load *load, struct ast_at at, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	load_say(load, at, true, fmt, ap);
	va_end(ap);
}

void load_warning(struct route_load *load, struct ast_at at, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	load_say(load, at, false, fmt, ap);
	va_end(ap);
}

void load_no_memory(struct route_load *load)
{
	if (!load->gave_up)
		route_error(load->report, NULL, "not enough memory for this configuration");
	load->gave_up = true;
}

/* ---- did you mean ---- */

/* Levenshtein distance of two names, without regard to case; names longer than 63 bytes are far
 * from all. */
static unsigned distance(struct str a, struct str b)
{
	unsigned row[65];

	if (a.len > 63 || b.len > 63)
		return UINT32_MAX;
	for (unsigned j = 0; j <= b.len; j++)
		row[j] = j;
	for (unsigned i = 1; i <= a.len; i++) {
		unsigned diagonal = row[0];

		row[0] = i;
		for (unsigned j = 1; j <= b.len; j++) {
			bool same = str_lower_char(a.s[i - 1]) == str_lower_char(b.s[j - 1]);
			unsigned replace = diagonal + (same ? 0 : 1);

			diagonal = row[j];
			row[j] = row[j] + 1 < row[j - 1] + 1 ? row[j] + 1 : row[j - 1] + 1;
			if (replace < row[j])
				row[j] = replace;
		}
	}
	return row[b.len];
}

void suggest_begin(struct suggest *s, struct str wanted)
{
	s->wanted = wanted;
	s->best = NULL;
	s->distance = wanted.len <= 2 ? 1 : wanted.len <= 5 ? 2 : 2 + wanted.len / 6;
	s->distance++;
}

void suggest_offer(struct suggest *s, struct str name)
{
	unsigned d = distance(s->wanted, name);

	if (d >= s->distance || d >= s->wanted.len)
		return;
	s->distance = d;
	snprintf(s->kept, sizeof(s->kept), "%.*s", STR_FMT(name));
	s->best = s->kept;
}

const char *suggest_end(const struct suggest *s)
{
	return s->best;
}
