/* SPDX-License-Identifier: BSD-3-Clause */
/* The running siplane as a whole: figures, reload, destinations, and any method. */
#include <stdio.h>

#include "siplanectl.h"

/* ---- what it is ---- */

int verb_uptime(struct ctl *c, int argc, char **argv)
{
	json_t *result;

	return ask_siplane(c, "core.uptime", NULL, &result) == DONE ? say_object(result) : FAILED;
}

/* Of the running one, and of this program, which may be another. */
int verb_version(struct ctl *c, int argc, char **argv)
{
	json_t *result;

	if (ask_siplane(c, "core.version", NULL, &result) != DONE)
		return FAILED;
	json_object_set_new(result, "siplanectl", json_string(SIPLANE_VERSION));
	return say_object(result);
}

/* People see what is not zero, group by group, unless they ask for one figure. */
int verb_stats(struct ctl *c, int argc, char **argv)
{
	const char *group, *name;
	json_t *result, *figures, *value;
	bool found = false;

	if (ask_siplane(c, "core.stats", NULL, &result) != DONE)
		return FAILED;
	if (argc == 0 && say_json)
		return say_value(result);
	progress_end();
	json_object_foreach(result, group, figures)
	{
		bool wanted = argc == 0 || strcmp(argv[0], group) == 0;

		if (wanted && say_json) {
			json_t *one = json_incref(figures);

			json_decref(result);
			return say_value(one);
		}
		if (wanted)
			printf("%s%s\n", found ? "\n" : "", group);
		found |= wanted;
		json_object_foreach(figures, name, value)
		{
			bool named = argc > 0 && strcmp(argv[0], name) == 0;

			if (wanted && (json_integer_value(value) != 0 || argc > 0))
				printf("  %-28s %" JSON_INTEGER_FORMAT "\n", name,
					json_integer_value(value));
			if (!named)
				continue;
			found = true;
			if (say_json)
				printf("{\"%s\": %" JSON_INTEGER_FORMAT "}\n", name,
					json_integer_value(value));
			else
				printf("%" JSON_INTEGER_FORMAT "\n", json_integer_value(value));
		}
	}
	json_decref(result);
	return found ? DONE : fail("there is no figure and no group '%s'", argv[0]);
}

/* ---- reload ---- */

/* Asks for it; what it warns of is said here. NULL: FAILED. */
static json_t *reload(struct ctl *c, const char *method)
{
	const char *warnings;
	json_t *result;

	if (ask_siplane(c, method, NULL, &result) != DONE)
		return NULL;
	warnings = json_string_value(json_object_get(result, "warnings"));
	if (!say_json && warnings != NULL && warnings[0] != '\0')
		warn("%s", warnings);
	return result;
}

int verb_reload(struct ctl *c, int argc, char **argv)
{
	json_t *result = reload(c, "cfg.reload");
	int generation;

	if (result == NULL)
		return FAILED;
	if (say_json)
		return say_value(result);
	generation = (int)json_integer_value(json_object_get(result, "generation"));
	json_decref(result);
	return done("the configuration is current, generation %d", generation);
}

/* How many of a file, how many of a table. */
static int reload_of(struct ctl *c, const char *method, const char *what)
{
	json_t *result = reload(c, method), *file, *table;
	char text[256];
	int n;

	if (result == NULL)
		return FAILED;
	if (say_json)
		return say_value(result);
	file = json_object_get(result, "from_file");
	table = json_object_get(result, "from_table");
	n = snprintf(text, sizeof(text), "the list of %s is current:", what);
	if (json_is_integer(file))
		n += snprintf(text + n, sizeof(text) - (size_t)n,
			" %" JSON_INTEGER_FORMAT " of its file%s", json_integer_value(file),
			json_is_integer(table) ? "," : "");
	if (json_is_integer(table))
		snprintf(text + n, sizeof(text) - (size_t)n,
			" %" JSON_INTEGER_FORMAT " of its table", json_integer_value(table));
	json_decref(result);
	return done("%s", text);
}

int verb_domain_reload(struct ctl *c, int argc, char **argv)
{
	return reload_of(c, "domain.reload", "domains");
}

