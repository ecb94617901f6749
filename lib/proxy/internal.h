/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * What the files of this room share. Nothing outside the room includes it, tests of the room apart.
 */
#include <assert.h>
#include <errno.h>
#include <stdatomic.h>

#include "proxy/proxy.h"

#define BRANCH_COOKIE "z9hG4bK"
#define BRANCH_COOKIE_LEN 7
#define BRANCH_LEN 16 /* base32 characters of the transaction key in our branch: 80 bits */
#define BRANCH_NUMBER_LEN \
	2                    /* base32 characters of the branch's number behind it, stateful only \
			      */
#define TOKEN_MAC_LEN 12     /* base32 characters of a MAC: 60 bits */
#define TOKEN_LISTENER_LEN 8 /* 40 bits */
#define TOKEN_NODE_LEN 4     /* 20 bits, of which 16 are used */
#define TOKEN_OWNER_LEN 2    /* 10 bits, stateful classes only */
#define TOKEN_LOOP_LEN 8     /* 40 bits, of forked requests only */
#define TOKEN_OWN_LEN 8      /* 40 bits of the short MAC, stateful classes only */
#define TOKEN_PLACE_LEN (TOKEN_NODE_LEN + TOKEN_LISTENER_LEN)
#define TOKEN_PLACE_UNUSED \
	0x0000f00000000000ULL /* bits of the node's 20 that are none of its 16 \
			       */
#define TOKEN_LEN_STATELESS (2 + TOKEN_PLACE_LEN + TOKEN_MAC_LEN)
#define TOKEN_LEN_MAX (TOKEN_LEN_STATELESS + TOKEN_OWNER_LEN + TOKEN_LOOP_LEN + TOKEN_OWN_LEN)
#define TOKEN_SLACK 4 /* bytes behind a token that writing it takes too */
#define ROUTE_TOKEN_LEN (1 + TOKEN_MAC_LEN)
#define TAG_LEN TOKEN_MAC_LEN
#define HOST_MAX 256 /* with a NUL */
#define HOST_ROOM (HOST_MAX + 8)
#define SOCKET_TEXT_MAX 320
#define MAX_FORWARDS_DEFAULT 70
#define PARAMS_TEXT_MAX 1024 /* parameters that a script adds to our Record-Route */

/* ---- text that is being written ---- */

struct text {
	char *s;
	uint32_t len, room;
	bool full; /* something did not fit; nothing is written past that */
};

static inline void text_put(struct text *t, struct str s)
{
	if (t->full || s.len > t->room - t->len) {
		t->full = true;
		return;
	}
	str_copy(t->s + t->len, s);
	t->len += s.len;
}

static inline void text_number(struct text *t, uint64_t v)
{
	char digits[20];

	text_put(t, (struct str){digits, str_from_u64(digits, v)});
}

#define text_lit(t, lit) text_put((t), STR(lit))

/*
 * ---- text whose room is known before it is written ----
 *
 * Each of these writes at `at` and returns where its text ends. What is behind that may be
 * overwritten, up to PUT_SLACK bytes.
 */
#define PUT_SLACK SIP_EDIT_SLACK /* two moves of 32 */

static inline char *put_str(char *at, struct str s)
{
	str_copy(at, s);
	return at + s.len;
}

/* Text of our own behind which there are PUT_SLACK bytes that may be read. Most is that short. */
static inline char *put_padded(char *at, const char *s, uint32_t len)
{
	uint32_t i = 0;

	do {
		memcpy(at + i, s + i, 32);
		memcpy(at + i + 32, s + i + 32, 32);
	} while (__builtin_expect((i += PUT_SLACK) < len, 0));
	return at + len;
}

#define put_lit(at, lit) ((char *)memcpy((at), (lit), sizeof(lit) - 1) + sizeof(lit) - 1)

static inline char *put_number(char *at, uint16_t v)
{
	uint32_t ten_thousands = v / 10000u, rest = v - 10000u * ten_thousands,
		 hundreds = rest / 100u, pairs = hundreds | (rest - 100u * hundreds) << 16,
		 tens = pairs * 103u >> 10 & 0x000f000f;
	/* Five digits, a byte each, the first one lowest; then without the zeros in front. */
	uint64_t digits = ten_thousands | (uint64_t)(tens | (pairs - 10u * tens) << 8) << 8;
	unsigned zeros = (unsigned)__builtin_ctzll(digits | 1ULL << 32) / 8;

	digits = (digits + 0x3030303030ULL) >> (8 * zeros);
	memcpy(at, &digits, sizeof(digits));
	return at + 5 - zeros;
}

