/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a generator is made of before its first trial: the scenario, sockets or devices, templates
 * that know their addresses, the table of calls, the reflector.
 */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/prctl.h>

#include "generator.h"

#define TIMER_SLACK_NS 1000UL

static bool has_branch(const struct template *t)
{
	for (unsigned i = 0; i < t->count; i++)
		if (t->in[i].field == FIELD_BRANCH)
			return true;
	return false;
}

/* An answer is known by the branch that it brings back: without one, each would be a stranger's and
 * each request lost. */
static int check_branches(const struct gen *g, char *error, size_t error_size)
{
	const struct scenario *s = g->scenario;

	for (unsigned c = 0; c < s->calls; c++)
		for (unsigned i = 0; i + 1 < s->call[c].steps; i++) {
			const struct step *step = &s->call[c].step[i];
			const struct scenario_message *m = &s->message[step->message];

			if (step[0].kind != STEP_SEND || step[1].kind != STEP_EXPECT ||
				has_branch(&g->template[step->message]))
				continue;
			return gen_fail(error, error_size, EINVAL,
				"%s:%u:%u: error: call '%s' expects an answer to message '%s', "
				"which has no {branch} to know it by: its top Via wants "
				";branch={branch}",
				s->path, m->line, m->indent + 1, s->call[c].name, m->name);
		}
	return 0;
}

/* auth_user or auth_password as a message, whose errors are said at its place. */
static struct scenario_message credential(
	const struct scenario *s, const char *name, const char *text, const char *option)
{
	struct scenario_message m = {
		.text = (char *)(uintptr_t)text, .len = (uint32_t)strlen(text)};

	snprintf(m.name, sizeof(m.name), "%s", option);
	for (unsigned i = 0; i < s->variables; i++)
		if (s->variable[i].value == text && s->variable[i].line != 0) {
			m.line = s->variable[i].line;
			m.indent = s->variable[i].column - 1;
			snprintf(m.name, sizeof(m.name), "%s", name);
		}
	return m;
}

static int compile(struct gen *g, char *error, size_t error_size)
{
	const struct scenario *s = g->scenario;
	const char *user = scenario_variable(s, STR("auth_user"));
	const char *password = g->config.password != NULL
				       ? g->config.password
				       : scenario_variable(s, STR("auth_password"));
	struct {
		const char *name, *text, *option;
		struct template *t;
	} inner[2] = {{"auth_user", user, "--set auth_user", &g->digest_user},
		{"auth_password", password,
			g->config.password != NULL ? "--password" : "--set auth_password",
			&g->digest_password}};
	bool digest = false;

	for (unsigned i = 0; i < s->messages; i++) {
		int rc = template_compile(
			s, &s->message[i], &g->bind, &g->template[i], error, error_size);

		if (rc != 0)
			return rc;
		digest = digest || g->template[i].digests != 0;
		if (g->template[i].most > g->caller->room)
			return gen_fail(error, error_size, EMSGSIZE,
				"%s: message '%s' may be %u bytes long: the device takes %u",
				s->path, s->message[i].name, g->template[i].most, g->caller->room);
	}
	if (check_branches(g, error, error_size) != 0)
		return -EINVAL;
	if (!digest)
		return 0;
	if (user == NULL || password == NULL)
		return gen_fail(error, error_size, EINVAL,
			"%s: {authorization} needs 'set auth_user = \"...\";' and 'set "
			"auth_password = "
			"\"...\";' (or --password)",
			s->path);
	for (unsigned i = 0; i < 2; i++) {
		struct scenario_message m =
			credential(s, inner[i].name, inner[i].text, inner[i].option);
		int rc = template_compile(s, &m, &g->bind, inner[i].t, error, error_size);

		if (rc != 0)
			return rc;
		if (inner[i].t->most > DIGEST_USER_MAX || inner[i].t->digests != 0)
			return gen_fail(error, error_size, EINVAL,
				"%s: auth_user and auth_password have at most %d bytes", s->path,
				DIGEST_USER_MAX);
	}
	return 0;
}

static int bind_caller(
	struct gen *g, const struct net_endpoint *target, char *error, size_t error_size)
{
	struct calls_config calls = {
		.scenario = g->scenario,
		.template = g->template,
		.digest_password = &g->digest_password,
		.config = &g->config,
		.out = &g->out,
		.bind = &g->bind,
		.reflector = g->reflects != NULL ? reflector_name(g->reflects) : NULL,
	};
	struct hash_key random;
	int rc = hash_key_random(&random);

	if (rc != 0)
		return gen_fail(error, error_size, -rc, "no random numbers: %s", strerror(-rc));
	if (g->config.users == 0)
		g->config.users = GEN_USERS;
	g->bind = (struct bind){
		.target = *target,
		.local = g->caller->local,
		.domain = g->config.domain,
		.users = g->config.users,
		.process = (uint32_t)random.k[0],
		.port_first = g->caller->port_first,
		.ports = g->caller->ports,
	};
	g->runs = (uint32_t)random.k[1];
	memcpy(g->bind.target_uri, "sip:", 4);
	net_endpoint_format(target, g->bind.target_uri + 4);
	g->out.io = g->caller;
	g->out.on_refused = calls_refused;
	rc = compile(g, error, error_size);
	if (rc != 0)
		return rc;
	calls.digest_user = g->digest_user.in != NULL ? &g->digest_user : NULL;
	g->calls = g->out.arg = calls_create(&calls);
	if (g->calls == NULL)
		return gen_fail(error, error_size, ENOMEM,
			"not enough memory for %u calls: lower --calls", g->config.calls);
	return 0;
}

