/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The scanner's loop over 64-byte blocks. The file that includes it has defined block_masks(), which yields for 64
 * bytes at p the LFs and the odd bytes (see scan.h) and may read p[-1], and the name SCAN of the function to make.
 */
#include "sip/scan.h"

/* The same as block_masks() for fewer bytes, of a message too short for a whole block. */
static void short_masks(const char *p, uint32_t bytes, uint64_t *lf, uint64_t *odd)
{
	uint64_t line = 0, strange = 0;

	for (uint32_t i = 0; i < bytes; i++) {
		bool is_lf = p[i] == '\n';

		line |= (uint64_t)is_lf << i;
		strange |= (uint64_t)(is_lf != (p[(int64_t)i - 1] == '\r') || p[i] == 0) << i;
	}
	*lf = line;
	*odd = strange;
}

/* The last bytes of the buffer, fewer than a block: by a block that overlaps what was seen, if there is room. */
static inline void tail_masks(const struct sip_scan *scan, uint64_t *lf, uint64_t *odd)
{
	uint32_t rest = scan->len - scan->at;

	if (scan->len - scan->start > SIP_SCAN_BLOCK) {
		block_masks(scan->buf + scan->len - SIP_SCAN_BLOCK, lf, odd);
		*lf >>= SIP_SCAN_BLOCK - rest;
		*odd >>= SIP_SCAN_BLOCK - rest;
	} else {
		short_masks(scan->buf + scan->at, rest, lf, odd);
	}
}

/* Of LFs that follow another at a distance of two: the first that ends CR LF CR LF, or -1. */
static inline int find_blank(const struct sip_scan *scan, uint32_t at, uint64_t candidates)
{
	for (; candidates != 0; candidates &= candidates - 1) {
		int bit = __builtin_ctzll(candidates);
		const char *p = scan->buf + at + bit;

		if (at + (uint32_t)bit >= scan->start + 3 && p[-1] == '\r' && p[-3] == '\r')
			return bit;
	}
	return -1;
}

/* The guard bit keeps ctz defined once all bits are gone; what it then yields is written past the count. */
#define GUARD (1ULL << 63)

static inline void note_lines(struct sip_scan *scan, uint64_t lf)
{
	uint32_t *out = scan->lf + scan->count;
	unsigned count = (unsigned)__builtin_popcountll(lf);

	scan->count += count;
	/* Most blocks hold fewer than five line ends: no branch depends on how many. */
	for (unsigned i = 0; i < 4; i++) {
		*out++ = scan->at + (uint32_t)__builtin_ctzll(lf | GUARD);
		lf &= lf - 1;
	}
	if (__builtin_expect(count > 4, 0)) {
		for (unsigned i = 4; i < count; i++) {
			*out++ = scan->at + (uint32_t)__builtin_ctzll(lf);
			lf &= lf - 1;
		}
	}
}

void SCAN(struct sip_scan *scan)
{
	uint64_t before = scan->before, odd_all = 0;

	scan->count = 0;
	while (scan->count < SIP_SCAN_ROOM && scan->at < scan->len) {
		uint32_t rest = scan->len - scan->at;
		uint32_t step = rest < SIP_SCAN_BLOCK ? rest : SIP_SCAN_BLOCK;
		uint64_t lf, odd;

		if (__builtin_expect(step == SIP_SCAN_BLOCK, 1))
			block_masks(scan->buf + scan->at, &lf, &odd);
		else
			tail_masks(scan, &lf, &odd);

		uint64_t candidates = lf & (lf << 2 | before);
		int blank = candidates != 0 ? find_blank(scan, scan->at, candidates) : -1;

		if (blank >= 0) {
			scan->blank = scan->at + (uint32_t)blank;
			lf &= (1ULL << blank) - 1;
			odd &= (2ULL << blank) - 1;
		}
		odd_all |= odd;
		note_lines(scan, lf);
		scan->at += step;
		if (blank >= 0)
			break;
		before = lf >> 62;
	}
	scan->before = before;
	scan->odd |= odd_all != 0;
}
