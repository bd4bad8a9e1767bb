"""Reads the documents: the commands that they show, their links, and the headings that can be linked to."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
_RECORDS = {"EXPERIMENTS.md", "CHANGELOG.md"}  # what was, not what to do
DOCUMENTS = [
    path
    for pattern in ("*.md", "docs/*.md", "deploy/*.md", "benchmarks/*.md")
    for path in sorted(ROOT.glob(pattern))
    if path.name not in _RECORDS
]
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"(?<!`)`([^`]+)`(?!`)")
_ASSIGNED = re.compile(r"(\w+)=(\$\([^)]*\)|\S*)\s+")  # before a command: NAME=value, NAME=$(command)
_PROGRAMS = "python|make|dagster|dg|torchrun|docker|kubectl|sh|pip|ray|curl|apt-get|export"
_LIKE = re.compile(rf"^(?:{_ASSIGNED.pattern})*(?:(?:{_PROGRAMS}) \S|[a-z][\w-]* (?:[\w-]+ )*--?\w)")


@dataclass(frozen=True)
class Command:
    """One command of a document."""

    text: str
    also: tuple[str, ...] = ()  # subcommands that its comment names beside it
    quoted: bool = False  # in running text, where arguments may be left out

    @property
    def variables(self) -> list[str]:
        """Environment variables that are set before it, or by it."""
        before = [found[1] for found in self._assigned()]
        return before + [word.partition("=")[0] for word in self.words if self.words[0] == "export"][1:]

    @property
    def words(self) -> list[str]:
        """Program and arguments."""
        return shlex.split(self.text[sum(len(found[0]) for found in self._assigned()) :])

    def _assigned(self) -> Iterator[re.Match[str]]:
        at = 0
        while found := _ASSIGNED.match(self.text, at):
            yield found
            at = found.end()


def blocks(text: str, *languages: str) -> list[str]:
    """Fenced blocks in one of these languages."""
    return [block for language, block in _BLOCK.findall(text) if language in languages]


def commands(text: str) -> list[Command]:
    """Commands of a page in Markdown, in the order in which they stand."""
    shown = [_shown(line) for block in blocks(text, "sh", "bash", "console") for line in _lines(block)]
    quoted = [" ".join(words.split()) for words in _INLINE.findall(_BLOCK.sub("", text))]
    return shown + [Command(words, quoted=True) for words in quoted if _LIKE.match(words)]


def _lines(block: str) -> Iterator[str]:
    for line in block.replace("\\\n", " ").splitlines():
        if line.strip() and not line.startswith("#"):
            yield line.removeprefix("$ ")


def _shown(line: str) -> Command:
    text, _, comment = line.partition(" #")
    named = re.search(r"\b[Aa]lso (.+)", comment)
    also = tuple(name.split()[0] for name in named[1].split(", ")) if named else ()
    return Command(" ".join(text.split()), also)


def links(text: str) -> list[str]:
    """Targets of a page's links and pictures, those to other sites left out."""
    return [target for target in re.findall(r"\]\(([^)\s]+)\)", _BLOCK.sub("", text)) if "://" not in target]


def anchors(text: str) -> set[str]:
    """Names under which a page's headings can be linked to, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", _BLOCK.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
