/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The whole pipeline on rings: each way that a frame can end, and the equation after each.
 * tests/mutation takes the increments out one by one and expects this program to fail.
 */
#include <sys/wait.h>

#include "common.h"
#include "pipeline/guard.h"

static const char dispatch_script[] =
	"request_route {\n"
	"	if (has_totag()) { if (loose_route()) { forward(); exit; } }\n"
	"	if ($rU == \"silent\") exit;\n"
	"	if ($rU == \"dropped\") drop;\n"
	"	if ($rU == \"reply\") { sl_send_reply(\"404\", \"Not Found\"); exit; }\n"
	"	if ($rU == \"trying\") sl_send_reply(\"100\", \"Trying\");\n"
	"	if ($rU == \"endless\") { while (1 == 1) { $var(x) = 1; } }\n"
	"	if ($rU == \"nowhere\") { $du = \"sip:192.0.2.1:5060\"; forward(); exit; }\n"
	"	if ($rU =~ \"^name\") { $du = \"sip:\" + $rU + \".test:5060\"; if (!forward()) "
	"sl_send_reply(\"500\", \"No Name\"); exit; }\n"
	"	if ($rU == \"spiral\") { $rU = \"alice\"; $du = \"sip:10.20.0.1:5060\"; forward(); "
	"exit; }\n"
	"	ds_select_dst(\"1\", \"0\");\n"
	"	forward();\n"
	"}\n"
	"reply_route { if ($rs == 699) drop; }\n";
static const char list[] = "1 sip:10.20.0.11:5060\n1 sip:10.20.0.12:5060\n";

/* ---- helpers ---- */

static char text[70000];

static struct str request(const char *method, const char *user, unsigned call, unsigned body)
{
	int n = snprintf(text, sizeof(text),
		"%s sip:%s@10.10.0.1 SIP/2.0\r\n"
		"Via: SIP/2.0/UDP 10.10.0.2:5080;branch=z9hG4bKrig%u;rport\r\n"
		"Max-Forwards: 70\r\n"
		"From: <sip:bob@10.10.0.2>;tag=f%u\r\n"
		"To: <sip:%s@10.10.0.1>\r\n"
		"Call-ID: rig-%u@10.10.0.2\r\n"
		"CSeq: 1 %s\r\n"
		"Contact: <sip:bob@10.10.0.2:5080>\r\n"
		"Content-Length: %u\r\n\r\n",
		method, user, call, call, user, call, method, body);

	memset(text + n, 'b', body);
	return str_of(text, (size_t)n + body);
}

/* So many frames came in, and each ended in exactly this counter. */
static void assert_frames_end(unsigned id, uint64_t frames)
{
	assert_ends(id, frames);
	assert_int_equal(delta(COUNTER_FRAMES_IN), frames);
}

static struct rte_mbuf *sent(unsigned port, struct str *payload)
{
	rig_settle(rig);
	return rig_sent(rig, port, payload);
}

/* ---- messages ---- */

static void test_request_is_forwarded_and_its_response_comes_back(void **state)
{
	struct str out;
	struct rte_mbuf *m;
	char reply[4096];

	send_to(0, request("INVITE", "alice", 1, 100));
	assert_frames_end(COUNTER_FORWARDED, 1);
	assert_int_equal(delta(COUNTER_FRAMES_OUT), 1);
	assert_int_equal(delta(COUNTER_SIP_REQUESTS), 1);
	assert_int_equal(delta(COUNTER_BURSTS), 1);
	m = rig_sent(rig, 1, &out);
	assert_non_null(m);
	assert_true(str_istarts(out, STR("INVITE sip:alice@10.10.0.1 SIP/2.0\r\n")));
	int64_t eol = str_find(out, '\n');
	int n = snprintf(reply, sizeof(reply), "SIP/2.0 200 OK%.*s",
		(int)(out.len - (uint32_t)eol + 1), out.s + eol - 1);

	rte_pktmbuf_free(m);
	begin(state);
	send_to(1, str_of(reply, (size_t)n));
	assert_frames_end(COUNTER_FORWARDED, 1);
	assert_int_equal(delta(COUNTER_SIP_RESPONSES), 1);
	m = rig_sent(rig, 0, &out);
	assert_non_null(m);
	assert_true(str_istarts(out, STR("SIP/2.0 200 OK\r\n")));
	rte_pktmbuf_free(m);

	/* The same response with status 699 is dropped by reply_route, and a changed one by us. */
	begin(state);
	memcpy(reply + 8, "699", 3);
	send_to(1, str_of(reply, (size_t)n));
	assert_frames_end(COUNTER_DROP_SCRIPT, 1);
	begin(state);
	char *branch = strstr(reply, "z9hG4bK");

	branch[8] = branch[8] == 'a' ? 'b' : 'a';
	send_to(1, str_of(reply, (size_t)n));
	assert_frames_end(COUNTER_PROXY + PROXY_REASON_VIA_MAC, 1);
}

static void test_each_end_of_a_request(void **state)
{
	static const struct {
		const char *user;
		unsigned counter;
	} ends[] = {
		{"silent", COUNTER_DROP_SILENT},
		{"dropped", COUNTER_DROP_SCRIPT},
		{"reply", COUNTER_ANSWERED},
		{"endless", COUNTER_ANSWERED},
		{"nowhere", COUNTER_DROP_NO_ROUTE},
		{"trying", COUNTER_FORWARDED},
	};

	for (unsigned i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		begin(state);
		send_to(0, request("INVITE", ends[i].user, 100 + i, 0));
		assert_frames_end(ends[i].counter, 1);
		assert_int_equal(delta(COUNTER_OWN_REPLIES), strcmp(ends[i].user, "trying") == 0);
		assert_int_equal(
			delta(COUNTER_SCRIPT_FAILED), strcmp(ends[i].user, "endless") == 0);
	}
}

/* Two frames in for one on the wire: the message, and itself again from our own address. */
static void test_spiral_to_ourselves_is_received_again(void **state)
{
	struct rte_mbuf *m;
	struct str out;

	send_to(0, request("INVITE", "spiral", 50, 0));
	assert_frames_end(COUNTER_FORWARDED, 2);
	assert_int_equal(delta(COUNTER_LOOPED), 1);
	assert_int_equal(delta(COUNTER_FRAMES_OUT), 1);
	m = rig_sent(rig, 1, &out);
	assert_non_null(m);
	assert_true(str_find_str(out, STR("Max-Forwards: 68\r\n")) > 0);
	rte_pktmbuf_free(m);
}