/* ---- keys ---- */

struct token_key {
	char id;              /* a base32 character */
	struct hash_key key;  /* as in the file */
	struct mac_key via;   /* derived: Via tokens */
	struct mac_key own;   /* derived: what they prove without the Via below */
	struct mac_key route; /* derived: Record-Route tokens */
	struct mac_key flow;  /* derived: Path tokens */
	struct mac_key code;  /* derived: proxy_code() */
};

/* Immutable once published. */
struct keys {
	struct hash_key branch;          /* as in the file */
	struct mac_key transaction;      /* derived: transaction keys */
	struct mac_key transaction_2543; /* derived: of clients without the magic cookie */
	struct mac_key tag;              /* derived: To tags */
	struct mac_key call_id;          /* derived: digests of Call-IDs */
	struct mac_key loop;             /* derived: digests of what routes a request */
	unsigned count;                  /* of mac; the first signs */
	struct token_key mac[PROXY_KEYS_MAX];
	int8_t by_id[32]; /* base32 digit to index in mac, -1 none */
};

/* Fills what is derived. */
void proxy_keys_derive(struct keys *keys);
/* The value of a base32 character in either case, -1 for another. */
int proxy_base32_digit(char c);

/* secret.c. Reads (and may create) the file. 0 or -errno, a sentence in error. */
int proxy_secret_read(const char *path, struct keys *keys, char *error, size_t error_size);
int proxy_secret_random(struct keys *keys);

/* ---- listeners ---- */

struct socket {
	struct proxy_listener listener;
	uint64_t id; /* stable hash of address, port, transport: the top 40 bits */
	bool loopback;
	int16_t named; /* the listener that its own name means: another may bear it too */
	uint16_t via_len, sip_len, record_len;
	uint16_t sent_by, sent_by_len;         /* of our Via: where in `via` */
	char place[TOKEN_PLACE_LEN];           /* node and listener as a Via token has them */
	char via[SOCKET_TEXT_MAX + PUT_SLACK]; /* "Via: SIP/2.0/UDP host:port;branch=z9hG4bK" */
	char record[SOCKET_TEXT_MAX + 40 + PUT_SLACK]; /* our usual Record-Route up to the token */
	char sip[SOCKET_TEXT_MAX]; /* "sip:host:port" for Record-Route, with ;transport= unless UDP
				    */
};

/* A host that is us. */
struct name {
	uint16_t host_len;
	uint16_t port;     /* 0: any */
	uint8_t transport; /* NONE: any */
	int16_t next;
	int16_t socket;       /* index of its listener, -1 for an alias */
	char host[HOST_ROOM]; /* lower case; addresses in their shortest form, no brackets; then
				zeros */
};

#define NAMES_MAX (2 * PROXY_LISTENERS_MAX + PROXY_ALIASES_MAX)
#define BUCKETS 1024       /* of each table; a power of two */
#define PORTS_WITH_ONLY 32 /* NIC ports beyond have their listeners looked for one by one */

/* Immutable once published. */
struct sockets {
	bool mhomed, require_token;
	uint32_t token_trusted_group;
	bool (*is_trusted)(void *arg, uint32_t group, const struct net_addr *src, uint16_t port);
	void *is_trusted_arg;
	bool (*is_domain)(void *arg, struct str host);
	bool (*domains_are_unread)(void *arg);
	void *is_domain_arg;
	bool (*route)(
		void *arg, const struct net_addr *to, struct net_addr *source, uint16_t *port);
	void *route_arg;
	uint16_t node;
	char server[128 + 12]; /* "Server: ...\r\n" */
	uint16_t server_len;
	unsigned count, names;
	uint64_t addresses; /* a bit for each of our addresses, by hash: most next hops miss it */
	uint64_t ip4_names; /* likewise for names that are IPv4 addresses, proxy_ip4_bit() */
	int16_t by_endpoint[BUCKETS]; /* open addressing */
	int16_t by_id[BUCKETS];       /* likewise */
	int16_t by_name[BUCKETS];     /* chains by name.next */
	/* For a NIC port and IPv4 or IPv6: its UDP listener where it has one only, else -1. */
	int16_t only[PORTS_WITH_ONLY][2];
	struct name name[NAMES_MAX];
	struct socket socket[];
};