static int bind_reflector(struct gen *g, char *error, size_t error_size)
{
	const struct reflector_config rc = {
		.status = g->config.reflect_status,
		.ringing = g->config.ringing,
		.trying = g->config.trying,
		.challenge = g->config.challenge,
		.password = g->config.password != NULL ? g->config.password : "secret",
		.local = g->reflector->local,
		.port_first = g->reflector->port_first,
	};

	g->reflector_out.io = g->reflector;
	g->reflects = reflector_create(&rc);
	return g->reflects != NULL ? 0 : gen_fail(error, error_size, ENOMEM, "not enough memory");
}

struct gen *gen_open_io(const struct gen_config *config, struct scenario *scenario,
	struct io *caller, struct io *reflector, const struct net_endpoint *target, char *error,
	size_t error_size)
{
	struct gen *g = calloc(1, sizeof(*g));
	int rc = 0;

	if (g == NULL) {
		gen_fail(error, error_size, ENOMEM, "not enough memory");
		return NULL;
	}
	g->config = *config;
	g->scenario = scenario;
	g->caller = caller;
	g->reflector = reflector;
	if (reflector != NULL)
		rc = bind_reflector(g, error, error_size);
	if (rc == 0 && caller != NULL)
		rc = bind_caller(g, target, error, error_size);
	if (rc != 0) {
		gen_close(g);
		return NULL;
	}
	return g;
}

/* The target is --target, or the reflector that stands in this process. */
static int find_target(const struct gen_config *config, struct net_endpoint *target, char *error,
	size_t error_size)
{
	char own[128];

	*target = (struct net_endpoint){0};
	if (config->reflect)
		return 0;
	if (config->target != NULL) {
		if (gen_target_parse(config->target, target) != 0)
			return gen_fail(error, error_size, EINVAL,
				"--target %s: ADDRESS[:PORT] is expected, not a name",
				config->target);
		return 0;
	}
	if (!config->reflect_too || config->reflector.addresses == 0)
		return gen_fail(error, error_size, EINVAL,
			"--target is needed: the address that requests are sent to");
	snprintf(own, sizeof(own), "%s", config->reflector.address[0]);
	own[strcspn(own, "/")] = '\0';
	if (gen_target_parse(own, target) != 0)
		return gen_fail(
			error, error_size, EINVAL, "--reflect-address %s is no address", own);
	target->port = config->reflector.port_first;
	return 0;
}

/* The CPU that --cpu names. DPDK goes there by itself. */
static int go_to_cpu(int cpu, char *error, size_t error_size)
{
	cpu_set_t set;

	if (cpu < 0)
		return 0;
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set) == 0)
		return 0;
	return gen_fail(error, error_size, errno,
		"--cpu %d: this process may not run there, or there is none", cpu);
}

static int open_sides(const struct gen_config *config, const struct net_endpoint *target,
	struct io *side[2], char *error, size_t error_size)
{
	const struct net_endpoint none = {0};

	if (config->caller.device != NULL || config->reflector.device != NULL)
		return io_dpdk_open(config, target, side, error, error_size);
	if (go_to_cpu(config->cpu, error, error_size) != 0)
		return -EINVAL;
	if (config->reflect || config->reflect_too) {
		side[1] = io_udp_open(config, &config->reflector, &none, error, error_size);
		if (side[1] == NULL)
			return -EIO;
	}
	if (!config->reflect) {
		side[0] = io_udp_open(config, &config->caller, target, error, error_size);
		if (side[0] == NULL)
			return -EIO;
	}
	return 0;
}

struct gen *gen_open(const struct gen_config *config, char *error, size_t error_size)
{
	struct scenario *scenario = NULL;
	struct net_endpoint target;
	struct io *side[2] = {NULL, NULL};
	struct gen *g = NULL;

	if (find_target(config, &target, error, error_size) != 0)
		return NULL;
	/* Whoever sleeps between send slots is woken in time: 50 us are the kernel's default. */
	prctl(PR_SET_TIMERSLACK, TIMER_SLACK_NS);
	if (!config->reflect) {
		scenario = scenario_read(
			config->scenario, config->variable, config->variables, error, error_size);
		if (scenario == NULL)
			return NULL;
	}
	if (open_sides(config, &target, side, error, error_size) == 0) {
		g = gen_open_io(config, scenario, side[0], side[1], &target, error, error_size);
		if (g == NULL)
			return NULL;
		/* Said now rather than by the first trial. */
		if (g->caller == NULL ||
			g->caller->ready(g->caller, &target, error, error_size) == 0)
			return g;
		gen_close(g);
		return NULL;
	}
	for (unsigned i = 0; i < 2; i++)
		if (side[i] != NULL)
			side[i]->close(side[i]);
	scenario_free(scenario);
	return NULL;
}

void gen_close(struct gen *g)
{
	if (g == NULL)
		return;
	calls_destroy(g->calls);
	reflector_destroy(g->reflects);
	for (unsigned i = 0; i < GEN_MESSAGES_MAX; i++)
		template_free(&g->template[i]);
	template_free(&g->digest_user);
	template_free(&g->digest_password);
	if (g->caller != NULL)
		g->caller->close(g->caller);
	if (g->reflector != NULL)
		g->reflector->close(g->reflector);
	scenario_free(g->scenario);
	free(g);
}

const char *gen_error(const struct gen *g)
{
	return g->error;
}

const char *gen_describe(const struct gen *g, bool reflector)
{
	const struct io *io = reflector ? g->reflector : g->caller;

	return io != NULL ? io->description : "";
}
