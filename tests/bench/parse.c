/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Nanoseconds a message for sip_msg_index() and sip_msg_check(), for each scanner, over INVITEs of
 * our own making: 11 to 14 header fields in random order, an SDP body, about 800 bytes. Two sets:
 * one that stays in L1/L2, one of 6 MB, as large as what a NIC writes into the last-level cache.
 *
 *     parse [-w windows] [-s seed]
 *
 * Each figure is the least and the median of many short windows, since the machines that this runs
 * on are shared.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "sip/sip.h"

#define STRIDE 2176 /* what an mbuf's data room takes */
#define SMALL_SET 24
#define LARGE_SET 2891 /* times STRIDE: 6 MB */
#define VIEWS 32       /* a burst */
#define WINDOW_MESSAGES 20000
#define HEADERS_MAX 14

static uint64_t random_state = 0x9e3779b97f4a7c15ULL;

static uint32_t random_below(uint32_t bound)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (uint32_t)(random_state >> 33) % bound;
}

struct set {
	char *text;
	uint32_t *len;
	unsigned count;
	uint64_t bytes;
};

static struct sip_msg views[VIEWS];

static const char body[] = "v=0\r\n"
			   "o=caller 2890844526 2890844526 IN IP4 192.0.2.17\r\n"
			   "s=-\r\n"
			   "c=IN IP4 192.0.2.17\r\n"
			   "t=0 0\r\n"
			   "m=audio 49172 RTP/AVP 0 8 18 101\r\n"
			   "a=rtpmap:0 PCMU/8000\r\n"
			   "a=rtpmap:8 PCMA/8000\r\n"
			   "a=rtpmap:18 G729/8000\r\n"
			   "a=rtpmap:101 telephone-event/8000\r\n"
			   "a=sendrecv\r\n";

/* Writes one INVITE to out; the mandatory header fields and some of the others, shuffled. */
static uint32_t make_invite(char *out)
{
	char line[HEADERS_MAX][192];
	uint32_t a = random_below(1000000), b = random_below(1000000), at, n = 0;
	const char *compact = random_below(8) == 0 ? "v" : "Via";

	snprintf(line[n++], sizeof(line[0]),
		"%s: SIP/2.0/UDP 10.%u.%u.%u:5060;branch=z9hG4bK%06x%06x;rport", compact, a % 256,
		b % 256, (a + b) % 250, a, b);
	snprintf(line[n++], sizeof(line[0]), "From: \"User %u\" <sip:+1%07u@example.com>;tag=%x%x",
		a % 1000, a, b, a);
	snprintf(line[n++], sizeof(line[0]), "To: <sip:+4930%06u@proxy.example.net>", b);
	snprintf(line[n++], sizeof(line[0]), "Call-ID: %08x-%06x-%x@10.%u.%u.9", a * 77, b, a ^ b,
		a % 200, b % 200);
	snprintf(line[n++], sizeof(line[0]), "CSeq: %u INVITE", 1 + a % 900);
	snprintf(line[n++], sizeof(line[0]), "Max-Forwards: 70");
	snprintf(line[n++], sizeof(line[0]), "Contact: <sip:+1%07u@10.%u.%u.9:5060;transport=udp>",
		a, a % 256, b % 256);
	snprintf(line[n++], sizeof(line[0]), "Content-Type: application/sdp");
	snprintf(line[n++], sizeof(line[0]), "Content-Length: %u", (unsigned)sizeof(body) - 1);
	snprintf(line[n++], sizeof(line[0]), "User-Agent: softphone/%u.%u (build %u)", a % 9,
		b % 20, b);
	snprintf(line[n++], sizeof(line[0]),
		"Allow: INVITE, ACK, CANCEL, OPTIONS, BYE, REFER, NOTIFY, UPDATE");
	if (random_below(2) != 0)
		snprintf(line[n++], sizeof(line[0]), "Supported: replaces, timer, 100rel");
	if (random_below(2) != 0)
		snprintf(line[n++], sizeof(line[0]), "Session-Expires: 1800;refresher=uac");
	if (random_below(3) == 0)
		snprintf(line[n++], sizeof(line[0]), "X-Trunk: carrier-%u", a % 40);
	at = (uint32_t)sprintf(out, "INVITE sip:+4930%06u@proxy.example.net SIP/2.0\r\n", b);
	while (n > 0) {
		uint32_t pick = random_below(n--);

		at += (uint32_t)sprintf(out + at, "%s\r\n", line[pick]);
		if (pick != n)
			memcpy(line[pick], line[n], sizeof(line[0]));
	}
	at += (uint32_t)sprintf(out + at, "\r\n%s", body);
	return at;
}

