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

struct registrar *registrar_create(const struct registrar_config *config)
{
	struct registrar *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return NULL;
	r->config = *config;
	r->thread = aligned_alloc(64, RCU_READERS_MAX * sizeof(*r->thread));
	if (r->thread == NULL) {
		free(r);
		return NULL;
	}
	memset(r->thread, 0, RCU_READERS_MAX * sizeof(*r->thread));
	atomic_init(&r->usrloc, &usrloc_initial);
	atomic_init(&r->settings, &initial);
	return r;
}

void registrar_destroy(struct registrar *r)
{
	const void *usrloc, *settings;

	if (r == NULL)
		return;
	usrloc = atomic_load_explicit(&r->usrloc, memory_order_relaxed);
	settings = atomic_load_explicit(&r->settings, memory_order_relaxed);
	if (usrloc != &usrloc_initial)
		free((void *)(uintptr_t)usrloc);
	if (settings != &initial)
		free((void *)(uintptr_t)settings);
	free(r->thread);
	free(r);
}

int registrar_register(struct registrar *r, struct route_registry *registry)
{
	int err = route_registry_add(registry, &registrar_usrloc_module, r);

	return err != 0 ? err : route_registry_add(registry, &registrar_module, r);
}

/* What a publication replaces. A table that RCU has no room for is lost, which beats freeing what a
 * worker reads. */
void registrar_retire(struct registrar *r, const void *settings)
{
	void *old = (void *)(uintptr_t)settings;

	if (settings == &usrloc_initial || settings == &initial)
		return;
	if (r->config.rcu == NULL) {
		free(old);
	} else if (rcu_retire(r->config.rcu, old, free) != 0) {
		rcu_reclaim(r->config.rcu);
		(void)rcu_retire(r->config.rcu, old, free);
	}
}

int registrar_table(struct registrar *r, struct str name)
{
	if (name.len == 0 || name.len > REGISTRAR_TABLE_NAME_MAX)
		return -1;
	for (unsigned i = 0; i < r->tables; i++)
		if (str_eq(str_c(r->table[i]), name))
			return (int)i;
	if (r->tables == REGISTRAR_TABLES_MAX)
		return -1;
	memcpy(r->table[r->tables], name.s, name.len);
	r->table[r->tables][name.len] = '\0';
	return (int)r->tables++;
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
