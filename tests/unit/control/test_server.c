/* SPDX-License-Identifier: BSD-3-Clause */
/* The socket: who gets in, and what becomes of clients that are slow, silent or mad. The clock is
 * the test's. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "common.h"

#define ECHO_CALL "{\"jsonrpc\":\"2.0\",\"method\":\"echo\",\"params\":[\"a\"],\"id\":1}"
#define ECHO_ANSWER "{\"jsonrpc\":\"2.0\",\"result\":[\"a\",-1,false],\"id\":1}\n"

static struct room room;
static char folder[64], path[96], said[512];
static struct rpc *server;
static uint64_t now_ns, look_ns, looks;

/* Takes the place of lib/base's clock: it stands, however long the machine takes, unless each look
 * at it is to take look_ns. */
uint64_t clock_now_ns(void)
{
	return now_ns + look_ns * looks++;
}

static struct rpc *open_at(const char *where, const char *group)
{
	struct rpc_config config = {
		.path = where, .group = group, .commands = commands, .room = &room};

	said[0] = '\0';
	return rpc_open(&config, said, sizeof(said));
}

static int setup(void **state)
{
	strcpy(folder, "/tmp/siplane-rpc-XXXXXX");
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/control.sock", folder);
	memset(&room, 0, sizeof(room));
	now_ns = 1000 * CLOCK_NS_PER_S;
	look_ns = 0;
	server = open_at(path, NULL);
	if (server == NULL)
		fail_msg("%s", said);
	return 0;
}

static int teardown(void **state)
{
	rpc_close(server);
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(rmdir(folder), 0);
	return 0;
}

static void polls(unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		now_ns += CLOCK_NS_PER_MS;
		rpc_poll(server, now_ns);
	}
}

static int connect_to(const char *where)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	strcpy(addr.sun_path, where);
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) != 0) {
		close(fd);
		return -errno;
	}
	return fd;
}

static int client(void)
{
	int fd = connect_to(path);

	assert_true(fd >= 0);
	return fd;
}

