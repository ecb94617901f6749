/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * sip: the SIP message (RFC 3261 7, 19, 20, 25), as a view on bytes that somebody else owns.
 *
 * sip_msg_index() runs once over a message, stops at the blank line and notes where each header
 * field stands. sip_msg_check() says whether it is well formed enough to be routed, and with which
 * reply if not. Everything deeper (Via, From, URI, ...) is parsed when first asked for and
 * remembered in the view. Changes are collected in a list of edits and applied once, when the
 * message leaves.
 *
 * struct sip_msg holds offsets and no pointers: it goes to another core or thread by copying it
 * beside the copied text. Every function takes the text (`buf`) beside the view. Nothing here
 * allocates, blocks, logs or has state; any thread may call it. No byte at or past `buf + len` is
 * ever read.
 *
 * Limits are the SIP_..._MAX below; what exceeds one is refused with its sip_error, never cut.
 *
 * Files: msg (index), start_line, header and name (names by perfect hash), check, parsed (what is
 * parsed on first use), value (lists), token and class (character classes), uri, via, address
 * (From, To, Contact, Route, Record-Route), digest (credentials: digest.h), edit. What index and
 * check do with nearly all messages is compiled once for each instruction set (isa, isa_*):
 * plain_block.h (line ends), lines_block.h (header lines) and index_block.h (all of the index) for
 * what is printable ASCII, scan_block.h (line ends) for what is not, check_block.h (values of the
 * usual shapes); the files above are for all else, and the scalar set, by which the others are
 * tested, has them only.
 */
#include "base/base.h"

#define SIP_MSG_UDP_MAX 64000     /* bytes of a message in over UDP */
#define SIP_MSG_UDP_OUT_MAX 65000 /* bytes of a message out over UDP; 513 above */
#define SIP_MSG_HEADERS_MAX 128   /* header fields (lines) of one message */
#define SIP_HEADER_NAME_MAX 255   /* bytes of a header field name */
#define SIP_VALUES_MAX 128        /* values looked at in one list of values (Via, Route, ...) */
/* Parameters of one URI whose names begin as those of the few that routing looks at: "lr", "ma",
 * "tr", "tt", or escapes of letters. Each of them costs as much as a short header field. */
#define SIP_URI_KNOWN_MAX 32
#define SIP_CSEQ_MAX 2147483647U /* RFC 3261 8.1.1.5: less than 2**31 */
#define SIP_MAX_FORWARDS_MAX 255 /* RFC 3261 20.22 */

#define SIP_DEFAULT_PORT 5060
#define SIPS_DEFAULT_PORT 5061

/* A place in the message: bytes [off, off + len) of buf. len 0 and off 0: absent. */
struct sip_span {
	uint32_t off;
	uint32_t len;
};

static inline struct str sip_text(const char *buf, struct sip_span span)
{
	return (struct str){buf + span.off, span.len};
}

static inline bool sip_present(struct sip_span span)
{
	return span.off != 0 || span.len != 0;
}

enum sip_method {
	SIP_METHOD_NONE = 0,
#define SIP_METHOD(id, text) SIP_METHOD_##id,
#include "sip/method.def"
#undef SIP_METHOD
	SIP_METHOD_OTHER,
	SIP_METHOD_COUNT
};

enum sip_header_id {
	SIP_HEADER_OTHER = 0,
#define SIP_HEADER(id, name, compact, rule) SIP_HEADER_##id,
#include "sip/header.def"
#undef SIP_HEADER
	SIP_HEADER_COUNT
};

#define SIP_HEADER_SLOTS 64 /* whole vectors of what there is one of for each header id */

enum sip_error {
	SIP_OK = 0,
#define SIP_ERROR(id, counter, status, reason) SIP_ERROR_##id,
#include "sip/error.def"
#undef SIP_ERROR
	SIP_ERROR_COUNT
};

/* Counter name, status code and reason phrase of an error, from error.def. */
const char *sip_error_name(enum sip_error error);
uint16_t sip_error_status(enum sip_error error);
struct str sip_error_reason(enum sip_error error);

/* "INVITE" and so on; "" for NONE and OTHER. */
struct str sip_method_name(enum sip_method method);
/* The method of a token; methods are case-sensitive (RFC 3261 7.1). SIP_METHOD_OTHER where unknown.
 */
enum sip_method sip_method_of(struct str token);
/* The header field of a name in its long or compact form, in any letter case (RFC 3261 7.3.1). */
enum sip_header_id sip_header_of(struct str name);
struct str sip_header_name(enum sip_header_id id);

