/* SPDX-License-Identifier: BSD-3-Clause */
/* Path (RFC 3327), outbound (RFC 5626), and what says where a user agent is. */
#include "common.h"

#define SAVE "\tsave(\"location\");\n\t$var(rc) = $rc;"
#define PHONE "<sip:alice@198.51.100.7:5060>"
#define DESK "<sip:alice@198.51.100.8:5060>"
#define ONE "+sip.instance=\"<urn:uuid:00000000-0000-0000-0000-000000000001>\""
#define ONE_UPPER "+SIP.Instance=\"<URN:UUID:00000000-0000-0000-0000-000000000001>\""
#define TWO "+sip.instance=\"<urn:uuid:00000000-0000-0000-0000-000000000002>\""
#define REG(name, value) "modparam(\"registrar\", \"" name "\", " value ")\n"

/* The one contact of alice, as the table has it. */
static void read_set(struct stage *s, struct location_set *set)
{
	struct hash128 digest = location_digest(s->location, 0, STR("alice"));

	assert_true(location_read(s->location, digest, 0, STR("alice"),
			    (uint32_t)(s->thread.now_ns / CLOCK_NS_PER_S), set) >= 0);
}

/* A REGISTER that came through a proxy. */
static const char *through_proxy(
	struct stage *s, const char *call_id, unsigned cseq, const char *lines)
{
	char more[4096];

	snprintf(more, sizeof(more), "Via: SIP/2.0/UDP 10.9.9.9;branch=z9hG4bKedge\n%s", lines);
	return send_registration(s, call_id, cseq, more);
}

/* ---- Path ---- */

static void path_is_kept_where_it_is_asked_for(void **state)
{
	struct stage *s = stage_open(REG("use_path", "1"), SAVE);
	struct location_set set;
	const char *reply = send_registration(s, "c1", 1,
		"Supported: x, PATH\nPath: <sip:p1.example.net;lr;ob>, \"P, 2\" "
		"<sip:p2.example.net;lr>;a=b\nPath: sip:p3.example.net;lr\nContact: " PHONE "\n");

	assert_contact(reply, PHONE ";expires=3600");
	assert_string_equal(line(reply, "Path"),
		"<sip:p1.example.net;lr;ob>,<sip:p2.example.net;lr>;a=b,<sip:p3.example.net>;lr");
	read_set(s, &set);
	assert_string_equal(
		line(reply, "Path"), strndupa(set.contact[0].path.s, set.contact[0].path.len));
	/* Without use_path it is nobody's business here. */
	assert_true(stage_load(s, "", SAVE));
	reply = send_registration(
		s, "c1", 2, "Path: <sip:p1.example.net;lr>\nContact: " PHONE "\n");
	assert_contact(reply, PHONE ";expires=3600");
	assert_null(line(reply, "Path"));
	read_set(s, &set);
	assert_int_equal(set.contact[0].path.len, 0);
	stage_close(s);
}

static void path_needs_a_client_that_knows_it(void **state)
{
	static const char lines[] = "Path: <sip:p1.example.net;lr>\nContact: " PHONE "\n";
	struct stage *s = stage_open(REG("use_path", "1"), SAVE);
	const char *reply = send_registration(s, "c1", 1, lines);

	assert_refused(reply, 420, "Path without Supported: path");
	assert_string_equal(line(reply, "Unsupported"), "path");
	assert_string_equal(registered_contacts(s), "");
	/* Lazy: it is kept and not said. */
	assert_true(stage_load(s, REG("use_path", "1") REG("path_mode", "1"), SAVE));
	reply = send_registration(s, "c1", 2, lines);
	assert_contact(reply, PHONE ";expires=3600");
	assert_null(line(reply, "Path"));
	/* Off: also to who knows it. */
	assert_true(stage_load(s, REG("use_path", "1") REG("path_mode", "0"), SAVE));
	reply = send_registration(
		s, "c1", 3, "Supported: path\nPath: <sip:p1.example.net;lr>\nContact: " PHONE "\n");
	assert_contact(reply, PHONE ";expires=3600");
	assert_null(line(reply, "Path"));
	stage_close(s);
}

