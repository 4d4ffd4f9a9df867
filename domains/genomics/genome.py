"""A genome: letters by contig and place, from an indexed FASTA file."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deepfield.domains.genomics.fasta import read_fasta
from deepfield.domains.genomics.genbank import read_genbank
from deepfield.toolkit.cache import place_for
from deepfield.toolkit.errors import BadInput, NotFound, UsageError, first_line, near_names
from deepfield.toolkit.paths import ends, is_file, is_there
from deepfield.toolkit.text_files import is_gzipped

_GENBANK = (".gb", ".gbk", ".gbff", ".genbank")
#: Bytes of a file up to which it is read whole; the same of a gzipped one, which cannot be indexed.
_MOST_WHOLE, _MOST_PACKED = 64 << 20, 256 << 20


class Genome:
    """Letters of contigs. A large FASTA file is read through an index, `FILE.fai`, which is made if
    it is not there or older; a small one, a gzipped one, and one of GenBank are read whole.

    Contigs are found with or without `chr`, and `M` as `MT`.

    Args:
        source: a file.

    Raises:
        NotFound: no such file.
        UsageError: it is no FASTA, or no index can be made.
    """

    def __init__(self, source: str) -> None:
        self.source = source
        if not is_file(source):
            raise NotFound(f"no such genome: {source!r}", "name a FASTA file with --genome")
        self._whole: dict[str, bytes] = {}
        self._indexed: Any = None
        if _is_whole(source):
            self._whole = _read_whole(source)
            self.lengths = {name: len(letters) for name, letters in self._whole.items()}
        else:
            self._indexed = _indexed(source)
            self.lengths = {name: len(self._indexed[name]) for name in self._indexed.keys()}  # noqa: SIM118
        if not self.lengths:
            raise UsageError(f"{source!r} holds no contig", "a record starts with '>name'")
        self._names = _names(self.lengths)

    def name_of(self, contig: str) -> str:
        """What this file calls a contig.

        Raises:
            BadInput: it has none of this name.
        """
        found = self._names.get(contig) or self._names.get(_bare(contig))
        if found is None:
            near = near_names(contig, self.lengths)
            has = ", ".join(near or list(self.lengths)[:3])
            more = " …" if len(self.lengths) > len(near or range(3)) else ""
            raise BadInput(f"no contig {contig!r} in {Path(self.source).name} (it has {has}{more})")
        return found

    def fetch(self, contig: str, start: int, stop: int) -> bytes:
        """Letters from `start`, counted from 0, up to but without `stop`; N beyond the ends.

        Raises:
            BadInput: no such contig.
        """
        name = self.name_of(contig)
        first, last = max(0, start), min(stop, self.lengths[name])
        if last <= first:
            return b"N" * max(0, stop - start)
        if self._indexed is None:
            found = self._whole[name][first:last]
        else:
            found = str(self._indexed[name][first:last]).encode("latin-1", "replace")
        return b"N" * (first - start) + found + b"N" * (stop - last)


def _is_whole(source: str) -> bool:
    size = Path(source).stat().st_size
    with Path(source).open("rb") as stream:
        packed = is_gzipped(stream.read(2))
    if packed and size > _MOST_PACKED:
        raise UsageError(
            f"{source!r} is gzipped, and too large to be held whole",
            f"unpack it: gunzip -k {source}",
        )
    return packed or size <= _MOST_WHOLE or _is_genbank(source)


def _is_genbank(source: str) -> bool:
    return ends(source, _GENBANK)


def _read_whole(source: str) -> dict[str, bytes]:
    genbank = _is_genbank(source)
    found: dict[str, bytes] = {}
    for record in (read_genbank if genbank else read_fasta)(source):
        if record.fault is not None and record.letters:
            raise UsageError(f"{source!r}, {record.name}: {record.fault}", "copy the genome again")
        if record.name in found:
            raise UsageError(f"{source!r} has two contigs {record.name!r}", "rename one of them")
        if record.letters:
            found[record.name] = record.letters
            if genbank:  # annotations name NC_000913 what its version is NC_000913.3
                found.setdefault(record.name.partition(".")[0], record.letters)
    return found


def _indexed(source: str) -> Any:
    import pyfaidx

    try:
        return pyfaidx.Fasta(source, as_raw=True, indexname=_index_of(source))
    except (pyfaidx.FastaIndexingError, ValueError) as error:
        raise UsageError(
            f"{source!r} cannot be indexed: {first_line(error)}",
            "lines of a contig must be of one length, and names differ; seqkit seq -w 60 does it",
        ) from None
    except (pyfaidx.IndexNotFoundError, OSError) as error:
        raise UsageError(
            f"{source!r} cannot be indexed: {error}",
            "run samtools faidx on it, or copy the genome to a folder of your own",
        ) from None


def _index_of(source: str) -> str:
    """Where the index is: beside the file, or in the cache where nothing can be written there, or
    in a temporary folder.
    """
    beside = source + ".fai"
    if is_there(beside) or os.access(Path(source).resolve().parent, os.W_OK):
        return beside
    digest = hashlib.blake2b(str(Path(source).resolve()).encode(), digest_size=8).hexdigest()
    name = f"{digest}.fai"
    return str(place_for("genomes", name) / name)


def _bare(contig: str) -> str:
    """Without `chr`; the mitochondrion is MT.

    Example:
        >>> _bare("chr7"), _bare("chrM")
        ('7', 'MT')
    """
    bare = contig[3:] if contig.lower().startswith("chr") and len(contig) > 3 else contig
    return "MT" if bare == "M" else bare


def _names(lengths: Mapping[str, int]) -> dict[str, str]:
    names = {name: name for name in lengths}
    for name in lengths:
        names.setdefault(_bare(name), name)
    return names
