/* SPDX-License-Identifier: BSD-3-Clause */
#include "message.h"

#include <stdio.h>
#include <stdlib.h>

const char *test_scanners[4];
unsigned test_scanner_count;

/*
 * TEST_SCANNERS names the scanners to use: valgrind does not know AVX-512, and
 * `TEST_SCANNERS=scalar,sse42,avx2` leaves that one out.
 */
void test_scanners_find(void)
{
	static const char *const all[] = {"scalar", "sse42", "avx2", "avx512"};
	const char *wanted = getenv("TEST_SCANNERS");

	test_scanner_count = 0;
	for (unsigned i = 0; i < 4; i++)
		if ((wanted == NULL || strstr(wanted, all[i]) != NULL) &&
			sip_scan_select(all[i]) == 0)
			test_scanners[test_scanner_count++] = all[i];
}

char *test_exact_copy(struct str text)
{
	char *copy = malloc(text.len != 0 ? text.len : 1);

	if (copy == NULL)
		abort();
	if (text.len == 0) {
		free(copy);
		copy = malloc(0);
	} else {
		memcpy(copy, text.s, text.len);
	}
	return copy;
}

static bool spans_equal(struct sip_span a, struct sip_span b)
{
	return a.off == b.off && a.len == b.len;
}

const char *test_views_differ(const struct sip_msg *a, const struct sip_msg *b)
{
	if (a->len != b->len || a->headers != b->headers || a->headers_end != b->headers_end ||
		a->body != b->body || a->body_len != b->body_len)
		return "offsets";
	if (a->is_response != b->is_response || a->method != b->method || a->status != b->status)
		return "kind";
	if (!spans_equal(a->start_line, b->start_line) ||
		!spans_equal(a->method_text, b->method_text) ||
		!spans_equal(a->uri_text, b->uri_text) || !spans_equal(a->version, b->version) ||
		!spans_equal(a->reason, b->reason))
		return "start line";
	if (a->header_count != b->header_count || a->present != b->present)
		return "header count";
	for (unsigned id = 0; id < SIP_HEADER_COUNT; id++)
		if ((a->present >> id & 1) != 0 &&
			(a->first[id] != b->first[id] || a->last[id] != b->last[id]))
			return "first and last";
	if (memcmp(a->header, b->header, a->header_count * sizeof(a->header[0])) != 0)
		return "header lines";
	return NULL;
}

static bool vias_equal(const struct sip_via *a, const struct sip_via *b)
{
	return a->transport == b->transport && a->port == b->port &&
	       a->host_is_ip6 == b->host_is_ip6 && a->host_is_ip4 == b->host_is_ip4 &&
	       a->ip4 == b->ip4 && a->has_rport == b->has_rport && a->has_magic == b->has_magic &&
	       a->header == b->header && a->rport == b->rport && a->next == b->next &&
	       a->received_is_ip4 == b->received_is_ip4 && a->received_ip4 == b->received_ip4 &&
	       spans_equal(a->value, b->value) && spans_equal(a->sent_by, b->sent_by) &&
	       spans_equal(a->host, b->host) && spans_equal(a->params, b->params) &&
	       spans_equal(a->branch, b->branch) && spans_equal(a->received, b->received) &&
	       spans_equal(a->maddr, b->maddr) && spans_equal(a->rport_param, b->rport_param) &&
	       spans_equal(a->received_param, b->received_param) && spans_equal(a->token, b->token);
}

static bool addresses_equal(const struct sip_address *a, const struct sip_address *b)
{
	return a->brackets == b->brackets && a->star == b->star && a->header == b->header &&
	       a->next == b->next && spans_equal(a->value, b->value) &&
	       spans_equal(a->display, b->display) && spans_equal(a->uri, b->uri) &&
	       spans_equal(a->params, b->params) && spans_equal(a->tag, b->tag);
}

static bool uris_equal(const struct sip_uri *a, const struct sip_uri *b)
{
	return a->scheme == b->scheme && a->transport == b->transport && a->port == b->port &&
	       a->host_is_ip6 == b->host_is_ip6 && a->host_is_ip4 == b->host_is_ip4 &&
	       a->ip4 == b->ip4 && a->lr == b->lr && a->has_maddr == b->has_maddr &&
	       spans_equal(a->all, b->all) && spans_equal(a->scheme_text, b->scheme_text) &&
	       spans_equal(a->user, b->user) && spans_equal(a->password, b->password) &&
	       spans_equal(a->host, b->host) && spans_equal(a->hostport, b->hostport) &&
	       spans_equal(a->params, b->params) && spans_equal(a->headers, b->headers) &&
	       spans_equal(a->opaque, b->opaque) && spans_equal(a->maddr, b->maddr);
}

