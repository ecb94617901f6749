/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Every variable and the functions that change a message, on messages that nobody meant well:
 * mutated ones of our own, and where they are there those of the corpora ($SIPLANE_SHARED/corpus)
 * and pieces of them. Each lies at the end of its block.
 */
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fixture.h"

#define MUTATIONS 20000

static struct fixture *f;
static unsigned messages, indexed;

static void read_all(void)
{
	static const struct str names[] = {STR("From"), STR("x-one"), STR(""), STR("Sn"),
		STR("uri"), STR("path"), STR("avp(x)"), STR("hdr(Via)")};

	for (const struct route_variable *v = route_variables; v->name != NULL; v++) {
		unsigned n = v->index == ROUTE_INDEX_NAME ? sizeof(names) / sizeof(names[0]) : 1;

		for (unsigned i = 0; i < n * (v->elements ? 4 : 1); i++) {
			struct route_index in = {.name = names[i % n], .slot = -1};
			struct route_value value = {.type = 99};
			volatile char sum = 0;

			if (v->index == ROUTE_INDEX_NAME && v->check_index != NULL &&
				!v->check_index(&in.name))
				continue;
			in.element = i / n == 1 ? 1 : i / n == 2 ? -2 : 0;
			in.all = i / n == 3;
			f->ctx->text_len = 0;
			assert_true(v->get(f->ctx, &in, &value));
			assert_in_range(value.type, ROUTE_NULL, ROUTE_STR);
			for (uint32_t k = 0; value.type == ROUTE_STR && k < value.s.len; k++)
				sum = (char)(sum + value.s.s[k]);
		}
	}
	assert_int_equal(f->ctx->failure, ROUTE_FAILURE_NONE);
}

/* Whatever is said to be done leaves a URI that is one. */
static void rewrite(void)
{
	static const char *const call[][2] = {{"sethost", "h.example"}, {"setport", "5071"},
		{"prefix", "9"}, {"strip", "2"}, {"setuser", "$fU"}, {"sethost", "$td"},
		{"strip_tail", "1"}, {"subst_uri", "/[0-9]/x/g"}, {"seturi", "$fu"},
		{"subst_user", "/(.)/\\1$ua/"}, {"seturi", "$hdr(Contact)"},
		{"setuserpass", "$ci:$ft"}, {"sethostport", "$si:$sp"}, {"setdsturi", "$tu"}};

	for (unsigned i = 0; i < sizeof(call) / sizeof(call[0]); i++) {
		struct sip_uri uri;

		f->ctx->text_len = 0;
		f->ctx->uri = f->ctx->du = ROUTE_TEXT_NONE;
		f->ctx->failure = ROUTE_FAILURE_NONE;
		int32_t rc = fixture_call(f, call[i][0], call[i][1], NULL);

		if (rc != ROUTE_TRUE)
			continue;
		bool destination = strcmp(call[i][0], "setdsturi") == 0;
		struct str now =
			destination ? route_text_str(f->ctx, f->ctx->du) : route_ctx_uri(f->ctx);

		assert_int_equal(sip_uri_parse(now.s, (struct sip_span){0, now.len}, &uri), 0);
		for (uint32_t n = 0; n < now.len; n++)
			assert_true((unsigned char)now.s[n] > ' ');
		read_all();
	}
	f->ctx->failure = ROUTE_FAILURE_NONE;
}

static uint16_t headers_of_output(void)
{
	static struct sip_msg msg;
	const char *out = fixture_output(f);

	if (sip_msg_index(&msg, out, (uint32_t)sip_edit_length(&f->ctx->edits, f->ctx->msg.len)) !=
		SIP_OK)
		return UINT16_MAX;
	return msg.header_count;
}

/* A value puts no second header in, and removing takes whole lines. */
static void edit(void)
{
	static const char *const line[] = {"X-New: $hdr(From) $rU $ua", "X-New: <$rb>",
		"X-New: $mb", "X-New: $rr$hdr(Subject)", "X-New: $hdr(X-One)\r\n"};
	static const char *const name[] = {
		"X-One", "Subject", "Contact", "Record-Route", "l", "Nothing"};
	uint16_t before = f->ctx->msg.header_count;

	for (unsigned i = 0; i < sizeof(line) / sizeof(line[0]); i++) {
		f->ctx->text_len = 0;
		f->ctx->failure = ROUTE_FAILURE_NONE;
		sip_edits_reset(&f->ctx->edits);
		bool last = (i & 1) != 0;

		if (fixture_call(f, last ? "append_hf" : "insert_hf", line[i], NULL) ==
				ROUTE_TRUE &&
			before < SIP_MSG_HEADERS_MAX)
			assert_int_equal(headers_of_output(), before + 1);
	}
	for (unsigned i = 0; i < sizeof(name) / sizeof(name[0]); i++) {
		enum sip_header_id id = sip_header_of(str_c(name[i]));
		unsigned gone = 0;

		for (unsigned n = 0; n < before; n++) {
			const struct sip_header *h = &f->ctx->msg.header[n];

			gone += id != SIP_HEADER_OTHER
					? h->id == id
					: str_ieq(str_of(f->buf + h->name, h->name_len),
						  str_c(name[i]));
		}
		f->ctx->failure = ROUTE_FAILURE_NONE;
		sip_edits_reset(&f->ctx->edits);
		int32_t rc = fixture_call(f, "remove_hf", name[i], NULL);

		assert_int_equal(rc, gone != 0 ? ROUTE_TRUE : ROUTE_FALSE);
		assert_int_equal(headers_of_output(), before - gone);
	}
	f->ctx->failure = ROUTE_FAILURE_NONE;
	sip_edits_reset(&f->ctx->edits);
	fixture_call(f, "replace_all", "[a-f]+", "<>", NULL);
	fixture_call(f, "subst", "/^([a-z-]+) *: *(.*)$/\\1: \\2 $rm/g", NULL);
	fixture_call(f, "subst_body", "/(.)$/\\1\\1/g", NULL);
	fixture_call(f, "remove_hf_re", "^.", NULL);
	fixture_output(f);
}

