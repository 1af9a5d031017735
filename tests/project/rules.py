"""The eight rules of the house (docs/architecture.md), each as a function from the sources to the violations found."""

from __future__ import annotations

import ast
import io
import re
import sys
import tokenize
from collections import defaultdict

from tree import ROOT, SPLITS, Source, Tree

MOST_FILES = 20
ASKS = r"(?i)(who|whom|whose|what|which|why|when|where|how|whether|does|did|is|are|being)\b"
VAGUE = {"reckoned", "said", "Smaller", "Notice", "peers"}  # names that say nothing of what they hold
PERSONS = r"\b(nobody|somebody|everybody|everyone|someone|anybody|anyone|whoever)\b"


# ---- arrows


def room_of(module: str) -> str:
    """``wotempo.planners.wote.losses`` -> ``planners/wote``."""
    parts = module.split(".")[1:]
    if not (ROOT / "src/wotempo" / "/".join(parts[:2])).is_dir():  # a file of its room
        parts = parts[:1]
    return Source("/".join(["src/wotempo", *parts, "x.py"]), "").room


def arrows(tree: Tree, allowed: dict[str, set[str]], everybody: set[str]) -> list[str]:
    """Imports between rooms that the table does not list."""
    found = []
    for source in tree.below("src/wotempo"):
        room = source.room
        for module, name in sorted(set(source.imported())):
            top = module.split(".")[0]
            if top == "callbacks":
                target = "callbacks"
            elif top != "wotempo":
                continue
            else:
                # ``from wotempo.planners import wote`` names a room, too
                inner = f"{module}.{name}" if (ROOT / "src" / f"{module}.{name}".replace(".", "/")).is_dir() else module
                target = room_of(inner) or name
            if room in ("", "commands") or target in {room, *everybody, *allowed.get(room, ())}:
                continue
            found.append(f"{source.path} imports {module}: '{room}' does not know '{target}'")
    return found


def not_liftable(tree: Tree) -> list[str]:
    """Imports of callbacks/ beside torch, lightning and the standard library."""
    allowed = {"torch", "lightning", "callbacks", *sys.stdlib_module_names}
    return [
        f"{source.path} imports {module}"
        for source in tree.below("callbacks")
        for module, _ in source.imported()
        if module.split(".")[0] not in allowed
    ]


# ---- the eight rules


def entry_points(tree: Tree) -> list[str]:
    """1. A file in commands/ has a main; no file imports it, commands included."""
    found = []
    for source in tree.below("src/wotempo/commands"):
        if source.name != "__init__.py" and '__name__ == "__main__"' not in source.text:
            found.append(f"{source.path} has no main")
    for source in tree.sources:
        for module, name in source.imported():
            of_commands = module.startswith("wotempo.commands") or (module, name) == ("wotempo", "commands")
            if of_commands and not (module == "wotempo.commands" and source.path.endswith(f"commands/{name}.py")):
                found.append(f"{source.path} imports {module}")
    return found


def crowded_rooms(tree: Tree) -> list[str]:
    """2. A room holds at most 20 files (its ``__init__`` not counted), or has sub-rooms."""
    files = defaultdict(int)
    for source in tree.sources:
        files[source.folder] += source.name != "__init__.py"
    return [f"{folder} holds {count} files" for folder, count in files.items() if count > MOST_FILES]


def schemas_with_values(tree: Tree) -> list[str]:
    """3. A default value stands once: in yaml. Schemas (dataclasses called ``…Config`` or ``…Keys``, and the losses'
    weights) have none; tests/config/test_one_default.py compares each with its yaml. A town's size is no yaml's."""
    found = []
    for source in tree.sources:
        for node in ast.walk(source.tree):
            if isinstance(node, ast.ClassDef) and re.fullmatch(r"\w+(Config|Keys)|LossWeights", node.name):
                for field in node.body:
                    if isinstance(field, ast.AnnAssign) and field.value is not None and "/city/" not in source.path:
                        found.append(f"{source.path}:{field.lineno} gives {ast.unparse(field.target)} a value")
    return found


def unknown_batch_fields(tree: Tree, known: set[str]) -> list[str]:
    """4. Batch fields are named in one TypedDict: what code reads from a ``batch`` is one of them."""
    found = []
    for source in tree.below("src/wotempo", "callbacks"):
        for node in ast.walk(source.tree):
            if (
                isinstance(node, ast.Subscript)
                and isinstance(node.value, ast.Name)
                and node.value.id == "batch"
                and isinstance(node.slice, ast.Constant)
                and isinstance(node.slice.value, str)
                and node.slice.value not in known
            ):
                found.append(f"{source.path}:{node.lineno} reads batch['{node.slice.value}']")
    return found


