"""The Pareto tail below the ranks: scipy's distribution, the inverse, its error rates, and what is no tail."""

import io
import pickle

import numpy as np
import pytest
import skops.io
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats

from sklatent._outliers.conformal import p_values, threshold
from sklatent._outliers.tail import _ParetoTail


def scores(n=400, seed=0):
    """Log-densities of a heavy tail, so that the shape is more than the least one."""
    return -stats.genpareto(0.4, scale=2.0).ppf(np.random.RandomState(seed).uniform(size=n))


def test_it_is_scipy_s_distribution_below_the_threshold():
    calibration = scores()
    tail = _ParetoTail().fit(calibration)
    assert tail.n_tail_ == 40
    assert tail.threshold_ == np.sort(calibration)[40]
    assert tail.shape_ > 2 / 40, "not the least one"
    below = tail.threshold_ - np.geomspace(1e-9, 1e9, 200)
    expected = np.log(41 / 401) + stats.genpareto(tail.shape_, scale=tail.scale_).logsf(tail.threshold_ - below)
    assert_allclose(tail.log_p(below), expected, rtol=1e-12)


def test_moments_are_those_of_all_pairs():
    """xi and sigma by L-moments: half the mean distance of two excesses, over all pairs, instead of weights by rank."""
    calibration = scores(seed=3)
    tail = _ParetoTail().fit(calibration)
    y = tail.threshold_ - np.sort(calibration)[:40]
    l_1, l_2 = y.mean(), np.abs(y[:, np.newaxis] - y).sum() / (40 * 39) / 2
    assert_allclose([tail.shape_, tail.scale_], [2 - l_1 / l_2, l_1 * (l_1 / l_2 - 1)], rtol=1e-12)


@pytest.mark.parametrize("shape", [0.1, 0.3, 0.6])
def test_a_pareto_tail_is_found_again(shape):
    """From quantiles at even steps, so that nothing is left to chance. What exceeds u is Pareto of a larger scale."""
    steps = (np.arange(9000) + 0.5) / 9000
    tail = _ParetoTail().fit(-stats.genpareto(shape, scale=3.0).ppf(steps))
    assert tail.n_tail_ == 900
    assert_allclose(tail.shape_, shape, atol=0.03)
    assert_allclose(tail.scale_, 3 - shape * tail.threshold_, rtol=0.03)


def test_an_exponential_tail_has_the_p_values_of_an_f_distribution():
    """A new excess over the mean of 20 is an F(2, 40), whatever the scale: that is why the least shape is 1 / m."""
    steps = (np.arange(100) + 0.5) / 100
    tail = _ParetoTail().fit(7 * np.log(steps))
    y = tail.threshold_ - 7 * np.log(steps[:20])
    assert (tail.n_tail_, tail.shape_) == (20, 1 / 20)
    assert_allclose(tail.scale_, y.mean())
    new = np.array([1.0, 10.0, 100.0])
    assert_allclose(np.exp(tail.log_p(tail.threshold_ - new)), 21 / 101 * stats.f(2, 40).sf(new / y.mean()))


def test_above_the_threshold_it_is_the_rank_and_below_it_goes_on():
    calibration, new = np.sort(scores()), np.sort(scores(3000, seed=1))
    tail = _ParetoTail().fit(calibration)
    ranked, above = p_values(new, calibration, 400), new >= tail.threshold_
    assert_allclose(np.exp(tail.log_p(new[above])), ranked[above])
    assert_allclose(np.exp(tail.log_p(np.nextafter([tail.threshold_], -np.inf))), 41 / 401)
    midst = ~above & (ranked > 20 / 401)
    assert_allclose(np.exp(tail.log_p(new[midst])), ranked[midst], rtol=0.3)
    far = np.array([-np.inf, -1e308, -1e300, -1e9, *new[~above]])
    assert (np.diff(tail.log_p(far)) > 0).all()
    assert tail.log_p(far)[0] == -np.inf
    assert np.isfinite(tail.log_p(far)[1:]).all()
    assert tail.log_p(np.array([np.inf]))[0] == 0


def test_extreme_scales_do_not_overflow():
    plain = _ParetoTail().fit(scores(seed=2).clip(-300))
    for scale in (1e-300, 5e305):
        tail = _ParetoTail().fit(scale * scores(seed=2).clip(-300))
        assert_allclose([tail.shape_, tail.scale_], [plain.shape_, scale * plain.scale_])
        log_p = tail.log_p(np.array([-np.inf, -1.7e308, 0.0]))
        assert log_p[0] == -np.inf
        assert np.isfinite(log_p[1])
        assert log_p[2] == 0


