/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * What the files of the generator share, search and its reports left out.
 */
#include "gen.h"

#include "base/base.h"

#define GEN_BURST 32
#define GEN_TEXT_MAX 65000                  /* bytes of a message */
#define GEN_STEPS_MAX 64                    /* of one call */
#define GEN_RANGES_MAX 8                    /* of one expect */
#define GEN_NAME_MAX 31                     /* of messages, calls, variables */
#define GEN_SCENARIO_MAX 262144             /* bytes of a file */
#define GEN_CALLS_BITS 24                   /* slots in a branch */
#define GEN_WITHIN_NS (32 * CLOCK_NS_PER_S) /* 64*T1 (RFC 3261 17) */

int gen_fail(char *error, size_t size, int err, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* ---- scenario ---- */

enum step_kind { STEP_SEND, STEP_EXPECT, STEP_AWAIT, STEP_WAIT, STEP_REPEAT, STEP_AGAIN };

struct step {
	enum step_kind kind;
	uint16_t message; /* SEND */
	uint8_t method;   /* AWAIT: of the request that the other side has to send */
	uint16_t jump;    /* REPEAT: behind its AGAIN; AGAIN: behind its REPEAT */
	bool optional;    /* EXPECT */
	bool final;       /* EXPECT: holds a status of 200 or more */
	uint8_t ranges;
	struct {
		uint16_t low, high;
	} range[GEN_RANGES_MAX];
	uint32_t count;   /* REPEAT */
	uint64_t from_ns; /* WAIT; EXPECT, AWAIT: within */
	uint64_t to_ns;   /* WAIT: uniform up to this */
};

struct scenario_message {
	char name[GEN_NAME_MAX + 1];
	char *text; /* lines end with CRLF; fields in braces */
	uint32_t len;
	unsigned line;   /* of the file, where text begins */
	unsigned indent; /* characters that were taken off each line */
	bool is_response;
	enum sip_method method;
};

struct scenario_call {
	char name[GEN_NAME_MAX + 1];
	struct step step[GEN_STEPS_MAX];
	unsigned steps;
	uint32_t weight;
	bool dialog; /* a message uses what an answer said */
};

struct scenario_variable {
	char name[GEN_NAME_MAX + 1];
	char *value;
	unsigned line, column; /* of the value; line 0: --set gave it */
};

struct scenario {
	char *path;
	struct scenario_message message[GEN_MESSAGES_MAX];
	unsigned messages;
	struct scenario_call call[GEN_CALLS_MAX];
	unsigned calls;
	struct scenario_variable variable[GEN_VARIABLES_MAX];
	unsigned variables;
	uint64_t weights; /* sum */
};

/*
 * Reads a file, or a text that has been read. `set` overrides `set NAME = ...` of the file. NULL
 * and "PATH:LINE:COLUMN: error: ..." with the line and a caret.
 */
struct scenario *scenario_read(const char *path, const struct gen_variable *set, unsigned sets,
	char *error, size_t error_size);
struct scenario *scenario_parse(const char *path, struct str text, const struct gen_variable *set,
	unsigned sets, char *error, size_t error_size);
void scenario_free(struct scenario *s);
const char *scenario_variable(const struct scenario *s, struct str name);
/* The grammar and the fields, as Markdown. */
int scenario_reference(FILE *out);

/* ---- template ---- */

/*
 * What {NAME} may be in a message. FIELD(enum suffix, name, most bytes, what it is)
 */
#define FIELDS(FIELD) \
	FIELD(CALL_ID, "call_id", 25, \
		"token of the dialog, unique: the attempt's number, this run, this process") \
	FIELD(TAG, "tag", 16, \
		"our tag, another in each dialog; requests of the other side are known by it") \
	FIELD(BRANCH, "branch", 39, \
		"z9hG4bK, the time of sending and the call's place; ACK to a 2xx has its own, " \
		"CANCEL that of the INVITE") \
	FIELD(CSEQ, "cseq", 10, "number that grows with each request but ACK and CANCEL") \
	FIELD(USER, "user", 10, "number of the user, 0 to --users less 1, all of one width") \
	FIELD(SEQ, "seq", 20, "number of the attempt") \
	FIELD(TIME, "time", 20, "nanoseconds at sending") \
	FIELD(RANDOM, "random", 16, "16 hexadecimal digits, others in each call") \
	FIELD(LOCAL_IP, "local_ip", NET_ADDR_TEXT_MAX + 2, "our address, IPv6 in brackets") \
	FIELD(LOCAL_PORT, "local_port", 5, "our UDP port") \
	FIELD(REMOTE_IP, "remote_ip", NET_ADDR_TEXT_MAX + 2, \
		"the target's address, IPv6 in brackets") \
	FIELD(REMOTE_PORT, "remote_port", 5, "the target's port") \
	FIELD(TARGET, "target", NET_ENDPOINT_TEXT_MAX, "the target's address and port") \
	FIELD(DOMAIN, "domain", 255, "--domain, or the target") \
	FIELD(FAMILY, "family", 3, "IP4 or IP6, for SDP") \
	FIELD(LENGTH, "length", 5, "bytes of the body, for Content-Length") \
	FIELD(TO_TAG, "to_tag", 0, \
		"';tag=' and the other side's tag; nothing before there is one") \
	FIELD(CONTACT, "contact", 0, \
		"URI of the other side's Contact, or of a 302's; before there is one, sip: and " \
		"the " \
		"target") \
	FIELD(ROUTES, "routes", 0, \
		"a Route line for each Record-Route of the answer, in reverse; alone on its line") \
	FIELD(AUTHORIZATION, "authorization", 0, \
		"the Authorization and Proxy-Authorization lines that answer the last 401 and " \
		"407; " \
		"alone on its line")

#define CALL_TEXT_MAX 2048 /* what is kept of answers: the parts below */
#define DIGEST_LINE_MAX 768
#define DIGEST_USER_MAX 128

enum field {
	FIELD_LITERAL = 0,
#define FIELD(id, name, most, text) FIELD_##id,
	FIELDS(FIELD)
#undef FIELD
		FIELD_COUNT
};

/* What is the same for all messages of a side. */
struct bind {
	struct net_endpoint target;
	struct net_addr local;
	const char *domain;
	uint64_t users;
	uint64_t first_user; /* of a run: gen_trial.first */
	uint32_t process;    /* random, in Call-IDs */
	uint32_t run;        /* in branches: 12 bits */
	uint16_t port_first;
	unsigned ports;
	char target_uri[NET_ENDPOINT_TEXT_MAX + 4]; /* "sip:" and the target */
};

struct instruction {
	uint8_t field; /* FIELD_LITERAL: copy text[off, off + len) */
	uint8_t digits;
	uint32_t off, len;
};

#define TEMPLATE_INSTRUCTIONS_MAX 256

struct template
{
	char *text; /* literals, padded for reads beyond their end */
	struct instruction *in;
	unsigned count;
	unsigned length_at; /* instruction of {length}; count where there is none */
	unsigned body_at;   /* first instruction of the body */
	uint32_t most;      /* bytes, at most, without what the following fields bring */
	uint8_t to_tags, contacts, routes, digests; /* how often these stand there */
	bool is_response;
	enum sip_method method;
};

struct call;
/* What the fields of one message are filled from. */
struct fill {
	const struct bind *bind;
	const struct call *call;
	const char *text; /* the call's CALL_TEXT_MAX */
	uint64_t time;    /* in {branch} and {time} */
	uint64_t ref;     /* in {branch} */
	uint64_t tag;     /* {tag} */
	uint32_t cseq;
	uint16_t local_port;
	uint32_t room;
	const struct template *digest_user, *digest_password; /* NULL: none */
};

/*
 * Makes a message's text instructions; what is the same for all messages becomes part of the
 * literals. 0 or -errno with "PATH:LINE:COLUMN: ...".
 */
int template_compile(const struct scenario *s, const struct scenario_message *m,
	const struct bind *bind, struct template *out, char *error, size_t error_size);
void template_free(struct template *t);
/*
 * Writes the message to out, which has fill.room bytes and TEMPLATE_SLACK beyond. Returns its
 * length, 0 where it does not fit or a field could not be filled (no challenge that we understand).
 * No allocation but for digests (OpenSSL).
 */
#define TEMPLATE_SLACK 64
uint32_t template_fill(const struct template *t, const struct fill *f, char *out);
/* "z9hG4bK" and 32 digits. */
#define BRANCH_LEN 39
#define BRANCH_COOKIE "z9hG4bK"
/* 16 lower-case hexadecimal digits. */
void template_hex16(char *out, uint64_t v);
/* false where one of the 16 is no lower-case hexadecimal digit. */
bool template_unhex16(const char *in, uint64_t *v);

/* ---- digest (RFC 7616, RFC 3261 22) ---- */

struct digest {
	struct str method, uri, user, password;
	struct str challenge; /* value of WWW-Authenticate or Proxy-Authenticate */
	bool proxy;           /* of a 407 */
	uint64_t cnonce;
	uint32_t count; /* nc */
};

/*
 * Writes "Authorization: Digest ...\r\n" for MD5, SHA-256 and SHA-512-256 (and their -sess forms),
 * qop auth or none. Returns its length; 0 where the challenge asks for what we cannot do, or `room`
 * is too small.
 */
uint32_t digest_answer(const struct digest *d, char *out, uint32_t room);
/*
 * Whether it is worth an answer after `before` (or none) was answered: it is another realm's, or
 * only the nonce was too old (stale=true, RFC 7616 3.3).
 */
bool digest_anew(struct str before, struct str challenge);
/* Whether we could answer this challenge. */
bool digest_known(struct str challenge);
/* Whether an Authorization's value answers `nonce` with this password, for the URI that it names.
 */
bool digest_verify(
	struct str credentials, struct str method, struct str password, struct str nonce);

/* ---- io: bursts in and out ---- */

struct packet {
	char *text;
	uint32_t len;
	uint16_t port;            /* of ours: index from port_first */
	bool reflector;           /* in: it is for the reflector's address */
	struct net_endpoint peer; /* in: source; out: destination */
	void *handle;             /* the backend's */
	uint64_t mac;             /* in: source MAC; out: 0 for the target's (DPDK) */
	/* out: the sender's, for outbox.refused() */
	uint64_t ref;
	uint8_t method; /* NONE: a response */
	bool again;     /* sent before */
	bool refused;   /* out, when send() has returned: the device did not take it */
};

struct io {
	/* Up to n packets that came; theirs until done(). */
	unsigned (*receive)(struct io *io, struct packet *p, unsigned n);
	void (*done)(struct io *io, struct packet *p, unsigned n);
	/* Up to n empty packets with `room` bytes of text each. */
	unsigned (*get)(struct io *io, struct packet *p, unsigned n);
	/* Sends text, len, port and peer of n packets in order; all are the backend's afterwards.
	 * Returns how many the device took; the others are marked `refused`. */
	unsigned (*send)(struct io *io, struct packet *p, unsigned n);
	/* Nanoseconds of a monotonic clock. */
	uint64_t (*now)(struct io *io);
	/* Nothing to do until `until`, or a packet comes. May return at once. */
	void (*idle)(struct io *io, uint64_t until);
	/* Everything that is not messages: ARP. Now and then. */
	void (*poll)(struct io *io, uint64_t now);
	/* Packets that our own device or sockets have lost so far. */
	uint64_t (*lost)(struct io *io);
	/* Waits until the target can be reached. 0 or -errno with a sentence. */
	int (*ready)(
		struct io *io, const struct net_endpoint *target, char *error, size_t error_size);
	void (*close)(struct io *io);
	uint32_t room;
	struct net_addr local; /* what we send from */
	uint16_t port_first;
	unsigned ports;
	bool peer_queue; /* what is not taken is lost by the other side, which empties the queue */
	int send_error;  /* errno of the last message that was refused for a reason of the kernel's
			  */
	uint64_t fragments, others, bad; /* frames so far that were no message to us */
	char description[256];
};

/* NULL and a sentence. `target` may have family 0 (a reflector). */
struct io *io_udp_open(const struct gen_config *config, const struct gen_side *side,
	const struct net_endpoint *target, char *error, size_t error_size);
/*
 * Opens the devices of one or both sides; both[0] is the caller, both[1] the reflector, NULL for a
 * side that is not wanted. Where they share a device, all that comes is the caller's to receive. 0
 * or -errno.
 */
int io_dpdk_open(const struct gen_config *config, const struct net_endpoint *target,
	struct io *both[2], char *error, size_t error_size);
void io_dpdk_close(void);

/* Messages on their way out; flushed when full and at the end of a pass. */
struct outbox {
	struct io *io;
	struct packet packet[GEN_BURST];
	unsigned got, used;
	uint64_t refused; /* by the device, or for want of a buffer */
	/* Told of each message that the device itself did not take, or NULL. Not of those that were
	 * lost by the other side (io.peer_queue): they were sent. */
	void (*on_refused)(void *arg, const struct packet *p);
	void *arg;
};

/* A packet to fill, or NULL, which is counted as refused. It is not sent unless outbox_put()
 * follows. */
struct packet *outbox_next(struct outbox *o);
void outbox_put(struct outbox *o);
void outbox_flush(struct outbox *o);

/* ---- answer ---- */

enum answer_kind { ANSWER_RESPONSE, ANSWER_REQUEST, ANSWER_FOREIGN, ANSWER_MALFORMED };

struct answer {
	uint16_t status;
	uint64_t time, ref;
};

/*
 * Reads a response's status and the branch of its top Via, which has to be one of
 * template_fill()'s. Looks no further than it must: the rest of the message may be anything.
 */
enum answer_kind answer_read(const char *text, uint32_t len, struct answer *out);

/*
 * How many answers there are to the request, 100 left out, as the reflector's final one says
 * (REFLECTOR_ANSWERS); 0 where it does not. `behind` is where the last one that said it had it,
 * from the end, or 0: looking there first is quick. `by` is the reflector's name, or empty.
 */
unsigned answer_told(const char *text, uint32_t len, uint32_t *behind, struct str *by);
/* Whether the answer is to a request of this method, by its CSeq. */
bool answer_is_to(struct sip_msg *msg, const char *buf, uint32_t len, enum sip_method method);

/* ---- dialog: what a call keeps of what the other side said ---- */

/* Parts of a call's text, one behind the other. */
enum call_part {
	CALL_TO_TAG,
	CALL_CONTACT,         /* URI: the remote target */
	CALL_ROUTES,          /* Route lines */
	CALL_CHALLENGE,       /* value of a WWW-Authenticate */
	CALL_PROXY_CHALLENGE, /* of a Proxy-Authenticate */
	CALL_PARTS
};

struct call;
struct str dialog_part(const struct call *call, const char *text, enum call_part part);
/*
 * Takes To tag, Contact and Record-Routes (as Route lines, in reverse) of a response into the
 * call's text (RFC 3261 12.1.2); challenges stay. Returns 0, or -EBADMSG, or -ENOSPC where they
 * exceed CALL_TEXT_MAX: the call then has what it had.
 */
int dialog_take(struct sip_msg *msg, const char *buf, uint32_t len, struct call *call, char *text);
/* The remote target alone, of a message that was indexed; without a Contact it stays (12.2.1.2). */
int dialog_target(const struct sip_msg *msg, const char *buf, struct call *call, char *text);
/* Nothing is known of a dialog any more; `target_too`: nor where its first request goes. */
void dialog_forget(struct call *call, char *text, bool target_too);
/*
 * Likewise the challenge of a 401 or 407, the first that we can answer. `*worth`: whether another
 * answer may find more favour than the one before.
 */
int dialog_challenge(struct sip_msg *msg, const char *buf, uint32_t len, struct call *call,
	char *text, bool *worth);
/* Record-Route values of an indexed message; -ENOSPC where there are more than SIP_VALUES_MAX. */
int dialog_routes(const struct sip_msg *msg, const char *buf, bool reverse,
	struct str route[SIP_VALUES_MAX], unsigned *n);
/* URI of the first Contact, empty where there is none; -EBADMSG where it is none. */
int dialog_contact(const struct sip_msg *msg, const char *buf, struct str *uri);

/* ---- build: messages that no scenario has. 0 where they do not fit or cannot be made. ---- */

/* The ACK of a response of 300 and more (RFC 3261 17.1.1.3): `invite` as it was sent. */
uint32_t build_ack(
	struct sip_msg *msg, struct str invite, struct str response, char *out, uint32_t room);
/* Its CANCEL (9.1). */
uint32_t build_cancel(struct sip_msg *msg, struct str invite, char *out, uint32_t room);

struct build {
	struct net_endpoint local; /* of the Via */
	uint64_t time, ref;        /* of the branch */
	uint32_t cseq;
	struct str target_uri; /* where no Contact says better */
	struct str more;       /* header lines */
};

/*
 * A request in the dialog that a response to an INVITE makes, of nothing but that response, which
 * msg is the index of: ACK, BYE, PRACK.
 */
uint32_t build_from_answer(const struct build *b, struct sip_msg *msg, const char *answer,
	enum sip_method method, char *out, uint32_t room);
/* The BYE of the call's dialog, of what the call keeps and its INVITE. */
uint32_t build_bye(const struct build *b, struct sip_msg *msg, struct str invite,
	const struct call *call, const char *text, char *out, uint32_t room);

struct build_answer {
	uint16_t status;
	struct str reason;
	struct str to_tag;                /* where the request has none */
	struct str contact, content_type; /* lines, or empty */
	struct str body;
	struct net_endpoint peer; /* as we see it */
};

/* The answer to a request, which msg is the index of. */
uint32_t build_answer(const struct build_answer *b, struct sip_msg *msg, const char *request,
	char *out, uint32_t room);

/* ---- reflect ---- */

/* The header in which a reflector says, in its final answer to an INVITE, how many answers it gives
 * to it: what gets lost of them is lost though no `expect` misses it. Then its name. */
#define REFLECTOR_ANSWERS "X-Gen-Answers: "
#define REFLECTOR_NAME_LEN 12

struct reflector;

struct reflector_config {
	uint16_t status;
	unsigned ringing;
	bool trying;
	const char *challenge; /* algorithm; NULL: nobody is challenged */
	const char *password;
	struct net_addr local;
	uint16_t port_first;
};

struct reflector *reflector_create(const struct reflector_config *config);
void reflector_destroy(struct reflector *r);
/* REFLECTOR_NAME_LEN characters, which no other reflector has. */
const char *reflector_name(const struct reflector *r);
/* Answers one message; the outbox is flushed by the caller. */
void reflector_take(struct reflector *r, const struct packet *in, struct outbox *out,
	struct gen_reflected *count);

/* ---- calls ---- */

enum call_state {
	CALL_FREE,
	CALL_ENDED,  /* kept for a while, to know duplicates */
	CALL_ASKING, /* a request waits for its answer */
	CALL_WAITING /* for its time */
};

#define CALL_SEEN_MAX 8
#define CALL_NONE UINT32_MAX

/* What is known of one call; what answers said stands apart. */
struct call {
	uint64_t seq;     /* number of the attempt */
	uint64_t sent_ns; /* first transmission of the current request */
	uint64_t slot_ns; /* when its first request was due; 0: it is not to come, or has no time */
	uint64_t from_ns; /* latency of the current request counts from here */
	uint64_t number;  /* of the current request among all requests of the run */
	uint64_t
		due_ns; /* of its timer: a retransmission, the end of its time, the end of a wait */
	uint64_t end_ns; /* ASKING: when its time is over */
	uint64_t tick;   /* of the wheel, when it is looked at; 0: it is in none of its lists */
	uint32_t next, prev;
	uint32_t generation;
	uint32_t cseq;
	uint32_t user;
	uint32_t repeat; /* rounds left */
	uint16_t step;
	uint16_t port;
	uint16_t message; /* of the current request */
	uint8_t state;    /* enum call_state */
	uint8_t program;
	uint8_t ordinal; /* of the current request in this call, mod 128 */
	uint8_t transmissions;
	bool asked;    /* something is, or was, expected to the current request */
	bool answered; /* the current request, by anything */
	bool cancelled;
	bool has_dialog;        /* a 2xx said what later requests need */
	bool over;              /* its dialog: a BYE went or came */
	bool peer_over;         /* a BYE came */
	bool retry;             /* the next INVITE is the last one's second try (RFC 3261 8.1.3) */
	bool redirected;        /* the target is a 3xx's */
	bool cleared;           /* a 2xx that nobody wants was ended */
	bool awaiting;          /* WAITING for a request of the other side's */
	bool peer_asked;        /* remote_cseq is known */
	uint8_t authorizations; /* since the scenario sent the request */
	bool gave_up;           /* a request's time was over */
	uint8_t seen_count;
	uint8_t invite; /* ordinal of the last INVITE */
	uint8_t ack;    /* message of its ACK + 1; 0: none was sent */
	uint16_t invite_message;
	uint32_t invite_cseq;
	uint64_t invite_ns;
	uint8_t told, came; /* answers to the INVITE: how many there are, how many 1xx came */
	bool lacks;         /* an answer to an INVITE did not come */
	bool own;           /* the INVITE was answered by this process's reflector */
	bool well;          /* went to its end */
	uint16_t seen[CALL_SEEN_MAX]; /* answers: ordinal's low 6 bits, 10 bits of status */
	uint16_t part[CALL_PARTS];    /* lengths */
	uint32_t nonce_count[2];      /* of the challenges */
	uint32_t dialog;              /* number */
	uint32_t remote_cseq;         /* of the other side's last request */
	uint32_t rseq;          /* of the last 1xx that was acknowledged (RFC 3262); 0: none */
	uint32_t cancel, reply; /* errands: our CANCEL; our 200 to a re-INVITE */
};

/* ---- wheel: the calls' timers ---- */

#define WHEEL_SHIFT 16 /* a tick is 65.5 us */
#define WHEEL_SIZE 16384

struct wheel {
	struct call *call; /* the table; lists are of places in it */
	uint64_t tick;     /* the last one that has run */
	uint64_t count;
	uint32_t list[WHEEL_SIZE];
	uint64_t used[WHEEL_SIZE / 64]; /* a bit a list: somebody stands in it */
};

/* Empty; no call of the table stands in a list (call.tick 0). */
void wheel_begin(struct wheel *w, struct call *call, uint64_t now);
/* The call is due then, and no more when it was. Never early, and at most two ticks late. */
void wheel_set(struct wheel *w, struct call *call, uint64_t due);
/* Calls `due` for each call whose time has come; it may set timers. Those that have ended leave. */
void wheel_run(struct wheel *w, uint64_t now,
	void (*due)(void *arg, struct call *call, uint64_t now), void *arg);
/* When to look again; may be early. UINT64_MAX: no timer is set. */
uint64_t wheel_next(const struct wheel *w);

struct calls;

/* Everything of one caller that calls need. */
struct calls_config {
	const struct scenario *scenario;
	const struct template *template; /* one a message */
	const struct template *digest_user, *digest_password;
	const struct gen_config *config;
	struct outbox *out;
	struct bind *bind;
	const char *reflector; /* name of the one in this process, or NULL */
};

struct calls *calls_create(const struct calls_config *config);
void calls_destroy(struct calls *c);
/* Forgets all; results go into `result`. */
void calls_begin(struct calls *c, struct gen_result *result, uint32_t run, uint64_t now);
/* Begins an attempt, which was due at `slot` (0: at no special moment). */
void calls_attempt(struct calls *c, uint64_t slot, uint64_t now);
/* A message that came. */
void calls_take(struct calls *c, const struct packet *p, uint64_t now);
/* For outbox.on_refused: the message was not sent; who waits for its answer fails. */
void calls_refused(void *calls, const struct packet *p);
/* Runs the timers up to now. */
void calls_timers(struct calls *c, uint64_t now);
/* When timers have to be looked at next (may be early). */
uint64_t calls_next(const struct calls *c);
/* Calls that are open, and requests of theirs that are not answered yet. */
uint64_t calls_open(const struct calls *c);
bool calls_full(const struct calls *c);
/* Fails what is open; what has no answer is lost, unless its time was cut short. */
void calls_end(struct calls *c, bool cut_short);

/* ---- trial ---- */

/* Schedule of attempts: uniform or Poisson. */
struct schedule {
	double gap_ns; /* mean */
	double at;     /* ns from the start */
	uint64_t count;
	uint64_t random;
	bool poisson;
};
void schedule_begin(struct schedule *s, double rate, bool poisson, uint64_t seed);
/* Moves on to the next slot. */
void schedule_next(struct schedule *s);
uint64_t gen_random(uint64_t *state);

/* For tests: the caller on an io of their own. Takes the io. */
struct gen *gen_open_io(const struct gen_config *config, struct scenario *scenario,
	struct io *caller, struct io *reflector, const struct net_endpoint *target, char *error,
	size_t error_size);
