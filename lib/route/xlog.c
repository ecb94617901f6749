/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The way of a log line from a worker to the log. The worker copies the line's number and its
 * values into a ring of bytes that only it writes and only the control thread reads; the control
 * thread puts the text together, makes what would break a line visible, and keeps to a rate.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "route/xlog.h"

#define LINE_BYTES 2000 /* of the text of a line; what exceeds it is cut with "..." */
#define RING_BYTES_MIN 8192
#define RING_BYTES_MAX (1u << 30)
/* After this no ring can hold a line of a script that is gone: the control thread empties them
 * every few milliseconds. */
#define LINE_REST_NS (60 * CLOCK_NS_PER_S)

/* ---- the texts of lines ---- */

struct line {
	_Atomic uint32_t references;
	_Atomic uint64_t released_ns;
	unsigned count;
	struct xlog_piece piece[];
};

static struct line *lines[XLOG_LINES_MAX];
static unsigned line_count;

static bool same_line(const struct line *line, const struct xlog_piece *piece, unsigned count)
{
	if (line->count != count)
		return false;
	for (unsigned i = 0; i < count; i++)
		if (line->piece[i].value != piece[i].value ||
			!str_eq(line->piece[i].text, piece[i].text))
			return false;
	return true;
}

/* One block: the pieces and the text behind them. */
static struct line *make_line(const struct xlog_piece *piece, unsigned count)
{
	size_t bytes = 0;

	for (unsigned i = 0; i < count; i++)
		bytes += piece[i].text.len;
	struct line *line = calloc(1, sizeof(*line) + count * sizeof(*piece) + bytes);

	if (line == NULL)
		return NULL;
	char *text = (char *)&line->piece[count];

	line->count = count;
	for (unsigned i = 0; i < count; i++) {
		line->piece[i].value = piece[i].value;
		line->piece[i].text = str_of(text, piece[i].text.len);
		if (piece[i].text.len != 0)
			memcpy(text, piece[i].text.s, piece[i].text.len);
		text += piece[i].text.len;
	}
	return line;
}

static bool may_be_replaced(struct line *line, uint64_t now)
{
	return atomic_load_explicit(&line->references, memory_order_acquire) == 0 &&
	       now - atomic_load_explicit(&line->released_ns, memory_order_relaxed) > LINE_REST_NS;
}

int xlog_line_intern(const struct xlog_piece *piece, unsigned count)
{
	unsigned at = line_count;
	uint64_t now = clock_now_ns();

	for (unsigned i = 0; i < line_count; i++) {
		if (same_line(lines[i], piece, count)) {
			atomic_fetch_add_explicit(&lines[i]->references, 1, memory_order_relaxed);
			return (int)i;
		}
		if (at == XLOG_LINES_MAX && may_be_replaced(lines[i], now))
			at = i;
	}
	if (at == XLOG_LINES_MAX)
		return -1;
	struct line *line = make_line(piece, count);

	if (line == NULL)
		return -1;
	atomic_store_explicit(&line->references, 1, memory_order_relaxed);
	if (at == line_count)
		line_count++;
	else
		free(lines[at]);
	lines[at] = line;
	return (int)at;
}

void xlog_line_release(int line)
{
	atomic_store_explicit(&lines[line]->released_ns, clock_now_ns(), memory_order_relaxed);
	atomic_fetch_sub_explicit(&lines[line]->references, 1, memory_order_release);
}

/* ---- the ring ---- */

struct record {
	uint32_t bytes; /* with this head, a multiple of 8 */
	uint32_t line;
	uint8_t level;
	uint8_t count;
	bool cut;
	uint8_t unused[5];
};

/* In front of each value: an int's 8 bytes follow, or a string's. */
struct record_value {
	uint32_t type;
	uint32_t len;
};

struct route_xlog {
	/* the worker's */
	_Alignas(64) _Atomic uint64_t head; /* bytes ever written */
	_Atomic uint64_t lost;
	uint64_t tail_seen;
	/* the control thread's */
	_Alignas(64) _Atomic uint64_t tail;
	_Atomic int level_max;
	uint64_t tokens_ns, said_ns; /* rate: the time up to which lines are paid for; when losses
					were last said */
	uint64_t over_rate, lost_said;
	/* never written after creation */
	_Alignas(64) uint32_t size;
	char *bytes;
};

struct route_xlog *route_xlog_create(uint32_t bytes)
{
	uint32_t size = RING_BYTES_MIN;

	if (bytes > RING_BYTES_MAX) {
		errno = EINVAL;
		return NULL;
	}
	while (size < bytes)
		size *= 2;
	struct route_xlog *xlog = aligned_alloc(64, sizeof(*xlog));

