/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "control/control.h"

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
		old->memory_huge != new->memory_huge)
		log_warning("reload: a change of memory { } takes effect at the next start");
	if (!same_text(old->scanner, new->scanner))
		log_warning("reload: a change of scanner takes effect at the next start");
	if (old->reply_rate != new->reply_rate)
		log_warning("reload: a change of reply_rate takes effect at the next start");
	if (old->log_stderror != new->log_stderror)
		log_warning("reload: a change of log_stderror takes effect at the next start");
}

/* The file has had its say with the resolver while it was read: what is not taken is taken back. */
static void undo_configured(struct control *c, struct route_report *report)
{
	if (c->registry->configured != NULL)
		(void)c->registry->configured(
			c->registry->configured_arg, route_script_config(c->script), report);
}

/* Two files as one: nothing of the second is touched, and messages name the lines of each. */
struct route_script *control_load(const char *ports_path, const char *path,
	const struct route_registry *registry, struct route_report *report)
{
	struct route_place nowhere = {.file = path};
	struct route_script *script = NULL;
	char *first, *second = NULL, *text = NULL;
	int len;

	if (ports_path == NULL)
		return route_script_load(path, registry, report);
	first = realpath(ports_path, NULL);
	if (first != NULL)
		second = realpath(path, NULL);
	if (second == NULL) {
		nowhere.file = first == NULL ? ports_path : path;
		route_error(report, &nowhere, "%s", strerror(errno));
	} else if (strpbrk(first, "\"\\\n") != NULL || strpbrk(second, "\"\\\n") != NULL) {
		route_error(report, &nowhere, "a path with a quote, a backslash or a line's end");
	} else {
		len = asprintf(&text, "include_file \"%s\"\ninclude_file \"%s\"\n", first, second);
		if (len > 0)
			script = route_script_load_text(
				path, str_of(text, (size_t)len), registry, report);
	}
	free(text);
	free(second);
	free(first);
	return script;
}

int control_reload(struct control *c)
{
	struct route_report *report = route_report_create();
	struct route_script *script = NULL;
	char error[512];
	int err = -EINVAL;

	if (report == NULL)
		return -ENOMEM;
	script = control_load(c->ports_path, c->path, c->registry, report);
	if (script == NULL || route_report_errors(report) > 0) {
		log_error("reload: %s has errors; the running configuration stays\n%s", c->path,
			route_report_text(report));
		undo_configured(c, report);
		goto out;
	}
	if (route_report_warnings(report) > 0)
		log_warning("reload: %s", route_report_text(report));
	err = c->apply(c->apply_arg, route_script_config(script), error, sizeof(error));
	if (err != 0) {
		log_error("reload: %s; the running configuration stays", error);
		undo_configured(c, report);
		goto out;
	}
	warn_fixed(route_script_config(c->script), route_script_config(script));
	pipeline_publish(c->pipeline, script);
	c->script = script;
	script = NULL;
	c->generation++;
	log_notice("reload: %s is current, generation %u", c->path, c->generation);
out:
	if (script != NULL)
		route_script_unref(script);
	route_report_destroy(report);
	return err;
}

unsigned control_poll(struct control *c, uint64_t now)
{
	unsigned n = pipeline_control_poll(c->pipeline, now);

	if (c->kernel != NULL)
		n += kernel_poll(c->kernel, now);
	resolver_poll(c->resolver, now);
	if (now >= c->tick_at) {
		dispatch_tick(c->dispatch, now);
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
