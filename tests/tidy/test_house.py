"""The house rules that a test can hold: sizes, names, docstrings of array functions, the glossary's words."""

import ast
import itertools
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
SOURCES = sorted((ROOT / "src").rglob("*.py"))
ALL = [path for folder in ("src", "tests", "benchmarks") for path in sorted((ROOT / folder).rglob("*.py"))]

MODULE_LINES_MAX = 350
TEST_LINES_MAX = 380
FUNCTION_LINES_MAX = 60
NO_NOUNS = {"said", "asked", "some", "held", "told", "meant"}
SILENCES = {
    "limits.py": "former name of a setting",
    "catalog/manifest_rows.py": "kind of block in catalogs on disk",
    "blocks/checkpoint_files.py": "file name on disk, drawn",
    "blocks/gap_rows.py": "file name on disk",
    "blocks/verification.py": "kind of block in the answers of `verify`",
    "query/export.py": "former name of `what=reception_gaps`",
    "cli/export.py": "former name of a command",
}
"""Where the former name of reception gaps stays, by module, and as what."""

DTYPE = r"\b(bool|u?int\d+|float\d+|dtypes?)\b"

Function = ast.FunctionDef | ast.AsyncFunctionDef


@cache
def tree(path: Path) -> ast.Module:
    """A module, parsed."""
    return ast.parse(path.read_text())


def names_of(node: ast.AST) -> Iterator[str]:
    """Names that a node gives: to a variable, parameter, attribute, function or class."""
    match node:
        case ast.Name(id=name, ctx=ast.Store()) | ast.arg(arg=name) | ast.Attribute(attr=name, ctx=ast.Store()):
            yield name
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            yield name
        case ast.alias(asname=str(name)) | ast.ExceptHandler(name=str(name)):
            yield name


def public_functions(body: list[ast.stmt]) -> Iterator[Function]:
    """Public functions, and public methods of public classes."""
    for node in body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from public_functions(node.body)
        elif isinstance(node, Function) and not node.name.startswith("_"):
            yield node


def types_of(function: Function) -> set[str]:
    """The names in the annotations of parameters and result."""
    arguments = function.args
    given = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
    annotations = [one.annotation for one in given if one is not None] + [function.returns]
    return {node.id for one in annotations if one for node in ast.walk(one) if isinstance(node, ast.Name)}


def array_types(body: list[ast.stmt]) -> set[str]:
    """NDArray, and the names that a module gives to types made of it, less those whose own docstring says the shape."""
    types = {"NDArray"}
    for node, following in itertools.pairwise([*body, ast.Pass()]):
        match node:
            case ast.Assign(targets=[ast.Name(id=name)]) if any(part in ast.unparse(node.value) for part in types):
                if name.istitle() and not re.search("[Ss]hape", ast.unparse(following)):
                    types.add(name)
    return types


def words(term: str) -> str:
    """A pattern for a term of the glossary: `last seen` is also `last_seen`, `LastSeen` and `last seens`."""
    return r"[\s_#-]*".join(re.escape(word) for word in re.split(r"[\s_-]", term.lower())) + r"(s|es)?(?![a-z])"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT / "src/fleetpulse")))
def test_modules_and_functions_fit_the_eye(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= MODULE_LINES_MAX
    functions = [node for node in ast.walk(tree(path)) if isinstance(node, Function)]
    lengths = {node.name: (node.end_lineno or 0) - node.lineno + 1 for node in functions}
    assert {name: lines for name, lines in lengths.items() if lines > FUNCTION_LINES_MAX} == {}


def test_pages_of_tests_and_benchmarks_prove_one_thing_each() -> None:
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in ALL if path not in SOURCES}
    assert {path: lines for path, lines in lengths.items() if lines > TEST_LINES_MAX} == {}


def test_names_are_nouns_that_say_what_they_are() -> None:
    found = {
        f"{path.relative_to(ROOT)}:{name}"
        for path in ALL
        for node in ast.walk(tree(path))
        for name in names_of(node)
        if name.strip("_") in NO_NOUNS
    }
    assert found == set()


def test_public_functions_on_arrays_say_their_shapes_and_dtypes() -> None:
    silent = {
        f"{path.relative_to(ROOT)}:{function.name}"
        for path in SOURCES
        if "cli" not in path.parts  # commands have no arrays
        for function in public_functions(tree(path).body)
        if types_of(function) & array_types(tree(path).body)
        and not all(re.search(what, ast.get_docstring(function) or "") for what in (r"\b[Ss]hapes?\b", DTYPE))
    }
    assert silent == set()


def test_every_term_of_the_glossary_occurs_in_the_code() -> None:
    rows = re.findall(r"^\| ([^|]+) \|", (ROOT / "docs/glossary.md").read_text(), re.MULTILINE)
    terms = {term.strip(" `") for row in rows for term in row.split(",")} - {"word", "---"}
    assert len(terms) > 50
    code = "\n".join(path.read_text() for path in SOURCES).lower()
    assert {term for term in terms if not re.search(words(term), code)} == set()


def test_a_silence_is_of_alerts_except_where_an_old_name_is_kept() -> None:
    found = {
        str(path.relative_to(ROOT / "src/fleetpulse"))
        for path in SOURCES
        if re.search(r"silences?(?![a-z])", path.read_text(), re.IGNORECASE)
        and not re.search("alert", path.read_text(), re.IGNORECASE)
    }
    assert found == set(SILENCES)
