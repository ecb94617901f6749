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
	uint32_t off;  /* of its name in `names` */
	uint32_t len;
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

bool access_domains_hold(const struct access_domains *d, struct str domain)
{
	char text[NET_ADDR_TEXT_MAX];

	domain = canonical(domain, text);
	if (domain.len == 0 || d->count == 0)
		return false;
	return slot_of(d, domain, hash_of(d, domain))->hash != 0;
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

static int add(struct access_domains *d, struct str name)
{
	uint64_t hash;
	struct slot *slot;

	if ((d->slot == NULL || 2 * d->count > d->mask) && grow_slots(d) != 0)
		return -ENOMEM;
	if (d->names_len + name.len > d->names_room) {
		uint32_t room = 2 * d->names_room + name.len + 4096;
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
	*slot = (struct slot){hash, d->names_len, name.len};
	d->names_len += name.len;
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
	else if (add(l->domains, canonical(host, text)) != 0)
		refuse(l, line, 0, "not enough memory");
}

struct access_domains *access_domains_load(const char *path, struct route_report *report)
{
	struct access_domains *d = calloc(1, sizeof(*d));
	struct loading l = {d, report, false};

	if (d == NULL || hash_key_random(&d->key) != 0) {
		route_error(report, NULL, "domain_file: not enough memory");
		free(d);
		return NULL;
	}
	if (path != NULL && access_file_read(path, report, take_line, &l) != 0)
		l.failed = true;
	if (!l.failed)
		return d;
	access_domains_free(d);
	return NULL;
}
