"""How a network is trained, as data: no Keras here, so that a pipeline can declare it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from deepfield.toolkit.errors import UsageError

_MOST_TIMES = 3  # as many epochs, for few items


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a network is trained.

    Args:
        epochs: passes over the training part.
        batch_size: items a step.
        optimizer: `"adam"`, `"adamw"` or `"sgd"` (Nesterov momentum 0.9).
        learning_rate: the highest.
        schedule: `"constant"`, `"cosine"` (to zero), `"onecycle"` (up for `warmup`, then
            cosine to zero) or `"trapezoid"` (constant, in the last fifth to zero): for what is
            learnt late, in one leap.
        warmup: fraction of all steps in which the rate rises linearly.
        weight_decay: decoupled, of kernels only.
        label_smoothing: of classification losses.
        ema: decay of an exponential moving average of the weights, which is what is evaluated
            and kept; 0 for none.
        patience: epochs without improvement before stopping; 0 never stops early.
        keep: `"best"` epoch by validation, or `"last"`.
        class_weight: `"none"` or `"balanced"` (inverse frequency).
        precision: `"float32"`, `"mixed_float16"` or `"mixed_bfloat16"`.
        clip_norm: global gradient norm; 0 for none.
        jit: compile the step with XLA.
        recalibrate_bn: at the end recompute the statistics of batch normalisation on training
            items without augmentation (see `toolkit.normalisation`). Worth it with augmentation
            and with `ema`: there the statistics gathered in training belong to other inputs, or
            to other weights, than those that are kept. Validation figures of single epochs do
            not show it, so combine it with `keep="last"`.
        start_epochs: epochs, at most, of an easier start where the pipeline has one (see
            `Pipeline.ease`); it is over as soon as validation stops improving.
        least_steps: few items get more epochs, until there are so many steps or three times the
            epochs (see `for_items`).
    """

    epochs: int = 20
    batch_size: int = 64
    optimizer: str = "adam"
    learning_rate: float = 1e-3
    schedule: str = "cosine"
    warmup: float = 0.0
    weight_decay: float = 0.0
    label_smoothing: float = 0.0
    ema: float = 0.0
    patience: int = 0
    keep: str = "best"
    class_weight: str = "none"
    precision: str = "float32"
    clip_norm: float = 0.0
    jit: bool = False
    recalibrate_bn: bool = False
    start_epochs: int = 0
    least_steps: int = 0

    def __post_init__(self) -> None:
        choices = {
            "optimizer": ("adam", "adamw", "sgd"),
            "schedule": ("constant", "cosine", "onecycle", "trapezoid"),
            "keep": ("best", "last"),
            "class_weight": ("none", "balanced"),
            "precision": ("float32", "mixed_float16", "mixed_bfloat16"),
        }
        for name, known in choices.items():
            if getattr(self, name) not in known:
                raise UsageError(f"{name}={getattr(self, name)!r}", f"choose {' or '.join(known)}")
        limits = {"epochs": 1, "batch_size": 1, "learning_rate": 1e-12, "patience": 0}
        limits |= {"start_epochs": 0, "least_steps": 0}
        for name, least in limits.items():
            if not getattr(self, name) >= least:
                raise UsageError(f"{name}={getattr(self, name)} is too small", f"at least {least}")

    def start(self) -> Recipe:
        """How the easier start is trained: at the full rate, until two epochs bring nothing."""
        return replace(
            self, epochs=self.start_epochs, start_epochs=0, schedule="constant", warmup=0.0,
            ema=0.0, patience=2, keep="best", recalibrate_bn=False,
        )  # fmt: skip

    def for_items(self, count: int) -> Recipe:
        """How so many training items are learnt: with as many epochs as `least_steps` asks for,
        and as much more patience.

        Example:
            >>> Recipe(epochs=40, batch_size=32, least_steps=2000).for_items(640).epochs
            100
        """
        steps = max(1, -(-count // self.batch_size))
        wanted = -(-self.least_steps // steps)
        epochs = max(self.epochs, min(wanted, _MOST_TIMES * self.epochs))
        return replace(self, epochs=epochs, patience=self.patience * epochs // self.epochs)

    def with_settings(self, settings: Mapping[str, Any]) -> Recipe:
        """A copy with some fields replaced; names that are no field of a recipe are passed over.

        Who names epochs gets these, however few steps they are.
        """
        known = {f.name for f in fields(self)}
        asked = {k: v for k, v in settings.items() if k in known}
        if "epochs" in asked:
            asked = {"least_steps": 0, **asked}
        return replace(self, **asked)


def plain(value: Any) -> Any:
    """A setting as JSON keeps it: NumPy's numbers and arrays are Python's.

    Example:
        >>> import numpy as np
        >>> plain(np.float64(0.5)), plain((np.int64(24), 48)), plain("adam")
        (0.5, [24, 48], 'adam')
    """
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    return value.tolist() if hasattr(value, "tolist") else value


def check_setting(name: str, value: Any, usual: Any) -> None:
    """Refuse a setting of another kind than its default: a word where a number stands.

    Raises:
        UsageError: naming the setting, the value and the default.

    Example:
        >>> check_setting("units", 64, usual=128)
        >>> check_setting("jit", 2, usual=False)
        Traceback (most recent call last):
            ...
        deepfield.toolkit.errors.UsageError: --set jit=2 is not true or false (its default is False)
    """
    if isinstance(usual, bool):
        fits, kind = isinstance(value, bool), "true or false"
    elif isinstance(usual, int | float):
        fits, kind = type(value) in (int, float), "a number"
        if isinstance(usual, int):
            fits = type(value) is int and (value >= 0 or usual < 0)
            kind = "a whole number" if usual < 0 else "a whole number, 0 or more"
    elif isinstance(usual, str):
        fits, kind = isinstance(value, str), "a word"
    elif isinstance(usual, tuple):
        whole = all(type(one) is int for one in usual)
        usual, kind = list(usual), f"a list of {'whole ' if whole else ''}numbers, as [24, 48]"
        fits = isinstance(value, list | tuple) and (len(value) > 0 or not usual)
        fits = fits and all(
            type(one) is int and one > 0 if whole else type(one) in (int, float) for one in value
        )
    else:
        return
    if not fits:
        raise UsageError(f"--set {name}={value!r} is not {kind}", f"its default is {usual!r}")
