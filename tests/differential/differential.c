/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The whole pipeline as a filter: frames in, what leaves and what was counted out. compare.py runs
 * two builds of it and compares. Only what lib/ and the rig have offered for long is used here, as
 * this source is built within older trees, too; network.c says where that could not be kept.
 *
 *	differential SCRIPT LIST SECRET
 *
 * Little endian, without padding. First the names of the counters are written:
 *
 *	u16 number of counters, each: u8 length, name (none where a number is unused)
 *
 * then for each batch that is read the records of its answer:
 *
 *	batch:  u32 length of what follows; records to its end
 *	record: u16 frames, each: u8 port, u8 queue, u32 length, bytes
 *	answer: u16 frames, each: u8 port, u32 length, bytes; u16 counters that moved, each: u16
 *	        number, u64 by how much
 *
 * The frames of a record are received in one burst. Time stands still in a record, and steps by
 * DIFF_STEP_NS before the next. Ends with the input; exit status 1 where that is not as above.
 */
#include "differential.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DIFF_BATCH_MAX (1u << 30)
#define DIFF_TEXT_MAX 65536
#define DIFF_WORKERS 2
#define DIFF_STEP_NS (5 * CLOCK_NS_PER_MS)

/* A reader of a batch: nothing at or past `end` is looked at. */
struct cursor {
	const uint8_t *at, *end;
};

static uint64_t counted[COUNTER_COUNT];

static bool take(struct cursor *c, void *out, size_t n)
{
	if ((size_t)(c->end - c->at) < n)
		return false;
	memcpy(out, c->at, n);
	c->at += n;
	return true;
}

static void put(FILE *out, const void *bytes, size_t n)
{
	if (fwrite(bytes, 1, n, out) != n)
		exit(1); /* nobody reads any more */
}

static void put_u16(FILE *out, uint16_t n)
{
	put(out, &n, sizeof(n));
}

static void write_names(FILE *out)
{
	put_u16(out, COUNTER_COUNT);
	for (unsigned i = 0; i < COUNTER_COUNT; i++) {
		const char *name = counter_name(i) != NULL ? counter_name(i) : "";
		uint8_t len = (uint8_t)strlen(name);

		put(out, &len, sizeof(len));
		put(out, name, len);
	}
}

static bool receive(struct rig *rig, struct cursor *c)
{
	struct rte_mbuf *m;
	uint8_t port, queue;
	uint32_t len;
	void *data;

	if (!take(c, &port, sizeof(port)) || !take(c, &queue, sizeof(queue)) ||
		!take(c, &len, sizeof(len)) || port >= RIG_PORTS || queue >= DIFF_WORKERS ||
		len > UINT16_MAX)
		return false;
	m = rte_pktmbuf_alloc(rig->pool);
	if (m != NULL && rte_pktmbuf_tailroom(m) < len) {
		rte_pktmbuf_free(m);
		m = rte_pktmbuf_alloc(rig->pool_big);
	}
	if (m == NULL)
		return false;
	data = rte_pktmbuf_append(m, (uint16_t)len);
	if (data == NULL || !take(c, data, len)) {
		rte_pktmbuf_free(m);
		return false;
	}
	rig_receive(rig, port, queue, m);
	return true;
}

static void write_sent(struct rig *rig, FILE *out)
{
	static struct rte_mbuf *sent[RIG_PORTS * DIFF_WORKERS * RIG_RING];
	static uint8_t port[RIG_PORTS * DIFF_WORKERS * RIG_RING];
	struct str payload;
	uint16_t n = 0;

	for (uint8_t p = 0; p < RIG_PORTS; p++)
		while ((sent[n] = rig_sent(rig, p, &payload)) != NULL)
			port[n++] = p;
	put_u16(out, n);
	for (unsigned i = 0; i < n; i++) {
		uint32_t len = rte_pktmbuf_data_len(sent[i]);

		put(out, &port[i], sizeof(port[i]));
		put(out, &len, sizeof(len));
		put(out, rte_pktmbuf_mtod(sent[i], void *), len);
		rte_pktmbuf_free(sent[i]);
	}
}

