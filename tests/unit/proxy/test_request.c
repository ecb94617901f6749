/* SPDX-License-Identifier: BSD-3-Clause */
/* Where a request goes and how it leaves: RFC 3261 16.3 to 16.6, the policy of design section 4,
 * OpenSER's forward(). */
#include "harness.h"

static void max_forwards_is_decremented_once(void **state)
{
	struct fixture *f = fixture_new(NULL);

	assert_string_equal(line(pass(f, INVITE, "10.0.0.9", 5060, LEFT), "Max-Forwards"), "19");
	receive(f, INVITE, "10.0.0.9", 5060, LEFT);
	assert_int_equal(call(f, "mf_process_maxfwd_header", "10", NULL), ROUTE_TRUE);
	assert_int_equal(call(f, "mf_process_maxfwd_header", "10", NULL), ROUTE_TRUE);
	call(f, "forward", "sip:10.9.9.9", NULL);
	assert_string_equal(line(write_request(f), "Max-Forwards"), "19");
	assert_int_equal(lines(f->out, "Max-Forwards"), 1);
	fixture_free(f);
}

static void a_missing_max_forwards_is_added(void **state)
{
	struct fixture *f = fixture_new(NULL);
	const char *text = replaced(INVITE, "Max-Forwards: 20\n", "");

	assert_string_equal(line(pass(f, text, "10.0.0.9", 5060, LEFT), "Max-Forwards"), "70");
	receive(f, text, "10.0.0.9", 5060, LEFT);
	assert_int_equal(call(f, "is_maxfwd_lt", "10", NULL), -2);
	assert_int_equal(call(f, "mf_process_maxfwd_header", "10", NULL), 2);
	assert_int_equal(call(f, "is_maxfwd_lt", "10", NULL), ROUTE_FALSE);
	assert_int_equal(call(f, "is_maxfwd_lt", "11", NULL), ROUTE_TRUE);
	call(f, "forward", "sip:10.9.9.9", NULL);
	assert_string_equal(line(write_request(f), "Max-Forwards"), "10");
	fixture_free(f);
}

static void a_large_max_forwards_is_cut_to_the_modules_limit(void **state)
{
	struct fixture *f = fixture_new(NULL);

	receive(f, replaced(INVITE, "Max-Forwards: 20", "Max-Forwards: 255"), "10.0.0.9", 5060,
		LEFT);
	assert_int_equal(call(f, "is_maxfwd_lt", "255", NULL), ROUTE_FALSE);
	assert_int_equal(call(f, "mf_process_maxfwd_header", "10", NULL), ROUTE_TRUE);
	assert_int_equal(call(f, "is_maxfwd_lt", "70", NULL), ROUTE_FALSE);
	assert_int_equal(call(f, "is_maxfwd_lt", "71", NULL), ROUTE_TRUE);
	call(f, "forward", "sip:10.9.9.9", NULL);
	assert_string_equal(line(write_request(f), "Max-Forwards"), "70");
	fixture_free(f);
}

static void max_forwards_0_is_false_for_the_script_and_refused_by_forward(void **state)
{
	struct fixture *f = fixture_new(NULL);

	receive(f, replaced(INVITE, "Max-Forwards: 20", "Max-Forwards: 0"), "10.0.0.9", 5060, LEFT);
	f->ctx->result.reply = false;
	assert_int_equal(call(f, "mf_process_maxfwd_header", "10", NULL), ROUTE_FALSE);
	assert_int_equal(call(f, "is_maxfwd_lt", "1", NULL), ROUTE_TRUE);
	assert_true(call(f, "forward", "sip:10.9.9.9", NULL) < 0);
	assert_int_equal(proxy_refusal(f->ctx), PROXY_REFUSAL_MAX_FORWARDS);
	fixture_free(f);
}

static void the_next_hop_is_du_then_route_then_uri(void **state)
{
	struct fixture *f = fixture_new(NULL);
	const char *text =
		replaced(replaced(INVITE, "bob@example.com SIP", "bob@10.3.3.3:5063 SIP"),
			"Contact:", "Route: <sip:10.5.5.5:5065;lr>\nContact:");

	f->config.require_token = false;
	fixture_configure(f);
	receive(f, text, "10.0.0.9", 5060, LEFT);
	f->ctx->du = route_text_make(f->ctx, STR("sip:10.4.4.4:5064"));
	assert_int_equal(call(f, "forward", NULL), ROUTE_TRUE);
	assert_true(endpoint_is(&f->ctx->result.target.ep, "10.4.4.4", 5064));
	receive(f, text, "10.0.0.9", 5060, LEFT);
	assert_int_equal(call(f, "forward", NULL), ROUTE_TRUE);
	assert_true(endpoint_is(&f->ctx->result.target.ep, "10.5.5.5", 5065));
	receive(f, replaced(text, "Route: <sip:10.5.5.5:5065;lr>\n", ""), "10.0.0.9", 5060, LEFT);
	assert_int_equal(call(f, "forward", NULL), ROUTE_TRUE);
	assert_true(endpoint_is(&f->ctx->result.target.ep, "10.3.3.3", 5063));
	fixture_free(f);
}