/* Whether two accessors' answers are the same. */
#define SAME(equal, a, b) (((a) == NULL) == ((b) == NULL) && ((a) == NULL || equal((a), (b))))

const char *test_parsed_differ(struct sip_msg *a, struct sip_msg *b, const char *buf)
{
	bool cseq = sip_msg_cseq(a, buf), hops = sip_msg_max_forwards(a, buf);

	if (!SAME(uris_equal, sip_msg_uri(a, buf), sip_msg_uri(b, buf)))
		return "Request-URI";
	for (unsigned n = 0; n < 2; n++)
		if (!SAME(vias_equal, sip_msg_via(a, buf, n), sip_msg_via(b, buf, n)))
			return "Via";
	if (!SAME(addresses_equal, sip_msg_from(a, buf), sip_msg_from(b, buf)))
		return "From";
	if (!SAME(addresses_equal, sip_msg_to(a, buf), sip_msg_to(b, buf)))
		return "To";
	if (!SAME(addresses_equal, sip_msg_route(a, buf), sip_msg_route(b, buf)))
		return "Route";
	if (cseq != sip_msg_cseq(b, buf) ||
		(cseq && (a->cseq_number != b->cseq_number || a->cseq_method != b->cseq_method ||
				 !spans_equal(a->cseq_method_text, b->cseq_method_text))))
		return "CSeq";
	if (hops != sip_msg_max_forwards(b, buf) || (hops && a->max_forwards != b->max_forwards))
		return "Max-Forwards";
	return NULL;
}

static bool inside(struct sip_span span, uint32_t len)
{
	return span.off <= len && span.len <= len - span.off;
}

static const char *chain_wrong(const struct sip_msg *msg, unsigned id)
{
	unsigned count = 0, seen = 0, at = msg->first[id];

	for (unsigned i = 0; i < msg->header_count; i++)
		count += msg->header[i].id == id;
	if (count == 0)
		return (msg->present >> id & 1) != 0 ? "present without a line" : NULL;
	if ((msg->present >> id & 1) == 0)
		return "line without present";
	for (; at != SIP_HEADER_NONE; at = msg->header[at].next) {
		if (at >= msg->header_count || msg->header[at].id != id || ++seen > count)
			return "chain";
		if (msg->header[at].next == SIP_HEADER_NONE && msg->last[id] != at)
			return "last";
		if (msg->header[at].next <= at)
			return "order of chain";
	}
	return seen == count ? NULL : "chain is short";
}

const char *test_view_wrong(const struct sip_msg *msg, const char *buf, uint32_t len)
{
	uint32_t at = msg->headers;

	if (msg->len > len || msg->headers > msg->headers_end || msg->headers_end > msg->body ||
		msg->body > msg->len || msg->body_len != msg->len - msg->body)
		return "offsets are out of order";
	if (!inside(msg->start_line, len) || !inside(msg->method_text, len) ||
		!inside(msg->uri_text, len) || !inside(msg->version, len) ||
		!inside(msg->reason, len) || !inside(msg->cseq_method_text, len))
		return "a span of the start line is outside";
	if (msg->header_count > SIP_MSG_HEADERS_MAX)
		return "too many header lines";
	for (unsigned i = 0; i < msg->header_count; i++) {
		const struct sip_header *h = &msg->header[i];
		uint32_t end = sip_msg_line_end(msg, h);

		if (h->name != at || end <= at || end > len)
			return "lines are not adjacent";
		if (buf[end - 2] != '\r' || buf[end - 1] != '\n')
			return "line does not end with CRLF";
		if (h->name_len > end - at || h->value < at + h->name_len || h->value > end - 2 ||
			h->value_len > end - 2 - h->value)
			return "a value is outside its line";
		if ((h->flags & SIP_HEADER_BAD) != 0 &&
			(h->id != SIP_HEADER_OTHER || h->name_len != 0))
			return "a bad line has a name";
		if (h->id != SIP_HEADER_OTHER &&
			sip_header_of(str_of(buf + h->name, h->name_len)) != h->id)
			return "id does not belong to the name";
		at = end;
	}
	if (msg->header_count != 0 && at != msg->headers_end)
		return "headers_end is not where they end";
	for (unsigned id = 0; id < SIP_HEADER_COUNT; id++)
		if (chain_wrong(msg, id) != NULL)
			return chain_wrong(msg, id);
	return NULL;
}

static const char *span_wrong(struct sip_span span, uint32_t len)
{
	return inside(span, len) ? NULL : "an accessor's span is outside";
}

