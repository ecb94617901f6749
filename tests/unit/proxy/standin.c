/* SPDX-License-Identifier: BSD-3-Clause */
/* The resolver of these tests: two names, one that does not exist, and one that nobody has asked
 * for yet. */
#include "harness.h"

struct resolve_snapshot {
	int unused;
};

const struct resolve_snapshot *resolver_snapshot(const struct resolver *r)
{
	return (const struct resolve_snapshot *)r;
}

enum resolve_answer resolve_find(const struct resolve_snapshot *s, enum resolve_kind kind,
	struct str name, const struct resolve_addresses **out)
{
	static struct resolve_addresses plain, srv;

	plain.count = 2;
	plain.ep[0] = endpoint("10.7.0.1", 0);
	plain.ep[1] = endpoint("10.7.0.2", 0);
	srv.count = 1;
	srv.ep[0] = endpoint("10.7.0.3", 5080);
	if (str_ieq(name, STR("host.example.com"))) {
		*out = kind == RESOLVE_SIP_UDP ? &srv : &plain;
		return RESOLVE_FOUND;
	}
	if (str_ieq(name, STR("trap.example.com"))) {
		static struct resolve_addresses loopback;

		loopback.count = 1;
		loopback.ep[0] = endpoint("127.0.0.1", 0);
		*out = &loopback;
		return RESOLVE_FOUND;
	}
	return str_ieq(name, STR("nowhere.example.com")) ? RESOLVE_FAILED : RESOLVE_MISSING;
}
