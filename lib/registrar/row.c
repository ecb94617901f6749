/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * row: a contact as a row of OpenSER's table `location`, and a row as a contact.
 *
 * Times in the table are of the day, in the server's zone, as Kamailio has them; here they are the
 * monotonic clock's, and what lies between the two is published (zone.c).
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "registrar/internal.h"

#define SOCKET_MAX 80
#define CLOCKS_DIFFER_S 2
#define RUID_BYTES 33 /* 128 bits as hexadecimal, and its NUL */

/* ---- times ---- */

/* Days before the first of March of a year, counted from the year 0 (proleptic Gregorian). */
static int64_t days_of(int64_t year, unsigned month, unsigned day)
{
	int64_t y = month <= 2 ? year - 1 : year, era = y / 400, of_era = y - era * 400;
	int64_t of_year = (153 * (int64_t)(month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;

	return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

bool registrar_time_read(struct str s, int64_t *out)
{
	static const uint8_t at[] = {0, 5, 8, 11, 14, 17}, len[] = {4, 2, 2, 2, 2, 2};
	static const uint32_t most[] = {9999, 12, 31, 23, 59, 60};
	uint32_t v[sizeof(at)];

	if (s.len < DB_TIME_TEXT - 1)
		return false;
	for (unsigned i = 0; i < sizeof(at); i++)
		if (str_to_u32(str_of(s.s + at[i], len[i]), most[i], &v[i]) != 0)
			return false;
	if (v[0] < 1970 || v[1] == 0 || v[2] == 0)
		return false;
	*out = days_of(v[0], v[1], v[2]) * 86400 + v[3] * 3600 + v[4] * 60 + v[5];
	return true;
}

void registrar_row_time(const struct registrar *r, uint32_t second, char out[DB_TIME_TEXT])
{
	const struct registrar_zone *z = registrar_zone(r);

	db_time_write(registrar_zone_local(z, second + z->epoch), out);
}

enum column {
	USERNAME,
	DOMAIN,
	CONTACT,
	RECEIVED,
	PATH,
	EXPIRES,
	Q,
	CALLID,
	CSEQ,
	LAST_MODIFIED,
	FLAGS,
	CFLAGS,
	SOCKET,
	METHODS,
	USER_AGENT,
};
enum { READ_INSTANCE = USER_AGENT + 1, READ_REG_ID, READ_COUNT };
enum { WRITE_RUID = USER_AGENT + 1, WRITE_INSTANCE, WRITE_REG_ID, WRITE_COUNT };
_Static_assert(WRITE_COUNT == REGISTRAR_WRITE_PARAMS, "a parameter for each column");
_Static_assert(USER_AGENT - RECEIVED + 1 == REGISTRAR_REFRESH_PARAMS, "each but the key");
_Static_assert(REGISTRAR_READ_COUNT == READ_COUNT, "a type for each column");

/* ---- rows ---- */

/* An address-of-record in its two columns. */
static void key_of(const struct registrar *r, struct str aor, struct str *user, struct str *domain)
{
	const char *at = registrar_usrloc(r)->use_domain != 0 ? memrchr(aor.s, '@', aor.len) : NULL;

	/* A user part has no '@' that is not escaped, and none is unescaped. */
	*user = at != NULL ? str_of(aor.s, (size_t)(at - aor.s)) : aor;
	*domain = at != NULL ? str_of(at + 1, (size_t)(aor.s + aor.len - at - 1)) : STR("");
}

void registrar_pack_begin(struct registrar_packing *k, const struct registrar *r, uint8_t table,
	struct str aor, char *out, uint32_t size)
{
	const struct registrar_usrloc_settings *s =
		atomic_load_explicit(&r->usrloc, memory_order_acquire);

	/* Of a table that the current script does not name nothing is kept. */
	*k = (struct registrar_packing){.r = r,
		.rows = &s->rows[table],
		.out = out,
		.size = size,
		.len = table < s->tables ? 0 : -ENOENT};
	key_of(r, aor, &k->user, &k->domain);
}

static void pack(struct registrar_packing *k, int statement_number, const struct db_value *value,
	unsigned values)
{
	if (k->len >= 0)
		k->len = db_pack(k->r->config.db, k->out, k->size, (uint32_t)k->len,
			(unsigned)statement_number, value, values);
}

/* Whose rows: user, and domain where it counts. */
static unsigned user_values(const struct registrar_packing *k, struct db_value *out)
{
	unsigned n = 0;

	out[n++] = db_text(k->user);
	if (registrar_usrloc(k->r)->use_domain != 0)
		out[n++] = db_text(k->domain);
	return n;
}

void registrar_pack_remove(struct registrar_packing *k, struct str uri)
{
	struct db_value value[3];
	unsigned n = user_values(k, value);

	if (uri.len != 0)
		value[n++] = db_text(uri);
	pack(k, uri.len != 0 ? k->rows->remove : k->rows->remove_all, value, n);
}

static struct db_value text_or_null(struct str s)
{
	return s.len != 0 ? db_text(s) : (struct db_value){.type = DB_NULL};
}

/* One that no other row has, for a key of Kamailio's table: a digest of what makes a binding. */
static struct str ruid_text(
	const struct registrar_packing *k, const struct location_contact *c, char out[RUID_BYTES])
{
	static const struct hash_key
		none; /* the same in each process: nothing is looked up by it */
	struct hash128 digest;
	struct hash h;
	int n;

	hash_init128(&h, &none);
	hash_str(&h, k->user);
	hash_str(&h, k->domain);
	hash_str(&h, c->uri);
	hash_str(&h, c->instance);
	hash_u32(&h, c->reg_id);
	digest = hash_final128(&h);
	n = snprintf(out, RUID_BYTES, "%016" PRIx64 "%016" PRIx64, digest.hi, digest.lo);
	return str_of(out, (size_t)n);
}

/* Bits of the column `methods`: Kamailio's numbers of them. */
static const struct {
	enum sip_method method;
	uint32_t bit;
} method_bits[] = {
	{SIP_METHOD_INVITE, 1 << 0},
	{SIP_METHOD_CANCEL, 1 << 1},
	{SIP_METHOD_ACK, 1 << 2},
	{SIP_METHOD_BYE, 1 << 3},
	{SIP_METHOD_INFO, 1 << 4},
	{SIP_METHOD_REGISTER, 1 << 5},
	{SIP_METHOD_SUBSCRIBE, 1 << 6},
	{SIP_METHOD_NOTIFY, 1 << 7},
	{SIP_METHOD_MESSAGE, 1 << 8},
	{SIP_METHOD_OPTIONS, 1 << 9},
	{SIP_METHOD_PRACK, 1 << 10},
	{SIP_METHOD_UPDATE, 1 << 11},
	{SIP_METHOD_REFER, 1 << 12},
	{SIP_METHOD_PUBLISH, 1 << 13},
	{SIP_METHOD_OTHER, 1 << 14},
};

static struct db_value methods_value(uint32_t methods)
{
	int64_t bits = 0;

	if (methods == UINT32_MAX)
		return (struct db_value){.type = DB_NULL};
	for (unsigned i = 0; i < sizeof(method_bits) / sizeof(method_bits[0]); i++)
		if ((methods >> method_bits[i].method & 1) != 0)
			bits |= method_bits[i].bit;
	return db_int(bits);
}

static uint32_t methods_read(const struct db_value *v)
{
	uint32_t methods = 0;

	if (v->type == DB_NULL || v->i < 0)
		return UINT32_MAX;
	for (unsigned i = 0; i < sizeof(method_bits) / sizeof(method_bits[0]); i++)
		if ((v->i & method_bits[i].bit) != 0)
			methods |= 1u << method_bits[i].method;
	return methods;
}

/* A contact as it is written: its values, and the texts of those that have none. */
struct written {
	struct db_value v[WRITE_COUNT];
	char expires[DB_TIME_TEXT], modified[DB_TIME_TEXT], socket[SOCKET_MAX], ruid[RUID_BYTES],
		endpoint[NET_ENDPOINT_TEXT_MAX + 4], reg_id[12];
};

static void write_row(
	const struct registrar_packing *k, const struct location_contact *c, struct written *w)
{
	const struct route_hooks *hooks = &k->r->registry->hooks;
	unsigned socket_len = 0, reg_id_len;
	const struct db_value values[WRITE_COUNT] = {
		[USERNAME] = db_text(k->user),
		[DOMAIN] = db_text(k->domain),
		[CONTACT] = db_text(c->uri),
		[PATH] = text_or_null(c->path),
		[Q] = {.type = DB_REAL, .r = c->q == LOCATION_Q_NONE ? -1.0 : c->q / 1000.0},
		[CALLID] = db_text(c->call_id),
		[CSEQ] = db_int(c->cseq),
		[FLAGS] = db_int(0),
		[CFLAGS] = db_int(c->flags),
		[METHODS] = methods_value(c->methods),
		/* Whatever a phone writes there, or what was cut of it, keeps it not out. */
		[USER_AGENT] = db_text(str_of(c->user_agent.s != NULL ? c->user_agent.s : "",
			str_utf8_len(c->user_agent))),
	};

	memcpy(w->v, values, sizeof(values));
	registrar_row_time(k->r, c->expires, w->expires);
	registrar_row_time(k->r, c->modified, w->modified);
	w->v[EXPIRES] = db_text(str_of(w->expires, DB_TIME_TEXT - 1));
	w->v[LAST_MODIFIED] = db_text(str_of(w->modified, DB_TIME_TEXT - 1));
	w->v[RECEIVED] = (struct db_value){.type = DB_NULL};
	if (c->received.addr.family != 0) {
		memcpy(w->endpoint, "sip:", 4);
		w->v[RECEIVED] = db_text(str_of(
			w->endpoint, 4 + net_endpoint_format(&c->received, w->endpoint + 4)));
	}
	if (c->listener >= 0 && hooks->listener_text != NULL)
		socket_len = hooks->listener_text(
			hooks->room, (unsigned)c->listener, w->socket, sizeof(w->socket));
	w->v[SOCKET] = text_or_null(str_of(w->socket, socket_len));
	w->v[WRITE_RUID] = db_text(ruid_text(k, c, w->ruid));
	w->v[WRITE_INSTANCE] = text_or_null(c->instance);
	/* As text: it stands among texts where the table has no column for it. */
	reg_id_len = (unsigned)snprintf(w->reg_id, sizeof(w->reg_id), "%u", c->reg_id);
	w->v[WRITE_REG_ID] = db_text(str_of(w->reg_id, reg_id_len));
}

void registrar_pack_insert(struct registrar_packing *k, const struct location_contact *c)
{
	struct written w;

	write_row(k, c, &w);
	pack(k, k->rows->insert, w.v, WRITE_COUNT);
}

/* By what a row is found: user, domain where it counts, URI, ruid. */
static unsigned key_values(
	const struct registrar_packing *k, const struct written *w, struct db_value *out)
{
	unsigned n = user_values(k, out);

	out[n++] = w->v[CONTACT];
	out[n++] = w->v[WRITE_RUID];
	return n;
}

/* Behind them, what makes it one binding. */
#define KEYS_MAX 6

static unsigned binding_values(const struct location_contact *c, struct db_value *out, unsigned n)
{
	out[n++] = db_text(c->instance);
	out[n++] = db_int(c->reg_id);
	return n;
}

void registrar_pack_remove_binding(struct registrar_packing *k, const struct location_contact *c)
{
	struct db_value v[KEYS_MAX];
	unsigned n = user_values(k, v);

	v[n++] = db_text(c->uri);
	pack(k, k->rows->remove, v, binding_values(c, v, n));
}

void registrar_pack_read(struct registrar_packing *k, uint32_t now)
{
	const struct registrar_zone *z = registrar_zone(k->r);
	struct db_value v[KEYS_MAX];
	unsigned n = user_values(k, v);
	char text[DB_TIME_TEXT];

	/* The two clocks' seconds begin at other moments: what has ended is seen as a row. Texts
	 * are compared: around a change of the zone a later moment may have a lesser one. */
	db_time_write(registrar_zone_least(z, z->epoch + now - CLOCKS_DIFFER_S), text);
	v[n++] = db_text(str_of(text, DB_TIME_TEXT - 1));
	pack(k, k->rows->read, v, n);
}

void registrar_pack_put(struct registrar_packing *k, const struct location_contact *c)
{
	struct db_value v[REGISTRAR_REFRESH_PARAMS + KEYS_MAX];
	struct written w;
	unsigned n = 0;

	write_row(k, c, &w);
	for (unsigned i = RECEIVED; i <= USER_AGENT; i++)
		v[n++] = w.v[i];
	n += key_values(k, &w, v + n);
	pack(k, k->rows->refresh, v, n);
	/* One that somebody else has written. */
	n = key_values(k, &w, v);
	if (registrar_only(registrar_usrloc(k->r)))
		n = binding_values(c, v, n);
	pack(k, k->rows->others, v, n);
	pack(k, k->rows->add, w.v, WRITE_COUNT);
}

/* ---- from a row ---- */

enum registrar_row registrar_row_read(const struct registrar *r, const struct db_value *v,
	uint32_t now, struct location_contact *c)
{
	const struct route_hooks *hooks = &r->registry->hooks;
	const struct registrar_zone *z = registrar_zone(r);
	int64_t expires, modified;

	if (v[CONTACT].s.len == 0 || !registrar_time_read(v[EXPIRES].s, &expires))
		return REGISTRAR_ROW_BAD;
	expires = registrar_zone_moment(z, expires) - z->epoch;
	if (expires <= now)
		return REGISTRAR_ROW_ENDED;
	*c = (struct location_contact){
		.uri = v[CONTACT].s,
		.path = v[PATH].type == DB_NULL ? STR("") : v[PATH].s,
		.instance = v[READ_INSTANCE].type == DB_NULL ? STR("") : v[READ_INSTANCE].s,
		.user_agent = v[USER_AGENT].s,
		.call_id = v[CALLID].s,
		.listener = -1,
		.q = v[Q].type == DB_NULL || v[Q].r < 0 ? LOCATION_Q_NONE
		     : v[Q].r > 1                       ? 1000
							: (uint16_t)(v[Q].r * 1000 + 0.5),
		.reg_id = (uint32_t)v[READ_REG_ID].i,
		.flags = (uint32_t)v[CFLAGS].i,
		.methods = methods_read(&v[METHODS]),
		.cseq = (uint32_t)v[CSEQ].i,
		.expires = expires < UINT32_MAX ? (uint32_t)expires : UINT32_MAX,
		.modified = now,
	};
	if (registrar_time_read(v[LAST_MODIFIED].s, &modified)) {
		modified = registrar_zone_moment(z, modified) - z->epoch;
		if (modified < now)
			c->modified = modified > 0 ? (uint32_t)modified : 0;
	}
	if (v[RECEIVED].s.len != 0)
		(void)registrar_received_read(v[RECEIVED].s, &c->received);
	if (v[SOCKET].s.len != 0 && hooks->find_listener != NULL)
		c->listener = (int16_t)hooks->find_listener(hooks->room, v[SOCKET].s);
	if (c->user_agent.len > LOCATION_USER_AGENT_MAX)
		c->user_agent.len = LOCATION_USER_AGENT_MAX;
	return REGISTRAR_ROW_GOOD;
}

bool registrar_row_aor(
	const struct registrar *r, const struct db_value *v, struct registrar_aor *aor)
{
	bool with_domain = registrar_usrloc(r)->use_domain != 0;

	return registrar_aor_of_columns(r, v[USERNAME].s, with_domain ? v[DOMAIN].s : STR(""), aor);
}

/* Some engines find more than was asked for: other letters' case, spaces at the end, accents. */
bool registrar_row_is_of(const struct registrar *r, const struct db_value *v, struct str aor)
{
	struct str user, domain;

	key_of(r, aor, &user, &domain);
	if (registrar_usrloc(r)->use_domain != 0 && !str_ieq(v[DOMAIN].s, domain))
		return false;
	return registrar_settings(r)->p.case_sensitive != 0 ? str_eq(v[USERNAME].s, user)
							    : str_ieq(v[USERNAME].s, user);
}
