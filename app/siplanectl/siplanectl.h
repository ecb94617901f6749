/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * The program siplanectl: what operators did with openserctl. Users, groups, aliases, AVPs,
 * domains, addresses and the dispatcher's destinations are rows: it changes the database itself,
 * whether siplane runs or not, and then tells a running one to forget what it remembers of them, or
 * to read that list again. Contacts, the health of destinations and figures are the running
 * process's: it asks for them on the control socket (lib/control/rpc.h).
 *
 * Files: verbs (the table of all verbs, from which help, manual and completion are made), main,
 * settings (siplanectlrc), say (what it prints), client (the control socket), database, names,
 * password, user, group, alias, avp, domain, address, dispatcher, schema (verbs of databases),
 * location, server (verbs of the running process), manual.
 */
#include <jansson.h>

#include "base/base.h"
#include "base/clock.h"
#include "base/str.h"
#include "db/db.h"

/* Exit statuses. */
enum { DONE = 0, FAILED = 1, USAGE = 2 };

#define DOMAIN_MAX 64 /* bytes, as the columns have them */
#define NAME_MAX_BYTES 64
#define SOCKET_MAX 108 /* of a Unix socket's path, its NUL included */

/* ---- settings.c ---- */

struct settings {
	char domain[DOMAIN_MAX + 1]; /* of users who are named without one; may be empty */
	char realm[256];             /* of their passwords; empty: their domain */
	char db_url[DB_URL_MAX];
	char socket[SOCKET_MAX];
};

/*
 * What siplanectlrc says: of `file`, or where that is NULL of /etc/siplane/siplanectlrc and then of
 * ~/.siplanectlrc; then the environment. Lines are KEY=value as in openserctlrc, and nothing is
 * evaluated. Returns DONE, or FAILED where it has been said what is wrong.
 */
int settings_read(struct settings *s, const char *file);

/* ---- say.c ---- */

