/* SPDX-License-Identifier: BSD-3-Clause */
/* The room: made, listed, ticked, taken down. */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>

#include "dispatch/internal.h"

static struct hash128 key_of_proxy(void *arg, struct route_ctx *ctx)
{
	return proxy_transaction_key(((struct dispatch *)arg)->config.proxy, ctx);
}

static int listener_of_proxy(void *arg, const struct net_endpoint *ep, enum sip_transport transport)
{
	return proxy_listener_find(((struct dispatch *)arg)->config.proxy, ep, transport);
}

static void *aligned_zero(size_t size)
{
	void *p = NULL;

	size = (size + 63) & ~(size_t)63;
	if (posix_memalign(&p, 64, size) != 0) {
		errno = ENOMEM;
		return NULL;
	}
	return memset(p, 0, size);
}

struct dispatch *dispatch_create(const struct dispatch_config *config)
{
	struct dispatch *d = aligned_zero(sizeof(*d));
	struct dispatch_view *view = calloc(1, sizeof(*view));

	if (d == NULL || view == NULL)
		goto fail;
	d->config = *config;
	d->source.statement = -1;
	pthread_mutex_init(&d->tables, NULL);
	d->now_ns = config->now_ns != NULL ? config->now_ns : clock_now_ns;
	if (config->transaction_key == NULL || config->find_listener == NULL) {
		d->config.transaction_key = key_of_proxy;
		d->config.find_listener = listener_of_proxy;
		d->config.arg = d;
	}
	d->pins = pin_create(config->pins);
	/* Pages that no worker touches are never there. */
	d->worker = calloc(DISPATCH_WORKERS_MAX + 1, sizeof(*d->worker));
	if (d->pins == NULL || d->worker == NULL)
		goto fail;
	d->worker_memory = d->worker;
	d->worker = (struct dispatch_worker *)(((uintptr_t)d->worker + 63) & ~(uintptr_t)63);
	view->d = d;
	atomic_store_explicit(&d->view, view, memory_order_release);
	return d;
fail:
	if (d != NULL) {
		pin_destroy(d->pins);
		free(d->worker);
	}
	free(view);
	free(d);
	errno = ENOMEM;
	return NULL;
}

void dispatch_destroy(struct dispatch *d)
{
	if (d == NULL)
		return;
	/* Views that were retired lead back here when they are freed; readers that are gone have
	 * not passed them all. */
	rcu_fini(d->config.rcu);
	dispatch_generation_fini(d);
	rcu_fini(d->config.rcu);
	for (unsigned i = 1; i < DISPATCH_IDS; i++)
		free(d->identity[i].target);
	dispatch_specs_free(&d->listed);
	pin_destroy(d->pins);
	free(d->worker_memory);
	free(d);
}

static uint64_t selected(const struct dispatch *d, uint16_t id)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < DISPATCH_WORKERS_MAX; i++)
		sum += atomic_load_explicit(&d->worker[i].selected[id], memory_order_relaxed);
	return sum - d->identity[id].selected_base;
}

/* Who may be a retransmission still goes there, and is remembered for as long as an INVITE. */
static uint64_t until(const struct dispatch_identity *identity, uint8_t state)
{
	uint64_t out = atomic_load_explicit(&identity->out_ns, memory_order_relaxed);

	return state == DISPATCH_ENABLED || out == 0
		       ? 0
		       : out + PIN_RETRANSMIT_NS + PIN_INVITE_NS + PIN_SLACK_NS;
}

void dispatch_list(
	struct dispatch *d, void (*visit)(void *arg, const struct dispatch_info *info), void *arg)
{
	const struct dispatch_view *view = atomic_load_explicit(&d->view, memory_order_acquire);

	for (unsigned i = 0; i < view->chains; i++) {
		const struct dispatch_set *s = view->chain[i].version[view->chain[i].count - 1];

		for (unsigned j = 0; j < s->members; j++) {
			const struct dispatch_member *m = &s->member[j];
			const struct dispatch_identity *identity = &d->identity[m->id];
			const struct dispatch_target *t = identity->target;
			struct dispatch_info info = {.set = s->set,
				.id = m->id,
				.uri = t->uri,
				.ep = t->ep,
				.weight = m->weight,
				.priority = m->priority > 0 ? (uint32_t)m->priority : 0,
				.state = dispatch_state_name(m->state),
				.by_hand = atomic_load_explicit(
					&identity->by_hand, memory_order_relaxed),
				.since_ns = atomic_load_explicit(
					&identity->since_ns, memory_order_relaxed),
				.until_ns = until(identity, m->state),
				.pins = pin_count_of(d->pins, m->id),
				.health = dispatch_is_up(d, m->id) ? "up" : "down",
				.selected = selected(d, m->id),
				.unreachable = atomic_load_explicit(
					&identity->unreachable, memory_order_relaxed)};

			visit(arg, &info);
		}
	}
}

