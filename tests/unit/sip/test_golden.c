/* SPDX-License-Identifier: BSD-3-Clause */
/* Index, check and accessors over the cases of golden/, and each error of error.def in at least one
 * of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <dirent.h>
#include <cmocka.h>

#include "golden.h"
#include "message.h"
#include "sip/digest.h"

#define VALUE_MAX 8192

static struct golden_case c;
static struct sip_msg msg;
static enum sip_error index_error, check_error;
static bool error_seen[SIP_ERROR_COUNT];
static unsigned cases, failures;

/* All that is wrong is told, not the first alone. */
#define WRONG(...) (failures++, print_error(__VA_ARGS__))

static enum sip_header_id id_of(const char *name)
{
	enum sip_header_id id = sip_header_of(str_c(name));

	if (id == SIP_HEADER_OTHER)
		fail_msg("no header field is known as '%s'", name);
	return id;
}

static const char *show(struct sip_span span, char *out)
{
	if (!sip_present(span))
		return "absent";
	return golden_escape(sip_text(c.message, span), out, VALUE_MAX);
}

/* The part of the key before its first space, and what follows it. */
static const char *argument(const char *key)
{
	const char *space = strchr(key, ' ');

	return space != NULL ? space + 1 : "";
}

static bool key_is(const char *key, const char *word)
{
	size_t len = strlen(word);

	return strncmp(key, word, len) == 0 && (key[len] == 0 || key[len] == ' ');
}

/* What the start line gave. NULL: not a key of this kind. */
static const char *actual_start(const char *key, char *out)
{
	if (key_is(key, "kind"))
		return msg.is_response ? "response" : "request";
	if (key_is(key, "method"))
		return show(msg.method_text, out);
	if (key_is(key, "known"))
		return sip_method_name((enum sip_method)msg.method).len != 0 ? "yes" : "no";
	if (key_is(key, "uri"))
		return show(msg.uri_text, out);
	if (key_is(key, "version"))
		return show(msg.version, out);
	if (key_is(key, "reason"))
		return show(msg.reason, out);
	if (key_is(key, "status"))
		sprintf(out, "%u", msg.status);
	else if (key_is(key, "start"))
		sprintf(out, "%u", msg.start_line.off);
	else
		return NULL;
	return out;
}

static const char *actual_lines(const char *key, char *out)
{
	unsigned n = 0;

	if (key_is(key, "headers")) {
		n = msg.header_count;
	} else if (key_is(key, "bad")) {
		for (unsigned i = 0; i < msg.header_count; i++)
			n += (msg.header[i].flags & SIP_HEADER_BAD) != 0;
	} else if (key_is(key, "lines")) {
		while (sip_msg_header(&msg, id_of(argument(key)), n) != NULL)
			n++;
	} else if (key_is(key, "trimmed")) {
		n = c.message_len - msg.len;
	} else if (key_is(key, "body")) {
		return golden_escape(str_of(c.message + msg.body, msg.body_len), out, VALUE_MAX);
	} else {
		return NULL;
	}
	sprintf(out, "%u", n);
	return out;
}

