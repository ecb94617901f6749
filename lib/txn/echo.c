/* SPDX-License-Identifier: BSD-3-Clause */
#include "txn/echo.h"

#include <emmintrin.h>
#include <string.h>

#include "base/str.h"

/*
 * Steps, each of a byte and what it says:
 *   0x00 + field   the field's line: name, value, CRLF
 *   0x10 + field   the same with other bytes between: u16 of the value's first bytes, u16 of its
 *                  last, u8 and so many bytes that stand between the two
 *   0x20 + phrase
 *   0x40           all the rest is bytes
 *   0x80 + n       n + 1 bytes
 * In front of them, the length of the whole (u16).
 */
#define STEP_LINE 0x00
#define STEP_SPLICE 0x10
#define STEP_PHRASE 0x20
#define STEP_REST 0x40
#define STEP_BYTES 0x80
#define STEP_KINDS 0xf0
#define SPLICE_SIZE 6   /* without its bytes */
#define SPLICE_LEAST 16 /* bytes that it has to save */
#define SPLICE_BYTES_MAX 255
#define BYTES_MAX 128
#define HEADER_SIZE 2

static const struct str names[ECHO_VIA + 1] = {
	[ECHO_FROM] = {"From: ", 6},
	[ECHO_TO] = {"To: ", 4},
	[ECHO_CALL_ID] = {"Call-ID: ", 9},
	[ECHO_CSEQ] = {"CSeq: ", 6},
	[ECHO_VIA] = {"Via: ", 5},
};

/* With which lines often begin, or which they are: in the order of their first letters. */
#define PHRASE(text) \
	{ \
		text, sizeof(text) - 1 \
	}
static const struct str phrases[] = {
	PHRASE("Allow: INVITE, ACK, "),
	PHRASE("Allow: "),
	PHRASE("Content-Length: 0\r\n\r\n"),
	PHRASE("Content-Length: 0\r\n"),
	PHRASE("Contact: <sip:"),
	PHRASE("Expires: "),
	PHRASE("Max-Forwards: 70\r\n"),
	PHRASE("Record-Route: <sip:"),
	PHRASE("Route: <sip:"),
	PHRASE("SIP/2.0 200 OK\r\n"),
	PHRASE("SIP/2.0 180 Ringing\r\n"),
	PHRASE("Server: "),
	PHRASE("Supported: "),
	PHRASE("User-Agent: "),
	{"", 0},
};
/* The first one of a letter. */
static const uint8_t phrase_of[26] = {['A' - 'A'] = 0,
	['C' - 'A'] = 2,
	['E' - 'A'] = 5,
	['M' - 'A'] = 6,
	['R' - 'A'] = 7,
	['S' - 'A'] = 9,
	['U' - 'A'] = 13};

static const struct str *name_of(unsigned field)
{
	return &names[field < ECHO_VIA ? field : ECHO_VIA];
}

void echo_lines_of(const struct sip_msg *msg, struct echo_lines *out)
{
	static const uint8_t ids[ECHO_VIA] = {[ECHO_FROM] = SIP_HEADER_FROM,
		[ECHO_TO] = SIP_HEADER_TO,
		[ECHO_CALL_ID] = SIP_HEADER_CALL_ID,
		[ECHO_CSEQ] = SIP_HEADER_CSEQ};
	const struct sip_header *h;
	unsigned n = ECHO_VIA;

	memset(out, 0, sizeof(*out));
	for (unsigned i = 0; i < ECHO_VIA; i++) {
		if (!sip_msg_has(msg, ids[i]))
			continue;
		h = &msg->header[msg->first[ids[i]]];
		if (h->value + h->value_len > UINT16_MAX)
			continue;
		out->value[i].at = (uint16_t)h->value;
		out->value[i].len = (uint16_t)h->value_len;
	}
	SIP_MSG_FOREACH (msg, SIP_HEADER_VIA, via) {
		if (n == ECHO_FIELDS || via->value + via->value_len > UINT16_MAX)
			break;
		out->value[n].at = (uint16_t)via->value;
		out->value[n++].len = (uint16_t)via->value_len;
	}
}

/* ---- packing ---- */

struct packing {
	const char *buf;
	const struct echo_lines *lines;
	char *out;
	uint32_t len, room; /* of out */
	const char *bytes;  /* what no step has said yet begins here */
	unsigned vias;      /* lines of that name so far */
	bool full;
};

static void put(struct packing *p, const void *from, uint32_t len)
{
	if (len > p->room - p->len) {
		p->full = true;
		return;
	}
	memcpy(p->out + p->len, from, len);
	p->len += len;
}

