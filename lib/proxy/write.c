/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The request that leaves (RFC 3261 16.6). What the proxy changes are a few places in the message,
 * known before anything is written. Where the script has changed nothing itself, they are written
 * straight into the buffer that leaves, in the order of their places. Else, and where the buffer
 * may be too small, they join the script's edits, which are applied once.
 */
#include "proxy/internal.h"

/* Changes on their way, one or the other way. */
struct writing {
	struct route_ctx *ctx;
	char *at; /* straight: where the next byte goes, room for all is there; NULL: as edits */
	uint32_t pos; /* straight: how far the message has been dealt with */
	/* What our Via, our Record-Route and the client's Via get. */
	struct via_token token;
	char place[TOKEN_PLACE_LEN];
	struct via_stamp stamp;
	struct request_codes codes;
};

/*
 * What every request comes by is compiled twice: for those without state that are written straight,
 * which are nearly all, and for any.
 */
#define WRITE_INLINE static inline __attribute__((always_inline))
#define WRITE_STRAIGHT 1 /* w->at is there */
#define WRITE_KEPT 2     /* a branch of a transaction */

/* A place for the text, at most `max` bytes, that stands in place of `del` bytes at `off`; or NULL.
 */
WRITE_INLINE char *change_begin(
	struct writing *w, uint32_t off, uint32_t del, uint32_t max, unsigned how)
{
	char *at = w->at;

	if ((how & WRITE_STRAIGHT) == 0)
		return sip_edit_begin(&w->ctx->edits, max);
	at = proxy_put_piece(at, w->ctx, w->pos, off);
	w->pos = off + del;
	return at;
}

WRITE_INLINE void change_end(
	struct writing *w, uint32_t off, uint32_t del, uint16_t order, char *end, unsigned how)
{
	if ((how & WRITE_STRAIGHT) == 0)
		sip_edit_end(&w->ctx->edits, off, del, del != 0 ? SIP_EDIT_REPLACE : order, end);
	else
		w->at = end;
}

/* 16.6 step 3. The script may have said more; nothing is decremented twice. */
WRITE_INLINE void write_max_forwards(struct writing *w, unsigned how)
{
	struct route_ctx *ctx = w->ctx;
	const struct proxy_state *state = proxy_state(ctx);
	const struct sip_msg *msg = &ctx->msg;
	const struct sip_header *h;
	bool set = (state->flags & STATE_MAX_FORWARDS) != 0;
	uint32_t off;
	char *at;

	if (sip_msg_has(msg, SIP_HEADER_MAX_FORWARDS)) {
		h = &msg->header[msg->first[SIP_HEADER_MAX_FORWARDS]];
		if (!sip_msg_max_forwards(&ctx->msg, ctx->buf))
			return; /* malformed, and let through by who checked */
		at = change_begin(w, h->value, h->value_len, sizeof("255"), how);
		if (at == NULL)
			return;
		at = put_number(at, set ? state->max_forwards : (uint16_t)(msg->max_forwards - 1));
		change_end(w, h->value, h->value_len, SIP_EDIT_REPLACE, at, how);
	} else {
		off = sip_msg_line_end(msg, &msg->header[msg->last[SIP_HEADER_VIA]]);
		at = change_begin(w, off, 0, sizeof("Max-Forwards: 255\r\n"), how);
		if (at == NULL)
			return;
		at = put_lit(at, "Max-Forwards: ");
		at = put_number(at, set ? state->max_forwards : MAX_FORWARDS_DEFAULT);
		at = put_lit(at, "\r\n");
		change_end(w, off, 0, SIP_EDIT_FIRST, at, how);
	}
}

/* RFC 5393 5.3.3: how far a branch may still be forked. */
WRITE_INLINE uint32_t max_breadth_place(const struct sip_msg *msg)
{
	return sip_msg_has(msg, SIP_HEADER_MAX_BREADTH)
		       ? msg->header[msg->first[SIP_HEADER_MAX_BREADTH]].value
		       : sip_msg_line_end(msg, &msg->header[msg->last[SIP_HEADER_VIA]]);
}

