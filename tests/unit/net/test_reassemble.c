/* SPDX-License-Identifier: BSD-3-Clause */
#include "unit.h"

static const struct hash_key key = {{3, 4}};
static const struct net_reassembler_config roomy = {64, 64, 4 << 20, 2 * CLOCK_NS_PER_S};

/* One fragment as a test writes it. Bytes count up from `fill` by their place in the datagram. */
struct piece {
	uint32_t off, len;
	bool more;
	uint8_t fill;
};

struct from {
	uint8_t family;
	uint32_t src, id;
	uint8_t protocol;  /* IPv4 */
	uint8_t extension; /* IPv6: 8-byte destination options in front of the fragment header */
};

static const struct from v4 = {.family = 4, .src = 1, .id = 77, .protocol = 17};
static const struct from v6 = {.family = 6, .src = 1, .id = 77};

/* The frame's fields as net_frame_parse() would give them, and its bytes: IP packet at 0. */
static uint32_t write_piece(
	const struct from *from, const struct piece *p, uint8_t *out, struct net_frame *f)
{
	uint8_t a[16] = {0x20, 1, 0xd, 0xb8}, b[16] = {0x20, 1, 0xd, 0xb8, [15] = 2};
	uint32_t front;

	*f = (struct net_frame){.kind = NET_FRAGMENT, .family = from->family};
	memset(out, 0, 60);
	if (from->family == 4) {
		front = 20;
		out[0] = 0x45;
		out[9] = from->protocol;
		f->src.addr = net_addr_v4(htobe32(0xc0000000 + from->src));
		f->dst.addr = net_addr_v4(htobe32(0xc0000202));
		memcpy(out + 12, f->src.addr.b, 4);
		memcpy(out + 16, f->dst.addr.b, 4);
		f->protocol = from->protocol;
	} else {
		front = 40 + 8U * from->extension;
		out[0] = 0x60;
		out[6] = from->extension != 0 ? 60 : 44;
		f->frag_next_off = 6;
		for (unsigned i = 0; i < from->extension; i++) {
			f->frag_next_off = 40 + 8 * i;
			out[f->frag_next_off] = i + 1 < from->extension ? 60 : 44;
			/* PadN */
			out[f->frag_next_off + 2] = 1;
			out[f->frag_next_off + 3] = 4;
		}
		out[front] = f->protocol = 17;
		front += 8;
		a[4] = (uint8_t)(from->src >> 8);
		a[7] = (uint8_t)from->src;
		f->src.addr = net_addr_v6(a);
		f->dst.addr = net_addr_v6(b);
		memcpy(out + 8, a, 16);
		memcpy(out + 24, b, 16);
	}
	f->l3_len = front + p->len;
	f->l4_off = front;
	f->l4_len = p->len;
	f->frag_id = from->id;
	f->frag_off = p->off;
	f->frag_more = p->more;
	for (uint32_t i = 0; i < p->len; i++)
		out[front + i] = (uint8_t)(p->fill + (p->off + i) * 7 + ((p->off + i) >> 8));
	return front + p->len;
}

static enum net_reassembly give(struct net_reassembler *r, const struct from *from, struct piece p,
	uint64_t now, struct net_reassembled *out)
{
	static uint8_t buffer[70000];
	struct net_frame f;
	uint32_t len = write_piece(from, &p, buffer, &f);
	struct bytes b = bytes_new(buffer, len);
	enum net_reassembly verdict = net_reassemble(r, b.p, &f, now, out);

	bytes_free(&b);
	return verdict;
}

static struct net_reassembler *create(const struct net_reassembler_config *config)
{
	struct net_reassembler *r = net_reassembler_create(config, &key);

	assert_non_null(r);
	return r;
}

/* A row: fragments in order of arrival, and the verdict on each. */
struct row {
	const char *name;
	struct {
		struct piece piece;
		enum net_reassembly verdict;
	} step[6];
};

