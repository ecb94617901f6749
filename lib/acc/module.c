/* SPDX-License-Identifier: BSD-3-Clause */
/* OpenSER module "acc": its functions and parameters. */
#include <stdio.h>
#include <stddef.h>

#include "acc/internal.h"
#include "base/log.h"

#define IN (ROUTE_IN_REQUEST | ROUTE_IN_REPLY | ROUTE_IN_FAILURE)

/* ---- by hand ---- */

#define RUN(name) static int32_t name(struct route_ctx *ctx, const struct route_args *args)
#define CHECK(name) \
	static int name(void *room, const void *config, const struct route_arg *arg, unsigned n, \
		const struct route_place *place, struct route_report *report, void **data)

/* What acc_db_request() writes. */
struct call {
	int statement;
	struct acc_fields extra;
};

static void free_call(void *data)
{
	struct call *call = data;

	acc_fields_free(&call->extra);
	free(call);
}

CHECK(check_log)
{
	struct acc *a = room;

	a->wants_log = true;
	return 0;
}

CHECK(check_db)
{
	const struct acc_params *p = config;
	struct acc *a = room;
	char table[ACC_NAME_MAX] = "", error[512] = "";
	struct call *call;

	if (!arg[1].constant || arg[1].value.type != ROUTE_STR || !acc_is_name(arg[1].value.s)) {
		route_error(report, &arg[1].place,
			"a table's name is needed here, of letters, digits and '_': rows go to one "
			"table, which is known when the script is loaded");
		return -EINVAL;
	}
	str_copy(table, arg[1].value.s);
	call = calloc(1, sizeof(*call));
	if (call == NULL)
		return -ENOMEM;
	if (acc_fields_read(&call->extra, p->db_extra, "db_extra", true, report) != 0) {
		free(call);
		return -EINVAL;
	}
	call->statement = acc_statement(a, p, table, &call->extra, error, sizeof(error));
	if (call->statement < 0) {
		route_error(report, place, "%s", error);
		free_call(call);
		return -EINVAL;
	}
	a->wants_db = true;
	*data = call;
	return 0;
}

CHECK(check_both)
{
	return check_log(room, config, arg, n, place, report, data) |
	       check_db(room, config, arg, n, place, report, data);
}

static struct str comment_of(const struct route_args *args, char number[24])
{
	const struct route_value *v = &args->v[0];

	if (v->type == ROUTE_INT)
		return str_of(number, (size_t)snprintf(number, 24, "%lld", (long long)v->i));
	return v->type == ROUTE_STR ? v->s : STR("");
}

static int32_t by_hand(
	struct route_ctx *ctx, const struct route_args *args, bool log, const struct call *call)
{
	static const struct acc_fields none;
	struct acc *a = args->room;
	char number[24];

	if (!ctx->thread->has_state || ctx->thread->shard >= a->config.shards)
		return ROUTE_NEEDS_STATE;
	acc_by_hand(a, ctx, comment_of(args, number), log, call != NULL ? &call->extra : &none,
		call != NULL ? call->statement : -1);
	return ROUTE_TRUE;
}

RUN(run_log)
{
	return by_hand(ctx, args, true, NULL);
}

RUN(run_db)
{
	return by_hand(ctx, args, false, args->data);
}

RUN(run_both)
{
	return by_hand(ctx, args, true, args->data);
}

static const struct route_function functions[] = {
	{.name = "acc_log_request",
		.args_min = 1,
		.args_max = 1,
		.path = ROUTE_PATH_SLOW,
		.in = IN,
		.run = run_log,
		.check = check_log,
		.usage = "acc_log_request(comment)",
		.help = "Writes a line of the request to the log, now and whatever becomes of it. "
			"Code and reason are the comment's: \"404 Not Found\"; without a code, 0."},
	{.name = "acc_db_request",
		.args_min = 2,
		.args_max = 2,
		.path = ROUTE_PATH_SLOW,
		.in = IN,
		.run = run_db,
		.check = check_db,
		.free_data = free_call,
		.usage = "acc_db_request(comment, table)",
		.help = "The same as a row of a table (acc, missed_calls or one like them), whose "
			"name has no variables."},
	{.name = "acc_request",
		.args_min = 2,
		.args_max = 2,
		.path = ROUTE_PATH_SLOW,
		.in = IN,
		.run = run_both,
		.check = check_both,
		.free_data = free_call,
		.usage = "acc_request(comment, table)",
		.help = "Both."},
	{.name = NULL},
};

/* ---- parameters ---- */

#define INT(n, field, least, most, start, what) \
	{ \
		.name = n, .type = ROUTE_PARAM_INT, .offset = offsetof(struct acc_params, field), \
		.min = least, .max = most, .initial = start, .help = what \
	}
