/* SPDX-License-Identifier: BSD-3-Clause */
/* The secret file: created once and private, readable by a person, rolled without losing anything.
 */
#include "harness.h"

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[64], path[96], error[512];

static int make_folder(void **state)
{
	strcpy(folder, "/tmp/siplane-proxy-XXXXXX");
	if (mkdtemp(folder) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/secret", folder);
	error[0] = 0;
	return 0;
}

static int remove_folder(void **state)
{
	unlink(path);
	return rmdir(folder); /* fails where a temporary file was left */
}

static void read_file(char *out, size_t size)
{
	FILE *file = fopen(path, "r");
	size_t n;

	assert_non_null(file);
	n = fread(out, 1, size - 1, file);
	out[n] = 0;
	fclose(file);
}

static void write_file(const char *text, mode_t mode)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
	assert_int_equal(chmod(path, mode), 0);
}

static void a_missing_file_is_created_with_mode_0600(void **state)
{
	struct proxy *p = proxy_create(NULL, NULL);
	struct stat st;
	char text[4096];
	mode_t old = umask(0);

	assert_int_equal(proxy_secret_load(p, path, error, sizeof(error)), 0);
	umask(old);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	read_file(text, sizeof(text));
	assert_non_null(strstr(text, "\nversion 1\nbranch "));
	assert_non_null(strstr(text, "\nmac a "));
	assert_non_null(strstr(text, "\nnext b "));
	proxy_destroy(p);
}

static void an_existing_file_is_read_and_left_alone(void **state)
{
	struct proxy *p = proxy_create(NULL, NULL), *q = proxy_create(NULL, NULL);
	char before[4096], after[4096];

	assert_int_equal(proxy_secret_load(p, path, error, sizeof(error)), 0);
	read_file(before, sizeof(before));
	assert_int_equal(proxy_secret_load(q, path, error, sizeof(error)), 0);
	read_file(after, sizeof(after));
	assert_string_equal(before, after);
	assert_memory_equal(proxy_keys(p), proxy_keys(q), sizeof(struct keys));
	proxy_destroy(p);
	proxy_destroy(q);
}

/* Each process waits at a barrier of a pipe, loads, and writes the keys that it got. */
static void processes_that_start_at_once_agree(void **state)
{
	struct keys got[8];
	int start[2], result[2];

	assert_int_equal(pipe(start), 0);
	assert_int_equal(pipe(result), 0);
	for (unsigned i = 0; i < 8; i++) {
		pid_t pid = fork();

		assert_true(pid >= 0);
		if (pid == 0) {
			struct keys keys;
			char byte;

			close(start[1]);
			if (read(start[0], &byte, 1) != 0 ||
				proxy_secret_read(path, &keys, error, sizeof(error)) != 0 ||
				write(result[1], &keys, sizeof(keys)) != sizeof(keys))
				_exit(1);
			_exit(0);
		}
	}
	close(start[1]);
	for (unsigned i = 0; i < 8; i++) {
		int status;

		assert_true(wait(&status) > 0);
		assert_int_equal(status, 0);
		assert_int_equal(read(result[0], &got[i], sizeof(got[i])), sizeof(got[i]));
		assert_memory_equal(got[0].mac, got[i].mac, sizeof(got[0].mac));
		assert_memory_equal(&got[0].branch, &got[i].branch, sizeof(got[0].branch));
	}
	close(start[0]);
	close(result[0]);
	close(result[1]);
}

static void a_file_that_others_can_read_is_refused_with_the_remedy(void **state)
{
	static const mode_t open_modes[] = {0640, 0604, 0620, 0660, 0644, 0602};
	struct proxy *p = proxy_create(NULL, NULL);

	assert_int_equal(proxy_secret_load(p, path, error, sizeof(error)), 0);
	for (unsigned i = 0; i < sizeof(open_modes) / sizeof(open_modes[0]); i++) {
		chmod(path, open_modes[i]);
		assert_int_equal(proxy_secret_load(p, path, error, sizeof(error)), -EPERM);
		assert_non_null(strstr(error, "chmod 600"));
		assert_non_null(strstr(error, path));
		assert_int_equal(proxy_secret_roll(path, error, sizeof(error)), -EPERM);
	}
	chmod(path, 0400);
	assert_int_equal(proxy_secret_load(p, path, error, sizeof(error)), 0);
	proxy_destroy(p);
}

