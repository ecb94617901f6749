/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Records: an address-of-record with its contacts as one text, the highest q first. A contact is a
 * fixed part, the parts that its `parts` name, and its texts. What hardly any contact has costs
 * none of the others a byte. For some minutes after another contact has come first, those that came
 * first before follow, and the numbers of the window.
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
} __attribute__((packed, may_alias));

/* Behind all contacts, where there is a past. */
struct numbers {
	uint32_t began, changed;
	uint8_t before; /* of contacts, then former ones; NOBODY */
} __attribute__((packed));

#define NOBODY UINT8_MAX

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

/* Each length is a constant where it is called. */
__attribute__((always_inline)) static inline char *put(char *p, const void *from, uint32_t len)
{
	memcpy(p, from, len);
	return p + len;
}

static inline char *put_text(char *p, struct str text)
{
	str_copy(p, text);
	return p + text.len;
}

__attribute__((always_inline)) static inline char *put_parts(
	char *p, const struct location_contact *c, uint8_t parts)
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

/* Inline where a record is written, though former ones are put elsewhere too. */
__attribute__((always_inline)) static inline char *put_contact(
	char *p, const struct location_contact *c, uint16_t agent)
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

static bool fits(struct str aor, const struct location_contact *contact, unsigned count,
	const struct past *past)
{
	uint32_t bytes = (uint32_t)sizeof(struct record_head) + aor.len;

	if (count > LOCATION_CONTACTS_MAX || aor.len > LOCATION_AOR_MAX)
		return false;
	for (unsigned i = 0; i < count; i++) {
		if (!is_valid(&contact[i]))
			return false;
		bytes += size_of(&contact[i]);
	}
	for (unsigned i = 0; past != NULL && i < past->former; i++)
		bytes += size_of(&past->contact[i]);
	bytes += past != NULL ? (uint32_t)sizeof(struct numbers) : 0;
	/* User agents are copied by whole words. */
	return bytes <= RECORD_MAX - 8;
}

/* ---- reading ---- */

__attribute__((always_inline)) static inline const char *get(const char *p, void *to, uint32_t len)
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
static inline const char *skip_contact(const char *p, struct fixed *f)
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

/* Puts a contact that has gone behind those that stand; its place, or -1 where there is no room. */
static int add_former(struct location_set *set, const struct location_contact *c)
{
	if (set->former == LOCATION_FORMER_MAX)
		return -1;
	set->contact[set->count + set->former] = *c;
	return (int)(set->count + set->former++);
}

/* Follows who came first as contacts ended. One that ends no later than one before it in the order
 * never did. */
struct firsts {
	uint32_t until; /* whoever was first by now has ended then; 0: nobody was */
	bool stands;    /* one that has not ended has been met */
};

static bool was_first(struct firsts *f, const struct location_contact *c, uint32_t now)
{
	if (f->stands || !location_leads(c) || c->expires <= f->until)
		return false;
	if (c->expires > now) {
		f->stands = true;
		return false;
	}
	f->until = c->expires;
	return true;
}

static struct numbers get_numbers(const char *text)
{
	struct numbers n;

	memcpy(&n, text + record_head(text).bytes - sizeof(n), sizeof(n));
	return n;
}

bool record_past_is_over(const char *text, uint32_t now)
{
	return record_head(text).has_past != 0 && !is_recent(get_numbers(text).changed, now);
}

static const char *first_former(const char *text)
{
	const char *p = first_contact(text);
	struct fixed f;

	for (unsigned i = 0; i < record_head(text).contacts; i++)
		p = skip_contact(p, &f);
	return p;
}

/* What the record itself says of the past. */
static struct window written_window(uint32_t now, struct location_set *set)
{
	struct window w = {.before = -1};
	struct record_head head = record_head(set->text);
	const char *p;
	struct numbers n;

	set->former = 0;
	if (head.has_past == 0)
		return w;
	n = get_numbers(set->text);
	if (!is_recent(n.changed, now))
		return w;
	w = (struct window){true, n.began, n.changed, -1};
	p = first_former(set->text);
	for (unsigned i = 0; i < head.former; i++) {
		struct location_contact c;
		uint16_t agent;
		int at = -1;

		p = get_contact(p, &c, &agent);
		if (is_recent(c.expires, now))
			at = add_former(set, &c);
		if (n.before == head.contacts + i)
			w.before = at;
	}
	return w;
}

struct window record_window(uint32_t now, struct location_set *set)
{
	struct window w = written_window(now, set);
	struct record_head head = record_head(set->text);
	const char *p = first_contact(set->text);
	struct firsts firsts = {0, false};
	unsigned written_before = w.open ? get_numbers(set->text).before : NOBODY, live = 0;

