/* SPDX-License-Identifier: BSD-3-Clause */
/* Modules and their functions: what is registered, and what a configuration loads and sets of it.
 */
#include <errno.h>
#include <stdlib.h>

#include "route/load.h"

#define WITHIN_MAX 256

void route_registry_init(struct route_registry *registry)
{
	memset(registry, 0, sizeof(*registry));
	route_registry_add(registry, &route_core_module, NULL);
	route_registry_add(registry, &route_textops_module, NULL);
	route_registry_add(registry, &route_sipmsgops_module, NULL);
	route_registry_add(registry, &route_xlog_module, NULL);
	route_registry_add(registry, &route_pv_module, NULL);
	route_registry_add(registry, &route_avpops_module, NULL);
	for (const struct route_module *const *m = route_state_modules; *m != NULL; m++)
		route_registry_add(registry, *m, NULL);
}

/* Whether a module is only known by name, or has a part of its functions, so that the room that
 * does the work may take its place. */
static bool is_placeholder(const struct route_module *module)
{
	for (const struct route_module *const *m = route_state_modules; *m != NULL; m++) {
		if (*m == module)
			return true;
	}
	return module == &route_avpops_module;
}

int route_registry_add(
	struct route_registry *registry, const struct route_module *module, void *room)
{
	/* The core's functions come from several rooms: each adds a module without a name. */
	int at = module->name[0] != '\0' ? registry_find(registry, str_c(module->name)) : -1;

	if (at >= 0) {
		if (!is_placeholder(registry->module[at]) || is_placeholder(module))
			return -EEXIST;
	} else {
		if (registry->count == ROUTE_MODULES_MAX)
			return -ENOSPC;
		at = (int)registry->count++;
	}
	registry->module[at] = module;
	registry->room[at] = room;
	return 0;
}

int registry_find(const struct route_registry *registry, struct str name)
{
	for (unsigned i = 0; i < registry->count; i++) {
		if (str_eq(str_c(registry->module[i]->name), name))
			return (int)i;
	}
	return -1;
}

const struct route_function *registry_function(
	const struct route_script *script, struct str name, unsigned args, unsigned *module)
{
	const struct route_function *found = NULL;
	const struct route_registry *registry = &script->registry;
	bool best_fits = false;

	for (unsigned i = 0; i < registry->count; i++) {
		for (const struct route_function *fn = registry->module[i]->functions;
			fn != NULL && fn->name != NULL; fn++) {
			bool loaded = script->module[i].loaded, fits;

			if (!str_eq(str_c(fn->name), name) &&
				(fn->statement == NULL || !str_eq(str_c(fn->statement), name)))
				continue;
			/* Of several with one name, one of a loaded module that takes so many
			 * arguments goes first. */
			fits = loaded && args >= fn->args_min && args <= fn->args_max;
			if (found == NULL || (fits && !best_fits) ||
				(loaded && !script->module[*module].loaded)) {
				found = fn;
				*module = i;
				best_fits = fits;
			}
		}
	}
	return found;
}

/* ---- loadmodule ---- */

/* Fills a module's parameters with their defaults. */
static bool config_create(struct route_script *script, unsigned i)
{
	const struct route_module *module = script->registry.module[i];
	char *config = calloc(1, module->config_size > 0 ? module->config_size : 1);

	if (config == NULL)
		return false;
	script->module[i].config = config;
	script->module[i].loaded = true;
	for (const struct route_param *p = module->params; p != NULL && p->name != NULL; p++) {
		if (p->accepted_only || p->initial == NULL)
			continue;
		if (p->type == ROUTE_PARAM_INT)
			*(int64_t *)(config + p->offset) = strtoll(p->initial, NULL, 0);
		else
			*(const char **)(config + p->offset) = p->initial;
	}
	return true;
}

bool registry_load_core(struct route_script *script)
{
	for (unsigned i = 0; i < script->registry.count; i++) {
		const struct route_module *module = script->registry.module[i];

		if ((module->name[0] == '\0' || module->always) && !config_create(script, i))
			return false;
	}
	return true;
}

