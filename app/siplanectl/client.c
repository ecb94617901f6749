/* SPDX-License-Identifier: BSD-3-Clause */
/* The control socket, from the side of who asks. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "control/rpc.h"
#include "siplanectl.h"

/* Who may write in the folder can serve there in siplane's place. It is believed to be siplane
 * where it runs as root, as this user, or as somebody to whom the folder was given. NULL, or why
 * not. */
static const char *judge_server(int fd, const char *path, char text[512])
{
	char folder[SOCKET_MAX];
	struct ucred peer;
	socklen_t len = sizeof(peer);
	struct stat st;
	char *slash;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) != 0) {
		snprintf(text, 512, "%s: %s", path, strerror(errno));
		return text;
	}
	if (peer.uid == 0 || peer.uid == geteuid())
		return NULL;
	strcpy(folder, path);
	slash = strrchr(folder, '/');
	if (slash == NULL)
		strcpy(folder, ".");
	else
		slash[slash == folder] = '\0';
	if (stat(folder, &st) == 0 &&
		(st.st_uid == peer.uid ||
			((st.st_mode & S_IWGRP) != 0 && st.st_gid == peer.gid && st.st_gid != 0)))
		return NULL;
	snprintf(text, 512,
		"%s is served by process %d of user %u, to whom its folder does not belong: that "
		"need not be siplane",
		path, (int)peer.pid, (unsigned)peer.uid);
	return text;
}

/* NULL where it is connected, else why not. */
static const char *connect_socket(struct ctl *c, char text[512])
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd;

	if (c->socket >= 0)
		return NULL;
	strcpy(addr.sun_path, c->settings.socket);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, (const struct sockaddr *)&addr, sizeof(addr)) == 0) {
		const char *why = judge_server(fd, c->settings.socket, text);

		if (why == NULL)
			c->socket = fd;
		else
			close(fd);
		errno = EPERM;
		return why;
	}
	switch (errno) {
	case ENOENT:
	case ECONNREFUSED:
		snprintf(text, 512,
			"nobody serves %s: siplane does not run, or has another control_socket",
			c->settings.socket);
		break;
	case EACCES:
	case EPERM:
		snprintf(text, 512,
			"%s: not for this user: root, siplane's own and members of control_group "
			"may use it",
			c->settings.socket);
		break;
	default:
		snprintf(text, 512, "%s: %s", c->settings.socket, strerror(errno));
		break;
	}
	if (fd >= 0)
		close(fd);
	return text;
}

static void disconnect(struct ctl *c)
{
	if (c->socket >= 0)
		close(c->socket);
	c->socket = -1;
}

/* Milliseconds that are left; 0: none. */
static int left_ms(uint64_t deadline)
{
	uint64_t now = clock_now_ns();

	return now >= deadline ? 0 : (int)((deadline - now) / CLOCK_NS_PER_MS) + 1;
}

static const char *put_request(struct ctl *c, const char *text, uint64_t deadline)
{
	size_t len = strlen(text), sent = 0;

	while (sent < len) {
		struct pollfd p = {.fd = c->socket, .events = POLLOUT};
		ssize_t n;

		if (poll(&p, 1, left_ms(deadline)) == 0)
			return "siplane takes no request";
		n = send(c->socket, text + sent, len - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return "siplane has closed the connection";
		sent += n > 0 ? (size_t)n : 0;
	}
	return NULL;
}

/* A line, which is the caller's; NULL, and why. */
static char *get_line(struct ctl *c, uint64_t deadline, const char **why)
{
	size_t size = 65536, len = 0;
	char *text = malloc(size), *grown;

	while (text != NULL) {
		struct pollfd p = {.fd = c->socket, .events = POLLIN};
		ssize_t n;

		if (poll(&p, 1, left_ms(deadline)) == 0) {
			*why = "siplane does not answer in time";
			break;
		}
		n = recv(c->socket, text + len, size - len - 1, MSG_DONTWAIT);
		if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
			*why = "siplane has closed the connection without an answer";
			break;
		}
		len += n > 0 ? (size_t)n : 0;
		text[len] = '\0';
		if (len > 0 && text[len - 1] == '\n')
			return text;
		if (len + 1 < size)
			continue;
		if (size > RPC_ANSWER_MAX) {
			*why = "siplane's answer is too long";
			break;
		}
		grown = realloc(text, 2 * size);
		if (grown == NULL)
			break;
		text = grown;
		size *= 2;
	}
	free(text);
	if (*why == NULL)
		*why = "not enough memory";
	return NULL;
}

