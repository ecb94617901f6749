/* SPDX-License-Identifier: BSD-3-Clause */
/* Contacts, which the running siplane has. */
#include "siplanectl.h"

static const char *const brief[] = {
	"aor", "contact", "q", "expires_s", "received", "user_agent", NULL};
static const char *const online[] = {"aor", "contacts", NULL};
static const char *const full[] = {"aor", "contact", "q", "expires_s", "received", "socket", "path",
	"call_id", "cseq", "instance", "flags", "user_agent", NULL};

/* The contacts of one address-of-record, a row each. */
static void add_contacts(struct table *t, const json_t *aor)
{
	json_t *contact, *row;
	size_t i;

	json_array_foreach(json_object_get(aor, "contacts"), i, contact)
	{
		row = json_object();
		json_object_set(row, "aor", json_object_get(aor, "aor"));
		json_object_set(row, "table", json_object_get(aor, "table"));
		json_object_update(row, contact);
		table_row(t, row);
	}
}

static void add_aor(struct table *t, const json_t *aor)
{
	size_t n = json_array_size(json_object_get(aor, "contacts"));

	table_row(t, json_pack("{s:O, s:I}", "aor", json_object_get(aor, "aor"), "contacts",
			     (json_int_t)n));
}

/* All of them, page by page. */
static int list(struct ctl *c, const char *const *columns,
	void (*add)(struct table *, const json_t *), const char *none)
{
	json_t *page, *aor, *cursor = NULL;
	struct table t;
	size_t i;

	table_begin(&t, columns);
	do {
		json_t *params = json_object();

		if (cursor != NULL)
			json_object_set_new(params, "cursor", cursor);
		if (ask_siplane(c, "ul.dump", params, &page) != DONE) {
			json_decref(t.rows);
			return FAILED;
		}
		json_array_foreach(json_object_get(page, "aors"), i, aor) add(&t, aor);
		cursor = json_incref(json_object_get(page, "cursor"));
		json_decref(page);
	} while (json_is_string(cursor));
	json_decref(cursor);
	return table_end(&t, none);
}

int verb_online(struct ctl *c, int argc, char **argv)
{
	return list(c, online, add_aor, "nobody is registered");
}

int verb_ul_dump(struct ctl *c, int argc, char **argv)
{
	return list(c, full, add_contacts, "nobody is registered");
}

int verb_ul_show(struct ctl *c, int argc, char **argv)
{
	struct table t;
	json_t *aor;

	if (argc == 0)
		return list(c, brief, add_contacts, "nobody is registered");
	if (ask_siplane(c, "ul.lookup", json_pack("{s:s}", "aor", argv[0]), &aor) != DONE)
		return FAILED;
	table_begin(&t, brief);
	add_contacts(&t, aor);
	json_decref(aor);
	return table_end(&t, "nobody");
}

int verb_ul_rm(struct ctl *c, int argc, char **argv)
{
	json_t *params =
		json_pack("{s:s, s:s*}", "aor", argv[0], "contact", argc > 1 ? argv[1] : NULL);
	json_t *result;
	int removed;

	if (ask_siplane(c, "ul.rm", params, &result) != DONE)
		return FAILED;
	removed = (int)json_integer_value(json_object_get(result, "removed"));
	json_decref(result);
	return done("%d contact%s of %s removed", removed, removed == 1 ? "" : "s", argv[0]);
}
