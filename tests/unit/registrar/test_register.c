/* SPDX-License-Identifier: BSD-3-Clause */
/* RFC 3261 10.3, rule by rule: REGISTER in, reply out. */
#include "common.h"

#define SAVE "\tsave(\"location\");\n\t$var(rc) = $rc;"
#define PHONE "<sip:alice@198.51.100.7:5060>"
#define DESK "<sip:alice@198.51.100.8:5060>"

static void a_registration_is_answered_to_the_letter(void **state)
{
	struct stage *s = stage_open("", SAVE);

	assert_string_equal(send_registration(s, "c1", 1, "Contact: " PHONE "\n"),
		"SIP/2.0 200 OK\r\n"
		"Via: SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bKc1-1\r\n"
		"From: <sip:alice@example.com>;tag=f1\r\n"
		"To: <sip:alice@example.com>;tag=T\r\n"
		"Call-ID: c1\r\n"
		"CSeq: 1 REGISTER\r\n"
		"Contact: " PHONE ";expires=3600\r\n"
		"Content-Length: 0\r\n\r\n");
	assert_int_equal(stage_rc(s), 1);
	stage_pass(s, 100);
	assert_string_equal(registered_contacts(s), PHONE ";expires=3500");
	assert_int_equal(stage_rc(s), 4);
	assert_int_equal(registrar_counter(s->registrar, REGISTRAR_COUNTER_ACCEPTED), 2);
	assert_int_equal(registrar_counter(s->registrar, REGISTRAR_COUNTER_REJECTED), 0);
	stage_close(s);
}

static void nothing_registered_is_a_200_without_contact(void **state)
{
	struct stage *s = stage_open("", SAVE);
	const char *reply = send_registration(s, "c1", 1, "");

	assert_status(reply, 200);
	assert_null(line(reply, "Contact"));
	stage_close(s);
}

static void a_binding_ends_when_its_time_is_over(void **state)
{
	struct stage *s = stage_open("", SAVE);

	send_registration(s, "c1", 1, "Contact: " PHONE ";expires=100\n");
	stage_pass(s, 99);
	assert_string_equal(registered_contacts(s), PHONE ";expires=1");
	stage_pass(s, 1);
	assert_string_equal(registered_contacts(s), "");
	stage_close(s);
}

/* Step 7: parameter, else header, else default; each Contact its own. */
static void expires_comes_from_the_contact_the_header_or_the_default(void **state)
{
	struct stage *s = stage_open("modparam(\"registrar\", \"default_expires\", 1800)", SAVE);

	assert_contact(
		send_registration(s, "c1", 1, "Contact: " PHONE "\n"), PHONE ";expires=1800");
	assert_contact(send_registration(s, "c1", 2, "Expires: 700\nContact: " PHONE "\n"),
		PHONE ";expires=700");
	assert_contact(send_registration(s, "c1", 3,
			       "Expires: 700\nContact: " PHONE ";expires=300, " DESK "\n"),
		PHONE ";expires=300, " DESK ";expires=700");
	/* 20.10: malformed is as good as the default. */
	assert_contact(send_registration(s, "c1", 4, "Contact: " PHONE ";expires=soon\n"),
		PHONE ";expires=1800, " DESK ";expires=700");
	assert_contact(send_registration(s, "c1", 5, "Contact: " PHONE ";expires=\"200\"\n"),
		PHONE ";expires=1800, " DESK ";expires=700");
	assert_refused(send_registration(s, "c1", 6, "Expires: soon\nContact: " PHONE "\n"), 400,
		"Expires is no number");
	assert_refused(send_registration(s, "c1", 6, "Expires: -1\nContact: " PHONE "\n"), 400,
		"Expires is no number");
	stage_close(s);
}

