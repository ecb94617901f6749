/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The secret file: a branch key for the life of a group of nodes, and MAC keys that roll.
 *
 *	# siplane secret. ...
 *	version 1
 *	branch 00112233445566778899aabbccddeeff
 *	mac a 00112233445566778899aabbccddeeff
 *	next b ...
 *	retired z ...
 *
 * `mac` signs; all verify. A roll makes `next` sign, which every node of the group has known since
 *the last roll, and draws a new `next`: so no node meets a key that it does not know, in whatever
 *order the nodes reload.
 */
#include "proxy/internal.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECRET_FILE_MAX 4096
#define SECRET_VERSION "1"
#define KEY_HEX_LEN 32
#define FOLDER_MAX 4096

static const char ids[] = "abcdefghijklmnopqrstuvwxyz234567";

static int fail(int code, char *error, size_t size, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

static int fail(int code, char *error, size_t size, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(error, size, fmt, args);
	va_end(args);
	return code;
}

static int hex_digit(char c)
{
	c = str_lower_char(c);
	if (str_is_digit(c))
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool key_parse(struct str text, struct hash_key *out)
{
	if (text.len != KEY_HEX_LEN)
		return false;
	for (unsigned i = 0; i < 2; i++) {
		out->k[i] = 0;
		for (unsigned j = 0; j < 16; j++) {
			int digit = hex_digit(text.s[16 * i + j]);

			if (digit < 0)
				return false;
			out->k[i] = out->k[i] << 4 | (uint64_t)digit;
		}
	}
	return true;
}

int proxy_secret_random(struct keys *keys)
{
	int ret = hash_key_random(&keys->branch);

	if (ret != 0)
		return ret;
	keys->count = 2;
	for (unsigned i = 0; i < keys->count; i++) {
		keys->mac[i].id = ids[i];
		ret = hash_key_random(&keys->mac[i].key);
		if (ret != 0)
			return ret;
	}
	return 0;
}

static struct str word(struct str *line)
{
	struct str out;
	uint32_t n = 0;

	*line = str_trim(*line);
	while (n < line->len && !str_is_lws(line->s[n]))
		n++;
	out = (struct str){line->s, n};
	line->s += n;
	line->len -= n;
	return out;
}

enum line_kind {
	LINE_EMPTY,
	LINE_VERSION,
	LINE_BRANCH,
	LINE_MAC,
	LINE_NEXT,
	LINE_RETIRED,
	LINE_BAD
};

static enum line_kind kind_of(struct str name)
{
	static const char *const names[] = {"", "version", "branch", "mac", "next", "retired"};

	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (str_eq(name, str_c(names[i])))
			return (enum line_kind)i;
	}
	return LINE_BAD;
}

/* Reads one line into keys; `seen` has a bit for each kind. False: what is wrong is in `*why`. */
static bool line_parse(struct str line, struct keys *keys, unsigned *seen, const char **why)
{
	enum line_kind kind = line.len != 0 && line.s[0] == '#' ? LINE_EMPTY : kind_of(word(&line));
	struct str id, key;

	*why = NULL;
	switch (kind) {
	case LINE_EMPTY:
		return true;
	case LINE_VERSION:
		*why = "only version 1 is known";
		*seen |= 1u << kind;
		return str_eq(word(&line), STR(SECRET_VERSION));
	case LINE_BRANCH:
		*why = "'branch' wants one key of 32 hexadecimal digits";
		if ((*seen & 1u << kind) != 0 || !key_parse(word(&line), &keys->branch))
			return false;
		*seen |= 1u << kind;
		return true;
	case LINE_MAC:
	case LINE_NEXT:
	case LINE_RETIRED:
		*why = "one 'mac' stands first, then at most one 'next'";
		if ((kind == LINE_MAC) != (keys->count == 0) ||
			(kind == LINE_NEXT && (*seen & 1u << kind) != 0))
			return false;
		*why = "too many keys";
		if (keys->count == PROXY_KEYS_MAX)
			return false;
		*why = "a key has an id of one character (a-z, 2-7) of its own and 32 hexadecimal "
		       "digits";
		id = word(&line);
		key = word(&line);
		if (id.len != 1 || strchr(ids, id.s[0]) == NULL ||
			!key_parse(key, &keys->mac[keys->count].key))
			return false;
		for (unsigned i = 0; i < keys->count; i++) {
			if (keys->mac[i].id == id.s[0])
				return false;
		}
		keys->mac[keys->count++].id = id.s[0];
		*seen |= 1u << kind;
		return true;
	case LINE_BAD:
		break;
	}
	*why = "unknown word";
	return false;
}

static int keys_parse(const char *path, struct str text, struct keys *keys, unsigned *seen,
	char *error, size_t size)
{
	unsigned number = 0;

	memset(keys, 0, sizeof(*keys));
	*seen = 0;
	while (text.len != 0) {
		int64_t end = str_find(text, '\n');
		struct str line = {text.s, end < 0 ? text.len : (uint32_t)end};
		const char *why;

		number++;
		text.s += end < 0 ? text.len : (uint32_t)end + 1;
		text.len -= end < 0 ? text.len : (uint32_t)end + 1;
		if (!line_parse(line, keys, seen, &why))
			return fail(
				-EINVAL, error, size, "secret file %s:%u: %s", path, number, why);
	}
	if ((*seen & (1u << LINE_VERSION | 1u << LINE_BRANCH | 1u << LINE_MAC)) !=
		(1u << LINE_VERSION | 1u << LINE_BRANCH | 1u << LINE_MAC))
		return fail(-EINVAL, error, size,
			"secret file %s is not whole: it wants 'version', 'branch' and 'mac'",
			path);
	return 0;
}

static int file_check(const char *path, const struct stat *st, char *error, size_t size)
{
	if (!S_ISREG(st->st_mode))
		return fail(-EINVAL, error, size, "secret file %s is no regular file", path);
	if ((st->st_mode & 077) != 0)
		return fail(-EPERM, error, size,
			"secret file %s is open to others (mode %04o): its keys may be known; "
			"chmod 600 %s",
			path, (unsigned)st->st_mode & 07777, path);
	if (st->st_uid != geteuid() && st->st_uid != 0)
		return fail(-EPERM, error, size,
			"secret file %s belongs to user %u, not to %u who runs this", path,
			(unsigned)st->st_uid, (unsigned)geteuid());
	if (st->st_size >= SECRET_FILE_MAX)
		return fail(-EFBIG, error, size,
			"secret file %s has %lld bytes: it is something else", path,
			(long long)st->st_size);
	return 0;
}

/* Reads an existing file. -ENOENT without a sentence where there is none. */
static int file_read(const char *path, struct keys *keys, unsigned *seen, char *error, size_t size)
{
	char buf[SECRET_FILE_MAX];
	struct stat st;
	ssize_t n = 0, len = 0;
	int fd, ret;

	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return errno == ENOENT ? -ENOENT
				       : fail(-errno, error, size, "secret file %s: %s", path,
						 strerror(errno));
	if (fstat(fd, &st) != 0) {
		ret = fail(-errno, error, size, "secret file %s: %s", path, strerror(errno));
		goto out;
	}
	ret = file_check(path, &st, error, size);
	if (ret != 0)
		goto out;
	while (len < (ssize_t)sizeof(buf) &&
		(n = read(fd, buf + len, sizeof(buf) - (size_t)len)) > 0)
		len += n;
	if (n < 0) {
		ret = fail(-errno, error, size, "secret file %s: %s", path, strerror(errno));
		goto out;
	}
	ret = keys_parse(path, str_of(buf, (size_t)len), keys, seen, error, size);
out:
	explicit_bzero(buf, sizeof(buf));
	close(fd);
	return ret;
}

static unsigned keys_format(const struct keys *keys, char *out, size_t size)
{
	int n = snprintf(out, size,
		"# siplane secret: the keys of this node and of every node of its group. Keep it "
		"private (mode 0600).\n"
		"# 'branch' stays for the life of the group. 'mac' signs, all verify; 'next' signs "
		"after the next roll.\n"
		"version " SECRET_VERSION "\nbranch %016llx%016llx\n",
		(unsigned long long)keys->branch.k[0], (unsigned long long)keys->branch.k[1]);

	for (unsigned i = 0; i < keys->count; i++)
		n += snprintf(out + n, size - (size_t)n, "%s %c %016llx%016llx\n",
			i == 0   ? "mac"
			: i == 1 ? "next"
				 : "retired",
			keys->mac[i].id, (unsigned long long)keys->mac[i].key.k[0],
			(unsigned long long)keys->mac[i].key.k[1]);
	return (unsigned)n;
}

static int write_all(int fd, const char *buf, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, buf, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		buf += n;
		len -= (size_t)n;
	}
	return fsync(fd) == 0 ? 0 : -errno;
}