/* Takes what left by a port: so many datagrams, each from this listener. */
static void assert_left(unsigned port, const char *address, uint16_t number, unsigned count)
{
	struct net_addr from;
	struct net_frame f;
	struct rte_mbuf *m;
	struct str out;

	assert_int_equal(net_addr_parse(str_c(address), &from), 0);
	for (unsigned i = 0; i < count; i++) {
		m = rig_sent(rig, port, &out);
		assert_non_null(m);
		assert_int_equal(net_frame_parse(rte_pktmbuf_mtod(m, uint8_t *),
					 rte_pktmbuf_data_len(m), true, &f),
			NET_UDP);
		assert_true(net_addr_equal(&f.src.addr, &from));
		assert_int_equal(f.src.port, number);
		rte_pktmbuf_free(m);
	}
	assert_null(rig_sent(rig, port, &out));
}

/* Within one burst from a listener, from another one and from the first one again, to the same
 * place: what was found out for the one is not lost to the other. */
static void test_listeners_take_turns_within_a_burst(void **state)
{
	struct rte_mbuf *m;
	struct str out;
	char reply[4096];
	int n;

	assert_int_equal(rig_listen(rig, true), 0);
	send_to(0, request("INVITE", "alice", 51, 0));
	m = sent(1, &out);
	assert_non_null(m);
	n = snprintf(reply, sizeof(reply), "SIP/2.0 200 OK%.*s",
		(int)(out.len - (uint32_t)str_find(out, '\r')), out.s + str_find(out, '\r'));
	rte_pktmbuf_free(m);
	for (unsigned i = 0; i < 3; i++) {
		if (i == 1)
			send_to(1, str_of(reply, (size_t)n));
		else
			rig_receive(rig, 1, 0,
				rig_datagram(rig, 1, "10.20.0.11", 5060, "10.20.0.1", 5070,
					request("OPTIONS", "reply", 52, 0)));
	}
	rig_settle(rig);
	assert_left(0, "10.10.0.1", 5060, 1);
	assert_left(1, "10.20.0.1", 5070, 2);
	assert_int_equal(rig_listen(rig, false), 0);
}

static void test_malformed_request_is_answered_and_malformed_response_dropped(void **state)
{
	struct str t = request("INVITE", "alice", 2, 0);
	char *cseq = strstr(text, "CSeq: 1 INVITE");

	memcpy(cseq, "CSeq: x INVITE", 14);
	send_to(0, t);
	assert_frames_end(COUNTER_ANSWERED, 1);
	begin(state);
	t = request("ACK", "alice", 2, 0);
	cseq = strstr(text, "CSeq: 1 ACK");
	memcpy(cseq, "CSeq: x ACK", 11);
	send_to(0, t);
	assert_frames_end(COUNTER_SIP + SIP_ERROR_CSEQ, 1);
	begin(state);
	send_to(0, STR("GET / HTTP/1.1\r\n\r\n"));
	assert_frames_end(COUNTER_SIP + SIP_ERROR_NOT_SIP, 1);
}

static void test_error_replies_to_one_source_are_limited(void **state)
{
	uint64_t answered;

	/* The bucket holds 2,000 and fills with 1,000 a second. */
	for (unsigned i = 0; i < 3000; i++) {
		struct str t = request("INVITE", "alice", 3, 0);

		memcpy(strstr(text, "CSeq: 1 INVITE"), "CSeq: x INVITE", 14);
		send_to(0, t);
		rig_poll(rig);
		struct str payload;
		struct rte_mbuf *m = rig_sent(rig, 0, &payload);

		rte_pktmbuf_free(m);
	}
	rig_settle(rig);
	answered = delta(COUNTER_ANSWERED);
	assert_true(answered >= 1900 && answered < 3000);
	assert_int_equal(delta(COUNTER_PROXY + PROXY_REASON_REPLY_RATE), 3000 - answered);
	assert_balanced();
}

static void test_keepalives(void **state)
{
	struct str out;
	struct rte_mbuf *m;

	send_to(0, STR("\r\n\r\n"));
	assert_frames_end(COUNTER_ANSWERED, 1);
	m = rig_sent(rig, 0, &out);
	assert_true(str_eq(out, STR("\r\n")));
	rte_pktmbuf_free(m);
	begin(state);
	send_to(0, STR("\r\n"));
	assert_frames_end(COUNTER_DROP_KEEPALIVE, 1);
}

/* RFC 5389: 20 bytes ask, 32 answer; one source cannot ask for ever. The bucket holds 2,000. */
static void test_stun_answers_to_one_source_are_limited(void **state)
{
	static const char ask[20] = "\x00\x01\x00\x00\x21\x12\xa4\x42transaction";
	struct str payload;

	for (unsigned i = 0; i < 5000; i++) {
		rig_receive(rig, 0, 0,
			rig_datagram(rig, 0, "10.10.0.77", 5080, "10.10.0.1", 5060,
				str_of(ask, sizeof(ask))));
		rig_poll(rig);
		rte_pktmbuf_free(rig_sent(rig, 0, &payload));
	}
	assert_true(delta(COUNTER_ANSWERED) >= 1900 && delta(COUNTER_ANSWERED) < 5000);
	assert_int_equal(
		delta(COUNTER_PROXY + PROXY_REASON_REPLY_RATE), 5000 - delta(COUNTER_ANSWERED));
	assert_balanced();
}

static void test_stateful_statement_is_refused(void **state)
{
	struct rig *plain = rig;

	rig = rig_create("loadmodule \"dialog\"\nrequest_route { dlg_manage(); }\n", list, 1, 1);
	assert_non_null(rig);
	begin(state);
	send_to(0, request("INVITE", "alice", 4, 0));
	assert_frames_end(COUNTER_ANSWERED, 1);
	assert_int_equal(delta(COUNTER_STATE_REFUSED), 1);
	begin(state);
	send_to(0, request("ACK", "alice", 4, 0));
	assert_frames_end(COUNTER_DROP_SCRIPT, 1);
	assert_int_equal(end(state), 0);
	rig_destroy(rig);
	rig = plain;
}

