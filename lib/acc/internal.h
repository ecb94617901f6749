/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/* What the files of lib/acc share. Nothing outside the room includes it, tests of the room apart.
 */
#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "acc/acc.h"
#include "base/arena.h"
#include "base/clock.h"
#include "base/digest_index.h"
#include "db/sql.h"
#include "route/variable.h"

#define ACC_LINE_MAX 32768 /* bytes of a line of the log */

/* ---- field.c: "name=$var;name=$hdr(x)" ---- */

struct acc_field {
	struct str name; /* of a column, or what stands before '=' in the log */
	struct route_format *format;
};

struct acc_fields {
	unsigned count;
	uint64_t digest; /* of names and variables: lists that have it are the same */
	struct acc_field field[ACC_FIELDS_MAX];
	char *names; /* where they stand */
};

/* Reads the value of parameter `param`; NULL: no fields. 0, or -errno after route_error().
 * `columns`: names are those of columns. */
int acc_fields_read(struct acc_fields *f, const char *text, const char *param, bool columns,
	struct route_report *report);
void acc_fields_free(struct acc_fields *f);
/* A table's or column's name. */
bool acc_is_name(struct str name);

/* ---- settings.c ---- */

struct acc_params {
	int64_t log_flag, log_missed_flag, log_level, db_flag, db_missed_flag;
	int64_t failed_flag, early_media, report_ack, report_cancels, extra_nullable;
	int64_t reason_from_hf, cdr_enable, cdr_log_enable, cdr_start_on_confirmed;
	int64_t cdr_expired, cdr_on_failed, cdr_extra_nullable, cdr_lifetime;
	int64_t detect_direction, time_mode; /* refused */
	const char *failed_filter, *log_facility, *cdr_facility, *log_extra, *db_extra, *cdr_extra,
		*multi_leg;
	const char *cdr_skip, *db_url, *table_acc, *table_missed, *table_cdrs;
	const char *method_column, *from_tag_column, *to_tag_column, *call_id_column;
	const char *code_column, *reason_column, *time_column;
	int64_t spool_size;
	const char *spool_file;
	const char *cdr_start_id, *cdr_end_id, *cdr_duration_id;
};

#define ACC_CODES 1000
#define ACC_NAME_MAX 64
#define ACC_PATH_MAX 1024

struct acc_settings {
	/* bits of the transaction's flags; 0: none */
	uint32_t log_flag, log_missed_flag, db_flag, db_missed_flag, failed_flag;
	bool early_media, report_ack, report_cancels, extra_nullable, reason_from_hf;
	bool cdr, cdr_log, cdr_confirmed, cdr_expired, cdr_on_failed, cdr_extra_nullable;
	uint64_t filter[(ACC_CODES + 63) / 64]; /* codes that are no failure to account */
	uint64_t lifetime_ns;
	int level, facility, cdr_facility;
	int statement_acc, statement_missed, statement_cdrs; /* -1: none */
	struct acc_fields log_extra, db_extra, cdr_extra;
	uint64_t spool_bytes;
	char spool_file[ACC_PATH_MAX];
	char start_id[ACC_NAME_MAX], end_id[ACC_NAME_MAX], duration_id[ACC_NAME_MAX];
};

static inline bool acc_is_filtered(const struct acc_settings *s, uint16_t code)
{
	return code < ACC_CODES && (s->filter[code / 64] >> (code % 64) & 1) != 0;
}

extern const struct acc_settings acc_initial;
/* 0, or -errno after route_error(). */
int acc_settings_make(struct acc *a, const struct acc_params *p, struct route_report *report,
	struct acc_settings **out);
void acc_settings_free(void *settings);

/* ---- the room ---- */

/* A ring of lines: one thread writes, one reads. */
struct acc_ring {
	_Alignas(64) _Atomic uint64_t head; /* read */
	_Alignas(64) _Atomic uint64_t tail; /* written */
	char *bytes;
};

struct acc_call; /* call.h */

struct acc_call_list {
	uint32_t oldest, newest;
};

