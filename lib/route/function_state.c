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
#define NO_EFFECT(n, kind, why) \
	{ \
		.name = n, .type = kind, .accepted_only = true, .help = why \
	}
#define I ROUTE_PARAM_INT
#define S ROUTE_PARAM_STR

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
#define AUTH_WHY "Credentials are not verified yet."
static const struct route_param auth_params[] = {
	INT("nonce_expire", offsetof(struct auth_config, nonce_expire), 1, 86400, "300",
		"seconds that a nonce is good for"),
	INT("nonce_count", offsetof(struct auth_config, nonce_count), 0, 1, "0",
		"a nonce counts its uses"),
	TEXT("secret", offsetof(struct auth_config, secret), NULL, "key of the nonces"),
	TEXT("algorithm", offsetof(struct auth_config, algorithm), NULL, "MD5 or SHA-256"),
	NO_EFFECT("qop", S, AUTH_WHY), NO_EFFECT("auth_checks_register", I, AUTH_WHY),
	NO_EFFECT("auth_checks_no_dlg", I, AUTH_WHY), NO_EFFECT("auth_checks_in_dlg", I, AUTH_WHY),
	NO_EFFECT("rpid_avp", S, AUTH_WHY), NO_EFFECT("rpid_prefix", S, AUTH_WHY),
	NO_EFFECT("rpid_suffix", S, AUTH_WHY), NO_EFFECT("realm_prefix", S, AUTH_WHY),
	NO_EFFECT("force_stateless_reply", I, AUTH_WHY),
	NO_EFFECT("disable_nonce_check", I, AUTH_WHY), {0}};
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
#define AUTH_DB_WHY "There is no database yet."
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
	NO_EFFECT("password_column_2", S, AUTH_DB_WHY), NO_EFFECT("version_table", I, AUTH_DB_WHY),
	{0}};
static const struct route_module auth_db_module = {"auth_db", auth_db_functions, auth_db_params,
	sizeof(struct auth_db_config), NULL, NULL, NULL};

static const struct route_function group_functions[] = {
	FN("is_user_in", 2, 2, REQUEST, "is_user_in(uri, group)",
		"whether a user belongs to a group"),
	{0}};
#define GROUP_WHY "There is no database yet."
static const struct route_param group_params[] = {NO_EFFECT("db_url", S, GROUP_WHY),
	NO_EFFECT("table", S, GROUP_WHY), NO_EFFECT("use_domain", I, GROUP_WHY), {0}};
static const struct route_module group_module = {
	"group", group_functions, group_params, 0, NULL, NULL, NULL};

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
	FN("handle_ruri_alias", 0, 1, ROUTE_IN_REQUEST | ROUTE_IN_BRANCH,
		"handle_ruri_alias([mode])", "takes ;alias= of the Request-URI as destination"),
	FN("set_contact_alias", 0, 1, ANY, "set_contact_alias([trim])", "adds ;alias= to Contact"),
	FN("is_rfc1918", 1, 1, ANY, "is_rfc1918(address)", "whether an address is private"), {0}};
