import shutil
import sys

import numpy as np
import pytest

from deepfield.domains.speech import espeak
from deepfield.domains.speech.espeak import PROGRAM, Voices
from deepfield.toolkit.errors import DeepfieldError, NotFound, UsageError

#: A program that is asked as espeak-ng is: a letter takes a tenth of a second, and how high the
#: tone is depends on what it is called with.
FAKE = f"""#!{sys.executable}
import struct, sys
head = "Pty Language       Age/Gender VoiceName          File                 Other Languages"
if sys.argv[1] == "--voices":
    print(head)
    print(" 2  en-gb           --/M      English_(Great_Britain) gmw/en               (en 2)")
    print(" 3  en-us           --/M      English_(America)  gmw/en-US            (en 3)")
    print(" 5  en-us           --/M      us-mbrola-2        mb/mb-us2            (en 7)")
    print(" 5  eo              --/M      Esperanto          art/eo")
elif sys.argv[1] == "--voices=variant":
    print(head)
    print(" 5  variant         --/M      Adam               !v/adam")
    print(" 5  variant         --/F      Alicia             !v/Alicia")
else:
    text, level = sys.stdin.read(), sum(map(ord, " ".join(sys.argv)))
    samples = [(level * i) % 20000 for i in range(2205 * len(text))]
    body = struct.pack(f"<{{len(samples)}}h", *samples)
    form = struct.pack("<HHIIHH", 1, 1, 22050, 44100, 2, 16)
    # it does not know how long it will speak
    sys.stdout.buffer.write(b"RIFF" + struct.pack("<I", 0x7FFFF024) + b"WAVEfmt "
                            + struct.pack("<I", 16) + form + b"data"
                            + struct.pack("<I", 0x7FFFF000) + body)
"""


@pytest.fixture
def speaking(tmp_path, monkeypatch):
    program = tmp_path / PROGRAM
    program.write_text(FAKE)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    espeak._listed.cache_clear()
    yield
    espeak._listed.cache_clear()


def test_people_have_the_accents_of_the_language_and_any_speaker(speaking):
    assert {p[1] for p in Voices("en").people} == {
        f"{accent}+{speaker}" for accent in ("en-gb", "en-us") for speaker in ("Alicia", "adam")
    }
    assert {p[1][:6] for p in Voices("en-us", 9).people} == {"en-us+"}
    assert Voices("en").people == Voices("en").people


def test_a_text_is_said_at_the_rate_that_is_asked_for(speaking):
    x = Voices("en").say("ab cd", np.random.default_rng(0), 8000)
    assert x.dtype == np.float32 and abs(len(x) - 4000) <= 2 and np.abs(x).max() <= 1


def test_who_says_it_depends_on_the_generator_alone(speaking):
    voices = Voices("en")
    one, two = (voices.say("a", np.random.default_rng(7), 8000) for _ in range(2))
    assert np.array_equal(one, two)
    rng = np.random.default_rng(7)
    assert len({voices.say("a", rng, 8000).tobytes() for _ in range(9)}) > 4


def test_a_language_it_does_not_have_is_told(speaking):
    with pytest.raises(UsageError, match="'e' is no language of espeak-ng"):
        Voices("e")


def test_where_it_is_not_installed_the_hint_says_how(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NotFound, match="not installed") as found:
        Voices("en")
    assert "apt-get install espeak-ng" in found.value.hint


def test_a_program_that_fails_is_told(speaking, tmp_path):
    voices = Voices("en")
    (tmp_path / PROGRAM).write_text("#!/bin/sh\nexit 3\n")
    with pytest.raises(DeepfieldError, match=r"does not answer: .* status 3"):
        voices.say("a", np.random.default_rng(0), 8000)


@pytest.mark.skipif(shutil.which(PROGRAM) is None, reason="espeak-ng is not installed")
def test_the_program_itself_says_a_digit():
    x = np.trim_zeros(Voices("en").say("seven", np.random.default_rng(0), 16000))
    assert 0.3 < len(x) / 16000 < 2.5 and np.abs(x).max() > 0.05
