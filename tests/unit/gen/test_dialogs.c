/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The caller in dialogs, against another side that the test plays: what it says in answer to each
 * request, and what it asks itself.
 */
#include "fake.h"

#define LINES(method) \
	"Via: SIP/2.0/UDP {local_ip}:{local_port};branch={branch};rport\n" \
	"Max-Forwards: 70\n" \
	"From: <sip:{user}@{domain}>;tag={tag}\n" \
	"To: <sip:{domain}>{to_tag}\n" \
	"Call-ID: {call_id}\n" \
	"CSeq: {cseq} " method "\n" \
	"Contact: <sip:me@{local_ip}:{local_port}>\n"
#define INVITE(name, more) \
	"message " name " {\nINVITE sip:{domain} SIP/2.0\n" \
	"Via: SIP/2.0/UDP {local_ip}:{local_port};branch={branch};rport\n" \
	"Max-Forwards: 70\n" more "From: <sip:{user}@{domain}>;tag={tag}\n" \
	"To: <sip:{domain}>\n" \
	"Call-ID: {call_id}\n" \
	"CSeq: {cseq} INVITE\n" \
	"Contact: <sip:me@{local_ip}:{local_port}>\n" \
	"Content-Type: application/sdp\n" \
	"Content-Length: {length}\n\nv=0\ns=mine\n}\n"
#define INSIDE(method, name) \
	"message " name " {\n" method \
	" {contact} SIP/2.0\n{routes}\n" LINES(method) "Content-Length: 0\n}\n"
#define PLAIN(method, name, more) \
	"message " name " {\n" method " sip:{domain} SIP/2.0\n" more LINES( \
		method) "Content-Length: 0\n}\n"
#define CALL_MESSAGES \
	INVITE("invite", "") INSIDE("ACK", "ack") INSIDE("BYE", "bye") PLAIN("CANCEL", "cancel", "")

enum { SEEN_MAX = 256 };

/* What the caller has sent so far, and the script that answers it. */
static struct {
	char text[SEEN_MAX][FAKE_TEXT_MAX];
	uint32_t len[SEEN_MAX];
	uint64_t at[SEEN_MAX];
	unsigned count;
	struct fate (*script)(struct fake *f, const struct packet *p, struct sip_msg *msg);
	unsigned state, state2;
} seen;
static struct gen_result r;

static struct fate on_message(struct fake *f, const struct packet *p)
{
	struct sip_msg msg;

	if (sip_msg_index(&msg, p->text, p->len) != SIP_OK ||
		sip_msg_check(&msg, p->text) != SIP_OK)
		fail_msg("not what a proxy would let pass:\n%.*s", (int)p->len, p->text);
	assert_true(seen.count < SEEN_MAX);
	memcpy(seen.text[seen.count], p->text, p->len);
	seen.len[seen.count] = p->len;
	seen.at[seen.count++] = f->clock;
	return seen.script(f, p, &msg);
}

static struct str header(struct str text, enum sip_header_id id)
{
	static struct sip_msg msg;

	assert_int_equal(sip_msg_index(&msg, text.s, text.len), SIP_OK);
	return sip_text(text.s, sip_msg_value(&msg, id));
}

/* The n-th message that was sent whose start line begins so. */
static struct str sent(const char *begin, unsigned n)
{
	for (unsigned i = 0; i < seen.count; i++)
		if (strncmp(seen.text[i], begin, strlen(begin)) == 0 && n-- == 0)
			return str_of(seen.text[i], seen.len[i]);
	fail_msg("no %u more '%s' was sent", n + 1, begin);
	return STR_NONE;
}

static unsigned how_many(const char *begin)
{
	unsigned n = 0;

	for (unsigned i = 0; i < seen.count; i++)
		n += strncmp(seen.text[i], begin, strlen(begin)) == 0;
	return n;
}

static bool holds(struct str text, const char *what)
{
	return memmem(text.s, text.len, what, strlen(what)) != NULL;
}

#define assert_holds(text, what) \
	do { \
		struct str t_ = (text); \
		if (!holds(t_, what)) \
			fail_msg("no '%s' in\n%.*s", what, STR_FMT(t_)); \
	} while (0)

/* An answer to the request, with a To tag and more header lines and a body. */
static void answer(struct fake *f, const struct packet *p, uint64_t delay_ns, const char *status,
	const char *tag, const char *more)
{
	static const enum sip_header_id copied[] = {
		SIP_HEADER_VIA, SIP_HEADER_FROM, SIP_HEADER_CALL_ID, SIP_HEADER_CSEQ};
	char text[FAKE_TEXT_MAX];
	struct sip_msg msg;
	struct str to;
	int n;

	assert_int_equal(sip_msg_index(&msg, p->text, p->len), SIP_OK);
	n = snprintf(text, sizeof(text), "SIP/2.0 %s\r\n", status);
	for (unsigned i = 0; i < 4; i++)
		n += snprintf(text + n, sizeof(text) - (size_t)n, "%s: %.*s\r\n",
			sip_header_name(copied[i]).s,
			STR_FMT(sip_text(p->text, sip_msg_value(&msg, copied[i]))));
	to = sip_text(p->text, sip_msg_value(&msg, SIP_HEADER_TO));
	n += snprintf(text + n, sizeof(text) - (size_t)n,
		"To: %.*s%s%s\r\n%sContent-Length: 0\r\n\r\n", STR_FMT(to),
		holds(to, ";tag=") || tag[0] == '\0' ? "" : ";tag=", holds(to, ";tag=") ? "" : tag,
		more);
	fake_deliver(f, text, (uint32_t)n, delay_ns, 0);
}

/* A request of the other side's in the dialog of this INVITE. */
static void ask(struct fake *f, struct str invite, uint64_t delay_ns, const char *method,
	unsigned cseq, const char *tag, const char *more)
{
	char text[FAKE_TEXT_MAX];
	int n = snprintf(text, sizeof(text),
		"%s sip:me@192.0.2.1:5070 SIP/2.0\r\nVia: SIP/2.0/UDP "
		"192.0.2.2;branch=z9hG4bKx%u%s\r\n"
		"Max-Forwards: 70\r\nFrom: %.*s;tag=%s\r\nTo: %.*s\r\nCall-ID: %.*s\r\n"
		"CSeq: %u %s\r\n%sContent-Length: 0\r\n\r\n",
		method, cseq, method, STR_FMT(header(invite, SIP_HEADER_TO)), tag,
		STR_FMT(header(invite, SIP_HEADER_FROM)),
		STR_FMT(header(invite, SIP_HEADER_CALL_ID)), cseq, method, more);

	fake_deliver(f, text, (uint32_t)n, delay_ns, 0);
}