struct acc_calls {
	struct acc_call *call;
	uint32_t room, fresh, free;
	struct acc_call_list last, ended;
	struct arena arena;
	struct digest_index *index;
	uint64_t *scratch; /* a text of the arena */
};

/* ACKs that were accounted lately. */
#define ACC_ACKS 4096
struct acc_ack {
	uint64_t digest;
	uint64_t until_ns;
};

struct acc_shard {
	_Alignas(64) _Atomic uint64_t count[ACC_COUNTER_COUNT];
	_Atomic(struct db_lane *) lane;
	uint64_t serial;    /* of its rows */
	unsigned module_at; /* "acc" among the modules of the last script */
	_Atomic(struct acc_ring *) ring;
	struct acc_calls calls;
	struct acc_ack *ack;
	struct sip_msg *response;
	uint32_t text_len;
	char *text;   /* ACC_SCRATCH: values of the record in hand */
	char *line;   /* ACC_LINE_MAX */
	char *packed; /* DB_CALL_MAX */
};
#define ACC_SCRATCH 20480

/* Nobody keeps his line away by what has to be escaped, four bytes for one: eight fields of ours,
 * or their numbers, with ';', a name and '='. */
static_assert(ACC_LINE_MAX >= (8 + ACC_FIELDS_MAX) * (ACC_NAME_MAX + 1 + 4 * 255),
	"a line may find no room");
static_assert(ACC_EXTRA_MAX <= 255 && ACC_CALL_ID_MAX <= 255 && ACC_URI_MAX <= 255 &&
		      ACC_TAG_MAX <= 255 && ACC_REASON_MAX <= 255,
	"a value is longer");
/* A record, a call's URIs, and three lists of extra fields stand there at one time. */
static_assert(ACC_SCRATCH >= ACC_METHOD_MAX + 3 * ACC_TAG_MAX + ACC_CALL_ID_MAX + 8 +
				     ACC_REASON_MAX + 2 * ACC_URI_MAX +
				     3 * ACC_FIELDS_MAX * ACC_EXTRA_MAX,
	"values of a record may find no room");

struct acc_log; /* log.c */

struct acc {
	struct acc_config config;
	_Atomic(const struct acc_settings *) settings; /* never NULL */
	_Atomic int64_t clock_offset_ns;               /* time of day minus CLOCK_MONOTONIC */
	_Atomic int64_t zone_s;                        /* local time minus UTC */
	struct hash_key key;                           /* of this process */
	uint64_t instance;                             /* of its rows */
	/* what functions of a script that is being loaded want */
	bool wants_log, wants_db;
	struct acc_log *log;
	uint64_t said_ns, said_lost, said_log_lost, said_displaced;
	struct acc_shard *shard;
};

static inline const struct acc_settings *acc_settings(const struct acc *a)
{
	return atomic_load_explicit(&a->settings, memory_order_acquire);
}

static inline void acc_count(struct acc_shard *sh, enum acc_counter counter)
{
	atomic_store_explicit(&sh->count[counter],
		atomic_load_explicit(&sh->count[counter], memory_order_relaxed) + 1,
		memory_order_relaxed);
}

/* ns of the time of day at that time of the monotonic clock. */
static inline int64_t acc_wall_ns(const struct acc *a, uint64_t ns)
{
	return (int64_t)ns + atomic_load_explicit(&a->clock_offset_ns, memory_order_relaxed);
}

/* ---- record.c ---- */

struct acc_value {
	bool null;
	struct str s;
};

struct acc_record {
	struct str method, from_tag, to_tag, call_id, code, reason;
	uint64_t at_ns; /* of the monotonic clock */
};

/* Begins another record: values of the one before are gone. */
void acc_begin(struct acc_shard *sh);
/* A text as databases take it, within `max` bytes. */
struct str acc_text(struct acc_shard *sh, struct str text, uint32_t max);
/* The same without characters above 0x7f, whatever the table's character set. */
struct str acc_ascii(struct acc_shard *sh, struct str text, uint32_t max);
/* One of those two once more, as it is. */
struct str acc_copy(struct acc_shard *sh, struct str text);
/* A transaction that has this response; `method` instead of the request's, where it is not empty.
 */
