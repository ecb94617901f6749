/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Changes of a message, collected as an edit list and applied once.
 *
 * What the list means: each delete takes its bytes away with everything that other edits put
 * strictly inside them; the text of a replacement stands where its bytes stood, behind what is
 * inserted at the same offset, and goes with them when a larger delete takes them, or a later one
 * of the same bytes. So a header line can be removed whatever was done to it.
 */
#include "sip/grammar.h"

/* The rank of edits that delete: behind all inserts at their offset. */
#define ORDER_DELETE UINT16_MAX

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
	return add(edits, off, del, del != 0 ? ORDER_DELETE : SIP_EDIT_NORMAL, &text, 1);
}

int sip_edit_insert(struct sip_edits *edits, uint32_t off, uint16_t order, struct str text)
{
	return add(edits, off, 0, order, &text, 1);
}

int sip_edit_delete(struct sip_edits *edits, uint32_t off, uint32_t del)
{
	return add(edits, off, del, ORDER_DELETE, NULL, 0);
}

int sip_edit_insert_parts(struct sip_edits *edits, uint32_t off, uint16_t order,
	const struct str *part, unsigned parts)
{
	return add(edits, off, 0, order, part, parts);
}

static uint64_t edit_end(const struct sip_edit *edit)
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
	int err = find_neighbours(edits, buf, sip_header_value(h), value, &around);

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

/* By offset, then rank, then arrival: stable, and cheap for the nearly sorted lists that come. */
static void sort(struct sip_edits *edits)
{
	for (unsigned i = 1; i < edits->count; i++) {
		struct sip_edit edit = edits->edit[i];
		unsigned j = i;

		for (; j > 0; j--) {
			const struct sip_edit *before = &edits->edit[j - 1];

			if (before->off < edit.off ||
				(before->off == edit.off && before->order <= edit.order))
				break;
			edits->edit[j] = *before;
		}
		edits->edit[j] = edit;
	}
}

struct output {
	char *out; /* NULL: count only */
	uint64_t len;
};

static inline void put(struct output *o, const char *s, uint64_t len)
{
	if (o->out != NULL)
		str_copy(o->out + o->len, (struct str){s, (uint32_t)len});
	o->len += len;
}

/* The edit of [first, end), all at one offset, whose delete reaches furthest; the latest of equals;
 * NULL where none deletes. */
static const struct sip_edit *largest_delete(
	const struct sip_edit *first, const struct sip_edit *end)
{
	const struct sip_edit *best = NULL;

	for (; first < end; first++)
		if (first->del != 0 && (best == NULL || first->del >= best->del))
			best = first;
	return best;
}

/* Walks the sorted list, one offset at a time. `reach`: where the deletes that began before this
 * offset end. */
static void run(const struct sip_edits *edits, const char *buf, uint32_t len, struct output *o)
{
	const struct sip_edit *edit = edits->edit, *end = edit + edits->count, *group;
	uint32_t pos = 0, reach = 0;

	for (; edit < end; edit = group) {
		const struct sip_edit *largest;
		uint32_t off = edit->off < len ? edit->off : len, end_at;

		for (group = edit + 1; group < end && group->off == edit->off; group++)
			;
		if (off > pos) {
			put(o, buf != NULL ? buf + pos : NULL, off - pos);
			pos = off;
		}
		largest = group - edit > 1 ? largest_delete(edit, group)
			  : edit->del != 0 ? edit
					   : NULL;
		for (; edit < group && edit->del == 0; edit++)
			if (reach <= off)
				put(o, edits->text + edit->at, edit->len);
		if (largest == NULL)
			continue;
		end_at = edit_end(largest) < len ? (uint32_t)edit_end(largest) : len;
		if (reach < end_at) {
			put(o, edits->text + largest->at, largest->len);
			reach = end_at;
			pos = end_at;
		}
	}
	put(o, buf != NULL ? buf + pos : NULL, len - pos);
}

uint32_t sip_edit_length(struct sip_edits *edits, uint32_t len)
{
	struct output o = {NULL, 0};

	sort(edits);
	run(edits, NULL, len, &o);
	return (uint32_t)o.len;
}

int64_t sip_edit_apply(
	struct sip_edits *edits, const char *buf, uint32_t len, char *out, uint32_t room)
{
	struct output o = {out, 0};
	uint32_t need;

	if (edits->overflow)
		return -EOVERFLOW;
	/* It seldom comes so close that it has to be counted before it is written. */
	if ((uint64_t)len + edits->text_len <= room) {
		sort(edits);
	} else {
		need = sip_edit_length(edits, len);
		if (need > room)
			return -ENOSPC;
	}
	run(edits, buf, len, &o);
	return (int64_t)o.len;
}
