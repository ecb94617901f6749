/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The address-of-record in the form that bindings are found by (RFC 3261 10.3 step 5, 19.1.4).
 *
 * Escapes of what may stand unescaped in a user part are taken away; others stay, with their digits
 * in lower case, so that no escaped '@' is one: "a%40b" of one domain is not "a" of "b". Control
 * characters are refused: nobody has them in a name, and who writes them tries something.
 */
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

/* A user without anything to escape, which nearly all are; false where there is more to do. */
static bool put_plain(char *out, struct str user, bool lower)
{
	for (uint32_t i = 0; i < user.len; i++) {
		char c = lowered[(unsigned char)user.s[i]];

		if (c == 0)
			return false;
		out[i] = lower ? c : user.s[i];
	}
	return true;
}

static enum registrar_aor_error put(
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
	if (!put_plain(out->text, user, s->p.case_sensitive == 0)) {
		if (!registrar_unescape(user, out->text, &len))
			return REGISTRAR_AOR_BAD;
		if (s->p.case_sensitive == 0)
			str_lower(out->text, str_of(out->text, len));
	}
	if (with_domain) {
		host = realm_of(s, host);
		if (len != 0 && host.len != 0)
			out->text[len++] = '@';
		str_lower(out->text + len, host);
		len += host.len;
	}
	out->len = len;
	return REGISTRAR_AOR_OK;
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
