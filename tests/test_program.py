"""demo, doctor and models as a user types them."""

import json
import re
import shlex
import shutil
import subprocess
import sys

import pytest
from program import here, typed

from deepfield.domains import DOMAINS, domain
from deepfield.toolkit import program
from deepfield.toolkit.errors import NotFound, UnusableModel
from deepfield.toolkit.pipeline import Pipeline
from deepfield.toolkit.presets import adopted_facts
from deepfield.toolkit.report import answer_row

PRESETS = [f"{name}/{preset}" for name in DOMAINS for preset in domain(name).presets]
SHIPPED = [p for p in PRESETS if p.partition("/")[2] not in domain(p.partition("/")[0]).adopted]


@pytest.fixture(scope="module")
def asked_once():
    """`Pipeline.check`, which asks the presets that ship, which nothing here changes, once."""
    told, check = {}, Pipeline.check

    def once(pipeline):
        place = str(pipeline.bundle.path)
        if pipeline.domain == "image":
            return check(pipeline)
        if place not in told:
            told[place] = check(pipeline)
        return told[place]

    return once


@pytest.fixture
def presets(tiny, tmp_path, monkeypatch, asked_once):
    """Every preset of the image domain is a copy of the tiny bundle, the adopted one not there."""
    monkeypatch.setattr(Pipeline, "check", asked_once)
    folder = tmp_path / "presets"
    for name in domain("image").presets:
        if name not in domain("image").adopted:
            shutil.copytree(tiny, folder / name)
    from deepfield.toolkit import presets

    shipped = presets.preset_folder

    def preset_folder(cls, name):
        return folder / name if cls.domain == "image" else shipped(cls, name)

    for module in (presets, program):
        monkeypatch.setattr(module, "preset_folder", preset_folder)
    monkeypatch.setenv("DEEPFIELD_CACHE", str(tmp_path / "cache"))
    return folder


@pytest.fixture
def plain(monkeypatch):
    """As after a plain `pip install deepfield`: no package of an extra is there."""
    import importlib.util

    absent = [
        package
        for name in DOMAINS
        for preset in domain(name).adopted
        for package in adopted_facts(domain(name), preset)["packages"]
    ]
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name in absent else real(name)
    )


# -- doctor


def doctor():
    run = here("doctor", "--json")
    assert not run.err
    return run.code, {f["what"]: f for f in map(json.loads, run.out.splitlines())}


def test_a_sound_installation_has_no_fault(presets, monkeypatch):
    code, facts = doctor()
    assert {"python", "machine", "deepfield", "tensorflow", "predicts on", "cache"} <= set(facts)
    assert set(PRESETS) <= set(facts)
    assert code == 0 and not [f for f in facts.values() if f["mend"]]
    run = here("doctor")
    assert run.code == 0 and "FAULT" not in run.out and run.out.endswith("\nno fault found\n")
    assert all(len(line) <= 100 or "cache" in line for line in run.out.splitlines())  # a long path


def test_what_is_optional_is_no_fault(presets):
    _, facts = doctor()
    assert "not converted yet" in facts["image/efficientnet_lite0_imagenet"]["found"]
    jax = facts["jax"]
    assert not jax["mend"]


def test_what_waits_for_an_extra_is_told_with_its_command(presets, plain):
    code, facts = doctor()
    assert code == 0
    extras = {
        "image/efficientnet_lite0_imagenet": "imagenet",
        "face/dlib_resnet": "face",
        "genomics/spliceai": "spliceai",
    }
    for name, extra in extras.items():
        said = f'optional, not installed: pip install "deepfield[{extra}]"'
        assert facts[name]["found"] == said and not facts[name]["mend"]
    run = here("models", "list")
    assert 'needs deepfield[face]: pip install "deepfield[face]"\n' in run.out
    rows = [json.loads(line) for line in here("models", "list", "--json").out.splitlines()]
    needs = {row["model"]: row["needs"] for row in rows if row["needs"]}
    assert needs == {name: f"deepfield[{extra}]" for name, extra in extras.items()}