/* "/usr/lib/x/sl.so" -> "sl" */
static struct str module_name(struct str path)
{
	for (uint32_t i = path.len; i > 0; i--) {
		if (path.s[i - 1] == '/') {
			path = str_of(path.s + i, path.len - i);
			break;
		}
	}
	if (path.len > 3 && memcmp(path.s + path.len - 3, ".so", 3) == 0)
		path.len -= 3;
	return path;
}

static void unknown_module(struct route_load *load, struct str name, struct ast_at at)
{
	const struct known *known = known_find(KNOWN_NO_MODULE, STR_NONE, name);
	struct suggest near;

	if (known != NULL) {
		load_error(load, at, "module '%.*s' is not there: %s", STR_FMT(name), known->why);
		return;
	}
	suggest_begin(&near, name);
	for (unsigned i = 0; i < load->registry->count; i++) {
		if (load->registry->module[i]->name[0] != '\0')
			suggest_offer(&near, str_c(load->registry->module[i]->name));
	}
	if (suggest_end(&near) != NULL)
		load_error(load, at, "unknown module '%.*s' (did you mean '%s'?)", STR_FMT(name),
			suggest_end(&near));
	else
		load_error(load, at, "unknown module '%.*s'", STR_FMT(name));
}

void config_loadmodule(struct route_load *load, struct str path, struct ast_at at)
{
	struct str name = module_name(path);
	int i = name.len > 0 ? registry_find(load->registry, name) : -1;

	if (i < 0) {
		unknown_module(load, name, at);
		load->module_missing = true;
	} else if (load->registry->module[i]->always)
		return;
	else if (load->script->module[i].loaded)
		load_warning(load, at, "module '%.*s' is loaded already", STR_FMT(name));
	else if (!config_create(load->script, (unsigned)i))
		load_no_memory(load);
}

/* ---- modparam ---- */

/* A table's sentence within one of ours: "Counters are on." is "counters are on". */
static const char *within(char out[WITHIN_MAX], const char *help)
{
	size_t len = help != NULL ? strlen(help) : 0;

	if (len > 0 && help[len - 1] == '.')
		len--;
	if (len >= WITHIN_MAX)
		len = WITHIN_MAX - 1;
	memcpy(out, help, len);
	out[len] = '\0';
	if (len > 1 && (str_eq(str_of(out, 2), STR("A ")) || (out[1] >= 'a' && out[1] <= 'z')))
		out[0] = str_lower_char(out[0]);
	return out;
}

static void warn_of_no_effect(
	struct route_load *load, const struct route_param *p, struct ast_at at)
{
	char why[WITHIN_MAX];

	if (p->help == NULL || p->help[0] == '\0')
		load_warning(load, at, "parameter '%s' has no effect here", p->name);
	else
		load_warning(load, at, "parameter '%s' has no effect here: %s", p->name,
			within(why, p->help));
}

/* What is stored for a number that is written. */
static int64_t scaled(
	struct route_load *load, const struct route_param *p, struct ast_at at, int64_t number)
{
	if (number > 0 && number < p->seconds_below) {
		load_warning(load, at,
			"%s %lld is taken for %lld s, as OpenSER counts; in milliseconds it is "
			"%lld",
			p->name, (long long)number, (long long)number, (long long)number * 1000);
		return number * 1000;
	}
	return number * (p->scale != 0 ? p->scale : 1);
}

/* Two texts on a line each. NULL where memory is out. */
static const char *keep_joined(struct route_script *script, const char *first, struct str second)
{
	size_t len = strlen(first);
	char *both = malloc(len + 1 + second.len);
	const char *kept;

	if (both == NULL)
		return NULL;
	memcpy(both, first, len);
	both[len] = '\n';
	str_copy(both + len + 1, second);
	kept = code_keep(script, str_of(both, len + 1 + second.len));
	free(both);
	return kept;
}

static void set_param(struct route_load *load, const struct route_param *p, char *config,
	struct ast_at name_at, const struct config_value *value)
{
	const char **was;

