/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Commands about registered contacts. Any thread reads them; what changes is done by the slow lcore
 * that owns the address-of-record, as a job.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "control/commands.h"

/* Of a page: the bytes at which it ends, and the places that are looked at for it. A table that is
 * nearly empty has many of them. */
#define PAGE_BYTES 32768
#define PAGE_PLACES 4096
#define WALK_PLACES 8
#define READ_TRIES 10

struct page {
	const struct control *control;
	json_t *list;
	uint32_t now, entries, bytes;
};

static uint32_t now_s(void)
{
	return (uint32_t)(clock_now_ns() / CLOCK_NS_PER_S);
}

static void set_text(json_t *object, const char *name, struct str text)
{
	if (text.len != 0)
		json_object_set_new(object, name, rpc_string(text));
}

static json_t *contact_object(
	const struct control *c, const struct location_contact *contact, uint32_t now)
{
	const struct proxy_listener *l =
		contact->listener >= 0 ? proxy_listener_at(c->proxy, (unsigned)contact->listener)
				       : NULL;
	json_t *o = json_object();
	char text[NET_ENDPOINT_TEXT_MAX];

	set_text(o, "contact", contact->uri);
	json_object_set_new(
		o, "expires_s", json_integer(contact->expires > now ? contact->expires - now : 0));
	json_object_set_new(o, "changed_s_ago",
		json_integer(now > contact->modified ? now - contact->modified : 0));
	if (contact->q != LOCATION_Q_NONE)
		json_object_set_new(o, "q", json_real(contact->q / 1000.0));
	if (contact->received.addr.family != 0) {
		net_endpoint_format(&contact->received, text);
		json_object_set_new(o, "received", json_string(text));
	}
	if (l != NULL) {
		net_endpoint_format(&l->ep, text);
		json_object_set_new(o, "socket", json_string(text));
	}
	set_text(o, "path", contact->path);
	set_text(o, "user_agent", contact->user_agent);
	set_text(o, "instance", contact->instance);
	if (contact->reg_id != 0)
		json_object_set_new(o, "reg_id", json_integer(contact->reg_id));
	set_text(o, "call_id", contact->call_id);
	json_object_set_new(o, "cseq", json_integer(contact->cseq));
	json_object_set_new(o, "flags", json_integer(contact->flags));
	return o;
}

static json_t *aor_object(const struct control *c, uint8_t table, struct str aor,
	const struct location_set *set, uint32_t now)
{
	const char *name = registrar_table_name(c->registrar, table);
	json_t *contacts = json_array();

	for (unsigned i = 0; i < set->count; i++)
		json_array_append_new(contacts, contact_object(c, &set->contact[i], now));
	return json_pack("{s:o, s:s, s:o}", "aor", rpc_string(aor), "table",
		name != NULL ? name : "", "contacts", contacts);
}

/* ---- reading ---- */

static void visit(void *arg, uint8_t table, struct str aor, const struct location_set *set)
{
	struct page *p = arg;

	if (set->count == 0)
		return;
	json_array_append_new(p->list, aor_object(p->control, table, aor, set, p->now));
	p->entries += set->count;
	p->bytes += aor.len + set->text_len;
}

/* "SHARD:PLACE", as a page has given it. */
static bool read_cursor(const struct control *c, struct str text, unsigned *shard, uint64_t *at)
{
	int64_t colon = str_find(text, ':');
	uint32_t number;

	*shard = 0;
	*at = 0;
	if (text.len == 0)
		return true;
	if (colon < 0 ||
		str_to_u32(str_of(text.s, (size_t)colon), LOCATION_SHARDS_MAX, &number) != 0 ||
		number >= c->slow ||
		str_to_u64(str_of(text.s + colon + 1, text.len - (size_t)colon - 1), UINT64_MAX,
			at) != 0)
		return false;
	*shard = number;
	return true;
}