static void expires_beyond_all_bounds_is_as_much_as_there_is(void **state)
{
	static const char *const seconds[] = {"4294967295", "4294967296", "18446744073709551615",
		"18446744073709551616", "10000000000000000000000000000000000000000000"};
	struct stage *s = stage_open("", SAVE);
	char lines[256];
	unsigned cseq = 1;

	for (unsigned i = 0; i < sizeof(seconds) / sizeof(seconds[0]); i++) {
		snprintf(lines, sizeof(lines), "Contact: " PHONE ";expires=%s\n", seconds[i]);
		assert_contact(
			send_registration(s, "c1", cseq++, lines), PHONE ";expires=2147483647");
		snprintf(lines, sizeof(lines), "Expires: %s\nContact: " PHONE "\n", seconds[i]);
		assert_contact(
			send_registration(s, "c1", cseq++, lines), PHONE ";expires=2147483647");
	}
	stage_pass(s, 1000000000);
	assert_string_equal(registered_contacts(s), PHONE ";expires=1147483647");
	stage_close(s);
}

static void expires_is_kept_within_the_bounds(void **state)
{
	struct stage *s = stage_open("modparam(\"registrar\", \"min_expires\", 120)\n"
				     "modparam(\"registrar\", \"max_expires\", 600)",
		SAVE);

	assert_contact(send_registration(s, "c1", 1, "Contact: " PHONE ";expires=1\n"),
		PHONE ";expires=120");
	assert_contact(send_registration(s, "c1", 2, "Contact: " PHONE ";expires=7200\n"),
		PHONE ";expires=600");
	assert_contact(send_registration(s, "c1", 3, "Contact: " PHONE "\n"), PHONE ";expires=600");
	stage_close(s);
}

static void a_brief_interval_is_refused_with_the_least_one(void **state)
{
	struct stage *s = stage_open("modparam(\"registrar\", \"min_expires\", 7200)\n"
				     "modparam(\"registrar\", \"min_expires_mode\", 1)",
		SAVE);
	const char *reply = send_registration(
		s, "c1", 1, "Contact: " DESK ";expires=7200\nContact: " PHONE ";expires=3599\n");

	assert_refused(reply, 423, "Expires is too brief");
	assert_string_equal(line(reply, "Min-Expires"), "7200");
	assert_memory_equal(reply, "SIP/2.0 423 Interval Too Brief\r\n", 32);
	assert_int_equal(stage_rc(s), -1);
	/* All or nothing. */
	assert_string_equal(registered_contacts(s), "");
	/* An hour and more may not be refused, only changed. */
	assert_contact(send_registration(s, "c1", 1, "Contact: " PHONE ";expires=3600\n"),
		PHONE ";expires=7200");
	/* Zero is no interval. */
	assert_status(send_registration(s, "c1", 2, "Contact: " PHONE ";expires=0\n"), 200);
	assert_string_equal(registered_contacts(s), "");
	stage_close(s);
}

static void one_contact_is_removed_by_0_and_others_stay(void **state)
{
	struct stage *s = stage_open("", SAVE);

	send_registration(s, "c1", 1, "Contact: " PHONE ", " DESK "\n");
	assert_contact(send_registration(s, "c1", 2, "Contact: " PHONE ";expires=0\n"),
		DESK ";expires=3600");
	assert_int_equal(stage_rc(s), 3);
	/* What is not there is gone already. */
	assert_contact(send_registration(s, "c1", 3, "Contact: " PHONE ";expires=0\n"),
		DESK ";expires=3600");
	assert_int_equal(stage_rc(s), 1);
	assert_status(send_registration(s, "c1", 4, "Expires: 0\nContact: " DESK "\n"), 200);
	assert_string_equal(registered_contacts(s), "");
	stage_close(s);
}

/* Step 6. */
static void a_star_removes_all(void **state)
{
	struct stage *s = stage_open("", SAVE);
	const char *reply;

	send_registration(s, "c1", 1, "Contact: " PHONE ", " DESK "\n");
	send_registration(s, "c2", 5, "Contact: <sip:alice@198.51.100.9>\n");
	reply = send_registration(s, "c1", 2, "Expires: 0\nContact: *\n");
	assert_status(reply, 200);
	assert_null(line(reply, "Contact"));
	assert_int_equal(stage_rc(s), 3);
	assert_string_equal(registered_contacts(s), "");
	/* Its retransmission finds nothing more. */
	assert_status(send_registration(s, "c1", 2, "Expires: 0\nContact: *\n"), 200);
	stage_close(s);
}

