"""Imports of the inference side go one way, also those inside functions; the benchmark is given its paths."""

import ast

import pytest

from tests.helpers.scripts import ROOT

INFER = "ppcls_lite.infer"
# a module of a group may import those of its own group and of the groups before it
GROUPS = (
    ("model",),
    ("engines",),
    ("error_lines", "images", "drawing", "neighbour_drawing", "read_ahead", "named_config", "shared_list", "summary"),
    ("rec_config", "embed_pairs"),
    ("command_line", "gallery", "predict", "results"),
    ("detect",),
    ("int8",),
    ("deployed", "tasks"),
    ("gallery_build", "neighbours"),
    ("compare", "export"),
)
LEVEL = {name: level for level, names in enumerate(GROUPS) for name in names}


def modules(package):
    """{module's name: its file} below the package."""
    found = {}
    for path in sorted((ROOT / package.replace(".", "/")).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports_of(path, known):
    """The modules out of `known`, or else the names as written, that the file imports anywhere."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield full if full in known else node.module


def cycle_in(graph):
    """A list of names that import each other in a circle, or None."""
    done = set()

    def visit(name, way):
        if name in way:
            return [*way[way.index(name) :], name]
        if name in done:
            return None
        for other in sorted(graph.get(name, ())):
            if found := visit(other, [*way, name]):
                return found
        done.add(name)
        return None

    return next(filter(None, (visit(name, []) for name in sorted(graph))), None)


def test_no_module_imports_itself_by_way_of_others():
    files = modules(INFER)
    assert cycle_in({name: set(imports_of(path, files)) & set(files) for name, path in files.items()}) is None


def test_a_circle_would_be_seen():
    assert cycle_in({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]
    assert cycle_in({"a": {"b", "c"}, "b": {"c"}, "c": set()}) is None


def test_groups_import_downwards():
    files = modules(INFER)
    for name, path in files.items():
        if name == INFER:
            continue
        own = name.split(".")[2]
        for other in imports_of(path, files):
            if other.startswith(f"{INFER}."):
                assert LEVEL[other.split(".")[2]] <= LEVEL[own], f"{name} imports {other}"
            assert not other.startswith(("ppcls_lite.benchmark", "ppcls_lite.train", "ppcls_lite.serving")), name


@pytest.mark.parametrize("folder", ["docs", "tests", "tools", "deploy"])
def test_the_benchmark_is_given_its_paths(folder):
    for name, path in modules("ppcls_lite.benchmark").items():
        assert f"{folder}/" not in path.read_text(encoding="utf-8"), name
