/* SPDX-License-Identifier: BSD-3-Clause */
/* The command line of `siplane-gen search`, and the testbed's baseline. Private to search. */
#pragma once
#include <sys/types.h>

#include "gen.h"
#include "report.h"

#define SEARCH_USERS 10000000 /* of search rr where --users does not say */
/* RFC 2544 23: residual frames have two seconds. */
#define SEARCH_RESIDUAL_NS 2000000000ULL
#define SEARCH_PROBE_FROM 100.0 /* the first rate of --start probe */

struct search_options {
	enum search_kind kind;
	struct gen_config gen;
	struct ndr_terms ndr;
	struct ser_terms ser;
	bool probe;
	unsigned trials; /* at most */
	double pause;    /* s between trials */
	bool latency;
	bool baseline, reregister;
	double wait; /* s between registration and re-registration */
	const char *baseline_from, *dut;
	const char *note[REPORT_NOTES_MAX];
	unsigned notes;
	const char *of_ndr, *of_ser; /* the last option that belongs to these searches alone */
};

/* 0, or the exit status + 1 with which to leave now. */
int search_options_parse(int argc, char **argv, struct search_options *out);

/* A reflector of ours in the place of the system. */
struct baseline {
	pid_t pid; /* 0: it is in this process */
	uint16_t port;
	char address[NET_ADDR_TEXT_MAX];
	char target[NET_ENDPOINT_TEXT_MAX];
};

/*
 * Makes a copy of the configuration whose target is a reflector of ours, and starts that in a
 * process of its own unless this process is to stand on both sides anyway. 0, or -errno after it
 * has said why.
 */
int baseline_begin(
	const struct gen_config *config, struct gen_config *out, struct baseline *baseline);
void baseline_end(struct baseline *baseline);
