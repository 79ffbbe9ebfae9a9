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
    ("ask_1KiB", "calls with 1 KiB", False),
    ("ask_1MiB", "calls with 1 MiB", False),
    ("in_flight", "calls, 1,000 in flight", False),
    ("fan_out", "calls, 1,000 in flight, to 2 actors", False),
    ("spawn", "a new actor's first answer", True),
    ("memory", "memory of an idle actor", True),
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
    ("array_80MiB", "80 MiB array, there and back", True),
]

# work, least ratio of ours to the pipe by hand (or most, when less is better)
GATES = [("ask", 0.5, False), ("ask_p50", 2, True), ("ask_p99", 2, True), ("in_flight", 1.5, False), ("spawn", 2.5, True),
         ("memory", 1.58, True), ("speedup_primes", 0.9, False), ("mixed_p99", 6.5, True), ("mixed_blocking_p99", 6.5, True),
         ("recovery", 3.9, True), ("array_80MiB", 0.048, True)]
# work, the value that must be reached itself
LIMITS = [("mixed_blocking_answered", 100, False), ("recovery_lost", 1, True), ("array_80MiB", 20, True)]

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


def is_steady(samples, work):
    """Whether the rounds of ours and of the pipe by hand agree: on a busy machine most do not, and say nothing."""
    spreads = [samples.spread(work, system) for system in (OURS, PIPE) if samples.median(work, system) is not None]
    return all(high <= 1.5 * low for low, high in spreads)


def tables(samples, only_steady=False):
    """One Markdown table a work."""
    lines = []
    for work, title, lower in ROWS:
        ranked = order(samples, work, lower)
        if not ranked or (only_steady and not is_steady(samples, work)):
            continue
        unit = samples.units[work]
        lines += [f"**{title}** ({unit}, {'less' if lower else 'more'} is better)", "", "| system | median | lowest | highest |", "|---|---|---|---|"]
        for system, value in ranked:
            low, high = samples.spread(work, system)
            lines.append(f"| {system} | {plot.number_text(value)} | {plot.number_text(low)} | {plot.number_text(high)} |")
        lines.append("")
    return "\n".join(lines)


def gates(samples):
    """Lines about each ratio that is missed."""
    missed = []
    for work, ratio, lower in GATES:
        ours, pipe = samples.median(work, OURS), samples.median(work, PIPE)
        if ours is not None and pipe and (ours / pipe > ratio if lower else ours / pipe < ratio):
            missed.append(f"missed: {work}: {ours / pipe:.2f} of {PIPE}, and it must be {'at most' if lower else 'at least'} {ratio}")
    for work, limit, lower in LIMITS:
        ours = samples.median(work, OURS)
        if ours is None and samples.systems(work):
            missed.append(f"missed: {work}: not possible")
        if ours is not None and (ours > limit if lower else ours < limit):
            missed.append(f"missed: {work}: {plot.number_text(ours)} {samples.units[work]}, and it must be {limit}")
    return missed


def pictures(samples, folder, only_steady=False):
    """Writes those that can be drawn; their names."""
    os.makedirs(folder, exist_ok=True)
    names = []
    for work, title, logarithmic in PICTURES:
        lower = next(row[2] for row in ROWS if row[0] == work)
        ranked = order(samples, work, lower)
        if ranked and not (only_steady and not is_steady(samples, work)):
            names.append((work, title))
            with open(os.path.join(folder, f"python-{work}.svg"), "w", encoding="utf-8") as file:
                file.write(plot.bars(title, ranked, samples.units[work], OURS, logarithmic))
    return names


def publish(samples, python, rounds):
    """The measured part of docs/performance-python.md, between its two marks; what stands around it is written by people."""
    folder = os.path.join(ROOT, "docs", "pictures")
    shown = "\n\n".join(f"![{title}](pictures/python-{work}.svg)" for work, title in pictures(samples, folder, only_steady=True))
    listed = subprocess.run([python, "-m", "pip", "list", "--format=freeze"], capture_output=True, text=True, check=True).stdout
    versions = ", ".join(line.replace("==", " ") for line in listed.splitlines()
                         if re.match(r"(pykka|distributed|ray|xoscar|thespian|numpy)==", line.lower()))
    machine = f"{platform.system()} {platform.release().split('-')[0]}, {os.cpu_count()} processors (load average {os.getloadavg()[1]:.1f}), CPython "\
              f"{platform.python_version()}; {versions}"
    path = os.path.join(ROOT, "docs", "performance-python.md")
    with open(path, encoding="utf-8") as file:
        text = file.read()
    text = re.sub(r"(?s)(<!-- measured -->\n).*?(<!-- end -->)",
                  lambda found: f"{found[1]}\n{machine}; medians of {rounds} rounds. "
                  f"Works whose rounds differ by more than half, here or by the pipe, are left out.\n\n{shown}\n\n{tables(samples, only_steady=True)}\n{found[2]}", text)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
