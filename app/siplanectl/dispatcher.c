/* SPDX-License-Identifier: BSD-3-Clause */
/* Destinations by set: rows of `dispatcher`, where siplane's list comes from a table. */
#include "siplanectl.h"

#define URI_MAX 192
#define ATTRIBUTES_MAX 128
#define DESCRIPTION_MAX 64

static const char *const columns[] = {
	"set", "destination", "flags", "priority", "attributes", "description", NULL};

static void tell(struct ctl *c)
{
	reload_list(c, "ds.reload", "destinations", "dispatcher");
}

int verb_dispatcher_show(struct ctl *c, int argc, char **argv)
{
	struct query q = {
		.text = "SELECT setid, destination, flags, priority, attrs, description FROM "
			"dispatcher ORDER BY setid, priority DESC, destination",
		.otherwise = "SELECT setid, destination, flags FROM dispatcher ORDER BY setid, "
			     "destination",
		.columns = "isiiss"};

	return show_rows(c, &q, columns, "there are no destinations");
}

/* One word of a list: what siplane would leave out is not stored. */
static bool is_word(const char *text, size_t max)
{
	size_t len = strlen(text);

	for (size_t i = 0; i < len; i++)
		if ((unsigned char)text[i] <= ' ' || text[i] == 0x7f)
			return false;
	return len <= max && text[0] != '#';
}

static int read_set(const char *text, uint32_t *set)
{
	return str_to_u32(str_c(text), INT32_MAX, set) == 0
		       ? DONE
		       : fail("'%s' is no set: a number from 0 on", text);
}

static int read_destination(const char *text)
{
	if (strncasecmp(text, "sip:", 4) == 0 && text[4] != '\0' && is_word(text, URI_MAX))
		return DONE;
	return fail("'%s' is no destination: a SIP URI such as sip:192.0.2.1:5060, %d bytes at "
		    "most",
		text, URI_MAX);
}

/* Flags and priority are whole numbers. */
static int read_number(const char *text, const char *what, int64_t *out)
{
	bool negative = text[0] == '-';
	uint32_t n;

	if (str_to_u32(str_c(text + negative), INT32_MAX, &n) != 0)
		return fail("'%s': %s is a whole number", text, what);
	*out = negative ? -(int64_t)n : (int64_t)n;
	return DONE;
}

#define WHERE " WHERE setid = ? AND destination = ?"

/* SET URI [FLAGS] [PRIORITY] [ATTRIBUTES] [DESCRIPTION], as kamctl has it. */
int verb_dispatcher_add(struct ctl *c, int argc, char **argv)
{
	const char *attributes = argc > 4 ? argv[4] : "", *description = argc > 5 ? argv[5] : "";
	int64_t flags = 0, priority = 0;
	uint32_t set;
	bool found;

	if (read_set(argv[0], &set) != DONE || read_destination(argv[1]) != DONE ||
		(argc > 2 && read_number(argv[2], "flags", &flags) != DONE) ||
		(argc > 3 && read_number(argv[3], "a priority", &priority) != DONE))
		return FAILED;
	if (flags < 0 || flags > 63)
		return fail("'%s': flags are a sum of 1 inactive, 2 trying, 4 disabled, 8 probing, "
			    "16 no DNS, 32 no pings",
			argv[2]);
	if (!is_word(attributes, ATTRIBUTES_MAX))
		return fail("attributes are name=value;name=value without spaces, %d bytes at most",
			ATTRIBUTES_MAX);
	if (strlen(description) > DESCRIPTION_MAX)
		return fail("a description has %d bytes at most", DESCRIPTION_MAX);
	struct db_value row[] = {db_int(set), db_text(str_c(argv[1])), db_int(flags),
		db_int(priority), db_text(str_c(attributes)), db_text(str_c(description))};
	struct query look = {.text = "SELECT setid FROM dispatcher" WHERE,
		.columns = "i",
		.param = row,
		.params = 2};
	struct query q = {.text = "INSERT INTO dispatcher (setid, destination, flags, priority, "
				  "attrs, description) VALUES (?, ?, ?, ?, ?, ?)",
		.param = row,
		.params = 6};

	if (has_row(c, &look, &found) != DONE)
		return FAILED;
	if (found)
		return fail("set %u has %s already", set, argv[1]);
	if (ask_database(c, &q) != DONE)
		return FAILED;
	tell(c);
	return done("%s is in set %u now", argv[1], set);
}

int verb_dispatcher_rm(struct ctl *c, int argc, char **argv)
{
	uint32_t set;

	if (read_set(argv[0], &set) != DONE)
		return FAILED;
	struct db_value row[] = {db_int(set), db_text(str_c(argv[1]))};
	struct query q = {.text = "DELETE FROM dispatcher" WHERE, .param = row, .params = 2};

	if (ask_database(c, &q) != DONE)
		return FAILED;
	if (q.changed == 0)
		return fail("set %u has no %s", set, argv[1]);
	tell(c);
	return done("%s is not in set %u any more", argv[1], set);
}
