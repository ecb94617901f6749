/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * OpenSER module "tm": what a script does with transactions. Functions that only say what the
 * transaction to come is to do write it into the context and run anywhere; all others run on the
 * slow lcore that keeps it.
 */
#include "txn/module_tm.h"

#define REQUEST_IN (ROUTE_IN_REQUEST | ROUTE_IN_FAILURE)
#define SETTING_IN (ROUTE_IN_REQUEST | ROUTE_IN_REPLY | ROUTE_IN_FAILURE | ROUTE_IN_BRANCH)

/* ---- the table ---- */

/* FN(name, least and most arguments, path, blocks, run, usage, help and what follows it) */
#define FN(n, least, most, where, blocks, does, how, ...) \
	{ \
		.name = n, .args_min = least, .args_max = most, .path = where, .in = blocks, \
		.run = does, .usage = how, .help = __VA_ARGS__ \
	}
#define FN_CHECK(checks, frees, n, least, most, where, blocks, does, how, ...) \
	{ \
		.name = n, .args_min = least, .args_max = most, .path = where, .in = blocks, \
		.run = does, .check = checks, .free_data = frees, .usage = how, \
		.help = __VA_ARGS__ \
	}
#define FAST ROUTE_PATH_FAST
#define SLOW ROUTE_PATH_SLOW
#define EITHER ROUTE_PATH_EITHER

