"""Rules about the code itself: what import-linter cannot see, and that everything public is explained."""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
FILES = sorted(
    path.relative_to(REPOSITORY)
    for package in ("competitions", "pipeline", "ops")
    for path in (REPOSITORY / package).rglob("*.py")
)
SLUGS = sorted(path.parent.name for path in (REPOSITORY / "competitions").glob("*/__main__.py"))

OPS_MAY_IMPORT = {"ops", "torch", *sys.stdlib_module_names}
EXPORT = Path("ops/onnx.py")
"""Translates operators for another format, by a library that only this file needs, inside a function."""


def parsed(file: Path) -> ast.Module:
    return ast.parse((REPOSITORY / file).read_text())


def imports(file: Path) -> Iterator[str]:
    """Absolute dotted names of all modules that `file` imports, at its top or inside functions."""
    for node in ast.walk(parsed(file)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = file.parent.parts[: len(file.parent.parts) - node.level + 1] if node.level else ()
            yield ".".join([*package, *([node.module] if node.module else [])])


def of(package: str) -> list[Path]:
    return [file for file in FILES if file.parts[0] == package]


def test_the_rules_have_something_to_look_at():
    assert "cifar10" in SLUGS
    assert len(of("pipeline")) > 20 and "pipeline.base.errors" in set(
        imports(Path("pipeline/frame/folds.py"))
    )


def test_ops_needs_torch_and_the_standard_library_alone():
    surplus = [
        f"{file} imports {name}"
        for file in of("ops")
        for name in imports(file)
        if name.split(".")[0] not in OPS_MAY_IMPORT and file != EXPORT
    ]
    assert surplus == []


def test_pipeline_names_no_competition():
    """Neither in its names nor in its texts; documentation may give examples."""
    slug = re.compile(rf"\b({'|'.join(SLUGS)})\b")
    found = []
    for file in of("pipeline"):
        tree = parsed(file)
        documentation = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            texts = [getattr(node, name, None) for name in ("id", "attr", "arg", "name", "module")]
            if isinstance(node, ast.Constant) and id(node) not in documentation:
                texts.append(node.value)
            found += [
                f"{file}:{node.lineno} {text!r}"
                for text in texts
                if isinstance(text, str) and slug.search(text)
            ]
    assert found == []


def is_overload(node: ast.AST) -> bool:
    """Whether a function is only one of the signatures of the one below it, which is explained."""
    return any(
        isinstance(one, ast.Name) and one.id == "overload" for one in getattr(node, "decorator_list", ())
    )


def undocumented(file: Path) -> Iterator[str]:
    tree = parsed(file)
    if not ast.get_docstring(tree) and file.name != "__main__.py":
        yield str(file)
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    scopes = [("", tree)]
    while scopes:
        prefix, scope = scopes.pop()
        for node in scope.body:
            if isinstance(node, kinds) and not node.name.startswith("_") and not is_overload(node):
                if not ast.get_docstring(node):
                    yield f"{file}:{node.lineno} {prefix}{node.name}"
                if isinstance(node, ast.ClassDef):
                    scopes.append((f"{node.name}.", node))


def test_everything_public_has_a_docstring():
    assert [name for file in FILES for name in undocumented(file)] == []
