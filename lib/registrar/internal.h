/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/* What the files of lib/registrar share. Nothing outside the room includes it, tests apart. */
#include <errno.h>
#include <stdatomic.h>

#include "db/sql.h"
#include "registrar/registrar.h"

#define REGISTRAR_TABLES_MAX 16       /* names of usrloc domains ("location") of one process */
#define REGISTRAR_TABLE_NAME_MAX 64   /* bytes of one */
#define REGISTRAR_TEXT_PARAM_MAX 1024 /* bytes of a parameter that is text */
/* The longest life of a binding, in seconds: the end of any, counted from the start of the machine,
 * fits 32 bits. */
#define REGISTRAR_EXPIRES_MAX 2147483647U
/* RFC 3261 10.3 step 7: an interval from here on may not be refused as too brief. */
#define REGISTRAR_BRIEF_MAX 3600U
/* URIs that one REGISTER may have compared by RFC 3261 19.1.4, which costs as much as both have
 * parameters; equal bytes do not count. */
#define REGISTRAR_COMPARISONS_MAX 256
#define REGISTRAR_READ_TRIES 8 /* of a record that its writer is at */
/* The parts of the room for pins that stay for each address-of-record, and for each source (an IPv4
 * address, a /64 of IPv6), once half of it is in use: base/pin.h. */
#define REGISTRAR_PINS_AOR_PART 256
#define REGISTRAR_PINS_SOURCE_PART 8
/* Places that are looked at for what has ended, where there is no room. */
#define REGISTRAR_ROOM_PLACES 64

/* Counts of what was sent beside those that wait; some addresses-of-record share one. */
#define REGISTRAR_SENT_PLACES (1u << 18)

/* ---- settings ---- */

enum registrar_path_mode { REGISTRAR_PATH_OFF, REGISTRAR_PATH_LAZY, REGISTRAR_PATH_STRICT };
enum registrar_outbound {
	REGISTRAR_OUTBOUND_NONE,
	REGISTRAR_OUTBOUND_KNOWN,
	REGISTRAR_OUTBOUND_REQUIRED
};
/* How a Contact finds its binding where it names no instance (usrloc's matching_mode). */
enum registrar_matching {
	REGISTRAR_MATCH_CONTACT,
	REGISTRAR_MATCH_CONTACT_CALL_ID,
	REGISTRAR_MATCH_CONTACT_PATH,
	REGISTRAR_MATCH_CALL_ID
};

/* usrloc's db_mode, see persist.c. */
enum registrar_db_mode {
	REGISTRAR_DB_NONE = 0,
	REGISTRAR_DB_WRITE_THROUGH = 1,
	REGISTRAR_DB_WRITE_BACK = 2,
	REGISTRAR_DB_ONLY = 3,
	REGISTRAR_DB_READ_ONLY = 4
};

/* Parameters of "usrloc". */
struct registrar_usrloc {
	int64_t db_mode, use_domain, nat_bflag, matching_mode, cseq_delay, timer_interval;
	const char *db_url; /* good while it is prepared; NULL: the configuration's */
};

/* Statements of one table. With db_mode 3 `remove` and `others` are of one binding, and `read` is
 * of one user, at most LOCATION_CONTACTS_MAX + 1 rows. */
struct registrar_rows {
	int remove, remove_all, insert, oldest, clean, read;
	/* One row that stays where it is, or else is inserted: registrar_pack_put(). */
	int refresh, others, add;
};

/* Parameters of "registrar", as the language fills them. */
struct registrar_params {
	int64_t default_expires, min_expires, max_expires, min_expires_mode, default_expires_range,
		expires_range, default_q, max_contacts, append_branches, case_sensitive,
		method_filtering, retry_after, use_path, path_mode, path_use_received,
		outbound_mode, regid_mode, flow_timer, sock_flag, contact_max_size;
	const char *received_param, *received_avp, *sock_hdr_name, *realm_prefix, *service_route;
};

/* Text of a parameter. */
struct registrar_text {
	uint32_t len;
	char text[REGISTRAR_TEXT_PARAM_MAX];
};

/* What is published of the one module and of the other; immutable. */
struct registrar_usrloc_settings {
	struct registrar_usrloc p; /* without its pointers */
	int database;              /* where db_mode is not 0 */
	unsigned tables;           /* that there were when it was made, likewise */
	struct registrar_rows rows[REGISTRAR_TABLES_MAX];
};