#define MS CLOCK_NS_PER_MS
#define LOST ((struct fate){.lost = true})

static void play_times(unsigned attempts, const char *scenario, const struct gen_config *config,
	struct fate (*script)(struct fake *f, const struct packet *p, struct sip_msg *msg))
{
	struct fake *f = fake_create(NULL);
	struct gen *g = fake_gen(f, scenario, config);
	const struct gen_trial t = {.rate = 1, .attempts = attempts};

	memset(&seen, 0, sizeof(seen));
	seen.script = script;
	f->on_request = on_message;
	assert_int_equal(gen_trial(g, &t, &r), 0);
	assert_int_equal(r.attempts, attempts);
	assert_int_equal(r.ok + r.failed, attempts);
	gen_close(g);
}

static void play_with(const char *scenario, const struct gen_config *config,
	struct fate (*script)(struct fake *f, const struct packet *p, struct sip_msg *msg))
{
	play_times(1, scenario, config, script);
}

static void play(const char *scenario,
	struct fate (*script)(struct fake *f, const struct packet *p, struct sip_msg *msg))
{
	struct gen_config config = fake_config();

	play_with(scenario, &config, script);
}

/* ---- a dialog's state ---- */

/* Each INVITE gets a dialog of its own: tag, contact and route set with its number. */
static struct fate numbered(struct fake *f, const struct packet *p, struct sip_msg *msg)
{
	char tag[16], more[256];

	if (msg->method == SIP_METHOD_ACK)
		return LOST;
	if (msg->method == SIP_METHOD_INVITE)
		seen.state++;
	snprintf(tag, sizeof(tag), "t%u", seen.state);
	snprintf(more, sizeof(more),
		"Contact: <sip:c%u@192.0.2.2>\r\nRecord-Route: <sip:b%u;lr>, <sip:a%u;lr>\r\n",
		seen.state, seen.state, seen.state);
	answer(f, p, MS, "200 OK", tag, more);
	return LOST;
}

static void a_new_invite_forgets_the_dialog(void **state)
{
	play(CALL_MESSAGES
		"call c { repeat 3 { send invite; expect 200; send ack; send bye; expect 200; } }",
		numbered);
	assert_int_equal(r.ok, 1);
	assert_true(gen_result_good(&r));
	for (unsigned i = 0; i < 3; i++) {
		char line[64];

		assert_false(holds(header(sent("INVITE", i), SIP_HEADER_TO), "tag="));
		for (unsigned j = 0; j < 2; j++) {
			struct str in = sent(j == 0 ? "ACK" : "BYE", i);

			snprintf(line, sizeof(line), "%s sip:c%u@192.0.2.2 SIP/2.0",
				j == 0 ? "ACK" : "BYE", i + 1);
			assert_holds(in, line);
			snprintf(line, sizeof(line), ";tag=t%u\r\n", i + 1);
			assert_holds(in, line);
			snprintf(line, sizeof(line),
				"Route: <sip:a%u;lr>\r\nRoute: <sip:b%u;lr>\r\n", i + 1, i + 1);
			assert_holds(in, line);
		}
	}
	/* Another dialog has another Call-ID and tag (RFC 3261 8.1.1.4, 19.3). */
	assert_false(str_eq(header(sent("INVITE", 0), SIP_HEADER_CALL_ID),
		header(sent("INVITE", 1), SIP_HEADER_CALL_ID)));
	assert_false(str_eq(header(sent("INVITE", 0), SIP_HEADER_FROM),
		header(sent("INVITE", 1), SIP_HEADER_FROM)));
	assert_true(str_eq(header(sent("INVITE", 1), SIP_HEADER_CALL_ID),
		header(sent("BYE", 1), SIP_HEADER_CALL_ID)));
}

static void a_registration_is_no_dialog(void **state)
{
	play(PLAIN("REGISTER", "register", "") CALL_MESSAGES
		"call c { send register; expect 200; send invite; expect 200; send ack; "
		"send bye; expect 200; }",
		numbered);
	assert_int_equal(r.ok, 1);
	assert_holds(sent("BYE", 0), "BYE sip:c1@192.0.2.2 SIP/2.0");
	assert_holds(sent("BYE", 0), ";tag=t1\r\n");
	assert_holds(sent("BYE", 0), "Route: <sip:a1;lr>\r\nRoute: <sip:b1;lr>\r\n");
	assert_false(str_eq(header(sent("REGISTER", 0), SIP_HEADER_CALL_ID),
		header(sent("INVITE", 0), SIP_HEADER_CALL_ID)));
}

/* A digest that something else needed makes no second try of an INVITE. */
static struct fate asks_once(struct fake *f, const struct packet *p, struct sip_msg *msg)
{
	if (msg->method != SIP_METHOD_ACK && seen.state2++ == 0)
		answer(f, p, MS, "401 Unauthorized", "a",
			"WWW-Authenticate: Digest realm=\"r\", nonce=\"n\"\r\n");
	else
		return numbered(f, p, msg);
	return LOST;
}

static void a_challenged_registration_is_none_either(void **state)
{
	play("set auth_user = alice; set auth_password = secret;\n" PLAIN(
		     "REGISTER", "register", "{authorization}\n") CALL_MESSAGES
		"call c { send register; expect 200; send invite; expect 200; send ack; "
		"send bye; expect 200; }",
		asks_once);
	assert_int_equal(r.ok, 1);
	assert_int_equal(how_many("REGISTER"), 2);
	assert_true(str_eq(header(sent("REGISTER", 0), SIP_HEADER_CALL_ID),
		header(sent("REGISTER", 1), SIP_HEADER_CALL_ID)));
	assert_false(str_eq(header(sent("REGISTER", 1), SIP_HEADER_CALL_ID),
		header(sent("INVITE", 0), SIP_HEADER_CALL_ID)));
}

/* Nor does a re-INVITE that was refused make one of the next call. */
static struct fate refuses_the_second(struct fake *f, const struct packet *p, struct sip_msg *msg)
{
	if (msg->method == SIP_METHOD_INVITE && seen.state2++ == 1)
		answer(f, p, MS, "420 Bad Extension", "t", "");
	else
		return numbered(f, p, msg);
	return LOST;
}

