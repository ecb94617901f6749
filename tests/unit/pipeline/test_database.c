/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Messages that wait for a database: on workers, on slow lcores, in blocks of transactions. A
 * SQLite file stands behind the script's functions, or one that answers when a test lets it.
 */
#include "common.h"

#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "db/internal.h"
#include "pipeline/worker.h"

static const char script[] =
	"loadmodule \"textops\"\nloadmodule \"tm\"\nloadmodule \"test\"\n"
	"request_route {\n"
	"	if ($rU =~ \"^put\") {\n"
	"		put_row(\"$rU\", \"$fU\");\n"
	"		if ($rc == 1) sl_send_reply(\"200\", \"Done\");\n"
	"		else if ($rc == -2) sl_send_reply(\"403\", \"Refused\");\n"
	"		else sl_send_reply(\"500\", \"Not Known\");\n"
	"		exit;\n"
	"	}\n"
	"	if ($rU =~ \"^hold\") {\n"
	"		hold_row(\"$rU\");\n"
	"		if ($rc == 1) sl_send_reply(\"200\", \"Held\");\n"
	"		else sl_send_reply(\"480\", \"Given Back\");\n"
	"		exit;\n"
	"	}\n"
	"	if ($rU =~ \"^keep\") {\n"
	"		t_newtran();\n"
	"		hold_row(\"$rU\");\n"
	"		if ($rc == 1) t_reply(\"200\", \"Held\");\n"
	"		else t_reply(\"480\", \"Given Back\");\n"
	"		exit;\n"
	"	}\n"
	"	if ($rU =~ \"^again\") {\n"
	"		while ($var(n) < 1000000) { $var(n) = $var(n) + 1; hold_row(\"$rU\"); }\n"
	"		exit;\n"
	"	}\n"
	"	if ($rU =~ \"^anew\") {\n"
	"		$var(n) = 0;\n"
	"		if (get_row(\"$rU\")) $var(n) = 1;\n"
	"		put_row(\"$rU\", \"x\");\n"
	"		if (get_row(\"$rU\")) $var(n) = $var(n) + 2;\n"
	"		if (get_row_anew(\"$rU\")) $var(n) = $var(n) + 4;\n"
	"		sl_send_reply(\"48$var(n)\", \"Found\");\n"
	"		exit;\n"
	"	}\n"
	"	if ($rU =~ \"^often\") {\n"
	"		while ($var(n) < 1000) { $var(n) = $var(n) + 1; get_row(\"$rU$var(n)\"); "
	"}\n"
	"		sl_send_reply(\"200\", \"Often\");\n"
	"		exit;\n"
	"	}\n"
	"	if ($rU =~ \"^slow\") {\n"
	"		t_newtran();\n"
	"		get_row(\"$rU\");\n"
	"		if ($rc == 1) t_reply(\"200\", \"Found\");\n"
	"		else if ($rc == -1) t_reply(\"404\", \"No Row\");\n"
	"		else t_reply(\"500\", \"No Rows\");\n"
	"		exit;\n"
	"	}\n"
	"	if ($rU =~ \"^call\") {\n"
	"		$du = \"sip:10.20.0.11:5060\";\n"
	"		t_on_branch(\"row\"); t_on_failure(\"row\"); t_on_reply(\"row\");\n"
	"		if (!t_relay()) sl_reply_error();\n"
	"		exit;\n"
	"	}\n"
	"	if ($rU =~ \"^name\") { $du = \"sip:\" + $rU + \".example:5060\"; forward(); exit; "
	"}\n"
	"	if ($rU == \"through\") { $du = \"sip:10.20.0.11:5060\"; forward(); exit; }\n"
	"	get_row(\"$rU\");\n"
	"	if ($rc == 1) sl_send_reply(\"200\", \"Found\");\n"
	"	else if ($rc == -1) sl_send_reply(\"404\", \"No Row\");\n"
	"	else sl_send_reply(\"500\", \"No Rows\");\n"
	"}\n"
	"branch_route[row] {\n"
	"	append_hf(\"X-Before: yes\\r\\n\");\n"
	"	if (get_row(\"branch-$rU\")) append_hf(\"X-Branch: yes\\r\\n\");\n"
	"}\n"
	"onreply_route[row] {\n"
	"	get_row(\"onreply-$rU\");\n"
	"	if ($rc == -2) append_hf(\"X-Reply: nobody can wait\\r\\n\");\n"
	"}\n"
	"failure_route[row] {\n"
	"	get_row(\"failure-$rU\");\n"
	"	if ($rc == 1) t_reply(\"480\", \"Found\");\n"
	"	else t_reply(\"481\", \"Not Found\");\n"
	"}\n"
	"reply_route {\n"
	"	if ($rs == 182) { get_row(\"reply\"); if ($rc == 1) drop; }\n"
	"}\n";

