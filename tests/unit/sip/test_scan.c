/* SPDX-License-Identifier: BSD-3-Clause */
/* All scanners give the same index, and none reads a byte outside the message. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <dirent.h>
#include <sys/stat.h>
#include <cmocka.h>

#include "message.h"
#include "sip/isa.h"

static char text[TEST_TEXT_MAX];
static uint64_t random_state = 0x2545f4914f6cdd1dULL;

static uint32_t random_below(uint32_t bound)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (uint32_t)(random_state >> 33) % bound;
}

static const char sample[] =
	"INVITE sip:bob@example.com SIP/2.0\r\n"
	"Via: SIP/2.0/UDP a.example.com:5060;branch=z9hG4bK776asdhds;rport,\r\n"
	" SIP/2.0/TCP b.example.com;branch=z9hG4bK1\r\n"
	"v: SIP/2.0/UDP c.example.com;branch=z9hG4bK2;received=192.0.2.1\r\n"
	"Max-Forwards: 70\r\n"
	"To  : \"Bob, the \\\"B\\\"\" <sip:bob@example.com>\r\n"
	"f: Alice <sip:alice@example.org;x=y>;tag=1928301774\r\n"
	"Call-ID: a84b4c76e66710@pc33.example.org\r\n"
	"CSeq: 314159\r\n\tINVITE\r\n"
	"Contact: <sip:alice@pc33.example.org>\r\n"
	"X-Other-And-Longer-Than-Thirty-Two-Bytes: 1\r\n"
	"Subject:\r\n"
	"Proxy-Authorization: Digest username=\"alice\", realm=\"x\"\r\n"
	"Route: <sip:p1.example.com;lr>, <sip:p2.example.com;lr>\r\n"
	"Content-Type: application/sdp\r\n"
	"Content-Length: 7\r\n"
	"\r\n"
	"v=0\r\n\n\r";

/*
 * What check_block.h takes itself, each value in a shape of its own: what is made of these by one
 * change is mostly still printable and in lines that are not folded.
 */
static const char request[] =
	"INVITE sip:+4930123:pw@10.0.200.1:5080;transport=udp;lr SIP/2.0\r\n"
	"Via: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bK776asdhds;rport=5070;received=192.0.2.1\r\n"
	"Max-Forwards: 70\r\n"
	"From: \"Alice\" <sip:alice@example.org;x=y>;tag=1928301774;x\r\n"
	"To: Bob B <sips:bob@a-b.example.com>\r\n"
	"Route: <sip:10.0.0.1:5060;lr;r2=on>\r\n"
	"Record-Route: <sip:p1.example.com;lr>;a=b=c\r\n"
	"Contact: sip:alice@pc33.example.org:5062;q=0.5\r\n"
	"CSeq: 314159 INVITE\r\n"
	"Call-ID: a84b4c76e66710@pc33.example.org\r\n"
	"X-Other: 1\r\n"
	"Content-Length: 7\r\n"
	"\r\n"
	"v=0\r\n\n\r";

static const char response[] =
	"SIP/2.0 200 OK\r\n"
	"Via: SIP/2.0/UDP sp.example.com;branch=z9hG4bK1;sp=0123456789abcdef0123456789abcdef\r\n"
	"v:SIP/2.0/TLS 192.0.2.10;rport;branch=z9hG4bK776asdhds;alias;received=192.0.2.77\r\n"
	"f: <sip:alice@example.org>;tag=1\r\n"
	"t: <tel:+4930123>;tag=2\r\n"
	"i: 1\r\n"
	"CSeq: 1 BYE\r\n"
	"l: 0\r\n"
	"\r\n";

static const struct str samples[] = {{sample, sizeof(sample) - 1}, {request, sizeof(request) - 1},
	{response, sizeof(response) - 1}};
#define SAMPLES (sizeof(samples) / sizeof(samples[0]))

/* All line ends of a text, over all rounds of the scanner that is selected. */
struct found {
	uint32_t lf[TEST_TEXT_MAX];
	uint32_t count, blank;
	bool odd;
};

