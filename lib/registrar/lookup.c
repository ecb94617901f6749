/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * lookup() and its kin: a request goes to what its user has registered (RFC 3261 16.5, RFC 3327
 * 5.3). Any thread; the table is read without a lock.
 */
#include "registrar/internal.h"

#define LOOKUP_NONE (-1)
#define LOOKUP_NOT_ALLOWED (-2)
#define LOOKUP_ERROR (-3)

/* ---- whose contacts ---- */

/* The text of an argument; empty where there is none. */
static struct str text_of(const struct route_args *args, unsigned n)
{
	return args->n > n && args->v[n].type == ROUTE_STR ? args->v[n].s : STR_NONE;
}

/* The address-of-record of a URI, or of the Request-URI as it stands where that is empty. */
static bool aor_of(const struct registrar *r, struct route_ctx *ctx, struct str given,
	struct registrar_aor *out)
{
	const struct sip_uri *uri;

	if (given.len == 0 && ctx->uri.space == ROUTE_SPACE_NONE) {
		uri = sip_msg_uri(&ctx->msg, ctx->buf);
		return uri != NULL && registrar_aor_of(r, ctx->buf, uri, out) == REGISTRAR_AOR_OK;
	}
	if (given.len == 0)
		given = route_ctx_uri(ctx);
	return registrar_aor_of_text(r, given, out, NULL) == REGISTRAR_AOR_OK;
}

/* What the burst has found out already (registrar_bring()), or `own`; NULL: there is no
 * address-of-record. */
static const struct registrar_brought *asked_for(const struct registrar *r, struct route_ctx *ctx,
	uint8_t table, struct str given, struct registrar_brought *own)
{
	if (ctx->brought != NULL && table == 0 && given.len == 0 &&
		ctx->uri.space == ROUTE_SPACE_NONE && ctx->msg.method != SIP_METHOD_REGISTER)
		return ctx->brought;
	if (!aor_of(r, ctx, given, &own->aor))
		return NULL;
	own->digest = location_digest(r->config.location, table, registrar_aor_str(&own->aor));
	return own;
}

/* Whether an answer of the database is given back when it has been read: a block of a branch runs
 * again from its start, and would ask anew. */
static bool gives_back(const struct route_ctx *ctx)
{
	return ctx->in != ROUTE_IN_BRANCH;
}

/* With db_mode 3. ROUTE_TRUE, ROUTE_PENDING, or the database does not say. */
static __attribute__((noinline)) int32_t fetch_contacts(struct registrar *r, struct route_ctx *ctx,
	uint8_t table, const struct registrar_brought *b, bool keep, struct location_set *set)
{
	enum registrar_fetched fetched = registrar_fetch(
		r, ctx, b->digest, table, registrar_aor_str(&b->aor), registrar_now(ctx), set);

	if (fetched == REGISTRAR_FETCHING)
		return ROUTE_PENDING;
	if (!keep && gives_back(ctx))
		route_asked_forget(ctx);
	registrar_count(r, ctx, REGISTRAR_COUNTER_LOOKUPS);
	return fetched == REGISTRAR_FETCHED ? ROUTE_TRUE : LOOKUP_ERROR;
}

/* ROUTE_TRUE, ROUTE_PENDING, or LOOKUP_ERROR where there is no address-of-record, or its contacts
 * cannot be read. `keep`: more is asked for, and all of it again. */
static int32_t read_contacts(struct registrar *r, struct route_ctx *ctx, uint8_t table,
	struct str given, bool keep, struct location_set *set, struct hash128 *digest)
{
	struct registrar_brought own;
	const struct registrar_brought *b = asked_for(r, ctx, table, given, &own);
	int n = -EAGAIN;

	if (b == NULL)
		return LOOKUP_ERROR;
	*digest = b->digest;
	if (registrar_only(registrar_usrloc(r)))
		return fetch_contacts(r, ctx, table, b, keep, set);
	registrar_count(r, ctx, REGISTRAR_COUNTER_LOOKUPS);
	for (unsigned i = 0; n == -EAGAIN && i < REGISTRAR_READ_TRIES; i++)
		n = location_read(r->config.location, b->digest, table, registrar_aor_str(&b->aor),
			registrar_now(ctx), set);
	return n >= 0 ? ROUTE_TRUE : LOOKUP_ERROR;
}

/* ---- one contact as a branch ---- */

/* Only URIs of SIP can be routed by; a list of contacts may hold others too. */
static bool is_sip(struct str uri)
{
	uint32_t four = uri.len > 4 ? load4(uri.s) | 0x20202020 : 0;

	return four == load4("sip:") || (four == load4("sips") && uri.s[4] == ':');
}

