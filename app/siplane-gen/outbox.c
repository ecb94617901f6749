/* SPDX-License-Identifier: BSD-3-Clause */
#include "internal.h"

struct packet *outbox_next(struct outbox *o)
{
	if (o->used == GEN_BURST)
		outbox_flush(o);
	if (o->used == o->got) {
		o->got += o->io->get(o->io, o->packet + o->got, GEN_BURST - o->got);
		if (o->used == o->got)
			return NULL;
	}
	return &o->packet[o->used];
}

void outbox_put(struct outbox *o)
{
	o->used++;
}

void outbox_flush(struct outbox *o)
{
	unsigned left = o->got - o->used;

	if (o->used == 0)
		return;
	o->refused += o->used - o->io->send(o->io, o->packet, o->used);
	memmove(o->packet, o->packet + o->used, left * sizeof(o->packet[0]));
	o->got = left;
	o->used = 0;
}