static void a_dispatchers_address_is_taken_without_its_name(void **state)
{
	struct fixture *f = fixture_new(NULL);

	receive(f, INVITE, "10.0.0.9", 5060, LEFT);
	f->ctx->du = route_text_make(f->ctx, STR("sip:a.name.that.nobody.resolves"));
	f->ctx->du_target = (struct route_target){.ep = endpoint("10.4.4.4", 5064),
		.transport = SIP_TRANSPORT_UDP,
		.listener = RIGHT,
		.destination = 12,
		.valid = true};
	assert_int_equal(call(f, "forward", NULL), ROUTE_TRUE);
	assert_non_null(write_request(f));
	assert_true(endpoint_is(&f->to.dst, "10.4.4.4", 5064));
	assert_int_equal(f->to.listener, RIGHT);
	assert_int_equal(f->to.destination, 12);
	fixture_free(f);
}

static void forward_takes_a_uri_a_host_or_host_and_port(void **state)
{
	struct fixture *f = fixture_new(NULL);
	static const struct {
		const char *host, *port, *to;
		uint16_t to_port;
	} forms[] = {
		{"sip:10.4.4.4", NULL, "10.4.4.4", 5060},
		{"sip:x@10.4.4.4:5064;lr", NULL, "10.4.4.4", 5064},
		{"sip:name.example.net;maddr=10.4.4.4", NULL, "10.4.4.4", 5060},
		{"10.4.4.4", NULL, "10.4.4.4", 5060},
		{"10.4.4.4:5064", NULL, "10.4.4.4", 5064},
		{"udp:10.4.4.4:5064", NULL, "10.4.4.4", 5064},
		{"10.4.4.4", "5064", "10.4.4.4", 5064},
		{"[2001:db8::4]:5064", NULL, "2001:db8::4", 5064},
		{"2001:db8::4", NULL, "2001:db8::4", 5060},
	};

	for (unsigned i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		receive(f, INVITE, "10.0.0.9", 5060, LEFT);
		assert_int_equal(
			call(f, "forward", forms[i].host, forms[i].port, NULL), ROUTE_TRUE);
		if (!endpoint_is(&f->ctx->result.target.ep, forms[i].to, forms[i].to_port))
			fail_msg("form %u", i);
	}
	fixture_free(f);
}

static void other_transports_and_sips_are_refused_and_never_downgraded(void **state)
{
	struct fixture *f = fixture_new(NULL);
	static const struct {
		const char *to;
		enum proxy_refusal refusal;
		uint16_t status;
	} refused[] = {
		{"sip:10.4.4.4;transport=tcp", PROXY_REFUSAL_TRANSPORT, 480},
		{"sip:10.4.4.4;transport=TLS", PROXY_REFUSAL_TRANSPORT, 480},
		{"sip:10.4.4.4;transport=ws", PROXY_REFUSAL_TRANSPORT, 480},
		{"tls:10.4.4.4:5061", PROXY_REFUSAL_TRANSPORT, 480},
		{"sips:10.4.4.4", PROXY_REFUSAL_SIPS, 416},
	};

	for (unsigned i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		receive(f, INVITE, "10.0.0.9", 5060, LEFT);
		assert_true(call(f, "forward", refused[i].to, NULL) < 0);
		assert_int_equal(proxy_refusal(f->ctx), refused[i].refusal);
		assert_int_equal(f->ctx->result.status, refused[i].status);
	}
	/* a sips Request-URI, though the next hop is plain */
	receive(f, replaced(INVITE, "sip:bob@example.com SIP", "sips:bob@example.com SIP"),
		"10.0.0.9", 5060, LEFT);
	assert_true(call(f, "forward", "sip:10.4.4.4", NULL) < 0);
	assert_int_equal(proxy_refusal(f->ctx), PROXY_REFUSAL_SIPS);
	/* tel has no address */
	receive(f, replaced(INVITE, "sip:bob@example.com SIP", "tel:+15551234 SIP"), "10.0.0.9",
		5060, LEFT);
	assert_true(call(f, "forward", NULL) < 0);
	assert_int_equal(f->ctx->result.status, 404);
	receive(f, replaced(INVITE, "sip:bob@example.com SIP", "tel:+15551234 SIP"), "10.0.0.9",
		5060, LEFT);
	assert_int_equal(call(f, "forward", "sip:10.4.4.4", NULL), ROUTE_TRUE);
	fixture_free(f);
}

static void nothing_is_forwarded_to_broadcast_multicast_zero_or_loopback(void **state)
{
	struct fixture *f = fixture_new(NULL);
	static const char *const to[] = {"sip:255.255.255.255", "sip:224.0.0.1", "sip:239.1.1.1",
		"sip:0.0.0.0", "sip:0.1.2.3", "sip:127.0.0.1", "sip:127.9.9.9", "sip:[::1]",
		"sip:[::]", "sip:[ff02::1]", "sip:[::ffff:127.0.0.1]", "sip:[::ffff:10.0.0.1]",
		"sip:240.0.0.1", "sip:10.4.4.4;maddr=127.0.0.1"};

	for (unsigned i = 0; i < sizeof(to) / sizeof(to[0]); i++) {
		receive(f, INVITE, "10.0.0.9", 5060, LEFT);
		if (call(f, "forward", to[i], NULL) >= 0 ||
			proxy_refusal(f->ctx) != PROXY_REFUSAL_ADDRESS)
			fail_msg("%s", to[i]);
		assert_int_equal(f->ctx->result.status, 403);
	}
	fixture_free(f);
}

