/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * RFC 3261 16.4, and the Route headers that leave (16.6 step 6): which Route values are ours,
 * whether their token is valid, what a strict router did to the message, and what the next hop
 * wants.
 */
#include "proxy/paramchar.h"

/* What we write into our Record-Route's URI, as far as it is wanted here. */
struct own_params {
	struct sip_span token; /* its value; absent where there is none */
	bool r2;               /* one half of two */
};

/* A Route value that is us. */
struct ours {
	struct sip_span params; /* of its URI */
	struct own_params own;
	int listener; /* that it names, -1 for an alias */
};

/*
 * Steps through the values of all Route headers. Those that we wrote, letter by letter, as most are
 * when they come back, are known by that and need no parsing; the others are read by the address
 * parser. What it cannot read ends the walk with `failed`: a list may have commas too many, and a
 * value that nobody wants may be anything, so such lists are taken apart by their commas alone.
 */
struct walk {
	struct route_ctx *ctx;
	const struct sockets *s;    /* NULL: our own values are read like others */
	const struct sip_header *h; /* of the value in hand; NULL before the first */
	struct sip_address address; /* the value in hand; of one of ours `value`, `uri`, `next` */
	unsigned n;                 /* values so far */
	bool failed;
	bool as_written;  /* `ours` says what the value in hand is */
	struct ours ours; /* else what ours_at() has found */
};

static inline void walk_begin(struct walk *w, struct route_ctx *ctx, const struct sockets *s)
{
	w->ctx = ctx;
	w->s = s;
	w->h = NULL;
	w->n = 0;
	w->failed = false;
}

/* Whose writing a value is compared with. */
#define LISTENERS_TRIED 8

/* What ends a value of ours behind its URI: the end of the list, or a comma and another value. */
static bool ends_value(const char *buf, uint32_t at, uint32_t end, uint32_t *next)
{
	*next = 0;
	if (at == end)
		return true;
	if (buf[at] != ',')
		return false;
	for (at++; at < end && str_is_lws(buf[at]); at++)
		;
	*next = at;
	return at < end;
}

/* Whether two texts of at least 16 characters are the same. */
static inline bool same_text(const char *a, const char *b, uint32_t len)
{
	for (uint32_t i = 0;; i += 16) {
		if (i + 16 > len)
			i = len - 16;
		if (_mm_movemask_epi8(_mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)(a + i)),
			    _mm_loadu_si128((const __m128i *)(b + i)))) != 0xffff)
			return false;
		if (i + 16 == len)
			return true;
	}
}

static_assert(sizeof("<sip:1.1.1.1;lr;" SIP_VIA_TOKEN_PARAM "=") > 16, "what same_text() compares");

/* Whether the list's first value is one that we wrote for this listener. Behind the token stand at
 * most ftag and r2. */
static bool written_for(const struct socket *k, struct walk *w, struct sip_span list)
{
	const char *buf = w->ctx->buf;
	uint32_t len = w->ctx->msg.len, end = list.off + list.len, next,
		 base = k->record_len - (uint32_t)(RECORD_NAME_LEN - 1), at = list.off + base,
		 token;
	bool r2 = false;

	if (list.len <= base + ROUTE_TOKEN_LEN || k->listener.ep.port == 0 ||
		!same_text(buf + list.off, k->record + RECORD_NAME_LEN - 1, base) ||
		k->listener.transport != SIP_TRANSPORT_UDP)
		return false;
	token = at;
	at = proxy_paramchars(buf, len, at, end);
	if (at - token != ROUTE_TOKEN_LEN)
		return false;
	if (end - at > 6 && memcmp(buf + at, ";ftag=", 6) == 0) {
		next = proxy_paramchars(buf, len, at + 6, end);
		if (next == at + 6)
			return false;
		at = next;
	}
	if (end - at > 6 && memcmp(buf + at, ";r2=on", 6) == 0) {
		at += 6;
		r2 = true;
	}
	if (at == end || buf[at] != '>' || !ends_value(buf, at + 1, end, &next))
		return false;
	w->address.value = (struct sip_span){list.off, at + 1 - list.off};
	w->address.uri = (struct sip_span){list.off + 1, at - list.off - 1};
	w->address.next = next;
	w->ours.params = w->address.uri;
	w->ours.params.off += k->sip_len + 1u;
	w->ours.params.len -= k->sip_len + 1u;
	w->ours.own.token = (struct sip_span){token, ROUTE_TOKEN_LEN};
	w->ours.own.r2 = r2;
	w->ours.listener = k->named;
	return true;
}

