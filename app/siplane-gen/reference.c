/* SPDX-License-Identifier: BSD-3-Clause */
/* The language of scenario files, as Markdown: fields come from the table that messages are made
 * by. */
#include <errno.h>

#include "internal.h"

int scenario_reference(FILE *out)
{
	fputs("# Scenario files\n\n"
	      "Printed by `siplane-gen --reference`.\n\n"
	      "A `#` begins a comment. Blocks stand in any order, but what a block names stands "
	      "above it.\n\n"
	      "| block | means |\n|---|---|\n"
	      "| `set NAME = VALUE;` | a variable: `{NAME}` in messages, durations and counts; "
	      "`--set NAME=VALUE` overrides it |\n"
	      "| `message NAME {` text `}` | a message: its lines as they stand, each with CRLF, "
	      "without the first one's indentation; "
	      "a line that is a single `}` ends it. A blank line separates header and body; where "
	      "there is none, it is added |\n"
	      "| `call NAME {` steps `}` | what one attempt does |\n"
	      "| `mix { NAME WEIGHT; ... }` | share of each call; without it all have the same "
	      "|\n\n"
	      "| step | means |\n|---|---|\n"
	      "| `send MESSAGE;` | sends; requests but ACK are retransmitted until answered "
	      "(`--no-retransmit`: not) |\n"
	      "| `expect STATUS [optional] [within TIME];` | waits for an answer: `200`, `2xx`, "
	      "`180-183`, several with a bar between; "
	      "within 32s where nothing is said. Provisional answers that nothing expects are "
	      "passed over; a final one fails the attempt "
	      "(an INVITE's is acknowledged) |\n"
	      "| `wait TIME [to TIME];` | waits, between two times at random |\n"
	      "| `repeat COUNT { steps }` | does them so many times |\n\n"
	      "| field | is |\n|---|---|\n",
		out);
#define FIELD(id, field_name, most, text) fprintf(out, "| `{%s}` | %s |\n", field_name, text);
	FIELDS(FIELD)
#undef FIELD
	fputs("\n`{{` is a brace. `set auth_user` and `set auth_password` are texts with fields, "
	      "for `{authorization}` "
	      "(MD5, SHA-256 and SHA-512-256).\n",
		out);
	return ferror(out) ? -EIO : 0;
}
