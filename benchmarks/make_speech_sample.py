"""Make the clip of the demonstration: digits in a voice that nobody has.

Run from the root of the repository: `python benchmarks/make_speech_sample.py`.
"""

from __future__ import annotations

import sys

import numpy as np
import soundfile
from measuring import ROOT

from deepfield.domains.speech.formants import Speaker, say

#: English digits in the sounds of `formants`.
SAID = {"five": "faIv", "nine": "naIn", "one": "wVn", "two": "tu"}
RATE_HZ = 16000


def main() -> int:
    rng = np.random.default_rng(0)
    speaker = Speaker(pitch_hz=120.0, tract=0.95, tempo=8.0, noise=3e-4)
    x = say(" ".join(SAID.values()), speaker, rng, RATE_HZ)
    folder = ROOT / "domains" / "speech" / "samples"
    folder.mkdir(exist_ok=True)
    soundfile.write(folder / "said.flac", x, RATE_HZ, subtype="PCM_16")
    return 0


if __name__ == "__main__":
    sys.exit(main())
