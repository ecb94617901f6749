/* SPDX-License-Identifier: BSD-3-Clause */
/* save(), unregister(): what writes to the location table, on the slow lcore that owns the shard.
 */
#include "registrar/internal.h"

#define SAVE_REFUSED (-1)
#define SAVE_TOO_MANY (-2)
#define SAVE_FETCHED 4

/* The text of an argument; a number is none here. */
static struct str text_of(const struct route_args *args, unsigned n)
{
	return args->n > n && args->v[n].type == ROUTE_STR ? args->v[n].s : STR_NONE;
}

/* Whether this thread owns the shard; else the message goes there. */
static bool is_here(struct registrar *r, struct route_ctx *ctx, struct hash128 digest)
{
	unsigned shard = location_shard(r->config.location, digest);

	if (ctx->thread->has_state && ctx->thread->shard == shard)
		return true;
	ctx->shard = (int16_t)shard;
	return false;
}

/* The message goes there, but for the blocks of a transaction, which cannot leave their own shard.
 * That of a REGISTER is the one of its To. */
static int32_t elsewhere(const struct route_ctx *ctx, int32_t refused)
{
	return (ctx->in & (ROUTE_IN_FAILURE | ROUTE_IN_BRANCH | ROUTE_IN_EVENT)) != 0
		       ? refused
		       : ROUTE_NEEDS_STATE;
}

/* A record is not in the middle of a change where its writer reads it. */
static bool read_set(struct registrar_request *q, struct hash128 digest, struct location_set *set)
{
	int n = location_read(q->r->config.location, digest, q->call->table,
		registrar_aor_str(q->aor), q->now, set);

	return n >= 0;
}

/* ---- what is checked first ---- */

/* Only a REGISTER binds, or the 2xx to one that passes here. */
static bool is_registration(struct route_ctx *ctx)
{
	if (!sip_msg_cseq(&ctx->msg, ctx->buf))
		return false;
	if (ctx->msg.is_response)
		return ctx->msg.cseq_method == SIP_METHOD_REGISTER && ctx->msg.status / 100 == 2;
	return ctx->msg.method == SIP_METHOD_REGISTER;
}

/* Whether a name is `domain` or one below it. */
static bool is_below(struct str name, struct str domain)
{
	uint32_t rest = name.len - domain.len;

	return domain.len != 0 && name.len >= domain.len &&
	       str_ieq(str_of(name.s + rest, domain.len), domain) &&
	       (rest == 0 || name.s[rest - 1] == '.');
}

/*
 * 10.3 step 5: an address-of-record of another domain than the one that is asked. A server of the
 * domain may be asked for it (RFC 3665 2.1), and one of several domains of ours. Where the
 * Request-URI names no domain but an address (a proxy before us put ours there), any is taken: the
 * script says whom it serves.
 */
static bool is_of_domain(struct route_ctx *ctx, struct str host)
{
	const struct route_hooks *hooks = route_script_hooks(ctx->script);
	const struct sip_uri *uri;
	struct str asked;

	if (ctx->msg.is_response)
		return true;
	uri = sip_msg_uri(&ctx->msg, ctx->buf);
	if (uri == NULL || uri->host_is_ip4 || uri->host_is_ip6)
		return true;
	asked = sip_text(ctx->buf, uri->host);
	if (str_eq(asked, host) || is_below(asked, host) || is_below(host, asked))
		return true;
	return hooks != NULL && hooks->is_myself != NULL &&
	       hooks->is_myself(hooks->room, host, 0, SIP_TRANSPORT_NONE);
}

static enum registrar_refusal refusal_of(enum registrar_aor_error error)
{
	switch (error) {
	case REGISTRAR_AOR_NO_USER:
		return REGISTRAR_REFUSAL_AOR_USER;
	case REGISTRAR_AOR_LONG:
		return REGISTRAR_REFUSAL_AOR_LENGTH;
	case REGISTRAR_AOR_BAD:
		return REGISTRAR_REFUSAL_AOR;
	case REGISTRAR_AOR_OK:
		break;
	}
	return REGISTRAR_REFUSAL_NONE;
}

/* The address-of-record of To, or of the URI that the script gives. */
static enum registrar_refusal find_aor(
	struct registrar *r, struct route_ctx *ctx, struct str given, struct registrar_aor *out)
{
	const struct sip_address *to;
	enum registrar_refusal refusal;
	struct str host;

	if (given.len != 0)
		return refusal_of(registrar_aor_of_text(r, given, out, NULL));
	to = sip_msg_to(&ctx->msg, ctx->buf);
	if (to == NULL)
		return REGISTRAR_REFUSAL_AOR;
	refusal = refusal_of(registrar_aor_of_text(r, sip_text(ctx->buf, to->uri), out, &host));
	if (refusal == REGISTRAR_REFUSAL_NONE && !is_of_domain(ctx, host))
		refusal = REGISTRAR_REFUSAL_DOMAIN;
	return refusal;
}

/* ---- save() ---- */

static bool answers(const struct registrar_request *q)
{
	return !q->ctx->msg.is_response && (q->call->flags & REGISTRAR_SAVE_NO_REPLY) == 0;
}