static void a_path_that_cannot_be_used_is_refused(void **state)
{
	static const char *const bad[] = {"<sip:p1.example.net>", "<sip:p1.example.net", "*",
		"<tel:+1;lr>", "<sip:p1.example.net;lr>, x", ""};
	struct stage *s = stage_open(REG("use_path", "1"), SAVE);
	char lines[4096];
	size_t at;

	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(lines, sizeof(lines), "Supported: path\nPath: %s\nContact: " PHONE "\n",
			bad[i]);
		assert_refused(send_registration(s, "c1", i + 1, lines), 400,
			"Path is malformed, too long or no loose route");
	}
	at = (size_t)snprintf(lines, sizeof(lines), "Supported: path\nPath: ");
	for (unsigned i = 0; i < 42; i++)
		at += (size_t)snprintf(lines + at, sizeof(lines) - at,
			"%s<sip:p%02u.example.net;lr>", i == 0 ? "" : ",", i);
	snprintf(lines + at, sizeof(lines) - at, "\nContact: " PHONE "\n");
	assert_refused(send_registration(s, "c1", 10, lines), 400,
		"Path is malformed, too long or no loose route");
	assert_string_equal(registered_contacts(s), "");
	stage_close(s);
}

/* ---- where a user agent is ---- */

static void received_is_what_the_edge_says_of_it(void **state)
{
	struct stage *s = stage_open(REG("use_path", "1") REG("path_use_received",
					     "1") "modparam(\"usrloc\", \"nat_bflag\", 6)\n",
		SAVE);
	struct location_set set;

	assert_contact(send_registration(s, "c1", 1,
			       "Supported: path\n"
			       "Path: <sip:edge.example.net;lr;received=sip:203.0.113.9:40000>\n"
			       "Contact: <sip:alice@10.0.0.7>\n"),
		"<sip:alice@10.0.0.7>;expires=3600;received=\"sip:203.0.113.9:40000\"");
	read_set(s, &set);
	assert_int_equal(set.contact[0].flags, 1u << 6);
	/* A neighbour's word in the Contact (add_rcv_param of nathelper). */
	assert_contact(send_registration(s, "c1", 2,
			       "Contact: <sip:alice@10.0.0.7>;received=\"sip:203.0.113.8:4000;"
			       "transport=udp\"\n"),
		"<sip:alice@10.0.0.7>;expires=3600;received=\"sip:203.0.113.8:4000\"");
	/* What is no address of ours to send to is none. */
	assert_contact(send_registration(s, "c1", 3,
			       "Contact: <sip:alice@10.0.0.7>;received=\"sip:host.example.net\"\n"),
		"<sip:alice@10.0.0.7>;expires=3600");
	assert_contact(send_registration(s, "c1", 4,
			       "Contact: <sip:alice@10.0.0.7>;received=\"sip:203.0.113.8;transport="
			       "tcp\"\n"),
		"<sip:alice@10.0.0.7>;expires=3600");
	stage_close(s);
}

static void the_parameter_for_received_has_the_name_that_is_wanted(void **state)
{
	static const char lines[] =
		"Contact: <sip:alice@10.0.0.7>;received=\"sip:[2001:db8::9]:4000\"\n";
	struct stage *s = stage_open(REG("received_param", "\"rcv\""), SAVE);

	assert_contact(send_registration(s, "c1", 1, lines),
		"<sip:alice@10.0.0.7>;expires=3600;rcv=\"sip:[2001:db8::9]:4000\"");
	assert_true(stage_load(s, REG("received_param", "\"\""), SAVE));
	assert_contact(send_registration(s, "c1", 2, lines), "<sip:alice@10.0.0.7>;expires=3600");
	stage_close(s);
}

/* As the language keeps it; scripts write $avp(rcv) = "sip:$si:$sp". */
static void received_is_what_the_avp_says(void **state)
{
	struct stage *s = stage_open(REG("received_avp", "\"$avp(s:rcv)\""),
		"\t$avp(rcv) = \"sip:\" + $si + \":\" + $sp;\n\tsave(\"location\");");

	s->source.port = 40123;
	assert_contact(send_registration(s, "c1", 1, "Contact: <sip:alice@10.0.0.7>\n"),
		"<sip:alice@10.0.0.7>;expires=3600;received=\"sip:198.51.100.7:40123\"");
	stage_close(s);
}