static const char *actual_value(const char *key, char *out)
{
	if (key_is(key, "value")) {
		char name[64] = {0};
		unsigned n = 0;

		sscanf(argument(key), "%63s %u", name, &n);

		const struct sip_header *h = sip_msg_header(&msg, id_of(name), n);

		if (n == 0 && h != NULL)
			assert_int_equal(h->value, sip_msg_value(&msg, id_of(name)).off);
		return h != NULL ? golden_escape(
					   sip_text(c.message, sip_header_value(h)), out, VALUE_MAX)
				 : "absent";
	}
	if (key_is(key, "named")) {
		const struct sip_header *h =
			sip_msg_header_named(&msg, c.message, str_c(argument(key)));

		return h != NULL ? golden_escape(
					   sip_text(c.message, sip_header_value(h)), out, VALUE_MAX)
				 : "absent";
	}
	if (key_is(key, "list")) {
		size_t used = 0;

		SIP_MSG_FOREACH (&msg, id_of(argument(key)), h) {
			struct sip_span value;
			uint32_t at = 0;

			while (sip_list_next(c.message, sip_header_value(h), &at, &value)) {
				if (used != 0)
					used += (size_t)sprintf(out + used, " | ");
				golden_escape(
					sip_text(c.message, value), out + used, VALUE_MAX / 2);
				used += strlen(out + used);
			}
		}
		return used != 0 ? out : "";
	}
	if (key_is(key, "has")) {
		char name[64], token[64];

		if (sscanf(argument(key), "%63s %63s", name, token) != 2)
			return NULL;
		return sip_msg_list_has(&msg, c.message, id_of(name), str_c(token)) ? "yes" : "no";
	}
	return NULL;
}

static const char *actual_parsed(const char *key, char *out)
{
	if (key_is(key, "cseq")) {
		if (!sip_msg_cseq(&msg, c.message))
			return "absent";
		sprintf(out, "%u %.*s", msg.cseq_number,
			STR_FMT(sip_text(c.message, msg.cseq_method_text)));
		return out;
	}
	if (key_is(key, "max-forwards")) {
		if (!sip_msg_max_forwards(&msg, c.message))
			return "absent";
		sprintf(out, "%u", msg.max_forwards);
		return out;
	}
	if (key_is(key, "via")) {
		const struct sip_via *via =
			sip_msg_via(&msg, c.message, (unsigned)atoi(argument(key)));

		if (via == NULL)
			return "absent";
		sprintf(out, "%.*s%s%.*s", STR_FMT(sip_text(c.message, via->sent_by)),
			via->branch.len != 0 ? " " : "", STR_FMT(sip_text(c.message, via->branch)));
		return out;
	}

	const struct sip_address *address = key_is(key, "from")    ? sip_msg_from(&msg, c.message)
					    : key_is(key, "to")    ? sip_msg_to(&msg, c.message)
					    : key_is(key, "route") ? sip_msg_route(&msg, c.message)
								   : NULL;
	if (key_is(key, "from") || key_is(key, "to") || key_is(key, "route")) {
		if (address == NULL)
			return "absent";
		sprintf(out, "%.*s%s%.*s", STR_FMT(sip_text(c.message, address->uri)),
			address->tag.len != 0 ? " " : "",
			STR_FMT(sip_text(c.message, address->tag)));
		return out;
	}
	return NULL;
}

/* Of credentials: what the n-th line is ("digest", "digest 1"), whether there are some for a realm
 * ("digest-for"), and a parameter of those that were found last, without its escapes. */
static const char *actual_digest(const char *key, char *out)
{
	static struct sip_digest digest;
	static char text[VALUE_MAX];
	struct str value;

	if (key_is(key, "digest")) {
		const struct sip_header *h = sip_msg_header(
			&msg, SIP_HEADER_AUTHORIZATION, (unsigned)atoi(argument(key)));

		return h != NULL ? sip_digest_error_name(sip_digest_parse(
					   c.message, sip_header_value(h), &digest))
				 : "absent";
	}
	if (key_is(key, "digest-for")) {
		static const char *const found[] = {"none", "found", "bad"};

		return found[sip_digest_find(
			&msg, c.message, SIP_HEADER_AUTHORIZATION, str_c(argument(key)), &digest)];
	}
	if (strncmp(key, "digest-", 7) != 0)
		return NULL;
	for (unsigned param = 0; param < SIP_DIGEST_COUNT; param++) {
		if (strcmp(key + 7, sip_digest_name((enum sip_digest_param)param)) != 0)
			continue;
		if (!sip_digest_has(&digest, (enum sip_digest_param)param))
			return "absent";
		assert_true(sip_digest_text(c.message, &digest, (enum sip_digest_param)param, text,
			sizeof(text), &value));
		assert_true(sip_digest_is(c.message, &digest, (enum sip_digest_param)param, value));
		return golden_escape(value, out, VALUE_MAX);
	}
	return NULL;
}

