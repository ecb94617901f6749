/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/* Inside lib/route: AVPs as pseudo-variables. */
#include "route/variable_get.h"

/* Whether this can be an AVP's name; "s:" and "i:" are taken off it. */
bool avp_check_name(struct str *name);
bool check_count_of(struct str *name);
VARIABLE_GET(get_avp);
VARIABLE_SET(set_avp);
VARIABLE_GET(get_count_of);