void command_ul_dump(struct rpc_call *call)
{
	const struct control *c = command_control(call);
	struct page page = {.control = c, .now = now_s()};
	unsigned shard, places = 0;
	uint64_t at;
	char cursor[40];

	if (registrar_asks(c->registrar)) {
		rpc_fail(call, RPC_ERROR_FAILED,
			"contacts stand in the database alone (usrloc's db_mode 3): ask for one "
			"user, or "
			"the table itself");
		return;
	}
	if (!read_cursor(c, rpc_text(call, 0), &shard, &at)) {
		rpc_fail(call, RPC_ERROR_PARAMS, "ul.dump: the cursor is of no page of it");
		return;
	}
	page.list = json_array();
	for (; shard < c->slow && page.entries < COMMAND_PAGE && page.bytes < PAGE_BYTES &&
		places < PAGE_PLACES;
		places += WALK_PLACES) {
		if (!location_walk(c->location, shard, &at, WALK_PLACES, page.now, visit, &page)) {
			shard++;
			at = 0;
		}
	}
	snprintf(cursor, sizeof(cursor), "%u:%" PRIu64, shard, at);
	call->result = json_pack("{s:o, s:o}", "aors", page.list, "cursor",
		shard < c->slow ? json_string(cursor) : json_null());
}

/* The table that an argument names; -1: there is none, and it has been said. */
static int find_table(struct rpc_call *call, unsigned n)
{
	const struct registrar *r = command_control(call)->registrar;
	struct str want = call->arg[n] != NULL ? rpc_text(call, n) : STR("location");
	const char *name;

	for (unsigned table = 0; (name = registrar_table_name(r, table)) != NULL; table++)
		if (str_eq(str_c(name), want))
			return (int)table;
	rpc_fail(call, RPC_ERROR_NOT_FOUND, "there is no table '%.*s'", STR_FMT(want));
	return -1;
}

static bool find_aor(struct rpc_call *call, struct registrar_aor *aor)
{
	struct str text = rpc_text(call, 0);

	if (registrar_aor_read(command_control(call)->registrar, text, aor) == 0)
		return true;
	rpc_fail(call, RPC_ERROR_PARAMS,
		"'%.*s' is no address-of-record; USER, or with usrloc's use_domain USER@DOMAIN",
		(int)(text.len < 200 ? text.len : 200), text.s);
	return false;
}

static void not_registered(struct rpc_call *call, const struct registrar_aor *aor)
{
	rpc_fail(call, RPC_ERROR_NOT_FOUND, "%.*s is not registered", (int)aor->len, aor->text);
}

/* ---- where the database alone knows (db_mode 3) ---- */

static struct registrar_hand *new_hand(struct rpc_call *call, int table, bool removes)
{
	struct registrar_hand *h = calloc(1, sizeof(*h));

	if (h == NULL) {
		rpc_fail(call, RPC_ERROR_BUSY, "not enough memory");
		return NULL;
	}
	h->table = (uint8_t)table;
	h->removes = removes;
	if (find_aor(call, &h->aor))
		return h;
	free(h);
	return NULL;
}

/* False where it failed, and that has been said. */
static bool hand_done(struct rpc_call *call, const struct registrar_hand *h)
{
	if (h->result > 0)
		return true;
	if (h->result == -E2BIG)
		rpc_fail(call, RPC_ERROR_FAILED, "its contacts are too many or too long");
	else if (h->result < 0)
		rpc_fail(call, RPC_ERROR_FAILED, "the database does not answer, or says no");
	else if (h->uri_len != 0)
		rpc_fail(call, RPC_ERROR_NOT_FOUND, "%.*s has no contact %.*s", (int)h->aor.len,
			h->aor.text, (int)h->uri_len, h->uri);
	else
		not_registered(call, &h->aor);
	return false;
}

static bool hand_is_over(struct rpc_call *call)
{
	struct registrar_hand *h = call->state;

	if (!h->over)
		return false;
	if (hand_done(call, h))
		call->result = h->removes ? json_pack("{s:i}", "removed", h->result)
					  : aor_object(command_control(call), h->table,
						    registrar_aor_str(&h->aor), &h->set, h->now);
	registrar_hand_drop(h);
	return true;
}

static void drop_hand(struct rpc_call *call)
{
	registrar_hand_drop(call->state);
}

static void begin_hand(struct rpc_call *call, struct registrar_hand *h)
{
	if (registrar_hand_begin(command_control(call)->registrar, h, now_s()) != 0) {
		rpc_fail(call, RPC_ERROR_BUSY, "the database has too much to do");
		free(h);
		return;
	}
	call->state = h;
	call->again = hand_is_over;
	call->drop = drop_hand;
}

