"""Tables, gates and pictures of what run.py measured, and the page docs/performance-python.md."""

import os
import platform
import re
import subprocess

import plot

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
OURS = "histrio"
PIPE = "mp.Pipe"

# work, what it is, whether less is better
ROWS = [
    ("ask", "calls, one at a time", False),
    ("ask_p50", "one call at a time, median", True),
    ("ask_p99", "one call at a time, p99", True),
    ("other_node_p50", "one call at a time to an actor on another node (by the pipe: on this one), median", True),
    ("other_node_p99", "one call at a time to an actor on another node (by the pipe: on this one), p99", True),
    ("ask_1KiB", "calls with 1 KiB", False),
    ("ask_1MiB", "calls with 1 MiB", False),
    ("in_flight", "calls, 1,000 in flight", False),
    ("fan_out", "calls, 1,000 in flight, to 2 actors", False),
    ("from_c", "calls by an actor in C, 256 in flight", False),
    ("spawn", "a new actor's first answer, in a process of its own", True),
    ("memory", "memory of an idle actor in a process of its own", True),
    ("light_spawn", "spawning an actor that shares its process", True),
    ("light_memory", "memory of an idle actor that shares its process", True),
    ("package_import", "import", True),
    ("package_size", "size of the package and what it needs", True),
    ("speedup_primes", "prime numbers, 2 workers against 1", False),
    ("speedup_mandelbrot", "mandelbrot rows, 2 workers against 1", False),
    ("speedup_words", "word count, 2 workers against 1", False),
    ("speedup_queens", "n queens, 2 workers against 1", False),
    ("speedup_pi", "Monte Carlo pi, 2 workers against 1", False),
    ("speedup_ufunc", "large NumPy operations, 2 workers against 1", False),
    ("primes_2", "prime numbers, 2 workers", True),
    ("words_2", "word count, 2 workers", True),
    ("ufunc_2", "large NumPy operations, 2 workers", True),
    ("mixed_p50", "echo at 500/s beside a busy actor, median", True),
    ("mixed_p99", "echo at 500/s beside a busy actor, p99", True),
    ("mixed_blocking_p99", "echo beside a busy actor, asked by a caller that waits, p99", True),
    ("mixed_blocking_answered", "questions of a caller that waits answered in time, beside a busy actor", False),
    ("mixed_units", "work that the busy one gets done", False),
    ("transfers", "bank transfers, one account book", False),
    ("slow_calls", "1,000 HTTP calls of 50 ms", True),
    ("recovery", "SIGSEGV until the next answer", True),
    ("recovery_lost", "SIGSEGV with 100 asks waiting: of them failed", True),
    ("array_80MiB_first", "80 MiB array, there and back, the first", True),
    ("array_80MiB_second", "80 MiB array, there and back, the second", True),
    ("array_80MiB", "80 MiB array, there and back, from the third on", True),
]

# What must hold: of which work, least ratio of ours to the pipe by hand (or most, when less is better), the pipe's work, and the value that
# will do as well: what the ratio is on the machine on which the aims were set. A quicker one is not to make them harder.
GATES = [("ask", 0.5, "ask", None), ("ask_p50", 2, "ask_p50", None), ("ask_p99", 2, "ask_p99", None), ("in_flight", 1.5, "in_flight", None),
         ("from_c", 4.8, "in_flight", 800_000), ("spawn", 2.5, "spawn", 4), ("memory", 1.58, "memory", 3072),
         ("light_spawn", 2.9, "ask_p50", 200), ("speedup_primes", 0.9, "speedup_primes", 1.75), ("mixed_p99", 6.5, "mixed_p99", 3000),
         ("mixed_blocking_p99", 6.5, "mixed_blocking_p99", 3000), ("recovery", 3.9, "recovery", 15), ("array_80MiB", 0.048, "array_80MiB", 20),
         ("other_node_p50", 6, "other_node_p50", None), ("other_node_p99", 6, "other_node_p99", None)]
# Of which work, the value that must be reached itself.
LIMITS = [("mixed_blocking_answered", 100), ("recovery_lost", 1), ("light_memory", 4), ("package_import", 60), ("package_size", 5)]
ROW = {work: (title, lower) for work, title, lower in ROWS}

PICTURES = [
    ("speedup_primes", "CPU-bound work: speed-up of 2 workers", False),
    ("mixed_p99", "Echo beside a busy actor: p99 from the scheduled time (logarithmic)", True),
    ("mixed_blocking_p99", "The same with a caller that waits for each answer (logarithmic)", True),
    ("in_flight", "Calls a second, 1,000 in flight (logarithmic)", True),
    ("ask_p50", "One call at a time: median (logarithmic)", True),
]


