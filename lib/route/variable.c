/* SPDX-License-Identifier: BSD-3-Clause */
/* The table of pseudo-variables. Names and meanings are those of Kamailio's pv module. */
#include "route/variable.h"

#include "route/value.h"
#include "route/avp.h"
#include "route/branch.h"

#define READ(var, reader, text) \
	{ \
		.name = var, .get = reader, .help = text \
	}
#define WRITE(var, reader, writer, text) \
	{ \
		.name = var, .get = reader, .set = writer, .help = text \
	}
#define ELEMENTS(var, reader, check, text) \
	{ \
		.name = var, .index = ROUTE_INDEX_NAME, .elements = true, .get = reader, \
		.check_index = check, .help = text \
	}
#define INDEXED(var, reader, check, text) \
	{ \
		.name = var, .index = ROUTE_INDEX_NAME, .get = reader, .check_index = check, \
		.help = text \
	}

const struct route_variable route_variables[] = {
	/* the Request-URI */
	WRITE("ru", get_ruri, set_ruri, "Request-URI as it will leave"),
	WRITE("ruri", get_ruri, set_ruri, "the same as $ru"),
	WRITE("rU", get_ruri_user, set_ruri_user,
		"user part of the Request-URI; $null takes it away"),
	WRITE("rd", get_ruri_host, set_ruri_host,
		"host of the Request-URI, an IPv6 one without brackets"),
	WRITE("rp", get_ruri_port, set_ruri_port,
		"port of the Request-URI, 5060 (sips: 5061) where it has none"),
	READ("rP", get_ruri_transport,
		"transport of the Request-URI, UDP (sips: TLS) where it has none"),
	READ("rz", get_ruri_scheme, "scheme of the Request-URI"),
	READ("rUl", get_ruri_user_length, "length of $rU"),
	READ("ou", get_original, "Request-URI as received"),
	READ("ouri", get_original, "the same as $ou"),
	READ("oU", get_original_user, "user part of $ou"),
	READ("oUl", get_original_user_length, "length of $oU"),
	READ("od", get_original_host, "host of $ou"),
	READ("op", get_original_port, "port of $ou"),
	READ("oP", get_original_transport, "transport of $ou"),
	WRITE("du", get_destination, set_destination,
		"destination URI: where the request goes instead of the Request-URI"),
	WRITE("duri", get_destination, set_destination, "the same as $du"),
	READ("dd", get_destination_host, "host of $du"),
	READ("dp", get_destination_port, "port of $du"),
	READ("dP", get_destination_transport, "transport of $du"),
	WRITE("ru_q", get_ruri_q, set_ruri_q, "q of the Request-URI in thousandths"),
	{.name = "branch",
		.index = ROUTE_INDEX_NAME,
		.elements = true,
		.get = get_branch,
		.set = set_branch,
		.check_index = check_branch_part,
		.help = "part of the first branch, $(branch(name)[n]) of another: `uri`, "
			"`dst_uri`, `path`, `q`, `send_socket`, `flags`, `instance`; `count`: how "
			"many there are. $null for the uri drops the branch"},
	READ("br", get_first_branch, "URI of the first branch"),
	READ("bR", get_branches, "URIs of all branches, with their q"),
	/* AVPs */
	{.name = "avp",
		.index = ROUTE_INDEX_NAME,
		.elements = true,
		.get = get_avp,
		.set = set_avp,
		.check_index = avp_check_name,
		.help = "value that lives as long as the transaction. An assignment adds one, and "
			"the one added last is read; $(avp(name)[n]) are older ones, [-1] is the "
			"oldest, [*] all. $(avp(name)[*]) = x replaces all, $null takes the "
			"newest away, or with [*] all"},
	INDEXED("cnt", get_count_of, check_count_of,
		"number of values: $cnt(avp(name)), $cnt(hdr(name))"),
	/* From, To and other addresses */
	READ("fu", get_from, "URI of From"),
	READ("from", get_from, "the same as $fu"),
	READ("fU", get_from_user, "user part of $fu"),
	READ("fd", get_from_host, "host of $fu"),
	READ("fn", get_from_display, "display name of From, as written"),
	READ("ft", get_from_tag, "tag of From"),
	READ("fUl", get_from_user_length, "length of $fU"),
	READ("tu", get_to, "URI of To"),
	READ("to", get_to, "the same as $tu"),
	READ("tU", get_to_user, "user part of $tu"),
	READ("td", get_to_host, "host of $tu"),
	READ("tn", get_to_display, "display name of To, as written"),
	READ("tt", get_to_tag, "tag of To"),
	READ("tUl", get_to_user_length, "length of $tU"),
	READ("ai", get_asserted, "URI of the first P-Asserted-Identity"),
	READ("pu", get_preferred, "URI of the first P-Preferred-Identity"),
	READ("pU", get_preferred_user, "user part of $pu"),
	READ("pd", get_preferred_host, "host of $pu"),
	READ("pn", get_preferred_display, "display name of P-Preferred-Identity, as written"),
	READ("re", get_remote_party, "URI of the first Remote-Party-ID"),
	READ("rt", get_refer_to, "URI of Refer-To"),
	READ("di", get_diversion, "URI of the first Diversion"),
	READ("au", get_auth_user,
		"user of the credentials that were verified, else of those that are there, without "
		"its domain"),
	READ("aU", get_auth_username, "the same with its domain"),
	READ("ad", get_auth_domain, "domain of $aU, else the digest realm"),
	READ("ar", get_auth_realm, "digest realm"),
	READ("adu", get_auth_uri, "digest URI"),
	READ("adn", get_auth_nonce, "digest nonce"),
	READ("adc", get_auth_cnonce, "digest cnonce"),
	READ("ado", get_auth_opaque, "digest opaque"),
	READ("adr", get_auth_response, "digest response"),
	READ("aa", get_auth_algorithm, "digest algorithm"),
	READ("AU", get_account_user, "user of the credentials that were verified, else of From"),
	READ("Au", get_account, "$AU with the realm or From's host behind an '@'"),
	/* the message */
	READ("ci", get_call_id, "Call-ID"),
	READ("cs", get_cseq, "number of CSeq"),
	READ("csb", get_cseq_value, "CSeq, number and method"),
	READ("rm", get_method, "method; for a reply that of CSeq"),
	READ("rs", get_status,
		"status code of a reply; in failure_route of the one that would go to the client"),
	READ("rr", get_reason, "reason phrase of the same"),
	READ("rv", get_version, "SIP version of the first line"),
	READ("mt", get_message_type, "1 for a request, 2 for a reply"),
	READ("ct", get_contact, "the first Contact header's value"),
	READ("cT", get_content_type, "Content-Type"),
	READ("cl", get_content_length, "Content-Length"),
	READ("ua", get_user_agent, "User-Agent"),
	ELEMENTS("hdr", get_header, NULL,
		"value of the first header of that name, in any spelling; $(hdr(name)[n]) is the "
		"next ones', [*] all of them"),
	INDEXED("hdrc", get_header_count, NULL, "number of headers of that name"),
	READ("mb", get_message, "the message as received"),
	READ("ml", get_message_length, "length of the message"),
	READ("rb", get_body, "body"),
	READ("bs", get_body_size, "length of the body"),
	/* error_route */
	READ("err.class", get_error_class, "error_route: 1, the request could not be parsed"),
	READ("err.level", get_error_level, "error_route: 3, as OpenSER has it for parse errors"),
	READ("err.info", get_error_info, "error_route: what is wrong with the request"),
	READ("err.rcode", get_error_code, "error_route: status of the reply that it is to get"),
	READ("err.rreason", get_error_reason, "error_route: reason of that reply"),
	/* the packet and its treatment */
	READ("si", get_source_address, "source address"),
	READ("src_ip", get_source_address, "the same as $si"),
	READ("sp", get_source_port, "source port"),
	READ("su", get_source_uri, "source as a URI, without transport where that is UDP"),
	READ("sut", get_source_uri_full, "source as a URI with its transport"),
	READ("pr", get_protocol, "transport that the message came over: udp, tcp, tls, ..."),
	READ("proto", get_protocol, "the same as $pr"),
	READ("af", get_family, "4 or 6: the IP version that the message came over"),
	READ("Ri", get_received_address, "address that the message was sent to"),
	READ("Rp", get_received_port, "port that the message was sent to"),
	READ("Ru", get_received_uri, "the two as a URI with the transport"),
	WRITE("fs", get_socket, set_socket,
		"listener that the message is sent from, as udp:ADDRESS:PORT or its name; $null: "
		"by route"),
	WRITE("mf", get_flags, set_flags, "message flags as a number"),
	READ("mF", get_flags_hex, "message flags as eight hexadecimal digits"),
	WRITE("bf", get_branch_flags, set_branch_flags, "branch flags as a number"),
	READ("bF", get_branch_flags_hex, "branch flags as eight hexadecimal digits"),
	READ("Ts", get_seconds, "seconds since 1970"),
	READ("TS", get_seconds, "the same as $Ts"),
	READ("Tf", get_local_time, "local time as text: Mon Nov 23 14:05:06 2026"),
	READ("TF", get_local_time, "the same as $Tf"),
	INDEXED("TV", get_time, check_time,
		"time of day: s seconds, u microseconds, Sn both as 1.000001"),
	READ("RANDOM", get_random, "a number from 0 to 2147483647 by chance, not for secrets"),
	INDEXED("C", get_color, check_color, "nothing: lines of the log have no colours"),
	READ("pp", get_process, "process id"),
	{.name = NULL},
};

