/* SPDX-License-Identifier: BSD-3-Clause */
/* save(), unregister(): what writes to the location table, on the slow lcore that owns the shard.
 */
#include "registrar/internal.h"

#define SAVE_REFUSED (-1)
#define SAVE_TOO_MANY (-2)

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
static bool read_set(const struct registrar_request *q, struct location_set *set)
{
	int n = location_read(q->r->config.location, q->digest, q->call->table,
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

/* The address-of-record of To, or of the URI that the script gives: what the burst has found out
 * already (registrar_bring()), or `own`. */
static enum registrar_refusal find_aor(
	struct registrar_request *q, struct str given, struct registrar_brought *own)
{
	const struct registrar_brought *b = q->ctx->brought;
	enum registrar_refusal refusal = REGISTRAR_REFUSAL_NONE;
	const struct sip_address *to;

	if (b == NULL || given.len != 0 || q->call->table != 0) {
		to = sip_msg_to(&q->ctx->msg, q->ctx->buf);
		if (given.len == 0 && to == NULL)
			return REGISTRAR_REFUSAL_AOR;
		refusal = refusal_of(registrar_aor_of_text(q->r,
			given.len != 0 ? given : sip_text(q->ctx->buf, to->uri), &own->aor,
			&own->host));
		if (refusal == REGISTRAR_REFUSAL_NONE)
			own->digest = location_digest(q->r->config.location, q->call->table,
				registrar_aor_str(&own->aor));
		b = own;
	}
	if (refusal == REGISTRAR_REFUSAL_NONE && given.len == 0 && !is_of_domain(q->ctx, b->host))
		refusal = REGISTRAR_REFUSAL_DOMAIN;
	q->aor = &b->aor;
	q->digest = b->digest;
	return refusal;
}

/* ---- save() ---- */

static bool answers(const struct registrar_request *q)
{
	return !q->ctx->msg.is_response && (q->call->flags & REGISTRAR_SAVE_NO_REPLY) == 0;
}

bool registrar_save_fits(
	const struct registrar_request *q, const struct location_contact *contact, unsigned count)
{
	return !answers(q) || registrar_accept_fits(q, contact, count);
}

int32_t registrar_save_refuse(struct registrar_request *q, enum registrar_refusal refusal)
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
	case REGISTRAR_REFUSAL_DATABASE:
	case REGISTRAR_REFUSAL_NOT_TAKEN:
		registrar_count(q->r, q->ctx, REGISTRAR_COUNTER_NOT_KEPT);
		break;
	case REGISTRAR_REFUSAL_BUSY:
		registrar_count(q->r, q->ctx, REGISTRAR_COUNTER_BUSY);
		break;
	default:
		break;
	}
	if (answers(q))
		registrar_refuse(q, refusal);
	return refusal == REGISTRAR_REFUSAL_TOO_MANY ? SAVE_TOO_MANY : SAVE_REFUSED;
}

int32_t registrar_save_accept(struct registrar_request *q, const struct location_contact *contact,
	unsigned count, int32_t result)
{
	registrar_count(q->r, q->ctx, REGISTRAR_COUNTER_ACCEPTED);
	if (answers(q))
		registrar_accept(q, contact, count);
	return result;
}

/* Where there is no room, what has ended and what was before makes some: the sweep alone would
 * leave a table that short lives have filled shut for as long as its round takes. */
static enum registrar_refusal store(
	struct registrar_request *q, const struct location_contact *contact, unsigned count)
{
	struct location *l = q->r->config.location;
	unsigned shard = q->ctx->thread->shard;
	struct str aor = registrar_aor_str(q->aor);
	int err =
		location_replace(l, shard, q->digest, q->call->table, aor, q->now, contact, count);

	if (err == -ENOSPC) {
		location_sweep(l, shard, q->now, REGISTRAR_ROOM_PLACES);
		err = location_replace(
			l, shard, q->digest, q->call->table, aor, q->now, contact, count);
	}
	if (err == -E2BIG)
		return REGISTRAR_REFUSAL_TOO_LONG;
	return err != 0 ? REGISTRAR_REFUSAL_FULL : REGISTRAR_REFUSAL_NONE;
}

