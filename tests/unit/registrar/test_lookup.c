/* SPDX-License-Identifier: BSD-3-Clause */
/* lookup() and its kin: what a request becomes. */
#include <arpa/inet.h>

#include "common.h"

#define REG(name, value) "modparam(\"registrar\", \"" name "\", " value ")\n"

/* One script for both: REGISTERs are saved, others run `what` and leave its value. */
#define SCRIPT(what) \
	"\tif (method == \"REGISTER\") { save(\"location\"); exit; }\n\t" what "\n\t$var(rc) = " \
	"$rc;"
#define LOOKUP SCRIPT("lookup(\"location\");")

static const char *text(const struct stage *s, struct route_text t)
{
	static char ring[16][2048];
	static unsigned at;
	struct str v = route_text_str(s->ctx, t);
	char *out = ring[at++ % 16];

	snprintf(out, sizeof(ring[0]), "%.*s", STR_FMT(v));
	return out;
}

#define assert_text(s, t, want) assert_string_equal(text(s, t), want)

static void a_request_goes_to_the_contact(void **state)
{
	struct stage *s = stage_open("", LOOKUP);

	send_registration(s, "c1", 1, "Contact: <sip:alice@198.51.100.7:5062;x=y>\n");
	s->at = OTHER;
	stage_send(s, request("INVITE", "sip:alice@example.com"));
	assert_int_equal(stage_rc(s), 1);
	assert_text(s, s->ctx->uri, "sip:alice@198.51.100.7:5062;x=y");
	assert_int_equal(s->ctx->du.len, 0);
	assert_false(s->ctx->du_target.valid);
	assert_int_equal(s->ctx->path.len, 0);
	assert_int_equal(s->ctx->branches, 0);
	/* From the listener that took the REGISTER. */
	assert_int_equal(s->ctx->socket, MAIN);
	assert_int_equal(s->ctx->q, ROUTE_Q_NONE);
	assert_int_equal(registrar_counter(s->registrar, REGISTRAR_COUNTER_LOOKUPS), 1);
	assert_int_equal(registrar_counter(s->registrar, REGISTRAR_COUNTER_LOOKUP_HITS), 1);
	stage_close(s);
}

static void who_is_not_registered_is_not_found(void **state)
{
	struct stage *s = stage_open("", LOOKUP);

	stage_send(s, request("INVITE", "sip:alice@example.com"));
	assert_int_equal(stage_rc(s), -1);
	assert_int_equal(s->ctx->uri.len, 0);
	send_registration(s, "c1", 1, "Contact: <sip:alice@198.51.100.7>;expires=60\n");
	stage_pass(s, 59);
	stage_send(s, request("INVITE", "sip:%61LICE@example.com;user=phone"));
	assert_int_equal(stage_rc(s), 1);
	stage_pass(s, 1);
	stage_send(s, request("INVITE", "sip:alice@example.com"));
	assert_int_equal(stage_rc(s), -1);
	/* Nobody's URI. */
	stage_send(s, request("INVITE", "sip:example.com"));
	assert_int_equal(stage_rc(s), -3);
	stage_send(s, request("INVITE", "sip:al%00ice@example.com"));
	assert_int_equal(stage_rc(s), -3);
	stage_send(s, request("INVITE", "urn:service:sos"));
	assert_int_equal(stage_rc(s), -3);
	assert_int_equal(registrar_counter(s->registrar, REGISTRAR_COUNTER_LOOKUPS), 3);
	assert_int_equal(registrar_counter(s->registrar, REGISTRAR_COUNTER_LOOKUP_HITS), 1);
	stage_close(s);
}

