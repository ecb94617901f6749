/* SPDX-License-Identifier: BSD-3-Clause */
#include "../folder.h"
#include "server.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define ANSWER_MAX 8192
#define NOT_INSTALLED 77

struct server {
	bool file;
	char folder[32];
	pid_t pid;
	FILE *to, *from;
	char answer[ANSWER_MAX];
	char url[512];
};

static void die(const char *what, const char *text)
{
	fprintf(stderr, "%s: %s\n", what, text);
	exit(1);
}

static void run(struct server *s, const char *engine)
{
	int in[2], out[2];

	if (pipe(in) != 0 || pipe(out) != 0)
		die("pipe", strerror(errno));
	s->pid = fork();
	if (s->pid < 0)
		die("fork", strerror(errno));
	if (s->pid == 0) {
		dup2(in[0], 0);
		dup2(out[1], 1);
		close(in[0]), close(in[1]), close(out[0]), close(out[1]);
		/* Sanitizers and checkers of ours are none of its business. */
		unsetenv("LD_PRELOAD");
		execl(DATABASES, DATABASES, "serve", engine, NULL);
		die(DATABASES, strerror(errno));
	}
	close(in[0]), close(out[1]);
	s->to = fdopen(in[1], "w");
	s->from = fdopen(out[0], "r");
}

/* Sends a line and gets the text of its answer. False: the server is not there any more. */
static bool tell(struct server *s, const char *what, const char *rest)
{
	size_t len;

	fprintf(s->to, "%s %s\n", what, rest);
	fflush(s->to);
	if (fgets(s->answer, sizeof(s->answer), s->from) == NULL)
		return false;
	len = strlen(s->answer);
	if (len != 0 && s->answer[len - 1] == '\n')
		s->answer[len - 1] = '\0';
	if (strncmp(s->answer, "ok", 2) != 0)
		die(rest, s->answer);
	memmove(s->answer, s->answer + 2 + (s->answer[2] == ' '), strlen(s->answer + 2) + 1);
	return true;
}

static struct server *start_file(struct server *s)
{
	s->file = true;
	snprintf(s->folder, sizeof(s->folder), "%s/siplane-db-XXXXXX", folder_of_databases());
	if (mkdtemp(s->folder) == NULL)
		die(s->folder, strerror(errno));
	return s;
}

struct server *server_start(const char *engine)
{
	struct server *s = calloc(1, sizeof(*s));
	int status = 0;

	if (s == NULL)
		die(engine, "no memory");
	if (strcmp(engine, "sqlite") == 0)
		return start_file(s);
	run(s, engine);
	if (tell(s, "url", ""))
		return s;
	waitpid(s->pid, &status, 0);
	fclose(s->to), fclose(s->from);
	free(s);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != NOT_INSTALLED)
		die(engine, "the server did not start");
	return NULL;
}

void server_end(struct server *s)
{
	char command[64];

	if (s == NULL)
		return;
	if (s->file) {
		snprintf(command, sizeof(command), "rm -rf %s", s->folder);
		if (system(command) != 0)
			fprintf(stderr, "%s stays\n", s->folder);
	} else {
		fclose(s->to);
		waitpid(s->pid, NULL, 0);
		fclose(s->from);
	}
	free(s);
}

const char *server_url(struct server *s, const char *how)
{
	if (s->file) {
		snprintf(s->url, sizeof(s->url), "sqlite://%s/%s", s->folder,
			strcmp(how, "absent") == 0 ? "absent/file" : "file");
		return s->url;
	}
	if (!tell(s, "url", how))
		die("url", "the server has ended");
	if (strlen(s->answer) >= sizeof(s->url))
		die("url", "too long");
	strcpy(s->url, s->answer);
	return s->url;
}

const char *server_password(void)
{
	return "a:b@c/d";
}

void server_use_tls(struct server *s)
{
	if (!tell(s, "folder", ""))
		die("folder", "the server has ended");
	setenv("MARIADB_HOME", s->answer, 1);
}

void server_do(struct server *s, const char *what)
{
	if (!tell(s, what, ""))
		die(what, "the server has ended");
}

const char *server_sql(struct server *s, const char *sql)
{
	if (!tell(s, "sql", sql))
		die(sql, "the server has ended");
	return s->answer;
}
