"""The program as a user types it: help, errors, pipes, interruptions."""

import os
import shlex
import signal
import subprocess
import sys
import time

import pytest
from click.shell_completion import ShellComplete
from program import environment, here, start, typed

from deepfield import cli
from deepfield.domains import DOMAINS, domain
from deepfield.toolkit import verbs
from deepfield.toolkit.errors import EXIT_CODES

VERBS = [(name, verb) for name in DOMAINS for verb in [*verbs.VERBS, *domain(name).verbs]]


def commands():
    program = cli.program()
    for name, verb in VERBS:
        group = program.get_command(None, name)
        yield name, verb, group.get_command(None, verb)


def test_the_verbs_of_the_program_are_those_of_the_table():
    program = cli.program()
    assert program.list_commands(None) == [*DOMAINS, *verbs.PROGRAM_VERBS]
    for name in DOMAINS:
        group = program.get_command(None, name)
        assert group.list_commands(None) == [*verbs.VERBS, *domain(name).verbs]


def test_a_flag_means_one_thing_everywhere():
    meanings = {}
    for name, verb, command in commands():
        for param in command.params:
            for flag in param.opts:
                if flag.startswith("-"):
                    own = any("--" + o.name.replace("_", "-") == flag for o in domain(name).options)
                    place = (name if own else "", flag)
                    meaning = (param.name, param.help, param.type.name, param.is_flag)
                    assert meanings.setdefault(place, meaning) == meaning, (name, verb, flag)
    shared = {flag for owner, flag in meanings if not owner}
    assert not shared & {flag for owner, flag in meanings if owner}


@pytest.mark.parametrize("flag", ["label", "group", "part", "root"])
def test_how_a_table_is_read_is_said_alike_in_every_domain(flag):
    own = [(name, o) for name in DOMAINS for o in domain(name).options if o.name == flag]
    said = {option.help.partition(";")[0] for _, option in own}
    taken = {tuple(verb for verb in verbs.VERBS if verb in option.verbs) for _, option in own}
    assert len(own) > 1 and len(said) == len(taken) == 1, (said, taken)
    assert ("explain" in taken.pop()) == (flag == "root")


def test_every_example_parses():
    count = 0
    for name in DOMAINS:
        for verb, examples in domain(name).examples.items():
            for example in examples:
                program, where, what, *rest = shlex.split(example)
                assert (program, where, what) == ("deepfield", name, verb)
                command = cli.program().get_command(None, name).get_command(None, verb)
                assert command.make_context(verb, rest).params
                count += 1
    assert count >= 2 * len(VERBS) - 2 * sum(len(domain(n).verbs) for n in DOMAINS)


