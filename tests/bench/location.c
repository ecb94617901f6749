/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The case location: what a contact takes, and what it costs to find one, as tables grow from a
 * thousand to ten million. The contacts are as long as phones make them: an address-of-record of 30
 * bytes, a Contact URI of 60, a Call-ID of 30, an address that it was received from, a list of
 * methods, one of 140 user agents.
 */
#include <stdlib.h>
#include <unistd.h>

#include <rte_cycles.h>

#include "bench.h"
#include "location/location.h"

#define SIZES 5
#define CONTACTS_MIN 1000
#define RESIDENT_MIN 1000000 /* below it pages are what one sees */
#define WINDOW 4096          /* calls */
#define BULK 32              /* that a burst prefetches together */
#define PER_SIZE 4           /* families of figures that share --seconds */
#define TABLE 1
#define NOW 1000
#define EXPIRES 4600
#define NAME_ROOM 40

/* An address-of-record as the caller has it. */
struct name {
	struct hash128 digest;
	struct str aor;
	char text[NAME_ROOM];
};

struct state {
	struct bench *b;
	struct location *table;
	uint32_t contacts;
	struct lot lot;
	struct name name[WINDOW];
	struct location_set set;
	struct samples ns;
};

/* A user's phone. The texts are the caller's. */
struct phone {
	char uri[80], call_id[40], agent[64];
	struct location_contact contact;
};

static void name_of(struct name *out, uint32_t user)
{
	out->aor = str_of(out->text, (uint32_t)snprintf(out->text, sizeof(out->text),
					     "user%08u@sip.example.net.x", user));
}

static void phone_of(struct phone *p, uint32_t user)
{
	struct location_contact *c = &p->contact;

	*c = (struct location_contact){.listener = 0,
		.q = LOCATION_Q_NONE,
		.methods = 0x3fff,
		.cseq = 1,
		.expires = EXPIRES,
		.modified = NOW};
	c->uri = str_of(
		p->uri, (uint32_t)snprintf(p->uri, sizeof(p->uri),
				"sip:user%08u@10.%03u.%03u.%03u:%05u;transport=udp;ob=%x", user,
				100 + user % 100, 100 + user / 100 % 100, 100 + user / 10000 % 100,
				10000 + user % 50000, 0x10000 + user % 0xf0000));
	c->call_id = str_of(
		p->call_id, (uint32_t)snprintf(p->call_id, sizeof(p->call_id), "%08x%08x-%08x-%04x",
				    user * 2654435761u, user ^ 0x55aa55aa, user, user % 65536));
	c->user_agent =
		str_of(p->agent, (uint32_t)snprintf(p->agent, sizeof(p->agent),
					 "Example Phone T%u 66.85.0.%u", user % 7, user % 20));
	c->received.addr = net_addr_v4(htobe32(0x64400000u + user / 50000));
	c->received.port = (uint16_t)(10000 + user % 50000);
}

static size_t resident(void)
{
	unsigned long total = 0, pages = 0;
	FILE *f = fopen("/proc/self/statm", "r");

	if (f == NULL || fscanf(f, "%lu %lu", &total, &pages) != 2)
		pages = 0;
	if (f != NULL)
		fclose(f);
	return pages * (size_t)sysconf(_SC_PAGESIZE);
}

static void row_of(struct state *s, const char *what, const char *note)
{
	char metric[64];

	snprintf(metric, sizeof(metric), "%s/%u", what, s->contacts);
	bench_rate_row(s->b, metric, &s->ns, "memory", note);
	samples_free(&s->ns);
	samples_init(&s->ns);
}

static void keep(struct state *s, uint64_t cycles, unsigned calls)
{
	samples_add(&s->ns, (double)cycles * s->b->ns_per_cycle / calls);
}

static uint32_t any_user(struct state *s)
{
	return lot_below(&s->lot, s->contacts);
}

/* ---- new contacts ---- */

static void insert_all(struct state *s)
{
	static struct phone phone[WINDOW];

	for (uint32_t at = 0; at < s->contacts;) {
		uint32_t n = s->contacts - at < WINDOW ? s->contacts - at : WINDOW;
		uint64_t begun;

		for (uint32_t i = 0; i < n; i++) {
			name_of(&s->name[i], at + i);
			phone_of(&phone[i], at + i);
		}
		begun = rte_rdtsc();
		CALLGRIND_TOGGLE_COLLECT;
		for (uint32_t i = 0; i < n; i++) {
			struct name *name = &s->name[i];
			struct hash128 digest = location_digest(s->table, TABLE, name->aor);

			if (location_replace(s->table, 0, digest, TABLE, name->aor, NOW,
				    &phone[i].contact, 1) != 0)
				bench_fail(s->b, "no room for contact %u", at + i);
		}
		CALLGRIND_TOGGLE_COLLECT;
		keep(s, rte_rdtsc() - begun, n);
		at += n;
		if (at % (1u << 20) == 0)
			bench_say(s->b, "%u of %u contacts", at, s->contacts);
	}
	row_of(s, "inserts_per_second", "new ones in a row, their memory's first use included");
}

/* ---- what is done with those that stand, a window each ---- */

static void check_found(struct state *s, int found)
{
	if (found != 1 || s->set.contact[0].uri.len != 60)
		bench_fail(s->b, "a contact was not found");
}

