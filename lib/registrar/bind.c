/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The bindings of an address-of-record and what a request makes of them (RFC 3261 10.3 steps 6 and
 * 7). Nothing is written here: what stands at the end takes the place of what stood, or nothing
 * does.
 *
 * A Contact finds its binding by the bytes of its URI, of which there is a hash, and only where
 * that fails by RFC 3261 19.1.4, among those with which it shares what equal URIs have in common.
 * So a list of contacts costs what its bytes cost; what is made to look alike is counted and
 * refused.
 */
#include "registrar/internal.h"

#define NOT_FOUND (-1)
#define TOO_LIKE (-2)

/* ---- equality ---- */

/* Two that agree here cost a comparison. False where there have been too many. */
static bool compare_once(struct registrar_bindings *b)
{
	return b->comparisons++ < REGISTRAR_COMPARISONS_MAX;
}

static uint64_t instance_hash(const struct location_contact *c)
{
	char lower[LOCATION_INSTANCE_MAX];

	if (c->instance.len > sizeof(lower))
		return 0;
	str_lower(lower, c->instance);
	return registrar_mix(c->reg_id, str_of(lower, c->instance.len)) | 1;
}

static bool parse(const struct location_contact *c, struct sip_uri *uri)
{
	return sip_uri_parse(c->uri.s, (struct sip_span){0, c->uri.len}, uri) == 0;
}

/* The same for URIs that are equal by 19.1.4: scheme, user without escapes, host without case,
 * port. What can be written in more ways than that is left out. */
static uint64_t key_of(const struct location_contact *c)
{
	char text[LOCATION_URI_MAX];
	struct sip_uri uri;
	struct str user, host;
	uint64_t key;
	uint32_t len;

	if (!parse(c, &uri) || c->uri.len > sizeof(text))
		return 0;
	key = registrar_mix((uint64_t)uri.scheme << 32 | uri.port, STR_NONE);
	if (uri.scheme != SIP_SCHEME_SIP && uri.scheme != SIP_SCHEME_SIPS)
		return key;
	user = sip_text(c->uri.s, uri.user);
	host = sip_text(c->uri.s, uri.host);
	if (registrar_unescape(user, text, &len))
		key = registrar_mix(key, str_of(text, len));
	if (uri.host_is_ip6)
		return key;
	str_lower(text, host);
	return registrar_mix(key, str_of(text, host.len));
}

static bool uri_equal(const struct location_contact *a, const struct location_contact *b)
{
	struct sip_uri x, y;

	return parse(a, &x) && parse(b, &y) && sip_uri_equal(a->uri.s, &x, b->uri.s, &y);
}

/* Whether a binding may be the one of a Contact, its URI apart. */
static bool may_match(const struct registrar_request *q, const struct location_contact *c,
	const struct location_contact *bound)
{
	/* Two instances may have one URI: the address that a private network gave each. So may two
	 * flows of one instance; what has no reg-id is none. */
	if (c->instance.len != 0 && bound->instance.len != 0 &&
		((c->reg_id != 0 && bound->reg_id != 0) || !str_ieq(c->instance, bound->instance)))
		return false;
	switch (q->u->matching_mode) {
	case REGISTRAR_MATCH_CONTACT_CALL_ID:
		return str_eq(c->call_id, bound->call_id);
	case REGISTRAR_MATCH_CONTACT_PATH:
		return c->path.len == 0 || str_eq(c->path, bound->path);
	default:
		return true;
	}
}

static int find_instance(struct registrar_bindings *b, const struct location_contact *c)
{
	uint64_t hash = instance_hash(c);

	for (unsigned i = 0; i < b->count; i++) {
		const struct location_contact *bound = b->at[i];

		if (bound == NULL || b->instance[i] != hash || bound->reg_id != c->reg_id)
			continue;
		if (str_ieq(bound->instance, c->instance))
			return (int)i;
		if (!compare_once(b))
			return TOO_LIKE;
	}
	return NOT_FOUND;
}

/* Of few bindings it costs less to look at each than to hash them. */
#define FEW 4

static int find_bytes(struct registrar_bindings *b, const struct registrar_request *q,
	const struct location_contact *c)
{
	uint64_t hash;

	if (b->count <= FEW) {
		for (unsigned i = 0; i < b->count; i++)
			if (b->at[i] != NULL && str_eq(b->at[i]->uri, c->uri) &&
				may_match(q, c, b->at[i]))
				return (int)i;
		return NOT_FOUND;
	}
	for (; b->hashed < b->count; b->hashed++)
		b->bytes[b->hashed] =
			b->at[b->hashed] != NULL ? registrar_mix(0, b->at[b->hashed]->uri) : 0;
	hash = registrar_mix(0, c->uri);
	for (unsigned i = 0; i < b->count; i++) {
		if (b->at[i] == NULL || b->bytes[i] != hash || !may_match(q, c, b->at[i]))
			continue;
		if (str_eq(b->at[i]->uri, c->uri))
			return (int)i;
		if (!compare_once(b))
			return TOO_LIKE;
	}
	return NOT_FOUND;
}

