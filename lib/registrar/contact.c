/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a REGISTER wants, before anything that is registered is looked at: Require, Expires, Path,
 * Contacts with their parameters (RFC 3261 10.3 steps 2, 6 and 7, RFC 3327, RFC 5626 6). All of it
 * is good, or nothing of it counts.
 */
#include "registrar/internal.h"

#define Q_ONE 1000
/* RFC 3261 20.19: delta-seconds end at 2**32-1; what is more is taken for that. */
#define DELTA_MAX UINT32_MAX
/* So many bindings are looked at for a Contact that comes again; beyond them it is judged anew. */
#define KNOWN_MAX 4

_Static_assert(SIP_METHOD_COUNT <= 32, "a bit for each method");

/* ---- small values ---- */

static bool is_number(struct str s)
{
	for (uint32_t i = 0; i < s.len; i++)
		if (!str_is_digit(s.s[i]))
			return false;
	return s.len != 0;
}

/* False where it is no number; one that is too large is as much as there is. */
static bool read_seconds(struct str s, uint32_t *out)
{
	if (!is_number(s))
		return false;
	if (str_to_u32(s, DELTA_MAX, out) != 0)
		*out = DELTA_MAX;
	return true;
}

/* qvalue: "0.5", "1", "1.000"; in thousandths. */
static bool read_q(struct str s, uint16_t *out)
{
	uint32_t q = 0, i = 2, scale = Q_ONE / 10;

	if (s.len == 0 || s.len > 5 || (s.s[0] != '0' && s.s[0] != '1') ||
		(s.len > 1 && s.s[1] != '.'))
		return false;
	q = s.s[0] == '1' ? Q_ONE : 0;
	for (; i < s.len; i++, scale /= 10) {
		if (!str_is_digit(s.s[i]))
			return false;
		q += (uint32_t)(s.s[i] - '0') * scale;
	}
	*out = (uint16_t)q;
	return q <= Q_ONE;
}

static bool is_quoted(struct str s)
{
	return s.len >= 2 && s.s[0] == '"' && s.s[s.len - 1] == '"';
}

static bool has_control(struct str s)
{
	for (uint32_t i = 0; i < s.len; i++)
		if ((unsigned char)s.s[i] < ' ' || s.s[i] == 0x7f)
			return true;
	return false;
}

/* sip:address:port, where a user agent is. Anything else (a name would have to be asked for) is
 * false and changes nothing. */
static bool read_received(struct str s, struct net_endpoint *out)
{
	struct net_addr addr;
	struct sip_uri uri;

	if (is_quoted(s))
		s = str_of(s.s + 1, s.len - 2);
	if (s.len == 0 || sip_uri_parse(s.s, (struct sip_span){0, s.len}, &uri) != 0 ||
		(uri.scheme != SIP_SCHEME_SIP && uri.scheme != SIP_SCHEME_SIPS) ||
		(uri.transport != SIP_TRANSPORT_NONE && uri.transport != SIP_TRANSPORT_UDP) ||
		net_addr_parse(sip_text(s.s, uri.host), &addr) != 0)
		return false;
	*out = (struct net_endpoint){
		.addr = addr, .port = uri.port != 0 ? uri.port : SIP_DEFAULT_PORT};
	return true;
}

/* The methods of a list: bit n for enum sip_method n. */
static uint32_t read_methods(struct str list)
{
	struct sip_span value;
	uint32_t at = 0, methods = 0;

	while (sip_list_next(list.s, (struct sip_span){0, list.len}, &at, &value))
		methods |= 1u << sip_method_of(sip_text(list.s, value));
	return methods;
}

static uint32_t allowed_methods(const struct route_ctx *ctx)
{
	uint32_t methods = 0;

	if (!sip_msg_has(&ctx->msg, SIP_HEADER_ALLOW))
		return UINT32_MAX;
	SIP_MSG_FOREACH (&ctx->msg, SIP_HEADER_ALLOW, h)
		methods |= read_methods(sip_text(ctx->buf, sip_header_value(h)));
	return methods;
}

/* ---- one Contact ---- */

enum param {
	PARAM_EXPIRES = 1 << 0,
	PARAM_Q = 1 << 1,
	PARAM_REG_ID = 1 << 2,
	PARAM_METHODS = 1 << 3,
	PARAM_RECEIVED = 1 << 4,
	PARAM_INSTANCE = 1 << 5
};

/* Texts of the parameters that a registrar knows; `seen` says which are there. */
struct params {
	unsigned seen;
	struct str expires, q, reg_id, methods, received, instance;
};