static void look_up_alone(struct state *s)
{
	for (unsigned i = 0; i < WINDOW; i++) {
		struct name *name = &s->name[i];
		struct hash128 digest = location_digest(s->table, TABLE, name->aor);

		check_found(s, location_read(s->table, digest, TABLE, name->aor, NOW, &s->set));
	}
}

static void look_up_in_bulk(struct state *s)
{
	for (unsigned at = 0; at < WINDOW; at += BULK) {
		struct name *name = &s->name[at];

		for (unsigned i = 0; i < BULK; i++) {
			name[i].digest = location_digest(s->table, TABLE, name[i].aor);
			location_prefetch(s->table, name[i].digest);
		}
		for (unsigned i = 0; i < BULK; i++)
			location_prefetch_record(s->table, name[i].digest);
		for (unsigned i = 0; i < BULK; i++)
			check_found(s, location_read(s->table, name[i].digest, TABLE, name[i].aor,
					       NOW, &s->set));
	}
}

static void miss_in_bulk(struct state *s)
{
	for (unsigned at = 0; at < WINDOW; at += BULK) {
		struct name *name = &s->name[at];

		for (unsigned i = 0; i < BULK; i++) {
			name[i].digest = location_digest(s->table, TABLE + 1, name[i].aor);
			location_prefetch(s->table, name[i].digest);
		}
		for (unsigned i = 0; i < BULK; i++) {
			if (location_read(s->table, name[i].digest, TABLE + 1, name[i].aor, NOW,
				    &s->set) != 0)
				bench_fail(s->b, "what is not there was found");
		}
	}
}

/* What a REGISTER that says nothing new does: reads, and writes its times. */
static void refresh(struct state *s)
{
	for (unsigned i = 0; i < WINDOW; i++) {
		struct name *name = &s->name[i];
		struct hash128 digest = location_digest(s->table, TABLE, name->aor);

		check_found(s, location_read(s->table, digest, TABLE, name->aor, NOW, &s->set));
		s->set.contact[0].expires++;
		s->set.contact[0].modified++;
		s->set.contact[0].cseq++;
		if (location_replace(
			    s->table, 0, digest, TABLE, name->aor, NOW, s->set.contact, 1) != 0)
			bench_fail(s->b, "a contact is not refreshed");
	}
}

static void measure(
	struct state *s, void (*work)(struct state *s), const char *what, const char *note)
{
	double hz = 1e9 / s->b->ns_per_cycle, seconds = s->b->seconds / PER_SIZE;
	uint64_t begun = rte_rdtsc(), windows = 0;

	do {
		uint64_t from;

		for (unsigned i = 0; i < WINDOW; i++)
			name_of(&s->name[i], any_user(s));
		from = rte_rdtsc();
		CALLGRIND_TOGGLE_COLLECT;
		work(s);
		CALLGRIND_TOGGLE_COLLECT;
		keep(s, rte_rdtsc() - from, WINDOW);
		windows++;
	} while (s->b->count != 0 ? windows < s->b->count
				  : (double)(rte_rdtsc() - begun) < seconds * hz);
	row_of(s, what, note);
}

/* ---- a size ---- */

static void bytes_rows(struct state *s, size_t before)
{
	struct location_stats stats;
	char metric[64];

	location_stats(s->table, &stats);
	if (stats.contacts != s->contacts || stats.failed != 0)
		bench_fail(s->b, "%" PRIu64 " contacts stand", stats.contacts);
	snprintf(metric, sizeof(metric), "bytes_per_contact/%u", s->contacts);
	bench_value(s->b, metric, "B", (double)stats.bytes_used / s->contacts, "memory",
		"places and index; AoR 30, Contact 60, Call-ID 30, received, methods, user agent");
	if (s->contacts < RESIDENT_MIN)
		return;
	snprintf(metric, sizeof(metric), "resident_bytes_per_contact/%u", s->contacts);
	bench_value(s->b, metric, "B", (double)(resident() - before) / s->contacts, "memory",
		"what the process grew by, the table full");
}

static void measure_size(struct bench *b, struct state *s, uint32_t contacts)
{
	struct location_config config = {.shards = 1, .contacts = contacts, .huge = true};
	char error[200];
	size_t before = resident();

	bench_say(b, "%u contacts", contacts);
	s->contacts = contacts;
	s->table = location_create(&config, error, sizeof(error));
	if (s->table == NULL)
		bench_fail(b, "%s", error);
	insert_all(s);
	bytes_rows(s, before);
	measure(s, look_up_in_bulk, "lookups_per_second",
		"drawn by lot, all found; 32 prefetched together, as bursts are; digests included");
	measure(s, look_up_alone, "lookups_per_second/alone", "one after another, not prefetched");
	measure(s, miss_in_bulk, "lookups_per_second/missing", "none found; 32 together");
	measure(s, refresh, "refreshes_per_second", "read, and written with new times");
	location_destroy(s->table);
}

int case_location(struct bench *b)
{
	struct state *s = bench_alloc(b, 1, sizeof(*s));
	uint32_t contacts = CONTACTS_MIN;

	s->b = b;
	s->lot.state = 0x9e3779b97f4a7c15ULL;
	samples_init(&s->ns);
	for (unsigned i = 0; i < SIZES && contacts <= b->contacts; i++, contacts *= 10)
		measure_size(b, s, contacts);
	samples_free(&s->ns);
	free(s);
	return 0;
}
