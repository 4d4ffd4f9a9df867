"""A small network that knows the made-up voices, trained once for all tests of the wing."""

import pytest
from program import once
from small_speech import SMALL_SPEECH

from deepfield.domains.speech import SpeechPipeline

VOICES = "synthetic:110:1"


@pytest.fixture(scope="session")
def model(tmp_path_factory, worker_id):
    """The folder of its bundle."""
    base = tmp_path_factory.getbasetemp()
    base = base if worker_id == "master" else base.parent

    def make(folder):
        SpeechPipeline(variation=0.5).fit(
            VOICES, out=folder / "voices", settings=SMALL_SPEECH, split="clip:75/25/0"
        )

    return str(once(base / "speech", make) / "voices")


@pytest.fixture
def trained(model):
    """The network, as anyone loads it."""
    return SpeechPipeline.load(model)
