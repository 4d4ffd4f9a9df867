"""Keras layers that Keras does not have: one a file, on `keras.ops` alone."""

from deepfield.toolkit.layers.euclidean_rbf import EuclideanRBF
from deepfield.toolkit.layers.inverted_residual2d import InvertedResidual2D
from deepfield.toolkit.layers.mapped_conv2d import MappedConv2D
from deepfield.toolkit.layers.random_light2d import RandomLight2D
from deepfield.toolkit.layers.random_warp2d import RandomWarp2D
from deepfield.toolkit.layers.residual_block2d import ResidualBlock2D
from deepfield.toolkit.layers.scaled_tanh import ScaledTanh
from deepfield.toolkit.layers.sub_sampling2d import SubSampling2D

__all__ = [
    "EuclideanRBF",
    "InvertedResidual2D",
    "MappedConv2D",
    "RandomLight2D",
    "RandomWarp2D",
    "ResidualBlock2D",
    "ScaledTanh",
    "SubSampling2D",
]
