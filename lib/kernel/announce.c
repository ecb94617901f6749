/* SPDX-License-Identifier: BSD-3-Clause */
#include "kernel/kernel_internal.h"

#define ARP_LEN 28
#define ADVERTISEMENT_LEN 32 /* with the option that holds the MAC */

/* RFC 5227 3: an ARP request in which we ask for ourselves. */
static uint32_t write_arp(const uint8_t mac[6], const struct net_addr *addr, uint8_t *out)
{
	static const uint8_t head[] = {0x08, 0x06, 0, 1, 8, 0, 6, 4, 0, 1};

	memset(out, 0xff, 6);
	memcpy(out + 6, mac, 6);
	memcpy(out + 12, head, sizeof(head));
	memcpy(out + 22, mac, 6);
	memcpy(out + 28, addr->b, 4);
	memset(out + 32, 0, 6);
	memcpy(out + 38, addr->b, 4);
	return NET_ETHER_LEN + ARP_LEN;
}

/* RFC 4861 7.2.6: an unsolicited neighbour advertisement to all nodes, with the override flag. */
static uint32_t write_advertisement(const uint8_t mac[6], const struct net_addr *addr, uint8_t *out)
{
	static const uint8_t group_mac[] = {0x33, 0x33, 0, 0, 0, 1};
	static const uint8_t all_nodes[16] = {0xff, 0x02, [15] = 1};
	static const uint8_t pseudo_tail[] = {0, ADVERTISEMENT_LEN, 0, 58};
	uint8_t *ip = out + NET_ETHER_LEN, *icmp = ip + NET_IPV6_LEN;
	uint64_t sum;
	uint16_t folded;

	memcpy(out, group_mac, 6);
	memcpy(out + 6, mac, 6);
	out[12] = 0x86;
	out[13] = 0xdd;
	memset(ip, 0, NET_IPV6_LEN + ADVERTISEMENT_LEN);
	ip[0] = 0x60;
	ip[5] = ADVERTISEMENT_LEN;
	ip[6] = 58;
	ip[7] = 255;
	memcpy(ip + 8, addr->b, 16);
	memcpy(ip + 24, all_nodes, 16);
	icmp[0] = 136;
	icmp[4] = 0x20;
	memcpy(icmp + 8, addr->b, 16);
	icmp[24] = 2;
	icmp[25] = 1;
	memcpy(icmp + 26, mac, 6);
	sum = net_checksum_add(0, ip + 8, 32);
	sum = net_checksum_add(sum, pseudo_tail, sizeof(pseudo_tail));
	folded = net_checksum_fold(net_checksum_add(sum, icmp, ADVERTISEMENT_LEN));
	memcpy(icmp + 2, &folded, 2);
	return NET_ETHER_LEN + NET_IPV6_LEN + ADVERTISEMENT_LEN;
}

/*
 * The kernel would announce a link that came back, too (arp_notify), but its queue opens only when
 * its link watch has run, up to a second later, and what it sends before is lost.
 */
void kernel_announce(struct kernel *k, uint16_t port)
{
	uint8_t frame[NET_ETHER_LEN + NET_VLAN_LEN + NET_IPV6_LEN + ADVERTISEMENT_LEN];

	for (unsigned n = 0; n < k->interfaces && k->config.transmit != NULL; n++) {
		const struct kernel_interface *i = &k->interface[n];

		for (unsigned a = 0; i->port == port && a < k->mirror.addresses; a++) {
			const struct kernel_address *address = &k->mirror.address[a];
			uint8_t *at = frame + (i->vlan > 0 ? NET_VLAN_LEN : 0);
			uint32_t len;

			if (address->port != port)
				continue;
			len = address->addr.family == 4
				      ? write_arp(i->mac, &address->addr, at)
				      : write_advertisement(i->mac, &address->addr, at);
			k->config.transmit(
				k->config.arg, port, frame, kernel_interface_tag(i, frame, len));
		}
	}
}
