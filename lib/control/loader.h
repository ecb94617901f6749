/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/* The thread that reads a configuration, or a list, while the process serves. Private to the room.
 */
#include "control/control.h"

/* What a load has made. */
struct loaded {
	int list;                    /* as loader_begin() was told */
	struct route_script *script; /* NULL: it has errors; of a list: that it was read for */
	void *prepared;              /* of a list, NULL: it has errors */
	struct route_report *report;
};

/* What else than a list there is to load. */
#define LOADER_CONFIGURATION (-1) /* c->path */
#define LOADER_STATES (-2)        /* none: c->states, of what was read before */

/* Control thread: begins to load a list, or one of these. 0 or -errno. */
int loader_begin(struct control *c, int list);
/* Whether a load is under way, or has not been taken yet. */
bool loader_runs(const struct control_loader *l);
/* What it makes is not wanted any more: it waits for no names, and ends soon. */
void loader_stop(struct control_loader *l);
/* Whether one has ended: what it made is then the caller's. */
bool loader_take(struct control_loader *l, struct loaded *out);

/* lists.c: the module of a list, and its room, as the registry has them. */
struct list_module {
	const struct route_module *module;
	void *room;
};
struct list_module list_module_of(const struct control *c, enum control_list list);
/* A list has been read. */
void list_finish(struct control *c, const struct loaded *loaded);
/* The table of other states has been built, or is refused. */
void list_finish_states(struct control *c, const struct loaded *loaded);
/* Lets go of what was loaded and is not wanted any more. */
void list_discard(struct control *c, const struct loaded *loaded);
/* Begins the next one that is wanted. */
void list_next(struct control *c);
/* Once a second: tables that could not be read are asked for again. */
void list_tick(struct control *c, uint64_t now_ns);