/* ---- frames ---- */

static void test_each_frame_that_is_not_ours(void **state)
{
	struct rte_mbuf *m = rig_datagram(rig, 0, "10.10.0.2", 5080, "10.10.0.1", 5060, STR("x"));

	*rte_pktmbuf_mtod_offset(m, uint8_t *, 5) ^= 0x55;
	rig_receive(rig, 0, 0, m);
	assert_frames_end(COUNTER_DROP_NOT_OUR_MAC, 1);

	begin(state);
	m = rig_datagram(rig, 0, "10.10.0.2", 5080, "10.10.0.1", 5060, STR("x"));
	memcpy(rte_pktmbuf_mtod_offset(m, uint8_t *, 6), rig->port[0].mac, 6);
	rig_receive(rig, 0, 0, m);
	assert_frames_end(COUNTER_DROP_OWN_MAC, 1);

	/* No exception interface here: what would be the kernel's is refused. */
	begin(state);
	rig_receive(rig, 0, 0, rig_datagram(rig, 0, "10.10.0.2", 5080, "10.10.0.1", 53, STR("x")));
	assert_frames_end(COUNTER_DROP_KERNEL_FULL, 1);

	begin(state);
	m = rig_datagram(rig, 0, "10.10.0.2", 5080, "10.10.0.1", 5060, STR("hello"));
	*rte_pktmbuf_mtod_offset(m, uint8_t *, 42) ^= 1;
	rig_receive(rig, 0, 0, m);
	assert_frames_end(COUNTER_NET + NET_REASON_UDP_CHECKSUM, 1);

	begin(state);
	rig_receive_bytes(rig, 0, "short", 5);
	assert_frames_end(COUNTER_NET + NET_REASON_FRAME_SHORT, 1);

	begin(state);
	m = rig_datagram(rig, 0, "10.10.0.2", 5080, "10.10.0.1", 5060, STR("x"));
	char *front = rte_pktmbuf_prepend(m, 4);

	memmove(front, front + 4, 12);
	memcpy(front + 12, "\x81\x00\x00\x07", 4);
	rig_receive(rig, 0, 0, m);
	assert_frames_end(COUNTER_DROP_VLAN, 1);
}

/* A buffer chain whose first segment has no room for the rest. */
static void test_segments(void **state)
{
	struct str t = request("MESSAGE", "alice", 5, 0);
	struct rte_mbuf *m = rig_datagram(rig, 0, "10.10.0.2", 5080, "10.10.0.1", 5060, t);
	struct rte_mbuf *tail = rte_pktmbuf_alloc(rig->pool);
	uint16_t half = (uint16_t)(rte_pktmbuf_data_len(m) / 2),
		 left = (uint16_t)(rte_pktmbuf_data_len(m) - half);

	memcpy(rte_pktmbuf_append(tail, left), rte_pktmbuf_mtod_offset(m, char *, half), left);
	rte_pktmbuf_trim(m, left);
	assert_int_equal(rte_pktmbuf_chain(m, tail), 0);
	rig_receive(rig, 0, 0, m);
	assert_frames_end(COUNTER_FORWARDED, 1);

	begin(state);
	m = rte_pktmbuf_alloc(rig->pool);
	tail = rte_pktmbuf_alloc(rig->pool);
	rte_pktmbuf_append(m, 2000);
	rte_pktmbuf_append(tail, 2000);
	assert_int_equal(rte_pktmbuf_chain(m, tail), 0);
	rig_receive(rig, 0, 0, m);
	assert_frames_end(COUNTER_DROP_SEGMENTS, 1);
}

/* ---- fragments ---- */

struct pieces {
	unsigned n;
	struct rte_mbuf *m[64];
};

static void cut(struct str payload, uint32_t mtu, uint32_t id, struct pieces *out)
{
	struct rte_mbuf *whole =
		rig_datagram(rig, 0, "10.10.0.2", 5080, "10.10.0.1", 5060, payload);
	const uint8_t *l4 = rte_pktmbuf_mtod_offset(whole, uint8_t *, NET_ETHER_LEN + NET_IPV4_LEN);
	struct net_header h = {0};
	struct net_fragment f;

	memcpy(h.dst_mac, rig->port[0].mac, 6);
	memcpy(h.src_mac, "\x02\x00\x00\x00\x00\x98", 6);
	net_addr_parse(STR("10.10.0.2"), &h.src.addr);
	net_addr_parse(STR("10.10.0.1"), &h.dst.addr);
	for (out->n = 0; net_fragment_nth(4, mtu, payload.len + NET_UDP_LEN, out->n, &f);
		out->n++) {
		struct rte_mbuf *m = rte_pktmbuf_alloc(rig->pool);
		uint32_t head = net_fragment_header_length(&h);
		uint8_t *p = (uint8_t *)rte_pktmbuf_append(m, (uint16_t)(head + f.len));

		net_fragment_header_write(&h, &f, id, p);
		memcpy(p + head, l4 + f.off, f.len);
		out->m[out->n] = m;
	}
	rte_pktmbuf_free(whole);
}

static void test_fragmented_request_is_forwarded_in_fragments(void **state)
{
	struct pieces p;
	struct str payload;
	struct rte_mbuf *m;
	unsigned out = 0;

	cut(request("INVITE", "alice", 6, 5000), 1500, 77, &p);
	for (unsigned i = 0; i < p.n; i++)
		rig_receive(rig, 0, 0, p.m[p.n - 1 - i]);
	assert_frames_end(COUNTER_FORWARDED, p.n);
	assert_int_equal(delta(COUNTER_HELD_REASSEMBLY_ENTER), p.n);
	while ((m = rig_sent(rig, 1, &payload)) != NULL) {
		assert_true(rte_pktmbuf_data_len(m) <= 1514);
		rte_pktmbuf_free(m);
		out++;
	}
	assert_int_equal(out, 4);
	assert_int_equal(delta(COUNTER_FRAGMENTS_OUT), 4);
}