int64_t route_index_element(const struct route_ctx *ctx, const struct route_index *index)
{
	struct route_value value = {.type = ROUTE_NULL};
	const struct route_cell *cell;
	int64_t n = 0;

	if (index->slot < 0)
		return index->element;
	if ((ctx->var_set >> index->slot & 1) == 0)
		return 0;
	cell = &ctx->var[index->slot];
	value.type = (enum route_type)cell->type;
	value.i = cell->i;
	if (cell->type == ROUTE_STR)
		value.s = route_text_str(ctx, cell->text);
	return value_as_int(&value, &n) ? n : 0;
}

bool variable_element(struct str text, struct route_index *out)
{
	struct route_value value = {.type = ROUTE_STR, .s = str_trim(text)};
	int64_t n;

	out->given = true;
	if (str_eq(value.s, STR("*"))) {
		out->all = true;
		return true;
	}
	if (value.s.len > 6 && memcmp(value.s.s, "$var(", 5) == 0 &&
		value.s.s[value.s.len - 1] == ')') {
		int slot = route_var_slot(str_trim(str_of(value.s.s + 5, value.s.len - 6)));

		out->slot = (int16_t)slot;
		return slot >= 0;
	}
	if (!value_as_int(&value, &n) || n < INT16_MIN || n > INT16_MAX)
		return false;
	out->element = (int32_t)n;
	return true;
}

