"""Train a toy in a process of its own, to be killed: `resumed_run.py TOY OUT FLAGS-AS-JSON`."""

import json
import os
import signal
import sys


def main(name, out, arguments):
    import toys

    from deepfield.toolkit.errors import DeepfieldError

    kill_after = arguments.pop("kill_after", None)
    pause = arguments.pop("pause", 0)
    seen = 0

    def progress(epoch, epochs, batch, batches, logs):
        nonlocal seen
        seen += 1
        if pause:
            import time

            time.sleep(pause)
        if seen == kill_after:
            os.kill(os.getpid(), signal.SIGKILL)

    data = arguments.pop("data", "toy")
    try:
        getattr(toys, name)().fit(data, out=out, progress=progress, **arguments)
    except DeepfieldError as error:
        print(f"error: {error.message}\nhint: {error.hint}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], json.loads(sys.argv[3])))
