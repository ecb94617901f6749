/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * location: who can be reached where (RFC 3261 10.2: the location service). Contacts by
 * address-of-record, in memory, one table a shard.
 *
 * Each shard has one writer, the slow lcore of its number. Any thread reads any shard, without a
 * lock and without waiting: it copies what it needs and looks at the record's version before and
 * after. The index is a digest_index, the records stand in an arena of fixed places that is never
 * unmapped, longer ones overflow into further places. Nothing here allocates after the start.
 *
 * An address-of-record is text in canonical form, made by who calls (lib/registrar); `table` is the
 * name of OpenSER's usrloc domain ("location"), as a small number. Times are seconds of the
 * monotonic clock (clock_now_ns() / CLOCK_NS_PER_S), so that a wall clock that jumps ends nothing.
 *
 * What changes splits no call. A stateless proxy sends a CANCEL, the ACK of a failure and a
 * retransmission where their INVITE went (RFC 3261 16.11), whatever has been registered since. So
 * an address-of-record whose first contact is another one than before, because one with a higher q
 * came, or it has been removed, changed or has ended, remembers for LOCATION_WINDOW seconds who
 * came first before, as it was; and while this is so who reads it is told. An end needs no writer:
 * what has ended stays readable as long. Nothing of this costs a record that has not changed a
 * byte, or who reads it more than a look. What pins are for in all this, lib/registrar's lookup.c
 * says.
 *
 * Costs, in bytes and ns: see location.c's head; the benchmark case `location` measures them.
 *
 * Files: location (shards), record (a text of one address-of-record, in base/arena.h), past (who
 * came first before), agents (user agents, each once), read, replace (with the sweep).
 */
#include "net/net.h"

#define LOCATION_SHARDS_MAX 64
#define LOCATION_CONTACTS_MAX 64 /* of one address-of-record */
#define LOCATION_AOR_MAX 512     /* bytes */
#define LOCATION_URI_MAX 1024    /* bytes of a Contact URI */
#define LOCATION_PATH_MAX 1024   /* bytes of a Path vector, as Route values */
#define LOCATION_INSTANCE_MAX 128
#define LOCATION_USER_AGENT_MAX 64 /* what exceeds it is not kept */
#define LOCATION_CALL_ID_MAX 256
#define LOCATION_SET_TEXT 16384 /* of all contacts that one read copies */
#define LOCATION_Q_NONE UINT16_MAX
/* Seconds in which an INVITE may be under way that went by what was before a change. */
#define LOCATION_WINDOW ((uint32_t)((PIN_INVITE_NS + PIN_SLACK_NS) / CLOCK_NS_PER_S))
#define LOCATION_FORMER_MAX 6 /* contacts that are no more and are still known in the window */

struct location;

struct location_config {
	unsigned shards;
	uint32_t contacts; /* of all shards together */
	bool huge;         /* ask for transparent huge pages */
};

/* NULL, and errno and a sentence. Maps all memory; pages come with their first use. */
struct location *location_create(
	const struct location_config *config, char *error, size_t error_size);
void location_destroy(struct location *l);

/* A contact: spans point into the caller's text (write), or into the set that was read. */
struct location_contact {
	struct str uri;        /* as given */
	struct str path;       /* Route values, empty: none (RFC 3327) */
	struct str instance;   /* +sip.instance with its quotes, empty: none (RFC 5626) */
	struct str user_agent; /* for people */
	struct str call_id;
	struct net_endpoint received; /* where the REGISTER came from, where that is not what the
					 contact says; family 0: none */
	int16_t listener;             /* that received it, -1: any */
	uint16_t q;                   /* thousandths, or LOCATION_Q_NONE */
	uint32_t reg_id;              /* 0: none */
	uint32_t flags;               /* branch flags, given to the branch of a lookup */
	uint32_t methods;             /* bit n: enum sip_method n allowed; UINT32_MAX: all */
	uint32_t cseq;
	uint32_t expires;  /* second at which it ends */
	uint32_t modified; /* second of its last change */
};

/*
 * The contacts of one address-of-record, as they stood at one moment. Caller-owned, no part needs
 * freeing.
 *
 * Where `changing`, another contact has come first within LOCATION_WINDOW seconds. Then
 * contact[count] and on are `former` ones that calls under way may have been sent to; `expires` is
 * when they ceased to be. `before` is the one (of all) that came first before the first of these
 * changes, -1 where nobody did, or no INVITE of that time can be under way any more.
 */
