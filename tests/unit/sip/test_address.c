/* SPDX-License-Identifier: BSD-3-Clause */
#include "input.h"

struct address_row {
	struct str text;
	const char *display; /* NULL: compared as `display_bytes` */
	const char *uri, *params, *tag;
	bool brackets;
};

/* With NULs in it where sizeof says so. */
#define T(lit) \
	{ \
		lit, sizeof(lit) - 1 \
	}

static const struct address_row good[] = {
	{T("sip:a@b"), "", "sip:a@b", "", "", false},
	{T("sip:user@example.com;tag=33242"), "", "sip:user@example.com", ";tag=33242", "33242",
		false},
	/* without brackets all parameters are the header's (20.10) */
	{T("sip:+19725552222@gw1.example.net;unknownparam"), "", "sip:+19725552222@gw1.example.net",
		";unknownparam", "", false},
	{T("<sip:+19725552222@gw1.example.net;unknownparam>"), "",
		"sip:+19725552222@gw1.example.net;unknownparam", "", "", true},
	{T("<sip:a@b;tag=1>;tag=2"), "", "sip:a@b;tag=1", ";tag=2", "2", true},
	{T("<sip:j@big.com?subject=project&x=y,z>"), "", "sip:j@big.com?subject=project&x=y,z", "",
		"", true},
	{T("<sip:h;lr>"), "", "sip:h;lr", "", "", true},
	/* display names: quoted, tokens, and the space before '<' that may be missing (RFC
	   4475 3.1.1.6) */
	{T("\"J Rosenberg \\\\\\\"\"       <sip:j@example.com>\r\n  ;\r\n  tag = 98asjd8"),
		"\"J Rosenberg \\\\\\\"\"", "sip:j@example.com", ";\r\n  tag = 98asjd8", "98asjd8",
		true},
	{T("caller<sip:caller@example.com>;tag=323"), "caller", "sip:caller@example.com",
		";tag=323", "323", true},
	{T("token1~` token2'+_ token3*%!.- "
	   "<sip:m@e.com>;fromParam''~+*_!.-%=\"\xd1\x80\";tag=_token~1'+`*%!-."),
		"token1~` token2'+_ token3*%!.-", "sip:m@e.com",
		";fromParam''~+*_!.-%=\"\xd1\x80\";tag=_token~1'+`*%!-.", "_token~1'+`*%!-.", true},
	{T("\"a, <sip:evil@x>; b\" <sip:a@b>"), "\"a, <sip:evil@x>; b\"", "sip:a@b", "", "", true},
	{T("\"\"<sip:a@b>"), "\"\"", "sip:a@b", "", "", true},
	{T("\"\xf0\x9f\x98\x80 \xff\xfe\" <sip:a@b>"), "\"\xf0\x9f\x98\x80 \xff\xfe\"", "sip:a@b",
		"", "", true},
	{T("\"folded\r\n name\" <sip:a@b>"), "\"folded\r\n name\"", "sip:a@b", "", "", true},
	{T("J\xc3\xbcrgen M\xc3\xbcller <sip:a@b>"), "J\xc3\xbcrgen M\xc3\xbcller", "sip:a@b", "",
		"", true},
	{T("bob@home: (x) <sip:a@b>"), "bob@home: (x)", "sip:a@b", "", "", true},
	{T("* <sip:a@b>"), "*", "sip:a@b", "", "", true},
	{T("\"%Z%45\" <sip:resource@example.com>;tag=f%232"), "\"%Z%45\"",
		"sip:resource@example.com", ";tag=f%232", "f%232", true},
	/* other schemes */
	{T("isbn:2983792873"), "", "isbn:2983792873", "", "", false},
	{T("<http://www.example.com>;tag=3234233"), "", "http://www.example.com", ";tag=3234233",
		"3234233", true},
	{T("\"Mr. Watson\" <mailto:watson@bell-telephone.com> ;q=0.1"), "\"Mr. Watson\"",
		"mailto:watson@bell-telephone.com", ";q=0.1", "", true},
	/* parameters */
	{T("<sip:a@b>;+sip.instance=\"<urn:uuid:0,1;2>\";TAG=x"), "", "sip:a@b",
		";+sip.instance=\"<urn:uuid:0,1;2>\";TAG=x", "x", true},
	{T("<sip:a@b>;x=\"tag=1;tag=2\";atag=3"), "", "sip:a@b", ";x=\"tag=1;tag=2\";atag=3", "",
		true},
	{T("<sip:a@b> ; newparam =\r\n newvalue ;\r\n secondparam ; q = 0.33"), "", "sip:a@b",
		"; newparam =\r\n newvalue ;\r\n secondparam ; q = 0.33", "", true},
};

