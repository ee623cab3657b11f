"""The conformal test martingale is one, exactly; it finds changes, and is quiet where there are none."""

import io
import pickle
from itertools import combinations, permutations, product

import joblib
import numpy as np
import pytest
import skops.io
from numpy.testing import assert_allclose, assert_array_equal

from sklatent._outliers import drift
from sklatent._outliers.drift import BETS, START, _Drift

NODES = 0.5 + np.array([-0.5, 0.5]) / np.sqrt(3)  # Gauss's two: exact for a polynomial in u of degree 3, ours has 2


def rows(n, seed=0, k=3):
    return np.random.RandomState(seed).normal(size=(n, k))


def given(monkeypatch, u):
    """The tie-breaking numbers of the whole stream, (m, k)."""
    monkeypatch.setattr(_Drift, "_uniform", lambda self, m, k: np.asarray(u)[self.n_seen_ : self.n_seen_ + m])


# -- it is what it says --------------------------------------------------------------------------------------------


def brute_force(reference, stream, u):
    """Log capital of one column by the formulas, with Python's comparisons of (is a number, value)."""
    seen = [(not np.isnan(v), 0.0 if np.isnan(v) else v) for v in reference]
    stakes, log_capital, out = START[:, 0].tolist(), 0.0, []
    for t, (v, u_t) in enumerate(zip(stream, u, strict=True)):
        new = (not np.isnan(v), 0.0 if np.isnan(v) else v)
        p = (sum(old < new for old in seen) + u_t * (sum(old == new for old in seen) + 1)) / (len(seen) + 1)
        factors = [1 + a * (2 * p - 1) + b * (6 * p**2 - 6 * p + 1) for a, b in BETS]
        stakes = [(s + (START[i, 0] - s) / (t + 100)) * factors[i] for i, s in enumerate(stakes)]
        log_capital += np.log(sum(stakes))
        stakes = [s / sum(stakes) for s in stakes]
        seen.append(new)
        out.append(log_capital)
    return np.array(out)


def awkward(n, seed):
    """Four columns: plain; ties; few values with NaN, infinities and both zeros; constant."""
    rng = np.random.RandomState(seed)
    odd = rng.choice([np.nan, -np.inf, np.inf, -0.0, 0.0, -1e308, 5e-324, -5e-324], size=n)
    return np.stack([rng.normal(size=n), rng.randint(0, 4, size=n), odd, np.ones(n)], axis=1)


def test_ranks_and_bets_are_the_formulas(monkeypatch):
    reference, stream, u = awkward(30, 0), awkward(40, 1), np.random.RandomState(2).uniform(size=(40, 4))
    given(monkeypatch, u)
    monkeypatch.setattr(drift, "BLOCK", 7)
    shares = np.array([4.0, 2.0, 1.0, 1.0])
    detector = _Drift().fit(reference, shares)
    evidence = detector.update(stream)
    each = np.stack([brute_force(reference[:, j], stream[:, j], u[:, j]) for j in range(4)], axis=1)
    assert_allclose(detector.log_capital_, each[-1], rtol=1e-12)
    assert_allclose(evidence, (each + np.log(shares / 8)).max(axis=1), rtol=1e-12)


def test_each_bet_integrates_to_one_and_is_never_negative():
    p = np.r_[np.linspace(0, 1, 2001), NODES]
    density = 1 + BETS[:, :1] * (2 * p - 1) + BETS[:, 1:] * (6 * p**2 - 6 * p + 1)
    assert density.min() > -1e-12
    assert_allclose(density[:, -2:].mean(axis=1), 1)
    assert_allclose(START.sum(), 1)


@pytest.mark.parametrize("bag", [[1.0, 2.0, 3.0, 4.0, 5.0], [1.0, 1.0, 2.0, np.nan, np.nan]], ids=["plain", "ties"])
def test_the_mean_capital_over_all_orders_is_one(bag, monkeypatch):
    """Two rows calibrate, three come: all 120 orders, and the integral over u. Later bets depend on the past."""
    capitals = []
    monkeypatch.setattr(drift, "SLOW", 2)  # more is laid out anew
    for u in product(NODES, repeat=3):
        given(monkeypatch, np.reshape(u, (3, 1)))
        for order in permutations(bag):
            detector = _Drift().fit(np.reshape(order[:2], (2, 1)))
            detector.update(np.reshape(order[2:], (3, 1)))
            capitals.append(np.exp(detector.log_capital_[0]))
    assert np.std(capitals) > 0.05
    assert_allclose(np.mean(capitals), 1, rtol=1e-13)