unsigned dispatch_running(struct dispatch *d, uint32_t set, struct str uri,
	struct net_endpoint out[RESOLVE_ADDRESSES_MAX])
{
	const struct dispatch_view *view;
	unsigned n = 0;

	/* Nothing that stands in the view is freed without the lock. */
	pthread_mutex_lock(&d->tables);
	view = atomic_load_explicit(&d->view, memory_order_acquire);
	for (unsigned i = 0; i < view->chains; i++) {
		const struct dispatch_set *s = view->chain[i].version[view->chain[i].count - 1];

		for (unsigned j = 0; s->set == set && j < s->members; j++) {
			const struct dispatch_target *t = d->identity[s->member[j].id].target;

			if (n < RESOLVE_ADDRESSES_MAX && str_eq(str_of(t->uri, t->uri_len), uri))
				out[n++] = t->ep;
		}
	}
	pthread_mutex_unlock(&d->tables);
	return n;
}

void dispatch_use_db(struct dispatch *d, struct db *db, bool reads)
{
	d->db = db;
	d->reads = reads;
}

bool dispatch_list_from_table(const struct dispatch *d)
{
	return d->source.statement >= 0;
}

bool dispatch_list_current(const struct dispatch *d)
{
	return !d->source.old;
}

bool dispatch_list_due(struct dispatch *d, uint64_t now_ns)
{
	uint64_t after = d->source.retry_after;

	if (!d->source.old || (after != 0 && now_ns < d->source.retry_at))
		return false;
	/* The first time it has just been tried. */
	d->source.retry_at = now_ns + (after != 0 ? after : DISPATCH_RETRY_MIN_NS);
	d->source.retry_after = after == 0                          ? DISPATCH_RETRY_MIN_NS
				: 2 * after < DISPATCH_RETRY_MAX_NS ? 2 * after
								    : DISPATCH_RETRY_MAX_NS;
	return after != 0;
}

void dispatch_resolve_by(struct dispatch *d, struct resolver *resolver)
{
	d->load_resolver = resolver;
}

void dispatch_tick(struct dispatch *d, uint64_t now_ns)
{
	if (pthread_mutex_trylock(&d->tables) == 0) {
		dispatch_generation_tick(d, now_ns);
		dispatch_identity_release(d, now_ns);
		pthread_mutex_unlock(&d->tables);
	}
	pin_sweep(d->pins, now_ns);
}

uint64_t dispatch_counter(const struct dispatch *d, enum dispatch_counter counter)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < DISPATCH_WORKERS_MAX; i++)
		sum += atomic_load_explicit(&d->worker[i].count[counter], memory_order_relaxed);
	return sum;
}

const char *dispatch_counter_name(enum dispatch_counter counter)
{
	static const char *const name[] = {
#define DISPATCH_COUNTER(id, text) [DISPATCH_COUNTER_##id] = text,
		DISPATCH_COUNTERS(DISPATCH_COUNTER)
#undef DISPATCH_COUNTER
	};

	return (unsigned)counter < DISPATCH_COUNTER_COUNT ? name[counter] : "";
}

uint64_t dispatch_pins(const struct dispatch *d)
{
	return pin_count(d->pins, d->now_ns());
}

static size_t set_bytes(const struct dispatch_set *s)
{
	size_t n = sizeof(*s) + s->members * sizeof(*s->member) + s->count * sizeof(*s->order);

	if (s->maglev != NULL)
		n += sizeof(*s->maglev) + s->maglev->size * sizeof(s->maglev->slot[0]);
	if (s->cycle != NULL)
		n += sizeof(*s->cycle) + s->cycle->len * sizeof(s->cycle->id[0]);
	if (s->rcycle != NULL && s->rcycle != s->cycle)
		n += sizeof(*s->rcycle) + s->rcycle->len * sizeof(s->rcycle->id[0]);
	return n;
}

