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

/* Reads them; negative: the value of lookup(). */
static int32_t read_contacts(struct registrar *r, struct route_ctx *ctx, uint8_t table,
	struct str given, struct location_set *set)
{
	struct location *l = r->config.location;
	struct registrar_aor aor;
	struct hash128 digest;
	int n = -EAGAIN;

	if (!aor_of(r, ctx, given, &aor))
		return LOOKUP_ERROR;
	registrar_count(r, ctx, REGISTRAR_COUNTER_LOOKUPS);
	digest = location_digest(l, table, registrar_aor_str(&aor));
	for (unsigned i = 0; n == -EAGAIN && i < REGISTRAR_READ_TRIES; i++)
		n = location_read(
			l, digest, table, registrar_aor_str(&aor), registrar_now(ctx), set);
	if (n < 0)
		return LOOKUP_ERROR;
	if (n == 0)
		return LOOKUP_NONE;
	registrar_count(r, ctx, REGISTRAR_COUNTER_LOOKUP_HITS);
	return ROUTE_TRUE;
}

/* ---- one contact as a branch ---- */

/* Only URIs of SIP can be routed by; a list of contacts may hold others too. */
static bool is_sip(struct str uri)
{
	uint32_t four = uri.len > 5 ? load4(uri.s) | 0x20202020 : 0;

	return four == load4("sip:") || (four == load4("sips") && uri.s[4] == ':');
}

static bool allows(
	const struct registrar_settings *s, struct route_ctx *ctx, const struct location_contact *c)
{
	const struct sip_address *to;

	if (s->p.method_filtering == 0 || (c->methods >> ctx->msg.method & 1) != 0)
		return true;
	/* What is within a dialog goes to who is in it. */
	to = sip_msg_to(&ctx->msg, ctx->buf);
	return to != NULL && to->tag.len != 0;
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

/* Makes a branch of a contact. False where the context has no room for its text. */
static bool fill(struct registrar *r, struct route_ctx *ctx, const struct location_contact *c,
	struct route_branch *out)
{
	if (text_needed(c) > ROUTE_TEXT_MAX - ctx->text_len)
		return false;
	*out = (struct route_branch){.du_target = {.listener = -1, .destination = -1},
		.q = c->q == LOCATION_Q_NONE ? ROUTE_Q_NONE : c->q,
		.flags = c->flags,
		.reg_id = c->reg_id};
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
		out->du_target.ep = c->received;
		out->du_target.transport = SIP_TRANSPORT_UDP;
		out->du_target.valid = true;
	}
	return true;
}

/* Makes it the Request-URI's own. */
static void use(struct route_ctx *ctx, const struct route_branch *b)
{
	ctx->uri = b->uri;
	ctx->du = b->du;
	ctx->du_target = b->du_target;
	ctx->path = b->path;
	ctx->instance = b->instance;
	ctx->reg_id = b->reg_id;
	ctx->q = b->q;
	ctx->branch_flags |= b->flags;
	if (b->socket >= 0)
		ctx->socket = b->socket;
	route_uri_changed(ctx);
}

/* ---- all of them ---- */

/* Where the first contact goes. */
enum { PLACE_URI = -1, PLACE_NONE = -2 };

static bool add_branch(struct registrar *r, struct route_ctx *ctx, const struct location_contact *c)
{
	if (ctx->branches < ROUTE_BRANCHES_MAX && fill(r, ctx, c, &ctx->branch[ctx->branches])) {
		ctx->branches++;
		return true;
	}
	registrar_count(r, ctx, REGISTRAR_COUNTER_LOOKUP_LEFT);
	return false;
}

/* The first contact to `place` (or a branch's number), the others behind the branches. */
static int32_t distribute(
	struct registrar *r, struct route_ctx *ctx, const struct location_set *set, int place)
{
	const struct registrar_settings *s = registrar_settings(r);
	int32_t result = LOOKUP_NONE;
	struct route_branch first;

	for (unsigned i = 0; i < set->count; i++) {
		const struct location_contact *c = &set->contact[i];

		if (!is_sip(c->uri))
			continue;
		if (!allows(s, ctx, c)) {
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
		if (!fill(r, ctx, c, &first))
			return LOOKUP_ERROR;
		if (place == PLACE_URI)
			use(ctx, &first);
		else
			ctx->branch[place] = first;
		result = ROUTE_TRUE;
		if (s->p.append_branches == 0)
			break;
	}
	return result;
}

static int32_t lookup(
	struct registrar *r, struct route_ctx *ctx, uint8_t table, struct str given, int place)
{
	struct location_set set;
	int32_t result = read_contacts(r, ctx, table, given, &set);

	return result > 0 ? distribute(r, ctx, &set, place) : result;
}

static uint8_t table_of(const struct route_args *args)
{
	return ((const struct registrar_call *)args->data)->table;
}

REGISTRAR_RUN(registrar_run_lookup)
{
	return lookup(args->room, ctx, table_of(args), text_of(args, 1), PLACE_URI);
}

REGISTRAR_RUN(registrar_run_lookup_to_dset)
{
	return lookup(args->room, ctx, table_of(args), text_of(args, 1), PLACE_NONE);
}

/* A branch that nothing but its URI is known of. */
static bool is_plain(const struct route_branch *b)
{
	return b->du.space == ROUTE_SPACE_NONE && b->path.space == ROUTE_SPACE_NONE &&
	       !b->du_target.valid && b->socket < 0 && b->flags == 0;
}

REGISTRAR_RUN(registrar_run_lookup_branches)
{
	unsigned branches = ctx->branches;
	int32_t result = lookup(args->room, ctx, table_of(args), STR_NONE, PLACE_URI);
	bool found = result > 0;

	for (unsigned i = 0; i < branches; i++) {
		if (!is_plain(&ctx->branch[i]))
			continue;
		result = lookup(args->room, ctx, table_of(args),
			route_text_str(ctx, ctx->branch[i].uri), (int)i);
		found |= result > 0;
	}
	return found ? ROUTE_TRUE : result;
}

/* A response is asked for by its To. */
REGISTRAR_RUN(registrar_run_registered)
{
	struct registrar *r = args->room;
	struct str given = text_of(args, 1);
	uint8_t table = table_of(args);
	struct registrar_aor aor;

	if (given.len == 0 && ctx->msg.is_response) {
		const struct sip_address *to = sip_msg_to(&ctx->msg, ctx->buf);

		if (to == NULL)
			return ROUTE_FALSE;
		given = sip_text(ctx->buf, to->uri);
	}
	if (!aor_of(r, ctx, given, &aor))
		return ROUTE_FALSE;
	registrar_count(r, ctx, REGISTRAR_COUNTER_LOOKUPS);
	if (!location_has(r->config.location,
		    location_digest(r->config.location, table, registrar_aor_str(&aor)), table,
		    registrar_aor_str(&aor), registrar_now(ctx)))
		return ROUTE_FALSE;
	registrar_count(r, ctx, REGISTRAR_COUNTER_LOOKUP_HITS);
	return ROUTE_TRUE;
}
