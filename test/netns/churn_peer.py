"""The far side of churn.c: servers that read, read late, or are rude; and at a datagram's word
("connect ADDRESS PORT COUNT") a client of the programs that listen. Prints "ready".
"""
import asyncio
import random
import socket
import sys

UDP, ECHO, SLOW, RUDE = range(7100, 7104)


async def echo(reader, writer):
    while data := await reader.read(65536):
        writer.write(data[:100])
    writer.close()


async def slow(reader, writer):
    await asyncio.sleep(random.uniform(0.3, 2.5))
    while await reader.read(65536):
        pass
    writer.close()


async def rude(_, writer):
    await asyncio.sleep(random.uniform(0, 0.4))
    if random.random() < 0.5:
        writer.transport.abort()
    writer.close()


async def call(address, port):
    try:
        _, writer = await asyncio.wait_for(asyncio.open_connection(address, port, limit=4096), 3)
    except (OSError, asyncio.TimeoutError):
        return
    writer.write(b'hello')
    await asyncio.sleep(random.uniform(0, 1.5))
    writer.close()


def quiet(serve):
    """A program that is killed at the other end is no news."""
    async def one(reader, writer):
        try:
            await serve(reader, writer)
        except OSError:
            writer.close()
    return one


class Datagrams(asyncio.DatagramProtocol):
    def connection_made(self, transport):
        self.transport, self.calls = transport, set()

    def datagram_received(self, data, addr):
        words = data.decode(errors='replace').split()
        if len(words) == 4 and words[0] == 'connect':
            for _ in range(int(words[3])):
                task = asyncio.ensure_future(call(words[1], int(words[2])))
                self.calls.add(task)
                task.add_done_callback(self.calls.discard)
        else:
            self.transport.sendto(data, addr)


def bound(kind, port):
    s = socket.socket(socket.AF_INET6, kind)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)  # data waits at the sender
    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    s.bind(('::', port))
    return s


async def main():
    loop = asyncio.get_running_loop()
    await loop.create_datagram_endpoint(Datagrams, sock=bound(socket.SOCK_DGRAM, UDP))
    for serve, port in ((echo, ECHO), (slow, SLOW), (rude, RUDE)):
        await asyncio.start_server(quiet(serve), sock=bound(socket.SOCK_STREAM, port), limit=4096, backlog=512)
    print('ready', flush=True)
    await asyncio.Event().wait()


if __name__ == '__main__':
    sys.exit(asyncio.run(main()))
