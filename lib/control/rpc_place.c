/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The control socket's name. Whoever may write in its folder can take a name away and put his own
 * there; so it is looked at who may, and all that is done to the file goes by descriptors: of the
 * folder, and of the file itself, which no link leads astray. The file has never a wider mode than
 * it is to have in the end.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "control/rpc_place.h"

#define BACKLOG 128
#define LOCK_TRIES 100 /* of 10 ms, while another process makes the same socket */
#define LOCK_NAME_MAX (sizeof(((struct rpc_place *)0)->path) + sizeof("..lock"))

static int say(char *error, size_t size, int err, const char *path, const char *what)
{
	snprintf(error, size, "control_socket %s: %s", path, what);
	return -err;
}

static const char *name_of(const struct rpc_place *p)
{
	const char *slash = strrchr(p->path, '/');

	return slash != NULL ? slash + 1 : p->path;
}

/* ---- the folder ---- */

/* Where a link leads that is root's or ours: what is looked at is what is followed, whatever is put
 * in its place meanwhile. */
static int open_link(const char *folder)
{
	char parent[sizeof(((struct rpc_place *)0)->path)], target[PATH_MAX];
	int link = open(folder, O_PATH | O_NOFOLLOW | O_CLOEXEC), at, fd;
	struct stat st;
	ssize_t len;
	char *slash;

	if (link < 0)
		return -1;
	if (fstat(link, &st) != 0 || !S_ISLNK(st.st_mode) ||
		(st.st_uid != 0 && st.st_uid != geteuid())) {
		close(link);
		errno = ELOOP;
		return -1;
	}
	len = readlinkat(link, "", target, sizeof(target) - 1);
	close(link);
	if (len < 0)
		return -1;
	target[len] = '\0';
	strcpy(parent, folder);
	slash = strrchr(parent, '/');
	if (slash == NULL)
		strcpy(parent, ".");
	else
		slash[slash == parent] = '\0';
	at = open(parent, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (at < 0)
		return -1;
	fd = openat(at, target, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	close(at);
	return fd;
}

static int open_directory(const char *folder)
{
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	struct stat st;

	if (fd >= 0 || (errno != ELOOP && errno != ENOTDIR) || lstat(folder, &st) != 0 ||
		!S_ISLNK(st.st_mode))
		return fd;
	return open_link(folder);
}

/* Made where it is not there, for one level. 0, or -errno. */
static int open_folder(struct rpc_place *p, char *error, size_t size)
{
	char folder[sizeof(p->path)], what[160];
	char *slash;

	strcpy(folder, p->path);
	slash = strrchr(folder, '/');
	if (slash == NULL)
		strcpy(folder, ".");
	else
		slash[slash == folder] = '\0';
	if (mkdir(folder, 0755) != 0 && errno != EEXIST) {
		snprintf(what, sizeof(what), "its folder cannot be made: %s", strerror(errno));
		return say(error, size, errno, p->path, what);
	}
	p->folder = open_directory(folder);
	if (p->folder < 0) {
		snprintf(what, sizeof(what), "its folder: %s", strerror(errno));
		return say(error, size, errno, p->path, what);
	}
	return 0;
}

/* ---- one at a time ---- */

static void lock_name(const struct rpc_place *p, char out[LOCK_NAME_MAX])
{
	snprintf(out, LOCK_NAME_MAX, ".%s.lock", name_of(p));
}

enum lock_state { LOCK_OURS, LOCK_GONE, LOCK_FOREIGN };

/* Whether nobody but us can have it open, and whether its name leads to it still. */
static enum lock_state look_at_lock(int fd)
{
	struct stat st;

	if (fd < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_uid != geteuid() ||
		(st.st_mode & 077) != 0)
		return LOCK_FOREIGN;
	return st.st_nlink != 0 ? LOCK_OURS : LOCK_GONE;
}

/* One try: a descriptor, or -errno; -EAGAIN: another one is worth it. */
static int try_lock(const struct rpc_place *p, const char *name)
{
	int fd = openat(
		p->folder, name, O_RDONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
	int err = -EAGAIN;

	if (fd < 0 && errno != ELOOP && errno != EACCES && errno != ENXIO)
		return -errno;
	switch (look_at_lock(fd)) {
	case LOCK_OURS:
		if (flock(fd, LOCK_EX | LOCK_NB) != 0)
			usleep(10000);
		else if (look_at_lock(fd) == LOCK_OURS)
			return fd;
		break;
	case LOCK_GONE:
		break;
	case LOCK_FOREIGN:
		if (unlinkat(p->folder, name, 0) != 0 && errno != ENOENT)
			err = -errno;
		break;
	}
	if (fd >= 0)
		close(fd);
	return err;
}

/*
 * Who replaces a file there waits for others who do: by a file that only they can open, as the
 * folder itself can be locked by whoever reads it. What somebody else has put under its name is
 * taken away. A descriptor, or -errno.
 */
static int lock_place(const struct rpc_place *p, char *error, size_t size)
{
	char name[LOCK_NAME_MAX], what[160];
	int lock = -EAGAIN;

	lock_name(p, name);
	for (unsigned i = 0; lock == -EAGAIN && i < LOCK_TRIES; i++)
		lock = try_lock(p, name);
	if (lock >= 0)
		return lock;
	if (lock == -EAGAIN)
		return say(error, size, EBUSY, p->path,
			"another process stays at making a socket there");
	snprintf(what, sizeof(what), "its lock: %s", strerror(-lock));
	return say(error, size, -lock, p->path, what);
}

static void unlock_place(const struct rpc_place *p, int lock)
{
	char name[LOCK_NAME_MAX];

	lock_name(p, name);
	unlinkat(p->folder, name, 0);
	close(lock);
}

/* ---- who may write there ---- */

/* Who owns the folder, or may write in one that has no sticky bit, can replace what stands there.
 * The group that may connect may do worse. */
static void warn_of_folder(const struct rpc_place *p, gid_t group)
{
	struct stat st;
	bool others;

	if (fstat(p->folder, &st) != 0)
		return;
	others = (st.st_mode & S_ISVTX) == 0 &&
		 ((st.st_mode & S_IWOTH) != 0 ||
			 ((st.st_mode & S_IWGRP) != 0 && st.st_gid != group && st.st_gid != 0 &&
				 st.st_gid != getegid()));
	if (others)
		log_warning(
			"control_socket %s: others may write in its folder (mode %04o), and put "
			"a socket of their own in its place",
			p->path, (unsigned)st.st_mode & 07777);
	else if (st.st_uid != 0 && st.st_uid != geteuid())
		log_warning(
			"control_socket %s: its folder belongs to user %u, who can put a socket "
			"of his own in its place",
			p->path, (unsigned)st.st_uid);
}

/* ---- what stands there ---- */

/* A socket that nobody serves is taken away. */
static int clear_path(
	const struct rpc_place *p, const struct sockaddr_un *addr, char *error, size_t size)
{
	struct ucred peer = {.pid = 0};
	socklen_t len = sizeof(peer);
	struct stat st;
	char what[160];
	int fd, err = 0;

	if (fstatat(p->folder, name_of(p), &st, AT_SYMLINK_NOFOLLOW) != 0)
		return errno == ENOENT ? 0 : say(error, size, errno, p->path, strerror(errno));
	if (!S_ISSOCK(st.st_mode))
		return say(error, size, EEXIST, p->path,
			"there is a file that is no socket; it is left alone");
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return say(error, size, errno, p->path, strerror(errno));
	if (connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) == 0) {
		if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 && peer.pid != 0)
			snprintf(what, sizeof(what), "process %d serves it already", peer.pid);
		else
			snprintf(what, sizeof(what), "another process serves it already");
		err = say(error, size, EADDRINUSE, p->path, what);
	} else if (errno == EAGAIN) {
		/* Its queue is full: so it lives. */
		err = say(error, size, EADDRINUSE, p->path,
			"another process serves it already, and is busy");
	} else if (errno != ECONNREFUSED) {
		err = say(error, size, errno, p->path, strerror(errno));
	} else if (unlinkat(p->folder, name_of(p), 0) != 0) {
		err = say(error, size, errno, p->path, strerror(errno));
	}
	close(fd);
	return err;
}

/* ---- binding ---- */

/* chmod() of a file that only a descriptor of O_PATH leads to. */
static int change_mode(int file, mode_t mode)
{
	char self[32];

	snprintf(self, sizeof(self), "/proc/self/fd/%d", file);
	return chmod(self, mode);
}

/* What has been bound gets its group, and its mode. */
static int own(struct rpc_place *p, gid_t group)
{
	mode_t mode = group != RPC_NO_GROUP ? 0660 : 0600;
	int file = openat(p->folder, name_of(p), O_PATH | O_NOFOLLOW | O_CLOEXEC), err = 0;
	struct stat st;

	if (file < 0 || fstat(file, &st) != 0) {
		err = -errno;
	} else if (!S_ISSOCK(st.st_mode) || st.st_uid != geteuid()) {
		err = -EEXIST; /* somebody was quicker */
	} else {
		p->device = st.st_dev;
		p->inode = st.st_ino;
		if ((group != RPC_NO_GROUP &&
			    fchownat(file, "", (uid_t)-1, group, AT_EMPTY_PATH) != 0) ||
			((st.st_mode & 07777) != mode && change_mode(file, mode) != 0))
			err = -errno;
	}
	if (file >= 0)
		close(file);
	return err;
}

/* Until it listens nobody gets in, whatever its mode is. A descriptor, or -errno. */
static int bind_socket(struct rpc_place *p, const struct sockaddr_un *addr, gid_t group)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), err;

	if (fd < 0)
		return -errno;
	/* The mode of the socket is the file's, as far as the umask lets it. */
	if (fchmod(fd, 0600) != 0 || bind(fd, (const struct sockaddr *)addr, sizeof(*addr)) != 0) {
		err = -errno;
		close(fd);
		return err;
	}
	err = own(p, group);
	if (err == 0 && listen(fd, BACKLOG) != 0)
		err = -errno;
	if (err == 0)
		return fd;
	if (p->inode != 0 && rpc_place_is_ours(p))
		unlinkat(p->folder, name_of(p), 0);
	close(fd);
	return err;
}

