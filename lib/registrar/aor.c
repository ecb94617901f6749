/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The address-of-record in the form that bindings are found by (RFC 3261 10.3 step 5, 19.1.4).
 *
 * Escapes of what may stand unescaped in a user part are taken away; others stay, with their digits
 * in lower case, so that no escaped '@' is one: "a%40b" of one domain is not "a" of "b". Control
 * characters are refused: nobody has them in a name, and who writes them tries something.
 */
#include "registrar/internal.h"

/* RFC 3261 25.1: unreserved and user-unreserved. */
static bool is_plain(unsigned char c)
{
	return str_is_alpha((char)c) || str_is_digit((char)c) ||
	       (c != 0 && strchr("-_.!~*'()&=+$,;?/", c) != NULL);
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

enum registrar_aor_error registrar_aor_of(const struct registrar *r, const char *buf,
	const struct sip_uri *uri, struct registrar_aor *out)
{
	const struct registrar_settings *s = registrar_settings(r);
	bool with_domain = registrar_usrloc(r)->use_domain != 0;
	struct str user = sip_text(buf, uri->user), host = sip_text(buf, uri->host);
	uint32_t len = user.len;

	if (uri->scheme == SIP_SCHEME_OTHER || uri->scheme == SIP_SCHEME_NONE)
		return REGISTRAR_AOR_BAD;
	if (user.len == 0 && (!with_domain || host.len == 0))
		return REGISTRAR_AOR_NO_USER;
	/* Taking escapes away makes it no longer. */
	if (user.len + host.len + 1 > LOCATION_AOR_MAX)
		return REGISTRAR_AOR_LONG;
	if (str_find(user, '%') < 0)
		str_copy(out->text, user);
	else if (!registrar_unescape(user, out->text, &len))
		return REGISTRAR_AOR_BAD;
	if (s->p.case_sensitive == 0)
		str_lower(out->text, str_of(out->text, len));
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

enum registrar_aor_error registrar_aor_of_text(
	const struct registrar *r, struct str text, struct registrar_aor *out)
{
	struct sip_uri uri;

	if (text.len == 0 || sip_uri_parse(text.s, (struct sip_span){0, text.len}, &uri) != 0)
		return REGISTRAR_AOR_BAD;
	return registrar_aor_of(r, text.s, &uri, out);
}
