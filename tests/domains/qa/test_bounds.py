"""Long stories and broken input: bounded memory, and a row with a reason."""

import gzip
import json
import subprocess
import sys

import pytest
from untrained_qa import STORY, bundle_of

from deepfield.domains.qa.features import Asked
from deepfield.domains.qa.pipeline import QAPipeline
from deepfield.toolkit.commands import Flags, predict
from deepfield.toolkit.errors import REJECTED

NETWORKS = ("query_reduction", "memn2n", "entity_network", "lstm")


@pytest.fixture(scope="module")
def bundles(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bounds")
    return {name: bundle_of(name, folder / name, units=50) for name in NETWORKS}


_PEAKS = """
import json, re, sys
from deepfield.domains.qa.features import Asked
from deepfield.domains.qa.pipeline import QAPipeline
pipeline = QAPipeline.load(sys.argv[1])
peaks = []
for sentences in (1_000, 10_000):
    story = tuple(f"Qux went to the Place{i % 7}." for i in range(sentences))
    asked = [Asked(story, "Where is Qux?")] * int(sys.argv[2])
    assert all(row["status"] == "ok" for row in pipeline.predict(asked))
    # not ru_maxrss: a process inherits that of the one that started it
    peaks.append(int(re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1]) / 1024)
print(json.dumps(peaks))
"""


def peaks(bundle, stories):
    done = subprocess.run(
        [sys.executable, "-c", _PEAKS, bundle, str(stories)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return json.loads(done.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="peaks are read from /proc")
@pytest.mark.parametrize("architecture", NETWORKS)
def test_ten_times_the_story_takes_little_more_memory(architecture, bundles):
    """10,000 sentences are 50,000 words; a vector of 50 numbers for each is 10 MB."""
    short, long = peaks(bundles[architecture], 1)
    assert long - short < 150, f"{short:.0f} MB, then {long:.0f} MB"


@pytest.mark.skipif(sys.platform != "linux", reason="peaks are read from /proc")
def test_many_long_stories_take_little_more_than_one(bundles):
    short, long = peaks(bundles["query_reduction"], 20)
    assert long - short < 150, f"{short:.0f} MB, then {long:.0f} MB"


def rows_of(bundles, tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return list(QAPipeline.load(bundles["memn2n"]).predict(str(path)))


WHOLE = "1 Ann went to the attic.\n2 Where is Ann?\tattic\t1\n"


@pytest.mark.parametrize(
    ("content", "reasons"),
    [
        ("1 Ann left.\n2 Bob left.\n" + WHOLE, ["story 1 has no question", ""]),
        ("1 Where is Ann?\tattic\t\n" + WHOLE, ["the story is empty", ""]),
        (WHOLE + "1 Ann went to the barn.\n2 Where is Ann?\tba", ["", "breaks off in line 4"]),
        (WHOLE + "1 Ann went to the barn.\n2 Whe", ["", "story 2 has no question"]),
        (WHOLE + "1 Анна пошла в сад.\n2 Где Анна?\tсад\t1\n", ["", ""]),
        ("1 安去了花园。\n2 安在哪里？\t花园\t1\n", [""]),
        ("1 ذهبت آنا إلى الحديقة.\n2 أين آنا؟\tالحديقة\t1\n", [""]),
    ],
    ids=["no question", "empty story", "cut", "cut in a word", "Cyrillic", "Chinese", "Arabic"],
)
def test_broken_stories_give_rows_with_reasons(content, reasons, bundles, tmp_path):
    rows = rows_of(bundles, tmp_path, "qa1_x_test.txt", content)
    assert len(rows) == len(reasons)
    for row, reason in zip(rows, reasons, strict=True):
        assert row["status"] == ("rejected" if reason else "ok"), row
        assert reason in row["reason"]
        assert bool(row["answer"]) is not bool(reason)


@pytest.mark.parametrize("kept", [0.3, 0.6, 0.95])
def test_a_compressed_file_that_is_cut_gives_what_was_whole_and_a_reason(kept, bundles, tmp_path):
    told = "".join(f"1 Ann{i} went to the attic.\n2 Where is Ann{i}?\tattic\t1\n"
                   for i in range(3000))  # fmt: skip
    packed = gzip.compress(told.encode())
    rows = rows_of(bundles, tmp_path, "qa1_x_test.txt.gz", packed[: int(kept * len(packed))])
    assert {row["status"] for row in rows[:-1]} <= {"ok"}
    assert rows[-1]["status"] == "rejected" and "breaks off" in rows[-1]["reason"]


def test_the_program_says_how_many_were_rejected(bundles, tmp_path, capsys):
    path = tmp_path / "stories.jsonl"
    lines = [
        {"story": list(STORY), "question": "Where is Ann?"},
        {"story": [], "question": "Where is Ann?"},
        {"story": list(STORY)},
        {"story": "Ann left. " * 10_000 + "x " * 999 + ".", "question": "Where is Ann?"},
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"story": ["Ann')
    flags = Flags(model=bundles["memn2n"], json=True, on_error="null")
    code = predict(QAPipeline, lambda name, *_: QAPipeline.load(name), (str(path),), flags)
    out, err = capsys.readouterr()
    rows = [json.loads(line) for line in out.splitlines()]
    assert code == REJECTED and "4 rejected" in err
    reasons = [row["reason"] for row in rows]
    assert reasons[0] == "" and reasons[1:3] == ["the story is empty", "no question"]
    assert "the limit of their product" in reasons[3] and "not JSON" in reasons[4]


def test_an_item_that_is_no_story_is_a_row_too(bundles):
    pipeline = QAPipeline.load(bundles["memn2n"])
    rows = list(pipeline.predict([None, Asked(STORY, "Where is Ann?"), 7]))
    assert [row["status"] for row in rows] == ["rejected", "ok", "rejected"]
