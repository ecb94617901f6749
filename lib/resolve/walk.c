/* SPDX-License-Identifier: BSD-3-Clause */
/* From a service or a name to addresses: SRV, A and AAAA (RFC 3263 4.2). */
#include "resolve/internal.h"

#include <errno.h>
#include <netdb.h>
#include <stdlib.h>

/* The argument of one question for addresses. */
struct lookup {
	struct walk *walk;
	uint8_t target, family;
};

static const struct {
	int type, af;
	uint8_t family;
} families[2] = {{DNS_A, AF_INET, 4}, {DNS_AAAA, AF_INET6, 6}};

/* ---- what was found ---- */

static const struct net_addr *first_address(const struct target *t)
{
	return &t->address[t->count[0] == 0][0];
}

/* RFC 3263 4.4: priority, then weight, then the first address and the port: the same on every
 * thread and node. */
static int compare_targets(const void *x, const void *y)
{
	const struct target *a = *(const struct target *const *)x,
			    *b = *(const struct target *const *)y;
	int order;

	if (a->srv.priority != b->srv.priority)
		return a->srv.priority < b->srv.priority ? -1 : 1;
	if (a->srv.weight != b->srv.weight)
		return a->srv.weight > b->srv.weight ? -1 : 1;
	order = net_addr_compare(first_address(a), first_address(b));
	if (order != 0)
		return order;
	if (a->srv.port != b->srv.port)
		return a->srv.port < b->srv.port ? -1 : 1;
	return strcmp(a->srv.target.s, b->srv.target.s);
}

static bool holds(const struct resolve_addresses *a, const struct net_endpoint *ep)
{
	for (unsigned i = 0; i < a->count; i++)
		if (net_endpoint_equal(&a->ep[i], ep))
			return true;
	return false;
}

static void collect_address(const struct target *t, const struct net_addr *address, uint8_t tier,
	uint8_t number, struct resolve_addresses *out)
{
	struct net_endpoint ep = {.addr = *address, .port = t->srv.port};

	if (holds(out, &ep))
		return;
	/* Another target of this rank stands before it. */
	out->shared |= out->count != 0 && out->tier[out->count - 1] == tier &&
		       out->target[out->count - 1] != number;
	out->tier[out->count] = tier;
	out->target[out->count] = number;
	out->weight[out->count] = t->srv.weight;
	out->ep[out->count++] = ep;
}

/* `room` of a target's addresses, IPv4 first; neither family takes all where there are both. */
static void collect_target(const struct target *t, unsigned room, uint8_t tier, uint8_t number,
	struct resolve_addresses *out)
{
	unsigned n4 = room > t->count[1] ? room - t->count[1] : 0, n6;

	if (n4 < (room + 1) / 2)
		n4 = (room + 1) / 2;
	n4 = n4 < t->count[0] ? n4 : t->count[0];
	n6 = room - n4 < t->count[1] ? room - n4 : t->count[1];
	for (unsigned i = 0; i < n4; i++)
		collect_address(t, &t->address[0][i], tier, number, out);
	for (unsigned i = 0; i < n6; i++)
		collect_address(t, &t->address[1][i], tier, number, out);
}

/* Each target gets one place, then each a second one, and so on: none takes those of the others. */
static bool share_places(
	const struct target *const *t, unsigned n, uint8_t places[RESOLVE_ADDRESSES_MAX])
{
	unsigned left = RESOLVE_ADDRESSES_MAX, wanted = 0;

	memset(places, 0, RESOLVE_ADDRESSES_MAX);
	for (unsigned i = 0; i < n; i++)
		wanted += t[i]->count[0] + t[i]->count[1];
	for (unsigned round = 0; left > 0 && round < RESOLVE_ADDRESSES_MAX; round++)
		for (unsigned i = 0; i < n && left > 0; i++)
			if (t[i]->count[0] + t[i]->count[1] > round) {
				places[i]++;
				left--;
			}
	return wanted > RESOLVE_ADDRESSES_MAX;
}

