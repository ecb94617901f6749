/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Address groups: longest prefix match for IPv4 and IPv6.
 *
 * The prefixes cut the address space into ranges, sorted by where they begin; each range knows the
 * most specific prefix that covers it. A first table over the top 16 bits says which few ranges can
 * hold an address, a binary search picks one. So a look-up costs one access for the top bits and at
 * most log2 of the ranges there, whatever the number of prefixes elsewhere.
 *
 * Each record points on to the next one that covers the same addresses: of the same prefix, then of
 * the next shorter one. Thus an address is in the groups of all prefixes around it, as operators
 * know it from Kamailio, and the longest comes first.
 */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>

#include "access/internal.h"

#define ROOT_BITS 16
#define ROOT_SLOTS (1u << ROOT_BITS)
#define RECORD_NONE UINT32_MAX

/* An address, left-aligned: of IPv4 the top 32 bits. */
typedef unsigned __int128 address_key;

/* One line of the file, while the table is built. */
struct rule {
	address_key first, last; /* addresses of its prefix */
	uint32_t group;
	uint32_t tag; /* where it begins among the tags; 0: there is none */
	uint16_t port;
	uint8_t bits;
};

struct record {
	uint32_t group;
	uint32_t next; /* the next record for the same addresses, or RECORD_NONE */
	uint32_t tag;
	uint16_t port; /* 0: any */
	uint8_t bits;
};

struct table {
	uint32_t ranges; /* 0: holds nothing */
	uint32_t *root;  /* [ROOT_SLOTS + 1]: the range that holds the first address of each slot */
	address_key *begin;     /* [ranges] */
	uint32_t *range_record; /* [ranges] */
	struct record *record;
};

struct access_addresses {
	struct table v4, v6;
	uint32_t count; /* of records */
	char *tags;     /* each behind a byte that says its length */
};

/* ---- look-up ---- */

static inline uint64_t be64_at(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return be64toh(v);
}

static inline address_key key_of(const struct net_addr *addr)
{
	if (addr->family == 4)
		return (address_key)be32toh(addr->v4) << 96;
	return (address_key)be64_at(addr->b) << 64 | be64_at(addr->b + 8);
}

/* The first record for an address, or RECORD_NONE. */
static uint32_t lookup(const struct table *t, address_key key)
{
	uint32_t slot = (uint32_t)(key >> (128 - ROOT_BITS)), low, high;

	if (t->ranges == 0)
		return RECORD_NONE;
	low = t->root[slot];
	high = t->root[slot + 1];
	/* The last range that begins at or before the key is in [low, high]. */
	while (low < high) {
		uint32_t middle = low + (high - low + 1) / 2;

		if (t->begin[middle] <= key)
			low = middle;
		else
			high = middle - 1;
	}
	return t->range_record[low];
}

static const struct record *find(const struct access_addresses *a, uint32_t group,
	const struct net_addr *addr, uint32_t port)
{
	const struct table *t;
	uint32_t at;

	if (addr->family != 4 && addr->family != 6)
		return NULL;
	t = addr->family == 4 ? &a->v4 : &a->v6;
	for (at = lookup(t, key_of(addr)); at != RECORD_NONE; at = t->record[at].next) {
		const struct record *r = &t->record[at];

		if ((group == 0 || r->group == group) &&
			(r->port == 0 || port == 0 || r->port == port))
			return r;
	}
	return NULL;
}

bool access_addresses_find(const struct access_addresses *a, uint32_t group,
	const struct net_addr *addr, uint32_t port, struct access_match *out)
{
	const struct record *r = find(a, group, addr, port);

	if (r == NULL)
		return false;
	out->group = r->group;
	out->bits = r->bits;
	out->tag = STR_NONE;
	if (r->tag != 0)
		out->tag = str_of(a->tags + r->tag + 1, (unsigned char)a->tags[r->tag]);
	return true;
}

