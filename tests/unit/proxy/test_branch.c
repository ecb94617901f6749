/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests that a transaction keeps: their branches, whose responses are whose, what several
 * branches of one request have in common, and loops (RFC 3261 16.6, 16.7, RFC 5393). */
#include "harness.h"

#define OWNER 777
#define BRANCH 513

/* A copy of a text that fits. */
static void keep(char *to, size_t size, const char *text)
{
	assert_true(strlen(text) < size);
	strcpy(to, text);
}

static const char *write_branch(struct fixture *f, uint16_t owner, uint16_t branch)
{
	proxy_target_reset(f->ctx);
	proxy_branch_set(f->ctx, owner, branch);
	assert_int_equal(call(f, "forward", "sip:10.9.9.9:5062", NULL), ROUTE_TRUE);
	write_request(f);
	if (f->written < 0)
		fail_msg("%ld", (long)f->written);
	return f->out;
}

static const char *pass_branch(struct fixture *f, const char *text, uint16_t owner, uint16_t branch)
{
	assert_int_equal(receive(f, text, "10.0.0.9", 5060, LEFT), PROXY_GO);
	return write_branch(f, owner, branch);
}

static void expect_drop(struct fixture *f, const char *response, enum proxy_reason reason)
{
	struct proxy_branch b;

	if (receive(f, response, "10.9.9.9", 5062, LEFT) != PROXY_DROP || f->reason != reason)
		fail_msg("verdict %d reason %d instead of %d, error %s:\n%s", f->verdict, f->reason,
			reason, sip_error_name(f->error), response);
	assert_false(proxy_response_branch(f->ctx, &b));
}

static const char *token_of(const char *text)
{
	return strstr(text, ";" SIP_VIA_TOKEN_PARAM "=") + sizeof(SIP_VIA_TOKEN_PARAM) + 1;
}

/* ---- the branch ---- */

static void a_branch_is_the_transaction_s_and_a_number(void **state)
{
	struct fixture *f = fixture_new(NULL);
	char stateless[64], first[64], second[64];

	keep(stateless, sizeof(stateless), branch_of(pass(f, INVITE, "10.0.0.9", 5060, LEFT)));
	keep(first, sizeof(first), branch_of(pass_branch(f, INVITE, OWNER, 0)));
	keep(second, sizeof(second), branch_of(write_branch(f, OWNER, 1)));
	assert_int_equal(strlen(stateless), 23);
	assert_int_equal(strlen(first), 25);
	assert_int_equal(strlen(second), 25);
	assert_memory_equal(first, stateless, 23);
	assert_memory_equal(second, stateless, 23);
	assert_string_equal(first + 23, "aa");
	assert_string_equal(second + 23, "ab");
	assert_string_equal(branch_of(write_branch(f, OWNER, 1023)) + 23, "77");
	fixture_free(f);
}

static void a_response_says_whose_it_is(void **state)
{
	struct fixture *f = fixture_new(NULL);
	struct proxy_branch b;
	struct hash128 key;

	pass_branch(f, INVITE, OWNER, BRANCH);
	key = proxy_transaction_key(f->proxy, f->ctx);
	assert_int_equal(
		receive(f, response_to(f->out, "180 Ringing"), "10.9.9.9", 5062, LEFT), PROXY_GO);
	assert_true(proxy_response_branch(f->ctx, &b));
	assert_true(b.key == key.lo);
	assert_int_equal(b.owner, OWNER);
	assert_int_equal(b.branch, BRANCH);
	assert_true(b.ours);
	assert_non_null(write_response(f));
	assert_true(endpoint_is(&f->to.dst, "10.0.0.9", 5060));

	pass(f, INVITE, "10.0.0.9", 5060, LEFT);
	assert_int_equal(
		receive(f, response_to(f->out, "180 Ringing"), "10.9.9.9", 5062, LEFT), PROXY_GO);
	assert_false(proxy_response_branch(f->ctx, &b));
	fixture_free(f);
}