static void test_each_end_of_fragments(void **state)
{
	struct pieces p, q;

	cut(request("INVITE", "alice", 7, 3000), 1500, 78, &p);
	rig_receive(rig, 0, 0, rte_pktmbuf_copy(p.m[0], rig->pool, 0, UINT32_MAX));
	rig_receive(rig, 0, 0, p.m[0]);
	rig_settle(rig);
	assert_int_equal(delta(COUNTER_DROP_REASSEMBLY_DUPLICATE), 1);
	assert_balanced();
	rte_pktmbuf_free(p.m[2]);
	/* The second, moved eight bytes forward, overlaps the first. */
	uint8_t *frag = rte_pktmbuf_mtod_offset(p.m[1], uint8_t *, 20);

	frag[1]--;
	uint16_t sum = 0;

	memcpy(rte_pktmbuf_mtod_offset(p.m[1], uint8_t *, 24), &sum, 2);
	sum = net_checksum_fold(
		net_checksum_add(0, rte_pktmbuf_mtod_offset(p.m[1], uint8_t *, 14), 20));
	memcpy(rte_pktmbuf_mtod_offset(p.m[1], uint8_t *, 24), &sum, 2);
	rig_receive(rig, 0, 0, p.m[1]);
	rig_settle(rig);
	assert_int_equal(delta(COUNTER_DROP_REASSEMBLY_OVERLAP), 2);
	assert_balanced();

	begin(state);
	cut(request("INVITE", "alice", 8, 3000), 1500, 79, &q);
	for (unsigned i = 0; i + 1 < q.n; i++)
		rig_receive(rig, 0, 0, q.m[i]);
	rte_pktmbuf_free(q.m[q.n - 1]);
	rig_settle(rig);
	assert_int_equal(
		delta(COUNTER_HELD_REASSEMBLY_ENTER) - delta(COUNTER_HELD_REASSEMBLY_LEAVE),
		q.n - 1);
	assert_balanced();
	for (unsigned i = 0; i < 30; i++) {
		usleep(100000);
		rig_settle(rig);
	}
	assert_frames_end(COUNTER_DROP_REASSEMBLY_TIMEOUT, q.n - 1);
}

static void test_reassembled_datagram_for_no_listener(void **state)
{
	struct pieces p;

	cut(request("INVITE", "alice", 9, 3000), 1500, 80, &p);
	/* Another destination port; the UDP checksum is looked at after it. */
	memcpy(rte_pktmbuf_mtod_offset(p.m[0], uint8_t *, 36), "\x00\x35", 2);
	for (unsigned i = 0; i < p.n; i++)
		rig_receive(rig, 0, 0, p.m[i]);
	assert_frames_end(COUNTER_DROP_FRAGMENT_NOT_SIP, p.n);
	begin(state);
	cut(request("INVITE", "alice", 9, 3000), 1500, 81, &p);
	*rte_pktmbuf_mtod_offset(p.m[1], uint8_t *, 40) ^= 1;
	for (unsigned i = 0; i < p.n; i++)
		rig_receive(rig, 0, 0, p.m[i]);
	assert_frames_end(COUNTER_NET + NET_REASON_UDP_CHECKSUM, p.n);
}

static void test_datagrams_that_cannot_be_taken_from_their_fragments(void **state)
{
	static struct rte_mbuf *all[1000];
	struct pieces p;
	unsigned n = 0;

	/* The UDP header of the first piece says more than all pieces hold. */
	cut(request("INVITE", "alice", 9, 3000), 1500, 82, &p);
	memcpy(rte_pktmbuf_mtod_offset(p.m[0], uint8_t *, 38), "\xff\xff", 2);
	for (unsigned i = 0; i < p.n; i++)
		rig_receive(rig, 0, 0, p.m[i]);
	assert_frames_end(COUNTER_NET + NET_REASON_UDP_LENGTH, p.n);
	begin(state);
	cut(request("INVITE", "alice", 9, 3000), 1500, 83, &p);
	while (n < 1000 && (all[n] = rte_pktmbuf_alloc(rig->pool_big)) != NULL)
		n++;
	assert_true(n > 0 && n < 1000);
	for (unsigned i = 0; i < p.n; i++)
		rig_receive(rig, 0, 0, p.m[i]);
	assert_frames_end(COUNTER_DROP_NO_BUFFER, p.n);
	rte_pktmbuf_free_bulk(all, n);
}

/* 40 bytes of header and 65,527 of payload: a packet that IPv6 allows and no buffer takes. */
static void test_datagram_beyond_a_buffer_is_dropped(void **state)
{
	struct net_header h = {0};
	struct net_fragment f;
	uint32_t n;

	memcpy(h.dst_mac, rig->port[0].mac, 6);
	memcpy(h.src_mac, "\x02\x00\x00\x00\x00\x98", 6);
	net_addr_parse(STR("fd00:10::2"), &h.src.addr);
	net_addr_parse(STR("fd00:10::1"), &h.dst.addr);
	for (n = 0; net_fragment_nth(6, 1500, 65527, n, &f); n++) {
		struct rte_mbuf *m = rte_pktmbuf_alloc(rig->pool);
		uint32_t head = net_fragment_header_length(&h);
		uint8_t *at = (uint8_t *)rte_pktmbuf_append(m, (uint16_t)(head + f.len));

		net_fragment_header_write(&h, &f, 84, at);
		memset(at + head, 0, f.len);
		rig_receive(rig, 0, 0, m);
	}
	assert_true(n > 40);
	assert_frames_end(COUNTER_DROP_REASSEMBLY_TOO_BIG, n);
}

/* ---- ICMP ---- */

