"""A simulated world: people who move, take, drop and give things, told in sentences.

`World` keeps the books: who is where, who holds what, and which sentences say so. `simulate` lets
people do things at random, with usual names or with names invented for one story.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from deepfield.domains.qa.tales import Question, Tale

MOVES = (
    "went to", "went back to", "moved to", "journeyed to", "travelled to", "traveled to",
    "walked to", "ran to", "returned to", "came to", "headed to", "hurried to",
)  # fmt: skip
TAKES = ("took", "got", "grabbed", "picked up", "found", "fetched", "collected")
DROPS = ("dropped", "left", "put down", "discarded", "laid down", "abandoned")
GIVES = ("gave", "handed", "passed")
#: What happens without moving anything.
ENDS = ("died", "fell asleep for ever", "was slain")
ASIDES = (
    "slept", "laughed", "was tired", "sang a song", "was happy", "waited", "looked around",
    "was hungry", "smiled",
)  # fmt: skip
REMARKS = ("It rained.", "Time passed.", "Night fell.", "The sun rose.")
THE_END = "The End."

#: Of `MOVES`, `TAKES`, `DROPS`, `PEOPLE`, `PLACES` and `THINGS` so many are those of bAbI's task 3.
_BABI = 5, 4, 4, 4, 6, 3
#: Up to which a random number makes somebody move there, or take; how often "there" is said.
_MOVING, _TAKING, _THERE = 0.53, 0.765, 0.2

#: Names that bAbI uses, and a few more of their kind; in front those of its first tasks.
PEOPLE = (
    "Mary", "John", "Daniel", "Sandra", "Bill", "Fred", "Jeff", "Julie", "Emily", "Jason",
    "Antoine", "Sumit", "Yann",
)  # fmt: skip
PLACES = (
    "bathroom", "bedroom", "garden", "hallway", "kitchen", "office", "park", "school", "cinema",
    "cave", "forest", "village", "station", "library", "market",
)  # fmt: skip
THINGS = ("apple", "football", "milk", "ring", "book", "lamp", "key", "sword", "letter", "map")

#: How names of a story are chosen.
NAMES = ("usual", "invented", "mixed", "babi")


@dataclass(slots=True)
class _Being:
    """Somebody or something: where it is, by which sentences, and where it was before."""

    place: str | None = None
    grounds: tuple[int, ...] = ()
    history: list[tuple[str, tuple[int, ...]]] = field(default_factory=list)
    holder: str | None = None  # of a thing
    held_by: int = -1  # the sentence in which its holder got it
    alive: bool = True

    def put(self, place: str, grounds: Iterable[int]) -> None:
        self.place, self.grounds = place, tuple(sorted(set(grounds)))
        if not self.history or self.history[-1][0] != place:
            self.history.append((place, self.grounds))


class World:
    """People, places and things, told sentence by sentence.

    Places are named with their article, if they have one ("the Shire", "Mount-Doom"), things
    without it. Who comes into the story without a word about where is where the thing is that
    they take, where they are given something, or, with "there", at the place named last.

    Example:
        >>> world = World()
        >>> world.move("Bilbo", "the cave", "travelled to")
        >>> world.drop("Gollum", "ring", there=True)
        >>> world.sentences
        ['Bilbo travelled to the cave.', 'Gollum dropped the ring there.']
        >>> world.where("ring")
        ('the cave', (0, 1))
    """

    def __init__(self) -> None:
        self.sentences: list[str] = []
        self.people: dict[str, _Being] = {}
        self.things: dict[str, _Being] = {}
        self._named: tuple[str, int] | None = None  # the place named last, and in which sentence

    # ------------------------------------------------------------------ what happens

    def move(self, who: str, place: str, verb: str = "went to") -> None:
        """Somebody goes to a place, with all that they hold."""
        person = self._person(who)
        now = self._say(f"{who} {verb} {place}.")
        self._named = (place, now)
        person.put(place, [now])
        for thing in self.things.values():
            if thing.holder == who:
                thing.put(place, [thing.held_by, now])

    def take(self, who: str, what: str, verb: str = "took", there: bool = False) -> None:
        """Somebody takes a thing that lies where they are.

        Raises:
            ValueError: it is held, lies elsewhere, or nothing says where this happens.
        """
        person, thing = self._person(who), self.things.setdefault(what, _Being())
        if thing.holder is not None:
            raise ValueError(f"{what} is held by {thing.holder}")
        place, grounds = self._scene(person, there, thing)
        if thing.place not in (None, place):
            raise ValueError(f"{what} is in {thing.place}, {who} in {place}")
        now = self._say(f"{who} {verb} the {what}{' there' * there}.")
        if person.place is None:
            person.put(place, [*grounds, now])
        thing.holder, thing.held_by = who, now
        thing.put(place, [*grounds, now])

    def drop(self, who: str, what: str, verb: str = "dropped", there: bool = False) -> None:
        """Somebody lets go of a thing that they hold, or of one not heard of before.

        Raises:
            ValueError: they do not hold it, or nothing says where this happens.
        """
        person, thing = self._person(who), self.things.setdefault(what, _Being())
        if thing.holder != who and (thing.holder is not None or thing.place is not None):
            raise ValueError(f"{who} does not hold {what}")
        place, grounds = self._scene(person, there, None)
        now = self._say(f"{who} {verb} the {what}{' there' * there}.")
        if person.place is None:
            person.put(place, [*grounds, now])
        thing.holder = None
        thing.put(place, [*grounds, now])

    def give(self, who: str, what: str, whom: str, verb: str = "gave") -> None:
        """Somebody hands a thing that they hold to somebody in the same place.

        Raises:
            ValueError: they do not hold it, or are not in one place.
        """
        giver, taker, thing = self._person(who), self._person(whom), self.things.get(what)
        if thing is None or thing.holder != who or who == whom:
            raise ValueError(f"{who} has no {what} for {whom}")
        if giver.place is None or taker.place not in (None, giver.place):
            raise ValueError(f"{who} is in {giver.place}, {whom} in {taker.place}")
        now = self._say(f"{who} {verb} the {what} to {whom}.")
        if taker.place is None:
            taker.put(giver.place, [*giver.grounds, now])
        thing.holder, thing.held_by = whom, now
        thing.put(giver.place, [*giver.grounds, now])

    def end(self, who: str, how: str = "died") -> None:
        """Somebody is out of the story; what they held stays where it is."""
        person = self._person(who)
        self._say(f"{who} {how}.")
        person.alive = False

    def aside(self, sentence: str) -> None:
        """A sentence that changes nothing: "The End."."""
        self._say(sentence)

    # ------------------------------------------------------------------ what is asked

    def where(self, name: str) -> tuple[str, tuple[int, ...]] | None:
        """The place of somebody or something, and the sentences it follows from; None if unsaid."""
        being = self.people.get(name) or self.things.get(name)
        return (being.place, being.grounds) if being and being.place else None

    def before(self, name: str, place: str) -> tuple[str, tuple[int, ...]] | None:
        """Where it was before it came to a place where it was once; None if that is unsaid."""
        being = self.people.get(name) or self.things.get(name)
        places = [past for past, _ in being.history] if being else []
        if being is None or places.count(place) != 1 or places[0] == place:
            return None
        at = places.index(place)
        (was, grounds), (_, later) = being.history[at - 1 : at + 1]
        return was, tuple(sorted({*grounds, *later}))

    # ------------------------------------------------------------------ the books

    def _say(self, sentence: str) -> int:
        self.sentences.append(sentence)
        return len(self.sentences) - 1

    def _person(self, who: str) -> _Being:
        person = self.people.setdefault(who, _Being())
        if not person.alive:
            raise ValueError(f"{who} is out of the story")
        return person

    def _scene(
        self, person: _Being, there: bool, thing: _Being | None
    ) -> tuple[str, tuple[int, ...]]:
        """Where something happens: where the person is, else "there", else where the thing is."""
        if person.place is not None:
            return person.place, person.grounds
        if there and self._named is not None:
            return self._named[0], (self._named[1],)
        if thing is not None and thing.place is not None:
            return thing.place, thing.grounds
        raise ValueError("nothing says where this happens")


# ------------------------------------------------------------------------------- at random


def simulate(
    count: int,
    seed: int = 0,
    length: int | tuple[int, int] = (4, 30),
    questions: int = 5,
    names: str = "mixed",
    most_grounds: int = 4,
) -> Iterator[Tale]:
    """Stories at random; the same arguments give the same stories.

    Args:
        count: how many.
        seed: of the random numbers; each story has its own, so that story 7 is the same whether
            it is asked for after six others or after none.
        length: sentences of a story, or the least and the most.
        questions: how many a story, the last one at its end; fewer where little can be asked. With
            names `"babi"` the story ends with its last question, after `length` at the latest.
        names: `"usual"` names, names `"invented"` for each story, for each story either
            (`"mixed"`), or `"babi"`: words, manner and question ("Where was the milk before the
            kitchen?") of bAbI's third task.
        most_grounds: questions whose answer follows from more sentences are not asked.

    Yields:
        Tales.

    Example:
        >>> tale = next(simulate(1, seed=2, length=6, names="usual"))
        >>> len(tale.sentences), tale.questions[-1].after
        (6, 6)
    """
    if names not in NAMES:
        raise ValueError(f"names must be one of {', '.join(NAMES)}, got {names!r}")
    shortest, longest = (length, length) if isinstance(length, int) else length
    for index in range(count):
        rng = np.random.default_rng((seed, index))
        own = names if names != "mixed" else _pick(rng, NAMES[:2])
        size = int(rng.integers(shortest, longest + 1))
        teller = _BabiTeller if own == "babi" else _Teller
        yield teller(rng, size, own).tale(questions, most_grounds)


def _pick(rng: np.random.Generator, things: Sequence[Any]) -> Any:
    return things[int(rng.integers(len(things)))]


class _Teller:
    """Lets the people of one story do things at random."""

    def __init__(self, rng: np.random.Generator, length: int, names: str) -> None:
        self.rng, self.length, self.world = rng, length, World()
        self.verbs: Sequence[Sequence[str]] = MOVES, TAKES, DROPS
        # up to which a number drawn at random makes somebody move, take, drop, give, and so on
        self.chances = 0.42, 0.64, 0.82, 0.92, 0.94, 0.98
        self._cast(names)

    def _cast(self, names: str) -> None:
        """Choose the people, places and things of the story."""
        rng = self.rng
        cast = 2 + int(rng.integers(4)), 3 + int(rng.integers(4)), 1 + int(rng.integers(4))
        if names == "usual":
            people, places, things = (
                [pool[i] for i in rng.permutation(len(pool))[:n]]
                for pool, n in zip((PEOPLE, PLACES, THINGS), cast, strict=True)
            )
            self.people, self.places, self.things = people, [f"the {p}" for p in places], things
            return
        made = invent(rng, sum(cast))
        self.people = made[: cast[0]]
        self.places = [
            name if rng.random() < 0.4 else f"the {name}" for name in made[cast[0] : -cast[2]]
        ]
        self.things = [name.lower() for name in made[-cast[2] :]]

    def tale(self, questions: int, most_grounds: int) -> Tale:
        """Tell the story, asking now and then and at its end."""
        stops = {self.length} | {int(s) for s in self.rng.integers(1, self.length + 1, questions)}
        stops = set(sorted(stops)[-questions:]) if questions else set()
        asked: list[Question] = []
        closing = self.rng.random() < 0.1
        while len(self.world.sentences) < self.length:
            if closing and len(self.world.sentences) == self.length - 1:
                self.world.aside(THE_END)
            else:
                self._event()
            if len(self.world.sentences) in stops:
                asked += self._ask(most_grounds)
        return Tale(tuple(self.world.sentences), tuple(asked))

    def _event(self) -> None:
        told, tries, chance = len(self.world.sentences), 0, self.rng.random()
        while len(self.world.sentences) == told:
            if tries == 30:  # nothing of this kind can happen now
                tries, chance = 0, self.rng.random()
            tries += 1
            try:
                self._try_event(chance)
            except ValueError:  # what cannot happen in this world does not happen
                continue

    def _try_event(self, chance: float) -> None:
        world, rng = self.world, self.rng
        alive = [p for p in self.people if p not in world.people or world.people[p].alive]
        who, what = _pick(rng, alive), _pick(rng, self.things)
        there = bool(rng.random() < 0.4)
        move, take, drop, give, end, aside = self.chances
        moves, takes, drops = self.verbs
        if chance < move:
            place = _pick(rng, self.places)
            if world.where(who) is None or world.where(who)[0] != place:  # type: ignore[index]
                world.move(who, place, _pick(rng, moves))
        elif chance < take:
            world.take(who, what, _pick(rng, takes), there)
        elif chance < drop:
            world.drop(who, what, _pick(rng, drops), there)
        elif chance < give:
            world.give(who, what, _pick(rng, alive), _pick(rng, GIVES))
        elif chance < end and len(alive) > 2:
            world.end(who, _pick(rng, ENDS))
        elif chance < aside:
            world.aside(f"{who} {_pick(rng, ASIDES)}.")
        else:
            world.aside(_pick(rng, REMARKS))

    def _ask(self, most_grounds: int) -> list[Question]:
        """One question, of a kind drawn first, so that none is rare."""
        world, now = self.world, len(self.world.sentences)
        kinds: dict[str, list[tuple[str, str, tuple[int, ...]]]] = {}
        for kind, beings in (("where_person", world.people), ("where_thing", world.things)):
            for name in beings:
                called = name if kind == "where_person" else f"the {name}"
                found = world.where(name)
                if found is not None and len(found[1]) <= most_grounds:
                    ending = " now?" if self.rng.random() < 0.3 else "?"
                    kinds.setdefault(kind, []).append((f"Where is {called}{ending}", *found))
                for place in self.places:
                    past = world.before(name, place)
                    if past is not None and len(past[1]) <= most_grounds:
                        text = f"Where was {called} before {place}?"
                        kinds.setdefault("before", []).append((text, *past))
        if not kinds:
            return []
        kind = _pick(self.rng, sorted(kinds))
        text, place, grounds = _pick(self.rng, kinds[kind])
        return [Question(now, text, place.removeprefix("the "), grounds, kind)]


class _BabiTeller(_Teller):
    """Tells stories as bAbI's third task does.

    Its rules were read off its training stories. Nobody acts before it is said where they are, nor
    drops what they did not take. After every second sentence a question is asked, if there is a
    thing that was taken or dropped at most four sentences ago and whose holder has gone to two
    places with it: where it was before one of them. The story is over with the last question.
    """

    def _cast(self, names: str) -> None:
        pools = *self.verbs, PEOPLE, PLACES, THINGS
        words = [list(pool[:n]) for pool, n in zip(pools, _BABI, strict=True)]
        *self.verbs, self.people, places, self.things = words
        self.places = [f"the {p}" for p in places]

    def tale(self, questions: int, most_grounds: int) -> Tale:
        """Tell the story up to its last question, or to its last sentence."""
        asked: list[Question] = []
        told = self.world.sentences
        while len(told) < self.length and len(asked) < questions:
            self._event()
            if len(told) % 2 == 0:
                asked += self._ask(most_grounds)
        return Tale(tuple(told), tuple(asked))

    def _try_event(self, chance: float) -> None:
        world, rng = self.world, self.rng
        who, what = _pick(rng, self.people), _pick(rng, self.things)
        there, (moves, takes, drops) = bool(rng.random() < _THERE), self.verbs
        here = world.where(who)
        if chance < _MOVING:
            place = _pick(rng, self.places)
            if here is None or here[0] != place:
                world.move(who, place, _pick(rng, moves))
        elif here is not None and chance < _TAKING:
            world.take(who, what, _pick(rng, takes), there)
        elif here is not None and what in world.things and world.things[what].holder == who:
            world.drop(who, what, _pick(rng, drops), there)

    def _ask(self, most_grounds: int) -> list[Question]:
        now = len(self.world.sentences)
        carried = []
        for name, thing in self.world.things.items():
            # the last word of it, and the places that it came to with whom it was taken by
            last = thing.held_by if thing.holder is not None else thing.grounds[-1]
            way = [(place, g[1]) for place, g in thing.history if g[0] == thing.held_by]
            if now - 1 - last <= 4 and len(way) > 1:
                carried.append((name, last, way))
        if not carried:
            return []
        name, last, way = _pick(self.rng, carried)
        after = {place: at for at, (place, _) in enumerate(way) if at}  # came to last
        at = _pick(self.rng, sorted(after.values()))
        (was, gone), (place, came) = way[at - 1 : at + 1]
        grounds = tuple(sorted((gone, came, last)))
        text = f"Where was the {name} before {place}?"
        return [Question(now, text, was.removeprefix("the "), grounds, "before")]


_ONSETS = "b br c d dr f g gl gr h j k l m n p qu r s sh st t th tr v w y z".split()  # noqa: SIM905
_VOWELS = "a e i o u ai ea oo ou y".split()  # noqa: SIM905
_CODAS = ["", "", "", "n", "r", "l", "m", "s", "th", "nd", "rk", "x"]


def invent(rng: np.random.Generator, count: int) -> list[str]:
    """Names that are in no vocabulary, all different, with a capital; some are hyphenated.

    Example:
        >>> invent(np.random.default_rng(1), 3)
        ['Nooxbend', 'Vuntrirsai', 'Traindhund']
    """
    names: dict[str, None] = {}
    while len(names) < count:
        syllables = [
            _pick(rng, _ONSETS) + _pick(rng, _VOWELS) + _pick(rng, _CODAS)
            for _ in range(2 + int(rng.integers(2)))
        ]
        name = "".join(syllables).capitalize()
        if rng.random() < 0.1:
            name += f"-{_pick(rng, _ONSETS)}{_pick(rng, _VOWELS)}n".title()
        if name.casefold() not in _RESERVED:
            names[name] = None
    return list(names)


_RESERVED = frozenset(
    word.casefold().strip(".")
    for phrases in (MOVES, TAKES, DROPS, GIVES, ENDS, ASIDES, REMARKS, PEOPLE, PLACES, THINGS)
    for phrase in phrases
    for word in phrase.split()
) | {"the", "there", "to", "where", "is", "was", "now", "before", "end"}
