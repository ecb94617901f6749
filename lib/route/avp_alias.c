/* SPDX-License-Identifier: BSD-3-Clause */
/* avp_aliases: "day=i:101;time=s:hours", other names of AVPs, which a script says as a global or as
 * a parameter of pv or avpops. They are known while it is loaded. */
#include "route/avp.h"
#include "route/avpops.h"
#include "route/load.h"

#define ALIASES_NAME STR("avp_aliases")

/* The next "alias=name" of a list. False at its end. */
static bool next_alias(struct str *rest, struct str *alias, struct str *name)
{
	int64_t end, equals;
	struct str item;

	do {
		if (rest->len == 0)
			return false;
		end = str_find(*rest, ';');
		item = end < 0 ? *rest : str_of(rest->s, (size_t)end);
		*rest = end < 0 ? STR_NONE
				: str_of(rest->s + end + 1, rest->len - (uint32_t)end - 1);
		item = str_trim(item);
	} while (item.len == 0);
	equals = str_find(item, '=');
	*alias = equals < 0 ? item : str_trim(str_of(item.s, (size_t)equals));
	*name = equals < 0 ? STR_NONE
			   : str_trim(str_of(item.s + equals + 1, item.len - (uint32_t)equals - 1));
	return true;
}

/* Whether a text says what kind of name it is: "s:x". Such a one is no alias. */
static bool has_kind(struct str name)
{
	return name.len > 2 && name.s[1] == ':';
}

static bool look(struct str list, struct str *name)
{
	struct str alias, real;

	while (next_alias(&list, &alias, &real)) {
		if (str_eq(alias, *name)) {
			*name = real;
			return true;
		}
	}
	return false;
}

/* The nth list of a script, the global first; false: there is none of that number. */
static bool nth_list(const struct route_script *script, unsigned n, struct str *list)
{
	const struct route_module *module;

	*list = STR_NONE;
	if (n == 0) {
		if (script->config.avp_aliases != NULL)
			*list = str_c(script->config.avp_aliases);
		return true;
	}
	if (n > script->registry.count)
		return false;
	module = script->registry.module[n - 1];
	for (const struct route_param *p = module->params; p != NULL && p->name != NULL; p++) {
		const char *config = script->module[n - 1].config, *text;

		if (p->type != ROUTE_PARAM_STR || p->accepted_only || config == NULL ||
			!str_eq(str_c(p->name), ALIASES_NAME))
			continue;
		text = *(const char *const *)(config + p->offset);
		*list = text != NULL ? str_c(text) : STR_NONE;
	}
	return true;
}

void avp_alias_follow(const struct route_script *script, struct str *name)
{
	struct str list;

	if (script == NULL || has_kind(*name))
		return;
	for (unsigned n = 0; nth_list(script, n, &list); n++) {
		if (look(list, name))
			return;
	}
}

void avp_alias_check(struct route_load *load)
{
	struct str list, alias, name;

	for (unsigned n = 0; nth_list(load->script, n, &list); n++) {
		while (next_alias(&list, &alias, &name)) {
			if (avpops_can_name(alias) && avp_check_name(&name))
				continue;
			route_error(load->report, NULL,
				"avp_aliases are \"alias=i:5;other=s:name\", and not '%.*s'",
				STR_FMT(alias));
		}
	}
}
