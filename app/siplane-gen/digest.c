/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The answer to a digest challenge (RFC 7616 3.4, RFC 3261 22.4).
 */
#include <openssl/evp.h>
#include <stdarg.h>

#include "internal.h"

#define HASH_MAX EVP_MAX_MD_SIZE
#define HEX_MAX (2 * HASH_MAX)

struct algorithm {
	const char *name;   /* in the challenge, any case */
	const char *digest; /* OpenSSL's */
	bool session;
};

static const struct algorithm algorithms[] = {
	{"MD5", "MD5", false},
	{"MD5-sess", "MD5", true},
	{"SHA-256", "SHA256", false},
	{"SHA-256-sess", "SHA256", true},
	{"SHA-512-256", "SHA512-256", false},
	{"SHA-512-256-sess", "SHA512-256", true},
};

/* Parameters of a challenge or of credentials. */
struct challenge {
	struct str realm, nonce, opaque; /* without quotes, escapes kept */
	struct str user, uri, response, cnonce, count;
	const struct algorithm *algorithm;
	bool has_opaque, qop, stale;
};

static struct str unquote(struct str v)
{
	if (v.len >= 2 && v.s[0] == '"' && v.s[v.len - 1] == '"')
		return str_of(v.s + 1, v.len - 2);
	return v;
}

/* Whether a list of tokens ("auth,auth-int") holds `auth`. */
static bool offers_auth(struct str list)
{
	while (list.len > 0) {
		int64_t comma = str_find(list, ',');
		uint32_t n = comma >= 0 ? (uint32_t)comma : list.len;

		if (str_ieq(str_trim(str_of(list.s, n)), STR("auth")))
			return true;
		n = comma >= 0 ? n + 1 : n;
		list = str_of(list.s + n, list.len - n);
	}
	return false;
}

static bool read_challenge(struct str text, struct challenge *c)
{
	struct sip_span list, value;
	bool has_nonce = false, has_qop = false;
	uint32_t at = 0;

	*c = (struct challenge){.algorithm = &algorithms[0]};
	if (!str_istarts(text, STR("Digest")) || text.len < 7 || !str_is_lws(text.s[6]))
		return false;
	list = (struct sip_span){6, text.len - 6};
	while (sip_list_next(text.s, list, &at, &value)) {
		struct str part = str_trim(sip_text(text.s, value)), name, v;
		int64_t equals = str_find(part, '=');

		if (equals < 0)
			return false;
		name = str_trim(str_of(part.s, (uint32_t)equals));
		v = str_trim(str_of(part.s + equals + 1, part.len - (uint32_t)equals - 1));
		if (str_ieq(name, STR("realm"))) {
			c->realm = unquote(v);
		} else if (str_ieq(name, STR("nonce"))) {
			c->nonce = unquote(v);
			has_nonce = true;
		} else if (str_ieq(name, STR("username"))) {
			c->user = unquote(v);
		} else if (str_ieq(name, STR("uri"))) {
			c->uri = unquote(v);
		} else if (str_ieq(name, STR("response"))) {
			c->response = unquote(v);
		} else if (str_ieq(name, STR("cnonce"))) {
			c->cnonce = unquote(v);
		} else if (str_ieq(name, STR("nc"))) {
			c->count = v;
		} else if (str_ieq(name, STR("opaque"))) {
			c->opaque = unquote(v);
			c->has_opaque = true;
		} else if (str_ieq(name, STR("stale"))) {
			c->stale = str_ieq(unquote(v), STR("true"));
		} else if (str_ieq(name, STR("qop"))) {
			has_qop = true;
			c->qop = offers_auth(unquote(v));
		} else if (str_ieq(name, STR("algorithm"))) {
			c->algorithm = NULL;
			for (unsigned i = 0; i < sizeof(algorithms) / sizeof(algorithms[0]); i++)
				if (str_ieq(unquote(v), str_c(algorithms[i].name)))
					c->algorithm = &algorithms[i];
		}
	}
	return has_nonce && c->algorithm != NULL && (!has_qop || c->qop);
}

bool digest_known(struct str challenge)
{
	struct challenge c;

	return read_challenge(challenge, &c);
}

bool digest_anew(struct str before, struct str challenge)
{
	struct challenge old, now;

	return !read_challenge(before, &old) ||
	       (read_challenge(challenge, &now) && (now.stale || !str_eq(old.realm, now.realm)));
}