static char text[4096];
static char folder[64];
static int database;
static unsigned find, put;

/* ---- the script's functions ---- */

static struct str pack(unsigned statement, const struct db_value *param, unsigned params)
{
	static char out[DB_CALL_MAX];
	int len = db_pack(rig->db, out, sizeof(out), 0, statement, param, params);

	assert_true(len > 0);
	return str_of(out, (size_t)len);
}

/* 1: there is such a row; -1: there is none; -2: the database does not say. */
static int32_t run_get_row(struct route_ctx *ctx, const struct route_args *args)
{
	const struct rig *r = args->room;
	struct db_value name = db_text(args->v[0].s);
	static struct db_set set;

	/* A rig without databases has no call either: any text is one that nobody can ask. */
	if (r->db == NULL)
		return route_answer(ctx, STR("call")) != ROUTE_ANSWER_NONE
			       ? ROUTE_NO_ROWS
			       : route_wait_rows(ctx, STR("call"));
	return route_rows(ctx, r->db, pack(find, &name, 1), &set);
}

static int32_t run_get_row_anew(struct route_ctx *ctx, const struct route_args *args)
{
	const struct rig *r = args->room;
	struct db_value name = db_text(args->v[0].s);
	static struct db_set set;
	struct str call = pack(find, &name, 1);

	if (route_answer(ctx, call) == ROUTE_ANSWER_NONE)
		return route_wait_anew(ctx, call);
	return db_find(r->db, call, ctx->thread->now_ns, &set) == DB_FOUND ? ROUTE_TRUE
									   : ROUTE_FALSE;
}

/* 1: it is on disk; -2: refused; -3: nothing is known. */
static int32_t run_put_row(struct route_ctx *ctx, const struct route_args *args)
{
	struct db_value row[] = {db_text(args->v[0].s), db_text(args->v[1].s)};
	struct str call = pack(put, row, 2);

	switch (route_answer(ctx, call)) {
	case ROUTE_ANSWER_NONE:
		return route_wait_change(ctx, call);
	case ROUTE_ANSWER_DONE:
		return 1;
	case ROUTE_ANSWER_REFUSED:
		return -2;
	case ROUTE_ANSWER_FAILED:
	case ROUTE_ANSWER_TOO_LONG: /* no change is */
		break;
	}
	return -3;
}

/* As put_row(), of a function that has something until it is called again. */
static unsigned holding;

static int32_t run_hold_row(struct route_ctx *ctx, const struct route_args *args)
{
	struct db_value row[] = {db_text(args->v[0].s), db_text(STR("x"))};
	struct str call = pack(put, row, 2);
	enum route_answer became = route_answer(ctx, call);

	if (became == ROUTE_ANSWER_NONE) {
		holding++;
		return route_wait_holds(ctx, route_wait_change(ctx, call));
	}
	holding--;
	return became == ROUTE_ANSWER_DONE ? 1 : -3;
}

static const struct route_function functions[] = {{.name = "get_row",
							  .args_min = 1,
							  .args_max = 1,
							  .in = ROUTE_IN_ANY,
							  .run = run_get_row,
							  .usage = "get_row(name)"},
	{.name = "get_row_anew",
		.args_min = 1,
		.args_max = 1,
		.in = ROUTE_IN_REQUEST,
		.run = run_get_row_anew,
		.usage = "get_row_anew(name)"},
	{.name = "put_row",
		.args_min = 2,
		.args_max = 2,
		.in = ROUTE_IN_REQUEST,
		.run = run_put_row,
		.usage = "put_row(name, text)"},
	{.name = "hold_row",
		.args_min = 1,
		.args_max = 1,
		.in = ROUTE_IN_REQUEST,
		.run = run_hold_row,
		.usage = "hold_row(name)"},
	{.name = NULL}};
static const struct route_module module = {.name = "test", .functions = functions};

/* ---- a database that answers when it is let ---- */