static const struct str bad[] = {
	T(""),
	T(" "),
	T("si"),
	T("<si>"),
	T("sip:"),
	T("<sip:>"),
	T("<>"),
	T(":a"),
	T("<:a>"),
	T("1a:b"),
	/* quotes (P9; RFC 4475 3.1.2.6) */
	T("\"Mr. J. User <sip:j.user@example.com>"),
	T("\"abc;tag="),
	T("\"abc\\"),
	T("\"abc\\\" <sip:a@b>"),
	T("\""),
	T("\"abc\""),
	T("\"abc\" sip:a@b"),
	T("\"a\" b <sip:a@b>"),
	T("\"a\"\"b\" <sip:a@b>"),
	T("a \"b\" <sip:a@b>"),
	T("<sip:a@b;ob>\""),
	T("<sip:a@b>;x=\"a\\"),
	T("<sip:a@b>;x=\"a"),
	T("<sip:a@b>;x=\"a\"b"),
	T("\"a\\\r\n\" <sip:a@b>"),
	T("\"a\0b\" <sip:a@b>"),
	T("\"a\x7f\" <sip:a@b>"),
	T("a\\b <sip:a@b>"),
	/* brackets and spaces in them (RFC 4475 3.1.2.14) */
	T("\"Watson\" < sip:t.watson@example.org >"),
	T("<sip:a@b >"),
	T("< sip:a@b>"),
	T("<sip:a b@c>"),
	T("<sip:a@b"),
	T("a <sip:a@b"),
	T("<<sip:a@b>>"),
	T("<sip:a@b>>"),
	T("<sip:a@b> x"),
	T("sip:a@b>"),
	T("sip:a<b>"),
	T("<sip:a\"b>"),
	T("<sip:a@b\r\n>"),
	T("sip:a@b x"),
	/* one value to one reader, two to another */
	T("Bob ( <sip:a@b>, Al ) <sip:c@d>"),
	T("sip:a(b,c)@d"),
	T("sip:a(b;x,c)@d"),
	/* a '?' wants brackets (RFC 4475 3.1.2.13) */
	T("sip:user@example.com?Route=%3Csip:sip.example.com%3E"),
	/* an unquoted comma ends the value (RFC 4475 3.1.2.15) */
	T("Bell, Alexander <sip:a.g.bell@example.com>;tag=43"),
	/* parameters (RFC 4475 3.1.2.1) */
	T("\"Joe\" <sip:joe@example.org>;;;;"),
	T("<sip:a@b>;"),
	T("sip:a@b;"),
	T("<sip:a@b>;=x"),
	T("<sip:a@b>;a="),
	T("<sip:a@b>;tag"),
	T("<sip:a@b>;tag="),
	T("<sip:a@b>;tag=\"x\""),
	T("<sip:a@b>;tag=1;tag=2"),
	T("<sip:a@b>;tag=1;x;TAG=1"),
	T("<sip:a@b>;a b"),
	T("<sip:a@b>;a=<b>"),
	T("<sip:a@b>tag=1"),
	T("<sip:a@b>;a=b(c)"),
	/* lists and the star */
	T("<sip:a@b>,"),
	T("<sip:a@b> , "),
	T(",<sip:a@b>"),
	T("*;expires=0"),
	T("*,<sip:a@b>"),
	T("**"),
	T("* x"),
};

static void test_parts_of_good_values(void **state)
{
	for (unsigned i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		const struct address_row *row = &good[i];
		char *buf = input_copy(row->text);
		struct sip_address address;

		if (sip_address_parse(buf, (struct sip_span){0, row->text.len}, &address) != 0)
			fail_msg("%.*s: refused", STR_FMT(row->text));
		assert_int_equal(address.value.off, 0);
		assert_int_equal(address.value.len, row->text.len);
		input_expect("display", row->text, buf, address.display, row->display);
		input_expect("uri", row->text, buf, address.uri, row->uri);
		input_expect("params", row->text, buf, address.params, row->params);
		input_expect("tag", row->text, buf, address.tag, row->tag);
		assert_int_equal(address.brackets, row->brackets);
		assert_false(address.star);
		assert_int_equal(address.next, 0);
		free(buf);
	}
}

