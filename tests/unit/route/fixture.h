/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/* What the tests of lib/route's variables and functions share: a message in a context, expressions
 * read, functions called as a script calls them. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "route/variable.h"

/* check() refused the arguments. */
#define NOT_LOADED 12345

struct fixture {
	struct route_ctx *ctx;
	struct route_thread thread;
	struct route_report *report;
	char *buf;
	uint32_t len;
};

bool fixture_in_valgrind(void);
/* A context on its own, with a thread. */
struct fixture *fixture_create(void);
void fixture_destroy(struct fixture *f);
/* Puts a message in, which must be well formed; it ends at the very end of an allocated block.
 * Lines end with \n in `text`, unless with \r\n. */
void fixture_message(struct fixture *f, const char *text);
/* The same, and whatever sip_msg_index() says of it. */
enum sip_error fixture_message_any(struct fixture *f, struct str text);

/* Evaluates a format; the result is "NULL" for null, decimal for ints, and good until the next
 * call. */
const char *fixture_read(struct fixture *f, const char *format);
/* Assigns text to a variable ("ru"); NULL assigns null. */
bool fixture_set(struct fixture *f, const char *variable, const char *value);
/* Calls a function with arguments, up to a NULL. */
int32_t fixture_call(struct fixture *f, const char *function, ...);
/* The message with its edits, as a string that is good until the next call. */
const char *fixture_output(struct fixture *f);
