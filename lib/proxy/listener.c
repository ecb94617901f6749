/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Listeners, aliases and settings as one immutable snapshot, and the questions that workers ask it:
 * is this us, which listener is that, which one does a message leave from.
 */
#include "proxy/internal.h"

#include <immintrin.h>

/* The listener id is no secret, only the same everywhere: a key of our own choice. */
static const struct hash_key id_key = {{0x73697020706c616eULL, 0x6c697374656e6572ULL}};

#define ID_MASK (~(uint64_t)0 << (64 - 5 * TOKEN_LISTENER_LEN))

uint64_t proxy_listener_id(const struct net_endpoint *ep, uint8_t transport)
{
	struct hash h;

	hash_init(&h, &id_key);
	hash_bytes(&h, ep->addr.b, sizeof(ep->addr.b));
	hash_u32(&h, ep->addr.family);
	hash_u32(&h, ep->port);
	hash_u32(&h, transport);
	return hash_final(&h) & ID_MASK;
}

uint32_t proxy_endpoint_slot(const struct net_endpoint *ep)
{
	uint64_t v = (ep->addr.q[0] ^ ep->addr.q[1] * 3 ^ (uint64_t)ep->port << 40) *
		     0x9e3779b97f4a7c15ULL;

	return (uint32_t)(v >> 54) & (BUCKETS - 1);
}

uint32_t proxy_name_slot(const char host[HOST_ROOM], uint32_t len)
{
	uint64_t v = len, word;

	for (uint32_t i = 0; i < len; i += 8) {
		memcpy(&word, host + i, 8);
		v = (v ^ word) * 0x9e3779b97f4a7c15ULL;
		v ^= v >> 32;
	}
	return (uint32_t)v & (BUCKETS - 1);
}

/* An IPv6 address in its shortest form. */
static uint32_t address_canonical(struct str host, char out[HOST_ROOM])
{
	struct net_addr addr;
	uint32_t len = net_addr_parse(host, &addr) == 0 ? net_addr_format(&addr, out) : 0;

	memset(out + len, 0, 8);
	return len;
}

/* Of 8 to 16 characters, as most hosts have; false where it may be an IPv6 address. */
static inline bool short_canonical(const char *host, uint32_t len, char out[HOST_ROOM])
{
	uint64_t first8, last8;
	__m128i v, upper;

	memcpy(&first8, host, 8);
	memcpy(&last8, host + len - 8, 8);
	/* In two steps: a shift by all 64 bits is none. */
	last8 = last8 >> 4 * (16 - len) >> 4 * (16 - len);
	v = _mm_set_epi64x((int64_t)last8, (int64_t)first8);
	if (_mm_movemask_epi8(_mm_cmpeq_epi8(v, _mm_set1_epi8(':'))) != 0)
		return false;
	/* A to Z become the largest 26 of the signed values. */
	upper = _mm_cmpgt_epi8(
		_mm_add_epi8(v, _mm_set1_epi8(INT8_MAX - 'Z')), _mm_set1_epi8(INT8_MAX - 26));
	v = _mm_or_si128(v, _mm_and_si128(upper, _mm_set1_epi8('a' - 'A')));
	_mm_storeu_si128((__m128i *)out, v);
	memset(out + 16, 0, 8);
	return out[0] != '[';
}

uint32_t proxy_host_canonical(struct str host, char out[HOST_ROOM])
{
	const uint64_t each = 0x0101010101010101ULL;
	uint64_t word, colons = 0;
	uint32_t len = host.len;

	if (len != 0 && host.s[len - 1] == '.')
		len--;
	if (len == 0 || len >= HOST_MAX)
		return 0;
	if (len >= 8 && len <= 16 && short_canonical(host.s, len, out))
		return len;
	memset(out + len, 0, 8);
	str_copy(out, (struct str){host.s, len});
	for (uint32_t i = 0; i < len; i += 8) {
		memcpy(&word, out + i, 8);
		/* A colon leaves a zero behind; what else may be found beside it does not matter.
		 */
		colons |= ((word ^ ':' * each) - each) & ~(word ^ ':' * each) & 0x80 * each;
		word = str_lower8(word);
		memcpy(out + i, &word, 8);
	}
	if (out[0] == '[' || colons != 0)
		return address_canonical(host, out);
	return len;
}

static const struct name *name_next(const struct sockets *s, int16_t *at, struct str host)
{
	while (*at >= 0) {
		const struct name *n = &s->name[*at];
		uint64_t a, b, differ = n->host_len ^ host.len;

		*at = n->next;
		for (uint32_t i = 0; i < host.len && differ == 0; i += 8) {
			memcpy(&a, n->host + i, 8);
			memcpy(&b, host.s + i, 8);
			differ = a ^ b;
		}
		if (differ == 0)
			return n;
	}
	return NULL;
}