static void a_folder_that_is_not_there_is_named_with_the_setting(void **state)
{
	struct proxy *p = proxy_create(NULL, NULL);
	char file[128];

	snprintf(file, sizeof(file), "%s/none/secret", folder);
	assert_int_equal(proxy_secret_load(p, file, error, sizeof(error)), -ENOENT);
	assert_non_null(strstr(error, file));
	assert_null(strstr(error, ".new"));
	assert_non_null(strstr(error, "mkdir -p"));
	assert_non_null(strstr(error, "secret_file"));
	proxy_destroy(p);
}

#define GOOD \
	"version 1\nbranch 00112233445566778899aabbccddeeff\nmac q " \
	"00112233445566778899AABBCCDDEEFF\n"

static void what_is_wrong_is_said_with_its_line(void **state)
{
	static const struct {
		const char *text, *says;
	} files[] = {
		{"", "not whole"},
		{"version 1\n", "not whole"},
		{"version 2\n", ":1: only version 1"},
		{"hello\n", ":1: unknown word"},
		{"version 1\nbranch 0011\n", ":2: 'branch'"},
		{"version 1\nbranch 00112233445566778899aabbccddeefg\n", ":2: 'branch'"},
		{GOOD "branch 00112233445566778899aabbccddeeff\n", ":4: 'branch'"},
		{GOOD "mac r 00112233445566778899aabbccddeeff\n", ":4: one 'mac'"},
		{"version 1\nnext r 00112233445566778899aabbccddeeff\n", ":2: one 'mac'"},
		{GOOD "retired q 00112233445566778899aabbccddeeff\n", ":4: a key has an id"},
		{GOOD "retired Q 00112233445566778899aabbccddeeff\n", ":4: a key has an id"},
		{GOOD "retired 1 00112233445566778899aabbccddeeff\n", ":4: a key has an id"},
		{GOOD "retired rr 00112233445566778899aabbccddeeff\n", ":4: a key has an id"},
		{GOOD "retired\n", ":4: a key has an id"},
	};
	struct proxy *p = proxy_create(NULL, NULL);

	for (unsigned i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		write_file(files[i].text, 0600);
		assert_int_equal(proxy_secret_load(p, path, error, sizeof(error)), -EINVAL);
		if (strstr(error, files[i].says) == NULL)
			fail_msg("file %u: %s", i, error);
		assert_null(proxy_keys(p));
	}
	write_file("# comment\n\n  " GOOD "retired z 00112233445566778899aabbccddeeff", 0600);
	assert_int_equal(proxy_secret_load(p, path, error, sizeof(error)), 0);
	assert_int_equal(proxy_keys(p)->count, 2);
	assert_int_equal(proxy_keys(p)->mac[0].id, 'q');
	proxy_destroy(p);
}

static void no_more_keys_than_there_is_room_for(void **state)
{
	struct proxy *p = proxy_create(NULL, NULL);
	char text[4096];
	size_t n = (size_t)snprintf(text, sizeof(text), "%s", GOOD);

	for (char id = 'a'; id < 'a' + PROXY_KEYS_MAX; id++)
		n += (size_t)snprintf(text + n, sizeof(text) - n,
			"retired %c 00112233445566778899aabbccddeeff\n", id);
	write_file(text, 0600);
	assert_int_equal(proxy_secret_load(p, path, error, sizeof(error)), -EINVAL);
	assert_non_null(strstr(error, "too many keys"));
	proxy_destroy(p);
}

static void a_large_or_special_file_is_refused(void **state)
{
	struct proxy *p = proxy_create(NULL, NULL);
	char text[8192];

	memset(text, '#', sizeof(text) - 1);
	text[sizeof(text) - 1] = 0;
	write_file(text, 0600);
	assert_int_equal(proxy_secret_load(p, path, error, sizeof(error)), -EFBIG);
	unlink(path);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(proxy_secret_load(p, path, error, sizeof(error)), -EINVAL);
	rmdir(path);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(proxy_secret_load(p, path, error, sizeof(error)), -EINVAL);
	assert_int_equal(
		proxy_secret_load(p, "/nowhere/at/all/secret", error, sizeof(error)), -ENOENT);
	assert_non_null(strstr(error, "cannot create"));
	proxy_destroy(p);
}

