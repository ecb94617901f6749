/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a REGISTER wants, before anything is changed: Require, Expires, Path, Contacts (RFC
 * 3261 10.3 steps 2, 6 and 7, RFC 3327, RFC 5626 6). All of it is good, or nothing of it counts.
 */
#include "registrar/internal.h"

/* ---- Path (RFC 3327 5.3) ---- */

/* Adds one value as "<uri>;params", without folds. */
static bool add_path(
	struct registrar_request *q, uint32_t *len, const struct sip_address *a, const char *buf)
{
	struct str uri = sip_text(buf, a->uri), params = sip_text(buf, a->params);
	char *at = q->path_text + *len;

	if (uri.len + params.len + 3 > LOCATION_PATH_MAX - *len)
		return false;
	if (*len != 0)
		*at++ = ',';
	*at++ = '<';
	str_copy(at, uri);
	at += uri.len;
	*at++ = '>';
	for (uint32_t i = 0; i < params.len; i++)
		*at++ = params.s[i] == '\r' || params.s[i] == '\n' ? ' ' : params.s[i];
	*len = (uint32_t)(at - q->path_text);
	return true;
}

/* The first value's URI decides: it is where requests go next, and has to be a loose router. */
static bool first_path(
	struct registrar_reading *rd, const struct sip_uri *uri, const char *buf, bool *outbound)
{
	struct sip_span value;

	if (!uri->lr)
		return false;
	*outbound = sip_param_find(buf, uri->params, STR("ob"), NULL, NULL);
	if ((rd->q->s->p.path_use_received != 0 ||
		    (rd->q->call->flags & REGISTRAR_SAVE_RECEIVED) != 0) &&
		sip_param_find(buf, uri->params, STR("received"), &value, NULL))
		rd->received_by_path = registrar_received_read(sip_text(buf, value), &rd->received);
	return true;
}

/* Whether the Path can be used; `*outbound`: its first URI has "ob". */
static bool read_path(struct registrar_reading *rd, bool *outbound)
{
	struct registrar_request *q = rd->q;
	const char *buf = q->ctx->buf;
	uint32_t len = 0;

	SIP_MSG_FOREACH (&q->ctx->msg, SIP_HEADER_PATH, h) {
		struct sip_span rest = sip_header_value(h);
		uint32_t end = rest.off + rest.len;
		struct sip_address address;

		do {
			struct sip_uri uri;

			if (sip_address_parse(buf, rest, &address) != 0 || address.star ||
				sip_uri_parse(buf, address.uri, &uri) != 0 ||
				(len == 0 && !first_path(rd, &uri, buf, outbound)) ||
				!add_path(q, &len, &address, buf))
				return false;
			rest = (struct sip_span){address.next, end - address.next};
		} while (address.next != 0);
	}
	q->path = str_of(q->path_text, len);
	return true;
}

/* ---- what is asked of us, and of the way ---- */

bool registrar_supports(const struct registrar_settings *s, struct str tag)
{
	return (s->p.use_path != 0 && str_ieq(tag, STR("path"))) ||
	       (s->p.outbound_mode != REGISTRAR_OUTBOUND_NONE && str_ieq(tag, STR("outbound")));
}

/* 8.2.2.3. */
static bool supports_all(const struct registrar_request *q)
{
	SIP_MSG_FOREACH (&q->ctx->msg, SIP_HEADER_REQUIRE, h) {
		struct sip_span value;
		uint32_t at = 0;

		while (sip_list_next(q->ctx->buf, sip_header_value(h), &at, &value))
			if (!registrar_supports(q->s, sip_text(q->ctx->buf, value)))
				return false;
	}
	return true;
}

static bool says(const struct registrar_request *q, struct str tag)
{
	const struct route_ctx *ctx = q->ctx;

	return sip_msg_list_has(&ctx->msg, ctx->buf, SIP_HEADER_SUPPORTED, tag) ||
	       sip_msg_list_has(&ctx->msg, ctx->buf, SIP_HEADER_REQUIRE, tag);
}

static bool from_first_hop(struct route_ctx *ctx)
{
	const struct sip_via *via = sip_msg_via(&ctx->msg, ctx->buf, 0);

	return via != NULL && via->next == 0 &&
	       ctx->msg.first[SIP_HEADER_VIA] == ctx->msg.last[SIP_HEADER_VIA];
}

static enum registrar_refusal read_way(struct registrar_reading *rd)
{
	struct registrar_request *q = rd->q;
	const struct registrar_params *s = &q->s->p;
	int64_t path_mode = registrar_choice(q->call->path_mode, s->path_mode);
	bool path_outbound = false;

