/* SPDX-License-Identifier: BSD-3-Clause */
/* Lists that come from tables: rows that are good and bad, databases that are there and not. */
#include "common.h"

static struct rcu rcu;
static struct access *room;
static struct db *db;
static struct route_registry registry;
static struct route_thread thread;
static struct route_ctx ctx;
static char folder[32], url[64], said[4096];

static int setup(void **state)
{
	char error[256];

	strcpy(folder, "/tmp/siplane-table-XXXXXX");
	if (mkdtemp(folder) == NULL)
		return -1;
	snprintf(url, sizeof(url), "sqlite://%s/x.sqlite", folder);
	rcu_init(&rcu);
	room = access_create(&rcu);
	db = db_create(&(struct db_config){.threads = 1}, error, sizeof(error));
	if (room == NULL || db == NULL)
		return -1;
	access_use_db(room, db, true);
	db_set_default(db, url);
	route_registry_init(&registry);
	assert_int_equal(route_registry_add(&registry, &access_permissions_module, room), 0);
	assert_int_equal(route_registry_add(&registry, &access_domain_module, room), 0);
	return route_thread_init(&thread, 0);
}

static int teardown(void **state)
{
	static const char *const files[] = {"x.sqlite", "x.sqlite-wal", "x.sqlite-shm", "list"};
	char path[64];

	route_thread_fini(&thread);
	access_destroy(room);
	rcu_reclaim(&rcu);
	db_destroy(db);
	for (unsigned i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", folder, files[i]);
		unlink(path);
	}
	return rmdir(folder);
}

static void sql(const char *text)
{
	struct db_statement statement = {.text = text};
	char call[DB_CALL_MAX], error[512];
	int database = db_use(db, url, error, sizeof(error)), number, len;

	assert_true(database >= 0);
	number = db_statement(db, database, &statement, error, sizeof(error));
	assert_true(number >= 0);
	len = db_pack(db, call, sizeof(call), 0, (unsigned)number, NULL, 0);
	assert_true(len > 0);
	if (db_now(db, str_of(call, (size_t)len), NULL, NULL, NULL, error, sizeof(error)) !=
		DB_DONE)
		fail_msg("%s: %s", text, error);
}

static void make_tables(void)
{
	char error[512];

	if (db_schema_create(db, db_use(db, url, error, sizeof(error)), error, sizeof(error)) < 0)
		fail_msg("%s", error);
}

/* Loads and publishes a script with both modules, `params` above it. NULL: it is refused. */
static struct route_script *load(const char *params, const char *body)
{
	struct route_report *report = route_report_create();
	struct route_script *script;
	char text[4096];

	snprintf(text, sizeof(text),
		"loadmodule \"permissions.so\"\nloadmodule \"domain.so\"\n%s\nrequest_route "
		"{\n%s\n}\n",
		params, body);
	script = route_script_load_text("test.cfg", str_c(text), &registry, report);
	snprintf(said, sizeof(said), "%s", route_report_text(report));
	route_report_destroy(report);
	if (script != NULL)
		route_script_publish(script);
	return script;
}

static struct route_script *load_with(const char *more, const char *body)
{
	char params[1024];

	snprintf(params, sizeof(params), "modparam(\"permissions|domain\", \"db_url\", \"%s\")\n%s",
		url, more);
	return load(params, body);
}

static void good(struct route_script *script)
{
	if (script == NULL)
		fail_msg("%s", said);
	route_script_unref(script);
}

static void says(const char *text)
{
	if (strstr(said, text) == NULL)
		fail_msg("'%s' is not in\n%s", text, said);
}

static bool in_group(uint32_t group, const char *text, uint16_t port)
{
	struct net_addr addr = address(text);

	return access_address_in_group(room, group, &addr, port);
}

static int64_t group_of(const char *text)
{
	struct net_addr addr = address(text);

	return access_address_group(room, &addr, 0);
}

