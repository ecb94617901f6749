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
#define SIP_ERROR(id, counter, status, reason)                                                     \
	[SIP_ERROR_##id] = {counter, {reason, sizeof(reason) - 1}, status},
#include "sip/error.def"
#undef SIP_ERROR
};

struct sip_name_table sip_name_table;

const uint8_t sip_name_cut[48] = {[0 ... 15] = 0xff};

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
#define SIP_METHOD(id, text)                                                                       \
	if (token.len == sizeof(text) - 1 && memcmp(token.s, text, sizeof(text) - 1) == 0)         \
		return SIP_METHOD_##id;
#include "sip/method.def"
#undef SIP_METHOD
	return token.len == 0 ? SIP_METHOD_NONE : SIP_METHOD_OTHER;
}

static void load_name(struct str name, __m128i *low, __m128i *high)
{
	char text[SIP_NAME_KNOWN_MAX] = {0};

	memcpy(text, name.s, name.len);
	*low = _mm_loadu_si128((const __m128i *)text);
	*high = _mm_loadu_si128((const __m128i *)(text + 16));
}

enum sip_header_id sip_header_of(struct str name)
{
	__m128i low, high;

	if (name.len == 0 || name.len > SIP_NAME_KNOWN_MAX)
		return SIP_HEADER_OTHER;
	load_name(name, &low, &high);
	return sip_name_classify(low, high, name.len);
}

struct str sip_header_name(enum sip_header_id id)
{
	if ((unsigned)id >= SIP_HEADER_COUNT || headers[id].name.s == NULL)
		return STR("");
	return headers[id].name;
}

static unsigned add_entry(unsigned count, struct str name, unsigned id)
{
	struct sip_name_entry *entry = &sip_name_table.entry[count];

	if (name.len > SIP_NAME_KNOWN_MAX)
		abort();
	load_name(name, &entry->low, &entry->high);
	sip_name_prepare(&entry->low, &entry->high, name.len);
	entry->len = name.len;
	entry->id = (uint8_t)id;
	return count + 1;
}

/* Puts all entries in their slots; false where two want the same one. */
static bool place_entries(unsigned count, uint64_t multiplier)
{
	memset(sip_name_table.slot, 0, sizeof(sip_name_table.slot));
	for (unsigned i = 1; i < count; i++) {
		const struct sip_name_entry *entry = &sip_name_table.entry[i];
		unsigned at = sip_name_hash(entry->low, entry->high, multiplier);

		if (sip_name_table.slot[at] != 0)
			return false;
		sip_name_table.slot[at] = (uint8_t)i;
	}
	return true;
}

/* Before main(): the entries, and the first multiplier of a fixed sequence under which no two share a slot. */
__attribute__((constructor)) static void build_table(void)
{
	uint64_t multiplier = 0x9e3779b97f4a7c15ULL;
	unsigned count = 1; /* entry 0 equals no name */

	for (unsigned id = 1; id < SIP_HEADER_COUNT; id++) {
		count = add_entry(count, headers[id].name, id);
		if (headers[id].compact != 0)
			count = add_entry(count, (struct str){&headers[id].compact, 1}, id);
	}
	for (unsigned tries = 0; tries < 1000000; tries++) {
		if (place_entries(count, multiplier)) {
			sip_name_table.multiplier = multiplier;
			return;
		}
		multiplier = multiplier * 6364136223846793005ULL + 1442695040888963407ULL;
		multiplier |= 1;
	}
	abort();
}