#define FLAG(n, field, what) INT(n, field, -1, 31, "-1", what)
#define SWITCH(n, field, start, what) INT(n, field, 0, 1, start, what)
#define TEXT(n, field, start, what) \
	{ \
		.name = n, .type = ROUTE_PARAM_STR, .offset = offsetof(struct acc_params, field), \
		.initial = start, .help = what \
	}
#define COLUMN(n, field, start) TEXT(n, field, start, "Its column in the tables.")
#define REFUSED(n, field, why) \
	{ \
		.name = n, .type = ROUTE_PARAM_INT, .offset = offsetof(struct acc_params, field), \
		.max = 16, .initial = "0", .refused = why, .help = "Not here: " why "." \
	}
#define NO_EFFECT(n, kind, why) \
	{ \
		.name = n, .type = ROUTE_PARAM_##kind, .accepted_only = true, .help = why \
	}
#define ANY_TIME \
	"Any transaction can be marked at any time before it ends: in failure_route and " \
	"onreply_route, too."
#define TIME_WHY "What time_mode would write."

static const struct route_param params[] = {
	FLAG("log_flag", log_flag,
		"setflag() of it has the transaction's end in the log; -1: none."),
	FLAG("log_missed_flag", log_missed_flag,
		"The same for an INVITE whose branches have all failed, ahead of its "
		"failure_route. "
		"It is reset then."),
	INT("log_level", log_level, -5, 4, "1",
		"The lines' level, as xlog() has them; 1: L_NOTICE."),
	TEXT("log_facility", log_facility, "LOG_DAEMON", "Their facility: LOG_LOCAL0, ..."),
	TEXT("log_extra", log_extra, NULL,
		"Further fields: \"ua=$ua;account=$avp(account)\", evaluated over the request when "
		"its transaction ends; 20 at most."),
	FLAG("db_flag", db_flag, "setflag() of it makes a row of the transaction's end; -1: none."),
	FLAG("db_missed_flag", db_missed_flag,
		"The same for an INVITE whose branches have all failed, ahead of its "
		"failure_route. "
		"It is reset then."),
	TEXT("db_url", db_url, NULL, "Database of the rows; left out, the global db_url."),
	TEXT("db_table_acc", table_acc, "acc", "Table of transactions; its name has no variables."),
	TEXT("db_table_missed_calls", table_missed, "missed_calls",
		"Table of missed calls; its name has no variables."),
	TEXT("db_extra", db_extra, NULL,
		"Further columns: \"caller=$fu;account=$avp(account)\", of 255 bytes each; 20 at "
		"most."),
	SWITCH("acc_extra_nullable", extra_nullable, "0",
		"Whether a variable that is not there is NULL; else it is empty."),
	COLUMN("acc_method_column", method_column, "method"),
	COLUMN("acc_from_tag_column", from_tag_column, "from_tag"),
	COLUMN("acc_to_tag_column", to_tag_column, "to_tag"),
	COLUMN("acc_callid_column", call_id_column, "callid"),
	COLUMN("acc_sip_code_column", code_column, "sip_code"),
	COLUMN("acc_sip_reason_column", reason_column, "sip_reason"),
	COLUMN("acc_time_column", time_column, "time"),
	FLAG("failed_transaction_flag", failed_flag,
		"A marked transaction that has this flag, too, is accounted also where it fails; "
		"-1: none is."),
	TEXT("failed_filter", failed_filter, NULL,
		"Codes of failures that are not accounted: \"401,407\"."),
	SWITCH("early_media", early_media, "0",
		"Whether the first provisional response with a body is accounted, too."),
	SWITCH("report_ack", report_ack, "0",
		"Whether marked ACKs are accounted that t_relay() sends on: those go to a slow "
		"lcore "
		"then."),
	SWITCH("report_cancels", report_cancels, "0",
		"Whether the CANCEL of a marked INVITE is accounted, too."),
	SWITCH("reason_from_hf", reason_from_hf, "0",
		"Whether the response's first Reason header is the reason, where it has one."),
	SWITCH("cdr_enable", cdr_enable, "0",
		"Whether calls have a record (CDR): those whose INVITE has log_flag or db_flag, "
		"from "
		"its 2xx to a BYE that t_relay() sends on."),
	SWITCH("cdr_log_enable", cdr_log_enable, "1", "Whether CDRs are in the log."),
	TEXT("cdr_facility", cdr_facility, "LOG_DAEMON", "Their facility: LOG_LOCAL0, ..."),
	TEXT("cdrs_table", table_cdrs, "", "Table of CDRs (acc_cdrs); empty: none."),
	TEXT("cdr_extra", cdr_extra, NULL,
		"Further fields, as log_extra, evaluated over the INVITE when it is answered."),
	SWITCH("cdr_extra_nullable", cdr_extra_nullable, "0",
		"Whether a variable that is not there is NULL; else it is empty."),
	SWITCH("cdr_start_on_confirmed", cdr_start_on_confirmed, "0",
		"1: a call begins when it is answered; 0: when its INVITE came, so that ringing "
		"counts."),
	SWITCH("cdr_on_failed", cdr_on_failed, "1",
		"Whether calls that were not answered have a CDR, too: its duration is 0."),
	SWITCH("cdr_expired_dlg_enable", cdr_expired, "0",
		"Whether a call of which no BYE came has a row when cdr_lifetime is over "
		"(end_reason "
		"is expired); a line in the log it has in any case."),
	INT("cdr_lifetime", cdr_lifetime, 60, 31536000, "43200",
		"Seconds after which no BYE is waited for."),
	TEXT("cdr_start_id", cdr_start_id, "start_time", "Name of its field and column."),
	TEXT("cdr_end_id", cdr_end_id, "end_time", "Name of its field and column."),
	TEXT("cdr_duration_id", cdr_duration_id, "duration", "Name of its field and column."),
	TEXT("spool_file", spool_file, "/var/lib/siplane/acc.spool",
		"File for rows while their database does not take them: they are lost neither by "
		"an "
		"outage nor by an end of siplane in its midst. Its folder has to be there; empty: "
		"none, and rows wait in memory. A reload does not change it."),
	INT("spool_size", spool_size, 1, 1048576, "1024", "MB that it may have."),
	TEXT("multi_leg_info", multi_leg, NULL,
		"Not here: a transaction has one row; what its legs are can be in one AVP of "
		"db_extra."),
	TEXT("cdr_skip", cdr_skip, NULL,
		"Not here: there are no dialog variables. A call has no CDR whose INVITE has "
		"neither "
		"log_flag nor db_flag."),
	REFUSED("detect_direction", detect_direction,
		"rows say who sent the request; a CDR says who called whom, whoever sends the BYE"),
	REFUSED("time_mode", time_mode,
		"a row's time is in seconds; a CDR's duration in "
		"milliseconds"),
	NO_EFFECT("time_attr", STR, TIME_WHY),
	NO_EFFECT("time_exten", STR, TIME_WHY),
	NO_EFFECT("time_format", STR, TIME_WHY),
	NO_EFFECT("acc_prepare_flag", INT, ANY_TIME),
	NO_EFFECT("acc_prepare_always", INT, ANY_TIME),
	NO_EFFECT("db_insert_mode", INT, "Rows are written by a thread, many in one commit."),
	NO_EFFECT("db_version_check", INT, "siplanectl db check looks at versions."),
	NO_EFFECT("clone_msg", INT, "A transaction's request is its own."),
	NO_EFFECT("acc_extra_size", INT, "A list has 20 fields at most."),
	NO_EFFECT("cdr_extra_size", INT, "A list has 20 fields at most."),
	{.name = NULL},
};

