/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * DNS messages of any server, or of whoever guesses a query's number: nothing is read at or past a
 * message's end, what is kept is in its bounds, in order and each once, a host name that came out
 * is one, and fewer are kept as the first of more.
 *
 * The input's first byte chooses the name that was asked for; the rest is the message.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "resolve/internal.h"

#define KEEP 16
#define FEW 3

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Says which line found it. */
static void require_at(bool holds, int line)
{
	if (holds)
		return;
	fprintf(stderr, "fuzz_answer.c:%d: does not hold\n", line);
	abort();
}
#define require(holds) require_at((holds), __LINE__)

/* Few are the first of many, or the message was bad for both. */
#define REQUIRE_FIRST_OF(few, n_few, many, n_many, equal) \
	do { \
		int n_ = (n_few); \
\
		require(n_ == ((n_many) < FEW ? (n_many) : FEW)); \
		for (int i_ = 0; i_ < n_; i_++) \
			require(equal(&(few)[i_], &(many)[i_])); \
	} while (0)

static void require_name(const struct host_name *name)
{
	struct host_name again;

	require(name->len <= RESOLVE_NAME_MAX && name->s[name->len] == '\0');
	if (name->len == 0)
		return;
	require(name_read(str_of(name->s, name->len), &again));
	require(again.len == name->len && memcmp(again.s, name->s, name->len) == 0);
}

static bool address_equal(const struct net_addr *a, const struct net_addr *b)
{
	return net_addr_compare(a, b) == 0;
}

static bool service_equal(const struct answer_srv *a, const struct answer_srv *b)
{
	return answer_srv_compare(a, b) == 0;
}

static bool naptr_equal(const struct answer_naptr *a, const struct answer_naptr *b)
{
	return a->order == b->order && a->preference == b->preference &&
	       strcmp(a->replacement.s, b->replacement.s) == 0;
}

static void addresses(
	const uint8_t *msg, uint32_t len, const struct host_name *name, uint8_t family)
{
	struct net_addr many[KEEP], few[FEW];
	struct answer_extent whole = {.ttl = UINT32_MAX}, part = whole;
	int n = answer_addresses(msg, len, name, family, many, KEEP, &whole);

	require(n >= 0 ? n <= KEEP : n == -EBADMSG);
	for (int i = 0; i < n; i++) {
		require(many[i].family == family);
		require(!net_addr_is_unspecified(&many[i]) && !net_addr_is_multicast(&many[i]));
		require(i == 0 || net_addr_compare(&many[i - 1], &many[i]) < 0);
	}
	require(n <= 0 || whole.ttl < 0x80000000U);
	REQUIRE_FIRST_OF(few, answer_addresses(msg, len, name, family, few, FEW, &part), many, n,
		address_equal);
	require(part.ttl == whole.ttl);
	/* What falls off is said. */
	require(n < 0 || part.cut == (whole.cut || n > FEW));
}

static void services(const uint8_t *msg, uint32_t len, const struct host_name *name)
{
	struct answer_srv many[KEEP], few[FEW];
	struct answer_extent whole = {.ttl = UINT32_MAX}, part = whole;
	int n = answer_services(msg, len, name, many, KEEP, &whole);

	require(n >= 0 ? n <= KEEP : n == -EBADMSG);
	for (int i = 0; i < n; i++) {
		require_name(&many[i].target);
		require(many[i].target.len == 0 || many[i].port != 0);
		require(i == 0 || answer_srv_compare(&many[i - 1], &many[i]) < 0);
	}
	require(n <= 0 || whole.ttl < 0x80000000U);
	REQUIRE_FIRST_OF(
		few, answer_services(msg, len, name, few, FEW, &part), many, n, service_equal);
	require(part.ttl == whole.ttl);
	/* What falls off is said. */
	require(n < 0 || part.cut == (whole.cut || n > FEW));
}

static void naptrs(const uint8_t *msg, uint32_t len, const struct host_name *name)
{
	struct answer_naptr many[KEEP], few[FEW];
	struct answer_extent whole = {.ttl = UINT32_MAX}, part = whole;
	int n = answer_naptrs(msg, len, name, many, KEEP, &whole);

	require(n >= 0 ? n <= KEEP : n == -EBADMSG);
	for (int i = 0; i < n; i++) {
		require(many[i].replacement.len != 0);
		require_name(&many[i].replacement);
		require(i == 0 || many[i - 1].order < many[i].order ||
			(many[i - 1].order == many[i].order &&
				many[i - 1].preference <= many[i].preference));
	}
	require(n <= 0 || whole.ttl < 0x80000000U);
	REQUIRE_FIRST_OF(few, answer_naptrs(msg, len, name, few, FEW, &part), many, n, naptr_equal);
	require(part.ttl == whole.ttl);
	/* What falls off is said. */
	require(n < 0 || part.cut == (whole.cut || n > FEW));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const asked[] = {"sip.test", "_sip._udp.sip.test", "a.b", "x"};
	struct host_name name;
	uint32_t len;
	uint8_t *msg;

	if (size < 2 || size > 65536)
		return 0;
	require(name_read(str_c(asked[data[0] % 4]), &name));
	/* A block that ends where the message does. */
	len = (uint32_t)size - 1;
	msg = malloc(len);
	require(msg != NULL);
	memcpy(msg, data + 1, len);
	addresses(msg, len, &name, 4);
	addresses(msg, len, &name, 6);
	services(msg, len, &name);
	naptrs(msg, len, &name);
	/* Any text for a name, too. */
	if (name_read(str_of((const char *)msg, len), &name))
		require_name(&name);
	free(msg);
	return 0;
}
