/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Records: an address-of-record with its contacts as one text, the highest q first. A contact is a
 * fixed part, the parts that its `parts` name, and its texts. What hardly any contact has costs
 * none of the others a byte.
 */
#include <errno.h>

#include "location/internal.h"

/* Parts of a contact, in their order. */
#define HAS_RECEIVED4 0x01 /* address and port */
#define HAS_RECEIVED6 0x02
#define HAS_FLAGS 0x04
#define HAS_METHODS 0x08
#define HAS_REG_ID 0x10
#define HAS_PATH 0x20 /* its length; the texts stand behind all parts */
#define HAS_INSTANCE 0x40
#define HAS_AGENT 0x80 /* the length of one that has no number */

/* What is renewed with each refresh comes first. */
struct fixed {
	uint32_t expires, modified, cseq;
	uint16_t uri_len, call_id_len;
	uint16_t q;
	int16_t listener;
	uint16_t agent;
	uint8_t parts;
} __attribute__((packed));

static bool is_valid(const struct location_contact *c)
{
	return c->uri.len <= LOCATION_URI_MAX && c->path.len <= LOCATION_PATH_MAX &&
	       c->instance.len <= LOCATION_INSTANCE_MAX && c->call_id.len <= LOCATION_CALL_ID_MAX;
}

/* What is kept of it. */
static struct str agent_of(const struct location_contact *c)
{
	return str_of(c->user_agent.s, c->user_agent.len < LOCATION_USER_AGENT_MAX
					       ? c->user_agent.len
					       : LOCATION_USER_AGENT_MAX);
}

static uint8_t parts_of(const struct location_contact *c, uint16_t agent)
{
	unsigned parts = 0;

	if (c->received.addr.family != 0)
		parts |= c->received.addr.family == 4 ? HAS_RECEIVED4 : HAS_RECEIVED6;
	parts |= c->flags != 0 ? HAS_FLAGS : 0;
	parts |= c->methods != UINT32_MAX ? HAS_METHODS : 0;
	parts |= c->reg_id != 0 ? HAS_REG_ID : 0;
	parts |= c->path.len != 0 ? HAS_PATH : 0;
	parts |= c->instance.len != 0 ? HAS_INSTANCE : 0;
	parts |= agent == AGENT_NONE && c->user_agent.len != 0 ? HAS_AGENT : 0;
	return (uint8_t)parts;
}

/* ---- writing ---- */

static inline char *put(char *p, const void *from, uint32_t len)
{
	memcpy(p, from, len);
	return p + len;
}

static inline char *put_text(char *p, struct str text)
{
	str_copy(p, text);
	return p + text.len;
}

static char *put_parts(char *p, const struct location_contact *c, uint8_t parts)
{
	uint16_t path_len = (uint16_t)c->path.len;
	uint8_t instance_len = (uint8_t)c->instance.len, agent_len = (uint8_t)agent_of(c).len;

	if (parts & (HAS_RECEIVED4 | HAS_RECEIVED6)) {
		p = put(p, c->received.addr.b, parts & HAS_RECEIVED4 ? 4 : 16);
		p = put(p, &c->received.port, 2);
	}
	if (parts & HAS_FLAGS)
		p = put(p, &c->flags, 4);
	if (parts & HAS_METHODS)
		p = put(p, &c->methods, 4);
	if (parts & HAS_REG_ID)
		p = put(p, &c->reg_id, 4);
	if (parts & HAS_PATH)
		p = put(p, &path_len, 2);
	if (parts & HAS_INSTANCE)
		p = put(p, &instance_len, 1);
	if (parts & HAS_AGENT)
		p = put(p, &agent_len, 1);
	return p;
}

static char *put_contact(char *p, const struct location_contact *c, uint16_t agent)
{
	struct fixed f = {
		.expires = c->expires,
		.modified = c->modified,
		.cseq = c->cseq,
		.uri_len = (uint16_t)c->uri.len,
		.call_id_len = (uint16_t)c->call_id.len,
		.q = c->q,
		.listener = c->listener,
		.agent = agent,
		.parts = parts_of(c, agent),
	};

	p = put(p, &f, sizeof(f));
	p = put_parts(p, c, f.parts);
	p = put_text(p, c->uri);
	p = put_text(p, c->call_id);
	p = put_text(p, c->path);
	p = put_text(p, c->instance);
	return f.parts & HAS_AGENT ? put_text(p, agent_of(c)) : p;
}

