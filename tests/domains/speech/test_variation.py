import numpy as np

from deepfield.domains.speech.recombination import Recombination, Word
from deepfield.domains.speech.variation import (
    LETTERS,
    SOUNDS,
    at_speed,
    below,
    coloured,
    in_room,
    stretched,
    varied,
)
from deepfield.toolkit.data import collate


def tone(hz, samples=8000, rate_hz=8000):
    return np.sin(2 * np.pi * hz * np.arange(samples) / rate_hz).astype(np.float32)


def peak_hz(x, rate_hz=8000):
    return np.argmax(np.abs(np.fft.rfft(x))) * rate_hz / len(x)


def test_speed_changes_length_and_pitch_together():
    for factor in (0.85, 1.0, 1.2):
        x = at_speed(tone(400), factor)
        assert abs(len(x) - 8000 / factor) <= 1 and abs(peak_hz(x) - 400 * factor) < 2


def test_stretching_changes_length_and_keeps_pitch_and_loudness():
    for rate_hz in (8000, 16000):
        x = tone(400, rate_hz, rate_hz)
        for factor in (0.8, 1.25):
            y = stretched(x, factor, rate_hz)
            assert abs(len(y) - len(x) / factor) <= 1 and abs(peak_hz(y, rate_hz) - 400) < 2
            assert np.isclose((y**2).mean(), 0.5, rtol=0.02)
            assert np.abs(y).max() < 1.01, "waves meet in step"
    assert all(len(stretched(x[:n], 1.2, 16000)) == n for n in (0, 1, 500)), "too short"


def test_a_stretched_word_begins_and_ends_as_it_did():
    x = np.concatenate([np.zeros(2000), tone(500, 4000), np.zeros(2000)])
    y = stretched(x, 0.8, 8000)
    loud = np.flatnonzero(np.abs(y) > 0.1)
    assert abs(loud[0] - 2500) < 200 and abs(loud[-1] - 7500) < 200


def test_microphones_colour_and_keep_length_and_loudness():
    x, rng = np.random.default_rng(0).normal(size=8000), np.random.default_rng(1)
    gains = []
    for _ in range(200):
        y = coloured(x, 5.0, 8000, rng)
        assert len(y) == len(x) and np.isclose((y**2).sum(), (x**2).sum())
        power = np.abs(np.fft.rfft(y)) ** 2 / np.abs(np.fft.rfft(x)) ** 2
        gains.append(10 * np.log10(power[[0, -1]]))
    low, high = np.array(gains).T
    # each of two points deviates by 5 dB; loudness, which is kept, is that of the high ones
    assert 5 < np.std(low - high) < 9
    assert coloured(x, 0.0, 8000, rng) is x
    assert all(len(coloured(x[:n], 5.0, 8000, rng)) == n for n in (0, 1, 2, 777))


def test_a_room_keeps_length_and_loudness_and_adds_a_tail():
    x = np.zeros(8000)
    x[1000:1400] = tone(500, 400)
    y = in_room(x, 8000, np.random.default_rng(0))
    assert len(y) == len(x) and np.isclose((y**2).sum(), (x**2).sum())
    assert np.abs(y[1500:3000]).max() > 0.01 and not np.abs(y[:999]).max() > 1e-9


def test_nothing_is_left_above_the_cutoff_and_all_of_it_below():
    x = tone(400) + tone(3500)
    left = np.abs(np.fft.rfft(below(x, 2500, 8000))) / 4000
    assert np.isclose(left[400], 1, atol=1e-3) and left[3500] < 1e-6
    assert all(len(below(x[:n], 2500, 8000)) == n for n in (0, 1, 2, 777))


def batch(waveforms, texts):
    arrays = collate([{"waveform": w} for w in waveforms], {})
    return arrays, collate(list(texts), {})


WAVEFORMS = [tone(300, 4000), tone(500, 6000), tone(700, 5000)]
TEXTS = [{LETTERS: np.array(t, np.int32)} for t in ([2, 3], [4], [5, 5, 5])]
STILL = {
    "speed": 0.0, "stretch": 0.0, "room": 0.0, "colour_db": 0.0, "silence": 0.0, "band": 0.0,
    "trimmed": 0.0,
}  # fmt: skip


def test_what_it_draws_depends_on_the_generator_alone():
    vary = varied(WAVEFORMS, TEXTS, 8000, 1, joined=0.5)
    given = batch(WAVEFORMS[:2], TEXTS[:2])
    one, two = (vary(np.random.default_rng(3), np.array([0, 1]), *given) for _ in range(2))
    for a, b in zip(one, two, strict=True):
        assert all(np.array_equal(a[k], b[k]) for k in a)
    other = vary(np.random.default_rng(4), np.array([0, 1]), *given)
    assert other[0]["waveform"].shape != one[0]["waveform"].shape