static _Atomic bool shut;
static _Atomic unsigned runs;

static void *gate_open(const struct db_url *url, enum db_role role, char *error, size_t error_size)
{
	return &runs;
}

static void gate_close(void *link)
{
}

static enum db_result gate_prepare(
	void *link, const char *sql, unsigned params, void **ready, char *error, size_t error_size)
{
	*ready = &runs;
	return DB_DONE;
}

static void gate_unprepare(void *link, void *ready)
{
}

/* Who is asked for is there. */
static enum db_result gate_run(
	void *link, void *ready, struct db_run *run, char *error, size_t error_size)
{
	atomic_fetch_add(&runs, 1);
	while (atomic_load(&shut))
		usleep(200);
	if (run->visit != NULL)
		(void)run->visit(run->arg, run->param, 1);
	return DB_DONE;
}

static enum db_result gate_step(void *link, enum db_step step, char *error, size_t error_size)
{
	return DB_DONE;
}

static bool gate_dead(void *link)
{
	return false;
}

static const struct db_driver gate = {.name = "gate",
	.scheme = {"gate"},
	.file = true,
	.goes_on = true,
	.open = gate_open,
	.close = gate_close,
	.prepare = gate_prepare,
	.unprepare = gate_unprepare,
	.run = gate_run,
	.step = gate_step,
	.dead = gate_dead};

/* ---- rigs ---- */

static unsigned statement(const char *sql, const char *columns, unsigned params)
{
	char error[256];
	struct db_statement s = {.text = sql,
		.columns = columns,
		.params = (uint8_t)params,
		.ttl_s = 60,
		.negative_ttl_s = 60};
	int n = db_statement(rig->db, database, &s, error, sizeof(error));

	if (n < 0)
		fail_msg("%s", error);
	return (unsigned)n;
}

/* The rig's database, whose statements are these from now on. */
static void use(const char *url)
{
	char error[256];

	database = db_use(rig->db, url, error, sizeof(error));
	if (database < 0)
		fail_msg("%s: %s", url, error);
	find = statement("SELECT text FROM t WHERE name = ?", "s", 1);
	put = statement("INSERT INTO t (name, text) VALUES (?, ?)", NULL, 2);
}

static void sql(const char *what)
{
	char error[256] = "";
	unsigned n = statement(what, NULL, 0);
	enum db_result result =
		db_now(rig->db, pack(n, NULL, 0), NULL, NULL, NULL, error, sizeof(error));

	if (result != DB_DONE)
		fail_msg("%s: %s", what, error);
}

static struct rig *make(bool db)
{
	struct rig_config config = {.script = script,
		.list = "1 sip:10.20.0.11:5060\n",
		.workers = 1,
		.queues = 1,
		.slow = 1,
		.db = db,
		.module = &module};
	struct rig *r = rig_create_with(&config);

	assert_non_null(r);
	return r;
}

static int make_all(void **state)
{
	char url[128];

	snprintf(folder, sizeof(folder), "/tmp/siplane-rows-XXXXXX");
	if (mkdtemp(folder) == NULL)
		return -1;
	rig = make(true);
	if (db_driver_add(rig->db, &gate) != 0)
		return -1;
	snprintf(url, sizeof(url), "sqlite://%s/rows.sqlite", folder);
	use(url);
	sql("CREATE TABLE t (name VARCHAR(64) PRIMARY KEY, text VARCHAR(64))");
	return 0;
}

static int end_all(void **state)
{
	static const char *const names[] = {"", "-wal", "-shm"};
	char path[128];

	rig_destroy(rig);
	for (unsigned i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "%s/rows.sqlite%s", folder, names[i]);
		unlink(path);
	}
	return rmdir(folder);
}

/* ---- messages ---- */

static struct str request(const char *method, const char *user, unsigned call)
{
	int n = snprintf(text, sizeof(text),
		"%s sip:%s@10.10.0.1 SIP/2.0\r\n"
		"Via: SIP/2.0/UDP 10.10.0.2:5080;branch=z9hG4bKdb%u%s;rport\r\n"
		"Max-Forwards: 70\r\n"
		"From: <sip:bob@10.10.0.2>;tag=f%u\r\n"
		"To: <sip:%s@10.10.0.1>\r\n"
		"Call-ID: db-%u@10.10.0.2\r\n"
		"CSeq: 1 %s\r\n"
		"Contact: <sip:bob@10.10.0.2:5080>\r\n"
		"Content-Length: 0\r\n\r\n",
		method, user, call, user, call, user, call, method);

