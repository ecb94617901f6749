/* SPDX-License-Identifier: BSD-3-Clause */
/* Path (RFC 3327): what a REGISTER says of the way back, and the requests that come by it. */
#include "harness.h"

#define REGISTER \
	"REGISTER sip:registrar.example.com SIP/2.0\n" \
	"Via: SIP/2.0/UDP 192.168.1.2:5060;rport;branch=z9hG4bKreg\n" \
	"Max-Forwards: 20\n" \
	"From: <sip:bob@example.com>;tag=r1\n" \
	"To: <sip:bob@example.com>\n" \
	"Call-ID: reg-1\n" \
	"CSeq: 1 REGISTER\n" \
	"Contact: <sip:bob@192.168.1.2:5060>\n" \
	"Content-Length: 0\n" \
	"\n"

static const char *path_of(struct fixture *f, const char *text, const char *src, uint16_t port,
	unsigned listener, const char *function, const char *user, const char *params)
{
	assert_int_equal(receive(f, text, src, port, listener), PROXY_GO);
	assert_int_equal(user == NULL     ? call(f, function, NULL)
			 : params == NULL ? call(f, function, user, NULL)
					  : call(f, function, user, params, NULL),
		ROUTE_TRUE);
	assert_int_equal(
		call(f, "forward",
			f->listener[listener].ep.addr.family == 4 ? "sip:10.9.9.9:5062"
								  : "sip:[2001:db8::9]:5062",
			NULL),
		ROUTE_TRUE);
	assert_non_null(write_request(f));
	return line(f->out, "Path");
}

/* A request with this Route, from the registrar. */
static enum proxy_verdict come_back(
	struct fixture *f, const char *path, const char *src, unsigned at)
{
	char route[1024];

	snprintf(route, sizeof(route), "Route: %s\nMax-Forwards", path);
	return receive(f, replaced(INVITE, "Max-Forwards", route), src, 5060, at);
}

static void a_register_says_where_it_came_from(void **state)
{
	struct fixture *f = fixture_new(NULL);
	const char *path = path_of(f, REGISTER, "203.0.113.7", 40001, LEFT, "add_path", NULL, NULL);

	/* The address of the listener that it leaves from, and no more. */
	assert_memory_equal(path, "<sip:10.0.0.1:5060;lr;ob;sp=", 28);
	assert_string_equal(path + strlen(path) - 1, ">");
	assert_int_equal(strspn(path + 28, "abcdefghijklmnopqrstuvwxyz234567"), FLOW_TOKEN_MIN);
	assert_int_equal(strlen(path), 28 + FLOW_TOKEN_MIN + 1);
	path = path_of(f, REGISTER, "203.0.113.7", 40001, LEFT, "add_path_received", "bob", "x=1");
	assert_memory_equal(path, "<sip:bob@10.0.0.1:5060;lr;ob;sp=", 32);
	assert_non_null(strstr(path, ";received=sip:203.0.113.7:40001;x=1>"));
	assert_int_equal(lines(f->out, "Path"), 1);

	/* Above those that are there; who is not the first hop keeps no flow (RFC 5626 5.1). */
	path = path_of(f,
		replaced(
			replaced(REGISTER, "Max-Forwards", "Path: <sip:10.5.5.5;lr>\nMax-Forwards"),
			"Via: ", "Via: SIP/2.0/UDP 10.5.5.5;branch=z9hG4bKp\nVia: "),
		"10.5.5.5", 5060, LEFT, "add_path", NULL, NULL);
	assert_null(strstr(path, ";ob"));
	assert_int_equal(lines(f->out, "Path"), 2);
	assert_string_equal(line_at(f->out, "Path", 1), "<sip:10.5.5.5;lr>");
	fixture_free(f);
}

