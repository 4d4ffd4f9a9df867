"""Every form in which people keep recordings."""

import csv
import gzip
import io
import json
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

from deepfield.domains.speech import SpeechPipeline
from deepfield.toolkit.errors import NotFound, UsageError
from deepfield.toolkit.splits import Split

CLIP = np.zeros(800, np.float32)


def read(source, **options):
    return list(SpeechPipeline().read(str(source), **options))


def put(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, CLIP, 8000)
    return path


def test_a_table_names_paths_texts_and_speakers(tmp_path):
    put(tmp_path / "audio" / "a.wav")
    table = tmp_path / "mine.tsv"
    table.write_text(
        "path\ttext\tspeaker\tsplit\naudio/a.wav\tGo left\tann\ttrain\n"
        "audio/nosuch.wav\tnone\tbob\tdev\n\t-\tbob\ttest\naudio/a.wav\t\t\ttest\n"
        f"{'no' * 200}\tnone\tbob\tdev\n"
    )
    one, two, three, four, long = read(table)
    assert one.data == str(tmp_path / "audio/a.wav")
    assert (one.target, one.group, one.part) == ("Go left", "ann", "train")
    assert (two.target, two.part) == ("none", "valid")  # a word may be called so
    assert three.fault == "no path" and four.target is None and four.group is None
    rows = list(SpeechPipeline().encoded([one, two, long]))
    assert rows[0].fault is None and all("no such file" in row.fault for row in rows[1:])
    lines = tmp_path / "mine.jsonl"
    lines.write_text(json.dumps({"audio": "a.wav", "sentence": "go", "client_id": 7}) + "\n")
    (five,) = read(lines, root=str(tmp_path / "audio"))
    assert (five.target, five.group, five.data) == ("go", "7", str(tmp_path / "audio/a.wav"))


def test_columns_may_be_named(tmp_path):
    table = tmp_path / "mine.csv"
    with table.open("w", newline="") as file:
        csv.writer(file).writerows([["file", "said", "who"], ["a.wav", "yes", "ann"]])
    (sample,) = read(table, text="said", speaker="who")
    assert (sample.target, sample.group) == ("yes", "ann")
    assert read(table)[0].target is None
    with pytest.raises(UsageError, match="no column 'saying' for the text"):
        read(table, text="saying")
    table.write_text("sound\na.wav\n")
    with pytest.raises(UsageError, match="no column with the paths of the recordings") as told:
        read(table)
    assert told.value.hint.endswith("its columns: sound")
    table.write_text("path,text\n")
    with pytest.raises(UsageError, match=r"mine.csv' has a header, but no rows"):
        read(table)


def test_a_path_that_leads_to_a_folder_is_told_as_one(tmp_path):
    put(tmp_path / "a.wav")
    (tmp_path / "mine.csv").write_text("path\n.\na.wav\n")
    (tmp_path / "mine.txt").write_text("a.wav\n\n.\n")
    assert [s.fault for s in read(tmp_path / "mine.csv")] == ["a folder, not a recording", None]
    assert [s.fault for s in read(tmp_path / "mine.txt")] == [None, "a folder, not a recording"]


def test_a_text_is_lines_of_paths_or_a_table(tmp_path):
    put(tmp_path / "audio" / "a.wav")
    put(tmp_path / "audio" / "7_ann_3.wav")
    text = tmp_path / "paths.txt"
    text.write_text("audio/a.wav\naudio/7_ann_3.wav\nnosuch.wav\n")
    one, two, three = read(text)
    assert (one.id, one.data, one.row) == (
        "audio/a.wav", str(tmp_path / "audio" / "a.wav"), {"path": "audio/a.wav"},
    )  # fmt: skip
    assert (two.target, two.group) == ("seven", "ann")
    *_, encoded = SpeechPipeline().encoded([three])
    assert "no such file" in encoded.fault
    text.write_text("a.wav\n")
    assert read(text, root=str(tmp_path / "audio"))[0].data == one.data
    with pytest.raises(UsageError, match="holds lines of paths, without columns"):
        read(text, text="said")
    text.write_text("wav;said\na.wav;go\n")
    assert read(text, text="said")[0].target == "go"
    text.write_text("Dear all,\n")
    with pytest.raises(UsageError, match="no sound file, no table and no lines of paths"):
        read(text)
    text.write_text(" \n")
    with pytest.raises(UsageError, match="is empty"):
        read(text)
    put(tmp_path / "b.wav").rename(text)
    assert [s.id for s in read(text)] == ["paths.txt"]


WAV = io.BytesIO()
soundfile.write(WAV, CLIP, 8000, format="WAV")