static void a_second_forward_is_refused_and_the_first_stands(void **state)
{
	struct fixture *f = fixture_new(NULL);

	receive(f, INVITE, "10.0.0.9", 5060, LEFT);
	assert_int_equal(call(f, "forward", "sip:10.4.4.4", NULL), ROUTE_TRUE);
	assert_true(call(f, "forward", "sip:10.5.5.5", NULL) < 0);
	assert_true(call(f, "sl_send_reply", "404", "x", NULL) < 0);
	assert_false(f->ctx->result.reply);
	assert_non_null(write_request(f));
	assert_true(endpoint_is(&f->to.dst, "10.4.4.4", 5060));
	/* after a final reply there is nothing to forward; after a provisional one there is */
	receive(f, INVITE, "10.0.0.9", 5060, LEFT);
	call(f, "sl_send_reply", "404", "x", NULL);
	assert_true(call(f, "forward", "sip:10.4.4.4", NULL) < 0);
	assert_int_equal(f->ctx->result.status, 404);
	receive(f, INVITE, "10.0.0.9", 5060, LEFT);
	call(f, "sl_send_reply", "100", "Trying", NULL);
	assert_int_equal(call(f, "forward", "sip:10.4.4.4", NULL), ROUTE_TRUE);
	assert_true(f->ctx->result.reply); /* and both leave */
	assert_int_equal(f->ctx->result.status, 100);
	assert_non_null(write_reply(f));
	assert_non_null(write_request(f));
	/* but not the reply of a refusal in between */
	receive(f, INVITE, "10.0.0.9", 5060, LEFT);
	call(f, "sl_send_reply", "100", "Trying", NULL);
	assert_true(call(f, "forward", "sip:127.0.0.1", NULL) < 0);
	assert_int_equal(call(f, "forward", "sip:10.4.4.4", NULL), ROUTE_TRUE);
	assert_false(f->ctx->result.reply);
	/* after a refusal another try may succeed */
	receive(f, INVITE, "10.0.0.9", 5060, LEFT);
	assert_true(call(f, "forward", "sip:127.0.0.1", NULL) < 0);
	assert_int_equal(call(f, "forward", "sip:10.4.4.4", NULL), ROUTE_TRUE);
	assert_false(f->ctx->result.reply);
	fixture_free(f);
}

static void only_what_comes_back_unchanged_is_a_loop(void **state)
{
	struct fixture *f = fixture_new(NULL);
	const char *text = replaced(INVITE, "bob@example.com SIP", "bob@10.0.0.1 SIP");

	receive(f, text, "10.0.0.9", 5060, LEFT);
	assert_int_equal(call(f, "forward", NULL), ROUTE_TRUE);
	write_request(f);
	assert_int_equal(f->written, -482);
	/* another of our listeners, the same R-URI: a loop too */
	receive(f, text, "10.0.0.9", 5060, LEFT);
	assert_int_equal(call(f, "forward", "sip:10.1.0.1", NULL), ROUTE_TRUE);
	write_request(f);
	assert_int_equal(f->written, -482);
	/* a spiral: another R-URI */
	receive(f, text, "10.0.0.9", 5060, LEFT);
	f->ctx->uri = route_text_make(f->ctx, STR("sip:carol@10.0.0.1"));
	assert_int_equal(call(f, "forward", NULL), ROUTE_TRUE);
	assert_non_null(write_request(f));
	/* a spiral: a Route of ours was taken away */
	receive(f, replaced(text, "Contact:", "Route: <sip:10.0.0.1;lr>\nContact:"), "10.0.0.9",
		5060, LEFT);
	assert_int_equal(call(f, "forward", NULL), ROUTE_TRUE);
	assert_non_null(write_request(f));
	/* somebody on our address with another port is not us */
	receive(f, replaced(text, "bob@10.0.0.1 SIP", "bob@10.0.0.1:9999 SIP"), "10.0.0.9", 5060,
		LEFT);
	assert_int_equal(call(f, "forward", NULL), ROUTE_TRUE);
	assert_non_null(write_request(f));
	fixture_free(f);
}

static void a_spiral_has_another_branch_and_its_response_finds_back_through_both(void **state)
{
	struct fixture *f = fixture_new(NULL);
	char first[64], *request, *response;

	receive(f, replaced(INVITE, "bob@example.com SIP", "bob@10.0.0.1 SIP"), "10.0.0.9", 5060,
		LEFT);
	f->ctx->uri = route_text_make(f->ctx, STR("sip:carol@10.0.0.1"));
	call(f, "forward", NULL);
	request = strdup(write_request(f));
	snprintf(first, sizeof(first), "%s", branch_of(request));
	assert_int_equal(receive(f, request, "10.0.0.1", 5060, LEFT), PROXY_GO);
	assert_int_equal(call(f, "forward", "sip:10.9.9.9", NULL), ROUTE_TRUE);
	assert_non_null(write_request(f));
	assert_string_not_equal(branch_of(f->out), first);
	assert_int_equal(lines(f->out, "Via"), 3);
	assert_int_equal(
		receive(f, response_to(f->out, "200 OK"), "10.9.9.9", 5060, LEFT), PROXY_GO);
	response = strdup(write_response(f));
	assert_true(endpoint_is(&f->to.dst, "10.0.0.1", 5060));
	assert_int_equal(receive(f, response, "10.0.0.1", 5060, LEFT), PROXY_GO);
	write_response(f);
	assert_true(endpoint_is(&f->to.dst, "10.0.0.9", 5060));
	assert_int_equal(lines(f->out, "Via"), 1);
	free(request);
	free(response);
	fixture_free(f);
}

/* 10.1/16 is behind the second port. */
static bool two_ports(void *arg, const struct net_addr *to, struct net_addr *source, uint16_t *port)
{
	bool right = to->family == 4 && to->b[1] == 1;

	if (to->family == 4 && to->b[1] == 200)
		return false;
	*source = to->family == 6 ? endpoint("2001:db8::1", 0).addr
				  : endpoint(right ? "10.1.0.1" : "10.0.0.1", 0).addr;
	*port = right ? 1 : 0;
	return true;
}

