/* SPDX-License-Identifier: BSD-3-Clause */
/* Globals, port, cores, memory, listen, alias: what stands outside of the blocks. */
#include <stdio.h>
#include <stdlib.h>

#include "route/load.h"

enum kind {
	TEXT,
	FILE_NAME,
	NUMBER,
	BOOLEAN,
	CPUS,
	AMOUNT,
	IDLE,
	HUGE_PAGES,
	ADDRESSES,
	HEADER,
	GATEWAYS,
	ACCEPTED
};

struct setting {
	const char *name;
	enum kind kind;
	size_t offset;
	int64_t min, max;
	const char *help;
};

#define AT(member) offsetof(struct route_config, member)

static const struct setting globals[] = {
	{"debug", NUMBER, AT(debug), -5, 10,
		"how much is logged: 1 errors, 2 warnings, 3 "
		"notices (the default), 4 information, 5 and more for "
		"debugging"},
	{"log_stderror", BOOLEAN, AT(log_stderror), 0, 1,
		"messages go to standard error (the default), or to syslog"},
	{"log_level", NUMBER, AT(debug), -5, 10, "the same as debug, OpenSIPS' name"},
	{"stderror_enabled", BOOLEAN, AT(log_stderror), 0, 1,
		"the same as log_stderror, OpenSIPS' name"},
	{"port", NUMBER, AT(port_default), 1, 65535,
		"port of each `listen` that names none; 5060 where it is not set"},
	{"mhomed", BOOLEAN, AT(mhomed), 0, 1,
		"the listener to send from is found by the route to the next hop"},
	{"advertised_address", TEXT, AT(advertised_address), 0, 0,
		"host in Via and Record-Route instead of the listener's address"},
	{"advertised_port", NUMBER, AT(advertised_port), 1, 65535,
		"port in Via and Record-Route instead of the listener's"},
	{"user_agent_header", HEADER, AT(user_agent_header), 0, 0,
		"the User-Agent header field of requests that siplane makes"},
	{"server_header", HEADER, AT(server_header), 0, 0,
		"the Server header field of replies that siplane makes"},
	{"secret_file", FILE_NAME, AT(secret_file), 0, 0,
		"file of the keys that sign branches, Via and Record-Route; nodes of a group share "
		"it"},
	{"control_socket", FILE_NAME, AT(control_socket), 0, 0,
		"the Unix socket that siplanectl speaks to; /run/siplane/siplane.sock where it is "
		"not "
		"set"},
	{"control_group", TEXT, AT(control_group), 0, 0,
		"the group whose members may use control_socket, beside root and the user that "
		"siplane runs as"},
	{"scanner", TEXT, AT(scanner), 0, 0,
		"forces a SIP scanner: scalar, sse42, avx2 or avx512; the best one where it is not "
		"set"},
	{"dns_servers", TEXT, AT(dns_servers), 0, 0,
		"name servers, \"address:port\" with commas; resolv.conf's where it is not set"},
	{"dns_try_naptr", BOOLEAN, AT(dns_try_naptr), 0, 1,
		"NAPTR records say where a next hop's services are (the default), or SRV records "
		"alone"},
	{"db_url", TEXT, AT(db_url), 0, 0,
		"the database of modules that name none: sqlite://, mysql:// or postgres://; "
		"sqlite:///var/lib/siplane/siplane.sqlite where it is not set"},
	{"db_default_url", TEXT, AT(db_url), 0, 0, "the same, as OpenSIPS has it"},
	{"db_threads", NUMBER, AT(db_threads), 1, 16,
		"connections to each database that ask; 2 where it is not set"},
	{"db_stale", NUMBER, AT(db_stale), 0, 604800,
		"seconds for which what a database said before stands in while it fails"},
	{"avp_aliases", TEXT, AT(avp_aliases), 0, 0,
		"other names of AVPs, \"day=i:101;time=s:hours\": $avp(day) is $avp(i:101)"},
	{"require_token", BOOLEAN, AT(require_token), 0, 1,
		"in-dialog requests are relayed only with a Record-Route of ours"},
	{"token_trusted_group", NUMBER, AT(token_trusted_group), 0, INT32_MAX,
		"address group that require_token exempts"},
	{"xlog_rate", NUMBER, AT(xlog_rate), 0, 1000000,
		"xlog lines of one worker a second at most"},
	{"reply_rate", NUMBER, AT(reply_rate), 0, 1000000,
		"replies to one source a second at most, where the request was malformed or the "
		"reply exceeds it by half"},
	{0}};