static struct str *param_of(struct params *p, struct str name, unsigned *bit)
{
	static const struct {
		struct str name;
		unsigned bit;
		size_t at;
	} known[] = {
		{{"expires", 7}, PARAM_EXPIRES, offsetof(struct params, expires)},
		{{"q", 1}, PARAM_Q, offsetof(struct params, q)},
		{{"reg-id", 6}, PARAM_REG_ID, offsetof(struct params, reg_id)},
		{{"methods", 7}, PARAM_METHODS, offsetof(struct params, methods)},
		{{"received", 8}, PARAM_RECEIVED, offsetof(struct params, received)},
		{{"+sip.instance", 13}, PARAM_INSTANCE, offsetof(struct params, instance)},
	};

	for (unsigned i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (name.len != known[i].name.len || !str_ieq(name, known[i].name))
			continue;
		*bit = known[i].bit;
		return (struct str *)(void *)((char *)p + known[i].at);
	}
	return NULL;
}

/* Where the parameter at `at` ends: at a ';' outside quotes. */
static uint32_t param_end(struct str s, uint32_t at)
{
	bool quoted = false;

	for (; at < s.len; at++) {
		if (s.s[at] == '"')
			quoted = !quoted;
		else if (quoted && s.s[at] == '\\')
			at++;
		else if (!quoted && s.s[at] == ';')
			return at;
	}
	return s.len;
}

/*
 * Steps through the parameters of an address, whose syntax has been checked: ";a=1 ; b". False
 * where one that counts stands twice, since which of them counts depended on the reader (RFC
 * 3261 7.3.1).
 */
static bool read_params(struct str s, struct params *p)
{
	p->seen = 0;
	for (uint32_t at = 0; at < s.len;) {
		uint32_t end = param_end(s, at + 1), equal;
		struct str *value, name;
		unsigned bit;

		for (equal = at + 1; equal < end && s.s[equal] != '=';)
			equal++;
		name = str_trim(str_of(s.s + at + 1, equal - at - 1));
		value = param_of(p, name, &bit);
		if (value != NULL) {
			if ((p->seen & bit) != 0)
				return false;
			p->seen |= bit;
			*value = equal < end ? str_trim(str_of(s.s + equal + 1, end - equal - 1))
					     : STR_NONE;
		}
		at = end;
	}
	return true;
}

/* What all Contacts of a request share. */
struct reading {
	struct registrar_request *q;
	bool has_expires, use_reg_id, first_hop;
	bool no_edge; /* the proxy next to the user agent lacks outbound, which that one wants */
	uint32_t expires; /* of the header */
	unsigned kept;    /* Contacts that do not ask to go */
	bool reg_id_kept; /* one of them has a reg-id */
	uint32_t methods; /* of Allow, where they count */
	struct str user_agent;
	int16_t listener;
	struct net_endpoint received; /* said by Path, the script or the flow */
	bool received_by_path;
};

/* Less by chance, by at most `percent`: what came at one time is not to come back at one time. */
static uint32_t vary(struct registrar_request *q, uint32_t seconds, int64_t percent)
{
	uint64_t span = (uint64_t)seconds * (uint64_t)percent / 100;

	if (span == 0 || (q->call->flags & REGISTRAR_SAVE_NO_VARIATION) != 0)
		return seconds;
	return seconds - (uint32_t)(route_random(q->ctx->thread) % (span + 1));
}

/* 10.3 step 7: how long a Contact lives; 0: it is to go. */
static enum registrar_refusal expiry_of(
	const struct reading *rd, const struct params *p, uint32_t *out)
{
	struct registrar_request *q = rd->q;
	const struct registrar_params *s = &q->s->p;
	int64_t most = registrar_choice(q->call->max_expires, s->max_expires);
	int64_t range = s->expires_range;
	uint32_t seconds = rd->expires;

	/* RFC 3261 20.10: a malformed value counts as the default. */
	if ((p->seen & PARAM_EXPIRES) != 0 ? !read_seconds(p->expires, &seconds)
					   : !rd->has_expires) {
		seconds = (uint32_t)s->default_expires;
		range = s->default_expires_range;
	}
	*out = 0;
	if (seconds == 0)
		return REGISTRAR_REFUSAL_NONE;
	if (seconds < q->min_expires && s->min_expires_mode != 0 && seconds < REGISTRAR_BRIEF_MAX)
		return REGISTRAR_REFUSAL_BRIEF;
	if (most == 0 || most > (int64_t)REGISTRAR_EXPIRES_MAX)
		most = REGISTRAR_EXPIRES_MAX;
	if (seconds > most)
		seconds = (uint32_t)most;
	seconds = vary(q, seconds, range);
	if (seconds < q->min_expires)
		seconds = q->min_expires;
	*out = q->now + seconds;
	return REGISTRAR_REFUSAL_NONE;
}