static void the_next_call_is_new_after_a_refused_change(void **state)
{
	play(CALL_MESSAGES INSIDE("INVITE", "again") "call c { send invite; expect 200; send ack; "
						     "send again; expect 420; send bye; "
						     "expect 200; send invite; expect 200; send "
						     "ack; send bye; expect 200; }",
		refuses_the_second);
	assert_int_equal(r.ok, 1);
	assert_true(str_eq(header(sent("INVITE", 0), SIP_HEADER_CALL_ID),
		header(sent("INVITE", 1), SIP_HEADER_CALL_ID)));
	assert_false(str_eq(header(sent("INVITE", 0), SIP_HEADER_CALL_ID),
		header(sent("INVITE", 2), SIP_HEADER_CALL_ID)));
}

/* Every 2xx has another Contact and Record-Route: the first moves the target, the second must not
 * move the route set (RFC 3261 12.2.1.2, RFC 3311 5.2). */
static struct fate moves(struct fake *f, const struct packet *p, struct sip_msg *msg)
{
	char more[256];

	if (msg->method == SIP_METHOD_ACK)
		return LOST;
	seen.state++;
	snprintf(more, sizeof(more),
		"Contact: <sip:c%u@192.0.2.2>\r\nRecord-Route: <sip:r%u;lr>\r\n", seen.state,
		seen.state);
	answer(f, p, MS, "200 OK", "t", more);
	return LOST;
}

static void the_target_follows_its_contact(void **state)
{
	play(CALL_MESSAGES INSIDE("INVITE", "again") INSIDE("UPDATE", "update")
			INSIDE("INFO", "info") "call c { send invite; expect 200; send ack; send "
					       "again; expect 200; send ack; "
					       "send update; expect 200; send info; expect 200; "
					       "send bye; expect 200; }",
		moves);
	assert_int_equal(r.ok, 1);
	assert_true(gen_result_good(&r));
	assert_holds(sent("INVITE", 1), "INVITE sip:c1@192.0.2.2 ");
	assert_holds(sent("ACK", 1), "ACK sip:c2@192.0.2.2 ");
	assert_holds(sent("UPDATE", 0), "UPDATE sip:c2@192.0.2.2 ");
	assert_holds(sent("INFO", 0), "INFO sip:c3@192.0.2.2 ");
	/* INFO refreshes nothing. */
	assert_holds(sent("BYE", 0), "BYE sip:c3@192.0.2.2 ");
	assert_holds(sent("BYE", 0), "\r\nRoute: <sip:r1;lr>\r\n");
	assert_true(str_eq(header(sent("INVITE", 0), SIP_HEADER_CALL_ID),
		header(sent("INVITE", 1), SIP_HEADER_CALL_ID)));
}

/* ---- giving up ---- */

#define CANCELLED \
	CALL_MESSAGES "call c { send invite; expect 180; send cancel; expect 487 within 3s; }"

/* The first two CANCELs are lost. */
static struct fate deaf_to_cancel(struct fake *f, const struct packet *p, struct sip_msg *msg)
{
	if (msg->method == SIP_METHOD_INVITE) {
		answer(f, p, MS, "180 Ringing", "t", "");
	} else if (msg->method == SIP_METHOD_CANCEL && ++seen.state == 3) {
		struct packet invite = *p;
		struct str text = sent("INVITE", 0);

		answer(f, p, MS, "200 OK", "t", "");
		invite.text = (char *)(uintptr_t)text.s;
		invite.len = text.len;
		answer(f, &invite, 2 * MS, "487 Request Terminated", "t", "");
	}
	return LOST;
}

static void a_cancel_is_sent_again(void **state)
{
	play(CANCELLED, deaf_to_cancel);
	assert_int_equal(r.ok, 1);
	assert_int_equal(how_many("CANCEL"), 3);
	assert_int_equal(how_many("ACK"), 1);
	assert_int_equal(r.retransmissions, 2);
	assert_int_equal(r.sent_by[SIP_METHOD_CANCEL], 3);
	/* After T1, and twice T1 (RFC 3261 17.1.2.2); the same to the last byte. */
	assert_in_range(seen.at[2] - seen.at[1], 500 * MS, 501 * MS);
	assert_in_range(seen.at[3] - seen.at[2], 1000 * MS, 1001 * MS);
	assert_true(str_eq(sent("CANCEL", 0), sent("CANCEL", 2)));
}

static void a_cancel_is_sent_once_without_retransmission(void **state)
{
	struct gen_config config = fake_config();

	config.no_retransmit = true;
	play_with(CANCELLED, &config, deaf_to_cancel);
	assert_int_equal(r.failed_by[GEN_FAIL_TIMEOUT], 1);
	assert_int_equal(how_many("CANCEL"), 1);
}

#define ACCEPTED \
	"Contact: <sip:c@192.0.2.2>\r\nRecord-Route: <sip:b;lr>\r\nRecord-Route: <sip:a;lr>\r\n"

/* It is picked up as the CANCEL arrives; the 200 comes three times, and the first BYE is lost. */
static struct fate crossing(struct fake *f, const struct packet *p, struct sip_msg *msg)
{
	struct packet invite = *p;
	struct str text;

	switch (msg->method) {
	case SIP_METHOD_INVITE:
		answer(f, p, MS, "180 Ringing", "t", "");
		break;
	case SIP_METHOD_CANCEL:
		answer(f, p, MS, "200 OK", "t", "");
		text = sent("INVITE", 0);
		invite.text = (char *)(uintptr_t)text.s;
		invite.len = text.len;
		for (unsigned i = 0; i < 3; i++)
			answer(f, &invite, (2 + 10 * i) * MS, "200 OK", "t", ACCEPTED);
		break;
	case SIP_METHOD_BYE:
		if (seen.state++ > 0)
			answer(f, p, MS, "200 OK", "t", "");
		break;
	default:
		break;
	}
	return LOST;
}