bool access_addresses_match(const struct access_addresses *a, uint32_t group,
	const struct net_addr *addr, uint32_t port)
{
	return find(a, group, addr, port) != NULL;
}

int64_t access_addresses_group(
	const struct access_addresses *a, const struct net_addr *addr, uint32_t port)
{
	const struct record *r = find(a, 0, addr, port);

	return r != NULL ? (int64_t)r->group : -1;
}

#define EXAMPLES_MAX 64

static unsigned examples_of(const struct table *t, uint8_t family, struct net_endpoint *out,
	uint32_t *groups, unsigned have, unsigned max)
{
	for (uint32_t i = 0; i < t->ranges && have < max; i++) {
		const struct record *r =
			t->range_record[i] != RECORD_NONE ? &t->record[t->range_record[i]] : NULL;
		bool known = r == NULL;

		for (unsigned j = 0; j < have && !known; j++)
			known = groups[j] == r->group;
		if (known)
			continue;
		groups[have] = r->group;
		memset(&out[have], 0, sizeof(out[have]));
		out[have].port = r->port;
		out[have].addr.family = family;
		for (unsigned b = 0; b < (family == 4 ? 4 : 16); b++)
			out[have].addr.b[b] = (uint8_t)(t->begin[i] >> (120 - 8 * b));
		have++;
	}
	return have;
}

unsigned access_addresses_examples(
	const struct access_addresses *a, struct net_endpoint *out, unsigned max)
{
	uint32_t groups[EXAMPLES_MAX];
	unsigned n;

	if (max > EXAMPLES_MAX)
		max = EXAMPLES_MAX;
	n = examples_of(&a->v4, 4, out, groups, 0, max);
	return examples_of(&a->v6, 6, out, groups, n, max);
}

/* ---- building ---- */

/* A shorter prefix before the longer ones in it; of one prefix by group and port. */
static int compare(const void *a, const void *b)
{
	const struct rule *x = a, *y = b;

	if (x->first != y->first)
		return x->first < y->first ? -1 : 1;
	if (x->bits != y->bits)
		return x->bits < y->bits ? -1 : 1;
	if (x->group != y->group)
		return x->group < y->group ? -1 : 1;
	return (x->port > y->port) - (x->port < y->port);
}

/* From `key` on, the most specific record is `record`. */
static void begin_range(struct table *t, address_key key, uint32_t record)
{
	/* Prefixes that begin at one address follow each other from short to long: the last word
	 * counts. */
	if (t->begin[t->ranges - 1] != key)
		t->begin[t->ranges++] = key;
	t->range_record[t->ranges - 1] = record;
}

/* The prefixes around the point that the sweep has reached, shortest first; none is longer than 128
 * bits. */
struct open_prefixes {
	unsigned depth;
	struct {
		address_key last;
		uint32_t record;
	} at[130];
};

/* Ends the innermost prefix: what follows it belongs to the one around it. */
static void close_prefix(struct table *t, struct open_prefixes *open)
{
	address_key last = open->at[--open->depth].last;

	if (last != ~(address_key)0)
		begin_range(t, last + 1,
			open->depth != 0 ? open->at[open->depth - 1].record : RECORD_NONE);
}

/* Makes ranges and chained records of the sorted rules, of which none repeats another. */
static void sweep(struct table *t, const struct rule *rule, uint32_t rules)
{
	struct open_prefixes open = {0};
	uint32_t end;

	t->begin[0] = 0;
	t->range_record[0] = RECORD_NONE;
	t->ranges = 1;
	for (uint32_t i = 0; i < rules; i = end) {
		uint32_t around;

		while (open.depth != 0 && open.at[open.depth - 1].last < rule[i].first)
			close_prefix(t, &open);
		around = open.depth != 0 ? open.at[open.depth - 1].record : RECORD_NONE;
		for (end = i; end < rules && rule[end].first == rule[i].first &&
			      rule[end].bits == rule[i].bits;
			end++)
			t->record[end] = (struct record){.group = rule[end].group,
				.next = end + 1,
				.tag = rule[end].tag,
				.port = rule[end].port,
				.bits = rule[end].bits};
		t->record[end - 1].next = around;
		open.at[open.depth].last = rule[i].last;
		open.at[open.depth++].record = i;
		begin_range(t, rule[i].first, i);
	}
	while (open.depth != 0)
		close_prefix(t, &open);
}