static void scan_all(const char *buf, uint32_t len, struct found *found)
{
	struct sip_scan scan;

	sip_scan_begin(&scan, buf, 0, len);
	found->count = 0;
	do {
		sip_isa->scan(&scan);
		memcpy(found->lf + found->count, scan.lf, scan.count * sizeof(scan.lf[0]));
		found->count += scan.count;
	} while (scan.blank == 0 && scan.at < len);
	found->blank = scan.blank;
	found->odd = scan.odd;
}

/*
 * The scanners themselves. A line that is odd without need would be looked through in vain, and
 * show in no index: only in the time that it takes.
 */
static const char *scanners_differ(struct str message)
{
	static struct found first, other;
	const char *wrong = NULL;
	char *buf;

	if (message.len == 0)
		return NULL;
	buf = test_exact_copy(message);
	sip_scan_select(test_scanners[0]);
	scan_all(buf, message.len, &first);
	for (unsigned i = 1; i < test_scanner_count && wrong == NULL; i++) {
		sip_scan_select(test_scanners[i]);
		scan_all(buf, message.len, &other);
		if (other.odd != first.odd)
			wrong = "what is odd differs";
		else if (other.blank != first.blank)
			wrong = "blank lines differ";
		else if (other.count != first.count ||
			 memcmp(other.lf, first.lf, first.count * sizeof(first.lf[0])) != 0)
			wrong = "line ends differ";
	}
	free(buf);
	return wrong;
}

static void must_hold(struct str message, const char *what, uint64_t number)
{
	const char *wrong = scanners_differ(message);

	if (wrong == NULL)
		wrong = test_every_way(message, NULL, NULL, NULL);
	if (wrong == NULL)
		return;
	fprintf(stderr, "%s %llu: %s, in %u bytes:\n", what, (unsigned long long)number, wrong,
		message.len);
	fwrite(message.s, 1, message.len, stderr);
	fail();
}

static void test_every_length_of_a_message_indexes_alike(void **state)
{
	for (uint32_t len = 0; len < sizeof(sample); len++)
		must_hold(str_of(sample, len), "length", len);
}

/* The blank line, the tail and odd bytes fall on each place of a 64-byte block. */
static void test_every_alignment_of_a_message_indexes_alike(void **state)
{
	for (uint32_t pad = 0; pad < 130; pad++) {
		uint32_t at = 0;

		at += (uint32_t)sprintf(text, "OPTIONS sip:%0*u SIP/2.0\r\nX: 1\r\n y\r\n\r\nbody",
			(int)pad + 1, 0U);
		must_hold(str_of(text, at), "padding", pad);
		must_hold(str_of(text, at - 4), "padding without body", pad);
		for (uint32_t i = 0; i < at; i++) {
			static const char odd[] = {'\r', '\n', 0, ' '};
			char was = text[i];

			text[i] = odd[(i + pad) % sizeof(odd)];
			must_hold(str_of(text, at), "padding with an odd byte", pad);
			text[i] = was;
		}
	}
}

/* Each single byte of a message replaced by each that matters for framing. */
static void test_each_byte_replaced_indexes_alike(void **state)
{
	static const char bytes[] = {'\r', '\n', 0, ' ', '\t', ':', ',', '"', '<', '>', ';', '=',
		'@', '.', '-', '0', '9', 'a', '?', '%', '\\', '(', '[', 0x7f, (char)0xff};

	for (uint32_t n = 0; n < SAMPLES; n++)
		for (uint32_t i = 0; i < samples[n].len; i++)
			for (uint32_t k = 0; k < sizeof(bytes); k++) {
				memcpy(text, samples[n].s, samples[n].len);
				text[i] = bytes[k];
				must_hold(str_of(text, samples[n].len), "byte", i * 32 + k);
			}
}