	return str_of(text, (size_t)n);
}

/* The next message that left by a port, a copy; it begins with `start`. */
static const char *took(unsigned port, const char *start)
{
	static char got[4096];
	struct str out;
	struct rte_mbuf *m = rig_sent(rig, port, &out);

	if (m == NULL)
		fail_msg("nothing left by port %u, wanted %s", port, start);
	assert_true(out.len < sizeof(got));
	memcpy(got, out.s, out.len);
	got[out.len] = '\0';
	rte_pktmbuf_free(m);
	if (strncmp(got, start, strlen(start)) != 0)
		fail_msg("wanted %s, got %s", start, got);
	return got;
}

static struct str answer(const char *got, const char *status)
{
	static char made[4096];
	const char *at = strstr(got, "\r\n"), *to = strstr(got, "\r\nTo: ");
	const char *end_of_to = strstr(to + 2, "\r\n");
	int n = snprintf(made, sizeof(made), "SIP/2.0 %s%.*s;tag=phone%s", status,
		(int)(end_of_to - at), at, end_of_to);

	return str_of(made, (size_t)n);
}

/* So many messages wait, and as many have waited before. */
static void assert_waits(uint64_t now, uint64_t ever)
{
	assert_int_equal(delta(COUNTER_HELD_DATABASE_ENTER), ever);
	assert_int_equal(
		delta(COUNTER_HELD_DATABASE_ENTER) - delta(COUNTER_HELD_DATABASE_LEAVE), now);
	assert_balanced();
}

/* A request, and what it is answered after it has waited so many times. */
static void ask(
	const char *method, const char *user, unsigned call, const char *reply, uint64_t waits)
{
	begin(NULL);
	send_to(0, request(method, user, call));
	rig_poll(rig);
	await_held();
	assert_waits(0, waits);
	assert_ends(COUNTER_ANSWERED, 1);
	took(0, reply);
}

/* ---- workers and slow lcores ---- */

static void test_a_row_is_waited_for_once(void **state)
{
	sql("INSERT INTO t (name, text) VALUES ('alice', 'x')");
	sql("INSERT INTO t (name, text) VALUES ('slow1', 'x')");
	send_to(0, request("OPTIONS", "alice", 1));
	pipeline_worker_poll(rig->pipeline, 0);
	assert_waits(1, 1);
	await_held();
	assert_waits(0, 1);
	assert_ends(COUNTER_ANSWERED, 1);
	took(0, "SIP/2.0 200 Found");
	ask("OPTIONS", "alice", 2, "SIP/2.0 200 Found", 0);
	ask("OPTIONS", "nobody", 3, "SIP/2.0 404 No Row", 1);
	ask("OPTIONS", "nobody", 4, "SIP/2.0 404 No Row", 0);
	ask("OPTIONS", "slow1", 5, "SIP/2.0 200 Found", 1);
	ask("OPTIONS", "slow1", 6, "SIP/2.0 200 Found", 0);
	ask("OPTIONS", "slow2", 7, "SIP/2.0 404 No Row", 1);
}

/* What the control thread has not heard of yet changes nothing. */
static void test_many_wait_for_one_row(void **state)
{
	enum { MANY = 20 };
	uint64_t asked = db_counter(rig->db, DB_COUNTER_QUESTIONS);

	for (unsigned i = 0; i < MANY; i++)
		send_to(0, request("OPTIONS", "popular", 100 + i));
	pipeline_worker_poll(rig->pipeline, 0);
	assert_waits(MANY, MANY);
	await_held();
	assert_waits(0, MANY);
	assert_ends(COUNTER_ANSWERED, MANY);
	assert_int_equal(db_counter(rig->db, DB_COUNTER_QUESTIONS), asked + 1);
}

static void test_a_script_that_waits_often(void **state)
{
	ask("OPTIONS", "often", 200, "SIP/2.0 200 Often", 1000);
	ask("OPTIONS", "often", 201, "SIP/2.0 200 Often", 0);
}