/* The listener that it came by first: it is what the top Route of most names. */
static bool is_as_written(struct walk *w, struct sip_span list)
{
	const struct sockets *s = w->s;
	unsigned first = w->ctx->origin.listener;

	if (s == NULL)
		return false;
	if (first < s->count && written_for(&s->socket[first], w, list))
		return true;
	for (unsigned k = 0; k < s->count && k < LISTENERS_TRIED; k++)
		if (k != first && written_for(&s->socket[k], w, list))
			return true;
	return false;
}

static bool walk_next(struct walk *w)
{
	struct sip_msg *msg = &w->ctx->msg;
	const struct sip_address *top;
	struct sip_span rest;
	bool first = w->h == NULL;

	if (first) {
		if (!sip_msg_has(msg, SIP_HEADER_ROUTE))
			return false;
		w->h = &msg->header[msg->first[SIP_HEADER_ROUTE]];
		rest = sip_header_value(w->h);
	} else if (w->address.next != 0) {
		rest = sip_header_value(w->h);
		rest.len -= w->address.next - rest.off;
		rest.off = w->address.next;
	} else {
		if (w->h->next == SIP_HEADER_NONE)
			return false;
		w->h = &msg->header[w->h->next];
		rest = sip_header_value(w->h);
	}
	w->as_written = is_as_written(w, rest);
	if (w->as_written) {
		w->n++;
		return true;
	}
	if (first) {
		top = sip_msg_route(msg, w->ctx->buf);
		w->failed = top == NULL;
		if (top != NULL)
			w->address = *top;
	} else {
		w->failed = sip_address_parse(w->ctx->buf, rest, &w->address) != 0;
	}
	w->n += !w->failed;
	return !w->failed;
}

/* Goes on to the n-th value (from 0); false where there is none that can be read. */
static bool walk_to(struct walk *w, unsigned n)
{
	while (w->n <= n && walk_next(w))
		;
	return w->n > n;
}

/* Whether nothing stands behind the value in hand. */
static bool walk_is_at_end(const struct walk *w)
{
	return w->h != NULL && !w->failed && w->address.next == 0 && w->h->next == SIP_HEADER_NONE;
}

static bool take(const char *buf, const struct sip_address *address, struct route_value_at *out)
{
	out->address = *address;
	out->value = address->value;
	return !address->star && sip_uri_parse(buf, address->uri, &out->uri) == 0;
}

/* The same by commas. */
static bool value_by_commas(
	const struct route_ctx *ctx, unsigned n, bool last, struct route_value_at *out)
{
	struct sip_span value, found = {0, 0};
	struct sip_address address;
	unsigned i = 0;

	SIP_MSG_FOREACH (&ctx->msg, SIP_HEADER_ROUTE, h) {
		uint32_t at = 0;

		while (sip_list_next(ctx->buf, sip_header_value(h), &at, &value)) {
			found = value;
			if (!last && i == n)
				return sip_address_parse(ctx->buf, value, &address) == 0 &&
				       take(ctx->buf, &address, out);
			if (++i > SIP_VALUES_MAX)
				return false;
		}
	}
	return last && i != 0 && sip_address_parse(ctx->buf, found, &address) == 0 &&
	       take(ctx->buf, &address, out);
}