static void write_list(const char *text)
{
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path), "%s/list", folder);
	file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static void test_rows_are_as_lines(void **state)
{
	make_tables();
	sql("INSERT INTO address (grp, ip_addr, mask, port) VALUES (1, '192.0.2.0', 24, 0), "
	    "(2, ' 192.0.2.7 ', 32, 5060), (3, '2001:db8::1', 128, 0)");
	sql("INSERT INTO domain (domain, did) VALUES ('Example.COM', NULL), ('[2001:db8::1]', "
	    "'six')");
	good(load_with("", "exit;"));
	assert_string_equal(said, "");
	assert_true(in_group(1, "192.0.2.9", 1) && !in_group(2, "192.0.2.9", 1));
	assert_true(in_group(2, "192.0.2.7", 5060) && !in_group(2, "192.0.2.7", 5061));
	assert_true(in_group(3, "2001:db8::1", 1) && !in_group(3, "2001:db8::2", 1));
	assert_true(access_domain_is_local(room, STR("example.com")));
	assert_true(access_domain_is_local(room, STR("2001:DB8::1")));
	assert_false(access_domain_is_local(room, STR("example.org")));
}

/* What either of them says counts; of the two groups of an address, that of the longer prefix. */
static void test_file_and_table_add_up(void **state)
{
	char params[256];
	struct access_list_info info;

	make_tables();
	sql("INSERT INTO address (grp, ip_addr, mask) VALUES (1, '192.0.2.0', 24), (4, "
	    "'198.51.100.1', 32)");
	write_list("2 192.0.2.128 25\n3 198.51.100.0 24\n");
	snprintf(params, sizeof(params), "modparam(\"permissions\", \"address_file\", \"%s/list\")",
		folder);
	good(load_with(params, "exit;"));
	assert_int_equal(group_of("192.0.2.1"), 1);
	assert_int_equal(group_of("192.0.2.200"), 2);
	assert_int_equal(group_of("198.51.100.1"), 4);
	assert_int_equal(group_of("198.51.100.2"), 3);
	assert_true(in_group(1, "192.0.2.200", 0) && in_group(3, "198.51.100.1", 0));
	assert_true(access_list_info(room, "permissions", &info));
	assert_true(info.file && info.table && info.current && info.lines == 2 && info.rows == 2);
	/* With a file and no db_url of its own, no table is asked for. */
	good(load(params, "exit;"));
	assert_int_equal(group_of("192.0.2.1"), -1);
	assert_true(access_list_info(room, "permissions", &info));
	assert_true(info.file && !info.table);
	assert_false(access_list_info(room, "dispatcher", &info));
}

static void test_rows_that_are_wrong_are_left_out(void **state)
{
	make_tables();
	sql("INSERT INTO address (grp, ip_addr, mask, port, tag) VALUES (0, '192.0.2.1', 32, 0, "
	    "''), "
	    "(1, 'example.com', 32, 0, ''), (1, '192.0.2.2', 33, 0, ''), (1, '192.0.2.3', -1, 0, "
	    "''), (1, '192.0.2.4', 32, 65536, ''), (1, '192.0.2.5', 32, 0, NULL), (1, '', 32, 0, "
	    "'')");
	sql("UPDATE address SET tag = "
	    "'12345678901234567890123456789012345678901234567890123456789012"
	    "345' WHERE port = 65536");
	sql("INSERT INTO domain (domain) VALUES ('a b'), ('good.example'), ('sip:x'), ('x;y')");
	good(load_with("", "exit;"));
	says("table address: '192.0.2.1': a group is a number from 1 on; the row is left out");
	says("table address: 'example.com': neither an IPv4 nor an IPv6 address");
	says("table address: '192.0.2.2': a mask is 0 to 32 bits");
	says("table address: '192.0.2.3': a mask is 0 to 32 bits");
	says("table address: '192.0.2.4': a port is 0 (any) to 65535");
	says("table address: neither an IPv4 nor an IPv6 address");
	says("table domain: 'a b': neither a domain name nor an address");
	assert_true(in_group(1, "192.0.2.5", 0) && !in_group(0, "192.0.2.4", 0));
	assert_true(access_domain_is_local(room, STR("good.example")));
	/* Not each of very many is said. */
	sql("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100) INSERT "
	    "INTO domain (domain) SELECT 'bad ' || i FROM n");
	good(load_with("", "exit;"));
	says("table domain: 95 more rows are wrong and left out");
}