static void put(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* What has come; "closed" behind it where the server has ended it. */
static const char *got(int fd)
{
	static char text[8192];
	size_t len = 0;
	ssize_t n;

	while ((n = recv(fd, text + len, sizeof(text) - len - 8, MSG_DONTWAIT)) > 0)
		len += (size_t)n;
	text[len] = '\0';
	if (n == 0 || errno != EAGAIN)
		strcpy(text + len, "closed");
	return text;
}

static uint64_t counted(enum rpc_counter counter)
{
	return rpc_counter(server, counter);
}

static void requests_are_answered_in_their_order(void **state)
{
	int a = client(), b = client();

	put(a, ECHO_CALL "\n" ECHO_CALL " \r\n\t" ECHO_CALL);
	put(b, "[" ECHO_CALL ",\n" ECHO_CALL "]");
	polls(20);
	assert_string_equal(got(a), ECHO_ANSWER ECHO_ANSWER ECHO_ANSWER);
	assert_non_null(strstr(got(b), "[{\"jsonrpc\""));
	assert_int_equal(counted(RPC_COUNTER_REQUESTS), 5);
	assert_int_equal(counted(RPC_COUNTER_CLIENTS), 2);
	close(a);
	close(b);
	polls(3);
	assert_int_equal(counted(RPC_COUNTER_CLIENTS), 0);
}

static void a_request_may_come_byte_by_byte(void **state)
{
	static const char text[] = "{\n  \"jsonrpc\": \"2.0\",\n  \"method\": \"echo\",\n"
				   "  \"params\": [\"a\"],\n  \"id\": 1\n}\n\n";
	int fd = client();

	for (size_t i = 0; i < sizeof(text) - 1; i++) {
		assert_int_equal(send(fd, text + i, 1, 0), 1);
		polls(2);
	}
	assert_string_equal(got(fd), ECHO_ANSWER);
	close(fd);
}

static void who_ends_his_side_is_answered(void **state)
{
	int fd = client();

	put(fd, ECHO_CALL ECHO_CALL);
	shutdown(fd, SHUT_WR);
	polls(10);
	assert_string_equal(got(fd), ECHO_ANSWER ECHO_ANSWER "closed");
	close(fd);
	fd = client();
	put(fd, "{\"jsonrpc\":");
	shutdown(fd, SHUT_WR);
	polls(10);
	assert_non_null(strstr(got(fd), "the request has no end\"},\"id\":null}\nclosed"));
	assert_int_equal(counted(RPC_COUNTER_HALF), 1);
	close(fd);
}

static void garbage_is_answered_and_closed(void **state)
{
	static const char *const garbage[] = {
		"GET / HTTP/1.1\r\n\r\n", "\xff\xfe", "}", "[[[[[[[[[[[[[[[[[[[[[[["};

	for (unsigned i = 0; i < sizeof(garbage) / sizeof(garbage[0]); i++) {
		int fd = client();

		put(fd, garbage[i]);
		polls(5);
		assert_non_null(strstr(got(fd), "-32700"));
		polls(5);
		assert_string_equal(got(fd), "closed");
		assert_int_equal(counted(RPC_COUNTER_GARBAGE), i + 1);
		close(fd);
	}
	assert_int_equal(counted(RPC_COUNTER_CLIENTS), 0);
}

/* Brackets that match tell where the next request begins: who errs within them goes on. */
static void no_json_within_brackets_is_answered_only(void **state)
{
	int fd = client();

	put(fd, "{no json}" ECHO_CALL);
	polls(10);
	const char *text = got(fd);
	assert_non_null(strstr(text, "-32700"));
	assert_non_null(strstr(text, ECHO_ANSWER));
	assert_null(strstr(text, "closed"));
	close(fd);
}

static void a_request_has_a_length(void **state)
{
	char *text = malloc(2 * RPC_REQUEST_MAX);
	int fd = client();
	size_t sent = 0;

	memset(text, ' ', 2 * RPC_REQUEST_MAX);
	text[0] = '[';
	for (unsigned i = 0; i < 200 && sent < 2 * RPC_REQUEST_MAX; i++) {
		ssize_t n = send(
			fd, text + sent, 2 * RPC_REQUEST_MAX - sent, MSG_NOSIGNAL | MSG_DONTWAIT);

		sent += n > 0 ? (size_t)n : 0;
		polls(2);
	}
	polls(300);
	assert_non_null(strstr(got(fd), "the request is too long"));
	assert_int_equal(counted(RPC_COUNTER_GARBAGE), 1);
	close(fd);
	free(text);
}

static void half_a_request_has_a_time(void **state)
{
	int fd = client(), idle = client();

	polls(2);
	put(fd, "{\"jsonrpc\"");
	polls(2);
	now_ns += RPC_HALF_NS - 5 * CLOCK_NS_PER_MS;
	polls(2);
	assert_string_equal(got(fd), "");
	/* More of it gives no more time. */
	put(fd, ": ");
	polls(10);
	assert_non_null(strstr(got(fd), "the request takes too long"));
	polls(2);
	assert_string_equal(got(fd), "closed");
	assert_int_equal(counted(RPC_COUNTER_HALF), 1);
	/* Who has sent nothing is in nobody's way. */
	assert_string_equal(got(idle), "");
	close(fd);
	close(idle);
}

static void who_does_not_read_is_cut_off(void **state)
{
	int fd = client(), other = client();

	room.length = RPC_ANSWER_MAX / 2;
	put(fd, "{\"jsonrpc\":\"2.0\",\"method\":\"long\",\"id\":1}" ECHO_CALL);
	polls(1000); /* a long answer is followed by a rest */
	put(other, ECHO_CALL);
	polls(1000);
	assert_string_equal(got(other), ECHO_ANSWER);
	/* The next request of a slow reader is not worked on. */
	assert_int_equal(counted(RPC_COUNTER_REQUESTS), 2);
	now_ns += RPC_SLOW_NS;
	polls(2);
	assert_int_equal(counted(RPC_COUNTER_SLOW), 1);
	assert_int_equal(counted(RPC_COUNTER_CLIENTS), 1);
	close(fd);
	close(other);
}

/* However many of them there are, with however much that they do not read: others are served. */
static void many_who_do_not_read_are_in_nobodys_way(void **state)
{
	int fd[RPC_CLIENTS_MAX - 1], other;

	room.length = RPC_ANSWER_MAX / 2;
	for (unsigned i = 0; i < RPC_CLIENTS_MAX - 1; i++) {
		fd[i] = client();
		put(fd[i], "[{\"jsonrpc\":\"2.0\",\"method\":\"long\",\"id\":1},"
			   "{\"jsonrpc\":\"2.0\",\"method\":\"long\",\"id\":1}]");
		for (unsigned n = 0; n < 1000 && counted(RPC_COUNTER_REQUESTS) <= i; n++)
			polls(1);
	}
	/* One answer each: the second of a batch waits until the first has been read. */
	assert_int_equal(counted(RPC_COUNTER_REQUESTS), RPC_CLIENTS_MAX - 1);
	other = client();
	put(other, ECHO_CALL);
	polls(1000);
	assert_string_equal(got(other), ECHO_ANSWER);
	now_ns += RPC_SLOW_NS;
	polls(1000);
	assert_int_equal(counted(RPC_COUNTER_SLOW), RPC_CLIENTS_MAX - 1);
	for (unsigned i = 0; i < RPC_CLIENTS_MAX - 1; i++)
		close(fd[i]);
	close(other);
}

static void a_long_answer_reaches_who_reads(void **state)
{
	int fd = client();
	char part[4096];
	size_t all = 0;

	room.length = RPC_ANSWER_MAX / 2;
	put(fd, "{\"jsonrpc\":\"2.0\",\"method\":\"long\",\"id\":1}" ECHO_CALL);
	/* One who takes what is there every eight seconds is slow, but reads. */
	for (unsigned i = 0; i < 50; i++) {
		ssize_t n;

		polls(200);
		now_ns += 8 * CLOCK_NS_PER_S;
		while ((n = recv(fd, part, sizeof(part), MSG_DONTWAIT)) > 0)
			all += (size_t)n;
	}
	assert_int_equal(all, room.length +
				      strlen("{\"jsonrpc\":\"2.0\",\"result\":\"\",\"id\":1}\n") +
				      strlen(ECHO_ANSWER));
	assert_int_equal(counted(RPC_COUNTER_SLOW), 0);
	close(fd);
}

static void what_waits_is_asked_again(void **state)
{
	int fd = client(), other = client();

	put(fd, "{\"jsonrpc\":\"2.0\",\"method\":\"later\",\"id\":1}" ECHO_CALL);
	polls(5);
	put(other, ECHO_CALL);
	polls(5);
	assert_string_equal(got(other), ECHO_ANSWER);
	assert_string_equal(got(fd), "");
	assert_true(room.asked > 0);
	room.ready = true;
	polls(5);
	assert_string_equal(
		got(fd), "{\"jsonrpc\":\"2.0\",\"result\":\"at last\",\"id\":1}\n" ECHO_ANSWER);
	close(fd);
	close(other);
}

static void what_waits_ends_though_nobody_is_there(void **state)
{
	int fd = client();

	put(fd, "[{\"jsonrpc\":\"2.0\",\"method\":\"later\",\"id\":1},"
		"{\"jsonrpc\":\"2.0\",\"method\":\"nothing\",\"id\":1}]");
	polls(5);
	close(fd);
	polls(5);
	room.asked = 0;
	polls(5);
	assert_true(room.asked > 0);
	room.ready = true;
	polls(5);
	room.asked = 0;
	polls(5);
	assert_int_equal(room.asked, 0);
	assert_int_equal(counted(RPC_COUNTER_CLIENTS), 0);
	/* One that waits at the end is told to let go. */
	room.ready = false;
	fd = client();
	put(fd, "{\"jsonrpc\":\"2.0\",\"method\":\"later\",\"id\":1}");
	polls(5);
	rpc_close(server);
	assert_int_equal(room.dropped, 1);
	server = open_at(path, NULL);
	assert_non_null(server);
	close(fd);
}

static void many_clients_have_places_and_idle_ones_give_theirs(void **state)
{
	int fd[RPC_CLIENTS_MAX], more, last;

	for (unsigned i = 0; i < RPC_CLIENTS_MAX; i++) {
		fd[i] = client();
		put(fd[i], ECHO_CALL);
		polls(3);
	}
	polls(20);
	for (unsigned i = 0; i < RPC_CLIENTS_MAX; i++)
		assert_string_equal(got(fd[i]), ECHO_ANSWER);
	/* All have just been served: who comes now is turned away with a word. */
	now_ns += CLOCK_NS_PER_MS;
	more = client();
	put(fd[0], ECHO_CALL);
	polls(10);
	assert_int_equal(counted(RPC_COUNTER_FULL), 1);
	assert_non_null(strstr(got(more), "too many clients"));
	close(more);
	now_ns += 2 * RPC_IDLE_NS;
	put(fd[0], ECHO_CALL);
	polls(3);
	last = client();
	put(last, ECHO_CALL);
	polls(5);
	assert_string_equal(got(last), ECHO_ANSWER);
	assert_true(counted(RPC_COUNTER_REPLACED) >= 1);
	/* Not the place of one who was served just now. */
	assert_non_null(strstr(got(fd[0]), ECHO_ANSWER));
	close(last);
	for (unsigned i = 0; i < RPC_CLIENTS_MAX; i++)
		close(fd[i]);
	polls(10);
	assert_int_equal(counted(RPC_COUNTER_CLIENTS), 0);
}

/* Others want the CPU, too. */
static void a_turn_has_a_budget_and_a_rest_behind_it(void **state)
{
	enum { CLIENTS = 5, IN_A_TURN = 2 };
	const uint64_t each = 60 * CLOCK_NS_PER_US, rest = RPC_REST * IN_A_TURN * each;
	int fd[CLIENTS];

	for (unsigned i = 0; i < CLIENTS; i++) {
		fd[i] = client();
		polls(2);
	}
	for (unsigned i = 0; i < CLIENTS; i++)
		put(fd[i], ECHO_CALL);
	now_ns += CLOCK_NS_PER_MS;
	look_ns = each;
	for (unsigned served = 0; served < CLIENTS;) {
		assert_true(rpc_poll(server, now_ns) > 0);
		served += served + IN_A_TURN < CLIENTS ? IN_A_TURN : CLIENTS - served;
		assert_int_equal(counted(RPC_COUNTER_REQUESTS), served);
		/* It is in the midst of its rest. */
		if (served < CLIENTS)
			assert_int_equal(rpc_poll(server, now_ns + rest - 1), 0);
		now_ns += rest;
	}
	for (unsigned i = 0; i < CLIENTS; i++) {
		assert_string_equal(got(fd[i]), ECHO_ANSWER);
		close(fd[i]);
	}
}

static void an_idle_server_costs_a_look_a_millisecond(void **state)
{
	int fd;

	polls(2);
	fd = client();
	assert_int_equal(rpc_poll(server, now_ns + 1), 0);
	assert_int_equal(counted(RPC_COUNTER_CLIENTS), 0);
	assert_int_equal(rpc_poll(server, now_ns + RPC_LOOK_NS), 1);
	assert_int_equal(counted(RPC_COUNTER_CLIENTS), 1);
	close(fd);
}

/* ---- the file ---- */

static void the_file_is_its_owners(void **state)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
}

