/* SPDX-License-Identifier: BSD-3-Clause */
/* siplanectlrc: KEY=value as in openserctlrc, which was a piece of shell; nothing of it is run
 * here. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "siplanectl.h"

#define RC_SYSTEM "/etc/siplane/siplanectlrc"
#define RC_HOME ".siplanectlrc"
#define LINE_BYTES 2048
#define VALUE_MAX 512

/* Names that openserctlrc and kamctlrc have for the parts of a database's URL. */
enum part {
	PART_ENGINE,
	PART_HOST,
	PART_PORT,
	PART_NAME,
	PART_USER,
	PART_PASSWORD,
	PART_PATH,
	PARTS
};
static const struct {
	const char *key;
	enum part part;
} part_keys[] = {
	{"DBENGINE", PART_ENGINE},
	{"DBHOST", PART_HOST},
	{"DBPORT", PART_PORT},
	{"DBNAME", PART_NAME},
	{"DBRWUSER", PART_USER},
	{"DBRWPW", PART_PASSWORD},
	{"DB_PATH", PART_PATH},
};

struct reading {
	struct settings *settings;
	const char *file;
	unsigned line;
	char part[PARTS][VALUE_MAX];
	bool secret; /* a password stands in it */
};

static int set(const struct reading *r, char *out, size_t size, const char *key, const char *value)
{
	if (strlen(value) >= size)
		return fail("%s:%u: %s: longer than %zu bytes", r->file, r->line, key, size - 1);
	strcpy(out, value);
	return DONE;
}

/* Whether a URL has a password in it. */
static bool has_password(const char *url)
{
	const char *rest = strstr(url, "://"), *at;

	if (rest == NULL)
		return false;
	rest += 3;
	at = strrchr(rest, '@');
	return at != NULL && memchr(rest, ':', (size_t)(at - rest)) != NULL;
}

static int take(struct reading *r, const char *key, const char *value)
{
	struct settings *s = r->settings;

	if (strcmp(key, "SIP_DOMAIN") == 0)
		return set(r, s->domain, sizeof(s->domain), key, value);
	if (strcmp(key, "SIP_REALM") == 0)
		return set(r, s->realm, sizeof(s->realm), key, value);
	if (strcasecmp(key, "control_socket") == 0)
		return set(r, s->socket, sizeof(s->socket), key, value);
	if (strcasecmp(key, "db_url") == 0) {
		r->secret |= has_password(value);
		return set(r, s->db_url, sizeof(s->db_url), key, value);
	}
	for (unsigned i = 0; i < sizeof(part_keys) / sizeof(part_keys[0]); i++) {
		if (strcmp(key, part_keys[i].key) != 0)
			continue;
		r->secret |= part_keys[i].part == PART_PASSWORD;
		return set(r, r->part[part_keys[i].part], VALUE_MAX, key, value);
	}
	return DONE; /* openserctlrc has many more */
}

/* The value without its quotes, and without a comment behind it; NULL: it is no plain one. */
static char *plain(char *value)
{
	char quote = value[0], *end;

	if (quote == '"' || quote == '\'') {
		end = strchr(value + 1, quote);
		if (end == NULL)
			return NULL;
		*end = '\0';
		for (end++; isspace((unsigned char)*end);)
			end++;
		value++;
		if (*end != '\0' && *end != '#')
			return NULL;
	} else {
		value[strcspn(value, " \t#")] = '\0';
	}
	return quote != '\'' && strpbrk(value, "$`\\") != NULL ? NULL : value;
}

static int read_line(struct reading *r, char *line)
{
	char *key = line + strspn(line, " \t"), *value;
	size_t n;

	if (strncmp(key, "export ", 7) == 0)
		key += 7 + strspn(key + 7, " ");
	if (*key == '#' || *key == '\0')
		return DONE;
	for (n = 0; isalnum((unsigned char)key[n]) || key[n] == '_';)
		n++;
	if (n == 0 || key[n] != '=')
		return fail("%s:%u: KEY=value is wanted", r->file, r->line);
	key[n] = '\0';
	value = plain(key + n + 1);
	if (value == NULL)
		return fail("%s:%u: %s: a value stands there as it is, or between quotes; nothing "
			    "is evaluated",
			r->file, r->line, key);
	return take(r, key, value);
}

/* %XX for what has a meaning in a URL. */
static void escape(char *out, size_t size, const char *text)
{
	size_t n = 0;

	for (; *text != '\0' && n + 4 < size; text++) {
		if (isalnum((unsigned char)*text) || strchr("-_.~", *text) != NULL)
			out[n++] = *text;
		else
			n += (size_t)snprintf(out + n, size - n, "%%%02X", (unsigned char)*text);
	}
	out[n] = '\0';
}

