/* SPDX-License-Identifier: BSD-3-Clause */
/* What lib/route's loader brings. Weak: where the library has it already, that one counts. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "route/route.h"

struct route_report {
	unsigned errors, warnings;
	char text[8192];
	size_t len;
};

__attribute__((weak)) struct route_report *route_report_create(void)
{
	return calloc(1, sizeof(struct route_report));
}

__attribute__((weak)) void route_report_destroy(struct route_report *report)
{
	free(report);
}

static void add(struct route_report *report, const struct route_place *place, const char *kind,
	const char *fmt, va_list ap)
{
	size_t room = sizeof(report->text) - report->len;

	if (room < 512)
		return;
	if (place != NULL && place->line > 0)
		report->len += (size_t)snprintf(report->text + report->len, room,
			"%s:%d:%d: ", place->file, place->line, place->column);
	else if (place != NULL)
		report->len +=
			(size_t)snprintf(report->text + report->len, room, "%s: ", place->file);
	room = sizeof(report->text) - report->len;
	report->len += (size_t)snprintf(report->text + report->len, room, "%s: ", kind);
	room = sizeof(report->text) - report->len;
	report->len += (size_t)vsnprintf(report->text + report->len, room, fmt, ap);
	room = sizeof(report->text) - report->len;
	report->len += (size_t)snprintf(report->text + report->len, room, "\n");
}

__attribute__((weak)) void route_error(
	struct route_report *report, const struct route_place *place, const char *fmt, ...)
{
	va_list ap;

	report->errors++;
	va_start(ap, fmt);
	add(report, place, "error", fmt, ap);
	va_end(ap);
}

__attribute__((weak)) void route_warning(
	struct route_report *report, const struct route_place *place, const char *fmt, ...)
{
	va_list ap;

	report->warnings++;
	va_start(ap, fmt);
	add(report, place, "warning", fmt, ap);
	va_end(ap);
}

__attribute__((weak)) unsigned route_report_errors(const struct route_report *report)
{
	return report->errors;
}

__attribute__((weak)) unsigned route_report_warnings(const struct route_report *report)
{
	return report->warnings;
}

__attribute__((weak)) const char *route_report_text(const struct route_report *report)
{
	return report->text;
}

/* A context without a script has no constants. */
__attribute__((weak)) struct str route_script_text(const struct route_script *script)
{
	return STR_NONE;
}
