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

/* Whether `group` (0: any) holds addr; port 0 matches any. */
bool access_addresses_match(const struct access_addresses *table, uint32_t group,
	const struct net_addr *addr, uint16_t port);
/* The first group of the longest prefix that holds addr, or -1. */
int64_t access_addresses_group(
	const struct access_addresses *table, const struct net_addr *addr, uint16_t port);

unsigned access_addresses_examples(
	const struct access_addresses *table, struct net_endpoint *out, unsigned max);

/* ---- domain ---- */

struct access_domains;

struct access_domains *access_domains_load(const char *path, struct route_report *report);
void access_domains_free(void *table);
bool access_domains_hold(const struct access_domains *table, struct str domain);

/* ---- the room ---- */

/* A table that was replaced while RCU had no room for it: tried again at the next publication. */
struct access_waiting {
	struct access_waiting *next;
	void *table;
	void (*free)(void *table);
};

struct access {
	struct rcu *rcu;
	_Atomic(struct access_addresses *) addresses;
	_Atomic(struct access_domains *) domains;
	struct access_waiting *waiting; /* control thread */
};

/* Takes a replaced table; it is freed when no reader holds it. Control thread. */
void access_retire(struct access *a, void *table, void (*free)(void *table));
