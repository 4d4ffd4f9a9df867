import json

import keras
import pytest
from keras import layers

from deepfield.toolkit.layers import EuclideanRBF, ResidualBlock2D
from deepfield.toolkit.structure import connections, layer_table, parameters


def built(layer, shape):
    layer.build(shape)
    return layer


@pytest.mark.parametrize(
    ("layer", "shape", "expected"),
    [
        (layers.Dense(3), (None, 4), 3 * 5),
        (layers.Dense(3, use_bias=False), (None, 7, 4), 7 * 3 * 4),
        (layers.Conv1D(5, 3), (None, 10, 2), 8 * 5 * (3 * 2 + 1)),
        (layers.Conv2D(6, 5), (None, 32, 32, 1), 122_304),
        (layers.Conv2D(8, 3, 2, "same", groups=2), (None, 9, 9, 4), 25 * 8 * (9 * 2 + 1)),
        (layers.DepthwiseConv2D(3, depth_multiplier=2), (None, 5, 5, 4), 9 * 8 * (9 + 1)),
        (layers.SeparableConv2D(7, 3), (None, 5, 5, 4), 9 * (4 * 9 + 7 * (4 + 1))),
        (layers.SeparableConv1D(7, 3, 2, "same"), (None, 5, 4), 3 * (4 * 3 + 7 * (4 + 1))),
        (layers.MaxPooling2D(2), (None, 5, 5, 3), 2 * 2 * 3 * 4),
        (layers.AveragePooling1D(3, 1), (None, 5, 3), 3 * 3 * 3),
        (layers.GlobalAveragePooling2D(), (None, 5, 5, 3), 75),
        (EuclideanRBF(10), (None, 84), 840),
        (layers.Rescaling(2.0), (None, 4), 0),
        (layers.Dropout(0.5), (None, 4), 0),
        (layers.Embedding(10, 4), (None, 7), None),
        (layers.BatchNormalization(), (None, 4), None),
        (layers.LSTM(3), (None, 7, 4), None),
        (layers.Conv1D(5, 3), (None, None, 2), None),
    ],
    ids=lambda value: value.name if isinstance(value, layers.Layer) else "",
)
def test_connections_are_every_units_inputs_and_bias(layer, shape, expected):
    assert connections(built(layer, shape), shape) == expected


def test_frozen_parameters_are_still_free_ones():
    layer = built(layers.Dense(3), (None, 4))
    layer.trainable = False
    assert parameters(layer) == 15


def test_moving_statistics_and_fixed_centres_are_no_parameters():
    assert parameters(built(layers.BatchNormalization(), (None, 4))) == 8
    assert parameters(built(EuclideanRBF(2), (None, 4))) == 0


@pytest.fixture
def model():
    inner = keras.Sequential([keras.Input((4,)), layers.Dense(4, name="twice")], name="inner")
    shared = layers.Dense(4, name="shared")
    inputs = keras.Input((4, 4, 1), name="pixels")
    x = layers.Rescaling(2.0, name="normalize")(inputs)
    x = ResidualBlock2D(4, name="block")(x)
    x = layers.GlobalAveragePooling2D(name="mean")(x)
    x = layers.Dropout(0.5, name="dropout")(inner(shared(shared(x))))
    return keras.Model(inputs, layers.Dense(2, name="logits")(x))


def test_glue_and_nested_layers_are_left_out(model):
    names = [row["name"] for row in layer_table(model)["layers"]]
    assert names == ["block", "mean", "shared", "inner", "logits"]


def test_all_lists_them_too_and_changes_no_total(model):
    table, full = layer_table(model), layer_table(model, all=True)
    names = [row["name"] for row in full["layers"]]
    assert {"pixels", "normalize", "dropout", "block/conv1", "inner/twice"} <= set(names)
    assert full["total"] == table["total"]


def test_a_layer_called_twice_has_its_parameters_once_and_its_connections_twice(model):
    rows = {row["name"]: row for row in layer_table(model)["layers"]}
    assert (rows["shared"]["parameters"], rows["shared"]["connections"]) == (20, 40)
    assert rows["shared"]["output_shape"] == [4]


def test_a_nested_model_counts_its_own_layers(model):
    rows = {row["name"]: row for row in layer_table(model)["layers"]}
    assert rows["inner"]["connections"] == 20


def test_the_total_is_the_sum_of_the_rows(model):
    table = layer_table(model)
    for count in ("parameters", "connections"):
        assert table["total"][count] == sum(row[count] for row in table["layers"])


def test_the_table_is_json(model):
    table = layer_table(model, all=True)
    assert json.loads(json.dumps(table)) == table


def test_free_sizes_have_no_count():
    inputs = keras.Input((None, 3))
    x = layers.Conv1D(4, 3, name="conv")(inputs)
    model = keras.Model(inputs, layers.Dense(2, name="logits")(layers.GlobalMaxPooling1D()(x)))
    table = layer_table(model)
    assert table["layers"][0]["connections"] is None
    assert table["layers"][0]["output_shape"] == [None, 4]
    assert table["total"] == {"parameters": 40 + 10, "connections": 10}
