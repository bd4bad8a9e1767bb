"""The world of the month: which posts the sites show on a night, and what a crawl must have made of each at the end."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from crawlers.exclusions import REASON as TAKEN_DOWN
from sandbox.posts import SITES, Post
from sandbox.sites.server import Server
from sandbox.world import World

Key = tuple[str, int]
"""Site and id of a post."""
Row = tuple[str, int, str, int]
"""Site, post, role and position of a picture."""
NEVER: Final = 10**6  # a night after the last


@dataclass
class GrowingWorld:
    """A drawn world of which some more is there every night.

    Args:
        world: all of it.
        first: posts that are there on the first night.
        nightly: posts that are new on every other.
        sites: that are crawled every night.
    """

    world: World
    first: int
    nightly: int
    sites: Sequence[str] = SITES
    deleted: dict[Key, int] = field(default_factory=dict)  # post → night from which on it is not there
    taken_down: set[Key] = field(default_factory=set)
    calm: dict[str, list[int]] = field(default_factory=lambda: {site: [] for site in SITES})
    """Site → nights on which its crawl was not disturbed."""

    def __post_init__(self) -> None:
        every = [post for posts in self.world.posts.values() for post in posts.values()]
        self._posts = sorted(every, key=lambda post: post.posted_at)

    def shown(self, night: int) -> list[Post]:
        """Posts that were there by a night, oldest first; also those that were deleted since."""
        return self._posts[: self.first + (night - 1) * self.nightly]

    def show(self, server: Server, night: int) -> int:
        """Let a server show what is there on a night; how many posts are new."""
        posts = self.shown(night)
        for name, site in server.sites.items():
            site.until = posts[-1].posted_at
            site.deleted = {number for (of, number), since in self.deleted.items() if of == name and since <= night}
        return len(posts) - (len(self.shown(night - 1)) if night > 1 else 0)

    def delete(self, night: int, old: int, new: int) -> list[Key]:
        """Delete so many posts that were crawled for certain, and of this night's before they ever were."""
        known = len(self.shown(night - 1))
        before = [post for post in self.shown(night - 1) if self._alive(post) and self._seen(post, night)]
        fresh = [post for post in self.shown(night)[known:] if self._alive(post)]
        chosen = [(post.site, post.post_id) for post in [*before[:: max(1, len(before) // old)][:old], *fresh[:new]]]
        self.deleted.update(dict.fromkeys(chosen, night))
        return chosen

    def expected(self, night: int) -> dict[Key, str]:
        """State and reason that the ledger must have of each post at the end of a night."""
        return {
            (post.site, post.post_id): self._state(post, night) for post in self.shown(night) if post.site in self.sites
        }

    def rows(self, key: Key) -> set[Row]:
        """Pictures that the table of posts must have of a post that was crawled."""
        post = self.world.posts[key[0]][key[1]]
        photos = {(*key, "photo", photo.position) for photo in post.photos}
        return photos | {(*key, "product", place) for place in range(len(post.tags))}

    def _alive(self, post: Post) -> bool:
        return post.site in self.sites and not post.gone and (post.site, post.post_id) not in self.deleted

    def _seen(self, post: Post, before: int) -> bool:
        """Whether the post's site was crawled undisturbed while it was there, before a night."""
        appeared = 1 + max(0, -(-(self._posts.index(post) + 1 - self.first) // self.nightly))
        return any(appeared <= calm < before for calm in self.calm[post.site])

    def _state(self, post: Post, night: int) -> str:
        key = (post.site, post.post_id)
        if key in self.taken_down:
            return f"excluded {TAKEN_DOWN}"
        if post.gone or not self._seen(post, min(self.deleted.get(key, NEVER), night + 1)):
            return "gone"
        if post.ai_made:
            return "excluded ai_made"
        if not post.photos or not post.tags:
            return "empty"
        photos = any(photo.fault is None for photo in post.photos)
        return "done" if photos and any(self._usable(post.site, tag.product_id) for tag in post.tags) else "empty"

    def _usable(self, site: str, product: int) -> bool:
        return self.world.has_thumbnail(site, product) and self.world.thumbnail_fault(site, product) is None
