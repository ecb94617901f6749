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
	arena_destroy(&s->records);
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
	uint32_t places;
	int err;

	if (s == NULL)
		return NULL;
	s->contacts_max = contacts;
	places = contacts < ARENA_PLACES_MAX / PLACES_EACH ? contacts * PLACES_EACH
							   : ARENA_PLACES_MAX;
	err = arena_create(&s->records, places, huge);
	s->bare_max = contacts / SPARE_SHARE + BARE_MIN;
	s->entries = contacts + s->bare_max;
	s->index = digest_index_create(s->entries);
	s->agents = agents_create();
	if (err != 0 || s->index == NULL || s->agents == NULL) {
		destroy_shard(s);
		errno = ENOMEM;
		return NULL;
	}
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
		config->contacts > ARENA_PLACES_MAX) {
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

unsigned location_shards(const struct location *l)
{
	return l->shards;
}

unsigned location_shard(const struct location *l, struct hash128 digest)
{
	return (unsigned)((digest.hi >> 32) * l->shards >> 32);
}

static uint64_t load(const _Atomic uint64_t *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}

static void add_stats(const struct shard *s, struct location_stats *out)
{
	uint64_t index = digest_index_bytes(s->index);

	out->aors += load(&s->aors);
	out->contacts += load(&s->contacts);
	out->contacts_max += s->contacts_max;
	out->bytes += s->records.bytes + index + agents_bytes(s->agents) + sizeof(*s);
	/* An entry's share of the index, the empty slots beside it included. */
	out->bytes_used += load(&s->records.used) * sizeof(struct arena_place) +
			   index * digest_index_count(s->index) / s->entries;
	out->expired += load(&s->expired);
	out->failed += load(&s->failed);
	out->forgotten += load(&s->forgotten);
}

void location_shard_stats(const struct location *l, unsigned shard, struct location_stats *out)
{
	*out = (struct location_stats){0};
	add_stats(l->shard[shard], out);
}

void location_stats(const struct location *l, struct location_stats *out)
{
	*out = (struct location_stats){0};
	for (unsigned i = 0; i < l->shards; i++)
		add_stats(l->shard[i], out);
}
