/* SPDX-License-Identifier: BSD-3-Clause */
/* The module tables as the routing language uses them: check at load, prepare, publish, run; reload
 * under readers. */
#include <pthread.h>

#include "common.h"

static struct rcu rcu;
static struct access *room;
static struct route_ctx ctx;

static int setup(void **state)
{
	rcu_init(&rcu);
	room = access_create(&rcu);
	return room == NULL;
}

static int teardown(void **state)
{
	access_destroy(room);
	rcu_reclaim(&rcu);
	return 0;
}

/* The one modparam that either module reads is its first. */
static int load(const struct route_module *module, const char *text)
{
	struct route_report *report = route_report_create();
	char path[FILE_PATH_MAX], *config = calloc(1, module->config_size);
	const char *name = path;
	void *prepared = NULL;
	int err;

	file_make(path, text, strlen(text));
	memcpy(config + module->params[0].offset, &name, sizeof(name));
	err = module->prepare(room, config, report, &prepared);
	unlink(path);
	free(config);
	assert_int_equal(err != 0, route_report_errors(report) != 0);
	route_report_destroy(report);
	if (err == 0)
		module->publish(room, prepared);
	return err;
}

static const struct route_function *function(const struct route_module *module, const char *name)
{
	for (const struct route_function *f = module->functions; f->name != NULL; f++)
		if (strcmp(f->name, name) == 0)
			return f;
	fail_msg("no function %s", name);
	return NULL;
}

static struct route_value text_value(const char *text)
{
	return (struct route_value){.type = ROUTE_STR, .s = str_c(text)};
}

static struct route_value int_value(int64_t i)
{
	return (struct route_value){.type = ROUTE_INT, .i = i};
}

/* What check() says of constant arguments, and what it prepares of them. */
static int prepare(const struct route_function *f, unsigned n, const struct route_value *v,
	struct route_report *report, void **data)
{
	static const char config[1024]; /* nothing is said there */
	struct route_place place = {.file = "cfg", .line = 1, .column = 1};
	struct route_arg arg[ROUTE_ARGS_MAX] = {0};

	*data = NULL;
	for (unsigned i = 0; i < n; i++)
		arg[i] = (struct route_arg){
			.constant = v[i].type != ROUTE_NULL, .value = v[i], .place = place};
	return f->check != NULL ? f->check(room, config, arg, n, &place, report, data) : 0;
}

/* Calls with arguments of the message, and with the same as constants, where they may be. */
static int32_t call(const struct route_module *module, const char *name, unsigned n,
	const struct route_value *v)
{
	const struct route_function *f = function(module, name);
	struct route_report *report = route_report_create();
	struct route_args args = {.v = v, .n = n, .room = room};
	struct route_value unknown[ROUTE_ARGS_MAX] = {{.type = ROUTE_NULL}};
	int32_t result;
	void *data;

	assert_true(n >= f->args_min && n <= f->args_max);
	assert_true(module->config_size <= 1024);
	assert_int_equal(f->path, ROUTE_PATH_FAST);
	assert_int_equal(prepare(f, n, unknown, report, &data), 0);
	args.data = data;
	result = f->run(&ctx, &args);
	if (f->free_data != NULL)
		f->free_data(data);
	if (prepare(f, n, v, report, &data) == 0) {
		args.data = data;
		assert_int_equal(f->run(&ctx, &args), result);
		if (f->free_data != NULL)
			f->free_data(data);
	}
	route_report_destroy(report);
	return result;
}

static int check(const struct route_module *module, const char *name, unsigned n,
	const struct route_value *v)
{
	const struct route_function *f = function(module, name);
	struct route_report *report = route_report_create();
	void *data;
	int err = prepare(f, n, v, report, &data);

	assert_int_equal(err != 0, route_report_errors(report) == 1);
	if (f->free_data != NULL)
		f->free_data(data);
	route_report_destroy(report);
	return err;
}

#define PERMISSIONS &access_permissions_module
#define DOMAIN &access_domain_module

static void from_source(const char *addr, uint16_t port)
{
	ctx.origin.src.addr = address(addr);
	ctx.origin.src.port = port;
}

