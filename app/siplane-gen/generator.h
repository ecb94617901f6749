/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/* What open.c makes and trial.c runs, and what own.c says of it. */
#include "internal.h"

struct gen {
	struct gen_config config;
	struct scenario *scenario;
	struct io *caller, *reflector;
	struct bind bind;
	struct template template[GEN_MESSAGES_MAX], digest_user, digest_password;
	struct outbox out, reflector_out;
	struct calls *calls;
	struct reflector *reflects;
	struct gen_reflected reflected;
	uint32_t runs;   /* number in branches; begins at random */
	uint32_t trials; /* that have begun */
	uint64_t poll_at;
	char error[GEN_ERROR_MAX];
};

/* ---- own: the generator's part in what a trial lost ---- */

/* What devices and sockets count goes on from trial to trial: `sign` -1 when one begins, 1 at its
 * end. */
void own_count(struct gen *g, struct gen_result *r, int sign);
/*
 * Whether the generator itself was what ended the rate, and why: everything that it lost, or did
 * not send, is not the system's doing. What a memif's other side leaves in the queue is.
 */
void own_judge(const struct gen *g, struct gen_result *r);
