"""The child process that opens an uploaded file: `__main__.py KIND [OPTIONS]`.

Bytes on standard input, kind and options (JSON) as arguments; JSON on standard output:
`{"paragraphs": [[text, place], …], "hidden": [[text, place, why], …], …}` or
`{"refused": word}`.
"""

import json
import sys
from pathlib import Path
from typing import Any

# The child runs isolated: it finds this package beside itself and nothing else of ours.
sys.path.insert(0, str(Path(__file__).parents[2]))

from content.readers.limits import Refusal, limit_self, peak_kib
from content.readers.reading import answer_for


def main(kind: str, options: str = "{}") -> None:
    """Read standard input under limits and answer on standard output."""
    limit_self(kind)
    data = sys.stdin.buffer.read()
    answer: dict[str, Any]
    try:
        answer = answer_for(kind, data, json.loads(options))
    except Refusal as refusal:
        answer = {"refused": str(refusal)}
    except (MemoryError, RecursionError):
        answer = {"refused": "stopped"}
    except Exception:
        # The parsers raise whatever the bytes provoke; to the caller all of it means: broken.
        answer = {"refused": "broken"}
    answer["peak_kib"] = peak_kib()
    sys.stdout.write(json.dumps(answer, ensure_ascii=False))


if __name__ == "__main__":
    main(*sys.argv[1:])
