/* SPDX-License-Identifier: BSD-3-Clause */
#include "dns_server.h"

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define MODES_MAX 64
#define LOG_MAX 20000
#define MESSAGE_MAX 65535
#define PLAIN_UDP_MAX 512
#define CNAMES_MAX 4

struct logged {
	char name[256];
	int type;
};

struct dns_server {
	int udp, tcp;
	char address[32];
	pthread_t thread;
	pthread_mutex_t lock;
	atomic_bool stop;
	unsigned records, modes, logged, tcp_questions;
	struct dns_record record[DNS_SERVER_RECORDS_MAX];
	struct {
		const char *name;
		int type;
		enum dns_mode mode;
	} mode[MODES_MAX];
	struct logged log[LOG_MAX];
};

/* A message under way. */
struct message {
	uint8_t b[MESSAGE_MAX];
	size_t len;
	unsigned answers;
	bool full;
};

static void put(struct message *m, const void *data, size_t n)
{
	if (m->len + n > sizeof(m->b)) {
		m->full = true;
		return;
	}
	memcpy(m->b + m->len, data, n);
	m->len += n;
}

static void put16(struct message *m, unsigned v)
{
	put(m, (uint8_t[]){(uint8_t)(v >> 8), (uint8_t)v}, 2);
}

static void put_name(struct message *m, const char *name)
{
	while (*name != '\0') {
		size_t n = strcspn(name, ".");
		uint8_t len = (uint8_t)n;

		put(m, &len, 1);
		put(m, name, n);
		name += n + (name[n] == '.');
	}
	put(m, "", 1);
}

static void put_string(struct message *m, const char *text)
{
	uint8_t len = (uint8_t)strlen(text);

	put(m, &len, 1);
	put(m, text, len);
}

static void put_record(struct message *m, const struct dns_record *r)
{
	size_t at;
	uint8_t address[16];

	put_name(m, r->name);
	put16(m, r->type);
	put16(m, 1);
	put16(m, r->ttl >> 16);
	put16(m, r->ttl & 0xffff);
	at = m->len;
	put16(m, 0);
	if (r->type == TYPE_A && inet_pton(AF_INET, r->data, address) == 1) {
		put(m, address, 4);
	} else if (r->type == TYPE_AAAA && inet_pton(AF_INET6, r->data, address) == 1) {
		put(m, address, 16);
	} else if (r->type == TYPE_CNAME) {
		put_name(m, r->data);
	} else if (r->type == TYPE_SRV) {
		put16(m, r->priority);
		put16(m, r->weight);
		put16(m, r->port);
		put_name(m, r->data);
	} else if (r->type == TYPE_NAPTR) {
		put16(m, r->priority);
		put16(m, r->weight);
		put_string(m, r->flags != NULL ? r->flags : "s");
		put_string(m, r->service != NULL ? r->service : "SIP+D2U");
		put_string(m, r->regexp != NULL ? r->regexp : "");
		put_name(m, r->data);
	}
	if (m->full)
		return;
	m->b[at] = (uint8_t)((m->len - at - 2) >> 8);
	m->b[at + 1] = (uint8_t)(m->len - at - 2);
	m->answers++;
}

/* Whether a name is meant by another, or by a zone "*.zone" above it. */
static bool is_meant(const char *by, const char *name)
{
	size_t n = strlen(name), end = strlen(by) - 1;

	if (by[0] != '*' || by[1] != '.')
		return strcasecmp(by, name) == 0;
	return n > end && strcasecmp(by + 1, name + n - end) == 0;
}

/* The answer section, CNAMEs first. Returns whether the name exists. */
static bool answer_from_table(struct dns_server *s, struct message *m, const char *name, int type)
{
	bool exists = false;

	for (unsigned hop = 0; hop < CNAMES_MAX && name != NULL; hop++) {
		const char *next = NULL;

		for (unsigned i = 0; i < s->records; i++) {
			struct dns_record r = s->record[i];

			if (!is_meant(r.name, name))
				continue;
			exists = true;
			r.name = name;
			if ((int)r.type == type || r.type == TYPE_CNAME)
				put_record(m, &r);
			if (r.type == TYPE_CNAME)
				next = r.data;
		}
		name = next;
	}
	return exists;
}

static void misbehave(struct message *m, enum dns_mode mode, const char *name, int type)
{
	struct dns_record good = {name, TYPE_A, 60, "192.0.2.66", 0, 0, 0};

	m->answers = 1;
	switch (mode) {
	case DNS_NOISE:
		m->answers = 40000;
		for (unsigned i = 0; i < 400; i++)
			put(m, (uint8_t[]){(uint8_t)(rand() >> 5)}, 1);
		break;
	case DNS_NAME_LOOP:
		put16(m, 0xc000 | (unsigned)m->len);
		put(m, (uint8_t[]){0, (uint8_t)type, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 66}, 14);
		break;
	case DNS_LONG_DATA:
		put_name(m, name);
		put(m, (uint8_t[]){0, (uint8_t)type, 0, 1, 0, 0, 0, 60, 0xff, 0xff, 192, 0, 2, 66},
			14);
		break;
	case DNS_SHORT_ADDRESS:
		put_name(m, name);
		put(m, (uint8_t[]){0, (uint8_t)type, 0, 1, 0, 0, 0, 60, 0, 3, 192, 0, 2}, 13);
		break;
	case DNS_STRANGER:
		good.name = "stranger.test";
		m->answers = 0;
		put_record(m, &good);
		break;
	default:
		break;
	}
}

