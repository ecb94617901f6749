/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Modules of OpenSER that keep state. Their functions are known by name, so that a configuration
 * loads, is checked and explained; a run that meets one stops there. A room that does the work
 * registers its own table under the same name and takes this one's place.
 */
#include "route/load.h"

#define ANY ROUTE_IN_ANY
#define REQUEST (ROUTE_IN_REQUEST | ROUTE_IN_FAILURE)

/* FN(name, least and most arguments, blocks, usage, help) */
#define FN(n, least, most, blocks, how, what) \
	{ \
		.name = n, .args_min = least, .args_max = most, .in = blocks, \
		.path = ROUTE_PATH_SLOW, .usage = how, .help = what \
	}
#define INT(n, offset_of, least, most, start, what) \
	{ \
		.name = n, .type = ROUTE_PARAM_INT, .offset = offset_of, .min = least, \
		.max = most, .initial = start, .help = what \
	}
#define TEXT(n, offset_of, start, what) \
	{ \
		.name = n, .type = ROUTE_PARAM_STR, .offset = offset_of, .initial = start, \
		.help = what \
	}
#define NO_EFFECT(n, kind) \
	{ \
		.name = n, .type = kind, .accepted_only = true, .help = "" \
	}
#define I ROUTE_PARAM_INT
#define S ROUTE_PARAM_STR

/* ---- tm ---- */

struct tm_config {
	int64_t fr_timer, fr_inv_timer, wt_timer, max_inv_lifetime, max_noninv_lifetime,
		retr_timer1, retr_timer2, auto_inv_100, failure_reply_mode,
		restart_fr_on_each_reply;
};
static const struct route_function tm_functions[] = {
	FN("t_relay", 0, 2, ANY, "t_relay([host, port])",
		"relays the request, keeping its transaction"),
	FN("t_relay_to", 0, 2, ANY, "t_relay_to([proxy, flags])", "relays to a given proxy"),
	FN("t_relay_to_udp", 0, 2, ANY, "t_relay_to_udp([host, port])", "relays over UDP"),
	FN("t_relay_to_tcp", 0, 2, ANY, "t_relay_to_tcp([host, port])", "relays over TCP"),
	FN("t_newtran", 0, 0, ROUTE_IN_REQUEST, "t_newtran()", "creates the transaction"),
	FN("t_reply", 2, 2, ANY, "t_reply(code, reason)", "replies within the transaction"),
	FN("t_send_reply", 2, 2, ANY, "t_send_reply(code, reason)",
		"replies within the transaction"),
	FN("t_check_trans", 0, 0, ANY, "t_check_trans()",
		"whether the message belongs to a transaction"),
	FN("t_lookup_request", 0, 0, ANY, "t_lookup_request()",
		"whether the request belongs to a transaction"),
	FN("t_lookup_cancel", 0, 1, ROUTE_IN_REQUEST, "t_lookup_cancel()",
		"whether the CANCEL has an INVITE"),
	FN("t_precheck_trans", 0, 0, ROUTE_IN_REQUEST, "t_precheck_trans()",
		"whether a retransmission is being worked on"),
	FN("t_on_reply", 1, 1, ANY, "t_on_reply(name)",
		"names the onreply_route of this transaction"),
	FN("t_on_failure", 1, 1, ANY, "t_on_failure(name)",
		"names the failure_route of this transaction"),
	FN("t_on_branch", 1, 1, ANY, "t_on_branch(name)",
		"names the branch_route of this transaction"),
	FN("t_check_status", 1, 1, ROUTE_IN_FAILURE | ROUTE_IN_REPLY, "t_check_status(expression)",
		"whether the final status matches"),
	FN("t_any_replied", 0, 0, ANY, "t_any_replied()", "whether a branch was answered"),
	FN("t_any_timeout", 0, 0, ANY, "t_any_timeout()", "whether a branch timed out"),
	FN("t_branch_timeout", 0, 0, ROUTE_IN_FAILURE, "t_branch_timeout()",
		"whether the branch timed out"),
	FN("t_branch_replied", 0, 0, ROUTE_IN_FAILURE, "t_branch_replied()",
		"whether the branch was answered"),
	FN("t_is_canceled", 0, 0, ANY, "t_is_canceled()", "whether the caller cancelled"),
	FN("t_was_cancelled", 0, 0, ANY, "t_was_cancelled()", "whether the caller cancelled"),
	FN("t_is_expired", 0, 0, ANY, "t_is_expired()", "whether the transaction expired"),
	FN("t_grep_status", 1, 1, ANY, "t_grep_status(code)", "whether a branch was answered so"),
	FN("t_is_set", 1, 1, ANY, "t_is_set(target)", "whether a route is named"),
	FN("t_set_fr", 1, 2, ANY, "t_set_fr(invite_ms [, ms])",
		"sets the timers of this transaction"),
	FN("t_reset_fr", 0, 0, ANY, "t_reset_fr()", "resets the timers of this transaction"),
	FN("t_set_retr", 2, 2, ANY, "t_set_retr(t1_ms, t2_ms)",
		"sets the retransmissions of this transaction"),
	FN("t_set_max_lifetime", 2, 2, ANY, "t_set_max_lifetime(invite_ms, ms)",
		"bounds the transaction's life"),
	FN("t_set_disable_6xx", 1, 1, ANY, "t_set_disable_6xx(0|1)", "takes 6xx as 4xx"),
	FN("t_set_auto_inv_100", 1, 1, ANY, "t_set_auto_inv_100(0|1)",
		"whether 100 is sent at once"),
	FN("t_flush_flags", 0, 0, ANY, "t_flush_flags()", "copies the flags to the transaction"),
	FN("t_replicate", 1, 2, ROUTE_IN_REQUEST, "t_replicate(uri)", "sends a copy"),
	FN("t_retransmit_reply", 0, 0, ROUTE_IN_REQUEST, "t_retransmit_reply()",
		"sends the last reply again"),
	FN("t_release", 0, 0, ROUTE_IN_REQUEST, "t_release()", "ends the transaction"),
	FN("t_cancel_branches", 1, 1, ROUTE_IN_REPLY, "t_cancel_branches(which)",
		"cancels branches"),
	FN("t_cancel_callid", 3, 4, ANY, "t_cancel_callid(callid, cseq, flag)",
		"cancels a transaction"),
	FN("t_load_contacts", 0, 1, REQUEST, "t_load_contacts()", "orders the branches by q"),
	FN("t_next_contacts", 0, 1, REQUEST, "t_next_contacts()", "takes the next branches by q"),
	FN("t_drop_replies", 0, 1, ROUTE_IN_FAILURE, "t_drop_replies()",
		"forgets the replies so far"),
	FN("t_save_lumps", 0, 0, ROUTE_IN_REQUEST, "t_save_lumps()",
		"keeps the changes for later branches"),
	FN("t_local_replied", 1, 1, ANY, "t_local_replied(which)", "whether we answered"),
	FN("t_write_unix", 2, 2, ANY, "t_write_unix(socket, action)",
		"writes the request to a socket"),
	{0}};
