/* SPDX-License-Identifier: BSD-3-Clause */
#include "resolve/internal.h"

#include <errno.h>

#define HEADER_LEN 12
#define TTL_INVALID 0x80000000U
/* In one name: so many labels it has at most, and each pointer stands behind one of them. Without
 * this bound an answer of 64 KB (over TCP) holds us up for 0.3 s, by records that all lead through
 * one long chain. */
#define POINTERS_MAX 127

/* One record of the answer section. */
struct record {
	struct host_name owner;
	uint16_t type, class, length;
	uint32_t ttl;
	uint32_t data; /* offset in the message */
};

struct reader {
	const uint8_t *msg;
	uint32_t len, at;
	uint32_t left; /* records */
};

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

/*
 * RFC 1035 4.1.4: a name at `at`, with pointers, which lead backwards only: so it ends, and soon,
 * as there are POINTERS_MAX at most. What is no host name is read, but comes out empty, and equals
 * nothing. Returns the offset behind it, or 0.
 */
static uint32_t read_name(const uint8_t *msg, uint32_t len, uint32_t at, struct host_name *out)
{
	char text[RESOLVE_NAME_MAX + 1];
	uint32_t n = 0, behind = 0, limit = at, pointers = 0;

	out->len = 0;
	out->s[0] = '\0';
	for (;;) {
		uint32_t label;

		if (at >= len)
			return 0;
		label = msg[at];
		if (label >= 0xc0) {
			if (at + 1 >= len)
				return 0;
			if (behind == 0)
				behind = at + 2;
			at = (label & 0x3f) << 8 | msg[at + 1];
			if (at >= limit || ++pointers > POINTERS_MAX)
				return 0;
			limit = at;
			continue;
		}
		at++;
		if (label == 0)
			break;
		if (label > 63 || label > len - at || n + label + 1 > RESOLVE_NAME_MAX)
			return 0;
		memcpy(text + n, msg + at, label);
		/* A dot inside a label would make two of one. */
		if (memchr(text + n, '.', label) != NULL)
			text[n] = '\0';
		n += label;
		text[n++] = '.';
		at += label;
	}
	if (n > 0 && !name_read(str_of(text, n - 1), out))
		out->len = 0;
	return behind != 0 ? behind : at;
}

/* Whether the message has a header and questions; the reader stands at the first answer. */
static bool reader_begin(struct reader *r, const uint8_t *msg, uint32_t len)
{
	struct host_name ignored;
	uint32_t questions;

	if (len < HEADER_LEN)
		return false;
	*r = (struct reader){.msg = msg, .len = len, .at = HEADER_LEN, .left = get16(msg + 6)};
	for (questions = get16(msg + 4); questions > 0; questions--) {
		r->at = read_name(msg, len, r->at, &ignored);
		if (r->at == 0 || len - r->at < 4)
			return false;
		r->at += 4;
	}
	return true;
}

/* 1 with a record, 0 at the end, -EBADMSG. */
static int reader_next(struct reader *r, struct record *out)
{
	const uint8_t *p;

	if (r->left == 0)
		return 0;
	r->left--;
	r->at = read_name(r->msg, r->len, r->at, &out->owner);
	if (r->at == 0 || r->len - r->at < 10)
		return -EBADMSG;
	p = r->msg + r->at;
	out->type = get16(p);
	out->class = get16(p + 2);
	out->ttl = (uint32_t)get16(p + 4) << 16 | get16(p + 6);
	/* RFC 2181 8: a TTL with the top bit set is 0. */
	if (out->ttl >= TTL_INVALID)
		out->ttl = 0;
	out->length = get16(p + 8);
	out->data = r->at + 10;
	if (out->length > r->len - out->data)
		return -EBADMSG;
	r->at = out->data + out->length;
	return 1;
}

static bool name_equal(const struct host_name *a, const struct host_name *b)
{
	return a->len == b->len && memcmp(a->s, b->s, a->len) == 0;
}

/* A CNAME record of the section: where its two names stand. */
struct alias {
	struct host_name owner;
	uint32_t target, end, ttl;
};

/*
 * What a walk over a message's records keeps, and how. `take` has one record of the type, which is
 * the name's; it returns -EBADMSG where that can't be read.
 */
