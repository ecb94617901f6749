/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Messages a second of one worker, whole pipeline, without I/O: the lcore feeds its own ring from a
 * set of different INVITEs and takes away what leaves. What feeding costs is measured apart and
 * said beside. Arguments: [messages in the set] [seconds].
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "../unit/pipeline/rig.h"

#define WINDOW_BURSTS 256

static const char script[] =
	"request_route {\n"
	"	if (!mf_process_maxfwd_header(\"10\")) { sl_send_reply(\"483\", \"Too Many "
	"Hops\"); exit; }\n"
	"	if (has_totag()) {\n"
	"		if (loose_route()) { forward(); exit; }\n"
	"		if (!is_method(\"ACK\")) { sl_send_reply(\"404\", \"Not Here\"); exit; }\n"
	"	}\n"
	"	if (is_method(\"INVITE|SUBSCRIBE\")) record_route();\n"
	"	if (!ds_select_dst(\"1\", \"0\")) { sl_send_reply(\"503\", \"No Destination\"); "
	"exit; }\n"
	"	forward();\n"
	"}\n";

static struct str write_invite(char *out, size_t size, unsigned i)
{
	char sdp[512];
	int body = snprintf(sdp, sizeof(sdp),
		"v=0\r\no=- %u %u IN IP4 10.10.0.2\r\ns=-\r\nc=IN IP4 10.10.0.2\r\nt=0 0\r\n"
		"m=audio %u RTP/AVP 0 8 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n"
		"a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 "
		"0-15\r\na=ptime:20\r\na=sendrecv\r\n",
		i, i, 10000 + i % 20000);
	int n = snprintf(out, size,
		"INVITE sip:+4930%07u@10.10.0.1:5060 SIP/2.0\r\n"
		"Via: SIP/2.0/UDP 10.10.0.2:5080;branch=z9hG4bK%08x%08x;rport\r\n"
		"Max-Forwards: 70\r\n"
		"From: \"Caller %u\" <sip:+4989%07u@10.10.0.2>;tag=%08x\r\n"
		"To: <sip:+4930%07u@10.10.0.1>\r\n"
		"Call-ID: %08x-%08x-%04x@10.10.0.2\r\n"
		"CSeq: %u INVITE\r\n"
		"Contact: <sip:+4989%07u@10.10.0.2:5080>\r\n"
		"Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE\r\n"
		"Supported: timer, replaces\r\n"
		"User-Agent: Example PBX 4.%u\r\n"
		"Content-Type: application/sdp\r\n"
		"Content-Length: %d\r\n\r\n%s",
		i, i * 2654435761u, i, i % 977, i, i * 40503u, i, i * 2246822519u, i * 3266489917u,
		i & 0xffff, i % 60000 + 1, i, i % 10, body, sdp);

	return str_of(out, (size_t)n);
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

/* Nanoseconds a message of one window; `work`: through the pipeline, else the feeding alone. */
static double window(struct rig *r, struct rte_mbuf **set, unsigned n, unsigned *at, bool work)
{
	struct rte_mbuf *out[PORT_BURST];
	uint64_t begun = clock_now_ns();

	for (unsigned b = 0; b < WINDOW_BURSTS; b++) {
		unsigned left;

		for (unsigned i = 0; i < PORT_BURST; i++)
			rte_mbuf_refcnt_update(set[(*at + i) % n], 1);
		rte_ring_enqueue_bulk(r->rx[0][0], (void **)&set[*at], PORT_BURST, NULL);
		*at = *at + 2 * PORT_BURST <= n ? *at + PORT_BURST : 0;
		if (work) {
			pipeline_worker_poll(r->pipeline, 0);
			left = rte_ring_dequeue_burst(r->tx[1][0], (void **)out, PORT_BURST, NULL);
		} else {
			left = rte_ring_dequeue_burst(r->rx[0][0], (void **)out, PORT_BURST, NULL);
		}
		rte_pktmbuf_free_bulk(out, left);
	}
	return (double)(clock_now_ns() - begun) / (WINDOW_BURSTS * PORT_BURST);
}

int main(int argc, char **argv)
{
	unsigned n = argc > 1 ? (unsigned)atoi(argv[1]) : 6144,
		 seconds = argc > 2 ? (unsigned)atoi(argv[2]) : 5, bytes = 0, at = 0;
	struct rte_mbuf **set;
	struct rig *r;
	double *whole, *feed;
	unsigned windows = 0;
	uint64_t end;

	n = (n + PORT_BURST - 1) / PORT_BURST * PORT_BURST;
	if (rig_eal("dispatch", 512) != 0)
		return 1;
	r = rig_create(script,
		"1 sip:10.20.0.11:5060\n1 sip:10.20.0.12:5060\n1 sip:10.20.0.13:5060\n1 "
		"sip:10.20.0.14:5060\n",
		1, 1);
	set = calloc(n, sizeof(*set));
	whole = calloc(100000, sizeof(*whole));
	feed = calloc(100000, sizeof(*feed));
	if (r == NULL || set == NULL || whole == NULL || feed == NULL)
		return 1;
	for (unsigned i = 0; i < n; i++) {
		char text[2000];
		struct str t = write_invite(text, sizeof(text), i);

		bytes += t.len;
		set[i] = rig_datagram(r, 0, "10.10.0.2", 5080, "10.10.0.1", 5060, t);
	}
	end = clock_now_ns() + seconds * CLOCK_NS_PER_S;
	while (clock_now_ns() < end && windows < 100000) {
		whole[windows] = window(r, set, n, &at, true);
		feed[windows++] = window(r, set, n, &at, false);
	}
	if (rig_counter(r, COUNTER_FORWARDED) != rig_counter(r, COUNTER_FRAMES_IN)) {
		fprintf(stderr, "not all were forwarded: %" PRIu64 " of %" PRIu64 "\n",
			rig_counter(r, COUNTER_FORWARDED), rig_counter(r, COUNTER_FRAMES_IN));
		return 1;
	}
	qsort(whole, windows, sizeof(*whole), by_value);
	qsort(feed, windows, sizeof(*feed), by_value);
	printf("dispatch: %u messages of %u bytes, ring, scanner %s, %u windows of %u\n", n,
		bytes / n, sip_scan_name(), windows, WINDOW_BURSTS * PORT_BURST);
	printf("  whole    ns/message min %.0f median %.0f   (messages/s max %.0f median %.0f)\n",
		whole[0], whole[windows / 2], 1e9 / whole[0], 1e9 / whole[windows / 2]);
	printf("  feeding  ns/message min %.0f median %.0f\n", feed[0], feed[windows / 2]);
	return 0;
}
