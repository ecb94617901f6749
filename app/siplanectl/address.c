/* SPDX-License-Identifier: BSD-3-Clause */
/* Addresses by group: rows of `address`, as the module permissions knows them. */
#include <arpa/inet.h>
#include <stdio.h>

#include "siplanectl.h"

static const char *const columns[] = {"group", "address", "mask", "port", "tag", NULL};

struct address {
	uint32_t group, mask, port;
	char ip[INET6_ADDRSTRLEN];
};

static int read_address(const char *group, const char *text, const char *port, struct address *out)
{
	struct in6_addr addr;
	const char *slash = strchr(text, '/');
	size_t len = slash != NULL ? (size_t)(slash - text) : strlen(text);
	unsigned bits;

	if (str_to_u32(str_c(group), INT32_MAX, &out->group) != 0 || out->group == 0)
		return fail("'%s' is no group: a number from 1 on", group);
	if (len >= sizeof(out->ip))
		return fail("'%s' is no address", text);
	memcpy(out->ip, text, len);
	out->ip[len] = '\0';
	if (inet_pton(AF_INET, out->ip, &addr) == 1)
		bits = 32;
	else if (inet_pton(AF_INET6, out->ip, &addr) == 1)
		bits = 128;
	else
		return fail("'%s' is no address", text);
	out->mask = bits;
	if (slash != NULL && str_to_u32(str_c(slash + 1), bits, &out->mask) != 0)
		return fail("'%s': a mask has 0 to %u bits", text, bits);
	out->port = 0;
	if (port != NULL && str_to_u32(str_c(port), 65535, &out->port) != 0)
		return fail("'%s' is no port", port);
	return DONE;
}

int verb_address_show(struct ctl *c, int argc, char **argv)
{
	struct query q = {.text = "SELECT grp, ip_addr, mask, port, tag FROM address ORDER BY grp, "
				  "ip_addr",
		.otherwise = "SELECT grp, ip_addr, mask, port FROM address ORDER BY grp, ip_addr",
		.columns = "isiis"};

	return show_rows(c, &q, columns, "there are no addresses");
}

#define WHERE_ADDRESS " WHERE grp = ? AND ip_addr = ? AND mask = ? AND port = ?"

int verb_address_add(struct ctl *c, int argc, char **argv)
{
	const char *tag = argc > 3 ? argv[3] : "";
	struct address a;
	bool found;

	if (read_address(argv[0], argv[1], argc > 2 ? argv[2] : NULL, &a) != DONE)
		return FAILED;
	if (strlen(tag) > 64)
		return fail("a tag has 64 bytes at most");
	struct db_value row[] = {db_int(a.group), db_text(str_c(a.ip)), db_int(a.mask),
		db_int(a.port), db_text(str_c(tag))};
	struct query look = {.text = "SELECT grp FROM address" WHERE_ADDRESS,
		.columns = "i",
		.param = row,
		.params = 4};
	struct query q = {.text = tag[0] != '\0'
					  ? "INSERT INTO address (grp, ip_addr, mask, port, tag) "
					    "VALUES (?, ?, ?, ?, ?)"
					  : "INSERT INTO address (grp, ip_addr, mask, port) VALUES "
					    "(?, ?, ?, ?)",
		.param = row,
		.params = tag[0] != '\0' ? 5 : 4};

	if (has_row(c, &look, &found) != DONE)
		return FAILED;
	if (found)
		return fail("group %u has %s/%u already", a.group, a.ip, a.mask);
	if (ask_database(c, &q) != DONE)
		return FAILED;
	reload_list(c, "address.reload", "addresses", "permissions");
	return done("%s/%u is in group %u now", a.ip, a.mask, a.group);
}

int verb_address_rm(struct ctl *c, int argc, char **argv)
{
	struct address a;

	if (read_address(argv[0], argv[1], argc > 2 ? argv[2] : NULL, &a) != DONE)
		return FAILED;
	struct db_value row[] = {
		db_int(a.group), db_text(str_c(a.ip)), db_int(a.mask), db_int(a.port)};
	struct query q = {.text = "DELETE FROM address" WHERE_ADDRESS, .param = row, .params = 4};

	if (ask_database(c, &q) != DONE)
		return FAILED;
	if (q.changed == 0)
		return fail("group %u has no %s/%u", a.group, a.ip, a.mask);
	reload_list(c, "address.reload", "addresses", "permissions");
	return done("%s/%u is not in group %u any more", a.ip, a.mask, a.group);
}
