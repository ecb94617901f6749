/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Whether a text has another in it, in any letter case too. Both may be the sender's, tens of
 * kilobytes each, so that comparing at every place would hold a worker for a tenth of a second a
 * call: the search of Crochemore and Perrin (Two-way string-matching, 1991) takes time by the sum
 * of both lengths and no memory. glibc's memmem() is bounded likewise, and knows no letter case.
 */
#include "route/function.h"

static unsigned char at(struct str s, int64_t i)
{
	return (unsigned char)str_lower_char(s.s[i]);
}

/* The last place before the greatest suffix, in the order of bytes or the reverse one, and the
 * suffix's period. */
static int64_t before_greatest_suffix(struct str part, bool reverse, int64_t *period)
{
	int64_t best = -1, other = 0, k = 1, p = 1;

	while (other + k < part.len) {
		unsigned char a = at(part, other + k), b = at(part, best + k);

		if (a == b) {
			if (k == p) {
				other += p;
				k = 1;
			} else {
				k++;
			}
		} else if ((a < b) != reverse) {
			other += k;
			k = 1;
			p = other - best;
		} else {
			best = other++;
			k = p = 1;
		}
	}
	*period = p;
	return best;
}

/* Whether the first `n` bytes come again `period` later. */
static bool repeats(struct str part, int64_t n, int64_t period)
{
	for (int64_t i = 0; i < n; i++)
		if (at(part, i) != at(part, i + period))
			return false;
	return true;
}

static bool contains_any_case(struct str text, struct str part)
{
	int64_t period[2], suffix[2] = {before_greatest_suffix(part, false, &period[0]),
				   before_greatest_suffix(part, true, &period[1])};
	unsigned longer = suffix[1] > suffix[0];
	int64_t cut = suffix[longer], shift = period[longer], m = part.len;
	int64_t known = -1; /* up to here the part is known to be at `here` */
	bool periodic = repeats(part, cut + 1, shift);

	if (!periodic)
		shift = (cut + 1 > m - cut - 1 ? cut + 1 : m - cut - 1) + 1;
	for (int64_t here = 0; here + m <= text.len;) {
		int64_t i = (cut > known ? cut : known) + 1;

		while (i < m && at(part, i) == at(text, here + i))
			i++;
		if (i < m) {
			here += i - cut;
			known = -1;
			continue;
		}
		i = cut;
		while (i > known && at(part, i) == at(text, here + i))
			i--;
		if (i <= known)
			return true;
		here += shift;
		known = periodic ? m - shift - 1 : -1;
	}
	return false;
}

bool text_contains(struct str text, struct str part, bool any_case)
{
	if (part.len == 0 || part.len > text.len)
		return false;
	return any_case ? contains_any_case(text, part)
			: memmem(text.s, text.len, part.s, part.len) != NULL;
}
