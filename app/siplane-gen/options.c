/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#include "internal.h"

#define RATE_MAX 1e8
#define SECONDS_MAX 1e6
#define CALLS_DEFAULT 262144
#define CALLS_FLAT_OUT 256 /* at a time with --rate max */
#define OPTIONS_MAX 96

const char gen_options_help[] =
	"Where messages go and come from:\n"
	"      --udp                 kernel UDP sockets (the default)\n"
	"      --device SPEC         a DPDK device, as in siplane.cfg: 0000:3b:00.0, "
	"net_memif0,...,\n"
	"                            net_af_packet0,iface=..., net_af_xdp0,iface=..., net_ring0\n"
	"      --address ADDR[/LEN]  our address; with --device it is put on an exception "
	"interface,\n"
	"                            which answers ARP and ND (again for more)\n"
	"      --gateway ADDR        default route of that interface\n"
	"      --peer-mac MAC        no ARP: all frames go to this MAC\n"
	"      --mac MAC             our MAC (default: the device's)\n"
	"      --mtu BYTES           of the device\n"
	"      --port P[-Q]          our UDP ports (default 5070; reflector 5060)\n"
	"      --target ADDR[:PORT]  where requests are sent\n"
	"      --domain NAME         of the URIs (default: the target)\n"
	"      --reflect-device, --reflect-address, --reflect-gateway, --reflect-peer-mac,\n"
	"      --reflect-mac, --reflect-mtu, --reflect-port\n"
	"                            the same for a reflector in this process, so that it stands "
	"on\n"
	"                            both sides of the system; the same device twice: it is its "
	"own wire\n"
	"      --cpu N               CPU to run on (default with --device: the first that we may "
	"use)\n"
	"      --idle poll|sleep     with nothing to do: spin (default with --device), or sleep\n"
	"      --profiles DIR        folder of the driver profiles\n"
	"\n"
	"Load:\n"
	"  -r, --rate R              attempts a second (50k, 1.5M), or max: as fast as it goes, "
	"--calls\n"
	"                            at a time (default 10)\n"
	"  -n, --attempts N          end after so many\n"
	"  -s, --seconds S           end after this time (default 10)\n"
	"      --poisson             random gaps, exponentially distributed, instead of even ones\n"
	"      --seed N              of everything random\n"
	"      --calls N             calls open at once (default 262144; 256 with --rate max)\n"
	"      --users N             values of {user} (default 1000), in turn\n"
	"      --random-users        at random\n"
	"      --password TEXT       instead of the scenario's auth_password\n"
	"      --set NAME=VALUE      instead of the scenario's\n"
	"      --no-retransmit       what is lost stays lost, and is counted\n"
	"      --t1 TIME, --t2 TIME  timers of RFC 3261 (500ms, 4s)\n"
	"      --late TIME           a slot sent later than this is missed (default 1ms)\n"
	"      --threshold TIME      an answer that takes longer fails its call, whatever the "
	"scenario\n"
	"                            says; search ndr: 2s\n"
	"      --settle TIME         wait before the first attempt, for neighbours that see a link "
	"late\n"
	"      --drain TIME          longest wait at the end (default: until all calls have "
	"ended)\n"
	"\n"
	"Reflector:\n"
	"      --reflect             answer only, until SIGINT or for --seconds\n"
	"      --reflect-status N    final answer to INVITEs (default 200); 180: none\n"
	"      --ringing N           180s in front of it (default 1); the caller counts all but "
	"the\n"
	"                            first as duplicates\n"
	"      --no-ringing          none\n"
	"      --trying              a 100 in front of those\n"
	"      --challenge ALGORITHM INVITE and REGISTER need a digest (MD5, SHA-256, "
	"SHA-512-256)\n"
	"                            by --password (default secret): 401, or 403 for a wrong one\n"
	"\n"
	"Output:\n"
	"      --json                one JSON object\n"
	"      --histogram FILE      latency points (us, share, count) for gnuplot\n"
	"  -q, --quiet               no progress, no table\n"
	"      --reference           the language of scenario files (Markdown)\n"
	"  -d, --debug               more messages, DPDK's among them\n"
	"  -h, --help                this text\n"
	"  -V, --version             the version\n";