static const char *actual(const char *key, char *out)
{
	const char *text;

	if (key_is(key, "index"))
		return sip_error_name(index_error);
	if (key_is(key, "check"))
		return sip_error_name(check_error);
	if (key_is(key, "answer")) {
		enum sip_error error = index_error != SIP_OK ? index_error : check_error;

		sprintf(out, "%u %.*s", sip_error_status(error), STR_FMT(sip_error_reason(error)));
		return sip_msg_can_reply(&msg) ? out : "none";
	}
	if ((text = actual_start(key, out)) != NULL || (text = actual_lines(key, out)) != NULL ||
		(text = actual_value(key, out)) != NULL || (text = actual_digest(key, out)) != NULL)
		return text;
	return actual_parsed(key, out);
}

static void one_case(const char *file)
{
	static char value[2 * VALUE_MAX];
	const char *wrong =
		test_every_way(str_of(c.message, c.message_len), &msg, &index_error, &check_error);
	bool said_index = false, said_check = false;

	if (wrong != NULL)
		WRONG("%s: %s: %s\n", file, c.name, wrong);
	for (char *line = strtok(c.expect, "\n"); line != NULL; line = strtok(NULL, "\n")) {
		char *colon = strstr(line, ": "), *end = line + strlen(line) - 1;
		const char *want = colon != NULL ? colon + 2 : "";

		if (colon == NULL && *end != ':') {
			WRONG("%s: %s: '%s' is no expectation\n", file, c.name, line);
			continue;
		}
		*(colon != NULL ? colon : end) = 0;
		said_index |= key_is(line, "index");
		said_check |= key_is(line, "check");

		const char *got = actual(line, value);

		if (got == NULL)
			WRONG("%s: %s: unknown key '%s'\n", file, c.name, line);
		else if (strcmp(got, want) != 0)
			WRONG("%s: %s: %s is '%s' and should be '%s'\n", file, c.name, line, got,
				want);
	}
	if (!said_index || (index_error == SIP_OK && !said_check))
		WRONG("%s: %s: no word on index or check\n", file, c.name);
	error_seen[index_error] = true;
	if (index_error == SIP_OK)
		error_seen[check_error] = true;
	cases++;
}

static void one_file(const char *name)
{
	char path[1024];
	unsigned line = 0;
	int next;

	snprintf(path, sizeof(path), "%s/tests/unit/sip/golden/%s", SOURCE_ROOT, name);

	FILE *file = fopen(path, "r");

	assert_non_null(file);
	while ((next = golden_next(file, &line, &c)) > 0)
		one_case(name);
	fclose(file);
	if (next < 0)
		fail_msg("%s:%u: not a golden case", name, c.line);
}

static void test_golden_cases_hold(void **state)
{
	char path[1024];
	struct dirent *entry;

	snprintf(path, sizeof(path), "%s/tests/unit/sip/golden", SOURCE_ROOT);

	DIR *dir = opendir(path);

	assert_non_null(dir);
	while ((entry = readdir(dir)) != NULL) {
		size_t len = strlen(entry->d_name);

		if (len > 4 && strcmp(entry->d_name + len - 4, ".txt") == 0)
			one_file(entry->d_name);
	}
	closedir(dir);
	print_message("%u cases\n", cases);
	assert_int_equal(failures, 0);
	assert_true(cases >= 60);
}

static void test_each_error_has_a_golden_case(void **state)
{
	for (unsigned error = 0; error < SIP_ERROR_COUNT; error++)
		if (!error_seen[error])
			fail_msg("no golden case gives %s", sip_error_name((enum sip_error)error));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_golden_cases_hold),
		cmocka_unit_test(test_each_error_has_a_golden_case),
	};

	test_scanners_find();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