#define HELD NET_REASSEMBLY_HELD
#define WHOLE NET_REASSEMBLY_WHOLE
#define DUPLICATE NET_REASSEMBLY_DUPLICATE
#define OVERLAP NET_REASSEMBLY_OVERLAP
#define TOO_BIG NET_REASSEMBLY_TOO_BIG
#define MALFORMED NET_REASSEMBLY_BAD

static const struct row rows[] = {
	{"two", {{{0, 8, true, 0}, HELD}, {{8, 1, false, 0}, WHOLE}}},
	{"last first", {{{8, 5, false, 0}, HELD}, {{0, 8, true, 0}, WHOLE}}},
	{"middle last",
		{{{0, 16, true, 0}, HELD}, {{24, 8, false, 0}, HELD}, {{16, 8, true, 0}, WHOLE}}},
	{"alone and whole", {{{0, 13, false, 0}, WHOLE}}},
	{"first doubled", {{{0, 16, true, 0}, HELD}, {{0, 16, true, 0}, DUPLICATE},
				  {{16, 3, false, 0}, WHOLE}}},
	{"last doubled", {{{16, 3, false, 0}, HELD}, {{16, 3, false, 0}, DUPLICATE},
				 {{0, 16, true, 0}, WHOLE}}},
	{"doubled with other bytes", {{{0, 16, true, 0}, HELD}, {{0, 16, true, 1}, OVERLAP}}},
	{"last doubled with other bytes",
		{{{16, 3, false, 0}, HELD}, {{16, 3, false, 9}, OVERLAP}}},
	/* Same bytes, other bounds: no copy by a network. */
	{"part of one that came", {{{0, 24, true, 0}, HELD}, {{8, 8, true, 0}, OVERLAP}}},
	{"front of one that came", {{{0, 24, true, 0}, HELD}, {{0, 16, true, 0}, OVERLAP}}},
	{"end of one that came", {{{0, 24, true, 0}, HELD}, {{16, 8, true, 0}, OVERLAP}}},
	{"two at once",
		{{{0, 8, true, 0}, HELD}, {{8, 8, true, 0}, HELD}, {{0, 16, true, 0}, OVERLAP}}},
	{"over the front", {{{8, 16, true, 0}, HELD}, {{0, 16, true, 0}, OVERLAP}}},
	{"over the end", {{{0, 16, true, 0}, HELD}, {{8, 16, true, 0}, OVERLAP}}},
	{"around", {{{8, 8, true, 0}, HELD}, {{0, 24, true, 0}, OVERLAP}}},
	{"a middle that is the last, too", {{{8, 8, true, 0}, HELD}, {{8, 8, false, 0}, OVERLAP}}},
	{"a last that is a middle, too", {{{8, 8, false, 0}, HELD}, {{8, 8, true, 0}, OVERLAP}}},
	{"a last shorter than a last", {{{8, 7, false, 0}, HELD}, {{8, 5, false, 0}, OVERLAP}}},
	{"a middle in the last one's last unit",
		{{{8, 5, false, 0}, HELD}, {{8, 8, true, 0}, OVERLAP}}},
	{"two ends", {{{16, 8, false, 0}, HELD}, {{8, 8, false, 0}, MALFORMED}}},
	{"a later end", {{{16, 8, false, 0}, HELD}, {{24, 8, false, 0}, MALFORMED}}},
	{"data behind the end", {{{16, 8, false, 0}, HELD}, {{24, 8, true, 0}, MALFORMED}}},
	{"an end before data", {{{24, 8, true, 0}, HELD}, {{16, 8, false, 0}, MALFORMED}}},
	{"empty", {{{0, 8, true, 0}, HELD}, {{8, 0, true, 0}, MALFORMED}}},
	{"7 bytes and more", {{{8, 8, true, 0}, HELD}, {{0, 7, true, 0}, MALFORMED}}},
	{"offset 4", {{{8, 8, true, 0}, HELD}, {{4, 8, false, 0}, MALFORMED}}},
	{"past 65,535", {{{0, 8, true, 0}, HELD}, {{65528, 8, false, 0}, TOO_BIG}}},
	{"far past 65,535", {{{0, 8, true, 0}, HELD}, {{0xfffffff8, 16, true, 0}, TOO_BIG}}},
	/* <0,100>, <96,100>, <200,0>, <200,100> is known to have crashed others. */
	{"known crash", {{{0, 96, true, 0}, HELD}, {{88, 104, true, 0}, OVERLAP},
				{{200, 0, true, 0}, MALFORMED}, {{200, 100, false, 0}, HELD}}},
};