struct proxy {
	struct rcu *rcu;
	struct resolver *resolver;
	_Atomic(struct keys *) keys;
	_Atomic(struct sockets *) sockets;
};

static inline const struct keys *proxy_keys(const struct proxy *p)
{
	return atomic_load_explicit(&p->keys, memory_order_acquire);
}

static inline const struct sockets *proxy_sockets(const struct proxy *p)
{
	return atomic_load_explicit(&p->sockets, memory_order_acquire);
}

/* Retires through RCU, or frees at once where there is none. */
void proxy_retire(struct proxy *p, void *object);

/* Whether there is a listener of this index, still. */
static inline bool proxy_sockets_has(const struct sockets *s, unsigned index)
{
	return index < s->count && s->socket[index].listener.ep.port != 0;
}

/* Whether host:port over a transport is us: a listener, an advertised name or an alias. port 0,
 * transport NONE: any. */
bool proxy_sockets_is_myself(
	const struct sockets *s, struct str host, uint16_t port, enum sip_transport transport);
/* The same, and domains that count as names of ours (struct proxy_config). */
bool proxy_sockets_is_ours(
	const struct sockets *s, struct str host, uint16_t port, enum sip_transport transport);
/* Whether a host is such a domain. */
static inline bool proxy_is_domain(const struct sockets *s, struct str host)
{
	return s->is_domain != NULL && s->is_domain(s->is_domain_arg, host);
}
/* The listener that host:port means, -1 where none (an alias has no listener of its own). */
int proxy_sockets_named(const struct sockets *s, struct str host, uint16_t port);
int proxy_sockets_at_endpoint(
	const struct sockets *s, const struct net_endpoint *ep, enum sip_transport transport);
int proxy_sockets_by_id(const struct sockets *s, uint64_t id);
/* "udp:10.0.0.5:5060", "10.0.0.5:5060", "10.0.0.5" or a listener's name. -1 where there is none. */
int proxy_sockets_find(const struct sockets *s, struct str text);
/*
 * The listener to send from to `to`: `wanted` where it is not -1 and of the right family, else by
 * route, staying on the one that received the message where that can be. -1: none fits.
 */
int proxy_sockets_choose_by_route(
	const struct sockets *s, unsigned received, const struct net_addr *to);
static inline int proxy_sockets_choose(
	const struct sockets *s, unsigned received, int wanted, const struct net_addr *to)
{
	if (wanted < 0)
		return proxy_sockets_choose_by_route(s, received, to);
	return (unsigned)wanted < s->count &&
			       s->socket[wanted].listener.ep.addr.family == to->family &&
			       s->socket[wanted].listener.transport == SIP_TRANSPORT_UDP
		       ? wanted
		       : -1;
}
bool proxy_sockets_may_send_ip6(const struct socket *from, const struct net_endpoint *ep);
/* Whether anything may be sent to `ep` from a listener: unicast, with a port, loopback only from a
 * loopback listener. */
static inline bool proxy_sockets_may_send(const struct socket *from, const struct net_endpoint *ep)
{
	uint8_t net = ep->addr.b[0];

	if (ep->addr.family != 4)
		return proxy_sockets_may_send_ip6(from, ep);
	/* 0/8 is this host, 224/4 multicast, 240/4 and what is above it nobody's. */
	return ep->port != 0 && net != 0 && net < 224 && (net != 127 || from->loopback);
}
/* Whether the source of ctx needs no Record-Route token. */
bool proxy_sockets_trusts(const struct sockets *s, const struct route_ctx *ctx);
uint32_t proxy_endpoint_slot(const struct net_endpoint *ep);
/* One bit of 64 for an address. */
static inline uint64_t proxy_address_bit(const struct net_addr *addr)
{
	return (uint64_t)1 << (((addr->q[0] ^ addr->q[1]) * 0x9e3779b97f4a7c15ULL) >> 58);
}
/* Likewise for an IPv4 address in network byte order. */
static inline uint64_t proxy_ip4_bit(uint32_t ip4)
{
	return (uint64_t)1 << ((ip4 * 0x9e3779b97f4a7c15ULL) >> 58);
}
/* Of a host in canonical form. */
uint32_t proxy_name_slot(const char host[HOST_ROOM], uint32_t len);
/* The form in which hosts are compared, filled up with zeros to eight characters; returns its
 * length, 0: no host we could be. */