static void the_best_contact_comes_first_and_the_others_are_branches(void **state)
{
	static const char contacts[] =
		"Contact: <sip:a@198.51.100.1>;q=0.2, <sip:a@198.51.100.2>;q=0.9\n"
		"Contact: <sip:a@198.51.100.3>;q=0.5, <mailto:a@example.com>;q=1\n";
	struct stage *s = stage_open("", LOOKUP);

	send_registration(s, "c1", 1, contacts);
	stage_send(s, request("INVITE", "sip:alice@example.com"));
	assert_int_equal(stage_rc(s), 1);
	assert_text(s, s->ctx->uri, "sip:a@198.51.100.2");
	assert_int_equal(s->ctx->q, 900);
	assert_int_equal(s->ctx->branches, 2);
	assert_text(s, s->ctx->branch[0].uri, "sip:a@198.51.100.3");
	assert_int_equal(s->ctx->branch[0].q, 500);
	assert_int_equal(s->ctx->branch[0].socket, MAIN);
	assert_text(s, s->ctx->branch[1].uri, "sip:a@198.51.100.1");
	assert_true(stage_load(s, REG("append_branches", "0"), LOOKUP));
	stage_send(s, request("INVITE", "sip:alice@example.com"));
	assert_text(s, s->ctx->uri, "sip:a@198.51.100.2");
	assert_int_equal(s->ctx->branches, 0);
	stage_close(s);
}

static void a_contact_that_was_received_elsewhere_is_sent_there(void **state)
{
	struct stage *s = stage_open("", LOOKUP);

	send_registration(s, "c1", 1,
		"Contact: <sip:alice@10.0.0.7>;received=\"sip:203.0.113.9:40000\", "
		"<sip:alice@10.0.0.8>;q=0.1;received=\"sip:[2001:db8::9]:40001\"\n");
	stage_send(s, request("INVITE", "sip:alice@example.com"));
	assert_text(s, s->ctx->uri, "sip:alice@10.0.0.8");
	assert_text(s, s->ctx->du, "sip:[2001:db8::9]:40001");
	assert_true(s->ctx->du_target.valid);
	assert_int_equal(s->ctx->du_target.ep.port, 40001);
	assert_int_equal(s->ctx->du_target.ep.addr.family, 6);
	assert_int_equal(s->ctx->du_target.destination, -1);
	assert_int_equal(s->ctx->branches, 1);
	assert_text(s, s->ctx->branch[0].du, "sip:203.0.113.9:40000");
	assert_int_equal(s->ctx->branch[0].du_target.ep.addr.v4, inet_addr("203.0.113.9"));
	stage_close(s);
}

static void a_path_is_the_way(void **state)
{
	struct stage *s = stage_open(REG("use_path", "1"), LOOKUP);

	send_registration(s, "c1", 1,
		"Supported: path\nPath: <sip:p1.example.net;lr;ob>, <sip:p2.example.net;lr>\n"
		"Contact: <sip:alice@10.0.0.7>;received=\"sip:203.0.113.9:40000\"\n");
	stage_send(s, request("INVITE", "sip:alice@example.com"));
	assert_text(s, s->ctx->uri, "sip:alice@10.0.0.7");
	assert_text(s, s->ctx->path, "<sip:p1.example.net;lr;ob>,<sip:p2.example.net;lr>");
	/* What the last proxy of the Path knows is not ours to skip to. */
	assert_text(s, s->ctx->du, "sip:p1.example.net;lr;ob");
	assert_false(s->ctx->du_target.valid);
	stage_close(s);
}

static void an_earlier_destination_is_forgotten(void **state)
{
	struct stage *s =
		stage_open("", SCRIPT("$du = \"sip:203.0.113.77\";\n\tlookup(\"location\");"));

	stage_send(s, request("INVITE", "sip:alice@example.com"));
	assert_text(s, s->ctx->du, "sip:203.0.113.77");
	send_registration(s, "c1", 1, "Contact: <sip:alice@198.51.100.7>\n");
	stage_send(s, request("INVITE", "sip:alice@example.com"));
	assert_int_equal(s->ctx->du.len, 0);
	stage_close(s);
}

static void instance_and_flags_come_with_the_contact(void **state)
{
	struct stage *s = stage_open(REG("regid_mode", "1"),
		"\tif (method == \"REGISTER\") { setbflag(3); save(\"location\"); exit; }\n"
		"\tsetbflag(1);\n\tlookup(\"location\");");

	send_registration(s, "c1", 1,
		"Contact: <sip:alice@198.51.100.7>;+sip.instance=\"<urn:x>\";reg-id=7\n");
	stage_send(s, request("INVITE", "sip:alice@example.com"));
	assert_text(s, s->ctx->instance, "\"<urn:x>\"");
	assert_int_equal(s->ctx->reg_id, 7);
	assert_int_equal(s->ctx->branch_flags, 1u << 1 | 1u << 3);
	stage_close(s);
}

