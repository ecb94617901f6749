/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/control.h"

/* What a running process cannot change; said when a reload asks for it. */
static void warn_fixed(const struct route_config *old, const struct route_config *new)
{
	bool same = old->ports == new->ports;

	for (unsigned i = 0; same && i < old->ports; i++)
		same = strcmp(old->port[i].name, new->port[i].name) == 0 &&
		       strcmp(old->port[i].device, new->port[i].device) == 0;
	if (!same)
		log_warning("reload: a change of port { } takes effect at the next start");
}

int control_reload(struct control *c)
{
	struct route_report *report = route_report_create();
	struct route_script *script;
	char error[512];
	int err = -EINVAL;

	if (report == NULL)
		return -ENOMEM;
	script = route_script_load(c->path, c->registry, report);
	if (script == NULL || route_report_errors(report) > 0) {
		log_error("reload: %s has errors; the running configuration stays\n%s", c->path,
			route_report_text(report));
		goto out;
	}
	if (route_report_warnings(report) > 0)
		log_warning("reload: %s", route_report_text(report));
	warn_fixed(route_script_config(c->script), route_script_config(script));
	err = c->apply(c->apply_arg, route_script_config(script), error, sizeof(error));
	if (err != 0) {
		log_error("reload: %s; the running configuration stays", error);
		goto out;
	}
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
		for (unsigned i = 0; c->kernel != NULL && i < c->ports; i++)
			kernel_set_carrier(c->kernel, (uint16_t)i, port_link_up(&c->port[i]));
		c->tick_at = now + CLOCK_NS_PER_S;
	}
	/* Never waits: what telemetry reads just now is freed at a later turn. */
	if (pthread_mutex_trylock(&c->reading) == 0) {
		rcu_reclaim(c->rcu);
		pthread_mutex_unlock(&c->reading);
	}
	return n;
}