static void folder_of(const char *path, char *folder, size_t size)
{
	const char *slash = strrchr(path, '/');

	snprintf(folder, size, "%.*s",
		slash == NULL   ? 1
		: slash == path ? 1
				: (int)(slash - path),
		slash == NULL ? "." : path);
}

/* Makes the new name last a power cut. */
static void sync_folder(const char *path)
{
	char folder[FOLDER_MAX];
	int fd;

	folder_of(path, folder, sizeof(folder));
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0) {
		fsync(fd);
		close(fd);
	}
}

/* Why no file is made beside `path`; with what to do where its folder is not there. */
static int cannot_create(const char *path, int code, char *error, size_t size)
{
	char folder[FOLDER_MAX];

	if (code != -ENOENT)
		return fail(code, error, size, "cannot create secret file %s: %s", path,
			strerror(-code));
	folder_of(path, folder, sizeof(folder));
	return fail(code, error, size,
		"cannot create secret file %s: %s: mkdir -p %s, or name another file with "
		"secret_file",
		path, strerror(-code), folder);
}

/*
 * Writes the keys beside `path` and gives them that name in one step. `replace` false: -EEXIST
 * where the name is taken, so that of two processes that start at once one creates the file and the
 * other reads it.
 */
static int file_write(
	const char *path, const struct keys *keys, bool replace, char *error, size_t size)
{
	char buf[SECRET_FILE_MAX], temporary[4096];
	unsigned len = keys_format(keys, buf, sizeof(buf));
	struct hash_key unique;
	int fd, ret;

	/* A name that no other process has, on another machine with this folder either. */
	ret = hash_key_random(&unique);
	if (ret != 0)
		return fail(ret, error, size, "no random numbers: %s", strerror(-ret));
	if (snprintf(temporary, sizeof(temporary), "%s.%016llx.new", path,
		    (unsigned long long)unique.k[0]) >= (int)sizeof(temporary))
		return fail(-ENAMETOOLONG, error, size, "secret file %s: %s", path,
			strerror(ENAMETOOLONG));
	fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0) {
		ret = cannot_create(path, -errno, error, size);
		goto out;
	}
	ret = fchmod(fd, 0600) == 0 ? write_all(fd, buf, len) : -errno;
	close(fd);
	if (ret == 0 && (replace ? rename(temporary, path) : link(temporary, path)) != 0)
		ret = -errno;
	if (ret != 0 && ret != -EEXIST)
		fail(ret, error, size, "cannot write secret file %s: %s", path, strerror(-ret));
	unlink(temporary);
	if (ret == 0)
		sync_folder(path);
