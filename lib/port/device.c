/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <rte_dev.h>
#include <rte_errno.h>

#include "port/port_internal.h"

#define CAP_NET_ADMIN_BIT 12
#define CAP_NET_RAW_BIT 13
#define DEVICE_TEXT_MAX 512
#define TPACKET_RING_BYTES (16u << 20) /* of a queue and direction */

/* Kernel drivers that DPDK's own drivers work with. */
static const char *const pci_drivers[] = {
	"vfio-pci", "uio_pci_generic", "igb_uio", "mlx5_core", "mlx4_core", "mana"};

void port_device_split(const char *device, char *name, size_t name_size, const char **arguments)
{
	size_t n = strcspn(device, ",");

	snprintf(name, name_size, "%.*s", (int)n, device);
	*arguments = device[n] == ',' ? device + n + 1 : device + n;
}

bool port_argument(const char *arguments, const char *key, char *out, size_t size)
{
	size_t len = strlen(key);

	while (*arguments != '\0') {
		size_t n = strcspn(arguments, ",");

		if (n > len && strncmp(arguments, key, len) == 0 && arguments[len] == '=') {
			snprintf(out, size, "%.*s", (int)(n - len - 1), arguments + len + 1);
			return true;
		}
		arguments += n;
		arguments += *arguments == ',';
	}
	return false;
}

bool port_device_is_pci(const char *device)
{
	unsigned a, b, c, d;
	int n = 0;

	if (strncmp(device, "pci:", 4) == 0)
		device += 4;
	if (sscanf(device, "%4x:%2x:%2x.%1x%n", &a, &b, &c, &d, &n) == 4 && n >= 12 &&
		(device[n] == '\0' || device[n] == ','))
		return true;
	n = 0;
	return sscanf(device, "%2x:%2x.%1x%n", &b, &c, &d, &n) == 3 && n >= 7 &&
	       (device[n] == '\0' || device[n] == ',');
}

int port_pci_check(const char *sysfs, const char *address, char *error, size_t error_size)
{
	char path[PATH_MAX], target[PATH_MAX];
	const char *driver;
	ssize_t n;

	snprintf(path, sizeof(path), "%s/%s", sysfs, address);
	if (access(path, F_OK) != 0)
		return port_fail(error, error_size, ENODEV,
			"there is no PCI device %s\n         see which there are:  "
			"drivers-config/bind --list",
			address);
	snprintf(path, sizeof(path), "%s/%s/driver", sysfs, address);
	n = readlink(path, target, sizeof(target) - 1);
	if (n < 0)
		return port_fail(error, error_size, ENXIO,
			"device %s is bound to no driver\n         bind it:  drivers-config/bind "
			"vfio-pci %s      "
			"(what it would do: --dry-run)",
			address, address);
	target[n] = '\0';
	driver = basename(target);
	for (size_t i = 0; i < RTE_DIM(pci_drivers); i++)
		if (strcmp(driver, pci_drivers[i]) == 0)
			return 0;
	return port_fail(error, error_size, EBUSY,
		"device %s is bound to the kernel driver '%s', not to vfio-pci\n         bind it:  "
		"drivers-config/bind vfio-pci %s      (what it would do: --dry-run)",
		address, driver, address);
}

static bool has_capability(unsigned bit)
{
	unsigned long long caps = 0;
	char line[128];
	FILE *f = fopen("/proc/self/status", "re");

	if (f == NULL)
		return true;
	while (fgets(line, sizeof(line), f) != NULL)
		if (sscanf(line, "CapEff: %llx", &caps) == 1)
			break;
	fclose(f);
	return (caps >> bit & 1) != 0;
}

