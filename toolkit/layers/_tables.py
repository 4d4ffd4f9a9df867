"""Looking numbers up in tables that layers hold."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


def at(table: Any, places: Any) -> Any:
    """Values of a flat table at places none of which is negative, of the shape of the places.

    `ops.take` provides for negative places: with TensorFlow in ten operations each time, which
    stay in an exported network.
    """
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.gather(table, places)
    return ops.take(table, places, axis=0)