static const struct route_param tm_params[] = {INT("fr_timer", offsetof(struct tm_config, fr_timer),
						       1, 3600000, "30000", "ms to a first answer"),
	INT("fr_inv_timer", offsetof(struct tm_config, fr_inv_timer), 1, 3600000, "120000",
		"ms from a provisional to a final answer"),
	INT("wt_timer", offsetof(struct tm_config, wt_timer), 1, 3600000, "5000",
		"ms a finished transaction stays"),
	INT("max_inv_lifetime", offsetof(struct tm_config, max_inv_lifetime), 1, 36000000, "180000",
		"ms an INVITE lives at most"),
	INT("max_noninv_lifetime", offsetof(struct tm_config, max_noninv_lifetime), 1, 36000000,
		"32000", "ms another request lives at most"),
	INT("retr_timer1", offsetof(struct tm_config, retr_timer1), 1, 60000, "500", "T1 in ms"),
	INT("retr_timer2", offsetof(struct tm_config, retr_timer2), 1, 60000, "4000", "T2 in ms"),
	INT("auto_inv_100", offsetof(struct tm_config, auto_inv_100), 0, 1, "1",
		"100 to an INVITE at once"),
	INT("failure_reply_mode", offsetof(struct tm_config, failure_reply_mode), 0, 3, "0",
		"which replies a failure_route keeps"),
	INT("restart_fr_on_each_reply", offsetof(struct tm_config, restart_fr_on_each_reply), 0, 1,
		"1", "each provisional answer restarts the timer"),
	NO_EFFECT("fr_timer_avp", S), NO_EFFECT("fr_inv_timer_avp", S),
	NO_EFFECT("noisy_ctimer", I), NO_EFFECT("delete_timer", I),
	NO_EFFECT("aggregate_challenges", I), NO_EFFECT("own_timer_proc", I),
	NO_EFFECT("unix_tx_timeout", I), NO_EFFECT("pass_provisional_replies", I),
	NO_EFFECT("unmatched_cancel", S), NO_EFFECT("auto_inv_100_reason", S),
	NO_EFFECT("reparse_on_dns_failover", I), NO_EFFECT("remap_503_500", I),
	NO_EFFECT("cancel_b_method", I), NO_EFFECT("ruri_matching", I),
	NO_EFFECT("via1_matching", I), NO_EFFECT("contacts_avp", S),
	NO_EFFECT("contact_flows_avp", S), {0}};
