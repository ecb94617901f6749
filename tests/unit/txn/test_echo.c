/* SPDX-License-Identifier: BSD-3-Clause */
/* What is kept of a message gives it back, to the letter where what comes again is the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "txn/echo.h"

#define ROUNDS 20000
#define TEXT_MAX 4096

static const char request[] = "MESSAGE sip:bob@10.2.0.1 SIP/2.0\r\n"
			      "Via: SIP/2.0/UDP 10.0.0.9:5060;branch=z9hG4bKabcdef;rport\r\n"
			      "Via: SIP/2.0/UDP 192.0.2.7;branch=z9hG4bKother\r\n"
			      "From: <sip:alice@example.org>;tag=a1\r\n"
			      "To: <sip:bob@example.org>\r\n"
			      "Call-ID: 4711@10.0.0.9\r\n"
			      "CSeq: 17 MESSAGE\r\n"
			      "Content-Length: 0\r\n\r\n";
static const char reply[] = "SIP/2.0 200 OK\r\n"
			    "Via: SIP/2.0/UDP 10.0.0.9:5060;branch=z9hG4bKabcdef"
			    ";received=10.0.0.9;rport=5060\r\n"
			    "Via: SIP/2.0/UDP 192.0.2.7;branch=z9hG4bKother\r\n"
			    "From: <sip:alice@example.org>;tag=a1\r\n"
			    "To: <sip:bob@example.org>;tag=b2\r\n"
			    "Call-ID: 4711@10.0.0.9\r\n"
			    "CSeq: 17 MESSAGE\r\n"
			    "Server: Example\r\n"
			    "Content-Length: 0\r\n\r\n";

/* In blocks of their exact size, so that a sanitizer sees who reads past the end. */
struct text {
	char *s;
	uint32_t len;
};

static struct text text_of(const char *s, size_t len)
{
	struct text t = {malloc(len + !len), (uint32_t)len};

	assert_non_null(t.s);
	memcpy(t.s, s, len);
	return t;
}

static void lines_of(const struct text *t, struct echo_lines *out)
{
	static struct sip_msg msg;

	sip_msg_index(&msg, t->s, t->len);
	echo_lines_of(&msg, out);
}

static struct text pack(const struct text *t, const struct text *other)
{
	struct text out, room = {malloc(ECHO_ROOM(t->len)), ECHO_ROOM(t->len)};
	struct echo_lines lines;
	uint32_t n;

	lines_of(other, &lines);
	n = echo_pack(t->s, t->len, other->s, &lines, room.s);
	assert_in_range(n, 1, room.len);
	assert_int_equal(echo_length(room.s), t->len);
	out = text_of(room.s, n);
	free(room.s);
	return out;
}

/* The text that comes back; s NULL: none. */
static struct text unpack(const struct text *packed, const struct text *other, uint32_t room)
{
	struct text out = {malloc(room + !room), 0};
	struct echo_lines lines;
	int64_t n;

	lines_of(other, &lines);
	n = echo_unpack(packed->s, packed->len, other->s, &lines, out.s, room);
	if (n < 0) {
		free(out.s);
		return (struct text){NULL, 0};
	}
	assert_in_range(n, 0, room);
	out.len = (uint32_t)n;
	return out;
}

static uint32_t gives_back(const char *s, size_t len, const char *with, size_t with_len)
{
	struct text t = text_of(s, len), other = text_of(with, with_len), packed, out;
	uint32_t kept;

	packed = pack(&t, &other);
	kept = packed.len;
	out = unpack(&packed, &other, t.len);
	assert_non_null(out.s);
	assert_int_equal(out.len, t.len);
	assert_memory_equal(out.s, t.s, t.len);
	free(out.s);
	if (t.len != 0) {
		out = unpack(&packed, &other, t.len - 1);
		assert_null(out.s);
	}
	free(t.s);
	free(other.s);
	free(packed.s);
	return kept;
}

static void a_reply_is_a_quarter_of_itself(void **state)
{
	uint32_t kept = gives_back(reply, sizeof(reply) - 1, request, sizeof(request) - 1);

	assert_in_range(kept, 1, (sizeof(reply) - 1) / 4);
}

static void what_has_nothing_in_common_is_kept_whole(void **state)
{
	char noise[TEXT_MAX];

	srandom(1);
	for (unsigned i = 0; i < sizeof(noise); i++)
		noise[i] = (char)random();
	for (size_t len = 0; len < 600; len++) {
		uint32_t kept = gives_back(noise, len, request, sizeof(request) - 1);

		assert_in_range(kept, len, ECHO_ROOM(len));
	}
	gives_back(noise, sizeof(noise), request, sizeof(request) - 1);
	gives_back(reply, sizeof(reply) - 1, noise, sizeof(noise));
	gives_back(reply, sizeof(reply) - 1, "", 0);
}

