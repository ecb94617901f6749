/* SPDX-License-Identifier: BSD-3-Clause */
#include "unit.h"

static const struct hash_key key = {{1, 2}};

static struct net_header header(uint8_t family)
{
	struct net_header h = {.src.port = 5060, .dst.port = 5080, .tos = 0xb8, .ip_id = 1};
	uint8_t a[16] = {0x20, 1, 0xd, 0xb8, [15] = 1}, b[16] = {0x20, 1, 0xd, 0xb8, [15] = 2};

	h.src.addr = family == 4 ? net_addr_v4(htobe32(0xc0000201)) : net_addr_v6(a);
	h.dst.addr = family == 4 ? net_addr_v4(htobe32(0xc0000202)) : net_addr_v6(b);
	return h;
}

/* A datagram's UDP header and payload, with its checksum. */
static uint8_t *datagram(const struct net_header *h, uint32_t payload_len, uint64_t *seed)
{
	uint8_t *l4 = malloc(NET_UDP_LEN + payload_len);
	uint16_t sum;

	assert_non_null(l4);
	net_udp_write(h, payload_len, l4);
	for (uint32_t i = 0; i < payload_len; i++)
		l4[NET_UDP_LEN + i] = (uint8_t)random_next(seed);
	sum = net_udp_checksum(&h->src.addr, &h->dst.addr, l4, NET_UDP_LEN + payload_len);
	memcpy(l4 + 6, &sum, 2);
	return l4;
}

static struct bytes fragment_frame(
	const struct net_header *h, const uint8_t *l4, const struct net_fragment *f, uint32_t id)
{
	uint32_t front = net_fragment_header_length(h);
	uint8_t *frame = malloc(front + f->len);
	struct bytes b;

	assert_non_null(frame);
	net_fragment_header_write(h, f, id, frame);
	memcpy(frame + front, l4 + f->off, f->len);
	b = bytes_new(frame, front + f->len);
	free(frame);
	return b;
}

/*
 * Every MTU and length: the pieces are in order, without a gap, within the MTU, in units of 8, and
 * as large as may be.
 */
static void test_pieces_cover_the_datagram_within_the_mtu(void **state)
{
	uint64_t seed = 17;

	for (unsigned round = 0; round < 20000; round++) {
		uint8_t family = round % 2 == 0 ? 4 : 6;
		uint32_t front = family == 4 ? 20 : 48, mtu, l4_len, n = 0, at = 0;
		struct net_fragment f;

		mtu = (family == 4 ? 68 : 1280) + random_below(&seed, round % 3 == 0 ? 9000 : 40);
		l4_len = 8 + random_below(&seed, round % 5 == 0 ? 65500 : 4000);
		while (net_fragment_nth(family, mtu, l4_len, n, &f)) {
			assert_int_equal(f.off, at);
			assert_true(f.len > 0 && front + f.len <= mtu);
			assert_int_equal(f.more, f.off + f.len < l4_len);
			if (f.more) {
				assert_int_equal(f.len % 8, 0);
				assert_true(front + f.len + 8 > mtu);
			}
			at += f.len;
			n++;
		}
		assert_int_equal(at, l4_len);
		for (uint32_t k = n; k < n + 3; k++)
			assert_false(net_fragment_nth(family, mtu, l4_len, k, &f));
	}
}

static void test_a_tiny_mtu_is_raised_and_impossible_lengths_have_no_pieces(void **state)
{
	struct net_fragment f;

	assert_true(net_fragment_nth(4, 0, 1000, 0, &f));
	assert_int_equal(f.len, 48);
	assert_true(net_fragment_nth(6, 68, 5000, 0, &f));
	assert_int_equal(f.len, 1232);
	assert_false(net_fragment_nth(4, 1500, 0, 0, &f));
	assert_false(net_fragment_nth(4, 1500, 65516, 0, &f));
	assert_true(net_fragment_nth(4, 1500, 65515, 0, &f));
	assert_false(net_fragment_nth(6, 1500, 65536, 0, &f));
	assert_true(net_fragment_nth(6, UINT32_MAX, 65535, 1, &f));
	assert_false(net_fragment_nth(6, 1500, 65535, UINT32_MAX, &f));
}

static void test_a_60_kb_invite_is_42_fragments_at_1500(void **state)
{
	struct net_fragment f;
	uint32_t n = 0;

	while (net_fragment_nth(4, 1500, NET_UDP_LEN + 61440, n, &f))
		n++;
	assert_int_equal(n, 42);
}

