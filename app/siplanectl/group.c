/* SPDX-License-Identifier: BSD-3-Clause */
/* Groups of users: rows of `grp`, which is_user_in() asks for. */
#include <ctype.h>

#include "siplanectl.h"

static const char *const columns[] = {"username", "domain", "group", NULL};

static bool is_group(const char *text)
{
	size_t len = strlen(text);

	for (size_t i = 0; i < len; i++)
		if (!isalnum((unsigned char)text[i]) && strchr("-._+", text[i]) == NULL)
			return false;
	return len > 0 && len <= NAME_MAX_BYTES;
}

static int read_group(const char *text)
{
	if (is_group(text))
		return DONE;
	return fail("'%s' is no name of a group: letters, digits and -._+ , %d at most", text,
		NAME_MAX_BYTES);
}

int verb_acl_show(struct ctl *c, int argc, char **argv)
{
	struct query q = {
		.text = "SELECT username, domain, grp FROM grp ORDER BY domain, username, grp",
		.columns = "sss"};
	struct user user;

	if (argc == 0)
		return show_rows(c, &q, columns, "nobody is in any group");
	if (read_user(c, argv[0], &user) != DONE)
		return FAILED;
	struct db_value key[] = {db_text(str_c(user.name)), db_text(str_c(user.lower))};

	q.text = "SELECT username, domain, grp FROM grp WHERE username = ? AND LOWER(domain) = ? "
		 "ORDER BY grp";
	q.param = key;
	q.params = 2;
	return show_rows(c, &q, columns, "this user is in no group");
}

int verb_acl_grant(struct ctl *c, int argc, char **argv)
{
	struct user user;
	bool found;

	if (read_user(c, argv[0], &user) != DONE || read_group(argv[1]) != DONE ||
		need_user(c, &user) != DONE)
		return FAILED;
	struct db_value row[] = {
		db_text(str_c(user.name)), db_text(str_c(user.domain)), db_text(str_c(argv[1]))};
	struct query look = {.text = "SELECT grp FROM grp WHERE username = ? AND domain = ? AND "
				     "grp = ?",
		.columns = "s",
		.param = row,
		.params = 3};
	struct query q = {.text = "INSERT INTO grp (username, domain, grp, last_modified) VALUES "
				  "(?, ?, ?, CURRENT_TIMESTAMP)",
		.otherwise = "INSERT INTO grp (username, domain, grp) VALUES (?, ?, ?)",
		.param = row,
		.params = 3};

	if (has_row(c, &look, &found) != DONE)
		return FAILED;
	if (found)
		return done("%s@%s is in %s already", user.name, user.domain, argv[1]);
	if (ask_database(c, &q) != DONE)
		return FAILED;
	forget_rows(c);
	return done("%s@%s is in %s now", user.name, user.domain, argv[1]);
}

int verb_acl_revoke(struct ctl *c, int argc, char **argv)
{
	const char *group = argc > 1 ? argv[1] : NULL;
	struct user user;

	if (read_user(c, argv[0], &user) != DONE || (group != NULL && read_group(group) != DONE))
		return FAILED;
	struct db_value row[] = {
		db_text(str_c(user.name)), db_text(str_c(user.lower)), db_text(str_c(group))};
	struct query q = {
		.text = group != NULL
				? "DELETE FROM grp WHERE username = ? AND LOWER(domain) = ? AND "
				  "grp = ?"
				: "DELETE FROM grp WHERE username = ? AND LOWER(domain) = ?",
		.param = row,
		.params = group != NULL ? 3 : 2};

	if (ask_database(c, &q) != DONE)
		return FAILED;
	if (q.changed == 0)
		return fail("%s@%s is in no such group", user.name, user.domain);
	forget_rows(c);
	return group != NULL ? done("%s@%s is not in %s any more", user.name, user.domain, group)
			     : done("%s@%s is in no group any more", user.name, user.domain);
}
