"""What the house tests ask of the source files: modules, imports, functions; nothing is run."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = {
    "bertfeat": ROOT / "bertfeat",
    "bertfeat_client": ROOT / "client" / "bertfeat_client",
    "bertfeat_server": ROOT / "server" / "bertfeat_server",
    "bertfeat_tools": ROOT / "tools" / "bertfeat_tools",
}
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Module:
    """One source file of a package."""

    name: str
    path: Path

    @cached_property
    def tree(self) -> ast.Module:
        """The file's syntax tree."""
        return ast.parse(self.path.read_text("utf-8"), self.path)

    @property
    def package(self) -> str:
        """The import package that the file belongs to."""
        return self.name.split(".")[0]

    @property
    def room(self) -> str:
        """What stands below the package: ``bertfeat.encoder.bert`` is in ``encoder``."""
        return self.name.split(".")[1] if "." in self.name else ""

    def imports(self) -> Iterator[str]:
        """Full names of everything that the file imports, wherever in it the import stands."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{self.path}:{node.lineno}: a relative import"
                yield from (f"{node.module}.{alias.name}" for alias in node.names)

    def functions(self) -> Iterator[Function]:
        """Every function and method of the file."""
        for node in ast.walk(self.tree):
            if isinstance(node, Function):
                yield node


@cache
def modules(package: str) -> tuple[Module, ...]:
    """All source files of a package."""
    folder = PACKAGES[package]
    return tuple(
        Module(_name(package, folder, path), path) for path in sorted(folder.rglob("*.py"))
    )


def all_modules() -> tuple[Module, ...]:
    """The source files of all packages."""
    return tuple(module for package in PACKAGES for module in modules(package))


def _name(package: str, folder: Path, path: Path) -> str:
    parts = path.relative_to(folder).with_suffix("").parts
    return ".".join((package, *(part for part in parts if part != "__init__")))
