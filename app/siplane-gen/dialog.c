/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a call keeps of what the other side said: the state of its dialog (RFC 3261 12) and the
 * challenges that it answers. The parts stand in the call's text one behind the other.
 */
#include <errno.h>

#include "internal.h"

static uint32_t offset_of(const struct call *call, enum call_part part)
{
	uint32_t off = 0;

	for (unsigned i = 0; i < part; i++)
		off += call->part[i];
	return off;
}

struct str dialog_part(const struct call *call, const char *text, enum call_part part)
{
	return str_of(text + offset_of(call, part), call->part[part]);
}

/* Another value for one part; what stands behind it moves. */
static int set_part(struct call *call, char *text, enum call_part part, struct str value)
{
	uint32_t off = offset_of(call, part), old = call->part[part];
	uint32_t end = offset_of(call, CALL_PARTS);

	if (value.len > CALL_TEXT_MAX - (end - old))
		return -ENOSPC;
	memmove(text + off + value.len, text + off + old, end - off - old);
	if (value.len != 0)
		memcpy(text + off, value.s, value.len);
	call->part[part] = (uint16_t)value.len;
	return 0;
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
	if (s.len != 0)
		memcpy(t->s + t->len, s.s, s.len);
	t->len += s.len;
}

int dialog_routes(const struct sip_msg *msg, const char *buf, bool reverse,
	struct str route[SIP_VALUES_MAX], unsigned *n)
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
	for (unsigned i = 0; reverse && i < *n / 2; i++) {
		struct str other = route[i];

		route[i] = route[*n - 1 - i];
		route[*n - 1 - i] = other;
	}
	return 0;
}

int dialog_contact(const struct sip_msg *msg, const char *buf, struct str *uri)
{
	struct sip_span value = sip_msg_value(msg, SIP_HEADER_CONTACT);
	struct sip_address contact;

	*uri = STR_NONE;
	if (value.len == 0)
		return 0;
	if (sip_address_parse(buf, value, &contact) != 0 || contact.star)
		return -EBADMSG;
	*uri = sip_text(buf, contact.uri);
	return 0;
}

int dialog_take(struct sip_msg *msg, const char *buf, uint32_t len, struct call *call, char *text)
{
	struct str route[SIP_VALUES_MAX], uri, challenge[2];
	const struct sip_address *to;
	uint16_t parts[3];
	unsigned routes;
	struct text t;

	t.len = 0;
	t.full = false;
	if (sip_msg_index(msg, buf, len) != SIP_OK || (to = sip_msg_to(msg, buf)) == NULL ||
		dialog_contact(msg, buf, &uri) != 0)
		return -EBADMSG;
	if (dialog_routes(msg, buf, true, route, &routes) != 0)
		return -ENOSPC;
	put(&t, sip_text(buf, to->tag));
	parts[0] = (uint16_t)t.len;
	put(&t, uri);
	parts[1] = (uint16_t)(t.len - parts[0]);
	for (unsigned i = 0; i < routes; i++) {
		put(&t, STR("Route: "));
		put(&t, route[i]);
		put(&t, STR("\r\n"));
	}
	parts[2] = (uint16_t)(t.len - parts[0] - parts[1]);
	challenge[0] = dialog_part(call, text, CALL_CHALLENGE);
	challenge[1] = dialog_part(call, text, CALL_PROXY_CHALLENGE);
	put(&t, challenge[0]);
	put(&t, challenge[1]);
	if (t.full)
		return -ENOSPC;
	memcpy(text, t.s, t.len);
	call->part[CALL_TO_TAG] = parts[0];
	call->part[CALL_CONTACT] = parts[1];
	call->part[CALL_ROUTES] = parts[2];
	return 0;
}

int dialog_target(const struct sip_msg *msg, const char *buf, struct call *call, char *text)
{
	struct str uri;

	if (dialog_contact(msg, buf, &uri) != 0)
		return -EBADMSG;
	return uri.len != 0 ? set_part(call, text, CALL_CONTACT, uri) : 0;
}

void dialog_forget(struct call *call, char *text, bool target_too)
{
	if (call->part[CALL_TO_TAG] != 0)
		set_part(call, text, CALL_TO_TAG, STR_NONE);
	if (call->part[CALL_ROUTES] != 0)
		set_part(call, text, CALL_ROUTES, STR_NONE);
	if (target_too && call->part[CALL_CONTACT] != 0)
		set_part(call, text, CALL_CONTACT, STR_NONE);
}

/* ---- challenges ---- */

/* A header line is one challenge (RFC 3261 7.3.1): its commas are those of its parameters. */
int dialog_challenge(struct sip_msg *msg, const char *buf, uint32_t len, struct call *call,
	char *text, bool *worth)
{
	enum sip_header_id id = SIP_HEADER_WWW_AUTHENTICATE;
	enum call_part part = CALL_CHALLENGE;
	int rc;

	if (sip_msg_index(msg, buf, len) != SIP_OK)
		return -EBADMSG;
	if (msg->status == 407) {
		id = SIP_HEADER_PROXY_AUTHENTICATE;
		part = CALL_PROXY_CHALLENGE;
	}
	SIP_MSG_FOREACH (msg, id, h) {
		struct str value = sip_text(buf, sip_header_value(h));

		if (!digest_known(value))
			continue;
		*worth = digest_anew(dialog_part(call, text, part), value);
		rc = set_part(call, text, part, value);
		if (rc == 0)
			call->nonce_count[part - CALL_CHALLENGE] = 0;
		return rc;
	}
	return -EBADMSG;
}
