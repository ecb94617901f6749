/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/* Inside lib/route: what thread.c asks of regex.c, and the flags that textops compiles with. */
#include "route/variable.h"

#define REGEX_ICASE (1u << 0)
/* `^` and `$` match at line ends and `.` stops there (REG_NEWLINE): for patterns on whole messages.
 */
#define REGEX_LINES (1u << 1)
/* Groups that a pattern may have, the whole match included. */
#define REGEX_GROUPS_MAX 32

struct route_regex *regex_compile(
	struct str pattern, unsigned flags, char *error, size_t error_size);
/*
 * For tests: whether patterns that are compiled from now on are run by the JIT, and how many times
 * as long a search may take. Under valgrind, which takes the JIT's aligned 16-byte loads around the
 * end of a subject for over-reads, and on machines without JIT.
 */
void regex_tune(bool jit, unsigned time_factor);
/* As route_regex_match(), from offset `start` of the subject; what stands before it is seen by `^`
 * and \b. */
int regex_match_from(struct route_ctx *ctx, const struct route_regex *regex, struct str subject,
	uint32_t start, struct str *group, unsigned groups);
/* Number of groups that the pattern has, without the whole match. */
unsigned regex_captures(const struct route_regex *regex);

void *regex_thread_create(void);
void regex_thread_destroy(void *thread);