void walk_collect(const struct walk *w, struct resolve_addresses *out, bool *cut)
{
	const struct target *t[RESOLVE_ADDRESSES_MAX];
	uint8_t places[RESOLVE_ADDRESSES_MAX], tier = 0;
	unsigned n = 0;

	memset(out, 0, sizeof(*out));
	for (unsigned i = 0; i < w->targets; i++)
		if (w->target[i].count[0] + w->target[i].count[1] != 0)
			t[n++] = &w->target[i];
	qsort(t, n, sizeof(t[0]), compare_targets);
	*cut = share_places(t, n, places) || w->extent.cut;
	for (unsigned i = 0; i < n; i++) {
		tier += i != 0 && t[i]->srv.priority != t[i - 1]->srv.priority;
		collect_target(t[i], places[i], tier, (uint8_t)i, out);
	}
}

/* ---- the walk ---- */

bool walk_is_definite(int status)
{
	return status == ARES_ENODATA || status == ARES_ENOTFOUND;
}

static void fail(struct walk *w, int status)
{
	if (!walk_is_definite(status)) {
		w->transient = true;
		w->status = status;
	} else if (!w->transient) {
		w->status = status;
	}
}

static void walk_free(struct walk *w)
{
	free(w->target);
	free(w->lookup);
	free(w);
}

static void release(struct walk *w)
{
	struct query *q = w->query;

	if (--w->pending != 0)
		return;
	w->done = true;
	if (q == NULL)
		walk_free(w);
	else
		query_advance(q);
}

void walk_leave(struct walk *w)
{
	w->query = NULL;
	if (w->pending == 0)
		walk_free(w);
}

static void add_address(struct walk *w, struct target *t, unsigned family, unsigned count)
{
	t->count[family] = count;
	if (count != 0 && w->usable_since == 0)
		w->usable_since = w->resolver->now;
}

static void address_done(void *arg, int status, int timeouts, unsigned char *msg, int len)
{
	struct lookup *l = arg;
	struct walk *w = l->walk;
	struct target *t = &w->target[l->target];
	int count = 0;

	resolver_answered(w->resolver);
	if (status == ARES_SUCCESS)
		count = answer_addresses(msg, (uint32_t)len, &t->srv.target,
			families[l->family].family, t->address[l->family], RESOLVE_ADDRESSES_MAX,
			&w->extent);
	if (count > 0)
		add_address(w, t, l->family, (unsigned)count);
	else
		fail(w, count < 0 ? ARES_EBADRESP : status == ARES_SUCCESS ? ARES_ENODATA : status);
	release(w);
}

/* /etc/hosts and its like, where the system's own configuration is used. */
static unsigned read_hosts_file(struct resolver *r, const struct host_name *name, unsigned family,
	struct net_addr out[RESOLVE_ADDRESSES_MAX])
{
	struct hostent *host = NULL;
	unsigned n = 0;

	if (ares_gethostbyname_file(r->channel, name->s, families[family].af, &host) !=
		ARES_SUCCESS)
		return 0;
	for (char **p = host->h_addr_list; *p != NULL && n < RESOLVE_ADDRESSES_MAX; p++) {
		uint32_t v4;

		memcpy(&v4, *p, 4);
		out[n++] = families[family].family == 4 ? net_addr_v4(v4)
							: net_addr_v6((const uint8_t *)*p);
	}
	ares_free_hostent(host);
	return n;
}

bool walk_hosts_file_has(struct resolver *r, const struct host_name *name)
{
	struct net_addr ignored[RESOLVE_ADDRESSES_MAX];

	return r->hosts_file && (read_hosts_file(r, name, 0, ignored) != 0 ||
					read_hosts_file(r, name, 1, ignored) != 0);
}

static bool hosts_file_tells(struct walk *w, struct target *t)
{
	if (!w->resolver->hosts_file)
		return false;
	/* The file is read for each name that a stranger makes up: not for one that it has not. */
	if (w->query != NULL && w->query->not_in_hosts &&
		strcmp(t->srv.target.s, w->query->entry->name.s) == 0)
		return false;
	for (unsigned i = 0; i < 2; i++)
		add_address(
			w, t, i, read_hosts_file(w->resolver, &t->srv.target, i, t->address[i]));
	if (t->count[0] + t->count[1] == 0)
		return false;
	if (w->extent.ttl > HOSTS_FILE_TTL_S)
		w->extent.ttl = HOSTS_FILE_TTL_S;
	return true;
}

/* A query that was given up asks nothing more. */
static bool is_known(const struct walk *w)
{
	return w->query != NULL && w->query->known;
}

