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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_name_is_taken_from_the_cache_in_its_order),
		cmocka_unit_test(an_unknown_name_waits_and_goes_on_when_the_answer_is_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