static uint32_t mutate(uint32_t len)
{
	static const char pieces[][8] = {"\r\n", "\r\n\r\n", "\n\n", "\r", "\n", "\r\n ", ":",
		"a: b\r\n", "Via: ", "\\\"", "SIP/2.0"};
	uint32_t changes = 1 + random_below(5);

	while (changes-- > 0 && len > 0) {
		uint32_t at = random_below(len), del = random_below(4) == 0 ? random_below(40) : 0;
		const char *piece = pieces[random_below(sizeof(pieces) / sizeof(pieces[0]))];
		uint32_t put = (uint32_t)strnlen(piece, sizeof(pieces[0]));

		switch (random_below(4)) {
		case 0:
			text[at] = (char)random_below(256);
			break;
		case 1:
			if (len + put < sizeof(text)) {
				memmove(text + at + put, text + at, len - at);
				memcpy(text + at, piece, put);
				len += put;
			}
			break;
		case 2:
			if (del > len - at)
				del = len - at;
			memmove(text + at, text + at + del, len - at - del);
			len -= del;
			break;
		default:
			if (at + put <= len)
				memcpy(text + at, piece, put);
			break;
		}
	}
	return len;
}

static void test_mutated_messages_index_alike(void **state)
{
	for (uint32_t round = 0; round < 20000; round++) {
		struct str from = samples[round % SAMPLES];

		memcpy(text, from.s, from.len);
		must_hold(str_of(text, mutate(from.len)), "mutation", round);
	}
}

/* Each byte left out, and each byte twice. */
static void test_each_byte_more_or_less_indexes_alike(void **state)
{
	for (uint32_t n = 0; n < SAMPLES; n++)
		for (uint32_t i = 0; i < samples[n].len; i++) {
			uint32_t rest = samples[n].len - i;

			memcpy(text, samples[n].s, i + 1);
			memcpy(text + i, samples[n].s + i + 1, rest - 1);
			must_hold(str_of(text, samples[n].len - 1), "byte less", i);
			memcpy(text, samples[n].s, i + 1);
			memcpy(text + i + 1, samples[n].s + i, rest);
			must_hold(str_of(text, samples[n].len + 1), "byte more", i);
		}
}

/* The samples are well formed: else the tests above would hold refusals against each other. */
static void test_samples_are_accepted(void **state)
{
	for (uint32_t n = 1; n < SAMPLES; n++) {
		struct sip_msg msg;
		enum sip_error index, check;

		assert_null(test_every_way(samples[n], &msg, &index, &check));
		assert_int_equal(index, SIP_OK);
		assert_int_equal(check, SIP_OK);
	}
}

/* Random text of few different bytes, so that line ends, folds and blank lines come often. */
static void test_random_text_indexes_alike(void **state)
{
	static const char few[] = "\r\n\r\n\r\n \t:a,\"\\<>VvT0\0;=@";

	for (uint32_t round = 0; round < 20000; round++) {
		uint32_t len = random_below(400), at = 0;

		if (random_below(2) != 0)
			at = (uint32_t)sprintf(text, "A b SIP/2.0\r\n");
		while (at < len)
			text[at++] = few[random_below(sizeof(few) - 1)];
		must_hold(str_of(text, at), "random text", round);
	}
}

/* Lines that no table of names may take for one of its free places. */
static void test_lines_of_one_byte_index_alike(void **state)
{
	for (unsigned c = 0; c < 256; c++)
		for (uint32_t n = 1; n < 40; n++) {
			char run[40];
			uint32_t at = 0;

			memset(run, (int)c, n);
			for (unsigned where = 0; where < 2; where++) {
				at = 0;
				if (where == 0) {
					memcpy(text, run, n);
					at = n +
					     (uint32_t)sprintf(text + n, " sip:a@b SIP/2.0\r\n");
				} else {
					at = (uint32_t)sprintf(
						text, "ACK sip:a@b SIP/2.0\r\nTo: a\r\n");
					memcpy(text + at, run, n);
					at += n;
					at += (uint32_t)sprintf(text + at, "\r\n");
				}
				at += (uint32_t)sprintf(text + at, "From: b\r\n\r\n");
				must_hold(str_of(text, at), "a line of one byte", c << 8 | n);
			}
		}
}

