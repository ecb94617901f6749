/* SPDX-License-Identifier: BSD-3-Clause */
/* Hashes against the examples of the RFCs and against libcrypto, and that they want no memory. */
#include "common.h"

#include <malloc.h>
#include <openssl/evp.h>

static struct auth_hasher h;

/* RFC 7616 3.9.1, as HTTP has it. */
#define MUFASA \
	{ \
		.qop = AUTH_QOP_AUTH, \
		.nonce = STR("7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v"), \
		.nc = STR("00000001"), \
		.cnonce = STR("f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"), \
		.method = STR("GET"), .uri = STR("/dir/index.html") \
	}

static void assert_response(const struct auth_response *r, struct str user, struct str realm,
	struct str password, const char *want)
{
	struct auth_hex ha1, got;

	assert_true(auth_hash_password(&h, r->algorithm, user, realm, password, &ha1));
	assert_true(auth_hash_response(&h, r, auth_hex_str(&ha1), &got));
	assert_int_equal(got.len, strlen(want));
	assert_memory_equal(got.text, want, got.len);
}

static void examples_of_rfc_7616_hold(void **state)
{
	struct auth_response r = MUFASA;

	r.algorithm = AUTH_MD5;
	assert_response(&r, STR("Mufasa"), STR("http-auth@example.org"), STR("Circle of Life"),
		"8ca523f5e9506fed4657c9700eebdbec");
	r.algorithm = AUTH_SHA256;
	assert_response(&r, STR("Mufasa"), STR("http-auth@example.org"), STR("Circle of Life"),
		"753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1");
}

/* RFC 2617 3.5. */
static void the_example_of_rfc_2617_holds(void **state)
{
	struct auth_response r = {.qop = AUTH_QOP_AUTH,
		.nonce = STR("dcd98b7102dd2f0e8b11d0f600bfb0c093"),
		.nc = STR("00000001"),
		.cnonce = STR("0a4f113b"),
		.method = STR("GET"),
		.uri = STR("/dir/index.html")};

	assert_response(&r, STR("Mufasa"), STR("testrealm@host.com"), STR("Circle Of Life"),
		"6629fae49393a05397450978507c4ef1");
}

/* RFC 3665 2.1, without qop: of the two exchanges with credentials only this one's response is the
 * one that its parameters make (password "zanzibar"). */
