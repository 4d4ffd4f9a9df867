"""A small valid file of every form that a domain reads, made on the spot or shipped as a sample."""

import gzip
import io
import json
import tarfile
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import soundfile
from PIL import Image

from deepfield.domains import domain


@dataclass(frozen=True)
class Form:
    """A valid file.

    Args:
        domain: which reads it.
        ending: of its name.
        whole: its bytes.
        model: of the domain, by which what was read is encoded.
        options: of the reader.
        settings: of the pipeline.
        beside: other files of its folder, by name.
    """

    domain: str
    ending: str
    whole: bytes
    model: str
    options: dict = field(default_factory=dict)
    settings: dict = field(default_factory=dict)
    beside: dict = field(default_factory=dict)

    @property
    def name(self):
        return f"{self.domain}{self.ending}"


def picture(kind, side=12, **more):
    stream = io.BytesIO()
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 255, (side, side, 3), np.uint8)).save(stream, kind, **more)
    return stream.getvalue()


def sound(kind, subtype=None, seconds=0.3):
    stream = io.BytesIO()
    x = 0.3 * np.sin(np.arange(int(8000 * seconds)) / 5)
    soundfile.write(stream, x, 8000, subtype, format=kind)
    return stream.getvalue()


def zipped(members):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return stream.getvalue()


def tarred(members):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return stream.getvalue()


def shipped(name, sample):
    return Path(domain(name).samples[sample]()).read_bytes()


def forms():
    """All of them."""
    png = picture("PNG")
    digits = {"model": "small_cnn_digits"}
    for kind in ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP"):
        yield Form("image", f".{kind.lower()}", picture(kind), **digits)
    yield Form("image", ".zip", zipped({"1/a.png": png, "2/b.png": png}), **digits)
    table = b"path,label,split\na.png,1,train\nb.png,2,\n"
    yield Form("image", ".csv", table, **digits, beside={"a.png": png, "b.png": png})
    lines = [json.dumps({"path": "a.png", "label": str(i)}) for i in range(3)]
    yield Form("image", ".jsonl", "\n".join(lines).encode(), **digits, beside={"a.png": png})
    idx = b"\x00\x00\x08\x03" + np.array([2, 8, 8], ">i4").tobytes() + bytes(range(128))
    yield Form("image", "-images-idx3-ubyte", idx, **digits)
    yield Form("image", "-images-idx3-ubyte.gz", gzip.compress(idx), **digits)

    face = {"model": "small_face", "beside": {"a.png": png, "b.png": png}}
    yield Form("face", ".csv", b"a,b,same\na.png,b.png,1\nb.png,a.png,0\n", **face)
    yield Form("face", ".zip", zipped({"x/a.png": png, "y/b.png": png}), "small_face")

    esol = {"model": "fusion_esol"}
    yield Form("drug", ".csv", shipped("drug", "boiling")[:600], **esol)
    yield Form("drug", ".smi", b"CCO ethanol\nc1ccccc1\tbenzene\nCC(=O)Oc1ccccc1C(=O)O\n", **esol)
    molecules = b"$$$$\n".join(shipped("drug", "drugs-sdf").split(b"$$$$\n")[:2]) + b"$$$$\n"
    yield Form("drug", ".sdf", molecules, **esol)
    yield Form("drug", ".sdf.gz", gzip.compress(molecules), **esol)
    yield Form("drug", ".csv.gz", gzip.compress(shipped("drug", "boiling")[:600]), **esol)

    uci = {"model": "splice_uci"}
    yield Form("genomics", ".fa", b">a x\n" + b"ACGTNRYK" * 12 + b"\n>b\nacgu\n", **uci)
    yield Form("genomics", ".fa.gz", gzip.compress(b">a\n" + b"ACGT" * 20 + b"\n"), **uci)
    yield Form("genomics", ".data", shipped("genomics", "junctions")[:900], **uci)
    yield Form("genomics", ".gb", shipped("genomics", "contig")[:2500], **uci)
    yield Form("genomics", ".csv", b"name,sequence,label\na," + b"ACGT" * 20 + b",EI\n", **uci)
    yield Form("genomics", ".seq.gz", shipped("genomics", "peaks"), **uci)
    genome = b">chr1\n" + b"ACGTTGCA" * 50 + b"\n"
    bed = b"chr1\t10\t80\tx\t0\t+\nchr1\t100\t170\ty\t0\t-\n"
    yield Form("genomics", ".bed", bed, **uci, options={"genome": "g.fa"},
               beside={"g.fa": genome})  # fmt: skip

    heard = {"model": "digits"}
    for kind, subtype in (("WAV", "PCM_16"), ("WAV", "FLOAT"), ("FLAC", None), ("OGG", "VORBIS"),
                          ("MP3", None)):  # fmt: skip
        ending = f".{kind.lower()}"
        yield Form("speech", ending, sound(kind, subtype), **heard)
    clip = sound("WAV")
    manifest = b"path\ttext\tspeaker\na.wav\tone two\tx\na.wav\tthree\ty\n"
    yield Form("speech", ".tsv", manifest, **heard, beside={"a.wav": clip})

    story = {"model": "babi_10k"}
    babi = shipped("qa", "babi")
    yield Form("qa", ".txt", babi, **story)
    yield Form("qa", ".json", json.dumps([
        {"story": ["John went home.", "Mary slept."], "question": "Where is John?",
         "answer": "home", "supporting": [1]}
    ]).encode(), **story)  # fmt: skip
    table = b"story,question,answer\nJohn went home.,Where is John?,home\n"
    yield Form("qa", ".csv", table, **story)
    tasks = {"tasks_1-20_v1-2/en-10k/qa1_single-supporting-fact_train.txt": babi}
    yield Form("qa", ".tar.gz", tarred(tasks), **story)


FORMS = {}
for _form in forms():
    _name = _form.name
    while _name in FORMS:
        _name += "+"
    FORMS[_name] = _form