static void test_sources_are_looked_up_in_their_group(void **state)
{
	struct route_value v[4];

	/* Before anything is published nobody is in any group. */
	from_source("192.0.2.1", 5060);
	assert_int_equal(call(PERMISSIONS, "allow_source_address", 0, NULL), ROUTE_FALSE);
	assert_int_equal(call(PERMISSIONS, "allow_source_address_group", 0, NULL), ROUTE_FALSE);
	assert_int_equal(
		load(PERMISSIONS, "1 192.0.2.0 24\n2 192.0.2.1 32 5060\n3 2001:db8::1\n"), 0);

	assert_int_equal(call(PERMISSIONS, "allow_source_address", 0, NULL), ROUTE_TRUE);
	v[0] = text_value("2");
	assert_int_equal(call(PERMISSIONS, "allow_source_address", 1, v), ROUTE_TRUE);
	assert_int_equal(call(PERMISSIONS, "check_source_address", 1, v), ROUTE_TRUE);
	v[0] = int_value(3);
	assert_int_equal(call(PERMISSIONS, "allow_source_address", 1, v), ROUTE_FALSE);
	/* Group 0 is any under OpenSIPS' names; Kamailio has no such group. */
	v[0] = int_value(0);
	assert_int_equal(call(PERMISSIONS, "allow_source_address", 1, v), ROUTE_FALSE);
	assert_int_equal(call(PERMISSIONS, "check_source_address", 1, v), ROUTE_TRUE);
	assert_int_equal(call(PERMISSIONS, "allow_source_address_group", 0, NULL), 2);
	/* No port is none that is listed. */
	from_source("192.0.2.1", 0);
	v[0] = text_value("2");
	assert_int_equal(call(PERMISSIONS, "allow_source_address", 1, v), ROUTE_FALSE);
	assert_int_equal(call(PERMISSIONS, "check_source_address", 1, v), ROUTE_FALSE);
	assert_int_equal(call(PERMISSIONS, "allow_source_address_group", 0, NULL), 1);
	v[0] = text_value("1");
	assert_int_equal(call(PERMISSIONS, "allow_source_address", 1, v), ROUTE_TRUE);
	from_source("192.0.2.1", 5061);
	assert_int_equal(call(PERMISSIONS, "allow_source_address_group", 0, NULL), 1);
	v[0] = text_value("2");
	assert_int_equal(call(PERMISSIONS, "allow_source_address", 1, v), ROUTE_FALSE);
	from_source("198.51.100.1", 5060);
	assert_int_equal(call(PERMISSIONS, "allow_source_address", 0, NULL), ROUTE_FALSE);
	/* What is no group is in none. */
	for (unsigned i = 0; i < 5; i++) {
		const struct route_value bad[] = {text_value("x"), text_value(""), int_value(-1),
			int_value((int64_t)UINT32_MAX + 1), {.type = ROUTE_NULL}};

		from_source("192.0.2.1", 5060);
		assert_int_equal(
			call(PERMISSIONS, "allow_source_address", 1, &bad[i]), ROUTE_FALSE);
	}

	v[0] = int_value(2);
	v[1] = text_value("192.0.2.1");
	v[2] = int_value(0);
	assert_int_equal(call(PERMISSIONS, "allow_address", 3, v), ROUTE_FALSE);
	assert_int_equal(call(PERMISSIONS, "check_address", 3, v), ROUTE_TRUE);
	assert_int_equal(call(PERMISSIONS, "allow_address_group", 2, v + 1), 1);
	v[0] = int_value(0);
	v[2] = int_value(5060);
	assert_int_equal(call(PERMISSIONS, "allow_address", 3, v), ROUTE_FALSE);
	assert_int_equal(call(PERMISSIONS, "check_address", 3, v), ROUTE_TRUE);
	v[0] = int_value(3);
	v[1] = text_value("2001:db8::1");
	v[2] = text_value("5060");
	v[3] = text_value("any");
	assert_int_equal(call(PERMISSIONS, "allow_address", 3, v), ROUTE_TRUE);
	assert_int_equal(call(PERMISSIONS, "check_address", 4, v), ROUTE_TRUE);
	assert_int_equal(call(PERMISSIONS, "allow_address_group", 2, v + 1), 3);
	v[1] = text_value("[2001:db8::1]");
	assert_int_equal(call(PERMISSIONS, "allow_address", 3, v), ROUTE_TRUE);
	v[1] = text_value("2001:db8::2");
	assert_int_equal(call(PERMISSIONS, "allow_address", 3, v), ROUTE_FALSE);
	assert_int_equal(call(PERMISSIONS, "allow_address_group", 2, v + 1), ROUTE_FALSE);
	v[1] = text_value("example.com");
	assert_int_equal(call(PERMISSIONS, "allow_address", 3, v), ROUTE_FALSE);
	v[1] = text_value("2001:db8::1");
	v[2] = int_value(65536);
	assert_int_equal(call(PERMISSIONS, "allow_address", 3, v), ROUTE_FALSE);
}

