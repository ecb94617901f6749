/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The keyed texts that we put into messages and know again: branch, Via token, Record-Route token,
 * To tag. All are AES-CMAC under keys derived for their purpose.
 *
 * Via token: key id (1), class (1), node (4), listener (8), then MAC (12) in class 's', stateless.
 * In class 't', stateful, there stand owner (2) and a short MAC (8) before it, and in class 'u', of
 * a request that was forked, the digest by which it is known as a loop (8) between these two.
 * Record-Route token: key id (1), MAC (12). All in lower-case base32: SIP compares tokens without
 * case, and peers may change it, so reading takes both.
 *
 * The long MAC binds the Via below ours, which a response is sent by. The short one binds no more
 * than our own Via and the request: a response to a CANCEL of our own has no other Via, and the
 * CANCEL has the Via of its INVITE to the letter (RFC 3261 9.1).
 *
 * The Via token need not hash what our branch is made of already: who verifies makes the branch
 * again from the Via below ours, which gives the sender's branch, host and port.
 */
#include "base/mac_chain.h"
#include "proxy/internal.h"

#define CLASS_STATELESS 's'
#define CLASS_STATEFUL 't'
#define CLASS_FORKED 'u' /* stateful, with the digest of a loop */
#define BRANCH_BYTES 10  /* of the transaction key, which our branch's characters hold */

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
	derive(&keys->loop, &keys->branch, STR("loop"));
	memset(keys->by_id, -1, sizeof(keys->by_id));
	for (unsigned i = 0; i < keys->count; i++) {
		struct token_key *mac = &keys->mac[i];

		derive(&mac->via, &mac->key, STR("via"));
		derive(&mac->flow, &mac->key, STR("flow"));
		derive(&mac->own, &mac->key, STR("via of our own"));
		derive(&mac->route, &mac->key, STR("record-route"));
		derive(&mac->code, &mac->key, STR("code of a room above"));
		keys->by_id[proxy_base32_digit(mac->id)] = (int8_t)i;
	}
}

/*
 * What is authenticated is laid out in blocks of 16 bytes: numbers and digests that fill one, and
 * texts of the message, each from a block's beginning and filled up with zeros (its length is among
 * the numbers).
 */
