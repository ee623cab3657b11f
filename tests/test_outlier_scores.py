"""The scores are their formulas, and the contributions of the features add up to them."""

import bz2
import zlib
from functools import partial

import numpy as np
import pandas as pd
import pytest
from common_outlier import FITTED, POOL, WIDE, Normals, X, frozen, rows
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.compose import make_column_transformer
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import roc_auc_score
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import KernelDensity
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklatent import DensityOutlierDetector, PixelCNNDensity, VAETransformer
from sklatent._outliers.codelength import _CodeLength
from sklatent._outliers.conformal import _Ranks
from sklatent._outliers.densities import MUTATION_RATE, _Mixture, corrupted
from sklatent._outliers.scores import _Fisher, _LogLikelihood, _Pool, _Statistics, _Typicality

# -- scores ----------------------------------------------------------------------------------------------------


def test_the_scores_are_their_formulas():
    new = rows(40, seed=1)
    own, theirs = FITTED.score_features(new), WIDE.score_features(new)
    assert_array_equal(frozen("log_likelihood").fit(X).score_samples(new), own.sum(axis=1))
    assert_allclose(frozen("ratio").fit(X).score_samples(new), (own - theirs).sum(axis=1))
    assert_array_equal(frozen("regret").fit(X).score_samples(new), -np.abs(new).sum(axis=1))
    whole = np.random.RandomState(0).randint(0, 256, size=(1000, 3))
    lengths = [8 * np.log(2) * len(zlib.compress(bytes(row.tolist()))) for row in whole]
    detector = frozen("complexity", codelength="zlib").fit(whole)
    assert_allclose(detector.score_samples(whole), FITTED.score_samples(whole) + lengths)


def test_ratio_of_what_is_impossible_under_both():
    narrow, wide = (FrozenEstimator(KernelDensity(kernel="tophat", bandwidth=b).fit(X)) for b in (3.0, 6.0))
    detector = DensityOutlierDetector(narrow, method="ratio", background=wide).fit(rows(200, seed=1))
    far = np.array([[0.0, 0.0, 5.0], [0.0, 0.0, 50.0]])
    assert (wide.score_samples(far) == -np.inf).tolist() == [False, True]
    assert (detector.score_samples(far) == -np.inf).all()


def test_typicality_is_the_distance_from_the_mean_of_other_rows():
    score = _Typicality(FITTED).fit(X)
    new = np.array([FITTED.mean_, FITTED.mean_ + 3 * FITTED.sd_])
    mean = FITTED.score_samples(X).mean()
    assert_allclose(score.score_samples(new), -np.abs(FITTED.score_samples(new) - mean))
    assert FITTED.score_samples(new)[0] > mean > FITTED.score_samples(new)[1]


def test_fisher_sums_log_p_values_of_the_conditionals():
    score = _Fisher(FITTED).fit(X)
    columns = FITTED.score_features(X)
    counts = (columns[:, np.newaxis] <= columns[np.newaxis]).sum(axis=0)  # (n, n, d) -> (n, d)
    assert_allclose(score.score_samples(X), np.log((1 + counts) / 1001).sum(axis=1))


def test_statistics_are_a_rank_of_the_sum_and_one_of_a_mixture_on_the_other_half():
    codelength = _CodeLength(lambda levels: 0.1 * levels.sum()).fit(X)
    score = _Statistics(FITTED, codelength=codelength).fit(X)
    columns = np.stack([FITTED.score_samples(X), codelength.nats(X)], axis=1)
    statistics = np.hstack([columns, FITTED.score_statistics(X)])
    scaler = StandardScaler().fit(statistics[:500])
    head = GaussianMixture(4, covariance_type="tied", reg_covar=0.01, random_state=0)
    head.fit(scaler.transform(statistics[:500]))
    both = columns.sum(axis=1)[500:], head.score_samples(scaler.transform(statistics[500:]))
    counts = [(scores <= scores[:, np.newaxis]).sum(axis=1) for scores in both]
    assert_allclose(score.score_samples(X[500:]), np.log((1 + np.array(counts)) / 501).sum(axis=0))


def test_statistics_see_what_is_too_likely():
    """Of twelve features, no row of fit is at the mode in all."""
    many = np.random.RandomState(0).normal(size=(4000, 12))
    density = FrozenEstimator(GaussianMixture().fit(many))
    mode = many.mean(axis=0, keepdims=True)
    assert DensityOutlierDetector(density).fit(many).p_values(mode) == 1
    with pytest.warns(UserWarning, match="GaussianMixture tells no score_statistics"):
        score = _Statistics(density).fit(many)
    likely, common = (score.mixture_.score_samples(score._statistics(rows)[1]) for rows in (mode, many))
    assert (likely >= common).mean() < 0.02


