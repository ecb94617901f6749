/* SPDX-License-Identifier: BSD-3-Clause */
/* url: what a URL names. What is said about one never quotes it: it may hold a password. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "db/internal.h"

#define MEANING "%@:/?[]#"

struct reading {
	struct db_url *out;
	char *error;
	size_t error_size;
};

__attribute__((format(printf, 2, 3))) static int wrong(struct reading *r, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(r->error, r->error_size, fmt, args);
	va_end(args);
	return -EINVAL;
}

static const struct db_driver *find_driver(const struct db *db, struct str scheme)
{
	for (unsigned i = 0; i < db->drivers; i++) {
		for (unsigned n = 0; n < DB_SCHEMES_MAX && db->driver[i]->scheme[n] != NULL; n++) {
			if (str_ieq(scheme, str_c(db->driver[i]->scheme[n])))
				return db->driver[i];
		}
	}
	return NULL;
}

static int hex(char c)
{
	c = str_lower_char(c);
	if (str_is_digit(c))
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* A part with its %XX undone, which may have no NUL and no control character. */
static int decode(struct reading *r, const char *what, struct str in, char *out, uint32_t size)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < in.len; i++) {
		int c = (unsigned char)in.s[i];

		if (c == '%') {
			if (i + 2 >= in.len || hex(in.s[i + 1]) < 0 || hex(in.s[i + 2]) < 0)
				return wrong(
					r, "%% without two hexadecimal digits in the %s", what);
			c = hex(in.s[i + 1]) << 4 | hex(in.s[i + 2]);
			i += 2;
		}
		if (c < 0x20 || c == 0x7f)
			return wrong(r, "a control character in the %s", what);
		if (n + 1 >= size)
			return wrong(r, "the %s has more than %u characters", what, size - 1);
		out[n++] = (char)c;
	}
	out[n] = '\0';
	return 0;
}

static int read_settings(struct reading *r, struct str in)
{
	if (str_eq(in, STR("synchronous=normal")))
		r->out->fast = true;
	else if (!str_eq(in, STR("synchronous=full")))
		return wrong(r, "behind ? there may be synchronous=full or synchronous=normal");
	return 0;
}

/* What has a meaning in a URL stands in it as %XX, for people as well: what they read is a URL. */
static uint32_t encode(char *out, uint32_t size, uint32_t n, const char *in, const char *meaning)
{
	for (; *in != '\0'; in++) {
		bool plain = strchr(meaning, *in) == NULL && (unsigned char)*in > ' ';

		if (n + 4 > size)
			return size;
		if (plain)
			out[n++] = *in;
		else
			n += (uint32_t)sprintf(out + n, "%%%02X", (unsigned char)*in);
	}
	return n;
}

static uint32_t append(char *out, uint32_t size, uint32_t n, const char *in)
{
	int len = n < size ? snprintf(out + n, size - n, "%s", in) : -1;

	return len < 0 || (uint32_t)len >= size - n ? size : n + (uint32_t)len;
}

/* The URL for people. False: it is too long. */
static bool say_path(struct db_url *u)
{
	uint32_t size = sizeof(u->text), n = append(u->text, size, 0, u->driver->scheme[0]);

	n = append(u->text, size, n, "://");
	n = encode(u->text, size, n, u->path, "%?#");
	return append(u->text, size, n, u->fast ? "?synchronous=normal" : "") < size;
}

/* sqlite:// PATH [?SETTING] */
static int read_path(struct reading *r, struct str in, const char *base_dir)
{
	struct db_url *u = r->out;
	int64_t mark = str_find(in, '?');
	struct str path = mark < 0 ? in : str_of(in.s, (size_t)mark);
	char given[DB_URL_MAX];
	int len, err = decode(r, "path", path, given, sizeof(given));

	if (err == 0 && mark >= 0)
		err = read_settings(r, str_of(in.s + mark + 1, in.len - (uint32_t)mark - 1));
	if (err != 0)
		return err;
	if (given[0] == '\0' || given[strlen(given) - 1] == '/')
		return wrong(r, "no file behind %s://", u->driver->scheme[0]);
	if (given[0] == '/' || base_dir == NULL)
		len = snprintf(u->path, sizeof(u->path), "%s", given);
	else
		len = snprintf(u->path, sizeof(u->path), "%s/%s", base_dir, given);
	if (len < 0 || (size_t)len >= sizeof(u->path))
		return wrong(r, "the path has more than %zu characters", sizeof(u->path) - 1);
	return say_path(u) ? 0 : wrong(r, "the path is too long");
}

/* USER[:PASSWORD]@ */
static int read_user(struct reading *r, struct str in)
{
	int64_t colon = str_find(in, ':');
	int err;

	if (colon < 0)
		return decode(r, "user", in, r->out->user, sizeof(r->out->user));
	err = decode(r, "user", str_of(in.s, (size_t)colon), r->out->user, sizeof(r->out->user));
	if (err == 0)
		err = decode(r, "password", str_of(in.s + colon + 1, in.len - (uint32_t)colon - 1),
			r->out->password, sizeof(r->out->password));
	return err;
}

