/* SPDX-License-Identifier: BSD-3-Clause */
#include "rig.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <rte_eal.h>
#include <rte_eth_ring.h>
#include <rte_lcore.h>
#include <rte_memory.h>

/* CPUs that we may run on as "0@3,1@5": lcore ids count from 0, whatever the machine allows. */
static int lcores(unsigned cores, char *out, size_t size)
{
	cpu_set_t set;
	unsigned found = 0;
	size_t at = 0;

	CPU_ZERO(&set);
	if (sched_getaffinity(0, sizeof(set), &set) != 0)
		return -1;
	for (int cpu = 0; cpu < CPU_SETSIZE && found < cores; cpu++)
		if (CPU_ISSET(cpu, &set)) {
			at += (size_t)snprintf(
				out + at, size - at, "%s%u@%d", found > 0 ? "," : "", found, cpu);
			found++;
		}
	return found == cores ? 0 : -1;
}

/*
 * Puts anonymous memory that the kernel may back with transparent hugepages in the place of what
 * --no-huge gave, with its content. The heap is young: few pages of it are in use. Nothing that is
 * shared with another process or device stands there.
 */
static int use_hugepages(const struct rte_memseg_list *list, void *arg)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), pages = list->len / page, used = 0;
	uint8_t *base = list->base_va, *resident = malloc(pages), *content = malloc(list->len);
	int ret = -1;

	if (resident == NULL || content == NULL || mincore(base, list->len, resident) != 0)
		goto out;
	for (size_t i = 0; i < pages; i++)
		if (resident[i] & 1)
			memcpy(content + page * used++, base + page * i, page);
	if (mmap(base, list->len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
		    -1, 0) == MAP_FAILED)
		goto out;
	madvise(base, list->len, MADV_HUGEPAGE); /* refused: small pages, as before */
	used = 0;
	for (size_t i = 0; i < pages; i++)
		if (resident[i] & 1)
			memcpy(base + page * i, content + page * used++, page);
	ret = 0;
out:
	free(content);
	free(resident);
	return ret;
}

int rig_eal_cores(const char *program, unsigned megabytes, unsigned cores, bool hugepages)
{
	char prefix[64], memory[16], cpus[16 * RTE_MAX_LCORE];
	char *argv[] = {(char *)(uintptr_t)program, "--no-pci", "--no-telemetry",
		"--log-level=error", "--lcores", cpus, prefix, "-m", memory, "--no-huge",
		"--no-shconf"};
	int n = (int)(sizeof(argv) / sizeof(argv[0]));

	if (lcores(cores, cpus, sizeof(cpus)) != 0)
		return -1;
	snprintf(prefix, sizeof(prefix), "--file-prefix=rig%d", (int)getpid());
	snprintf(memory, sizeof(memory), "%u", megabytes);
	if (rte_eal_init(n, argv) < 0)
		return -1;
	return hugepages ? rte_memseg_list_walk(use_hugepages, NULL) : 0;
}

int rig_eal(const char *program, unsigned megabytes)
{
	return rig_eal_cores(program, megabytes, 1, false);
}

static void hop_find(void *arg, const struct net_addr *to, struct kernel_hop *out)
{
	const struct rig *r = arg;
	/* Parsed once: what is measured here shall not be this. */
	static struct net_addr local[RIG_PORTS];

	if (r->hops != NULL) {
		kernel_hop_find(r->hops, to, out);
		return;
	}
	if (local[0].family == 0) {
		net_addr_parse(STR("10.10.0.1"), &local[0]);
		net_addr_parse(STR("10.20.0.1"), &local[1]);
	}
	*out = (struct kernel_hop){.state = KERNEL_HOP_NO_ROUTE, .mtu = 1500, .via = *to};
	if (to->family == 4 && to->b[0] == 10 && to->b[1] == 10) {
		out->state = KERNEL_HOP_READY;
		out->source = local[0];
	} else if (to->family == 4 && to->b[0] == 10 && to->b[1] == 20) {
		out->state = r->backend_hop;
		out->port = 1;
		out->source = local[1];
	}
	memcpy(out->mac, "\x02\x00\x00\x00\x00\x99", 6);
}

