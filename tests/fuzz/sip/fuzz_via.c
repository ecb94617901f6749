/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Any bytes as the value of a Via and of a Contact line: each value is read in bounds, and read
 * again alone means the same.
 */
#include <stdlib.h>

#include "sip/sip.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
	if (!holds)
		abort();
}

static bool same(const char *a, struct sip_span x, const char *b, struct sip_span y)
{
	return sip_present(x) == sip_present(y) && str_eq(sip_text(a, x), sip_text(b, y));
}

/* A copy of one value that ends with its block, behind one byte so that no span begins at 0. */
static char *copy_value(const char *buf, struct sip_span value)
{
	char *copy = malloc(value.len + 1);

	if (copy == NULL)
		abort();
	copy[0] = ' ';
	memcpy(copy + 1, buf + value.off, value.len);
	return copy;
}

static void check_via(const char *buf, const struct sip_via *via)
{
	char *copy = copy_value(buf, via->value);
	struct sip_via again;
	struct sip_span value;

	require(sip_via_parse(copy, (struct sip_span){1, via->value.len}, &again) == 0);
	require(again.next == 0 && again.transport == via->transport && again.port == via->port &&
		again.has_rport == via->has_rport && again.rport == via->rport &&
		again.has_magic == via->has_magic && again.host_is_ip6 == via->host_is_ip6);
	require(same(copy, again.host, buf, via->host) &&
		same(copy, again.branch, buf, via->branch) &&
		same(copy, again.sent_by, buf, via->sent_by) &&
		same(copy, again.params, buf, via->params) &&
		same(copy, again.received, buf, via->received) &&
		same(copy, again.maddr, buf, via->maddr) &&
		same(copy, again.rport_param, buf, via->rport_param) &&
		same(copy, again.received_param, buf, via->received_param) &&
		same(copy, again.token, buf, via->token));
	/* The look-up by name finds what the parser found. */
	require(sip_param_find(buf, via->params, STR("received"), &value, NULL) ==
		sip_present(via->received));
	if (sip_present(via->received))
		require(same(buf, value, buf, via->received));
	require(sip_param_find(buf, via->params, STR("rport"), NULL, NULL) == via->has_rport);
	require(sip_param_find(buf, via->params, STR("branch"), NULL, NULL) ==
		sip_present(via->branch));
	free(copy);
}

static void check_address(const char *buf, const struct sip_address *address)
{
	char *copy = copy_value(buf, address->value);
	struct sip_address again;
	struct sip_span tag;

	require(sip_address_parse(copy, (struct sip_span){1, address->value.len}, &again) == 0);
	require(again.next == 0 && again.brackets == address->brackets &&
		again.star == address->star);
	require(same(copy, again.uri, buf, address->uri) &&
		same(copy, again.tag, buf, address->tag) &&
		same(copy, again.display, buf, address->display) &&
		same(copy, again.params, buf, address->params));
	require(sip_param_find(buf, address->params, STR("tag"), &tag, NULL) ==
		sip_present(address->tag));
	if (sip_present(address->tag))
		require(same(buf, tag, buf, address->tag));
	free(copy);
}

/* The n-th value of the line is the same to whoever cuts it at its commas. */
static void check_list(const char *buf, uint32_t end, unsigned n, struct sip_span value)
{
	struct sip_span list = {1, end - 1}, got = {0, 0};
	uint32_t at = 0;

	for (unsigned i = 0; i <= n; i++)
		require(sip_list_next(buf, list, &at, &got));
	require(got.off == value.off && got.len == value.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *buf = malloc(size + 1);
	uint32_t end = (uint32_t)size + 1;
	struct sip_via via;
	struct sip_address address;

	if (buf == NULL)
		abort();
	buf[0] = ':';
	if (size != 0)
		memcpy(buf + 1, data, size);
	for (uint32_t at = 1, n = 0; at != 0; at = via.next, n++) {
		if (sip_via_parse(buf, (struct sip_span){at, end - at}, &via) != 0)
			break;
		require(via.next == 0 || via.next > at);
		check_via(buf, &via);
		if (n < 8)
			check_list(buf, end, n, via.value);
	}
	for (uint32_t at = 1, n = 0; at != 0; at = address.next, n++) {
		if (sip_address_parse(buf, (struct sip_span){at, end - at}, &address) != 0)
			break;
		require(address.next == 0 || address.next > at);
		check_address(buf, &address);
		if (n < 8)
			check_list(buf, end, n, address.value);
	}
	free(buf);
	return 0;
}
