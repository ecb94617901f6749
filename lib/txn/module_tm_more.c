/* SPDX-License-Identifier: BSD-3-Clause */
/* Further functions of module "tm". Those without a run() are known by name, so that a
 * configuration loads and is explained; a run that meets one fails. */
#include "txn/internal.h"

#define ANY ROUTE_IN_ANY
#define REQUEST_IN (ROUTE_IN_REQUEST | ROUTE_IN_FAILURE)

#define FN(n, least, most, blocks, how, what) \
	{ \
		.name = n, .args_min = least, .args_max = most, .in = blocks, \
		.path = ROUTE_PATH_SLOW, .usage = how, .help = what \
	}

const struct route_function txn_more_functions[] = {
	FN("t_relay_to_tcp", 0, 2, ANY, "t_relay_to_tcp([host, port])", "Relays over TCP."),
	FN("t_is_expired", 0, 0, ANY, "t_is_expired()", "Whether the transaction expired."),
	FN("t_grep_status", 1, 1, ANY, "t_grep_status(code)", "Whether a branch was answered so."),
	FN("t_is_set", 1, 1, ANY, "t_is_set(target)", "Whether a route is named."),
	FN("t_flush_flags", 0, 0, ANY, "t_flush_flags()", "Copies the flags to the transaction."),
	FN("t_replicate", 1, 2, ROUTE_IN_REQUEST, "t_replicate(uri)", "Sends a copy."),
	FN("t_retransmit_reply", 0, 0, ROUTE_IN_REQUEST, "t_retransmit_reply()",
		"Sends the last reply again."),
	FN("t_cancel_callid", 3, 4, ANY, "t_cancel_callid(callid, cseq, flag)",
		"Cancels a transaction."),
	FN("t_load_contacts", 0, 1, REQUEST_IN, "t_load_contacts()", "Orders the branches by q."),
	FN("t_next_contacts", 0, 1, REQUEST_IN, "t_next_contacts()",
		"Takes the next branches by q."),
	FN("t_drop_replies", 0, 1, ROUTE_IN_FAILURE, "t_drop_replies()",
		"Forgets the replies so far."),
	FN("t_save_lumps", 0, 0, ROUTE_IN_REQUEST, "t_save_lumps()",
		"Keeps the changes for later branches."),
	FN("t_local_replied", 1, 1, ANY, "t_local_replied(which)", "Whether we answered."),
	FN("t_write_unix", 2, 2, ANY, "t_write_unix(socket, action)",
		"Writes the request to a socket."),
	{.name = NULL},
};
