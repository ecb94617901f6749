/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * lists: domains, addresses and destinations are read again by themselves: because somebody has
 * changed them, or because their database did not answer before.
 */
#include <stdio.h>

#include "control/loader.h"

#define TELL_EVERY_NS (60 * CLOCK_NS_PER_S)

static const char *const modules[CONTROL_LISTS] = {
	[CONTROL_LIST_DOMAINS] = "domain",
	[CONTROL_LIST_ADDRESSES] = "permissions",
	[CONTROL_LIST_DESTINATIONS] = "dispatcher",
};

const char *control_list_module(enum control_list list)
{
	return modules[list];
}

struct list_module list_module_of(const struct control *c, enum control_list list)
{
	const struct route_registry *r = c->registry;

	for (unsigned i = 0; i < r->count; i++)
		if (strcmp(r->module[i]->name, modules[list]) == 0)
			return (struct list_module){r->module[i], r->room[i]};
	return (struct list_module){NULL, NULL};
}

static void ended(struct control *c, int list, bool good, const char *text)
{
	struct control_list_state *s = &c->list[list];

	s->ended++;
	s->good = good;
	if (snprintf(s->text, sizeof(s->text), "%s", text) >= (int)sizeof(s->text))
		strcpy(s->text + sizeof(s->text) - 5, "...\n");
}

static void begin(struct control *c, int list)
{
	struct control_list_state *s = &c->list[list];

	s->wanted = false;
	s->begun++;
	if (loader_begin(c, list) != 0) {
		log_error("reload: no thread to read the list of %s on; it stays as it is",
			modules[list]);
		ended(c, list, false, "no thread to read it on");
	}
}

static void want(struct control *c, enum control_list list, bool quietly)
{
	struct control_list_state *s = &c->list[list];

	/* Whoever asks for one that is wanted already gets its answer. */
	s->quietly = quietly && (s->quietly || !s->wanted);
	s->wanted = true;
	if (!loader_runs(&c->loader))
		begin(c, list);
}

bool control_reload_list(struct control *c, enum control_list list)
{
	if (route_script_module_config(c->script, modules[list]) == NULL)
		return false;
	want(c, list, false);
	return true;
}

uint32_t control_list_number(const struct control *c, enum control_list list)
{
	return c->list[list].begun + 1;
}

/* Whether the table that a list comes from could be read. */
static bool is_current(const struct control *c, int list)
{
	struct access_list_info info;

	if (access_list_info(c->access, modules[list], &info))
		return info.current;
	return dispatch_list_current(c->dispatch);
}

void list_finish(struct control *c, const struct loaded *loaded)
{
	struct list_module m = list_module_of(c, (enum control_list)loaded->list);
	struct control_list_state *s = &c->list[loaded->list];
	const char *said = route_report_text(loaded->report);
	bool was = is_current(c, loaded->list), good = loaded->prepared != NULL;
	uint64_t now = clock_now_ns();

	if (good) {
		m.module->publish(m.room, loaded->prepared);
		good = is_current(c, loaded->list);
	}
	if (good && route_report_warnings(loaded->report) > 0)
		log_warning("reload: %s", said);
	else if (!good && (!s->quietly || now >= s->told_at))
		log_error(
			"reload: the list of %s stays as it was\n%s", modules[loaded->list], said);
	if (!good)
		s->told_at = now + TELL_EVERY_NS;
	if (good && (!s->quietly || !was))
		log_notice("reload: the list of %s is current", modules[loaded->list]);
	ended(c, loaded->list, good, said);
	route_script_unref(loaded->script);
}

void list_discard(struct control *c, const struct loaded *loaded)
{
	struct list_module m;

	if (loaded->list == LOADER_STATES) {
		dispatch_state_discard(c->dispatch, loaded->prepared);
		return;
	}
	m = list_module_of(c, (enum control_list)loaded->list);
	m.module->discard(m.room, loaded->prepared);
}

void list_finish_states(struct control *c, const struct loaded *loaded)
{
	struct control_states *s = c->states;

	s->err = c->loader.err;
	if (s->err == 0)
		s->destinations = dispatch_state_publish(c->dispatch, loaded->prepared);
	else
		memcpy(s->why, c->loader.why, sizeof(s->why));
	s->done = true;
	c->states = NULL;
}

void control_set_states(struct control *c, struct control_states *s)
{
	if (s->begun || s->done || loader_runs(&c->loader))
		return;
	c->states = s;
	s->begun = true;
	s->err = loader_begin(c, LOADER_STATES);
	if (s->err == 0)
		return;
	snprintf(s->why, sizeof(s->why), "no thread to build the table on");
	s->done = true;
	c->states = NULL;
}

void list_next(struct control *c)
{
	for (int list = 0; list < CONTROL_LISTS && !loader_runs(&c->loader); list++) {
		if (!c->list[list].wanted)
			continue;
		if (route_script_module_config(c->script, modules[list]) != NULL) {
			begin(c, list);
		} else {
			/* A configuration without it has come meanwhile. */
			c->list[list].wanted = false;
			c->list[list].begun++;
			ended(c, list, false, "the configuration has not loaded its module");
		}
	}
}

void list_tick(struct control *c, uint64_t now)
{
	const char *module = access_list_due(c->access, now);

	if (dispatch_list_due(c->dispatch, now))
		want(c, CONTROL_LIST_DESTINATIONS, true);
	for (int list = 0; module != NULL && list < CONTROL_LISTS; list++)
		if (strcmp(modules[list], module) == 0 &&
			route_script_module_config(c->script, module) != NULL)
			want(c, (enum control_list)list, true);
}