static void run_row(const struct row *row, const struct from *from)
{
	struct net_reassembler *r = create(&roomy);
	uint64_t in = 0, out_frames = 0;

	for (unsigned i = 0; i < COUNT(row->step) && (i == 0 || row->step[i].piece.len != 0 ||
							     row->step[i].verdict != HELD);
		i++) {
		struct net_reassembled out;
		enum net_reassembly verdict = give(r, from, row->step[i].piece, 0, &out);

		in++;
		out_frames += out.frames + out.evicted;
		if (verdict != row->step[i].verdict)
			fail_msg("\"%s\", IPv%u, fragment %u: %d, not %d", row->name, from->family,
				i, verdict, row->step[i].verdict);
		assert_int_equal(in, out_frames + net_reassembler_held(r));
		if (verdict == OVERLAP || verdict == TOO_BIG || verdict == MALFORMED)
			assert_int_equal(net_reassembler_held(r), 0);
	}
	net_reassembler_destroy(r);
}

static void test_each_order_of_fragments_has_its_verdict(void **state)
{
	for (unsigned i = 0; i < COUNT(rows); i++) {
		run_row(&rows[i], &v4);
		run_row(&rows[i], &v6);
	}
}

/* A middle that differs from the last only in bytes that the last never had is no copy of it. */
static void test_what_never_came_is_not_compared(void **state)
{
	struct net_reassembler *r = create(&roomy);
	uint8_t buffer[200];
	struct net_reassembled out;
	struct net_frame f;

	assert_int_equal(give(r, &v4, (struct piece){8, 5, false, 0}, 0, &out), HELD);
	write_piece(&v4, &(struct piece){8, 8, true, 0}, buffer, &f);
	/* What lies behind the last in fresh memory. */
	memset(buffer + f.l4_off + 5, 0, 3);
	assert_int_equal(net_reassemble(r, buffer, &f, 0, &out), OVERLAP);
	assert_int_equal(out.frames, 2);
	net_reassembler_destroy(r);
}

static void test_keys_keep_datagrams_apart(void **state)
{
	static const struct {
		struct from a, b;
		bool same;
	} cases[] = {
		{{4, 1, 7, 17, 0}, {4, 1, 7, 17, 0}, true},
		{{4, 1, 7, 17, 0}, {4, 2, 7, 17, 0}, false},
		{{4, 1, 7, 17, 0}, {4, 1, 8, 17, 0}, false},
		{{4, 1, 7, 17, 0}, {4, 1, 7, 6, 0}, false},
		{{6, 1, 7, 0, 0}, {6, 1, 7, 0, 0}, true},
		{{6, 1, 7, 0, 0}, {6, 1, 0x10007, 0, 0}, false},
		{{6, 1, 7, 0, 0}, {4, 1, 7, 17, 0}, false},
		/* An address and an id of 0 are an address and an id. */
		{{4, 0x40000000, 0, 17, 0}, {4, 0x40000000, 0, 17, 0}, true},
	};

	for (unsigned i = 0; i < COUNT(cases); i++) {
		struct net_reassembler *r = create(&roomy);
		struct net_reassembled out;
		struct piece first = {0, 8, true, 0}, last = {8, 8, false, 0};

		assert_int_equal(give(r, &cases[i].a, first, 0, &out), HELD);
		assert_int_equal(give(r, &cases[i].b, last, 0, &out), cases[i].same ? WHOLE : HELD);
		net_reassembler_destroy(r);
	}
}

