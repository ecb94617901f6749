/* SPDX-License-Identifier: BSD-3-Clause */
#include "input.h"

/* ---- a naive reference: each byte and each inserted text decides for itself whether it is in the
 * output ---- */

struct reference_edit {
	uint32_t off, del;
	uint16_t order;
	char text[8];
	unsigned len;
};

#define REFERENCE_MAX SIP_EDITS_MAX

static uint32_t clip(uint64_t at, uint32_t len)
{
	return at < len ? (uint32_t)at : len;
}

static bool byte_deleted(const struct reference_edit *e, unsigned n, uint32_t at)
{
	for (unsigned i = 0; i < n; i++)
		if (e[i].off <= at && at - e[i].off < e[i].del)
			return true;
	return false;
}

/* Whether another edit's delete takes the text of e[k] away. */
static bool text_taken(const struct reference_edit *e, unsigned n, unsigned k, uint32_t len)
{
	uint32_t off = clip(e[k].off, len), end = clip((uint64_t)e[k].off + e[k].del, len);

	for (unsigned i = 0; i < n; i++) {
		uint32_t o = clip(e[i].off, len), x = clip((uint64_t)e[i].off + e[i].del, len);

		if (i == k || e[i].del == 0)
			continue;
		if (e[k].del == 0 && o < off && x > off)
			return true;
		if (e[k].del != 0 && o < off && x >= end)
			return true;
		if (e[k].del != 0 && e[i].off == e[k].off &&
			(e[i].del > e[k].del || (e[i].del == e[k].del && i > k)))
			return true;
	}
	return false;
}

static unsigned reference_apply(
	const struct reference_edit *e, unsigned n, const char *buf, uint32_t len, char *out)
{
	unsigned size = 0;

	for (uint32_t at = 0; at <= len; at++) {
		/* Inserts by rank, then by arrival; then the replacement that begins here. */
		for (unsigned order = 0; order <= 100; order++)
			for (unsigned i = 0; i < n; i++)
				if (e[i].del == 0 && e[i].off == at && e[i].order == order &&
					!text_taken(e, n, i, len)) {
					memcpy(out + size, e[i].text, e[i].len);
					size += e[i].len;
				}
		for (unsigned i = 0; i < n; i++)
			if (e[i].del != 0 && e[i].off == at && !text_taken(e, n, i, len)) {
				memcpy(out + size, e[i].text, e[i].len);
				size += e[i].len;
			}
		if (at < len && !byte_deleted(e, n, at))
			out[size++] = buf[at];
	}
	return size;
}

static uint64_t seed = 1;

static uint32_t draw(uint32_t below)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t)(seed >> 33) % below;
}

static void draw_edit(struct reference_edit *e, uint32_t len)
{
	*e = (struct reference_edit){.off = draw(len), .order = (uint16_t)(draw(3) * 50)};
	if (draw(2) == 0)
		e->del = 1 + draw(len - e->off < 12 ? len - e->off : 12);
	if (draw(16) == 0)
		e->off = len, e->del = 0;
	if (e->del == 0 || draw(2) == 0) {
		e->len = 1 + draw(4);
		for (unsigned i = 0; i < e->len; i++)
			e->text[i] = (char)('A' + draw(26));
	}
}

static int add(struct sip_edits *edits, const struct reference_edit *e)
{
	struct str text = str_of(e->text, e->len);

	if (e->del == 0)
		return sip_edit_insert(edits, e->off, e->order, text);
	if (e->len == 0)
		return sip_edit_delete(edits, e->off, e->del);
	return sip_edit_replace(edits, e->off, e->del, text);
}

static void test_random_edits_give_what_the_reference_gives(void **state)
{
	static struct sip_edits edits;

	for (unsigned round = 0; round < 20000; round++) {
		struct reference_edit e[REFERENCE_MAX];
		char buf[640], want[sizeof(buf) + REFERENCE_MAX * 8], *copy, *out;
		/* Some are as long as messages: what is copied at once is long too. */
		uint32_t len = 1 + draw(round % 50 == 1 ? sizeof(buf) : 64),
			 n = draw(round % 100 == 0 ? REFERENCE_MAX : 10);
		unsigned size;

		for (uint32_t i = 0; i < len; i++)
			buf[i] = (char)('a' + i % 26);
		sip_edits_reset(&edits);
		for (uint32_t i = 0; i < n; i++) {
			draw_edit(&e[i], len);
			assert_int_equal(add(&edits, &e[i]), 0);
			/* A look in between sorts what is there and must change nothing. */
			if (draw(8) == 0)
				sip_edit_length(&edits, len);
		}
		size = reference_apply(e, n, buf, len, want);
		copy = input_copy(str_of(buf, len));
		out = malloc(size != 0 ? size : 1);
		assert_int_equal(sip_edit_length(&edits, len), size);
		assert_int_equal(sip_edit_apply(&edits, copy, len, out, size), size);
		if (memcmp(out, want, size) != 0)
			fail_msg("round %u: '%.*s', not '%.*s'", round, (int)size, out, (int)size,
				want);
		if (size > 0)
			assert_int_equal(sip_edit_apply(&edits, copy, len, out, size - 1), -ENOSPC);
		/* With the room that lets it copy in wide moves, and none behind that. */
		free(out);
		out = malloc(len + edits.text_len + SIP_EDIT_SLACK);
		assert_int_equal(sip_edit_apply(&edits, copy, len, out,
					 len + edits.text_len + SIP_EDIT_SLACK),
			size);
		assert_memory_equal(out, want, size);
		free(copy);
		free(out);
	}
}

