/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Kernel UDP sockets, one a source port: sendmmsg and recvmmsg, so that any SIP server can be
 * measured without DPDK.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "internal.h"

#define BUFFER_BYTES (4 << 20) /* of each socket, both ways; the kernel gives what it allows */
#define SEND_TRIES 16
#define EVENTS_MAX 64
/* With so few sockets each is read in turn; with more, epoll says which. */
#define SOCKETS_POLLED 2

struct buffer {
	char text[GEN_TEXT_MAX + 536 + TEMPLATE_SLACK];
};

struct udp {
	struct io io;
	int *fd;
	int epoll;
	bool poll_mode, reflector;
	struct buffer *in, *out; /* GEN_BURST each */
	char *spare[GEN_BURST];  /* of `out`, nobody's at the moment */
	unsigned spares;
	struct mmsghdr header[GEN_BURST];
	struct iovec iov[GEN_BURST];
	union {
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} address[GEN_BURST];
	uint32_t *dropped; /* of each socket, as the kernel counted when it was asked last */
	uint64_t lost;     /* sum of what these grew by */
	struct epoll_event event[EVENTS_MAX];
	int events, event_at; /* sockets still to read */
	unsigned turn;
};

static socklen_t to_sockaddr(const struct net_endpoint *ep, void *out)
{
	if (ep->addr.family == 4) {
		struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons(ep->port)};

		memcpy(&sa.sin_addr, ep->addr.b, 4);
		memcpy(out, &sa, sizeof(sa));
		return sizeof(sa);
	}
	struct sockaddr_in6 sa = {.sin6_family = AF_INET6, .sin6_port = htons(ep->port)};

	memcpy(&sa.sin6_addr, ep->addr.b, 16);
	memcpy(out, &sa, sizeof(sa));
	return sizeof(sa);
}

static void from_sockaddr(const void *in, struct net_endpoint *ep)
{
	const struct sockaddr_in *v4 = in;
	const struct sockaddr_in6 *v6 = in;

	*ep = (struct net_endpoint){0};
	if (v4->sin_family == AF_INET) {
		ep->addr = net_addr_v4(v4->sin_addr.s_addr);
		ep->port = ntohs(v4->sin_port);
	} else {
		ep->addr = net_addr_v6(v6->sin6_addr.s6_addr);
		ep->port = ntohs(v6->sin6_port);
	}
}

/* ---- in ---- */

static unsigned receive_from(struct udp *u, unsigned which, struct packet *p, unsigned n)
{
	int got;

	for (unsigned i = 0; i < n; i++) {
		u->iov[i] = (struct iovec){u->in[i].text, GEN_TEXT_MAX + 536};
		u->header[i].msg_hdr = (struct msghdr){
			.msg_name = &u->address[i],
			.msg_namelen = sizeof(u->address[i]),
			.msg_iov = &u->iov[i],
			.msg_iovlen = 1,
		};
	}
	got = recvmmsg(u->fd[which], u->header, n, MSG_DONTWAIT, NULL);
	/* An error is an ICMP error of something sent before: it has been told, and that is all. */
	if (got <= 0)
		return 0;
	for (int i = 0; i < got; i++) {
		struct msghdr *h = &u->header[i].msg_hdr;

		p[i] = (struct packet){.text = u->in[i].text,
			.len = u->header[i].msg_len,
			.port = (uint16_t)which,
			.reflector = u->reflector};
		from_sockaddr(h->msg_name, &p[i].peer);
	}
	return (unsigned)got;
}

static unsigned udp_receive(struct io *io, struct packet *p, unsigned n)
{
	struct udp *u = (struct udp *)io;
	unsigned got = 0;

	if (n > GEN_BURST)
		n = GEN_BURST;
	if (io->ports <= SOCKETS_POLLED) {
		for (unsigned i = 0; i < io->ports && got == 0; i++) {
			u->turn = (u->turn + 1) % io->ports;
			got = receive_from(u, u->turn, p, n);
		}
		return got;
	}
	if (u->event_at == u->events) {
		u->events = epoll_wait(u->epoll, u->event, EVENTS_MAX, 0);
		u->event_at = 0;
		if (u->events <= 0) {
			u->events = 0;
			return 0;
		}
	}
	return receive_from(u, u->event[u->event_at++].data.u32, p, n);
}

static void udp_done(struct io *io, struct packet *p, unsigned n)
{
	(void)io;
	(void)p;
	(void)n;
}

/* ---- out ---- */

static unsigned udp_get(struct io *io, struct packet *p, unsigned n)
{
	struct udp *u = (struct udp *)io;

	if (n > u->spares)
		n = u->spares;
	for (unsigned i = 0; i < n; i++)
		p[i] = (struct packet){.text = u->spare[--u->spares]};
	return n;
}

/*
 * Messages to one socket; the kernel may take a part. One that it refuses (no route, a filter, too
 * long) is left out, and those behind it have their turn. Returns how many went.
 */