/* Globals of OpenSER and Kamailio that the appliance has no use for; known.def says why. */
static const char *const accepted[] = {"abort_on_assert", "add_rport", "async_nonblock",
	"async_usleep", "async_workers", "async_workers_group", "auto_aliases", "auto_bind_ipv6",
	"auto_scaling_cycle", "auto_scaling_profile", "avp_db_url", "bin_children", "bin_listen",
	"bind_ipv6_link_local", "cfgengine", "check_via", "children", "chroot", "core_dump",
	"core_log", "corelog", "db_max_async_connections", "db_version_table", "debug_mode",
	"description", "disable_503_translation", "disable_core_dump", "disable_dns_blacklist",
	"disable_dns_failover", "disable_sctp", "disable_stateless_fwd", "disable_tcp",
	"disable_tls", "dns", "dns_cache_del_nonexp", "dns_cache_delete_nonexpired",
	"dns_cache_flags", "dns_cache_gc_interval", "dns_cache_init", "dns_cache_max_ttl",
	"dns_cache_mem", "dns_cache_min_ttl", "dns_cache_negative_ttl", "dns_cache_rec_pref",
	"dns_naptr_ignore_rfc", "dns_retr_no", "dns_retr_time", "dns_sctp_pref",
	"dns_sctp_preference", "dns_search_full_match", "dns_servers_no", "dns_slow_query_ms",
	"dns_srv_lb", "dns_srv_loadbalancing", "dns_tcp_pref", "dns_tcp_preference", "dns_tls_pref",
	"dns_tls_preference", "dns_try_ipv6", "dns_udp_pref", "dns_udp_preference",
	"dns_use_search_list", "dst_blacklist", "dst_blacklist_mem", "dst_blocklist_expire",
	"dst_blocklist_gc_interval", "dst_blocklist_init", "dst_blocklist_mem",
	"dst_blocklist_sctp_imask", "dst_blocklist_tcp_imask", "dst_blocklist_tls_imask",
	"dst_blocklist_ttl", "dst_blocklist_udp_imask", "enable_asserts", "enable_sctp",
	"enable_tls", "event_pkg_threshold", "event_shm_threshold", "exec_dns_threshold",
	"exec_msg_threshold", "execdnsthreshold", "execmsgthreshold", "exit_timeout", "force_rport",
	"fork", "fork_delay", "gid", "group", "hdr_name_extra_chars", "http_reply_hack",
	"http_reply_parse", "id", "ip_free_bind", "ip_nonlocal_bind", "ipfreebind",
	"ipv6_hex_style", "kemi", "latency_cfg_log", "latency_limit_action", "latency_limit_cfg",
	"latency_limit_db", "latency_log", "loadpath", "local_rport", "log_color",
	"log_engine_data", "log_engine_type", "log_event_enabled", "log_event_level_filter",
	"log_facility", "log_json_buf_size", "log_msg_buf_size", "log_name", "log_prefix",
	"log_prefix_mode", "log_stdout", "max_branches", "max_recursive_level", "max_while_loops",
	"maxbuffer", "mcast", "mcast_loopback", "mcast_ttl", "mem_add_size", "mem_dbg", "mem_dump",
	"mem_join", "mem_log", "mem_safety", "mem_status_mode", "mem_summary", "mem_warming",
	"mem_warming_enabled", "mem_warming_pattern_file", "mem_warming_percentage", "memdbg",
	"memdump", "memgrps", "memlog", "memsum", "mlock_pages", "modinit_delay", "modules_path",
	"mpath", "msg_time", "onsend_route_reply", "open_files_limit", "phone2tel", "phonestr",
	"pidfile", "pmtu_discovery", "poll_method", "pv_buffer_size", "pv_buffer_slots",
	"pv_cache_action", "pv_cache_limit", "pv_print_buf_size", "query_buffer_size",
	"query_flush_time", "real_time", "received_route_mode", "reply_to_via",
	"restart_persistency_cache_file", "restart_persistency_size", "rev_dns", "route_locks_size",
	"rt_fast_timer_prio", "rt_ftimer_policy", "rt_ftimer_prio", "rt_policy", "rt_prio",
	"rt_stimer_policy", "rt_stimer_prio", "rt_timer1_policy", "rt_timer1_prio",
	"rt_timer2_policy", "rt_timer2_prio", "run_dir", "rundir", "sctp_children",
	"ser_kill_timeout", "server_id", "server_signature", "shm", "shm_force_alloc",
	"shm_hash_split_percentage", "shm_mem", "shm_mem_size", "shm_memlog_size",
	"shm_secondary_hash_size", "sip_parser_log", "sip_parser_log_oneline", "sip_parser_mode",
	"sip_warning", "socket_workers", "sql_buffer_size", "statistics", "stats_name_separator",
	"stderror_level_filter", "stderror_log_format", "stun_active", "stun_allow_fp",
	"stun_allow_stun", "stun_refresh_interval", "syn_branch", "syslog_enabled",
	"syslog_facility", "syslog_level_filter", "syslog_log_format", "syslog_name",
	"tcp_accept_aliases", "tcp_accept_haproxy", "tcp_accept_hep3", "tcp_accept_no_cl",
	"tcp_accept_unique", "tcp_async", "tcp_async_local_connect_timeout",
	"tcp_async_local_write_timeout", "tcp_async_max_postponed_chunks", "tcp_buf_write",
	"tcp_children", "tcp_clone_rcvbuf", "tcp_conn_wq_max", "tcp_connect_timeout",
	"tcp_connection_lifetime", "tcp_connection_match", "tcp_crlf_ping", "tcp_crlf_pingpong",
	"tcp_defer_accept", "tcp_delayed_ack", "tcp_fd_cache", "tcp_keepalive", "tcp_keepcnt",
	"tcp_keepcount", "tcp_keepidle", "tcp_keepinterval", "tcp_keepintvl", "tcp_linger2",
	"tcp_listen_backlog", "tcp_max_connections", "tcp_max_msg_chunks", "tcp_max_msg_time",
	"tcp_no_connect", "tcp_no_new_conn_bflag", "tcp_no_new_conn_rplflag",
	"tcp_parallel_read_on_workers", "tcp_poll_method", "tcp_rd_buf_size", "tcp_reuse_port",
	"tcp_script_mode", "tcp_send_timeout", "tcp_socket_backlog", "tcp_source_ipv4",
	"tcp_source_ipv6", "tcp_syncnt", "tcp_threshold", "tcp_wait_data", "tcp_workers",
	"tcp_wq_blk_size", "tcp_wq_max", "tcpthreshold", "timer_workers", "tls_ca_dir",
	"tls_ca_list", "tls_certificate", "tls_cipher_list", "tls_ciphers_list",
	"tls_client_domain_avp", "tls_dh_params", "tls_disable", "tls_ec_curve", "tls_enable",
	"tls_handshake_timeout", "tls_log", "tls_max_connections", "tls_method", "tls_port_no",
	"tls_private_key", "tls_require_certificate", "tls_require_client_certificate",
	"tls_send_timeout", "tls_verify", "tls_verify_client", "tls_verify_server", "tlslog", "tos",
	"udp4_raw", "udp4_raw_mtu", "udp4_raw_ttl", "udp_mtu", "udp_mtu_try_proto", "udp_workers",
	"uid", "uri_host_extra_chars", "use_dns_cache", "use_dns_failover", "use_dst_blacklist",
	"use_dst_blocklist", "user", "verbose_startup", "version_table", "wait_worker1_mode",
	"wait_worker1_time", "wait_worker1_usleep", "wdir", "workdir", "xavp_via_fields",
	"xavp_via_params", "xavp_via_reply_params", "xlog_buf_size", "xlog_default_level",
	"xlog_force_color", "xlog_level", "xlog_print_level"};