/* ---- of one address-of-record ---- */

void command_ul_lookup(struct rpc_call *call)
{
	const struct control *c = command_control(call);
	struct registrar_aor aor;
	struct location_set set;
	int table = find_table(call, 1), n = -EAGAIN;
	struct registrar_hand *h;

	if (table < 0)
		return;
	if (registrar_asks(c->registrar)) {
		h = new_hand(call, table, false);
		if (h != NULL)
			begin_hand(call, h);
		return;
	}
	if (!find_aor(call, &aor))
		return;
	for (unsigned i = 0; n == -EAGAIN && i < READ_TRIES; i++)
		n = location_read(c->location,
			location_digest(c->location, (uint8_t)table, registrar_aor_str(&aor)),
			(uint8_t)table, registrar_aor_str(&aor), now_s(), &set);
	if (n == -EAGAIN)
		rpc_fail(call, RPC_ERROR_BUSY, "it changes all the time; try again");
	else if (n == 0)
		not_registered(call, &aor);
	else
		call->result =
			aor_object(c, (uint8_t)table, registrar_aor_str(&aor), &set, now_s());
}

/* ---- removing ---- */

struct removal {
	struct pipeline_job job;
	struct registrar *registrar;
	uint8_t table;
	struct registrar_aor aor;
	int removed;
	uint32_t uri_len;
	char uri[LOCATION_URI_MAX];
};

/* The slow lcore's. */
static void run_removal(struct pipeline_job *job, unsigned shard, uint64_t now_ns)
{
	struct removal *m = (struct removal *)job;

	m->removed = registrar_remove(m->registrar, shard, m->table, &m->aor,
		str_of(m->uri, m->uri_len), (uint32_t)(now_ns / CLOCK_NS_PER_S));
}

static bool is_removed(struct rpc_call *call)
{
	struct removal *m = call->state;

	if (!atomic_load_explicit(&m->job.done, memory_order_acquire))
		return false;
	if (m->removed > 0)
		call->result = json_pack("{s:i}", "removed", m->removed);
	else if (m->removed < 0)
		rpc_fail(call, RPC_ERROR_BUSY, "the table has no room for the change");
	else if (m->uri_len != 0)
		rpc_fail(call, RPC_ERROR_NOT_FOUND, "%.*s has no contact %.*s", (int)m->aor.len,
			m->aor.text, (int)m->uri_len, m->uri);
	else
		not_registered(call, &m->aor);
	free(m);
	return true;
}

static void drop_removal(struct rpc_call *call)
{
	free(call->state);
}

void command_ul_rm(struct rpc_call *call)
{
	struct control *c = command_control(call);
	struct str uri = rpc_text(call, 1);
	int table = find_table(call, 2);
	struct removal *m;

	if (table < 0)
		return;
	if (uri.len > LOCATION_URI_MAX || (call->arg[1] != NULL && uri.len == 0)) {
		rpc_fail(call, RPC_ERROR_PARAMS, "ul.rm: a contact has 1 to %d bytes",
			LOCATION_URI_MAX);
		return;
	}
	if (registrar_asks(c->registrar)) {
		struct registrar_hand *h = new_hand(call, table, true);

		if (h == NULL)
			return;
		h->uri_len = uri.len;
		str_copy(h->uri, uri);
		begin_hand(call, h);
		return;
	}
	m = calloc(1, sizeof(*m));
	if (m == NULL) {
		rpc_fail(call, RPC_ERROR_BUSY, "not enough memory");
		return;
	}
	m->job.run = run_removal;
	m->registrar = c->registrar;
	m->table = (uint8_t)table;
	m->uri_len = uri.len;
	if (uri.len != 0)
		memcpy(m->uri, uri.s, uri.len);
	call->state = m;
	if (!find_aor(call, &m->aor)) {
		free(m);
		return;
	}
	if (pipeline_ask_slow(c->pipeline,
		    location_shard(c->location,
			    location_digest(c->location, m->table, registrar_aor_str(&m->aor))),
		    &m->job) != 0) {
		rpc_fail(call, RPC_ERROR_FAILED, "there is no slow lcore");
		free(m);
		return;
	}
	call->again = is_removed;
	call->drop = drop_removal;
}
