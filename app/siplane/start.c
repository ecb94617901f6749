/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Stages 2 of the start: the EAL, buffers, ports, the kernel's side, the pipeline. Each failure
 * says what is wrong and what mends it.
 */
#include <inttypes.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <rte_eal.h>
#include <rte_lcore.h>
#include <rte_version.h>

#include "siplane.h"

#define MBUFS_PER_QUEUE \
	4096                  /* receive and transmit descriptors of one pair, and a burst in hand \
			       */
#define MBUFS_PER_WORKER 1024 /* the pool's cache and what is on its way between workers */
#define MBUFS_BIG 256
#define MBUFS_CONTROL 2047
#define MEMORY_BESIDE_POOLS (96ULL << 20) /* device rings, crossing rings, EAL's own */
#define REPLY_RATE 100
#define XLOG_RATE 1000

struct pools {
	unsigned mbufs, room;
	struct rte_mempool *small, *big, *control;
};

static int fail(const char *what, const char *error)
{
	fprintf(stderr, "siplane: %s%s%s\n", what, what[0] != '\0' ? ": " : "", error);
	return -EIO;
}

static void size_pools(const struct app *app, const struct route_config *config, struct pools *out)
{
	out->mbufs = (app->layout.workers + app->layout.slow) * MBUFS_PER_WORKER;
	out->room = PORT_MBUF_ROOM;
	for (unsigned i = 0; i < config->ports; i++) {
		unsigned queues = config->port[i].queues != 0 ? (unsigned)config->port[i].queues
							      : app->layout.workers;

		out->mbufs += RTE_MIN(queues, app->layout.workers) * MBUFS_PER_QUEUE;
		out->room = RTE_MAX(out->room, (unsigned)config->port[i].mtu + 64);
	}
}

static uint64_t rings_bytes(const struct app *app, const struct route_config *config)
{
	struct pipeline_config pc = {.workers = app->layout.workers,
		.slow = app->layout.slow,
		.held_small = held_small(config),
		.held_big = HELD_BIG};

	return pipeline_ring_bytes(&pc);
}

static int eal_start(struct app *app, const struct route_config *config, const struct pools *pools)
{
	const char *device[ROUTE_PORTS_MAX];
	int cpu[LAYOUT_THREADS_MAX];
	char error[PORT_ERROR_MAX];
	struct port_eal eal = {
		.program = "siplane",
		.lcores = app->layout.threads,
		.cpu = cpu,
		.huge = (int)config->memory_huge,
		.memory_bytes = MEMORY_BESIDE_POOLS + rings_bytes(app, config) +
				(uint64_t)pools->mbufs * (pools->room + 512) +
				MBUFS_BIG * (uint64_t)(PORT_MBUF_BIG_ROOM + 512) +
				MBUFS_CONTROL * (uint64_t)(KERNEL_FRAME_MAX + 512),
		.device = device,
		.devices = config->ports,
		.debug = app->options.debug,
	};

	for (unsigned i = 0; i < config->ports; i++)
		device[i] = config->port[i].device;
	for (unsigned i = 0; i < app->layout.threads; i++)
		cpu[i] = app->layout.thread[i].cpu;
	if (port_eal_start(&eal, error, sizeof(error)) != 0)
		return fail("", error);
	return 0;
}

/* Where threads sleep, they are not alone on their CPUs: one that is preempted within a pool must
 * not stop the others. */
static int pools_create(const struct route_config *config, struct pools *p)
{
	bool preempted = config->idle == ROUTE_IDLE_SLEEP;

	p->small = port_pool_create("packets", p->mbufs, p->room, preempted, SOCKET_ID_ANY);
	p->big = port_pool_create("big", MBUFS_BIG, PORT_MBUF_BIG_ROOM, preempted, SOCKET_ID_ANY);
	p->control =
		port_pool_create("control", MBUFS_CONTROL, KERNEL_FRAME_MAX, true, SOCKET_ID_ANY);
	if (p->small == NULL || p->big == NULL || p->control == NULL)
		return fail("packet buffers", "not enough memory");
	return 0;
}

static int mac_parse(const char *text, uint8_t mac[6])
{
	struct rte_ether_addr addr;

	if (rte_ether_unformat_addr(text, &addr) != 0)
		return -EINVAL;
	memcpy(mac, addr.addr_bytes, 6);
	return 0;
}

static void interface_name(const struct route_config_port *c, char out[16])
{
	if (c->kernel_interface != NULL)
		snprintf(out, 16, "%s", c->kernel_interface);
	else
		snprintf(out, 16, "ct-%.12s", c->name);
}

/*
 * The configured MAC; else, on a virtual device, the one that an earlier run left on the exception
 * interface, since peers remember it. NULL in *mac: the port chooses. 0 or -EINVAL.
 */
