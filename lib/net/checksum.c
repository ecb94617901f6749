/* SPDX-License-Identifier: BSD-3-Clause */
#include "net/wire.h"

#include <immintrin.h>

/* The 16-bit one's complement sum, not complemented. */
__attribute__((always_inline)) static inline uint16_t fold(uint64_t sum)
{
	uint32_t half = (uint32_t)sum, word;

	half += (uint32_t)(sum >> 32);
	half += half < (uint32_t)sum;
	word = (half >> 16) + (half & 0xffff);
	return (uint16_t)(word + (word >> 16));
}

/*
 * Vectors as 16-bit words, which multiply-and-add takes as signed: each is made 0x8000 less than it
 * is, and what that makes is added at the end. What is left behind the last whole vector is loaded
 * with zeros in place of what is not the data's: AVX-512 can, AVX2 takes the last whole vector once
 * more without what has been summed already.
 */
#define RUN_MAX 65536U /* bytes whose sum fits the 32 bits of a lane */
#define SHORT 32U      /* fewer are not worth a vector */
#define BIAS(bytes) ((uint64_t)(bytes) / 2 * 0x8000)

__attribute__((always_inline)) static inline uint64_t unbias(__m128i sums, uint32_t bytes)
{
	sums = _mm_add_epi32(sums, _mm_shuffle_epi32(sums, 0x4e));
	sums = _mm_add_epi32(sums, _mm_shuffle_epi32(sums, 0xb1));
	return BIAS(bytes) + (uint64_t)(int64_t)_mm_cvtsi128_si32(sums);
}

/* Up to 31 bytes, the last of them with a zero behind it. Seldom: keep-alives, IP headers. */
__attribute__((noinline)) static uint64_t sum_short(const uint8_t *p, uint32_t len)
{
	uint64_t sum = 0, word;
	uint32_t quarter;
	uint16_t half;

	for (; len >= 8; len -= 8, p += 8) {
		memcpy(&word, p, 8);
		sum += (word >> 32) + (uint32_t)word;
	}
	if ((len & 4) != 0) {
		memcpy(&quarter, p, 4);
		sum += quarter;
		p += 4;
	}
	if ((len & 2) != 0) {
		memcpy(&half, p, 2);
		sum += half;
		p += 2;
	}
	return (len & 1) != 0 ? sum + *p : sum;
}

static uint16_t folded_short(uint64_t sum, const uint8_t *p, uint32_t len)
{
	return fold(net_checksum_carry(sum, sum_short(p, len)));
}

static inline uint64_t sum_run_sse2(const uint8_t *p, uint32_t len)
{
	const __m128i flip = _mm_set1_epi16(INT16_MIN), one = _mm_set1_epi16(1);
	__m128i a = _mm_setzero_si128(), b = a;
	uint32_t whole = len & ~31U;

	for (uint32_t i = 0; i < whole; i += 32) {
		__m128i v0 = _mm_xor_si128(_mm_loadu_si128((const __m128i *)(p + i)), flip);
		__m128i v1 = _mm_xor_si128(_mm_loadu_si128((const __m128i *)(p + i + 16)), flip);

		a = _mm_add_epi32(a, _mm_madd_epi16(v0, one));
		b = _mm_add_epi32(b, _mm_madd_epi16(v1, one));
	}
	return unbias(_mm_add_epi32(a, b), whole) + sum_short(p + whole, len - whole);
}

/* Tuned for a CPU that has it: for older ones a load of 32 bytes becomes two. */
#define AVX2 __attribute__((target("avx2,tune=haswell")))

/* Two constants that stay in their registers: the compiler would make them anew for each loop. */
struct constants256 {
	__m256i flip, one;
};

AVX2 static inline struct constants256 constants256(void)
{
	struct constants256 k;

	k.one = _mm256_set1_epi16(-1);
	__asm__("" : "+x"(k.one));
	k.flip = _mm256_slli_epi16(k.one, 15);
	k.one = _mm256_srli_epi16(k.one, 15);
	return k;
}

AVX2 static inline __m256i load256(const uint8_t *p)
{
	return _mm256_loadu_si256((const __m256i *)p);
}

AVX2 static inline __m256i pairs256(const struct constants256 *k, __m256i v)
{
	return _mm256_madd_epi16(_mm256_xor_si256(v, k->flip), k->one);
}

AVX2 static inline uint64_t sum_run_avx2(const uint8_t *p, uint32_t len)
{
	/* From `rest` on: so many bytes at the end that are still to be summed. */
	static const uint8_t last[64] = {[32 ... 63] = 0xff};
	const struct constants256 k = constants256();
	uint32_t odd = len & 1, rest = len & 30;
	const uint8_t *end = p + len, *end32 = p + (len & ~31U), *end128 = p + (len & ~127U);
	uint64_t unpaired = end[-1] & -odd;
	__m256i a, b;

	/* Words begin at even places: a last byte without a fellow is summed apart. */
	a = pairs256(&k, _mm256_and_si256(load256(end - odd - 32), load256(last + rest)));
	for (; p != end128; p += 128) {
		b = _mm256_add_epi32(pairs256(&k, load256(p + 32)), pairs256(&k, load256(p + 64)));
		a = _mm256_add_epi32(a, pairs256(&k, load256(p)));
		b = _mm256_add_epi32(b, pairs256(&k, load256(p + 96)));
		a = _mm256_add_epi32(a, b);
	}
	for (; p != end32; p += 32)
		a = _mm256_add_epi32(a, pairs256(&k, load256(p)));
	return unbias(_mm_add_epi32(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1)),
		       (len & ~31U) + 32) +
	       unpaired;
}