static void index_root(struct table *t)
{
	uint32_t range = 0;

	for (uint32_t slot = 0; slot < ROOT_SLOTS; slot++) {
		address_key first = (address_key)slot << (128 - ROOT_BITS);

		while (range + 1 < t->ranges && t->begin[range + 1] <= first)
			range++;
		t->root[slot] = range;
	}
	t->root[ROOT_SLOTS] = t->ranges - 1;
}

/* How many records, or -ENOMEM. */
static int64_t build(struct table *t, struct rule *rule, uint32_t rules)
{
	uint32_t kept = 0;

	if (rules == 0)
		return 0;
	qsort(rule, rules, sizeof(*rule), compare);
	for (uint32_t i = 0; i < rules; i++)
		if (i == 0 || compare(&rule[kept - 1], &rule[i]) != 0)
			rule[kept++] = rule[i];
	/* Each prefix begins a range and leaves one behind. */
	t->begin = malloc((2 * (size_t)kept + 1) * sizeof(*t->begin));
	t->range_record = malloc((2 * (size_t)kept + 1) * sizeof(*t->range_record));
	t->record = malloc(kept * sizeof(*t->record));
	t->root = malloc((ROOT_SLOTS + 1) * sizeof(*t->root));
	if (t->begin == NULL || t->range_record == NULL || t->record == NULL || t->root == NULL)
		return -ENOMEM;
	sweep(t, rule, kept);
	index_root(t);
	return kept;
}

static void free_table(struct table *t)
{
	free(t->root);
	free(t->begin);
	free(t->range_record);
	free(t->record);
}

void access_addresses_free(void *table)
{
	struct access_addresses *a = table;

	if (a == NULL)
		return;
	free_table(&a->v4);
	free_table(&a->v6);
	free(a->tags);
	free(a);
}

uint32_t access_addresses_count(const void *table)
{
	return ((const struct access_addresses *)table)->count;
}

/* ---- what a table is built of ---- */

struct rules {
	struct rule *rule;
	uint32_t count, room;
};

struct loading {
	struct route_report *report;
	struct access_rows *rows; /* of a database */
	struct rules v4, v6;
	char *tags;
	uint32_t tags_len, tags_room;
	uint32_t lines;
	bool failed;
};

static bool add_rule(struct rules *rules, const struct rule *rule)
{
	if (rules->count == rules->room) {
		uint32_t room = rules->room == 0 ? 64 : 2 * rules->room;
		struct rule *bigger = realloc(rules->rule, room * sizeof(*bigger));

		if (bigger == NULL)
			return false;
		rules->rule = bigger;
		rules->room = room;
	}
	rules->rule[rules->count++] = *rule;
	return true;
}

/* Keeps a tag; where, 0 for none. False: no memory. */
static bool add_tag(struct loading *l, struct str tag, uint32_t *at)
{
	*at = 0;
	if (tag.len == 0)
		return true;
	if (l->tags_room - l->tags_len < 1 + ACCESS_TAG_MAX + 1) {
		uint32_t room = 2 * l->tags_room + 4096;
		char *bigger = realloc(l->tags, room);

		if (bigger == NULL)
			return false;
		l->tags = bigger;
		l->tags_room = room;
	}
	if (l->tags_len == 0)
		l->tags[l->tags_len++] = '\0'; /* place 0 is none's */
	*at = l->tags_len;
	l->tags[l->tags_len++] = (char)tag.len;
	memcpy(l->tags + l->tags_len, tag.s, tag.len);
	l->tags_len += tag.len;
	return true;
}