static bool route_to(void *arg, const struct net_addr *to, struct net_addr *source, uint16_t *port)
{
	const struct rig *r = arg;
	struct kernel_hop hop;

	if (r->hops != NULL)
		return kernel_hop_source(r->hops, to, source, port);
	hop_find(arg, to, &hop);
	*source = hop.source;
	*port = hop.port;
	if (to->b[0] == 192) { /* a network whose route is lost between the script and the wire */
		net_addr_parse(STR("10.20.0.1"), source);
		*port = 1;
		return true;
	}
	return hop.state != KERNEL_HOP_NO_ROUTE;
}

int rig_listen(struct rig *r, bool more)
{
	static const struct {
		const char *address;
		uint16_t number, port;
	} at[] = {{"10.10.0.1", 5060, 0}, {"10.20.0.1", 5060, 1}, {"10.20.0.1", 5070, 1}};
	struct proxy_listener l[3] = {0};
	struct proxy_config pc = {.listener = l,
		.listeners = more ? 3 : 2,
		.require_token = true,
		.route = route_to,
		.route_arg = r};

	for (unsigned i = 0; i < pc.listeners; i++) {
		net_addr_parse(str_c(at[i].address), &l[i].ep.addr);
		l[i].ep.port = at[i].number;
		l[i].transport = SIP_TRANSPORT_UDP;
		l[i].port = at[i].port;
	}
	return proxy_configure(r->proxy, &pc);
}

static int configure_proxy(struct rig *r, const char *secret_file)
{
	char error[256];

	if (proxy_secret_load(r->proxy, secret_file, error, sizeof(error)) != 0) {
		fprintf(stderr, "%s\n", error);
		return -1;
	}
	return rig_listen(r, false);
}

struct route_script *rig_script(
	struct rig *r, const char *script, const char *list, struct route_report *report)
{
	struct route_script *made;
	char path[64], *text = NULL;
	FILE *f;
	int fd, n;

	snprintf(path, sizeof(path), "/tmp/rig-list-XXXXXX");
	fd = mkstemp(path);
	f = fdopen(fd, "w");
	fputs(list, f);
	fclose(f);
	n = asprintf(&text,
		"loadmodule \"sl\"\nloadmodule \"rr\"\nloadmodule \"maxfwd\"\nloadmodule "
		"\"siputils\"\nloadmodule \"textops\"\n"
		"loadmodule \"dispatcher\"\nloadmodule \"permissions\"\n"
		"modparam(\"dispatcher\", \"list_file\", \"%s\")\n%s",
		path, script);
	made = route_script_load_text("rig.cfg", str_of(text, (size_t)n), &r->registry, report);
	free(text);
	unlink(path);
	return made;
}

static int load_script(struct rig *r, const struct rig_config *config)
{
	struct route_report *report = route_report_create();

	if (config->config != NULL)
		r->script = route_script_load(config->config, &r->registry, report);
	else
		r->script = rig_script(r, config->script, config->list, report);
	if (route_report_errors(report) > 0)
		fprintf(stderr, "%s\n", route_report_text(report));
	route_report_destroy(report);
	return r->script != NULL ? 0 : -1;
}

/* What slow lcores work on. */
static int make_state(struct rig *r, const struct rig_config *config)
{
	struct location_config lc = {.shards = config->slow,
		.contacts = config->contacts != 0 ? config->contacts : 4096,
		.huge = true};
	struct txn_config tc = {.proxy = r->proxy,
		.shards = config->slow,
		.transactions = config->transactions != 0 ? config->transactions : 1024,
		.started_ns = clock_now_ns()};
	struct registrar_config rc = {.proxy = r->proxy, .rcu = r->rcu, .db = r->db};
	char error[256];

	r->slow = config->slow;
	rc.location = r->location = location_create(&lc, error, sizeof(error));
	if (r->location != NULL)
		r->txn = txn_create(&tc, error, sizeof(error));
	if (r->location == NULL || r->txn == NULL) {
		fprintf(stderr, "rig: %s\n", error);
		return -1;
	}
	r->registrar = registrar_create(&rc);
	if (r->registrar == NULL || registrar_register(r->registrar, &r->registry) != 0)
		return -1;
	return txn_register(r->txn, &r->registry);
}