static const struct route_module tm_module = {
	"tm", tm_functions, tm_params, sizeof(struct tm_config), NULL, NULL, NULL};

/* ---- the core's own ---- */

/* What it asks of connections holds over UDP, which has none. */
static int32_t run_of_tcp(struct route_ctx *ctx, const struct route_args *args)
{
	return ROUTE_TRUE;
}

#define OF_TCP(n) \
	{ \
		.name = n, .path = ROUTE_PATH_FAST, .in = ANY, .run = run_of_tcp, .usage = n "()", \
		.help = "Is about TCP connections; true, and nothing to do over UDP." \
	}
static const struct route_function core_functions[] = {
	FN("send", 0, 2, ROUTE_IN_REQUEST, "send([host, port])", "sends the request as it is"),
	FN("send_tcp", 0, 2, ROUTE_IN_REQUEST, "send_tcp([host, port])",
		"sends the request as it is over TCP"),
	FN("forward_tcp", 0, 2, ROUTE_IN_REQUEST, "forward_tcp([host, port])", "forwards over TCP"),
	FN("forward_tls", 0, 2, ROUTE_IN_REQUEST, "forward_tls([host, port])", "forwards over TLS"),
	FN("force_tcp_alias", 0, 1, ANY, "force_tcp_alias([port])",
		"takes the connection for that port of its peer"),
	OF_TCP("set_forward_close"), OF_TCP("set_forward_no_connect"), OF_TCP("set_reply_close"),
	OF_TCP("set_reply_no_connect"), {0}};
static const struct route_module core_module = {"", core_functions, NULL, 0, NULL, NULL, NULL};

/* ---- auth, auth_db, group ---- */

static const struct route_function no_functions[] = {{0}};

struct auth_config {
	int64_t nonce_expire, nonce_count, qop;
	const char *secret, *algorithm;
};
static const struct route_function auth_functions[] = {
	FN("www_challenge", 2, 2, ROUTE_IN_REQUEST, "www_challenge(realm, flags)", "answers 401"),
	FN("proxy_challenge", 2, 2, ROUTE_IN_REQUEST, "proxy_challenge(realm, flags)",
		"answers 407"),
	FN("auth_challenge", 2, 2, ROUTE_IN_REQUEST, "auth_challenge(realm, flags)",
		"answers 401 or 407"),
	FN("consume_credentials", 0, 0, ROUTE_IN_REQUEST, "consume_credentials()",
		"removes the credentials that were verified"),
	FN("has_credentials", 1, 1, ROUTE_IN_REQUEST, "has_credentials(realm)",
		"whether there are credentials for a realm"),
	FN("pv_www_authenticate", 3, 4, ROUTE_IN_REQUEST,
		"pv_www_authenticate(realm, password, flags)", "verifies credentials"),
	FN("pv_proxy_authenticate", 3, 4, ROUTE_IN_REQUEST,
		"pv_proxy_authenticate(realm, password, flags)", "verifies credentials"),
	FN("pv_auth_check", 4, 4, ROUTE_IN_REQUEST, "pv_auth_check(realm, password, flags, checks)",
		"verifies credentials"),
	{0}};
