/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Stage 1 of the start: the rooms that need no device, and the configuration.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <unistd.h>

#include "siplane.h"

/* memory { } left out: that much, and no more than an eighth of the machine's memory each. */
#define CONTACTS 1000000
#define CONTACT_BYTES 256
#define TRANSACTIONS 200000
#define TRANSACTION_BYTES 4096
#define MEMORY_SHARE 8

/* What the modules need of the globals before they prepare: names in lists are asked of the
 * configured servers. */
static int configured(void *arg, const struct route_config *config, struct route_report *report)
{
	struct app *app = arg;
	struct route_place place = {.file = app->options.config};
	const char *want = config->dns_servers != NULL ? config->dns_servers : "";
	int err = -EINVAL;

	resolver_set_naptr(app->resolver, config->dns_try_naptr != 0);
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
	if (err == 0)
		err = registrar_register(app->registrar, &app->registry);
	if (err == 0)
		err = txn_register(app->txn, &app->registry);
	return err;
}

static uint32_t amount(int64_t asked, uint32_t usual, uint64_t each)
{
	uint64_t memory = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
	uint64_t fit = memory / MEMORY_SHARE / each;

	if (asked != 0)
		return (uint32_t)asked;
	return fit < usual && fit > 0 ? (uint32_t)fit : usual;
}

static void state_destroy(struct app *app)
{
	if (app->txn != NULL)
		txn_destroy(app->txn);
	if (app->registrar != NULL)
		registrar_destroy(app->registrar);
	if (app->location != NULL)
		location_destroy(app->location);
	app->txn = NULL;
	app->registrar = NULL;
	app->location = NULL;
}

/* What slow lcores work on, and the modules of all rooms. */
static int state_create(
	struct app *app, unsigned shards, uint32_t contacts, uint32_t transactions, bool huge)
{
	struct location_config lc = {.shards = shards, .contacts = contacts, .huge = huge};
	struct txn_config tc = {.proxy = app->proxy,
		.shards = shards,
		.transactions = transactions,
		.started_ns = clock_now_ns()};
	struct registrar_config rc = {.proxy = app->proxy, .rcu = app->rcu};
	char error[256] = "not enough memory";

	app->location = location_create(&lc, error, sizeof(error));
	if (app->location != NULL)
		app->txn = txn_create(&tc, error, sizeof(error));
	rc.location = app->location;
	if (app->txn != NULL)
		app->registrar = registrar_create(&rc);
	if (app->registrar == NULL) {
		fprintf(stderr,
			"siplane: %s; memory { contacts = ...; transactions = ...; } says how "
			"many\n",
			error);
		return -ENOMEM;
	}
	return register_modules(app);
}

/* `last`: what it says of a good file is printed; of a bad one, in any case. */
static int load(struct app *app, bool last)
{
	struct route_report *report = route_report_create();
	int err = 0;

	if (report == NULL)
		return -ENOMEM;
	app->script = control_load(app->options.ports, app->options.config, &app->registry, report);
	if (last || app->script == NULL)
		fputs(route_report_text(report), stderr);
	if (app->script == NULL) {
		unsigned n = route_report_errors(report);

		fprintf(stderr, "%s: %u error%s\n", app->options.config, n, n == 1 ? "" : "s");
		err = -EINVAL;
	}
	route_report_destroy(report);
	return err;
}

/*
 * How many slow lcores there are, which what they work on has to know, stands in the file, whose
 * functions have to know what they work on: so it is read twice.
 */
static int load_to_run(struct app *app)
{
	const struct route_config *config;
	uint32_t contacts, transactions;
	char error[512];
	bool huge;
	int err = load(app, false);

	if (err != 0)
		return err;
	config = route_script_config(app->script);
	if (layout_make(config, route_script_has_state(app->script), &app->layout, error,
		    sizeof(error)) != 0) {
		fprintf(stderr, "siplane: %s: %s\n", app->options.config, error);
		return -EINVAL;
	}
	contacts = amount(config->memory_contacts, CONTACTS, CONTACT_BYTES);
	transactions = amount(config->memory_transactions, TRANSACTIONS, TRANSACTION_BYTES);
	huge = config->memory_huge != 0;
	route_script_unref(app->script);
	app->script = NULL;
	state_destroy(app);
	err = state_create(app, app->layout.slow, contacts, transactions, huge);
	return err != 0 ? err : load(app, true);
}

void rooms_print(const struct app *app)
{
	struct location_stats location;
	struct txn_usage txn;

	location_stats(app->location, &location);
	txn_usage(app->txn, &txn);
	printf("memory for %" PRIu64 " contacts %" PRIu64 " MB, for transactions %" PRIu64
	       " MB, taken as it is used\n",
		location.contacts_max, location.bytes >> 20, txn.bytes_max >> 20);
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
	err = state_create(app, 1, 1, 1, false);
	if (err != 0 || app->options.mode == MODE_REFERENCE)
		return err;
	return app->options.mode == MODE_RUN ? load_to_run(app) : load(app, true);
}

void rooms_destroy(struct app *app)
{
	if (app->script != NULL)
		route_script_unref(app->script);
	state_destroy(app);
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
