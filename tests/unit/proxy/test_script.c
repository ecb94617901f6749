/* SPDX-License-Identifier: BSD-3-Clause */
/* The room's functions in scripts, through the language's own registry, checker and VM. */
#include "harness.h"

static struct route_script *load(
	struct fixture *f, struct route_registry *registry, const char *text, char *report_text)
{
	struct route_report *report = route_report_create();
	struct route_script *script;

	route_registry_init(registry);
	proxy_hooks(f->proxy, &registry->hooks);
	assert_int_equal(proxy_register(f->proxy, registry), 0);
	script = route_script_load_text("test.cfg", str_c(text), registry, report);
	snprintf(report_text, 4096, "%s", route_report_text(report));
	if (script != NULL)
		route_script_publish(script);
	route_report_destroy(report);
	return script;
}

static enum route_verdict run(struct fixture *f, struct route_script *script, const char *text)
{
	assert_int_equal(receive(f, text, "10.0.0.9", 5060, LEFT), PROXY_GO);
	f->ctx->script = script;
	return route_run(f->ctx);
}

static const char edge[] =
	"loadmodule \"sl.so\"\nloadmodule \"rr.so\"\nloadmodule \"maxfwd.so\"\nloadmodule "
	"\"siputils.so\"\n"
	"loadmodule \"sanity.so\"\nloadmodule \"textops.so\"\n"
	"modparam(\"rr\", \"enable_full_lr\", 1)\nmodparam(\"rr\", \"append_fromtag\", 0)\n"
	"modparam(\"maxfwd\", \"max_limit\", 15)\n"
	"request_route {\n"
	"	if (!mf_process_maxfwd_header(\"10\")) { sl_send_reply(\"483\", \"Too Many "
	"Hops\"); exit; }\n"
	"	if (!sanity_check(\"1024\", \"7\")) exit;\n"
	"	if (is_method(\"OPTIONS\") && options_reply()) exit;\n"
	"	if (has_totag()) {\n"
	"		if (loose_route()) { if (check_route_param(\"nat=yes\")) "
	"append_to_reply(\"X-Nat: yes\\r\\n\"); forward(); exit; }\n"
	"		sl_send_reply(\"404\", \"Not Here\"); exit;\n"
	"	}\n"
	"	force_rport();\n"
	"	if (method == \"INVITE\") { add_rr_param(\";nat=yes\"); record_route(); }\n"
	"	if (is_first_hop() && uri == myself) { send_reply(\"403\", \"Us: $rU\"); exit; }\n"
	"	$ru = \"sip:b@10.9.9.9\";\n"
	"	if (!forward()) sl_reply_error();\n"
	"}\n";

static void a_whole_script_runs(void **state)
{
	struct fixture *f = fixture_new(NULL);
	struct route_registry registry;
	char report[4096], bye[2048], route[256];
	struct route_script *script = load(f, &registry, edge, report);

	if (script == NULL)
		fail_msg("%s", report);
	assert_int_equal(run(f, script, INVITE), ROUTE_ENDED);
	assert_true(f->ctx->result.forward);
	assert_non_null(write_request(f));
	assert_string_equal(first_line(f->out), "INVITE sip:b@10.9.9.9 SIP/2.0");
	assert_string_equal(line(f->out, "Max-Forwards"), "15");
	assert_int_equal(
		strncmp(line(f->out, "Record-Route"), "<sip:10.0.0.1:5060;lr=on;sp=", 28), 0);
	assert_non_null(strstr(line(f->out, "Record-Route"), ";nat=yes>"));
	assert_null(strstr(line(f->out, "Record-Route"), "ftag"));
	assert_non_null(strstr(line_at(f->out, "Via", 1), ";rport=5060"));
	snprintf(route, sizeof(route), "%s", line(f->out, "Record-Route"));

	snprintf(bye, sizeof(bye),
		"BYE sip:b@10.9.9.9 SIP/2.0\nVia: SIP/2.0/UDP 10.0.0.9;branch=z9hG4bKbye\nRoute: "
		"%s\nMax-Forwards: 5\n"
		"From: <sip:a@b>;tag=a1\nTo: <sip:c@d>;tag=b1\nCall-ID: call-1@10.0.0.9\nCSeq: 8 "
		"BYE\n\n",
		route);
	assert_int_equal(run(f, script, bye), ROUTE_ENDED);
	assert_true(f->ctx->result.forward);
	assert_non_null(strstr(write_request(f), "BYE"));
	assert_null(line(f->out, "Route"));
	assert_true(f->ctx->result.headers.len > 0);

	assert_int_equal(run(f, script, replaced(bye, "call-1", "call-2")), ROUTE_ENDED);
	assert_string_equal(first_line(write_reply(f)), "SIP/2.0 404 Not Here");

	assert_int_equal(
		run(f, script, replaced(INVITE, "bob@example.com SIP", "bob@10.0.0.1 SIP")),
		ROUTE_ENDED);
	assert_string_equal(first_line(write_reply(f)), "SIP/2.0 403 Us: bob");

	assert_int_equal(run(f, script,
				 replaced(replaced(INVITE, "INVITE sip:bob@example.com",
						  "OPTIONS sip:10.0.0.1"),
					 "7 INVITE", "7 OPTIONS")),
		ROUTE_ENDED);
	assert_string_equal(first_line(write_reply(f)), "SIP/2.0 200 OK");
	route_script_unref(script);
	fixture_free(f);
}