static void the_owner_is_known_of_a_client_without_the_cookie_too(void **state)
{
	struct fixture *f = fixture_new(NULL);
	struct proxy_branch b;
	struct hash128 key;

	pass_branch(f, replaced(INVITE, ";branch=z9hG4bKabc123", ""), 3, 4);
	key = proxy_transaction_key(f->proxy, f->ctx);
	assert_int_equal(
		receive(f, response_to(f->out, "486 Busy Here"), "10.9.9.9", 5062, LEFT), PROXY_GO);
	assert_true(proxy_response_branch(f->ctx, &b));
	assert_true(b.key == key.lo);
	assert_int_equal(b.owner, 3);
	assert_int_equal(b.branch, 4);
	fixture_free(f);
}

static void another_node_s_response_is_known_as_such(void **state)
{
	struct fixture *f = fixture_new(NULL), *g = fixture_new(NULL);
	struct keys *copy = malloc(sizeof(*copy));
	struct proxy_branch b;

	*copy = *proxy_keys(f->proxy);
	free(atomic_exchange(&g->proxy->keys, copy));
	g->config.node = 77;
	fixture_configure(g);
	pass_branch(f, INVITE, OWNER, BRANCH);
	assert_int_equal(
		receive(g, response_to(f->out, "200 OK"), "10.9.9.9", 5062, LEFT), PROXY_GO);
	assert_true(proxy_response_branch(g->ctx, &b));
	assert_false(b.ours);
	assert_int_equal(b.owner, OWNER);
	assert_non_null(write_response(g));
	fixture_free(f);
	fixture_free(g);
}

/* ---- forgeries ---- */

/* Every character of the branch behind its cookie and of the token, by every other that such a text
 * may have. */
static void flip(struct fixture *f, char *response, char *text, size_t len, enum proxy_reason why)
{
	static const char digits[] = "abcdefghijklmnopqrstuvwxyz234567";

	for (size_t i = 0; i < len; i++) {
		char was = text[i];

		for (const char *c = digits; *c != 0; c++) {
			if (*c == was)
				continue;
			text[i] = *c;
			expect_drop(f, response, why);
		}
		text[i] = was;
	}
	assert_int_equal(receive(f, response, "10.9.9.9", 5062, LEFT), PROXY_GO);
}

static void each_altered_character_is_noticed(void **state)
{
	struct fixture *f = fixture_new(NULL);

	for (unsigned forked = 0; forked < 2; forked++) {
		char *r, *token;
		size_t len;

		assert_int_equal(receive(f, INVITE, "10.0.0.9", 5060, LEFT), PROXY_GO);
		if (forked)
			assert_false(proxy_is_loop(f->proxy, f->ctx));
		write_branch(f, OWNER, BRANCH);
		r = strdup(response_to(f->out, "200 OK"));
		token = (char *)(uintptr_t)token_of(r);
		len = strspn(token, "abcdefghijklmnopqrstuvwxyz234567");
		assert_int_equal(len, forked ? TOKEN_LEN_MAX : TOKEN_LEN_MAX - TOKEN_LOOP_LEN);
		flip(f, r, token, len, PROXY_REASON_VIA_MAC);
		flip(f, r, strstr(r, "z9hG4bK") + 7, 18, PROXY_REASON_VIA_MAC);
		free(r);
	}
	fixture_free(f);
}