WRITE_INLINE void write_max_breadth(struct writing *w, unsigned how)
{
	const struct sip_msg *msg = &w->ctx->msg;
	const struct sip_header *h = sip_msg_header(msg, SIP_HEADER_MAX_BREADTH, 0);
	uint32_t del = h != NULL ? h->value_len : 0, off = max_breadth_place(msg);
	char *at = change_begin(w, off, del, sizeof("Max-Breadth: 65535\r\n"), how);

	if (at == NULL)
		return;
	if (h == NULL)
		at = put_lit(at, "Max-Breadth: ");
	at = put_number(at, proxy_state(w->ctx)->max_breadth);
	if (h == NULL)
		at = put_lit(at, "\r\n");
	change_end(w, off, del, SIP_EDIT_FIRST, at, how);
}

/* What the layer below does to the Via of the client (18.2.1). */
WRITE_INLINE void write_stamp(struct writing *w, const struct via_stamp *stamp, unsigned how)
{
	for (unsigned i = 0; i < stamp->changes; i++) {
		uint32_t off = stamp->change[i].off, del = stamp->change[i].del;
		char *at = change_begin(w, off, del, VIA_CHANGE_MAX, how);

		if (at == NULL)
			return;
		at = proxy_via_change_put(at, stamp, i);
		change_end(w, off, del, SIP_EDIT_NORMAL, at, how);
	}
}

/* Where the request came in: what the token says of the way back. */
WRITE_INLINE void way_back(const struct route_ctx *ctx, const struct sockets *s,
	struct via_token *token, char place[TOKEN_PLACE_LEN])
{
	token->node = s->node;
	if (proxy_sockets_has(s, ctx->origin.listener)) {
		token->listener = s->socket[ctx->origin.listener].id;
		memcpy(place, s->socket[ctx->origin.listener].place, TOKEN_PLACE_LEN);
		return;
	}
	token->listener = proxy_listener_id(&ctx->origin.dst, ctx->origin.transport);
	proxy_place_write(place, token->node, token->listener);
}

/* The most that our Via of a listener takes. */
static inline uint32_t via_room(const struct socket *from, bool stateful)
{
	return from->via_len + BRANCH_LEN +
	       (uint32_t)sizeof(";" SIP_VIA_TOKEN_PARAM "=;rport\r\n") +
	       (stateful ? BRANCH_NUMBER_LEN + TOKEN_LEN_MAX : TOKEN_LEN_STATELESS);
}

/* Of a request that is kept. */
static void make_kept(struct writing *w)
{
	const struct proxy_state *state = proxy_state(w->ctx);

	w->token.stateful = true;
	w->token.forked = (state->flags & STATE_LOOP) != 0;
	w->token.owner = state->owner;
	w->token.branch = state->branch;
	w->token.loop = state->loop;
}

WRITE_INLINE void make_codes(
	struct writing *w, const struct keys *keys, const struct sockets *s, unsigned how)
{
	struct route_ctx *ctx = w->ctx;
	uint32_t flags = proxy_state(ctx)->flags;
	const struct sip_via *via = sip_msg_via(&ctx->msg, ctx->buf, 0);
	struct via_bound bound = {.buf = ctx->buf, .next = via};

	w->token.stateful = false;
	w->token.owner = 0;
	if ((how & WRITE_KEPT) != 0)
		make_kept(w);
	way_back(ctx, s, &w->token, w->place);
	proxy_via_stamp(ctx, via, (flags & STATE_RPORT) != 0, &w->stamp);
	sip_msg_cseq(&ctx->msg, ctx->buf);
	bound.rport = w->stamp.rport;
	bound.method = ctx->msg.cseq_method;
	bound.cseq = ctx->msg.cseq_number;
	bound.method_text = ctx->msg.cseq_method_text;
	if (w->stamp.received_len != 0)
		bound.received = ctx->origin.src.addr;
	proxy_request_codes(keys, ctx, &w->token, &bound, (flags & STATE_RR) != 0, &w->codes);
	if ((how & WRITE_KEPT) != 0)
		w->codes.own = proxy_own_mac(&keys->mac[0], &w->token, &bound, w->codes.branch);
}

/* 16.6 step 8. */
WRITE_INLINE void write_vias(
	struct writing *w, const struct keys *keys, const struct socket *from, unsigned how)
{
	struct route_ctx *ctx = w->ctx;
	uint32_t off = ctx->msg.header[ctx->msg.first[SIP_HEADER_VIA]].name;
	char *at = change_begin(w, off, 0, via_room(from, (how & WRITE_KEPT) != 0), how);

