/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The tables of OpenSER's modules "usrloc" and "registrar", and what their parameters become when a
 * configuration is loaded.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "registrar/internal.h"

/* ---- what can be wrong with a call ---- */

static const struct registrar_call no_call = {
	.max_contacts = -1, .min_expires = -1, .max_expires = -1, .path_mode = -1};

static void free_call(void *data)
{
	struct registrar_call *call = data;

	if (call->calls != NULL)
		registrar_table_give(call->calls, call->table);
	free(call);
}

/* The usrloc domain is known by now: it is a number from here on. */
static REGISTRAR_CHECK(check_table)
{
	struct registrar *r = room;
	struct registrar_call *call;
	int table;

	if (!arg[0].constant || arg[0].value.type != ROUTE_STR) {
		route_error(report, &arg[0].place,
			"the location table is a name that is known when the file is read");
		return -EINVAL;
	}
	table = registrar_table_take(r, arg[0].value.s);
	if (table < 0) {
		route_error(report, &arg[0].place,
			"a location table has a name of 1 to %d bytes, and there are at most %d",
			REGISTRAR_TABLE_NAME_MAX, REGISTRAR_TABLES_MAX);
		return -EINVAL;
	}
	call = malloc(sizeof(*call));
	if (call == NULL) {
		registrar_table_give(r->calls, (unsigned)table);
		route_error(report, place, "out of memory");
		return -ENOMEM;
	}
	*call = no_call;
	call->calls = r->calls;
	call->table = (uint8_t)table;
	*data = call;
	return 0;
}

/* Of what reads the table on the way of a request. */
static REGISTRAR_CHECK(check_reads)
{
	struct registrar *r = room;

	atomic_store_explicit(&r->looks, true, memory_order_relaxed);
	return check_table(room, config, arg, n, place, report, data);
}

/* OpenSIPS has flags where Kamailio has a URI: "m", "mb", "method-filtering,no-branches". No URI of
 * a user is without a colon. */
static bool is_lookup_flags(const struct route_arg *arg)
{
	return arg->constant && arg->value.type == ROUTE_STR && str_find(arg->value.s, ':') < 0 &&
	       str_find(arg->value.s, '@') < 0;
}

static bool lookup_flags(struct str text, uint32_t *flags)
{
	static const struct {
		struct str name;
		uint32_t flag;
	} names[] = {
		{{"method-filtering", 16}, REGISTRAR_LOOKUP_METHODS},
		{{"no-branches", 11}, REGISTRAR_LOOKUP_ONE},
		{{"m", 1}, REGISTRAR_LOOKUP_METHODS},
		{{"b", 1}, REGISTRAR_LOOKUP_ONE},
		{{",", 1}, 0},
		{{" ", 1}, 0},
	};
	size_t i = 0;

	while (text.len > 0 && i < sizeof(names) / sizeof(names[0])) {
		if (!str_istarts(text, names[i].name)) {
			i++;
			continue;
		}
		*flags |= names[i].flag;
		text = str_of(text.s + names[i].name.len, text.len - names[i].name.len);
		i = 0;
	}
	return text.len == 0;
}

static REGISTRAR_CHECK(check_lookup)
{
	const struct registrar_params *params = config;
	int err = check_reads(room, config, arg, n, place, report, data);
	struct registrar_call *call = *data;

	if (err != 0 || n < 2)
		return err;
	if (!is_lookup_flags(&arg[1])) {
		if (n == 2)
			return 0;
		route_error(report, &arg[2].place, "lookup() takes a table and a URI");
	} else if (!lookup_flags(arg[1].value.s, &call->lookup)) {
		route_error(report, &arg[1].place,
			"the second argument is the URI of a user, or flags: m "
			"(method-filtering), b (no-branches)");
	} else {
		call->lookup |= REGISTRAR_LOOKUP_FLAGS;
		if ((call->lookup & REGISTRAR_LOOKUP_METHODS) != 0 && params->method_filtering == 0)
			route_warning(report, &arg[1].place,
				"contacts are filtered by method where method_filtering is 1: "
				"modparam(\"registrar\", \"method_filtering\", 1)");
		return 0;
	}
	free_call(call);
	*data = NULL;
	return -EINVAL;
}