static void the_listener_follows_the_route_and_stays_where_it_can(void **state)
{
	struct fixture *f = fixture_new(NULL);
	static const struct {
		const char *to;
		unsigned in;
		int out;
	} ways[] = {
		{"sip:10.0.0.50", LEFT, LEFT},
		{"sip:10.0.0.50", LEFT_ALT, LEFT_ALT}, /* the same port of UDP, too */
		{"sip:10.1.0.50", LEFT, RIGHT},
		{"sip:10.0.0.50", RIGHT, LEFT},
		{"sip:[2001:db8::9]", LEFT, SIX},
	};

	f->config.route = two_ports;
	fixture_configure(f);
	for (unsigned i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		receive(f, INVITE, "10.0.0.9", 5060, ways[i].in);
		assert_int_equal(call(f, "forward", ways[i].to, NULL), ROUTE_TRUE);
		assert_int_equal(f->ctx->result.target.listener, ways[i].out);
	}
	receive(f, INVITE, "10.0.0.9", 5060, LEFT);
	assert_true(call(f, "forward", "sip:10.200.0.1", NULL) < 0);
	assert_int_equal(proxy_refusal(f->ctx), PROXY_REFUSAL_NO_LISTENER);
	fixture_free(f);
}

static bool other_source(
	void *arg, const struct net_addr *to, struct net_addr *source, uint16_t *port)
{
	*source = endpoint("10.0.0.2", 0).addr;
	*port = 0;
	return true;
}

static void mhomed_takes_the_address_that_the_route_names(void **state)
{
	struct fixture *f = fixture_new(NULL);

	f->listener[4] = (struct proxy_listener){.ep = endpoint("10.0.0.2", 5060),
		.transport = SIP_TRANSPORT_UDP,
		.port = 0,
		.name = "second"};
	f->config.listeners = 5;
	f->config.route = other_source;
	fixture_configure(f);
	receive(f, INVITE, "10.0.0.9", 5060, LEFT);
	call(f, "forward", "sip:10.0.0.50", NULL);
	assert_int_equal(f->ctx->result.target.listener, LEFT);
	f->config.mhomed = true;
	fixture_configure(f);
	receive(f, INVITE, "10.0.0.9", 5060, LEFT);
	call(f, "forward", "sip:10.0.0.50", NULL);
	assert_int_equal(f->ctx->result.target.listener, 4);
	fixture_free(f);
}

static void a_forced_socket_wins(void **state)
{
	struct fixture *f = fixture_new(NULL);
	static const char *const names[] = {
		"udp:10.1.0.1:5060", "10.1.0.1", "right", "UDP:10.1.0.1"};

	for (unsigned i = 0; i < 4; i++) {
		receive(f, INVITE, "10.0.0.9", 5060, LEFT);
		assert_int_equal(call(f, "force_send_socket", names[i], NULL), ROUTE_TRUE);
		call(f, "forward", "sip:10.9.9.9", NULL);
		write_request(f);
		assert_int_equal(f->to.listener, RIGHT);
		assert_int_equal(strncmp(line(f->out, "Via"), "SIP/2.0/UDP 10.1.0.1:5060;", 26), 0);
	}
	receive(f, INVITE, "10.0.0.9", 5060, LEFT);
	assert_int_equal(call(f, "force_send_socket", "udp:10.3.3.3:5060", NULL), ROUTE_FALSE);
	assert_int_equal(call(f, "force_send_socket", "[2001:db8::1]:5060", NULL), ROUTE_TRUE);
	assert_true(call(f, "forward", "sip:10.9.9.9", NULL) < 0); /* no IPv4 from there */
	fixture_free(f);
}

static void add_local_rport_asks_for_the_port(void **state)
{
	struct fixture *f = fixture_new(NULL);
	const char *via;

	receive(f, INVITE, "10.0.0.9", 5060, LEFT);
	call(f, "add_local_rport", NULL);
	call(f, "forward", "sip:10.9.9.9", NULL);
	via = line(write_request(f), "Via");
	assert_string_equal(via + strlen(via) - 6, ";rport");
	fixture_free(f);
}

static void a_maddr_that_is_us_is_stripped(void **state)
{
	struct fixture *f = fixture_new(NULL);
	static const struct {
		const char *uri, *to;
	} uris[] = {
		{"sip:bob@10.3.3.3:5070;maddr=10.0.0.1;transport=udp;user=phone",
			"sip:bob@10.3.3.3;user=phone"},
		{"sip:bob@10.3.3.3:5070;a=b;transport=udp;maddr=10.0.0.1", "sip:bob@10.3.3.3;a=b"},
		{"sip:bob@[2001:db8::3]:5070;maddr=10.0.0.1", "sip:bob@[2001:db8::3]"},
		/* not us, or not the port or transport by which it came */
		{"sip:bob@10.3.3.3:5070;maddr=10.0.0.44", NULL},
		{"sip:bob@10.3.3.3;maddr=10.0.0.1", NULL},
		{"sip:bob@10.3.3.3:5070;maddr=10.0.0.1;transport=tcp", NULL},
	};

	for (unsigned i = 0; i < sizeof(uris) / sizeof(uris[0]); i++) {
		receive(f, replaced(INVITE, "sip:bob@example.com", uris[i].uri), "10.0.0.9", 5060,
			LEFT_ALT);
		assert_true(str_eq(route_ctx_uri(f->ctx),
			str_c(uris[i].to != NULL ? uris[i].to : uris[i].uri)));
	}
	fixture_free(f);
}

