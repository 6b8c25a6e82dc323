"""`flowmob decode`: exit codes, and one object a message from hex and from a capture."""
import json
import struct

BRR = '3b00000000000000'
SHORT_UPDATE = '3b00050000000009'


def pcap(path, packets, linktype=101):
    records = b''.join(struct.pack('<IIII', 0, 0, len(p), len(p)) + p for p in packets)
    path.write_bytes(struct.pack('<IHHIIII', 0xa1b2c3d4, 2, 4, 0, 0, 65535, linktype) + records)
    return str(path)


def packet(mh):
    """IPv6 from 2001:db8::1 to 2001:db8::2; the checksum is put in."""
    addresses = bytes.fromhex('20010db8000000000000000000000001' '20010db8000000000000000000000002')
    whole = addresses + struct.pack('>II', len(mh), 135) + mh
    total = sum(struct.unpack(f'>{len(whole) // 2}H', whole))
    total = (total & 0xffff) + (total >> 16)
    total = ~((total & 0xffff) + (total >> 16)) & 0xffff
    return struct.pack('>IHBB', 6 << 28, len(mh), 135, 64) + addresses + mh[:4] + struct.pack('>H', total) + mh[6:]


def test_a_message_of_hex_digits_is_one_object(flowmob):
    done = flowmob('decode', '--hex', BRR.upper(), '--json')
    assert done.returncode == 0
    assert json.loads(done.stdout)['type'] == 'binding-refresh-request'


def test_a_refused_message_is_one_object_and_exit_code_1(flowmob):
    done = flowmob('decode', '--json', '--hex', SHORT_UPDATE)
    assert done.returncode == 1
    assert json.loads(done.stdout) == {'schema': 1, 'ok': False, 'error': 'bad-length', 'offset': 1}


def test_text_says_what_is_refused_and_where(flowmob):
    done = flowmob('decode', '--hex', SHORT_UPDATE)
    assert (done.returncode, done.stdout) == (1, 'refused: bad-length at octet 1\n')


def test_addresses_turn_the_checksum_on(flowmob):
    done = flowmob('decode', '--hex', BRR, '--src', '2001:db8::1', '--dst', '2001:db8::2', '--json')
    assert done.returncode == 1
    assert json.loads(done.stdout)['error'] == 'bad-checksum'


def test_a_capture_is_one_object_a_message(flowmob, tmp_path):
    good, short = packet(bytes.fromhex(BRR)), packet(bytes.fromhex(SHORT_UPDATE))
    other = good[:6] + b'\x3b' + good[7:]
    done = flowmob('decode', '--json', '--pcap', pcap(tmp_path / 'a.pcap', [good, other, good]))
    objects = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0
    assert [(o['packet'], o['src'], o['dst'], o['carrier']) for o in objects] == [
        (1, '2001:db8::1', '2001:db8::2', 'ipv6'), (3, '2001:db8::1', '2001:db8::2', 'ipv6')]
    done = flowmob('decode', '--json', '--pcap', pcap(tmp_path / 'b.pcap', [good, short]))
    assert done.returncode == 1
    assert [json.loads(line)['ok'] for line in done.stdout.splitlines()] == [True, False]


def test_a_cut_capture_tells_what_it_has_and_exit_code_2(flowmob, tmp_path):
    path = pcap(tmp_path / 'a.pcap', [packet(bytes.fromhex(BRR))] * 2)
    whole = (tmp_path / 'a.pcap').read_bytes()
    (tmp_path / 'a.pcap').write_bytes(whole[:-3])
    done = flowmob('decode', '--json', '--pcap', path)
    assert done.returncode == 2
    assert len(done.stdout.splitlines()) == 1
    assert json.loads(done.stderr)['error']['code'] == 'unreadable'


def test_an_unknown_link_type_is_no_silence(flowmob, tmp_path):
    done = flowmob('decode', '--pcap', pcap(tmp_path / 'a.pcap', [b'\0' * 60], linktype=105))
    assert done.returncode == 2
    assert 'link type 105' in done.stderr


def test_what_is_no_request_is_usage(flowmob, tmp_path):
    for words in (['--hex', '3'], ['--hex', '3g'], ['--hex', BRR, '--src', '::1'], [],
                  ['--hex', BRR, '--pcap', 'x'], ['--pcap', str(tmp_path / 'nothing')],
                  ['--hex', BRR, '--src', '::1', '--dst', '192.0.2.1'], ['--hex', BRR, '--vendor-id', '-1']):
        assert flowmob('decode', *words).returncode == 2, words


def test_numbers_of_copies(flowmob, tmp_path):
    six = bytes.fromhex('6000000000040640' + '20010db8' + '00' * 11 + '01' + '20010db8' + '00' * 11 + '02' + '00500051')
    gre = bytes.fromhex('300086dd0000000700000008') + six
    outer = bytes.fromhex('60000000') + len(gre).to_bytes(2, 'big') + bytes.fromhex('2f40') + bytes(32)
    path = pcap(tmp_path / 'a.pcap', [outer + gre] * 2)
    assert flowmob('decode', '--json', '--pcap', path).stdout == ''
    assert '2 packets have a number' in flowmob('decode', '--pcap', path).stdout
    done = flowmob('decode', '--json', '--numbers', '--pcap', path)
    first = [json.loads(line) for line in done.stdout.splitlines()][0]
    assert done.returncode == 0 and first == {
        'schema': 1, 'ok': True, 'type': 'numbered-packet', 'packet': 1, 'carrier': 'ipv6', 'src': '2001:db8::1',
        'dst': '2001:db8::2', 'protocol': 6, 'length': 44, 'gre': {'key': 7, 'sequence': 8, 'src': '::', 'dst': '::'}}
    assert 'key 7 sequence 8' in flowmob('decode', '--numbers', '--pcap', path).stdout
