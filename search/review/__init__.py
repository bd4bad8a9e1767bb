"""Review: doubtful pairs shown to people, most doubtful first, and what they say of them."""

from search.review.queue import ReviewQueue
from search.review.routes import add_review

__all__ = ["ReviewQueue", "add_review"]