/* One line or row. Whether its address has bits below its mask is said; NULL, or what is wrong. */
static const char *add_address(struct loading *l, uint32_t group, const struct net_addr *addr,
	uint32_t mask, uint16_t port, struct str tag, bool *below_mask)
{
	struct rule rule = {.group = group, .port = port, .bits = (uint8_t)mask};
	address_key below = mask == 0 ? ~(address_key)0 : ((address_key)1 << (128 - mask)) - 1;

	rule.first = key_of(addr) & ~below;
	rule.last = rule.first | below;
	*below_mask = rule.first != key_of(addr);
	if (!add_tag(l, tag, &rule.tag) || !add_rule(addr->family == 4 ? &l->v4 : &l->v6, &rule))
		return "not enough memory";
	return NULL;
}

static void free_loading(struct loading *l)
{
	free(l->v4.rule);
	free(l->v6.rule);
	free(l->tags);
}

/* NULL: not enough memory. */
static struct access_addresses *build_all(struct loading *l)
{
	struct access_addresses *a = calloc(1, sizeof(*a));
	int64_t v4, v6;

	if (a == NULL)
		return NULL;
	v4 = build(&a->v4, l->v4.rule, l->v4.count);
	v6 = build(&a->v6, l->v6.rule, l->v6.count);
	if (v4 < 0 || v6 < 0) {
		access_addresses_free(a);
		return NULL;
	}
	a->count = (uint32_t)(v4 + v6);
	a->tags = l->tags;
	l->tags = NULL;
	return a;
}

#define MASK_WRONG(family) ((family) == 4 ? "a mask is 0 to 32 bits" : "a mask is 0 to 128 bits")
#define GROUP_WRONG "a group is a number from 1 on"
#define PORT_WRONG "a port is 0 (any) to 65535"
#define TAG_WRONG "a tag has at most 64 bytes"
_Static_assert(ACCESS_TAG_MAX == 64, "the sentence says so");

/* ---- the file ---- */

static void refuse(
	struct loading *l, const struct access_line *line, unsigned field, const char *why)
{
	struct route_place place = access_line_place(line, field);
	struct str text =
		field < line->count && field < ACCESS_FIELDS_MAX ? line->field[field] : STR_NONE;

	l->failed = true;
	if (text.len != 0)
		route_error(l->report, &place, "'%.*s': %s", STR_FMT(text), why);
	else
		route_error(l->report, &place, "%s", why);
}

/* (group) (address) [mask] [port] [tag] */
static void take_line(void *arg, const struct access_line *line)
{
	struct loading *l = arg;
	uint32_t group, mask, port = 0;
	struct str tag = STR_NONE;
	struct net_addr addr;
	const char *why;
	bool below;

	if (line->count < 2 || line->count > 5) {
		refuse(l, line, line->count > 5 ? 5 : line->count,
			"a line is: group address [mask [port [tag]]]");
		return;
	}
	if (str_to_u32(line->field[0], INT32_MAX, &group) != 0 || group == 0) {
		refuse(l, line, 0, GROUP_WRONG);
		return;
	}
	if (net_addr_parse(line->field[1], &addr) != 0) {
		refuse(l, line, 1,
			"neither an IPv4 nor an IPv6 address (the mask is a column of its own)");
		return;
	}
	mask = addr.family == 4 ? 32 : 128;
	if (line->count > 2 && str_to_u32(line->field[2], mask, &mask) != 0) {
		refuse(l, line, 2, MASK_WRONG(addr.family));
		return;
	}
	if (line->count > 3 && str_to_u32(line->field[3], UINT16_MAX, &port) != 0) {
		refuse(l, line, 3, PORT_WRONG);
		return;
	}
	if (line->count > 4)
		tag = line->field[4];
	if (tag.len > ACCESS_TAG_MAX) {
		refuse(l, line, 4, TAG_WRONG);
		return;
	}
	if (++l->lines > ACCESS_ADDRESSES_MAX) {
		if (l->lines == ACCESS_ADDRESSES_MAX + 1)
			refuse(l, line, 0, "more addresses than a table holds");
		return;
	}
	why = add_address(l, group, &addr, mask, (uint16_t)port, tag, &below);
	if (why != NULL)
		refuse(l, line, 0, why);
	if (below) {
		struct route_place place = access_line_place(line, 1);

		route_warning(l->report, &place,
			"'%.*s' has bits below its mask of %u, which do not count",
			STR_FMT(line->field[1]), mask);
	}
}