_Static_assert(sizeof(accepted) / sizeof(accepted[0]) <= 384, "one bit each in warned_globals");

#undef AT
#define AT(member) offsetof(struct route_config_port, member)
static const struct setting port_settings[] = {
	{"device", TEXT, AT(device), 0, 0,
		"PCI address, or a virtual device with its arguments: \"net_af_xdp,iface=eth1\""},
	{"address", ADDRESSES, 0, 0, 0,
		"address with prefix length on the exception interface; may be repeated"},
	{"gateway", GATEWAYS, 0, 0, 0, "default route of a family"},
	{"kernel_interface", TEXT, AT(kernel_interface), 0, 0,
		"name of the exception interface; \"ct-\" and the port's name where it is not set"},
	{"profile", TEXT, AT(profile), 0, 0,
		"a profile of drivers-config/profiles instead of the driver's"},
	{"mtu", NUMBER, AT(mtu), 68, 9702, "bytes of an IP packet; 1500 where it is not set"},
	{"queues", NUMBER, AT(queues), 1, 128, "queue pairs; one a worker where it is not set"},
	{"rx_descriptors", NUMBER, AT(rx_descriptors), 32, 32768, "descriptors of a receive queue"},
	{"tx_descriptors", NUMBER, AT(tx_descriptors), 32, 32768,
		"descriptors of a transmit queue"},
	{"vlan", NUMBER, AT(vlan), 1, 4094, "VLAN of our traffic; untagged where it is not set"},
	{"mac", TEXT, AT(mac), 0, 0, "MAC address instead of the device's"}, {0}};

