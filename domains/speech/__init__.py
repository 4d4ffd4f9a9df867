"""Speech: which words a recording says, when, and how sure that is."""

from deepfield.domains.speech.pipeline import SpeechPipeline

__all__ = ["SpeechPipeline"]