/* RFC 8200 4.5: the next header is the first fragment's, whatever the others name. */
static void test_ipv6_fragments_may_name_other_next_headers(void **state)
{
	struct net_reassembler *r = create(&roomy);
	uint8_t buffer[200];
	struct net_frame f;
	struct net_reassembled out;
	struct piece first = {0, 8, true, 0}, last = {8, 8, false, 0};

	write_piece(&v6, &last, buffer, &f);
	f.protocol = buffer[40] = 60;
	assert_int_equal(net_reassemble(r, buffer, &f, 0, &out), HELD);
	assert_int_equal(give(r, &v6, first, 0, &out), WHOLE);
	assert_int_equal(out.packet[6], 17);
	assert_int_equal(out.len, 40 + 16);
	net_reassembler_destroy(r);
}

/*
 * The first one's headers in front of the fragment header stay, those of the others do not count.
 *
 */
static void test_ipv6_extension_headers_are_those_of_the_first(void **state)
{
	struct from with = v6, more = v6;
	struct net_reassembler *r = create(&roomy);
	struct net_reassembled out;

	with.extension = 2;
	more.extension = 5;
	assert_int_equal(give(r, &more, (struct piece){8, 8, false, 0}, 0, &out), HELD);
	assert_int_equal(give(r, &with, (struct piece){0, 8, true, 0}, 0, &out), WHOLE);
	assert_int_equal(out.len, 40 + 16 + 16);
	assert_int_equal(out.packet[4] << 8 | out.packet[5], 16 + 16);
	assert_int_equal(out.packet[6], 60);
	assert_int_equal(out.packet[40], 60);
	assert_int_equal(out.packet[48], 17);
	net_reassembler_destroy(r);
}

/*
 * As one packet it would exceed 65,535 although no fragment did: 65,532 of data behind 8 of
 * options.
 */
static void test_the_firsts_headers_count_for_the_size(void **state)
{
	struct net_reassembler *r = create(&roomy);
	struct from with = v6;
	struct net_reassembled out;

	for (unsigned extension = 0; extension < 2; extension++) {
		with.extension = (uint8_t)extension;
		assert_int_equal(
			give(r, &v6, (struct piece){32768, 32764, false, 0}, 0, &out), HELD);
		assert_int_equal(give(r, &with, (struct piece){0, 32768, true, 0}, 0, &out),
			extension == 0 ? WHOLE : TOO_BIG);
		assert_int_equal(out.frames, 2);
		assert_int_equal(net_reassembler_held(r), 0);
	}
	/* More headers than are kept. */
	with.extension = 28;
	assert_int_equal(give(r, &v6, (struct piece){8, 8, false, 0}, 0, &out), HELD);
	uint8_t buffer[600] = {0x60};
	struct net_frame f = {.kind = NET_FRAGMENT,
		.family = 6,
		.l4_off = 300,
		.l4_len = 8,
		.l3_len = 308,
		.frag_id = v6.id,
		.frag_more = true,
		.frag_next_off = 40};
	struct net_frame other;

	write_piece(&v6, &(struct piece){0, 8, true, 0}, buffer + 310, &other);
	f.src = other.src;
	f.dst = other.dst;
	assert_int_equal(net_reassemble(r, buffer, &f, 0, &out), MALFORMED);
	assert_int_equal(out.frames, 2);
	net_reassembler_destroy(r);
}

/* As many as a datagram can have: IPv4's header takes room for three. */
static void test_8000_fragments_of_8_bytes_are_one_datagram(void **state)
{
	static uint32_t order[8191];
	uint64_t seed = 29;

	for (unsigned family = 4; family <= 6; family += 2) {
		uint32_t count = family == 4 ? 8189 : 8191, front = family == 4 ? 20 : 40;
		struct net_reassembler *r = create(&roomy);
		struct net_reassembled out;

		for (uint32_t i = 0; i < count; i++)
			order[i] = i;
		for (uint32_t i = count - 1; i > 0; i--) {
			uint32_t j = random_below(&seed, i + 1), t = order[i];

			order[i] = order[j];
			order[j] = t;
		}
		for (uint32_t i = 0; i < count; i++)
			assert_int_equal(
				give(r, family == 4 ? &v4 : &v6,
					(struct piece){order[i] * 8, 8, order[i] + 1 < count, 0}, 0,
					&out),
				i + 1 < count ? HELD : WHOLE);
		assert_int_equal(out.frames, count);
		assert_int_equal(out.len, front + 8 * count);
		for (uint32_t i = 0; i < 8 * count; i++)
			if (out.packet[front + i] != (uint8_t)(i * 7 + (i >> 8)))
				fail_msg("byte %u", i);
		assert_int_equal(net_reassembler_held(r), 0);
		net_reassembler_destroy(r);
	}
}

