"""Runs the python blocks of a page, top to bottom in one namespace, and compares what they print with what is shown."""

import ast
import io
import re
from contextlib import redirect_stdout
from dataclasses import dataclass

BLOCK = re.compile(r"^```python\n(.*?)^```$(?:\n\n```\n(.*?)^```$)?", re.MULTILINE | re.DOTALL)
NUMBER = re.compile(r"(?<![\w.])-?(?:\d+\.\d*|\.?\d+)(?:e[+-]?\d+)?")
COMMENT = re.compile(r"#\s+((?:True|False|[-\d.,()\[\]{}'\s])*)(?=$|[^\d.])")  # as far as it is a value


@dataclass
class Shown:
    """What a statement or a block prints, beside what the page says of it."""

    line: int
    printed: str
    expected: str
    is_block: bool  # else a comment behind the statement: its first numbers are some of those printed, rounded

    def exact(self):
        if self.is_block:
            return [line.rstrip() for line in self.printed.splitlines()] == self.expected.splitlines()
        return self.near(0)

    def near(self, tolerance):
        """Whether the numbers are those shown, but for rounding and a part ``tolerance`` of them."""
        printed, expected = (NUMBER.findall(text) for text in (self.printed, self.expected))
        if self.is_block and len(printed) != len(expected):
            return False
        left = iter(printed)  # of a comment each number in turn, others may stand between
        return all(any(_near(number, shown, tolerance) for number in left) for shown in expected)


def _near(printed, shown, tolerance):
    half = 0.5 * 10.0 ** -len(shown.partition(".")[2])  # of the last digit shown
    return abs(float(printed) - float(shown)) <= half * 1.001 + tolerance * max(1.0, abs(float(shown)))


def run(page):
    """Yield a ``Shown`` for each output that the page shows, in its order."""
    text, namespace = page.read_text(), {}
    for block in BLOCK.finditer(text):
        start = text[: block.start(1)].count("\n")
        lines, printed = block[1].splitlines(), ""
        for node in ast.parse(block[1]).body:
            module = ast.increment_lineno(ast.Module([node], []), start)  # errors show the page's own line
            with redirect_stdout(io.StringIO()) as out:
                exec(compile(module, page, "exec"), namespace)
            comment = _comment(lines, node.end_lineno - start)
            if out.getvalue() and comment:
                yield Shown(node.end_lineno, out.getvalue(), comment, False)
            else:
                printed += out.getvalue()
        if block[2] is not None:
            yield Shown(start + len(lines) + 1, printed, block[2], True)


def _comment(lines, last):
    """The value that a comment behind line ``last``, or on the line after it, begins with."""
    found = re.search(r"  # .*$", lines[last - 1])
    after = lines[last] if last < len(lines) and lines[last].startswith("# ") else ""
    value = COMMENT.match(found[0].strip() if found else after)
    return value[1] if value and NUMBER.search(value[1]) else None
