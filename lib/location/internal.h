/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * What the files of the room share: records, user agents.
 */
#include <stdatomic.h>

#include "base/arena.h"
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

#define RECORD_MAX LOCATION_SET_TEXT /* bytes: a set takes any record */
#define RECORD_WORDS_MAX (RECORD_MAX / 8)
_Static_assert(RECORD_MAX == ARENA_TEXT_MAX, "what is copied fits");

/* What was before a change is kept while one in so many places is free; and there are entries of
 * the index for so many records that stand for their past alone: one for so many contacts, and
 * some. */
#define SPARE_SHARE 16
#define BARE_MIN 16

/* A shard. Its first lines are read by all, the others are its writer's. */
struct shard {
	struct digest_index *index;
	struct agents *agents;
	uint32_t contacts_max, entries; /* of the index */
	struct arena records;

	_Alignas(64) uint32_t sweep_at;
	uint32_t bare, bare_max; /* records that stand for their past alone */
	_Atomic uint64_t aors, contacts, expired, failed, forgotten;
	uint64_t old[RECORD_WORDS_MAX], new[RECORD_WORDS_MAX];
	struct location_set swept, past;
};

struct location {
	struct mac_key key; /* AES: a third of the time that SipHash takes for a name */
	unsigned shards;
	struct shard *shard[LOCATION_SHARDS_MAX];
};

static inline void shard_count(_Atomic uint64_t *counter, int64_t by)
{
	atomic_store_explicit(counter,
		atomic_load_explicit(counter, memory_order_relaxed) + (uint64_t)by,
		memory_order_relaxed);
}

/* Whether more than one place of SPARE_SHARE is free. */
static inline bool shard_has_spare(const struct shard *s)
{
	return arena_has_room(&s->records, s->records.places / SPARE_SHARE + 1);
}

/* ---- record ---- */

/* Its first word, of which the arena knows `bytes`; the address-of-record, the contacts, former
 * ones and the past's numbers follow.
 */
struct record_head {
	uint16_t bytes; /* of all */
	uint16_t aor_len;
	uint8_t table;
	uint8_t contacts;
	uint8_t former;
	uint8_t has_past; /* 0 or 1 */
};

/* A window in which calls may be under way that went by what was before a change. */
struct window {
	bool open;
	uint32_t began, changed; /* seconds of the first and of the last change in it */
	int before;              /* who came first before it began: a contact, or former one; -1 */
};

/* What a record keeps of it, with former contacts, whose `expires` is when they ceased to be.
 * `before` counts contacts as they are given, then former ones. */
struct past {
	struct window window;
	unsigned former;
	struct location_contact contact[LOCATION_FORMER_MAX];
};

/* Whether a second lies within LOCATION_WINDOW before `now`, or is `now`, or later on another
 * thread's clock. */
static inline bool is_recent(uint32_t second, uint32_t now)
{
	return (int64_t)now - (int64_t)second < (int64_t)LOCATION_WINDOW;
}

/*
 * Writes a record to `text`, zero up to a whole word; its user agents are held. Returns its length
 * or -E2BIG, and then nothing is held. `old` is the record that it follows, `past` what was before;
 * each may be NULL.
 */
int record_write(struct agents *a, uint8_t table, struct str aor,
	const struct location_contact *contact, unsigned count, const struct past *past,
	const uint64_t *old, uint64_t *text);
/* Lets go of its user agents. */
void record_release(struct agents *a, const uint64_t *text);
bool record_is(const char *text, uint8_t table, struct str aor);
/* Those contacts of the record in set->text that have not ended, with their user agents; and, where
 * it is changing, what was before. */
void record_read(const struct agents *a, uint32_t now, struct location_set *set);
/* The window of the record in set->text, whose contacts have been read; adds the former ones. */
struct window record_window(uint32_t now, struct location_set *set);
/* How many have not ended. */
unsigned record_live(const char *text, uint32_t now);
/* Whether its past is over. */
bool record_past_is_over(const char *text, uint32_t now);
/* Whether nothing was before that anybody could have to know of, and this one comes first then as
 * it does now. NULL: nobody comes first. */
bool record_is_calm(const char *text, uint32_t now, const struct location_contact *first);

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

/* ---- past ---- */

/* Writer: whether there is nothing to remember where these contacts follow the record in s->old. Of
 * nearly all that is written it is so. */
bool past_is_calm(const struct shard *s, uint32_t now, const struct location_contact *contact,
	unsigned count);
/* Writer: what is to be remembered where these contacts follow the record in s->old. False:
 * nothing. Spans point into s->past. */
bool past_make(struct shard *s, uint32_t now, const struct location_contact *contact,
	unsigned count, struct past *out);

/* ---- read ---- */

/* The record of an address-of-record, as arena_copy(); its place in `*number`. */
int read_record(const struct shard *s, uint64_t digest, uint8_t table, struct str aor, char *text,
	uint32_t *number, uint32_t *version);
