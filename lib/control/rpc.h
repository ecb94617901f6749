/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * rpc: JSON-RPC 2.0 on a Unix stream socket, for siplanectl and whoever else manages siplane.
 *
 * A request is a JSON object, or an array of them (a batch), on one line or on many: it ends where
 * its last bracket closes. The answers come in the order of the requests, each on a line of its
 * own. A client may send its next request before it has the answer, or end its side and still get
 * what it asked for.
 *
 * All of it runs on the control thread, whose CPU a slow lcore or a worker may share. So nothing
 * here blocks: rpc_poll() takes what the sockets have, works for RPC_BUDGET_NS at most and one
 * command longer, and then leaves the CPU to others for RPC_REST times as long. A command does a
 * bounded piece of work: long lists come in pages, by a cursor. One that waits for another thread
 * says so, and is asked again each turn.
 *
 * Who may: the process's own user, root, and members of the group that the configuration names
 * (SO_PEERCRED, SO_PEERGROUPS; the file's mode says the same to the kernel). A stranger gets an
 * error and is counted.
 *
 * Every client is hostile. Each may have one request of RPC_REQUEST_MAX bytes here and one answer
 * of RPC_ANSWER_MAX: while an answer has not been read, its next request is not looked at; whoever
 * reads nothing of it for RPC_SLOW_NS is cut off. What is no JSON is answered and ends the
 * connection, as does a request that is not whole after RPC_HALF_NS. Where all places are taken, a
 * new client gets the one of whoever has been idle longest.
 *
 * rpc_place.c has the socket's name, which only who may write in its folder can take away, and that
 * is noticed; rpc.c the clients, rpc_request.c what stands in requests and answers, rpc_frame.c
 * where they end. None knows siplane's commands: those are commands.c's.
 */
#include <jansson.h>
#include <sys/types.h>

#include "base/clock.h"
#include "base/str.h"

#define RPC_CLIENTS_MAX 128
#define RPC_REQUEST_MAX 65536     /* bytes of an object or a batch */
#define RPC_DEPTH_MAX 16          /* brackets within brackets of a request */
#define RPC_BATCH_MAX 64          /* requests in a batch */
#define RPC_ANSWER_MAX (2u << 20) /* bytes of an answer, also of one within a batch */
#define RPC_PARAMS_MAX 6
#define RPC_BUDGET_NS (100 * CLOCK_NS_PER_US)
#define RPC_REST 4
#define RPC_LOOK_NS CLOCK_NS_PER_MS /* how often an idle socket is looked at */
#define RPC_WATCH_NS CLOCK_NS_PER_S /* how often its name is */
#define RPC_HALF_NS (10 * CLOCK_NS_PER_S)
#define RPC_SLOW_NS (10 * CLOCK_NS_PER_S)
#define RPC_IDLE_NS CLOCK_NS_PER_S /* idle for less, a client keeps its place */

/* ---- commands ---- */

/* JSON-RPC's own errors, and siplane's. */
enum rpc_error {
	RPC_ERROR_PARSE = -32700,
	RPC_ERROR_REQUEST = -32600,
	RPC_ERROR_METHOD = -32601,
	RPC_ERROR_PARAMS = -32602,
	RPC_ERROR_INTERNAL = -32603,
	RPC_ERROR_NOT_FOUND = -32001,
	RPC_ERROR_FAILED = -32002, /* it was tried, and the message says what was in the way */
	RPC_ERROR_STRANGER = -32003,
	RPC_ERROR_BUSY = -32004 /* no room now */
};

enum rpc_type { RPC_TEXT, RPC_NUMBER, RPC_TRUTH };

struct rpc_param {
	const char *name;
	enum rpc_type type;
	bool optional;
	const char *help;
};

#define RPC_MESSAGE_MAX 4096

/* A request under way. */
struct rpc_call {
	void *room;
	/* Of the types that the command's row says; NULL where it was left out. */
	const json_t *arg[RPC_PARAMS_MAX];
	/* What the command says: a result (the call's then), or an error. Neither: null. */
	json_t *result;
	int error;
	char message[RPC_MESSAGE_MAX];
	/* Set by a command that waits for another thread: asked again each turn, until it says true
	 * and has left a result or an error. It is asked until then though the client has gone. */
	bool (*again)(struct rpc_call *call);
	void *state; /* the command's, */
	/* ... let go of where the server ends before it is done; or NULL */
	void (*drop)(struct rpc_call *call);
};

/* Ends with a name NULL. */
struct rpc_command {
	const char *name;
	void (*run)(struct rpc_call *call);
	bool changes; /* something: the log says who asked */
	const char *help;
	struct rpc_param param[RPC_PARAMS_MAX + 1]; /* ends with a name NULL */
};

void rpc_fail(struct rpc_call *call, int error, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* Arguments: what stands there, or what is to stand for one that was left out. */
struct str rpc_text(const struct rpc_call *call, unsigned n);
int64_t rpc_number(const struct rpc_call *call, unsigned n, int64_t otherwise);
bool rpc_truth(const struct rpc_call *call, unsigned n, bool otherwise);
/* A JSON string of any bytes: what is no UTF-8 becomes U+FFFD. NULL: not enough memory. */
json_t *rpc_string(struct str text);
/* The table as rpc.list answers it. */
json_t *rpc_describe(const struct rpc_command *commands);

/* ---- the server: control thread ---- */

struct rpc;

struct rpc_config {
	const char *path;
	const char *group; /* whose members may connect, too; or NULL */
	const struct rpc_command *commands;
	void *room;
};

/*
 * Opens the socket, in place of one that a dead process left; makes the last folder of the path
 * where it is not there. NULL, and errno and a sentence: EADDRINUSE where a living process has it
 * (the sentence says which), EEXIST where the path is no socket. A folder
 * in which others may put a socket of their own is warned of.
 */
struct rpc *rpc_open(const struct rpc_config *config, char *error, size_t error_size);
/* Closes it and takes its name away. What commands wait for has ended: no other thread runs. */
void rpc_close(struct rpc *r);
/* Once a loop. The number of things done. */
unsigned rpc_poll(struct rpc *r, uint64_t now_ns);

/* RPC_COUNTER(enum suffix, counter name) */
#define RPC_COUNTERS(RPC_COUNTER) \
	RPC_COUNTER(CONNECTED, "control_connected") /* clients that were let in */ \
	RPC_COUNTER(STRANGERS, "control_strangers") /* ... and were not, for who they are */ \
	RPC_COUNTER(FULL, "control_full")           /* ... for want of a place */ \
	RPC_COUNTER(REPLACED, "control_replaced")   /* idle ones that made room */ \
	RPC_COUNTER(REQUESTS, "control_requests")   /* objects, also of batches */ \
	RPC_COUNTER(ERRORS, "control_errors")       /* answers that are errors */ \
	RPC_COUNTER(GARBAGE, "control_garbage")     /* clients closed for what they sent */ \
	RPC_COUNTER(HALF, "control_half")           /* ... for a request without an end */ \
	RPC_COUNTER(SLOW, "control_slow")           /* ... because they did not read */ \
	RPC_COUNTER(LOST, "control_lost")           /* times that the name led elsewhere */ \
	RPC_COUNTER(CLIENTS, "control_clients")     /* now */

enum rpc_counter {
#define RPC_COUNTER(id, name) RPC_COUNTER_##id,
	RPC_COUNTERS(RPC_COUNTER)
#undef RPC_COUNTER
		RPC_COUNTER_COUNT
};
/* Any thread. */
uint64_t rpc_counter(const struct rpc *r, enum rpc_counter counter);
const char *rpc_counter_name(enum rpc_counter counter);

/* ---- for the server's own files, tests and the fuzzer ---- */

/* Where a request ends in a stream that may stop anywhere. All zero at first. */
struct rpc_frame {
	uint32_t depth;
	bool text, escape;
};
enum rpc_framed { RPC_FRAME_MORE, RPC_FRAME_WHOLE, RPC_FRAME_BAD };
/* Reads on from in[*at]; WHOLE: it ends before in[*at], and the frame is as at first. BAD: no
 * request begins so, or it is too deep. White space before a request is the caller's to skip. */
enum rpc_framed rpc_frame_read(struct rpc_frame *f, const char *in, size_t len, size_t *at);

/* Text that grows. */
struct rpc_out {
	char *text;
	size_t len, size;
};

/* What was framed, while it is worked on. */
struct rpc_work {
	json_t *request; /* NULL: nothing is */
	bool batch, answered;
	size_t member;
	const struct rpc_command *command; /* of the call */
	bool called;                       /* call is under way */
	bool failed;                       /* not enough memory: the client is closed */
	uint64_t requests, errors;
	struct rpc_call call;
};
/* Takes a framed request. What is no JSON is answered at once, and request is NULL. */
void rpc_work_begin(struct rpc_work *w, const char *text, size_t len, struct rpc_out *out);
/* Works on one member, or asks the one that waits again. False: it still waits. Whether all is done
 * says request == NULL. */
bool rpc_work_step(
	struct rpc_work *w, const struct rpc_command *commands, void *room, struct rpc_out *out);
/* Forgets all of it. */
void rpc_work_drop(struct rpc_work *w);
/* An answer that belongs to no request: an error with the id null. */
void rpc_out_error(struct rpc_out *out, int error, const char *message);