static void test_a_change_is_on_disk_when_it_is_answered(void **state)
{
	ask("OPTIONS", "put1", 300, "SIP/2.0 200 Done", 1);
	/* The first one was committed. */
	ask("OPTIONS", "put1", 301, "SIP/2.0 403 Refused", 1);
	ask("OPTIONS", "put2", 302, "SIP/2.0 200 Done", 1);
}

static void test_what_was_changed_is_asked_anew(void **state)
{
	ask("OPTIONS", "anew1", 350, "SIP/2.0 484 Found", 3);
	ask("OPTIONS", "anew1", 351, "SIP/2.0 487 Found", 2);
}

/* Who says no has answered; that is remembered for a moment. */
static void test_a_database_that_refuses(void **state)
{
	unsigned good = find;

	find = statement("SELECT text FROM t WHERE name = ? AND no_such_column = 1", "s", 1);
	ask("OPTIONS", "alice", 400, "SIP/2.0 500 No Rows", 1);
	ask("OPTIONS", "alice", 401, "SIP/2.0 500 No Rows", 0);
	ask("OPTIONS", "slow3", 402, "SIP/2.0 500 No Rows", 1);
	find = good;
}

static void test_without_databases(void **state)
{
	struct rig *with = rig;

	rig = make(false);
	ask("OPTIONS", "alice", 500, "SIP/2.0 500 No Rows", 1);
	ask("OPTIONS", "slow4", 501, "SIP/2.0 500 No Rows", 1);
	assert_int_equal(end(state), 0);
	rig_destroy(rig);
	rig = with;
}

/* ---- blocks ---- */

static void test_branch_and_failure_routes_wait(void **state)
{
	const char *got;
	char at_phone[4096];

	sql("INSERT INTO t (name, text) VALUES ('branch-call1', 'x')");
	sql("INSERT INTO t (name, text) VALUES ('failure-call1', 'x')");
	for (unsigned i = 1; i <= 2; i++) {
		char user[16];

		snprintf(user, sizeof(user), "call%u", i);
		begin(state);
		send_to(0, request("INVITE", user, 600 + i));
		rig_settle(rig);
		await_held();
		assert_waits(0, 1);
		assert_ends(COUNTER_FORWARDED, 1);
		took(0, "SIP/2.0 100 ");
		got = took(1, "INVITE sip:call");
		snprintf(at_phone, sizeof(at_phone), "%s", got);
		assert_true((strstr(got, "X-Branch: yes\r\n") != NULL) == (i == 1));
		/* It ran again, and what it did before was undone. */
		got = strstr(got, "X-Before: ");
		assert_non_null(got);
		assert_null(strstr(got + 1, "X-Before: "));

		/* Nobody can wait in what runs over a transaction's responses. */
		begin(state);
		send_to(1, answer(at_phone, "180 Ringing"));
		assert_ends(COUNTER_FORWARDED, 1);
		assert_non_null(strstr(took(0, "SIP/2.0 180 "), "X-Reply: nobody can wait\r\n"));
		assert_waits(0, 0);

		begin(state);
		send_to(1, answer(at_phone, "486 Busy Here"));
		rig_settle(rig);
		await_held();
		assert_int_equal(pipeline_held(rig->pipeline), 0);
		assert_int_equal(delta(COUNTER_ABSORBED), 1);
		took(1, "ACK sip:call");
		took(0, i == 1 ? "SIP/2.0 480 Found" : "SIP/2.0 481 Not Found");
		assert_all_ended();
		send_to(0, request("ACK", user, 600 + i));
		rig_settle(rig);
	}
}

static void test_a_response_waits(void **state)
{
	char at_phone[4096];

	sql("INSERT INTO t (name, text) VALUES ('reply', 'x')");
	send_to(0, request("MESSAGE", "through", 700));
	assert_ends(COUNTER_FORWARDED, 1);
	snprintf(at_phone, sizeof(at_phone), "%s", took(1, "MESSAGE "));
	for (unsigned i = 0; i < 2; i++) {
		begin(state);
		send_to(1, answer(at_phone, "182 Queued"));
		rig_poll(rig);
		await_held();
		assert_waits(0, i == 0);
		assert_ends(COUNTER_DROP_SCRIPT, 1);
	}
}

/* ---- bounds ---- */

enum { MAY_WAIT = (64 + 4) / 2, FREE = MAY_WAIT / 2, PART = MAY_WAIT / PIPELINE_DATABASE_PARTS };

