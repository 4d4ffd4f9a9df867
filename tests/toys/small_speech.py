"""A network that learns the made-up voices within seconds."""

#: Settings of `quartznet_small`.
SMALL_SPEECH = {
    "filters": 40, "blocks": 1, "repeats": 1, "mels": 24, "dropout": 0.0, "masks": 0, "noise": 0.1,
    "epochs": 20, "batch_size": 12, "learning_rate": 0.012, "ema": 0.0,
}  # fmt: skip
