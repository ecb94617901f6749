/* SPDX-License-Identifier: BSD-3-Clause */
#include "verdict.h"

#define ANSWER_SECONDS 1.0 /* in which a system that keeps up answers everything */

uint64_t verdict_failures(const struct verdict_terms *terms, const struct gen_result *r, bool over)
{
	uint64_t failed = r->failed, sum;

	/* What a trial that was cut left open has neither failed nor gone well. */
	if (!over)
		failed -= r->failed_by[GEN_FAIL_UNFINISHED];
	if (!terms->ndr)
		return failed;
	sum = !over || failed > r->lost ? failed : r->lost;
	if (over)
		sum += r->incomplete + r->acks_missing;
	return sum < r->attempts ? sum : r->attempts;
}

bool verdict_limited(const struct verdict_terms *terms, const struct gen_result *r)
{
	if (r->limits != 1U << GEN_LIMIT_CALLS)
		return r->generator_limit;
	return r->rate * (terms->session + ANSWER_SECONDS) > terms->calls;
}

struct sentence {
	char *out;
	size_t size, n;
};

static void add(struct sentence *s, uint64_t n, const char *what, int status)
{
	const char *comma = s->n > 0 ? ", " : "";
	int len;

	if (n == 0 || s->n >= s->size)
		return;
	len = status != 0 ? snprintf(s->out + s->n, s->size - s->n, "%s%llu answered %d", comma,
				    (unsigned long long)n, status)
			  : snprintf(s->out + s->n, s->size - s->n, "%s%llu %s", comma,
				    (unsigned long long)n, what);
	s->n += (size_t)len;
}

/* Why attempts failed. */
static void explain(const struct verdict_terms *terms, const struct gen_result *r, bool over,
	char *out, size_t size)
{
	struct sentence s = {.out = out, .size = size};

	out[0] = '\0';
	if (verdict_limited(terms, r)) {
		snprintf(out, size, "the generator was the limit: %s", r->limit_reason);
		return;
	}
	for (int i = 0; i < GEN_FAIL_COUNT; i++)
		if (i != GEN_FAIL_STATUS)
			add(&s, r->failed_by[i],
				i == GEN_FAIL_UNFINISHED && !over ? "not waited for"
								  : gen_fail_text((enum gen_fail)i),
				0);
	for (int i = 0; i < GEN_STATUS_MAX; i++)
		add(&s, r->failed_status[i], "", i);
	if (!terms->ndr || !over)
		return;
	if (r->failed == 0)
		add(&s, r->lost, "without any answer", 0);
	add(&s, r->missing, "provisional answers lost", 0);
	add(&s, r->acks_missing, "ACKs lost", 0);
}

void verdict_detail(const struct verdict_terms *terms, const struct gen_result *r, bool over,
	struct report_detail *out)
{
	*out = (struct report_detail){
		.p50_ns = histogram_percentile(&r->final, 50),
		.p99_ns = histogram_percentile(&r->final, 99),
		.p999_ns = histogram_percentile(&r->final, 99.9),
		.max_ns = r->final.max,
		.retransmissions = r->retransmissions,
		.missed = r->missed,
		.answers_missing = over ? r->missing : 0,
		.acks_lost = over ? r->acks_missing : 0,
		.cut = !over,
	};
	explain(terms, r, over, out->reason, sizeof(out->reason));
}
