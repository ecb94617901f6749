/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Loaded before PCRE2 under memcheck: no pattern is compiled by its JIT, whose code compares
 * sixteen bytes at once, those around the subject too, and passes over what is none of it. memcheck
 * cannot know that. The interpreter reads each byte by itself, so that a subject that was never
 * written is seen.
 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

int pcre2_jit_compile(pcre2_code *code, uint32_t options)
{
	(void)code;
	(void)options;
	return PCRE2_ERROR_JIT_BADOPTION;
}
