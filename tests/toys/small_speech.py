"""A network that learns the made-up voices within seconds, and those voices as files."""

from pathlib import Path

import soundfile

from deepfield.domains.speech.formants import conversations

#: Settings of `quartznet_small`.
SMALL_SPEECH = {
    "filters": 40, "blocks": 1, "repeats": 1, "mels": 24, "dropout": 0.0, "masks": 0, "noise": 0.1,
    "epochs": 20, "batch_size": 12, "learning_rate": 0.012, "ema": 0.0,
}  # fmt: skip


def write_voices(folder: Path, count: int, seed: int) -> str:
    """`synthetic:COUNT:SEED` as a table and recordings: making them takes longer than reading."""
    folder.mkdir()
    lines = ["path\ttext\tspeaker"]
    for index, (waveform, text, who) in enumerate(conversations(count, seed)):
        soundfile.write(folder / f"{index}.wav", waveform, 16000, subtype="FLOAT")
        lines.append(f"{index}.wav\t{text}\t{who}")
    table = folder / "voices.tsv"
    table.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(table)