#define AVX512 __attribute__((target("avx512f,avx512bw,avx512vl,bmi2,tune=skylake-avx512")))

AVX512 static inline __m512i pairs512(__m512i v)
{
	return _mm512_madd_epi16(
		_mm512_xor_si512(v, _mm512_set1_epi16(INT16_MIN)), _mm512_set1_epi16(1));
}

AVX512 static inline uint64_t sum_run_avx512(const uint8_t *p, uint32_t len)
{
	const uint8_t *end64 = p + (len & ~63U), *end128 = p + (len & ~127U);
	__m512i a = pairs512(_mm512_maskz_loadu_epi8(_bzhi_u64(UINT64_MAX, len & 63), end64));
	__m512i b = _mm512_setzero_si512();
	__m256i half;

	for (; p != end128; p += 128) {
		a = _mm512_add_epi32(a, pairs512(_mm512_loadu_si512(p)));
		b = _mm512_add_epi32(b, pairs512(_mm512_loadu_si512(p + 64)));
	}
	if (p != end64)
		b = _mm512_add_epi32(b, pairs512(_mm512_loadu_si512(p)));
	a = _mm512_add_epi32(a, b);
	half = _mm256_add_epi32(_mm512_castsi512_si256(a), _mm512_extracti64x4_epi64(a, 1));
	return unbias(
		_mm_add_epi32(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1)),
		(len & ~63U) + 64);
}

/* Up to RUN_MAX bytes on top of a sum, folded. */
#define FOLDED(name) \
	static uint16_t folded_##name(uint64_t sum, const uint8_t *p, uint32_t len) \
	{ \
		if (len < SHORT) \
			return folded_short(sum, p, len); \
		return fold(net_checksum_carry(sum, sum_run_##name(p, len))); \
	}
FOLDED(sse2)
AVX2 FOLDED(avx2)
AVX512 FOLDED(avx512)

	uint16_t (*net_checksum_folded)(uint64_t sum, const uint8_t *p, uint32_t len) = folded_sse2;

bool wire_checksum_select(enum wire_vector with)
{
	__builtin_cpu_init();
	if (with == WIRE_AVX512 && __builtin_cpu_supports("avx512bw") &&
		__builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("bmi2"))
		net_checksum_folded = folded_avx512;
	else if (with == WIRE_AVX2 && __builtin_cpu_supports("avx2"))
		net_checksum_folded = folded_avx2;
	else if (with == WIRE_SSE2)
		net_checksum_folded = folded_sse2;
	else
		return false;
	return true;
}

/* Before main(). */
__attribute__((constructor)) static void pick_sum(void)
{
	if (!wire_checksum_select(WIRE_AVX512))
		wire_checksum_select(WIRE_AVX2);
}

uint64_t net_checksum_add(uint64_t sum, const void *data, uint32_t len)
{
	const uint8_t *p = data;

	for (; len > RUN_MAX; len -= RUN_MAX, p += RUN_MAX)
		sum = net_checksum_folded(sum, p, RUN_MAX);
	return net_checksum_folded(sum, p, len);
}

uint16_t net_checksum_fold(uint64_t sum)
{
	return (uint16_t)~fold(sum);
}

uint64_t wire_pseudo_sum(const struct net_addr *src, const struct net_addr *dst)
{
	return net_checksum_pseudo(src, dst, 0);
}

uint16_t net_udp_pseudo_checksum(
	const struct net_addr *src, const struct net_addr *dst, uint32_t l4_len)
{
	return fold(net_checksum_pseudo(src, dst, l4_len));
}

uint16_t net_udp_checksum(
	const struct net_addr *src, const struct net_addr *dst, const uint8_t *l4, uint32_t l4_len)
{
	return net_checksum_of_udp(net_checksum_pseudo(src, dst, l4_len), l4, l4_len);
}

enum net_checksum net_datagram_verify(
	const struct net_addr *src, const struct net_addr *dst, const uint8_t *l4, uint32_t l4_len)
{
	uint16_t field;

	memcpy(&field, l4 + 6, 2);
	if (field == 0)
		return src->family == 4 ? NET_CHECKSUM_NONE : NET_CHECKSUM_BAD;
	if (net_datagram_holds(src, dst, l4, l4_len))
		return NET_CHECKSUM_GOOD;
	return field == net_udp_pseudo_checksum(src, dst, l4_len) ? NET_CHECKSUM_PSEUDO
								  : NET_CHECKSUM_BAD;
}

enum net_checksum net_udp_verify(const uint8_t *data, const struct net_frame *frame)
{
	return net_datagram_verify(&frame->src.addr, &frame->dst.addr, data + frame->l4_off,
		NET_UDP_LEN + frame->payload_len);
}