/*
 * The property: cut for any MTU, shuffled, some pieces doubled, a datagram comes back byte for byte
 * with a good checksum, and each frame is accounted for at every step.
 */
static void test_a_datagram_survives_cut_shuffle_and_doubling(void **state)
{
	const struct net_reassembler_config config = {8, 8, 1 << 20, CLOCK_NS_PER_S};
	struct net_reassembler *r = net_reassembler_create(&config, &key);
	uint64_t seed = 23;

	assert_non_null(r);
	for (unsigned round = 0; round < 600; round++) {
		uint8_t family = round % 2 == 0 ? 4 : 6;
		struct net_header h = header(family);
		uint32_t mtu = (family == 4 ? 68 : 1280) + random_below(&seed, 1500);
		uint32_t len = 100 + random_below(&seed, round % 10 == 0 ? 65400 : 9000);
		uint8_t *l4 = datagram(&h, len, &seed);
		uint32_t order[2600], count = 0;
		struct net_fragment f;
		bool whole = false;

		h.vlan_count = (uint8_t)(round % 3);
		while (net_fragment_nth(family, mtu, NET_UDP_LEN + len, count, &f))
			count++;
		for (uint32_t i = 0; i < count; i++)
			order[i] = i;
		for (uint32_t i = count - 1; i > 0; i--) {
			uint32_t j = random_below(&seed, i + 1), t = order[i];

			order[i] = order[j];
			order[j] = t;
		}
		for (uint32_t i = 0; i < count; i++) {
			struct net_reassembled out;
			struct net_frame frame;
			struct bytes b;
			enum net_reassembly verdict;

			assert_true(net_fragment_nth(family, mtu, NET_UDP_LEN + len, order[i], &f));
			b = fragment_frame(&h, l4, &f, round);
			assert_true(b.len <= mtu + NET_ETHER_LEN + 4U * h.vlan_count);
			/* A datagram of one piece stays one where IPv6 writes its header. */
			if (count == 1) {
				assert_int_equal(
					net_frame_parse(b.p, b.len, true, &frame), NET_UDP);
				bytes_free(&b);
				break;
			}
			assert_int_equal(net_frame_parse(b.p, b.len, true, &frame), NET_FRAGMENT);
			verdict = net_reassemble(r, b.p, &frame, round, &out);
			assert_int_equal(out.evicted, 0);
			if (i + 1 < count) {
				assert_int_equal(verdict, NET_REASSEMBLY_HELD);
				assert_int_equal(out.frames, 0);
				assert_int_equal(net_reassembler_held(r), i + 1);
				if (random_below(&seed, 4) == 0) {
					verdict = net_reassemble(r, b.p, &frame, round, &out);
					assert_int_equal(verdict, NET_REASSEMBLY_DUPLICATE);
					assert_int_equal(out.frames, 1);
					assert_int_equal(net_reassembler_held(r), i + 1);
				}
				bytes_free(&b);
				continue;
			}
			assert_int_equal(verdict, NET_REASSEMBLY_WHOLE);
			assert_int_equal(out.frames, count);
			assert_int_equal(net_reassembler_held(r), 0);
			assert_int_equal(net_packet_parse(out.packet, out.len, &frame), NET_UDP);
			assert_int_equal(frame.payload_len, len);
			assert_memory_equal(out.packet + frame.l4_off, l4, NET_UDP_LEN + len);
			assert_int_equal(net_udp_verify(out.packet, &frame), NET_CHECKSUM_GOOD);
			assert_true(net_endpoint_equal(&frame.src, &h.src));
			assert_int_equal(frame.tos, 0xb8);
			if (family == 4)
				assert_int_equal(net_checksum_fold(net_checksum_add(
							 0, out.packet, NET_IPV4_LEN)),
					0);
			whole = true;
			bytes_free(&b);
		}
		assert_true(whole || count == 1);
		free(l4);
	}
	net_reassembler_destroy(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pieces_cover_the_datagram_within_the_mtu),
		cmocka_unit_test(test_a_tiny_mtu_is_raised_and_impossible_lengths_have_no_pieces),
		cmocka_unit_test(test_a_60_kb_invite_is_42_fragments_at_1500),
		cmocka_unit_test(test_a_datagram_survives_cut_shuffle_and_doubling),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