#undef AT
#define AT(member) offsetof(struct route_config, member)
static const struct setting cores_settings[] = {
	{"control", CPUS, AT(cores_control), 0, 0, "CPUs of the control thread"},
	{"slow", CPUS, AT(cores_slow), 0, 0,
		"CPUs of the slow path, one slow lcore each; a CPU can stand twice"},
	{"slow_count", NUMBER, AT(slow_count), 0, 32,
		"number of slow lcores where no CPUs are named; one where it is not set"},
	{"workers", CPUS, AT(cores_workers), 0, 0, "CPUs of the workers, \"2-7,9\", or auto"},
	{"workers_count", NUMBER, AT(workers_count), 0, 128,
		"number of workers where no CPUs are named"},
	{"idle", IDLE, AT(idle), 0, 0,
		"poll: workers never sleep; sleep: they do when nothing comes"},
	{0}};

static const struct setting memory_settings[] = {
	{"contacts", AMOUNT, AT(memory_contacts), 1, 1000000000,
		"registered contacts at most, as 1M"},
	{"transactions", AMOUNT, AT(memory_transactions), 1, 1000000000,
		"transactions at a time at most, as 200k"},
	{"messages", AMOUNT, AT(memory_messages), 1, 1000000000,
		"messages that are held at a time at most"},
	{"rows", AMOUNT, AT(memory_rows), 1024, 16000000,
		"answers of databases that are remembered at most; 64k where it is not set"},
	{"huge", HUGE_PAGES, AT(memory_huge), 0, 0, "huge pages: auto, yes or no"}, {0}};
#undef AT

void config_init(struct route_config *config)
{
	memset(config, 0, sizeof(*config));
	config->memory_huge = -1;
	config->dns_try_naptr = 1;
	config->require_token = 1; /* no open relay unless somebody asks for one */
	config->debug = 3;
	config->log_stderror = 1;
	config->xlog_rate = 100;
	config->reply_rate = 100;
	config->db_url = "sqlite:///var/lib/siplane/siplane.sqlite";
	config->db_stale = 3600;
}

const char *load_keep_path(struct route_load *load, struct str path, struct ast_at at)
{
	struct route_place place = load_place(load, at);
	const char *slash = place.file != NULL ? strrchr(place.file, '/') : NULL;
	char *joined = NULL;
	const char *kept;
	int len;

	if (slash == NULL || (path.len > 0 && path.s[0] == '/'))
		return config_keep(load, path);
	len = asprintf(&joined, "%.*s/%.*s", (int)(slash - place.file), place.file, STR_FMT(path));
	if (len < 0) {
		load_no_memory(load);
		return NULL;
	}
	kept = config_keep(load, str_of(joined, (size_t)len));
	free(joined);
	return kept;
}

bool config_truth(const struct config_value *value, int64_t *out)
{
	static const char *const yes[] = {"yes", "on", "true", "enable", "enabled"};
	static const char *const no[] = {"no", "off", "false", "disable", "disabled"};

	if (value->is_number) {
		*out = value->number;
		return value->number == 0 || value->number == 1;
	}
	for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++) {
		if (str_ieq(value->text, str_c(yes[i]))) {
			*out = 1;
			return true;
		}
		if (str_ieq(value->text, str_c(no[i]))) {
			*out = 0;
			return true;
		}
	}
	return false;
}