static void a_trusted_neighbour_says_which_listener(void **state)
{
	static const char body[] = "\tif (is_present_hf(\"X-Trust\")) setflag(4);\n" SAVE;
	struct stage *s =
		stage_open(REG("sock_flag", "4") REG("sock_hdr_name", "\"Sock-Info\""), body);
	struct location_set set;

	send_registration(s, "c1", 1, "Sock-Info: udp:192.0.2.1:5070\nContact: " PHONE "\n");
	read_set(s, &set);
	assert_int_equal(set.contact[0].listener, MAIN);
	send_registration(
		s, "c1", 2, "X-Trust: 1\nSock-Info: udp:192.0.2.1:5070\nContact: " PHONE "\n");
	read_set(s, &set);
	assert_int_equal(set.contact[0].listener, OTHER);
	send_registration(
		s, "c1", 3, "X-Trust: 1\nSock-Info: udp:203.0.113.1:5070\nContact: " PHONE "\n");
	read_set(s, &set);
	assert_int_equal(set.contact[0].listener, MAIN);
	stage_close(s);
}

/* ---- instances ---- */

static void an_instance_that_moves_takes_its_binding_along(void **state)
{
	struct stage *s = stage_open("", SAVE);

	send_registration(s, "c1", 1, "Contact: " PHONE ";" ONE "\n");
	send_registration(s, "c2", 1, "Contact: " DESK ";" TWO "\n");
	assert_contact(
		send_registration(s, "c3", 1, "Contact: <sip:alice@10.0.0.9>;" ONE_UPPER "\n"),
		"<sip:alice@10.0.0.9>;expires=3600;+sip.instance=\"<URN:UUID:00000000-0000-0000-"
		"0000-000000000001>\", " DESK ";expires=3600;" TWO);
	assert_int_equal(stage_rc(s), 2);
	/* Its own CSeq counts. */
	assert_refused(send_registration(s, "c2", 0, "Contact: <sip:alice@10.0.0.8>;" TWO "\n"),
		400, "CSeq is not above that of the binding");
	/* Two instances may have the same private address. */
	assert_contact(send_registration(s, "c2", 2, "Contact: <sip:alice@10.0.0.9>;" TWO "\n"),
		"<sip:alice@10.0.0.9>;expires=3600;+sip.instance=\"<URN:UUID:00000000-0000-0000-"
		"0000-000000000001>\", <sip:alice@10.0.0.9>;expires=3600;" TWO);
	/* Who forgets its instance when it goes is known by its URI. */
	send_registration(s, "c4", 1, "Contact: <sip:alice@10.0.0.9>;expires=0\n");
	assert_string_equal(registered_contacts(s), "<sip:alice@10.0.0.9>;expires=3600;" TWO);
	stage_close(s);
}

static void malformed_instances_and_reg_ids_are_refused(void **state)
{
	static const struct {
		const char *params, *why;
	} bad[] = {
		{"+sip.instance=x", "+sip.instance is malformed or too long"},
		{"+sip.instance=\"\"", "+sip.instance is malformed or too long"},
		{"+sip.instance", "+sip.instance is malformed or too long"},
		{ONE ";reg-id=0", "reg-id is no number from 1"},
		{ONE ";reg-id=x", "reg-id is no number from 1"},
		{ONE ";reg-id=-1", "reg-id is no number from 1"},
		{ONE ";reg-id=2147483648", "reg-id is no number from 1"},
		{ONE ";reg-id", "reg-id is no number from 1"},
	};
	struct stage *s = stage_open(REG("regid_mode", "1"), SAVE);
	char lines[512];

	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(lines, sizeof(lines), "Contact: " PHONE ";%s\n", bad[i].params);
		assert_refused(send_registration(s, "c1", i + 1, lines), 400, bad[i].why);
	}
	snprintf(lines, sizeof(lines), "Contact: " PHONE ";+sip.instance=\"<%0*d>\"\n",
		LOCATION_INSTANCE_MAX - 3, 1);
	assert_refused(send_registration(s, "c1", 20, lines), 400,
		"+sip.instance is malformed or too long");
	snprintf(lines, sizeof(lines), "Contact: " PHONE ";+sip.instance=\"<%0*d>\"\n",
		LOCATION_INSTANCE_MAX - 4, 1);
	assert_status(send_registration(s, "c1", 21, lines), 200);
	/* Without an instance it is ignored (RFC 5626 6). */
	assert_status(
		send_registration(s, "c2", 1, "Contact: " DESK ";reg-id=0;expires=60\n"), 200);
	assert_non_null(strstr(s->reply, DESK ";expires=60"));
	assert_null(strstr(s->reply, "reg-id"));
	stage_close(s);
}

