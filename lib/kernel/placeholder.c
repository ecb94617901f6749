/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kernel/kernel_internal.h"

static socklen_t to_sockaddr(const struct net_endpoint *ep, struct sockaddr_storage *out)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)out;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;

	memset(out, 0, sizeof(*out));
	if (ep->addr.family == 4) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(ep->port);
		memcpy(&v4->sin_addr, ep->addr.b, 4);
		return sizeof(*v4);
	}
	v6->sin6_family = AF_INET6;
	v6->sin6_port = htons(ep->port);
	memcpy(&v6->sin6_addr, ep->addr.b, 16);
	return sizeof(*v6);
}

/* An address that is ours but still tentative (duplicate detection) refuses a plain bind. */
static bool is_ours(const struct kernel *k, const struct net_addr *addr)
{
	for (unsigned i = 0; i < k->mirror.addresses; i++)
		if (k->mirror.address[i].port != KERNEL_FOREIGN &&
			net_addr_equal(&k->mirror.address[i].addr, addr))
			return true;
	return false;
}

int kernel_placeholder_open(struct kernel *k, const struct net_endpoint *ep)
{
	/* Takes nothing: what is for this port goes past the kernel, and what slips in must not
	 * queue up. */
	struct sock_filter drop_all[] = {BPF_STMT(BPF_RET | BPF_K, 0)};
	struct sock_fprog filter = {.len = 1, .filter = drop_all};
	struct sockaddr_storage sa;
	socklen_t len = to_sockaddr(ep, &sa);
	int fd, on = 1, rc = 0;

	for (unsigned i = 0; i < k->placeholders; i++)
		if (net_endpoint_equal(&k->placeholder[i].ep, ep))
			return -EALREADY;
	if (k->placeholders == KERNEL_PLACEHOLDERS_MAX)
		return -ENOSPC;
	fd = socket(sa.ss_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof(filter)) != 0 ||
		(ep->addr.family == 6 &&
			setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) != 0)) {
		rc = -errno;
		goto out;
	}
	if (bind(fd, (struct sockaddr *)&sa, len) == 0)
		goto out;
	rc = -errno;
	if (rc == -EADDRNOTAVAIL && is_ours(k, &ep->addr) &&
		setsockopt(fd, ep->addr.family == 4 ? IPPROTO_IP : IPPROTO_IPV6,
			ep->addr.family == 4 ? IP_FREEBIND : IPV6_FREEBIND, &on, sizeof(on)) == 0)
		rc = bind(fd, (struct sockaddr *)&sa, len) == 0 ? 0 : -errno;
out:
	if (rc != 0) {
		close(fd);
		return rc;
	}
	k->placeholder[k->placeholders++] = (struct kernel_placeholder){.ep = *ep, .fd = fd};
	return 0;
}

void kernel_placeholder_close(struct kernel *k, const struct net_endpoint *ep)
{
	for (unsigned i = 0; i < k->placeholders; i++)
		if (net_endpoint_equal(&k->placeholder[i].ep, ep)) {
			close(k->placeholder[i].fd);
			k->placeholder[i] = k->placeholder[--k->placeholders];
			return;
		}
}
