/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Messages for the operator, on standard error or syslog. Control, slow and helper threads only: a
 * worker counts what it sees (lib/pipeline/counter.def) and hands xlog lines to the control thread.
 */
enum log_level {
	LOG_LEVEL_ERROR = 0,
	LOG_LEVEL_WARNING,
	LOG_LEVEL_NOTICE,
	LOG_LEVEL_INFO,
	LOG_LEVEL_DEBUG
};

/* Messages above `level` are not written. The default is LOG_LEVEL_NOTICE. */
void log_set_level(enum log_level level);

/* Writes to syslog with facility daemon instead of standard error. */
void log_use_syslog(const char *ident);

/* One message, without a newline at its end. */
void log_message(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* A line of others than ourselves, as it is, with a facility of syslog's (LOG_DAEMON, ...). Waits
 * where syslog does. */
void log_line(int facility, enum log_level level, const char *text, unsigned len);

/* Whoever takes lines does not come back: from here on they go nowhere, so that the process can
 * end. `last` is written to standard error, if that takes it at once. Any thread. */
void log_give_up(const char *last);

#define log_error(...) log_message(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_message(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_notice(...) log_message(LOG_LEVEL_NOTICE, __VA_ARGS__)
#define log_info(...) log_message(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_message(LOG_LEVEL_DEBUG, __VA_ARGS__)
