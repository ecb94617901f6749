/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * spool_file: what a spool keeps on disk. A SQLite file:
 *
 *   spool      one row: its name, by which it is told from others, and the next change's number
 *   database   numbers for URLs (without passwords)
 *   statement  numbers for texts of statements
 *   change     what is to be made: the database, a number that grows and is never used again, and
 *              the calls as call.c packs them, with the numbers of `statement`
 *   refused    the same, when, why (`sentence`), and while that has room the calls as text
 *   why        shows these to people
 *
 * One thread at a time. What goes wrong is said in `error`.
 *
 * Files: spool_file, spool_sql (its statements), spool_read, spool_text (for people).
 */
#include "db/internal.h"

struct spool_file;

enum spool_result {
	SPOOL_DONE,
	SPOOL_FULL,  /* the file has the size that it may have, or its disk is full */
	SPOOL_FAILED /* the disk, or the file is damaged */
};

struct spool_row {
	int64_t id;
	struct str
		calls; /* with the numbers of this process; empty: they cannot be made (any more) */
};

/* NULL, and errno (as db_lane_spool()) and a sentence. */
struct spool_file *spool_file_open(
	struct db *db, const char *path, uint64_t bytes, char *error, size_t error_size);
void spool_file_close(struct spool_file *f);
/* What it may have from now on; never less than it has. `over`: a quarter more, so that what stands
 * in a full file can be put aside. */
void spool_file_limit(struct spool_file *f, uint64_t bytes, bool over);
/* A random text that no other file has. Owned by it. */
const char *spool_file_name(const struct spool_file *f);

/* Around what changes it: all of it is on disk, or nothing. */
enum spool_result spool_file_begin(struct spool_file *f, char *error, size_t error_size);
enum spool_result spool_file_commit(struct spool_file *f, char *error, size_t error_size);
void spool_file_undo(struct spool_file *f);
/* Whether what has been done since the beginning may still be kept after an error. */
bool spool_file_goes_on(const struct spool_file *f);

enum spool_result spool_file_put(struct spool_file *f, const struct database *d, struct str calls,
	char *error, size_t error_size);
/* All of a database's up to this number are over. *count is the number of them. */
enum spool_result spool_file_strike(struct spool_file *f, const struct database *d, int64_t to,
	uint64_t *count, char *error, size_t error_size);
/* Keeps aside what was refused: the change of this number, which is not among the others any more;
 * or with 0 one that never was there, as long as all of these have half of the file at most. */
enum spool_result spool_file_refuse(struct spool_file *f, const struct database *d, int64_t id,
	struct str calls, const char *sentence, char *error, size_t error_size);

/* How many there are for a database. */
enum spool_result spool_file_count(struct spool_file *f, const struct database *d, uint64_t *count,
	char *error, size_t error_size);
/* The first ones behind `after`, `*rows` of them at most, their calls in room[size]; says how many
 * in *rows. */
enum spool_result spool_file_read(struct spool_file *f, const struct database *d, int64_t after,
	struct spool_row *row, unsigned *rows, char *room, size_t size, char *error,
	size_t error_size);
/* When it is empty: gives pages back to the disk. */
void spool_file_shrink(struct spool_file *f);

/* SQL, and its values, of each call, in out[size], which has room for a sentence at least: how many
 * bytes. What has no room is said to be too long. Any thread. */
size_t spool_text_write(const struct db *db, struct str calls, char *out, size_t size);
