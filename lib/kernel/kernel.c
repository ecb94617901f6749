/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <linux/if_addr.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "kernel/hop.h"

#define BUILD_SHARE 8 /* a rebuild is followed by so many times its own duration without one */
#define DEFAULT_METRIC_SECOND 1024 /* of a default route beside one that is there */
#define MANAGED_RETRY_PER_POLL 64
#define PMTU_MIN_V6 1280 /* RFC 8200 5 */

int kernel_fail(char *error, size_t size, int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(error, size, fmt, ap);
	va_end(ap);
	return -err;
}

/* ---- publishing ---- */

static void free_hops(void *hops)
{
	free(hops);
}

static bool retire(struct kernel *k, struct kernel_hops *hops)
{
	if (hops == NULL)
		return true;
	if (k->config.rcu == NULL) {
		free(hops);
		return true;
	}
	if (rcu_retire(k->config.rcu, hops, free_hops) == 0)
		return true;
	rcu_reclaim(k->config.rcu);
	return rcu_retire(k->config.rcu, hops, free_hops) == 0;
}

/* Builds and publishes what the mirror holds now. */
static bool publish(struct kernel *k)
{
	struct kernel_hops *new;
	uint64_t begun = clock_now_ns(), ended;

	if (!retire(k, k->unretired))
		return false; /* a reader is stuck: what is published stays */
	k->unretired = NULL;
	new = kernel_hops_build(&k->mirror);
	if (new == NULL)
		return false;
	k->unretired = atomic_exchange_explicit(&k->hops, new, memory_order_acq_rel);
	if (retire(k, k->unretired))
		k->unretired = NULL;
	k->dirty = false;
	k->builds++;
	ended = clock_now_ns();
	k->build_after = ended + BUILD_SHARE * (ended - begun);
	return true;
}

const struct kernel_hops *kernel_hops(const struct kernel *k)
{
	return atomic_load_explicit(&k->hops, memory_order_acquire);
}

/* ---- create ---- */

static int made(struct kernel *k, struct kernel_made what)
{
	struct kernel_made *more = realloc(k->made, (k->mades + 1) * sizeof(*more));

	if (more == NULL)
		return -ENOMEM;
	k->made = more;
	k->made[k->mades++] = what;
	return 0;
}

static int put_address(
	struct kernel *k, uint16_t n, const char *text, char *error, size_t error_size)
{
	struct kernel_interface *i = &k->interface[n];
	struct str whole = str_c(text), addr_text = whole;
	int64_t slash = str_find(whole, '/');
	struct net_addr addr;
	uint32_t bits, most;
	int rc;

	if (slash >= 0)
		addr_text.len = (uint32_t)slash;
	if (net_addr_parse(addr_text, &addr) != 0)
		return kernel_fail(error, error_size, EINVAL, "'%s' is no address", text);
	bits = most = addr.family == 4 ? 32 : 128;
	if (slash >= 0 && str_to_u32(str_of(whole.s + slash + 1, whole.len - (uint32_t)slash - 1),
				  most, &bits) != 0)
		return kernel_fail(
			error, error_size, EINVAL, "'%s' is no address with a prefix length", text);
	if (addr.family == 6)
		kernel_interface_allow_ipv6(i);
	rc = kernel_netlink_address(&k->netlink, i->index, &addr, bits, true);
	if (rc == -EEXIST)
		return 0;
	if (rc != 0)
		return kernel_fail(error, error_size, -rc,
			"address %s cannot be put on interface %s: %s%s", text, i->name,
			strerror(-rc),
			rc == -EPERM ? " (CAP_NET_ADMIN is needed: run as root)" : "");
	return made(k, (struct kernel_made){.interface = n, .bits = (uint8_t)bits, .addr = addr});
}

