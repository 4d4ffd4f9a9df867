"""Bundles of strangers: whatever their configuration and parts hold, they answer or are refused."""

import contextlib
import copy
import json
import shutil
import time
from itertools import islice

import pytest
from forged import forged
from forms import FORMS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mangled import mangled
from test_readers import CASES, MEGABYTES, SECONDS, peak_mb

from deepfield.domains import domain
from deepfield.toolkit.errors import DeepfieldError, UnusableModel
from deepfield.toolkit.presets import preset_folder
from deepfield.toolkit.weights import weights_of

#: A small preset of every domain, and what it is asked.
ASKED = {
    "image/small_cnn_digits": "sample:digit",
    "face/small_face": "pairs.csv",
    "drug/fusion_esol": "CCO",
    "genomics/splice_uci": "sample:junctions",
    "speech/digits": "sample:said",
    "qa/babi_1k": "sample:babi",
}
#: Values that no field of a configuration should have.
STRANGE = st.one_of(
    st.sampled_from((
        None, True, "", "x" * 5000, "../../x", -1, 0, 1e308, 10**30, float(2**31), [], {}, [[]],
        [None], {"a": None}, {"": {}}, ["../x"], [10**18], "\0", "NaN", 0.1,
    )),
    st.integers(-(2**70), 2**70),
    st.text(max_size=20),
)  # fmt: skip


def loaded(cls, folder):
    """A pipeline from a bundle; faces are not looked for, so that a case takes milliseconds."""
    pipeline = cls.load(folder)
    if cls.domain == "face":
        pipeline.settings["crop"] = True
    return pipeline


@pytest.fixture
def asked(tmp_path):
    """What the network of a name is asked."""
    face = FORMS["face.csv"]
    for name, data in {**face.beside, "pairs.csv": face.whole}.items():
        (tmp_path / name).write_bytes(data)
    return {k: str(tmp_path / v) if v == "pairs.csv" else v for k, v in ASKED.items()}


def places(thing, path=()):
    """The path of every value in a configuration."""
    inside = thing.items() if isinstance(thing, dict) else enumerate(thing)
    for key, value in inside:
        yield (*path, key)
        if isinstance(value, dict | list):
            yield from places(value, (*path, key))


def put(thing, path, value):
    for key in path[:-1]:
        thing = thing[key]
    thing[path[-1]] = copy.deepcopy(value)  # else the next change puts something into itself


@pytest.mark.parametrize("name", ASKED)
def test_a_stranger_s_bundle_answers_or_is_refused(name, asked, tmp_path):
    field, _, preset = name.partition("/")
    cls = domain(field)
    source = preset_folder(cls, preset)
    config = json.loads((source / "config.json").read_text())
    # what is for people to read alone is left out; so are the lists of the parts' digests
    told = {"files", "sha256", "versions", "command", "metrics", "baseline", "alone", "recipe"}
    found = sorted((p for p in places(config) if p[0] not in told), key=str)
    parts = sorted(p.name for p in source.iterdir() if p.suffix in (".onnx", ".safetensors"))
    before = peak_mb()

    @settings(
        max_examples=CASES, deadline=None, database=None, derandomize=CASES <= 2000,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(st.data())
    def ask(data):
        changes, files = [], {}
        if data.draw(st.booleans()):
            for _ in range(data.draw(st.integers(1, 2))):
                changes.append((data.draw(st.sampled_from(found)), data.draw(STRANGE)))
        else:
            part = data.draw(st.sampled_from(parts))
            files[part] = data.draw(mangled((source / part).read_bytes()))

        def change(made):
            for path, value in changes:
                with contextlib.suppress(KeyError, IndexError, TypeError):  # changed before
                    put(made, path, value)

        folder = forged(source, tmp_path / "model", change, files)
        began = time.process_time()
        with contextlib.suppress(DeepfieldError):
            pipeline = loaded(cls, folder)
            for member in pipeline.members:
                weights_of(pipeline.bundle, member)
            for row in islice(pipeline.predict(asked[name]), 3):
                json.dumps(row, allow_nan=False)
        assert time.process_time() - began < 2 * SECONDS

    ask()
    assert peak_mb() - before < MEGABYTES


def test_what_is_asked_of_strangers_is_answered_by_friends(asked, tmp_path):
    for name, source in asked.items():
        field, _, preset = name.partition("/")
        cls = domain(field)
        folder = forged(preset_folder(cls, preset), tmp_path / "model")
        assert next(loaded(cls, folder).predict(source))["status"] == "ok"
        shutil.rmtree(folder)
    with pytest.raises(UnusableModel):
        cls.load(forged(preset_folder(cls, preset), folder, lambda c: c.update(members=[])))
