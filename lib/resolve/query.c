/* SPDX-License-Identifier: BSD-3-Clause */
#include "resolve/internal.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>

#define SERVICE "_sip._udp."
#define TTL_UNKNOWN UINT32_MAX

/* A host whose addresses are looked up: the name itself, or the target of an SRV record. */
struct target {
	struct answer_srv srv; /* priority, weight and port are 0 without SRV */
	unsigned count;
	struct net_addr address[RESOLVE_ADDRESSES_MAX];
};

/* The argument of one c-ares query. */
struct lookup {
	struct query *query;
	uint8_t target, family;
};

struct query {
	struct resolver *resolver;
	struct entry *entry;
	/* Where SRV records may be, in the order in which they are asked for: what NAPTR records
	 * say, then _sip._udp. and the name. */
	struct host_name service[RESOLVE_SERVICES_MAX + 1];
	unsigned services, asked;
	uint32_t naptr_ttl;
	unsigned pending; /* c-ares queries, and one while more are being started */
	uint32_t ttl;
	bool transient; /* a part of the answer is missing, for now */
	int status;     /* of the part that failed */
	unsigned targets;
	struct target target[RESOLVE_ADDRESSES_MAX];
	struct lookup lookup[RESOLVE_ADDRESSES_MAX][2];
};

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
	order = net_addr_compare(&a->address[0], &b->address[0]);
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

static void collect_target(
	const struct target *t, uint8_t tier, uint8_t number, struct resolve_addresses *out)
{
	for (unsigned i = 0; i < t->count && out->count < RESOLVE_ADDRESSES_MAX; i++) {
		struct net_endpoint ep = {.addr = t->address[i], .port = t->srv.port};

		if (holds(out, &ep))
			continue;
		/* Another target of this rank stands before it. */
		out->shared |= out->count != 0 && out->tier[out->count - 1] == tier &&
			       out->target[out->count - 1] != number;
		out->tier[out->count] = tier;
		out->target[out->count] = number;
		out->weight[out->count] = t->srv.weight;
		out->ep[out->count++] = ep;
	}
}

static void collect(const struct query *q, struct resolve_addresses *out)
{
	const struct target *t[RESOLVE_ADDRESSES_MAX];
	unsigned n = 0;
	uint8_t tier = 0;

	memset(out, 0, sizeof(*out));
	for (unsigned i = 0; i < q->targets; i++)
		if (q->target[i].count != 0)
			t[n++] = &q->target[i];
	qsort(t, n, sizeof(t[0]), compare_targets);
	for (unsigned i = 0; i < n; i++) {
		tier += i != 0 && t[i]->srv.priority != t[i - 1]->srv.priority;
		collect_target(t[i], tier, (uint8_t)i, out);
	}
}

static void finish(struct query *q)
{
	struct resolver *r = q->resolver;
	struct entry *e = q->entry;
	struct resolve_addresses found;
	enum outcome outcome;

	e->query = NULL;
	r->queries--;
	if (!r->closing) {
		collect(q, &found);
		outcome = found.count != 0 ? OUTCOME_FOUND : OUTCOME_NONE;
		if (q->transient) {
			/* Part of the answer: good for now, asked for again soon. */
			q->ttl = 0;
			if (found.count == 0)
				outcome = OUTCOME_TRANSIENT;
		}
		resolver_count(r, outcome == OUTCOME_FOUND  ? RESOLVE_COUNTER_FOUND
				  : outcome == OUTCOME_NONE ? RESOLVE_COUNTER_NONE
							    : RESOLVE_COUNTER_FAILED);
		resolver_complete(
			r, e, outcome, q->status, &found, q->ttl == TTL_UNKNOWN ? 0 : q->ttl);
	}
	free(q);
}

static void release(struct query *q)
{
	if (--q->pending == 0)
		finish(q);
}

/* The DNS has said that there is nothing; everything else is a failure to answer. */
static bool is_definite(int status)
{
	return status == ARES_ENODATA || status == ARES_ENOTFOUND;
}

static void fail(struct query *q, int status)
{
	if (!is_definite(status)) {
		q->transient = true;
		q->status = status;
	} else if (!q->transient) {
		q->status = status;
	}
}

