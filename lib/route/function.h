/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/* Inside lib/route: the functions behind the tables of the modules that this room brings, and what
 * several of them use. */
#include "route/value.h"

#define FUNCTION_RUN(name) int32_t name(struct route_ctx *ctx, const struct route_args *args)
#define FUNCTION_CHECK(name) \
	int name(void *room, const void *config, const struct route_arg *arg, unsigned n, \
		const struct route_place *place, struct route_report *report, void **data)

static inline int32_t truth(bool yes)
{
	return yes ? ROUTE_TRUE : ROUTE_FALSE;
}

/* ---- function_core.c ---- */
FUNCTION_RUN(run_sethost);
FUNCTION_RUN(run_sethostport);
FUNCTION_RUN(run_setport);
FUNCTION_RUN(run_setuser);
FUNCTION_RUN(run_setuserpass);
FUNCTION_RUN(run_seturi);
FUNCTION_RUN(run_reverturi);
FUNCTION_RUN(run_prefix);
FUNCTION_RUN(run_strip);
FUNCTION_RUN(run_strip_tail);
FUNCTION_CHECK(check_count);
FUNCTION_RUN(run_setdsturi);
FUNCTION_RUN(run_resetdsturi);
FUNCTION_RUN(run_isdsturiset);
FUNCTION_RUN(run_setflag);
FUNCTION_RUN(run_resetflag);
FUNCTION_RUN(run_isflagset);
FUNCTION_RUN(run_setbflag);
FUNCTION_RUN(run_resetbflag);
FUNCTION_RUN(run_isbflagset);
FUNCTION_CHECK(check_flag);

/* ---- function_uri.c: what OpenSER has in siputils and uri ---- */
FUNCTION_RUN(run_has_totag);
FUNCTION_RUN(run_uri_param);
FUNCTION_RUN(run_is_uri);
FUNCTION_RUN(run_is_tel_number);
FUNCTION_RUN(run_is_numeric);
FUNCTION_RUN(run_is_request);
FUNCTION_RUN(run_is_reply);
FUNCTION_RUN(run_cmp_uri);
FUNCTION_RUN(run_cmp_aor);
FUNCTION_RUN(run_cmp_hdr_name);
FUNCTION_RUN(run_is_e164);
FUNCTION_RUN(run_is_uri_user_e164);
FUNCTION_RUN(run_is_alphanum);
FUNCTION_RUN(run_is_alphanumex);
FUNCTION_RUN(run_is_supported);
FUNCTION_RUN(run_uri_param_any);
FUNCTION_RUN(run_add_uri_param);
FUNCTION_RUN(run_is_myself);

/* ---- function_header.c ---- */
FUNCTION_RUN(run_append_hf);
FUNCTION_RUN(run_insert_hf);
FUNCTION_CHECK(check_add_hf);
void free_add_hf(void *data);
FUNCTION_RUN(run_append_to_reply);
FUNCTION_RUN(run_append_time);
FUNCTION_RUN(run_append_time_to_request);
FUNCTION_RUN(run_remove_hf);
FUNCTION_CHECK(check_remove_hf);
FUNCTION_RUN(run_is_present_hf);
FUNCTION_CHECK(check_name);
FUNCTION_RUN(run_remove_hf_re);
FUNCTION_RUN(run_is_present_hf_re);

/* ---- function_textops.c ---- */
/* A list of methods as check_is_method() found it: known ones as bits, the others as the text that
 * they stand in. The VM looks at `known` itself where a request has a known method. */
struct methods {
	uint32_t known;
	bool others;
	struct str list; /* lives in the buffer behind */
	char text[];
};
FUNCTION_RUN(run_is_method);
FUNCTION_CHECK(check_is_method);
FUNCTION_RUN(run_has_body);
FUNCTION_CHECK(check_has_body);
FUNCTION_RUN(run_cmp_str);
FUNCTION_RUN(run_cmp_istr);
FUNCTION_RUN(run_starts_with);
FUNCTION_RUN(run_ends_with);
FUNCTION_RUN(run_str_find);
FUNCTION_RUN(run_str_ifind);
FUNCTION_RUN(run_is_privacy);
FUNCTION_CHECK(check_privacy);
FUNCTION_RUN(run_in_list);
FUNCTION_RUN(run_in_list_prefix);
FUNCTION_CHECK(check_in_list);