/* ---- what a database keeps ---- */

static bool is_kept(const struct registrar_request *q)
{
	return registrar_persists(q->u) && (q->call->flags & REGISTRAR_SAVE_MEMORY) == 0;
}

/* Whether it is answered when it is committed. Nobody can wait over a response. */
static bool waits(const struct registrar_request *q)
{
	return q->u->db_mode == REGISTRAR_DB_WRITE_THROUGH && !q->ctx->msg.is_response;
}

/*
 * What waits is done in memory when it is committed: who is told that it is not registered is not,
 * here or there. Until then others may change the same address-of-record. All that waits comes
 * back in the order in which it is committed, so that what each of them does to memory is what its
 * rows did to the table, unless it turns out otherwise now, or rows were sent by a lane meanwhile:
 * then the table is told what stands in memory.
 */

/* Second and count of what was sent, of before. */
static uint64_t note_of(const struct registrar_request *q)
{
	return (uint64_t)registrar_persist_sent(q->r, q->ctx->thread->shard, q->digest) << 32 |
	       q->now;
}

static void repair(const struct registrar_request *q, bool always)
{
	struct location_set set;

	if (read_set(q, &set))
		registrar_persist_repair(q->r, q->ctx->thread->shard, q->call->table,
			registrar_aor_str(q->aor), q->digest, &set, always);
}

/* Done in memory; nobody waits for its rows. */
static void send(struct registrar_request *q, struct str calls)
{
	if (!registrar_persist_send(q->r, q->ctx->thread->shard, q->digest, calls))
		registrar_count(q->r, q->ctx, REGISTRAR_COUNTER_BEHIND);
}

static int32_t wait_for(struct registrar_request *q, struct str calls)
{
	q->ctx->wait_note = note_of(q);
	return route_wait_change(q->ctx, calls) == ROUTE_PENDING
		       ? ROUTE_PENDING
		       : registrar_save_refuse(q, REGISTRAR_REFUSAL_TOO_LONG);
}

enum registrar_refusal registrar_save_prepare(struct registrar_request *q,
	struct registrar_bindings *b, struct location_contact *standing, unsigned *count,
	struct registrar_change *change)
{
	enum registrar_refusal refusal = registrar_bind(b, q);

	if (refusal != REGISTRAR_REFUSAL_NONE)
		return refusal;
	*count = registrar_bound(b, standing);
	if (!registrar_save_fits(q, standing, *count))
		return REGISTRAR_REFUSAL_TOO_LONG;
	change->len = 0;
	if (registrar_only(q->u))
		change->len = registrar_only_pack(q, b, change->calls, sizeof(change->calls));
	else if (is_kept(q))
		change->len = registrar_persist_pack(q, b, change->calls, sizeof(change->calls));
	return change->len < 0 ? REGISTRAR_REFUSAL_TOO_LONG : REGISTRAR_REFUSAL_NONE;
}

/* It is committed: now memory. Whether the table has what memory has then. */
static enum registrar_refusal apply(
	struct registrar_request *q, struct str committed, int32_t *result, bool *same)
{
	struct location_contact standing[LOCATION_CONTACTS_MAX];
	struct registrar_bindings b;
	struct registrar_change change;
	unsigned count;
	enum registrar_refusal refusal = registrar_save_prepare(q, &b, standing, &count, &change);

	*same = false;
	if (refusal == REGISTRAR_REFUSAL_NONE && b.changed)
		refusal = store(q, standing, count);
	if (refusal != REGISTRAR_REFUSAL_NONE)
		return refusal;
	*result = b.result;
	/* A copy, behind the first: what it wrote is what that one did, a little later. */
	*same = !b.changed || str_eq(str_of(change.calls, (size_t)change.len), committed);
	return REGISTRAR_REFUSAL_NONE;
}

