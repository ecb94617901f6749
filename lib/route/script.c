/* SPDX-License-Identifier: BSD-3-Clause */
/* A script's life: load, publish, references, end. */
#include <errno.h>
#include <stdlib.h>

#include "route/avp.h"
#include "route/load.h"

/* The load at hand, for route_var_slot(); loads are the control thread's, one at a time. */
static struct route_load *current;

bool code_grow(void *array, uint32_t count, uint32_t *cap, size_t size)
{
	void **p = array;
	uint32_t want = *cap != 0 ? *cap * 2 : 64;
	void *grown;

	if (count < *cap)
		return true;
	grown = realloc(*p, want * size);
	if (grown == NULL)
		return false;
	*p = grown;
	*cap = want;
	return true;
}

const char *code_keep(struct route_script *script, struct str s)
{
	char *copy;

	if (!code_grow(&script->keep, script->keeps, &script->keeps_cap, sizeof(script->keep[0])))
		return NULL;
	copy = malloc((size_t)s.len + 1);
	if (copy == NULL)
		return NULL;
	if (s.len > 0)
		memcpy(copy, s.s, s.len);
	copy[s.len] = '\0';
	script->keep[script->keeps++] = copy;
	return copy;
}

int route_var_slot(struct str name)
{
	struct route_script *script = current != NULL ? current->script : NULL;

	if (script == NULL)
		return -1;
	for (unsigned i = 0; i < script->slots; i++) {
		if (str_eq(str_c(script->slot[i]), name))
			return (int)i;
	}
	if (script->slots == ROUTE_VARS_MAX)
		return -1;
	script->slot[script->slots] = name.len > 0 ? strndup(name.s, name.len) : NULL;
	if (script->slot[script->slots] == NULL)
		return -1;
	return (int)script->slots++;
}

bool load_custom_text(struct str select, struct str *out)
{
	const struct load_custom *custom =
		current != NULL ? load_custom_find(current, select) : NULL;
	const char *kept;

	if (custom == NULL)
		return false;
	/* A number's text is as it was written. */
	kept = code_keep(current->script, custom->text);
	*out = str_of(kept != NULL ? kept : "", kept != NULL ? custom->text.len : 0);
	return true;
}

void load_avp_alias(struct str *name)
{
	avp_alias_follow(current != NULL ? current->script : NULL, name);
}

bool variable_find(struct str name, struct variable_found *out)
{
	int row = route_variable_find(name);
	const struct route_script *script = current != NULL ? current->script : NULL;

	*out = (struct variable_found){0};
	if (row >= 0) {
		out->variable = &route_variables[row];
		return true;
	}
	for (unsigned i = 0; script != NULL && i < script->registry.count; i++) {
		const struct route_module *module = script->registry.module[i];

		for (const struct route_variable *v = module->variables;
			v != NULL && v->name != NULL; v++) {
			if (!str_eq(name, str_c(v->name)))
				continue;
			out->variable = v;
			out->room = script->registry.room[i];
			out->module = script->module[i].loaded ? NULL : module->name;
			return true;
		}
	}
	return false;
}

static void discard(struct route_script *script)
{
	for (unsigned i = script->registry.count; i-- > 0;) {
		struct code_module *m = &script->module[i];

		if (m->prepared && script->registry.module[i]->discard != NULL)
			script->registry.module[i]->discard(script->registry.room[i], m->data);
		m->prepared = false;
	}
}

static void destroy(struct route_script *script)
{
	if (!script->published)
		discard(script);
	for (uint32_t i = 0; i < script->sites; i++) {
		struct code_site *site = &script->site[i];

		if (site->args.data != NULL && site->fn->free_data != NULL)
			site->fn->free_data((void *)(uintptr_t)site->args.data);
		free(site->constant);
	}
	for (uint32_t i = 0; i < script->regexes; i++)
		route_regex_free(script->regex[i]);
	for (uint32_t i = 0; i < script->formats; i++)
		route_format_free(script->format[i]);
	for (unsigned i = 0; i < script->slots; i++)
		free(script->slot[i]);
	for (unsigned i = 0; i < script->registry.count; i++)
		free(script->module[i].config);
	for (uint32_t i = 0; i < script->keeps; i++)
		free(script->keep[i]);
	free(script->keep);
	free(script->line);
	free(script->prefix);
	free(script->transform);
	free(script->format);
	free(script->regex);
	free(script->named);
	free(script->block);
	free(script->site);
	free(script->text);
	free(script->cell);
	free(script->name);
	free(script->use);
	free(script->code);
	free(script);
}

static struct route_script *create(const struct route_registry *registry)
{
	struct route_script *script = calloc(1, sizeof(*script));

	if (script == NULL)
		return NULL;
	atomic_init(&script->references, 1);
	script->registry = *registry;
	script->request = script->reply = script->error = CODE_NO_BLOCK;
	config_init(&script->config);
	if (!registry_load_core(script)) {
		destroy(script);
		return NULL;
	}
	return script;
}

/* Each loaded module builds what it needs; all or none. */
static int prepare(struct route_load *load)
{
	struct route_script *script = load->script;

	for (unsigned i = 0; i < script->registry.count; i++) {
		const struct route_module *module = script->registry.module[i];
		struct code_module *m = &script->module[i];
		unsigned errors = route_report_errors(load->report);
		int err;

		if (!m->loaded || module->prepare == NULL)
			continue;
		err = module->prepare(script->registry.room[i], m->config, load->report, &m->data);
		if (err != 0) {
			if (route_report_errors(load->report) == errors)
				route_error(load->report, NULL, "module '%s': %s", module->name,
					strerror(-err));
			return err;
		}
		m->prepared = true;
	}
	return 0;
}

