"""Genomics: what a stretch of DNA does, and what a variant changes."""
