/* SPDX-License-Identifier: BSD-3-Clause */
#include "bench.h"

#include <stdlib.h>
#include <unistd.h>

int setup(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));

	assert_non_null(b);
	for (unsigned i = 0; i < 10 && b->server == NULL; i++)
		b->server = dns_server_start();
	assert_non_null(b->server);
	b->rcu = aligned_alloc(64, sizeof(*b->rcu));
	assert_non_null(b->rcu);
	rcu_init(b->rcu);
	b->resolver = resolver_create(dns_server_address(b->server), b->rcu);
	assert_non_null(b->resolver);
	b->began = clock_now_ns();
	*state = b;
	return 0;
}

int teardown(void **state)
{
	struct bench *b = *state;

	resolver_destroy(b->resolver);
	rcu_reclaim(b->rcu);
	dns_server_stop(b->server);
	free(b->rcu);
	free(b);
	return 0;
}

void done(void *arg, enum resolve_answer answer)
{
	struct result *result = arg;

	result->calls++;
	result->answer = answer;
}

unsigned step(struct bench *b)
{
	unsigned left = resolver_poll(b->resolver, b->began + b->ahead);

	rcu_reclaim(b->rcu);
	return left;
}

void settle(struct bench *b)
{
	uint64_t before, took, longest = 0;
	unsigned left;

	do {
		before = clock_now_ns();
		left = step(b);
		took = clock_now_ns() - before;
		longest = took > longest ? took : longest;
		usleep(200);
	} while (left > 0);
	/* Publishing is spread over time: again after four times as long as it took. */
	for (unsigned i = 0; i < 2; i++) {
		uint64_t end = clock_now_ns() + 4 * longest;

		do
			usleep(300);
		while (clock_now_ns() < end);
		step(b);
	}
}

void poll_for(struct bench *b, uint64_t ns)
{
	uint64_t end = clock_now_ns() + ns;

	/* Some times even where others have the CPU for all that time. */
	for (unsigned i = 0; i < 3 || clock_now_ns() < end; i++) {
		step(b);
		usleep(300);
	}
}

void pass(struct bench *b, uint64_t ns)
{
	b->ahead += ns;
	poll_for(b, 15 * MS);
}

enum resolve_answer find(struct bench *b, enum resolve_kind kind, const char *name,
	const struct resolve_addresses **out)
{
	return resolve_find(resolver_snapshot(b->resolver), kind, str_c(name), out);
}

const char *text_of(const struct resolve_addresses *a)
{
	static char text[RESOLVE_ADDRESSES_MAX * NET_ENDPOINT_TEXT_MAX];
	unsigned n = 0;

	for (unsigned i = 0; i < a->count; i++) {
		if (i > 0)
			text[n++] = ' ';
		n += net_endpoint_format(&a->ep[i], text + n);
	}
	text[n] = '\0';
	return text;
}

enum resolve_answer resolve(
	struct bench *b, enum resolve_kind kind, const char *name, const char **text)
{
	const struct resolve_addresses *a = NULL;
	struct result result = {0};
	enum resolve_answer answer;

	assert_int_equal(resolve_ask(b->resolver, kind, str_c(name), done, &result), 0);
	settle(b);
	assert_int_equal(result.calls, 1);
	answer = find(b, kind, name, &a);
	assert_int_equal(answer, result.answer);
	*text = answer == RESOLVE_FOUND ? text_of(a) : "";
	return answer;
}

void expect(struct bench *b, enum resolve_kind kind, const char *name, const char *want)
{
	const char *text;
	enum resolve_answer answer = resolve(b, kind, name, &text);

	if (answer != (*want != '\0' ? RESOLVE_FOUND : RESOLVE_FAILED) || strcmp(text, want) != 0)
		fail_msg("%s: answer %d, \"%s\", not \"%s\"", name, answer, text, want);
}

static const char *found_text(struct bench *b, enum resolve_kind kind, const char *name)
{
	const struct resolve_addresses *a = NULL;

	switch (find(b, kind, name, &a)) {
	case RESOLVE_FOUND:
		return text_of(a);
	case RESOLVE_FAILED:
		return "";
	default:
		return "?";
	}
}

void expect_found(struct bench *b, enum resolve_kind kind, const char *name, const char *want)
{
	for (unsigned i = 0; i < PATIENCE_MS && strcmp(found_text(b, kind, name), want) != 0; i++)
		poll_for(b, MS);
	if (strcmp(found_text(b, kind, name), want) != 0)
		fail_msg("%s: \"%s\", not \"%s\"", name, found_text(b, kind, name), want);
}

uint64_t counter(struct bench *b, enum resolve_counter id)
{
	return resolver_counter(b->resolver, id);
}

void add(struct bench *b, const char *name, enum dns_type type, uint32_t ttl, const char *data)
{
	dns_server_add(b->server, (struct dns_record){name, type, ttl, data, 0, 0, 0});
}

void add_srv(struct bench *b, const char *name, uint16_t priority, uint16_t weight, uint16_t port,
	const char *target)
{
	dns_server_add(
		b->server, (struct dns_record){name, TYPE_SRV, 60, target, priority, weight, port});
}

void add_naptr(struct bench *b, const char *name, uint16_t order, uint16_t preference,
	const char *service, const char *replacement)
{
	dns_server_add(b->server, (struct dns_record){.name = name,
					  .type = TYPE_NAPTR,
					  .ttl = 60,
					  .data = replacement,
					  .priority = order,
					  .weight = preference,
					  .service = service});
}
