/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Workers that look up beside the lcore that changes what is registered: all of a transaction goes
 * where its INVITE went, whenever that was and whatever happens meanwhile.
 */
#include "common.h"

#include <pthread.h>
#include <sched.h>

#define WORKERS 3
#define CALLS 64    /* of one worker, under way at once */
#define STEPS 60000 /* of one worker */
#define BEGIN (2000 * CLOCK_NS_PER_S)
#define END (3200 * CLOCK_NS_PER_S) /* of the clock that the writer turns, at the earliest */
#define USERS 4
#define PHONES 4
#define ROUND 700 /* a write in so many turns of time */

struct race {
	struct stage *s;
	_Atomic uint64_t now_ns;
	_Atomic bool stop;
	_Atomic uint64_t at[WORKERS]; /* what each worker takes for now */
	_Atomic uint64_t went, nowhere, again, cancelled, split;
};

struct call {
	unsigned id, user;
	uint64_t began;
	char to[64]; /* empty: it went nowhere */
};

struct worker {
	struct race *race;
	unsigned index;
	struct route_thread thread;
	struct route_ctx *ctx;
	struct call call[CALLS];
	unsigned ids;
	uint64_t random;
};

static uint32_t lot(uint64_t *random, uint32_t below)
{
	*random = *random * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)((*random >> 32) * below >> 32);
}

/* Where it goes. */
static void send(struct worker *w, const char *method, const struct call *c, char to[64])
{
	static _Thread_local char text[1024];
	struct route_ctx *ctx = w->ctx;
	uint32_t len = (uint32_t)snprintf(text, sizeof(text),
		"%s sip:user%u@example.com SIP/2.0\r\n"
		"Via: SIP/2.0/UDP 198.51.100.9:5060;branch=z9hG4bK%u-%u\r\n"
		"Max-Forwards: 70\r\n"
		"From: <sip:bob@example.com>;tag=f2\r\n"
		"To: <sip:user%u@example.com>\r\n"
		"Call-ID: call-%u-%u\r\n"
		"CSeq: 1 %s\r\n"
		"Content-Length: 0\r\n\r\n",
		method, c->user, w->index, c->id, c->user, w->index, c->id, method);
	struct str uri;

	w->thread.now_ns = atomic_load_explicit(&w->race->now_ns, memory_order_relaxed);
	atomic_store(&w->race->at[w->index - 1], w->thread.now_ns);
	memset(&ctx->origin, 0, sizeof(ctx->origin));
	ctx->origin.src = w->race->s->source;
	ctx->origin.dst = w->race->s->listener[MAIN].ep;
	ctx->origin.transport = SIP_TRANSPORT_UDP;
	route_ctx_bind(ctx, w->race->s->script, &w->thread, text);
	assert_int_equal(sip_msg_index(&ctx->msg, text, len), SIP_OK);
	assert_int_equal(sip_msg_check(&ctx->msg, text), SIP_OK);
	route_ctx_reset(ctx);
	assert_int_equal(route_run(ctx), ROUTE_ENDED);
	to[0] = '\0';
	if (ctx->var[0].i <= 0)
		return;
	uri = route_ctx_uri(ctx);
	snprintf(to, 64, "%.*s", STR_FMT(uri));
}

static void begin(struct worker *w, struct call *c)
{
	c->id = ++w->ids;
	c->user = lot(&w->random, USERS);
	send(w, "INVITE", c, c->to);
	c->began = w->thread.now_ns;
	atomic_fetch_add(c->to[0] != '\0' ? &w->race->went : &w->race->nowhere, 1);
}

static void follow(struct worker *w, struct call *c)
{
	bool early = w->thread.now_ns - c->began < 20 * CLOCK_NS_PER_S;
	const char *method = early && lot(&w->random, 2) == 0 ? "INVITE"
			     : lot(&w->random, 2) == 0        ? "CANCEL"
							      : "ACK";
	char to[64];

	send(w, method, c, to);
	if (strcmp(to, c->to) != 0)
		atomic_fetch_add(&w->race->split, 1);
	atomic_fetch_add(method[0] == 'I' ? &w->race->again : &w->race->cancelled, 1);
}

static void *work(void *arg)
{
	struct worker *w = arg;

	for (unsigned i = 0; i < CALLS; i++)
		begin(w, &w->call[i]);
	for (unsigned i = 0; i < STEPS || atomic_load(&w->race->now_ns) < END; i++) {
		struct call *c = &w->call[lot(&w->random, CALLS)];

		/* An INVITE that went nowhere has been answered. Calls end in time. */
		if (c->to[0] == '\0' || lot(&w->random, 4) == 0 ||
			atomic_load(&w->race->now_ns) - c->began > 180 * CLOCK_NS_PER_S)
			begin(w, c);
		else
			follow(w, c);
		if (i % 256 == 0)
			sched_yield();
	}
	atomic_store(&w->race->at[w->index - 1], UINT64_MAX);
	return NULL;
}

