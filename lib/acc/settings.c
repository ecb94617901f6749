/* SPDX-License-Identifier: BSD-3-Clause */
/* What the parameters of module "acc" say, made ready for events. */
#include <stdio.h>
#include <syslog.h>

#include "acc/internal.h"
#include "base/log.h"

#define FLAGS 32

const struct acc_settings acc_initial = {
	.statement_acc = -1, .statement_missed = -1, .statement_cdrs = -1};

void acc_settings_free(void *settings)
{
	struct acc_settings *s = settings;

	acc_fields_free(&s->log_extra);
	acc_fields_free(&s->db_extra);
	acc_fields_free(&s->cdr_extra);
	free(s);
}

static uint32_t flag(int64_t number)
{
	return number >= 0 && number < FLAGS ? 1u << number : 0;
}

/* ---- the log ---- */

static const struct {
	const char *name;
	int facility;
} facilities[] = {{"LOG_AUTH", LOG_AUTH}, {"LOG_AUTHPRIV", LOG_AUTHPRIV}, {"LOG_CRON", LOG_CRON},
	{"LOG_DAEMON", LOG_DAEMON}, {"LOG_FTP", LOG_FTP}, {"LOG_KERN", LOG_KERN},
	{"LOG_LOCAL0", LOG_LOCAL0}, {"LOG_LOCAL1", LOG_LOCAL1}, {"LOG_LOCAL2", LOG_LOCAL2},
	{"LOG_LOCAL3", LOG_LOCAL3}, {"LOG_LOCAL4", LOG_LOCAL4}, {"LOG_LOCAL5", LOG_LOCAL5},
	{"LOG_LOCAL6", LOG_LOCAL6}, {"LOG_LOCAL7", LOG_LOCAL7}, {"LOG_LPR", LOG_LPR},
	{"LOG_MAIL", LOG_MAIL}, {"LOG_NEWS", LOG_NEWS}, {"LOG_SYSLOG", LOG_SYSLOG},
	{"LOG_USER", LOG_USER}, {"LOG_UUCP", LOG_UUCP}};

static int facility_of(const char *name, struct route_report *report)
{
	for (size_t i = 0; i < sizeof(facilities) / sizeof(facilities[0]); i++)
		if (strcmp(facilities[i].name, name) == 0)
			return facilities[i].facility;
	route_error(report, NULL,
		"module 'acc': log_facility '%s' is none: LOG_DAEMON, LOG_LOCAL0 to LOG_LOCAL7, "
		"...",
		name);
	return -1;
}

/* Kamailio's numbers, as xlog() takes them. */
static int level_of(int64_t number)
{
	if (number < 0)
		return LOG_LEVEL_ERROR;
	return number > 3 ? LOG_LEVEL_DEBUG : (int)(LOG_LEVEL_WARNING + number);
}

/* ---- lists ---- */

static int read_filter(struct acc_settings *s, const char *text, struct route_report *report)
{
	struct str rest = str_c(text != NULL ? text : "");

	while (rest.len != 0) {
		int64_t comma = str_find(rest, ',');
		uint32_t n = comma >= 0 ? (uint32_t)comma : rest.len, code = 0;
		struct str one = str_trim(str_of(rest.s, n));

		if (str_to_u32(one, ACC_CODES - 1, &code) != 0 || code < 300) {
			route_error(report, NULL,
				"module 'acc': failed_filter is a list such as \"404,407\": '%.*s' "
				"is no code from 300 to 999",
				STR_FMT(one));
			return -EINVAL;
		}
		s->filter[code / 64] |= 1ULL << (code % 64);
		n = comma >= 0 ? n + 1 : n;
		rest.s += n;
		rest.len -= n;
	}
	return 0;
}

static int copy_name(
	char out[ACC_NAME_MAX], const char *name, const char *param, struct route_report *report)
{
	if (!acc_is_name(str_c(name))) {
		route_error(
			report, NULL, "module 'acc': %s '%s' is no name of a field", param, name);
		return -EINVAL;
	}
	memcpy(out, name, strlen(name) + 1);
	return 0;
}

static int read_spool(
	struct acc_settings *s, const struct acc_params *p, struct route_report *report)
{
	if (strlen(p->spool_file) >= sizeof(s->spool_file)) {
		route_error(report, NULL, "module 'acc': spool_file is too long");
		return -EINVAL;
	}
	memcpy(s->spool_file, p->spool_file, strlen(p->spool_file) + 1);
	s->spool_bytes = (uint64_t)p->spool_size << 20;
	return 0;
}

static int read_names(
	struct acc_settings *s, const struct acc_params *p, struct route_report *report)
{
	int err = copy_name(s->start_id, p->cdr_start_id, "cdr_start_id", report);

