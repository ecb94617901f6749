/* SPDX-License-Identifier: BSD-3-Clause */
/* Names of next hops through the published cache (design section 4, RFC 3263 4), with the real
 * resolver and a name server of the tests. */
#include "harness.h"

#include <unistd.h>

#include "../resolve/dns_server.h"

static struct dns_server *server;
static struct resolver *resolver;

/* Asks for everything, so that it is in the cache. */
static void ask(struct fixture *f, enum resolve_kind kind, const char *name)
{
	struct resolve_addresses found;
	char error[256];

	resolve_now(resolver, kind, str_c(name), 2000, &found, error, sizeof(error));
}

static struct fixture *with_names(void)
{
	struct fixture *f = fixture_new(NULL);

	server = dns_server_start();
	assert_non_null(server);
	dns_server_add(server,
		(struct dns_record){
			.name = "host.example.com", .type = TYPE_A, .ttl = 60, .data = "10.7.0.2"});
	dns_server_add(server,
		(struct dns_record){
			.name = "host.example.com", .type = TYPE_A, .ttl = 60, .data = "10.7.0.1"});
	dns_server_add(server, (struct dns_record){.name = "other.example.com",
				       .type = TYPE_A,
				       .ttl = 60,
				       .data = "10.7.0.3"});
	dns_server_add(server, (struct dns_record){.name = "_sip._udp.host.example.com",
				       .type = TYPE_SRV,
				       .ttl = 60,
				       .data = "other.example.com",
				       .priority = 1,
				       .weight = 1,
				       .port = 5080});
	dns_server_add(server, (struct dns_record){.name = "trap.example.com",
				       .type = TYPE_A,
				       .ttl = 60,
				       .data = "127.0.0.1"});
	resolver = resolver_create(dns_server_address(server), &f->rcu);
	assert_non_null(resolver);
	f->proxy->resolver = resolver;
	ask(f, RESOLVE_ADDRESS, "host.example.com");
	ask(f, RESOLVE_SIP, "host.example.com");
	ask(f, RESOLVE_SIP, "nowhere.example.com");
	ask(f, RESOLVE_SIP, "trap.example.com");
	return f;
}

static void without_names(struct fixture *f)
{
	resolver_destroy(resolver);
	dns_server_stop(server);
	fixture_free(f);
}

static void a_name_is_taken_from_the_cache_in_its_order(void **state)
{
	struct fixture *f = with_names();

	/* a port: addresses only (RFC 3263 4.2) */
	receive(f, INVITE, "10.0.0.9", 5060, LEFT);
	assert_int_equal(call(f, "forward", "sip:host.example.com:5066", NULL), ROUTE_TRUE);
	assert_true(endpoint_is(&f->ctx->result.target.ep, "10.7.0.1", 5066));
	/* none: SRV, with its port */
	receive(f, INVITE, "10.0.0.9", 5060, LEFT);
	assert_int_equal(call(f, "forward", "sip:host.example.com", NULL), ROUTE_TRUE);
	assert_true(endpoint_is(&f->ctx->result.target.ep, "10.7.0.3", 5080));
	receive(f, INVITE, "10.0.0.9", 5060, LEFT);
	assert_true(call(f, "forward", "sip:nowhere.example.com", NULL) < 0);
	assert_int_equal(proxy_refusal(f->ctx), PROXY_REFUSAL_UNRESOLVED);
	assert_int_equal(f->ctx->result.status, 478);
	/* a name that points at us is no way to loopback */
	receive(f, INVITE, "10.0.0.9", 5060, LEFT);
	assert_true(call(f, "forward", "sip:trap.example.com", NULL) < 0);
	assert_int_equal(proxy_refusal(f->ctx), PROXY_REFUSAL_ADDRESS);
	without_names(f);
}

static void an_unknown_name_waits_and_goes_on_when_the_answer_is_there(void **state)
{
	struct fixture *f = with_names();
	struct str wait;

	receive(f, INVITE, "10.0.0.9", 5060, LEFT);
	assert_int_equal(call(f, "forward", NULL), ROUTE_PENDING);
	wait = route_text_str(f->ctx, f->ctx->wait);
	assert_true(str_eq(wait, STR("example.com")));
	assert_int_equal(f->ctx->wait_kind, RESOLVE_SIP);
	assert_false(f->ctx->result.reply);
	receive(f, replaced(INVITE, "bob@example.com SIP", "bob@example.com:5060 SIP"), "10.0.0.9",
		5060, LEFT);
	assert_int_equal(call(f, "forward", NULL), ROUTE_PENDING);
	assert_int_equal(f->ctx->wait_kind, RESOLVE_ADDRESS);
	/* again, when it is there */
	dns_server_add(server,
		(struct dns_record){
			.name = "example.com", .type = TYPE_A, .ttl = 60, .data = "10.7.0.9"});
	ask(f, RESOLVE_ADDRESS, "example.com");
	assert_int_equal(call(f, "forward", NULL), ROUTE_TRUE);
	assert_true(endpoint_is(&f->ctx->result.target.ep, "10.7.0.9", 5060));
	without_names(f);
}