static void a_branch_or_a_token_of_another_length_is_no_proof(void **state)
{
	struct fixture *f = fixture_new(NULL);
	char *r, branch[64], cut[64], token[64];

	pass_branch(f, INVITE, OWNER, BRANCH);
	r = strdup(response_to(f->out, "200 OK"));
	keep(branch, sizeof(branch), branch_of(r));
	for (unsigned i = 8; i < strlen(branch); i++) {
		snprintf(cut, sizeof(cut), "%.*s", (int)i, branch);
		expect_drop(f, replaced(r, branch, cut), PROXY_REASON_VIA_MAC);
	}
	strcat(strcpy(cut, branch), "a");
	expect_drop(f, replaced(r, branch, cut), PROXY_REASON_VIA_MAC);
	snprintf(token, sizeof(token), "%.*s", (int)strcspn(token_of(r), "\r;"), token_of(r));
	for (unsigned i = 1; i < strlen(token); i++) {
		snprintf(cut, sizeof(cut), "%.*s", (int)i, token);
		expect_drop(f, replaced(r, token, cut), PROXY_REASON_VIA_MAC);
	}
	strcat(strcpy(cut, token), "a");
	expect_drop(f, replaced(r, token, cut), PROXY_REASON_VIA_MAC);
	/* A stateless branch with this token, and this branch with a stateless token. */
	pass(f, INVITE, "10.0.0.9", 5060, LEFT);
	expect_drop(f, replaced(r, branch, branch_of(f->out)), PROXY_REASON_VIA_MAC);
	snprintf(cut, sizeof(cut), "%.*s", (int)strcspn(token_of(f->out), "\r;"), token_of(f->out));
	expect_drop(f, replaced(r, token, cut), PROXY_REASON_VIA_MAC);
	free(r);
	fixture_free(f);
}

static void a_token_is_good_for_its_own_call_owner_branch_and_way_back_only(void **state)
{
	struct fixture *f = fixture_new(NULL);
	static const char *const changes[][2] = {
		{"call-1@", "call-2@"},
		{"CSeq: 7 INVITE", "CSeq: 8 INVITE"},
		{"CSeq: 7 INVITE", "CSeq: 7 BYE"},
		{"CSeq: 7 INVITE", "CSeq: 7 CANCEL"},
		{"10.0.0.9:5060", "10.0.0.8:5060"},
		{"10.0.0.9:5060", "10.0.0.9:5061"},
		{"z9hG4bKabc123", "z9hG4bKabc124"},
		{"z9hG4bKabc123", "z9hG4bKabc123;received=10.66.6.6"},
		{"z9hG4bKabc123", "z9hG4bKabc123;rport=53"},
		{"z9hG4bKabc123", "z9hG4bKabc123;maddr=10.66.6.6"},
	};
	char via[256], *r;

	pass_branch(f, INVITE, OWNER, BRANCH);
	r = strdup(response_to(f->out, "200 OK"));
	assert_int_equal(receive(f, r, "10.9.9.9", 5062, LEFT), PROXY_GO);
	for (unsigned i = 0; i < sizeof(changes) / sizeof(changes[0]); i++)
		expect_drop(f, replaced(r, changes[i][0], changes[i][1]), PROXY_REASON_VIA_MAC);
	/* The tokens of another branch and of another call. */
	for (unsigned i = 0; i < 2; i++) {
		pass_branch(f, i == 1 ? replaced(INVITE, "call-1", "call-x") : INVITE, OWNER,
			BRANCH + (i == 0));
		snprintf(via, sizeof(via), "%s%.*s",
			replaced(line(r, "Via"), token_of(line(r, "Via")), ""),
			(int)strcspn(token_of(f->out), "\r"), token_of(f->out));
		expect_drop(f, replaced(r, line(r, "Via"), via), PROXY_REASON_VIA_MAC);
	}
	free(r);
	fixture_free(f);
}

