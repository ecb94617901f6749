/* SPDX-License-Identifier: BSD-3-Clause */
/* All verbs: help, man page and completion are made of this table. */
#include "siplanectl.h"

#define PASSWORD_HELP \
	"Left out, the password is asked for on the terminal, twice and without echo; where " \
	"standard " \
	"input is no terminal, its first line is taken. One that stands in the command line can " \
	"be " \
	"seen in the list of processes and in the shell's history. Stored are its digests with " \
	"MD5, SHA-256 and SHA-512/256 for the user's domain as the realm (or --realm), never the " \
	"password."

#define DESTINATIONS_MAX 64 /* of one command */

#define STATE_HELP \
	"New calls are sent elsewhere, and no call is split: retransmissions, CANCEL and ACK " \
	"follow " \
	"their INVITE, and requests within dialogs their Route. With algorithms that remember " \
	"nothing (hashes, priority) a new INVITE may be a retransmission, and goes there for 32 " \
	"seconds more. 'ds list' shows for how long anything may be left. It is no verdict on " \
	"health, and 'ds up' does not lift it. It holds through reloads, until the list says of " \
	"the " \
	"destination another thing than it did, and ends with siplane: what is to outlive a " \
	"restart " \
	"stands in the list (state=drain). Several destinations are one change; a set has room " \
	"for " \
	"15 changes within four minutes."