int verb_address_reload(struct ctl *c, int argc, char **argv)
{
	return reload_of(c, "address.reload", "addresses");
}

int verb_ds_reload(struct ctl *c, int argc, char **argv)
{
	return reload_of(c, "ds.reload", "destinations");
}

/* ---- destinations ---- */

static const char *const destinations[] = {"set", "id", "destination", "state", "by", "since",
	"left", "health", "weight", "priority", "selected", "pins", "unreachable", NULL};

/* Visits all destinations. DONE or FAILED. */
static int each_destination(struct ctl *c, void (*visit)(void *arg, json_t *destination), void *arg)
{
	json_t *page, *destination, *cursor = NULL;
	size_t i;

	do {
		json_t *params = json_object();

		if (cursor != NULL)
			json_object_set_new(params, "cursor", cursor);
		if (ask_siplane(c, "ds.list", params, &page) != DONE)
			return FAILED;
		json_array_foreach(json_object_get(page, "destinations"), i, destination)
			visit(arg, destination);
		cursor = json_incref(json_object_get(page, "cursor"));
		json_decref(page);
	} while (json_is_string(cursor));
	json_decref(cursor);
	return DONE;
}

static void add_destination(void *arg, json_t *destination)
{
	table_row(arg, json_incref(destination));
}

int verb_ds_list(struct ctl *c, int argc, char **argv)
{
	struct table t;

	table_begin(&t, destinations);
	if (each_destination(c, add_destination, &t) != DONE) {
		json_decref(t.rows);
		return FAILED;
	}
	return table_end(&t, "there are no destinations");
}

/* Those that are meant: by their number, or all of that URI. */
struct meant {
	const char *text;
	json_t *ids;
};

static void add_meant(void *arg, json_t *destination)
{
	struct meant *m = arg;
	json_t *id = json_object_get(destination, "id");
	const char *uri = json_string_value(json_object_get(destination, "destination"));
	char number[32];

	snprintf(number, sizeof(number), "%" JSON_INTEGER_FORMAT, json_integer_value(id));
	if (strcmp(m->text, number) == 0 || (uri != NULL && strcmp(m->text, uri) == 0))
		json_array_append(m->ids, id);
}

static int set_health(struct ctl *c, const char *text, bool up)
{
	struct meant m = {.text = text, .ids = json_array()};
	int status = each_destination(c, add_meant, &m);
	json_t *id, *result;
	size_t i, n = json_array_size(m.ids);

	if (status == DONE && n == 0)
		status = fail("there is no destination %s", text);
	json_array_foreach(m.ids, i, id)
	{
		if (status != DONE)
			break;
		status = ask_siplane(c, "ds.set_health",
			json_pack("{s:O, s:b}", "id", id, "up", (int)up), &result);
		if (status == DONE)
			json_decref(result);
	}
	json_decref(m.ids);
	return status != DONE ? status
			      : done("%zu destination%s %s", n, n == 1 ? " is" : "s are",
					up ? "up" : "down");
}

int verb_ds_up(struct ctl *c, int argc, char **argv)
{
	return set_health(c, argv[0], true);
}

int verb_ds_down(struct ctl *c, int argc, char **argv)
{
	return set_health(c, argv[0], false);
}

#define URIS_MAX 32768 /* bytes of all destinations of one command */

/* SET URI...: a state by hand. */
static int set_state(struct ctl *c, int argc, char **argv, const char *state, const char *said)
{
	json_t *uris, *result;
	char text[URIS_MAX];
	size_t len = 0;
	uint32_t set;
	int n, usable, status;

	if (str_to_u32(str_c(argv[0]), INT32_MAX, &set) != 0)
		return fail("'%s' is no set: a number from 0 on", argv[0]);
	for (int i = 1; i < argc; i++) {
		len += (size_t)snprintf(
			text + len, sizeof(text) - len, "%s%s", i > 1 ? " " : "", argv[i]);
		if (len >= sizeof(text))
			return fail("too many destinations for one command");
	}
	uris = json_string(text);
	if (uris == NULL)
		return fail("'%s': no UTF-8", text);
	status = ask_siplane(c, "ds.set_state",
		json_pack("{s:I, s:o, s:s}", "set", (json_int_t)set, "destination", uris, "state",
			state),
		&result);
	if (status != DONE)
		return status;
	n = (int)json_integer_value(json_object_get(result, "destinations"));
	usable = (int)json_integer_value(json_object_get(result, "usable"));
	json_decref(result);
	if (usable == 0 && !say_json)
		warn("set %u has no destination left for new calls", set);
	return done("%d destination%s %s", n, n == 1 ? " is" : "s are", said);
}