/* ---- what the list means, case by case ---- */

static struct sip_edits edits;

static int reset(void **state)
{
	sip_edits_reset(&edits);
	return 0;
}

static void expect(const char *in, const char *want)
{
	char out[256];
	int64_t n = sip_edit_apply(&edits, in, (uint32_t)strlen(in), out, sizeof(out));

	assert_true(n >= 0);
	if (!str_eq(str_of(out, (size_t)n), str_c(want)))
		fail_msg("'%.*s', not '%s'", (int)n, out, want);
}

static void test_no_edit_copies(void **state)
{
	expect("", "");
	expect("0123456789", "0123456789");
}

static void test_inserts_at_one_offset_go_by_rank_then_arrival(void **state)
{
	sip_edit_insert(&edits, 2, SIP_EDIT_LAST, STR("l"));
	sip_edit_insert(&edits, 2, SIP_EDIT_NORMAL, STR("n1"));
	sip_edit_insert(&edits, 2, SIP_EDIT_FIRST, STR("f"));
	sip_edit_insert(&edits, 2, SIP_EDIT_NORMAL, STR("n2"));
	expect("0123", "01fn1n2l23");
}

static void test_a_replacement_stands_behind_inserts_at_its_offset(void **state)
{
	sip_edit_replace(&edits, 1, 2, STR("R"));
	sip_edit_insert(&edits, 1, SIP_EDIT_LAST, STR("i"));
	sip_edit_insert(&edits, 3, SIP_EDIT_FIRST, STR("j"));
	expect("0123", "0iRj3");
}

static void test_overlapping_deletes_are_one(void **state)
{
	sip_edit_delete(&edits, 2, 4);
	sip_edit_delete(&edits, 4, 4);
	sip_edit_delete(&edits, 3, 1);
	expect("0123456789", "0189");
}

static void test_a_delete_takes_what_lies_strictly_inside(void **state)
{
	sip_edit_insert(&edits, 2, SIP_EDIT_NORMAL, STR("a"));
	sip_edit_insert(&edits, 3, SIP_EDIT_NORMAL, STR("b"));
	sip_edit_replace(&edits, 4, 1, STR("c"));
	sip_edit_insert(&edits, 6, SIP_EDIT_NORMAL, STR("d"));
	sip_edit_delete(&edits, 2, 4);
	sip_edit_insert(&edits, 5, SIP_EDIT_NORMAL, STR("e"));
	expect("0123456789", "01ad6789");
}

static void test_the_last_replacement_of_the_same_bytes_counts(void **state)
{
	sip_edit_replace(&edits, 2, 3, STR("one"));
	sip_edit_replace(&edits, 2, 3, STR("two"));
	expect("0123456789", "01two56789");
	sip_edit_delete(&edits, 2, 3);
	expect("0123456789", "0156789");
	sip_edit_replace(&edits, 2, 3, STR("three"));
	expect("0123456789", "01three56789");
	sip_edit_replace(&edits, 2, 4, STR("four"));
	expect("0123456789", "01four6789");
}

static void test_parts_are_joined(void **state)
{
	const struct str part[] = {STR("a"), STR(""), {NULL, 0}, STR("bc")};

	assert_int_equal(sip_edit_insert_parts(&edits, 1, SIP_EDIT_NORMAL, part, 4), 0);
	expect("01", "0abc1");
}

static void test_what_lies_past_the_end_is_at_the_end(void **state)
{
	sip_edit_delete(&edits, 3, UINT32_MAX);
	sip_edit_insert(&edits, 4, SIP_EDIT_NORMAL, STR("x"));
	sip_edit_insert(&edits, UINT32_MAX, SIP_EDIT_NORMAL, STR("y"));
	expect("0123", "012xy");
	expect("", "xy");
}

