/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/* What the tests of the language share: modules whose functions record and return what a test tells
 * them, and scripts that run over a message. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "route/route.h"

/* A registry with the room's own modules and, as stand-ins for rooms above, sl, rr, maxfwd,
 * dispatcher, usrloc, registrar and tm. */
void language_registry(struct route_registry *registry);

/* What the stand-in functions of the module "test" and others were called with: "name(arg,arg)
 * name(...)". */
extern char language_calls[4096];
/* pending() is ROUTE_PENDING so many times more; needs() is ROUTE_NEEDS_STATE while this is set. */
extern int language_pending;
/* What route_run_block() said to block(). */
extern int language_block_verdict;
extern bool language_needs_state;
/* Modules prepare, publish, discard: what they did, one letter each. */
extern char language_life[256];
extern bool language_refuse_prepare;

struct language {
	struct route_registry registry;
	struct route_report *report;
	struct route_script *script;
	struct route_thread thread;
	struct route_ctx *ctx;
	char *buf;
};

/* Loads a text; NULL script where it has errors. */
struct language *language_load(const char *text);
void language_free(struct language *l);
/* Puts a message into the context; lines end in \n. */
void language_message(struct language *l, const char *text);
extern const char language_invite[];
extern const char language_ok[];
