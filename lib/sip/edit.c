/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Changes of a message, collected as an edit list and applied once.
 *
 * What the list means: each delete takes its bytes away with everything that other edits put
 * strictly inside them; the text of a replacement stands where its bytes stood, behind what is
 * inserted at the same offset, and goes with them when a larger delete takes them, or a later one
 * of the same bytes. So a header line can be removed whatever was done to it.
 */
#include <assert.h>

#include "sip/grammar.h"

static inline __attribute__((always_inline)) int add(struct sip_edits *edits, uint32_t off,
	uint32_t del, uint16_t order, const struct str *part, unsigned parts)
{
	struct sip_edit *edit = &edits->edit[edits->count];
	uint64_t len = 0;

	for (unsigned i = 0; i < parts; i++)
		len += part[i].len;
	if (edits->count >= SIP_EDITS_MAX || len > (uint64_t)SIP_EDIT_TEXT_MAX - edits->text_len) {
		edits->overflow = true;
		return -ENOSPC;
	}
	if (del == 0 && len == 0)
		return 0;
	*edit = (struct sip_edit){.off = off,
		.del = del,
		.at = edits->text_len,
		.len = (uint16_t)len,
		.order = order};
	for (unsigned i = 0; i < parts; i++) {
		str_copy(edits->text + edits->text_len, part[i]);
		edits->text_len = (uint16_t)(edits->text_len + part[i].len);
	}
	edits->count++;
	return 0;
}

int sip_edit_replace(struct sip_edits *edits, uint32_t off, uint32_t del, struct str text)
{
	return add(edits, off, del, del != 0 ? SIP_EDIT_REPLACE : SIP_EDIT_NORMAL, &text, 1);
}

int sip_edit_insert(struct sip_edits *edits, uint32_t off, uint16_t order, struct str text)
{
	return add(edits, off, 0, order, &text, 1);
}

int sip_edit_delete(struct sip_edits *edits, uint32_t off, uint32_t del)
{
	return add(edits, off, del, SIP_EDIT_REPLACE, NULL, 0);
}

int sip_edit_insert_parts(struct sip_edits *edits, uint32_t off, uint16_t order,
	const struct str *part, unsigned parts)
{
	return add(edits, off, 0, order, part, parts);
}

static inline __attribute__((always_inline)) uint64_t edit_end(const struct sip_edit *edit)
{
	return (uint64_t)edit->off + edit->del;
}

/* ---- values of a list ---- */

/* Whether an edit takes all of [off, off + len) away and puts nothing there. */
static bool is_deleted(const struct sip_edits *edits, struct sip_span value)
{
	for (unsigned i = 0; i < edits->count; i++) {
		const struct sip_edit *edit = &edits->edit[i];

		if (edit->del != 0 && edit->len == 0 && edit->off <= value.off &&
			edit_end(edit) >= (uint64_t)value.off + value.len)
			return true;
	}
	return false;
}

/* What stands around a value in its list, leaving out what is deleted already. */
struct neighbours {
	bool found;                 /* the value is in the list */
	bool has_before, has_after; /* a value that stays */
	uint32_t before_end;        /* end of the last value before it that stays */
	uint32_t next;              /* beginning of the value behind it, deleted or not */
};

static int find_neighbours(const struct sip_edits *edits, const char *buf, struct sip_span list,
	struct sip_span value, struct neighbours *out)
{
	uint32_t at = 0;
	struct sip_span v;
	unsigned n = 0;

	memset(out, 0, sizeof(*out));
	while (!out->has_after && sip_list_next(buf, list, &at, &v)) {
		/* So many values before one that stays can't be: each deleted one costs an edit or
		 * lies in a large one. */
		if (++n > SIP_VALUES_MAX)
			return -ENOSPC;
		if (!out->found && v.off == value.off) {
			out->found = true;
			continue;
		}
		if (out->found && out->next == 0)
			out->next = v.off;
		if (is_deleted(edits, v))
			continue;
		if (out->found) {
			out->has_after = true;
		} else {
			out->has_before = true;
			out->before_end = v.off + v.len;
		}
	}
	return out->found ? 0 : -EINVAL;
}

int sip_edit_delete_value(struct sip_edits *edits, const struct sip_msg *msg, const char *buf,
	const struct sip_header *h, struct sip_span value)
{
	struct neighbours around;
	uint32_t value_end = value.off + value.len;
	int err;

	/* The usual Via and Route: a value that is all of its line. */
	if (value.off == h->value && value.len == h->value_len && value.len != 0)
		return sip_edit_delete(edits, h->name, sip_msg_line_end(msg, h) - h->name);
	err = find_neighbours(edits, buf, sip_header_value(h), value, &around);
	if (err == -ENOSPC)
		edits->overflow = true;
	if (err != 0)
		return err;
	/*
	 * With the comma behind it while a later value stays, else with all from the last value
	 * that stays before it: in whichever order values go, the ones that are left have one comma
	 * between them.
	 */
	if (around.has_after)
		return sip_edit_delete(edits, value.off, around.next - value.off);
	if (around.has_before)
		return sip_edit_delete(edits, around.before_end, value_end - around.before_end);
	return sip_edit_delete(edits, h->name, sip_msg_line_end(msg, h) - h->name);
}

/* ---- output ---- */