/* Calls whatever parses lazily, twice: the second answer has to be the first one. */
static const char *accessors_wrong(struct sip_msg *msg, const char *buf, uint32_t len)
{
	const struct sip_uri *uri = sip_msg_uri(msg, buf);
	const struct sip_address *address[3] = {
		sip_msg_from(msg, buf), sip_msg_to(msg, buf), sip_msg_route(msg, buf)};
	bool cseq = sip_msg_cseq(msg, buf), hops = sip_msg_max_forwards(msg, buf);

	for (unsigned n = 0; n < 3; n++) {
		const struct sip_via *via = sip_msg_via(msg, buf, n);

		if (via != sip_msg_via(msg, buf, n) || (n == 2 && via != NULL))
			return "Via changes";
		if (via != NULL && (span_wrong(via->value, len) != NULL ||
					   span_wrong(via->sent_by, len) != NULL ||
					   span_wrong(via->params, len) != NULL || via->next > len))
			return "Via is outside";
		if (via != NULL && msg->header[via->header].id != SIP_HEADER_VIA)
			return "Via is of another header";
	}
	for (unsigned i = 0; i < 3; i++)
		if (address[i] != NULL && (span_wrong(address[i]->value, len) != NULL ||
						  span_wrong(address[i]->uri, len) != NULL ||
						  span_wrong(address[i]->tag, len) != NULL))
			return "an address is outside";
	if (uri != NULL &&
		(span_wrong(uri->host, len) != NULL || span_wrong(uri->user, len) != NULL))
		return "the URI is outside";
	if (uri != sip_msg_uri(msg, buf) || address[0] != sip_msg_from(msg, buf) ||
		address[1] != sip_msg_to(msg, buf) || address[2] != sip_msg_route(msg, buf) ||
		cseq != sip_msg_cseq(msg, buf) || hops != sip_msg_max_forwards(msg, buf))
		return "an accessor changes its answer";
	for (unsigned id = 1; id < SIP_HEADER_COUNT; id++)
		SIP_MSG_FOREACH (msg, id, h) {
			struct sip_span value;
			uint32_t at = 0, before = 0;

			while (sip_list_next(buf, sip_header_value(h), &at, &value)) {
				if (span_wrong(value, len) != NULL || value.len == 0 ||
					at <= before)
					return "a list's value is outside";
				before = at;
			}
		}
	return NULL;
}

const char *test_every_way(
	struct str text, struct sip_msg *msg, enum sip_error *index, enum sip_error *check)
{
	static struct sip_msg first, other, indexed;
	enum sip_error error = SIP_OK, verdict = SIP_OK;
	char *buf = test_exact_copy(text);
	const char *wrong = NULL;

	for (unsigned i = 0; i < test_scanner_count && wrong == NULL; i++) {
		/* What the index leaves alone must not matter. */
		memset(&other, 0xa5 + (int)i, sizeof(other));
		sip_scan_select(test_scanners[i]);

		enum sip_error now = sip_msg_index(&other, buf, text.len);

		wrong = test_view_wrong(&other, buf, text.len);
		if (i == 0) {
			error = now;
			indexed = other;
		} else if (wrong == NULL) {
			wrong = now != error ? "scanners' verdicts differ"
					     : test_views_differ(&indexed, &other);
		}
		if (wrong != NULL || now == SIP_ERROR_EMPTY || now == SIP_ERROR_NOT_SIP) {
			first = other;
			continue;
		}
		now = sip_msg_check(&other, buf);
		wrong = test_view_wrong(&other, buf, text.len);
		if (wrong == NULL)
			wrong = accessors_wrong(&other, buf, text.len);
		if (i == 0) {
			verdict = now;
			first = other;
		} else if (wrong == NULL) {
			wrong = now != verdict ? "checks differ"
					       : test_views_differ(&first, &other);
			if (wrong == NULL)
				wrong = test_parsed_differ(&first, &other, buf);
		}
	}
	free(buf);
	if (msg != NULL)
		*msg = first;
	if (index != NULL)
		*index = error;
	if (check != NULL)
		*check = verdict;
	return wrong;
}

bool test_read_file(const char *path, char *out, uint32_t room, uint32_t *len)
{
	FILE *file = fopen(path, "rb");

	if (file == NULL)
		return false;
	*len = (uint32_t)fread(out, 1, room, file);

	bool ok = ferror(file) == 0 && feof(file) != 0;

	fclose(file);
	return ok;
}

void test_shared_path(char *out, size_t room, const char *name)
{
	const char *shared = getenv("SIPLANE_SHARED");

	if (shared != NULL)
		snprintf(out, room, "%s/%s", shared, name);
	else
		snprintf(out, room, "%s/../shared/%s", SOURCE_ROOT, name);
}
