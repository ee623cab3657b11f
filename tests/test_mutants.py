"""The campaign of planted faults: what it plants, and that tests which look away are found out."""

import textwrap

import mutants
from faults import faults

TEXT = textwrap.dedent("""
    LIMIT = 3

    def loss(x, target, seed=0):
        \"\"\"A text.\"\"\"
        if x < LIMIT and x.device.type == "cuda":
            raise ValueError("too small: " + str(x))
        total = -x.square().sum(1) + target
        return total[:2]
    """)


def test_faults_are_listed_by_kind_and_leave_texts_and_defaults_alone():
    found = {(fault["kind"], fault["key"].split(": ", 1)[1].split(" in ")[0]) for fault in faults("_nn/x.py", TEXT)}
    assert found == {
        ("constant", "3 -> 4"),
        ("term", "-x.square().sum(1) + target -> (-x.square().sum(1))"),
        ("term", "-x.square().sum(1) + target -> target"),
        ("sign", "-x.square().sum(1) + target -> -x.square().sum(1) - target"),
        ("sign", "-x.square().sum(1) -> x.square().sum(1)"),
        ("extreme", "x.square().sum(1) -> x.square().mean(1)"),
        ("dropped", "x.square() -> x"),
        ("detach", "x.square().sum(1) -> x.square().sum(1).detach()"),
        ("detach", "x.square() -> x.square().detach()"),
        ("dim", "1 -> 2"),
        ("index", "2 -> 3"),
    }


def test_each_fault_is_a_change_that_still_parses():
    for fault in faults("_nn/x.py", TEXT):
        changed = TEXT[: fault["start"]] + fault["new"] + TEXT[fault["end"] :]
        assert changed != TEXT
        compile(changed, "x.py", "exec")
    places = {fault["place"] for fault in faults("_nn/x.py", TEXT)}
    assert places == {None, "_nn/x.py:4"}


def test_a_fault_goes_to_a_copy_and_is_gone_with_the_next(tmp_path):
    for room in ("_nn", "_bridge"):
        (tmp_path / "src/sklatent" / room).mkdir(parents=True)
    one, other = (
        next(each for each in faults(file) if each["kind"] == "sign") for file in ("_nn/layers.py", "_nn/linear.py")
    )
    before = {fault["file"]: (mutants.SOURCE / fault["file"]).read_text() for fault in (one, other)}
    for fault in (one, other):
        mutants.plant(fault)(tmp_path)
        for file, text in before.items():
            assert (mutants.SOURCE / file).read_text() == text
            assert ((tmp_path / "src/sklatent" / file).read_text() != text) == (file == fault["file"])


def test_quick_tests_that_call_the_function_come_first(monkeypatch):
    monkeypatch.setattr(mutants, "BUDGET", 10)
    tests = {
        "tests/test_a.py::slow": [5.0, ["_nn/x.py:4"]],
        "tests/test_a.py::quick": [0.1, ["_nn/x.py:4", "_nn/x.py:9"]],
        "tests/test_nn_b.py::quick": [0.2, ["_nn/x.py:4"]],
        "tests/test_nn_b.py::other": [0.1, ["_nn/x.py:9"]],
        "tests/test_c.py::too_slow": [7.0, ["_nn/x.py:4"]],
    }
    assert mutants.plan_of({"place": "_nn/x.py:4"}, tests) == [
        ("test_nn_b.py", [[0.2, "tests/test_nn_b.py::quick"]]),
        ("test_a.py", [[0.1, "tests/test_a.py::quick"]]),
        ("test_a.py", [[5.0, "tests/test_a.py::slow"]]),
    ]