def test_the_mean_capital_is_one_where_rows_are_dropped(monkeypatch):
    """Of three rows and a fourth one is dropped, before a fifth: on average over which it is, not for each."""
    monkeypatch.setattr(drift, "BLOCK", 1)
    means = []
    for kept in combinations(range(4), 3):
        monkeypatch.setattr(_Drift, "_kept", lambda self, n, kept=kept: list(kept) if n == 4 else slice(None))
        capitals = []
        for u in product(NODES, repeat=2):
            given(monkeypatch, np.reshape(u, (2, 1)))
            for order in permutations([1.0, 2.0, 3.0, 4.0, 5.0]):
                detector = _Drift().fit(np.reshape(order[:3], (3, 1)))
                detector.update(np.reshape(order[3:], (2, 1)))
                capitals.append(np.exp(detector.log_capital_[0]))
        means.append(np.mean(capitals))
    assert_allclose(np.mean(means), 1, rtol=1e-13)
    assert np.abs(np.array(means) - 1).max() > 1e-5, "were it always the same, it would not do"


def test_p_values_of_one_column_are_not_uniform_given_the_past_of_all():
    """Why columns share by a union bound, and no mean is taken: where the first two disagree, the third is lowest."""
    bag, p_third = [(1.0, 1.0), (2.0, 3.0), (3.0, 2.0)], []
    for order in permutations(bag):
        first, second, _ = np.array(order)
        p = _Drift().fit(np.array(order[:2]))._p_values(drift._ordered(np.array(order[2:])))[0]
        p_third.append((np.prod(first - second) < 0, p[0]))
    assert all((p < 1 / 3) == disagree for disagree, p in p_third)
    assert sum(disagree for disagree, _ in p_third) == 2


def test_capital_never_falls_below_the_cash():
    """With p-values that no bet could like less, for each a row of its own: the floor holds whatever comes."""
    detector = _Drift().fit(np.zeros((3, 1)))
    for t in range(1, 3001):
        odds = 1 + BETS[:, :1] * [[-1.0, -0.5, 0.0, 0.5, 1.0]] + BETS[:, 1:] * [[1.0, -0.125, -0.5, -0.125, 1.0]]
        p = np.array([0.0, 0.25, 0.5, 0.75, 1.0])[(detector.stakes_ * odds).sum(axis=0).argmin()]
        detector._bet(np.array([p]))
        assert detector.log_capital_[0] >= -np.log(2) - 0.5 * np.log1p(t / 99)
    assert detector.log_capital_[0] < -2


# -- batches and files ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("most", [2**14, 600])
def test_how_the_stream_is_cut_makes_no_difference_to_the_last_bit(most):
    reference, stream = awkward(300, 0), awkward(1100, 1)
    whole = _Drift(random_state=3, most=most).fit(reference)
    evidence = whole.update(stream)
    for cuts in (np.arange(1, 1100), [1, 255, 256, 257, 700, 700], np.sort(np.random.RandomState(0).choice(1100, 40))):
        other = _Drift(random_state=3, most=most).fit(reference)
        assert_array_equal(np.concatenate([other.update(part) for part in np.split(stream, cuts)]), evidence)
        for name in ("table_", "recent_", "stakes_", "log_capital_", "n_seen_"):
            assert_array_equal(getattr(other, name), getattr(whole, name))
    assert len(whole.update(stream[:0])) == 0


def test_ties_are_broken_by_the_seed_and_no_global_generator():
    np.random.seed(0)
    before = np.random.get_state()[1].copy()
    equal = np.zeros((90, 2))
    one, same, other = (_Drift(random_state=seed).fit(equal).update(equal) for seed in (0, 0, 1))
    assert_array_equal(one, same)
    assert (one != other)[1:].all(), "the first bets are even"
    assert_array_equal(np.random.get_state()[1], before)


def test_files_go_on_as_the_stream_did(tmp_path):
    detector = _Drift(most=500).fit(rows(450))
    detector.update(rows(300, seed=1))
    dumped = skops.io.dumps(detector)
    trusted = skops.io.get_untrusted_types(data=dumped)
    assert len(trusted) == 1
    assert trusted[0].startswith("sklatent.")
    joblib.dump(detector, tmp_path / "drift.joblib")
    others = [
        skops.io.loads(dumped, trusted=trusted), pickle.load(io.BytesIO(pickle.dumps(detector))),
        joblib.load(tmp_path / "drift.joblib", mmap_mode="r"),
    ]  # fmt: skip
    later = detector.update(rows(600, seed=2))
    for other in others:
        assert_array_equal(other.update(rows(600, seed=2)), later)


