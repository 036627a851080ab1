"""The house's arrows and budgets, read from the source files."""

import ast

import pytest

from source_tree import PACKAGES, ROOT, Function, Module, all_modules, modules

MAY_IMPORT = {
    "bertfeat": set(),
    "bertfeat_client": set(),
    "bertfeat_server": {"bertfeat", "bertfeat_client"},
    "bertfeat_tools": {"bertfeat", "bertfeat_client"},
}
# Inside the library a room imports from the floors below its own, never from above or beside.
FLOORS = (
    {"errors", "extras"},
    {"config"},
    {"encoder", "tokenization"},
    {"engine"},
    {"checkpoints"},
    {"features"},
    {"fidelity"},
    {"loading"},
    {"api", "lite"},
    {"index", "ner", "viz"},
    {"tasks"},
)
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
MAX_FILE, MAX_TEST_FILE, MAX_BODY, MAX_ARGUMENTS = 250, 400, 50, 8
TEST_FILES = sorted((ROOT / "tests").rglob("*.py"))


def wrong_packages(module: Module) -> list[str]:
    """Imports of our packages that this module's package may not have."""
    foreign = set(PACKAGES) - MAY_IMPORT[module.package] - {module.package}
    return [name for name in module.imports() if name.split(".")[0] in foreign]


def wrong_rooms(module: Module) -> list[str]:
    """Imports inside the library that go up or sideways."""
    if module.package != "bertfeat" or not module.room:
        return []
    inner = [name.split(".")[1] for name in module.imports() if name.startswith("bertfeat.")]
    return [r for r in inner if r != module.room and FLOOR[r] >= FLOOR[module.room]]


def body_length(function: Function) -> int:
    """Lines of a function without its signature and docstring."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return body[-1].end_lineno - body[0].lineno + 1 if body else 0


def arguments(function: Function) -> list[str]:
    """Names of a function's arguments, ``self`` and ``cls`` left out."""
    given = function.args.posonlyargs + function.args.args + function.args.kwonlyargs
    return [argument.arg for argument in given if argument.arg not in ("self", "cls")]


def named(name: str, source: str) -> Module:
    """A module of this name and source, as if it stood in the tree."""
    module = Module(name, ROOT / "nowhere.py")
    module.__dict__["tree"] = ast.parse(source)
    return module


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_imports_only_those_of_ours_that_it_may(package):
    found = {module.name: wrong_packages(module) for module in modules(package)}
    assert {name: wrong for name, wrong in found.items() if wrong} == {}


def test_arrows_inside_the_library_point_down():
    found = {module.name: wrong_rooms(module) for module in modules("bertfeat")}
    assert {name: wrong for name, wrong in found.items() if wrong} == {}


def test_every_room_of_the_library_stands_on_a_floor():
    assert {module.room for module in modules("bertfeat")} - {""} <= set(FLOOR)


def test_the_library_knows_neither_click_nor_print():
    assert not [m.name for m in modules("bertfeat") if "click" in map(first_part, m.imports())]


def test_the_client_imports_nothing_but_numpy_and_zmq():
    foreign = {
        first_part(name)
        for module in modules("bertfeat_client")
        for name in module.imports()
        if first_part(name) not in __import__("sys").stdlib_module_names
    }
    assert foreign <= {"bertfeat_client", "numpy", "zmq"}


def first_part(name: str) -> str:
    """``os.path`` -> ``os``."""
    return name.split(".")[0]


def test_the_checks_see_a_wrong_arrow():
    assert wrong_packages(named("bertfeat.api", "def f():\n import bertfeat_server.broker"))
    assert wrong_packages(named("bertfeat_client.call", "from bertfeat import errors"))
    assert wrong_rooms(named("bertfeat.engine.base", "from bertfeat.features.spec import Spec"))
    assert wrong_rooms(named("bertfeat.ner.crf", "from bertfeat import index"))
    assert not wrong_rooms(named("bertfeat.index.store", "from bertfeat.api import Encoder"))


@pytest.mark.parametrize("module", all_modules(), ids=lambda module: module.name)
def test_files_and_functions_keep_to_their_budgets(module):
    lines = len(module.path.read_text("utf-8").splitlines())
    assert lines <= MAX_FILE, f"{module.path} has {lines} lines, at most {MAX_FILE}: split it"
    for function in module.functions():
        place = f"{module.path}:{function.lineno} {function.name}"
        assert body_length(function) <= MAX_BODY, f"{place} has {body_length(function)} lines"
        assert len(arguments(function)) <= MAX_ARGUMENTS, f"{place}: {arguments(function)}"


@pytest.mark.parametrize("path", TEST_FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_test_files_keep_to_their_budget(path):
    assert len(path.read_text("utf-8").splitlines()) <= MAX_TEST_FILE


def test_each_folder_with_modules_is_a_package():
    folders = {module.path.parent for module in all_modules()}
    assert [folder for folder in folders if not (folder / "__init__.py").is_file()] == []


def test_source_roots_and_tests_are_no_packages():
    roots = [ROOT / name for name in ("client", "server", "tools")]
    assert [root for root in roots if (root / "__init__.py").exists()] == []
    assert list((ROOT / "tests").rglob("__init__.py")) == []
