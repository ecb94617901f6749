/* SPDX-License-Identifier: BSD-3-Clause */
/* Keep-alives (RFC 5626 4.4) and STUN binding requests (RFC 5389), answered where they are
 * received. */
#include "proxy/internal.h"

#define STUN_HEADER_LEN 20
#define STUN_BINDING_REQUEST 0x0001
#define STUN_BINDING_INDICATION 0x0011
#define STUN_BINDING_SUCCESS 0x0101
#define STUN_BINDING_ERROR 0x0111
#define STUN_LEN_MAX 1280 /* what needs no fragments; bounds the work of the checksum */
#define STUN_COOKIE 0x2112a442u
#define STUN_ERROR_CODE 0x0009
#define STUN_UNKNOWN_ATTRIBUTES 0x000a
#define STUN_XOR_MAPPED_ADDRESS 0x0020
#define STUN_FINGERPRINT 0x8028
#define STUN_FINGERPRINT_XOR 0x5354554eu
#define STUN_UNKNOWN_MAX 8 /* attributes named in a 420 */

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)get16(p) << 16 | get16(p + 2);
}

static uint8_t *put16(uint8_t *p, unsigned v)
{
	*p++ = (uint8_t)(v >> 8);
	*p++ = (uint8_t)v;
	return p;
}

static uint8_t *put32(uint8_t *p, uint32_t v)
{
	return put16(put16(p, v >> 16), v & 0xffff);
}

/* ITU-T V.42, as RFC 5389 15.5 wants it. */
static uint32_t crc32(const uint8_t *p, uint32_t len)
{
	uint32_t crc = ~0u;

	while (len-- > 0) {
		crc ^= *p++;
		for (int i = 0; i < 8; i++)
			crc = crc >> 1 ^ (0xedb88320u & (0u - (crc & 1)));
	}
	return ~crc;
}

struct stun {
	bool fingerprint;
	unsigned unknown_count;
	uint16_t unknown[STUN_UNKNOWN_MAX];
};

/* Below 0x8000 an attribute has to be understood; those of RFC 5389 and of ICE mean nothing without
 * credentials. */
static bool is_known(uint16_t type)
{
	return type >= 0x8000 || type == 0x0001 || (type >= 0x0006 && type <= 0x000a) ||
	       type == 0x0014 || type == 0x0015 || type == 0x0020 || type == 0x0024 ||
	       type == 0x0025;
}

static bool stun_parse(const uint8_t *p, uint32_t len, struct stun *out)
{
	uint32_t at = STUN_HEADER_LEN;

	memset(out, 0, sizeof(*out));
	if (len < STUN_HEADER_LEN || len > STUN_LEN_MAX || get32(p + 4) != STUN_COOKIE ||
		get16(p + 2) != len - STUN_HEADER_LEN || len % 4 != 0)
		return false;
	while (at < len) {
		uint16_t type = get16(p + at), size = get16(p + at + 2);
		uint32_t padded = (size + 3u) & ~3u;

		if (out->fingerprint || len - at - 4 < padded)
			return false;
		if (type == STUN_FINGERPRINT) {
			if (size != 4 || (crc32(p, at) ^ STUN_FINGERPRINT_XOR) != get32(p + at + 4))
				return false;
			out->fingerprint = true;
		} else if (!is_known(type) && out->unknown_count < STUN_UNKNOWN_MAX) {
			out->unknown[out->unknown_count++] = type;
		}
		at += 4 + padded;
	}
	return true;
}

static uint8_t *put_mapped(uint8_t *at, const struct net_endpoint *src, const uint8_t *header)
{
	unsigned len = src->addr.family == 4 ? 4 : 16;

	at = put16(at, STUN_XOR_MAPPED_ADDRESS);
	at = put16(at, 4 + len);
	*at++ = 0;
	*at++ = src->addr.family == 4 ? 1 : 2;
	at = put16(at, src->port ^ (STUN_COOKIE >> 16));
	/* The cookie and the transaction id stand one behind the other. */
	for (unsigned i = 0; i < len; i++)
		*at++ = src->addr.b[i] ^ header[4 + i];
	return at;
}

static uint8_t *put_unknown(uint8_t *at, const struct stun *stun)
{
	at = put16(at, STUN_ERROR_CODE);
	at = put16(at, 4);
	at = put32(at, 4 << 8 | 20);
	at = put16(at, STUN_UNKNOWN_ATTRIBUTES);
	at = put16(at, 2 * stun->unknown_count);
	for (unsigned i = 0; i < stun->unknown_count; i++)
		at = put16(at, stun->unknown[i]);
	if (stun->unknown_count % 2 != 0)
		at = put16(at, 0);
	return at;
}

static int stun_answer(const struct net_endpoint *src, const uint8_t *request,
	const struct stun *stun, uint8_t *out)
{
	uint8_t *at = out + STUN_HEADER_LEN;

	put16(out, stun->unknown_count != 0 ? STUN_BINDING_ERROR : STUN_BINDING_SUCCESS);
	memcpy(out + 4, request + 4, 16);
	at = stun->unknown_count != 0 ? put_unknown(at, stun) : put_mapped(at, src, request);
	put16(out + 2, (unsigned)(at - out) - STUN_HEADER_LEN + (stun->fingerprint ? 8 : 0));
	if (stun->fingerprint) {
		uint32_t crc = crc32(out, (uint32_t)(at - out)) ^ STUN_FINGERPRINT_XOR;

		at = put16(at, STUN_FINGERPRINT);
		at = put16(at, 4);
		at = put32(at, crc);
	}
	return (int)(at - out);
}

int proxy_keepalive(const struct net_endpoint *src, const char *buf, uint32_t len, char *out)
{
	const uint8_t *p = (const uint8_t *)buf;
	struct stun stun;

	if (len == 4 && memcmp(buf, "\r\n\r\n", 4) == 0) {
		memcpy(out, "\r\n", 2);
		return 2;
	}
	/* A pong, and the empty datagrams and zeros that keep a NAT's binding. */
	if (len == 0 || (len == 2 && memcmp(buf, "\r\n", 2) == 0) ||
		(len == 4 && memcmp(buf, "\0\0\0\0", 4) == 0))
		return 0;
	if (!stun_parse(p, len, &stun))
		return -1;
	if (get16(p) == STUN_BINDING_INDICATION)
		return 0;
	return get16(p) == STUN_BINDING_REQUEST ? stun_answer(src, p, &stun, (uint8_t *)out) : -1;
}