static void the_edits_of_a_script_and_the_body_leave_with_it(void **state)
{
	struct fixture *f = fixture_new(NULL);
	const char *text = replaced(
		INVITE, "Content-Length: 0\n\n", "Content-Length: 4\n\nBODYtrailing bytes");

	assert_int_equal(receive(f, replaced(text, "INVITE", "\n\nINVITE"), "10.0.0.9", 5060, LEFT),
		PROXY_GO);
	sip_edit_insert(
		&f->ctx->edits, f->ctx->msg.headers_end, SIP_EDIT_LAST, STR("X-Added: yes\r\n"));
	f->ctx->uri = route_text_make(f->ctx, STR("sip:carol@example.net"));
	call(f, "forward", "sip:10.9.9.9", NULL);
	write_request(f);
	assert_string_equal(first_line(f->out), "INVITE sip:carol@example.net SIP/2.0");
	assert_string_equal(line(f->out, "X-Added"), "yes");
	assert_string_equal(strstr(f->out, "\r\n\r\n"), "\r\n\r\nBODY");
	fixture_free(f);
}

static void too_many_edits_are_a_500_and_too_many_bytes_a_513(void **state)
{
	struct fixture *f = fixture_new(NULL);
	char *big = malloc(SIP_MSG_UDP_MAX + 1);
	size_t head;

	receive(f, INVITE, "10.0.0.9", 5060, LEFT);
	for (unsigned i = 0; i < SIP_EDITS_MAX - 1; i++)
		sip_edit_insert(
			&f->ctx->edits, f->ctx->msg.headers_end, SIP_EDIT_LAST, STR("X: y\r\n"));
	call(f, "forward", "sip:10.9.9.9", NULL);
	write_request(f);
	assert_int_equal(f->written, -500);

	snprintf(big, SIP_MSG_UDP_MAX, "%s",
		"INVITE sip:b@10.9.9.9 SIP/2.0\r\nVia: SIP/2.0/UDP "
		"10.0.0.9;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:c@d>\r\n"
		"Call-ID: 1\r\nCSeq: 1 INVITE\r\n\r\n");
	head = strlen(big);
	memset(big + head, 'x', SIP_MSG_UDP_MAX - head);
	assert_int_equal(receive_bytes(f, big, SIP_MSG_UDP_MAX, "10.0.0.9", 5060, LEFT), PROXY_GO);
	call(f, "forward", NULL);
	assert_non_null(write_request(
		f)); /* our headers fit between what may come in and what may go out */
	assert_int_equal(receive_bytes(f, big, SIP_MSG_UDP_MAX, "10.0.0.9", 5060, LEFT), PROXY_GO);
	call(f, "add_rr_param", "x", NULL);
	for (unsigned i = 0; i < 20; i++) {
		char line_text[128];

		snprintf(line_text, sizeof(line_text), "X-Long: %0100d\r\n", 1);
		sip_edit_insert(
			&f->ctx->edits, f->ctx->msg.headers_end, SIP_EDIT_LAST, str_c(line_text));
	}
	call(f, "forward", NULL);
	write_request(f);
	assert_int_equal(f->written, -513);
	free(big);
	fixture_free(f);
}

static void room_is_taken_for_what_is_written_alone(void **state)
{
	static const unsigned tag[] = {1, 255, 256, 3000}, beside[] = {270, 780, 270, 270};
	struct fixture *f = fixture_new(NULL);
	char text[4096], script[SIP_EDIT_TEXT_MAX];
	const char *out;

	/* What the script leaves to our own changes is little more than they need. A tag of more
	 * than 255 characters does not get into our Record-Route. */
	for (unsigned i = 0; i < 4; i++) {
		snprintf(text, sizeof(text),
			"INVITE sip:b@10.9.9.9 SIP/2.0\nVia: SIP/2.0/UDP 10.0.0.9;"
			"branch=z9hG4bK1\nMax-Forwards: 9\nFrom: <sip:a@b>;tag=%0*d\n"
			"To: <sip:c@d>\nCall-ID: 1\nCSeq: 1 INVITE\n\n",
			(int)tag[i], 1);
		receive(f, text, "10.0.0.9", 5060, LEFT);
		snprintf(script, sizeof(script), "X: %0*d\r\n",
			(int)(SIP_EDIT_TEXT_MAX - beside[i] - 5), 1);
		sip_edit_insert(
			&f->ctx->edits, f->ctx->msg.headers_end, SIP_EDIT_LAST, str_c(script));
		f->ctx->socket = RIGHT;
		call(f, "record_route", NULL);
		call(f, "forward", "sip:10.9.9.9", NULL);
		out = write_request(f);
		assert_true(f->written > 0);
		assert_int_equal(lines(out, "Record-Route"), 2);
		assert_int_equal(strstr(out, ";ftag=") != NULL, tag[i] < 256);
	}
	fixture_free(f);
}

