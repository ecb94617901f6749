/* SPDX-License-Identifier: BSD-3-Clause */
/* What an operator asks of the table, and not a message. */
#include <errno.h>

#include "registrar/internal.h"

int registrar_aor_read(const struct registrar *r, struct str text, struct registrar_aor *out)
{
	char uri[sizeof("sip:") + LOCATION_AOR_MAX];
	int64_t colon = str_find(text, ':');

	if (colon > 0 && (str_istarts(text, STR("sip:")) || str_istarts(text, STR("sips:")) ||
				 str_istarts(text, STR("tel:"))))
		return registrar_aor_of_text(r, text, out, NULL) == REGISTRAR_AOR_OK ? 0 : -EINVAL;
	/* A name alone: as a URI it would be a host. */
	if (str_find(text, '@') < 0) {
		struct sip_uri name = {.scheme = SIP_SCHEME_SIP, .user = {0, text.len}};

		if (text.len == 0 || text.len > LOCATION_AOR_MAX || colon >= 0 ||
			registrar_usrloc(r)->use_domain != 0)
			return -EINVAL;
		return registrar_aor_of(r, text.s, &name, out) == REGISTRAR_AOR_OK ? 0 : -EINVAL;
	}
	if (text.len > LOCATION_AOR_MAX)
		return -EINVAL;
	memcpy(uri, "sip:", 4);
	memcpy(uri + 4, text.s, text.len);
	return registrar_aor_of_text(r, str_of(uri, text.len + 4), out, NULL) == REGISTRAR_AOR_OK
		       ? 0
		       : -EINVAL;
}

const char *registrar_table_name(const struct registrar *r, unsigned table)
{
	return table < atomic_load_explicit(&r->tables, memory_order_acquire) ? r->table[table]
									      : NULL;
}

bool registrar_is_meant(const struct location_contact *c, struct str uri)
{
	struct sip_uri a, b;

	if (str_eq(c->uri, uri))
		return true;
	return sip_uri_parse(c->uri.s, (struct sip_span){0, c->uri.len}, &a) == 0 &&
	       sip_uri_parse(uri.s, (struct sip_span){0, uri.len}, &b) == 0 &&
	       sip_uri_equal(c->uri.s, &a, uri.s, &b);
}

static void remove_row(
	struct registrar *r, unsigned shard, uint8_t table, struct str aor, struct str uri)
{
	char calls[DB_CALL_MAX];
	int len = registrar_persist_pack_none(r, table, aor, uri, calls, sizeof(calls));

	if (len > 0)
		(void)registrar_persist_send(r, shard,
			location_digest(r->config.location, table, aor),
			str_of(calls, (size_t)len));
}

/* From the database, too, by the URIs that they have there. */
static void remove_rows(struct registrar *r, unsigned shard, uint8_t table, struct str aor,
	struct str uri, const struct location_set *set)
{
	if (uri.len == 0)
		remove_row(r, shard, table, aor, uri);
	for (unsigned i = 0; i < set->count && uri.len != 0; i++)
		if (registrar_is_meant(&set->contact[i], uri))
			remove_row(r, shard, table, aor, set->contact[i].uri);
}

int registrar_remove(struct registrar *r, unsigned shard, uint8_t table,
	const struct registrar_aor *aor, struct str uri, uint32_t now)
{
	struct location_contact left[LOCATION_CONTACTS_MAX];
	struct location *l = r->config.location;
	struct str text = registrar_aor_str(aor);
	struct hash128 digest = location_digest(l, table, text);
	struct location_set set;
	unsigned n = 0;
	int have = location_read(l, digest, table, text, now, &set);

	if (have <= 0)
		return have;
	for (int i = 0; i < have; i++)
		if (uri.len != 0 && !registrar_is_meant(&set.contact[i], uri))
			left[n++] = set.contact[i];
	if (n == (unsigned)have)
		return 0;
	if (location_replace(l, shard, digest, table, text, now, left, n) != 0)
		return -EAGAIN;
	if (registrar_persists(registrar_usrloc(r)))
		remove_rows(r, shard, table, text, uri, &set);
	return have - (int)n;
}
