"""Untrained networks as bundles: for what does not depend on being right."""

from deepfield.domains.qa.features import Asked
from deepfield.domains.qa.pipeline import QAPipeline
from deepfield.toolkit.data import Sample
from deepfield.toolkit.packing import build_models, save

STORY = ("Ann went to the attic.", "Bob went to the barn.", "Ann took the $5 & <key>.")


def bundle_of(architecture, folder, **hyper):
    """A network that knows the words of STORY and two answers; the path of its bundle."""
    pipeline = QAPipeline(architecture)
    asked = Asked(STORY, "Where is Ann?")
    samples = [Sample(str(i), asked, label) for i, label in enumerate(("attic", "barn"))]
    pipeline.hyper = {"units": 8} | hyper
    pipeline.task.learn(["attic", "barn"])
    pipeline.prepare(samples, ["attic", "barn"])
    pipeline._models = build_models(pipeline)
    save(pipeline, folder, {"seed": 0}, [pipeline.encode(asked)[0]], [], architecture)
    return str(folder)