static inline __m128i numbers(uint64_t low, uint64_t high)
{
	return _mm_set_epi64x((int64_t)high, (int64_t)low);
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

MAC_INLINE void add_text(mac_encrypt_fn *encrypt, const struct mac_key *key, struct mac_chain *c,
	const char *buf, struct sip_span text, bool lower)
{
	uint32_t at = text.off, end = text.off + text.len;

	for (; at + 16 <= end; at += 16)
		mac_chain_add(encrypt, key, c, text_at(buf, at, lower));
	if (at < end) {
		__m128i v = text_before(buf, end, end - at);

		mac_chain_add(encrypt, key, c, lower ? lowered(v) : v);
	}
}

/* A text that comes last: a one ends it (as RFC 4493 2.4 pads), so that its length need not be
 * told. */
MAC_INLINE void add_last_text(mac_encrypt_fn *encrypt, const struct mac_key *key,
	struct mac_chain *c, const char *buf, struct sip_span text)
{
	static const uint8_t one[32] = {[16] = 0x80};
	uint32_t rest = text.len % 16, end = text.off + text.len;
	__m128i v = _mm_setzero_si128();

	add_text(encrypt, key, c, buf, (struct sip_span){text.off, text.len - rest}, true);
	if (rest != 0)
		v = lowered(text_before(buf, end, rest));
	mac_chain_add(encrypt, key, c, _mm_or_si128(v, mac_load(one + 16 - rest)));
}

/* Either way, where a call more does not matter. */
MAC_AESNI static __m128i encrypt_aesni(const struct mac_key *key, __m128i v)
{
	return mac_encrypt_aesni(key, v);
}

static __m128i encrypt_either(const struct mac_key *key, __m128i v)
{
	return mac_has_aes ? encrypt_aesni(key, v) : mac_encrypt_portable(key, v);
}

static const struct token_key *key_of(const struct keys *keys, char id)
{
	int digit = proxy_base32_digit(id);

	return digit >= 0 && keys->by_id[digit] >= 0 ? &keys->mac[keys->by_id[digit]] : NULL;
}

/* Twelve characters at `out` or, of a short one, eight; it has room for sixteen. */
static inline void mac_write(char *out, struct hash128 mac)
{
	hash_base32_of_80(out, mac);
}

/* Whether the characters of `mac` are these, in any case, in a time that does not depend on them.
 */
static inline bool mac_begins(const char *text, struct hash128 mac, unsigned len)
{
	char want[16], said[16];
	__m128i same;

	memcpy(said, text, len);
	mac_write(want, mac);
	same = _mm_cmpeq_epi8(text_at(said, 0, true), text_at(want, 0, false));
	return (_mm_movemask_epi8(same) & ((1 << len) - 1)) == (1 << len) - 1;
}

static bool mac_equal(struct str text, struct hash128 mac)
{
	return text.len == TOKEN_MAC_LEN && mac_begins(text.s, mac, TOKEN_MAC_LEN);
}

/* ---- codes for rooms above ---- */

char proxy_code_id(const struct proxy *p)
{
	return proxy_keys(p)->mac[0].id;
}

bool proxy_code(const struct proxy *p, char id, struct str data, struct hash128 *out)
{
	const struct token_key *key = key_of(proxy_keys(p), id);

	if (key == NULL)
		return false;
	*out = mac_text(&key->code, data);
	return true;
}

uint16_t proxy_node(const struct proxy *p)
{
	const struct sockets *s = proxy_sockets(p);

	return s != NULL ? s->node : 0;
}

/* ---- transaction ---- */

/* What a client's branch with the magic cookie and its sent-by make: the branch and the host are
 * compared without case, and a sent-by without a port means the default one. */
MAC_INLINE struct hash128 branch_with(mac_encrypt_fn *encrypt, const struct mac_key *key,
	const char *buf, const struct sip_via *via)
{
	struct sip_span unique = {
		via->branch.off + BRANCH_COOKIE_LEN, via->branch.len - BRANCH_COOKIE_LEN};
	uint64_t port = via->port != 0 ? via->port : SIP_DEFAULT_PORT;
	struct mac_chain c = mac_chain_begin(
		numbers(port | (uint64_t)unique.len << 16 | (uint64_t)via->host.len << 32, 0));

	add_text(encrypt, key, &c, buf, unique, true);
	add_text(encrypt, key, &c, buf, via->host, true);
	return mac_chain_end(encrypt, key, &c);
}

MAC_AESNI static struct hash128 branch_aesni(
	const struct mac_key *key, const char *buf, const struct sip_via *via)
{
	return branch_with(mac_encrypt_aesni, key, buf, via);
}

static struct hash128 branch_portable(
	const struct mac_key *key, const char *buf, const struct sip_via *via)
{
	return branch_with(mac_encrypt_portable, key, buf, via);
}

static inline struct hash128 transaction_of_branch(
	const struct keys *keys, const char *buf, const struct sip_via *via)
{
	return mac_has_aes ? branch_aesni(&keys->transaction, buf, via)
			   : branch_portable(&keys->transaction, buf, via);
}

/* RFC 2543 clients have no such branch (RFC 3261 17.2.3). */
static struct hash128 transaction_of_message(const struct keys *keys, struct route_ctx *ctx)
{
	const struct mac_key *key = &keys->transaction_2543;
	const struct sip_via *via = sip_msg_via(&ctx->msg, ctx->buf, 0);
	const struct sip_address *from = sip_msg_from(&ctx->msg, ctx->buf);
	struct sip_span value = via != NULL ? via->value : sip_msg_value(&ctx->msg, SIP_HEADER_VIA),
			tag = from != NULL ? from->tag : (struct sip_span){0, 0},
			call_id = sip_msg_value(&ctx->msg, SIP_HEADER_CALL_ID),
			uri = ctx->msg.uri_text;
	uint32_t cseq = sip_msg_cseq(&ctx->msg, ctx->buf) ? ctx->msg.cseq_number : 0;
	struct mac_chain c = mac_chain_begin(numbers(
		(uint64_t)value.len << 32 | tag.len, (uint64_t)call_id.len << 32 | uri.len));

	mac_chain_add(encrypt_either, key, &c, numbers(cseq, 0));
	add_text(encrypt_either, key, &c, ctx->buf, value, false);
	add_text(encrypt_either, key, &c, ctx->buf, tag, true);
	add_text(encrypt_either, key, &c, ctx->buf, call_id, false);
	add_text(encrypt_either, key, &c, ctx->buf, uri, false);
	return mac_chain_end(encrypt_either, key, &c);
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

/* What is bound beyond numbers: the number of a branch, an IPv6 address, and texts that are seldom
 * there. `branch` is our own where the Via below does not give it. */
static void add_more(const struct mac_key *key, struct mac_chain *c, const struct via_token *token,
	const struct via_bound *b, const char *branch)
{
	const struct sip_via *next = b->next;
	bool unique = branch_is_unique(next);
	struct sip_span none = {0, 0},
			method = b->method == SIP_METHOD_OTHER ? b->method_text : none,
			host = unique ? none : next->host, client = unique ? none : next->branch;

	mac_chain_add(encrypt_either, key, c,
		numbers((uint64_t)next->maddr.len << 48 | (uint64_t)method.len << 32 |
				(uint64_t)host.len << 16 | (uint64_t)client.len,
			(unique ? 0 : next->port) |
				(token->stateful ? (uint64_t)token->branch << 16 : 0)));
	mac_chain_add(encrypt_either, key, c, numbers(b->received.q[0], b->received.q[1]));
	add_text(encrypt_either, key, c, b->buf, next->maddr, true);
	add_text(encrypt_either, key, c, b->buf, method, false);
	add_text(encrypt_either, key, c, b->buf, host, true);
	add_text(encrypt_either, key, c, b->buf, client, true);
	if (!unique)
		mac_chain_add(encrypt_either, key, c, text_at(branch, 0, true));
}

/* `transaction`: what the Via below says of it where it has the cookie; `branch`: ours as it is
 * written. */
MAC_INLINE struct hash128 via_with(mac_encrypt_fn *encrypt, const struct mac_key *key,
	const struct via_token *token, const struct via_bound *b, const struct hash128 *transaction,
	const char *branch)
{
	bool unique = branch_is_unique(b->next);
	bool more = !unique || b->received.family == 6 || b->next->maddr.len != 0 ||
		    b->method == SIP_METHOD_OTHER || token->stateful;
	uint64_t kind = token->owner | (uint64_t)token->stateful << 10 | (uint64_t)unique << 11 |
			(uint64_t)more << 12,
		 v4 = b->received.family == 4 ? b->received.v4 : 0;
	struct mac_chain c = mac_chain_begin(numbers(
		place_of(token), (uint64_t)b->cseq << 32 | (uint64_t)b->rport << 16 | kind));

	mac_chain_add(encrypt, key, &c, numbers(b->call_id.lo, b->call_id.hi));
	mac_chain_add(encrypt, key, &c,
		numbers(unique ? transaction->lo : 0,
			(unique ? transaction->hi & 0xffff : 0) | (uint64_t)b->method << 16 |
				(uint64_t)b->received.family << 24 | v4 << 32));
	if (!more)
		return mac_chain_end(encrypt, key, &c);
	if (unique && b->next->maddr.len == 0 && b->method != SIP_METHOD_OTHER) {
		/* What add_more() adds for a stateful one of which nothing is unusual. */
		mac_chain_add(encrypt, key, &c,
			numbers(0, token->stateful ? (uint64_t)token->branch << 16 : 0));
		mac_chain_add(encrypt, key, &c, numbers(b->received.q[0], b->received.q[1]));
	} else {
		add_more(key, &c, token, b, branch);
	}
	return mac_chain_end(encrypt, key, &c);
}

MAC_AESNI static struct hash128 via_aesni(const struct mac_key *key, const struct via_token *token,
	const struct via_bound *b, const struct hash128 *transaction, const char *branch)
{
	return via_with(mac_encrypt_aesni, key, token, b, transaction, branch);
}

static struct hash128 via_portable(const struct mac_key *key, const struct via_token *token,
	const struct via_bound *b, const struct hash128 *transaction, const char *branch)
{
	return via_with(mac_encrypt_portable, key, token, b, transaction, branch);
}

struct hash128 proxy_via_mac(const struct token_key *key, const struct via_token *token,
	const struct via_bound *b, const struct hash128 *transaction, const char *branch)
{
	return mac_has_aes ? via_aesni(&key->via, token, b, transaction, branch)
			   : via_portable(&key->via, token, b, transaction, branch);
}

/* The short MAC: `branch` are our branch's 16 characters. */
MAC_INLINE struct hash128 own_with(mac_encrypt_fn *encrypt, const struct mac_key *key,
	const struct via_token *token, const struct via_bound *b, const char *branch)
{
	struct mac_chain c = mac_chain_begin(
		numbers(place_of(token), (uint64_t)b->cseq << 32 | (uint64_t)token->branch << 16 |
						 (uint64_t)token->forked << 10 | token->owner));

	mac_chain_add(encrypt, key, &c, numbers(b->call_id.lo, b->call_id.hi));
	mac_chain_add(encrypt, key, &c, text_at(branch, 0, true));
	if (token->forked)
		mac_chain_add(encrypt, key, &c, numbers(token->loop, 0));
	return mac_chain_end(encrypt, key, &c);
}

MAC_AESNI static struct hash128 own_aesni(const struct mac_key *key, const struct via_token *token,
	const struct via_bound *b, const char *branch)
{
	return own_with(mac_encrypt_aesni, key, token, b, branch);
}

static struct hash128 own_portable(const struct mac_key *key, const struct via_token *token,
	const struct via_bound *b, const char *branch)
{
	return own_with(mac_encrypt_portable, key, token, b, branch);
}

struct hash128 proxy_own_mac(const struct token_key *key, const struct via_token *token,
	const struct via_bound *b, const char *branch)
{
	return mac_has_aes ? own_aesni(&key->own, token, b, branch)
			   : own_portable(&key->own, token, b, branch);
}

void proxy_place_write(char out[TOKEN_PLACE_LEN], uint16_t node, uint64_t listener)
{
	hash_base32(out, place_of(&(struct via_token){.node = node, .listener = listener}),
		5 * TOKEN_PLACE_LEN);
}

/* Of a Record-Route token. */
MAC_INLINE struct hash128 route_with(mac_encrypt_fn *encrypt, const struct mac_key *key,
	const struct hash128 *call_id, const char *buf, struct sip_span tag)
{
	struct mac_chain c = mac_chain_begin(numbers(call_id->lo, call_id->hi));

	add_last_text(encrypt, key, &c, buf, tag);
	return mac_chain_end(encrypt, key, &c);
}

/*
 * All codes of a request that is forwarded, in one go: those that do not need each other are
 * computed side by side by the CPU.
 */
MAC_INLINE void codes_with(mac_encrypt_fn *encrypt, const struct keys *keys, struct route_ctx *ctx,
	const struct via_token *token, struct via_bound *b, bool with_route,
	struct request_codes *out)
{
	struct proxy_state *state = proxy_state(ctx);
	const struct sip_address *from = sip_msg_from(&ctx->msg, ctx->buf);
	struct sip_span tag = from != NULL ? from->tag : (struct sip_span){0, 0}, call_id;

	if ((state->flags & STATE_KEY) == 0) {
		state->key = branch_is_unique(b->next)
				     ? branch_with(encrypt, &keys->transaction, b->buf, b->next)
				     : transaction_of_message(keys, ctx);
	}
	if ((state->flags & STATE_CALL_ID) == 0) {
		call_id = sip_msg_value(&ctx->msg, SIP_HEADER_CALL_ID);
		state->call_id = mac_of_bytes(encrypt, &keys->call_id,
			(const uint8_t *)ctx->buf + call_id.off, call_id.len);
	}
	state->flags |= STATE_KEY | STATE_CALL_ID;
	b->call_id = state->call_id;
	proxy_branch_write(out->branch, state->key);
	out->via = via_with(encrypt, &keys->mac[0].via, token, b, &state->key, out->branch);
	if (with_route)
		out->route =
			route_with(encrypt, &keys->mac[0].route, &state->call_id, ctx->buf, tag);
}

MAC_AESNI static void codes_aesni(const struct keys *keys, struct route_ctx *ctx,
	const struct via_token *token, struct via_bound *b, bool with_route,
	struct request_codes *out)
{
	codes_with(mac_encrypt_aesni, keys, ctx, token, b, with_route, out);
}

static void codes_portable(const struct keys *keys, struct route_ctx *ctx,
	const struct via_token *token, struct via_bound *b, bool with_route,
	struct request_codes *out)
{
	codes_with(mac_encrypt_portable, keys, ctx, token, b, with_route, out);
}

void proxy_request_codes(const struct keys *keys, struct route_ctx *ctx,
	const struct via_token *token, struct via_bound *bound, bool with_route,
	struct request_codes *out)
{
	if (mac_has_aes)
		codes_aesni(keys, ctx, token, bound, with_route, out);
	else
		codes_portable(keys, ctx, token, bound, with_route, out);
}

char *proxy_branch_number_put(char *at, uint16_t number)
{
	hash_base32(at, (uint64_t)number << 54, 5 * BRANCH_NUMBER_LEN);
	return at + BRANCH_NUMBER_LEN;
}

/* What a stateful one has before its MAC. */
static __attribute__((noinline)) char *put_kept(
	char *at, const struct via_token *token, const struct hash128 *own)
{
	hash_base32(at, (uint64_t)token->owner << 54, 5 * TOKEN_OWNER_LEN);
	at += TOKEN_OWNER_LEN;
	if (token->forked) {
		hash_base32(at, token->loop, 5 * TOKEN_LOOP_LEN);
		at += TOKEN_LOOP_LEN;
	}
	mac_write(at, *own);
	return at + TOKEN_OWN_LEN;
}

char *proxy_via_token_put(char *at, const struct keys *keys, const struct via_token *token,
	const char place[TOKEN_PLACE_LEN], struct hash128 mac, const struct hash128 *own)
{
	*at++ = keys->mac[0].id;
	*at++ = CLASS_STATELESS;
	memcpy(at, place, TOKEN_PLACE_LEN);
	at += TOKEN_PLACE_LEN;
	if (__builtin_expect(token->stateful, 0)) {
		at[-TOKEN_PLACE_LEN - 1] = token->forked ? CLASS_FORKED : CLASS_STATEFUL;
		at = put_kept(at, token, own);
	}
	mac_write(at, mac);
	return at + TOKEN_MAC_LEN;
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

/* What a stateful token has behind the place, at `at`, and the number of the branch. */
static bool stateful_read(struct str text, uint32_t at, struct str branch, struct via_token *out)
{
	uint64_t owner, number;

	if (branch.len != BRANCH_COOKIE_LEN + BRANCH_LEN + BRANCH_NUMBER_LEN ||
		text.len != at + TOKEN_OWNER_LEN + (out->forked ? TOKEN_LOOP_LEN : 0) +
				    TOKEN_OWN_LEN + TOKEN_MAC_LEN ||
		!hash_unbase32((struct str){text.s + at, TOKEN_OWNER_LEN}, &owner) ||
		!hash_unbase32(
			(struct str){branch.s + BRANCH_COOKIE_LEN + BRANCH_LEN, BRANCH_NUMBER_LEN},
			&number))
		return false;
	out->owner = (uint16_t)(owner >> 54);
	out->branch = (uint16_t)(number >> 54);
	out->loop = 0;
	return !out->forked ||
	       hash_unbase32(
		       (struct str){text.s + at + TOKEN_OWNER_LEN, TOKEN_LOOP_LEN}, &out->loop);
}

/* What a token says, of which nothing is proven yet; its key, or NULL. */
static const struct token_key *token_read(
	const struct keys *keys, struct str text, struct str branch, struct via_token *out)
{
	const uint32_t at = 2 + TOKEN_PLACE_LEN;
	const struct token_key *key;
	char class;

	if (text.len < at || branch.len < BRANCH_COOKIE_LEN + BRANCH_LEN || !has_cookie(branch.s))
		return NULL;
	key = key_of(keys, text.s[0]);
	class = str_lower_char(text.s[1]);
	out->stateful = class == CLASS_STATEFUL || class == CLASS_FORKED;
	out->forked = class == CLASS_FORKED;
	out->owner = 0;
	if (key == NULL || (class != CLASS_STATELESS && !out->stateful) ||
		!place_read(text.s + 2, out))
		return NULL;
	if (out->stateful)
		return stateful_read(text, at, branch, out) ? key : NULL;
	return text.len == at + TOKEN_MAC_LEN && branch.len == BRANCH_COOKIE_LEN + BRANCH_LEN
		       ? key
		       : NULL;
}

bool proxy_via_token_verify(const struct keys *keys, struct str text, struct str branch,
	const struct via_bound *bound, struct via_token *out)
{
	const struct token_key *key = token_read(keys, text, branch, out);
	struct hash128 transaction = {0, 0};

	if (key == NULL)
		return false;
	branch.s += BRANCH_COOKIE_LEN;
	if (out->stateful && !mac_begins(text.s + text.len - TOKEN_MAC_LEN - TOKEN_OWN_LEN,
				     proxy_own_mac(key, out, bound, branch.s), TOKEN_OWN_LEN))
		return false;
	if (bound->next == NULL) {
		out->key = proxy_branch_key(branch.s);
		return out->stateful;
	}
	if (branch_is_unique(bound->next)) {
		transaction = transaction_of_branch(keys, bound->buf, bound->next);
		if (!branch_fits(branch.s, transaction))
			return false;
		out->key = transaction.lo;
	} else {
		out->key = proxy_branch_key(branch.s);
	}
	return mac_equal((struct str){text.s + text.len - TOKEN_MAC_LEN, TOKEN_MAC_LEN},
		proxy_via_mac(key, out, bound, &transaction, branch.s));
}

uint64_t proxy_branch_key(const char *branch)
{
	uint64_t high = 0, low = 0;

	/* Twelve characters have 60 bits; of the thirteenth four more. */
	if (!hash_unbase32_60(branch, &high) ||
		!hash_unbase32((struct str){branch + TOKEN_MAC_LEN, 1}, &low))
		return 0;
	return __builtin_bswap64(high | low >> 60);
}

bool proxy_via_token_loop(struct str text, uint64_t *loop)
{
	return text.len == TOKEN_LEN_MAX && str_lower_char(text.s[1]) == CLASS_FORKED &&
	       hash_unbase32(
		       (struct str){text.s + 2 + TOKEN_PLACE_LEN + TOKEN_OWNER_LEN, TOKEN_LOOP_LEN},
		       loop);
}

/* ---- Record-Route token, To tag ---- */

MAC_AESNI static struct hash128 route_aesni(const struct mac_key *key,
	const struct hash128 *call_id, const char *buf, struct sip_span tag)
{
	return route_with(mac_encrypt_aesni, key, call_id, buf, tag);
}

static struct hash128 route_portable(const struct mac_key *key, const struct hash128 *call_id,
	const char *buf, struct sip_span tag)
{
	return route_with(mac_encrypt_portable, key, call_id, buf, tag);
}

static inline struct hash128 route_mac(const struct token_key *key, const struct hash128 *call_id,
	const char *buf, struct sip_span tag)
{
	return mac_has_aes ? route_aesni(&key->route, call_id, buf, tag)
			   : route_portable(&key->route, call_id, buf, tag);
}

char *proxy_route_token_put(char *at, const struct keys *keys, struct hash128 mac)
{
	*at++ = keys->mac[0].id;
	mac_write(at, mac);
	return at + TOKEN_MAC_LEN;
}

bool proxy_route_token_verify(const struct keys *keys, struct str text, struct hash128 call_id,
	const char *buf, struct sip_span tag)
{
	const struct token_key *key = text.len == ROUTE_TOKEN_LEN ? key_of(keys, text.s[0]) : NULL;

	if (key == NULL)
		return false;
	text.s++;
	text.len--;
	return mac_equal(text, route_mac(key, &call_id, buf, tag));
}

void proxy_tag_write(const struct keys *keys, struct hash128 transaction, char *out)
{
	char text[16];

	mac_write(text, mac_bytes(&keys->tag, &transaction, sizeof(transaction)));
	memcpy(out, text, TAG_LEN);
}

/* ---- for the other codecs: these are inlined above ---- */

const struct token_key *proxy_token_key(const struct keys *keys, char id)
{
	return key_of(keys, id);
}

bool proxy_place_read(const char *text, struct via_token *out)
{
	return place_read(text, out);
}

bool proxy_mac_equal(struct str text, struct hash128 mac)
{
	return mac_equal(text, mac);
}