static const struct route_param auth_params[] = {
	INT("nonce_expire", offsetof(struct auth_config, nonce_expire), 1, 86400, "300",
		"seconds that a nonce is good for"),
	INT("nonce_count", offsetof(struct auth_config, nonce_count), 0, 1, "0",
		"a nonce counts its uses"),
	TEXT("secret", offsetof(struct auth_config, secret), NULL, "key of the nonces"),
	TEXT("algorithm", offsetof(struct auth_config, algorithm), NULL, "MD5 or SHA-256"),
	NO_EFFECT("qop", S), NO_EFFECT("auth_checks_register", I),
	NO_EFFECT("auth_checks_no_dlg", I), NO_EFFECT("auth_checks_in_dlg", I),
	NO_EFFECT("rpid_avp", S), NO_EFFECT("rpid_prefix", S), NO_EFFECT("rpid_suffix", S),
	NO_EFFECT("realm_prefix", S), NO_EFFECT("force_stateless_reply", I),
	NO_EFFECT("disable_nonce_check", I), {0}};
static const struct route_module auth_module = {
	"auth", auth_functions, auth_params, sizeof(struct auth_config), NULL, NULL, NULL};

struct auth_db_config {
	const char *db_url, *user_column, *domain_column, *password_column, *load_credentials;
	int64_t calculate_ha1, use_domain;
};
static const struct route_function auth_db_functions[] = {
	FN("www_authorize", 2, 2, ROUTE_IN_REQUEST, "www_authorize(realm, table)",
		"verifies the credentials of a REGISTER"),
	FN("www_authenticate", 2, 3, ROUTE_IN_REQUEST, "www_authenticate(realm, table)",
		"verifies the credentials of a REGISTER"),
	FN("proxy_authorize", 2, 2, ROUTE_IN_REQUEST, "proxy_authorize(realm, table)",
		"verifies the credentials of a request"),
	FN("proxy_authenticate", 2, 2, ROUTE_IN_REQUEST, "proxy_authenticate(realm, table)",
		"verifies the credentials of a request"),
	FN("auth_check", 3, 3, ROUTE_IN_REQUEST, "auth_check(realm, table, flags)",
		"verifies credentials and their user"),
	FN("is_subscriber", 3, 3, ROUTE_IN_REQUEST, "is_subscriber(uri, table, flags)",
		"whether there is such a user"),
	{0}};
static const struct route_param auth_db_params[] = {
	TEXT("db_url", offsetof(struct auth_db_config, db_url), NULL,
		"database of the subscribers"),
	TEXT("user_column", offsetof(struct auth_db_config, user_column), "username", "column"),
	TEXT("domain_column", offsetof(struct auth_db_config, domain_column), "domain", "column"),
	TEXT("password_column", offsetof(struct auth_db_config, password_column), "ha1", "column"),
	TEXT("load_credentials", offsetof(struct auth_db_config, load_credentials), NULL,
		"columns to read besides"),
	INT("calculate_ha1", offsetof(struct auth_db_config, calculate_ha1), 0, 1, "0",
		"the password column is plain text"),
	INT("use_domain", offsetof(struct auth_db_config, use_domain), 0, 1, "0",
		"users have a domain"),
	NO_EFFECT("password_column_2", S), NO_EFFECT("version_table", I), {0}};
static const struct route_module auth_db_module = {"auth_db", auth_db_functions, auth_db_params,
	sizeof(struct auth_db_config), NULL, NULL, NULL};

static const struct route_function group_functions[] = {
	FN("is_user_in", 2, 2, REQUEST, "is_user_in(uri, group)",
		"whether a user belongs to a group"),
	FN("get_user_group", 2, 2, REQUEST, "get_user_group(uri, variable)", "the group of a user"),
	{0}};
static const struct route_param group_params[] = {
	NO_EFFECT("db_url", S), NO_EFFECT("table", S), NO_EFFECT("use_domain", I), {0}};
static const struct route_module group_module = {
	"group", group_functions, group_params, 0, NULL, NULL, NULL};

/* ---- acc ---- */

static const struct route_function acc_functions[] = {
	FN("acc_log_request", 1, 1, ANY, "acc_log_request(comment)",
		"accounts the request in the log"),
	FN("acc_db_request", 2, 2, ANY, "acc_db_request(comment, table)",
		"accounts the request in the database"),
	FN("acc_rad_request", 1, 1, ANY, "acc_rad_request(comment)",
		"accounts the request by RADIUS"),
	{0}};
