/* SPDX-License-Identifier: BSD-3-Clause */
/* Preprocessor: the files, the expanded text, and where each byte of it was written. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "route/source_reader.h"

struct route_place source_place_in(
	const struct source *source, uint16_t file, uint32_t off, uint32_t width)
{
	const struct source_file *f = &source->file[file];
	uint32_t low = 0, high = f->lines;

	while (high - low > 1) {
		uint32_t middle = (low + high) / 2;

		if (f->line[middle] <= off)
			low = middle;
		else
			high = middle;
	}
	return (struct route_place){
		f->name, (int)low + 1, (int)(off - f->line[low]) + 1, width > 0 ? (int)width : 1};
}

void source_fail(
	const struct reader *r, uint32_t off, uint32_t width, const char *message, struct str what)
{
	struct route_place place = source_place_in(r->source, r->file, off, width);

	route_error(r->source->report, &place, "%s%.*s", message, STR_FMT(what));
}

/* A bound is met: said once, and the expansion ends. */
void source_stop(const struct reader *r, uint32_t off, const char *message)
{
	if (!r->source->failed)
		source_fail(r, off, 1, message, STR(""));
	r->source->failed = true;
}

void source_put(struct reader *r, struct str s, uint32_t off, uint32_t width)
{
	struct source *source = r->source;
	const struct source_mark *last =
		source->marks > 0 ? &source->mark[source->marks - 1] : NULL;

	if (s.len == 0 || source->failed)
		return;
	if (s.len > SOURCE_TEXT_MAX - source->len) {
		source_stop(r, off, "the configuration is larger than 8 MB once it is expanded");
		return;
	}
	if (source->cap - source->len < s.len) {
		uint32_t cap = (source->len + s.len) * 2;
		char *grown = realloc(source->out, cap);

		if (grown == NULL) {
			source_stop(r, off, "not enough memory");
			return;
		}
		source->out = grown;
		source->cap = cap;
	}
	/* A run that goes on where the last one ended needs no mark. */
	if (last == NULL || width != 0 || last->width != 0 || last->file != r->file ||
		off - last->off != source->len - last->out) {
		if (!code_grow(&source->mark, source->marks, &source->marks_cap,
			    sizeof(source->mark[0]))) {
			source_stop(r, off, "not enough memory");
			return;
		}
		source->mark[source->marks++] =
			(struct source_mark){source->len, off, width, r->file};
	}
	memcpy(source->out + source->len, s.s, s.len);
	source->len += s.len;
}

static int add_file(struct source *source, const char *name, struct str text, uint16_t *index)
{
	struct source_file *f = &source->file[source->files];
	uint32_t lines = 1;

	for (uint32_t i = 0; i < text.len; i++)
		lines += text.s[i] == '\n';
	f->name = strdup(name);
	f->text = malloc((size_t)text.len + 1);
	f->line = malloc(lines * sizeof(f->line[0]));
	if (f->name == NULL || f->text == NULL || f->line == NULL) {
		free(f->name);
		free(f->text);
		free(f->line);
		*f = (struct source_file){0};
		return -ENOMEM;
	}
	if (text.len > 0)
		memcpy(f->text, text.s, text.len);
	f->text[text.len] = '\0';
	f->len = text.len;
	f->line[f->lines++] = 0;
	for (uint32_t i = 0; i < text.len; i++) {
		if (text.s[i] == '\n')
			f->line[f->lines++] = i + 1;
	}
	*index = (uint16_t)source->files++;
	report_source(source->report, name, text);
	return 0;
}

/* Reads a regular file of bounded size. */
static char *slurp(const char *path, uint32_t *len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), error = 0;
	struct stat st;
	char *text = NULL;
	ssize_t n = 0;

	if (fd < 0)
		return NULL;
	if (fstat(fd, &st) != 0)
		error = errno;
	else if (!S_ISREG(st.st_mode))
		error = S_ISDIR(st.st_mode) ? EISDIR : EINVAL;
	else if (st.st_size > SOURCE_FILE_BYTES_MAX)
		error = EFBIG;
	else if ((text = malloc((size_t)st.st_size + 1)) == NULL)
		error = ENOMEM;
	else if ((n = read(fd, text, (size_t)st.st_size)) < 0)
		error = errno;
	close(fd);
	if (error != 0) {
		free(text);
		errno = error;
		return NULL;
	}
	*len = (uint32_t)n;
	return text;
}

