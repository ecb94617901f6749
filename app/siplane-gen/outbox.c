/* SPDX-License-Identifier: BSD-3-Clause */
#include "internal.h"

struct packet *outbox_next(struct outbox *o)
{
	if (o->used == GEN_BURST)
		outbox_flush(o);
	if (o->used == o->got) {
		o->got += o->io->get(o->io, o->packet + o->got, GEN_BURST - o->got);
		if (o->used == o->got) {
			o->refused++;
			return NULL;
		}
	}
	return &o->packet[o->used];
}

void outbox_put(struct outbox *o)
{
	o->used++;
}

void outbox_flush(struct outbox *o)
{
	struct packet sent[GEN_BURST];
	unsigned used = o->used, left = o->got - used, refused;

	if (used == 0)
		return;
	refused = used - o->io->send(o->io, o->packet, used);
	o->refused += refused;
	if (refused > 0)
		memcpy(sent, o->packet, used * sizeof(sent[0]));
	memmove(o->packet, o->packet + used, left * sizeof(o->packet[0]));
	o->got = left;
	o->used = 0;
	if (refused == 0 || o->on_refused == NULL || o->io->peer_queue)
		return;
	for (unsigned i = 0; i < used; i++)
		if (sent[i].refused)
			o->on_refused(o->arg, &sent[i]);
}
