"""Networks answer a padded batch as its items alone, and as ONNX does."""

import numpy as np
import pytest

from deepfield.domains.speech.models import ARCHITECTURES
from deepfield.toolkit.export import keras_network, to_onnx
from deepfield.toolkit.runtime import Network

SMALL = {
    "quartznet_small": {"filters": 16, "blocks": 2},
    "tdnn": {"units": 16, "past_frames": 40},
    "blstm_ctc": {"units": 8},
    "cnn_ctc": {"units": 16, "filters": (3, 4, 5)},
    "conformer_ctc_small": {"units": 16, "blocks": 1, "heads": 2},
}


BANDS = {"units": 8, "depth": 2, "filters": (3, 4), "subsampling": 3, "each": False}
CASES = [*SMALL.items(), ("blstm_ctc", BANDS)]


@pytest.mark.parametrize(("name", "hyper"), CASES)
def test_a_batch_answers_as_its_items_alone_also_in_onnx(name, hyper):
    model = ARCHITECTURES[name](symbols=6, rate_hz=8000, mels=16, **hyper)
    rng = np.random.default_rng(0)
    for variable in model.weights:  # off their initial values
        if "variance" not in variable.path:
            variable.assign(variable + 0.1 * rng.normal(size=variable.shape))
    lengths = (4000, 6100, 7999)
    batch = np.zeros((3, 8000), np.float32)
    for row, length in zip(batch, lengths, strict=True):
        row[:length] = 0.1 * rng.normal(size=length)
    network = keras_network(model)
    together = network({"waveform": batch})["log_probs"]
    onnx = Network(to_onnx(model))({"waveform": batch})["log_probs"]
    assert np.abs(onnx - together).max() < 1e-4
    for row, length, answer in zip(batch, lengths, together, strict=True):
        alone = network({"waveform": row[None, :length]})["log_probs"][0]
        assert np.abs(alone - answer[: len(alone)]).max() < 1e-4
        assert np.allclose(np.exp(alone).sum(axis=-1), 1, atol=1e-4)
        padding = answer[len(alone) :]
        assert (padding[:, 0] == 0).all() and (padding[:, 1:] < -1e3).all()


def test_every_architecture_is_tried():
    assert set(SMALL) == set(ARCHITECTURES.names())


def test_silence_is_blank_from_end_to_end():
    model = ARCHITECTURES["quartznet_small"](symbols=6, filters=16, blocks=1)
    answer = model.predict_on_batch(np.zeros((2, 4000), np.float32))
    assert (answer[..., 0] == 0).all() and (answer[..., 1:] < -1e3).all()