/* ---- generations ---- */

static int prepare(void *room, const void *config, struct route_report *report, void **prepared)
{
	struct acc_settings *s = NULL;
	int err = acc_settings_make(room, config, report, &s);

	*prepared = s;
	return err;
}

/* Settings that RCU has no room for are lost, which beats freeing what a slow lcore reads. */
static void retire(struct acc *a, const struct acc_settings *settings)
{
	void *old = (void *)(uintptr_t)settings;

	if (settings == &acc_initial)
		return;
	if (a->config.rcu == NULL) {
		acc_settings_free(old);
	} else if (rcu_retire(a->config.rcu, old, acc_settings_free) != 0) {
		rcu_reclaim(a->config.rcu);
		(void)rcu_retire(a->config.rcu, old, acc_settings_free);
	}
}

static void publish(void *room, void *prepared)
{
	const struct acc_settings *s = prepared;
	struct acc *a = room;
	bool log = a->wants_log || s->log_flag != 0 || s->log_missed_flag != 0 ||
		   (s->cdr && s->cdr_log);
	bool db = a->wants_db || s->statement_acc >= 0 || s->statement_missed >= 0 ||
		  s->statement_cdrs >= 0;

	/* Without its way a slow lcore counts what it loses. */
	if (a->config.idle)
		log = db = false;
	if (log && acc_log_start(a) != 0)
		log_error("acc: not enough memory for lines on their way to the log: none is "
			  "written");
	if (db && acc_lanes(a, s) != 0)
		log_error("acc: not enough memory for rows on their way to the database: none is "
			  "written");
	retire(a, atomic_exchange_explicit(&a->settings, s, memory_order_acq_rel));
}

static void discard(void *room, void *prepared)
{
	acc_settings_free(prepared);
}

const struct route_module acc_module = {.name = "acc",
	.functions = functions,
	.params = params,
	.config_size = sizeof(struct acc_params),
	.prepare = prepare,
	.publish = publish,
	.discard = discard};