size_t dispatch_bytes(const struct dispatch *d)
{
	const struct dispatch_view *view = atomic_load_explicit(&d->view, memory_order_acquire);
	size_t n = sizeof(*d) + sizeof(*view) + pin_bytes(d->pins) +
		   d->listed.count * sizeof(d->listed.spec[0]);

	for (unsigned i = 0; i < view->chains; i++)
		for (unsigned j = 0; j < view->chain[i].count; j++)
			n += set_bytes(view->chain[i].version[j]);
	if (view->addresses != NULL)
		n += sizeof(*view->addresses) +
		     view->addresses->count * sizeof(view->addresses->at[0]);
	for (unsigned i = 1; i < DISPATCH_IDS; i++)
		n += d->identity[i].target != NULL ? sizeof(*d->identity[i].target) : 0;
	return n;
}

/* ---- who is asked for by address ---- */

/* As memcmp() of the bytes has it. */
static inline int compare_addr(const struct net_addr *a, const struct net_addr *b)
{
	for (unsigned i = 0; i < 2; i++)
		if (a->q[i] != b->q[i])
			return be64toh(a->q[i]) < be64toh(b->q[i]) ? -1 : 1;
	return (int)a->family - (int)b->family;
}

static inline bool address_below(
	const struct dispatch_address *a, const struct net_addr *addr, uint16_t port)
{
	int order = compare_addr(&a->addr, addr);

	return order != 0 ? order < 0 : a->port < port;
}

static unsigned lower_bound(
	const struct dispatch_addresses *a, const struct net_addr *addr, uint16_t port)
{
	unsigned low = 0, high = a->count;

	while (low < high) {
		unsigned middle = (low + high) / 2;

		if (address_below(&a->at[middle], addr, port))
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool address_matches(
	const struct dispatch *d, const struct dispatch_address *a, const struct dispatch_query *q)
{
	if (!q->any_set && a->set != q->set)
		return false;
	if (q->active && (a->disabled || !dispatch_is_up(d, a->id)))
		return false;
	if (q->socket != NULL) {
		const struct dispatch_target *t = dispatch_target_at(d, a->id);

		if (t != NULL && t->socket_transport != SIP_TRANSPORT_NONE &&
			!net_endpoint_equal(&t->socket, q->socket))
			return false;
	}
	return true;
}

/* From place `i` on those of the address with this port; any: with whatever port. */
static bool scan(const struct dispatch *d, const struct dispatch_addresses *a, unsigned i,
	const struct dispatch_query *q, uint16_t port, bool any)
{
	for (; i < a->count; i++) {
		if (!net_addr_equal(&a->at[i].addr, &q->ep.addr) || (!any && a->at[i].port != port))
			return false;
		if (address_matches(d, &a->at[i], q))
			return true;
	}
	return false;
}

bool dispatch_find(const struct dispatch *d, const struct dispatch_query *q)
{
	const struct dispatch_view *view = atomic_load_explicit(&d->view, memory_order_acquire);
	const struct dispatch_addresses *a = view->addresses;
	unsigned i;

	if (a == NULL)
		return false;
	i = lower_bound(a, &q->ep.addr, 0);
	if (i == a->count || !net_addr_equal(&a->at[i].addr, &q->ep.addr))
		return false;
	if (!q->with_port)
		return scan(d, a, i, q, 0, true);
	/* Port 0 in the table: the list gave none. */
	if (scan(d, a, i, q, 0, false))
		return true;
	/* Most addresses have one port. */
	if (a->at[i].port < q->ep.port)
		i = lower_bound(a, &q->ep.addr, q->ep.port);
	return scan(d, a, i, q, q->ep.port, false);
}

bool dispatch_is_destination(
	const struct dispatch *d, uint32_t set, const struct net_endpoint *ep, bool with_port)
{
	struct dispatch_query q = {
		.set = set, .any_set = set == 0, .ep = *ep, .with_port = with_port};

	return dispatch_find(d, &q);
}

void dispatch_unreachable(struct dispatch *d, const struct net_endpoint *ep)
{
	const struct dispatch_view *view = atomic_load_explicit(&d->view, memory_order_acquire);
	const struct dispatch_addresses *a = view->addresses;

	for (unsigned i = a != NULL ? lower_bound(a, &ep->addr, 0) : 0;
		a != NULL && i < a->count && net_addr_equal(&a->at[i].addr, &ep->addr); i++)
		if (d->identity[a->at[i].id].target != NULL &&
			d->identity[a->at[i].id].target->ep.port == ep->port)
			atomic_fetch_add_explicit(
				&d->identity[a->at[i].id].unreachable, 1, memory_order_relaxed);
}
