/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * User agents. A few hundred texts stand in the contacts of all phones of the world, so a contact
 * names its by two bytes. A text goes with the last contact that has it. Where more different ones
 * are about than fit here, the others stand with their contacts.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "location/internal.h"

#define AGENTS 16384

struct agent {
	_Atomic uint64_t word[AGENT_WORDS];
	_Atomic uint32_t len;
	uint32_t held; /* writer's: by so many contacts */
};

struct agents {
	struct hash_key key;
	struct digest_index *index;
	struct agent *agent;
	uint32_t fresh; /* from this one on never used */
	uint32_t freed; /* of `free` */
	uint16_t free[AGENTS];
};

struct agents *agents_create(void)
{
	struct agents *a = calloc(1, sizeof(*a));
	int err;

	if (a == NULL)
		return NULL;
	err = hash_key_random(&a->key);
	if (err != 0) {
		free(a);
		errno = -err;
		return NULL;
	}
	a->index = digest_index_create(AGENTS);
	a->agent = mmap(NULL, AGENTS * sizeof(struct agent), PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (a->index == NULL || a->agent == MAP_FAILED) {
		if (a->agent == MAP_FAILED)
			a->agent = NULL;
		agents_destroy(a);
		errno = ENOMEM;
		return NULL;
	}
	return a;
}

void agents_destroy(struct agents *a)
{
	if (a == NULL)
		return;
	digest_index_destroy(a->index);
	if (a->agent != NULL)
		munmap(a->agent, AGENTS * sizeof(struct agent));
	free(a);
}

size_t agents_bytes(const struct agents *a)
{
	return AGENTS * sizeof(struct agent) + digest_index_bytes(a->index);
}

uint32_t agents_copy(const struct agents *a, uint16_t number, char out[LOCATION_USER_AGENT_MAX])
{
	const struct agent *agent = &a->agent[number];
	uint32_t len, words;

	if (number >= AGENTS)
		return 0;
	len = atomic_load_explicit(&agent->len, memory_order_relaxed);
	if (len > LOCATION_USER_AGENT_MAX)
		return 0;
	words = (len + 7) / 8;
	for (uint32_t i = 0; i < words; i++) {
		uint64_t word = atomic_load_explicit(&agent->word[i], memory_order_relaxed);

		memcpy(out + i * 8, &word, 8);
	}
	return len;
}

static bool is(const struct agents *a, uint32_t number, struct str text)
{
	char there[LOCATION_USER_AGENT_MAX];

	return str_eq(str_of(there, agents_copy(a, (uint16_t)number, there)), text);
}

static void write_text(struct agent *agent, struct str text)
{
	uint64_t word[AGENT_WORDS] = {0};

	memcpy(word, text.s, text.len);
	for (unsigned i = 0; i < AGENT_WORDS; i++)
		atomic_store_explicit(&agent->word[i], word[i], memory_order_relaxed);
	atomic_store_explicit(&agent->len, text.len, memory_order_relaxed);
}

/* A number for a text that has none. */
static uint16_t add(struct agents *a, uint64_t digest, struct str text)
{
	uint32_t number;

	if (a->freed != 0)
		number = a->free[--a->freed];
	else if (a->fresh < AGENTS)
		number = a->fresh++;
	else
		return AGENT_NONE;
	if (digest_index_insert(a->index, digest, number) != 0) {
		a->free[a->freed++] = (uint16_t)number;
		return AGENT_NONE;
	}
	write_text(&a->agent[number], text);
	return (uint16_t)number;
}

uint16_t agents_hold(struct agents *a, struct str text, uint16_t likely)
{
	uint32_t found[DIGEST_INDEX_FOUND_MAX];
	uint16_t number = AGENT_NONE;
	uint64_t digest;
	unsigned n;

	if (likely < AGENTS && a->agent[likely].held != 0 && is(a, likely, text)) {
		a->agent[likely].held++;
		return likely;
	}
	digest = hash_text(&a->key, text);
	n = digest_index_find(a->index, digest, found);
	for (unsigned i = 0; i < n && number == AGENT_NONE; i++) {
		if (is(a, found[i], text))
			number = (uint16_t)found[i];
	}
	if (number == AGENT_NONE)
		number = add(a, digest, text);
	if (number != AGENT_NONE)
		a->agent[number].held++;
	return number;
}

void agents_release(struct agents *a, uint16_t number)
{
	char text[LOCATION_USER_AGENT_MAX];
	uint32_t len;

	if (number >= AGENTS || --a->agent[number].held != 0)
		return;
	len = agents_copy(a, number, text);
	digest_index_remove(a->index, hash_text(&a->key, str_of(text, len)), number);
	a->free[a->freed++] = number;
}
