/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/* What the files of lib/access share: the room itself, its two kinds of tables, and the reader of
 * list files. */
#include <stdatomic.h>

#include "access/access.h"

/* ---- file ---- */

#define ACCESS_FILE_MAX (256u << 20) /* bytes of a list file */
#define ACCESS_FIELDS_MAX 8

/* One line that is not empty, cut at LWS. A '#' at the beginning of a field makes the rest of the
 * line a comment. */
struct access_line {
	const char *file;
	int number;
	unsigned count; /* fields; more than ACCESS_FIELDS_MAX are counted and not kept */
	struct str field[ACCESS_FIELDS_MAX];
	int column[ACCESS_FIELDS_MAX]; /* from 1 */
};

/* Where a field stands; where there is none, the last one. */
struct route_place access_line_place(const struct access_line *line, unsigned field);

/*
 * Reads a file and calls `take` for each line with fields; `take` reports what is wrong and the
 * reading goes on. The text lives until the call returns. Returns 0, or -errno after route_error().
 * Control thread.
 */
int access_file_read(const char *path, struct route_report *report,
	void (*take)(void *arg, const struct access_line *line), void *arg);

/* ---- address ---- */

struct access_addresses;

/* Builds a table from a file, NULL: an empty one. NULL after route_error(). Control thread. */
struct access_addresses *access_addresses_load(const char *path, struct route_report *report);
void access_addresses_free(void *table);
uint32_t access_addresses_count(const void *table); /* of its different lines */

struct access_match {
	uint32_t group;
	unsigned bits; /* of the prefix */
	struct str tag;
};
/* The first record that holds addr: of the longest prefix that is in `group` (0: any); port 0
 * matches any. */
bool access_addresses_find(const struct access_addresses *table, uint32_t group,
	const struct net_addr *addr, uint32_t port, struct access_match *out);
/* Whether there is one. */
bool access_addresses_match(const struct access_addresses *table, uint32_t group,
	const struct net_addr *addr, uint32_t port);
/* The first group of the longest prefix that holds addr, or -1. */
int64_t access_addresses_group(
	const struct access_addresses *table, const struct net_addr *addr, uint32_t port);

unsigned access_addresses_examples(
	const struct access_addresses *table, struct net_endpoint *out, unsigned max);

/* ---- domain ---- */

struct access_domains;

struct access_domains *access_domains_load(const char *path, struct route_report *report);
void access_domains_free(void *table);
uint32_t access_domains_count(const void *table);
bool access_domains_hold(const struct access_domains *table, struct str domain);
/* The same, and the id of the domain: what the table's column `did` has, else its name. */
bool access_domains_find(const struct access_domains *table, struct str domain, struct str *did);

/* ---- table: rows of a database ---- */

/* What is wrong with a row: it is left out. Those beyond the first few are counted. */
struct access_rows {
	struct route_report *report;
	const char *name; /* of the table */
	unsigned refused;
	const char *failed; /* why the table as a whole is no good; NULL: it is not so */
};
void access_row_refuse(struct access_rows *r, struct str value, const char *why);
/* Says how many more there were. */
void access_rows_end(const struct access_rows *r);
/* A column as text; empty where it is null. */
struct str access_row_text(const struct db_value *value);

/* ---- list: what a module's file and table say ---- */

enum access_which { ACCESS_ADDRESSES, ACCESS_DOMAINS, ACCESS_LISTS };
enum access_from { ACCESS_FILE, ACCESS_TABLE, ACCESS_SOURCES };
#define ACCESS_COLUMNS_MAX 5

/* Of a module's parameters. */
struct access_source {
	const char *file, *db_url, *table;
	const char *column[ACCESS_COLUMNS_MAX];
};

/* What differs between the two kinds. */
struct access_kind {
	const char *module;
	const char *types; /* of the columns */
	unsigned needed;   /* columns */
	/* NULL after route_error() */
	void *(*load)(const char *path, struct route_report *report);
	/* Builds from rows: begin, add for each, end. NULL: no memory; errno. */
	void *(*begin)(struct access_rows *rows);
	bool (*add)(void *building, const struct db_value *value);
	void *(*end)(void *building); /* the table, or NULL where the rows have failed */
	void (*free)(void *table);
	uint32_t (*count)(const void *table);
};
extern const struct access_kind access_addresses_kind, access_domains_kind;

struct access_prepared;

int access_list_prepare(struct access *a, enum access_which which,
	const struct access_source *source, bool with_table, struct route_report *report,
	struct access_prepared **out);
void access_list_publish(struct access *a, struct access_prepared *prepared);
void access_list_discard(struct access_prepared *prepared);

/* ---- the room ---- */

/* A table that was replaced while RCU had no room for it: tried again at the next publication. */
struct access_waiting {
	struct access_waiting *next;
	void *table;
	void (*free)(void *table);
};

/* What is known of a list; the control thread's, and a loader's while it prepares. */
struct access_list {
	bool published; /* ever */
	int statement;  /* that reads its table, -1: there is none */
	bool read;      /* rows of that table are known */
	bool old;       /* ... or are wanted, and the last time they could not be read */
	uint64_t retry_at, retry_after;
};

struct access {
	struct rcu *rcu;
	_Atomic(void *) list[ACCESS_LISTS][ACCESS_SOURCES]; /* NULL: nothing */
	_Atomic bool unread[ACCESS_LISTS]; /* a table is wanted, and was never read */
	_Atomic bool myself; /* domains of the list are names of ours (register_myself) */
	struct access_waiting *waiting; /* control thread */
	struct db *db;
	bool reads; /* tables are read: not for a configuration that is looked at only */
	struct access_list state[ACCESS_LISTS];
};

/* What is in force. RCU readers. */
static inline const void *access_current(
	const struct access *a, enum access_which which, enum access_from from)
{
	return atomic_load_explicit(&a->list[which][from], memory_order_acquire);
}
/* The record of the longest prefix that holds an address, of file and table. */
bool access_find_address(const struct access *a, uint32_t group, const struct net_addr *addr,
	uint32_t port, struct access_match *out);
bool access_find_domain(const struct access *a, struct str domain, struct str *did);

/* Takes a replaced table; it is freed when no reader holds it. Control thread. */
void access_retire(struct access *a, void *table, void (*free)(void *table));
