/* SPDX-License-Identifier: BSD-3-Clause */
/* What a REGISTER should not be: each ends in a clear reply, and changes nothing. */
#include "common.h"

#define SAVE "\tsave(\"location\");\n\t$var(rc) = $rc;"
#define PHONE "<sip:alice@198.51.100.7:5060>"

/* A REGISTER for a To URI. */
static const char *register_as(struct stage *s, const char *to)
{
	static unsigned n;
	char out[4096];

	snprintf(out, sizeof(out),
		"REGISTER sip:192.0.2.1 SIP/2.0\nVia: SIP/2.0/UDP 198.51.100.7;branch=z9hG4bK%u\n"
		"Max-Forwards: 70\nFrom: <sip:x@example.com>;tag=1\nTo: <%s>\nCall-ID: c%u\n"
		"CSeq: 1 REGISTER\nContact: <sip:x@198.51.100.7:%u>\nContent-Length: 0\n\n",
		n, to, n, 6000 + n);
	n++;
	return stage_send(s, out);
}

/* How many contacts the last reply lists. */
static unsigned contacts(const char *reply)
{
	const char *contact = line(reply, "Contact");
	unsigned n = 0;

	for (; contact != NULL && (contact = strchr(contact, '<')) != NULL; contact++)
		n++;
	return n;
}

static void one_user_has_one_address_however_it_is_written(void **state)
{
	static const char *const same[] = {"sip:alice@example.com", "sip:ALICE@example.com",
		"sip:%61lice@example.com", "sip:%61%6c%69%63%65@example.com",
		"sip:%41lice@EXAMPLE.COM:5062;transport=udp", "sips:alice@example.com",
		"sip:alice:secret@example.com", "sip:aLiCe@example.com;user=phone"};
	struct stage *s = stage_open("", SAVE);

	for (unsigned i = 0; i < sizeof(same) / sizeof(same[0]); i++) {
		const char *reply = register_as(s, same[i]);

		assert_status(reply, 200);
		assert_int_equal(contacts(reply), i + 1);
	}
	stage_close(s);
}

static void other_users_have_other_addresses(void **state)
{
	static const char *const other[] = {"sip:alice@example.com", "sip:alice%40@example.com",
		"sip:alice%40example.com@example.com", "sip:alic@example.com",
		"sip:alice%20@example.com", "sip:alice%25@example.com", "sip:%2561lice@example.com",
		"sip:alice%c3%a9@example.com", "sip:al%3ace@example.com"};
	struct stage *s = stage_open("", SAVE);

	for (unsigned i = 0; i < sizeof(other) / sizeof(other[0]); i++) {
		const char *reply = register_as(s, other[i]);

		assert_status(reply, 200);
		assert_int_equal(contacts(reply), 1);
	}
	/* The digits of an escape have no case. */
	assert_int_equal(contacts(register_as(s, "sip:alice%C3%A9@example.com")), 2);
	stage_close(s);
}

static void letter_case_counts_where_the_script_says_so(void **state)
{
	struct stage *s = stage_open("modparam(\"registrar\", \"case_sensitive\", 1)", SAVE);

	assert_int_equal(contacts(register_as(s, "sip:alice@example.com")), 1);
	assert_int_equal(contacts(register_as(s, "sip:Alice@example.com")), 1);
	assert_int_equal(contacts(register_as(s, "sip:%61lice@example.com")), 2);
	assert_int_equal(contacts(register_as(s, "sip:%41lice@example.com")), 2);
	stage_close(s);
}