static void test_time_ends_a_datagram_and_expire_is_bounded(void **state)
{
	struct net_reassembler *r = create(&roomy);
	struct net_reassembled out;
	struct from from = v4;

	for (from.id = 0; from.id < 40; from.id++)
		for (uint32_t n = 0; n < 2; n++)
			assert_int_equal(
				give(r, &from, (struct piece){n * 8, 8, true, 0}, from.id, &out),
				HELD);
	assert_int_equal(net_reassembler_held(r), 80);
	assert_int_equal(net_reassembler_expire(r, roomy.timeout_ns - 1), 0);
	assert_int_equal(net_reassembler_expire(r, roomy.timeout_ns + 9), 20);
	assert_int_equal(net_reassembler_held(r), 60);
	/* 32 datagrams a call. */
	assert_int_equal(net_reassembler_expire(r, 2 * roomy.timeout_ns), 60);
	assert_int_equal(net_reassembler_held(r), 0);
	for (from.id = 0; from.id < 40; from.id++)
		give(r, &from, (struct piece){0, 8, true, 0}, 0, &out);
	assert_int_equal(net_reassembler_expire(r, roomy.timeout_ns), 32);
	assert_int_equal(net_reassembler_expire(r, roomy.timeout_ns), 8);
	assert_int_equal(net_reassembler_expire(r, roomy.timeout_ns), 0);
	/*
	 * An id that comes again after the timeout is another datagram, also before expire() is
	 * called.
	 */
	assert_int_equal(give(r, &v4, (struct piece){0, 8, true, 0}, 0, &out), HELD);
	assert_int_equal(
		give(r, &v4, (struct piece){8, 8, false, 0}, roomy.timeout_ns, &out), HELD);
	assert_int_equal(out.evicted, 1);
	assert_int_equal(net_reassembler_held(r), 1);
	net_reassembler_destroy(r);
}

static void test_the_oldest_makes_room_for_the_newest(void **state)
{
	const struct net_reassembler_config config = {4, 4, 1 << 20, CLOCK_NS_PER_S};
	struct net_reassembler *r = create(&config);
	struct net_reassembled out;
	struct from from = v4;

	for (from.src = 0; from.src < 4; from.src++)
		assert_int_equal(give(r, &from, (struct piece){0, 8, true, 0}, 0, &out), HELD);
	assert_int_equal(give(r, &from, (struct piece){0, 8, true, 0}, 0, &out), HELD);
	assert_int_equal(out.evicted, 1);
	assert_int_equal(net_reassembler_held(r), 4);
	/* Source 0 is gone, source 1 has its first half still. */
	from.src = 1;
	assert_int_equal(give(r, &from, (struct piece){8, 8, false, 0}, 0, &out), WHOLE);
	from.src = 0;
	assert_int_equal(give(r, &from, (struct piece){8, 8, false, 0}, 0, &out), HELD);
	assert_int_equal(out.evicted, 0);
	net_reassembler_destroy(r);
}

