/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The keyed texts that we put into messages and know again: branch, Via token, Record-Route token,
 * To tag. All are AES-CMAC under keys derived for their purpose.
 *
 * Via token: key id (1), class (1: 's' stateless, 't' stateful), node (4), listener (8), owner (2,
 * stateful only), MAC (12). Record-Route token: key id (1), MAC (12). All in lower-case base32: SIP
 * compares tokens without case, and peers may change it, so reading takes both.
 *
 * The Via token need not hash what our branch is made of already: who verifies makes the branch
 * again from the Via below ours, which gives the sender's branch, host and port.
 */
#include "proxy/internal.h"

#include <immintrin.h>

#define CLASS_STATELESS 's'
#define CLASS_STATEFUL 't'
#define BRANCH_BYTES 10 /* of the transaction key, which our branch's characters hold */

int proxy_base32_digit(char c)
{
	c = str_lower_char(c);
	if (c >= 'a' && c <= 'z')
		return c - 'a';
	if (c >= '2' && c <= '7')
		return c - '2' + 26;
	return -1;
}

static void derive(struct mac_key *key, const struct hash_key *from, struct str purpose)
{
	struct mac_key root;
	struct hash128 v;

	mac_key_set(&root, from);
	v = mac_text(&root, purpose);
	mac_key_set(key, &(struct hash_key){{v.lo, v.hi}});
}

void proxy_keys_derive(struct keys *keys)
{
	derive(&keys->transaction, &keys->branch, STR("transaction"));
	derive(&keys->transaction_2543, &keys->branch, STR("transaction of RFC 2543"));
	derive(&keys->tag, &keys->branch, STR("to tag"));
	derive(&keys->call_id, &keys->branch, STR("call-id"));
	memset(keys->by_id, -1, sizeof(keys->by_id));
	for (unsigned i = 0; i < keys->count; i++) {
		struct token_key *mac = &keys->mac[i];

		derive(&mac->via, &mac->key, STR("via"));
		derive(&mac->route, &mac->key, STR("record-route"));
		keys->by_id[proxy_base32_digit(mac->id)] = (int8_t)i;
	}
}

/*
 * What is authenticated is laid out in blocks of 16 bytes: numbers and digests that fill one, and
 * texts of the message, each from a block's beginning and filled up with zeros (its length is among
 * the numbers). What exceeds the buffer goes on in further pieces, with the same result.
 */
#define FEED_BLOCKS 24
static_assert(SIP_MSG_UDP_OUT_MAX <= UINT16_MAX, "the length of any part of a message has 16 bits");

struct feed {
	const struct mac_key *key;
	struct hash128 chain;
	bool flushed; /* into chain */
	uint32_t count;
	__m128i block[FEED_BLOCKS];
};

static inline void feed_begin(struct feed *f, const struct mac_key *key)
{
	f->key = key;
	f->flushed = false;
	f->count = 0;
}

static void feed_flush(struct feed *f)
{
	if (!f->flushed)
		f->chain = (struct hash128){0, 0};
	mac_blocks(f->key, &f->chain, f->block, f->count);
	f->flushed = true;
	f->count = 0;
}

/* Makes room for so many blocks, FEED_BLOCKS at most. */
static inline void feed_room(struct feed *f, uint32_t blocks)
{
	if (__builtin_expect(f->count + blocks > FEED_BLOCKS, 0))
		feed_flush(f);
}

/* Numbers come first and are few: there is room. */
static inline void feed_numbers(struct feed *f, uint64_t low, uint64_t high)
{
	_mm_store_si128(&f->block[f->count++], _mm_set_epi64x((int64_t)high, (int64_t)low));
}

static inline __m128i lowered(__m128i v)
{
	/* A to Z become the largest 26 of the signed values. */
	__m128i letters = _mm_cmpgt_epi8(
		_mm_add_epi8(v, _mm_set1_epi8(INT8_MAX - 'Z')), _mm_set1_epi8(INT8_MAX - 26));

	return _mm_or_si128(v, _mm_and_si128(letters, _mm_set1_epi8('a' - 'A')));
}

/* The 1 to 15 bytes of the message that end at `end`, then zeros. Nothing behind them is read: what
 * is loaded lies before. */
static inline __m128i text_before(const char *buf, uint32_t end, uint32_t len)
{
	static const uint8_t slide[32] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15,
		0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80,
		0x80, 0x80};
	char few[16] = {0};

	if (__builtin_expect(end < 16, 0)) {
		for (uint32_t i = 0; i < len && i < sizeof(few); i++)
			few[i] = buf[end - len + i];
		return _mm_loadu_si128((const __m128i *)few);
	}
	return _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(buf + end - 16)),
		_mm_loadu_si128((const __m128i *)(slide + 16 - len)));
}