static void headers_of_a_contact_are_no_part_of_a_request_uri(void **state)
{
	struct stage *s = stage_open("", LOOKUP);

	send_registration(s, "c1", 1, "Contact: <sip:alice@198.51.100.7;a=b?Route=%3csip:x%3e>\n");
	stage_send(s, request("INVITE", "sip:alice@example.com"));
	assert_text(s, s->ctx->uri, "sip:alice@198.51.100.7;a=b");
	stage_close(s);
}

static void contacts_that_do_not_take_the_method_are_passed_over(void **state)
{
	struct stage *s = stage_open(REG("method_filtering", "1"), LOOKUP);
	const char *in_dialog;
	char copy[2048], *to;

	send_registration(s, "c1", 1,
		"Allow: INVITE, ACK\nAllow: BYE\nContact: <sip:alice@198.51.100.1>;q=0.9, "
		"<sip:alice@198.51.100.2>;q=0.1;methods=\"INVITE,MESSAGE\"\n");
	stage_send(s, request("INVITE", "sip:alice@example.com"));
	assert_text(s, s->ctx->uri, "sip:alice@198.51.100.1");
	assert_int_equal(s->ctx->branches, 1);
	stage_send(s, request("MESSAGE", "sip:alice@example.com"));
	assert_text(s, s->ctx->uri, "sip:alice@198.51.100.2");
	assert_int_equal(s->ctx->branches, 0);
	stage_send(s, request("SUBSCRIBE", "sip:alice@example.com"));
	assert_int_equal(stage_rc(s), -2);
	assert_int_equal(s->ctx->uri.len, 0);
	/* Within a dialog the method is between those two. */
	in_dialog = request("SUBSCRIBE", "sip:alice@example.com");
	to = strstr(in_dialog, "To: <sip:alice@example.com>");
	snprintf(copy, sizeof(copy), "%.*sTo: <sip:alice@example.com>;tag=x%s",
		(int)(to - in_dialog), in_dialog, to + strlen("To: <sip:alice@example.com>"));
	stage_send(s, copy);
	assert_int_equal(stage_rc(s), 1);
	stage_close(s);
}

static void another_uri_can_be_looked_up(void **state)
{
	struct stage *s = stage_open("", SCRIPT("lookup(\"location\", \"sip:alice@\" + $rd);"));

	send_registration(s, "c1", 1, "Contact: <sip:alice@198.51.100.7>\n");
	stage_send(s, request("INVITE", "sip:reception@example.com"));
	assert_text(s, s->ctx->uri, "sip:alice@198.51.100.7");
	stage_close(s);
}

/* OpenSIPS' flags stand where Kamailio has the URI. */
static void flags_may_stand_in_front_of_the_uri(void **state)
{
	static const struct {
		const char *call, *user;
		unsigned branches;
	} rows[] = {
		{"lookup(\"location\", \"m\");", "alice", 1},
		{"lookup(\"location\", \"b\");", "alice", 0},
		{"lookup(\"location\", \"mb\");", "alice", 0},
		{"lookup(\"location\", \"method-filtering,no-branches\");", "alice", 0},
		{"lookup(\"location\", \"\");", "alice", 1},
		{"lookup(\"location\", \"m\", \"sip:alice@\" + $rd);", "reception", 1},
		{"lookup(\"location\", \"no-branches\", \"sip:alice@\" + $rd);", "reception", 0},
	};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char script[256], uri[64];
		struct stage *s;

		snprintf(script, sizeof(script),
			"\tif (method == \"REGISTER\") { save(\"location\"); exit; }\n\t%s\n"
			"\t$var(rc) = $rc;",
			rows[i].call);
		snprintf(uri, sizeof(uri), "sip:%s@example.com", rows[i].user);
		s = stage_open("", script);
		send_registration(s, "c1", 1,
			"Contact: <sip:alice@198.51.100.7>\nContact: <sip:alice@198.51.100.8>\n");
		stage_send(s, request("INVITE", uri));
		assert_int_equal(stage_rc(s), 1);
		assert_text(s, s->ctx->uri, "sip:alice@198.51.100.7");
		assert_int_equal(s->ctx->branches, rows[i].branches);
		stage_close(s);
	}
}

