/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * route: the routing language, which is the language of openser.cfg as today's operators write it.
 *
 * A file goes through preprocessor, lexer (flex), grammar (bison), checker and compiler to a struct
 * route_script: code for a small VM, constants, globals and the parameters of modules. Whatever can
 * be wrong is an error with line and column at that point. A worker runs a script over a message in
 * a struct route_ctx, which is caller-owned plain data: no allocation, bounded text, bounded steps.
 * Where an operation needs what the worker has not (state, a name's address, rows of a database),
 * the run stops *at that instruction* and the context can be copied to another core or thread with
 * its message, and resumed there.
 *
 * This room knows no function that does work on calls: rooms above register theirs in a struct
 * route_registry, one struct route_module for each OpenSER module name. What lives here are the
 * core statements, pseudo-variables, and textops-like functions on the message.
 *
 * Threads: loading, checking, explaining: control thread only. Running: any thread, with a
 * route_ctx and route_thread of its own.
 *
 * Files: source (preprocessor), lexer.l, grammar.y, ast, check (check_word, check_call), compile,
 * code, vm, explain, script, registry, config (globals, port, cores, listen), report (messages);
 * variable_*, transform, format, regex, function_* (core, textops, modules that keep state by
 * name), xlog, context, wait, thread.
 */
#include "db/db.h"
#include "net/net.h"
#include "sip/sip.h"

#define ROUTE_TEXT_MAX 8192   /* bytes of text that one run may make */
#define ROUTE_VARS_MAX 64     /* $var names of one script */
#define ROUTE_STACK_MAX 64    /* values on the VM's stack */
#define ROUTE_CALLS_MAX 32    /* depth of route(X) */
#define ROUTE_STEPS_MAX 65536 /* instructions of one run: what exceeds it is a loop */
#define ROUTE_MODULES_MAX 96
#define ROUTE_ARGS_MAX 8
#define ROUTE_BRANCHES_MAX \
	16                /* that append_branch() and lookup() may add to the Request-URI's own */
#define ROUTE_AVPS_MAX 64 /* values of all AVPs of one transaction */

/* ---- text and values ---- */

enum route_space { ROUTE_SPACE_NONE = 0, ROUTE_SPACE_MSG, ROUTE_SPACE_ARENA, ROUTE_SPACE_CONST };

/* Text by place, valid on every thread: in the message, in the context's own arena, or among the
 * script's constants. */
struct route_text {
	uint32_t off;
	uint32_t len : 30;
	uint32_t space : 2;
};
#define ROUTE_TEXT_NONE ((struct route_text){0, 0, ROUTE_SPACE_NONE})

enum route_type { ROUTE_NULL = 0, ROUTE_INT, ROUTE_STR };

/* A value as a function sees it; `s` is good until the function returns. */
struct route_value {
	enum route_type type;
	int64_t i;
	struct str s;
};

/* ---- results ---- */

/* Where a request goes. Set by forward() and its kin. */
struct route_target {
	struct net_endpoint ep;
	uint8_t transport;   /* enum sip_transport */
	int16_t listener;    /* the listener to send from, -1: by route */
	int32_t destination; /* id of a dispatcher destination, -1: none */
	bool valid;
};

struct route_result {
	bool forward, reply, drop;
	struct route_target target;
	uint16_t status; /* of our reply */
	struct route_text reason;
	struct route_text headers; /* lines for our reply, from append_to_reply() */
};

enum route_verdict {
	ROUTE_ENDED, /* look at ctx->result; none of its flags: the script took no action */
	ROUTE_SLOW,  /* stopped at an operation that needs state: ctx->stopped_at names it */
	ROUTE_WAIT,  /* stopped until what ctx->wait_for and ctx->wait name is there: route_resume()
			tries that instruction again */
	ROUTE_FAILED, /* see ctx->failure; the message gets 500 or is dropped */
};

/* ROUTE_FAILURE(enum suffix, counter name) */
#define ROUTE_FAILURES(ROUTE_FAILURE) \
	ROUTE_FAILURE(TEXT_FULL, "script_text_full") \
	ROUTE_FAILURE(STEPS, "script_steps") \
	ROUTE_FAILURE(STACK, "script_stack") \
	ROUTE_FAILURE(CALLS, "script_calls") \
	ROUTE_FAILURE(REGEX_LIMIT, "script_regex_limit") \
	ROUTE_FAILURE(AVPS_FULL, "script_avps_full") \
	ROUTE_FAILURE(LIST_UNREAD, "script_list_unread") \
	ROUTE_FAILURE(INTERNAL, "script_internal")

enum route_failure {
	ROUTE_FAILURE_NONE = 0,
#define ROUTE_FAILURE(id, name) ROUTE_FAILURE_##id,
	ROUTE_FAILURES(ROUTE_FAILURE)
#undef ROUTE_FAILURE
		ROUTE_FAILURE_COUNT
};

/* What a run that has stopped waits for. */
enum route_wait {
	ROUTE_WAIT_NAME = 0, /* the address of a host */
	ROUTE_WAIT_ROWS,     /* db_fetch() of a packed call */
	ROUTE_WAIT_CHANGE,   /* db_change() of packed calls */
	ROUTE_WAIT_ANEW,     /* as ROWS, of what the cache has to forget before */
	ROUTE_WAIT_ASK,      /* db_ask() of a packed call: rows of now, which no cache keeps */
	ROUTE_WAIT_TURN,     /* nothing but a moment: somebody else is at what it wants */
};

/* What became of rows or of a change that were waited for. */
enum route_answer {
	ROUTE_ANSWER_NONE = 0, /* they were not */
	ROUTE_ANSWER_DONE,     /* db_find() has something to say; the change is committed */
	ROUTE_ANSWER_REFUSED,  /* the database says no */
	ROUTE_ANSWER_FAILED,   /* it does not answer: a change may or may not have been made */
	ROUTE_ANSWER_TOO_LONG, /* of ASK: rows that are more than a message has room for */
};

/* ---- the context of one message ---- */

/* Where a message came from. */
struct route_origin {
	struct net_endpoint src, dst;
	uint8_t transport; /* enum sip_transport */
	uint16_t listener; /* index of the listener that received it */
	uint16_t port;     /* index of the port (NIC) */
	uint8_t vlan_count;
	uint16_t vlan[NET_VLAN_TAGS_MAX];
};

/* A rectangle of plain data that a room keeps in a message's context; zeroed at reset. The room
 * casts it. */
#define ROUTE_SCRATCH_BYTES 128
enum route_scratch {
	ROUTE_SCRATCH_PROXY,
	ROUTE_SCRATCH_DISPATCH,
	ROUTE_SCRATCH_TXN,
	ROUTE_SCRATCH_COUNT
};

/* A value on the VM's stack or in a $var: plain data. */
struct route_cell {
	uint8_t type; /* enum route_type */
	bool stored;  /* of an AVP: this value stands in the database (avp_db_store()) */
	struct route_text text;
	int64_t i;
};

/* A target beside the Request-URI's own: of append_branch(), and of the further contacts that
 * lookup() found. t_relay() forks to all of them. */
#define ROUTE_Q_NONE UINT16_MAX /* no q was given: 1000 where they are compared */
struct route_branch {
	struct route_text uri;
	struct route_text du;   /* destination URI, NONE: none */
	struct route_text path; /* Route values that go above the message's own (RFC 3327 5.3) */
	struct route_text instance; /* +sip.instance of the contact (RFC 5626), with its quotes */
	struct route_target du_target; /* address behind du, where it is known (valid) */
	int16_t socket;                /* listener to send from, -1: by route */
	uint16_t q;                    /* thousandths, or ROUTE_Q_NONE */
	uint32_t flags;
	uint32_t reg_id;
};

/* A value of $avp(name). The one added last is found first. */
struct route_avp {
	struct route_text name; /* "s:" is not part of it; a number's is its digits */
	struct route_cell value;
};

struct route_script;
struct route_thread;

struct route_ctx {
	/* Bound with route_ctx_bind() on whichever thread runs it next; not plain data. */
	const struct route_script *script;
	struct route_thread *thread;
	char *buf; /* the message's text */
	/* What was found out about it before its script runs (registrar_bring()), or NULL. Good as
	 * long as it stays bound. */
	const void *brought;

	/* All below is plain data. */
	struct route_origin origin;
	uint64_t received_ns; /* clock_now_ns() of its arrival */
	uint16_t frames;      /* frames that the message came in, for the counters */

	/* what the script changed */
	struct route_text uri;         /* Request-URI to send, NONE: as received */
	struct route_text du;          /* destination URI ($du), NONE: none */
	struct route_target du_target; /* its address, where who set $du knows it (valid) */
	struct route_text path; /* of the Request-URI's own branch: see struct route_branch */
	struct route_text instance;
	/* failure_route, error_route: of the response that would go to the client; 0: there is
	 * none. Whoever runs the block sets them. */
	struct route_text reply_reason;
	struct route_text error; /* error_route: what is wrong with the request */
	uint16_t reply_status;
	uint32_t reg_id;
	int16_t socket;         /* forced listener ($fs), -1: none */
	uint16_t q;             /* of the Request-URI's own branch */
	uint32_t flags;         /* setflag() */
	uint32_t branch_flags;  /* of the Request-URI's own branch */
	int16_t shard;          /* slow lcore that must go on with it, -1: by Call-ID */
	uint8_t branches, avps; /* how many of branch[] and avp[] are in use */
	uint8_t waiting;        /* branch[ROUTE_BRANCHES_MAX - waiting] and on: contacts whose turn
				   comes later (t_load_contacts), the next one first */
	bool uri_spent; /* the Request-URI has its branch already; route_uri_changed() ends that */
	/* Credentials that were verified: index of their header line, plus one; 0: there are none
	 */
	uint8_t credentials;
	/* ... and were not, as their nonce is no good any more: the next challenge says so */
	bool stale_nonce;
	bool no_secret; /* ... nor could be, as the database did not answer: it is a 503 */
	bool changed;   /* avpops has changed rows, so that what the cache knows may be old */
	struct route_result result;
	_Alignas(16) uint8_t scratch[ROUTE_SCRATCH_COUNT][ROUTE_SCRATCH_BYTES];

	/* the VM */
	uint32_t pc, steps;
	uint16_t sp, calls;
	uint8_t failure;        /* enum route_failure */
	bool calling;           /* within a function's run(): what this block is at stands here */
	uint8_t in;             /* one enum route_in bit: the kind of block that runs */
	int32_t rc;             /* $rc: what the last function or route returned */
	uint32_t stopped_at;    /* ROUTE_SLOW: index into the script's code */
	struct route_text wait; /* ROUTE_WAIT: the host name, or packed calls */
	uint8_t wait_for;       /* enum route_wait */
	uint8_t wait_kind;      /* of a name: how it is looked up, enum resolve_kind */
	uint8_t answer;         /* enum route_answer: to the calls in `wait` */
	bool wait_holds;        /* route_wait_holds() */
	uint64_t wait_note;     /* of rows and changes: what who waits wants to know afterwards */
	uint32_t asked; /* answers of ASK in the arena, the last one's place plus one; 0: none */
	uint32_t call_pc[ROUTE_CALLS_MAX];
	uint64_t var_set; /* bit n: var[n] has been written in this run */
	struct route_cell var[ROUTE_VARS_MAX];
	struct route_cell stack[ROUTE_STACK_MAX];
	struct route_branch branch[ROUTE_BRANCHES_MAX];
	struct route_avp avp[ROUTE_AVPS_MAX];

	uint32_t text_len;
	struct sip_msg msg;
	struct sip_edits edits;
	char text[ROUTE_TEXT_MAX];
};

/* Says which script runs on which thread over which text. */
static inline void route_ctx_bind(struct route_ctx *ctx, const struct route_script *script,
	struct route_thread *thread, char *buf)
{
	ctx->script = script;
	ctx->thread = thread;
	ctx->buf = buf;
	ctx->brought = NULL;
}
/* Prepares a context for a new message whose msg has been indexed: everything but what it is bound
 * to, msg and the facts of arrival (origin, received_ns, frames) is reset. Cheap: the large arrays
 * are not touched. */
void route_ctx_reset(struct route_ctx *ctx);
/* Copies the plain data of a context, only the parts in use; what `to` is bound to stays, and its
 * next runner binds it. */
void route_ctx_copy(struct route_ctx *to, const struct route_ctx *from);

/*
 * What outlives a message in its transaction, packed: everything but the text, msg and the VM's
 * registers and stack. route_ctx_load() wants a context whose text has been indexed again and whose
 * script is the same; $var, edits and the arena are as they were, and the registers as after a
 * reset. As many bytes as route_ctx_saved_size() said, of any alignment.
 */
uint32_t route_ctx_saved_size(const struct route_ctx *ctx);
void route_ctx_save(const struct route_ctx *ctx, void *out);
void route_ctx_load(struct route_ctx *ctx, const void *saved);
/* The flags (setflag()) of what was saved. */
uint32_t route_ctx_saved_flags(const void *saved);
/*
 * Of what was saved, that which belongs to the transaction and not to its request: flags and AVPs,
 * into the context of a response, which is bound to the same script. `request` is the text that
 * route_ctx_load() would want. False: they find no room, and ctx->failure says so.
 */
bool route_ctx_load_shared(struct route_ctx *ctx, const void *saved, struct str request);
/*
 * Writes `saved` again with the flags, AVPs and (from a request) waiting contacts that ctx has now:
 * of a response after route_ctx_load_shared(), or of a request after route_ctx_load(). The size is
 * 0 where none of them has changed, or where they find no room: ctx->failure says so then.
 */
uint32_t route_ctx_update_size(struct route_ctx *ctx, const void *saved, struct str request);
void route_ctx_update(struct route_ctx *ctx, const void *saved, struct str request, void *out);

/* The span behind a text. Good while ctx, its buf and its script live. */
struct str route_text_str(const struct route_ctx *ctx, struct route_text text);
/* Copies a span into the arena. On failure (arena full) returns ROUTE_TEXT_NONE and sets
 * ctx->failure. */
struct route_text route_text_make(struct route_ctx *ctx, struct str s);
/* Joins spans into the arena. */
struct route_text route_text_join(struct route_ctx *ctx, const struct str *part, unsigned parts);
/* The same place where `s` lies in the message, the arena or the script's constants already, else a
 * copy in the arena. */
struct route_text route_text_keep(struct route_ctx *ctx, struct str s);
/* A place in the message as a text. */
static inline struct route_text route_text_of_span(struct sip_span span)
{
	return (struct route_text){span.off, span.len, ROUTE_SPACE_MSG};
}
/* The Request-URI as it will leave: ctx->uri or the message's. */
struct str route_ctx_uri(const struct route_ctx *ctx);
/* Whoever writes ctx->uri or ctx->du says so: it is a target that no branch has been made of yet.
 */
static inline void route_uri_changed(struct route_ctx *ctx)
{
	ctx->uri_spent = false;
}

/* ---- AVPs ---- */

/* The nth value of that name, the newest first; a negative n counts from the oldest. False, and
 * null, where there is none. */
bool route_avp_get(
	const struct route_ctx *ctx, struct str name, int64_t nth, struct route_value *out);
unsigned route_avp_count(const struct route_ctx *ctx, struct str name);
/* One value more, an int or a string. False where there is no room: ctx->failure is set. */
bool route_avp_add(struct route_ctx *ctx, struct str name, const struct route_value *value);
/* Takes the newest one away, or all; how many. */
unsigned route_avp_delete(struct route_ctx *ctx, struct str name, bool all);
/* The name in "$avp(s:x)", "avp(i:5)", "s:x", as a module's parameter has it, or of what that is an
 * alias of; empty: it is none. While a script is loaded. */
struct str route_avp_name(struct str spec);

/* ---- serial forking ---- */

/*
 * All targets, the Request-URI's and the branches, wait until route_branches_next(), in the order
 * of their q (those of none first), and no target is left; a single one is left as it is. What
 * waited before is forgotten. ROUTE_TRUE, or ROUTE_FALSE where they are too many.
 */
int32_t route_branches_load(struct route_ctx *ctx);
/* The waiting ones with the highest q become the targets, of one +sip.instance only one (the others
 * are next; RFC 5626 5.3). ROUTE_TRUE, -2 where none waits. (RFC 3261 16.6) */
int32_t route_branches_next(struct route_ctx *ctx);
/* Writes a q of thousandths as it stands in a Contact, "0.25"; its length. */
#define ROUTE_Q_TEXT 6
unsigned route_q_text(uint16_t q, char out[ROUTE_Q_TEXT]);

/* ---- per thread ---- */

struct route_xlog;

/* What a running thread brings along; one each, never shared. */
struct route_thread {
	uint32_t index;          /* worker number, for per-worker state of rooms */
	uint64_t now_ns;         /* time of the burst */
	uint64_t random;         /* state of route_random() */
	void *regex;             /* match data and JIT stack */
	struct route_xlog *xlog; /* lines for the control thread; may be NULL */
	bool has_state; /* a slow lcore: functions of ROUTE_PATH_SLOW that have a run() run here */
	uint16_t shard; /* ... and which of them this is */
};
/* Control thread, at start. Returns 0 or -errno. */
int route_thread_init(struct route_thread *thread, uint32_t index);
void route_thread_fini(struct route_thread *thread);
/* A number for load balancing, not for secrets (xorshift). */
uint64_t route_random(struct route_thread *thread);

/*
 * xlog: the worker stores the line's number and its values; the control thread puts the text
 * together and writes it. One each worker: a ring of bytes (a power of two, 8 KiB at least). What
 * does not fit is lost and counted; nothing ever waits.
 */
struct route_xlog *route_xlog_create(uint32_t bytes);
void route_xlog_destroy(struct route_xlog *xlog);
/*
 * Control thread: writes what is there, at most `per_second` lines (0: without limit); returns the
 * number of lines. Those over the rate and those lost are said once a second. Call it at least
 * every few milliseconds, and in any case within a minute of a script's end.
 */
unsigned route_xlog_drain(struct route_xlog *xlog, uint64_t now_ns, uint32_t per_second);
/* Lines above `level` need not be stored, since the log would not show them. At first all are. Any
 * thread. */
void route_xlog_set_level(struct route_xlog *xlog, enum log_level level);
/* Lines that found the ring full, ever. Any thread. */
uint64_t route_xlog_lost(const struct route_xlog *xlog);

/* ---- modules and functions ---- */

/* What a function returns. Any other positive number is true and any other negative one false, and
 * both are $rc. */
#define ROUTE_TRUE 1
#define ROUTE_FALSE (-1)
#define ROUTE_EXIT 0 /* ends the script, as `exit` does */
#define ROUTE_PENDING \
	INT32_MIN /* cannot go on here: route_wait_*() was called; call again later \
		   */
#define ROUTE_NEEDS_STATE (INT32_MIN + 1) /* this call needs the slow path after all */

/* EITHER counts as slow, but run() is asked on a worker first: ROUTE_NEEDS_STATE where it cannot.
 */
enum route_path { ROUTE_PATH_FAST = 0, ROUTE_PATH_SLOW, ROUTE_PATH_EITHER };

/* Blocks in which a function may stand. */
enum route_in {
	ROUTE_IN_REQUEST = 1 << 0,
	ROUTE_IN_REPLY = 1 << 1, /* onreply_route, reply_route */
	ROUTE_IN_FAILURE = 1 << 2,
	ROUTE_IN_BRANCH = 1 << 3,
	ROUTE_IN_EVENT = 1 << 4,
	ROUTE_IN_ERROR = 1 << 5, /* error_route */
	ROUTE_IN_ANY = 0x3f
};

struct route_args {
	const struct route_value *v;
	unsigned n;
	const void *data; /* what check() prepared */
	void *room;       /* given at route_registry_add() */
};

/*
 * Waiting, for functions. Each returns ROUTE_PENDING, which the function returns in its turn: it is
 * called again, from the start, when there is an answer, and all that it did before is done again.
 * ROUTE_FALSE: there is no room in the arena, and ctx->failure says so.
 *
 * A function that changes something has to be sure that it does not do so twice: where
 * route_answer() knows the calls, they have been made. In a branch_route that could not be, as one
 * that stops runs again from its start: such a function is none for ROUTE_IN_BRANCH.
 */
int32_t route_wait_name(struct route_ctx *ctx, struct str host, uint8_t kind);
int32_t route_wait_rows(struct route_ctx *ctx, struct str call);
int32_t route_wait_anew(struct route_ctx *ctx, struct str call);
int32_t route_wait_change(struct route_ctx *ctx, struct str calls);
/* What became of these calls, if they are what this message waited for last. It is said once: who
 * asks again, or makes them again, has not waited. */
enum route_answer route_answer(struct route_ctx *ctx, struct str calls);
/* The same for whatever calls of that kind they were: for a function that would not make the same
 * ones again, as they say what time it is. */
enum route_answer route_answer_any(struct route_ctx *ctx, enum route_wait what);

/*
 * Rows as they are now: they wait in the arena, below the key that the function gave, until it
 * forgets them. So one that wants those of several keys asks for one after the other, and finds all
 * of them when it is called for the last time.
 */
#define ROUTE_ASK_BYTES 32 /* of the arena, beside the call or its rows */
int32_t route_wait_ask(struct route_ctx *ctx, struct hash128 key, struct str call);
/* What became of a key's question: NONE, it was not asked. `*rows`: those of DONE, for
 * db_rows_next(); good until something is forgotten. */
enum route_answer route_asked(struct route_ctx *ctx, struct hash128 key, struct str *rows);
/* Forgets all answers; what of them is the last text of the arena is given back. */
void route_asked_forget(struct route_ctx *ctx);
/* How many bytes that would be. */
uint32_t route_asked_bytes(const struct route_ctx *ctx);
/* Comes back in a moment. What for says who called it. */
int32_t route_wait_turn(struct route_ctx *ctx);
/*
 * Of what one of these (but for a name) has returned: who waits holds something that others want,
 * and gives it back when it is called again. So it is called again in any case, with FAILED where
 * there was no room to wait or no time; any other run that cannot wait ends there. Returns `rc`.
 */
static inline int32_t route_wait_holds(struct route_ctx *ctx, int32_t rc)
{
	ctx->wait_holds = rc == ROUTE_PENDING;
	return rc;
}

/* What route_rows() returns beside ROUTE_TRUE (found), ROUTE_FALSE (there is no such row) and
 * ROUTE_PENDING. */
#define ROUTE_NO_ROWS (-2) /* the database does not answer, or says no; ctx->failure may be set */

/* Looks rows up, and waits for them once where they are not there. */
static inline int32_t route_rows(
	struct route_ctx *ctx, const struct db *db, struct str call, struct db_set *out)
{
	enum db_found found = db_find(db, call, ctx->thread->now_ns, out);
	bool waited = route_answer(ctx, call) != ROUTE_ANSWER_NONE;

	if (found == DB_MISSING && !waited && route_wait_rows(ctx, call) == ROUTE_PENDING)
		return ROUTE_PENDING;
	return found == DB_FOUND ? ROUTE_TRUE : found == DB_NO_ROW ? ROUTE_FALSE : ROUTE_NO_ROWS;
}

/* Where something stands in the configuration. */
struct route_place {
	const char *file;
	int line, column;
	int length; /* columns to underline; 1 where unknown */
};

/* Collects errors and warnings of a load; control thread. */
struct route_report;
struct route_report *route_report_create(void);
void route_report_destroy(struct route_report *report);
void route_error(struct route_report *report, const struct route_place *place, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void route_warning(struct route_report *report, const struct route_place *place, const char *fmt,
	...) __attribute__((format(printf, 3, 4)));
unsigned route_report_errors(const struct route_report *report);
unsigned route_report_warnings(const struct route_report *report);
/* Everything reported, as "file:line:column: error: text", the offending line and its underline, a
 * line each; owned by report. */
const char *route_report_text(const struct route_report *report);

/* An argument at load: constant where its value does not depend on the message. */
struct route_arg {
	bool constant;
	struct route_value value; /* of a constant */
	struct route_place place;
};

struct route_function {
	const char *name;
	uint8_t args_min, args_max;
	enum route_path path;
	uint16_t in; /* enum route_in bits */
	/*
	 * Does the work. NULL only with ROUTE_PATH_SLOW. Runs on workers: never blocks, allocates,
	 * logs, locks.
	 */
	int32_t (*run)(struct route_ctx *ctx, const struct route_args *args);
	/*
	 * Optional, at load: checks constant arguments and may prepare data (freed with free_data).
	 * Returns 0, or -EINVAL after route_error().
	 */
	int (*check)(void *room, const void *config, const struct route_arg *arg, unsigned n,
		const struct route_place *place, struct route_report *report, void **data);
	void (*free_data)(void *data);
	const char *usage;     /* "ds_select_dst(set, algorithm [, limit])" */
	const char *help;      /* one sentence for the reference */
	const char *rfc;       /* what it does by: "3261 16.6"; NULL where there is none */
	const char *statement; /* where it is also a statement or has a second name in the core
				  language, e.g. "seturi"; else NULL */
	/*
	 * Bit n: argument n is a pattern or a format that the function reads itself. Its string
	 * literal reaches check() as written (constant, with its `$` signs) and is not evaluated at
	 * run: v[n] is then ROUTE_NULL. An argument there that is no literal is evaluated as any
	 * other, and not constant.
	 */
	uint8_t raw;
};

/* FILE: a string, relative to the folder of the configuration file that names it. */
enum route_param_type { ROUTE_PARAM_INT, ROUTE_PARAM_STR, ROUTE_PARAM_FILE };

/* A modparam: where its value goes in the module's config struct (int64_t, or const char * that
 * lives as long as the script). */
struct route_param {
	const char *name;
	enum route_param_type type;
	size_t offset;
	int64_t min, max; /* INT */
	int64_t scale;    /* INT: what is stored is so many times what is written; 0: 1 */
	/* INT in ms, which OpenSER has in seconds: what is below it can only be those. It is stored
	 * times 1000, and a warning says so. */
	int64_t seconds_below;
	const char *initial; /* default, as text; NULL: 0 or NULL */
	const char *help;
	bool adds;          /* STR: may be said again: what is said is a line each then */
	bool accepted_only; /* known from OpenSER, without effect here: a warning says so */
	const char
		*refused; /* INT: why each value but 0 is an error: "name 3 WHY"; NULL: none is */
};

/* What stands in the parentheses of $name(...). */
enum route_variable_index { ROUTE_INDEX_NONE, ROUTE_INDEX_NAME };

/* Which value of a pseudo-variable is meant. */
struct route_index {
	struct str name; /* in its parentheses */
	int32_t element; /* $(name(x)[n]): 0 is the first, -1 the last */
	int16_t slot;    /* the $var that n stands in, or -1: ask route_index_element() */
	bool given;      /* there was a [ ] */
	bool all;        /* [*] */
	void *room;      /* given at route_registry_add() */
};
/* The number in [ ]; 0 where there is none. */
int64_t route_index_element(const struct route_ctx *ctx, const struct route_index *index);

/* A pseudo-variable: what `$ru` or `$hdr(Subject)` reads and what an assignment to it changes. */
struct route_variable {
	const char *name; /* without '$' */
	enum route_variable_index index;
	bool elements; /* takes [n] and [*] */
	/*
	 * Reads into *out: an int, a string (spans of the message or of ctx's arena), or ROUTE_NULL
	 * where the message has no such thing. Returns false where ctx->failure was set.
	 */
	bool (*get)(
		struct route_ctx *ctx, const struct route_index *index, struct route_value *out);
	/* Assigns; NULL where it is read-only. `$x = $null` passes ROUTE_NULL. Returns false where
	 * it cannot be (the assignment is then -1 in $rc, or ctx->failure is set). */
	bool (*set)(struct route_ctx *ctx, const struct route_index *index,
		const struct route_value *value);
	/* Checks the name in parentheses at load, and may cut it: NULL accepts any non-empty one.
	 */
	bool (*check_index)(struct str *name);
	const char *help;
};

struct route_module {
	const char *name; /* "dispatcher"; "" for the core, which is always loaded */
	const struct route_function *functions; /* ends with .name == NULL */
	const struct route_param *params;       /* likewise; may be NULL */
	size_t config_size;
	/*
	 * Optional. Builds what the script's generation needs of this room (lists, tables) before
	 * anything is published. 0, or -errno after route_error(). Control thread.
	 */
	int (*prepare)(
		void *room, const void *config, struct route_report *report, void **prepared);
	/* Makes it current (one store; RCU frees what it replaces). Cannot fail. */
	void (*publish)(void *room, void *prepared);
	/* Frees what was prepared and not published. */
	void (*discard)(void *room, void *prepared);
	const struct route_variable *variables; /* ends with .name == NULL; may be NULL */
	bool always; /* it is there without its loadmodule, as the core's are */
};

/* What the language asks of rooms above it. */
struct route_hooks {
	void *room;
	/* `myself`: host:port is one of our listeners, advertised names or aliases. port 0: any;
	 * transport NONE: any. */
	bool (*is_myself)(void *room, struct str host, uint16_t port, enum sip_transport transport);
	/* Optional: some of our names are in a list that could not be read yet, so that a host
	 * which is none of them may still be one. Scripts that ask fail then. */
	bool (*myself_is_unread)(void *room);
	/* "udp:10.0.0.5:5060" or a listener's name: its index, or -1. */
	int (*find_listener)(void *room, struct str text);
	/* $Ri-like text of a listener: writes at most `size` bytes, returns the length. */
	unsigned (*listener_text)(void *room, unsigned listener, char *out, unsigned size);
};

struct route_config;

struct route_registry {
	/* Optional: the globals of a script that is being loaded, before its functions are checked:
	 * of use to rooms whose checks go by them. As `configured`. */
	int (*globals)(void *arg, const struct route_config *config, struct route_report *report);
	void *globals_arg;
	/*
	 * Optional: the globals of a script that is being loaded, before its modules prepare. 0, or
	 * -errno after route_error(). Control thread.
	 */
	int (*configured)(
		void *arg, const struct route_config *config, struct route_report *report);
	void *configured_arg;
	unsigned count;
	const struct route_module *module[ROUTE_MODULES_MAX];
	void *room[ROUTE_MODULES_MAX];
	struct route_hooks hooks;
};

/* Returns 0, or -ENOSPC, -EEXIST. The core's own modules are added by route_registry_init(). */
void route_registry_init(struct route_registry *registry);
int route_registry_add(
	struct route_registry *registry, const struct route_module *module, void *room);

/* ---- configuration: the globals ---- */

#define ROUTE_PORTS_MAX 16
#define ROUTE_LISTEN_MAX 64
#define ROUTE_ALIAS_MAX 256
#define ROUTE_ADDRESSES_MAX 16

struct route_config_port {
	struct route_place place;
	const char *name;
	const char *device; /* PCI address, or vdev name with arguments */
	const char
		*address[ROUTE_ADDRESSES_MAX]; /* "10.0.0.5/24": put on the exception interface */
	unsigned addresses;
	const char *gateway[2];       /* default route per family, or NULL */
	const char *kernel_interface; /* name of the exception interface; NULL: "ct-" + name, cut to
					 15 bytes */
	const char *profile;          /* of drivers-config/profiles, NULL: by driver */
	int64_t mtu;                  /* 0: 1500 */
	int64_t queues;               /* 0: one a worker, as far as the device has them */
	int64_t rx_descriptors, tx_descriptors; /* 0: the profile's */
	int64_t vlan;                           /* VID of our traffic, -1: untagged */
	const char *mac; /* NULL: the device's, or for virtual ones a random local one */
};

struct route_config_listen {
	struct route_place place;
	enum sip_transport transport;
	const char *where; /* an address, or a port's name: all its addresses */
	uint16_t port;
	const char *advertise_host; /* or NULL */
	uint16_t advertise_port;    /* 0: none */
	const char *name;           /* `name "edge1"`, or NULL */
};

struct route_config_alias {
	const char *host;
	uint16_t port; /* 0: any */
	enum sip_transport transport;
};

enum route_idle { ROUTE_IDLE_POLL = 0, ROUTE_IDLE_SLEEP };

struct route_config {
	struct route_config_port port[ROUTE_PORTS_MAX];
	unsigned ports;
	struct route_config_listen listen[ROUTE_LISTEN_MAX];
	unsigned listens;
	struct route_config_alias alias[ROUTE_ALIAS_MAX];
	unsigned aliases;
	/* cores { } : CPU lists as text ("2-7"), NULL: chosen at start */
	const char *cores_control, *cores_slow, *cores_workers;
	int64_t slow_count;    /* slow lcores where no CPU list is given; 0: one */
	int64_t workers_count; /* workers = auto, or how many where no CPU list is given; 0: auto */
	enum route_idle idle;
	/* memory { } */
	/* 0: chosen */
	int64_t memory_contacts, memory_transactions, memory_messages, memory_rows;
	int64_t memory_huge; /* -1 auto, 0 no, 1 yes */
	const char *secret_file;
	const char *control_socket, *control_group;
	const char *user_agent_header, *server_header; /* server_signature */
	const char *scanner;                           /* forces a SIP scanner; NULL: the best */
	const char *dns_servers;                       /* "127.0.0.1:5353", NULL: resolv.conf */
	const char *db_url;                            /* of modules that name none */
	int64_t db_threads;                            /* of each database; 0: chosen */
	int64_t db_stale; /* seconds that an answer outlives its time while a database fails */
	const char *avp_aliases; /* "day=i:101;time=s:hours" */
	const char *advertised_address;
	int64_t advertised_port;
	int64_t debug; /* OpenSER's 3 is notice here */
	int64_t log_stderror, mhomed, require_token, port_default /* `port=5060` */, xlog_rate,
		token_trusted_group;
	int64_t dns_try_naptr;
	int64_t reply_rate; /* own error replies to one source a second */
};

/* ---- scripts ---- */

/*
 * Loads a file and everything it includes: checks and compiles it, fills module configs, calls each
 * loaded module's prepare(). Returns a script with one reference, or NULL with errors in report.
 * Nothing is published.
 */
struct route_script *route_script_load(
	const char *path, const struct route_registry *registry, struct route_report *report);
/* The same from memory; `name` stands for the file in messages. */
struct route_script *route_script_load_text(const char *name, struct str text,
	const struct route_registry *registry, struct route_report *report);
/* Publishes what the modules prepared: after this the script may run. Control thread. */
void route_script_publish(struct route_script *script);
/* Counted references: a context that leaves its worker holds one. Any thread. Not published ones
 * discard what was prepared. */
void route_script_ref(const struct route_script *script);
void route_script_unref(const struct route_script *script);
/* Whether the caller's reference is the only one: what it lets go of then ends on its own thread.
 */
bool route_script_is_last(const struct route_script *script);
const struct route_config *route_script_config(const struct route_script *script);
/* A module's parameters in this script; NULL where it is not loaded. */
const void *route_script_module_config(const struct route_script *script, const char *module);
/* The same for who asks for each message: `*at` is where it was found last, anything at first. */
const void *route_script_module_config_at(
	const struct route_script *script, const char *module, unsigned *at);
bool route_script_has_reply_route(const struct route_script *script);
bool route_script_has_error_route(const struct route_script *script);
/* Whether any of its statements needs the slow path. */
bool route_script_has_state(const struct route_script *script);
/* The number of branch_route[name], failure_route[name] or onreply_route[name] (`in`: one enum
 * route_in bit) or event_route[name], ROUTE_NO_BLOCK where there is none. */
#define ROUTE_NO_BLOCK UINT32_MAX
uint32_t route_script_block(const struct route_script *script, enum route_in in, struct str name);
/* What the spaces of texts and the variables ask of a script: its constants' text
 * (ROUTE_SPACE_CONST counts from here), and the hooks of its registry. */
struct str route_script_text(const struct route_script *script);
const struct route_hooks *route_script_hooks(const struct route_script *script);

/* ---- running ---- */

/*
 * Runs request_route over ctx->msg (a request) or reply_route (a response). The context is reset,
 * and buf, origin, script and thread are set. route_resume() goes on at the instruction where the
 * last run stopped.
 */
enum route_verdict route_run(struct route_ctx *ctx);
enum route_verdict route_resume(struct route_ctx *ctx);
/* Who got rows or a change for a run that stopped says so, and resumes it. The thread that has the
 * context. */
void route_answer_set(struct route_ctx *ctx, enum route_answer answer);
/* The same of ASK: where its rows go (db_rows_pack()), and how many bytes they were there;
 * negative: they had no room. */
char *route_answer_room(struct route_ctx *ctx, uint32_t *size);
void route_answer_rows(struct route_ctx *ctx, int len);
/* `verdict` of a run that nobody can wait for: rows and changes are as if the database had failed,
 * and it goes on. WAIT: it is a name that it wants. */
enum route_verdict route_resume_without(struct route_ctx *ctx, enum route_verdict verdict);
/* Nothing of the script is left to run: route_resume() ends at once. For a message that waits for
 * ctx->wait and that the caller goes on with itself. */
void route_stop(struct route_ctx *ctx);
/*
 * Runs another block over ctx->msg, `in` which: of a message that another block is running over
 * already (a function of ROUTE_PATH_SLOW calls this), or of one whose context was loaded. What that
 * block was at (pc, stack, calls, $rc) is as before afterwards; its steps count toward the bound of
 * both. ctx->result is the block's, but the header lines for our reply go on from those before.
 *
 * WAIT: where a function called this, it returns ROUTE_PENDING and is called again from the start
 * when there is an answer; otherwise the run stopped inside, and route_resume() goes on there.
 * SLOW: the block met a function that nothing runs.
 */
enum route_verdict route_run_block(struct route_ctx *ctx, uint32_t block, enum route_in in);

/*
 * Runs error_route over a request that is malformed, `error` says how, and ctx->result holds the
 * reply that it is to get. A block that neither replies nor drops leaves that reply, and so does
 * one that fails, waits or needs state: it cannot be gone on with.
 */
void route_run_error(struct route_ctx *ctx, struct str error);

/* The function name and place of a stop (ROUTE_SLOW), for the counter and the 500's reason. */
const char *route_stop_name(const struct route_ctx *ctx);

/* ---- explain ---- */

/* Prints each statement with its path ("fast", "slow") and a sum at the end. */
int route_explain(
	const struct route_script *script, int (*print)(void *arg, const char *line), void *arg);

/* Prints the reference of every global, statement, pseudo-variable, function and parameter, as
 * Markdown. */
void route_reference(const struct route_registry *registry,
	int (*print)(void *arg, const char *line), void *arg);
