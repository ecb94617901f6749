/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sender and sink for a SIP system under test, in one thread, so that what they cost can be told
 * from what the system costs. Sends INVITEs by a packet socket (queueing discipline bypassed),
 * takes what arrives at a UDP port, and keeps no more than a window of messages under way: the
 * system is as busy as it can be and nothing has to be lost.
 *
 * Reads commands from stdin, answers each with a line of JSON:
 *   run SECONDS     sends and receives, then waits for what is under way
 *   unheard SECONDS sends only (to a device that throws everything away): the sender's own cost
 *   one             sends one message, answers with what arrived, as text
 *
 * Kernel work for received packets (softirq) runs in the context of whoever sends: cpu_send_ns, the
 * time that the thread spent inside sendmmsg(), has it. What sendmmsg() alone costs is what
 * `unheard` finds.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/if_ether.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BATCH 32
#define FRAME_MAX 1514
#define HEADERS (sizeof(struct ether_header) + sizeof(struct iphdr) + sizeof(struct udphdr))
#define TEXT_MAX 4096
#define MESSAGES_MAX 65536
/* Received text that is looked at: the start of the request line. */
#define LOOK 64
#define SLOT 128
/* Nothing came for so long: what is under way is lost. */
#define LOST_NS 500000000u
/* The window is full: how long to leave the system alone. A socket that nobody waits for costs its
 * sender no wake-up. */
#define PAUSE_NS 50000
#define SOCKET_BUFFER (8 << 20)
#define NS_PER_S 1000000000ull

struct frame {
	uint16_t len;
	uint8_t byte[FRAME_MAX];
};

struct flood {
	int out, in, back; /* packets out; the sink's port; a port of the callers, for answers */
	struct frame *set;
	unsigned messages, next, window;
	struct mmsghdr tx[BATCH], rx[BATCH];
	struct iovec tx_iov[BATCH], rx_iov[BATCH];
	char look[BATCH][SLOT];
};

struct result {
	uint64_t sent, received, strange, answers, lost, late, ns, cpu_ns, cpu_send_ns;
};

struct where {
	const char *interface;
	uint8_t mac[6];
	struct sockaddr_in to;
	unsigned sink_port, back_port;
};

static uint64_t clock_ns(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

static uint32_t sum16(const void *data, size_t len, uint32_t sum)
{
	const uint8_t *p = data;

	for (; len > 1; p += 2, len -= 2)
		sum += (uint32_t)p[0] << 8 | p[1];
	if (len > 0)
		sum += (uint32_t)p[0] << 8;
	return sum;
}

static uint16_t sum_fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

/* Ethernet, IPv4 and UDP around a message, with true checksums. */
static int frame_make(struct frame *f, const struct where *w, const uint8_t *own,
	const struct sockaddr_in *from, const char *text, size_t len)
{
	struct ether_header eth = {.ether_type = htons(ETHERTYPE_IP)};
	struct iphdr ip = {.version = 4, .ihl = 5, .ttl = 64, .protocol = IPPROTO_UDP};
	struct udphdr udp = {.source = from->sin_port, .dest = w->to.sin_port};
	uint16_t udp_len = (uint16_t)(sizeof(udp) + len), sum;

	if (len > FRAME_MAX - HEADERS)
		return -EMSGSIZE;
	memcpy(eth.ether_dhost, w->mac, sizeof(w->mac));
	memcpy(eth.ether_shost, own, ETH_ALEN);
	ip.tot_len = htons((uint16_t)(sizeof(ip) + udp_len));
	ip.saddr = from->sin_addr.s_addr;
	ip.daddr = w->to.sin_addr.s_addr;
	ip.check = htons(sum_fold(sum16(&ip, sizeof(ip), 0)));
	udp.len = htons(udp_len);
	sum = sum_fold(sum16(
		text, len, sum16(&udp, sizeof(udp), sum16(&ip.saddr, 8, IPPROTO_UDP + udp_len))));
	udp.check = htons(sum != 0 ? sum : 0xffff);
	f->len = (uint16_t)(HEADERS + len);
	memcpy(f->byte, &eth, sizeof(eth));
	memcpy(f->byte + sizeof(eth), &ip, sizeof(ip));
	memcpy(f->byte + sizeof(eth) + sizeof(ip), &udp, sizeof(udp));
	memcpy(f->byte + HEADERS, text, len);
	return 0;
}

static int own_mac(const char *interface, uint8_t *out)
{
	char path[sizeof("/sys/class/net//address") + IF_NAMESIZE];
	FILE *f;
	int n;

	snprintf(path, sizeof(path), "/sys/class/net/%.*s/address", IF_NAMESIZE - 1, interface);
	f = fopen(path, "r");
	if (f == NULL)
		return -errno;
	n = fscanf(f, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", &out[0], &out[1], &out[2], &out[3], &out[4],
		&out[5]);
	fclose(f);
	return n == 6 ? 0 : -EINVAL;
}

static int udp_open(unsigned port)
{
	struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	int size = SOCKET_BUFFER, fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	if (bind(fd, (struct sockaddr *)&any, sizeof(any)) != 0) {
		close(fd);
		return -errno;
	}
	return fd;
}

static int packet_open(const char *interface)
{
	struct sockaddr_ll to = {
		.sll_family = AF_PACKET, .sll_ifindex = (int)if_nametoindex(interface)};
	int one = 1, size = SOCKET_BUFFER, fd;

	if (to.sll_ifindex == 0)
		return -ENODEV;
	fd = socket(AF_PACKET, SOCK_RAW, 0);
	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof(one));
	setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
	if (bind(fd, (struct sockaddr *)&to, sizeof(to)) != 0) {
		close(fd);
		return -errno;
	}
	return fd;
}

