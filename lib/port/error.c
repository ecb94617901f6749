/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdio.h>

#include <rte_log.h>

#include "base/log.h"
#include "port/port_internal.h"

/*
 * DPDK writes its reasons to a stream of its own. We give it one that keeps the last error, so that
 * a refused device is explained in the sentence that the operator sees, and nothing else is printed
 * unless asked for.
 */
static struct {
	char said[PORT_SENTENCE_MAX];
	char sentence[PORT_SENTENCE_MAX + 16];
	FILE *stream;
} dpdk;

int port_fail(char *error, size_t size, int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(error, size, fmt, ap);
	va_end(ap);
	return -err;
}

static ssize_t keep_message(void *cookie, const char *text, size_t len)
{
	size_t n = len;

	while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == ' '))
		n--;
	if (n > 0) {
		if (rte_log_cur_msg_loglevel() <= (int)RTE_LOG_ERR || dpdk.said[0] == '\0')
			snprintf(dpdk.said, sizeof(dpdk.said), "%.*s", (int)n, text);
		log_debug("dpdk: %.*s", (int)n, text);
	}
	return (ssize_t)len;
}

void port_dpdk_listen(void)
{
	if (dpdk.stream == NULL) {
		dpdk.stream =
			fopencookie(NULL, "w", (cookie_io_functions_t){.write = keep_message});
		if (dpdk.stream != NULL) {
			setvbuf(dpdk.stream, NULL, _IOLBF, 0);
			rte_openlog_stream(dpdk.stream);
		}
	}
	dpdk.said[0] = '\0';
}

const char *port_dpdk_said(void)
{
	if (dpdk.said[0] == '\0')
		return "";
	snprintf(dpdk.sentence, sizeof(dpdk.sentence), " (DPDK: %s)", dpdk.said);
	return dpdk.sentence;
}