static void a_star_that_is_no_newer_than_a_binding_of_its_call_removes_none(void **state)
{
	struct stage *s = stage_open("", SAVE);

	send_registration(s, "c2", 7, "Contact: " DESK "\n");
	send_registration(s, "c1", 7, "Contact: " PHONE "\n");
	assert_refused(send_registration(s, "c1", 7, "Expires: 0\nContact: *\n"), 400,
		"CSeq is not above that of the binding");
	assert_refused(send_registration(s, "c1", 6, "Expires: 0\nContact: *\n"), 400,
		"CSeq is not above that of the binding");
	assert_string_equal(registered_contacts(s), DESK ";expires=3600, " PHONE ";expires=3600");
	stage_close(s);
}

static void a_star_stands_alone_and_with_expires_0(void **state)
{
	static const struct {
		const char *lines, *why;
	} bad[] = {
		{"Contact: *\n", "Contact * needs Expires: 0"},
		{"Expires: 1\nContact: *\n", "Contact * needs Expires: 0"},
		{"Expires: 0\nContact: *\nContact: " PHONE "\n", "Contact * stands alone"},
		{"Expires: 0\nContact: " PHONE "\nContact: *\n", "Contact * stands alone"},
		{"Expires: 0\nContact: *\nContact: *\n", "Contact * stands alone"},
		{"Expires: 0\nContact: *, " PHONE "\n", NULL},
		{"Expires: 0\nContact: " PHONE ", *\n", "Contact * stands alone"},
		{"Contact: *;expires=0\n", NULL},
		{"Expires: 0\nContact: <*>\n", NULL},
	};
	struct stage *s = stage_open("", SAVE);

	send_registration(s, "c1", 1, "Contact: " PHONE "\n");
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		const char *reply = send_registration(s, "c2", 2, bad[i].lines);

		/* What the check of the whole message refuses comes to no script. */
		if (bad[i].why != NULL)
			assert_refused(reply, 400, bad[i].why);
		else
			assert_int_not_equal(status(reply), 200);
	}
	assert_string_equal(registered_contacts(s), PHONE ";expires=3600");
	stage_close(s);
}

/* Step 7: Call-ID and CSeq. */
static void an_older_request_of_the_same_call_changes_nothing(void **state)
{
	struct stage *s = stage_open("", SAVE);

	send_registration(s, "c1", 5, "Contact: " PHONE "\n");
	stage_pass(s, 60);
	assert_refused(send_registration(s, "c1", 4, "Contact: " DESK ", " PHONE ";expires=100\n"),
		400, "CSeq is not above that of the binding");
	assert_refused(send_registration(s, "c1", 4, "Contact: " PHONE ";expires=0\n"), 400,
		"CSeq is not above that of the binding");
	assert_string_equal(registered_contacts(s), PHONE ";expires=3540");
	assert_int_equal(registrar_counter(s->registrar, REGISTRAR_COUNTER_OUT_OF_ORDER), 2);
	assert_contact(send_registration(s, "c1", 6, "Contact: " PHONE ";expires=100\n"),
		PHONE ";expires=100");
	assert_int_equal(stage_rc(s), 2);
	/* Another call's numbers are its own. */
	assert_contact(send_registration(s, "c2", 1, "Contact: " PHONE ";expires=200\n"),
		PHONE ";expires=200");
	assert_status(send_registration(s, "c3", 1, "Contact: " PHONE ";expires=0\n"), 200);
	assert_string_equal(registered_contacts(s), "");
	stage_close(s);
}

