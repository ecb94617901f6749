/* SPDX-License-Identifier: BSD-3-Clause */
/* Shards: their memory, their clock, what others see of them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "txn/internal.h"

#define FUNCTIONS_MAX 96

static void shard_close(struct txn_shard *s)
{
	if (s->place != NULL)
		munmap(s->place, (size_t)s->places * sizeof(s->place[0]));
	memory_destroy(&s->memory);
	digest_index_destroy(s->index);
	free(s->work);
	free(s->buffer);
	free(s->packed);
}

static int shard_create(struct txn *t, unsigned number, uint32_t places)
{
	struct txn_shard *s = &t->shard[number];
	int err;

	s->t = t;
	s->number = number;
	s->places = places;
	s->free = TXN_NO_PLACE;
	s->place = mmap(NULL, (size_t)places * sizeof(s->place[0]), PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (s->place == MAP_FAILED) {
		s->place = NULL;
		return -errno;
	}
	/* Huge pages where the system has them to give; not having them is no error. */
	madvise(s->place, (size_t)places * sizeof(s->place[0]), MADV_HUGEPAGE);
	err = memory_create(&s->memory, (uint64_t)places * TXN_BYTES_EACH);
	if (err != 0)
		return err;
	s->index = digest_index_create(places);
	s->work = calloc(1, sizeof(*s->work));
	s->buffer = malloc(TXN_MESSAGE_MAX);
	s->packed = malloc(ECHO_ROOM(TXN_MESSAGE_MAX));
	return s->index != NULL && s->work != NULL && s->buffer != NULL && s->packed != NULL
		       ? 0
		       : -ENOMEM;
}

struct txn *txn_create(const struct txn_config *config, char *error, size_t error_size)
{
	uint32_t each;
	struct txn *t;
	int err = 0;

	if (config->shards == 0 || config->shards > TXN_SHARDS_MAX || config->transactions == 0) {
		snprintf(error, error_size, "transactions: 1 to %d shards, and at least one each",
			TXN_SHARDS_MAX);
		errno = EINVAL;
		return NULL;
	}
	t = aligned_alloc(64, (sizeof(*t) + 63) / 64 * 64);
	if (t == NULL) {
		snprintf(error, error_size, "transactions: %s", strerror(ENOMEM));
		errno = ENOMEM;
		return NULL;
	}
	memset(t, 0, sizeof(*t));
	t->proxy = config->proxy;
	t->started_ns = config->started_ns;
	each = (config->transactions + config->shards - 1) / config->shards;
	while (err == 0 && t->shards < config->shards)
		err = shard_create(t, t->shards++, each);
	if (err != 0) {
		snprintf(error, error_size, "transactions: no memory for %u of them: %s",
			config->transactions, strerror(-err));
		txn_destroy(t);
		errno = -err;
		return NULL;
	}
	return t;
}

void txn_destroy(struct txn *t)
{
	if (t == NULL)
		return;
	for (unsigned i = 0; i < t->shards; i++) {
		struct txn_shard *s = &t->shard[i];

		for (uint32_t n = 0; s->place != NULL && n < s->fresh; n++) {
			if (s->place[n].state != SERVER_FREE)
				route_script_unref(s->place[n].script);
		}
		shard_close(s);
	}
	free(t);
}

int txn_register(struct txn *t, struct route_registry *registry)
{
	/* One module has one table; built once, as scripts of earlier generations point into it. */
	static struct route_function functions[FUNCTIONS_MAX];
	static struct route_module module;
	const struct route_function *const tables[] = {txn_functions, txn_more_functions};
	unsigned n = 0;

	for (unsigned i = 0; module.functions == NULL && i < 2; i++) {
		for (const struct route_function *from = tables[i]; from->name != NULL; from++) {
			if (n == FUNCTIONS_MAX - 1)
				return -ENOSPC;
			functions[n++] = *from;
		}
	}
	module = txn_module;
	module.functions = functions;
	module.variables = txn_variables;
	return route_registry_add(registry, &module, t);
}

struct txn_shard *txn_shard_open(
	struct txn *t, unsigned shard, const struct txn_sender *sender, struct route_thread *thread)
{
	struct txn_shard *s = &t->shard[shard];

