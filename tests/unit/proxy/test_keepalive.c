/* SPDX-License-Identifier: BSD-3-Clause */
/* Keep-alives and STUN on the SIP port: RFC 5626 4.4, RFC 5389 7.3. */
#include "harness.h"

static char out[128];

/* The bytes at the very end of a block. */
static int ask(const void *bytes, uint32_t len)
{
	struct net_endpoint src = endpoint("192.0.2.1", 32853);
	char *copy = malloc(len != 0 ? len : 1);
	int n;

	assert_non_null(copy);
	memcpy(copy, bytes, len);
	memset(out, 0x55, sizeof(out));
	n = proxy_keepalive(&src, copy, len, out);
	free(copy);
	return n;
}

static void crlf_crlf_gets_crlf(void **state)
{
	assert_int_equal(ask("\r\n\r\n", 4), 2);
	assert_memory_equal(out, "\r\n\x55", 3);
}

static void a_pong_zeros_and_an_empty_datagram_want_no_answer(void **state)
{
	assert_int_equal(ask("\r\n", 2), 0);
	assert_int_equal(ask("\0\0\0\0", 4), 0);
	assert_int_equal(ask("", 0), 0);
}

static void anything_else_is_neither(void **state)
{
	static const char *const texts[] = {"\r\n\r\n\r\n", "\n\n", "\r", "x",
		"GET / HTTP/1.1\r\n\r\n", "OPTIONS sip:a SIP/2.0\r\n\r\n"};

	for (unsigned i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_int_equal(ask(texts[i], (uint32_t)strlen(texts[i])), -1);
}

#define HEADER(type, length) \
	0x00, type, 0x00, length, 0x21, 0x12, 0xa4, 0x42, 0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, \
		0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae

static void a_binding_request_learns_its_address(void **state)
{
	static const uint8_t request[] = {HEADER(0x01, 0)};
	/* RFC 5769 2.2: XOR-MAPPED-ADDRESS of 192.0.2.1:32853 for this cookie */
	static const uint8_t answer[] = {0x01, 0x01, 0x00, 0x0c, 0x21, 0x12, 0xa4, 0x42, 0xb7, 0xe7,
		0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae, 0x00, 0x20, 0x00, 0x08,
		0x00, 0x01, 0xa1, 0x47, 0xe1, 0x12, 0xa6, 0x43};

	assert_int_equal(ask(request, sizeof(request)), sizeof(answer));
	assert_memory_equal(out, answer, sizeof(answer));
}

static void an_ipv6_address_is_masked_with_cookie_and_transaction_id(void **state)
{
	/* RFC 5769 2.3 */
	static const uint8_t request[] = {HEADER(0x01, 0)};
	static const uint8_t mapped[] = {0x00, 0x20, 0x00, 0x14, 0x00, 0x02, 0xa1, 0x47, 0x01, 0x13,
		0xa9, 0xfa, 0xa5, 0xd3, 0xf1, 0x79, 0xbc, 0x25, 0xf4, 0xb5, 0xbe, 0xd2, 0xb9, 0xd9};
	struct net_endpoint src = endpoint("2001:db8:1234:5678:11:2233:4455:6677", 32853);

	assert_int_equal(proxy_keepalive(&src, (const char *)request, sizeof(request), out), 44);
	assert_memory_equal(out + 20, mapped, sizeof(mapped));
}

/* Fills in the FINGERPRINT whose value is at `at`, computed in another way than the code does. */
static void put_fingerprint(uint8_t *request, unsigned at)
{
	uint32_t crc = ~0u;

	for (unsigned i = 0; i < at - 4; i++) {
		crc ^= request[i];
		for (int bit = 0; bit < 8; bit++)
			crc = (crc & 1) != 0 ? crc >> 1 ^ 0xedb88320u : crc >> 1;
	}
	crc = ~crc ^ 0x5354554e;
	for (unsigned i = 0; i < 4; i++)
		request[at + i] = (uint8_t)(crc >> (24 - 8 * i));
}

static void a_fingerprint_is_verified_and_answered_with_one(void **state)
{
	uint8_t request[] = {HEADER(0x01, 16), 0x80, 0x22, 0x00, 0x04, 't', 'e', 's', 't', 0x80,
		0x28, 0x00, 0x04, 0, 0, 0, 0};
	uint8_t answer[40];

	put_fingerprint(request, 32);
	assert_int_equal(ask(request, sizeof(request)), sizeof(answer));
	assert_int_equal((uint8_t)out[3], 20);
	memcpy(answer, out, sizeof(answer));
	put_fingerprint(answer, 36);
	assert_memory_equal(out, answer, sizeof(answer));
	request[32] ^= 1;
	assert_int_equal(ask(request, sizeof(request)), -1);
}

static void nothing_follows_a_fingerprint(void **state)
{
	uint8_t request[] = {HEADER(0x01, 16), 0x80, 0x28, 0x00, 0x04, 0, 0, 0, 0, 0x80, 0x22, 0x00,
		0x04, 't', 'e', 's', 't'};

	put_fingerprint(request, 24);
	assert_int_equal(ask(request, sizeof(request)), -1);
}

static void an_unknown_required_attribute_gets_a_420_that_names_it(void **state)
{
	static const uint8_t request[] = {
		HEADER(0x01, 8), 0x7f, 0x01, 0x00, 0x03, 'a', 'b', 'c', 0x00};
	static const uint8_t answer[] = {0x00, 0x09, 0x00, 0x04, 0x00, 0x00, 0x04, 0x14, 0x00, 0x0a,
		0x00, 0x02, 0x7f, 0x01, 0x00, 0x00};

	assert_int_equal(ask(request, sizeof(request)), 36);
	assert_int_equal((uint8_t)out[0], 1);
	assert_int_equal((uint8_t)out[1], 0x11);
	assert_memory_equal(out + 20, answer, sizeof(answer));
}

static void an_indication_is_a_keep_alive_and_a_response_is_nothing(void **state)
{
	static const uint8_t indication[] = {HEADER(0x11, 0)};
	uint8_t response[] = {HEADER(0x01, 0)};

	assert_int_equal(ask(indication, sizeof(indication)), 0);
	response[0] = 0x01;
	assert_int_equal(ask(response, sizeof(response)), -1);
}

static void lengths_that_lie_are_refused(void **state)
{
	uint8_t request[] = {HEADER(0x01, 8), 0x80, 0x22, 0x00, 0x04, 't', 'e', 's', 't'};
	static uint8_t large[4096] = {0x00, 0x01, 0x0f, 0xec, 0x21, 0x12, 0xa4, 0x42};

	for (uint32_t len = 1; len < sizeof(request); len++)
		assert_int_equal(ask(request, len), -1);
	assert_int_equal(ask(request, sizeof(request)), 32);
	request[23] = 5;
	assert_int_equal(ask(request, sizeof(request)), -1);
	request[22] = 0xff;
	request[23] = 0xff;
	assert_int_equal(ask(request, sizeof(request)), -1);
	request[4] = 0;
	assert_int_equal(ask(request, sizeof(request)), -1);
	assert_int_equal(ask(large, sizeof(large)), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(crlf_crlf_gets_crlf),
		cmocka_unit_test(a_pong_zeros_and_an_empty_datagram_want_no_answer),
		cmocka_unit_test(anything_else_is_neither),
		cmocka_unit_test(a_binding_request_learns_its_address),
		cmocka_unit_test(an_ipv6_address_is_masked_with_cookie_and_transaction_id),
		cmocka_unit_test(a_fingerprint_is_verified_and_answered_with_one),
		cmocka_unit_test(nothing_follows_a_fingerprint),
		cmocka_unit_test(an_unknown_required_attribute_gets_a_420_that_names_it),
		cmocka_unit_test(an_indication_is_a_keep_alive_and_a_response_is_nothing),
		cmocka_unit_test(lengths_that_lie_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
