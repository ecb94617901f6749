/* SPDX-License-Identifier: BSD-3-Clause */
#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "port/port_internal.h"

#define PROFILES SOURCE_ROOT "/drivers-config/profiles"

static char error[PORT_ERROR_MAX];

/* Text at the very end of a block: a sanitizer sees a read past it. */
static int parse(const char *text, struct port_profile *out)
{
	size_t len = strlen(text);
	char *copy = malloc(len > 0 ? len : 1);
	int rc;

	assert_non_null(copy);
	memcpy(copy, text, len);
	error[0] = '\0';
	rc = port_profile_parse(str_of(copy, len), "test", out, error, sizeof(error));
	free(copy);
	return rc;
}

static void test_profile_says_all_that_it_can(void **state)
{
	struct port_profile p;

	assert_int_equal(parse("# a comment\n"
			       "driver = net_a net_b   # two of them\n"
			       "\n"
			       "virtual=yes\r\n"
			       "mac = own\n"
			       "rx_descriptors = 64\n"
			       "tx_descriptors=128\n"
			       "mbuf_room = 65407\n"
			       "max_mtu = 9000\n"
			       "queues = 8\n"
			       "queue_argument = qpairs\n"
			       "arguments = a=1,b=2\n"
			       "environment = LIB_X=1\n"
			       "queues_without_rss = spread\n"
			       "rss = ipv4-udp\tipv6-udp\n"
			       "rx_checksum_flags = yes\n"
			       "rx_pseudo_checksum = yes\n"
			       "tx_checksum = device\n"
			       "promiscuous = yes\n"
			       "netdev = bare\n"
			       "quirks = set_port tpacket_frames link_netdev channels",
				 &p),
		0);
	assert_string_equal(p.name, "test");
	assert_int_equal(p.drivers, 2);
	assert_string_equal(p.driver[0], "net_a");
	assert_string_equal(p.driver[1], "net_b");
	assert_true(p.virtual_device && p.own_mac && p.spreads_itself && p.rx_checksum_flags &&
		    p.rx_pseudo_checksum && p.tx_checksum && p.promiscuous);
	assert_int_equal(p.rx_descriptors, 64);
	assert_int_equal(p.tx_descriptors, 128);
	assert_int_equal(p.mbuf_room, 65407);
	assert_int_equal(p.max_mtu, 9000);
	assert_int_equal(p.queues, 8);
	assert_string_equal(p.queue_argument, "qpairs");
	assert_string_equal(p.arguments, "a=1,b=2");
	assert_string_equal(p.environment, "LIB_X=1");
	assert_true(p.rss == (RTE_ETH_RSS_NONFRAG_IPV4_UDP | RTE_ETH_RSS_NONFRAG_IPV6_UDP));
	assert_int_equal(p.netdev, PORT_NETDEV_BARE);
	assert_int_equal(p.quirks, PORT_QUIRK_SET_PORT | PORT_QUIRK_TPACKET_FRAMES |
					   PORT_QUIRK_POLL_LINK | PORT_QUIRK_CHANNELS);
	/* What it does not say is careful. */
	assert_int_equal(parse("driver = x", &p), 0);
	assert_false(p.virtual_device || p.own_mac || p.spreads_itself || p.rx_checksum_flags ||
		     p.tx_checksum || p.promiscuous);
	assert_int_equal(parse("driver = x\nrss = none", &p), 0);
	assert_true(p.rss == 0);
}

static void test_profile_error_names_line_and_word(void **state)
{
	static const struct {
		const char *text, *why;
	} bad[] = {
		{"driver = x\nqueus = 2", "line 2: unknown key 'queus'"},
		{"driver = x\n\nvirtual = maybe", "line 3: 'maybe' is no value for virtual"},
		{"driver = x\nqueues = 65", "line 2: '65' is no value for queues"},
		{"driver = x\nqueues = -1", "line 2: '-1' is no value for queues"},
		{"driver = x\nrss = ipv4-upd", "line 2: 'ipv4-upd' is no value for rss"},
		{"driver = x\nquirks = quick", "line 2: 'quick' is no value for quirks"},
		{"driver = x\nmbuf_room = 65408", "line 2: '65408' is no value for mbuf_room"},
		{"driver = x\nnetdev", "line 2: no '=' in 'netdev'"},
		{"driver =", "line 1: '' is no value for driver"},
		{"driver = a b c d e f g h i", "no value for driver"},
		{"driver = a_name_that_is_far_too_long_for_it", "no value for driver"},
		{"virtual = yes", "no 'driver'"},
		{"", "no 'driver'"},
	};
	struct port_profile p;

	for (size_t i = 0; i < RTE_DIM(bad); i++) {
		assert_int_equal(parse(bad[i].text, &p), -EINVAL);
		if (strstr(error, bad[i].why) == NULL)
			fail_msg("'%s' does not say '%s'", error, bad[i].why);
	}
}

