/* SPDX-License-Identifier: BSD-3-Clause */
/* Sets of messages, which feeds are made of. */
#include <stdlib.h>

#include "bench.h"

void set_create(struct bench *b, struct set *s, unsigned size)
{
	*s = (struct set){.item = bench_alloc(b, size, sizeof(*s->item)), .size = size};
}

void set_destroy(struct set *s)
{
	for (unsigned i = 0; i < s->n; i++) {
		free((void *)(uintptr_t)s->item[i].text.s);
		free((void *)(uintptr_t)s->item[i].frame);
	}
	free(s->item);
}

static struct feed_item *add(struct bench *b, struct set *s)
{
	if (s->n == s->size)
		bench_fail(b, "more than %u messages", s->size);
	return &s->item[s->n++];
}

void set_add(struct bench *b, struct set *s, unsigned port, const struct net_endpoint *src,
	struct str text)
{
	*add(b, s) = (struct feed_item){.port = port,
		.src = *src,
		.text = str_of(bench_copy(b, text.s, text.len), text.len)};
}

void set_add_frame(
	struct bench *b, struct set *s, unsigned port, const uint8_t *frame, uint32_t len)
{
	*add(b, s) = (struct feed_item){
		.port = port, .frame = bench_copy(b, frame, len), .frame_len = len};
}

void set_create_requests(struct bench *b, struct set *s, unsigned first, unsigned n,
	const struct message_spec *spec, struct lot *lot)
{
	static char room[MESSAGE_MAX];
	struct call c;

	set_create(b, s, n);
	for (unsigned i = 0; i < n; i++) {
		struct draft d = {.s = room, .size = sizeof(room)};

		call_of(&c, first + i);
		message_request(&d, &c, spec, lot);
		if (d.over)
			bench_fail(b, "a message cannot be of %u to %u bytes", spec->least,
				spec->greatest);
		set_add(b, s, 0, &c.caller, str_of(d.s, d.len));
	}
}

void set_shuffle(struct set *s, struct lot *lot)
{
	for (unsigned i = s->n; i > 1; i--) {
		unsigned j = lot_below(lot, i);
		struct feed_item t = s->item[i - 1];

		s->item[i - 1] = s->item[j];
		s->item[j] = t;
	}
}