static void test_a_table_has_a_bound(void **state)
{
	enum { PART = 500, PARTS = 200 };
	char text[512];

	make_tables();
	/* In parts: a tool that is slow has a bound of time for each. */
	for (unsigned i = 0; i < PARTS; i++) {
		snprintf(text, sizeof(text),
			"WITH RECURSIVE n(i) AS (SELECT %u UNION ALL SELECT i + 1 FROM n WHERE i < "
			"%u) "
			"INSERT INTO address (grp, ip_addr) SELECT 1, '10.' || (i >> 16) || '.' || "
			"(i "
			">> 8 & 255) || '.' || (i & 255) FROM n",
			i * PART + 1, (i + 1) * PART);
		sql(text);
	}
	good(load_with("", "exit;"));
	assert_true(in_group(1, "10.1.134.160", 0));
	sql("INSERT INTO address (grp, ip_addr) VALUES (1, '192.0.2.1')");
	good(load_with("", "exit;"));
	says("table address cannot be read: it has more addresses than are taken; what was read "
	     "before");
	assert_true(in_group(1, "10.1.134.160", 0));
}

/* ---- a database that is not there ---- */

static const char *due_within(uint64_t from_ns, uint64_t ns)
{
	for (uint64_t at = from_ns; at < from_ns + ns; at += CLOCK_NS_PER_S) {
		const char *module = access_list_due(room, at);

		if (module != NULL)
			return module;
	}
	return NULL;
}

static void test_a_database_that_is_down_is_no_reason_not_to_start(void **state)
{
	struct access_list_info info;
	uint64_t at = 1000 * CLOCK_NS_PER_S;
	const char *first, *second;

	assert_null(due_within(at, 10 * CLOCK_NS_PER_S));
	good(load_with("", "exit;"));
	says("permissions: table address cannot be read: ");
	says("domain: table domain cannot be read: ");
	says("as if it were empty until it can be");
	assert_false(access_domain_is_local(room, STR("example.com")));
	assert_true(access_list_info(room, "domain", &info) && !info.current && info.table);
	/* Both are asked for again, */
	first = due_within(at, 10 * CLOCK_NS_PER_S);
	second = due_within(at, 10 * CLOCK_NS_PER_S);
	assert_non_null(first);
	assert_non_null(second);
	/* a configuration that is loaded meanwhile changes nothing about it, */
	good(load_with("", "exit;"));
	assert_true(access_list_info(room, "domain", &info) && !info.current);
	/* and when it is there, it is read. */
	make_tables();
	sql("INSERT INTO domain (domain) VALUES ('example.com')");
	good(load_with("", "exit;"));
	assert_string_equal(said, "");
	assert_true(access_domain_is_local(room, STR("example.com")));
	assert_null(due_within(at + 3600 * CLOCK_NS_PER_S, 100 * CLOCK_NS_PER_S));
}

static void test_it_is_asked_for_less_and_less_often(void **state)
{
	uint64_t at = 1000 * CLOCK_NS_PER_S, last = at;

	good(load_with("", "exit;"));
	for (unsigned n = 0; n < 20;) {
		const char *module = access_list_due(room, at);

		at += CLOCK_NS_PER_S;
		if (module == NULL || strcmp(module, "domain") != 0)
			continue;
		/* One module a turn: the other one may come first. */
		if (n < 2)
			assert_true(at - last <= 4 * CLOCK_NS_PER_S);
		if (n > 8)
			assert_in_range((at - last) / CLOCK_NS_PER_S, 29, 32);
		last = at;
		n++;
	}
}

static void test_a_reload_that_fails_keeps_what_was(void **state)
{
	struct access_list_info info;

	make_tables();
	sql("INSERT INTO domain (domain) VALUES ('example.com')");
	sql("INSERT INTO address (grp, ip_addr) VALUES (1, '192.0.2.1')");
	good(load_with("", "exit;"));
	assert_string_equal(said, "");
	sql("DROP TABLE domain");
	good(load_with("", "exit;"));
	says("domain: table domain cannot be read: no such table: domain; what was read before "
	     "stays");
	assert_true(access_domain_is_local(room, STR("example.com")));
	assert_true(in_group(1, "192.0.2.1", 0));
	assert_true(access_list_info(room, "domain", &info) && !info.current && info.rows == 1);
	/* What has never been read has nothing to keep: a name that was mistyped is an error. */
	assert_null(load_with("modparam(\"domain\", \"domain_table\", \"other\")", "exit;"));
	says("domain: table other cannot be read: ");
	says("nothing is known of it yet");
	assert_true(access_domain_is_local(room, STR("example.com")));
}

