/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <dirent.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_version.h>

#include "port/port_internal.h"

#define EAL_ARGUMENTS_MAX 96
#define EAL_RESERVE_BYTES (48ULL << 20) /* EAL's own, rings, ethdev data */
#define RUNTIME_PREFIX "siplane-"
#define EAL_HUGEPAGES "/sys/kernel/mm/hugepages"

struct arguments {
	char *v[EAL_ARGUMENTS_MAX + 1];
	int n;
	bool failed;
};

static void add(struct arguments *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void add(struct arguments *a, const char *fmt, ...)
{
	char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (a->n == EAL_ARGUMENTS_MAX || vasprintf(&text, fmt, ap) < 0)
		a->failed = true;
	else
		a->v[a->n++] = text;
	va_end(ap);
}

static uint64_t number_in(const char *path)
{
	unsigned long long v = 0;
	FILE *f = fopen(path, "re");

	if (f == NULL)
		return 0;
	if (fscanf(f, "%llu", &v) != 1)
		v = 0;
	fclose(f);
	return v;
}

/* Bytes of hugepages that nobody has taken, all sizes. */
static uint64_t free_hugepages(void)
{
	uint64_t bytes = 0;
	struct dirent *entry;
	DIR *d = opendir(EAL_HUGEPAGES);

	if (d == NULL)
		return 0;
	while ((entry = readdir(d)) != NULL) {
		unsigned long long kb;
		char path[512];

		if (sscanf(entry->d_name, "hugepages-%llukB", &kb) != 1)
			continue;
		snprintf(path, sizeof(path), EAL_HUGEPAGES "/%s/free_hugepages", entry->d_name);
		bytes += number_in(path) * kb * 1024;
	}
	closedir(d);
	return bytes;
}

static uint64_t available_memory(void)
{
	unsigned long long kb = 0;
	char line[128];
	FILE *f = fopen("/proc/meminfo", "re");

	if (f == NULL)
		return UINT64_MAX;
	while (fgets(line, sizeof(line), f) != NULL)
		if (sscanf(line, "MemAvailable: %llu kB", &kb) == 1)
			break;
	fclose(f);
	return kb != 0 ? kb * 1024 : UINT64_MAX;
}

static int choose_memory(
	const struct port_eal *config, uint64_t bytes, bool *huge, char *error, size_t error_size)
{
	uint64_t mb = bytes >> 20, pages = free_hugepages();

	*huge = config->huge > 0 || (config->huge < 0 && pages >= bytes);
	if (*huge && pages < bytes)
		return port_fail(error, error_size, ENOMEM,
			"%" PRIu64 " MB of hugepages are needed and %" PRIu64
			" MB are free\n         reserve them:  drivers-config/hugepages %" PRIu64,
			mb, pages >> 20, mb);
	if (!*huge && available_memory() < bytes)
		return port_fail(error, error_size, ENOMEM,
			"%" PRIu64 " MB of memory are needed and %" PRIu64
			" MB are available: lower 'memory { }' in the configuration",
			mb, available_memory() >> 20);
	return 0;
}

/* "--lcores=0@2,1@0,2@0": lcore i on its CPU, several on one CPU where asked. */
static int add_lcores(
	struct arguments *a, const struct port_eal *config, char *error, size_t error_size)
{
	char text[RTE_MAX_LCORE * 16];
	cpu_set_t allowed;
	size_t at = 0;

	if (config->lcores == 0 || config->lcores > RTE_MAX_LCORE)
		return port_fail(error, error_size, EINVAL,
			"%u threads are asked for: 1 to %u are possible", config->lcores,
			RTE_MAX_LCORE);
	CPU_ZERO(&allowed);
	if (sched_getaffinity(0, sizeof(allowed), &allowed) != 0)
		return port_fail(error, error_size, errno,
			"the CPUs of this process are not known: %s", strerror(errno));
	for (unsigned i = 0; i < config->lcores; i++) {
		int cpu = config->cpu[i];

		if (cpu < 0 || cpu >= CPU_SETSIZE || !CPU_ISSET(cpu, &allowed))
			return port_fail(error, error_size, EINVAL,
				"CPU %d is not one that this process may use: see 'taskset -p %d' "
				"and 'cores { }'",
				cpu, (int)getpid());
		at += (size_t)snprintf(
			text + at, sizeof(text) - at, "%s%u@%d", i > 0 ? "," : "", i, cpu);
	}
	add(a, "--lcores=%s", text);
	add(a, "--main-lcore=0");
	return 0;
}

static void add_devices(struct arguments *a, const struct port_eal *config)
{
	unsigned pci = 0;

	for (unsigned i = 0; i < config->devices; i++)
		if (port_device_is_pci(config->device[i])) {
			const char *device = config->device[i];

			if (strncmp(device, "pci:", 4) == 0)
				device += 4;
			add(a, "--allow=%s", device);
			pci++;
		}
	if (pci == 0)
		add(a, "--no-pci");
}

static void remove_runtime_dir(const char *dir)
{
	char path[PATH_MAX + 512];

	snprintf(path, sizeof(path), "%s/dpdk_telemetry.v2", dir);
	unlink(path);
	rmdir(dir);
}

/* Not one that is being made at this moment. */
static bool is_old(const char *dir)
{
	struct stat st;

	return stat(dir, &st) == 0 && st.st_mtime + 60 < time(NULL);
}

/* A run that was killed leaves its folder: one whose socket nobody listens on any more goes. */
static void remove_stale_runtime_dirs(void)
{
	char base[PATH_MAX], dir[PATH_MAX + 300];
	struct dirent *entry;
	DIR *d;

	snprintf(base, sizeof(base), "%s", rte_eal_get_runtime_dir());
	*strrchr(base, '/') = '\0';
	d = opendir(base);
	if (d == NULL)
		return;
	while ((entry = readdir(d)) != NULL) {
		struct sockaddr_un sa = {.sun_family = AF_UNIX};
		int fd;

		if (strncmp(entry->d_name, RUNTIME_PREFIX, strlen(RUNTIME_PREFIX)) != 0)
			continue;
		snprintf(dir, sizeof(dir), "%s/%s", base, entry->d_name);
		if ((size_t)snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/dpdk_telemetry.v2",
			    dir) >= sizeof(sa.sun_path))
			continue;
		fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
		if (fd < 0)
			break;
		if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) != 0 &&
			(errno == ECONNREFUSED || errno == ENOENT) && is_old(dir))
			remove_runtime_dir(dir);
		close(fd);
	}
	closedir(d);
}

