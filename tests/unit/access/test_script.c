/* SPDX-License-Identifier: BSD-3-Clause */
/* Whole configurations that use the two modules: loaded, published, run over messages, reloaded. */
#include "common.h"

static struct rcu rcu;
static struct access *room;
static struct route_registry registry;
static struct route_thread thread;
static struct route_ctx ctx;
static char addresses[FILE_PATH_MAX], domains[FILE_PATH_MAX];

static int setup(void **state)
{
	rcu_init(&rcu);
	room = access_create(&rcu);
	route_registry_init(&registry);
	assert_int_equal(route_registry_add(&registry, &access_permissions_module, room), 0);
	assert_int_equal(route_registry_add(&registry, &access_domain_module, room), 0);
	return route_thread_init(&thread, 0);
}

static int teardown(void **state)
{
	route_thread_fini(&thread);
	access_destroy(room);
	rcu_reclaim(&rcu);
	return 0;
}

/* Loads and publishes; `said` is what the report says. NULL where it is refused. */
static struct route_script *load(
	const char *address_list, const char *domain_list, const char *body, char said[2048])
{
	struct route_report *report = route_report_create();
	struct route_script *script;
	char text[4096];

	file_make(addresses, address_list, strlen(address_list));
	file_make(domains, domain_list, strlen(domain_list));
	snprintf(text, sizeof(text),
		"loadmodule \"permissions.so\"\nloadmodule \"domain.so\"\n"
		"modparam(\"permissions\", \"address_file\", \"%s\")\nmodparam(\"domain\", "
		"\"domain_file\", \"%s\")\n%s",
		addresses, domains, body);
	script = route_script_load_text("test.cfg", str_c(text), &registry, report);
	unlink(addresses);
	unlink(domains);
	snprintf(said, 2048, "%s", route_report_text(report));
	route_report_destroy(report);
	if (script != NULL)
		route_script_publish(script);
	return script;
}

/* The flags that the script sets for a request from this source. */
static uint32_t flags_of(
	const struct route_script *script, const char *source, const char *uri, const char *from)
{
	char buf[512];
	int len = snprintf(buf, sizeof(buf),
		"INVITE %s SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKa\r\nTo: "
		"<sip:b@Example.ORG>\r\nFrom: %s\r\n"
		"Call-ID: x\r\nCSeq: 1 INVITE\r\nMax-Forwards: 70\r\n\r\n",
		uri, from);

	assert_int_equal(sip_msg_index(&ctx.msg, buf, (uint32_t)len), SIP_OK);
	ctx.origin.src.addr = address(source);
	ctx.origin.src.port = 5060;
	route_ctx_bind(&ctx, script, &thread, buf);
	route_ctx_reset(&ctx);
	assert_int_equal(route_run(&ctx), ROUTE_ENDED);
	return ctx.flags;
}

static const char body[] = "request_route {\n"
			   "\tif (allow_source_address(\"1\")) setflag(1);\n"
			   "\tif (check_source_address(2)) setflag(2);\n"
			   "\tif (allow_source_address_group() && $rc == 2) setflag(3);\n"
			   "\tif (is_uri_host_local()) setflag(4);\n"
			   "\tif (is_from_local()) setflag(5);\n"
			   "\tif (is_domain_local(\"$td\")) setflag(6);\n"
			   "\tif (allow_address(\"1\", \"$si\", \"$sp\")) setflag(7);\n"
			   "\tif (check_address(0, \"2001:db8::1\", \"0\")) setflag(8);\n"
			   "}\n";

static void test_scripts_ask_for_groups_and_domains(void **state)
{
	char said[2048];
	struct route_script *script = load("1 192.0.2.0 24\n2 192.0.2.128 25\n5 2001:db8:: 32\n",
		"example.com\nexample.org\n", body, said);

	if (script == NULL)
		fail_msg("%s", said);
	assert_int_equal(
		flags_of(script, "192.0.2.1", "sip:u@example.net", "sip:a@example.net;tag=1"),
		1u << 1 | 1u << 6 | 1u << 7 | 1u << 8);
	assert_int_equal(
		flags_of(script, "192.0.2.200", "sip:u@example.com", "sip:a@EXAMPLE.com;tag=1"),
		1u << 1 | 1u << 2 | 1u << 3 | 1u << 4 | 1u << 5 | 1u << 6 | 1u << 7 | 1u << 8);
	assert_int_equal(
		flags_of(script, "198.51.100.1", "tel:+1", "<tel:+1>;tag=1"), 1u << 6 | 1u << 8);
	route_script_unref(script);
}