static struct set make_set(unsigned count)
{
	struct set set = {.text = aligned_alloc(64, (size_t)count * STRIDE),
		.len = calloc(count, sizeof(*set.len)),
		.count = count};

	if (set.text == NULL || set.len == NULL)
		abort();
	for (unsigned i = 0; i < count; i++) {
		set.len[i] = make_invite(set.text + (size_t)i * STRIDE);
		set.bytes += set.len[i];
	}
	return set;
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

enum work { INDEX, INDEX_CHECK };

/* One window; nanoseconds a message. */
static double window(const struct set *set, enum work work, unsigned *next)
{
	uint64_t begin = now_ns();
	unsigned i = *next;

	for (unsigned n = 0; n < WINDOW_MESSAGES; n++) {
		const char *text = set->text + (size_t)i * STRIDE;
		struct sip_msg *msg = &views[n % VIEWS];
		enum sip_error error = sip_msg_index(msg, text, set->len[i]);

		if (error == SIP_OK && work == INDEX_CHECK)
			error = sip_msg_check(msg, text);
		if (error != SIP_OK) {
			fprintf(stderr, "parse: %s\n", sip_error_name(error));
			exit(1);
		}
		if (++i == set->count)
			i = 0;
	}
	*next = i;
	return (double)(now_ns() - begin) / WINDOW_MESSAGES;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static void measure(const struct set *set, enum work work, unsigned windows)
{
	double *ns = calloc(windows, sizeof(*ns));
	unsigned next = 0;

	if (ns == NULL)
		abort();
	for (unsigned i = 0; i < windows; i++)
		ns[i] = window(set, work, &next);
	qsort(ns, windows, sizeof(*ns), compare);
	printf("  %-8s %-12s %6u messages of %4.0f bytes   min %6.1f ns   median %6.1f ns\n",
		sip_scan_name(), work == INDEX ? "index" : "index+check", set->count,
		(double)set->bytes / set->count, ns[0], ns[windows / 2]);
	free(ns);
}

int main(int argc, char **argv)
{
	static const char *const scanners[] = {"scalar", "sse42", "avx2", "avx512"};
	unsigned windows = 60;
	int option;

	while ((option = getopt(argc, argv, "w:s:")) != -1) {
		if (option == 'w' && atoi(optarg) > 0)
			windows = (unsigned)atoi(optarg);
		else if (option == 's')
			random_state ^= (uint64_t)atoll(optarg) * 0xd1342543de82ef95ULL;
		else
			return 2;
	}

	struct set small = make_set(SMALL_SET), large = make_set(LARGE_SET);

	for (unsigned i = 0; i < sizeof(scanners) / sizeof(scanners[0]); i++) {
		if (sip_scan_select(scanners[i]) != 0) {
			printf("  %-8s not on this CPU\n", scanners[i]);
			continue;
		}
		for (enum work work = INDEX; work <= INDEX_CHECK; work++) {
			measure(&small, work, windows);
			measure(&large, work, windows);
		}
	}
	free(small.text);
	free(small.len);
	free(large.text);
	free(large.len);
	return 0;
}