static int choose_mac(const struct route_config_port *c, uint8_t room[6], const uint8_t **mac)
{
	char interface[16];

	*mac = room;
	if (c->mac != NULL)
		return mac_parse(c->mac, room);
	interface_name(c, interface);
	if (strncmp(c->device, "net_", 4) != 0 || kernel_interface_mac(interface, room) != 0)
		*mac = NULL;
	return 0;
}

static int ports_open(struct app *app, const struct route_config *config, const struct pools *pools)
{
	char error[PORT_ERROR_MAX], what[64];

	for (unsigned i = 0; i < config->ports; i++) {
		const struct route_config_port *c = &config->port[i];
		uint8_t mac[6];
		struct port_config pc = {
			.name = c->name,
			.device = c->device,
			.profile_dir = app->options.profiles,
			.profile = c->profile,
			.queues = c->queues != 0 ? (unsigned)RTE_MIN(
							   c->queues, (int64_t)app->layout.workers)
						 : app->layout.workers,
			.mtu = (unsigned)c->mtu,
			.rx_descriptors = (unsigned)c->rx_descriptors,
			.tx_descriptors = (unsigned)c->tx_descriptors,
			.pool = pools->small,
		};

		snprintf(what, sizeof(what), "port %s", c->name);
		if (choose_mac(c, mac, &pc.mac) != 0)
			return fail(what, "mac is not of the form 02:00:00:00:00:01");
		app->port[i].index = (uint16_t)i;
		if (port_open(&pc, &app->port[i], error, sizeof(error)) != 0)
			return fail(what, error);
		app->port[i].index = (uint16_t)i;
		app->ports++;
	}
	return 0;
}

static void transmit_for_kernel(void *arg, uint16_t port, const uint8_t *frame, uint32_t len)
{
	pipeline_transmit(((struct app *)arg)->pipeline, port, frame, len);
}

/* Addresses may have come or gone with the neighbours: listeners follow. */
static void kernel_changed(void *arg)
{
	struct app *app = arg;

	listeners_follow(app);
	pipeline_hops_changed(app->pipeline);
}

static int kernel_start(struct app *app, const struct route_config *config)
{
	static struct kernel_port_config kp[KERNEL_PORTS_MAX];
	static char name[KERNEL_PORTS_MAX][16];
	struct kernel_config kc = {
		.port = kp,
		.ports = config->ports,
		.workers = app->layout.workers,
		.rcu = app->rcu,
		.transmit = transmit_for_kernel,
		.changed = kernel_changed,
		.arg = app,
	};
	char error[512];

	for (unsigned i = 0; i < config->ports; i++) {
		const struct route_config_port *c = &config->port[i];

		interface_name(c, name[i]);
		kp[i] = (struct kernel_port_config){
			.interface = name[i],
			.mtu = app->port[i].mtu,
			.address = c->address,
			.addresses = c->addresses,
			.gateway = {c->gateway[0], c->gateway[1]},
			.port = (uint16_t)i,
			.vlan = (int)c->vlan,
			.complete_checksums = app->port[i].rx_pseudo_checksum,
		};
		memcpy(kp[i].mac, app->port[i].mac, 6);
	}
	app->kernel = kernel_create(&kc, error, sizeof(error));
	if (app->kernel == NULL)
		return fail("", error);
	for (unsigned i = 0; i < config->ports; i++)
		kernel_set_carrier(app->kernel, (uint16_t)i, port_link_up(&app->port[i]));
	return 0;
}

static int pipeline_start(
	struct app *app, const struct route_config *config, const struct pools *pools)
{
	char error[512];
	struct pipeline_config pc = {
		.port = app->port,
		.ports = app->ports,
		.workers = app->layout.workers,
		.slow = app->layout.slow,
		.txn = app->txn,
		.registrar = app->registrar,
		.location = app->location,
		.acc = app->acc,
		.pool = pools->small,
		.pool_big = pools->big,
		.pool_control = pools->control,
		.rcu = app->rcu,
		.proxy = app->proxy,
		.access = app->access,
		.resolver = app->resolver,
		.db = app->db,
		.dispatch = app->dispatch,
		.held_small = held_small(config),
		.held_big = HELD_BIG,
		.xlog_rate = config->xlog_rate != 0 ? (uint32_t)config->xlog_rate : XLOG_RATE,
		.reply_rate = config->reply_rate != 0 ? (uint32_t)config->reply_rate : REPLY_RATE,
	};

	for (unsigned i = 0; i < config->ports; i++)
		pc.vlan[i] = (int)config->port[i].vlan;
	/* Who waits for a name waits in one of these places. */
	resolver_set_waiters(app->resolver, pc.held_small);
	app->pipeline = pipeline_create(&pc, error, sizeof(error));
	return app->pipeline != NULL ? 0 : fail("pipeline", error);
}

struct set_count {
	uint32_t set;
	unsigned destinations, up;
};