static void check_cleared(unsigned acks)
{
	struct str ack = sent("ACK", 0), bye = sent("BYE", 0), invite = sent("INVITE", 0);

	assert_int_equal(how_many("ACK"), acks);
	assert_int_equal(how_many("BYE"), 2);
	assert_true(str_eq(sent("BYE", 0), sent("BYE", 1)));
	assert_holds(ack, "ACK sip:c@192.0.2.2 SIP/2.0\r\n");
	assert_holds(bye, "BYE sip:c@192.0.2.2 SIP/2.0\r\n");
	assert_holds(ack, "Route: <sip:a;lr>\r\nRoute: <sip:b;lr>\r\n");
	assert_holds(bye, "Route: <sip:a;lr>\r\nRoute: <sip:b;lr>\r\n");
	assert_true(str_eq(header(ack, SIP_HEADER_CALL_ID), header(invite, SIP_HEADER_CALL_ID)));
	assert_true(str_eq(header(bye, SIP_HEADER_FROM), header(invite, SIP_HEADER_FROM)));
	assert_holds(header(bye, SIP_HEADER_TO), ";tag=t");
	assert_holds(header(ack, SIP_HEADER_CSEQ), "1 ACK");
	assert_false(str_eq(header(ack, SIP_HEADER_VIA), header(invite, SIP_HEADER_VIA)));
	assert_false(str_eq(header(ack, SIP_HEADER_VIA), header(bye, SIP_HEADER_VIA)));
	assert_int_not_equal(header(bye, SIP_HEADER_CSEQ).s[0], '1');
}

static void a_200_that_crosses_the_cancel_is_acknowledged_and_ended(void **state)
{
	play(CANCELLED, crossing);
	assert_int_equal(r.failed_status[200], 1);
	check_cleared(3);
}

/* It rings, and is picked up when the caller has gone; from the CANCEL on nothing is heard. */
static struct fate too_late(struct fake *f, const struct packet *p, struct sip_msg *msg)
{
	if (msg->method == SIP_METHOD_INVITE) {
		answer(f, p, MS, "180 Ringing", "t", "");
		for (unsigned i = 0; i < 2; i++)
			answer(f, p, (1200 + 500 * i) * MS, "200 OK", "t", ACCEPTED);
	} else if (msg->method == SIP_METHOD_BYE && seen.state++ > 0) {
		answer(f, p, MS, "200 OK", "t", "");
	}
	return LOST;
}

static void a_200_after_the_caller_gave_up_too(void **state)
{
	play(CALL_MESSAGES "call c { send invite; expect 180; expect 200 within 1s; send ack; }",
		too_late);
	assert_int_equal(r.failed_by[GEN_FAIL_TIMEOUT], 1);
	check_cleared(2);
	/* What rings is cancelled when nobody waits any more (RFC 3261 9.1); CANCEL has done its
	 * work when there is an answer. */
	assert_int_equal(how_many("CANCEL"), 1);
	assert_true(str_eq(header(sent("CANCEL", 0), SIP_HEADER_VIA),
		header(sent("INVITE", 0), SIP_HEADER_VIA)));
	assert_holds(header(sent("CANCEL", 0), SIP_HEADER_CSEQ), "1 CANCEL");
}

/* The first is busy, and says so when nobody waits any more; the second keeps the run going. */
static struct fate busy_too_late(struct fake *f, const struct packet *p, struct sip_msg *msg)
{
	if (msg->method == SIP_METHOD_INVITE && seen.state++ > 0)
		answer(f, p, 900 * MS, "200 OK", "t", ACCEPTED);
	else if (msg->method == SIP_METHOD_INVITE)
		for (unsigned i = 0; i < 2; i++)
			answer(f, p, (1200 + 100 * i) * MS, "486 Busy Here", "t", "");
	return LOST;
}

static void a_late_failure_is_acknowledged(void **state)
{
	struct gen_config config = fake_config();

	config.no_retransmit = true;
	play_times(2, CALL_MESSAGES "call c { send invite; expect 200 within 1s; send ack; }",
		&config, busy_too_late);
	assert_int_equal(r.failed_by[GEN_FAIL_TIMEOUT], 1);
	assert_int_equal(r.ok, 1);
	assert_int_equal(how_many("ACK"), 3);
	assert_true(str_eq(
		header(sent("ACK", 0), SIP_HEADER_VIA), header(sent("INVITE", 0), SIP_HEADER_VIA)));
	assert_int_equal(r.late, 1);
	/* Without a provisional answer there is nothing to cancel (RFC 3261 9.1). */
	assert_int_equal(how_many("CANCEL"), 0);
}

static struct fate rings_too_late(struct fake *f, const struct packet *p, struct sip_msg *msg)
{
	if (msg->method == SIP_METHOD_INVITE && seen.state++ > 0)
		answer(f, p, 900 * MS, "200 OK", "t", ACCEPTED);
	else if (msg->method == SIP_METHOD_INVITE)
		answer(f, p, 1200 * MS, "180 Ringing", "t", "");
	else if (msg->method == SIP_METHOD_CANCEL)
		answer(f, p, MS, "200 OK", "t", "");
	return LOST;
}

static void what_rings_late_is_cancelled(void **state)
{
	struct gen_config config = fake_config();

	config.t1_ns = 5 * CLOCK_NS_PER_S; /* each INVITE goes once */
	play_times(2, CALL_MESSAGES "call c { send invite; expect 200 within 1s; send ack; }",
		&config, rings_too_late);
	assert_int_equal(how_many("CANCEL"), 1);
	assert_true(str_eq(header(sent("CANCEL", 0), SIP_HEADER_CALL_ID),
		header(sent("INVITE", 0), SIP_HEADER_CALL_ID)));
	assert_int_equal(r.uncleared, 0);
}

/* In the dialog something goes wrong: the other side is told that it is over. */
static struct fate refuses_info(struct fake *f, const struct packet *p, struct sip_msg *msg)
{
	if (msg->method == SIP_METHOD_INVITE)
		answer(f, p, MS, "200 OK", "t", ACCEPTED);
	else if (msg->method == SIP_METHOD_INFO)
		answer(f, p, MS, "500 Oops", "t", "");
	else if (msg->method == SIP_METHOD_BYE)
		answer(f, p, MS, "200 OK", "t", "");
	return LOST;
}

static void a_call_that_fails_is_ended(void **state)
{
	play(CALL_MESSAGES INSIDE("INFO", "info") "call c { send invite; expect 200; send ack; "
						  "send info; expect 200; send bye; "
						  "expect 200; }",
		refuses_info);
	assert_int_equal(r.failed_status[500], 1);
	assert_int_equal(how_many("BYE"), 1);
	assert_holds(sent("BYE", 0), "BYE sip:c@192.0.2.2 SIP/2.0\r\n");
	assert_holds(sent("BYE", 0), "Route: <sip:a;lr>\r\nRoute: <sip:b;lr>\r\n");
	assert_holds(header(sent("BYE", 0), SIP_HEADER_CSEQ), "3 BYE");
	assert_holds(header(sent("BYE", 0), SIP_HEADER_TO), ";tag=t");
}

