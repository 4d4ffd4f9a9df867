"""Keras layers that Keras does not have: one a file, on `keras.ops` alone."""

from deepfield.toolkit.layers.attentive_pooling import AttentivePooling
from deepfield.toolkit.layers.decision_trees import DecisionTrees
from deepfield.toolkit.layers.directed_message_passing import DirectedMessagePassing
from deepfield.toolkit.layers.euclidean_rbf import EuclideanRBF
from deepfield.toolkit.layers.gaussian_kernel import GaussianKernel
from deepfield.toolkit.layers.graph_attention import GraphAttention
from deepfield.toolkit.layers.inverted_residual2d import InvertedResidual2D
from deepfield.toolkit.layers.mapped_conv2d import MappedConv2D
from deepfield.toolkit.layers.memory_hop import MemoryHop
from deepfield.toolkit.layers.mention_block import MentionBlock
from deepfield.toolkit.layers.mention_order import MentionOrder
from deepfield.toolkit.layers.position_encoding import PositionEncoding
from deepfield.toolkit.layers.position_weights import PositionWeights
from deepfield.toolkit.layers.precise_dense import PreciseDense
from deepfield.toolkit.layers.query_reduction import QueryReduction
from deepfield.toolkit.layers.random_light2d import RandomLight2D
from deepfield.toolkit.layers.random_warp2d import RandomWarp2D
from deepfield.toolkit.layers.recurrent_entity_cell import RecurrentEntityCell
from deepfield.toolkit.layers.residual_block2d import ResidualBlock2D
from deepfield.toolkit.layers.scaled_tanh import ScaledTanh
from deepfield.toolkit.layers.sub_sampling2d import SubSampling2D
from deepfield.toolkit.layers.tanimoto_kernel import TanimotoKernel
from deepfield.toolkit.layers.temporal_encoding import TemporalEncoding

__all__ = [
    "AttentivePooling",
    "DecisionTrees",
    "DirectedMessagePassing",
    "EuclideanRBF",
    "GaussianKernel",
    "GraphAttention",
    "InvertedResidual2D",
    "MappedConv2D",
    "MemoryHop",
    "MentionBlock",
    "MentionOrder",
    "PositionEncoding",
    "PositionWeights",
    "PreciseDense",
    "QueryReduction",
    "RandomLight2D",
    "RandomWarp2D",
    "RecurrentEntityCell",
    "ResidualBlock2D",
    "ScaledTanh",
    "SubSampling2D",
    "TanimotoKernel",
    "TemporalEncoding",
]
