/* SPDX-License-Identifier: BSD-3-Clause */
/* The socket's clients, and what each may take. */
#include <errno.h>
#include <grp.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "control/rpc.h"
#include "control/rpc_place.h"

#define ACCEPTS_MAX 16  /* a turn */
#define GROUPS_MAX 1024 /* of a client */
#define IN_FIRST 1024   /* bytes */

struct client {
	int fd; /* -1: none; a call may be under way still */
	uid_t uid;
	pid_t pid;
	bool eof;  /* it sends no more */
	bool last; /* closed when it has what is in `out` */
	char *in;
	size_t in_len, in_size, in_at; /* in_at: what the frame has seen */
	struct rpc_frame frame;
	struct rpc_out out;
	size_t sent; /* of out */
	uint64_t half_since, moved_at, used_at;
	struct rpc_work work;
};

struct rpc {
	struct rpc_config config;
	struct rpc_place place;
	int fd;
	gid_t group; /* or RPC_NO_GROUP */
	unsigned turn;
	uint64_t look_at, rest_until, told_at;
	uint64_t watch_at, lost_told_at; /* that the name still leads here */
	bool lost;
	_Atomic uint64_t count[RPC_COUNTER_COUNT];
	struct client client[RPC_CLIENTS_MAX];
};

static void count(struct rpc *r, enum rpc_counter counter, uint64_t n)
{
	atomic_fetch_add_explicit(&r->count[counter], n, memory_order_relaxed);
}

uint64_t rpc_counter(const struct rpc *r, enum rpc_counter counter)
{
	return atomic_load_explicit(&r->count[counter], memory_order_relaxed);
}

const char *rpc_counter_name(enum rpc_counter counter)
{
	static const char *const name[] = {
#define RPC_COUNTER(id, text) [RPC_COUNTER_##id] = text,
		RPC_COUNTERS(RPC_COUNTER)
#undef RPC_COUNTER
	};

	return (unsigned)counter < RPC_COUNTER_COUNT ? name[counter] : "";
}

/* ---- opening ---- */

static int find_group(const char *name, gid_t *out, char *error, size_t size)
{
	const struct group *group;

	*out = RPC_NO_GROUP;
	if (name == NULL)
		return 0;
	group = getgrnam(name);
	if (group == NULL) {
		snprintf(error, size, "control_group: there is no group '%s'", name);
		return -ENOENT;
	}
	*out = group->gr_gid;
	return 0;
}

static int open_socket(struct rpc *r, char *error, size_t size)
{
	int err = find_group(r->config.group, &r->group, error, size);

	if (err != 0)
		return err;
	r->fd = rpc_place_open(&r->place, r->config.path, r->group, error, size);
	return r->fd < 0 ? r->fd : 0;
}

struct rpc *rpc_open(const struct rpc_config *config, char *error, size_t error_size)
{
	struct rpc *r = calloc(1, sizeof(*r));
	int err;

	if (r == NULL) {
		snprintf(error, error_size, "control_socket: not enough memory");
		return NULL;
	}
	r->config = *config;
	r->fd = -1;
	for (unsigned i = 0; i < RPC_CLIENTS_MAX; i++)
		r->client[i].fd = -1;
	err = open_socket(r, error, error_size);
	if (err != 0) {
		free(r);
		errno = -err;
		return NULL;
	}
	return r;
}

/* ---- clients ---- */

static bool is_waiting(const struct client *c)
{
	return c->work.request != NULL && c->work.called;
}

static bool is_free(const struct client *c)
{
	return c->fd < 0 && !is_waiting(c);
}

static void free_buffers(struct client *c)
{
	free(c->in);
	free(c->out.text);
	c->in = NULL;
	c->in_len = c->in_size = c->in_at = c->sent = 0;
	c->out = (struct rpc_out){NULL, 0, 0};
}

/* What a command waits for comes still, and then nobody is told. */
static void drop(struct rpc *r, struct client *c)
{
	if (c->fd >= 0) {
		close(c->fd);
		c->fd = -1;
		atomic_fetch_sub_explicit(&r->count[RPC_COUNTER_CLIENTS], 1, memory_order_relaxed);
	}
	if (is_waiting(c))
		return;
	rpc_work_drop(&c->work);
	free_buffers(c);
}

