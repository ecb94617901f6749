/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Phones and backends by sockets, around a system that runs elsewhere (--wire): one socket that has
 * port 5060 of all their addresses, which the machine has. Reads commands from stdin and answers
 * each with a line of JSON:
 *
 *   new N        N more phones register for the first time, or so many calls are made
 *   run SECONDS  as much as the window lets under way; waits for the rest
 */
#include "phones.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BATCH 32
#define TEXT_MAX 2048
#define SOCKET_BUFFER (8 << 20)
/* Nothing came for so long: what is under way is lost. */
#define LOST_NS (500 * CLOCK_NS_PER_MS)
#define PAUSE_NS 50000

struct datagram {
	char text[TEXT_MAX];
	struct sockaddr_in peer;
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(struct in_pktinfo))];
};

struct phones_wire {
	int fd;
	struct datagram in[BATCH], out[BATCH];
	struct iovec in_iov[BATCH], out_iov[BATCH];
	struct mmsghdr in_msg[BATCH], out_msg[BATCH];
	unsigned queued;
};

static int wire_socket(struct bench *b)
{
	struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons(5060)};
	int size = SOCKET_BUFFER, one = 1, fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);

	if (fd < 0 || setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &one, sizeof(one)) != 0 ||
		bind(fd, (struct sockaddr *)&any, sizeof(any)) != 0)
		bench_fail(b, "no socket: %s", strerror(errno));
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
	return fd;
}

static void point(struct mmsghdr *m, struct datagram *d, struct iovec *iov)
{
	*iov = (struct iovec){d->text, sizeof(d->text)};
	m->msg_hdr = (struct msghdr){.msg_name = &d->peer,
		.msg_namelen = sizeof(d->peer),
		.msg_iov = iov,
		.msg_iovlen = 1,
		.msg_control = d->control,
		.msg_controllen = sizeof(d->control)};
}

void phones_wire_open(struct bench *b, struct phones *p)
{
	struct phones_wire *w = bench_alloc(b, 1, sizeof(*w));

	memset(p, 0, sizeof(*p));
	p->b = b;
	p->lot.state = 0x9e3779b97f4a7c15ULL;
	p->wire = w;
	w->fd = wire_socket(b);
}

static void flush(struct phones_wire *w)
{
	/* What the socket has no room for is lost, as it would be anywhere. */
	if (w->queued != 0)
		(void)sendmmsg(w->fd, w->out_msg, w->queued, 0);
	w->queued = 0;
}

void phones_wire_send(
	struct phones *p, unsigned port, const struct net_endpoint *src, struct str text)
{
	struct phones_wire *w = p->wire;
	struct datagram *d = &w->out[w->queued];
	struct mmsghdr *m = &w->out_msg[w->queued];
	struct in_pktinfo info = {0};
	struct cmsghdr *c;

	point(m, d, &w->out_iov[w->queued]);
	d->peer = (struct sockaddr_in){.sin_family = AF_INET,
		.sin_port = htons(5060),
		.sin_addr.s_addr = htonl(0x0a0a0001 + port * 0xa0000)};
	memcpy(d->text, text.s, text.len);
	w->out_iov[w->queued].iov_len = text.len;
	c = CMSG_FIRSTHDR(&m->msg_hdr);
	c->cmsg_level = IPPROTO_IP;
	c->cmsg_type = IP_PKTINFO;
	c->cmsg_len = CMSG_LEN(sizeof(info));
	memcpy(&info.ipi_spec_dst, src->addr.b, 4);
	memcpy(CMSG_DATA(c), &info, sizeof(info));
	if (++w->queued == BATCH)
		flush(w);
}

/* Where a datagram went: the address that it was received at. */
static struct net_endpoint taken_at(struct msghdr *m)
{
	struct net_endpoint to = {.port = 5060, .addr.family = 4};
	struct in_pktinfo info;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c != NULL; c = CMSG_NXTHDR(m, c)) {
		if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
			memcpy(&info, CMSG_DATA(c), sizeof(info));
			memcpy(to.addr.b, &info.ipi_addr, 4);
		}
	}
	return to;
}

static unsigned take(struct phones *p)
{
	struct phones_wire *w = p->wire;
	int n;

	for (unsigned i = 0; i < BATCH; i++)
		point(&w->in_msg[i], &w->in[i], &w->in_iov[i]);
	n = recvmmsg(w->fd, w->in_msg, BATCH, MSG_DONTWAIT, NULL);
	for (int i = 0; i < n; i++) {
		struct net_endpoint to = taken_at(&w->in_msg[i].msg_hdr);

		p->react(p, to.addr.b[1] == 20, &to, str_of(w->in[i].text, w->in_msg[i].msg_len));
	}
	flush(w);
	return n > 0 ? (unsigned)n : 0;
}

static uint64_t cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * CLOCK_NS_PER_S + (uint64_t)t.tv_nsec;
}

static void work(struct phones *p, double seconds, uint64_t last)
{
	const struct timespec pause = {.tv_nsec = PAUSE_NS};
	uint64_t begun = clock_now_ns(), cpu = cpu_ns(), heard = begun, now = begun;
	uint64_t end = begun + (uint64_t)(seconds * 1e9), done = p->done, lost = 0;

	while ((now < end && p->begun < last) || p->open != 0) {
		if (now < end)
			phones_begin(p, last);
		flush(p->wire);
		if (take(p) != 0)
			heard = now;
		else
			nanosleep(&pause, NULL);
		now = clock_now_ns();
		if (now - heard > LOST_NS) {
			lost += p->open;
			p->open = 0;
			heard = now;
		}
	}
	printf("{\"done\": %" PRIu64 ", \"lost\": %" PRIu64 ", \"ns\": %" PRIu64
	       ", \"cpu_ns\": %" PRIu64 "}\n",
		p->done - done, lost, now - begun, cpu_ns() - cpu);
	fflush(stdout);
}

void phones_wire_serve(struct phones *p, void (*first)(struct phones *p))
{
	void (*later)(struct phones * p) = p->begin;
	char line[80];
	double seconds;
	unsigned n;

	puts("ready");
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin) != NULL) {
		if (sscanf(line, "new %u", &n) == 1) {
			p->begin = first;
			work(p, 600, p->begun + n);
			p->begin = later;
		} else if (sscanf(line, "run %lf", &seconds) == 1) {
			work(p, seconds, UINT64_MAX);
		} else {
			bench_fail(p->b, "unknown command: %s", line);
		}
	}
	close(p->wire->fd);
	free(p->wire);
	free(p->template);
}
