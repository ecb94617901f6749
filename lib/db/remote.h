/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/* remote: what the drivers of servers (mysql, postgres) share. */
#include "db/internal.h"

/* A server's own limits end before ours do, so that the connection lives on. */
#define REMOTE_LOCK_MS (DB_TIMEOUT_MS * 3 / 4)
#define REMOTE_STATEMENT_MS (DB_TIMEOUT_MS - 500)
/* Of silence, where nobody set a time: an index over a large table is made without a word. */
#define REMOTE_SILENCE_MS 600000

/* What a thread waits with for a server: poll() with an end, and a way for others to end it. */
struct remote_wait {
	int wake;       /* an eventfd */
	uint64_t until; /* clock_now_ns(); 0: after `silence_ms` without a byte */
	uint32_t silence_ms;
	bool late, stopped; /* why it ended without an answer */
};

/* 0 or -errno. */
int remote_open(struct remote_wait *wait);
void remote_close(struct remote_wait *wait);
/* For something new that has to end then; 0: REMOTE_SILENCE_MS, unless silence_ms is set anew. */
void remote_begin(struct remote_wait *wait, uint64_t until);
/* Waits until fd has one of the events: 1; 0: it does not in time, or somebody stopped it; -1:
 * errno. */
int remote_poll(struct remote_wait *wait, int fd, short events);
/* Ends what another thread waits for, now or next. */
void remote_stop(const struct remote_wait *wait);
/* The end of what may take DB_TIMEOUT_MS from now. */
uint64_t remote_until(void);

/* A sentence from a server: one line, printable. `before` begins it. */
void remote_say(char *error, size_t error_size, const char *before, const char *text);