/* ---- contains.c ---- */
/* Whether the text has the part in it, which must not be empty, in time by the sum of their
 * lengths. */
bool text_contains(struct str text, struct str part, bool any_case);

/* ---- what tables have in common ---- */
#define RAW(n) (1u << (n))
#define REWRITE_IN (ROUTE_IN_REQUEST | ROUTE_IN_FAILURE | ROUTE_IN_BRANCH)

/* In the core too: the one question of textops that hardly any script does without. */
#define IS_METHOD \
	{ \
		.name = "is_method", .args_min = 1, .args_max = 1, .in = ROUTE_IN_ANY, \
		.run = run_is_method, .check = check_is_method, .free_data = free, \
		.usage = "is_method(\"INVITE|ACK\")", \
		.help = "True where the method is among those named; of a reply that of CSeq." \
	}

/* ---- function_search.c: patterns on the message ---- */
FUNCTION_RUN(run_search);
FUNCTION_RUN(run_search_body);
FUNCTION_RUN(run_search_append);
FUNCTION_RUN(run_search_append_body);
FUNCTION_RUN(run_search_str);
FUNCTION_RUN(run_search_hf);
FUNCTION_RUN(run_replace_hdrs);
FUNCTION_RUN(run_append_urihf);
FUNCTION_RUN(run_remove_hf_idx);
FUNCTION_RUN(run_remove_hf_exp);
FUNCTION_RUN(run_subst_hf);
FUNCTION_CHECK(check_pattern_whole);
FUNCTION_CHECK(check_search_str);
FUNCTION_CHECK(check_search_hf);
FUNCTION_CHECK(check_name_patterns);
FUNCTION_CHECK(check_subst_hf);
void free_name_patterns(void *data);
/* remove_hf_exp(): which names, but not those. */
struct name_patterns {
	struct route_regex *match, *skip;
};
/* The headers of a name, one after the other: all ('a'), the first ('f') or the last ('l'). NULL
 * behind the last. */
struct header_walk {
	char which;
	unsigned next;
};
const struct sip_header *header_walk(
	const struct route_ctx *ctx, struct str name, struct header_walk *walk);
/* The argument that says so, 0 after an error. */
char check_which(const struct route_arg *arg, struct route_report *report);
FUNCTION_RUN(run_replace);
FUNCTION_RUN(run_replace_all);
FUNCTION_RUN(run_replace_body);
FUNCTION_RUN(run_replace_body_all);
FUNCTION_CHECK(check_pattern);
void free_pattern(void *data);
/* For patterns that are held against a header name: data is the struct route_regex itself. */
FUNCTION_CHECK(check_name_pattern);
void free_name_pattern(void *data);

/* ---- function_subst.c: "/pattern/replacement/flags" ---- */
FUNCTION_RUN(run_subst);
FUNCTION_RUN(run_subst_body);
FUNCTION_RUN(run_subst_uri);
FUNCTION_RUN(run_subst_user);
FUNCTION_CHECK(check_subst);
void free_subst(void *data);
/* Makes `in` with its matches replaced, in the arena, as the data of check_subst() says. False
 * where none matched, or it cannot be. */
struct subst;
bool subst_text(struct route_ctx *ctx, const struct subst *s, struct str in, struct str *out);

/* ---- function_xlog.c ---- */
FUNCTION_RUN(run_log);
FUNCTION_CHECK(check_log);
void free_log(void *data);

/* ---- edit.c ---- */

/*
 * Replaces `old`, which lies in the message, by `text`, and keeps Content-Length true. False where
 * that would overlap an earlier change, reach over the end of the headers, or find no room.
 */
bool edit_text(struct route_ctx *ctx, struct str old, struct str text);
/* Whether no byte of text ends a line. */
bool text_stays_in_line(struct str text);
/* Whether text is one or more whole header lines, each ended by CRLF but perhaps the last (RFC
 * 3261 7.3, 25.1). */
bool header_lines_are_whole(struct str text);