static void test_a_greedy_source_loses_only_its_own(void **state)
{
	const struct net_reassembler_config config = {64, 3, 1 << 20, CLOCK_NS_PER_S};

	for (unsigned family = 4; family <= 6; family += 2) {
		struct net_reassembler *r = create(&config);
		struct from honest = family == 4 ? v4 : v6, greedy = honest;
		struct net_reassembled out;

		honest.src = 2;
		assert_int_equal(give(r, &honest, (struct piece){0, 8, true, 0}, 0, &out), HELD);
		for (greedy.id = 0; greedy.id < 1000; greedy.id++) {
			assert_int_equal(
				give(r, &greedy, (struct piece){0, 8, true, 0}, 0, &out), HELD);
			assert_int_equal(out.evicted, greedy.id >= 3);
			assert_true(net_reassembler_held(r) <= 4);
		}
		assert_int_equal(give(r, &honest, (struct piece){8, 8, false, 0}, 0, &out), WHOLE);
		net_reassembler_destroy(r);
	}
}

/* An IPv6 host owns a /64: all of it is one source. */
static void test_an_ipv6_source_is_its_64(void **state)
{
	const struct net_reassembler_config config = {64, 2, 1 << 20, CLOCK_NS_PER_S};
	struct net_reassembler *r = create(&config);
	uint8_t buffer[200];
	uint64_t seed = 31, evicted = 0;

	for (unsigned i = 0; i < 100; i++) {
		struct net_reassembled out;
		struct net_frame f;

		write_piece(&v6, &(struct piece){0, 8, true, 0}, buffer, &f);
		f.src.addr.q[1] = random_next(&seed);
		assert_int_equal(net_reassemble(r, buffer, &f, 0, &out), HELD);
		evicted += out.evicted;
	}
	assert_int_equal(evicted, 98);
	assert_int_equal(net_reassembler_held(r), 2);
	net_reassembler_destroy(r);
}

static void test_bytes_are_bounded(void **state)
{
	/* Four blocks of 1 KB. */
	const struct net_reassembler_config config = {64, 64, 4096, CLOCK_NS_PER_S};
	struct net_reassembler *r = create(&config);
	struct net_reassembled out;
	struct from from = v4;

	for (from.id = 0; from.id < 4; from.id++) {
		assert_int_equal(give(r, &from, (struct piece){0, 1024, true, 0}, 0, &out), HELD);
		assert_int_equal(out.evicted, 0);
	}
	/* Two blocks cost the two oldest. */
	assert_int_equal(give(r, &from, (struct piece){1016, 16, true, 0}, 0, &out), HELD);
	assert_int_equal(out.evicted, 2);
	assert_int_equal(net_reassembler_held(r), 3);
	/*
	 * All of the rest goes for one that needs it all, and what needs more than there is goes
	 * itself.
	 */
	assert_int_equal(give(r, &from, (struct piece){2048, 2048, true, 0}, 0, &out), HELD);
	assert_int_equal(out.evicted, 2);
	assert_int_equal(net_reassembler_held(r), 2);
	assert_int_equal(
		give(r, &from, (struct piece){4096, 8, true, 0}, 0, &out), NET_REASSEMBLY_FULL);
	assert_int_equal(out.frames, 3);
	assert_int_equal(net_reassembler_held(r), 0);
	/* Nothing leaked. */
	from.id = 100;
	assert_int_equal(give(r, &from, (struct piece){0, 4088, true, 0}, 0, &out), HELD);
	assert_int_equal(give(r, &from, (struct piece){4088, 8, false, 0}, 0, &out), WHOLE);
	net_reassembler_destroy(r);
}

static void test_an_impossible_configuration_is_refused(void **state)
{
	static const struct net_reassembler_config bad[] = {{0, 1, 4096, 1}, {1, 0, 4096, 1},
		{1, 1, 1023, 1}, {NET_REASSEMBLER_DATAGRAMS_MAX + 1, 1, 4096, 1},
		{1, 1, UINT64_MAX, 1}};

	for (unsigned i = 0; i < COUNT(bad); i++) {
		errno = 0;
		assert_null(net_reassembler_create(&bad[i], &key));
		assert_int_equal(errno, EINVAL);
	}
	net_reassembler_destroy(NULL);
}

/*
 * Anything in any order, with bounds that are met all the time: every frame is held, or reported
 * once. At the end all of them are reported, and the memory is all free again.
 */