/* "Unreachable" or "too big" about a datagram that we are said to have sent. */
static void icmp_error(uint8_t code, const char *src, uint16_t sport)
{
	uint8_t frame[14 + 20 + 8 + 28] = {0}, *ip = frame + 14, *icmp = ip + 20,
				    *quoted = icmp + 8;
	struct net_addr from, to;
	uint16_t sum;

	net_addr_parse(str_c(src), &from);
	net_addr_parse(STR("10.20.0.11"), &to);
	memcpy(frame, rig->port[1].mac, 6);
	memcpy(frame + 6, "\x02\x00\x00\x00\x00\x98\x08\x00", 8);
	for (unsigned i = 0; i < 2; i++) {
		uint8_t *h = i == 0 ? ip : quoted;

		h[0] = 0x45;
		h[2] = i == 0 ? 0 : 1200 >> 8;
		h[3] = i == 0 ? 56 : 1200 & 0xff;
		h[8] = 64;
		h[9] = i == 0 ? 1 : 17;
		memcpy(h + 12, i == 0 ? to.b : from.b, 4);
		memcpy(h + 16, i == 0 ? (const uint8_t *)"\x0a\x14\x00\x01" : to.b, 4);
		sum = net_checksum_fold(net_checksum_add(0, h, 20));
		memcpy(h + 10, &sum, 2);
	}
	icmp[0] = 3;
	icmp[1] = code;
	icmp[6] = code == 4 ? 600 >> 8 : 0;
	icmp[7] = code == 4 ? 600 & 0xff : 0;
	quoted[20] = (uint8_t)(sport >> 8);
	quoted[21] = (uint8_t)sport;
	memcpy(quoted + 22, "\x13\xc4\x00\x08", 4);
	sum = net_checksum_fold(net_checksum_add(0, icmp, 36));
	memcpy(icmp + 2, &sum, 2);
	rig_receive_bytes(rig, 1, frame, sizeof(frame));
	/* There is no kernel here to give a copy to. */
	assert_frames_end(COUNTER_DROP_KERNEL_FULL, 1);
}

static uint64_t unreachable;

static void add_unreachable(void *arg, const struct dispatch_info *info)
{
	unreachable += info->unreachable;
}

static void test_icmp_errors_about_our_datagrams_are_counted(void **state)
{
	icmp_error(3, "10.20.0.1", 5060);
	assert_int_equal(delta(COUNTER_BURSTS), 1);
	assert_int_equal(delta(COUNTER_ICMP_UNREACHABLE), 1);
	assert_int_equal(delta(COUNTER_ICMP_TOO_BIG), 0);
	dispatch_list(rig->dispatch, add_unreachable, NULL);
	assert_int_equal(unreachable, 1);
	begin(state);
	icmp_error(4, "10.20.0.1", 5060);
	assert_int_equal(delta(COUNTER_ICMP_UNREACHABLE), 0);
	assert_int_equal(delta(COUNTER_ICMP_TOO_BIG), 1);
	begin(state);
	icmp_error(3, "10.20.0.1", 5061);
	begin(state);
	icmp_error(4, "10.99.0.1", 5060);
	assert_int_equal(delta(COUNTER_ICMP_UNREACHABLE), 0);
	assert_int_equal(delta(COUNTER_ICMP_TOO_BIG), 0);
}

/* ---- waiting ---- */

static void test_message_waits_for_its_neighbour(void **state)
{
	struct str payload;
	struct rte_mbuf *m;

	rig->backend_hop = KERNEL_HOP_UNRESOLVED;
	send_to(0, request("INVITE", "alice", 10, 0));
	rig_poll(rig);
	rig_poll(rig);
	assert_null(rig_sent(rig, 1, &payload));
	assert_int_equal(delta(COUNTER_HELD_NEIGHBOUR_ENTER), 1);
	assert_int_equal(pipeline_held(rig->pipeline), 1);
	assert_balanced();
	rig->backend_hop = KERNEL_HOP_READY;
	/* It goes at once, not when control looks next. */
	pipeline_hops_changed(rig->pipeline);
	pipeline_worker_poll(rig->pipeline, 0);
	m = rig_sent(rig, 1, &payload);
	assert_non_null(m);
	rte_pktmbuf_free(m);
	assert_frames_end(COUNTER_FORWARDED, 1);

	begin(state);
	rig->backend_hop = KERNEL_HOP_UNRESOLVED;
	send_to(0, request("INVITE", "alice", 11, 0));
	rig_poll(rig);
	pipeline_control_poll(rig->pipeline, clock_now_ns());
	pipeline_control_poll(rig->pipeline, clock_now_ns() + PIPELINE_NEIGHBOUR_WAIT_NS);
	assert_frames_end(COUNTER_DROP_NEIGHBOUR_TIMEOUT, 1);
}

/* Our own answer, too: it is under way until the neighbour is known. */
static void test_an_answer_waits_for_its_neighbour(void **state)
{
	struct rte_mbuf *m;
	struct str payload;

	rig->backend_hop = KERNEL_HOP_UNRESOLVED;
	send_to(1, request("INVITE", "reply", 15, 0));
	rig_poll(rig);
	rig_poll(rig);
	assert_null(rig_sent(rig, 1, &payload));
	assert_int_equal(delta(COUNTER_HELD_NEIGHBOUR_ENTER), 1);
	assert_balanced();
	rig->backend_hop = KERNEL_HOP_READY;
	pipeline_hops_changed(rig->pipeline);
	assert_frames_end(COUNTER_ANSWERED, 1);
	m = rig_sent(rig, 1, &payload);
	assert_non_null(m);
	assert_true(str_istarts(payload, STR("SIP/2.0 404 ")));
	rte_pktmbuf_free(m);
}

static void test_places_to_wait_are_bounded(void **state)
{
	rig->backend_hop = KERNEL_HOP_UNRESOLVED;
	for (unsigned i = 0; i < 100; i++) {
		send_to(0, request("INVITE", "alice", 200 + i, 0));
		rig_poll(rig);
	}
	assert_int_equal(delta(COUNTER_HELD_NEIGHBOUR_ENTER), 64);
	assert_int_equal(delta(COUNTER_DROP_HELD_FULL), 36);
	assert_balanced();
	pipeline_control_poll(rig->pipeline, clock_now_ns() + PIPELINE_NEIGHBOUR_WAIT_NS);
	rig_settle(rig);
	assert_int_equal(delta(COUNTER_DROP_NEIGHBOUR_TIMEOUT), 64);
	assert_balanced();
}

