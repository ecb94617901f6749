/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/* The thread that reads a configuration, or a list, while the process serves. Private to the room.
 */
#include "control/control.h"

/* What a load has made. */
struct loaded {
	int list;                    /* negative: a configuration */
	struct route_script *script; /* NULL: it has errors; of a list: that it was read for */
	void *prepared;              /* of a list, NULL: it has errors */
	struct route_report *report;
};

/* Control thread: begins to load c->path, or with a list that list. 0 or -errno. */
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
/* Begins the next one that is wanted. */
void list_next(struct control *c);
/* Once a second: tables that could not be read are asked for again. */
void list_tick(struct control *c, uint64_t now_ns);
