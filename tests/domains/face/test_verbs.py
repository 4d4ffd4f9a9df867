"""verify, find and embed as a user types them."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from program import here

from deepfield.domains.face.data import SAMPLES


@pytest.fixture
def run(small):
    """A verb of the domain, with the small network unless another is named."""

    def typed(*arguments):
        model = () if {"--model", "--forget"} & set(arguments) else ("--model", str(small))
        return here("face", *arguments, *model)

    return typed


def shot(people, person, number):
    return str(Path(people) / f"person_{person}" / f"{number}.png")


# -- verify


def test_two_pictures_are_compared_and_the_threshold_is_told(run, people):
    said = run("verify", shot(people, 1, 1), shot(people, 2, 1))
    assert said.code == 0 and not said.err
    first, second, *rest = said.out.splitlines()
    assert first.startswith(("the same person  (", "different people  ("))
    assert "threshold" in second
    text = "\n".join(rest)
    assert "different people taken for the same: " in text and " to " in text
    assert "measured on the validation part: " in text and "pairs of the same" in text
    assert "no face was looked for" in text  # it was trained so, and says so


def test_a_verification_for_machines(run, people):
    one = shot(people, 1, 1)
    said = run("verify", one, shot(people, 1, 2), "--json")
    row = json.loads(said.out)
    assert row["a"] == one and row["status"] == "ok" and row["same"] in (True, False)
    assert 0 <= row["fmr"] <= 1 and 0 <= row["probability"] <= 1 and row["faces_a"] is None
    assert row["same"] == (row["distance"] <= row["threshold"])


def test_a_picture_against_itself_is_doubted(run, people, tmp_path):
    copy = shutil.copy(shot(people, 3, 1), tmp_path / "copy.png")
    said = run("verify", shot(people, 3, 1), str(copy))
    assert said.code == 0 and "in doubt: the two are one and the same picture" in said.out


def test_a_measured_rate_moves_the_threshold_and_another_is_refused(run, people):
    pair = shot(people, 1, 1), shot(people, 2, 2)
    usual, strict = (
        json.loads(run("verify", *pair, "--json", *more).out) for more in ((), ("--fmr", "1e-2"))
    )
    assert strict["threshold"] <= usual["threshold"] and strict["fmr"] <= 0.01
    said = run("verify", *pair, "--fmr", "1e-9")
    assert said.code == 2 and said.two_lines and "0.01" in said.err


def test_a_pair_that_cannot_be_compared_says_which_picture(run, people, tmp_path):
    torn = tmp_path / "torn.jpg"
    torn.write_bytes(b"\xff\xd8\xff\xe0 no jpg")
    said = run("verify", shot(people, 1, 1), str(torn))
    assert said.code == 3 and said.out.startswith("not answered: b: ")
    row = json.loads(run("verify", str(torn), shot(people, 1, 1), "--json").out)
    assert row["status"] == "rejected" and row["reason"].startswith("a: ") and row["same"] is None


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("verify", "sample:mirrored"), 2, "two pictures, not 1"),
        (("verify", "sample:mirrored", "nosuch.jpg"), 4, "nosuch.jpg"),
        (("verify", "sample:mirrored", "sample:pairs"), 2, "is not one picture"),
        (("find", "sample:mirrored"), 2, "nowhere to search"),
        (("find", "sample:mirrored", "--index", "nosuch"), 4, "no index 'nosuch'"),
        (("find", "sample:mirrored", "--gallery", "PEOPLE", "--top", "0"), 2, "--top 0"),
        (("embed",), 2, "no pictures to embed"),
        (("embed", "sample:pairs"), 2, "holds pairs, not pictures"),
        (("embed", "--forget", "x"), 2, "--index FILE"),
        (
            ("verify", "sample:mirrored", "sample:china", "--crop", "--face", "prettiest"),
            2,
            "clear",
        ),
    ],
)
def test_wrong_usage_is_two_lines(run, people, tmp_path, monkeypatch, arguments, code, said):
    monkeypatch.chdir(tmp_path)
    found = run(*(people if a == "PEOPLE" else a for a in arguments))
    assert found.code == code and found.two_lines and said in found.err, found


# -- find


def test_the_most_alike_of_a_gallery_are_named(run, people):
    said = run("find", shot(people, 5, 1), "--gallery", people, "--top", "3", "--json")
    row = json.loads(said.out)
    assert said.code == 0 and row["searched"] == 48 and len(row["found"]) == 3
    first = row["found"][0]
    assert (first["person"], first["rank"]) == ("person_5", 1) and first["distance"] < 1e-5
    assert first["picture"] == "person_5/1.png" and first["same"] is True
    apart = [hit["distance"] for hit in row["found"]]
    sure = [hit["probability"] for hit in row["found"]]
    assert apart == sorted(apart) and sure == sorted(sure, reverse=True)
    text = run("find", shot(people, 5, 1), "--gallery", people, "--top", "3").out
    assert "person_5  person_5/1.png" in text and "--fmr sets a stricter threshold" in text


def test_an_index_is_searched_again_without_the_pictures(run, people, tmp_path):
    pictures, index = tmp_path / "people", str(tmp_path / "people.index")
    shutil.copytree(people, pictures)
    asked = shot(people, 5, 1)
    once = run("find", asked, "--gallery", str(pictures), "--index", index, "--json")
    shutil.rmtree(pictures)
    again = run("find", asked, "--index", index, "--json")
    assert again.code == 0 and json.loads(again.out) == json.loads(once.out)


def test_a_picture_that_was_changed_is_looked_at_again(run, people, tmp_path):
    pictures, index = tmp_path / "people", str(tmp_path / "people.index")
    shutil.copytree(people, pictures)
    shutil.copyfile(shot(people, 1, 1), pictures / "person_5" / "1.png")
    asked = shot(people, 5, 1)
    arguments = ("find", asked, "--gallery", str(pictures), "--index", index, "--json")
    before = json.loads(run(*arguments).out)["found"]
    written = Path(index).stat().st_mtime_ns
    assert json.loads(run(*arguments).out)["found"] == before
    assert Path(index).stat().st_mtime_ns == written  # nothing was new
    shutil.copy2(asked, pictures / "person_5" / "1.png")  # keeps the older date
    found = json.loads(run(*arguments).out)
    assert found["found"][0]["picture"] == "person_5/1.png" != before[0]["picture"]
    assert found["found"][0]["distance"] == 0
    (pictures / "person_5" / "1.png").write_bytes(b"no picture")
    said = run(*arguments)
    assert said.code == 3 and json.loads(said.out)["searched"] == found["searched"] - 1
    assert json.loads(run("find", asked, "--index", index, "--json").out)["found"] == before


def test_a_picture_that_is_new_in_the_gallery_comes_into_the_index(run, people, tmp_path):
    pictures, index = tmp_path / "people", str(tmp_path / "people.index")
    shutil.copytree(people, pictures)
    shutil.rmtree(pictures / "person_5")
    asked = shot(people, 5, 1)
    arguments = ("find", asked, "--gallery", str(pictures), "--index", index, "--json")
    before = json.loads(run(*arguments).out)
    shutil.copytree(Path(people) / "person_5", pictures / "person_5")
    after = json.loads(run(*arguments).out)
    assert (before["searched"], after["searched"]) == (44, 48)
    assert before["found"][0]["person"] != "person_5" == after["found"][0]["person"]


def test_an_unreadable_picture_costs_itself_alone(run, people, tmp_path):
    pictures = tmp_path / "people"
    shutil.copytree(people, pictures)
    (pictures / "person_1" / "torn.jpg").write_bytes(b"\xff\xd8\xff\xe0 no jpg")
    said = run("find", shot(people, 5, 1), "--gallery", str(pictures), "--json")
    assert said.code == 3 and json.loads(said.out)["searched"] == 48
    assert "person_1/torn.jpg: " in said.err
    torn = str(pictures / "person_1" / "torn.jpg")
    said = run("find", torn, shot(people, 5, 1), "--gallery", people, "--json")
    one, two = map(json.loads, said.out.splitlines())
    assert said.code == 3 and (one["status"], two["status"]) == ("rejected", "ok")


# -- embed


def test_faces_become_rows_with_vectors(run, people, tmp_path):
    (tmp_path / "torn.jpg").write_bytes(b"\xff\xd8\xff\xe0 no jpg")
    said = run("embed", people, str(tmp_path), "--json")
    rows = list(map(json.loads, said.out.splitlines()))
    assert said.code == 3 and len(rows) == 49
    assert rows[0]["person"] == "person_1" and rows[0]["path"] == "people/person_1/1.png"
    vectors = np.array([row["embedding"] for row in rows[:48]])
    assert vectors.shape == (48, 16) and np.isfinite(vectors).all()
    assert rows[48]["embedding"] is None and rows[48]["status"] == "rejected"
    assert said.err.startswith("48 faces\n1 rejected (1: truncated JPEG: ")
    out = tmp_path / "vectors.csv"
    assert run("embed", people, "-o", str(out), "-q").err == ""
    said = run("embed", people, "-o", str(out))
    assert said.code == 0 and said.err == f"48 faces, wrote {out}\n"
    with out.open() as stream:
        table = list(csv.DictReader(stream))
    np.testing.assert_allclose([json.loads(r["embedding"]) for r in table], vectors)


def test_a_person_is_forgotten_without_any_network(run, people, tmp_path):
    index = str(tmp_path / "people.index")
    said = run("embed", people, "--index", index)
    assert said.code == 0 and "48 faces into" in said.err
    said = run("embed", "--index", index, "--forget", "person_5", "--model", "nosuch")
    assert said.code == 0 and "faces taken out: 4; left: 44" in said.err
    assert b"person_5" not in Path(index).read_bytes()
    found = json.loads(run("find", shot(people, 5, 1), "--index", index, "--json").out)
    assert all(hit["person"] != "person_5" for hit in found["found"])
    said = run("embed", "--index", index, "--forget", "person_5")
    assert said.code == 4 and said.two_lines


def test_faces_of_several_folders_are_told_apart(run, people, tmp_path):
    index = str(tmp_path / "people.index")
    folders = [str(Path(people) / f"person_{n}") for n in (1, 2)]
    said = run("embed", *folders, "--index", index)
    assert said.code == 0 and "8 faces into" in said.err and "same names" not in said.err
    asked = "find", shot(people, 1, 2), "--top", "48", "--json"
    found = json.loads(run(*asked, "--index", index).out)
    assert found["found"][0]["picture"] == "person_1/2.png"
    whole = json.loads(run(*asked, "--gallery", people).out)
    pairs = [{(h["person"], h["picture"]) for h in told["found"]} for told in (found, whole)]
    assert len(pairs[0]) == 8 and pairs[0] < pairs[1]  # as a gallery with the two in it
    said = run("embed", "--index", index, "--forget", "2.png")
    assert said.code == 2 and said.two_lines
    assert "'2.png' may be person_1/2.png, person_2/2.png" in said.err
    said = run("embed", "--index", index, "--forget", "person_1/2.png")
    assert said.code == 0 and "taken out: 1; left: 7" in said.err
    said = run("embed", "--index", index, "--forget", "2.png")
    assert said.code == 4 and "it holds person_2/2.png" in said.err
    said = run("embed", "--index", index, "--forget", "person_2")
    assert said.code == 0 and "taken out: 4; left: 3" in said.err
    again = str(tmp_path / "again.index")
    for folder in folders:  # one by one they are the same pictures again, which is told
        said = run("embed", folder, "--index", again)
    assert "holds 4 now" in said.err and "4 that had the same names before" in said.err


def test_an_older_index_with_two_faces_of_one_name_forgets_neither(run, tmp_path):
    from deepfield.domains.face.gallery import gathered

    index = tmp_path / "old.index"
    faces = [(who, "10.pgm", np.zeros(16, np.float32)) for who in ("", "")]
    gathered(faces, "any").save(index)
    said = run("embed", "--index", str(index), "--forget", "10.pgm")
    assert said.code == 2 and said.two_lines
    assert "2 faces are called '10.pgm': 10.pgm of nobody named" in said.err
    assert "deepfield face embed A B --index FILE" in said.err


def test_an_index_of_another_network_is_refused(run, people, tmp_path):
    from deepfield.domains.face.gallery import gathered

    index = tmp_path / "i"
    gathered([("a", "b", np.zeros(16, np.float32))], "another").save(index)
    for arguments in (("find", shot(people, 1, 1)), ("embed", people)):
        said = run(*arguments, "--index", str(index))
        assert said.code == 2 and "another network" in said.err


# -- without dlib's networks, or a place for them


def test_without_dlibs_files_it_is_said_what_goes_without_them(people, tmp_path, monkeypatch):
    monkeypatch.setenv("DEEPFIELD_CACHE", str(tmp_path))
    monkeypatch.setattr("deepfield.domains.face.adopt.PACKAGE", "no_such_package")
    for arguments in (("predict", "sample:pairs", "--model", "small_face"),
                      ("verify", "sample:grace_hopper", "sample:mirrored")):  # fmt: skip
        said = here("face", *arguments)
        assert said.code == 4 and said.two_lines and "no_such_package is not installed" in said.err
        assert 'pip install "deepfield[face]"' in said.err
        assert "--model small_face --crop" in said.err
    said = here("face", "predict", "sample:pairs", "--model", "small_face", "--crop")
    assert said.code == 0 and len(said.out.splitlines()) == 3


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("DEEPFIELD_CACHE", str(tmp_path / "file" / "cache"))
    for name in ("pairs", "people"):
        said = here("face", "predict", f"sample:{name}", "--model", "small_face", "--crop")
        assert said.code in (0, 3) and len(said.out.splitlines()) > 2, said
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file"]
    monkeypatch.setattr("deepfield.domains.face.adopt.find_files", dict)
    said = here("face", "verify", "sample:grace_hopper", "sample:mirrored")
    assert said.code == 1 and said.two_lines
    assert "export DEEPFIELD_CACHE=$(mktemp -d)" in said.err


# -- with dlib's networks, where their package is installed


def test_a_person_is_recognised_and_a_photo_without_one_refused(dlib):
    said = here("face", "verify", "sample:grace_hopper", "sample:mirrored")
    assert said.code == 0 and said.out.startswith("the same person"), said
    said = here("face", "verify", "sample:grace_hopper", "sample:china")
    assert said.code == 3 and said.out.startswith("not answered: b: no face found")
    said = here("face", "find", SAMPLES["mirrored"](), "--gallery", SAMPLES["grace_hopper"]())
    assert said.code == 0 and "grace_hopper.jpg" in said.out