struct registrar_settings {
	struct registrar_params p; /* without its pointers */
	struct registrar_text received_param, received_avp, sock_hdr_name, realm_prefix,
		service_route;
};

static inline struct str registrar_text_str(const struct registrar_text *t)
{
	return str_of(t->text, t->len);
}

/* ---- the room ---- */

struct registrar_thread {
	_Alignas(64) _Atomic uint64_t count[REGISTRAR_COUNTER_COUNT];
	uint64_t unpinned_until; /* follow.c's: what has no pin may be under way until then */
};

/* The clock of the day and its zone, as published; immutable. */
#define REGISTRAR_ZONE_SPANS 16
struct registrar_zone {
	int64_t epoch; /* Unix seconds less those of clock_now_ns() */
	unsigned count;
	struct registrar_zone_span {
		int64_t from, offset; /* Unix seconds; seconds east of UTC from then on */
	} span[REGISTRAR_ZONE_SPANS]; /* rising; the first one is from ever */
};

/* Calls of scripts by the table that they name. A script may end behind its rooms: who is last
 * frees it. */
struct registrar_calls {
	_Atomic uint32_t users; /* the room, and calls */
	_Atomic uint32_t of[REGISTRAR_TABLES_MAX];
};

/* Who is at an address-of-record (turn.c). */
struct registrar_turn;

/* A shard's way to the database (persist.c): its slow lcore's. */
struct registrar_shard {
	_Alignas(64) _Atomic(struct db_lane *) lane; /* control makes it */
	_Atomic bool behind; /* changes have found no room: what stands has to be sent */
	bool walking;        /* that is under way, and at that place */
	uint64_t walk_at, walk_rests;
	/* How often rows of the addresses-of-record of a place have been sent by the lane: what
	 * waits for its own commit may have been overtaken. REGISTRAR_SENT_PLACES of them. */
	uint32_t *sent;
	/* REGISTRAR_TURN_PLACES of them, and the number of the last one. */
	struct registrar_turn *turn;
	uint32_t turns;
};

struct registrar {
	struct registrar_config config;
	_Atomic(const struct registrar_usrloc_settings *) usrloc; /* never NULL */
	_Atomic(const struct registrar_settings *) settings;      /* likewise */
	struct registrar_thread *thread;                          /* RCU_READERS_MAX */
	struct pin_table *pins;
	struct registrar_seen *seen; /* RCU_READERS_MAX: each thread's own */
	_Atomic bool looks;          /* a script was loaded that looks contacts up */
	/* Names that a usrloc domain has been given: by a load, which may add some while others are
	 * read. One of a script that was published stays, as contacts may stand in it. */
	_Atomic unsigned tables;
	char table[REGISTRAR_TABLES_MAX][REGISTRAR_TABLE_NAME_MAX + 1];
	struct registrar_calls *calls;
	bool table_published[REGISTRAR_TABLES_MAX];
	/* persist.c */
	const struct route_registry *registry;
	_Atomic(const struct registrar_zone *) zone; /* never NULL */
	int64_t zone_until;                          /* when it is read anew: Unix seconds */
	bool runs; /* registrar_load() has been called: slow lcores may run */
	uint64_t now_ns, clean_at;
	unsigned clean_table;
	bool cleaning; /* a look for rows that have ended is under way */
	struct registrar_shard shard[LOCATION_SHARDS_MAX];
};

static inline const struct registrar_settings *registrar_settings(const struct registrar *r)
{
	return atomic_load_explicit(&r->settings, memory_order_acquire);
}

static inline const struct registrar_usrloc *registrar_usrloc(const struct registrar *r)
{
	return &atomic_load_explicit(&r->usrloc, memory_order_acquire)->p;
}

static inline const struct registrar_zone *registrar_zone(const struct registrar *r)
{
	return atomic_load_explicit(&r->zone, memory_order_acquire);
}

/* Whether changes go to a database. */
static inline bool registrar_persists(const struct registrar_usrloc *p)
{
	return p->db_mode == REGISTRAR_DB_WRITE_THROUGH || p->db_mode == REGISTRAR_DB_WRITE_BACK;
}

/* Whether the database alone says what is registered. */
static inline bool registrar_only(const struct registrar_usrloc *p)
{
	return p->db_mode == REGISTRAR_DB_ONLY;
}