static inline __m128i text_at(const char *buf, uint32_t at, bool lower)
{
	__m128i v = _mm_loadu_si128((const __m128i *)(buf + at));

	return lower ? lowered(v) : v;
}

static inline void feed_text(struct feed *f, const char *buf, struct sip_span text, bool lower)
{
	uint32_t at = text.off, end = text.off + text.len;

	for (; __builtin_expect(end - at > 16 * (FEED_BLOCKS - 1), 0); at += 16) {
		feed_room(f, 1);
		_mm_store_si128(&f->block[f->count++], text_at(buf, at, lower));
	}
	feed_room(f, (end - at) / 16 + 1);
	for (; at + 16 <= end; at += 16)
		_mm_store_si128(&f->block[f->count++], text_at(buf, at, lower));
	if (at < end) {
		__m128i v = text_before(buf, end, end - at);

		_mm_store_si128(&f->block[f->count++], lower ? lowered(v) : v);
	}
}

/* A text that comes last: a one ends it (as RFC 4493 2.4 pads), so that its length need not be
 * told. */
static inline void feed_last_text(struct feed *f, const char *buf, struct sip_span text)
{
	static const uint8_t one[32] = {[16] = 0x80};
	uint32_t rest = text.len % 16, end = text.off + text.len;
	__m128i v = _mm_setzero_si128();

	feed_text(f, buf, (struct sip_span){text.off, text.len - rest}, true);
	if (rest != 0)
		v = lowered(text_before(buf, end, rest));
	feed_room(f, 1);
	_mm_store_si128(&f->block[f->count++],
		_mm_or_si128(v, _mm_loadu_si128((const __m128i *)(one + 16 - rest))));
}

static inline struct hash128 feed_end(const struct feed *f)
{
	if (__builtin_expect(f->flushed, 0))
		return mac_end(f->key, f->chain, f->block, f->count * MAC_BLOCK);
	return mac_bytes(f->key, f->block, f->count * MAC_BLOCK);
}

static const struct token_key *key_of(const struct keys *keys, char id)
{
	int digit = proxy_base32_digit(id);

	return digit >= 0 && keys->by_id[digit] >= 0 ? &keys->mac[keys->by_id[digit]] : NULL;
}

/* Twelve characters at `out`, which has room for sixteen. */
static inline void mac_write(char *out, struct hash128 mac)
{
	hash_base32_of_80(out, mac);
}

/* Whether the characters of `mac` are these, in any case, in a time that does not depend on them.
 */
static bool mac_equal(struct str text, struct hash128 mac)
{
	char want[16], said[16];
	__m128i same;

	if (text.len != TOKEN_MAC_LEN)
		return false;
	memcpy(said, text.s, TOKEN_MAC_LEN);
	mac_write(want, mac);
	same = _mm_cmpeq_epi8(text_at(said, 0, true), text_at(want, 0, false));
	return (_mm_movemask_epi8(same) & ((1 << TOKEN_MAC_LEN) - 1)) == (1 << TOKEN_MAC_LEN) - 1;
}

/* ---- transaction ---- */

/* What a client's branch with the magic cookie and its sent-by make: the branch and the host are
 * compared without case, and a sent-by without a port means the default one. */
static struct hash128 transaction_of_branch(
	const struct keys *keys, const char *buf, const struct sip_via *via)
{
	struct sip_span unique = {
		via->branch.off + BRANCH_COOKIE_LEN, via->branch.len - BRANCH_COOKIE_LEN};
	uint64_t port = via->port != 0 ? via->port : SIP_DEFAULT_PORT;
	struct feed f;

	feed_begin(&f, &keys->transaction);
	feed_numbers(&f, port | (uint64_t)unique.len << 16 | (uint64_t)via->host.len << 32, 0);
	feed_text(&f, buf, unique, true);
	feed_text(&f, buf, via->host, true);
	return feed_end(&f);
}

/* RFC 2543 clients have no such branch (RFC 3261 17.2.3). */
static struct hash128 transaction_of_message(const struct keys *keys, struct route_ctx *ctx)
{
	const struct sip_via *via = sip_msg_via(&ctx->msg, ctx->buf, 0);
	const struct sip_address *from = sip_msg_from(&ctx->msg, ctx->buf);
	struct sip_span value = via != NULL ? via->value : sip_msg_value(&ctx->msg, SIP_HEADER_VIA),
			tag = from != NULL ? from->tag : (struct sip_span){0, 0},
			call_id = sip_msg_value(&ctx->msg, SIP_HEADER_CALL_ID),
			uri = ctx->msg.uri_text;
	uint32_t cseq = sip_msg_cseq(&ctx->msg, ctx->buf) ? ctx->msg.cseq_number : 0;
	struct feed f;

