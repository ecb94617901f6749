/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * proxy: what a stateless proxy does with a message (RFC 3261 16, 16.11, 18), and the keyed tokens
 * that make it safe.
 *
 * Everything that goes into a message here is a keyed function of what came in, so that a
 * retransmission, the CANCEL and the ACK of a failure leave with the same branch to the same place
 * on any worker, any node that shares the secret file, and after a restart:
 *
 *   transaction key  = PRF(branch key; branch and sent-by of the top Via as received)
 *   our branch       = magic cookie + transaction key
 *   Via token        = MAC(branch; next Via; Call-ID; CSeq) with key id, node, class, listener, as
 *                      Via parameter; of a request that is kept (class stateful) also its owner,
 *                      and a MAC(branch; Call-ID; CSeq number)
 *   To tag           = MAC(transaction key), of our own replies
 *   Record-Route token = MAC(Call-ID; From tag of the request that made the dialog)
 *
 * PRF and MAC are AES-CMAC (base/mac.h). The Call-ID is hashed once a message, and the MACs take
 * the digest.
 *
 * A worker's pass over a request: proxy_request_receive(), the script (which calls forward(),
 * sl_send_reply(), ...), proxy_request_write() or proxy_reply_write(). Over a response:
 * proxy_response_receive(), the script's reply_route, proxy_response_write().
 *
 * OpenSER modules exported: sl, rr, maxfwd, sanity, siputils, path and the core's forward(),
 * force_rport(), force_send_socket(), ...
 *
 * Threads: keys and listeners are immutable snapshots, published by the control thread. All else
 * runs on workers and keeps its data in the route_ctx.
 *
 * Files: secret (file), token, configure (snapshot), listener, via (received, rport), receive
 * (16.3), route_set (16.4), forward (16.5), write (16.6), record_route, response (16.7), reply
 * (8.2.6), keepalive (CRLF, STUN), branch (of stateful requests, loops), follow (ACK, CANCEL),
 * quoted (by ICMP),
 * flow (Path), module_* (functions).
 */
#include "net/net.h"
#include "resolve/resolve.h"
#include "route/route.h"

#define PROXY_LISTENERS_MAX 256
#define PROXY_ALIASES_MAX 256
#define PROXY_KEYS_MAX 8 /* MAC keys in a secret file: the first signs, all verify */

struct proxy;

/* Drop reasons and other outcomes. PROXY_REASON(enum suffix, counter name) */
#define PROXY_REASONS(PROXY_REASON) \
	PROXY_REASON(ACK_OWN_REPLY, "ack_own_reply") /* ACK to a reply of our own: absorbed */ \
	PROXY_REASON(VIA_NOT_OURS, "via_not_ours")   /* response: top Via is not ours */ \
	PROXY_REASON(VIA_MAC, "via_mac")             /* response: token missing or wrong */ \
	PROXY_REASON(VIA_NONE_BELOW, \
		"via_none_below") /* response: nobody to send it to, and to no CANCEL of ours */ \
	PROXY_REASON(RESPONSE_TARGET, \
		"response_target") /* its target is no unicast address or not over UDP */ \
	PROXY_REASON( \
		ACK_UNROUTABLE, "ack_unroutable")  /* an ACK that would have got an error reply */ \
	PROXY_REASON(REPLY_TARGET, "reply_target") /* our reply would go to a forbidden address */ \
	PROXY_REASON(REPLY_RATE, "reply_rate")     /* too many error replies to this source */ \
	PROXY_REASON(REPLY_SIZE, "reply_size")     /* reply would be over 1.5 times its request */ \
	PROXY_REASON(TOO_LARGE, "too_large_out")   /* response would exceed SIP_MSG_UDP_OUT_MAX */

enum proxy_reason {
	PROXY_REASON_NONE = 0,
#define PROXY_REASON(id, name) PROXY_REASON_##id,
	PROXY_REASONS(PROXY_REASON)
#undef PROXY_REASON
		PROXY_REASON_COUNT
};

/*
 * Why forward() returned false; the negative value that the script sees as $rc is -1 minus the
 * enum's. The reply with this status is left in ctx->result (TWICE apart), so that a script that
 * does not look still answers. PROXY_REFUSAL(enum suffix, status, reason)
 */
