/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/* Where the control socket stands. Private to the room. */
#include <sys/types.h>
#include <sys/un.h>

#include "base/str.h"

#define RPC_NO_GROUP ((gid_t)-1)

struct rpc_place {
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	int folder;   /* a descriptor of it */
	dev_t device; /* of our own file: nobody else's is taken away */
	ino_t inode;
};

/*
 * Binds a socket there and listens: mode 0600, or 0660 and of `group` where there is one. Its
 * descriptor; or -errno and a sentence, and nothing is left behind.
 */
int rpc_place_open(
	struct rpc_place *p, const char *path, gid_t group, char *error, size_t error_size);
/* Whether who connects to the path gets here. */
bool rpc_place_is_ours(const struct rpc_place *p);
/* Takes the name away, where it is ours still. */
void rpc_place_close(struct rpc_place *p);
