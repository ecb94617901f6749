/* SPDX-License-Identifier: BSD-3-Clause */
/* Names that scripts of OpenSER, OpenSIPS and Kamailio bring along and nothing here does: a load
 * says of each what it means. */
#include <stdio.h>

#include "route/load.h"

static const struct known known[] = {
#define GLOBAL(names, why) {KNOWN_GLOBAL, "", names, why},
#define PARAM(module, names, why) {KNOWN_PARAM, module, names, why},
#define NO_PARAM(module, names, why) {KNOWN_NO_PARAM, module, names, why},
#define NO_FUNCTION(module, names, why) {KNOWN_NO_FUNCTION, module, names, why},
#define NO_VARIABLE(module, names, why) {KNOWN_NO_VARIABLE, module, names, why},
#define NO_MODULE(names, why) {KNOWN_NO_MODULE, "", names, why},
#define EVENT(names, why) {KNOWN_EVENT, "", names, why},
#define NO_EVENT(names, why) {KNOWN_NO_EVENT, "", names, why},
#include "route/known.def"
#undef GLOBAL
#undef PARAM
#undef NO_PARAM
#undef NO_FUNCTION
#undef NO_VARIABLE
#undef NO_MODULE
#undef EVENT
#undef NO_EVENT
};
#define KNOWN_ROWS (sizeof(known) / sizeof(known[0]))

/* The next name of a row, and what stands behind it. */
static struct str next_name(struct str *rest)
{
	struct str all = str_trim(*rest);
	int64_t blank = str_find(all, ' ');
	struct str name = blank < 0 ? all : str_of(all.s, (size_t)blank);

	*rest = str_of(all.s + name.len, all.len - name.len);
	return name;
}

static bool has_name(const struct known *row, struct str wanted)
{
	struct str rest = str_c(row->names), name;

	while ((name = next_name(&rest)).len > 0) {
		if (str_eq(name, wanted))
			return true;
		/* "dialog:" is all events of a module */
		if ((row->kind == KNOWN_EVENT || row->kind == KNOWN_NO_EVENT) &&
			name.s[name.len - 1] == ':' && wanted.len > name.len &&
			str_eq(name, str_of(wanted.s, name.len)))
			return true;
	}
	return false;
}

const struct known *known_find(enum known_kind kind, struct str module, struct str name)
{
	for (size_t i = 0; i < KNOWN_ROWS; i++) {
		if (known[i].kind == kind &&
			(module.len == 0 || str_eq(module, str_c(known[i].module))) &&
			has_name(&known[i], name))
			return &known[i];
	}
	return NULL;
}

/* ---- reference ---- */

static void print_row(const struct known *row, int (*print)(void *arg, const char *line), void *arg)
{
	struct str rest = str_c(row->names), name;
	struct text line = {0};
	bool first = true;

	text_add(&line, STR("| "));
	while ((name = next_name(&rest)).len > 0) {
		text_addf(&line, "%s`%s%.*s%s`", first ? "" : ", ",
			row->kind == KNOWN_NO_VARIABLE ? "$" : "", STR_FMT(name),
			row->kind == KNOWN_NO_FUNCTION ? "()" : "");
		first = false;
	}
	text_add(&line, STR(" | "));
	text_add_cell(&line, row->why);
	text_addf(&line, "%s |",
		row->kind == KNOWN_GLOBAL || row->kind == KNOWN_PARAM || row->kind == KNOWN_EVENT
			? " (accepted)"
			: "");
	if (line.s != NULL)
		print(arg, line.s);
	text_free(&line);
}

static bool any_of(unsigned kinds, struct str module)
{
	for (size_t i = 0; i < KNOWN_ROWS; i++) {
		if ((kinds >> known[i].kind & 1) != 0 && str_eq(module, str_c(known[i].module)))
			return true;
	}
	return false;
}

void known_reference(
	unsigned kinds, struct str module, int (*print)(void *arg, const char *line), void *arg)
{
	if (!any_of(kinds, module))
		return;
	print(arg, "");
	print(arg, "| not here | why, or what instead |");
	print(arg, "|---|---|");
	for (size_t i = 0; i < KNOWN_ROWS; i++) {
		if ((kinds >> known[i].kind & 1) != 0 && str_eq(module, str_c(known[i].module)))
			print_row(&known[i], print, arg);
	}
}