static const struct route_param acc_params[] = {NO_EFFECT("log_flag", I),
	NO_EFFECT("log_missed_flag", I), NO_EFFECT("log_level", I), NO_EFFECT("log_facility", S),
	NO_EFFECT("log_extra", S), NO_EFFECT("db_flag", I), NO_EFFECT("db_missed_flag", I),
	NO_EFFECT("db_url", S), NO_EFFECT("db_extra", S), NO_EFFECT("db_table_acc", S),
	NO_EFFECT("db_table_missed_calls", S), NO_EFFECT("early_media", I),
	NO_EFFECT("report_ack", I), NO_EFFECT("report_cancels", I),
	NO_EFFECT("detect_direction", I), NO_EFFECT("failed_transaction_flag", I),
	NO_EFFECT("multi_leg_info", S), NO_EFFECT("failed_filter", S), NO_EFFECT("time_mode", I),
	NO_EFFECT("cdr_enable", I), {0}};
static const struct route_module acc_module = {
	"acc", acc_functions, acc_params, 0, NULL, NULL, NULL};

/* ---- nathelper, rtpproxy, mediaproxy ---- */

static const struct route_function nathelper_functions[] = {
	FN("fix_nated_contact", 0, 0, ANY, "fix_nated_contact()", "puts the source into Contact"),
	FN("fix_nated_register", 0, 0, ROUTE_IN_REQUEST, "fix_nated_register()",
		"keeps the source of a REGISTER"),
	FN("add_rcv_param", 0, 1, ROUTE_IN_REQUEST, "add_rcv_param([flag])",
		"adds the source to Contact"),
	FN("fix_nated_sdp", 1, 2, ANY, "fix_nated_sdp(flags [, address])",
		"puts the source into the SDP"),
	FN("nat_uac_test", 1, 1, ANY, "nat_uac_test(flags)", "whether the sender is behind a NAT"),
	FN("add_contact_alias", 0, 3, ANY, "add_contact_alias([host, port, transport])",
		"adds ;alias= to Contact"),
	FN("handle_ruri_alias", 0, 1, ROUTE_IN_REQUEST, "handle_ruri_alias()",
		"takes ;alias= of the Request-URI as destination"),
	FN("set_contact_alias", 0, 0, ANY, "set_contact_alias()", "adds ;alias= to Contact"),
	FN("is_rfc1918", 1, 1, ANY, "is_rfc1918(address)", "whether an address is private"), {0}};
static const struct route_param nathelper_params[] = {NO_EFFECT("natping_interval", I),
	NO_EFFECT("ping_nated_only", I), NO_EFFECT("natping_processes", I),
	NO_EFFECT("natping_socket", S), NO_EFFECT("received_avp", S), NO_EFFECT("sipping_bflag", I),
	NO_EFFECT("sipping_from", S), NO_EFFECT("sipping_method", S), NO_EFFECT("force_socket", S),
	NO_EFFECT("rtpproxy_sock", S), NO_EFFECT("rtpproxy_disable", I),
	NO_EFFECT("nortpproxy_str", S), NO_EFFECT("keepalive_timeout", I),
	NO_EFFECT("udpping_from_path", I), {0}};
static const struct route_module nathelper_module = {
	"nathelper", nathelper_functions, nathelper_params, 0, NULL, NULL, NULL};

static const struct route_function rtpproxy_functions[] = {
	FN("force_rtp_proxy", 0, 2, ANY, "force_rtp_proxy([flags, address])",
		"sends the media through the proxy"),
	FN("rtpproxy_offer", 0, 2, ANY, "rtpproxy_offer([flags, address])",
		"sends the media through the proxy"),
	FN("rtpproxy_answer", 0, 2, ANY, "rtpproxy_answer([flags, address])",
		"sends the media through the proxy"),
	FN("rtpproxy_manage", 0, 2, ANY, "rtpproxy_manage([flags, address])",
		"offers, answers or ends as fits the message"),
	FN("unforce_rtp_proxy", 0, 1, ANY, "unforce_rtp_proxy()", "ends the media session"),
	FN("rtpproxy_destroy", 0, 1, ANY, "rtpproxy_destroy()", "ends the media session"),
	FN("set_rtp_proxy_set", 1, 1, ANY, "set_rtp_proxy_set(set)", "chooses a set of proxies"),
	FN("start_recording", 0, 0, ANY, "start_recording()", "records the media"), {0}};
