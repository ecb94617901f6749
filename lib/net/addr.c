/* SPDX-License-Identifier: BSD-3-Clause */
#include "net/net.h"

#include <endian.h>
#include <errno.h>

struct net_addr net_addr_v4(uint32_t network_order)
{
	struct net_addr a = {.family = 4};

	a.v4 = network_order;
	return a;
}

struct net_addr net_addr_v6(const uint8_t bytes[16])
{
	struct net_addr a = {.family = 6};

	memcpy(a.b, bytes, 16);
	return a;
}

int net_addr_compare(const struct net_addr *a, const struct net_addr *b)
{
	if (a->family != b->family)
		return a->family < b->family ? -1 : 1;
	return memcmp(a->b, b->b, sizeof(a->b));
}

/* RFC 3986 3.2.2 dec-octet, four of them: no leading zeros, which some readers take for octal. */
static bool parse_v4(struct str t, uint8_t out[4])
{
	uint32_t i = 0;

	for (unsigned octet = 0; octet < 4; octet++) {
		uint32_t start = i, v = 0;

		if (octet > 0) {
			if (i == t.len || t.s[i] != '.')
				return false;
			start = ++i;
		}
		for (; i < t.len && i < start + 3 && str_is_digit(t.s[i]); i++)
			v = v * 10 + (uint32_t)(t.s[i] - '0');
		if (i == start || v > 255 || (t.s[start] == '0' && i > start + 1))
			return false;
		out[octet] = (uint8_t)v;
	}
	return i == t.len;
}