#define NATHELPER_WHY "Nobody is sent keep-alives, and NAT is not dealt with yet."
static const struct route_param nathelper_params[] = {
	NO_EFFECT("natping_interval", I, NATHELPER_WHY),
	NO_EFFECT("ping_nated_only", I, NATHELPER_WHY),
	NO_EFFECT("natping_processes", I, NATHELPER_WHY),
	NO_EFFECT("natping_socket", S, NATHELPER_WHY), NO_EFFECT("received_avp", S, NATHELPER_WHY),
	NO_EFFECT("sipping_bflag", I, NATHELPER_WHY), NO_EFFECT("sipping_from", S, NATHELPER_WHY),
	NO_EFFECT("sipping_method", S, NATHELPER_WHY), NO_EFFECT("force_socket", S, NATHELPER_WHY),
	NO_EFFECT("rtpproxy_sock", S, NATHELPER_WHY),
	NO_EFFECT("rtpproxy_disable", I, NATHELPER_WHY),
	NO_EFFECT("nortpproxy_str", S, NATHELPER_WHY),
	NO_EFFECT("keepalive_timeout", I, NATHELPER_WHY),
	NO_EFFECT("udpping_from_path", I, NATHELPER_WHY), {0}};
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
#define RTPPROXY_WHY "Media is not relayed yet."
static const struct route_param rtpproxy_params[] = {NO_EFFECT("rtpproxy_sock", S, RTPPROXY_WHY),
	NO_EFFECT("rtpproxy_disable_tout", I, RTPPROXY_WHY),
	NO_EFFECT("rtpproxy_tout", I, RTPPROXY_WHY), NO_EFFECT("rtpproxy_retr", I, RTPPROXY_WHY),
	NO_EFFECT("nortpproxy_str", S, RTPPROXY_WHY), NO_EFFECT("db_url", S, RTPPROXY_WHY),
	NO_EFFECT("timeout_socket", S, RTPPROXY_WHY), {0}};
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
#define RTPENGINE_WHY "Media is not relayed yet."
static const struct route_param rtpengine_params[] = {NO_EFFECT("rtpengine_sock", S, RTPENGINE_WHY),
	NO_EFFECT("setid_default", I, RTPENGINE_WHY), {0}};
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
#define DIALOG_WHY "Dialogs are not followed yet."
static const struct route_param dialog_params[] = {NO_EFFECT("dlg_flag", I, DIALOG_WHY),
	NO_EFFECT("default_timeout", I, DIALOG_WHY), NO_EFFECT("timeout_avp", S, DIALOG_WHY),
	NO_EFFECT("profiles_with_value", S, DIALOG_WHY),
	NO_EFFECT("profiles_no_value", S, DIALOG_WHY), NO_EFFECT("db_mode", I, DIALOG_WHY),
	NO_EFFECT("db_url", S, DIALOG_WHY), NO_EFFECT("dlg_match_mode", I, DIALOG_WHY),
	NO_EFFECT("hash_size", I, DIALOG_WHY), NO_EFFECT("rr_param", S, DIALOG_WHY),
	NO_EFFECT("ka_timer", I, DIALOG_WHY), NO_EFFECT("ka_interval", I, DIALOG_WHY),
	NO_EFFECT("send_bye", I, DIALOG_WHY), NO_EFFECT("enable_stats", I, DIALOG_WHY), {0}};
static const struct route_module dialog_module = {
	"dialog", dialog_functions, dialog_params, 0, NULL, NULL, NULL};

static const struct route_function htable_functions[] = {
	FN("sht_rm", 2, 2, ANY, "sht_rm(table, key)", "removes an entry"),
	FN("sht_rm_name_re", 1, 1, ANY, "sht_rm_name_re(expression)", "removes entries"),
	FN("sht_lock", 1, 1, ANY, "sht_lock(table=>key)", "locks an entry"),
	FN("sht_unlock", 1, 1, ANY, "sht_unlock(table=>key)", "unlocks an entry"),
	FN("sht_reset", 1, 1, ANY, "sht_reset(table)", "empties a table"),
	FN("sht_print", 0, 0, ANY, "sht_print()", "logs the tables"), {0}};
#define HTABLE_WHY "There are no tables that messages share yet."
static const struct route_param htable_params[] = {NO_EFFECT("htable", S, HTABLE_WHY),
	NO_EFFECT("db_url", S, HTABLE_WHY), NO_EFFECT("timer_interval", I, HTABLE_WHY),
	NO_EFFECT("enable_dmq", I, HTABLE_WHY), {0}};
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
#define UAC_WHY "From and To are not rewritten yet."
static const struct route_param uac_params[] = {NO_EFFECT("restore_mode", S, UAC_WHY),
	NO_EFFECT("restore_from_avp", S, UAC_WHY), NO_EFFECT("restore_to_avp", S, UAC_WHY),
	NO_EFFECT("rr_store_param", S, UAC_WHY), NO_EFFECT("rr_from_store_param", S, UAC_WHY),
	NO_EFFECT("rr_to_store_param", S, UAC_WHY), NO_EFFECT("credential", S, UAC_WHY),
	NO_EFFECT("auth_realm_avp", S, UAC_WHY), NO_EFFECT("auth_username_avp", S, UAC_WHY),
	NO_EFFECT("auth_password_avp", S, UAC_WHY), {0}};
static const struct route_module uac_module = {
	"uac", uac_functions, uac_params, 0, NULL, NULL, NULL};

static const struct route_function alias_db_functions[] = {
	FN("alias_db_lookup", 1, 2, REQUEST, "alias_db_lookup(table [, flags])",
		"replaces the Request-URI by what it is an alias of"),
	FN("alias_db_find", 3, 4, ANY, "alias_db_find(table, input, output)", "looks an alias up"),
	{0}};
#define ALIAS_DB_WHY "There is no database yet."
static const struct route_param alias_db_params[] = {NO_EFFECT("db_url", S, ALIAS_DB_WHY),
	NO_EFFECT("use_domain", I, ALIAS_DB_WHY), NO_EFFECT("append_branches", I, ALIAS_DB_WHY),
	{0}};
static const struct route_module alias_db_module = {
	"alias_db", alias_db_functions, alias_db_params, 0, NULL, NULL, NULL};

