/* SPDX-License-Identifier: BSD-3-Clause */
/* The ACK to a failure and the CANCEL of an INVITE that we sent (RFC 3261 17.1.1.3, 9.1), and the
 * responses to our own CANCEL. */
#include "harness.h"

#define OWNER 1023
#define BRANCH 32

static char sent[4096], made[4096];

/* An INVITE of ours, with a Route that stays. */
static void send_invite(struct fixture *f)
{
	f->config.require_token = false;
	fixture_configure(f);
	assert_int_equal(receive(f,
				 replaced(INVITE, "Max-Forwards: 20",
					 "Route: <sip:10.0.0.1;lr>, <sip:10.4.4.4;lr>\n"
					 "Route: <sip:10.4.4.5;lr>\n"
					 "Max-Forwards: 20"),
				 "10.0.0.9", 5060, LEFT),
		PROXY_GO);
	proxy_branch_set(f->ctx, OWNER, BRANCH);
	assert_int_equal(proxy_next_hop(f->proxy, f->ctx, 0), ROUTE_TRUE);
	assert_non_null(write_request(f));
	assert_true(strlen(f->out) < sizeof(sent));
	strcpy(sent, f->out);
}

static const char *checked(int64_t n)
{
	struct sip_msg *msg = malloc(sizeof(*msg));

	if (n <= 0)
		fail_msg("%ld", (long)n);
	made[n] = 0;
	assert_int_equal(sip_msg_index(msg, made, (uint32_t)n), SIP_OK);
	assert_int_equal(sip_msg_check(msg, made), SIP_OK);
	free(msg);
	return made;
}

static void expect_hop_by_hop(const char *text, const char *start, const char *cseq)
{
	assert_string_equal(first_line(text), start);
	/* One Via, to the letter that of the INVITE. */
	assert_int_equal(lines(text, "Via"), 1);
	assert_string_equal(line(text, "Via"), line(sent, "Via"));
	assert_int_equal(lines(text, "Route"), 2);
	assert_string_equal(line_at(text, "Route", 0), "<sip:10.4.4.4;lr>");
	assert_string_equal(line_at(text, "Route", 1), "<sip:10.4.4.5;lr>");
	assert_string_equal(line(text, "From"), "Alice <sip:alice@example.org>;tag=a1");
	assert_string_equal(line(text, "Call-ID"), "call-1@10.0.0.9");
	assert_string_equal(line(text, "CSeq"), cseq);
	assert_string_equal(line(text, "Max-Forwards"), "70");
	assert_string_equal(line(text, "Content-Length"), "0");
	assert_null(line(text, "Contact"));
}

static void the_ack_to_a_failure_has_the_response_s_to(void **state)
{
	struct fixture *f = fixture_new(NULL);
	int64_t n;

	send_invite(f);
	n = proxy_ack_write(f->proxy, str_c(sent), STR("Bob <sip:bob@example.com>;tag=b1"), made,
		sizeof(made) - 1);
	expect_hop_by_hop(checked(n), "ACK sip:bob@example.com SIP/2.0", "7 ACK");
	assert_string_equal(line(made, "To"), "Bob <sip:bob@example.com>;tag=b1");
	for (uint32_t room = 0; room < (uint32_t)n; room++)
		assert_int_equal(proxy_ack_write(f->proxy, str_c(sent),
					 STR("Bob <sip:bob@example.com>;tag=b1"), made, room),
			-ENOSPC);
	assert_int_equal(
		proxy_ack_write(f->proxy, str_c(sent), STR_NONE, made, sizeof(made)), -EINVAL);
	fixture_free(f);
}

static void a_cancel_is_its_invite_s(void **state)
{
	struct fixture *f = fixture_new(NULL);
	int64_t n;

	send_invite(f);
	n = proxy_cancel_write(f->proxy, str_c(sent),
		STR("Reason: SIP;cause=200;text=\"Call completed elsewhere\"\r\n"), made,
		sizeof(made) - 1);
	expect_hop_by_hop(checked(n), "CANCEL sip:bob@example.com SIP/2.0", "7 CANCEL");
	assert_string_equal(line(made, "To"), "Bob <sip:bob@example.com>");
	assert_string_equal(
		line(made, "Reason"), "SIP;cause=200;text=\"Call completed elsewhere\"");
	for (uint32_t room = 0; room < (uint32_t)n; room++)
		assert_true(proxy_cancel_write(f->proxy, str_c(sent),
				    STR("Reason: SIP;cause=200;text=\"Call completed "
					"elsewhere\"\r\n"),
				    made, room) == -ENOSPC);
	checked(proxy_cancel_write(f->proxy, str_c(sent), STR_NONE, made, sizeof(made) - 1));
	assert_null(line(made, "Reason"));
	fixture_free(f);
}