static void what_is_no_register_gets_no_path(void **state)
{
	struct fixture *f = fixture_new(NULL);
	static const char *const users[] = {"a b", "a@b", "a\r\nX: y", "a>", "a;b", "a?b"};
	static const char *const params[] = {"a b", "a>", "a\r\nX: y", "a?b", "a,b", "\"a"};

	assert_int_equal(receive(f, INVITE, "10.0.0.9", 5060, LEFT), PROXY_GO);
	assert_int_equal(call(f, "add_path", NULL), ROUTE_FALSE);
	assert_int_equal(call(f, "add_path_received", NULL), ROUTE_FALSE);
	assert_int_equal(receive(f, REGISTER, "10.0.0.9", 5060, LEFT), PROXY_GO);
	for (unsigned i = 0; i < 6; i++) {
		assert_int_equal(call(f, "add_path", users[i], NULL), ROUTE_FALSE);
		assert_int_equal(call(f, "add_path", "bob", params[i], NULL), ROUTE_FALSE);
	}
	assert_int_equal(call(f, "forward", "sip:10.9.9.9", NULL), ROUTE_TRUE);
	assert_non_null(write_request(f));
	assert_null(line(f->out, "Path"));
	fixture_free(f);
}

static void a_request_goes_back_where_the_register_came_from(void **state)
{
	struct fixture *f = fixture_new(NULL);
	char path[512];

	f->config.mhomed = true;
	fixture_configure(f);
	strcpy(path, path_of(f, REGISTER, "203.0.113.7", 40001, LEFT_ALT, "add_path", "bob", NULL));
	assert_int_equal(come_back(f, path, "10.9.9.9", LEFT), PROXY_GO);
	assert_int_equal(call(f, "loose_route", NULL), ROUTE_TRUE);
	assert_int_equal(call(f, "forward", NULL), ROUTE_TRUE);
	assert_non_null(write_request(f));
	/* Not to the Request-URI's host, and from the listener that the NAT knows. */
	assert_true(endpoint_is(&f->to.dst, "203.0.113.7", 40001));
	assert_int_equal(f->to.listener, LEFT_ALT);
	assert_null(line(f->out, "Route"));
	assert_string_equal(first_line(f->out), "INVITE sip:bob@example.com SIP/2.0");

	/* Without loose_route() too; and with a branch of a transaction, again and again. */
	assert_int_equal(come_back(f, path, "10.9.9.9", LEFT), PROXY_GO);
	for (uint16_t i = 0; i < 2; i++) {
		proxy_target_reset(f->ctx);
		proxy_branch_set(f->ctx, 1, i);
		assert_int_equal(proxy_next_hop(f->proxy, f->ctx, 0), ROUTE_TRUE);
		assert_non_null(write_request(f));
		assert_true(endpoint_is(&f->to.dst, "203.0.113.7", 40001));
	}

	/* Where the script says another way, that is it. */
	assert_int_equal(come_back(f, path, "10.9.9.9", LEFT), PROXY_GO);
	f->ctx->du = route_text_make(f->ctx, STR("sip:10.8.8.8"));
	assert_int_equal(call(f, "forward", NULL), ROUTE_TRUE);
	assert_true(endpoint_is(&f->ctx->result.target.ep, "10.8.8.8", 5060));

	/* Another proxy stands between: its Route stays. */
	strcat(path, ", <sip:203.0.113.7:40001;lr>");
	assert_int_equal(come_back(f, path, "10.9.9.9", LEFT), PROXY_GO);
	assert_int_equal(call(f, "forward", NULL), ROUTE_TRUE);
	assert_non_null(write_request(f));
	assert_true(endpoint_is(&f->to.dst, "203.0.113.7", 40001));
	assert_string_equal(line(f->out, "Route"), "<sip:203.0.113.7:40001;lr>");
	fixture_free(f);
}