def test_a_damaged_preset_is_a_fault_with_its_mend(presets):
    (presets / "lenet5_mnist" / "model.onnx").write_bytes(b"x")
    shutil.rmtree(presets / "small_cnn_digits")
    code, facts = doctor()
    assert code == 1
    faults = {name: f for name, f in facts.items() if f["mend"]}
    assert set(faults) == {"image/lenet5_mnist", "image/small_cnn_digits"}
    assert "model.onnx" in faults["image/lenet5_mnist"]["found"]
    assert "missing" in faults["image/small_cnn_digits"]["found"]
    for fault in faults.values():
        assert shlex.split(fault["mend"])[0] in ("git", sys.executable)
    run = here("doctor")
    assert run.code == 1 and run.out.count("FAULT: ") == run.out.count("mend:  ") == 2
    assert run.out.endswith("\n2 faults found\n")


def test_one_remedy_is_told_everywhere(presets):
    stray = presets / "lenet5_mnist" / "notes (old).txt"
    stray.touch()
    (presets / "small_cnn_mnist" / "card.md").unlink()
    shutil.rmtree(presets / "small_cnn_digits")
    _, facts = doctor()
    rows = {
        r["model"]: r for r in map(json.loads, here("models", "list", "--json").out.splitlines())
    }
    mends = {}
    for name in ("lenet5_mnist", "small_cnn_mnist", "small_cnn_digits"):
        mend = mends[name] = facts[f"image/{name}"]["mend"]
        assert rows[f"image/{name}"]["fault"].endswith(f"; {mend}")
        assert not rows[f"image/{name}"]["measured"]
        for line in (f"models show {name}", f"models check {name}",
                     f"image predict sample:digit -m {name}"):  # fmt: skip
            run = here(*line.split())
            assert run.code in (4, 5) and run.two_lines
            assert run.err.endswith(f"hint: {mend}\n")
    assert shlex.split(mends["lenet5_mnist"]) == ["rm", str(stray)]
    for name in ("small_cnn_mnist", "small_cnn_digits"):
        assert shlex.split(mends[name])[0] in ("git", sys.executable)
    assert f"FAULT: {rows['image/lenet5_mnist']['fault']}\n" in here("models", "list").out


def test_a_damaged_converted_network_is_removed_to_be_converted_again(presets, tiny):
    folder = shutil.copytree(tiny, presets / "efficientnet_lite0_imagenet")
    (folder / "card.md").unlink()
    code, facts = doctor()
    fact = facts["image/efficientnet_lite0_imagenet"]
    assert code == 1 and "card.md is missing" in fact["found"]
    assert shlex.split(fact["mend"]) == ["rm", "-r", str(folder)]


def test_a_missing_package_and_an_untested_version_are_faults(presets, monkeypatch):
    from importlib import metadata

    real = metadata.version

    def version(name):
        if name == "pyarrow":
            raise metadata.PackageNotFoundError(name)
        return "2.5.0" if name == "keras" else real(name)

    monkeypatch.setattr(metadata, "version", version)
    code, facts = doctor()
    assert code == 1
    for name in ("pyarrow", "keras"):
        python, *rest = shlex.split(facts[name]["mend"])
        assert python == sys.executable and rest[:3] == ["-m", "pip", "install"]
        assert rest[3].startswith(f"{name}<") and ">=" in rest[3]  # the versions that were tested
    assert facts["pyarrow"]["found"] == "missing" and "2.5.0" in facts["keras"]["found"]


