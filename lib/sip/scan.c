/* SPDX-License-Identifier: BSD-3-Clause */
#include "sip/scan.h"
#include "sip/sip.h"

#include <errno.h>

sip_scan_fn *sip_scan_run = sip_scan_scalar;
static const char *name_in_use = "scalar";

/* Best first. */
static const struct {
	const char *name;
	sip_scan_fn *run;
} scanners[] = {
	{"avx512", sip_scan_avx512},
	{"avx2", sip_scan_avx2},
	{"sse42", sip_scan_sse42},
	{"scalar", sip_scan_scalar},
};

static bool cpu_has(const char *name)
{
	if (strcmp(name, "avx512") == 0)
		return __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("bmi") &&
		       __builtin_cpu_supports("popcnt");
	if (strcmp(name, "avx2") == 0)
		return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") &&
		       __builtin_cpu_supports("popcnt");
	if (strcmp(name, "sse42") == 0)
		return __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("popcnt");
	return true;
}

int sip_scan_select(const char *name)
{
	for (unsigned i = 0; i < sizeof(scanners) / sizeof(scanners[0]); i++) {
		if (strcmp(name, scanners[i].name) != 0)
			continue;
		if (!cpu_has(name))
			return -ENOTSUP;
		sip_scan_run = scanners[i].run;
		name_in_use = scanners[i].name;
		return 0;
	}
	return -EINVAL;
}

const char *sip_scan_name(void)
{
	return name_in_use;
}

__attribute__((constructor)) static void select_best(void)
{
	__builtin_cpu_init();
	for (unsigned i = 0; i < sizeof(scanners) / sizeof(scanners[0]); i++)
		if (sip_scan_select(scanners[i].name) == 0)
			return;
}
