/* SPDX-License-Identifier: BSD-3-Clause */
/* add_sock_hdr(): tells another registrar, to which a REGISTER is sent on, which listener took it.
 */
#include "registrar/internal.h"

#define SOCKET_TEXT_MAX 96

/* RFC 3261 25.1: token. */
bool registrar_is_token(struct str s)
{
	for (uint32_t i = 0; i < s.len; i++) {
		if (!str_is_alpha(s.s[i]) && !str_is_digit(s.s[i]) &&
			(s.s[i] == '\0' || strchr("-.!%*_+`'~", s.s[i]) == NULL))
			return false;
	}
	return s.len != 0 && s.len <= SIP_HEADER_NAME_MAX;
}

REGISTRAR_RUN(registrar_run_add_sock_hdr)
{
	const struct route_hooks *hooks = route_script_hooks(ctx->script);
	char text[SOCKET_TEXT_MAX];
	struct str part[4];
	unsigned len;

	if (args->v[0].type != ROUTE_STR || !registrar_is_token(args->v[0].s) || hooks == NULL ||
		hooks->listener_text == NULL)
		return ROUTE_FALSE;
	len = hooks->listener_text(hooks->room, ctx->origin.listener, text, sizeof(text));
	if (len == 0)
		return ROUTE_FALSE;
	part[0] = args->v[0].s;
	part[1] = STR(": ");
	part[2] = str_of(text, len);
	part[3] = STR("\r\n");
	return sip_edit_insert_parts(&ctx->edits, ctx->msg.headers_end, SIP_EDIT_LAST, part, 4) == 0
		       ? ROUTE_TRUE
		       : ROUTE_FALSE;
}
