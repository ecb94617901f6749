/* SPDX-License-Identifier: BSD-3-Clause */
/* The room: made, told the time, taken down. */
#include <time.h>

#include "acc/internal.h"
#include "base/log.h"

#define CALLS_USUAL 1024
#define SAY_NS (60 * CLOCK_NS_PER_S)

static void shard_destroy(struct acc_shard *sh)
{
	acc_calls_destroy(sh);
	free(sh->ack);
	free(sh->response);
	free(sh->text);
	free(sh->line);
	free(sh->packed);
}

static int shard_create(struct acc_shard *sh, uint32_t calls)
{
	sh->ack = calloc(ACC_ACKS, sizeof(*sh->ack));
	sh->response = calloc(1, sizeof(*sh->response));
	sh->text = malloc(ACC_SCRATCH);
	sh->line = malloc(ACC_LINE_MAX);
	sh->packed = malloc(DB_CALL_MAX);
	if (sh->ack == NULL || sh->response == NULL || sh->text == NULL || sh->line == NULL ||
		sh->packed == NULL)
		return -ENOMEM;
	return acc_calls_create(sh, calls);
}

static int create_parts(struct acc *a)
{
	uint32_t calls = a->config.calls != 0 ? a->config.calls : CALLS_USUAL;
	struct hash_key instance;
	int err = hash_key_random(&a->key);

	if (err == 0)
		err = hash_key_random(&instance);
	if (err != 0)
		return err;
	a->instance = instance.k[0];
	a->shard = aligned_alloc(64, a->config.shards * sizeof(*a->shard));
	if (a->shard == NULL)
		return -ENOMEM;
	memset(a->shard, 0, a->config.shards * sizeof(*a->shard));
	for (unsigned i = 0; i < a->config.shards && err == 0; i++)
		err = shard_create(&a->shard[i], (calls + a->config.shards - 1) / a->config.shards);
	return err;
}

struct acc *acc_create(const struct acc_config *config)
{
	struct acc *a = calloc(1, sizeof(*a));
	struct txn_watcher watcher = {.wants = acc_wants, .told = acc_told};
	int err;

	if (a == NULL)
		return NULL;
	a->config = *config;
	atomic_init(&a->settings, &acc_initial);
	err = create_parts(a);
	if (err != 0) {
		acc_destroy(a);
		errno = -err;
		return NULL;
	}
	watcher.arg = a;
	if (config->txn != NULL)
		txn_watch(config->txn, &watcher);
	acc_tick(a, clock_now_ns());
	return a;
}

void acc_destroy(struct acc *a)
{
	const struct acc_settings *s;

	/* A thread that is stuck in syslog() may come back to its ring: all of it stays. */
	if (a == NULL || !acc_log_stop(a))
		return;
	for (unsigned i = 0; a->shard != NULL && i < a->config.shards; i++)
		shard_destroy(&a->shard[i]);
	s = atomic_load_explicit(&a->settings, memory_order_relaxed);
	if (s != &acc_initial)
		acc_settings_free((void *)(uintptr_t)s);
	free(a->shard);
	free(a);
}

int acc_register(struct acc *a, struct route_registry *registry)
{
	return route_registry_add(registry, &acc_module, a);
}

/* ---- once a second ---- */

static void take_time(struct acc *a, uint64_t now_ns)
{
	struct timespec now;
	struct tm local;

	clock_gettime(CLOCK_REALTIME, &now);
	atomic_store_explicit(&a->clock_offset_ns,
		(int64_t)now.tv_sec * (int64_t)CLOCK_NS_PER_S + now.tv_nsec - (int64_t)now_ns,
		memory_order_relaxed);
	if (localtime_r(&now.tv_sec, &local) != NULL)
		atomic_store_explicit(&a->zone_s, (int64_t)local.tm_gmtoff, memory_order_relaxed);
}

static void say_losses(struct acc *a, uint64_t now_ns)
{
	uint64_t lost = acc_counter(a, ACC_COUNTER_LOST);
	uint64_t log_lost = acc_counter(a, ACC_COUNTER_LOG_LOST);
	uint64_t displaced = acc_counter(a, ACC_COUNTER_CALLS_DISPLACED);

	if ((lost == a->said_lost && log_lost == a->said_log_lost &&
		    displaced == a->said_displaced) ||
		(a->said_ns != 0 && now_ns - a->said_ns < SAY_NS))
		return;
	if (lost != a->said_lost || log_lost != a->said_log_lost)
		log_warning("acc: lost: %llu rows that found no room on their way to the database, "
			    "%llu lines on their way to the log",
			(unsigned long long)(lost - a->said_lost),
			(unsigned long long)(log_lost - a->said_log_lost));
	if (displaced != a->said_displaced)
		log_warning("acc: %llu calls of which no BYE had come made room for younger ones: "
			    "their CDRs say 'displaced'",
			(unsigned long long)(displaced - a->said_displaced));
	a->said_lost = lost;
	a->said_log_lost = log_lost;
	a->said_displaced = displaced;
	a->said_ns = now_ns != 0 ? now_ns : 1;
}

void acc_tick(struct acc *a, uint64_t now_ns)
{
	take_time(a, now_ns);
	say_losses(a, now_ns);
}

/* ---- figures ---- */

uint64_t acc_counter(const struct acc *a, enum acc_counter counter)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < a->config.shards; i++)
		sum += atomic_load_explicit(&a->shard[i].count[counter], memory_order_relaxed);
	return sum;
}

const char *acc_counter_name(enum acc_counter counter)
{
	static const char *const name[] = {
#define ACC_COUNTER(id, text) [ACC_COUNTER_##id] = text,
		ACC_COUNTERS(ACC_COUNTER)
#undef ACC_COUNTER
	};

	return (unsigned)counter < ACC_COUNTER_COUNT ? name[counter] : "";
}