static void the_domain_counts_where_the_script_says_so(void **state)
{
	struct stage *s = stage_open("modparam(\"usrloc\", \"use_domain\", 1)\n"
				     "modparam(\"registrar\", \"realm_prefix\", \"sip.\")",
		SAVE);

	assert_int_equal(contacts(register_as(s, "sip:alice@example.com")), 1);
	assert_int_equal(contacts(register_as(s, "sip:alice@example.net")), 1);
	assert_int_equal(contacts(register_as(s, "sip:Alice@Example.COM")), 2);
	assert_int_equal(contacts(register_as(s, "sip:alice@SIP.example.com")), 3);
	/* A domain is an address, too, and is no user's. */
	assert_int_equal(contacts(register_as(s, "sip:example.com")), 1);
	assert_int_equal(contacts(register_as(s, "sip:example.com@example.com")), 1);
	assert_int_equal(contacts(register_as(s, "sip:a%40example.net@example.com")), 1);
	/* Nor is a number (RFC 3966 has none) with what would be one. */
	assert_refused(register_as(s, "tel:alice@example.com"), 400, "To is no address-of-record");
	stage_close(s);
}

static void what_is_no_address_is_refused(void **state)
{
	struct stage *s = stage_open("", SAVE);
	char to[1024];

	assert_refused(register_as(s, "sip:example.com"), 400, "To has no user");
	assert_refused(
		register_as(s, "sip:%00alice@example.com"), 400, "To is no address-of-record");
	assert_refused(
		register_as(s, "sip:alice%00@example.com"), 400, "To is no address-of-record");
	assert_refused(
		register_as(s, "sip:alice%0d%0aX@example.com"), 400, "To is no address-of-record");
	assert_refused(
		register_as(s, "sip:alice%7f@example.com"), 400, "To is no address-of-record");
	assert_refused(
		register_as(s, "mailto:alice@example.com"), 400, "To is no address-of-record");
	assert_refused(register_as(s, "urn:alice"), 400, "To is no address-of-record");
	for (unsigned len = 480; len < 600; len++) {
		const char *reply;

		snprintf(to, sizeof(to), "sip:%0*d@example.com", (int)len, 1);
		reply = register_as(s, to);
		if (len + 1 + strlen("example.com") <= LOCATION_AOR_MAX)
			assert_int_equal(contacts(reply), 1);
		else
			assert_refused(reply, 400, "To is too long");
	}
	stage_close(s);
}

static void malformed_contacts_are_refused(void **state)
{
	static const char *const bad[] = {"<alice>", "<sip:>", "sip:alice@", "<sip:alice@h",
		"alice", "<sip:alice@h>;expires=1;expires=2", "<sip:alice@h>;q=0.1;Q=0.2",
		"<sip:alice@h:99999>", "<sip:a@h>, <sip:b@h", "<sip:a@h>,, <>", "<sip:a@h> x"};
	struct stage *s = stage_open("", SAVE);
	char lines[512];

	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		const char *reply;

		/* Behind a good one, so that the check of the whole message has not met it. */
		snprintf(lines, sizeof(lines), "Contact: " PHONE "\nContact: %s\n", bad[i]);
		reply = send_registration(s, "c1", i + 1, lines);
		assert_refused(reply, 400, "Contact is malformed");
		assert_string_equal(registered_contacts(s), "");
	}
	stage_close(s);
}

static void contacts_have_a_length(void **state)
{
	struct stage *s = stage_open("", SAVE);
	char lines[2048];

	for (int len = 1; len < 1100; len += 37) {
		const char *reply;
		int uri = (int)strlen("sip:@198.51.100.7") + len;

		snprintf(lines, sizeof(lines), "Contact: <sip:%0*d@198.51.100.7>\n", len, 1);
		reply = send_registration(s, "c1", (unsigned)len, lines);
		if (uri <= 512)
			assert_status(reply, 200);
		else
			assert_refused(reply, 400, "Contact is too long");
		send_registration(s, "c2", (unsigned)len, "Expires: 0\nContact: *\n");
	}
	stage_close(s);
}

/* `n` contacts that differ by port, as one line or as one each. */
static char *many(unsigned n, unsigned first, bool lines)
{
	static char out[66000];
	size_t at = 0;

	for (unsigned i = 0; i < n; i++)
		at += (size_t)snprintf(out + at, sizeof(out) - at, "%s<sip:a@198.51.100.7:%u>",
			i == 0  ? "Contact: "
			: lines ? "\nContact: "
				: ",",
			first + i);
	snprintf(out + at, sizeof(out) - at, "\n");
	return out;
}

