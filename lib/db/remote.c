/* SPDX-License-Identifier: BSD-3-Clause */
/* What the drivers of servers share: waiting, texts, sentences. */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "db/remote.h"

int remote_open(struct remote_wait *wait)
{
	*wait = (struct remote_wait){.wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
	return wait->wake < 0 ? -errno : 0;
}

void remote_close(struct remote_wait *wait)
{
	if (wait->wake >= 0)
		close(wait->wake);
	wait->wake = -1;
}

void remote_begin(struct remote_wait *wait, uint64_t until)
{
	wait->until = until;
	wait->silence_ms = REMOTE_SILENCE_MS;
	wait->late = false;
}

static int left_ms(const struct remote_wait *wait)
{
	uint64_t now, left;

	if (wait->until == 0)
		return (int)wait->silence_ms;
	now = clock_now_ns();
	if (now >= wait->until)
		return 0;
	left = (wait->until - now + CLOCK_NS_PER_MS - 1) / CLOCK_NS_PER_MS;
	return left > INT_MAX ? INT_MAX : (int)left;
}

int remote_poll(struct remote_wait *wait, int fd, short events)
{
	struct pollfd p[2] = {{.fd = fd, .events = events}, {.fd = wait->wake, .events = POLLIN}};
	int n;

	do
		n = poll(p, 2, left_ms(wait));
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -1;
	/* Who was stopped stays so: it reads no answer that it does not want any more. */
	if (p[1].revents != 0)
		wait->stopped = true;
	else if (n == 0)
		wait->late = true;
	return wait->stopped || n == 0 ? 0 : 1;
}

void remote_stop(const struct remote_wait *wait)
{
	uint64_t one = 1;

	/* EAGAIN: it has been stopped some 2^64 times. */
	if (write(wait->wake, &one, sizeof(one)) < 0)
		return;
}

uint64_t remote_until(void)
{
	return clock_now_ns() + DB_TIMEOUT_MS * CLOCK_NS_PER_MS;
}

void remote_say(char *error, size_t error_size, const char *before, const char *text)
{
	size_t len;

	snprintf(error, error_size, "%s%s", before, text);
	len = strlen(error);
	while (len > 0 && (uint8_t)error[len - 1] <= ' ')
		error[--len] = '\0';
	for (size_t i = 0; i < len; i++) {
		if ((uint8_t)error[i] < ' ' || error[i] == 0x7f)
			error[i] = ' ';
	}
}
