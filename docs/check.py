"""Checks the READMEs and docs/: that what they quote is in the tree word for word, and that what they link to exists.

A block is a quotation when a line `<!-- from PATH -->` stands before it. Usage: docs/check.py, in any directory.
"""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
QUOTE = re.compile(r"^<!-- from (\S+) -->\n```\w*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")


def check(page):
    text = page.read_text()
    for path, quoted in QUOTE.findall(text):
        source = ROOT / path
        if not source.exists():
            yield f"quotes {path}, which does not exist"
        elif quoted not in source.read_text():
            yield f"quotes what is not in {path}:\n{quoted}"
    for target in LINK.findall(text):
        if "://" not in target and not (page.parent / target).exists():
            yield f"links to {target}, which does not exist"


def main():
    problems = 0
    for page in [ROOT / "README.md", ROOT / "SECURITY.md", ROOT / "codegen" / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        for problem in check(page):
            print(f"{page.relative_to(ROOT)} {problem}")
            problems += 1
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
