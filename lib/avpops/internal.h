/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/* What the files of lib/avpops share. Nothing outside the room includes it. */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "avpops/avpops.h"
#include "db/sql.h"
#include "route/avpops.h"
#include "route/variable.h"

#define AVPOPS_USER_MAX 255         /* bytes, as the column has them */
#define AVPOPS_DOMAIN_MAX 255       /* of a host name (RFC 1035) */
#define AVPOPS_NAME_MAX DB_NAME_MAX /* of a table's or column's name */
/* Different questions of avp_db_load(): of this script and all that were published. */
#define AVPOPS_SITES_MAX 256
#define AVPOPS_FUNCTIONS_MAX 16

/* modparam("avpops", ...) */
struct avpops_params {
	const char *db_url; /* NULL: the global one */
	const char *table, *uuid_column, *user_column, *domain_column;
	const char *attribute_column, *value_column, *type_column;
	const char *schemes; /* a line each; NULL: none */
	const char *aliases;
	int64_t use_domain, ttl, negative_ttl, query_ttl;
};

/* What identifies rows: bits. */
#define AVPOPS_UUID 1u
#define AVPOPS_USER 2u
#define AVPOPS_DOMAIN 4u

struct avpops {
	struct db *db;
	struct avpops_sites *sites;
};

#define AVPOPS_RUN(name) int32_t name(struct route_ctx *ctx, const struct route_args *args)
#define AVPOPS_CHECK(name) \
	int name(void *room, const void *config, const struct route_arg *arg, unsigned n, \
		const struct route_place *place, struct route_report *report, void **data)

/* ---- source.c: "$fu/username" ---- */

enum avpops_whose { AVPOPS_WHOSE_URI, AVPOPS_WHOSE_USER, AVPOPS_WHOSE_DOMAIN, AVPOPS_WHOSE_UUID };

struct avpops_source {
	enum avpops_whose whose;
	struct route_format *format;
};

/* Whose rows at run. */
struct avpops_who {
	unsigned known; /* bits: which of these are */
	struct str uuid, user, domain;
	char user_room[AVPOPS_USER_MAX], domain_room[AVPOPS_DOMAIN_MAX];
};

/* False after route_error(). */
bool avpops_read_source(
	const struct route_arg *arg, struct avpops_source *out, struct route_report *report);
/* The bits that rows of it are found by. */
unsigned avpops_keys(const struct avpops_source *source, const struct avpops_params *p);
/* False: the message has no such user. */
bool avpops_find_who(
	struct route_ctx *ctx, const struct avpops_source *source, struct avpops_who *who);
/* The values of those keys in the order uuid, user, domain; how many. */
unsigned avpops_put_keys(const struct avpops_who *who, unsigned keys, struct db_value *out);

/* ---- scheme.c ---- */

/* Where rows are: the module's table, another one, or a db_scheme. */
struct avpops_place {
	struct str table;
	struct str uuid_column, user_column, domain_column, value_column;
	bool scheme, numbers; /* of a scheme: there are no attributes; values are numbers */
};

/* "tabname", "$scheme", or empty: the module's own table. False after route_error(). */
bool avpops_read_place(const struct avpops_params *p, const struct route_arg *arg, struct str text,
	struct avpops_place *out, struct route_report *report);

/* ---- sql.c ---- */

/* " WHERE a = ? AND b = ?"; how many of them. */
unsigned avpops_add_keys(struct db_sql *q, const struct avpops_place *place, unsigned keys);
/* Whether the module's own columns have names that may stand in SQL; false after route_error(). */
bool avpops_check_columns(const struct avpops_params *p, const struct route_place *place,
	struct route_report *report);
/* The number of the database, or -errno after route_error(). */
int avpops_database(struct avpops *a, const struct avpops_params *p,
	const struct route_place *place, struct route_report *report);
/* The number of a statement, or -errno after route_error(). TTLs are the parameters'. */
int avpops_statement(struct avpops *a, const struct avpops_params *p, int database,
	struct db_statement *statement, const struct route_place *place,
	struct route_report *report);

/* ---- sites.c ---- */

struct avpops_question {
	unsigned statement, keys;
	int database;
	struct str table, attribute; /* empty: it asks for all */
};

/* A question that a script asks: what changes look for that make answers old. The loader writes
 * it while it is not published; it stays as it is from then on. */
struct avpops_site {
	unsigned statement, keys;
	int database;
	char table[AVPOPS_NAME_MAX + 1];
	char *attribute;        /* NULL: it asks for all */
	_Atomic uint32_t loads; /* avp_db_load()s of scripts that ask it */
	_Atomic bool published;
};

/* Scripts may outlive the room: the last of its users frees it. */
struct avpops_sites {
	_Atomic uint32_t users; /* the room, and each load that has a site */
	_Atomic unsigned count; /* behind these none was ever published */
	struct avpops_site site[AVPOPS_SITES_MAX];
};

/* With one user. NULL and errno. */
struct avpops_sites *avpops_sites_create(void);
void avpops_sites_leave(struct avpops_sites *sites);
/* The question's site, for one load, which gives it back. NULL and errno: ENOSPC, ENOMEM. Whoever
 * loads scripts. */
struct avpops_site *avpops_site_take(struct avpops_sites *sites, const struct avpops_question *q);
/* Any thread. */
void avpops_site_give(struct avpops_sites *sites, struct avpops_site *site);
/* What scripts ask now is looked for by changes, for good. Control thread. */
void avpops_sites_publish(struct avpops_sites *sites);

/* ---- load.c, change.c, query.c ---- */

AVPOPS_RUN(avpops_run_load);
AVPOPS_CHECK(avpops_check_load);
void avpops_free_load(void *data);
AVPOPS_RUN(avpops_run_store);
AVPOPS_CHECK(avpops_check_store);
AVPOPS_RUN(avpops_run_delete);
AVPOPS_CHECK(avpops_check_delete);
void avpops_free_change(void *data);
AVPOPS_RUN(avpops_run_query);
AVPOPS_CHECK(avpops_check_query);
void avpops_free_query(void *data);

/*
 * What a function makes of the message may be another thing when it is called again, as $TV and
 * $RANDOM are: it has to go on with the calls that it has waited for. Each says so by its `data`,
 * which is of one place in the script.
 */
/* The length of those calls, a copy in out[size]; 0: this function has not waited. */
int avpops_waited(struct route_ctx *ctx, const void *data, char *out, size_t size);
/* What became of a change, as functions return it; PENDING: of these calls nothing is known yet,
 * and they are waited for. */
int32_t avpops_change(struct route_ctx *ctx, const void *data, struct str calls);
/* As route_rows(). */
int32_t avpops_rows(struct route_ctx *ctx, const void *data, const struct db *db, struct str call,
	struct db_set *out);