static inline void registrar_count(
	struct registrar *r, const struct route_ctx *ctx, enum registrar_counter counter)
{
	_Atomic uint64_t *at;

	if (ctx->thread->index >= RCU_READERS_MAX)
		return;
	at = &r->thread[ctx->thread->index].count[counter];
	atomic_store_explicit(
		at, atomic_load_explicit(at, memory_order_relaxed) + 1, memory_order_relaxed);
}

static inline uint32_t registrar_now(const struct route_ctx *ctx)
{
	return (uint32_t)(ctx->thread->now_ns / CLOCK_NS_PER_S);
}

/* Whether two are one row. */
static inline bool registrar_same_binding(
	const struct location_contact *a, const struct location_contact *b)
{
	return str_eq(a->uri, b->uri) && str_eq(a->instance, b->instance) && a->reg_id == b->reg_id;
}

/* The number of a usrloc domain, given where it has none, for one call of a script, which gives it
 * back; -1 where there is no room or the name is none. Control thread, or loader. */
int registrar_table_take(struct registrar *r, struct str name);
void registrar_table_give(struct registrar_calls *calls, unsigned table);
void registrar_calls_leave(struct registrar_calls *calls);
/* Whether contacts may stand in it, or a script has it. */
bool registrar_table_there(const struct registrar *r, unsigned table);
/* What scripts have now stays. Control thread. */
void registrar_tables_published(struct registrar *r);

/* Hashes text, eight bytes at a time; for tables of one message, unkeyed. */
static inline uint64_t registrar_mix(uint64_t h, struct str s)
{
	const uint64_t odd = 0x9e3779b97f4a7c15ULL;

	h ^= s.len;
	for (; s.len >= 8; s.s += 8, s.len -= 8) {
		h = (h ^ load8(s.s)) * odd;
		h ^= h >> 29;
	}
	h = (h ^ load_short(s.s, s.len)) * odd;
	return h ^ h >> 32;
}

/* Frees settings, or a zone, that were published, once nobody can read them. Control thread. */
void registrar_retire(struct registrar *r, const void *settings);

/* ---- aor.c ---- */

enum registrar_aor_error {
	REGISTRAR_AOR_OK,
	REGISTRAR_AOR_BAD,     /* no URI that could be one, or a control character in it */
	REGISTRAR_AOR_NO_USER, /* and the domain is no part of it */
	REGISTRAR_AOR_LONG
};

/* The canonical form of a URI: see registrar.h. Any thread. */
enum registrar_aor_error registrar_aor_of(const struct registrar *r, const char *buf,
	const struct sip_uri *uri, struct registrar_aor *out);
/* A user part in the form that an address-of-record has it in, but for letter case; `out` has room
 * for user.len bytes. False where an escape is none or stands for a control character. */
bool registrar_unescape(struct str user, char *out, uint32_t *len);
/* The same of text; BAD also where it is no URI. `*host`, unless NULL, is its host. */
enum registrar_aor_error registrar_aor_of_text(
	const struct registrar *r, struct str text, struct registrar_aor *out, struct str *host);
/* The same of a row's columns, whose domain is the realm already. Of those that an
 * address-of-record was written to it is that one again: one without an '@', a host alone or a
 * number, is all in the first. False where nobody can have that name. */
bool registrar_aor_of_columns(
	const struct registrar *r, struct str user, struct str domain, struct registrar_aor *out);

/* ---- why a REGISTER is refused ---- */

/* The reply's status and phrase (empty: the usual one), and what P-Registrar-Error says.
 * REGISTRAR_REFUSAL(enum suffix, status, phrase, text) */