const struct route_function txn_functions[] = {
	FN("t_relay", 0, 2, EITHER, REQUEST_IN, tm_relay, "t_relay([host, port])",
		"Relays the request to $du, else by its Routes, else to the Request-URI, and to "
		"all branches, as a transaction: makes it, answers INVITE with 100, and takes care "
		"of "
		"retransmissions, failures and CANCEL. An ACK, and a CANCEL of nothing here, go on "
		"without state, an ACK on the fast path. Minus a status where it fails: the sender "
		"hears that one, unless the script replies.",
		.rfc = "3261 16.6, 17; 6026"),
	FN("t_relay_to", 0, 2, EITHER, REQUEST_IN, tm_relay, "t_relay_to([proxy] [, flags])",
		"Relays to \"udp:host:port\". Flags: 1 no 100, 4 no other address of the same "
		"name; 2, "
		"that the script replies where it fails, is so here. A second argument above 7 is "
		"the port, unless it is written as 0x.. As in OpenSIPS the flags may stand in "
		"front, and have names: no-dns-failover. False where the proxy is missing.",
		.rfc = "3261 16.6"),
	FN("t_relay_to_udp", 0, 2, EITHER, REQUEST_IN, tm_relay, "t_relay_to_udp([host, port])",
		"Relays over UDP.", .rfc = "3261 16.6"),
	FN("t_forward_nonack", 0, 2, SLOW, REQUEST_IN, tm_relay, "t_forward_nonack([host, port])",
		"The same as t_relay().", .rfc = "3261 16.6"),
	FN("t_forward_nonack_uri", 0, 0, SLOW, REQUEST_IN, tm_relay, "t_forward_nonack_uri()",
		"The same as t_relay().", .rfc = "3261 16.6"),
	FN("t_forward_nonack_udp", 2, 2, SLOW, REQUEST_IN, tm_relay,
		"t_forward_nonack_udp(host, port)", "The same as t_relay_to_udp().",
		.rfc = "3261 16.6"),
	FN("t_forward_nonack_to", 2, 2, SLOW, REQUEST_IN, tm_relay,
		"t_forward_nonack_to(host, port)", "The same as t_relay().", .rfc = "3261 16.6"),
	FN("t_newtran", 0, 0, SLOW, ROUTE_IN_REQUEST, tm_newtran, "t_newtran()",
		"Makes the transaction: retransmissions are absorbed from here on. A transaction "
		"that the script does nothing more with is answered 500; one whose request goes "
		"on by forward() ends there, and its responses go on without state.",
		.rfc = "3261 17.2"),
	FN("t_check_trans", 0, 0, SLOW, ROUTE_IN_REQUEST | ROUTE_IN_REPLY | ROUTE_IN_BRANCH,
		tm_check_trans, "t_check_trans()",
		"Whether the message belongs to a transaction. A retransmission, or the ACK to a "
		"failure, is dealt with, and the script ends; a CANCEL has its INVITE here.",
		.rfc = "3261 17.2.3"),
	FN("t_lookup_request", 0, 0, SLOW, ROUTE_IN_REQUEST, tm_lookup_request,
		"t_lookup_request()", "Whether the request has a transaction.",
		.rfc = "3261 17.2.3"),
	FN("t_precheck_trans", 0, 0, SLOW, ROUTE_IN_REQUEST, tm_precheck_trans,
		"t_precheck_trans()",
		"Whether another copy of the request has a transaction already; of an ACK and a "
		"CANCEL never.",
		.rfc = "3261 17.2.3"),
	FN("t_lookup_cancel", 0, 1, SLOW, ROUTE_IN_REQUEST, tm_lookup_cancel,
		"t_lookup_cancel([1])",
		"Whether the CANCEL has an INVITE here. With 1 it gets the INVITE's flags.",
		.rfc = "3261 9.2"),
	FN("t_release", 0, 0, SLOW, ROUTE_IN_REQUEST, tm_release, "t_release()",
		"Ends the transaction without a reply, where nothing was sent or replied."),
	FN_CHECK(tm_check_reply, NULL, "t_reply", 2, 2, SLOW,
		ROUTE_IN_REQUEST | ROUTE_IN_REPLY | ROUTE_IN_FAILURE, tm_reply,
		"t_reply(status, reason)",
		"Replies in the transaction, which is made where there is none; a final reply "
		"cancels what is under way, and keeps the transaction for 64*T1: strangers "
		"are answered by sl_send_reply(), which keeps nothing. A 200 to INVITE comes again "
		"where the INVITE does, and by no timer.",
		.rfc = "3261 8.2.6, 17.2"),
	FN_CHECK(tm_check_reply, NULL, "t_send_reply", 2, 2, SLOW,
		ROUTE_IN_REQUEST | ROUTE_IN_REPLY | ROUTE_IN_FAILURE, tm_reply,
		"t_send_reply(status, reason)", "The same as t_reply().",
		.rfc = "3261 8.2.6, 17.2"),
	FN("t_reply_error", 0, 0, SLOW, ROUTE_IN_REQUEST | ROUTE_IN_FAILURE, tm_reply_error,
		"t_reply_error()", "Replies what t_relay() failed for, else default_code.",
		.rfc = "3261 8.2.6, 17.2"),
	FN("t_on_failure", 1, 1, FAST, SETTING_IN, tm_on_failure, "t_on_failure(name)",
		"Names the failure_route that runs when all branches have failed; for the next "
		"t_relay()s, in a failure_route to be named again.",
		.rfc = "3261 16.7"),
	FN("t_on_branch", 1, 1, FAST, REQUEST_IN, tm_on_branch, "t_on_branch(name)",
		"Names the branch_route that runs for each branch of the next t_relay(), and again "
		"where a branch has failed, before its name's next address is looked for "
		"(dns_failover), also where that was the last one.",
		.rfc = "3261 16.6"),
	FN("t_on_reply", 1, 1, FAST, SETTING_IN, tm_on_reply, "t_on_reply(name)",
		"Names the onreply_route that runs over each response, after the main one.",
		.rfc = "3261 16.7"),
	FN_CHECK(tm_check_check_status, tm_free_regex, "t_check_status", 1, 1, EITHER,
		REQUEST_IN | ROUTE_IN_REPLY, tm_check_status, "t_check_status(expression)",
		"Whether a status matches: in a failure_route that of the best response, in an "
		"onreply_route that of this one, else of the last that was sent.",
		.rfc = "3261 16.7"),
	FN("t_get_status_code", 0, 0, EITHER, REQUEST_IN | ROUTE_IN_REPLY | ROUTE_IN_BRANCH,
		tm_get_status_code, "t_get_status_code()", "That status, in $rc."),
	FN("t_was_cancelled", 0, 0, SLOW, SETTING_IN, tm_is_canceled, "t_was_cancelled()",
		"Whether the client has cancelled the request.", .rfc = "3261 9.2"),
	FN("t_is_canceled", 0, 0, SLOW, SETTING_IN, tm_is_canceled, "t_is_canceled()",
		"Whether the client has cancelled the request.", .rfc = "3261 9.2"),
	FN("t_any_timeout", 0, 0, SLOW, SETTING_IN, tm_any_timeout, "t_any_timeout()",
		"Whether a branch got no answer in time.", .rfc = "3261 16.8"),
	FN("t_any_replied", 0, 0, SLOW, SETTING_IN, tm_any_replied, "t_any_replied()",
		"Whether a branch got any response."),
	FN("t_branch_timeout", 0, 0, SLOW, ROUTE_IN_FAILURE, tm_branch_timeout,
		"t_branch_timeout()", "Whether the branch that won got no answer in time.",
		.rfc = "3261 16.8"),
	FN("t_branch_replied", 0, 0, SLOW, ROUTE_IN_FAILURE, tm_branch_replied,
		"t_branch_replied()", "Whether the branch that won got any response."),
	FN("t_set_fr", 1, 2, FAST, SETTING_IN, tm_set_fr, "t_set_fr(fr_inv_timer [, fr_timer])",
		"Sets these timers of the transaction, in ms; 0 leaves one as it is.",
		.rfc = "3261 16.8, 17.1"),
	FN("t_reset_fr", 0, 0, FAST, SETTING_IN, tm_reset_fr, "t_reset_fr()",
		"Makes them the parameters' again.", .rfc = "3261 16.8, 17.1"),
	FN("t_set_retr", 2, 2, FAST, SETTING_IN, tm_set_retr, "t_set_retr(t1, t2)",
		"Sets T1 and T2 of the transaction, in ms.", .rfc = "3261 17.1"),
	FN("t_reset_retr", 0, 0, FAST, SETTING_IN, tm_reset_retr, "t_reset_retr()",
		"Makes them the parameters' again.", .rfc = "3261 17.1"),
	FN("t_set_max_lifetime", 2, 2, FAST, SETTING_IN, tm_set_max_lifetime,
		"t_set_max_lifetime(invite, other)",
		"Bounds the time that the transaction may wait for final responses, in ms."),
	FN("t_reset_max_lifetime", 0, 0, FAST, SETTING_IN, tm_reset_max_lifetime,
		"t_reset_max_lifetime()", "Makes it the parameters' again."),
	FN("t_set_auto_inv_100", 1, 1, FAST, ROUTE_IN_REQUEST, tm_set_auto_inv_100,
		"t_set_auto_inv_100(0|1)", "Whether t_relay() answers this INVITE with 100.",
		.rfc = "3261 17.2.1"),
	FN("t_set_disable_6xx", 1, 1, FAST, SETTING_IN, tm_set_disable_6xx,
		"t_set_disable_6xx(0|1)", "Whether a 6xx leaves the other branches alone.",
		.rfc = "3261 16.7"),
	FN("t_set_disable_failover", 1, 1, FAST, SETTING_IN, tm_set_disable_failover,
		"t_set_disable_failover(0|1)",
		"Whether a next hop's further addresses are left alone.", .rfc = "3263 4.3"),
	FN("t_set_no_e2e_cancel_reason", 1, 1, FAST, SETTING_IN, tm_set_no_e2e_cancel_reason,
		"t_set_no_e2e_cancel_reason(0|1)",
		"Whether the Reason of the client's CANCEL stays here; for this transaction, in "
		"the place of e2e_cancel_reason.",
		.rfc = "3326"),
	FN("t_disable_e2e_cancel_reason", 1, 1, FAST, SETTING_IN, tm_set_no_e2e_cancel_reason,
		"t_disable_e2e_cancel_reason(0|1)", "The same as t_set_no_e2e_cancel_reason().",
		.rfc = "3326"),
	FN("t_cancel_branches", 1, 1, SLOW, ROUTE_IN_REPLY, tm_cancel_branches,
		"t_cancel_branches(\"all\" | \"others\" | \"this\")",
		"Cancels branches that have no final response.", .rfc = "3261 9.1, 16.10"),
	{.name = NULL},
};

