/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef UNIT_SCRIPT_H
#define UNIT_SCRIPT_H

#include <stdio.h>

#include "route/route.h"

/* `*script` is what this text says from now on. False, and all is as it was: `said` has why; else
 * it has the warnings. */
static inline bool script_replace(struct route_script **script, struct str text,
	const struct route_registry *registry, char *said, size_t size)
{
	struct route_report *report = route_report_create();
	struct route_script *made = route_script_load_text("test.cfg", text, registry, report);

	snprintf(said, size, "%s", route_report_text(report));
	route_report_destroy(report);
	if (made == NULL)
		return false;
	route_script_publish(made);
	if (*script != NULL)
		route_script_unref(*script);
	*script = made;
	return true;
}

#endif