#define REGISTRAR_REFUSALS(REGISTRAR_REFUSAL) \
	REGISTRAR_REFUSAL(AOR, 400, "", "To is no address-of-record") \
	REGISTRAR_REFUSAL(AOR_USER, 400, "", "To has no user") \
	REGISTRAR_REFUSAL(AOR_LENGTH, 400, "", "To is too long") \
	REGISTRAR_REFUSAL(DOMAIN, 404, "", "To is of another domain than the Request-URI") \
	REGISTRAR_REFUSAL(EXTENSION, 420, "", "Require names what is not supported") \
	REGISTRAR_REFUSAL(EXPIRES, 400, "", "Expires is no number") \
	REGISTRAR_REFUSAL(CALL_ID, 400, "", "Call-ID is too long") \
	REGISTRAR_REFUSAL(STAR_EXPIRES, 400, "", "Contact * needs Expires: 0") \
	REGISTRAR_REFUSAL(STAR_MORE, 400, "", "Contact * stands alone") \
	REGISTRAR_REFUSAL(CONTACT, 400, "", "Contact is malformed") \
	REGISTRAR_REFUSAL(CONTACT_LENGTH, 400, "", "Contact is too long") \
	REGISTRAR_REFUSAL(CONTACT_SELF, 400, "", "Contact leads to the address-of-record") \
	REGISTRAR_REFUSAL(Q, 400, "", "q is no number from 0 to 1") \
	REGISTRAR_REFUSAL(INSTANCE, 400, "", "+sip.instance is malformed or too long") \
	REGISTRAR_REFUSAL(REG_ID, 400, "", "reg-id is no number from 1") \
	REGISTRAR_REFUSAL(REG_ID_MORE, 400, "", "A Contact with reg-id stands alone") \
	REGISTRAR_REFUSAL(PATH, 400, "", "Path is malformed, too long or no loose route") \
	REGISTRAR_REFUSAL(PATH_SUPPORT, 420, "", "Path without Supported: path") \
	REGISTRAR_REFUSAL(OUTBOUND, 421, "Extension Required", "outbound is required") \
	REGISTRAR_REFUSAL(FIRST_HOP, 439, "First Hop Lacks Outbound Support", \
		"The edge proxy lacks outbound") \
	REGISTRAR_REFUSAL(BRIEF, 423, "", "Expires is too brief") \
	REGISTRAR_REFUSAL(CSEQ, 400, "", "CSeq is not above that of the binding") \
	REGISTRAR_REFUSAL(TOO_MANY, 503, "", "Too many contacts") \
	REGISTRAR_REFUSAL(TOO_LIKE, 503, "", "Too many contacts to compare") \
	REGISTRAR_REFUSAL(TOO_LONG, 503, "", "Too long contacts") \
	REGISTRAR_REFUSAL(FULL, 503, "", "The location table is full") \
	REGISTRAR_REFUSAL(STORE, 500, "", "The location table cannot be read") \
	REGISTRAR_REFUSAL(DATABASE, 503, "", "The database does not answer") \
	REGISTRAR_REFUSAL(NOT_TAKEN, 503, "", "The database does not take it") \
	REGISTRAR_REFUSAL(BUSY, 500, "", "Another REGISTER of this user is under way")

enum registrar_refusal {
	REGISTRAR_REFUSAL_NONE = 0,
#define REGISTRAR_REFUSAL(id, status, phrase, text) REGISTRAR_REFUSAL_##id,
	REGISTRAR_REFUSALS(REGISTRAR_REFUSAL)
#undef REGISTRAR_REFUSAL
};

/* ---- request.c: what a REGISTER wants ---- */

struct registrar_call;

/* One at a time, on its thread's stack: spans lie in the message, or in path_text. */
struct registrar_request {
	/* filled in by the caller */
	struct registrar *r;
	const struct registrar_settings *s;
	const struct registrar_usrloc *u;
	const struct registrar_call *call;
	struct route_ctx *ctx;
	const struct registrar_aor *aor;
	struct hash128 digest;
	const struct location_set *set; /* what is registered */
	uint32_t now;
	uint32_t spare; /* bytes of the arena that are given back before the answer is written */

	struct str call_id, path;
	uint32_t cseq;
	bool star;
	bool supports_path, supports_outbound; /* Supported says so; of use where asked for */
	bool outbound;                         /* RFC 5626 is applied */
	uint32_t min_expires;
	unsigned count;
	/* `expires` 0: the binding is to go. */
	struct location_contact contact[LOCATION_CONTACTS_MAX];
	char path_text[LOCATION_PATH_MAX];
};

/* Reads and checks all that does not depend on the bindings: RFC 3261 10.3 steps 2, 6 and 7, RFC
 * 3327, RFC 5626 6. */
enum registrar_refusal registrar_request_read(struct registrar_request *q);
/* Whether an option tag of Require is one that we support here. */
bool registrar_supports(const struct registrar_settings *s, struct str tag);

/* ---- contact.c ---- */

