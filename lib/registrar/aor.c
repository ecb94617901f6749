/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The address-of-record in the form that bindings are found by (RFC 3261 10.3 step 5, 19.1.4).
 *
 * Escapes of what may stand unescaped in a user part are taken away; others stay, with their digits
 * in lower case, so that no escaped '@' is one: "a%40b" of one domain is not "a" of "b". Control
 * characters are refused: nobody has them in a name, and who writes them tries something.
 */
#include <tmmintrin.h>

#include "registrar/internal.h"

#define SIP_NAME_MAX 253 /* bytes of a host name */

/* RFC 3261 25.1: unreserved and user-unreserved. */
#define IS_DIGIT(c) ((c) >= '0' && (c) <= '9')
#define IS_UPPER(c) ((c) >= 'A' && (c) <= 'Z')
#define IS_LOWER(c) ((c) >= 'a' && (c) <= 'z')
#define IS_MARK(c) \
	((c) == '-' || (c) == '_' || (c) == '.' || (c) == '!' || (c) == '~' || (c) == '*' || \
		(c) == '\'' || (c) == '(' || (c) == ')')
#define IS_USER(c) \
	((c) == '&' || (c) == '=' || (c) == '+' || (c) == '$' || (c) == ',' || (c) == ';' || \
		(c) == '?' || (c) == '/')

/* Such a character in lower case; 0 for all others. */
#define LOWERED(c) \
	(IS_UPPER(c)                                                     ? (c) + 'a' - 'A' \
		: IS_DIGIT(c) || IS_LOWER(c) || IS_MARK(c) || IS_USER(c) ? (c) \
									 : 0)
#define FOUR(c) LOWERED(c), LOWERED((c) + 1), LOWERED((c) + 2), LOWERED((c) + 3)
#define SIXTEEN(c) FOUR(c), FOUR((c) + 4), FOUR((c) + 8), FOUR((c) + 12)
#define SIXTY_FOUR(c) SIXTEEN(c), SIXTEEN((c) + 16), SIXTEEN((c) + 32), SIXTEEN((c) + 48)

static const char lowered[256] = {SIXTY_FOUR(0), SIXTY_FOUR(64)};

static bool is_plain(unsigned char c)
{
	return lowered[c] != 0;
}

