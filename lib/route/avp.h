/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/* Inside lib/route: AVPs as pseudo-variables. */
#include "route/variable_get.h"

/* Whether this can be an AVP's name; "s:" and "i:" are taken off it, and an alias becomes what it
 * stands for. While a script is loaded. */
bool avp_check_name(struct str *name);
/* What an alias of a script stands for; any other name stays. The script may be NULL. */
struct route_script;
void avp_alias_follow(const struct route_script *script, struct str *name);
/* Says what is wrong with a script's avp_aliases. */
struct route_load;
void avp_alias_check(struct route_load *load);
bool check_count_of(struct str *name);
VARIABLE_GET(get_avp);
VARIABLE_SET(set_avp);
VARIABLE_GET(get_count_of);