static void put_byte(struct packing *p, unsigned byte)
{
	char c = (char)byte;

	put(p, &c, 1);
}

/* The bytes before `to` that no step has said. */
static void flush(struct packing *p, const char *to)
{
	while (p->bytes < to && !p->full) {
		uint32_t left = (uint32_t)(to - p->bytes), n = left < BYTES_MAX ? left : BYTES_MAX;

		put_byte(p, STEP_BYTES + n - 1);
		put(p, p->bytes, n);
		p->bytes += n;
	}
}

/* A bit for each of sixteen bytes that differs. */
static inline uint32_t differ16(const char *a, const char *b)
{
	__m128i x = _mm_loadu_si128((const __m128i *)a), y = _mm_loadu_si128((const __m128i *)b);

	return 0xffffU ^ (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(x, y));
}

static uint32_t same_at_front(const char *a, const char *b, uint32_t most)
{
	uint32_t n = 0, differ;

	if (most < 16) {
		while (n < most && a[n] == b[n])
			n++;
		return n;
	}
	/* The last sixteen may be some that have been seen. */
	for (;;) {
		differ = differ16(a + n, b + n);
		if (differ != 0)
			return n + (uint32_t)__builtin_ctz(differ);
		if (n + 16 == most)
			return most;
		n = n + 32 <= most ? n + 16 : most - 16;
	}
}

/* `a` and `b` are where the two end. */
static uint32_t same_at_end(const char *a, const char *b, uint32_t most)
{
	uint32_t n = 0;

	while (n < most && a[-1 - (int64_t)n] == b[-1 - (int64_t)n])
		n++;
	return n;
}

/* The line [at, end) is named as `field`: says it by the other message's, where that is shorter. */
static void pack_field(struct packing *p, unsigned field, const char *at, const char *end)
{
	struct str value =
		str_of(at + name_of(field)->len, (size_t)(end - 2 - at) - name_of(field)->len);
	const char *other = p->buf + p->lines->value[field].at;
	uint32_t len = p->lines->value[field].len, most = value.len < len ? value.len : len;
	uint32_t front = same_at_front(value.s, other, most), back;
	uint16_t kept[2];

	if (len == 0)
		return;
	if (front == len && front == value.len) {
		flush(p, at);
		put_byte(p, STEP_LINE + field);
		p->bytes = end;
		return;
	}
	back = same_at_end(value.s + value.len, other + len, most - front);
	if (front + back < SPLICE_LEAST || value.len - front - back > SPLICE_BYTES_MAX)
		return;
	kept[0] = (uint16_t)front;
	kept[1] = (uint16_t)back;
	flush(p, at);
	put_byte(p, STEP_SPLICE + field);
	put(p, kept, sizeof(kept));
	put_byte(p, value.len - front - back);
	put(p, value.s + front, value.len - front - back);
	p->bytes = end;
}

static void pack_phrase(struct packing *p, const char *at, uint32_t left)
{
	unsigned letter = (unsigned char)*at - (unsigned)'A';

	if (letter >= sizeof(phrase_of))
		return;
	for (unsigned i = phrase_of[letter]; phrases[i].s[0] == *at; i++) {
		if (phrases[i].len > left || memcmp(phrases[i].s, at, phrases[i].len) != 0)
			continue;
		flush(p, at);
		put_byte(p, STEP_PHRASE + i);
		p->bytes = at + phrases[i].len;
		return;
	}
}

/* Whether a line of `len` bytes begins so; compared as a number or two. */
#define BEGINS(at, len, name) \
	((len) >= sizeof(name) + 1 && memcmp((at), (name), sizeof(name) - 1) == 0)

/* ECHO_FIELDS: no line of these. */
static unsigned field_of(struct packing *p, const char *at, uint32_t len)
{
	switch (*at) {
	case 'F':
		return BEGINS(at, len, "From: ") ? ECHO_FROM : ECHO_FIELDS;
	case 'T':
		return BEGINS(at, len, "To: ") ? ECHO_TO : ECHO_FIELDS;
	case 'C':
		if (BEGINS(at, len, "CSeq: "))
			return ECHO_CSEQ;
		return BEGINS(at, len, "Call-ID: ") ? ECHO_CALL_ID : ECHO_FIELDS;
	case 'V':
		if (BEGINS(at, len, "Via: ") && p->vias < ECHO_VIAS)
			return ECHO_VIA + p->vias++;
		return ECHO_FIELDS;
	default:
		return ECHO_FIELDS;
	}
}