static void a_living_server_keeps_its_socket(void **state)
{
	char want[64];

	assert_null(open_at(path, NULL));
	assert_int_equal(errno, EADDRINUSE);
	snprintf(want, sizeof(want), "process %d serves it already", (int)getpid());
	assert_non_null(strstr(said, want));
	int fd = client();
	put(fd, ECHO_CALL);
	polls(5);
	assert_string_equal(got(fd), ECHO_ANSWER);
	close(fd);
}

/* Leaves a socket file as a process that was killed does. */
static void leave_stale(const char *where)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		struct sockaddr_un addr = {.sun_family = AF_UNIX};
		int fd = socket(AF_UNIX, SOCK_STREAM, 0);

		strcpy(addr.sun_path, where);
		if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0)
			listen(fd, 1);
		raise(SIGKILL);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(access(where, F_OK), 0);
}

static void a_dead_ones_file_is_replaced(void **state)
{
	char where[128];
	struct rpc *other;

	snprintf(where, sizeof(where), "%s/stale.sock", folder);
	leave_stale(where);
	other = open_at(where, NULL);
	assert_non_null(other);
	rpc_close(other);
	assert_int_equal(access(where, F_OK), -1);
}

static void what_is_no_socket_stays(void **state)
{
	char where[128];
	int fd;

	snprintf(where, sizeof(where), "%s/file", folder);
	fd = open(where, O_CREAT | O_WRONLY, 0600);
	close(fd);
	assert_null(open_at(where, NULL));
	assert_int_equal(errno, EEXIST);
	assert_int_equal(unlink(where), 0);
	/* Nor is a link followed to one. */
	assert_int_equal(symlink(path, where), 0);
	assert_null(open_at(where, NULL));
	assert_int_equal(errno, EEXIST);
	assert_int_equal(unlink(where), 0);
}