static REGISTRAR_RUN(run_lookup)
{
	const struct registrar_call *call = args->data;
	struct route_value v[2];
	struct route_args own;
	unsigned branches = ctx->branches;
	int32_t ret;

	if (call->lookup == 0)
		return registrar_run_lookup(ctx, args);
	own = *args;
	own.v = v;
	v[0] = args->v[0];
	if (args->n > 2)
		v[1] = args->v[2];
	own.n = args->n > 2 ? 2 : 1;
	ret = registrar_run_lookup(ctx, &own);
	if ((call->lookup & REGISTRAR_LOOKUP_ONE) != 0 && ret > 0)
		ctx->branches = (uint8_t)branches;
	return ret;
}

/* "0x02" and "2". */
static bool flags_of_number(struct str text, struct registrar_call *call)
{
	uint32_t flags = 0;

	if (text.len > 2 && text.len <= 4 && text.s[0] == '0' && str_lower_char(text.s[1]) == 'x') {
		for (uint32_t i = 2; i < text.len; i++) {
			char c = str_lower_char(text.s[i]);

			if (!str_is_digit(c) && !(c >= 'a' && c <= 'f'))
				return false;
			flags = flags * 16 + (uint32_t)(str_is_digit(c) ? c - '0' : c - 'a' + 10);
		}
	} else if (str_to_u32(text, UINT8_MAX, &flags) != 0) {
		return false;
	}
	call->flags = flags;
	return (flags & ~(uint32_t)REGISTRAR_SAVE_NUMBERS) == 0;
}

/* OpenSIPS' letters, some with a number behind them: "rc5f", "m,p1". */
static bool flags_of_letters(struct str text, struct registrar_call *call)
{
	while (text.len > 0) {
		char letter = text.s[0];
		uint32_t digits = 0, number = 0;

		while (digits + 1 < text.len && str_is_digit(text.s[digits + 1]))
			digits++;
		if (digits != 0 && str_to_u32(str_of(text.s + 1, digits), INT32_MAX, &number) != 0)
			return false;
		if ((strchr("ceEp", letter) != NULL && letter != '\0') != (digits != 0))
			return false;
		switch (letter) {
		case 'm':
			call->flags |= REGISTRAR_SAVE_MEMORY;
			break;
		case 'r':
			call->flags |= REGISTRAR_SAVE_NO_REPLY;
			break;
		case 'f':
			call->flags |= REGISTRAR_SAVE_FORCE;
			break;
		case 'v':
			call->flags |= REGISTRAR_SAVE_RECEIVED;
			break;
		case 'c':
			call->max_contacts = number;
			break;
		case 'e':
			call->min_expires = number;
			break;
		case 'E':
			call->max_expires = number;
			break;
		case 'p':
			call->path_mode = number;
			break;
		case ',':
		case ' ':
			break;
		default:
			return false;
		}
		text = str_of(text.s + 1 + digits, text.len - 1 - digits);
	}
	return call->max_contacts <= LOCATION_CONTACTS_MAX &&
	       call->path_mode <= REGISTRAR_PATH_STRICT;
}

static REGISTRAR_CHECK(check_save)
{
	struct registrar_call *call;
	int err = check_table(room, config, arg, n, place, report, data);
	bool good;

	if (err != 0 || n < 2)
		return err;
	call = *data;
	if (!arg[1].constant)
		good = false;
	else if (arg[1].value.type == ROUTE_INT)
		good = arg[1].value.i >= 0 &&
		       (arg[1].value.i & ~(int64_t)REGISTRAR_SAVE_NUMBERS) == 0;
	else
		good = flags_of_number(arg[1].value.s, call) ||
		       flags_of_letters(arg[1].value.s, call);
	if (arg[1].constant && arg[1].value.type == ROUTE_INT)
		call->flags = (uint32_t)arg[1].value.i;
	if (good)
		return 0;
	route_error(report, &arg[1].place,
		"flags are a number of 0x01 (memory only), 0x02 (no reply), 0x04 (replace all) and "
		"0x10 (no variation of expires), or letters: m, r, f, v, c<contacts, at most %d>, "
		"e<least expires>, E<most expires>, p<path mode>",
		LOCATION_CONTACTS_MAX);
	free_call(call);
	*data = NULL;
	return -EINVAL;
}