def test_every_verb_has_help_that_starts_with_its_examples():
    for name, verb, _ in commands():
        run = here(name, verb, "--help")
        assert run.code == 0 and not run.err
        assert run.out.startswith("Examples:\n") or verb not in domain(name).examples


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ("imge", 2, "did you mean image"),
        ("image pridect x", 2, "did you mean predict"),
        ("image predict --modle m x", 2, "did you mean --model"),
        ("image predict", 2, "missing argument 'DATA...'"),
        ("image predict x --batch-size 0", 2, "batch-size"),
        ("image predict x --batch-size many", 2, "'many'"),
        ("image predict x --on-error explode", 2, "explode"),
        ("image predict nosuch.png -m MODEL", 4, "no such file or folder: 'nosuch.png'"),
        ("image predict '' -m MODEL", 2, "names nothing"),
        ("image predict sample:nosuch -m MODEL", 4, "sample:china"),
        ("image predict digits -m nosuch", 4, "no model 'nosuch'"),
        ("image predict digits -m ''", 2, "names nothing"),
        ("face verify sample:mirrored sample:mirrored -m ''", 2, "--model names nothing"),
        ("face find sample:mirrored --gallery sample:people -m ''", 2, "--model names nothing"),
        ("qa ask Where? --story sample:lotr -m ''", 2, "--model names nothing"),
        ("genomics score sample:variants --genome sample:genome -m ''", 2, "--model names nothing"),
        ("speech transcribe sample:said -m ''", 2, "--model names nothing"),
        ("image finetune digits --from a, -o m", 2, "names nothing between"),
        ("image predict digits -m EMPTY", 4, "config.json"),
        ("image predict EMPTY -m MODEL", 4, "no picture"),
        # before the model is looked at, since that may have to be converted first
        ("image predict nosuch.png -m EMPTY", 4, "nosuch.png"),
        ("image evaluate nosuch -m EMPTY", 4, "nosuch"),
        ("image explain nosuch.png -m EMPTY", 4, "nosuch.png"),
        ("image finetune nosuch --from EMPTY -o m", 4, "nosuch"),
        ("image predict digits -m MODEL -o out.xyz", 2, "suffix"),
        ("image predict digits -m MODEL -o EMPTY", 2, "is a folder"),
        ("image predict digits -m MODEL -o /proc/no/x.csv", 1, "cannot write"),
        ("image predict digits -m MODEL -o a.jsonl --format csv", 2, "ends in .jsonl"),
        ("image predict digits -m MODEL -o a.csv --json", 2, "ends in .csv"),
        ("image predict digits -m MODEL --json --format csv", 2, "--json"),
        ("image predict digits -m MODEL --format parquet", 2, "standard output"),
        ("image predict digits -m MODEL --resume", 2, "file"),
        ("image predict digits -m MODEL --device tpu", 2, "'tpu'"),
        ("image predict digits -m MODEL --root x", 2, "--root does not apply"),
        ("image predict EMPTY/../broken.png -m MODEL --on-error fail", 1, "broken.png"),
        ("image predict digits --config nosuch.toml", 4, "nosuch.toml"),
        ("image evaluate sample:photos -m MODEL", 2, "no label"),
        ("image evaluate digits -m MODEL --json -o -", 2, "standard output"),
        ("image evaluate digits -m MODEL --format csv", 2, "add -o"),
        ("image train digits", 2, "add -o"),
        ("image train digits -o -", 2, "add -o"),
        ("image train digits -o m --folds 1", 2, "folds"),
        ("image train digits -o .", 2, "is a folder of yours"),
        ("image evaluate digits -m MODEL --html rows.csv", 2, "cannot write a report into"),
        ("qa ask x --story /dev/zero", 2, "'/dev/zero' has a line of more than"),
        ("image finetune digits", 2, "add -o"),
        ("image explain sample:digit -m MODEL -o why.txt", 2, ".png or .html"),
        ("image export -m MODEL", 2, "add -o"),
        ("image describe lenet6", 4, "did you mean lenet5"),
        ("image describe ''", 4, "there are lenet5, small_cnn"),
        ("image describe EMPTY", 4, "config.json"),
    ],
)
def test_an_error_is_two_lines_and_a_listed_code(
    tiny, tmp_path, monkeypatch, arguments, code, said
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n no")
    text = arguments.replace("MODEL", str(tiny)).replace("EMPTY", "empty")
    run = here(*shlex.split(text))
    assert run.code == code and code in EXIT_CODES and run.two_lines, run
    assert said in run.err and len(run.err.splitlines()) == 2, run.err
    assert sorted(os.listdir(tmp_path)) == ["broken.png", "empty"]


def test_values_of_a_toml_file_are_defaults_and_the_command_line_wins(tiny, tmp_path):
    config = tmp_path / "c.toml"
    config.write_text(f'model = {str(tiny)!r}\njson = true\non-error = "skip"\n')
    run = here("image", "predict", "sample:digit", "--config", str(config))
    assert run.code == 0 and run.out.startswith("{")
    run = here("image", "predict", "sample:digit", "--config", str(config), "-m", "nosuch")
    assert run.code == 4
    for text, said in (("modle = 1", "did you mean model"), ("x = ", "not TOML"),
                       ("on_error = 3", "'--on-error': 3"),
                       ("[model]\na = 1", "table")):  # fmt: skip
        config.write_text(text)
        run = here("image", "predict", "sample:digit", "--config", str(config))
        assert run.code == 2 and run.two_lines and said in run.err, run.err


def test_describe_without_a_name_says_what_it_describes():
    run = here("image", "describe")
    assert run.code == 0 and run.out.splitlines()[-1].startswith("total")
    assert run.err.startswith("small_cnn, the default. Others: lenet5, ")


def test_quiet_says_nothing_and_verbose_names_every_rejected_row(tiny, tmp_path):
    (tmp_path / "a.png").write_bytes(b"no picture")
    run = here("image", "predict", str(tmp_path / "a.png"), "-m", str(tiny), "-q")
    assert run.code == 3 and not run.err and "rejected" in run.out
    run = here("image", "predict", str(tmp_path), "sample:digit", "-m", str(tiny), "-v")
    assert run.code == 3 and f"rejected {tmp_path}/a.png: " in run.err


def test_debug_shows_where_and_keeps_the_code():
    run = here("image", "predict", "digits", "-m", "nosuch", "--debug")
    assert run.code == 4 and "Traceback" in run.err and run.err.splitlines()[-1][:5] == "hint:"


def test_a_closed_pipe_is_141_without_noise(tiny):
    process = start("image", "predict", *["digits"] * 4, "-m", str(tiny))
    assert process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == b"" and process.wait() == 141


def test_standard_input_and_output_are_used(tiny, tmp_path):
    from deepfield.domains.image.data import SAMPLES

    path = SAMPLES["digit"]()
    run = typed("image", "predict", "-", "-m", str(tiny), "-q", stdin=f"path\n{path}\n".encode())
    assert run.code == 0 and run.out.startswith("path,label,") and path in run.out and not run.err


_FILES = """
import signal, sys
from deepfield.toolkit import writers
# what is started in the background of a shell is born deaf to it
signal.signal(signal.SIGINT, signal.default_int_handler)
_write = writers.RowWriter.write
def write(self, *told):
    _write(self, *told)
    if self.samples >= {at}:
        import os, signal, time
        os.kill(os.getpid(), signal.{signal})
        time.sleep(5)
writers.RowWriter.write = write
"""


def test_a_killed_prediction_is_resumed_to_the_same_bytes(tiny, tmp_path):
    whole, torn = tmp_path / "whole.csv", tmp_path / "torn.csv"
    arguments = ("image", "predict", "digits", "digits", "-m", str(tiny), "-o")
    assert here(*arguments, str(whole)).code == 0
    killed = typed(*arguments, str(torn), prefix=_FILES.format(at=600, signal="SIGKILL"))
    assert killed.code == -9 and not torn.exists()
    stopped = typed(*arguments, str(torn), "--resume",
                    prefix=_FILES.format(at=2000, signal="SIGINT"))  # fmt: skip
    assert stopped.code == 130 and stopped.two_lines and not torn.exists(), stopped
    assert (tmp_path / "torn.csv.part").stat().st_size > 1000
    assert here(*arguments, str(torn), "--resume").code == 0
    assert torn.read_bytes() == whole.read_bytes()
    assert sorted(os.listdir(tmp_path)) == ["torn.csv", "whole.csv"]


def test_a_file_that_outgrows_its_limit_is_said_and_can_be_resumed(tiny, tmp_path):
    out = tmp_path / "a.csv"
    limit = (
        "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))\n"
    )
    arguments = ("image", "predict", "digits", "-m", str(tiny), "-o", str(out))
    run = typed(*arguments, prefix=limit)
    assert run.code == 1 and run.two_lines and not out.exists(), run
    assert here(*arguments, "--resume").code == 0
    assert len(out.read_text().splitlines()) == 1798


_HEAVY = ["tensorflow", "keras", "scipy", "sklearn", "pandas", "librosa", "matplotlib"]


def test_a_prediction_imports_nothing_heavy_and_writes_nothing_elsewhere(tiny, tmp_path):
    home = tmp_path / "home"
    home.mkdir(mode=0o500)
    code = (
        "import sys; from deepfield.cli import main; code = main(); "
        f"heavy = [m for m in {_HEAVY!r} if m in sys.modules]; "
        "print(heavy, file=sys.stderr); sys.exit(code)"
    )
    command = [
        sys.executable,
        "-c",
        code,
        "image",
        "predict",
        "sample:china",
        "-m",
        str(tiny),
        "-q",
    ]
    env = environment(HOME=str(home), DEEPFIELD_CACHE=str(home / "cache"), NO_COLOR="1")
    before = time.monotonic()
    run = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=env)
    assert run.returncode == 0 and run.stderr.strip() == "[]", run.stderr
    assert time.monotonic() - before < 10
    assert os.listdir(tmp_path) == ["home"] and not os.listdir(home)
    assert "\x1b" not in run.stdout