/* A subscription is no call: no BYE ends it. */
static struct fate subscribes(struct fake *f, const struct packet *p, struct sip_msg *msg)
{
	if (msg->method == SIP_METHOD_SUBSCRIBE && seen.state++ == 0)
		answer(f, p, MS, "200 OK", "t", ACCEPTED);
	else if (!msg->is_response)
		answer(f, p, MS, "500 Oops", "t", "");
	return LOST;
}

static void a_subscription_that_fails_gets_no_bye(void **state)
{
	play(PLAIN("SUBSCRIBE", "subscribe", "") INSIDE("SUBSCRIBE",
		     "again") "call c { send subscribe; expect 200; send again; expect 200; }",
		subscribes);
	assert_int_equal(r.failed_status[500], 1);
	assert_holds(sent("SUBSCRIBE", 1), "SUBSCRIBE sip:c@192.0.2.2 SIP/2.0\r\n");
	assert_int_equal(how_many("BYE"), 0);
	assert_int_equal(r.sent, 2);
}

/* Each 2xx to an INVITE has its ACK, also one that no step wants, or that makes no dialog. */
static struct fate accepts_all(struct fake *f, const struct packet *p, struct sip_msg *msg)
{
	if (msg->method == SIP_METHOD_INVITE && seen.state2 != 0)
		answer(f, p, MS, "200 OK", "t", "Contact: <<>>\r\n");
	else if (msg->method != SIP_METHOD_ACK)
		answer(f, p, MS, "200 OK", "t", ACCEPTED);
	return LOST;
}

static struct fate has_no_contact(struct fake *f, const struct packet *p, struct sip_msg *msg)
{
	seen.state2 = 1;
	return accepts_all(f, p, msg);
}

static void every_200_is_acknowledged(void **state)
{
	play(CALL_MESSAGES INSIDE("INVITE", "again") "call c { send invite; expect 200; send ack; "
						     "send again; expect 488; }",
		accepts_all);
	assert_int_equal(r.failed_status[200], 1);
	assert_int_equal(how_many("ACK"), 2);
	assert_holds(sent("ACK", 1), "CSeq: 2 ACK\r\n");
	assert_int_equal(how_many("BYE"), 1);
	play(CALL_MESSAGES "call c { send invite; expect 200; send ack; send bye; expect 200; }",
		has_no_contact);
	assert_int_equal(r.failed_by[GEN_FAIL_DIALOG], 1);
	assert_holds(sent("ACK", 0), "ACK sip:192.0.2.2:5060 SIP/2.0\r\n");
	assert_holds(sent("BYE", 0), "BYE sip:192.0.2.2:5060 SIP/2.0\r\n");
	assert_int_equal(r.uncleared, 0);
}

/* A proxy forks, and two pick up (RFC 3261 13.2.2.4). */
static struct fate forks(struct fake *f, const struct packet *p, struct sip_msg *msg)
{
	if (msg->method == SIP_METHOD_INVITE) {
		answer(f, p, MS, "200 OK", "one", ACCEPTED);
		answer(f, p, 2 * MS, "200 OK", "two", ACCEPTED);
		answer(f, p, 3 * MS, "200 OK", "one", ACCEPTED);
	} else if (msg->method == SIP_METHOD_BYE) {
		answer(f, p, MS, "200 OK", "", "");
	}
	return LOST;
}

static void the_second_of_two_that_pick_up_is_ended(void **state)
{
	play(CALL_MESSAGES
		"call c { send invite; expect 200; send ack; wait 100ms; send bye; expect 200; }",
		forks);
	assert_int_equal(r.ok, 1);
	assert_int_equal(how_many("ACK"), 3);
	assert_holds(header(sent("ACK", 0), SIP_HEADER_TO), "tag=one");
	assert_holds(header(sent("ACK", 1), SIP_HEADER_TO), "tag=two");
	assert_holds(header(sent("ACK", 2), SIP_HEADER_TO), "tag=one");
	assert_int_equal(how_many("BYE"), 2);
	assert_holds(header(sent("BYE", 0), SIP_HEADER_TO), "tag=two");
	assert_holds(header(sent("BYE", 1), SIP_HEADER_TO), "tag=one");
	assert_int_equal(r.forked, 1);
	assert_int_equal(r.duplicates, 1);
}

/* A 200 of the first dialog comes when the second one has begun: its ACK is the first one's. */
static struct fate remembers(struct fake *f, const struct packet *p, struct sip_msg *msg)
{
	if (msg->method == SIP_METHOD_INVITE && seen.state++ == 0)
		answer(f, p, 100 * MS, "200 OK", "t1", "Contact: <sip:c1@192.0.2.2>\r\n");
	return numbered(f, p, msg);
}

static void an_old_200_gets_its_own_ack(void **state)
{
	play(CALL_MESSAGES
		"call c { repeat 2 { send invite; expect 200; send ack; send bye; expect "
		"200; wait 300ms; } }",
		remembers);
	assert_int_equal(r.ok, 1);
	assert_int_equal(how_many("ACK"), 3);
	assert_true(str_eq(header(sent("ACK", 0), SIP_HEADER_CALL_ID),
		header(sent("ACK", 1), SIP_HEADER_CALL_ID)));
}

/* ---- provisional answers ---- */

static struct fate talkative(struct fake *f, const struct packet *p, struct sip_msg *msg)
{
	if (msg->method == SIP_METHOD_INVITE) {
		static const char *const say[] = {"100 Trying", "100 Trying", "180 Ringing",
			"180 Ringing", "183 Progress", "180 Ringing", "183 Progress", "200 OK"};

		for (unsigned i = 0; i < 8; i++)
			answer(f, p, (i + 1) * MS, say[i], i < 2 ? "" : "t",
				"Contact: <sip:c@a>\r\n");
	} else if (msg->method == SIP_METHOD_BYE) {
		answer(f, p, MS, "100 Trying", "t", "");
		answer(f, p, 2 * MS, "100 Trying", "t", "");
		answer(f, p, 3 * MS, "200 OK", "t", "");
		if (seen.state2)
			answer(f, p, 4 * MS, "200 OK", "t", "");
	}
	return LOST;
}

static struct fate talkative_twice(struct fake *f, const struct packet *p, struct sip_msg *msg)
{
	seen.state2 = 1;
	return talkative(f, p, msg);
}

#define TALK \
	CALL_MESSAGES \
	"call c { send invite; expect 180 optional; expect 200; send ack; send bye; " \
	"expect 200; }"

