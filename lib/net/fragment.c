/* SPDX-License-Identifier: BSD-3-Clause */
#include "net/wire.h"

/* Bytes of the datagram that fit in one packet of this MTU; the last fragment may use them all. */
static uint32_t capacity(uint8_t family, uint32_t mtu)
{
	uint32_t floor = family == 6 ? NET_MTU_MIN_IPV6 : NET_MTU_MIN_IPV4;

	if (mtu < floor)
		mtu = floor;
	if (mtu > WIRE_IP_MAX)
		mtu = WIRE_IP_MAX;
	return mtu - (family == 6 ? NET_IPV6_LEN + WIRE_IPV6_FRAGMENT_LEN : NET_IPV4_LEN);
}

bool net_fragment_nth(
	uint8_t family, uint32_t mtu, uint32_t l4_len, uint32_t n, struct net_fragment *out)
{
	uint32_t room = capacity(family, mtu), step = room & ~7U, off;

	if (l4_len == 0 || l4_len > WIRE_IP_MAX - (family == 6 ? 0 : NET_IPV4_LEN) ||
		n > l4_len / step)
		return false;
	off = n * step;
	/* The one before took the rest, or there is none. */
	if (off >= l4_len || (n > 0 && l4_len - (off - step) <= room))
		return false;
	out->off = off;
	out->more = l4_len - off > room;
	out->len = out->more ? step : l4_len - off;
	return true;
}

uint32_t net_fragment_header_length(const struct net_header *h)
{
	return net_header_length(h) - NET_UDP_LEN +
	       (h->dst.addr.family == 6 ? WIRE_IPV6_FRAGMENT_LEN : 0);
}

void net_fragment_header_write(
	const struct net_header *h, const struct net_fragment *f, uint32_t id, uint8_t *out)
{
	uint32_t n = wire_write_ether(h, out);

	if (h->dst.addr.family != 6) {
		wire_write_ipv4(h, f->len, (uint16_t)id,
			(uint16_t)(f->off / 8 | (f->more ? WIRE_IPV4_MORE : 0)), out + n);
		return;
	}
	n += wire_write_ipv6(h, WIRE_IPV6_FRAGMENT_LEN + f->len, WIRE_IPV6_FRAGMENT, out + n);
	out[n] = WIRE_UDP;
	out[n + 1] = 0;
	wire_put16(out + n + 2, f->off | (f->more ? 1 : 0));
	wire_put32(out + n + 4, id);
}
