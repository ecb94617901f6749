/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * reload: what becomes of a configuration that has been read again, and what the control thread
 * does each turn.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "control/loader.h"

/* How soon a link that came or went is known. */
#define LINK_EVERY_NS (100 * CLOCK_NS_PER_MS)

static bool same_text(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static bool same_port(const struct route_config_port *a, const struct route_config_port *b)
{
	bool same = same_text(a->name, b->name) && same_text(a->device, b->device) &&
		    a->addresses == b->addresses && same_text(a->gateway[0], b->gateway[0]) &&
		    same_text(a->gateway[1], b->gateway[1]) &&
		    same_text(a->kernel_interface, b->kernel_interface) &&
		    same_text(a->profile, b->profile) && same_text(a->mac, b->mac) &&
		    a->mtu == b->mtu && a->queues == b->queues && a->vlan == b->vlan &&
		    a->rx_descriptors == b->rx_descriptors &&
		    a->tx_descriptors == b->tx_descriptors;

	for (unsigned i = 0; same && i < a->addresses; i++)
		same = same_text(a->address[i], b->address[i]);
	return same;
}

/* What a running process cannot change; said when a reload asks for it. */
static void warn_fixed(const struct route_config *old, const struct route_config *new)
{
	bool same = old->ports == new->ports;

	for (unsigned i = 0; same && i < old->ports; i++)
		same = same_port(&old->port[i], &new->port[i]);
	if (!same)
		log_warning("reload: a change of port { } takes effect at the next start");
	if (!same_text(old->cores_control, new->cores_control) ||
		!same_text(old->cores_workers, new->cores_workers) ||
		!same_text(old->cores_slow, new->cores_slow) ||
		old->slow_count != new->slow_count || old->workers_count != new->workers_count ||
		old->idle != new->idle)
		log_warning("reload: a change of cores { } takes effect at the next start");
	if (old->memory_messages != new->memory_messages ||
		old->memory_contacts != new->memory_contacts ||
		old->memory_transactions != new->memory_transactions ||
		old->memory_rows != new->memory_rows || old->memory_huge != new->memory_huge)
		log_warning("reload: a change of memory { } takes effect at the next start");
	if (old->db_threads != new->db_threads || old->db_stale != new->db_stale)
		log_warning("reload: a change of db_threads or db_stale takes effect at the next "
			    "start");
	if (!same_text(old->scanner, new->scanner))
		log_warning("reload: a change of scanner takes effect at the next start");
	if (old->reply_rate != new->reply_rate)
		log_warning("reload: a change of reply_rate takes effect at the next start");
	if (!same_text(old->control_socket, new->control_socket) ||
		!same_text(old->control_group, new->control_group))
		log_warning("reload: a change of control_socket or control_group takes effect at "
			    "the next start");
	if (old->log_stderror != new->log_stderror)
		log_warning("reload: a change of log_stderror takes effect at the next start");
}

/* For whoever waits for it. */
static void ended(struct control *c, bool good, const char *text)
{
	c->reloads_ended++;
	c->reload_good = good;
	if (snprintf(c->reload_text, sizeof(c->reload_text), "%s", text) >=
		(int)sizeof(c->reload_text))
		strcpy(c->reload_text + sizeof(c->reload_text) - 5, "...\n");
}

/* The load has ended: what it made becomes current, or is refused with a sentence. */
static void finish(struct control *c, struct route_script *script, struct route_report *report)
{
	char error[512];

	if (script == NULL || route_report_errors(report) > 0) {
		log_error("reload: %s has errors; the running configuration stays\n%s", c->path,
			route_report_text(report));
		ended(c, false, route_report_text(report));
		goto out;
	}
	if (route_report_warnings(report) > 0)
		log_warning("reload: %s", route_report_text(report));
	if (c->apply(c->apply_arg, route_script_config(script), error, sizeof(error)) != 0) {
		log_error("reload: %s; the running configuration stays", error);
		ended(c, false, error);
		goto out;
	}
	warn_fixed(route_script_config(c->script), route_script_config(script));
	pipeline_publish(c->pipeline, script);
	c->script = script;
	script = NULL;
	c->generation++;
	log_notice("reload: %s is current, generation %u", c->path, c->generation);
	ended(c, true, route_report_warnings(report) > 0 ? route_report_text(report) : "");
out:
	if (script != NULL)
		route_script_unref(script);
}

void control_reload(struct control *c)
{
	if (loader_runs(&c->loader)) {
		if (!c->loader.again)
			log_notice("reload: another one is under way; this one follows it");
		c->loader.again = true;
		return;
	}
	c->reloads_begun++;
	if (loader_begin(c, LOADER_CONFIGURATION) != 0) {
		log_error("reload: no thread to read %s on; the running configuration stays",
			c->path);
		ended(c, false, "no thread to read it on");
	}
}

uint32_t control_reload_number(const struct control *c)
{
	return c->reloads_begun + 1;
}

static unsigned poll_loader(struct control *c)
{
	struct loaded loaded;

	if (!loader_take(&c->loader, &loaded))
		return 0;
	if (loaded.list == LOADER_CONFIGURATION)
		finish(c, loaded.script, loaded.report);
	else if (loaded.list == LOADER_STATES)
		list_finish_states(c, &loaded);
	else
		list_finish(c, &loaded);
	route_report_destroy(loaded.report);
	if (c->loader.again) {
		c->loader.again = false;
		control_reload(c);
	} else {
		list_next(c);
	}
	return 1;
}

void control_end(struct control *c)
{
	struct loaded loaded;

	pthread_mutex_lock(&c->reading);
	rpc_close(c->rpc);
	c->rpc = NULL;
	pthread_mutex_unlock(&c->reading);
	if (!loader_runs(&c->loader))
		return;
	loader_stop(&c->loader);
	while (!loader_take(&c->loader, &loaded))
		usleep(1000);
	if (loaded.prepared != NULL)
		list_discard(c, &loaded);
	free(c->states);
	if (loaded.script != NULL)
		route_script_unref(loaded.script);
	route_report_destroy(loaded.report);
}

unsigned control_poll(struct control *c, uint64_t now)
{
	unsigned n = pipeline_control_poll(c->pipeline, now);

	n += poll_loader(c);
	if (c->rpc != NULL)
		n += rpc_poll(c->rpc, now);
	if (c->kernel != NULL)
		n += kernel_poll(c->kernel, now);
	resolver_poll(c->resolver, now);
	if (now >= c->tick_at) {
		dispatch_tick(c->dispatch, now);
		registrar_tick(c->registrar, now);
		auth_tick(c->auth, now);
		acc_tick(c->acc, now);
		list_tick(c, now);
		c->tick_at = now + CLOCK_NS_PER_S;
	}
	if (now >= c->link_at) {
		for (unsigned i = 0; c->kernel != NULL && i < c->ports; i++)
			kernel_set_carrier(c->kernel, (uint16_t)i, port_link_up(&c->port[i]));
		c->link_at = now + LINK_EVERY_NS;
	}
	/* Never waits: what telemetry reads just now is freed at a later turn. */
	if (pthread_mutex_trylock(&c->reading) == 0) {
		rcu_reclaim(c->rcu);
		pthread_mutex_unlock(&c->reading);
	}
	return n;
}
