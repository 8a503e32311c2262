from __future__ import annotations

import resource

from orchestrator import limits


def test_names_are_those_of_the_resources():
    assert limits.RESOURCES["nofile"] == resource.RLIMIT_NOFILE
    assert "ofile" not in limits.RESOURCES
    assert {"as", "core", "nproc"} <= limits.RESOURCES.keys()


def test_soft_and_hard_are_one_number_and_what_is_not_given_is_as_it_was(monkeypatch):
    monkeypatch.setattr(limits, "_former", {"nofile": (10, 20)})
    infinite = resource.RLIM_INFINITY
    assert limits.pairs_of({"core": 0, "cpu": None}) == {
        "nofile": (10, 20),
        "core": (0, 0),
        "cpu": (infinite, infinite),
    }
    assert limits.pairs_of({"nofile": 5}) == {"nofile": (5, 5)}
