/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The keyed texts that we put into messages and know again: branch, Via token, Record-Route token,
 * To tag.
 *
 * Via token: key id (1), class (1: 's' stateless, 't' stateful), node (4), listener (8), owner (2,
 * stateful only), MAC (12). Record-Route token: key id (1), MAC (12). All in lower-case base32: SIP
 * compares tokens without case, and peers may change it, so reading takes both.
 */
#include "proxy/internal.h"

#define CLASS_STATELESS 's'
#define CLASS_STATEFUL 't'
#define MAC_MASK (~(uint64_t)0xf) /* the 60 bits that 12 characters hold */

int proxy_base32_digit(char c)
{
	c = str_lower_char(c);
	if (c >= 'a' && c <= 'z')
		return c - 'a';
	if (c >= '2' && c <= '7')
		return c - '2' + 26;
	return -1;
}

static struct hash_key derive(const struct hash_key *from, struct str purpose)
{
	struct hash h;
	struct hash128 v;

	hash_init128(&h, from);
	hash_str(&h, purpose);
	v = hash_final128(&h);
	return (struct hash_key){{v.lo, v.hi}};
}

void proxy_keys_derive(struct keys *keys)
{
	keys->transaction = derive(&keys->branch, STR("transaction"));
	keys->tag = derive(&keys->branch, STR("to tag"));
	memset(keys->by_id, -1, sizeof(keys->by_id));
	for (unsigned i = 0; i < keys->count; i++) {
		struct mac_key *mac = &keys->mac[i];

		mac->via = derive(&mac->key, STR("via"));
		mac->route = derive(&mac->key, STR("record-route"));
		keys->by_id[proxy_base32_digit(mac->id)] = (int8_t)i;
	}
}

/*
 * What is hashed lies in many short spans: their lengths, packed, come first, then they are laid
 * out one behind the other in one piece, which takes half the words that a length in front of each
 * would. What exceeds the buffer goes on in further pieces, with the same result.
 */
#define FEED_BYTES 384
static_assert(SIP_MSG_UDP_OUT_MAX <= UINT16_MAX, "the length of any part of a message has 16 bits");

struct feed {
	struct hash h;
	uint32_t len;
	char bytes[FEED_BYTES];
};

static inline void feed_begin(struct feed *f, const struct hash_key *key)
{
	hash_init(&f->h, key);
	f->len = 0;
}

static void feed_flush(struct feed *f)
{
	hash_bytes(&f->h, f->bytes, f->len);
	f->len = 0;
}

static inline void feed_u64(struct feed *f, uint64_t v)
{
	if (f->len > FEED_BYTES - sizeof(v))
		feed_flush(f);
	memcpy(f->bytes + f->len, &v, sizeof(v));
	f->len += sizeof(v);
}

/* The lengths of four texts. */
static inline uint64_t lengths(struct str a, struct str b, struct str c, struct str d)
{
	return (uint64_t)(uint16_t)a.len << 48 | (uint64_t)(uint16_t)b.len << 32 |
	       (uint64_t)(uint16_t)c.len << 16 | (uint16_t)d.len;
}

/* A text whose length has been fed. */
static inline void feed_str(struct feed *f, struct str s)
{
	while (__builtin_expect(s.len > FEED_BYTES - f->len, 0)) {
		uint32_t n = FEED_BYTES - f->len;

		memcpy(f->bytes + f->len, s.s, n);
		f->len += n;
		feed_flush(f);
		s.s += n;
		s.len -= n;
	}
	str_copy(f->bytes + f->len, s);
	f->len += s.len;
}

/* The same with its letters lowered. */
static inline void feed_str_lower(struct feed *f, struct str s)
{
	char *out = f->bytes + f->len;
	uint64_t word, last;

	if (__builtin_expect(s.len > FEED_BYTES - f->len, 0)) {
		for (uint32_t i = 0; i < s.len; i++) {
			char c = str_lower_char(s.s[i]);

			feed_str(f, (struct str){&c, 1});
		}
		return;
	}
	f->len += s.len;
	if (s.len < 8) {
		for (uint32_t i = 0; i < s.len; i++)
			out[i] = str_lower_char(s.s[i]);
		return;
	}
	memcpy(&last, s.s + s.len - 8, 8);
	last = str_lower8(last);
	for (uint32_t i = 0; i + 8 < s.len; i += 8) {
		memcpy(&word, s.s + i, 8);
		word = str_lower8(word);
		memcpy(out + i, &word, 8);
	}
	memcpy(out + s.len - 8, &last, 8);
}

