/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Our domains: a hash table with open addressing, keyed so that nobody can aim at one slot, and at
 * most half full. A name counts without regard to case and to a dot at its end, an IPv6 address in
 * whichever way it is written.
 */
#include <errno.h>
#include <stdlib.h>

#include "access/internal.h"

struct slot {
	uint64_t hash; /* 0: empty */
	uint32_t off;  /* of its name in `names`, its id behind it */
	uint16_t len, did_len;
};

struct access_domains {
	struct hash_key key;
	uint32_t mask; /* slots - 1 */
	uint32_t count;
	struct slot *slot;
	char *names;
	uint32_t names_len, names_room;
};

/* What a host is compared by; `text` may get it. */
static struct str canonical(struct str host, char text[NET_ADDR_TEXT_MAX])
{
	struct net_addr addr;

	if (host.len > 1 && host.s[host.len - 1] == '.')
		host.len--;
	if (str_find(host, ':') < 0 || net_addr_parse(host, &addr) != 0)
		return host;
	return str_of(text, net_addr_format(&addr, text));
}

static uint64_t hash_of(const struct access_domains *d, struct str name)
{
	struct hash h;
	uint64_t v;

	hash_init(&h, &d->key);
	hash_str_lower(&h, name);
	v = hash_final(&h);
	return v != 0 ? v : 1;
}

/* The slot of a name, or the empty one where it would stand. */
static struct slot *slot_of(const struct access_domains *d, struct str name, uint64_t hash)
{
	for (uint32_t i = (uint32_t)hash & d->mask;; i = (i + 1) & d->mask) {
		struct slot *slot = &d->slot[i];

		if (slot->hash == 0 ||
			(slot->hash == hash &&
				str_ieq(str_of(d->names + slot->off, slot->len), name)))
			return slot;
	}
}

bool access_domains_find(const struct access_domains *d, struct str domain, struct str *did)
{
	char text[NET_ADDR_TEXT_MAX];
	const struct slot *slot;

	domain = canonical(domain, text);
	if (domain.len == 0 || d->count == 0)
		return false;
	slot = slot_of(d, domain, hash_of(d, domain));
	if (slot->hash == 0)
		return false;
	*did = slot->did_len != 0 ? str_of(d->names + slot->off + slot->len, slot->did_len)
				  : str_of(d->names + slot->off, slot->len);
	return true;
}

bool access_domains_hold(const struct access_domains *d, struct str domain)
{
	struct str did;

	return access_domains_find(d, domain, &did);
}

uint32_t access_domains_count(const void *table)
{
	return ((const struct access_domains *)table)->count;
}

void access_domains_free(void *table)
{
	struct access_domains *d = table;

	if (d == NULL)
		return;
	free(d->slot);
	free(d->names);
	free(d);
}

/* ---- building ---- */

static int grow_slots(struct access_domains *d)
{
	uint32_t slots = d->slot == NULL ? 64 : 2 * (d->mask + 1);
	struct slot *old = d->slot, *bigger = calloc(slots, sizeof(*bigger));
	uint32_t old_slots = d->slot == NULL ? 0 : d->mask + 1;

	if (bigger == NULL)
		return -ENOMEM;
	d->slot = bigger;
	d->mask = slots - 1;
	for (uint32_t i = 0; i < old_slots; i++)
		if (old[i].hash != 0)
			*slot_of(d, str_of(d->names + old[i].off, old[i].len), old[i].hash) =
				old[i];
	free(old);
	return 0;
}

static int add(struct access_domains *d, struct str name, struct str did)
{
	uint64_t hash;
	struct slot *slot;

	if ((d->slot == NULL || 2 * d->count > d->mask) && grow_slots(d) != 0)
		return -ENOMEM;
	if (d->names_len + name.len + did.len > d->names_room) {
		uint32_t room = 2 * d->names_room + name.len + did.len + 4096;
		char *bigger = realloc(d->names, room);

		if (bigger == NULL)
			return -ENOMEM;
		d->names = bigger;
		d->names_room = room;
	}
	hash = hash_of(d, name);
	slot = slot_of(d, name, hash);
	if (slot->hash != 0)
		return 0;
	memcpy(d->names + d->names_len, name.s, name.len);
	if (did.len != 0)
		memcpy(d->names + d->names_len + name.len, did.s, did.len);
	*slot = (struct slot){hash, d->names_len, (uint16_t)name.len, (uint16_t)did.len};
	d->names_len += name.len + did.len;
	d->count++;
	return 0;
}

