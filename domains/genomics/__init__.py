"""Genomics: what a stretch of DNA does, and what a variant changes."""

from deepfield.domains.genomics.pipeline import GenomicsPipeline

__all__ = ["GenomicsPipeline"]