/* Asks for a row that nobody asked for before, from 10.10.0.host. */
static void ask_from(unsigned host)
{
	static unsigned asked;
	char user[24], address[16];

	snprintf(user, sizeof(user), "new%u", ++asked);
	snprintf(address, sizeof(address), "10.10.0.%u", host);
	rig_receive(rig, 0, 0,
		rig_datagram(rig, 0, address, 5080, "10.10.0.1", 5060,
			request("OPTIONS", user, 2000 + asked)));
	pipeline_worker_poll(rig->pipeline, 0);
	pipeline_worker_poll(rig->pipeline, 0);
}

static unsigned waiting(void)
{
	return (unsigned)(delta(COUNTER_HELD_DATABASE_ENTER) - delta(COUNTER_HELD_DATABASE_LEAVE));
}

/* A source that asks for one made-up user after the other. The most that wait at a time. */
static unsigned flood(unsigned requests, bool control)
{
	unsigned most = 0;

	for (unsigned i = 0; i < requests; i++) {
		ask_from(2);
		most = waiting() > most ? waiting() : most;
		if (control)
			rig_poll(rig);
	}
	return most;
}

/* All that waits goes on, and each is answered. */
static void let_go(void)
{
	atomic_store(&shut, false);
	rig_settle(rig);
	await_held();
	assert_int_equal(waiting(), 0);
	assert_int_equal(delta(COUNTER_ANSWERED), delta(COUNTER_FRAMES_IN));
	clear_sent();
}

/* It has half of what may wait for databases. The control thread looks meanwhile, and after four
 * seconds, which a slow machine may take, none of them waits any more. */
static void test_a_source_that_floods_has_half(void **state)
{
	unsigned good = find, good_put = put;
	int was = database;

	use("gate:///nowhere");
	for (unsigned round = 0; round < 2; round++) {
		atomic_store(&shut, true);
		assert_int_equal(flood(3 * MAY_WAIT, true), FREE);
		assert_true(delta(COUNTER_DATABASE_REFUSED) > round);
		let_go();
	}
	database = was;
	find = good;
	put = good_put;
}

/* While that thread sleeps, too; and each other source gets to its part, as often as all goes on.
 */
static void test_a_source_that_floods_leaves_others_their_part(void **state)
{
	unsigned good = find, good_put = put, host = 3;
	int was = database;

	use("gate:///nowhere");
	for (unsigned round = 0; round < 2; round++) {
		uint64_t refused = delta(COUNTER_DATABASE_REFUSED);

		atomic_store(&shut, true);
		assert_int_equal(flood(3 * MAY_WAIT, false), FREE);
		assert_int_equal(delta(COUNTER_DATABASE_REFUSED) - refused, 3 * MAY_WAIT - FREE);
		for (unsigned left = MAY_WAIT - FREE; left >= PART; left -= PART) {
			for (unsigned i = 0; i < PART + 1; i++)
				ask_from(host);
			host++;
			assert_int_equal(waiting(), MAY_WAIT - left + PART);
		}
		let_go();
	}
	database = was;
	find = good;
	put = good_put;
}

/* Who has a /48 has 65,536 networks, and all of them together are not let to all that is left. */
static void test_networks_of_one_site_have_parts_together(void **state)
{
	enum { MOST = 320, FREE_WAITS = MOST / 2, SITE = 4 * MOST / PIPELINE_DATABASE_PARTS };
	static const struct hash_key key = {{1, 2}};
	struct waits *w = waits_create(MOST, &key);
	struct held *held = calloc(MOST, sizeof(*held));
	struct net_addr a = {.family = 6, .b = {0x20, 1, 0xd, 0xb8}};
	unsigned taken = 0, n = 0;

	assert_non_null(w);
	assert_non_null(held);
	/* Another site has what is there for everybody. */
	a.b[5] = 9;
	for (; n < FREE_WAITS; n++) {
		held[n].ctx.origin.src.addr = a;
		assert_true(waits_take(w, &held[n]));
	}
	a.b[5] = 1;
	for (unsigned i = 0; i < 1000 && n < MOST; i++) {
		a.b[6] = (uint8_t)(i >> 8);
		a.b[7] = (uint8_t)i;
		held[n].ctx.origin.src.addr = a;
		if (waits_take(w, &held[n])) {
			taken++;
			n++;
		} else {
			assert_int_equal(held[n].wait, 0);
		}
	}
	assert_int_equal(taken, SITE);
	/* A third one has its own. */
	a.b[5] = 2;
	held[n].ctx.origin.src.addr = a;
	assert_true(waits_take(w, &held[n]));
	/* All is given back. */
	for (unsigned i = 0; i <= n; i++)
		waits_give_back(w, &held[i]);
	for (unsigned i = 0; i < MOST; i++) {
		a.b[5] = (uint8_t)(i < FREE_WAITS ? 1 : 10 + i % 100);
		held[i].ctx.origin.src.addr = a;
		assert_true(waits_take(w, &held[i]));
	}
	free(held);
	free(w);
}

