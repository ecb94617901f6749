/* SPDX-License-Identifier: BSD-3-Clause */
#include <math.h>

#include "search.h"

static enum search_mark judge(const struct search_ask *ask, const struct search_outcome *outcome)
{
	/* A generator that was late has not offered that rate: neither success nor failure is the
	 * system's. */
	if (outcome->limited)
		return SEARCH_LIMITED;
	if (outcome->attempts == 0 || outcome->failures > ask->loss * (double)outcome->attempts)
		return SEARCH_FAILED;
	return SEARCH_PASSED;
}

int desk_try(struct search_desk *desk, const struct search_ask *ask, struct search_result *out)
{
	struct search_record *record;
	unsigned tries = 0;

	do {
		int status;

		if (desk->trials >= desk->trials_max || desk->trials >= SEARCH_TRIALS_MAX) {
			out->end = SEARCH_TRIALS;
			return -1;
		}
		record = &desk->log[desk->trials];
		*record = (struct search_record){.ask = *ask};
		record->ask.number = desk->trials + 1;
		status = desk->trial(desk->arg, &record->ask, &record->outcome);
		if (status != 0) {
			out->end = status > 0 ? SEARCH_STOPPED : SEARCH_ERROR;
			out->error = status > 0 ? 0 : -status;
			return -1;
		}
		record->mark = judge(ask, &record->outcome);
		desk->trials++;
		out->trials++;
		out->attempts += record->outcome.attempts;
		out->seconds += record->outcome.seconds;
	} while (record->mark == SEARCH_LIMITED && ++tries < SEARCH_LIMIT_TRIES);
	return (int)record->mark;
}

static bool contradicted(const struct search_desk *desk, unsigned at)
{
	for (unsigned i = at + 1; i < desk->trials; i++)
		if (desk->log[i].mark == SEARCH_FAILED &&
			desk->log[i].ask.rate <= desk->log[at].ask.rate)
			return true;
	return false;
}

double desk_standing(const struct search_desk *desk, double below)
{
	double best = 0;

	for (unsigned i = 0; i < desk->trials; i++) {
		const struct search_record *record = &desk->log[i];

		if (record->mark == SEARCH_PASSED && record->ask.rate > best &&
			record->ask.rate < below && !contradicted(desk, i))
			best = record->ask.rate;
	}
	return best;
}

double desk_lowest(const struct search_desk *desk, double rate, enum search_mark mark)
{
	double best = INFINITY;

	for (unsigned i = 0; i < desk->trials; i++) {
		const struct search_record *record = &desk->log[i];

		if (record->mark == mark && record->ask.rate > rate && record->ask.rate < best)
			best = record->ask.rate;
	}
	return best;
}

const struct search_record *desk_passed(const struct search_desk *desk, double rate)
{
	for (unsigned i = desk->trials; i-- > 0;)
		if (desk->log[i].mark == SEARCH_PASSED && desk->log[i].ask.rate == rate)
			return &desk->log[i];
	return NULL;
}

const char *search_end_word(enum search_end end)
{
	switch (end) {
	case SEARCH_FOUND:
		return "found";
	case SEARCH_NONE:
		return "none";
	case SEARCH_CEILING:
		return "ceiling";
	case SEARCH_GENERATOR:
		return "generator";
	case SEARCH_TRIALS:
		return "trials";
	case SEARCH_STOPPED:
		return "stopped";
	case SEARCH_ERROR:
		return "error";
	}
	return "?";
}

const char *search_mark_word(enum search_mark mark)
{
	switch (mark) {
	case SEARCH_PASSED:
		return "passed";
	case SEARCH_FAILED:
		return "failed";
	case SEARCH_LIMITED:
		return "limited";
	}
	return "?";
}