static void myself_is_any_listener_advertised_name_or_alias(void **state)
{
	struct fixture *f = fixture_new(NULL);
	struct route_hooks hooks;
	char text[64];
	unsigned len;

	snprintf(f->listener[LEFT].advertise_host, sizeof(f->listener[LEFT].advertise_host),
		"Edge.Example.NET");
	f->listener[LEFT].advertise_port = 15060;
	f->alias[1] = (struct proxy_alias){
		.host = "only5061.example.net", .port = 5061, .transport = SIP_TRANSPORT_TLS};
	f->config.aliases = 2;
	fixture_configure(f);
	proxy_hooks(f->proxy, &hooks);
	assert_true(hooks.is_myself(hooks.room, STR("10.0.0.1"), 5060, SIP_TRANSPORT_UDP));
	assert_true(hooks.is_myself(hooks.room, STR("10.0.0.1"), 0, SIP_TRANSPORT_NONE));
	assert_false(hooks.is_myself(hooks.room, STR("10.0.0.1"), 5061, SIP_TRANSPORT_NONE));
	assert_false(hooks.is_myself(hooks.room, STR("10.0.0.1"), 5060, SIP_TRANSPORT_TCP));
	assert_true(
		hooks.is_myself(hooks.room, STR("edge.example.net"), 15060, SIP_TRANSPORT_NONE));
	assert_true(hooks.is_myself(hooks.room, STR("EDGE.example.net."), 0, SIP_TRANSPORT_NONE));
	assert_false(
		hooks.is_myself(hooks.room, STR("edge.example.net"), 5060, SIP_TRANSPORT_NONE));
	assert_true(
		hooks.is_myself(hooks.room, STR("proxy.example.net"), 12345, SIP_TRANSPORT_TCP));
	assert_true(
		hooks.is_myself(hooks.room, STR("only5061.example.net"), 5061, SIP_TRANSPORT_TLS));
	assert_false(
		hooks.is_myself(hooks.room, STR("only5061.example.net"), 5060, SIP_TRANSPORT_TLS));
	assert_true(
		hooks.is_myself(hooks.room, STR("[2001:DB8:0:0::1]"), 5060, SIP_TRANSPORT_NONE));
	assert_true(hooks.is_myself(hooks.room, STR("2001:db8::1"), 5060, SIP_TRANSPORT_NONE));
	assert_false(hooks.is_myself(hooks.room, STR("2001:db8::2"), 5060, SIP_TRANSPORT_NONE));
	assert_false(hooks.is_myself(hooks.room, STR(""), 0, SIP_TRANSPORT_NONE));
	len = hooks.listener_text(hooks.room, SIX, text, sizeof(text));
	assert_true(str_eq(str_of(text, len), STR("udp:[2001:db8::1]:5060")));
	assert_int_equal(hooks.find_listener(hooks.room, str_of(text, len)), SIX);
	assert_int_equal(hooks.listener_text(hooks.room, SIX, text, 5), 0);
	assert_int_equal(hooks.listener_text(hooks.room, 99, text, sizeof(text)), 0);
	fixture_free(f);
}

static void a_listener_is_found_by_its_endpoint_alone(void **state)
{
	struct fixture *f = fixture_new(NULL);

	for (unsigned i = 0; i < f->config.listeners; i++)
		assert_int_equal(
			proxy_listener_find(f->proxy, &f->listener[i].ep, SIP_TRANSPORT_UDP), i);
	assert_int_equal(proxy_listener_find(f->proxy, &f->listener[0].ep, SIP_TRANSPORT_TCP), -1);
	for (unsigned i = 0; i < 2000; i++) {
		struct net_endpoint ep = endpoint("10.0.0.1", (uint16_t)(10000 + i));

		assert_int_equal(proxy_listener_find(f->proxy, &ep, SIP_TRANSPORT_UDP), -1);
	}
	assert_int_equal(proxy_listener_count(f->proxy), 4);
	assert_null(proxy_listener_at(f->proxy, 4));
	/* what cannot be is refused and leaves the running one as it is */
	f->listener[1] = f->listener[0];
	assert_int_equal(proxy_configure(f->proxy, &f->config), -EEXIST);
	snprintf(f->config.server, sizeof(f->config.server), "a\r\nb");
	assert_int_equal(proxy_configure(f->proxy, &f->config), -EINVAL);
	assert_int_equal(proxy_listener_at(f->proxy, 1)->ep.addr.b[1], 1);
	fixture_free(f);
}

static void a_listener_that_a_reload_takes_away_harms_nothing(void **state)
{
	struct fixture *f = fixture_new(NULL);

	/* received, and routed, before the reload; written after it */
	receive(f, INVITE, "10.1.0.9", 5060, RIGHT);
	call(f, "record_route", NULL);
	assert_int_equal(call(f, "forward", "sip:10.9.9.9", NULL), ROUTE_TRUE);
	f->config.listeners = 1;
	fixture_configure(f);
	write_request(f);
	assert_int_equal(f->written, -500);
	assert_null(write_reply(f));
	f->ctx->result.target.listener = LEFT;
	f->ctx->result.forward = true;
	assert_non_null(write_request(f));
	assert_int_equal(lines(f->out, "Record-Route"), 1);
	f->config.listeners = 0;
	fixture_configure(f);
	receive(f, INVITE, "10.0.0.9", 5060, LEFT);
	assert_true(call(f, "forward", "sip:10.9.9.9", NULL) < 0);
	assert_int_equal(proxy_refusal(f->ctx), PROXY_REFUSAL_NO_LISTENER);
	fixture_free(f);
}