	if (at == NULL)
		return;
	at = put_padded(at, from->via, from->via_len);
	memcpy(at, w->codes.branch, BRANCH_LEN);
	at += BRANCH_LEN;
	if ((how & WRITE_KEPT) != 0)
		at = proxy_branch_number_put(at, w->token.branch);
	at = put_lit(at, ";" SIP_VIA_TOKEN_PARAM "=");
	at = proxy_via_token_put(at, keys, &w->token, w->place, w->codes.via, &w->codes.own);
	if ((proxy_state(ctx)->flags & STATE_LOCAL_RPORT) != 0)
		at = put_lit(at, ";rport");
	at = put_lit(at, "\r\n");
	change_end(w, off, 0, SIP_EDIT_FIRST, at, how);
	write_stamp(w, &w->stamp, how);
}

/* 16.3 step 4: only what comes back to us as it came is a loop; with another R-URI or Route it is a
 * spiral. */
static bool is_loop(
	const struct route_ctx *ctx, const struct proxy_state *state, const struct sockets *s)
{
	const struct route_target *target = &ctx->result.target;

	/* Few next hops have as much as the bit of an address of ours. */
	return (s->addresses & proxy_address_bit(&target->ep.addr)) != 0 && state->pop == 0 &&
	       (state->flags & (STATE_POP_LAST | STATE_STRICT_NEXT)) == 0 && ctx->path.len == 0 &&
	       str_eq(route_ctx_uri(ctx), sip_text(ctx->buf, ctx->msg.uri_text)) &&
	       proxy_sockets_at_endpoint(s, &target->ep, target->transport) >= 0;
}

/* A kind of change and its place, so that they can be put into order. What stands at one place goes
 * by kind. */
enum change {
	CHANGE_VIA,
	CHANGE_RECORD_ROUTE,
	CHANGE_MAX_FORWARDS,
	CHANGE_MAX_BREADTH,
	CHANGE_ROUTE,
	CHANGE_KINDS = 16
};
#define CHANGES_MAX (CHANGE_ROUTE + ROUTE_GONE_MAX)
static_assert(CHANGES_MAX <= CHANGE_KINDS, "each piece of the Routes is a kind of its own");

struct changes {
	unsigned count;
	uint32_t at[CHANGES_MAX]; /* place * CHANGE_KINDS + kind, in order */
};

WRITE_INLINE void changes_add(struct changes *c, uint32_t place, unsigned kind)
{
	uint32_t key = place * CHANGE_KINDS + kind;
	unsigned i = c->count++;

	for (; i > 0 && c->at[i - 1] > key; i--)
		c->at[i] = c->at[i - 1];
	c->at[i] = key;
}

static uint32_t max_forwards_place(const struct sip_msg *msg)
{
	return sip_msg_has(msg, SIP_HEADER_MAX_FORWARDS)
		       ? msg->header[msg->first[SIP_HEADER_MAX_FORWARDS]].value
		       : sip_msg_line_end(msg, &msg->header[msg->last[SIP_HEADER_VIA]]);
}

/* The start line, from which what stands before it goes, with the Request-URI as it leaves. */
WRITE_INLINE void write_start(struct writing *w, unsigned how)
{
	struct route_ctx *ctx = w->ctx;
	struct sip_span was = ctx->msg.uri_text;

	if ((how & WRITE_STRAIGHT) == 0 && ctx->msg.start_line.off != 0)
		sip_edit_delete(&ctx->edits, 0, ctx->msg.start_line.off);
	w->pos = ctx->msg.start_line.off;
	if (ctx->uri.space == ROUTE_SPACE_NONE)
		return;
	if ((how & WRITE_STRAIGHT) == 0) {
		sip_edit_replace(&ctx->edits, was.off, was.len, route_ctx_uri(ctx));
		return;
	}
	w->at = proxy_put_piece(w->at, ctx, w->pos, was.off);
	w->at = put_str(w->at, route_ctx_uri(ctx));
	w->pos = was.off + was.len;
}