	for (unsigned i = 0; i < head.contacts; i++) {
		struct location_contact c;
		bool was, opens;
		uint16_t agent;
		int at = -1;

		p = get_contact(p, &c, &agent);
		was = was_first(&firsts, &c, now);
		opens = was && is_recent(c.expires, now);
		if (c.expires > now)
			at = (int)live++;
		else if (is_recent(c.expires, now) && (was || (w.open && c.expires >= w.began)))
			at = add_former(set, &c);
		if (i == written_before)
			w.before = at;
		if (!opens)
			continue;
		if (!w.open)
			w = (struct window){true, c.expires, c.expires, at};
		else if (c.expires > w.changed)
			w.changed = c.expires;
	}
	return w;
}

__attribute__((noinline)) static void tell(uint32_t now, struct location_set *set)
{
	struct window w = record_window(now, set);

	set->changing = w.open;
	set->before = w.open && is_recent(w.began, now) ? w.before : -1;
}

static bool leads_at(const char *p)
{
	struct location_contact c;
	uint16_t agent;

	(void)get_contact(p, &c, &agent);
	return location_leads(&c);
}

/* Whether there is nothing to a contact's way but its URI and the listener. */
static inline bool is_plain(const struct location_contact *c)
{
	return c->received.addr.family == 0 && c->flags == 0 && c->reg_id == 0 &&
	       c->path.len == 0 && c->instance.len == 0;
}

/* The contact at p, whose fixed part is f. */
static inline bool goes_the_way_of(
	const char *p, const struct fixed *f, const struct location_contact *c)
{
	struct location_contact there;
	uint16_t agent;

	if (f->uri_len != c->uri.len || f->listener != c->listener)
		return false;
	/* As nearly all do. */
	if (f->parts == 0 && is_plain(c))
		return memcmp(p + sizeof(*f), c->uri.s, f->uri_len) == 0;
	(void)get_contact(p, &there, &agent);
	return location_same_way(&there, c);
}

bool record_is_calm(const char *text, uint32_t now, const struct location_contact *first)
{
	struct record_head head = record_head(text);
	const char *p = first_contact(text);
	bool led = false, same = false;
	struct fixed skipped;

	if (head.has_past != 0)
		return false;
	for (unsigned i = 0; i < head.contacts; i++) {
		const struct fixed *f = (const struct fixed *)p;

		if (f->expires <= now)
			return false;
		if (!led) {
			same = first != NULL && goes_the_way_of(p, f, first);
			led = same || leads_at(p);
		}
		if (i + 1 < head.contacts)
			p = skip_contact(p, &skipped);
	}
	/* Where nobody came first, no call went anywhere. */
	return !led || same;
}

void record_read(const struct agents *a, uint32_t now, struct location_set *set)
{
	unsigned contacts = record_head(set->text).contacts;
	const char *p = first_contact(set->text);

	bool ended = false;

	set->count = set->former = 0;
	set->changing = false;
	set->before = -1;
	for (unsigned i = 0; i < contacts; i++) {
		struct location_contact *c = &set->contact[set->count];
		uint16_t agent;

		p = get_contact(p, c, &agent);
		if (c->expires <= now) {
			ended = true;
			continue;
		}
		set->count++;
		if (agent == AGENT_NONE)
			continue;
		/* record_write() saw to it that there is room behind the record. */
		c->user_agent.s = set->text + set->text_len;
		c->user_agent.len = agents_copy(a, agent, set->text + set->text_len);
		set->text_len += c->user_agent.len;
	}
	if (ended || record_head(set->text).has_past != 0)
		tell(now, set);
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

/* Former contacts, and the numbers. */
__attribute__((noinline)) static char *put_past(
	char *p, const struct past *past, const uint8_t *order, unsigned contacts)
{
	struct numbers n = {past->window.began, past->window.changed, NOBODY};
	int before = past->window.before;

	for (unsigned i = 0; i < past->former; i++)
		p = put_contact(p, &past->contact[i], AGENT_NONE);
	if (before >= (int)contacts)
		n.before = (uint8_t)before;
	for (unsigned i = 0; before >= 0 && i < contacts; i++) {
		if (order[i] == before)
			n.before = (uint8_t)i;
	}
	return put(p, &n, sizeof(n));
}

int record_write(struct agents *a, uint8_t table, struct str aor,
	const struct location_contact *contact, unsigned count, const struct past *past,
	const uint64_t *old, uint64_t *text)
{
	struct record_head head = {.aor_len = (uint16_t)aor.len,
		.table = table,
		.contacts = (uint8_t)count,
		.former = past != NULL ? (uint8_t)past->former : 0,
		.has_past = past != NULL};
	uint16_t likely[LOCATION_CONTACTS_MAX];
	uint8_t order[LOCATION_CONTACTS_MAX];
	unsigned before = old != NULL ? agents_in(old, likely) : 0;
	char *p = (char *)text;

	if (!fits(aor, contact, count, past))
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
	if (past != NULL)
		p = put_past(p, past, order, count);
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