/* As compare_targets(), before any address is known. */
static int compare_services(const void *x, const void *y)
{
	const struct answer_srv *a = x, *b = y;
	int order;

	if (a->priority != b->priority)
		return a->priority < b->priority ? -1 : 1;
	if (a->weight != b->weight)
		return a->weight > b->weight ? -1 : 1;
	order = strcmp(a->target.s, b->target.s);
	return order != 0 ? order : (int)a->port - (int)b->port;
}

/* Of a name that nobody knows yet only the first targets are asked for: 96 such names could have
 * all questions that there may be. Its refresh asks for all. */
static unsigned bound_targets(struct walk *w, struct answer_srv *srv, unsigned n)
{
	if (n <= TARGETS_STRANGERS || is_known(w) || w->resolver->questions < QUESTIONS_CALM)
		return n;
	qsort(srv, n, sizeof(srv[0]), compare_services);
	w->extent.cut = true;
	return TARGETS_STRANGERS;
}

/* RFC 3263 4.2: A and AAAA of every target at once. */
static void look_up_addresses(struct walk *w, const struct answer_srv *srv, unsigned n)
{
	w->target = calloc(n, sizeof(*w->target));
	w->lookup = calloc(2 * n, sizeof(*w->lookup));
	if (w->target == NULL || w->lookup == NULL) {
		fail(w, ARES_ENOMEM);
		return;
	}
	w->targets = n;
	for (unsigned t = 0; t < n; t++)
		w->target[t].srv = srv[t];
	for (unsigned t = 0; t < n; t++) {
		if (hosts_file_tells(w, &w->target[t]))
			continue;
		for (unsigned i = 0; i < 2; i++) {
			struct lookup *l = &w->lookup[2 * t + i];

			*l = (struct lookup){w, (uint8_t)t, (uint8_t)i};
			w->pending++;
			resolver_question(w->resolver, is_known(w), RESOLVE_COUNTER_ADDRESS,
				w->target[t].srv.target.s, families[i].type, address_done, l);
		}
	}
}

static void look_up_itself(struct walk *w)
{
	look_up_addresses(w, &(struct answer_srv){.target = w->name}, 1);
}

static void ask_service(struct walk *w);

static void service_done(void *arg, int status, int timeouts, unsigned char *msg, int len)
{
	struct answer_srv srv[RESOLVE_ADDRESSES_MAX];
	struct walk *w = arg;
	int count = 0, targets = 0;

	resolver_answered(w->resolver);
	if (status == ARES_SUCCESS)
		count = answer_services(msg, (uint32_t)len, &w->service[w->asked - 1], srv,
			RESOLVE_ADDRESSES_MAX, &w->extent);
	if (count < 0)
		status = ARES_EBADRESP;
	for (int i = 0; i < count; i++)
		if (srv[i].target.len != 0)
			srv[targets++] = srv[i];

	if (w->query == NULL) {
		/* Nothing is started any more. */
	} else if (targets != 0) {
		look_up_addresses(w, srv, bound_targets(w, srv, (unsigned)targets));
	} else if (status != ARES_SUCCESS && !walk_is_definite(status)) {
		/* Whether there are any is not known: guessing would part the nodes of a group. */
		fail(w, status);
	} else if (w->asked < w->services) {
		ask_service(w);
	} else if (count > 0) {
		/* RFC 2782: "." alone, the service is decidedly not offered. */
		fail(w, ARES_ENODATA);
	} else {
		/* RFC 3263 4.2: no SRV records, so the addresses of the domain. */
		w->extent.ttl = w->ttl_before;
		look_up_itself(w);
	}
	release(w);
}

/* The next place where SRV records may be. */
static void ask_service(struct walk *w)
{
	w->pending++;
	w->asked++;
	resolver_question(w->resolver, is_known(w), RESOLVE_COUNTER_SRV, w->service[w->asked - 1].s,
		DNS_SRV, service_done, w);
}

int walk_start(struct query *q)
{
	struct walk *w = calloc(1, sizeof(*w));

	if (w == NULL)
		return -ENOMEM;
	w->resolver = q->resolver;
	w->query = q;
	w->name = q->entry->name;
	memcpy(w->service, q->service, q->services * sizeof(q->service[0]));
	w->services = q->services;
	w->extent = q->extent;
	w->ttl_before = q->extent.ttl;
	w->status = ARES_ENODATA;
	w->pending = 1;
	/* Where it ends at once, the query has to know it. */
	q->walk = w;
	if (w->services != 0)
		ask_service(w);
	else
		look_up_itself(w);
	release(w);
	return 0;
}
