"""How long whole processes take: ten minutes of speech, the first clip, an hour-long file.

The ten minutes are recordings of AN4 one after the other, with half a second between them.
pocketsphinx is given the same recordings one by one, and the words of the set as its grammar.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from statistics import median

import numpy as np
import soundfile
import speech_sets
from measuring import deepfield, report, row

from deepfield.domains.speech import SpeechPipeline
from deepfield.domains.speech.features import whole

RATE_HZ, MINUTES, PAUSE_S = 16000, 10, 0.5


def speech(samples, seconds):
    """Recordings in a row, and which they are."""
    parts, used, held = [], [], 0
    rng = np.random.default_rng(0)
    for sample in samples:
        x = whole(sample.data, RATE_HZ).waveform
        parts += [x, rng.normal(0, 1e-4, int(PAUSE_S * RATE_HZ)).astype(np.float32)]
        used.append(sample)
        held += len(x)
        if held > seconds * RATE_HZ:
            break
    return np.concatenate(parts), used, held / RATE_HZ


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="../shared/data/speech/an4", type=Path)
    parser.add_argument("--model", default="an4")
    parser.add_argument("--runs", type=int, default=3)
    given = parser.parse_args()
    samples = [s for s in SpeechPipeline().read(str(given.data)) if s.target is not None]
    x, used, voiced = speech(samples, 60 * MINUTES)
    total = len(x) / RATE_HZ
    rows, details = [], {"seconds_of_sound": total}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        soundfile.write(folder / "ten.wav", x, RATE_HZ)
        factors = {}
        for how, bar in (("greedy", "<= 0.02"), ("search", "<= 0.05")):
            runs = [
                deepfield("speech", "transcribe", folder / "ten.wav", "--model", given.model,
                          "--decoder", how, "-o", folder / "out", "-q").seconds
                for _ in range(given.runs)
            ]  # fmt: skip
            factors[how] = median(runs) / total
            details[how] = runs
            rows.append(row(f"real-time factor, {how}", factors[how], "", bar))
        files = [speech_sets.raw(s, folder, i) for i, s in enumerate(used)]
        theirs = []
        for _ in range(given.runs):
            heard = speech_sets.sphinx(files, **speech_sets.grammar(given.data, folder))
            theirs.append((sum(heard["seconds"]) + heard["load_seconds"]) / voiced)
        rows.append(row("real-time factor, pocketsphinx, the set's grammar", median(theirs), ""))
        times = median(theirs) / factors["greedy"]
        rows.append(row("greedy, times as quick as pocketsphinx", times, "x", ">= 3"))
        soundfile.write(folder / "clip.wav", x[: 4 * RATE_HZ], RATE_HZ)
        cold = [
            deepfield("speech", "transcribe", folder / "clip.wav", "--model", given.model,
                      "-q").seconds
            for _ in range(given.runs + 1)
        ][1:]  # fmt: skip
        rows.append(row("cold `speech transcribe clip.wav`", median(cold), "s", "<= 1.5"))
        peaks = {}
        for minutes in (10, 60):
            path = folder / f"{minutes}.wav"
            with soundfile.SoundFile(path, "w", RATE_HZ, 1) as file:
                for _ in range(minutes // 10):
                    file.write(x)
            done = deepfield("speech", "transcribe", path, "--model", given.model, "--decoder",
                             "greedy", "-o", folder / "out", "-q")  # fmt: skip
            peaks[minutes] = done.peak_mb
            path.unlink()
        more = peaks[60] - peaks[10]
        rows.append(row("more memory for an hour than for ten minutes", more, "MB", "<= 40"))
        details["peak_mb"] = peaks
    return report("speech_speed", rows, **details)


if __name__ == "__main__":
    sys.exit(main())