#define PROXY_REFUSALS(PROXY_REFUSAL) \
	PROXY_REFUSAL(URI, 400, "Malformed Next Hop") \
	PROXY_REFUSAL(TRANSPORT, 480, "Transport Not Available") \
	PROXY_REFUSAL(SIPS, 416, "Unsupported URI Scheme") \
	PROXY_REFUSAL(UNRESOLVED, 478, "Unresolvable Destination") \
	PROXY_REFUSAL(ADDRESS, 403, "Destination Not Allowed") \
	PROXY_REFUSAL(NO_LISTENER, 500, "No Listener For Destination") \
	PROXY_REFUSAL(NO_ROUTE, 404, "Not Found") \
	PROXY_REFUSAL(ROUTE_TOKEN, 403, "Route Not Allowed") \
	PROXY_REFUSAL(MAX_FORWARDS, 483, "Too Many Hops") \
	PROXY_REFUSAL(TWICE, 500, "Server Internal Error")

enum proxy_refusal {
	PROXY_REFUSAL_NONE = 0,
#define PROXY_REFUSAL(id, status, reason) PROXY_REFUSAL_##id,
	PROXY_REFUSALS(PROXY_REFUSAL)
#undef PROXY_REFUSAL
		PROXY_REFUSAL_COUNT
};

/* ---- set-up, control thread ---- */

struct proxy_listener {
	struct net_endpoint ep;
	uint8_t transport;        /* enum sip_transport */
	uint16_t port;            /* index of the NIC port it is on */
	char advertise_host[256]; /* empty: the address itself */
	uint16_t advertise_port;  /* 0: ep.port */
	char name[32];
};

struct proxy_alias {
	char host[256];
	uint16_t port; /* 0: any */
	uint8_t transport;
};

struct proxy_config {
	const struct proxy_listener *listener;
	unsigned listeners;
	const struct proxy_alias *alias;
	unsigned aliases;
	bool mhomed;        /* choose the listener by route, not the receiving one */
	bool require_token; /* default true: in-dialog routing needs our Record-Route token */
	uint32_t token_trusted_group; /* address group exempt from it; 0: none */
	bool (*is_trusted)(void *arg, uint32_t group, const struct net_addr *src, uint16_t port);
	void *is_trusted_arg;
	/* Whether a host that is none of our names is ours all the same, on any port; or NULL */
	bool (*is_domain)(void *arg, struct str host);
	bool (*domains_are_unread)(void *arg); /* more may be, which are not known yet; or NULL */
	void *is_domain_arg;
	char server[128]; /* Server header of our replies; empty: none */
	uint16_t node;    /* node number within a group that shares the secret */
	/* The source address that the kernel would use toward an address, and the NIC port's index;
	 * false: no route. NULL in tests: the first listener of the family. */
	bool (*route)(
		void *arg, const struct net_addr *to, struct net_addr *source, uint16_t *port);
	void *route_arg;
};

struct proxy *proxy_create(struct rcu *rcu, struct resolver *resolver);
void proxy_destroy(struct proxy *p);
/*
 * Reads the secret file, creating it with mode 0600 and new keys where it is missing. `path` NULL:
 * keys of this process only (a warning is the caller's). 0 or -errno, a sentence in `error`. Also
 * reloads: retired keys go on verifying.
 */
int proxy_secret_load(struct proxy *p, const char *path, char *error, size_t error_size);
/*
 * Rolls the MAC keys of a secret file: the one announced last (`next`) signs from the next load on,
 * a new one is announced, the old one verifies on. Every node of the group loads the file between
 * two rolls. 0 or -errno, a sentence in `error`.
 */
int proxy_secret_roll(const char *path, char *error, size_t error_size);
/* Publishes listeners, aliases, settings. 0 or -errno. */
int proxy_configure(struct proxy *p, const struct proxy_config *config);
/* Fills registry->hooks. */
void proxy_hooks(struct proxy *p, struct route_hooks *hooks);
/* Adds the modules of this room to a registry. */
int proxy_register(struct proxy *p, struct route_registry *registry);

/*
 * Codes for what rooms above write into messages and know again (nonces): AES-CMAC under a key of
 * the group, derived for that purpose. proxy_code_id() is the key that signs, as one base32
 * character; false: there is no key of that id, and a retired one is. Any RCU reader.
 */
char proxy_code_id(const struct proxy *p);
bool proxy_code(const struct proxy *p, char id, struct str data, struct hash128 *out);
/* This node's number within its group. */
uint16_t proxy_node(const struct proxy *p);

/* Index of the listener bound to exactly this endpoint and transport, or -1. Any RCU reader:
 * classify asks it for each datagram. */