uint32_t proxy_host_canonical(struct str host, char out[HOST_ROOM]);
/* Whether a sent-by is the one that a listener writes, as it writes it: what most responses have.
 */
static inline bool proxy_socket_wrote(
	const struct sockets *s, unsigned listener, struct str sent_by)
{
	const struct socket *k = &s->socket[listener];

	return proxy_sockets_has(s, listener) &&
	       str_eq(sent_by, (struct str){k->via + k->sent_by, k->sent_by_len});
}
static inline uint32_t proxy_id_slot(uint64_t id)
{
	return (uint32_t)(id >> 54) & (BUCKETS - 1);
}
uint64_t proxy_listener_id(const struct net_endpoint *ep, uint8_t transport);

/* ---- the state of one message ---- */

enum state_flag {
	STATE_KEY = 1 << 0,            /* key is computed */
	STATE_ROUTE_SEEN = 1 << 1,     /* 16.4 is done */
	STATE_ROUTE_OURS = 1 << 2,     /* top Route (or the R-URI) was ours: own_params is set */
	STATE_ROUTE_VALID = 1 << 3,    /* ... with a valid token, or exempt */
	STATE_DOWNSTREAM = 1 << 4,     /* the token is of the From tag: the caller's direction */
	STATE_UPSTREAM = 1 << 5,       /* ... of the To tag */
	STATE_POP_LAST = 1 << 6,       /* the last Route value became the R-URI */
	STATE_STRICT_NEXT = 1 << 7,    /* the next hop is a strict router: 16.6 step 6 */
	STATE_RR = 1 << 8,             /* record_route() */
	STATE_RR_PRESET = 1 << 9,      /* with the addresses in rr_host */
	STATE_RR_ADVERTISED = 1 << 10, /* with rr_host[0] instead of the listeners' addresses */
	STATE_RR_FTAG = 1 << 11,
	STATE_RR_LR_ON = 1 << 12,
	STATE_RR_SINGLE = 1 << 13,
	STATE_RR_USER = 1 << 14,
	STATE_RPORT = 1 << 15,        /* force_rport() */
	STATE_LOCAL_RPORT = 1 << 16,  /* add_local_rport() */
	STATE_MAX_FORWARDS = 1 << 17, /* max_forwards is what leaves */
	STATE_ROUTES_GONE = 1 << 18,  /* no Route value stays, of lists that a walk could read */
	STATE_VERIFIED = 1 << 19,     /* the source has proven that it receives at its address */
	STATE_REPLIED = 1 << 20,      /* the script chose the reply */
	STATE_WRITTEN = 1 << 22, /* our edits are in ctx->edits: a second attempt at writing only
				    applies them */
	STATE_OWNER = 1 << 21,   /* of a stateful transaction: owner and branch are set */
	STATE_CALL_ID = 1 << 23, /* call_id is computed */
	STATE_ROUTES = 1 << 24,  /* routes is counted */
	STATE_OURS = 1 << 25,    /* with STATE_OWNER, of a response: of this node */
	STATE_LOOP = 1 << 26,    /* loop is computed, and what leaves carries it */
	STATE_PATH = 1 << 27,    /* add_path() */
	STATE_PATH_RECEIVED = 1 << 28,
	STATE_FLOW =
		1 << 29, /* STATE_ROUTE_VALID by a Path of ours: it proves no way but its own */
};