	if (xlog == NULL)
		return NULL;
	memset(xlog, 0, sizeof(*xlog));
	atomic_store_explicit(&xlog->level_max, LOG_LEVEL_DEBUG, memory_order_relaxed);
	xlog->size = size;
	xlog->bytes = malloc(size);
	if (xlog->bytes == NULL) {
		free(xlog);
		errno = ENOMEM;
		return NULL;
	}
	return xlog;
}

void route_xlog_destroy(struct route_xlog *xlog)
{
	if (xlog == NULL)
		return;
	free(xlog->bytes);
	free(xlog);
}

void route_xlog_set_level(struct route_xlog *xlog, enum log_level level)
{
	atomic_store_explicit(&xlog->level_max, (int)level, memory_order_relaxed);
}

uint64_t route_xlog_lost(const struct route_xlog *xlog)
{
	return atomic_load_explicit(&xlog->lost, memory_order_relaxed);
}

bool xlog_wants(const struct route_xlog *xlog, int level)
{
	return level <= atomic_load_explicit(&xlog->level_max, memory_order_relaxed);
}

void xlog_lose(struct route_xlog *xlog)
{
	/* One writer: no read-modify-write is needed. */
	atomic_store_explicit(&xlog->lost,
		atomic_load_explicit(&xlog->lost, memory_order_relaxed) + 1, memory_order_relaxed);
}

static uint64_t write_bytes(struct route_xlog *xlog, uint64_t at, const void *data, uint32_t len)
{
	uint32_t off = (uint32_t)(at & (xlog->size - 1));
	uint32_t first = len < xlog->size - off ? len : xlog->size - off;

	if (first != 0)
		memcpy(xlog->bytes + off, data, first);
	if (len != first)
		memcpy(xlog->bytes, (const char *)data + first, len - first);
	return at + len;
}

static void read_bytes(const struct route_xlog *xlog, uint64_t at, void *data, uint32_t len)
{
	uint32_t off = (uint32_t)(at & (xlog->size - 1));
	uint32_t first = len < xlog->size - off ? len : xlog->size - off;

	memcpy(data, xlog->bytes + off, first);
	memcpy((char *)data + first, xlog->bytes, len - first);
}

/* Bytes of each value that are taken along, and the size of the whole. */
static struct record measure(const struct route_value *value, unsigned count, uint32_t *take)
{
	struct record r = {.bytes = sizeof(r) + count * (uint32_t)(sizeof(struct record_value) +
								   sizeof(int64_t))};
	uint32_t room = XLOG_RECORD_MAX - r.bytes;

	for (unsigned i = 0; i < count; i++) {
		take[i] = value[i].type == ROUTE_STR ? value[i].s.len : 0;
		if (take[i] > room) {
			take[i] = room;
			r.cut = true;
		}
		room -= take[i];
	}
	r.bytes = (uint32_t)sizeof(r);
	for (unsigned i = 0; i < count; i++)
		r.bytes += (uint32_t)sizeof(struct record_value) +
			   (value[i].type == ROUTE_INT ? (uint32_t)sizeof(int64_t) : take[i]);
	r.bytes = (r.bytes + 7) & ~7u;
	return r;
}
_Static_assert(XLOG_VALUES_MAX * 16 < XLOG_RECORD_MAX / 2, "values leave room for their text");

void xlog_put(struct route_xlog *xlog, int line, int level, const struct route_value *value,
	unsigned count)
{
	uint32_t take[XLOG_VALUES_MAX];
	struct record r = measure(value, count, take);
	uint64_t head = atomic_load_explicit(&xlog->head, memory_order_relaxed);

	/* The reader's line is looked at only when the room known of is used up. */
	if (xlog->size - (head - xlog->tail_seen) < r.bytes) {
		xlog->tail_seen = atomic_load_explicit(&xlog->tail, memory_order_acquire);
		if (xlog->size - (head - xlog->tail_seen) < r.bytes) {
			xlog_lose(xlog);
			return;
		}
	}
	r.line = (uint32_t)line;
	r.level = (uint8_t)level;
	r.count = (uint8_t)count;
	uint64_t at = write_bytes(xlog, head, &r, sizeof(r));

	for (unsigned i = 0; i < count; i++) {
		struct record_value v = {
			value[i].type, value[i].type == ROUTE_INT ? sizeof(int64_t) : take[i]};

		at = write_bytes(xlog, at, &v, sizeof(v));
		at = write_bytes(xlog, at,
			value[i].type == ROUTE_INT ? (const void *)&value[i].i : value[i].s.s,
			v.len);
	}
	atomic_store_explicit(&xlog->head, head + r.bytes, memory_order_release);
}

/* ---- the control thread ---- */