def test_statistics_flag_what_is_too_likely_by_its_short_code():
    """Of fifty features, no row of fit is near the mode in all: the mixture tells, and a short code both ranks."""
    many = np.random.RandomState(0).normal(size=(4000, 50))
    density, mode = FrozenEstimator(Normals().fit(many)), many.mean(axis=0, keepdims=True)
    assert DensityOutlierDetector(density).fit(many).p_values(mode) == 1
    statistics = DensityOutlierDetector(density, method="statistics", random_state=0)
    assert statistics.fit(many).p_values(mode) < 0.2
    assert statistics.set_params(codelength="zlib").fit(many).p_values(mode) < 0.01


def test_one_reference_row_is_enough_for_a_mixture():
    mixture = _Mixture(random_state=0).fit(np.array([[1.0, 2.0]]))
    assert (np.diff(mixture.score_samples(np.array([[9.0, 9.0], [1.0, 2.0]]))) > 0).all()


def test_smooth_ranks():
    reference = np.array([3.0, 1.0, 2.0, 2.0, 7.0, np.inf * -1])
    ranks = _Ranks().fit(reference).log_p
    assert_allclose(np.exp(ranks(np.array([1.0, 2.0, 3.0, 7.0]))), np.array([3, 5, 6, 7]) / 7)
    assert_allclose(ranks(np.array([1.5])), np.log([3 / 7, 5 / 7]).mean())
    assert (np.diff(ranks(np.array([-np.inf, -1e9, -5.0, 0.0, 0.999, 1.0, 1.1, 4.0, 7.0]))) > 0).all()
    assert_allclose(ranks(np.array([0.0, -1.0])), np.log(2 / 7) - np.log([2, 3]))  # the tail's mean excess is 1
    assert_allclose(ranks(np.array([-np.inf, -1e300])), np.log(2 / 7) - np.log([np.finfo(float).max, 1e300]))
    assert ranks(np.array([8.0, np.inf])).tolist() == [0.0, 0.0]
    constant = _Ranks().fit(np.full(9, 5.0)).log_p
    assert_allclose(constant(np.array([5.0, 6.0])), 0)
    assert_allclose(constant(np.array([4.9])), np.log(1 / 10) - np.log1p(0.1 / 5e-9), rtol=1e-6)
    assert np.isfinite(_Ranks().fit(np.full(3, -np.inf)).log_p(np.array([-np.inf, 0.0]))).all()


def test_a_pool_is_the_mean_of_log_p_values():
    pool = _Pool([_LogLikelihood(density) for _, density in POOL]).fit(X)
    scores = np.stack([density.score_samples(X) for _, density in POOL])
    log_p = np.log((1 + (scores[:, :, np.newaxis] <= scores[:, np.newaxis]).sum(axis=1)) / 1001)
    centres = [_Ranks().fit(s).log_p(s.mean()) for s in scores]
    assert_allclose(pool.score_samples(X), log_p.mean(axis=0) - np.mean(centres))


def test_a_pool_ranks_what_its_members_learned_on_other_rows():
    pool = _Pool([_Typicality(density) for _, density in POOL]).fit(X)
    for (_, density), (score, ranks, *_) in zip(POOL, pool.members_, strict=True):
        assert_allclose(score.centre_, density.score_samples(X[:500]).mean())
        assert_allclose(ranks.knots_, np.sort(score.score_samples(X[500:])))
    assert not hasattr(pool.scores[0], "centre_"), "a copy was fitted"


def test_a_pool_is_no_worse_than_a_poor_member():
    """One member is blind to one kind of outlier each; both kinds are found by the two together."""
    new = np.concatenate([rows(300, seed=1), rows(50, seed=2) * [6, 1, 1], rows(50, seed=3) * [1, 1, 6]])
    y = np.r_[np.ones(300), np.zeros(100)]
    first, last = (make_pipeline(make_column_transformer(("passthrough", [i])), Normals()) for i in (0, 2))
    single = [DensityOutlierDetector(d, random_state=0).fit(X).score_samples(new) for d in (first, last)]
    pooled = DensityOutlierDetector([("first", first), ("last", last)], random_state=0).fit(X).score_samples(new)
    assert roc_auc_score(y, pooled) > max(roc_auc_score(y, s) for s in single) + 0.05