enum {
	OPTION_UDP = 256,
	OPTION_CPU,
	OPTION_IDLE,
	OPTION_PROFILES,
	OPTION_TARGET,
	OPTION_DOMAIN,
	OPTION_POISSON,
	OPTION_SEED,
	OPTION_CALLS,
	OPTION_USERS,
	OPTION_RANDOM_USERS,
	OPTION_PASSWORD,
	OPTION_SET,
	OPTION_NO_RETRANSMIT,
	OPTION_T1,
	OPTION_T2,
	OPTION_LATE,
	OPTION_THRESHOLD,
	OPTION_DRAIN,
	OPTION_SETTLE,
	OPTION_REFLECT,
	OPTION_REFLECT_STATUS,
	OPTION_RINGING,
	OPTION_NO_RINGING,
	OPTION_TRYING,
	OPTION_CHALLENGE,
	OPTION_JSON,
	OPTION_HISTOGRAM,
	OPTION_REFERENCE,
	OPTION_SIDE, /* and what follows, of the caller; + 100: of the reflector */
	OPTION_DEVICE = OPTION_SIDE,
	OPTION_ADDRESS,
	OPTION_GATEWAY,
	OPTION_PEER_MAC,
	OPTION_MAC,
	OPTION_PORT,
	OPTION_MTU,
	OPTION_REFLECTOR = 100,
	OPTION_MORE = 1000,
};

#define SIDE(name, id) \
	{name, required_argument, NULL, id}, \
	{ \
		"reflect-" name, required_argument, NULL, id + OPTION_REFLECTOR \
	}

static const struct option ours[] = {
	{"udp", no_argument, NULL, OPTION_UDP},
	SIDE("device", OPTION_DEVICE),
	SIDE("address", OPTION_ADDRESS),
	SIDE("gateway", OPTION_GATEWAY),
	SIDE("peer-mac", OPTION_PEER_MAC),
	SIDE("mac", OPTION_MAC),
	SIDE("port", OPTION_PORT),
	SIDE("mtu", OPTION_MTU),
	{"target", required_argument, NULL, OPTION_TARGET},
	{"domain", required_argument, NULL, OPTION_DOMAIN},
	{"cpu", required_argument, NULL, OPTION_CPU},
	{"idle", required_argument, NULL, OPTION_IDLE},
	{"profiles", required_argument, NULL, OPTION_PROFILES},
	{"rate", required_argument, NULL, 'r'},
	{"attempts", required_argument, NULL, 'n'},
	{"seconds", required_argument, NULL, 's'},
	{"poisson", no_argument, NULL, OPTION_POISSON},
	{"seed", required_argument, NULL, OPTION_SEED},
	{"calls", required_argument, NULL, OPTION_CALLS},
	{"users", required_argument, NULL, OPTION_USERS},
	{"random-users", no_argument, NULL, OPTION_RANDOM_USERS},
	{"password", required_argument, NULL, OPTION_PASSWORD},
	{"set", required_argument, NULL, OPTION_SET},
	{"no-retransmit", no_argument, NULL, OPTION_NO_RETRANSMIT},
	{"t1", required_argument, NULL, OPTION_T1},
	{"t2", required_argument, NULL, OPTION_T2},
	{"late", required_argument, NULL, OPTION_LATE},
	{"threshold", required_argument, NULL, OPTION_THRESHOLD},
	{"drain", required_argument, NULL, OPTION_DRAIN},
	{"settle", required_argument, NULL, OPTION_SETTLE},
	{"reflect", no_argument, NULL, OPTION_REFLECT},
	{"reflect-status", required_argument, NULL, OPTION_REFLECT_STATUS},
	{"ringing", required_argument, NULL, OPTION_RINGING},
	{"no-ringing", no_argument, NULL, OPTION_NO_RINGING},
	{"trying", no_argument, NULL, OPTION_TRYING},
	{"challenge", required_argument, NULL, OPTION_CHALLENGE},
	{"json", no_argument, NULL, OPTION_JSON},
	{"histogram", required_argument, NULL, OPTION_HISTOGRAM},
	{"quiet", no_argument, NULL, 'q'},
	{"reference", no_argument, NULL, OPTION_REFERENCE},
	{"debug", no_argument, NULL, 'd'},
	{"help", no_argument, NULL, 'h'},
	{"version", no_argument, NULL, 'V'},
};

