"""What the command line offers for pictures: options, examples."""

from __future__ import annotations

from deepfield.toolkit.data import Option
from deepfield.toolkit.options import LEARNING, group, label, part, root

#: Options of the domain's own.
OPTIONS: tuple[Option, ...] = (
    Option("size", "side of the network's frame in pixels", LEARNING, int),
    Option("channels", "1: grey, 3: colour", LEARNING, int),
    Option("fit", "how pictures fill the frame", LEARNING, choices=("squash", "crop", "pad")),
    label(),
    group("'prefix' is the file name up to its last underscore"),
    part(),
    root(),
)

#: Commands by verb.
EXAMPLES: dict[str, tuple[str, ...]] = {
    "inspect": (
        "deepfield image inspect digits",
        "deepfield image inspect sample:digits-folder --no-timing",
    ),
    "train": (
        "deepfield image train digits -o digits_model",
        "deepfield image train sample:digits-folder -o tiny --epochs 2 --split random:60/20/20",
    ),
    "finetune": (
        "deepfield image finetune sample:digits-folder --from small_cnn_digits -o mine",
        "deepfield image finetune sample:digits-zip --from small_cnn_mnist -o my2",
    ),
    "evaluate": (
        "deepfield image evaluate digits --model small_cnn_digits",
        "deepfield image evaluate sample:digits-idx --model small_cnn_digits --json",
    ),
    "predict": (
        "deepfield image predict sample:china",
        "deepfield image predict sample:digits-folder --model small_cnn_digits -o answers.csv",
    ),
    "explain": (
        "deepfield image explain sample:flower -o why.png",
        "deepfield image explain sample:digit --model lenet5_mnist -o why.html",
    ),
    "export": (
        "deepfield image export --model lenet5_mnist -o lenet5.onnx",
        "deepfield image export --model small_cnn_digits -o digits.tflite",
    ),
    "describe": (
        "deepfield image describe lenet5",
        "deepfield image describe small_cnn_mnist --json",
    ),
}
