/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a REGISTER is answered with: the 200 and its lines (RFC 3261 10.3 step 8, RFC 3327, RFC
 * 3608, RFC 5626), or a refusal and why. The lines are written where the context keeps those of the
 * script, behind them.
 */
#include "registrar/internal.h"

#define NUMBER_MAX 20
/* Of a Contact, all but its URI, instance and received:
 * ", <>;q=0.123;expires=2147483647;+sip.instance=;reg-id=2147483647". */
#define CONTACT_FIXED 64
#define RECEIVED_FIXED 8 /* ";=\"sip:\"" */
/* Names of lines, option tags and numbers of all other lines together. */
#define LINES_FIXED 256

static const struct {
	uint16_t status;
	struct str phrase, text;
} refusals[] = {{0, {"", 0}, {"", 0}},
#define REGISTRAR_REFUSAL(id, status, phrase, text) \
	{status, {phrase, sizeof(phrase) - 1}, {text, sizeof(text) - 1}},
	REGISTRAR_REFUSALS(REGISTRAR_REFUSAL)
#undef REGISTRAR_REFUSAL
};

/* ---- pieces ---- */

#define put_lit(at, lit) ((char *)memcpy((at), (lit), sizeof(lit) - 1) + sizeof(lit) - 1)

static char *put_str(char *at, struct str s)
{
	str_copy(at, s);
	return at + s.len;
}

static char *put_number(char *at, uint64_t v)
{
	return at + str_from_u64(at, v);
}

/* "0.5", "1": without zeros at the end. */
static char *put_q(char *at, uint16_t q)
{
	uint16_t rest = q % 1000;

	*at++ = (char)('0' + q / 1000);
	if (rest == 0)
		return at;
	*at++ = '.';
	for (uint16_t scale = 100; rest != 0; rest %= scale, scale /= 10)
		*at++ = (char)('0' + rest / scale);
	return at;
}

/* Whether this one's Path goes back to who sent it. */
static bool echoes_path(const struct registrar_request *q)
{
	return q->path.len != 0 && q->supports_path &&
	       registrar_choice(q->call->path_mode, q->s->p.path_mode) != REGISTRAR_PATH_OFF;
}

/* ---- the 200 ---- */

static char *put_contact(
	char *at, const struct registrar_request *q, const struct location_contact *c)
{
	char endpoint[NET_ENDPOINT_TEXT_MAX];

	*at++ = '<';
	at = put_str(at, c->uri);
	*at++ = '>';
	if (c->q != LOCATION_Q_NONE)
		at = put_q(put_lit(at, ";q="), c->q);
	at = put_number(put_lit(at, ";expires="), c->expires - q->now);
	if (c->received.addr.family != 0 && q->s->received_param.len != 0) {
		*at++ = ';';
		at = put_str(at, registrar_text_str(&q->s->received_param));
		at = put_lit(at, "=\"sip:");
		at = put_str(at, str_of(endpoint, net_endpoint_format(&c->received, endpoint)));
		*at++ = '"';
	}
	if (c->instance.len != 0)
		at = put_str(put_lit(at, ";+sip.instance="), c->instance);
	if (c->reg_id != 0)
		at = put_number(put_lit(at, ";reg-id="), c->reg_id);
	return at;
}

static char *put_outbound(char *at, const struct registrar_request *q)
{
	if (q->s->p.outbound_mode == REGISTRAR_OUTBOUND_NONE)
		return at;
	at = put_lit(at, "Supported: outbound\r\n");
	if (!q->outbound)
		return at;
	at = put_lit(at, "Require: outbound\r\n");
	if (q->s->p.flow_timer == 0)
		return at;
	at = put_number(put_lit(at, "Flow-Timer: "), (uint64_t)q->s->p.flow_timer);
	return put_lit(at, "\r\n");
}

static char *put_lines(char *at, const struct registrar_request *q,
	const struct location_contact *contact, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		at = put_contact(
			i == 0 ? put_lit(at, "Contact: ") : put_lit(at, ", "), q, &contact[i]);
	if (count != 0)
		at = put_lit(at, "\r\n");
	if (echoes_path(q)) {
		at = put_str(put_lit(at, "Path: "), q->path);
		at = put_lit(at, "\r\n");
	}
	if (q->s->service_route.len != 0) {
		at = put_str(
			put_lit(at, "Service-Route: "), registrar_text_str(&q->s->service_route));
		at = put_lit(at, "\r\n");
	}
	return put_outbound(at, q);
}

/* Where lines can be written: behind what the script has gathered, which is copied once more unless
 * it is the last text of the context. */