static void a_retransmission_is_answered_again_and_changes_nothing(void **state)
{
	struct stage *s = stage_open("", SAVE);

	send_registration(s, "c1", 5, "Contact: " PHONE "\n");
	stage_pass(s, 10);
	assert_contact(
		send_registration(s, "c1", 5, "Contact: " PHONE "\n"), PHONE ";expires=3590");
	assert_int_equal(stage_rc(s), 1);
	/* It is one for so long, and then a mistake. */
	stage_pass(s, 10);
	assert_refused(send_registration(s, "c1", 5, "Contact: " PHONE "\n"), 400,
		"CSeq is not above that of the binding");
	stage_close(s);

	s = stage_open("modparam(\"usrloc\", \"cseq_delay\", 0)", SAVE);
	send_registration(s, "c1", 5, "Contact: " PHONE "\n");
	assert_refused(send_registration(s, "c1", 5, "Contact: " PHONE "\n"), 400,
		"CSeq is not above that of the binding");
	stage_close(s);
}

static void a_cseq_beyond_its_bound_comes_to_no_script(void **state)
{
	struct stage *s = stage_open("", SAVE);

	assert_status(send_registration(s, "c1", 2147483647, "Contact: " PHONE "\n"), 200);
	assert_null(send_registration(s, "c1", 2147483648, "Contact: " PHONE "\n"));
	assert_int_equal(s->error, SIP_ERROR_CSEQ);
	assert_null(send_registration(s, "c1", 4294967295, "Contact: " PHONE "\n"));
	stage_close(s);
}

/* 19.1.4 says which Contact is which. */
static void bindings_are_found_by_the_comparison_of_uris(void **state)
{
	static const struct {
		const char *first, *second;
		bool equal;
	} pair[] = {
		{"sip:alice@Phone.Example.com", "SIP:alice@phone.example.COM", true},
		{"sip:alice@phone.example.com", "sip:%61lice@phone.example.com", true},
		{"sip:alice@phone.example.com", "sip:Alice@phone.example.com", false},
		{"sip:alice@phone.example.com", "sip:alice@phone.example.com:5060", false},
		{"sip:alice@phone.example.com;transport=udp", "sip:alice@phone.example.com", false},
		{"sip:alice@phone.example.com;a=1;b=2", "sip:alice@phone.example.com;b=2;a=1",
			true},
		{"sip:alice@phone.example.com;a=1", "sip:alice@phone.example.com", true},
		{"sip:alice@phone.example.com;a=1", "sip:alice@phone.example.com;a=2", false},
		{"sip:alice@[2001:db8::7]", "sip:alice@[2001:DB8:0:0::7]", true},
		{"sips:alice@phone.example.com", "sip:alice@phone.example.com", false},
		{"mailto:alice@phone.example.com", "mailto:alice@phone.example.com", true},
		{"sip:alice@phone.example.com?a=b", "sip:alice@phone.example.com", false},
	};

	for (unsigned i = 0; i < sizeof(pair) / sizeof(pair[0]); i++) {
		struct stage *s = stage_open("", SAVE);
		char lines[256], both[512];
		const char *reply;

		snprintf(lines, sizeof(lines), "Contact: <%s>\n", pair[i].first);
		assert_status(send_registration(s, "c1", 1, lines), 200);
		snprintf(lines, sizeof(lines), "Contact: <%s>;expires=500\n", pair[i].second);
		reply = send_registration(s, "c1", 2, lines);
		if (pair[i].equal)
			snprintf(both, sizeof(both), "<%s>;expires=500", pair[i].second);
		else
			snprintf(both, sizeof(both), "<%s>;expires=3600, <%s>;expires=500",
				pair[i].first, pair[i].second);
		assert_contact(reply, both);
		stage_close(s);
	}
}

static void of_equal_contacts_in_one_request_the_last_counts(void **state)
{
	struct stage *s = stage_open("", SAVE);

	assert_contact(
		send_registration(s, "c1", 1,
			"Contact: " PHONE ";expires=100\nContact: " PHONE ";expires=200;q=0.2\n"),
		PHONE ";q=0.2;expires=200");
	assert_status(send_registration(s, "c1", 2,
			      "Contact: " PHONE ";expires=100\nContact: " PHONE ";expires=0\n"),
		200);
	assert_string_equal(registered_contacts(s), "");
	stage_close(s);
}

