/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Regular expressions: PCRE2, compiled at load, run by its JIT where there is one.
 *
 * A pattern is the operator's, its subject whoever sends it. So that no pair of them can hold a
 * worker: a match has a limit of steps from each starting place, and subjects are searched in
 * windows of starting places, between which the clock is read. Nothing is allocated while matching:
 * PCRE2 gets its memory from a block of the thread's, taken at start.
 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "route/pattern.h"

#include <pcre2.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define MATCH_LIMIT_MAX 200000 /* steps from one starting place of a short subject */
#define MATCH_LIMIT_MIN 5000   /* of a long one */
#define MATCH_STEPS \
	1000000         /* what the steps of all starting places of a short one may add up to \
			 */
#define WINDOW_FIRST 16 /* starting places of the first window; each next one is twice as long, */
#define WINDOW_MAX 512  /* up to this, */
#define WINDOW_SLOW 2   /* or this long once a good part of the time is gone */
#define TIME_LIMIT_NS (2 * CLOCK_NS_PER_MS) /* of one search */
#define HEAP_LIMIT_KIB 2048                 /* backtracking memory, without JIT */
#define JIT_STACK_BYTES (128 * 1024)
/* What PCRE2 takes without JIT: 20 KiB at first, doubled until the limit is met. */
#define THREAD_BYTES (5 * 1024 * 1024)

struct route_regex {
	pcre2_code *code;
	uint32_t captures;
};

/* Memory of one thread: PCRE2 takes what it needs once, and gives back only what it outgrew. */
struct regex_thread {
	pcre2_general_context *general;
	pcre2_match_context *context;
	pcre2_match_data *data;
	pcre2_jit_stack *stack;
	size_t used;
	_Alignas(16) char block[THREAD_BYTES];
};

static void *take(size_t size, void *arg)
{
	struct regex_thread *t = arg;

	size = (size + 15) & ~(size_t)15;
	if (size > THREAD_BYTES - t->used)
		return NULL;
	void *p = t->block + t->used;

	t->used += size;
	return p;
}

static void give_back(void *p, void *arg)
{
	(void)p;
	(void)arg;
}

void *regex_thread_create(void)
{
	struct regex_thread *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return NULL;
	t->general = pcre2_general_context_create(take, give_back, t);
	t->context = pcre2_match_context_create(t->general);
	t->data = pcre2_match_data_create(REGEX_GROUPS_MAX, t->general);
	/* A stack of fixed size: PCRE2 takes all of it at once, with malloc's memory or ours alike.
	 */
	t->stack = pcre2_jit_stack_create(JIT_STACK_BYTES, JIT_STACK_BYTES, NULL);
	if (t->general == NULL || t->context == NULL || t->data == NULL) {
		regex_thread_destroy(t);
		return NULL;
	}
	pcre2_set_heap_limit(t->context, HEAP_LIMIT_KIB);
	/* Without JIT there is no such stack, and none is needed. */
	if (t->stack != NULL)
		pcre2_jit_stack_assign(t->context, NULL, t->stack);
	return t;
}

void regex_thread_destroy(void *thread)
{
	struct regex_thread *t = thread;

	if (t == NULL)
		return;
	if (t->stack != NULL)
		pcre2_jit_stack_free(t->stack);
	free(t);
}

static bool use_jit = true;
static uint64_t time_limit_ns = TIME_LIMIT_NS;

void regex_tune(bool jit, unsigned time_factor)
{
	use_jit = jit;
	time_limit_ns = TIME_LIMIT_NS * time_factor;
}

struct route_regex *regex_compile(
	struct str pattern, unsigned flags, char *error, size_t error_size)
{
	/* Operators write POSIX patterns for strings: there `.` matches any byte, and `$` only the
	 * very end. */
	uint32_t options = PCRE2_USE_OFFSET_LIMIT;
	struct route_regex *regex = calloc(1, sizeof(*regex));
	pcre2_compile_context *context = pcre2_compile_context_create(NULL);
	int code = 0;
	size_t offset = 0;

	if (regex == NULL || context == NULL) {
		snprintf(error, error_size, "out of memory");
		goto out;
	}
	options |=
		(flags & REGEX_LINES) != 0 ? PCRE2_MULTILINE : PCRE2_DOTALL | PCRE2_DOLLAR_ENDONLY;
	options |= (flags & REGEX_ICASE) != 0 ? PCRE2_CASELESS : 0;
	if ((flags & REGEX_LINES) != 0)
		pcre2_set_newline(context, PCRE2_NEWLINE_ANYCRLF);
	regex->code = pcre2_compile((PCRE2_SPTR)(pattern.len != 0 ? pattern.s : ""), pattern.len,
		options, &code, &offset, context);
	if (regex->code == NULL) {
		char text[120] = "";

		pcre2_get_error_message(code, (PCRE2_UCHAR *)text, sizeof(text));
		snprintf(error, error_size, "%s at offset %zu", text, offset);
		goto out;
	}
	pcre2_pattern_info(regex->code, PCRE2_INFO_CAPTURECOUNT, &regex->captures);
	if (regex->captures >= REGEX_GROUPS_MAX) {
		snprintf(error, error_size, "%u groups, at most %u are possible", regex->captures,
			REGEX_GROUPS_MAX - 1);
		goto out;
	}
	/* Refused where the machine forbids writable code, and then interpreted. */
	if (use_jit)
		(void)pcre2_jit_compile(regex->code, PCRE2_JIT_COMPLETE);
	pcre2_compile_context_free(context);
	return regex;
out:
	pcre2_compile_context_free(context);
	route_regex_free(regex);
	return NULL;
}

