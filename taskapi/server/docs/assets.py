"""The files that the documentation pages load: which there are, and under which address.

Nothing is looked up in the file system by a name that came with a request: what is not in the
table made here does not exist.
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
    """One file: where it is, what it is, its SHA-256, and its compressed twin if it has one."""

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
"""Every file that may be asked for, by its name within the folder."""

_CONTENTS = "".join(f"{name} {asset.digest}\n" for name, asset in ASSETS.items())

RELEASE = hashlib.sha256(_CONTENTS.encode()).hexdigest()[:12]
"""A part of each file's address: it changes when any file does, so that caches may keep them."""