/* Lives in ctx->scratch[ROUTE_SCRATCH_PROXY]; plain data, zero at reset. */
struct proxy_state {
	struct hash128 key;
	struct hash128 call_id; /* digest */
	uint32_t flags;
	uint16_t pop; /* Route values taken from the top */
	uint16_t out; /* listener that the message leaves from, once written */
	uint16_t
		route_listener; /* listener of the second half of a double Record-Route, plus one */
	uint16_t owner, branch;
	uint16_t max_breadth; /* 0: as it came */
	uint16_t routes;      /* values of the Route headers */
	uint8_t max_forwards;
	uint8_t refusal; /* enum proxy_refusal */
	struct route_text rr_params;
	struct route_text rr_host[2];
	struct route_text path_user, path_params;
	struct sip_span own_params; /* parameters of our own Route's URI, in the message */
	union {
		uint64_t loop;       /* top 40 bits: proxy_is_loop() */
		uint64_t branch_key; /* of a response with STATE_OWNER: what our branch says */
	};
};
static_assert(sizeof(struct proxy_state) <= ROUTE_SCRATCH_BYTES, "proxy_state fits its scratch");

static inline struct proxy_state *proxy_state(struct route_ctx *ctx)
{
	return (struct proxy_state *)ctx->scratch[ROUTE_SCRATCH_PROXY];
}

/* ---- the message as it leaves ---- */

/* What most pieces between two changes are not longer than, and bytes that copying one may touch.
 */
#define PIECE 96

/* Bytes of the message that end at `off`, behind which there are PIECE bytes of room. */
static inline char *proxy_put_piece(
	char *at, const struct route_ctx *ctx, uint32_t from, uint32_t off)
{
	const char *s = ctx->buf + from;

	if (off - from > PIECE || from + PIECE > ctx->msg.len) {
		memcpy(at, s, off - from);
	} else {
		memcpy(at, s, 32);
		memcpy(at + 32, s + 32, 32);
		memcpy(at + 64, s + 64, 32);
	}
	return at + (off - from);
}

/* ---- tokens (token.c) ---- */

/* What a Via token says beside its MAC. */
struct via_token {
	bool stateful;
	bool forked;     /* stateful: `loop` is there */
	uint16_t owner;  /* stateful: below PROXY_OWNERS_MAX */
	uint16_t branch; /* stateful: below PROXY_BRANCHES_MAX; it stands in the branch */
	uint16_t node;
	uint64_t listener; /* top 40 bits */
	uint64_t loop;     /* likewise */
	uint64_t key; /* verified: the first 64 bits of the transaction key, as in our branch */
};

/* What a token binds beside itself: the Via below ours as it stands (or will stand), and the call.
 */
struct via_bound {
	const char *buf;            /* of the spans */
	const struct sip_via *next; /* host, port, branch and maddr are taken from here; NULL: only
				       the call is bound */
	struct net_addr received;   /* as written into it; family 0: none */
	uint16_t rport;             /* likewise; 0: none */
	uint8_t method;             /* enum sip_method; with OTHER, method_text counts */
	uint32_t cseq;
	struct sip_span method_text;
	struct hash128 call_id; /* digest */
};

/* Writes our branch's 16 characters. */
void proxy_branch_write(char *out, struct hash128 key);
/* The characters of node and listener. */
void proxy_place_write(char out[TOKEN_PLACE_LEN], uint16_t node, uint64_t listener);
/* What proves a token. `branch`: the 16 characters made of `transaction`. */
struct hash128 proxy_via_mac(const struct token_key *key, const struct via_token *token,
	const struct via_bound *bound, const struct hash128 *transaction, const char *branch);
/* What proves a stateful token without the Via below ours. */
struct hash128 proxy_own_mac(const struct token_key *key, const struct via_token *token,
	const struct via_bound *bound, const char *branch);
/* Writes the number of a stateful branch; returns its end. Room: BRANCH_NUMBER_LEN. */
char *proxy_branch_number_put(char *at, uint16_t number);
/* Writes the token, whose node and listener are `place`, with its proofs under the first key
 * (`own`: of stateful classes); returns its end. Room: TOKEN_LEN_MAX and TOKEN_SLACK. */
char *proxy_via_token_put(char *at, const struct keys *keys, const struct via_token *token,
	const char place[TOKEN_PLACE_LEN], struct hash128 mac, const struct hash128 *own);
/* Verifies a token and a branch of any letter case against parsed values. Where bound->next is
 * NULL: a stateful one, by its short proof. */
bool proxy_via_token_verify(const struct keys *keys, struct str text, struct str branch,
	const struct via_bound *bound, struct via_token *out);