static int put_interface(struct kernel *k, uint16_t n, char *error, size_t error_size)
{
	const struct kernel_port_config *config = &k->config.port[n];
	struct kernel_interface *i = &k->interface[n];
	int rc;

	if (config->port >= KERNEL_PORTS_MAX || config->mtu > UINT16_MAX)
		return kernel_fail(error, error_size, EINVAL,
			"port %u with MTU %u is out of bounds", config->port, config->mtu);
	rc = kernel_interface_open(i, config, error, error_size);
	if (rc != 0)
		return rc;
	k->interfaces++;
	kernel_interface_tune(i);
	rc = kernel_netlink_link(&k->netlink, i->index, config->mac, config->mtu, false);
	if (rc != 0)
		return kernel_fail(error, error_size, -rc,
			"interface %s: its MAC and MTU %u cannot be set: %s", i->name, config->mtu,
			strerror(-rc));
	for (unsigned a = 0; a < config->addresses; a++) {
		rc = put_address(k, n, config->address[a], error, error_size);
		if (rc != 0)
			return rc;
	}
	rc = kernel_netlink_link(&k->netlink, i->index, NULL, 0, true);
	if (rc != 0)
		return kernel_fail(error, error_size, -rc, "interface %s cannot be brought up: %s",
			i->name, strerror(-rc));
	return 0;
}

static bool has_default(const struct kernel *k, uint16_t port, const struct net_addr *gateway)
{
	for (unsigned r = 0; r < k->mirror.routes; r++) {
		const struct kernel_route *route = &k->mirror.route[r];

		for (unsigned h = 0; route->to.bits == 0 && h < route->hops; h++) {
			const struct kernel_route_hop *hop = &k->mirror.hop[route->hop + h];

			if (hop->port == port && net_addr_equal(&hop->gateway, gateway))
				return true;
		}
	}
	return false;
}

static int put_gateway(
	struct kernel *k, uint16_t n, const char *text, char *error, size_t error_size)
{
	struct kernel_interface *i = &k->interface[n];
	uint32_t metric = 0;
	struct net_addr gateway;
	int rc;

	if (net_addr_parse(str_c(text), &gateway) != 0)
		return kernel_fail(error, error_size, EINVAL, "'%s' is no gateway address", text);
	if (has_default(k, i->port, &gateway))
		return 0;
	rc = kernel_netlink_default(&k->netlink, i->index, &gateway, metric, true);
	if (rc == -EEXIST) {
		/* Beside the host's own: the kernel prefers that one, messages go by ours. */
		metric = DEFAULT_METRIC_SECOND + n;
		rc = kernel_netlink_default(&k->netlink, i->index, &gateway, metric, true);
		if (rc == -EEXIST)
			return 0;
	}
	if (rc == -ENETUNREACH || rc == -EHOSTUNREACH)
		return kernel_fail(error, error_size, -rc,
			"gateway %s is in no subnet of interface %s: see the port's 'address'",
			text, i->name);
	if (rc != 0)
		return kernel_fail(error, error_size, -rc,
			"gateway %s cannot be set on interface %s: %s", text, i->name,
			strerror(-rc));
	return made(
		k, (struct kernel_made){
			   .interface = n, .is_default = true, .metric = metric, .addr = gateway});
}

static int put_all(struct kernel *k, char *error, size_t error_size)
{
	int rc = 0;

	for (uint16_t n = 0; rc == 0 && n < k->config.ports; n++)
		rc = put_interface(k, n, error, error_size);
	if (rc != 0)
		return rc;
	rc = kernel_netlink_dump(k, true);
	if (rc != 0)
		return kernel_fail(error, error_size, -rc, "the kernel's tables cannot be read: %s",
			strerror(-rc));
	for (uint16_t n = 0; n < k->config.ports; n++)
		for (unsigned g = 0; g < 2; g++) {
			if (k->config.port[n].gateway[g] == NULL)
				continue;
			rc = put_gateway(k, n, k->config.port[n].gateway[g], error, error_size);
			if (rc != 0)
				return rc;
		}
	rc = kernel_netlink_dump(k, true);
	if (rc != 0 || !publish(k))
		return kernel_fail(error, error_size, rc != 0 ? -rc : ENOMEM,
			"the kernel's tables cannot be mirrored: %s",
			strerror(rc != 0 ? -rc : ENOMEM));
	return 0;
}

