/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/base.h"
#include "base/log.h"

static void test_str_compare(void **state)
{
	assert_true(str_eq(STR("abc"), str_of("abcd", 3)));
	assert_false(str_eq(STR("abc"), STR("abd")));
	assert_true(str_ieq(STR("CaLL-id"), STR("call-ID")));
	/* '[' and '{' differ by the same bit as letters do, and are not letters. */
	assert_false(str_ieq(STR("["), STR("{")));
	assert_false(str_ieq(STR("abc"), STR("abcd")));
	assert_true(str_istarts(STR("Z9HG4BKx"), STR("z9hG4bK")));
	assert_true(str_eq(str_trim(STR(" \t a b\r\n ")), STR("a b")));
	assert_int_equal(str_trim(STR(" \r\n")).len, 0);
	assert_int_equal(str_find(STR("a:b"), ':'), 1);
	assert_int_equal(str_find(STR_NONE, ':'), -1);
	assert_int_equal(str_find_str(STR("hello"), STR("lo")), 3);
	assert_int_equal(str_find_str(STR("lo"), STR("hello")), -1);
}

static void test_lowering_and_comparing_take_every_byte_and_length(void **state)
{
	char text[40], low[41], same[41];

	for (unsigned c = 0; c < 256; c++)
		for (uint32_t len = 0; len <= sizeof(text); len++) {
			for (uint32_t i = 0; i < len; i++)
				text[i] = (char)(c + i);
			low[len] = same[len] = '!';
			str_lower(low, str_of(text, len));
			str_copy(same, str_of(text, len));
			assert_memory_equal(same, text, len);
			for (uint32_t i = 0; i < len; i++)
				assert_int_equal(low[i], str_lower_char(text[i]));
			assert_true(low[len] == '!' && same[len] == '!');
			assert_true(str_ieq(str_of(low, len), str_of(text, len)));
			for (uint32_t i = 0; i < len; i++) {
				same[i] ^= 1;
				assert_int_equal(str_ieq(str_of(same, len), str_of(text, len)),
					str_lower_char(same[i]) == str_lower_char(text[i]));
				same[i] ^= 1;
			}
			str_lower(text, str_of(text, len));
			assert_memory_equal(text, low, len);
		}
}

static void test_str_numbers(void **state)
{
	uint32_t v = 7;
	uint64_t w;
	char out[20];

	assert_int_equal(str_to_u32(STR("0000070"), 70, &v), 0);
	assert_int_equal(v, 70);
	assert_int_equal(str_to_u32(STR("71"), 70, &v), -ERANGE);
	assert_int_equal(v, 70);
	assert_int_equal(str_to_u32(STR(""), 70, &v), -EINVAL);
	assert_int_equal(str_to_u32(STR("-1"), 70, &v), -EINVAL);
	assert_int_equal(str_to_u32(STR("1 "), 70, &v), -EINVAL);
	assert_int_equal(str_to_u32(STR("4294967296"), UINT32_MAX, &v), -ERANGE);
	assert_int_equal(str_to_u64(STR("18446744073709551615"), UINT64_MAX, &w), 0);
	assert_true(w == UINT64_MAX);
	assert_int_equal(str_to_u64(STR("18446744073709551616"), UINT64_MAX, &w), -ERANGE);
	assert_int_equal(
		str_to_u64(STR("9999999999999999999999999999999999999999"), UINT64_MAX, &w),
		-ERANGE);
	/* Another character is named first, however large the number before it is. */
	assert_int_equal(str_to_u64(STR("99999999999999999999999999x"), UINT64_MAX, &w), -EINVAL);
	assert_int_equal(str_from_u64(out, 0), 1);
	assert_memory_equal(out, "0", 1);
	assert_int_equal(str_from_u64(out, UINT64_MAX), 20);
	assert_memory_equal(out, "18446744073709551615", 20);
}

/* The vectors of the SipHash paper's reference: key 00..0f, input 00..n-1. */
static void test_siphash_vectors(void **state)
{
	static const struct {
		unsigned len;
		uint64_t want;
	} vectors[] = {{0, 0x726fdb47dd0e0e31ULL}, {1, 0x74f839c593dc67fdULL},
		{15, 0xa129ca6149be45e5ULL}};
	struct hash_key key;
	uint8_t in[64];

	for (unsigned i = 0; i < 16; i++)
		((uint8_t *)&key)[i] = (uint8_t)i;
	for (unsigned i = 0; i < sizeof(in); i++)
		in[i] = (uint8_t)i;
	for (unsigned i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++)
		assert_true(hash_text(&key, str_of((char *)in, vectors[i].len)) == vectors[i].want);

	/* 128 bits, empty input: a3817f04ba25a8e6 6df67214c7550293 in memory order. */
	struct hash h;

	hash_init128(&h, &key);
	struct hash128 wide = hash_final128(&h);

	assert_true(wide.lo == 0xe6a825ba047f81a3ULL);
	assert_true(wide.hi == 0x930255c71472f66dULL);
}

