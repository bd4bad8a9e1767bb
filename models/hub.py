"""Push a checkpoint to the Hugging Face hub, with its card, in one commit.

`models.checkpoint.open_checkpoint` loads it from there.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Final

from curation.card import CARD
from curation.hub import Pushed, upload
from models.card import FACTS, write_card
from models.checkpoint import MANIFEST, PREPROCESSING, WEIGHTS, Kind, open_checkpoint

if TYPE_CHECKING:
    from huggingface_hub import HfApi

_PUSHED: Final = (WEIGHTS, "config.json", PREPROCESSING, MANIFEST, FACTS, CARD)


def push_to_hub(checkpoint: Path, kind: Kind, repo: str, api: "HfApi", *, private: bool = True) -> Pushed:
    """Make a model repository hold this checkpoint; what is there already is not sent again.

    Args:
        checkpoint: directory; it gets a card if it has none but a manifest.
        kind: what it must be.
        repo: `owner/name`; created when it is not there.
        api: client, with the endpoint and the token to use.
        private: of a repository that has to be created.

    Raises:
        CheckpointError: the checkpoint is damaged or of another kind; nothing was sent.
        huggingface_hub.errors.HfHubHTTPError: the hub refused.
    """
    folder, manifest = open_checkpoint(checkpoint, kind)
    if (folder / MANIFEST).is_file() and not (folder / CARD).is_file():
        write_card(folder, {})
    files = {name: folder / name for name in _PUSHED if (folder / name).is_file()}
    return upload(files, repo, api, repo_type="model", message=f"{kind} {manifest.version}", private=private)