def test_auto_is_statistics_for_images_only():
    image = Normals()
    image.image_shape = (1, 3)
    assert DensityOutlierDetector(Normals(), random_state=0).fit(X).method_ == "log_likelihood"
    detector = DensityOutlierDetector(FrozenEstimator(image.fit(X)), random_state=0).fit(X)
    assert detector.method_ == "statistics"
    assert detector._score_.codelength.codec == ("bz2", "zlib")
    piped = FrozenEstimator(make_pipeline(StandardScaler(), image).fit(X))
    assert DensityOutlierDetector(piped, random_state=0).fit(X).method_ == "statistics"
    assert detector.backgrounds_ == []


def test_the_background_is_a_clone_on_corrupted_rows_or_the_one_given():
    detector = DensityOutlierDetector(Normals(), method="ratio", random_state=0).fit(X)
    plain, background = detector.estimators_[0], detector.backgrounds_[0]
    assert (background.sd_ > 1.05 * plain.sd_).all(), "a uniform draw of the range varies more"
    thawed = DensityOutlierDetector(FrozenEstimator(FITTED), method="ratio", random_state=0).fit(X)
    assert isinstance(thawed.backgrounds_[0], Normals)
    assert len(thawed.calibration_scores_) == 200, "the background had to be fitted"
    given = DensityOutlierDetector(Normals(), method="ratio", background=Normals(2.0), random_state=0).fit(X)
    assert_allclose(given.backgrounds_[0].sd_, 2 * plain.sd_, rtol=0.01)


def test_corrupted_rows():
    rng = np.random.default_rng(0)
    whole = rng.integers(3, 9, size=(4000, 5)).astype(np.uint8)
    whole[:, 0] = 7
    changed = corrupted(whole, rng)
    assert changed.dtype == np.uint8
    assert set(np.unique(changed[:, 1:])) == set(range(3, 9))
    assert (changed[:, 0] == 7).all()
    assert_allclose((changed != whole)[:, 1:].mean(), MUTATION_RATE * 5 / 6, atol=0.02)
    real = rng.normal(size=(4000, 2))
    changed = corrupted(pd.DataFrame(real, columns=["a", "b"]), rng)
    assert list(changed.columns) == ["a", "b"]
    moved = changed.to_numpy() != real
    assert_allclose(moved.mean(), MUTATION_RATE, atol=0.02)
    assert_allclose(changed.to_numpy()[moved[:, 0], 0].mean(), (real.min(axis=0) + real.max(axis=0))[0] / 2, atol=0.3)


def code_lengths(X, codec, *, like, **params):
    return _CodeLength(codec, **params).fit(like).nats(X)


def test_code_lengths_of_names_functions_and_real_values():
    whole = np.random.RandomState(0).randint(0, 256, size=(5, 400)).astype(np.uint8)
    flat = np.full((1, 400), 9, dtype=np.uint8)
    lengths = partial(code_lengths, like=whole)
    for name in ("bz2", "lzma", "zlib"):
        assert lengths(flat, name)[0] < 0.5 * lengths(whole, name).min()
    assert_array_equal(lengths(whole, zlib.compress), lengths(whole, "zlib"))
    assert_array_equal(lengths(whole, lambda row: float(row[0])), whole[:, 0])
    turned = whole.reshape(5, 20, 20).swapaxes(1, 2).reshape(5, 400)
    each = [lengths(scan, name) for name in ("bz2", "zlib") for scan in (whole, turned)]
    assert_allclose(lengths(whole, ("bz2", "zlib"), image_shape=(1, 20, 20)), np.mean(each, axis=0))
    real = np.array([[-1.0, 0.0, 4.0], [-1.0, 1.0, 9.0]])
    seen = []
    rows_seen = np.vstack([real, [[-50.0, 2.0, 50.0]]])
    code_lengths(rows_seen, lambda row: seen.append(row.copy()) or 0.0, like=real)
    assert_array_equal(seen, [[0, 26, 128], [0, 51, 255], [0, 76, 255]])


def test_images_are_read_by_rows_and_columns_and_codecs_averaged():
    stripes = np.random.RandomState(0).randint(0, 256, size=(5, 2, 1, 20)).astype(np.uint8)
    image = np.repeat(stripes, 30, axis=2)  # (n, c, h, w), the same in each line
    scans = np.stack([image.reshape(5, -1), image.transpose(0, 1, 3, 2).reshape(5, -1)])
    bytes_of = {
        codec: np.array([[len(codec.compress(row.tobytes())) for row in scan] for scan in scans])  # (2, n)
        for codec in (bz2, zlib)
    }
    assert (bytes_of[zlib][1] > 1.5 * bytes_of[zlib][0]).all(), "the two scans differ"
    flat, nats = scans[0], 8 * np.log(2) * np.mean([*bytes_of.values()], axis=(0, 1))
    lengths = partial(code_lengths, flat, like=flat, image_shape=(2, 30, 20))
    assert_allclose(lengths(("bz2", "zlib")), nats)
    assert_allclose(lengths("zlib"), 8 * np.log(2) * bytes_of[zlib].mean(axis=0))
    assert_array_equal(lengths(lambda row: float(row[20])), flat[:, 20])

    density = Normals().fit(flat)
    density.image_shape = density.image_shape_ = (2, 30, 20)
    detector = DensityOutlierDetector(FrozenEstimator(density), method="complexity", contamination=0.5).fit(flat)
    assert_allclose(detector.score_samples(flat), density.score_samples(flat) + nats)