/* Instance and reg-id (RFC 5626). */
static enum registrar_refusal read_instance(
	struct reading *rd, const struct params *p, struct location_contact *c)
{
	if ((p->seen & PARAM_INSTANCE) == 0)
		return REGISTRAR_REFUSAL_NONE; /* a reg-id alone does not count */
	if (!is_quoted(p->instance) || p->instance.len > LOCATION_INSTANCE_MAX ||
		p->instance.len == 2 || has_control(p->instance))
		return REGISTRAR_REFUSAL_INSTANCE;
	c->instance = p->instance;
	if ((p->seen & PARAM_REG_ID) == 0)
		return REGISTRAR_REFUSAL_NONE;
	if (str_to_u32(p->reg_id, INT32_MAX, &c->reg_id) != 0 || c->reg_id == 0)
		return REGISTRAR_REFUSAL_REG_ID;
	if (!rd->use_reg_id)
		c->reg_id = 0;
	return REGISTRAR_REFUSAL_NONE;
}

/* A Contact that leads back to what it is a Contact of would send each request round and round. */
static bool leads_to_itself(
	const struct registrar_request *q, const char *buf, const struct sip_uri *uri)
{
	const struct route_hooks *hooks = route_script_hooks(q->ctx->script);
	struct str host = sip_text(buf, uri->has_maddr ? uri->maddr : uri->host);
	uint16_t port = uri->port;
	struct registrar_aor aor;

	if (registrar_aor_of(q->r, buf, uri, &aor) != REGISTRAR_AOR_OK ||
		!str_eq(registrar_aor_str(&aor), registrar_aor_str(q->aor)))
		return false;
	if (port == 0)
		port = uri->scheme == SIP_SCHEME_SIPS ? SIPS_DEFAULT_PORT : SIP_DEFAULT_PORT;
	return hooks != NULL && hooks->is_myself != NULL &&
	       hooks->is_myself(hooks->room, host, port, SIP_TRANSPORT_NONE);
}

/* Whether these very bytes are among the first that are registered: then they have been judged. */
static bool is_known(const struct location_set *set, struct str uri)
{
	for (unsigned i = 0; i < set->count && i < KNOWN_MAX; i++)
		if (str_eq(set->contact[i].uri, uri))
			return true;
	return false;
}

/* Whether a Contact's URI is one, and leads away from here. */
static enum registrar_refusal check_uri(const struct registrar_request *q, struct sip_span span)
{
	const char *buf = q->ctx->buf;
	struct sip_uri uri;

	if (span.len > q->s->p.contact_max_size)
		return REGISTRAR_REFUSAL_CONTACT_LENGTH;
	if (is_known(q->set, sip_text(buf, span)))
		return REGISTRAR_REFUSAL_NONE;
	if (sip_uri_parse(buf, span, &uri) != 0)
		return REGISTRAR_REFUSAL_CONTACT;
	return leads_to_itself(q, buf, &uri) ? REGISTRAR_REFUSAL_CONTACT_SELF
					     : REGISTRAR_REFUSAL_NONE;
}

static enum registrar_refusal read_contact(
	struct reading *rd, const struct sip_address *address, struct location_contact *c)
{
	struct registrar_request *q = rd->q;
	const char *buf = q->ctx->buf;
	enum registrar_refusal refusal = check_uri(q, address->uri);
	struct params p;

	if (refusal != REGISTRAR_REFUSAL_NONE)
		return refusal;
	if (!read_params(sip_text(buf, address->params), &p))
		return REGISTRAR_REFUSAL_CONTACT;
	*c = (struct location_contact){.uri = sip_text(buf, address->uri),
		.path = q->path,
		.user_agent = rd->user_agent,
		.call_id = q->call_id,
		.received = rd->received,
		.listener = rd->listener,
		.q = q->s->p.default_q < 0 ? LOCATION_Q_NONE : (uint16_t)q->s->p.default_q,
		.flags = q->ctx->branch_flags,
		.methods = rd->methods,
		.cseq = q->cseq,
		.modified = q->now};
	if ((p.seen & PARAM_Q) != 0 && !read_q(p.q, &c->q))
		return REGISTRAR_REFUSAL_Q;
	if ((p.seen & PARAM_METHODS) != 0 && is_quoted(p.methods))
		c->methods = read_methods(str_of(p.methods.s + 1, p.methods.len - 2));
	if ((p.seen & PARAM_RECEIVED) != 0 && !rd->received_by_path)
		(void)read_received(p.received, &c->received);
	if ((p.seen & PARAM_REG_ID) != 0 && rd->no_edge)
		return REGISTRAR_REFUSAL_FIRST_HOP;
	if (rd->received_by_path && q->u->nat_bflag >= 0)
		c->flags |= 1u << q->u->nat_bflag;
	refusal = expiry_of(rd, &p, &c->expires);
	if (refusal == REGISTRAR_REFUSAL_NONE)
		refusal = read_instance(rd, &p, c);
	if (refusal != REGISTRAR_REFUSAL_NONE)
		return refusal;
	/* RFC 5626 6: the flow is where the REGISTER came from. */
	if (c->reg_id != 0 && rd->first_hop && c->received.addr.family == 0)
		c->received = q->ctx->origin.src;
	q->outbound |= c->reg_id != 0 && q->supports_outbound;
	rd->reg_id_kept |= c->reg_id != 0 && c->expires != 0;
	rd->kept += c->expires != 0;
	return REGISTRAR_REFUSAL_NONE;
}

