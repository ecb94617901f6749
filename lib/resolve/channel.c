/* SPDX-License-Identifier: BSD-3-Clause */
/* c-ares: its servers, its sockets, its time. */
#include "resolve/internal.h"

#include <errno.h>

/* ---- questions ---- */

static void tick(struct resolver *r)
{
	/* From behind: one that ends gives its place to the last. A socket that fails may end
	 * several. */
	for (uint32_t i = r->queries; i-- > 0;)
		if (i < r->queries)
			query_advance(r->query[i]);
}

void resolver_question(struct resolver *r, bool known, enum resolve_counter counter,
	const char *name, int type, ares_callback done, void *arg)
{
	r->questions++;
	resolver_count(r, counter);
	if (r->questions > (known ? QUESTIONS_MAX : QUESTIONS_STRANGERS))
		done(arg, ARES_ECANCELLED, 0, NULL, 0);
	else
		ares_query(r->channel, name, DNS_IN, type, done, arg);
}

void resolver_answered(struct resolver *r)
{
	r->questions--;
}

void resolver_process(struct resolver *r, int timeout_ms)
{
	struct pollfd ready[FDS_MAX];
	uint32_t n = r->fds;

	memcpy(ready, r->fd, n * sizeof(ready[0]));
	if ((n > 0 || timeout_ms > 0) && poll(ready, n, timeout_ms) > 0)
		for (uint32_t i = 0; i < n; i++) {
			bool in = (ready[i].revents & (POLLIN | POLLERR | POLLHUP)) != 0;
			bool out = (ready[i].revents & (POLLOUT | POLLERR | POLLHUP)) != 0;

			if (in || out)
				ares_process_fd(r->channel, in ? ready[i].fd : ARES_SOCKET_BAD,
					out ? ready[i].fd : ARES_SOCKET_BAD);
		}
	if (r->questions > 0)
		ares_process_fd(r->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
	if (r->now >= r->next_tick) {
		r->next_tick = r->now + TICK_INTERVAL_NS;
		tick(r);
	}
}

/* ---- servers ---- */

/* c-ares tells which of its sockets wait for what. */
static void socket_changed(void *arg, ares_socket_t fd, int readable, int writable)
{
	struct resolver *r = arg;
	uint32_t i = 0;

	while (i < r->fds && r->fd[i].fd != fd)
		i++;
	if (readable == 0 && writable == 0) {
		if (i < r->fds)
			r->fd[i] = r->fd[--r->fds];
		return;
	}
	if (i == r->fds) {
		/* Two for each server, which are bounded. What can't be watched times out. */
		if (i == FDS_MAX)
			return;
		r->fds++;
	}
	r->fd[i] = (struct pollfd){.fd = fd,
		.events = (short)((readable != 0 ? POLLIN : 0) | (writable != 0 ? POLLOUT : 0))};
}

static int init_channel(struct resolver *r, int tries, ares_channel *out)
{
	struct ares_options options = {
		.flags = ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES | ARES_FLAG_EDNS,
		.timeout = QUERY_TIMEOUT_MS,
		.tries = tries,
		.ednspsz = QUERY_EDNS_SIZE,
		.sock_state_cb = socket_changed,
		.sock_state_cb_data = r,
	};

	return ares_init_options(out, &options,
		       ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_EDNSPSZ |
			       ARES_OPT_SOCK_STATE_CB) == ARES_SUCCESS
		       ? 0
		       : -ENOMEM;
}

static unsigned servers_of(ares_channel channel)
{
	struct ares_addr_port_node *server = NULL;
	unsigned n = 0;

	if (ares_get_servers_ports(channel, &server) != ARES_SUCCESS)
		return 0;
	for (const struct ares_addr_port_node *s = server; s != NULL; s = s->next)
		n++;
	ares_free_data(server);
	return n;
}

/* How often each is asked: 3.5 s with one server, 3 s with two, 4.5 s with three; then once each.
 */
static int tries_of(unsigned servers)
{
	if (servers <= 1)
		return 3;
	return servers <= 3 ? 2 : 1;
}

int channel_open(struct resolver *r, const char *servers, ares_channel *out)
{
	ares_channel channel;
	unsigned count = 1;
	int err;

	for (const char *c = servers; c != NULL && *c != '\0'; c++)
		count += *c == ',';
	if (count > SERVERS_MAX)
		return -EINVAL;
	if (servers == NULL) {
		err = init_channel(r, 1, &channel);
		if (err != 0)
			return err;
		count = servers_of(channel);
		ares_destroy(channel);
	}
	err = init_channel(r, tries_of(count), &channel);
	if (err != 0)
		return err;
	if (servers != NULL && ares_set_servers_ports_csv(channel, servers) != ARES_SUCCESS) {
		ares_destroy(channel);
		return -EINVAL;
	}
	*out = channel;
	return 0;
}

void channel_close(struct resolver *r)
{
	while (r->queries > 0)
		query_end(r->query[r->queries - 1], QUERY_DROPPED);
	if (r->channel != NULL)
		ares_destroy(r->channel);
	r->channel = NULL;
}

int resolver_set_servers(struct resolver *r, const char *servers)
{
	static const struct resolve_addresses none;
	ares_channel channel;
	bool asked[RESOLVE_NAMES_MAX] = {false};
	int err = channel_open(r, servers, &channel);

	if (err != 0)
		return err;
	for (uint32_t i = 0; i < r->queries; i++)
		asked[r->query[i]->entry->slot] = true;
	channel_close(r);
	r->channel = channel;
	/* Whoever names servers wants their word, not this machine's. */
	r->hosts_file = servers == NULL;
	/* What was under way is asked of them. */
	for (uint32_t i = 0; i < RESOLVE_NAMES_MAX; i++)
		if (asked[i] && query_start(r, r->entry[i]) != 0)
			resolver_complete(r, r->entry[i], OUTCOME_TRANSIENT, ARES_ENOMEM, &none, 0);
	return 0;
}
