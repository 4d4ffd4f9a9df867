"""Simulated DNA as files of every form that is read: what `sample:NAME` stands for."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Callable, Mapping, Sequence
from functools import cache

from deepfield.domains.genomics.bed import opposite_strand
from deepfield.domains.genomics.simulated import Gene, genome, simulate

_WIDTH = 60


def fasta_text(contigs: Mapping[str, bytes]) -> str:
    r"""Sequences by header as FASTA.

    Example:
        >>> fasta_text({"a": b"ACGT"})
        '>a\nACGT\n'
    """
    lines = []
    for name, letters in contigs.items():
        text = letters.decode("ascii")
        lines += [f">{name}", *(text[i : i + _WIDTH] for i in range(0, len(text), _WIDTH))]
    return "\n".join(lines) + "\n"


def gtf_text(genes: Sequence[Gene]) -> str:
    """Genes as GTF: a gene, a transcript, and its exons in the order in which they are read."""
    lines = ["#!genome-build simulated by deepfield"]
    for gene in genes:
        whole = (gene.exons[0][0], gene.exons[-1][1])
        ids = f'gene_id "{gene.name}"; gene_name "{gene.name}";'
        own = f'{ids} transcript_id "{gene.name}.1";'
        exons = gene.exons if gene.strand == "+" else gene.exons[::-1]
        numbered = enumerate(exons, start=1)
        rows = [("gene", whole, ids), ("transcript", whole, own)]
        rows += [("exon", exon, f'{own} exon_number "{number}";') for number, exon in numbered]
        for kind, (start, stop), told in rows:
            cells = (gene.contig, "deepfield", kind, start + 1, stop, ".", gene.strand, ".", told)
            lines.append("\t".join(map(str, cells)))
    return "\n".join(lines) + "\n"


def genbank_text(name: str, letters: bytes, genes: Sequence[Gene]) -> str:
    """A contig and its genes as a flat file of GenBank."""
    text = letters.decode("ascii").lower()
    lines = [
        f"LOCUS       {name:<16} {len(text):>11} bp    DNA     linear   SYN 01-JAN-2026",
        "DEFINITION  A simulated contig.",
        f"ACCESSION   {name}",
        f"VERSION     {name}.1",
        "FEATURES             Location/Qualifiers",
        f"     source          1..{len(text)}",
    ]
    for gene in genes:
        place = f"{gene.exons[0][0] + 1}..{gene.exons[-1][1]}"
        place = place if gene.strand == "+" else f"complement({place})"
        lines += [f"     gene            {place}", f'                     /gene="{gene.name}"']
    lines.append("ORIGIN")
    for start in range(0, len(text), _WIDTH):
        row = text[start : start + _WIDTH]
        tens = " ".join(row[i : i + 10] for i in range(0, len(row), 10))
        lines.append(f"{start + 1:>9} {tens}")
    return "\n".join([*lines, "//"]) + "\n"


def sites(genes: Sequence[Gene], donor: bool) -> list[tuple[str, int, str, str]]:
    """Donor or acceptor sites: contig, the exon's last or first base (from 0), strand and gene."""
    found = []
    for gene in genes:
        for (_, start), (stop, _) in zip(gene.exons, gene.exons[1:], strict=False):
            left = (gene.strand == "+") == donor
            found.append((gene.contig, start - 1 if left else stop, gene.strand, gene.name))
    return found


@cache
def _genome() -> tuple[dict[str, bytes], list[Gene]]:
    return genome(100_000, seed=1)


def _bed() -> str:
    """The two letters with which introns begin."""
    rows = []
    for contig, at, strand, name in sites(_genome()[1], donor=True)[:24]:
        start = at + 1 if strand == "+" else at - 2
        rows.append(f"{contig}\t{start}\t{start + 2}\t{name}\t.\t{strand}")
    return "\n".join(rows) + "\n"


