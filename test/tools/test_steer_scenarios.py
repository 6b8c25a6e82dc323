"""The scenarios of the steering modes are what the tables of test/netns/steer.py say."""
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


def test_none_differs_from_its_table():
    done = subprocess.run([sys.executable, ROOT / 'test/netns/steer.py', '--check'], capture_output=True, text=True,
                          check=False)
    assert done.returncode == 0, done.stdout