/* What all Contacts of a request share. */
struct registrar_reading {
	struct registrar_request *q;
	bool has_expires, use_reg_id, first_hop;
	bool no_edge; /* the proxy next to the user agent lacks outbound, which that one wants */
	uint32_t expires; /* of the header */
	unsigned kept;    /* Contacts that do not ask to go */
	bool reg_id_kept; /* one of them has a reg-id */
	uint32_t methods; /* of Allow, where they count */
	struct str user_agent;
	int16_t listener;
	struct net_endpoint received; /* said by Path, the script or the flow */
	bool received_by_path;
};

/* All Contacts into the request. */
enum registrar_refusal registrar_contacts_read(struct registrar_reading *rd);
/* Seconds of Expires; one that is too large is as much as there is. False: no number. */
bool registrar_seconds_read(struct str s, uint32_t *out);
/* sip:address:port, where a user agent is. Anything else (a name would have to be asked for) is
 * false and changes nothing. */
bool registrar_received_read(struct str s, struct net_endpoint *out);
/* Those of Allow, a bit each; all where there is none. */
uint32_t registrar_allowed_methods(const struct route_ctx *ctx);

/* ---- bind.c: what is registered, and what becomes of it ---- */

#define REGISTRAR_BOUND_MAX (2 * LOCATION_CONTACTS_MAX)

struct registrar_bindings {
	unsigned count;
	unsigned comparisons;                                   /* REGISTRAR_COMPARISONS_MAX */
	const struct location_contact *at[REGISTRAR_BOUND_MAX]; /* NULL: it has gone */
	bool fresh[REGISTRAR_BOUND_MAX];                        /* of this request */
	uint64_t instance[REGISTRAR_BOUND_MAX]; /* hash of +sip.instance and reg-id; 0: none */
	/* Made for so many, when they are asked for: */
	unsigned hashed, keyed;
	uint64_t bytes[REGISTRAR_BOUND_MAX]; /* hash of the URI as it stands */
	uint64_t key[REGISTRAR_BOUND_MAX];   /* hash of what equal URIs have in common */
	bool changed;
	int32_t result; /* what save() returns */
};

/* Takes the contacts of a request, in their order, into what is registered. RFC 3261 10.3 steps 6
 * and 7. */
enum registrar_refusal registrar_bind(
	struct registrar_bindings *b, const struct registrar_request *q);
/* Those that stand then, at most LOCATION_CONTACTS_MAX, by falling q, among equals in the order in
 * which they came (as Kamailio has it); returns how many. */
unsigned registrar_bound(
	const struct registrar_bindings *b, struct location_contact out[LOCATION_CONTACTS_MAX]);

/* ---- row.c: contacts as rows ---- */

/* Of both schemas, OpenSER 1.3's and Kamailio's. */
#define REGISTRAR_COLUMNS \
	"username,domain,contact,received,path,expires,q,callid,cseq,last_modified,flags,cflags," \
	"socket,methods"
#define REGISTRAR_READ_TYPES "ssssssrsisiisissi"
/* ... behind which user_agent, ruid, instance and reg_id are written, and all of them but ruid are
 * read. */
#define REGISTRAR_WRITE_PARAMS 18
/* What is written of a row that is there, in the order of the columns. */
#define REGISTRAR_REFRESH \
	"received=?,path=?,expires=?,q=?,callid=?,cseq=?,last_modified=?,flags=?,cflags=?," \
	"socket=?,methods=?,user_agent=?"
#define REGISTRAR_REFRESH_PARAMS 12

/* What a second of the monotonic clock is of the day. Any thread: no lock. */
void registrar_row_time(const struct registrar *r, uint32_t second, char out[DB_TIME_TEXT]);

/* Seconds of the day count that a database's text stands for. False: it is no time. */
bool registrar_time_read(struct str s, int64_t *out);

/* Packed calls about one address-of-record; `len` is negative where they do not fit. */
struct registrar_packing {
	const struct registrar *r;
	const struct registrar_rows *rows;
	struct str user, domain;
	char *out;
	uint32_t size;
	int len;
};
void registrar_pack_begin(struct registrar_packing *k, const struct registrar *r, uint8_t table,
	struct str aor, char *out, uint32_t size);
/* One contact's row, or (no URI) all of the user's. */
void registrar_pack_remove(struct registrar_packing *k, struct str uri);
void registrar_pack_insert(struct registrar_packing *k, const struct location_contact *c);
/* The row of a binding that alone has its URI, whether it is there or not. One that is there keeps
 * its place, and the entries of indexes that are not about time: a file writes a third of the pages
 * that a deletion and an insertion would cost it. */