static inline uint64_t feed_end(struct feed *f)
{
	feed_flush(f);
	return hash_final(&f->h);
}

static const struct mac_key *key_of(const struct keys *keys, char id)
{
	int digit = proxy_base32_digit(id);

	return digit >= 0 && keys->by_id[digit] >= 0 ? &keys->mac[keys->by_id[digit]] : NULL;
}

static bool mac_equal(struct str text, uint64_t mac)
{
	uint64_t said;

	mac &= MAC_MASK;
	return text.len == TOKEN_MAC_LEN && hash_unbase32(text, &said) &&
	       hash_equal_constant_time(&said, &mac, sizeof(mac));
}

void proxy_branch_write(char *out, struct hash128 key)
{
	hash_base32(out, key.lo, 60);
	hash_base32(out + 12, key.hi, 20);
}

static uint64_t via_mac(const struct mac_key *key, const struct via_token *token, struct str branch,
	const struct via_bound *next, struct str call_id, uint32_t cseq, struct str method)
{
	struct feed f;

	feed_begin(&f, &key->via);
	/* Listener 40 bits, node 16, the length of `received`, which is an address, 8. */
	feed_u64(&f, token->listener | (uint64_t)(uint8_t)next->received.len << 16 | token->node);
	feed_u64(&f, (uint64_t)next->port << 48 | (uint64_t)next->rport << 32 | cseq);
	feed_u64(&f, lengths(next->host, next->branch, call_id, method));
	/* Our branch has the length it has; so have the owner's two bytes. */
	feed_u64(&f, (uint64_t)(uint16_t)next->maddr.len << 32 |
			     (token->stateful ? 0x10000u | token->owner : 0));
	feed_str_lower(&f, branch);
	feed_str_lower(&f, next->host);
	feed_str_lower(&f, next->branch);
	feed_str_lower(&f, next->received);
	feed_str_lower(&f, next->maddr);
	feed_str(&f, call_id);
	feed_str(&f, method);
	return feed_end(&f);
}

unsigned proxy_via_token_write(const struct keys *keys, const struct via_token *token,
	const char *branch, const struct via_bound *next, struct str call_id, uint32_t cseq,
	struct str method, char *out)
{
	const struct mac_key *key = &keys->mac[0];
	uint64_t mac =
		via_mac(key, token, (struct str){branch, BRANCH_LEN}, next, call_id, cseq, method);
	char *at = out;

	*at++ = key->id;
	*at++ = token->stateful ? CLASS_STATEFUL : CLASS_STATELESS;
	hash_base32(at, (uint64_t)token->node << 48, 5 * TOKEN_NODE_LEN);
	at += TOKEN_NODE_LEN;
	hash_base32(at, token->listener, 5 * TOKEN_LISTENER_LEN);
	at += TOKEN_LISTENER_LEN;
	if (token->stateful) {
		hash_base32(at, (uint64_t)token->owner << 54, 5 * TOKEN_OWNER_LEN);
		at += TOKEN_OWNER_LEN;
	}
	hash_base32(at, mac, 5 * TOKEN_MAC_LEN);
	at += TOKEN_MAC_LEN;
	return (unsigned)(at - out);
}

static bool take(struct str *text, unsigned len, uint64_t *v)
{
	struct str part = {text->s, len};

	if (text->len < len || !hash_unbase32(part, v))
		return false;
	text->s += len;
	text->len -= len;
	return true;
}

bool proxy_via_token_verify(const struct keys *keys, struct str text, struct str branch,
	const struct via_bound *next, struct str call_id, uint32_t cseq, struct str method,
	struct via_token *out)
{
	const struct mac_key *key;
	uint64_t node, owner = 0;
	char class;