static void more_contacts_than_there_is_room_for_are_refused_whole(void **state)
{
	struct stage *s = stage_open("", SAVE);
	const char *reply = send_registration(s, "c1", 1, many(1000, 1000, false));

	assert_refused(reply, 503, "Too many contacts");
	assert_int_equal(stage_rc(s), -2);
	assert_string_equal(registered_contacts(s), "");
	assert_int_equal(registrar_counter(s->registrar, REGISTRAR_COUNTER_TOO_MANY), 1);
	assert_int_equal(registrar_counter(s->registrar, REGISTRAR_COUNTER_REJECTED), 1);
	assert_refused(
		send_registration(s, "c1", 1, many(65, 1000, true)), 503, "Too many contacts");
	reply = send_registration(s, "c1", 1, many(64, 1000, true));
	assert_int_equal(contacts(reply), 64);
	/* All come again, in another order too; one more does not. */
	assert_int_equal(contacts(send_registration(s, "c1", 2, many(64, 1000, false))), 64);
	assert_refused(
		send_registration(s, "c1", 3, many(1, 5000, false)), 503, "Too many contacts");
	/* In exchange for another it does, whatever their order. */
	reply = send_registration(s, "c1", 4,
		"Contact: <sip:a@198.51.100.7:5000>, <sip:a@198.51.100.7:1000>;expires=0\n");
	assert_int_equal(contacts(reply), 64);
	assert_non_null(strstr(reply, ":5000>"));
	assert_null(strstr(reply, ":1000>"));
	stage_close(s);
}

static void max_contacts_bounds_what_comes_to_it(void **state)
{
	struct stage *s = stage_open("modparam(\"registrar\", \"max_contacts\", 2)\n"
				     "modparam(\"registrar\", \"retry_after\", 30)",
		SAVE);
	const char *reply;

	assert_int_equal(contacts(send_registration(s, "c1", 1, many(2, 1000, false))), 2);
	reply = send_registration(s, "c1", 2, many(3, 1000, false));
	assert_refused(reply, 503, "Too many contacts");
	assert_string_equal(line(reply, "Retry-After"), "30");
	assert_int_equal(stage_rc(s), -2);
	/* What is there may be refreshed, also when less is allowed than is there. */
	assert_true(stage_load(s, "modparam(\"registrar\", \"max_contacts\", 1)", SAVE));
	assert_int_equal(contacts(send_registration(s, "c1", 3, many(2, 1000, false))), 2);
	assert_refused(
		send_registration(s, "c1", 4, many(1, 2000, false)), 503, "Too many contacts");
	stage_close(s);
}

/* URIs that share all that is cheap to look at cost a comparison each. */
static void contacts_that_are_made_to_look_alike_are_refused(void **state)
{
	struct stage *s = stage_open("", SAVE);
	char lines[66000] = "";
	size_t at = 0;
	const char *reply;

	for (unsigned i = 0; i < 64; i++)
		at += (size_t)snprintf(
			lines + at, sizeof(lines) - at, "Contact: <sip:a@198.51.100.7;p=%u>\n", i);
	reply = send_registration(s, "c1", 1, lines);
	assert_refused(reply, 503, "Too many contacts to compare");
	assert_string_equal(registered_contacts(s), "");
	/* One at a time they may come. */
	for (unsigned i = 0; i < 64; i++) {
		snprintf(lines, sizeof(lines), "Contact: <sip:a@198.51.100.7;p=%u>\n", i);
		assert_int_equal(contacts(send_registration(s, "c1", i + 1, lines)), i + 1);
	}
	stage_close(s);
}

static void what_does_not_fit_a_reply_is_not_stored(void **state)
{
	struct stage *s = stage_open("modparam(\"registrar\", \"contact_max_size\", 1000)", SAVE);
	char lines[66000] = "";
	size_t at = 0;

	for (unsigned i = 0; i < 12; i++)
		at += (size_t)snprintf(lines + at, sizeof(lines) - at,
			"Contact: <sip:%0*u@198.51.100.7>\n", 900, i);
	assert_refused(send_registration(s, "c1", 1, lines), 503, "Too long contacts");
	assert_string_equal(registered_contacts(s), "");
	stage_close(s);
}

