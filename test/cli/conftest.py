"""A daemon that is none: answers on a control socket what the test tells it."""
import json
import os
import pathlib
import socket
import subprocess
import threading

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
FLOWMOB = pathlib.Path(os.environ.get('FLOWMOB', ROOT / 'build-test/cli/flowmob'))


class Daemon:
    """Answers each command with the objects in `answers`: one, or a list of lines."""

    def __init__(self, path):
        self.path, self.answers, self.requests = path, {}, []
        self.hangs_up = False
        self.server = socket.socket(socket.AF_UNIX)
        self.server.bind(str(path))
        self.server.listen()
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                peer, _ = self.server.accept()
            except OSError:
                return
            with peer, peer.makefile('r') as lines:
                try:
                    self.talk(peer, lines)
                except OSError:
                    pass  # the other side had enough

    def talk(self, peer, lines):
        for line in lines:
            self.answer(peer, json.loads(line))
            if self.hangs_up:
                return

    def answer(self, peer, request):
        if request['command'] == 'ping':
            peer.sendall(b'{"schema":1,"pid":1}\n')
            return
        self.requests.append(request)
        answer = self.answers.get(request['command'])
        if callable(answer):
            answer = answer()
        for o in answer if isinstance(answer, list) else [answer]:
            text = o if isinstance(o, str) else json.dumps(o)
            peer.sendall(text.encode() + b'\n')

    def close(self):
        self.server.close()


@pytest.fixture
def daemon(tmp_path):
    d = Daemon(tmp_path / 'flowmob.sock')
    yield d
    d.close()


@pytest.fixture
def flowmob(tmp_path):
    """Runs flowmob beside the fake daemon's socket."""
    def run(*words, socket_path=tmp_path / 'flowmob.sock', **more):
        env = dict(os.environ, FLOWMOB_SOCKET=str(socket_path), TZ='UTC')
        return subprocess.run([FLOWMOB, *words], env=env, capture_output=True, text=True,
                              timeout=30, **more)
    return run