/* Hash of parts joined by colons, in hexadecimal. */
static bool hash_hex(
	const struct algorithm *a, char out[HEX_MAX + 1], unsigned parts, const struct str *part)
{
	uint8_t sum[HASH_MAX];
	unsigned n = 0;
	EVP_MD *md = EVP_MD_fetch(NULL, a->digest, NULL);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool good = md != NULL && ctx != NULL && EVP_DigestInit_ex(ctx, md, NULL) == 1;

	for (unsigned i = 0; good && i < parts; i++) {
		good = i == 0 || EVP_DigestUpdate(ctx, ":", 1) == 1;
		good = good && EVP_DigestUpdate(ctx, part[i].s, part[i].len) == 1;
	}
	good = good && EVP_DigestFinal_ex(ctx, sum, &n) == 1;
	for (unsigned i = 0; good && i < n; i++)
		snprintf(out + 2 * i, 3, "%02x", sum[i]);
	EVP_MD_CTX_free(ctx);
	EVP_MD_free(md);
	return good;
}

static bool respond(const struct digest *d, const struct challenge *c, struct str cnonce,
	struct str count, char response[HEX_MAX + 1])
{
	const struct algorithm *a = c->algorithm;
	char ha1[HEX_MAX + 1], ha2[HEX_MAX + 1];

	if (!hash_hex(a, ha1, 3, (const struct str[]){d->user, c->realm, d->password}))
		return false;
	if (a->session) {
		char secret[HEX_MAX + 1];

		memcpy(secret, ha1, sizeof(secret));
		if (!hash_hex(a, ha1, 3, (const struct str[]){str_c(secret), c->nonce, cnonce}))
			return false;
	}
	if (!hash_hex(a, ha2, 2, (const struct str[]){d->method, d->uri}))
		return false;
	if (c->qop)
		return hash_hex(a, response, 6,
			(const struct str[]){
				str_c(ha1), c->nonce, count, cnonce, STR("auth"), str_c(ha2)});
	return hash_hex(a, response, 3, (const struct str[]){str_c(ha1), c->nonce, str_c(ha2)});
}

bool digest_verify(struct str credentials, struct str method, struct str password, struct str nonce)
{
	struct challenge c;
	struct digest d = {.method = method, .password = password};
	char response[HEX_MAX + 1];

	if (!read_challenge(credentials, &c) || !str_eq(c.nonce, nonce))
		return false;
	d.user = c.user;
	d.uri = c.uri;
	return respond(&d, &c, c.cnonce, c.count, response) && str_eq(c.response, str_c(response));
}

struct writer {
	char *out;
	uint32_t len, room;
	bool full;
};

static void put(struct writer *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void put(struct writer *w, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(w->out + w->len, w->room - w->len, fmt, ap);
	va_end(ap);
	if (n < 0 || (uint32_t)n >= w->room - w->len)
		w->full = true;
	else
		w->len += (uint32_t)n;
}

uint32_t digest_answer(const struct digest *d, char *out, uint32_t room)
{
	struct writer w = {.out = out, .room = room};
	char response[HEX_MAX + 1], cnonce[17], count[9];
	struct challenge c;

	snprintf(cnonce, sizeof(cnonce), "%016llx", (unsigned long long)d->cnonce);
	snprintf(count, sizeof(count), "%08x", d->count);
	if (room == 0 || !read_challenge(d->challenge, &c) ||
		!respond(d, &c, str_c(cnonce), str_c(count), response))
		return 0;
	put(&w,
		"%s: Digest "
		"username=\"%.*s\",realm=\"%.*s\",nonce=\"%.*s\",uri=\"%.*s\",response=\"%s\","
		"algorithm=%s",
		d->proxy ? "Proxy-Authorization" : "Authorization", STR_FMT(d->user),
		STR_FMT(c.realm), STR_FMT(c.nonce), STR_FMT(d->uri), response, c.algorithm->name);
	if (c.qop)
		put(&w, ",qop=auth,nc=%s,cnonce=\"%s\"", count, cnonce);
	else if (c.algorithm->session)
		put(&w, ",cnonce=\"%s\"", cnonce);
	if (c.has_opaque)
		put(&w, ",opaque=\"%.*s\"", STR_FMT(c.opaque));
	put(&w, "\r\n");
	return w.full ? 0 : w.len;
}
