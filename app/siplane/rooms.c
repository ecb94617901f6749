/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Stage 1 of the start: the rooms that need no device, and the configuration.
 */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include <unistd.h>

#include <rte_lcore.h>

#include "avpops/avpops.h"
#include "siplane.h"

/* memory { } left out: that much, and no more than an eighth of the machine's memory each. */
#define CONTACTS 1000000
#define CONTACT_BYTES 256
#define TRANSACTIONS 200000
#define TRANSACTION_BYTES 4096
#define MEMORY_SHARE 8
#define HELD_SMALL 4096 /* messages that may wait */
/* Calls of databases under way: those that messages wait for, which are half of those that may
 * wait at all (lib/pipeline), and what nobody's message waits for. */
#define WAITERS_BESIDE 2048
#define WAITERS_MAX (1u << 20)

int names_apply(struct app *app, const char *servers, bool naptr, char *error, size_t error_size)
{
	const char *want = servers != NULL ? servers : "";
	int err = -EINVAL;

	if (strcmp(want, app->dns_servers) != 0) {
		if (strlen(want) < sizeof(app->dns_servers))
			err = resolver_set_servers(app->resolver, servers);
		if (err != 0) {
			snprintf(error, error_size,
				err == -ENOMEM
					? "dns_servers: not enough memory for '%s'"
					: "dns_servers: '%s' is no list of addresses such as "
					  "192.0.2.53,192.0.2.54:5353",
				want);
			return err;
		}
		memmove(app->dns_servers, want, strlen(want) + 1);
	}
	resolver_set_naptr(app->resolver, naptr);
	app->dns_naptr = naptr;
	return 0;
}

/* What the modules need of the globals before they prepare: names in lists are asked of the
 * configured servers. At the start; a reload has a resolver of its own for that. */
static int configured(void *arg, const struct route_config *config, struct route_report *report)
{
	struct app *app = arg;
	struct route_place place = {.file = app->options.config};
	char error[sizeof(app->dns_servers) + 128];
	int err = names_apply(
		app, config->dns_servers, config->dns_try_naptr != 0, error, sizeof(error));

	if (err != 0)
		route_error(report, &place, "%s", error);
	return err;
}

/* Modules that name no database have this one. */
static int globals(void *arg, const struct route_config *config, struct route_report *report)
{
	struct app *app = arg;
	struct route_place place = {.file = app->options.config};
	int err = db_set_default(app->db, config->db_url);

	if (err == 0)
		err = auth_set_db_url(app->auth, config->db_url);
	if (err != 0)
		route_error(report, &place, "db_url is too long");
	return err;
}