/* Reads a question; false where it is none. */
static bool read_question(const uint8_t *in, size_t len, char *name, int *type, size_t *end)
{
	size_t at = 12, n = 0;

	if (len < 17)
		return false;
	while (at < len && in[at] != 0) {
		size_t label = in[at++];

		if (label > 63 || at + label >= len || n + label + 1 > 255)
			return false;
		memcpy(name + n, in + at, label);
		n += label;
		name[n++] = '.';
		at += label;
	}
	name[n > 0 ? n - 1 : 0] = '\0';
	if (at + 5 > len)
		return false;
	*type = in[at + 1] << 8 | in[at + 2];
	*end = at + 5;
	return true;
}

static enum dns_mode mode_of(const struct dns_server *s, const char *name, int type)
{
	for (unsigned i = s->modes; i > 0; i--)
		if (is_meant(s->mode[i - 1].name, name) &&
			(s->mode[i - 1].type == 0 || s->mode[i - 1].type == type))
			return s->mode[i - 1].mode;
	return DNS_NORMAL;
}

/*
 * What a question's EDNS record says of the sender's UDP (RFC 6891), the last one of the message as
 * c-ares writes it.
 */
static size_t udp_room(const uint8_t *in, size_t len, size_t end)
{
	if ((in[10] << 8 | in[11]) == 1 && len >= end + 11 && in[end] == 0 && in[end + 2] == 41)
		return (size_t)in[end + 3] << 8 | in[end + 4];
	return PLAIN_UDP_MAX;
}

/* Makes an answer; false where there is to be none. */
static bool answer(struct dns_server *s, const uint8_t *in, size_t len, bool tcp, struct message *m,
	enum dns_mode *mode)
{
	char name[256];
	size_t end, header;
	int type, code = 0;
	bool truncated = false;

	if (!read_question(in, len, name, &type, &end))
		return false;
	if (s->logged < LOG_MAX) {
		strcpy(s->log[s->logged].name, name);
		s->log[s->logged++].type = type;
	}
	s->tcp_questions += tcp;
	*mode = mode_of(s, name, type);
	m->len = m->answers = 0;
	m->full = false;
	put(m, in, end);
	header = m->len;
	if (*mode == DNS_SILENT)
		return false;
	if (*mode == DNS_SERVFAIL)
		code = 2;
	else if (*mode >= DNS_NOISE)
		misbehave(m, *mode, name, type);
	else if (!answer_from_table(s, m, name, type))
		code = 3;
	if (m->full || (!tcp && m->len > udp_room(in, len, end))) {
		m->len = header;
		m->answers = 0;
		truncated = true;
	}
	m->b[2] = (uint8_t)(0x84 | (truncated ? 2 : 0) | (in[2] & 1));
	m->b[3] = (uint8_t)(0x80 | code);
	m->b[4] = 0;
	m->b[5] = 1;
	m->b[6] = (uint8_t)(m->answers >> 8);
	m->b[7] = (uint8_t)m->answers;
	memset(m->b + 8, 0, 4);
	return true;
}

static void serve_udp(struct dns_server *s, struct message *m)
{
	uint8_t in[4096];
	struct sockaddr_storage from;
	socklen_t from_len = sizeof(from);
	enum dns_mode mode = DNS_NORMAL;
	ssize_t n = recvfrom(s->udp, in, sizeof(in), 0, (struct sockaddr *)&from, &from_len);

	if (n <= 0 || !answer(s, in, (size_t)n, false, m, &mode))
		return;
	if (mode == DNS_EMPTY) {
		sendto(s->udp, "", 0, 0, (struct sockaddr *)&from, from_len);
		return;
	}
	if (mode == DNS_WRONG_ID) {
		m->b[1] ^= 0x55;
		sendto(s->udp, m->b, m->len, 0, (struct sockaddr *)&from, from_len);
		m->b[1] ^= 0x55;
	}
	sendto(s->udp, m->b, m->len, 0, (struct sockaddr *)&from, from_len);
}

static bool read_all(int fd, void *data, size_t n)
{
	for (size_t at = 0; at < n;) {
		ssize_t got = read(fd, (uint8_t *)data + at, n - at);

		if (got <= 0)
			return false;
		at += (size_t)got;
	}
	return true;
}