static int hex_value(char c)
{
	if (str_is_digit(c))
		return c - '0';
	c = str_lower_char(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool registrar_unescape(struct str user, char *out, uint32_t *len)
{
	static const char digits[] = "0123456789abcdef";
	uint32_t n = 0;

	for (uint32_t i = 0; i < user.len; i++) {
		int high, low, c;

		if (user.s[i] != '%') {
			out[n++] = user.s[i];
			continue;
		}
		if (user.len - i < 3)
			return false;
		high = hex_value(user.s[i + 1]);
		low = hex_value(user.s[i + 2]);
		c = high * 16 + low;
		if (high < 0 || low < 0 || c < ' ' || c == 0x7f)
			return false;
		i += 2;
		if (is_plain((unsigned char)c)) {
			out[n++] = (char)c;
		} else {
			out[n++] = '%';
			out[n++] = digits[high];
			out[n++] = digits[low];
		}
	}
	*len = n;
	return true;
}

/* The host without the prefix that `realm_prefix` takes away. */
static struct str realm_of(const struct registrar_settings *s, struct str host)
{
	uint32_t len = s->realm_prefix.len;

	if (len != 0 && len < host.len && str_istarts(host, registrar_text_str(&s->realm_prefix)))
		return str_of(host.s + len, host.len - len);
	return host;
}

/* A bit of each row for a character of that lower half: bit h for h << 4 | n. */
#define PLAIN_BIT(n, h) (LOWERED((h)*16 + (n)) != 0 ? 1 << (h) : 0)
#define PLAIN_ROW(n) \
	(char)(PLAIN_BIT(n, 2) | PLAIN_BIT(n, 3) | PLAIN_BIT(n, 4) | PLAIN_BIT(n, 5) | \
		PLAIN_BIT(n, 6) | PLAIN_BIT(n, 7))
#define PLAIN_ROWS(n) PLAIN_ROW(n), PLAIN_ROW((n) + 1), PLAIN_ROW((n) + 2), PLAIN_ROW((n) + 3)

/* Bits of the characters of 16 that are none of those. */
static inline uint32_t not_plain(__m128i text)
{
	const __m128i rows =
		_mm_setr_epi8(PLAIN_ROWS(0), PLAIN_ROWS(4), PLAIN_ROWS(8), PLAIN_ROWS(12));
	const __m128i bit = _mm_setr_epi8(1, 2, 4, 8, 16, 32, 64, -128, 0, 0, 0, 0, 0, 0, 0, 0);
	__m128i upper = _mm_and_si128(_mm_srli_epi16(text, 4), _mm_set1_epi8(15));
	/* The shuffle takes 0 for what is beyond ASCII. */
	__m128i hit = _mm_and_si128(_mm_shuffle_epi8(rows, text), _mm_shuffle_epi8(bit, upper));

	return (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(hit, _mm_setzero_si128()));
}

static inline __m128i lower16(__m128i text)
{
	__m128i is_upper = _mm_and_si128(_mm_cmpgt_epi8(text, _mm_set1_epi8('A' - 1)),
		_mm_cmpgt_epi8(_mm_set1_epi8('Z' + 1), text));

	return _mm_or_si128(text, _mm_and_si128(is_upper, _mm_set1_epi8(0x20)));
}

/* Less than 16 characters, and zeros behind them. */
static inline __m128i load_short16(const char *p, uint32_t len)
{
	uint64_t low = len >= 8 ? load8(p) : load_short(p, len), high = 0;

	if (len >= 8)
		high = load8(p + len - 8) >> 8 * (15 - len) >> 8;
	return _mm_set_epi64x((long long)high, (long long)low);
}

/* A user without anything to escape, which nearly all are; false where there is more to do. Up to
 * 15 bytes behind it are written too. */
static bool put_plain(char *out, struct str user, bool lower)
{
	uint32_t bad = 0, i = 0;
	__m128i text;

	for (; i + 16 <= user.len; i += 16) {
		text = _mm_loadu_si128((const __m128i *)(user.s + i));
		bad |= not_plain(text);
		_mm_storeu_si128((__m128i *)(out + i), lower ? lower16(text) : text);
	}
	text = load_short16(user.s + i, user.len - i);
	bad |= not_plain(text) & ((1u << (user.len - i)) - 1);
	_mm_storeu_si128((__m128i *)(out + i), lower ? lower16(text) : text);
	return bad == 0;
}

/* Behind it: the host is a realm already. */
static enum registrar_aor_error put_realm(
	const struct registrar *r, struct str user, struct str host, struct registrar_aor *out)
{
	const struct registrar_settings *s = registrar_settings(r);
	bool with_domain = registrar_usrloc(r)->use_domain != 0;
	uint32_t len = user.len;

	if (user.len == 0 && (!with_domain || host.len == 0))
		return REGISTRAR_AOR_NO_USER;
	/* Taking escapes away makes it no longer. */
	if (user.len + host.len + 1 > LOCATION_AOR_MAX)
		return REGISTRAR_AOR_LONG;
	if (user.len + 16 > LOCATION_AOR_MAX ||
		!put_plain(out->text, user, s->p.case_sensitive == 0)) {
		/* A "tel" URI's may have an '@', and then it would be another's. */
		if (memchr(user.s, '@', user.len) != NULL ||
			!registrar_unescape(user, out->text, &len))
			return REGISTRAR_AOR_BAD;
		if (s->p.case_sensitive == 0)
			str_lower(out->text, str_of(out->text, len));
	}
	if (with_domain) {
		if (len != 0 && host.len != 0)
			out->text[len++] = '@';
		str_lower(out->text + len, host);
		len += host.len;
	}
	out->len = len;
	return REGISTRAR_AOR_OK;
}

static enum registrar_aor_error put(
	const struct registrar *r, struct str user, struct str host, struct registrar_aor *out)
{
	return put_realm(r, user, realm_of(registrar_settings(r), host), out);
}

/* Whether it may stand in an address-of-record, on either side of its '@'. */
static bool is_side(struct str text)
{
	for (uint32_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.s[i];

		if (c <= ' ' || c == 0x7f || c == '"' || c == '<' || c == '>' || c == '@')
			return false;
	}
	return true;
}

bool registrar_aor_of_columns(
	const struct registrar *r, struct str user, struct str domain, struct registrar_aor *out)
{
	if (user.len == 0 || !is_side(user) || !is_side(domain))
		return false;
	/* As others write IPv6. */
	if (domain.len > 2 && domain.s[0] == '[' && domain.s[domain.len - 1] == ']')
		domain = str_of(domain.s + 1, domain.len - 2);
	return put_realm(r, user, domain, out) == REGISTRAR_AOR_OK;
}

enum registrar_aor_error registrar_aor_of(const struct registrar *r, const char *buf,
	const struct sip_uri *uri, struct registrar_aor *out)
{
	if (uri->scheme == SIP_SCHEME_OTHER || uri->scheme == SIP_SCHEME_NONE)
		return REGISTRAR_AOR_BAD;
	return put(r, sip_text(buf, uri->user), sip_text(buf, uri->host), out);
}

/*
 * "sip:user@host.name", where user and name have no character that means anything, is most of what
 * there is: it is taken apart here, for a fifth of what sip_uri_parse() costs. False for any other,
 * which that judges.
 */
static bool split(struct str text, struct str *user, struct str *host)
{
	uint32_t at, begin = 4;

	if (text.len < 8 || (load4(text.s) | 0x20202020) != load4("sip:"))
		return false;
	for (at = begin; at < text.len && lowered[(unsigned char)text.s[at]] != 0;)
		at++;
	if (at == begin || at == text.len || text.s[at] != '@')
		return false;
	*user = str_of(text.s + begin, at - begin);
	begin = ++at;
	/* Labels of letters and digits, the last one of letters. */
	for (bool label = false; at < text.len; at++) {
		char c = text.s[at];

		if (!str_is_alpha(c) && !str_is_digit(c) && (c != '.' || !label))
			return false;
		label = c != '.';
	}
	if (at == begin || !str_is_alpha(text.s[at - 1]))
		return false;
	*host = str_of(text.s + begin, at - begin);
	return host->len <= SIP_NAME_MAX;
}

enum registrar_aor_error registrar_aor_of_text(
	const struct registrar *r, struct str text, struct registrar_aor *out, struct str *host)
{
	struct str user, name;
	struct sip_uri uri;

	if (split(text, &user, &name)) {
		if (host != NULL)
			*host = name;
		return put(r, user, name, out);
	}
	if (text.len == 0 || sip_uri_parse(text.s, (struct sip_span){0, text.len}, &uri) != 0)
		return REGISTRAR_AOR_BAD;
	if (host != NULL)
		*host = sip_text(text.s, uri.host);
	return registrar_aor_of(r, text.s, &uri, out);
}