struct out {
	unsigned len;
	bool full;
	char text[LINE_BYTES + 4];
};

static void out_bytes(struct out *out, struct str s)
{
	if (s.len > LINE_BYTES - out->len) {
		s.len = LINE_BYTES - out->len;
		out->full = true;
	}
	if (s.len != 0)
		memcpy(out->text + out->len, s.s, s.len);
	out->len += s.len;
}

/* A value of the message: whatever could begin a new line or speak to a terminal is shown as its
 * code. */
static void out_value(struct out *out, struct str s)
{
	static const char digit[] = "0123456789abcdef";

	for (uint32_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.s[i];
		char code[4] = {'\\', 'x', digit[c >> 4], digit[c & 15]};

		if (c == '\r')
			out_bytes(out, STR("\\r"));
		else if (c == '\n')
			out_bytes(out, STR("\\n"));
		else if (c < ' ' || c == 0x7f)
			out_bytes(out, str_of(code, 4));
		else
			out_bytes(out, str_of(s.s + i, 1));
	}
}

/* The value at *at of the record; moves on to the next. */
static void out_next_value(struct out *out, const char *record, const char *end, const char **at)
{
	struct record_value v;
	struct route_value value = {.type = ROUTE_INT};
	char digits[VALUE_NUMBER_MAX];

	if (end - *at < (ptrdiff_t)sizeof(v))
		return;
	memcpy(&v, *at, sizeof(v));
	*at += sizeof(v);
	if (v.type == ROUTE_INT) {
		memcpy(&value.i, *at, sizeof(value.i));
		out_bytes(out, value_as_text(&value, digits));
	} else if (v.type == ROUTE_STR) {
		out_value(out, str_of(*at, v.len));
	} else {
		out_bytes(out, STR("<null>"));
	}
	*at += v.len;
}

static void write_line(const char *record, const struct record *r)
{
	const struct line *line = lines[r->line];
	const char *at = record + sizeof(*r);
	struct out out = {.len = 0};

	for (unsigned i = 0; i < line->count; i++) {
		if (line->piece[i].value)
			out_next_value(&out, record, record + r->bytes, &at);
		else
			out_bytes(&out, line->piece[i].text);
	}
	while (out.len != 0 && (out.text[out.len - 1] == '\n' || out.text[out.len - 1] == '\r'))
		out.len--;
	if (out.full || r->cut) {
		memcpy(out.text + out.len, "...", 3);
		out.len += 3;
	}
	log_message((enum log_level)r->level, "%.*s", (int)out.len, out.text);
}

/* Each line costs its share of a second; a second's worth may come at once. */
static bool within_rate(struct route_xlog *xlog, uint64_t now_ns, uint32_t per_second)
{
	if (per_second == 0)
		return true;
	uint64_t cost = CLOCK_NS_PER_S / per_second;
	uint64_t oldest = now_ns > CLOCK_NS_PER_S ? now_ns - CLOCK_NS_PER_S : 0;

	if (xlog->tokens_ns < oldest)
		xlog->tokens_ns = oldest;
	if (xlog->tokens_ns + cost > now_ns)
		return false;
	xlog->tokens_ns += cost;
	return true;
}

static void say_losses(struct route_xlog *xlog, uint64_t now_ns)
{
	uint64_t lost = route_xlog_lost(xlog) - xlog->lost_said;

	if ((lost == 0 && xlog->over_rate == 0) ||
		(xlog->said_ns != 0 && now_ns - xlog->said_ns < CLOCK_NS_PER_S))
		return;
	log_warning(
		"xlog: %llu lines not written, being over the rate; %llu lost, the ring being full",
		(unsigned long long)xlog->over_rate, (unsigned long long)lost);
	xlog->over_rate = 0;
	xlog->lost_said += lost;
	xlog->said_ns = now_ns != 0 ? now_ns : 1;
}

unsigned route_xlog_drain(struct route_xlog *xlog, uint64_t now_ns, uint32_t per_second)
{
	uint64_t head = atomic_load_explicit(&xlog->head, memory_order_acquire);
	uint64_t tail = atomic_load_explicit(&xlog->tail, memory_order_relaxed);
	_Alignas(8) char record[XLOG_RECORD_MAX];
	unsigned written = 0;

	while (tail != head) {
		struct record r;

		read_bytes(xlog, tail, &r, sizeof(r));
		if (within_rate(xlog, now_ns, per_second)) {
			read_bytes(xlog, tail, record, r.bytes);
			write_line(record, &r);
			written++;
		} else {
			xlog->over_rate++;
		}
		tail += r.bytes;
	}
	atomic_store_explicit(&xlog->tail, tail, memory_order_release);
	say_losses(xlog, now_ns);
	return written;
}