/* A neighbour that is gone leaves places to others. */
static void test_one_neighbour_does_not_take_all_places(void **state)
{
	enum { TO_ONE = PIPELINE_HELD_PER_HOP + 44, TO_OTHER = 10 };
	struct rig_config config = {
		.script = "request_route {\n"
			  "	if ($rU == \"one\") $du = \"sip:10.20.0.11:5060\";\n"
			  "	else $du = \"sip:10.20.0.12:5060\";\n"
			  "	forward();\n}\n",
		.list = list,
		.workers = 1,
		.queues = 1,
		.held = 2 * PIPELINE_HELD_PER_HOP};
	struct rig *plain = rig;

	rig = rig_create_with(&config);
	assert_non_null(rig);
	begin(state);
	rig->backend_hop = KERNEL_HOP_UNRESOLVED;
	for (unsigned i = 0; i < TO_ONE + TO_OTHER; i++) {
		send_to(0, request("INVITE", i < TO_ONE ? "one" : "other", 2000 + i, 0));
		rig_poll(rig);
	}
	rig_settle(rig);
	assert_int_equal(delta(COUNTER_DROP_HELD_FULL), TO_ONE - PIPELINE_HELD_PER_HOP);
	assert_int_equal(pipeline_held(rig->pipeline), PIPELINE_HELD_PER_HOP + TO_OTHER);
	assert_balanced();
	rig->backend_hop = KERNEL_HOP_READY;
	pipeline_hops_changed(rig->pipeline);
	rig_settle(rig);
	assert_int_equal(delta(COUNTER_FORWARDED), PIPELINE_HELD_PER_HOP + TO_OTHER);
	assert_all_ended();
	assert_int_equal(end(state), 0);
	rig_destroy(rig);
	rig = plain;
}

static void test_message_waits_for_a_name(void **state)
{
	send_to(0, request("INVITE", "name", 12, 0));
	rig_poll(rig);
	assert_int_equal(delta(COUNTER_HELD_NAME_ENTER), 1);
	assert_balanced();
	/* The name does not exist, or nobody says: the script's forward() fails and it answers; or
	 * it waited too long. */
	await_held();
	assert_int_equal(delta(COUNTER_HELD_NAME_LEAVE), delta(COUNTER_HELD_NAME_ENTER));
	assert_int_equal(delta(COUNTER_ANSWERED) + delta(COUNTER_DROP_NAME_TIMEOUT), 1);
	assert_balanced();
}

/* Whoever may be answered is: a client that hears nothing tries for 32 seconds. */
static void test_no_room_to_wait_for_a_name(void **state)
{
	enum { CALLS = 70, PLACES = 64 };
	struct str payload;

	for (unsigned i = 0; i < CALLS; i++) {
		send_to(0, request("INVITE", "name-full", 600 + i, 0));
		pipeline_worker_poll(rig->pipeline, 0); /* the control thread is asleep */
	}
	assert_int_equal(delta(COUNTER_HELD_NAME_ENTER), PLACES);
	assert_int_equal(delta(COUNTER_ANSWERED), CALLS - PLACES);
	for (unsigned i = 0; i < CALLS - PLACES; i++) {
		struct rte_mbuf *m = rig_sent(rig, 0, &payload);

		assert_true(str_istarts(payload, STR("SIP/2.0 503 ")));
		assert_true(str_find_str(payload, STR("Retry-After")) < 0);
		rte_pktmbuf_free(m);
	}
	send_to(0, request("ACK", "name-full", 700, 0));
	send_to(0, request("CANCEL", "name-full", 701, 0));
	pipeline_worker_poll(rig->pipeline, 0);
	assert_int_equal(delta(COUNTER_DROP_HELD_FULL), 2);
	assert_int_equal(delta(COUNTER_ANSWERED), CALLS - PLACES);
	assert_balanced();

	/* Five seconds later. */
	for (unsigned i = 0; i < 3; i++)
		pipeline_control_poll(rig->pipeline, clock_now_ns() + PIPELINE_NAME_WAIT_NS);
	rig_settle(rig);
	assert_int_equal(delta(COUNTER_HELD_NAME_LEAVE), PLACES);
	assert_int_equal(delta(COUNTER_ANSWERED), CALLS);
	for (unsigned i = 0; i < PLACES; i++) {
		struct rte_mbuf *m = rig_sent(rig, 0, &payload);

		assert_true(str_istarts(payload, STR("SIP/2.0 500 Name Not Resolved")));
		rte_pktmbuf_free(m);
	}
	assert_balanced();

	/* Nor is an ACK answered then, or a CANCEL, which comes again. */
	begin(state);
	send_to(0, request("ACK", "name-late", 702, 0));
	send_to(0, request("CANCEL", "name-late", 703, 0));
	pipeline_worker_poll(rig->pipeline, 0);
	assert_int_equal(delta(COUNTER_HELD_NAME_ENTER), 2);
	pipeline_control_poll(rig->pipeline, clock_now_ns() + PIPELINE_NAME_WAIT_NS);
	assert_ends(COUNTER_DROP_NAME_TIMEOUT, 2);
}

/* A reply of our own beside a request that leaves, to where no way leads. */
static void test_own_reply_that_is_lost(void **state)
{
	struct str payload;

	rig_receive(rig, 0, 0,
		rig_datagram(rig, 0, "192.0.2.9", 5080, "10.10.0.1", 5060,
			request("INVITE", "trying", 52, 0)));
	assert_ends(COUNTER_FORWARDED, 1);
	assert_int_equal(delta(COUNTER_OWN_REPLIES), 0);
	assert_int_equal(delta(COUNTER_OWN_LOST), 1);
	assert_int_equal(delta(COUNTER_TX_DROPPED), 1);
	rte_pktmbuf_free(sent(1, &payload));
}

