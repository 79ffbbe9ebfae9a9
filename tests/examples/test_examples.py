#!/usr/bin/env python3
"""The examples in Python do what they say, and mypy --strict has nothing to say about them."""

import glob
import os
import re
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "support"))
from histrio_run import BUILD, ROOT, SLOW, HistrioTest, wait_until  # noqa: E402
from python_environment import environment  # noqa: E402

EXAMPLES = os.path.join(ROOT, "examples")


class ExamplesTest(HistrioTest):
    def setUp(self):
        super().setUp()
        self.environment.update(environment(BUILD))

    def play(self, *command):
        """What a program printed."""
        done = subprocess.run(command, env=self.environment, cwd=self.folder, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=60 * SLOW, check=False)
        self.assertEqual(done.returncode, 0, f"{command}: {done.stdout}{done.stderr}")
        return done.stdout

    def example(self, name, *arguments):
        return self.play("python3", os.path.join(EXAMPLES, name), *arguments)


class Programs(ExamplesTest):
    def test_types(self):
        self.play("mypy", "--strict", "--cache-dir", os.path.join(BUILD, "mypy"), *sorted(glob.glob(os.path.join(EXAMPLES, "*/*.py"))))

    def test_word_count(self):
        first = self.write("first.txt", "The cat and the dog.\n" * 30_000)
        second = self.write("second.txt", "A cat, a cat's cat\n" * 10)
        printed = self.example("word-count/word_count.py", "--workers", "2", "--top", "3", first, second)
        self.assertEqual([line.split() for line in printed.splitlines()], [["60000", "the"], ["30020", "cat"], ["30000", "and"]])

    def test_mandelbrot(self):
        self.example("mandelbrot/mandelbrot.py", "--workers", "2", "--width", "80", "--height", "60", "picture.ppm")
        with open(os.path.join(self.folder, "picture.ppm"), "rb") as file:
            header, points = file.readline(), file.read()
        self.assertEqual(header, b"P6 80 60 255\n")
        self.assertEqual(len(points), 3 * 80 * 60)
        def point(x, y):
            return points[3 * (80 * y + x):][:3]

        self.assertEqual(point(50, 30), b"\0\0\0", "near 0 it is the set")
        self.assertNotEqual(point(0, 0), b"\0\0\0", "in the corner it is not")
        below = [point(x, 10) for x in range(80)], [point(x, 50) for x in range(80)]
        self.assertEqual(*below, "it is symmetric")

    def test_thumbnails(self):
        names = []
        for number in range(6):
            size = 64_000 if number == 2 else 64  # the third one lies about its size
            names.append(os.path.join(self.folder, f"{number}.pgm"))
            with open(names[-1], "wb") as file:
                file.write(f"P5 {size} {size} 255\n".encode() + bytes([number]) * 64 * 64)
        self.environment["HISTRIO_SCALE"] = os.path.join(BUILD, "examples/libscale.so")
        lines = self.example("thumbnails/thumbnails.py", "--workers", "2", *names).splitlines()
        lines.sort()
        self.assertRegex(lines.pop(2), r"^2\.pgm: broken \(.*SIGSEGV thumbnails\.py:\d+ in thumbnail")
        self.assertEqual(lines, [f"{number}.pgm: {number}.small.pgm" for number in (0, 1, 3, 4, 5)])
        with open(os.path.join(self.folder, "5.small.pgm"), "rb") as file:
            self.assertEqual(file.read(), b"P5 32 32 255\n" + b"\5" * 32 * 32)

    def test_chat(self):
        self.assertEqual(self.example("chat/chat.py").splitlines(), [
            "you are in the room: cats", "1 heard it", "eve: hello", "the cats' room was opened again, with []",
            "the dogs heard nothing of it: ['bob: hello, dogs']"])


class Bank(ExamplesTest):
    """Tellers in Python, ledger and printers in C."""

    def test_bank(self):
        run = self.bank(manifest=os.path.join(EXAMPLES, "bank-python/bank.yaml"), ready=False)
        run.wait_ready("pybank")
        self.assertEqual(self.ask("pybank/tellers.0/counter", "deposit", '{"amount": 5}'), 5)
        self.assertEqual(self.ask("pybank/tellers.0/counter", "deposit", "[7]"), 12)
        self.assertEqual(self.ask("pybank/tellers.1/counter", "deposit", "[1]"), 1)
        wait_until("the ledger, in C, has all of it", lambda: self.ask("pybank/ledger", "balance")
                   == {"balance": 13, "currency": "EUR", "entries": 3})
        wait_until("the printer printed", lambda: self.ask("pybank/tellers.0/printer", "lines") == 2)
        refused = self.histrio("ask", "pybank/tellers.0/counter", "deposit", "[-1]")
        self.assertNotEqual(refused.code, 0)
        self.assertIn("give a whole number above 0", refused.err)
        self.end("fail", r"^RuntimeError: asked to fail \(tellers\.py:\d+ in fail\)$", 2)
        self.end("smash", r"^SIGSEGV tellers\.py:\d+ in smash", 3)
        self.assertEqual(self.ask("pybank/tellers.0/counter", "deposit", "[2]"), 2, "it began anew")
        self.assertEqual(self.ask("pybank/tellers.1/counter", "deposit", "[1]"), 2, "the other one noticed nothing")
        self.ok("stop", "pybank")
        self.assertEqual(run.wait(), 0)

    def end(self, method, reason, incarnation):
        """The counter ends by a method; RestForOne starts it and its printer again."""
        self.ok("tell", "pybank/tellers.0/counter", method)

        def is_restarted():
            rows = {row["path"]: row for row in self.rows("actors", "pybank")}
            return all(rows[f"tellers.0/{name}"]["incarnation"] == incarnation for name in ("counter", "printer"))

        wait_until("counter and printer are restarted", is_restarted)
        reasons = [row["reason"] for row in self.rows("exits", "pybank") if row["actor"] == "tellers.0/counter"]
        self.assertTrue(any(re.match(reason, told) for told in reasons), reasons)


if __name__ == "__main__":
    unittest.main()
