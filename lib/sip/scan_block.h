/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The scanner's loop over 64-byte blocks. The file that includes it has defined block_masks(),
 * which yields for 64 bytes at p the LFs and the odd bytes (see scan.h) and may read p[-1], the
 * name SCAN of the function to make, and SCAN_LEAVE(), what it does at its end. (gcc 12 leaves
 * vzeroupper out on the path by the blank line: 120 ns a message.)
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

/* The last bytes of the buffer, fewer than a block: by a block that overlaps what was seen, if
 * there is room. */
static inline void tail_masks(const struct sip_scan *scan, uint32_t at, uint64_t *lf, uint64_t *odd)
{
	uint32_t rest = scan->len - at;

	if (scan->len - scan->start > SIP_SCAN_BLOCK) {
		block_masks(scan->buf + scan->len - SIP_SCAN_BLOCK, lf, odd);
		*lf >>= SIP_SCAN_BLOCK - rest;
		*odd >>= SIP_SCAN_BLOCK - rest;
	} else {
		short_masks(scan->buf + at, rest, lf, odd);
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

/* The guard bit keeps ctz defined once all bits are gone; what it then yields is written past the
 * count. */
#define GUARD (1ULL << 63)

/* Notes the LFs of the block at `at` in out, which has room for more than there are; returns how
 * many. */
static inline uint32_t note_lines(uint32_t *out, uint32_t at, uint64_t lf)
{
	uint32_t count = (uint32_t)__builtin_popcountll(lf);

	/* Most blocks hold fewer than four line ends: no branch depends on how many. */
	for (unsigned i = 0; i < 3; i++) {
		out[i] = at + (uint32_t)__builtin_ctzll(lf | GUARD);
		lf &= lf - 1;
	}
	if (__builtin_expect(count > 3, 0)) {
		for (unsigned i = 3; i < count; i++) {
			out[i] = at + (uint32_t)__builtin_ctzll(lf);
			lf &= lf - 1;
		}
	}
	return count;
}

/* The last block, of fewer bytes than a whole one, and any in which the blank line may be. */
static __attribute__((noinline)) uint64_t special_block(
	struct sip_scan *scan, uint32_t at, uint64_t before, uint64_t lf, uint64_t odd)
{
	int blank = find_blank(scan, at, lf & (lf << 2 | before));

	if (blank >= 0) {
		scan->blank = at + (uint32_t)blank;
		lf &= (1ULL << blank) - 1;
		odd &= (2ULL << blank) - 1;
	}
	scan->odd |= odd != 0;
	return lf;
}

void SCAN(struct sip_scan *scan)
{
	const char *buf = scan->buf;
	uint64_t before = scan->before, odd_all = 0;
	uint32_t at = scan->at, count = 0;
	const uint32_t len = scan->len;

	while (count < SIP_SCAN_ROOM && at < len) {
		uint64_t lf, odd;

		if (__builtin_expect(len - at >= SIP_SCAN_BLOCK, 1))
			block_masks(buf + at, &lf, &odd);
		else
			tail_masks(scan, at, &lf, &odd);
		if (__builtin_expect((lf & (lf << 2 | before)) != 0, 0)) {
			uint64_t all = lf;

			lf = special_block(scan, at, before, lf, odd);
			if (scan->blank != 0) {
				count += note_lines(scan->lf + count, at, lf);
				break;
			}
			lf = all;
		}
		odd_all |= odd;
		count += note_lines(scan->lf + count, at, lf);
		before = lf >> 62;
		at += SIP_SCAN_BLOCK;
	}
	scan->at = at < len ? at : len;
	scan->count = count;
	scan->before = before;
	scan->odd |= odd_all != 0;
	SCAN_LEAVE();
}