static bool allows(
	const struct registrar_settings *s, struct route_ctx *ctx, const struct location_contact *c)
{
	bool follows = ctx->msg.method == SIP_METHOD_CANCEL || ctx->msg.method == SIP_METHOD_ACK;
	const struct sip_address *to;

	/* A CANCEL or ACK goes where its INVITE was let to. */
	if (s->p.method_filtering == 0 ||
		(c->methods >> (follows ? SIP_METHOD_INVITE : ctx->msg.method) & 1) != 0)
		return true;
	/* What is within a dialog goes to who is in it. An ACK that is looked up is that of a
	 * failure, which has a tag where its INVITE had none. */
	to = sip_msg_to(&ctx->msg, ctx->buf);
	return to != NULL && to->tag.len != 0 && ctx->msg.method != SIP_METHOD_ACK;
}

/* Bytes that fill() makes. */
static uint32_t text_needed(const struct location_contact *c)
{
	return c->uri.len + c->path.len + c->instance.len + NET_ENDPOINT_TEXT_MAX + 8;
}

/* RFC 3261 19.1.1: a Request-URI has no headers. */
static struct str without_headers(struct str uri)
{
	int64_t headers = str_find(uri, '?');

	return headers >= 0 ? str_of(uri.s, (size_t)headers) : uri;
}

/* The URI of a Path's first value, which save() wrote as "<uri>". */
static struct route_text first_of_path(const struct route_ctx *ctx, struct route_text path)
{
	struct str text = route_text_str(ctx, path);
	int64_t end = str_find(text, '>');

	return (struct route_text){
		path.off + 1, end > 1 ? (uint32_t)end - 1 : 0, ROUTE_SPACE_ARENA};
}

static struct route_text received_text(struct route_ctx *ctx, const struct net_endpoint *ep)
{
	char text[4 + NET_ENDPOINT_TEXT_MAX] = "sip:";

	return route_text_make(ctx, str_of(text, 4 + net_endpoint_format(ep, text + 4)));
}

/* The listener that took its REGISTER, if that is still there. */
static int16_t listener_of(const struct registrar *r, const struct location_contact *c)
{
	return c->listener >= 0 &&
			       (r->config.proxy == NULL || proxy_listener_at(r->config.proxy,
								   (unsigned)c->listener) != NULL)
		       ? c->listener
		       : -1;
}

/*
 * Makes a branch of a contact, and its target, which is the branch's or the Request-URI's. To copy
 * that as a whole would wait for all that has been stored until then, which is hundreds of cycles.
 * False, and nothing done, where the context has no room for its text.
 */
static bool fill(struct registrar *r, struct route_ctx *ctx, const struct location_contact *c,
	struct route_branch *out, struct route_target *target)
{
	if (text_needed(c) > ROUTE_TEXT_MAX - ctx->text_len)
		return false;
	/* A branch with what lies between its parts, for who compares it by its bytes. */
	if (target == &out->du_target)
		memset(out, 0, sizeof(*out));
	*target = (struct route_target){.listener = -1, .destination = -1};
	out->du = out->path = out->instance = ROUTE_TEXT_NONE;
	out->q = c->q == LOCATION_Q_NONE ? ROUTE_Q_NONE : c->q;
	out->flags = c->flags;
	out->reg_id = c->reg_id;
	out->socket = listener_of(r, c);
	out->uri = route_text_make(ctx, without_headers(c->uri));
	if (c->instance.len != 0)
		out->instance = route_text_make(ctx, c->instance);
	/* Where there is a Path, its last hop knows where the user agent is. */
	if (c->path.len != 0) {
		out->path = route_text_make(ctx, c->path);
		out->du = first_of_path(ctx, out->path);
	} else if (c->received.addr.family != 0) {
		out->du = received_text(ctx, &c->received);
		target->ep = c->received;
		target->transport = SIP_TRANSPORT_UDP;
		target->valid = true;
	}
	return true;
}

static bool fill_branch(struct registrar *r, struct route_ctx *ctx,
	const struct location_contact *c, unsigned branch)
{
	return fill(r, ctx, c, &ctx->branch[branch], &ctx->branch[branch].du_target);
}

/* Makes it the Request-URI's own. */
static bool use(struct registrar *r, struct route_ctx *ctx, const struct location_contact *c)
{
	struct route_branch b;

	if (!fill(r, ctx, c, &b, &ctx->du_target))
		return false;
	ctx->uri = b.uri;
	ctx->du = b.du;
	ctx->path = b.path;
	ctx->instance = b.instance;
	ctx->reg_id = b.reg_id;
	ctx->q = b.q;
	ctx->branch_flags |= b.flags;
	if (b.socket >= 0)
		ctx->socket = b.socket;
	route_uri_changed(ctx);
	return true;
}

/* ---- all of them ---- */

/* Where the first contact goes. */
enum { PLACE_URI = -1, PLACE_NONE = -2 };