def test_a_cache_that_cannot_be_written_is_a_fault(presets, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("DEEPFIELD_CACHE", str(tmp_path / "file" / "cache"))
    code, facts = doctor()
    assert code == 1 and facts["cache"]["mend"] == "export DEEPFIELD_CACHE=$(mktemp -d)"


# -- models


def test_models_are_listed_in_eighty_columns(presets, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    run = here("models", "list")
    assert run.code == 0 and run.err == "part, size and data: from 120 columns on, or with --json\n"
    lines = [line for line in run.out.splitlines() if not re.match("    (needs|measured)", line)]
    assert max(map(len, lines)) <= 80
    assert lines[0].split() == ["model", "task", "measured", "licence"]
    starts = [line.split()[0] for line in lines if line.startswith("image/")]
    assert starts == [p for p in PRESETS if p.startswith("image/")]
    monkeypatch.setenv("COLUMNS", "400")  # what a wide terminal has room for is on one line
    run = here("models", "list")
    lines = [line for line in run.out.splitlines() if not re.match("    (needs|measured)", line)]
    assert not run.err and len(lines) == 1 + len(PRESETS)
    own = next(line for line in lines if line.startswith("image/small_cnn_digits"))
    figure = r"accuracy (0\.\d{4}) \(0\.\d{4}–[01]\.\d{4}\)"
    assert re.search(rf"  classification +{figure}  test +\d\.\d  Optical", own)
    monkeypatch.delenv("COLUMNS")
    run = here("models", "list")  # into a pipe
    heads = ["model", "task", "measured", "on", "MB", "data", "licence"]
    assert run.out.split("\n")[0].split() == heads
    lines = [line for line in run.out.splitlines() if not re.match("    (needs|measured)", line)]
    assert max(map(len, lines)) <= 180
    told = "measured on LFW View 1, pairsDevTest (grey crops), ten random folds"
    assert told in run.out  # what is no part of a split is told in words


def test_models_are_listed_for_machines_with_all_that_is_known(presets):
    run = here("models", "list", "--json")
    rows = {row["model"]: row for row in map(json.loads, run.out.splitlines())}
    assert list(rows) == PRESETS
    own = rows["image/small_cnn_digits"]
    assert own["task"] == "classification" and own["architecture"] == "small_cnn"
    assert own["parameters"] > 1000 and 0 < own["MB"] < 3 and own["data"] and own["licence"]
    for row in rows.values():
        assert row["domain"] == row["model"].partition("/")[0] and not row["fault"]
        assert row["licence"] and row["data"], row["model"]
    found = own["headline"]
    low, high = found["interval"]
    assert found["metric"] == "accuracy" and low < found["value"] < high
    assert found["part"] == "test" and found["n"] > 0
    tasks = {name: row["task"] for name, row in rows.items()}
    assert tasks["drug/fusion_esol"] == "regression"
    assert tasks["drug/fusion_tox21"] == "classification"
    assert tasks["speech/english"] == "transcription"
    assert tasks["face/dlib_resnet"] == "verification"  # told before it is converted
    assert tasks["qa/story"] == "question answering"


def test_a_long_cell_goes_on_in_the_next_line(capsys):
    program.table([{"a": "x" * 30, "b": "word " * 40, "c": ""}, {"a": "y", "b": "", "c": True}])
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 100 and lines[-1].split() == ["y", "yes"]
    assert sum(line.count("word") for line in lines) == 40
    program.table([{"a": "", "b": "classification"}, {"a": "y" * 70, "b": "by these words " * 9}])
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].strip() == "classification" and max(map(len, lines)) <= 100
    program.table([{"a": "", "": ""}])
    program.table([])


def test_a_model_is_shown_by_its_full_or_bare_name(presets):
    run = here("models", "show", "image/small_cnn_digits")
    assert run.code == 0 and run.out.startswith("# image/") and "## Measured" in run.out
    assert "| task | classification |" in run.out
    assert re.search(r"interval of the network's accuracy, test: 0\.\d+ to [01]", run.out)
    assert here("models", "show", "small_cnn_digits").out == run.out
    told = json.loads(here("models", "show", "small_cnn_digits", "--json").out)
    assert told["card"] == run.out and told["model"] == "image/small_cnn_digits"
    run = here("models", "show", "small_cnn_digit")
    assert run.code == 4 and run.two_lines and "small_cnn_digits" in run.err


def test_an_adopted_model_is_shown_before_it_is_there(presets, plain):
    for name, licence in (("image/efficientnet_lite0_imagenet", "Apache-2.0"),
                          ("face/dlib_resnet", "CC0 1.0"),
                          ("genomics/spliceai", "non-commercial use (CC BY-NC 4.0)")):  # fmt: skip
        if (program.preset_folder(domain(name.partition("/")[0]), name.partition("/")[2])).is_dir():
            continue  # converted by another test
        run = here("models", "show", name)
        assert run.code == 0 and run.out.startswith(f"# {name}\n"), run
        assert licence in run.out and " on PyPI" in run.out and 'pip install "deepfield[' in run.out
        told = json.loads(here("models", "show", name, "--json").out)
        assert told["card"] == run.out and told["needs"].startswith("deepfield[")


def test_a_conversion_is_told_unless_quiet_is_asked_for(presets, tiny, monkeypatch):
    from deepfield.toolkit.presets import begin_conversion

    def adopt(cls, name):
        begin_conversion(name, presets / name)("building the network")
        shutil.copytree(tiny, presets / name)

    monkeypatch.setattr("deepfield.toolkit.presets.adopt", adopt)
    name = "efficientnet_lite0_imagenet"
    for more, said in ((["--quiet"], False), ([], True)):
        run = here("image", "predict", "sample:digit", "--model", name, *more)
        assert run.code == 0 and ("converting the published weights" in run.err) == said
        assert said or not run.err
        shutil.rmtree(presets / name)


def test_an_adopted_network_is_made_of_what_its_extra_brings():
    from importlib import import_module, metadata

    asked = [line.replace("-", "_") for line in metadata.requires("deepfield")]
    for name in DOMAINS:
        cls = domain(name)
        for preset in cls.adopted:
            facts = adopted_facts(cls, preset)
            adopt = import_module(f"deepfield.domains.{name}.adopt")
            assert facts["packages"][0] == adopt.PACKAGE
            for package in facts["packages"]:
                own = [line for line in asked if line.startswith(package)]
                assert own and f"extra == '{facts['extra']}'" in own[0].replace('"', "'")


def test_models_are_checked_one_or_all(presets, monkeypatch):
    run = here("models", "check", "small_cnn_digits")
    assert run.code == 0 and "yes" in run.out and max(map(len, run.out.splitlines())) <= 100
    (presets / "lenet5_mnist" / "model.onnx").write_bytes(b"x")
    run = here("models", "check", "lenet5_mnist")
    assert run.code == 5 and run.two_lines
    monkeypatch.setattr(domain("image"), "adopted", {})

    def absent(*place, extra):
        raise NotFound(f"{place[0]} is not installed", "it is an extra")

    monkeypatch.setattr("deepfield.toolkit.installed_files.installed", absent)
    run = here("models", "check", "--json")
    rows = {r["model"]: r for r in map(json.loads, run.out.splitlines())}
    assert run.code == 1 and list(rows) == PRESETS
    assert rows["face/dlib_resnet"]["ok"] is None
    wrong = {name for name, row in rows.items() if row["ok"] is False}
    assert wrong == {"image/efficientnet_lite0_imagenet", "image/lenet5_mnist"}
    assert "model.onnx" in rows["image/lenet5_mnist"]["note"]
    run = here("models", "check")
    assert run.code == 1 and run.out.count("NO") == 2 and run.out.count("holds") == 1


def test_an_output_that_moved_is_found(presets, monkeypatch):
    monkeypatch.setattr(
        domain("image"), "check", lambda self: {"ok": False, "largest_difference": 0.5, "items": 3}
    )
    assert here("models", "check", "small_cnn_digits").code == 1
    code, facts = doctor()
    assert code == 1 and "differ by 0.5" in facts["image/small_cnn_digits"]["found"]
    assert "--force-reinstall onnxruntime" in facts["image/small_cnn_digits"]["mend"]


@pytest.mark.parametrize("arguments", [["models"], ["models", "nosuch"], ["models", "show"],
                                       ["doctor", "x"], ["demo", "--nosuch"]])  # fmt: skip
def test_wrong_usage_is_code_2(arguments):
    run = here(*arguments)
    assert run.code == 2 and (run.two_lines or "Commands:" in run.out)


# -- what ships


@pytest.mark.slow
@pytest.mark.parametrize("preset", SHIPPED)
def test_a_shipped_preset_answers_as_when_it_was_made(preset):
    run = typed("models", "check", preset, "--json")
    assert run.code == 0, run.err
    assert json.loads(run.out)["ok"] is True
    assert typed("models", "show", preset).out.startswith(f"# {preset}\n")


def test_a_folder_is_no_report_and_is_told_before_the_work(tmp_path, monkeypatch):
    monkeypatch.setattr("deepfield.toolkit.program.Report", None)  # no work can be done
    run = here("demo", "-o", str(tmp_path))
    assert run.code == 2 and run.two_lines and "is a folder" in run.err


def classes_of(**demos):
    """Pipelines of which nothing but their demonstration is asked."""
    face = domain("face")
    own = {"__module__": face.__module__}  # beside which its presets lie
    return {
        name: type(name, (face,), own | {"demo": staticmethod(demo)})
        for name, demo in demos.items()
    }


def test_a_domain_that_fails_does_not_stop_the_demonstration(tmp_path, monkeypatch, plain, capsys):
    monkeypatch.setenv("DEEPFIELD_CACHE", str(tmp_path / "cache"))

    def sound(page, console):
        return [answer_row("a.png", "net", "yes", 0.9)]

    def damaged(page, console):
        raise UnusableModel("the bundle is damaged", "rm stray.txt")

    def lacking(page, console):
        raise NotFound("the package is not installed", 'pip install "deepfield[face]"')

    def silent(page, console):
        return [answer_row("", "dlib_resnet", "pip it"), *sound(page, console)]

    def broken(page, console):
        return [answer_row("", "small_face", "rm stray.txt")]

    page = tmp_path / "page.html"
    assert program.demo(classes_of(one=silent, two=lacking, three=sound), str(page), False) == 0
    told = capsys.readouterr()
    assert told.out.count("yes") == 2 and told.out.count("not answered: ") == 2
    assert (
        '  not answered: the package is not installed; pip install "deepfield[face]"\n' in told.err
    )
    assert "dlib_resnet: not answered: pip it" in page.read_text()
    for demo in (damaged, broken):
        page.unlink()
        assert program.demo(classes_of(one=demo, two=sound), str(page), True) == 1
        told = " ".join(capsys.readouterr().out.split())  # a long cell goes on in the next line
        assert "yes" in told and "rm stray.txt" in told and page.is_file()


@pytest.mark.slow
def test_the_demonstration_answers_and_writes_one_page(tmp_path):
    run = typed("demo", "-o", "page.html", cwd=tmp_path)
    assert run.code == 0 and "Traceback" not in run.err, run.err
    lines = run.out.splitlines()
    assert lines[0].split()[:4] == ["domain", "input", "model", "answer"]
    assert max(map(len, lines)) <= 100
    assert {line.split()[0] for line in lines[1:] if not line.startswith(" ")} == set(DOMAINS)
    for name in DOMAINS:  # its default answers; a long name goes on in the next line
        assert domain(name).presets[0][:16] in run.out
    assert "not answered" not in run.out + run.err
    assert run.err.endswith("wrote page.html\n")
    page = (tmp_path / "page.html").read_text()
    assert page.rstrip().endswith("</html>") and 'src="data:image/png' in page
    assert "http://" not in page.replace("http://www.w3.org", "") and "<script src" not in page
    assert [p.name for p in tmp_path.iterdir()] == ["page.html"]
    fits_a_phone(tmp_path / "page.html")
    quiet = typed("demo", "-o", "page.html", "-q", cwd=tmp_path)
    assert quiet.code == 0 and not quiet.err


def test_the_demonstration_is_an_object_an_answer_for_machines(tmp_path, plain, capsys):
    def demo(page, console):
        return [answer_row("a.png", "net", "yes", 0.9, 12.5), answer_row("", "other", "pip it")]

    page = str(tmp_path / "page.html")
    assert program.demo(classes_of(one=demo), page, True, as_json=True) == 1
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert first == {
        "domain": "one", "asked": "a.png", "model": "net", "answer": "yes", "probability": 0.9,
        "seconds": 0.0125, "status": "ok", "reason": "",
    }  # fmt: skip
    assert second["answer"] is None and second["reason"] == "pip it"
    assert second["status"] == "rejected"


def fits_a_phone(page):
    """In a real browser, where there is one: as wide as a phone, every picture drawn."""
    browser = next(filter(None, map(shutil.which, ("chromium", "google-chrome", "chrome"))), None)
    if browser is None:
        return
    asked = """<script>document.title = [document.documentElement.scrollWidth, innerWidth,
    [...document.images].filter(i => i.complete && i.naturalWidth).length].join()</script>"""
    copy = page.with_name("asked.html")
    copy.write_text(page.read_text().replace("</main>", f"</main>{asked}"))
    profile = page.with_name("profile")
    found = subprocess.run(
        [browser, "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run",
         "--disable-background-networking", f"--user-data-dir={profile}", "--dump-dom",
         "--window-size=390,844", copy.as_uri()],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    title = re.search("<title>([^<]*)</title>", found.stdout)
    assert title is not None, found.stderr
    width, window, pictures = map(int, title[1].split(","))
    assert width <= window <= 500 and pictures == page.read_text().count("<img") > 10