/* Whoever may be answered is. The other half of the places is for those who wait for names. */
static void test_a_database_that_hangs(void **state)
{
	enum { CALLS = 60 };
	unsigned good = find, good_put = put;
	int was = database;

	use("gate:///nowhere");
	atomic_store(&shut, true);
	for (unsigned i = 0; i < CALLS; i++)
		ask_from(2 + i);
	assert_waits(MAY_WAIT, CALLS);
	rig_settle(rig);
	rig_settle(rig);
	assert_waits(MAY_WAIT, CALLS);
	assert_int_equal(delta(COUNTER_ANSWERED), CALLS - MAY_WAIT);
	assert_int_equal(delta(COUNTER_DATABASE_REFUSED), CALLS - MAY_WAIT);
	for (unsigned i = 0; i < CALLS - MAY_WAIT; i++)
		assert_null(strstr(took(0, "SIP/2.0 503 "), "Retry-After"));
	send_to(0, request("ACK", "hang-ack", 900));
	send_to(0, request("CANCEL", "hang-cancel", 901));
	rig_settle(rig);
	assert_int_equal(delta(COUNTER_DROP_HELD_FULL), 2);
	assert_waits(MAY_WAIT, CALLS + 2);

	atomic_store(&shut, false);
	await_held();
	assert_waits(0, CALLS + 2);
	assert_int_equal(delta(COUNTER_ANSWERED), CALLS);
	for (unsigned i = 0; i < MAY_WAIT; i++)
		took(0, "SIP/2.0 200 Found");
	database = was;
	find = good;
	put = good_put;
}

static void test_no_place_to_wait(void **state)
{
	enum { CALLS = 70, PLACES = 64 };

	for (unsigned i = 0; i < CALLS; i++) {
		send_to(0, request("OPTIONS", "name", 1000 + i));
		pipeline_worker_poll(rig->pipeline, 0); /* the control thread is asleep */
	}
	assert_int_equal(delta(COUNTER_HELD_NAME_ENTER), PLACES);
	assert_int_equal(delta(COUNTER_ANSWERED), CALLS - PLACES);
	for (unsigned i = 0; i < CALLS - PLACES; i++)
		took(0, "SIP/2.0 503 ");
	send_to(0, request("ACK", "place", 1100));
	pipeline_worker_poll(rig->pipeline, 0);
	assert_int_equal(delta(COUNTER_DROP_HELD_FULL), 1);
	assert_int_equal(delta(COUNTER_HELD_DATABASE_ENTER), 0);
	for (unsigned i = 0; i < 3; i++)
		pipeline_control_poll(rig->pipeline, clock_now_ns() + PIPELINE_NAME_WAIT_NS);
	rig_settle(rig);
	for (unsigned i = 0; i < PLACES; i++)
		took(0, "SIP/2.0 500 Name Not Resolved");
	assert_all_ended();
}

static void test_five_seconds_without_an_answer(void **state)
{
	for (unsigned i = 0; i < MAY_WAIT; i++)
		ask_from(2 + i); /* the control thread is asleep */
	assert_waits(MAY_WAIT, MAY_WAIT);
	for (unsigned i = 0; i < 3; i++)
		pipeline_control_poll(rig->pipeline, clock_now_ns() + PIPELINE_NAME_WAIT_NS);
	rig_settle(rig);
	assert_waits(0, MAY_WAIT);
	for (unsigned i = 0; i < MAY_WAIT; i++)
		took(0, "SIP/2.0 500 Database Timeout");
	assert_all_ended();

	/* Nor is an ACK answered then. */
	begin(state);
	send_to(0, request("ACK", "place-late", 1101));
	pipeline_worker_poll(rig->pipeline, 0);
	pipeline_control_poll(rig->pipeline, clock_now_ns() + PIPELINE_NAME_WAIT_NS);
	assert_ends(COUNTER_DROP_DATABASE_TIMEOUT, 1);
}

