/* SPDX-License-Identifier: BSD-3-Clause */
#include "resolve/internal.h"

#include <errno.h>
#include <stdio.h>
#include <sys/time.h>

/* Milliseconds until c-ares has something to do, at most `left`, at least 1. */
static int wait_time(struct resolver *r, uint64_t left)
{
	struct timeval most = {(time_t)(left / 1000), (suseconds_t)(left % 1000 * 1000)}, tv;
	const struct timeval *t = ares_timeout(r->channel, &most, &tv);
	uint64_t ms = t != NULL ? (uint64_t)t->tv_sec * 1000 + (uint64_t)t->tv_usec / 1000 : left;

	return ms < 1 ? 1 : (int)(ms < left ? ms : left);
}

/* Asks, unless that is under way, and waits for the completion. */
static int wait_for(struct resolver *r, struct entry *e, unsigned timeout_ms)
{
	uint64_t end = clock_now_ns() + timeout_ms * CLOCK_NS_PER_MS;
	uint32_t completions = e->completions;

	while (e->completions == completions) {
		uint64_t now = clock_now_ns();

		if (e->query == NULL && r->queries < RESOLVE_QUERIES_MAX) {
			if (query_start(r, e) != 0)
				return -ENOMEM;
			continue;
		}
		if (now >= end)
			return -ETIMEDOUT;
		resolver_process(
			r, wait_time(r, (end - now + CLOCK_NS_PER_MS - 1) / CLOCK_NS_PER_MS));
		now = clock_now_ns();
		if (now > r->now)
			r->now = now;
	}
	return 0;
}

static int explain(const struct entry *e, enum resolve_kind kind, char *error, size_t size)
{
	if (e->status == ARES_ENOTFOUND || e->status == ARES_ENODATA) {
		snprintf(error, size, "%s: %s (%s)", e->name.s,
			kind == RESOLVE_SIP_UDP ? "no address, by _sip._udp records or directly"
						: "no address",
			ares_strerror(e->status));
		return -ENOENT;
	}
	snprintf(error, size, "%s: no usable answer: %s", e->name.s, ares_strerror(e->status));
	return -ETIMEDOUT;
}

int resolve_now(struct resolver *r, enum resolve_kind kind, struct str name, unsigned timeout_ms,
	struct resolve_addresses *out, char *error, size_t error_size)
{
	struct host_name host;
	struct entry *e;
	int err = 0;

	if (!name_read(name, &host)) {
		snprintf(error, error_size, "\"%.*s\" is no host name", STR_FMT(name));
		return -EINVAL;
	}
	r->now = clock_now_ns() > r->now ? clock_now_ns() : r->now;
	e = resolver_entry(r, kind, &host);
	if (e == NULL) {
		snprintf(error, error_size, "%s: more than %u names are in use", host.s,
			RESOLVE_NAMES_MAX);
		return -EAGAIN;
	}
	/* What failed a moment ago may have been mended since: that is why one loads again. */
	if (e->answer != RESOLVE_FOUND || r->now >= e->expires)
		err = wait_for(r, e, timeout_ms);
	/* As a reader would: an answer that is stale is one until its refresh has come. */
	if (err == -ETIMEDOUT && e->answer == RESOLVE_FOUND && r->now < e->stale_until)
		err = 0;
	resolver_publish(r);
	if (err == -ETIMEDOUT) {
		snprintf(error, error_size, "%s: no answer within %u ms", host.s, timeout_ms);
		return err;
	}
	if (err != 0) {
		snprintf(error, error_size, "%s: not enough memory", host.s);
		return err;
	}
	if (e->answer != RESOLVE_FOUND)
		return explain(e, kind, error, error_size);
	*out = e->addresses;
	return (int)out->count;
}
