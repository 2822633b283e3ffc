#!/usr/bin/env python3
"""What ARCHITECTURE.md says of crates and modules, checked against Cargo and the code. Prints what does not hold.

- The crates: the block after "<!-- workspace graph -->" in ARCHITECTURE.md names for each crate those of the workspace
  that it depends on. It has to be what `cargo metadata` says; where it is not, the right block is printed.
- The modules: within a crate, no modules use each other in a circle, by whatever path: `crate::`, `super::`, or a tree
  of them in braces. A module and what is inside it may use each other. An item that is taken through a re-export of
  its crate's root counts as taken from its module.
"""

import json
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
MARK = "<!-- workspace graph -->"


def metadata():
    command = ["cargo", "metadata", "--locked", "--no-deps", "--format-version", "1"]
    return json.loads(subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout)


def graph(packages):
    """One line for each crate: what it needs of the workspace, tests and build scripts aside."""
    names = {package["name"] for package in packages}
    lines = []
    for package in sorted(packages, key=lambda package: package["name"]):
        needs = {row["name"] for row in package["dependencies"] if row["kind"] is None} & names
        lines.append(f"{package['name']} -> {', '.join(sorted(needs))}" if needs else package["name"])
    return "\n".join(lines)


def check_graph(packages):
    text = (ROOT / "ARCHITECTURE.md").read_text()
    found = re.search(re.escape(MARK) + r"\n```text\n(.*?)\n```", text, re.DOTALL)
    wanted = graph(packages)
    if found and found.group(1) == wanted:
        return []
    return [f"ARCHITECTURE.md has another workspace graph than Cargo. The block after {MARK} has to be:\n```text\n{wanted}\n```"]


def without_tests(text):
    """Up to the test module, which comes last in a file."""
    return re.split(r"\n#\[cfg\(test\)\]\s*\n(?:#\[[^\n]*\]\s*\n)*mod \w+ \{", text)[0]


def paths(tree, base=()):
    """Every path of a use tree: `a::{b, c::d}` gives a::b and a::c::d."""
    depth, start, parts = 0, 0, []
    for index, letter in enumerate(tree):
        depth += {"{": 1, "}": -1}.get(letter, 0)
        if letter == "," and depth == 0:
            parts.append(tree[start:index])
            start = index + 1
    parts.append(tree[start:])
    for part in parts:
        part = part.strip()
        brace = part.find("{")
        if brace >= 0:
            outer = [name for name in part[:brace].split("::") if name]
            yield from paths(part[brace + 1 : part.rfind("}")], (*base, *outer))
        elif part:
            yield (*base, *part.split(" as ")[0].strip().split("::"))


def uses(text):
    """The paths that begin with crate, super or self, in `use` and in the code."""
    text = re.sub(r"//[^\n]*", "", text)
    text = re.sub(r'"(?:\\.|[^"\\])*"', '""', text)
    for match in re.finditer(r"\buse\s+([^;]*);", text):
        for path in paths(match.group(1)):
            if path[0] in ("crate", "super", "self"):
                yield path
    code = re.sub(r"\buse\s+[^;]*;", "", text)
    for match in re.finditer(r"\b(?:crate|super|self)(?:::\w+)+", code):
        yield tuple(match.group(0).split("::"))


def modules(source):
    """The files of a crate by the path of their module."""
    found = {}
    for file in source.rglob("*.rs"):
        parts = list(file.relative_to(source).with_suffix("").parts)
        if parts[-1] == "mod":
            parts.pop()
        if parts and parts not in (["lib"], ["main"]) and parts[-1] not in ("tests", "properties"):
            found[tuple(parts)] = without_tests(file.read_text())
    return found


def reexports(source):
    """The items that the root of a crate re-exports, and the path of the module of each."""
    found = {}
    for root in (source / "lib.rs", source / "main.rs"):
        text = re.sub(r"//[^\n]*", "", root.read_text()) if root.exists() else ""
        for match in re.finditer(r"\bpub(?:\([^)]*\))? use\s+([^;]*);", text):
            for path in paths(match.group(1)):
                found[path[-1]] = path[:-1]
    return found


def arrows(table, exported):
    graph = {}
    for module, text in table.items():
        graph[module] = set()
        for first, *rest in uses(text):
            base = [] if first == "crate" else list(module[:-1]) if first == "super" else list(module)
            while rest and rest[0] == "super":
                base, rest = base[:-1], rest[1:]
            target = tuple(base + rest)
            if len(target) == 1 and target not in table:
                target = exported.get(target[0], ())
            while target and target not in table:
                target = target[:-1]
            inside = target == module[: len(target)] or module == target[: len(module)]
            if target and not inside:
                graph[module].add(target)
    return graph


def circles(graph):
    """The sets of modules from which each reaches each other."""
    reach = {}
    for start in graph:
        seen, todo = set(), [start]
        while todo:
            for target in graph[todo.pop()]:
                if target not in seen:
                    seen.add(target)
                    todo.append(target)
        reach[start] = seen
    found = {frozenset(b for b in graph if b in reach[a] and a in reach[b]) for a in graph if a in reach[a]}
    return sorted(sorted("::".join(module) for module in circle) for circle in found if len(circle) > 1)


def check_modules(packages):
    for package in packages:
        folder = pathlib.Path(package["manifest_path"]).parent
        table = modules(folder / "src")
        if not any((folder / "src" / name).exists() for name in ("lib.rs", "main.rs")):
            yield f"{package['name']} has no src to check"
        for circle in circles(arrows(table, reexports(folder / "src"))):
            yield f"modules of {package['name']} use each other in a circle: {', '.join(circle)}"


def main():
    packages = metadata()["packages"]
    broken = [*check_graph(packages), *check_modules(packages)]
    for line in broken:
        print(line, file=sys.stderr)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