static int allocate(struct kernel *k)
{
	int rc = kernel_mirror_init(&k->mirror);

	if (rc == 0)
		rc = kernel_table_init(&k->managed, KERNEL_MANAGED_MAX);
	if (rc != 0)
		return rc;
	k->managed_state = calloc(KERNEL_MANAGED_MAX, sizeof(*k->managed_state));
	k->ring = aligned_alloc(64, (k->config.workers + 1) * sizeof(*k->ring));
	k->bucket = aligned_alloc(64, KERNEL_PORTS_MAX * sizeof(*k->bucket));
	k->frame = malloc(KERNEL_FRAME_MAX + NET_VLAN_LEN);
	if (k->managed_state == NULL || k->ring == NULL || k->bucket == NULL || k->frame == NULL)
		return -ENOMEM;
	memset(k->ring, 0, (k->config.workers + 1) * sizeof(*k->ring));
	memset(k->bucket, 0, KERNEL_PORTS_MAX * sizeof(*k->bucket));
	for (unsigned w = 0; w < k->config.workers; w++) {
		k->ring[w].data = malloc(KERNEL_RING_BYTES);
		if (k->ring[w].data == NULL)
			return -ENOMEM;
	}
	return kernel_netlink_open(&k->netlink);
}

struct kernel *kernel_create(const struct kernel_config *config, char *error, size_t error_size)
{
	struct kernel *k = aligned_alloc(64, (sizeof(*k) + 63) & ~(size_t)63);
	int rc;

	if (k == NULL) {
		kernel_fail(error, error_size, ENOMEM, "no memory for the kernel's mirror");
		return NULL;
	}
	memset(k, 0, sizeof(*k));
	k->config = *config;
	if (config->ports > KERNEL_PORTS_MAX) {
		rc = kernel_fail(error, error_size, E2BIG, "%u ports: %d are possible",
			config->ports, KERNEL_PORTS_MAX);
		goto out;
	}
	rc = allocate(k);
	if (rc != 0) {
		kernel_fail(error, error_size, -rc, "the kernel's mirror cannot be set up: %s",
			strerror(-rc));
		goto out;
	}
	rc = put_all(k, error, error_size);
out:
	if (rc != 0) {
		kernel_destroy(k);
		errno = -rc;
		return NULL;
	}
	return k;
}

static void take_back(struct kernel *k)
{
	/* What stays must not go on to be probed for a process that is gone. */
	for (uint32_t i = 0; i < k->managed.high; i++)
		if (k->managed.key[i].used)
			for (unsigned n = 0; n < k->interfaces; n++)
				if (k->interface[n].port == k->managed.key[i].tag &&
					!k->interface[n].created)
					kernel_netlink_neighbour_forget(&k->netlink,
						k->interface[n].index, &k->managed.key[i].addr);
	for (unsigned m = k->mades; m-- > 0;) {
		const struct kernel_made *what = &k->made[m];
		int index = k->interface[what->interface].index;

		if (k->interface[what->interface].created)
			continue;
		if (what->is_default)
			kernel_netlink_default(
				&k->netlink, index, &what->addr, what->metric, false);
		else
			kernel_netlink_address(&k->netlink, index, &what->addr, what->bits, false);
	}
}

void kernel_destroy(struct kernel *k)
{
	if (k == NULL)
		return;
	if (k->netlink.requests != NULL)
		take_back(k);
	for (unsigned n = 0; n < k->interfaces; n++)
		kernel_interface_close(&k->interface[n]);
	for (unsigned p = 0; p < k->placeholders; p++)
		close(k->placeholder[p].fd);
	kernel_netlink_close(&k->netlink);
	for (unsigned w = 0; k->ring != NULL && w < k->config.workers; w++)
		free(k->ring[w].data);
	free(k->ring);
	free(k->bucket);
	free(k->frame);
	free(k->managed_state);
	kernel_table_fini(&k->managed);
	kernel_mirror_fini(&k->mirror);
	free(k->made);
	free(k->unretired);
	free(atomic_load(&k->hops));
	free(k);
}

/* ---- loop ---- */

static unsigned drain(struct kernel *k)
{
	unsigned done = 0;

	for (unsigned w = 0; w < k->config.workers; w++)
		for (unsigned i = 0; i < KERNEL_DRAIN_FRAMES; i++) {
			uint16_t port;
			uint32_t len;
			uint8_t *frame = kernel_ring_peek(&k->ring[w], &port, &len);

			if (frame == NULL)
				break;
			for (unsigned n = 0; n < k->interfaces; n++)
				if (k->interface[n].port == port)
					kernel_interface_write(&k->interface[n], frame, len);
			kernel_ring_drop(&k->ring[w]);
			done++;
		}
	return done;
}

