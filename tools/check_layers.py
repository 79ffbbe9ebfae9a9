#!/usr/bin/env python3
"""Holds the tree to tools/layers.txt and to what no compiler checks; prints file:line, what is wrong and what to do.

Run from anywhere: tools/check_layers.py [FILE...]    without files: all that git knows. Exit 1 when something was found.
"""

import fnmatch
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
LINES_MAX = 800
FUNCTION_LINES_MAX = 70
WORDS = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|HA" + r"CK|XX" + r"X)\b|/wor" + r"k/(main|shared)\b")
SLEEPS = re.compile(r"(?<![\w.>])(sleep|usleep|nanosleep|clock_nanosleep)\s*\(")
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def read_table():
    """The modules as {name: (folder, uses)} and the outside headers as [(pattern, files)]."""
    modules, headers = {}, []
    for line in (ROOT / "tools/layers.txt").read_text().splitlines():
        left, _, right = line.partition(":")
        words = left.split()
        if line.startswith("#") or not words:
            continue
        if words[0] == "module":
            modules[words[1]] = (words[2], right.split())
        elif words[0] == "header":
            headers.append((words[1], right.split()))
        else:
            sys.exit(f"tools/layers.txt: what is \"{words[0]}\"?")
    return modules, headers


def modules_of_cmake():
    """The same from CMakeLists.txt."""
    found = {}
    text = (ROOT / "CMakeLists.txt").read_text()
    for name, folder, rest in re.findall(r"^histrio_module\((\S+) ([^\s)]+)([^)]*)\)", text, re.M):
        uses = re.search(r"USES ((?:(?!LIBS|NO_RECURSE)\S+ ?)*)", rest)
        found[name] = (folder, uses.group(1).split() if uses else [])
    return found


def without_texts(source):
    """The source with comments and string contents blanked, lines kept."""
    pattern = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)
    return pattern.sub(lambda found: re.sub(r"[^\n]", " ", found.group()), source)


class Check:
    """Collects what is wrong."""

    def __init__(self):
        self.modules, self.headers = read_table()
        self.found = 0
        names = re.findall(r"^#define (\w+)\(\.\.\.\)", (ROOT / "lib/base/banned.h").read_text(), re.M)
        self.banned = re.compile(r"(?<![\w.>])(" + "|".join(names) + r")\s*\(")

    def say(self, path, line, text):
        print(f"{path}:{line}: {text}")
        self.found += 1

    def module_of(self, path):
        """The module that a file belongs to: the one with the longest folder in front of it."""
        best = None
        for name, (folder, _) in self.modules.items():
            if str(path).startswith(folder + "/") and (not best or len(folder) > len(self.modules[best][0])):
                best = name
        return best

    def table(self):
        """layers.txt and CMakeLists.txt are one table, without cycles."""
        cmake = modules_of_cmake()
        for name in sorted(set(cmake) | set(self.modules)):
            if cmake.get(name) != self.modules.get(name):
                self.say("tools/layers.txt", 1, f"module {name} differs from CMakeLists.txt: make them equal")
        done = set()
        for name, (_, uses) in self.modules.items():
            for used in uses:
                if used not in done and used != name and name not in done and used in self.modules:
                    if list(self.modules).index(used) > list(self.modules).index(name):
                        self.say("tools/layers.txt", 1, f"{name} uses {used}, which stands above it: layers go one way")
            done.add(name)

    def include(self, path, number, is_system, target):
        if is_system:
            for pattern, allowed in self.headers:
                if fnmatch.fnmatchcase(target, pattern):
                    if not any(fnmatch.fnmatchcase(str(path), place) for place in allowed):
                        self.say(path, number, f"<{target}> belongs into {' '.join(allowed) or 'no file'} only: "
                                 "use the module that wraps it")
                    return
            return
        module = self.module_of(path)
        first = target.split("/")[0]
        if not module or first not in self.modules or first == target:
            return  # a neighbour, or a test's own header: the compiler finds it or not
        folder, _ = self.modules[first]
        header = folder + target[len(first):]
        owner = self.module_of(header)
        if owner != module and owner not in self.modules[module][1]:
            self.say(path, number, f"{module} must not include \"{target}\" of {owner}: see tools/layers.txt")
        elif owner != first:
            self.say(path, number, f"write \"{owner}/...\" for a header of {owner}")
        elif not (ROOT / header).is_file():
            self.say(path, number, f"{header} does not exist")

    def functions(self, path, lines):
        """A function begins with { and ends with } in the first column."""
        start = 0
        for number, line in enumerate(lines, 1):
            if line.startswith("{"):
                start = number
            elif line.startswith("}") and start:
                if number - start - 1 > FUNCTION_LINES_MAX:
                    self.say(path, start, f"a function of {number - start - 1} lines: {FUNCTION_LINES_MAX} at most, "
                             "give a part of it a name")
                start = 0

    def source(self, path, text):
        lines = text.splitlines()
        if len(lines) > LINES_MAX:
            self.say(path, LINES_MAX, f"{len(lines)} lines: {LINES_MAX} at most, split it by nouns")
        if text and not text.endswith("\n"):
            self.say(path, len(lines), "no line end at the end of the file")
        for number, line in enumerate(lines, 1):
            include = INCLUDE.match(line)
            if include:
                self.include(path, number, include.group(1) == "<", include.group(2))
        bare = without_texts(text).splitlines()
        self.functions(path, bare)
        if path.name == "banned.h":
            return
        for number, line in enumerate(bare, 1):
            call = self.banned.search(line)
            if call:
                self.say(path, number, f"{call.group(1)}() is banned: base/banned.h says what to use")
            if SLEEPS.search(line) and path.parts[0] in ("tests", "lib", "node", "operator"):
                self.say(path, number, "waits for a condition with a deadline, not for a time")

    def guard(self, path, text):
        if "\n#pragma once\n" not in text and not re.search(r"#ifndef (\w+)\n#define \1\n", text):
            self.say(path, 1, "a header needs an include guard")

    def file(self, path):
        try:
            text = (ROOT / path).read_text()
        except (UnicodeDecodeError, IsADirectoryError):
            return  # not a text of ours
        if "corpus" not in path.parts:
            for number, line in enumerate(text.splitlines(), 1):
                word = WORDS.search(line)
                if word:
                    self.say(path, number, f"\"{word.group()}\" does not belong here: finish it or open an issue")
        if path.suffix in (".c", ".h"):
            self.source(path, text)
        if path.suffix == ".h":
            self.guard(path, text)


def main():
    names = sys.argv[1:]
    if not names:
        names = subprocess.run(["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()
    check = Check()
    check.table()
    for name in names:
        if (ROOT / name).is_file():
            check.file(pathlib.Path(name))
    if check.found:
        print(f"check_layers: {check.found} found")
    return 1 if check.found else 0


if __name__ == "__main__":
    sys.exit(main())