static const struct route_param rtpproxy_params[] = {NO_EFFECT("rtpproxy_sock", S),
	NO_EFFECT("rtpproxy_disable_tout", I), NO_EFFECT("rtpproxy_tout", I),
	NO_EFFECT("rtpproxy_retr", I), NO_EFFECT("nortpproxy_str", S), NO_EFFECT("db_url", S),
	NO_EFFECT("timeout_socket", S), {0}};
static const struct route_module rtpproxy_module = {
	"rtpproxy", rtpproxy_functions, rtpproxy_params, 0, NULL, NULL, NULL};

static const struct route_function rtpengine_functions[] = {
	FN("rtpengine_offer", 0, 2, ANY, "rtpengine_offer([flags])",
		"sends the media through the proxy"),
	FN("rtpengine_answer", 0, 2, ANY, "rtpengine_answer([flags])",
		"sends the media through the proxy"),
	FN("rtpengine_delete", 0, 1, ANY, "rtpengine_delete([flags])", "ends the media session"),
	FN("rtpengine_manage", 0, 2, ANY, "rtpengine_manage([flags])",
		"offers, answers or ends as fits the message"),
	{0}};
static const struct route_param rtpengine_params[] = {
	NO_EFFECT("rtpengine_sock", S), NO_EFFECT("setid_default", I), {0}};
static const struct route_module rtpengine_module = {
	"rtpengine", rtpengine_functions, rtpengine_params, 0, NULL, NULL, NULL};

/* ---- dialog, htable, uac, presence, alias_db, msilo, sqlops ---- */

static const struct route_function dialog_functions[] = {
	FN("dlg_manage", 0, 0, ROUTE_IN_REQUEST, "dlg_manage()", "follows the dialog"),
	FN("create_dialog", 0, 1, ROUTE_IN_REQUEST, "create_dialog()", "follows the dialog"),
	FN("is_known_dlg", 0, 0, ANY, "is_known_dlg()", "whether the dialog is followed"),
	FN("set_dlg_profile", 1, 2, ANY, "set_dlg_profile(profile [, value])",
		"adds the dialog to a profile"),
	FN("unset_dlg_profile", 1, 2, ANY, "unset_dlg_profile(profile [, value])",
		"removes the dialog from a profile"),
	FN("is_in_profile", 1, 2, ANY, "is_in_profile(profile [, value])",
		"whether the dialog is in a profile"),
	FN("get_profile_size", 2, 3, ANY, "get_profile_size(profile [, value], variable)",
		"counts dialogs"),
	FN("dlg_isflagset", 1, 1, ANY, "dlg_isflagset(flag)", "flag of the dialog"),
	FN("dlg_setflag", 1, 1, ANY, "dlg_setflag(flag)", "flag of the dialog"),
	FN("dlg_resetflag", 1, 1, ANY, "dlg_resetflag(flag)", "flag of the dialog"),
	FN("dlg_bye", 1, 1, ANY, "dlg_bye(side)", "ends the dialog"),
	FN("dlg_terminate", 1, 2, ANY, "dlg_terminate(side)", "ends the dialog"), {0}};
static const struct route_param dialog_params[] = {NO_EFFECT("dlg_flag", I),
	NO_EFFECT("default_timeout", I), NO_EFFECT("timeout_avp", S),
	NO_EFFECT("profiles_with_value", S), NO_EFFECT("profiles_no_value", S),
	NO_EFFECT("db_mode", I), NO_EFFECT("db_url", S), NO_EFFECT("dlg_match_mode", I),
	NO_EFFECT("hash_size", I), NO_EFFECT("rr_param", S), NO_EFFECT("ka_timer", I),
	NO_EFFECT("ka_interval", I), NO_EFFECT("send_bye", I), NO_EFFECT("enable_stats", I), {0}};
static const struct route_module dialog_module = {
	"dialog", dialog_functions, dialog_params, 0, NULL, NULL, NULL};

static const struct route_function htable_functions[] = {
	FN("sht_rm", 2, 2, ANY, "sht_rm(table, key)", "removes an entry"),
	FN("sht_rm_name_re", 1, 1, ANY, "sht_rm_name_re(expression)", "removes entries"),
	FN("sht_lock", 1, 1, ANY, "sht_lock(table=>key)", "locks an entry"),
	FN("sht_unlock", 1, 1, ANY, "sht_unlock(table=>key)", "unlocks an entry"),
	FN("sht_reset", 1, 1, ANY, "sht_reset(table)", "empties a table"),
	FN("sht_print", 0, 0, ANY, "sht_print()", "logs the tables"), {0}};
