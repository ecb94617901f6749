/* SPDX-License-Identifier: BSD-3-Clause */
#include "sip/name.h"

#include <stdlib.h>

_Static_assert(SIP_HEADER_COUNT <= 64, "sip_msg.present has 64 bits");
_Static_assert(SIP_NAME_ENTRIES_MAX <= 255, "sip_name_table.slot holds 8 bits");

static const struct {
	struct str name;
	char compact;
} headers[SIP_HEADER_COUNT] = {
#define SIP_HEADER(id, text, letter, rule) [SIP_HEADER_##id] = {{text, sizeof(text) - 1}, letter},
#include "sip/header.def"
#undef SIP_HEADER
};

static const struct str methods[SIP_METHOD_COUNT] = {
#define SIP_METHOD(id, text) [SIP_METHOD_##id] = {text, sizeof(text) - 1},
#include "sip/method.def"
#undef SIP_METHOD
};

static const struct {
	const char *counter;
	struct str reason;
	uint16_t status;
} errors[SIP_ERROR_COUNT] = {
	[SIP_OK] = {"ok", {"OK", 2}, 200},
#define SIP_ERROR(id, counter, status, reason) \
	[SIP_ERROR_##id] = {counter, {reason, sizeof(reason) - 1}, status},
#include "sip/error.def"
#undef SIP_ERROR
};

struct sip_name_table sip_name_table;

const uint8_t sip_name_behind[SIP_NAME_KNOWN_MAX + 1] = {0, 56, 48, 40, 32, 24, 16, 8};

const char *sip_error_name(enum sip_error error)
{
	return (unsigned)error < SIP_ERROR_COUNT ? errors[error].counter : "unknown";
}

uint16_t sip_error_status(enum sip_error error)
{
	return (unsigned)error < SIP_ERROR_COUNT ? errors[error].status : 500;
}

struct str sip_error_reason(enum sip_error error)
{
	return (unsigned)error < SIP_ERROR_COUNT ? errors[error].reason : STR("Internal Error");
}

struct str sip_method_name(enum sip_method method)
{
	if ((unsigned)method >= SIP_METHOD_COUNT || methods[method].s == NULL)
		return STR("");
	return methods[method];
}

enum sip_method sip_method_of(struct str token)
{
#define SIP_METHOD(id, text) \
	if (token.len == sizeof(text) - 1 && memcmp(token.s, text, sizeof(text) - 1) == 0) \
		return SIP_METHOD_##id;
#include "sip/method.def"
#undef SIP_METHOD
	return token.len == 0 ? SIP_METHOD_NONE : SIP_METHOD_OTHER;
}

/* Copies a name of at most SIP_NAME_KNOWN_MAX bytes to where a whole vector can be loaded. */
static void load_name(struct str name, __m128i text[2])
{
	char copy[SIP_NAME_KNOWN_MAX] = {0};

	memcpy(copy, name.s, name.len);
	text[0] = _mm_loadu_si128((const __m128i *)copy);
	text[1] = _mm_loadu_si128((const __m128i *)(copy + 16));
}

enum sip_header_id sip_header_of(struct str name)
{
	__m128i text[2];

	if (name.len == 0 || name.len > SIP_NAME_KNOWN_MAX)
		return SIP_HEADER_OTHER;
	load_name(name, text);
	if (name.len <= SIP_NAME_SHORT)
		return sip_name_short(text[0], name.len);

	const struct sip_name_slot *slot = &sip_name_table.slot[sip_name_hash(
		(uint64_t)_mm_cvtsi128_si64(text[0]), name.len, sip_name_table.multiplier)];
	const struct sip_name_entry *entry = &sip_name_table.entry[slot->entry];
	__m128i differs = _mm_or_si128(
		sip_name_differs(entry, 0, text[0]), sip_name_differs(entry, 1, text[1]));

	return slot->len == name.len && _mm_testz_si128(differs, differs)
		       ? (enum sip_header_id)slot->id
		       : SIP_HEADER_OTHER;
}

struct str sip_header_name(enum sip_header_id id)
{
	if ((unsigned)id >= SIP_HEADER_COUNT || headers[id].name.s == NULL)
		return STR("");
	return headers[id].name;
}

static void make_entry(struct sip_name_entry *entry, struct str name)
{
	char mask[SIP_NAME_KNOWN_MAX] = {0};

	for (uint32_t i = 0; i < name.len; i++)
		mask[i] = str_is_alpha(name.s[i]) ? (char)~0x20 : (char)0xff;
	load_name(name, entry->text);
	entry->mask[0] = _mm_loadu_si128((const __m128i *)mask);
	entry->mask[1] = _mm_loadu_si128((const __m128i *)(mask + 16));
}

/* Puts a name in its slot; false where that is taken. */
static bool place(struct str name, unsigned id, unsigned entry, uint64_t multiplier)
{
	__m128i text[2];

	load_name(name, text);

	struct sip_name_slot *slot = &sip_name_table.slot[sip_name_hash(
		(uint64_t)_mm_cvtsi128_si64(text[0]), name.len, multiplier)];

	if (slot->len != 0)
		return false;
	*slot = (struct sip_name_slot){(uint8_t)entry, (uint8_t)name.len, (uint8_t)id, 0};
	make_entry(&sip_name_table.entry[entry], name);
	return true;
}

static bool place_all(uint64_t multiplier)
{
	unsigned entry = 0;

	memset(sip_name_table.slot, 0, sizeof(sip_name_table.slot));
	for (unsigned id = 1; id < SIP_HEADER_COUNT; id++) {
		struct str compact = {&headers[id].compact, 1};

		if (headers[id].name.len > SIP_NAME_KNOWN_MAX ||
			!place(headers[id].name, id, entry++, multiplier))
			return false;
		if (headers[id].compact != 0 && !place(compact, id, entry++, multiplier))
			return false;
	}
	return true;
}

/* Before main(): the first multiplier of a fixed sequence under which no two names share a slot. */
__attribute__((constructor)) static void build_table(void)
{
	uint64_t multiplier = 0x9e3779b97f4a7c15ULL;

	for (unsigned tries = 0; tries < 1000000; tries++) {
		if (place_all(multiplier)) {
			sip_name_table.multiplier = multiplier;
			return;
		}
		multiplier = (multiplier * 6364136223846793005ULL + 1442695040888963407ULL) | 1;
	}
	abort();
}