static void a_listener_keeps_its_index_while_it_is_configured(void **state)
{
	struct fixture *f = fixture_new(NULL);
	struct proxy_listener was[4], order[4];

	memcpy(was, f->listener, sizeof(was));
	for (unsigned i = 0; i < 4; i++)
		order[i] = was[3 - i];
	order[1].ep.port = 5999; /* was[2] goes, a new one comes */
	f->config.listener = order;
	fixture_configure(f);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(proxy_listener_find(f->proxy, &was[i].ep, SIP_TRANSPORT_UDP),
			i == 2 ? -1 : (int)i);
	assert_null(proxy_listener_at(f->proxy, 2));
	assert_int_equal(proxy_listener_find(f->proxy, &order[1].ep, SIP_TRANSPORT_UDP), 4);
	assert_int_equal(proxy_listener_count(f->proxy), 5);
	/* Nobody takes the empty place while there are others. */
	f->config.listener = was;
	fixture_configure(f);
	assert_int_equal(proxy_listener_find(f->proxy, &was[2].ep, SIP_TRANSPORT_UDP), 5);
	assert_null(proxy_listener_at(f->proxy, 4));
	/* And where there are none it is taken: changes never end. */
	for (unsigned n = 0; n < 2 * PROXY_LISTENERS_MAX; n++) {
		was[2].ep.port = (uint16_t)(7000 + n);
		fixture_configure(f);
		assert_true(proxy_listener_find(f->proxy, &was[2].ep, SIP_TRANSPORT_UDP) >= 0);
		assert_int_equal(proxy_listener_find(f->proxy, &was[3].ep, SIP_TRANSPORT_UDP), 3);
	}
	assert_int_equal(proxy_listener_count(f->proxy), PROXY_LISTENERS_MAX);
	f->config.listener = f->listener;
	fixture_free(f);
}

static void as_many_listeners_as_there_may_be_are_all_found(void **state)
{
	struct fixture *f = fixture_new(NULL);
	struct proxy_listener *many = calloc(PROXY_LISTENERS_MAX + 1, sizeof(*many));

	assert_non_null(many);
	for (unsigned i = 0; i <= PROXY_LISTENERS_MAX; i++) {
		many[i].ep = endpoint("10.0.0.1", 5060);
		many[i].ep.addr.b[3] = (uint8_t)(i / 16);
		many[i].ep.port = (uint16_t)(5060 + i % 16);
		many[i].transport = SIP_TRANSPORT_UDP;
	}
	f->config.listener = many;
	f->config.listeners = PROXY_LISTENERS_MAX + 1;
	assert_int_equal(proxy_configure(f->proxy, &f->config), -E2BIG);
	f->config.listeners = PROXY_LISTENERS_MAX;
	fixture_restart(f);
	for (unsigned i = 0; i < PROXY_LISTENERS_MAX; i++) {
		const struct sockets *s = proxy_sockets(f->proxy);

		assert_int_equal(proxy_listener_find(f->proxy, &many[i].ep, SIP_TRANSPORT_UDP), i);
		assert_int_equal(
			proxy_sockets_by_id(s, proxy_listener_id(&many[i].ep, SIP_TRANSPORT_UDP)),
			i);
	}
	assert_int_equal(proxy_sockets_by_id(proxy_sockets(f->proxy), 0), -1);
	free(many);
	fixture_free(f);
}

static void is_first_hop_counts_the_vias(void **state)
{
	struct fixture *f = fixture_new(NULL);

	receive(f, INVITE, "10.0.0.9", 5060, LEFT);
	assert_int_equal(call(f, "is_first_hop", NULL), ROUTE_TRUE);
	receive(f,
		replaced(INVITE, "Max-Forwards",
			"Via: SIP/2.0/UDP 10.0.0.8;branch=z9hG4bKx\nMax-Forwards"),
		"10.0.0.9", 5060, LEFT);
	assert_int_equal(call(f, "is_first_hop", NULL), ROUTE_FALSE);
	receive(f,
		replaced(INVITE, "z9hG4bKabc123",
			"z9hG4bKabc123, SIP/2.0/UDP 10.0.0.8;branch=z9hG4bKx"),
		"10.0.0.9", 5060, LEFT);
	assert_int_equal(call(f, "is_first_hop", NULL), ROUTE_FALSE);
	fixture_free(f);
}

/* The topmost Record-Route of a response is of the proxy next to who answered. */
static void is_first_hop_knows_the_record_route_of_a_response(void **state)
{
	static const struct {
		const char *record;
		int32_t mode_0, mode_1;
	} row[] = {
		{"", ROUTE_TRUE, ROUTE_TRUE},
		{"Record-Route: <sip:10.0.0.1:5060;lr>, <sip:10.8.8.8;lr>\n", ROUTE_TRUE,
			ROUTE_TRUE},
		{"Record-Route: <sip:10.8.8.8;lr>, <sip:10.0.0.1:5060;lr>\n", ROUTE_FALSE,
			ROUTE_FALSE},
		{"Record-Route: <sip:proxy.example.net;lr>\n", ROUTE_FALSE, ROUTE_TRUE},
		{"Record-Route: <sip:>\n", ROUTE_FALSE, ROUTE_FALSE},
	};
	struct fixture *f = fixture_new(NULL);
	char *response;

	pass(f, INVITE, "10.0.0.9", 5060, LEFT);
	response = strdup(response_to(f->out, "200 OK"));
	for (unsigned i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		char text[4096], with[256];

		snprintf(with, sizeof(with), "%sFrom:", row[i].record);
		snprintf(text, sizeof(text), "%s", replaced(response, "From:", with));
		assert_int_equal(receive(f, text, "10.9.9.9", 5062, LEFT), PROXY_GO);
		assert_int_equal(call(f, "is_first_hop", NULL), row[i].mode_0);
		assert_int_equal(call(f, "is_first_hop", "0", NULL), row[i].mode_0);
		assert_int_equal(call(f, "is_first_hop", "1", NULL), row[i].mode_1);
	}
	free(response);
	fixture_free(f);
}