@pytest.mark.slow
def test_help_comes_at_once():
    for arguments in (["--help"], ["image", "--help"], ["image", "train", "--help"]):
        times = []
        for _ in range(5):
            began = time.monotonic()
            assert typed(*arguments).code == 0
            times.append(time.monotonic() - began)
        assert min(times) <= 0.4, times


@pytest.mark.slow
def test_prediction_takes_constant_memory(tiny, tmp_path):
    from deepfield.domains.image.data import SAMPLES

    peaks = []
    code = (
        "import sys, resource; from deepfield.cli import main; main(); "
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)"
    )
    for count in (2_000, 40_000):
        table = tmp_path / f"{count}.csv"
        table.write_text("path\n" + f"{SAMPLES['digit']()}\n" * count)
        out = ["-m", str(tiny), "-o", str(tmp_path / "out.csv"), "-q"]
        command = [sys.executable, "-c", code, "image", "predict", str(table), *out]
        run = subprocess.run(command, capture_output=True, text=True, env=environment())
        peaks.append(int(run.stderr))
    assert peaks[1] < peaks[0] + 30_000, peaks  # KiB


@pytest.mark.slow
def test_an_interrupted_training_is_130_and_resumes(tmp_path):
    out = tmp_path / "m"
    # long enough that a busy machine does not finish before it hears the signal
    arguments = ("image", "train", "digits", "-o", str(out), "--epochs", "40", "--set", "filters=4")
    process = start(*arguments)
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob("m.part/*/checkpoint.safetensors")):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out_, err = process.communicate(timeout=60)
    assert process.returncode == 130 and not out_, err
    assert [line.split(b":")[0] for line in err.splitlines()[-2:]] == [b"error", b"hint"]
    assert b"Traceback" not in err and not out.exists()
    again = typed(*arguments)
    assert again.code == 2 and "--resume" in again.err
    assert typed(*arguments, "--resume").code == 0
    assert sorted(os.listdir(tmp_path)) == ["m"]