static const char *or_else(const char *text, const char *otherwise)
{
	return text[0] != '\0' ? text : otherwise;
}

/* DBENGINE and its like, as a URL. */
static int join_parts(struct reading *r)
{
	char user[3 * VALUE_MAX], password[3 * VALUE_MAX], name[3 * VALUE_MAX], url[16 * VALUE_MAX];
	const char *engine = r->part[PART_ENGINE], *scheme = NULL;

	if (engine[0] == '\0')
		return DONE;
	if (strcasecmp(engine, "SQLITE") == 0) {
		snprintf(url, sizeof(url), "sqlite://%s",
			or_else(r->part[PART_PATH], r->part[PART_NAME]));
		return set(r, r->settings->db_url, sizeof(r->settings->db_url), "DB_PATH", url);
	}
	if (strcasecmp(engine, "MYSQL") == 0 || strcasecmp(engine, "MARIADB") == 0)
		scheme = "mysql";
	else if (strcasecmp(engine, "PGSQL") == 0 || strcasecmp(engine, "POSTGRES") == 0 ||
		 strcasecmp(engine, "POSTGRESQL") == 0)
		scheme = "postgres";
	if (scheme == NULL)
		return fail("%s: DBENGINE=%s: MYSQL, PGSQL and SQLITE are there", r->file, engine);
	escape(user, sizeof(user), or_else(r->part[PART_USER], "openser"));
	escape(password, sizeof(password), r->part[PART_PASSWORD]);
	escape(name, sizeof(name), or_else(r->part[PART_NAME], "openser"));
	snprintf(url, sizeof(url), "%s://%s%s%s@%s%s%s/%s", scheme, user,
		password[0] != '\0' ? ":" : "", password, or_else(r->part[PART_HOST], "localhost"),
		r->part[PART_PORT][0] != '\0' ? ":" : "", r->part[PART_PORT], name);
	return set(r, r->settings->db_url, sizeof(r->settings->db_url), "DBNAME", url);
}

/* A file that is not there says nothing, unless it was asked for. */
static int read_file(struct settings *s, const char *path, bool needed)
{
	struct reading *r;
	char line[LINE_BYTES];
	struct stat st;
	int status = DONE;
	FILE *f = fopen(path, "re");

	if (f == NULL && (errno == ENOENT || errno == ENOTDIR) && !needed)
		return DONE;
	if (f == NULL)
		return fail("%s: %s", path, strerror(errno));
	r = calloc(1, sizeof(*r));
	if (r == NULL) {
		fclose(f);
		return fail("not enough memory");
	}
	r->settings = s;
	r->file = path;
	while (status == DONE && fgets(line, sizeof(line), f) != NULL) {
		r->line++;
		if (strlen(line) == sizeof(line) - 1)
			status = fail("%s:%u: longer than %d bytes", path, r->line, LINE_BYTES - 2);
		else
			line[strcspn(line, "\r\n")] = '\0';
		if (status == DONE)
			status = read_line(r, line);
	}
	if (status == DONE && ferror(f))
		status = fail("%s: %s", path, strerror(errno));
	if (status == DONE)
		status = join_parts(r);
	if (status == DONE && r->secret && fstat(fileno(f), &st) == 0 && (st.st_mode & 077) != 0)
		warn("%s holds a password and others than its owner can get at it: chmod 600 %s",
			path, path);
	fclose(f);
	free(r);
	return status;
}

static int read_environment(struct settings *s)
{
	static const char *const names[] = {
		"SIP_DOMAIN", "SIP_REALM", "SIPLANE_DB_URL", "SIPLANE_CONTROL_SOCKET"};
	struct reading r = {.settings = s, .file = "the environment"};
	int status = DONE;

	for (unsigned i = 0; status == DONE && i < sizeof(names) / sizeof(names[0]); i++) {
		const char *value = getenv(names[i]);
		const char *key = strncmp(names[i], "SIPLANE_", 8) == 0 ? names[i] + 8 : names[i];

		if (value != NULL)
			status = take(&r, key, value);
	}
	return status;
}

int settings_read(struct settings *s, const char *file)
{
	char path[4096];
	const char *home = getenv("HOME");
	int status;

	*s = (struct settings){
		.db_url = "sqlite:///var/lib/siplane/siplane.sqlite",
		.socket = "/run/siplane/siplane.sock",
	};
	if (file == NULL)
		file = getenv("SIPLANECTLRC");
	if (file != NULL) {
		status = read_file(s, file, true);
	} else {
		status = read_file(s, RC_SYSTEM, false);
		if (status == DONE && home != NULL &&
			snprintf(path, sizeof(path), "%s/%s", home, RC_HOME) < (int)sizeof(path))
			status = read_file(s, path, false);
	}
	return status == DONE ? read_environment(s) : status;
}
