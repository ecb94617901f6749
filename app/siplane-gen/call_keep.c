/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What an answer leaves behind for the messages that follow it: a dialog, another target, a
 * challenge.
 */
#include <errno.h>

#include "calls.h"

#define AUTHORIZATIONS_MAX 4 /* of one request: proxies, the other side, old nonces */

/* The dialog that an answer begins or changes (RFC 3261 12.1.2, 12.2.1.2, RFC 3311 5.1). */
static bool keep_dialog(struct calls *c, struct call *call, const struct packet *in, bool early)
{
	enum sip_method method = c->config.template[call->message].method;
	char *text = c->text[call - c->call];
	const struct step *after = call_step(c, call, call->step);

	if (call->has_dialog) {
		if (early || (method != SIP_METHOD_INVITE && method != SIP_METHOD_UPDATE))
			return true;
		return sip_msg_index(&c->msg, in->text, in->len) == SIP_OK &&
		       dialog_target(&c->msg, in->text, call, text) == 0;
	}
	if (method != SIP_METHOD_INVITE && method != SIP_METHOD_SUBSCRIBE)
		return true;
	/* Who goes on waiting for the final answer needs nothing of this one. */
	if (early && (after == NULL || after->kind == STEP_EXPECT))
		return true;
	if (dialog_take(&c->msg, in->text, in->len, call, text) != 0)
		return false;
	call->has_dialog = !early;
	return true;
}

/* Statuses after which the same INVITE is tried again (RFC 3261 8.1.3, RFC 4028 7.3). */
static bool is_second_try(uint16_t status)
{
	return (status >= 300 && status < 400) || status == 401 || status == 407 || status == 413 ||
	       status == 415 || status == 416 || status == 420 || status == 422;
}

bool call_keep(struct calls *c, struct call *call, const struct packet *in, uint16_t status)
{
	char *text = c->text[call - c->call];
	bool worth;

	if (status < 300)
		return !c->program_dialog[call->program] || keep_dialog(c, call, in, status < 200);
	if (c->config.template[call->message].method == SIP_METHOD_INVITE && !call->has_dialog)
		call->retry = is_second_try(status);
	if (status < 400 && c->program_dialog[call->program] && !call->has_dialog) {
		call->redirected = true;
		return sip_msg_index(&c->msg, in->text, in->len) == SIP_OK &&
		       dialog_target(&c->msg, in->text, call, text) == 0;
	}
	if ((status == 401 || status == 407) && c->program_digest[call->program])
		return dialog_challenge(&c->msg, in->text, in->len, call, text, &worth) == 0;
	return true;
}

bool call_authorized(
	struct calls *c, struct call *call, const struct packet *in, uint16_t status, uint64_t now)
{
	const struct template *t = &c->config.template[call->message];
	bool worth = false;
	int rc;

	if ((status != 401 && status != 407) || t->digests == 0 ||
		call->authorizations == AUTHORIZATIONS_MAX ||
		dialog_challenge(
			&c->msg, in->text, in->len, call, c->text[call - c->call], &worth) != 0 ||
		!worth)
		return false;
	rc = call_authorize(c, call, now);
	if (rc != 0)
		call_abort(c, call, rc == -ENOBUFS ? GEN_FAIL_SEND : GEN_FAIL_DIALOG, now);
	return true;
}
