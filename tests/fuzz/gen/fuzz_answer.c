/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Any bytes as what a system answers to a call with authentication, as what it asks in its dialogs,
 * and as what a reflector is asked. Wherever the bytes hold z9hG4bK and 32 characters, the branch
 * of the last request is put there, and its From tag where they hold OUR_TAG: so the fuzzer's
 * answers are taken for answers, and its requests for the dialog's.
 */
#include "../../unit/gen/fake.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define OUR_TAG "--our-own--tag--"
#define BETWEEN "\n----\n"

#define HEAD(method, uri, cseq) \
	method " " uri " SIP/2.0\nVia: SIP/2.0/UDP " \
	       "{local_ip}:{local_port};branch={branch}\n{routes}\n{authorization}\n" \
	       "From: <sip:{user}@{domain}>;tag={tag}\nTo: <sip:{domain}>{to_tag}\nCall-ID: " \
	       "{call_id}\nCSeq: {cseq} " cseq "\nContent-Length: {length}\n}\n"

static const char scenario[] =
	"set auth_user = \"u{user}\"; set auth_password = x;\n"
	"message again {\n" HEAD("INVITE", "{contact}", "INVITE") "message invite {\n" HEAD(
		"INVITE", "sip:{domain}",
		"INVITE\nSupported: 100rel") "message cancel {\n" HEAD("CANCEL", "sip:{domain}",
		"CANCEL") "message ack {\n" HEAD("ACK", "{contact}",
		"ACK") "message bye {\n" HEAD("BYE", "{contact}",
		"BYE") "message update {\n" HEAD("UPDATE", "{contact}",
		"UPDATE") "call a { send invite; expect 401 | 407 optional within 2ms; send "
			  "invite; "
			  "expect 180 optional; expect 200-299 within 2ms; send ack; send bye; "
			  "expect "
			  "200 within 2ms; }\n"
			  "call b { send invite; expect 180 within 2ms; send cancel; expect 487 "
			  "within 2ms; }\n"
			  "call c { repeat 2 { send invite; expect 302 | 2xx optional within 1ms; "
			  "send "
			  "again; "
			  "expect 2xx within 2ms; send ack; send again; expect 2xx | 3xx within "
			  "1ms; "
			  "send update; expect 200-699 within 1ms; expect BYE within 2ms; } }\n";

struct input {
	const uint8_t *data;
	size_t size;
	unsigned given;
};

static struct fate give(struct fake *f, const struct packet *p)
{
	struct input *in = f->arg;
	const char *branch = memmem(p->text, p->len, BRANCH_COOKIE, 7);
	const char *tag = memmem(p->text, p->len, ">;tag=", 6);
	char *text = malloc(in->size + (in->size == 0)), *at = text, *second;
	size_t first;

	if (text == NULL)
		abort();
	memcpy(text, in->data, in->size);
	while (branch != NULL &&
		(at = memmem(at, in->size - (size_t)(at - text), BRANCH_COOKIE, 7)) != NULL) {
		if (in->size - (size_t)(at - text) < BRANCH_LEN ||
			(size_t)(p->text + p->len - branch) < BRANCH_LEN)
			break;
		memcpy(at, branch, BRANCH_LEN);
		at += BRANCH_LEN;
	}
	at = text;
	while (tag != NULL && (size_t)(p->text + p->len - tag) >= 22 &&
		(at = memmem(at, in->size - (size_t)(at - text), OUR_TAG, 16)) != NULL)
		memcpy(at, tag + 6, 16);
	second = memmem(text, in->size, BETWEEN, sizeof(BETWEEN) - 1);
	first = second != NULL ? (size_t)(second - text) : in->size;
	/* Each request gets all of it, and later the same again. */
	if (in->given++ < 64) {
		fake_deliver(f, text, (uint32_t)first, 1000, 0);
		if (second != NULL) {
			second += sizeof(BETWEEN) - 1;
			fake_deliver(f, second, (uint32_t)(text + in->size - second), 200000, 0);
		}
		fake_deliver(f, text, (uint32_t)first, 600000, 0);
	}
	free(text);
	return (struct fate){.lost = true};
}

static void as_request(const uint8_t *data, size_t size)
{
	static struct fake *f;
	static struct reflector *r;
	struct gen_reflected count = {0};
	struct packet in = {.len = (uint32_t)size};

	if (f == NULL) {
		struct reflector_config uas = {.status = 180,
			.ringing = 2,
			.trying = true,
			.challenge = "SHA-256",
			.password = "x",
			.port_first = 5060};

		if (net_addr_parse(STR("192.0.2.2"), &uas.local) != 0)
			abort();
		f = fake_create(NULL);
		r = reflector_create(&uas);
	}
	in.text = malloc(size + (size == 0));
	if (in.text == NULL || r == NULL || net_addr_parse(STR("2001:db8::1"), &in.peer.addr) != 0)
		abort();
	memcpy(in.text, data, size);
	reflector_take(r, &in, &f->outbox, &count);
	outbox_flush(&f->outbox);
	for (unsigned i = 0; i < f->pendings; i++)
		free(f->pending[i]);
	f->pendings = 0;
	free(in.text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct gen_result result;
	struct input in = {data, size, 0};
	struct gen_config config = fake_config();
	const struct gen_trial trial = {.rate = 1000, .attempts = 6};
	struct fake *f;
	struct gen *g;

	if (size > FAKE_TEXT_MAX)
		return 0;
	as_request(data, size);
	config.calls = 64;
	f = fake_create(NULL);
	f->on_request = give;
	f->arg = &in;
	g = fake_gen(f, scenario, &config);
	gen_trial(g, &trial, &result);
	if (result.attempts != 6 || result.ok + result.failed != 6)
		abort();
	gen_close(g);
	return 0;
}