static void letter_case_and_spaces_do_not_matter(void **state)
{
	struct fixture *f = fixture_new(NULL);
	char via[256], branch[64], token[64];
	struct proxy_branch b;

	pass_branch(f, INVITE, OWNER, BRANCH);
	keep(branch, sizeof(branch), branch_of(f->out));
	snprintf(token, sizeof(token), "%.*s", (int)strcspn(token_of(f->out), "\r"),
		token_of(f->out));
	for (char *p = branch; *p != 0; p++)
		*p = *p >= 'a' && *p <= 'z' ? *p - 32 : *p;
	for (char *p = token; *p != 0; p++)
		*p = *p >= 'a' && *p <= 'z' ? *p - 32 : *p;
	snprintf(via, sizeof(via), "SIP/2.0/UDP 10.0.0.1:5060 ; SP = %s ; branch = %s", token,
		branch);
	assert_int_equal(
		receive(f, replaced(response_to(f->out, "200 OK"), line(f->out, "Via"), via),
			"10.9.9.9", 5062, LEFT),
		PROXY_GO);
	assert_true(proxy_response_branch(f->ctx, &b));
	assert_int_equal(b.owner, OWNER);
	assert_int_equal(b.branch, BRANCH);
	fixture_free(f);
}

/* ---- one request, several branches ---- */

#define WITH_ROUTES \
	"INVITE sip:bob@example.com SIP/2.0\n" \
	"Via: SIP/2.0/UDP 10.0.0.9:5060;branch=z9hG4bKabc123\n" \
	"Route: <sip:10.0.0.1;lr>\n" \
	"Max-Forwards: 20\n" \
	"From: Alice <sip:alice@example.org>;tag=a1\n" \
	"To: Bob <sip:bob@example.com>\n" \
	"Call-ID: call-1@10.0.0.9\n" \
	"CSeq: 7 INVITE\n" \
	"X-One: 1\n" \
	"Content-Length: 0\n" \
	"\n"

static void each_branch_begins_with_what_the_script_left(void **state)
{
	struct fixture *f = fixture_new(NULL);
	struct route_ctx *ctx = f->ctx;
	uint32_t end;
	char first[2048];

	assert_int_equal(receive(f, WITH_ROUTES, "10.0.0.9", 5060, LEFT), PROXY_GO);
	end = ctx->msg.headers_end;
	/* In another order than that of their places. */
	sip_edit_insert(&ctx->edits, end, SIP_EDIT_LAST, STR("X-Script: last\r\n"));
	sip_edit_delete(&ctx->edits, ctx->msg.header[7].name,
		sip_msg_line_end(&ctx->msg, &ctx->msg.header[7]) - ctx->msg.header[7].name);
	write_branch(f, OWNER, 0);
	assert_int_equal(ctx->edits.count, 2);
	assert_int_equal(ctx->edits.edit[0].off, end);
	keep(first, sizeof(first), f->out);
	assert_null(line(first, "X-One"));
	assert_string_equal(line(first, "X-Script"), "last");

	/* What one branch adds is taken back by its count. */
	for (unsigned i = 1; i < 4; i++) {
		uint16_t count = ctx->edits.count, text_len = ctx->edits.text_len;
		char own[64];

		snprintf(own, sizeof(own), "X-Branch: %u\r\n", i);
		sip_edit_insert(&ctx->edits, end, SIP_EDIT_LAST, str_c(own));
		ctx->uri = route_text_make(ctx, STR("sip:carol@10.9.9.9"));
		write_branch(f, OWNER, (uint16_t)i);
		assert_int_equal(lines(f->out, "X-Branch"), 1);
		assert_int_equal(lines(f->out, "X-Script"), 1);
		assert_int_equal(lines(f->out, "Via"), 2);
		assert_int_equal(lines(f->out, "Route"), 0);
		assert_string_equal(first_line(f->out), "INVITE sip:carol@10.9.9.9 SIP/2.0");
		ctx->edits.count = count;
		ctx->edits.text_len = text_len;
		ctx->uri = ROUTE_TEXT_NONE;
	}
	assert_string_equal(write_branch(f, OWNER, 0), first);
	fixture_free(f);
}