	feed_begin(&f, &keys->transaction_2543);
	feed_numbers(
		&f, (uint64_t)value.len << 32 | tag.len, (uint64_t)call_id.len << 32 | uri.len);
	feed_numbers(&f, cseq, 0);
	feed_text(&f, ctx->buf, value, false);
	feed_text(&f, ctx->buf, tag, true);
	feed_text(&f, ctx->buf, call_id, false);
	feed_text(&f, ctx->buf, uri, false);
	return feed_end(&f);
}

static inline bool branch_is_unique(const struct sip_via *via)
{
	return via->has_magic && via->branch.len > BRANCH_COOKIE_LEN;
}

/* RFC 3261 17.2.3 and 16.11: what a retransmission, the CANCEL and the ACK of a failure have in
 * common. */
struct hash128 proxy_transaction_key(struct proxy *p, struct route_ctx *ctx)
{
	struct proxy_state *state = proxy_state(ctx);
	const struct sip_via *via;
	const struct keys *keys;

	if ((state->flags & STATE_KEY) != 0)
		return state->key;
	keys = proxy_keys(p);
	via = sip_msg_via(&ctx->msg, ctx->buf, 0);
	state->key = via != NULL && branch_is_unique(via)
			     ? transaction_of_branch(keys, ctx->buf, via)
			     : transaction_of_message(keys, ctx);
	state->flags |= STATE_KEY;
	return state->key;
}

struct hash128 proxy_call_id_digest(struct proxy *p, struct route_ctx *ctx)
{
	struct proxy_state *state = proxy_state(ctx);

	if ((state->flags & STATE_CALL_ID) != 0)
		return state->call_id;
	state->call_id = mac_text(&proxy_keys(p)->call_id,
		sip_text(ctx->buf, sip_msg_value(&ctx->msg, SIP_HEADER_CALL_ID)));
	state->flags |= STATE_CALL_ID;
	return state->call_id;
}

/* ---- branch and Via token ---- */

void proxy_branch_write(char *out, struct hash128 key)
{
	hash_base32_of_80(out, key);
}

/* Node and listener as the token's twelve characters hold them, in the top 60 bits. */
static inline uint64_t place_of(const struct via_token *token)
{
	return (uint64_t)token->node << 48 | token->listener >> 20;
}

/* What is bound beyond numbers: an IPv6 address, and texts that are seldom there. `branch` is our
 * own where the Via below does not give it. */
static void feed_more(struct feed *f, const struct via_bound *b, const char *branch)
{
	const struct sip_via *next = b->next;
	bool unique = branch_is_unique(next);
	struct sip_span none = {0, 0},
			method = b->method == SIP_METHOD_OTHER ? b->method_text : none,
			host = unique ? none : next->host, client = unique ? none : next->branch;

	feed_numbers(f,
		(uint64_t)next->maddr.len << 48 | (uint64_t)method.len << 32 |
			(uint64_t)host.len << 16 | (uint64_t)client.len,
		unique ? 0 : next->port);
	feed_numbers(f, b->received.q[0], b->received.q[1]);
	feed_text(f, b->buf, next->maddr, true);
	feed_text(f, b->buf, method, false);
	feed_text(f, b->buf, host, true);
	feed_text(f, b->buf, client, true);
	if (unique)
		return;
	feed_room(f, 1);
	_mm_store_si128(&f->block[f->count++], text_at(branch, 0, true));
}

/* `transaction`: what the Via below says of it where it has the cookie; `branch`: ours as it is
 * written. */
static struct hash128 via_mac(const struct token_key *key, const struct via_token *token,
	const struct via_bound *b, struct hash128 transaction, const char *branch)
{
	bool unique = branch_is_unique(b->next);
	bool more = !unique || b->received.family == 6 || b->next->maddr.len != 0 ||
		    b->method == SIP_METHOD_OTHER;
	uint64_t kind = token->owner | (uint64_t)token->stateful << 10 | (uint64_t)unique << 11 |
			(uint64_t)more << 12;
	struct feed f;

	if (!unique)
		transaction = (struct hash128){0, 0};
	feed_begin(&f, &key->via);
	feed_numbers(
		&f, place_of(token), (uint64_t)b->cseq << 32 | (uint64_t)b->rport << 16 | kind);
	feed_numbers(&f, b->call_id.lo, b->call_id.hi);
	feed_numbers(&f, transaction.lo,
		(transaction.hi & 0xffff) | (uint64_t)b->method << 16 |
			(uint64_t)b->received.family << 24 |
			(b->received.family == 4 ? (uint64_t)b->received.v4 << 32 : 0));
	if (more)
		feed_more(&f, b, branch);
	return feed_end(&f);
}

void proxy_place_write(char out[TOKEN_PLACE_LEN], uint16_t node, uint64_t listener)
{
	hash_base32(out, place_of(&(struct via_token){.node = node, .listener = listener}),
		5 * TOKEN_PLACE_LEN);
}

