/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/* Inside lib/txn: what t_relay() and the way to a name's next address share. */
#include "txn/internal.h"

/* The fields that make one branch another than the next. */
struct target {
	struct route_text uri, du, path, instance;
	struct route_target du_target;
	int16_t socket;
	uint16_t q;
	uint32_t flags, reg_id;
};

struct relay {
	struct txn_shard *s;
	struct place *t;
	struct route_ctx *ctx;
	struct target own;
	struct route_text du;     /* where all of them go instead */
	struct branch *failing;   /* it is this one's next address that is wanted, or NULL */
	unsigned first, slots;    /* slots [first, slots) become branches */
	unsigned resumes;         /* this slot had to wait, plus one; 0: none had */
	unsigned on_branch;       /* block plus one */
	unsigned breadth;         /* of each */
	unsigned spare;           /* the first so many get one more */
	unsigned sent;            /* or made */
	bool hold;                /* they are made, and leave together */
	bool waits;               /* the failing one does, for the name of its next address */
	uint16_t status;          /* of the first one that failed */
	struct route_text reason; /* of the same, where its next hop was refused */
};

/* ---- slot.c ---- */

void relay_target_get(const struct route_ctx *ctx, struct target *out);
/* One branch of the slot: its branch_route, its next hop, and it is sent. What this changes in ctx
 * is undone. ROUTE_PENDING: nothing was sent; what its branch_route did is kept for the next call,
 * where there is memory. Other values: it was sent (r->sent), or it can't be. */
int32_t relay_slot(struct relay *r, unsigned slot, unsigned nth);
/* The last part of it: the next hop of the target that is set, and it is sent. */
int32_t relay_send(struct relay *r, unsigned slot, unsigned nth);
/* Whether the next hops of all slots are known, as they are without a branch_route. */
bool relay_all_known(struct relay *r);

/* ---- failover.c ---- */

/* r->failing's next address has a name that has to be asked for: ctx waits, as it is. `within`: its
 * branch_route stopped there. */
void relay_failover_wait(struct relay *r, bool within);
