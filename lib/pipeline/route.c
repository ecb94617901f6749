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

void route_fail(struct worker *w, struct message *msg, struct str reason, unsigned counter)
{
	if (msg->ctx->msg.is_response || msg->ctx->msg.method == SIP_METHOD_ACK) {
		message_drop(w, msg, counter);
		return;
	}
	msg->ctx->result = (struct route_result){0};
	proxy_reply_set(msg->ctx, 500, reason);
	msg->fate = FATE_REPLY;
}

/* A CANCEL that is refused would not be sent again, and its INVITE may have found its way. */
static void give_up(
	struct worker *w, struct message *msg, uint16_t status, struct str reason, unsigned counter)
{
	const struct sip_msg *m = &msg->ctx->msg;

	if (m->is_response || m->method == SIP_METHOD_ACK || m->method == SIP_METHOD_CANCEL) {
		message_drop(w, msg, counter);
		return;
	}
	msg->ctx->result = (struct route_result){0};
	proxy_reply_set(msg->ctx, status, reason);
	msg->fate = FATE_REPLY;
}

void route_no_room(struct worker *w, struct message *msg, unsigned counter)
{
	give_up(w, msg, 503, STR("Service Unavailable"), counter);
}

void route_no_answer(struct worker *w, struct message *msg, unsigned counter)
{
	if (counter == COUNTER_DROP_NAME_TIMEOUT)
		give_up(w, msg, 500, STR("Name Not Resolved"), counter);
	else if (counter == COUNTER_DROP_DATABASE_TIMEOUT)
		give_up(w, msg, 500, STR("Database Timeout"), counter);
	else
		route_no_room(w, msg, counter);
}

static inline void ended(struct worker *w, struct message *msg)
{
	const struct route_result *r = &msg->ctx->result;

	if (msg->ctx->msg.is_response) {
		if (r->drop)
			message_drop(w, msg, COUNTER_DROP_SCRIPT);
		else
			msg->fate = FATE_RESPONSE;
	} else if (r->forward)
		msg->fate = FATE_REQUEST;
	else if (r->reply)
		msg->fate = FATE_REPLY;
	else
		message_drop(w, msg, r->drop ? COUNTER_DROP_SCRIPT : COUNTER_DROP_SILENT);
}

void route_ended(struct worker *w, struct message *msg)
{
	ended(w, msg);
}

/* What needs state goes to where that is. */
__attribute__((noinline)) static void go_slow(struct worker *w, struct message *msg)
{
	if (w->p->config.slow > 0) {
		crossing_slow(w, msg, HELD_SCRIPT, crossing_shard(w, msg->ctx));
		return;
	}
	counter_add(w->count, COUNTER_STATE_REFUSED, 1);
	route_fail(w, msg, STR("Stateful Processing Not Available"), COUNTER_DROP_SCRIPT);
}

void route_judge(struct worker *w, struct message *msg, enum route_verdict verdict)
{
	switch (verdict) {
	case ROUTE_ENDED:
		ended(w, msg);
		break;
	case ROUTE_SLOW:
		go_slow(w, msg);
		break;
	case ROUTE_WAIT:
		if (crossing_wait(w, msg))
			break;
		if (msg->ctx->wait_holds)
			route_judge(w, msg, route_resume_without(msg->ctx, verdict));
		else
			route_no_answer(w, msg, COUNTER_DROP_HELD_FULL);
		break;
	case ROUTE_FAILED:
		counter_add(w->count, COUNTER_SCRIPT_FAILED, 1);
		route_fail(w, msg, STR("Script Limit Reached"), COUNTER_DROP_SCRIPT);
		break;
	}
}

/* What is malformed and gets a reply: error_route may give another one, or none. */
static void route_error_reply(struct worker *w, struct message *msg)
{
	route_run_error(msg->ctx, str_c(sip_error_name(msg->error)));
	ended(w, msg);
}

