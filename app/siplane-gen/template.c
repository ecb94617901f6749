/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The field engine: a message becomes a list of "copy this" and "put that field here". Whatever is
 * the same for all messages of a run is part of the copies.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <tmmintrin.h>

#include "internal.h"

static const struct {
	const char *name;
	uint32_t most;
} fields[FIELD_COUNT] = {
#define FIELD(id, field_name, bytes, text) [FIELD_##id] = {field_name, bytes},
	FIELDS(FIELD)
#undef FIELD
};

struct compiler {
	const struct scenario *s;
	const struct scenario_message *m;
	const struct bind *bind;
	struct template *t;
	uint32_t text_len, text_room;
	char *error;
	size_t error_size;
	bool in_variable;
};

/* ---- hexadecimal, 16 digits at a time (SSSE3) ---- */

void template_hex16(char *out, uint64_t v)
{
	const __m128i digits = _mm_setr_epi8(
		'0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f');
	__m128i bytes = _mm_cvtsi64_si128((long long)__builtin_bswap64(v));
	__m128i high = _mm_and_si128(_mm_srli_epi64(bytes, 4), _mm_set1_epi8(15));
	__m128i low = _mm_and_si128(bytes, _mm_set1_epi8(15));

	_mm_storeu_si128(
		(__m128i *)(void *)out, _mm_shuffle_epi8(digits, _mm_unpacklo_epi8(high, low)));
}

bool template_unhex16(const char *in, uint64_t *v)
{
	__m128i text = _mm_loadu_si128((const __m128i *)(const void *)in);
	__m128i digit = _mm_sub_epi8(text, _mm_set1_epi8('0'));
	__m128i letter = _mm_sub_epi8(text, _mm_set1_epi8('a'));
	__m128i is_digit = _mm_cmpeq_epi8(_mm_min_epu8(digit, _mm_set1_epi8(9)), digit);
	__m128i is_letter = _mm_cmpeq_epi8(_mm_min_epu8(letter, _mm_set1_epi8(5)), letter);
	__m128i nibble = _mm_or_si128(_mm_and_si128(is_digit, digit),
		_mm_and_si128(is_letter, _mm_add_epi8(letter, _mm_set1_epi8(10))));
	/* Of each pair, the first times 16 and the second. */
	__m128i pair = _mm_maddubs_epi16(nibble, _mm_set1_epi16(0x0110));

	*v = __builtin_bswap64((uint64_t)_mm_cvtsi128_si64(_mm_packus_epi16(pair, pair)));
	return _mm_movemask_epi8(_mm_or_si128(is_digit, is_letter)) == 0xffff;
}

/* Decimal with leading zeros. */
static void put_digits(char *out, uint64_t v, unsigned digits)
{
	while (digits-- > 0) {
		out[digits] = (char)('0' + v % 10);
		v /= 10;
	}
}

/* ---- compile ---- */