static void the_request_uri_as_it_stands_is_looked_up(void **state)
{
	struct stage *s = stage_open("", SCRIPT("$rU = \"alice\";\n\tlookup(\"location\");"));

	send_registration(s, "c1", 1, "Contact: <sip:alice@198.51.100.7>\n");
	stage_send(s, request("INVITE", "sip:reception@example.com"));
	assert_text(s, s->ctx->uri, "sip:alice@198.51.100.7");
	stage_close(s);
}

static void contacts_beyond_the_branches_are_counted(void **state)
{
	struct stage *s = stage_open("", LOOKUP);
	char lines[8192] = "";
	size_t at = 0;

	for (unsigned i = 0; i < 30; i++)
		at += (size_t)snprintf(lines + at, sizeof(lines) - at,
			"Contact: <sip:a@198.51.100.7:%u>\n", 1000 + i);
	send_registration(s, "c1", 1, lines);
	stage_send(s, request("INVITE", "sip:alice@example.com"));
	assert_int_equal(stage_rc(s), 1);
	assert_int_equal(s->ctx->branches, ROUTE_BRANCHES_MAX);
	assert_text(s, s->ctx->uri, "sip:a@198.51.100.7:1000");
	assert_text(s, s->ctx->branch[15].uri, "sip:a@198.51.100.7:1016");
	assert_int_equal(registrar_counter(s->registrar, REGISTRAR_COUNTER_LOOKUP_LEFT),
		29 - ROUTE_BRANCHES_MAX);
	stage_close(s);
}

static void long_contacts_fill_the_context_and_no_more(void **state)
{
	/* A reply could not hold them. */
	struct stage *s = stage_open(REG("contact_max_size", "1000"),
		"\tif (method == \"REGISTER\") { save(\"location\", \"0x02\"); exit; }\n"
		"\tlookup(\"location\");\n\t$var(rc) = $rc;");
	char lines[2048];

	for (unsigned i = 0; i < 12; i++) {
		snprintf(lines, sizeof(lines), "Contact: <sip:%0*u@198.51.100.7>\n", 960, i);
		assert_null(stage_send(s, registration("c1", i + 1, lines)));
	}
	stage_send(s, request("INVITE", "sip:alice@example.com"));
	assert_int_equal(s->verdict, ROUTE_ENDED);
	assert_int_equal(stage_rc(s), 1);
	assert_int_equal(s->ctx->failure, ROUTE_FAILURE_NONE);
	assert_true(s->ctx->branches >= 5);
	assert_true(registrar_counter(s->registrar, REGISTRAR_COUNTER_LOOKUP_LEFT) > 0);
	stage_close(s);
}

static void all_contacts_can_be_branches(void **state)
{
	struct stage *s = stage_open("", SCRIPT("lookup_to_dset(\"location\");"));

	send_registration(
		s, "c1", 1, "Contact: <sip:a@198.51.100.1>;q=0.5, <sip:a@198.51.100.2>\n");
	stage_send(s, request("INVITE", "sip:alice@example.com"));
	assert_int_equal(stage_rc(s), 1);
	assert_int_equal(s->ctx->uri.len, 0);
	assert_int_equal(s->ctx->branches, 2);
	assert_text(s, s->ctx->branch[0].uri, "sip:a@198.51.100.1");
	assert_text(s, s->ctx->branch[1].uri, "sip:a@198.51.100.2");
	stage_send(s, request("INVITE", "sip:bob@example.com"));
	assert_int_equal(stage_rc(s), -1);
	stage_close(s);
}

/* A REGISTER of another user. */
static void register_user(struct stage *s, const char *user, const char *contact)
{
	char out[1024];

	snprintf(out, sizeof(out),
		"REGISTER sip:example.com SIP/2.0\n"
		"Via: SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bK%s\n"
		"Max-Forwards: 70\nFrom: <sip:%s@example.com>;tag=1\nTo: <sip:%s@example.com>\n"
		"Call-ID: %s\nCSeq: 1 REGISTER\nContact: <%s>\nContent-Length: 0\n\n",
		user, user, user, user, contact);
	assert_status(stage_send(s, out), 200);
}

