/* SPDX-License-Identifier: BSD-3-Clause */
#include <rte_telemetry.h>

#include "control/control.h"

/* DPDK's callbacks carry no argument. */
static struct control *current;

static int stats(const char *cmd, const char *params, struct rte_tel_data *d)
{
	uint64_t sum[COUNTER_COUNT];
	struct counter_balance b;

	pipeline_counters(current->pipeline, sum);
	b = counter_balance(sum);
	rte_tel_data_start_dict(d);
	rte_tel_data_add_dict_u64(d, "in", b.in);
	rte_tel_data_add_dict_u64(d, "done", b.done);
	rte_tel_data_add_dict_u64(d, "dropped", b.dropped);
	rte_tel_data_add_dict_u64(d, "held", b.held);
	rte_tel_data_add_dict_int(d, "exact", b.exact);
	rte_tel_data_add_dict_u64(d, "waiting", pipeline_held(current->pipeline));
	rte_tel_data_add_dict_u64(
		d, "uptime_s", (clock_now_ns() - current->started_ns) / CLOCK_NS_PER_S);
	rte_tel_data_add_dict_u64(d, "generation", current->generation);
	rte_tel_data_add_dict_u64(d, "xlog_lost", pipeline_xlog_lost(current->pipeline));
	for (unsigned id = 0; id < RESOLVE_COUNTER_COUNT; id++)
		rte_tel_data_add_dict_u64(d, resolver_counter_name((enum resolve_counter)id),
			resolver_counter(current->resolver, (enum resolve_counter)id));
	for (unsigned id = 0; id < DISPATCH_COUNTER_COUNT; id++)
		rte_tel_data_add_dict_u64(d, dispatch_counter_name((enum dispatch_counter)id),
			dispatch_counter(current->dispatch, (enum dispatch_counter)id));
	for (unsigned id = 0; id < COUNTER_COUNT; id++) {
		char name[RTE_TEL_MAX_STRING_LEN];

		if (counter_name(id) == NULL || (sum[id] == 0 && counter_kind(id) == COUNTER_DROP))
			continue;
		/* Telemetry takes letters, digits, _ and / in a name. */
		snprintf(name, sizeof(name), "%s%s",
			counter_kind(id) == COUNTER_DROP ? "drop/" : "", counter_name(id));
		rte_tel_data_add_dict_u64(d, name, sum[id]);
	}
	return 0;
}

static int ports(const char *cmd, const char *params, struct rte_tel_data *d)
{
	rte_tel_data_start_dict(d);
	for (unsigned i = 0; i < current->ports; i++) {
		struct rte_tel_data *port = rte_tel_data_alloc();
		struct port_losses losses = {0};
		const uint8_t *m = current->port[i].mac;
		char mac[18];

		if (port == NULL)
			return -ENOMEM;
		snprintf(mac, sizeof(mac), "%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3],
			m[4], m[5]);
		port_losses(&current->port[i], &losses);
		rte_tel_data_start_dict(port);
		rte_tel_data_add_dict_string(port, "driver", current->port[i].driver);
		rte_tel_data_add_dict_string(port, "mac", mac);
		rte_tel_data_add_dict_int(port, "queues", current->port[i].queues);
		rte_tel_data_add_dict_int(port, "mtu", current->port[i].mtu);
		rte_tel_data_add_dict_int(port, "link_up", port_link_up(&current->port[i]));
		rte_tel_data_add_dict_u64(port, "rx_missed", losses.rx_missed);
		rte_tel_data_add_dict_u64(port, "rx_errors", losses.rx_errors);
		rte_tel_data_add_dict_u64(port, "rx_nombuf", losses.rx_nombuf);
		rte_tel_data_add_dict_u64(port, "tx_errors", losses.tx_errors);
		rte_tel_data_add_dict_container(d, current->port[i].name, port, 0);
	}
	return 0;
}

static int stages(const char *cmd, const char *params, struct rte_tel_data *d)
{
	struct pipeline_stages s;

	pipeline_stages(current->pipeline, &s);
	rte_tel_data_start_dict(d);
	rte_tel_data_add_dict_u64(d, "hz", s.hz);
	rte_tel_data_add_dict_u64(d, "frames", s.frames);
	rte_tel_data_add_dict_u64(d, "messages", s.messages);
	for (unsigned i = 0; i < PIPELINE_STAGE_COUNT; i++)
		rte_tel_data_add_dict_u64(
			d, pipeline_stage_name((enum pipeline_stage)i), s.cycles[i]);
	return 0;
}

/* A slow lcore goes through some of the worker's stages and has two of its own. */
static int slow(const char *cmd, const char *params, struct rte_tel_data *d)
{
	struct pipeline_stages s;

	pipeline_slow_stages(current->pipeline, &s);
	rte_tel_data_start_dict(d);
	rte_tel_data_add_dict_u64(d, "lcores", current->slow);
	rte_tel_data_add_dict_u64(d, "hz", s.hz);
	rte_tel_data_add_dict_u64(d, "messages", s.messages);
	for (unsigned i = 0; i < PIPELINE_STAGE_ALL; i++)
		if (i >= PIPELINE_STAGE_TRANSMIT)
			rte_tel_data_add_dict_u64(
				d, pipeline_stage_name((enum pipeline_stage)i), s.cycles[i]);
	return 0;
}