static int compile_error(struct compiler *c, uint32_t at, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static int compile_error(struct compiler *c, uint32_t at, const char *fmt, ...)
{
	struct str text = str_of(c->m->text, c->m->len);
	unsigned line = c->m->line;
	uint32_t begin = 0, end;
	char what[256];
	va_list ap;

	for (uint32_t i = 0; i < at && i < text.len; i++)
		if (text.s[i] == '\n') {
			line++;
			begin = i + 1;
		}
	for (end = begin; end < text.len && end - begin < 160 && text.s[end] != '\r'; end++)
		;
	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	/* A value of the command line stands in no file. */
	if (c->m->line == 0)
		return gen_fail(c->error, c->error_size, EINVAL, "%s '%.*s': %s", c->m->name,
			STR_FMT(text), what);
	return gen_fail(c->error, c->error_size, EINVAL,
		"%s:%u:%u: error: %s\n%5u | %.*s\n      | %*s^", c->s->path, line,
		at - begin + 1 + c->m->indent, what, line, (int)(end - begin), text.s + begin,
		(int)(at - begin > 160 ? 160 : at - begin), "");
}

static int add_literal(struct compiler *c, const char *text, uint32_t len)
{
	struct template *t = c->t;
	struct instruction *last = t->count > 0 ? &t->in[t->count - 1] : NULL;

	if (len == 0)
		return 0;
	if (c->text_len + len + TEMPLATE_SLACK > c->text_room) {
		char *more;

		c->text_room = (c->text_len + len) * 2 + TEMPLATE_SLACK;
		more = realloc(t->text, c->text_room);
		if (more == NULL)
			return -ENOMEM;
		t->text = more;
	}
	if (last != NULL && last->field == FIELD_LITERAL && t->body_at != t->count &&
		last->off + last->len == c->text_len) {
		last->len += len;
	} else {
		if (t->count == TEMPLATE_INSTRUCTIONS_MAX)
			return -E2BIG;
		t->in[t->count++] = (struct instruction){FIELD_LITERAL, 0, c->text_len, len};
	}
	memcpy(t->text + c->text_len, text, len);
	memset(t->text + c->text_len + len, 0, TEMPLATE_SLACK);
	c->text_len += len;
	t->most += len;
	return 0;
}

static unsigned digits_of(uint64_t v)
{
	char text[20];

	return str_from_u64(text, v);
}

/* "10.0.0.1" or "[2001:db8::1]". */
static unsigned host_text(const struct net_addr *addr, char *out)
{
	unsigned n = 0;

	if (addr->family == 6)
		out[n++] = '[';
	n += net_addr_format(addr, out + n);
	if (addr->family == 6)
		out[n++] = ']';
	return n;
}

/* A field whose value all messages share; 1 where it is none of these. */
static int add_constant(struct compiler *c, enum field field)
{
	const struct bind *b = c->bind;
	char text[NET_ENDPOINT_TEXT_MAX + 4];
	unsigned n;

	switch (field) {
	case FIELD_LOCAL_IP:
		n = host_text(&b->local, text);
		break;
	case FIELD_LOCAL_PORT:
		if (b->ports != 1)
			return 1;
		n = str_from_u64(text, b->port_first);
		break;
	case FIELD_REMOTE_IP:
		n = host_text(&b->target.addr, text);
		break;
	case FIELD_REMOTE_PORT:
		n = str_from_u64(text, b->target.port);
		break;
	case FIELD_TARGET:
		n = net_endpoint_format(&b->target, text);
		break;
	case FIELD_FAMILY:
		n = (unsigned)snprintf(text, sizeof(text), "IP%u", b->local.family);
		break;
	case FIELD_DOMAIN:
		if (b->domain != NULL)
			return add_literal(c, b->domain, (uint32_t)strlen(b->domain));
		n = b->target.port == SIP_DEFAULT_PORT ? host_text(&b->target.addr, text)
						       : net_endpoint_format(&b->target, text);
		break;
	default:
		return 1;
	}
	return add_literal(c, text, n);
}

static int add_field(struct compiler *c, enum field field)
{
	struct template *t = c->t;
	struct instruction in = {.field = (uint8_t)field};
	int rc = add_constant(c, field);

	if (rc <= 0)
		return rc;
	if (t->count == TEMPLATE_INSTRUCTIONS_MAX)
		return -E2BIG;
	if (field == FIELD_USER)
		in.digits = (uint8_t)digits_of(c->bind->users - 1);
	if (field == FIELD_LENGTH)
		t->length_at = t->count;
	t->to_tags += field == FIELD_TO_TAG;
	t->contacts += field == FIELD_CONTACT;
	t->routes += field == FIELD_ROUTES;
	t->digests += field == FIELD_AUTHORIZATION;
	t->most += fields[field].most;
	t->in[t->count++] = in;
	return 0;
}

static enum field field_named(struct str name)
{
	for (unsigned i = 1; i < FIELD_COUNT; i++)
		if (str_eq(str_c(fields[i].name), name))
			return (enum field)i;
	return FIELD_LITERAL;
}

static int add_text(struct compiler *c, struct str text, uint32_t base);

/* "{name}" at text[at]; `*at` moves behind it. */
static int add_reference(struct compiler *c, struct str text, uint32_t *at, uint32_t base)
{
	struct str rest = str_of(text.s + *at + 1, text.len - *at - 1), name;
	uint32_t where = c->in_variable ? base : base + *at;
	int64_t close = str_find(rest, '}');
	const char *variable;
	enum field field;
	bool alone;
	int rc;

	if (close <= 0 || close > GEN_NAME_MAX)
		return compile_error(c, where,
			"'{' begins the name of a field or variable and '}' ends it ('{{' is a "
			"brace)");
	name = str_of(rest.s, (uint32_t)close);
	variable = scenario_variable(c->s, name);
	alone = (*at == 0 || text.s[*at - 1] == '\n') && rest.len >= close + 3 &&
		memcmp(rest.s + close + 1, "\r\n", 2) == 0;
	*at += (uint32_t)close + 2;
	if (variable != NULL) {
		if (c->in_variable)
			return compile_error(
				c, where, "variable '%.*s' stands in another", STR_FMT(name));
		c->in_variable = true;
		rc = add_text(c, str_c(variable), where);
		c->in_variable = false;
		return rc;
	}
	field = field_named(name);
	if (field == FIELD_LITERAL)
		return compile_error(c, where,
			"'%.*s' is no field, and no variable that is set (siplane-gen --reference "
			"lists fields)",
			STR_FMT(name));
	if (field == FIELD_ROUTES || field == FIELD_AUTHORIZATION) {
		if (!alone || c->in_variable)
			return compile_error(
				c, where, "'{%.*s}' stands alone on its line", STR_FMT(name));
		*at += 2; /* it brings its own line ends, if there is any */
	}
	if (field == FIELD_LENGTH && c->t->length_at != UINT32_MAX)
		return compile_error(c, where, "'{length}' stands once in a message");
	if (field == FIELD_LENGTH && c->t->body_at != UINT32_MAX)
		return compile_error(c, where, "'{length}' stands in the header");
	return add_field(c, field);
}

static int add_text(struct compiler *c, struct str text, uint32_t base)
{
	uint32_t from = 0, at = 0;
	int rc = 0;

	while (rc == 0 && at < text.len) {
		if (text.s[at] != '{') {
			at++;
			continue;
		}
		rc = add_literal(c, text.s + from, at - from);
		if (rc != 0)
			break;
		if (at + 1 < text.len && text.s[at + 1] == '{') {
			from = at + 1;
			at += 2;
			continue;
		}
		rc = add_reference(c, text, &at, base);
		from = at;
	}
	return rc != 0 ? rc : add_literal(c, text.s + from, at - from);
}

int template_compile(const struct scenario *s, const struct scenario_message *m,
	const struct bind *bind, struct template *out, char *error, size_t error_size)
{
	struct compiler c = {
		.s = s, .m = m, .bind = bind, .t = out, .error = error, .error_size = error_size};
	int64_t head = str_find_str(str_of(m->text, m->len), STR("\r\n\r\n"));
	uint32_t body = head >= 0 ? (uint32_t)head + 4 : m->len;
	int rc;

	*out = (struct template){.length_at = UINT32_MAX,
		.body_at = UINT32_MAX,
		.is_response = m->is_response,
		.method = m->method};
	out->in = calloc(TEMPLATE_INSTRUCTIONS_MAX, sizeof(*out->in));
	if (out->in == NULL)
		return gen_fail(error, error_size, ENOMEM, "not enough memory");
	/* A field that is alone on the header's last line takes its CRLF, not the blank line's. */
	rc = add_text(&c, str_of(m->text, body), 0);
	out->body_at = out->count;
	if (rc == 0)
		rc = add_text(&c, str_of(m->text + body, m->len - body), body);
	if (rc == -E2BIG)
		rc = compile_error(&c, 0, "message '%s' has more than %d fields", m->name,
			TEMPLATE_INSTRUCTIONS_MAX / 2);
	if (rc == -ENOMEM)
		gen_fail(error, error_size, ENOMEM, "not enough memory");
	if (rc == 0 && out->most > GEN_TEXT_MAX)
		rc = compile_error(&c, 0,
			"message '%s' may be %u bytes long: %d are the most that UDP takes",
			m->name, out->most, GEN_TEXT_MAX);
	if (rc != 0)
		template_free(out);
	return rc;
}

void template_free(struct template *t)
{
	free(t->text);
	free(t->in);
	*t = (struct template){0};
}

/* ---- fill ---- */

/* In steps of 32: reads and writes up to 31 bytes beyond, for which both sides have room. */
static inline char *copy_literal(char *out, const char *text, uint32_t len)
{
	for (uint32_t i = 0; i < len; i += 32) {
		uint64_t w[4];

		memcpy(w, text + i, 32);
		memcpy(out + i, w, 32);
	}
	return out + len;
}

static inline char *put_span(char *out, struct str s)
{
	memcpy(out, s.s, s.len);
	return out + s.len;
}

/* "sip:a@b" of the request line that was written at `begin`. */
static struct str request_uri(const char *begin, const char *end)
{
	struct str line = str_of(begin, (size_t)(end - begin));
	int64_t first = str_find(line, ' '), second;

	if (first < 0)
		return STR_NONE;
	line = str_of(begin + first + 1, line.len - (uint32_t)first - 1);
	second = str_find(line, ' ');
	return second > 0 ? str_of(line.s, (uint32_t)second) : STR_NONE;
}

/* The answer to one challenge; nothing where there was none. */
static char *put_credentials(
	const struct template *t, const struct fill *f, bool proxy, const char *begin, char *out)
{
	const struct call *call = f->call;
	enum call_part part = proxy ? CALL_PROXY_CHALLENGE : CALL_CHALLENGE;
	char user[DIGEST_USER_MAX + TEMPLATE_SLACK], password[DIGEST_USER_MAX + TEMPLATE_SLACK];
	struct digest d = {
		.method = sip_method_name(t->method),
		.challenge = dialog_part(call, f->text, part),
		.proxy = proxy,
		.cnonce = f->time ^ call->seq << 32,
		.count = call->nonce_count[proxy],
	};
	struct fill inner = *f;
	uint32_t n;

	if (d.challenge.len == 0)
		return out;
	d.uri = request_uri(begin, out);
	if (f->digest_user == NULL || d.uri.len == 0)
		return NULL;
	inner.room = DIGEST_USER_MAX;
	d.user = str_of(user, template_fill(f->digest_user, &inner, user));
	d.password = str_of(password, template_fill(f->digest_password, &inner, password));
	n = digest_answer(&d, out, DIGEST_LINE_MAX);
	return n != 0 ? out + n : NULL;
}

static char *put_authorization(
	const struct template *t, const struct fill *f, char *begin, char *out)
{
	out = put_credentials(t, f, false, begin, out);
	return out != NULL ? put_credentials(t, f, true, begin, out) : NULL;
}

static char *put_field(const struct template *t, const struct fill *f, const struct instruction *in,
	char *begin, char *out)
{
	const struct call *call = f->call;
	struct str part;

	switch ((enum field)in->field) {
	case FIELD_CALL_ID:
		template_hex16(out, call->seq << 12 | f->bind->run);
		/* An odd factor: dialogs of one call are all different. */
		template_hex16(
			out + 17, (uint64_t)(f->bind->process + call->dialog * 0x9e3779b1U) << 32);
		out[16] = '-';
		return out + 25;
	case FIELD_TAG:
		template_hex16(out, f->tag);
		return out + 16;
	case FIELD_RANDOM:
		template_hex16(out,
			(call->seq ^ (uint64_t)f->bind->process << 32) * 0xd6e8feb86659fd93ULL);
		return out + 16;
	case FIELD_BRANCH:
		memcpy(out, BRANCH_COOKIE, 8);
		template_hex16(out + 7, f->time);
		template_hex16(out + 23, f->ref);
		return out + BRANCH_LEN;
	case FIELD_CSEQ:
		return out + str_from_u64(out, f->cseq);
	case FIELD_USER:
		put_digits(out, call->user, in->digits);
		return out + in->digits;
	case FIELD_SEQ:
		return out + str_from_u64(out, call->seq);
	case FIELD_TIME:
		return out + str_from_u64(out, f->time);
	case FIELD_LOCAL_PORT:
		return out + str_from_u64(out, f->local_port);
	case FIELD_LENGTH: /* filled when the body is written */
		memset(out, ' ', 5);
		return out + 5;
	case FIELD_TO_TAG:
		part = dialog_part(call, f->text, CALL_TO_TAG);
		if (part.len == 0)
			return out;
		memcpy(out, ";tag=", 5);
		return put_span(out + 5, part);
	case FIELD_CONTACT:
		part = dialog_part(call, f->text, CALL_CONTACT);
		return put_span(out, part.len != 0 ? part : str_c(f->bind->target_uri));
	case FIELD_ROUTES:
		return put_span(out, dialog_part(call, f->text, CALL_ROUTES));
	case FIELD_AUTHORIZATION:
		return put_authorization(t, f, begin, out);
	default:
		return out;
	}
}

/* Bytes that the message takes, at most. */
static uint32_t needs(const struct template *t, const struct fill *f)
{
	const struct call *call = f->call;
	uint32_t n = t->most;

	if (t->to_tags != 0 && call->part[CALL_TO_TAG] != 0)
		n += t->to_tags * (call->part[CALL_TO_TAG] + 5U);
	if (t->contacts != 0)
		n += t->contacts * (call->part[CALL_CONTACT] != 0
						   ? call->part[CALL_CONTACT]
						   : (uint32_t)sizeof(f->bind->target_uri));
	n += t->routes * (uint32_t)call->part[CALL_ROUTES];
	if (t->digests != 0)
		n += t->digests *
		     ((call->part[CALL_CHALLENGE] != 0) + (call->part[CALL_PROXY_CHALLENGE] != 0)) *
		     (uint32_t)DIGEST_LINE_MAX;
	return n;
}

uint32_t template_fill(const struct template *t, const struct fill *f, char *out)
{
	char *at = out, *length = NULL, *body = NULL;

	if (needs(t, f) > f->room)
		return 0;
	for (unsigned i = 0; i < t->count; i++) {
		const struct instruction *in = &t->in[i];

		if (i == t->body_at)
			body = at;
		if (in->field == FIELD_LITERAL) {
			at = copy_literal(at, t->text + in->off, in->len);
			continue;
		}
		if (i == t->length_at)
			length = at;
		at = put_field(t, f, in, out, at);
		if (at == NULL)
			return 0;
	}
	if (length != NULL) {
		uint64_t n = body != NULL ? (uint64_t)(at - body) : 0;

		/* Spaces in front of the number are part of the header's LWS (RFC 3261 25.1). */
		put_digits(length + 5 - digits_of(n), n, digits_of(n));
	}
	return (uint32_t)(at - out);
}
