/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Stage 1 of the start: the rooms that need no device, and the configuration.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "siplane.h"

/* What the modules need of the globals before they prepare: names in lists are asked of the
 * configured servers. */
static int configured(void *arg, const struct route_config *config, struct route_report *report)
{
	struct app *app = arg;
	struct route_place place = {.file = app->options.config};
	const char *want = config->dns_servers != NULL ? config->dns_servers : "";
	int err = -EINVAL;

	if (strcmp(want, app->dns_servers) == 0)
		return 0;
	if (strlen(want) < sizeof(app->dns_servers))
		err = resolver_set_servers(app->resolver, config->dns_servers);
	if (err != 0) {
		route_error(report, &place,
			err == -EBUSY ? "dns_servers: '%s' can't be taken while names are being "
					"asked; try again in some seconds"
				      : "dns_servers: '%s' is no list of addresses such as "
					"192.0.2.53,192.0.2.54:5353",
			want);
		return err;
	}
	strcpy(app->dns_servers, want);
	return 0;
}

static int register_modules(struct app *app)
{
	int err;

	route_registry_init(&app->registry);
	app->registry.configured = configured;
	app->registry.configured_arg = app;
	proxy_hooks(app->proxy, &app->registry.hooks);
	err = proxy_register(app->proxy, &app->registry);
	if (err == 0)
		err = route_registry_add(&app->registry, &access_permissions_module, app->access);
	if (err == 0)
		err = route_registry_add(&app->registry, &access_domain_module, app->access);
	if (err == 0)
		err = route_registry_add(&app->registry, &dispatch_module, app->dispatch);
	return err;
}

static int load(struct app *app)
{
	struct route_report *report = route_report_create();
	int err = 0;

	if (report == NULL)
		return -ENOMEM;
	app->script = route_script_load(app->options.config, &app->registry, report);
	fputs(route_report_text(report), stderr);
	if (app->script == NULL) {
		unsigned n = route_report_errors(report);

		fprintf(stderr, "%s: %u error%s\n", app->options.config, n, n == 1 ? "" : "s");
		err = -EINVAL;
	}
	route_report_destroy(report);
	return err;
}

int rooms_create(struct app *app)
{
	struct dispatch_config dc;
	int err;

	app->rcu = aligned_alloc(64, sizeof(*app->rcu));
	if (app->rcu == NULL)
		return -ENOMEM;
	rcu_init(app->rcu);
	app->resolver = resolver_create(NULL, app->rcu);
	if (app->resolver == NULL) {
		fprintf(stderr, "siplane: resolver: %s\n", strerror(errno));
		return -errno;
	}
	app->proxy = proxy_create(app->rcu, app->resolver);
	app->access = access_create(app->rcu);
	dc = (struct dispatch_config){.rcu = app->rcu,
		.resolver = app->resolver,
		.proxy = app->proxy,
		.now_ns = clock_now_ns};
	app->dispatch = dispatch_create(&dc);
	if (app->proxy == NULL || app->access == NULL || app->dispatch == NULL) {
		fputs("siplane: not enough memory\n", stderr);
		return -ENOMEM;
	}
	err = register_modules(app);
	if (err != 0 || app->options.mode == MODE_REFERENCE)
		return err;
	return load(app);
}

void rooms_destroy(struct app *app)
{
	if (app->script != NULL)
		route_script_unref(app->script);
	if (app->dispatch != NULL)
		dispatch_destroy(app->dispatch);
	if (app->access != NULL)
		access_destroy(app->access);
	if (app->proxy != NULL)
		proxy_destroy(app->proxy);
	if (app->resolver != NULL)
		resolver_destroy(app->resolver);
	if (app->rcu != NULL)
		rcu_fini(app->rcu);
	free(app->rcu);
}
