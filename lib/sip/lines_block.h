/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The walk over the header lines of a usual message, for the instruction set of the file that
 * includes it (see isa.h). From the last line to the first, so that each line's `next` is what
 * `first` held so far. It is bound by instructions and by branches that go wrong: per line there is
 * one that asks for the name and two for the ends of the value.
 */
#include "sip/line.h"
#include "sip/name.h"

/*
 * The header line [from, lf - 1) that ends with the LF at `lf`, if it is at a glance what nearly
 * all are: a known short name, its colon, one space or none, and a value without LWS at its ends.
 * Writes all but `next`; returns what its name is,
 * or NULL where it is not such a line.
 */
static inline __attribute__((always_inline)) const struct sip_name *take_line(
	const uint8_t *text, uint64_t from, uint64_t lf, struct sip_header *out)
{
	__m128i begin = _mm_loadu_si128((const __m128i *)(text + from));
	uint32_t colons = (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(begin, sip_each16(':')));
	uint32_t len = (uint32_t)__builtin_ctz(colons | 1U << SIP_NAME_SHORT);
	/* A colon of a later line is none: the LF before it is in no name. */
	const struct sip_name *name = sip_name_short(begin, len);
	uint64_t value = from + len + 1;

	if (__builtin_expect(name == NULL, 0))
		return NULL;
	value += text[value] <= ' ';
	if (__builtin_expect(text[value] <= ' ', 0) || __builtin_expect(text[lf - 2] <= ' ', 0))
		return NULL;
	out->name = (uint32_t)from;
	out->value = (uint32_t)value;
	out->value_len = (uint32_t)(lf - 1 - value);
	/* With id, next and flags in one store. */
	memcpy(&out->name_len, &name->len, 4);
	return name;
}

/* Puts line i before those that follow it and have its id. */
static inline void link_line(struct sip_msg *msg, uint32_t i, uint32_t id)
{
	msg->header[i].next = msg->first[id];
	msg->first[id] = (uint8_t)i;
}

/* Where ids repeat, `last` is not `first`. */
static void find_last(struct sip_msg *msg)
{
	for (unsigned i = 0; i < msg->header_count; i++)
		msg->last[msg->header[i].id] = (uint8_t)i;
}

static bool ISA(lines)(struct sip_msg *msg, const char *buf, const struct sip_scan *scan)
{
	const uint32_t *lf = scan->lf;
	const uint32_t count = scan->count - 1;
	/* A line that begins up to here has as many bytes as a look at its name takes. */
	const int64_t safe = (int64_t)scan->len - SIP_NAME_SHORT;
	uint32_t n = count;

	memset(msg->first, SIP_HEADER_NONE, sizeof(msg->first));
	for (;;) {
		uint64_t end = lf[n];

		/* No call is in this loop, so that what does not change stays in registers. */
		while (n > 0) {
			int64_t from = lf[n - 1] + 1LL;
			const struct sip_name *name;

			if (__builtin_expect(from > safe, 0))
				break;
			name = take_line(
				(const uint8_t *)buf, (uint64_t)from, end, &msg->header[n - 1]);
			if (__builtin_expect(name == NULL, 0))
				break;
			end = (uint64_t)from - 1;
			link_line(msg, --n, name->id);
		}
		if (n == 0)
			break;

		int id = sip_line_any(buf, lf[n - 1] + 1, lf[n] - 1, &msg->header[n - 1]);

		if (id < 0)
			return false;
		link_line(msg, --n, (uint32_t)id);
	}
	msg->header_count = (uint16_t)count;
	msg->present = ~text64_is(text64_at((const char *)msg->first), (char)SIP_HEADER_NONE);
	memcpy(msg->last, msg->first, sizeof(msg->last));
	if ((uint32_t)__builtin_popcountll(msg->present) != count)
		find_last(msg);
	return true;
}
