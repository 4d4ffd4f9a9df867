"""What the benchmarks of speech share: recordings of AN4 as raw files, and pocketsphinx on them."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import peers
from measuring import ROOT

from deepfield.domains.speech.features import whole
from deepfield.domains.speech.task import edits
from deepfield.domains.speech.text import plain
from deepfield.toolkit.data import Sample

RATE_HZ = 16000


def raw(sample: Sample, folder: Path, number: int) -> Path:
    """A recording as 16-bit samples of 16 kHz."""
    x = whole(sample.data, RATE_HZ).waveform
    path = folder / f"{number}.raw"
    path.write_bytes((np.clip(x, -1, 1) * 32767).astype("<i2").tobytes())
    return path


def sphinx(files: Sequence[Path], **more: Any) -> dict[str, Any]:
    """What pocketsphinx hears in raw files."""
    asked = {"files": [str(f) for f in files], **more}
    done = subprocess.run(
        [peers.python("pocketsphinx"), ROOT / "benchmarks" / "pocketsphinx_peer.py"],
        input=json.dumps(asked), capture_output=True, text=True, check=True,
    )  # fmt: skip
    return json.loads(done.stdout.splitlines()[-1])


def grammar(data: Path, folder: Path) -> dict[str, str]:
    """AN4's dictionary, and a grammar of its words in any order."""
    lines = [line.split() for line in (data / "an4.dic").read_text().splitlines() if line.strip()]
    words = sorted({word.lower().partition("(")[0] for word, *_ in lines})
    dictionary = folder / "an4.dic"
    dictionary.write_text("".join(f"{w.lower()} {' '.join(phones)}\n" for w, *phones in lines))
    rules = folder / "an4.gram"
    rules.write_text(f"#JSGF V1.0;\ngrammar an4;\npublic <said> = ({' | '.join(words)})+ ;\n")
    return {"dictionary": str(dictionary), "grammar": str(rules)}


def word_error_rate(samples: Sequence[Sample], texts: Sequence[str]) -> float:
    """Wrong words over words."""
    pairs = [edits(plain(str(s.target)), t) for s, t in zip(samples, texts, strict=True)]
    wrong, count = np.sum(pairs, axis=0)
    return float(wrong / count)