static void its_folder_is_made_for_one_level(void **state)
{
	char where[128];
	struct rpc *other;

	snprintf(where, sizeof(where), "%s/new/a.sock", folder);
	other = open_at(where, NULL);
	assert_non_null(other);
	rpc_close(other);
	snprintf(where, sizeof(where), "%s/new", folder);
	assert_int_equal(rmdir(where), 0);
	snprintf(where, sizeof(where), "%s/no/such/a.sock", folder);
	assert_null(open_at(where, NULL));
	assert_int_equal(errno, ENOENT);
	memset(where, 'x', sizeof(where) - 1);
	where[sizeof(where) - 1] = '\0';
	assert_null(open_at(where, NULL));
	assert_int_equal(errno, ENAMETOOLONG);
	snprintf(where, sizeof(where), "%s/a.sock", folder);
	assert_null(open_at(where, "no such group"));
	assert_non_null(strstr(said, "no such group"));
}

/* Somebody else's file under our name is not ours to remove. */
static void an_end_takes_away_its_own_file_alone(void **state)
{
	struct stat st;
	struct rpc *other;

	assert_int_equal(unlink(path), 0);
	other = open_at(path, NULL);
	assert_non_null(other);
	rpc_close(server);
	assert_int_equal(stat(path, &st), 0);
	server = other;
}

