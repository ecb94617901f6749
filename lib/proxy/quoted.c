/* SPDX-License-Identifier: BSD-3-Clause */
/* What an ICMP error quotes of a request that we sent: which branch it was. */
#include "proxy/internal.h"

#define LINE_END "\r\n"
#define VIA_LINE LINE_END "Via: " /* as we write it, behind the request line */

bool proxy_quoted_branch(struct str text, struct proxy_branch *out)
{
	const uint32_t owner_at = 2 + TOKEN_PLACE_LEN;
	int64_t line = str_find_str(text, STR(LINE_END)), end;
	uint64_t owner, number;
	struct sip_via via;
	struct str token;
	uint32_t from;

	if (line < 0)
		return false;
	text.s += line;
	text.len -= (uint32_t)line;
	from = sizeof(VIA_LINE) - 1;
	if (!str_istarts(text, STR(VIA_LINE)))
		return false;
	end = str_find_str(str_of(text.s + from, text.len - from), STR(LINE_END));
	if (end < 0 || sip_via_parse(text.s, (struct sip_span){from, (uint32_t)end}, &via) != 0 ||
		via.branch.len != BRANCH_COOKIE_LEN + BRANCH_LEN + BRANCH_NUMBER_LEN)
		return false;
	token = sip_text(text.s, via.token);
	if (token.len <= TOKEN_LEN_STATELESS ||
		!hash_unbase32(str_of(token.s + owner_at, TOKEN_OWNER_LEN), &owner) ||
		!hash_unbase32(str_of(text.s + via.branch.off + BRANCH_COOKIE_LEN + BRANCH_LEN,
				       BRANCH_NUMBER_LEN),
			&number))
		return false;
	out->key = proxy_branch_key(text.s + via.branch.off + BRANCH_COOKIE_LEN);
	out->owner = (uint16_t)(owner >> 54);
	out->branch = (uint16_t)(number >> 54);
	out->ours = false; /* nothing of it is proven */
	return true;
}