@pytest.mark.parametrize(
    ("words", "typed_", "offered"),
    [("", "gen", ["genomics"]), ("genomics", "pre", ["predict"]),
     ("genomics predict --model", "spliceai", ["spliceai", "spliceai"]),  # a file, or the preset
     ("genomics predict", "my", ["my"]), ("image predict x -o", "my", ["my"]),
     ("image predict x --on-error", "f", ["fail"]),
     ("models show", "image/l", ["image/lenet5_mnist"]),
     ("models check", "lenet", ["lenet5_mnist"]),
     ("image train x --architecture", "s", ["small_cnn"]),
     ("image describe", "lenet", ["lenet", "lenet5_mnist", "lenet5"])],
)  # fmt: skip
def test_the_shell_completes_verbs_presets_and_files(words, typed_, offered):
    complete = ShellComplete(cli.program(), {}, "deepfield", "_DEEPFIELD_COMPLETE")
    found = complete.get_completions(words.split(), typed_)
    assert [item.value for item in found] == offered
    assert [item.type for item in found if item.value == "my"] in ([], ["file"])


@pytest.mark.parametrize("name", DOMAINS)
def test_the_architectures_that_the_shell_offers_are_those_there_are(name):
    assert sorted(cli._architectures(domain(name))) == sorted(domain(name).builders().names())


@pytest.mark.parametrize(
    ("line", "hint"), [("image predict digits -o OUT", "--resume"),
                       ("image predict digits", "run it again"),
                       ("image evaluate digits", "run it again")],
)  # fmt: skip
def test_who_interrupts_is_told_of_resume_where_there_is_one(line, hint, tmp_path, monkeypatch):
    def stopped(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("deepfield.domains.load", stopped)
    run = here(*line.replace("OUT", str(tmp_path / "a.csv")).split())
    assert run.code == 130 and run.two_lines and hint in run.err


#: Interrupts the process when it imports a module.
_INTERRUPTED = """
import os, signal, sys
class Finder:
    def find_spec(name, *_):
        if name == {!r}:
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Finder)
signal.signal(signal.SIGINT, signal.default_int_handler)
"""


@pytest.mark.parametrize(
    "module",
    ["deepfield.cli", "click", "deepfield.domains", "deepfield.domains.image", "onnxruntime"],
)
def test_an_interruption_while_modules_are_imported_is_told_in_two_lines(module):
    run = typed("image", "predict", "sample:digit", prefix=_INTERRUPTED.format(module))
    assert run.code == 130 and run.err == "error: interrupted\nhint: run it again\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ("drug", "predict", "other.csv,IN", "-o", "IN"),
        ("drug", "train", "x.csv", "-o", "m", "--save-split", "IN", "--set", "IN"),
        ("genomics", "score", "sample:variants", "--genome", "IN", "-o", "IN"),
        ("image", "explain", "IN", "-o", "IN"),
        ("speech", "transcribe", "sample:said", "--sentences", "IN", "-o", "IN"),
        ("qa", "evaluate", "IN", "--html", "IN"),
        ("image", "predict", "x.png", "--config", "IN", "-o", "IN", "--format", "csv"),
    ],
)
def test_no_verb_writes_over_what_it_reads(arguments, tmp_path):
    held = tmp_path / "in.png"
    held.write_text("# kept")
    run = here(*(a.replace("IN", str(held)) for a in arguments))
    assert run.code == 2 and run.two_lines and "would be lost" in run.err
    assert held.read_text() == "# kept"


def test_a_word_of_a_flag_is_no_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tsv").write_text("old")
    run = here("drug", "predict", "CCO", "--format", "tsv", "-o", "tsv")
    assert run.code == 0 and (tmp_path / "tsv").read_text().startswith("smiles\t")


def test_standard_input_is_named_once():
    run = here("drug", "predict", "-", "-")
    assert run.code == 2 and run.two_lines and "'-' is named twice" in run.err