def order(samples, work, lower):
    """(system, median), the best first."""
    return sorted(((system, samples.median(work, system)) for system in samples.systems(work)), key=lambda pair: pair[1], reverse=not lower)


def tables(samples):
    """One Markdown table a work."""
    lines = []
    for work, title, lower in ROWS:
        ranked = order(samples, work, lower)
        if not ranked:
            continue
        unit = samples.units[work]
        lines += [f"**{title}** ({unit}, {'less' if lower else 'more'} is better)", "", "| system | median | lowest | highest |", "|---|---|---|---|"]
        for system, value in ranked:
            low, high = samples.spread(work, system)
            lines.append(f"| {system} | {plot.number_text(value)} | {plot.number_text(low)} | {plot.number_text(high)} |")
        lines.append("")
    return "\n".join(lines)


class Judged:
    """A work that must hold: what was measured of ours, and of the pipe where that is the measure."""

    def __init__(self, samples, work, ours, must, pipe="", ratio=None, or_value=None):
        def is_reached(value, bound):
            return value <= bound if lower else value >= bound

        self.title, lower = ROW[work]
        unit, word = samples.units[work], "at most" if lower else "at least"
        self.ours, self.pipe = f"{plot.number_text(ours)} {unit}", pipe
        self.ratio = "" if ratio is None else f"{ratio:.3g}"
        self.must = f"{word} {must}" + (f" {unit}" if ratio is None else "") + (f", or {plot.number_text(or_value)} {unit}" if or_value else "")
        self.is_missed = not is_reached(ours if ratio is None else ratio, must) and not (or_value and is_reached(ours, or_value))


def judged(samples):
    """All that must hold and was measured."""
    found = []
    for work, must, other, or_value in GATES:
        ours, pipe = samples.median(work, OURS), samples.median(other, PIPE)
        if ours is not None and pipe:
            found.append(Judged(samples, work, ours, must, f"{plot.number_text(pipe)} {samples.units[other]}", ours / pipe, or_value))
    return found + [Judged(samples, work, samples.median(work, OURS), must) for work, must in LIMITS if samples.median(work, OURS) is not None]


def must(samples):
    """A Markdown table of what must hold."""
    lines = ["| work | histrio | mp.Pipe | ratio | must |", "|---|---|---|---|---|"]
    return "\n".join(lines + [f"| {one.title} | {one.ours} | {one.pipe} | {one.ratio} | {one.must}{': missed' if one.is_missed else ''} |"
                              for one in judged(samples)])


def missed(samples):
    """Lines about each that is missed, or was not possible."""
    if OURS not in {system for _, system in samples.values}:
        return []
    lines = [f"missed: {one.title}: {one.ratio or one.ours}, and it must be {one.must}" for one in judged(samples) if one.is_missed]
    return lines + [f"missed: {work}: not possible" for work in [row[0] for row in LIMITS + GATES]
                    if samples.median(work, OURS) is None and samples.systems(work)]


def pictures(samples, folder):
    """Writes those that can be drawn; their names."""
    os.makedirs(folder, exist_ok=True)
    names = []
    for work, title, logarithmic in PICTURES:
        ranked = order(samples, work, ROW[work][1])
        if ranked:
            names.append((work, title))
            with open(os.path.join(folder, f"python-{work}.svg"), "w", encoding="utf-8") as file:
                file.write(plot.bars(title, ranked, samples.units[work], OURS, logarithmic))
    return names


def publish(samples, python, rounds):
    """The measured parts of docs/performance-python.md, each between its marks; what stands around it is written by people."""
    folder = os.path.join(ROOT, "docs", "pictures")
    shown = "\n\n".join(f"![{title}](pictures/python-{work}.svg)" for work, title in pictures(samples, folder))
    listed = subprocess.run([python, "-m", "pip", "list", "--format=freeze"], capture_output=True, text=True, check=True).stdout
    versions = ", ".join(line.replace("==", " ") for line in listed.splitlines()
                         if re.match(r"(pykka|distributed|ray|xoscar|thespian|numpy)==", line.lower()))
    machine = f"{platform.system()} {platform.release().split('-')[0]}, {os.cpu_count()} processors (load average {os.getloadavg()[1]:.1f}), CPython "\
              f"{platform.python_version()}; {versions}"
    path = os.path.join(ROOT, "docs", "performance-python.md")
    with open(path, encoding="utf-8") as file:
        text = file.read()
    written = {"must": f"{machine}; medians of {rounds} rounds.\n\n{must(samples)}\n",
               "measured": f"From the same run.\n\n{shown}\n\n{tables(samples)}"}
    for mark, part in written.items():
        text = re.sub(rf"(?s)(<!-- {mark} -->\n).*?(<!-- end -->)", lambda found, part=part: f"{found[1]}\n{part}\n{found[2]}", text)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