static void test_names_stand_in_sql_as_they_are(void **state)
{
	make_tables();
	assert_null(
		load_with("modparam(\"domain\", \"domain_table\", \"x; DROP TABLE y\")", "exit;"));
	says("domain: tables and columns have names of letters, digits and '_'");
	assert_null(load_with("modparam(\"permissions\", \"mask_col\", \"a'b\")", "exit;"));
	says("permissions: tables and columns have names");
	assert_null(load("modparam(\"domain\", \"db_url\", \"oracle://x\")", "exit;"));
	says("domain: ");
	/* A table without a tag or an id does: OpenSER's. */
	sql("CREATE TABLE peers (grp INT, ip_addr TEXT, mask INT, port INT)");
	sql("INSERT INTO peers VALUES (1, '192.0.2.1', 32, 0)");
	good(load_with("modparam(\"permissions\", \"address_table\", \"peers\")", "exit;"));
	assert_true(in_group(1, "192.0.2.1", 0));
}

static void test_what_is_looked_at_only_asks_nobody(void **state)
{
	access_use_db(room, db, false);
	good(load_with("", "exit;"));
	assert_string_equal(said, "");
	/* Names are looked at all the same. */
	assert_null(load_with("modparam(\"domain\", \"domain_table\", \"a b\")", "exit;"));
	access_use_db(room, db, true);
	good(load_with("modparam(\"permissions\", \"load_backends\", 2)\n"
		       "modparam(\"domain\", \"domain_file\", \"/dev/null\")",
		"exit;"));
	assert_null(strstr(said, "permissions"));
}

/* ---- what scripts see ---- */

static void bind_message(const struct route_script *script, const char *source)
{
	static char buf[512];
	int len = snprintf(buf, sizeof(buf),
		"INVITE sip:u@example.com SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKa\r\nTo: "
		"sip:a@b\r\nFrom: sip:x@y;tag=1\r\nCall-ID: x\r\nCSeq: 1 INVITE\r\n\r\n");

	assert_int_equal(sip_msg_index(&ctx.msg, buf, (uint32_t)len), SIP_OK);
	route_ctx_bind(&ctx, script, &thread, buf);
	route_ctx_reset(&ctx);
	ctx.origin.src.addr = address(source);
	ctx.origin.src.port = 5060;
}

static uint32_t run(const struct route_script *script, const char *source)
{
	bind_message(script, source);
	assert_int_equal(route_run(&ctx), ROUTE_ENDED);
	return ctx.flags;
}

static bool hook_is_myself(void *arg, struct str host, uint16_t port, enum sip_transport transport)
{
	return str_eq(host, STR("own")) || access_domain_is_myself(arg, host);
}

static bool hook_myself_unread(void *arg)
{
	return access_myself_is_unread(arg);
}

/* A message where a domain that nobody has read yet would be none of ours is nobody's. */
static void domains_are_not_taken_for_others(const char *params, const char *test, bool fails)
{
	struct route_script *script;
	char body[256];

	registry.hooks.room = room;
	registry.hooks.is_myself = hook_is_myself;
	registry.hooks.myself_is_unread = hook_myself_unread;
	snprintf(body, sizeof(body), "if (%s) setflag(1);\nsetflag(2);", test);
	script = load_with(params, body);
	if (script == NULL)
		fail_msg("%s", said);
	bind_message(script, "192.0.2.1");
	assert_int_equal(route_run(&ctx), fails ? ROUTE_FAILED : ROUTE_ENDED);
	assert_int_equal(ctx.failure, fails ? ROUTE_FAILURE_LIST_UNREAD : ROUTE_FAILURE_NONE);
	assert_int_equal(ctx.flags & 1 << 2, fails ? 0 : 1 << 2);
	route_script_unref(script);
}

