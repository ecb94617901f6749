/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Calls that last: from the 2xx of an INVITE to the BYE of either side. A call is known by its
 * Call-ID and both tags, whichever way they stand; what its record will say is kept as a text of an
 * arena. All of a Call-ID is one shard's.
 *
 * A fork's further 2xx has another To tag, and is another call. Its INVITE is gone by then: it is
 * known by the call that the first one began, Call-ID and From tag being the same. What has ended
 * is kept for a while, so that a 2xx that comes again begins no call anew.
 */
#include <stdio.h>
#include <sys/mman.h>

#include "acc/internal.h"

#define NONE UINT32_MAX
#define ARENA_PLACES_EACH 6 /* of 168 bytes; pages come as they are used */
#define NULL_VALUE UINT16_MAX
#define SIBLINGS_MAX 4 /* calls of a Call-ID and From tag that are found by these */
#define EXPIRE_MAX 8   /* calls a pass */
#define ROOM_TRIES 8   /* calls that make room for one */
#define END_TEXT 24
#define ENDED_NS (32 * CLOCK_NS_PER_S) /* 64*T1: copies of a 2xx */

enum { CALL_ID, FROM_TAG, TO_TAG, CALLER, CALLEE, FIXED };
#define VALUES_MAX (FIXED + ACC_FIELDS_MAX)

struct acc_call {
	uint64_t key, sibling;
	uint64_t start_ns, expires_ns;
	uint64_t extras; /* digest of the list that its extra fields are of */
	uint32_t text;   /* in the arena */
	uint32_t older, newer;
	bool is_sibling; /* it stands in the index by `sibling`, too */
	bool ended;
};

/* ---- memory ---- */