void registrar_pack_put(struct registrar_packing *k, const struct location_contact *c);

enum registrar_row { REGISTRAR_ROW_GOOD, REGISTRAR_ROW_ENDED, REGISTRAR_ROW_BAD };
/* With db_mode 3: the row of one binding, whoever has written it. */
void registrar_pack_remove_binding(struct registrar_packing *k, const struct location_contact *c);
/* Likewise: the question for the user's rows. */
void registrar_pack_read(struct registrar_packing *k, uint32_t now);

#define REGISTRAR_READ_COUNT (sizeof(REGISTRAR_READ_TYPES) - 1)
/* Rows of an answer to it; of one that has so many some may be missing. More than an
 * address-of-record may have: an engine that compares without case finds others', too. */
#define REGISTRAR_READ_ROWS DB_ROWS_MAX

/* A row as a contact; the spans are the row's. */
enum registrar_row registrar_row_read(const struct registrar *r, const struct db_value *v,
	uint32_t now, struct location_contact *c);
/* Its address-of-record, in the form in which it is looked up. */
bool registrar_row_aor(
	const struct registrar *r, const struct db_value *v, struct registrar_aor *aor);
/* Whether it is one of those that were asked for by an address-of-record. */
bool registrar_row_is_of(const struct registrar *r, const struct db_value *v, struct str aor);

/* Rows of one REGISTER at most that are looked for where they stand. */
#define REGISTRAR_PUT_MAX 4

/* ---- zone.c: moments in Unix seconds, and what clocks on the wall show, both as seconds of the
 * day count ---- */

/* What the monotonic clock's seconds are of the day from `now` on, Unix seconds, and what the
 * process's time zone makes of it. Control thread. */
void registrar_zone_publish(struct registrar *r, int64_t now, uint64_t now_ns);
/* The others are for any thread: no lock. */
int64_t registrar_zone_local(const struct registrar_zone *z, int64_t moment);
/* The moment of a local time: of two that have it (summer time ends) the later, and of one that no
 * moment has (it begins) as if it had not begun. So nothing ends early. */
int64_t registrar_zone_moment(const struct registrar_zone *z, int64_t local);
/* The least local time whose moment is not before this one. */
int64_t registrar_zone_least(const struct registrar_zone *z, int64_t moment);

/* ---- persist.c: contacts in a database ---- */

/* As registrar_zone_publish(), now. Control thread. */
void registrar_persist_clock(struct registrar *r, uint64_t now_ns);
/* statement.c: statements for all tables. 0, or -errno and a sentence. Control thread or loader. */
int registrar_persist_prepare(struct registrar *r, const struct registrar_usrloc *p,
	struct registrar_usrloc_settings *s, char *error, size_t error_size);
/* A way to the database for each slow lcore. 0 or -errno. Control thread. */
int registrar_persist_lanes(struct registrar *r);
/* All that stands is to be written: rows were not kept so far. Control thread. */
void registrar_persist_all(struct registrar *r);
/* Once a second: rows that have ended go. Control thread. */
void registrar_persist_tick(struct registrar *r, uint64_t now_ns);
/*
 * What a REGISTER changes, as packed calls. `b` is of q->set as it stood before. Returns how many
 * bytes, 0: nothing; negative: they do not fit.
 */
int registrar_persist_pack(const struct registrar_request *q, const struct registrar_bindings *b,
	char *out, uint32_t size);
/* The same of an address-of-record that loses its contacts, or the one of that URI. */
int registrar_persist_pack_none(const struct registrar *r, uint8_t table, struct str aor,
	struct str uri, char *out, uint32_t size);
/* Sends calls about an address-of-record that nobody waits for. False: there is no room;
 * registrar_persist_poll() makes it good. The thread of slow lcore `shard`. */
bool registrar_persist_send(
	struct registrar *r, unsigned shard, struct hash128 digest, struct str calls);
/* Has the rows of an address-of-record be what stands in memory, `set`. `always`: where there is no
 * room, registrar_persist_poll() makes that good, too. The thread of slow lcore `shard`. */
void registrar_persist_repair(struct registrar *r, unsigned shard, uint8_t table, struct str aor,
	struct hash128 digest, const struct location_set *set, bool always);
/* How often that or another sending has happened. The same thread. */
uint32_t registrar_persist_sent(const struct registrar *r, unsigned shard, struct hash128 digest);

/* ---- save.c, for only.c ---- */

