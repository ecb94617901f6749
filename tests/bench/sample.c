/* SPDX-License-Identifier: BSD-3-Clause */
/* Samples, and the rows that are made of them. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"

#define SAMPLES_FIRST 1024

void samples_init(struct samples *s)
{
	*s = (struct samples){0};
}

void samples_free(struct samples *s)
{
	free(s->v);
	samples_init(s);
}

void samples_add(struct samples *s, double value)
{
	if (s->n == s->room) {
		unsigned room = s->room > 0 ? 2 * s->room : SAMPLES_FIRST;
		double *v = realloc(s->v, room * sizeof(*v));

		if (v == NULL) {
			fputs("bench: not enough memory\n", stderr);
			exit(1);
		}
		s->v = v;
		s->room = room;
	}
	s->v[s->n++] = value;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static void sort(struct samples *s)
{
	qsort(s->v, s->n, sizeof(*s->v), by_value);
}

double samples_min(struct samples *s)
{
	sort(s);
	return s->v[0];
}

double samples_median(struct samples *s)
{
	sort(s);
	return s->n % 2 != 0 ? s->v[s->n / 2] : (s->v[s->n / 2 - 1] + s->v[s->n / 2]) / 2;
}

double samples_max(struct samples *s)
{
	sort(s);
	return s->v[s->n - 1];
}

/* Text as JSON wants it. What we print holds no control characters. */
static void json_text(const char *s)
{
	putchar('"');
	for (; *s != '\0'; s++) {
		if (*s == '"' || *s == '\\')
			putchar('\\');
		putchar(*s);
	}
	putchar('"');
}

static void json_row(const struct bench *b, const char *metric, const char *unit,
	const double three[3], const char *device, const char *note)
{
	const struct {
		const char *key, *value;
	} before[] = {{"case", b->name}, {"metric", metric}, {"unit", unit}},
	  after[] = {{"device", device}, {"cpu", b->cpu}, {"note", note}};
	static const char *const number[] = {"min", "median", "max"};

	putchar('{');
	for (unsigned i = 0; i < 3; i++) {
		printf("%s\"%s\": ", i > 0 ? ", " : "", before[i].key);
		json_text(before[i].value);
	}
	for (unsigned i = 0; i < 3; i++)
		printf(", \"%s\": %.6g", number[i], three[i]);
	for (unsigned i = 0; i < 3; i++) {
		printf(", \"%s\": ", after[i].key);
		json_text(after[i].value);
	}
	puts("}");
}

static void table_row(struct bench *b, const char *metric, const char *unit, const double three[3],
	const char *device, const char *note)
{
	if (!b->headed) {
		printf("%s: %s\n%s\n", b->name, b->cpu, bench_build());
		printf("  %-36s %-7s %14s %14s %14s  %s\n", "metric", "unit", "min", "median",
			"max", "device, note");
		b->headed = true;
	}
	printf("  %-36s %-7s", metric, unit);
	for (unsigned i = 0; i < 3; i++)
		printf(" %14.*f", three[i] >= 1000 ? 0 : three[i] >= 10 ? 1 : 3, three[i]);
	printf("  %s%s%s\n", device, *note != '\0' ? ", " : "", note);
}

static void three_row(struct bench *b, const char *metric, const char *unit, const double three[3],
	const char *device, const char *note)
{
	if (b->json)
		json_row(b, metric, unit, three, device, note);
	else
		table_row(b, metric, unit, three, device, note);
	fflush(stdout);
}

void bench_row(struct bench *b, const char *metric, const char *unit, struct samples *s,
	const char *device, const char *note)
{
	if (s->n == 0)
		bench_fail(b, "%s: no samples", metric);
	three_row(b, metric, unit,
		(const double[3]){samples_min(s), samples_median(s), samples_max(s)}, device, note);
}

void bench_rate_row(struct bench *b, const char *metric, const struct samples *ns,
	const char *device, const char *note)
{
	struct samples rate;

	samples_init(&rate);
	for (unsigned i = 0; i < ns->n; i++)
		samples_add(&rate, 1e9 / ns->v[i]);
	bench_row(b, metric, "1/s", &rate, device, note);
	samples_free(&rate);
}

void bench_value(struct bench *b, const char *metric, const char *unit, double value,
	const char *device, const char *note)
{
	three_row(b, metric, unit, (const double[3]){value, value, value}, device, note);
}

void bench_say(const struct bench *b, const char *fmt, ...)
{
	va_list args;

	if (!b->json && !isatty(STDERR_FILENO))
		return;
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
}

void *bench_alloc(struct bench *b, size_t n, size_t size)
{
	void *p = calloc(n, size);

	if (p == NULL)
		bench_fail(b, "no memory for %zu times %zu bytes", n, size);
	return p;
}

void *bench_copy(struct bench *b, const void *data, size_t len)
{
	void *copy = bench_alloc(b, 1, len > 0 ? len : 1);

	memcpy(copy, data, len);
	return copy;
}

void bench_fail(const struct bench *b, const char *fmt, ...)
{
	va_list args;

	fflush(stdout);
	fprintf(stderr, "bench: %s: ", b->name);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
	exit(1);
}