int rpc_place_open(struct rpc_place *p, const char *path, gid_t group, char *error, size_t size)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = -1, lock = -1, err;

	*p = (struct rpc_place){.folder = -1};
	if (strlen(path) >= sizeof(addr.sun_path)) {
		snprintf(error, size, "control_socket %s: longer than %zu bytes", path,
			sizeof(addr.sun_path) - 1);
		return -ENAMETOOLONG;
	}
	strcpy(p->path, path);
	strcpy(addr.sun_path, path);
	err = open_folder(p, error, size);
	if (err == 0) {
		lock = lock_place(p, error, size);
		err = lock < 0 ? lock : 0;
	}
	if (err == 0)
		err = clear_path(p, &addr, error, size);
	if (err == 0) {
		fd = bind_socket(p, &addr, group);
		err = fd < 0 ? say(error, size, -fd, p->path, strerror(-fd)) : 0;
	}
	if (lock >= 0)
		unlock_place(p, lock);
	if (err != 0) {
		if (p->folder >= 0)
			close(p->folder);
		return err;
	}
	warn_of_folder(p, group);
	return fd;
}

bool rpc_place_is_ours(const struct rpc_place *p)
{
	struct stat st;

	return lstat(p->path, &st) == 0 && st.st_dev == p->device && st.st_ino == p->inode;
}

void rpc_place_close(struct rpc_place *p)
{
	if (rpc_place_is_ours(p))
		unlinkat(p->folder, name_of(p), 0);
	close(p->folder);
}