static void a_strict_router_s_uri_is_one_branch_s_only(void **state)
{
	struct fixture *f = fixture_new(NULL);

	f->config.require_token = false;
	fixture_configure(f);
	assert_int_equal(receive(f,
				 replaced(WITH_ROUTES, "<sip:10.0.0.1;lr>",
					 "<sip:10.0.0.1;lr>, <sip:10.4.4.4>"),
				 "10.0.0.9", 5060, LEFT),
		PROXY_GO);
	for (uint16_t i = 0; i < 2; i++) {
		proxy_target_reset(f->ctx);
		proxy_branch_set(f->ctx, OWNER, i);
		assert_int_equal(proxy_next_hop(f->proxy, f->ctx, 0), ROUTE_TRUE);
		write_request(f);
		assert_string_equal(first_line(f->out), "INVITE sip:10.4.4.4 SIP/2.0");
		assert_string_equal(line(f->out, "Route"), "<sip:bob@example.com>");
		assert_true(endpoint_is(&f->to.dst, "10.4.4.4", 5060));
		assert_int_equal(f->ctx->uri.space, ROUTE_SPACE_NONE);
	}
	/* The third goes elsewhere: no strict router. */
	write_branch(f, OWNER, 2);
	assert_string_equal(first_line(f->out), "INVITE sip:bob@example.com SIP/2.0");
	assert_string_equal(line(f->out, "Route"), "<sip:10.4.4.4>");
	fixture_free(f);
}

static void a_target_is_forgotten_with_its_refusal(void **state)
{
	struct fixture *f = fixture_new(NULL);

	assert_int_equal(receive(f, INVITE, "10.0.0.9", 5060, LEFT), PROXY_GO);
	assert_int_equal(
		call(f, "forward", "sip:127.0.0.1", NULL), -1 - (int)PROXY_REFUSAL_ADDRESS);
	assert_true(f->ctx->result.reply);
	proxy_target_reset(f->ctx);
	assert_false(f->ctx->result.reply);
	assert_int_equal(proxy_refusal(f->ctx), PROXY_REFUSAL_NONE);
	assert_int_equal(call(f, "forward", "sip:10.9.9.9", NULL), ROUTE_TRUE);
	assert_int_equal(call(f, "forward", "sip:10.9.9.9", NULL), -1 - (int)PROXY_REFUSAL_TWICE);
	proxy_target_reset(f->ctx);
	assert_int_equal(proxy_request_write(f->proxy, f->ctx, f->out, 4096, &f->to), -500);
	assert_int_equal(call(f, "forward", "sip:10.9.9.8", NULL), ROUTE_TRUE);
	assert_non_null(write_request(f));
	assert_true(endpoint_is(&f->to.dst, "10.9.9.8", 5060));
	/* A reply of the script's own stays. */
	proxy_target_reset(f->ctx);
	assert_int_equal(call(f, "sl_send_reply", "180", "Ringing", NULL), ROUTE_TRUE);
	proxy_target_reset(f->ctx);
	assert_true(f->ctx->result.reply);
	fixture_free(f);
}

static void an_address_has_no_second_one(void **state)
{
	struct fixture *f = fixture_new(NULL);

	assert_int_equal(receive(f, replaced(INVITE, "bob@example.com SIP", "bob@10.9.9.9 SIP"),
				 "10.0.0.9", 5060, LEFT),
		PROXY_GO);
	assert_int_equal(proxy_next_hop(f->proxy, f->ctx, 0), ROUTE_TRUE);
	proxy_target_reset(f->ctx);
	assert_int_equal(proxy_next_hop(f->proxy, f->ctx, 1), -1 - (int)PROXY_REFUSAL_UNRESOLVED);
	f->ctx->du = route_text_make(f->ctx, STR("sip:10.9.9.8"));
	proxy_target_reset(f->ctx);
	assert_int_equal(proxy_next_hop(f->proxy, f->ctx, 1), -1 - (int)PROXY_REFUSAL_UNRESOLVED);
	assert_int_equal(proxy_next_hop(f->proxy, f->ctx, 0), ROUTE_TRUE);
	f->ctx->du_target = f->ctx->result.target;
	proxy_target_reset(f->ctx);
	assert_int_equal(proxy_next_hop(f->proxy, f->ctx, 1), -1 - (int)PROXY_REFUSAL_UNRESOLVED);
	assert_int_equal(proxy_next_hop(f->proxy, f->ctx, 0), ROUTE_TRUE);
	fixture_free(f);
}