static void test_hash_is_incremental_and_framed(void **state)
{
	struct hash_key key = {{1, 2}};
	const char *text = "INVITE sip:bob@example.com SIP/2.0";
	struct str all = str_c(text);
	uint64_t want = hash_text(&key, all);

	for (uint32_t cut = 0; cut <= all.len; cut++) {
		struct hash h;

		hash_init(&h, &key);
		hash_bytes(&h, text, cut);
		hash_bytes(&h, text + cut, all.len - cut);
		assert_true(hash_final(&h) == want);
	}
	struct hash a, b;

	hash_init(&a, &key);
	hash_str(&a, STR("ab"));
	hash_str(&a, STR("c"));
	hash_init(&b, &key);
	hash_str(&b, STR("a"));
	hash_str(&b, STR("bc"));
	assert_true(hash_final(&a) != hash_final(&b));
	hash_init(&a, &key);
	hash_str_lower(&a, STR("Example.COM"));
	hash_init(&b, &key);
	hash_str(&b, STR("example.com"));
	assert_true(hash_final(&a) == hash_final(&b));
}

static void test_base32(void **state)
{
	static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz234567";
	char out[12];
	uint64_t back;

	/* Every digit at every place, and as many characters as were asked for. */
	for (unsigned digit = 0; digit < 32; digit++)
		for (unsigned n = 1; n <= 12; n++) {
			memset(out, '!', sizeof(out));
			hash_base32(out, (uint64_t)digit << (64 - 5 * n), 5 * n);
			for (unsigned i = 0; i < 12; i++)
				assert_int_equal(out[i], i >= n       ? '!'
							 : i == n - 1 ? alphabet[digit]
								      : 'a');
		}
	hash_base32(out, 0xdeadbeefcafef00dULL, 60);
	assert_true(hash_unbase32(str_of(out, 12), &back));
	assert_true(back == (0xdeadbeefcafef00dULL & ~15ULL));
	assert_false(hash_unbase32(STR("ab1"), &back));
	assert_false(hash_unbase32(STR("abcdefghijklm"), &back));
	uint64_t upper;

	hash_unbase32(STR("abc"), &back);
	hash_unbase32(STR("ABC"), &upper);
	assert_true(upper == back);
}

static int freed;

static void count_free(void *object)
{
	freed++;
}

static void test_rcu(void **state)
{
	static struct rcu rcu;
	int object;

	rcu_init(&rcu);
	int a = rcu_register(&rcu), b = rcu_register(&rcu);

	freed = 0;
	assert_int_equal(rcu_retire(&rcu, &object, count_free), 0);
	assert_int_equal(rcu_reclaim(&rcu), 1);
	rcu_quiescent(&rcu, a);
	assert_int_equal(rcu_reclaim(&rcu), 1);
	rcu_offline(&rcu, b); /* a sleeper holds nothing up */
	assert_int_equal(rcu_reclaim(&rcu), 0);
	assert_int_equal(freed, 1);
	rcu_online(&rcu, b);
	assert_int_equal(rcu_retire(&rcu, &object, count_free), 0);
	rcu_quiescent(&rcu, a);
	assert_int_equal(rcu_reclaim(&rcu), 1);
	rcu_quiescent(&rcu, b);
	assert_int_equal(rcu_reclaim(&rcu), 0);
	assert_int_equal(freed, 2);
	for (int i = 0; i < RCU_RETIRED_MAX; i++)
		assert_int_equal(rcu_retire(&rcu, &object, count_free), 0);
	assert_int_equal(rcu_retire(&rcu, &object, count_free), -ENOSPC);
	rcu_fini(&rcu);
	assert_int_equal(freed, 2 + RCU_RETIRED_MAX);
}

