/* SPDX-License-Identifier: BSD-3-Clause */
#include "resolve/internal.h"

#include <errno.h>
#include <stdio.h>
#include <sys/time.h>

/* Milliseconds until c-ares or one of our queries has something to do, at most `left`, at least 1.
 */
static int wait_time(struct resolver *r, uint64_t left)
{
	struct timeval most = {(time_t)(left / 1000), (suseconds_t)(left % 1000 * 1000)}, tv;
	const struct timeval *t = ares_timeout(r->channel, &most, &tv);
	uint64_t ms = t != NULL ? (uint64_t)t->tv_sec * 1000 + (uint64_t)t->tv_usec / 1000 : left;

	if (ms > TICK_INTERVAL_NS / CLOCK_NS_PER_MS)
		ms = TICK_INTERVAL_NS / CLOCK_NS_PER_MS;
	return ms < 1 ? 1 : (int)(ms < left ? ms : left);
}

static void move_clock(struct resolver *r)
{
	uint64_t now = clock_now_ns();

	if (now > r->now)
		r->now = now;
}

void resolver_stop_by(struct resolver *r, const _Atomic bool *stop)
{
	r->stop = stop;
}

static bool is_stopped(const struct resolver *r)
{
	return r->stop != NULL && atomic_load_explicit(r->stop, memory_order_relaxed);
}

/* Asks, unless that is under way, and waits for the completion. -EAGAIN: there was no place in all
 * that time. -ECANCELED: nobody wants it any more. */
static int wait_for(struct resolver *r, struct entry *e, unsigned timeout_ms)
{
	uint64_t end = clock_now_ns() + timeout_ms * CLOCK_NS_PER_MS;
	uint32_t completions = e->completions;
	bool asked = e->query != NULL;

	while (e->completions == completions) {
		uint64_t now = clock_now_ns();

		if (is_stopped(r))
			return -ECANCELED;
		if (e->query == NULL && share_admit(r, e->zone, true)) {
			if (query_start(r, e) != 0)
				return -ENOMEM;
			asked = true;
			continue;
		}
		if (now >= end)
			return asked ? -ETIMEDOUT : -EAGAIN;
		resolver_process(
			r, wait_time(r, (end - now + CLOCK_NS_PER_MS - 1) / CLOCK_NS_PER_MS));
		move_clock(r);
	}
	return 0;
}

/* What was asked for, in the words of an operator. */
static const char *asked_for(enum resolve_kind kind)
{
	switch (kind) {
	case RESOLVE_SIP:
		return "by NAPTR records, by _sip._udp or directly";
	case RESOLVE_SIP_UDP:
		return "by _sip._udp or directly";
	case RESOLVE_ADDRESS:
		break;
	}
	return "directly";
}

/* Why there is no address after an answer has come. */
static int explain(const struct entry *e, enum resolve_kind kind, char *error, size_t size)
{
	if (walk_is_definite(e->status)) {
		snprintf(error, size, "%s: no address, %s (%s)", e->name.s, asked_for(kind),
			ares_strerror(e->status));
		return -ENOENT;
	}
	snprintf(error, size, "%s: no usable answer: %s", e->name.s, ares_strerror(e->status));
	return -ETIMEDOUT;
}

/* Why there is no answer. */
static int explain_error(
	int err, const struct host_name *host, unsigned timeout_ms, char *error, size_t size)
{
	if (err == -ETIMEDOUT)
		snprintf(error, size, "%s: no answer within %u ms", host->s, timeout_ms);
	else if (err == -EAGAIN)
		snprintf(error, size, "%s: not asked within %u ms, since %u names are under way",
			host->s, timeout_ms, RESOLVE_QUERIES_MAX);
	else if (err == -ECANCELED)
		snprintf(error, size, "%s: no longer waited for", host->s);
	else
		snprintf(error, size, "%s: not enough memory", host->s);
	return err;
}

static int no_host_name(struct str name, char *error, size_t size)
{
	snprintf(error, size, "\"%.*s\" is no host name", STR_FMT(name));
	return -EINVAL;
}

/* Of a list or a configuration. NULL where the table has no room. */
static struct entry *our_entry(
	struct resolver *r, enum resolve_kind kind, const struct host_name *host)
{
	struct entry *e = table_find(r, kind, host);

	if (e == NULL)
		return table_add(r, kind, host, true);
	table_set_ours(r, e);
	return e;
}

static bool is_good(const struct resolver *r, const struct entry *e)
{
	return e->answer == RESOLVE_FOUND && r->now < e->expires;
}

void resolve_ahead(struct resolver *r, enum resolve_kind kind, struct str name)
{
	struct host_name host;
	struct entry *e;

	if (!name_read(name, &host) || name_special(name) != NAME_ORDINARY)
		return;
	move_clock(r);
	e = our_entry(r, kind, &host);
	if (e == NULL || e->query != NULL || e->ahead || is_good(r, e) ||
		!share_admit(r, e->zone, true))
		return;
	e->ahead = query_start(r, e) == 0;
}

int resolve_now(struct resolver *r, enum resolve_kind kind, struct str name, unsigned timeout_ms,
	struct resolve_addresses *out, char *error, size_t error_size)
{
	struct host_name host;
	struct entry *e;
	int err = 0;

	if (!name_read(name, &host))
		return no_host_name(name, error, error_size);
	switch (name_special(name)) {
	case NAME_LOCALHOST:
		*out = snapshot_localhost;
		return (int)out->count;
	case NAME_NOWHERE:
		snprintf(error, error_size, "%s: a name that stands for no host", host.s);
		return -ENOENT;
	case NAME_ORDINARY:
		break;
	}
	move_clock(r);
	e = our_entry(r, kind, &host);
	if (e == NULL) {
		snprintf(error, error_size, "%s: more than %u names are in use", host.s,
			RESOLVE_NAMES_MAX);
		return -EAGAIN;
	}
	/* What failed a moment ago may have been mended since: that is why one loads again. */
	if (!is_good(r, e) && !(e->ahead && e->query == NULL))
		err = wait_for(r, e, timeout_ms);
	e->ahead = false;
	/* Where servers fail, what they said before still holds (RFC 8767). */
	if ((err == -ETIMEDOUT || err == -EAGAIN) && entry_has_stale(r, e)) {
		resolver_serve_stale(r, e);
		err = 0;
	}
	/* For readers; where it can't be done now, it is by resolver_poll(). */
	resolver_publish(r);
	if (err != 0)
		return explain_error(err, &host, timeout_ms, error, error_size);
	if (e->answer != RESOLVE_FOUND)
		return explain(e, kind, error, error_size);
	*out = e->addresses;
	return (int)out->count;
}
