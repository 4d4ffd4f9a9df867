"""Image recognition: pictures in, classes out."""

from deepfield.domains.image.pipeline import ImagePipeline

__all__ = ["ImagePipeline"]