static int find_equal(struct registrar_bindings *b, const struct registrar_request *q,
	const struct location_contact *c)
{
	uint64_t key;

	if (b->count == 0)
		return NOT_FOUND;
	for (; b->keyed < b->count; b->keyed++)
		b->key[b->keyed] = b->at[b->keyed] != NULL ? key_of(b->at[b->keyed]) : 0;
	key = key_of(c);
	for (unsigned i = 0; i < b->count; i++) {
		if (b->at[i] == NULL || b->key[i] != key || !may_match(q, c, b->at[i]))
			continue;
		if (!compare_once(b))
			return TOO_LIKE;
		if (uri_equal(b->at[i], c))
			return (int)i;
	}
	return NOT_FOUND;
}

/* matching_mode 3: the Call-ID alone, among what was there before. */
static int find_call_id(const struct registrar_bindings *b, const struct location_contact *c)
{
	for (unsigned i = 0; i < b->count; i++)
		if (b->at[i] != NULL && !b->fresh[i] && str_eq(b->at[i]->call_id, c->call_id))
			return (int)i;
	return NOT_FOUND;
}

static int find(struct registrar_bindings *b, const struct registrar_request *q,
	const struct location_contact *c)
{
	int found = NOT_FOUND;

	if (c->instance.len != 0)
		found = find_instance(b, c);
	if (found != NOT_FOUND)
		return found;
	if (q->u->matching_mode == REGISTRAR_MATCH_CALL_ID)
		return find_call_id(b, c);
	found = find_bytes(b, q, c);
	return found != NOT_FOUND ? found : find_equal(b, q, c);
}

/* ---- changes ---- */

static void put(
	struct registrar_bindings *b, unsigned at, const struct location_contact *c, bool fresh)
{
	b->at[at] = c;
	b->fresh[at] = fresh;
	b->instance[at] = c->instance.len != 0 ? instance_hash(c) : 0;
	/* Where they have not been made, they are when they are asked for. */
	if (at < b->hashed)
		b->bytes[at] = registrar_mix(0, c->uri);
	if (at < b->keyed)
		b->key[at] = key_of(c);
}

static void remove_at(struct registrar_bindings *b, unsigned at)
{
	b->at[at] = NULL;
	b->changed = true;
	b->result = 3;
}

enum order { ORDER_NEWER, ORDER_AGAIN, ORDER_OLDER };

/* The request against the binding: those of one user agent count up. */
static enum order order_of(const struct registrar_request *q, const struct location_contact *bound)
{
	if (!str_eq(bound->call_id, q->call_id) || q->cseq > bound->cseq)
		return ORDER_NEWER;
	/* A retransmission: nobody else answered the first one. */
	if (q->cseq == bound->cseq && bound->modified + (uint32_t)q->u->cseq_delay > q->now)
		return ORDER_AGAIN;
	return ORDER_OLDER;
}

static enum registrar_refusal remove_all(
	struct registrar_bindings *b, const struct registrar_request *q)
{
	b->result = 3;
	for (unsigned i = 0; i < b->count; i++) {
		if (str_eq(b->at[i]->call_id, q->call_id) && q->cseq <= b->at[i]->cseq)
			return REGISTRAR_REFUSAL_CSEQ;
		remove_at(b, i);
	}
	return REGISTRAR_REFUSAL_NONE;
}

/* One Contact of the request. */
static enum registrar_refusal take(struct registrar_bindings *b, const struct registrar_request *q,
	const struct location_contact *c)
{
	int found = find(b, q, c);

	if (found == TOO_LIKE)
		return REGISTRAR_REFUSAL_TOO_LIKE;
	if (found == NOT_FOUND) {
		if (c->expires == 0)
			return REGISTRAR_REFUSAL_NONE;
		if (b->count == REGISTRAR_BOUND_MAX)
			return REGISTRAR_REFUSAL_TOO_MANY;
		put(b, b->count++, c, true);
		b->changed = true;
		b->result = 1;
		return REGISTRAR_REFUSAL_NONE;
	}
	if (!b->fresh[found]) {
		switch (order_of(q, b->at[found])) {
		case ORDER_OLDER:
			return REGISTRAR_REFUSAL_CSEQ;
		case ORDER_AGAIN:
			return REGISTRAR_REFUSAL_NONE;
		case ORDER_NEWER:
			break;
		}
	}
	if (c->expires == 0) {
		remove_at(b, (unsigned)found);
		return REGISTRAR_REFUSAL_NONE;
	}
	put(b, (unsigned)found, c, true);
	b->changed = true;
	b->result = 2;
	return REGISTRAR_REFUSAL_NONE;
}

