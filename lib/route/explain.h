/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/* Inside lib/route: the lines that route_explain() prints are made at load, while the tree is
 * there. */
#include "route/load.h"

int explain_make(struct route_load *load);
