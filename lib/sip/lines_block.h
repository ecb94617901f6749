/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The walk over the header lines of a usual message, for the instruction set of the file that
 * includes it (see isa.h). From the last line to the first, so that each line's `next` is what
 * `first` held so far. It is bound by instructions and by branches that go wrong: per line there is
 * one that asks for the name and two for the ends of the value.
 */
#include "sip/line.h"
#include "sip/name.h"
#include "sip/token.h"

#define LINE_END 0x0a0dU /* CR LF, as see_end() has it */

/* Of a name that is none of those that are known. */
static const struct sip_name name_other[SIP_NAME_SHORT] = {
#define OTHER(n) [n] = {.len = n, .id = SIP_HEADER_OTHER}
	OTHER(1),
	OTHER(2),
	OTHER(3),
	OTHER(4),
	OTHER(5),
	OTHER(6),
	OTHER(7),
	OTHER(8),
	OTHER(9),
	OTHER(10),
	OTHER(11),
	OTHER(12),
	OTHER(13),
	OTHER(14),
	OTHER(15),
#undef OTHER
};

/* The entry for a name that is not known: NULL where it is no token, or too long to say. */
static inline const struct sip_name *other_name(const uint8_t *text, uint64_t len)
{
	uint32_t misses = sip_class_misses(
		(const char *)text, sip_char_rows[__builtin_ctz(SIP_CHAR_TOKEN)], false);

	/* The colon, or what comes before it, is none. */
	return len - 1 < SIP_NAME_SHORT - 1 && (uint32_t)__builtin_ctz(misses | 1U << 16) == len
		       ? &name_other[len]
		       : NULL;
}

/* What a walk over the lines holds, in registers. */
struct walk {
	const uint8_t *text;
	struct sip_msg *msg;
	const uint8_t *next; /* the LF before the line that was taken last: the line to take ends
				there */
	uint32_t all, any;   /* of the two bytes that end each line, each bit */
};

/* Notes what the two bytes up to the LF at p are. */
static inline void see_end(struct walk *w, const uint8_t *p)
{
	uint16_t v;

	memcpy(&v, p - 1, sizeof(v));
	w->all &= v;
	w->any |= v;
}

/* Notes that line n is of that id, before those that follow it and have it too. */
static inline void link_line(struct sip_msg *msg, uint32_t n, uint32_t id)
{
	msg->header[n].next = msg->first[id];
	msg->first[id] = (uint8_t)n;
}

/*
 * Header line n, if it is at a glance what nearly all are: a short name, its colon, one space, and
 * a value without LWS at its ends. `before` is the offset of the LF before it. False where it is
 * not such a line.
 */
static inline __attribute__((always_inline)) bool take_line(
	struct walk *w, uint32_t n, uint64_t before)
{
	const uint8_t *line = w->text + before, *value;
	struct sip_header *header = &w->msg->header[n];
	__m128i begin = _mm_loadu_si128((const __m128i *)(line + 1));
	uint64_t len =
		first_bit((uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(begin, sip_each16(':'))));
	/* A colon of a later line is none: the LF before it is in no name. */
	const struct sip_name *name = sip_name_short(begin, len);

	see_end(w, line);
	if (__builtin_expect(!sip_name_is(name, begin, len), 0)) {
		name = other_name(line + 1, len);
		if (name == NULL)
			return false;
	}
	value = line + len + 3;
	if (__builtin_expect(value[-1] != ' ' || value[0] <= ' ', 0) ||
		__builtin_expect(w->next[-2] <= ' ', 0))
		return false;
	header->name = (uint32_t)before + 1;
	header->value = (uint32_t)(before + len + 3);
	header->value_len = (uint32_t)(w->next - value) - 1;
	/* With id, next and flags in one store. */
	memcpy(&header->name_len, &name->len, 4);
	link_line(w->msg, n, name->id);
	w->next = line;
	return true;
}

/* Where ids repeat, `last` is not `first`. */
static void find_last(struct sip_msg *msg)
{
	/* Most have twelve or so. */
#pragma GCC unroll 4
	for (unsigned i = 0; i < msg->header_count; i++)
		msg->last[msg->header[i].id] = (uint8_t)i;
}

/* Takes the lines between the count + 1 line ends of `lf`, as sip_isa.lines. */
static inline __attribute__((always_inline)) bool take_lines(
	struct sip_msg *msg, const char *buf, uint32_t len, const uint32_t *lf, uint32_t count)
{
	const uint8_t *text = (const uint8_t *)buf;
	struct walk w = {text, msg, text + lf[count], LINE_END, 0};
	uint32_t n = count;

	memset(msg->first, SIP_HEADER_NONE, sizeof(msg->first));
	while (n > 0) {
		int id;

		/* A line that begins up to there has as many bytes as a look at its name takes. No
		 * call is in this loop, so that what does not change stays in registers. */
		if (__builtin_expect(lf[n - 1] + 1 + SIP_NAME_SHORT <= len, 1))
			while (n > 0 && take_line(&w, n - 1, lf[n - 1]))
				n--;
		if (n == 0)
			break;
		n--;
		see_end(&w, text + lf[n]);
		id = sip_line_any(buf, lf[n] + 1, (uint32_t)(w.next - text) - 1, &msg->header[n]);
		if (id < 0)
			return false;
		link_line(msg, n, (uint32_t)id);
		w.next = text + lf[n];
	}
	if (w.all != LINE_END || (w.any | LINE_END) != LINE_END)
		return false;
	msg->header_count = (uint16_t)count;
	msg->present = ~text64_is(text64_at((const char *)msg->first), (char)SIP_HEADER_NONE);
	memcpy(msg->last, msg->first, sizeof(msg->last));
	if ((uint32_t)__builtin_popcountll(msg->present) != count)
		find_last(msg);
	return true;
}

static bool ISA(lines)(struct sip_msg *msg, const char *buf, const struct sip_scan *scan)
{
	return take_lines(msg, buf, scan->len, scan->lf, scan->count - 1);
}