static inline __attribute__((always_inline)) bool is_named(
	const struct sockets *s, struct str host, uint16_t port, enum sip_transport transport)
{
	char canonical[HOST_ROOM];
	struct str key = {canonical, proxy_host_canonical(host, canonical)};
	const struct name *n;
	int16_t at;

	if (key.len == 0)
		return false;
	at = s->by_name[proxy_name_slot(key.s, key.len)];
	while ((n = name_next(s, &at, key)) != NULL) {
		if ((port == 0 || n->port == 0 || n->port == port) &&
			(transport == SIP_TRANSPORT_NONE || n->transport == SIP_TRANSPORT_NONE ||
				n->transport == transport))
			return true;
	}
	return false;
}

bool proxy_sockets_is_myself(
	const struct sockets *s, struct str host, uint16_t port, enum sip_transport transport)
{
	return is_named(s, host, port, transport);
}

bool proxy_sockets_is_ours(
	const struct sockets *s, struct str host, uint16_t port, enum sip_transport transport)
{
	return is_named(s, host, port, transport) || proxy_is_domain(s, host);
}

int proxy_sockets_named(const struct sockets *s, struct str host, uint16_t port)
{
	char canonical[HOST_ROOM];
	struct str key = {canonical, proxy_host_canonical(host, canonical)};
	const struct name *n;
	int16_t at;

	if (key.len == 0)
		return -1;
	at = s->by_name[proxy_name_slot(key.s, key.len)];
	while ((n = name_next(s, &at, key)) != NULL) {
		if (n->socket >= 0 && n->port == port)
			return n->socket;
	}
	return -1;
}

int proxy_sockets_at_endpoint(
	const struct sockets *s, const struct net_endpoint *ep, enum sip_transport transport)
{
	for (uint32_t slot = proxy_endpoint_slot(ep);; slot = (slot + 1) & (BUCKETS - 1)) {
		int16_t i = s->by_endpoint[slot];

		if (i < 0)
			return -1;
		if (s->socket[i].listener.transport == transport &&
			net_endpoint_equal(&s->socket[i].listener.ep, ep))
			return i;
	}
}

int proxy_sockets_by_id(const struct sockets *s, uint64_t id)
{
	for (uint32_t slot = proxy_id_slot(id);; slot = (slot + 1) & (BUCKETS - 1)) {
		int16_t i = s->by_id[slot];

		if (i < 0 || s->socket[i].id == id)
			return i;
	}
}

int proxy_sockets_find(const struct sockets *s, struct str text)
{
	enum sip_transport transport = SIP_TRANSPORT_UDP;
	uint32_t port = SIP_DEFAULT_PORT;
	struct net_endpoint ep = {0};
	int64_t colon;

	for (unsigned i = 0; i < s->count; i++) {
		if (text.len != 0 && str_eq(text, str_c(s->socket[i].listener.name)))
			return (int)i;
	}
	colon = str_find(text, ':');
	if (colon > 0 && str_is_alpha(text.s[0])) {
		enum sip_transport said = sip_transport_of((struct str){text.s, (uint32_t)colon});

		if (said != SIP_TRANSPORT_NONE && said != SIP_TRANSPORT_OTHER) {
			transport = said;
			text.s += colon + 1;
			text.len -= (uint32_t)colon + 1;
		}
	}
	/* The port is what follows the last colon, unless that colon belongs to an IPv6 address. */
	for (uint32_t i = text.len; i-- > 0 && text.s[i] != ']';) {
		if (text.s[i] != ':')
			continue;
		if (memchr(text.s, ':', i) != NULL && text.s[0] != '[')
			break;
		if (str_to_u32((struct str){text.s + i + 1, text.len - i - 1}, 65535, &port) != 0)
			return -1;
		text.len = i;
		break;
	}
	ep.port = (uint16_t)port;
	if (net_addr_parse(text, &ep.addr) != 0)
		return proxy_sockets_named(s, text, ep.port);
	return proxy_sockets_at_endpoint(s, &ep, transport);
}

static int same_port(
	const struct sockets *s, const struct socket *received, const struct net_addr *to)
{
	for (unsigned i = 0; i < s->count; i++) {
		const struct proxy_listener *l = &s->socket[i].listener;

		if (l->ep.addr.family == to->family && l->transport == SIP_TRANSPORT_UDP &&
			(received == NULL || l->ep.port == received->listener.ep.port))
			return (int)i;
	}
	return received != NULL ? same_port(s, NULL, to) : -1;
}

