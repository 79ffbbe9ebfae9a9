"""A worker process that was executed, not forked: python -m histrio._executed."""

from __future__ import annotations

import json
import os

from . import _app as app
from ._worker import serve


def main() -> None:
    app.die_with_parent()
    told = json.loads(os.environ.pop("HISTRIO_WORKER"))
    failures: list[str] = []
    app.set_up(told["path"] or [], told["preload"] or [], told["script"], failures.append)
    serve(*told["fds"])


if __name__ == "__main__":
    main()
