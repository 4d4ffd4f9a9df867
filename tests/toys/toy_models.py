"""Networks of the toy pipelines: each has a few hundred parameters."""

import keras
from keras import layers, ops

from deepfield.toolkit.layers import RandomWarp2D
from deepfield.toolkit.registry import Registry

ARCHITECTURES = Registry("architecture")


@ARCHITECTURES.register()
def trend(length, classes, units=16):
    """Windows of a series: is it rising?"""
    x = keras.Input((length,), name="window")
    h = layers.Dense(units, activation="tanh", name="hidden")(x)
    return keras.Model(x, layers.Dense(classes, name="logits")(h), name="trend")


@keras.saving.register_keras_serializable("deepfield_toys")
class HidePadding(layers.Layer):
    """Logits of sentences that are there; -1e9 where a story has no more."""

    def call(self, logits, words):
        there = ops.any(ops.not_equal(words, 0), axis=-1)
        return ops.where(there, logits, -1e9 * ops.ones_like(logits))


@ARCHITECTURES.register()
def pointer(words, units=16):
    """A story and a question: which sentence holds the answer?"""
    story = keras.Input((None, None), dtype="int32", name="story")
    question = keras.Input((None,), dtype="int32", name="question")
    ask = layers.Embedding(words, units, name="ask")
    tell = layers.Embedding(words, units, name="tell")
    known = ops.cast(ops.expand_dims(ops.not_equal(story, 0), -1), "float32")
    asked = ops.cast(ops.expand_dims(ops.not_equal(question, 0), -1), "float32")
    sentences = ops.sum(tell(story) * known, axis=2)
    query = ops.sum(ask(question) * asked, axis=1)
    scores = ops.sum(sentences * ops.expand_dims(query, 1), axis=-1)
    return keras.Model([story, question], HidePadding(name="logits")(scores, story), name="pointer")


@ARCHITECTURES.register()
def sorter(features, classes, units=8):
    """Sequences of ragged lengths, masked where they are padded with -9."""
    x = keras.Input((None, features), name="steps")
    h = layers.Masking(mask_value=-9.0)(x)
    h = layers.GRU(units, name="gru")(h)
    return keras.Model(x, layers.Dense(classes, name="logits")(h), name="sorter")


@ARCHITECTURES.register()
def quantities(features, outputs, units=16):
    """Several numbers from a vector."""
    x = keras.Input((features,), name="features")
    h = layers.Dense(units, activation="tanh", name="hidden")(x)
    return keras.Model(x, layers.Dense(outputs, name="quantities")(h), name="quantities")


@ARCHITECTURES.register()
def detector(length=None, units=8):
    """Where in a series the bump stands: one logit a step."""
    x = keras.Input((length,), name="series")
    h = layers.Reshape((-1, 1))(x)
    h = layers.Conv1D(units, 5, padding="same", activation="tanh", name="look")(h)
    h = layers.Conv1D(1, 1, name="where")(h)
    return keras.Model(x, layers.Reshape((-1,), name="place")(h), name="detector")


@ARCHITECTURES.register()
def scorer(length, classes, units=8):
    """What kind of bump a patch holds."""
    x = keras.Input((length,), name="patch")
    h = layers.Dense(units, activation="tanh", name="hidden")(x)
    return keras.Model(x, layers.Dense(classes, name="logits")(h), name="scorer")


@ARCHITECTURES.register()
def shaky(input_shape, classes, filters=4, dropout=0.3, augment=1.0):
    """A picture network with all that is random: augmentation, dropout, batch normalisation."""
    x = keras.Input(input_shape, name="pixels")
    h = RandomWarp2D(shift=0.1 * augment, rotate_deg=10 * augment, name="augment")(x)
    h = layers.Conv2D(filters, 3, padding="same", name="convolve")(h)
    h = layers.BatchNormalization(name="norm")(h)
    h = layers.ReLU(name="relu")(h)
    h = layers.Flatten(name="flatten")(h)
    h = layers.Dropout(dropout, name="drop")(h)
    return keras.Model(x, layers.Dense(classes, dtype="float32", name="logits")(h), name="shaky")