/* reply_rate is the program's: who sends from many ports, which workers share, gets no more. */
static void test_workers_share_the_rate_of_replies(void **state)
{
	enum { WORKERS = 3, EACH = 20, RATE = 2 };
	struct rig_config config = {.script = dispatch_script,
		.list = list,
		.workers = WORKERS,
		.queues = WORKERS,
		.reply_rate = RATE};
	struct rig *plain = rig;

	rig = rig_create_with(&config);
	assert_non_null(rig);
	begin(state);
	for (unsigned i = 0; i < WORKERS * EACH; i++)
		rig_receive(rig, 0, i % WORKERS,
			rig_datagram(rig, 0, "10.10.0.2", (uint16_t)(6000 + i), "10.10.0.1", 5060,
				STR("OPTIONS sip:10.10.0.1 SIP/2.0\r\n"
				    "Via: SIP/2.0/UDP 10.10.0.2;branch=z9hG4bKr\r\n"
				    "From: <sip:a@b>;tag=1\r\nTo: <sip:c@d>\r\nCall-ID: r\r\n"
				    "CSeq: nonsense\r\nContent-Length: 0\r\n\r\n")));
	rig_settle(rig);
	/* Twice the rate at once, and some while the test runs. */
	assert_in_range(delta(COUNTER_ANSWERED), 2 * RATE, 4 * RATE);
	assert_int_equal(delta(COUNTER_ANSWERED) + delta(COUNTER_PROXY + PROXY_REASON_REPLY_RATE),
		WORKERS * EACH);
	assert_int_equal(end(state), 0);
	rig_destroy(rig);
	rig = plain;
}

/* ---- bounds ---- */

static void test_no_buffer_is_a_counted_drop(void **state)
{
	static struct rte_mbuf *all[20000];
	unsigned n = 0;

	send_to(0, request("INVITE", "alice", 13, 0));
	send_to(0, request("INVITE", "reply", 14, 0));
	send_to(0, STR("\r\n\r\n"));
	while ((all[n] = rte_pktmbuf_alloc(rig->pool)) != NULL)
		n++;
	unsigned big = n;

	while ((all[n] = rte_pktmbuf_alloc(rig->pool_big)) != NULL)
		n++;
	assert_true(n > big);
	assert_frames_end(COUNTER_DROP_NO_BUFFER, 3);
	rte_pktmbuf_free_bulk(all, n);
}

/* A message that waited has its neighbour, and there is no buffer any more. */
static void test_no_buffer_for_what_waited_is_a_counted_drop(void **state)
{
	static struct rte_mbuf *all[20000];
	unsigned n = 0;

	rig->backend_hop = KERNEL_HOP_UNRESOLVED;
	send_to(0, request("INVITE", "alice", 17, 0));
	rig_poll(rig);
	rig_poll(rig);
	assert_int_equal(pipeline_held(rig->pipeline), 1);
	while ((all[n] = rte_pktmbuf_alloc(rig->pool)) != NULL)
		n++;
	rig->backend_hop = KERNEL_HOP_READY;
	assert_frames_end(COUNTER_DROP_NO_BUFFER, 1);
	rte_pktmbuf_free_bulk(all, n);
}

static void test_frames_of_the_kernel_that_find_no_room_are_counted(void **state)
{
	static struct rte_mbuf *all[20000];
	uint8_t frame[64] = {0};
	unsigned n = 0;

	while ((all[n] = rte_pktmbuf_alloc(rig->pool_control)) != NULL)
		n++;
	pipeline_transmit(rig->pipeline, 1, frame, sizeof(frame));
	assert_int_equal(delta(COUNTER_TX_DROPPED), 1);
	rte_pktmbuf_free_bulk(all, n);
	begin(state);
	/* More than the owner's ring takes while he does not look. */
	for (n = 0; delta(COUNTER_TX_DROPPED) == 0 && n < 4000; n++)
		pipeline_transmit(rig->pipeline, 1, frame, sizeof(frame));
	assert_true(n < 4000); /* there are buffers left */
	rig_settle(rig);
	assert_int_equal(delta(COUNTER_FRAMES_FROM_KERNEL), n - 1);
	assert_balanced();
}

static void test_full_transmit_queue_is_a_counted_drop(void **state)
{
	struct rte_mbuf *m;
	struct str payload;
	unsigned n = 0;

	while (rte_ring_free_count(rig->tx[1][0]) > 0)
		rte_ring_enqueue(rig->tx[1][0], rte_pktmbuf_alloc(rig->pool));
	send_to(0, request("INVITE", "alice", 15, 0));
	assert_frames_end(COUNTER_DROP_TX_FULL, 1);
	assert_int_equal(delta(COUNTER_TX_DROPPED), 1);
	while ((m = rig_sent(rig, 1, &payload)) != NULL) {
		rte_pktmbuf_free(m);
		n++;
	}
	assert_true(n > 0);
}

static void test_frames_of_the_kernel_are_sent_and_counted_apart(void **state)
{
	struct rte_mbuf *m;
	struct str payload;
	uint8_t frame[64] = {0};

	pipeline_transmit(rig->pipeline, 1, frame, sizeof(frame));
	m = sent(1, &payload);
	assert_non_null(m);
	assert_int_equal(rte_pktmbuf_data_len(m), sizeof(frame));
	rte_pktmbuf_free(m);
	assert_int_equal(delta(COUNTER_FRAMES_FROM_KERNEL), 1);
	assert_int_equal(delta(COUNTER_FORWARDED), 0);
	assert_balanced();
}

/* ---- several workers ---- */

static void test_more_workers_than_queues(void **state)
{
	struct rig *plain = rig;
	struct pieces p;
	struct rte_mbuf *m;
	struct str payload;
	unsigned out = 0;

	rig = rig_create(dispatch_script, list, 3, 1);
	assert_non_null(rig);
	begin(state);
	for (unsigned i = 0; i < 300; i++) {
		struct str t = request("INVITE", "alice", 1000 + i, 0);

		rig_receive(rig, 0, 0,
			rig_datagram(
				rig, 0, "10.10.0.2", (uint16_t)(6000 + i), "10.10.0.1", 5060, t));
		rig_settle(rig);
	}
	for (unsigned i = 0; i < 40; i++) {
		cut(request("INVITE", "alice", 2000 + i, 3000), 1500, 500 + i, &p);
		for (unsigned j = 0; j < p.n; j++)
			rig_receive(rig, 0, 0, p.m[j]);
		rig_settle(rig);
	}
	assert_int_equal(delta(COUNTER_FORWARDED), 300 + 40 * 3);
	assert_true(delta(COUNTER_CROSSED) > 200);
	assert_balanced();
	while ((m = rig_sent(rig, 1, &payload)) != NULL) {
		rte_pktmbuf_free(m);
		out++;
	}
	assert_int_equal(out, 300 + 40 * 3);
	assert_int_equal(end(state), 0);
	rig_destroy(rig);
	rig = plain;
}

