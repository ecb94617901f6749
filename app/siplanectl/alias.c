/* SPDX-License-Identifier: BSD-3-Clause */
/* Other names of users: rows of `dbaliases`, which alias_db_lookup() asks for. */
#include "siplanectl.h"

static const char *const columns[] = {"alias", "alias_domain", "username", "domain", NULL};

#define SELECT "SELECT alias_username, alias_domain, username, domain FROM dbaliases"
#define WHERE_ALIAS " WHERE alias_username = ? AND LOWER(alias_domain) = ?"

int verb_alias_show(struct ctl *c, int argc, char **argv)
{
	struct query q = {
		.text = SELECT " ORDER BY alias_domain, alias_username", .columns = "ssss"};
	struct user name;

	if (argc == 0)
		return show_rows(c, &q, columns, "there are no aliases");
	if (read_user(c, argv[0], &name) != DONE)
		return FAILED;
	struct db_value key[] = {db_text(str_c(name.name)), db_text(str_c(name.lower)),
		db_text(str_c(name.name)), db_text(str_c(name.lower))};

	/* By the alias, or by whose they are. */
	q.text = SELECT " WHERE (alias_username = ? AND LOWER(alias_domain) = ?) OR (username = ? "
			"AND LOWER(domain) = ?) ORDER BY alias_domain, alias_username";
	q.param = key;
	q.params = 4;
	return show_rows(c, &q, columns, "there is no such alias, and none of this user");
}

int verb_alias_add(struct ctl *c, int argc, char **argv)
{
	struct user alias, user;

	if (read_user(c, argv[0], &alias) != DONE || read_user(c, argv[1], &user) != DONE ||
		need_user(c, &user) != DONE || need_new(c, &alias) != DONE)
		return FAILED;
	struct db_value row[] = {db_text(str_c(alias.name)), db_text(str_c(alias.domain)),
		db_text(str_c(user.name)), db_text(str_c(user.domain))};
	struct query q = {.text = "INSERT INTO dbaliases (alias_username, alias_domain, username, "
				  "domain) VALUES (?, ?, ?, ?)",
		.param = row,
		.params = 4};

	if (ask_database(c, &q) != DONE)
		return FAILED;
	forget_rows(c);
	return done("%s@%s is %s@%s, too", alias.name, alias.domain, user.name, user.domain);
}

int verb_alias_rm(struct ctl *c, int argc, char **argv)
{
	struct user alias;

	if (read_user(c, argv[0], &alias) != DONE)
		return FAILED;
	struct db_value key[] = {db_text(str_c(alias.name)), db_text(str_c(alias.lower))};
	struct query q = {.text = "DELETE FROM dbaliases" WHERE_ALIAS, .param = key, .params = 2};

	if (ask_database(c, &q) != DONE)
		return FAILED;
	if (q.changed == 0)
		return fail("there is no alias %s@%s", alias.name, alias.domain);
	forget_rows(c);
	return done("the alias %s@%s is removed", alias.name, alias.domain);
}