def _variants() -> str:
    """Variants of the genome: the first letter of introns, their neighbours, and a few of each
    other kind, one of which is of another genome.
    """
    contigs, genes = _genome()
    rows: list[tuple[str, int, str, str]] = []
    for contig, at, strand, _ in sites(genes, donor=True)[:12]:
        first = at + 1 if strand == "+" else at - 1
        base = contigs[contig][first : first + 1].decode()
        rows.append((contig, first, base, {"G": "A", "C": "T"}.get(base, "A")))
        near = first + (20 if strand == "+" else -20)
        base = contigs[contig][near : near + 1].decode()
        rows.append((contig, near, base, "A" if base != "A" else "C"))
    contig, start = rows[4][0], rows[4][1]
    letters = contigs[contig].decode()
    rows.append((contig, start - 2, letters[start - 2 : start + 2], letters[start - 2]))
    rows.append((contig, start + 5, letters[start + 5], letters[start + 5] + "GTAAGT"))
    rows.append(
        (contig, start + 9, letters[start + 9], "A,C" if letters[start + 9] in "GT" else "G,T")
    )
    wrong = "A" if letters[start + 12] != "A" else "C"
    rows.append((contig, start + 12, wrong, "G"))
    order = {name: number for number, name in enumerate(contigs)}
    rows.sort(key=lambda row: (order[row[0]], row[1]))
    head = ["##fileformat=VCFv4.2"]
    head += [f"##contig=<ID={name},length={len(own)}>" for name, own in contigs.items()]
    head.append("#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO")
    lines = [
        f"{contig}\t{at + 1}\tsim{number}\t{ref}\t{alt}\t.\tPASS\t."
        for number, (contig, at, ref, alt) in enumerate(rows, start=1)
    ]
    return "\n".join([*head, *lines]) + "\n"


def _junctions() -> str:
    """Sites of the genome as UCI has them: 30 letters on either side, EI, IE and neither."""
    contigs, genes = _genome()
    lines = []
    for label, kind in (("EI", "DONOR"), ("IE", "ACCEPTOR"), ("N", "NEG")):
        for contig, at, strand, name in sites(genes, label == "EI")[:20]:
            # the junction is behind the base on a strand's way into the intron, before it else
            right = (label != "IE") == (strand == "+")
            middle = at + 1 if right else at
            middle += 0 if label != "N" else 45
            letters = contigs[contig][middle - 30 : middle + 30]
            letters = opposite_strand(letters) if strand == "-" else letters
            lines.append(f"{label},    {name}-{kind}-{at},    {letters.decode()}")
    return "\n".join(lines) + "\n"


def _peaks() -> bytes:
    bound = [one for one in simulate("motif", 120, 3, 101) if one.label == "1"]
    rows = (f"A\tseq_{n:05d}_peak\t{one.letters}\t1" for n, one in enumerate(bound, start=1))
    text = "\n".join(["FoldID\tEventID\tseq\tBound", *rows]) + "\n"
    return gzip.compress(text.encode(), mtime=0)


def _pairs() -> str:
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["name", "sequence", "motifs", "label"])
    for number, one in enumerate(simulate("pair", 300, 1), start=1):
        table.writerow([f"pair{number}", one.letters, one.motifs, one.label])
    return text.getvalue()


def _sites() -> str:
    made = enumerate(simulate("site", 8, 2, 602), start=1)
    return fasta_text({f"site{n} label={one.label}": one.letters.encode() for n, one in made})


def _contig() -> str:
    contigs, genes = _genome()
    return genbank_text("chr3", contigs["chr3"], [g for g in genes if g.contig == "chr3"])


#: What makes each file in `samples/`.
FILES: dict[str, Callable[[], str | bytes]] = {
    "sites.fa": _sites,
    "pairs.csv": _pairs,
    "genome.fa": lambda: fasta_text(_genome()[0]),
    "genes.gtf": lambda: gtf_text(_genome()[1]),
    "variants.vcf": _variants,
    "intervals.bed": _bed,
    "junctions.data": _junctions,
    "peaks.seq.gz": _peaks,
    "contig.gb": _contig,
}