/* Its mode is right from the beginning: no moment is left in which others may open it. */
static void the_file_has_its_mode_from_the_beginning(void **state)
{
	static const mode_t masks[] = {0022, 0000, 0077, 0777};
	char where[128], events[4096];
	int watched = inotify_init1(IN_NONBLOCK);

	assert_true(watched >= 0);
	assert_true(inotify_add_watch(watched, folder, IN_ATTRIB) >= 0);
	snprintf(where, sizeof(where), "%s/masked.sock", folder);
	for (unsigned i = 0; i < sizeof(masks) / sizeof(masks[0]); i++) {
		mode_t before = umask(masks[i]);
		struct rpc *other = open_at(where, NULL);
		struct stat st;

		umask(before);
		assert_non_null(other);
		assert_int_equal(stat(where, &st), 0);
		assert_int_equal(st.st_mode & 0777, 0600);
		/* Only a mask that takes the owner's rights makes a change of it necessary. */
		if (masks[i] != 0777)
			assert_int_equal(read(watched, events, sizeof(events)), -1);
		rpc_close(other);
	}
	close(watched);
}

static void a_name_that_leads_elsewhere_is_noticed(void **state)
{
	char aside[128];
	int fd;

	snprintf(aside, sizeof(aside), "%s/aside.sock", folder);
	polls(2000);
	assert_int_equal(counted(RPC_COUNTER_LOST), 0);
	assert_int_equal(rename(path, aside), 0);
	leave_stale(path);
	polls(2000);
	assert_int_equal(counted(RPC_COUNTER_LOST), 1);
	assert_int_equal(unlink(path), 0);
	polls(2000);
	assert_int_equal(counted(RPC_COUNTER_LOST), 1);
	/* It serves on, and is found again where somebody puts it back. */
	assert_int_equal(rename(aside, path), 0);
	fd = client();
	put(fd, ECHO_CALL);
	polls(2000);
	assert_string_equal(got(fd), ECHO_ANSWER);
	close(fd);
	assert_int_equal(rename(path, aside), 0);
	polls(2000);
	assert_int_equal(counted(RPC_COUNTER_LOST), 2);
	assert_int_equal(rename(aside, path), 0);
}