static void forward_and_its_kin_are_there_without_a_module(void **state)
{
	struct fixture *f = fixture_new(NULL);
	struct route_registry registry;
	char report[4096];
	struct route_script *script = load(f, &registry,
		"request_route {\n	force_send_socket(\"udp:10.1.0.1:5060\");\n	"
		"add_local_rport();\n	forward(\"10.9.9.9\", \"5099\");\n}\n",
		report);

	if (script == NULL)
		fail_msg("%s", report);
	assert_int_equal(run(f, script, INVITE), ROUTE_ENDED);
	assert_non_null(write_request(f));
	assert_true(endpoint_is(&f->to.dst, "10.9.9.9", 5099));
	assert_int_equal(f->to.listener, RIGHT);
	route_script_unref(script);
	/* a second registry of the same process, as a reload makes one */
	script = load(f, &registry, "request_route { forward(); }\n", report);
	assert_non_null(script);
	assert_int_equal(proxy_register(f->proxy, &registry), -EEXIST);
	route_script_unref(script);
	fixture_free(f);
}

static void a_refused_forward_leaves_its_reply(void **state)
{
	struct fixture *f = fixture_new(NULL);
	struct route_registry registry;
	char report[4096];
	struct route_script *script =
		load(f, &registry, "request_route { forward(\"sip:127.0.0.1\"); exit; }\n", report);

	if (script == NULL)
		fail_msg("%s", report);
	assert_int_equal(run(f, script, INVITE), ROUTE_ENDED);
	assert_string_equal(first_line(write_reply(f)), "SIP/2.0 403 Destination Not Allowed");
	route_script_unref(script);
	fixture_free(f);
}

static void what_can_be_wrong_is_an_error_at_load(void **state)
{
	static const struct {
		const char *text, *says;
	} scripts[] = {
		{"loadmodule \"sl.so\"\nrequest_route { sl_send_reply(\"99\", \"x\"); }\n",
			"100 to 699"},
		{"loadmodule \"sl.so\"\nrequest_route { sl_send_reply(\"abc\", \"x\"); }\n",
			"100 to 699"},
		{"loadmodule \"sl.so\"\nrequest_route { sl_send_reply(\"404\", \"a\\r\\nb\"); }\n",
			"stays on its line"},
		{"loadmodule \"rr.so\"\nrequest_route { if (is_direction(\"sideways\")) exit; }\n",
			"upstream"},
		{"loadmodule \"rr.so\"\nrequest_route { if (check_route_param(\"(\")) exit; }\n",
			"error"},
		{"loadmodule \"maxfwd.so\"\nrequest_route { mf_process_maxfwd_header(\"300\"); }\n",
			"0 to 255"},
		{"loadmodule \"sanity.so\"\nrequest_route { sanity_check(\"x\"); }\n", "number"},
		{"request_route { sl_send_reply(\"404\", \"x\"); }\n", "sl"},
	};
	struct fixture *f = fixture_new(NULL);
	struct route_registry registry;
	char report[4096];

	for (unsigned i = 0; i < sizeof(scripts) / sizeof(scripts[0]); i++) {
		assert_null(load(f, &registry, scripts[i].text, report));
		if (strstr(report, scripts[i].says) == NULL)
			fail_msg("script %u: %s", i, report);
	}
	fixture_free(f);
}

