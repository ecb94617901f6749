/* SPDX-License-Identifier: BSD-3-Clause */
#include "unit.h"

#include "net/wire.h"

/*
 * RFC 1071 4.1 as it stands there: 16-bit words, one after the other. The result in memory order.
 *
 */
static uint16_t plain(const uint8_t *p, uint32_t len)
{
	uint32_t sum = 0;
	uint16_t out;

	for (uint32_t i = 0; i < len; i++)
		sum += i % 2 == 0 ? (uint32_t)p[i] << 8 : p[i];
	while (sum >> 16 != 0)
		sum = (sum & 0xffff) + (sum >> 16);
	out = (uint16_t)~sum;
	return (uint16_t)(out << 8 | out >> 8);
}

/* In each way that this CPU has. */
static uint16_t ours(const uint8_t *p, uint32_t len)
{
	uint16_t sum;

	assert_true(wire_checksum_select(WIRE_SSE2));
	sum = net_checksum_fold(net_checksum_add(0, p, len));
	if (wire_checksum_select(WIRE_AVX2))
		assert_int_equal(net_checksum_fold(net_checksum_add(0, p, len)), sum);
	if (wire_checksum_select(WIRE_AVX512))
		assert_int_equal(net_checksum_fold(net_checksum_add(0, p, len)), sum);
	return sum;
}

/* RFC 1071 3: 00 01 f2 03 f4 f5 f6 f7 sums to ddf2. */
static void test_the_rfcs_example(void **state)
{
	static const uint8_t data[] = {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};
	uint16_t sum = (uint16_t)~ours(data, sizeof(data));

	assert_memory_equal(&sum, ((uint8_t[]){0xdd, 0xf2}), 2);
}

static void test_every_length_and_alignment_sums_as_word_by_word(void **state)
{
	uint64_t seed = 7;
	uint8_t data[1600];

	for (uint32_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)random_next(&seed);
	for (uint32_t len = 0; len <= 1500; len++) {
		struct bytes b = bytes_new(data + len % 64, len);

		assert_int_equal(ours(b.p, len), plain(b.p, len));
		bytes_free(&b);
	}
}

/* Carries everywhere; and what is not random: all ones, all zeros, 65,535 bytes of each. */
static void test_extreme_bytes_sum_right(void **state)
{
	static const uint8_t values[] = {0, 1, 0x7f, 0x80, 0xfe, 0xff};

	for (unsigned v = 0; v < COUNT(values); v++) {
		uint8_t *data = malloc(65535);

		assert_non_null(data);
		memset(data, values[v], 65535);
		for (uint32_t len = 65500; len <= 65535; len++)
			assert_int_equal(ours(data, len), plain(data, len));
		/* All ones are the other zero: the carry out of the top is not lost. */
		if (values[v] != 0)
			assert_int_equal(
				net_checksum_fold(net_checksum_add(UINT64_MAX, data, 1000)),
				ours(data, 1000));
		free(data);
	}
}

static void test_pieces_sum_as_the_whole(void **state)
{
	uint64_t seed = 9;
	uint8_t data[3000];

	for (uint32_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)random_next(&seed);
	for (unsigned round = 0; round < 2000; round++) {
		uint32_t len = random_below(&seed, sizeof(data)), at = 0;
		uint64_t sum = 0;

		while (at < len) {
			uint32_t n = 2 * (1 + random_below(&seed, 300));

			n = n < len - at ? n : len - at;
			sum = net_checksum_add(sum, data + at, n);
			at += n;
		}
		assert_int_equal(net_checksum_fold(sum), plain(data, len));
	}
}

/* The pseudo header, UDP header and payload as one run of bytes. */
static uint16_t udp_plain(const struct net_header *h, const uint8_t *l4, uint32_t l4_len)
{
	uint8_t *all = calloc(1, 40 + l4_len);
	unsigned n = 0, bytes = h->src.addr.family == 4 ? 4 : 16;
	uint16_t sum;

	assert_non_null(all);
	memcpy(all, h->src.addr.b, bytes);
	memcpy(all + bytes, h->dst.addr.b, bytes);
	n = 2 * bytes;
	all[n + 2] = (uint8_t)(l4_len >> 8);
	all[n + 3] = (uint8_t)l4_len;
	all[n + 7] = 17;
	memcpy(all + n + 8, l4, l4_len);
	all[n + 8 + 6] = all[n + 8 + 7] = 0;
	sum = plain(all, n + 8 + l4_len);
	free(all);
	return sum == 0 ? 0xffff : sum;
}

static struct net_header header(unsigned family, uint64_t *seed)
{
	struct net_header h = {.src.port = 5060, .dst.port = 5061};
	uint8_t b[16];

	for (unsigned i = 0; i < 16; i++)
		b[i] = (uint8_t)(random_next(seed) | 0x20);
	b[0] = 0x20;
	h.src.addr = family == 4 ? net_addr_v4((uint32_t)random_next(seed) | 1) : net_addr_v6(b);
	h.src.addr.b[0] = 0x20;
	b[15] ^= 1;
	h.dst.addr = family == 4 ? net_addr_v4((uint32_t)random_next(seed) | 1) : net_addr_v6(b);
	return h;
}

