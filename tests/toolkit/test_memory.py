"""What a process has from the system it keeps."""

import subprocess
import sys

import pytest

# In a thread, as TensorFlow works; arrays of some megabytes come and go.
PROGRAM = """
import random, resource, sys, threading
from deepfield.toolkit.memory import keep_memory

def work():
    draw, held = random.Random(0), []
    for _ in range(300):
        held.append(b"x" * draw.randrange(1 << 20, 6 << 20))
        if len(held) > 4:
            held.pop(draw.randrange(5))

def measure():
    work()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    work()
    print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)

if sys.argv[1] == "kept":
    keep_memory()
thread = threading.Thread(target=measure)
thread.start()
thread.join()
"""


def pages(how):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, how], capture_output=True, text=True, check=True
    )
    return int(done.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's allocator")
def test_nothing_is_asked_for_twice():
    given_back = pages("given back")
    assert pages("kept") < 100 < given_back