static void test_nobody_knows_whose_a_domain_is_that_was_never_read(void **state)
{
	static const char *const local[] = {"is_from_local()", "is_uri_host_local()",
		"is_domain_local(\"y\")", "lookup_domain(\"y\")"};
	static const char *const own[] = {"from_uri == myself", "uri == myself", "to_uri != myself",
		"is_myself(\"y\")", "is_myself(\"sip:y\")"};
	const char *with = "modparam(\"domain\", \"register_myself\", 1)";
	char file[256];

	write_list("y\nexample.com\nb\n");
	snprintf(file, sizeof(file), "%s\nmodparam(\"domain\", \"domain_file\", \"%s/list\")", with,
		folder);
	for (unsigned i = 0; i < sizeof(local) / sizeof(local[0]); i++) {
		domains_are_not_taken_for_others("", local[i], true);
		/* What the file says is so in any case. */
		domains_are_not_taken_for_others(file, local[i], false);
	}
	for (unsigned i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
		domains_are_not_taken_for_others(with, own[i], true);
		domains_are_not_taken_for_others(file, own[i], false);
		domains_are_not_taken_for_others("", own[i], false);
	}
	domains_are_not_taken_for_others(with, "is_myself(\"own\")", false);
	domains_are_not_taken_for_others(with, "src_ip == myself", false);
	make_tables();
	for (unsigned i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		domains_are_not_taken_for_others(with, own[i], false);
	/* What was read once stays. */
	sql("DROP TABLE domain");
	for (unsigned i = 0; i < sizeof(local) / sizeof(local[0]); i++)
		domains_are_not_taken_for_others(with, local[i], false);
}

static void test_the_tag_of_an_address_is_an_avp(void **state)
{
	struct route_script *script;

	make_tables();
	sql("INSERT INTO address (grp, ip_addr, mask, tag) VALUES (1, '192.0.2.1', 32, 'gw one'), "
	    "(1, "
	    "'192.0.2.2', 32, NULL), (2, '192.0.2.1', 32, 'gw two')");
	script = load_with("modparam(\"permissions\", \"peer_tag_avp\", \"$avp(peer)\")",
		"if (allow_source_address()) setflag(1);\n"
		"if ($avp(peer) == \"gw one\") setflag(2);\n"
		"if (allow_address(2, $si, 0)) setflag(3);\n"
		"if ($avp(peer) == \"gw two\") setflag(4);\n"
		"if ($avp(peer) == $null) setflag(5);\n"
		"if (allow_address_group(\"192.0.2.1\", \"0\") == 1) setflag(6);\n"
		"if ($avp(peer) == \"gw one\") setflag(7);");
	if (script == NULL)
		fail_msg("%s", said);
	assert_int_equal(
		run(script, "192.0.2.1"), 1 << 1 | 1 << 2 | 1 << 3 | 1 << 4 | 1 << 6 | 1 << 7);
	assert_int_equal(run(script, "192.0.2.2"), 1 << 1 | 1 << 5 | 1 << 6 | 1 << 7);
	route_script_unref(script);
	assert_null(load_with("modparam(\"permissions\", \"peer_tag_avp\", \"$avp()\")",
		"allow_source_address();"));
	says("is no AVP");
}

static void test_a_domain_has_an_id(void **state)
{
	struct route_script *script;

	make_tables();
	sql("INSERT INTO domain (domain, did) VALUES ('example.com', 'one'), ('example.net', "
	    "NULL)");
	script = load_with("modparam(\"domain\", \"register_myself\", 1)",
		"if (lookup_domain(\"EXAMPLE.com\")) setflag(1);\n"
		"if ($avp(did) == \"one\") setflag(2);\n"
		"if (lookup_domain(\"example.net\", \"p_\") && $avp(p_did) == \"example.net\") "
		"setflag(3);\n"
		"if (lookup_domain(\"example.org\", \"q_\")) setflag(4);\n"
		"if ($avp(q_did) == $null) setflag(5);");
	if (script == NULL)
		fail_msg("%s", said);
	assert_int_equal(run(script, "192.0.2.1"), 1 << 1 | 1 << 2 | 1 << 3 | 1 << 5);
	assert_true(access_domain_is_myself(room, STR("example.net")));
	assert_false(access_domain_is_myself(room, STR("example.org")));
	route_script_unref(script);
	good(load_with("", "exit;"));
	assert_false(access_domain_is_myself(room, STR("example.net")));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_rows_are_as_lines),
		TEST(test_file_and_table_add_up),
		TEST(test_rows_that_are_wrong_are_left_out),
		TEST(test_a_table_has_a_bound),
		TEST(test_a_database_that_is_down_is_no_reason_not_to_start),
		TEST(test_it_is_asked_for_less_and_less_often),
		TEST(test_a_reload_that_fails_keeps_what_was),
		TEST(test_names_stand_in_sql_as_they_are),
		TEST(test_what_is_looked_at_only_asks_nobody),
		TEST(test_nobody_knows_whose_a_domain_is_that_was_never_read),
		TEST(test_the_tag_of_an_address_is_an_avp),
		TEST(test_a_domain_has_an_id),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
