#!/usr/bin/env python3
"""The runner of pages tells what is not true on a page: pages with each kind of mistake, and one without."""

import os
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from page import PageError, matches  # noqa: E402
from run_page import run_page  # noqa: E402

GOOD = """# A page
```python hello.py
import sys
print("hello", len(sys.argv))
print("it took 0.25 s")
```
And a part of it:
```python excerpt=hello.py
print("hello", len(sys.argv))
```
```console
$ python3 hello.py one \\
>   two
hello 3
it took 0.01 s
$ cd ..; export WORD=kept
$ echo $WORD; basename $PWD | cut -c1-3
kept
hi-
```
```console fails
$ python3 -c 'raise ValueError("no")'
Traceback (most recent call last):
...
ValueError: no
```
```console eventually
$ echo x >>count; wc -l <count
3
```
"""


class Lines(unittest.TestCase):
    def test_matches(self):
        self.assertTrue(matches(["a ... c"], ["a b c"]))
        self.assertTrue(matches(["a", "...", "c"], ["a", "c"]))
        self.assertTrue(matches(["a", "...", "c"], ["a", "x", "y", "c"]))
        self.assertTrue(matches(["1.9x in 0.5 s, 2 ms, 1,200 calls/s"], ["12x in 12 s, 0.25 ms, 90 calls/s"]))
        self.assertTrue(matches([], []))
        self.assertFalse(matches(["a"], ["a", "b"]))
        self.assertFalse(matches(["a", "b"], ["a"]))
        self.assertFalse(matches(["a.c"], ["abc"]))
        self.assertFalse(matches(["0.5 s"], ["soon"]))
        self.assertFalse(matches(["17 actors"], ["18 actors"]))
        self.assertFalse(matches(["2 slow"], ["3 slow"]))


class Pages(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def page(self, text):
        path = os.path.join(self.folder.name, "page.md")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def refuse(self, text, why):
        with self.assertRaisesRegex(PageError, why):
            run_page(self.page(text))

    def test_good(self):
        self.assertTrue(run_page(self.page(GOOD)))

    def test_wrong_output(self):
        self.refuse(GOOD.replace("hello 3", "hello 4"), "the page shows\nhello 4")

    def test_output_that_is_not_shown(self):
        self.refuse("```console\n$ echo surprise\n```\n", "it printed\nsurprise")

    def test_a_command_that_fails(self):
        self.refuse("```console\n$ false\n```\n", "exit code 1")

    def test_a_command_that_should_fail(self):
        self.refuse("```console fails\n$ true\n```\n", "exit code 0")

    def test_an_excerpt_of_nothing(self):
        self.refuse(GOOD.replace('print("hello", len(sys.argv))\n```\n```c', 'print("bye")\n```\n```c'), "do not stand so in hello.py")

    def test_a_block_that_nobody_runs(self):
        self.refuse("```python\nprint(1)\n```\n", "nobody knows")

    def test_a_process_that_is_left(self):
        self.refuse("```console\n$ sleep 1000 >/dev/null 2>&1 & disown\n```\n", "were left")

    def test_a_block_without_end(self):
        self.refuse("```console\n$ true\n", "has no end")

    def test_update(self):
        path = self.page(GOOD.replace("hello 3\nit took 0.01 s\n", "hello 4\n"))
        self.assertTrue(run_page(path, update=True))
        with open(path, encoding="utf-8") as file:
            self.assertEqual(file.read(), GOOD.replace("0.01 s", "0.25 s"), "what was wrong is right, and a timing that differs is new")

    def test_pages_for_a_cluster(self):
        path = self.page("```console cluster\n$ false\n```\n")
        self.assertFalse(run_page(path))
        with self.assertRaises(PageError):
            run_page(path, cluster=True)


if __name__ == "__main__":
    unittest.main()
