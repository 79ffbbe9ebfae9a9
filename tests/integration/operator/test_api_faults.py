#!/usr/bin/env python3
"""The operator on the bad days of an API server: answers that are refusals or never come, watches that end, lie, or are silent.
A bank lives on, and the operator does what it would have done, once.

HISTRIO_TEST_LONG=1: watches that are followed are silent until the watchdog of 90 s (else only new ones, 20 s).
"""

import os
import sys
import time
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
sys.path.insert(0, os.path.join(ROOT, "tests/support"))
from api_day import IS_LONG, Day  # noqa: E402
from histrio_operator import wait_until  # noqa: E402

WRITE_KINDS = [("patch", "actorsystems/status"), ("create", "secrets"), ("create", "actorfences"), ("update", "actorfences"),
               ("create", "pods"), ("patch", "services"), ("patch", "poddisruptionbudgets"), ("patch", "actorplacements"),
               ("delete", "pods")]


class Answers(Day):
    """What the API server says instead of doing it."""

    def refuse_each(self, status, **options):
        """Each kind of write in a bank's life is refused once."""
        return [self.proxy.add(verb=verb, resource=resource, count=1, status=status, **options) for verb, resource in WRITE_KINDS]

    def check_hits(self, rules):
        unused = [f"{rule.verb} {rule.resource}" for rule in rules if not rule.hits]
        self.assertEqual(unused, [], "writes that were never refused")

    def live_with_refusals(self, status, **options):
        rules = self.refuse_each(status, **options)
        self.begin()
        self.assertEqual(self.made, 2)
        self.live()
        self.check_hits(rules)

    def test_conflict_on_each_write(self):
        self.live_with_refusals(409)

    def test_exists_already_on_each_creation(self):
        rules = [self.proxy.add(verb="create", resource=resource, count=1, status=409, reason="AlreadyExists")
                 for verb, resource in WRITE_KINDS if verb == "create"]
        self.begin()
        self.assertEqual(self.made, 2)
        self.live()
        self.check_hits(rules)

    def test_internal_error_on_each_write(self):
        self.live_with_refusals(500)

    def test_too_many_requests_on_each_write(self):
        self.live_with_refusals(429, retry_after=1)

    def test_errors_for_all(self):
        """Reads, writes, watches, and the Lease's."""
        self.begin()
        for status in (500, 503, 504, 429):
            self.proxy.add(verb="*", status=status, count=10, retry_after=1)
        self.reconnect()
        self.live(180)  # a watch that failed so often waits for up to 30 s, after half a minute of failures
        self.assertTrue(all(rule.hits == 10 for rule in self.proxy.rules))

    def test_answers_that_never_come(self):
        """The connection is cut, before and after the API server did it; with a name that is never used again nothing is made
        twice."""
        rules = [self.proxy.add(verb=verb, resource=resource, count=1, cut=side)
                 for verb, resource in WRITE_KINDS for side in ("request", "answer")]
        self.begin()
        self.assertEqual(self.made, 2)
        self.live()
        unused = {(rule.verb, rule.resource) for rule in rules if not rule.hits}
        once = {("create", "secrets"), ("create", "actorfences"), ("patch", "services"), ("patch", "poddisruptionbudgets"),
                ("delete", "pods")}  # done by the first answer that was lost, so not tried again
        self.assertLessEqual(unused, once)


class Watches(Day):
    """What the operator is told late, twice, or not at all."""

    def test_expired_at_any_moment(self):
        self.begin()
        for events in range(4):
            self.proxy.add(verb="watch", events=events, error_event=410, count=3)
        self.proxy.add(verb="watch", status=410, count=3)
        self.reconnect()
        self.live()
        self.assertGreater(sum(rule.hits for rule in self.proxy.rules), 8)

    def test_streams_end(self):
        self.begin()
        for cut in ("request", "answer", 100):
            self.proxy.add(verb="watch", cut=cut, count=1)
        for events in range(3):
            self.proxy.add(verb="watch", events=events, end=True, count=2)
        self.reconnect()
        self.live(90)  # each in a row waits longer
        self.assertGreater(sum(rule.hits for rule in self.proxy.rules), 5)

    def test_events_twice(self):
        self.begin()
        rule = self.proxy.add(verb="watch", duplicate=True)
        self.reconnect()
        self.live()
        self.assertGreater(rule.hits, 2)

    def test_events_in_another_order(self):
        self.begin()
        rule = self.proxy.add(verb="watch", reorder=True)
        self.reconnect()
        self.live()
        self.assertGreater(rule.hits, 2)

    def test_silent(self):
        """A dead connection that nobody closed: of an operator that begins, and in the long form of one that follows."""
        self.begin()
        if not IS_LONG:
            self.operator.kill()
        rule = self.proxy.add(verb="watch", silent=True, count=3)
        if IS_LONG:
            self.reconnect()
        else:
            self.operator = self.start_operator()
        wait_until("the watches are silent", lambda: rule.hits == 3)
        self.live(180 if IS_LONG else 60)

    def test_late(self):
        """Pods are seen long after they are made."""
        self.begin()
        self.proxy.add(verb="watch", resource="pods", delay=4, count=3)
        self.reconnect()
        self.live()


class StaleLists(Day):
    """An API server that knows no streaming lists, and answers from the past."""
    server_arguments = ("--feature-gates=WatchList=false",)

    def test_list_from_the_past(self):
        self.begin()
        rule = self.proxy.add(verb="list", stale=True)
        through = self.server.client()
        through.address = type(through.address)(*through.address._replace(netloc=f"127.0.0.1:{self.proxy.port}"))
        paths = {request.target for request in self.proxy.requests if request.verb == "list" and "labelSelector" in request.target}
        self.assertTrue(paths)
        for path in paths:
            through.get(path)
        self.assertTrue(rule.remembered)
        self.bank.scale(3)
        self.bank.wait_settled(3, self.operator)
        self.note()
        self.operator.kill()
        self.operator = self.start_operator()
        wait_until("the old list was given", lambda: rule.hits)
        time.sleep(5)
        self.proxy.clear()
        self.bank.wait_settled(3, self.operator)
        self.check_untouched()


if __name__ == "__main__":
    unittest.main()
