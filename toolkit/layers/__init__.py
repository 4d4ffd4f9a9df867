"""Keras layers that Keras does not have: one a file, on `keras.ops` alone."""

from deepfield.toolkit.layers.arc_margin import ArcMargin
from deepfield.toolkit.layers.attentive_pooling import AttentivePooling
from deepfield.toolkit.layers.conformer_block import ConformerBlock
from deepfield.toolkit.layers.ctc_log_softmax import CtcLogSoftmax
from deepfield.toolkit.layers.decision_trees import DecisionTrees
from deepfield.toolkit.layers.dilated_residual1d import DilatedResidual1D
from deepfield.toolkit.layers.directed_message_passing import DirectedMessagePassing
from deepfield.toolkit.layers.euclidean_rbf import EuclideanRBF
from deepfield.toolkit.layers.frozen_affine import FrozenAffine
from deepfield.toolkit.layers.gaussian_kernel import GaussianKernel
from deepfield.toolkit.layers.generalized_mean_pooling import GeneralizedMeanPooling
from deepfield.toolkit.layers.graph_attention import GraphAttention
from deepfield.toolkit.layers.inverted_residual2d import InvertedResidual2D
from deepfield.toolkit.layers.l2_normalize import L2Normalize
from deepfield.toolkit.layers.locally_connected2d import LocallyConnected2D
from deepfield.toolkit.layers.log_mel_spectrogram import LogMelSpectrogram
from deepfield.toolkit.layers.mapped_conv2d import MappedConv2D
from deepfield.toolkit.layers.memory_hop import MemoryHop
from deepfield.toolkit.layers.mention_block import MentionBlock
from deepfield.toolkit.layers.mention_order import MentionOrder
from deepfield.toolkit.layers.position_encoding import PositionEncoding
from deepfield.toolkit.layers.position_weights import PositionWeights
from deepfield.toolkit.layers.precise_dense import PreciseDense
from deepfield.toolkit.layers.query_reduction import QueryReduction
from deepfield.toolkit.layers.random_light2d import RandomLight2D
from deepfield.toolkit.layers.random_mirror2d import RandomMirror2D
from deepfield.toolkit.layers.random_noise1d import RandomNoise1D
from deepfield.toolkit.layers.random_occlusion2d import RandomOcclusion2D
from deepfield.toolkit.layers.random_warp2d import RandomWarp2D
from deepfield.toolkit.layers.recurrent_entity_cell import RecurrentEntityCell
from deepfield.toolkit.layers.residual_block2d import ResidualBlock2D
from deepfield.toolkit.layers.scaled_tanh import ScaledTanh
from deepfield.toolkit.layers.separable_conv1d_block import SeparableConv1DBlock
from deepfield.toolkit.layers.spec_augment import SpecAugment
from deepfield.toolkit.layers.spectrogram_convolutions import SpectrogramConvolutions
from deepfield.toolkit.layers.spectrogram_normalization import SpectrogramNormalization
from deepfield.toolkit.layers.sub_sampling2d import SubSampling2D
from deepfield.toolkit.layers.tanimoto_kernel import TanimotoKernel
from deepfield.toolkit.layers.temporal_encoding import TemporalEncoding
from deepfield.toolkit.layers.time_delay import TimeDelay

__all__ = [
    "ArcMargin",
    "AttentivePooling",
    "ConformerBlock",
    "CtcLogSoftmax",
    "DecisionTrees",
    "DilatedResidual1D",
    "DirectedMessagePassing",
    "EuclideanRBF",
    "FrozenAffine",
    "GaussianKernel",
    "GeneralizedMeanPooling",
    "GraphAttention",
    "InvertedResidual2D",
    "L2Normalize",
    "LocallyConnected2D",
    "LogMelSpectrogram",
    "MappedConv2D",
    "MemoryHop",
    "MentionBlock",
    "MentionOrder",
    "PositionEncoding",
    "PositionWeights",
    "PreciseDense",
    "QueryReduction",
    "RandomLight2D",
    "RandomMirror2D",
    "RandomNoise1D",
    "RandomOcclusion2D",
    "RandomWarp2D",
    "RecurrentEntityCell",
    "ResidualBlock2D",
    "ScaledTanh",
    "SeparableConv1DBlock",
    "SpecAugment",
    "SpectrogramConvolutions",
    "SpectrogramNormalization",
    "SubSampling2D",
    "TanimotoKernel",
    "TemporalEncoding",
    "TimeDelay",
]
