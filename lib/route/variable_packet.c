/* SPDX-License-Identifier: BSD-3-Clause */
/* Where the message came from, what it leaves from, flags and time. */
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "route/variable_get.h"

/* "sip:[2001:db8::1]:5060;transport=udp" */
#define ADDRESS_URI_MAX (4 + NET_ENDPOINT_TEXT_MAX + 15)
#define LISTENER_TEXT_MAX 128

static const char *const protocol_name[] = {
	[SIP_TRANSPORT_UDP] = "udp",
	[SIP_TRANSPORT_TCP] = "tcp",
	[SIP_TRANSPORT_TLS] = "tls",
	[SIP_TRANSPORT_SCTP] = "sctp",
	[SIP_TRANSPORT_WS] = "ws",
	[SIP_TRANSPORT_WSS] = "wss",
	[SIP_TRANSPORT_OTHER] = NULL,
};

static struct str protocol_of(const struct route_ctx *ctx)
{
	return ctx->origin.transport < SIP_TRANSPORT_OTHER
		       ? str_c(protocol_name[ctx->origin.transport])
		       : STR_NONE;
}

static bool address_text(
	struct route_ctx *ctx, const struct net_addr *addr, struct route_value *out)
{
	char text[NET_ADDR_TEXT_MAX];

	if (addr->family == 0)
		return value_null(out);
	return value_made(ctx, out, str_of(text, net_addr_format(addr, text)));
}

/* RFC 3261 19.1.1 of an endpoint. */
static bool endpoint_uri(struct route_ctx *ctx, const struct net_endpoint *ep, bool with_transport,
	struct route_value *out)
{
	char text[ADDRESS_URI_MAX];
	struct str transport = protocol_of(ctx);
	unsigned n = 4;

	if (ep->addr.family == 0)
		return value_null(out);
	memcpy(text, "sip:", 4);
	n += net_endpoint_format(ep, text + n);
	if (with_transport && transport.len != 0) {
		memcpy(text + n, ";transport=", 11);
		memcpy(text + n + 11, transport.s, transport.len);
		n += 11 + transport.len;
	}
	return value_made(ctx, out, str_of(text, n));
}

VARIABLE_GET(get_source_address)
{
	return address_text(ctx, &ctx->origin.src.addr, out);
}

VARIABLE_GET(get_source_port)
{
	return value_int(out, ctx->origin.src.port);
}

VARIABLE_GET(get_source_uri)
{
	return endpoint_uri(ctx, &ctx->origin.src, ctx->origin.transport != SIP_TRANSPORT_UDP, out);
}

VARIABLE_GET(get_source_uri_full)
{
	return endpoint_uri(ctx, &ctx->origin.src, true, out);
}

VARIABLE_GET(get_protocol)
{
	return value_text(out, protocol_of(ctx));
}

VARIABLE_GET(get_family)
{
	return ctx->origin.src.addr.family != 0 ? value_int(out, ctx->origin.src.addr.family)
						: value_null(out);
}

VARIABLE_GET(get_received_address)
{
	return address_text(ctx, &ctx->origin.dst.addr, out);
}

VARIABLE_GET(get_received_port)
{
	return value_int(out, ctx->origin.dst.port);
}

VARIABLE_GET(get_received_uri)
{
	return endpoint_uri(ctx, &ctx->origin.dst, true, out);
}

VARIABLE_GET(get_socket)
{
	const struct route_hooks *hooks =
		ctx->script != NULL ? route_script_hooks(ctx->script) : NULL;
	char text[LISTENER_TEXT_MAX];

	if (ctx->socket < 0 || hooks == NULL || hooks->listener_text == NULL)
		return value_null(out);
	unsigned n = hooks->listener_text(hooks->room, (unsigned)ctx->socket, text, sizeof(text));

	return n != 0 && n <= sizeof(text) ? value_made(ctx, out, str_of(text, n))
					   : value_null(out);
}

