/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Changes of the Request-URI and of $du. A new URI is written behind the arena's text, parsed
 * there, and taken only if the parser sees the parts that were asked for: so no text of a script or
 * a message can become another part, another header, or something that is no URI.
 */
#include "route/value.h"

bool uri_text_is_clean(struct str text)
{
	for (uint32_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.s[i];

		if (c <= ' ' || c == 0x7f || c == '<' || c == '>' || c == '"')
			return false;
	}
	return true;
}

static bool is_sip(const struct sip_uri *uri)
{
	return uri->scheme == SIP_SCHEME_SIP || uri->scheme == SIP_SCHEME_SIPS;
}

#define PIECES_MAX 16

struct pieces {
	struct str piece[PIECES_MAX];
	unsigned count;
};

static void put(struct pieces *p, struct str s)
{
	p->piece[p->count++] = s;
}

/* The URI's text in order: scheme, user, password, host, port, and what follows them. */
static void collect(struct pieces *p, const struct uri_view *view, const struct uri_change *change)
{
	const struct sip_uri *uri = view->uri;
	struct str whole = sip_text(view->base, uri->all);
	const char *tail = view->base + uri->hostport.off + uri->hostport.len;
	struct str user = sip_text(view->base, uri->user);
	struct str password = sip_text(view->base, uri->password);
	struct str host = sip_text(view->base, uri->host);
	struct str hostport = sip_text(view->base, uri->hostport);
	bool bracket = uri->host_is_ip6;

	put(p, str_of(whole.s, (size_t)(view->base + uri->opaque.off - whole.s)));
	put(p, (change->set & URI_USER) != 0 ? change->user[0] : user);
	put(p, (change->set & URI_USER) != 0 ? change->user[1] : STR_NONE);
	if (p->piece[1].len + p->piece[2].len != 0) {
		password = (change->set & URI_PASSWORD) != 0 ? change->password : password;
		put(p, password.len != 0 ? STR(":") : STR_NONE);
		put(p, password);
		put(p, STR("@"));
	}
	if ((change->set & URI_HOST) != 0) {
		host = change->host;
		/* $rd of an IPv6 reference is read without brackets, so it may be written so. */
		bracket = host.len != 0 && host.s[0] != '[' && str_find(host, ':') >= 0;
	}
	put(p, bracket ? STR("[") : STR_NONE);
	put(p, host);
	put(p, bracket ? STR("]") : STR_NONE);
	if ((change->set & URI_PORT) != 0) {
		put(p, change->port.len != 0 ? STR(":") : STR_NONE);
		put(p, change->port);
	} else if (uri->port != 0) {
		/* ":5060" as written */
		const char *colon = memrchr(hostport.s, ':', hostport.len);

		put(p, str_of(colon, (size_t)(hostport.s + hostport.len - colon)));
	}
	put(p, str_of(tail, (size_t)(whole.s + whole.len - tail)));
}

/* Whether the URI that came out has what was asked for, where it was asked for. */
static bool came_out(const struct uri_view *made, const struct uri_change *change)
{
	const struct sip_uri *uri = made->uri;
	struct str user = sip_text(made->base, uri->user);
	uint64_t port = 0;

	if (!is_sip(uri) || uri->host.len == 0)
		return false;
	if ((change->set & URI_USER) != 0 && user.len != change->user[0].len + change->user[1].len)
		return false;
	if ((change->set & URI_PASSWORD) != 0 && user.len != 0 &&
		uri->password.len != change->password.len)
		return false;
	if ((change->set & URI_HOST) != 0) {
		struct str host = change->host;

		if (host.len >= 2 && host.s[0] == '[')
			host = str_of(host.s + 1, host.len - 2);
		if (!str_eq(sip_text(made->base, uri->host), host))
			return false;
	}
	if ((change->set & URI_PORT) != 0 && change->port.len != 0 &&
		str_to_u64(change->port, 65535, &port) < 0)
		return false;
	return (change->set & URI_PORT) == 0 || uri->port == port;
}

bool uri_rewrite(struct route_ctx *ctx, const struct uri_change *change)
{
	struct uri_view old, made;
	struct pieces p = {.count = 0};
	uint32_t mark = ctx->text_len;

	if (!uri_current(ctx, &old) || !is_sip(old.uri))
		return false;
	if (!uri_text_is_clean(change->user[0]) || !uri_text_is_clean(change->user[1]) ||
		!uri_text_is_clean(change->password) || !uri_text_is_clean(change->host))
		return false;
	collect(&p, &old, change);
	struct route_text text = route_text_join(ctx, p.piece, p.count);

	if (text.space == ROUTE_SPACE_NONE)
		return false;
	if (!uri_view_of(route_text_str(ctx, text), &made) || !came_out(&made, change)) {
		ctx->text_len = mark;
		return false;
	}
	ctx->uri = text;
	route_uri_changed(ctx);
	return true;
}

bool uri_replace(struct route_ctx *ctx, struct str uri)
{
	struct uri_view view;

	/* A Request-URI has no headers (RFC 3261 19.1.1): they would be the sender's, put into the
	 * message. */
	if (ctx->msg.is_response || !uri_text_is_clean(uri) || !uri_view_of(uri, &view) ||
		view.uri->headers.len != 0)
		return false;
	struct route_text text = route_text_keep(ctx, uri);

	if (text.space == ROUTE_SPACE_NONE)
		return false;
	ctx->uri = text;
	route_uri_changed(ctx);
	return true;
}

bool uri_set_destination(struct route_ctx *ctx, struct str uri)
{
	struct uri_view view;
	struct route_text text = ROUTE_TEXT_NONE;

	if (uri.len != 0) {
		if (!uri_text_is_clean(uri) || !uri_view_of(uri, &view) || !is_sip(view.uri) ||
			view.uri->host.len == 0 || view.uri->headers.len != 0)
			return false;
		text = route_text_keep(ctx, uri);
		if (text.space == ROUTE_SPACE_NONE)
			return false;
	}
	ctx->du = text;
	/* The address that somebody knew for the old one. */
	ctx->du_target = (struct route_target){.listener = -1, .destination = -1};
	route_uri_changed(ctx);
	return true;
}