static unsigned read_taps(struct kernel *k)
{
	unsigned done = 0;

	for (unsigned n = 0; n < k->interfaces; n++)
		for (unsigned i = 0; i < KERNEL_READ_FRAMES; i++) {
			uint32_t len = kernel_interface_read(&k->interface[n], k->frame);

			if (len == 0)
				break;
			if (k->config.transmit != NULL)
				k->config.transmit(
					k->config.arg, k->interface[n].port, k->frame, len);
			done++;
		}
	return done;
}

static int ask(struct kernel *k, uint16_t port, const struct net_addr *addr)
{
	bool managed =
		!k->no_managed && kernel_table_find(&k->managed, addr, port) != KERNEL_TABLE_NONE;

	for (unsigned n = 0; n < k->interfaces; n++) {
		int index = k->interface[n].index, rc;

		if (k->interface[n].port != port)
			continue;
		rc = kernel_netlink_neighbour(&k->netlink, index, addr, managed);
		if (rc == -EINVAL && managed) {
			/* Before Linux 5.16: it is asked for once, and again when it is needed. */
			k->no_managed = true;
			rc = kernel_netlink_neighbour(&k->netlink, index, addr, false);
		}
		return rc;
	}
	return -ENODEV;
}

/* Asks again for those that a link's failure or a flush has swept away. */
static unsigned ask_managed(struct kernel *k, uint64_t now)
{
	unsigned asked = 0;

	k->managed_stale = false;
	for (uint32_t i = 0; i < k->managed.high; i++) {
		const struct kernel_table_key *key = &k->managed.key[i];

		if (!key->used ||
			kernel_table_find(&k->mirror.neighbours, &key->addr, key->tag) !=
				KERNEL_TABLE_NONE ||
			now - k->managed_state[i].asked < KERNEL_RESOLVE_NS)
			continue;
		if (asked == MANAGED_RETRY_PER_POLL) {
			k->managed_stale = true;
			break;
		}
		k->managed_state[i].asked = now;
		ask(k, (uint16_t)key->tag, &key->addr);
		asked++;
	}
	k->managed_after = now + KERNEL_RESOLVE_NS;
	return asked;
}

static void expire_pmtus(struct kernel *k, uint64_t now)
{
	struct kernel_table *t = &k->mirror.pmtus;

	for (uint32_t i = 0; i < t->high; i++)
		if (t->key[i].used && k->mirror.pmtu[i].expires <= now) {
			kernel_table_remove(t, i);
			k->dirty = true;
		}
	k->sweep_after = now + CLOCK_NS_PER_S;
}

static unsigned mirror(struct kernel *k, uint64_t now)
{
	unsigned done = 0;
	int rc = kernel_netlink_events(k, &done);

	if (rc != 0) {
		/* Something was lost, and nobody says what. */
		k->overruns++;
		k->all_stale = true;
		k->lost = true;
	}
	if (k->lost)
		k->lost = kernel_netlink_listen(&k->netlink) != 0;
	if ((k->routes_stale || k->all_stale) && now >= k->dump_after) {
		uint64_t begun = clock_now_ns(), ended;

		rc = k->lost ? -EAGAIN : kernel_netlink_dump(k, k->all_stale);
		ended = clock_now_ns();
		k->dump_after = now + BUILD_SHARE * (ended - begun);
		if (rc == 0) {
			k->managed_stale |= k->managed.count > 0;
			k->routes_stale = k->all_stale = false;
		}
		done++;
	}
	return done;
}

/* At the start, too: peers may remember the MAC of an earlier run. */
static unsigned announce(struct kernel *k)
{
	unsigned done = 0;

	for (unsigned n = 0; n < k->interfaces; n++)
		if (k->interface[n].announce && k->interface[n].carrier) {
			k->interface[n].announce = false;
			kernel_announce(k, k->interface[n].port);
			done++;
		}
	return done;
}

unsigned kernel_poll(struct kernel *k, uint64_t now_ns)
{
	unsigned done = drain(k) + read_taps(k) + mirror(k, now_ns) + announce(k);

	if (now_ns >= k->sweep_after)
		expire_pmtus(k, now_ns);
	if (k->managed_stale && now_ns >= k->managed_after)
		done += ask_managed(k, now_ns);
	if (k->dirty && !k->routes_stale && !k->all_stale && clock_now_ns() >= k->build_after &&
		publish(k)) {
		done++;
		if (k->config.changed != NULL)
			k->config.changed(k->config.arg);
	}
	return done;
}

