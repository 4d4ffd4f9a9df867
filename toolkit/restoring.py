"""A pipeline from its bundle: every value of the configuration is tried before anything answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from deepfield.toolkit.bundle import TABLES, Bundle
from deepfield.toolkit.calibration import from_config as calibrator_from_config
from deepfield.toolkit.errors import UnusableModel, UsageError, of_another_domain
from deepfield.toolkit.novelty import Novelty

if TYPE_CHECKING:
    from deepfield.toolkit.pipeline import Pipeline

P = TypeVar("P", bound="Pipeline")


def restore(cls: type[P], bundle: Bundle, device: str = "cpu") -> P:
    """Make a pipeline of what a bundle says.

    The parts are whole already (see `open_bundle`); here the values must make sense as well: the
    configuration is used on a stored output of the network, as it will be on new ones.

    Raises:
        UnusableModel: the bundle is of another domain, or its configuration makes no sense.
    """
    config = bundle.config
    if config.get("domain") != cls.domain:
        raise of_another_domain(str(bundle.path), str(config.get("domain")), cls.domain)
    try:
        pipeline = cls(config["architecture"], **config["settings"])
        pipeline.hyper, pipeline.state = config["hyper"], config["state"]
        pipeline.task.state = config["task"]
        pipeline.task.restored()
        if config.get("calibration"):
            pipeline.calibrator = calibrator_from_config(config["calibration"])
            _check_calibrator(pipeline.calibrator)
        if config.get("novelty"):
            facts = {k: v for k, v in config["novelty"].items() if k != "kind"}
            pipeline.novelty = Novelty(**facts)
        pipeline.bundle, pipeline.name, pipeline.device = bundle, bundle.name, device
        pipeline.tables = bundle.arrays(TABLES) if TABLES in bundle.files else {}
        pipeline.restored()
        _try_on_golden(pipeline, bundle)
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        what = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise _senseless(bundle, what) from None
    except (UsageError, MemoryError) as error:
        raise _senseless(bundle, str(getattr(error, "message", error))) from None
    return pipeline


#: What the numbers of a calibrator must be; others would turn its answers round, or be no answers.
_BOUNDS = {
    "temperature": (1e-3, 1e4),
    "slopes": (0.0, np.inf),
    "levels": (0.0, 1.0),
    "widths": (0.0, np.inf),
    "floors": (0.0, np.inf),
    "coverage": (0.0, 1.0),
}


def _check_calibrator(calibrator: Any) -> None:
    """Raise ValueError for numbers with which calibration makes no sense."""
    for name, (low, high) in _BOUNDS.items():
        given = getattr(calibrator, name, None)
        rows = given if isinstance(given, Sequence) else [given]
        for row in rows:
            values = np.asarray([] if row is None else row, dtype=float)
            if not ((low <= values) & (values <= high)).all():
                raise ValueError(
                    f"{name} of the calibration is {row!r}, expected {low:g} to {high:g}"
                )


def _try_on_golden(pipeline: Pipeline, bundle: Bundle) -> None:
    if not bundle.members or "golden.safetensors" not in bundle.files:
        return
    start = "output/0/"
    golden = bundle.arrays("golden.safetensors")
    outputs = {k.removeprefix(start): v[None] for k, v in golden.items() if k.startswith(start)}
    if pipeline.task.output not in outputs:
        return
    with np.errstate(all="ignore"):
        prediction = pipeline.calibrated(outputs)["prediction"]
        if np.isnan(prediction).any():  # an interval may be infinite: too few samples for one
            raise ValueError("the calibrated answer is not a number")
        judged = pipeline.novelty_outputs(outputs)
        if pipeline.novelty is not None and judged is not None:
            pipeline.novelty.apply(judged)
    try:
        pipeline.task.answer(prediction[0])
    except NotImplementedError:  # its pipeline answers by itself
        return


def _senseless(bundle: Bundle, what: str) -> UnusableModel:
    return UnusableModel(
        f"{str(bundle.path)!r}: the configuration makes no sense ({what})", "train the model again"
    )