static void what_rfc_8760_says_of_an_empty_body_holds(void **state)
{
	struct auth_hex hex;
	struct str empty = str_of("", 0);

	assert_true(auth_hash(&h, AUTH_SHA256, &empty, 1, &hex));
	assert_memory_equal(
		hex.text, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", 64);
}

static const char *const evp_names[AUTH_ALGORITHMS] = {"MD5", "SHA-256", "SHA-512-256"};

/* All lengths around the ends of blocks, and the RFC's test suite among them. */
static void hashes_are_libcryptos(void **state)
{
	char text[700], want[129];
	struct auth_hex got;

	for (unsigned i = 0; i < sizeof(text); i++)
		text[i] = (char)(i * 131 + i / 7);
	for (int algorithm = 0; algorithm < AUTH_ALGORITHMS; algorithm++) {
		for (unsigned len = 0; len <= sizeof(text); len++) {
			char *exact = malloc(len != 0 ? len : 1);
			struct str part = {exact, len};

			assert_non_null(exact);
			memcpy(exact, text, len);
			assert_true(auth_hash(&h, (enum auth_algorithm)algorithm, &part, 1, &got));
			libcrypto_hex(evp_names[algorithm], text, len, want);
			assert_int_equal(got.len, strlen(want));
			assert_memory_equal(got.text, want, got.len);
			free(exact);
		}
	}
}

static void parts_are_joined_by_colons_and_bounded(void **state)
{
	static char longest[AUTH_JOINED_MAX];
	struct str part[] = {STR("a"), STR("bc"), STR("")};
	struct auth_hex joined, whole;
	struct str text = STR("a:bc:");

	memset(longest, 'x', sizeof(longest));
	assert_true(auth_hash(&h, AUTH_MD5, part, 3, &joined));
	assert_true(auth_hash(&h, AUTH_MD5, &text, 1, &whole));
	assert_memory_equal(joined.text, whole.text, 32);
	for (uint32_t len = AUTH_JOINED_MAX - 4; len < AUTH_JOINED_MAX; len++) {
		struct str two[] = {str_of(longest, len), STR("y")};

		assert_int_equal(
			auth_hash(&h, AUTH_MD5, two, 2, &joined), len + 2 <= AUTH_JOINED_MAX);
	}
}

/* Each algorithm, with and without qop, body and session, against a client's own computation. */
static void responses_are_a_clients(void **state)
{
	static const char *const qops[] = {NULL, "auth", "auth-int"};

	for (int algorithm = 0; algorithm < AUTH_ALGORITHMS; algorithm++) {
		for (unsigned q = 0; q < 3; q++) {
			for (unsigned session = 0; session < 2; session++) {
				struct client c = {.user = "alice",
					.password = "p:w",
					.realm = "example.com",
					.nonce = "n",
					.uri = "sip:bob@example.com",
					.method = "INVITE",
					.algorithm = evp_names[algorithm],
					.qop = qops[q],
					.nc = 0x1f,
					.cnonce = "cn",
					.session = session != 0,
					.body = "v=0\r\n"};
				struct auth_response r = {
					.algorithm = (enum auth_algorithm)algorithm,
					.session = session != 0,
					.qop = (enum auth_qop)q,
					.nonce = STR("n"),
					.nc = STR("0000001f"),
					.cnonce = STR("cn"),
					.method = STR("INVITE"),
					.uri = STR("sip:bob@example.com"),
					.body = STR("v=0\r\n")};
				char want[129];

				client_response(&c, want);
				assert_response(
					&r, STR("alice"), STR("example.com"), STR("p:w"), want);
			}
		}
	}
}

/* What was hashed before is taken for nothing but itself: methods and URIs of the same lengths, of
 * each algorithm, in all orders, and one that is too long to be kept. */
static void what_is_known_of_a2_is_of_that_text(void **state)
{
	static const char *const methods[] = {"INVITE", "INVITF", "NOTIFY", "REGISTER"};
	static char long_uri[AUTH_KNOWN_A2_MAX + 8];
	const char *uris[] = {"sip:a@b", "sip:a@c", "sip:b@a", long_uri, long_uri + 1};

	memset(long_uri, 'u', sizeof(long_uri) - 1);
	for (unsigned i = 0; i < 3 * 5 * 4 * 7 * 11; i++) {
		unsigned pick = i * 7919;
		struct client c = {.user = "alice",
			.realm = "r",
			.password = "p",
			.nonce = "n",
			.method = methods[pick % 4],
			.uri = uris[pick / 4 % 5],
			.algorithm = auth_algorithm_name(
				(enum auth_algorithm)(pick / 20 % AUTH_ALGORITHMS))
					     .s};
		struct auth_response r = {
			.algorithm = (enum auth_algorithm)(pick / 20 % AUTH_ALGORITHMS),
			.nonce = STR("n"),
			.method = str_c(c.method),
			.uri = str_c(c.uri)};
		char want[129];

		client_response(&c, want);
		assert_response(&r, STR("alice"), STR("r"), STR("p"), want);
	}
}

static void comparison_looks_at_each_character(void **state)
{
	struct auth_hex hex = {.len = 64};
	char said[65];

	memset(hex.text, 'a', 64);
	memset(said, 'a', 65);
	assert_true(auth_hex_equal(&hex, str_of(said, 64)));
	assert_false(auth_hex_equal(&hex, str_of(said, 63)));
	assert_false(auth_hex_equal(&hex, str_of(said, 65)));
	assert_false(auth_hex_equal(&hex, STR_NONE));
	for (unsigned i = 0; i < 64; i++) {
		said[i] = 'b';
		assert_false(auth_hex_equal(&hex, str_of(said, 64)));
		said[i] = 'a';
	}
}

static void names_are_the_registrys(void **state)
{
	assert_int_equal(auth_algorithm_of(STR("md5")), AUTH_MD5);
	assert_int_equal(auth_algorithm_of(STR("SHA-256")), AUTH_SHA256);
	assert_int_equal(auth_algorithm_of(STR("sha-512-256")), AUTH_SHA512_256);
	assert_int_equal(auth_algorithm_of(STR("SHA-512")), -1);
	assert_int_equal(auth_algorithm_of(STR("")), -1);
}

static void passwords_have_bounds(void **state)
{
	char text[AUTH_PASSWORD_MAX + 1], out[AUTH_HEX_MAX];

	memset(text, 'p', sizeof(text));
	assert_int_equal(
		auth_ha1(AUTH_SHA256, STR("u"), STR("r"), str_of(text, AUTH_PASSWORD_MAX), out),
		64);
	assert_int_equal(
		auth_ha1(AUTH_SHA256, STR("u"), STR("r"), str_of(text, sizeof(text)), out), 0);
	assert_int_equal(
		auth_ha1(AUTH_SHA256, str_of(text, AUTH_USER_MAX + 1), STR("r"), STR("p"), out), 0);
	assert_int_equal(
		auth_ha1(AUTH_SHA256, STR("u"), str_of(text, AUTH_REALM_MAX + 1), STR("p"), out),
		0);
	assert_int_equal(auth_ha1(AUTH_ALGORITHMS, STR("u"), STR("r"), STR("p"), out), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(examples_of_rfc_7616_hold),
		cmocka_unit_test(the_example_of_rfc_2617_holds),
		cmocka_unit_test(what_rfc_8760_says_of_an_empty_body_holds),
		cmocka_unit_test(hashes_are_libcryptos),
		cmocka_unit_test(parts_are_joined_by_colons_and_bounded),
		cmocka_unit_test(responses_are_a_clients),
		cmocka_unit_test(what_is_known_of_a2_is_of_that_text),
		cmocka_unit_test(comparison_looks_at_each_character),
		cmocka_unit_test(names_are_the_registrys),
		cmocka_unit_test(passwords_have_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
