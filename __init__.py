"""deepfield: applied deep learning for people whose field is not deep learning.

Six domains share one library of Keras layers, one contract and one command line. Importing the
package loads nothing heavy: TensorFlow and Keras come in only when a network is trained, explained
or exported.

Example:
    >>> import deepfield
    >>> deepfield.load("image/small_cnn_digits").labels[:3]
    ['0', '1', '2']
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # as of typing, whose import takes longer than all of this one
if TYPE_CHECKING:
    from deepfield.toolkit.pipeline import Pipeline

__version__ = "0.1.0"
__all__ = ["__version__", "load"]


def load(model: str | os.PathLike[str]) -> Pipeline:
    """Load a trained pipeline: a preset (`domain/name`) or a bundle's folder.

    Args:
        model: `"image/small_cnn_digits"`, or the path of a folder that `train -o` wrote.

    Returns:
        The domain's pipeline, ready to predict. TensorFlow is not imported.

    Raises:
        deepfield.toolkit.errors.NotFound: no such preset or folder.
        deepfield.toolkit.errors.UnusableModel: the bundle is damaged.
        TypeError: it is no name.

    Example:
        >>> import deepfield
        >>> answer = next(deepfield.load("image/small_cnn_digits").predict("sample:digit"))
        >>> answer["label"]
        '4'
    """
    from deepfield.domains import load as load_any

    return load_any(os.fspath(model))


def _program() -> int:
    """The program `deepfield`: `cli.main`, which may be interrupted while it is imported too."""
    try:
        from deepfield.cli import main

        return main()
    except KeyboardInterrupt:
        print("error: interrupted\nhint: run it again", file=sys.stderr)
        return 130