static void provisional_answers_may_come_again(void **state)
{
	play(TALK, talkative);
	assert_int_equal(r.ok, 1);
	assert_int_equal(r.duplicates, 0);
	assert_true(gen_result_good(&r));
	assert_int_equal(r.received_by[180], 3);
	assert_int_equal(r.received_by[100], 4);
	play(TALK, talkative_twice);
	assert_int_equal(r.ok, 1);
	assert_int_equal(r.duplicates, 1);
	assert_false(gen_result_good(&r));
}

/* ---- what the other side asks ---- */

#define HELD \
	CALL_MESSAGES "call c { send invite; expect 200; send ack; wait 5s; send bye; expect " \
		      "200; }"

static struct fate hangs_up(struct fake *f, const struct packet *p, struct sip_msg *msg)
{
	if (msg->method == SIP_METHOD_INVITE) {
		answer(f, p, MS, "200 OK", "t", ACCEPTED);
		ask(f, sent("INVITE", 0), 1000 * MS, "BYE", 7, "t", "Record-Route: <sip:x;lr>\r\n");
		ask(f, sent("INVITE", 0), 1010 * MS, "BYE", 7, "t", "");
		/* Nobody's: another From tag, and another To tag. */
		ask(f, sent("INVITE", 0), 100 * MS, "BYE", 8, "other", "");
	}
	return LOST;
}

static void a_bye_ends_the_call(void **state)
{
	play(HELD, hangs_up);
	assert_int_equal(r.failed_by[GEN_FAIL_PEER], 1);
	assert_int_equal(r.received_requests, 3);
	assert_int_equal(how_many("SIP/2.0 481"), 1);
	assert_holds(header(sent("SIP/2.0 481", 0), SIP_HEADER_CSEQ), "8 BYE");
	assert_int_equal(how_many("SIP/2.0 200"), 2);
	assert_int_equal(how_many("BYE"), 0);
	assert_holds(header(sent("SIP/2.0 200", 0), SIP_HEADER_VIA), "branch=z9hG4bKx7BYE");
	assert_holds(header(sent("SIP/2.0 200", 0), SIP_HEADER_CSEQ), "7 BYE");
	/* In the second in which it came, not when the hold time was over. */
	assert_in_range(seen.at[3] - seen.at[0], 1000 * MS, 1001 * MS);
	assert_true(r.duration_ns < 3000 * MS);
}

static void a_bye_that_was_expected_is_well(void **state)
{
	play(CALL_MESSAGES "call c { send invite; expect 200; send ack; expect BYE within 5s; }",
		hangs_up);
	assert_int_equal(r.ok, 1);
	assert_int_equal(r.failed, 0);
	play(CALL_MESSAGES "call c { send invite; expect 200; send ack; expect BYE within 500ms; }",
		hangs_up);
	assert_int_equal(r.failed_by[GEN_FAIL_TIMEOUT], 1);
	/* Ours follows. */
	assert_in_range(how_many("BYE"), 1, 11);
}

/* Both hang up at once, and each finds that there is no call any more. */
static struct fate hangs_up_too(struct fake *f, const struct packet *p, struct sip_msg *msg)
{
	if (msg->is_response)
		return LOST;
	if (msg->method == SIP_METHOD_INVITE) {
		answer(f, p, MS, "200 OK", "t", ACCEPTED);
	} else if (msg->method == SIP_METHOD_BYE) {
		ask(f, sent("INVITE", 0), MS, "BYE", 7, "t", "");
		answer(f, p, 2 * MS, "481 No Such Call", "t", "");
	}
	return LOST;
}

static void two_byes_that_cross(void **state)
{
	play(HELD, hangs_up_too);
	assert_int_equal(r.ok, 1);
	assert_int_equal(how_many("SIP/2.0 200"), 1);
	assert_int_equal(how_many("BYE"), 1);
}

static struct fate curious(struct fake *f, const struct packet *p, struct sip_msg *msg)
{
	struct str invite;

	if (msg->is_response)
		return LOST;
	if (msg->method == SIP_METHOD_BYE)
		answer(f, p, MS, "200 OK", "t", "");
	if (msg->method != SIP_METHOD_INVITE)
		return LOST;
	answer(f, p, MS, "200 OK", "t", ACCEPTED);
	invite = sent("INVITE", 0);
	ask(f, invite, 100 * MS, "OPTIONS", 10, "t", "");
	ask(f, invite, 200 * MS, "UPDATE", 11, "t", "Contact: <sip:moved@192.0.2.2>\r\n");
	ask(f, invite, 300 * MS, "INVITE", 12, "t", "Contact: <sip:again@192.0.2.2>\r\n");
	/* Only the third 200 is acknowledged. */
	ask(f, invite, 2000 * MS, "ACK", 12, "t", "");
	ask(f, invite, 2100 * MS, "INFO", 11, "t", ""); /* a number that was */
	ask(f, invite, 2200 * MS, "NOTIFY", 13, "t", "");
	return LOST;
}

static void requests_in_the_dialog_are_answered(void **state)
{
	struct str ok;

	play(HELD, curious);
	assert_int_equal(r.ok, 1);
	assert_true(gen_result_good(&r));
	assert_int_equal(r.received_requests, 6);
	ok = sent("SIP/2.0 200", 0);
	assert_holds(ok, "CSeq: 10 OPTIONS\r\n");
	assert_holds(ok, "\r\n\r\nv=0\r\ns=mine\r\n");
	assert_holds(sent("SIP/2.0 200", 1), "CSeq: 11 UPDATE\r\n");
	/* It offered nothing, so there is no answer to it (RFC 3311 5.2). */
	assert_holds(sent("SIP/2.0 200", 1), "Content-Length: 0\r\n");
	for (unsigned i = 2; i < 5; i++) {
		ok = sent("SIP/2.0 200", i);
		assert_holds(ok, "CSeq: 12 INVITE\r\n");
		assert_holds(ok, "Contact: <sip:me@192.0.2.1:5070>\r\n");
		assert_holds(ok, "Content-Type: application/sdp\r\n");
		assert_holds(ok, "\r\n\r\nv=0\r\ns=mine\r\n");
	}
	/* Until the ACK: at once, after T1, after twice T1 (RFC 3261 13.3.1.4). */
	assert_int_equal(how_many("SIP/2.0 200"), 6);
	assert_holds(sent("SIP/2.0 500", 0), "CSeq: 11 INFO\r\n");
	assert_holds(sent("SIP/2.0 200", 5), "CSeq: 13 NOTIFY\r\n");
	assert_holds(sent("BYE", 0), "BYE sip:again@192.0.2.2 SIP/2.0");
}

