"""Talk goes to standard error, and only as much as was asked for."""

import io
import os

import pytest
from program import environment, typed

from deepfield.toolkit.console import Console, hushed


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_quiet_is_quiet():
    stream = Terminal()
    console = Console(quiet=True, stream=stream, verbose=True)
    console.say("a")
    console.detail("b")
    assert list(console.track(range(3), "x")) == [0, 1, 2] and console.training() is None
    assert stream.getvalue() == ""


def test_a_console_that_knows_of_no_flag_is_quiet_too_where_that_is_asked_for():
    stream = io.StringIO()
    with hushed(True):
        Console(stream=stream).say("a")
    with hushed(False):
        Console(stream=stream).say("b")
    Console(stream=stream).say("c")
    assert stream.getvalue() == "b\nc\n"


def test_details_are_for_those_who_ask():
    stream = io.StringIO()
    Console(stream=stream).detail("a")
    Console(stream=stream, verbose=True).detail("b")
    assert stream.getvalue() == "b\n"


def test_no_bar_is_drawn_outside_a_terminal():
    stream = io.StringIO()
    assert list(Console(stream=stream).track(range(3), "x")) == [0, 1, 2]
    show = Console(stream=stream).training()
    for batch in (1, 2):
        show(0, 1, batch, 2, {"loss": 0.5})
    assert stream.getvalue() == "epoch 1/1, loss 0.5000, 0 s left\n"


def test_progress_is_shown_on_a_terminal_once_it_takes_a_second(monkeypatch):
    clock = iter(range(100))
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    stream = Terminal()
    assert len(list(Console(stream=stream).track(range(5), "image", total=5))) == 5
    assert "image: 3 of 5" in stream.getvalue() and stream.getvalue().endswith("\r\x1b[2K")


@pytest.mark.parametrize(("seconds", "text"), [(5, "5 s"), (65, "1 min 5 s"), (7300, "2 h 1 min")])
def test_times_are_in_words(seconds, text):
    from deepfield.toolkit.console import _clock

    assert _clock(seconds) == text


def _fresh(tmp_path, **extra):
    for name in ("home", "tmp", "work"):
        (tmp_path / name).mkdir()
    own = environment(HOME=str(tmp_path / "home"), TMPDIR=str(tmp_path / "tmp"), **extra)
    for name in ("MPLCONFIGDIR", "KERAS_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
        own.pop(name, None)
    return own


def _names(folder):
    return sorted(p.name for p in folder.iterdir())


def _left(tmp_path):
    folders = ("home", "tmp", "work")
    return {f: names for f in folders if (names := _names(tmp_path / f))}


def test_libraries_keep_their_files_in_our_cache(tiny, tmp_path):
    own = _fresh(tmp_path, DEEPFIELD_CACHE=str(tmp_path / "cache"))
    arguments = ("image", "explain", "sample:digit", "-m", str(tiny), "-o", "why.png")
    run = typed(*arguments, env=own, cwd=tmp_path / "work")
    assert run.code == 0, run.err
    assert _left(tmp_path) == {"work": ["why.png"]}
    assert _names(tmp_path / "cache") == ["keras", "matplotlib"]


def test_without_a_cache_libraries_get_a_folder_that_goes_with_the_process(tmp_path):
    (tmp_path / "file").touch()  # no folder can be made below it
    own = _fresh(tmp_path, DEEPFIELD_CACHE=str(tmp_path / "file" / "cache"))
    run = typed("image", "describe", "lenet5", "--json", env=own, cwd=tmp_path / "work")
    assert run.code == 0 and not run.err, run.err
    assert not _left(tmp_path)


def test_an_html_report_of_an_evaluation_leaves_home_alone(tiny, tmp_path):
    own = _fresh(tmp_path, DEEPFIELD_CACHE=str(tmp_path / "cache"))
    arguments = ("image", "evaluate", "sample:digits-csv", "-m", str(tiny), "--html", "page.html")
    run = typed(*arguments, env=own, cwd=tmp_path / "work")
    assert run.code == 0, run.err
    assert _left(tmp_path) == {"work": ["page.html"]}


#: In front of a program that is to have one core.
_ONE_CORE = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="Linux alone pins processes")
@pytest.mark.slow
def test_networks_of_few_channels_are_learnt_on_one_core(tmp_path):
    # with oneDNN TensorFlow's convolutions damage memory there, and the process dies
    arguments = ("--epochs", "1", "--set", "filters=4", "-q")
    run = typed("image", "train", "digits", "-o", str(tmp_path / "m"), *arguments, prefix=_ONE_CORE)
    assert run.code == 0, run.err