	s->sender = *sender;
	s->thread = thread;
	s->told_ns = thread->now_ns;
	s->now = (uint32_t)(s->told_ns / CLOCK_NS_PER_MS);
	wheel_init(&s->wheel, (char *)s->place + offsetof(struct place, node), sizeof(struct place),
		s->now);
	s->open = true;
	return s;
}

void txn_shard_time(struct txn_shard *s, uint64_t now_ns)
{
	if (now_ns < s->told_ns)
		s->skew_ns += s->told_ns - now_ns;
	s->told_ns = now_ns;
	s->now = (uint32_t)((now_ns + s->skew_ns) / CLOCK_NS_PER_MS);
}

struct txn_entry txn_enter(
	struct txn_shard *s, enum txn_hand hand, uint16_t *flags, struct route_ctx *running)
{
	struct txn_entry before = s->entry;

	s->entry = (struct txn_entry){.hand = hand, .flags = flags, .running = running};
	return before;
}

struct txn_shard *txn_enter_function(struct txn *t, struct route_ctx *ctx, struct txn_entry *before)
{
	struct txn_shard *s;

	if (!ctx->thread->has_state || ctx->thread->shard >= t->shards ||
		!t->shard[ctx->thread->shard].open)
		return NULL;
	s = &t->shard[ctx->thread->shard];
	*before = s->entry;
	if (ctx->in == ROUTE_IN_REQUEST) {
		txn_shard_time(s, s->thread->now_ns);
		txn_enter(s, TXN_HAND_REQUEST, &txn_state(ctx)->flags, ctx);
	} else if (!ctx->msg.is_response) {
		s->entry.running = ctx;
	}
	return s;
}

unsigned txn_shard_of(struct txn *t, struct route_ctx *ctx)
{
	uint64_t digest = proxy_call_id_digest(t->proxy, ctx).hi;

	return t->shards == 1 ? 0 : (unsigned)((digest >> 32) * t->shards >> 32);
}

bool txn_may_have(struct txn *t, unsigned shard, struct route_ctx *ctx)
{
	return digest_index_may_have(
		t->shard[shard].index, proxy_transaction_key(t->proxy, ctx).lo);
}

void txn_bring(struct txn *t, unsigned shard, struct route_ctx *ctx)
{
	struct proxy_branch branch;
	uint64_t key;

	if (!ctx->msg.is_response)
		key = proxy_transaction_key(t->proxy, ctx).lo;
	else if (proxy_response_branch(ctx, &branch))
		key = branch.key;
	else
		return;
	digest_index_prefetch(t->shard[shard].index, key);
}

/* ---- figures ---- */

static const char *const counter_names[] = {
#define TXN_COUNTER(id, name) name,
	TXN_COUNTERS(TXN_COUNTER)
#undef TXN_COUNTER
};

const char *txn_counter_name(enum txn_counter counter)
{
	return counter_names[counter];
}

uint64_t txn_counter(const struct txn *t, enum txn_counter counter)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < t->shards; i++)
		sum += atomic_load_explicit(&t->shard[i].counter[counter], memory_order_relaxed);
	return sum;
}

static void add_usage(const struct txn_shard *s, struct txn_usage *out)
{
	uint64_t stand = atomic_load_explicit(&s->transactions, memory_order_relaxed);

	out->transactions += stand;
	out->transactions_max += s->places;
	out->absorbing += atomic_load_explicit(&s->absorbing, memory_order_relaxed);
	out->bytes += stand * sizeof(struct place) +
		      atomic_load_explicit(&s->memory.used, memory_order_relaxed);
	out->bytes_max += (uint64_t)s->places * sizeof(struct place) +
			  (uint64_t)s->memory.blocks * MEMORY_BLOCK;
}

void txn_shard_usage(const struct txn *t, unsigned shard, struct txn_usage *out)
{
	memset(out, 0, sizeof(*out));
	add_usage(&t->shard[shard], out);
}

void txn_usage(const struct txn *t, struct txn_usage *out)
{
	memset(out, 0, sizeof(*out));
	for (unsigned i = 0; i < t->shards; i++)
		add_usage(&t->shard[i], out);
}
