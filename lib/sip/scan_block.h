/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The scanner's loop over 64-byte blocks, for the instruction set of the file that includes it (see
 * isa.h).
 */

/* What a block's bytes are, a bit each. */
struct scan_bits {
	uint64_t lf, cr;
	uint64_t plain; /* LF, CR or printable ASCII */
};

static inline struct scan_bits block_bits(const char *p)
{
	struct text64 text = text64_at(p);
	struct scan_bits bits = {.lf = text64_is(text, '\n'), .cr = text64_is(text, '\r')};

	bits.plain = text64_printable(text) | bits.lf | bits.cr;
	return bits;
}

/*
 * The last bytes of the buffer, fewer than a block: by a block that overlaps what was seen, or one
 * by one where the whole message is not as long.
 */
static struct scan_bits tail_bits(const struct sip_scan *scan, uint32_t at)
{
	uint32_t rest = scan->len - at;
	char copy[SIP_SCAN_BLOCK] = {0};
	struct scan_bits bits;

	if (scan->len < SIP_SCAN_BLOCK) {
		memcpy(copy, scan->buf + at, rest);
		bits = block_bits(copy);
	} else {
		bits = block_bits(scan->buf + scan->len - SIP_SCAN_BLOCK);
		bits.lf >>= SIP_SCAN_BLOCK - rest;
		bits.cr >>= SIP_SCAN_BLOCK - rest;
		bits.plain >>= SIP_SCAN_BLOCK - rest;
	}
	bits.plain |= ~bits_below(rest);
	/* A CR that is the last byte has no byte behind it that should be an LF. */
	bits.cr &= ~(1ULL << (rest - 1));
	return bits;
}

/* What [from, to), which is not plain, holds. */
static __attribute__((noinline)) void look_closer(struct sip_scan *scan, uint32_t from, uint32_t to)
{
	uint64_t nul = 0, control = 0;

	for (uint32_t at = from; at < to; at += SIP_SCAN_BLOCK) {
		uint32_t rest = to - at < SIP_SCAN_BLOCK ? to - at : SIP_SCAN_BLOCK;
		char copy[SIP_SCAN_BLOCK] = {0};
		struct text64 text;

		if (scan->len - at >= SIP_SCAN_BLOCK) {
			text = text64_at(scan->buf + at);
		} else {
			memcpy(copy, scan->buf + at, rest);
			text = text64_at(copy);
		}
		nul |= text64_is(text, 0) & bits_below(rest);
		control |= text64_below_space(text) & bits_below(rest) &
			   ~(text64_is(text, '\t') | text64_is(text, '\r') | text64_is(text, '\n'));
	}
	scan->plain = false;
	scan->odd |= nul != 0;
	scan->control |= control != 0;
}

/* Of LFs that follow another at a distance of two: the first that ends CR LF CR LF, or -1. */
static int find_blank(const struct sip_scan *scan, uint32_t at, uint64_t candidates)
{
	for (; candidates != 0; candidates &= candidates - 1) {
		int bit = __builtin_ctzll(candidates);
		const char *p = scan->buf + at + bit;

		if (at + (uint32_t)bit >= scan->start + 3 && p[-1] == '\r' && p[-3] == '\r')
			return bit;
	}
	return -1;
}

/* LFs of a block that follow another at a distance of two. */
static inline uint64_t line_pairs(uint64_t lf, uint64_t before_lf)
{
	return lf & (lf << 2 | before_lf);
}

/*
 * A block in which the blank line may be, or the last bytes of the buffer: as one step of the loop
 * below, from and to what `scan` holds. *odd and *plain are gathered over all blocks.
 */
static __attribute__((noinline)) void take_special(
	struct sip_scan *scan, uint64_t *odd, uint64_t *plain)
{
	uint32_t at = scan->at, rest = scan->len - at;
	struct scan_bits bits =
		rest < SIP_SCAN_BLOCK ? tail_bits(scan, at) : block_bits(scan->buf + at);
	int blank = find_blank(scan, at, line_pairs(bits.lf, scan->before_lf));
	/* What follows the blank line is the body's, and its own LF is no line's end. */
	uint64_t seen = blank >= 0 ? bits_below((uint32_t)blank + 1) : UINT64_MAX;
	uint64_t lines = blank >= 0 ? bits.lf & seen >> 1 : bits.lf;

	if (blank >= 0)
		scan->blank = at + (uint32_t)blank;
	*odd |= (bits.lf ^ (bits.cr << 1 | scan->before_cr)) & seen;
	*plain &= bits.plain | ~seen;
	scan->count += note_lines(scan->lf + scan->count, at - 1, lines);
	scan->before_lf = bits.lf >> 62;
	scan->before_cr = bits.cr >> 63;
	scan->at = at + (rest < SIP_SCAN_BLOCK ? rest : SIP_SCAN_BLOCK);
}

static void ISA(scan)(struct sip_scan *scan)
{
	const char *const buf = scan->buf;
	const uint32_t from = scan->at, len = scan->len;
	uint64_t odd = 0, plain = UINT64_MAX;

	scan->count = 0;
	do {
		uint64_t before_lf = scan->before_lf, before_cr = scan->before_cr;
		uint32_t at = scan->at, *out = scan->lf + scan->count;
		uint32_t *const full = scan->lf + SIP_SCAN_ROOM;
		/* No more blocks than there is room for three lines of each. */
		uint32_t blocks = (SIP_SCAN_ROOM - scan->count) / 3, whole = (len - at) / 64;

		/* No call is in this loop, so that what does not change stays in registers. */
		for (blocks = whole < blocks ? whole : blocks; blocks > 0; blocks--) {
			struct scan_bits bits = block_bits(buf + at);
			uint32_t lines;

			if (__builtin_expect(line_pairs(bits.lf, before_lf) != 0, 0))
				break;
			odd |= bits.lf ^ (bits.cr << 1 | before_cr);
			plain &= bits.plain;
			lines = note_lines(out, at - 1, bits.lf);
			out += lines;
			before_lf = bits.lf >> 62;
			before_cr = bits.cr >> 63;
			at += SIP_SCAN_BLOCK;
			/* There may be less room now than was reckoned. */
			if (__builtin_expect(lines > 3, 0))
				break;
		}
		scan->at = at;
		scan->count = (uint32_t)(out - scan->lf);
		scan->before_lf = before_lf;
		scan->before_cr = before_cr;
		if (out < full && at < len)
			take_special(scan, &odd, &plain);
	} while (scan->blank == 0 && scan->count < SIP_SCAN_ROOM && scan->at < len);
	scan->odd |= odd != 0;
	if (__builtin_expect(plain != UINT64_MAX, 0))
		look_closer(scan, from, scan->blank != 0 ? scan->blank : scan->at);
}