/* 10.3 step 8: what is registered by now is the answer. */
static int32_t answer_now(struct registrar_request *q, int32_t result)
{
	struct location_set set;

	if (!read_set(q, &set))
		return registrar_save_refuse(q, REGISTRAR_REFUSAL_STORE);
	if (!registrar_save_fits(q, set.contact, set.count))
		return registrar_save_refuse(q, REGISTRAR_REFUSAL_TOO_LONG);
	return registrar_save_accept(q, set.contact, set.count, result);
}

/* It has waited for `calls`. */
static int32_t kept(struct registrar_request *q, enum route_answer answer, struct str calls)
{
	bool overtaken = note_of(q) >> 32 != q->ctx->wait_note >> 32, same;
	enum registrar_refusal refusal;
	int32_t result = 0;

	/* Where nobody knows, it may have been made. */
	if (answer == ROUTE_ANSWER_FAILED)
		repair(q, false);
	if (answer != ROUTE_ANSWER_DONE)
		return registrar_save_refuse(q, answer == ROUTE_ANSWER_REFUSED
							? REGISTRAR_REFUSAL_NOT_TAKEN
							: REGISTRAR_REFUSAL_DATABASE);
	refusal = apply(q, calls, &result, &same);
	q->now = registrar_now(q->ctx);
	if (overtaken || !same)
		repair(q, true);
	return refusal != REGISTRAR_REFUSAL_NONE ? registrar_save_refuse(q, refusal)
						 : answer_now(q, result);
}

/* With what is wanted and what is registered at hand: all of it or nothing. */
static int32_t update(struct registrar_request *q)
{
	struct location_contact standing[LOCATION_CONTACTS_MAX];
	struct registrar_bindings b;
	struct registrar_change change;
	struct str calls;
	unsigned count;
	enum registrar_refusal refusal = registrar_save_prepare(q, &b, standing, &count, &change);

	if (refusal != REGISTRAR_REFUSAL_NONE)
		return registrar_save_refuse(q, refusal);
	calls = str_of(change.calls, (size_t)change.len);
	if (calls.len != 0 && waits(q))
		return wait_for(q, calls);
	if (b.changed)
		refusal = store(q, standing, count);
	if (refusal != REGISTRAR_REFUSAL_NONE)
		return registrar_save_refuse(q, refusal);
	if (calls.len != 0)
		send(q, calls);
	return registrar_save_accept(q, standing, count, b.result);
}

static int32_t save(struct registrar_request *q)
{
	/* They stay where they are until something is written behind them. */
	struct str calls = route_text_str(q->ctx, q->ctx->wait);
	enum route_answer answer = route_answer_any(q->ctx, ROUTE_WAIT_CHANGE);
	enum registrar_refusal refusal;
	struct location_set set;

	/* What has waited is what it was. */
	if (answer != ROUTE_ANSWER_NONE)
		q->now = (uint32_t)q->ctx->wait_note;
	if (!read_set(q, &set))
		return registrar_save_refuse(q, REGISTRAR_REFUSAL_STORE);
	q->set = &set;
	refusal = registrar_request_read(q);
	if (refusal != REGISTRAR_REFUSAL_NONE)
		return registrar_save_refuse(q, refusal);
	if (answer != ROUTE_ANSWER_NONE)
		return kept(q, answer, calls);
	if (q->count != 0 || q->star)
		return update(q);
	if (!registrar_save_fits(q, set.contact, set.count))
		return registrar_save_refuse(q, REGISTRAR_REFUSAL_TOO_LONG);
	return registrar_save_accept(q, set.contact, set.count, REGISTRAR_SAVE_FETCHED);
}

REGISTRAR_RUN(registrar_run_save)
{
	struct registrar *r = args->room;
	struct registrar_brought own;
	struct registrar_request q;
	enum registrar_refusal refusal;

	if (!is_registration(ctx))
		return SAVE_REFUSED;
	/* Field by field: most of it is room that need not be cleared. */
	q.r = r;
	q.s = registrar_settings(r);
	q.u = registrar_usrloc(r);
	q.call = args->data;
	q.ctx = ctx;
	q.now = registrar_now(ctx);
	q.spare = 0;
	refusal = find_aor(&q, text_of(args, 2), &own);
	if (refusal != REGISTRAR_REFUSAL_NONE)
		return registrar_save_refuse(&q, refusal);
	if (!is_here(r, ctx, q.digest))
		return elsewhere(ctx, SAVE_REFUSED);
	return registrar_only(q.u) ? registrar_only_save(&q) : save(&q);
}

