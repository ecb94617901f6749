/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Ids of destinations and their health. An id is what pins, counters and verdicts are kept by: it
 * belongs to a destination as long as anything can name it, through every reload that still lists
 * it.
 */
#include <errno.h>
#include <stdlib.h>

#include "dispatch/internal.h"

/* An id whose last set has gone may still stand in pins of INVITEs that were bound while that set
 * was the settled one. */
#define QUARANTINE_NS (2 * PIN_RETRANSMIT_NS + PIN_SLACK_NS)
#define RELEASES_MAX 64 /* at once, so that RCU's list of the retired keeps room */
#define INDEX_SIZE (2 * DISPATCH_IDS)

static const struct hash_key identity_key = {{0x7369706c616e6520ULL, 0x6964656e74697479ULL}};

struct hash128 dispatch_identity_of(const struct dispatch_spec *spec)
{
	struct hash h;

	hash_init128(&h, &identity_key);
	hash_u32(&h, spec->set);
	hash_str(&h, str_c(spec->duid));
	hash_str(&h, str_c(spec->uri));
	hash_str(&h, str_c(spec->socket));
	hash_bytes(&h, &spec->ep, sizeof(spec->ep));
	return hash_final128(&h);
}

static unsigned index_slot(const struct dispatch *d, const struct hash128 *identity)
{
	unsigned slot = (unsigned)identity->lo % INDEX_SIZE;

	for (; d->index[slot] != 0; slot = (slot + 1) % INDEX_SIZE) {
		const struct dispatch_target *t = d->identity[d->index[slot]].target;

		if (t->identity.lo == identity->lo && t->identity.hi == identity->hi)
			break;
	}
	return slot;
}

void dispatch_identity_index(struct dispatch *d)
{
	memset(d->index, 0, sizeof(d->index));
	for (uint16_t id = 1; id < DISPATCH_IDS; id++)
		if (d->identity[id].target != NULL)
			d->index[index_slot(d, &d->identity[id].target->identity)] = id;
}

/* "udp:10.0.0.5:5060", "10.0.0.5:5060" or "10.0.0.5". The list has been checked: it is well formed.
 */
static void read_socket(struct dispatch_target *t, struct str text)
{
	struct net_endpoint ep;

	if (text.len == 0 || dispatch_socket_parse(text, &ep) != 0)
		return;
	t->socket = ep;
	t->socket_transport = SIP_TRANSPORT_UDP;
}

static struct dispatch_target *make_target(const struct dispatch_spec *spec, uint16_t id)
{
	struct dispatch_target *t = calloc(1, sizeof(*t));
	struct str uri = str_c(spec->uri);
	struct sip_uri parsed;

	if (t == NULL)
		return NULL;
	t->set = spec->set;
	t->id = id;
	t->any_port = spec->any_port;
	t->ep = spec->ep;
	t->identity = dispatch_identity_of(spec);
	t->uri_len = (uint16_t)uri.len;
	memcpy(t->uri, spec->uri, uri.len);
	/* A name would be looked up anew and may give another member: then the address is what the
	 * R-URI gets. */
	if (!spec->by_name && sip_uri_parse(uri.s, (struct sip_span){0, uri.len}, &parsed) == 0 &&
		parsed.hostport.len < sizeof(t->hostport)) {
		memcpy(t->hostport, uri.s + parsed.hostport.off, parsed.hostport.len);
		t->hostport_len = (uint8_t)parsed.hostport.len;
	} else {
		t->hostport_len = (uint8_t)net_endpoint_format(&spec->ep, t->hostport);
	}
	read_socket(t, str_c(spec->socket));
	return t;
}

uint16_t dispatch_identity_take(struct dispatch *d, const struct dispatch_spec *spec)
{
	struct hash128 identity = dispatch_identity_of(spec);
	unsigned slot = index_slot(d, &identity);
	uint16_t id = d->index[slot];
	uint64_t selected = 0;

	if (id != 0) {
		d->identity[id].refs++;
		return id;
	}
	for (id = 1; id < DISPATCH_IDS && d->identity[id].target != NULL; id++)
		;
	if (id == DISPATCH_IDS) {
		errno = ENOSPC;
		return 0;
	}
	d->identity[id].target = make_target(spec, id);
	if (d->identity[id].target == NULL) {
		errno = ENOMEM;
		return 0;
	}
	for (unsigned i = 0; i < DISPATCH_WORKERS_MAX; i++)
		selected += atomic_load_explicit(&d->worker[i].selected[id], memory_order_relaxed);
	d->identity[id].selected_base = selected;
	atomic_store_explicit(&d->identity[id].unreachable, 0, memory_order_relaxed);
	d->identity[id].refs = 1;
	d->identity[id].listed_down = false;
	atomic_store_explicit(&d->identity[id].state, spec->state, memory_order_relaxed);
	atomic_store_explicit(&d->identity[id].by_hand, false, memory_order_relaxed);
	atomic_store_explicit(&d->identity[id].since_ns, 0, memory_order_relaxed);
	atomic_store_explicit(&d->identity[id].out_ns, 0, memory_order_relaxed);
	d->index[slot] = id;
	/* Nobody can name the id before the set that holds it is published. */
	atomic_store_explicit(&d->health[id], 0, memory_order_relaxed);
	atomic_store_explicit(&d->target[id], d->identity[id].target, memory_order_release);
	return id;
}

void dispatch_identity_put(struct dispatch *d, uint16_t id, uint64_t now_ns)
{
	if (--d->identity[id].refs == 0)
		d->identity[id].release_ns = now_ns + QUARANTINE_NS;
}

void dispatch_identity_release(struct dispatch *d, uint64_t now_ns)
{
	unsigned released = 0;

	for (uint16_t id = 1; id < DISPATCH_IDS && released < RELEASES_MAX; id++) {
		struct dispatch_identity *i = &d->identity[id];

		if (i->target == NULL || i->refs != 0 || i->release_ns > now_ns)
			continue;
		atomic_store_explicit(&d->target[id], NULL, memory_order_release);
		if (rcu_retire(d->config.rcu, i->target, free) != 0) {
			atomic_store_explicit(&d->target[id], i->target, memory_order_release);
			return;
		}
		i->target = NULL;
		released++;
	}
}

int dispatch_set_up(struct dispatch *d, uint32_t id, bool up)
{
	uint8_t now;

	if (id == 0 || id >= DISPATCH_IDS || dispatch_target_at(d, (uint16_t)id) == NULL)
		return -ENOENT;
	now = atomic_load_explicit(&d->health[id], memory_order_relaxed);
	if (((now & DISPATCH_HEALTH_DOWN) == 0) == up)
		return 0;
	/*
	 * While it was down its keys were bound elsewhere. Whoever sees it up also sees that pins
	 * have to be looked at, until the last of them has expired.
	 */
	if (up)
		dispatch_disturb(d, d->now_ns() + PIN_INVITE_NS + PIN_SLACK_NS);
	atomic_store_explicit(&d->health[id], up ? 0 : DISPATCH_HEALTH_DOWN, memory_order_release);
	return 0;
}

void dispatch_disturb(struct dispatch *d, uint64_t until_ns)
{
	uint64_t now = atomic_load_explicit(&d->disturbed_until, memory_order_relaxed);

	while (now < until_ns && !atomic_compare_exchange_weak_explicit(&d->disturbed_until, &now,
					 until_ns, memory_order_release, memory_order_relaxed))
		;
}
