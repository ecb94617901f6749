/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * The program siplane-gen: a SIP load generator and reflector. Private to app/siplane-gen.
 *
 * A run is: gen_options_parse() fills a struct gen_config; gen_open() reads the scenario and opens
 * sockets or devices; gen_trial() makes one open-loop run at a rate, any number of times;
 * gen_close(). One thread does it all: it sends what is due, reads what came, plays the reflector
 * where it stands on both sides, and looks at its timers.
 *
 * Files: options; scenario and scenario_* (a file becomes messages and steps), reference, template
 * (a message becomes copy and field instructions), calls and call_* (their state and steps), wheel
 * (timers), answer (what a response says), dialog (what a call keeps of it), build (messages of no
 * scenario), digest (authorization); reflect (the other side);
 * io_udp, io_dpdk, outbox
 * (bursts in and out); open, trial (the loop), own (the generator's part in what was lost), result
 * (table, JSON, progress), main. search, ndr, ser and report find rates by many trials and know
 * only this header.
 */
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/histogram.h"
#include "net/net.h"
#include "sip/sip.h"

#define GEN_ERROR_MAX 1024
#define GEN_MESSAGES_MAX 32  /* `message` blocks of a scenario */
#define GEN_CALLS_MAX 16     /* `call` blocks of a scenario */
#define GEN_ADDRESSES_MAX 4  /* of one device */
#define GEN_VARIABLES_MAX 32 /* --set NAME=VALUE */
#define GEN_PORTS_MAX 4096   /* source ports */
#define GEN_USERS 1000       /* values of {user} where --users does not say */
#define GEN_STATUS_MAX 700   /* SIP status codes are below */

/* Set by SIGINT and SIGTERM: the trial under way ends in order and gen_trial() returns -EINTR. */
extern volatile sig_atomic_t gen_interrupted;

/* ---- options ---- */

/* One side of the system under test: where messages leave and come in. */
struct gen_side {
	const char *device; /* a DPDK device as in siplane.cfg; NULL: kernel UDP sockets */
	const char
		*address[GEN_ADDRESSES_MAX]; /* ours: "10.0.0.2/24"; without length for sockets */
	unsigned addresses;
	const char *gateway;
	const char *peer_mac;           /* all frames go there: no ARP, no exception interface */
	const char *mac;                /* ours; NULL: the device's or a random one */
	uint16_t port_first, port_last; /* UDP ports of ours, both included */
	unsigned mtu;                   /* 0: the device's */
};

struct gen_variable {
	const char *name, *value;
};

/* What the command line said. Strings live as long as argv. */
struct gen_config {
	const char *scenario; /* NULL with `reflect` */
	bool reflect;         /* reflector alone */
	bool reflect_too;     /* caller and reflector in this process */
	struct gen_side caller, reflector;
	const char *target; /* HOST[:PORT] that requests are sent to, an address */
	const char *domain; /* of {domain}; NULL: the target */
	const char *profiles;
	bool udp;         /* --udp was said */
	int cpu;          /* -1: the first that the process may use */
	bool poll, sleep; /* --idle: with nothing to do it spins (devices), or sleeps (sockets) */
	/* load */
	double rate;       /* attempts a second; 0: as fast as it goes, --calls at a time */
	uint64_t attempts; /* 0: by `seconds` */
	double seconds;    /* 0 with attempts 0: 10 s */
	bool rate_said, seconds_said; /* on the command line */
	bool poisson;
	uint64_t seed;
	uint32_t calls; /* calls that may be open at once */
	bool no_retransmit;
	uint64_t t1_ns, t2_ns; /* RFC 3261 17.1.1.1 */
	uint64_t late_ns;      /* a slot that is sent later than this is missed */
	uint64_t threshold_ns; /* an answer that takes longer fails, whatever the scenario says; 0:
				  as the scenario says */
	uint64_t settle_ns;    /* before the first trial: ARP is answered, and nothing is sent */
	uint64_t drain_ns; /* longest wait for stragglers; UINT64_MAX: as long as calls are open */
	uint64_t users;    /* 0: GEN_USERS */
	bool random_users;
	const char *password; /* NULL: the scenario's auth_password; the reflector's "secret" */
	struct gen_variable variable[GEN_VARIABLES_MAX];
	unsigned variables;
	/* reflector */
	uint16_t reflect_status; /* of every INVITE; 200 */
	unsigned ringing;        /* 180s in front of each final answer to an INVITE */
	bool trying;             /* 100 in front of those */
	const char *challenge; /* algorithm of the digest that INVITE and REGISTER need, or NULL */
	/* output */
	bool json, quiet, debug;
	const char *histogram; /* FILE for latency points, or NULL */
};

/* Options beside our own, for verbs like `search`. */
struct gen_option {
	const char *name; /* long, without dashes */
	bool has_argument;
	/* 0, or -EINVAL after it has said why on standard error. */
	int (*take)(void *arg, const char *name, const char *value);
};

/*
 * Reads a command line: our options and those of `more` (ended by a NULL name, or NULL), and one
 * SCENARIO (none with --reflect). `usage` is printed for --help in front of the list of our
 * options. Returns 0, or the exit status + 1 with which to leave now (--help, --version, wrong
 * usage: said on standard error).
 */
int gen_options_parse(int argc, char **argv, const char *usage, const struct gen_option *more,
	void *arg, struct gen_config *out);
/*
 * What is wrong with where messages shall go and come from, as far as that can be told before
 * anything is opened: a sentence, which may stand in `text`; NULL: nothing.
 */
const char *gen_config_wrong(const struct gen_config *config, char *text, size_t size);
/* Says what is wrong with a command line. Returns the exit status + 1. */
int gen_usage_error(const char *what);
/* ADDRESS, ADDRESS:PORT, [ADDRESS]:PORT. 0 or -EINVAL. */
int gen_target_parse(const char *text, struct net_endpoint *out);
/* The part of --help that lists our options. */
extern const char gen_options_help[];
/* "2s", "250ms", "10us", "1m", a bare number is seconds. 0 or -EINVAL. */
int gen_duration_parse(const char *text, uint64_t *ns);
/* "1000", "50k", "1.5M". 0 or -EINVAL. */
int gen_number_parse(const char *text, double *out);

/* ---- result ---- */

/*
 * Why an attempt failed. An attempt is one `call` of the scenario played from start to end
 * (RFC 7501's session attempt or registration attempt). GEN_FAIL(enum suffix, name, what it says)
 */
#define GEN_FAILS(GEN_FAIL) \
	GEN_FAIL(TIMEOUT, "timeout", "no answer within its time") \
	GEN_FAIL(STATUS, "status", "answered with a status that was not expected") \
	GEN_FAIL(PEER, "peer", "ended by the other side (BYE)") \
	GEN_FAIL(DIALOG, "dialog", "route set, contact or challenge too long, or missing") \
	GEN_FAIL(FULL, "full", "no room for another open call (--calls)") \
	GEN_FAIL(SEND, "send", "the device or socket did not take the message") \
	GEN_FAIL(UNFINISHED, "unfinished", "still open when the run ended")

enum gen_fail {
#define GEN_FAIL(id, name, text) GEN_FAIL_##id,
	GEN_FAILS(GEN_FAIL)
#undef GEN_FAIL
		GEN_FAIL_COUNT
};
const char *gen_fail_text(enum gen_fail fail);

enum gen_limit {
	GEN_LIMIT_LATE,      /* more than GEN_MISSED_PER_MILLE of the slots were missed */
	GEN_LIMIT_CALLS,     /* the table of calls was full */
	GEN_LIMIT_SEND,      /* the device or socket did not take all messages */
	GEN_LIMIT_REFLECTOR, /* nor all answers of the reflector */
	GEN_LIMIT_RECEIVE,   /* or it lost some that came */
	GEN_LIMIT_FRAGMENTS, /* a device does not put fragments together */
};

/* Of one `message` of the scenario. */
struct gen_message_result {
	char name[32];
	uint64_t sent;            /* first transmissions */
	uint64_t answered;        /* finals */
	struct histogram latency; /* ns to its final answer, from where `first` begins */
};

/* What the reflector did. */
struct gen_reflected {
	uint64_t requests, responses; /* in, out */
	uint64_t requests_by[SIP_METHOD_COUNT];
	uint64_t acks;      /* absorbed */
	uint64_t malformed; /* not answered */
	uint64_t refused; /* responses that the device did not take, or that no buffer was left for
			   */
	uint64_t first_ns, last_ns; /* when the first and the last request came */
};

struct gen_result {
	/* attempts = ok + failed; slots = attempts + skipped */
	uint64_t slots;    /* moments at which the rate wanted an attempt */
	uint64_t attempts; /* begun */
	uint64_t ok, failed;
	uint64_t failed_by[GEN_FAIL_COUNT];
	uint64_t failed_status[GEN_STATUS_MAX]; /* GEN_FAIL_STATUS by status */
	/* messages; what our own device refused was not sent, and is not among them */
	uint64_t sent;                      /* all, retransmissions included */
	uint64_t sent_by[SIP_METHOD_COUNT]; /* requests; NONE: responses */
	uint64_t retransmissions;
	uint64_t received;
	uint64_t received_by[GEN_STATUS_MAX]; /* responses by status, duplicates included */
	uint64_t received_requests;           /* that came to the caller; answered as a UA does */
	uint64_t forked;    /* 2xx of another branch to an INVITE: acknowledged, and ended by BYE */
	uint64_t uncleared; /* CANCEL, BYE and PRACK of our own, and 200s, that nobody answered */
	/*
	 * Of the requests that expect an answer: `lost` got none at all in their time. `late` are
	 * answers that came to a request after its time was over (they stay lost).
	 */
	uint64_t expected, lost;
	uint64_t late;
	uint64_t duplicates; /* the same answer to the same request again */
	uint64_t reordered; /* a first answer behind that of a later request, a 1xx behind its final
			     */
	uint64_t stale;     /* answers to calls that ended so long ago that nothing more is known */
	/*
	 * What no `expect` would miss. A reflector of ours says in its final answer to an INVITE
	 * how many answers it gave: `missing` are those that did not come (180s), `incomplete` the
	 * attempts that went well and lack some. Where this process is also the reflector, `acks`
	 * are first ACKs to its 2xx, and `acks_missing` did not come to it.
	 */
	uint64_t missing, incomplete, acks, acks_missing;
	bool told;          /* answers said how many there were */
	uint64_t unasked;   /* answers to requests that nothing is expected to */
	uint64_t foreign;   /* no branch of this run */
	uint64_t malformed; /* not SIP */
	/*
	 * ns to the first and to the final answer. A call's first request counts from the moment at
	 * which the rate wanted it, so that a stall of the generator's or of the system's is in
	 * them and not left out (coordinated omission); every other from its own sending.
	 */
	struct histogram first, final;
	struct histogram service;  /* ns, sending to final answer, of all */
	struct histogram lateness; /* ns by which attempts began after their slots */
	struct gen_message_result message[GEN_MESSAGES_MAX];
	unsigned messages;
	/* the generator itself */
	uint64_t missed;  /* slots that were late by more than the bound, skipped ones included */
	uint64_t skipped; /* slots that were not sent at all, since the run's time was over */
	uint64_t tx_refused;   /* messages that the device did not take, or that no buffer was left
				  for */
	uint64_t rx_lost;      /* by our own device or socket: rx_missed, rx_nombuf, socket drops */
	uint64_t rx_fragments; /* devices: fragments of datagrams, which are not put together */
	uint64_t rx_other;   /* devices: frames that are no message to us: ARP, other ports, ... */
	uint64_t rx_bad;     /* devices: frames with a wrong length or checksum */
	uint64_t calls_most; /* open at once */
	/*
	 * Why it was the generator, and not the system, that was the limit, 1 << enum gen_limit
	 * each: what was lost may be its own loss. The reason is that of the first.
	 */
	uint32_t limits;
	bool generator_limit;
	char limit_reason[128];
	bool interrupted;
	bool reflecting; /* of gen_reflect() */
	/* times */
	double rate;         /* as asked, attempts a second */
	uint64_t sending_ns; /* from the first slot to where the one behind the last would have been
			      */
	uint64_t duration_ns;                    /* with the wait for stragglers */
	uint64_t sending_sent, sending_received; /* messages in sending_ns */
	uint64_t cpu_ns; /* of this thread: a device is polled, so it is busy without work, too
			  */
	struct gen_reflected reflected; /* where this process is also the reflector */
};

/* 0.1 % */
#define GEN_MISSED_PER_MILLE 1

/* ---- trials ---- */

struct gen;

struct gen_progress {
	uint64_t now_ns, elapsed_ns, total_ns; /* total 0: not known */
	const struct gen_result *result;       /* so far */
	uint64_t open;                         /* calls */
	bool draining;
};

struct gen_trial {
	double rate;       /* attempts a second; 0: as fast as it goes */
	uint64_t attempts; /* 0: by `seconds` */
	double seconds;
	bool poisson;
	/* Sequential users go on from this one: that of the first attempt is first % config.users.
	 */
	uint64_t first;
	/* Every GEN_PROGRESS_NS, or NULL. Says whether the trial goes on. */
	int (*progress)(void *arg, const struct gen_progress *p);
	void *arg;
};
#define GEN_PROGRESS_NS 200000000ULL
/* What gen_trial.progress says. */
enum gen_go {
	GEN_GO_ON = 0,
	GEN_END,     /* in order: open calls get a moment more */
	GEN_ABANDON, /* now: what is open is not waited for */
};

/*
 * Reads the scenario, opens sockets or devices. NULL and a sentence in `error` ("FILE:LINE:COLUMN:
 * ..." for the scenario). A process may do this once with a DPDK device.
 */
struct gen *gen_open(const struct gen_config *config, char *error, size_t error_size);
/*
 * One run. Waits after the last attempt until no call is open, or config.drain_ns. What an earlier
 * trial left in queues is thrown away; an answer of its that comes still later counts as foreign.
 * 0; -EINTR where it was ended early (the figures hold so far); another -errno with a sentence in
 * gen_error().
 */
int gen_trial(struct gen *g, const struct gen_trial *trial, struct gen_result *out);
const char *gen_error(const struct gen *g);
/* What the two sides are, for a report: "udp 127.0.0.1:5070-5077", "net_memif ... ". */
const char *gen_describe(const struct gen *g, bool reflector);
void gen_close(struct gen *g);
/*
 * config.reflect: answers until gen_interrupted, or until trial.seconds have passed (0: no end), or
 * trial.progress ends it. Of the trial, nothing else counts. 0 or -errno.
 */
int gen_reflect(struct gen *g, const struct gen_trial *trial, struct gen_result *out);

/* Whether there is nothing to complain of, and the exit status 0: no failure, no loss, no
 * duplicate, not interrupted, the generator not the limit; of a reflector the last alone. */
bool gen_result_good(const struct gen_result *r);
/* For gen_trial.progress: a line on standard error, for runs over 2 s; and its end. */
int gen_progress_line(void *arg, const struct gen_progress *p);
void gen_progress_clear(void);
/* A table for people; one JSON object on one line. 0 or -EIO. */
int gen_result_print(const struct gen_result *r, FILE *out);
int gen_result_json(const struct gen_result *r, FILE *out);
