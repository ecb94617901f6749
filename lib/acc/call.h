/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/* The table of a shard's calls (call_table.c), for call.c. The shard's thread only. */
#include "acc/internal.h"

#define ACC_NO_CALL UINT32_MAX

struct acc_call {
	uint64_t key, sibling;
	uint64_t start_ns, expires_ns;
	uint64_t extras; /* digest of the list that its extra fields are of */
	uint32_t text;   /* in the arena */
	uint32_t older, newer;
	bool is_sibling; /* it stands in the index by `sibling`, too */
	bool ended;
};

/* What its record will say: extra fields stand behind FIXED. */
enum { CALL_ID, FROM_TAG, TO_TAG, CALLER, CALLEE, FIXED };

struct acc_call_values {
	unsigned count;
	uint64_t extras; /* digest of the list that those behind FIXED are of */
	struct acc_value v[FIXED + ACC_FIELDS_MAX];
};

/* What a call is known by, whichever side says it; and by what those of one INVITE are. */
uint64_t acc_calls_key(const struct acc *a, struct str call_id, struct str one, struct str other);
uint64_t acc_calls_sibling(const struct acc *a, struct str call_id, struct str from_tag);
/* The call, be it one that has ended, with its values in the table's scratch; ACC_NO_CALL. */
uint32_t acc_calls_find(struct acc *a, struct acc_calls *c, struct str call_id, struct str one,
	struct str other, struct acc_call_values *out);
/* A call of the same INVITE. */
uint32_t acc_calls_find_sibling(struct acc *a, struct acc_calls *c, struct str call_id,
	struct str from_tag, struct acc_call_values *out);
/* The values of a call, which stand in the scratch then. */
bool acc_calls_unpack(
	struct acc_calls *c, const struct acc_call *call, struct acc_call_values *out);

/* Puts a call there, as the newest. The values do not stand in the scratch. 0, -ENOSPC, or -E2BIG:
 * there never is room for it. */
int acc_calls_add(
	struct acc_shard *sh, const struct acc_call *call, const struct acc_call_values *v);
/* It has ended, and is forgotten when no copy of its 2xx comes any more. */
void acc_calls_keep_ended(struct acc_shard *sh, uint32_t n, uint64_t now_ns);
void acc_calls_forget(struct acc_shard *sh, uint32_t n);
