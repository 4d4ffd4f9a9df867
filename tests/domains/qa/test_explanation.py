import io
import json

import numpy as np
import pytest
from PIL import Image
from program import loads
from untrained_qa import STORY, bundle_of

from deepfield.domains.qa.explanation import MOST_SENTENCES, Explanation
from deepfield.domains.qa.features import Asked
from deepfield.domains.qa.pipeline import QAPipeline
from deepfield.toolkit.commands import Flags, explain
from deepfield.toolkit.data import Sample
from deepfield.toolkit.errors import BadInput, DeepfieldError


def told(hops=2, sentences=3):
    shares = np.zeros((hops, sentences))
    shares[0, 0], shares[-1, -1] = 1.0, 0.5
    story = tuple(STORY[i % 3] for i in range(sentences))
    return Explanation("x", "Where is Ann?", {"attic": 0.9, "barn": 0.1}, story, shares, "shares")


@pytest.fixture(scope="module")
def bundles(tmp_path_factory):
    folder = tmp_path_factory.mktemp("explained")
    return {name: bundle_of(name, folder / name) for name in ("memn2n", "query_reduction", "lstm")}


@pytest.mark.parametrize(("architecture", "hops"), [("memn2n", 3), ("query_reduction", 2)])
def test_each_hop_has_a_number_for_each_sentence(bundles, architecture, hops):
    pipeline = QAPipeline.load(bundles[architecture])
    asked = Asked(("...", *STORY), "Where is Ann?")
    facts = pipeline.explain(Sample("one", asked)).facts()
    json.dumps(facts)
    assert [s["text"] for s in facts["sentences"]] == list(STORY)  # without the empty one
    shares = np.array([s["hops"] for s in facts["sentences"]])
    assert shares.shape == (3, hops) and (shares >= 0).all()
    # the rest is nobody's: empty places of a memory, what was there before the story
    assert (shares.sum(axis=0) <= 1 + 1e-4).all() and shares.sum() > 0
    said = "attention" if architecture == "memn2n" else "update gate"
    assert said in facts["method"]
    (row,) = pipeline.predict([asked])
    assert facts["answer"] == row["answer"] and facts["probability"] == row["probability"]


def test_the_gates_numbers_are_what_is_left_of_a_sentence():
    """z_t times the product of (1 - z_j) over later j, by hand."""
    import keras

    from deepfield.domains.qa.models import query_reduction
    from deepfield.toolkit.layers import QueryReduction

    keras.utils.set_random_seed(0)
    model = query_reduction(9, 3, units=4, hops=2)
    gates = keras.Model(
        model.inputs, [x.output[1] for x in model.layers if isinstance(x, QueryReduction)]
    )
    fed = {
        "story": np.array([[[2, 3], [4, 0], [5, 6], [7, 8]]], "int32"),
        "question": np.array([[3, 4]], "int32"),
    }
    expected = [
        [z[t] * np.prod(1 - z[t + 1 :]) for t in range(4)]
        for z in (np.asarray(g)[0, :, 0] for g in gates(fed))
    ]
    found = np.asarray(model(fed)["attention"])[0]
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_a_network_without_a_look_at_sentences_says_so(bundles):
    pipeline = QAPipeline.load(bundles["lstm"])
    with pytest.raises(DeepfieldError, match="lstm does not look at single sentences"):
        pipeline.explain(Sample("one", Asked(STORY, "Where is Ann?")))
    with pytest.raises(BadInput, match="empty"):
        pipeline.explain(Sample("one", Asked((), "Where is Ann?")))


def test_a_terminal_shows_bars_beside_sentences():
    assert list(told().lines()) == [
        "Where is Ann?  attic (90%)",
        "",
        "hop 1          hop 2",
        "████████ 1.00           0.00  1 Ann went to the attic.",
        "         0.00           0.00  2 Bob went to the barn.",
        "         0.00  ████     0.50  3 Ann took the $5 & <key>.",
        "",
        "shares",
    ]


def test_a_long_story_is_shown_where_it_counted():
    long = told(sentences=10_000)
    lines = list(long.lines())
    assert len(lines) == MOST_SENTENCES + 6
    assert "9,970 more sentences that counted less" in lines
    assert lines[-4].endswith("10000 Ann went to the attic.")
    assert len(long.facts()["sentences"]) == 10_000


@pytest.mark.parametrize(("hops", "sentences"), [(1, 1), (3, 50)])
def test_a_picture_and_a_page_are_made(hops, sentences):
    one = told(hops, sentences)
    picture = np.asarray(Image.open(io.BytesIO(one.png())).convert("RGB"))
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 5
    page = one.report().html()
    assert "hop 1" in page and "<key>" not in page


def test_the_verb_writes_nothing_unless_asked_to(bundles, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "story.txt").write_text("\n".join(STORY))
    flags = Flags(model=bundles["memn2n"], question=("Where is Ann?",))

    def load(name, domain, device):
        return QAPipeline.load(name)

    assert explain(QAPipeline, load, "story.txt", flags) == 0
    assert "hop 3" in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir()] == ["story.txt"]
    for name in ("why.png", "why.html"):
        given = Flags(flags | {"output": name, "json": True})
        assert explain(QAPipeline, load, "story.txt", given) == 0
        assert json.loads(capsys.readouterr().out)["question"] == "Where is Ann?"
        assert (tmp_path / name).stat().st_size > 1000


def test_explaining_imports_neither_keras_nor_matplotlib(bundles):
    loaded = loads(f"""
from deepfield.domains.qa.features import Asked
from deepfield.domains.qa.pipeline import QAPipeline
from deepfield.toolkit.data import Sample
pipeline = QAPipeline.load({bundles["query_reduction"]!r})
found = pipeline.explain(Sample("one", Asked({STORY!r}, "Where is Ann?")))
list(found.lines()), found.facts()
""")
    assert not {"keras", "tensorflow", "matplotlib"} & loaded