/* RFC 5393 5.3.3 */
static void a_branch_says_how_far_it_may_be_forked(void **state)
{
	struct fixture *f = fixture_new(NULL);
	static const char *const headers[] = {"", "Max-Breadth: 4711\nMax-Forwards",
		"Route: <sip:10.0.0.1;lr>\nMax-Breadth: 4711\nMax-Forwards",
		"Max-Breadth:\nMax-Forwards"};
	char straight[2048];

	for (unsigned i = 0; i < 4; i++) {
		for (unsigned edited = 0; edited < 2; edited++) {
			assert_int_equal(
				receive(f,
					i == 0 ? INVITE
					       : replaced(INVITE, "Max-Forwards", headers[i]),
					"10.0.0.9", 5060, LEFT),
				PROXY_GO);
			proxy_max_breadth_set(f->ctx, 30);
			if (edited)
				sip_edit_insert(&f->ctx->edits, f->ctx->msg.headers_end,
					SIP_EDIT_LAST, STR("X: y\r\n"));
			write_branch(f, OWNER, 0);
			assert_int_equal(lines(f->out, "Max-Breadth"), 1);
			assert_string_equal(line(f->out, "Max-Breadth"), "30");
			assert_string_equal(line(f->out, "Max-Forwards"), "19");
			if (edited)
				assert_string_equal(replaced(f->out, "X: y\r\n", ""), straight);
			keep(straight, sizeof(straight), f->out);
		}
		proxy_max_breadth_set(f->ctx, 0);
		write_branch(f, OWNER, 0);
		assert_int_equal(lines(f->out, "Max-Breadth"), i != 0);
		proxy_max_breadth_set(f->ctx, 65535);
		assert_string_equal(line(write_branch(f, OWNER, 0), "Max-Breadth"), "65535");
	}
	fixture_free(f);
}

/* ---- Path ---- */

static void set_path(struct fixture *f, const char *path)
{
	proxy_target_reset(f->ctx);
	f->ctx->path = route_text_make(f->ctx, str_c(path));
}

static void a_path_stands_above_the_routes_and_leads(void **state)
{
	struct fixture *f = fixture_new(NULL);

	for (unsigned routes = 0; routes < 2; routes++) {
		f->config.require_token = false;
		fixture_configure(f);
		assert_int_equal(receive(f,
					 routes ? replaced(WITH_ROUTES, "<sip:10.0.0.1;lr>",
							  "<sip:10.0.0.1;lr>, <sip:10.4.4.4;lr>")
						: INVITE,
					 "10.0.0.9", 5060, LEFT),
			PROXY_GO);
		set_path(f, "<sip:edge@10.5.5.5:5070;lr>, <sip:10.6.6.6;lr>");
		proxy_branch_set(f->ctx, OWNER, 0);
		assert_int_equal(proxy_next_hop(f->proxy, f->ctx, 0), ROUTE_TRUE);
		write_request(f);
		assert_true(endpoint_is(&f->to.dst, "10.5.5.5", 5070));
		assert_string_equal(
			line(f->out, "Route"), "<sip:edge@10.5.5.5:5070;lr>, <sip:10.6.6.6;lr>");
		assert_int_equal(lines(f->out, "Route"), 1 + routes);
		if (routes)
			assert_string_equal(line_at(f->out, "Route", 1), "<sip:10.4.4.4;lr>");
		assert_string_equal(first_line(f->out), "INVITE sip:bob@example.com SIP/2.0");

		/* $du goes before it, and the Route stays. */
		proxy_target_reset(f->ctx);
		f->ctx->du = route_text_make(f->ctx, STR("sip:10.7.7.7:5080"));
		assert_int_equal(proxy_next_hop(f->proxy, f->ctx, 0), ROUTE_TRUE);
		write_request(f);
		assert_true(endpoint_is(&f->to.dst, "10.7.7.7", 5080));
		assert_int_equal(lines(f->out, "Route"), 1 + routes);
		/* The next branch has none. */
		proxy_target_reset(f->ctx);
		f->ctx->path = ROUTE_TEXT_NONE;
		assert_int_equal(proxy_next_hop(f->proxy, f->ctx, 0), ROUTE_TRUE);
		write_request(f);
		assert_int_equal(lines(f->out, "Route"), routes);
	}
	fixture_free(f);
}