/* The answer to a request, an object; NULL, and why. Takes `params`. */
static json_t *exchange(
	struct ctl *c, const char *method, json_t *params, const char **why, char room[512])
{
	uint64_t deadline = clock_now_ns() + c->timeout_s * CLOCK_NS_PER_S;
	json_t *request = json_pack("{s:s, s:s, s:o, s:i}", "jsonrpc", "2.0", "method", method,
		"params", params != NULL ? params : json_object(), "id", 1);
	char *text = request != NULL ? json_dumps(request, JSON_COMPACT) : NULL, *line = NULL;
	json_t *answer = NULL;

	json_decref(request);
	*why = text == NULL ? "what is asked is no UTF-8" : connect_socket(c, room);
	if (*why == NULL)
		*why = put_request(c, text, deadline);
	if (*why == NULL)
		line = get_line(c, deadline, why);
	if (line != NULL) {
		answer = json_loads(line, 0, NULL);
		if (!json_is_object(answer)) {
			json_decref(answer);
			answer = NULL;
			*why = "siplane's answer is no JSON-RPC";
		}
	}
	if (answer == NULL)
		disconnect(c);
	free(line);
	free(text);
	return answer;
}

int ask_siplane(struct ctl *c, const char *method, json_t *params, json_t **result)
{
	const char *why, *message;
	char room[512];
	json_t *answer = exchange(c, method, params, &why, room), *error;
	int status = DONE;

	if (answer == NULL)
		return fail("%s", why);
	error = json_object_get(answer, "error");
	message = json_string_value(json_object_get(error, "message"));
	if (error != NULL)
		status = fail("%s", message != NULL ? message : "siplane refuses it");
	else
		*result = json_incref(json_object_get(answer, "result"));
	json_decref(answer);
	return status;
}

/* Asks a running siplane for something that follows a change of the database. Its result, or NULL:
 * none runs, or it has been said that it has not been told; or, `absent`, it knows no such thing.
 */
static json_t *tell_siplane(struct ctl *c, const char *method, bool *absent)
{
	char room[512];
	const char *why, *message;
	json_t *answer, *error, *result = NULL;

	*absent = false;
	/* Nobody there remembers anything. */
	if (access(c->settings.socket, F_OK) != 0 && errno == ENOENT)
		return NULL;
	if (connect_socket(c, room) != NULL) {
		if (errno != ECONNREFUSED)
			warn("it is done, but a running siplane has not been told: %s", room);
		return NULL;
	}
	answer = exchange(c, method, NULL, &why, room);
	error = json_object_get(answer, "error");
	message = json_string_value(json_object_get(error, "message"));
	if (error != NULL &&
		json_integer_value(json_object_get(error, "code")) == RPC_ERROR_NOT_FOUND)
		*absent = true;
	else if (answer == NULL || error != NULL)
		warn("it is done, but a running siplane has not been told: %s",
			answer == NULL    ? why
			: message != NULL ? message
					  : "it refuses");
	else
		result = json_incref(json_object_get(answer, "result"));
	json_decref(answer);
	return result;
}

void forget_rows(struct ctl *c)
{
	bool absent;

	json_decref(tell_siplane(c, "db.forget", &absent));
}

void reload_list(struct ctl *c, const char *method, const char *what, const char *module)
{
	const char *warnings;
	bool absent;
	json_t *result = tell_siplane(c, method, &absent);

	if (absent) {
		warn("it is done; the running siplane does not load the module %s", module);
		return;
	}
	if (result == NULL)
		return;
	warnings = json_string_value(json_object_get(result, "warnings"));
	if (warnings != NULL && warnings[0] != '\0')
		warn("%s", warnings);
	if (json_is_null(json_object_get(result, "from_table")))
		warn("it is done; the running siplane reads its %s from a file alone: "
		     "modparam(\"%s\", \"db_url\", ...) has it read the table, too",
			what, module);
	json_decref(result);
}
