"""What variants change: the answers of a network with and without them.

A row of a VCF file names letters of the genome (REF) and what may stand there instead (ALT). The
network judges the stretch about them twice, and what is told is where it differs most. Variants
that lie near one another share the reference.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np

from deepfield.domains.genomics.annotation import Annotation, Gene
from deepfield.domains.genomics.comparing import Compared, Judge, Question, aligned
from deepfield.domains.genomics.features import codes, reverse_complement
from deepfield.domains.genomics.genome import Genome
from deepfield.domains.genomics.residual import Change
from deepfield.domains.genomics.vcf import Row, with_info
from deepfield.toolkit.errors import BadInput, DeepfieldError
from deepfield.toolkit.runtime import cores

#: INFO key of the alleles that have no score, and why.
UNSCORED = "deepfield_unscored"
#: Why an allele has no score, and what is said of it.
REASONS = {
    "malformed": "the row cannot be read",
    "no_such_contig": "the genome has no contig of this name",
    "ref_mismatch": "REF is not what the genome has there",
    "near_contig_end": "the network would see beyond the end of the contig",
    "ref_too_long": "REF is longer than what is looked at",
    "no_letters": "ALT is no sequence of letters",
    "several_for_several": "several letters in the place of several: not judged by this network",
}
#: Those that mean that something is wrong with the row.
FAULTS = ("malformed", "no_such_contig", "ref_mismatch")
#: Rows that are worked on as one piece, at most, and pieces that are begun ahead.
_ROWS, _AHEAD = 2_048, 2
#: Work of a piece: a comparison counts as one, and where it shares no reference as this many.
_WORK, _ALONE = 128, 5
#: Letters from the first to the last variant that share a reference, at most.
_SPAN = 16_384
_ANYWHERE = Gene("", "", "+", 0, 1 << 62, np.zeros(0, np.int64))


@dataclass(frozen=True, slots=True)
class Settings:
    """How variants are scored.

    Args:
        key: of INFO.
        labels: of the classes.
        distance: letters on each side of the variant whose scores are looked at.
        mask: set gains at the nearest end of an exon, and losses elsewhere, to 0.
        splicing: the four scores of SpliceAI, of genes, without the letters outside of them and
            without windows that reach beyond a contig; otherwise the largest difference.
        nothing: the class that means that there is nothing.

    Example:
        >>> given = Settings("DELTA", labels=("none", "acceptor", "donor"), distance=50)
        >>> sorted(given.described)
        ['DELTA', 'deepfield_unscored']
    """

    key: str
    labels: Sequence[str]
    distance: int = 50
    mask: bool = False
    splicing: bool = False
    nothing: int = 0

    @property
    def described(self) -> dict[str, str]:
        """INFO lines of the header, without their ID."""
        if self.splicing:
            told = (
                "Changes of splice sites, by deepfield: delta scores (DS) and delta positions (DP) "
                "for acceptor gain (AG), acceptor loss (AL), donor gain (DG) and donor loss (DL). "
                "Format: ALLELE|SYMBOL|DS_AG|DS_AL|DS_DG|DS_DL|DP_AG|DP_AL|DP_DG|DP_DL"
            )
        else:
            told = (
                "The largest change of a network's probability, by deepfield. "
                "Format: ALLELE|SYMBOL|STRAND|CLASS|REF_SCORE|ALT_SCORE|DELTA|POSITION"
            )
        known = {r: meaning for r, meaning in REASONS.items() if r != "malformed"}  # left alone
        why = "; ".join(f"{reason}: {meaning}" for reason, meaning in known.items())
        return {
            self.key: f'Number=.,Type=String,Description="{told}"',
            UNSCORED: "Number=.,Type=String,Description="
            f'"Alleles without a score. Format: ALLELE|REASON. {why}"',
        }


@dataclass(slots=True)
class Tally:
    """What became of the alleles and rows.

    Example:
        >>> tally = Tally(rows=3, scored=2)
        >>> tally.unscored["ref_mismatch"] += 1
        >>> sum(tally.unscored.values()) + tally.scored
        3
    """

    rows: int = 0
    scored: int = 0
    no_gene: int = 0
    no_alternative: int = 0
    unscored: Counter[str] = field(default_factory=Counter)
    faulty_rows: int = 0
    replaced: int = 0
    #: The first row with each of `FAULTS`, and what is wrong with it.
    first: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class _Job:
    """One allele of a row by its number, in one gene, on one strand."""

    row: Row
    number: int
    allele: str
    gene: Gene
    strand: str
    answer: Compared | None = None


@dataclass(slots=True)
class _Answered:
    """A row with its jobs, and the alleles that get none."""

    row: Row
    jobs: list[_Job]
    unscored: list[tuple[str, str]]
    no_gene: bool = False


@dataclass(slots=True)
class _Group:
    """Jobs that share a reference, and the parts of the judge at work on them."""

    jobs: list[_Job]
    running: list[Future[list[Compared]]] = field(default_factory=list)


class Scorer:
    r"""Scores rows of a VCF file.

    Args:
        judge: the network.
        genome: that the rows are about.
        annotation: the genes; without, both strands are judged everywhere.
        settings: how.
        threads: by default as many as there are cores.

    Example:
        >>> from pathlib import Path
        >>> from deepfield.domains.genomics.comparing import PlainJudge
        >>> from deepfield.domains.genomics.vcf import read_row
        >>> _ = Path("small.fa").write_text(">chr1\nCCCCCCCC\n")
        >>> is_a = PlainJudge(lambda bases: np.eye(5)[bases][..., :2], field=1, whole=False)
        >>> scorer = Scorer(is_a, Genome("small.fa"), None, Settings("D", ["N", "A"], distance=3))
        >>> rows = [read_row(b"chr1\t4\t.\tC\tA\t.\t.\t.\n", 1)]
        >>> next(scorer.lines(rows))[0][0].split(b"\t")[-1]
        b'D=A|.|+|A|0.0000|1.0000|1.0000|0\n'
    """

    def __init__(
        self,
        judge: Judge,
        genome: Genome,
        annotation: Annotation | None,
        settings: Settings,
        threads: int | None = None,
    ) -> None:
        self.judge, self.genome, self.annotation = judge, genome, annotation
        self.settings, self.threads = settings, threads or cores()
        self.reach = 0 if judge.whole else settings.distance
        self.margin = judge.field // 2
        # a gap costs its letters, another reference a whole window
        self.near = (judge.field + 2 * self.reach) * 3 // 5
        self.tally = Tally()

    # ------------------------------------------------------------------------------ rows

    def lines(self, rows: Iterable[Row]) -> Iterator[tuple[list[bytes], int]]:
        """Lines with their scores, and how many rows they are, in order.

        Where the rows end with an error, it is raised after all that came before it.
        """
        faults: list[DeepfieldError] = []
        with ThreadPoolExecutor(self.threads) as pool:
            begun: deque[tuple[list[_Answered], list[_Group]]] = deque()
            try:
                for piece in self._pieces(_sound(rows, faults)):
                    begun.append((piece, self._begin(piece, pool)))
                    if len(begun) > _AHEAD:
                        yield self._ended(*begun.popleft())
                while begun:
                    yield self._ended(*begun.popleft())
            finally:
                pool.shutdown(wait=True, cancel_futures=True)
        if faults:
            raise faults[0]

    def _pieces(self, rows: Iterable[Row]) -> Iterator[list[_Answered]]:
        held: list[_Answered] = []
        work, before = 0, ("", 0)
        for row in rows:
            held.append(self._looked_at(row))
            if jobs := held[-1].jobs:
                near = row.contig == before[0] and abs(row.position - before[1]) < self.near
                work += len(jobs) * (1 if near else _ALONE)
                before = row.contig, row.position
            if work >= _WORK or len(held) >= _ROWS:
                yield held
                held, work = [], 0
        if held:
            yield held

    def _looked_at(self, row: Row) -> _Answered:
        """What of a row can be judged, and why the rest cannot."""
        if row.fault or not row.alternatives:
            return _Answered(row, [], [])
        genes = [(_ANYWHERE, "+"), (_ANYWHERE, "-")]
        if self.annotation is not None:
            own = self.annotation.at(row.contig, row.position)
            genes = [(gene, gene.strand) for gene in own]
        reason = self._why_not(row)
        if not genes and reason not in FAULTS:  # what is wrong with a row is told wherever it lies
            return _Answered(row, [], [], no_gene=True)
        if reason:
            return _Answered(row, [], [(allele, reason) for allele in row.alternatives])
        jobs, unscored = [], []
        for number, allele in enumerate(row.alternatives):
            if not _is_letters(allele):
                unscored.append((allele, "no_letters"))
            elif self.settings.splicing and len(row.reference) > 1 and len(allele) > 1:
                unscored.append((allele, "several_for_several"))
            else:
                jobs += [_Job(row, number, allele, gene, strand) for gene, strand in genes]
        return _Answered(row, jobs, unscored)

    def _why_not(self, row: Row) -> str:
        """Why a row has no score; "" where it has one."""
        start, letters = row.position, len(row.reference)
        try:
            found = self.genome.fetch(row.contig, start, start + letters)
            size = self.genome.lengths[self.genome.name_of(row.contig)]
        except BadInput:
            return "no_such_contig"
        if found.decode("latin-1").upper() != row.reference or start + letters > size:
            return "ref_mismatch"
        if letters > max(2 * self.reach, self.judge.field if self.judge.whole else 1):
            return "ref_too_long"
        seen = self.reach + self.margin
        if self.settings.splicing and not seen <= start < size - seen:
            return "near_contig_end"
        return ""

    # ------------------------------------------------------------------------------ comparisons

    def _begin(self, piece: Sequence[_Answered], pool: ThreadPoolExecutor) -> list[_Group]:
        groups = self._groups([job for row in piece for job in row.jobs])
        for group in groups:
            stretch, questions = self._questions(group.jobs)
            group.running = [pool.submit(part, stretch, questions) for part in self.judge.parts]
        return groups

    def _groups(self, jobs: Sequence[_Job]) -> list[_Group]:
        """Jobs of the same strand, and of genes with the same bounds, that lie near one another."""
        alike: dict[tuple[str, str, int, int], list[_Job]] = {}
        for job in jobs:
            bounds = (job.gene.start, job.gene.stop) if self.settings.splicing else (0, 0)
            alike.setdefault((job.row.contig, job.strand, *bounds), []).append(job)
        groups = []
        for own in alike.values():
            own.sort(key=lambda job: job.row.position)
            first = last = -(1 << 62)
            for job in own:
                at = job.row.position
                if at - last > self.near or at - first > _SPAN:
                    groups.append(_Group([]))
                    first = at
                last = at
                groups[-1].jobs.append(job)
        return groups

    def _questions(self, jobs: Sequence[_Job]) -> tuple[np.ndarray, list[Question]]:
        """The stretch that a group hangs on, read along its strand, and what is asked about it."""
        rows = [job.row for job in jobs]
        around = self.reach + self.margin
        start = rows[0].position - around
        stop = rows[-1].position + around + 1 + max(len(row.reference) for row in rows)
        stretch = _tolerant(self.genome.fetch(rows[0].contig, start, stop))
        gene = jobs[0].gene
        if self.settings.splicing:
            stretch[: max(0, gene.start - start)] = 0
            stretch[max(0, gene.stop - start) :] = 0
        questions = [self._question(job, start) for job in jobs]
        if jobs[0].strand == "-":
            return reverse_complement(stretch), [q.flipped(len(stretch)) for q in questions]
        return stretch, questions

    def _question(self, job: _Job, start: int) -> Question:
        at, old, new = job.row.position - start, job.row.reference, job.allele.upper()
        first, last = at - self.reach, at + self.reach + 1
        shift = 0 if self.judge.whole else len(new) - len(old)
        while old and new and old[0] == new[0]:
            at, old, new = at + 1, old[1:], new[1:]
        while old and new and old[-1] == new[-1]:
            old, new = old[:-1], new[:-1]
        change = Change(at, len(old), codes(new))
        return Question(change, (first, last), (first, last + shift))

    # ------------------------------------------------------------------------------ answers

    def _ended(
        self, piece: Sequence[_Answered], groups: Sequence[_Group]
    ) -> tuple[list[bytes], int]:
        for group in groups:
            parts = [part.result() for part in group.running]
            for job, *said in zip(group.jobs, *parts, strict=True):
                before, after = (
                    self.judge.finish(np.mean([one[side] for one in said], axis=0))
                    for side in (0, 1)
                )
                if job.strand == "-":
                    before, after = before[::-1], after[::-1]
                job.answer = before, after
        return [self._line(row) for row in piece], len(piece)

    def _line(self, answered: _Answered) -> bytes:
        row, tally, key = answered.row, self.tally, self.settings.key
        tally.rows += 1
        if row.fault:
            tally.faulty_rows += 1
            tally.unscored["malformed"] += 1
            tally.first.setdefault("malformed", f"line {row.number}: {row.fault}")
            return row.line
        if not row.contig:  # a blank line
            return row.line
        values: dict[str, str] = {}
        told = list(self._told(answered))
        if told:
            values[key] = ",".join(told)
        reasons = answered.unscored
        if reasons:
            values[UNSCORED] = ",".join(f"{_escaped(a)}|{why}" for a, why in reasons)
        tally.scored += len({job.number for job in answered.jobs})
        tally.no_gene += answered.no_gene
        tally.no_alternative += not row.alternatives
        tally.unscored.update(why for _, why in reasons)
        if faults := [why for _, why in reasons if why in FAULTS]:
            tally.faulty_rows += 1
            for why in faults:
                tally.first.setdefault(why, f"{row.contig}:{row.position + 1}")
        line = with_info(row.line, {}, (key, UNSCORED))
        tally.replaced += line != row.line
        return with_info(line, values) if values else line

    def _told(self, answered: _Answered) -> Iterator[str]:
        """The values of a row, allele by allele."""
        for number, allele in enumerate(answered.row.alternatives):
            own = [job for job in answered.jobs if job.number == number]
            if self.settings.splicing:
                if (allele, "several_for_several") in answered.unscored:
                    genes = self._genes(answered.row)
                    names = (_escaped(gene.name) for gene in genes)
                    yield from (f"{allele}|{name}|.|.|.|.|.|.|.|." for name in names)
                yield from map(self._splicing, own)
            elif self.annotation is None:
                if own:  # of the two strands the one that is changed more
                    yield max(map(self._largest, own), key=lambda told: told[0])[1]
            else:
                yield from (self._largest(job)[1] for job in own)

    def _genes(self, row: Row) -> list[Gene]:
        return self.annotation.at(row.contig, row.position) if self.annotation else []

    def _both(self, job: _Job) -> Compared:
        assert job.answer is not None
        before, after = job.answer
        if self.judge.whole:
            return before, after
        return before, aligned(after, self.reach, len(job.row.reference), len(job.allele))

    def _splicing(self, job: _Job) -> str:
        """SpliceAI's scores of an allele in a gene, and where they are.

        Source: Jaganathan et al. 2019, STAR methods; masking as in release 1.3 of its program.
        """
        before, after = self._both(job)
        near = job.gene.nearest_end(job.row.position) if len(job.gene.ends) else None
        scores, places = [], []
        for label in ("acceptor", "donor"):
            kind = list(self.settings.labels).index(label)
            gain = after[:, kind] - before[:, kind]
            for found, gained in ((gain, True), (-gain, False)):
                place = int(found.argmax()) - self.reach
                hidden = self.settings.mask and (place == near) == gained
                scores.append(0.0 if hidden else float(found.max()))
                places.append(place)
        told = [*(f"{score:.2f}".replace("-0.00", "0.00") for score in scores), *map(str, places)]
        return "|".join([job.allele, _escaped(job.gene.name), *told])

    def _largest(self, job: _Job) -> tuple[float, str]:
        """How much the most changed class of the most changed place changes, and that in words."""
        before, after = self._both(job)
        apart = after - before
        apart[:, self.settings.nothing] = 0
        place, kind = np.unravel_index(np.abs(apart).argmax(), apart.shape)
        old, new = float(before[place, kind]), float(after[place, kind])
        if kind == self.settings.nothing:  # nothing differs anywhere: any other class says so
            kind = next(k for k in range(apart.shape[1]) if k != self.settings.nothing)
            place = self.reach
            old, new = float(before[place, kind]), float(after[place, kind])
        told = [f"{old:.4f}", f"{new:.4f}", f"{new - old:.4f}", str(int(place) - self.reach)]
        label = _escaped(str(self.settings.labels[kind]))
        words = [job.allele, _escaped(job.gene.name) or ".", job.strand, label, *told]
        return abs(new - old), "|".join(words)


def _sound(rows: Iterable[Row], faults: list[DeepfieldError]) -> Iterator[Row]:
    """Rows until one cannot be had; why goes into `faults`."""
    try:
        yield from rows
    except DeepfieldError as error:
        faults.append(error)


def _is_letters(allele: str) -> bool:
    try:
        return bool(allele) and not set(allele) & set(".-*") and len(codes(allele)) > 0
    except BadInput:
        return False


def _tolerant(letters: bytes) -> np.ndarray:
    """Codes of a genome's letters; whatever is no nucleotide there is N."""
    try:
        return codes(letters).copy()
    except BadInput:
        known = set(b"ACGTUNRYSWKMBDHVacgtunryswkmbdhv")
        return codes(bytes(c if c in known else ord("N") for c in letters)).copy()


def _escaped(text: str) -> str:
    """As INFO can hold it: what it takes for its own signs is written as %XX."""
    return "".join(f"%{ord(c):02X}" if c in ";=,| \t%" else c for c in text)