/* What a user's phones are from now on. */
static void change(struct race *r, uint64_t *random)
{
	struct location_contact contact[PHONES];
	char uri[PHONES][64], name[32];
	unsigned user = lot(random, USERS), n = 0;
	uint32_t now = (uint32_t)(atomic_load(&r->now_ns) / CLOCK_NS_PER_S);
	struct str aor = str_of(name, (uint32_t)snprintf(name, sizeof(name), "user%u", user));
	struct hash128 digest = location_digest(r->s->location, 0, aor);

	for (unsigned i = 0; i < PHONES; i++) {
		if (lot(random, 3) == 0)
			continue;
		contact[n] = (struct location_contact){.listener = -1,
			.q = (uint16_t)(lot(random, 3) * 400),
			.methods = UINT32_MAX,
			.expires = now + 1 + lot(random, 3000)};
		contact[n].uri = str_of(uri[i], (uint32_t)snprintf(uri[i], sizeof(uri[i]),
							"sip:phone%u@192.0.2.%u", i, user));
		n++;
	}
	assert_int_equal(location_replace(r->s->location, 0, digest, 0, aor, now, contact, n), 0);
}

/* Time goes on for nobody while a worker that has lost its CPU in the middle of a message is more
 * behind than clocks of lcores ever are. */
static bool leaves_one_behind(struct race *r, uint64_t now)
{
	for (unsigned i = 0; i < WORKERS; i++) {
		uint64_t at = atomic_load(&r->at[i]);

		if (at != UINT64_MAX && now > at + 2 * CLOCK_NS_PER_S)
			return true;
	}
	return false;
}

static void *keep_changing(void *arg)
{
	struct race *r = arg;
	uint64_t random = 5;

	while (!atomic_load(&r->stop)) {
		uint64_t now = atomic_load(&r->now_ns);

		if (leaves_one_behind(r, now)) {
			sched_yield();
			continue;
		}
		/* So slow that most calls end before their windows do. */
		now = atomic_fetch_add(&r->now_ns, CLOCK_NS_PER_S / 5);

		if (lot(&random, ROUND) == 0)
			change(r, &random);
		if (lot(&random, ROUND) == 0)
			location_sweep(r->s->location, 0, (uint32_t)(now / CLOCK_NS_PER_S), 4);
		if (lot(&random, 5) == 0)
			registrar_tick(r->s->registrar, now);
		for (unsigned i = 0; i < 200; i++)
			__builtin_ia32_pause();
	}
	return NULL;
}

static void a_transaction_goes_one_way(void **state)
{
	static struct worker worker[WORKERS];
	static struct race r;
	pthread_t thread[WORKERS], writer;
	uint64_t random = 5, pinned;

	r.s = stage_open("", "\tlookup(\"location\");\n\t$var(rc) = $rc;");
	atomic_store(&r.now_ns, 1000 * CLOCK_NS_PER_S);
	for (unsigned i = 0; i < 4 * USERS; i++)
		change(&r, &random);
	atomic_store(&r.now_ns, BEGIN);
	for (unsigned i = 0; i < WORKERS; i++)
		atomic_store(&r.at[i], BEGIN);
	assert_int_equal(pthread_create(&writer, NULL, keep_changing, &r), 0);
	for (unsigned i = 0; i < WORKERS; i++) {
		struct worker *w = &worker[i];

		*w = (struct worker){.race = &r, .index = i + 1, .random = i};
		assert_int_equal(route_thread_init(&w->thread, i + 1), 0);
		w->ctx = aligned_alloc(64, (sizeof(*w->ctx) + 63) & ~(size_t)63);
		assert_non_null(w->ctx);
		memset(w->ctx, 0, sizeof(*w->ctx));
		assert_int_equal(pthread_create(&thread[i], NULL, work, w), 0);
	}
	for (unsigned i = 0; i < WORKERS; i++) {
		pthread_join(thread[i], NULL);
		route_thread_fini(&worker[i].thread);
		free(worker[i].ctx);
	}
	atomic_store(&r.stop, true);
	pthread_join(writer, NULL);
	pinned = registrar_counter(r.s->registrar, REGISTRAR_COUNTER_LOOKUP_PINNED);
	print_message("%llu calls, %llu nowhere, %llu again, %llu cancelled, %llu s; "
		      "%llu followed, %llu pinned, %llu split\n",
		(unsigned long long)r.went, (unsigned long long)r.nowhere,
		(unsigned long long)r.again, (unsigned long long)r.cancelled,
		(unsigned long long)(r.now_ns / CLOCK_NS_PER_S),
		(unsigned long long)registrar_counter(
			r.s->registrar, REGISTRAR_COUNTER_LOOKUP_FOLLOWED),
		(unsigned long long)pinned, (unsigned long long)r.split);
	assert_true(r.went > 1000 && r.again > 1000 && r.cancelled > 1000);
	/* Calm and changing users both. */
	assert_true(pinned > r.went / 10 && pinned < r.went - r.went / 10);
	assert_int_equal(r.split, 0);
	stage_close(r.s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(a_transaction_goes_one_way)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