/* Each known name with something more, or less, before its colon. */
static void test_names_that_go_on_index_alike(void **state)
{
	static const char *const after[] = {"", "x", "g", "-", " ", ":", ";", "xx"};

	for (unsigned id = 1; id < SIP_HEADER_COUNT; id++)
		for (unsigned k = 0; k < sizeof(after) / sizeof(after[0]); k++) {
			struct str name = sip_header_name((enum sip_header_id)id);
			uint32_t at = (uint32_t)sprintf(text,
				"ACK sip:a@b SIP/2.0\r\n%.*s%s: 1\r\n%.*s%s: 2\r\nTo: a\r\n"
				"X-Other: something that fills the block\r\n\r\n",
				(int)name.len, name.s, after[k], (int)name.len - 1, name.s,
				after[k]);

			must_hold(str_of(text, at), "a name that goes on", id);
		}
}

/* More line ends than one round of the scanner holds, folded or not, and far more than an index
 * holds. */
static void test_many_lines_index_alike(void **state)
{
	static const char *const lines[] = {
		"a:\r\n", "\r\n", "a: b\r\n c\r\n", " \r\n", "aaaa\r\n"};

	for (uint32_t k = 0; k < sizeof(lines) / sizeof(lines[0]); k++)
		for (uint32_t count = 100; count < 15000; count = count * 3 / 2 + 1) {
			uint32_t at = (uint32_t)sprintf(text, "A b SIP/2.0\r\nX: y\r\n");

			for (uint32_t i = 0; i < count && at + 16 < SIP_MSG_UDP_MAX; i++)
				at += (uint32_t)sprintf(text + at, "%s", lines[k]);
			at += (uint32_t)sprintf(text + at, "\r\n");
			must_hold(str_of(text, at), "lines", count);
		}
}

static unsigned corpus_files;

static void corpus_folder(const char *path, unsigned depth)
{
	DIR *dir = opendir(path);
	struct dirent *entry;

	while (dir != NULL && (entry = readdir(dir)) != NULL) {
		char name[1024];
		struct stat st;
		uint32_t len;

		if (entry->d_name[0] == '.')
			continue;
		if (snprintf(name, sizeof(name), "%s/%s", path, entry->d_name) >=
				(int)sizeof(name) ||
			stat(name, &st) != 0)
			continue;
		if (S_ISDIR(st.st_mode) && depth < 8) {
			corpus_folder(name, depth + 1);
		} else if (test_read_file(name, text, sizeof(text), &len)) {
			corpus_files++;
			must_hold(str_of(text, len), name, len);
			for (uint32_t round = 0; round < 20; round++) {
				if (!test_read_file(name, text, sizeof(text), &len))
					break;
				must_hold(str_of(text, mutate(len)), name, round);
			}
		}
	}
	if (dir != NULL)
		closedir(dir);
}

static void test_corpora_index_alike(void **state)
{
	char path[1024];
	struct stat st;

	test_shared_path(path, sizeof(path), "corpus");
	if (stat(path, &st) != 0) {
		print_message("no corpora at %s: skipped\n", path);
		skip();
	}
	corpus_folder(path, 0);
	assert_true(corpus_files > 300);
}

static void test_scanner_is_picked_by_name(void **state)
{
	for (unsigned i = 0; i < test_scanner_count; i++) {
		assert_int_equal(sip_scan_select(test_scanners[i]), 0);
		assert_string_equal(sip_scan_name(), test_scanners[i]);
	}
	assert_int_equal(sip_scan_select("avx1024"), -EINVAL);
	assert_string_equal(sip_scan_name(), test_scanners[test_scanner_count - 1]);
	assert_true(test_scanner_count >= 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_scanner_is_picked_by_name),
		cmocka_unit_test(test_every_length_of_a_message_indexes_alike),
		cmocka_unit_test(test_every_alignment_of_a_message_indexes_alike),
		cmocka_unit_test(test_each_byte_replaced_indexes_alike),
		cmocka_unit_test(test_samples_are_accepted),
		cmocka_unit_test(test_each_byte_more_or_less_indexes_alike),
		cmocka_unit_test(test_mutated_messages_index_alike),
		cmocka_unit_test(test_random_text_indexes_alike),
		cmocka_unit_test(test_lines_of_one_byte_index_alike),
		cmocka_unit_test(test_names_that_go_on_index_alike),
		cmocka_unit_test(test_many_lines_index_alike),
		cmocka_unit_test(test_corpora_index_alike),
	};

	test_scanners_find();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