static int make_db(struct rig *r, const struct rig_config *c)
{
	struct db_config config = {.rows = c->db_rows};
	const char *url = c->db_url;
	char error[256];

	/* Not on the CPUs of lcores, as siplane's. */
	if (url != NULL)
		config.thread_create =
			c->db_thread_create != NULL ? c->db_thread_create : rte_ctrl_thread_create;
	r->db = db_create(&config, error, sizeof(error));
	if (r->db == NULL)
		fprintf(stderr, "rig: %s\n", error);
	return r->db == NULL || (url != NULL && db_set_default(r->db, url) != 0) ? -1 : 0;
}

/* Who a request is from is known where there are users. */
static int make_auth(struct rig *r, const char *url)
{
	r->auth = auth_create(&(struct auth_config){.proxy = r->proxy, .db = r->db, .rcu = r->rcu});
	if (r->auth == NULL || auth_set_db_url(r->auth, url) != 0)
		return -1;
	return auth_register(r->auth, &r->registry);
}

static int make_rooms(struct rig *r, const struct rig_config *config)
{
	struct dispatch_config dc = {.now_ns = clock_now_ns};

	r->rcu = aligned_alloc(64, sizeof(*r->rcu));
	if (r->rcu == NULL)
		return -1;
	rcu_init(r->rcu);
	r->resolver = resolver_create(NULL, r->rcu);
	r->proxy = proxy_create(r->rcu, r->resolver);
	r->access = access_create(r->rcu);
	dc.rcu = r->rcu;
	dc.resolver = r->resolver;
	dc.proxy = r->proxy;
	r->dispatch = dispatch_create(&dc);
	if (r->resolver == NULL || r->proxy == NULL || r->access == NULL || r->dispatch == NULL)
		return -1;
	route_registry_init(&r->registry);
	proxy_hooks(r->proxy, &r->registry.hooks);
	if (proxy_register(r->proxy, &r->registry) != 0 ||
		route_registry_add(&r->registry, &access_permissions_module, r->access) != 0 ||
		route_registry_add(&r->registry, &dispatch_module, r->dispatch) != 0)
		return -1;
	if ((config->db || config->db_url != NULL) && make_db(r, config) != 0)
		return -1;
	if (config->slow > 0 && make_state(r, config) != 0)
		return -1;
	if (config->db_url != NULL && make_auth(r, config->db_url) != 0)
		return -1;
	if (config->module != NULL && route_registry_add(&r->registry, config->module, r) != 0)
		return -1;
	return configure_proxy(r, config->secret_file);
}