/* ---- unregister() ---- */

static bool remove_all(struct registrar *r, struct route_ctx *ctx, uint8_t table, struct str aor,
	struct hash128 digest)
{
	return location_replace(r->config.location, ctx->thread->shard, digest, table, aor,
		       registrar_now(ctx), NULL, 0) == 0;
}

/* Rows are what memory has. */
static void repair_all(struct registrar *r, struct route_ctx *ctx, uint8_t table, struct str aor,
	struct hash128 digest, bool always)
{
	struct location_set set;

	if (location_read(r->config.location, digest, table, aor, registrar_now(ctx), &set) >= 0)
		registrar_persist_repair(r, ctx->thread->shard, table, aor, digest, &set, always);
}

/* All of a user has gone from the database, or not: as with save(). */
static int32_t forgotten(struct registrar *r, struct route_ctx *ctx, uint8_t table, struct str aor,
	struct hash128 digest, enum route_answer answer)
{
	bool overtaken = registrar_persist_sent(r, ctx->thread->shard, digest) != ctx->wait_note,
	     gone = answer == ROUTE_ANSWER_DONE && remove_all(r, ctx, table, aor, digest);

	if (answer == ROUTE_ANSWER_FAILED || (answer == ROUTE_ANSWER_DONE && (overtaken || !gone)))
		repair_all(r, ctx, table, aor, digest, answer == ROUTE_ANSWER_DONE);
	return gone ? ROUTE_TRUE : -2;
}

/* All of a user goes: from memory, and from the database, for which db_mode 1 waits. */
static int32_t forget(struct registrar *r, struct route_ctx *ctx, uint8_t table, struct str aor,
	struct hash128 digest)
{
	const struct registrar_usrloc *u = registrar_usrloc(r);
	struct registrar_change change = {.len = 0};
	struct str calls;

	if (registrar_persists(u))
		change.len = registrar_persist_pack_none(
			r, table, aor, STR(""), change.calls, sizeof(change.calls));
	if (change.len < 0)
		return -2;
	calls = str_of(change.calls, (size_t)change.len);
	if (calls.len != 0 && u->db_mode == REGISTRAR_DB_WRITE_THROUGH &&
		(ctx->in & (ROUTE_IN_REPLY | ROUTE_IN_BRANCH)) == 0) {
		ctx->wait_note = registrar_persist_sent(r, ctx->thread->shard, digest);
		return route_wait_change(ctx, calls);
	}
	if (!remove_all(r, ctx, table, aor, digest))
		return -2;
	if (calls.len != 0 && !registrar_persist_send(r, ctx->thread->shard, digest, calls))
		registrar_count(r, ctx, REGISTRAR_COUNTER_BEHIND);
	return ROUTE_TRUE;
}

REGISTRAR_RUN(registrar_run_unregister)
{
	const struct registrar_call *call = args->data;
	struct registrar *r = args->room;
	enum route_answer answer;
	struct registrar_aor aor;
	struct hash128 digest;

	if (registrar_aor_of_text(r, text_of(args, 1), &aor, NULL) != REGISTRAR_AOR_OK)
		return ROUTE_FALSE;
	digest = location_digest(r->config.location, call->table, registrar_aor_str(&aor));
	if (!is_here(r, ctx, digest))
		return elsewhere(ctx, -2);
	if (registrar_only(registrar_usrloc(r)))
		return registrar_only_unregister(
			r, ctx, call->table, registrar_aor_str(&aor), digest);
	answer = route_answer_any(ctx, ROUTE_WAIT_CHANGE);
	if (answer != ROUTE_ANSWER_NONE)
		return forgotten(r, ctx, call->table, registrar_aor_str(&aor), digest, answer);
	return forget(r, ctx, call->table, registrar_aor_str(&aor), digest);
}