/* The calls of a change, as far as there is a database to keep it. */
struct registrar_change {
	int len;
	char calls[DB_CALL_MAX];
};

/* Counts it and answers, as far as the call is to; what save() returns. */
int32_t registrar_save_refuse(struct registrar_request *q, enum registrar_refusal refusal);
/* Whether a 200 with these contacts has room, where there is one. */
bool registrar_save_fits(
	const struct registrar_request *q, const struct location_contact *contact, unsigned count);
int32_t registrar_save_accept(struct registrar_request *q, const struct location_contact *contact,
	unsigned count, int32_t result);
/* What is wanted, of what is registered: bindings, what stands then, and its rows. */
enum registrar_refusal registrar_save_prepare(struct registrar_request *q,
	struct registrar_bindings *b, struct location_contact *standing, unsigned *count,
	struct registrar_change *change);

#define REGISTRAR_SAVE_FETCHED 4 /* what save() returns of a REGISTER that only asks */

/* ---- turn.c: with db_mode 3, one at a time is at an address-of-record ---- */

#define REGISTRAR_TURN_PLACES (1u << 14)
#define REGISTRAR_TURN_LOOKS 16
/* How long one has its turn at most: longer than a message waits and is answered then. What it has
 * sent to the database may be committed later still; of that registrar_only_pack(). */
#define REGISTRAR_TURN_NS (12 * CLOCK_NS_PER_S)
/* How often a message looks whether it has its turn, PIPELINE_TURN_NS apart. */
#define REGISTRAR_TURN_TRIES 300

/* Those of a shard; pages come with their first use. NULL: not enough memory; free() ends it. */
struct registrar_turn *registrar_turns_create(void);

enum registrar_turn_is {
	REGISTRAR_TURN_MINE,  /* ctx->wait_note has its number and the second, as below */
	REGISTRAR_TURN_WAITS, /* ROUTE_PENDING, to be called again */
	REGISTRAR_TURN_COPY,  /* the very same request is at it, and answers */
	REGISTRAR_TURN_BUSY   /* it has waited long enough */
};
/*
 * Takes the turn, for a request whose transaction is `copy` (0: it has none). Who has it gives it
 * back: all waits within it are route_wait_holds(). It ends after REGISTRAR_TURN_NS at most. The
 * slow lcore of the shard, whose thread ctx has.
 */
enum registrar_turn_is registrar_turn_take(
	struct registrar *r, struct route_ctx *ctx, struct hash128 digest, struct hash128 copy);
void registrar_turn_give(struct registrar *r, const struct route_ctx *ctx, struct hash128 digest);
/* The second that is noted with a turn. */
static inline uint32_t registrar_turn_second(const struct route_ctx *ctx)
{
	return (uint32_t)ctx->wait_note;
}

/* ---- fetch.c: with db_mode 3, what is registered ---- */

enum registrar_fetched {
	REGISTRAR_FETCHED,
	REGISTRAR_FETCHING,       /* ROUTE_PENDING, to be called again */
	REGISTRAR_FETCH_FAILED,   /* the database does not answer, or says no */
	REGISTRAR_FETCH_TOO_MANY, /* contacts, or rows at all */
	REGISTRAR_FETCH_TOO_LONG
};
/*
 * Asks the database for the contacts of an address-of-record, as they are now, and waits. The set
 * is as location_read() makes it; `changing` is set, since nobody knows who came first before. The
 * answer is kept until route_asked_forget(). Counted. Any thread.
 */
enum registrar_fetched registrar_fetch(struct registrar *r, struct route_ctx *ctx,
	struct hash128 digest, uint8_t table, struct str aor, uint32_t now,
	struct location_set *set);
/* The set without contacts, and one more row of those of an address-of-record. */
void registrar_fetch_begin(struct location_set *set);
enum registrar_fetched registrar_fetch_row(const struct registrar *r, const struct db_value *v,
	struct str aor, uint32_t now, struct location_set *set, bool *malformed);
/* Whether it has been asked for, whatever came of it. */
bool registrar_has_fetched(struct route_ctx *ctx, struct hash128 digest);

/* ---- manage.c ---- */

/* Whether a contact is the one that is meant: to the letter, or as a URI. */
bool registrar_is_meant(const struct location_contact *c, struct str uri);

/* ---- only.c: save() and unregister() with db_mode 3 ---- */