@pytest.mark.parametrize(
    ("given", "options", "expected"),
    [
        (WAV.getvalue(), {}, [["-", None, None]]),
        (b"path,text\na.wav,Go left\n.,no\n", {},
         [["a.wav", "Go left", None], [".", "no", "a folder, not a recording"]]),
        (gzip.compress(b"file\tsaid\na.wav\tgo\n", mtime=0), {"text": "said"},
         [["a.wav", "go", None]]),
        ("path,text\na.wav,naïve\n".encode("utf-16"), {}, [["a.wav", "naïve", None]]),
        (b'{"audio": "a.wav", "text": "go"}\n', {}, [["a.wav", "go", None]]),
        (b"a.wav\n7_ann_3.wav\n", {"root": "in"},
         [["a.wav", None, None], ["7_ann_3.wav", "seven", None]]),
        (gzip.compress(b"a.wav\n", mtime=0), {}, [["a.wav", None, None]]),
        (gzip.compress(b"no sound\0", mtime=0), {}, "standard input is no sound file"),
        (WAV.getvalue(), {"text": "said"}, "standard input is a sound file, without columns"),
        (b"", {}, "standard input is empty"),
        (b"\0\0\0\x20ftypM4A ", {}, "standard input is no sound file"),
        (b"no sound", {}, "standard input is no sound file"),
        (b"path\n", {}, "standard input has a header, but no rows"),
        (b"text,speaker\ngo,ann\n", {}, "paths of the recordings in standard input"),
    ],
)  # fmt: skip
def test_standard_input(tmp_path, monkeypatch, given, options, expected):
    (tmp_path / "in").mkdir()
    monkeypatch.chdir(tmp_path)
    stdin = io.TextIOWrapper(io.BufferedReader(io.BytesIO(given)))
    monkeypatch.setattr("sys.stdin", stdin)
    if isinstance(expected, str):
        with pytest.raises(UsageError, match=expected):
            read("-", **options)
        return
    assert [[s.id, s.target, s.fault] for s in read("-", **options)] == expected


def test_a_folder_with_a_table_is_the_table(tmp_path):
    put(tmp_path / "audio" / "a.flac")
    (tmp_path / "transcripts.tsv").write_text("path\ttext\naudio/a.flac\tgo\n")
    (sample,) = read(tmp_path)
    assert sample.target == "go"


def test_sets_side_by_side_are_read_together(tmp_path):
    put(tmp_path / "an4" / "audio" / "a.flac")
    (tmp_path / "an4" / "transcripts.tsv").write_text("path\ttext\tspeaker\naudio/a.flac\tgo\tx\n")
    for take in range(10):
        put(tmp_path / "fsdd" / "recordings" / f"7_ann_{take}.wav")
    samples = read(tmp_path)
    assert samples[0].id == "an4/audio/a.flac" and samples[0].target == "go"
    assert samples[1].id == "fsdd/7_ann_0.wav" and len(samples) == 11
    parts = Split.parse("take:60/20/20").deal(samples, SpeechPipeline().splits)
    assert sorted(i for dealt in parts.values() for i in dealt) == list(range(11))


def test_names_of_fsdd_tell_digit_speaker_and_take(tmp_path):
    for name in ("7_ann_10.wav", "7_ann_9.wav", "0_bob_9.wav"):
        put(tmp_path / "recordings" / name)
    samples = read(tmp_path)
    assert [s.target for s in samples] == ["zero", "seven", "seven"]
    assert [s.group for s in samples] == ["bob", "ann", "ann"]
    assert [s.row["take"] for s in samples] == [9, 9, 10]
    (one,) = read(tmp_path / "recordings" / "7_ann_9.wav")
    assert (one.target, one.group) == ("seven", "ann")


def test_a_folder_per_word_is_speech_commands(tmp_path):
    put(tmp_path / "yes" / "0a7c2a8d_nohash_0.wav")
    put(tmp_path / "yes" / "1b7c2a8d_nohash_1.wav")
    put(tmp_path / "no" / "0a7c2a8d_nohash_0.wav")
    put(tmp_path / "_background_noise_" / "pink.wav")
    (tmp_path / "testing_list.txt").write_text("yes/1b7c2a8d_nohash_1.wav\n")
    samples = read(tmp_path)
    assert sorted((s.target, s.group, s.part) for s in samples) == [
        ("no", "0a7c2a8d", "train"), ("yes", "0a7c2a8d", "train"), ("yes", "1b7c2a8d", "test"),
    ]  # fmt: skip


def test_parts_may_stand_above_words(tmp_path):
    put(tmp_path / "train" / "stop" / "a.wav")
    put(tmp_path / "val" / "3" / "b.wav")
    assert {(s.target, s.part) for s in read(tmp_path)} == {("stop", "train"), ("three", "valid")}


def test_recordings_alone_have_no_text(tmp_path):
    put(tmp_path / "a.wav")
    put(tmp_path / ".hidden.wav")
    assert [(s.id, s.target) for s in read(tmp_path)] == [("a.wav", None)]
    (tmp_path / "empty").mkdir()
    with pytest.raises(NotFound, match="no recording in"):
        read(tmp_path / "empty")