	if (p->accepted_only) {
		load_flag_of_param(load, str_c(p->name), value, NULL);
		warn_of_no_effect(load, p, name_at);
		return;
	}
	if (p->type == ROUTE_PARAM_INT) {
		int64_t number = value->number;

		if (!value->is_number && (value->is_string || !config_truth(value, &number)) &&
			!load_flag_of_param(load, str_c(p->name), value, &number)) {
			load_error(load, value->at, "parameter '%s' is a number", p->name);
			return;
		}
		if ((p->min != 0 || p->max != 0) && (number < p->min || number > p->max)) {
			load_error(load, value->at, "parameter '%s' is %lld to %lld, not %lld",
				p->name, (long long)p->min, (long long)p->max, (long long)number);
			return;
		}
		if (p->refused != NULL && number != 0) {
			load_error(load, value->at, "%s %lld %s", p->name, (long long)number,
				p->refused);
			return;
		}
		*(int64_t *)(config + p->offset) = scaled(load, p, value->at, number);
		return;
	}
	if (!value->is_string) {
		load_error(load, value->at, "parameter '%s' is a string", p->name);
		return;
	}
	was = (const char **)(config + p->offset);
	*was = p->type == ROUTE_PARAM_FILE ? load_keep_path(load, value->text, value->at)
	       : p->adds && *was != NULL   ? keep_joined(load->script, *was, value->text)
					   : code_keep(load->script, value->text);
	if (*was == NULL)
		load_no_memory(load);
}

/* One that manuals have and the module has not. */
static bool known_param(struct route_load *load, struct str module, struct str name,
	struct ast_at at, const struct config_value *value)
{
	const struct known *known = known_find(KNOWN_PARAM, module, name);

	if (known != NULL) {
		load_flag_of_param(load, name, value, NULL);
		load_warning(load, at, "parameter '%.*s' has no effect here: %s", STR_FMT(name),
			known->why);
		return true;
	}
	known = known_find(KNOWN_NO_PARAM, module, name);
	if (known != NULL)
		load_error(
			load, at, "parameter '%.*s' is not there: %s", STR_FMT(name), known->why);
	return known != NULL;
}

static void set_param_of(struct route_load *load, unsigned i, struct str name,
	struct ast_at name_at, const struct config_value *value)
{
	const struct route_module *module = load->registry->module[i];
	struct suggest near;

	suggest_begin(&near, name);
	for (const struct route_param *p = module->params; p != NULL && p->name != NULL; p++) {
		if (str_eq(str_c(p->name), name)) {
			set_param(load, p, load->script->module[i].config, name_at, value);
			return;
		}
		suggest_offer(&near, str_c(p->name));
	}
	if (known_param(load, str_c(module->name), name, name_at, value))
		return;
	if (suggest_end(&near) != NULL)
		load_error(load, name_at,
			"module '%s' has no parameter '%.*s' (did you mean '%s'?)", module->name,
			STR_FMT(name), suggest_end(&near));
	else
		load_error(load, name_at, "module '%s' has no parameter '%.*s'", module->name,
			STR_FMT(name));
}

void config_modparam(struct route_load *load, struct str modules, struct ast_at modules_at,
	struct str name, struct ast_at name_at, const struct config_value *value)
{
	uint32_t from = 0;

	for (uint32_t i = 0; i <= modules.len; i++) {
		struct str one;
		int at;

		if (i < modules.len && modules.s[i] != '|')
			continue;
		one = str_trim(str_of(modules.s + from, i - from));
		from = i + 1;
		at = one.len > 0 ? registry_find(load->registry, one) : -1;
		if (at < 0)
			unknown_module(load, one, modules_at);
		else if (!load->script->module[at].loaded)
			load_error(load, modules_at,
				"module '%.*s' is not loaded: loadmodule \"%.*s.so\" comes first",
				STR_FMT(one), STR_FMT(one));
		else
			set_param_of(load, (unsigned)at, name, name_at, value);
	}
}
