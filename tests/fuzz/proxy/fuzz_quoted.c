/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Any bytes as what an ICMP error quotes of a request of ours, in a block that ends where they do.
 * What is read of them stands in their second line, whatever follows it.
 */
#include <stdlib.h>
#include <string.h>

#include "proxy/proxy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
	if (!holds)
		abort();
}

static bool quoted(const uint8_t *data, size_t size, struct proxy_branch *out)
{
	char *text = malloc(size != 0 ? size : 1);
	bool is;

	check(text != NULL);
	memcpy(text, data, size);
	is = proxy_quoted_branch(str_of(text, size), out);
	free(text);
	return is;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct proxy_branch whole, part;
	size_t lines = 0, end = 0;

	if (!quoted(data, size, &whole))
		return 0;
	check(whole.owner < PROXY_OWNERS_MAX && whole.branch < PROXY_BRANCHES_MAX && !whole.ours);
	for (size_t i = 1; i < size && lines < 2; i++) {
		if (data[i - 1] == '\r' && data[i] == '\n') {
			lines++;
			end = i + 1;
		}
	}
	check(lines == 2);
	check(quoted(data, end, &part) && part.key == whole.key && part.owner == whole.owner &&
		part.branch == whole.branch);
	check(!quoted(data, end - 1, &part));
	return 0;
}
