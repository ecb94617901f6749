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
	      "(an INVITE's is acknowledged), but a 401 or 407 to a message with `{authorization}` "
	      "is "
	      "answered |\n"
	      "| `expect METHOD [within TIME];` | waits for a request of the other side's in the "
	      "dialog: `BYE`, `UPDATE`, `INFO` |\n"
	      "| `wait TIME [to TIME];` | waits, between two times at random |\n"
	      "| `repeat COUNT { steps }` | does them so many times |\n\n"
	      "| field | is |\n|---|---|\n",
		out);
#define FIELD(id, field_name, most, text) fprintf(out, "| `{%s}` | %s |\n", field_name, text);
	FIELDS(FIELD)
#undef FIELD
	fputs("\nBeside the steps, without a word of the scenario's: failed INVITEs are "
	      "acknowledged, "
	      "a 2xx that comes again gets its ACK again, one that nobody wants (it crossed the "
	      "CANCEL, came too late, or from another branch) is acknowledged and ended; CANCEL is "
	      "retransmitted; a call that fails is cancelled or ended; a reliable 1xx to an INVITE "
	      "that speaks of `100rel` gets its PRACK; requests of the other side's are answered, "
	      "and "
	      "its BYE ends the call.\n\n"
	      "An INVITE without `{to_tag}`, or behind a BYE, begins a new dialog with a Call-ID "
	      "and "
	      "tag of its own. Contacts of later 2xx and of the other side's INVITE and UPDATE "
	      "move "
	      "`{contact}`.\n",
		out);
	fputs("\n`{{` is a brace. `set auth_user` and `set auth_password` are texts with fields, "
	      "for `{authorization}` "
	      "(MD5, SHA-256 and SHA-512-256).\n",
		out);
	return ferror(out) ? -EIO : 0;
}
