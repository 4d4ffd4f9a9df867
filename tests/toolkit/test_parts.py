"""Data are dealt again as they were for a network, which is judged as it was."""

import pytest

import deepfield
from deepfield.toolkit.parts import held_out


def test_what_a_network_never_saw_is_found_again_with_its_figures_and_interval(tiny):
    pipeline = deepfield.load(str(tiny))
    config = pipeline.bundle.config
    samples = held_out(pipeline, "digits", "test")
    assert len(samples) == config["data"]["counts"]["test"] == config["metrics"]["test"]["n"]
    seen = {s.id for s in held_out(pipeline, "digits", "train")}
    assert not seen & {s.id for s in samples + held_out(pipeline, "digits")}
    again = pipeline.evaluate(samples)
    assert again["metrics"]["accuracy"] == config["metrics"]["test"]["accuracy"]
    assert again["intervals"]["accuracy"] == pytest.approx(config["intervals"]["test"]["accuracy"])
