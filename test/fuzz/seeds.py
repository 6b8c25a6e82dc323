"""Seeds for the fuzz targets, made from the vectors: make(NAME) yields octets."""
import json
import pathlib
import struct

VECTORS = pathlib.Path(__file__).resolve().parent.parent / 'vectors'
SRC = bytes.fromhex('20010db8000100000000000000000001')
DST = bytes.fromhex('20010db8000200000000000000000002')


def headers():
    """Yield every vector's Mobility Header."""
    for path in sorted(VECTORS.glob('*.json')):
        for vector in json.loads(path.read_text()).get('vectors', []):
            yield bytes.fromhex(vector['hex'])


def ip6(payload, proto):
    return struct.pack('>IHBB', 0x60000000, len(payload), proto, 64) + SRC + DST + payload


def udp4(payload, port):
    udp = struct.pack('>HHHH', port, port, len(payload) + 8, 0) + payload
    return struct.pack('>BBHHHBBH4s4s', 0x45, 0, len(udp) + 20, 0, 0, 64, 17, 0, SRC[:4], DST[:4]) + udp


def carriers(mh):
    """Yield (link type, packet) for each way a message may travel."""
    home = bytes.fromhex('8702c910') + SRC + bytes.fromhex('01000000')
    routing = bytes.fromhex('8702020100000000') + DST
    plain = ip6(mh, 135)
    yield 1, bytes(12) + b'\x86\xdd' + plain
    yield 1, bytes(12) + b'\x81\x00\x00\x01\x86\xdd' + ip6(home + mh, 60)
    yield 101, ip6(routing + mh, 43)
    yield 101, ip6(plain, 41)
    yield 113, bytes(14) + b'\x08\x00' + udp4(plain, 4191)
    yield 276, b'\x08\x00' + bytes(18) + udp4(mh, 5436)


def pcap(linktype, packets):
    records = b''.join(struct.pack('<IIII', 0, 0, len(p), len(p)) + p for p in packets)
    return struct.pack('<IHHIIII', 0xa1b2c3d4, 2, 4, 0, 0, 65535, linktype) + records


def pcapng(linktype, packets):
    def block(kind, body):
        body += bytes(-len(body) % 4)
        return struct.pack('<II', kind, len(body) + 12) + body + struct.pack('<I', len(body) + 12)
    out = block(0x0a0d0d0a, struct.pack('<IHHq', 0x1a2b3c4d, 1, 0, -1))
    out += block(1, struct.pack('<HHI', linktype, 0, 0))
    for p in packets:
        out += block(6, struct.pack('<IIIII', 0, 0, 0, len(p), len(p)) + p)
        out += block(3, struct.pack('<I', len(p)) + p)
    return out


def selectors():
    """Yield a selector of each format with all fields, with none, and with each alone."""
    for kind, widths in ((1, [4] * 6 + [2] * 4 + [1] * 4), (2, [16] * 4 + [4] * 4 + [2] * 4 + [1] * 4)):
        every = 0xffffffff >> 32 - len(widths) << 32 - len(widths)
        yield struct.pack('>BI', kind, every) + bytes(sum(widths))
        yield struct.pack('>BI', kind, 0)
        for i, width in enumerate(widths):
            yield struct.pack('>BI', kind, 0x80000000 >> i) + bytes(width)


def large():
    """Yield virtio headers with large TCP and UDP packets behind them."""
    tcp = bytes(12) + b'\x50\x19' + bytes(6 + 500)
    udp = bytes(4) + struct.pack('>HH', 508, 0) + bytes(500)
    for kind, offset, body, proto in ((4, 16, tcp, 6), (5, 6, udp, 17)):
        yield struct.pack('<BBHHHH', 1, kind, 60, 100, 40, offset) + ip6(body, proto)
        yield struct.pack('<BBHHHH', 1, 0, 0, 0, 40, offset) + ip6(body, proto)


