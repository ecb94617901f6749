/* SPDX-License-Identifier: BSD-3-Clause */
/* What a script gives names to: flags (`flags NAME:3`, and those that parameters name, as OpenSIPS
 * has them), and globals of its own. */
#include "route/load.h"

#define FLAGS_MAX 32

bool load_flag_find(const struct route_load *load, struct str name, int64_t *number)
{
	for (const struct load_flag *flag = load->flags; flag != NULL; flag = flag->next) {
		if (str_eq(flag->name, name)) {
			*number = flag->value;
			return true;
		}
	}
	return false;
}

void load_flag_define(struct route_load *load, struct str name, struct ast_at at, int64_t number)
{
	struct load_flag *flag = ast_alloc(&load->arena, sizeof(*flag));

	if (number < 0 || number >= FLAGS_MAX)
		load_error(load, at, "a flag's number is 0 to %d", FLAGS_MAX - 1);
	if (flag == NULL) {
		load_no_memory(load);
		return;
	}
	*flag = (struct load_flag){.name = name, .value = number, .next = load->flags};
	load->flags = flag;
}

/* The highest number that no name has, -1: none. Scripts count theirs from 0. */
static int64_t free_number(const struct route_load *load)
{
	uint32_t used = 0;

	for (const struct load_flag *flag = load->flags; flag != NULL; flag = flag->next)
		used |= 1u << (flag->value & (FLAGS_MAX - 1));
	return used == UINT32_MAX ? -1 : 31 - __builtin_clz(~used);
}

static bool is_name(struct str text)
{
	if (text.len == 0 || !(str_is_alpha(text.s[0]) || text.s[0] == '_'))
		return false;
	for (uint32_t i = 1; i < text.len; i++) {
		if (!str_is_alpha(text.s[i]) && !str_is_digit(text.s[i]) && text.s[i] != '_')
			return false;
	}
	return true;
}

bool load_flag_of_param(struct route_load *load, struct str param, const struct config_value *value,
	int64_t *number)
{
	static const struct str suffix = {"flag", 4};
	int64_t n;

	/* In quotes: a bare word is a #define that is missing. */
	if (!value->is_string || !is_name(value->text) || param.len < suffix.len ||
		!str_eq(str_of(param.s + param.len - suffix.len, suffix.len), suffix))
		return false;
	if (!load_flag_find(load, value->text, &n)) {
		n = free_number(load);
		if (n < 0) {
			load_error(load, value->at, "more than %d flags with names", FLAGS_MAX);
			return false;
		}
		load_flag_define(load, value->text, value->at, n);
	}
	if (number != NULL)
		*number = n;
	return true;
}

/* ---- globals of the script's own ---- */

void load_custom_define(struct route_load *load, struct str group, struct str name,
	struct ast_at at, const struct config_value *value)
{
	struct load_custom *custom = ast_alloc(&load->arena, sizeof(*custom));

	if (custom == NULL) {
		load_no_memory(load);
		return;
	}
	*custom = (struct load_custom){.group = group,
		.name = name,
		.at = at,
		.text = value->text,
		.is_number = value->is_number,
		.number = value->number,
		.next = load->customs};
	load->customs = custom;
}

const struct load_custom *load_custom_find(struct route_load *load, struct str select)
{
	static const struct str prefix = {"cfg_get.", 8};
	int64_t dot;

	if (!str_istarts(select, prefix))
		return NULL;
	select = str_of(select.s + prefix.len, select.len - prefix.len);
	dot = str_find(select, '.');
	for (struct load_custom *c = load->customs; c != NULL && dot > 0; c = c->next) {
		if (str_eq(c->group, str_of(select.s, (size_t)dot)) &&
			str_eq(c->name, str_of(select.s + dot + 1, select.len - (size_t)dot - 1))) {
			c->read = true;
			return c;
		}
	}
	return NULL;
}

void load_custom_finish(struct route_load *load)
{
	for (const struct load_custom *c = load->customs; c != NULL; c = c->next) {
		if (!c->read)
			load_warning(load, c->at, "nothing reads this: $sel(cfg_get.%.*s.%.*s)",
				STR_FMT(c->group), STR_FMT(c->name));
	}
}
