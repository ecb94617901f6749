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
	uint32_t line;	      /* where the line that is being looked at begins */
	bool odd;	      /* lines must be looked through for bare CR, bare LF and NUL */
	bool have_start_line;
	bool stopped; /* what follows is not indexed */
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
 * What is odd in buf[from, to), a line without its CRLF: a CR or LF that has no partner, or a NUL that is not the second
 * half of a quoted-pair inside a quoted string (RFC 3261 25.1; RFC 4475 3.1.1.2 has one that is).
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

/* Appends a header line to the index and to the chain of its id. */
static inline void append(struct sip_msg *msg, struct sip_header header)
{
	uint8_t at = (uint8_t)msg->header_count++, id = header.id;
	bool again = (msg->present >> id & 1) != 0;
	uint8_t before = again ? msg->last[id] : at;

	msg->header[at] = header;
	/* Without a branch: the first one of its id links itself, which the next line undoes. */
	msg->header[before].next = at;
	msg->header[at].next = SIP_HEADER_NONE;
	msg->first[id] = again ? msg->first[id] : at;
	msg->last[id] = at;
	msg->present |= 1ULL << id;
}

/* A line that cannot be trusted: it keeps its place, so that lines stay adjacent, but no name finds it. */
static void append_bad(struct indexer *x, uint32_t to, enum sip_error error)
{
	note_error(x, error);
	append(x->msg, (struct sip_header){.name = x->line,
			       .value = x->line,
			       .value_len = to - x->line,
			       .id = SIP_HEADER_OTHER,
			       .flags = SIP_HEADER_BAD});
}

/* The line's first 32 bytes; zeros where the message ends before that. */
static inline void load_line(const struct indexer *x, __m128i *low, __m128i *high)
{
	const char *p = x->buf + x->line;
	char copy[SIP_NAME_KNOWN_MAX];

	if (__builtin_expect(x->len - x->line < SIP_NAME_KNOWN_MAX, 0)) {
		memset(copy, 0, sizeof(copy));
		memcpy(copy, p, x->len - x->line);
		p = copy;
	}
	*low = _mm_loadu_si128((const __m128i *)p);
	*high = _mm_loadu_si128((const __m128i *)(p + 16));
}

/* The offset of the first colon in [x->line, to), or `to`. */
static inline uint32_t find_colon(const struct indexer *x, __m128i low, __m128i high, uint32_t to)
{
	const __m128i is_colon = _mm_set1_epi8(':');
	uint32_t mask = (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(low, is_colon)) |
		(uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(high, is_colon)) << 16;

	if (__builtin_expect(mask != 0, 1)) {
		uint32_t at = x->line + (uint32_t)__builtin_ctz(mask);

		return at < to ? at : to;
	}
	const char *p = memchr(x->buf + x->line, ':', to - x->line);

	return p != NULL ? (uint32_t)(p - x->buf) : to;
}

/* The header line [x->line, to), without its CRLF but with its folds. */
static inline void header_line(struct indexer *x, uint32_t to)
{
	const char *buf = x->buf;
	__m128i low, high;
	uint32_t line = x->line, colon, name_end, value;
	enum sip_header_id id = SIP_HEADER_OTHER;

	if (__builtin_expect(x->odd, 0)) {
		enum sip_error error = check_odd_line(buf, line, to);

		if (error != SIP_OK) {
			append_bad(x, to, error);
			return;
		}
	}
	load_line(x, &low, &high);
	colon = name_end = find_colon(x, low, high, to);
	while (name_end > line && (buf[name_end - 1] == ' ' || buf[name_end - 1] == '\t'))
		name_end--;
	if (__builtin_expect(colon != to && name_end - line <= SIP_NAME_KNOWN_MAX, 1))
		id = sip_name_classify(low, high, name_end - line);
	if (id == SIP_HEADER_OTHER &&
		(colon == to || name_end - line > SIP_HEADER_NAME_MAX ||
			!sip_chars_are(buf + line, name_end - line, SIP_CHAR_TOKEN))) {
		append_bad(x, to, SIP_ERROR_HEADER_NAME);
		return;
	}
	value = colon + 1;
	while (value < to && str_is_lws(buf[value]))
		value++;
	while (to > value && str_is_lws(buf[to - 1]))
		to--;
	append(x->msg, (struct sip_header){.name = line,
			       .value = value,
			       .value_len = to - value,
			       .name_len = (uint8_t)(name_end - line),
			       .id = (uint8_t)id});
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

static inline bool is_fold(const struct indexer *x, uint32_t at)
{
	return at < x->len && (x->buf[at] == ' ' || x->buf[at] == '\t');
}

/* Takes the lines that one round of the scanner found. Returns whether to go on. */
static bool take_lines(struct indexer *x, const struct sip_scan *scan)
{
	for (uint32_t i = 0; i < scan->count; i++) {
		uint32_t lf = scan->lf[i];

		if (__builtin_expect(x->odd, 0) && x->buf[lf - 1] != '\r')
			continue;
		if (__builtin_expect(!x->have_start_line, 0)) {
			start_line(x, lf - 1);
			if (x->stopped)
				return false;
			x->line = x->msg->headers = lf + 1;
			if (is_fold(x, lf + 1))
				note_error(x, SIP_ERROR_FOLD);
			continue;
		}
		if (is_fold(x, lf + 1))
			continue;
		if (x->msg->header_count == SIP_MSG_HEADERS_MAX) {
			note_error(x, SIP_ERROR_HEADERS_MAX);
			x->stopped = true;
			return false;
		}
		header_line(x, lf - 1);
		x->line = lf + 1;
	}
	return true;
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
	uint32_t start = 0;

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
	} while (take_lines(&x, &scan) && scan.blank == 0 && scan.at < len);
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
	return sip_msg_has(msg, id) ? sip_header_value(&msg->header[msg->first[id]]) :
				      (struct sip_span){0, 0};
}

const struct sip_header *sip_msg_header_named(
	const struct sip_msg *msg, const char *buf, struct str name)
{
	enum sip_header_id id = sip_header_of(name);

	SIP_MSG_FOREACH (msg, id, h)
		if (id != SIP_HEADER_OTHER || (h->name_len == name.len && name.len != 0 &&
						      str_ieq(str_of(buf + h->name, name.len), name)))
			return h;
	return NULL;
}