static void pack_line(struct packing *p, const char *at, const char *end, const char *text_end)
{
	unsigned field = end[-2] == '\r' ? field_of(p, at, (uint32_t)(end - at)) : ECHO_FIELDS;

	if (field < ECHO_FIELDS)
		pack_field(p, field, at, end);
	else
		pack_phrase(p, at, (uint32_t)(text_end - at));
}

uint32_t echo_pack(
	const char *text, uint32_t len, const char *buf, const struct echo_lines *lines, char *out)
{
	struct packing p = {.buf = buf,
		.lines = lines,
		.out = out,
		.len = HEADER_SIZE,
		.room = ECHO_ROOM(len),
		.bytes = text};
	const char *at = text, *end = text + len, *next;
	uint16_t whole = (uint16_t)len;

	memcpy(out, &whole, sizeof(whole));
	/* Up to the blank line; the last phrase may be that already. */
	while (!p.full && (next = memchr(at, '\n', (size_t)(end - at))) != NULL && next - at > 1) {
		next++;
		pack_line(&p, at, next, end);
		at = p.bytes > next ? p.bytes : next;
	}
	if (p.bytes < end && (uint32_t)(end - p.bytes) <= BYTES_MAX)
		flush(&p, end);
	if (p.bytes < end || p.full) {
		put_byte(&p, STEP_REST);
		put(&p, p.bytes, (uint32_t)(end - p.bytes));
	}
	if (!p.full)
		return p.len;
	/* Nothing in common. */
	out[HEADER_SIZE] = STEP_REST;
	memcpy(out + HEADER_SIZE + 1, text, len);
	return ECHO_ROOM(len);
}

/* ---- unpacking ---- */

struct unpacking {
	const char *at, *end;
	const char *buf;
	const struct echo_lines *lines;
	char *out;
	uint32_t len, room;
};

static bool give(struct unpacking *u, const char *from, uint32_t len)
{
	if (len > u->room - u->len)
		return false;
	memcpy(u->out + u->len, from, len);
	u->len += len;
	return true;
}

static bool unpack_line(struct unpacking *u, unsigned field)
{
	const struct str *name = name_of(field);
	uint32_t len = u->lines->value[field].len;

	return len != 0 && give(u, name->s, name->len) &&
	       give(u, u->buf + u->lines->value[field].at, len) && give(u, "\r\n", 2);
}

static bool unpack_splice(struct unpacking *u, unsigned field)
{
	const struct str *name = name_of(field);
	const char *value = u->buf + u->lines->value[field].at;
	uint32_t len = u->lines->value[field].len;
	uint16_t kept[2];
	uint8_t bytes;

	memcpy(kept, u->at, sizeof(kept));
	bytes = (uint8_t)u->at[sizeof(kept)];
	u->at += SPLICE_SIZE - 1;
	if ((uint32_t)kept[0] + kept[1] > len || !give(u, name->s, name->len) ||
		!give(u, value, kept[0]) || !give(u, u->at, bytes) ||
		!give(u, value + len - kept[1], kept[1]))
		return false;
	u->at += bytes;
	return give(u, "\r\n", 2);
}

static bool unpack_step(struct unpacking *u, unsigned step)
{
	uint32_t len;

	if (step >= STEP_REST) {
		len = step >= STEP_BYTES ? step - STEP_BYTES + 1 : (uint32_t)(u->end - u->at);
		if (!give(u, u->at, len))
			return false;
		u->at += len;
		return true;
	}
	switch (step & STEP_KINDS) {
	case STEP_LINE:
		return unpack_line(u, step - STEP_LINE);
	case STEP_SPLICE:
		return unpack_splice(u, step - STEP_SPLICE);
	default:
		return give(u, phrases[step - STEP_PHRASE].s, phrases[step - STEP_PHRASE].len);
	}
}

uint32_t echo_length(const char *packed)
{
	uint16_t whole;

	memcpy(&whole, packed, sizeof(whole));
	return whole;
}

int64_t echo_unpack(const char *packed, uint32_t packed_len, const char *buf,
	const struct echo_lines *lines, char *out, uint32_t room)
{
	struct unpacking u = {.at = packed + HEADER_SIZE,
		.end = packed + packed_len,
		.buf = buf,
		.lines = lines,
		.out = out,
		.room = room};

	while (u.at < u.end) {
		if (!unpack_step(&u, (uint8_t)*u.at++))
			return -1;
	}
	return u.len;
}