static void each_branch_is_looked_up(void **state)
{
	struct stage *s = stage_open("", SCRIPT("append_branch(\"sip:carol@example.com\");\n"
						"\tappend_branch(\"sip:nobody@example.com\");\n"
						"\tlookup_branches(\"location\");"));

	register_user(s, "alice", "sip:alice@198.51.100.1");
	register_user(s, "carol", "sip:carol@198.51.100.2");
	stage_send(s, request("INVITE", "sip:alice@example.com"));
	assert_int_equal(stage_rc(s), 1);
	assert_text(s, s->ctx->uri, "sip:alice@198.51.100.1");
	assert_int_equal(s->ctx->branches, 2);
	assert_text(s, s->ctx->branch[0].uri, "sip:carol@198.51.100.2");
	assert_int_equal(s->ctx->branch[0].socket, MAIN);
	/* As in Kamailio, what is found for none stays as it is. */
	assert_text(s, s->ctx->branch[1].uri, "sip:nobody@example.com");
	stage_close(s);
}

static void registered_says_whether_a_user_is_there(void **state)
{
	struct stage *s = stage_open(
		"", SCRIPT("if (registered(\"location\")) setflag(1);\n"
			   "\tif (registered(\"location\", $fu)) setflag(2);\n"
			   "\tif (registered(\"location\", \"sip:alice@x\", 0, 0)) setflag(3);"));

	stage_send(s, request("INVITE", "sip:alice@example.com"));
	assert_int_equal(s->ctx->flags, 0);
	register_user(s, "alice", "sip:alice@198.51.100.1");
	stage_send(s, request("INVITE", "sip:alice@example.com"));
	assert_int_equal(s->ctx->flags, 1u << 1 | 1u << 3);
	register_user(s, "bob", "sip:bob@198.51.100.1");
	stage_send(s, request("INVITE", "sip:carol@example.com"));
	assert_int_equal(s->ctx->flags, 1u << 2 | 1u << 3);
	assert_int_equal(s->ctx->uri.len, 0);
	assert_int_equal(registrar_counter(s->registrar, REGISTRAR_COUNTER_LOOKUPS), 9);
	assert_int_equal(registrar_counter(s->registrar, REGISTRAR_COUNTER_LOOKUP_HITS), 4);
	stage_close(s);
}

/* OpenSIPS asks so whether a caller may call: the callee is somebody else. */
static void is_registered_is_of_who_sends(void **state)
{
	struct stage *s =
		stage_open("", "\tif (is_registered(\"location\")) setflag(1);\n"
			       "\tif (is_registered(\"location\", \"sip:alice@x\")) setflag(2);\n"
			       "\tif (method == \"REGISTER\") { save(\"location\"); exit; }\n");

	register_user(s, "alice", "sip:alice@198.51.100.1");
	assert_int_equal(s->ctx->flags, 0);
	/* bob calls. */
	stage_send(s, request("INVITE", "sip:alice@example.com"));
	assert_int_equal(s->ctx->flags, 1u << 2);
	register_user(s, "alice", "sip:alice@198.51.100.1");
	assert_int_equal(s->ctx->flags, 1u << 1 | 1u << 2);
	register_user(s, "bob", "sip:bob@198.51.100.1");
	stage_send(s, request("INVITE", "sip:carol@example.com"));
	assert_int_equal(s->ctx->flags, 1u << 1 | 1u << 2);
	stage_close(s);
}

static void unregister_takes_all_contacts_away(void **state)
{
	struct stage *s = stage_open("", SCRIPT("unregister(\"location\", $ru);"));

	register_user(s, "alice", "sip:alice@198.51.100.1");
	stage_send(s, request("INVITE", "sip:ALICE@example.com"));
	assert_int_equal(stage_rc(s), 1);
	assert_string_equal(registered_contacts(s), "");
	stage_send(s, request("INVITE", "sip:alice@example.com"));
	assert_int_equal(stage_rc(s), 1);
	stage_send(s, request("INVITE", "sip:example.com"));
	assert_int_equal(stage_rc(s), -1);
	stage_close(s);
}

static void tables_are_apart(void **state)
{
	struct stage *s = stage_open("",
		"\tif (method == \"REGISTER\") { save(\"aliases\"); exit; }\n"
		"\tif (lookup(\"location\")) setflag(1);\n\tif (lookup(\"aliases\")) setflag(2);");

	register_user(s, "alice", "sip:alice@198.51.100.1");
	stage_send(s, request("INVITE", "sip:alice@example.com"));
	assert_int_equal(s->ctx->flags, 1u << 2);
	stage_close(s);
}

