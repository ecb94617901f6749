/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * What the files of the room share: places, records, user agents.
 */
#include <stdatomic.h>

#include "location/location.h"

/* ---- agents: texts that many contacts have in common ---- */

struct agents;

#define AGENT_NONE UINT16_MAX /* no number: the text stands with its contact */
#define AGENT_WORDS (LOCATION_USER_AGENT_MAX / 8)

struct agents *agents_create(void);
void agents_destroy(struct agents *a);
/* Writer: the number of a text of at most LOCATION_USER_AGENT_MAX bytes, held once more; AGENT_NONE
 * where there is no room for another text. `likely`: a number that it may have, or AGENT_NONE. */
uint16_t agents_hold(struct agents *a, struct str text, uint16_t likely);
/* Writer. Who reads it meanwhile finds its record changed. */
void agents_release(struct agents *a, uint16_t number);
/* Any thread: copies a text and returns its length. The number may be any; the text counts only if
 * the record that names it is unchanged after. */
uint32_t agents_copy(const struct agents *a, uint16_t number, char out[LOCATION_USER_AGENT_MAX]);
size_t agents_bytes(const struct agents *a);

/* ---- place ---- */

/*
 * A record is a text of whole words in one place, or in a chain of them. The first one's version
 * stands for all: it is odd while the record is changed, and after it has gone.
 */
#define PLACE_WORDS 21
#define PLACE_TEXT (PLACE_WORDS * 8)
#define PLACES_MAX ((1u << 30) - 1)

enum place_kind { PLACE_FREE, PLACE_FIRST, PLACE_FURTHER };

struct place {
	_Atomic uint32_t version;
	_Atomic uint32_t link; /* kind, and the number of the next place plus one */
	_Atomic uint64_t word[PLACE_WORDS];
};

#define RECORD_MAX LOCATION_SET_TEXT /* bytes: a set takes any record */
#define RECORD_WORDS_MAX (RECORD_MAX / 8)

/* A shard. Its first lines are read by all, the others are its writer's. */
struct shard {
	struct place *place;
	uint32_t places;
	uint32_t contacts_max;
	size_t bytes;
	struct digest_index *index;
	struct agents *agents;

	_Alignas(64) _Atomic uint32_t fresh; /* places from this one on were never used */
	uint32_t free;                       /* the first free one plus one; 0: none */
	uint32_t free_count;
	uint32_t sweep_at;
	_Atomic uint64_t aors, contacts, expired, failed, used;
	uint64_t old[RECORD_WORDS_MAX], new[RECORD_WORDS_MAX];
	struct location_set swept;
};

struct location {
	struct mac_key key; /* AES: a third of the time that SipHash takes for a name */
	unsigned shards;
	struct shard *shard[LOCATION_SHARDS_MAX];
};

static inline uint32_t place_count(uint32_t bytes)
{
	return (bytes + PLACE_TEXT - 1) / PLACE_TEXT;
}

static inline enum place_kind place_kind(uint32_t link)
{
	return (enum place_kind)(link >> 30);
}

static inline uint32_t place_link(enum place_kind kind, uint32_t next)
{
	return (uint32_t)kind << 30 | next;
}

static inline uint32_t place_next(uint32_t link)
{
	return link & PLACES_MAX;
}

/*
 * Copies a record's text to `text`, which has RECORD_MAX bytes. Returns its length, -ENOENT where
 * no record stands there, -EAGAIN where it changed meanwhile. `*version` is the record's then.
 */
int place_copy(const struct shard *s, uint32_t number, char *text, uint32_t *version);
/* Whether a record is what it was. */
bool place_unchanged(const struct shard *s, uint32_t number, uint32_t version);
/* Writer: places for a text, or -ENOSPC. `*number` is the first one. */
int place_write(struct shard *s, const uint64_t *text, uint32_t bytes, uint32_t *number);
/* Writer: another text for a record, 0 or -ENOSPC. `old` is what stands there. */
int place_rewrite(struct shard *s, uint32_t number, const uint64_t *old, uint32_t old_bytes,
	const uint64_t *text, uint32_t bytes);
/* Writer. */
void place_forget(struct shard *s, uint32_t number);

/* ---- record ---- */

/* Its first word; the address-of-record and the contacts follow. */
struct record_head {
	uint16_t bytes; /* of all */
	uint16_t aor_len;
	uint8_t table;
	uint8_t contacts;
	uint8_t zero[2];
};

/*
 * Writes a record to `text`, zero up to a whole word; its user agents are held. Returns its length
 * or -E2BIG, and then nothing is held. `old` is the record that it follows, or NULL.
 */
int record_write(struct agents *a, uint8_t table, struct str aor,
	const struct location_contact *contact, unsigned count, const uint64_t *old,
	uint64_t *text);
/* Lets go of its user agents. */
void record_release(struct agents *a, const uint64_t *text);
bool record_is(const char *text, uint8_t table, struct str aor);
/* Those contacts of the record in set->text that have not ended, with their user agents. */
void record_read(const struct agents *a, uint32_t now, struct location_set *set);
/* How many have not ended. */
unsigned record_live(const char *text, uint32_t now);

static inline struct record_head record_head(const void *text)
{
	struct record_head head;

	memcpy(&head, text, sizeof(head));
	return head;
}

static inline struct str record_aor(const char *text)
{
	return str_of(text + sizeof(struct record_head), record_head(text).aor_len);
}

/* ---- read ---- */

/* The record of an address-of-record, as place_copy(); its place in `*number`. */
int read_record(const struct shard *s, uint64_t digest, uint8_t table, struct str aor, char *text,
	uint32_t *number, uint32_t *version);
