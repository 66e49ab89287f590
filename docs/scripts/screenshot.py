"""Remakes `docs/images/demo.svg`, a picture of what `llmrec demo` prints: `python docs/scripts/screenshot.py`.

The demo runs as it does for everybody; the section about one user is cut from its output and drawn by rich.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from io import StringIO
from pathlib import Path

from rich.console import Console
from rich.text import Text

PICTURE = Path(__file__).resolve().parents[1] / "images" / "demo.svg"

USER = "sam-quant"

COLUMNS = 100

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def demo_output() -> list[str]:
    """Lines of `llmrec demo` with their colours."""
    environment = {**os.environ, "FORCE_COLOR": "1", "TERM": "xterm-256color", "COLUMNS": str(COLUMNS)}
    program = [sys.executable, "-c", "from llmrec_qdrant.cli.main import main; main()", "demo"]
    run = subprocess.run(
        program, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True
    )
    return run.stdout.splitlines()


def section(lines: list[str], user: str) -> list[str]:
    """The lines from the rule that names the user to the next rule."""
    rules = [number for number, line in enumerate(lines) if ESCAPES.sub("", line).rstrip().endswith("────")]
    titled = [number for number in rules if ESCAPES.sub("", lines[number]).startswith(f"{user} ")]
    end = next(number for number in rules if number > titled[0] and not ESCAPES.sub("", lines[number]).startswith(" "))
    return lines[titled[0] : end - 1]


def draw(lines: list[str]) -> str:
    """An SVG of a terminal that shows these lines; it names no font of another host."""
    console = Console(record=True, width=COLUMNS, file=StringIO(), force_terminal=True, color_system="truecolor")
    for line in lines:
        console.print(Text.from_ansi(line))
    svg = console.export_svg(title="llmrec demo", unique_id="demo")
    return re.sub(r"\s*@font-face \{.*?\}", "", svg, flags=re.DOTALL).replace("Fira Code, monospace", "monospace")


if __name__ == "__main__":
    PICTURE.write_text(draw(section(demo_output(), USER)), "utf-8")