/* Kamailio loads it, and never says yes; who means any group is told so. */
static void test_group_0_is_none_but_under_names_of_opensips(void **state)
{
	static const char asks[] = "request_route {\n"
				   "\tif (allow_source_address(\"0\")) setflag(1);\n"
				   "\tif (allow_address(0, $si, $sp)) setflag(2);\n"
				   "\tif (allow_source_address(\"$var(g)\")) setflag(3);\n"
				   "\tif (check_source_address(0)) setflag(4);\n"
				   "}\n";
	char said[2048];
	struct route_script *script = load("1 192.0.2.0 24\n", "", asks, said);

	assert_non_null(script);
	assert_non_null(strstr(said, "no address is in group 0; check_source_address(0) and "
				     "check_address(0, ...) ask for any"));
	assert_int_equal(
		flags_of(script, "192.0.2.1", "sip:u@example.net", "sip:a@b;tag=1"), 1u << 4);
	route_script_unref(script);
}

static void test_a_reload_takes_the_new_files(void **state)
{
	char said[2048];
	struct route_script *first = load("1 192.0.2.1\n", "example.com\n", body, said), *second;

	assert_non_null(first);
	assert_int_equal(flags_of(first, "192.0.2.1", "sip:example.com", "sip:a@b;tag=1") & 1u << 1,
		1u << 1);
	second = load("1 192.0.2.2\n", "example.net\n", body, said);
	assert_non_null(second);
	assert_int_equal(flags_of(second, "192.0.2.1", "sip:example.com", "sip:a@b;tag=1"), 0);
	assert_int_equal(flags_of(second, "192.0.2.2", "sip:example.net", "sip:a@b;tag=1"),
		1u << 1 | 1u << 4 | 1u << 7);
	route_script_unref(first);
	route_script_unref(second);
	assert_int_equal(rcu_reclaim(&rcu), 0);
}

static void test_a_bad_list_refuses_the_configuration(void **state)
{
	char said[2048], want[128];
	struct route_script *script = load("1 192.0.2.1\n", "example.com\n", body, said);

	assert_non_null(script);
	assert_null(load("1 192.0.2.2\n\n1 192.0.2.3 64\n", "example.net\n", body, said));
	snprintf(want, sizeof(want), "%s:3:13: error: '64': a mask is 0 to 32 bits\n", addresses);
	assert_non_null(strstr(said, want));
	/* What ran goes on as it was. */
	assert_int_equal(flags_of(script, "192.0.2.1", "sip:example.com", "sip:a@b;tag=1"),
		1u << 1 | 1u << 4 | 1u << 7);
	assert_null(load("1 192.0.2.2\n", "example.net\nbad domain\n", body, said));
	snprintf(want, sizeof(want), "%s:2:5: error: one domain a line\n", domains);
	assert_non_null(strstr(said, want));
	assert_int_equal(flags_of(script, "192.0.2.1", "sip:example.com", "sip:a@b;tag=1"),
		1u << 1 | 1u << 4 | 1u << 7);
	route_script_unref(script);
}

static void test_wrong_arguments_are_named_where_they_stand(void **state)
{
	char said[2048];

	assert_null(load("", "", "request_route {\n\tallow_source_address(\"peers\");\n}\n", said));
	assert_non_null(
		strstr(said, "test.cfg:6:23: error: a group is a number from 0 to 2147483647\n"));
	assert_null(load("", "",
		"request_route {\n\tallow_address(\"1\", \"example.com\", \"5060\");\n}\n", said));
	assert_non_null(strstr(
		said, "test.cfg:6:21: error: this is neither an IPv4 nor an IPv6 address\n"));
}

static void test_parameters_without_effect_are_warned_of(void **state)
{
	char said[2048];
	struct route_script *script = load("", "",
		"modparam(\"permissions\", \"trusted_table\", \"trusted\")\n"
		"modparam(\"permissions\", \"peer_tag_mode\", 1)\nmodparam(\"domain\", "
		"\"db_mode\", 1)\nrequest_route { exit; }\n",
		said);

	if (script == NULL)
		fail_msg("%s", said);
	assert_non_null(strstr(said, "test.cfg:5:"));
	assert_non_null(strstr(said, "test.cfg:6:"));
	assert_non_null(strstr(said, "test.cfg:7:"));
	assert_non_null(strstr(said, "warning"));
	route_script_unref(script);
	/* Here is no database. */
	assert_null(load("", "",
		"modparam(\"domain\", \"db_url\", \"sqlite:///x\")\nrequest_route { exit; }\n",
		said));
	assert_non_null(strstr(said, "domain: db_url: there is no database here"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_scripts_ask_for_groups_and_domains, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_group_0_is_none_but_under_names_of_opensips, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_reload_takes_the_new_files, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_a_bad_list_refuses_the_configuration, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_wrong_arguments_are_named_where_they_stand, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_parameters_without_effect_are_warned_of, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
