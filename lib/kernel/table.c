/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>

#include "kernel/kernel_internal.h"

/*
 * Multiply and fold, with a seed of our own: the keys come off the wire (who answers ARP), so
 * nobody outside may know which bucket one falls into. Fast rather than strong: SipHash would be a
 * third of a lookup's time.
 */
uint64_t kernel_hash(uint64_t seed, const struct net_addr *addr, uint32_t tag)
{
	uint64_t h = (addr->q[0] ^ seed) * 0x9e3779b97f4a7c15ULL;

	h ^= h >> 32;
	h = (h ^ addr->q[1] ^ ((uint64_t)tag << 40) ^ addr->family) * 0xd6e8feb86659fd93ULL;
	h ^= h >> 29;
	h = (h ^ (seed >> 7)) * 0xa0761d6478bd642fULL;
	return h ^ h >> 32;
}

int kernel_table_init(struct kernel_table *t, uint32_t max)
{
	struct hash_key key;
	uint32_t buckets = 1;
	int rc = hash_key_random(&key);

	*t = (struct kernel_table){.max = max, .free = KERNEL_TABLE_NONE};
	if (rc != 0)
		return rc;
	while (buckets < max)
		buckets *= 2;
	t->seed = key.k[0];
	t->mask = buckets - 1;
	t->bucket = malloc(buckets * sizeof(*t->bucket));
	t->key = calloc(max, sizeof(*t->key));
	if (t->bucket == NULL || t->key == NULL) {
		kernel_table_fini(t);
		return -ENOMEM;
	}
	memset(t->bucket, 0xff, buckets * sizeof(*t->bucket));
	return 0;
}

void kernel_table_fini(struct kernel_table *t)
{
	free(t->bucket);
	free(t->key);
	t->bucket = NULL;
	t->key = NULL;
}

uint32_t kernel_table_find(const struct kernel_table *t, const struct net_addr *addr, uint32_t tag)
{
	uint32_t i = t->bucket[kernel_hash(t->seed, addr, tag) & t->mask];

	while (i != KERNEL_TABLE_NONE &&
		(t->key[i].tag != tag || !net_addr_equal(&t->key[i].addr, addr)))
		i = t->key[i].next;
	return i;
}

uint32_t kernel_table_add(struct kernel_table *t, const struct net_addr *addr, uint32_t tag)
{
	uint32_t *bucket = &t->bucket[kernel_hash(t->seed, addr, tag) & t->mask];
	uint32_t i = kernel_table_find(t, addr, tag);

	if (i != KERNEL_TABLE_NONE)
		return i;
	if (t->free != KERNEL_TABLE_NONE) {
		i = t->free;
		t->free = t->key[i].next;
	} else if (t->high < t->max) {
		i = t->high++;
	} else {
		return KERNEL_TABLE_NONE;
	}
	t->key[i] =
		(struct kernel_table_key){.addr = *addr, .tag = tag, .next = *bucket, .used = true};
	*bucket = i;
	t->count++;
	return i;
}

void kernel_table_remove(struct kernel_table *t, uint32_t number)
{
	struct kernel_table_key *key = &t->key[number];
	uint32_t *link = &t->bucket[kernel_hash(t->seed, &key->addr, key->tag) & t->mask];

	while (*link != number)
		link = &t->key[*link].next;
	*link = key->next;
	key->used = false;
	key->next = t->free;
	t->free = number;
	t->count--;
}
