/* SPDX-License-Identifier: BSD-3-Clause */
/* The index of a message: one pass up to the blank line. */
#include "sip/name.h"
#include "sip/scan.h"
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

static void reset(struct sip_msg *msg, uint32_t len)
{
	const struct sip_span none = {0, 0};

	msg->len = len;
	msg->headers = msg->headers_end = msg->body = len;
	msg->body_len = 0;
	msg->is_response = false;
	msg->method = SIP_METHOD_NONE;
	msg->status = 0;
	msg->header_count = 0;
	msg->parsed = msg->broken = 0;
	msg->max_forwards = 0;
	msg->cseq_number = 0;
	msg->cseq_method = SIP_METHOD_NONE;
	msg->start_line = msg->method_text = msg->uri_text = none;
	msg->version = msg->reason = msg->cseq_method_text = none;
	msg->present = 0;
}

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

/*
 * Any header line [line, to), without its CRLF but with its folds (RFC 3261 7.3.1). Fills all of
 * *out but `id` and `next` and returns the id, as the caller links the line.
 */
static __attribute__((noinline)) enum sip_header_id any_line(
	struct indexer *x, uint32_t line, uint32_t to, struct sip_header *out)
{
	const char *buf = x->buf;
	enum sip_error odd = x->odd ? check_odd_line(buf, line, to) : SIP_OK;

	if (odd != SIP_OK)
		return bad_line(x, line, to, odd, out);

	const char *colon = memchr(buf + line, ':', to - line);

	if (colon == NULL)
		return bad_line(x, line, to, SIP_ERROR_HEADER_NAME, out);

	uint32_t end = (uint32_t)(colon - buf);

	/* HCOLON allows blanks before the colon: who looks for a name must find it nonetheless. */
	while (end > line && (buf[end - 1] == ' ' || buf[end - 1] == '\t'))
		end--;

	enum sip_header_id id = sip_header_of(str_of(buf + line, end - line));

	if (id == SIP_HEADER_OTHER && (end - line > SIP_HEADER_NAME_MAX ||
					      !sip_chars_are(buf, line, end, SIP_CHAR_TOKEN)))
		return bad_line(x, line, to, SIP_ERROR_HEADER_NAME, out);
	out->name = line;
	out->name_len = (uint8_t)(end - line);
	out->flags = 0;
	trim_value(buf, out, (uint32_t)(colon - buf) + 1, to);
	return id;
}

/*
 * The same for the usual line, of which nothing is odd: a known name of less than 16 bytes, its
 * colon, one space or none, and a value without LWS at its ends. There is a CR at `to`.
 */
static inline enum sip_header_id usual_line(struct indexer *x, const char *buf, uint32_t safe,
	uint32_t line, uint32_t to, struct sip_header *out)
{
	if (__builtin_expect(line >= safe, 0))
		return any_line(x, line, to, out);

	__m128i text = _mm_loadu_si128((const __m128i *)(buf + line));
	uint32_t colons = (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(text, _mm_set1_epi8(':')));
	uint32_t len = (uint32_t)__builtin_ctz(colons | 1U << SIP_NAME_SHORT);

	if (__builtin_expect(len - 1 >= SIP_NAME_SHORT - 1 || line + len >= to, 0))
		return any_line(x, line, to, out);

	enum sip_header_id id = sip_name_short(text, len);
	uint32_t value = line + len + 1;

	if (__builtin_expect(id == SIP_HEADER_OTHER, 0))
		return any_line(x, line, to, out);
	value += buf[value] == ' ';
	out->name = line;
	out->name_len = (uint8_t)len;
	out->flags = 0;
	if (__builtin_expect((uint8_t)buf[value] <= ' ' || (uint8_t)buf[to - 1] <= ' ', 0)) {
		trim_value(buf, out, value, to);
		return id;
	}
	out->value = value;
	out->value_len = to - value;
	return id;
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
		if (x->buf[scan->lf[i] - 1] == '\r')
			take_start_line(x, scan->lf[i]);
		i++;
	}
	return i;
}

/*
 * Takes the header lines that end at the LFs from the i-th on of this round. `odd` is known when
 * this is compiled: the loop for messages of which nothing is odd shall not pay for the others.
 */
static inline __attribute__((always_inline)) void take_lines(
	struct indexer *x, const struct sip_scan *scan, uint32_t i, const bool odd)
{
	struct sip_msg *msg = x->msg;
	const char *buf = x->buf;
	const uint32_t last = x->len - 1;
	/* A line that begins before this has SIP_NAME_SHORT bytes that may be read. */
	const uint32_t safe = x->len >= SIP_NAME_SHORT ? x->len - SIP_NAME_SHORT + 1 : 0;
	uint32_t line = x->line, count = msg->header_count;
	uint64_t present = msg->present;

	for (const uint32_t end = scan->count; i < end; i++) {
		uint32_t lf = scan->lf[i];
		/* Where nothing follows, this is the LF itself, which is no fold. */
		char next = buf[lf + (lf < last)];

		if (odd && buf[lf - 1] != '\r')
			continue;
		if (__builtin_expect(next == ' ', 0))
			continue;
		if (__builtin_expect(next == '\t', 0))
			continue;
		if (__builtin_expect(count == SIP_MSG_HEADERS_MAX, 0)) {
			note_error(x, SIP_ERROR_HEADERS_MAX);
			x->stopped = true;
			break;
		}

		struct sip_header *header = &msg->header[count];
		unsigned id = odd ? any_line(x, line, lf - 1, header)
				  : usual_line(x, buf, safe, line, lf - 1, header);
		bool again = (present >> id & 1) != 0;
		uint8_t before = again ? msg->last[id] : (uint8_t)count;

		/* Without a branch: the first of its id links itself, which the next line undoes.
		 */
		msg->header[before].next = (uint8_t)count;
		header->next = SIP_HEADER_NONE;
		header->id = (uint8_t)id;
		msg->first[id] = again ? msg->first[id] : (uint8_t)count;
		msg->last[id] = (uint8_t)count;
		present |= 1ULL << id;
		count++;
		line = lf + 1;
	}
	x->line = line;
	msg->header_count = (uint16_t)count;
	msg->present = present;
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

enum sip_error sip_msg_index(struct sip_msg *msg, const char *buf, uint32_t len)
{
	struct indexer x = {.msg = msg, .buf = buf, .len = len};
	struct sip_scan scan;
	uint32_t start = 0, i;

	reset(msg, len);
	while (start + 1 < len && buf[start] == '\r' && buf[start + 1] == '\n')
		start += 2;
	if (start >= len)
		return SIP_ERROR_EMPTY;
	if (len > SIP_MSG_UDP_MAX)
		x.error = SIP_ERROR_TOO_LARGE;
	scan.buf = buf;
	scan.len = len;
	scan.start = x.line = start;
	/* The first byte is looked at here, so that a scanner may always look one back. */
	scan.at = start + 1;
	scan.before = (uint64_t)(buf[start] == '\n') << 1;
	scan.odd = buf[start] == '\n' || buf[start] == 0;
	scan.blank = 0;
	do {
		sip_scan_run(&scan);
		x.odd = scan.odd;
		i = x.have_start_line ? 0 : find_start_line(&x, &scan);
		if (x.stopped)
			break;
		if (__builtin_expect(x.odd, 0))
			take_lines(&x, &scan, i, true);
		else
			take_lines(&x, &scan, i, false);
	} while (!x.stopped && scan.blank == 0 && scan.at < len);
	finish(&x, &scan);
	return x.error;
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