/* One connection at a time, questions one after the other. */
static void serve_tcp(struct dns_server *s, struct message *m)
{
	int fd = accept(s->tcp, NULL, NULL);
	struct timeval timeout = {0, 200000};
	uint8_t in[4096], length[2];

	if (fd < 0)
		return;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	while (read_all(fd, length, 2)) {
		size_t n = (size_t)length[0] << 8 | length[1];
		enum dns_mode mode;

		if (n > sizeof(in) || !read_all(fd, in, n))
			break;
		pthread_mutex_lock(&s->lock);
		bool good = answer(s, in, n, true, m, &mode);
		pthread_mutex_unlock(&s->lock);
		if (!good)
			continue;
		length[0] = (uint8_t)(m->len >> 8);
		length[1] = (uint8_t)m->len;
		if (write(fd, length, 2) != 2 || write(fd, m->b, m->len) != (ssize_t)m->len)
			break;
	}
	close(fd);
}

static void *serve(void *arg)
{
	struct dns_server *s = arg;
	struct message *m = malloc(sizeof(*m));

	while (m != NULL && !atomic_load(&s->stop)) {
		struct pollfd fd[2] = {{s->udp, POLLIN, 0}, {s->tcp, POLLIN, 0}};

		if (poll(fd, 2, 20) <= 0)
			continue;
		if ((fd[0].revents & POLLIN) != 0) {
			pthread_mutex_lock(&s->lock);
			serve_udp(s, m);
			pthread_mutex_unlock(&s->lock);
		}
		if ((fd[1].revents & POLLIN) != 0)
			serve_tcp(s, m);
	}
	free(m);
	return NULL;
}

#define PORT_TRIES 32

/* One port for UDP and TCP: what is free for the one may be another's for the other. */
static bool open_port(struct dns_server *s)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(a);
	int size = 1 << 20;

	s->udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	s->tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(s->udp, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	if (bind(s->udp, (struct sockaddr *)&a, sizeof(a)) == 0 &&
		getsockname(s->udp, (struct sockaddr *)&a, &len) == 0 &&
		bind(s->tcp, (struct sockaddr *)&a, sizeof(a)) == 0 && listen(s->tcp, 8) == 0) {
		snprintf(s->address, sizeof(s->address), "127.0.0.1:%u", ntohs(a.sin_port));
		return true;
	}
	close(s->udp);
	close(s->tcp);
	return false;
}

struct dns_server *dns_server_start(void)
{
	struct dns_server *s = calloc(1, sizeof(*s));
	bool open = false;

	for (unsigned i = 0; s != NULL && i < PORT_TRIES && !open; i++)
		open = open_port(s);
	if (!open) {
		free(s);
		return NULL;
	}
	pthread_mutex_init(&s->lock, NULL);
	if (pthread_create(&s->thread, NULL, serve, s) == 0)
		return s;
	close(s->udp);
	close(s->tcp);
	free(s);
	return NULL;
}

void dns_server_stop(struct dns_server *s)
{
	atomic_store(&s->stop, true);
	pthread_join(s->thread, NULL);
	close(s->udp);
	close(s->tcp);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

const char *dns_server_address(const struct dns_server *s)
{
	return s->address;
}

void dns_server_add(struct dns_server *s, struct dns_record record)
{
	pthread_mutex_lock(&s->lock);
	if (s->records < DNS_SERVER_RECORDS_MAX)
		s->record[s->records++] = record;
	pthread_mutex_unlock(&s->lock);
}

static void forget(struct dns_server *s, const char *name)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < s->records; i++)
		if (strcasecmp(s->record[i].name, name) != 0)
			s->record[kept++] = s->record[i];
	s->records = kept;
}

void dns_server_remove(struct dns_server *s, const char *name)
{
	pthread_mutex_lock(&s->lock);
	forget(s, name);
	pthread_mutex_unlock(&s->lock);
}

void dns_server_replace(struct dns_server *s, struct dns_record record)
{
	pthread_mutex_lock(&s->lock);
	forget(s, record.name);
	s->record[s->records++] = record;
	pthread_mutex_unlock(&s->lock);
}

void dns_server_mode(struct dns_server *s, const char *name, int type, enum dns_mode mode)
{
	pthread_mutex_lock(&s->lock);
	if (s->modes < MODES_MAX) {
		s->mode[s->modes].name = name;
		s->mode[s->modes].type = type;
		s->mode[s->modes++].mode = mode;
	}
	pthread_mutex_unlock(&s->lock);
}

unsigned dns_server_questions(struct dns_server *s, const char *name, int type)
{
	unsigned n = 0;

	pthread_mutex_lock(&s->lock);
	for (unsigned i = 0; i < s->logged; i++)
		n += (name == NULL || strcasecmp(s->log[i].name, name) == 0) &&
		     (type == 0 || s->log[i].type == type);
	pthread_mutex_unlock(&s->lock);
	return n;
}

unsigned dns_server_tcp_questions(struct dns_server *s)
{
	pthread_mutex_lock(&s->lock);
	unsigned n = s->tcp_questions;
	pthread_mutex_unlock(&s->lock);
	return n;
}