/* Kamailio's third argument is the id of one contact. */
static REGISTRAR_CHECK(check_unregister)
{
	if (n > 2) {
		route_error(report, &arg[2].place,
			"contacts have no ids (ruid) here: unregister() removes all of a user");
		return -EINVAL;
	}
	return check_table(room, config, arg, n, place, report, data);
}

static REGISTRAR_CHECK(check_header)
{
	if (!arg[0].constant ||
		(arg[0].value.type == ROUTE_STR && registrar_is_token(arg[0].value.s)))
		return 0;
	route_error(report, &arg[0].place, "this cannot be the name of a header field");
	return -EINVAL;
}

/* ---- tables ---- */

#define REQUEST (ROUTE_IN_REQUEST | ROUTE_IN_FAILURE)
#define FUNCTION(function, least, most, on, blocks, work, checked, how, ...) \
	{ \
		.name = function, .args_min = least, .args_max = most, .path = on, .in = blocks, \
		.run = work, .check = checked, .free_data = free_call, .usage = how, \
		.help = __VA_ARGS__ \
	}

static const struct route_function functions[] = {
	FUNCTION("save", 1, 3, ROUTE_PATH_SLOW, REQUEST | ROUTE_IN_REPLY, registrar_run_save,
		check_save, "save(table [, flags [, uri]])",
		"Takes the contacts of a REGISTER, or of the 2xx to one, and answers it. "
		"True: 1 stored, 2 updated, 3 removed, 4 only asked for; -2: too many "
		"contacts, -1: any other refusal.",
		.rfc = "3261 10.3; 3327; 3608; 5626 6"),
	FUNCTION("lookup", 1, 3, ROUTE_PATH_FAST, REQUEST, run_lookup, check_lookup,
		"lookup(table [, uri])",
		"Replaces the Request-URI by the best contact of its user, or of another one, and "
		"adds the others as branches. -1: none, -2: none that allows the "
		"method, -3: not a URI of a user, or no room, or (db_mode 3) the database does not "
		"answer. OpenSIPS' flags may stand in front "
		"of the URI: b (no-branches), m (method-filtering: nothing by itself, the "
		"parameter "
		"method_filtering filters for each call).",
		.rfc = "3261 16.5"),
	FUNCTION("lookup_to_dset", 1, 2, ROUTE_PATH_FAST, REQUEST, registrar_run_lookup_to_dset,
		check_reads, "lookup_to_dset(table [, uri])",
		"Adds all contacts of a user as branches and leaves the Request-URI as it is.",
		.rfc = "3261 16.5"),
	FUNCTION("lookup_branches", 1, 1, ROUTE_PATH_FAST, REQUEST, registrar_run_lookup_branches,
		check_reads, "lookup_branches(table)",
		"lookup() for the Request-URI and for each branch that has nothing but a URI.",
		.rfc = "3261 16.5"),
	FUNCTION("registered", 1, 4, ROUTE_PATH_FAST, ROUTE_IN_ANY, registrar_run_registered,
		check_reads, "registered(table [, uri [, match [, action]]])",
		"Whether the user of the Request-URI (of To in a response), or of another URI, has "
		"a "
		"contact; match and action are for XAVPs, of which there are none. -3: with "
		"usrloc's db_mode 3 the database does not answer."),
	FUNCTION("is_registered", 1, 2, ROUTE_PATH_FAST, ROUTE_IN_ANY, registrar_run_is_registered,
		check_reads, "is_registered(table [, uri])",
		"Whether who sends the request has a contact, as OpenSIPS asks it: the user of "
		"From, of a REGISTER that of To; or of another URI, which a response needs."),
	FUNCTION("unregister", 2, 3, ROUTE_PATH_SLOW, ROUTE_IN_ANY, registrar_run_unregister,
		check_unregister, "unregister(table, uri)",
		"Removes all contacts of a user. -1: the URI is not a user's; -2: in a "
		"failure_route "
		"or branch_route, they are kept by another slow lcore, or the database does not "
		"take it.",
		.rfc = "3261 10.2.2"),
	FUNCTION("add_sock_hdr", 1, 1, ROUTE_PATH_FAST, ROUTE_IN_REQUEST,
		registrar_run_add_sock_hdr, check_header, "add_sock_hdr(name)",
		"Adds a header field with the listener that took the request, as "
		"udp:address:port."),
	{.name = NULL},
};

