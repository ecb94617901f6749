/* SPDX-License-Identifier: BSD-3-Clause */
/* Any bytes as credentials: read in bounds, the same at another place, and what is taken is a
 * parameter of the text. */
#include <stdlib.h>

#include "sip/digest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
	if (!holds)
		abort();
}

static bool inside(struct sip_span part, struct sip_span whole)
{
	return part.off >= whole.off && part.off + part.len <= whole.off + whole.len;
}

static void check(const char *buf, const struct sip_digest *d)
{
	for (unsigned i = 0; i < SIP_DIGEST_COUNT; i++) {
		enum sip_digest_param param = (enum sip_digest_param)i;
		struct str text, written = sip_text(buf, d->text[i]);
		uint32_t room = written.len;
		char *copy;

		if (!sip_digest_has(d, param)) {
			require(written.len == 0 && (d->escaped >> i & 1) == 0);
			continue;
		}
		require(inside(d->text[i], d->value));
		require(str_find(written, '\r') < 0 && str_find(written, '\n') < 0);
		/* Escapes only go, and one octet for each of them. */
		copy = malloc(room != 0 ? room : 1);
		if (copy == NULL)
			abort();
		require(sip_digest_text(buf, d, param, copy, room, &text));
		require(text.len <= written.len && sip_digest_is(buf, d, param, text));
		if ((d->escaped >> i & 1) != 0) {
			require(text.len < written.len);
			require(!sip_digest_text(buf, d, param, copy, text.len - 1, &text));
		} else {
			require(str_find(written, '\\') < 0 && str_eq(text, written));
		}
		free(copy);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *a = malloc(size != 0 ? size : 1), *b = malloc(size + 7);
	struct sip_digest at_start, behind;
	enum sip_digest_error error;

	if (a == NULL || b == NULL)
		abort();
	if (size != 0) {
		memcpy(a, data, size);
		memcpy(b + 7, data, size);
	}
	memset(b, ',', 7);
	error = sip_digest_parse(a, (struct sip_span){0, (uint32_t)size}, &at_start);
	require(sip_digest_parse(b, (struct sip_span){7, (uint32_t)size}, &behind) == error);
	if (error == SIP_DIGEST_OK) {
		require(at_start.present == behind.present);
		check(a, &at_start);
		check(b, &behind);
	}
	free(a);
	free(b);
	return 0;
}
