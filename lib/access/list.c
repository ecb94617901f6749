/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where a list comes from, and how it becomes current. File and table are two snapshots, of which
 * one can stay while the other changes: a table that does not answer keeps no file from being read.
 */
#include <errno.h>
#include <stdlib.h>

#include "access/internal.h"

static const struct access_kind *const kinds[ACCESS_LISTS] = {
	[ACCESS_ADDRESSES] = &access_addresses_kind,
	[ACCESS_DOMAINS] = &access_domains_kind,
};

struct access_prepared {
	enum access_which which;
	void *from[ACCESS_SOURCES];
	int statement; /* -1: no table */
	bool keep;     /* what was read of the table before stays */
	bool old;      /* the table could not be read */
};

/* The statement that reads the table, or negative after route_error(). */
static int statement_of(struct access *a, const struct access_kind *kind,
	const struct access_source *source, struct route_report *report)
{
	struct db_table table = {
		.name = source->table, .types = kind->types, .needed = kind->needed};
	char error[512];
	int ret = db_use(a->db, source->db_url, error, sizeof(error));

	for (unsigned i = 0; i < strlen(kind->types); i++)
		table.column[i] = source->column[i];
	if (ret >= 0)
		ret = db_table(a->db, ret, &table, error, sizeof(error));
	if (ret < 0)
		route_error(report, NULL, "%s: %s", kind->module, error);
	return ret;
}

struct reading {
	const struct access_kind *kind;
	struct access_rows rows;
	void *building;
};

static bool visit(void *arg, const struct db_value *value, unsigned columns)
{
	struct reading *r = arg;

	return r->kind->add(r->building, value);
}

/* A table that could not be read: 0 where one can go on without. */
static int do_without(const struct access *a, struct access_prepared *p,
	const struct access_source *source, const char *error, struct route_report *report)
{
	const struct access_list *was = &a->state[p->which];
	const char *module = kinds[p->which]->module;

	p->old = true;
	if (was->read && was->statement == p->statement) {
		p->keep = true;
		route_warning(report, NULL,
			"%s: table %s cannot be read: %s; what was read before stays", module,
			source->table, error);
		return 0;
	}
	if (was->published && was->statement != p->statement) {
		route_error(report, NULL,
			"%s: table %s cannot be read: %s; nothing is known of it yet", module,
			source->table, error);
		return -EIO;
	}
	route_warning(report, NULL, "%s: table %s cannot be read: %s; %s until it can be", module,
		source->table, error,
		p->which == ACCESS_DOMAINS ? "messages whose script asks for a domain of it fail"
					   : "it is as if it were empty");
	return 0;
}

static int read_table(struct access *a, struct access_prepared *p,
	const struct access_source *source, struct route_report *report)
{
	const struct access_kind *kind = kinds[p->which];
	struct reading r = {.kind = kind, .rows = {.report = report, .name = source->table}};
	char error[512] = "";
	enum db_result result;

	r.building = kind->begin(&r.rows);
	if (r.building == NULL) {
		route_error(report, NULL, "%s: not enough memory", kind->module);
		return -ENOMEM;
	}
	result = db_table_read(a->db, p->statement, visit, &r, error, sizeof(error));
	if (result != DB_DONE && r.rows.failed == NULL)
		r.rows.failed = error[0] != '\0' ? error : db_result_text(result);
	p->from[ACCESS_TABLE] = kind->end(r.building);
	access_rows_end(&r.rows);
	if (p->from[ACCESS_TABLE] != NULL)
		return 0;
	return do_without(a, p, source, r.rows.failed, report);
}

int access_list_prepare(struct access *a, enum access_which which,
	const struct access_source *source, bool with_table, struct route_report *report,
	struct access_prepared **out)
{
	const struct access_kind *kind = kinds[which];
	struct access_prepared *p = calloc(1, sizeof(*p));
	int err = 0;

	if (p == NULL) {
		route_error(report, NULL, "%s: not enough memory", kind->module);
		return -ENOMEM;
	}
	p->which = which;
	p->statement = -1;
	if (source->file != NULL) {
		p->from[ACCESS_FILE] = kind->load(source->file, report);
		err = p->from[ACCESS_FILE] == NULL ? -EINVAL : 0;
	}
	if (err == 0 && a->db == NULL && with_table && source->db_url != NULL) {
		route_error(report, NULL, "%s: db_url: there is no database here", kind->module);
		err = -EINVAL;
	}
	if (err == 0 && a->db != NULL && with_table &&
		(source->file == NULL || source->db_url != NULL)) {
		p->statement = statement_of(a, kind, source, report);
		err = p->statement < 0 ? p->statement : 0;
		if (err == 0 && a->reads)
			err = read_table(a, p, source, report);
	}
	if (err == 0)
		*out = p;
	else
		access_list_discard(p);
	return err;
}

void access_list_discard(struct access_prepared *p)
{
	for (unsigned i = 0; i < ACCESS_SOURCES; i++)
		kinds[p->which]->free(p->from[i]);
	free(p);
}

void access_list_publish(struct access *a, struct access_prepared *p)
{
	struct access_list *state = &a->state[p->which];
	const struct access_kind *kind = kinds[p->which];
	bool unread = p->old && !p->keep;

	/* Doubt begins before a list is taken away, and ends when the next one is there. */
	if (unread)
		atomic_store_explicit(&a->unread[p->which], true, memory_order_release);
	for (unsigned i = 0; i < ACCESS_SOURCES; i++) {
		if (i == ACCESS_TABLE && p->keep)
			continue;
		access_retire(a,
			atomic_exchange_explicit(
				&a->list[p->which][i], p->from[i], memory_order_acq_rel),
			kind->free);
	}
	if (!unread)
		atomic_store_explicit(&a->unread[p->which], false, memory_order_release);
	state->read = p->keep || p->from[ACCESS_TABLE] != NULL;
	state->statement = p->statement;
	state->published = true;
	state->old = p->old;
	if (!p->old)
		state->retry_after = 0;
	free(p);
}

static int which_of(const char *module)
{
	for (int i = 0; i < ACCESS_LISTS; i++)
		if (strcmp(kinds[i]->module, module) == 0)
			return i;
	return -1;
}

bool access_list_info(const struct access *a, const char *module, struct access_list_info *out)
{
	int which = which_of(module);
	const void *file, *table;

	if (which < 0)
		return false;
	file = access_current(a, (enum access_which)which, ACCESS_FILE);
	table = access_current(a, (enum access_which)which, ACCESS_TABLE);
	*out = (struct access_list_info){
		.file = file != NULL,
		.table = a->state[which].statement >= 0,
		.current = !a->state[which].old,
		.lines = file != NULL ? kinds[which]->count(file) : 0,
		.rows = table != NULL ? kinds[which]->count(table) : 0,
	};
	return true;
}

const char *access_list_due(struct access *a, uint64_t now_ns)
{
	for (unsigned i = 0; i < ACCESS_LISTS; i++) {
		struct access_list *state = &a->state[i];
		uint64_t after = state->retry_after;

		if (!state->old || (after != 0 && now_ns < state->retry_at))
			continue;
		/* The first time it has just been tried. */
		state->retry_at = now_ns + (after != 0 ? after : ACCESS_RETRY_MIN_NS);
		state->retry_after = after == 0                        ? ACCESS_RETRY_MIN_NS
				     : 2 * after < ACCESS_RETRY_MAX_NS ? 2 * after
								       : ACCESS_RETRY_MAX_NS;
		if (after != 0)
			return kinds[i]->module;
	}
	return NULL;
}