static inline bool begin(struct worker *w, struct message *msg)
{
	enum proxy_reason reason = PROXY_REASON_NONE;
	struct proxy *proxy = w->p->config.proxy;

	switch (proxy_request_receive(proxy, msg->ctx, msg->error, &reason)) {
	case PROXY_GO:
		return true;
	case PROXY_REPLY:
		if (msg->error != SIP_OK &&
			!access_rate_take(w->p->reply_rate, &msg->ctx->origin.src.addr, w->now))
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
	return false;
}

bool route_begin(struct worker *w, struct message *msg)
{
	return begin(w, msg);
}

/* Whether a transaction may know the request: then its slow lcore finds out. */
__attribute__((noinline)) static bool is_of_transaction(struct worker *w, struct message *msg)
{
	struct txn *txn = w->p->config.txn;

	if (txn == NULL || msg->error != SIP_OK || !txn_may_have(txn, msg->shard, msg->ctx))
		return false;
	crossing_slow(w, msg, HELD_REQUEST, msg->shard);
	return true;
}

static void route_request(struct worker *w, struct message *msg)
{
	if (w->has_state && is_of_transaction(w, msg))
		return;
	if (begin(w, msg))
		route_judge(w, msg, route_run(msg->ctx));
}

/* Whether it answers what a slow lcore sent, which then goes on with it. */
__attribute__((noinline)) static bool is_of_branch(struct worker *w, struct message *msg)
{
	struct proxy_branch branch;

	if (!proxy_response_branch(msg->ctx, &branch) || !branch.ours)
		return false;
	crossing_slow(w, msg, HELD_RESPONSE, branch.owner % w->p->config.slow);
	return true;
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
	if (w->has_state && is_of_branch(w, msg))
		return;
	if (route_script_has_reply_route(w->script))
		route_judge(w, msg, route_run(msg->ctx));
	else
		msg->fate = FATE_RESPONSE;
}

/* A REGISTER is of no concern: it crosses, and its slow lcore does the same. */
static inline bool may_look(const struct message *msg)
{
	return msg->fate == FATE_NONE && msg->held == NULL && msg->error == SIP_OK &&
	       !msg->ctx->msg.is_response && msg->ctx->msg.method != SIP_METHOD_REGISTER;
}

/*
 * Contacts that the scripts of a burst will look up. What finds them is asked for at once for all
 * of a burst; they themselves, several lines each, so many messages ahead that they are there in
 * time and that no more of them are under way than the CPU has room for.
 */
#define BRING_AHEAD 6

_Static_assert(PORT_BURST <= 64, "a message is a bit");

static inline void bring_contact(const struct worker *w, uint64_t wanted, unsigned i)
{
	if (i < w->batch && (wanted >> i & 1) != 0)
		registrar_bring_record(w->p->config.registrar, &w->brought[i]);
}

/* A bit for each message that may look up what is brought. */
static __attribute__((noinline)) uint64_t bring_contacts(struct worker *w)
{
	const struct registrar *r = w->p->config.registrar;
	uint64_t wanted = 0;

	for (unsigned i = 0; i < w->batch; i++)
		if (may_look(&w->msg[i]) && registrar_bring(r, w->msg[i].ctx, &w->brought[i]))
			wanted |= 1ULL << i;
	for (unsigned i = 0; i < BRING_AHEAD; i++)
		bring_contact(w, wanted, i);
	return wanted;
}

/* What tells whether requests of a burst belong to transactions. */
__attribute__((noinline)) static void bring_transactions(struct worker *w)
{
	struct txn *txn = w->p->config.txn;

	for (unsigned i = 0; txn != NULL && i < w->batch; i++) {
		struct message *msg = &w->msg[i];

		if (msg->fate != FATE_NONE || msg->held != NULL || msg->error != SIP_OK ||
			msg->ctx->msg.is_response)
			continue;
		msg->shard = (uint16_t)crossing_shard(w, msg->ctx);
		txn_bring(txn, msg->shard, msg->ctx);
	}
}

/* What waited. */
static void go_on(struct worker *w, struct message *msg)
{
	if (msg->held->no_answer != 0)
		route_no_answer(w, msg, msg->held->no_answer);
	else
		route_judge(w, msg, route_resume(msg->ctx));
}

void route_burst(struct worker *w)
{
	uint64_t contacts = 0;

	if (w->has_state)
		bring_transactions(w);
	if (w->p->config.registrar != NULL && registrar_looks(w->p->config.registrar))
		contacts = bring_contacts(w);
	for (unsigned i = 0; i < w->batch; i++) {
		struct message *msg = &w->msg[i];

		if (contacts != 0)
			bring_contact(w, contacts, i + BRING_AHEAD);
		if (msg->fate != FATE_NONE)
			continue;
		if (msg->held != NULL)
			go_on(w, msg);
		else if (msg->ctx->msg.is_response)
			route_response(w, msg);
		else
			route_request(w, msg);
	}
}
