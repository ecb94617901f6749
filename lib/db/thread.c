/* SPDX-License-Identifier: BSD-3-Clause */
/* thread: begins and ends those of this room. */
#include <errno.h>
#include <signal.h>
#include <time.h>

#include "db/internal.h"

int thread_begin(
	struct db *db, struct thread *thread, const char *name, void *(*run)(void *arg), void *arg)
{
	sigset_t all, before;
	int err;

	sem_init(&thread->ended, 0, 0);
	/* A thread has the mask of who begins it. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	if (db->config.thread_create != NULL)
		err = db->config.thread_create(&thread->id, name, NULL, run, arg);
	else if ((err = pthread_create(&thread->id, NULL, run, arg)) == 0)
		(void)pthread_setname_np(thread->id, name);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return err > 0 ? -err : err;
}

void thread_ends(struct thread *thread)
{
	sem_post(&thread->ended);
}

bool thread_join(struct thread *thread, uint64_t until_ns)
{
	struct timespec until = {
		(time_t)(until_ns / CLOCK_NS_PER_S), (long)(until_ns % CLOCK_NS_PER_S)};

	while (sem_clockwait(&thread->ended, CLOCK_MONOTONIC, &until) != 0) {
		if (errno != EINTR)
			return false;
	}
	pthread_join(thread->id, NULL);
	sem_destroy(&thread->ended);
	return true;
}