#define INT(n, field, least, most, start, what) \
	{ \
		.name = n, .type = ROUTE_PARAM_INT, .offset = offsetof(struct tm_config, field), \
		.min = least, .max = most, .initial = start, .help = what \
	}
/* One in ms that was in seconds in OpenSER, and in SER before 2.0: `below` is less than anybody
 * wants in ms, and more than those servers' scripts say in s. */
#define MS(n, field, most, below, start, what) \
	{ \
		.name = n, .type = ROUTE_PARAM_INT, .offset = offsetof(struct tm_config, field), \
		.min = 1, .max = most, .seconds_below = below, .initial = start, .help = what \
	}
/* Another name of a parameter in ms. */
#define SECONDS(n, field, what) \
	{ \
		.name = n, .type = ROUTE_PARAM_INT, .offset = offsetof(struct tm_config, field), \
		.min = 1, .max = 3600, .scale = 1000, .help = what \
	}
#define TEXT(n, field, start, what) \
	{ \
		.name = n, .type = ROUTE_PARAM_STR, .offset = offsetof(struct tm_config, field), \
		.initial = start, .help = what \
	}
#define NO_EFFECT(n, kind, why) \
	{ \
		.name = n, .type = kind, .accepted_only = true, .help = why \
	}
#define HOURS_10 36000000
#define HOUR 3600000
#define RETR_MAX 60000
#define RETR_WHY "Retransmissions double from T1: retr_timer1 in ms."