static char *begin_lines(struct route_ctx *ctx, uint32_t *off)
{
	struct route_text *headers = &ctx->result.headers;

	if (headers->len == 0) {
		*off = ctx->text_len;
	} else if (headers->space == ROUTE_SPACE_ARENA &&
		   headers->off + headers->len == ctx->text_len) {
		*off = headers->off;
	} else {
		*off = ctx->text_len;
		memcpy(ctx->text + ctx->text_len, route_text_str(ctx, *headers).s, headers->len);
		ctx->text_len += headers->len;
	}
	return ctx->text + ctx->text_len;
}

static void end_lines(struct route_ctx *ctx, uint32_t off, const char *end)
{
	ctx->text_len = (uint32_t)(end - ctx->text);
	ctx->result.headers = (struct route_text){off, ctx->text_len - off, ROUTE_SPACE_ARENA};
}

static bool has_room(const struct route_ctx *ctx, uint64_t bytes, uint32_t spare)
{
	return bytes + ctx->result.headers.len <= ROUTE_TEXT_MAX - ctx->text_len + spare;
}

bool registrar_accept_fits(
	const struct registrar_request *q, const struct location_contact *contact, unsigned count)
{
	uint64_t bytes = LINES_FIXED + q->path.len + q->s->service_route.len;

	for (unsigned i = 0; i < count; i++)
		bytes += CONTACT_FIXED + contact[i].uri.len + contact[i].instance.len +
			 (contact[i].received.addr.family != 0
					 ? NET_ENDPOINT_TEXT_MAX + RECEIVED_FIXED +
						   q->s->received_param.len
					 : 0);
	return has_room(q->ctx, bytes, q->spare);
}

void registrar_accept(
	const struct registrar_request *q, const struct location_contact *contact, unsigned count)
{
	uint32_t off;
	char *at = begin_lines(q->ctx, &off);

	end_lines(q->ctx, off, put_lines(at, q, contact, count));
	proxy_reply_set(q->ctx, 200, STR_NONE);
	proxy_reply_chosen(q->ctx);
}

/* ---- refusals ---- */

/* 8.2.2.3: the option tags that we do not know. */
static char *put_unsupported(char *at, const struct registrar_request *q, const char *end)
{
	const struct route_ctx *ctx = q->ctx;
	char *begin = at;

	SIP_MSG_FOREACH (&ctx->msg, SIP_HEADER_REQUIRE, h) {
		struct sip_span value;
		uint32_t list_at = 0;

		while (sip_list_next(ctx->buf, sip_header_value(h), &list_at, &value)) {
			struct str tag = sip_text(ctx->buf, value);

			/* One that is cut would be another. */
			if (registrar_supports(q->s, tag) || tag.len + LINES_FIXED > end - at)
				continue;
			at = at == begin ? put_lit(at, "Unsupported: ") : put_lit(at, ", ");
			at = put_str(at, tag);
		}
	}
	return at == begin ? at : put_lit(at, "\r\n");
}

static char *put_why(char *at, const struct registrar_request *q, enum registrar_refusal refusal,
	const char *end)
{
	switch (refusal) {
	case REGISTRAR_REFUSAL_EXTENSION:
		at = put_unsupported(at, q, end);
		break;
	case REGISTRAR_REFUSAL_PATH_SUPPORT:
		at = put_lit(at, "Unsupported: path\r\n");
		break;
	case REGISTRAR_REFUSAL_OUTBOUND:
		at = put_lit(at, "Require: outbound\r\nSupported: outbound\r\n");
		break;
	case REGISTRAR_REFUSAL_BRIEF:
		at = put_number(put_lit(at, "Min-Expires: "), q->min_expires);
		at = put_lit(at, "\r\n");
		break;
	default:
		break;
	}
	if (refusals[refusal].status >= 500 &&
		(q->s->p.retry_after != 0 || refusal == REGISTRAR_REFUSAL_BUSY)) {
		at = put_number(put_lit(at, "Retry-After: "),
			q->s->p.retry_after != 0 ? (uint64_t)q->s->p.retry_after : 1);
		at = put_lit(at, "\r\n");
	}
	at = put_str(put_lit(at, "P-Registrar-Error: "), refusals[refusal].text);
	return put_lit(at, "\r\n");
}

void registrar_refuse(const struct registrar_request *q, enum registrar_refusal refusal)
{
	struct route_ctx *ctx = q->ctx;

	/* Where there is no room, the status alone says it. */
	if (has_room(ctx, 2 * LINES_FIXED, 0)) {
		uint32_t off;
		char *at = begin_lines(ctx, &off);

		end_lines(ctx, off, put_why(at, q, refusal, ctx->text + ROUTE_TEXT_MAX));
	}
	proxy_reply_set(ctx, refusals[refusal].status, refusals[refusal].phrase);
	proxy_reply_chosen(ctx);
}
