/*
 * setsc_client TYPE HOW PEER PORT: as setsc_client.py, in C; HOW is connect, sendto or tcp. Prints
 * one JSON object a step.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <flowmob/flowmob.h>

int main(int argc, char **argv)
{
	struct sockaddr_in6 peer = { .sin6_family = AF_INET6 };
	struct timeval limit = { .tv_sec = 5 };
	struct in6_addr source = IN6ADDR_ANY_INIT;
	char text[INET6_ADDRSTRLEN], seen[200];

	if (argc != 5 || inet_pton(AF_INET6, argv[3], &peer.sin6_addr) != 1)
		return 2;
	peer.sin6_port = htons((uint16_t)atoi(argv[4]));
	int is_tcp = strcmp(argv[2], "tcp") == 0, is_sendto = strcmp(argv[2], "sendto") == 0;
	int fd = socket(AF_INET6, is_tcp ? SOCK_STREAM : SOCK_DGRAM, 0);
	int result = setsc(fd, &source, (sc_type)atoi(argv[1]));
	printf("{\"result\":%d,\"errno\":\"%s\",\"source\":\"%s\"}\n", result,
	       result ? strerrorname_np(errno) : "0",
	       inet_ntop(AF_INET6, &source, text, sizeof(text)));

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	int err = is_sendto ? 0 : connect(fd, (struct sockaddr *)&peer, sizeof(peer));
	if (err == 0 && !is_tcp)
		err = sendto(fd, "hello", 5, 0, is_sendto ? (struct sockaddr *)&peer : NULL,
			     is_sendto ? sizeof(peer) : 0) < 0;
	ssize_t n = err ? -1 : recv(fd, seen, sizeof(seen), 0);
	if (n < 0)
		printf("{\"failed\":\"%s\"}\n", strerrorname_np(errno));
	else
		printf("{\"seen\":\"%.*s\"}\n", (int)n, seen);
	return 0;
}
