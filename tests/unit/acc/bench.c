/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What accounting costs a slow lcore: `bench_acc WHAT CALLS` for callgrind, whose figure for
 * txn_tell() (inclusive) divided by the number of transactions is the answer.
 *
 *   none      marked by nothing: what everybody pays
 *   row       INVITE and BYE have a row each
 *   extras    ... with five extra fields
 *   line      ... a line of the log instead
 *   cdr       a row each, and the call's
 */
#include "common.h"

#define RELAYS(flag) \
	"request_route { $avp(account) = \"1234\"; " flag " if (!t_relay()) sl_reply_error(); }\n"
#define EXTRAS "modparam(\"acc\", \"db_extra\", \"f0=$fu;f1=$tu;f2=$ua;f3=$si;f4=$avp(account)\")\n"

static const struct {
	const char *what, *script;
} kinds[] = {
	{"none", FLAGS RELAYS("")},
	{"row", FLAGS RELAYS("setflag(2);")},
	{"extras", FLAGS EXTRAS RELAYS("setflag(2);")},
	{"line", FLAGS RELAYS("setflag(1);")},
	{"cdr", FLAGS CDRS "modparam(\"acc\", \"cdr_log_enable\", 0)\n" RELAYS("setflag(2);")},
};

static const char *script_of(const char *what)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strcmp(kinds[i].what, what) == 0)
			return kinds[i].script;
	fprintf(stderr, "bench_acc none|row|extras|line|cdr [CALLS]\n");
	exit(2);
}

static void one_call(struct world *w, unsigned n)
{
	const char *call_id = printed("%u@client.example.org", n);
	const struct ask invite = {
		.from_tag = "a73kszlfl", .call = call_id, .more = "User-Agent: Bench/1.0\n"};
	const struct ask bye = {.method = "BYE",
		.from_tag = "a73kszlfl",
		.to_tag = "1928301774",
		.call = call_id,
		.cseq = 2};

	answer_with(w, call(w, invite), "200 OK", "1928301774", NULL);
	ask(w, bye);
	answer(w, take_request(w, "BYE", BOB), "200 OK");
	take_all(w);
}

int main(int argc, char **argv)
{
	unsigned calls = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 200;
	struct world *w = acc_world(script_of(argc > 1 ? argv[1] : "row"));

	if (strcmp(argc > 1 ? argv[1] : "", "extras") == 0)
		run_sql("ALTER TABLE acc ADD COLUMN f0 TEXT; ALTER TABLE acc ADD COLUMN f1 TEXT;"
			"ALTER TABLE acc ADD COLUMN f2 TEXT; ALTER TABLE acc ADD COLUMN f3 TEXT;"
			"ALTER TABLE acc ADD COLUMN f4 TEXT");
	for (unsigned i = 0; i < calls; i++)
		one_call(w, i);
	printf("%u calls, %llu rows, %llu lines\n", calls,
		(unsigned long long)acc_counted(ACC_COUNTER_ROWS),
		(unsigned long long)acc_counted(ACC_COUNTER_LINES));
	while (acc_counted(ACC_COUNTER_LINES) > lines_taken())
		(void)next_line();
	acc_close(w);
	return 0;
}