/* A contact that leads back here would send each request round and round. */
static void no_contact_leads_to_its_own_address(void **state)
{
	static const struct {
		const char *uri;
		bool self;
	} at[] = {
		{"sip:alice@example.com", true},
		{"sip:ALICE@EXAMPLE.COM", true},
		{"sip:%61lice@example.com;x=1", true},
		{"sip:alice@192.0.2.1", true},
		{"sip:alice@192.0.2.1:5070", true},
		{"sip:alice@[2001:db8::1]", true},
		{"sip:alice@198.51.100.7;maddr=192.0.2.1", true},
		{"sip:alice@192.0.2.1:5062", false},
		{"sip:bob@example.com", false},
		{"sip:alice@198.51.100.7", false},
		{"sip:alice@example.net", false},
	};
	struct stage *s = stage_open("", SAVE);
	char lines[256];

	for (unsigned i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
		const char *reply;

		snprintf(lines, sizeof(lines), "Contact: <%s>\n", at[i].uri);
		reply = send_registration(s, "c1", i + 1, lines);
		if (at[i].self)
			assert_refused(reply, 400, "Contact leads to the address-of-record");
		else
			assert_status(reply, 200);
	}
	stage_close(s);
}

static void a_full_table_keeps_what_it_has(void **state)
{
	struct stage *s = stage_open("", SAVE);
	struct location_stats stats;
	unsigned kept = 0, refused = 0;
	char to[64];

	for (unsigned i = 0; i < 8000; i++) {
		const char *reply;

		snprintf(to, sizeof(to), "sip:u%u@example.com", i);
		reply = register_as(s, to);
		if (status(reply) == 200) {
			kept++;
		} else {
			assert_refused(reply, 503, "The location table is full");
			refused++;
		}
	}
	location_stats(s->location, &stats);
	assert_int_equal(stats.contacts, kept);
	assert_true(kept >= 4096 && refused > 0);
	assert_int_equal(registrar_counter(s->registrar, REGISTRAR_COUNTER_FULL), refused);
	stage_close(s);
}

/* A table of what is over would be full for a round of the sweep. */
static void what_has_expired_makes_room(void **state)
{
	struct stage *s = stage_open("modparam(\"registrar\", \"default_expires\", 100)", SAVE);
	struct location_stats stats;
	char to[64];

	for (unsigned i = 0; i < 8000; i++) {
		snprintf(to, sizeof(to), "sip:u%u@example.com", i);
		register_as(s, to);
	}
	stage_pass(s, 101);
	for (unsigned i = 0; i < 4096; i++) {
		snprintf(to, sizeof(to), "sip:v%u@example.com", i);
		assert_status(register_as(s, to), 200);
	}
	location_stats(s->location, &stats);
	assert_true(stats.expired > 0);
	stage_close(s);
}

/* Whatever is in its lines, what we answer is a message with the lines that we meant. */
static void no_text_of_a_contact_ends_a_line_of_ours(void **state)
{
	static const char *const lines[] = {
		"Contact: <sip:a@h>;+sip.instance=\"<urn:x>\r\n Contact: <sip:evil@h>\"\n",
		"Contact: <sip:a@h>\r\n ;+sip.instance=\"<urn:x>\";expires=30\n",
		"Contact: <sip:a@h>;+sip.instance=\"<urn:x>\t\"\n",
		"Contact: <sip:a@h>;+sip.instance=\"\\\"\"\n",
		"Supported: path\nPath: <sip:p;lr>\r\n ;x=y\nContact: <sip:a@h>\n",
		"Supported: path\nPath: \"a\r\n b\" <sip:p;lr>\nContact: <sip:a@h>\n",
	};
	struct stage *s = stage_open("modparam(\"registrar\", \"use_path\", 1)", SAVE);
	unsigned answered = 0;

	for (unsigned i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		const char *reply = send_registration(s, "c1", i + 1, lines[i]);

		/* The check of the whole message may have refused it. */
		if (reply == NULL)
			continue;
		answered++;
		for (const char *p = reply; (p = strstr(p, "\r\n")) != NULL && p[2] != '\0'; p += 2)
			assert_true(p[2] != ' ' && p[2] != '\t');
		assert_null(strstr(reply, "\r\nContact: <sip:evil"));
	}
	assert_true(answered >= 4);
	stage_close(s);
}