struct loading {
	struct access_domains *domains;
	struct route_report *report;
	bool failed;
};

static void refuse(
	struct loading *l, const struct access_line *line, unsigned field, const char *why)
{
	struct route_place place = access_line_place(line, field);

	l->failed = true;
	route_error(l->report, &place, "%s", why);
}

/* Whether text can be the host of a SIP URI; `*host` is without brackets. */
static bool host_of(struct str text, struct str *host)
{
	char uri[4 + ACCESS_DOMAIN_MAX];
	struct sip_uri parsed;

	if (text.len > ACCESS_DOMAIN_MAX)
		return false;
	memcpy(uri, "sip:", 4);
	memcpy(uri + 4, text.s, text.len);
	/* No user, port or parameter: the host part is all there is. */
	if (sip_uri_parse(uri, (struct sip_span){0, text.len + 4}, &parsed) != 0 ||
		parsed.port != 0 || parsed.hostport.off != 4 || parsed.hostport.len != text.len)
		return false;
	*host = str_of(text.s + parsed.host.off - 4, parsed.host.len);
	return true;
}

static void take_line(void *arg, const struct access_line *line)
{
	struct loading *l = arg;
	char text[NET_ADDR_TEXT_MAX];
	struct str host;

	if (line->count != 1)
		refuse(l, line, 1, "one domain a line");
	else if (!host_of(line->field[0], &host))
		refuse(l, line, 0, "neither a domain name nor an address");
	else if (l->domains->count == ACCESS_DOMAINS_MAX)
		refuse(l, line, 0, "more domains than a table holds");
	else if (add(l->domains, canonical(host, text), STR_NONE) != 0)
		refuse(l, line, 0, "not enough memory");
}

static struct access_domains *create(void)
{
	struct access_domains *d = calloc(1, sizeof(*d));

	if (d != NULL && hash_key_random(&d->key) != 0) {
		free(d);
		return NULL;
	}
	return d;
}

struct access_domains *access_domains_load(const char *path, struct route_report *report)
{
	struct loading l = {create(), report, false};

	if (l.domains == NULL) {
		route_error(report, NULL, "domain_file: not enough memory");
		return NULL;
	}
	if (path != NULL && access_file_read(path, report, take_line, &l) != 0)
		l.failed = true;
	if (!l.failed)
		return l.domains;
	access_domains_free(l.domains);
	return NULL;
}

/* ---- rows ---- */

struct building {
	struct access_domains *domains;
	struct access_rows *rows;
};

static void *begin_rows(struct access_rows *rows)
{
	struct building *b = calloc(1, sizeof(*b));

	if (b == NULL)
		return NULL;
	b->rows = rows;
	b->domains = create();
	if (b->domains != NULL)
		return b;
	free(b);
	return NULL;
}

/* domain, did */
static bool take_row(void *building, const struct db_value *v)
{
	struct building *b = building;
	struct str name = str_trim(access_row_text(&v[0])), did = access_row_text(&v[1]), host;
	char text[NET_ADDR_TEXT_MAX];

	if (!host_of(name, &host))
		access_row_refuse(b->rows, name, "neither a domain name nor an address");
	else if (did.len > ACCESS_DOMAIN_MAX)
		access_row_refuse(b->rows, name, "its id is too long");
	else if (b->domains->count == ACCESS_DOMAINS_MAX)
		b->rows->failed = "it has more domains than are taken";
	else if (add(b->domains, canonical(host, text), did) != 0)
		b->rows->failed = "not enough memory";
	return b->rows->failed == NULL;
}

static void *end_rows(void *building)
{
	struct building *b = building;
	struct access_domains *d = b->domains;

	if (b->rows->failed != NULL) {
		access_domains_free(d);
		d = NULL;
	}
	free(b);
	return d;
}

static void *load_file(const char *path, struct route_report *report)
{
	return access_domains_load(path, report);
}

const struct access_kind access_domains_kind = {
	.module = "domain",
	.types = "ss",
	.needed = 1,
	.load = load_file,
	.begin = begin_rows,
	.add = take_row,
	.end = end_rows,
	.free = access_domains_free,
	.count = access_domains_count,
};
