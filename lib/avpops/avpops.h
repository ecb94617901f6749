/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * avpops: what a database keeps for users, as AVPs of the script: OpenSER's table usr_preferences.
 *
 * The module avpops is here whole: its functions on AVPs alone are lib/route's (avpops.h there),
 * and this room adds avp_db_load(), avp_db_store(), avp_db_delete() and avp_db_query(). They run on
 * workers: no lock, no allocation, no log. A load looks rows up in the cache of rows (db.h) and
 * waits for those that are not there; a store and a delete wait for their commit. Each of them says
 * which rows the cache has to forget, so that a script finds what it has stored.
 *
 * A *row* has a key (a uuid, or a user with or without his domain), an attribute, a type and a
 * value. Type 1 is a number; type 2 says that the attribute's name is one, "i:5". Several rows of
 * one attribute are several values of one AVP, the row that was made last being the newest value.
 *
 * What a message carries reaches SQL as a parameter and in no other way; avp_db_query() makes a
 * parameter of each variable, with the quotes around it, while the file is read.
 *
 * Users are looked up without %HH and domains in lower case (RFC 3261 19.1.4): nobody has other
 * preferences for being called by another spelling of his name.
 *
 * Bounds: an answer has 32 values of one attribute, or 21 rows of all ("a"), and 2 KB of text: more
 * is as if the database had failed (-2). A store has the AVPs that one message has, in 8 KB.
 *
 * Threads: the control thread creates, registers, destroys; it or the loader loads scripts. All
 * else is for threads with a route_thread.
 *
 * Files: avpops (the room), source (whose rows), scheme (db_scheme), sql, sites (what is loaded),
 * load, change (store and delete), query.
 */
#include "db/db.h"
#include "route/route.h"

struct avpops;

/* `db` NULL: there is no database, and what needs one is refused at load. NULL and errno. */
struct avpops *avpops_create(struct db *db);
/* No script that was loaded with it runs any more; one may still be there. */
void avpops_destroy(struct avpops *a);
/* Adds the module; 0 or -errno. */
int avpops_register(struct avpops *a, struct route_registry *registry);