struct route_regex *route_regex_compile(
	struct str pattern, bool ignore_case, char *error, size_t error_size)
{
	return regex_compile(pattern, ignore_case ? REGEX_ICASE : 0, error, error_size);
}

void route_regex_free(struct route_regex *regex)
{
	if (regex == NULL)
		return;
	pcre2_code_free(regex->code);
	free(regex);
}

unsigned regex_captures(const struct route_regex *regex)
{
	return regex->captures;
}

static uint64_t thread_time_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * CLOCK_NS_PER_S + (uint64_t)t.tv_nsec;
}

struct stopwatch {
	uint64_t began;  /* clock_now_ns() */
	uint64_t worked; /* of the thread, once the time has run out by that; else 0 */
	bool late;       /* a good part of either is gone */
};

/*
 * The cheap clock is looked at first. Where the time has run out by it, perhaps because others had
 * the CPU, the thread gets the same once more of its own.
 */
static bool time_is_up(struct stopwatch *w)
{
	if (w->worked != 0) {
		uint64_t worked = thread_time_ns() - w->worked;

		/* Where it was others, windows grow again: looks at this clock are not cheap. */
		w->late = worked > time_limit_ns / 8;
		return worked > time_limit_ns;
	}
	uint64_t gone = clock_now_ns() - w->began;

	w->late = gone > time_limit_ns / 8;
	if (gone > time_limit_ns)
		w->worked = thread_time_ns();
	return false;
}

/* One window after the other, until one matches or time is up. */
static int search_windows(
	struct regex_thread *t, const struct route_regex *regex, struct str subject, uint32_t start)
{
	PCRE2_SPTR text = (PCRE2_SPTR)(subject.len != 0 ? subject.s : "");
	uint32_t limit = MATCH_STEPS / (subject.len - start + 1);
	uint32_t window = WINDOW_FIRST;
	struct stopwatch watch = {.began = subject.len - start < window ? 0 : clock_now_ns()};

	limit = limit < MATCH_LIMIT_MIN   ? MATCH_LIMIT_MIN
		: limit > MATCH_LIMIT_MAX ? MATCH_LIMIT_MAX
					  : limit;
	pcre2_set_match_limit(t->context, limit);
	for (;;) {
		bool last = subject.len - start < window;

		pcre2_set_offset_limit(t->context, last ? PCRE2_UNSET : start + window - 1);
		int rc = pcre2_match(regex->code, text, subject.len, start, 0, t->data, t->context);

		if (rc != PCRE2_ERROR_NOMATCH || last)
			return rc;
		if (time_is_up(&watch))
			return PCRE2_ERROR_MATCHLIMIT;
		start += window;
		window = watch.late ? WINDOW_SLOW : window < WINDOW_MAX ? window * 2 : WINDOW_MAX;
	}
}

int regex_match_from(struct route_ctx *ctx, const struct route_regex *regex, struct str subject,
	uint32_t start, struct str *group, unsigned groups)
{
	struct regex_thread *t = ctx->thread->regex;
	int rc = search_windows(t, regex, subject, start);

	if (rc == PCRE2_ERROR_NOMATCH)
		return 0;
	if (rc < 0) {
		/* Steps, backtracking memory or stack used up: this subject is not one that the
		 * pattern was written for. */
		ctx->failure = ROUTE_FAILURE_REGEX_LIMIT;
		return -1;
	}
	const PCRE2_SIZE *ovector = pcre2_get_ovector_pointer(t->data);
	const char *base = subject.s != NULL ? subject.s : "";

	for (unsigned i = 0; i < groups; i++) {
		if (i < (unsigned)rc && ovector[2 * i] != PCRE2_UNSET &&
			ovector[2 * i + 1] >= ovector[2 * i])
			group[i] =
				str_of(base + ovector[2 * i], ovector[2 * i + 1] - ovector[2 * i]);
		else
			group[i] = STR_NONE;
	}
	return rc;
}

int route_regex_match(struct route_ctx *ctx, const struct route_regex *regex, struct str subject,
	struct str *group, unsigned groups)
{
	return regex_match_from(ctx, regex, subject, 0, group, groups);
}