struct location_set {
	unsigned count;
	bool changing;
	int before;
	unsigned former;
	struct location_contact contact[LOCATION_CONTACTS_MAX + LOCATION_FORMER_MAX];
	uint32_t text_len;
	char text[LOCATION_SET_TEXT];
};

/* Whether an INVITE can be sent there: of those that are, the first one in order is who comes
 * first. */
bool location_leads(const struct location_contact *c);
/* Whether what is sent to them goes the same way: all that routes by a contact is equal. */
bool location_same_way(const struct location_contact *a, const struct location_contact *b);

/* What finds an address-of-record: computed once, by any thread. */
struct hash128 location_digest(const struct location *l, uint8_t table, struct str aor);
unsigned location_shards(const struct location *l);
/* Whose it is: the same shard for all tables. */
unsigned location_shard(const struct location *l, struct hash128 digest);
/* Both bring what location_read() will look at, the first one the lines of the index, the second
 * one, some 100 ns later, those of the record. */
void location_prefetch(const struct location *l, struct hash128 digest);
void location_prefetch_record(const struct location *l, struct hash128 digest);

/*
 * Copies those contacts that have not ended at `now`, the highest q first, those without one last,
 * among equals in the order in which location_replace() was given them: so a refresh changes no
 * choice. Returns their number; 0: none is registered; -EAGAIN: it kept changing while it was read
 * (its writer has lost its CPU in the middle of a change; ask again). Any thread.
 */
int location_read(const struct location *l, struct hash128 digest, uint8_t table, struct str aor,
	uint32_t now, struct location_set *out);
/* Whether any has not ended, or it kept changing. Any thread. */
bool location_has(const struct location *l, struct hash128 digest, uint8_t table, struct str aor,
	uint32_t now);

/*
 * Makes these the contacts of an address-of-record, all of them or, where there is no room, none
 * (-ENOSPC; -E2BIG: what exceeds a bound above, or all of them LOCATION_SET_TEXT): RFC 3261 10.3
 * wants it atomic, and readers see the old ones or the new ones. What a text over its bound would
 * be cut to is never kept, but for a user agent.
 * count 0 forgets it. The spans may point into a set that was read from it. Who came first before
 * is remembered where there is room to spare; that it was not is counted. The owner's thread.
 */
int location_replace(struct location *l, unsigned shard, struct hash128 digest, uint8_t table,
	struct str aor, uint32_t now, const struct location_contact *contact, unsigned count);

/* Looks at `records` further places of a shard and forgets what has ended, and what was before
 * changes whose time is over; called with what a pass may cost. Returns for how many contacts it
 * has made room. The owner's thread. */
unsigned location_sweep(struct location *l, unsigned shard, uint32_t now, unsigned records);

/* 0 while a shard has room; else, from seven eighths of its contacts or of its places on, how many
 * places hold what may have ended: it should be looked for sooner than in its turn. The owner's
 * thread. */
uint32_t location_wants_sweep(const struct location *l, unsigned shard);

/*
 * Visits the addresses-of-record of a shard, from `*at` (0 at first) on, at most `records` places;
 * false when all have been seen. Each is seen as it stood at one moment. Who is registered all the
 * while is seen once, since no record moves; who comes or goes meanwhile, may be or not. A call
 * ends early before a record in the midst of a change, which the next one begins with. Any thread.
 */
bool location_walk(const struct location *l, unsigned shard, uint64_t *at, unsigned records,
	uint32_t now,
	void (*visit)(void *arg, uint8_t table, struct str aor, const struct location_set *set),
	void *arg);

struct location_stats {
	uint64_t aors, contacts;  /* that stand, ended ones that no sweep has met included */
	uint64_t contacts_max;    /* room */
	uint64_t bytes;           /* of address space */
	uint64_t bytes_used;      /* of places and index entries in use */
	uint64_t expired, failed; /* contacts that a sweep took away; replaces that found no room */
	uint64_t forgotten;       /* changes without room for who came first before */
};
/* Of one shard, and the sum over all of them. Any thread. */
void location_shard_stats(const struct location *l, unsigned shard, struct location_stats *out);
void location_stats(const struct location *l, struct location_stats *out);
