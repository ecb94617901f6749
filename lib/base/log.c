/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <syslog.h>
#include <unistd.h>

static _Atomic int level_max = LOG_LEVEL_NOTICE;
static bool to_syslog;
static _Atomic bool given_up;

void log_set_level(enum log_level level)
{
	atomic_store_explicit(&level_max, (int)level, memory_order_relaxed);
}

void log_use_syslog(const char *ident)
{
	openlog(ident, LOG_PID, LOG_DAEMON);
	to_syslog = true;
}

static const int priority[] = {
	[LOG_LEVEL_ERROR] = LOG_ERR,
	[LOG_LEVEL_WARNING] = LOG_WARNING,
	[LOG_LEVEL_NOTICE] = LOG_NOTICE,
	[LOG_LEVEL_INFO] = LOG_INFO,
	[LOG_LEVEL_DEBUG] = LOG_DEBUG,
};

static bool is_written(enum log_level level)
{
	return !atomic_load_explicit(&given_up, memory_order_relaxed) &&
	       (int)level <= atomic_load_explicit(&level_max, memory_order_relaxed);
}

void log_line(int facility, enum log_level level, const char *text, unsigned len)
{
	if (!is_written(level))
		return;
	if (to_syslog)
		syslog(facility | priority[level], "%.*s", (int)len, text);
	else
		fprintf(stderr, "%.*s\n", (int)len, text);
}

void log_message(enum log_level level, const char *fmt, ...)
{
	static const char *const prefix[] = {
		[LOG_LEVEL_ERROR] = "siplane: ",
		[LOG_LEVEL_WARNING] = "siplane: warning: ",
		[LOG_LEVEL_NOTICE] = "",
		[LOG_LEVEL_INFO] = "",
		[LOG_LEVEL_DEBUG] = "debug: ",
	};
	char line[2048];
	va_list ap;

	if (!is_written(level))
		return;
	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (to_syslog)
		syslog(priority[level], "%s", line);
	else
		fprintf(stderr, "%s%s\n", prefix[level], line);
}

void log_give_up(const char *last)
{
	struct pollfd err = {.fd = STDERR_FILENO, .events = POLLOUT};
	const struct iovec part[] = {{(void *)(uintptr_t)last, strlen(last)}, {(char[]){'\n'}, 1}};

	atomic_store_explicit(&given_up, true, memory_order_relaxed);
	/* Not by stdio, whose lock who is stuck may have. */
	if (poll(&err, 1, 0) == 1 && (err.revents & POLLOUT) != 0)
		(void)!writev(STDERR_FILENO, part, 2);
}
