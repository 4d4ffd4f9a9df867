"""Whatever a file holds, a reader gives rows with reasons or an error with a remedy; never more.

`make fuzz` asks 100,000 times a form, `.ci/run` 2,000 times; without DEEPFIELD_CASES a few.
"""

import contextlib
import functools
import os
import resource
import time
from itertools import islice

import pytest
from forms import FORMS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mangled import mangled

import deepfield
from deepfield.toolkit.errors import DeepfieldError

CASES = int(os.environ.get("DEEPFIELD_CASES", "25"))
#: Of the processor, so that a busy machine makes no difference; and of memory.
SECONDS, MEGABYTES = 5.0, 1000
#: Rows of one file that are looked at.
ROWS = 40


@functools.cache
def pipeline(name):
    return deepfield.load(name)


@pytest.mark.parametrize("name", FORMS)
def test_a_damaged_file_gives_rows_or_a_remedy(name, tmp_path):
    form = FORMS[name]
    for other, data in form.beside.items():
        (tmp_path / other).write_bytes(data)
    path = tmp_path / f"given{form.ending}"
    options = {k: str(tmp_path / v) if v in form.beside else v for k, v in form.options.items()}
    judge = pipeline(f"{form.domain}/{form.model}")
    # what is made once, as networks of published weights, is not the reader's time
    path.write_bytes(form.whole)
    list(islice(judge.encoded(judge.read(str(path), **options)), ROWS))
    before = peak_mb()

    @settings(
        max_examples=CASES, deadline=None, database=None, derandomize=CASES <= 2000,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(st.one_of(mangled(form.whole), st.binary(max_size=200)))
    def ask(data):
        path.write_bytes(data)
        began = time.process_time()
        with contextlib.suppress(DeepfieldError):
            for item in islice(judge.encoded(judge.read(str(path), **options)), ROWS):
                assert (item.fault is None) == (item.arrays is not None)
                assert item.fault is None or item.fault.strip()
        assert time.process_time() - began < SECONDS

    ask()
    assert peak_mb() - before < MEGABYTES
    left = {p.name for p in tmp_path.iterdir()} - {*form.beside, path.name}
    assert not {n for n in left if not n.endswith(".fai")}, "a reader wrote files"


def peak_mb():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
