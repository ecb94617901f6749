/* SPDX-License-Identifier: BSD-3-Clause */
/* A database for a case: a file of SQLite, below $TMPDIR or /var/tmp, which is seldom memory. */
#include "phones.h"

#include <stdlib.h>
#include <sys/vfs.h>
#include <unistd.h>

static char made[sizeof(((struct store *)NULL)->folder)]; /* for the end of the program */

static const char *device_of(const char *folder)
{
	struct statfs fs;

	if (statfs(folder, &fs) != 0)
		return "SQLite";
	switch ((unsigned long)fs.f_type) {
	case 0x01021994:
		return "SQLite on tmpfs, which is memory";
	case 0xEF53:
		return "SQLite on ext4";
	case 0x58465342:
		return "SQLite on xfs";
	case 0x9123683E:
		return "SQLite on btrfs";
	default:
		return "SQLite";
	}
}

static void store_remove(void)
{
	static const char *const suffix[] = {"", "-wal", "-shm"};
	char path[300];

	for (unsigned i = 0; i < RTE_DIM(suffix); i++) {
		snprintf(path, sizeof(path), "%.255s/bench.sqlite%s", made, suffix[i]);
		unlink(path);
	}
	rmdir(made);
}

void store_make(struct bench *b, struct store *s)
{
	const char *below = getenv("TMPDIR");
	char error[256];
	struct db *db;
	int n;

	snprintf(s->folder, sizeof(s->folder), "%s/bench-db-XXXXXX",
		below != NULL ? below : "/var/tmp");
	if (mkdtemp(s->folder) == NULL)
		bench_fail(b, "%s cannot be made", s->folder);
	snprintf(made, sizeof(made), "%s", s->folder);
	atexit(store_remove);
	snprintf(s->url, sizeof(s->url), "sqlite://%s/bench.sqlite", s->folder);
	s->device = device_of(s->folder);
	db = db_create(&(struct db_config){.threads = 1}, error, sizeof(error));
	n = db != NULL ? db_use(db, s->url, error, sizeof(error)) : -1;
	if (n < 0 || db_schema_create(db, n, error, sizeof(error)) < 0)
		bench_fail(b, "%s: %s", s->url, error);
	db_destroy(db);
}