/* ---- values ---- */

int gen_duration_parse(const char *text, uint64_t *ns)
{
	static const struct {
		const char *unit;
		double ns;
	} units[] = {{"", 1e9}, {"s", 1e9}, {"ms", 1e6}, {"us", 1e3}, {"ns", 1}, {"m", 60e9}};
	char *end;
	double v;

	if (!str_is_digit(text[0]) || text[1] == 'x' || text[1] == 'X')
		return -EINVAL;
	v = strtod(text, &end);
	for (unsigned i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (strcmp(end, units[i].unit) == 0 && v * units[i].ns < 9e18) {
			*ns = (uint64_t)llround(v * units[i].ns);
			return 0;
		}
	return -EINVAL;
}

int gen_number_parse(const char *text, double *out)
{
	char *end;
	double v;

	if (!str_is_digit(text[0]) || text[1] == 'x' || text[1] == 'X')
		return -EINVAL;
	v = strtod(text, &end);
	if (*end == 'k' || *end == 'K') {
		v *= 1e3;
		end++;
	} else if (*end == 'M') {
		v *= 1e6;
		end++;
	}
	if (*end != '\0' || !isfinite(v))
		return -EINVAL;
	*out = v;
	return 0;
}

int gen_target_parse(const char *text, struct net_endpoint *out)
{
	struct str host = str_c(text), port = STR_NONE;
	int64_t colon;
	uint32_t n = SIP_DEFAULT_PORT;

	*out = (struct net_endpoint){0};
	if (host.len > 0 && host.s[0] == '[') {
		int64_t close = str_find(host, ']');

		if (close < 0)
			return -EINVAL;
		if ((uint32_t)close + 1 < host.len) {
			if (host.s[close + 1] != ':')
				return -EINVAL;
			port = str_of(host.s + close + 2, host.len - (uint32_t)close - 2);
			if (port.len == 0)
				return -EINVAL;
		}
		host = str_of(host.s + 1, (uint32_t)close - 1);
	} else {
		colon = str_find(host, ':');
		/* Two colons: an IPv6 address without a port. */
		if (colon >= 0 &&
			str_find(str_of(host.s + colon + 1, host.len - (uint32_t)colon - 1), ':') <
				0) {
			port = str_of(host.s + colon + 1, host.len - (uint32_t)colon - 1);
			host.len = (uint32_t)colon;
			if (port.len == 0)
				return -EINVAL;
		}
	}
	if (port.len != 0 && (str_to_u32(port, 65535, &n) != 0 || n == 0))
		return -EINVAL;
	out->port = (uint16_t)n;
	return net_addr_parse(host, &out->addr);
}

static int wrong(const char *option, const char *value, const char *expected)
{
	fprintf(stderr, "siplane-gen: --%s '%s': %s is expected\nTry 'siplane-gen --help'.\n",
		option, value, expected);
	return -EINVAL;
}

static int take_number(
	const char *option, const char *value, uint64_t min, uint64_t max, uint64_t *out)
{
	char what[96];
	double v;

	if (gen_number_parse(value, &v) == 0 && v >= (double)min && v <= (double)max &&
		v == floor(v)) {
		*out = (uint64_t)v;
		return 0;
	}
	snprintf(what, sizeof(what), "a whole number from %llu to %llu", (unsigned long long)min,
		(unsigned long long)max);
	return wrong(option, value, what);
}

static int take_duration(const char *option, const char *value, uint64_t *out)
{
	return gen_duration_parse(value, out) == 0
		       ? 0
		       : wrong(option, value, "a duration (2s, 250ms, 10us)");
}

static int take_ports(const char *option, const char *value, struct gen_side *side)
{
	struct str text = str_c(value), last;
	int64_t dash = str_find(text, '-');
	uint32_t first, to;

	last = text;
	if (dash >= 0) {
		last = str_of(text.s + dash + 1, text.len - (uint32_t)dash - 1);
		text.len = (uint32_t)dash;
	}
	if (str_to_u32(text, 65535, &first) != 0 || str_to_u32(last, 65535, &to) != 0 ||
		first == 0 || to < first || to - first >= GEN_PORTS_MAX)
		return wrong(option, value, "a port or a range P-Q of at most 4096");
	side->port_first = (uint16_t)first;
	side->port_last = (uint16_t)to;
	return 0;
}

static int take_side(const char *option, const char *value, int id, struct gen_side *side)
{
	uint64_t n;

	switch (id) {
	case OPTION_DEVICE:
		side->device = value;
		return 0;
	case OPTION_ADDRESS:
		if (side->addresses == GEN_ADDRESSES_MAX)
			return wrong(option, value, "no more than 4 addresses");
		side->address[side->addresses++] = value;
		return 0;
	case OPTION_GATEWAY:
		side->gateway = value;
		return 0;
	case OPTION_PEER_MAC:
		side->peer_mac = value;
		return 0;
	case OPTION_MAC:
		side->mac = value;
		return 0;
	case OPTION_PORT:
		return take_ports(option, value, side);
	default: /* OPTION_MTU */
		if (take_number(option, value, 576, 9216, &n) != 0)
			return -EINVAL;
		side->mtu = (unsigned)n;
		return 0;
	}
}

static int take_set(const char *value, struct gen_config *c)
{
	const char *equals = strchr(value, '=');
	char *name;

	if (equals == NULL || equals == value || equals - value > GEN_NAME_MAX)
		return wrong("set", value, "NAME=VALUE");
	if (c->variables == GEN_VARIABLES_MAX)
		return wrong("set", value, "no more than 32 variables");
	name = strndup(value, (size_t)(equals - value));
	if (name == NULL)
		return wrong("set", value, "more memory");
	c->variable[c->variables++] = (struct gen_variable){name, equals + 1};
	return 0;
}

static int take_load(int id, const char *name, const char *value, struct gen_config *c)
{
	uint64_t n;

	switch (id) {
	case 'r':
		c->rate = 0;
		c->rate_said = true;
		if (strcmp(value, "max") == 0)
			return 0;
		if (gen_number_parse(value, &c->rate) != 0 || c->rate <= 0 || c->rate > RATE_MAX)
			return wrong(name, value, "attempts a second (10, 50k, 1.5M) or max");
		return 0;
	case 'n':
		return take_number(name, value, 1, 1ULL << 40, &c->attempts);
	case 's':
		if (gen_duration_parse(value, &n) != 0 || n == 0 || (double)n > SECONDS_MAX * 1e9)
			return wrong(name, value, "a time (10, 250ms, 5m)");
		c->seconds = (double)n / 1e9;
		c->seconds_said = true;
		return 0;
	case OPTION_SEED:
		return take_number(name, value, 0, 1ULL << 53, &c->seed);
	case OPTION_CALLS:
		if (take_number(name, value, 1, (1U << GEN_CALLS_BITS) - 1, &n) != 0)
			return -EINVAL;
		c->calls = (uint32_t)n;
		return 0;
	case OPTION_USERS:
		return take_number(name, value, 1, 1000000000, &c->users);
	case OPTION_T1:
		return take_duration(name, value, &c->t1_ns);
	case OPTION_T2:
		return take_duration(name, value, &c->t2_ns);
	case OPTION_LATE:
		return take_duration(name, value, &c->late_ns);
	case OPTION_THRESHOLD:
		if (gen_duration_parse(value, &c->threshold_ns) != 0 || c->threshold_ns == 0)
			return wrong(name, value, "a duration (2s, 250ms)");
		return 0;
	case OPTION_SETTLE:
		return take_duration(name, value, &c->settle_ns);
	default: /* OPTION_DRAIN */
		return take_duration(name, value, &c->drain_ns);
	}
}

static int take(int id, const char *name, const char *value, struct gen_config *c)
{
	uint64_t n;

	if (id >= OPTION_SIDE + OPTION_REFLECTOR && id < OPTION_MORE)
		return take_side(name, value, id - OPTION_REFLECTOR, &c->reflector);
	if (id >= OPTION_SIDE && id < OPTION_MORE)
		return take_side(name, value, id, &c->caller);
	switch (id) {
	case OPTION_UDP:
		c->udp = true;
		return 0;
	case OPTION_TARGET:
		c->target = value;
		return 0;
	case OPTION_DOMAIN:
		if (strlen(value) > 255)
			return wrong(name, value, "a name of at most 255 characters");
		c->domain = value;
		return 0;
	case OPTION_CPU:
		if (take_number(name, value, 0, 1023, &n) != 0)
			return -EINVAL;
		c->cpu = (int)n;
		return 0;
	case OPTION_IDLE:
		c->poll = strcmp(value, "poll") == 0;
		c->sleep = strcmp(value, "sleep") == 0;
		return c->poll || c->sleep ? 0 : wrong(name, value, "poll or sleep");
	case OPTION_PROFILES:
		c->profiles = value;
		return 0;
	case OPTION_POISSON:
		c->poisson = true;
		return 0;
	case OPTION_RANDOM_USERS:
		c->random_users = true;
		return 0;
	case OPTION_PASSWORD:
		c->password = value;
		return 0;
	case OPTION_SET:
		return take_set(value, c);
	case OPTION_NO_RETRANSMIT:
		c->no_retransmit = true;
		return 0;
	case OPTION_REFLECT:
		c->reflect = true;
		return 0;
	case OPTION_REFLECT_STATUS:
		if (take_number(name, value, 180, 699, &n) != 0)
			return -EINVAL;
		c->reflect_status = (uint16_t)n;
		return 0;
	case OPTION_RINGING:
		if (take_number(name, value, 0, 1000, &n) != 0)
			return -EINVAL;
		c->ringing = (unsigned)n;
		return 0;
	case OPTION_NO_RINGING:
		c->ringing = 0;
		return 0;
	case OPTION_TRYING:
		c->trying = true;
		return 0;
	case OPTION_CHALLENGE:
		c->challenge = value;
		if (strcmp(value, "MD5") != 0 && strcmp(value, "SHA-256") != 0 &&
			strcmp(value, "SHA-512-256") != 0)
			return wrong(name, value, "MD5, SHA-256 or SHA-512-256");
		return 0;
	case OPTION_JSON:
		c->json = true;
		return 0;
	case OPTION_HISTOGRAM:
		c->histogram = value;
		return 0;
	case 'q':
		c->quiet = true;
		return 0;
	case 'd':
		c->debug = true;
		return 0;
	default:
		return take_load(id, name, value, c);
	}
}

/* ---- where messages go and come from ---- */

static const char *wrong_side(const struct gen_side *side, char *text, size_t size)
{
	for (unsigned i = 0; i < side->addresses; i++) {
		struct net_addr addr;
		struct str host =
			str_of(side->address[i], (uint32_t)strcspn(side->address[i], "/"));

		if (net_addr_parse(host, &addr) == 0)
			continue;
		snprintf(text, size, "'%s' is no address", side->address[i]);
		return text;
	}
	return NULL;
}

const char *gen_config_wrong(const struct gen_config *c, char *text, size_t size)
{
	struct net_endpoint target;

	if (c->udp && (c->caller.device != NULL || c->reflector.device != NULL))
		return "--udp and --device: one or the other";
	if (wrong_side(&c->caller, text, size) != NULL ||
		wrong_side(&c->reflector, text, size) != NULL)
		return text;
	if (c->reflect)
		return c->reflector.addresses != 0
			       ? NULL
			       : "--address is needed: the address that answers come from";
	if (c->target == NULL && c->reflector.addresses == 0)
		return "--target is needed: the address that requests are sent to";
	if (c->target != NULL && gen_target_parse(c->target, &target) != 0) {
		snprintf(text, size, "--target %s: ADDRESS[:PORT] is expected, not a name",
			c->target);
		return text;
	}
	if (c->caller.device != NULL && c->caller.addresses == 0)
		return "--address is needed with a device";
	return NULL;
}

int gen_usage_error(const char *what)
{
	fprintf(stderr, "siplane-gen: %s\nTry 'siplane-gen --help'.\n", what);
	return 3;
}

/* ---- the command line ---- */

static const char *default_profiles(void)
{
	const char *env = getenv("SIPLANE_PROFILES");

	if (env != NULL)
		return env;
	return access(PROFILES_INSTALLED, R_OK) == 0 ? PROFILES_INSTALLED : PROFILES_SOURCE;
}

/* What options mean together. 0, or the exit status + 1. */
static int complete(struct gen_config *c, int argc, char **argv)
{
	if (c->reflect) {
		if (optind < argc)
			return gen_usage_error("--reflect takes no scenario");
		if (c->rate_said || c->attempts != 0 || c->histogram != NULL)
			return gen_usage_error("--reflect answers: --rate, --attempts and "
					       "--histogram are a run's");
		/* Alone, it is what the plain options speak of. */
		if (c->reflector.device == NULL)
			c->reflector.device = c->caller.device;
		if (c->reflector.addresses == 0) {
			memcpy(c->reflector.address, c->caller.address, sizeof(c->caller.address));
			c->reflector.addresses = c->caller.addresses;
		}
		if (c->reflector.gateway == NULL)
			c->reflector.gateway = c->caller.gateway;
		if (c->reflector.peer_mac == NULL)
			c->reflector.peer_mac = c->caller.peer_mac;
		if (c->reflector.mac == NULL)
			c->reflector.mac = c->caller.mac;
		if (c->reflector.mtu == 0)
			c->reflector.mtu = c->caller.mtu;
		if (c->reflector.port_first == 0) {
			c->reflector.port_first = c->caller.port_first;
			c->reflector.port_last = c->caller.port_last;
		}
	} else {
		if (optind >= argc)
			return gen_usage_error("a scenario file is expected (conf/gen/*.gen)");
		c->scenario = argv[optind++];
		if (optind < argc)
			return gen_usage_error("one scenario file is expected, not several");
		c->reflect_too = c->reflector.device != NULL || c->reflector.addresses > 0;
		if (c->reflect_too && (c->caller.device == NULL) != (c->reflector.device == NULL))
			return gen_usage_error("--device and --reflect-device: both or none");
	}
	if (c->caller.port_first == 0)
		c->caller.port_first = c->caller.port_last = 5070;
	if (c->reflector.port_first == 0)
		c->reflector.port_first = c->reflector.port_last = 5060;
	if (c->calls == 0)
		c->calls = c->rate <= 0 ? CALLS_FLAT_OUT : CALLS_DEFAULT;
	if (c->attempts == 0 && c->seconds <= 0 && !c->reflect)
		c->seconds = 10;
	if (c->caller.device != NULL || c->reflector.device != NULL)
		c->poll = !c->sleep;
	return 0;
}

int gen_options_parse(int argc, char **argv, const char *usage, const struct gen_option *more,
	void *arg, struct gen_config *out)
{
	struct option longs[OPTIONS_MAX + 1] = {{0}};
	unsigned n = sizeof(ours) / sizeof(ours[0]), extra = 0;
	int c, index;

	memcpy(longs, ours, sizeof(ours));
	for (; more != NULL && more[extra].name != NULL && n + extra < OPTIONS_MAX; extra++)
		longs[n + extra] = (struct option){more[extra].name,
			more[extra].has_argument ? required_argument : no_argument, NULL,
			OPTION_MORE + (int)extra};
	*out = (struct gen_config){
		.profiles = default_profiles(),
		.cpu = -1,
		.rate = 10,
		.seed = 1,
		.t1_ns = 500 * CLOCK_NS_PER_MS,
		.t2_ns = 4 * CLOCK_NS_PER_S,
		.late_ns = CLOCK_NS_PER_MS,
		.drain_ns = UINT64_MAX,
		.reflect_status = 200,
		.ringing = 1,
	};
	optind = 1;
	while (index = -1, (c = getopt_long(argc, argv, "r:n:s:qdhV", longs, &index)) != -1) {
		const char *name = index >= 0 ? longs[index].name : NULL;

		switch (c) {
		case '?':
			fputs("Try 'siplane-gen --help'.\n", stderr);
			return 3;
		case 'h':
			fputs(usage, stdout);
			fputs(gen_options_help, stdout);
			return 1;
		case 'V':
			printf("siplane-gen %s\n", SIPLANE_VERSION);
			return 1;
		case OPTION_REFERENCE:
			scenario_reference(stdout);
			return 1;
		default:
			break;
		}
		if (name == NULL)
			name = c == 'r' ? "rate" : c == 'n' ? "attempts" : "seconds";
		if (c >= OPTION_MORE) {
			if (more[c - OPTION_MORE].take(arg, name, optarg) != 0)
				return 3;
		} else if (take(c, name, optarg, out) != 0) {
			return 3;
		}
	}
	return complete(out, argc, argv);
}