def names():
    """Yield a DNS question and answers to it, alone and in packets that carry them."""
    asks = b'\3www\7example\3org\0\0\1\0\1'
    question = bytes.fromhex('123401000001000000000000') + asks
    address = bytes.fromhex('c00c000100010000003c0004c0000201')
    answer = bytes.fromhex('123481800001000100000000') + asks + address
    alias = bytes.fromhex('c00c000500010000000a00060363646ec010') + bytes.fromhex('c02d000100010000003c0004c0000209')
    for message in (question, answer, bytes.fromhex('123481800001000200000000') + asks + alias):
        udp = struct.pack('>HHHH', 53, 53, len(message) + 8, 0) + message
        yield message
        yield ip6(udp, 17)
        yield ip6(ip6(udp, 17), 41)
        yield udp4(ip6(udp, 17), 4191)


def updates():
    """Yield rows of binding updates of subscribers a and b, with the options of every vector."""
    options = [mh[12:] for mh in headers() if len(mh) > 16 and mh[2] in (5, 6)]
    lease = bytes.fromhex('132c00007ed901020001000003e8000007d000000000') + bytes(24)
    flow = bytes.fromhex('2d140007000500000307020000020000110002020001')
    bid = bytes.fromhex('23140001000a20010db8f001000000000000000000')
    options.insert(0, bid + bytes.fromhex('5a') + lease + flow)
    options.insert(1, bid + bytes.fromhex('5a') + lease.replace(b'\1\2\0\1', b'\1\1\0\2') + flow)
    names = bytes.fromhex('130800007ed902000001')
    options[2:2] = [bid + b'\x5a' + names + lease, bid + b'\x5a' + names + lease + flow] * 2
    for how in (0, 1, 16):
        row = b''
        for i, body in enumerate(options):
            mh = struct.pack('>BBBBHHHH', 59, 0, 5, 0, 0, i + 1, 0xc040 if i == 0 else 0xc000, 100)
            mh += bytes((8, 2, 1, ord('a') + i % 2)) + body
            row += struct.pack('>BH', how, len(mh)) + mh
            row += struct.pack('>BH', 0x80 | i & 0x7f, 0)
            if len(row) > 1500:
                yield row
                row = b''
        yield row


def answers():
    """Yield rows of acknowledgements and indications to a host, with the options of every vector."""
    options = [mh[12:] for mh in headers() if len(mh) > 16 and mh[2] in (5, 6, 16, 21)]
    lease = bytes.fromhex('132c00007ed901020200010001518000093a8000400000') + bytes.fromhex('20010db800010007') + bytes(16)
    bid = bytes.fromhex('230400010000')
    options.insert(0, bid + lease)
    for kind in (6, 16, 21):
        row = struct.pack('>BHBBBBHBBHH', 0, 12 + len(bid), 59, 0, 6, 0, 0, 0, 0, 0, 225) + bid
        for i, body in enumerate(options):
            head = struct.pack('>BBHH', 0, 0, i, 225) if kind == 6 else struct.pack('>HHBB', 1, i, 1, 0x80)
            mh = bytes((59, 0, kind, 0, 0, 0)) + head + body
            row += struct.pack('>BH', i % 3, len(mh)) + mh
            row += struct.pack('>BH', (0xc4, 0x21, 0x05, 0x80)[i % 4], 0)
            if len(row) > 1500:
                yield row
                row = b''
        yield row


def make(name):
    if name == 'host':
        yield from answers()
        return
    if name == 'home_agent':
        yield from updates()
        return
    if name == 'dns':
        yield from names()
        return
    if name == 'selector':
        yield from selectors()
    if name == 'segment':
        yield from large()
    for i, mh in enumerate(headers()):
        if name in ('decode', 'print'):
            yield b'\0' + mh
            yield b'\1' + mh
        elif name == 'packet' and i % 8 == 0:
            for linktype, packet in carriers(mh):
                yield struct.pack('>H', linktype) + packet
        elif name == 'carried' and i % 8 == 0:
            yield from (packet for linktype, packet in carriers(mh) if linktype == 101)
        elif name == 'pcap' and i % 8 == 0:
            for linktype, packet in carriers(mh):
                yield pcap(linktype, [packet, packet[:30]])
                yield pcapng(linktype, [packet])
