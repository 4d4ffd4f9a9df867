"""The bars: what is measured, how good it must be, and where its figure is found."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from deepfield.toolkit import cards

Figures = Mapping[str, Any]
#: What answers beside the networks of DNA; and sets that were measured before it did.
PLACED, ALONE = ", words by their places beside them", ", before words by their places"


def part_of(config: Figures) -> str:
    """The part that a preset is judged on: test where there is one."""
    parts = config.get("metrics") or {}
    return "test" if "test" in parts else "valid"


def percent(share: float, digits: int = 2) -> str:
    return f"{max(0.0, 100 * share):.{digits}f} %"


def interval(config: Figures, metric: str) -> tuple[float, float]:
    """The 95 % interval of a share on record; where there is none, Wilson's of the counts."""
    low, high = cards.interval(config, part_of(config), metric)
    if low is not None and high is not None:
        return low, high
    figures = config["metrics"][part_of(config)]
    n, p, z = figures["n"], figures[metric], 1.96
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * (p * (1 - p) / n + z * z / (4 * n * n)) ** 0.5
    return middle - half, middle + half


# ------------------------------------------------------------------------------------ the bars


def error_of(name: str) -> Callable[[Figures, Figures], tuple[str, float] | None]:
    def find(bench: Figures, shipped: Figures) -> tuple[str, float] | None:
        config = shipped.get(name)
        if config is None:
            return None
        figures = config["metrics"][part_of(config)]
        low, high = interval(config, "accuracy")
        shown = (
            f"{percent(1 - figures['accuracy'])} ({percent(1 - high)} to {percent(1 - low)}), "
            f"{part_of(config)} part, n = {figures['n']:,}"
        )
        return shown, 1 - figures["accuracy"]

    return find


def seconds_of(name: str, unit: str) -> Callable[[Figures, Figures], tuple[str, float] | None]:
    def find(bench: Figures, shipped: Figures) -> tuple[str, float] | None:
        config = shipped.get(name)
        if config is None or "training_seconds" not in config:
            return None
        value = config["training_seconds"] / (60 if unit == "min" else 1)
        return f"{value:.0f} {unit} ({config.get('training_machine', '')})", value

    return find


def row_of(
    benchmark: str, what: str, shown: Callable[[float], str], worst: Callable[..., float] = max
) -> Callable[[Figures, Figures], tuple[str, float] | None]:
    """The figure of a benchmark's rows whose name starts (or ends) so; of several, the worst."""

    def find(bench: Figures, shipped: Figures) -> tuple[str, float] | None:
        rows = bench.get(benchmark, {}).get("rows", [])
        values = [
            r["value"] for r in rows if r["what"].startswith(what) or r["what"].endswith(what)
        ]
        if not values:
            return None
        return shown(worst(values)), worst(values)

    return find


def long_run(kind: str) -> Callable[[Figures, Figures], tuple[str, float] | None]:
    """How many rows of a kind of work were answered in one run, how fast, and in what memory."""

    def find(bench: Figures, shipped: Figures) -> tuple[str, float] | None:
        own = bench.get("long_work", {}).get("details", {}).get(kind)
        if own is None:
            return None
        shown = f"{own['rows']:,}, {rate(own['rows'] / own['seconds'])}, {own['peak_mb']:.0f} MB"
        return shown, own["rows"]

    return find


def times(value: float) -> str:
    return f"{value:.2f}x"


def seconds(value: float) -> str:
    return f"{value:.2f} s"


def rate(value: float) -> str:
    return f"{value:,.0f} a second"


def count(value: float) -> str:
    return f"{value:.0f}"


def small(value: float) -> str:
    return f"{value:.3f}"


def factor(value: float) -> str:
    return f"{value:.4f}"


def gap(value: float) -> str:
    return f"{value:.1e}"