def test_quantile_is_the_inverse():
    calibration = scores()
    tail = _ParetoTail().fit(calibration)
    for level in (1e-12, 1e-6, 1e-4, 1e-3, 1 / 401, 0.05, 40.9 / 401):
        assert_allclose(tail.log_p(np.array([tail.quantile(level)])), np.log(level), rtol=1e-9)
    for level in (41 / 401, 0.2, 0.5, 0.999):
        assert tail.quantile(level) == threshold(np.sort(calibration), level, 400)
    levels = np.geomspace(1e-9, 0.999, 300)
    assert (np.diff([tail.quantile(level) for level in levels]) >= 0).all()
    for level in (0, 1, -0.1, np.nan):
        with pytest.raises(ValueError, match="must lie between 0 and 1"):
            tail.quantile(level)


def test_scores_of_minus_infinity_are_a_share_of_their_own():
    calibration = np.r_[np.full(7, -np.inf), scores(393)]
    tail = _ParetoTail().fit(calibration)
    assert tail.n_tail_ == 39
    new = np.array([-np.inf, -1e3, -50.0, np.nextafter(tail.threshold_, -np.inf), tail.threshold_])
    p = np.exp(tail.log_p(new))
    assert_allclose(p[[0, 3, 4]], [8 / 401, 47 / 401, 48 / 401])
    assert_allclose(
        p[2], 8 / 401 + 39 / 401 * (stats.genpareto(tail.shape_, scale=tail.scale_).sf(tail.threshold_ + 50))
    )
    assert (np.diff(p) > 0).all()
    assert_allclose(np.exp(tail.log_p(np.array([tail.quantile(0.05)]))), 0.05)
    assert tail.quantile(1e-4) == -np.inf
    assert -np.inf < tail.quantile(8 / 401) < -1e308, "those of -inf are below it"


@pytest.mark.parametrize(
    ("calibration", "has_tail"),
    [
        (scores(40), True), (scores(39), False), (np.r_[scores(39), np.full(300, -np.inf)], False),
        (np.full(400, 5.0), False), (np.full(400, -np.inf), False), (np.zeros(1), False),
        (np.repeat([0.0, 1.0], [199, 201]), True), (np.repeat([0.0, 1.0], [201, 199]), False),
        (np.random.RandomState(0).poisson(3.0, size=400).astype(float), True),
    ],
    ids=["40", "39", "39 finite", "equal", "none finite", "one", "half lower", "more lower", "counts"],
)  # fmt: skip
def test_without_a_tail_p_values_are_ranks(calibration, has_tail):
    tail, new = _ParetoTail().fit(calibration), np.array([-np.inf, -9.0, 0.0, 0.5, 1.0, 5.0, 6.0])
    ranked = p_values(new, np.sort(calibration), len(calibration))
    assert (tail.n_tail_ > 0) == has_tail
    if has_tail:
        below = new < tail.threshold_
        assert (np.diff(tail.log_p(new[below])) > 0).all()
        assert_allclose(np.exp(tail.log_p(new[~below])), ranked[~below])
    else:
        assert_allclose(np.exp(tail.log_p(new)), ranked)
        assert np.isnan(tail.shape_)
        assert tail.quantile(1e-4) == tail.threshold_ == -np.inf
        assert tail.quantile(0.5) == threshold(np.sort(calibration), 0.5, len(calibration))


@pytest.mark.parametrize(
    ("distribution", "highest", "lowest"),
    [
        (stats.expon(), (1.1, 1.1), 0.4), (stats.chi2(1), (1.25, 1.5), 0.4),
        (stats.chi2(20), (0.8, 0.5), 0.05), (stats.t(3), (2.2, 7.0), 0.4),
    ],
    ids=["exponential", "normal log-density", "of 20 features", "t3"],
)  # fmt: skip
def test_false_alarms_beyond_the_ranks(distribution, highest, lowest):
    """Mean over 300 calibrations of the chance that a new score is below the quantile, in multiples of the level."""
    rng = np.random.RandomState(0)
    for level, most in zip((1e-3, 1e-4), highest, strict=True):
        quantiles = [_ParetoTail().fit(-distribution.ppf(rng.uniform(size=400))).quantile(level) for _ in range(300)]
        rate = distribution.sf(-np.array(quantiles)).mean() / level
        assert lowest < rate < most, rate
        assert threshold(np.arange(400.0), level, 400) == -np.inf, "no rank is that small"


@pytest.mark.parametrize("bad", [[1.0, np.nan], [1.0, np.inf], [], [[1.0, 2.0]]])
def test_what_is_no_score_is_refused(bad):
    with pytest.raises(ValueError, match="finite or -inf, in one dimension"):
        _ParetoTail().fit(np.array(bad))


def test_files_hold_it():
    tail = _ParetoTail().fit(scores())
    dumped = skops.io.dumps(tail)
    trusted = skops.io.get_untrusted_types(data=dumped)
    assert len(trusted) == 1
    assert trusted[0].startswith("sklatent.")
    for other in (skops.io.loads(dumped, trusted=trusted), pickle.load(io.BytesIO(pickle.dumps(tail)))):
        assert_array_equal(other.log_p(scores(50, seed=1) - 20), tail.log_p(scores(50, seed=1) - 20))
        assert other.quantile(1e-5) == tail.quantile(1e-5)