/*
 * Adds what one family's answer holds to a target's addresses, lowest first: IPv4, as it happens.
 *
 */
static void add_addresses(
	struct target *t, const struct net_addr *found, unsigned count, uint8_t family)
{
	unsigned room = RESOLVE_ADDRESSES_MAX - t->count;

	/* IPv6 came first: IPv4 goes in front, and what exceeds the bound falls off behind. */
	if (family == 4) {
		unsigned keep = RESOLVE_ADDRESSES_MAX - count;

		keep = t->count < keep ? t->count : keep;
		memmove(t->address + count, t->address, keep * sizeof(t->address[0]));
		memcpy(t->address, found, count * sizeof(t->address[0]));
		t->count = count + keep;
		return;
	}
	count = count < room ? count : room;
	memcpy(t->address + t->count, found, count * sizeof(t->address[0]));
	t->count += count;
}

static void address_done(void *arg, int status, int timeouts, unsigned char *msg, int len)
{
	struct lookup *l = arg;
	struct query *q = l->query;
	struct target *t = &q->target[l->target];
	struct net_addr found[RESOLVE_ADDRESSES_MAX];
	int count = 0;

	if (status == ARES_SUCCESS)
		count = answer_addresses(msg, (uint32_t)len, &t->srv.target, l->family, found,
			RESOLVE_ADDRESSES_MAX, &q->ttl);
	if (count > 0)
		add_addresses(t, found, (unsigned)count, l->family);
	else
		fail(q, count < 0 ? ARES_EBADRESP : status == ARES_SUCCESS ? ARES_ENODATA : status);
	release(q);
}

/* /etc/hosts and its like, where the system's own configuration is used. */
static bool read_hosts_file(struct query *q, struct target *t)
{
	static const struct {
		int af;
		uint8_t family;
	} families[] = {{AF_INET, 4}, {AF_INET6, 6}};

	for (unsigned i = 0; i < 2; i++) {
		struct net_addr found[RESOLVE_ADDRESSES_MAX];
		struct hostent *host = NULL;
		unsigned n = 0;

		if (ares_gethostbyname_file(q->resolver->channel, t->srv.target.s, families[i].af,
			    &host) != ARES_SUCCESS)
			continue;
		for (char **p = host->h_addr_list; *p != NULL && n < RESOLVE_ADDRESSES_MAX; p++) {
			uint32_t v4;

			memcpy(&v4, *p, 4);
			found[n++] = families[i].family == 4 ? net_addr_v4(v4)
							     : net_addr_v6((const uint8_t *)*p);
		}
		ares_free_hostent(host);
		add_addresses(t, found, n, families[i].family);
	}
	if (t->count != 0 && q->ttl > HOSTS_FILE_TTL_S)
		q->ttl = HOSTS_FILE_TTL_S;
	return t->count != 0;
}

/* RFC 3263 4.2: A and AAAA of every target at once. */
static void look_up_addresses(struct query *q)
{
	static const struct {
		int type;
		uint8_t family;
	} types[2] = {{DNS_A, 4}, {DNS_AAAA, 6}};

	for (unsigned t = 0; t < q->targets; t++) {
		if (q->resolver->hosts_file && read_hosts_file(q, &q->target[t]))
			continue;
		for (unsigned i = 0; i < 2; i++) {
			struct lookup *l = &q->lookup[t][i];

			*l = (struct lookup){q, (uint8_t)t, types[i].family};
			q->pending++;
			resolver_count(q->resolver, RESOLVE_COUNTER_ADDRESS);
			ares_query(q->resolver->channel, q->target[t].srv.target.s, DNS_IN,
				types[i].type, address_done, l);
		}
	}
}

static void target_name_itself(struct query *q)
{
	q->targets = 1;
	q->target[0].srv = (struct answer_srv){.target = q->entry->name};
}

static void ask_service(struct query *q);