	if (err == 0)
		err = copy_name(s->end_id, p->cdr_end_id, "cdr_end_id", report);
	if (err == 0)
		err = copy_name(s->duration_id, p->cdr_duration_id, "cdr_duration_id", report);
	return err;
}

static int read_fields(
	struct acc_settings *s, const struct acc_params *p, struct route_report *report)
{
	bool columns = p->table_cdrs[0] != '\0';
	int err = acc_fields_read(&s->log_extra, p->log_extra, "log_extra", false, report);

	if (err == 0)
		err = acc_fields_read(&s->db_extra, p->db_extra, "db_extra", true, report);
	if (err == 0)
		err = acc_fields_read(&s->cdr_extra, p->cdr_extra, "cdr_extra", columns, report);
	return err;
}

/* ---- the database ---- */

static int read_statements(struct acc *a, struct acc_settings *s, const struct acc_params *p,
	struct route_report *report)
{
	char error[512] = "";
	int ret = 0;

	s->statement_acc = s->statement_missed = s->statement_cdrs = -1;
	if (s->db_flag != 0)
		ret = s->statement_acc =
			acc_statement(a, p, p->table_acc, &s->db_extra, error, sizeof(error));
	if (ret >= 0 && s->db_missed_flag != 0)
		ret = s->statement_missed =
			acc_statement(a, p, p->table_missed, &s->db_extra, error, sizeof(error));
	if (ret >= 0 && s->cdr && p->table_cdrs[0] != '\0')
		ret = s->statement_cdrs =
			acc_cdr_statement(a, p, &s->cdr_extra, error, sizeof(error));
	if (ret >= 0)
		return 0;
	route_error(report, NULL, "module 'acc': %s", error);
	return ret;
}

/* What would bill otherwise than whoever wrote the script believes. */
static int refuse(const struct acc_params *p, struct route_report *report)
{
	if (p->multi_leg != NULL && p->multi_leg[0] != '\0') {
		route_error(report, NULL,
			"module 'acc': multi_leg_info: a transaction has one row: what its legs "
			"are can be in one AVP of log_extra and db_extra");
		return -EINVAL;
	}
	if (p->cdr_skip != NULL && p->cdr_skip[0] != '\0') {
		route_error(report, NULL,
			"module 'acc': cdr_skip: there are no dialog variables; a call whose "
			"INVITE has neither log_flag nor db_flag has no CDR");
		return -EINVAL;
	}
	return 0;
}

static void take_switches(struct acc_settings *s, const struct acc_params *p)
{
	s->log_flag = flag(p->log_flag);
	s->log_missed_flag = flag(p->log_missed_flag);
	s->db_flag = flag(p->db_flag);
	s->db_missed_flag = flag(p->db_missed_flag);
	s->failed_flag = flag(p->failed_flag);
	s->early_media = p->early_media != 0;
	s->report_ack = p->report_ack != 0;
	s->report_cancels = p->report_cancels != 0;
	s->extra_nullable = p->extra_nullable != 0;
	s->reason_from_hf = p->reason_from_hf != 0;
	s->cdr = p->cdr_enable != 0;
	s->cdr_log = p->cdr_log_enable != 0;
	s->cdr_confirmed = p->cdr_start_on_confirmed != 0;
	s->cdr_expired = p->cdr_expired != 0;
	s->cdr_on_failed = p->cdr_on_failed != 0;
	s->cdr_extra_nullable = p->cdr_extra_nullable != 0;
	s->lifetime_ns = (uint64_t)p->cdr_lifetime * CLOCK_NS_PER_S;
	s->level = level_of(p->log_level);
}

int acc_settings_make(struct acc *a, const struct acc_params *p, struct route_report *report,
	struct acc_settings **out)
{
	struct acc_settings *s = calloc(1, sizeof(*s));
	int err = s != NULL ? refuse(p, report) : -ENOMEM;

	if (err == 0) {
		take_switches(s, p);
		s->facility = facility_of(p->log_facility, report);
		s->cdr_facility = facility_of(p->cdr_facility, report);
		err = s->facility < 0 || s->cdr_facility < 0 ? -EINVAL : 0;
	}
	if (err == 0)
		err = read_filter(s, p->failed_filter, report);
	if (err == 0)
		err = read_names(s, p, report);
	if (err == 0)
		err = read_spool(s, p, report);
	if (err == 0)
		err = read_fields(s, p, report);
	if (err == 0)
		err = read_statements(a, s, p, report);
	if (err == 0 && s->cdr && (s->log_flag | s->db_flag) == 0)
		route_warning(report, NULL,
			"module 'acc': cdr_enable: calls have a CDR whose INVITE has log_flag or "
			"db_flag, and neither is set");
	if (err != 0 && s != NULL)
		acc_settings_free(s);
	*out = err == 0 ? s : NULL;
	return err;
}
