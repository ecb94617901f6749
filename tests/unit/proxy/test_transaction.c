/* SPDX-License-Identifier: BSD-3-Clause */
/* Design section 4: transaction key, branch, and what has to leave alike. RFC 3261 16.11, 17.2.3.
 */
#include "harness.h"

#include <sys/stat.h>
#include <unistd.h>

static char folder[] = "/tmp/siplane-proxy-XXXXXX";
static char path[64];

static int make_folder(void **state)
{
	strcpy(folder + sizeof(folder) - 7, "XXXXXX");
	if (mkdtemp(folder) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/secret", folder);
	return 0;
}

static int remove_folder(void **state)
{
	unlink(path);
	return rmdir(folder);
}

static const char *invite(const char *method)
{
	const char *text = replaced(replaced(INVITE, "INVITE", method), "7 INVITE", "7 INVITE");
	static char out[1024];

	snprintf(out, sizeof(out), "%s", text);
	return replaced(out, "CSeq: 7 INVITE",
		method[0] == 'C'   ? "CSeq: 7 CANCEL"
		: method[0] == 'A' ? "CSeq: 7 ACK"
				   : "CSeq: 7 INVITE");
}

static void keep_branch(char out[64], const char *text)
{
	snprintf(out, 64, "%s", branch_of(text));
}

static void a_retransmission_leaves_as_the_same_bytes(void **state)
{
	struct fixture *f = fixture_new(NULL);
	char *first = strdup(pass(f, INVITE, "10.0.0.9", 5060, LEFT));

	assert_string_equal(pass(f, INVITE, "10.0.0.9", 5060, LEFT), first);
	free(first);
	fixture_free(f);
}

static void cancel_and_failure_ack_get_the_branch_of_the_invite(void **state)
{
	struct fixture *f = fixture_new(NULL);
	char a[64], b[64], c[64];

	keep_branch(a, pass(f, INVITE, "10.0.0.9", 5060, LEFT));
	keep_branch(b, pass(f, invite("CANCEL"), "10.0.0.9", 5060, LEFT));
	keep_branch(
		c, pass(f, replaced(invite("ACK"), "bob@example.com>", "bob@example.com>;tag=b7"),
			   "10.0.0.9", 5060, LEFT));
	assert_string_equal(a, b);
	assert_string_equal(a, c);
	fixture_free(f);
}

static void another_source_port_changes_no_branch(void **state)
{
	struct fixture *f = fixture_new(NULL);
	char a[64], b[64];

	keep_branch(a, pass(f, INVITE, "10.0.0.9", 5060, LEFT));
	keep_branch(b, pass(f, invite("CANCEL"), "10.0.0.77", 1024, LEFT_ALT));
	assert_string_equal(a, b);
	fixture_free(f);
}

static void a_second_process_with_the_secret_file_gives_the_same_branch(void **state)
{
	struct fixture *f = fixture_new(path), *g = fixture_new(path);
	char a[64], b[64];

	g->config.node = 4;
	fixture_configure(g);
	keep_branch(a, pass(f, INVITE, "10.0.0.9", 5060, LEFT));
	keep_branch(b, pass(g, invite("CANCEL"), "10.0.0.9", 5060, LEFT));
	assert_string_equal(a, b);
	fixture_free(f);
	fixture_free(g);
}

static void another_secret_gives_another_branch(void **state)
{
	struct fixture *f = fixture_new(NULL), *g = fixture_new(NULL);
	char a[64], b[64];

	keep_branch(a, pass(f, INVITE, "10.0.0.9", 5060, LEFT));
	keep_branch(b, pass(g, INVITE, "10.0.0.9", 5060, LEFT));
	assert_string_not_equal(a, b);
	fixture_free(f);
	fixture_free(g);
}

static void a_restart_and_a_key_roll_between_invite_and_cancel_lose_nothing(void **state)
{
	struct fixture *f = fixture_new(path);
	char a[64], b[64], error[256];
	char *response;

	keep_branch(a, pass(f, INVITE, "10.0.0.9", 5060, LEFT));
	response = strdup(response_to(f->out, "180 Ringing"));
	fixture_free(f);
	assert_int_equal(proxy_secret_roll(path, error, sizeof(error)), 0);
	f = fixture_new(path);
	keep_branch(b, pass(f, invite("CANCEL"), "10.0.0.9", 5060, LEFT));
	assert_string_equal(a, b);
	assert_int_equal(receive(f, response, "10.9.9.9", 5062, LEFT), PROXY_GO);
	free(response);
	fixture_free(f);
}

static void a_roll_while_running_verifies_what_the_old_key_signed(void **state)
{
	struct fixture *f = fixture_new(path);
	char a[64], b[64], error[256], *response;

	keep_branch(a, pass(f, INVITE, "10.0.0.9", 5060, LEFT));
	response = strdup(response_to(f->out, "200 OK"));
	for (int i = 0; i < PROXY_KEYS_MAX - 2; i++) {
		assert_int_equal(proxy_secret_roll(path, error, sizeof(error)), 0);
		assert_int_equal(proxy_secret_load(f->proxy, path, error, sizeof(error)), 0);
		assert_int_equal(receive(f, response, "10.9.9.9", 5062, LEFT), PROXY_GO);
	}
	keep_branch(b, pass(f, INVITE, "10.0.0.9", 5060, LEFT));
	assert_string_equal(a, b);
	/* Forgotten in the end: there is room for so many keys only. */
	assert_int_equal(proxy_secret_roll(path, error, sizeof(error)), 0);
	assert_int_equal(proxy_secret_load(f->proxy, path, error, sizeof(error)), 0);
	assert_int_equal(receive(f, response, "10.9.9.9", 5062, LEFT), PROXY_DROP);
	assert_int_equal(f->reason, PROXY_REASON_VIA_MAC);
	free(response);
	fixture_free(f);
}

static void a_node_that_has_not_reloaded_verifies_what_a_rolled_one_signs(void **state)
{
	struct fixture *f = fixture_new(path), *g = fixture_new(path);
	char error[256];

	assert_int_equal(proxy_secret_roll(path, error, sizeof(error)), 0);
	assert_int_equal(proxy_secret_load(f->proxy, path, error, sizeof(error)), 0);
	pass(f, INVITE, "10.0.0.9", 5060, LEFT);
	assert_int_equal(
		receive(g, response_to(f->out, "200 OK"), "10.9.9.9", 5062, LEFT), PROXY_GO);
	fixture_free(f);
	fixture_free(g);
}

static void branch_and_host_are_compared_without_case(void **state)
{
	struct fixture *f = fixture_new(NULL);
	char a[64], b[64];

	keep_branch(
		a, pass(f, replaced(INVITE, "10.0.0.9:5060;branch", "Client.example.org;branch"),
			   "10.0.0.9", 5060, LEFT));
	keep_branch(b, pass(f,
			       replaced(replaced(INVITE, "10.0.0.9:5060;branch",
						"client.EXAMPLE.org:5060;branch"),
				       "z9hG4bKabc", "Z9HG4BKABC"),
			       "10.0.0.9", 5060, LEFT));
	assert_string_equal(a, b);
	fixture_free(f);
}

static void another_branch_host_or_port_is_another_transaction(void **state)
{
	struct fixture *f = fixture_new(NULL);
	char a[64], b[64];
	const char *const others[] = {"Via: SIP/2.0/UDP 10.0.0.9:5060;branch=z9hG4bKabc124",
		"Via: SIP/2.0/UDP 10.0.0.8:5060;branch=z9hG4bKabc123",
		"Via: SIP/2.0/UDP 10.0.0.9:5061;branch=z9hG4bKabc123"};

	keep_branch(a, pass(f, INVITE, "10.0.0.9", 5060, LEFT));
	for (unsigned i = 0; i < 3; i++) {
		keep_branch(
			b, pass(f,
				   replaced(INVITE,
					   "Via: SIP/2.0/UDP 10.0.0.9:5060;branch=z9hG4bKabc123",
					   others[i]),
				   "10.0.0.9", 5060, LEFT));
		assert_string_not_equal(a, b);
	}
	fixture_free(f);
}

static void an_rfc_2543_transaction_is_known_without_a_cookie(void **state)
{
	struct fixture *f = fixture_new(NULL);
	static const char *const branches[] = {";branch=1", ""};
	char a[64], b[64], old[1024], cancel[1024];

	for (unsigned i = 0; i < 2; i++) {
		snprintf(old, sizeof(old), "%s",
			replaced(INVITE, ";branch=z9hG4bKabc123", branches[i]));
		keep_branch(a, pass(f, old, "10.0.0.9", 5060, LEFT));
		/* CANCEL, and the ACK with its To tag, from another source port */
		snprintf(cancel, sizeof(cancel), "%s",
			replaced(
				replaced(old, "INVITE sip", "CANCEL sip"), "7 INVITE", "7 CANCEL"));
		keep_branch(b, pass(f, cancel, "10.0.0.9", 1024, LEFT));
		assert_string_equal(a, b);
		snprintf(cancel, sizeof(cancel), "%s",
			replaced(replaced(replaced(old, "INVITE sip", "ACK sip"), "7 INVITE",
					 "7 ACK"),
				"bob@example.com>\n", "bob@example.com>;tag=x\n"));
		keep_branch(b, pass(f, cancel, "10.0.0.9", 5060, LEFT));
		assert_string_equal(a, b);
		/* each of the other fields tells transactions apart */
		keep_branch(b, pass(f, replaced(old, "tag=a1", "tag=a2"), "10.0.0.9", 5060, LEFT));
		assert_string_not_equal(a, b);
		keep_branch(b, pass(f, replaced(old, "call-1", "call-2"), "10.0.0.9", 5060, LEFT));
		assert_string_not_equal(a, b);
		keep_branch(
			b, pass(f, replaced(old, "CSeq: 7", "CSeq: 8"), "10.0.0.9", 5060, LEFT));
		assert_string_not_equal(a, b);
		keep_branch(
			b, pass(f, replaced(old, "sip:bob@", "sip:rob@"), "10.0.0.9", 5060, LEFT));
		assert_string_not_equal(a, b);
	}
	fixture_free(f);
}

static void our_branch_is_the_cookie_and_lower_case_base32(void **state)
{
	struct fixture *f = fixture_new(NULL);
	const char *branch = branch_of(pass(f, INVITE, "10.0.0.9", 5060, LEFT));
	const char *via = line(f->out, "Via"), *token = strstr(via, ";sp=");

	assert_int_equal(strlen(branch), 7 + 16);
	assert_int_equal(strncmp(branch, "z9hG4bK", 7), 0);
	assert_int_equal(strspn(branch + 7, "abcdefghijklmnopqrstuvwxyz234567"), 16);
	assert_non_null(token);
	assert_int_equal(strspn(token + 4, "abcdefghijklmnopqrstuvwxyz234567"), strlen(token + 4));
	assert_int_equal(strncmp(via, "SIP/2.0/UDP 10.0.0.1:5060;branch=", 33), 0);
	fixture_free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_retransmission_leaves_as_the_same_bytes),
		cmocka_unit_test(cancel_and_failure_ack_get_the_branch_of_the_invite),
		cmocka_unit_test(another_source_port_changes_no_branch),
		cmocka_unit_test_setup_teardown(
			a_second_process_with_the_secret_file_gives_the_same_branch, make_folder,
			remove_folder),
		cmocka_unit_test(another_secret_gives_another_branch),
		cmocka_unit_test_setup_teardown(
			a_restart_and_a_key_roll_between_invite_and_cancel_lose_nothing,
			make_folder, remove_folder),
		cmocka_unit_test_setup_teardown(
			a_roll_while_running_verifies_what_the_old_key_signed, make_folder,
			remove_folder),
		cmocka_unit_test_setup_teardown(
			a_node_that_has_not_reloaded_verifies_what_a_rolled_one_signs, make_folder,
			remove_folder),
		cmocka_unit_test(branch_and_host_are_compared_without_case),
		cmocka_unit_test(another_branch_host_or_port_is_another_transaction),
		cmocka_unit_test(an_rfc_2543_transaction_is_known_without_a_cookie),
		cmocka_unit_test(our_branch_is_the_cookie_and_lower_case_base32),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