static void test_every_profile_that_we_ship_is_found_by_its_drivers(void **state)
{
	static const char *const names[] = {"mlx5", "ice", "i40e", "ixgbe", "igb", "virtio",
		"vmxnet3", "ena", "af_packet", "af_xdp", "tap", "memif", "ring", "pcap"};
	struct port_profile one, found;

	for (size_t i = 0; i < RTE_DIM(names); i++) {
		if (port_profile_find(
			    PROFILES, names[i], NULL, false, &one, error, sizeof(error)) != 0)
			fail_msg("%s", error);
		assert_string_equal(one.name, names[i]);
		for (unsigned d = 0; d < one.drivers; d++) {
			char device[64];

			assert_int_equal(port_profile_find(PROFILES, NULL, one.driver[d], false,
						 &found, error, sizeof(error)),
				0);
			assert_string_equal(found.name, names[i]);
			snprintf(device, sizeof(device), "%s7", one.driver[d]);
			assert_int_equal(port_profile_find(PROFILES, NULL, device, true, &found,
						 error, sizeof(error)),
				0);
			assert_string_equal(found.name, names[i]);
		}
		/* Only what is virtual has a MAC of its own, so that a NIC keeps its address. */
		assert_int_equal(one.virtual_device, one.own_mac);
		assert_true(one.rx_descriptors >= 32 && one.tx_descriptors >= 32);
	}
	assert_int_equal(
		port_profile_find(PROFILES, NULL, "net_hinic", false, &one, error, sizeof(error)),
		-ENOENT);
	assert_string_equal(one.name, "default");
	assert_int_equal(
		port_profile_find(PROFILES, "absent", NULL, false, &one, error, sizeof(error)),
		-ENOENT);
	assert_non_null(strstr(error, "profile absent"));
	/* "net_tapestry" is not "net_tap". */
	assert_int_equal(port_profile_find(
				 PROFILES, NULL, "net_tapestry0", true, &one, error, sizeof(error)),
		-ENOENT);
}

static void test_room_of_a_pool_follows_device_and_mtu(void **state)
{
	struct port_config c = {.name = "p", .device = "net_tap0,iface=x", .profile_dir = PROFILES};

	assert_int_equal(port_mbuf_room(&c), PORT_MBUF_ROOM);
	c.mtu = 9000;
	assert_in_range(port_mbuf_room(&c), 9000 + 26, 9200);
	c.device = "0000:3b:00.0";
	assert_in_range(port_mbuf_room(&c), 9000 + 26, 9200);
	c.device = "net_af_packet,iface=eth1";
	assert_int_equal(port_mbuf_room(&c), PORT_MBUF_BIG_ROOM);
}

static void test_device_strings_are_taken_apart(void **state)
{
	static const char *const pci[] = {
		"0000:3b:00.0", "3b:00.0", "pci:0000:3b:00.0", "0000:3b:00.1,representor=0"};
	static const char *const other[] = {"net_tap0", "", "0000:3b:00", "3b:00.0x",
		"0000:3b:00.00", "eth0", "00:11:22:33:44:55"};
	char value[16], name[16];
	const char *rest;

	for (size_t i = 0; i < RTE_DIM(pci); i++)
		assert_true(port_device_is_pci(pci[i]));
	for (size_t i = 0; i < RTE_DIM(other); i++)
		assert_false(port_device_is_pci(other[i]));
	port_device_split("net_tap0,iface=ct0,mac=fixed", name, sizeof(name), &rest);
	assert_string_equal(name, "net_tap0");
	assert_true(port_argument(rest, "iface", value, sizeof(value)));
	assert_string_equal(value, "ct0");
	assert_true(port_argument(rest, "mac", value, sizeof(value)));
	assert_string_equal(value, "fixed");
	assert_false(port_argument(rest, "face", value, sizeof(value)));
	assert_false(port_argument(rest, "ifac", value, sizeof(value)));
	assert_false(port_argument("", "iface", value, sizeof(value)));
	port_device_split("net_ring0", name, sizeof(name), &rest);
	assert_string_equal(rest, "");
}

