/* SPDX-License-Identifier: BSD-3-Clause */
#include "sip/name.h"

#include <stdlib.h>

_Static_assert(SIP_HEADER_COUNT <= 64, "sip_msg.present has 64 bits");
_Static_assert(SIP_HEADER_COUNT <= SIP_HEADER_SLOTS, "sip_msg.first has a slot for each");

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
struct sip_method_table sip_method_table;

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

/* A name of at most SIP_NAME_KNOWN_MAX bytes, with zeros behind it. */
struct padded {
	_Alignas(16) char text[32];
};

static struct padded pad(struct str name)
{
	struct padded padded = {{0}};

	memcpy(padded.text, name.s, name.len);
	return padded;
}

static uint64_t first_word(const struct padded *name)
{
	uint64_t first;

	memcpy(&first, name->text, sizeof(first));
	return first;
}

enum sip_method sip_method_of(struct str token)
{
	struct padded padded;

	if (token.len == 0 || token.len >= SIP_NAME_SHORT)
		return token.len == 0 ? SIP_METHOD_NONE : SIP_METHOD_OTHER;
	padded = pad(token);
	return sip_method_short(_mm_load_si128((const __m128i *)padded.text), token.len);
}

enum sip_header_id sip_header_of(struct str name)
{
	struct padded padded;
	const struct sip_name *known;

	if (name.len == 0 || name.len > SIP_NAME_KNOWN_MAX)
		return SIP_HEADER_OTHER;
	padded = pad(name);
	for (unsigned i = 0; i < sizeof(padded.text); i += 8) {
		uint64_t word;

		memcpy(&word, padded.text + i, 8);
		word = str_lower8(word);
		memcpy(padded.text + i, &word, 8);
	}
	known = sip_name_slot(first_word(&padded), name.len, sip_name_table.multiplier);
	return memcmp(padded.text, known->text, sizeof(known->text)) == 0
		       ? (enum sip_header_id)known->id
		       : SIP_HEADER_OTHER;
}

struct str sip_header_name(enum sip_header_id id)
{
	if ((unsigned)id >= SIP_HEADER_COUNT || headers[id].name.s == NULL)
		return STR("");
	return headers[id].name;
}

/* Puts a name in its slot; false where that is taken. */
static bool place(struct str name, unsigned id, uint64_t multiplier)
{
	struct padded padded = pad(name);
	struct sip_name *known;

	str_lower(padded.text, name);
	known = sip_name_slot(first_word(&padded), name.len, multiplier);
	if (known->len != 0)
		return false;
	memcpy(known->text, padded.text, sizeof(known->text));
	known->len = (uint8_t)name.len;
	known->id = (uint8_t)id;
	return true;
}

static bool place_all(uint64_t multiplier)
{
	memset(sip_name_table.slot, 0, sizeof(sip_name_table.slot));
	for (unsigned i = 0; i < 1U << SIP_NAME_BITS; i++)
		memset(sip_name_table.slot[i].text, SIP_NAME_FREE, SIP_NAME_KNOWN_MAX);
	for (unsigned id = 1; id < SIP_HEADER_COUNT; id++) {
		struct str compact = {&headers[id].compact, 1};

		if (headers[id].name.len > SIP_NAME_KNOWN_MAX ||
			!place(headers[id].name, id, multiplier))
			return false;
		if (headers[id].compact != 0 && !place(compact, id, multiplier))
			return false;
	}
	sip_name_table.multiplier = multiplier;
	return true;
}

static bool place_methods(uint64_t multiplier)
{
	struct sip_method_table *t = &sip_method_table;

	memset(t->name, 0, sizeof(t->name));
	memset(t->id, SIP_METHOD_OTHER, sizeof(t->id));
	for (unsigned id = 1; id < SIP_METHOD_OTHER; id++) {
		struct padded padded = pad(methods[id]);
		unsigned slot = sip_method_slot(first_word(&padded), methods[id].len, multiplier);

		if (methods[id].len >= SIP_NAME_SHORT || t->id[slot] != SIP_METHOD_OTHER)
			return false;
		t->id[slot] = (uint8_t)id;
		memcpy(t->name[slot], padded.text, SIP_METHOD_KNOWN_MAX);
	}
	t->multiplier = multiplier;
	return true;
}

/* The first multiplier of a fixed sequence under which no two names share a slot. */
static void find_multiplier(bool (*place_with)(uint64_t multiplier))
{
	uint64_t multiplier = 0x9e3779b97f4a7c15ULL;

	for (unsigned tries = 0; tries < 1000000; tries++) {
		if (place_with(multiplier))
			return;
		multiplier = (multiplier * 6364136223846793005ULL + 1442695040888963407ULL) | 1;
	}
	abort();
}

/* Before main(). */
__attribute__((constructor)) static void build_tables(void)
{
	for (unsigned n = 0; n < SIP_NAME_SHORT; n++)
		memset(sip_name_table.cut[n], 0xff, n);
	find_multiplier(place_all);
	find_multiplier(place_methods);
}