/* What it takes here and, with a user agent that has a number, in a set. */
static uint32_t size_of(const struct location_contact *c)
{
	/* Every part, though no contact has all of them. */
	static const uint32_t parts = 18 + 4 + 4 + 4 + 2 + 1 + 1;

	return (uint32_t)sizeof(struct fixed) + parts + c->uri.len + c->call_id.len + c->path.len +
	       c->instance.len + agent_of(c).len;
}

/* Contacts by their q, those without one last; equals stay as they are. */
static void in_order(const struct location_contact *contact, unsigned count, uint8_t *order)
{
	for (unsigned i = 0; i < count; i++) {
		int q = contact[i].q == LOCATION_Q_NONE ? -1 : contact[i].q;
		unsigned at = i;

		for (; at > 0; at--) {
			const struct location_contact *before = &contact[order[at - 1]];

			if ((before->q == LOCATION_Q_NONE ? -1 : before->q) >= q)
				break;
			order[at] = order[at - 1];
		}
		order[at] = (uint8_t)i;
	}
}

static bool fits(struct str aor, const struct location_contact *contact, unsigned count)
{
	uint32_t bytes = (uint32_t)sizeof(struct record_head) + aor.len;

	if (count > LOCATION_CONTACTS_MAX || aor.len > LOCATION_AOR_MAX)
		return false;
	for (unsigned i = 0; i < count; i++) {
		if (!is_valid(&contact[i]))
			return false;
		bytes += size_of(&contact[i]);
	}
	/* User agents are copied by whole words. */
	return bytes <= RECORD_MAX - 8;
}

/* ---- reading ---- */

static const char *get(const char *p, void *to, uint32_t len)
{
	memcpy(to, p, len);
	return p + len;
}

/* The lengths that parts hold. */
struct lengths {
	uint16_t path;
	uint8_t instance, agent;
};

static const char *get_parts(
	const char *p, uint8_t parts, struct location_contact *c, struct lengths *len)
{
	memset(&c->received, 0, sizeof(c->received));
	c->flags = c->reg_id = 0;
	c->methods = UINT32_MAX;
	*len = (struct lengths){0};
	if (parts & (HAS_RECEIVED4 | HAS_RECEIVED6)) {
		c->received.addr.family = parts & HAS_RECEIVED4 ? 4 : 6;
		p = get(p, c->received.addr.b, parts & HAS_RECEIVED4 ? 4 : 16);
		p = get(p, &c->received.port, 2);
	}
	if (parts & HAS_FLAGS)
		p = get(p, &c->flags, 4);
	if (parts & HAS_METHODS)
		p = get(p, &c->methods, 4);
	if (parts & HAS_REG_ID)
		p = get(p, &c->reg_id, 4);
	if (parts & HAS_PATH)
		p = get(p, &len->path, 2);
	if (parts & HAS_INSTANCE)
		p = get(p, &len->instance, 1);
	if (parts & HAS_AGENT)
		p = get(p, &len->agent, 1);
	return p;
}

static inline const char *get_text(const char *p, uint32_t len, struct str *to)
{
	*to = str_of(p, len);
	return p + len;
}

/* Reads the contact at p, but for a user agent that has a number, which is returned in `*agent`. */
static const char *get_contact(const char *p, struct location_contact *c, uint16_t *agent)
{
	struct lengths len;
	struct fixed f;

	p = get(p, &f, sizeof(f));
	c->expires = f.expires;
	c->modified = f.modified;
	c->cseq = f.cseq;
	c->q = f.q;
	c->listener = f.listener;
	*agent = f.agent;
	p = get_parts(p, f.parts, c, &len);
	p = get_text(p, f.uri_len, &c->uri);
	p = get_text(p, f.call_id_len, &c->call_id);
	p = get_text(p, len.path, &c->path);
	p = get_text(p, len.instance, &c->instance);
	return get_text(p, len.agent, &c->user_agent);
}

