/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/* Inside lib/route: what the functions of the module xlog and the ring behind them share. */
#include "route/value.h"

#define XLOG_VALUES_MAX 32 /* values of one line */
#define XLOG_RECORD_MAX \
	4096 /* bytes of a line in the ring; longer values are cut, and the line says so */
#define XLOG_LINES_MAX 16384 /* different texts of lines */

/* The fixed text of a line: pieces of literal text, with a value where `value` is set. */
struct xlog_piece {
	bool value;
	struct str text;
};

/*
 * Gives the text of a line a number that stays good after its script is gone, since lines of it may
 * still be in a ring. The same text gets the same number. Control thread. -1 where there is no
 * room.
 */
int xlog_line_intern(const struct xlog_piece *piece, unsigned count);
/* The script that interned it lets go. Any thread. */
void xlog_line_release(int line);

/* Worker: stores a line; never blocks. Where it does not fit it is lost, and counted. */
void xlog_put(struct route_xlog *xlog, int line, int level, const struct route_value *value,
	unsigned count);
/* Worker: whether lines of this level are wanted. */
bool xlog_wants(const struct route_xlog *xlog, int level);
/* Worker: a line whose values could not be made is lost too. */
void xlog_lose(struct route_xlog *xlog);
