/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A program of fragments: eight bytes of input make one frame, which is written, parsed and handed
 * to a reassembler whose bounds are met soon. After every step each frame is held or reported once;
 * what comes out whole holds at each place a byte that a fragment brought there, and is a packet
 * with right lengths.
 */
#include <stdlib.h>

#include "net/net.h"

#define STEP 8

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
	if (!holds)
		abort();
}

/* What a byte is by its place in the datagram; a fragment may bring the other kind, too. */
static uint8_t pattern(uint32_t off)
{
	return (uint8_t)((off * 31 + (off >> 8)) & 0xfe);
}

struct step {
	struct net_header header;
	struct net_fragment fragment;
	uint32_t id;
	uint8_t odd;      /* lowest bit of every byte */
	bool options;     /* IPv4 options or IPv6 destination options in front */
	uint32_t elapsed; /* milliseconds since the step before */
};

static struct step read_step(const uint8_t *p)
{
	struct step s = {0};
	uint8_t a[16] = {0x20, 1, 0xd, 0xb8, [7] = p[0] & 7},
		b[16] = {0x20, 1, 0xd, 0xb8, [15] = 1};
	bool v6 = (p[0] & 8) != 0;

	s.header.src.addr = v6 ? net_addr_v6(a) : net_addr_v4(htobe32(0xc0000200 | (p[0] & 7)));
	s.header.dst.addr = v6 ? net_addr_v6(b) : net_addr_v4(htobe32(0xc6336401));
	s.odd = p[0] >> 4 & 1;
	s.options = (p[0] & 32) != 0;
	s.fragment.more = (p[0] & 64) != 0;
	s.id = p[1] & 3;
	s.elapsed = p[1] >> 5 == 7 ? 700 : 0;
	s.fragment.off = ((uint32_t)p[2] << 8 | p[3]) & 0x1fff;
	/* Mostly small numbers, so that fragments meet. */
	if ((p[0] & 128) == 0)
		s.fragment.off &= 15;
	s.fragment.off *= 8;
	s.fragment.len = (uint32_t)p[4] << 8 | p[5];
	if ((p[6] & 1) == 0)
		s.fragment.len &= 63;
	if ((p[6] & 2) == 0)
		s.fragment.len &= ~7U;
	if (s.fragment.len > 9000)
		s.fragment.len = 9000;
	return s;
}

/* Puts eight bytes of options behind the IP header, as a router on the way would leave them. */
static uint32_t add_options(uint8_t *frame, uint32_t front, bool v6)
{
	uint8_t *ip = frame + NET_ETHER_LEN;
	uint32_t header = v6 ? NET_IPV6_LEN : NET_IPV4_LEN;
	uint16_t len;

	memmove(ip + header + 8, ip + header, front - NET_ETHER_LEN - header);
	if (v6) {
		memcpy(ip + header, ((uint8_t[]){44, 0, 1, 4, 0, 0, 0, 0}), 8);
		ip[6] = 60;
	} else {
		memset(ip + header, 1, 8);
		ip[0] = 0x47;
	}
	memcpy(&len, ip + (v6 ? 4 : 2), 2);
	len = htobe16((uint16_t)(be16toh(len) + 8));
	memcpy(ip + (v6 ? 4 : 2), &len, 2);
	return front + 8;
}

static uint8_t *write_frame(const struct step *s, uint32_t *len)
{
	bool v6 = s->header.src.addr.family == 6;
	uint32_t front = net_fragment_header_length(&s->header);
	uint8_t *frame = malloc(front + 8 + s->fragment.len), *exact;

	check(frame != NULL);
	net_fragment_header_write(&s->header, &s->fragment, s->id, frame);
	if (s->options)
		front = add_options(frame, front, v6);
	for (uint32_t i = 0; i < s->fragment.len; i++)
		frame[front + i] = pattern(s->fragment.off + i) | s->odd;
	*len = front + s->fragment.len;
	/* Ends where its block ends. */
	exact = malloc(*len);
	check(exact != NULL);
	memcpy(exact, frame, *len);
	free(frame);
	return exact;
}

static void check_whole(const struct net_reassembled *out, uint8_t family)
{
	uint32_t front = family == 6 ? NET_IPV6_LEN : (out->packet[0] & 15U) * 4;
	struct net_frame f;

	check(out->packet[0] >> 4 == family);
	if (family == 6 && out->packet[6] == 60)
		front += 8;
	check(out->len > front);
	/* Read to the last byte. */
	for (uint32_t i = front; i < out->len; i++)
		check((out->packet[i] & 0xfe) == pattern(i - front));
	net_packet_parse(out->packet, out->len, &f);
	check(f.kind == NET_UDP || f.kind == NET_BAD);
	if (f.kind == NET_BAD)
		check(f.reason == NET_REASON_UDP_LENGTH || f.reason == NET_REASON_UDP_PORT ||
			f.reason == NET_REASON_UDP_CHECKSUM);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct net_reassembler_config config = {6, 3, 20 * 1024, 2000};
	const struct hash_key key = {{5, 6}};
	struct net_reassembler *r = net_reassembler_create(&config, &key);
	uint64_t in = 0, left = 0, now = 0;

	check(r != NULL);
	for (; size >= STEP && in < 2000; data += STEP, size -= STEP) {
		struct step s = read_step(data);
		struct net_reassembled out;
		struct net_frame f;
		uint32_t len;
		uint8_t *frame = write_frame(&s, &len);

		now += s.elapsed;
		if ((data[7] & 3) == 3)
			left += net_reassembler_expire(r, now);
		net_frame_parse(frame, len, false, &f);
		/* Also what the parser would have refused. */
		if (f.kind == NET_FRAGMENT ||
			(f.kind == NET_BAD && f.reason == NET_REASON_FRAGMENT_SIZE)) {
			in++;
			if (net_reassemble(r, frame, &f, now, &out) == NET_REASSEMBLY_WHOLE)
				check_whole(&out, f.family);
			left += out.frames + out.evicted;
			check(in == left + net_reassembler_held(r));
		}
		free(frame);
	}
	left += net_reassembler_expire(r, now + config.timeout_ns);
	check(in == left && net_reassembler_held(r) == 0);
	net_reassembler_destroy(r);
	return 0;
}