def test_a_folder_is_read_under_every_name_but_no_circle_is_followed(tmp_path):
    put(tmp_path / "set" / "a" / "one.wav")
    (tmp_path / "set" / "a" / "loop").symlink_to(tmp_path / "set")
    (tmp_path / "set" / "b").symlink_to(tmp_path / "set" / "a")
    assert [s.id for s in read(tmp_path / "set")] == ["a/one.wav", "b/one.wav"]
    for here, there in (("c", "d"), ("d", "c")):  # two that link to each other
        put(tmp_path / "pair" / here / f"{here}.wav")
        (tmp_path / "pair" / here / "other").symlink_to(tmp_path / "pair" / there)
    names = ["c/c.wav", "c/other/d.wav", "d/d.wav", "d/other/c.wav"]
    assert [s.id for s in read(tmp_path / "pair")] == names


def test_a_folder_that_cannot_be_read_is_told_and_deep_ones_are_found(tmp_path, monkeypatch):
    put(tmp_path / "go" / "a.wav")
    put(tmp_path / "stop" / "1/2/3/4/5" / "b.wav")
    (tmp_path / "locked").mkdir()
    opened = os.scandir

    def scandir(place):
        if Path(place).name == "locked":
            raise PermissionError(13, "Permission denied")
        return opened(place)

    monkeypatch.setattr("os.scandir", scandir)
    assert [(s.id, s.fault) for s in read(tmp_path)] == [
        ("go/a.wav", None),
        ("locked/", "cannot read this folder: Permission denied"),
        ("stop/1/2/3/4/5/b.wav", None),
    ]


def test_a_sound_without_a_suffix_is_one(tmp_path):
    put(tmp_path / "a.wav").rename(tmp_path / "a")
    assert len(read(tmp_path / "a")) == 1


def test_made_up_voices_are_the_same_every_time():
    one, two = read("synthetic:5:3"), read("synthetic:5:3")
    assert all(np.array_equal(a.data.waveform, b.data.waveform)
               for a, b in zip(one, two, strict=True))  # fmt: skip
    assert (
        [s.target for s in one]
        == [s.target for s in two]
        != [s.target for s in read("synthetic:5:4")]
    )
    for wrong in ("synthetic:0", "synthetic:x", "synthetic:1:2:3"):
        with pytest.raises(UsageError, match="no made-up set"):
            read(wrong)


@pytest.mark.slow
def test_a_set_of_tfds_is_read(tmp_path, monkeypatch):
    import tensorflow_datasets as tfds

    class Spoken(tfds.core.GeneratorBasedBuilder):
        VERSION = tfds.core.Version("1.0.0")
        name = "spoken_toy"

        def _info(self):
            return self.dataset_info_from_configs(features=tfds.features.FeaturesDict({
                "audio": tfds.features.Audio(sample_rate=8000),
                "label": tfds.features.ClassLabel(names=["7", "stop"]),
                "speaker_id": tfds.features.Text(),
            }))  # fmt: skip

        def _split_generators(self, manager):
            return {"train": self._rows(3), "test": self._rows(2)}

        def _rows(self, count):
            for i in range(count):
                waveform = np.full(400, 16384, np.int64)
                yield i, {"audio": waveform, "label": i % 2, "speaker_id": f"s{i}"}

        def _generate_examples(self):
            return iter(())

    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    Spoken(data_dir=tmp_path).download_and_prepare()
    samples = read("tfds:spoken_toy")
    found = sorted((s.part, s.group, s.target) for s in samples)
    assert found == [
        ("test", "s0", "seven"), ("test", "s1", "stop"),
        ("train", "s0", "seven"), ("train", "s1", "stop"), ("train", "s2", "seven"),
    ]  # fmt: skip
    assert samples[0].data.rate_hz == 8000 and np.allclose(samples[0].data.waveform, 0.5)
    with pytest.raises(NotFound, match="no TFDS set"):
        read("tfds:nosuchset")


def test_manifests_of_other_toolkits_are_read(tmp_path):
    (tmp_path / "nemo.json").write_text(
        '{"audio_filepath": "a.wav", "duration": 1.2, "text": "yes"}\n{"audio_filepath": null}\n'
    )
    (tmp_path / "speechbrain.csv").write_text("ID,duration,wav,spk_id,wrd\n1,1.2,a.wav,bob,YES\n")
    good, bad = list(SpeechPipeline().read(str(tmp_path / "nemo.json")))
    assert (good.id, good.target, good.fault) == ("a.wav", "yes", None)
    assert (bad.id, bad.fault) == ("row 2", "no path")
    (sample,) = SpeechPipeline().read(str(tmp_path / "speechbrain.csv"))
    assert (sample.target, sample.group) == ("YES", "bob")
    assert sample.data == str(tmp_path / "a.wav")
