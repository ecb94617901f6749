/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/* Inside lib/route: avpops' functions that compare and compute. */
#include "route/avpops.h"
#include "route/function.h"

FUNCTION_RUN(avpops_run_check);
FUNCTION_CHECK(avpops_check_check);
FUNCTION_RUN(avpops_run_op);
FUNCTION_CHECK(avpops_check_op);
void avpops_free_check(void *data);
FUNCTION_RUN(avpops_run_subst);
FUNCTION_CHECK(avpops_check_subst);
void avpops_free_subst(void *data);