static void call_ids_have_a_length(void **state)
{
	struct stage *s = stage_open("", SAVE);
	char id[400];

	memset(id, 'c', sizeof(id));
	id[LOCATION_CALL_ID_MAX] = '\0';
	assert_status(send_registration(s, id, 1, "Contact: " PHONE "\n"), 200);
	id[LOCATION_CALL_ID_MAX] = 'c';
	id[LOCATION_CALL_ID_MAX + 1] = '\0';
	assert_refused(
		send_registration(s, id, 1, "Contact: " PHONE "\n"), 400, "Call-ID is too long");
	stage_close(s);
}

/* A model with a list of URIs against what is answered, over many requests. */
static void any_order_of_requests_ends_as_a_list_would(void **state)
{
	struct stage *s = stage_open("", SAVE);
	bool there[16] = {false};
	uint64_t random = 88172645463325252ULL;
	unsigned cseq = 1;

	for (unsigned round = 0; round < 3000; round++) {
		char lines[2048] = "";
		bool next[16];
		const char *reply;
		unsigned n = 1 + (unsigned)(random >> 7) % 4, count = 0;

		memcpy(next, there, sizeof(next));
		for (unsigned i = 0; i < n; i++) {
			unsigned at, expires;

			random ^= random << 13;
			random ^= random >> 7;
			random ^= random << 17;
			at = (unsigned)(random >> 20) % 16;
			expires = (random >> 40) % 3 == 0 ? 0 : 600;
			snprintf(lines + strlen(lines), sizeof(lines) - strlen(lines),
				"Contact: <sip:%s@198.51.100.%u;x=%u>;expires=%u\n",
				(random >> 50) % 2 == 0 ? "a" : "%61", 10 + at / 4, at % 4,
				expires);
			next[at] = expires != 0;
		}
		reply = send_registration(s, "c1", cseq++, lines);
		assert_status(reply, 200);
		memcpy(there, next, sizeof(next));
		for (unsigned i = 0; i < 16; i++) {
			char uri[64];

			snprintf(uri, sizeof(uri), "@198.51.100.%u;x=%u>", 10 + i / 4, i % 4);
			assert_int_equal(strstr(reply, uri) != NULL, there[i]);
			count += there[i];
		}
		assert_int_equal(contacts(reply), count);
	}
	stage_close(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_user_has_one_address_however_it_is_written),
		cmocka_unit_test(other_users_have_other_addresses),
		cmocka_unit_test(letter_case_counts_where_the_script_says_so),
		cmocka_unit_test(the_domain_counts_where_the_script_says_so),
		cmocka_unit_test(what_is_no_address_is_refused),
		cmocka_unit_test(malformed_contacts_are_refused),
		cmocka_unit_test(contacts_have_a_length),
		cmocka_unit_test(more_contacts_than_there_is_room_for_are_refused_whole),
		cmocka_unit_test(max_contacts_bounds_what_comes_to_it),
		cmocka_unit_test(contacts_that_are_made_to_look_alike_are_refused),
		cmocka_unit_test(what_does_not_fit_a_reply_is_not_stored),
		cmocka_unit_test(no_contact_leads_to_its_own_address),
		cmocka_unit_test(a_full_table_keeps_what_it_has),
		cmocka_unit_test(what_has_expired_makes_room),
		cmocka_unit_test(no_text_of_a_contact_ends_a_line_of_ours),
		cmocka_unit_test(call_ids_have_a_length),
		cmocka_unit_test(any_order_of_requests_ends_as_a_list_would),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