struct access_addresses *access_addresses_load(const char *path, struct route_report *report)
{
	struct loading l = {.report = report};
	struct access_addresses *a = NULL;

	if (path != NULL && access_file_read(path, report, take_line, &l) != 0)
		l.failed = true;
	if (!l.failed)
		a = build_all(&l);
	if (a == NULL && !l.failed)
		route_error(report, NULL, "address_file: not enough memory");
	free_loading(&l);
	return a;
}

/* ---- rows ---- */

static void *begin_rows(struct access_rows *rows)
{
	struct loading *l = calloc(1, sizeof(*l));

	if (l != NULL)
		l->rows = rows;
	return l;
}

static bool in_range(const struct db_value *value, int64_t low, int64_t high)
{
	return value->type == DB_INT && value->i >= low && value->i <= high;
}

/* grp, ip_addr, mask, port, tag */
static bool take_row(void *building, const struct db_value *v)
{
	struct loading *l = building;
	struct str text = str_trim(access_row_text(&v[1])), tag = access_row_text(&v[4]);
	int64_t mask, whole;
	struct net_addr addr;
	const char *why;
	bool below;

	if (!in_range(&v[0], 1, INT32_MAX)) {
		access_row_refuse(l->rows, text, GROUP_WRONG);
		return true;
	}
	if (net_addr_parse(text, &addr) != 0) {
		access_row_refuse(l->rows, text, "neither an IPv4 nor an IPv6 address");
		return true;
	}
	whole = addr.family == 4 ? 32 : 128;
	mask = v[2].type == DB_NULL ? whole : v[2].i;
	if (v[2].type != DB_NULL && !in_range(&v[2], 0, whole))
		why = MASK_WRONG(addr.family);
	else if (v[3].type != DB_NULL && !in_range(&v[3], 0, UINT16_MAX))
		why = PORT_WRONG;
	else
		why = tag.len > ACCESS_TAG_MAX ? TAG_WRONG : NULL;
	if (why != NULL) {
		access_row_refuse(l->rows, text, why);
		return true;
	}
	if (++l->lines > ACCESS_ADDRESSES_MAX) {
		l->rows->failed = "it has more addresses than are taken";
		return false;
	}
	why = add_address(l, (uint32_t)v[0].i, &addr, (uint32_t)mask,
		v[3].type == DB_NULL ? 0 : (uint16_t)v[3].i, tag, &below);
	l->rows->failed = why;
	return why == NULL;
}

static void *end_rows(void *building)
{
	struct loading *l = building;
	struct access_addresses *a = l->rows->failed != NULL ? NULL : build_all(l);

	if (a == NULL && l->rows->failed == NULL)
		l->rows->failed = "not enough memory";
	free_loading(l);
	free(l);
	return a;
}

static void *load_file(const char *path, struct route_report *report)
{
	return access_addresses_load(path, report);
}

const struct access_kind access_addresses_kind = {
	.module = "permissions",
	.types = "isiis",
	.needed = 4,
	.load = load_file,
	.begin = begin_rows,
	.add = take_row,
	.end = end_rows,
	.free = access_addresses_free,
	.count = access_addresses_count,
};
