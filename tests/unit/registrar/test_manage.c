/* SPDX-License-Identifier: BSD-3-Clause */
/* What an operator asks of the table: by which text, and what is gone then. */
#include "common.h"

#define SAVE "\tif (method == \"REGISTER\") { save(\"location\"); exit; }\n"
#define WITH_DOMAIN "modparam(\"usrloc\", \"use_domain\", 1)\n"

static const char *read_aor(const struct stage *s, const char *text)
{
	static struct registrar_aor aor;
	static char out[LOCATION_AOR_MAX + 1];

	if (registrar_aor_read(s->registrar, str_c(text), &aor) != 0)
		return "-";
	memcpy(out, aor.text, aor.len);
	out[aor.len] = '\0';
	return out;
}

static void an_operator_writes_an_aor_as_he_likes(void **state)
{
	struct stage *s = stage_open("", SAVE);
	char *edge = malloc(5); /* a span without a NUL behind it */

	assert_string_equal(read_aor(s, "Alice"), "alice");
	assert_string_equal(read_aor(s, "alice@example.com"), "alice");
	assert_string_equal(read_aor(s, "sip:alice@example.com;x=y"), "alice");
	assert_string_equal(read_aor(s, "SIPS:alice@example.com"), "alice");
	assert_string_equal(read_aor(s, "%61lice"), "alice");
	assert_string_equal(read_aor(s, ""), "-");
	assert_string_equal(read_aor(s, "@"), "-");
	assert_string_equal(read_aor(s, "a@b@c d"), "-");
	assert_string_equal(read_aor(s, "http://x"), "-");
	assert_string_equal(read_aor(s, "al%0aice"), "-");
	memcpy(edge, "alice", 5);
	struct registrar_aor aor;
	assert_int_equal(registrar_aor_read(s->registrar, str_of(edge, 5), &aor), 0);
	free(edge);
	stage_close(s);
	s = stage_open(WITH_DOMAIN, SAVE);
	assert_string_equal(read_aor(s, "Alice@Example.COM"), "alice@example.com");
	/* Whose domain nobody knows. */
	assert_string_equal(read_aor(s, "alice"), "-");
	stage_close(s);
}

static void too_long_a_text_is_none(void **state)
{
	struct stage *s = stage_open("", SAVE);
	char text[2 * LOCATION_AOR_MAX];

	for (uint32_t len = LOCATION_AOR_MAX - 32; len < sizeof(text); len++) {
		struct registrar_aor aor;
		char *exact = malloc(len);

		memset(exact, 'a', len);
		if (len > LOCATION_AOR_MAX)
			assert_int_equal(registrar_aor_read(s->registrar, str_of(exact, len), &aor),
				-EINVAL);
		else
			(void)registrar_aor_read(s->registrar, str_of(exact, len), &aor);
		exact[1] = '@';
		(void)registrar_aor_read(s->registrar, str_of(exact, len), &aor);
		free(exact);
	}
	stage_close(s);
}

static int remove_contact(struct stage *s, const char *uri)
{
	struct registrar_aor aor;

	assert_int_equal(registrar_aor_read(s->registrar, STR("alice"), &aor), 0);
	return registrar_remove(s->registrar, 0, 0, &aor, str_c(uri), registrar_now(s->ctx));
}

static void contacts_go_one_by_one_or_all(void **state)
{
	struct stage *s = stage_open("", SAVE);

	assert_string_equal(registered_contacts(s), "");
	assert_int_equal(remove_contact(s, NULL), 0);
	send_registration(s, "c1", 1,
		"Contact: <sip:a@198.51.100.7>, <sip:b@198.51.100.7:5062>, <sip:c@198.51.100.7>\n");
	/* 19.1.4: equal, not to the letter. */
	assert_int_equal(remove_contact(s, "SIP:b@198.51.100.7:05062"), 1);
	assert_int_equal(remove_contact(s, "sip:b@198.51.100.7:5062"), 0);
	assert_int_equal(remove_contact(s, "no URI"), 0);
	assert_non_null(strstr(registered_contacts(s), "sip:a@"));
	assert_null(strstr(registered_contacts(s), "sip:b@"));
	assert_non_null(strstr(registered_contacts(s), "sip:c@"));
	assert_int_equal(remove_contact(s, NULL), 2);
	assert_string_equal(registered_contacts(s), "");
	assert_int_equal(remove_contact(s, NULL), 0);
	stage_close(s);
}

static void tables_have_their_names(void **state)
{
	struct stage *s = stage_open("", SAVE);

	assert_string_equal(registrar_table_name(s->registrar, 0), "location");
	assert_null(registrar_table_name(s->registrar, 1));
	stage_close(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_operator_writes_an_aor_as_he_likes),
		cmocka_unit_test(too_long_a_text_is_none),
		cmocka_unit_test(contacts_go_one_by_one_or_all),
		cmocka_unit_test(tables_have_their_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
