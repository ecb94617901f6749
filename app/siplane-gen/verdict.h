/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What one trial of a search says of the system: which attempts failed, why, and whether it says
 * anything at all. Private to search. `over`: the trial went to its end, and was not cut short when
 * its verdict was certain.
 */
#pragma once
#include "gen.h"
#include "report.h"

struct verdict_terms {
	bool ndr;       /* every message counts */
	uint32_t calls; /* that may be open at once */
	double session; /* s that the scenario holds a call, at most */
};

/*
 * What counts as failed. RFC 7501 3.1.8: the attempt did not come to its end. RFC 2544 26.1 counts
 * every frame: there an attempt that lost any message on its way through the system fails, also one
 * that no step waits for. These are lost only when the trial is `over`: before, they may be on
 * their way.
 */
uint64_t verdict_failures(const struct verdict_terms *terms, const struct gen_result *r, bool over);
/*
 * Whether the generator was the limit. A full table of calls is its own doing only where calls that
 * are answered at once would fill it: elsewhere it is the system that leaves them open.
 */
bool verdict_limited(const struct verdict_terms *terms, const struct gen_result *r);
/* Latency, losses, and in `reason` why attempts failed or the generator was the limit. */
void verdict_detail(const struct verdict_terms *terms, const struct gen_result *r, bool over,
	struct report_detail *out);
