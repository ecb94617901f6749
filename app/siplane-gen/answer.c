/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a response says: whose it is by the branch of its top Via, and, where a dialog or a
 * challenge begins, what of it is kept.
 */
#include <errno.h>

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

/* ---- dialog ---- */

struct text {
	char s[CALL_TEXT_MAX];
	uint32_t len;
	bool full;
};

static void put(struct text *t, struct str s)
{
	if (s.len > sizeof(t->s) - t->len) {
		t->full = true;
		return;
	}
	memcpy(t->s + t->len, s.s, s.len);
	t->len += s.len;
}

/* All Record-Route values in the order of the message; -ENOSPC where there are too many. */
static int record_routes(
	const struct sip_msg *msg, const char *buf, struct str route[SIP_VALUES_MAX], unsigned *n)
{
	*n = 0;
	SIP_MSG_FOREACH (msg, SIP_HEADER_RECORD_ROUTE, h) {
		struct sip_span value;
		uint32_t at = 0;

		while (sip_list_next(buf, sip_header_value(h), &at, &value)) {
			if (*n == SIP_VALUES_MAX)
				return -ENOSPC;
			route[(*n)++] = sip_text(buf, value);
		}
	}
	return 0;
}

int answer_dialog(struct sip_msg *msg, const char *buf, uint32_t len, struct call *call, char *text)
{
	struct str route[SIP_VALUES_MAX];
	const struct sip_address *to;
	struct sip_address contact;
	struct sip_span value;
	uint16_t parts[3];
	unsigned routes;
	struct text t;

	t.len = 0;
	t.full = false;
	if (sip_msg_index(msg, buf, len) != SIP_OK || (to = sip_msg_to(msg, buf)) == NULL)
		return -EBADMSG;
	if (record_routes(msg, buf, route, &routes) != 0)
		return -ENOSPC;
	put(&t, sip_text(buf, to->tag));
	parts[0] = (uint16_t)t.len;
	value = sip_msg_value(msg, SIP_HEADER_CONTACT);
	if (value.len != 0) {
		if (sip_address_parse(buf, value, &contact) != 0)
			return -EBADMSG;
		put(&t, sip_text(buf, contact.uri));
	}
	parts[1] = (uint16_t)(t.len - parts[0]);
	for (unsigned i = routes; i > 0; i--) {
		put(&t, STR("Route: "));
		put(&t, route[i - 1]);
		put(&t, STR("\r\n"));
	}
	parts[2] = (uint16_t)(t.len - parts[0] - parts[1]);
	put(&t, str_of(text + call->to_tag + call->contact + call->routes, call->challenge));
	if (t.full)
		return -ENOSPC;
	memcpy(text, t.s, t.len);
	call->to_tag = parts[0];
	call->contact = parts[1];
	call->routes = parts[2];
	call->has_dialog = true;
	return 0;
}

/* A header line is one challenge (RFC 3261 7.3.1): its commas are those of its parameters. */
int answer_challenge(
	struct sip_msg *msg, const char *buf, uint32_t len, struct call *call, char *text)
{
	uint32_t before = (uint32_t)call->to_tag + call->contact + call->routes;
	enum sip_header_id id;

	if (sip_msg_index(msg, buf, len) != SIP_OK)
		return -EBADMSG;
	id = msg->status == 407 ? SIP_HEADER_PROXY_AUTHENTICATE : SIP_HEADER_WWW_AUTHENTICATE;
	SIP_MSG_FOREACH (msg, id, h) {
		struct str value = sip_text(buf, sip_header_value(h));

		if (!digest_known(value))
			continue;
		if (value.len > CALL_TEXT_MAX - before)
			return -ENOSPC;
		memcpy(text + before, value.s, value.len);
		call->challenge = (uint16_t)value.len;
		call->proxy_challenge = msg->status == 407;
		call->nonce_count = 0;
		return 0;
	}
	return -EBADMSG;
}

bool answer_is_to(struct sip_msg *msg, const char *buf, uint32_t len, enum sip_method method)
{
	return sip_msg_index(msg, buf, len) == SIP_OK && sip_msg_cseq(msg, buf) &&
	       msg->cseq_method == method;
}

/* ---- ACK ---- */

struct writer {
	char *out;
	uint32_t len, room;
	bool full;
};

static void write_str(struct writer *w, struct str s)
{
	if (s.len > w->room - w->len) {
		w->full = true;
		return;
	}
	memcpy(w->out + w->len, s.s, s.len);
	w->len += s.len;
}

static void write_line(
	struct writer *w, const struct sip_msg *msg, const char *buf, const struct sip_header *h)
{
	if (h == NULL)
		w->full = true;
	else
		write_str(w, str_of(buf + h->name, sip_msg_line_end(msg, h) - h->name));
}

uint32_t answer_ack(struct sip_msg *msg, const char *request, uint32_t request_len,
	const char *response, uint32_t response_len, char *out, uint32_t room)
{
	struct writer w = {.out = out, .room = room};
	char number[20];

	if (sip_msg_index(msg, request, request_len) != SIP_OK || msg->is_response ||
		!sip_msg_cseq(msg, request))
		return 0;
	write_str(&w, STR("ACK "));
	write_str(&w, sip_text(request, msg->uri_text));
	write_str(&w, STR(" SIP/2.0\r\n"));
	write_line(&w, msg, request, sip_msg_header(msg, SIP_HEADER_VIA, 0));
	SIP_MSG_FOREACH (msg, SIP_HEADER_ROUTE, h)
		write_line(&w, msg, request, h);
	write_str(&w, STR("Max-Forwards: 70\r\n"));
	write_line(&w, msg, request, sip_msg_header(msg, SIP_HEADER_FROM, 0));
	write_line(&w, msg, request, sip_msg_header(msg, SIP_HEADER_CALL_ID, 0));
	write_str(&w, STR("CSeq: "));
	write_str(&w, str_of(number, str_from_u64(number, msg->cseq_number)));
	write_str(&w, STR(" ACK\r\n"));
	if (sip_msg_index(msg, response, response_len) != SIP_OK)
		return 0;
	write_line(&w, msg, response, sip_msg_header(msg, SIP_HEADER_TO, 0));
	write_str(&w, STR("Content-Length: 0\r\n\r\n"));
	return w.full ? 0 : w.len;
}