static void print_set(const struct set_count *c)
{
	if (c->destinations > 0)
		printf("dispatcher set %u: %u destination%s, %u up\n", c->set, c->destinations,
			c->destinations == 1 ? "" : "s", c->up);
}

/* Destinations come set by set. */
static void count_destination(void *arg, const struct dispatch_info *info)
{
	struct set_count *c = arg;

	if (info->set != c->set) {
		print_set(c);
		*c = (struct set_count){.set = info->set};
	}
	c->destinations++;
	c->up += strcmp(info->health, "up") == 0 && strcmp(info->state, "enabled") == 0;
}

static void print_sets(const struct app *app)
{
	struct set_count count = {0};

	dispatch_list(app->dispatch, count_destination, &count);
	print_set(&count);
}

static void print_ports(const struct app *app, const struct route_config *config)
{
	for (unsigned i = 0; i < app->ports; i++) {
		struct net_addr addr[ROUTE_ADDRESSES_MAX];
		unsigned n = kernel_addresses(app->kernel, (uint16_t)i, addr, ROUTE_ADDRESSES_MAX);

		printf("port %-6s %-24s %s  %02x:%02x:%02x:%02x:%02x:%02x ", app->port[i].name,
			config->port[i].device, app->port[i].description, app->port[i].mac[0],
			app->port[i].mac[1], app->port[i].mac[2], app->port[i].mac[3],
			app->port[i].mac[4], app->port[i].mac[5]);
		for (unsigned j = 0; j < n; j++) {
			char text[NET_ADDR_TEXT_MAX];

			net_addr_format(&addr[j], text);
			printf(" %s", text);
		}
		printf("\n");
	}
}

/*
 * Contacts that a database has kept. One that does not answer is no reason not to start: phones are
 * found again as they register.
 */
static void load_contacts(struct app *app)
{
	uint64_t begun = clock_now_ns();
	struct registrar_loaded loaded;
	char error[512];

	if (registrar_load(app->registrar, begun, &loaded, error, sizeof(error)) != 0)
		log_error("usrloc: contacts cannot be read: %s; who has registered is found when "
			  "he does so again",
			error);
	if (loaded.contacts + loaded.malformed + loaded.no_room == 0)
		return;
	printf("%" PRIu64 " contacts read in %.1f s\n", loaded.contacts,
		(double)(clock_now_ns() - begun) / CLOCK_NS_PER_S);
	if (loaded.malformed + loaded.no_room > 0)
		log_warning("usrloc: %" PRIu64 " rows are no contacts, for %" PRIu64
			    " there is no room: memory { contacts = ...; }",
			loaded.malformed, loaded.no_room);
}

int start(struct app *app)
{
	const struct route_config *config = route_script_config(app->script);
	struct pools pools;
	char error[512];
	int err;

	if (config->ports == 0)
		return fail(app->options.config,
			"no port { }: siplane has no device to receive from; write one there, or "
			"in a file that --ports names");
	if (config->scanner != NULL && sip_scan_select(config->scanner) != 0)
		return fail("scanner", "this CPU has not what the configured one needs (scalar, "
				       "sse42, avx2, avx512)");
	size_pools(app, config, &pools);
	if (config->secret_file == NULL)
		log_warning("no secret_file: calls in progress do not survive a restart, and no "
			    "other node can take them");
	/* Before any device is touched: a file that can't be read ends the start. */
	if (proxy_secret_load(app->proxy, config->secret_file, error, sizeof(error)) != 0)
		return fail("", error);
	logging_begin(app, config);
	err = eal_start(app, config, &pools);
	if (err == 0)
		err = pools_create(config, &pools);
	if (err == 0)
		err = ports_open(app, config, &pools);
	if (err == 0)
		err = pipeline_start(app, config, &pools);
	if (err == 0)
		err = kernel_start(app, config);
	if (err != 0)
		return err;
	pipeline_set_kernel(app->pipeline, app->kernel);
	if (apply(app, config, error, sizeof(error)) != 0)
		return fail("", error);
	route_script_ref(app->script);
	pipeline_publish(app->pipeline, app->script);
	load_contacts(app);
	printf("siplane %s  %s  %u port%s, %u worker%s, %u slow, scanner %s\n", SIPLANE_VERSION,
		rte_version(), app->ports, app->ports == 1 ? "" : "s", app->layout.workers,
		app->layout.workers == 1 ? "" : "s", app->layout.slow, sip_scan_name());
	print_ports(app, config);
	listeners_print(app);
	print_sets(app);
	rooms_print(app);
	return 0;
}

void stop(struct app *app)
{
	if (app->kernel != NULL) {
		for (unsigned i = 0; i < app->placeholders; i++)
			kernel_placeholder_close(app->kernel, &app->placeholder[i]);
		kernel_destroy(app->kernel);
	}
	for (unsigned i = 0; i < app->ports; i++)
		port_close(&app->port[i]);
	pipeline_destroy(app->pipeline);
}
