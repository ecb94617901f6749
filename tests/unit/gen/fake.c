/* SPDX-License-Identifier: BSD-3-Clause */
#include "fake.h"

static struct fake *of(struct io *io)
{
	return (struct fake *)io;
}

static struct fake *of_server(struct io *io)
{
	return (struct fake *)((char *)io - offsetof(struct fake, server));
}

void fake_deliver(struct fake *f, const char *text, uint32_t len, uint64_t delay_ns, uint16_t port)
{
	struct pending *p = calloc(1, sizeof(*p));

	assert_non_null(p);
	assert_true(len <= FAKE_TEXT_MAX && f->pendings < FAKE_PENDING_MAX);
	p->at = f->clock + delay_ns;
	p->order = f->order++;
	p->len = len;
	p->port = port;
	memcpy(p->text, text, len);
	f->pending[f->pendings++] = p;
}

/* The one that comes next; UINT_MAX where none. */
static unsigned earliest(const struct fake *f)
{
	unsigned best = UINT32_MAX;

	for (unsigned i = 0; i < f->pendings; i++) {
		const struct pending *a = f->pending[i];
		const struct pending *b = best != UINT32_MAX ? f->pending[best] : NULL;

		if (b == NULL || a->at < b->at || (a->at == b->at && a->order < b->order))
			best = i;
	}
	return best;
}

static unsigned receive(struct io *io, struct packet *p, unsigned n)
{
	struct fake *f = of(io);
	unsigned got = 0;

	while (got < n && got < GEN_BURST) {
		unsigned i = earliest(f);

		if (i == UINT32_MAX || f->pending[i]->at > f->clock)
			break;
		f->given[got] = f->pending[i];
		f->pending[i] = f->pending[--f->pendings];
		f->delivered++;
		if (f->on_delivery != NULL)
			f->on_delivery(f, f->given[got]);
		p[got] = (struct packet){.text = f->given[got]->text,
			.len = f->given[got]->len,
			.port = f->given[got]->port,
			.handle = f->given[got]};
		got++;
	}
	return got;
}

static void done(struct io *io, struct packet *p, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		free(p[i].handle);
}

static unsigned get(struct io *io, struct packet *p, unsigned n)
{
	struct fake *f = of(io);

	if (f->gives != 0 && n > f->gives)
		n = f->gives;
	if (f->starved)
		return 0;
	/* The outbox keeps what it does not use: as many as it can hold exist once. */
	for (unsigned i = 0; i < n; i++) {
		static unsigned turn;

		p[i] = (struct packet){.text = f->buffer[turn++ % (2 * GEN_BURST)]};
	}
	return n;
}

static void put_answers(struct fake *f)
{
	outbox_flush(&f->outbox);
}

static unsigned send(struct io *io, struct packet *p, unsigned n)
{
	struct fake *f = of(io);
	unsigned taken = f->refuse_after != 0 && n > f->refuse_after ? f->refuse_after : n;

	for (unsigned i = 0; i < taken; i++) {
		struct fate fate = {0};

		f->clock += f->send_costs_ns;
		if (f->requests < 256)
			f->sent_at[f->requests] = f->clock;
		f->requests++;
		if (f->on_request != NULL)
			fate = f->on_request(f, &p[i]);
		if (!fate.lost && f->reflector != NULL)
			reflector_take(f->reflector, &p[i], &f->outbox, &f->reflected);
	}
	put_answers(f);
	for (unsigned i = taken; i < n; i++)
		p[i].refused = true;
	return taken;
}

static unsigned server_get(struct io *io, struct packet *p, unsigned n)
{
	struct fake *f = of_server(io);

	for (unsigned i = 0; i < n; i++) {
		static unsigned turn;

		p[i] = (struct packet){.text = f->answer[turn++ % (2 * GEN_BURST)]};
	}
	return n;
}

static unsigned server_send(struct io *io, struct packet *p, unsigned n)
{
	struct fake *f = of_server(io);

	for (unsigned i = 0; i < n; i++) {
		struct fate fate = {.delay_ns = FAKE_WIRE_NS};

		f->answers++;
		if (f->on_answer != NULL)
			fate = f->on_answer(f, &p[i]);
		if (fate.lost)
			continue;
		fake_deliver(f, p[i].text, p[i].len, fate.delay_ns, p[i].port);
		for (unsigned copy = 1; copy < fate.copies; copy++)
			fake_deliver(
				f, p[i].text, p[i].len, fate.delay_ns + copy * 10000, p[i].port);
	}
	return n;
}

static uint64_t now(struct io *io)
{
	return of(io)->clock;
}

/* Time passes here and nowhere else: up to the next message, or to what the generator waits for. */
static void idle(struct io *io, uint64_t until)
{
	struct fake *f = of(io);
	unsigned i = earliest(f);

	if (i != UINT32_MAX && f->pending[i]->at < until)
		until = f->pending[i]->at;
	f->clock = until > f->clock ? until : f->clock + 1;
}

static void poll(struct io *io, uint64_t at)
{
}

static uint64_t lost(struct io *io)
{
	return of(io)->lost;
}

static int ready(struct io *io, const struct net_endpoint *target, char *error, size_t size)
{
	return 0;
}

static void close_io(struct io *io)
{
	fake_destroy(of(io));
}

struct fake *fake_create(const struct reflector_config *reflector)
{
	struct fake *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	f->clock = 1000000007; /* no round number */
	f->io = (struct io){.receive = receive,
		.done = done,
		.get = get,
		.send = send,
		.now = now,
		.idle = idle,
		.poll = poll,
		.lost = lost,
		.ready = ready,
		.close = close_io,
		.room = FAKE_TEXT_MAX - TEMPLATE_SLACK,
		.port_first = 5070,
		.ports = 1};
	assert_int_equal(net_addr_parse(STR("192.0.2.1"), &f->io.local), 0);
	f->server = (struct io){
		.get = server_get, .send = server_send, .room = FAKE_TEXT_MAX - TEMPLATE_SLACK};
	f->outbox.io = &f->server;
	if (reflector != NULL) {
		f->reflector = reflector_create(reflector);
		assert_non_null(f->reflector);
	}
	return f;
}

void fake_destroy(struct fake *f)
{
	for (unsigned i = 0; i < f->pendings; i++)
		free(f->pending[i]);
	reflector_destroy(f->reflector);
	free(f);
}

struct gen_config fake_config(void)
{
	return (struct gen_config){
		.calls = 4096,
		.users = 100,
		.seed = 1,
		.t1_ns = 500 * CLOCK_NS_PER_MS,
		.t2_ns = 4 * CLOCK_NS_PER_S,
		.late_ns = CLOCK_NS_PER_MS,
		.drain_ns = UINT64_MAX,
	};
}

struct gen *fake_gen(struct fake *f, const char *scenario, const struct gen_config *config)
{
	struct net_endpoint target = {.port = 5060};
	char error[GEN_ERROR_MAX] = "";
	struct scenario *s =
		scenario_parse("test.gen", str_c(scenario), NULL, 0, error, sizeof(error));
	struct gen *g;

	if (s == NULL)
		fail_msg("%s", error);
	assert_int_equal(net_addr_parse(STR("192.0.2.2"), &target.addr), 0);
	g = gen_open_io(config, s, &f->io, NULL, &target, error, sizeof(error));
	if (g == NULL)
		fail_msg("%s", error);
	return g;
}

uint64_t fake_seq(const char *text, uint32_t len)
{
	const char *id = memmem(text, len, "Call-ID: ", 9);
	uint64_t v;

	assert_non_null(id);
	assert_true(template_unhex16(id + 9, &v));
	return v >> 12;
}