static void only_an_invite_is_followed(void **state)
{
	struct fixture *f = fixture_new(NULL);
	static const char *const bad[][2] = {
		{"INVITE sip:", "BYE sip:"},
		{"INVITE sip:bob@example.com SIP/2.0", "SIP/2.0 200 OK"},
		{"Via: ", "X: "},
		{"From: ", "X: "},
		{"To: ", "X: "},
		{"Call-ID: ", "X: "},
		{"CSeq: ", "X: "},
		{"CSeq: 7", "CSeq: x"},
	};

	send_invite(f);
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		const char *text = replaced(sent, bad[i][0], bad[i][1]);

		if (i == 2)
			text = replaced(text, "Via: ", "X: ");
		if (proxy_cancel_write(f->proxy, str_c(text), STR_NONE, made, sizeof(made)) !=
			-EINVAL)
			fail_msg("%s", bad[i][1]);
	}
	assert_int_equal(
		proxy_cancel_write(f->proxy, STR(""), STR_NONE, made, sizeof(made)), -EINVAL);
	fixture_free(f);
}

/* ---- the response to a CANCEL of ours ---- */

static void expect_drop(struct fixture *f, const char *response, enum proxy_reason reason)
{
	struct proxy_branch b;

	if (receive(f, response, "10.9.9.9", 5062, LEFT) != PROXY_DROP || f->reason != reason)
		fail_msg("verdict %d reason %d instead of %d:\n%s", f->verdict, f->reason, reason,
			response);
	assert_false(proxy_response_branch(f->ctx, &b));
}

static void the_answer_to_our_cancel_goes_to_its_owner(void **state)
{
	struct fixture *f = fixture_new(NULL);
	struct proxy_branch b;
	struct hash128 key;

	send_invite(f);
	key = proxy_transaction_key(f->proxy, f->ctx);
	checked(proxy_cancel_write(f->proxy, str_c(sent), STR_NONE, made, sizeof(made) - 1));
	assert_int_equal(receive(f, response_to(made, "200 OK"), "10.4.4.4", 5060, LEFT), PROXY_GO);
	assert_true(proxy_response_branch(f->ctx, &b));
	assert_true(b.key == key.lo);
	assert_int_equal(b.owner, OWNER);
	assert_int_equal(b.branch, BRANCH);
	assert_true(b.ours);
	/* Nobody is behind us. */
	assert_false(f->ctx->result.forward);
	assert_int_equal(proxy_response_write(f->proxy, f->ctx, f->out, sizeof(f->out), &f->to),
		-PROXY_REASON_RESPONSE_TARGET);
	fixture_free(f);
}

static void an_answer_to_a_cancel_that_is_not_ours_is_dropped(void **state)
{
	struct fixture *f = fixture_new(NULL);
	char *r, *token, *branch;
	size_t len;

	send_invite(f);
	checked(proxy_cancel_write(f->proxy, str_c(sent), STR_NONE, made, sizeof(made) - 1));
	r = strdup(response_to(made, "200 OK"));
	expect_drop(f, replaced(r, "call-1@", "call-2@"), PROXY_REASON_VIA_NONE_BELOW);
	expect_drop(f, replaced(r, "CSeq: 7", "CSeq: 8"), PROXY_REASON_VIA_NONE_BELOW);
	expect_drop(f, replaced(r, "7 CANCEL", "7 INVITE"), PROXY_REASON_VIA_NONE_BELOW);
	expect_drop(f, replaced(r, "7 CANCEL", "7 BYE"), PROXY_REASON_VIA_NONE_BELOW);
	expect_drop(f, replaced(r, "10.0.0.1:5060", "10.0.0.2:5060"), PROXY_REASON_VIA_NOT_OURS);
	token = strstr(r, ";sp=") + 4;
	len = strcspn(token, "\r");
	/* What proves the Via below has nothing to prove here; all else does. */
	for (size_t i = 0; i < len - TOKEN_MAC_LEN; i++) {
		char was = token[i];

		token[i] = was == 'q' ? 'p' : 'q';
		expect_drop(f, r, PROXY_REASON_VIA_NONE_BELOW);
		token[i] = was;
	}
	branch = strstr(r, "z9hG4bK") + 7;
	for (size_t i = 0; i < BRANCH_LEN + BRANCH_NUMBER_LEN; i++) {
		char was = branch[i];

		branch[i] = was == 'q' ? 'p' : 'q';
		expect_drop(f, r, PROXY_REASON_VIA_NONE_BELOW);
		branch[i] = was;
	}
	assert_int_equal(receive(f, r, "10.4.4.4", 5060, LEFT), PROXY_GO);
	free(r);
	/* A stateless branch is no CANCEL of ours. */
	pass(f, INVITE, "10.0.0.9", 5060, LEFT);
	checked(proxy_cancel_write(f->proxy, str_c(f->out), STR_NONE, made, sizeof(made) - 1));
	expect_drop(f, response_to(made, "200 OK"), PROXY_REASON_VIA_NONE_BELOW);
	fixture_free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_ack_to_a_failure_has_the_response_s_to),
		cmocka_unit_test(a_cancel_is_its_invite_s),
		cmocka_unit_test(only_an_invite_is_followed),
		cmocka_unit_test(the_answer_to_our_cancel_goes_to_its_owner),
		cmocka_unit_test(an_answer_to_a_cancel_that_is_not_ours_is_dropped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
