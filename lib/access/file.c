/* SPDX-License-Identifier: BSD-3-Clause */
/* List files: one record a line, fields between spaces, '#' begins a comment. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "access/internal.h"

struct route_place access_line_place(const struct access_line *line, unsigned field)
{
	unsigned last = line->count < ACCESS_FIELDS_MAX ? line->count : ACCESS_FIELDS_MAX;
	struct route_place place = {
		.file = line->file, .line = line->number, .column = 1, .length = 1};

	if (last == 0)
		return place;
	if (field >= last)
		field = last - 1;
	place.column = line->column[field];
	place.length = (int)line->field[field].len;
	return place;
}

/* Reads all of an open file. */
static int read_all(FILE *f, char **text, size_t *len)
{
	size_t room = 0, have = 0, n;
	char *buf = NULL, *bigger;

	for (;;) {
		if (have == room) {
			if (room > ACCESS_FILE_MAX) {
				free(buf);
				return -EFBIG;
			}
			room = room == 0 ? 65536 : 2 * room;
			bigger = realloc(buf, room);
			if (bigger == NULL) {
				free(buf);
				return -ENOMEM;
			}
			buf = bigger;
		}
		n = fread(buf + have, 1, room - have, f);
		if (n == 0)
			break;
		have += n;
	}
	if (ferror(f)) {
		free(buf);
		return errno != 0 ? -errno : -EIO;
	}
	*text = buf;
	*len = have;
	return 0;
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static void split(struct access_line *line, struct str text)
{
	uint32_t at = 0;

	line->count = 0;
	for (;;) {
		uint32_t begin;

		while (at < text.len && is_space(text.s[at]))
			at++;
		if (at == text.len || text.s[at] == '#')
			return;
		begin = at;
		while (at < text.len && !is_space(text.s[at]))
			at++;
		if (line->count < ACCESS_FIELDS_MAX) {
			line->field[line->count] = str_of(text.s + begin, at - begin);
			line->column[line->count] = (int)begin + 1;
		}
		line->count++;
	}
}

int access_file_read(const char *path, struct route_report *report,
	void (*take)(void *arg, const struct access_line *line), void *arg)
{
	struct access_line line = {.file = path};
	struct route_place place = {.file = path};
	FILE *f = fopen(path, "re");
	char *text = NULL;
	size_t len = 0;
	int err;

	if (f == NULL) {
		err = -errno;
		route_error(report, &place, "cannot open the file: %s", strerror(-err));
		return err;
	}
	errno = 0;
	err = read_all(f, &text, &len);
	fclose(f);
	if (err != 0) {
		route_error(report, &place, "cannot read the file: %s", strerror(-err));
		return err;
	}
	for (size_t at = 0; at < len;) {
		const char *newline = memchr(text + at, '\n', len - at);
		size_t end = newline != NULL ? (size_t)(newline - text) : len;

		line.number++;
		split(&line, str_of(text + at, end - at));
		if (line.count != 0)
			take(arg, &line);
		at = end + 1;
	}
	free(text);
	return 0;
}