static void a_path_that_is_none_is_refused(void **state)
{
	struct fixture *f = fixture_new(NULL);
	static const char *const bad[] = {"<sip:10.5.5.5>", "sip", "<", "*", "<tel:12;lr>", ","};

	assert_int_equal(receive(f, INVITE, "10.0.0.9", 5060, LEFT), PROXY_GO);
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		set_path(f, bad[i]);
		if (proxy_next_hop(f->proxy, f->ctx, 0) >= 0)
			fail_msg("%s", bad[i]);
	}
	/* None that would end its line leaves, wherever it came from. */
	set_path(f, "<sip:10.5.5.5;lr>\r\nX: y");
	f->ctx->du = route_text_make(f->ctx, STR("sip:10.7.7.7:5080"));
	assert_int_equal(proxy_next_hop(f->proxy, f->ctx, 0), ROUTE_TRUE);
	assert_int_equal(proxy_request_write(f->proxy, f->ctx, f->out, 4096, &f->to), -500);
	proxy_branch_set(f->ctx, OWNER, 0);
	assert_int_equal(proxy_request_write(f->proxy, f->ctx, f->out, 4096, &f->to), -500);
	assert_int_equal(f->ctx->edits.count, 0);
	fixture_free(f);
}

/* ---- loops ---- */

/* The request as it left, come back with `change` made. */
static bool is_loop(struct fixture *f, const char *was, const char *now)
{
	char *text = strdup(was != NULL ? replaced(f->out, was, now) : f->out);
	bool loop;

	if (receive(f, text, "10.9.9.9", 5062, LEFT) != PROXY_GO)
		fail_msg("not taken: %s", text);
	free(text);
	loop = proxy_is_loop(f->proxy, f->ctx);
	assert_true(proxy_is_loop(f->proxy, f->ctx) == loop);
	return loop;
}

static void what_comes_back_unchanged_is_a_loop(void **state)
{
	struct fixture *f = fixture_new(NULL);
	char sent[2048];

	assert_int_equal(receive(f, INVITE, "10.0.0.9", 5060, LEFT), PROXY_GO);
	assert_false(proxy_is_loop(f->proxy, f->ctx));
	write_branch(f, OWNER, 0);
	keep(sent, sizeof(sent), f->out);
	assert_true(is_loop(f, NULL, NULL));
	/* Through others, who add Vias on lines of their own or on ours. */
	keep(f->out, sizeof(f->out), sent);
	assert_true(is_loop(f, "Via: ",
		"Via: SIP/2.0/UDP a.example;branch=z9hG4bK1;x;y=\"sp=,\", SIP/2.0/TCP "
		"b:5;sp=1\r\nVia: "));
	keep(f->out, sizeof(f->out), sent);
	assert_true(is_loop(f, "Via: ", "Via: SIP/2.0/UDP a.example;branch=z9hG4bK1, "));
	/* The method is none of it: an ACK or a CANCEL goes where its INVITE went. */
	keep(f->out, sizeof(f->out), sent);
	assert_true(is_loop(f, "Max-Forwards: 19", "Max-Forwards: 3"));
	fixture_free(f);
}