static void service_done(void *arg, int status, int timeouts, unsigned char *msg, int len)
{
	struct query *q = arg;
	struct answer_srv srv[RESOLVE_ADDRESSES_MAX];
	int count = 0;

	if (status == ARES_SUCCESS)
		count = answer_services(msg, (uint32_t)len, &q->service[q->asked - 1], srv,
			RESOLVE_ADDRESSES_MAX, &q->ttl);
	if (count < 0)
		status = ARES_EBADRESP;
	for (int i = 0; i < count; i++)
		if (srv[i].target.len != 0)
			q->target[q->targets++].srv = srv[i];

	if (q->resolver->closing) {
		/* Nothing is started any more. */
	} else if (q->targets != 0) {
		look_up_addresses(q);
	} else if (status != ARES_SUCCESS && !is_definite(status)) {
		/* Whether there are any is not known: guessing would part the nodes of a group. */
		fail(q, status);
	} else if (q->asked < q->services) {
		ask_service(q);
	} else if (count > 0) {
		/* RFC 2782: "." alone, the service is decidedly not offered. */
		fail(q, ARES_ENODATA);
	} else {
		/* RFC 3263 4.2: no SRV records, so the addresses of the domain. */
		q->ttl = q->naptr_ttl;
		target_name_itself(q);
		look_up_addresses(q);
	}
	release(q);
}

/* The next place where SRV records may be. */
static void ask_service(struct query *q)
{
	q->pending++;
	resolver_count(q->resolver, RESOLVE_COUNTER_SRV);
	q->asked++;
	ares_query(
		q->resolver->channel, q->service[q->asked - 1].s, DNS_IN, DNS_SRV, service_done, q);
}

/* What NAPTR records say goes before the service that stands there. */
static void add_services(struct query *q, const struct answer_naptr *naptr, unsigned n)
{
	struct host_name usual = q->service[0];

	q->services = 0;
	for (unsigned i = 0; i < n && naptr[i].order == naptr[0].order; i++)
		q->service[q->services++] = naptr[i].replacement;
	for (unsigned i = 0; i < q->services; i++)
		if (strcmp(q->service[i].s, usual.s) == 0)
			return;
	q->service[q->services++] = usual;
}

static void naptr_done(void *arg, int status, int timeouts, unsigned char *msg, int len)
{
	struct query *q = arg;
	struct answer_naptr naptr[RESOLVE_SERVICES_MAX];
	int n = 0;

	if (status == ARES_SUCCESS)
		n = answer_naptrs(
			msg, (uint32_t)len, &q->entry->name, naptr, RESOLVE_SERVICES_MAX, &q->ttl);
	if (n > 0)
		add_services(q, naptr, (unsigned)n);
	else if (n < 0 || (status != ARES_SUCCESS && !is_definite(status)))
		fail(q, n < 0 ? ARES_EBADRESP : status);
	q->naptr_ttl = q->ttl;
	if (!q->resolver->closing)
		ask_service(q);
	release(q);
}

/*
 * Whether there can be an SRV record: not for a name that leaves no room, nor for one that this
 * host itself defines.
 */
static bool has_service_name(struct query *q)
{
	char service[sizeof(SERVICE) + RESOLVE_NAME_MAX];
	int n = snprintf(service, sizeof(service), SERVICE "%s", q->entry->name.s);

	if (q->entry->kind == RESOLVE_ADDRESS ||
		!name_read(str_of(service, (size_t)n), &q->service[0]))
		return false;
	target_name_itself(q);
	if (q->resolver->hosts_file && read_hosts_file(q, &q->target[0])) {
		/* Read once more with the addresses. */
		q->target[0].count = 0;
		return false;
	}
	q->targets = 0;
	q->services = 1;
	return true;
}

int query_start(struct resolver *r, struct entry *e)
{
	struct query *q = calloc(1, sizeof(*q));

	if (q == NULL)
		return -ENOMEM;
	q->resolver = r;
	q->entry = e;
	q->ttl = TTL_UNKNOWN;
	q->naptr_ttl = TTL_UNKNOWN;
	q->pending = 1;
	q->status = ARES_ENODATA;
	e->query = q;
	r->queries++;
	resolver_count(r, RESOLVE_COUNTER_LOOKUPS);
	if (!has_service_name(q)) {
		target_name_itself(q);
		look_up_addresses(q);
	} else if (e->kind == RESOLVE_SIP && r->naptr) {
		q->pending++;
		resolver_count(r, RESOLVE_COUNTER_NAPTR);
		ares_query(r->channel, e->name.s, DNS_IN, DNS_NAPTR, naptr_done, q);
	} else {
		ask_service(q);
	}
	release(q);
	return 0;
}