static void folded_and_odd_lines_are_given_back(void **state)
{
	static const char folded[] =
		"MESSAGE sip:b SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.9:5060\r\n"
		" ;branch=z9hG4bKabcdef\r\nFrom: <sip:a@b>;tag=1234567890\r\n"
		"To: <sip:bob@example.org>\r\nCall-ID:x\r\nCSeq: 1  MESSAGE \r\n\r\n";
	static const char odd[] =
		"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 10.0.0.9:5060\r\n ;branch=z9hG4bKabcdef\r\n"
		"From: <sip:a@b>;tag=1234567890\nTo: \r\nCall-ID: x\r\nCSeq: 1  MESSAGE \r\n"
		"CSeq\r\nVia: \r\nContent-Length: 0\r\n\r\nFrom: <sip:a@b>;tag=1234567890\r\n";

	gives_back(odd, sizeof(odd) - 1, folded, sizeof(folded) - 1);
	gives_back(folded, sizeof(folded) - 1, odd, sizeof(odd) - 1);
	for (size_t len = 0; len < sizeof(odd); len++)
		gives_back(odd, len, folded, sizeof(folded) - 1);
	for (size_t len = 0; len < sizeof(reply); len++)
		gives_back(reply, len, request, sizeof(request) - 1);
}

/* Each Via that is there is found; those beyond are kept. */
static void vias_without_end(void **state)
{
	char s[TEXT_MAX] = "SIP/2.0 200 OK\r\n", r[TEXT_MAX] = "BYE sip:b SIP/2.0\r\n";

	for (unsigned i = 0; i < 12; i++) {
		size_t n = strlen(r);

		snprintf(r + n, sizeof(r) - n, "Via: SIP/2.0/UDP 10.0.0.%u;branch=z9hG4bK%u\r\n", i,
			i);
		n = strlen(s);
		snprintf(s + n, sizeof(s) - n, "Via: SIP/2.0/UDP 10.0.0.%u;branch=z9hG4bK%u\r\n", i,
			i);
		gives_back(s, strlen(s), r, strlen(r));
	}
}

/* What came again says something else where the reply repeats it, or nothing. */
static void a_message_that_is_another_one(void **state)
{
	struct text t = text_of(reply, sizeof(reply) - 1), other, out;
	struct text first = text_of(request, sizeof(request) - 1), packed = pack(&t, &first);
	char changed[sizeof(request)];

	memcpy(changed, request, sizeof(request));
	memcpy(strstr(changed, "4711"), "0815", 4);
	other = text_of(changed, sizeof(changed) - 1);
	out = unpack(&packed, &other, TEXT_MAX);
	assert_non_null(out.s);
	assert_int_equal(out.len, t.len);
	assert_non_null(memmem(out.s, out.len, "Call-ID: 0815@10.0.0.9\r\n", 24));
	free(out.s);
	free(other.s);
	/* Without a To; with a Via that is too short. */
	memcpy(changed, request, sizeof(request));
	memcpy(strstr(changed, "To:"), "Tx:", 3);
	other = text_of(changed, sizeof(changed) - 1);
	assert_null(unpack(&packed, &other, TEXT_MAX).s);
	free(other.s);
	other = text_of("MESSAGE sip:b SIP/2.0\r\nVia: SIP/2.0/UDP 1\r\n\r\n", 46);
	assert_null(unpack(&packed, &other, TEXT_MAX).s);
	free(other.s);
	free(first.s);
	free(packed.s);
	free(t.s);
}

/* Whatever comes again, however it was changed: never a byte too far. */
static void any_message_may_come(void **state)
{
	struct text t = text_of(reply, sizeof(reply) - 1);
	struct text first = text_of(request, sizeof(request) - 1), packed = pack(&t, &first);

	srandom(2);
	for (unsigned i = 0; i < ROUNDS; i++) {
		struct text other = text_of(request, (size_t)random() % sizeof(request));
		struct text out;

		for (unsigned n = (unsigned)random() % 4; n > 0 && other.len != 0; n--)
			other.s[(unsigned)random() % other.len] = (char)random();
		out = unpack(&packed, &other, (uint32_t)random() % (2 * sizeof(reply)));
		free(out.s);
		free(other.s);
	}
	free(first.s);
	free(packed.s);
	free(t.s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_reply_is_a_quarter_of_itself),
		cmocka_unit_test(what_has_nothing_in_common_is_kept_whole),
		cmocka_unit_test(folded_and_odd_lines_are_given_back),
		cmocka_unit_test(vias_without_end),
		cmocka_unit_test(a_message_that_is_another_one),
		cmocka_unit_test(any_message_may_come),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