bool proxy_route_set_at(struct route_ctx *ctx, unsigned n, bool last, struct route_value_at *out)
{
	struct walk w;

	walk_begin(&w, ctx, NULL);
	while ((last || w.n <= n) && w.n <= SIP_VALUES_MAX && walk_next(&w))
		;
	if (w.failed || w.n > SIP_VALUES_MAX)
		return value_by_commas(ctx, n, last, out);
	return (last ? w.n != 0 : w.n > n) && take(ctx->buf, &w.address, out);
}

static unsigned count_by_commas(const struct route_ctx *ctx)
{
	struct sip_span value;
	unsigned n = 0;

	SIP_MSG_FOREACH (&ctx->msg, SIP_HEADER_ROUTE, h) {
		uint32_t at = 0;

		while (n <= SIP_VALUES_MAX &&
			sip_list_next(ctx->buf, sip_header_value(h), &at, &value))
			n++;
	}
	return n;
}

/* Values of the Route headers as they came, counted once a message. */
static unsigned count_values(struct route_ctx *ctx)
{
	struct proxy_state *state = proxy_state(ctx);
	struct walk w;

	if ((state->flags & STATE_ROUTES) != 0)
		return state->routes;
	walk_begin(&w, ctx, NULL);
	while (w.n <= SIP_VALUES_MAX && walk_next(&w))
		;
	state->routes = (uint16_t)(w.failed ? count_by_commas(ctx) : w.n);
	state->flags |= STATE_ROUTES;
	return state->routes;
}

bool proxy_route_set_remains(struct route_ctx *ctx)
{
	const struct proxy_state *state = proxy_state(ctx);
	unsigned gone = state->pop + ((state->flags & STATE_POP_LAST) != 0);

	return (state->flags & STATE_ROUTES_GONE) == 0 && count_values(ctx) > gone;
}

static uint16_t default_port(const struct sip_uri *uri)
{
	if (uri->port != 0)
		return uri->port;
	return uri->scheme == SIP_SCHEME_SIPS || uri->transport == SIP_TRANSPORT_TLS
		       ? SIPS_DEFAULT_PORT
		       : SIP_DEFAULT_PORT;
}

bool proxy_uri_is_myself(const struct sockets *s, const char *buf, const struct sip_uri *uri)
{
	if (uri->scheme != SIP_SCHEME_SIP && uri->scheme != SIP_SCHEME_SIPS)
		return false;
	/* Few addresses have as much as the bit of a name of ours. */
	if (uri->host_is_ip4 && (s->ip4_names & proxy_ip4_bit(uri->ip4)) == 0)
		return proxy_is_domain(s, sip_text(buf, uri->host));
	return proxy_sockets_is_ours(
		s, sip_text(buf, uri->host), default_port(uri), uri->transport);
}

/* In one pass: the parameters of a URI that has been parsed have neither LWS nor quotes. */
static struct own_params own_params_of(const char *buf, struct sip_span params)
{
	static_assert(sizeof(SIP_VIA_TOKEN_PARAM) == sizeof("r2"), "both names are of two letters");
	struct own_params out = {.r2 = false};
	uint32_t at = params.off, end = at + params.len, next;

	for (; at < end; at = next + 1) {
		const char *semicolon = memchr(buf + at, ';', end - at);
		char name[2];

		next = semicolon != NULL ? (uint32_t)(semicolon - buf) : end;
		if (next - at < 2 || (next - at > 2 && buf[at + 2] != '='))
			continue;
		name[0] = str_lower_char(buf[at]);
		name[1] = str_lower_char(buf[at + 1]);
		if (memcmp(name, SIP_VIA_TOKEN_PARAM, 2) == 0 && !sip_present(out.token))
			out.token = (struct sip_span){
				next - at > 2 ? at + 3 : next, next - at > 2 ? next - at - 3 : 0};
		out.r2 |= memcmp(name, "r2", 2) == 0;
	}
	return out;
}

/*
 * A Path of ours: the request goes where the REGISTER came from, by the listener that took it,
 * unless the script knows better. What comes from there itself is on its way out.
 */
