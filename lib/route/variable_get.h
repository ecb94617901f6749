/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/* Inside lib/route: the readers and writers behind the table of pseudo-variables, by the part of
 * the message that they look at. */
#include "route/value.h"

#define VARIABLE_GET(name) \
	bool name(struct route_ctx *ctx, const struct route_index *index, struct route_value *out)
#define VARIABLE_SET(name) \
	bool name(struct route_ctx *ctx, const struct route_index *index, \
		const struct route_value *value)

/* ---- variable_uri.c ---- */
VARIABLE_GET(get_ruri);
VARIABLE_GET(get_ruri_user);
VARIABLE_GET(get_ruri_host);
VARIABLE_GET(get_ruri_port);
VARIABLE_GET(get_ruri_transport);
VARIABLE_GET(get_ruri_scheme);
VARIABLE_GET(get_ruri_user_length);
VARIABLE_SET(set_ruri);
VARIABLE_SET(set_ruri_user);
VARIABLE_SET(set_ruri_host);
VARIABLE_SET(set_ruri_port);
VARIABLE_GET(get_original);
VARIABLE_GET(get_original_user);
VARIABLE_GET(get_original_user_length);
VARIABLE_GET(get_original_host);
VARIABLE_GET(get_original_port);
VARIABLE_GET(get_original_transport);
VARIABLE_GET(get_destination);
VARIABLE_GET(get_destination_host);
VARIABLE_GET(get_destination_port);
VARIABLE_GET(get_destination_transport);
VARIABLE_SET(set_destination);

/* ---- variable_address.c ---- */
VARIABLE_GET(get_from);
VARIABLE_GET(get_from_user);
VARIABLE_GET(get_from_host);
VARIABLE_GET(get_from_display);
VARIABLE_GET(get_from_tag);
VARIABLE_GET(get_from_user_length);
VARIABLE_GET(get_to);
VARIABLE_GET(get_to_user);
VARIABLE_GET(get_to_host);
VARIABLE_GET(get_to_display);
VARIABLE_GET(get_to_tag);
VARIABLE_GET(get_to_user_length);
VARIABLE_GET(get_asserted);
VARIABLE_GET(get_preferred);
VARIABLE_GET(get_preferred_user);
VARIABLE_GET(get_preferred_host);
VARIABLE_GET(get_preferred_display);
VARIABLE_GET(get_remote_party);
VARIABLE_GET(get_refer_to);
VARIABLE_GET(get_diversion);
VARIABLE_GET(get_auth_user);
VARIABLE_GET(get_auth_username);
VARIABLE_GET(get_auth_domain);
VARIABLE_GET(get_auth_realm);
VARIABLE_GET(get_auth_uri);
VARIABLE_GET(get_auth_nonce);
VARIABLE_GET(get_auth_response);
VARIABLE_GET(get_auth_algorithm);
VARIABLE_GET(get_auth_cnonce);
VARIABLE_GET(get_auth_opaque);
VARIABLE_GET(get_account_user);
VARIABLE_GET(get_account);

/* ---- variable_message.c ---- */
VARIABLE_GET(get_call_id);
VARIABLE_GET(get_cseq);
VARIABLE_GET(get_cseq_value);
VARIABLE_GET(get_method);
VARIABLE_GET(get_status);
VARIABLE_GET(get_reason);
VARIABLE_GET(get_version);
VARIABLE_GET(get_error_class);
VARIABLE_GET(get_error_level);
VARIABLE_GET(get_error_info);
VARIABLE_GET(get_error_code);
VARIABLE_GET(get_error_reason);
VARIABLE_GET(get_message_type);
VARIABLE_GET(get_contact);
VARIABLE_GET(get_content_type);
VARIABLE_GET(get_content_length);
VARIABLE_GET(get_user_agent);
VARIABLE_GET(get_header);
VARIABLE_GET(get_header_count);
VARIABLE_GET(get_message);
VARIABLE_GET(get_message_length);
VARIABLE_GET(get_body);
VARIABLE_GET(get_body_size);

/* ---- variable_packet.c ---- */
VARIABLE_GET(get_source_address);
VARIABLE_GET(get_source_port);
VARIABLE_GET(get_source_uri);
VARIABLE_GET(get_source_uri_full);
VARIABLE_GET(get_protocol);
VARIABLE_GET(get_family);
VARIABLE_GET(get_received_address);
VARIABLE_GET(get_received_port);
VARIABLE_GET(get_received_uri);
VARIABLE_GET(get_socket);
VARIABLE_SET(set_socket);
VARIABLE_GET(get_flags);
VARIABLE_GET(get_flags_hex);
VARIABLE_SET(set_flags);
VARIABLE_GET(get_branch_flags);
VARIABLE_GET(get_branch_flags_hex);
VARIABLE_SET(set_branch_flags);
VARIABLE_GET(get_seconds);
VARIABLE_GET(get_local_time);
VARIABLE_GET(get_time);
VARIABLE_GET(get_process);
VARIABLE_GET(get_random);
VARIABLE_GET(get_color);
bool check_color(struct str *name);
bool check_time(struct str *name);
