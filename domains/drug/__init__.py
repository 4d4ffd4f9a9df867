"""Drug activity: molecules in, activities with their uncertainty out."""

from deepfield.domains.drug.pipeline import DrugPipeline

__all__ = ["DrugPipeline"]