static int hex_digit(char c)
{
	if (str_is_digit(c))
		return c - '0';
	c = str_lower_char(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/*
 * Behind "::", the third colon that RFC 3261's grammar had before a dotted quad (RFC 5118 4.10:
 * "an implementation must tolerate both of the above constructs").
 */
static uint32_t skip_third_colon(struct str t, uint32_t i)
{
	uint8_t v4[4];

	return i < t.len && t.s[i] == ':' && parse_v4(str_of(t.s + i + 1, t.len - i - 1), v4)
		       ? i + 1
		       : i;
}

/*
 * RFC 4291 2.2 as RFC 5954 corrects RFC 3261's grammar: at most one "::", which stands for at least
 * one group; the last 32 bits may be a dotted quad.
 */
static bool parse_v6(struct str t, uint8_t out[16])
{
	uint8_t group[16];
	unsigned n = 0, gap = 17; /* bytes read; where "::" stood */
	uint32_t i = 0;

	if (t.len >= 2 && t.s[0] == ':' && t.s[1] == ':') {
		gap = 0;
		i = skip_third_colon(t, 2);
	}
	while (i < t.len) {
		uint32_t start = i, v = 0;

		for (; i < t.len && i < start + 4 && hex_digit(t.s[i]) >= 0; i++)
			v = v << 4 | (uint32_t)hex_digit(t.s[i]);
		if (i == start || n > 14)
			return false;
		if (i < t.len && t.s[i] == '.') {
			if (n > 12 || !parse_v4(str_of(t.s + start, t.len - start), group + n))
				return false;
			n += 4;
			break;
		}
		group[n++] = (uint8_t)(v >> 8);
		group[n++] = (uint8_t)v;
		if (i == t.len)
			break;
		if (t.s[i++] != ':' || i == t.len)
			return false;
		if (t.s[i] == ':') {
			if (gap <= 16)
				return false;
			gap = n;
			i = skip_third_colon(t, i + 1);
		}
	}
	if (gap > 16 ? n != 16 : n > 14)
		return false;
	if (gap > 16)
		gap = 16;
	memset(out, 0, 16);
	memcpy(out, group, gap < n ? gap : n);
	if (n > gap)
		memcpy(out + 16 - (n - gap), group + gap, n - gap);
	return true;
}

int net_addr_parse(struct str text, struct net_addr *out)
{
	uint8_t b[16];
	bool bracket = text.len >= 2 && text.s[0] == '[' && text.s[text.len - 1] == ']';

	if (text.len >= NET_ADDR_TEXT_MAX + 2)
		return -EINVAL;
	if (!bracket && parse_v4(text, b)) {
		uint32_t v4;

		memcpy(&v4, b, 4);
		*out = net_addr_v4(v4);
		return 0;
	}
	if (bracket) {
		text.s++;
		text.len -= 2;
	}
	if (!parse_v6(text, b))
		return -EINVAL;
	*out = net_addr_v6(b);
	return 0;
}

/* Whether all bits of the 16 or 4 bytes from `bits` on are 0. */
static bool host_bits_zero(const struct net_addr *a, unsigned bits)
{
	unsigned bytes = a->family == 4 ? 4 : 16;

	for (unsigned i = bits / 8; i < bytes; i++) {
		uint8_t mask = i == bits / 8 ? (uint8_t)(0xff >> (bits % 8)) : 0xff;

		if ((a->b[i] & mask) != 0)
			return false;
	}
	return true;
}

int net_prefix_parse(struct str text, struct net_prefix *out)
{
	int64_t slash = str_find(text, '/');
	struct str host = slash < 0 ? text : str_of(text.s, (size_t)slash);
	struct net_prefix p;
	uint32_t bits;

	if (net_addr_parse(host, &p.addr) != 0)
		return -EINVAL;
	bits = p.addr.family == 4 ? 32 : 128;
	if (slash >= 0) {
		struct str n = str_of(text.s + slash + 1, text.len - (size_t)slash - 1);

		if (str_to_u32(n, bits, &bits) != 0 || (n.s[0] == '0' && n.len > 1))
			return -EINVAL;
	}
	if (!host_bits_zero(&p.addr, bits))
		return -EINVAL;
	p.bits = (uint8_t)bits;
	*out = p;
	return 0;
}

/* An octet in decimal digits with a dot behind it, and how long that is. */
#define DIGIT(n) (char)('0' + (n) % 10)
#define OCTET(n) \
	{ \
		(n) < 10    ? DIGIT(n) \
		: (n) < 100 ? DIGIT((n) / 10) \
			    : DIGIT((n) / 100), \
			(n) < 10    ? '.' \
			: (n) < 100 ? DIGIT(n) \
				    : DIGIT((n) / 10), \
			(n) < 100 ? '.' : DIGIT(n), '.', \
			(n) < 10    ? 2 \
			: (n) < 100 ? 3 \
				    : 4 \
	}
#define OCTET4(n) OCTET(n), OCTET((n) + 1), OCTET((n) + 2), OCTET((n) + 3)
#define OCTET16(n) OCTET4(n), OCTET4((n) + 4), OCTET4((n) + 8), OCTET4((n) + 12)
#define OCTET64(n) OCTET16(n), OCTET16((n) + 16), OCTET16((n) + 32), OCTET16((n) + 48)
static const char octet[256][5] = {OCTET64(0), OCTET64(64), OCTET64(128), OCTET64(192)};

/* Writes 16 bytes, of which the address and a dot are some. */
static unsigned format_v4(const uint8_t b[4], char *out)
{
	unsigned n = 0;

	for (unsigned i = 0; i < 4; i++) {
		memcpy(out + n, octet[b[i]], 4);
		n += (unsigned)octet[b[i]][4];
	}
	return n - 1;
}

static unsigned format_group(unsigned v, char *out)
{
	unsigned n = 0;

	for (int shift = 12; shift >= 0; shift -= 4)
		if (n > 0 || shift == 0 || (v >> shift) != 0)
			out[n++] = "0123456789abcdef"[(v >> shift) & 15];
	return n;
}

/* RFC 5952 4.2: the longest run of two or more zero groups is shortened, the first of equals. */
static unsigned longest_zero_run(const uint16_t group[8], unsigned groups, unsigned *length)
{
	unsigned best = 8, best_length = 1;

	for (unsigned i = 0; i < groups; i++) {
		unsigned n = 0;

		while (i + n < groups && group[i + n] == 0)
			n++;
		if (n > best_length) {
			best = i;
			best_length = n;
		}
		i += n;
	}
	*length = best_length;
	return best;
}

bool net_addr_is_v4_mapped(const struct net_addr *a)
{
	static const uint8_t prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

	return a->family == 6 && memcmp(a->b, prefix, sizeof(prefix)) == 0;
}

static unsigned format_v6(const struct net_addr *a, char *out)
{
	/*
	 * RFC 5952 5: a prefix that is known to hold an IPv4 address is written with a dotted quad.
	 *
	 */
	bool mixed = net_addr_is_v4_mapped(a);
	unsigned groups = mixed ? 6 : 8, n = 0, run, run_length;
	uint16_t group[8];

	for (unsigned i = 0; i < 8; i++)
		group[i] = (uint16_t)(a->b[2 * i] << 8 | a->b[2 * i + 1]);
	run = longest_zero_run(group, groups, &run_length);
	for (unsigned i = 0; i < groups;) {
		if (i == run) {
			out[n++] = ':';
			out[n++] = ':';
			i += run_length;
			continue;
		}
		if (i > 0 && out[n - 1] != ':')
			out[n++] = ':';
		n += format_group(group[i++], out + n);
	}
	if (mixed) {
		out[n++] = ':';
		n += format_v4(a->b + 12, out + n);
	}
	return n;
}

unsigned net_addr_format(const struct net_addr *addr, char *out)
{
	unsigned n = 0;

	if (addr->family == 4)
		n = format_v4(addr->b, out);
	else if (addr->family == 6)
		n = format_v6(addr, out);
	out[n] = '\0';
	return n;
}

unsigned net_endpoint_format(const struct net_endpoint *ep, char *out)
{
	unsigned n = 0;

	if (ep->addr.family == 6)
		out[n++] = '[';
	n += net_addr_format(&ep->addr, out + n);
	if (ep->addr.family == 6)
		out[n++] = ']';
	out[n++] = ':';
	n += str_from_u64(out + n, ep->port);
	out[n] = '\0';
	return n;
}

bool net_prefix_holds(const struct net_prefix *prefix, const struct net_addr *addr)
{
	unsigned whole = prefix->bits / 8, rest = prefix->bits % 8;

	if (prefix->addr.family != addr->family || memcmp(prefix->addr.b, addr->b, whole) != 0)
		return false;
	return rest == 0 || ((prefix->addr.b[whole] ^ addr->b[whole]) >> (8 - rest)) == 0;
}

bool net_addr_is_loopback(const struct net_addr *addr)
{
	if (addr->family == 4)
		return addr->b[0] == 127;
	return addr->family == 6 && addr->q[0] == 0 && addr->q[1] == htobe64(1);
}

bool net_addr_is_multicast(const struct net_addr *addr)
{
	if (addr->family == 4)
		return (addr->b[0] & 0xf0) == 0xe0 || addr->v4 == UINT32_MAX;
	return addr->family == 6 && addr->b[0] == 0xff;
}

bool net_addr_is_unspecified(const struct net_addr *addr)
{
	if (addr->family == 4)
		return addr->b[0] == 0;
	return addr->family == 6 && addr->q[0] == 0 && addr->q[1] == 0;
}

bool net_addr_is_link_local(const struct net_addr *addr)
{
	if (addr->family == 4)
		return addr->b[0] == 169 && addr->b[1] == 254;
	return addr->family == 6 && addr->b[0] == 0xfe && (addr->b[1] & 0xc0) == 0x80;
}
