"""Evaluation: answers from every model to the same prompts, and what is measured on them."""