/* The forms for a whole branch and a whole token against the one for any length. */
static void test_base32_of_80_and_60_bits(void **state)
{
	uint64_t random = 1, read, want;
	char out[16], slow[17], in[12];

	for (unsigned n = 0; n < 10000; n++) {
		struct hash128 v;

		random = random * 6364136223846793005ULL + 1442695040888963407ULL;
		v.lo = random ^ random >> 29;
		random = random * 6364136223846793005ULL + 1442695040888963407ULL;
		v.hi = random ^ random >> 31;
		hash_base32_of_80(out, v);
		hash_base32(slow, __builtin_bswap64(v.lo), 60);
		hash_base32(slow + 12,
			__builtin_bswap64(v.lo) << 60 | (__builtin_bswap64(v.hi) >> 48) << 44, 20);
		assert_memory_equal(out, slow, 16);
		for (unsigned i = 0; i < 12; i++)
			in[i] = (v.hi >> i & 1) != 0 && str_is_alpha(out[i]) ? out[i] - 32 : out[i];
		assert_true(hash_unbase32_60(in, &read));
		assert_true(hash_unbase32(str_of(in, 12), &want));
		assert_true(read == want);
	}
	for (unsigned c = 0; c < 256; c++) {
		memset(in, 'k', sizeof(in));
		in[c % 12] = (char)c;
		assert_int_equal(hash_unbase32_60(in, &read), hash_unbase32(str_of(in, 12), &want));
	}
}

/* RFC 3629: what begins a character, and what only looks so. */
static void utf8_is_what_rfc_3629_says(void **state)
{
	static const struct {
		const char *text;
		unsigned bytes;
	} cases[] = {
		{"a", 1},
		{"\x7f", 1},
		{"\xc3\xbc", 2},
		{"\xe2\x82\xac", 3},
		{"\xf0\x9f\x98\x80", 4},
		{"\xf4\x8f\xbf\xbf", 4},
		{"\x80", 0},
		{"\xc3", 0},
		{"\xc0\xaf", 0},
		{"\xc1\xbf", 0},
		{"\xe0\x9f\xbf", 0},
		{"\xed\xa0\x80", 0},
		{"\xf0\x8f\xbf\xbf", 0},
		{"\xf4\x90\x80\x80", 0},
		{"\xf5\x80\x80\x80", 0},
		{"\xe2\x82", 0},
		{"\xe2\x28\xa1", 0},
		{"", 0},
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(str_utf8_char(str_c(cases[i].text)), cases[i].bytes);
	assert_int_equal(str_utf8_len(STR("Gr\xc3\xbc\xdf")), 4);
	assert_int_equal(str_utf8_len(STR("Gr\xc3\xbc\xc3")), 4);
	assert_int_equal(str_utf8_len(STR("a\0b")), 1);
	assert_int_equal(str_utf8_len(STR("")), 0);
}

/* What somebody does not take keeps nobody waiting: nothing comes behind the last line. */
static void test_a_log_that_is_given_up(void **state)
{
	char got[256] = "";
	size_t len = 0;
	int fd[2], status;
	ssize_t n;
	pid_t pid;

	assert_int_equal(pipe(fd), 0);
	pid = fork();
	if (pid == 0) {
		dup2(fd[1], STDERR_FILENO);
		log_error("one");
		log_give_up("two");
		log_error("three");
		log_line(0, LOG_LEVEL_ERROR, "four", 4);
		_exit(0);
	}
	close(fd[1]);
	while ((n = read(fd[0], got + len, sizeof(got) - 1 - len)) > 0)
		len += (size_t)n;
	close(fd[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_string_equal(got, "siplane: one\ntwo\n");
}

/* Not even for that: a pipe that is full, and whose reader does not read. */
static void test_a_log_is_given_up_at_once(void **state)
{
	char full[4096] = "";
	int fd[2], status;
	pid_t pid;

	assert_int_equal(pipe(fd), 0);
	assert_int_equal(fcntl(fd[1], F_SETFL, O_NONBLOCK), 0);
	while (write(fd[1], full, sizeof(full)) > 0)
		;
	assert_int_equal(fcntl(fd[1], F_SETFL, 0), 0);
	pid = fork();
	if (pid == 0) {
		alarm(60); /* whoever waits for the reader ends so */
		dup2(fd[1], STDERR_FILENO);
		log_give_up("one");
		log_error("two");
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	close(fd[0]);
	close(fd[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(utf8_is_what_rfc_3629_says),
		cmocka_unit_test(test_str_compare),
		cmocka_unit_test(test_lowering_and_comparing_take_every_byte_and_length),
		cmocka_unit_test(test_str_numbers),
		cmocka_unit_test(test_siphash_vectors),
		cmocka_unit_test(test_base32_of_80_and_60_bits),
		cmocka_unit_test(test_hash_is_incremental_and_framed),
		cmocka_unit_test(test_base32),
		cmocka_unit_test(test_a_log_that_is_given_up),
		cmocka_unit_test(test_a_log_is_given_up_at_once),
		cmocka_unit_test(test_rcu),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