int verb_ds_enable(struct ctl *c, int argc, char **argv)
{
	return set_state(c, argc, argv, "enabled", "enabled");
}

int verb_ds_drain(struct ctl *c, int argc, char **argv)
{
	return set_state(c, argc, argv, "drain", "drained: new calls go elsewhere in 32 s at most");
}

int verb_ds_disable(struct ctl *c, int argc, char **argv)
{
	return set_state(
		c, argc, argv, "disabled", "disabled: new calls go elsewhere in 32 s at most");
}

/* ---- any method ---- */

static const char *const methods[] = {"name", "parameters", "help", NULL};

int verb_methods(struct ctl *c, int argc, char **argv)
{
	json_t *list, *method, *param;
	struct table t;
	size_t i, j;

	if (ask_siplane(c, "rpc.list", NULL, &list) != DONE)
		return FAILED;
	if (say_json)
		return say_value(list);
	table_begin(&t, methods);
	json_array_foreach(list, i, method)
	{
		char text[512] = "";
		size_t n = 0;

		json_array_foreach(json_object_get(method, "params"), j, param)
		{
			const char *name = json_string_value(json_object_get(param, "name"));
			bool optional = json_is_true(json_object_get(param, "optional"));

			if (name != NULL && n < sizeof(text) - 1)
				n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s%s%s",
					n > 0 ? " " : "", optional ? "[" : "", name,
					optional ? "]" : "");
		}
		json_object_set_new(method, "parameters", json_string(text));
		table_row(&t, json_incref(method));
	}
	json_decref(list);
	return table_end(&t, "there are none");
}

/* The parameters that siplane names for a method, or NULL. */
static json_t *params_of(json_t *list, const char *method)
{
	json_t *row;
	size_t i;

	json_array_foreach(list, i, row)
	{
		const char *name = json_string_value(json_object_get(row, "name"));

		if (name != NULL && strcmp(name, method) == 0)
			return json_object_get(row, "params");
	}
	return NULL;
}

/* A value as its parameter wants it: "100" may be a user or a number. What is not of that type goes
 * as a text, and siplane says what is wrong with it. */
static json_t *value_of(json_t *params, const char *name, const char *text)
{
	const char *type = "text", *known;
	json_t *param, *value;
	size_t i;

	json_array_foreach(params, i, param)
	{
		known = json_string_value(json_object_get(param, "name"));
		if (known != NULL && strcmp(known, name) == 0)
			type = json_string_value(json_object_get(param, "type"));
	}
	if (type == NULL || strcmp(type, "text") == 0)
		return json_string(text);
	value = json_loads(text, JSON_DECODE_ANY, NULL);
	if (json_is_integer(value) || json_is_boolean(value))
		return value;
	json_decref(value);
	return json_string(text);
}

int verb_call(struct ctl *c, int argc, char **argv)
{
	json_t *params = json_object(), *list, *result;
	int status = DONE;

	for (int i = 1; i < argc; i++) {
		if (strchr(argv[i], '=') == NULL) {
			json_decref(params);
			fail("'%s': NAME=VALUE is wanted", argv[i]);
			return USAGE;
		}
	}
	if (ask_siplane(c, "rpc.list", NULL, &list) != DONE) {
		json_decref(params);
		return FAILED;
	}
	for (int i = 1; status == DONE && i < argc; i++) {
		char *equals = strchr(argv[i], '=');

		*equals = '\0';
		if (json_object_set_new(params, argv[i],
			    value_of(params_of(list, argv[0]), argv[i], equals + 1)) != 0)
			status = fail("%s: no UTF-8", argv[i]);
	}
	json_decref(list);
	if (status != DONE) {
		json_decref(params);
		return status;
	}
	return ask_siplane(c, argv[0], params, &result) == DONE ? say_value(result) : FAILED;
}