static bool add_branch(struct registrar *r, struct route_ctx *ctx, const struct location_contact *c)
{
	if (ctx->branches < ROUTE_BRANCHES_MAX && fill_branch(r, ctx, c, ctx->branches)) {
		ctx->branches++;
		return true;
	}
	registrar_count(r, ctx, REGISTRAR_COUNTER_LOOKUP_LEFT);
	return false;
}

/* The first contact to `place` (or a branch's number), the others behind the branches. `lead`: of
 * all that the set has, the one that is first, whatever it allows now; -1: the one that comes
 * first. */
static int32_t distribute(struct registrar *r, struct route_ctx *ctx,
	const struct location_set *set, int place, int lead)
{
	const struct registrar_settings *s = registrar_settings(r);
	int32_t result = LOOKUP_NONE;

	for (int i = lead >= 0 ? -1 : 0; i < (int)set->count; i++) {
		const struct location_contact *c = &set->contact[i >= 0 ? i : lead];

		if (i >= 0 && (i == lead || !is_sip(c->uri)))
			continue;
		if (i >= 0 && !allows(s, ctx, c)) {
			if (result == LOOKUP_NONE)
				result = LOOKUP_NOT_ALLOWED;
			continue;
		}
		if (result == ROUTE_TRUE || place == PLACE_NONE) {
			/* One that finds no room leaves it to shorter ones. */
			if (!add_branch(r, ctx, c) && result != ROUTE_TRUE)
				return LOOKUP_ERROR;
			result = ROUTE_TRUE;
			continue;
		}
		if (!(place == PLACE_URI ? use(r, ctx, c)
					 : fill_branch(r, ctx, c, (unsigned)place)))
			return LOOKUP_ERROR;
		result = ROUTE_TRUE;
		if (s->p.append_branches == 0)
			break;
	}
	return result;
}

/* ---- where who comes first changes ---- */

/* Whether what is looked up may be forwarded without state: later blocks of a transaction want who
 * is registered now, and a fork is remembered by its transaction. */
static inline bool may_be_stateless(
	const struct registrar *r, const struct route_ctx *ctx, int place)
{
	return place == PLACE_URI && ctx->in == ROUTE_IN_REQUEST && r->config.proxy != NULL &&
	       ctx->thread->index < RCU_READERS_MAX;
}

static int first_usable(
	const struct registrar *r, struct route_ctx *ctx, const struct location_set *set)
{
	const struct registrar_settings *s = registrar_settings(r);

	for (unsigned i = 0; i < set->count; i++) {
		if (is_sip(set->contact[i].uri) && allows(s, ctx, &set->contact[i]))
			return (int)i;
	}
	return -1;
}

__attribute__((noinline)) static int32_t distribute_changing(
	struct registrar *r, struct route_ctx *ctx, struct hash128 digest, struct location_set *set)
{
	int lead = registrar_follow(r, ctx, digest, set, first_usable(r, ctx, set));

	return distribute(r, ctx, set, PLACE_URI, lead);
}

static int32_t lookup(struct registrar *r, struct route_ctx *ctx, uint8_t table, struct str given,
	int place, bool keep)
{
	struct location_set set;
	struct hash128 digest;
	int32_t result = read_contacts(r, ctx, table, given, keep, &set, &digest);

	if (result != ROUTE_TRUE)
		return result;
	if (set.changing && may_be_stateless(r, ctx, place)) {
		result = distribute_changing(r, ctx, digest, &set);
	} else {
		if (ctx->msg.method == SIP_METHOD_INVITE && set.count != 0 &&
			may_be_stateless(r, ctx, place))
			registrar_note(r, ctx, digest);
		result = distribute(r, ctx, &set, place, -1);
	}
	if (set.count != 0 || result > 0)
		registrar_count(r, ctx, REGISTRAR_COUNTER_LOOKUP_HITS);
	return result;
}

static uint8_t table_of(const struct route_args *args)
{
	return ((const struct registrar_call *)args->data)->table;
}

REGISTRAR_RUN(registrar_run_lookup)
{
	return lookup(args->room, ctx, table_of(args), text_of(args, 1), PLACE_URI, false);
}

REGISTRAR_RUN(registrar_run_lookup_to_dset)
{
	return lookup(args->room, ctx, table_of(args), text_of(args, 1), PLACE_NONE, false);
}

/* A branch that nothing but its URI is known of. */
static bool is_plain(const struct route_branch *b)
{
	return b->du.space == ROUTE_SPACE_NONE && b->path.space == ROUTE_SPACE_NONE &&
	       !b->du_target.valid && b->socket < 0 && b->flags == 0;
}

/* With db_mode 3: all that is looked up is asked for before anything is changed, as this is called
 * again from its start. False: it waits. */