int source_read(struct source *source, const char *path, uint16_t *index, const struct reader *from,
	uint32_t off)
{
	uint32_t len = 0;
	struct route_place place = from != NULL ? source_place_in(source, from->file, off, 12)
						: (struct route_place){.file = path};
	char *text;
	int err;

	if (source->files == SOURCE_FILES_MAX) {
		route_error(source->report, &place, "more than %d files", SOURCE_FILES_MAX);
		source->failed = true;
		return -E2BIG;
	}
	text = slurp(path, &len);
	if (text == NULL) {
		err = -errno;
		if (from != NULL)
			route_error(source->report, &place, "cannot read '%s': %s", path,
				strerror(-err));
		else
			route_error(source->report, &place, "cannot read this file: %s",
				strerror(-err));
		return err;
	}
	err = add_file(source, path, str_of(text, len), index);
	free(text);
	if (err != 0)
		source->failed = true;
	return err;
}

struct source *source_create(struct route_report *report)
{
	static const char *const known[] = {"SIPLANE", "KAMAILIO", "KAMAILIO_5", "KAMAILIO_5_6"};
	struct source *source = calloc(1, sizeof(*source));

	if (source == NULL)
		return NULL;
	source->report = report;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		source->define[i].name = strdup(known[i]);
		if (source->define[i].name == NULL) {
			source_destroy(source);
			return NULL;
		}
		source->defines++;
	}
	return source;
}

void source_destroy(struct source *source)
{
	if (source == NULL)
		return;
	for (unsigned i = 0; i < source->files; i++) {
		free(source->file[i].name);
		free(source->file[i].text);
		free(source->file[i].line);
	}
	for (unsigned i = 0; i < source->defines; i++) {
		free(source->define[i].name);
		free(source->define[i].value);
	}
	for (unsigned i = 0; i < source->substs; i++) {
		regfree(&source->subst[i].regex);
		free(source->subst[i].replacement);
	}
	free(source->out);
	free(source->mark);
	free(source);
}

static int load_index(struct source *source, uint16_t index)
{
	preprocess(source, index, 0);
	return source->failed ? -EINVAL : 0;
}

int source_load(struct source *source, const char *path)
{
	uint16_t index;
	int err = source_read(source, path, &index, NULL, 0);

	return err != 0 ? err : load_index(source, index);
}

int source_load_text(struct source *source, const char *name, struct str text)
{
	uint16_t index;
	int err;

	if (text.len > SOURCE_FILE_BYTES_MAX)
		return -EFBIG;
	err = add_file(source, name, text, &index);
	return err != 0 ? err : load_index(source, index);
}

struct str source_text(const struct source *source)
{
	return source->len > 0 ? str_of(source->out, source->len) : STR("");
}

struct route_place source_place(const struct source *source, uint32_t from, uint32_t to)
{
	uint32_t low = 0, high = source->marks, width = to > from ? to - from : 1;
	const struct source_mark *mark;

	if (source->marks == 0)
		return source->files > 0 ? (struct route_place){source->file[0].name, 1, 1, 1}
					 : (struct route_place){0};
	while (high - low > 1) {
		uint32_t middle = (low + high) / 2;

		if (source->mark[middle].out <= from)
			low = middle;
		else
			high = middle;
	}
	mark = &source->mark[low];
	if (mark->width != 0)
		return source_place_in(source, mark->file, mark->off, mark->width);
	/* The underline ends where text from elsewhere begins. */
	if (low + 1 < source->marks && source->mark[low + 1].out < from + width)
		width = source->mark[low + 1].out - from;
	return source_place_in(source, mark->file, mark->off + (from - mark->out), width);
}
