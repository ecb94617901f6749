/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef UNIT_FOLDER_H
#define UNIT_FOLDER_H

#include <unistd.h>

/*
 * Where files of databases are that a test makes: in memory, if it can be. They are synced at each
 * commit, and what is held to what comes of it shall not wait for other tests' disk. What a process
 * that is killed has written is there in memory as on a disk.
 */
static inline const char *folder_of_databases(void)
{
	return access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
}

#endif
