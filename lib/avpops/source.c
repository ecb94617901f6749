/* SPDX-License-Identifier: BSD-3-Clause */
/* Whose rows: "$fu", "$ru/username", "$td/uuid", "sip:office@example.com/uri". */
#include "avpops/internal.h"
#include "sip/sip.h"

static const char *const whose_name[] = {[AVPOPS_WHOSE_URI] = "uri",
	[AVPOPS_WHOSE_USER] = "username",
	[AVPOPS_WHOSE_DOMAIN] = "domain",
	[AVPOPS_WHOSE_UUID] = "uuid"};
#define WHOSE_NAMES (sizeof(whose_name) / sizeof(whose_name[0]))

/* What is a URI without being called one. */
static bool is_uri_variable(struct str text)
{
	static const char *const names[] = {"ru", "ruri", "fu", "furi", "tu", "turi", "ou", "ouri"};

	if (text.len < 3 || text.s[0] != '$')
		return false;
	text = str_of(text.s + 1, text.len - 1);
	if (text.s[0] == '(' && text.s[text.len - 1] == ')')
		text = str_of(text.s + 1, text.len - 2);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (str_eq(text, str_c(names[i])))
			return true;
	}
	return false;
}

/* The word behind the last slash, where it is one of these: it is taken off. */
static bool take_whose(struct str *text, enum avpops_whose *out)
{
	const char *slash = text->len > 0 ? memrchr(text->s, '/', text->len) : NULL;
	struct str word;

	if (slash == NULL)
		return false;
	word = str_of(slash + 1, (size_t)(text->s + text->len - slash - 1));
	for (size_t i = 0; i < WHOSE_NAMES; i++) {
		if (str_ieq(word, str_c(whose_name[i]))) {
			*out = (enum avpops_whose)i;
			text->len = (uint32_t)(slash - text->s);
			return true;
		}
	}
	return false;
}

bool avpops_read_source(
	const struct route_arg *arg, struct avpops_source *out, struct route_report *report)
{
	struct str text = str_trim(arg->value.s);

	if (!arg->constant || arg->value.type != ROUTE_STR || text.len == 0) {
		route_error(report, &arg->place,
			"a string is needed here that says whose AVPs: \"$fu\", \"$ru/username\"");
		return false;
	}
	if (!take_whose(&text, &out->whose))
		out->whose = is_uri_variable(text) ? AVPOPS_WHOSE_URI : AVPOPS_WHOSE_UUID;
	out->format = route_format_compile(text, &arg->place, report);
	return out->format != NULL;
}

unsigned avpops_keys(const struct avpops_source *source, const struct avpops_params *p)
{
	switch (source->whose) {
	case AVPOPS_WHOSE_URI:
		return p->use_domain != 0 ? AVPOPS_USER | AVPOPS_DOMAIN : AVPOPS_USER;
	case AVPOPS_WHOSE_USER:
		return AVPOPS_USER;
	case AVPOPS_WHOSE_DOMAIN:
		return AVPOPS_DOMAIN;
	case AVPOPS_WHOSE_UUID:
		break;
	}
	return AVPOPS_UUID;
}

static int hex(char c)
{
	c = str_lower_char(c);
	return str_is_digit(c) ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Without %HH, but for what is no character of a name. False: it is too long. */
static bool unescape(struct str in, char *out, uint32_t size, struct str *made)
{
	uint32_t len = 0;

	for (uint32_t i = 0; i < in.len; i++) {
		int high = in.s[i] == '%' && i + 2 < in.len ? hex(in.s[i + 1]) : -1;
		int low = high >= 0 ? hex(in.s[i + 2]) : -1;
		int c = low >= 0 ? high * 16 + low : -1;

		if (len == size)
			return false;
		if (c > ' ' && c != 0x7f) {
			out[len++] = (char)c;
			i += 2;
		} else {
			out[len++] = in.s[i];
		}
	}
	*made = str_of(out, len);
	return true;
}

bool avpops_find_who(
	struct route_ctx *ctx, const struct avpops_source *source, struct avpops_who *who)
{
	struct route_value v;
	struct sip_uri uri;
	struct str host;

	who->known = 0;
	who->uuid = who->user = who->domain = STR_NONE;
	if (!route_format_eval(ctx, source->format, &v) || v.type != ROUTE_STR || v.s.len == 0)
		return false;
	/* What no database takes as text is in none, and asks none. */
	if (str_utf8_len(v.s) != v.s.len)
		return false;
	if (source->whose == AVPOPS_WHOSE_UUID) {
		who->uuid = v.s;
		who->known = AVPOPS_UUID;
		return true;
	}
	if (sip_uri_parse(v.s.s, (struct sip_span){0, v.s.len}, &uri) != 0 ||
		uri.scheme == SIP_SCHEME_OTHER)
		return false;
	host = sip_text(v.s.s, uri.host);
	if (host.len == 0 || host.len > sizeof(who->domain_room) ||
		!unescape(sip_text(v.s.s, uri.user), who->user_room, sizeof(who->user_room),
			&who->user) ||
		str_utf8_len(who->user) != who->user.len)
		return false;
	str_lower(who->domain_room, host);
	who->domain = str_of(who->domain_room, host.len);
	who->known = AVPOPS_DOMAIN | (who->user.len != 0 ? AVPOPS_USER : 0);
	return source->whose == AVPOPS_WHOSE_DOMAIN || who->user.len != 0;
}

unsigned avpops_put_keys(const struct avpops_who *who, unsigned keys, struct db_value *out)
{
	unsigned n = 0;

	if ((keys & AVPOPS_UUID) != 0)
		out[n++] = db_text(who->uuid);
	if ((keys & AVPOPS_USER) != 0)
		out[n++] = db_text(who->user);
	if ((keys & AVPOPS_DOMAIN) != 0)
		out[n++] = db_text(who->domain);
	return n;
}