static int location(const char *cmd, const char *params, struct rte_tel_data *d)
{
	struct location_stats s;

	location_stats(current->location, &s);
	rte_tel_data_start_dict(d);
	rte_tel_data_add_dict_u64(d, "shards", current->slow);
	rte_tel_data_add_dict_u64(d, "aors", s.aors);
	rte_tel_data_add_dict_u64(d, "contacts", s.contacts);
	rte_tel_data_add_dict_u64(d, "contacts_max", s.contacts_max);
	rte_tel_data_add_dict_u64(d, "bytes", s.bytes);
	rte_tel_data_add_dict_u64(d, "bytes_used", s.bytes_used);
	rte_tel_data_add_dict_u64(d, "expired", s.expired);
	rte_tel_data_add_dict_u64(d, "failed", s.failed);
	return 0;
}

static int registrar(const char *cmd, const char *params, struct rte_tel_data *d)
{
	rte_tel_data_start_dict(d);
	for (unsigned id = 0; id < REGISTRAR_COUNTER_COUNT; id++)
		rte_tel_data_add_dict_u64(d, registrar_counter_name((enum registrar_counter)id),
			registrar_counter(current->registrar, (enum registrar_counter)id));
	return 0;
}

static int transactions(const char *cmd, const char *params, struct rte_tel_data *d)
{
	struct txn_usage usage;

	txn_usage(current->txn, &usage);
	rte_tel_data_start_dict(d);
	rte_tel_data_add_dict_u64(d, "shards", current->slow);
	rte_tel_data_add_dict_u64(d, "transactions", usage.transactions);
	rte_tel_data_add_dict_u64(d, "absorbing", usage.absorbing);
	rte_tel_data_add_dict_u64(d, "bytes", usage.bytes);
	rte_tel_data_add_dict_u64(d, "bytes_max", usage.bytes_max);
	for (unsigned id = 0; id < TXN_COUNTER_COUNT; id++)
		rte_tel_data_add_dict_u64(d, txn_counter_name((enum txn_counter)id),
			txn_counter(current->txn, (enum txn_counter)id));
	return 0;
}

static void add_destination(void *arg, const struct dispatch_info *info)
{
	struct rte_tel_data *row = rte_tel_data_alloc();
	char name[24];

	if (row == NULL)
		return;
	rte_tel_data_start_dict(row);
	rte_tel_data_add_dict_u64(row, "set", info->set);
	rte_tel_data_add_dict_string(row, "destination", info->uri);
	rte_tel_data_add_dict_string(row, "state", info->state);
	rte_tel_data_add_dict_string(row, "health", info->health);
	rte_tel_data_add_dict_u64(row, "weight", info->weight);
	rte_tel_data_add_dict_u64(row, "priority", info->priority);
	rte_tel_data_add_dict_u64(row, "selected", info->selected);
	rte_tel_data_add_dict_u64(row, "unreachable", info->unreachable);
	snprintf(name, sizeof(name), "%u", info->id);
	rte_tel_data_add_dict_container(arg, name, row, 0);
}

static int dispatcher(const char *cmd, const char *params, struct rte_tel_data *d)
{
	rte_tel_data_start_dict(d);
	pthread_mutex_lock(&current->reading);
	dispatch_list(current->dispatch, add_destination, d);
	pthread_mutex_unlock(&current->reading);
	return 0;
}

int control_telemetry_register(struct control *c)
{
	static const struct {
		const char *name;
		telemetry_cb run;
		const char *help;
	} commands[] = {
		{"/siplane/stats", stats,
			"Counters and the equation: in = done + dropped + held. No parameters."},
		{"/siplane/ports", ports, "Ports with the device's own losses. No parameters."},
		{"/siplane/stages", stages, "TSC cycles of the workers by stage. No parameters."},
		{"/siplane/slow", slow, "TSC cycles of the slow lcores by stage. No parameters."},
		{"/siplane/dispatcher", dispatcher,
			"Destinations with state, health and times chosen. No parameters."},
		{"/siplane/location", location,
			"Registered contacts and the memory they take. No parameters."},
		{"/siplane/registrar", registrar, "REGISTERs and lookups. No parameters."},
		{"/siplane/transactions", transactions,
			"Transactions that stand, and what became of them. No parameters."},
	};
	int err = 0;

	current = c;
	pthread_mutex_init(&c->reading, NULL);
	for (unsigned i = 0; err == 0 && i < sizeof(commands) / sizeof(commands[0]); i++)
		err = rte_telemetry_register_cmd(
			commands[i].name, commands[i].run, commands[i].help);
	return err;
}