def test_images_by_default(digits):
    """A blank image is likelier than any digit, and is found."""
    blank = np.zeros((1, 64))
    density = PixelCNNDensity(image_shape=(8, 8), n_filters=8, n_blocks=1, max_iter=3, random_state=0)
    frozen_density = FrozenEstimator(density.fit(digits[:1000]))
    likelihood = DensityOutlierDetector(frozen_density, method="log_likelihood").fit(digits[1000:])
    assert likelihood.p_values(blank) == 1
    detector = DensityOutlierDetector(density, calibration_size=0.5, contamination=0.1, random_state=0)
    assert detector.fit(digits[:1200]).method_ == "statistics"
    assert detector.image_shape_ == (1, 8, 8)
    rate = (detector.predict(digits[1200:]) == -1).mean()
    assert rate < 0.1 + 3.5 * np.sqrt(0.1 * 0.9 * (1 / 300 + 1 / 597))
    assert detector.predict(blank) == -1
    assert (detector.predict(16 - digits[1200:]) == -1).mean() > 0.9


@pytest.mark.filterwarnings("ignore:Posterior collapse")
def test_regret_of_a_vae(digits):
    vae = VAETransformer(4, hidden_layer_sizes=(32,), max_iter=10, random_state=0).fit(digits[:1000])
    detector = DensityOutlierDetector(FrozenEstimator(vae), method="regret").fit(digits[1000:1200])
    assert_allclose(detector.score_samples(digits[:5]), -vae.likelihood_regret(digits[:5]))
    assert (detector.predict(16 - digits[1200:1300]) == -1).mean() > 0.9


# -- contributions of the features -----------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["log_likelihood", "ratio", "typicality", "fisher"])
def test_contributions_add_up_to_the_score(method):
    new = rows(60, seed=1)
    detector = frozen(method).fit(X)
    contributions = detector.score_features(new)
    assert contributions.shape == (60, 3)
    assert_allclose(contributions.sum(axis=1), detector.score_samples(new))
    if method == "ratio":
        assert_allclose(contributions, FITTED.score_features(new) - WIDE.score_features(new))


@pytest.mark.parametrize("method", ["log_likelihood", "fisher"])
def test_contributions_of_a_pool_add_up_and_blame_the_feature(method):
    members = [("narrow", FrozenEstimator(FITTED)), ("wide", WIDE)]
    detector = DensityOutlierDetector(members, method=method, random_state=0).fit(X)
    new = rows(60, seed=1)
    new[0] = [0.0, 0.0, 3.0]  # 15 standard deviations
    contributions = detector.score_features(new)
    assert_allclose(contributions.sum(axis=1), detector.score_samples(new), atol=1e-12)
    assert contributions[0].argmin() == 2
    assert contributions[0, 2] < -1


def test_scores_that_are_no_sums_say_so():
    detectors = {
        "with method='complexity' .*: the score is no sum over": frozen("complexity"),
        "with method='regret' .*: the score is no sum over": frozen("regret"),
        "KernelDensity has no score_features": DensityOutlierDetector(KernelDensity(), random_state=0),
    }
    for reason, detector in detectors.items():
        detector.fit(X)
        assert not hasattr(detector, "score_features")
        for words in ("This 'DensityOutlierDetector' .*has no attribute 'score_features'", reason):
            with pytest.raises(AttributeError, match=words):
                detector.score_features(X[:2])
    nested = [("kernel", DensityOutlierDetector(KernelDensity(), random_state=0)), ("normals", Normals())]
    scores = DensityOutlierDetector(nested, random_state=0).fit(rows(3000)).score_samples([[0, 0, 0], [9, 9, 9]])
    assert scores[0] > scores[1]


def test_background_of_small_integers_stays_in_their_range():
    rows = np.random.RandomState(0).randint(-120, 121, size=(200, 4)).astype(np.int8)
    background = corrupted(rows, np.random.default_rng(0))
    assert background.dtype == np.int8
    assert_array_equal(background, corrupted(rows.astype(np.int64), np.random.default_rng(0)))