static bool is_member(int fd, gid_t gid, gid_t group)
{
	gid_t groups[GROUPS_MAX];
	socklen_t len = sizeof(groups);

	if (gid == group)
		return true;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &len) != 0)
		return false;
	for (size_t i = 0; i < len / sizeof(groups[0]); i++)
		if (groups[i] == group)
			return true;
	return false;
}

static bool may(const struct rpc *r, int fd, struct ucred *peer)
{
	socklen_t len = sizeof(*peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, peer, &len) != 0)
		return false;
	return peer->uid == 0 || peer->uid == geteuid() ||
	       (r->group != RPC_NO_GROUP && is_member(fd, peer->gid, r->group));
}

/* One line, if it can take it at once, and no more. */
static void turn_away(int fd, int error, const char *message)
{
	struct rpc_out out = {NULL, 0, 0};

	rpc_out_error(&out, error, message);
	if (out.len > 0)
		(void)!send(fd, out.text, out.len, MSG_NOSIGNAL | MSG_DONTWAIT);
	free(out.text);
	close(fd);
}

/* A place; where all are taken, that of whoever has been idle longest, and for long enough. */
static struct client *find_place(struct rpc *r, uint64_t now)
{
	struct client *oldest = NULL;

	for (unsigned i = 0; i < RPC_CLIENTS_MAX; i++) {
		struct client *c = &r->client[i];

		if (is_free(c))
			return c;
		if (c->in_len == 0 && c->work.request == NULL && c->out.len == 0 &&
			now - c->used_at >= RPC_IDLE_NS &&
			(oldest == NULL || c->used_at < oldest->used_at))
			oldest = c;
	}
	if (oldest != NULL) {
		count(r, RPC_COUNTER_REPLACED, 1);
		drop(r, oldest);
	}
	return oldest;
}

static void tell_stranger(struct rpc *r, const struct ucred *peer, uint64_t now)
{
	if (now < r->told_at)
		return;
	r->told_at = now + 60 * CLOCK_NS_PER_S;
	log_warning("control_socket: process %d of user %u may not use it", peer->pid, peer->uid);
}