/* The first 64 bits of the transaction key that the 16 characters of a branch hold. */
uint64_t proxy_branch_key(const char *branch);
/* The digest in a forked request's token, of which nothing is proven; false where it has none. */
bool proxy_via_token_loop(struct str text, uint64_t *loop);

/* Room: ROUTE_TOKEN_LEN and TOKEN_SLACK. Returns its end. */
char *proxy_route_token_put(char *at, const struct keys *keys, struct hash128 mac);
bool proxy_route_token_verify(const struct keys *keys, struct str text, struct hash128 call_id,
	const char *buf, struct sip_span tag);

/* What the codecs of tokens have in common: the key of an id, or NULL; node and listener of as many
 * characters as TOKEN_PLACE_LEN; whether a text is a MAC's characters, in any case, in a time that
 * does not depend on them. */
const struct token_key *proxy_token_key(const struct keys *keys, char id);
bool proxy_place_read(const char *text, struct via_token *out);
bool proxy_mac_equal(struct str text, struct hash128 mac);

/* What is keyed in a request that leaves. */
struct request_codes {
	char branch[BRANCH_LEN]; /* ours, without its cookie */
	struct hash128 via;      /* of the Via token */
	struct hash128 route;    /* of the Record-Route token, where it was wanted */
	struct hash128 own;      /* of the Via token of a stateful class */
};
/* Computes them; fills bound->call_id, and what the state knows of the message. */
void proxy_request_codes(const struct keys *keys, struct route_ctx *ctx,
	const struct via_token *token, struct via_bound *bound, bool with_route,
	struct request_codes *out);

/* To tag of our own replies. */
void proxy_tag_write(const struct keys *keys, struct hash128 key, char *out);

/* ---- received and rport (via.c) ---- */

/* Changes to the client's Via: RFC 3261 18.2.1, RFC 3581 4. In the order of their offsets. */
struct via_stamp {
	unsigned changes;
	struct {
		uint32_t off, del;
		bool received, rport; /* which of them are written there */
	} change[2];
	char received[NET_ADDR_TEXT_MAX + PUT_SLACK];
	uint8_t received_len; /* 0: none is written */
	uint16_t rport;       /* 0: none is written */
};
#define VIA_CHANGE_MAX (sizeof(";received=;rport=65535") + NET_ADDR_TEXT_MAX)
void proxy_via_stamp(const struct route_ctx *ctx, const struct sip_via *via, bool force_rport,
	struct via_stamp *out);
/* Writes the text of a change, at most VIA_CHANGE_MAX bytes; returns its end. */
char *proxy_via_change_put(char *at, const struct via_stamp *stamp, unsigned change);
/* Where the reply to a request with this top Via goes: 18.2.2, RFC 3581. */
void proxy_via_reply_target(const struct route_ctx *ctx, const struct sip_via *via,
	bool force_rport, struct net_endpoint *out);

/* ---- Route (route_set.c) ---- */

/* One value of the Route headers. */
struct route_value_at {
	struct sip_address address;
	struct sip_uri uri;
	struct sip_span value;
};
/* The n-th Route value (from 0), and with last the last one whatever n is. False: none, or
 * malformed. */
bool proxy_route_set_at(struct route_ctx *ctx, unsigned n, bool last, struct route_value_at *out);
/* Whether a Route value remains after what 16.4 takes away. */
bool proxy_route_set_remains(struct route_ctx *ctx);
/* 16.4, once a message. */
void proxy_route_set_preprocess(struct proxy *p, struct route_ctx *ctx);
/* Edits that leave of the Route headers, where there are any, what 16.4 and 16.6 step 6 want. */
void proxy_route_set_write(struct route_ctx *ctx);
#define ROUTE_GONE_MAX 4
/*
 * The same where values are taken from the top and nothing else is changed: what is to be deleted,
 * in the order of its offsets. Returns how many pieces, -1 where that is not all or they are too
 * many.
 */
int proxy_route_set_gone(
	struct route_ctx *ctx, const struct sockets *s, struct sip_span gone[ROUTE_GONE_MAX]);
/* The first URI of ctx->path, with offsets from *text: where the request goes next. False where it
 * is malformed or no loose router (RFC 3327 5.3, RFC 3261 16.12.1). */
bool proxy_path_next(const struct route_ctx *ctx, struct str *text, struct sip_uri *uri);
/* An edit that puts ctx->path above the Routes of the message; false where it is no header value.
 */
