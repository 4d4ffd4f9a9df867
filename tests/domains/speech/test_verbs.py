"""`transcribe`, as a user types it."""

import json
import os
import sys

import numpy as np
import pytest
import soundfile
from program import environment, here, start, typed

from deepfield.domains.speech.formants import Speaker, say
from deepfield.domains.speech.verbs import transcripts

RATE = 16000


@pytest.fixture
def clips(tmp_path):
    """Two recordings and a file that is none."""
    rng = np.random.default_rng(4)
    for name, text in (("one", "sami mora"), ("two", "tuli")):
        soundfile.write(tmp_path / f"{name}.wav", say(text, Speaker.drawn(rng), rng), RATE)
    (tmp_path / "broken.wav").write_bytes(b"RIFF and nothing else")
    return tmp_path


def test_one_recording_is_told_in_words(model, clips):
    run = here("speech", "transcribe", str(clips / "one.wav"), "--model", model)
    assert (run.code, run.out) == (0, "sami mora\n")
    assert "s of sound in" in run.err


def test_several_are_told_by_name_and_a_bad_one_apart(model, clips):
    names = [str(clips / f"{n}.wav") for n in ("one", "broken", "two")]
    run = here("speech", "transcribe", *names, "--model", model)
    assert run.code == 3 and run.out == "one.wav\tsami mora\ntwo.wav\ttuli\n"
    assert "broken.wav: not a sound file" in run.err


def test_each_form_gets_a_file_of_its_own(model, clips):
    out = clips / "said"
    run = here("speech", "transcribe", str(clips), "-m", model, "-f", "srt", "-f", "json", "-f",
               "tsv", "-o", str(out))  # fmt: skip
    assert run.code == 3 and run.out == ""
    assert sorted(p.name for p in out.iterdir()) == [
        "one.json", "one.srt", "one.tsv", "two.json", "two.srt", "two.tsv"
    ]  # fmt: skip
    told = json.loads((out / "one.json").read_text())
    assert told["text"] == "sami mora" and [w["word"] for w in told["words"]] == ["sami", "mora"]
    assert "-->" in (out / "two.srt").read_text()


def test_one_recording_goes_to_the_file_that_is_named(model, clips):
    out = clips / "there" / "one.srt"
    run = here("speech", "transcribe", str(clips / "one.wav"), "-m", model, "-o", str(out))
    assert (run.code, run.out) == (0, "") and "wrote" in run.err
    assert out.read_text().startswith("1\n00:00:0") and "sami mora" in out.read_text()
    for arguments, said in (
        (["one.wav", "-o", str(out), "-f", "vtt"], "vtt into the file"),
        (["one.wav", "two.wav", "-o", str(out)], "several recordings into the file"),
        (["", "-o", str(out)], "several recordings into the file"),
        (["one.wav", "-o", str(clips / "two.wav")], "two.wav"),
        (["one.wav", "two.wav", "-f", "srt"], "srt of several recordings to standard output"),
    ):
        names = [str(clips / n) if not n or (n[-4:] == ".wav" and "/" not in n) else n
                 for n in arguments]  # fmt: skip
        run = here("speech", "transcribe", *names, "-m", model)
        assert run.code == 2 and said in run.err and run.two_lines


def test_transcripts_lie_in_folders_as_the_recordings_do(model, clips):
    for folder in ("a", "b"):
        (clips / folder).mkdir()
        (clips / folder / "one.wav").write_bytes((clips / "one.wav").read_bytes())
    (clips / "ONE.WAV").write_bytes((clips / "two.wav").read_bytes())
    (clips / "list.csv").write_text("path\none.wav\n../nosuch/one.wav\na/one.wav\n")
    out = clips / "said"
    run = here("speech", "transcribe", str(clips), "-m", model, "-o", str(out))
    told = {str(p.relative_to(out)): p.read_text() for p in out.rglob("*.txt")}
    assert sorted(told) == ["ONE.txt", "a/one.txt", "b/one.txt", "one-2.txt", "two.txt"]
    assert told["ONE.txt"] == "tuli\n" and told["one-2.txt"] == "sami mora\n"
    assert "one.wav: written as one-2, since the name was taken" in run.err
    run = here("speech", "transcribe", str(clips / "list.csv"), "-m", model)
    assert run.code == 3 and run.out == "one.wav\tsami mora\na/one.wav\tsami mora\n"


def test_recordings_of_several_sources_are_called_by_their_folders(model, clips):
    for folder, name in (("a", "one"), ("b", "two")):
        (clips / folder).mkdir()
        (clips / folder / "one.wav").write_bytes((clips / f"{name}.wav").read_bytes())
    out, asked = clips / "said", (str(clips / "a" / "one.wav"), str(clips / "b"))
    run = here("speech", "transcribe", *asked, "-m", model)
    assert run.out == "a/one.wav\tsami mora\nb/one.wav\ttuli\n"
    run = here("speech", "transcribe", *asked, "-m", model, "-o", str(out))
    told = {p.relative_to(out).as_posix(): p.read_text() for p in out.rglob("*.txt")}
    assert told == {"a/one.txt": "sami mora\n", "b/one.txt": "tuli\n"} and "taken" not in run.err