static const struct route_param params[] = {
	MS("fr_timer", fr_timer, HOUR, 300, "30000",
		"ms that a branch may take to its first response; of other requests than INVITE, "
		"to its final one (timers B, F). Less than 300 is taken for seconds, as OpenSER "
		"has them, with a warning."),
	MS("fr_inv_timer", fr_inv_timer, HOUR, 1000, "120000",
		"ms from a provisional response of an INVITE to its final one (Timer C). Less than "
		"1000 is taken for seconds, with a warning."),
	MS("wt_timer", wt_timer, HOUR, 300, "5000",
		"ms that ACKs to a failure are absorbed (Timer I). Less than 300 is taken for "
		"seconds, with a warning."),
	INT("absorb_timer", absorb_timer, 1, HOUR, "32000",
		"ms that copies are absorbed at least, where 64*T1 is less (timers D, H, J, L, M): "
		"peers have a T1 of their own, and the RFC's is 500 ms. Less is for tests."),
	INT("max_inv_lifetime", max_inv_lifetime, 1, HOURS_10, "180000",
		"ms after which an INVITE is answered 408, whatever its branches do."),
	INT("max_noninv_lifetime", max_noninv_lifetime, 1, HOURS_10, "32000",
		"ms after which nothing is waited for by another request."),
	INT("retr_timer1", retr_timer1, 1, RETR_MAX, "500",
		"T1 in ms: the first retransmission; 64 times as long, but not less than "
		"absorb_timer, copies are absorbed (timers D, H, J, L, M)."),
	MS("retr_timer2", retr_timer2, RETR_MAX, RETR_MAX / 1000 + 1, "4000",
		"T2 in ms: the longest time between retransmissions, those of INVITE apart, which "
		"go on doubling. Up to 60 is taken for seconds, with a warning."),
	SECONDS("fr_timeout", fr_timer, "fr_timer in seconds, as OpenSIPS has it."),
	SECONDS("fr_inv_timeout", fr_inv_timer, "fr_inv_timer in seconds, as OpenSIPS has it."),
	INT("T1_timer", retr_timer1, 1, RETR_MAX, NULL, "retr_timer1 by OpenSER's name."),
	INT("T2_timer", retr_timer2, 1, RETR_MAX, NULL, "retr_timer2 by OpenSER's name."),
	INT("auto_inv_100", auto_inv_100, 0, 1, "1", "Whether t_relay() answers INVITE with 100."),
	INT("auto_100trying", auto_inv_100, 0, 1, NULL, "auto_inv_100 by OpenSIPS' name."),
	TEXT("auto_inv_100_reason", auto_inv_100_reason, "trying -- your call is important to us",
		"The reason phrase of that 100."),
	INT("restart_fr_on_each_reply", restart_fr_on_each_reply, 0, 1, "1",
		"Whether each provisional response but 100 starts fr_inv_timer anew; else the "
		"first, and "
		"those from 180 on that are higher than before."),
	INT("failure_reply_mode", failure_reply_mode, 0, 3, "3",
		"Failures that count no more behind a failure_route: 0 none are dropped, 1 all "
		"are, 2 those of the last t_relay(), 3 all where it relays anew."),
	INT("faked_reply_prio", faked_reply_prio, -10000, 10000, "0",
		"Added to the rank of a 408 of ours among failures; the lowest rank wins."),
	INT("aggregate_challenges", aggregate_challenges, 0, 1, "1",
		"Whether a 401 or 407 carries the challenges of all branches (RFC 3261 16.7)."),
	INT("remap_503_500", remap_503_500, 0, 1, "1",
		"Whether a 503 is passed on as 500 (RFC 3261 16.7)."),
	INT("disable_6xx_block", disable_6xx_block, 0, 1, "0",
		"Whether a 6xx leaves the other branches alone."),
	INT("unmatched_cancel", unmatched_cancel, 0, 2, "0",
		"What t_relay() does with a CANCEL of nothing here: 0 and 1 forward it without "
		"state (RFC 3261 16.10), 2 drops it."),
	INT("local_cancel_reason", local_cancel_reason, 0, 1, "1",
		"Whether a CANCEL for another branch's final response says so (RFC 3326)."),
	INT("e2e_cancel_reason", e2e_cancel_reason, 0, 1, "1",
		"Whether the Reason of the client's CANCEL goes on (RFC 3326)."),
	INT("dns_failover", dns_failover, 0, 1, "1",
		"Whether the next address of a next hop is tried where one gives no answer, or "
		"503, or the network says that it can't be reached (RFC 3263 4.3)."),
	TEXT("failover_reply_codes", failover_reply_codes, NULL,
		"Further responses that lead to the next address: \"code=403;class=5\"."),
	INT("default_code", default_code, 400, 699, "500",
		"The status of t_reply() where its own is none."),
	TEXT("default_reason", default_reason, "Server Internal Error", "Its reason phrase."),
	INT("reply_408_code", reply_408_code, 400, 699, "408",
		"The status of an INVITE that nobody answered."),
	TEXT("reply_408_reason", reply_408_reason, "Request Timeout", "Its reason phrase."),
	TEXT("fr_timer_avp", fr_timer_avp, NULL,
		"An AVP with the fr_timer of its transaction, in seconds."),
	TEXT("fr_inv_timer_avp", fr_inv_timer_avp, NULL,
		"An AVP with the fr_inv_timer of its transaction, in seconds."),
	NO_EFFECT("noisy_ctimer", ROUTE_PARAM_INT, "An INVITE that times out is always answered."),
	NO_EFFECT("cancel_b_method", ROUTE_PARAM_INT,
		"CANCEL waits for a provisional response (RFC 3261 9.1), which is 1."),
	NO_EFFECT("delete_timer", ROUTE_PARAM_INT,
		"A transaction that is done keeps what absorbs retransmissions, for as long as RFC "
		"3261 17 wants."),
	NO_EFFECT("retr_timer1p1", ROUTE_PARAM_INT, RETR_WHY),
	NO_EFFECT("retr_timer1p2", ROUTE_PARAM_INT, RETR_WHY),
	NO_EFFECT("retr_timer1p3", ROUTE_PARAM_INT, RETR_WHY),
	NO_EFFECT("own_timer_proc", ROUTE_PARAM_INT, "Each slow lcore has timers of its own."),
	NO_EFFECT("unix_tx_timeout", ROUTE_PARAM_INT, "There is no socket to other programs."),
	NO_EFFECT("pass_provisional_replies", ROUTE_PARAM_INT,
		"Provisional responses but 100 go on, each to the onreply_routes."),
	NO_EFFECT("reparse_on_dns_failover", ROUTE_PARAM_INT,
		"The branch_route runs again before a next address is looked for."),
	NO_EFFECT("reparse_invite", ROUTE_PARAM_INT,
		"ACK and CANCEL are always made from the INVITE that was sent."),
	NO_EFFECT("ruri_matching", ROUTE_PARAM_INT,
		"A request is known by its branch and sent-by, Via being RFC 3261's, else by "
		"17.2.3's list."),
	NO_EFFECT("via1_matching", ROUTE_PARAM_INT,
		"A request is known by its branch and sent-by, Via being RFC 3261's, else by "
		"17.2.3's list."),
	NO_EFFECT("callid_matching", ROUTE_PARAM_INT, "The Call-ID is always compared."),
	NO_EFFECT("reply_matching", ROUTE_PARAM_INT,
		"A response is known by the keyed branch that we wrote."),
	NO_EFFECT("delayed_reply", ROUTE_PARAM_INT,
		"What t_relay() failed for is replied at the script's end, which is 1."),
	NO_EFFECT("failure_exec_mode", ROUTE_PARAM_INT,
		"A failure_route runs when all branches have failed."),
	NO_EFFECT("tw_append", ROUTE_PARAM_STR, "There is no socket to other programs."),
	NO_EFFECT("blst_503", ROUTE_PARAM_INT,
		"There is no blacklist: the next address is tried (dns_failover)."),
	NO_EFFECT("blst_503_def_timeout", ROUTE_PARAM_INT, "There is no blacklist."),
	NO_EFFECT("blst_503_min_timeout", ROUTE_PARAM_INT, "There is no blacklist."),
	NO_EFFECT("blst_503_max_timeout", ROUTE_PARAM_INT, "There is no blacklist."),
	NO_EFFECT("blst_methods_add", ROUTE_PARAM_INT, "There is no blacklist."),
	NO_EFFECT("blst_methods_lookup", ROUTE_PARAM_INT, "There is no blacklist."),
	NO_EFFECT("ac_extra_hdrs", ROUTE_PARAM_STR,
		"An ACK or CANCEL of ours has the headers that RFC 3261 9.1 and 17.1.1.3 list."),
	NO_EFFECT("on_sl_reply", ROUTE_PARAM_STR,
		"Responses that belong to no transaction pass reply_route alone."),
	NO_EFFECT("local_ack_mode", ROUTE_PARAM_INT,
		"The ACK of a 2xx is the caller's: siplane makes no INVITEs."),
	NO_EFFECT("local_ack_branch_mode", ROUTE_PARAM_INT,
		"The ACK of a 2xx is the caller's: siplane makes no INVITEs."),
	NO_EFFECT("relay_100", ROUTE_PARAM_INT, "A 100 is never passed on (RFC 3261 16.7)."),
	NO_EFFECT("rich_redirect", ROUTE_PARAM_INT,
		"A 3xx of the script has its targets as Contacts, without Path and flags."),
	NO_EFFECT("xavp_contact", ROUTE_PARAM_STR, "There are no XAVPs."),
	NO_EFFECT("e2e_cancel_hop_by_hop", ROUTE_PARAM_INT,
		"CANCEL is answered and sent hop by hop (RFC 3261 16.10)."),
	NO_EFFECT("headers_mode", ROUTE_PARAM_INT,
		"ACK and CANCEL have the headers that RFC 3261 9.1 and 17.1.1.3 list."),
	NO_EFFECT(
		"exec_time_check", ROUTE_PARAM_INT, "A run of the script is bounded by its steps."),
	NO_EFFECT("reply_relay_mode", ROUTE_PARAM_INT,
		"Each response is passed on as its transaction wants."),
	NO_EFFECT("callid_cseq_matching", ROUTE_PARAM_INT,
		"A request is known by its branch and sent-by."),
	NO_EFFECT(
		"event_callback", ROUTE_PARAM_STR, "There is no scripting language but this one."),
	NO_EFFECT("dns_reuse_rcv_socket", ROUTE_PARAM_INT,
		"The listener is found by the route to the next hop (mhomed), or by $fs."),
	NO_EFFECT("enable_uac_fr", ROUTE_PARAM_INT, "There is one fr_timer for all branches."),
	NO_EFFECT("contacts_avp", ROUTE_PARAM_STR, "t_load_contacts() needs no AVP."),
	NO_EFFECT("contact_flows_avp", ROUTE_PARAM_STR, "t_next_contacts() needs no AVP."),
	{.name = NULL},
};

static int prepare(void *room, const void *config, struct route_report *report, void **prepared)
{
	const struct tm_config *c = config;

	*prepared = NULL;
	/* OpenSER has no such bound, so that its scripts do not raise it. */
	if (c->fr_inv_timer > c->max_inv_lifetime)
		route_warning(report, NULL,
			"module 'tm': fr_inv_timer (%lld ms) is longer than max_inv_lifetime "
			"(%lld ms), which ends the call before",
			(long long)c->fr_inv_timer, (long long)c->max_inv_lifetime);
	return 0;
}

const struct route_module txn_module = {.name = "tm",
	.functions = txn_functions,
	.params = params,
	.config_size = sizeof(struct tm_config),
	.prepare = prepare};