static void a_roll_lets_the_announced_key_sign_and_announces_another(void **state)
{
	struct proxy *p = proxy_create(NULL, NULL);
	struct keys before, after;
	struct stat st;

	assert_int_equal(proxy_secret_load(p, path, error, sizeof(error)), 0);
	for (unsigned i = 0; i < 70; i++) {
		before = *proxy_keys(p);
		assert_int_equal(proxy_secret_roll(path, error, sizeof(error)), 0);
		assert_int_equal(proxy_secret_load(p, path, error, sizeof(error)), 0);
		after = *proxy_keys(p);
		assert_memory_equal(&before.branch, &after.branch, sizeof(before.branch));
		assert_int_equal(after.mac[0].id, before.mac[1].id);
		assert_memory_equal(
			&after.mac[0].key, &before.mac[1].key, sizeof(before.mac[0].key));
		assert_int_equal(after.mac[2].id, before.mac[0].id);
		for (unsigned k = 0; k < after.count; k++)
			assert_true(k == 1 || after.mac[k].id != after.mac[1].id);
		assert_int_equal(after.count,
			before.count < PROXY_KEYS_MAX ? before.count + 1 : PROXY_KEYS_MAX);
	}
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	proxy_destroy(p);
}

static void a_file_without_next_announces_first(void **state)
{
	struct proxy *p = proxy_create(NULL, NULL);

	write_file(GOOD "retired z 00112233445566778899aabbccddeef0\n", 0600);
	assert_int_equal(proxy_secret_roll(path, error, sizeof(error)), 0);
	assert_int_equal(proxy_secret_load(p, path, error, sizeof(error)), 0);
	assert_int_equal(proxy_keys(p)->mac[0].id, 'q');
	assert_int_equal(proxy_keys(p)->mac[1].id, 'r');
	assert_int_equal(proxy_keys(p)->mac[2].id, 'z');
	assert_int_equal(proxy_secret_roll(path, error, sizeof(error)), 0);
	assert_int_equal(proxy_secret_load(p, path, error, sizeof(error)), 0);
	assert_int_equal(proxy_keys(p)->mac[0].id, 'r');
	proxy_destroy(p);
}

static void a_roll_of_no_file_says_so(void **state)
{
	assert_int_equal(proxy_secret_roll(path, error, sizeof(error)), -ENOENT);
	assert_non_null(strstr(error, "no secret file"));
}

static void another_branch_key_is_not_taken_while_running(void **state)
{
	struct proxy *p = proxy_create(NULL, NULL);
	struct keys before;

	assert_int_equal(proxy_secret_load(p, path, error, sizeof(error)), 0);
	before = *proxy_keys(p);
	write_file(GOOD, 0600);
	assert_int_equal(proxy_secret_load(p, path, error, sizeof(error)), -EINVAL);
	assert_non_null(strstr(error, "another branch key"));
	assert_memory_equal(proxy_keys(p), &before, sizeof(before));
	proxy_destroy(p);
}

static void without_a_file_the_keys_are_of_this_process_and_stay(void **state)
{
	struct proxy *p = proxy_create(NULL, NULL);
	const struct keys *keys;

	if (p == NULL) {
		fail();
		return; /* which compilers do not know of fail() */
	}
	assert_int_equal(proxy_secret_load(p, NULL, error, sizeof(error)), 0);
	keys = proxy_keys(p);
	assert_int_equal(proxy_secret_load(p, NULL, error, sizeof(error)), 0);
	assert_ptr_equal(proxy_keys(p), keys);
	proxy_destroy(p);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, make_folder, remove_folder)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_missing_file_is_created_with_mode_0600),
		TEST(an_existing_file_is_read_and_left_alone),
		TEST(processes_that_start_at_once_agree),
		TEST(a_file_that_others_can_read_is_refused_with_the_remedy),
		TEST(a_folder_that_is_not_there_is_named_with_the_setting),
		TEST(what_is_wrong_is_said_with_its_line),
		TEST(no_more_keys_than_there_is_room_for),
		TEST(a_large_or_special_file_is_refused),
		TEST(a_roll_lets_the_announced_key_sign_and_announces_another),
		TEST(a_file_without_next_announces_first),
		TEST(a_roll_of_no_file_says_so),
		TEST(another_branch_key_is_not_taken_while_running),
		TEST(without_a_file_the_keys_are_of_this_process_and_stay),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
