"""Face verification: are these two pictures of the same person?"""

from deepfield.domains.face.pipeline import FacePipeline

__all__ = ["FacePipeline"]