static const struct route_param htable_params[] = {NO_EFFECT("htable", S), NO_EFFECT("db_url", S),
	NO_EFFECT("timer_interval", I), NO_EFFECT("enable_dmq", I), {0}};
static const struct route_module htable_module = {
	"htable", htable_functions, htable_params, 0, NULL, NULL, NULL};

static const struct route_function uac_functions[] = {
	FN("uac_replace_from", 1, 2, REQUEST | ROUTE_IN_BRANCH, "uac_replace_from([display,] uri)",
		"changes From"),
	FN("uac_replace_to", 1, 2, REQUEST | ROUTE_IN_BRANCH, "uac_replace_to([display,] uri)",
		"changes To"),
	FN("uac_restore_from", 0, 0, REQUEST, "uac_restore_from()", "restores From"),
	FN("uac_auth", 0, 1, ROUTE_IN_FAILURE, "uac_auth()", "answers a challenge"),
	FN("uac_req_send", 0, 0, ANY, "uac_req_send()", "sends a request"), {0}};
static const struct route_param uac_params[] = {NO_EFFECT("restore_mode", S),
	NO_EFFECT("restore_from_avp", S), NO_EFFECT("restore_to_avp", S),
	NO_EFFECT("rr_store_param", S), NO_EFFECT("rr_from_store_param", S),
	NO_EFFECT("rr_to_store_param", S), NO_EFFECT("credential", S),
	NO_EFFECT("auth_realm_avp", S), NO_EFFECT("auth_username_avp", S),
	NO_EFFECT("auth_password_avp", S), {0}};
static const struct route_module uac_module = {
	"uac", uac_functions, uac_params, 0, NULL, NULL, NULL};

static const struct route_function alias_db_functions[] = {
	FN("alias_db_lookup", 1, 2, REQUEST, "alias_db_lookup(table [, flags])",
		"replaces the Request-URI by what it is an alias of"),
	FN("alias_db_find", 3, 4, ANY, "alias_db_find(table, input, output)", "looks an alias up"),
	{0}};
static const struct route_param alias_db_params[] = {
	NO_EFFECT("db_url", S), NO_EFFECT("use_domain", I), NO_EFFECT("append_branches", I), {0}};
static const struct route_module alias_db_module = {
	"alias_db", alias_db_functions, alias_db_params, 0, NULL, NULL, NULL};

static const struct route_function sqlops_functions[] = {
	FN("sql_query", 2, 3, ANY, "sql_query(connection, query [, result])", "asks a database"),
	FN("sql_xquery", 3, 3, ANY, "sql_xquery(connection, query, result)", "asks a database"),
	FN("sql_pvquery", 3, 3, ANY, "sql_pvquery(connection, query, variables)",
		"asks a database"),
	FN("sql_result_free", 1, 1, ANY, "sql_result_free(result)", "forgets an answer"), {0}};
static const struct route_param sqlops_params[] = {
	NO_EFFECT("sqlcon", S), NO_EFFECT("sqlres", S), {0}};
static const struct route_module sqlops_module = {
	"sqlops", sqlops_functions, sqlops_params, 0, NULL, NULL, NULL};

static const struct route_function pike_functions[] = {
	FN("pike_check_req", 0, 0, ROUTE_IN_REQUEST, "pike_check_req()",
		"whether a source sends too much"),
	{0}};
static const struct route_param pike_params[] = {NO_EFFECT("sampling_time_unit", I),
	NO_EFFECT("reqs_density_per_unit", I), NO_EFFECT("remove_latency", I),
	NO_EFFECT("check_route", S), NO_EFFECT("pike_log_level", I), {0}};
static const struct route_module pike_module = {
	"pike", pike_functions, pike_params, 0, NULL, NULL, NULL};

static const struct route_function uri_db_functions[] = {
	FN("check_to", 0, 0, ROUTE_IN_REQUEST, "check_to()",
		"whether To is the user of the credentials"),
	FN("check_from", 0, 0, ROUTE_IN_REQUEST, "check_from()",
		"whether From is the user of the credentials"),
	FN("does_uri_exist", 0, 0, ROUTE_IN_REQUEST, "does_uri_exist()",
		"whether the Request-URI is a user of ours"),
	{0}};