static int run_stages(struct route_load *load, const char *path, const char *name, struct str text)
{
	int err = path != NULL ? source_load(load->source, path)
			       : source_load_text(load->source, name, text);

	if (err == 0 && route_report_errors(load->report) == 0)
		err = grammar_parse(load);
	/* Wrong settings keep no error of the blocks from being told; a missing module would make a
	 * row of false ones. */
	if (err != 0 || load->gave_up || load->module_missing)
		return -EINVAL;
	config_finish(load);
	if (load->registry->globals != NULL)
		err = load->registry->globals(
			load->registry->globals_arg, &load->script->config, load->report);
	if (err == 0)
		err = check_all(load);
	if (err != 0 || load->gave_up || route_report_errors(load->report) != 0)
		return -EINVAL;
	err = compile_all(load);
	if (err != 0 || route_report_errors(load->report) != 0)
		return -EINVAL;
	if (load->registry->configured != NULL) {
		err = load->registry->configured(
			load->registry->configured_arg, &load->script->config, load->report);
		if (err != 0)
			return err;
	}
	return prepare(load);
}

static struct route_script *load_any(const char *path, const char *name, struct str text,
	const struct route_registry *registry, struct route_report *report)
{
	struct route_load load = {.registry = registry, .report = report};
	int err = -ENOMEM;

	load.blocks_end = &load.blocks;
	load.source = source_create(report);
	load.script = create(registry);
	current = &load;
	if (load.source != NULL && load.script != NULL)
		err = run_stages(&load, path, name, text);
	else
		load_no_memory(&load);
	if (err != 0 && route_report_errors(report) == 0)
		route_error(report, NULL, "cannot load this configuration: %s", strerror(-err));
	current = NULL;
	source_destroy(load.source);
	ast_free(&load.arena);
	if (err != 0 && load.script != NULL) {
		destroy(load.script);
		return NULL;
	}
	return load.script;
}

struct route_script *route_script_load(
	const char *path, const struct route_registry *registry, struct route_report *report)
{
	return load_any(path, NULL, STR_NONE, registry, report);
}

struct route_script *route_script_load_text(const char *name, struct str text,
	const struct route_registry *registry, struct route_report *report)
{
	return load_any(NULL, name, text, registry, report);
}

void route_script_publish(struct route_script *script)
{
	if (script->published)
		return;
	script->published = true;
	for (unsigned i = 0; i < script->registry.count; i++) {
		struct code_module *m = &script->module[i];

		if (m->prepared && script->registry.module[i]->publish != NULL)
			script->registry.module[i]->publish(script->registry.room[i], m->data);
	}
}

void route_script_ref(const struct route_script *script)
{
	/* The count is the one thing of a published script that changes. */
	atomic_fetch_add_explicit(
		&((struct route_script *)(uintptr_t)script)->references, 1, memory_order_relaxed);
}

void route_script_unref(const struct route_script *script)
{
	struct route_script *s = (struct route_script *)(uintptr_t)script;

	if (s != NULL && atomic_fetch_sub_explicit(&s->references, 1, memory_order_acq_rel) == 1)
		destroy(s);
}

bool route_script_is_last(const struct route_script *script)
{
	return atomic_load_explicit(&script->references, memory_order_acquire) == 1;
}

const struct route_config *route_script_config(const struct route_script *script)
{
	return &script->config;
}

const void *route_script_module_config(const struct route_script *script, const char *module)
{
	unsigned at = ROUTE_MODULES_MAX;

	return route_script_module_config_at(script, module, &at);
}

const void *route_script_module_config_at(
	const struct route_script *script, const char *module, unsigned *at)
{
	const struct route_registry *registry = &script->registry;

	if (*at >= registry->count || strcmp(registry->module[*at]->name, module) != 0) {
		int found = registry_find(registry, str_c(module));

		if (found < 0)
			return NULL;
		*at = (unsigned)found;
	}
	return script->module[*at].loaded ? script->module[*at].config : NULL;
}

bool route_script_has_reply_route(const struct route_script *script)
{
	return script->reply != CODE_NO_BLOCK;
}

bool route_script_has_error_route(const struct route_script *script)
{
	return script->error != CODE_NO_BLOCK;
}

bool route_script_has_state(const struct route_script *script)
{
	return script->slow_lines > 0;
}

int code_compare_named(const void *a, const void *b)
{
	const struct code_named *x = a, *y = b;
	uint32_t len = x->name.len < y->name.len ? x->name.len : y->name.len;
	int order;

	if (x->in != y->in)
		return x->in < y->in ? -1 : 1;
	order = len > 0 ? memcmp(x->name.s, y->name.s, len) : 0;
	if (order != 0)
		return order;
	return x->name.len < y->name.len ? -1 : x->name.len > y->name.len;
}

uint32_t route_script_block(const struct route_script *script, enum route_in in, struct str name)
{
	struct code_named wanted = {.in = (uint16_t)in, .name = name};
	const struct code_named *found = script->nameds > 0
						 ? bsearch(&wanted, script->named, script->nameds,
							   sizeof(wanted), code_compare_named)
						 : NULL;

	return found != NULL ? found->block : ROUTE_NO_BLOCK;
}

struct str route_script_text(const struct route_script *script)
{
	return str_of(script->text, script->text_len);
}

const struct route_hooks *route_script_hooks(const struct route_script *script)
{
	return &script->registry.hooks;
}