static __attribute__((noinline)) bool flow_valid(
	struct proxy *p, struct route_ctx *ctx, struct str token)
{
	const struct sockets *s = proxy_sockets(p);
	struct route_target *target = &ctx->du_target;
	struct net_endpoint ep;
	uint64_t listener;

	if (!proxy_flow_token_verify(proxy_keys(p), token, &listener, &ep) ||
		net_endpoint_equal(&ep, &ctx->origin.src))
		return false;
	proxy_state(ctx)->flags |= STATE_FLOW;
	if (ctx->du.space == ROUTE_SPACE_NONE && !target->valid) {
		target->ep = ep;
		target->transport = SIP_TRANSPORT_UDP;
		target->listener = (int16_t)proxy_sockets_by_id(s, listener);
		target->destination = -1;
		target->valid = true;
	}
	return true;
}

/*
 * Whether a URI of ours carries a token of this dialog: its tag is the From or the To tag of a
 * request that has a To tag. A dialog that an RFC 2543 client made has an empty tag on one side.
 */
static bool token_valid(struct proxy *p, struct route_ctx *ctx, const struct own_params *own)
{
	struct proxy_state *state = proxy_state(ctx);
	const struct keys *keys = proxy_keys(p);
	const struct sip_address *from = sip_msg_from(&ctx->msg, ctx->buf),
				 *to = sip_msg_to(&ctx->msg, ctx->buf);
	struct hash128 call_id;
	struct str token;

	if (from == NULL || to == NULL || own->token.len == 0)
		return false;
	token = sip_text(ctx->buf, own->token);
	if (token.len >= FLOW_TOKEN_MIN)
		return flow_valid(p, ctx, token);
	call_id = proxy_call_id_digest(p, ctx);
	if (to->tag.len != 0 &&
		proxy_route_token_verify(keys, token, call_id, ctx->buf, from->tag)) {
		state->flags |= STATE_DOWNSTREAM;
		return true;
	}
	/* To who has no tag (RFC 2543) its peer's requests have none in To. A BYE has to reach it;
	 * any other request would be an initial one, for which a token of such a call is no leave.
	 */
	if ((to->tag.len != 0 || (from->tag.len != 0 && ctx->msg.method == SIP_METHOD_BYE)) &&
		proxy_route_token_verify(keys, token, call_id, ctx->buf, to->tag)) {
		state->flags |= STATE_UPSTREAM;
		return true;
	}
	return false;
}

/* Whether the n-th Route value is us; w->ours says which. The walk has not passed it. */
static bool ours_at(struct walk *w, unsigned n)
{
	struct route_ctx *ctx = w->ctx;
	struct route_value_at value;

	if (walk_to(w, n) && w->as_written)
		return true;
	if (!proxy_route_set_at(ctx, n, false, &value) ||
		!proxy_uri_is_myself(w->s, ctx->buf, &value.uri))
		return false;
	w->ours.params = value.uri.params;
	w->ours.own = own_params_of(ctx->buf, value.uri.params);
	w->ours.listener = proxy_sockets_named(
		w->s, sip_text(ctx->buf, value.uri.host), default_port(&value.uri));
	return true;
}

/* Notes a URI of ours: its parameters are what check_route_param() and is_direction() look at. */
static void take_ours(struct route_ctx *ctx, struct sip_span params)
{
	struct proxy_state *state = proxy_state(ctx);

	if ((state->flags & STATE_ROUTE_OURS) == 0)
		state->own_params = params;
	state->flags |= STATE_ROUTE_OURS;
}

/* The second half of a double Record-Route says which listener faces the other side. */
static void pop_second_half(struct walk *w)
{
	struct proxy_state *state = proxy_state(w->ctx);

	if (!ours_at(w, state->pop) || !w->ours.own.r2)
		return;
	state->pop++;
	if (w->ours.listener >= 0)
		state->route_listener = (uint16_t)(w->ours.listener + 1);
}

/* What of a Route's URI may be a Request-URI: no headers (RFC 3261 19.1.1). */
static struct route_text uri_without_headers(const struct sip_uri *uri)
{
	struct sip_span span = uri->all;

