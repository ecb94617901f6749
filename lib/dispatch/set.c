/* SPDX-License-Identifier: BSD-3-Clause */
/* One version of a set: built from the list's lines, immutable, shared by the views that hold it.
 */
#include <errno.h>
#include <stdlib.h>

#include "dispatch/internal.h"

#define IDENTITY_TEXT_MAX (DISPATCH_URI_MAX + DISPATCH_SOCKET_MAX + NET_ENDPOINT_TEXT_MAX + 4)

static const struct hash_key digest_key = {{0x7369706c616e6520ULL, 0x6469676573742020ULL}};

/*
 * The stable name that a table's permutation is made of: duid, else URI and socket; and the address
 * where DNS gave several. Not the id, which differs from node to node.
 */
static uint32_t stable_name(const struct dispatch_spec *spec, char *out)
{
	uint32_t n = 0;
	struct str uri = str_c(spec->uri), duid = str_c(spec->duid), socket = str_c(spec->socket);

	if (duid.len > 0) {
		memcpy(out, duid.s, duid.len);
		n = duid.len;
	} else {
		memcpy(out, uri.s, uri.len);
		n = uri.len;
		if (socket.len > 0) {
			out[n++] = ' ';
			memcpy(out + n, socket.s, socket.len);
			n += socket.len;
		}
	}
	if (spec->by_name) {
		out[n++] = ' ';
		n += net_endpoint_format(&spec->ep, out + n);
	}
	return n;
}

struct hash128 dispatch_stable_hash(const struct dispatch_spec *spec)
{
	char name[IDENTITY_TEXT_MAX];
	struct hash h;

	hash_init128(&h, &digest_key);
	hash_u32(&h, spec->set);
	hash_str(&h, str_of(name, stable_name(spec, name)));
	return hash_final128(&h);
}

struct hash128 dispatch_set_digest(uint32_t set, const struct dispatch_spec *const *spec,
	unsigned n, const struct dispatch_options *options)
{
	struct hash h;

	hash_init128(&h, &digest_key);
	hash_u32(&h, set);
	hash_u64(&h, options->salt);
	hash_u32(&h, options->use_default);
	for (unsigned i = 0; i < n; i++) {
		struct hash128 identity = dispatch_identity_of(spec[i]);

		hash_u64(&h, identity.lo);
		hash_u64(&h, identity.hi);
		hash_u32(&h, spec[i]->weight);
		hash_u32(&h, spec[i]->rweight);
		hash_u32(&h, spec[i]->state);
		hash_u64(&h, (uint64_t)spec[i]->priority);
	}
	return hash_final128(&h);
}

static void free_set(struct dispatch_set *s)
{
	free(s->member);
	free(s->order);
	free(s->maglev);
	if (s->rcycle != s->cycle)
		free(s->rcycle);
	free(s->cycle);
	free(s);
}

void dispatch_set_unref(struct dispatch *d, struct dispatch_set *set, uint64_t now_ns)
{
	if (set == NULL || --set->refs > 0)
		return;
	for (unsigned i = 0; i < set->members; i++)
		if (set->member[i].id != 0)
			dispatch_identity_put(d, set->member[i].id, now_ns);
	free_set(set);
}

struct ranked {
	const struct dispatch_spec *spec;
	unsigned rank;
};

static int by_priority(const void *a, const void *b)
{
	const struct ranked *x = a, *y = b;

	if (x->spec->priority != y->spec->priority)
		return x->spec->priority > y->spec->priority ? -1 : 1;
	return x->rank < y->rank ? -1 : x->rank > y->rank;
}

/* Fills member[] and what of it may be chosen: order[], fallback, and the targets of the tables. 0
 * or -errno. */
