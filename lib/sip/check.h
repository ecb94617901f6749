/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * The steps of sip_msg_check(), each by the general parsers. check_block.h takes what is usual
 * itself and these for all else. Private to this room.
 */
#include "sip/sip.h"

/* Header fields of rule ONCE (header.def). */
#define ONCE 1
#define SINGLE 0
#define MULTI 0
static const uint64_t sip_once_ids =
#define SIP_HEADER(id, name, compact, rule) (uint64_t) rule << SIP_HEADER_##id |
#include "sip/header.def"
#undef SIP_HEADER
	0;
#undef ONCE
#undef SINGLE
#undef MULTI

/* All steps in their order, as sip_msg_check(). */
enum sip_error sip_check_general(struct sip_msg *msg, const char *buf);

enum sip_error sip_check_present(const struct sip_msg *msg);
enum sip_error sip_check_via(struct sip_msg *msg, const char *buf);
enum sip_error sip_check_cseq(struct sip_msg *msg, const char *buf);
enum sip_error sip_check_call_id(const struct sip_msg *msg, const char *buf);
enum sip_error sip_check_from(struct sip_msg *msg, const char *buf);
enum sip_error sip_check_to(struct sip_msg *msg, const char *buf);
enum sip_error sip_check_body(struct sip_msg *msg, const char *buf);
enum sip_error sip_check_max_forwards(struct sip_msg *msg, const char *buf);
enum sip_error sip_check_route(struct sip_msg *msg, const char *buf);
enum sip_error sip_check_record_route(const struct sip_msg *msg, const char *buf);
enum sip_error sip_check_contact(const struct sip_msg *msg, const char *buf);
enum sip_error sip_check_uri(struct sip_msg *msg, const char *buf);

/* Takes away what trails a body of that many bytes. */
static inline enum sip_error sip_check_body_length(struct sip_msg *msg, uint64_t said)
{
	if (said > msg->body_len)
		return SIP_ERROR_BODY_SHORT;
	msg->body_len = (uint32_t)said;
	msg->len = msg->body + msg->body_len;
	return SIP_OK;
}