	if (uri->headers.len != 0)
		span.len = uri->headers.off - 1 - span.off;
	return route_text_of_span(span);
}

/* A strict router put our Record-Route value into the R-URI: the last Route value is the one that
 * was meant. */
static bool undo_strict(struct proxy *p, struct route_ctx *ctx, const struct sockets *s)
{
	struct proxy_state *state = proxy_state(ctx);
	const struct sip_uri *uri = sip_msg_uri(&ctx->msg, ctx->buf);
	struct route_value_at last;
	struct own_params own;
	bool valid;

	if (ctx->uri.space != ROUTE_SPACE_NONE || uri == NULL ||
		!sip_msg_has(&ctx->msg, SIP_HEADER_ROUTE) || !proxy_uri_is_myself(s, ctx->buf, uri))
		return false;
	own = own_params_of(ctx->buf, uri->params);
	valid = token_valid(p, ctx, &own);
	/* Without a token only what looks like a Record-Route value, and only from who needs none.
	 */
	if (!valid && !(uri->lr && uri->user.len == 0 && proxy_sockets_trusts(s, ctx)))
		return false;
	if (!proxy_route_set_at(ctx, 0, true, &last))
		return false;
	take_ours(ctx, uri->params);
	state->flags |= STATE_ROUTE_VALID | STATE_POP_LAST;
	ctx->uri = uri_without_headers(&last.uri);
	if (own.r2 && count_values(ctx) > 1) {
		struct walk w;

		walk_begin(&w, ctx, s);
		pop_second_half(&w);
	}
	return true;
}

bool proxy_is_in_dialog(const struct route_ctx *ctx)
{
	const struct proxy_state *state =
		(const struct proxy_state *)ctx->scratch[ROUTE_SCRATCH_PROXY];

	return (state->flags & (STATE_DOWNSTREAM | STATE_UPSTREAM)) != 0;
}

void proxy_route_set_preprocess(struct proxy *p, struct route_ctx *ctx)
{
	struct proxy_state *state = proxy_state(ctx);
	const struct sockets *s = proxy_sockets(p);
	struct walk w;
	bool strict;

	if ((state->flags & STATE_ROUTE_SEEN) != 0)
		return;
	state->flags |= STATE_ROUTE_SEEN;
	walk_begin(&w, ctx, s);
	if (!sip_msg_has(&ctx->msg, SIP_HEADER_ROUTE))
		return;
	strict = undo_strict(p, ctx, s);
	if (strict && count_values(ctx) == (unsigned)state->pop + 1)
		return; /* the last value was the only one left, and it is the R-URI now */
	if (!ours_at(&w, state->pop))
		return;
	if (strict && state->route_listener != 0)
		return; /* both halves are gone already: what stands here is another pass through us
			 */
	take_ours(ctx, w.ours.params);
	state->pop++;
	if (token_valid(p, ctx, &w.ours.own) || proxy_sockets_trusts(s, ctx))
		state->flags |= STATE_ROUTE_VALID;
	if (w.ours.own.r2)
		pop_second_half(&w);
	if (!strict && w.n == state->pop && walk_is_at_end(&w))
		state->flags |= STATE_ROUTES_GONE;
}

/* Takes out the values from the n-th on, by commas. */
static void write_by_commas(struct route_ctx *ctx, unsigned n, unsigned first, unsigned count)
{
	bool pop_last = (proxy_state(ctx)->flags & STATE_POP_LAST) != 0;
	struct sip_span value;
	unsigned i = 0;

	SIP_MSG_FOREACH (&ctx->msg, SIP_HEADER_ROUTE, h) {
		uint32_t at = 0;

		while (sip_list_next(ctx->buf, sip_header_value(h), &at, &value)) {
			if (i >= n && (i < first || (i + 1 == count && pop_last)))
				sip_edit_delete_value(&ctx->edits, &ctx->msg, ctx->buf, h, value);
			if (++i > SIP_VALUES_MAX)
				return;
		}
	}
}