#define NUMBER(param, struct_type, field, least, most, start, what) \
	{ \
		.name = param, .type = ROUTE_PARAM_INT, \
		.offset = offsetof(struct struct_type, field), .min = least, .max = most, \
		.initial = start, .help = what \
	}
#define TEXT(param, field, start, what) \
	{ \
		.name = param, .type = ROUTE_PARAM_STR, \
		.offset = offsetof(struct registrar_params, field), .initial = start, .help = what \
	}
#define NO_EFFECT(param, kind, what) \
	{ \
		.name = param, .type = kind, .accepted_only = true, .help = what \
	}
#define I ROUTE_PARAM_INT
#define S ROUTE_PARAM_STR
#define REG(param, least, most, start, what) \
	NUMBER(#param, registrar_params, param, least, most, start, what)
#define YEAR 31536000

static const struct route_param registrar_param[] = {
	REG(default_expires, 1, YEAR, "3600",
		"Seconds that a contact lives where neither it nor an Expires header says."),
	REG(min_expires, 0, YEAR, "60", "Contacts that ask for less: see min_expires_mode."),
	REG(min_expires_mode, 0, 1, "0",
		"0: they live min_expires; 1: 423 with Min-Expires, below an hour."),
	REG(max_expires, 0, YEAR, "0",
		"Longer lives are shortened to so many seconds; 0: none is."),
	REG(default_expires_range, 0, 100, "0",
		"A contact that says nothing lives so many percent less at most, by chance: not "
		"all "
		"come back at once."),
	REG(expires_range, 0, 100, "0", "The same for contacts that say how long."),
	REG(default_q, -1, 1000, "-1",
		"Thousandths of q of a contact that has none; -1: none, which comes last."),
	REG(max_contacts, 0, LOCATION_CONTACTS_MAX, "0",
		"Contacts of one address-of-record, more get a 503; 0: what the table holds, 64."),
	REG(append_branches, 0, 1, "1",
		"lookup() adds all contacts as branches, not only the best."),
	REG(case_sensitive, 0, 1, "0", "Users differ by letter case."),
	REG(method_filtering, 0, 1, "0",
		"lookup() passes over contacts whose methods parameter, else the Allow of their "
		"REGISTER, lacks the method. Requests within a dialog pass, and so do all to "
		"contacts that registered while it was 0."),
	REG(retry_after, 0, 86400, "0",
		"Seconds in the Retry-After of replies of class 5xx; 0: none."),
	REG(use_path, 0, 1, "0", "Path is kept and used (RFC 3327)."),
	REG(path_mode, 0, 2, "2",
		"Path in the 200: 0 never, 1 to who supports it, 2 the same, and others get a "
		"420."),
	REG(path_use_received, 0, 1, "0",
		"The `received` parameter of the first Path URI says where the user agent is."),
	REG(outbound_mode, 0, 2, "0",
		"RFC 5626: 0 not supported, 1 supported, 2 required (421 without)."),
	REG(regid_mode, 0, 1, "0", "reg-id counts: 0 only where outbound is possible, 1 always."),
	REG(flow_timer, 0, 999, "0",
		"Seconds in the Flow-Timer of a 200 to a user agent with outbound; 0: none."),
	REG(sock_flag, -1, 31, "-1", "Flag that says that the header sock_hdr_name counts."),
	REG(contact_max_size, 1, LOCATION_URI_MAX, "512", "Bytes of a Contact URI at most."),
	TEXT("received_param", received_param, "received",
		"Parameter of a Contact in the 200 that says where the user agent is; empty: "
		"none."),
	TEXT("received_avp", received_avp, NULL,
		"AVP with the URI (sip:address:port) of where the user agent is."),
	TEXT("sock_hdr_name", sock_hdr_name, NULL,
		"Header of a REGISTER with the listener (udp:address:port) that its user agent is "
		"reached from; see sock_flag."),
	TEXT("realm_prefix", realm_prefix, NULL,
		"What is taken from the beginning of a domain, where use_domain is set."),
	TEXT("service_route", service_route, NULL,
		"Service-Route of the 200s: \"<sip:edge.example.com;lr>, ...\" (RFC 3608)."),
	NO_EFFECT("gruu_enabled", I, "There are no GRUUs (RFC 5627)."),
	NO_EFFECT("desc_time_order", I, "Of contacts with equal q the first one comes first."),
	NO_EFFECT("tcp_persistent_flag", I, "SIP is spoken over UDP so far."),
	NO_EFFECT("nat_flag", I, "usrloc's nat_bflag, a branch flag, says it."),
	NO_EFFECT("path_check_local", I, "A Path that begins with us is sent to ourselves."),
	NO_EFFECT("use_expired_contacts", I, "What has expired is gone."),
	NO_EFFECT("lookup_filter_mode", I, "lookup() filters by method only."),
	NO_EFFECT("sock_mode", I, "The listener is kept by its number."),
	NO_EFFECT("xavp_cfg", S, "There are no XAVPs."),
	NO_EFFECT("xavp_rcd", S, "There are no XAVPs."),
	NO_EFFECT("xavp_rcd_mask", I, "There are no XAVPs."),
	NO_EFFECT("event_callback", S, "There are no other languages."),
	{.name = NULL},
};

#define USRLOC(param, least, most, start, what) \
	NUMBER(#param, registrar_usrloc, param, least, most, start, what)
#define COLUMN(param) NO_EFFECT(param, S, "The column has its usual name.")
#define DATABASE_NUMBER(param, what) NO_EFFECT(param, I, what)

static const struct route_param usrloc_param[] = {
	USRLOC(db_mode, 0, 4, "0",
		"0: contacts are kept in memory only; 1: a REGISTER is answered when its contacts "
		"are on disk; 2: they are on their way to it when it is answered; 3: they are in "
		"the database alone, which each save() and each look-up asks, so that several "
		"processes share it; 4: read at the start, never written. 1 and 2 read them at the "
		"start, too."),
	{.name = "db_url",
		.type = ROUTE_PARAM_STR,
		.offset = offsetof(struct registrar_usrloc, db_url),
		.help = "The database of db_mode 1 to 4; left out: the configuration's "
			"db_url."},
	USRLOC(timer_interval, 1, 86400, "60",
		"Seconds between two looks for rows that have ended, which are deleted."),
	USRLOC(use_domain, 0, 1, "0", "The domain belongs to the address-of-record."),
	USRLOC(nat_bflag, -1, 31, "-1",
		"Branch flag of contacts whose Path says where they are; -1: none."),
	USRLOC(matching_mode, 0, 3, "0",
		"What a Contact without instance is found by: 0 its URI (RFC 3261 19.1.4), 1 also "
		"the "
		"Call-ID, 2 also the Path, 3 the Call-ID alone."),
	USRLOC(cseq_delay, 0, 3600, "20",
		"Seconds in which a REGISTER with the CSeq of its binding is a retransmission and "
		"is "
		"answered again; later ones get a 400."),
	NO_EFFECT("hash_size", I, "memory { contacts } of the configuration says how many."),
	NO_EFFECT("desc_time_order", I, "Of contacts with equal q the first one comes first."),
	NO_EFFECT("preload", S, "A table is there when a function names it."),
	NO_EFFECT("timer_procs", I, "Each slow lcore takes away what has expired of its share."),
	NO_EFFECT("rm_expired_delay", I, "What has expired is gone."),
	NO_EFFECT("xavp_contact", S, "There are no XAVPs."),
	NO_EFFECT("handle_lost_tcp", I, "SIP is spoken over UDP so far."),
	NO_EFFECT("close_expired_tcp", I, "SIP is spoken over UDP so far."),
	NO_EFFECT("skip_remote_socket", I, "Contacts come from this process' own listeners."),
	NO_EFFECT("ka_mode", I, "Nobody is sent keep-alives."),
	NO_EFFECT("ka_from", S, "Nobody is sent keep-alives."),
	NO_EFFECT("ka_domain", S, "Nobody is sent keep-alives."),
	NO_EFFECT("ka_method", S, "Nobody is sent keep-alives."),
	NO_EFFECT("ka_filter", I, "Nobody is sent keep-alives."),
	NO_EFFECT("ka_interval", I, "Nobody is sent keep-alives."),
	NO_EFFECT("ka_randomize", I, "Nobody is sent keep-alives."),
	NO_EFFECT("ka_timeout", I, "Nobody is sent keep-alives."),
	NO_EFFECT("ka_loglevel", I, "Nobody is sent keep-alives."),
	NO_EFFECT("ka_logmsg", S, "Nobody is sent keep-alives."),
	NO_EFFECT("ka_reply_codes", S, "Nobody is sent keep-alives."),
	COLUMN("user_column"),
	COLUMN("domain_column"),
	COLUMN("contact_column"),
	COLUMN("expires_column"),
	COLUMN("q_column"),
	COLUMN("callid_column"),
	COLUMN("cseq_column"),
	COLUMN("method_column"),
	COLUMN("methods_column"),
	COLUMN("flags_column"),
	COLUMN("cflags_column"),
	COLUMN("user_agent_column"),
	COLUMN("received_column"),
	COLUMN("socket_column"),
	COLUMN("path_column"),
	COLUMN("ruid_column"),
	COLUMN("instance_column"),
	COLUMN("reg_id_column"),
	COLUMN("server_id_column"),
	COLUMN("connection_id_column"),
	COLUMN("keepalive_column"),
	COLUMN("partition_column"),
	DATABASE_NUMBER("db_load", "db_mode says whether the table is read at the start."),
	DATABASE_NUMBER("db_insert_update", "A row is deleted and inserted anew."),
	DATABASE_NUMBER("db_update_as_insert", "A row is deleted and inserted anew."),
	DATABASE_NUMBER("db_check_update", "A row is deleted and inserted anew."),
	DATABASE_NUMBER("db_ops_ruid", "A row is found by its user, domain and contact."),
	DATABASE_NUMBER("db_raw_fetch_type", "Rows are read one by one."),
	DATABASE_NUMBER("db_insert_null", "A Path, socket or instance that there is not is NULL."),
	DATABASE_NUMBER("db_timer_clean", "Rows that have ended are deleted."),
	DATABASE_NUMBER("db_clean_tcp", "SIP is spoken over UDP so far."),
	DATABASE_NUMBER("expires_type", "Times are the database's DATETIME."),
	DATABASE_NUMBER("fetch_rows", "Rows are read one by one."),
	DATABASE_NUMBER("server_id_filter", "All rows of a table are this server's."),
	DATABASE_NUMBER("version_table", "siplanectl db check looks at versions."),
	DATABASE_NUMBER("load_rank", "The table is read before the first message is taken."),
	{.name = NULL},
};

/* ---- from parameters to settings ---- */

static int usrloc_prepare(
	void *room, const void *config, struct route_report *report, void **prepared)
{
	const struct registrar_usrloc *p = config;
	const struct registrar *r = room;
	struct registrar_usrloc_settings *s;
	char error[512];
	int err = 0;

	s = calloc(1, sizeof(*s));
	if (s == NULL)
		return -ENOMEM;
	s->p = *p;
	s->p.db_url = NULL;
	if (r->runs && registrar_only(p) != registrar_only(registrar_usrloc(r))) {
		/* What stands in memory and what stands in the table would part. */
		snprintf(error, sizeof(error),
			"db_mode changes to 3, or from it, with a start and not with a reload");
		err = -EINVAL;
	} else if (p->db_mode != REGISTRAR_DB_NONE) {
		err = registrar_persist_prepare(room, p, s, error, sizeof(error));
	}
	if (err != 0) {
		route_error(report, NULL, "usrloc: db_mode %d: %s", (int)p->db_mode, error);
		free(s);
		return err;
	}
	*prepared = s;
	return 0;
}

static void usrloc_publish(void *room, void *prepared)
{
	struct registrar *r = room;
	const struct registrar_usrloc_settings *s = prepared;
	bool kept;

	registrar_tables_published(r);
	/* Without its way to the database a slow lcore is behind, which is counted and made good.
	 */
	if (registrar_persists(&s->p) && registrar_persist_lanes(r) != 0)
		log_warning("usrloc: not enough memory for changes on their way to the database");
	kept = registrar_persists(registrar_usrloc(r));
	registrar_retire(r, atomic_exchange_explicit(&r->usrloc, prepared, memory_order_acq_rel));
	if (r->runs && registrar_persists(&s->p) && !kept)
		registrar_persist_all(r);
}

static void discard(void *room, void *prepared)
{
	free(prepared);
}

static bool keep_text(struct registrar_text *out, const char *text, const char *param,
	struct route_report *report)
{
	struct str s = str_c(text);
	bool fits = s.len <= sizeof(out->text);

	for (uint32_t i = 0; i < s.len; i++)
		fits &= (unsigned char)s.s[i] >= ' ' && s.s[i] != 0x7f;
	if (!fits) {
		route_error(report, NULL,
			"registrar: %s is at most %zu bytes without control characters", param,
			sizeof(out->text));
		return false;
	}
	str_copy(out->text, s);
	out->len = s.len;
	return true;
}

/* "$avp(rcv)", "$avp(s:rcv)", "$avp(i:42)": the name alone. */
static bool read_avp(struct registrar_text *name, struct route_report *report)
{
	struct str s = registrar_text_str(name);

	if (s.len == 0)
		return true;
	if (s.len > 6 && str_istarts(s, STR("$avp(")) && s.s[s.len - 1] == ')') {
		s = str_of(s.s + 5, s.len - 6);
		if (s.len > 2 && s.s[1] == ':')
			s = str_of(s.s + 2, s.len - 2);
		if (str_find(s, '$') < 0 && str_find(s, '[') < 0) {
			memmove(name->text, s.s, s.len);
			name->len = s.len;
			return true;
		}
	}
	route_error(report, NULL, "registrar: received_avp is an AVP: $avp(name)");
	return false;
}

/* RFC 3608 6.1: each value is a loose router. */
static bool check_service_route(const struct registrar_text *route, struct route_report *report)
{
	struct sip_span all = {0, route->len}, value;
	uint32_t at = 0;

	while (sip_list_next(route->text, all, &at, &value)) {
		struct sip_address address;
		struct sip_uri uri;

		if (sip_address_parse(route->text, value, &address) != 0 || address.star ||
			!address.brackets || sip_uri_parse(route->text, address.uri, &uri) != 0 ||
			!uri.lr) {
			route_error(report, NULL,
				"registrar: service_route: '%.*s' is no <sip:...;lr>",
				STR_FMT(sip_text(route->text, value)));
			return false;
		}
	}
	return true;
}

static int registrar_prepare(
	void *room, const void *config, struct route_report *report, void **prepared)
{
	const struct registrar_params *p = config;
	struct registrar_settings *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return -ENOMEM;
	s->p = *p;
	s->p.received_param = s->p.received_avp = s->p.sock_hdr_name = s->p.realm_prefix =
		s->p.service_route = NULL;
	if (p->flow_timer > 0 && p->outbound_mode == REGISTRAR_OUTBOUND_NONE) {
		route_error(report, NULL, "registrar: flow_timer needs outbound_mode 1 or 2");
		goto fail;
	}
	if (p->max_expires != 0 && p->max_expires < p->min_expires) {
		route_error(report, NULL, "registrar: max_expires is below min_expires");
		goto fail;
	}
	if (!keep_text(&s->received_param, p->received_param, "received_param", report) ||
		!keep_text(&s->received_avp, p->received_avp, "received_avp", report) ||
		!keep_text(&s->sock_hdr_name, p->sock_hdr_name, "sock_hdr_name", report) ||
		!keep_text(&s->realm_prefix, p->realm_prefix, "realm_prefix", report) ||
		!keep_text(&s->service_route, p->service_route, "service_route", report) ||
		!read_avp(&s->received_avp, report) ||
		!check_service_route(&s->service_route, report))
		goto fail;
	*prepared = s;
	return 0;
fail:
	free(s);
	return -EINVAL;
}

static void registrar_publish(void *room, void *prepared)
{
	struct registrar *r = room;

	registrar_retire(r, atomic_exchange_explicit(&r->settings, prepared, memory_order_acq_rel));
}

static const struct route_function no_functions[] = {{.name = NULL}};

const struct route_module registrar_usrloc_module = {
	.name = "usrloc",
	.functions = no_functions,
	.params = usrloc_param,
	.config_size = sizeof(struct registrar_usrloc),
	.prepare = usrloc_prepare,
	.publish = usrloc_publish,
	.discard = discard,
};

const struct route_module registrar_module = {
	.name = "registrar",
	.functions = functions,
	.params = registrar_param,
	.config_size = sizeof(struct registrar_params),
	.prepare = registrar_prepare,
	.publish = registrar_publish,
	.discard = discard,
};