def _names_splits(node: ast.AST) -> bool:
    constants = {n.value for n in ast.walk(node) if isinstance(n, ast.Constant) and isinstance(n.value, str)}
    return bool(constants) and constants <= SPLITS


def splits_called_stages(tree: Tree) -> list[str]:
    """5. *Stage* means fusion stage only; train, val and test are *splits*."""
    found = []
    for source in tree.sources:
        for node in ast.walk(source.tree):
            pairs: list[tuple[ast.AST | None, ast.AST | None]] = []
            if isinstance(node, ast.For | ast.comprehension):
                pairs.append((node.target, node.iter))
            elif isinstance(node, ast.Compare):
                pairs.append((node.left, node.comparators[0]))
            elif isinstance(node, ast.Assign):
                pairs.append((node.targets[0], node.value))
            elif isinstance(node, ast.AnnAssign):
                pairs.append((node.target, node.value))
            elif isinstance(node, ast.FunctionDef):
                named = [*node.args.posonlyargs, *node.args.args]
                defaults = zip(reversed(named), reversed(node.args.defaults), strict=False)
                pairs += [(ast.Name(argument.arg), value) for argument, value in defaults]
                if node.name == "shape_contract" and "stage" in [argument.arg for argument in named]:
                    found.append(f"{source.path}:{node.lineno} calls a split a stage")
            for target, value in pairs:
                if isinstance(target, ast.Name | ast.Attribute) and value is not None and _names_splits(value):
                    name = target.id if isinstance(target, ast.Name) else target.attr
                    if re.fullmatch(r"_?stages?", name.lower()):
                        found.append(f"{source.path}:{value.lineno} calls a split a stage")  # type: ignore[attr-defined]
    return found


def numbered_criteria(texts: dict[str, str]) -> list[str]:
    """6. Criteria are named, never numbered, in code and in messages. ``texts``: path -> text."""
    return [
        f"{path}: {match.group(0)}"
        for path, text in texts.items()
        for match in re.finditer(r"(?i)\bcriteri(?:on|a) (?:no\. ?)?\d+\b(?! criteria)", text)
    ]


def first_sentence(docstring: str) -> str:
    return re.split(r"(?<=[.?!])\s", " ".join(docstring.split()) + " ")[0]


def riddles(tree: Tree) -> list[str]:
    """7. A docstring's first sentence says what the thing is, for a reader who has seen nothing else: it is there in
    every module and in all that an ``__init__`` offers, and names a thing instead of asking; comments and docstrings
    speak of ranks, processes, frames and files as of things (in city/, agents of the traffic may be persons)."""
    found = []
    for source in tree.sources:
        doc = ast.get_docstring(source.tree)
        if not doc:
            found.append(f"{source.path} has no docstring")
            continue
        first = first_sentence(doc)
        if first.endswith("?") or re.match(ASKS, first):
            found.append(f"{source.path} begins with a question: {first}")
        if "city/" not in source.path:
            found += [f"{source.path} speaks of persons: {word}" for word in re.findall(PERSONS, source.text)]
        if len(first.split()) < 3:
            found.append(f"{source.path} begins with too little: {first}")
    return found


def vague_names(texts: dict[str, str]) -> list[str]:
    """7. Identifiers describe. ``texts``: path -> text of Python files."""
    return [
        f"{path}:{token.start[0]} {token.string}"
        for path, text in texts.items()
        for token in tokenize.generate_tokens(io.StringIO(text).readline)
        if token.type == tokenize.NAME and token.string in VAGUE
    ]


def offered_without_words(tree: Tree) -> list[str]:
    """7. Every public function and class of a room's ``__init__`` has a docstring."""
    by_path = {source.path: source for source in tree.sources}
    found = []
    for init in tree.sources:
        if init.name != "__init__.py":
            continue
        for module, name in init.imported():
            if not module.startswith(("wotempo", "callbacks")):
                continue
            path = ("src/" if module.startswith("wotempo") else "") + module.replace(".", "/") + ".py"
            if path not in by_path:
                continue
            for node in by_path[path].tree.body:
                if (
                    isinstance(node, ast.FunctionDef | ast.ClassDef)
                    and node.name == name
                    and not ast.get_docstring(node)
                ):
                    found.append(f"{path}: {name}, which {init.path} offers, has no docstring")
    return found


def wote_leaks(tree: Tree) -> list[str]:
    """8. Nothing outside ``planners/wote`` and ``interop`` imports from ``planners/wote``."""
    return [
        f"{source.path} imports {module}"
        for source in tree.sources
        for module, name in source.imported()
        if f"{module}.{name}".startswith("wotempo.planners.wote")
        and source.room not in ("planners/wote", "interop")
        and not source.path.startswith("scripts/bench/")
    ]