void proxy_route_set_write(struct route_ctx *ctx)
{
	struct proxy_state *state = proxy_state(ctx);
	unsigned first = state->pop, count, i = 0;
	struct walk w;
	struct route_value_at next;
	bool pop_last;

	walk_begin(&w, ctx, NULL);
	if ((state->flags & STATE_STRICT_NEXT) != 0 &&
		proxy_route_set_at(ctx, first, false, &next)) {
		/* 16.6 step 6: the R-URI goes to the end of the Route, its first value becomes the
		 * R-URI. */
		const struct sip_header *h = &ctx->msg.header[ctx->msg.last[SIP_HEADER_ROUTE]];
		struct str part[] = {STR("Route: <"), route_ctx_uri(ctx), STR(">\r\n")};

		sip_edit_insert_parts(
			&ctx->edits, sip_msg_line_end(&ctx->msg, h), SIP_EDIT_FIRST, part, 3);
		ctx->uri = uri_without_headers(&next.uri);
		first++;
	}
	pop_last = (state->flags & STATE_POP_LAST) != 0;
	if (first == 0 && !pop_last)
		return;
	count = count_values(ctx);
	for (; i < count && (i < first || pop_last) && walk_next(&w); i++) {
		if (i < first || i + 1 == count)
			sip_edit_delete_value(
				&ctx->edits, &ctx->msg, ctx->buf, w.h, w.address.value);
	}
	if (w.failed)
		write_by_commas(ctx, i, first, count);
}

bool proxy_path_next(const struct route_ctx *ctx, struct str *text, struct sip_uri *uri)
{
	struct str path = route_text_str(ctx, ctx->path);
	struct sip_address address;

	if (sip_address_parse(path.s, (struct sip_span){0, path.len}, &address) != 0 ||
		address.star || sip_uri_parse(path.s, address.uri, uri) != 0)
		return false;
	*text = path;
	return uri->lr;
}

bool proxy_path_write(struct route_ctx *ctx)
{
	const struct sip_msg *msg = &ctx->msg;
	struct str part[] = {STR("Route: "), route_text_str(ctx, ctx->path), STR("\r\n")};
	uint32_t off = sip_msg_has(msg, SIP_HEADER_ROUTE)
			       ? msg->header[msg->first[SIP_HEADER_ROUTE]].name
			       : sip_msg_line_end(msg, &msg->header[msg->last[SIP_HEADER_VIA]]);

	/* What a registration brought stays on its line. */
	for (uint32_t i = 0; i < part[1].len; i++) {
		if ((unsigned char)part[1].s[i] < ' ' && part[1].s[i] != '\t')
			return false;
	}
	sip_edit_insert_parts(&ctx->edits, off, SIP_EDIT_LAST, part, 3);
	return true;
}

int proxy_route_set_gone(
	struct route_ctx *ctx, const struct sockets *s, struct sip_span gone[ROUTE_GONE_MAX])
{
	const struct proxy_state *state = proxy_state(ctx);
	const struct sip_msg *msg = &ctx->msg;
	struct walk w;
	int n = 0;

	walk_begin(&w, ctx, s);
	/* Mostly none stays, and preprocessing has seen that. */
	if ((state->flags & STATE_ROUTES_GONE) == 0) {
		walk_to(&w, state->pop);
		if (w.failed || w.n < state->pop)
			return -1;
	}
	SIP_MSG_FOREACH (msg, SIP_HEADER_ROUTE, h) {
		/* Whole lines before the one of the first value that stays. */
		bool stays = w.n > state->pop && h == w.h;
		uint32_t from = stays ? h->value : h->name,
			 to = stays ? w.address.value.off : sip_msg_line_end(msg, h);

		if (n != 0 && gone[n - 1].off + gone[n - 1].len == from) {
			gone[n - 1].len = to - gone[n - 1].off;
		} else if (from != to) {
			if (n == ROUTE_GONE_MAX)
				return -1;
			gone[n++] = (struct sip_span){from, to - from};
		}
		if (stays)
			break;
	}
	return n;
}