static unsigned accept_clients(struct rpc *r, uint64_t now)
{
	unsigned n = 0;

	for (; n < ACCEPTS_MAX; n++) {
		int fd = accept4(r->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		struct ucred peer = {.pid = 0, .uid = (uid_t)-1};
		struct client *c;

		if (fd < 0)
			break;
		if (!may(r, fd, &peer)) {
			count(r, RPC_COUNTER_STRANGERS, 1);
			tell_stranger(r, &peer, now);
			turn_away(fd, RPC_ERROR_STRANGER,
				"only the user that siplane runs as, root and members of "
				"control_group may do this");
			continue;
		}
		c = find_place(r, now);
		if (c == NULL) {
			count(r, RPC_COUNTER_FULL, 1);
			turn_away(fd, RPC_ERROR_BUSY, "too many clients");
			continue;
		}
		memset(c, 0, sizeof(*c));
		c->fd = fd;
		c->uid = peer.uid;
		c->pid = peer.pid;
		c->used_at = now;
		count(r, RPC_COUNTER_CONNECTED, 1);
		count(r, RPC_COUNTER_CLIENTS, 1);
	}
	return n;
}

/* ---- what comes ---- */

/* White space between requests. */
static void skip_space(struct client *c)
{
	size_t n = 0;

	if (c->frame.depth != 0 || c->in_at != 0)
		return;
	while (n < c->in_len && str_is_lws(c->in[n]))
		n++;
	if (n > 0) {
		c->in_len -= n;
		memmove(c->in, c->in + n, c->in_len);
	}
}

static bool make_room(struct client *c)
{
	size_t size = c->in_size != 0 ? 2 * c->in_size : IN_FIRST;
	char *grown;

	if (c->in_len < c->in_size)
		return true;
	if (size > RPC_REQUEST_MAX)
		return false;
	grown = realloc(c->in, size);
	if (grown == NULL)
		return false;
	c->in = grown;
	c->in_size = size;
	return true;
}

/* Answers what is no request and closes behind it: where the next one begins nobody can say. */
static void end_with(
	struct rpc *r, struct client *c, enum rpc_counter counter, int error, const char *message)
{
	count(r, counter, 1);
	count(r, RPC_COUNTER_ERRORS, 1);
	rpc_out_error(&c->out, error, message);
	c->in_len = c->in_at = 0;
	c->last = true;
}

/* Looks for a whole request in what is there. */
static void frame(struct rpc *r, struct client *c, uint64_t now)
{
	skip_space(c);
	if (c->in_at == 0)
		c->half_since = now;
	if (c->in_len == c->in_at)
		return;
	switch (rpc_frame_read(&c->frame, c->in, c->in_len, &c->in_at)) {
	case RPC_FRAME_MORE:
		break;
	case RPC_FRAME_BAD:
		end_with(r, c, RPC_COUNTER_GARBAGE, RPC_ERROR_PARSE,
			"no JSON: a request is an object or an array, and not too deep");
		break;
	case RPC_FRAME_WHOLE:
		rpc_work_begin(&c->work, c->in, c->in_at, &c->out);
		c->in_len -= c->in_at;
		memmove(c->in, c->in + c->in_at, c->in_len);
		c->in_at = 0;
		count(r, RPC_COUNTER_ERRORS, c->work.errors);
		c->work.errors = 0;
		break;
	}
}

/* Whether anything came. */
static bool receive(struct rpc *r, struct client *c)
{
	ssize_t n;

	if (c->eof || c->last)
		return false;
	if (!make_room(c)) {
		end_with(r, c, RPC_COUNTER_GARBAGE, RPC_ERROR_REQUEST, "the request is too long");
		return true;
	}
	n = recv(c->fd, c->in + c->in_len, c->in_size - c->in_len, 0);
	if (n > 0)
		c->in_len += (size_t)n;
	else if (n == 0)
		c->eof = true;
	else if (errno != EAGAIN && errno != EINTR)
		c->eof = c->last = true;
	return n >= 0;
}

/* ---- what leaves ---- */

/* Whether all has left, or the client has. */
static bool transmit(struct rpc *r, struct client *c, uint64_t now)
{
	while (c->sent < c->out.len) {
		ssize_t n = send(c->fd, c->out.text + c->sent, c->out.len - c->sent, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN) {
			if (now - c->moved_at >= RPC_SLOW_NS) {
				count(r, RPC_COUNTER_SLOW, 1);
				drop(r, c);
			}
			return false;
		}
		if (n < 0) {
			drop(r, c);
			return false;
		}
		c->sent += (size_t)n;
		c->moved_at = now;
	}
	/* A long answer's room is not kept for the next one. */
	free(c->out.text);
	c->out = (struct rpc_out){NULL, 0, 0};
	c->sent = 0;
	return true;
}

/* ---- work ---- */

static void step(struct rpc *r, struct client *c)
{
	bool begins = !c->work.called;

	(void)rpc_work_step(&c->work, r->config.commands, r->config.room, &c->out);
	if (begins && c->work.command != NULL && c->work.command->changes)
		log_notice("control_socket: %s for user %u, process %d", c->work.command->name,
			c->uid, c->pid);
	count(r, RPC_COUNTER_REQUESTS, c->work.requests);
	count(r, RPC_COUNTER_ERRORS, c->work.errors);
	c->work.requests = c->work.errors = 0;
}

/* Who has gone is forgotten when what he asked for is done; what else stands in his batch is not
 * begun. Whether it is. */
static bool settle(struct rpc *r, struct client *c)
{
	if (is_waiting(c))
		step(r, c);
	if (is_waiting(c))
		return false;
	rpc_work_drop(&c->work);
	free_buffers(c);
	return true;
}

/* A client's turn: one piece of work at most. Whether there was anything to do. */
static bool serve(struct rpc *r, struct client *c, uint64_t now, bool readable)
{
	bool did = false;

	if (c->fd < 0)
		return settle(r, c);
	if (c->out.len > 0) {
		if (!transmit(r, c, now))
			return false;
		did = true;
	}
	if (c->work.request == NULL && !c->last) {
		if (readable && receive(r, c))
			did = true;
		frame(r, c, now);
	}
	if (c->work.request != NULL) {
		bool waited = is_waiting(c);

		step(r, c);
		did |= !waited || !is_waiting(c);
	}
	if (c->work.failed) {
		log_error("control_socket: not enough memory for an answer");
		drop(r, c);
		return true;
	}
	if (did)
		c->used_at = now;
	/* What has just been written mostly leaves at once. Of a batch, too, the next member waits
	 * until it has: no client has more here than one answer. */
	if (c->out.len > 0) {
		c->moved_at = now;
		if (!transmit(r, c, now))
			return did;
	}
	if (c->work.request != NULL)
		return did;
	if (c->in_len > 0 && !c->last && (c->eof || now - c->half_since >= RPC_HALF_NS) &&
		c->in_at == c->in_len) {
		end_with(r, c, RPC_COUNTER_HALF, RPC_ERROR_PARSE,
			c->eof ? "the request has no end" : "the request takes too long");
		c->moved_at = now;
		if (!transmit(r, c, now))
			return true;
	}
	if (c->last || (c->eof && c->in_len == 0))
		drop(r, c);
	return did;
}

/* Asks the kernel which sockets have something; fds[0] is the listener. */
static void look(struct rpc *r, struct pollfd fds[RPC_CLIENTS_MAX + 1])
{
	unsigned n = 1;

	fds[0] = (struct pollfd){.fd = r->fd, .events = POLLIN};
	for (unsigned i = 0; i < RPC_CLIENTS_MAX; i++) {
		const struct client *c = &r->client[i];

		fds[i + 1] = (struct pollfd){.fd = c->fd};
		if (c->fd < 0)
			continue;
		n = i + 2;
		if (c->out.len > 0)
			fds[i + 1].events = POLLOUT;
		else if (c->work.request == NULL && !c->eof)
			fds[i + 1].events = POLLIN;
	}
	(void)poll(fds, n, 0);
}

/* Whether a client that the kernel says nothing of has something to do or to lose. */
static bool is_due(const struct client *c, uint64_t now)
{
	if (c->fd < 0)
		return c->work.request != NULL;
	if (c->out.len > 0)
		return now - c->moved_at >= RPC_SLOW_NS;
	if (c->work.request != NULL || c->last)
		return true;
	return c->in_len > 0 && (c->in_at == 0 || c->eof || now - c->half_since >= RPC_HALF_NS);
}

/* Whoever may write in the folder can put another socket in place of this one. It is counted once,
 * and said every minute, as long as it lasts. */
static void watch(struct rpc *r, uint64_t now)
{
	bool lost = !rpc_place_is_ours(&r->place);

	r->watch_at = now + RPC_WATCH_NS;
	if (lost && !r->lost) {
		count(r, RPC_COUNTER_LOST, 1);
		r->lost_told_at = 0;
	}
	if (lost && now >= r->lost_told_at) {
		r->lost_told_at = now + 60 * CLOCK_NS_PER_S;
		log_error("control_socket %s: the name does not lead to this process any more: who "
			  "connects there talks to somebody else, or to nobody; see who may write "
			  "in that folder, and start anew",
			r->place.path);
	}
	r->lost = lost;
}

unsigned rpc_poll(struct rpc *r, uint64_t now)
{
	struct pollfd fds[RPC_CLIENTS_MAX + 1];
	uint64_t begun, spent = 0;
	unsigned n = 0, i;

	if (now < r->look_at || now < r->rest_until)
		return 0;
	if (now >= r->watch_at)
		watch(r, now);
	begun = clock_now_ns();
	look(r, fds);
	if (fds[0].revents != 0)
		n += accept_clients(r, now);
	for (i = 0; i < RPC_CLIENTS_MAX && spent < RPC_BUDGET_NS; i++) {
		unsigned at = (r->turn + i) % RPC_CLIENTS_MAX;
		struct client *c = &r->client[at];
		/* A place that was taken just now is looked at in the next turn. */
		int seen = c->fd >= 0 && c->fd == fds[at + 1].fd ? fds[at + 1].revents : 0;

		if (seen == 0 && !is_due(c, now))
			continue;
		n += serve(r, c, now, (seen & (POLLIN | POLLHUP | POLLERR)) != 0);
		spent = clock_now_ns() - begun;
	}
	r->turn = (r->turn + i) % RPC_CLIENTS_MAX;
	if (spent >= RPC_BUDGET_NS)
		r->rest_until = now + RPC_REST * spent;
	r->look_at = n == 0 ? now + RPC_LOOK_NS : 0;
	return n;
}

void rpc_close(struct rpc *r)
{
	if (r == NULL)
		return;
	for (unsigned i = 0; i < RPC_CLIENTS_MAX; i++) {
		struct client *c = &r->client[i];

		if (is_waiting(c) && c->work.call.drop != NULL)
			c->work.call.drop(&c->work.call);
		if (c->fd >= 0)
			close(c->fd);
		rpc_work_drop(&c->work);
		free_buffers(c);
	}
	rpc_place_close(&r->place);
	close(r->fd);
	free(r);
}