/* A 3xx of the script says where to: what it has made of the Request-URI, and the branches. */
static void a_redirection_has_its_targets(void **state)
{
	static const char script_text[] =
		"loadmodule \"sl.so\"\nloadmodule \"textops.so\"\n"
		"request_route {\n"
		"	if ($rU == \"none\") { sl_send_reply(\"302\", \"Moved\"); exit; }\n"
		"	if ($rU == \"own\") { append_to_reply(\"Contact: <sip:own@x>\\r\\n\"); "
		"sl_send_reply(\"302\", \"Moved\"); exit; }\n"
		"	$ru = \"sip:new@n.example\";\n"
		"	append_branch(\"sip:two@t.example;transport=udp\", \"0.25\");\n"
		"	if ($fU == \"many\") { append_branch(\"sip:"
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa@"
		"b\");\n"
		"$avp(x) = $(branch(uri)[1]);\n"
		"append_branch(\"$avp(x)\"); append_branch(\"$avp(x)\"); "
		"append_branch(\"$avp(x)\");\n"
		"append_branch(\"$avp(x)\"); append_branch(\"$avp(x)\"); "
		"append_branch(\"$avp(x)\"); }\n"
		"	send_reply(\"300\", \"Choose\");\n"
		"	sl_send_reply(\"302\", \"Moved\");\n"
		"}\n";
	struct fixture *f = fixture_new(NULL);
	struct route_registry registry;
	char report[4096];
	struct route_script *script = load(f, &registry, script_text, report);

	if (script == NULL)
		fail_msg("%s", report);
	assert_int_equal(run(f, script, INVITE), ROUTE_ENDED);
	assert_string_equal(first_line(write_reply(f)), "SIP/2.0 302 Moved");
	assert_string_equal(line(f->out, "Contact"),
		"<sip:new@n.example>, <sip:two@t.example;transport=udp>;q=0.25");
	assert_null(line_at(f->out, "Contact", 1));
	assert_int_equal(
		run(f, script, replaced(INVITE, "bob@example", "none@example")), ROUTE_ENDED);
	assert_string_equal(first_line(write_reply(f)), "SIP/2.0 302 Moved");
	assert_null(line(f->out, "Contact"));
	assert_int_equal(
		run(f, script, replaced(INVITE, "bob@example", "own@example")), ROUTE_ENDED);
	assert_non_null(write_reply(f));
	assert_string_equal(line(f->out, "Contact"), "<sip:own@x>");
	/* However long it is: without them it would be of no use. */
	assert_int_equal(
		run(f, script,
			replaced(INVITE, "From: Alice <sip:alice@", "From: Alice <sip:many@")),
		ROUTE_ENDED);
	assert_string_equal(first_line(write_reply(f)), "SIP/2.0 302 Moved");
	assert_true(strlen(line(f->out, "Contact")) > 1000);
	route_script_unref(script);
	fixture_free(f);
}

/* A status that has no value is the parameter's. */
static void a_reply_without_a_status_is_the_default(void **state)
{
	static const char script_text[] =
		"loadmodule \"sl.so\"\nloadmodule \"maxfwd.so\"\nloadmodule \"rr.so\"\n"
		"modparam(\"sl\", \"default_code\", 505)\n"
		"modparam(\"sl\", \"default_reason\", \"Not Said\")\n"
		"modparam(\"maxfwd\", \"max_limit\", 256)\n"
		"modparam(\"rr\", \"enable_double_rr\", 2)\n"
		"request_route {\n"
		"	if ($rU == \"both\") { sl_send_reply(\"$avp(code)\", \"$avp(why)\"); exit; "
		"}\n"
		"	if ($rU == \"mode\") { send_reply_mode(\"404\", \"Gone\", \"3\"); exit; }\n"
		"	if (!sl_send_reply(\"700\", \"High\")) sl_send_reply($avp(code), "
		"\"Why\");\n"
		"}\n"
		"failure_route[f] { if (is_maxfwd_lt(\"1\")) exit; }\n"
		"branch_route[b] { if (mf_lowlimit(\"1\")) drop; }\n";
	struct fixture *f = fixture_new(NULL);
	struct route_registry registry;
	char report[4096];
	struct route_script *script;

	script = load(f, &registry, replaced(script_text, "\"700\"", "\"$var(high)\""), report);
	if (script == NULL)
		fail_msg("%s", report);
	assert_int_equal(
		run(f, script, replaced(INVITE, "bob@example", "both@example")), ROUTE_ENDED);
	assert_string_equal(first_line(write_reply(f)), "SIP/2.0 505 Not Said");
	assert_int_equal(
		run(f, script, replaced(INVITE, "bob@example", "mode@example")), ROUTE_ENDED);
	assert_string_equal(first_line(write_reply(f)), "SIP/2.0 404 Gone");
	assert_int_equal(run(f, script, INVITE), ROUTE_ENDED);
	assert_string_equal(first_line(write_reply(f)), "SIP/2.0 505 Why");
	route_script_unref(script);
	assert_null(load(f, &registry, script_text, report)); /* 700 */
	fixture_free(f);
}

