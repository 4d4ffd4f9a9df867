"""What pocketsphinx hears, in a process of its own that can import it.

Reads from standard input one JSON object: `{"files": [raw 16-bit files of 16 kHz], "dictionary",
"grammar"}`, writes one: `{"texts", "seconds", "load_seconds"}`. Without a dictionary its
default English model and language model are used; with one, that dictionary and a JSGF grammar.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from pocketsphinx import Config, Decoder


def main() -> int:
    asked = json.loads(sys.stdin.read())
    began = time.perf_counter()
    config = Config()  # its default English model
    config["loglevel"] = "ERROR"
    if asked.get("dictionary"):
        config["dict"], config["lm"] = asked["dictionary"], None
        config["jsgf"] = asked["grammar"]
        config["bestpath"] = False  # going over the lattice takes a hundred times as long
    decoder = Decoder(config)
    loaded = time.perf_counter() - began
    texts, seconds = [], []
    for file in asked["files"]:
        data = Path(file).read_bytes()
        began = time.perf_counter()
        decoder.start_utt()
        decoder.process_raw(data, full_utt=True)
        decoder.end_utt()
        found = decoder.hyp()
        seconds.append(time.perf_counter() - began)
        texts.append("" if found is None else found.hypstr.lower())
    print(json.dumps({"texts": texts, "seconds": seconds, "load_seconds": loaded}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
