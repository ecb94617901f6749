/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What scripts load, for those who change it. A place belongs to the loads that have it until its
 * script is published, and is in the list from then on; one of a configuration that was refused is
 * free again, and nobody but the loader has looked at it.
 */
#include "avpops/internal.h"

struct avpops_sites *avpops_sites_create(void)
{
	struct avpops_sites *sites = calloc(1, sizeof(*sites));

	if (sites != NULL)
		atomic_store_explicit(&sites->users, 1, memory_order_relaxed);
	return sites;
}

void avpops_sites_leave(struct avpops_sites *sites)
{
	if (atomic_fetch_sub_explicit(&sites->users, 1, memory_order_acq_rel) != 1)
		return;
	for (unsigned i = 0; i < AVPOPS_SITES_MAX; i++)
		free(sites->site[i].attribute);
	free(sites);
}

static bool is_free(const struct avpops_site *site)
{
	return !atomic_load_explicit(&site->published, memory_order_acquire) &&
	       atomic_load_explicit(&site->loads, memory_order_acquire) == 0;
}

static bool is_same(const struct avpops_site *site, const struct avpops_question *q)
{
	return site->statement == q->statement &&
	       (site->attribute != NULL ? str_eq(str_c(site->attribute), q->attribute)
					: q->attribute.len == 0);
}

/* The one that asks the same, or else one that is free; NULL: there is none. */
static struct avpops_site *place_of(struct avpops_sites *sites, const struct avpops_question *q)
{
	struct avpops_site *place = NULL;

	for (unsigned i = AVPOPS_SITES_MAX; i-- > 0;) {
		struct avpops_site *site = &sites->site[i];

		if (is_free(site))
			place = site;
		else if (is_same(site, q))
			return site;
	}
	return place;
}

struct avpops_site *avpops_site_take(struct avpops_sites *sites, const struct avpops_question *q)
{
	struct avpops_site *site = place_of(sites, q);
	char *attribute = NULL;

	if (site == NULL) {
		errno = ENOSPC;
		return NULL;
	}
	if (is_free(site)) {
		if (q->attribute.len != 0) {
			attribute = strndup(q->attribute.s, q->attribute.len);
			if (attribute == NULL)
				return NULL;
		}
		free(site->attribute);
		site->attribute = attribute;
		site->statement = q->statement;
		site->keys = q->keys;
		site->database = q->database;
		str_copy(site->table, q->table);
		site->table[q->table.len] = '\0';
	}
	atomic_fetch_add_explicit(&sites->users, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&site->loads, 1, memory_order_relaxed);
	return site;
}

void avpops_site_give(struct avpops_sites *sites, struct avpops_site *site)
{
	atomic_fetch_sub_explicit(&site->loads, 1, memory_order_acq_rel);
	avpops_sites_leave(sites);
}

void avpops_sites_publish(struct avpops_sites *sites)
{
	for (unsigned i = 0; i < AVPOPS_SITES_MAX; i++) {
		struct avpops_site *site = &sites->site[i];

		if (atomic_load_explicit(&site->loads, memory_order_acquire) == 0)
			continue;
		atomic_store_explicit(&site->published, true, memory_order_release);
		if (i >= atomic_load_explicit(&sites->count, memory_order_relaxed))
			atomic_store_explicit(&sites->count, i + 1, memory_order_release);
	}
}
