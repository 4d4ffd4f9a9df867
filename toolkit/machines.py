"""Several machines train one network: Keras on JAX, each with its share of every batch."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import keras

from deepfield.toolkit.batches import Share
from deepfield.toolkit.errors import DeepfieldError, UsageError


def join_machines(address: str, index: int, count: int) -> None:
    """Join several machines into one training by Keras on JAX; call it before building.

    Every machine reads the same data, computes its share of every batch (see `Batches`) and holds
    all weights; gradients, figures and batch statistics are those of the whole batch.

    Args:
        address: `host:port` of machine 0.
        index: of this machine.
        count: of all.

    Raises:
        UsageError: Keras does not run on JAX here, or there is no machine `index`.
        DeepfieldError: the machines do not find one another.
    """
    if keras.backend.backend() != "jax":
        raise UsageError(
            "several machines need Keras on JAX", 'pip install "deepfield[jax]"; KERAS_BACKEND=jax'
        )
    if not 0 <= index < count:
        raise UsageError(f"machine {index} of {count}", "count machines from 0")
    import jax

    try:
        jax.distributed.initialize(address, count, index)
    except (RuntimeError, ValueError) as error:
        raise DeepfieldError(
            f"machine {index} cannot join at {address!r}: {str(error).strip()[:200]}",
            "start the same command on every machine; machine 0 must be reachable there",
        ) from error
    # `Batches` deals each machine its share: Keras itself could do so for a tf.data.Dataset only.
    together = keras.distribution.DataParallel(auto_shard_dataset=False)
    keras.distribution.set_distribution(together)


@contextlib.contextmanager
def several_machines(address: str, index: int, count: int) -> Iterator[None]:
    """Train together with other machines; afterwards this process can compute nothing more.

    Args:
        address: see `join_machines`.
        index: of this machine.
        count: of all.

    Raises:
        DeepfieldError: another machine was lost.
    """
    join_machines(address, index, count)
    import jax

    try:
        yield
    except jax.errors.JaxRuntimeError as error:
        raise DeepfieldError(
            f"machine {index} lost the others: {str(error).strip()[:200]}",
            "see what the other machines say, and start the same command on all of them",
        ) from error
    finally:
        keras.distribution.set_distribution(None)
        with contextlib.suppress(RuntimeError):  # after an error the others may be gone
            jax.distributed.shutdown()


def share(model: Any = None) -> Share:
    """This machine's part of every batch: all of it, unless it has joined others.

    Args:
        model: may have been built for several devices of this machine (see `training.devices`);
            Keras fails where the first batch does not divide evenly among them.
    """
    if keras.backend.backend() == "tensorflow" and model is not None:
        return Share(devices=model.distribute_strategy.num_replicas_in_sync)
    if keras.backend.backend() != "jax" or keras.distribution.distribution() is None:
        return Share()
    import jax

    return Share(jax.process_index(), jax.process_count(), jax.device_count())