def test_rows_that_are_kept_are_bounded():
    detector = _Drift(most=600).fit(rows(5000))
    assert detector.table_.shape == (3, 300)
    evidence, sizes = [], []
    for i in range(40):
        evidence.append(detector.update(rows(100, seed=1 + i)).max())
        sizes.append(detector.table_.shape[1] + len(detector.recent_))
        assert (np.diff(detector.table_, axis=1) >= 0).all()
    assert 600 < max(sizes) < 600 + drift.BLOCK
    assert max(evidence) < np.log(20)
    assert detector.update(rows(300, seed=99) + [0, 0, 1.0]).max() > np.log(1000)


# -- changes -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_quiet", [0, 5000])
@pytest.mark.parametrize(
    ("change", "most_rows"),
    [(lambda V: V + [0, 1, 0], 90), (lambda V: V * [1, 2, 1], 120), (lambda V: V * [1, 0.4, 1], 150)],
    ids=["place", "wider", "narrower"],
)
def test_a_change_is_found_and_the_column_is_named(change, most_rows, n_quiet):
    detector = _Drift().fit(rows(1000))
    assert n_quiet == 0 or detector.update(rows(n_quiet, seed=1)).max() < np.log(100)
    assert detector.log_capital_.min() > -4
    found = detector.update(change(rows(most_rows, seed=2))) > np.log(1000)
    assert not found[:9].any()
    assert found[-1]
    assert detector.log_capital_.argmax() == 1


def test_nan_where_there_was_none_is_a_change():
    V = rows(200, seed=1)
    V[::2, 2] = np.nan
    assert _Drift().fit(rows(500)).update(V)[-1] > np.log(1000)
    assert _Drift().fit(np.where(rows(500, seed=2) > 0, np.nan, rows(500))).update(V)[-1] > np.log(1000)
    as_before = np.where(rows(500, seed=3) > 0, np.nan, rows(500, seed=4))
    assert _Drift().fit(as_before[:250]).update(as_before[250:]).max() < np.log(20)


def test_false_alarms_of_columns_that_depend_on_one_another():
    """Copies, opposites and products of one number: P(ever 1 / a) <= a; 3.5 standard errors."""
    n_streams, n, levels = 150, 300, np.array([0.05, 0.2, 0.5])
    highest = []
    for seed in range(n_streams):
        x, noise = np.random.RandomState(seed).standard_t(2, size=(2, n))
        V = np.stack([x, x, -x, np.abs(x), x * noise, np.round(x)], axis=1)
        highest.append(_Drift(random_state=seed).fit(V[:50]).update(V[50:]).max())
    rates = (np.array(highest)[:, np.newaxis] >= -np.log(levels)).mean(axis=0)
    assert (rates <= levels + 3.5 * np.sqrt(levels * (1 - levels) / n_streams)).all(), rates
    assert rates[-1] > 0, "it moves"


def test_a_column_with_a_larger_share_needs_less():
    V, more = rows(500, k=100), rows(400, seed=1, k=100)
    more[:, 0] += 0.5
    equal, half = _Drift().fit(V), _Drift().fit(V, np.r_[99.0, np.ones(99)])
    difference = half.update(more) - equal.update(more)
    assert_allclose(difference[-1], np.log(50))


@pytest.mark.parametrize(
    ("verb", "V", "message"),
    [
        ("fit", np.zeros(3), r"shape \(3,\); pass rows"), ("fit", np.zeros((0, 2)), "one row or more"),
        ("update", np.zeros((4, 2)), "rows of fit had 3 numbers"), ("update", np.zeros(3), "rows of fit had 3 numbers"),
    ],
)  # fmt: skip
def test_wrong_shapes_say_so_and_change_nothing(verb, V, message):
    detector = _Drift().fit(rows(20))
    with pytest.raises(ValueError, match=message):
        getattr(detector, verb)(V)
    assert_array_equal(detector.update(rows(5)), _Drift().fit(rows(20)).update(rows(5)))
    with pytest.raises(ValueError, match="must be 3 positive numbers"):
        _Drift().fit(rows(20), np.array([1.0, 0.0, 1.0]))