int acc_calls_create(struct acc_shard *sh, uint32_t room)
{
	struct acc_calls *c = &sh->calls;
	void *map = mmap(NULL, (size_t)room * sizeof(struct acc_call), PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (map == MAP_FAILED)
		return -ENOMEM;
	c->call = map;
	c->room = room;
	c->free = NONE;
	c->last = c->ended = (struct acc_call_list){NONE, NONE};
	c->scratch = malloc(ARENA_TEXT_MAX);
	c->index = digest_index_create(2 * room);
	if (c->scratch == NULL || c->index == NULL)
		return -ENOMEM;
	return arena_create(&c->arena, room * ARENA_PLACES_EACH, false);
}

void acc_calls_destroy(struct acc_shard *sh)
{
	struct acc_calls *c = &sh->calls;

	if (c->call != NULL)
		munmap(c->call, (size_t)c->room * sizeof(struct acc_call));
	if (c->index != NULL)
		digest_index_destroy(c->index);
	arena_destroy(&c->arena);
	free(c->scratch);
}

static uint32_t call_take(struct acc_calls *c)
{
	uint32_t n = c->free;

	if (n == NONE)
		return c->fresh < c->room ? c->fresh++ : NONE;
	c->free = c->call[n].newer;
	return n;
}

static void gauge(struct acc_shard *sh, int by)
{
	atomic_store_explicit(&sh->count[ACC_COUNTER_CALLS_NOW],
		atomic_load_explicit(&sh->count[ACC_COUNTER_CALLS_NOW], memory_order_relaxed) +
			(uint64_t)(int64_t)by,
		memory_order_relaxed);
}

/* ---- texts ---- */

struct values {
	unsigned count;
	uint64_t extras; /* digest of the list that those behind FIXED are of */
	struct acc_value v[VALUES_MAX];
};

/* Packs them behind a length, as the arena wants it. Bytes, 0: they do not fit. */
static uint32_t pack(struct acc_calls *c, const struct values *values)
{
	char *out = (char *)c->scratch;
	uint32_t at = sizeof(uint16_t) + 1, padded;
	uint16_t len;

	for (unsigned i = 0; i < values->count; i++) {
		const struct acc_value *v = &values->v[i];

		if (v->s.len + sizeof(len) > ARENA_TEXT_MAX - 8 - at)
			return 0;
		len = v->null ? NULL_VALUE : (uint16_t)v->s.len;
		memcpy(out + at, &len, sizeof(len));
		at += sizeof(len);
		str_copy(out + at, v->s);
		at += v->s.len;
	}
	out[sizeof(uint16_t)] = (char)values->count;
	len = (uint16_t)at;
	memcpy(out, &len, sizeof(len));
	padded = (at + 7) & ~7u;
	memset(out + at, 0, padded - at);
	return at;
}

/* The values of a call, which stand in the scratch then. */
static bool unpack(struct acc_calls *c, const struct acc_call *call, struct values *out)
{
	const char *in = (const char *)c->scratch;
	uint32_t version, at = sizeof(uint16_t) + 1;

	if (arena_copy(&c->arena, call->text, (char *)c->scratch, &version) < 0)
		return false;
	out->count = (uint8_t)in[sizeof(uint16_t)];
	out->extras = call->extras;
	for (unsigned i = 0; i < out->count; i++) {
		uint16_t len;

		memcpy(&len, in + at, sizeof(len));
		at += sizeof(len);
		out->v[i].null = len == NULL_VALUE;
		len = out->v[i].null ? 0 : len;
		out->v[i].s = str_of(in + at, len);
		at += len;
	}
	return true;
}

/* ---- who is who ---- */

static uint64_t key_of(const struct acc *a, struct str call_id, struct str one, struct str other)
{
	struct hash h;

	hash_init(&h, &a->key);
	hash_str(&h, call_id);
	/* The same whichever side says it. */
	hash_u64(&h, hash_text(&a->key, one) + hash_text(&a->key, other));
	return hash_final(&h);
}

static uint64_t sibling_of(const struct acc *a, struct str call_id, struct str from_tag)
{
	struct hash h;

	hash_init(&h, &a->key);
	hash_str(&h, from_tag);
	hash_str(&h, call_id);
	return hash_final(&h);
}

static bool is_call(const struct values *v, struct str call_id, struct str one, struct str other)
{
	struct str from = v->v[FROM_TAG].s, to = v->v[TO_TAG].s;

	return str_eq(v->v[CALL_ID].s, call_id) &&
	       ((str_eq(from, one) && str_eq(to, other)) ||
		       (str_eq(from, other) && str_eq(to, one)));
}

/* The call, with its values in the scratch; NONE. */
static uint32_t find(struct acc *a, struct acc_calls *c, struct str call_id, struct str one,
	struct str other, struct values *out)
{
	uint32_t found[DIGEST_INDEX_FOUND_MAX];
	uint64_t key = key_of(a, call_id, one, other);
	unsigned n = digest_index_find(c->index, key, found);

	for (unsigned i = 0; i < n; i++)
		if (c->call[found[i]].key == key && unpack(c, &c->call[found[i]], out) &&
			is_call(out, call_id, one, other))
			return found[i];
	return NONE;
}

/* A call of the same INVITE. */
static uint32_t find_sibling(struct acc *a, struct acc_calls *c, struct str call_id,
	struct str from_tag, struct values *out)
{
	uint32_t found[DIGEST_INDEX_FOUND_MAX];
	uint64_t key = sibling_of(a, call_id, from_tag);
	unsigned n = digest_index_find(c->index, key, found);

	for (unsigned i = 0; i < n; i++)
		if (c->call[found[i]].sibling == key && unpack(c, &c->call[found[i]], out) &&
			str_eq(out->v[CALL_ID].s, call_id) && str_eq(out->v[FROM_TAG].s, from_tag))
			return found[i];
	return NONE;
}

/* ---- in the table, and out of it ---- */

static struct acc_call_list *list_of(struct acc_calls *c, uint32_t n)
{
	return c->call[n].ended ? &c->ended : &c->last;
}

static void link_newest(struct acc_calls *c, uint32_t n)
{
	struct acc_call_list *list = list_of(c, n);

	c->call[n].older = list->newest;
	c->call[n].newer = NONE;
	if (list->newest != NONE)
		c->call[list->newest].newer = n;
	else
		list->oldest = n;
	list->newest = n;
}

static void unlink_call(struct acc_calls *c, uint32_t n)
{
	const struct acc_call *call = &c->call[n];
	struct acc_call_list *list = list_of(c, n);

	if (call->older != NONE)
		c->call[call->older].newer = call->newer;
	else
		list->oldest = call->newer;
	if (call->newer != NONE)
		c->call[call->newer].older = call->older;
	else
		list->newest = call->older;
}

static void forget(struct acc_shard *sh, uint32_t n)
{
	struct acc_calls *c = &sh->calls;
	struct acc_call *call = &c->call[n];

	unlink_call(c, n);
	digest_index_remove(c->index, call->key, n);
	if (call->is_sibling)
		digest_index_remove(c->index, call->sibling, n);
	arena_forget(&c->arena, call->text);
	call->newer = c->free;
	c->free = n;
	if (!call->ended)
		gauge(sh, -1);
}

/* It is forgotten when no copy of its 2xx comes any more. */
static void keep_ended(struct acc_shard *sh, uint32_t n, uint64_t now_ns)
{
	struct acc_calls *c = &sh->calls;

	unlink_call(c, n);
	c->call[n].ended = true;
	c->call[n].expires_ns = now_ns + ENDED_NS;
	link_newest(c, n);
	gauge(sh, -1);
}

/* How a fork's further 2xx finds it. Some are enough: whoever gives all of his calls one Call-ID
 * and From tag, and an index has few places for one digest, is not to have them for nothing. */
static void insert_sibling(struct acc_calls *c, uint32_t n)
{
	uint32_t found[DIGEST_INDEX_FOUND_MAX];
	struct acc_call *call = &c->call[n];

	if (digest_index_find(c->index, call->sibling, found) < SIBLINGS_MAX)
		call->is_sibling = digest_index_insert(c->index, call->sibling, n) == 0;
}

/* Puts a call there. 0, -ENOSPC, or -E2BIG: there never is room for it. */
static int insert(struct acc_calls *c, uint32_t n, const struct values *v)
{
	struct acc_call *call = &c->call[n];
	uint32_t bytes = pack(c, v);

	if (bytes == 0)
		return -E2BIG;
	if (arena_write(&c->arena, c->scratch, bytes, &call->text) != 0)
		return -ENOSPC;
	if (digest_index_insert(c->index, call->key, n) == 0) {
		insert_sibling(c, n);
		return 0;
	}
	arena_forget(&c->arena, call->text);
	return -ENOSPC;
}

/* ---- records ---- */

/* Extra fields of a list that has changed meanwhile are none: nothing is better than what belongs
 * to another column. */
static void cdr_of(const struct acc_settings *s, const struct values *v, struct acc_cdr *out)
{
	out->call_id = v->v[CALL_ID].s;
	out->from_tag = v->v[FROM_TAG].s;
	out->to_tag = v->v[TO_TAG].s;
	out->caller = v->v[CALLER].s;
	out->callee = v->v[CALLEE].s;
	out->extras = s->cdr_extra.count;
	for (unsigned i = 0; i < out->extras; i++)
		out->extra[i] = v->extras == s->cdr_extra.digest
					? v->v[FIXED + i]
					: (struct acc_value){.null = true, .s = STR("")};
}

static void write_cdr(struct acc *a, unsigned shard, const struct acc_settings *s,
	const struct acc_cdr *c, struct str what, bool row)
{
	if (s->cdr_log)
		acc_cdr_line(a, shard, s, what, c);
	if (row && s->statement_cdrs >= 0)
		acc_cdr_row(a, shard, s, c);
}

/* Whoever fills the table ends his own calls: those that nobody ends are the oldest. */
static void displace(
	struct acc *a, unsigned shard, const struct acc_settings *s, uint32_t n, uint64_t now_ns)
{
	struct acc_shard *sh = &a->shard[shard];
	struct acc_cdr cdr = {.start_ns = sh->calls.call[n].start_ns, .end = STR("displaced")};
	struct values v;

	cdr.end_ns = now_ns > cdr.start_ns ? now_ns : cdr.start_ns;
	if (unpack(&sh->calls, &sh->calls.call[n], &v)) {
		cdr_of(s, &v, &cdr);
		write_cdr(a, shard, s, &cdr, STR("call displaced"), true);
	}
	acc_count(sh, ACC_COUNTER_CALLS_DISPLACED);
	forget(sh, n);
}

static bool make_room(struct acc *a, unsigned shard, const struct acc_settings *s, uint64_t now_ns)
{
	struct acc_calls *c = &a->shard[shard].calls;

	if (c->ended.oldest != NONE)
		forget(&a->shard[shard], c->ended.oldest);
	else if (c->last.oldest != NONE)
		displace(a, shard, s, c->last.oldest, now_ns);
	else
		return false;
	return true;
}

static int begin_once(struct acc_shard *sh, const struct acc_call *call, const struct values *v)
{
	struct acc_calls *c = &sh->calls;
	uint32_t n = call_take(c);
	int err;

	if (n == NONE)
		return -ENOSPC;
	c->call[n] = *call;
	err = insert(c, n, v);
	if (err != 0) {
		c->call[n].newer = c->free;
		c->free = n;
		return err;
	}
	link_newest(c, n);
	return 0;
}

/* The values do not stand in the scratch. */
static void begin(struct acc *a, unsigned shard, const struct acc_settings *s,
	const struct values *v, uint64_t start_ns, uint64_t now_ns)
{
	struct acc_shard *sh = &a->shard[shard];
	const struct acc_call call = {
		.key = key_of(a, v->v[CALL_ID].s, v->v[FROM_TAG].s, v->v[TO_TAG].s),
		.sibling = sibling_of(a, v->v[CALL_ID].s, v->v[FROM_TAG].s),
		.start_ns = start_ns,
		.extras = v->extras,
		.expires_ns = now_ns + s->lifetime_ns};
	int err = begin_once(sh, &call, v);

	for (unsigned i = 0; err == -ENOSPC && i < ROOM_TRIES; i++) {
		if (!make_room(a, shard, s, now_ns))
			break;
		err = begin_once(sh, &call, v);
	}
	if (err != 0) {
		acc_count(sh, ACC_COUNTER_CALLS_FULL);
		return;
	}
	acc_count(sh, ACC_COUNTER_CALLS);
	gauge(sh, 1);
}

/* ---- what begins and ends them ---- */

/* What the INVITE and its response say. */
static void values_of(struct acc *a, struct acc_shard *sh, const struct acc_settings *s,
	struct route_ctx *ctx, const struct acc_record *r, struct values *v)
{
	const struct sip_address *from = sip_msg_from(&ctx->msg, ctx->buf);
	struct str caller = from != NULL ? sip_text(ctx->buf, from->uri) : STR_NONE;

	v->count = FIXED + s->cdr_extra.count;
	v->extras = s->cdr_extra.digest;
	v->v[CALL_ID] = (struct acc_value){.s = r->call_id};
	v->v[FROM_TAG] = (struct acc_value){.s = r->from_tag};
	v->v[TO_TAG] = (struct acc_value){.s = r->to_tag};
	v->v[CALLER] = (struct acc_value){.s = acc_ascii(sh, caller, ACC_URI_MAX)};
	v->v[CALLEE] = (struct acc_value){
		.s = acc_ascii(sh, sip_text(ctx->buf, ctx->msg.uri_text), ACC_URI_MAX)};
	acc_extras(a, sh, ctx, &s->cdr_extra, v->v + FIXED);
}

static uint64_t arrival(const struct route_ctx *ctx, uint64_t now_ns)
{
	return ctx->received_ns != 0 && ctx->received_ns <= now_ns ? ctx->received_ns : now_ns;
}

void acc_call_begin(struct acc *a, unsigned shard, const struct acc_settings *s,
	const struct txn_news *news, const struct acc_record *r)
{
	struct acc_shard *sh = &a->shard[shard];
	struct values v;
	uint32_t n = find(a, &sh->calls, r->call_id, r->from_tag, r->to_tag, &v);

	/* The same call on its way through us once more; or another one of the same names. */
	if (n != NONE && !sh->calls.call[n].ended)
		return;
	if (n != NONE)
		forget(sh, n);
	values_of(a, sh, s, news->request, r, &v);
	begin(a, shard, s, &v,
		s->cdr_confirmed ? news->now_ns : arrival(news->request, news->now_ns),
		news->now_ns);
}

/* Call-ID and tags of a response to INVITE. */
static bool read_response(
	struct acc *a, struct acc_shard *sh, struct str text, struct str out[TO_TAG + 1])
{
	struct sip_msg *m = sh->response;
	const struct sip_address *from, *to;

	if (sip_msg_index(m, text.s, text.len) != SIP_OK || !m->is_response)
		return false;
	from = sip_msg_from(m, text.s);
	to = sip_msg_to(m, text.s);
	if (from == NULL || to == NULL)
		return false;
	out[CALL_ID] = acc_ascii(
		sh, sip_text(text.s, sip_msg_value(m, SIP_HEADER_CALL_ID)), ACC_CALL_ID_MAX);
	out[FROM_TAG] = acc_ascii(sh, sip_text(text.s, from->tag), ACC_TAG_MAX);
	out[TO_TAG] = acc_ascii(sh, sip_text(text.s, to->tag), ACC_TAG_MAX);
	return true;
}

void acc_call_again(
	struct acc *a, unsigned shard, const struct acc_settings *s, const struct txn_news *news)
{
	struct acc_shard *sh = &a->shard[shard];
	struct str of[TO_TAG + 1];
	struct values v;
	uint32_t n;

	if (!read_response(a, sh, news->response, of) ||
		find(a, &sh->calls, of[CALL_ID], of[FROM_TAG], of[TO_TAG], &v) != NONE)
		return;
	n = find_sibling(a, &sh->calls, of[CALL_ID], of[FROM_TAG], &v);
	if (n == NONE)
		return;
	/* Its values stand in the scratch, where the new call's are packed. */
	for (unsigned i = 0; i < v.count; i++)
		v.v[i].s = acc_copy(sh, v.v[i].s);
	v.v[TO_TAG].s = of[TO_TAG];
	begin(a, shard, s, &v, s->cdr_confirmed ? news->now_ns : sh->calls.call[n].start_ns,
		news->now_ns);
}

/* Whoever answers a BYE so has no such call any more (RFC 3261 15.1.1, 12.2.1.2). A challenge, or a
 * BYE that somebody else refuses, ends nothing. */
static bool is_end(uint16_t status)
{
	return status < 300 || status == 408 || status == 481;
}

/* Who said so, too: what a caller says who pays by the minute is worth less than the callee's word.
 */
static struct str end_text(char out[END_TEXT], bool by_caller, uint16_t status)
{
	const char *side = by_caller ? "caller" : "callee";
	int len = status < 300 ? snprintf(out, END_TEXT, "bye %s", side)
			       : snprintf(out, END_TEXT, "bye %s %u", side, status);

	return str_of(out, (size_t)len);
}

void acc_call_end(struct acc *a, unsigned shard, const struct acc_settings *s,
	const struct txn_news *news, const struct acc_record *r)
{
	struct acc_shard *sh = &a->shard[shard];
	const struct sip_address *to = sip_msg_to(&news->request->msg, news->request->buf);
	char end[END_TEXT];
	struct acc_cdr c;
	struct values v;
	uint32_t n;

	/* Its tags, not that of the response. */
	if (!is_end(news->status) || to == NULL)
		return;
	n = find(a, &sh->calls, r->call_id, r->from_tag,
		acc_ascii(sh, sip_text(news->request->buf, to->tag), ACC_TAG_MAX), &v);
	if (n == NONE || sh->calls.call[n].ended)
		return;
	cdr_of(s, &v, &c);
	c.start_ns = sh->calls.call[n].start_ns;
	c.end_ns = arrival(news->request, news->now_ns);
	if (c.end_ns < c.start_ns)
		c.end_ns = c.start_ns;
	c.end = end_text(end, str_eq(r->from_tag, c.from_tag), news->status);
	write_cdr(a, shard, s, &c, STR("call ended"), true);
	acc_count(sh, ACC_COUNTER_CALLS_ENDED);
	keep_ended(sh, n, news->now_ns);
}

void acc_call_failed(struct acc *a, unsigned shard, const struct acc_settings *s,
	const struct txn_news *news, const struct acc_record *r)
{
	struct acc_shard *sh = &a->shard[shard];
	char end[END_TEXT];
	struct values v;
	struct acc_cdr c;

	if (!s->cdr_on_failed)
		return;
	values_of(a, sh, s, news->request, r, &v);
	cdr_of(s, &v, &c);
	/* Nobody has spoken. */
	c.start_ns = c.end_ns = arrival(news->request, news->now_ns);
	c.end = str_of(end, (size_t)snprintf(end, sizeof(end), "failed %u", news->status));
	write_cdr(a, shard, s, &c, STR("call failed"), true);
}

static unsigned forget_ended(struct acc_shard *sh, uint64_t now_ns)
{
	struct acc_calls *c = &sh->calls;
	unsigned n = 0;

	for (; n < EXPIRE_MAX && c->ended.oldest != NONE; n++) {
		if (c->call[c->ended.oldest].expires_ns > now_ns)
			break;
		forget(sh, c->ended.oldest);
	}
	return n;
}

unsigned acc_poll(struct acc *a, unsigned shard, uint64_t now_ns)
{
	struct acc_shard *sh = &a->shard[shard];
	struct acc_calls *c = &sh->calls;
	const struct acc_settings *s;
	unsigned ended = forget_ended(sh, now_ns), n = 0;

	if (c->last.oldest == NONE || c->call[c->last.oldest].expires_ns > now_ns)
		return ended;
	s = acc_settings(a);
	for (; n < EXPIRE_MAX && c->last.oldest != NONE; n++) {
		const struct acc_call *call = &c->call[c->last.oldest];
		struct acc_cdr cdr = {.end = STR("expired")};
		struct values v;

		if (call->expires_ns > now_ns)
			break;
		acc_begin(sh);
		cdr.start_ns = call->start_ns;
		cdr.end_ns = call->expires_ns;
		if (unpack(c, call, &v)) {
			cdr_of(s, &v, &cdr);
			write_cdr(a, shard, s, &cdr, STR("call expired"), s->cdr_expired);
		}
		acc_count(sh, ACC_COUNTER_CALLS_EXPIRED);
		forget(sh, c->last.oldest);
	}
	return ended + n;
}