out:
	explicit_bzero(buf, sizeof(buf));
	return ret;
}

int proxy_secret_read(const char *path, struct keys *keys, char *error, size_t size)
{
	unsigned seen;
	int ret = file_read(path, keys, &seen, error, size);

	if (ret != -ENOENT)
		return ret;
	memset(keys, 0, sizeof(*keys));
	ret = proxy_secret_random(keys);
	if (ret != 0)
		return fail(ret, error, size, "no random numbers for secret file %s: %s", path,
			strerror(-ret));
	ret = file_write(path, keys, false, error, size);
	if (ret != 0 && ret != -EEXIST)
		return ret;
	ret = file_read(path, keys, &seen, error, size);
	return ret == -ENOENT ? fail(ret, error, size, "secret file %s vanished", path) : ret;
}

static char free_id(const struct keys *keys)
{
	unsigned at = (unsigned)(strchr(ids, keys->mac[1].id) - ids);

	for (unsigned i = 1; i <= 32; i++) {
		char id = ids[(at + i) % 32];
		bool used = false;

		for (unsigned j = 0; j < keys->count; j++)
			used |= keys->mac[j].id == id;
		if (!used)
			return id;
	}
	return 0; /* not reached: there are fewer keys than ids */
}

int proxy_secret_roll(const char *path, char *error, size_t size)
{
	struct keys keys;
	unsigned seen;
	struct token_key signing, coming = {0};
	int ret = file_read(path, &keys, &seen, error, size);

	if (ret == -ENOENT)
		fail(ret, error, size, "there is no secret file %s", path);
	if (ret != 0)
		return ret;
	ret = hash_key_random(&coming.key);
	if (ret != 0)
		return fail(ret, error, size, "no random numbers: %s", strerror(-ret));
	if (keys.count == 1 || (seen & 1u << LINE_NEXT) == 0) {
		/* A file without `next`: this roll only announces the key, the next one makes it
		 * sign. */
		if (keys.count == PROXY_KEYS_MAX)
			keys.count--;
		memmove(&keys.mac[2], &keys.mac[1], (keys.count - 1) * sizeof(keys.mac[0]));
		keys.mac[1].id = keys.mac[0].id;
		keys.count++;
		coming.id = free_id(&keys);
		keys.mac[1] = coming;
	} else {
		if (keys.count == PROXY_KEYS_MAX)
			keys.count--; /* the oldest one is forgotten */
		coming.id = free_id(&keys);
		signing = keys.mac[0];
		keys.mac[0] = keys.mac[1];
		memmove(&keys.mac[3], &keys.mac[2], (keys.count - 2) * sizeof(keys.mac[0]));
		keys.mac[2] = signing;
		keys.mac[1] = coming;
		keys.count++;
	}
	ret = file_write(path, &keys, true, error, size);
	explicit_bzero(&keys, sizeof(keys));
	return ret;
}

