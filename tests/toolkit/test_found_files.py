"""Files of one kind are found in folders, and in tables and lines of paths."""

import pytest

from deepfield.toolkit.errors import NotFound, UsageError
from deepfield.toolkit.found_files import (
    MOST_NAMES,
    base_folder,
    column_of_paths,
    folders,
    holds,
    lines_of_paths,
    named,
    of_kind,
    walk,
)
from deepfield.toolkit.picture_files import is_picture_name


def tree(root, *paths):
    for path in paths:
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"x")
    return root


def test_a_file_is_of_a_kind_by_its_name_or_its_beginning(tmp_path):
    assert named("A.WAV", (".wav", ".mp3")) and not named(".a.wav", (".wav",))
    tree(tmp_path, "a.wav", "scan", "b.txt")
    (tmp_path / "scan").write_bytes(b"RIFF and more")

    def told(name):
        is_name, starts = (lambda name: named(name, (".wav",))), (lambda head: head[:4] == b"RIFF")
        return of_kind(str(tmp_path / name), is_name, starts)

    assert told("a.wav") and told("scan") and not told("b.txt") and not told("none.wav")


def test_hidden_files_and_what_is_no_picture_are_not_walked(tmp_path):
    tree(tmp_path, "b/2.PNG", "a/10.png", "a/9.png", "a/.9.png", ".git/1.png", "a/notes.txt")
    names = ["/".join(names) for names, fault in walk(tmp_path, is_picture_name)]
    assert names == ["a/9.png", "a/10.png", "b/2.PNG"]
    assert ["/".join(names) for names, _ in walk(tmp_path, is_picture_name, ("b",))] == ["b/2.PNG"]


def test_pictures_that_cannot_be_read_are_not_passed_over(tmp_path):
    tree(tmp_path, "a/1.HEIC", "a/2.jfif", "a/3.avif", "a/4.svg")
    assert [names[-1] for names, _ in walk(tmp_path, is_picture_name)] == [
        "1.HEIC",
        "2.jfif",
        "3.avif",
    ]


def test_folders_with_a_mark_are_skipped_where_that_is_asked_for(tmp_path):
    tree(tmp_path, "_noise/1.png", "a/_2.png", ".git/3.png")
    found = list(walk(tmp_path, is_picture_name, skipped=(".", "_")))
    assert found == [(("a", "_2.png"), None)]


def test_links_are_followed_and_loops_end(tmp_path):
    tree(tmp_path / "data", "a/1.png", "b/2.png")
    (tmp_path / "data" / "a" / "up").symlink_to(tmp_path / "data")
    (tmp_path / "data" / "a" / "b").symlink_to(tmp_path / "data" / "b")
    (tmp_path / "data" / "b" / "a").symlink_to(tmp_path / "data" / "a")
    (tmp_path / "data" / "b" / "gone.png").symlink_to(tmp_path / "nowhere.png")
    assert ["/".join(names) for names, _ in walk(tmp_path / "data", is_picture_name)] == [
        "a/1.png",
        "a/b/2.png",
        "a/b/gone.png",
        "b/2.png",
        "b/a/1.png",
        "b/gone.png",
    ]


def test_a_folder_that_two_links_lead_to_is_read_under_both_names(tmp_path):
    tree(tmp_path, "kept/1.png")
    (tmp_path / "data").mkdir()
    for name in ("a", "b"):
        (tmp_path / "data" / name).symlink_to(tmp_path / "kept")
    found = [names for names, _ in walk(tmp_path / "data", is_picture_name)]
    assert found == [("a", "1.png"), ("b", "1.png")]


def test_a_folder_that_cannot_be_read_is_told(tmp_path):
    assert list(walk(tmp_path, is_picture_name, ("none",))) == [
        (("none", ""), "cannot read this folder: No such file or directory")
    ]


def test_what_lies_in_a_folder_itself(tmp_path):
    tree(tmp_path, "a/1.png", "b/c/2.png", ".d/3.png")
    assert sorted(folders(tmp_path)) == ["a", "b"] and folders(tmp_path / "none") == []
    assert holds(tmp_path / "a", is_picture_name) and not holds(tmp_path / "b", is_picture_name)
    assert not holds(tmp_path / "none", is_picture_name)


def test_a_column_of_paths_has_a_usual_name():
    assert column_of_paths("-", {"x": 1, "File": 2}, ("path", "file"), "pictures") == "File"
    with pytest.raises(UsageError, match="no column with the paths of the pic"):
        column_of_paths("-", {"x": 1}, ("path",), "pictures")


def test_lines_of_paths_are_told_with_what_is_wrong(tmp_path):
    tree(tmp_path, "a.png")
    (tmp_path / "list.txt").write_text("a.png\n\nb.png\n")
    found = list(lines_of_paths(str(tmp_path / "list.txt"), None))
    assert [(name, bool(fault)) for name, _, fault in found] == [("a.png", False), ("b.png", True)]
    with pytest.raises(NotFound, match="no such folder"):
        base_folder("-", str(tmp_path / "none"))


def test_folders_that_all_link_to_each_other_have_few_names(tmp_path):
    names = [f"folder{n}" for n in range(10)]
    for name in names:
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.png").write_bytes(b"")
        for other in names:
            (tmp_path / name / other).symlink_to(tmp_path / other)
    found = list(walk(tmp_path, is_picture_name))
    files = [name for name, fault in found if fault is None]
    assert {(name, "x.png") for name in names} <= {*files}  # by their own names all
    assert len(files) <= len(names) * (MOST_NAMES + 1) and len(found) < 4000
    told = {fault for _, fault in found if fault}
    assert told == {"links give this folder more than 16 names"}


def test_a_folder_of_many_links_keeps_its_own_name_and_all_others_are_told(tmp_path):
    tree(tmp_path, "real/1.png")
    for number in range(18):
        (tmp_path / f"l{number:02}").symlink_to(tmp_path / "real")
    found = list(walk(tmp_path, is_picture_name))
    assert [names for names, fault in found if fault] == [("l16", ""), ("l17", "")]
    assert [names[0] for names, fault in found if not fault] == [
        *(f"l{number:02}" for number in range(16)), "real",
    ]  # fmt: skip


def test_a_link_to_itself_costs_no_folder(tmp_path):
    (tmp_path / "a.png").touch()
    for name in (".lock", "loop"):
        (tmp_path / name).symlink_to(tmp_path / name)
    assert list(walk(tmp_path, lambda name: name.endswith(".png"))) == [(("a.png",), None)]