static void contacts_are_listed_by_q_and_then_as_they_came(void **state)
{
	struct stage *s = stage_open("", SAVE);

	assert_contact(send_registration(s, "c1", 1,
			       "Contact: <sip:a@h1>;q=0.1, <sip:a@h2>;q=1.0\n"
			       "m: <sip:a@h3>\nContact: \"A, B\" <sip:a@h4>;q=0.1;x=y\n"),
		"<sip:a@h2>;q=1;expires=3600, <sip:a@h1>;q=0.1;expires=3600, "
		"<sip:a@h4>;q=0.1;expires=3600, <sip:a@h3>;expires=3600");
	/* A refresh changes no order. */
	assert_contact(send_registration(s, "c1", 2, "Contact: <sip:a@h1>;q=0.1;expires=60\n"),
		"<sip:a@h2>;q=1;expires=3600, <sip:a@h1>;q=0.1;expires=60, "
		"<sip:a@h4>;q=0.1;expires=3600, <sip:a@h3>;expires=3600");
	/* Another q does. */
	assert_contact(send_registration(s, "c1", 3, "Contact: <sip:a@h4>;q=0.555\n"),
		"<sip:a@h2>;q=1;expires=3600, <sip:a@h4>;q=0.555;expires=3600, "
		"<sip:a@h1>;q=0.1;expires=60, <sip:a@h3>;expires=3600");
	assert_string_equal(registered_contacts(s),
		"<sip:a@h2>;q=1;expires=3600, <sip:a@h4>;q=0.555;expires=3600, "
		"<sip:a@h1>;q=0.1;expires=60, <sip:a@h3>;expires=3600");
	stage_close(s);
}

static void q_is_a_number_of_its_grammar(void **state)
{
	static const struct {
		const char *q, *said;
	} value[] = {{"0", ";q=0"}, {"0.0", ";q=0"}, {"0.", ";q=0"}, {"0.05", ";q=0.05"},
		{"0.999", ";q=0.999"}, {"1", ";q=1"}, {"1.000", ";q=1"}, {"1.0000001", NULL},
		{"1.001", NULL}, {"2", NULL}, {"0.1234", NULL}, {"-0.5", NULL}, {".5", NULL},
		{"0,5", NULL}, {"abc", NULL}, {"0.5x", NULL}, {"00.5", NULL}, {"\"0.5\"", NULL}};
	struct stage *s = stage_open("modparam(\"registrar\", \"default_q\", 300)", SAVE);
	char lines[128], want[128];
	unsigned cseq = 1;

	for (unsigned i = 0; i < sizeof(value) / sizeof(value[0]); i++) {
		const char *reply;

		snprintf(lines, sizeof(lines), "Contact: " PHONE ";q=%s\n", value[i].q);
		reply = send_registration(s, "c1", cseq++, lines);
		snprintf(want, sizeof(want), PHONE "%s;expires=3600",
			value[i].said != NULL ? value[i].said : "");
		if (value[i].said != NULL)
			assert_contact(reply, want);
		else
			assert_int_equal(status(reply) == 200, 0);
	}
	assert_refused(send_registration(s, "c1", cseq++, "Contact: " PHONE ";q=1.001\n"), 400,
		"q is no number from 0 to 1");
	assert_contact(send_registration(s, "c1", cseq++, "Contact: " PHONE "\n"),
		PHONE ";q=0.3;expires=3600");
	stage_close(s);
}

/* Steps 2 and 8.2.2.3. */
static void what_is_required_and_not_supported_is_named(void **state)
{
	struct stage *s = stage_open("", SAVE);
	const char *reply = send_registration(
		s, "c1", 1, "Require: path, gruu\nRequire: outbound\nContact: " PHONE "\n");

	assert_refused(reply, 420, "Require names what is not supported");
	assert_memory_equal(reply, "SIP/2.0 420 Bad Extension\r\n", 27);
	assert_string_equal(line(reply, "Unsupported"), "path, gruu, outbound");
	assert_string_equal(registered_contacts(s), "");
	assert_true(stage_load(s, "modparam(\"registrar\", \"use_path\", 1)", SAVE));
	reply = send_registration(s, "c1", 1, "Require: path, gruu\nContact: " PHONE "\n");
	assert_string_equal(line(reply, "Unsupported"), "gruu");
	assert_status(send_registration(s, "c1", 1, "Require: path\nContact: " PHONE "\n"), 200);
	stage_close(s);
}

