import io
import json
from dataclasses import asdict

import numpy as np
import pytest
from PIL import Image

from deepfield.domains.image.features import FITS, Framing, frame
from deepfield.domains.image.pipeline import ImagePipeline
from deepfield.toolkit.errors import UsageError
from deepfield.toolkit.pictures import decode_image

RAMP = np.add.outer(np.arange(48), np.arange(64) * 3).astype(np.uint8)
COLOUR = np.stack([RAMP, RAMP[::-1], RAMP[:, ::-1]], axis=-1)


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 1), (64, 48), (224, 224), (301, 299)])
def test_every_size_is_framed(fit, channels, size):
    framing = Framing(32, 24, channels, fit)
    for image in (Image.new("RGB", size, "white"), Image.new("L", size, "white")):
        found = frame(image, framing)
        assert found.shape == (32, 24, channels) and found.dtype == np.uint8
        array = frame(np.asarray(image), framing)
        np.testing.assert_array_equal(found, array)
        assert found.max() == 255 and (fit == "pad" or found.min() == 255)


def test_a_crop_is_the_resized_picture_cut():
    noise = np.random.default_rng(0).integers(0, 256, (300, 421, 3), dtype=np.uint8)
    smooth = Image.fromarray(noise).resize((421, 300), Image.Resampling.BOX, reducing_gap=None)
    found = frame(smooth, Framing(224, 224, fit="crop", resize=256)).astype(int)
    whole = smooth.resize((359, 256), Image.Resampling.BICUBIC)
    expected = np.asarray(whole.crop((68, 16, 292, 240))).astype(int)
    assert np.abs(found - expected).max() <= 1


def test_a_crop_at_the_same_scale_only_cuts():
    found = frame(COLOUR, Framing(40, 40, fit="crop", resize=48))
    np.testing.assert_array_equal(found, COLOUR[4:44, 12:52])


def test_a_picture_of_the_right_size_is_not_touched():
    found = frame(RAMP, Framing(48, 64, 1))
    assert np.shares_memory(found, RAMP)


def test_a_pad_keeps_the_aspect():
    found = frame(np.full((10, 20), 255, np.uint8), Framing(20, 20, 1, "pad"))
    assert (found[5:15] == 255).all() and not found[:5].any() and not found[15:].any()


def test_a_huge_jpeg_is_decoded_at_a_fraction():
    stream = io.BytesIO()
    Image.fromarray(np.tile(COLOUR, (40, 40, 1))).save(stream, "JPEG")
    data, framing = stream.getvalue(), Framing(32, 32)
    small = decode_image(data, framing.least_side)
    assert small.width < 64 * 40 / 4 and min(small.size) >= 64
    whole = frame(decode_image(data), framing).astype(int)
    assert np.abs(frame(small, framing) - whole).mean() < 4


def test_framing_goes_through_json():
    framing = Framing(224, 224, 3, "crop", 256, "bicubic")
    assert Framing(**json.loads(json.dumps(asdict(framing)))) == framing


@pytest.mark.parametrize(
    "wrong",
    [
        {"height": 0},
        {"channels": 2},
        {"fit": "fill"},
        {"interpolation": "magic"},
        {"fit": "crop", "resize": 20},
    ],
)
def test_a_framing_that_makes_no_sense_is_refused(wrong):
    with pytest.raises(UsageError):
        Framing(**{"height": 28, "width": 28, **wrong})


def test_one_picture_in_a_programs_hands_is_one_sample():
    pixels = np.zeros((8, 9, 3), np.uint8)
    pipeline = ImagePipeline()
    for thing in (pixels, pixels[..., 0], Image.fromarray(pixels), b"bytes"):
        (sample,) = pipeline.as_samples(thing)
        assert sample.data is thing
    for several in (np.zeros((5, 8, 9), np.uint8), pixels[None].repeat(5, 0), [pixels] * 5):
        assert len(list(pipeline.as_samples(several))) == 5