static void what_comes_back_changed_is_a_spiral(void **state)
{
	struct fixture *f = fixture_new(NULL);
	static const char *const changes[][2] = {
		{"sip:bob@example.com SIP/2.0", "sip:bob@10.0.0.7 SIP/2.0"},
		{"Max-Forwards", "Route: <sip:10.0.0.1;lr>\r\nMax-Forwards"},
		{"call-1@", "call-2@"},
		{"CSeq: 7", "CSeq: 8"},
		{"tag=a1", "tag=a2"},
		{";sp=", ";st="},
	};
	char sent[2048];

	assert_int_equal(receive(f, INVITE, "10.0.0.9", 5060, LEFT), PROXY_GO);
	assert_false(proxy_is_loop(f->proxy, f->ctx));
	write_branch(f, OWNER, 0);
	keep(sent, sizeof(sent), f->out);
	for (unsigned i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		keep(f->out, sizeof(f->out), sent);
		if (is_loop(f, changes[i][0], changes[i][1]))
			fail_msg("%s", changes[i][1]);
	}
	/* Two spirals with different Request-URIs, then one of them again. */
	keep(f->out, sizeof(f->out), sent);
	assert_false(is_loop(f, "sip:bob@example.com SIP/2.0", "sip:b@example.com SIP/2.0"));
	write_branch(f, OWNER, 1);
	keep(sent, sizeof(sent), f->out);
	assert_false(is_loop(f, "sip:b@example.com SIP/2.0", "sip:c@example.com SIP/2.0"));
	keep(f->out, sizeof(f->out), sent);
	assert_true(is_loop(f, "sip:b@example.com SIP/2.0", "sip:bob@example.com SIP/2.0"));
	fixture_free(f);
}

static void what_was_not_forked_is_never_a_loop(void **state)
{
	struct fixture *f = fixture_new(NULL);

	/* RFC 5393 4.2.2: the second part is not there. */
	pass_branch(f, INVITE, OWNER, 0);
	assert_false(is_loop(f, NULL, NULL));
	pass(f, INVITE, "10.0.0.9", 5060, LEFT);
	assert_false(is_loop(f, NULL, NULL));
	fixture_free(f);
}

static void another_node_that_forks_it_too_is_no_loop(void **state)
{
	struct fixture *f = fixture_new(NULL);

	assert_int_equal(receive(f, INVITE, "10.0.0.9", 5060, LEFT), PROXY_GO);
	assert_false(proxy_is_loop(f->proxy, f->ctx));
	write_branch(f, OWNER, 0);
	f->config.node++;
	fixture_configure(f);
	assert_false(is_loop(f, NULL, NULL));
	fixture_free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_branch_is_the_transaction_s_and_a_number),
		cmocka_unit_test(a_response_says_whose_it_is),
		cmocka_unit_test(the_owner_is_known_of_a_client_without_the_cookie_too),
		cmocka_unit_test(another_node_s_response_is_known_as_such),
		cmocka_unit_test(each_altered_character_is_noticed),
		cmocka_unit_test(a_branch_or_a_token_of_another_length_is_no_proof),
		cmocka_unit_test(a_token_is_good_for_its_own_call_owner_branch_and_way_back_only),
		cmocka_unit_test(letter_case_and_spaces_do_not_matter),
		cmocka_unit_test(each_branch_begins_with_what_the_script_left),
		cmocka_unit_test(a_strict_router_s_uri_is_one_branch_s_only),
		cmocka_unit_test(a_target_is_forgotten_with_its_refusal),
		cmocka_unit_test(an_address_has_no_second_one),
		cmocka_unit_test(a_branch_says_how_far_it_may_be_forked),
		cmocka_unit_test(a_path_stands_above_the_routes_and_leads),
		cmocka_unit_test(a_path_that_is_none_is_refused),
		cmocka_unit_test(what_comes_back_unchanged_is_a_loop),
		cmocka_unit_test(what_comes_back_changed_is_a_spiral),
		cmocka_unit_test(what_was_not_forked_is_never_a_loop),
		cmocka_unit_test(another_node_that_forks_it_too_is_no_loop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