/* All changes, in their order; straight ones have to be. */
WRITE_INLINE void write_changes(struct writing *w, const struct keys *keys, const struct sockets *s,
	unsigned listener, const struct sip_span *gone, unsigned pieces, unsigned how)
{
	struct route_ctx *ctx = w->ctx;
	struct changes c = {.count = 0};

	changes_add(&c, ctx->msg.header[ctx->msg.first[SIP_HEADER_VIA]].name, CHANGE_VIA);
	if ((proxy_state(ctx)->flags & STATE_RR) != 0)
		changes_add(&c, proxy_record_route_place(&ctx->msg), CHANGE_RECORD_ROUTE);
	for (unsigned i = 0; i < pieces; i++)
		changes_add(&c, gone[i].off, CHANGE_ROUTE + i);
	changes_add(&c, max_forwards_place(&ctx->msg), CHANGE_MAX_FORWARDS);
	if ((how & WRITE_KEPT) != 0 && proxy_state(ctx)->max_breadth != 0)
		changes_add(&c, max_breadth_place(&ctx->msg), CHANGE_MAX_BREADTH);
	make_codes(w, keys, s, how);
	write_start(w, how);
	for (unsigned i = 0; i < c.count; i++) {
		unsigned kind = c.at[i] % CHANGE_KINDS;
		uint32_t off = c.at[i] / CHANGE_KINDS;
		char *at;

		switch (kind) {
		case CHANGE_VIA:
			write_vias(w, keys, &s->socket[listener], how);
			break;
		case CHANGE_RECORD_ROUTE:
			at = change_begin(w, off, 0,
				(how & WRITE_STRAIGHT) == 0
					? proxy_record_route_room(ctx, s, listener)
					: 0,
				how);
			if (at != NULL) {
				at = proxy_record_route_put(
					at, ctx, keys, s, listener, &w->codes.route);
				change_end(w, off, 0, SIP_EDIT_FIRST, at, how);
			}
			break;
		case CHANGE_MAX_FORWARDS:
			write_max_forwards(w, how);
			break;
		case CHANGE_MAX_BREADTH:
			if ((how & WRITE_KEPT) != 0)
				write_max_breadth(w, how);
			break;
		default:
			at = change_begin(w, off, gone[kind - CHANGE_ROUTE].len, 0, how);
			change_end(
				w, off, gone[kind - CHANGE_ROUTE].len, SIP_EDIT_REPLACE, at, how);
			break;
		}
	}
}

/* Bytes that the changes add at most, and that writing them straight may touch behind. */
static uint32_t straight_growth(struct route_ctx *ctx, const struct sockets *s, unsigned listener)
{
	uint32_t flags = proxy_state(ctx)->flags;
	uint32_t growth = via_room(&s->socket[listener], (flags & STATE_OWNER) != 0) +
			  2 * VIA_CHANGE_MAX + sizeof("Max-Forwards: 255\r\n") + PIECE + PUT_SLACK +
			  ctx->uri.len;

	if ((flags & STATE_OWNER) != 0)
		growth += sizeof("Max-Breadth: 65535\r\n");
	if ((flags & STATE_RR) != 0)
		growth += proxy_record_route_room(ctx, s, listener);
	return growth;
}

/* Whether the changes are all that there is to write, of a shape that write_changes() knows. */
static inline bool goes_straight(const struct route_ctx *ctx)
{
	const struct proxy_state *state =
		(const struct proxy_state *)ctx->scratch[ROUTE_SCRATCH_PROXY];

	return ctx->edits.count == 0 && !ctx->edits.overflow && ctx->path.len == 0 &&
	       (state->flags & (STATE_POP_LAST | STATE_STRICT_NEXT | STATE_PATH)) == 0;
}

/* The listener that it leaves from, or a negative status code. */
static int choose_listener(
	const struct route_ctx *ctx, const struct proxy_state *state, const struct sockets *s)
{
	const struct route_target *target = &ctx->result.target;
	int listener =
		proxy_sockets_choose(s, ctx->origin.listener, target->listener, &target->ep.addr);

	if (listener < 0 || !proxy_sockets_may_send(&s->socket[listener], &target->ep))
		return -500;
	return is_loop(ctx, state, s) ? -482 : listener;
}

/* Any request. */
static __attribute__((noinline)) void write_any(struct writing *w, const struct keys *keys,
	const struct sockets *s, const struct sip_span *gone, unsigned pieces)
{
	const struct proxy_state *state = proxy_state(w->ctx);
	unsigned how = w->at != NULL ? WRITE_STRAIGHT : 0;

	if ((state->flags & STATE_OWNER) != 0)
		how |= WRITE_KEPT;
	write_changes(w, keys, s, state->out, gone, pieces, how);
}