/* Step 5. */
static void an_address_of_another_domain_is_not_found(void **state)
{
	struct stage *s = stage_open("", SAVE);
	const char *text = registration("c1", 1, "Contact: " PHONE "\n");
	static const struct {
		const char *uri, *to;
		int status;
	} at[] = {
		{"sip:example.com", "sip:alice@example.com", 200},
		{"sip:example.com", "sip:alice@EXAMPLE.com", 200},
		{"sip:example.com", "sip:alice@192.0.2.1", 200},
		{"sip:example.com", "sip:alice@example.net", 404},
		{"sip:example.net", "sip:alice@example.net", 200},
		{"sip:ss2.example.net", "sip:alice@example.net", 200},
		{"sip:example.net", "sip:alice@sales.example.net", 200},
		{"sip:example.net", "sip:alice@badexample.net", 404},
		{"sip:192.0.2.1", "sip:alice@example.net", 200},
		{"sip:[2001:db8::1]", "sip:alice@example.net", 200},
	};

	for (unsigned i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
		char out[2048];
		const char *rest = strstr(text, "Call-ID");

		snprintf(out, sizeof(out),
			"REGISTER %s SIP/2.0\nVia: SIP/2.0/UDP 198.51.100.7;branch=z9hG4bK1\n"
			"Max-Forwards: 70\nFrom: <%s>;tag=1\nTo: <%s>\n%s",
			at[i].uri, at[i].to, at[i].to, rest);
		assert_status(stage_send(s, out), at[i].status);
	}
	stage_close(s);
}

static void only_a_register_registers(void **state)
{
	struct stage *s = stage_open("", "\tif (!save(\"location\")) sl_send_reply(\"499\");");
	const char *text = "INVITE sip:example.com SIP/2.0\n"
			   "Via: SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bK1\n"
			   "Max-Forwards: 70\nFrom: <sip:alice@example.com>;tag=f1\n"
			   "To: <sip:alice@example.com>\nCall-ID: c1\nCSeq: 1 INVITE\n"
			   "Contact: " PHONE "\nContent-Length: 0\n\n";

	assert_status(stage_send(s, text), 499);
	assert_string_equal(registered_contacts(s), "");
	stage_close(s);
}

static void a_reply_stands_whatever_the_script_does_next(void **state)
{
	struct stage *s = stage_open("", "\tsave(\"location\");\n\tforward(\"203.0.113.1\");");

	assert_contact(
		send_registration(s, "c1", 1, "Contact: " PHONE "\n"), PHONE ";expires=3600");
	assert_false(s->ctx->result.forward);
	stage_close(s);
}

static void lines_of_the_script_are_in_the_200(void **state)
{
	struct stage *s = stage_open("",
		"\tappend_to_reply(\"P-Associated-URI: <sip:a@example.com>\\r\\n\");\n"
		"\tsave(\"location\");\n\tappend_to_reply(\"X-After: yes\\r\\n\");");
	const char *reply = send_registration(s, "c1", 1, "Contact: " PHONE "\n");

	assert_contact(reply, PHONE ";expires=3600");
	assert_string_equal(line(reply, "P-Associated-URI"), "<sip:a@example.com>");
	assert_string_equal(line(reply, "X-After"), "yes");
	stage_close(s);
}