static int check_netdev(const struct port_profile *profile, const char *device,
	const char *arguments, char *error, size_t error_size)
{
	char iface[64];

	if (profile->netdev == PORT_NETDEV_NONE)
		return 0;
	if (!has_capability(CAP_NET_ADMIN_BIT) || !has_capability(CAP_NET_RAW_BIT))
		return port_fail(error, error_size, EPERM,
			"no permission for device %s: CAP_NET_ADMIN and CAP_NET_RAW are needed\n   "
			"      "
			"run as root, or:  setcap cap_net_admin,cap_net_raw+ep $(command -v "
			"siplane)",
			device);
	if (profile->netdev == PORT_NETDEV_PEER) {
		if (access("/dev/net/tun", R_OK | W_OK) != 0)
			return port_fail(error, error_size, errno,
				"/dev/net/tun: %s\n         load it:  modprobe tun",
				strerror(errno));
		return 0;
	}
	if (!port_argument(arguments, "iface", iface, sizeof(iface)))
		return port_fail(error, error_size, EINVAL,
			"device %s names no interface: write %s,iface=NAME", device, device);
	if (strlen(iface) >= IF_NAMESIZE || if_nametoindex(iface) == 0)
		return port_fail(error, error_size, ENODEV,
			"device %s: there is no interface '%s' in this network namespace\n         "
			"see which there "
			"are:  ip -br link",
			device, iface);
	return 0;
}

/* What is neither known to DPDK nor a PCI address is explained as what it probably is. */
static int unknown_device(const char *device, char *error, size_t error_size)
{
	char name[64];
	const char *rest;

	port_device_split(device, name, sizeof(name), &rest);
	if (strlen(name) < IF_NAMESIZE && if_nametoindex(name) != 0)
		return port_fail(error, error_size, ENODEV,
			"'%s' is a kernel interface: write \"net_af_packet0,iface=%s\" or "
			"\"net_af_xdp0,iface=%s\", "
			"or its PCI address (drivers-config/bind --list)",
			name, name, name);
	return port_fail(error, error_size, ENODEV,
		"there is no device '%s': a PCI address (0000:3b:00.0) or a DPDK device (net_tap0, "
		"net_af_packet0, net_af_xdp0, net_memif0, net_ring0, net_pcap0) is expected%s",
		name, port_dpdk_said());
}

static int probe_pci(const char *device, uint16_t *id, char *error, size_t error_size)
{
	char address[64];
	const char *rest;
	int rc;

	if (strncmp(device, "pci:", 4) == 0)
		device += 4;
	port_device_split(device, address, sizeof(address), &rest);
	if (strlen(address) == 7) { /* without its domain */
		char full[64];

		snprintf(full, sizeof(full), "0000:%.7s", address);
		memcpy(address, full, sizeof(full));
	}
	rc = port_pci_check(PORT_SYSFS_PCI, address, error, error_size);
	if (rc != 0)
		return rc;
	if (rte_eth_dev_get_port_by_name(address, id) == 0)
		return 0;
	rc = rte_dev_probe(device);
	if (rc == 0)
		rc = rte_eth_dev_get_port_by_name(address, id);
	if (rc == 0)
		return 0;
	if (access("/dev/vfio/vfio", R_OK | W_OK) != 0)
		return port_fail(error, error_size, EACCES,
			"device %s: no permission for /dev/vfio/vfio: run as root, or give your "
			"user the group's "
			"file: drivers-config/bind --owner USER vfio-pci %s",
			address, address);
	return port_fail(error, error_size, ENODEV,
		"DPDK has no driver for device %s, or it does not start%s", address,
		port_dpdk_said());
}

