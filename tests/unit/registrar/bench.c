/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the functions of this room cost, for counting instructions:
 *
 *	valgrind --tool=callgrind --toggle-collect=route_run bench_registrar save 1000
 *
 * Users that are registered already come again, one after the other (save), are looked up (lookup:
 * one contact, with where its REGISTER came from; received: likewise, by its address; fork: four
 * contacts), or asked for (registered). Without valgrind it prints nanoseconds.
 */
#include "common.h"

#define USERS 1000

struct message {
	char text[1024];
	uint32_t len;
	struct sip_msg msg;
};

static struct message message[USERS];

static void make_register(struct message *m, unsigned user, unsigned cseq, const char *lines)
{
	m->len = (uint32_t)snprintf(m->text, sizeof(m->text),
		"REGISTER sip:example.com SIP/2.0\r\n"
		"Via: SIP/2.0/UDP 198.51.100.7:5060;rport;branch=z9hG4bK-524287-1---0123456789ab-"
		"%u\r\n"
		"Max-Forwards: 70\r\n"
		"%s"
		"To: <sip:user%06u@example.com>\r\n"
		"From: <sip:user%06u@example.com>;tag=8f3a2b1c\r\n"
		"Call-ID: 84381MTc2NDMwOTg4ZWU0-%u\r\n"
		"CSeq: %u REGISTER\r\n"
		"Expires: 3600\r\n"
		"Allow: INVITE, ACK, CANCEL, OPTIONS, BYE, REFER, NOTIFY, MESSAGE, SUBSCRIBE\r\n"
		"User-Agent: siplane bench 1.0 on a phone\r\n"
		"Content-Length: 0\r\n\r\n",
		cseq, lines, user, user, user, cseq);
}

static void make_invite(struct message *m, unsigned user)
{
	m->len = (uint32_t)snprintf(m->text, sizeof(m->text),
		"INVITE sip:user%06u@example.com SIP/2.0\r\n"
		"Via: SIP/2.0/UDP "
		"198.51.100.7:5060;rport;branch=z9hG4bK-524287-1---0123456789ab\r\n"
		"Max-Forwards: 70\r\n"
		"To: <sip:user%06u@example.com>\r\n"
		"From: <sip:caller@example.com>;tag=8f3a2b1c\r\n"
		"Call-ID: 84381MTc2NDMwOTg4ZWU0\r\n"
		"CSeq: 1 INVITE\r\n"
		"Contact: <sip:caller@198.51.100.7:5060>\r\n"
		"Content-Length: 0\r\n\r\n",
		user, user);
}

static void prepare(struct stage *s, struct message *m)
{
	assert_int_equal(sip_msg_index(&m->msg, m->text, m->len), SIP_OK);
	assert_int_equal(sip_msg_check(&m->msg, m->text), SIP_OK);
	memset(&s->ctx->origin, 0, sizeof(s->ctx->origin));
	s->ctx->origin.src = s->source;
	s->ctx->origin.transport = SIP_TRANSPORT_UDP;
}

static void run(struct stage *s, struct message *m)
{
	s->ctx->msg = m->msg;
	route_ctx_bind(s->ctx, s->script, &s->thread, m->text);
	route_ctx_reset(s->ctx);
	if (route_run(s->ctx) != ROUTE_ENDED || s->ctx->var[0].i <= 0)
		fail_msg("%s", m->text);
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "save";
	unsigned rounds = argc > 2 ? (unsigned)atoi(argv[2]) : USERS;
	bool save = strcmp(what, "save") == 0, asked = strcmp(what, "registered") == 0;
	unsigned contacts = strcmp(what, "fork") == 0 ? 4 : 1;
	const char *received = strcmp(what, "received") == 0
				       ? "modparam(\"registrar\", \"outbound_mode\", 1)"
				       : "";
	struct stage *s = stage_open(received, "\tsave(\"location\");\n\t$var(rc) = $rc;");
	char lines[1024] = "";
	uint64_t begun;

	for (unsigned u = 0; u < USERS; u++) {
		lines[0] = '\0';
		for (unsigned i = 0; i < contacts; i++)
			snprintf(lines + strlen(lines), sizeof(lines) - strlen(lines),
				"Contact: <sip:user%06u@198.51.100.%u:5060;transport=udp>%s\r\n", u,
				7 + i,
				received[0] != '\0'
					? ";+sip.instance=\"<urn:uuid:0>\";reg-id=1\r\nSupported: "
					  "outbound"
					: "");
		make_register(&message[u], u, 1, lines);
		prepare(s, &message[u]);
		run(s, &message[u]);
		if (save)
			make_register(&message[u], u, 2, lines);
		else
			make_invite(&message[u], u);
		prepare(s, &message[u]);
	}
	if (!save)
		assert_true(stage_load(s, received,
			asked ? "\tregistered(\"location\");\n\t$var(rc) = $rc;"
			      : "\tlookup(\"location\");\n\t$var(rc) = $rc;"));
	begun = clock_now_ns();
	for (unsigned i = 0; i < rounds; i++) {
		/* Beyond the first round a REGISTER is a retransmission no more. */
		if (save && i != 0 && i % USERS == 0) {
			for (unsigned u = 0; u < USERS; u++)
				message[u].msg.cseq_number++;
		}
		run(s, &message[i % USERS]);
	}
	printf("%s: %.1f ns\n", what, (double)(clock_now_ns() - begun) / rounds);
	stage_close(s);
	return 0;
}
