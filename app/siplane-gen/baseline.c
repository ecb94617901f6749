/* SPDX-License-Identifier: BSD-3-Clause */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "search_options.h"

/* A port that nobody has at that address, 0 where there is none. */
static uint16_t free_port(const struct net_addr *address)
{
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
	struct sockaddr_in v4 = {.sin_family = AF_INET};
	bool is_v4 = address->family == 4;
	struct sockaddr *where = is_v4 ? (struct sockaddr *)&v4 : (struct sockaddr *)&v6;
	socklen_t size = is_v4 ? sizeof(v4) : sizeof(v6);
	int fd = socket(where->sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	uint16_t port = 0;

	if (fd < 0)
		return 0;
	memcpy(is_v4 ? (void *)&v4.sin_addr : (void *)&v6.sin6_addr, address->b,
		is_v4 ? sizeof(v4.sin_addr) : sizeof(v6.sin6_addr));
	if (bind(fd, where, size) == 0 && getsockname(fd, where, &size) == 0)
		port = ntohs(is_v4 ? v4.sin_port : v6.sin6_port);
	close(fd);
	return port;
}

/* Another CPU than the caller's; -1, anywhere, where there is none or the caller has none of its
 * own. */
static int other_cpu(int callers)
{
	cpu_set_t set;

	if (callers < 0 || sched_getaffinity(0, sizeof(set), &set) != 0)
		return -1;
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, &set) && cpu != callers)
			return cpu;
	return -1;
}

/* The child: answers until it is told to end, or its parent is gone. */
static int serve(const struct gen_config *config, const struct baseline *baseline, int ready)
{
	struct gen_config own = *config;
	struct gen_result *result = calloc(1, sizeof(*result));
	const struct gen_trial endless = {0};
	char error[GEN_ERROR_MAX];
	struct gen *gen;
	int err;

	own.reflect = true;
	own.reflect_too = false;
	own.scenario = NULL;
	own.target = NULL;
	own.cpu = other_cpu(config->cpu);
	own.reflector = (struct gen_side){
		.address = {baseline->address},
		.addresses = 1,
		.port_first = baseline->port,
		.port_last = baseline->port,
	};
	gen = result != NULL ? gen_open(&own, error, sizeof(error)) : NULL;
	if (gen == NULL) {
		fprintf(stderr, "siplane-gen: the baseline's reflector: %s\n",
			result != NULL ? error : "out of memory");
		return 1;
	}
	if (write(ready, "", 1) != 1)
		return 1;
	err = gen_reflect(gen, &endless, result);
	gen_close(gen);
	free(result);
	return err == 0 || err == -EINTR ? 0 : 1;
}

static int start(const struct gen_config *config, struct baseline *baseline)
{
	pid_t parent = getpid();
	int ready[2];
	char c;

	if (pipe(ready) != 0)
		return -errno;
	fflush(NULL);
	baseline->pid = fork();
	if (baseline->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGTERM);
		close(ready[0]);
		_exit(getppid() == parent ? serve(config, baseline, ready[1]) : 1);
	}
	close(ready[1]);
	if (baseline->pid < 0 || read(ready[0], &c, 1) != 1) {
		close(ready[0]);
		baseline_end(baseline);
		return -EIO;
	}
	close(ready[0]);
	return 0;
}

int baseline_begin(
	const struct gen_config *config, struct gen_config *out, struct baseline *baseline)
{
	const struct gen_side *side = config->reflect_too ? &config->reflector : &config->caller;
	const char *address = side->addresses > 0 ? side->address[0] : "127.0.0.1";
	struct net_endpoint at = {0};

	*out = *config;
	*baseline = (struct baseline){0};
	snprintf(baseline->address, sizeof(baseline->address), "%.*s", (int)strcspn(address, "/"),
		address);
	if (net_addr_parse(str_c(baseline->address), &at.addr) != 0) {
		fprintf(stderr, "siplane-gen: '%s' is no address\n", address);
		return -EINVAL;
	}
	baseline->port = config->reflect_too ? side->port_first : free_port(&at.addr);
	if (baseline->port == 0) {
		fprintf(stderr, "siplane-gen: no port for the baseline's reflector at %s\n",
			baseline->address);
		return -EADDRNOTAVAIL;
	}
	at.port = baseline->port;
	net_endpoint_format(&at, baseline->target);
	out->target = baseline->target;
	return config->reflect_too ? 0 : start(config, baseline);
}

void baseline_end(struct baseline *baseline)
{
	if (baseline->pid > 0) {
		kill(baseline->pid, SIGTERM);
		while (waitpid(baseline->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	baseline->pid = 0;
}