/* What the crossing does not take is dropped where it is. */
static void test_full_ring_between_workers_is_a_counted_drop(void **state)
{
	struct rig *plain = rig;

	rig = rig_create(dispatch_script, list, 2, 1);
	assert_non_null(rig);
	begin(state);
	for (unsigned i = 0; i < 6000; i++) {
		rig_receive(rig, 0, 0,
			rig_datagram(rig, 0, "10.10.0.2", (uint16_t)(6000 + i), "10.10.0.1", 5060,
				STR("\r\n")));
		if (i % 32 == 31)
			pipeline_worker_poll(rig->pipeline, 0); /* the other one is asleep */
	}
	pipeline_worker_poll(rig->pipeline, 0);
	assert_true(delta(COUNTER_DROP_CROSSING_FULL) > 0);
	rig_settle(rig);
	assert_int_equal(delta(COUNTER_DROP_CROSSING_FULL) + delta(COUNTER_DROP_KEEPALIVE),
		delta(COUNTER_FRAMES_IN));
	assert_balanced();
	assert_int_equal(end(state), 0);
	rig_destroy(rig);
	rig = plain;
}

/* Under AddressSanitizer a read past a received message dies; without it there is nothing to see.
 */
static void test_read_past_a_message_is_caught(void **state)
{
#ifdef GUARD
	struct rte_mbuf *m = rte_pktmbuf_alloc(rig->pool);
	char *data = rte_pktmbuf_append(m, 100);

	guard_mbuf(m);
	for (int at = -1; at <= 100; at += 101) {
		pid_t child = fork();
		int status;

		assert_true(child >= 0);
		if (child == 0) {
			close(2);
			_exit(((volatile char *)data)[at] == 'x' ? 0 : 0);
		}
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_true(!WIFEXITED(status) || WEXITSTATUS(status) != 0);
	}
	assert_int_equal(((volatile char *)data)[99], data[99]);
	unguard_mbuf(m);
	rte_pktmbuf_free(m);
#else
	print_message("only AddressSanitizer sees it\n");
	skip();
#endif
}

/* Each stage is charged for a burst that passes it, none for a pass that finds nothing. */
static void test_cycles_are_counted_by_stage(void **state)
{
	struct pipeline_stages first, then, idle;

	pipeline_stages(rig->pipeline, &first);
	for (unsigned i = 0; i < 3; i++)
		send_to(0, request("INVITE", "alice", 4000 + i, 10));
	rig_receive_bytes(rig, 0, "short", 5);
	rig_settle(rig);
	pipeline_stages(rig->pipeline, &then);
	assert_int_equal(then.frames - first.frames, 4);
	assert_int_equal(then.messages - first.messages, 3);
	assert_int_not_equal(then.hz, 0);
	for (unsigned i = 0; i < PIPELINE_STAGE_COUNT; i++) {
		assert_non_null(pipeline_stage_name((enum pipeline_stage)i));
		if (then.cycles[i] <= first.cycles[i])
			fail_msg("no cycles for %s", pipeline_stage_name((enum pipeline_stage)i));
	}
	rig_settle(rig);
	pipeline_stages(rig->pipeline, &idle);
	assert_memory_equal(&idle, &then, sizeof(idle));
}

static void test_every_counter_has_a_name_of_its_own(void **state)
{
	for (unsigned i = 0; i < COUNTER_COUNT; i++) {
		if (counter_name(i) == NULL)
			continue;
		assert_non_null(counter_help(i));
		for (unsigned j = i + 1; j < COUNTER_COUNT; j++)
			if (counter_name(j) != NULL &&
				strcmp(counter_name(i), counter_name(j)) == 0)
				fail_msg("%s stands twice", counter_name(i));
	}
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_request_is_forwarded_and_its_response_comes_back),
		TEST(test_each_end_of_a_request),
		TEST(test_spiral_to_ourselves_is_received_again),
		TEST(test_listeners_take_turns_within_a_burst),
		TEST(test_malformed_request_is_answered_and_malformed_response_dropped),
		TEST(test_error_replies_to_one_source_are_limited),
		TEST(test_keepalives),
		TEST(test_stun_answers_to_one_source_are_limited),
		TEST(test_stateful_statement_is_refused),
		TEST(test_each_frame_that_is_not_ours),
		TEST(test_segments),
		TEST(test_fragmented_request_is_forwarded_in_fragments),
		TEST(test_each_end_of_fragments),
		TEST(test_datagrams_that_cannot_be_taken_from_their_fragments),
		TEST(test_datagram_beyond_a_buffer_is_dropped),
		TEST(test_icmp_errors_about_our_datagrams_are_counted),
		TEST(test_reassembled_datagram_for_no_listener),
		TEST(test_message_waits_for_its_neighbour),
		TEST(test_an_answer_waits_for_its_neighbour),
		TEST(test_places_to_wait_are_bounded),
		TEST(test_one_neighbour_does_not_take_all_places),
		TEST(test_message_waits_for_a_name),
		TEST(test_no_room_to_wait_for_a_name),
		TEST(test_own_reply_that_is_lost),
		TEST(test_workers_share_the_rate_of_replies),
		TEST(test_no_buffer_is_a_counted_drop),
		TEST(test_no_buffer_for_what_waited_is_a_counted_drop),
		TEST(test_frames_of_the_kernel_that_find_no_room_are_counted),
		TEST(test_full_transmit_queue_is_a_counted_drop),
		TEST(test_frames_of_the_kernel_are_sent_and_counted_apart),
		TEST(test_more_workers_than_queues),
		TEST(test_full_ring_between_workers_is_a_counted_drop),
		TEST(test_cycles_are_counted_by_stage),
		TEST(test_read_past_a_message_is_caught),
		cmocka_unit_test(test_every_counter_has_a_name_of_its_own),
	};
	int failed;

	if (rig_eal("test_pipeline", 512) != 0)
		return 1;
	rig = rig_create(dispatch_script, list, 1, 1);
	if (rig == NULL)
		return 1;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	rig_destroy(rig);
	return failed;
}
