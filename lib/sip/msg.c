/* SPDX-License-Identifier: BSD-3-Clause */
/* The index of a message: one pass up to the blank line. */
#include "sip/isa.h"
#include "sip/line.h"
#include "sip/name.h"
#include "sip/start_line.h"
#include "sip/token.h"

struct indexer {
	struct sip_msg *msg;
	const char *buf;
	uint32_t len;
	uint32_t line; /* where the line that is being looked at begins */
	bool odd;      /* lines must be looked through for bare CR, bare LF and NUL */
	bool have_start_line;
	bool stopped;         /* what follows is not indexed */
	enum sip_error error; /* the first one */
};

static void note_error(struct indexer *x, enum sip_error error)
{
	if (x->error == SIP_OK)
		x->error = error;
}

/*
 * What is odd in buf[from, to), a line without its CRLF: a CR or LF that has no partner, or a NUL
 * that is not the second half of a quoted-pair inside a quoted string (RFC 3261 25.1; RFC
 * 4475 3.1.1.2 has one that is).
 */
static enum sip_error check_odd_line(const char *buf, uint32_t from, uint32_t to)
{
	bool quoted = false, pair = false;

	for (uint32_t i = from; i < to; i++) {
		char c = buf[i];

		if (c == '\r' && (i + 1 == to || buf[i + 1] != '\n'))
			return SIP_ERROR_LINE_END;
		if (c == '\n' && (i == from || buf[i - 1] != '\r'))
			return SIP_ERROR_LINE_END;
		if (c == 0 && !pair)
			return SIP_ERROR_NUL;
		if (c == '"' && !pair)
			quoted = !quoted;
		pair = quoted && !pair && c == '\\';
	}
	return SIP_OK;
}

static enum sip_header_id bad_line(
	struct indexer *x, uint32_t line, uint32_t to, enum sip_error error, struct sip_header *out)
{
	note_error(x, error);
	*out = (struct sip_header){
		.name = line, .value = line, .value_len = to - line, .flags = SIP_HEADER_BAD};
	return SIP_HEADER_OTHER;
}

/* A value with LWS at an end of buf[value, to). */
static __attribute__((noinline)) void trim_value(
	const char *buf, struct sip_header *out, uint32_t value, uint32_t to)
{
	while (value < to && str_is_lws(buf[value]))
		value++;
	while (to > value && str_is_lws(buf[to - 1]))
		to--;
	out->value = value;
	out->value_len = to - value;
}

/* A name of less than SIP_NAME_SHORT bytes, of SIP_NAME_SHORT that may be read. */
static enum sip_header_id short_name(const char *p, uint32_t len)
{
	__m128i text = _mm_loadu_si128((const __m128i *)p);
	const struct sip_name *name = sip_name_short(text, len);

	return sip_name_is(name, text, len) ? (enum sip_header_id)name->id : SIP_HEADER_OTHER;
}

int sip_line_any(const char *buf, uint32_t from, uint32_t to, struct sip_header *out)
{
	uint32_t end = sip_class_skip(
			 buf, from, to, sip_char_rows[0], false, sip_char_class, SIP_CHAR_TOKEN),
		 colon = end;

	/* HCOLON allows blanks before the colon: who looks for a name must find it nonetheless. */
	while (colon < to && (buf[colon] == ' ' || buf[colon] == '\t'))
		colon++;
	if (end == from || end - from > SIP_HEADER_NAME_MAX || colon == to || buf[colon] != ':')
		return -1;

	/* The CRLF behind the line may be read too. */
	enum sip_header_id id = end - from < SIP_NAME_SHORT && to - from >= SIP_NAME_SHORT - 2
					? short_name(buf + from, end - from)
					: sip_header_of(str_of(buf + from, end - from));

	out->name = from;
	out->name_len = (uint8_t)(end - from);
	out->id = (uint8_t)id;
	out->flags = 0;
	trim_value(buf, out, colon + 1, to);
	return (int)id;
}

/* A header line [line, to), without its CRLF but with its folds (RFC 3261 7.3.1), as above. */
static enum sip_header_id any_line(
	struct indexer *x, uint32_t line, uint32_t to, struct sip_header *out)
{
	enum sip_error odd = x->odd ? check_odd_line(x->buf, line, to) : SIP_OK;
	int id = odd == SIP_OK ? sip_line_any(x->buf, line, to, out) : -1;

	if (id < 0)
		return bad_line(x, line, to, odd != SIP_OK ? odd : SIP_ERROR_HEADER_NAME, out);
	return (enum sip_header_id)id;
}

