/* SPDX-License-Identifier: BSD-3-Clause */
/* Any bytes as a URI: read in bounds, and what is taken has the parts it says it has and equals
 * itself. */
#include <stdlib.h>

#include "sip/sip.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
	if (!holds)
		abort();
}

static bool inside(struct sip_span part, struct sip_span whole)
{
	return !sip_present(part) ||
	       (part.off >= whole.off && part.off + part.len <= whole.off + whole.len);
}

static void check(const char *buf, const struct sip_uri *uri)
{
	struct sip_span value = {0, 0}, whole = {0, 0};
	struct sip_uri again;

	require(inside(uri->user, uri->all) && inside(uri->password, uri->all) &&
		inside(uri->host, uri->hostport) && inside(uri->hostport, uri->all) &&
		inside(uri->params, uri->all) && inside(uri->headers, uri->all) &&
		inside(uri->maddr, uri->params) && inside(uri->opaque, uri->all));
	require(sip_uri_equal(buf, uri, buf, uri));
	if (sip_param_find(buf, uri->params, STR("maddr"), &value, &whole))
		require(inside(value, uri->params) && whole.len >= value.len);
	if (uri->scheme != SIP_SCHEME_SIP && uri->scheme != SIP_SCHEME_SIPS)
		return;
	require(uri->host.len > 0 && uri->hostport.len >= uri->host.len);

	/* The host part alone is a URI with that host, without what may follow it. */
	char text[4096];
	struct str hostport = sip_text(buf, uri->hostport);

	if (hostport.len > sizeof(text) - 4)
		return;
	memcpy(text, "sip:", 4);
	memcpy(text + 4, hostport.s, hostport.len);
	require(sip_uri_parse(text, (struct sip_span){0, hostport.len + 4}, &again) == 0);
	require(again.port == uri->port && again.user.len == 0 &&
		str_eq(sip_text(text, again.host), sip_text(buf, uri->host)));
}

/* Whether it is a URI: each scanner has to say the same of it, and find the same parts. */
static bool parse(const char *text, uint32_t len, struct sip_uri *out)
{
	static const char *const others[] = {"scalar", "sse42", "avx2", "avx512"};
	const char *best = sip_scan_name();
	bool is = sip_uri_parse(text, (struct sip_span){0, len}, out) == 0;
	struct sip_uri other;

	for (unsigned i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		if (sip_scan_select(others[i]) != 0)
			continue;
		require((sip_uri_parse(text, (struct sip_span){0, len}, &other) == 0) == is);
		require(!is || memcmp(&other, out, sizeof(other)) == 0);
	}
	require(sip_scan_select(best) == 0);
	return is;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* Two URIs with a newline between them, so that their comparison is reached too. */
	const uint8_t *newline = size != 0 ? memchr(data, '\n', size) : NULL;
	size_t first = newline != NULL ? (size_t)(newline - data) : size;
	size_t second = newline != NULL ? size - first - 1 : 0;
	char *a = malloc(first != 0 ? first : 1), *b = malloc(second != 0 ? second : 1);
	struct sip_uri x, y;
	bool has_x, has_y;

	if (a == NULL || b == NULL)
		abort();
	if (first != 0)
		memcpy(a, data, first);
	if (second != 0)
		memcpy(b, newline + 1, second);
	has_x = parse(a, (uint32_t)first, &x);
	has_y = parse(b, (uint32_t)second, &y);
	if (has_x)
		check(a, &x);
	if (has_y)
		check(b, &y);
	if (has_x && has_y)
		require(sip_uri_equal(a, &x, b, &y) == sip_uri_equal(b, &y, a, &x));
	free(a);
	free(b);
	return 0;
}
