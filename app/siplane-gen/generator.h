/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/* What open.c makes and trial.c runs. */
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
