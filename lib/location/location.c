/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The table: its shards, and what finds an address-of-record.
 *
 * A contact all in takes one place of 176 bytes and 12.8 bytes of the index, as long as its texts
 * (address-of-record, Contact URI, Call-ID) have some 125 bytes together; a second one of the same
 * address-of-record needs a place of its own. Its user agent is a number. What is longer takes
 * further places, of which there is one more for each contact that there is room for.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "location/internal.h"

#define PLACES_EACH 2 /* for each contact, so that long ones find further places */
/* Shards are never filled evenly: one gets so many more than its share. */
#define UNEVEN_SHARE 16
#define UNEVEN_MIN 1024
#define TABLES_APART 0x9e3779b97f4a7c15ULL

static void destroy_shard(struct shard *s)
{
	if (s == NULL)
		return;
	if (s->place != NULL)
		munmap(s->place, s->bytes);
	digest_index_destroy(s->index);
	agents_destroy(s->agents);
	munmap(s, sizeof(*s));
}

static void *map(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

static struct shard *create_shard(uint32_t contacts, bool huge)
{
	struct shard *s = map(sizeof(*s));

	if (s == NULL)
		return NULL;
	s->contacts_max = contacts;
	s->places = contacts < PLACES_MAX / PLACES_EACH ? contacts * PLACES_EACH : PLACES_MAX;
	s->bytes = (size_t)s->places * sizeof(struct place);
	s->place = map(s->bytes);
	s->index = digest_index_create(contacts);
	s->agents = agents_create();
	if (s->place == NULL || s->index == NULL || s->agents == NULL) {
		destroy_shard(s);
		errno = ENOMEM;
		return NULL;
	}
	/* A wish: where the kernel does not grant it, lookups miss the TLB too. */
	if (huge)
		(void)madvise(s->place, s->bytes, MADV_HUGEPAGE);
	return s;
}

struct location *location_create(
	const struct location_config *config, char *error, size_t error_size)
{
	uint32_t each = config->contacts;
	struct hash_key secret;
	struct location *l;
	int err;

	if (config->shards == 0 || config->shards > LOCATION_SHARDS_MAX || config->contacts == 0 ||
		config->contacts > PLACES_MAX) {
		snprintf(error, error_size, "location: %u contacts in %u shards", config->contacts,
			config->shards);
		errno = EINVAL;
		return NULL;
	}
	if (config->shards > 1)
		each = each / config->shards + each / config->shards / UNEVEN_SHARE + UNEVEN_MIN;
	l = aligned_alloc(_Alignof(struct location), sizeof(*l));
	err = l == NULL ? -ENOMEM : hash_key_random(&secret);
	if (err != 0) {
		snprintf(error, error_size, "location: %s", strerror(-err));
		free(l);
		errno = -err;
		return NULL;
	}
	memset(l, 0, sizeof(*l));
	mac_key_set(&l->key, &secret);
	for (; l->shards < config->shards; l->shards++) {
		l->shard[l->shards] = create_shard(each, config->huge);
		if (l->shard[l->shards] == NULL) {
			snprintf(error, error_size,
				"location: no address space for %u contacts in %u shards",
				config->contacts, config->shards);
			location_destroy(l);
			errno = ENOMEM;
			return NULL;
		}
	}
	return l;
}

void location_destroy(struct location *l)
{
	if (l == NULL)
		return;
	for (unsigned i = 0; i < l->shards; i++)
		destroy_shard(l->shard[i]);
	free(l);
}

struct hash128 location_digest(const struct location *l, uint8_t table, struct str aor)
{
	struct hash128 digest = mac_text(&l->key, aor);

	/* All tables have an address-of-record in the same shard. */
	digest.lo += table * TABLES_APART;
	return digest;
}

unsigned location_shard(const struct location *l, struct hash128 digest)
{
	return (unsigned)((digest.hi >> 32) * l->shards >> 32);
}

static uint64_t load(const _Atomic uint64_t *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}

void location_stats(const struct location *l, struct location_stats *out)
{
	*out = (struct location_stats){0};
	for (unsigned i = 0; i < l->shards; i++) {
		const struct shard *s = l->shard[i];
		uint64_t aors = load(&s->aors), index = digest_index_bytes(s->index);

		out->aors += aors;
		out->contacts += load(&s->contacts);
		out->contacts_max += s->contacts_max;
		out->bytes += s->bytes + index + agents_bytes(s->agents) + sizeof(*s);
		/* An entry's share of the index, the empty slots beside it included. */
		out->bytes_used +=
			load(&s->used) * sizeof(struct place) + index * aors / s->contacts_max;
		out->expired += load(&s->expired);
		out->failed += load(&s->failed);
	}
}
