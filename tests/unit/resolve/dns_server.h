/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * A name server for the tests: one thread on 127.0.0.1, UDP and TCP, that answers from a table. A
 * name "*.zone" in the table, or with a mode, stands for all names below the zone. It follows
 * CNAMEs, says NXDOMAIN and NODATA where they are due, cuts what is too long for UDP, and
 * misbehaves where it is told to.
 */
#include <stdint.h>

#define DNS_SERVER_RECORDS_MAX 2048

enum dns_type { TYPE_A = 1, TYPE_CNAME = 5, TYPE_AAAA = 28, TYPE_SRV = 33, TYPE_NAPTR = 35 };

struct dns_record {
	const char *name;
	enum dns_type type;
	uint32_t ttl;
	const char *data;                     /* address or host; a host of "" is the root */
	uint16_t priority, weight, port;      /* of NAPTR: order and preference */
	const char *flags, *service, *regexp; /* of NAPTR; NULL: "s", "SIP+D2U", "" */
};

enum dns_mode {
	DNS_NORMAL,
	DNS_SILENT,        /* no answer */
	DNS_SERVFAIL,      /* RFC 1035 4.1.1, code 2 */
	DNS_EMPTY,         /* a datagram of no bytes, and then nothing */
	DNS_WRONG_ID,      /* an answer to what nobody asked, and then the right one */
	DNS_NOISE,         /* random bytes behind the right header */
	DNS_NAME_LOOP,     /* an owner that points at itself */
	DNS_LONG_DATA,     /* a record longer than the message */
	DNS_SHORT_ADDRESS, /* an A record of three bytes */
	DNS_STRANGER       /* a good record, of another name */
};

struct dns_server;

struct dns_server *dns_server_start(void);
void dns_server_stop(struct dns_server *s);
/* "127.0.0.1:PORT" */
const char *dns_server_address(const struct dns_server *s);
/* Names and data are kept by reference. */
void dns_server_add(struct dns_server *s, struct dns_record record);
/* Forgets all records of a name. */
void dns_server_remove(struct dns_server *s, const char *name);
/* Of all records of the name this one is left: nobody finds it without any. There is at least one.
 */
void dns_server_replace(struct dns_server *s, struct dns_record record);
/* What happens to questions for this name and type (0: all types), what was said last first. Few
 * names can have a mode. */
void dns_server_mode(struct dns_server *s, const char *name, int type, enum dns_mode mode);
/*
 * Questions for this name (NULL: all names) and type (0: all types) so far, and those that came
 * over TCP.
 */
unsigned dns_server_questions(struct dns_server *s, const char *name, int type);
unsigned dns_server_tcp_questions(struct dns_server *s);