/* RFC 3263 4.3: the addresses one after the other, those that can't be used passed over. */
static void the_next_address_is_tried_where_one_fails(void **state)
{
	struct fixture *f = with_names();

	static const char *const addresses[] = {"10.7.0.1", "10.7.0.2", "2001:db8::77"};

	for (unsigned i = 0; i < 3; i++)
		dns_server_add(server, (struct dns_record){.name = "both.example.com",
					       .type = i < 2 ? TYPE_A : TYPE_AAAA,
					       .ttl = 60,
					       .data = addresses[i]});
	ask(f, RESOLVE_ADDRESS, "both.example.com");
	f->config.listeners = 3; /* none of IPv6 */
	fixture_restart(f);
	receive(f, replaced(INVITE, "bob@example.com SIP", "bob@both.example.com:5070 SIP"),
		"10.0.0.9", 5060, LEFT);
	for (unsigned nth = 0; nth < 2; nth++) {
		proxy_target_reset(f->ctx);
		proxy_branch_set(f->ctx, 1, (uint16_t)nth);
		assert_int_equal(proxy_next_hop(f->proxy, f->ctx, nth), ROUTE_TRUE);
		assert_non_null(write_request(f));
		assert_true(endpoint_is(&f->to.dst, nth == 0 ? "10.7.0.1" : "10.7.0.2", 5070));
	}
	proxy_target_reset(f->ctx);
	assert_int_equal(proxy_next_hop(f->proxy, f->ctx, 2), -1 - (int)PROXY_REFUSAL_UNRESOLVED);
	assert_int_equal(f->ctx->result.status, 478);
	without_names(f);
}

/* Targets of one rank: the call chooses, and all that belongs to it goes there. */
static void calls_share_the_targets_and_stay_with_theirs(void **state)
{
	struct fixture *f = with_names();
	unsigned first = 0;
	char call_id[32];

	for (uint16_t i = 0; i < 2; i++)
		dns_server_add(
			server, (struct dns_record){.name = "_sip._udp.farm.example.com",
					.type = TYPE_SRV,
					.ttl = 60,
					.data = i == 0 ? "other.example.com" : "third.example.com",
					.priority = 1,
					.weight = 10,
					.port = 5080});
	dns_server_add(server, (struct dns_record){.name = "third.example.com",
				       .type = TYPE_A,
				       .ttl = 60,
				       .data = "10.7.0.4"});
	ask(f, RESOLVE_SIP, "farm.example.com");
	for (unsigned i = 0; i < 200; i++) {
		const char *text;
		struct net_endpoint to;

		snprintf(call_id, sizeof(call_id), "call-%u@", i);
		text = replaced(INVITE, "call-1@", call_id);
		receive(f, text, "10.0.0.9", 5060, LEFT);
		assert_int_equal(call(f, "forward", "sip:farm.example.com", NULL), ROUTE_TRUE);
		to = f->ctx->result.target.ep;
		first += endpoint_is(&to, "10.7.0.3", 5080);
		/* The same call with credentials, another branch and CSeq. */
		receive(f, replaced(replaced(text, "CSeq: 7", "CSeq: 8"), "abc123", "xyz"),
			"10.0.0.9", 5060, LEFT);
		assert_int_equal(call(f, "forward", "sip:farm.example.com", NULL), ROUTE_TRUE);
		assert_true(net_endpoint_equal(&to, &f->ctx->result.target.ep));
		/* Its second choice is the other one. */
		proxy_target_reset(f->ctx);
		f->ctx->uri = route_text_make(f->ctx, STR("sip:farm.example.com"));
		assert_int_equal(proxy_next_hop(f->proxy, f->ctx, 1), ROUTE_TRUE);
		assert_false(net_endpoint_equal(&to, &f->ctx->result.target.ep));
		proxy_target_reset(f->ctx);
		assert_int_equal(
			proxy_next_hop(f->proxy, f->ctx, 2), -1 - (int)PROXY_REFUSAL_UNRESOLVED);
	}
	assert_in_range(first, 60, 140);
	without_names(f);
}

static void a_transport_that_is_said_needs_no_naptr(void **state)
{
	struct fixture *f = with_names();
	static const struct {
		const char *to;
		enum resolve_kind kind;
	} cases[] = {{"sip:new.example.com", RESOLVE_SIP},
		{"sip:new.example.com;transport=udp", RESOLVE_SIP_UDP},
		{"sip:new.example.com:5060", RESOLVE_ADDRESS}, {"new.example.com", RESOLVE_SIP},
		{"udp:new.example.com", RESOLVE_SIP_UDP},
		{"udp:new.example.com:5070", RESOLVE_ADDRESS}};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		receive(f, INVITE, "10.0.0.9", 5060, LEFT);
		assert_int_equal(call(f, "forward", cases[i].to, NULL), ROUTE_PENDING);
		assert_int_equal(f->ctx->wait_kind, cases[i].kind);
	}
	without_names(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_name_is_taken_from_the_cache_in_its_order),
		cmocka_unit_test(the_next_address_is_tried_where_one_fails),
		cmocka_unit_test(calls_share_the_targets_and_stay_with_theirs),
		cmocka_unit_test(a_transport_that_is_said_needs_no_naptr),
		cmocka_unit_test(an_unknown_name_waits_and_goes_on_when_the_answer_is_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
