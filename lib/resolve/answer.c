/* SPDX-License-Identifier: BSD-3-Clause */
#include "resolve/internal.h"

#include <errno.h>

#define HEADER_LEN 12
#define CNAMES_MAX 8
#define TTL_INVALID 0x80000000U

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
 * RFC 1035 4.1.4: a name at `at`, with pointers, which lead backwards only: so it ends. What is no
 * host name is read, but comes out empty, and equals nothing. Returns the offset behind it, or 0.
 */
static uint32_t read_name(const uint8_t *msg, uint32_t len, uint32_t at, struct host_name *out)
{
	char text[RESOLVE_NAME_MAX + 1];
	uint32_t n = 0, behind = 0, limit = at;

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
			if (at >= limit)
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

/*
 * Follows CNAMEs (RFC 1034 3.6.2) through the section, in whatever order they stand, to the name
 * that the records belong to. Records of other names are not ours to believe. A loop ends by its
 * length, at a name that has nothing.
 */
static int follow_cnames(const uint8_t *msg, uint32_t len, struct host_name *name, uint32_t *ttl)
{
	for (unsigned hop = 0; hop < CNAMES_MAX && name->len != 0; hop++) {
		struct record rec;
		struct reader r;
		int got;

		if (!reader_begin(&r, msg, len))
			return -EBADMSG;
		while ((got = reader_next(&r, &rec)) == 1)
			if (rec.type == DNS_CNAME && rec.class == DNS_IN &&
				name_equal(&rec.owner, name))
				break;
		if (got <= 0)
			return got;
		if (read_name(msg, rec.data + rec.length, rec.data, name) == 0)
			return -EBADMSG;
		if (rec.ttl < *ttl)
			*ttl = rec.ttl;
	}
	name->len = 0;
	return 0;
}

/* Keeps the first `max` of a sorted array without doubles; returns the new count. */
#define KEEP_SORTED(array, count, max, item, compare) \
	do { \
		unsigned i_ = (count); \
		while (i_ > 0 && (compare)(&(item), &(array)[i_ - 1]) < 0) \
			i_--; \
		if ((i_ > 0 && (compare)(&(item), &(array)[i_ - 1]) == 0) || i_ == (max)) \
			break; \
		if ((count) < (max)) \
			(count)++; \
		memmove(&(array)[i_ + 1], &(array)[i_], ((count)-1 - i_) * sizeof((array)[0])); \
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

int answer_addresses(const uint8_t *msg, uint32_t len, const struct host_name *name, uint8_t family,
	struct net_addr *out, unsigned max, uint32_t *ttl)
{
	uint16_t type = family == 4 ? DNS_A : DNS_AAAA, size = family == 4 ? 4 : 16;
	struct host_name owner = *name;
	unsigned count = 0;
	struct record rec;
	struct reader r;
	int got = follow_cnames(msg, len, &owner, ttl);

	if (got < 0 || !reader_begin(&r, msg, len))
		return -EBADMSG;
	while ((got = reader_next(&r, &rec)) == 1) {
		struct net_addr a;
		uint32_t v4;

		if (rec.type != type || rec.class != DNS_IN || owner.len == 0 ||
			!name_equal(&rec.owner, &owner))
			continue;
		if (rec.length != size)
			return -EBADMSG;
		memcpy(&v4, msg + rec.data, 4);
		a = family == 4 ? net_addr_v4(v4) : net_addr_v6(msg + rec.data);
		if (is_impossible(&a))
			continue;
		if (rec.ttl < *ttl)
			*ttl = rec.ttl;
		KEEP_SORTED(out, count, max, a, net_addr_compare);
	}
	return got < 0 ? got : (int)count;
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

int answer_naptrs(const uint8_t *msg, uint32_t len, const struct host_name *name,
	struct answer_naptr *out, unsigned max, uint32_t *ttl)
{
	struct host_name owner = *name;
	unsigned count = 0;
	struct record rec;
	struct reader r;
	int got = follow_cnames(msg, len, &owner, ttl);

	if (got < 0 || !reader_begin(&r, msg, len))
		return -EBADMSG;
	while ((got = reader_next(&r, &rec)) == 1) {
		uint32_t at = rec.data + 4, end = rec.data + rec.length;
		struct str flags, service, regexp;
		struct answer_naptr naptr;

		if (rec.type != DNS_NAPTR || rec.class != DNS_IN || owner.len == 0 ||
			!name_equal(&rec.owner, &owner))
			continue;
		if (rec.length < 8 || !read_string(msg, end, &at, &flags) ||
			!read_string(msg, end, &at, &service) ||
			!read_string(msg, end, &at, &regexp) ||
			read_name(msg, end, at, &naptr.replacement) == 0)
			return -EBADMSG;
		naptr.order = get16(msg + rec.data);
		naptr.preference = get16(msg + rec.data + 2);
		/* Those of other services count too: they may change to one of ours. */
		if (rec.ttl < *ttl)
			*ttl = rec.ttl;
		if (!str_ieq(flags, STR("s")) || !str_ieq(service, STR("SIP+D2U")) ||
			regexp.len != 0 || naptr.replacement.len == 0)
			continue;
		KEEP_SORTED(out, count, max, naptr, naptr_compare);
	}
	return got < 0 ? got : (int)count;
}

int answer_services(const uint8_t *msg, uint32_t len, const struct host_name *name,
	struct answer_srv *out, unsigned max, uint32_t *ttl)
{
	struct host_name owner = *name;
	unsigned count = 0;
	struct record rec;
	struct reader r;
	int got = follow_cnames(msg, len, &owner, ttl);

	if (got < 0 || !reader_begin(&r, msg, len))
		return -EBADMSG;
	while ((got = reader_next(&r, &rec)) == 1) {
		const uint8_t *p = msg + rec.data;
		struct answer_srv srv;

		if (rec.type != DNS_SRV || rec.class != DNS_IN || owner.len == 0 ||
			!name_equal(&rec.owner, &owner))
			continue;
		if (rec.length < 7)
			return -EBADMSG;
		srv.priority = get16(p);
		srv.weight = get16(p + 2);
		srv.port = get16(p + 4);
		if (read_name(msg, rec.data + rec.length, rec.data + 6, &srv.target) == 0)
			return -EBADMSG;
		if (rec.ttl < *ttl)
			*ttl = rec.ttl;
		/*
		 * RFC 2782: a target of "." says that there is none; it stands alone. Others need a
		 * port and a host.
		 */
		if (p[6] != 0 && (srv.port == 0 || srv.target.len == 0))
			continue;
		KEEP_SORTED(out, count, max, srv, answer_srv_compare);
	}
	return got < 0 ? got : (int)count;
}
