/* SPDX-License-Identifier: BSD-3-Clause */
/* Weak stand-ins for what lib/route does not link yet. */
#include "harness.h"

__attribute__((weak)) void route_error(
	struct route_report *report, const struct route_place *place, const char *fmt, ...)
{
}

__attribute__((weak)) struct str route_script_text(const struct route_script *script)
{
	return STR_NONE;
}

__attribute__((weak)) int route_registry_add(
	struct route_registry *registry, const struct route_module *module, void *room)
{
	return -1;
}
