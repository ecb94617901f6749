/* SPDX-License-Identifier: BSD-3-Clause */
#include "net/slot.h"

#define EXPIRE_MAX 32 /* datagrams a call of net_reassembler_expire() */

uint64_t net_reassembler_held(const struct net_reassembler *r)
{
	return r->held;
}

/* ---- units ---- */

static bool test_bit(const uint64_t *map, uint32_t i)
{
	return (map[i / 64] >> (i % 64) & 1) != 0;
}

/* How many of the units [first, last] have come. */
static uint32_t count_units(const struct slot *s, uint32_t first, uint32_t last)
{
	uint32_t n = 0;

	for (uint32_t w = first / 64; w <= last / 64; w++) {
		uint64_t mask = UINT64_MAX;

		if (w == first / 64)
			mask &= UINT64_MAX << (first % 64);
		if (w == last / 64)
			mask &= UINT64_MAX >> (63 - last % 64);
		n += (uint32_t)__builtin_popcountll(s->have[w] & mask);
	}
	return n;
}

static void set_units(struct slot *s, uint32_t first, uint32_t last)
{
	for (uint32_t w = first / 64; w <= last / 64; w++) {
		uint64_t mask = UINT64_MAX;

		if (w == first / 64)
			mask &= UINT64_MAX << (first % 64);
		if (w == last / 64)
			mask &= UINT64_MAX >> (63 - last % 64);
		s->have[w] |= mask;
	}
	s->start[first / 64] |= 1ULL << (first % 64);
	s->units += last - first + 1;
}

/* Bytes from `off` that lie in one block, at most len. */
static uint32_t run_length(uint32_t off, uint32_t len)
{
	uint32_t room = BLOCK - off % BLOCK;

	return len < room ? len : room;
}

static uint8_t *byte_at(const struct net_reassembler *r, const struct slot *s, uint32_t off)
{
	return r->block + (size_t)s->block[off / BLOCK] * BLOCK + off % BLOCK;
}

/*
 * RFC 8200 4.5 lets a fragment that the network has doubled pass: the same bounds, the same bytes.
 * All its units have come, as the caller knows.
 */
static bool is_duplicate(const struct net_reassembler *r, const struct slot *s, const uint8_t *p,
	const struct net_frame *f)
{
	uint32_t first = f->frag_off / UNIT, end = f->frag_off + f->l4_len;
	uint32_t next = (end + UNIT - 1) / UNIT;

	if (!test_bit(s->start, first))
		return false;
	for (uint32_t u = first + 1; u < next; u++)
		if (test_bit(s->start, u))
			return false;
	if (f->frag_more != (end != s->length) || end > s->length)
		return false;
	if (next < UNITS_MAX && test_bit(s->have, next) && !test_bit(s->start, next))
		return false;
	for (uint32_t off = f->frag_off; off < end;) {
		uint32_t n = run_length(off, end - off);

		if (memcmp(byte_at(r, s, off), p, n) != 0)
			return false;
		off += n;
		p += n;
	}
	return true;
}

/* ---- one fragment ---- */

/*
 * What RFC 791 and RFC 8200 4.5 ask of one fragment beside those that have come. HELD: it may be
 * stored.
 */
static enum net_reassembly judge(const struct net_reassembler *r, const struct slot *s,
	const uint8_t *data, const struct net_frame *f)
{
	uint32_t end = f->frag_off + f->l4_len, units;

	/* net_frame_parse() refuses these already; here they would break the maps. */
	if (f->l4_len == 0 || f->frag_off % UNIT != 0 || (f->frag_more && f->l4_len % UNIT != 0))
		return NET_REASSEMBLY_BAD;
	if (f->frag_off > WIRE_IP_MAX || f->l4_len > WIRE_IP_MAX - f->frag_off)
		return NET_REASSEMBLY_TOO_BIG;
	units = count_units(s, f->frag_off / UNIT, (end - 1) / UNIT);
	if (units != 0) {
		if (units == (end - 1) / UNIT - f->frag_off / UNIT + 1 &&
			is_duplicate(r, s, data + f->l4_off, f))
			return NET_REASSEMBLY_DUPLICATE;
		return NET_REASSEMBLY_OVERLAP;
	}
	/* Two ends, or data behind the end. */
	if (s->length != NONE && (!f->frag_more || end > s->length))
		return NET_REASSEMBLY_BAD;
	if (!f->frag_more && s->end > end)
		return NET_REASSEMBLY_BAD;
	if (f->frag_off == 0 && f->l4_off - f->l3_off > HEADER_MAX)
		return NET_REASSEMBLY_BAD;
	return NET_REASSEMBLY_HELD;
}

static void store(
	struct net_reassembler *r, struct slot *s, const uint8_t *data, const struct net_frame *f)
{
	const uint8_t *p = data + f->l4_off;
	uint32_t end = f->frag_off + f->l4_len;