struct reading {
	const uint8_t *msg;
	uint32_t len;
	uint16_t type;
	int (*take)(struct reading *w, const struct record *rec);
	void *out;
	unsigned count, max;
	struct answer_extent *extent;
	uint8_t family; /* of addresses */
};

static void lower(uint32_t *ttl, uint32_t to)
{
	*ttl = to < *ttl ? to : *ttl;
}

/* The section's CNAMEs, the first ANSWER_ALIASES_MAX; or -EBADMSG where it can't be read. */
static int read_aliases(struct reading *w, struct alias *alias)
{
	struct record rec;
	struct reader r;
	int got, n = 0;

	if (!reader_begin(&r, w->msg, w->len))
		return -EBADMSG;
	while ((got = reader_next(&r, &rec)) == 1) {
		if (rec.type != DNS_CNAME || rec.class != DNS_IN || rec.owner.len == 0)
			continue;
		if (n == ANSWER_ALIASES_MAX) {
			w->extent->cut = true;
			continue;
		}
		alias[n++] = (struct alias){rec.owner, rec.data, rec.data + rec.length, rec.ttl};
	}
	return got < 0 ? got : n;
}

/*
 * Follows CNAMEs (RFC 1034 3.6.2), in whatever order they stand, to the name that the records
 * belong to. Records of other names are not ours to believe. A loop ends by its length, at a name
 * that has nothing.
 */
static int follow_aliases(struct reading *w, struct host_name *name)
{
	struct alias alias[ANSWER_ALIASES_MAX];
	int n = read_aliases(w, alias);

	if (n < 0)
		return n;
	for (unsigned hop = 0; hop < ANSWER_CNAMES_MAX && name->len != 0; hop++) {
		int i = 0;

		while (i < n && !name_equal(&alias[i].owner, name))
			i++;
		if (i == n)
			return 0;
		if (read_name(w->msg, alias[i].end, alias[i].target, name) == 0)
			return -EBADMSG;
		lower(&w->extent->ttl, alias[i].ttl);
	}
	name->len = 0;
	return 0;
}

/* The frame of all that is read of an answer. Returns how many were kept, or -EBADMSG. */
static int read_records(struct reading *w, const struct host_name *name)
{
	struct host_name owner = *name;
	struct record rec;
	struct reader r;
	int got = follow_aliases(w, &owner);

	if (got < 0 || !reader_begin(&r, w->msg, w->len))
		return -EBADMSG;
	while ((got = reader_next(&r, &rec)) == 1) {
		if (rec.type != w->type || rec.class != DNS_IN || owner.len == 0 ||
			!name_equal(&rec.owner, &owner))
			continue;
		got = w->take(w, &rec);
		if (got < 0)
			break;
	}
	return got < 0 ? got : (int)w->count;
}

/* Keeps the first `max` of a sorted array without doubles, and says where one fell off. */
#define KEEP_SORTED(w, array, item, compare) \
	do { \
		unsigned i_ = (w)->count; \
		while (i_ > 0 && (compare)(&(item), &(array)[i_ - 1]) < 0) \
			i_--; \
		if (i_ > 0 && (compare)(&(item), &(array)[i_ - 1]) == 0) \
			break; \
		(w)->extent->cut |= (w)->count == (w)->max; \
		if (i_ == (w)->max) \
			break; \
		if ((w)->count < (w)->max) \
			(w)->count++; \
		memmove(&(array)[i_ + 1], &(array)[i_], \
			((w)->count - 1 - i_) * sizeof((array)[0])); \
		(array)[i_] = (item); \
	} while (0)

/*
 * What no SIP server can have, whoever says so (RFC 3261 18.1.1 aside, multicast is not asked for
 * by a name here). Loopback is for the caller to judge.
 */
static bool is_impossible(const struct net_addr *a)
{
	return net_addr_is_unspecified(a) || net_addr_is_multicast(a) || net_addr_is_v4_mapped(a);
}

static int take_address(struct reading *w, const struct record *rec)
{
	struct net_addr *out = w->out, a;
	uint32_t v4;

	if (rec->length != (w->family == 4 ? 4 : 16))
		return -EBADMSG;
	memcpy(&v4, w->msg + rec->data, 4);
	a = w->family == 4 ? net_addr_v4(v4) : net_addr_v6(w->msg + rec->data);
	if (is_impossible(&a))
		return 0;
	lower(&w->extent->ttl, rec->ttl);
	KEEP_SORTED(w, out, a, net_addr_compare);
	return 0;
}