/* Who holds something hears that he cannot wait, and gives it back; his script answers. */
static void test_who_holds_something_goes_on_in_any_case(void **state)
{
	static const char *const users[] = {"hold", "keep"};
	enum { PLACES = 64 };
	unsigned good = find, good_put = put;
	int was = database;

	ask("OPTIONS", "hold1", 1200, "SIP/2.0 200 Held", 1);
	ask("OPTIONS", "keep1", 1201, "SIP/2.0 200 Held", 1);
	assert_int_equal(holding, 0);

	/* As many wait as may. */
	use("gate:///nowhere");
	atomic_store(&shut, true);
	begin(state);
	for (unsigned i = 0; i < MAY_WAIT; i++)
		ask_from(2 + i);
	assert_waits(MAY_WAIT, MAY_WAIT);
	for (unsigned i = 0; i < 2; i++) {
		send_to(0, request("OPTIONS", users[i], 1210 + i));
		rig_settle(rig);
		took(0, "SIP/2.0 480 Given Back");
		assert_int_equal(holding, 0);
	}
	/* One who tries again and again comes to an end, too. */
	send_to(0, request("OPTIONS", "again", 1212));
	for (unsigned i = 0; i < ROUTE_STEPS_MAX && delta(COUNTER_SCRIPT_FAILED) == 0; i++)
		rig_poll(rig);
	rig_settle(rig);
	took(0, "SIP/2.0 500 Script Limit Reached");
	assert_int_equal(holding, 0);
	let_go();
	database = was;
	find = good;
	put = good_put;

	/* The control thread slept too long. */
	for (unsigned i = 0; i < 2; i++) {
		begin(state);
		send_to(0, request("OPTIONS", users[i], 1220 + i));
		pipeline_worker_poll(rig->pipeline, 0);
		pipeline_slow_poll(rig->pipeline, 0);
		assert_waits(1, 1);
		for (unsigned n = 0; n < 3; n++)
			pipeline_control_poll(
				rig->pipeline, clock_now_ns() + PIPELINE_NAME_WAIT_NS);
		rig_settle(rig);
		took(0, "SIP/2.0 480 Given Back");
		assert_int_equal(holding, 0);
		assert_waits(0, 1);
	}

	/* There is no place. */
	begin(state);
	for (unsigned i = 0; i < PLACES; i++) {
		send_to(0, request("OPTIONS", "name", 1300 + i));
		pipeline_worker_poll(rig->pipeline, 0);
	}
	for (unsigned i = 0; i < 2; i++) {
		send_to(0, request("OPTIONS", users[i], 1230 + i));
		pipeline_worker_poll(rig->pipeline, 0);
		pipeline_slow_poll(rig->pipeline, 0);
		pipeline_worker_poll(rig->pipeline, 0);
		took(0, "SIP/2.0 480 Given Back");
		assert_int_equal(holding, 0);
	}
	assert_int_equal(delta(COUNTER_HELD_DATABASE_ENTER), 0);
	for (unsigned i = 0; i < 3; i++)
		pipeline_control_poll(rig->pipeline, clock_now_ns() + PIPELINE_NAME_WAIT_NS);
	rig_settle(rig);
	clear_sent();
	assert_all_ended();
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_row_is_waited_for_once),
		TEST(test_many_wait_for_one_row),
		TEST(test_a_script_that_waits_often),
		TEST(test_a_change_is_on_disk_when_it_is_answered),
		TEST(test_what_was_changed_is_asked_anew),
		TEST(test_a_database_that_refuses),
		TEST(test_without_databases),
		TEST(test_branch_and_failure_routes_wait),
		TEST(test_a_response_waits),
		TEST(test_a_source_that_floods_has_half),
		TEST(test_a_source_that_floods_leaves_others_their_part),
		TEST(test_networks_of_one_site_have_parts_together),
		TEST(test_a_database_that_hangs),
		TEST(test_no_place_to_wait),
		TEST(test_five_seconds_without_an_answer),
		TEST(test_who_holds_something_goes_on_in_any_case),
	};

	if (rig_eal(argv[0], 256) != 0)
		return 1;
	return cmocka_run_group_tests(tests, make_all, end_all);
}