static int fill(struct dispatch *d, struct dispatch_set *s, struct ranked *ranked, unsigned n,
	bool use_default, struct maglev_target *target, char (*name)[IDENTITY_TEXT_MAX])
{
	qsort(ranked, n, sizeof(*ranked), by_priority);
	for (unsigned i = 0; i < n; i++) {
		const struct dispatch_spec *spec = ranked[i].spec;

		s->member[i] = (struct dispatch_member){dispatch_identity_take(d, spec),
			spec->state, spec->weight, spec->rweight, spec->priority};
		if (s->member[i].id == 0)
			return -errno;
		s->members = i + 1;
	}
	for (unsigned i = 0; i < n; i++) {
		if (s->member[i].state != DISPATCH_ENABLED)
			continue;
		/* use_default: the last one is for when nothing else is there. Where that is not
		 * enabled nobody stands in for it. */
		if (use_default && i == n - 1 && s->count > 0) {
			s->fallback = s->member[i].id;
			continue;
		}
		target[s->count] = (struct maglev_target){
			str_of(name[s->count], stable_name(ranked[i].spec, name[s->count])),
			s->member[i].weight, s->member[i].id};
		s->order[s->count++] = s->member[i].id;
	}
	return 0;
}

static uint32_t rweight_of(const struct dispatch_set *s, uint16_t id)
{
	for (unsigned i = 0; i < s->members; i++)
		if (s->member[i].id == id)
			return s->member[i].rweight;
	return 0;
}

/* Weights that are all 0 say nothing about shares: then all are equal. */
static void equalize(struct maglev_target *target, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (target[i].weight != 0)
			return;
	for (unsigned i = 0; i < n; i++)
		target[i].weight = 1;
}

static int build_tables(struct dispatch_set *s, struct maglev_target *target)
{
	bool same = true;

	if (s->count == 0)
		return 0;
	equalize(target, s->count);
	s->cycle = dispatch_cycle_build(target, s->count);
	/* Sorts the targets by name: cycles are in the list's order, so this comes after. */
	s->maglev = maglev_build(target, s->count);
	if (s->cycle == NULL || s->maglev == NULL)
		return -ENOMEM;
	for (unsigned i = 0; i < s->members; i++)
		same = same && s->member[i].weight == s->member[i].rweight;
	if (same) {
		s->rcycle = s->cycle;
		return 0;
	}
	for (unsigned i = 0; i < s->count; i++) {
		target[i].id = s->order[i];
		target[i].weight = rweight_of(s, s->order[i]);
	}
	equalize(target, s->count);
	s->rcycle = dispatch_cycle_build(target, s->count);
	return s->rcycle != NULL ? 0 : -ENOMEM;
}

struct dispatch_set *dispatch_set_build(struct dispatch *d, uint32_t set,
	const struct dispatch_spec *const *spec, unsigned n, const struct dispatch_options *options)
{
	struct dispatch_set *s = calloc(1, sizeof(*s));
	struct ranked *ranked = calloc((size_t)n + 1, sizeof(*ranked));
	struct maglev_target *target = calloc((size_t)n + 1, sizeof(*target));
	char(*name)[IDENTITY_TEXT_MAX] = calloc((size_t)n + 1, sizeof(*name));
	int err = -ENOMEM;

	if (s == NULL || ranked == NULL || target == NULL || name == NULL)
		goto out;
	s->set = set;
	s->refs = 1;
	s->salt = options->salt;
	s->digest = dispatch_set_digest(set, spec, n, options);
	s->member = calloc((size_t)n + 1, sizeof(*s->member));
	s->order = calloc((size_t)n + 1, sizeof(*s->order));
	if (s->member == NULL || s->order == NULL)
		goto out;
	for (unsigned i = 0; i < n; i++)
		ranked[i] = (struct ranked){spec[i], i};
	err = fill(d, s, ranked, n, options->use_default, target, name);
	if (err == 0)
		err = build_tables(s, target);
out:
	free(ranked);
	free(target);
	free(name);
	if (err != 0 && s != NULL) {
		/* Ids taken so far were in no view: they may go at once. */
		for (unsigned i = 0; i < s->members; i++)
			dispatch_identity_put(d, s->member[i].id, 0);
		free_set(s);
		s = NULL;
	}
	if (err != 0)
		errno = -err;
	return s;
}