	if (s->use_path != 0 && sip_msg_has(&q->ctx->msg, SIP_HEADER_PATH)) {
		q->supports_path = says(q, STR("path"));
		if (!read_path(rd, &path_outbound))
			return REGISTRAR_REFUSAL_PATH;
		if (path_mode == REGISTRAR_PATH_STRICT && !q->supports_path &&
			!q->ctx->msg.is_response)
			return REGISTRAR_REFUSAL_PATH_SUPPORT;
	}
	rd->use_reg_id = s->regid_mode != 0;
	if (s->outbound_mode == REGISTRAR_OUTBOUND_NONE || q->ctx->msg.is_response)
		return REGISTRAR_REFUSAL_NONE;
	q->supports_outbound = says(q, STR("outbound"));
	if (s->outbound_mode == REGISTRAR_OUTBOUND_REQUIRED && !q->supports_outbound)
		return REGISTRAR_REFUSAL_OUTBOUND;
	rd->first_hop = from_first_hop(q->ctx);
	rd->no_edge = !rd->first_hop && !path_outbound && !rd->use_reg_id && q->supports_outbound;
	rd->use_reg_id |= rd->first_hop || path_outbound;
	return REGISTRAR_REFUSAL_NONE;
}

/* ---- what the script and the socket say ---- */

/* The AVP that `received_avp` names, the last one given. */
static void received_of_avp(struct registrar_reading *rd)
{
	const struct route_ctx *ctx = rd->q->ctx;
	struct str name = registrar_text_str(&rd->q->s->received_avp);

	for (unsigned i = ctx->avps; name.len != 0 && i-- > 0;) {
		if (!str_eq(route_text_str(ctx, ctx->avp[i].name), name))
			continue;
		if (ctx->avp[i].value.type == ROUTE_STR)
			(void)registrar_received_read(
				route_text_str(ctx, ctx->avp[i].value.text), &rd->received);
		return;
	}
}

/* The listener that the user agent is reached from: the one that took the REGISTER, or what a
 * header says that a trusted neighbour wrote. */
static int16_t listener_of(const struct registrar_request *q)
{
	const struct route_ctx *ctx = q->ctx;
	const struct registrar_settings *s = q->s;
	const struct route_hooks *hooks = route_script_hooks(ctx->script);
	const struct sip_header *h;
	int found;

	if (s->p.sock_flag >= 0 && (ctx->flags >> s->p.sock_flag & 1) != 0 &&
		s->sock_hdr_name.len != 0 && hooks != NULL && hooks->find_listener != NULL) {
		h = sip_msg_header_named(
			&ctx->msg, ctx->buf, registrar_text_str(&s->sock_hdr_name));
		found = h != NULL ? hooks->find_listener(
					    hooks->room, sip_text(ctx->buf, sip_header_value(h)))
				  : -1;
		if (found >= 0 && found <= INT16_MAX)
			return (int16_t)found;
	}
	return ctx->origin.listener <= INT16_MAX ? (int16_t)ctx->origin.listener : -1;
}

/* Its first line, for people. */
static struct str user_agent_of(const struct route_ctx *ctx)
{
	struct str text = sip_text(ctx->buf, sip_msg_value(&ctx->msg, SIP_HEADER_USER_AGENT));
	int64_t fold = str_find(text, '\r');

	if (fold >= 0)
		text.len = (uint32_t)fold;
	if (text.len > LOCATION_USER_AGENT_MAX)
		text.len = LOCATION_USER_AGENT_MAX;
	return text;
}

enum registrar_refusal registrar_request_read(struct registrar_request *q)
{
	struct route_ctx *ctx = q->ctx;
	struct registrar_reading rd = {.q = q};
	enum registrar_refusal refusal;

	q->path = STR_NONE;
	q->star = q->supports_path = q->supports_outbound = q->outbound = false;
	q->count = 0;
	q->min_expires = (uint32_t)registrar_choice(q->call->min_expires, q->s->p.min_expires);
	if (sip_msg_has(&ctx->msg, SIP_HEADER_REQUIRE) && !ctx->msg.is_response && !supports_all(q))
		return REGISTRAR_REFUSAL_EXTENSION;
	rd.has_expires = sip_msg_has(&ctx->msg, SIP_HEADER_EXPIRES);
	if (rd.has_expires &&
		!registrar_seconds_read(
			sip_text(ctx->buf, sip_msg_value(&ctx->msg, SIP_HEADER_EXPIRES)),
			&rd.expires))
		return REGISTRAR_REFUSAL_EXPIRES;
	q->call_id = sip_text(ctx->buf, sip_msg_value(&ctx->msg, SIP_HEADER_CALL_ID));
	if (q->call_id.len > LOCATION_CALL_ID_MAX)
		return REGISTRAR_REFUSAL_CALL_ID;
	q->cseq = ctx->msg.cseq_number;
	received_of_avp(&rd);
	refusal = read_way(&rd);
	if (refusal != REGISTRAR_REFUSAL_NONE)
		return refusal;
	rd.methods = q->s->p.method_filtering != 0 ? registrar_allowed_methods(ctx) : UINT32_MAX;
	rd.user_agent = user_agent_of(ctx);
	rd.listener = listener_of(q);
	return registrar_contacts_read(&rd);
}