static unsigned send_on(struct udp *u, struct packet *p, unsigned from, unsigned n)
{
	int fd = u->fd[p[from].port];
	unsigned at = 0, sent = 0, tries = 0;
	bool full;

	while (at < n) {
		int rc = sendmmsg(fd, u->header + from + at, n - at, MSG_DONTWAIT);

		if (rc > 0) {
			at += (unsigned)rc;
			sent += (unsigned)rc;
			tries = 0;
			continue;
		}
		if (errno == EINTR)
			continue;
		full = errno == EAGAIN || errno == ENOBUFS;
		if (full && ++tries < SEND_TRIES) {
			struct pollfd pfd = {.fd = fd, .events = POLLOUT};

			poll(&pfd, 1, 1);
			continue;
		}
		u->io.send_error = errno;
		/* Of a full socket the rest of the burst is refused, too. */
		do
			p[from + at++].refused = true;
		while (full && at < n);
	}
	return sent;
}

static unsigned udp_send(struct io *io, struct packet *p, unsigned n)
{
	struct udp *u = (struct udp *)io;
	unsigned sent = 0;

	for (unsigned i = 0; i < n; i++) {
		u->iov[i] = (struct iovec){p[i].text, p[i].len};
		u->header[i].msg_hdr = (struct msghdr){
			.msg_name = &u->address[i],
			.msg_namelen = to_sockaddr(&p[i].peer, &u->address[i]),
			.msg_iov = &u->iov[i],
			.msg_iovlen = 1,
		};
	}
	for (unsigned i = 0, end; i < n; i = end) {
		for (end = i + 1; end < n && p[end].port == p[i].port; end++)
			;
		sent += send_on(u, p, i, end - i);
	}
	for (unsigned i = 0; i < n; i++)
		u->spare[u->spares++] = p[i].text;
	return sent;
}

/* ---- beside ---- */

static uint64_t udp_now(struct io *io)
{
	(void)io;
	return clock_now_ns();
}

static void udp_idle(struct io *io, uint64_t until)
{
	struct udp *u = (struct udp *)io;
	uint64_t now = clock_now_ns();
	struct timespec ts;
	struct pollfd pfd = {.fd = u->epoll, .events = POLLIN};

	if (u->poll_mode || until <= now || u->event_at < u->events)
		return;
	if (until - now > 100 * CLOCK_NS_PER_MS)
		until = now + 100 * CLOCK_NS_PER_MS; /* signals, progress */
	ts = (struct timespec){
		(time_t)((until - now) / CLOCK_NS_PER_S), (long)((until - now) % CLOCK_NS_PER_S)};
	ppoll(&pfd, 1, &ts, NULL);
}

static void udp_poll(struct io *io, uint64_t now)
{
	(void)io;
	(void)now;
}

static uint64_t udp_lost(struct io *io)
{
	struct udp *u = (struct udp *)io;
	uint32_t info[SK_MEMINFO_VARS];

	/* Asked for, since what a socket tells of its drops beside a packet needs one more packet.
	 */
	for (unsigned i = 0; i < io->ports; i++) {
		socklen_t len = sizeof(info);

		if (getsockopt(u->fd[i], SOL_SOCKET, SO_MEMINFO, info, &len) != 0 ||
			len <= SK_MEMINFO_DROPS * sizeof(info[0]))
			continue;
		u->lost += info[SK_MEMINFO_DROPS] - u->dropped[i];
		u->dropped[i] = info[SK_MEMINFO_DROPS];
	}
	return u->lost;
}

static int udp_ready(
	struct io *io, const struct net_endpoint *target, char *error, size_t error_size)
{
	(void)io;
	(void)target;
	(void)error;
	(void)error_size;
	return 0;
}

static void udp_close(struct io *io)
{
	struct udp *u = (struct udp *)io;

	for (unsigned i = 0; i < io->ports; i++)
		if (u->fd != NULL && u->fd[i] >= 0)
			close(u->fd[i]);
	if (u->epoll >= 0)
		close(u->epoll);
	free(u->fd);
	free(u->dropped);
	free(u->in);
	free(u->out);
	free(u);
}

/* ---- open ---- */

/* Our address: as configured, or what the kernel would send from. */
static int local_address(const struct gen_side *side, const struct net_endpoint *target,
	struct net_addr *out, char *error, size_t error_size)
{
	struct sockaddr_storage sa;
	struct net_endpoint ep;
	socklen_t len;
	int fd, rc;