/* Our re-INVITE is under way when theirs comes (RFC 3261 14.2). */
static struct fate glare(struct fake *f, const struct packet *p, struct sip_msg *msg)
{
	if (msg->is_response)
		return LOST;
	if (msg->method == SIP_METHOD_INVITE && seen.state++ == 1) {
		ask(f, sent("INVITE", 0), MS, "INVITE", 5, "t", "Contact: <sip:x@192.0.2.2>\r\n");
		answer(f, p, 10 * MS, "200 OK", "t", ACCEPTED);
	} else if (msg->method != SIP_METHOD_ACK) {
		answer(f, p, MS, "200 OK", "t", ACCEPTED);
	}
	return LOST;
}

static void two_invites_that_cross(void **state)
{
	play(CALL_MESSAGES INSIDE("INVITE", "again") "call c { send invite; expect 200; send ack; "
						     "send again; expect 200; send ack; "
						     "send bye; expect 200; }",
		glare);
	assert_int_equal(r.ok, 1);
	assert_int_equal(how_many("SIP/2.0 491"), 1);
	assert_holds(sent("BYE", 0), "BYE sip:c@192.0.2.2 SIP/2.0");
}

static struct fate strange(struct fake *f, const struct packet *p, struct sip_msg *msg)
{
	static const char ping[] =
		"OPTIONS sip:me SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.2;branch=z9hG4bKp\r\n"
		"From: <sip:p>;tag=1\r\nTo: <sip:me>\r\nCall-ID: p\r\nCSeq: 1 OPTIONS\r\n"
		"Content-Length: 0\r\n\r\n";
	static const char broken[] = "BYE sip:me SIP/2.0\r\nTo: <sip:me>;tag=1\r\n\r\n";

	if (msg->is_response || msg->method == SIP_METHOD_ACK)
		return LOST;
	if (msg->method == SIP_METHOD_INVITE) {
		struct str invite = sent("INVITE", 0);

		fake_deliver(f, ping, sizeof(ping) - 1, 10 * MS, 0);
		fake_deliver(f, broken, sizeof(broken) - 1, 20 * MS, 0);
		ask(f, invite, 30 * MS, "BYE", 1, "nobody", "");
		ask(f, invite, 40 * MS, "ACK", 1, "nobody", "");
		answer(f, p, 100 * MS, "200 OK", "t", ACCEPTED);
	} else {
		answer(f, p, MS, "200 OK", "t", "");
	}
	return LOST;
}

static void outside_of_dialogs(void **state)
{
	play(TALK, strange);
	assert_int_equal(r.ok, 1);
	assert_int_equal(r.received_requests, 3);
	assert_int_equal(r.malformed, 1);
	assert_int_equal(how_many("SIP/2.0"), 2);
	assert_holds(sent("SIP/2.0 200", 0), "CSeq: 1 OPTIONS\r\n");
	assert_holds(header(sent("SIP/2.0 200", 0), SIP_HEADER_TO), ";tag=");
	assert_holds(sent("SIP/2.0 481", 0), "CSeq: 1 BYE\r\n");
}

/* ---- authentication ---- */

#define SECRETS "set auth_user = alice; set auth_password = secret;\n"
#define OF(realm, nonce, more) \
	"Digest realm=\"" realm "\", nonce=\"" nonce "\", algorithm=MD5, qop=\"auth\"" more "\r\n"

static bool shows(const struct packet *p, enum sip_header_id id, const char *nonce)
{
	struct str value = header(str_of(p->text, p->len), id);

	return value.len != 0 &&
	       digest_verify(value,
		       header(str_of(p->text, p->len), SIP_HEADER_CSEQ).s[0] != 0 ? STR("INVITE")
										  : STR_NONE,
		       STR("secret"), str_c(nonce));
}

/* The proxy asks, then the other side, which finds the nonce old once. */
static struct fate guarded(struct fake *f, const struct packet *p, struct sip_msg *msg)
{
	if (msg->method == SIP_METHOD_BYE)
		answer(f, p, MS, "200 OK", "t", "");
	if (msg->method != SIP_METHOD_INVITE)
		return LOST;
	if (!shows(p, SIP_HEADER_PROXY_AUTHORIZATION, "p1"))
		answer(f, p, MS, "407 Proxy Authentication Required", "a",
			"Proxy-Authenticate: " OF("proxy", "p1", ""));
	else if (shows(p, SIP_HEADER_AUTHORIZATION, "u1"))
		answer(f, p, MS, "401 Unauthorized", "c",
			"WWW-Authenticate: " OF("uas", "u2", ", stale=TRUE"));
	else if (!shows(p, SIP_HEADER_AUTHORIZATION, "u2"))
		answer(f, p, MS, "401 Unauthorized", "b", "WWW-Authenticate: " OF("uas", "u1", ""));
	else
		answer(f, p, MS, "200 OK", "t", ACCEPTED);
	return LOST;
}

static void challenges_are_answered_by_themselves(void **state)
{
	play(SECRETS INVITE("invite", "{authorization}\n") INSIDE("ACK", "ack") INSIDE("BYE",
		     "bye") "call c { send invite; expect 200; send ack; send bye; expect 200; }",
		guarded);
	assert_int_equal(r.ok, 1);
	assert_true(gen_result_good(&r));
	assert_int_equal(how_many("INVITE"), 4);
	assert_int_equal(how_many("ACK"), 4);
	/* One attempt has one Call-ID, and each request its number (RFC 3261 22.2). */
	assert_true(str_eq(header(sent("INVITE", 0), SIP_HEADER_CALL_ID),
		header(sent("INVITE", 3), SIP_HEADER_CALL_ID)));
	assert_holds(header(sent("INVITE", 3), SIP_HEADER_CSEQ), "4 INVITE");
	/* The proxy's nonce is used for the third time. */
	assert_holds(header(sent("INVITE", 3), SIP_HEADER_PROXY_AUTHORIZATION), "nc=00000003");
	assert_holds(header(sent("INVITE", 3), SIP_HEADER_AUTHORIZATION), "nc=00000001");
}

static struct fate never_content(struct fake *f, const struct packet *p, struct sip_msg *msg)
{
	if (msg->method == SIP_METHOD_INVITE)
		answer(f, p, MS, "401 Unauthorized", "a",
			seen.state2 != 0 ? "WWW-Authenticate: " OF("uas", "x", ", stale=true")
					 : "WWW-Authenticate: " OF("uas", "x", ""));
	return LOST;
}

