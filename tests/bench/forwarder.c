/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the kernel's sockets cost when nothing is done with a message: takes a datagram, sends it
 * on, one at a time. forwarder LISTEN-PORT TO-ADDRESS TO-PORT
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#define MESSAGE_MAX 65535

int main(int argc, char **argv)
{
	static char message[MESSAGE_MAX];
	struct sockaddr_in here = {.sin_family = AF_INET}, there = {.sin_family = AF_INET};
	int size = 1 << 18, fd;

	if (argc != 4 || inet_pton(AF_INET, argv[2], &there.sin_addr) != 1) {
		fputs("usage: forwarder LISTEN-PORT TO-ADDRESS TO-PORT\n", stderr);
		return 2;
	}
	here.sin_port = htons((uint16_t)atoi(argv[1]));
	there.sin_port = htons((uint16_t)atoi(argv[3]));
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&here, sizeof(here)) != 0) {
		perror("forwarder");
		return 1;
	}
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	puts("ready");
	fflush(stdout);
	for (;;) {
		ssize_t n = recvfrom(fd, message, sizeof(message), 0, NULL, NULL);

		if (n >= 0)
			sendto(fd, message, (size_t)n, 0, (struct sockaddr *)&there, sizeof(there));
	}
}
