import itertools
import json

from deepfield.domains.speech import subtitles
from deepfield.domains.speech.subtitles import FORMS, clock, lines_of


def word(text, start, end):
    return {"word": text, "start": start, "end": end, "probability": 0.9}


def told(words):
    return {"text": " ".join(w["word"] for w in words), "lines": lines_of(words), "words": words}


SAID = [word("one", 0.5, 0.8), word("two", 0.9, 1.2), word("three", 2.5, 3.0)]


def test_a_pause_ends_a_subtitle():
    assert [line["text"] for line in lines_of(SAID)] == ["one two", "three"]
    assert lines_of([]) == []


def test_no_subtitle_is_too_long_or_runs_into_the_next():
    many = [word("word", 0.3 * i, 0.3 * i + 0.2) for i in range(200)]
    lines = lines_of(many)
    for line, after in itertools.pairwise(lines):
        assert line["end"] <= after["start"] and line["end"] - line["start"] <= 6.01
        assert len(line["text"]) <= subtitles.LETTERS
    assert sum(len(line["text"].split()) for line in lines) == 200


def test_a_short_word_is_shown_long_enough():
    (line,) = lines_of([word("a", 1.0, 1.04)])
    assert line["end"] == 1.3


def test_forms_are_those_of_other_programs():
    made = {form: write(told(SAID)) for form, write in FORMS.items()}
    assert made["txt"] == "one two three\n"
    assert made["srt"] == (
        "1\n00:00:00,500 --> 00:00:01,200\none two\n\n2\n00:00:02,500 --> 00:00:03,000\nthree\n"
    )
    assert made["vtt"].startswith("WEBVTT\n\n00:00:00.500 --> 00:00:01.200\none two\n\n")
    assert made["tsv"] == "start\tend\ttext\n500\t1200\tone two\n2500\t3000\tthree\n"
    assert json.loads(made["json"])["words"] == SAID
    silence = {form: write(told([])) for form, write in FORMS.items()}
    assert silence["txt"] == "\n" and silence["srt"] == "" and silence["vtt"] == "WEBVTT\n"


def test_hours_are_told():
    assert clock(3599.9996) == "01:00:00,000"
    assert clock(0.0, ".") == "00:00:00.000"


def test_long_lines_are_broken_in_the_middle():
    text = subtitles._wrapped("eleven " * 8 + "twelve")
    assert [len(line) for line in text.split("\n")] == [27, 34] or "\n" in text