/* For people: the first line of it, as much as there is room for. */
static void the_user_agent_is_kept_with_a_contact(void **state)
{
	static const struct {
		const char *line, *kept;
	} row[] = {{"User-Agent: Example Phone 1.0\n", "Example Phone 1.0"},
		{"User-Agent: Example\n Phone 1.0\n", "Example"}, {"", ""},
		{"User-Agent: "
		 "0123456789012345678901234567890123456789012345678901234567890123456789\n",
			"0123456789012345678901234567890123456789012345678901234567890123"}};
	struct stage *s = stage_open("", SAVE);
	struct location_set set;
	struct registrar_aor aor;

	for (unsigned i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		char lines[200];

		snprintf(lines, sizeof(lines), "Contact: " PHONE "\n%s", row[i].line);
		assert_status(send_registration(s, "c1", 1 + i, lines), 200);
		assert_int_equal(registrar_aor_of_text(
					 s->registrar, STR("sip:alice@example.com"), &aor, NULL),
			REGISTRAR_AOR_OK);
		assert_int_equal(location_read(s->location,
					 location_digest(s->location, 0, registrar_aor_str(&aor)),
					 0, registrar_aor_str(&aor), registrar_now(s->ctx), &set),
			1);
		assert_true(str_eq(set.contact[0].user_agent, str_c(row[i].kept)));
	}
	stage_close(s);
}

/* What was found out of To before the script ran is save()'s, where that is about To. */
static void what_was_brought_is_of_the_to(void **state)
{
	struct stage *s = stage_open("", "\tsave(\"location\");\n\tlookup(\"location\");\n"
					 "\t$var(rc) = $rc;");

	for (unsigned cseq = 1; cseq <= 6; cseq++) {
		assert_status(send_registration(s, "c1", cseq, "Contact: " PHONE "\n"), 200);
		/* The Request-URI is the registrar's own, who is no user. */
		assert_true(stage_rc(s) < 0);
	}
	assert_true(stage_load(s, "",
		"\tif ($var(x) == 0 && $hdr(X-Whom) != $null)\n"
		"\t\tsave(\"location\", \"0x00\", $hdr(X-Whom));\n"
		"\telse\n\t\tsave(\"location\");"));
	for (unsigned cseq = 7; cseq <= 12; cseq++) {
		assert_contact(send_registration(s, "c1", cseq,
				       "X-Whom: sip:carol@example.com\nContact: " DESK "\n"),
			DESK ";expires=3600");
		assert_string_equal(registered_contacts(s), PHONE ";expires=3600");
	}
	stage_close(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_registration_is_answered_to_the_letter),
		cmocka_unit_test(what_was_brought_is_of_the_to),
		cmocka_unit_test(nothing_registered_is_a_200_without_contact),
		cmocka_unit_test(a_binding_ends_when_its_time_is_over),
		cmocka_unit_test(expires_comes_from_the_contact_the_header_or_the_default),
		cmocka_unit_test(expires_beyond_all_bounds_is_as_much_as_there_is),
		cmocka_unit_test(expires_is_kept_within_the_bounds),
		cmocka_unit_test(a_brief_interval_is_refused_with_the_least_one),
		cmocka_unit_test(one_contact_is_removed_by_0_and_others_stay),
		cmocka_unit_test(a_star_removes_all),
		cmocka_unit_test(a_star_that_is_no_newer_than_a_binding_of_its_call_removes_none),
		cmocka_unit_test(a_star_stands_alone_and_with_expires_0),
		cmocka_unit_test(an_older_request_of_the_same_call_changes_nothing),
		cmocka_unit_test(a_retransmission_is_answered_again_and_changes_nothing),
		cmocka_unit_test(a_cseq_beyond_its_bound_comes_to_no_script),
		cmocka_unit_test(bindings_are_found_by_the_comparison_of_uris),
		cmocka_unit_test(of_equal_contacts_in_one_request_the_last_counts),
		cmocka_unit_test(contacts_are_listed_by_q_and_then_as_they_came),
		cmocka_unit_test(q_is_a_number_of_its_grammar),
		cmocka_unit_test(what_is_required_and_not_supported_is_named),
		cmocka_unit_test(an_address_of_another_domain_is_not_found),
		cmocka_unit_test(only_a_register_registers),
		cmocka_unit_test(a_reply_stands_whatever_the_script_does_next),
		cmocka_unit_test(lines_of_the_script_are_in_the_200),
		cmocka_unit_test(the_user_agent_is_kept_with_a_contact),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