int32_t registrar_only_save(struct registrar_request *q);
int32_t registrar_only_unregister(struct registrar *r, struct route_ctx *ctx, uint8_t table,
	struct str aor, struct hash128 digest);
/* What a REGISTER changes, as registrar_persist_pack(). */
int registrar_only_pack(const struct registrar_request *q, const struct registrar_bindings *b,
	char *out, uint32_t size);

/* ---- reply.c ---- */

/* Whether a 200 with these contacts has room. */
bool registrar_accept_fits(
	const struct registrar_request *q, const struct location_contact *contact, unsigned count);
/* Makes it the reply; registrar_accept_fits() was asked. */
void registrar_accept(
	const struct registrar_request *q, const struct location_contact *contact, unsigned count);
void registrar_refuse(const struct registrar_request *q, enum registrar_refusal refusal);

/* ---- follow.c: which contact a transaction goes to ---- */

#define REGISTRAR_LEAD_USUAL (-1) /* whoever comes first */

/* What keeps the last INVITEs, for all threads; pages come with their first use. NULL and errno. */
struct registrar_seen *registrar_seen_create(void);
void registrar_seen_destroy(struct registrar_seen *seen);
/* Of an INVITE that nothing has changed for: that it came. */
void registrar_note(struct registrar *r, struct route_ctx *ctx, struct hash128 digest);
/* Brings what that will write into the caches: to wait for it costs as much as the look-up. */
void registrar_note_bring(
	const struct registrar *r, struct route_ctx *ctx, const struct hash128 *digest);
/*
 * Of a request whose address-of-record is changing: the contact or former contact of the set that
 * it goes to first, or REGISTRAR_LEAD_USUAL; `usual` is the one that comes first now, -1: none.
 */
int registrar_follow(struct registrar *r, struct route_ctx *ctx, struct hash128 digest,
	const struct location_set *set, int usual);

/* ---- the functions (module.c has the tables) ---- */

/* What check() makes of a call's constant arguments. */
struct registrar_call {
	struct registrar_calls *calls; /* that it is one of; NULL: it names no table */
	uint8_t table;
	uint32_t lookup; /* REGISTRAR_LOOKUP_... */
	uint32_t flags;  /* REGISTRAR_SAVE_... */
	/* OpenSIPS' letters; -1: as the parameter says */
	int64_t max_contacts, min_expires, max_expires, path_mode;
};

/* lookup() with OpenSIPS' flags, which stand where the URI would */
#define REGISTRAR_LOOKUP_FLAGS 0x01
#define REGISTRAR_LOOKUP_METHODS 0x02
#define REGISTRAR_LOOKUP_ONE 0x04 /* no branches beside the Request-URI */

#define REGISTRAR_SAVE_MEMORY 0x01 /* there is nothing else yet */
#define REGISTRAR_SAVE_NO_REPLY 0x02
#define REGISTRAR_SAVE_REPLACE 0x04      /* the contact takes the place of all others */
#define REGISTRAR_SAVE_NO_VARIATION 0x10 /* of its expiry, whatever expires_range says */
#define REGISTRAR_SAVE_NUMBERS 0x17
#define REGISTRAR_SAVE_FORCE 0x100    /* beyond max_contacts the oldest goes */
#define REGISTRAR_SAVE_RECEIVED 0x200 /* as path_use_received */

#define REGISTRAR_RUN(name) int32_t name(struct route_ctx *ctx, const struct route_args *args)
#define REGISTRAR_CHECK(name) \
	int name(void *room, const void *config, const struct route_arg *arg, unsigned n, \
		const struct route_place *place, struct route_report *report, void **data)

/* A number of a call's letters, else the parameter's. */
static inline int64_t registrar_choice(int64_t of_call, int64_t of_param)
{
	return of_call >= 0 ? of_call : of_param;
}

REGISTRAR_RUN(registrar_run_save);
REGISTRAR_RUN(registrar_run_unregister);
REGISTRAR_RUN(registrar_run_add_sock_hdr);
/* Whether text can be the name of a header field. */
bool registrar_is_token(struct str s);
REGISTRAR_RUN(registrar_run_lookup);
REGISTRAR_RUN(registrar_run_lookup_to_dset);
REGISTRAR_RUN(registrar_run_lookup_branches);
REGISTRAR_RUN(registrar_run_registered);
REGISTRAR_RUN(registrar_run_is_registered);

extern const struct route_module registrar_module, registrar_usrloc_module;
