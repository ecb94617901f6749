/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a response says: whose it is by the branch of its top Via.
 */
#include "internal.h"

/* The branch of a Via value, which has to be ours to the last character. */
static bool branch_read(struct str branch, struct answer *out)
{
	return branch.len == BRANCH_LEN && memcmp(branch.s, BRANCH_COOKIE, 7) == 0 &&
	       template_unhex16(branch.s + 7, &out->time) &&
	       template_unhex16(branch.s + 23, &out->ref);
}

/* The line behind the status line, where nearly everybody writes the top Via. */
static bool first_via(struct str rest, struct str *branch)
{
	const char *end = memchr(rest.s, '\n', rest.len), *at = rest.s;

	if (end == NULL || rest.len < 5 ||
		(!str_istarts(rest, STR("Via:")) && !str_istarts(rest, STR("v:"))))
		return false;
	while ((at = memchr(at, ';', (size_t)(end - at))) != NULL) {
		at++;
		if (end - at < 7 + BRANCH_LEN + 1)
			return false;
		if (memcmp(at, "branch=", 7) == 0)
			break;
	}
	/* The next character ends the token; whatever this is not, the whole parser reads. A comma
	 * would be that of another Via's value. */
	if (at == NULL || memchr(rest.s, ',', (size_t)(at - rest.s)) != NULL ||
		memchr("; ,\r", at[7 + BRANCH_LEN], 4) == NULL)
		return false;
	*branch = str_of(at + 7, BRANCH_LEN);
	return true;
}

static enum answer_kind read_slowly(const char *text, uint32_t len, struct answer *out)
{
	struct sip_msg msg;
	enum sip_error error = sip_msg_index(&msg, text, len);
	const struct sip_via *via;

	if (error != SIP_OK)
		return ANSWER_MALFORMED;
	if (!msg.is_response)
		return ANSWER_REQUEST;
	via = sip_msg_via(&msg, text, 0);
	if (via == NULL)
		return ANSWER_MALFORMED;
	out->status = msg.status;
	return branch_read(sip_text(text, via->branch), out) ? ANSWER_RESPONSE : ANSWER_FOREIGN;
}

enum answer_kind answer_read(const char *text, uint32_t len, struct answer *out)
{
	const char *end;
	struct str branch;

	*out = (struct answer){0};
	if (len < 16)
		return ANSWER_MALFORMED;
	if (memcmp(text, "SIP/2.0 ", 8) != 0)
		return read_slowly(text, len, out);
	end = memchr(text, '\n', len);
	if (end == NULL || text[8] < '1' || text[8] > '6' || !str_is_digit(text[9]) ||
		!str_is_digit(text[10]) || text[11] != ' ')
		return ANSWER_MALFORMED;
	out->status = (uint16_t)((text[8] - '0') * 100 + (text[9] - '0') * 10 + text[10] - '0');
	if (!first_via(str_of(end + 1, len - (size_t)(end + 1 - text)), &branch))
		return read_slowly(text, len, out);
	return branch_read(branch, out) ? ANSWER_RESPONSE : ANSWER_FOREIGN;
}

unsigned answer_told(const char *text, uint32_t len, uint32_t *behind, struct str *by)
{
	static const char name[] = "\r\n" REFLECTOR_ANSWERS;
	const uint32_t n = sizeof(name) - 1;
	const char *at = NULL;
	unsigned told = 0;

	/* Everything behind it is the reflector's own, and the same in each of its answers. */
	if (*behind > n && *behind <= len && memcmp(text + len - *behind, name, n) == 0)
		at = text + len - *behind;
	else
		at = memmem(text, len, name, n);
	if (at == NULL)
		return 0;
	*behind = (uint32_t)(text + len - at);
	for (at += n; at < text + len && str_is_digit(*at) && told < 100; at++)
		told = told * 10 + (unsigned)(*at - '0');
	if (text + len - at > REFLECTOR_NAME_LEN && *at == ' ')
		*by = str_of(at + 1, REFLECTOR_NAME_LEN);
	return told < 256 ? told : 255;
}

bool answer_is_to(struct sip_msg *msg, const char *buf, uint32_t len, enum sip_method method)
{
	return sip_msg_index(msg, buf, len) == SIP_OK && sip_msg_cseq(msg, buf) &&
	       msg->cseq_method == method;
}