/* "10.0.0.1:5060" */
static int address_parse(const char *text, struct sockaddr_in *out)
{
	char host[INET_ADDRSTRLEN];
	unsigned port;

	if (sscanf(text, "%15[0-9.]:%u", host, &port) != 2 || port > UINT16_MAX)
		return -EINVAL;
	*out = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	return inet_pton(AF_INET, host, &out->sin_addr) == 1 ? 0 : -EINVAL;
}

/* The messages of a file, each behind a line `LENGTH ADDRESS:PORT` (its sender's), as frames. */
static int set_read(struct flood *f, const struct where *w, const char *path)
{
	FILE *in = fopen(path, "r");
	uint8_t mac[ETH_ALEN];
	char text[TEXT_MAX], source[32];
	struct sockaddr_in from;
	size_t len;
	int err = own_mac(w->interface, mac);

	if (in == NULL)
		return -errno;
	f->set = malloc(MESSAGES_MAX * sizeof(*f->set));
	if (f->set == NULL && err == 0)
		err = -ENOMEM;
	while (err == 0 && fscanf(in, "%zu %31s", &len, source) == 2) {
		if (len > sizeof(text) || f->messages == MESSAGES_MAX || fgetc(in) != '\n' ||
			fread(text, 1, len, in) != len || address_parse(source, &from) != 0)
			err = -EINVAL;
		else
			err = frame_make(&f->set[f->messages++], w, mac, &from, text, len);
	}
	if (err == 0 && (!feof(in) || f->messages < BATCH))
		err = -EINVAL;
	fclose(in);
	return err;
}

static int flood_open(struct flood *f, const struct where *w)
{
	f->out = packet_open(w->interface);
	f->in = udp_open(w->sink_port);
	f->back = udp_open(w->back_port);
	if (f->out < 0 || f->in < 0 || f->back < 0)
		return f->out < 0 ? f->out : f->in < 0 ? f->in : f->back;
	for (unsigned i = 0; i < BATCH; i++) {
		f->tx[i].msg_hdr = (struct msghdr){.msg_iov = &f->tx_iov[i], .msg_iovlen = 1};
		f->rx_iov[i] = (struct iovec){f->look[i], LOOK};
		f->rx[i].msg_hdr = (struct msghdr){.msg_iov = &f->rx_iov[i], .msg_iovlen = 1};
	}
	return 0;
}

/* Sends up to a batch; what the device refuses is sent again next time. */
static void send_batch(struct flood *f, struct result *r)
{
	uint64_t begun;
	int n;

	for (unsigned i = 0; i < BATCH; i++) {
		struct frame *m = &f->set[(f->next + i) % f->messages];

		f->tx_iov[i] = (struct iovec){m->byte, m->len};
	}
	begun = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	n = sendmmsg(f->out, f->tx, BATCH, 0);
	r->cpu_send_ns += clock_ns(CLOCK_THREAD_CPUTIME_ID) - begun;
	if (n <= 0)
		return;
	f->next = (f->next + (unsigned)n) % f->messages;
	r->sent += (unsigned)n;
}

static unsigned receive(struct flood *f, struct result *r)
{
	int n = recvmmsg(f->in, f->rx, BATCH, MSG_DONTWAIT, NULL);

	for (int i = 0; i < n; i++)
		if (f->rx[i].msg_len < 7 || memcmp(f->look[i], "INVITE ", 7) != 0)
			r->strange++;
	if (n <= 0)
		return 0;
	r->received += (unsigned)n;
	return (unsigned)n;
}

/* Empties both ports; returns how many were in the sink's. */
static unsigned drain(struct flood *f, struct result *r)
{
	unsigned n = 0, got;

	while ((got = receive(f, r)) > 0)
		n += got;
	while (recv(f->back, f->look[0], LOOK, MSG_DONTWAIT) >= 0)
		r->answers++;
	return n;
}

