/* SPDX-License-Identifier: BSD-3-Clause */
/* The domains that are served: rows of `domain`. */
#include "siplanectl.h"

static const char *const columns[] = {"domain", NULL};

int verb_domain_show(struct ctl *c, int argc, char **argv)
{
	struct query q = {.text = "SELECT domain FROM domain ORDER BY domain", .columns = "s"};

	return show_rows(c, &q, columns, "there are no domains");
}

int verb_domain_add(struct ctl *c, int argc, char **argv)
{
	char lower[DOMAIN_MAX + 1];
	struct db_value row[] = {db_text(STR_NONE)};
	struct query look = {.text = "SELECT domain FROM domain WHERE LOWER(domain) = ?",
		.columns = "s",
		.param = row,
		.params = 1};
	struct query q = {
		.text = "INSERT INTO domain (domain, last_modified) VALUES (?, CURRENT_TIMESTAMP)",
		.otherwise = "INSERT INTO domain (domain) VALUES (?)",
		.param = row,
		.params = 1};
	bool found;

	if (!is_domain(argv[0]))
		return fail("'%s' is no domain", argv[0]);
	lower_case(lower, argv[0]);
	row[0] = db_text(str_c(lower));
	if (has_row(c, &look, &found) != DONE)
		return FAILED;
	if (found)
		return fail("there is a domain %s already", lower);
	if (ask_database(c, &q) != DONE)
		return FAILED;
	reload_list(c, "domain.reload", "domains", "domain");
	return done("domain %s is added", lower);
}

int verb_domain_rm(struct ctl *c, int argc, char **argv)
{
	char lower[DOMAIN_MAX + 1];
	struct db_value row[] = {db_text(STR_NONE)};
	struct query q = {
		.text = "DELETE FROM domain WHERE LOWER(domain) = ?", .param = row, .params = 1};

	if (!is_domain(argv[0]))
		return fail("'%s' is no domain", argv[0]);
	lower_case(lower, argv[0]);
	row[0] = db_text(str_c(lower));
	if (ask_database(c, &q) != DONE)
		return FAILED;
	if (q.changed == 0)
		return fail("there is no domain %s", lower);
	reload_list(c, "domain.reload", "domains", "domain");
	return done("domain %s is removed", lower);
}