static void test_constant_arguments_are_checked_at_load(void **state)
{
	const struct route_value unknown = {.type = ROUTE_NULL};
	struct route_value v[4] = {
		text_value("1"), text_value("10.0.0.1"), int_value(0), text_value("UDP")};

	assert_int_equal(check(PERMISSIONS, "allow_source_address", 0, NULL), 0);
	assert_int_equal(check(PERMISSIONS, "allow_source_address", 1, v), 0);
	assert_int_equal(check(PERMISSIONS, "allow_source_address", 1, &v[1]), -EINVAL);
	assert_int_equal(check(PERMISSIONS, "allow_source_address", 1, &unknown), 0);
	assert_int_equal(check(PERMISSIONS, "check_address", 4, v), 0);
	v[3] = text_value("any");
	assert_int_equal(check(PERMISSIONS, "check_address", 4, v), 0);
	v[3] = text_value("icmp");
	assert_int_equal(check(PERMISSIONS, "check_address", 4, v), -EINVAL);
	assert_int_equal(check(PERMISSIONS, "allow_address", 3, v), 0);
	v[2] = text_value("99999");
	assert_int_equal(check(PERMISSIONS, "allow_address", 3, v), -EINVAL);
	assert_int_equal(check(PERMISSIONS, "allow_address_group", 2, &v[1]), -EINVAL);
	v[1] = text_value("example.com");
	assert_int_equal(check(PERMISSIONS, "allow_address", 3, v), -EINVAL);
	v[1] = unknown;
	v[2] = unknown;
	assert_int_equal(check(PERMISSIONS, "allow_address", 3, v), 0);
}

static void message(char *buf, size_t size, const char *uri, const char *from)
{
	int len = snprintf(buf, size,
		"INVITE %s SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKa\r\nTo: sip:a@b\r\nFrom: "
		"%s\r\nCall-ID: x\r\n"
		"CSeq: 1 INVITE\r\n\r\n",
		uri, from);

	assert_int_equal(sip_msg_index(&ctx.msg, buf, (uint32_t)len), SIP_OK);
	route_ctx_bind(&ctx, NULL, NULL, buf);
	route_ctx_reset(&ctx);
}

static void test_domains_of_a_message_are_looked_up(void **state)
{
	struct route_value v = text_value("Example.COM");
	char buf[512];

	message(buf, sizeof(buf), "sip:u@EXAMPLE.com:5070;lr", "\"A\" <sip:a@example.net>;tag=1");
	assert_int_equal(call(DOMAIN, "is_uri_host_local", 0, NULL), ROUTE_FALSE);
	assert_int_equal(load(DOMAIN, "example.com\n[2001:db8::1]\n"), 0);
	assert_int_equal(call(DOMAIN, "is_uri_host_local", 0, NULL), ROUTE_TRUE);
	assert_int_equal(call(DOMAIN, "is_from_local", 0, NULL), ROUTE_FALSE);
	assert_int_equal(call(DOMAIN, "is_domain_local", 1, &v), ROUTE_TRUE);
	v = text_value("[2001:db8::1]");
	assert_int_equal(call(DOMAIN, "is_domain_local", 1, &v), ROUTE_TRUE);
	v = text_value("");
	assert_int_equal(call(DOMAIN, "is_domain_local", 1, &v), ROUTE_FALSE);
	v = (struct route_value){.type = ROUTE_NULL};
	assert_int_equal(call(DOMAIN, "is_domain_local", 1, &v), ROUTE_FALSE);

	message(buf, sizeof(buf), "sip:[2001:db8::1]", "sip:a@example.com;tag=1");
	assert_int_equal(call(DOMAIN, "is_uri_host_local", 0, NULL), ROUTE_TRUE);
	assert_int_equal(call(DOMAIN, "is_from_local", 0, NULL), ROUTE_TRUE);
	/* what has no host is not ours */
	message(buf, sizeof(buf), "tel:+123", "<tel:+123>;tag=1");
	assert_int_equal(call(DOMAIN, "is_uri_host_local", 0, NULL), ROUTE_FALSE);
	assert_int_equal(call(DOMAIN, "is_from_local", 0, NULL), ROUTE_FALSE);
	message(buf, sizeof(buf), "sip:h", "\"broken <sip:a@example.com>;tag=1");
	assert_int_equal(call(DOMAIN, "is_from_local", 0, NULL), ROUTE_FALSE);
}

static void test_the_request_uri_counts_as_it_will_leave(void **state)
{
	char buf[512];

	assert_int_equal(load(DOMAIN, "example.com\n"), 0);
	message(buf, sizeof(buf), "sip:u@example.org", "sip:a@b;tag=1");
	assert_int_equal(call(DOMAIN, "is_uri_host_local", 0, NULL), ROUTE_FALSE);
	ctx.uri = route_text_make(&ctx, STR("sip:new@example.com"));
	assert_int_equal(call(DOMAIN, "is_uri_host_local", 0, NULL), ROUTE_TRUE);
}