unsigned proxy_via_token_write(const struct keys *keys, const struct via_token *token,
	const char place[TOKEN_PLACE_LEN], struct hash128 transaction, const char *branch,
	const struct via_bound *bound, char *out)
{
	const struct token_key *key = &keys->mac[0];
	char *at = out;

	*at++ = key->id;
	*at++ = token->stateful ? CLASS_STATEFUL : CLASS_STATELESS;
	memcpy(at, place, TOKEN_PLACE_LEN);
	at += TOKEN_PLACE_LEN;
	if (token->stateful) {
		hash_base32(at, (uint64_t)token->owner << 54, 5 * TOKEN_OWNER_LEN);
		at += TOKEN_OWNER_LEN;
	}
	mac_write(at, via_mac(key, token, bound, transaction, branch));
	at += TOKEN_MAC_LEN;
	return (unsigned)(at - out);
}

static bool place_read(const char *text, struct via_token *out)
{
	uint64_t place;

	if (!hash_unbase32_60(text, &place) || (place & TOKEN_PLACE_UNUSED) != 0)
		return false;
	out->node = (uint16_t)(place >> 48);
	out->listener = place << 20;
	return true;
}

/* Whether our branch, without its cookie, is the one that we gave to the transaction of the Via
 * below. */
static bool branch_fits(const char *branch, struct hash128 transaction)
{
	char want[BRANCH_LEN];
	__m128i same;

	proxy_branch_write(want, transaction);
	same = _mm_cmpeq_epi8(text_at(branch, 0, true), text_at(want, 0, false));
	return _mm_movemask_epi8(same) == 0xffff;
}

/* Whether a text of at least eight characters begins with the magic cookie, in any case. */
static bool has_cookie(const char *text)
{
	const uint64_t cookie_only = ~(uint64_t)0 >> 8;
	uint64_t v, want;

	memcpy(&v, text, sizeof(v));
	memcpy(&want, "z9hg4bk", sizeof(want));
	return (str_lower8(v) & cookie_only) == want;
}

bool proxy_via_token_verify(const struct keys *keys, struct str text, struct str branch,
	const struct via_bound *bound, struct via_token *out)
{
	struct hash128 transaction = {0, 0};
	const struct token_key *key;
	uint64_t owner = 0;
	uint32_t at = 2 + TOKEN_PLACE_LEN;
	char class;

	if (text.len < at || branch.len != BRANCH_COOKIE_LEN + BRANCH_LEN || !has_cookie(branch.s))
		return false;
	key = key_of(keys, text.s[0]);
	class = str_lower_char(text.s[1]);
	if (key == NULL || (class != CLASS_STATELESS && class != CLASS_STATEFUL) ||
		!place_read(text.s + 2, out))
		return false;
	if (class == CLASS_STATEFUL) {
		if (text.len < at + TOKEN_OWNER_LEN ||
			!hash_unbase32((struct str){text.s + at, TOKEN_OWNER_LEN}, &owner))
			return false;
		at += TOKEN_OWNER_LEN;
	}
	out->stateful = class == CLASS_STATEFUL;
	out->owner = (uint16_t)(owner >> 54);
	branch.s += BRANCH_COOKIE_LEN;
	if (branch_is_unique(bound->next)) {
		transaction = transaction_of_branch(keys, bound->buf, bound->next);
		if (!branch_fits(branch.s, transaction))
			return false;
	}
	return mac_equal((struct str){text.s + at, text.len - at},
		via_mac(key, out, bound, transaction, branch.s));
}

/* ---- Record-Route token, To tag ---- */

static struct hash128 route_mac(
	const struct token_key *key, struct hash128 call_id, const char *buf, struct sip_span tag)
{
	struct feed f;

	feed_begin(&f, &key->route);
	feed_numbers(&f, call_id.lo, call_id.hi);
	feed_last_text(&f, buf, tag);
	return feed_end(&f);
}

void proxy_route_token_write(const struct keys *keys, struct hash128 call_id, const char *buf,
	struct sip_span tag, char *out)
{
	out[0] = keys->mac[0].id;
	mac_write(out + 1, route_mac(&keys->mac[0], call_id, buf, tag));
}

bool proxy_route_token_verify(const struct keys *keys, struct str text, struct hash128 call_id,
	const char *buf, struct sip_span tag)
{
	const struct token_key *key = text.len == ROUTE_TOKEN_LEN ? key_of(keys, text.s[0]) : NULL;

	if (key == NULL)
		return false;
	text.s++;
	text.len--;
	return mac_equal(text, route_mac(key, call_id, buf, tag));
}

void proxy_tag_write(const struct keys *keys, struct hash128 transaction, char *out)
{
	char text[16];

	mac_write(text, mac_bytes(&keys->tag, &transaction, sizeof(transaction)));
	memcpy(out, text, TAG_LEN);
}