	if (side->addresses > 0) {
		struct str text = str_c(side->address[0]);
		int64_t slash = str_find(text, '/');

		if (slash >= 0)
			text.len = (uint32_t)slash;
		if (net_addr_parse(text, out) != 0)
			return gen_fail(
				error, error_size, EINVAL, "'%s' is no address", side->address[0]);
		return 0;
	}
	if (target->addr.family == 0)
		return gen_fail(error, error_size, EINVAL,
			"--address is needed: the address that answers come from");
	len = to_sockaddr(target, &sa);
	fd = socket(sa.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	rc = fd < 0 || connect(fd, (struct sockaddr *)&sa, len) != 0;
	len = sizeof(sa);
	if (!rc)
		rc = getsockname(fd, (struct sockaddr *)&sa, &len) != 0;
	if (rc) {
		char text[NET_ADDR_TEXT_MAX];

		net_addr_format(&target->addr, text);
		rc = errno;
		if (fd >= 0)
			close(fd);
		return gen_fail(
			error, error_size, rc, "%s cannot be reached: %s", text, strerror(rc));
	}
	close(fd);
	from_sockaddr(&sa, &ep);
	*out = ep.addr;
	return 0;
}

static int open_socket(struct udp *u, unsigned which, char *error, size_t error_size)
{
	struct net_endpoint ep = {
		.addr = u->io.local, .port = (uint16_t)(u->io.port_first + which)};
	int bytes = BUFFER_BYTES, rc;
	struct sockaddr_storage sa;
	socklen_t len = to_sockaddr(&ep, &sa);
	struct epoll_event event = {.events = EPOLLIN, .data.u32 = which};
	char text[NET_ENDPOINT_TEXT_MAX];

	u->fd[which] = socket(sa.ss_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (u->fd[which] < 0)
		return gen_fail(error, error_size, errno, "no socket: %s", strerror(errno));
	/* Beyond net.core.rmem_max only with CAP_NET_ADMIN. */
	if (setsockopt(u->fd[which], SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)) != 0)
		setsockopt(u->fd[which], SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
	if (setsockopt(u->fd[which], SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes)) != 0)
		setsockopt(u->fd[which], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
	if (bind(u->fd[which], (struct sockaddr *)&sa, len) != 0) {
		rc = errno;
		net_endpoint_format(&ep, text);
		return gen_fail(error, error_size, rc, "udp %s: %s", text, strerror(rc));
	}
	if (epoll_ctl(u->epoll, EPOLL_CTL_ADD, u->fd[which], &event) != 0)
		return gen_fail(error, error_size, errno, "epoll: %s", strerror(errno));
	return 0;
}

static void describe(struct io *io)
{
	char text[NET_ADDR_TEXT_MAX];

	net_addr_format(&io->local, text);
	if (io->ports == 1)
		snprintf(io->description, sizeof(io->description), "udp %s port %u", text,
			io->port_first);
	else
		snprintf(io->description, sizeof(io->description), "udp %s ports %u-%u", text,
			io->port_first, io->port_first + io->ports - 1);
}

struct io *io_udp_open(const struct gen_config *config, const struct gen_side *side,
	const struct net_endpoint *target, char *error, size_t error_size)
{
	struct udp *u = calloc(1, sizeof(*u));
	struct rlimit files;

	if (u == NULL) {
		gen_fail(error, error_size, ENOMEM, "not enough memory");
		return NULL;
	}
	u->io = (struct io){
		.receive = udp_receive,
		.done = udp_done,
		.get = udp_get,
		.send = udp_send,
		.now = udp_now,
		.idle = udp_idle,
		.poll = udp_poll,
		.lost = udp_lost,
		.ready = udp_ready,
		.close = udp_close,
		.room = GEN_TEXT_MAX,
		.port_first = side->port_first,
		.ports = side->port_last - side->port_first + 1U,
	};
	u->poll_mode = config->poll;
	u->reflector = side == &config->reflector;
	u->epoll = epoll_create1(EPOLL_CLOEXEC);
	u->fd = malloc(u->io.ports * sizeof(*u->fd));
	u->dropped = calloc(u->io.ports, sizeof(*u->dropped));
	u->in = malloc(GEN_BURST * sizeof(*u->in));
	u->out = malloc(GEN_BURST * sizeof(*u->out));
	if (u->fd == NULL || u->dropped == NULL || u->in == NULL || u->out == NULL ||
		u->epoll < 0) {
		gen_fail(error, error_size, ENOMEM, "not enough memory");
		free(u->fd);
		u->fd = NULL;
		udp_close(&u->io);
		return NULL;
	}
	for (; u->spares < GEN_BURST; u->spares++)
		u->spare[u->spares] = u->out[u->spares].text;
	memset(u->fd, 0xff, u->io.ports * sizeof(*u->fd));
	if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	if (local_address(side, target, &u->io.local, error, error_size) != 0)
		goto fail;
	if (target->addr.family != 0 && target->addr.family != u->io.local.family) {
		gen_fail(error, error_size, EINVAL,
			"--address and --target are not of one family (IPv4, IPv6)");
		goto fail;
	}
	for (unsigned i = 0; i < u->io.ports; i++)
		if (open_socket(u, i, error, error_size) != 0)
			goto fail;
	describe(&u->io);
	return &u->io;
fail:
	udp_close(&u->io);
	return NULL;
}
