"""What goes wrong in the world, and how often: every rate is a named number here."""

from typing import Final

WRONG_TAG_RATE: Final = 0.05
"""Tags that show another product of the same class than the one worn."""
MISSING_TAG_RATE: Final = 0.10
"""Worn products that the page does not show."""
SURPLUS_TAG_RATE: Final = 0.08
"""Extra tags per worn product: something that no photo shows."""
UNTAGGED_POST_RATE: Final = 0.02
"""Posts without any tag."""
REPOST_RATE: Final = 0.06
"""Posts whose photos are copies of another post's."""
GONE_RATE: Final = 0.04
"""Posts that their owner has deleted."""
AI_MADE_RATE: Final = 0.03
"""Posts that the site marks as made by AI."""
BROKEN_PHOTO_RATE: Final = 0.015
BROKEN_THUMBNAIL_RATE: Final = 0.01
MISSING_THUMBNAIL_RATE: Final = 0.01
SMALL_THUMBNAIL_RATE: Final = 0.04
"""Thumbnails under 200 px on a side."""
BYSTANDER_RATE: Final = 0.04
"""Photos with a second person in other clothes."""
TURNED_RATE: Final = 0.10
"""Photos stored turned, with an EXIF orientation that says so."""

FAULTS: Final = ("truncated", "empty", "html", "bomb")
"""How an image can be broken."""
COPY_KINDS: Final = ("recompress", "resize", "crop", "watermark", "repost")
"""How a repost changes the photos; "repost" does all of it at once."""