static void try_message(struct str text)
{
	messages++;
	/* What the index holds of a message that it refuses is read too: replies are made of it. */
	if (fixture_message_any(f, text) != SIP_OK) {
		read_all();
		return;
	}
	indexed++;
	read_all();
	rewrite();
	edit();
}

static const char seed[] = "INVITE sip:+4930123:pw@gw.example.com:5080;transport=tcp;x SIP/2.0\r\n"
			   "Via: SIP/2.0/UDP 192.0.2.7:40000;branch=z9hG4bKa1\r\n"
			   "From: \"A \\\" B\" <sip:alice@a.example>;tag=1\r\n"
			   "To: <sip:bob@[2001:db8::1]>\r\n"
			   "Call-ID: c1\r\n"
			   "CSeq: 1 INVITE\r\n"
			   "X-One: first\r\n"
			   " folded\r\n"
			   "Contact: <sip:c@d;x=y>\r\n"
			   "x-ONE\t: second\r\n"
			   "Subject:\r\n"
			   "Proxy-Authorization: Digest username=\"a@b\", realm=\"r\"\r\n"
			   "User-Agent: u\r\n"
			   "l: 5\r\n"
			   "\r\n"
			   "v=0\r\n";

static void test_mutated_messages(void **state)
{
	static const char piece[] = "\r\n \t:;,<>@\"\\[]%?=/\0\x80zZ09";
	uint64_t random = 0x9e3779b97f4a7c15ULL;
	char text[sizeof(seed) + 64];

	f = fixture_create();
	messages = indexed = 0;
	for (unsigned n = 0; n < (fixture_in_valgrind() ? MUTATIONS / 50 : MUTATIONS); n++) {
		uint32_t len = sizeof(seed) - 1;

		memcpy(text, seed, len);
		for (unsigned changes = 1 + n % 4; changes > 0; changes--) {
			random ^= random << 13;
			random ^= random >> 7;
			random ^= random << 17;
			uint32_t at = (uint32_t)(random >> 8) % len;
			char c = piece[(random >> 40) % sizeof(piece)];

			if ((random & 3) == 0) {
				memmove(text + at, text + at + 1, len - at - 1);
				len--;
			} else if ((random & 3) == 1) {
				memmove(text + at + 1, text + at, len - at);
				text[at] = c;
				len++;
			} else {
				text[at] = c;
			}
		}
		try_message(str_of(text, len));
	}
	fixture_destroy(f);
	print_message("%u of %u are messages still\n", indexed, messages);
	assert_true(indexed > messages / 10 && indexed < messages);
}

static int try_file(const char *path, const struct stat *status, int type, struct FTW *where)
{
	static char text[SIP_MSG_UDP_MAX];

	if (type != FTW_F || status->st_size > SIP_MSG_UDP_MAX)
		return 0;
	FILE *file = fopen(path, "rb");

	assert_non_null(file);
	uint32_t len = (uint32_t)fread(text, 1, sizeof(text), file);

	fclose(file);
	try_message(str_of(text, len));
	for (uint32_t cut = 1; cut < len; cut += len / 16 + 1)
		try_message(str_of(text, cut));
	return 0;
}

static void test_messages_of_the_corpora(void **state)
{
	const char *shared = getenv("SIPLANE_SHARED");
	char path[4096];
	struct stat status;

	snprintf(path, sizeof(path), "%s/corpus",
		shared != NULL ? shared : SOURCE_ROOT "/../shared");
	if (stat(path, &status) < 0) {
		print_message("no %s\n", path);
		skip();
	}
	f = fixture_create();
	messages = indexed = 0;
	assert_int_equal(nftw(path, try_file, 16, FTW_PHYS), 0);
	fixture_destroy(f);
	print_message("%u messages and pieces, %u of them whole\n", messages, indexed);
	assert_true(indexed > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mutated_messages),
		cmocka_unit_test(test_messages_of_the_corpora),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
