/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Any bytes as a message, at the very end of their allocation: index with every scanner, check, all
 * accessors and lists. Aborts where two scanners disagree or a view is wrong. Of what is accepted,
 * it further asks what a proxy stands on.
 */
#include <stdio.h>
#include <stdlib.h>

#include "../../unit/sip/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "fuzz_msg: %s\n", what);
	abort();
}

/* No line of a message without error holds a CR or LF but in folds, or a NUL but after a backslash.
 */
static void framing_holds(const struct sip_msg *msg, const char *buf)
{
	for (uint32_t i = msg->start_line.off; i < msg->headers_end; i++) {
		char c = buf[i];

		must(c != '\n' || (i > 0 && buf[i - 1] == '\r'), "LF alone");
		must(c != '\r' || buf[i + 1] == '\n', "CR alone");
		must(c != 0 || (i > 0 && buf[i - 1] == '\\'), "NUL");
	}
	must(memcmp(buf + msg->headers_end, "\r\n", 2) == 0, "no blank line");
}

/* What forwarding takes for granted once the check said OK. */
static void check_holds(struct sip_msg *msg, const char *buf)
{
	static const enum sip_header_id once[] = {
		SIP_HEADER_FROM, SIP_HEADER_TO, SIP_HEADER_CALL_ID, SIP_HEADER_CSEQ};

	for (unsigned i = 0; i < sizeof(once) / sizeof(once[0]); i++)
		must(sip_msg_header(msg, once[i], 0) != NULL &&
				sip_msg_header(msg, once[i], 1) == NULL,
			"a header that must stand once");
	must(sip_msg_via(msg, buf, 0) != NULL, "Via");
	must(sip_msg_from(msg, buf) != NULL && sip_msg_to(msg, buf) != NULL, "From and To");
	must(sip_msg_cseq(msg, buf) && msg->cseq_number <= SIP_CSEQ_MAX, "CSeq");
	if (msg->is_response)
		must(msg->status >= 100 && msg->status <= 699, "status");
	else
		must(sip_msg_uri(msg, buf) != NULL, "Request-URI");
	must(msg->header_count <= SIP_MSG_HEADERS_MAX, "header lines");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct sip_msg msg;
	enum sip_error index, check;
	const char *wrong, *buf = (const char *)data;

	if (test_scanner_count == 0)
		test_scanners_find();
	if (size > TEST_TEXT_MAX)
		return -1;
	wrong = test_every_way(str_of(buf, size), &msg, &index, &check);
	must(wrong == NULL, wrong);
	if (index != SIP_OK)
		return 0;
	framing_holds(&msg, buf);
	if (check == SIP_OK || check == SIP_ERROR_URI_SCHEME)
		check_holds(&msg, buf);
	return 0;
}