int answer_addresses(const uint8_t *msg, uint32_t len, const struct host_name *name, uint8_t family,
	struct net_addr *out, unsigned max, struct answer_extent *extent)
{
	struct reading w = {.msg = msg,
		.len = len,
		.type = family == 4 ? DNS_A : DNS_AAAA,
		.take = take_address,
		.out = out,
		.max = max,
		.extent = extent,
		.family = family};

	return read_records(&w, name);
}

int answer_srv_compare(const struct answer_srv *a, const struct answer_srv *b)
{
	int order;

	if (a->priority != b->priority)
		return a->priority < b->priority ? -1 : 1;
	if (a->weight != b->weight)
		return a->weight > b->weight ? -1 : 1;
	order = strcmp(a->target.s, b->target.s);
	if (order != 0)
		return order;
	return (a->port > b->port) - (a->port < b->port);
}

/* RFC 1035 3.3: a length and as many characters. False where it leaves its record. */
static bool read_string(const uint8_t *msg, uint32_t end, uint32_t *at, struct str *out)
{
	if (*at >= end || msg[*at] >= end - *at)
		return false;
	*out = str_of((const char *)msg + *at + 1, msg[*at]);
	*at += 1 + out->len;
	return true;
}

static int naptr_compare(const struct answer_naptr *a, const struct answer_naptr *b)
{
	if (a->order != b->order)
		return a->order < b->order ? -1 : 1;
	if (a->preference != b->preference)
		return a->preference < b->preference ? -1 : 1;
	return strcmp(a->replacement.s, b->replacement.s);
}

static int take_naptr(struct reading *w, const struct record *rec)
{
	uint32_t at = rec->data + 4, end = rec->data + rec->length;
	struct answer_naptr *out = w->out, naptr;
	struct str flags, service, regexp;

	if (rec->length < 8 || !read_string(w->msg, end, &at, &flags) ||
		!read_string(w->msg, end, &at, &service) ||
		!read_string(w->msg, end, &at, &regexp) ||
		read_name(w->msg, end, at, &naptr.replacement) == 0)
		return -EBADMSG;
	naptr.order = get16(w->msg + rec->data);
	naptr.preference = get16(w->msg + rec->data + 2);
	/* Those of other services count too: they may change to one of ours. */
	lower(&w->extent->ttl, rec->ttl);
	if (!str_ieq(flags, STR("s")) || !str_ieq(service, STR("SIP+D2U")) || regexp.len != 0 ||
		naptr.replacement.len == 0)
		return 0;
	KEEP_SORTED(w, out, naptr, naptr_compare);
	return 0;
}

int answer_naptrs(const uint8_t *msg, uint32_t len, const struct host_name *name,
	struct answer_naptr *out, unsigned max, struct answer_extent *extent)
{
	struct reading w = {.msg = msg,
		.len = len,
		.type = DNS_NAPTR,
		.take = take_naptr,
		.out = out,
		.max = max,
		.extent = extent};

	return read_records(&w, name);
}

static int take_service(struct reading *w, const struct record *rec)
{
	const uint8_t *p = w->msg + rec->data;
	struct answer_srv *out = w->out, srv;

	if (rec->length < 7)
		return -EBADMSG;
	srv.priority = get16(p);
	srv.weight = get16(p + 2);
	srv.port = get16(p + 4);
	if (read_name(w->msg, rec->data + rec->length, rec->data + 6, &srv.target) == 0)
		return -EBADMSG;
	lower(&w->extent->ttl, rec->ttl);
	/*
	 * RFC 2782: a target of "." says that there is none; it stands alone. Others need a port
	 * and a host.
	 */
	if (p[6] != 0 && (srv.port == 0 || srv.target.len == 0))
		return 0;
	KEEP_SORTED(w, out, srv, answer_srv_compare);
	return 0;
}

int answer_services(const uint8_t *msg, uint32_t len, const struct host_name *name,
	struct answer_srv *out, unsigned max, struct answer_extent *extent)
{
	struct reading w = {.msg = msg,
		.len = len,
		.type = DNS_SRV,
		.take = take_service,
		.out = out,
		.max = max,
		.extent = extent};

	return read_records(&w, name);
}
