/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who came first before, where another contact comes first now.
 *
 * A window opens with a change and stays open as long as calls may be under way that went by what
 * was before; a change in it keeps it open for as long again. Who came first before it opened is
 * who those calls that nobody remembers were sent to. All others in it are remembered by pins that
 * name a contact, so in an open window whatever goes is kept as former for as long.
 */
#include "location/internal.h"
#include "sip/sip.h"

bool location_leads(const struct location_contact *c)
{
	uint32_t four = c->uri.len > 4 ? load4(c->uri.s) | 0x20202020 : 0;

	if (four != load4("sip:") && (four != load4("sips") || c->uri.s[4] != ':'))
		return false;
	return (c->methods >> SIP_METHOD_INVITE & 1) != 0;
}

bool location_same_way(const struct location_contact *a, const struct location_contact *b)
{
	return str_eq(a->uri, b->uri) && str_eq(a->path, b->path) &&
	       net_endpoint_equal(&a->received, &b->received) && a->listener == b->listener &&
	       a->flags == b->flags && a->reg_id == b->reg_id && str_eq(a->instance, b->instance);
}

static unsigned rank(const struct location_contact *c)
{
	return c->q == LOCATION_Q_NONE ? 0 : 1u + c->q;
}

/* Of contacts in no order. */
static const struct location_contact *first_of(
	const struct location_contact *contact, unsigned count)
{
	const struct location_contact *first = NULL;

	for (unsigned i = 0; i < count; i++) {
		if ((first == NULL || rank(&contact[i]) > rank(first)) &&
			location_leads(&contact[i]))
			first = &contact[i];
	}
	return first;
}

/* The first of those of a set, which are in order. */
static int first_of_set(const struct location_set *set)
{
	for (unsigned i = 0; i < set->count; i++) {
		if (location_leads(&set->contact[i]))
			return (int)i;
	}
	return -1;
}

static int find(
	const struct location_contact *contact, unsigned count, const struct location_contact *c)
{
	for (unsigned i = 0; i < count; i++) {
		if (location_same_way(&contact[i], c))
			return (int)i;
	}
	return -1;
}

/* One of what was: where it is now, among the contacts or the former ones; -1: there is no room. */
static int keep(struct past *out, uint32_t now, const struct location_contact *contact,
	unsigned count, const struct location_contact *c)
{
	int at = find(contact, count, c);
	struct location_contact *former;

	if (at >= 0)
		return at;
	at = find(out->contact, out->former, c);
	if (at >= 0)
		return (int)count + at;
	if (out->former == LOCATION_FORMER_MAX)
		return -1;
	former = &out->contact[out->former];
	*former = *c;
	/* What nobody is sent by. */
	former->call_id = former->user_agent = STR_NONE;
	if (former->expires > now)
		former->expires = now;
	return (int)(count + out->former++);
}

/* All that a pin may name; the window was open before. */
static bool keep_all(struct past *out, uint32_t now, const struct location_contact *contact,
	unsigned count, const struct location_set *was)
{
	bool all = true;

	/* Those that went last first. */
	for (unsigned i = 0; i < was->count; i++) {
		if (location_leads(&was->contact[i]) &&
			keep(out, now, contact, count, &was->contact[i]) < 0)
			all = false;
	}
	for (unsigned i = 0; i < was->former; i++) {
		if (keep(out, now, contact, count, &was->contact[was->count + i]) < 0)
			all = false;
	}
	return all;
}

bool past_is_calm(
	const struct shard *s, uint32_t now, const struct location_contact *contact, unsigned count)
{
	return record_is_calm((const char *)s->old, now, first_of(contact, count));
}

bool past_make(struct shard *s, uint32_t now, const struct location_contact *contact,
	unsigned count, struct past *out)
{
	const struct location_contact *first = first_of(contact, count);
	struct location_set *was = &s->past;
	bool was_open;
	int led;

	memcpy(was->text, s->old, record_head(s->old).bytes);
	was->text_len = record_head(s->old).bytes;
	record_read(s->agents, now, was);
	out->window = record_window(now, was);
	out->former = 0;
	was_open = out->window.open;
	led = first_of_set(was);
	if (led < 0 ? first != NULL
		    : first == NULL || !location_same_way(first, &was->contact[led])) {
		if (!was_open && led < 0)
			return false;
		if (!was_open)
			out->window = (struct window){true, now, now, led};
		out->window.changed = now;
	} else if (!was_open) {
		return false;
	}
	if (out->window.before >= 0)
		out->window.before =
			keep(out, now, contact, count, &was->contact[out->window.before]);
	if (was_open && !keep_all(out, now, contact, count, was))
		shard_count(&s->forgotten, 1);
	return true;
}