/* "2-7,9": digits, dashes and commas in their order. */
static bool is_cpu_list(struct str s)
{
	bool digit = false;

	for (uint32_t i = 0; i < s.len; i++) {
		if (str_is_digit(s.s[i]))
			digit = true;
		else if ((s.s[i] == '-' || s.s[i] == ',') && digit && i + 1 < s.len)
			digit = false;
		else if (!str_is_lws(s.s[i]))
			return false;
	}
	return digit;
}

static void set_number(struct route_load *load, const struct setting *s, void *base,
	const struct config_value *value)
{
	int64_t *out = (int64_t *)((char *)base + s->offset);

	if (!value->is_number)
		load_error(load, value->at, "'%s' wants a number, not '%.*s'", s->name,
			STR_FMT(value->text));
	else if (value->number < s->min || value->number > s->max)
		load_error(load, value->at, "'%s' is %lld to %lld, not %lld", s->name,
			(long long)s->min, (long long)s->max, (long long)value->number);
	else
		*out = value->number;
}

static void set_address(struct route_load *load, const struct setting *s,
	struct route_config_port *port, const struct config_value *value)
{
	int64_t slash = str_find(value->text, '/');
	struct str host = slash >= 0 ? str_of(value->text.s, (size_t)slash) : value->text;
	struct net_addr addr;
	uint32_t bits = 0;

	if (net_addr_parse(host, &addr) != 0 ||
		(slash >= 0 && str_to_u32(str_of(value->text.s + slash + 1,
						  value->text.len - (size_t)slash - 1),
				       addr.family == 4 ? 32 : 128, &bits) != 0)) {
		load_error(load, value->at, "'%.*s' is no address%s", STR_FMT(value->text),
			s->kind == ADDRESSES ? " with a prefix length, such as 10.0.0.5/24" : "");
		return;
	}
	if (s->kind == GATEWAYS) {
		if (slash >= 0)
			load_error(
				load, value->at, "a gateway is an address without a prefix length");
		else
			port->gateway[addr.family == 6] = config_keep(load, value->text);
	} else if (port->addresses == ROUTE_ADDRESSES_MAX) {
		load_error(load, value->at, "a port has %d addresses at most", ROUTE_ADDRESSES_MAX);
	} else {
		port->address[port->addresses++] = config_keep(load, value->text);
	}
}

/* Kamailio writes the whole line, "Server: x": the value is what counts. */
static struct str header_value(struct str text)
{
	int64_t colon = str_find(text, ':');
	enum sip_header_id id =
		colon > 0 ? sip_header_of(str_of(text.s, (size_t)colon)) : SIP_HEADER_OTHER;

	if (id != SIP_HEADER_SERVER && id != SIP_HEADER_USER_AGENT)
		return text;
	return str_trim(str_of(text.s + colon + 1, text.len - (size_t)colon - 1));
}

static void set(struct route_load *load, const struct setting *s, void *base,
	const struct config_value *value)
{
	const char **text = (const char **)((char *)base + s->offset);
	int64_t *number = (int64_t *)((char *)base + s->offset);

	switch (s->kind) {
	case HEADER:
		*text = config_keep(load, header_value(value->text));
		break;
	case TEXT:
	case FILE_NAME:
		if (value->text.len == 0 || memchr(value->text.s, '\0', value->text.len) != NULL)
			load_error(load, value->at, "'%s' is empty", s->name);
		else if (s->kind == FILE_NAME)
			*text = load_keep_path(load, value->text, value->at);
		else
			*text = config_keep(load, value->text);
		break;
	case NUMBER:
	case AMOUNT:
		set_number(load, s, base, value);
		break;
	case BOOLEAN:
		if (!config_truth(value, number))
			load_error(load, value->at, "'%s' is yes or no, not '%.*s'", s->name,
				STR_FMT(value->text));
		break;
	case CPUS:
		if (str_eq(value->text, STR("auto")))
			*text = NULL;
		else if (!is_cpu_list(value->text))
			load_error(load, value->at,
				"'%s' is a list of CPUs such as 2-7,9, not '%.*s'", s->name,
				STR_FMT(value->text));
		else
			*text = config_keep(load, value->text);
		break;
	case IDLE:
		if (str_eq(value->text, STR("poll")))
			((struct route_config *)base)->idle = ROUTE_IDLE_POLL;
		else if (str_eq(value->text, STR("sleep")))
			((struct route_config *)base)->idle = ROUTE_IDLE_SLEEP;
		else
			load_error(load, value->at, "'idle' is poll or sleep, not '%.*s'",
				STR_FMT(value->text));
		break;
	case HUGE_PAGES:
		if (str_eq(value->text, STR("auto")))
			*number = -1;
		else if (!config_truth(value, number))
			load_error(load, value->at, "'huge' is auto, yes or no, not '%.*s'",
				STR_FMT(value->text));
		break;
	case ADDRESSES:
	case GATEWAYS:
		set_address(load, s, base, value);
		break;
	case ACCEPTED:
		break;
	}
}