int proxy_listener_find(
	const struct proxy *p, const struct net_endpoint *ep, enum sip_transport transport);
/* A listener keeps its index while it is configured, whatever else changes. NULL where there is
 * none, or none any more. */
const struct proxy_listener *proxy_listener_at(const struct proxy *p, unsigned index);
/* One more than the highest index. */
unsigned proxy_listener_count(const struct proxy *p);

/* ---- workers: a request ---- */

enum proxy_verdict {
	PROXY_GO,    /* go on */
	PROXY_REPLY, /* answer with status and reason in ctx->result */
	PROXY_DROP,  /* drop for `reason` */
};

/*
 * Before the script (RFC 3261 16.3 and our own rules): absorbs the ACK to a reply of ours, 416 and
 * 420 (Proxy-Require), Max-Forwards 0 (483; an OPTIONS to ourselves gets its 200). Takes the
 * verdict of sip_msg_check() as `error`: a malformed request is answered where it may be, else
 * dropped with PROXY_REASON_NONE: the error has a counter of its own.
 */
enum proxy_verdict proxy_request_receive(
	struct proxy *p, struct route_ctx *ctx, enum sip_error error, enum proxy_reason *reason);

/* The transaction key of the request in ctx (see above), computed once. RFC 3261 17.2.3, 16.11. */
struct hash128 proxy_transaction_key(struct proxy *p, struct route_ctx *ctx);

/* A digest of the Call-ID under a key that the group shares and that never rolls, computed once:
 * whoever hashes by it need not look at the text again. */
struct hash128 proxy_call_id_digest(struct proxy *p, struct route_ctx *ctx);

/* Whether the request has proven by the token of our Record-Route that it belongs to a dialog which
 * went through us: known once loose_route() or forward() has looked at its Route. */
bool proxy_is_in_dialog(const struct route_ctx *ctx);

/* Why the last forward() of this run returned false. */
enum proxy_refusal proxy_refusal(const struct route_ctx *ctx);
/* The source has proven that it receives at its address (it answered a challenge): replies may be
 * larger than 1.5 times the request. */
void proxy_source_verified(struct route_ctx *ctx);

/* Where a message that we write goes. */
struct proxy_out {
	struct net_endpoint dst;
	uint16_t listener; /* whose address and port it leaves from */
	int32_t destination;
};

/*
 * Writes the request as forward() decided: Request-URI, Via with branch and token, received and
 * rport on the Via below, Max-Forwards, Record-Routes, Route handling, and the script's edits.
 * Returns the bytes written to out, or a negative status code (-500, -513, -482): the request gets
 * that reply instead, or is written again into a larger buffer. (RFC 3261 16.6)
 */
int64_t proxy_request_write(
	struct proxy *p, struct route_ctx *ctx, char *out, uint32_t room, struct proxy_out *to);

/*
 * Writes our reply (ctx->result.status, reason, headers) to the request in ctx (RFC
 * 3261 8.2.6, 18.2.2, RFC 3581). Returns the bytes written, or a negative enum proxy_reason:
 * nothing may be sent.
 */
int64_t proxy_reply_write(
	struct proxy *p, struct route_ctx *ctx, char *out, uint32_t room, struct proxy_out *to);

/* Sets ctx->result to a reply, replacing what was there. */
void proxy_reply_set(struct route_ctx *ctx, uint16_t status, struct str reason);
/* What stands there is the script's own choice: no forward() replaces it. */
void proxy_reply_chosen(struct route_ctx *ctx);
/*
 * Before a 3xx of the script's own: adds a Contact with the Request-URI, where the script has
 * changed it, and the branches, with their q. False where there is no room for it, or a URI can be
 * none of a Contact's. (RFC 3261 21.3)
 */
bool proxy_reply_targets(struct route_ctx *ctx);

/* ---- workers: a response (RFC 3261 16.7, 18.1.2) ---- */

enum proxy_verdict proxy_response_receive(
	struct proxy *p, struct route_ctx *ctx, enum sip_error error, enum proxy_reason *reason);
/* Writes it without our Via, with the script's edits. Bytes, or a negative enum proxy_reason. */
int64_t proxy_response_write(
	struct proxy *p, struct route_ctx *ctx, char *out, uint32_t room, struct proxy_out *to);

/* ---- slow lcores: what lib/txn needs for requests that it keeps ---- */

#define PROXY_BRANCHES_MAX 1024 /* of one transaction: 10 bits */
#define PROXY_OWNERS_MAX 1024