bool proxy_path_write(struct route_ctx *ctx);
/* Whether a URI is us. */
bool proxy_uri_is_myself(const struct sockets *s, const char *buf, const struct sip_uri *uri);

/* What stands before the URI in a socket's `record`. */
#define RECORD_NAME_LEN (sizeof("Record-Route: <") - 1)
/* Where our Record-Route goes: above the others, else below the Vias. */
uint32_t proxy_record_route_place(const struct sip_msg *msg);
/* The most that it takes. */
uint32_t proxy_record_route_room(
	struct route_ctx *ctx, const struct sockets *s, unsigned out_listener);
/* Writes it; returns its end. (The code by its place: by value it would be stored by halves, and
 * waited for.) */
char *proxy_record_route_put(char *at, struct route_ctx *ctx, const struct keys *keys,
	const struct sockets *s, unsigned out_listener, const struct hash128 *mac);

/* ---- flow.c ---- */

#define FLOW_TOKEN_MIN 36
/* Whether we have written this token; where and by which listener the REGISTER came. */
bool proxy_flow_token_verify(
	const struct keys *keys, struct str text, uint64_t *listener, struct net_endpoint *ep);
/* An edit that adds our Path, above the others. */
void proxy_path_header_write(struct route_ctx *ctx, const struct keys *keys,
	const struct sockets *s, unsigned out_listener);

/* ---- forward.c ---- */

/* The value of forward() and its kin: ROUTE_TRUE, ROUTE_PENDING, or negative with state->refusal.
 */
int32_t proxy_forward_uri(struct proxy *p, struct route_ctx *ctx, struct str uri);
/* `kind`: of a host without a port. */
int32_t proxy_forward_host(struct proxy *p, struct route_ctx *ctx, enum resolve_kind kind,
	struct str host, uint16_t port);
/* Says why and leaves an error reply in ctx->result. Returns the value for the script. */
int32_t proxy_forward_refuse(struct route_ctx *ctx, enum proxy_refusal refusal);

/* ---- reply.c ---- */

/* The 200 for an OPTIONS that ends here (RFC 3261 11.2). */
void proxy_reply_options(struct route_ctx *ctx, struct str headers);
/* A reason phrase for a status that has none. */
struct str proxy_reply_phrase(uint16_t status);

/* ---- modules ---- */

/* Text of an argument; a number is written into `digits`. */
static inline struct str arg_text(const struct route_value *v, char digits[24])
{
	if (v->type == ROUTE_STR)
		return v->s;
	if (v->type != ROUTE_INT)
		return STR_NONE;
	digits[0] = '-';
	return (struct str){v->i < 0 ? digits : digits + 1,
		str_from_u64(digits + 1, v->i < 0 ? 0 - (uint64_t)v->i : (uint64_t)v->i) +
			(v->i < 0)};
}

/* Number of an argument, which scripts write with or without quotes. */
static inline bool arg_number(const struct route_value *v, int64_t max, int64_t *out)
{
	uint64_t u = 0;
	uint32_t i = 0;

	if (v->type == ROUTE_INT) {
		*out = v->i;
		return *out >= 0 && *out <= max;
	}
	if (v->type != ROUTE_STR)
		return false;
	/* Mostly a few digits and nothing else. */
	for (; i < v->s.len && i < 9 && str_is_digit(v->s.s[i]); i++)
		u = 10 * u + (uint64_t)(v->s.s[i] - '0');
	if ((i == 0 || i != v->s.len) && str_to_u64(str_trim(v->s), (uint64_t)max, &u) != 0)
		return false;
	*out = (int64_t)u;
	return *out <= max;
}

#define MODULE_RUN(name) static int32_t name(struct route_ctx *ctx, const struct route_args *args)
#define MODULE_CHECK(name) \
	static int name(void *room, const void *config, const struct route_arg *arg, unsigned n, \
		const struct route_place *place, struct route_report *report, void **data)

/* Functions of the core language: they join the core's own table. */
extern const struct route_function proxy_core_functions[];
extern const struct route_module proxy_sl_module, proxy_rr_module, proxy_maxfwd_module,
	proxy_siputils_module, proxy_sanity_module, proxy_path_module;
