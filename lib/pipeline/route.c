/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * route: the proxy's rules, then the operator's script; its verdict becomes the message's fate.
 */
#include "pipeline/worker.h"

void message_drop(struct worker *w, struct message *msg, unsigned counter)
{
	counter_add(w->count, counter, msg->frames);
	msg->fate = FATE_GONE;
}

/* A request gets this reply instead of what the script wanted; an ACK or a response is dropped
 * under `counter`. */
static void fail(struct worker *w, struct message *msg, struct str reason, unsigned counter)
{
	if (msg->ctx->msg.is_response || msg->ctx->msg.method == SIP_METHOD_ACK) {
		message_drop(w, msg, counter);
		return;
	}
	msg->ctx->result = (struct route_result){0};
	proxy_reply_set(msg->ctx, 500, reason);
	msg->fate = FATE_REPLY;
}

static void judge_request(struct worker *w, struct message *msg)
{
	const struct route_result *r = &msg->ctx->result;

	if (r->forward)
		msg->fate = FATE_REQUEST;
	else if (r->reply)
		msg->fate = FATE_REPLY;
	else
		message_drop(w, msg, r->drop ? COUNTER_DROP_SCRIPT : COUNTER_DROP_SILENT);
}

void route_judge(struct worker *w, struct message *msg, enum route_verdict verdict)
{
	switch (verdict) {
	case ROUTE_ENDED:
		if (!msg->ctx->msg.is_response)
			judge_request(w, msg);
		else if (msg->ctx->result.drop)
			message_drop(w, msg, COUNTER_DROP_SCRIPT);
		else
			msg->fate = FATE_RESPONSE;
		break;
	case ROUTE_SLOW:
		counter_add(w->count, COUNTER_SLOW_REFUSED, 1);
		fail(w, msg, STR("Stateful Processing Not Available"), COUNTER_DROP_SCRIPT);
		break;
	case ROUTE_WAIT:
		crossing_wait_name(w, msg);
		break;
	case ROUTE_FAILED:
		counter_add(w->count, COUNTER_SCRIPT_FAILED, 1);
		fail(w, msg, STR("Script Limit Reached"), COUNTER_DROP_SCRIPT);
		break;
	}
}

/* What is malformed and gets a reply: error_route may give another one, or none. */
static void route_error_reply(struct worker *w, struct message *msg)
{
	route_run_error(msg->ctx, str_c(sip_error_name(msg->error)));
	judge_request(w, msg);
}

static void route_request(struct worker *w, struct message *msg)
{
	enum proxy_reason reason = PROXY_REASON_NONE;
	struct proxy *proxy = w->p->config.proxy;

	switch (proxy_request_receive(proxy, msg->ctx, msg->error, &reason)) {
	case PROXY_GO:
		route_judge(w, msg, route_run(msg->ctx));
		break;
	case PROXY_REPLY:
		if (msg->error != SIP_OK &&
			!access_rate_take(w->reply_rate, &msg->ctx->origin.src.addr, w->now))
			message_drop(w, msg, COUNTER_PROXY + PROXY_REASON_REPLY_RATE);
		else if (msg->error != SIP_OK && route_script_has_error_route(w->script))
			route_error_reply(w, msg);
		else
			msg->fate = FATE_REPLY;
		break;
	case PROXY_DROP:
		message_drop(w, msg,
			reason == PROXY_REASON_NONE ? COUNTER_SIP + msg->error
						    : COUNTER_PROXY + reason);
		break;
	}
}

static void route_response(struct worker *w, struct message *msg)
{
	enum proxy_reason reason = PROXY_REASON_NONE;

	if (proxy_response_receive(w->p->config.proxy, msg->ctx, msg->error, &reason) != PROXY_GO) {
		message_drop(w, msg,
			reason == PROXY_REASON_NONE ? COUNTER_SIP + msg->error
						    : COUNTER_PROXY + reason);
		return;
	}
	if (route_script_has_reply_route(w->script))
		route_judge(w, msg, route_run(msg->ctx));
	else
		msg->fate = FATE_RESPONSE;
}

void route_burst(struct worker *w)
{
	for (unsigned i = 0; i < w->batch; i++) {
		struct message *msg = &w->msg[i];

		if (msg->fate != FATE_NONE)
			continue;
		if (msg->held != NULL)
			route_judge(w, msg, route_resume(msg->ctx));
		else if (msg->ctx->msg.is_response)
			route_response(w, msg);
		else
			route_request(w, msg);
	}
}
