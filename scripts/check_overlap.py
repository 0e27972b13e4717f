#!/usr/bin/env python3
"""Fails when two texts share a run of words: check_overlap.py FIRST SECOND [--words 12]

Case and punctuation don't count, nor how the text is broken into lines.
"""

import argparse
import re
import sys
from pathlib import Path


def runs(path, n):
    words = re.findall(r"\w+", path.read_text(encoding="utf-8").lower())
    return {" ".join(words[i:i + n]) for i in range(len(words) - n + 1)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("first", type=Path)
    parser.add_argument("second", type=Path)
    parser.add_argument("--words", type=int, default=12)
    args = parser.parse_args()
    shared = runs(args.first, args.words) & runs(args.second, args.words)
    for run in sorted(shared)[:10]:
        print(f"in both: {run}")
    print(f"{len(shared)} runs of {args.words} words are in both texts")
    return 1 if shared else 0


if __name__ == "__main__":
    sys.exit(main())
