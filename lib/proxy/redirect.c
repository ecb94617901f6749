/* SPDX-License-Identifier: BSD-3-Clause */
/* A 3xx of the script's own says where to: the targets that the script has chosen (RFC
 * 3261 8.1.3.4, 21.3). */
#include "proxy/internal.h"

#define CONTACTS_MAX (ROUTE_BRANCHES_MAX + 1)
#define PIECES_EACH 5

/* Nothing in it may end the Contact, or the line. */
static bool is_whole(struct str uri)
{
	for (uint32_t i = 0; i < uri.len; i++) {
		unsigned char c = (unsigned char)uri.s[i];

		if (c <= ' ' || c == 0x7f || c == '<' || c == '>' || c == '"')
			return false;
	}
	return uri.len != 0;
}

static bool add(
	struct str *part, unsigned *n, struct str uri, uint16_t q, char digits[ROUTE_Q_TEXT])
{
	if (!is_whole(uri))
		return false;
	part[*n] = *n == 0 ? STR("Contact: <") : STR(", <");
	part[*n + 1] = uri;
	*n += 2;
	part[(*n)++] = q != ROUTE_Q_NONE ? STR(">;q=") : STR(">");
	if (q != ROUTE_Q_NONE)
		part[(*n)++] = str_of(digits, route_q_text(q, digits));
	return true;
}

bool proxy_reply_targets(struct route_ctx *ctx)
{
	/* The lines that are there already, a place of each piece, the end. */
	struct str part[CONTACTS_MAX * PIECES_EACH + 2];
	char digits[CONTACTS_MAX][ROUTE_Q_TEXT];
	const struct route_result *r = &ctx->result;
	struct route_text joined;
	unsigned n = 0;

	if (ctx->msg.is_response || (r->reply && r->status / 100 == 3 &&
					    (proxy_state(ctx)->flags & STATE_REPLIED) != 0))
		return true;
	/* One that has been tried is no place to go. */
	if (ctx->uri.space != ROUTE_SPACE_NONE && !ctx->uri_spent &&
		!add(part + 1, &n, route_ctx_uri(ctx), ctx->q, digits[CONTACTS_MAX - 1]))
		return false;
	for (unsigned i = 0; i < ctx->branches; i++) {
		const struct route_branch *b = &ctx->branch[i];

		if (!add(part + 1, &n, route_text_str(ctx, b->uri), b->q, digits[i]))
			return false;
	}
	if (n == 0)
		return true;
	part[0] = route_text_str(ctx, r->headers);
	part[n + 1] = STR("\r\n");
	joined = route_text_join(ctx, part, n + 2);
	if (joined.space == ROUTE_SPACE_NONE)
		return false;
	ctx->result.headers = joined;
	return true;
}