static const struct route_param uri_db_params[] = {NO_EFFECT("db_url", S),
	NO_EFFECT("use_uri_table", I), NO_EFFECT("use_domain", I), NO_EFFECT("db_table", S), {0}};
static const struct route_module uri_db_module = {
	"uri_db", uri_db_functions, uri_db_params, 0, NULL, NULL, NULL};

static const struct route_function presence_functions[] = {
	FN("handle_publish", 0, 1, ROUTE_IN_REQUEST, "handle_publish()",
		"takes a PUBLISH and answers it"),
	FN("handle_subscribe", 0, 1, ROUTE_IN_REQUEST, "handle_subscribe()",
		"takes a SUBSCRIBE and answers it"),
	{0}};
static const struct route_param presence_params[] = {
	NO_EFFECT("db_url", S), NO_EFFECT("server_address", S), NO_EFFECT("max_expires", I), {0}};
static const struct route_module presence_module = {
	"presence", presence_functions, presence_params, 0, NULL, NULL, NULL};

static const struct route_function path_functions[] = {
	FN("add_path", 0, 2, ROUTE_IN_REQUEST, "add_path([user])", "adds Path to a REGISTER"),
	FN("add_path_received", 0, 2, ROUTE_IN_REQUEST, "add_path_received([user])",
		"adds Path with the source to a REGISTER"),
	{0}};
static const struct route_param path_params[] = {NO_EFFECT("use_received", I), {0}};
static const struct route_module path_module = {
	"path", path_functions, path_params, 0, NULL, NULL, NULL};

/* Control interfaces: siplanectl takes their place. */
static const struct route_param control_params[] = {NO_EFFECT("fifo_name", S),
	NO_EFFECT("binrpc", S), NO_EFFECT("transport", I), NO_EFFECT("pretty_format", I),
	NO_EFFECT("fifo_mode", I), {0}};
#define CONTROL(symbol, text) \
	static const struct route_module symbol = { \
		text, no_functions, control_params, 0, NULL, NULL, NULL}
CONTROL(mi_fifo_module, "mi_fifo");
CONTROL(ctl_module, "ctl");
CONTROL(jsonrpcs_module, "jsonrpcs");

/* Modules that a configuration loads for others' sake and that have no function here. */
#define SILENT(symbol, text) \
	static const struct route_module symbol = {text, no_functions, NULL, 0, NULL, NULL, NULL}
SILENT(db_mysql_module, "db_mysql");
SILENT(mysql_module, "mysql");
SILENT(db_postgres_module, "db_postgres");
SILENT(db_sqlite_module, "db_sqlite");
SILENT(tmx_module, "tmx");
SILENT(kex_module, "kex");
SILENT(corex_module, "corex");
SILENT(textopsx_module, "textopsx");
SILENT(counters_module, "counters");
SILENT(cfg_rpc_module, "cfg_rpc");
SILENT(mi_rpc_module, "mi_rpc");
SILENT(db_text_module, "db_text");

const struct route_module *const route_state_modules[] = {&core_module, &tm_module, &auth_module,
	&auth_db_module, &group_module, &acc_module, &nathelper_module, &rtpproxy_module,
	&rtpengine_module, &dialog_module, &htable_module, &uac_module, &alias_db_module,
	&sqlops_module, &db_mysql_module, &mysql_module, &db_postgres_module, &db_sqlite_module,
	&tmx_module, &kex_module, &corex_module, &textopsx_module, &counters_module,
	&cfg_rpc_module, &mi_rpc_module, &db_text_module, &pike_module, &uri_db_module,
	&presence_module, &path_module, &mi_fifo_module, &ctl_module, &jsonrpcs_module, NULL};

bool state_variable(struct str name)
{
	static const char *const names[] = {"xavp", "xavu", "xavi", "sht", "shtex", "shv", "dlg",
		"dlg_var", "dlg_ctx", "T_branch_idx", "T_reply_code", "T_reply_reason",
		"T_reply_last", "T_rpl", "T_req", "T_inv", "T", "ulc", "dbr", "sqlrows", "adu",
		"aU", "ad", "ar", "au"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (str_eq(name, str_c(names[i])))
			return true;
	}
	return false;
}