static void test_overflow_sticks(void **state)
{
	char out[SIP_EDIT_TEXT_MAX + 16], text[SIP_EDIT_TEXT_MAX + 1];

	memset(text, 't', sizeof(text));
	assert_int_equal(sip_edit_insert(&edits, 0, 0, str_of(text, SIP_EDIT_TEXT_MAX)), 0);
	assert_int_equal(sip_edit_apply(&edits, "0", 1, out, sizeof(out)), SIP_EDIT_TEXT_MAX + 1);
	assert_int_equal(sip_edit_insert(&edits, 0, 0, STR("x")), -ENOSPC);
	assert_true(edits.overflow);
	assert_int_equal(sip_edit_delete(&edits, 0, 1), 0);
	assert_true(edits.overflow);
	assert_int_equal(sip_edit_apply(&edits, "0", 1, out, sizeof(out)), -EOVERFLOW);
	sip_edits_reset(&edits);
	assert_int_equal(
		sip_edit_insert(&edits, 0, 0, str_of(text, SIP_EDIT_TEXT_MAX + 1)), -ENOSPC);
	assert_true(edits.overflow);
	sip_edits_reset(&edits);
	for (unsigned i = 0; i < SIP_EDITS_MAX; i++)
		assert_int_equal(sip_edit_delete(&edits, i, 1), 0);
	assert_int_equal(sip_edit_delete(&edits, 0, 1), -ENOSPC);
	assert_int_equal(sip_edit_apply(&edits, "0", 1, out, sizeof(out)), -EOVERFLOW);
}

static void test_an_edit_of_nothing_costs_nothing(void **state)
{
	for (unsigned i = 0; i <= SIP_EDITS_MAX; i++)
		assert_int_equal(sip_edit_insert(&edits, i, 0, STR("")), 0);
	assert_int_equal(edits.count, 0);
}

/* ---- values of lists ---- */

#define HEAD "INVITE sip:a@b SIP/2.0\r\n"
#define TAIL \
	"\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKa\r\nTo: sip:a@b\r\nFrom: " \
	"sip:c@d;tag=1\r\nCall-ID: x\r\nCSeq: 1 INVITE\r\n\r\n"

static const struct {
	const char *line;
	unsigned values;
	bool strays; /* there are commas too many, which stay */
} lists[] = {
	{"Route: <sip:a>", 1},
	{"Route: <sip:a>,<sip:b>", 2},
	{"Route:<sip:a;x=1,2> ,\r\n\t\"b,\\\"\" <sip:b>;q=\"x,y\" , <sip:c>,<sip:d>  ", 4},
	{"Route: , <sip:a>,, <sip:b> ,\r\n , <sip:c>, ", 3, true},
	{"Route: a (x, (y)) <sip:a>, <sip:b>", 2, true},
};

static unsigned values_of(
	const char *buf, struct sip_span list, struct sip_span *value, unsigned max)
{
	unsigned n = 0;

	for (uint32_t at = 0; n < max && sip_list_next(buf, list, &at, &value[n]);)
		n++;
	return n;
}

/* The line as it must be once only `left` of its values are there. */
static void expect_left(const char *buf, struct sip_msg *msg, const struct sip_span *value,
	unsigned n, unsigned left, bool strays)
{
	static struct sip_msg after;
	char out[1024];
	int64_t size = sip_edit_apply(&edits, buf, msg->len, out, sizeof(out));
	struct sip_span got[8], list;
	unsigned have, k = 0;

	assert_true(size > 0);
	assert_int_equal(sip_msg_index(&after, out, (uint32_t)size), SIP_OK);
	assert_int_equal(sip_msg_has(&after, SIP_HEADER_ROUTE), left != 0);
	assert_int_equal(after.header_count, msg->header_count - (left == 0));
	if (left == 0)
		return;
	list = sip_msg_value(&after, SIP_HEADER_ROUTE);
	have = values_of(out, list, got, 8);
	for (unsigned i = 0; i < n; i++)
		if (left >> i & 1) {
			assert_true(k < have);
			input_expect("value", str_of(out, (size_t)size), out, got[k++],
				strndupa(buf + value[i].off, value[i].len));
		}
	assert_int_equal(k, have);
	if (strays)
		return;
	/* The address parser takes no comma too many. */
	for (struct sip_address a = {.next = list.off}; a.next != 0;) {
		struct sip_span rest = {a.next, list.off + list.len - a.next};

		assert_int_equal(sip_address_parse(out, rest, &a), 0);
		k--;
	}
	assert_int_equal(k, 0);
}

