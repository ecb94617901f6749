/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Names of users, as they are typed and as they are stored.
 *
 * For the registrar (lib/registrar/aor.c) two names are one where they are equal without escapes,
 * in lower case; so are two domains without case. Who registers as the one gets the other's calls:
 * a name that differs from another one in nothing else is not added, nor one with an escape. What
 * stands in a database already, whoever wrote it, is found as it stands there.
 */
#include <ctype.h>

#include "siplanectl.h"

bool is_domain(const char *text)
{
	size_t len = strlen(text);

	if (len == 0 || len > DOMAIN_MAX)
		return false;
	if (text[0] == '[') /* an IPv6 address, as URIs write it */
		return len > 2 && strspn(text + 1, "0123456789abcdefABCDEF:.") == len - 2 &&
		       text[len - 1] == ']';
	for (size_t i = 0; i < len; i++)
		if (!isalnum((unsigned char)text[i]) && strchr("-._", text[i]) == NULL)
			return false;
	return true;
}

void lower_case(char *out, const char *text)
{
	str_lower(out, str_c(text));
	out[strlen(text)] = '\0';
}

/* What can stand in a user part, and in a digest's user name. */
static bool is_name(const char *text, size_t len)
{
	if (len == 0 || len > NAME_MAX_BYTES)
		return false;
	for (size_t i = 0; i < len; i++)
		if (!isalnum((unsigned char)text[i]) &&
			strchr("-_.!~*'()&=+$,;?/%#", text[i]) == NULL)
			return false;
	return true;
}

int read_user(const struct ctl *c, const char *text, struct user *out)
{
	const char *domain;
	size_t len;

	if (strncasecmp(text, "sip:", 4) == 0)
		text += 4;
	domain = strrchr(text, '@');
	len = domain != NULL ? (size_t)(domain - text) : strlen(text);
	if (!is_name(text, len))
		return fail("'%s' is no name of a user: letters, digits and -_.!~*'()&=+$,;?/# , "
			    "%d at most",
			text, NAME_MAX_BYTES);
	memcpy(out->name, text, len);
	out->name[len] = '\0';
	domain = domain != NULL ? domain + 1 : c->settings.domain;
	if (domain[0] == '\0')
		return fail(
			"of which domain? USER@DOMAIN, --domain, or SIP_DOMAIN in siplanectlrc");
	if (!is_domain(domain))
		return fail("'%s' is no domain", domain);
	strcpy(out->domain, domain);
	lower_case(out->lower, domain);
	return DONE;
}

/* ---- one that is there ---- */

struct finding {
	struct user *user;
	unsigned count;
	bool exact; /* as it was typed */
	char typed[DOMAIN_MAX + 1];
};

static bool find_domain(void *arg, const struct db_value *value, unsigned columns)
{
	struct finding *f = arg;

	if (value[0].type != DB_TEXT || value[0].s.len > DOMAIN_MAX || f->exact)
		return true;
	f->count++;
	f->exact = str_eq(value[0].s, str_c(f->typed));
	memcpy(f->user->domain, value[0].s.s, value[0].s.len);
	f->user->domain[value[0].s.len] = '\0';
	return true;
}

int need_user(struct ctl *c, struct user *user)
{
	struct db_value param[] = {db_text(str_c(user->name)), db_text(str_c(user->lower))};
	struct finding f = {.user = user};
	struct query q = {.text = "SELECT domain FROM subscriber WHERE username = ? AND "
				  "LOWER(domain) = ?",
		.columns = "s",
		.param = param,
		.params = 2,
		.visit = find_domain,
		.arg = &f};

	strcpy(f.typed, user->domain);
	if (ask_database(c, &q) != DONE)
		return FAILED;
	if (f.count > 1 && !f.exact)
		return fail("there are %u users %s@%s, whose domains differ in letter case: write "
			    "it as 'siplanectl show' does",
			f.count, user->name, user->lower);
	return f.count > 0 ? DONE : fail("there is no user %s@%s", user->name, f.typed);
}

/* ---- a new one ---- */

static int hex_value(char ch)
{
	return isdigit((unsigned char)ch) ? ch - '0' : tolower((unsigned char)ch) - 'a' + 10;
}

/* A name without its escapes, in lower case, whatever stands there. */
static struct str plain_name(struct str name, char *out, size_t size)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < name.len && n < size; i++) {
		char ch = name.s[i];

		if (ch == '%' && name.len - i > 2 && isxdigit((unsigned char)name.s[i + 1]) &&
			isxdigit((unsigned char)name.s[i + 2])) {
			ch = (char)(hex_value(name.s[i + 1]) * 16 + hex_value(name.s[i + 2]));
			i += 2;
		}
		out[n++] = str_lower_char(ch);
	}
	return str_of(out, n);
}

struct looking {
	struct str name; /* plain */
	char found[DB_VALUE_MAX + 1];
	bool any;
};

static bool look_alike(void *arg, const struct db_value *value, unsigned columns)
{
	struct looking *l = arg;
	char room[DB_VALUE_MAX];

	if (value[0].type != DB_TEXT || value[0].s.len >= sizeof(l->found) ||
		!str_eq(plain_name(value[0].s, room, sizeof(room)), l->name))
		return true;
	memcpy(l->found, value[0].s.s, value[0].s.len);
	l->found[value[0].s.len] = '\0';
	l->any = true;
	return false;
}

/* Looks for one that the registrar would take for the same. DONE: there is none, or, where it
 * `may_refuse`, no such table. */
static int need_none(
	struct ctl *c, const struct user *user, const char *text, const char *what, bool may_refuse)
{
	char lower[NAME_MAX_BYTES + 1];

	lower_case(lower, user->name);
	struct looking l = {.name = str_c(lower)};
	struct db_value param[] = {db_text(str_c(user->lower)), db_text(str_c(lower))};
	struct query q = {.text = text,
		.columns = "s",
		.param = param,
		.params = 2,
		.visit = look_alike,
		.arg = &l,
		.may_refuse = may_refuse};

	if (ask_database(c, &q) != DONE)
		return q.refused && may_refuse ? DONE : FAILED;
	if (!l.any)
		return DONE;
	if (strcmp(l.found, user->name) == 0)
		return fail("there is %s %s@%s already", what, user->name, user->domain);
	return fail("there is %s %s@%s already: who registers as %s gets its calls, since letter "
		    "case and escapes make no other address-of-record",
		what, l.found, user->domain, user->name);
}

#define ALIKE(name, domain) \
	" WHERE LOWER(" domain ") = ? AND (LOWER(" name ") = ? OR " name " LIKE '%!%%' ESCAPE " \
	"'!')"

int need_new(struct ctl *c, struct user *user)
{
	if (strchr(user->name, '%') != NULL)
		return fail("'%s': a name is stored without escapes, and '%%' begins one in each "
			    "URI that names it",
			user->name);
	strcpy(user->domain, user->lower);
	if (need_none(c, user, "SELECT username FROM subscriber" ALIKE("username", "domain"),
		    "a user", false) != DONE)
		return FAILED;
	return need_none(c, user,
		"SELECT alias_username FROM dbaliases" ALIKE("alias_username", "alias_domain"),
		"an alias", true);
}