enum sip_transport {
	SIP_TRANSPORT_NONE = 0, /* not said */
	SIP_TRANSPORT_UDP,
	SIP_TRANSPORT_TCP,
	SIP_TRANSPORT_TLS,
	SIP_TRANSPORT_SCTP,
	SIP_TRANSPORT_WS,
	SIP_TRANSPORT_WSS,
	SIP_TRANSPORT_OTHER
};

enum sip_scheme {
	SIP_SCHEME_NONE = 0,
	SIP_SCHEME_SIP,
	SIP_SCHEME_SIPS,
	SIP_SCHEME_TEL,
	SIP_SCHEME_OTHER
};

/*
 * RFC 3261 19.1. For sip and sips all parts; for tel, `user` is the number and `params` what
 * follows; for other schemes only `scheme_text` and `opaque`. Spans lie in the same buffer as the
 * input. `host` of an IPv6 reference is without its brackets and `host_is_ip6` is set. `port` is 0
 * where none is given.
 */
struct sip_uri {
	enum sip_scheme scheme;
	enum sip_transport transport; /* of ;transport= */
	uint16_t port;
	bool host_is_ip6;
	bool host_is_ip4;
	uint32_t ip4; /* the address where host_is_ip4, in network byte order; else 0 */
	bool lr;      /* ;lr, with or without a value */
	bool has_maddr;
	bool has_method;     /* ;method=, which no Request-URI may have (RFC 3261 19.1.1) */
	struct sip_span all; /* the whole URI */
	struct sip_span scheme_text;
	struct sip_span user; /* without password; as written, escapes kept */
	struct sip_span password;
	struct sip_span host;
	struct sip_span hostport; /* host and port as written, with brackets */
	struct sip_span params;   /* after the first ';' up to '?' */
	struct sip_span headers;  /* after '?' */
	struct sip_span opaque;   /* all after the scheme's colon */
	struct sip_span maddr;    /* value of ;maddr= */
};

/*
 * RFC 3261 20.42, RFC 3581. One Via value. `value` spans the value without surrounding LWS or
 * commas, and `next` is the offset at which the following value of the same header line begins, 0
 * where this is the last. A comment at the end (RFC 2543) is part of `value` and of nothing else.
 */
struct sip_via {
	enum sip_transport transport;
	uint16_t port; /* of sent-by; 0 where none */
	bool host_is_ip6;
	bool host_is_ip4;
	bool has_rport; /* ;rport with or without a value */
	bool has_magic; /* branch begins with z9hG4bK (in any case) */
	uint8_t header; /* index of its header line in sip_msg.header */
	uint16_t rport; /* value of ;rport=, 0 where none */
	uint32_t ip4;   /* of sent-by where host_is_ip4, in network byte order; else 0 */
	bool received_is_ip4;
	uint32_t received_ip4; /* likewise of ;received= */
	struct sip_span value;
	struct sip_span sent_by; /* host and port as written */
	struct sip_span host;    /* without brackets */
	struct sip_span
		params; /* from the first ';' to the end of the last one; empty where none */
	struct sip_span branch;   /* may be present and empty (RFC 2543) */
	struct sip_span received; /* an address, with brackets if it came so (RFC 5118 4.5) */
	struct sip_span maddr;
	struct sip_span rport_param;    /* ";rport" or ";rport=5060" as it stands, with its ';' */
	struct sip_span received_param; /* likewise */
	struct sip_span token;          /* value of our own parameter, SIP_VIA_TOKEN_PARAM */
	uint32_t next;
};

/* The Via parameter that carries our own proof: see lib/proxy/token. */
#define SIP_VIA_TOKEN_PARAM "sp"

/*
 * name-addr or addr-spec with parameters: one value of From, To, Contact, Route, Record-Route,
 * Path, Refer-To, P-Asserted-Identity. Without angle brackets all parameters belong to the header
 * field (RFC 3261 20.10).
 */
struct sip_address {
	bool brackets;
	bool star;               /* Contact: * */
	uint8_t header;          /* index of its header line in sip_msg.header */
	struct sip_span value;   /* the whole value, trimmed */
	struct sip_span display; /* display name as written, with its quotes; empty where none */
	struct sip_span uri;     /* text of the URI */
	struct sip_span
		params; /* header parameters, from the first ';' to the end; empty where none */
	struct sip_span tag; /* value of ;tag= */
	uint32_t next;       /* as in struct sip_via */
};

