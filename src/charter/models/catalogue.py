"""Models that can be used without a download, and making one ready."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from huggingface_hub import scan_cache_dir, snapshot_download
from huggingface_hub.errors import CacheNotFound, HfHubHTTPError, LocalEntryNotFoundError

from charter.errors import ModelError, boundary
from charter.models import embedded


def available() -> list[dict[str, Any]]:
    """The embedded model and what lies in the local hub cache: name, state, where."""
    ready = (embedded.cache_folder() / embedded.SOURCE).exists()
    try:
        where = str(embedded.cache_folder() if ready else embedded.gguf_path())
        state = "ready" if ready else "installed; converted at first use"
    except ModelError as error:
        state, where = "not installed", str(error)
    return [{"name": embedded.NAME, "state": state, "where": where}, *_cached()]


def pull(name: str) -> Path:
    """Make a model ready and say where it lies.

    Raises:
        ModelError: the wheel is missing, or the hub cannot be reached.
    """
    if name == embedded.NAME:
        return embedded.folder()
    if Path(name).is_dir():
        return Path(name)
    failures = (OSError, ValueError, HfHubHTTPError, LocalEntryNotFoundError)
    with boundary(ModelError, f"fetching model {name!r}", catch=failures):
        patterns = ["*.safetensors", "*.json", "*.txt", "*.model", "*.jinja"]
        return Path(snapshot_download(name, allow_patterns=patterns))


def _cached() -> list[dict[str, Any]]:
    try:
        repositories = scan_cache_dir().repos
    except CacheNotFound:
        return []
    return [
        {"name": repo.repo_id, "state": "in the hub cache", "where": str(repo.repo_path)}
        for repo in sorted(repositories, key=lambda repo: repo.repo_id)
        if repo.repo_type == "model"
    ]
