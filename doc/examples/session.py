"""A datagram to HOST PORT from a session-lasting address, or from any where there is none.

python3 session.py 2001:db8:ffff::1 9
"""
import ctypes
import os
import socket
import sys

SESSION_LASTING_IP_ADDRESS = 2

lib = ctypes.CDLL('libflowmob.so.0', use_errno=True)
lib.sc_strerror.restype = ctypes.c_char_p


def setsc(sock, kind):
    """Wait for an address of that kind; return it as text. Raises OSError."""
    source = (ctypes.c_ubyte * 16)()
    result = lib.setsc(sock.fileno(), source, kind)
    if result:
        error = ctypes.get_errno()
        raise OSError(error, f'{lib.sc_strerror(result).decode()}: {os.strerror(error)}')
    return socket.inet_ntop(socket.AF_INET6, bytes(source))


def main():
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
        try:
            setsc(sock, SESSION_LASTING_IP_ADDRESS)
        except OSError as e:
            print(e, file=sys.stderr)  # the socket is usable all the same
        sock.connect((sys.argv[1], int(sys.argv[2])))
        print('from', sock.getsockname()[0])
        sock.send(b'hello')


main()