static void write_counted(struct rig *rig, FILE *out)
{
	uint64_t now[COUNTER_COUNT];
	uint16_t moved = 0;

	pipeline_counters(rig->pipeline, now);
	for (unsigned i = 0; i < COUNTER_COUNT; i++)
		moved += now[i] != counted[i];
	put_u16(out, moved);
	for (uint16_t i = 0; i < COUNTER_COUNT; i++)
		if (now[i] != counted[i]) {
			uint64_t by = now[i] - counted[i];

			put_u16(out, i);
			put(out, &by, sizeof(by));
		}
	memcpy(counted, now, sizeof(counted));
}

static bool run_record(struct rig *rig, struct cursor *c, FILE *out)
{
	uint16_t frames;

	if (!take(c, &frames, sizeof(frames)))
		return false;
	diff_clock_advance(DIFF_STEP_NS);
	for (unsigned i = 0; i < frames; i++)
		if (!receive(rig, c))
			return false;
	rig_settle(rig);
	write_sent(rig, out);
	write_counted(rig, out);
	return true;
}

/* The next batch, the caller's to free; NULL at the input's end and where it is cut short. */
static uint8_t *read_batch(uint32_t *len, bool *ok)
{
	size_t got = fread(len, 1, sizeof(*len), stdin);
	uint8_t *batch;

	*ok = got == 0;
	if (got != sizeof(*len) || *len > DIFF_BATCH_MAX)
		return NULL;
	batch = malloc(*len > 0 ? *len : 1);
	if (batch != NULL && fread(batch, 1, *len, stdin) != *len) {
		free(batch);
		batch = NULL;
	}
	return batch;
}

static bool run(struct rig *rig, FILE *out)
{
	uint8_t *batch;
	uint32_t len;
	bool ok;

	while ((batch = read_batch(&len, &ok)) != NULL) {
		struct cursor c = {batch, batch + len};

		ok = true;
		while (ok && c.at < c.end)
			ok = run_record(rig, &c, out);
		free(batch);
		fflush(out);
		if (!ok)
			break;
	}
	return ok;
}

/* A file's text, the caller's to free; NULL where it cannot be read, which is said. */
static char *read_text(const char *path)
{
	FILE *f = fopen(path, "r");
	char *text = calloc(1, DIFF_TEXT_MAX);

	if (f == NULL || text == NULL || fread(text, 1, DIFF_TEXT_MAX, f) == DIFF_TEXT_MAX) {
		fprintf(stderr, "differential: %s: %s\n", path,
			f == NULL ? strerror(errno) : "too long");
		free(text);
		text = NULL;
	}
	if (f != NULL)
		fclose(f);
	return text;
}

int main(int argc, char **argv)
{
	struct rig_config config = {.workers = DIFF_WORKERS,
		.queues = DIFF_WORKERS,
		.mtu = DIFF_MTU,
		.reply_rate = 1000000000u, /* no limit: it would hide what is to be seen */
		.buffers = 4095,
		.buffers_big = 127};
	/* The EAL and scripts write to stdout: it is theirs, and the answers go to what it was. */
	FILE *out = fdopen(dup(STDOUT_FILENO), "w");
	struct kernel_hops *hops;
	struct rig *rig;
	bool ok = false;

	if (argc != 4 || out == NULL || dup2(STDERR_FILENO, STDOUT_FILENO) < 0) {
		fprintf(stderr, "usage: differential SCRIPT LIST SECRET\n");
		return 2;
	}
	config.script = read_text(argv[1]);
	config.list = read_text(argv[2]);
	config.secret_file = argv[3];
	if (config.script == NULL || config.list == NULL || rig_eal("differential", 256) != 0)
		return 2;
	hops = diff_hops();
	config.hops = hops;
	rig = hops != NULL ? rig_create_with(&config) : NULL;
	if (rig == NULL || diff_listen(rig) != 0)
		return 2;
	write_names(out);
	fflush(out);
	pipeline_counters(rig->pipeline, counted);
	ok = run(rig, out);
	rig_destroy(rig);
	free(hops);
	free((char *)(uintptr_t)config.script);
	free((char *)(uintptr_t)config.list);
	fclose(out);
	return ok ? 0 : 1;
}