/* ---- outbound ---- */

static void two_flows_of_one_instance_are_two_bindings(void **state)
{
	struct stage *s = stage_open(REG("outbound_mode", "1") REG("flow_timer", "120"), SAVE);
	const char *reply;

	s->source.port = 40001;
	reply = send_registration(
		s, "c1", 1, "Supported: path, outbound\nContact: " PHONE ";" ONE ";reg-id=1\n");
	assert_contact(
		reply, PHONE ";expires=3600;received=\"sip:198.51.100.7:40001\";" ONE ";reg-id=1");
	assert_string_equal(line(reply, "Require"), "outbound");
	assert_string_equal(line(reply, "Supported"), "outbound");
	assert_string_equal(line(reply, "Flow-Timer"), "120");
	s->source.port = 40002;
	assert_contact(send_registration(s, "c2", 1,
			       "Supported: outbound\nContact: " PHONE ";" ONE ";reg-id=2\n"),
		PHONE ";expires=3600;received=\"sip:198.51.100.7:40001\";" ONE ";reg-id=1, " PHONE
		      ";expires=3600;received=\"sip:198.51.100.7:40002\";" ONE ";reg-id=2");
	/* The same one again: the flow is a new one. */
	s->source.port = 40003;
	assert_contact(send_registration(s, "c3", 1,
			       "Supported: outbound\nContact: " DESK ";" ONE ";reg-id=1\n"),
		DESK ";expires=3600;received=\"sip:198.51.100.7:40003\";" ONE ";reg-id=1, " PHONE
		     ";expires=3600;received=\"sip:198.51.100.7:40002\";" ONE ";reg-id=2");
	stage_close(s);
}

/* RFC 5626 6: without a reg-id a Contact is its URI's (RFC 3261 10.3), whichever way it was bound.
 */
static void a_phone_that_gives_its_flow_up_is_one_binding(void **state)
{
	struct stage *s = stage_open(REG("regid_mode", "1"), SAVE);

	assert_contact(send_registration(s, "c1", 1, "Contact: " PHONE ";" ONE ";reg-id=1\n"),
		PHONE ";expires=3600;" ONE ";reg-id=1");
	assert_contact(send_registration(s, "c1", 2, "Contact: " PHONE ";" ONE "\n"),
		PHONE ";expires=3600;" ONE);
	assert_contact(send_registration(s, "c1", 3, "Contact: " PHONE ";" ONE ";reg-id=2\n"),
		PHONE ";expires=3600;" ONE ";reg-id=2");
	/* Another phone of a private network with the same address is another one. */
	assert_contact(send_registration(s, "c2", 1, "Contact: " PHONE ";" TWO "\n"),
		PHONE ";expires=3600;" ONE ";reg-id=2, " PHONE ";expires=3600;" TWO);
	assert_contact(send_registration(s, "c1", 4, "Contact: " PHONE ";" ONE ";expires=0\n"),
		PHONE ";expires=3600;" TWO);
	stage_close(s);
}

static void without_a_reg_id_nothing_is_required(void **state)
{
	struct stage *s = stage_open(REG("outbound_mode", "1") REG("flow_timer", "120"), SAVE);
	const char *reply =
		send_registration(s, "c1", 1, "Supported: outbound\nContact: " PHONE ";" ONE "\n");

	assert_contact(reply, PHONE ";expires=3600;" ONE);
	assert_null(line(reply, "Require"));
	assert_null(line(reply, "Flow-Timer"));
	assert_string_equal(line(reply, "Supported"), "outbound");
	stage_close(s);
}