static int64_t write_straight(struct route_ctx *ctx, const struct keys *keys,
	const struct sockets *s, const struct sip_span *gone, unsigned pieces, char *out)
{
	const struct proxy_state *state = proxy_state(ctx);
	struct writing w;

	w.ctx = ctx;
	w.at = out;
	if (__builtin_expect((state->flags & STATE_OWNER) != 0, 0))
		write_any(&w, keys, s, gone, pieces);
	else
		write_changes(&w, keys, s, state->out, gone, pieces, WRITE_STRAIGHT);
	memcpy(w.at, ctx->buf + w.pos, ctx->msg.len - w.pos);
	return w.at + (ctx->msg.len - w.pos) - out;
}

static int64_t apply(struct route_ctx *ctx, char *out, uint32_t room)
{
	int64_t len = ctx->edits.overflow
			      ? -EOVERFLOW
			      : sip_edit_apply(&ctx->edits, ctx->buf, ctx->msg.len, out, room);

	if (len == -ENOSPC)
		return -513;
	return len < 0 ? -500 : len;
}

/* Our changes join the script's. */
static bool join(struct route_ctx *ctx, const struct keys *keys, const struct sockets *s)
{
	struct writing w;

	w.ctx = ctx;
	w.at = NULL;
	if (ctx->path.len != 0 && !proxy_path_write(ctx))
		return false;
	if ((proxy_state(ctx)->flags & STATE_PATH) != 0)
		proxy_path_header_write(ctx, keys, s, proxy_state(ctx)->out);
	if (sip_msg_has(&ctx->msg, SIP_HEADER_ROUTE))
		proxy_route_set_write(ctx);
	write_any(&w, keys, s, NULL, 0);
	return true;
}

/* By edits, for as long as it takes to write them: what is written next begins with what the script
 * left. */
static int64_t write_edits_once(struct route_ctx *ctx, const struct keys *keys,
	const struct sockets *s, char *out, uint32_t room)
{
	uint16_t count = ctx->edits.count, text_len = ctx->edits.text_len;
	bool overflow = ctx->edits.overflow;
	struct route_text uri = ctx->uri;
	struct sip_edit edit[SIP_EDITS_MAX];
	int64_t len;

	memcpy(edit, ctx->edits.edit, count * sizeof(edit[0]));
	len = join(ctx, keys, s) ? apply(ctx, out, room) : -500;
	/* Applying has sorted them. */
	memcpy(ctx->edits.edit, edit, count * sizeof(edit[0]));
	ctx->edits.count = count;
	ctx->edits.text_len = text_len;
	ctx->edits.overflow = overflow;
	ctx->uri = uri;
	return len;
}

static __attribute__((noinline)) int64_t write_edits(struct route_ctx *ctx, const struct keys *keys,
	const struct sockets *s, char *out, uint32_t room)
{
	struct proxy_state *state = proxy_state(ctx);

	if ((state->flags & STATE_OWNER) != 0)
		return write_edits_once(ctx, keys, s, out, room);
	if ((state->flags & STATE_WRITTEN) == 0) {
		if (!join(ctx, keys, s))
			return -500;
		state->flags |= STATE_WRITTEN;
	}
	return apply(ctx, out, room);
}

int64_t proxy_request_write(
	struct proxy *p, struct route_ctx *ctx, char *out, uint32_t room, struct proxy_out *to)
{
	const struct keys *keys = proxy_keys(p);
	const struct sockets *s = proxy_sockets(p);
	struct proxy_state *state = proxy_state(ctx);
	struct sip_span gone[ROUTE_GONE_MAX];
	int listener, pieces = -1;
	int64_t len;

	if (room > SIP_MSG_UDP_OUT_MAX)
		room = SIP_MSG_UDP_OUT_MAX;
	if ((state->flags & STATE_WRITTEN) == 0) {
		if (keys == NULL || s == NULL || sip_msg_via(&ctx->msg, ctx->buf, 0) == NULL ||
			!ctx->result.target.valid)
			return -500;
		listener = choose_listener(ctx, state, s);
		if (listener < 0)
			return listener;
		state->out = (uint16_t)listener;
		if (goes_straight(ctx) &&
			ctx->msg.len + straight_growth(ctx, s, state->out) <= room)
			pieces = state->pop != 0 ? proxy_route_set_gone(ctx, s, gone) : 0;
	}
	if (pieces >= 0)
		len = write_straight(ctx, keys, s, gone, (unsigned)pieces, out);
	else
		len = write_edits(ctx, keys, s, out, room);
	if (len < 0)
		return len;
	to->dst = ctx->result.target.ep;
	to->listener = state->out;
	to->destination = ctx->result.target.destination;
	return len;
}
