/* SPDX-License-Identifier: BSD-3-Clause */
/* What is kept for users: rows of `usr_preferences`, which avp_db_load() asks for. The verbs and
 * their options are kamctl's. */
#include <ctype.h>
#include <stdio.h>

#include "siplanectl.h"

#define TABLE "usr_preferences"
#define SQL_SIZE 1024
#define TYPES 4 /* 0 text, 1 number; 2 more: the attribute's name is a number */

static const char *const columns[] = {
	"username", "domain", "uuid", "attribute", "type", "value", NULL};

/* -T -u -a -v -t; NULL where one is left out. */
static struct {
	const char *table, *who, *attribute, *value, *type;
} option;

void avp_option(int letter, const char *value)
{
	switch (letter) {
	case 'T':
		option.table = value;
		break;
	case 'u':
		option.who = value;
		break;
	case 'a':
		option.attribute = value;
		break;
	case 'v':
		option.value = value;
		break;
	case 't':
		option.type = value;
		break;
	}
}

bool avp_has_options(void)
{
	return option.table != NULL || option.who != NULL || option.attribute != NULL ||
	       option.value != NULL || option.type != NULL;
}

static int read_table(const char **out)
{
	const char *name = option.table != NULL ? option.table : TABLE;
	size_t len = strlen(name);

	for (size_t i = 0; i < len; i++) {
		if (!isalnum((unsigned char)name[i]) && name[i] != '_')
			len = 0;
	}
	*out = name;
	if (len != 0 && len <= NAME_MAX_BYTES && !isdigit((unsigned char)name[0]))
		return DONE;
	return fail("'%s' is no name of a table: letters, digits and '_'", name);
}

static int read_type(const char *text, int64_t *out)
{
	uint32_t type;

	if (str_to_u32(str_c(text), TYPES - 1, &type) != 0)
		return fail("'%s' is no type: 0 a text, 1 a number, 2 and 3 the same of an "
			    "attribute whose name is a number",
			text);
	*out = type;
	return DONE;
}

/* Whose rows: a user with his domain, or a uuid. */
struct who {
	struct user user;
	const char *uuid; /* NULL: it is a user */
};

static int read_who(struct ctl *c, const char *text, struct who *out)
{
	*out = (struct who){.uuid = text};
	if (strchr(text, '@') == NULL && strncasecmp(text, "sip:", 4) != 0)
		return text[0] != '\0' ? DONE : fail("a user or a uuid is empty");
	out->uuid = NULL;
	return read_user(c, text, &out->user);
}

/* A condition more. */
static void add(char *sql, const char *condition, struct db_value *param, unsigned *n,
	struct db_value value)
{
	size_t len = strlen(sql);

	snprintf(sql + len, SQL_SIZE - len, "%s%s = ?", *n == 0 ? " WHERE " : " AND ", condition);
	param[(*n)++] = value;
}

/* What the options say, behind the SQL. */
static int add_options(
	struct ctl *c, char *sql, struct who *who, struct db_value *param, unsigned *n)
{
	int64_t type = 0;

	if (option.who != NULL) {
		if (read_who(c, option.who, who) != DONE)
			return FAILED;
		if (who->uuid != NULL) {
			add(sql, "uuid", param, n, db_text(str_c(who->uuid)));
		} else {
			add(sql, "username", param, n, db_text(str_c(who->user.name)));
			add(sql, "domain", param, n, db_text(str_c(who->user.domain)));
		}
	}
	if (option.attribute != NULL)
		add(sql, "attribute", param, n, db_text(str_c(option.attribute)));
	if (option.value != NULL)
		add(sql, "value", param, n, db_text(str_c(option.value)));
	if (option.type != NULL) {
		if (read_type(option.type, &type) != DONE)
			return FAILED;
		add(sql, "type", param, n, db_int(type));
	}
	return DONE;
}