static bool have_fetched(struct registrar *r, struct route_ctx *ctx, uint8_t table)
{
	const struct registrar_brought *b;
	struct registrar_brought own;
	struct location_set set;

	for (int i = -1; i < ctx->branches; i++) {
		if (i >= 0 && !is_plain(&ctx->branch[i]))
			continue;
		b = asked_for(r, ctx, table,
			i >= 0 ? route_text_str(ctx, ctx->branch[i].uri) : STR_NONE, &own);
		if (b != NULL && !registrar_has_fetched(ctx, b->digest) &&
			registrar_fetch(r, ctx, b->digest, table, registrar_aor_str(&b->aor),
				registrar_now(ctx), &set) == REGISTRAR_FETCHING)
			return false;
	}
	return true;
}

REGISTRAR_RUN(registrar_run_lookup_branches)
{
	unsigned branches = ctx->branches;
	bool only = registrar_only(registrar_usrloc(args->room)), found;
	int32_t result;

	if (only && !have_fetched(args->room, ctx, table_of(args)))
		return ROUTE_PENDING;
	result = lookup(args->room, ctx, table_of(args), STR_NONE, PLACE_URI, true);
	found = result > 0;

	for (unsigned i = 0; i < branches; i++) {
		if (!is_plain(&ctx->branch[i]))
			continue;
		result = lookup(args->room, ctx, table_of(args),
			route_text_str(ctx, ctx->branch[i].uri), (int)i, true);
		found |= result > 0;
	}
	if (only)
		route_asked_forget(ctx);
	return found ? ROUTE_TRUE : result;
}

/* Whether a call is under way to one that has been removed, or has ended. */
static bool was_registered(struct registrar *r, struct route_ctx *ctx, uint8_t table,
	struct str aor, struct hash128 digest)
{
	struct location_set set;

	if (ctx->msg.is_response ||
		(ctx->msg.method != SIP_METHOD_CANCEL && ctx->msg.method != SIP_METHOD_ACK))
		return false;
	return location_read(r->config.location, digest, table, aor, registrar_now(ctx), &set) >=
		       0 &&
	       set.former != 0;
}

/* With db_mode 3. */
static int32_t has_rows(struct registrar *r, struct route_ctx *ctx, uint8_t table,
	const struct registrar_brought *b)
{
	struct location_set set;
	int32_t result = fetch_contacts(r, ctx, table, b, false, &set);

	if (result != ROUTE_TRUE)
		return result;
	if (set.count == 0)
		return ROUTE_FALSE;
	registrar_count(r, ctx, REGISTRAR_COUNTER_LOOKUP_HITS);
	return ROUTE_TRUE;
}

/* A CANCEL or ACK follows an INVITE that found somebody. */
static int32_t registered(
	struct registrar *r, struct route_ctx *ctx, uint8_t table, struct str given)
{
	struct registrar_brought own;
	const struct registrar_brought *b = asked_for(r, ctx, table, given, &own);

	if (b == NULL)
		return ROUTE_FALSE;
	if (registrar_only(registrar_usrloc(r)))
		return has_rows(r, ctx, table, b);
	registrar_count(r, ctx, REGISTRAR_COUNTER_LOOKUPS);
	if (!location_has(r->config.location, b->digest, table, registrar_aor_str(&b->aor),
		    registrar_now(ctx)) &&
		!was_registered(r, ctx, table, registrar_aor_str(&b->aor), b->digest))
		return ROUTE_FALSE;
	registrar_count(r, ctx, REGISTRAR_COUNTER_LOOKUP_HITS);
	return ROUTE_TRUE;
}

/* The URI of a From or To; empty where there is none. */
static struct str uri_of(const struct route_ctx *ctx, const struct sip_address *address)
{
	return address != NULL ? sip_text(ctx->buf, address->uri) : STR_NONE;
}

/* A response is asked for by its To. */
REGISTRAR_RUN(registrar_run_registered)
{
	struct str given = text_of(args, 1);

	if (given.len == 0 && ctx->msg.is_response) {
		given = uri_of(ctx, sip_msg_to(&ctx->msg, ctx->buf));
		if (given.len == 0)
			return ROUTE_FALSE;
	}
	return registered(args->room, ctx, table_of(args), given);
}

/* OpenSIPS' asks whether who sends is registered. */
REGISTRAR_RUN(registrar_run_is_registered)
{
	struct str given = text_of(args, 1);

	if (given.len == 0 && !ctx->msg.is_response)
		given = uri_of(ctx, ctx->msg.method == SIP_METHOD_REGISTER
					    ? sip_msg_to(&ctx->msg, ctx->buf)
					    : sip_msg_from(&ctx->msg, ctx->buf));
	return given.len != 0 ? registered(args->room, ctx, table_of(args), given) : ROUTE_FALSE;
}
