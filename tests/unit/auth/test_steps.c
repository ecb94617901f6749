/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * That a user there is not costs as many steps as a wrong password, counted one by one: a child
 * runs under ptrace, step by step, between two traps. And that none of it wants memory.
 */
#include "../message.h"
#include "common.h"

#include <malloc.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <openssl/crypto.h>

#define AUTHORIZE "\twww_authorize(\"example.com\", \"subscriber\");\n\t$var(rc) = $rc;"
#define RUNS 3 /* the first ones find what the later ones know */

static char *message(const struct client *c, uint32_t *len)
{
	return message_wire(registration_of(c), len);
}

/* The script alone, over a message that was read before. */
static void prepare_run(struct stage *s, char *buf, uint32_t len)
{
	route_ctx_bind(s->ctx, s->script, &s->thread, buf);
	assert_int_equal(sip_msg_index(&s->ctx->msg, buf, len), SIP_OK);
	assert_int_equal(sip_msg_check(&s->ctx->msg, buf), SIP_OK);
	route_ctx_reset(s->ctx);
}

static void child(struct stage *s, const struct client *c)
{
	uint32_t len;
	char *buf = message(c, &len);

	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
		_exit(77);
	for (unsigned i = 0; i < RUNS; i++) {
		prepare_run(s, buf, len);
		if (i == RUNS - 1)
			raise(SIGTRAP);
		if (route_run(s->ctx) != ROUTE_ENDED)
			_exit(1);
	}
	raise(SIGTRAP);
	_exit(0);
}

/* How many instructions the last of the runs takes, 0 where nobody can be traced here. The traps'
 * own are among them. */
static unsigned long steps_of(struct stage *s, const struct client *c)
{
	unsigned long steps = 0;
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0)
		child(s, c);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		return 0;
	assert_true(WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP);
	for (;; steps++) {
		siginfo_t info;

		assert_int_equal(ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL), 0);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSTOPPED(status));
		assert_int_equal(ptrace(PTRACE_GETSIGINFO, pid, NULL, &info), 0);
		/* raise() rather than a step. */
		if (info.si_code == SI_TKILL || info.si_code == SI_USER)
			break;
	}
	assert_int_equal(ptrace(PTRACE_CONT, pid, NULL, NULL), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	return steps;
}

static void nobody_takes_the_steps_of_a_wrong_password(void **state)
{
	static const char *const algorithms[] = {"MD5", "SHA-256", "SHA-512-256"};
	struct stage *s =
		stage_open("modparam(\"auth\", \"algorithm\", \"MD5,SHA-256,SHA-512-256\")\n",
			AUTHORIZE "\n\twww_challenge(\"example.com\", \"1\");");

	/* A user of a table that has no hashes by SHA for him: he is there, and has no secret. */
	stage_sql(s, "INSERT INTO subscriber VALUES ('carol', 'example.com', '', "
		     "'0123456789abcdef0123456789abcdef', '', '', '', '')");
	for (unsigned i = 0; i < 6; i++) {
		/* Names of one length. */
		struct client wrong = {.user = i < 3 ? "alice" : "carol",
				      .password = "wrong",
				      .qop = "auth",
				      .nc = 1,
				      .algorithm = algorithms[i % 3],
				      .nonce = fresh_nonce(s)},
			      nobody = wrong;
		unsigned long of_wrong, of_nobody, differ;

		nobody.user = "nobod";
		assert_status(stage_send(s, registration_of(&wrong)), 401);
		assert_int_equal(stage_rc(s), AUTH_WRONG_PASSWORD);
		assert_status(stage_send(s, registration_of(&nobody)), 401);
		assert_int_equal(stage_rc(s), AUTH_USER_UNKNOWN);
		of_wrong = steps_of(s, &wrong);
		of_nobody = steps_of(s, &nobody);
		if (of_wrong == 0)
			skip();
		differ = of_wrong > of_nobody ? of_wrong - of_nobody : of_nobody - of_wrong;
		print_message("%s, %s: %lu and %lu instructions\n", wrong.user, algorithms[i % 3],
			of_wrong, of_nobody);
		/* What db does to unpack a row, a hundred instructions: less than a block of the
		 * cheapest hash. */
		if (differ * 50 > of_wrong)
			fail_msg("a wrong password takes %lu steps, nobody %lu", of_wrong,
				of_nobody);
	}
	stage_close(s);
}

