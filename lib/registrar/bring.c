/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the messages of a burst will read of the location is brought into the caches before the
 * first of their scripts runs. A look-up misses them twice, one miss behind the other; those of a
 * burst are under way together.
 */
#include "registrar/internal.h"

bool registrar_looks(const struct registrar *r)
{
	return atomic_load_explicit(&r->looks, memory_order_relaxed);
}

bool registrar_bring(const struct registrar *r, struct route_ctx *ctx, struct registrar_brought *b)
{
	const struct sip_address *to = sip_msg_to(&ctx->msg, ctx->buf);
	enum registrar_aor_error error = REGISTRAR_AOR_BAD;
	const struct sip_uri *uri;

	if (to == NULL || to->tag.len != 0)
		return false; /* what is within a dialog goes by its Route */
	if (ctx->msg.method == SIP_METHOD_REGISTER) {
		error = registrar_aor_of_text(r, sip_text(ctx->buf, to->uri), &b->aor, &b->host);
	} else {
		uri = sip_msg_uri(&ctx->msg, ctx->buf);
		if (uri != NULL)
			error = registrar_aor_of(r, ctx->buf, uri, &b->aor);
	}
	if (error != REGISTRAR_AOR_OK)
		return false;
	/* Most have one table. Where another one is meant, nothing is gained. */
	b->digest = location_digest(r->config.location, 0, registrar_aor_str(&b->aor));
	location_prefetch(r->config.location, b->digest);
	if (ctx->msg.method == SIP_METHOD_INVITE && r->config.proxy != NULL &&
		ctx->thread->index < RCU_READERS_MAX)
		registrar_note_bring(r, ctx, &b->digest);
	ctx->brought = b;
	return true;
}

void registrar_bring_record(const struct registrar *r, const struct registrar_brought *b)
{
	location_prefetch_record(r->config.location, b->digest);
}
