/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * The small pieces of RFC 3261 25.1 that several parsers share: character classes, LWS, quoted
 * strings, comments, hosts and header parameters. Internal to lib/sip.
 *
 * All take a half-open range [at, end) of buf and read no byte outside it.
 */
#include <errno.h>

#include "base/load.h"
#include "sip/class.h"
#include "sip/private.h"
#include "sip/sip.h"

#define SIP_HOST_MAX 255 /* bytes of a host; a DNS name has at most 253 */

/* Bits of sip_text_class. */
#define SIP_TEXT_TOKEN (1u << 0) /* token */
#define SIP_TEXT_HOST \
	(1u << 1) /* letters, digits, '-', '.', and '_', which names of containers have */
#define SIP_TEXT_URI \
	(1u << 2) /* anywhere in a URI: visible and non-ASCII, without '"', '<', '>' \
		   */
#define SIP_TEXT_VALUE (1u << 3) /* an unquoted value of a header parameter */
#define SIP_TEXT_HEX (1u << 4)
#define SIP_TEXT_PLAIN (1u << 5)  /* URI without '%' and '@' */
#define SIP_TEXT_QUOTED (1u << 6) /* inside a quoted string: qdtext, LWS, any non-ASCII byte */
#define SIP_TEXT_SCHEME (1u << 7)

extern SIP_PRIVATE const uint8_t sip_text_class[256];

static inline bool sip_text_is(char c, unsigned bits)
{
	return (sip_text_class[(uint8_t)c] & bits) != 0;
}

/* The same classes by bit number, as class.h wants them. */
extern SIP_PRIVATE const uint8_t sip_text_rows[8][16];

/* Offset of the first character at or after `at` that is not of the class `bit`, one of the above.
 */
static inline uint32_t sip_skip(const char *buf, uint32_t at, uint32_t end, unsigned bit)
{
	const unsigned beyond_ascii =
		SIP_TEXT_URI | SIP_TEXT_VALUE | SIP_TEXT_PLAIN | SIP_TEXT_QUOTED;

	return sip_class_skip(buf, at, end, sip_text_rows[__builtin_ctz(bit)],
		(bit & beyond_ascii) != 0, sip_text_class, bit);
}

static inline uint32_t sip_skip_lws(const char *buf, uint32_t at, uint32_t end)
{
	while (at < end && str_is_lws(buf[at]))
		at++;
	return at;
}

/* `at` without the LWS before it, not below `begin`. */
static inline uint32_t sip_skip_lws_back(const char *buf, uint32_t begin, uint32_t at)
{
	while (at > begin && str_is_lws(buf[at - 1]))
		at--;
	return at;
}

static inline struct sip_span sip_span_of(uint32_t begin, uint32_t end)
{
	return (struct sip_span){begin, end - begin};
}

/* buf[at] is '"': writes the offset behind the closing quote. 0, or -EINVAL where there is none or
 * a character is illegal. */
int sip_quoted_end(const char *buf, uint32_t at, uint32_t end, uint32_t *after);

/* buf[at] is '(': writes the offset behind the matching ')'. 0 or -EINVAL. */
int sip_comment_end(const char *buf, uint32_t at, uint32_t end, uint32_t *after);

/* Value of a hexadecimal digit, which the caller has checked. */
static inline unsigned sip_hex(char c)
{
	return str_is_digit(c) ? (unsigned)(c - '0') : (unsigned)(str_lower_char(c) - 'a' + 10);
}

/*
 * The first 1 to 8 octets of a word with their letters lowered, to compare a name with a few known
 * ones at once. Only for names of letters: other octets are changed too, but none becomes a letter.
 */
static inline uint64_t sip_word(const char *s, uint32_t len)
{
	return (len >= 8 ? load8(s) : load_short(s, len)) | 0x2020202020202020ULL;
}

/* Whether `text` is the name `literal`, of letters only and at most 8, in any case. */
#define SIP_IS(text, literal) \
	((text).len == sizeof(literal) - 1 && \
		sip_word((text).s, sizeof(literal) - 1) == sip_word(literal, sizeof(literal) - 1))

/* ---- hosts ---- */

struct sip_host {
	struct sip_span text; /* without brackets */
	uint32_t after;       /* offset behind the host, brackets included */
	bool ip6;
	bool ip4;
	uint32_t address; /* where ip4, in network byte order; else 0 */
};

/*
 * Reads a host name, IPv4 address or bracketed IPv6 reference at `at`. What consists of digits and
 * dots, or ends in a label of digits, must be an IPv4 address without leading zeros. 0 or -EINVAL.
 */
int sip_host_read(const char *buf, uint32_t at, uint32_t end, struct sip_host *out);

/* Whether the whole range is a host. */
bool sip_host_valid(const char *buf, struct sip_span in);

/* Whether the whole text is an IPv4 address. Writes it in network byte order. */
bool sip_ip4_read(struct str text, uint32_t *address);

/* Whether the whole text is an IPv6 address, with or without brackets (RFC 5118 4.5). */
bool sip_ip6_text_valid(struct str text);

/* RFC 4291 2.2 text with RFC 5954's correction, without brackets and zone; fills 16 bytes. */
bool sip_ip6_read(struct str text, uint8_t out[16]);

/* Reads 1*DIGIT of 1 to 65535 at `at`, and writes the offset behind it. 0 or -EINVAL. */
int sip_port_read(const char *buf, uint32_t at, uint32_t end, uint16_t *port, uint32_t *after);

/* ---- header parameters ---- */

struct sip_param {
	struct sip_span name;
	struct sip_span value; /* as written, with its quotes */
	struct sip_span whole; /* with its ';', without LWS behind it */
	bool has_value;        /* there was a '=' */
};

/*
 * buf[*at] is ';': reads one parameter of a header field and leaves *at behind it. LWS may stand
 * around ';' and '='. A value may be empty here. 0 or -EINVAL.
 */
int sip_header_param_read(const char *buf, uint32_t *at, uint32_t end, struct sip_param *out);

/* Takes what routing looks at from the text of uri->params, of a SIP URI, before which a ';'
 * stands. 0 or -EINVAL. */
int sip_uri_params_read(const char *buf, struct sip_uri *uri);

/* ---- lists ---- */

/*
 * A value of a list ended before `at`, LWS skipped: writes where the next one begins, 0 at the end
 * of the list. -EINVAL where something else than a comma stands there, or nothing behind the comma.
 */
int sip_value_next(const char *buf, uint32_t at, uint32_t end, uint32_t *next);
