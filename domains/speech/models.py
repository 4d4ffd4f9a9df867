"""Networks from a waveform to letters.

Each takes `waveform` (batch, samples), -1 to 1, zeros at the end being padding, and answers with
`log_probs` (batch, frames, symbols): symbol 0 is CTC's blank. Log-mel, its normalisation and
augmentation are layers of the network, so an exported file takes what a microphone gives.
"""

from __future__ import annotations

import re
from typing import Any

import keras
from keras import layers

from deepfield.domains.speech.streaming import DELAYS, FILTERS, FIRST_DELAYS
from deepfield.toolkit.layers import (
    ConformerBlock,
    CtcLogSoftmax,
    LogMelSpectrogram,
    RandomNoise1D,
    SeparableConv1DBlock,
    SpecAugment,
    SpectrogramConvolutions,
    SpectrogramNormalization,
    TimeDelay,
)
from deepfield.toolkit.registry import Registry

ARCHITECTURES = Registry("architecture")

#: Names of the layers that make up a network's depth.
_DEEP = re.compile(r"(block|delay|lstm)\d+$|bands$")
#: Frames of the spectrogram a second.
FRAMES_A_SECOND = 100


def _heard(
    rate_hz: int, mels: int, noise: float, masks: int, past_frames: int | None, each: bool = True
) -> tuple[Any, Any]:
    """The waveform, and its normalised log-mel spectrogram (batch, frames, mels)."""
    waveform = keras.Input((None,), name="waveform")
    x = RandomNoise1D(noise, (5.0, 35.0), 6.0, name="noise")(waveform)
    window = rate_hz // 40  # 25 ms
    x = LogMelSpectrogram(
        rate_hz, window, rate_hz // FRAMES_A_SECOND, 1 << (window - 1).bit_length(), mels,
        low_hz=40.0, floor=1e-8, top_db=None if past_frames else 60.0, name="spectrogram",
    )(x)  # fmt: skip
    x = SpectrogramNormalization(past_frames, 0, 0.1, each, name="normalization")(x)
    # a network that hears windows of a second or less is shown most of them
    x = SpecAugment(masks, 25, 0.15, masks, mels // 5, name="masking")(x)
    return waveform, x


def _spelled(waveform: Any, x: Any, symbols: int, name: str) -> keras.Model:
    logits = layers.Dense(symbols, name="letters")(x)
    return keras.Model(waveform, CtcLogSoftmax(name="log_probs")(logits), name=name)


def with_sounds(model: Any, count: int) -> keras.Model:
    """A network whose middle layer tells sounds too, in training: `sounds` (batch, frames, 1 +
    count), the blank first. Its own outputs and layers are shared.

    What is near the sound is learnt from sounds, and the layers behind it learn to spell: words
    that share sounds teach each other (Fernández, Graves and Schmidhuber 2007, "Sequence labelling
    in structured domains with hierarchical recurrent neural networks").
    """
    deep = [layer for layer in model.layers if _DEEP.match(layer.name)]
    middle = deep[(3 * len(deep) - 1) // 5].output
    logits = layers.Dense(count + 1, name="sound_letters")(middle)
    sounds = CtcLogSoftmax(name="sounds")(logits)
    return keras.Model(model.input, [model.output, sounds], name=model.name)


@ARCHITECTURES.register()
def quartznet_small(
    symbols: int,
    rate_hz: int = 16000,
    mels: int = 64,
    filters: int = 192,
    blocks: int = 5,
    repeats: int = 2,
    kernel_size: int = 13,
    growth: int = 4,
    subsampling: int = 2,
    dropout: float = 0.2,
    noise: float = 0.5,
    masks: int = 2,
):
    """QuartzNet's separable convolutions, small: 0.6 million parameters.

    A strided block (kernel 11), `blocks` residual blocks of `repeats` convolutions whose kernels
    grow from `kernel_size` by `growth` steps a block, a wide dilated one and one over channels
    alone (Kriman et al. 2020, table 1, with fewer and narrower blocks).

    Args:
        symbols: letters, and the blank.
        rate_hz: samples a second.
        mels: bands of the spectrogram.
        filters: channels.
        blocks: residual blocks.
        repeats: convolutions in each.
        kernel_size: of the first block, steps.
        growth: steps by which a block's kernel is longer than that of the one before.
        subsampling: frames of 10 ms for one of the answer.
        dropout: share of hidden outputs.
        noise: share of waveforms with noise, in training.
        masks: hidden stretches of time and of frequency each, in training.

    Example:
        >>> quartznet_small(symbols=29).output_shape
        (None, None, 29)
    """
    waveform, x = _heard(rate_hz, mels, noise, masks, None)
    shared: dict[str, Any] = {"dropout": dropout, "momentum": 0.95}
    x = TimeDelay(filters, 5, 5, strides=subsampling, name="stem", **shared)(x)
    for i in range(blocks):
        x = SeparableConv1DBlock(
            filters, kernel_size + growth * i, repeats, name=f"block{i + 1}", **shared
        )(x)
    x = SeparableConv1DBlock(
        filters, 15, dilation=2, residual=False, name="wide", **shared
    )(x)  # fmt: skip
    x = SeparableConv1DBlock(2 * filters, 1, residual=False, name="top", **shared)(x)
    return _spelled(waveform, x, symbols, "quartznet_small")


@ARCHITECTURES.register()
def tdnn(
    symbols: int,
    rate_hz: int = 16000,
    mels: int = 40,
    units: int = 192,
    past_frames: int = 300,
    subsampling: int = 2,
    dropout: float = 0.1,
    noise: float = 0.5,
    masks: int = 2,
    each: bool = True,
):
    """A time-delay network, for streams: 0.7 million parameters.

    Waibel et al. 1989 with the spaced delays of Peddinti et al. 2015: every answer rests on the
    last seconds and a fraction of a second ahead (`Stream` says how much), so that a recording may
    come piece by piece. The spectrogram is normalised by its past alone.

    Args:
        symbols: letters, and the blank.
        rate_hz: samples a second.
        mels: bands of the spectrogram.
        units: of every layer.
        past_frames: frames of 10 ms by which the spectrogram is normalised.
        subsampling: frames of 10 ms for one of the answer.
        dropout: share of hidden outputs.
        noise: share of waveforms with noise, in training.
        masks: hidden stretches of time and of frequency each, in training.
        each: whether every band is normalised by itself, which leaves out what a microphone does to
            it; of a single word that takes away much of what the word is made of.

    Example:
        >>> tdnn(symbols=29).output_shape
        (None, None, 29)
    """
    waveform, x = _heard(rate_hz, mels, noise, masks, past_frames, each)
    shared: dict[str, Any] = {"dropout": dropout, "momentum": 0.95}
    x = TimeDelay(units, *FIRST_DELAYS, strides=subsampling, name="delay1", **shared)(x)
    for i, (before, after, spacing) in enumerate(DELAYS["tdnn"], start=2):
        x = TimeDelay(units, before, after, spacing, name=f"delay{i}", **shared)(x)
    return _spelled(waveform, x, symbols, "tdnn")


@ARCHITECTURES.register()
def blstm_ctc(
    symbols: int,
    rate_hz: int = 16000,
    mels: int = 64,
    units: int = 128,
    depth: int = 3,
    subsampling: int = 2,
    dropout: float = 0.3,
    noise: float = 0.5,
    masks: int = 2,
    filters: tuple[int, ...] = (),
    each: bool = True,
):
    """Bidirectional LSTMs behind one convolution: 1.1 million parameters.

    Graves et al. 2013, "Speech recognition with deep recurrent neural networks", with fewer units;
    a strided convolution stands before them, so that they have half as many steps. With `filters`
    there are convolutions over time and frequency in its place, which know a sound that is higher
    or lower than those that were learnt from (Sainath et al. 2015, "Convolutional, long short-term
    memory, fully connected deep neural networks", without its linear layers).

    Args:
        symbols: letters, and the blank.
        rate_hz: samples a second.
        mels: bands of the spectrogram.
        units: in each direction.
        depth: layers.
        subsampling: frames of 10 ms for one of the answer.
        dropout: share of hidden outputs between the layers.
        noise: share of waveforms with noise, in training.
        masks: hidden stretches of time and of frequency each, in training.
        filters: channels of convolutions over time and frequency, each of which leaves half of the
            bands, in place of the one over time; none: that one.
        each: whether every band is normalised by itself, which leaves out what a microphone does to
            it; of a single word that takes away much of what the word is made of.

    Example:
        >>> blstm_ctc(symbols=29).output_shape
        (None, None, 29)
    """
    waveform, x = _heard(rate_hz, mels, noise, masks, None, each)
    if filters:
        x = SpectrogramConvolutions(filters, 3, subsampling, momentum=0.95, name="bands")(x)
    else:
        x = TimeDelay(128, 5, 5, strides=subsampling, momentum=0.95, name="stem")(x)
    for i in range(1, depth + 1):
        x = layers.Bidirectional(layers.LSTM(units, return_sequences=True), name=f"lstm{i}")(x)
        x = layers.Dropout(dropout, name=f"dropout{i}")(x)
    return _spelled(waveform, x, symbols, "blstm_ctc")


@ARCHITECTURES.register()
def cnn_ctc(
    symbols: int,
    rate_hz: int = 16000,
    mels: int = 40,
    filters: tuple[int, ...] = FILTERS,
    units: int = 160,
    past_frames: int = 0,
    subsampling: int = 2,
    dropout: float = 0.3,
    noise: float = 0.5,
    masks: int = 2,
    each: bool = False,
):
    """Convolutions over time and frequency, then over time alone: 0.5 million parameters.

    Abdel-Hamid et al. 2014, "Convolutional neural networks for speech recognition": what is heard
    in one band is known in the next, so a voice may be higher or lower than those that were learnt
    from. Three time-delay layers behind them see half a second, as long as a word takes.

    Args:
        symbols: letters, and the blank.
        rate_hz: samples a second.
        mels: bands of the spectrogram.
        filters: channels of each convolution, which leaves half of the bands.
        units: of the time-delay layers.
        past_frames: frames of 10 ms by which the spectrogram is normalised, for streams; 0: all of
            the recording.
        subsampling: frames of 10 ms for one of the answer.
        dropout: share of hidden outputs.
        noise: share of waveforms with noise, in training.
        masks: hidden stretches of time and of frequency each, in training.
        each: whether every band is normalised by itself, which leaves out what a microphone does to
            it; of a single word that takes away much of what the word is made of.

    Example:
        >>> cnn_ctc(symbols=29).output_shape
        (None, None, 29)
    """
    waveform, x = _heard(rate_hz, mels, noise, masks, past_frames or None, each)
    x = SpectrogramConvolutions(filters, 3, subsampling, momentum=0.95, name="bands")(x)
    for i, (before, after, spacing) in enumerate(DELAYS["cnn_ctc"], start=1):
        x = TimeDelay(
            units, before, after, spacing, dropout=dropout, momentum=0.95, name=f"delay{i}"
        )(x)
    return _spelled(waveform, x, symbols, "cnn_ctc")


@ARCHITECTURES.register()
def conformer_ctc_small(
    symbols: int,
    rate_hz: int = 16000,
    mels: int = 64,
    units: int = 112,
    heads: int = 4,
    blocks: int = 4,
    kernel_size: int = 15,
    subsampling: int = 2,
    dropout: float = 0.1,
    noise: float = 0.5,
    masks: int = 2,
):
    """Conformer blocks behind a strided convolution: 1 million parameters.

    Gulati et al. 2020, table 1, narrower and with fewer blocks.

    Args:
        symbols: letters, and the blank.
        rate_hz: samples a second.
        mels: bands of the spectrogram.
        units: channels.
        heads: of the attention.
        blocks: how many.
        kernel_size: steps that a convolution looks at.
        subsampling: frames of 10 ms for one of the answer.
        dropout: share of hidden outputs.
        noise: share of waveforms with noise, in training.
        masks: hidden stretches of time and of frequency each, in training.

    Example:
        >>> conformer_ctc_small(symbols=29).output_shape
        (None, None, 29)
    """
    waveform, x = _heard(rate_hz, mels, noise, masks, None)
    x = TimeDelay(units, 5, 5, strides=subsampling, momentum=0.95, name="stem")(x)
    for i in range(1, blocks + 1):
        x = ConformerBlock(
            units, heads, kernel_size, dropout=dropout, momentum=0.95, name=f"block{i}"
        )(x)
    return _spelled(waveform, x, symbols, "conformer_ctc_small")
