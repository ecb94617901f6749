/* SPDX-License-Identifier: BSD-3-Clause */
#include "net/wire.h"

#include <immintrin.h>

/* One's complement addition: what overflows comes back at the bottom (RFC 1071 2 (A)). */
static inline uint64_t add_around(uint64_t sum, uint64_t v)
{
	sum += v;
	return sum + (sum < v);
}

/*
 * Blocks of 32 bytes as 16-bit words, which multiply-and-add takes as signed: each is made 0x8000
 * less than it is, and what that makes is added at the end. AVX2 where
 * the CPU has it takes half the instructions of SSE2.
 */
#define BLOCK 32
#define SUM_BLOCKS_MAX 2048 /* 64 kB, whose sum fits 32 bits */
#define BLOCK_BIAS (BLOCK / 2 * 0x8000ULL)

static inline uint64_t unbias(__m128i sums, uint32_t blocks)
{
	sums = _mm_add_epi32(sums, _mm_shuffle_epi32(sums, 0x4e));
	sums = _mm_add_epi32(sums, _mm_shuffle_epi32(sums, 0xb1));
	return blocks * BLOCK_BIAS + (uint64_t)(int64_t)_mm_cvtsi128_si32(sums);
}

static uint64_t sum_blocks_sse2(const uint8_t *p, uint32_t blocks)
{
	const __m128i flip = _mm_set1_epi16(INT16_MIN), one = _mm_set1_epi16(1);
	__m128i a = _mm_setzero_si128(), b = a;

	for (uint32_t i = 0; i < blocks; i++, p += BLOCK) {
		__m128i v0 = _mm_xor_si128(_mm_loadu_si128((const __m128i *)p), flip);
		__m128i v1 = _mm_xor_si128(_mm_loadu_si128((const __m128i *)(p + 16)), flip);

		a = _mm_add_epi32(a, _mm_madd_epi16(v0, one));
		b = _mm_add_epi32(b, _mm_madd_epi16(v1, one));
	}
	return unbias(_mm_add_epi32(a, b), blocks);
}

__attribute__((target("avx2"))) static uint64_t sum_blocks_avx2(const uint8_t *p, uint32_t blocks)
{
	const __m256i flip = _mm256_set1_epi16(INT16_MIN), one = _mm256_set1_epi16(1);
	__m256i a = _mm256_setzero_si256(), b = a;
	uint32_t i = 0;

	for (; i + 1 < blocks; i += 2, p += 2 * BLOCK) {
		__m256i v0 = _mm256_xor_si256(_mm256_loadu_si256((const __m256i *)p), flip);
		__m256i v1 =
			_mm256_xor_si256(_mm256_loadu_si256((const __m256i *)(p + BLOCK)), flip);

		a = _mm256_add_epi32(a, _mm256_madd_epi16(v0, one));
		b = _mm256_add_epi32(b, _mm256_madd_epi16(v1, one));
	}
	if (i < blocks) {
		__m256i v = _mm256_xor_si256(_mm256_loadu_si256((const __m256i *)p), flip);

		a = _mm256_add_epi32(a, _mm256_madd_epi16(v, one));
	}
	a = _mm256_add_epi32(a, b);
	return unbias(
		_mm_add_epi32(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1)), blocks);
}

static uint64_t (*sum_blocks)(const uint8_t *p, uint32_t blocks) = sum_blocks_sse2;

bool wire_checksum_select(bool avx2)
{
	__builtin_cpu_init();
	if (avx2 && !__builtin_cpu_supports("avx2"))
		return false;
	sum_blocks = avx2 ? sum_blocks_avx2 : sum_blocks_sse2;
	return true;
}

/* Before main(). */
__attribute__((constructor)) static void pick_sum(void)
{
	wire_checksum_select(true);
}