/* One header field (line). 16 bytes. */
struct sip_header {
	uint32_t name;      /* offset of its name, which is where the line begins */
	uint32_t value;     /* offset of its value, after the colon and LWS */
	uint32_t value_len; /* without LWS at the end; folds inside are left as they are */
	uint8_t name_len;
	uint8_t id;   /* enum sip_header_id */
	uint8_t next; /* the next header with the same id, SIP_HEADER_NONE after the last */
	uint8_t flags;
};
#define SIP_HEADER_NONE 0xff
/*
 * In sip_header.flags: the line is malformed (name, bare CR or LF, NUL). It stays in the index with
 * an empty name and id OTHER, so that lines are adjacent, but it is never taken for the header it
 * may pretend to be.
 */
#define SIP_HEADER_BAD 1

/* What has been parsed lazily and is remembered: bits of sip_msg.parsed and, where it failed,
 * sip_msg.broken. */
#define SIP_PARSED_URI (1u << 0)
#define SIP_PARSED_VIA0 (1u << 1)
#define SIP_PARSED_VIA1 (1u << 2)
#define SIP_PARSED_FROM (1u << 3)
#define SIP_PARSED_TO (1u << 4)
#define SIP_PARSED_CSEQ (1u << 5)
#define SIP_PARSED_MAX_FORWARDS (1u << 6)
#define SIP_PARSED_ROUTE0 (1u << 7)

struct sip_msg {
	uint32_t
		len; /* bytes of the message that count: through the body, without what trails it */
	uint32_t headers;     /* offset of the first header line */
	uint32_t headers_end; /* offset of the blank line's CRLF: headers are appended here */
	uint32_t body;        /* offset of the body */
	uint32_t body_len;
	bool is_response;
	bool plain;     /* all before the body is printable ASCII in lines that are not folded */
	uint8_t method; /* enum sip_method; of CSeq, once parsed, for a response */
	uint16_t status;
	uint16_t header_count;
	uint16_t parsed, broken;
	uint32_t max_forwards; /* valid after sip_msg_max_forwards() */
	uint32_t cseq_number;
	uint8_t cseq_method;
	struct sip_span start_line; /* without CRLF */
	struct sip_span method_text, uri_text, version, reason;
	struct sip_span cseq_method_text;
	struct sip_uri uri;
	struct sip_via via[2];
	struct sip_address from, to, route;
	uint64_t present;                /* bit n: header id n stands at least once */
	uint8_t first[SIP_HEADER_SLOTS]; /* index of its first header line; valid where `present`
					    has its bit */
	uint8_t last[SIP_HEADER_SLOTS];
	struct sip_header header[SIP_MSG_HEADERS_MAX];
};

/* ---- msg ---- */

/*
 * Indexes the datagram buf[0, len). Leading CRLFs are skipped (RFC 3261 7.5): start_line.off is
 * where the message begins, and who forwards it leaves out what stands before. RFC 3261 7, 18.3.
 * Costs one pass up to the blank line.
 *
 * One framing rule for everybody: a line ends with CRLF and nothing else. A CR or LF without its
 * partner, or a NUL outside a quoted-pair, anywhere before the blank line is an error.
 *
 * Returns the first error. After it the view still holds the rest that is sound, so that a reply
 * can be built where the headers that it needs are sound (sip_msg_can_reply()); a malformed line is
 * kept as SIP_HEADER_BAD. Lines are always adjacent: header[0].name is `headers`, header[i +
 * 1].name is the end of line i, and the last one ends at headers_end. Only SIP_ERROR_EMPTY and
 * SIP_ERROR_NOT_SIP leave nothing: such a datagram is dropped, never answered.
 */
enum sip_error sip_msg_index(struct sip_msg *msg, const char *buf, uint32_t len);

/*
 * What any message must fulfil before it is routed (RFC 3261 8.1.1, 16.3 step 1, 18.3, 20), to be
 * asked after an index without error: mandatory headers, none of rule ONCE (header.def) twice, To,
 * From, Via, CSeq, Call-ID, Content-Length well formed, CSeq method = method, body not shorter than
 * said; of a request also Max-Forwards, the first Route, Record-Route and Contact, and the
 * Request-URI. Trims what trails the body (len, body_len). Sets msg->broken bits. What a proxy does
 * not act on (Date, Expires, Warning, ...) it does not look at.
 *
 * Returns the first error. SIP_ERROR_URI_SCHEME (416) comes last, when all else is well: who routes
 * URIs of such schemes may take it for SIP_OK.
 */