/*
 * From here on proxy_request_write() writes the request as branch `branch` of the transaction that
 * `owner` keeps: the transaction key's characters and two more, and a token of the stateful class.
 * Undone by route_ctx_reset().
 *
 * Such a write leaves ctx->edits (their order, too) and ctx->uri as they were, so that who puts
 * count, text_len and overflow of the edits back takes away exactly what was added since. Branch
 * after branch: proxy_target_reset(), what the branch changes, proxy_branch_set(),
 * proxy_next_hop(), proxy_request_write(). What a branch_route decides by functions of this room
 * (record_route(), add_local_rport(), ...) stands in ctx->scratch[ROUTE_SCRATCH_PROXY]: who rolls
 * it back copies that before and puts it back.
 */
void proxy_branch_set(struct route_ctx *ctx, uint16_t owner, uint16_t branch);
/* The Max-Breadth that branches leave with from here on (RFC 5393 5.3.3); 0: none is written. It
 * costs less than an edit. */
void proxy_max_breadth_set(struct route_ctx *ctx, uint16_t max_breadth);
/*
 * The next hop of the request as it stands ($du, else the first of ctx->path, else the next Route,
 * else the Request-URI), into ctx->result.target, where forward() has not been called or
 * proxy_target_reset() was: what forward() does. `nth`: of a name's addresses that can be used,
 * that many are passed over (RFC 3263 4.3). ROUTE_TRUE, ROUTE_PENDING (ctx->wait), or negative:
 * proxy_refusal() says why, and a reply stands in ctx->result; UNRESOLVED where there are not so
 * many addresses.
 */
int32_t proxy_next_hop(struct proxy *p, struct route_ctx *ctx, unsigned nth);
/* Forgets the decision of forward() or proxy_next_hop(), its refusal included, so that the same
 * request can be written again for another target. Edits of the script and a reply that it chose
 * stay. For requests of proxy_branch_set(): another's edits are in ctx once it is written. */
void proxy_target_reset(struct route_ctx *ctx);

/* What a received response's top Via says of the request that it answers. */
struct proxy_branch {
	uint64_t key; /* the first 64 bits of the transaction key (struct hash128, lo) */
	uint16_t owner, branch;
	bool ours; /* this node's; else another's of the group */
};
/* After proxy_response_receive(); false where it was forwarded without state. A response to a
 * CANCEL of ours has no Via below ours: ctx->result.forward is not set for it, and it is for the
 * owner to know whether it has sent one. */
bool proxy_response_branch(const struct route_ctx *ctx, struct proxy_branch *out);
/* The same of a request that a transaction of ours sent, of which an ICMP error quotes the first
 * bytes, up to the end of its first Via at least; false: it is none, or too short. Nothing is
 * proven: the owner compares the bytes with what it has sent. */
bool proxy_quoted_branch(struct str text, struct proxy_branch *out);

/*
 * The ACK to a failure (RFC 3261 17.1.1.3) and the CANCEL (9.1) of an INVITE that left as `sent`;
 * they go where it went. Their Via is the INVITE's to the letter. `to`: the To value of the
 * response. `lines`: header lines to add (Reason, RFC 3326), empty: none. Bytes written, or
 * -EINVAL, -ENOSPC.
 */
int64_t proxy_ack_write(struct proxy *p, struct str sent, struct str to, char *out, uint32_t room);
int64_t proxy_cancel_write(
	struct proxy *p, struct str sent, struct str lines, char *out, uint32_t room);
/*
 * RFC 5393 4.2: whether a request that we forked was the one in ctx, with the same Request-URI and
 * Routes, From tag, Call-ID and CSeq. To be asked before a request is forked, which is when a loop
 * multiplies (4.1): from then on every branch that is written carries what is compared here, and
 * one that nobody asked for carries nothing (4.2.2), so that a request which goes out and comes
 * back before it is forked, told from itself by no more than its source, is none.
 */
bool proxy_is_loop(struct proxy *p, struct route_ctx *ctx);

/* ---- workers: what is not SIP and is answered all the same ---- */

/*
 * CRLF keep-alives (RFC 5626 4.4.1: CRLFCRLF gets CRLF) and STUN binding requests (RFC 5389,
 * XOR-MAPPED-ADDRESS). Returns the bytes of the answer in out (room for 128), 0 where the datagram
 * is a keep-alive that wants none, -1 where it is neither.
 */
int proxy_keepalive(const struct net_endpoint *src, const char *buf, uint32_t len, char *out);