/* Flag 0x04: the first Contact that is to stay is the only one that does. */
static void keep_only(struct registrar_bindings *b, const struct location_contact *c)
{
	for (unsigned i = 0; i < b->count; i++) {
		if (b->at[i] != NULL && b->at[i] != c) {
			b->at[i] = NULL;
			b->changed = true;
		}
	}
}

/* How many there may be. */
static unsigned limit_of(const struct registrar_request *q)
{
	int64_t limit = registrar_choice(q->call->max_contacts, q->s->p.max_contacts);

	return limit > 0 && limit < LOCATION_CONTACTS_MAX ? (unsigned)limit : LOCATION_CONTACTS_MAX;
}

static unsigned standing(const struct registrar_bindings *b)
{
	unsigned n = 0;

	for (unsigned i = 0; i < b->count; i++)
		n += b->at[i] != NULL;
	return n;
}

/* Letter f: the one that was there and has been changed least lately makes room. */
static bool drop_oldest(struct registrar_bindings *b)
{
	int oldest = -1;

	for (unsigned i = 0; i < b->count; i++) {
		if (b->at[i] != NULL && !b->fresh[i] &&
			(oldest < 0 || b->at[i]->modified < b->at[oldest]->modified))
			oldest = (int)i;
	}
	if (oldest >= 0)
		b->at[oldest] = NULL;
	return oldest >= 0;
}

static enum registrar_refusal keep_limit(
	struct registrar_bindings *b, const struct registrar_request *q, unsigned before)
{
	unsigned limit = limit_of(q), now = standing(b);

	/* A limit that was lowered takes nothing away: what is there may be refreshed. */
	if (now <= limit || (now <= before && now <= LOCATION_CONTACTS_MAX))
		return REGISTRAR_REFUSAL_NONE;
	if ((q->call->flags & REGISTRAR_SAVE_FORCE) == 0)
		return REGISTRAR_REFUSAL_TOO_MANY;
	for (; now > limit; now--)
		if (!drop_oldest(b))
			return REGISTRAR_REFUSAL_TOO_MANY;
	return REGISTRAR_REFUSAL_NONE;
}

enum registrar_refusal registrar_bind(
	struct registrar_bindings *b, const struct registrar_request *q)
{
	const struct location_set *set = q->set;
	bool replace = (q->call->flags & REGISTRAR_SAVE_REPLACE) != 0;

	b->count = set->count;
	b->comparisons = b->hashed = b->keyed = 0;
	b->changed = false;
	b->result = 1;
	for (unsigned i = 0; i < set->count; i++)
		put(b, i, &set->contact[i], false);
	if (q->star)
		return remove_all(b, q);
	for (unsigned i = 0; i < q->count; i++) {
		enum registrar_refusal refusal = take(b, q, &q->contact[i]);

		if (refusal != REGISTRAR_REFUSAL_NONE)
			return refusal;
		if (replace && q->contact[i].expires != 0) {
			/* Where it is a retransmission, what it did the first time stands. */
			if (b->changed)
				keep_only(b, &q->contact[i]);
			break;
		}
	}
	return keep_limit(b, q, set->count);
}

/* ---- what stands then ---- */

/* As location_read() has them: what has no q comes last. */
static unsigned rank(const struct location_contact *c)
{
	return c->q == LOCATION_Q_NONE ? 0 : 1u + c->q;
}

unsigned registrar_bound(
	const struct registrar_bindings *b, struct location_contact out[LOCATION_CONTACTS_MAX])
{
	uint8_t order[REGISTRAR_BOUND_MAX];
	unsigned n = 0;

	/* They stand in order but for what the request brought: each goes up past what has a lower
	 * q. */
	for (unsigned i = 0; i < b->count; i++) {
		unsigned at = n;

		if (b->at[i] == NULL)
			continue;
		for (; at > 0 && rank(b->at[order[at - 1]]) < rank(b->at[i]); at--)
			order[at] = order[at - 1];
		order[at] = (uint8_t)i;
		n++;
	}
	for (unsigned i = 0; i < n && i < LOCATION_CONTACTS_MAX; i++)
		out[i] = *b->at[order[i]];
	return n;
}
