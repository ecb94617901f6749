/* SPDX-License-Identifier: BSD-3-Clause */
/* The room: made, counted, taken down; and whose shard a REGISTER belongs to. */
#include <stdlib.h>

#include "registrar/internal.h"

/* Of a process that has loaded no script, or one without these modules. */
static const struct registrar_usrloc_settings usrloc_initial = {
	.p = {.nat_bflag = -1, .cseq_delay = 20}};
static const struct registrar_settings initial = {.p = {.default_expires = 3600,
							  .min_expires = 60,
							  .default_q = -1,
							  .append_branches = 1,
							  .path_mode = REGISTRAR_PATH_STRICT,
							  .sock_flag = -1}};
/* Until the first registrar_zone_publish(). */
static const struct registrar_zone zone_initial = {.count = 1, .span = {{.from = INT64_MIN}}};

static void free_tables(struct registrar *r)
{
	for (unsigned i = 0; i < LOCATION_SHARDS_MAX; i++) {
		free(r->shard[i].sent);
		free(r->shard[i].turn);
	}
	pin_destroy(r->pins);
	registrar_seen_destroy(r->seen);
	if (r->calls != NULL)
		registrar_calls_leave(r->calls);
	free(r->thread);
	free(r);
}

/* Pages come with their first use. */
static bool make_shards(struct registrar *r)
{
	for (unsigned i = 0; i < location_shards(r->config.location); i++) {
		r->shard[i].sent = calloc(REGISTRAR_SENT_PLACES, sizeof(*r->shard[i].sent));
		r->shard[i].turn = registrar_turns_create();
		if (r->shard[i].sent == NULL || r->shard[i].turn == NULL)
			return false;
	}
	return true;
}

struct registrar *registrar_create(const struct registrar_config *config)
{
	struct registrar *r = aligned_alloc(_Alignof(struct registrar), sizeof(*r));

	if (r == NULL)
		return NULL;
	memset(r, 0, sizeof(*r));
	r->config = *config;
	r->thread = aligned_alloc(64, RCU_READERS_MAX * sizeof(*r->thread));
	if (r->thread == NULL) {
		free(r);
		return NULL;
	}
	memset(r->thread, 0, RCU_READERS_MAX * sizeof(*r->thread));
	r->pins = pin_create(config->pins);
	r->seen = registrar_seen_create();
	r->calls = calloc(1, sizeof(*r->calls));
	if (r->calls != NULL)
		atomic_init(&r->calls->users, 1);
	if (r->pins == NULL || r->seen == NULL || r->calls == NULL || !make_shards(r)) {
		free_tables(r);
		return NULL;
	}
	atomic_init(&r->usrloc, &usrloc_initial);
	atomic_init(&r->settings, &initial);
	atomic_init(&r->zone, &zone_initial);
	return r;
}

void registrar_destroy(struct registrar *r)
{
	const void *usrloc, *settings, *zone;

	if (r == NULL)
		return;
	usrloc = atomic_load_explicit(&r->usrloc, memory_order_relaxed);
	settings = atomic_load_explicit(&r->settings, memory_order_relaxed);
	zone = atomic_load_explicit(&r->zone, memory_order_relaxed);
	if (usrloc != &usrloc_initial)
		free((void *)(uintptr_t)usrloc);
	if (settings != &initial)
		free((void *)(uintptr_t)settings);
	if (zone != &zone_initial)
		free((void *)(uintptr_t)zone);
	free_tables(r);
}

void registrar_tick(struct registrar *r, uint64_t now_ns)
{
	pin_sweep(r->pins, now_ns);
	registrar_persist_tick(r, now_ns);
}

int registrar_register(struct registrar *r, struct route_registry *registry)
{
	int err = route_registry_add(registry, &registrar_usrloc_module, r);

	r->registry = registry;
	return err != 0 ? err : route_registry_add(registry, &registrar_module, r);
}

