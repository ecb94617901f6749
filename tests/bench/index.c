/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The case parse: sip_msg_index() and sip_msg_check() alone, with each scanner, over sets that stay
 * in the first cache, that are as large as what a NIC writes into the last one (6 MB), and larger.
 */
#include <stdlib.h>

#include <rte_cycles.h>

#include "bench.h"

#define STRIDE 1024 /* bytes for a message; the sets are of 600 to 900 */
#define SMALL_SET 24
#define MIDDLE_SET 8192
#define LARGE_SET 262144
#define VIEWS 32 /* a burst */
#define WINDOW_MESSAGES 2048
#define PER_RUN 7 /* figures that share --seconds */

struct texts {
	const char *name;
	char *room;
	struct str *text;
	unsigned n, next;
	uint64_t bytes;
};

enum work { WORK_INDEX, WORK_BOTH };

static void texts_create(struct bench *b, struct texts *t, const char *name, unsigned n)
{
	*t = (struct texts){.name = name,
		.room = aligned_alloc(64, (size_t)n * STRIDE),
		.text = bench_alloc(b, n, sizeof(*t->text)),
		.n = n};
	if (t->room == NULL)
		bench_fail(b, "no memory for %u messages", n);
}

static void texts_destroy(struct texts *t)
{
	free(t->room);
	free(t->text);
}

/* INVITEs with SDP; the largest set repeats the first ones, as nothing else would fit a short run.
 */
static void make_invites(struct bench *b, struct texts *t, unsigned least, unsigned greatest)
{
	struct message_spec spec = {.kind = MESSAGE_INVITE, .least = least, .greatest = greatest};
	struct lot lot = {0x9e3779b97f4a7c15ULL};
	static char room[MESSAGE_MAX];
	struct call c;

	for (unsigned i = 0; i < t->n; i++) {
		char *at = t->room + (size_t)i * STRIDE;

		if (i < MIDDLE_SET) {
			struct draft d = {.s = room, .size = sizeof(room)};

			call_of(&c, i);
			message_request(&d, &c, &spec, &lot);
			if (d.over || d.len > STRIDE)
				bench_fail(b, "message %u does not fit", i);
			memcpy(at, d.s, d.len);
			t->text[i] = str_of(at, d.len);
		} else {
			t->text[i] = str_of(at, t->text[i % MIDDLE_SET].len);
			memcpy(at, t->text[i % MIDDLE_SET].s, t->text[i].len);
		}
		t->bytes += t->text[i].len;
	}
}

/* Messages of others, requests and responses alike, drawn by lot; false where there are none. */
static bool make_others(struct bench *b, struct texts *t)
{
	struct lot lot = {0x2545f4914f6cdd1dULL};
	unsigned n = 0, kept = 0;
	struct str *corpus = bench_corpus(&n);

	for (unsigned i = 0; i < n; i++)
		if (corpus[i].len <= STRIDE)
			corpus[kept++] = corpus[i];
	if (kept == 0) {
		free(corpus);
		return false;
	}
	texts_create(b, t, "others", MIDDLE_SET);
	for (unsigned i = 0; i < t->n; i++) {
		struct str from = corpus[lot_below(&lot, kept)];

		t->text[i] = str_of(t->room + (size_t)i * STRIDE, from.len);
		memcpy(t->room + (size_t)i * STRIDE, from.s, from.len);
		t->bytes += from.len;
	}
	free(corpus);
	return true;
}

/* Nanoseconds a message of one window. */
static double window(struct bench *b, struct texts *t, enum work work, unsigned messages)
{
	static struct sip_msg views[VIEWS];
	uint64_t begun = rte_rdtsc();

	for (unsigned n = 0; n < messages; n++) {
		struct str text = t->text[t->next];
		struct sip_msg *msg = &views[n % VIEWS];
		enum sip_error error = sip_msg_index(msg, text.s, text.len);

		if (error == SIP_OK && work == WORK_BOTH)
			error = sip_msg_check(msg, text.s);
		if (error != SIP_OK)
			bench_fail(b, "%s:\n%.*s", sip_error_name(error), (int)text.len, text.s);
		if (++t->next == t->n)
			t->next = 0;
	}
	return (double)(rte_rdtsc() - begun) * b->ns_per_cycle / messages;
}

static void measure(struct bench *b, struct texts *t, enum work work, const char *metric)
{
	double hz = 1e9 / b->ns_per_cycle, seconds = b->seconds / PER_RUN;
	struct samples ns;
	uint64_t begun;
	char note[96];

	samples_init(&ns);
	window(b, t, work, WINDOW_MESSAGES);
	begun = rte_rdtsc();
	do
		samples_add(&ns, window(b, t, work, WINDOW_MESSAGES));
	while ((double)(rte_rdtsc() - begun) < seconds * hz);
	snprintf(note, sizeof(note), "%u messages of %.0f bytes, scanner %s", t->n,
		(double)t->bytes / t->n, sip_scan_name());
	bench_row(b, metric, "ns", &ns, "memory", note);
	samples_free(&ns);
}

static void measure_scanner(struct bench *b, struct texts *const *sets, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		for (enum work work = WORK_INDEX; work <= WORK_BOTH; work++) {
			char metric[96];

			bench_say(b, "%s, %s", sip_scan_name(), sets[i]->name);
			snprintf(metric, sizeof(metric), "ns_per_message/%s/%s/%s",
				work == WORK_INDEX ? "index" : "index+check", sip_scan_name(),
				sets[i]->name);
			measure(b, sets[i], work, metric);
		}
}

/* The figure that is compared elsewhere: the index alone, messages of 812 bytes or nearly, all in
 * the first cache. */
static void measure_812(struct bench *b)
{
	struct texts t;

	texts_create(b, &t, "812", SMALL_SET);
	make_invites(b, &t, 800, 824);
	measure(b, &t, WORK_INDEX, "ns_per_message/812");
	texts_destroy(&t);
}

int case_parse(struct bench *b)
{
	static const char *const scanners[] = {"scalar", "sse42", "avx2", "avx512"};
	struct texts small, middle, large, others;
	struct texts *const sets[] = {&small, &middle, &large, &others};
	unsigned n = 3;

	if (b->count != 0) {
		texts_create(b, &small, "guard", GUARD_SET);
		make_invites(b, &small, 600, 900);
		CALLGRIND_TOGGLE_COLLECT;
		window(b, &small, WORK_BOTH, (unsigned)b->count * PORT_BURST);
		CALLGRIND_TOGGLE_COLLECT;
		printf("%" PRIu64 " frames\n  valid %" PRIu64 "\n", b->count * PORT_BURST,
			b->count * PORT_BURST); /* window() ends at the first that is not */
		texts_destroy(&small);
		return 0;
	}
	measure_812(b);
	texts_create(b, &small, "l1", SMALL_SET);
	texts_create(b, &middle, "6MB", MIDDLE_SET);
	texts_create(b, &large, "200MB", LARGE_SET);
	make_invites(b, &small, 600, 900);
	make_invites(b, &middle, 600, 900);
	make_invites(b, &large, 600, 900);
	n += make_others(b, &others);
	for (unsigned i = 0; i < RTE_DIM(scanners); i++)
		if (sip_scan_select(scanners[i]) == 0)
			measure_scanner(b, sets, n);
		else
			bench_say(b, "%s is not on this CPU", scanners[i]);
	for (unsigned i = 0; i < n; i++)
		texts_destroy(sets[i]);
	return 0;
}
