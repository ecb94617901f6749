/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The Contacts of a REGISTER: their URIs, their parameters, how long they live (RFC 3261 10.3 steps
 * 6 and 7, 20.10, RFC 5626 6).
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

bool registrar_seconds_read(struct str s, uint32_t *out)
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

bool registrar_received_read(struct str s, struct net_endpoint *out)
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

uint32_t registrar_allowed_methods(const struct route_ctx *ctx)
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

/* Less by chance, by at most `percent`: what came at one time is not to come back at one time. The
 * same for a REGISTER that has waited for its rows. */
static uint32_t vary(struct registrar_request *q, uint32_t seconds, int64_t percent)
{
	uint64_t span = (uint64_t)seconds * (uint64_t)percent / 100;

	if (span == 0 || (q->call->flags & REGISTRAR_SAVE_NO_VARIATION) != 0)
		return seconds;
	return seconds - (uint32_t)((registrar_mix(q->cseq, q->call_id) >> 16) % (span + 1));
}

/* 10.3 step 7: how long a Contact lives; 0: it is to go. */
static enum registrar_refusal expiry_of(
	const struct registrar_reading *rd, const struct params *p, uint32_t *out)
{
	struct registrar_request *q = rd->q;
	const struct registrar_params *s = &q->s->p;
	int64_t most = registrar_choice(q->call->max_expires, s->max_expires);
	int64_t range = s->expires_range;
	uint32_t seconds = rd->expires;

	/* RFC 3261 20.10: a malformed value counts as the default. */
	if ((p->seen & PARAM_EXPIRES) != 0 ? !registrar_seconds_read(p->expires, &seconds)
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
	struct registrar_reading *rd, const struct params *p, struct location_contact *c)
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
	struct registrar_reading *rd, const struct sip_address *address, struct location_contact *c)
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
	/* Where they do not count, nobody is passed over. */
	if ((p.seen & PARAM_METHODS) != 0 && is_quoted(p.methods) &&
		rd->q->s->p.method_filtering != 0)
		c->methods = read_methods(str_of(p.methods.s + 1, p.methods.len - 2));
	if ((p.seen & PARAM_RECEIVED) != 0 && !rd->received_by_path)
		(void)registrar_received_read(p.received, &c->received);
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

enum registrar_refusal registrar_contacts_read(struct registrar_reading *rd)
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