int verb_avp_list(struct ctl *c, int argc, char **argv)
{
	char sql[SQL_SIZE], ordered[SQL_SIZE + 16];
	struct db_value param[8];
	struct query q = {.text = ordered, .otherwise = sql, .columns = "ssssis", .param = param};
	const char *table;
	struct who who;

	if (read_table(&table) != DONE)
		return FAILED;
	snprintf(sql, sizeof(sql), "SELECT username, domain, uuid, attribute, type, value FROM %s",
		table);
	if (add_options(c, sql, &who, param, &q.params) != DONE)
		return FAILED;
	snprintf(ordered, sizeof(ordered), "%s ORDER BY id", sql);
	return show_rows(c, &q, columns, "there is no such AVP");
}

static bool is_number(const char *text, bool may_be_negative)
{
	size_t len;

	text += may_be_negative && text[0] == '-';
	len = strlen(text);
	return len > 0 && len < 19 && strspn(text, "0123456789") == len;
}

int verb_avp_add(struct ctl *c, int argc, char **argv)
{
	const char *attribute = argv[1], *value = argv[3], *table;
	char with[SQL_SIZE], without[SQL_SIZE];
	struct who who;
	int64_t type = 0;

	if (option.who != NULL || option.attribute != NULL || option.value != NULL ||
		option.type != NULL)
		return fail("what is added stands behind 'avp add', without -u, -a, -v and -t");
	if (read_table(&table) != DONE || read_who(c, argv[0], &who) != DONE ||
		read_type(argv[2], &type) != DONE)
		return FAILED;
	for (const char *p = attribute; *p != '\0'; p++) {
		if (!isalnum((unsigned char)*p) && strchr("_-.:", *p) == NULL)
			return fail(
				"'%s' is no name of an AVP: letters, digits and _-.:", attribute);
	}
	if (attribute[0] == '\0' || (type >= 2 && !is_number(attribute, false)))
		return fail("'%s' is no name of type %d", attribute, (int)type);
	if (type % 2 == 1 && !is_number(value, true))
		return fail("'%s' is no number, as a value of type %d is", value, (int)type);
	struct db_value row[] = {db_text(str_c(who.uuid != NULL ? who.uuid : "")),
		db_text(str_c(who.uuid == NULL ? who.user.name : "")),
		db_text(str_c(who.uuid == NULL ? who.user.domain : "")), db_text(str_c(attribute)),
		db_int(type), db_text(str_c(value))};
	struct query q = {.text = with, .otherwise = without, .param = row, .params = 6};

	snprintf(with, sizeof(with),
		"INSERT INTO %s (uuid, username, domain, attribute, type, value, last_modified) "
		"VALUES (?, ?, ?, ?, ?, ?, CURRENT_TIMESTAMP)",
		table);
	snprintf(without, sizeof(without),
		"INSERT INTO %s (uuid, username, domain, attribute, type, value) VALUES (?, ?, ?, "
		"?, ?, ?)",
		table);
	if (ask_database(c, &q) != DONE)
		return FAILED;
	forget_rows(c);
	return done("%s has %s: %s", argv[0], attribute, value);
}

int verb_avp_rm(struct ctl *c, int argc, char **argv)
{
	struct db_value param[8];
	struct query q = {.param = param};
	char sql[SQL_SIZE];
	const char *table;
	struct who who;

	if (read_table(&table) != DONE)
		return FAILED;
	snprintf(sql, sizeof(sql), "DELETE FROM %s", table);
	if (add_options(c, sql, &who, param, &q.params) != DONE)
		return FAILED;
	if (q.params == 0)
		return fail(
			"which ones? -u USER@DOMAIN, -a ATTRIBUTE, -v VALUE or -t TYPE says it");
	q.text = sql;
	if (ask_database(c, &q) != DONE)
		return FAILED;
	if (q.changed == 0)
		return fail("there is no such AVP");
	forget_rows(c);
	return done("removed: %u", (unsigned)q.changed);
}