static void an_ipv6_flow_is_kept_too(void **state)
{
	struct fixture *f = fixture_new(NULL);
	char path[512];

	strcpy(path, path_of(f, REGISTER, "2001:db8:1:2:3:4:ffee:ddcc", 65535, SIX,
			     "add_path_received", NULL, NULL));
	assert_non_null(strstr(path, ";received=sip:[2001:db8:1:2:3:4:ffee:ddcc]:65535>"));
	assert_int_equal(come_back(f, path, "2001:db8::9", SIX), PROXY_GO);
	assert_int_equal(call(f, "forward", NULL), ROUTE_TRUE);
	assert_true(endpoint_is(&f->ctx->result.target.ep, "2001:db8:1:2:3:4:ffee:ddcc", 65535));
	assert_int_equal(f->ctx->result.target.listener, SIX);
	fixture_free(f);
}

static void nobody_else_s_path_is_followed(void **state)
{
	struct fixture *f = fixture_new(NULL), *other = fixture_new(NULL);
	static const char digits[] = "abcdefghijklmnopqrstuvwxyz234567";
	char path[512], *token;
	size_t len;

	strcpy(path, path_of(f, REGISTER, "203.0.113.7", 40001, LEFT, "add_path", NULL, NULL));
	token = strstr(path, ";sp=") + 4;
	len = strspn(token, digits);
	for (size_t i = 0; i < len; i++) {
		char was = token[i];

		for (const char *c = digits; *c != 0; c++) {
			struct route_ctx *ctx = f->ctx;

			if (*c == was)
				continue;
			token[i] = *c;
			assert_int_equal(come_back(f, path, "10.9.9.9", LEFT), PROXY_GO);
			if (call(f, "loose_route", NULL) != ROUTE_FALSE || ctx->du_target.valid)
				fail_msg("character %zu", i);
		}
		token[i] = was;
	}
	/* In capitals it is the same. */
	for (size_t i = 0; i < len; i++)
		token[i] = token[i] >= 'a' ? (char)(token[i] - 32) : token[i];
	assert_int_equal(come_back(f, path, "10.9.9.9", LEFT), PROXY_GO);
	assert_int_equal(call(f, "loose_route", NULL), ROUTE_TRUE);
	/* Of keys that we have not. */
	assert_int_equal(come_back(other, path, "10.9.9.9", LEFT), PROXY_GO);
	assert_int_equal(call(other, "loose_route", NULL), ROUTE_FALSE);
	/* Cut. */
	for (size_t i = len; i-- > 0;) {
		strcpy(token + i, ">");
		assert_int_equal(come_back(f, path, "10.9.9.9", LEFT), PROXY_GO);
		assert_int_equal(call(f, "loose_route", NULL), ROUTE_FALSE);
	}
	fixture_free(f);
	fixture_free(other);
}

static void a_path_is_the_way_to_its_flow_and_no_other(void **state)
{
	struct fixture *f = fixture_new(NULL);
	char path[512];

	strcpy(path, path_of(f, REGISTER, "203.0.113.7", 40001, LEFT, "add_path", NULL, NULL));
	/* What comes from there goes out as any request. */
	assert_int_equal(come_back(f, path, "203.0.113.7", LEFT), PROXY_GO);
	f->ctx->origin.src.port = 40001;
	assert_int_equal(call(f, "loose_route", NULL), ROUTE_FALSE);
	assert_false(f->ctx->du_target.valid);
	/* A script that takes the flow away has no licence for the Routes behind. */
	strcat(path, ", <sip:10.66.6.6;lr>");
	assert_int_equal(come_back(f, path, "10.9.9.9", LEFT), PROXY_GO);
	assert_int_equal(call(f, "loose_route", NULL), ROUTE_TRUE);
	f->ctx->du_target.valid = false;
	assert_int_equal(call(f, "forward", NULL), -1 - (int)PROXY_REFUSAL_ROUTE_TOKEN);
	fixture_free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_register_says_where_it_came_from),
		cmocka_unit_test(what_is_no_register_gets_no_path),
		cmocka_unit_test(a_request_goes_back_where_the_register_came_from),
		cmocka_unit_test(an_ipv6_flow_is_kept_too),
		cmocka_unit_test(nobody_else_s_path_is_followed),
		cmocka_unit_test(a_path_is_the_way_to_its_flow_and_no_other),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