static int make_port(struct rig *r, unsigned index, unsigned queues, unsigned mtu)
{
	static unsigned made;
	char name[32];
	int id;
	struct rte_eth_conf conf = {0};

	for (unsigned q = 0; q < queues; q++) {
		snprintf(name, sizeof(name), "rx%u_%u_%u", index, q, made);
		r->rx[index][q] = rte_ring_create(
			name, RIG_RING, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
		snprintf(name, sizeof(name), "tx%u_%u_%u", index, q, made);
		r->tx[index][q] = rte_ring_create(
			name, RIG_RING, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
	}
	snprintf(name, sizeof(name), "rig%u_%u", index, made++);
	id = rte_eth_from_rings(name, r->rx[index], queues, r->tx[index], queues, 0);
	if (id < 0 ||
		rte_eth_dev_configure((uint16_t)id, (uint16_t)queues, (uint16_t)queues, &conf) != 0)
		return -1;
	for (uint16_t q = 0; q < queues; q++)
		if (rte_eth_rx_queue_setup((uint16_t)id, q, 512, 0, NULL, r->pool) != 0 ||
			rte_eth_tx_queue_setup((uint16_t)id, q, 512, 0, NULL) != 0)
			return -1;
	r->port[index] = (struct port){
		.id = (uint16_t)id,
		.index = (uint16_t)index,
		.queues = (uint16_t)queues,
		.mtu = (uint16_t)mtu,
		.socket = SOCKET_ID_ANY,
		.virtual_device = true,
		.mac = {2, 0, 0, 0, 0, (uint8_t)(index + 1)},
		.rx_set_port = true,
	};
	return rte_eth_dev_start((uint16_t)id);
}

static struct rte_mempool *make_pool(
	const char *what, unsigned count, unsigned room, bool preemptible_users)
{
	static unsigned made;
	char name[32];

	snprintf(name, sizeof(name), "%s%u", what, made++);
	return port_pool_create(name, count, room, preemptible_users, SOCKET_ID_ANY);
}

struct rig *rig_rooms(const struct rig_config *config)
{
	struct rig *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return NULL;
	r->backend_hop = KERNEL_HOP_READY;
	r->hops = config->hops;
	if (make_rooms(r, config) == 0)
		return r;
	fprintf(stderr, "rig: the rooms cannot be made\n");
	return NULL;
}

int rig_load(struct rig *r, const struct rig_config *config)
{
	if (load_script(r, config) != 0)
		return -1;
	route_script_publish(r->script);
	rcu_reclaim(r->rcu);
	return 0;
}

struct rig *rig_create_with(const struct rig_config *config)
{
	struct rig *r = rig_rooms(config);
	char error[256] = "pools, script or ports";
	unsigned mtu = config->mtu != 0 ? config->mtu : 1500;

	if (r == NULL)
		return NULL;
	r->workers = config->workers;
	r->pool = make_pool(
		"small", config->buffers != 0 ? config->buffers : 16383, PORT_MBUF_ROOM, false);
	r->pool_big = make_pool("big", config->buffers_big != 0 ? config->buffers_big : 63,
		PORT_MBUF_BIG_ROOM, false);
	r->pool_control = make_pool("control", 4095, PORT_MBUF_ROOM, true);
	if (r->pool == NULL || r->pool_big == NULL || r->pool_control == NULL ||
		load_script(r, config) != 0)
		goto fail;
	for (unsigned p = 0; p < RIG_PORTS; p++)
		if (make_port(r, p, config->queues, mtu) != 0)
			goto fail;
	struct pipeline_config pc = {
		.port = r->port,
		.ports = RIG_PORTS,
		.vlan = {-1, -1},
		.workers = config->workers,
		.slow = r->slow,
		.pool = r->pool,
		.pool_big = r->pool_big,
		.pool_control = r->pool_control,
		.rcu = r->rcu,
		.proxy = r->proxy,
		.access = r->access,
		.resolver = r->resolver,
		.db = r->db,
		.location = r->location,
		.registrar = r->registrar,
		.txn = r->txn,
		.hop_find = hop_find,
		.hop_arg = r,
		.dispatch = r->dispatch,
		.held_small = config->held != 0 ? config->held : 64,
		.held_big = 4,
		.xlog_rate = 100,
		.reply_rate = config->reply_rate != 0 ? config->reply_rate : 1000,
	};

	r->pipeline = pipeline_create(&pc, error, sizeof(error));
	if (r->pipeline == NULL)
		goto fail;
	route_script_ref(r->script);
	pipeline_publish(r->pipeline, r->script);
	return r;
fail:
	fprintf(stderr, "rig: %s\n", error);
	return NULL;
}

struct rig *rig_create(const char *script, const char *list, unsigned workers, unsigned queues)
{
	return rig_create_with(&(struct rig_config){
		.script = script, .list = list, .workers = workers, .queues = queues});
}

/* Takes down what rig_create_with() adds to the rooms, but the rings. */
static void stop(struct rig *r)
{
	struct str payload;
	struct rte_mbuf *m;

	for (unsigned p = 0; p < RIG_PORTS; p++)
		while ((m = rig_sent(r, p, &payload)) != NULL)
			rte_pktmbuf_free(m);
	for (unsigned p = 0; p < RIG_PORTS; p++) {
		rte_eth_dev_stop(r->port[p].id);
		rte_eth_dev_close(r->port[p].id);
	}
	pipeline_destroy(r->pipeline);
}

void rig_destroy(struct rig *r)
{
	if (r->pipeline != NULL)
		stop(r);
	route_script_unref(r->script);
	if (r->txn != NULL)
		txn_destroy(r->txn);
	if (r->registrar != NULL)
		registrar_destroy(r->registrar);
	if (r->location != NULL)
		location_destroy(r->location);
	dispatch_destroy(r->dispatch);
	access_destroy(r->access);
	proxy_destroy(r->proxy);
	resolver_destroy(r->resolver);
	auth_destroy(r->auth);
	db_destroy(r->db);
	for (unsigned p = 0; p < RIG_PORTS; p++)
		for (unsigned q = 0; q < r->port[p].queues; q++) {
			rte_ring_free(r->rx[p][q]);
			rte_ring_free(r->tx[p][q]);
		}
	rte_mempool_free(r->pool);
	rte_mempool_free(r->pool_big);
	rte_mempool_free(r->pool_control);
	rcu_fini(r->rcu);
	free(r->rcu);
	free(r);
}

void rig_poll(struct rig *r)
{
	for (unsigned i = 0; i < r->workers; i++)
		pipeline_worker_poll(r->pipeline, i);
	for (unsigned i = 0; i < r->slow; i++)
		pipeline_slow_poll(r->pipeline, i);
	pipeline_control_poll(r->pipeline, clock_now_ns());
	resolver_poll(r->resolver, clock_now_ns());
}

void rig_settle(struct rig *r)
{
	for (unsigned idle = 0; idle < 3;) {
		unsigned n = 0;

		for (unsigned i = 0; i < r->workers; i++)
			n += pipeline_worker_poll(r->pipeline, i);
		for (unsigned i = 0; i < r->slow; i++)
			n += pipeline_slow_poll(r->pipeline, i);
		n += pipeline_control_poll(r->pipeline, clock_now_ns());
		idle = n > 0 ? 0 : idle + 1;
	}
}

bool rig_write(struct rig *r, struct rte_mbuf *m, unsigned port, const struct net_endpoint *src,
	const struct net_endpoint *dst, struct str payload)
{
	struct net_header h = {.src = *src, .dst = *dst};
	uint32_t len, l4;
	uint16_t sum;
	uint8_t *p;

	memcpy(h.dst_mac, r->port[port].mac, 6);
	memcpy(h.src_mac, "\x02\x00\x00\x00\x00\x98", 6);
	len = net_header_length(&h);
	l4 = len - NET_UDP_LEN;
	if (len + payload.len > rte_pktmbuf_tailroom(m))
		return false;
	p = (uint8_t *)rte_pktmbuf_append(m, (uint16_t)(len + payload.len));
	memcpy(p + len, payload.s, payload.len);
	net_header_write(&h, payload.len, p);
	sum = net_udp_checksum(&h.src.addr, &h.dst.addr, p + l4, payload.len + NET_UDP_LEN);
	memcpy(p + l4 + 6, &sum, 2);
	return true;
}

struct rte_mbuf *rig_datagram(struct rig *r, unsigned port, const char *src, uint16_t sport,
	const char *dst, uint16_t dport, struct str payload)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(payload.len > 1900 ? r->pool_big : r->pool);
	struct net_endpoint from = {.port = sport}, to = {.port = dport};

	net_addr_parse(str_c(src), &from.addr);
	net_addr_parse(str_c(dst), &to.addr);
	if (!rig_write(r, m, port, &from, &to, payload))
		abort();
	return m;
}

void rig_receive(struct rig *r, unsigned port, unsigned queue, struct rte_mbuf *m)
{
	if (rte_ring_enqueue(r->rx[port][queue], m) != 0)
		abort();
}

void rig_receive_bytes(struct rig *r, unsigned port, const void *frame, uint32_t len)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(r->pool);

	memcpy(rte_pktmbuf_append(m, (uint16_t)len), frame, len);
	rig_receive(r, port, 0, m);
}

struct rte_mbuf *rig_sent(struct rig *r, unsigned port, struct str *payload)
{
	struct net_frame f;
	void *m;

	for (unsigned q = 0; q < r->port[port].queues; q++) {
		if (rte_ring_dequeue(r->tx[port][q], &m) != 0)
			continue;
		*payload = STR_NONE;
		if (net_frame_parse(rte_pktmbuf_mtod((struct rte_mbuf *)m, uint8_t *),
			    rte_pktmbuf_data_len((struct rte_mbuf *)m), true, &f) == NET_UDP)
			*payload = str_of(rte_pktmbuf_mtod_offset(
						  (struct rte_mbuf *)m, char *, f.payload_off),
				f.payload_len);
		return m;
	}
	return NULL;
}

uint64_t rig_counter(struct rig *r, unsigned id)
{
	uint64_t sum[COUNTER_COUNT];

	pipeline_counters(r->pipeline, sum);
	return sum[id];
}