/* What the log says while a server is opened at `where`. */
static const char *said_at(const char *where)
{
	static char text[1024];
	FILE *file = tmpfile();
	int before = dup(STDERR_FILENO);
	struct rpc *other;

	assert_non_null(file);
	dup2(fileno(file), STDERR_FILENO);
	log_set_level(LOG_LEVEL_WARNING);
	other = open_at(where, NULL);
	log_set_level(LOG_LEVEL_ERROR);
	dup2(before, STDERR_FILENO);
	close(before);
	rewind(file);
	text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
	fclose(file);
	assert_non_null(other);
	rpc_close(other);
	return text;
}

static void a_folder_of_others_is_warned_of(void **state)
{
	char where[128];

	snprintf(where, sizeof(where), "%s/other.sock", folder);
	assert_string_equal(said_at(where), "");
	chmod(folder, 0777);
	assert_non_null(strstr(said_at(where), "others may write in its folder (mode 0777)"));
	/* As in /tmp: nobody takes away there what is not his. */
	chmod(folder, 01777);
	assert_string_equal(said_at(where), "");
	if (geteuid() != 0)
		skip();
	chmod(folder, 0700);
	assert_int_equal(chown(folder, 65534, 65534), 0);
	assert_non_null(strstr(said_at(where), "belongs to user 65534"));
	chmod(folder, 0770);
	assert_non_null(strstr(said_at(where), "others may write"));
	assert_int_equal(chown(folder, 0, 0), 0);
}

/* A link that somebody else has put in place of the folder is not followed. */
static void a_strangers_link_is_no_folder(void **state)
{
	char link[128], where[256];
	struct rpc *other;

	snprintf(link, sizeof(link), "%s/link", folder);
	snprintf(where, sizeof(where), "%s/other.sock", link);
	assert_int_equal(symlink(folder, link), 0);
	other = open_at(where, NULL);
	assert_non_null(other);
	rpc_close(other);
	if (geteuid() == 0) {
		assert_int_equal(lchown(link, 65534, 65534), 0);
		assert_null(open_at(where, NULL));
		assert_int_equal(errno, ELOOP);
	}
	assert_int_equal(unlink(link), 0);
}

/* ---- strangers ---- */

