"""rate-up: a conversation beside an upload on an access with a deep queue, judged by how long its answers take."""
import json
import os
import subprocess

import pytest

from world import FLOWMOB

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason='network namespaces need root')

SCENARIO = '''
scenario "talk-beside-upload" {
  duration = "5s"
  access "lte" { family = "ipv4-nat"  delay = "10ms"  rate = "4mbit"  queue = "500ms" }
  host {
    access "lte" { %s }
    default { type = session-lasting  via = {"lte"} }
  }
  traffic "talk"   { proto = "tcp"  kind = "echo"  dscp = "ef" }
  traffic "upload" { proto = "tcp"  kind = "bulk"  direction = "up"  start = "500ms" }
  expect "talk"   { broken = false }
  expect "upload" { broken = false  min-rate = "2mbit" }
}
'''


def play(tmp_path, keys):
    file = tmp_path / 'talk-beside-upload.scenario'
    file.write_text(SCENARIO % keys)
    done = subprocess.run([FLOWMOB, 'lab', 'run', file, '--instance', f'shape-{os.getpid()}', '--json'], text=True,
                          capture_output=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return {f['name']: f for f in json.loads(done.stdout)['flows']}


def test_an_upload_does_not_hold_up_a_conversation(tmp_path):
    assert play(tmp_path, 'rate-up = "3600kbit"')['talk']['max_gap_ms'] < 120


@pytest.mark.long
def test_without_queues_of_ours_it_does(tmp_path):
    assert play(tmp_path, '')['talk']['max_gap_ms'] > 240