/* HOST[:PORT], and in brackets an IPv6 address or a socket's path */
static int read_host(struct reading *r, struct str in)
{
	struct db_url *u = r->out;
	int64_t end = in.len != 0 && in.s[0] == '[' ? str_find(in, ']') : -1;
	struct str host = in, rest = STR_NONE;
	uint32_t port;

	if (in.len != 0 && in.s[0] == '[') {
		if (end < 0)
			return wrong(r, "a [ without its ]");
		host = str_of(in.s + 1, (size_t)end - 1);
		rest = str_of(in.s + end + 1, in.len - (uint32_t)end - 1);
	} else if ((end = str_find(in, ':')) >= 0) {
		host = str_of(in.s, (size_t)end);
		rest = str_of(in.s + end, in.len - (uint32_t)end);
	}
	if (host.len == 0)
		return wrong(r, "no host");
	u->socket = host.s[0] == '/';
	if (rest.len != 0) {
		if (rest.s[0] != ':' || u->socket ||
			str_to_u32(str_of(rest.s + 1, rest.len - 1), UINT16_MAX, &port) != 0 ||
			port == 0)
			return wrong(r, "behind the host there is no :PORT from 1 to 65535");
		u->port = (uint16_t)port;
	}
	return decode(r, "host", host, u->host, sizeof(u->host));
}

/* The same of a server. */
static bool say(struct db_url *u)
{
	uint32_t size = sizeof(u->text), n = 0;
	bool brackets = u->socket || strchr(u->host, ':') != NULL;
	char port[8] = "";

	n = append(u->text, size, n, u->driver->scheme[0]);
	n = append(u->text, size, n, "://");
	n = encode(u->text, size, n, u->user, MEANING);
	n = append(u->text, size, n,
		u->password[0] != '\0' ? ":***@"
		: u->user[0] != '\0'   ? "@"
				       : "");
	n = append(u->text, size, n, brackets ? "[" : "");
	n = encode(u->text, size, n, u->host, u->socket ? "%@?#[]" : "%@/?#[]");
	n = append(u->text, size, n, brackets ? "]" : "");
	if (u->port != 0)
		snprintf(port, sizeof(port), ":%u", u->port);
	n = append(u->text, size, n, port);
	n = append(u->text, size, n, "/");
	n = encode(u->text, size, n, u->database, MEANING);
	if (n >= size)
		return false;
	u->text[n] = '\0';
	return true;
}

/* [USER[:PASSWORD]@]HOST[:PORT]/DATABASE */
static int read_server(struct reading *r, struct str in)
{
	struct db_url *u = r->out;
	int64_t at = -1, slash;
	int err = 0;

	/* A password may hold an @ that nobody has written as %40: the last one counts. */
	for (uint32_t i = 0; i < in.len; i++)
		at = in.s[i] == '@' ? i : at;
	if (at >= 0)
		err = read_user(r, str_of(in.s, (size_t)at));
	in.s += at + 1, in.len -= (uint32_t)(at + 1);
	/* The slashes of a socket's path are in brackets. */
	slash = in.len != 0 && in.s[0] == '[' ? str_find(in, ']') : 0;
	while (slash >= 0 && slash < in.len && in.s[slash] != '/')
		slash++;
	if (err == 0 && (slash < 0 || slash >= in.len))
		return wrong(r, "no /DATABASE behind the host");
	if (err == 0)
		err = read_host(r, str_of(in.s, (size_t)slash));
	in.s += slash + 1, in.len -= (uint32_t)slash + 1;
	if (err == 0)
		err = decode(r, "database", in, u->database, sizeof(u->database));
	if (err == 0 && (u->database[0] == '\0' || strpbrk(u->database, "/?") != NULL))
		err = wrong(r, "no name of a database");
	if (err == 0 && !say(u))
		err = wrong(r, "it has more than %u characters", DB_URL_MAX - 1);
	return err;
}

static void known_schemes(const struct db *db, char *out, size_t size)
{
	int n = 0;

	out[0] = '\0';
	for (unsigned i = 0; i < db->drivers && n >= 0 && (size_t)n < size; i++)
		n += snprintf(out + n, size - (size_t)n, "%s%s://", i != 0 ? ", " : "",
			db->driver[i]->scheme[0]);
}

int db_url_parse(const struct db *db, const char *text, const char *base_dir, struct db_url *out,
	char *error, size_t error_size)
{
	struct reading r = {out, error, error_size};
	size_t len = strnlen(text, DB_URL_MAX);
	const char *colon = strstr(text, "://");
	char schemes[128];
	struct str rest;

	/* Two of the same are found by comparing all of it. */
	memset(out, 0, sizeof(*out));
	if (len >= DB_URL_MAX)
		return wrong(&r, "a URL of a database has %u characters at most", DB_URL_MAX - 1);
	if (colon != NULL)
		out->driver = find_driver(db, str_of(text, (size_t)(colon - text)));
	if (out->driver == NULL) {
		known_schemes(db, schemes, sizeof(schemes));
		return wrong(&r, "a URL of a database begins with one of %s", schemes);
	}
	rest = str_of(colon + 3, len - (size_t)(colon + 3 - text));
	return out->driver->file ? read_path(&r, rest, base_dir) : read_server(&r, rest);
}