static void test_malformed_values_are_refused(void **state)
{
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char *buf = input_copy(bad[i]);
		struct sip_address address;

		if (sip_address_parse(buf, (struct sip_span){0, bad[i].len}, &address) != -EINVAL)
			fail_msg("'%.*s' is taken", STR_FMT(bad[i]));
		free(buf);
	}
}

/* RFC 4475 3.1.1.2: a NUL, a BEL and a DEL, each behind a backslash. */
static void test_quoted_pairs_hide_any_octet(void **state)
{
	const struct str in = T("\"BEL:\\\x07 NUL:\\\x00 DEL:\\\x7f\" <sip:a@b>;tag=1");
	char *buf = input_copy(in);
	struct sip_address address;

	assert_int_equal(sip_address_parse(buf, (struct sip_span){0, in.len}, &address), 0);
	assert_int_equal(address.display.len, 22);
	input_expect("tag", STR("quoted pairs"), buf, address.tag, "1");
	free(buf);
}

static void test_the_star_stands_alone(void **state)
{
	char *buf = input_copy(STR(" * "));
	struct sip_address address;

	assert_int_equal(sip_address_parse(buf, (struct sip_span){0, 3}, &address), 0);
	assert_true(address.star);
	input_expect("value", STR("star"), buf, address.value, "*");
	assert_int_equal(address.uri.len, 0);
	free(buf);
}

static void test_values_on_one_line_are_stepped_through(void **state)
{
	for (unsigned i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct str text = good[i].text;
		char line[1024];
		uint32_t len = (uint32_t)snprintf(line, sizeof(line),
			" <sip:first@h;lr> ,\r\n %.*s\t,\"x,y\"<sip:last@h>;a", STR_FMT(text));
		char *buf = input_copy(str_of(line, len));
		struct sip_address address;
		unsigned n = 0;

		for (struct sip_span in = {0, len};;
			in = (struct sip_span){address.next, len - address.next}) {
			const char *want[] = {"<sip:first@h;lr>", text.s, "\"x,y\"<sip:last@h>;a"};

			if (sip_address_parse(buf, in, &address) != 0)
				fail_msg("%s: value %u", line, n);
			assert_true(n < 3);
			input_expect("value", str_c(line), buf, address.value, want[n++]);
			if (address.next == 0)
				break;
		}
		assert_int_equal(n, 3);
		free(buf);
	}
}

static unsigned taken, lines;

static void check_every_cut(struct str text)
{
	lines++;
	for (uint32_t len = text.len; len > 0; len--) {
		char *buf = input_copy(str_of(text.s, len));
		struct sip_address address;

		if (sip_address_parse(buf, (struct sip_span){0, len}, &address) == 0) {
			taken += len == text.len;
			assert_true(address.star || address.uri.len > 2);
			assert_true(address.value.off + address.value.len <= len);
			assert_true(address.next < len);
		}
		free(buf);
	}
}

static void test_every_cut_stays_in_bounds(void **state)
{
	for (unsigned i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		check_every_cut(good[i].text);
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		check_every_cut(bad[i]);
}

/* The files mix valid and invalid lines: refused are quotes that don't match, and what has no
 * scheme. */
static void test_osip_values(void **state)
{
	static const struct {
		const char *file;
		unsigned refused;
	} files[] = {
		{"corpus/osip-res/froms.txt", 19},
		{"corpus/osip-res/contacts.txt", 4},
		{"corpus/osip-res/routes.txt", 0},
		{"corpus/osip-res/recordroutes.txt", 0},
		{"corpus/osip-res/tos.txt", 4},
	};

	for (unsigned i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		lines = taken = 0;
		if (input_shared_lines(files[i].file, check_every_cut) < 0)
			skip();
		if (lines - taken != files[i].refused)
			fail_msg("%s: %u refused of %u", files[i].file, lines - taken, lines);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parts_of_good_values),
		cmocka_unit_test(test_malformed_values_are_refused),
		cmocka_unit_test(test_quoted_pairs_hide_any_octet),
		cmocka_unit_test(test_the_star_stands_alone),
		cmocka_unit_test(test_values_on_one_line_are_stepped_through),
		cmocka_unit_test(test_every_cut_stays_in_bounds),
		cmocka_unit_test(test_osip_values),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