static void start_line(struct indexer *x, uint32_t to)
{
	enum sip_error odd = x->odd ? check_odd_line(x->buf, x->line, to) : SIP_OK;

	/* Up to what is odd, it can still be told whether this is SIP. */
	if (odd != SIP_OK)
		for (uint32_t i = x->line; i < to; i++)
			if (x->buf[i] == '\r' || x->buf[i] == '\n' || x->buf[i] == 0)
				to = i;

	enum sip_error error = sip_start_line(x->msg, x->buf, x->line, to);

	x->have_start_line = true;
	if (error == SIP_ERROR_NOT_SIP) {
		x->error = error;
		x->stopped = true;
		return;
	}
	note_error(x, odd != SIP_OK ? odd : error);
}

/* Whether the line that ended before `at` goes on there. */
static inline bool is_fold(const struct indexer *x, uint32_t at)
{
	return at < x->len && (x->buf[at] == ' ' || x->buf[at] == '\t');
}

/* The start line ends at this LF. */
static void take_start_line(struct indexer *x, uint32_t lf)
{
	start_line(x, lf - 1);
	x->line = x->msg->headers = lf + 1;
	if (is_fold(x, lf + 1))
		note_error(x, SIP_ERROR_FOLD);
}

/* Looks among the line ends for that of the start line; returns how many it took. */
static uint32_t find_start_line(struct indexer *x, const struct sip_scan *scan)
{
	uint32_t i = 0;

	while (!x->have_start_line && i < scan->count) {
		if (scan->lf[i] > scan->start && x->buf[scan->lf[i] - 1] == '\r')
			take_start_line(x, scan->lf[i]);
		i++;
	}
	return i;
}

/*
 * Takes the header lines that end at the LFs from the i-th on of this round, whatever is wrong with
 * them. Usual messages take sip_isa->lines instead.
 */
static void take_lines(struct indexer *x, const struct sip_scan *scan, uint32_t i)
{
	struct sip_msg *msg = x->msg;

	for (; i < scan->count; i++) {
		uint32_t lf = scan->lf[i], count = msg->header_count;

		if (x->buf[lf - 1] != '\r' || is_fold(x, lf + 1))
			continue;
		if (count == SIP_MSG_HEADERS_MAX) {
			note_error(x, SIP_ERROR_HEADERS_MAX);
			x->stopped = true;
			break;
		}

		struct sip_header *header = &msg->header[count];
		enum sip_header_id id = any_line(x, x->line, lf - 1, header);

		header->next = SIP_HEADER_NONE;
		if (sip_msg_has(msg, id))
			msg->header[msg->last[id]].next = (uint8_t)count;
		else
			msg->first[id] = (uint8_t)count;
		msg->last[id] = (uint8_t)count;
		msg->present |= 1ULL << id;
		msg->header_count++;
		x->line = lf + 1;
	}
}

/* After the last line: where the headers end and the body begins. */
static void finish(struct indexer *x, const struct sip_scan *scan)
{
	struct sip_msg *msg = x->msg;

	if (!x->have_start_line) {
		start_line(x, x->len);
		x->line = x->len;
	}
	if (!x->stopped && scan->blank == 0)
		note_error(x, SIP_ERROR_NO_BLANK_LINE);
	if (x->error == SIP_ERROR_NOT_SIP)
		return;
	msg->headers_end = x->line;
	if (x->stopped || scan->blank == 0)
		return;
	msg->body = scan->blank + 1;
	msg->body_len = x->len - msg->body;
}

/* Indexes a message of which nothing is odd, folded or malformed; false where it is no such one. */
static bool index_usual(struct sip_msg *msg, const char *buf, const struct sip_scan *scan)
{
	if (scan->odd || scan->control || scan->blank == 0 || scan->count == 0 ||
		scan->count > SIP_MSG_HEADERS_MAX + 1 || sip_isa->lines == NULL)
		return false;
	if (sip_start_line(msg, buf, scan->start, scan->lf[0] - 1) != SIP_OK ||
		!sip_isa->lines(msg, buf, scan))
		return false;
	msg->plain = scan->plain;
	msg->headers = scan->lf[0] + 1;
	msg->headers_end = scan->lf[scan->count - 1] + 1;
	msg->body = scan->blank + 1;
	msg->body_len = scan->len - msg->body;
	return true;
}