/* The last 1 to 7 bytes, with zeros behind them. */
static inline uint64_t tail(const uint8_t *p, uint32_t len)
{
	uint64_t word = 0;
	uint16_t half;
	uint32_t quarter;

	if ((len & 1) != 0)
		word = p[len - 1];
	if ((len & 2) != 0) {
		memcpy(&half, p + (len & 4), 2);
		word = word << 16 | half;
	}
	if ((len & 4) != 0) {
		memcpy(&quarter, p, 4);
		word = word << 32 | quarter;
	}
	return word;
}

uint64_t net_checksum_add(uint64_t sum, const void *data, uint32_t len)
{
	const uint8_t *p = data;
	uint64_t word;

	for (; len >= BLOCK;) {
		/* So many that no lane of the sum overflows. */
		uint32_t blocks = len / BLOCK < SUM_BLOCKS_MAX ? len / BLOCK : SUM_BLOCKS_MAX;

		sum = add_around(sum, sum_blocks(p, blocks));
		p += blocks * BLOCK;
		len -= blocks * BLOCK;
	}
	for (; len >= 8; len -= 8, p += 8) {
		memcpy(&word, p, 8);
		sum = add_around(sum, word);
	}
	if (len == 0)
		return sum;
	return add_around(sum, tail(p, len));
}

/* The 16-bit one's complement sum, not complemented. */
static inline uint16_t fold(uint64_t sum)
{
	sum = (sum >> 32) + (sum & 0xffffffff);
	sum = (sum >> 16) + (sum & 0xffff);
	sum = (sum >> 16) + (sum & 0xffff);
	sum = (sum >> 16) + (sum & 0xffff);
	return (uint16_t)sum;
}

uint16_t net_checksum_fold(uint64_t sum)
{
	return (uint16_t)~fold(sum);
}

/* RFC 768, RFC 8200 8.1: addresses, protocol and length, in memory order. */
static inline uint64_t pseudo_sum(
	const struct net_addr *src, const struct net_addr *dst, uint32_t l4_len)
{
	uint64_t sum = (uint64_t)htobe32(l4_len) + htobe16(WIRE_UDP);

	if (src->family == 4)
		return sum + src->v4 + dst->v4;
	sum = add_around(add_around(sum, src->q[0]), src->q[1]);
	return add_around(add_around(sum, dst->q[0]), dst->q[1]);
}

uint16_t net_udp_pseudo_checksum(
	const struct net_addr *src, const struct net_addr *dst, uint32_t l4_len)
{
	return fold(pseudo_sum(src, dst, l4_len));
}

uint16_t net_udp_checksum(
	const struct net_addr *src, const struct net_addr *dst, const uint8_t *l4, uint32_t l4_len)
{
	uint64_t sum = pseudo_sum(src, dst, l4_len);
	uint16_t result;

	/* The field itself counts as 0. */
	sum = net_checksum_add(sum, l4, NET_UDP_LEN - 2);
	sum = net_checksum_add(sum, l4 + NET_UDP_LEN, l4_len - NET_UDP_LEN);
	result = net_checksum_fold(sum);
	return result != 0 ? result : 0xffff;
}

enum net_checksum net_udp_verify(const uint8_t *data, const struct net_frame *frame)
{
	const uint8_t *l4 = data + frame->l4_off;
	uint32_t len = NET_UDP_LEN + frame->payload_len;
	const struct net_addr *src = &frame->src.addr, *dst = &frame->dst.addr;
	uint64_t sum;
	uint16_t field;

	memcpy(&field, l4 + 6, 2);
	if (field == 0)
		return frame->family == 4 ? NET_CHECKSUM_NONE : NET_CHECKSUM_BAD;
	sum = net_checksum_add(pseudo_sum(src, dst, len), l4, len);
	if (net_checksum_fold(sum) == 0)
		return NET_CHECKSUM_GOOD;
	return field == net_udp_pseudo_checksum(src, dst, len) ? NET_CHECKSUM_PSEUDO
							       : NET_CHECKSUM_BAD;
}