/* The device string with the profile's arguments that the configuration does not give itself. */
static int complete(const struct port_config *config, const struct port_profile *profile,
	uint16_t queues, char *out, size_t size)
{
	char name[64], key[64], value[64];
	const char *given, *rest = profile->arguments;
	unsigned room = rte_pktmbuf_data_room_size(config->pool) - RTE_PKTMBUF_HEADROOM;
	size_t at;

	port_device_split(config->device, name, sizeof(name), &given);
	/* "net_tap" without a number: one of its own, so that two ports can say the same. */
	if (!str_is_digit(name[strlen(name) - 1])) {
		static unsigned unique = 100;

		at = strlen(name);
		snprintf(name + at, sizeof(name) - at, "%u", unique++);
	}
	at = (size_t)snprintf(out, size, "%s%s%s", name, *given != '\0' ? "," : "", given);
	while (*rest != '\0' && at < size) {
		size_t n = strcspn(rest, ",");

		snprintf(key, sizeof(key), "%.*s", (int)strcspn(rest, "="), rest);
		if (!port_argument(given, key, value, sizeof(value)))
			at += (size_t)snprintf(out + at, size - at, ",%.*s", (int)n, rest);
		rest += n;
		rest += *rest == ',';
	}
	if (profile->queue_argument[0] != '\0' && at < size &&
		!port_argument(given, profile->queue_argument, value, sizeof(value)))
		at += (size_t)snprintf(
			out + at, size - at, ",%s=%u", profile->queue_argument, queues);
	if ((profile->quirks & PORT_QUIRK_TPACKET_FRAMES) != 0 && at < size &&
		!port_argument(given, "framesz", value, sizeof(value))) {
		/*
		 * The kernel reassembles IPv4 fragments before it fans out (the driver asks for it
		 * and cannot be told not to), and cuts what exceeds a frame: so frames are as large
		 * as the pool's mbufs hold, plus the 32 bytes of header that are not copied. The
		 * driver wants blocks of whole frames and the kernel blocks of whole pages: 16
		 * frames of a multiple of 256 bytes are both.
		 */
		unsigned frame = RTE_ALIGN_FLOOR(room + 32, 256),
			 count = TPACKET_RING_BYTES / frame;

		count = count < 256 ? 256 : count > 4096 ? 4096 : RTE_ALIGN_FLOOR(count, 16);
		at += (size_t)snprintf(out + at, size - at, ",framesz=%u,blocksz=%u,framecnt=%u",
			frame, frame * 16, count);
	}
	return at < size ? 0 : -ENAMETOOLONG;
}

/* For libraries that take settings in no other way; what the operator has set holds. */
static void set_environment(const struct port_profile *profile)
{
	char name[PORT_PROFILE_TEXT_MAX];
	size_t n = strcspn(profile->environment, "=");

	if (profile->environment[n] != '=')
		return;
	snprintf(name, sizeof(name), "%.*s", (int)n, profile->environment);
	setenv(name, profile->environment + n + 1, 0);
}

int port_device_probe(const struct port_config *config, const struct port_profile *profile,
	uint16_t queues, uint16_t *id, char *error, size_t error_size)
{
	char device[DEVICE_TEXT_MAX], name[64];
	const char *given;
	int rc;

	port_device_split(config->device, name, sizeof(name), &given);
	/* Made before, by a test or a harness (rte_eth_from_rings()). */
	if (rte_eth_dev_get_port_by_name(name, id) == 0)
		return 0;
	if (port_device_is_pci(config->device))
		return probe_pci(config->device, id, error, error_size);
	if (name[0] == '\0' || strlen(config->device) >= DEVICE_TEXT_MAX / 2 ||
		(strncmp(name, "net_", 4) != 0 && strncmp(name, "virtio_user", 11) != 0))
		return unknown_device(config->device, error, error_size);
	rc = check_netdev(profile, name, given, error, error_size);
	if (rc != 0)
		return rc;
	rc = complete(config, profile, queues, device, sizeof(device));
	if (rc != 0)
		return port_fail(error, error_size, -rc, "device %s: too long", name);
	set_environment(profile);
	rc = rte_dev_probe(device);
	if (rc != 0 && profile->drivers == 0)
		return unknown_device(config->device, error, error_size);
	if (rc != 0)
		return port_fail(error, error_size, rc < 0 ? -rc : EIO,
			"device %s does not open: %s%s", device, rte_strerror(-rc),
			port_dpdk_said());
	port_device_split(device, name, sizeof(name), &given);
	if (rte_eth_dev_get_port_by_name(name, id) != 0)
		return port_fail(error, error_size, ENODEV, "device %s makes no port%s", name,
			port_dpdk_said());
	return 0;
}

void port_device_remove(uint16_t id)
{
	struct rte_eth_dev_info info;
	struct rte_device *device = NULL;

	if (rte_eth_dev_info_get(id, &info) == 0)
		device = info.device;
	rte_eth_dev_stop(id); /* what is not started does not mind */
	rte_eth_dev_close(id);
	if (device != NULL)
		rte_dev_remove(device);
}
