# SPDX-License-Identifier: Apache-2.0
"""What the lints share: the list of files, source without comments, and one way to complain."""
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
SKIPPED = {".git", ".stamps", "node_modules", "dist", "data", "__pycache__"}


def _walk(folder):
    for path in sorted(folder.iterdir()):
        if path.is_symlink() or path.name in SKIPPED or (folder == ROOT and path.name.startswith("build")):
            continue
        if path.is_dir():
            yield from _walk(path)
        elif path.is_file():
            yield path


def files(*suffixes, under=""):
    """Files of the tree, relative to its root: what Git would keep, or, without Git, everything that is not built."""
    try:
        listed = subprocess.run(["git", "-C", str(ROOT), "ls-files", "-co", "--exclude-standard", "-z"], check=True,
                                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout.split("\0")
        paths = [ROOT / name for name in sorted(set(listed)) if name]
    except (OSError, subprocess.CalledProcessError):
        paths = list(_walk(ROOT))
    for path in paths:
        relative = path.relative_to(ROOT)
        if path.is_file() and not path.is_symlink() and str(relative).startswith(under) \
                and (not suffixes or path.name.endswith(suffixes)):
            yield relative


def text(relative):
    """The file's text, or None when it is not UTF-8 text."""
    data = (ROOT / relative).read_bytes()
    if b"\0" in data:
        return None
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return None


_TOKENS = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.DOTALL)


def bare(source):
    """C source with comments and literals blanked; lines stay where they are."""
    return _TOKENS.sub(lambda m: re.sub(r"[^\n]", " ", m.group()) if m.group()[0] == "/" else
                       m.group()[0] + " " * (len(m.group()) - 2) + m.group()[-1], source)


def excused(lines, index):
    """A rule may be broken where a comment says why: on the line or on one of the two before it."""
    return any("Why" in line for line in lines[max(index - 2, 0):index + 1])


class Complaints:
    def __init__(self, name):
        self.name, self.count = name, 0

    def add(self, path, line, words):
        print(f"{path}:{line}: {words} [{self.name}]")
        self.count += 1

    def end(self):
        sys.exit(1 if self.count else 0)
