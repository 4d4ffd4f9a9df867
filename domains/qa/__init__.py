"""Question answering: what a story says."""

from deepfield.domains.qa.pipeline import QAPipeline

__all__ = ["QAPipeline"]
