"""The application's Python files, parsed once, for the rules that can be read off the code."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Source:
    """One file: its name as Python imports it, its text and its syntax tree."""

    module: str
    text: str
    tree: ast.Module

    @property
    def functions(self) -> Iterator[Function]:
        """Every function and method, inner ones too."""
        return (node for node in ast.walk(self.tree) if isinstance(node, Function))

    @property
    def calls(self) -> Iterator[ast.Call]:
        """Every call."""
        return (node for node in ast.walk(self.tree) if isinstance(node, ast.Call))


def parse(module: str, text: str) -> Source:
    """Return a source that stands nowhere but in a test."""
    return Source(module, text, ast.parse(text))


def read_sources(folder: Path = ROOT / "meetup") -> list[Source]:
    """Return every Python file of a package."""
    return [parse(_module_name(path), path.read_text()) for path in sorted(folder.rglob("*.py"))]


def _module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported_names(source: Source) -> Iterator[tuple[str, str]]:
    """Yield (full name, name it is called by in the file) of everything that a file imports."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, alias.asname or alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{source.module} imports by a relative name"
            yield from ((f"{node.module}.{alias.name}", alias.asname or alias.name) for alias in node.names)


def dotted(node: ast.expr) -> str:
    """Return `a.b.c` for an expression that is a chain of names, with `?` where it is anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return "?"


def strings_in(node: ast.AST) -> Iterator[str]:
    """Yield every text constant within a piece of a tree."""
    return (part.value for part in ast.walk(node) if isinstance(part, ast.Constant) and isinstance(part.value, str))
