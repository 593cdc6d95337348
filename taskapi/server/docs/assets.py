"""The static files of the documentation pages, and their paths.

The table is built at import. No request can name another file.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent / "static"

_TYPES = {
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
    ".txt": "text/plain",
}


@dataclass(frozen=True)
class Asset:
    """A file with its media type, its SHA-256, and its compressed version if there is one."""

    path: Path
    media_type: str
    digest: str
    compressed: Path | None


def _load(folder: Path) -> dict[str, Asset]:
    assets = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix not in _TYPES:
            continue
        compressed = path.with_name(f"{path.name}.gz")
        assets[path.relative_to(folder).as_posix()] = Asset(
            path=path,
            media_type=_TYPES[path.suffix],
            digest=hashlib.sha256(path.read_bytes()).hexdigest(),
            compressed=compressed if compressed.exists() else None,
        )
    return assets


ASSETS = _load(FOLDER)
"""All files, by their names in the folder."""

_CONTENTS = "".join(f"{name} {asset.digest}\n" for name, asset in ASSETS.items())

RELEASE = hashlib.sha256(_CONTENTS.encode()).hexdigest()[:12]
"""A part of each file's path. It changes with any file, so that caches can store them for long."""