static struct fate always_stale(struct fake *f, const struct packet *p, struct sip_msg *msg)
{
	seen.state2 = 1;
	return never_content(f, p, msg);
}

static void a_wrong_password_ends_it(void **state)
{
	static const char scenario[] =
		SECRETS INVITE("invite", "{authorization}\n") "call c { send invite; expect 200; }";

	play(scenario, never_content);
	assert_int_equal(r.failed_status[401], 1);
	assert_int_equal(how_many("INVITE"), 2);
	assert_int_equal(how_many("ACK"), 2);
	play(scenario, always_stale);
	assert_int_equal(r.failed_status[401], 1);
	assert_in_range(how_many("INVITE"), 3, 8);
}

/* ---- redirection, reliable provisional answers ---- */

static struct fate redirects(struct fake *f, const struct packet *p, struct sip_msg *msg)
{
	if (msg->method == SIP_METHOD_INVITE && seen.state++ == 0)
		answer(f, p, MS, "302 Moved Temporarily", "a",
			"Contact: <sip:there@192.0.2.9>\r\n");
	else if (msg->method != SIP_METHOD_ACK)
		answer(f, p, MS, "200 OK", "t", ACCEPTED);
	return LOST;
}

static void a_redirection_can_be_followed(void **state)
{
	play(CALL_MESSAGES INSIDE("INVITE", "there") "call c { send invite; expect 302; send "
						     "there; expect 200; send ack; send bye; "
						     "expect 200; }",
		redirects);
	assert_int_equal(r.ok, 1);
	assert_holds(sent("INVITE", 1), "INVITE sip:there@192.0.2.9 SIP/2.0");
	assert_false(holds(header(sent("INVITE", 1), SIP_HEADER_TO), "tag="));
	assert_true(str_eq(header(sent("INVITE", 0), SIP_HEADER_CALL_ID),
		header(sent("INVITE", 1), SIP_HEADER_CALL_ID)));
	assert_holds(sent("BYE", 0), "BYE sip:c@192.0.2.2 SIP/2.0");
}

static struct fate reliable(struct fake *f, const struct packet *p, struct sip_msg *msg)
{
	static const char first[] = "Require: 100rel\r\nRSeq: 5\r\n" ACCEPTED;

	if (msg->method == SIP_METHOD_INVITE) {
		answer(f, p, MS, "183 Progress", "t", first);
		/* Again, and one behind the next one. */
		answer(f, p, 100 * MS, "183 Progress", "t", first);
		answer(f, p, 200 * MS, "180 Ringing", "t",
			"Require: 100rel\r\nRSeq: 7\r\n" ACCEPTED);
		answer(f, p, 2000 * MS, "180 Ringing", "t",
			"Require: 100rel\r\nRSeq: 6\r\n" ACCEPTED);
		answer(f, p, 2500 * MS, "200 OK", "t", ACCEPTED);
	} else if (msg->method == SIP_METHOD_BYE ||
		   (msg->method != SIP_METHOD_ACK && seen.state++ > 0)) {
		answer(f, p, MS, "200 OK", "t", "");
	}
	return LOST;
}

static void reliable_answers_get_their_prack(void **state)
{
	play(INVITE("invite", "Supported: 100rel\n") INSIDE("ACK", "ack")
			INSIDE("BYE", "bye") "call c { send invite; expect 180-183 optional; "
					     "expect 200; send ack; send bye; "
					     "expect 200; }",
		reliable);
	assert_int_equal(r.ok, 1);
	assert_true(gen_result_good(&r));
	/* The first is lost and comes again (RFC 3262 4). */
	assert_int_equal(how_many("PRACK"), 3);
	assert_true(str_eq(sent("PRACK", 0), sent("PRACK", 1)));
	assert_holds(sent("PRACK", 0), "PRACK sip:c@192.0.2.2 SIP/2.0\r\n");
	assert_holds(sent("PRACK", 0), "Route: <sip:a;lr>\r\nRoute: <sip:b;lr>\r\n");
	assert_holds(sent("PRACK", 0), "RAck: 5 1 INVITE\r\n");
	assert_holds(sent("PRACK", 0), "CSeq: 2 PRACK\r\n");
	assert_holds(sent("PRACK", 2), "RAck: 6 1 INVITE\r\n");
	assert_holds(sent("PRACK", 2), "CSeq: 3 PRACK\r\n");
	assert_holds(sent("ACK", 0), "CSeq: 1 ACK\r\n");
	assert_holds(sent("BYE", 0), "CSeq: 4 BYE\r\n");
	assert_int_equal(r.uncleared, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_new_invite_forgets_the_dialog),
		cmocka_unit_test(a_registration_is_no_dialog),
		cmocka_unit_test(a_challenged_registration_is_none_either),
		cmocka_unit_test(the_next_call_is_new_after_a_refused_change),
		cmocka_unit_test(the_target_follows_its_contact),
		cmocka_unit_test(a_cancel_is_sent_again),
		cmocka_unit_test(a_cancel_is_sent_once_without_retransmission),
		cmocka_unit_test(a_200_that_crosses_the_cancel_is_acknowledged_and_ended),
		cmocka_unit_test(a_200_after_the_caller_gave_up_too),
		cmocka_unit_test(a_late_failure_is_acknowledged),
		cmocka_unit_test(what_rings_late_is_cancelled),
		cmocka_unit_test(a_call_that_fails_is_ended),
		cmocka_unit_test(a_subscription_that_fails_gets_no_bye),
		cmocka_unit_test(every_200_is_acknowledged),
		cmocka_unit_test(the_second_of_two_that_pick_up_is_ended),
		cmocka_unit_test(an_old_200_gets_its_own_ack),
		cmocka_unit_test(provisional_answers_may_come_again),
		cmocka_unit_test(a_bye_ends_the_call),
		cmocka_unit_test(a_bye_that_was_expected_is_well),
		cmocka_unit_test(two_byes_that_cross),
		cmocka_unit_test(requests_in_the_dialog_are_answered),
		cmocka_unit_test(two_invites_that_cross),
		cmocka_unit_test(outside_of_dialogs),
		cmocka_unit_test(challenges_are_answered_by_themselves),
		cmocka_unit_test(a_wrong_password_ends_it),
		cmocka_unit_test(a_redirection_can_be_followed),
		cmocka_unit_test(reliable_answers_get_their_prack),
	};

	return cmocka_run_group_tests_name("dialogs", tests, NULL, NULL);
}