static int by_route(const struct sockets *s, const struct socket *received,
	const struct net_addr *source, uint16_t port)
{
	int best = -1, best_score = -1;

	if (port < PORTS_WITH_ONLY && s->only[port][source->family == 6] >= 0)
		return s->only[port][source->family == 6];
	if (received != NULL && !s->mhomed && received->listener.port == port &&
		received->listener.ep.addr.family == source->family)
		return (int)(received - s->socket);
	for (unsigned i = 0; i < s->count; i++) {
		const struct proxy_listener *l = &s->socket[i].listener;
		int score = 0;

		if (l->port != port || l->ep.addr.family != source->family ||
			l->transport != SIP_TRANSPORT_UDP)
			continue;
		if (net_addr_equal(&l->ep.addr, source))
			score += 4;
		if (received != NULL && l->ep.port == received->listener.ep.port)
			score += 2;
		if (received == &s->socket[i])
			score += 1;
		if (score > best_score) {
			best = (int)i;
			best_score = score;
		}
	}
	return best;
}

int proxy_sockets_choose_by_route(
	const struct sockets *s, unsigned received, const struct net_addr *to)
{
	const struct socket *from = received < s->count ? &s->socket[received] : NULL;
	struct net_addr source;
	uint16_t port;

	if (from != NULL && from->listener.transport != SIP_TRANSPORT_UDP)
		from = NULL;
	for (unsigned i = 0; (s->addresses & proxy_address_bit(to)) != 0 && i < s->count; i++) {
		/* A spiral: from the listener it came by where that is of the family, else from the
		 * one it goes to. */
		if (net_addr_equal(&s->socket[i].listener.ep.addr, to) &&
			s->socket[i].listener.transport == SIP_TRANSPORT_UDP)
			return from != NULL && from->listener.ep.addr.family == to->family
				       ? (int)received
				       : (int)i;
	}
	if (s->route != NULL)
		return s->route(s->route_arg, to, &source, &port) ? by_route(s, from, &source, port)
								  : -1;
	if (from != NULL && from->listener.ep.addr.family == to->family)
		return (int)received;
	return same_port(s, from, to);
}

bool proxy_sockets_may_send_ip6(const struct socket *from, const struct net_endpoint *ep)
{
	static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
	const struct net_addr *addr = &ep->addr;

	if (ep->port == 0 || addr->family != 6)
		return false;
	if (net_addr_is_multicast(addr) || net_addr_is_unspecified(addr))
		return false;
	if (memcmp(addr->b, mapped, sizeof(mapped)) == 0)
		return false;
	return !net_addr_is_loopback(addr) || from->loopback;
}

bool proxy_sockets_trusts(const struct sockets *s, const struct route_ctx *ctx)
{
	if (!s->require_token)
		return true;
	return s->token_trusted_group != 0 && s->is_trusted != NULL &&
	       s->is_trusted(s->is_trusted_arg, s->token_trusted_group, &ctx->origin.src.addr,
		       ctx->origin.src.port);
}

/* ---- for the rooms around ---- */

int proxy_listener_find(
	const struct proxy *p, const struct net_endpoint *ep, enum sip_transport transport)
{
	const struct sockets *s = proxy_sockets(p);

	return s != NULL ? proxy_sockets_at_endpoint(s, ep, transport) : -1;
}

const struct proxy_listener *proxy_listener_at(const struct proxy *p, unsigned index)
{
	const struct sockets *s = proxy_sockets(p);

	return s != NULL && proxy_sockets_has(s, index) ? &s->socket[index].listener : NULL;
}

unsigned proxy_listener_count(const struct proxy *p)
{
	const struct sockets *s = proxy_sockets(p);

	return s != NULL ? s->count : 0;
}

static bool hook_is_myself(void *room, struct str host, uint16_t port, enum sip_transport transport)
{
	const struct sockets *s = proxy_sockets(room);

	return s != NULL && proxy_sockets_is_ours(s, host, port, transport);
}

static bool hook_myself_is_unread(void *room)
{
	const struct sockets *s = proxy_sockets(room);

	return s != NULL && s->domains_are_unread != NULL &&
	       s->domains_are_unread(s->is_domain_arg);
}

static int hook_find_listener(void *room, struct str text)
{
	const struct sockets *s = proxy_sockets(room);

	return s != NULL ? proxy_sockets_find(s, text) : -1;
}

static unsigned hook_listener_text(void *room, unsigned listener, char *out, unsigned size)
{
	const struct proxy_listener *l = proxy_listener_at(room, listener);
	struct text t = {out, 0, size, false};
	char endpoint[NET_ENDPOINT_TEXT_MAX];
	struct str transport;

	if (l == NULL)
		return 0;
	transport = sip_transport_name(l->transport);
	for (uint32_t i = 0; i < transport.len; i++) {
		char c = str_lower_char(transport.s[i]);

		text_put(&t, (struct str){&c, 1});
	}
	text_lit(&t, ":");
	text_put(&t, (struct str){endpoint, net_endpoint_format(&l->ep, endpoint)});
	return t.full ? 0 : t.len;
}

void proxy_hooks(struct proxy *p, struct route_hooks *hooks)
{
	hooks->room = p;
	hooks->is_myself = hook_is_myself;
	hooks->myself_is_unread = hook_myself_is_unread;
	hooks->find_listener = hook_find_listener;
	hooks->listener_text = hook_listener_text;
}