static void test_udp_sums_are_those_of_the_pseudo_header_and_all(void **state)
{
	uint64_t seed = 3;
	uint8_t frame[2000];

	for (unsigned round = 0; round < 2000; round++) {
		struct net_header h = header(round % 2 == 0 ? 4 : 6, &seed);
		uint32_t front = net_header_length(&h), len = random_below(&seed, 1500);
		struct net_frame f;
		struct bytes b;
		uint16_t sum;

		net_header_write(&h, len, frame);
		for (uint32_t i = 0; i < len; i++)
			frame[front + i] = (uint8_t)random_next(&seed);
		sum = net_udp_checksum(
			&h.src.addr, &h.dst.addr, frame + front - NET_UDP_LEN, NET_UDP_LEN + len);
		assert_int_equal(
			sum, udp_plain(&h, frame + front - NET_UDP_LEN, NET_UDP_LEN + len));
		memcpy(frame + front - 2, &sum, 2);
		b = bytes_new(frame, front + len);
		assert_int_equal(net_frame_parse(b.p, b.len, true, &f), NET_UDP);
		assert_int_equal(net_udp_verify(b.p, &f), NET_CHECKSUM_GOOD);
		/* One bit anywhere behind the addresses is seen. */
		uint32_t bit = random_below(&seed, (NET_UDP_LEN + len) * 8);

		if (bit / 8 < 4 || bit / 8 >= 8) {
			b.p[front - NET_UDP_LEN + bit / 8] ^= (uint8_t)(1 << bit % 8);
			assert_int_equal(net_udp_verify(b.p, &f), NET_CHECKSUM_BAD);
		}
		bytes_free(&b);
	}
}

/* RFC 768: 0 says "none", so a sum of 0 is sent as all ones, and verifies. */
static void test_a_sum_of_zero_is_sent_as_all_ones(void **state)
{
	unsigned zeros = 0;

	for (uint32_t word = 0; word < 65536; word++) {
		uint8_t l4[10] = {
			0x13, 0xc4, 0x13, 0xc5, 0, 10, 0, 0, (uint8_t)(word >> 8), (uint8_t)word};
		struct net_addr a = net_addr_v4(1), b = net_addr_v4(2);
		struct net_frame f = {.family = 4, .payload_len = 2, .src.addr = a, .dst.addr = b};
		uint16_t sum = net_udp_checksum(&a, &b, l4, sizeof(l4));

		assert_int_not_equal(sum, 0);
		zeros += sum == 0xffff;
		memcpy(l4 + 6, &sum, 2);
		assert_int_equal(net_udp_verify(l4, &f), NET_CHECKSUM_GOOD);
	}
	assert_int_equal(zeros, 1);
}

static void test_none_pseudo_and_bad_are_told_apart(void **state)
{
	uint64_t seed = 5;

	for (unsigned family = 4; family <= 6; family += 2) {
		struct net_header h = header(family, &seed);
		uint8_t frame[100] = {0};
		uint32_t front = net_header_length(&h);
		struct net_frame f;
		uint16_t sum = net_udp_pseudo_checksum(&h.src.addr, &h.dst.addr, NET_UDP_LEN + 9);

		net_header_write(&h, 9, frame);
		memcpy(frame + front, "123456789", 9);
		memcpy(frame + front - 2, &sum, 2);
		assert_int_equal(net_frame_parse(frame, front + 9, true, &f), NET_UDP);
		assert_int_equal(net_udp_verify(frame, &f), NET_CHECKSUM_PSEUDO);
		/*
		 * What a NIC does with it: complement the sum over the datagram with the field as
		 * it is.
		 */
		sum = net_checksum_fold(net_checksum_add(0, frame + f.l4_off, NET_UDP_LEN + 9));
		assert_int_equal(sum, net_udp_checksum(&h.src.addr, &h.dst.addr, frame + f.l4_off,
					      NET_UDP_LEN + 9));
		frame[front - 1] ^= 1;
		assert_int_equal(net_udp_verify(frame, &f), NET_CHECKSUM_BAD);
		frame[front - 1] = frame[front - 2] = 0;
		assert_int_equal(net_udp_verify(frame, &f),
			family == 4 ? NET_CHECKSUM_NONE : NET_CHECKSUM_BAD);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_rfcs_example),
		cmocka_unit_test(test_every_length_and_alignment_sums_as_word_by_word),
		cmocka_unit_test(test_extreme_bytes_sum_right),
		cmocka_unit_test(test_pieces_sum_as_the_whole),
		cmocka_unit_test(test_udp_sums_are_those_of_the_pseudo_header_and_all),
		cmocka_unit_test(test_a_sum_of_zero_is_sent_as_all_ones),
		cmocka_unit_test(test_none_pseudo_and_bad_are_told_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