/* What a process of that user and group gets to its request. */
static int as_user(uid_t uid, gid_t gid, gid_t more, char *out, size_t size)
{
	int pipes[2], status;
	ssize_t n;
	pid_t pid;

	assert_int_equal(pipe(pipes), 0);
	pid = fork();
	if (pid == 0) {
		char text[512];
		int fd;

		if (setgroups(more != 0, &more) != 0 || setresgid(gid, gid, gid) != 0 ||
			setresuid(uid, uid, uid) != 0)
			_exit(2);
		fd = connect_to(path);
		if (fd < 0)
			_exit(3);
		(void)!send(fd, ECHO_CALL, strlen(ECHO_CALL), MSG_NOSIGNAL);
		n = recv(fd, text, sizeof(text), 0);
		(void)!write(pipes[1], text, n > 0 ? (size_t)n : 0);
		_exit(0);
	}
	close(pipes[1]);
	fcntl(pipes[0], F_SETFL, O_NONBLOCK);
	while (waitpid(pid, &status, WNOHANG) == 0) {
		polls(1);
		usleep(1000);
	}
	n = read(pipes[0], out, size - 1);
	out[n > 0 ? n : 0] = '\0';
	close(pipes[0]);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

#define NOBODY 65534

static void a_stranger_is_kept_out(void **state)
{
	const struct group *group;
	char text[1024];

	if (geteuid() != 0)
		skip();
	chmod(folder, 0755);
	/* By the kernel, */
	assert_int_equal(as_user(NOBODY, NOBODY, 0, text, sizeof(text)), 3);
	/* and where somebody has opened the file, by the server. */
	chmod(path, 0666);
	assert_int_equal(as_user(NOBODY, NOBODY, 0, text, sizeof(text)), 0);
	assert_non_null(strstr(text, "-32003"));
	assert_int_equal(counted(RPC_COUNTER_STRANGERS), 1);
	/* A member of the group is none, whether it is his first one or not. */
	rpc_close(server);
	group = getgrnam("adm");
	assert_non_null(group);
	server = open_at(path, "adm");
	assert_non_null(server);
	assert_int_equal(as_user(NOBODY, group->gr_gid, 0, text, sizeof(text)), 0);
	assert_string_equal(text, ECHO_ANSWER);
	assert_int_equal(as_user(NOBODY, NOBODY, group->gr_gid, text, sizeof(text)), 0);
	assert_string_equal(text, ECHO_ANSWER);
	assert_int_equal(as_user(NOBODY, NOBODY, 0, text, sizeof(text)), 3);
	assert_int_equal(counted(RPC_COUNTER_STRANGERS), 0);
}

/* A child of nobody's that has locked the folder, until its pipe is closed. */
static pid_t lock_folder_as_nobody(int *end)
{
	int ready[2], pipes[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	assert_int_equal(pipe(pipes), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		int fd;

		close(pipes[1]);
		if (setgid(NOBODY) != 0 || setuid(NOBODY) != 0)
			_exit(1);
		fd = open(folder, O_RDONLY);
		if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) != 0 || write(ready[1], "x", 1) != 1)
			_exit(2);
		_exit(read(pipes[0], &byte, 1) == 0 ? 0 : 3);
	}
	close(pipes[0]);
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	*end = pipes[1];
	return pid;
}

/* Who may read the folder can lock it, and is in nobody's way by that. */
static void a_stranger_with_a_lock_is_in_nobodys_way(void **state)
{
	char where[128];
	struct rpc *other;
	int end, status;
	pid_t pid;

	if (geteuid() != 0)
		skip();
	chmod(folder, 0755);
	snprintf(where, sizeof(where), "%s/locked.sock", folder);
	pid = lock_folder_as_nobody(&end);
	other = open_at(where, NULL);
	close(end);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	if (other == NULL)
		fail_msg("%s", said);
	rpc_close(other);
}

/* What is left of a server that died in the midst, or that somebody has put there, is taken away.
 */
