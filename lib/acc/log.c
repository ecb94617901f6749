/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Lines on their way to the log: a ring of bytes for each slow lcore, which alone writes it, and
 * one thread that reads them all. syslog() may wait for its daemon; nobody but this thread waits
 * with it. A line stands behind its length, facility and level.
 */
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>

#include "acc/internal.h"
#include "base/log.h"

#define RING_BYTES (1u << 20)
#define REST_MS 20
#define STOP_MS 5000 /* at the end: how long syslog may take for what is there */
#define ALIGN 8u

struct head {
	uint32_t len;
	int16_t facility, level;
};

struct acc_log {
	struct acc *acc;
	pthread_t thread;
	sem_t stop, ended;
};

static void ring_write(struct acc_ring *ring, uint64_t at, const void *data, uint32_t len)
{
	uint32_t off = (uint32_t)at & (RING_BYTES - 1);
	uint32_t first = len < RING_BYTES - off ? len : RING_BYTES - off;

	memcpy(ring->bytes + off, data, first);
	memcpy(ring->bytes, (const char *)data + first, len - first);
}

static void ring_read(const struct acc_ring *ring, uint64_t at, void *data, uint32_t len)
{
	uint32_t off = (uint32_t)at & (RING_BYTES - 1);
	uint32_t first = len < RING_BYTES - off ? len : RING_BYTES - off;

	memcpy(data, ring->bytes + off, first);
	memcpy((char *)data + first, ring->bytes, len - first);
}

static uint64_t bytes_of(uint32_t len)
{
	return (sizeof(struct head) + len + ALIGN - 1) & ~(uint64_t)(ALIGN - 1);
}

void acc_log_put(struct acc *a, unsigned shard, int facility, int level, struct str line)
{
	struct acc_shard *sh = &a->shard[shard];
	struct acc_ring *ring = atomic_load_explicit(&sh->ring, memory_order_acquire);
	const struct head head = {line.len, (int16_t)facility, (int16_t)level};
	uint64_t tail, used;

	if (ring == NULL) {
		acc_count(sh, ACC_COUNTER_LOG_LOST);
		return;
	}
	tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
	used = tail - atomic_load_explicit(&ring->head, memory_order_acquire);
	if (bytes_of(line.len) > RING_BYTES - used) {
		acc_count(sh, ACC_COUNTER_LOG_LOST);
		return;
	}
	ring_write(ring, tail, &head, sizeof(head));
	ring_write(ring, tail + sizeof(head), line.s, line.len);
	atomic_store_explicit(&ring->tail, tail + bytes_of(line.len), memory_order_release);
	acc_count(sh, ACC_COUNTER_LINES);
}

/* ---- the thread ---- */

static void write_line(struct acc *a, const struct head *head, struct str line)
{
	if (a->config.write != NULL)
		a->config.write(a->config.write_arg, head->facility, head->level, line);
	else
		log_line(head->facility, (enum log_level)head->level, line.s, line.len);
}

static void drain(struct acc *a, struct acc_ring *ring)
{
	uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_acquire);
	uint64_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
	char line[ACC_LINE_MAX];
	struct head h;

	while (head != tail) {
		ring_read(ring, head, &h, sizeof(h));
		ring_read(ring, head + sizeof(h), line, h.len);
		head += bytes_of(h.len);
		atomic_store_explicit(&ring->head, head, memory_order_release);
		write_line(a, &h, str_of(line, h.len));
	}
}

static void drain_all(struct acc *a)
{
	for (unsigned i = 0; i < a->config.shards; i++) {
		struct acc_ring *ring =
			atomic_load_explicit(&a->shard[i].ring, memory_order_acquire);

		if (ring != NULL)
			drain(a, ring);
	}
}

/* Whether it was posted within `ms`. */
static bool wait_for(sem_t *sem, unsigned ms)
{
	uint64_t until = clock_now_ns() + ms * CLOCK_NS_PER_MS;
	struct timespec ts = {(time_t)(until / CLOCK_NS_PER_S), (long)(until % CLOCK_NS_PER_S)};
	int err;

	while ((err = sem_clockwait(sem, CLOCK_MONOTONIC, &ts)) != 0 && errno == EINTR)
		;
	return err == 0;
}

static void *run(void *arg)
{
	struct acc_log *log = arg;

	while (!wait_for(&log->stop, REST_MS))
		drain_all(log->acc);
	drain_all(log->acc);
	sem_post(&log->ended);
	return NULL;
}

/* ---- its life ---- */

static int rings_make(struct acc *a)
{
	for (unsigned i = 0; i < a->config.shards; i++) {
		struct acc_ring *ring = aligned_alloc(64, sizeof(*ring));

		if (ring == NULL)
			return -ENOMEM;
		memset(ring, 0, sizeof(*ring));
		ring->bytes = malloc(RING_BYTES);
		if (ring->bytes == NULL) {
			free(ring);
			return -ENOMEM;
		}
		atomic_store_explicit(&a->shard[i].ring, ring, memory_order_release);
	}
	return 0;
}

static void rings_free(struct acc *a)
{
	for (unsigned i = 0; i < a->config.shards; i++) {
		struct acc_ring *ring =
			atomic_exchange_explicit(&a->shard[i].ring, NULL, memory_order_acq_rel);

		if (ring != NULL)
			free(ring->bytes);
		free(ring);
	}
}

static int thread_start(struct acc *a, struct acc_log *log)
{
	sigset_t all, before;
	int err;

	/* A thread has the mask of who begins it. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	err = a->config.thread_create != NULL
		      ? a->config.thread_create(&log->thread, "acc-log", NULL, run, log)
		      : pthread_create(&log->thread, NULL, run, log);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return err > 0 ? -err : err;
}

static void destroy(struct acc_log *log)
{
	sem_destroy(&log->stop);
	sem_destroy(&log->ended);
	free(log);
}

int acc_log_start(struct acc *a)
{
	struct acc_log *log;
	int err;

	if (a->log != NULL)
		return 0;
	log = calloc(1, sizeof(*log));
	if (log == NULL)
		return -ENOMEM;
	log->acc = a;
	sem_init(&log->stop, 0, 0);
	sem_init(&log->ended, 0, 0);
	err = rings_make(a);
	if (err == 0)
		err = thread_start(a, log);
	if (err != 0) {
		rings_free(a);
		destroy(log);
		return err;
	}
	a->log = log;
	return 0;
}

bool acc_log_stop(struct acc *a)
{
	if (a->log == NULL)
		return true;
	sem_post(&a->log->stop);
	if (!wait_for(&a->log->ended, STOP_MS)) {
		/* It is within syslog(), which nobody else can call any more. */
		if (a->config.write == NULL)
			log_give_up("siplane: acc: syslog does not take lines: what was on its way "
				    "is lost");
		return false;
	}
	pthread_join(a->log->thread, NULL);
	rings_free(a);
	destroy(a->log);
	a->log = NULL;
	return true;
}