/* By offset, then rank. */
static inline bool is_behind(const struct sip_edit *a, const struct sip_edit *b)
{
	return a->off > b->off || (a->off == b->off && a->order > b->order);
}

/* Those of one place stay as they arrived. Cheap for the nearly sorted lists that come. */
static void sort(struct sip_edits *edits)
{
	struct sip_edit *at = edits->edit, *end = at + edits->count;

	for (at++; at < end; at++) {
		struct sip_edit edit, *to = at;

		if (!is_behind(at - 1, at))
			continue;
		edit = *at;
		for (; to > edits->edit && is_behind(to - 1, &edit); to--)
			*to = to[-1];
		*to = edit;
	}
}

enum manner {
	COUNT, /* nothing is written */
	EXACT, /* no byte more than there is */
	WIDE   /* whole vectors: behind what is written there are SIP_EDIT_SLACK bytes of room */
};

/* What a vector register of either size holds, wherever it lies. */
typedef char wide __attribute__((vector_size(32), aligned(1), may_alias));
static_assert(sizeof(wide) <= SIP_EDIT_SLACK, "the last one may touch what is behind");

static inline __attribute__((always_inline)) void put_wide(char *out, const char *s, uint32_t len)
{
	for (uint64_t i = 0; i < len; i += sizeof(wide)) {
		*(wide *)(out + i) = *(const wide *)(s + i);
		/* A loop, not the call that it could be taken for. */
		__asm__ volatile("" : : : "memory");
	}
}

/* Bytes [from, to) of a message of `len`, to out + at; returns how many. */
static inline __attribute__((always_inline)) uint32_t put_message(char *out, uint64_t at,
	const char *buf, uint32_t from, uint32_t to, uint32_t len, enum manner manner)
{
	if (manner == WIDE && to + sizeof(wide) <= len)
		put_wide(out + at, buf + from, to - from);
	else if (manner != COUNT)
		str_copy(out + at, (struct str){buf + from, to - from});
	return to - from;
}

static inline __attribute__((always_inline)) uint32_t put_text(char *out, uint64_t at,
	const struct sip_edits *edits, const struct sip_edit *edit, enum manner manner)
{
	if (manner == WIDE)
		put_wide(out + at, edits->text + edit->at, edit->len);
	else if (manner == EXACT)
		str_copy(out + at, (struct str){edits->text + edit->at, edit->len});
	return edit->len;
}

/*
 * Walks the sorted list. `pos` is how far the message has been dealt with, `reach` where the
 * deletes that began so far end. At one offset inserts come first, and of what deletes there the
 * largest counts, the latest of equals.
 */
static inline __attribute__((always_inline)) uint64_t walk(
	const struct sip_edits *edits, const char *buf, uint32_t len, char *out, enum manner manner)
{
	const struct sip_edit *edit = edits->edit, *end = edit + edits->count, *largest;
	uint32_t pos = 0, reach = 0, end_at;
	uint64_t at = 0;

	for (; edit < end; edit++) {
		uint32_t off = edit->off < len ? edit->off : len;

		if (off > pos) {
			at += put_message(out, at, buf, pos, off, len, manner);
			pos = off;
		}
		if (edit->del == 0) {
			if (reach <= off)
				at += put_text(out, at, edits, edit, manner);
			continue;
		}
		largest = edit;
		for (; edit + 1 < end && edit[1].off == edit->off; edit++)
			if (edit[1].del >= largest->del)
				largest = edit + 1;
		end_at = edit_end(largest) < len ? (uint32_t)edit_end(largest) : len;
		if (reach < end_at) {
			at += put_text(out, at, edits, largest, manner);
			reach = end_at;
			pos = end_at;
		}
	}
	return at + put_message(out, at, buf, pos, len, len, manner);
}

static uint64_t walk_sse(const struct sip_edits *edits, const char *buf, uint32_t len, char *out)
{
	return walk(edits, buf, len, out, WIDE);
}

/* The floor is tuned for CPUs that had better move such vectors in halves. */
__attribute__((target("avx2,tune=haswell"))) static uint64_t walk_avx2(
	const struct sip_edits *edits, const char *buf, uint32_t len, char *out)
{
	return walk(edits, buf, len, out, WIDE);
}

static uint64_t (*walk_wide)(
	const struct sip_edits *edits, const char *buf, uint32_t len, char *out) = walk_sse;

__attribute__((constructor)) static void select_best(void)
{
	__builtin_cpu_init();
	if (__builtin_cpu_supports("avx2"))
		walk_wide = walk_avx2;
}

uint32_t sip_edit_length(struct sip_edits *edits, uint32_t len)
{
	sort(edits);
	return (uint32_t)walk(edits, NULL, len, NULL, COUNT);
}

int64_t sip_edit_apply(
	struct sip_edits *edits, const char *buf, uint32_t len, char *out, uint32_t room)
{
	if (edits->overflow)
		return -EOVERFLOW;
	sort(edits);
	/* It seldom comes so close that it has to be counted before it is written. */
	if ((uint64_t)len + edits->text_len + SIP_EDIT_SLACK <= room)
		return (int64_t)walk_wide(edits, buf, len, out);
	if (walk(edits, NULL, len, NULL, COUNT) > room)
		return -ENOSPC;
	return (int64_t)walk(edits, buf, len, out, EXACT);
}
