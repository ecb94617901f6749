/* SPDX-License-Identifier: BSD-3-Clause */
#include <rte_telemetry.h>

#include "control/control.h"

/* DPDK's callbacks carry no argument. */
static struct control *current;

static void add_figure(void *arg, const char *name, uint64_t value)
{
	rte_tel_data_add_dict_u64(arg, name, value);
}

static int figures(enum control_group group, struct rte_tel_data *d)
{
	rte_tel_data_start_dict(d);
	control_figures(current, group, add_figure, d);
	return 0;
}

static int stats(const char *cmd, const char *params, struct rte_tel_data *d)
{
	return figures(CONTROL_GROUP_STATS, d);
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
	return figures(CONTROL_GROUP_LOCATION, d);
}

static void add_memory(
	struct rte_tel_data *d, const struct location_stats *l, const struct txn_usage *t)
{
	rte_tel_data_add_dict_u64(d, "contacts", l->contacts);
	rte_tel_data_add_dict_u64(d, "contacts_max", l->contacts_max);
	rte_tel_data_add_dict_u64(d, "transactions", t->transactions);
	rte_tel_data_add_dict_u64(d, "transactions_max", t->transactions_max);
	rte_tel_data_add_dict_u64(d, "transactions_bytes", t->bytes);
	rte_tel_data_add_dict_u64(d, "transactions_bytes_max", t->bytes_max);
}

/* How full is what memory { } provides, under its names; of each slow lcore, too, since one may be
 * full while others are not. */
static int memory(const char *cmd, const char *params, struct rte_tel_data *d)
{
	struct location_stats l;
	struct txn_usage t;
	uint32_t used, max;

	location_stats(current->location, &l);
	txn_usage(current->txn, &t);
	pipeline_places(current->pipeline, &used, &max);
	rte_tel_data_start_dict(d);
	add_memory(d, &l, &t);
	rte_tel_data_add_dict_u64(d, "messages", used);
	rte_tel_data_add_dict_u64(d, "messages_max", max);
	for (unsigned i = 0; i < current->slow; i++) {
		struct rte_tel_data *row = rte_tel_data_alloc();
		char name[16];

		if (row == NULL)
			return -ENOMEM;
		location_shard_stats(current->location, i, &l);
		txn_shard_usage(current->txn, i, &t);
		rte_tel_data_start_dict(row);
		add_memory(row, &l, &t);
		snprintf(name, sizeof(name), "slow%u", i);
		rte_tel_data_add_dict_container(d, name, row, 0);
	}
	return 0;
}

static int registrar(const char *cmd, const char *params, struct rte_tel_data *d)
{
	return figures(CONTROL_GROUP_REGISTRAR, d);
}

static int transactions(const char *cmd, const char *params, struct rte_tel_data *d)
{
	return figures(CONTROL_GROUP_TRANSACTIONS, d);
}

static int db(const char *cmd, const char *params, struct rte_tel_data *d)
{
	return figures(CONTROL_GROUP_DB, d);
}

static int auth(const char *cmd, const char *params, struct rte_tel_data *d)
{
	return figures(CONTROL_GROUP_AUTH, d);
}

static int acc(const char *cmd, const char *params, struct rte_tel_data *d)
{
	return figures(CONTROL_GROUP_ACC, d);
}

static int control(const char *cmd, const char *params, struct rte_tel_data *d)
{
	/* At the end the control thread closes what is read here. */
	pthread_mutex_lock(&current->reading);
	figures(CONTROL_GROUP_CONTROL, d);
	pthread_mutex_unlock(&current->reading);
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
		{"/siplane/memory", memory,
			"How full memory { contacts, transactions, messages } is, also by slow "
			"lcore. No parameters."},
		{"/siplane/location", location,
			"Registered contacts and the memory they take. No parameters."},
		{"/siplane/registrar", registrar, "REGISTERs and lookups. No parameters."},
		{"/siplane/transactions", transactions,
			"Transactions that stand, and what became of them. No parameters."},
		{"/siplane/auth", auth,
			"Challenges, and what became of credentials. No parameters."},
		{"/siplane/acc", acc, "What was accounted, and what found no room. No parameters."},
		{"/siplane/db", db,
			"Questions to databases, changes, and what of them is remembered. No "
			"parameters."},
		{"/siplane/control", control, "Clients of the control socket. No parameters."},
	};
	int err = 0;

	current = c;
	pthread_mutex_init(&c->reading, NULL);
	for (unsigned i = 0; err == 0 && i < sizeof(commands) / sizeof(commands[0]); i++)
		err = rte_telemetry_register_cmd(
			commands[i].name, commands[i].run, commands[i].help);
	return err;
}