def joined(texts, chosen, seed=0):
    vary = varied(WAVEFORMS[: len(texts)], texts, 8000, 1, joined=0.9, **STILL)
    given = batch([WAVEFORMS[i] for i in chosen], [texts[i] for i in chosen])
    return vary(np.random.default_rng(seed), np.array(chosen), *given)


def test_single_words_are_joined_with_a_space():
    inputs, targets = joined(TEXTS, [0])
    text = targets[LETTERS][0]
    assert text[:3].tolist() == [2, 3, 1] and inputs["waveform"].shape[1] >= 8000


def test_sentences_are_not_joined():
    sentences = [{LETTERS: np.array(t, np.int32)} for t in ([2, 1, 3], [3, 1, 2, 1, 2])]
    assert joined(sentences, [0, 1])[1][LETTERS].tolist() == [[2, 1, 3, 0, 0], [3, 1, 2, 1, 2]]


def test_sounds_are_joined_without_one():
    both = [t | {SOUNDS: 10 + t[LETTERS]} for t in TEXTS]
    _, targets = joined(both, [1])
    letters, sounds = targets[LETTERS][0], targets[SOUNDS][0]
    assert letters[1] == 1 and sounds[sounds > 0].tolist() == [10 + n for n in letters if n > 1]


def test_noise_says_nothing():
    vary = varied(WAVEFORMS, TEXTS, 8000, 1, silence=1.0)
    inputs, targets = vary(np.random.default_rng(0), np.array([0, 2]), *batch(WAVEFORMS, TEXTS))
    assert not targets["log_probs"].any() and inputs["waveform"].std() > 0


def test_single_words_are_trimmed_and_sentences_are_not():
    still = STILL | {"trimmed": 1.0}
    lengths = {}
    for text in ([4], [4, 1, 4]):
        vary = varied(WAVEFORMS[1:2], [{LETTERS: np.array(text, np.int32)}], 8000, 1, **still)
        given = batch(WAVEFORMS[1:2], [{LETTERS: np.array(text, np.int32)}])
        inputs, _ = vary(np.random.default_rng(0), np.array([0]), *given)
        lengths[len(text)] = inputs["waveform"].shape[1]
    assert 3000 <= lengths[1] < 6000 == lengths[3]


def test_words_of_a_speaker_come_in_any_order_and_those_of_others_do_not():
    rng = np.random.default_rng(0)
    waveforms = [np.repeat(np.float32([1, 2, 3]), 100), np.repeat(np.float32([7, 8]), 100)]
    texts = [{LETTERS: np.array(t, np.int32)} for t in ([2, 1, 3, 1, 4], [5, 1, 6])]
    words = [
        [Word(i, 100 * k, 100 * (k + 1), {LETTERS: texts[i][LETTERS][2 * k : 2 * k + 1]})
         for k in range(len(x) // 100)]
        for i, x in enumerate(waveforms)
    ]  # fmt: skip
    drawn = Recombination(words, ["abc", "de"], ["x", "y"])
    vary = varied(waveforms, texts, 8000, 1, recombination=drawn, recombined=1.0, **STILL)
    said = set()
    for _ in range(30):
        inputs, targets = vary(rng, np.array([0, 1]), *batch(waveforms, texts))
        for x, text, sounds in zip(
            inputs["waveform"], targets[LETTERS], ({2: 1, 3: 2, 4: 3}, {5: 7, 6: 8}), strict=True
        ):
            heard = [sounds[letter] for letter in text[text > 1]]
            assert np.array_equal(x[50::100][: len(heard)], heard)
            assert (text[1 : 2 * len(heard) - 1 : 2] == 1).all()
            said.add(tuple(text))
    assert len(said) > 20


def test_half_of_the_texts_are_said_by_somebody_else():
    def say(letters, rng):
        return np.full(1000 * len(letters), 0.5, np.float32)

    vary = varied(WAVEFORMS, TEXTS, 8000, 1, say=say, **STILL)
    rng, anew = np.random.default_rng(0), 0
    for _ in range(60):
        inputs, targets = vary(rng, np.array([0, 2]), *batch(WAVEFORMS, TEXTS))
        assert targets[LETTERS].tolist() == [[2, 3, 0], [5, 5, 5]]
        for x, index in zip(inputs["waveform"], (0, 2), strict=True):
            x = np.trim_zeros(x, "b")
            other = np.full(1000 * len(TEXTS[index][LETTERS]), 0.5, np.float32)
            anew += np.array_equal(x, other)
            assert np.array_equal(x, other) or len(x) >= len(WAVEFORMS[index]) - 10
    assert 40 <= anew <= 80