static void test_no_frame_is_ever_lost_or_counted_twice(void **state)
{
	const struct net_reassembler_config config = {16, 5, 24 * 1024, 1000};
	struct net_reassembler *r = create(&config);
	uint64_t seed = 37, in = 0, left = 0, verdicts[7] = {0};

	for (unsigned round = 0; round < 300000; round++) {
		struct from from = random_below(&seed, 2) == 0 ? v4 : v6;
		struct piece p = {random_below(&seed, 6) * 8, 0, random_below(&seed, 3) != 0, 0};
		struct net_reassembled out;
		enum net_reassembly verdict;

		from.src = random_below(&seed, 8);
		from.id = random_below(&seed, 6);
		from.extension = (uint8_t)random_below(&seed, 2);
		p.len = 8 * (1 + random_below(&seed, 3));
		if (random_below(&seed, 50) == 0)
			p = (struct piece){random_below(&seed, 8192) * 8, random_below(&seed, 9000),
				p.more, 0};
		if (random_below(&seed, 200) == 0)
			p.fill = 1;
		if (random_below(&seed, 500) == 0)
			left += net_reassembler_expire(r, round);
		verdict = give(r, &from, p, round, &out);
		verdicts[verdict]++;
		in++;
		left += out.frames + out.evicted;
		if (in != left + net_reassembler_held(r))
			fail_msg("round %u: %llu in, %llu left, %llu held", round,
				(unsigned long long)in, (unsigned long long)left,
				(unsigned long long)net_reassembler_held(r));
	}
	for (unsigned v = 0; v < COUNT(verdicts); v++)
		if (v != NET_REASSEMBLY_FULL)
			assert_true(verdicts[v] > 0);
	while (net_reassembler_held(r) != 0)
		left += net_reassembler_expire(r, UINT64_MAX);
	assert_int_equal(in, left);
	net_reassembler_destroy(r);
}

static void test_an_owner_owns_all_of_a_datagram(void **state)
{
	uint32_t load[7] = {0};

	for (uint32_t id = 0; id < 7000; id++) {
		struct from from = id % 2 == 0 ? v4 : v6;
		uint8_t buffer[200];
		struct net_frame f;
		uint32_t owner;

		from.id = id;
		write_piece(&from, &(struct piece){0, 8, true, 0}, buffer, &f);
		owner = net_fragment_owner(&key, &f, 7);
		assert_true(owner < 7);
		load[owner]++;
		write_piece(&from, &(struct piece){8, 16, false, 0}, buffer, &f);
		assert_int_equal(net_fragment_owner(&key, &f, 7), owner);
		assert_int_equal(net_fragment_owner(&key, &f, 1), 0);
	}
	for (unsigned i = 0; i < 7; i++)
		assert_in_range(load[i], 850, 1150);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_order_of_fragments_has_its_verdict),
		cmocka_unit_test(test_what_never_came_is_not_compared),
		cmocka_unit_test(test_keys_keep_datagrams_apart),
		cmocka_unit_test(test_ipv6_fragments_may_name_other_next_headers),
		cmocka_unit_test(test_ipv6_extension_headers_are_those_of_the_first),
		cmocka_unit_test(test_the_firsts_headers_count_for_the_size),
		cmocka_unit_test(test_8000_fragments_of_8_bytes_are_one_datagram),
		cmocka_unit_test(test_time_ends_a_datagram_and_expire_is_bounded),
		cmocka_unit_test(test_the_oldest_makes_room_for_the_newest),
		cmocka_unit_test(test_a_greedy_source_loses_only_its_own),
		cmocka_unit_test(test_an_ipv6_source_is_its_64),
		cmocka_unit_test(test_bytes_are_bounded),
		cmocka_unit_test(test_an_impossible_configuration_is_refused),
		cmocka_unit_test(test_no_frame_is_ever_lost_or_counted_twice),
		cmocka_unit_test(test_an_owner_owns_all_of_a_datagram),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