/* What goes on a line: all but CR, LF and NUL. */
#define ON_LINE(c) ((c) != '\r' && (c) != '\n' && (c) != 0)
#define ON_LINE4(c) ON_LINE(c), ON_LINE((c) + 1), ON_LINE((c) + 2), ON_LINE((c) + 3)
#define ON_LINE16(c) ON_LINE4(c), ON_LINE4((c) + 4), ON_LINE4((c) + 8), ON_LINE4((c) + 12)
#define ON_LINE64(c) ON_LINE16(c), ON_LINE16((c) + 16), ON_LINE16((c) + 32), ON_LINE16((c) + 48)

static const uint8_t line_table[256] = {
	ON_LINE64(0), ON_LINE64(64), ON_LINE64(128), ON_LINE64(192)};
static _Alignas(16) const uint8_t line_rows[16] = {SIP_CLASS_ROWS(ON_LINE)};

/* Indexes any message; the first round of the scanner has been. */
static enum sip_error index_any(
	struct sip_msg *msg, const char *buf, uint32_t len, struct sip_scan *scan)
{
	struct indexer x = {.msg = msg, .buf = buf, .len = len, .line = scan->start};
	uint32_t i;

	if (len > SIP_MSG_UDP_MAX)
		x.error = SIP_ERROR_TOO_LARGE;
	for (;;) {
		x.odd = scan->odd;
		i = x.have_start_line ? 0 : find_start_line(&x, scan);
		if (x.stopped)
			break;
		take_lines(&x, scan, i);
		if (x.stopped || scan->blank != 0 || scan->at >= len)
			break;
		sip_isa->scan(scan);
	}
	finish(&x, scan);
	return x.error;
}

/*
 * Whether it is clear from the first line alone that this is no SIP: it neither begins with "SIP/"
 * nor does its last word. The line ends with the first CRLF, or before what is odd.
 */
static bool is_not_sip(const char *buf, uint32_t start, uint32_t len)
{
	uint32_t to = sip_class_skip(buf, start, len, line_rows, true, line_table, 1);

	/* A NUL may be the second half of a quoted-pair, and is then not odd. */
	if (to < len && buf[to] == 0 && to > start && buf[to - 1] == '\\')
		return false;
	return sip_start_line_strange(buf, start, to);
}

/* All that is not at a glance what nearly all are. */
static __attribute__((noinline)) enum sip_error index_odd(
	struct sip_msg *msg, const char *buf, uint32_t start, uint32_t len)
{
	struct sip_scan scan;

	sip_msg_reset(msg, len);
	if (start >= len)
		return SIP_ERROR_EMPTY;
	if (is_not_sip(buf, start, len))
		return SIP_ERROR_NOT_SIP;
	sip_scan_begin(&scan, buf, start, len);
	sip_isa->scan(&scan);
	if (len <= SIP_MSG_UDP_MAX && index_usual(msg, buf, &scan))
		return SIP_OK;
	sip_msg_reset(msg, len);
	return index_any(msg, buf, len, &scan);
}

enum sip_error sip_msg_index(struct sip_msg *msg, const char *buf, uint32_t len)
{
	uint32_t start = 0;

	while (start + 1 < len && buf[start] == '\r' && buf[start + 1] == '\n')
		start += 2;
	if (__builtin_expect(len - start >= SIP_SCAN_BLOCK && len <= SIP_MSG_UDP_MAX &&
				     sip_isa->index != NULL,
		    1)) {
		int error = sip_isa->index(msg, buf, start, len);

		if (__builtin_expect(error >= 0, 1))
			return (enum sip_error)error;
	}
	return index_odd(msg, buf, start, len);
}

const struct sip_header *sip_msg_header(
	const struct sip_msg *msg, enum sip_header_id id, unsigned n)
{
	SIP_MSG_FOREACH (msg, id, h)
		if (n-- == 0)
			return h;
	return NULL;
}

struct sip_span sip_msg_value(const struct sip_msg *msg, enum sip_header_id id)
{
	return sip_msg_has(msg, id) ? sip_header_value(&msg->header[msg->first[id]])
				    : (struct sip_span){0, 0};
}

const struct sip_header *sip_msg_header_named(
	const struct sip_msg *msg, const char *buf, struct str name)
{
	enum sip_header_id id = sip_header_of(name);

	SIP_MSG_FOREACH (msg, id, h)
		if (id != SIP_HEADER_OTHER ||
			(h->name_len == name.len && name.len != 0 &&
				str_ieq(str_of(buf + h->name, name.len), name)))
			return h;
	return NULL;
}