static void the_edge_has_to_know_outbound(void **state)
{
	static const char contact[] = "Contact: " PHONE ";" ONE ";reg-id=1\n";
	struct stage *s = stage_open(REG("outbound_mode", "1") REG("use_path", "1"), SAVE);
	const char *reply;
	char lines[1024];

	snprintf(lines, sizeof(lines), "Supported: path, outbound\n%s", contact);
	reply = through_proxy(s, "c1", 1, lines);
	assert_refused(reply, 439, "The edge proxy lacks outbound");
	assert_memory_equal(reply, "SIP/2.0 439 First Hop Lacks Outbound Support\r\n", 46);
	snprintf(lines, sizeof(lines), "Supported: path, outbound\nPath: <sip:e.net;lr>\n%s",
		contact);
	assert_refused(through_proxy(s, "c1", 2, lines), 439, "The edge proxy lacks outbound");
	snprintf(lines, sizeof(lines), "Supported: path, outbound\nPath: <sip:e.net;lr;ob>\n%s",
		contact);
	reply = through_proxy(s, "c1", 3, lines);
	/* The flow is the edge's business: no received. */
	assert_contact(reply, PHONE ";expires=3600;" ONE ";reg-id=1");
	assert_string_equal(line(reply, "Require"), "outbound");
	/* Who does not ask for outbound has its reg-id ignored: it is a Contact as any, and its URI
	 * is registered. */
	snprintf(lines, sizeof(lines), "Supported: path\nPath: <sip:e.net;lr>\n%s", contact);
	reply = through_proxy(s, "c2", 1, lines);
	assert_contact(reply, PHONE ";expires=3600;" ONE);
	assert_null(line(reply, "Require"));
	stage_close(s);
}

static void outbound_may_be_required_by_either(void **state)
{
	struct stage *s = stage_open(REG("outbound_mode", "2"), SAVE);
	const char *reply = send_registration(s, "c1", 1, "Contact: " PHONE "\n");

	assert_refused(reply, 421, "outbound is required");
	assert_memory_equal(reply, "SIP/2.0 421 Extension Required\r\n", 32);
	assert_string_equal(line(reply, "Require"), "outbound");
	assert_string_equal(line(reply, "Supported"), "outbound");
	assert_status(
		send_registration(s, "c1", 2, "Supported: outbound\nContact: " PHONE "\n"), 200);
	assert_status(
		send_registration(s, "c1", 3, "Require: outbound\nContact: " PHONE "\n"), 200);
	assert_true(stage_load(s, "", SAVE));
	reply = send_registration(s, "c1", 4, "Require: outbound\nContact: " PHONE "\n");
	assert_refused(reply, 420, "Require names what is not supported");
	assert_string_equal(line(reply, "Unsupported"), "outbound");
	stage_close(s);
}

static void a_flow_is_registered_alone(void **state)
{
	struct stage *s = stage_open(REG("outbound_mode", "1"), SAVE);

	assert_refused(
		send_registration(s, "c1", 1,
			"Supported: outbound\nContact: " PHONE ";" ONE ";reg-id=1, " DESK "\n"),
		400, "A Contact with reg-id stands alone");
	assert_status(send_registration(s, "c1", 2,
			      "Supported: outbound\nContact: " PHONE ";" ONE ";reg-id=1, " DESK
			      ";expires=0\n"),
		200);
	stage_close(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(path_is_kept_where_it_is_asked_for),
		cmocka_unit_test(path_needs_a_client_that_knows_it),
		cmocka_unit_test(a_path_that_cannot_be_used_is_refused),
		cmocka_unit_test(received_is_what_the_edge_says_of_it),
		cmocka_unit_test(the_parameter_for_received_has_the_name_that_is_wanted),
		cmocka_unit_test(received_is_what_the_avp_says),
		cmocka_unit_test(a_trusted_neighbour_says_which_listener),
		cmocka_unit_test(an_instance_that_moves_takes_its_binding_along),
		cmocka_unit_test(malformed_instances_and_reg_ids_are_refused),
		cmocka_unit_test(two_flows_of_one_instance_are_two_bindings),
		cmocka_unit_test(a_phone_that_gives_its_flow_up_is_one_binding),
		cmocka_unit_test(without_a_reg_id_nothing_is_required),
		cmocka_unit_test(the_edge_has_to_know_outbound),
		cmocka_unit_test(outbound_may_be_required_by_either),
		cmocka_unit_test(a_flow_is_registered_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
