/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * AES-CMAC: the examples of RFC 4493 4, OpenSSL's CMAC over every length, and that both ways to
 * compute it and chains of blocks give the same. What is read lies at the very end of its block of
 * memory.
 */
#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/base.h"
#include "base/mac_chain.h"

static const char *const ways[] = {"portable", "aesni"};

static void unhex(const char *hex, uint8_t *out)
{
	for (; *hex != 0; hex += 2, out++) {
		unsigned v = 0;

		for (unsigned i = 0; i < 2; i++)
			v = v << 4 | (unsigned)(hex[i] <= '9' ? hex[i] - '0' : hex[i] - 'a' + 10);
		*out = (uint8_t)v;
	}
}

static struct mac_key key_of(const uint8_t bytes[16])
{
	struct hash_key secret;
	struct mac_key key;

	memcpy(&secret, bytes, sizeof(secret));
	mac_key_set(&key, &secret);
	return key;
}

static void the_examples_of_rfc_4493(void **state)
{
	static const struct {
		uint32_t len;
		const char *code;
	} examples[] = {{0, "bb1d6929e95937287fa37d129b756746"},
		{16, "070a16b46b4d4144f79bdd9dd04a287c"}, {40, "dfa66747de9ae63030ca32611497c827"},
		{64, "51f0bebf7e3b9d92fc49741779363cfe"}};
	uint8_t secret[16], message[64], want[16];
	struct mac_key key;

	unhex("2b7e151628aed2a6abf7158809cf4f3c", secret);
	unhex("6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"
	      "30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710",
		message);
	for (unsigned w = 0; w < 2; w++) {
		if (mac_select(ways[w]) != 0)
			continue;
		key = key_of(secret);
		unhex("fbeed618357133667c85e08f7236a8de", want);
		assert_memory_equal(key.subkey[0], want, 16);
		unhex("f7ddac306ae266ccf90bc11ee46d513b", want);
		assert_memory_equal(key.subkey[1], want, 16);
		for (unsigned i = 0; i < 4; i++) {
			struct hash128 code = mac_bytes(&key, message, examples[i].len);

			unhex(examples[i].code, want);
			assert_memory_equal(&code, want, 16);
		}
	}
}

static void openssl_says(
	EVP_MAC *mac, const uint8_t *secret, const void *data, size_t len, void *out)
{
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_CIPHER, (char[]){"AES-128-CBC"}, 0),
		OSSL_PARAM_construct_end()};
	EVP_MAC_CTX *ctx = EVP_MAC_CTX_new(mac);
	size_t n = 0;

	assert_non_null(ctx);
	assert_int_equal(EVP_MAC_init(ctx, secret, 16, params), 1);
	assert_int_equal(EVP_MAC_update(ctx, data, len), 1);
	assert_int_equal(EVP_MAC_final(ctx, out, &n, 16), 1);
	assert_int_equal(n, 16);
	EVP_MAC_CTX_free(ctx);
}

MAC_INLINE struct hash128 chain(
	mac_encrypt_fn *encrypt, const struct mac_key *key, const uint8_t *data, uint32_t blocks)
{
	struct mac_chain c = mac_chain_begin(mac_load(data));

	for (uint32_t i = 1; i < blocks; i++)
		mac_chain_add(encrypt, key, &c, mac_load(data + i * MAC_BLOCK));
	return mac_chain_end(encrypt, key, &c);
}

static struct hash128 chain_portable(
	const struct mac_key *key, const uint8_t *data, uint32_t blocks)
{
	return chain(mac_encrypt_portable, key, data, blocks);
}

MAC_AESNI static struct hash128 chain_aesni(
	const struct mac_key *key, const uint8_t *data, uint32_t blocks)
{
	return chain(mac_encrypt_aesni, key, data, blocks);
}

static void every_length_is_as_openssl_says_and_whole_blocks_in_a_chain(void **state)
{
	EVP_MAC *mac = EVP_MAC_fetch(NULL, "CMAC", NULL);
	uint64_t random = 0x9e3779b97f4a7c15ULL;
	uint8_t secret[16], want[16];

	assert_non_null(mac);
	for (uint32_t len = 0; len <= 200; len++) {
		uint8_t *data = malloc(len != 0 ? len : 1);
		struct mac_key key;

		assert_non_null(data);
		for (uint32_t i = 0; i < len + 16; i++) {
			random = random * 6364136223846793005ULL + 1442695040888963407ULL;
			if (i < len)
				data[i] = (uint8_t)(random >> 56);
			else
				secret[i - len] = (uint8_t)(random >> 56);
		}
		openssl_says(mac, secret, data, len, want);
		key = key_of(secret);
		for (unsigned w = 0; w < 2; w++) {
			struct hash128 code;

			if (mac_select(ways[w]) != 0)
				continue;
			code = mac_bytes(&key, data, len);
			assert_memory_equal(&code, want, 16);
			if (len % MAC_BLOCK != 0 || len == 0)
				continue;
			code = w == 0 ? chain_portable(&key, data, len / MAC_BLOCK)
				      : chain_aesni(&key, data, len / MAC_BLOCK);
			assert_memory_equal(&code, want, 16);
		}
		free(data);
	}
	EVP_MAC_free(mac);
}

static void only_known_ways_are_taken(void **state)
{
	assert_int_equal(mac_select("portable"), 0);
	assert_int_equal(mac_select("rot13"), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_examples_of_rfc_4493),
		cmocka_unit_test(every_length_is_as_openssl_says_and_whole_blocks_in_a_chain),
		cmocka_unit_test(only_known_ways_are_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