static bool is_name_char(char c)
{
	return str_is_alpha(c) || str_is_digit(c) || c == '_';
}

struct str variable_take_name(struct str *rest)
{
	struct str name;
	uint32_t n = 0;

	while (n < rest->len && is_name_char(rest->s[n]))
		n++;
	/* OpenSER's own spelling; elsewhere a dot ends a name. */
	if (n == 3 && memcmp(rest->s, "err", 3) == 0 && rest->len > 4 && rest->s[3] == '.' &&
		is_name_char(rest->s[4])) {
		for (n = 4; n < rest->len && is_name_char(rest->s[n]);)
			n++;
	}
	if (n == 0 && rest->len > 0 && rest->s[0] == '?')
		n = 1;
	name = str_of(rest->s, n);
	*rest = str_of(rest->s + n, rest->len - n);
	return name;
}

int route_variable_find(struct str name)
{
	for (int i = 0; route_variables[i].name != NULL; i++)
		if (str_eq(name, str_c(route_variables[i].name)))
			return i;
	return -1;
}

struct str value_as_text(const struct route_value *value, char digits[VALUE_NUMBER_MAX])
{
	if (value->type == ROUTE_STR)
		return value->s;
	if (value->type != ROUTE_INT)
		return STR_NONE;
	bool negative = value->i < 0;
	uint64_t size = negative ? 0 - (uint64_t)value->i : (uint64_t)value->i;

	digits[0] = '-';
	return str_of(digits, (negative ? 1 : 0) + str_from_u64(digits + (negative ? 1 : 0), size));
}

bool value_as_int(const struct route_value *value, int64_t *out)
{
	if (value->type == ROUTE_INT) {
		*out = value->i;
		return true;
	}
	if (value->type != ROUTE_STR || value->s.len == 0)
		return false;
	struct str digits = value->s;
	bool negative = digits.s[0] == '-';
	uint64_t size;

	if (negative) {
		digits.s++;
		digits.len--;
	}
	if (str_to_u64(digits, INT64_MAX, &size) < 0)
		return false;
	*out = negative ? -(int64_t)size : (int64_t)size;
	return true;
}