static void test_a_bad_file_leaves_the_current_table(void **state)
{
	from_source("192.0.2.1", 5060);
	assert_int_equal(load(PERMISSIONS, "1 192.0.2.1\n"), 0);
	assert_int_equal(load(PERMISSIONS, "1 192.0.2.2\n1 oops\n"), -EINVAL);
	assert_int_equal(call(PERMISSIONS, "allow_source_address", 0, NULL), ROUTE_TRUE);
	assert_int_equal(load(DOMAIN, "example.com\n"), 0);
	assert_int_equal(load(DOMAIN, "example.com:x\n"), -EINVAL);
	assert_true(access_domain_is_local(room, STR("example.com")));
}

/* Without the parameter the table is empty: taking it out of the configuration takes effect. */
static void test_no_file_means_an_empty_table(void **state)
{
	struct route_report *report = route_report_create();
	void *config = calloc(1, access_permissions_module.config_size), *prepared;

	assert_int_equal(load(PERMISSIONS, "1 192.0.2.1\n"), 0);
	assert_int_equal(access_permissions_module.prepare(room, config, report, &prepared), 0);
	access_permissions_module.publish(room, prepared);
	from_source("192.0.2.1", 5060);
	assert_int_equal(call(PERMISSIONS, "allow_source_address", 0, NULL), ROUTE_FALSE);
	assert_int_equal(access_permissions_module.prepare(room, config, report, &prepared), 0);
	access_permissions_module.discard(room, prepared);
	free(config);
	route_report_destroy(report);
}

/* ---- reload ---- */

struct reader {
	pthread_t thread;
	unsigned long lookups;
};

static _Atomic bool stop;

static void *read_on(void *arg)
{
	struct reader *reader = arg;
	struct net_addr addr = address("10.1.2.3");
	int id = rcu_register(&rcu);

	while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
		for (unsigned i = 0; i < 32; i++) {
			int64_t group = access_address_group(room, &addr, 5060);

			/* Of every version of the file one line holds it. */
			if ((group != 1 && group != 2) ||
				!access_domain_is_local(room, STR("example.com")))
				return NULL;
			reader->lookups++;
		}
		rcu_quiescent(&rcu, id);
	}
	rcu_offline(&rcu, id);
	return reader;
}

static void test_tables_change_under_readers(void **state)
{
	struct reader reader[2] = {0};

	assert_int_equal(load(PERMISSIONS, "1 10.0.0.0 8\n"), 0);
	assert_int_equal(load(DOMAIN, "example.com\n"), 0);
	atomic_store(&stop, false);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&reader[i].thread, NULL, read_on, &reader[i]), 0);
	for (unsigned i = 0; i < 200; i++) {
		assert_int_equal(
			load(PERMISSIONS, i % 2 == 0 ? "2 10.1.0.0 16\n" : "1 10.0.0.0 8\n"), 0);
		assert_int_equal(
			load(DOMAIN, i % 2 == 0 ? "a.example\nexample.com\n" : "example.com\n"), 0);
		rcu_reclaim(&rcu);
	}
	atomic_store(&stop, true);
	for (unsigned i = 0; i < 2; i++) {
		void *good;

		assert_int_equal(pthread_join(reader[i].thread, &good), 0);
		assert_ptr_equal(good, &reader[i]);
		assert_true(reader[i].lookups > 0);
	}
	assert_int_equal(rcu_reclaim(&rcu), 0);
}

/* A reader that never comes round keeps every table alive, however many there are; then all of them
 * go. */
static void test_a_stuck_reader_keeps_the_tables(void **state)
{
	int id = rcu_register(&rcu);
	struct net_addr addr = address("10.1.2.3");
	const struct access_addresses *held;

	assert_int_equal(load(PERMISSIONS, "1 10.0.0.0 8\n"), 0);
	held = access_current(room, ACCESS_ADDRESSES, ACCESS_FILE);
	for (unsigned i = 0; i < RCU_RETIRED_MAX + 10; i++)
		assert_int_equal(load(PERMISSIONS, ""), 0);
	assert_non_null(room->waiting);
	assert_true(access_addresses_match(held, 1, &addr, 1));
	rcu_quiescent(&rcu, id);
	rcu_reclaim(&rcu);
	assert_int_equal(load(PERMISSIONS, "1 10.0.0.0 8\n"), 0);
	assert_null(room->waiting);
	rcu_offline(&rcu, id);
	assert_int_equal(rcu_reclaim(&rcu), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_sources_are_looked_up_in_their_group, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_constant_arguments_are_checked_at_load, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_domains_of_a_message_are_looked_up, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_the_request_uri_counts_as_it_will_leave, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_a_bad_file_leaves_the_current_table, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_file_means_an_empty_table, setup, teardown),
		cmocka_unit_test_setup_teardown(test_tables_change_under_readers, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_a_stuck_reader_keeps_the_tables, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
