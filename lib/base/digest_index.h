/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * digest_index: numbers by 64 bits of a keyed digest. One thread writes, any thread reads without a
 * lock, and nothing is ever moved, so that what stands is always found. An entry is 8 bytes: 32
 * bits of the digest and the number; a bucket is a cache line, and a digest has two of them.
 * Whoever finds a number compares what it stands for: two digests may share 32 bits.
 *
 * The digest is a keyed one (hash.h, mac.h): whoever could choose it could fill one bucket.
 */
#define DIGEST_INDEX_FOUND_MAX 16 /* both buckets */
#define DIGEST_INDEX_NONE UINT32_MAX

struct digest_index;

/* Room for `entries` numbers, all of which find a place. NULL and errno. Pages come when they are
 * first used, huge ones where the system gives them. Any thread. */
struct digest_index *digest_index_create(uint32_t entries);
void digest_index_destroy(struct digest_index *index);
/* Writer. 0, or -ENOSPC. The number is below DIGEST_INDEX_NONE, and may stand once for a digest. */
int digest_index_insert(struct digest_index *index, uint64_t digest, uint32_t number);
/* Writer. Whether it stood there. */
bool digest_index_remove(struct digest_index *index, uint64_t digest, uint32_t number);
/* Any thread. Numbers that may belong to the digest, and how many. With acquire order: what was
 * written before the insert is seen. */
unsigned digest_index_find(
	const struct digest_index *index, uint64_t digest, uint32_t found[DIGEST_INDEX_FOUND_MAX]);
/* Any thread: whether digest_index_find() would find any. */
bool digest_index_may_have(const struct digest_index *index, uint64_t digest);
void digest_index_prefetch(const struct digest_index *index, uint64_t digest);
/* Bytes of address space; entries that stand (the writer's own count, any thread). */
size_t digest_index_bytes(const struct digest_index *index);
uint32_t digest_index_count(const struct digest_index *index);