/* --json, for all that is printed. */
extern bool say_json;
/* An error: on standard error, or as a JSON object on standard output. Returns FAILED. */
int fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* That something was done: a sentence for people, and for --json an object {"done": sentence}. */
int done(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* A value as JSON, on lines of its own; takes it. */
int say_value(json_t *value);
/* Of an object's members, one a line; or as JSON. Takes it. */
int say_object(json_t *object);

/* A list: rows are objects of which people see `columns`, and --json all. */
struct table {
	const char *const *column; /* ends with NULL */
	json_t *rows;              /* that have not been printed */
	unsigned width[16];
	bool begun;
	uint64_t count;
};
void table_begin(struct table *t, const char *const *columns);
void table_row(struct table *t, json_t *row); /* takes it */
/* Prints the rest. `none`: what people read where there was no row. Returns DONE, or FAILED where
 * standard output takes no more. */
int table_end(struct table *t, const char *none);

/* What a verb does that takes longer than 2 s is said on a terminal, with the seconds. */
void progress_begin(const char *what);
void progress_end(void);

/* ---- the verbs' context ---- */

struct ctl {
	struct settings settings;
	unsigned timeout_s;
	struct db *db; /* open when it was needed */
	int database;
	int socket; /* -1: not connected */
};

/* ---- client.c ---- */

/* Asks the running siplane; takes `params` (NULL: none). DONE and the result, which is the
 * caller's; or FAILED, and it has been said. */
int ask_siplane(struct ctl *c, const char *method, json_t *params, json_t **result);
/* What a running siplane remembers of the database is old. Where none runs, there is nothing to do.
 */
void forget_rows(struct ctl *c);
/* The same for a list that it reads as a whole: `method` has it read again, unless its
 * configuration does not load the module. `what` there is in it, and which modparam reads the
 * table, for the warning where it reads none. */
void reload_list(struct ctl *c, const char *method, const char *what, const char *module);

/* ---- database.c ---- */

/* Asks or changes; takes no part of `param`. DONE, or FAILED and it has been said. */
struct query {
	const char *text, *otherwise, *columns; /* as in struct db_statement */
	const struct db_value *param;
	unsigned params;
	bool (*visit)(void *arg, const struct db_value *value, unsigned columns);
	void *arg;
	uint64_t changed; /* out */
	bool may_refuse;  /* DB_REFUSED is not said, but told: */
	bool refused;     /* out */
};
int ask_database(struct ctl *c, struct query *q);
/* Several changes, all or none. */
#define CHANGES_MAX 8
int change_database(struct ctl *c, const struct query *q, unsigned count);
int open_database(struct ctl *c);
/* Rows of a question as a table: its columns under these names. */
int show_rows(struct ctl *c, struct query *q, const char *const *columns, const char *none);
/* Whether there is any row. DONE or FAILED. */
int has_row(struct ctl *c, struct query *q, bool *found);

/* ---- names.c ---- */

struct user {
	char name[NAME_MAX_BYTES + 1], domain[DOMAIN_MAX + 1]; /* as typed, or as it is stored */
	char lower[DOMAIN_MAX + 1];                            /* the domain in lower case */
};
/* USER, USER@DOMAIN or a SIP URI. DONE, or FAILED and it has been said. */
int read_user(const struct ctl *c, const char *text, struct user *out);
/* Finds him, in whatever case his domain was typed: it is then as it is stored. FAILED where he is
 * not there, and it has been said. */
int need_user(struct ctl *c, struct user *user);
/* That nobody has this name or one that the registrar takes for the same, as a user or as an alias.
 * The domain is in lower case then. FAILED, and it has been said. */
int need_new(struct ctl *c, struct user *user);
bool is_domain(const char *text);
/* out[strlen(text) + 1] */
void lower_case(char *out, const char *text);

/* ---- password.c ---- */

#define PASSWORD_MAX 256
/* Asks for it twice on the terminal, without echo; where standard input is none, reads a line. DONE
 * or FAILED. */
int read_password(char out[PASSWORD_MAX + 1]);

enum ha1 { HA1_MD5, HA1_MD5_DOMAIN, HA1_SHA256, HA1_SHA512_256, HA1_COUNT };
#define HA1_TEXT 65
/* RFC 7616 3.4.2, RFC 8760: H(user:realm:password) in hexadecimal; MD5_DOMAIN with user@domain for
 * the user. False: the library has no such algorithm. */
bool make_ha1(enum ha1 kind, const struct user *user, const char *realm, const char *password,
	char out[HA1_TEXT]);

/* ---- avp.c ---- */

/* Options of its verbs, as kamctl has them: 'T' table, 'u' whose, 'a' attribute, 'v' value, 't'
 * type. */
void avp_option(int letter, const char *value);
/* Whether there were some: for other verbs that is wrong usage. */
bool avp_has_options(void);

/* ---- verbs.c ---- */

struct verb {
	const char *name; /* one word or two */
	const char *args;
	unsigned min, max; /* arguments */
	int (*run)(struct ctl *c, int argc, char **argv);
	const char *help; /* in a line */
	const char *more; /* the rest of it, or NULL */
};
extern const struct verb verbs[]; /* ends with a name NULL */

typedef int verb_run(struct ctl *c, int argc, char **argv);
verb_run verb_add, verb_rm, verb_passwd, verb_show, verb_online, verb_ul_show, verb_ul_rm,
	verb_ul_dump, verb_acl_show, verb_acl_grant, verb_acl_revoke, verb_alias_show,
	verb_avp_list, verb_avp_add, verb_avp_rm, verb_alias_add, verb_alias_rm, verb_domain_show,
	verb_domain_add, verb_domain_rm, verb_domain_reload, verb_address_show, verb_address_add,
	verb_address_rm, verb_address_reload, verb_dispatcher_show, verb_dispatcher_add,
	verb_dispatcher_rm, verb_ds_list, verb_ds_reload, verb_ds_up, verb_ds_down, verb_ds_enable,
	verb_ds_drain, verb_ds_disable, verb_stats, verb_uptime, verb_version, verb_reload,
	verb_methods, verb_call, verb_db_create, verb_db_migrate, verb_db_check;

/* ---- manual.c ---- */

void print_help(void);
void print_verb_help(const struct verb *verb);
/* What stands in the man page about verbs (scdoc), and the completion for bash. */
int print_manual(void);
int print_completion(void);
