/* SPDX-License-Identifier: BSD-3-Clause */
/* Stands in for rooms that are not there yet. */
#include "common.h"

#include "proxy/proxy.h"

struct hash128 proxy_transaction_key(struct proxy *p, struct route_ctx *ctx)
{
	return (struct hash128){0, 0};
}

int proxy_listener_find(
	const struct proxy *p, const struct net_endpoint *ep, enum sip_transport transport)
{
	return -1;
}

/* two.test and srv.test have two addresses each; no other name is known. */
int resolve_now(struct resolver *r, enum resolve_kind kind, struct str name, unsigned timeout_ms, struct resolve_addresses *out,
	char *error, size_t error_size)
{
	bool two = str_eq(name, STR("two.test")), srv = str_eq(name, STR("srv.test"));

	memset(out, 0, sizeof(*out));
	if (!(two && kind == RESOLVE_ADDRESS) && !(srv && kind == RESOLVE_SIP_UDP)) {
		snprintf(error, error_size, "no such name");
		return -ENOENT;
	}
	for (unsigned i = 0; i < 2; i++) {
		char text[32];

		snprintf(text, sizeof(text), "10.%u.0.%u", two ? 2 : 3, i + 1);
		net_addr_parse(str_c(text), &out->ep[i].addr);
		out->ep[i].port = srv ? (uint16_t)(5081 + i) : 0;
	}
	out->count = 2;
	return 2;
}

struct route_report {
	unsigned errors, warnings, len;
	char text[65536];
};

struct route_report *route_report_create(void)
{
	return calloc(1, sizeof(struct route_report));
}

void route_report_destroy(struct route_report *report)
{
	free(report);
}

static void add(struct route_report *r, const struct route_place *place, const char *kind,
	const char *fmt, va_list ap)
{
	if (place != NULL && place->line > 0)
		r->len += (unsigned)snprintf(r->text + r->len, sizeof(r->text) - r->len,
			"%s:%d:%d: ", place->file, place->line, place->column);
	else if (place != NULL)
		r->len += (unsigned)snprintf(
			r->text + r->len, sizeof(r->text) - r->len, "%s: ", place->file);
	r->len += (unsigned)snprintf(r->text + r->len, sizeof(r->text) - r->len, "%s: ", kind);
	r->len += (unsigned)vsnprintf(r->text + r->len, sizeof(r->text) - r->len, fmt, ap);
	r->len += (unsigned)snprintf(r->text + r->len, sizeof(r->text) - r->len, "\n");
}

void route_error(struct route_report *report, const struct route_place *place, const char *fmt, ...)
{
	va_list ap;

	report->errors++;
	va_start(ap, fmt);
	add(report, place, "error", fmt, ap);
	va_end(ap);
}

void route_warning(
	struct route_report *report, const struct route_place *place, const char *fmt, ...)
{
	va_list ap;

	report->warnings++;
	va_start(ap, fmt);
	add(report, place, "warning", fmt, ap);
	va_end(ap);
}

unsigned route_report_errors(const struct route_report *report)
{
	return report->errors;
}

const char *route_report_text(const struct route_report *report)
{
	return report->text;
}