/* Under the names of Kamailio's manual: what is checked without an argument, and who replies. */
static void sanity_has_its_parameters(void **state)
{
	static const char script_text[] =
		"loadmodule \"sanity.so\"\nloadmodule \"sl.so\"\nloadmodule \"textops.so\"\n"
		"modparam(\"sanity\", \"noreply\", 1)\nmodparam(\"sanity\", \"autodrop\", 0)\n%s"
		"request_route {\n"
		"	if (sanity_check()) { sl_send_reply(\"200\", \"Sane\"); exit; }\n"
		"	if (is_method(\"BYE\")) exit;\n"
		"	sanity_reply();\n"
		"}\n";
	struct fixture *f = fixture_new(NULL);
	struct route_registry registry;
	char report[4096], text[1024], contact[2048], expires[2048];
	struct route_script *script;

	snprintf(text, sizeof(text), script_text, "");
	script = load(f, &registry, text, report);
	if (script == NULL)
		fail_msg("%s", report);
	snprintf(contact, sizeof(contact), "%s",
		replaced(INVITE, "<sip:alice@10.0.0.9>", "<sip:@@>"));
	snprintf(expires, sizeof(expires), "%s",
		replaced(INVITE, "Contact:", "Expires: soon\nContact:"));
	/* URIs are no part of the default, 3047. */
	assert_int_equal(run(f, script, contact), ROUTE_ENDED);
	assert_string_equal(first_line(write_reply(f)), "SIP/2.0 200 Sane");
	assert_int_equal(run(f, script, expires), ROUTE_ENDED);
	assert_string_equal(first_line(write_reply(f)), "SIP/2.0 400 Bad Expires");
	/* With noreply nobody else replies. */
	assert_int_equal(
		run(f, script,
			replaced(replaced(expires, "INVITE sip", "BYE sip"), "7 INVITE", "7 BYE")),
		ROUTE_ENDED);
	assert_false(f->ctx->result.reply);
	route_script_unref(script);

	snprintf(text, sizeof(text), script_text,
		"modparam(\"sanity\", \"default_checks\", 1024)\nmodparam(\"sanity\", "
		"\"uri_checks\", 8)\n");
	script = load(f, &registry, text, report);
	if (script == NULL)
		fail_msg("%s", report);
	assert_int_equal(run(f, script, expires), ROUTE_ENDED);
	assert_string_equal(first_line(write_reply(f)), "SIP/2.0 200 Sane");
	assert_int_equal(run(f, script, contact), ROUTE_ENDED);
	assert_string_equal(first_line(write_reply(f)), "SIP/2.0 400 Bad Contact URI");
	route_script_unref(script);
	fixture_free(f);
}

static void every_function_and_parameter_is_described(void **state)
{
	const struct route_module *const modules[] = {&proxy_sl_module, &proxy_rr_module,
		&proxy_maxfwd_module, &proxy_siputils_module, &proxy_sanity_module};

	for (unsigned i = 0; i < sizeof(modules) / sizeof(modules[0]); i++) {
		for (const struct route_function *fn = modules[i]->functions; fn->name != NULL;
			fn++) {
			assert_non_null(fn->run);
			assert_non_null(fn->help);
			assert_int_equal(strncmp(fn->usage, fn->name, strlen(fn->name)), 0);
			assert_true(fn->args_max >= fn->args_min);
			assert_true(fn->in != 0);
		}
		for (const struct route_param *p = modules[i]->params; p != NULL && p->name != NULL;
			p++)
			assert_true(p->help != NULL &&
				    (p->accepted_only || p->offset < modules[i]->config_size));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_whole_script_runs),
		cmocka_unit_test(forward_and_its_kin_are_there_without_a_module),
		cmocka_unit_test(a_refused_forward_leaves_its_reply),
		cmocka_unit_test(what_can_be_wrong_is_an_error_at_load),
		cmocka_unit_test(a_redirection_has_its_targets),
		cmocka_unit_test(a_reply_without_a_status_is_the_default),
		cmocka_unit_test(sanity_has_its_parameters),
		cmocka_unit_test(every_function_and_parameter_is_described),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