#: What, bar in words, its sign and limit, where the figure is, protocol, command.
BARS: Sequence[tuple[str, str, str, float, Any, str, str]] = (
    ("LeNet-5 (1998) on MNIST, error", "≤ 0.95 %", "<=", 0.0095, error_of("image/lenet5_mnist"),
     "part of the 60,000 training pictures, split off before training", "make presets"),
    ("small_cnn on MNIST, one network, error", "≤ 0.30 %", "<=", 0.003,
     error_of("image/small_cnn_mnist"), "as above", "make presets"),
    ("small_cnn on MNIST, training time", "≤ 60 min", "<=", 60,
     seconds_of("image/small_cnn_mnist", "min"), "two cores", "make presets"),
    ("digits, test error", "≤ 1 %", "<=", 0.01, error_of("image/small_cnn_digits"),
     "split 80/10/10 by the seed", "deepfield image train digits -o m"),
    ("digits, training time", "≤ 60 s", "<=", 60, seconds_of("image/small_cnn_digits", "s"),
     "two cores", "deepfield image train digits -o m"),
    ("EfficientNet-Lite0, 300 ImageNet photos, top-1", "≥ 86 %", ">=", 0.86,
     row_of("imagenet_sample", "EfficientNet-Lite0, photos of the ImageNet sample, top-1", percent),
     "a regression test: most likely training pictures; its accuracy is 75.1 %",
     "python benchmarks/imagenet_sample.py"),
    ("GTSRB, fine-tuned on 60 pictures a class, accuracy", "≥ 97 %", ">=", 0.97,
     row_of("gtsrb", "GTSRB, tracks set aside, accuracy", percent),
     "a fifth of the tracks of every class set aside, so fewer than 60 train; evaluated on those",
     "python benchmarks/gtsrb.py"),
    ("LeNet-5, epoch of ours over plain `keras.Sequential`", "≤ 1.1x", "<=", 1.1,
     row_of("lenet_speed", "LeNet-5, an epoch of ours over", times),
     "one process, in turns, median", "python benchmarks/lenet_speed.py"),
    ("prediction of 10,000 PNG files, over `model.predict`", "≥ 5x", ">=", 5,
     row_of("predict_mnist", "prediction from a folder, ours over", times),
     "whole processes, the same network, median of 3", "python benchmarks/predict_mnist.py"),
    ("our own Python between decoder and network", "≤ 20 %", "<=", 0.2,
     row_of("predict_mnist", "our own Python between", percent), "time of each thread",
     "python benchmarks/predict_mnist.py"),
    ("peak memory, 10,000 pictures over 2,000", "≤ 1.1x", "<=", 1.1,
     row_of("predict_mnist", "memory for all", times), "whole processes",
     "python benchmarks/predict_mnist.py"),
    ("bAbI, 10,000 questions a task, one network: mean error", "≤ 0.5 %", "<=", 0.005,
     row_of("babi", "babi_10k, mean error over", percent),
     "the part of every task set aside from training (task 3: 1,000 questions)",
     "python benchmarks/babi.py"),
    ("bAbI, 10,000 questions a task, one network: failed tasks", "none", "<=", 0,
     row_of("babi", "tasks failed by babi_10k", lambda v: f"{v:.0f}"), "above 5 % error",
     "python benchmarks/babi.py"),
    ("bAbI, 1,000 questions a task, one network: mean error", "≤ 10 %", "<=", 0.1,
     row_of("babi", "babi_1k, mean error over", percent),
     "as above", "python benchmarks/babi.py"),
    ("bAbI, 10,000 questions a task, MemN2N: mean error", "≤ 8.1 %", "<=", 0.081,
     row_of("babi", "memn2n_babi_10k, mean error over", percent),
     "as above; bar: 1.5 points above the published 6.6 %", "python benchmarks/babi.py"),
    ("stories of 60 sentences, all names invented, accuracy", "≥ 99 %", ">=", 0.99,
     row_of("unseen_names", " sentences, accuracy", percent),
     "simulated with a seed of their own, a question each", "python benchmarks/unseen_names.py"),
    ("20,000 bAbI questions from files to answers", "≥ 5,000 a second", ">=", 5000,
     row_of("qa_speed", "bAbI questions from files, answered", rate), "whole process, median of 3",
     "python benchmarks/qa_speed.py"),
    ("cold `qa ask`", "≤ 1.0 s", "<=", 1.0, row_of("qa_speed", "cold `qa ask`", seconds),
     "whole process, median of 3", "python benchmarks/qa_speed.py"),
    ("training `fusion` on Tox21", "≤ 30 min", "<=", 30,
     row_of("drug_training", "tox21, training `fusion`", lambda v: f"{v:.1f} min"),
     "whole process, two cores, empty cache", "python benchmarks/drug_training.py"),
    ("one network of it, times as quick to train as chemprop", "≥ 3x", ">=", 3,
     row_of("drug_training", "one network, times as quick", times),
     "whole processes, chemprop's default 50 epochs", "python benchmarks/drug_training.py"),
    ("MoleculeNet, sets measured, of 9", "9", ">=", 9,
     row_of("moleculenet", "MoleculeNet, sets measured", count),
     "the rows below are of these", "python benchmarks/moleculenet.py"),
    ("MoleculeNet, seeds of each", "3", ">=", 3,
     row_of("moleculenet", "MoleculeNet, seeds of each", count), "as above",
     "python benchmarks/moleculenet.py"),
    ("MoleculeNet, sets of 9 on which `fusion` beats a random forest", "≥ 7", ">=", 7,
     row_of("moleculenet", "MoleculeNet, sets on which fusion beats forest", count),
     "scaffold parts, mean of the seeds; FreeSolv and ESOL by `fusion` as it is, the other sets by "
     "earlier ones; see the file for intervals",
     "python benchmarks/moleculenet.py"),
    ("MoleculeNet, sets of 9 on which `fusion` beats chemprop", "≥ 7", ">=", 7,
     row_of("moleculenet", "MoleculeNet, sets on which fusion beats chemprop", count), "as above",
     "python benchmarks/moleculenet.py"),
    ("MoleculeNet, sets on which `fusion` is significantly worse than either", "none", "<=", 0,
     row_of("moleculenet", "MoleculeNet, significantly worse than", count),
     "95 % interval of 1,000 bootstrap samples of the molecules",
     "python benchmarks/moleculenet.py"),
    ("MoleculeACE, targets measured, of 30", "30", ">=", 30,
     row_of("moleculeace", "MoleculeACE, targets measured", count),
     "the two rows below are of these", "python benchmarks/moleculeace.py"),
    ("MoleculeACE, RMSE below a Tanimoto SVR's", "≥ 0.02", ">=", 0.02,
     row_of("moleculeace", "MoleculeACE, RMSE, below", small),
     "mean of the targets, threefold inside the training rows, one setting for all",
     "python benchmarks/moleculeace.py"),
    ("the same on activity cliffs", "≥ 0.02", ">=", 0.02,
     row_of("moleculeace", "MoleculeACE, RMSE on cliffs, below", small), "as above",
     "python benchmarks/moleculeace.py"),
    ("Merck's METAB, squared correlation above a random forest's", "≥ 0.02", ">=", 0.02,
     row_of("merck", "METAB, above the random forest", small),
     "last fifth of the rows, mean of the seeds",
     "python benchmarks/merck.py"),
    ("sets of 300 molecules, of 5, on which fine-tuning `encoder` beats starting anew", "all", ">=",
     5, row_of("small_sets", "on which `encoder` helps", count),
     "`dmpnn` both times, new scaffolds, mean of three seeds", "python benchmarks/small_sets.py"),
    ("`dmpnn`, molecules from SMILES to answers", "≥ 3,000 a second", ">=", 3000,
     row_of("drug_speed", "dmpnn, molecules from SMILES", rate),
     "whole process, without the nearest training molecule", "python benchmarks/drug_speed.py"),
    ("`dmpnn`, times as quick as chemprop", "≥ 5x", ">=", 5,
     row_of("drug_speed", "dmpnn, times as quick", times),
     "whole processes, one network against one", "python benchmarks/drug_speed.py"),
    ("`fusion`, molecules from SMILES to answers, with everything", "≥ 150 a second", ">=", 150,
     row_of("drug_speed", "fusion, molecules from SMILES", rate), "whole process",
     "python benchmarks/drug_speed.py"),
    ("cold `drug predict` of one molecule", "≤ 1.5 s", "<=", 1.5,
     row_of("drug_speed", "cold `drug predict`", seconds), "whole process, median of 3",
     "python benchmarks/drug_speed.py"),
    *(
        (f"{title}, {metric}", f"≥ {bar:g}", ">=", bar,
         row_of("genome_folds", f"{name}, ", figure),
         f"{folds} folds, similar sequences in one fold; three networks" + beside,
         "python benchmarks/genome_folds.py")
        for name, title, metric, bar, folds, figure, beside in (
            ("splice_human_donor", "human donor sites", "accuracy", 0.975, 5, percent, ""),
            ("splice_human_acceptor", "human acceptor sites", "accuracy", 0.965, 5, percent, ""),
            ("splice_hs3d_donor", "HS3D donor sites", "accuracy", 0.965, 5, percent, PLACED),
            ("splice_hs3d_acceptor", "HS3D acceptor sites", "accuracy", 0.955, 5, percent, PLACED),
            ("splice_uci", "UCI splice junctions", "accuracy", 0.97, 10, percent, PLACED),
            ("promoter_ecoli", "E. coli promoters", "MCC", 0.86, 5, small, PLACED),
            ("promoter_bsubtilis", "B. subtilis promoters", "MCC", 0.87, 5, small, PLACED),
            ("promoter_mouse_tata", "mouse promoters with TATA", "MCC", 0.92, 5, small, PLACED),
            ("promoter_arabidopsis_tata", "Arabidopsis promoters with TATA", "MCC", 0.945, 5,
             small, ALONE),
            ("promoter_arabidopsis_non_tata", "Arabidopsis promoters without TATA", "MCC", 0.885, 5,
             small, ALONE),
        )
    ),
    *(
        (f"human {kind}s, accuracy above SpliceAI's on the same sequences", "> 0", ">=", 0.001,
         row_of("splice_zero_shot", f"{kind}s, above SpliceAI", small),
         "500 of the validation part; SpliceAI at the threshold that is best on them",
         "python benchmarks/splice_zero_shot.py")
        for kind in ("donor", "acceptor")
    ),
    ("transcription factors measured, of 10", "10", ">=", 10,
     row_of("genome_folds", "factors measured", count),
     "the two rows below are of these", "python benchmarks/genome_folds.py"),
    ("factors whose network beats k-mer regression", "≥ 8 of 10", ">=", 8,
     row_of("genome_folds", "factors above the k-mers", count),
     "five folds of all factors together; networks begin from one of all; peaks against their own "
     "letters shuffled",
     "python benchmarks/genome_folds.py"),
    ("binding of factors, mean ROC-AUC", "≥ 0.97", ">=", 0.97,
     row_of("genome_folds", "factors, mean roc_auc", small), "as above",
     "python benchmarks/genome_folds.py"),
    ("`score` with `spliceai`, variants far apart, times as quick as the program", "≥ 5x", ">=", 5,
     row_of("spliceai_speed", "far apart, times as quick", times),
     "whole processes, the same networks and file", "python benchmarks/spliceai_speed.py"),
    ("the same, variants close together", "≥ 5x", ">=", 5,
     row_of("spliceai_speed", "close together, times as quick", times), "as above",
     "python benchmarks/spliceai_speed.py"),
    ("`spliceai` against the published networks, largest difference", "≤ 1e-4", "<=", 1e-4,
     row_of("spliceai_parity", "largest difference", gap), "random windows",
     "python benchmarks/spliceai_parity.py"),
    ("E. coli's genome looked through, one strand", "≥ 100,000 bases/s", ">=", 100_000,
     row_of("genome_speed", "genome, one strand", rate), "whole process, median of 3",
     "python benchmarks/genome_speed.py"),
    ("cold `genomics predict x.fa`", "≤ 1.5 s", "<=", 1.5,
     row_of("genome_speed", "cold `genomics predict", seconds), "whole process, median of 3",
     "python benchmarks/genome_speed.py"),
    ("AN4, word error rate, likeliest letters", "≤ 7 %", "<=", 0.07,
     row_of("an4", "word error rate, greedy", percent),
     "speakers set aside from training; networks and weights of the search were chosen on them",
     "python benchmarks/an4.py"),
    ("the same, with vocabulary and language model", "≤ 3.5 %", "<=", 0.035,
     row_of("an4", "word error rate, search", percent), "as above", "python benchmarks/an4.py"),
    ("FSDD, digits of known speakers", "≥ 99.7 %", ">=", 0.997,
     row_of("fsdd", "digits right, known speakers", percent),
     "recordings set aside from training at random", "python benchmarks/fsdd.py"),
    ("FSDD, digits of a stranger, mean of six", "≥ 95 %", ">=", 0.95,
     row_of("fsdd", "digits right, a stranger", percent),
     "`cnn_ctc`, trained on the other five and on voices of espeak-ng for 30 epochs, six times"
     " over; its normalisation was chosen on one of the six",
     "python benchmarks/fsdd.py --voices en --epochs 30"),
    ("ten minutes of AN4, real-time factor, greedy", "≤ 0.02", "<=", 0.02,
     row_of("speech_speed", "real-time factor, greedy", factor), "whole process, median of 3",
     "python benchmarks/speech_speed.py"),
    ("the same, with vocabulary and language model", "≤ 0.05", "<=", 0.05,
     row_of("speech_speed", "real-time factor, search", factor), "as above",
     "python benchmarks/speech_speed.py"),
    ("greedy, times as quick as pocketsphinx with the set's grammar", "≥ 3x", ">=", 3,
     row_of("speech_speed", "greedy, times as quick", times), "the same recordings, the same run",
     "python benchmarks/speech_speed.py"),
    ("training `an4`", "≤ 120 min", "<=", 120, seconds_of("speech/an4", "min"), "one of two cores",
     "make presets"),
    ("cold `speech transcribe clip.wav`", "≤ 1.5 s", "<=", 1.5,
     row_of("speech_speed", "cold `speech transcribe", seconds), "whole process, median of 3",
     "python benchmarks/speech_speed.py"),
    ("an hour-long wav, memory above ten minutes'", "≤ 40 MB", "<=", 40,
     row_of("speech_speed", "more memory for an hour", lambda v: f"{v:.0f} MB"),
     "whole processes", "python benchmarks/speech_speed.py"),
    ("LFW View 1 (grey crops), `dlib_resnet`, accuracy", "≥ 98.3 %", ">=", 0.983,
     row_of("lfw", "LFW View 1, pairsDevTest, accuracy", percent),
     "pairsDevTest, ten random folds; the chain was chosen on pairsDevTrain",
     "python benchmarks/lfw.py"),
    ("the same, at the threshold of pairsDevTrain", "≥ 98.3 %", ">=", 0.983,
     row_of("lfw", "LFW View 1, pairsDevTest, at the threshold", percent),
     "View 1's own protocol: all is chosen on pairsDevTrain", "python benchmarks/lfw.py"),
    ("embeddings against dlib's own", "≤ 1e-5", "<=", 1e-5,
     row_of("dlib_parity", "embeddings, largest difference", gap), "chips of LFW and drawn ones",
     "python benchmarks/dlib_parity.py"),
    ("the detector's confidences against dlib's", "≤ 1e-4", "<=", 1e-4,
     row_of("dlib_parity", "confidences at the given", gap), "at the picture's own size",
     "python benchmarks/dlib_parity.py"),
    ("landmarks that are dlib's own", "≥ 95 %", ">=", 0.95,
     row_of("dlib_parity", "landmarks the same pixels", percent), "on the same boxes",
     "python benchmarks/dlib_parity.py"),
    ("embeddings, times as quick as dlib", "≥ 10x", ">=", 10,
     row_of("face_speed", "embedding, times as quick", times), "the same chips, the same run",
     "python benchmarks/face_speed.py"),
    ("detection in 640 x 480, times as quick as dlib", "≥ 10x", ">=", 10,
     row_of("face_speed", "detection, times as quick", times), "the same photos, the same run",
     "python benchmarks/face_speed.py"),
    ("cold `face verify`", "≤ 3 s", "<=", 3, row_of("face_speed", "cold `face verify`", seconds),
     "whole process, median of 3", "python benchmarks/face_speed.py"),
    ("cold `face verify --crop`", "≤ 1.5 s", "<=", 1.5,
     row_of("face_speed", "cold `face verify --crop`", seconds), "as above",
     "python benchmarks/face_speed.py"),
    ("`find` among 100,000 faces", "≤ 50 ms", "<=", 50,
     row_of("face_speed", "`find` among", lambda v: f"{v:.1f} ms"), "median of 20, once loaded",
     "python benchmarks/face_speed.py"),
    ("AT&T faces, all pairs, ROC-AUC", "≥ 0.999", ">=", 0.999,
     row_of("lfw", "AT&T faces, all pairs, ROC-AUC", lambda v: f"{v:.5f}"), "the same chain",
     "python benchmarks/lfw.py"),
    ("LFW View 1 (grey crops), `small_face`, accuracy", "≥ 80 %", ">=", 0.8,
     row_of("lfw", "small_face, LFW View 1, accuracy", percent),
     "as above; trained on the people of pairsDevTrain", "python benchmarks/lfw.py"),
    ("the same, above eigenfaces", "≥ 2 points", ">=", 0.02,
     row_of("lfw", "small_face above eigenfaces", lambda v: f"{100 * v:.1f} points"),
     "the same chips", "python benchmarks/lfw.py"),
    ("`deepfield --help` and of a domain", "≤ 0.4 s", "<=", 0.4,
     row_of("cold_start", "--help", seconds), "the slower, median of 5 processes",
     "python benchmarks/cold_start.py"),
    ("first answer of the slowest preset", "≤ 1.5 s", "<=", 1.5,
     row_of("cold_start", "first answer of", seconds), "cold process, warm disk, median of 5",
     "python benchmarks/cold_start.py"),
    ("ONNX against Keras, worst preset", "≤ 1e-4", "<=", 1e-4,
     row_of("agreement", ", ONNX against Keras", gap), "golden and random inputs",
     "python benchmarks/agreement.py"),
    ("batch against one by one, worst preset", "≤ 1e-5", "<=", 1e-5,
     row_of("agreement", ", batch against one by one", gap), "golden and random inputs",
     "python benchmarks/agreement.py"),
    ("runs stopped by SIGKILL or SIGINT, in all", "200", ">=", 200,
     row_of("kill_resume", "stopped in all", "{:.0f}".format),
     "at random moments of train, predict and a conversion", "python benchmarks/kill_resume.py"),
    ("of these: trainings that end in the same bits", "all", ">=", 1,
     row_of("kill_resume", "train, stopped", lambda v: percent(v, 0)),
     "with `--resume`", "python benchmarks/kill_resume.py"),
    ("predictions that give the same file", "all", ">=", 1,
     row_of("kill_resume", "predict, stopped", lambda v: percent(v, 0)),
     "with `--resume`", "python benchmarks/kill_resume.py"),
    ("conversions that give the same answer", "all", ">=", 1,
     row_of("kill_resume", "convert, stopped", lambda v: percent(v, 0)),
     "run again in the same cache", "python benchmarks/kill_resume.py"),
    ("SIGINT told in two lines", "all", ">=", 1,
     row_of("kill_resume", "interrupted and told", lambda v: percent(v, 0)),
     "from half a second on: before, Python imports the program",
     "python benchmarks/kill_resume.py"),
    *(
        (f"{kind} answered in one run", f"{count:,}", ">=", count, long_run(kind),
         f"whole process, {model}", f"python benchmarks/long_work.py {kind}")
        for kind, count, model in (("molecules", 1_000_000, "`dmpnn`, no neighbours"),
                                   ("questions", 1_000_000, "`babi_10k`"),
                                   ("pictures", 20_000, "`small_cnn_mnist`"))
    ),
    ("peak memory of these, over that for a tenth of the rows", "≤ 1.1x", "<=", 1.1,
     row_of("long_work", "over a tenth's", times), "the worst; the largest process",
     "python benchmarks/long_work.py"),
    ("these, killed three times and resumed: the same file", "all", ">=", 1,
     row_of("long_work", "resumed: same file", lambda v: percent(v, 0), min),
     "SIGKILL at random moments", "python benchmarks/long_work.py"),
    ("default test suite", "≤ 10 min", "<=", 10,
     row_of("suite", "default test suite", lambda v: f"{v:.1f} min"), "two processes",
     "python benchmarks/suite.py"),
)  # fmt: skip