static bool key_equal(const struct hash_key *a, const struct hash_key *b)
{
	return a->k[0] == b->k[0] && a->k[1] == b->k[1];
}

int proxy_secret_load(struct proxy *p, const char *path, char *error, size_t size)
{
	struct keys *old = atomic_load_explicit(&p->keys, memory_order_relaxed);
	struct keys *keys;
	int ret;

	if (path == NULL && old != NULL)
		return 0; /* the keys of this process stay */
	keys = calloc(1, sizeof(*keys));
	if (keys == NULL)
		return fail(-ENOMEM, error, size, "no memory for keys");
	ret = path != NULL ? proxy_secret_read(path, keys, error, size) : proxy_secret_random(keys);
	if (ret != 0 && path == NULL)
		fail(ret, error, size, "no random numbers: %s", strerror(-ret));
	if (ret == 0 && old != NULL && !key_equal(&old->branch, &keys->branch))
		ret = fail(-EINVAL, error, size,
			"secret file %s has another branch key than the running one: transactions "
			"under way would part; "
			"restart to take it",
			path);
	if (ret != 0) {
		free(keys);
		return ret;
	}
	proxy_keys_derive(keys);
	atomic_store_explicit(&p->keys, keys, memory_order_release);
	if (old != NULL)
		proxy_retire(p, old);
	return 0;
}
