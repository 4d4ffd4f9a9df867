"""Question answering: a story and a question in, an answer and its grounds out."""