	if (text.len < 2 || branch.len != BRANCH_COOKIE_LEN + BRANCH_LEN ||
		!str_istarts(branch, STR(BRANCH_COOKIE)))
		return false;
	key = key_of(keys, text.s[0]);
	class = str_lower_char(text.s[1]);
	if (key == NULL || (class != CLASS_STATELESS && class != CLASS_STATEFUL))
		return false;
	text.s += 2;
	text.len -= 2;
	if (!take(&text, TOKEN_NODE_LEN, &node) || !take(&text, TOKEN_LISTENER_LEN, &out->listener))
		return false;
	if (class == CLASS_STATEFUL && !take(&text, TOKEN_OWNER_LEN, &owner))
		return false;
	out->stateful = class == CLASS_STATEFUL;
	out->owner = (uint16_t)(owner >> 54);
	out->node = (uint16_t)(node >> 48);
	branch.s += BRANCH_COOKIE_LEN;
	branch.len -= BRANCH_COOKIE_LEN;
	return mac_equal(text, via_mac(key, out, branch, next, call_id, cseq, method));
}

static uint64_t route_mac(const struct mac_key *key, struct str call_id, struct str tag)
{
	struct feed f;

	feed_begin(&f, &key->route);
	feed_u64(&f, (uint64_t)call_id.len << 32 | tag.len);
	feed_str(&f, call_id);
	feed_str_lower(&f, tag);
	return feed_end(&f);
}

void proxy_route_token_write(const struct keys *keys, struct str call_id, struct str tag, char *out)
{
	out[0] = keys->mac[0].id;
	hash_base32(out + 1, route_mac(&keys->mac[0], call_id, tag), 5 * TOKEN_MAC_LEN);
}

bool proxy_route_token_verify(
	const struct keys *keys, struct str text, struct str call_id, struct str tag)
{
	const struct mac_key *key = text.len == ROUTE_TOKEN_LEN ? key_of(keys, text.s[0]) : NULL;

	if (key == NULL)
		return false;
	text.s++;
	text.len--;
	return mac_equal(text, route_mac(key, call_id, tag));
}

void proxy_tag_write(const struct keys *keys, struct hash128 transaction, char *out)
{
	struct hash h;

	hash_init(&h, &keys->tag);
	hash_u64(&h, transaction.lo);
	hash_u64(&h, transaction.hi);
	hash_base32(out, hash_final(&h), 5 * TAG_LEN);
}

/* RFC 3261 17.2.3 and 16.11: what a retransmission, the CANCEL and the ACK of a failure have in
 * common. */
struct hash128 proxy_transaction_key(struct proxy *p, struct route_ctx *ctx)
{
	struct proxy_state *state = proxy_state(ctx);
	const struct sip_via *via;
	struct feed f;

	if ((state->flags & STATE_KEY) != 0)
		return state->key;
	via = sip_msg_via(&ctx->msg, ctx->buf, 0);
	hash_init128(&f.h, &proxy_keys(p)->transaction);
	f.len = 0;
	if (via != NULL && via->has_magic && via->branch.len > BRANCH_COOKIE_LEN) {
		/* The branch and the host are compared without case, and a sent-by without a port
		 * means the default one. */
		feed_u64(&f, 1);
		feed_str_lower(&f, sip_text(ctx->buf, via->branch));
		feed_str_lower(&f, sip_text(ctx->buf, via->host));
		feed_u64(&f, via->port != 0 ? via->port : SIP_DEFAULT_PORT);
	} else {
		const struct sip_address *from = sip_msg_from(&ctx->msg, ctx->buf);

		feed_u64(&f, 2);
		feed_str(&f,
			sip_text(ctx->buf, via != NULL ? via->value
						       : sip_msg_value(&ctx->msg, SIP_HEADER_VIA)));
		feed_str_lower(&f, from != NULL ? sip_text(ctx->buf, from->tag) : STR_NONE);
		feed_str(&f, sip_text(ctx->buf, sip_msg_value(&ctx->msg, SIP_HEADER_CALL_ID)));
		feed_u64(&f, sip_msg_cseq(&ctx->msg, ctx->buf) ? ctx->msg.cseq_number : 0);
		feed_str(&f, sip_text(ctx->buf, ctx->msg.uri_text));
	}
	feed_flush(&f);
	state->key = hash_final128(&f.h);
	state->flags |= STATE_KEY;
	return state->key;
}
