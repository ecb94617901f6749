/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * What the tests of lib/proxy share: a proxy with two listeners, one message at a time through
 * receive, a script's calls, and write. Messages lie at the very end of a malloc'd block, so that a
 * sanitizer sees any over-read.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "proxy/internal.h"

#define LEFT 0     /* listener 10.0.0.1:5060 on NIC port 0 */
#define RIGHT 1    /* listener 10.1.0.1:5060 on NIC port 1 */
#define LEFT_ALT 2 /* listener 10.0.0.1:5070 on NIC port 0 */
#define SIX 3      /* listener [2001:db8::1]:5060 on NIC port 0 */

struct fixture {
	struct rcu rcu;
	struct proxy *proxy;
	struct proxy_listener listener[8];
	struct proxy_alias alias[4];
	struct proxy_config config;
	struct route_thread thread;
	struct route_ctx *ctx;
	char *buf; /* the message, exactly as long as it is */
	uint32_t len;
	enum proxy_verdict verdict;
	enum proxy_reason reason;
	enum sip_error error;
	char out[70000]; /* what was written, with a NUL behind it */
	int64_t written;
	struct proxy_out to;
};

/* A proxy with keys of its own, or those of a secret file. */
struct fixture *fixture_new(const char *secret_path);
void fixture_free(struct fixture *f);
/* After a change of f->config. */
void fixture_configure(struct fixture *f);
/* The same as the first configuration of a process: the order is the configuration's. */
void fixture_restart(struct fixture *f);

struct net_endpoint endpoint(const char *addr, uint16_t port);
bool endpoint_is(const struct net_endpoint *ep, const char *addr, uint16_t port);

/* Indexes, checks, and passes proxy_request_receive() or proxy_response_receive(). LF in `text`
 * becomes CRLF. */
enum proxy_verdict receive(
	struct fixture *f, const char *text, const char *src, uint16_t src_port, unsigned listener);
/* The same with bytes as they are. */
enum proxy_verdict receive_bytes(struct fixture *f, const void *bytes, uint32_t len,
	const char *src, uint16_t src_port, unsigned listener);

/* Calls a function of the room by its name. Arguments are strings, up to a NULL. */
int32_t call(struct fixture *f, const char *name, ...) __attribute__((sentinel));

/* Writes and parses again what was written; fails the test where it does not parse. Returns the
 * text. */
const char *write_request(struct fixture *f);
const char *write_response(struct fixture *f);
const char *write_reply(struct fixture *f);

/* receive, forward(sip:10.9.9.9:5062), write. */
const char *pass(
	struct fixture *f, const char *text, const char *src, uint16_t src_port, unsigned listener);

/* Value of the first line that begins with `name` and a colon; NULL where there is none. In a
 * static buffer, one of eight in turn. */
const char *line(const char *text, const char *name);
/* The n-th such line. */
const char *line_at(const char *text, const char *name, unsigned n);
unsigned lines(const char *text, const char *name);
const char *first_line(const char *text);
/* Our branch of a written request. */
const char *branch_of(const char *text);
/* A text with the first `from` replaced. */
const char *replaced(const char *text, const char *from, const char *to);
/* The response that a server gives to a request as written: all Vias, status and a To tag. */
const char *response_to(const char *request, const char *status);

#define INVITE \
	"INVITE sip:bob@example.com SIP/2.0\n" \
	"Via: SIP/2.0/UDP 10.0.0.9:5060;branch=z9hG4bKabc123\n" \
	"Max-Forwards: 20\n" \
	"From: Alice <sip:alice@example.org>;tag=a1\n" \
	"To: Bob <sip:bob@example.com>\n" \
	"Call-ID: call-1@10.0.0.9\n" \
	"CSeq: 7 INVITE\n" \
	"Contact: <sip:alice@10.0.0.9>\n" \
	"Content-Length: 0\n" \
	"\n"

/* Names that resolve in these tests: see harness.c. */
