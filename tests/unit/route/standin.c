/* SPDX-License-Identifier: BSD-3-Clause */
/* Stands for the loader and its script. */
#include <stdlib.h>

#include "route/variable.h"

struct str __wrap_route_script_text(const struct route_script *script);
const struct route_hooks *__wrap_route_script_hooks(const struct route_script *script);
int __wrap_route_var_slot(struct str name);
struct route_report *__wrap_route_report_create(void);
void __wrap_route_report_destroy(struct route_report *report);
void __wrap_route_error(struct route_report *report, const struct route_place *where, const char *fmt, ...);
unsigned __wrap_route_report_errors(const struct route_report *report);

struct route_report {
	unsigned errors;
};

struct str __wrap_route_script_text(const struct route_script *script)
{
	return STR_NONE;
}

const struct route_hooks *__wrap_route_script_hooks(const struct route_script *script)
{
	return NULL;
}

int __wrap_route_var_slot(struct str name)
{
	return name.len != 0 && name.s[0] >= 'a' && name.s[0] <= 'z' ? name.s[0] - 'a' : -1;
}

struct route_report *__wrap_route_report_create(void)
{
	return calloc(1, sizeof(struct route_report));
}

void __wrap_route_report_destroy(struct route_report *report)
{
	free(report);
}

void __wrap_route_error(struct route_report *report, const struct route_place *where, const char *fmt, ...)
{
	report->errors++;
}

unsigned __wrap_route_report_errors(const struct route_report *report)
{
	return report->errors;
}