/* The same from a thread that has no state: lookup() is a worker's. */
static void a_worker_looks_up_and_hands_a_save_over(void **state)
{
	struct stage *s = stage_open("", LOOKUP);

	register_user(s, "alice", "sip:alice@198.51.100.1");
	s->thread.has_state = false;
	stage_send(s, request("INVITE", "sip:alice@example.com"));
	assert_int_equal(s->verdict, ROUTE_ENDED);
	assert_text(s, s->ctx->uri, "sip:alice@198.51.100.1");
	send_registration(s, "c1", 1, "Contact: <sip:alice@198.51.100.7>\n");
	assert_int_equal(s->verdict, ROUTE_SLOW);
	s->thread.has_state = true;
	stage_close(s);
}

/* Who a message asks for, before its script runs. */
static void what_a_script_will_read_is_known_before(void **state)
{
	static const char dialog[] = "BYE sip:alice@example.com SIP/2.0\n"
				     "Via: SIP/2.0/UDP 198.51.100.7;branch=z9hG4bKb1\n"
				     "Max-Forwards: 70\nFrom: <sip:bob@example.com>;tag=1\n"
				     "To: <sip:alice@example.com>;tag=2\nCall-ID: c9\n"
				     "CSeq: 2 BYE\nContent-Length: 0\n\n";
	struct stage *s = stage_open("", "\tsave(\"location\");");
	struct registrar_brought b = {.aor.len = 0};
	struct hash128 want;

	assert_false(registrar_looks(s->registrar));
	stage_close(s);
	s = stage_open("", LOOKUP);
	assert_true(registrar_looks(s->registrar));
	want = location_digest(s->location, 0, STR("alice"));
	send_registration(s, "c1", 1, "Contact: <sip:alice@198.51.100.7>\n");
	assert_true(registrar_bring(s->registrar, s->ctx, &b));
	assert_memory_equal(&b.digest, &want, sizeof(want));
	registrar_bring_record(s->registrar, &b);
	memset(&b, 0, sizeof(b));
	stage_send(s, request("INVITE", "sip:%41lice@example.com;user=phone"));
	assert_true(registrar_bring(s->registrar, s->ctx, &b));
	assert_memory_equal(&b.digest, &want, sizeof(want));
	stage_send(s, request("INVITE", "urn:service:sos"));
	assert_false(registrar_bring(s->registrar, s->ctx, &b));
	stage_send(s, dialog);
	assert_int_equal(s->error, SIP_OK);
	assert_false(registrar_bring(s->registrar, s->ctx, &b));
	stage_close(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_request_goes_to_the_contact),
		cmocka_unit_test(who_is_not_registered_is_not_found),
		cmocka_unit_test(the_best_contact_comes_first_and_the_others_are_branches),
		cmocka_unit_test(a_contact_that_was_received_elsewhere_is_sent_there),
		cmocka_unit_test(a_path_is_the_way),
		cmocka_unit_test(an_earlier_destination_is_forgotten),
		cmocka_unit_test(instance_and_flags_come_with_the_contact),
		cmocka_unit_test(headers_of_a_contact_are_no_part_of_a_request_uri),
		cmocka_unit_test(contacts_that_do_not_take_the_method_are_passed_over),
		cmocka_unit_test(another_uri_can_be_looked_up),
		cmocka_unit_test(flags_may_stand_in_front_of_the_uri),
		cmocka_unit_test(the_request_uri_as_it_stands_is_looked_up),
		cmocka_unit_test(contacts_beyond_the_branches_are_counted),
		cmocka_unit_test(long_contacts_fill_the_context_and_no_more),
		cmocka_unit_test(all_contacts_can_be_branches),
		cmocka_unit_test(each_branch_is_looked_up),
		cmocka_unit_test(registered_says_whether_a_user_is_there),
		cmocka_unit_test(is_registered_is_of_who_sends),
		cmocka_unit_test(unregister_takes_all_contacts_away),
		cmocka_unit_test(tables_are_apart),
		cmocka_unit_test(a_worker_looks_up_and_hands_a_save_over),
		cmocka_unit_test(what_a_script_will_read_is_known_before),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