enum sip_error sip_msg_check(struct sip_msg *msg, const char *buf);

/*
 * Whether a reply can be built: it is a request but no ACK, and has a Via and a CSeq, by which its
 * sender knows the reply (RFC 3261 17.1.3). From, To or Call-ID may be missing: RFC 4475 3.3.1
 * wants a 400 for that too, and a reply carries then what there was.
 */
bool sip_msg_can_reply(const struct sip_msg *msg);

static inline bool sip_msg_has(const struct sip_msg *msg, enum sip_header_id id)
{
	return (msg->present >> id & 1) != 0;
}

/* The n-th (from 0) header line of this id, or NULL. */
const struct sip_header *sip_msg_header(
	const struct sip_msg *msg, enum sip_header_id id, unsigned n);

/* Visits the header lines of one id in their order: SIP_MSG_FOREACH(msg, SIP_HEADER_VIA, h) { ... }
 */
#define SIP_MSG_FOREACH(msg, hid, h) \
	for (const struct sip_header *h = \
			sip_msg_has((msg), (hid)) ? &(msg)->header[(msg)->first[(hid)]] : NULL; \
		h != NULL; h = h->next != SIP_HEADER_NONE ? &(msg)->header[h->next] : NULL)

/* Offset just past a header line's final CRLF (folded lines included). */
static inline uint32_t sip_msg_line_end(const struct sip_msg *msg, const struct sip_header *h)
{
	uint32_t next = (uint32_t)(h - msg->header) + 1;

	return next < msg->header_count ? msg->header[next].name : msg->headers_end;
}

static inline struct sip_span sip_header_value(const struct sip_header *h)
{
	return (struct sip_span){h->value, h->value_len};
}

/* Value of the first header of this id, trimmed; absent where there is none. */
struct sip_span sip_msg_value(const struct sip_msg *msg, enum sip_header_id id);

/* The first header line with this name in any case, known to header.def or not; NULL where there is
 * none. */
const struct sip_header *sip_msg_header_named(
	const struct sip_msg *msg, const char *buf, struct str name);

/* ---- parsed on first use, remembered in msg; NULL (or false) where absent or malformed ---- */

/* The first call, and those that found nothing: for the functions below. */
const struct sip_uri *sip_msg_parse_uri(struct sip_msg *msg, const char *buf);
const struct sip_via *sip_msg_parse_via(struct sip_msg *msg, const char *buf, unsigned n);
const struct sip_address *sip_msg_parse_from(struct sip_msg *msg, const char *buf);
const struct sip_address *sip_msg_parse_to(struct sip_msg *msg, const char *buf);
bool sip_msg_parse_cseq(struct sip_msg *msg, const char *buf);
bool sip_msg_parse_max_forwards(struct sip_msg *msg, const char *buf);

/* Whether all of these SIP_PARSED bits have been parsed, and well. */
static inline bool sip_msg_knows(const struct sip_msg *msg, unsigned bits)
{
	return (msg->parsed & ~msg->broken & bits) == bits;
}

static inline const struct sip_uri *sip_msg_uri(struct sip_msg *msg, const char *buf)
{
	return sip_msg_knows(msg, SIP_PARSED_URI) ? &msg->uri : sip_msg_parse_uri(msg, buf);
}

/* n = 0: the topmost Via; 1: the one below it, on the same line or the next. */
static inline const struct sip_via *sip_msg_via(struct sip_msg *msg, const char *buf, unsigned n)
{
	unsigned bits = n == 0 ? SIP_PARSED_VIA0 : SIP_PARSED_VIA0 | SIP_PARSED_VIA1;

	return n < 2 && sip_msg_knows(msg, bits) ? &msg->via[n] : sip_msg_parse_via(msg, buf, n);
}

static inline const struct sip_address *sip_msg_from(struct sip_msg *msg, const char *buf)
{
	return sip_msg_knows(msg, SIP_PARSED_FROM) ? &msg->from : sip_msg_parse_from(msg, buf);
}

static inline const struct sip_address *sip_msg_to(struct sip_msg *msg, const char *buf)
{
	return sip_msg_knows(msg, SIP_PARSED_TO) ? &msg->to : sip_msg_parse_to(msg, buf);
}

/* The topmost Route value. */
const struct sip_address *sip_msg_route(struct sip_msg *msg, const char *buf);