/* RFC 3261 16.6 step 2, 19.1.1 */
static void a_contact_s_uri_becomes_a_request_uri(void **state)
{
	struct fixture *f = fixture_new(NULL);
	static const char *const uris[][2] = {
		{"sip:c@10.9.9.9?Subject=x&Route=%3Csip:e%3E", "sip:c@10.9.9.9"},
		{"sip:c@10.9.9.9;method=BYE", "sip:c@10.9.9.9"},
		{"sip:c@10.9.9.9;Method=BYE;lr", "sip:c@10.9.9.9;lr"},
		{"sip:c@10.9.9.9;method=A;y;method=B?x=y", "sip:c@10.9.9.9;y"},
		{"sip:c@10.9.9.9;x=1;method=BYE;ob?a=b", "sip:c@10.9.9.9;x=1;ob"},
		{"sip:c@10.9.9.9;methods=1;xmethod=2;amethod",
			"sip:c@10.9.9.9;methods=1;xmethod=2;amethod"},
		{"sip:method=1@10.9.9.9;transport=udp", "sip:method=1@10.9.9.9;transport=udp"},
	};

	for (unsigned i = 0; i < sizeof(uris) / sizeof(uris[0]); i++) {
		char want[128];

		assert_int_equal(receive(f, INVITE, "10.0.0.9", 5060, LEFT), PROXY_GO);
		f->ctx->uri = route_text_make(f->ctx, str_c(uris[i][0]));
		assert_int_equal(call(f, "forward", NULL), ROUTE_TRUE);
		assert_non_null(write_request(f));
		snprintf(want, sizeof(want), "INVITE %s SIP/2.0", uris[i][1]);
		assert_string_equal(first_line(f->out), want);
	}
	fixture_free(f);
}

/* RFC 3261 16.5, 16.6 step 2: a target, too, where no script has touched it. */
static void a_request_uri_that_stays_has_no_method_either(void **state)
{
	struct fixture *f = fixture_new(NULL);
	static const char *const uris[][2] = {
		{"sip:bob@10.9.9.9;method=BYE", "sip:bob@10.9.9.9"},
		{"sip:bob@10.9.9.9;x=1;METHOD=BYE;ob", "sip:bob@10.9.9.9;x=1;ob"},
		{"sip:bob@10.9.9.9;methods=1", "sip:bob@10.9.9.9;methods=1"},
		{"sip:bob;method=BYE@10.9.9.9", "sip:bob;method=BYE@10.9.9.9"},
	};

	for (unsigned i = 0; i < sizeof(uris) / sizeof(uris[0]); i++) {
		char uri[64], want[64];

		snprintf(uri, sizeof(uri), "%s SIP", uris[i][0]);
		snprintf(want, sizeof(want), "INVITE %s SIP/2.0", uris[i][1]);
		pass(f, replaced(INVITE, "sip:bob@example.com SIP", uri), "10.0.0.9", 5060, LEFT);
		assert_string_equal(first_line(f->out), want);
	}
	fixture_free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_request_uri_that_stays_has_no_method_either),
		cmocka_unit_test(max_forwards_is_decremented_once),
		cmocka_unit_test(a_missing_max_forwards_is_added),
		cmocka_unit_test(a_large_max_forwards_is_cut_to_the_modules_limit),
		cmocka_unit_test(max_forwards_0_is_false_for_the_script_and_refused_by_forward),
		cmocka_unit_test(the_next_hop_is_du_then_route_then_uri),
		cmocka_unit_test(a_dispatchers_address_is_taken_without_its_name),
		cmocka_unit_test(forward_takes_a_uri_a_host_or_host_and_port),
		cmocka_unit_test(other_transports_and_sips_are_refused_and_never_downgraded),
		cmocka_unit_test(nothing_is_forwarded_to_broadcast_multicast_zero_or_loopback),
		cmocka_unit_test(a_second_forward_is_refused_and_the_first_stands),
		cmocka_unit_test(only_what_comes_back_unchanged_is_a_loop),
		cmocka_unit_test(
			a_spiral_has_another_branch_and_its_response_finds_back_through_both),
		cmocka_unit_test(the_listener_follows_the_route_and_stays_where_it_can),
		cmocka_unit_test(mhomed_takes_the_address_that_the_route_names),
		cmocka_unit_test(a_forced_socket_wins),
		cmocka_unit_test(add_local_rport_asks_for_the_port),
		cmocka_unit_test(a_maddr_that_is_us_is_stripped),
		cmocka_unit_test(the_edits_of_a_script_and_the_body_leave_with_it),
		cmocka_unit_test(too_many_edits_are_a_500_and_too_many_bytes_a_513),
		cmocka_unit_test(room_is_taken_for_what_is_written_alone),
		cmocka_unit_test(myself_is_any_listener_advertised_name_or_alias),
		cmocka_unit_test(a_listener_is_found_by_its_endpoint_alone),
		cmocka_unit_test(a_listener_that_a_reload_takes_away_harms_nothing),
		cmocka_unit_test(a_listener_keeps_its_index_while_it_is_configured),
		cmocka_unit_test(as_many_listeners_as_there_may_be_are_all_found),
		cmocka_unit_test(is_first_hop_counts_the_vias),
		cmocka_unit_test(is_first_hop_knows_the_record_route_of_a_response),
		cmocka_unit_test(a_contact_s_uri_becomes_a_request_uri),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