/* Goes over a contact: its fixed part alone is read. */
static const char *skip_contact(const char *p, struct fixed *f)
{
	uint16_t path_len = 0;
	uint8_t parts, instance_len = 0, agent_len = 0;

	p = get(p, f, sizeof(*f));
	parts = f->parts;
	p += parts & HAS_RECEIVED4 ? 6 : parts & HAS_RECEIVED6 ? 18 : 0;
	/* One bit each, and four bytes. */
	p += (uint32_t)__builtin_popcount(parts & (HAS_FLAGS | HAS_METHODS | HAS_REG_ID)) * 4;
	if (parts & HAS_PATH)
		p = get(p, &path_len, 2);
	if (parts & HAS_INSTANCE)
		p = get(p, &instance_len, 1);
	if (parts & HAS_AGENT)
		p = get(p, &agent_len, 1);
	return p + f->uri_len + f->call_id_len + path_len + instance_len + agent_len;
}

static const char *first_contact(const char *text)
{
	return text + sizeof(struct record_head) + record_head(text).aor_len;
}

bool record_is(const char *text, uint8_t table, struct str aor)
{
	return record_head(text).table == table && str_eq(record_aor(text), aor);
}

unsigned record_live(const char *text, uint32_t now)
{
	unsigned contacts = record_head(text).contacts, live = 0;
	const char *p = first_contact(text);
	struct fixed f;

	for (unsigned i = 0; i < contacts; i++) {
		p = skip_contact(p, &f);
		live += f.expires > now;
	}
	return live;
}

void record_read(const struct agents *a, uint32_t now, struct location_set *set)
{
	unsigned contacts = record_head(set->text).contacts;
	const char *p = first_contact(set->text);

	set->count = 0;
	for (unsigned i = 0; i < contacts; i++) {
		struct location_contact *c = &set->contact[set->count];
		uint16_t agent;

		p = get_contact(p, c, &agent);
		if (c->expires <= now)
			continue;
		set->count++;
		if (agent == AGENT_NONE)
			continue;
		/* record_write() saw to it that there is room behind the record. */
		c->user_agent.s = set->text + set->text_len;
		c->user_agent.len = agents_copy(a, agent, set->text + set->text_len);
		set->text_len += c->user_agent.len;
	}
}

/* ---- writing, with what one reads ---- */

/* The numbers of a record's user agents. */
static unsigned agents_in(const uint64_t *text, uint16_t agent[LOCATION_CONTACTS_MAX])
{
	const char *p = first_contact((const char *)text);
	unsigned contacts = record_head(text).contacts;
	struct fixed f;

	for (unsigned i = 0; i < contacts; i++) {
		p = skip_contact(p, &f);
		agent[i] = f.agent;
	}
	return contacts;
}

int record_write(struct agents *a, uint8_t table, struct str aor,
	const struct location_contact *contact, unsigned count, const uint64_t *old, uint64_t *text)
{
	struct record_head head = {
		.aor_len = (uint16_t)aor.len, .table = table, .contacts = (uint8_t)count};
	uint16_t likely[LOCATION_CONTACTS_MAX];
	uint8_t order[LOCATION_CONTACTS_MAX];
	unsigned before = old != NULL ? agents_in(old, likely) : 0;
	char *p = (char *)text;

	if (!fits(aor, contact, count))
		return -E2BIG;
	in_order(contact, count, order);
	p = put_text(p + sizeof(head), aor);
	for (unsigned i = 0; i < count; i++) {
		const struct location_contact *c = &contact[order[i]];
		uint16_t agent = AGENT_NONE;

		if (c->user_agent.len != 0)
			agent = agents_hold(a, agent_of(c), i < before ? likely[i] : AGENT_NONE);
		p = put_contact(p, c, agent);
	}
	head.bytes = (uint16_t)(p - (char *)text);
	memcpy(text, &head, sizeof(head));
	memset(p, 0, (size_t)(-head.bytes & 7));
	return head.bytes;
}

void record_release(struct agents *a, const uint64_t *text)
{
	uint16_t agent[LOCATION_CONTACTS_MAX];
	unsigned n = agents_in(text, agent);

	for (unsigned i = 0; i < n; i++)
		agents_release(a, agent[i]);
}