static void a_lock_that_is_left_keeps_nobody_out(void **state)
{
	char where[128], lock[128];

	snprintf(where, sizeof(where), "%s/left.sock", folder);
	snprintf(lock, sizeof(lock), "%s/.left.sock.lock", folder);
	for (unsigned i = 0; i < 4; i++) {
		struct rpc *other;
		int fd = -1;

		if (i == 0)
			assert_int_equal(symlink("/etc/passwd", lock), 0);
		else
			fd = open(lock, O_RDONLY | O_CREAT, 0600);
		if (i == 2) /* locked, of a mode in which a stranger can have opened it */
			assert_int_equal(fchmod(fd, 0644), 0);
		if (i == 3 && geteuid() == 0)
			assert_int_equal(fchown(fd, NOBODY, NOBODY), 0);
		if (i == 2 || (i == 3 && geteuid() == 0))
			assert_int_equal(flock(fd, LOCK_EX), 0);
		other = open_at(where, NULL);
		if (fd >= 0)
			close(fd);
		if (other == NULL)
			fail_msg("%s", said);
		rpc_close(other);
		assert_int_equal(access(lock, F_OK), -1);
	}
	/* Another server that is at it is waited for. */
	{
		int fd = open(lock, O_RDONLY | O_CREAT, 0600);

		assert_int_equal(flock(fd, LOCK_EX), 0);
		assert_null(open_at(where, NULL));
		assert_non_null(strstr(said, "another process"));
		close(fd);
		assert_int_equal(unlink(lock), 0);
	}
}

/* Links that are root's or ours lead where they say, from where they stand. */
static void a_link_of_ours_is_followed(void **state)
{
	char link[128], where[140];
	struct rpc *other;

	snprintf(link, sizeof(link), "%s/link", folder);
	snprintf(where, sizeof(where), "%s/link.sock", link);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(symlink(i == 0 ? "." : i == 1 ? folder : "nowhere", link), 0);
		other = open_at(where, NULL);
		assert_int_equal(other != NULL, i < 2);
		if (other != NULL)
			rpc_close(other);
		assert_int_equal(unlink(link), 0);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(requests_are_answered_in_their_order),
		TEST(a_request_may_come_byte_by_byte),
		TEST(who_ends_his_side_is_answered),
		TEST(garbage_is_answered_and_closed),
		TEST(no_json_within_brackets_is_answered_only),
		TEST(a_request_has_a_length),
		TEST(half_a_request_has_a_time),
		TEST(who_does_not_read_is_cut_off),
		TEST(many_who_do_not_read_are_in_nobodys_way),
		TEST(a_long_answer_reaches_who_reads),
		TEST(what_waits_is_asked_again),
		TEST(what_waits_ends_though_nobody_is_there),
		TEST(many_clients_have_places_and_idle_ones_give_theirs),
		TEST(a_turn_has_a_budget_and_a_rest_behind_it),
		TEST(an_idle_server_costs_a_look_a_millisecond),
		TEST(the_file_is_its_owners),
		TEST(a_living_server_keeps_its_socket),
		TEST(a_dead_ones_file_is_replaced),
		TEST(what_is_no_socket_stays),
		TEST(its_folder_is_made_for_one_level),
		TEST(an_end_takes_away_its_own_file_alone),
		TEST(the_file_has_its_mode_from_the_beginning),
		TEST(a_name_that_leads_elsewhere_is_noticed),
		TEST(a_folder_of_others_is_warned_of),
		TEST(a_strangers_link_is_no_folder),
		TEST(a_stranger_is_kept_out),
		TEST(a_stranger_with_a_lock_is_in_nobodys_way),
		TEST(a_lock_that_is_left_keeps_nobody_out),
		TEST(a_link_of_ours_is_followed),
	};

	log_set_level(LOG_LEVEL_ERROR);
	signal(SIGPIPE, SIG_DFL); /* the server has to do without it */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