def test_paths_of_a_table_start_where_root_says(model, clips, tmp_path_factory):
    table = tmp_path_factory.mktemp("elsewhere") / "list.csv"
    table.write_text("path\none.wav\ntwo.wav\n")
    run = here("speech", "transcribe", str(table), "-m", model, "--root", str(clips))
    assert (run.code, run.out) == (0, "one.wav\tsami mora\ntwo.wav\ttuli\n")
    run = here("speech", "transcribe", str(clips / "one.wav"), "-m", model, "--root", str(clips))
    assert run.code == 2 and "--root does not apply" in run.err


def test_json_is_one_object_a_recording(model, clips):
    run = here("speech", "transcribe", str(clips), "--model", model, "--json")
    rows = [json.loads(line) for line in run.out.splitlines()]
    assert {r["path"]: r["status"] for r in rows} == {
        "broken.wav": "rejected", "one.wav": "ok", "two.wav": "ok"
    }  # fmt: skip
    assert {"text", "words", "lines", "probability", "in_domain", "reason", "model"} <= set(rows[0])


@pytest.mark.skipif(sys.platform != "linux", reason="names are bytes on Linux alone")
def test_json_of_a_name_that_is_no_text_can_be_read(model, clips):
    (clips / "one.wav").rename(os.fsdecode(bytes(clips) + b"/lat\xe9in.wav"))
    run = typed("speech", "transcribe", str(clips), "--model", model, "--json")
    assert run.code == 3
    told = {r["path"]: r["text"] for r in map(json.loads, run.out.splitlines())}
    assert told["lat\udce9in.wav"] == "sami mora"


def test_sentences_are_a_text(model, clips):
    (clips / "sentences").write_bytes(b"sami\n\0\1\2\n")
    run = here("speech", "transcribe", "synthetic:1", "--sentences", str(clips / "sentences"),
               "--model", model)  # fmt: skip
    assert run.code == 2 and "is no text" in run.err


def test_a_recording_of_nothing_is_told_while_it_goes_on(tmp_path):
    soundfile.write(tmp_path / "none.wav", np.zeros(0), RATE)
    run = here("speech", "transcribe", str(tmp_path / "none.wav"), "--live", "--model", "digits")
    assert (run.code, run.out) == (3, "") and "0 s of sound" in run.err


def test_a_wav_comes_through_a_pipe(model, clips):
    content = (clips / "one.wav").read_bytes()
    run = typed("speech", "transcribe", "-", "--model", model, stdin=content)
    assert (run.code, run.out) == (0, "sami mora\n")
    run = typed("speech", "transcribe", "-", "--model", model, stdin=content[:5000])
    assert run.code == 3 and "breaks off" in run.err
    run = typed("speech", "transcribe", "-", "--model", model, stdin=b"no sound")
    assert run.code == 2 and run.two_lines


def test_a_network_that_knows_no_strangeness_answers_too(trained, monkeypatch):
    monkeypatch.setattr(trained, "novelty", None)
    (told,) = transcripts(trained, trained.read("synthetic:1:5"))
    assert told["status"] == "ok" and told["in_domain"] is True


def test_silence_is_an_empty_line(model, tmp_path):
    soundfile.write(tmp_path / "silence.wav", np.zeros(RATE), RATE)
    run = here("speech", "transcribe", str(tmp_path / "silence.wav"), "--model", model)
    assert (run.code, run.out) == (0, "\n")
    run = here("speech", "transcribe", str(tmp_path / "silence.wav"), "-m", model, "--json")
    assert json.loads(run.out)["in_domain_reason"].startswith("silence")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["nosuch.wav"], 4, "no such file or folder"),
        (["synthetic:1", "-f", "srt", "-f", "txt"], 2, "srt and txt to standard output"),
        (["synthetic:1", "-f", "doc"], 2, "doc"),
        (["synthetic:1", "--live"], 2, "hears a recording as a whole"),
        (["synthetic:1", "--live", "-o", "out"], 2, "--live writes text to standard output"),
        (["synthetic:1", "--live", "--json"], 2, "--live writes text to standard output"),
        (["synthetic:1", "--sentences", "nosuch.txt"], 4, "no such text"),
        (["synthetic:1", "--json", "-f", "srt"], 2, "--json writes JSON alone"),
        (["sample:said", "-o", "said.docx"], 2, "no form of transcript ends in .docx"),
    ],
)
def test_wrong_usage_is_told_in_two_lines(model, arguments, code, said):
    run = here("speech", "transcribe", *arguments, "--model", model)
    assert run.code == code and said in run.err and run.err.count("hint:") == 1


def test_a_prediction_loads_nothing_heavy(model, clips):
    code = (
        "import sys; from deepfield.cli import main; "
        f"code = main(['speech', 'transcribe', {str(clips / 'one.wav')!r}, '-m', {model!r}]); "
        "heavy = {'tensorflow', 'keras', 'scipy', 'sklearn', 'pandas', 'librosa', 'matplotlib',"
        " 'jiwer', 'numba'}; print(sorted(heavy & set(sys.modules)), code)"
    )
    import subprocess
    import sys

    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment(), check=True
    )
    assert done.stdout.splitlines() == ["sami mora", "[] 0"]


def test_a_killed_run_leaves_whole_files_only(model, clips):
    process = start("speech", "transcribe", str(clips), "-m", model, "-o", str(clips / "out"))
    process.kill()
    process.wait()
    for path in clips.glob("out/*"):
        assert path.suffix != ".txt" or path.read_text().endswith("\n")