const struct verb verbs[] = {
	{"add", "USER[@DOMAIN] [PASSWORD] [EMAIL]", 1, 3, verb_add, "add a user", PASSWORD_HELP},
	{"rm", "USER[@DOMAIN]", 1, 1, verb_rm, "remove a user, with his groups and aliases",
		"What he has registered stands until it ends: 'ul rm' takes that away."},
	{"passwd", "USER[@DOMAIN] [PASSWORD]", 1, 2, verb_passwd, "change a user's password",
		PASSWORD_HELP},
	{"show", "[USER[@DOMAIN]]", 0, 1, verb_show, "show users", NULL},
	{"online", "", 0, 0, verb_online, "show who is registered", NULL},
	{"ul show", "[AOR]", 0, 1, verb_ul_show, "show contacts, of one user or of all", NULL},
	{"ul rm", "AOR [CONTACT]", 1, 2, verb_ul_rm, "remove a user's contacts, or one of them",
		NULL},
	{"ul dump", "", 0, 0, verb_ul_dump, "show contacts with all that is known of them", NULL},
	{"acl show", "[USER[@DOMAIN]]", 0, 1, verb_acl_show, "show who is in which groups", NULL},
	{"acl grant", "USER[@DOMAIN] GROUP", 2, 2, verb_acl_grant, "put a user into a group",
		"is_user_in() in the script asks for it."},
	{"acl revoke", "USER[@DOMAIN] [GROUP]", 1, 2, verb_acl_revoke,
		"take a user out of a group, or out of all", NULL},
	{"alias show", "[ALIAS|USER]", 0, 1, verb_alias_show,
		"show aliases: all, one, or those of a user", NULL},
	{"alias add", "ALIAS[@DOMAIN] USER[@DOMAIN]", 2, 2, verb_alias_add,
		"give a user another name", "alias_db_lookup() in the script asks for it."},
	{"alias rm", "ALIAS[@DOMAIN]", 1, 1, verb_alias_rm, "remove an alias", NULL},
	{"avp list", "[-T TABLE] [-u USER@DOMAIN|UUID] [-a ATTRIBUTE] [-v VALUE] [-t TYPE]", 0, 0,
		verb_avp_list, "show what is kept for users, all or what the options say",
		"avp_db_load() in the script asks for it. -T is another table than "
		"usr_preferences."},
	{"avp add", "[-T TABLE] USER@DOMAIN|UUID ATTRIBUTE TYPE VALUE", 4, 4, verb_avp_add,
		"keep a value for a user",
		"Type 0 is a text, 1 a number; 2 and 3 are the same of an attribute whose name is "
		"a number, $avp(i:5). One attribute may have several values."},
	{"avp rm", "[-T TABLE] [-u USER@DOMAIN|UUID] [-a ATTRIBUTE] [-v VALUE] [-t TYPE]", 0, 0,
		verb_avp_rm, "remove what the options say, of what is kept for users", NULL},
	{"domain show", "", 0, 0, verb_domain_show, "show the domains in the database", NULL},
	{"domain add", "DOMAIN", 1, 1, verb_domain_add, "add a domain",
		"A running siplane is told to read its domains again."},
	{"domain rm", "DOMAIN", 1, 1, verb_domain_rm, "remove a domain", NULL},
	{"domain reload", "", 0, 0, verb_domain_reload,
		"have siplane read its domains again: domain_file and table",
		"Waits until they are current. What cannot be read changes nothing, and it is said "
		"why."},
	{"address show", "", 0, 0, verb_address_show, "show the addresses in the database", NULL},
	{"address add", "GROUP ADDRESS[/BITS] [PORT] [TAG]", 2, 4, verb_address_add,
		"put an address or a network into a group",
		"A running siplane is told to read its addresses again."},
	{"address rm", "GROUP ADDRESS[/BITS] [PORT]", 2, 3, verb_address_rm,
		"take an address out of a group", NULL},
	{"address reload", "", 0, 0, verb_address_reload,
		"have siplane read its addresses again: address_file and table",
		"Waits until they are current. What cannot be read changes nothing, and it is said "
		"why."},
	{"dispatcher show", "", 0, 0, verb_dispatcher_show, "show the destinations in the database",
		NULL},
	{"dispatcher add", "SET URI [FLAGS] [PRIORITY] [ATTRIBUTES] [DESCRIPTION]", 2, 6,
		verb_dispatcher_add, "add a destination to a set",
		"A running siplane is told to read its list again. Attributes are name=value;..., "
		"as "
		"in a list_file."},
	{"dispatcher rm", "SET URI", 2, 2, verb_dispatcher_rm, "take a destination out of a set",
		"A running siplane is told to read its list again. New calls keep going there for "
		"32 "
		"seconds, so that no call is split; 'ds down' sends them elsewhere at once."},
	{"ds list", "", 0, 0, verb_ds_list, "show the dispatcher's destinations", NULL},
	{"ds reload", "", 0, 0, verb_ds_reload, "have siplane read the dispatcher's list again",
		"Waits until it is current. One with errors changes nothing, and they are shown."},
	{"ds up", "ID|URI", 1, 1, verb_ds_up, "say that a destination is up", NULL},
	{"ds down", "ID|URI", 1, 1, verb_ds_down,
		"say that a destination is down: new calls go elsewhere",
		"It is a verdict on its health, for one that does not answer: new calls go "
		"elsewhere at once, and so does an INVITE that is sent again. It holds until "
		"somebody "
		"says otherwise: 'ds up', or a probe. One that answers is taken out of service by "
		"'ds drain'."},
	{"ds drain", "SET URI...", 2, 1 + DESTINATIONS_MAX, verb_ds_drain,
		"take destinations out of service, and let their calls end", STATE_HELP},
	{"ds disable", "SET URI...", 2, 1 + DESTINATIONS_MAX, verb_ds_disable,
		"take destinations out of service, as no active ones either",
		"As 'ds drain'; and ds_is_from_list() does not count them among the active ones "
		"any "
		"more, as it does those that are drained and may still send requests."},
	{"ds enable", "SET URI...", 2, 1 + DESTINATIONS_MAX, verb_ds_enable,
		"take destinations back into service",
		"Also those that the list itself says are drained or disabled. New calls come "
		"within "
		"32 seconds, and what meanwhile went elsewhere stays there."},
	{"stats", "[GROUP|FIGURE]", 0, 1, verb_stats,
		"show figures: those that are not zero, a group, or one", NULL},
	{"uptime", "", 0, 0, verb_uptime, "show since when siplane runs", NULL},
	{"version", "", 0, 0, verb_version, "show which siplane runs", NULL},
	{"reload", "", 0, 0, verb_reload, "have siplane read its configuration and lists again",
		"Waits until it is current. One with errors changes nothing, and they are shown."},
	{"db create", "", 0, 0, verb_db_create, "make the tables that are not there", NULL},
	{"db migrate", "", 0, 0, verb_db_migrate,
		"bring older tables up to date, keeping what stands in them", NULL},
	{"db check", "", 0, 0, verb_db_check,
		"look whether siplane can use the tables, and what for", NULL},
	{"methods", "", 0, 0, verb_methods, "show what can be asked on the control socket", NULL},
	{"call", "METHOD [NAME=VALUE]...", 1, 7, verb_call, "ask any of that; the answer is JSON",
		NULL},
	{0},
};
