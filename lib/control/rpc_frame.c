/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where a request ends: at the bracket that closes its first one, outside of texts. That the
 * brackets match and that what stands between them is JSON, is jansson's to say.
 */
#include "control/rpc.h"

enum rpc_framed rpc_frame_read(struct rpc_frame *f, const char *in, size_t len, size_t *at)
{
	for (size_t i = *at; i < len; i++) {
		char c = in[i];

		if (f->text) {
			if (f->escape)
				f->escape = false;
			else if (c == '\\')
				f->escape = true;
			else if (c == '"')
				f->text = false;
		} else if (c == '{' || c == '[') {
			if (f->depth++ == RPC_DEPTH_MAX)
				return RPC_FRAME_BAD;
		} else if (f->depth == 0) {
			return RPC_FRAME_BAD;
		} else if (c == '}' || c == ']') {
			if (--f->depth == 0) {
				*at = i + 1;
				return RPC_FRAME_WHOLE;
			}
		} else if (c == '"') {
			f->text = true;
		}
	}
	*at = len;
	return RPC_FRAME_MORE;
}