/* Fills cseq_number, cseq_method, cseq_method_text. */
static inline bool sip_msg_cseq(struct sip_msg *msg, const char *buf)
{
	return sip_msg_knows(msg, SIP_PARSED_CSEQ) || sip_msg_parse_cseq(msg, buf);
}

/* Fills max_forwards; false where absent or malformed (0 to 255, RFC 3261 20.22). */
static inline bool sip_msg_max_forwards(struct sip_msg *msg, const char *buf)
{
	return sip_msg_knows(msg, SIP_PARSED_MAX_FORWARDS) || sip_msg_parse_max_forwards(msg, buf);
}

/* ---- uri ---- */

/*
 * Parses the URI that fills `in`. Returns 0 or -EINVAL; unknown schemes are SIP_SCHEME_OTHER and
 * not an error. Nothing is unescaped; `transport` and `lr` are recognised through escapes. `maddr`
 * and `transport` may stand once only. Of parameters whose names begin as theirs, a SIP URI has at
 * most SIP_URI_KNOWN_MAX.
 */
int sip_uri_parse(const char *buf, struct sip_span in, struct sip_uri *out);

/*
 * Looks a URI or header parameter up by name, in any case, in a `params` span ("a=1;b" or
 * ";a=1;b"). Returns whether it is there; `*value` spans its value as written (quotes kept), empty
 * where it has none; `*whole` the parameter with the ';' before it. Either may be NULL.
 */
bool sip_param_find(const char *buf, struct sip_span params, struct str name,
	struct sip_span *value, struct sip_span *whole);

/*
 * Whether two SIP URIs are equal by RFC 3261 19.1.4, IPv6 hosts by address (RFC 5954), tel by RFC
 * 3966 4. Other schemes are compared octet by octet. Not transitive. Any buffers.
 */
bool sip_uri_equal(
	const char *buf_a, const struct sip_uri *a, const char *buf_b, const struct sip_uri *b);

enum sip_transport sip_transport_of(struct str token);
/* "UDP", "TCP", ... ; "" for NONE and OTHER. */
struct str sip_transport_name(enum sip_transport transport);

/* ---- via, address: one value at `off`; `end` bounds the header's value ---- */

/*
 * Parses the Via value that begins at `in.off` (LWS skipped) inside `in`. Returns 0 or -EINVAL.
 * Leaves `header` 0. Any protocol name and version is taken: the start line says 505. Refused are
 * also a second branch, received, rport, maddr or token, a received that is no address, and a comma
 * with nothing behind it.
 */
int sip_via_parse(const char *buf, struct sip_span in, struct sip_via *out);
/*
 * The same for name-addr values. A `;tag` is looked for. The URI's text has a scheme and no
 * character that no URI has; sip_uri_parse() says whether it is well formed. From and To are no
 * lists: their caller refuses `next` != 0.
 */
int sip_address_parse(const char *buf, struct sip_span in, struct sip_address *out);

/* ---- values ---- */

/*
 * Steps through a header's comma-separated list, respecting quotes, angle brackets and comments:
 * `*at` is 0 at first and is advanced; returns false at the end. Each value is trimmed, empty ones
 * are passed over. A quote, bracket or comment that is not closed takes the rest of the list. Any
 * list header (Require, Allow, Route, ...). Linear in the list's length.
 */
bool sip_list_next(const char *buf, struct sip_span list, uint32_t *at, struct sip_span *value);

/* Whether a comma-separated list of tokens over all lines of `id` holds `token`, in any case. */
bool sip_msg_list_has(
	const struct sip_msg *msg, const char *buf, enum sip_header_id id, struct str token);

/* ---- edit ---- */

#define SIP_EDITS_MAX 96       /* changes of one message */
#define SIP_EDIT_TEXT_MAX 6144 /* bytes of inserted text of one message */
#define SIP_EDIT_SLACK 64      /* bytes behind such text that copying in wide moves may touch */

/* At offset `off` of the original: delete `del` bytes and put `len` bytes of text[at..] there. */
struct sip_edit {
	uint32_t off;
	uint32_t del;
	uint16_t at;
	uint16_t len;
	uint16_t
		order; /* rank among inserts at one offset: lower first, then in order of arrival */
	uint16_t unused;
};

/*
 * The changes of one message, plain data. `overflow` is set, and stays set, when a change did not
 * fit: the message must then not leave (500 Too Many Changes), since a part of the changes would be
 * worse than none.
 */