/* Of each list, every subset of values goes, in every order: the others stay, whole, and none is an
 * empty line. */
static void delete_in_every_order(const char *buf, struct sip_msg *msg,
	const struct sip_span *value, unsigned n, unsigned left, bool strays)
{
	const struct sip_header *h = sip_msg_header(msg, SIP_HEADER_ROUTE, 0);
	struct sip_edits saved = edits;

	expect_left(buf, msg, value, n, left, strays);
	for (unsigned i = 0; i < n; i++) {
		if ((left >> i & 1) == 0)
			continue;
		assert_int_equal(sip_edit_delete_value(&edits, msg, buf, h, value[i]), 0);
		delete_in_every_order(buf, msg, value, n, left & ~(1u << i), strays);
		edits = saved;
	}
}

static void test_values_go_in_every_order(void **state)
{
	static struct sip_msg msg;

	for (unsigned i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		char text[1024];
		struct sip_span value[8];
		char *buf;
		int len = snprintf(text, sizeof(text), "%s%s%s", HEAD, lists[i].line, TAIL);

		buf = input_copy(str_of(text, (size_t)len));
		assert_int_equal(sip_msg_index(&msg, buf, (uint32_t)len), SIP_OK);
		sip_edits_reset(&edits);
		assert_int_equal(values_of(buf, sip_msg_value(&msg, SIP_HEADER_ROUTE), value, 8),
			lists[i].values);
		delete_in_every_order(buf, &msg, value, lists[i].values,
			(1u << lists[i].values) - 1, lists[i].strays);
		free(buf);
	}
}

static void test_a_span_that_is_no_value_is_refused(void **state)
{
	static struct sip_msg msg;
	const char text[] = HEAD "Route: <sip:a>, <sip:b>" TAIL;
	struct sip_span value;

	assert_int_equal(sip_msg_index(&msg, text, sizeof(text) - 1), SIP_OK);
	value = sip_msg_value(&msg, SIP_HEADER_ROUTE);
	value.off++;
	assert_int_equal(sip_edit_delete_value(&edits, &msg, text,
				 sip_msg_header(&msg, SIP_HEADER_ROUTE, 0), value),
		-EINVAL);
	assert_int_equal(edits.count, 0);
	assert_false(edits.overflow);
}

static void test_a_list_without_end_is_bounded(void **state)
{
	static struct sip_msg msg;
	static char text[8192];
	struct sip_span value, list;
	uint32_t at = 0, len;
	unsigned n = 0;

	len = (uint32_t)snprintf(text, sizeof(text), "%sRoute: <sip:a>", HEAD);
	for (unsigned i = 0; i < 1000; i++)
		len += (uint32_t)snprintf(text + len, sizeof(text) - len, ",a");
	len += (uint32_t)snprintf(text + len, sizeof(text) - len, "%s", TAIL);
	assert_int_equal(sip_msg_index(&msg, text, len), SIP_OK);
	list = sip_msg_value(&msg, SIP_HEADER_ROUTE);
	while (n++ <= SIP_VALUES_MAX)
		assert_true(sip_list_next(text, list, &at, &value));
	assert_int_equal(sip_edit_delete_value(&edits, &msg, text,
				 sip_msg_header(&msg, SIP_HEADER_ROUTE, 0), value),
		-ENOSPC);
	assert_true(edits.overflow);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_random_edits_give_what_the_reference_gives, reset),
		cmocka_unit_test_setup(test_no_edit_copies, reset),
		cmocka_unit_test_setup(test_inserts_at_one_offset_go_by_rank_then_arrival, reset),
		cmocka_unit_test_setup(
			test_a_replacement_stands_behind_inserts_at_its_offset, reset),
		cmocka_unit_test_setup(test_overlapping_deletes_are_one, reset),
		cmocka_unit_test_setup(test_a_delete_takes_what_lies_strictly_inside, reset),
		cmocka_unit_test_setup(test_the_last_replacement_of_the_same_bytes_counts, reset),
		cmocka_unit_test_setup(test_parts_are_joined, reset),
		cmocka_unit_test_setup(test_what_lies_past_the_end_is_at_the_end, reset),
		cmocka_unit_test_setup(test_overflow_sticks, reset),
		cmocka_unit_test_setup(test_an_edit_of_nothing_costs_nothing, reset),
		cmocka_unit_test_setup(test_values_go_in_every_order, reset),
		cmocka_unit_test_setup(test_a_span_that_is_no_value_is_refused, reset),
		cmocka_unit_test_setup(test_a_list_without_end_is_bounded, reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
