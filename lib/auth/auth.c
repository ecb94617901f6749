/* SPDX-License-Identifier: BSD-3-Clause */
/* The room: made, counted, taken down. */
#include <time.h>

#include "auth/internal.h"

#define INSTANCE_MASK 0x3fffu

const struct auth_settings auth_initial = {
	.p = {.nonce_expire = 300, .max_drift = 3, .nonce_count = 1, .check_uri = 1},
	.algorithms = 1u << AUTH_MD5,
	.www_header = {16, "WWW-Authenticate"},
	.proxy_header = {18, "Proxy-Authenticate"},
};

static void free_parts(struct auth *a)
{
	free(a->thread);
	auth_window_fini(&a->window);
	free(a);
}

/* What nobody outside can know beforehand. */
static int draw(struct auth *a)
{
	struct hash_key key[3];

	for (unsigned i = 0; i < 3; i++) {
		int err = hash_key_random(&key[i]);

		if (err != 0)
			return err;
	}
	mac_key_set(&a->echo_key, &key[0]);
	a->instance = key[1].k[0] & INSTANCE_MASK;
	for (unsigned i = 0; i < AUTH_THREADS; i++)
		a->thread[i].serial = key[1].k[1] + i * key[2].k[0];
	return 0;
}

static int create_parts(struct auth *a)
{
	int err;

	a->thread = aligned_alloc(64, AUTH_THREADS * sizeof(*a->thread));
	if (a->thread == NULL)
		return -ENOMEM;
	memset(a->thread, 0, AUTH_THREADS * sizeof(*a->thread));
	err = auth_window_init(&a->window);
	return err == 0 ? draw(a) : err;
}

struct auth *auth_create(const struct auth_config *config)
{
	struct auth *a = calloc(1, sizeof(*a));
	int err;

	if (a == NULL)
		return NULL;
	a->config = *config;
	atomic_init(&a->settings, &auth_initial);
	err = create_parts(a);
	if (err != 0) {
		free_parts(a);
		errno = -err;
		return NULL;
	}
	atomic_init(&a->started_s, UINT32_MAX);
	auth_tick(a, clock_now_ns());
	return a;
}

void auth_destroy(struct auth *a)
{
	const struct auth_settings *s;

	if (a == NULL)
		return;
	s = atomic_load_explicit(&a->settings, memory_order_relaxed);
	if (s != &auth_initial)
		auth_settings_free((void *)(uintptr_t)s);
	free_parts(a);
}

void auth_settings_free(void *settings)
{
	struct auth_settings *s = settings;

	access_rate_destroy(s->wrong);
	free(s);
}

/* What a publication replaces. Settings that RCU has no room for are lost, which beats freeing what
 * a worker reads. */
void auth_retire(struct auth *a, const struct auth_settings *settings)
{
	void *old = (void *)(uintptr_t)settings;

	if (settings == &auth_initial)
		return;
	if (a->config.rcu == NULL) {
		auth_settings_free(old);
	} else if (rcu_retire(a->config.rcu, old, auth_settings_free) != 0) {
		rcu_reclaim(a->config.rcu);
		(void)rcu_retire(a->config.rcu, old, auth_settings_free);
	}
}

int auth_register(struct auth *a, struct route_registry *registry)
{
	static const struct route_module *const modules[] = {&auth_module, &auth_db_module,
		&auth_uri_db_module, &auth_uri_module, &auth_group_module, &auth_alias_db_module};
	int err = 0;

	for (size_t i = 0; err == 0 && i < sizeof(modules) / sizeof(modules[0]); i++)
		err = route_registry_add(registry, modules[i], a);
	return err;
}

int auth_set_db_url(struct auth *a, const char *url)
{
	size_t len = strlen(url);

	if (len >= sizeof(a->db_url))
		return -E2BIG;
	memcpy(a->db_url, url, len + 1);
	return 0;
}

void auth_tick(struct auth *a, uint64_t now_ns)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	atomic_store_explicit(&a->clock_offset_ns,
		(int64_t)now.tv_sec * (int64_t)CLOCK_NS_PER_S + now.tv_nsec - (int64_t)now_ns,
		memory_order_relaxed);
	/* A clock that is set back shall not make our own nonces older than we are. */
	if ((uint32_t)now.tv_sec < atomic_load_explicit(&a->started_s, memory_order_relaxed))
		atomic_store_explicit(&a->started_s, (uint32_t)now.tv_sec, memory_order_relaxed);
}

uint64_t auth_counter(const struct auth *a, enum auth_counter counter)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < AUTH_THREADS; i++)
		sum += atomic_load_explicit(&a->thread[i].count[counter], memory_order_relaxed);
	return sum;
}

const char *auth_counter_name(enum auth_counter counter)
{
	static const char *const name[] = {
#define AUTH_COUNTER(id, text) [AUTH_COUNTER_##id] = text,
		AUTH_COUNTERS(AUTH_COUNTER)
#undef AUTH_COUNTER
	};

	return (unsigned)counter < AUTH_COUNTER_COUNT ? name[counter] : "";
}