/* What a publication replaces. A table that RCU has no room for is lost, which beats freeing what a
 * worker reads. */
void registrar_retire(struct registrar *r, const void *settings)
{
	void *old = (void *)(uintptr_t)settings;

	if (settings == &usrloc_initial || settings == &initial || settings == &zone_initial)
		return;
	if (r->config.rcu == NULL) {
		free(old);
	} else if (rcu_retire(r->config.rcu, old, free) != 0) {
		rcu_reclaim(r->config.rcu);
		(void)rcu_retire(r->config.rcu, old, free);
	}
}

bool registrar_table_there(const struct registrar *r, unsigned table)
{
	return r->table_published[table] ||
	       atomic_load_explicit(&r->calls->of[table], memory_order_acquire) != 0;
}

/* The one of that name, or else one that a refused configuration has left, or the next. */
static unsigned place_of(const struct registrar *r, struct str name, unsigned tables)
{
	unsigned place = tables;

	for (unsigned i = tables; i-- > 0;) {
		if (str_eq(str_c(r->table[i]), name))
			return i;
		if (!registrar_table_there(r, i))
			place = i;
	}
	return place;
}

int registrar_table_take(struct registrar *r, struct str name)
{
	unsigned tables = atomic_load_explicit(&r->tables, memory_order_relaxed);
	unsigned i;

	if (name.len == 0 || name.len > REGISTRAR_TABLE_NAME_MAX)
		return -1;
	i = place_of(r, name, tables);
	if (i == REGISTRAR_TABLES_MAX)
		return -1;
	if (i == tables || !registrar_table_there(r, i)) {
		memcpy(r->table[i], name.s, name.len);
		r->table[i][name.len] = '\0';
	}
	atomic_fetch_add_explicit(&r->calls->users, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&r->calls->of[i], 1, memory_order_acq_rel);
	if (i == tables)
		atomic_store_explicit(&r->tables, tables + 1, memory_order_release);
	return (int)i;
}

void registrar_calls_leave(struct registrar_calls *calls)
{
	if (atomic_fetch_sub_explicit(&calls->users, 1, memory_order_acq_rel) == 1)
		free(calls);
}

void registrar_table_give(struct registrar_calls *calls, unsigned table)
{
	atomic_fetch_sub_explicit(&calls->of[table], 1, memory_order_acq_rel);
	registrar_calls_leave(calls);
}

void registrar_tables_published(struct registrar *r)
{
	unsigned tables = atomic_load_explicit(&r->tables, memory_order_acquire);

	for (unsigned i = 0; i < tables; i++)
		r->table_published[i] = registrar_table_there(r, i);
}

int registrar_shard(struct registrar *r, struct route_ctx *ctx)
{
	const struct sip_address *to = sip_msg_to(&ctx->msg, ctx->buf);
	struct registrar_aor aor;

	if (to == NULL || registrar_aor_of_text(r, sip_text(ctx->buf, to->uri), &aor, NULL) !=
				  REGISTRAR_AOR_OK)
		return -1;
	/* An address-of-record is in one shard, whatever the table. */
	return (int)location_shard(r->config.location,
		location_digest(r->config.location, 0, registrar_aor_str(&aor)));
}

uint64_t registrar_counter(const struct registrar *r, enum registrar_counter counter)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < RCU_READERS_MAX; i++)
		sum += atomic_load_explicit(&r->thread[i].count[counter], memory_order_relaxed);
	return sum;
}

const char *registrar_counter_name(enum registrar_counter counter)
{
	static const char *const name[] = {
#define REGISTRAR_COUNTER(id, text) [REGISTRAR_COUNTER_##id] = text,
		REGISTRAR_COUNTERS(REGISTRAR_COUNTER)
#undef REGISTRAR_COUNTER
	};

	return (unsigned)counter < REGISTRAR_COUNTER_COUNT ? name[counter] : "";
}