static void test_rss_key_is_random_and_balanced(void **state)
{
	uint8_t a[52], b[52];
	unsigned ones = 0;

	assert_int_equal(port_rss_key(a, sizeof(a)), 0);
	assert_int_equal(port_rss_key(b, sizeof(b)), 0);
	assert_memory_not_equal(a, b, sizeof(a));
	for (unsigned i = 0; i < sizeof(a); i++)
		ones += (unsigned)__builtin_popcount(a[i]);
	assert_in_range(ones, 52 * 8 / 3, 52 * 16 / 3);
}

static void test_queues_are_what_all_sides_allow(void **state)
{
	struct port_profile p = {.queues = 0};

	assert_int_equal(port_queue_count(&p, 4, 8, 8, true), 4);
	assert_int_equal(port_queue_count(&p, 4, 8, 2, true), 2);
	assert_int_equal(port_queue_count(&p, 200, 1024, 1024, true), PORT_QUEUES_MAX);
	/* Without RSS a second queue would stay empty, unless the device spreads by itself. */
	assert_int_equal(port_queue_count(&p, 4, 8, 8, false), 1);
	p.spreads_itself = true;
	p.queues = 3;
	assert_int_equal(port_queue_count(&p, 4, 8, 8, false), 3);
	assert_int_equal(port_queue_count(&p, 0, 8, 8, true), 1);
}

/* ---- PCI, in a /sys of our own ---- */

static char root[] = "/tmp/siplane-test-XXXXXX";