/* Those whose ports bring large buffers of their own (mbuf_room of their profile). */
static uint64_t bytes_of_devices(const struct port_eal *config)
{
	uint64_t bytes = 0;

	for (unsigned i = 0; i < config->devices; i++)
		if (strncmp(config->device[i], "net_af_packet", 13) == 0)
			bytes += PORT_OWN_BUFFERS * (PORT_MBUF_BIG_ROOM + 1024ULL);
	return bytes;
}

int port_eal_start(const struct port_eal *config, char *error, size_t error_size)
{
	uint64_t bytes = RTE_ALIGN(
		config->memory_bytes + bytes_of_devices(config) + EAL_RESERVE_BYTES, 2ULL << 20);
	char *argv[EAL_ARGUMENTS_MAX + 1];
	struct arguments a = {.n = 0};
	bool huge;
	int rc;

	rc = choose_memory(config, bytes, &huge, error, error_size);
	if (rc != 0)
		return rc;
	add(&a, "%s", config->program != NULL ? config->program : "siplane");
	rc = add_lcores(&a, config, error, error_size);
	if (rc != 0)
		goto out;
	if (huge) {
		add(&a, "--in-memory");
	} else {
		/* --in-memory is refused together with --no-huge (22.11): this pair shares as
		 * little. */
		add(&a, "--no-huge");
		add(&a, "--no-shconf");
		add(&a, "--iova-mode=va");
	}
	add(&a, "-m");
	add(&a, "%" PRIu64, bytes >> 20);
	add(&a, "--file-prefix=" RUNTIME_PREFIX "%d", (int)getpid());
	add(&a, "--log-level=%s", config->debug ? "debug" : "error");
	add_devices(&a, config);
	if (a.failed) {
		rc = port_fail(
			error, error_size, E2BIG, "too many devices for the EAL's arguments");
		goto out;
	}
	/*
	 * net_tap is woken by a queued real-time signal; where the queue is full the kernel sends
	 * SIGIO instead, which would end the process.
	 */
	if (signal(SIGIO, SIG_IGN) != SIG_DFL)
		log_debug("SIGIO was not at its default");
	port_dpdk_listen();
	memcpy(argv, a.v, sizeof(argv));
	if (rte_eal_init(a.n, argv) < 0)
		rc = port_fail(error, error_size, rte_errno != 0 ? rte_errno : EIO,
			"DPDK does not start: %s%s", rte_strerror(rte_errno), port_dpdk_said());
	else
		remove_stale_runtime_dirs();
out:
	/* EAL keeps pointers into argv only while it parses. */
	for (int i = 0; i < a.n; i++)
		free(a.v[i]);
	return rc;
}

/*
 * Not rte_eal_cleanup(): in 22.11 it unmaps the memory under the interrupt thread, which now and
 * then dies of it (2 of 16 runs with a memif, measured). What it would free, the kernel frees when
 * the process ends.
 */
void port_eal_stop(void)
{
	/* The telemetry socket and its folder, unique to us, would stay. */
	if (strstr(rte_eal_get_runtime_dir(), RUNTIME_PREFIX) != NULL)
		remove_runtime_dir(rte_eal_get_runtime_dir());
}
