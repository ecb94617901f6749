/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/* Inside lib/route: the targets beside the Request-URI's own. */
#include "route/function.h"
#include "route/variable_get.h"

FUNCTION_RUN(run_append_branch);
FUNCTION_CHECK(check_append_branch);
FUNCTION_RUN(run_clear_branches);
FUNCTION_RUN(run_serialize_branches);
FUNCTION_RUN(run_load_contacts);
FUNCTION_RUN(run_next_branches);
bool check_branch_part(struct str *name);
VARIABLE_GET(get_branch);
VARIABLE_SET(set_branch);
VARIABLE_GET(get_first_branch);
VARIABLE_GET(get_branches);
VARIABLE_GET(get_ruri_q);
VARIABLE_SET(set_ruri_q);
