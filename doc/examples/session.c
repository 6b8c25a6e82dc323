/*
 * A datagram to HOST PORT from a session-lasting address, or from any where there is none.
 * cc session.c $(pkg-config --cflags --libs flowmob) -o session && ./session 2001:db8:ffff::1 9
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <flowmob/flowmob.h>

int main(int argc, char **argv)
{
	struct sockaddr_in6 peer = { .sin6_family = AF_INET6 }, self;
	socklen_t len = sizeof(self);
	char text[INET6_ADDRSTRLEN];

	if (argc != 3 || inet_pton(AF_INET6, argv[1], &peer.sin6_addr) != 1)
		return 2;
	peer.sin6_port = htons((uint16_t)atoi(argv[2]));
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return 1;

	/* At most 3 s; the socket is usable whatever comes of it. */
	int result = setsc_within(fd, NULL, SESSION_LASTING_IP_ADDRESS, 3000);
	if (result != 0)
		fprintf(stderr, "%s: %m\n", sc_strerror(result));

	if (connect(fd, (struct sockaddr *)&peer, sizeof(peer)) < 0 ||
	    getsockname(fd, (struct sockaddr *)&self, &len) < 0) {
		perror("connect");
		return 1;
	}
	printf("from %s\n", inet_ntop(AF_INET6, &self.sin6_addr, text, sizeof(text)));
	if (send(fd, "hello", 5, 0) < 0)
		perror("send");
	close(fd);
	return 0;
}