static const struct route_function sqlops_functions[] = {
	FN("sql_query", 2, 3, ANY, "sql_query(connection, query [, result])", "asks a database"),
	FN("sql_xquery", 3, 3, ANY, "sql_xquery(connection, query, result)", "asks a database"),
	FN("sql_pvquery", 3, 3, ANY, "sql_pvquery(connection, query, variables)",
		"asks a database"),
	FN("sql_result_free", 1, 1, ANY, "sql_result_free(result)", "forgets an answer"), {0}};
#define SQLOPS_WHY "Scripts do not ask databases themselves yet."
static const struct route_param sqlops_params[] = {
	NO_EFFECT("sqlcon", S, SQLOPS_WHY), NO_EFFECT("sqlres", S, SQLOPS_WHY), {0}};
static const struct route_module sqlops_module = {
	"sqlops", sqlops_functions, sqlops_params, 0, NULL, NULL, NULL};

static const struct route_function pike_functions[] = {
	FN("pike_check_req", 0, 0, ROUTE_IN_REQUEST, "pike_check_req()",
		"whether a source sends too much"),
	{0}};
#define PIKE_WHY "Sources are not counted yet."
static const struct route_param pike_params[] = {NO_EFFECT("sampling_time_unit", I, PIKE_WHY),
	NO_EFFECT("reqs_density_per_unit", I, PIKE_WHY), NO_EFFECT("remove_latency", I, PIKE_WHY),
	NO_EFFECT("check_route", S, PIKE_WHY), NO_EFFECT("pike_log_level", I, PIKE_WHY), {0}};
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
#define URI_DB_WHY "There is no database yet."
static const struct route_param uri_db_params[] = {NO_EFFECT("db_url", S, URI_DB_WHY),
	NO_EFFECT("use_uri_table", I, URI_DB_WHY), NO_EFFECT("use_domain", I, URI_DB_WHY),
	NO_EFFECT("db_table", S, URI_DB_WHY), {0}};
static const struct route_module uri_db_module = {
	"uri_db", uri_db_functions, uri_db_params, 0, NULL, NULL, NULL};

static const struct route_function presence_functions[] = {
	FN("handle_publish", 0, 1, ROUTE_IN_REQUEST, "handle_publish()",
		"takes a PUBLISH and answers it"),
	FN("handle_subscribe", 0, 1, ROUTE_IN_REQUEST, "handle_subscribe()",
		"takes a SUBSCRIBE and answers it"),
	{0}};
#define PRESENCE_WHY "There is no presence yet."
static const struct route_param presence_params[] = {NO_EFFECT("db_url", S, PRESENCE_WHY),
	NO_EFFECT("server_address", S, PRESENCE_WHY), NO_EFFECT("max_expires", I, PRESENCE_WHY),
	{0}};
static const struct route_module presence_module = {
	"presence", presence_functions, presence_params, 0, NULL, NULL, NULL};

/* Control interfaces: the control socket takes their place. */
#define CONTROL_WHY \
	"The control socket (control_socket) is one of siplane's own: siplanectl, or JSON-RPC."
static const struct route_param control_params[] = {NO_EFFECT("fifo_name", S, CONTROL_WHY),
	NO_EFFECT("binrpc", S, CONTROL_WHY), NO_EFFECT("transport", I, CONTROL_WHY),
	NO_EFFECT("pretty_format", I, CONTROL_WHY), NO_EFFECT("fifo_mode", I, CONTROL_WHY), {0}};
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
SILENT(proto_udp_module, "proto_udp");
SILENT(signaling_module, "signaling");
SILENT(uri_module, "uri");
SILENT(options_module, "options");

const struct route_module *const route_state_modules[] = {&core_module, &auth_module,
	&auth_db_module, &group_module, &nathelper_module, &rtpproxy_module, &rtpengine_module,
	&dialog_module, &htable_module, &uac_module, &alias_db_module, &sqlops_module,
	&db_mysql_module, &mysql_module, &db_postgres_module, &db_sqlite_module, &tmx_module,
	&kex_module, &corex_module, &textopsx_module, &counters_module, &cfg_rpc_module,
	&mi_rpc_module, &db_text_module, &proto_udp_module, &signaling_module, &uri_module,
	&options_module, &pike_module, &uri_db_module, &presence_module, &mi_fifo_module,
	&ctl_module, &jsonrpcs_module, NULL};

bool state_variable(struct str name)
{
	static const char *const names[] = {"xavp", "xavu", "xavi", "sht", "shtex", "dlg",
		"dlg_var", "dlg_ctx", "dbr", "sqlrows"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (str_eq(name, str_c(names[i])))
			return true;
	}
	return false;
}