/* All Contact lines. */
static enum registrar_refusal read_contacts(struct reading *rd)
{
	struct registrar_request *q = rd->q;
	const struct route_ctx *ctx = q->ctx;

	SIP_MSG_FOREACH (&ctx->msg, SIP_HEADER_CONTACT, h) {
		struct sip_span rest = sip_header_value(h);
		uint32_t end = rest.off + rest.len;
		struct sip_address address;

		do {
			enum registrar_refusal refusal;

			if (sip_address_parse(ctx->buf, rest, &address) != 0)
				return REGISTRAR_REFUSAL_CONTACT;
			if (q->star || (address.star && q->count != 0))
				return REGISTRAR_REFUSAL_STAR_MORE;
			if (q->count == LOCATION_CONTACTS_MAX)
				return REGISTRAR_REFUSAL_TOO_MANY;
			q->star = address.star;
			if (!address.star) {
				refusal = read_contact(rd, &address, &q->contact[q->count++]);
				if (refusal != REGISTRAR_REFUSAL_NONE)
					return refusal;
			}
			rest = (struct sip_span){address.next, end - address.next};
		} while (address.next != 0);
	}
	if (q->star && (!rd->has_expires || rd->expires != 0))
		return REGISTRAR_REFUSAL_STAR_EXPIRES;
	if (rd->reg_id_kept && rd->kept > 1)
		return REGISTRAR_REFUSAL_REG_ID_MORE;
	return REGISTRAR_REFUSAL_NONE;
}

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
	struct reading *rd, const struct sip_uri *uri, const char *buf, bool *outbound)
{
	struct sip_span value;

	if (!uri->lr)
		return false;
	*outbound = sip_param_find(buf, uri->params, STR("ob"), NULL, NULL);
	if ((rd->q->s->p.path_use_received != 0 ||
		    (rd->q->call->flags & REGISTRAR_SAVE_RECEIVED) != 0) &&
		sip_param_find(buf, uri->params, STR("received"), &value, NULL))
		rd->received_by_path = read_received(sip_text(buf, value), &rd->received);
	return true;
}

/* Whether the Path can be used; `*outbound`: its first URI has "ob". */
static bool read_path(struct reading *rd, bool *outbound)
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

static enum registrar_refusal read_way(struct reading *rd)
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
static void received_of_avp(struct reading *rd)
{
	const struct route_ctx *ctx = rd->q->ctx;
	struct str name = registrar_text_str(&rd->q->s->received_avp);

	for (unsigned i = ctx->avps; name.len != 0 && i-- > 0;) {
		if (!str_eq(route_text_str(ctx, ctx->avp[i].name), name))
			continue;
		if (ctx->avp[i].value.type == ROUTE_STR)
			(void)read_received(
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
	struct reading rd = {.q = q};
	enum registrar_refusal refusal;

	q->path = STR_NONE;
	q->star = q->supports_path = q->supports_outbound = q->outbound = false;
	q->count = 0;
	q->min_expires = (uint32_t)registrar_choice(q->call->min_expires, q->s->p.min_expires);
	if (sip_msg_has(&ctx->msg, SIP_HEADER_REQUIRE) && !ctx->msg.is_response && !supports_all(q))
		return REGISTRAR_REFUSAL_EXTENSION;
	rd.has_expires = sip_msg_has(&ctx->msg, SIP_HEADER_EXPIRES);
	if (rd.has_expires &&
		!read_seconds(sip_text(ctx->buf, sip_msg_value(&ctx->msg, SIP_HEADER_EXPIRES)),
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
	rd.methods = q->s->p.method_filtering != 0 ? allowed_methods(ctx) : UINT32_MAX;
	rd.user_agent = user_agent_of(ctx);
	rd.listener = listener_of(q);
	return read_contacts(&rd);
}