static int register_modules(struct app *app)
{
	int err;

	route_registry_init(&app->registry);
	app->registry.globals = globals;
	app->registry.globals_arg = app;
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
	if (err == 0)
		err = auth_register(app->auth, &app->registry);
	if (err == 0)
		err = avpops_register(app->avpops, &app->registry);
	if (err == 0)
		err = acc_register(app->acc, &app->registry);
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

uint32_t held_small(const struct route_config *config)
{
	return config->memory_messages != 0 ? (uint32_t)config->memory_messages : HELD_SMALL;
}

static uint32_t waiters(const struct route_config *config)
{
	uint32_t messages = (held_small(config) + HELD_BIG) / 2;

	return messages < WAITERS_MAX - WAITERS_BESIDE ? messages + WAITERS_BESIDE : WAITERS_MAX;
}

/* Rooms that read tables as a whole. */
static void use_db(struct app *app, struct db *db, bool reads)
{
	if (app->access != NULL)
		access_use_db(app->access, db, reads);
	if (app->dispatch != NULL)
		dispatch_use_db(app->dispatch, db, reads);
}

static void state_destroy(struct app *app)
{
	if (app->txn != NULL)
		txn_destroy(app->txn);
	if (app->registrar != NULL)
		registrar_destroy(app->registrar);
	if (app->location != NULL)
		location_destroy(app->location);
	if (app->auth != NULL)
		auth_destroy(app->auth);
	avpops_destroy(app->avpops);
	acc_destroy(app->acc);
	/* Modules have statements there. */
	use_db(app, NULL, false);
	db_destroy(app->db);
	app->auth = NULL;
	app->avpops = NULL;
	app->acc = NULL;
	app->db = NULL;
	app->txn = NULL;
	app->registrar = NULL;
	app->location = NULL;
}

/* How much there is to be of what slow lcores work on, and of databases. */
struct state_size {
	unsigned shards;
	uint32_t contacts, transactions;
	bool huge;
	bool idle; /* a file is only looked at */
	struct db_config db;
};

/* The folder of the configuration, as long as the process lives. */
static const char *folder_of(const char *path)
{
	static char folder[PATH_MAX];
	const char *slash = path != NULL ? strrchr(path, '/') : NULL;

	if (slash == NULL || slash - path >= PATH_MAX)
		return NULL;
	memcpy(folder, path, (size_t)(slash - path));
	folder[slash - path] = '\0';
	return slash != path ? folder : "/";
}

/* Opens nothing: a database is opened when something is asked of it. */
static int databases_create(struct app *app, const struct db_config *config)
{
	struct db_config dc = *config;
	char error[256];

	dc.base_dir = folder_of(app->options.config);
	/* Not on the CPUs of lcores. */
	dc.thread_create = rte_ctrl_thread_create;
	app->db = db_create(&dc, error, sizeof(error));
	if (app->db != NULL)
		return 0;
	fprintf(stderr, "siplane: %s\n", error);
	return -ENOMEM;
}

/* What slow lcores work on, databases, and the modules of all rooms. */
static int state_create(struct app *app, const struct state_size *size)
{
	struct location_config lc = {
		.shards = size->shards, .contacts = size->contacts, .huge = size->huge};
	struct txn_config tc = {.proxy = app->proxy,
		.shards = size->shards,
		.transactions = size->transactions,
		.started_ns = clock_now_ns()};
	struct registrar_config rc = {.proxy = app->proxy, .rcu = app->rcu};
	char error[256] = "not enough memory";

	app->location = location_create(&lc, error, sizeof(error));
	if (app->location != NULL)
		app->txn = txn_create(&tc, error, sizeof(error));
	if (databases_create(app, &size->db) != 0)
		return -ENOMEM;
	use_db(app, app->db, false);
	rc.location = app->location;
	rc.db = app->db;
	if (app->txn != NULL)
		app->registrar = registrar_create(&rc);
	if (app->registrar == NULL) {
		fprintf(stderr,
			"siplane: %s; memory { contacts = ...; transactions = ...; } says how "
			"many\n",
			error);
		return -ENOMEM;
	}
	app->auth = auth_create(
		&(struct auth_config){.proxy = app->proxy, .db = app->db, .rcu = app->rcu});
	app->avpops = avpops_create(app->db);
	if (app->auth == NULL || app->avpops == NULL) {
		fputs("siplane: not enough memory\n", stderr);
		return -ENOMEM;
	}
	app->acc = acc_create(&(struct acc_config){.txn = app->txn,
		.db = app->db,
		.rcu = app->rcu,
		.shards = size->shards,
		.calls = size->transactions,
		.idle = size->idle,
		.thread_create = rte_ctrl_thread_create});
	if (app->acc == NULL) {
		fputs("siplane: not enough memory\n", stderr);
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
	struct state_size size;
	char error[512];
	int err = load(app, false);

	if (err != 0)
		return err;
	config = route_script_config(app->script);
	if (layout_make(config, route_script_has_state(app->script), &app->layout, error,
		    sizeof(error)) != 0) {
		fprintf(stderr, "siplane: %s: %s\n", app->options.config, error);
		return -EINVAL;
	}
	size = (struct state_size){.shards = app->layout.slow,
		.contacts = amount(config->memory_contacts, CONTACTS, CONTACT_BYTES),
		.transactions =
			amount(config->memory_transactions, TRANSACTIONS, TRANSACTION_BYTES),
		.huge = config->memory_huge != 0,
		.db = {.threads = (unsigned)config->db_threads,
			.rows = (uint32_t)config->memory_rows,
			.stale_s = (uint32_t)config->db_stale,
			.waiters = waiters(config)}};
	route_script_unref(app->script);
	app->script = NULL;
	state_destroy(app);
	err = state_create(app, &size);
	if (err != 0)
		return err;
	/* What runs reads tables; what is looked at only asks nobody. */
	use_db(app, app->db, true);
	return load(app, true);
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
	static const struct state_size size = {
		.shards = 1, .contacts = 1, .transactions = 1, .idle = true};
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
	err = state_create(app, &size);
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