void kernel_set_carrier(struct kernel *k, uint16_t port, bool up)
{
	for (unsigned n = 0; n < k->interfaces; n++) {
		struct kernel_interface *i = &k->interface[n];

		if (i->port != port || i->carrier == up)
			continue;
		kernel_interface_carrier(i, up);
		i->announce = up;
		k->routes_stale = true;
	}
}

unsigned kernel_addresses(const struct kernel *k, uint16_t port, struct net_addr *out, unsigned max)
{
	unsigned n = 0;

	for (unsigned family = 4; family <= 6; family += 2)
		for (unsigned i = 0; i < k->mirror.addresses && n < max; i++) {
			const struct kernel_address *a = &k->mirror.address[i];

			if (a->port == port && a->addr.family == family &&
				!net_addr_is_link_local(&a->addr) &&
				(a->flags & (IFA_F_TENTATIVE | IFA_F_DADFAILED)) == 0)
				out[n++] = a->addr;
		}
	return n;
}

bool kernel_hand(struct kernel *k, unsigned worker, uint16_t port, enum kernel_reason reason,
	const uint8_t *frame, uint32_t len, uint64_t now_ns)
{
	static const uint32_t rate[] = {
#define KERNEL_REASON(id, name, frames) frames,
		KERNEL_REASONS(KERNEL_REASON)
#undef KERNEL_REASON
	};

	if (worker >= k->config.workers || port >= KERNEL_PORTS_MAX ||
		reason >= KERNEL_REASON_COUNT || len > KERNEL_HAND_MAX || len < NET_ETHER_LEN)
		return false;
	return kernel_bucket_take(&k->bucket[port][reason], rate[reason], now_ns) &&
	       kernel_ring_put(&k->ring[worker], port, frame, len);
}

/* ---- on behalf of workers ---- */

int kernel_resolve(struct kernel *k, const struct kernel_hop *hop)
{
	uint64_t now = clock_now_ns();
	uint32_t i;

	if (hop->state == KERNEL_HOP_NO_ROUTE || hop->state == KERNEL_HOP_LOCAL ||
		hop->via.family == 0)
		return -EHOSTUNREACH;
	i = kernel_table_find(&k->managed, &hop->via, hop->port);
	if (i == KERNEL_TABLE_NONE)
		i = kernel_table_add(&k->managed, &hop->via, hop->port);
	else if (now - k->managed_state[i].asked < KERNEL_RESOLVE_NS)
		return 0; /* the kernel is at it */
	if (i != KERNEL_TABLE_NONE)
		k->managed_state[i].asked = now;
	return ask(k, hop->port, &hop->via);
}

void kernel_pmtu(struct kernel *k, const struct net_addr *to, unsigned mtu, uint64_t now_ns)
{
	unsigned least = to->family == 4 ? KERNEL_PMTU_MIN_V4 : PMTU_MIN_V6;
	struct kernel_table *t = &k->mirror.pmtus;
	struct kernel_hop hop;
	uint32_t i;

	kernel_hop_find(kernel_hops(k), to, &hop);
	if (mtu < least)
		mtu = least;
	if (hop.state == KERNEL_HOP_NO_ROUTE || hop.state == KERNEL_HOP_LOCAL || mtu > hop.mtu)
		return;
	i = kernel_table_find(t, to, 0);
	if (i == KERNEL_TABLE_NONE) {
		if (mtu == hop.mtu)
			return; /* the link's or the route's own */
		i = kernel_table_add(t, to, 0);
		if (i == KERNEL_TABLE_NONE) {
			/* Full: the one that would go soonest makes room. */
			uint32_t oldest = 0;

			for (uint32_t j = 1; j < t->high; j++)
				if (k->mirror.pmtu[j].expires < k->mirror.pmtu[oldest].expires)
					oldest = j;
			kernel_table_remove(t, oldest);
			i = kernel_table_add(t, to, 0);
		}
		k->mirror.pmtu[i].mtu = UINT16_MAX;
	}
	k->mirror.pmtu[i].expires = now_ns + KERNEL_PMTU_NS;
	if (mtu < k->mirror.pmtu[i].mtu) {
		k->mirror.pmtu[i].mtu = (uint16_t)mtu;
		k->dirty = true;
	}
}