struct sip_edits {
	uint16_t count;
	uint16_t text_len;
	bool overflow;
	struct sip_edit edit[SIP_EDITS_MAX];
	char text[SIP_EDIT_TEXT_MAX + SIP_EDIT_SLACK];
};

static inline void sip_edits_reset(struct sip_edits *edits)
{
	edits->count = 0;
	edits->text_len = 0;
	edits->overflow = false;
}

/* Ranks for inserts that meet at one offset. */
#define SIP_EDIT_FIRST 0            /* our Via */
#define SIP_EDIT_NORMAL 50          /* what the script inserts */
#define SIP_EDIT_LAST 100           /* what the script appends */
#define SIP_EDIT_REPLACE UINT16_MAX /* edits that delete: behind all inserts at their offset */

/*
 * Adds a change. Returns 0, or -ENOSPC (and overflow) where a bound is met. Deletes that overlap
 * are merged at output.
 *
 * A delete takes with it what other edits, earlier or later, put strictly inside its bytes: a
 * header line can go whatever was done to it, and new values belong on lines of their own. The text
 * of a replacement stands behind all inserts at its offset; of several for the same bytes the last
 * one counts, and a larger delete takes it. Offsets past the end are the end.
 */
int sip_edit_replace(struct sip_edits *edits, uint32_t off, uint32_t del, struct str text);
int sip_edit_insert(struct sip_edits *edits, uint32_t off, uint16_t order, struct str text);
int sip_edit_delete(struct sip_edits *edits, uint32_t off, uint32_t del);
/* The same from pieces, so that a caller needs no buffer of its own: the parts are joined. */
int sip_edit_insert_parts(struct sip_edits *edits, uint32_t off, uint16_t order,
	const struct str *part, unsigned parts);

/*
 * The same for text that is written where it belongs: sip_edit_begin() gives a place for at most
 * `max` bytes (and SIP_EDIT_SLACK more that may be overwritten), or NULL and overflow, and
 * sip_edit_end() adds the change with what was written up to `end`. Nothing else is added between.
 */
static inline char *sip_edit_begin(struct sip_edits *edits, uint32_t max)
{
	if (edits->count < SIP_EDITS_MAX && max <= (uint32_t)SIP_EDIT_TEXT_MAX - edits->text_len)
		return edits->text + edits->text_len;
	edits->overflow = true;
	return NULL;
}

/* `order` is a rank, SIP_EDIT_REPLACE where `del` is not 0. */
static inline void sip_edit_end(
	struct sip_edits *edits, uint32_t off, uint32_t del, uint16_t order, const char *end)
{
	uint16_t at = edits->text_len;

	edits->text_len = (uint16_t)(end - edits->text);
	edits->edit[edits->count++] = (struct sip_edit){.off = off,
		.del = del,
		.at = at,
		.len = (uint16_t)(edits->text_len - at),
		.order = order};
}

/*
 * Takes out one value (from sip_list_next() or a struct sip_via/sip_address `value`) of header line
 * `h`: the whole line where it is its only value, else the value and one comma. Values that other
 * calls took out count as gone, so all may go, in any order. Returns 0, -ENOSPC as above, or
 * -EINVAL where no value of the line begins at value.off (nothing is changed).
 */
int sip_edit_delete_value(struct sip_edits *edits, const struct sip_msg *msg, const char *buf,
	const struct sip_header *h, struct sip_span value);

/* Bytes that sip_edit_apply() will write. Sorts the edits, which changes nothing that they mean. */
uint32_t sip_edit_length(struct sip_edits *edits, uint32_t len);

/*
 * Writes buf[0, len) with all changes to out. Returns the bytes written, or -ENOSPC where `room` is
 * too small, or -EOVERFLOW where edits->overflow. `out` must not overlap `buf`. Content-Length is
 * left alone unless an edit changes it.
 */
int64_t sip_edit_apply(
	struct sip_edits *edits, const char *buf, uint32_t len, char *out, uint32_t room);

/* ---- scan ---- */

/*
 * The scanners find line ends and colons; all give the same index. The best one that the CPU has is
 * picked before main(); a name ("scalar", "sse42", "avx2", "avx512") forces one for tests and
 * measurements. Returns 0, or -ENOTSUP where the CPU lacks it, -EINVAL for another name. Not while
 * another thread indexes.
 */
int sip_scan_select(const char *name);
const char *sip_scan_name(void);