void acc_record_of(struct acc *a, struct acc_shard *sh, const struct acc_settings *s,
	const struct txn_news *news, struct str method, uint64_t now_ns, struct acc_record *out);
/* Extra fields over a message. */
void acc_extras(struct acc *a, struct acc_shard *sh, struct route_ctx *ctx,
	const struct acc_fields *f, struct acc_value out[ACC_FIELDS_MAX]);
/* "404 Not Found" of acc_*_request(). */
void acc_comment(struct acc *a, struct acc_shard *sh, struct str comment, struct acc_record *out);
/* Local time of a time of the monotonic clock, with a NUL. */
void acc_time_text(const struct acc *a, uint64_t ns, char out[DB_TIME_TEXT]);

/* ---- row.c ---- */

/* The statement of a table for transactions; or a negative errno and a sentence. */
int acc_statement(struct acc *a, const struct acc_params *p, const char *table,
	const struct acc_fields *extra, char *error, size_t error_size);
int acc_cdr_statement(struct acc *a, const struct acc_params *p, const struct acc_fields *extra,
	char *error, size_t error_size);
void acc_row(struct acc *a, unsigned shard, int statement, const struct acc_record *r,
	const struct acc_value *extra, unsigned extras, bool nullable);
/* What is known of a call that has ended. */
struct acc_cdr {
	uint64_t start_ns, end_ns; /* monotonic */
	struct str call_id, from_tag, to_tag, caller, callee, end;
	unsigned extras;
	struct acc_value extra[ACC_FIELDS_MAX];
};
void acc_cdr_row(
	struct acc *a, unsigned shard, const struct acc_settings *s, const struct acc_cdr *c);
/* Lanes of all shards, and their spool. 0 or -errno. Control thread. */
int acc_lanes(struct acc *a, const struct acc_settings *s);

/* ---- line.c ---- */

void acc_line(struct acc *a, unsigned shard, const struct acc_settings *s, struct str what,
	const struct acc_record *r, const struct acc_fields *f, const struct acc_value *extra);
void acc_cdr_line(struct acc *a, unsigned shard, const struct acc_settings *s, struct str what,
	const struct acc_cdr *c);

/* ---- log.c ---- */

/* The rings and their thread, where they are not there. 0 or -errno. Control thread. */
int acc_log_start(struct acc *a);
/* Writes what is there, and ends it; some seconds at most. False: it does not come back from
 * syslog, and all that it uses has to stay. */
bool acc_log_stop(struct acc *a);
/* The shard's thread: a line on its way. */
void acc_log_put(struct acc *a, unsigned shard, int facility, int level, struct str line);

/* ---- told.c ---- */

bool acc_wants(void *arg, enum txn_event event, uint8_t method, uint32_t flags);
void acc_told(void *arg, unsigned shard, const struct txn_news *news);
/* acc_log_request(), acc_db_request(). */
void acc_by_hand(struct acc *a, struct route_ctx *ctx, struct str comment, bool log,
	const struct acc_fields *db_extra, int statement);

/* ---- call_table.c ---- */

int acc_calls_create(struct acc_shard *sh, uint32_t room);
void acc_calls_destroy(struct acc_shard *sh);

/* ---- call.c ---- */

/* An INVITE was answered, a BYE has its final response, an INVITE has failed; their records. */
void acc_call_begin(struct acc *a, unsigned shard, const struct acc_settings *s,
	const struct txn_news *news, const struct acc_record *r);
void acc_call_end(struct acc *a, unsigned shard, const struct acc_settings *s,
	const struct txn_news *news, const struct acc_record *r);
void acc_call_failed(struct acc *a, unsigned shard, const struct acc_settings *s,
	const struct txn_news *news, const struct acc_record *r);
/* A 2xx that has come again, or is a fork's. */
void acc_call_again(
	struct acc *a, unsigned shard, const struct acc_settings *s, const struct txn_news *news);

extern const struct route_module acc_module; /* module.c */