static int32_t refuse(struct registrar_request *q, enum registrar_refusal refusal)
{
	registrar_count(q->r, q->ctx, REGISTRAR_COUNTER_REJECTED);
	switch (refusal) {
	case REGISTRAR_REFUSAL_FULL:
		registrar_count(q->r, q->ctx, REGISTRAR_COUNTER_FULL);
		break;
	case REGISTRAR_REFUSAL_TOO_MANY:
	case REGISTRAR_REFUSAL_TOO_LIKE:
	case REGISTRAR_REFUSAL_TOO_LONG:
		registrar_count(q->r, q->ctx, REGISTRAR_COUNTER_TOO_MANY);
		break;
	case REGISTRAR_REFUSAL_CSEQ:
		registrar_count(q->r, q->ctx, REGISTRAR_COUNTER_OUT_OF_ORDER);
		break;
	default:
		break;
	}
	if (answers(q))
		registrar_refuse(q, refusal);
	return refusal == REGISTRAR_REFUSAL_TOO_MANY ? SAVE_TOO_MANY : SAVE_REFUSED;
}

static int32_t accept(struct registrar_request *q, const struct location_contact *contact,
	unsigned count, int32_t result)
{
	registrar_count(q->r, q->ctx, REGISTRAR_COUNTER_ACCEPTED);
	if (answers(q))
		registrar_accept(q, contact, count);
	return result;
}

/* Where there is no room, what has ended makes some: the sweep alone would leave a table that short
 * lives have filled shut for as long as its round takes. */
static enum registrar_refusal store(struct registrar_request *q, struct hash128 digest,
	const struct location_contact *contact, unsigned count)
{
	struct location *l = q->r->config.location;
	unsigned shard = q->ctx->thread->shard;
	struct str aor = registrar_aor_str(q->aor);
	int err = location_replace(l, shard, digest, q->call->table, aor, contact, count);

	if (err == -ENOSPC && location_sweep(l, shard, q->now, REGISTRAR_ROOM_PLACES) > 0)
		err = location_replace(l, shard, digest, q->call->table, aor, contact, count);
	if (err == -E2BIG)
		return REGISTRAR_REFUSAL_TOO_LONG;
	return err != 0 ? REGISTRAR_REFUSAL_FULL : REGISTRAR_REFUSAL_NONE;
}

/* With what is wanted and what is registered at hand: all of it or nothing. */
static int32_t update(struct registrar_request *q, struct hash128 digest)
{
	struct location_contact standing[LOCATION_CONTACTS_MAX];
	struct registrar_bindings b;
	enum registrar_refusal refusal = registrar_bind(&b, q);
	unsigned count;

	if (refusal != REGISTRAR_REFUSAL_NONE)
		return refuse(q, refusal);
	count = registrar_bound(&b, standing);
	if (answers(q) && !registrar_accept_fits(q, standing, count))
		return refuse(q, REGISTRAR_REFUSAL_TOO_LONG);
	if (b.changed)
		refusal = store(q, digest, standing, count);
	if (refusal != REGISTRAR_REFUSAL_NONE)
		return refuse(q, refusal);
	return accept(q, standing, count, b.result);
}

static int32_t save(struct registrar_request *q, struct hash128 digest)
{
	enum registrar_refusal refusal;
	struct location_set set;

	if (!read_set(q, digest, &set))
		return refuse(q, REGISTRAR_REFUSAL_STORE);
	q->set = &set;
	refusal = registrar_request_read(q);
	if (refusal != REGISTRAR_REFUSAL_NONE)
		return refuse(q, refusal);
	if (q->count != 0 || q->star)
		return update(q, digest);
	if (answers(q) && !registrar_accept_fits(q, set.contact, set.count))
		return refuse(q, REGISTRAR_REFUSAL_TOO_LONG);
	return accept(q, set.contact, set.count, SAVE_FETCHED);
}

REGISTRAR_RUN(registrar_run_save)
{
	struct registrar *r = args->room;
	struct registrar_aor aor;
	struct registrar_request q;
	enum registrar_refusal refusal;
	struct hash128 digest;

	if (!is_registration(ctx))
		return SAVE_REFUSED;
	/* Field by field: most of it is room that need not be cleared. */
	q.r = r;
	q.s = registrar_settings(r);
	q.u = registrar_usrloc(r);
	q.call = args->data;
	q.ctx = ctx;
	q.aor = &aor;
	q.now = registrar_now(ctx);
	refusal = find_aor(r, ctx, text_of(args, 2), &aor);
	if (refusal != REGISTRAR_REFUSAL_NONE)
		return refuse(&q, refusal);
	digest = location_digest(r->config.location, q.call->table, registrar_aor_str(&aor));
	if (!is_here(r, ctx, digest))
		return elsewhere(ctx, SAVE_REFUSED);
	return save(&q, digest);
}

/* ---- unregister() ---- */

REGISTRAR_RUN(registrar_run_unregister)
{
	const struct registrar_call *call = args->data;
	struct registrar *r = args->room;
	struct registrar_aor aor;
	struct hash128 digest;

	if (registrar_aor_of_text(r, text_of(args, 1), &aor, NULL) != REGISTRAR_AOR_OK)
		return ROUTE_FALSE;
	digest = location_digest(r->config.location, call->table, registrar_aor_str(&aor));
	if (!is_here(r, ctx, digest))
		return elsewhere(ctx, -2);
	return location_replace(r->config.location, ctx->thread->shard, digest, call->table,
		       registrar_aor_str(&aor), NULL, 0) == 0
		       ? ROUTE_TRUE
		       : -2;
}
