/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The line ends of a message whose head is printable ASCII and CRLF, as nearly all are, for the
 * instruction set of the file that includes it (see isa.h). One look at each block finds the bytes
 * that are not printable; each run of them has to begin with a line's CRLF, and a run of more than
 * two bytes has to be the blank line. Whatever else, a folded line too, is for scan_block.h.
 */

/* Blocks overlap by two bytes, so that a run which began in the block before is known as such. */
#define PLAIN_OVERLAP 2

/* Most line ends: of the start line and as many header lines as there may be. */
#define PLAIN_LINES (SIP_MSG_HEADERS_MAX + 1)

/* Notes the LFs of the block at `at` in out, which has room for more than there are; `cr` are the
 * bits of their CRs. Returns how many. */
static inline uint32_t note_lines(uint32_t *out, uint32_t at, uint64_t cr)
{
	uint32_t count = (uint32_t)__builtin_popcountll(cr);

	/* Most blocks hold fewer than four line ends: no branch depends on how many. What is
	 * written for one that is not there lies past the count. */
	for (unsigned i = 0; i < 3; i++) {
		out[i] = at + 1 + first_bit(cr);
		cr &= cr - 1;
	}
	if (__builtin_expect(count > 3, 0)) {
		for (unsigned i = 3; i < count; i++) {
			out[i] = at + 1 + first_bit(cr);
			cr &= cr - 1;
		}
	}
	return count;
}

/* The line ends of a message, without the blank line's. */
struct plain {
	uint32_t count;
	uint32_t blank; /* offset of the blank line's LF */
	/* Room for what a step writes ahead of its count. */
	uint32_t lf[PLAIN_LINES + SIP_SCAN_BLOCK];
};

/*
 * Finds those of buf[start, len), which has SIP_SCAN_BLOCK bytes at least. False where the message
 * is not such a one. That a line ends with CR and LF is not yet known but of the last one: who goes
 * over the lines has to look.
 */
static inline bool plain_lines(struct plain *out, const char *buf, uint32_t start, uint32_t len)
{
	const uint64_t last = len - SIP_SCAN_BLOCK;
	uint32_t *lf = out->lf, *const full = out->lf + PLAIN_LINES;
	uint64_t odd, pairs, fresh = UINT64_MAX, at = start;
	uint32_t blank;

	for (;;) {
		if (__builtin_expect(at > last, 0)) {
			odd = text64_unprintable(text64_at(buf + last)) >> (at - last);
			pairs = odd & odd << 2 & fresh;
			if (pairs == 0)
				return false;
			break;
		}
		odd = text64_unprintable(text64_at(buf + at));
		pairs = odd & odd << 2 & fresh;
		if (__builtin_expect(pairs != 0, 0))
			break;
		lf += note_lines(lf, (uint32_t)at, odd & ~(odd << 1) & fresh);
		if (__builtin_expect(lf > full, 0))
			return false;
		fresh = ~bits_below(PLAIN_OVERLAP);
		at += SIP_SCAN_BLOCK - PLAIN_OVERLAP;
	}
	/* The first pair are the two CRs or the two LFs around it. */
	blank = (uint32_t)(at + first_bit(pairs)) - 2;
	if (blank + 4 > len || memcmp(buf + blank, "\r\n\r\n", 4) != 0)
		return false;
	lf += note_lines(
		lf, (uint32_t)at, odd & ~(odd << 1) & fresh & bits_below(blank + 1 - (uint32_t)at));
	out->count = (uint32_t)(lf - out->lf);
	out->blank = blank + 3;
	return out->count <= PLAIN_LINES;
}