static void set_by_name(struct route_load *load, const struct setting *table, const char *where,
	void *base, struct str key, struct ast_at at, const struct config_value *value)
{
	struct suggest near;
	const char *best;

	suggest_begin(&near, key);
	for (const struct setting *s = table; s->name != NULL; s++) {
		if (str_eq(key, str_c(s->name))) {
			set(load, s, base, value);
			return;
		}
		suggest_offer(&near, str_c(s->name));
	}
	best = suggest_end(&near);
	if (best != NULL)
		load_error(load, at, "unknown setting '%.*s' of %s (did you mean '%s'?)",
			STR_FMT(key), where, best);
	else
		load_error(load, at, "unknown setting '%.*s' of %s", STR_FMT(key), where);
}

static void warn_of_no_effect(struct route_load *load, struct ast_at at, struct str name)
{
	const struct known *known = known_find(KNOWN_GLOBAL, STR_NONE, name);

	load_warning(load, at, "'%.*s' has no effect here%s%s", STR_FMT(name),
		known != NULL ? ": " : "", known != NULL ? known->why : "");
}

void config_global(struct route_load *load, struct str name, struct ast_at at,
	const struct config_value *value)
{
	struct suggest near;
	const char *best;

	/* OpenSIPS' name of listen */
	if (str_eq(name, STR("socket"))) {
		config_listen(load, value->text, value->at, STR_NONE, value->at, STR_NONE);
		return;
	}
	suggest_begin(&near, name);
	for (const struct setting *s = globals; s->name != NULL; s++) {
		if (str_eq(name, str_c(s->name))) {
			set(load, s, &load->script->config, value);
			return;
		}
		suggest_offer(&near, str_c(s->name));
	}
	for (size_t i = 0; i < sizeof(accepted) / sizeof(accepted[0]); i++) {
		if (!str_eq(name, str_c(accepted[i]))) {
			suggest_offer(&near, str_c(accepted[i]));
			continue;
		}
		if ((load->warned_globals[i / 64] >> (i % 64) & 1) == 0)
			warn_of_no_effect(load, at, name);
		load->warned_globals[i / 64] |= 1ULL << (i % 64);
		return;
	}
	best = suggest_end(&near);
	if (best != NULL)
		load_error(load, at, "unknown global '%.*s' (did you mean '%s'?)", STR_FMT(name),
			best);
	else
		load_error(load, at, "unknown global '%.*s'", STR_FMT(name));
}

void config_unknown_block(struct route_load *load, struct str word, struct ast_at at)
{
	static const char *const blocks[] = {"port", "cores", "memory", "route", "request_route",
		"reply_route", "onreply_route", "failure_route", "branch_route", "event_route",
		"error_route", "onsend_route"};
	const struct known *known = known_find(KNOWN_NO_EVENT, STR_NONE, word);
	struct suggest near;

	if (known != NULL) {
		load_error(load, at, "'%.*s' is not there: %s", STR_FMT(word), known->why);
		return;
	}
	suggest_begin(&near, word);
	for (size_t i = 0; i < sizeof(blocks) / sizeof(blocks[0]); i++)
		suggest_offer(&near, str_c(blocks[i]));
	if (suggest_end(&near) != NULL)
		load_error(load, at, "unknown block '%.*s' (did you mean '%s'?)", STR_FMT(word),
			suggest_end(&near));
	else
		load_error(load, at, "unknown block '%.*s'", STR_FMT(word));
}

/* ---- port, cores, memory ---- */

