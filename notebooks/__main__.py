"""`python -m notebooks`: write every notebook from its text form; `--check` says which ones are not what it gives.

The text form (jupytext, py:percent) is what people edit and what diffs show. The .ipynb beside it has the same cells,
no outputs, and the same bytes every time.
"""

from __future__ import annotations

import sys
from pathlib import Path

try:
    import jupytext
    import nbformat
except ModuleNotFoundError as problem:
    sys.exit(f"The notebooks need the package {problem.name}: install it with pip install '.[test]'.")

FOLDER = Path(__file__).parent


def paired(text: Path) -> str:
    """A text form => the notebook."""
    book = jupytext.reads(text.read_text(encoding="utf-8"), fmt="py:percent")
    for number, cell in enumerate(book.cells, 1):
        cell["id"] = f"cell-{number:02}"
        cell["metadata"] = {}
    book["metadata"] = {
        "jupytext": {"formats": "ipynb,py:percent"},
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    book["nbformat"], book["nbformat_minor"] = 4, 5
    nbformat.validate(book)
    return str(nbformat.writes(book)) + "\n"


def main(arguments: list[str]) -> int:
    """0 when all is as it should be."""
    made = {path.with_suffix(".ipynb"): paired(path) for path in sorted(FOLDER.glob("[0-9]*.py"))}
    if arguments != ["--check"]:
        for path, text in made.items():
            path.write_text(text, encoding="utf-8")
    wrong = [path for path, text in made.items() if not path.is_file() or path.read_text(encoding="utf-8") != text]
    wrong += sorted(set(FOLDER.glob("*.ipynb")) - set(made))
    for path in wrong:
        print(f"{path.name} is not what its text form gives: run `make notebooks`, and remove what has no text form.")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