	for (uint32_t off = f->frag_off; off < end;) {
		uint32_t n = run_length(off, end - off);

		memcpy(byte_at(r, s, off), p, n);
		off += n;
		p += n;
	}
	set_units(s, f->frag_off / UNIT, (end - 1) / UNIT);
	if (end > s->end)
		s->end = end;
	if (!f->frag_more)
		s->length = end;
	if (f->frag_off == 0) {
		/*
		 * IPv6: all in front of the fragment header (RFC 8200 4.5, "unfragmentable part").
		 *
		 */
		s->header_len = f->l4_off - f->l3_off;
		if (f->family == 6)
			s->header_len -= WIRE_IPV6_FRAGMENT_LEN;
		memcpy(s->header, data + f->l3_off, s->header_len);
		s->header_next = f->frag_next_off - f->l3_off;
		s->header_protocol = f->protocol;
	}
	s->frames++;
	r->held++;
}

/* Writes the header of what is whole: lengths, no fragment fields, IPv4's checksum. */
static void finish_header(const struct slot *s, uint8_t *out)
{
	uint16_t sum;

	memcpy(out, s->header, s->header_len);
	if (s->src.family == 6) {
		wire_put16(out + 4, s->header_len - NET_IPV6_LEN + s->length);
		out[s->header_next] = s->header_protocol;
		return;
	}
	wire_put16(out + 2, s->header_len + s->length);
	wire_put16(out + 6, 0);
	out[10] = out[11] = 0;
	sum = net_checksum_fold(net_checksum_add(0, out, s->header_len));
	memcpy(out + 10, &sum, 2);
}

/* The first fragment's own headers may make the sum exceed what no single fragment did. */
static bool is_too_big(const struct slot *s)
{
	uint32_t counted = s->header_len;

	if (s->header_len == 0 || s->length == NONE)
		return false;
	if (s->src.family == 6)
		counted -= NET_IPV6_LEN;
	return counted + s->length > WIRE_IP_MAX;
}

static void assemble(struct net_reassembler *r, const struct slot *s, struct net_reassembled *out)
{
	finish_header(s, r->packet);
	for (uint32_t off = 0; off < s->length;) {
		uint32_t n = run_length(off, s->length - off);

		memcpy(r->packet + s->header_len + off, byte_at(r, s, off), n);
		off += n;
	}
	out->packet = r->packet;
	out->len = s->header_len + s->length;
}

/* Ends a datagram, this frame included in the count. */
static enum net_reassembly drop_all(
	struct net_reassembler *r, uint32_t i, enum net_reassembly why, struct net_reassembled *out)
{
	out->frames = slot_drop(r, i) + 1;
	return why;
}

enum net_reassembly net_reassemble(struct net_reassembler *r, const uint8_t *data,
	const struct net_frame *frame, uint64_t now, struct net_reassembled *out)
{
	uint32_t bucket = (uint32_t)slot_hash(&r->key, frame) & r->mask;
	uint32_t i = slot_find(r, bucket, frame);
	enum net_reassembly verdict;
	struct slot *s;

	*out = (struct net_reassembled){0};
	if (i != NONE && now - r->slot[i].began >= r->config.timeout_ns) {
		out->evicted += slot_drop(r, i);
		i = NONE;
	}
	if (i == NONE)
		i = slot_take(r, bucket, frame, now, &out->evicted);
	s = &r->slot[i];
	verdict = judge(r, s, data, frame);
	if (verdict == NET_REASSEMBLY_DUPLICATE) {
		out->frames = 1;
		return verdict;
	}
	if (verdict != NET_REASSEMBLY_HELD)
		return drop_all(r, i, verdict, out);
	if (!slot_take_blocks(r, i, frame->frag_off, frame->l4_len, &out->evicted))
		return drop_all(r, i, NET_REASSEMBLY_FULL, out);
	store(r, s, data, frame);
	if (is_too_big(s)) {
		out->frames = slot_drop(r, i);
		return NET_REASSEMBLY_TOO_BIG;
	}
	if (s->header_len == 0 || s->length == NONE || s->units != (s->length + UNIT - 1) / UNIT)
		return NET_REASSEMBLY_HELD;
	assemble(r, s, out);
	out->frames = slot_drop(r, i);
	return NET_REASSEMBLY_WHOLE;
}

uint32_t net_reassembler_expire(struct net_reassembler *r, uint64_t now)
{
	uint32_t dropped = 0;

	for (unsigned n = 0; n < EXPIRE_MAX && r->oldest != NONE; n++) {
		if (now - r->slot[r->oldest].began < r->config.timeout_ns)
			break;
		dropped += slot_drop(r, r->oldest);
	}
	return dropped;
}
