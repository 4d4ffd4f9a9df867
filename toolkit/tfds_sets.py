"""Sets of TensorFlow Datasets, as every domain reads them: `tfds:NAME[/config][:split]`."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from deepfield.toolkit.console import silent_stderr
from deepfield.toolkit.errors import NotFound, first_line
from deepfield.toolkit.splits import PART_NAMES


class TfdsSet:
    """One set, described; nothing is fetched before its examples are asked for.

    Args:
        source: as the module says.

    Attributes:
        name: of the set, with its configuration.
        kinds: TFDS's feature objects by name; empty where examples have no names.
        tfds: the package itself.

    Raises:
        NotFound: no such set.
    """

    def __init__(self, source: str) -> None:
        self.source = source
        self.name, self.split = re.findall(
            r"^tfds:([^:]*(?::[\d*]+\.[\d*]+\.[\d*]+)?):?(.*)", source
        )[0]
        logging.getLogger("absl").setLevel(logging.ERROR)
        with silent_stderr():
            import tensorflow  # noqa: F401
            import tensorflow_datasets as tfds

        self.tfds: Any = tfds
        self.folder = os.environ.get("TFDS_DATA_DIR")
        try:
            features = tfds.builder(self.name, data_dir=self.folder).info.features
        except Exception as error:
            raise NotFound(
                f"no TFDS set {self.name!r}: {first_line(error)}",
                "names are at tensorflow.org/datasets/catalog; TFDS_DATA_DIR names your own folder",
            ) from None
        named = isinstance(features, tfds.features.FeaturesDict)
        self.kinds: dict[str, Any] = dict(features.items()) if named else {}

    def examples(
        self, decoders: Mapping[str, Any] | None = None
    ) -> Iterator[tuple[str, str | None, Mapping[str, Any]]]:
        """Key, part and content of every example: of the split, or of all that name a part.

        Args:
            decoders: TFDS's, by feature.

        Raises:
            NotFound: it is not on this disk and cannot be fetched, or a package is missing.
        """
        try:
            with contextlib.redirect_stdout(sys.stderr):  # it prints what it downloads
                splits = self.tfds.load(
                    self.name, split={self.split: self.split} if self.split else None,
                    data_dir=self.folder, decoders=decoders,
                )  # fmt: skip
        except Exception as error:
            hint = (
                f"where there is a network: tfds build {self.name}; TFDS_DATA_DIR names its folder"
            )
            if isinstance(error, ImportError) and error.name:
                hint = f"pip install {error.name}"
            message = f"TFDS set {self.source!r} cannot be loaded: {first_line(error)}"
            raise NotFound(message, hint) from None
        known = {split: own for split, own in splits.items() if split in PART_NAMES}
        for split, own in (known or splits).items():
            part = PART_NAMES.get(re.split(r"\W", split)[0])
            for index, example in enumerate(own.as_numpy_iterator()):
                yield f"{split}/{index}", part, example
