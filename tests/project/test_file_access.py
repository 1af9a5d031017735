"""Files are read and written in few places: checkpoints by the reader that compares checksums, everything else under a
name that it gets when it is whole."""

from __future__ import annotations

import ast

from tree import Tree

SOURCES = Tree()
IN_PLACE = {
    "src/wotempo/navsim/files.py": "what gives the final name",
    "src/wotempo/training/checkpoints.py": "the same, with the bytes on the disk",
    "src/wotempo/endings.py": "a traceback, in a file of a new name",
    "src/wotempo/system_errors.py": "nothing is written: a look whether a file may be",
    "callbacks/base/plain.py": "the same as navsim/files.py, in the room that imports nothing",
    "callbacks/forensics/recorder.py": "a folder that is renamed when it is whole",
    "callbacks/criteria/memory.py": "a file of /proc",
}
OF_A_PATH = {"write_text", "write_bytes"}
WITH_A_PATH = {"to_csv", "to_parquet", "to_json", "savez", "savez_compressed", "savefig"}
BUFFERS = {"buffer", "file", "text"}


def planted(*lines: str) -> Tree:
    return Tree({"src/wotempo/report/planted.py": "\n".join(['"""A planted file."""', *lines, ""])})


def torch_loads(tree: Tree) -> list[str]:
    """Files that read a file of torch themselves."""
    return [
        source.path
        for source in tree.below("src", "callbacks", "scripts")
        if any(isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.load" for node in ast.walk(source.tree))
    ]


def test_files_of_torch_are_read_in_one_place():
    assert torch_loads(SOURCES) == ["callbacks/base/checksum.py"]
    assert torch_loads(planted("import torch", "x = torch.load('last.ckpt')"))


def writes(call: ast.Call) -> bool:
    """Whether it writes to a path."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else ""
    arguments = [ast.unparse(argument) for argument in call.args]
    if name in WITH_A_PATH:
        return bool(arguments) and arguments[0] not in BUFFERS
    return name in OF_A_PATH or (name == "open" and any(text[:2] in ("'w", "'a", "'x") for text in arguments))


def written_in_place(tree: Tree) -> list[str]:
    """Calls that write a file under its own name, outside of blocks of ``atomic_path`` and ``atomic_folder``."""
    found = []
    for source in tree.below("src", "callbacks"):
        nodes = list(ast.walk(source.tree))
        blocks = [n for n in nodes if isinstance(n, ast.With) and any("atomic_" in ast.unparse(i) for i in n.items)]
        whole = {id(inner) for block in blocks for inner in ast.walk(block)}
        calls = [n for n in nodes if isinstance(n, ast.Call) and id(n) not in whole and writes(n)]
        found += [f"{source.path}:{call.lineno} {ast.unparse(call)}" for call in calls if source.path not in IN_PLACE]
    return found


def test_what_is_read_later_is_written_whole_or_not_at_all():
    assert written_in_place(SOURCES) == []
    for line in (
        "path.write_text(text)",
        "(folder / 'a.json').write_bytes(data)",
        "rows.to_parquet(path, index=False)",
        "table.to_csv(path)",
        "figure.savefig(folder / 'a.png')",
        "np.savez(path, a=1)",
        "path.open('wb')",
    ):
        assert written_in_place(planted(line)), line
    assert not written_in_place(planted("with atomic_path(path) as temporary:", "    temporary.write_text('')"))
