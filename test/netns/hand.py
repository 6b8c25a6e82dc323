"""A host of one's own: it writes binding updates octet by octet, signs them with its key, and reads what
the anchor answers. So an anchor is asked for things that no host asks for of itself.
"""
import hashlib
import hmac
import json
import pathlib
import socket
import struct

from world import ANCHOR6, Capture, until

BRR, BU, BA, MH = 0, 5, 6, 135
VENDOR, NAI, BID, AUTH = 19, 8, 35, 9
ODP, ODP_SET = 1, 2
EXAMPLE_VENDOR, SPI = 32473, 256
FIXED, SESSION, NONPERSISTENT, GRACEFUL = 1, 2, 3, 4
FOREVER = 0xffffffff


def packed(address):
    return socket.inet_pton(socket.AF_INET6, address)


def option(kind, data):
    return bytes([kind, len(data)]) + data


def odp(pid, kind=SESSION, preferred=3000, valid=3600, prefix='::', limit=0):
    """On-Demand Prefix, digest §14.4."""
    length = 0 if prefix == '::' else 64
    return option(VENDOR, struct.pack('!IBBHIIBBH16sQ', EXAMPLE_VENDOR, ODP, kind, pid, preferred, valid, 0, length,
                                      0, packed(prefix), limit))


def odp_set(*pids):
    return option(VENDOR, struct.pack(f'!IBB{len(pids)}H', EXAMPLE_VENDOR, ODP_SET, 0, *pids))


def checksum(octets):
    octets += bytes(len(octets) % 2)
    total = sum(struct.unpack(f'!{len(octets) // 2}H', octets))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def options_of(octets):
    """(type, data) of each option; Pad1 has no length."""
    at = 0
    while at < len(octets):
        if octets[at] == 0:
            at += 1
            continue
        yield octets[at], octets[at + 2:at + 2 + octets[at + 1]]
        at += 2 + octets[at + 1]


class Answer:
    """A Binding Acknowledgement."""

    def __init__(self, mh):
        self.status, self.sequence = mh[6], struct.unpack('!H', mh[8:10])[0]
        self.odps, self.set = {}, None
        for kind, data in options_of(mh[12:]):
            if kind != VENDOR or data[:4] != struct.pack('!I', EXAMPLE_VENDOR):
                continue
            if data[4] == ODP_SET:
                self.set = sorted(struct.unpack(f'!{(len(data) - 6) // 2}H', data[6:]))
                continue
            _, _, kind, pid, preferred, valid, status, _, _, prefix, limit = struct.unpack('!IBBHIIBBH16sQ', data)
            self.odps[pid] = {'type': kind, 'preferred': preferred, 'valid': valid, 'status': status,
                              'prefix': socket.inet_ntop(socket.AF_INET6, prefix), 'limit': limit}


def mobility(frames, kind):
    """Mobility Headers of one type among the frames."""
    for frame in list(frames):
        packet = frame[14:]
        if frame[12:14] != b'\x86\xdd' or len(packet) < 48:
            continue
        next_header, at = packet[6], 40
        while next_header in (0, 43, 60) and at + 2 <= len(packet):
            next_header, at = packet[at], at + 8 * (packet[at + 1] + 1)
        if next_header == MH and packet[at + 2] == kind:
            yield packet[at:]


class Hand:
    """@id at the node, over the IPv6 access whose device is @device."""

    def __init__(self, world, id, hoa, key, node='host2', device='wifi0'):
        self.world, self.id, self.hoa, self.node = world, id.encode(), hoa, node
        self.key = bytes.fromhex(pathlib.Path(key).read_text().split()[2])
        self.coa = until(f'{node} has an address', lambda: next(
            a['local'] for a in json.loads(world.run(node, 'ip', '-j', '-6', 'addr', 'show', 'dev', device))[0][
                'addr_info'] if a.get('scope') == 'global'))
        self.heard = Capture(world, node, device)
        self.sequence = 0

    def close(self):
        self.heard.stop()

    def frames(self):
        return [f for _, f in list(self.heard.frames)]

    def signed(self, lifetime, options, bid=1):
        data = option(NAI, b'\x01' + self.id)
        if bid:
            data += option(BID, struct.pack('!HBB', bid, 0, 10) + (packed(self.coa) if lifetime else b''))
        data += b''.join(options)
        gap = -(12 + len(data) + 23) % 8
        data += {0: b'', 1: b'\0'}.get(gap) if gap < 2 else option(1, bytes(gap - 2))
        data += bytes([AUTH, 21, 1]) + struct.pack('!I', SPI)
        length = 12 + len(data) + 16
        mh = struct.pack('!BBBBHHHH', 59, length // 8 - 1, BU, 0, 0, self.sequence, 0xc000, lifetime) + data
        mac = hmac.new(self.key, packed(self.coa) + packed(self.hoa) + mh, hashlib.sha256).digest()[:16]
        mh += mac
        pseudo = packed(self.hoa) + packed(ANCHOR6) + struct.pack('!II', len(mh), MH)
        return mh[:4] + struct.pack('!H', checksum(pseudo + mh)) + mh[6:]

    def update(self, *options, lifetime=225, bid=1):
        """Registers with these options; the anchor's answer."""
        self.sequence += 1
        mh = self.signed(lifetime, options, bid)
        home = bytes([MH, 2, 1, 2, 0, 0, 201, 16]) + packed(self.hoa)
        header = struct.pack('!IHBB', 6 << 28, len(home) + len(mh), 60, 64) + packed(self.coa) + packed(ANCHOR6)
        self.world.inject(self.node, [header + home + mh])

        def answered():
            return next((a for a in map(Answer, mobility(self.frames(), BA)) if a.sequence == self.sequence), None)
        return until('the anchor answers', answered, 3)

    def refresh_requests(self):
        return len(list(mobility(self.frames(), BRR)))

    def send(self, source, to, port, payload):
        """A datagram of a program, in the tunnel."""
        udp = struct.pack('!HHHH', port, port, 8 + len(payload), 0) + payload
        pseudo = packed(source) + packed(to) + struct.pack('!II', len(udp), 17)
        udp = udp[:6] + struct.pack('!H', checksum(pseudo + udp) or 0xffff) + udp[8:]
        inner = struct.pack('!IHBB', 6 << 28, len(udp), 17, 64) + packed(source) + packed(to) + udp
        outer = struct.pack('!IHBB', 6 << 28, len(inner), 41, 64) + packed(self.coa) + packed(ANCHOR6)
        self.world.inject(self.node, [outer + inner])

    def got(self, payload):
        """True when a tunnel packet with these octets came."""
        return any(f[12:14] == b'\x86\xdd' and f[20] == 41 and payload in f for f in self.frames())