VARIABLE_SET(set_socket)
{
	const struct route_hooks *hooks =
		ctx->script != NULL ? route_script_hooks(ctx->script) : NULL;

	if (value->type == ROUTE_NULL || (value->type == ROUTE_STR && value->s.len == 0)) {
		ctx->socket = -1;
		return true;
	}
	if (value->type != ROUTE_STR || hooks == NULL || hooks->find_listener == NULL)
		return false;
	int listener = hooks->find_listener(hooks->room, value->s);

	if (listener < 0 || listener > INT16_MAX)
		return false;
	ctx->socket = (int16_t)listener;
	return true;
}

static bool hex_of(struct route_ctx *ctx, uint32_t flags, struct route_value *out)
{
	static const char digit[16] = "0123456789abcdef";
	char text[8];

	for (unsigned i = 0; i < 8; i++)
		text[i] = digit[flags >> (28 - 4 * i) & 15];
	return value_made(ctx, out, str_of(text, sizeof(text)));
}

static bool take_flags(const struct route_value *value, uint32_t *flags)
{
	int64_t number = 0;

	if (value->type != ROUTE_NULL &&
		(!value_as_int(value, &number) || number < INT32_MIN || number > UINT32_MAX))
		return false;
	*flags = (uint32_t)number;
	return true;
}

VARIABLE_GET(get_flags)
{
	return value_int(out, ctx->flags);
}

VARIABLE_GET(get_flags_hex)
{
	return hex_of(ctx, ctx->flags, out);
}

VARIABLE_SET(set_flags)
{
	return take_flags(value, &ctx->flags);
}

VARIABLE_GET(get_branch_flags)
{
	return value_int(out, ctx->branch_flags);
}

VARIABLE_GET(get_branch_flags_hex)
{
	return hex_of(ctx, ctx->branch_flags, out);
}

VARIABLE_SET(set_branch_flags)
{
	return take_flags(value, &ctx->branch_flags);
}

VARIABLE_GET(get_seconds)
{
	return value_int(out, (int64_t)time(NULL));
}

/* Each thread makes it once a second: the zone's table has a lock. The names are C's, whatever the
 * locale is. */
VARIABLE_GET(get_local_time)
{
	static const char days[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
	static const char months[12][4] = {
		"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
	static _Thread_local struct {
		time_t second;
		int len;
		char text[40];
	} last;
	time_t now = time(NULL);
	struct tm at;

	if (last.second != now && localtime_r(&now, &at) != NULL) {
		last.len = snprintf(last.text, sizeof(last.text), "%s %s %2d %02d:%02d:%02d %d",
			days[at.tm_wday], months[at.tm_mon], at.tm_mday, at.tm_hour, at.tm_min,
			at.tm_sec, at.tm_year + 1900);
		last.second = now;
	}
	return value_made(ctx, out, str_of(last.text, (size_t)last.len));
}

bool check_time(struct str *name)
{
	return str_eq(*name, STR("s")) || str_eq(*name, STR("u")) || str_eq(*name, STR("Sn"));
}

VARIABLE_GET(get_time)
{
	struct timespec now;
	char text[2 * VALUE_NUMBER_MAX], micro[VALUE_NUMBER_MAX];
	unsigned n, digits;

	clock_gettime(CLOCK_REALTIME, &now);
	if (str_eq(index->name, STR("s")))
		return value_int(out, now.tv_sec);
	if (str_eq(index->name, STR("u")))
		return value_int(out, now.tv_nsec / 1000);
	n = str_from_u64(text, (uint64_t)now.tv_sec);
	/* A leading 1 keeps the zeros behind the point, and becomes the point. */
	digits = str_from_u64(micro, 1000000 + (uint64_t)now.tv_nsec / 1000);
	memcpy(text + n, micro, digits);
	text[n] = '.';
	return value_made(ctx, out, str_of(text, n + digits));
}

VARIABLE_GET(get_process)
{
	return value_int(out, getpid());
}

VARIABLE_GET(get_random)
{
	return value_int(out, (int64_t)(route_random(ctx->thread) & INT32_MAX));
}

/* $C(rg): a colour in front and one behind. */
bool check_color(struct str *name)
{
	return name->len == 2;
}

VARIABLE_GET(get_color)
{
	*out = (struct route_value){.type = ROUTE_STR, .s = STR("")};
	return true;
}
