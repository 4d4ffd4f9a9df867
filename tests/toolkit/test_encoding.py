"""Encoding in several processes."""

import signal
import subprocess
import sys

from program import environment

_KILLED = """
import os, signal
import numpy as np
from deepfield.toolkit.encoding import encoded_in_processes

# more than a pipe holds, so that the workers wait for a reader
large = lambda item: ({"x": np.zeros(1 << 17)}, None)
for _ in encoded_in_processes(large, [[0]] * 100):
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_workers_end_when_their_parent_is_killed():
    # the workers have the same standard output: it is at its end when the last of them is
    done = subprocess.run(
        [sys.executable, "-c", _KILLED], stdout=subprocess.PIPE, env=environment(), timeout=240
    )
    assert done.returncode == -signal.SIGKILL
