/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Contacts in a database (usrloc's db_mode): what is there when a REGISTER has been answered, and
 * what a process finds there that starts anew. The database is a file of SQLite, or what
 * TEST_DB_URL names: then those cases run whose SQL and answers are the same everywhere.
 */
#include <sqlite3.h>
#include <unistd.h>

#include "table.h"

#define SAVE "if (is_method(\"REGISTER\")) { save(\"location\"); $var(rc) = $rc; exit; }\n"
/* Whatever the Request-URI is. */
#define SAVE_TO \
	"if (is_method(\"REGISTER\")) { save(\"location\", 0, \"$tu\"); $var(rc) = $rc; exit; }\n"
#define LOOKUP \
	"if (!lookup(\"location\")) { sl_send_reply(\"404\", \"Not Found\"); exit; }\n" \
	"sl_send_reply(\"200\", \"$ru $du $fs\");\n"
#define MODE(n) "modparam(\"usrloc\", \"db_mode\", " #n ")\n"
#define PHONE "<sip:alice@192.0.2.7:5062>"

/* ---- db_mode 1 ---- */

static void a_200_says_that_it_is_on_disk(void **state)
{
	struct stage *s = stage_open_db(MODE(1), SAVE, table_url);
	const char *reply;

	table_loads(s);
	s->nobody_waits = true;
	assert_null(send_registration(s, "c1", 1, "Contact: " PHONE "\n"));
	assert_int_equal(s->verdict, ROUTE_WAIT);
	assert_string_equal(table_rows("username"), "");
	/* Its copy is no sooner answered. */
	assert_null(send_registration(s, "c1", 1, "Contact: " PHONE "\n"));
	assert_int_equal(s->verdict, ROUTE_WAIT);
	s->nobody_waits = false;
	reply = send_registration(s, "c1", 1, "Contact: " PHONE "\n");
	assert_status(reply, 200);
	assert_int_equal(s->waits, 1);
	assert_string_equal(table_rows("username,contact,callid,cseq,q,flags,methods,socket,path"),
		"alice|sip:alice@192.0.2.7:5062|c1|1|-1|0|NULL|udp:192.0.2.1:5060|NULL\n");
	stage_close(s);
}

static void what_save_says_is_as_without_a_database(void **state)
{
	struct stage *s = stage_open_db(MODE(1), SAVE, table_url);

	table_loads(s);
	assert_status(send_registration(s, "c1", 1, "Contact: " PHONE "\n"), 200);
	assert_int_equal(stage_rc(s), 1);
	assert_status(send_registration(s, "c1", 2, "Contact: " PHONE ";q=0.5\n"), 200);
	assert_int_equal(stage_rc(s), 2);
	assert_string_equal(table_rows("contact,cseq,q"), "sip:alice@192.0.2.7:5062|2|0.5\n");
	assert_status(send_registration(s, "c1", 3, ""), 200);
	assert_int_equal(stage_rc(s), 4);
	assert_int_equal(s->waits, 0);
	assert_status(send_registration(s, "c1", 4, "Contact: " PHONE ";expires=0\n"), 200);
	assert_int_equal(stage_rc(s), 3);
	assert_string_equal(table_rows("contact"), "");
	stage_close(s);
}

static void rows_follow_what_becomes_of_bindings(void **state)
{
	struct stage *s = stage_open_db(MODE(1), SAVE, table_url);

	table_loads(s);
	assert_status(send_registration(
			      s, "c1", 1, "Contact: <sip:a@192.0.2.1>, <sip:b@192.0.2.1>;q=0.7\n"),
		200);
	assert_status(send_registration(s, "c2", 1,
			      "Contact: <sip:c@192.0.2.1>;+sip.instance=\"<urn:uuid:1>\"\n"),
		200);
	assert_string_equal(
		table_rows("contact"), "sip:a@192.0.2.1\nsip:b@192.0.2.1\nsip:c@192.0.2.1\n");
	/* The same instance at another address: its row, and no other. */
	assert_status(send_registration(s, "c2", 2,
			      "Contact: <sip:d@192.0.2.1>;+sip.instance=\"<urn:uuid:1>\"\n"),
		200);
	assert_string_equal(table_rows("contact,instance"),
		"sip:a@192.0.2.1|NULL\nsip:b@192.0.2.1|NULL\nsip:d@192.0.2.1|\"<urn:uuid:1>\"\n");
	assert_status(send_registration(s, "c1", 2, "Contact: *\nExpires: 0\n"), 200);
	assert_string_equal(table_rows("contact"), "");
	stage_close(s);
}

/* A refresh changes what has changed, and nothing is inserted anew. */
static void a_row_that_is_refreshed_stays_where_it_is(void **state)
{
	struct stage *s = stage_open_db(MODE(1), SAVE, table_url);
	char before[64];

	table_loads(s);
	assert_status(
		send_registration(s, "c1", 1, "Contact: " PHONE ", <sip:b@192.0.2.1>\n"), 200);
	/* A row behind them, whose number cannot be had again. */
	table_change("INSERT INTO location (ruid,username,contact,expires,q,callid,cseq) VALUES "
		     "('1','zoe','sip:zoe@192.0.2.7','2090-01-01 00:00:00',1,'c',1)");
	snprintf(before, sizeof(before), "%s", table_rows("id"));
	assert_status(
		send_registration(s, "c1", 2, "Contact: " PHONE ", <sip:b@192.0.2.1>;q=0.5\n"),
		200);
	assert_string_equal(table_rows("id"), before);
	assert_string_equal(table_rows("contact,cseq"),
		"sip:alice@192.0.2.7:5062|2\nsip:b@192.0.2.1|2\nsip:zoe@192.0.2.7|1\n");
	/* One that somebody has deleted is there again. */
	table_change("DELETE FROM location WHERE cseq=2");
	assert_status(send_registration(s, "c1", 3, "Contact: " PHONE "\n"), 200);
	assert_string_equal(
		table_rows("contact,cseq"), "sip:alice@192.0.2.7:5062|3\nsip:zoe@192.0.2.7|1\n");
	stage_close(s);
}

/* Kamailio has written it, under another key; or a URI's row is there twice. */
static void rows_of_others_become_ours(void **state)
{
	struct stage *s = stage_open_db(MODE(1), SAVE, table_url);

	table_change(
		"INSERT INTO location (ruid,username,contact,expires,q,callid,cseq) VALUES "
		"('uloc-1','alice','sip:alice@192.0.2.7:5062','2090-01-01 00:00:00',-1,'c1',1),"
		"('uloc-2','alice','sip:alice@192.0.2.7:5062','2090-01-01 00:00:00',-1,'c1',1)");
	table_loads(s);
	assert_status(send_registration(s, "c1", 2, "Contact: " PHONE "\n"), 200);
	assert_string_equal(table_rows("contact,cseq"), "sip:alice@192.0.2.7:5062|2\n");
	assert_null(strstr(table_rows("ruid"), "uloc"));
	stage_close(s);
}

/* As many rows as one REGISTER may bring, at once, and again. */
static void many_contacts_have_many_rows(void **state)
{
	struct stage *s = stage_open_db(MODE(1), SAVE, table_url);
	char lines[1024] = "Contact: ", wanted[1024] = "";
	unsigned n = 8;

	table_loads(s);
	for (unsigned i = 0; i < n; i++) {
		sprintf(lines + strlen(lines), "%s<sip:p%u@192.0.2.1>", i == 0 ? "" : ", ", i);
		sprintf(wanted + strlen(wanted), "sip:p%u@192.0.2.1|2\n", i);
	}
	strcat(lines, "\n");
	for (unsigned cseq = 1; cseq <= 2; cseq++)
		assert_status(send_registration(s, "c1", cseq, lines), 200);
	assert_string_equal(table_rows("contact,cseq"), wanted);
	stage_close(s);
}

/* Two phones behind two NATs, or two flows of one: one URI, two bindings, two rows. */
static void bindings_of_one_uri_have_rows_of_their_own(void **state)
{
	struct stage *s = stage_open_db(MODE(1), SAVE, table_url);

	table_loads(s);
	assert_status(send_registration(s, "c1", 1,
			      "Contact: <sip:a@192.0.2.1>;+sip.instance=\"<urn:uuid:1>\"\n"),
		200);
	assert_status(send_registration(s, "c2", 1,
			      "Contact: <sip:a@192.0.2.1>;+sip.instance=\"<urn:uuid:2>\"\n"),
		200);
	assert_string_equal(table_rows("contact,instance"),
		"sip:a@192.0.2.1|\"<urn:uuid:1>\"\nsip:a@192.0.2.1|\"<urn:uuid:2>\"\n");
	stage_close(s);
	s = stage_open_db(MODE(1), SAVE, table_url);
	assert_int_equal(table_loads(s), 2);
	assert_status(
		send_registration(s, "c1", 2,
			"Contact: <sip:a@192.0.2.1>;+sip.instance=\"<urn:uuid:1>\";expires=0\n"),
		200);
	assert_string_equal(table_rows("contact,instance"), "sip:a@192.0.2.1|\"<urn:uuid:2>\"\n");
	stage_close(s);
}

/* What people's texts hold is no reason to keep a phone out. */
static void a_user_agent_may_be_any_bytes(void **state)
{
	struct stage *s = stage_open_db(MODE(1), SAVE, table_url);

	table_loads(s);
	assert_status(send_registration(
			      s, "c1", 1, "Contact: " PHONE "\nUser-Agent: Gr\xc3\xbc\xdf Gott\n"),
		200);
	assert_string_equal(table_rows("user_agent"), "Gr\xc3\xbc\n");
	stage_close(s);
}

static void what_is_on_disk_is_there_after_a_start(void **state)
{
	struct stage *s = stage_open_db(MODE(1), SAVE LOOKUP, table_url);
	const char *before, *after;

	table_loads(s);
	s->at = OTHER;
	assert_status(
		send_registration(s, "c1", 7,
			"Contact: <sip:alice@192.0.2.7:5062;x=y>;q=0.25;methods=\"INVITE,BYE\";"
			"+sip.instance=\"<urn:uuid:1>\";reg-id=3;expires=2000\n"
			"User-Agent: Phone 1\n"),
		200);
	assert_status(
		send_registration(s, "c2", 1, "Contact: <sip:other@192.0.2.8>;q=1;expires=90\n"),
		200);
	before = registered_contacts(s);
	stage_close(s);
	s = stage_open_db(MODE(1), SAVE LOOKUP, table_url);
	assert_int_equal(table_loads(s), 2);
	after = registered_contacts(s);
	/* Seconds have passed at most. */
	assert_int_equal(strlen(before), strlen(after));
	assert_non_null(strstr(after, "<sip:alice@192.0.2.7:5062;x=y>;q=0.25;expires="));
	assert_non_null(strstr(after, "+sip.instance=\"<urn:uuid:1>\""));
	/* CSeq and Call-ID count on. */
	assert_refused(send_registration(s, "c1", 6,
			       "Contact: <sip:alice@192.0.2.7:5062;x=y>;"
			       "+sip.instance=\"<urn:uuid:1>\";reg-id=3\n"),
		400, "CSeq is not above that of the binding");
	/* What has ended meanwhile is not there. */
	stage_pass(s, 100);
	after = registered_contacts(s);
	assert_null(strstr(after, "other"));
	stage_close(s);
}

static void a_dead_database_is_a_503(void **state)
{
	struct stage *s = stage_open_db(MODE(1), SAVE, "sqlite:///nowhere/at/all.sqlite");
	char error[256];

	assert_int_equal(registrar_load(s->registrar, s->thread.now_ns,
				 &(struct registrar_loaded){0}, error, sizeof(error)),
		-EIO);
	assert_non_null(strstr(error, "/nowhere"));
	assert_refused(send_registration(s, "c1", 1, "Contact: " PHONE "\n"), 503,
		"The database does not answer");
	assert_int_equal(table_counted(s, REGISTRAR_COUNTER_NOT_KEPT), 1);
	stage_close(s);
}

static void what_the_database_does_not_take_is_a_503(void **state)
{
	struct stage *s = stage_open_db(MODE(1), SAVE, table_url);

	table_change(
		"CREATE TRIGGER no BEFORE INSERT ON location BEGIN SELECT RAISE(ABORT, 'no'); END");
	assert_refused(send_registration(s, "c1", 1, "Contact: " PHONE "\n"), 503,
		"The database does not take it");
	table_change("DROP TRIGGER no");
	assert_status(send_registration(s, "c1", 2, "Contact: " PHONE "\n"), 200);
	stage_close(s);
}

/* ---- what was refused ---- */

#define REFUSE \
	"CREATE TRIGGER no BEFORE INSERT ON location WHEN NEW.contact LIKE '%b@%' BEGIN SELECT " \
	"RAISE(ABORT, 'no'); END"
#define FOR_B "Contact: <sip:b@192.0.2.1>\n"

/* Who is told that it was not taken is as he was: in memory, in the table, and for calls. */
static void after_a_503_all_is_as_before(void **state)
{
	struct stage *s = stage_open_db(MODE(1), SAVE LOOKUP, table_url);

	table_loads(s);
	assert_status(send_registration(s, "c1", 1, "Contact: " PHONE "\n"), 200);
	table_change(REFUSE);
	/* A contact more, another place of the only one, and one that goes beside one that comes.
	 */
	assert_refused(send_registration(s, "c2", 1, FOR_B), 503, "The database does not take it");
	assert_refused(
		send_registration(s, "c1", 2, "Contact: " PHONE ";expires=0, <sip:b@192.0.2.1>\n"),
		503, "The database does not take it");
	assert_null(strstr(registered_contacts(s), "sip:b@"));
	assert_non_null(strstr(registered_contacts(s), PHONE));
	assert_string_equal(table_rows("contact,cseq"), "sip:alice@192.0.2.7:5062|1\n");
	table_change("DROP TRIGGER no");
	/* It counts as not sent: the same CSeq is no copy. */
	assert_status(send_registration(s, "c1", 2, FOR_B), 200);
	assert_string_equal(
		table_rows("contact,cseq"), "sip:alice@192.0.2.7:5062|1\nsip:b@192.0.2.1|2\n");
	stage_close(s);
}

/* It was made, and its answer was lost: 503, and then nothing is left of it. */
static void what_nobody_knows_of_is_undone(void **state)
{
	struct stage *s = stage_open_db(
		MODE(1), SAVE "unregister(\"location\", \"$ru\"); $var(rc) = $rc;\n", table_url);

	table_loads(s);
	assert_status(send_registration(s, "c1", 1, "Contact: " PHONE "\n"), 200);
	s->deaf = true;
	assert_refused(send_registration(s, "c2", 1, FOR_B), 503, "The database does not answer");
	table_wait(s, "contact,cseq", "sip:alice@192.0.2.7:5062|1\n");
	assert_refused(send_registration(s, "c1", 2, "Contact: " PHONE ";expires=0\n"), 503,
		"The database does not answer");
	table_wait(s, "contact,cseq", "sip:alice@192.0.2.7:5062|1\n");
	stage_send(s, request("MESSAGE", "sip:alice@example.com"));
	assert_int_equal(stage_rc(s), -2);
	table_wait(s, "contact,cseq", "sip:alice@192.0.2.7:5062|1\n");
	s->deaf = false;
	assert_non_null(strstr(registered_contacts(s), PHONE));
	stage_close(s);
}

/* As many contacts as have room in one change, and not one more: a clear no, which changes nothing,
 * also where they are sent one by one behind what the script has gathered. */
static void what_has_no_room_in_one_change_is_refused(void **state)
{
	struct stage *s = stage_open_db(MODE(1), SAVE, table_url);
	char lines[4096], first[4096] = "";
	const char *reply;
	unsigned n = 0;

	table_loads(s);
	do {
		snprintf(first, sizeof(first), "%s", table_rows("contact"));
		assert_status(
			send_registration(s, "c1", 2 * n + 1, "Contact: *\nExpires: 0\n"), 200);
		strcpy(lines, "Contact: ");
		for (unsigned i = 0; i <= n; i++)
			sprintf(lines + strlen(lines), "%s<sip:alice-%02u@192.0.2.7:5062;ob>",
				i == 0 ? "" : ", ", i);
		strcat(lines, "\n");
		reply = send_registration(s, "c1", 2 * n++ + 2, lines);
	} while (n < LOCATION_CONTACTS_MAX && status(reply) == 200);
	print_message("%u contacts have room\n", n - 1);
	assert_refused(reply, 503, "Too long contacts");
	assert_in_range(n, 16, LOCATION_CONTACTS_MAX - 1);
	assert_int_equal(table_counted(s, REGISTRAR_COUNTER_TOO_MANY), 1);
	assert_string_equal(table_rows("contact"), "");
	assert_string_equal(registered_contacts(s), "");
	/* One by one there may be more of them. */
	for (unsigned i = 0; i < n; i++) {
		snprintf(lines, sizeof(lines), "Contact: <sip:p%02u@192.0.2.7>\n", i);
		assert_status(send_registration(s, "c1", 2 * n + i + 2, lines), 200);
	}
	stage_close(s);
}

/* ---- several of one user under way ---- */

static void suspend(struct stage *s, struct stage_waiting *w, const char *call_id, unsigned cseq,
	const char *lines)
{
	s->nobody_waits = true;
	assert_null(send_registration(s, call_id, cseq, lines));
	stage_suspend(s, w);
	s->nobody_waits = false;
}

/* An older one is committed behind a newer one: it is refused, and its row goes back. */
static void an_older_one_that_comes_late_changes_nothing(void **state)
{
	struct stage *s = stage_open_db(MODE(1), SAVE, table_url);
	struct stage_waiting old;

	table_loads(s);
	suspend(s, &old, "c1", 5, "Contact: " PHONE ";q=0.5\n");
	assert_string_equal(registered_contacts(s), "");
	assert_status(send_registration(s, "c1", 6, "Contact: " PHONE "\n"), 200);
	assert_refused(stage_resume(s, &old), 400, "CSeq is not above that of the binding");
	table_wait(s, "contact,cseq", "sip:alice@192.0.2.7:5062|6\n");
	assert_null(strstr(registered_contacts(s), "q=0.5"));
	stage_close(s);
}

/* Two phones at once, where there may be one contact: the second one to be committed is refused. */
static void the_bound_holds_for_what_is_under_way(void **state)
{
	struct stage *s = stage_open_db(
		MODE(1) "modparam(\"registrar\", \"max_contacts\", 1)\n", SAVE, table_url);
	struct stage_waiting one;

	table_loads(s);
	suspend(s, &one, "c1", 1, "Contact: " PHONE "\n");
	assert_status(send_registration(s, "c2", 1, FOR_B), 200);
	assert_refused(stage_resume(s, &one), 503, "Too many contacts");
	table_wait(s, "contact", "sip:b@192.0.2.1\n");
	stage_close(s);
}

/* Phones of one user, none in the way of another; and a copy of one. */
static void several_phones_at_once(void **state)
{
	struct stage *s = stage_open_db(MODE(1), SAVE, table_url);
	struct stage_waiting one, copy, two;

	table_loads(s);
	suspend(s, &one, "c1", 1, "Contact: " PHONE "\n");
	suspend(s, &copy, "c1", 1, "Contact: " PHONE "\n");
	suspend(s, &two, "c2", 1, FOR_B);
	assert_status(stage_resume(s, &one), 200);
	assert_status(stage_resume(s, &copy), 200);
	assert_status(stage_resume(s, &two), 200);
	assert_string_equal(
		table_rows("contact,cseq"), "sip:alice@192.0.2.7:5062|1\nsip:b@192.0.2.1|1\n");
	assert_int_equal(strlen(registered_contacts(s)),
		strlen("<" PHONE ">;expires=3600, <sip:b@192.0.2.1>;expires=3600") - 2);
	stage_close(s);
}

/* By hand all of a user goes while a REGISTER of his is under way: that one is there, it alone. */
static void one_under_way_is_not_lost_beside_others(void **state)
{
	struct stage *s = stage_open_db(MODE(1), SAVE, table_url);
	struct registrar_aor aor;
	struct stage_waiting one;

	table_loads(s);
	assert_status(send_registration(s, "c2", 1, FOR_B), 200);
	suspend(s, &one, "c1", 1, "Contact: " PHONE "\n");
	assert_int_equal(registrar_aor_read(s->registrar, STR("alice"), &aor), 0);
	assert_int_equal(registrar_remove(s->registrar, 0, 0, &aor, STR(""),
				 (uint32_t)(s->thread.now_ns / CLOCK_NS_PER_S)),
		1);
	assert_status(stage_resume(s, &one), 200);
	/* Whichever of the two came first to the table. */
	table_wait(s, "contact", "sip:alice@192.0.2.7:5062\n");
	stage_close(s);
}

static void unregister_takes_the_rows(void **state)
{
	struct stage *s = stage_open_db(
		MODE(1), SAVE "unregister(\"location\", \"$ru\"); $var(rc) = $rc;\n", table_url);
	struct registrar_aor aor;

	assert_status(
		send_registration(s, "c1", 1, "Contact: " PHONE ", <sip:b@192.0.2.1>\n"), 200);
	stage_send(s, request("MESSAGE", "sip:alice@example.com"));
	assert_int_equal(stage_rc(s), 1);
	assert_int_equal(s->waits, 1);
	assert_string_equal(table_rows("contact"), "");
	/* By hand nobody waits. */
	assert_status(
		send_registration(s, "c1", 2, "Contact: " PHONE ", <sip:b@192.0.2.1>\n"), 200);
	assert_int_equal(registrar_aor_read(s->registrar, STR("alice"), &aor), 0);
	assert_int_equal(registrar_remove(s->registrar, 0, 0, &aor, STR("sip:b@192.0.2.1"),
				 (uint32_t)(s->thread.now_ns / CLOCK_NS_PER_S)),
		1);
	table_wait(s, "contact", "sip:alice@192.0.2.7:5062\n");
	stage_close(s);
}

static void memory_only_is_a_flag(void **state)
{
	struct stage *s = stage_open_db(MODE(1),
		"if (is_method(\"REGISTER\")) { save(\"location\", \"0x01\"); exit; }\n",
		table_url);

	assert_status(send_registration(s, "c1", 1, "Contact: " PHONE "\n"), 200);
	assert_int_equal(s->waits, 0);
	assert_string_equal(table_rows("contact"), "");
	stage_close(s);
}

/* ---- domains, hostile text ---- */

static void domains_have_their_column(void **state)
{
	const char *params = MODE(1) "modparam(\"usrloc\", \"use_domain\", 1)\n";
	struct stage *s = stage_open_db(params, SAVE LOOKUP, table_url);

	table_loads(s);
	assert_status(send_registration(s, "c1", 1, "Contact: " PHONE "\n"), 200);
	assert_string_equal(table_rows("username,domain,contact"),
		"alice|example.com|sip:alice@192.0.2.7:5062\n");
	stage_close(s);
	s = stage_open_db(params, SAVE LOOKUP, table_url);
	assert_int_equal(table_loads(s), 1);
	assert_status(stage_send(s, request("INVITE", "sip:alice@example.com")), 200);
	stage_close(s);
}

/* Whatever name it is: a start finds it, and what is written then is about the same row. */
static void each_kind_of_user(const char *params, bool with_domain)
{
	for (const char *const *uri = users_of_all_kinds; *uri != NULL; uri++) {
		struct stage *s;

		if (strncmp(*uri, "tel:", 4) != 0 && strchr(*uri, '@') == NULL && !with_domain)
			continue;
		s = stage_open_db(params, SAVE_TO LOOKUP, table_url);
		assert_int_equal(table_loads(s), 0);
		assert_status(send_registration_of(s, *uri, "c1", 1, "Contact: " PHONE "\n"), 200);
		stage_close(s);
		s = stage_open_db(params, SAVE_TO LOOKUP, table_url);
		assert_int_equal(table_loads(s), 1);
		assert_status(stage_send(s, request("INVITE", *uri)), 200);
		assert_status(
			send_registration_of(s, *uri, "c1", 2, "Contact: " PHONE ";expires=0\n"),
			200);
		assert_string_equal(table_rows("contact"), "");
		stage_close(s);
	}
}

#define PREFIX "modparam(\"registrar\", \"realm_prefix\", \"sip.\")\n"
#define CASE "modparam(\"registrar\", \"case_sensitive\", 1)\n"
#define DOMAIN "modparam(\"usrloc\", \"use_domain\", 1)\n"

static void each_kind_of_user_is_there_after_a_start(void **state)
{
	each_kind_of_user(MODE(1), false);
	each_kind_of_user(MODE(1) CASE, false);
	each_kind_of_user(MODE(1) DOMAIN, true);
	each_kind_of_user(MODE(1) DOMAIN PREFIX CASE, true);
}

#define OF_KAMAILIO(ruid, user, domain) \
	"INSERT INTO location (ruid,username,domain,contact,expires,last_modified,q,callid,cseq) " \
	"VALUES ('" ruid "','" user "','" domain "','sip:x@192.0.2.7','2037-01-01 00:00:00'," \
	"'2020-01-01 00:00:00',-1,'c',1)"

/* What others write: IPv6 in brackets, letters as they came, a domain without its prefix. */
static void names_of_others_are_read(void **state)
{
	const char *found[] = {"sip:alice@[2001:db8::1]", "sip:Bob@Example.com",
		"sip:carol@sip.sip.example.com", "sip:a%20b@example.com"};
	struct stage *s = stage_open_db(MODE(1) DOMAIN PREFIX, SAVE LOOKUP, table_url);
	struct registrar_loaded loaded;
	char error[256];

	table_change(OF_KAMAILIO("1", "alice", "[2001:db8::1]"));
	table_change(OF_KAMAILIO("2", "Bob", "EXAMPLE.com"));
	table_change(OF_KAMAILIO("3", "carol", "sip.example.com"));
	table_change(OF_KAMAILIO("4", "a%20b", "example.com"));
	/* Nobody's. */
	table_change(OF_KAMAILIO("5", "a b", "example.com"));
	table_change(OF_KAMAILIO("6", "a@b", "example.com"));
	table_change(OF_KAMAILIO("7", "a", "b@example.com"));
	table_change(OF_KAMAILIO("8", "a%4", "example.com"));
	table_change(OF_KAMAILIO("9", "a", "b\nexample.com"));
	table_change(OF_KAMAILIO("10", "", "example.com"));
	assert_int_equal(
		registrar_load(s->registrar, s->thread.now_ns, &loaded, error, sizeof(error)), 0);
	assert_int_equal(loaded.contacts, 4);
	assert_int_equal(loaded.malformed, 6);
	for (unsigned i = 0; i < sizeof(found) / sizeof(found[0]); i++)
		assert_status(stage_send(s, request("INVITE", found[i])), 200);
	stage_close(s);
}

static void text_is_never_sql(void **state)
{
	struct stage *s = stage_open_db(MODE(1), SAVE, table_url);

	assert_status(send_registration(s, "c'--%", 1,
			      "Contact: <sip:x'%22;--@192.0.2.1;p=');DELETE>\n"
			      "User-Agent: '; DROP TABLE location; --\n"),
		200);
	assert_string_equal(table_rows("contact,user_agent,callid"),
		"sip:x'%22;--@192.0.2.1;p=');DELETE|'; DROP TABLE location; --|"
		"c'--%\n");
	stage_close(s);
}

/* Rows of another hand: what is none is passed over, the rest is there. */
static void rows_that_are_none_are_passed_over(void **state)
{
	struct stage *s = stage_open_db(MODE(1), SAVE LOOKUP, table_url);
	struct registrar_loaded loaded;
	char error[256];

	table_change("INSERT INTO location (ruid,username,contact,expires,q,callid,cseq) VALUES "
		     "('1','alice','sip:alice@192.0.2.7','2090-01-01 00:00:00',2.5,'c',1),"
		     "('2','bob','sip:bob@192.0.2.7','never',1,'c',1),"
		     "('3','','sip:x@192.0.2.7','2090-01-01 00:00:00',1,'c',1),"
		     "('4','carol','','2090-01-01 00:00:00',1,'c',1),"
		     "('5','dave','sip:d@192.0.2.7','2020-01-01 00:00:00',1,'c',1),"
		     "('6','eve','sip:'||hex(zeroblob(1500)),'2090-01-01 00:00:00',1,'c',1)");
	assert_int_equal(
		registrar_load(s->registrar, s->thread.now_ns, &loaded, error, sizeof(error)), 0);
	assert_int_equal(loaded.contacts, 1);
	assert_int_equal(loaded.ended, 1);
	assert_int_equal(loaded.malformed, 4);
	assert_non_null(strstr(registered_contacts(s), "sip:alice@192.0.2.7>;q=1"));
	stage_close(s);
}

/* OpenSER 1.3 knows no instances. */
static void a_table_of_openser_serves(void **state)
{
	struct stage *s;

	table_change("DROP TABLE location");
	table_change(
		"CREATE TABLE location (id INTEGER PRIMARY KEY, username VARCHAR(64) NOT NULL "
		"DEFAULT '', domain VARCHAR(64) NOT NULL DEFAULT '', contact VARCHAR(255) NOT "
		"NULL, "
		"received VARCHAR(128), path VARCHAR(128), expires DATETIME NOT NULL, q FLOAT NOT "
		"NULL, callid VARCHAR(255) NOT NULL, cseq INTEGER NOT NULL, last_modified DATETIME "
		"NOT NULL, flags INTEGER NOT NULL, cflags INTEGER NOT NULL, user_agent "
		"VARCHAR(255) "
		"NOT NULL, socket VARCHAR(64), methods INTEGER)");
	s = stage_open_db(MODE(1), SAVE LOOKUP, table_url);
	table_loads(s);
	assert_status(send_registration(s, "c1", 1,
			      "Contact: " PHONE ";+sip.instance=\"<urn:uuid:1>\"\n"
			      "User-Agent: Phone 1\n"),
		200);
	assert_string_equal(table_rows("contact,user_agent"), "sip:alice@192.0.2.7:5062|Phone 1\n");
	/* Refreshed, its row stays one. */
	assert_status(send_registration(
			      s, "c1", 2, "Contact: " PHONE ";+sip.instance=\"<urn:uuid:1>\"\n"),
		200);
	assert_string_equal(table_rows("contact,cseq"), "sip:alice@192.0.2.7:5062|2\n");
	stage_close(s);
	s = stage_open_db(MODE(1), SAVE LOOKUP, table_url);
	assert_int_equal(table_loads(s), 1);
	stage_close(s);
}

/* ---- db_mode 2, 3, 4 ---- */

static void nobody_waits_with_mode_2(void **state)
{
	struct stage *s = stage_open_db(MODE(2), SAVE, table_url);

	table_loads(s);
	assert_status(send_registration(s, "c1", 1, "Contact: " PHONE "\n"), 200);
	assert_int_equal(s->waits, 0);
	table_wait(s, "contact", "sip:alice@192.0.2.7:5062\n");
	assert_status(send_registration(s, "c1", 2, "Contact: " PHONE ";expires=0\n"), 200);
	table_wait(s, "contact", "");
	stage_close(s);
}

/* Changes that found no room are made good from memory. */
static void who_is_behind_catches_up(void **state)
{
	struct stage *s = stage_open_db(MODE(2), SAVE, table_url);
	char lines[96], wanted[4096] = "";

	for (unsigned i = 10; i < 30; i++) {
		snprintf(lines, sizeof(lines), "Contact: <sip:p%u@192.0.2.1>\n", i);
		assert_status(send_registration(s, "c1", i, lines), 200);
		snprintf(wanted + strlen(wanted), sizeof(wanted) - strlen(wanted),
			"sip:p%u@192.0.2.1\n", i);
	}
	table_wait(s, "contact", wanted);
	table_change("DELETE FROM location");
	registrar_persist_all(s->registrar);
	while (registrar_persist_poll(s->registrar, 0, s->thread.now_ns) > 0)
		;
	table_wait(s, "contact", wanted);
	stage_close(s);
}

/* A database that nobody can write to for long: the lane fills up, and what stands in the end is
 * what stands in the table, however old the rows are that were on the lane. */
static void what_found_no_room_is_sent_when_there_is(void **state)
{
	struct stage *s = stage_open_db(MODE(2), SAVE, table_url);
	char lines[96], wanted[96], calls[256];
	unsigned n = 0;
	sqlite3 *other;
	int len;

	table_loads(s);
	assert_status(send_registration(s, "c0", 1, "Contact: <sip:b@192.0.2.1>\n"), 200);
	table_wait(s, "contact", "sip:b@192.0.2.1\n");
	assert_int_equal(sqlite3_open(table_path, &other), SQLITE_OK);
	assert_int_equal(sqlite3_exec(other, "BEGIN EXCLUSIVE", NULL, NULL, NULL), SQLITE_OK);
	while (table_counted(s, REGISTRAR_COUNTER_BEHIND) == 0 && n < 200000) {
		snprintf(lines, sizeof(lines), "Contact: " PHONE ";q=0.%u\n", 100 + ++n % 900);
		assert_status(send_registration(s, "c1", n, lines), 200);
	}
	assert_int_equal(table_counted(s, REGISTRAR_COUNTER_BEHIND), 1);
	/* What is shorter has its last bytes. */
	len = registrar_persist_pack_none(
		s->registrar, 0, STR("nobody"), STR("sip:n@192.0.2.1"), calls, sizeof(calls));
	while (registrar_persist_send(
		s->registrar, 0, (struct hash128){0}, str_of(calls, (size_t)len)))
		;
	/* While there is none it rests, and does no work at each pass. */
	assert_true(registrar_persist_poll(s->registrar, 0, s->thread.now_ns) <= 2);
	assert_int_equal(registrar_persist_poll(s->registrar, 0, s->thread.now_ns), 0);
	sqlite3_close(other);
	snprintf(wanted, sizeof(wanted), "sip:alice@192.0.2.7:5062|%u\nsip:b@192.0.2.1|1\n", n);
	for (unsigned i = 0; i < 12000 && strcmp(table_rows("contact,cseq"), wanted) != 0; i++) {
		stage_pass(s, 1);
		(void)registrar_persist_poll(s->registrar, 0, s->thread.now_ns);
		usleep(5000);
	}
	assert_string_equal(table_rows("contact,cseq"), wanted);
	stage_close(s);
}

/* Who turns it on while phones are registered keeps those, too. */
static void a_reload_that_turns_it_on_keeps_what_stands(void **state)
{
	struct stage *s = stage_open_db("", SAVE, table_url);

	table_loads(s);
	assert_status(send_registration(s, "c1", 1, "Contact: " PHONE "\n"), 200);
	assert_true(stage_load(s, MODE(2), SAVE));
	registrar_tick(s->registrar, s->thread.now_ns);
	while (registrar_persist_poll(s->registrar, 0, s->thread.now_ns) > 0)
		;
	table_wait(s, "contact", "sip:alice@192.0.2.7:5062\n");
	stage_close(s);
}

/* A deletion that the database refuses is not tried again before its time. */
static void a_database_that_fails_is_left_alone(void **state)
{
	struct stage *s = stage_open_db(MODE(1), SAVE, table_url);
	uint64_t asked;

	table_loads(s);
	table_change("INSERT INTO location (ruid,username,contact,expires) VALUES "
		     "('1','alice','sip:a@192.0.2.1','2020-01-01 00:00:00')");
	table_change(
		"CREATE TRIGGER no BEFORE DELETE ON location BEGIN SELECT RAISE(ABORT, 'no'); END");
	registrar_tick(s->registrar, s->thread.now_ns);
	while (s->registrar->cleaning)
		if (db_poll(s->db, clock_now_ns()) == 0)
			usleep(50);
	asked = db_counter(s->db, DB_COUNTER_QUESTIONS);
	for (unsigned i = 0; i < 50; i++) {
		stage_pass(s, 1);
		registrar_tick(s->registrar, s->thread.now_ns);
		assert_false(s->registrar->cleaning);
	}
	assert_int_equal(db_counter(s->db, DB_COUNTER_QUESTIONS), asked);
	stage_close(s);
}

static void rows_that_have_ended_go(void **state)
{
	struct stage *s = stage_open_db(MODE(2), SAVE, table_url);

	registrar_tick(s->registrar, s->thread.now_ns);
	assert_status(send_registration(s, "c1", 1, "Contact: " PHONE ";expires=70\n"), 200);
	assert_status(
		send_registration(s, "c1", 2, "Contact: <sip:b@192.0.2.1>;expires=500\n"), 200);
	table_wait(s, "contact", "sip:alice@192.0.2.7:5062\nsip:b@192.0.2.1\n");
	/* The clock of the day does not go with the one that is turned here: rows are made older.
	 */
	table_change(
		"UPDATE location SET expires='2020-01-01 00:00:00' WHERE contact LIKE '%alice%'");
	/* A look that is under way is waited for, and the next one comes in its time. */
	table_pass(s, "contact", "sip:b@192.0.2.1\n");
	stage_close(s);
}

static void mode_4_reads_only(void **state)
{
	struct stage *s = stage_open_db(MODE(1), SAVE, table_url);

	table_loads(s);
	assert_status(send_registration(s, "c1", 1, "Contact: " PHONE "\n"), 200);
	stage_close(s);
	s = stage_open_db(MODE(4), SAVE, table_url);
	assert_int_equal(table_loads(s), 1);
	assert_status(send_registration(s, "c1", 2, "Contact: " PHONE ";expires=0\n"), 200);
	assert_string_equal(registered_contacts(s), "");
	assert_string_equal(table_rows("contact"), "sip:alice@192.0.2.7:5062\n");
	stage_close(s);
}

static void what_cannot_be_is_said_at_load(void **state)
{
	struct stage *s = stage_open_db("", SAVE, table_url);

	assert_false(stage_load(
		s, MODE(1) "modparam(\"usrloc\", \"db_url\", \"oracle://x/y\")\n", SAVE));
	assert_non_null(strstr(s->said, "usrloc: db_mode 1: "));
	assert_false(stage_load(s, MODE(1), "save(\"location;drop\");\n"));
	assert_non_null(strstr(s->said, "cannot be the name of a database's table"));
	stage_close(s);
	s = stage_open("", SAVE);
	assert_false(stage_load(s, MODE(1), SAVE));
	assert_non_null(strstr(s->said, "there is no database here"));
	stage_close(s);
}

/* Names of refused configurations leave their places, and are in nobody's way. */
static void what_was_refused_leaves_no_tables(void **state)
{
	struct stage *s = stage_open_db(MODE(1), SAVE, table_url);
	char body[64];

	table_loads(s);
	assert_false(stage_load(s, MODE(1), "save(\"location;drop\");\n"));
	for (unsigned i = 0; i < 3 * REGISTRAR_TABLES_MAX; i++) {
		snprintf(body, sizeof(body), "save(\"bad%u\"); no_such_function();\n", i);
		assert_false(stage_load(s, MODE(1), body));
	}
	assert_true(stage_load(s, MODE(1), SAVE "save(\"more\");\n"));
	assert_string_equal(registrar_table_name(s->registrar, 0), "location");
	assert_string_equal(registrar_table_name(s->registrar, 1), "more");
	/* Of those that are published contacts may be there. */
	for (unsigned i = 2; i < REGISTRAR_TABLES_MAX; i++) {
		snprintf(body, sizeof(body), "save(\"table%u\");\n", i);
		if (!stage_load(s, MODE(1), body))
			fail_msg("%s", s->said);
	}
	assert_false(stage_load(s, MODE(1), "save(\"one_too_many\");\n"));
	assert_true(stage_load(s, MODE(1), SAVE));
	assert_status(send_registration(s, "c1", 1, "Contact: " PHONE "\n"), 200);
	stage_close(s);
}

#define T(f) cmocka_unit_test_setup_teardown(f, table_begin, table_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_200_says_that_it_is_on_disk),
		T(what_save_says_is_as_without_a_database),
		T(rows_follow_what_becomes_of_bindings),
		T(a_row_that_is_refreshed_stays_where_it_is),
		T(rows_of_others_become_ours),
		T(many_contacts_have_many_rows),
		T(bindings_of_one_uri_have_rows_of_their_own),
		T(a_user_agent_may_be_any_bytes),
		T(what_is_on_disk_is_there_after_a_start),
		T(a_dead_database_is_a_503),
		T(what_the_database_does_not_take_is_a_503),
		T(after_a_503_all_is_as_before),
		T(what_nobody_knows_of_is_undone),
		T(what_has_no_room_in_one_change_is_refused),
		T(an_older_one_that_comes_late_changes_nothing),
		T(the_bound_holds_for_what_is_under_way),
		T(several_phones_at_once),
		T(one_under_way_is_not_lost_beside_others),
		T(unregister_takes_the_rows),
		T(memory_only_is_a_flag),
		T(domains_have_their_column),
		T(each_kind_of_user_is_there_after_a_start),
		T(names_of_others_are_read),
		T(text_is_never_sql),
		T(rows_that_are_none_are_passed_over),
		T(a_table_of_openser_serves),
		T(nobody_waits_with_mode_2),
		T(who_is_behind_catches_up),
		T(what_found_no_room_is_sent_when_there_is),
		T(a_reload_that_turns_it_on_keeps_what_stands),
		T(a_database_that_fails_is_left_alone),
		T(rows_that_have_ended_go),
		T(mode_4_reads_only),
		T(what_cannot_be_is_said_at_load),
		T(what_was_refused_leaves_no_tables),
	};

	const struct CMUnitTest everywhere[] = {
		T(a_row_that_is_refreshed_stays_where_it_is),
		T(rows_of_others_become_ours),
		T(many_contacts_have_many_rows),
		T(bindings_of_one_uri_have_rows_of_their_own),
		T(what_nobody_knows_of_is_undone),
		T(an_older_one_that_comes_late_changes_nothing),
		T(the_bound_holds_for_what_is_under_way),
		T(several_phones_at_once),
		T(one_under_way_is_not_lost_beside_others),
		T(unregister_takes_the_rows),
		T(nobody_waits_with_mode_2),
	};

	if (getenv("TEST_DB_URL") != NULL)
		return cmocka_run_group_tests_name("registrar_persist", everywhere, NULL, NULL);
	return cmocka_run_group_tests_name("registrar_persist", tests, NULL, NULL);
}