static struct route_config_port *last_port(struct route_load *load)
{
	return &load->script->config.port[load->script->config.ports - 1];
}

void config_port_begin(struct route_load *load, struct str name, struct ast_at at)
{
	struct route_config *config = &load->script->config;
	struct route_config_port *port;

	for (unsigned i = 0; i < config->ports; i++) {
		if (config->port[i].name != NULL && str_eq(name, str_c(config->port[i].name)))
			load_error(load, at, "a second port '%.*s'; the first stands at line %d",
				STR_FMT(name), config->port[i].place.line);
	}
	if (name.len == 0)
		load_error(load, at, "a port needs a name");
	if (config->ports == ROUTE_PORTS_MAX) {
		load_error(load, at, "more than %d ports", ROUTE_PORTS_MAX);
		config->ports--;
	}
	port = &config->port[config->ports++];
	memset(port, 0, sizeof(*port));
	port->vlan = -1;
	port->name = config_keep(load, name);
	port->place = load_place(load, at);
	port->place.file = config_keep(load, str_c(port->place.file));
}

void config_port_set(
	struct route_load *load, struct str key, struct ast_at at, const struct config_value *value)
{
	if (load->script->config.ports > 0)
		set_by_name(load, port_settings, "a port", last_port(load), key, at, value);
}

void config_port_end(struct route_load *load)
{
	struct route_config_port *port;

	if (load->script->config.ports == 0)
		return;
	port = last_port(load);
	if (port->device == NULL && route_report_errors(load->report) == 0)
		route_error(load->report, &port->place, "port '%s' names no device", port->name);
}

void config_cores_set(
	struct route_load *load, struct str key, struct ast_at at, const struct config_value *value)
{
	set_by_name(load, cores_settings, "cores", &load->script->config, key, at, value);
}

void config_memory_set(
	struct route_load *load, struct str key, struct ast_at at, const struct config_value *value)
{
	set_by_name(load, memory_settings, "memory", &load->script->config, key, at, value);
}

/* ---- reference ---- */

static void print_rows(const char *heading, const struct setting *table,
	int (*print)(void *arg, const char *line), void *arg)
{
	char line[512];

	snprintf(line, sizeof(line), "## %s", heading);
	print(arg, line);
	print(arg, "");
	print(arg, "| name | value | meaning |");
	print(arg, "|---|---|---|");
	for (const struct setting *s = table; s->name != NULL; s++) {
		char value[64];

		switch (s->kind) {
		case NUMBER:
		case AMOUNT:
			snprintf(value, sizeof(value), "%lld to %lld", (long long)s->min,
				(long long)s->max);
			break;
		case BOOLEAN:
			snprintf(value, sizeof(value), "yes, no");
			break;
		case CPUS:
			snprintf(value, sizeof(value), "CPUs, auto");
			break;
		case IDLE:
			snprintf(value, sizeof(value), "poll, sleep");
			break;
		case HUGE_PAGES:
			snprintf(value, sizeof(value), "auto, yes, no");
			break;
		case ADDRESSES:
		case GATEWAYS:
			snprintf(value, sizeof(value), "address");
			break;
		default:
			snprintf(value, sizeof(value), "text");
			break;
		}
		snprintf(line, sizeof(line), "| `%s` | %s | %s |", s->name, value, s->help);
		print(arg, line);
	}
	print(arg, "");
}

void config_reference(int (*print)(void *arg, const char *line), void *arg)
{
	print_rows("Globals", globals, print, arg);
	print(arg, "`listen = TRANSPORT:WHERE:PORT [advertise HOST:PORT] [name \"NAME\"]` makes a "
		   "listener, WHERE being an address or a port's name.");
	print(arg, "`socket = TRANSPORT:ADDRESS:PORT` is the same under OpenSIPS' name.");
	print(arg, "`alias = HOST:PORT` makes a name ours (`uri == myself`).");
	print(arg, "");
	print_rows("port \"NAME\" { }", port_settings, print, arg);
	print_rows("cores { }", cores_settings, print, arg);
	print_rows("memory { }", memory_settings, print, arg);
	print(arg, "Globals of OpenSER and Kamailio that are accepted and have no effect here:");
	known_reference(1u << KNOWN_GLOBAL, STR(""), print, arg);
	print(arg, "");
}
