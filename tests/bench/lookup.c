/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The case lookup: INVITEs for users drawn by lot are forwarded without state to where lookup()
 * finds them registered, as the table grows to ten million contacts.
 */
#include <stdlib.h>

#include "bench.h"

#define SIZES 3
#define SIZE_STEP 100
#define SET 8192
#define ROOM 2048
#define USER_AT 16 /* "INVITE sip:+4930" stands before the seven digits of a user */
#define USER_DIGITS 7

/* What a message's user is drawn from. */
struct users {
	struct lot lot;
	uint32_t n;
};

static void write_digits(char *out, uint32_t v)
{
	for (unsigned i = USER_DIGITS; i-- > 0; v /= 10)
		out[i] = (char)('0' + v % 10);
}

/* Before a message goes in once more: for another user. */
static void renew(void *arg, uint8_t *frame, uint32_t len)
{
	const uint32_t udp = NET_ETHER_LEN + NET_IPV4_LEN, text = udp + NET_UDP_LEN;
	struct users *users = arg;
	struct net_addr src = {.family = 4}, dst = {.family = 4};
	uint16_t sum = 0;

	write_digits((char *)frame + text + USER_AT, lot_below(&users->lot, users->n));
	memcpy(src.b, frame + udp - 8, 4);
	memcpy(dst.b, frame + udp - 4, 4);
	memcpy(frame + udp + 6, &sum, 2);
	sum = net_udp_checksum(&src, &dst, frame + udp, len - udp);
	memcpy(frame + udp + 6, &sum, 2);
}

/* All users' phones, as save() keeps them: the first table that the script names, the user's part
 * alone. */
static void fill(struct bench *b, struct rig *r, uint32_t from, uint32_t to)
{
	for (uint32_t user = from; user < to; user++) {
		char name[] = "+4930#######", uri[64];
		struct location_contact c = {.call_id = STR("84381763-2f01-4d1b@10.20.0.11"),
			.user_agent = STR("Example Phone T4 66.85.0.5"),
			.listener = -1,
			.q = LOCATION_Q_NONE,
			.methods = UINT32_MAX,
			.cseq = 1,
			.expires = UINT32_MAX};
		struct str aor = STR(name);
		struct hash128 digest;

		write_digits(name + 5, user);
		digest = location_digest(r->location, 0, aor);
		c.uri = str_of(uri,
			(uint32_t)snprintf(uri, sizeof(uri),
				"sip:%s@10.20.0.%u:5060;transport=udp;ob", name, 11 + user % 200));
		if (location_replace(r->location, 0, digest, 0, aor, 0, &c, 1) != 0)
			bench_fail(b, "no room for user %u", user);
		if ((user & 0xfffff) == 0xfffff)
			bench_say(b, "%u contacts", user + 1);
	}
}

static struct rig *make_rig(struct bench *b)
{
	struct rig_config config = {.config = BENCH_CONFIG_LOOKUP,
		.hops = bench_hops(0, 1500),
		.workers = 1,
		.queues = 1,
		.slow = 1, /* the owner of the table; it has nothing to do */
		.contacts = b->contacts};
	struct rig *r = config.hops != NULL ? rig_create_with(&config) : NULL;

	if (r == NULL)
		bench_fail(b, "%s does not load", config.config);
	return r;
}

static void measure(struct bench *b, struct rig *r, struct feed *feed, uint32_t contacts)
{
	uint64_t hits = registrar_counter(r->registrar, REGISTRAR_COUNTER_LOOKUP_HITS);
	uint64_t frames = feed->in_frames;
	struct figures f;
	char variant[32];

	snprintf(variant, sizeof(variant), "/%u", contacts);
	figures_init(&f);
	feed_run(b, feed, b->seconds, &f);
	figures_check(b, &f, COUNTER_FORWARDED, variant);
	hits = registrar_counter(r->registrar, REGISTRAR_COUNTER_LOOKUP_HITS) - hits;
	if (hits != feed->in_frames - frames)
		bench_fail(b, "not every user was found");
	feed_rows(b, &f, variant, bench_build());
	figures_free(&f);
}

int case_lookup(struct bench *b)
{
	struct message_spec spec = {.kind = MESSAGE_INVITE, .least = 600, .greatest = 900};
	struct users users = {.lot = {0x9e3779b97f4a7c15ULL}};
	uint32_t contacts = 1000, filled = 0;
	struct rig *r = make_rig(b);
	struct feed feed;
	struct set s;

	set_create_requests(b, &s, 0, b->count != 0 ? GUARD_SET : SET, &spec, &users.lot);
	feed_create(b, &feed, r, 0, s.item, s.n, ROOM);
	set_destroy(&s);
	feed.renew = renew;
	feed.renew_arg = &users;
	for (unsigned i = 0; i < SIZES && contacts <= b->contacts; i++, contacts *= SIZE_STEP) {
		fill(b, r, filled, contacts);
		filled = users.n = contacts;
		measure(b, r, &feed, contacts);
	}
	feed_destroy(&feed);
	bench_rig_end(r);
	return 0;
}