static void run(struct flood *f, double seconds, struct result *r)
{
	const struct timespec pause = {.tv_nsec = PAUSE_NS};
	uint64_t begun, cpu, end, heard, way = 0;

	*r = (struct result){0};
	drain(f, r);
	*r = (struct result){0};
	cpu = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	begun = heard = clock_ns(CLOCK_MONOTONIC);
	end = begun + (uint64_t)(seconds * (double)NS_PER_S);
	for (;;) {
		uint64_t now = clock_ns(CLOCK_MONOTONIC), before = r->sent;
		unsigned got;

		if (now >= end && way == 0)
			break;
		if (now < end && way + BATCH <= f->window) {
			send_batch(f, r);
			way += r->sent - before;
		}
		got = receive(f, r);
		if (got > 0)
			heard = now;
		r->late += got > way ? got - way : 0;
		way -= got < way ? got : way;
		if (got == 0 && now - heard > LOST_NS) {
			r->lost += way;
			way = 0;
			heard = now;
		}
		if (got < BATCH && (way + BATCH > f->window || now >= end))
			nanosleep(&pause, NULL);
	}
	r->ns = clock_ns(CLOCK_MONOTONIC) - begun;
	r->cpu_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID) - cpu;
	r->late += drain(f, r);
}

static void unheard(struct flood *f, double seconds, struct result *r)
{
	uint64_t begun = clock_ns(CLOCK_MONOTONIC), cpu = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	uint64_t end = begun + (uint64_t)(seconds * (double)NS_PER_S);

	*r = (struct result){0};
	while (clock_ns(CLOCK_MONOTONIC) < end)
		send_batch(f, r);
	r->ns = clock_ns(CLOCK_MONOTONIC) - begun;
	r->cpu_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID) - cpu;
}

static void say(const struct result *r)
{
	printf("{\"sent\": %" PRIu64 ", \"received\": %" PRIu64 ", \"strange\": %" PRIu64
	       ", \"answers\": %" PRIu64 ", \"lost\": %" PRIu64 ", \"late\": %" PRIu64
	       ", \"ns\": %" PRIu64 ", \"cpu_ns\": %" PRIu64 ", \"cpu_send_ns\": %" PRIu64 "}\n",
		r->sent, r->received, r->strange, r->answers, r->lost, r->late, r->ns, r->cpu_ns,
		r->cpu_send_ns);
	fflush(stdout);
}

/* Sends one message and prints what came of it, from the sink's port or the sender's, as a JSON
 * string. */
static void one(struct flood *f)
{
	struct pollfd p[2] = {{.fd = f->in, .events = POLLIN}, {.fd = f->back, .events = POLLIN}};
	struct iovec iov = {f->set[0].byte, f->set[0].len};
	struct msghdr h = {.msg_iov = &iov, .msg_iovlen = 1};
	unsigned char text[TEXT_MAX];
	ssize_t n = -1;

	if (sendmsg(f->out, &h, 0) > 0 && poll(p, 2, 1000) > 0)
		n = recv(p[0].revents != 0 ? f->in : f->back, text, sizeof(text), MSG_DONTWAIT);
	putchar('"');
	for (ssize_t i = 0; i < n; i++) {
		if (text[i] >= ' ' && text[i] < 0x7f && text[i] != '"' && text[i] != '\\')
			putchar(text[i]);
		else
			printf("\\u%04x", text[i]);
	}
	puts("\"");
	fflush(stdout);
}

static int obey(struct flood *f)
{
	struct result r;
	char line[80];
	double seconds;

	while (fgets(line, sizeof(line), stdin) != NULL) {
		if (sscanf(line, "run %lf", &seconds) == 1) {
			run(f, seconds, &r);
			say(&r);
		} else if (sscanf(line, "unheard %lf", &seconds) == 1) {
			unheard(f, seconds, &r);
			say(&r);
		} else if (strcmp(line, "one\n") == 0) {
			one(f);
		} else {
			fprintf(stderr, "flood: unknown command: %s", line);
			return 2;
		}
	}
	return 0;
}

static int usage(void)
{
	fputs("usage: flood INTERFACE MAC TO:PORT SINK-PORT ANSWER-PORT WINDOW FILE\n", stderr);
	return 2;
}

int main(int argc, char **argv)
{
	struct flood *f = calloc(1, sizeof(*f));
	struct where w;
	int err;

	if (f == NULL)
		return 1;
	if (argc != 8 ||
		sscanf(argv[2], "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", &w.mac[0], &w.mac[1], &w.mac[2],
			&w.mac[3], &w.mac[4], &w.mac[5]) != 6 ||
		address_parse(argv[3], &w.to) != 0)
		return usage();
	w.interface = argv[1];
	w.sink_port = (unsigned)atoi(argv[4]);
	w.back_port = (unsigned)atoi(argv[5]);
	f->window = (unsigned)atoi(argv[6]);
	if (f->window < BATCH)
		return usage();
	prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0);
	err = flood_open(f, &w);
	if (err != 0) {
		fprintf(stderr, "flood: %s: %s\n", w.interface, strerror(-err));
		return 1;
	}
	err = set_read(f, &w, argv[7]);
	if (err != 0) {
		fprintf(stderr, "flood: %s: %s\n", argv[7], strerror(-err));
		return 1;
	}
	puts("ready");
	fflush(stdout);
	return obey(f);
}