/* Nor, where passwords are in the clear, who has a hash only. */
static void nobody_takes_the_steps_of_a_hash_beside_clear_passwords(void **state)
{
	struct stage *s = stage_open("modparam(\"auth_db\", \"calculate_ha1\", 1)\n"
				     "modparam(\"auth_db\", \"password_column\", \"password\")\n",
		AUTHORIZE "\n\twww_challenge(\"example.com\", \"1\");");
	struct client wrong = {.user = "carol", .password = "wrong", .qop = "auth", .nc = 1},
		      nobody;
	unsigned long of_wrong, of_nobody, differ;

	stage_sql(s, "INSERT INTO subscriber VALUES ('carol', 'example.com', '', "
		     "'0123456789abcdef0123456789abcdef', '', '', '', '')");
	wrong.nonce = fresh_nonce(s);
	nobody = wrong;
	nobody.user = "nobod";
	assert_status(stage_send(s, registration_of(&wrong)), 401);
	assert_int_equal(stage_rc(s), AUTH_WRONG_PASSWORD);
	assert_status(stage_send(s, registration_of(&nobody)), 401);
	assert_int_equal(stage_rc(s), AUTH_USER_UNKNOWN);
	of_wrong = steps_of(s, &wrong);
	of_nobody = steps_of(s, &nobody);
	if (of_wrong == 0)
		skip();
	differ = of_wrong > of_nobody ? of_wrong - of_nobody : of_nobody - of_wrong;
	print_message("%lu and %lu instructions\n", of_wrong, of_nobody);
	assert_true(differ * 50 < of_wrong);
	stage_close(s);
}

/* ---- memory ---- */

static _Atomic unsigned taken;

static void *counted_malloc(size_t len, const char *file, int line)
{
	taken++;
	return malloc(len);
}

static void *counted_realloc(void *p, size_t len, const char *file, int line)
{
	taken++;
	return realloc(p, len);
}

static void counted_free(void *p, const char *file, int line)
{
	free(p);
}

static void no_message_wants_memory(void **state)
{
	static const char *const algorithms[] = {"MD5", "SHA-256", "SHA-512-256"};
	struct stage *s =
		stage_open("modparam(\"auth\", \"algorithm\", \"MD5,SHA-256,SHA-512-256\")\n",
			AUTHORIZE "\n\twww_challenge(\"example.com\", \"1\");");
	const char *nonce = fresh_nonce(s);

	for (unsigned i = 0; i < 3; i++) {
		struct client c = {
			.qop = "auth", .nc = i + 1, .algorithm = algorithms[i], .nonce = nonce};
		struct mallinfo2 before, after;
		uint32_t len;
		char *buf;

		/* So that the row is known. */
		if (i == 0)
			stage_send(s, registration_of(&(struct client){.password = "wrong",
					      .qop = "auth",
					      .nc = 1,
					      .nonce = nonce}));
		buf = message(&c, &len);
		prepare_run(s, buf, len);
		taken = 0;
		before = mallinfo2();
		assert_int_equal(route_run(s->ctx), ROUTE_ENDED);
		after = mallinfo2();
		assert_int_equal(stage_rc(s), AUTH_OK);
		assert_int_equal(taken, 0);
		assert_int_equal(after.uordblks, before.uordblks);
		free(buf);
	}
	stage_close(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nobody_takes_the_steps_of_a_wrong_password),
		cmocka_unit_test(nobody_takes_the_steps_of_a_hash_beside_clear_passwords),
		cmocka_unit_test(no_message_wants_memory),
	};

	/* Before libcrypto has taken anything. */
	if (CRYPTO_set_mem_functions(counted_malloc, counted_realloc, counted_free) != 1)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