static void shell(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static void shell(const char *fmt, ...)
{
	char command[2048];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(command, sizeof(command), fmt, ap);
	va_end(ap);
	if (system(command) != 0)
		fail_msg("%s", command);
}

static int make_sysfs(void **state)
{
	if (mkdtemp(root) == NULL)
		return -1;
	shell("cd %s && mkdir -p bus/pci/devices bus/pci/drivers/ice bus/pci/drivers/vfio-pci "
	      "iommu_groups/7 && cd bus/pci/devices && "
	      "for d in 0000:3b:00.0 0000:3b:00.1 0000:3b:00.2; do mkdir $d; echo 0x020000 "
	      ">$d/class; echo 0x8086 >$d/vendor; echo "
	      "0x1592 >$d/device; :>$d/driver_override; ln -s ../../../../iommu_groups/7 "
	      "$d/iommu_group; done; "
	      "ln -s ../../drivers/ice 0000:3b:00.0/driver; ln -s ../../drivers/vfio-pci "
	      "0000:3b:00.1/driver; "
	      "mkdir -p 0000:3b:00.0/net/ens1f0; :>../drivers/ice/unbind; :>../drivers_probe",
		root);
	return 0;
}

static int remove_sysfs(void **state)
{
	shell("rm -r %s", root);
	return 0;
}

static void test_pci_device_with_the_wrong_driver_is_explained(void **state)
{
	char sysfs[64];

	snprintf(sysfs, sizeof(sysfs), "%s/bus/pci/devices", root);
	assert_int_equal(port_pci_check(sysfs, "0000:3b:00.1", error, sizeof(error)), 0);
	assert_int_equal(port_pci_check(sysfs, "0000:3b:00.0", error, sizeof(error)), -EBUSY);
	assert_string_equal(error,
		"device 0000:3b:00.0 is bound to the kernel driver 'ice', not to vfio-pci\n        "
		" bind it:  "
		"drivers-config/bind vfio-pci 0000:3b:00.0      (what it would do: --dry-run)");
	assert_int_equal(port_pci_check(sysfs, "0000:3b:00.2", error, sizeof(error)), -ENXIO);
	assert_non_null(strstr(error, "bound to no driver"));
	assert_non_null(strstr(error, "drivers-config/bind vfio-pci 0000:3b:00.2"));
	assert_int_equal(port_pci_check(sysfs, "0000:3c:00.0", error, sizeof(error)), -ENODEV);
	assert_non_null(strstr(error, "no PCI device 0000:3c:00.0"));
}

/* Runs one of the host's scripts on our /sys; its exit status, and what it wrote. */
static int script(const char *arguments, char *out, size_t size)
{
	char command[1024];
	size_t n;
	FILE *f;
	int status;

	snprintf(command, sizeof(command), "SIPLANE_SYSFS=%s %s/drivers-config/%s 2>&1", root,
		SOURCE_ROOT, arguments);
	f = popen(command, "r");
	assert_non_null(f);
	n = fread(out, 1, size - 1, f);
	out[n] = '\0';
	status = pclose(f);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void test_bind_script_says_what_it_does_and_keeps_its_hands_off(void **state)
{
	char out[4096], path[128], text[64] = "";
	FILE *f;

	assert_int_equal(script("bind --list", out, sizeof(out)), 0);
	assert_non_null(strstr(out, "0000:3b:00.0   ice              ens1f0"));
	assert_int_equal(script("bind vfio-pci 0000:3b:00.0 --dry-run", out, sizeof(out)), 0);
	assert_non_null(strstr(out, "0000:3b:00.0: ice -> vfio-pci"));
	assert_non_null(strstr(out, "(nothing was done)"));
	snprintf(path, sizeof(path), "%s/bus/pci/devices/0000:3b:00.0/driver_override", root);
	f = fopen(path, "r");
	assert_non_null(f);
	assert_null(fgets(text, sizeof(text), f));
	fclose(f);
	/* For real: our /sys moves no device, and the script notices that it did not move. */
	assert_int_equal(script("bind vfio-pci 3b:00.0", out, sizeof(out)), 1);
	assert_non_null(strstr(out, "did not take vfio-pci"));
	f = fopen(path, "r");
	assert_non_null(f);
	assert_non_null(fgets(text, sizeof(text), f));
	assert_string_equal(text, "vfio-pci\n");
	fclose(f);
	assert_int_equal(script("bind vfio-pci 0000:3b:00.1", out, sizeof(out)), 0);
	assert_non_null(strstr(out, "already"));
	assert_int_equal(script("bind vfio-pci 0000:99:00.0", out, sizeof(out)), 1);
	assert_int_equal(script("bind vfio-pci", out, sizeof(out)), 2);
	assert_int_equal(script("bind vfio-pci nonsense", out, sizeof(out)), 1);
	shell("rm %s/bus/pci/devices/0000:3b:00.2/iommu_group", root);
	assert_int_equal(script("bind vfio-pci 0000:3b:00.2 --dry-run", out, sizeof(out)), 1);
	assert_non_null(strstr(out, "behind no IOMMU"));
}

static void test_hugepages_script_reserves_what_is_missing(void **state)
{
	char out[4096];

	shell("cd %s && mkdir -p kernel/mm/hugepages/hugepages-2048kB && cd "
	      "kernel/mm/hugepages/hugepages-2048kB && "
	      "echo 100 >nr_hugepages && echo 40 >free_hugepages",
		root);
	assert_int_equal(script("hugepages 80", out, sizeof(out)), 0);
	assert_non_null(strstr(out, "nothing to do"));
	/* 64 MB are 32 pages above the 40 that are free. */
	assert_int_equal(script("hugepages 144 --dry-run", out, sizeof(out)), 0);
	assert_non_null(strstr(out, "echo 132 > "));
	assert_int_equal(script("hugepages 144", out, sizeof(out)), 1);
	assert_non_null(strstr(out, "40 free pages of 2M, 72 are needed"));
	assert_int_equal(script("hugepages", out, sizeof(out)), 0);
	assert_non_null(strstr(out, "132"));
	assert_int_equal(script("hugepages lots", out, sizeof(out)), 2);
	assert_int_equal(script("hugepages 1 --size 4K", out, sizeof(out)), 2);
	assert_int_equal(script("hugepages 1 --size 1G", out, sizeof(out)), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_profile_says_all_that_it_can),
		cmocka_unit_test(test_profile_error_names_line_and_word),
		cmocka_unit_test(test_every_profile_that_we_ship_is_found_by_its_drivers),
		cmocka_unit_test(test_room_of_a_pool_follows_device_and_mtu),
		cmocka_unit_test(test_device_strings_are_taken_apart),
		cmocka_unit_test(test_rss_key_is_random_and_balanced),
		cmocka_unit_test(test_queues_are_what_all_sides_allow),
		cmocka_unit_test(test_pci_device_with_the_wrong_driver_is_explained),
		cmocka_unit_test(test_bind_script_says_what_it_does_and_keeps_its_hands_off),
		cmocka_unit_test(test_hugepages_script_reserves_what_is_missing),
	};

	return cmocka_run_group_tests(tests, make_sysfs, remove_sysfs);
}
