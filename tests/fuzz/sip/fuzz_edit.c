/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Edit and rewrite: any message that may be routed gets the changes that a proxy makes, chosen by
 * the input's first bytes. What comes out is read again, and means the same but for those changes.
 */
#include <stdlib.h>

#include "sip/sip.h"

#define ACTIONS 8
#define ROOM (SIP_MSG_UDP_MAX + SIP_EDIT_TEXT_MAX)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct sip_msg msg, out_msg;
static struct sip_edits edits;

/* What the changes leave of the message. */
struct expected {
	unsigned vias, routes, headers;
	bool uri_replaced, route_dropped;
};

static void require(bool holds)
{
	if (!holds)
		abort();
}

static unsigned count(const struct sip_msg *m, const char *buf, enum sip_header_id id)
{
	unsigned n = 0;

	SIP_MSG_FOREACH (m, id, h) {
		struct sip_span value;
		uint32_t at = 0;

		while (sip_list_next(buf, sip_header_value(h), &at, &value))
			n++;
	}
	return n;
}

/* Takes the n-th value (from 0) of all lines of `id` out; returns whether it was there. */
static bool drop_value(const char *buf, enum sip_header_id id, unsigned n)
{
	SIP_MSG_FOREACH (&msg, id, h) {
		struct sip_span value;
		uint32_t at = 0;

		while (sip_list_next(buf, sip_header_value(h), &at, &value))
			if (n-- == 0)
				return sip_edit_delete_value(&edits, &msg, buf, h, value) == 0;
	}
	return false;
}

static void act(const char *buf, const uint8_t *action, struct expected *want)
{
	unsigned dropped = 0;

	for (unsigned i = 0; i < ACTIONS; i++) {
		switch (action[i] % 6) {
		case 0:
			sip_edit_insert(&edits, msg.headers, SIP_EDIT_FIRST,
				STR("Via: SIP/2.0/UDP proxy;branch=z9hG4bKp\r\n"));
			want->vias++;
			break;
		case 1:
			/* Each once only: a second call for the same value would count it twice. */
			if ((dropped >> (action[i] / 6 % 4) & 1) != 0)
				break;
			dropped |= 1u << (action[i] / 6 % 4);
			if (drop_value(buf, SIP_HEADER_ROUTE, action[i] / 6 % 4)) {
				want->routes--;
				want->route_dropped = true;
			}
			break;
		case 2:
			sip_edit_insert(
				&edits, msg.headers_end, SIP_EDIT_LAST, STR("X-Mark: 1\r\n"));
			want->headers++;
			break;
		case 3:
			if (!msg.is_response) {
				sip_edit_replace(&edits, msg.uri_text.off, msg.uri_text.len,
					STR("sip:new@host"));
				want->uri_replaced = true;
			}
			break;
		case 4: {
			const struct sip_via *via = sip_msg_via(&msg, buf, 0);

			if (via == NULL || sip_present(via->received_param))
				break;
			sip_edit_insert(&edits, via->sent_by.off + via->sent_by.len,
				SIP_EDIT_NORMAL, STR(";x-seen=192.0.2.1"));
			break;
		}
		default:
			break;
		}
	}
}

static void check(const char *buf, const char *out, uint32_t len, const struct expected *want)
{
	static const enum sip_header_id kept[] = {SIP_HEADER_FROM, SIP_HEADER_TO,
		SIP_HEADER_CALL_ID, SIP_HEADER_CSEQ, SIP_HEADER_CONTACT};
	enum sip_error error;

	require(sip_msg_index(&out_msg, out, len) == SIP_OK);
	error = sip_msg_check(&out_msg, out);
	/* The check looks at the first Route only, and that may be another one now. */
	require(error == SIP_OK || (error == SIP_ERROR_ROUTE && want->route_dropped));
	require(out_msg.is_response == msg.is_response && out_msg.method == msg.method &&
		out_msg.status == msg.status);
	require(count(&out_msg, out, SIP_HEADER_VIA) == want->vias);
	require(count(&out_msg, out, SIP_HEADER_ROUTE) == want->routes);
	for (unsigned i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
		struct sip_span before = sip_msg_value(&msg, kept[i]),
				after = sip_msg_value(&out_msg, kept[i]);

		require(str_eq(sip_text(buf, before), sip_text(out, after)));
	}
	require(str_eq(str_of(buf + msg.body, msg.body_len),
		str_of(out + out_msg.body, out_msg.body_len)));
	if (want->uri_replaced)
		require(str_eq(sip_text(out, out_msg.uri_text), STR("sip:new@host")));
	else
		require(str_eq(sip_text(out, out_msg.uri_text), sip_text(buf, msg.uri_text)));
	require(sip_msg_header_named(&out_msg, out, STR("X-Mark")) != NULL || want->headers == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct expected want = {0};
	char *buf, *out;
	int64_t n;

	if (size <= ACTIONS || size - ACTIONS > SIP_MSG_UDP_MAX)
		return 0;
	size -= ACTIONS;
	buf = malloc(size);
	out = malloc(ROOM);
	if (buf == NULL || out == NULL)
		abort();
	memcpy(buf, data + ACTIONS, size);
	if (sip_msg_index(&msg, buf, (uint32_t)size) != SIP_OK ||
		sip_msg_check(&msg, buf) != SIP_OK)
		goto end;
	want.vias = count(&msg, buf, SIP_HEADER_VIA);
	want.routes = count(&msg, buf, SIP_HEADER_ROUTE);
	sip_edits_reset(&edits);
	act(buf, data, &want);
	/* Lists with more values than are looked at end here. */
	if (edits.overflow || msg.header_count + want.vias + want.headers > SIP_MSG_HEADERS_MAX)
		goto end;
	n = sip_edit_apply(&edits, buf, msg.len, out, ROOM);
	require(n >= 0);
	out = realloc(out, n != 0 ? (size_t)n : 1);
	if (n <= SIP_MSG_UDP_MAX)
		check(buf, out, (uint32_t)n, &want);
end:
	free(buf);
	free(out);
	return 0;
}
