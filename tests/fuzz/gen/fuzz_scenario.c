/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Any bytes as a scenario: it loads or says why not. What loads runs for a moment, on a network of
 * its own clock.
 */
#include "../../unit/gen/fake.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int at_once(void *arg, const struct gen_progress *p)
{
	return 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct gen_result result;
	struct reflector_config uas = {.status = 200, .ringing = 1, .port_first = 5060};
	struct gen_config config = fake_config();
	const struct gen_trial trial = {.rate = 1000, .attempts = 3, .progress = at_once};
	struct net_endpoint target = {.port = 5060};
	char error[GEN_ERROR_MAX] = "", *text = malloc(size + (size == 0));
	struct scenario *s;
	struct fake *f;
	struct gen *g;

	if (text == NULL)
		abort();
	/* The text ends where its block ends, so that an over-read is seen. */
	memcpy(text, data, size);
	s = scenario_parse("fuzz.gen", str_of(text, size), NULL, 0, error, sizeof(error));
	free(text);
	if ((s == NULL) != (error[0] != '\0'))
		abort();
	if (s == NULL)
		return 0;
	if (net_addr_parse(STR("192.0.2.2"), &target.addr) != 0)
		abort();
	uas.local = target.addr;
	config.drain_ns = 0;
	f = fake_create(&uas);
	g = gen_open_io(&config, s, &f->io, NULL, &target, error, sizeof(error));
	if ((g == NULL) != (error[0] != '\0'))
		abort();
	if (g == NULL)
		return 0;
	gen_trial(g, &trial, &result);
	if (result.attempts != result.ok + result.failed)
		abort();
	gen_close(g);
	return 0;
}
