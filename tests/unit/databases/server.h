/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * A database for a test: SQLite's file, or a server of Debian's that tests/e2e/databases.py starts
 * in a folder of its own and ends with this process, however that ends.
 */
#include <stdbool.h>

struct server;

/* "sqlite", "mysql" or "postgres". NULL: it is not installed, which it says; what else goes wrong
 * ends the program. */
struct server *server_start(const char *engine);
void server_end(struct server *s);

/* Its URL; `how`: "", or of "socket", "wrong" (password), "absent" (database), "reader" (a user who
 * may only look), as far as the engine has such things. Owned by the server, until the next. */
const char *server_url(struct server *s, const char *how);
/* What stands in the URL and must not be seen. */
const char *server_password(void);

/* Has MariaDB's library of this process ask for TLS; before its first connection. PostgreSQL's does
 * so by itself. */
void server_use_tls(struct server *s);

/* "start", "stop", "kill", "pause", "resume". */
void server_do(struct server *s, const char *what);
/* As its administrator; returns what it answers, its words between blanks. Owned by the server. */
const char *server_sql(struct server *s, const char *sql);
