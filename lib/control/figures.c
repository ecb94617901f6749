/* SPDX-License-Identifier: BSD-3-Clause */
/* The figures that telemetry, the control socket and the table on SIGUSR1 show: here alone is said
 * which there are. */
#include <stdio.h>

#include "control/control.h"

static void stats(const struct control *c, control_figure visit, void *arg)
{
	uint64_t sum[COUNTER_COUNT];
	struct counter_balance b;

	pipeline_counters(c->pipeline, sum);
	b = counter_balance(sum);
	visit(arg, "in", b.in);
	visit(arg, "done", b.done);
	visit(arg, "dropped", b.dropped);
	visit(arg, "held", b.held);
	visit(arg, "exact", b.exact);
	visit(arg, "waiting", pipeline_held(c->pipeline));
	visit(arg, "uptime_s", (clock_now_ns() - c->started_ns) / CLOCK_NS_PER_S);
	visit(arg, "generation", c->generation);
	visit(arg, "xlog_lost", pipeline_xlog_lost(c->pipeline));
	for (unsigned id = 0; id < RESOLVE_COUNTER_COUNT; id++)
		visit(arg, resolver_counter_name((enum resolve_counter)id),
			resolver_counter(c->resolver, (enum resolve_counter)id));
	for (unsigned id = 0; id < DISPATCH_COUNTER_COUNT; id++)
		visit(arg, dispatch_counter_name((enum dispatch_counter)id),
			dispatch_counter(c->dispatch, (enum dispatch_counter)id));
	for (unsigned id = 0; id < COUNTER_COUNT; id++) {
		char name[64];

		if (counter_name(id) == NULL || (sum[id] == 0 && counter_kind(id) == COUNTER_DROP))
			continue;
		/* Telemetry takes letters, digits, _ and / in a name. */
		snprintf(name, sizeof(name), "%s%s",
			counter_kind(id) == COUNTER_DROP ? "drop/" : "", counter_name(id));
		visit(arg, name, sum[id]);
	}
}

static void location(const struct control *c, control_figure visit, void *arg)
{
	struct location_stats s;

	location_stats(c->location, &s);
	visit(arg, "shards", c->slow);
	visit(arg, "aors", s.aors);
	visit(arg, "contacts", s.contacts);
	visit(arg, "contacts_max", s.contacts_max);
	visit(arg, "bytes", s.bytes);
	visit(arg, "bytes_used", s.bytes_used);
	visit(arg, "expired", s.expired);
	visit(arg, "failed", s.failed);
	visit(arg, "forgotten", s.forgotten);
}

static void registrar(const struct control *c, control_figure visit, void *arg)
{
	for (unsigned id = 0; id < REGISTRAR_COUNTER_COUNT; id++)
		visit(arg, registrar_counter_name((enum registrar_counter)id),
			registrar_counter(c->registrar, (enum registrar_counter)id));
}

static void transactions(const struct control *c, control_figure visit, void *arg)
{
	struct txn_usage usage;

	txn_usage(c->txn, &usage);
	visit(arg, "shards", c->slow);
	visit(arg, "transactions", usage.transactions);
	visit(arg, "transactions_max", usage.transactions_max);
	visit(arg, "absorbing", usage.absorbing);
	visit(arg, "bytes", usage.bytes);
	visit(arg, "bytes_max", usage.bytes_max);
	for (unsigned id = 0; id < TXN_COUNTER_COUNT; id++)
		visit(arg, txn_counter_name((enum txn_counter)id),
			txn_counter(c->txn, (enum txn_counter)id));
}

static void db(const struct control *c, control_figure visit, void *arg)
{
	for (unsigned id = 0; id < DB_COUNTER_COUNT; id++)
		visit(arg, db_counter_name((enum db_counter)id),
			db_counter(c->db, (enum db_counter)id));
}

static void auth(const struct control *c, control_figure visit, void *arg)
{
	for (unsigned id = 0; id < AUTH_COUNTER_COUNT; id++)
		visit(arg, auth_counter_name((enum auth_counter)id),
			auth_counter(c->auth, (enum auth_counter)id));
}

static void acc(const struct control *c, control_figure visit, void *arg)
{
	for (unsigned id = 0; id < ACC_COUNTER_COUNT; id++)
		visit(arg, acc_counter_name((enum acc_counter)id),
			acc_counter(c->acc, (enum acc_counter)id));
}

static void rpc(const struct control *c, control_figure visit, void *arg)
{
	for (unsigned id = 0; c->rpc != NULL && id < RPC_COUNTER_COUNT; id++)
		visit(arg, rpc_counter_name((enum rpc_counter)id),
			rpc_counter(c->rpc, (enum rpc_counter)id));
}

static const struct {
	const char *name;
	void (*figures)(const struct control *c, control_figure visit, void *arg);
} groups[CONTROL_GROUP_COUNT] = {
	[CONTROL_GROUP_STATS] = {"stats", stats},
	[CONTROL_GROUP_LOCATION] = {"location", location},
	[CONTROL_GROUP_REGISTRAR] = {"registrar", registrar},
	[CONTROL_GROUP_TRANSACTIONS] = {"transactions", transactions},
	[CONTROL_GROUP_DB] = {"db", db},
	[CONTROL_GROUP_AUTH] = {"auth", auth},
	[CONTROL_GROUP_ACC] = {"acc", acc},
	[CONTROL_GROUP_CONTROL] = {"control", rpc},
};

const char *control_group_name(enum control_group group)
{
	return (unsigned)group < CONTROL_GROUP_COUNT ? groups[group].name : NULL;
}

void control_figures(
	const struct control *c, enum control_group group, control_figure visit, void *arg)
{
	groups[group].figures(c, visit, arg);
}
