/* SPDX-License-Identifier: BSD-3-Clause */
#include "sip/isa.h"

#include <errno.h>

const struct sip_isa *sip_isa = &sip_isa_scalar;

/* Best first. */
static const struct sip_isa *const all[] = {
	&sip_isa_avx512, &sip_isa_avx2, &sip_isa_sse42, &sip_isa_scalar};

static bool cpu_has(const struct sip_isa *isa)
{
	bool bits = __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2") &&
		    __builtin_cpu_supports("popcnt");

	if (isa == &sip_isa_avx512)
		return bits && __builtin_cpu_supports("avx512bw") &&
		       __builtin_cpu_supports("avx512vl");
	if (isa == &sip_isa_avx2)
		return bits && __builtin_cpu_supports("avx2");
	if (isa == &sip_isa_sse42)
		return __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("popcnt");
	return true;
}

int sip_scan_select(const char *name)
{
	for (unsigned i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		if (strcmp(name, all[i]->name) != 0)
			continue;
		if (!cpu_has(all[i]))
			return -ENOTSUP;
		sip_isa = all[i];
		return 0;
	}
	return -EINVAL;
}

const char *sip_scan_name(void)
{
	return sip_isa->name;
}

enum sip_error sip_msg_check(struct sip_msg *msg, const char *buf)
{
	return sip_isa->check(msg, buf);
}

__attribute__((constructor)) static void select_best(void)
{
	__builtin_cpu_init();
	for (unsigned i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (sip_scan_select(all[i]->name) == 0)
			return;
}
