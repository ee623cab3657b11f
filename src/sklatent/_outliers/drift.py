r"""Whether the rows of a stream still come as those that calibrated: conformal test martingales, one for each column.

Let Z_1, Z_2, ... be rows of k numbers: n that calibrated, then the stream. The p-value of row t in column j is its rank
among the rows before it, ties broken by u, uniform on [0, 1]:

.. math:: p_t^j = \frac{\#\{i < t: Z_i^j < Z_t^j\} + u_t^j \, (\#\{i < t: Z_i^j = Z_t^j\} + 1)}{t}.

If the rows are exchangeable, then given the bag {Z_1, ..., Z_t} and all that comes later, Z_t is any row of the bag
with equal chance, so that p_t^j is uniform. All later p-values of the column are functions of just this bag and what
comes later; hence p_{n+1}^j, p_{n+2}^j, ... are independent and uniform (Vovk et al. 2005). So a capital that is
multiplied by f_t(p_t^j) at each row is a martingale if f_t >= 0 has the integral 1 and was chosen by what *this column*
showed before t (Vovk et al. 2003), and a mean of such, over bets, is one too.

**A mean over columns is none.** Column by column p_t^j is uniform given the later p-values of *all* columns, but the
joint law of (p_t^1, ..., p_t^k) depends on how the columns of the bag hang together, and so do the later ones: the
vectors p_t are not independent of one another. Forward in time p_t^j is then not uniform given the past of all columns.
Three rows (1, 1), (2, 3), (3, 2) in random order: if the columns order the first two in opposite ways, these are the
last two of the list, and the third is lowest in both columns for sure. Each column's capital is a martingale in its own
filtration, and not in the joint one; for the mean, Ville's inequality is not proved. A union bound needs no common
filtration: with shares w_1 + ... + w_k = 1,

.. math:: P(\exists t: \max_j w_j M_t^j \ge 1 / a) \le \sum_j P(\sup_t M_t^j \ge 1 / (a w_j)) \le \sum_j a w_j = a,

however the columns depend on one another. What is lost against the mean is at most log k, and next to nothing where one
column has changed. exp(-maximum over time) is a p-value at any time, however it was chosen.

**Bets** are f = 1 + e P_d(2 p - 1) with |e| <= 1 and the Legendre polynomials P_1, for a change of place, and P_2, of
spread (J. Neyman's smooth alternatives, 1937). Half of the capital starts as cash, e = 0, the rest in equal parts on
``BETS``. Before row t of the stream, t = 0, 1, ..., a share 1 / (t + 100) of every part is laid out anew as at the
start: the simple jumper of Vovk et al. 2021 with a rate that falls. (At a constant rate the capital falls exponentially
as long as nothing happens, and a change is found late.) Of cash a share 1 - 1 / (2 (t + 100)) at least remains, so that
M_t >= (1 + t / 99)^(-1/2) / 2 after t rows, whatever these are: -3.1 nats or more in 10,000 rows, -5.4 in a million.

**Memory.** Of more than ``most`` rows a random half of ``most`` is kept. Which one is drawn without regard to the order
in which they came, so that what is kept is a function of the bag and of chance, and a random part of exchangeable rows
is exchangeable with what follows: the argument above holds for it. Old rows fade, half of them with each half of
``most`` rows that come: a change that takes many times as long is not seen.
"""

import numpy as np

from .._bridge.state import Estimator

SIZES = (-1.0, -0.5, 0.5, 1.0)  # e
BETS = np.array([(0.0, 0.0), *((e, 0.0) for e in SIZES), *((0.0, e) for e in SIZES)])  # of P_1, of P_2
START = np.where((BETS == 0).all(axis=1), 0.5, 0.5 / (len(BETS) - 1))[:, np.newaxis]
SLOW = 100  # rows: 1 / SLOW is the share of the capital that is laid out anew at first
BLOCK = 256  # rows that wait, unsorted, until they are sorted into the table together


def _ordered(V):
    """An int64 for each float64, in the same order: equal where these are, and NaN below -inf."""
    bits = np.ascontiguousarray(V + 0.0).view(np.int64)  # -0.0 + 0.0 is 0.0
    return np.where(np.isnan(V), np.iinfo(np.int64).min, bits ^ ((bits >> 63) & np.iinfo(np.int64).max))


class _Drift(Estimator):
    """Evidence, in nats, that the rows of a stream do not come as those of ``fit``: see above.

    A row costs k binary searches, comparisons with the rows that wait, and a share of their merge;
    ``benchmarks/drift.py`` has the milliseconds. A file of it holds the values of each column: they can be read.

    Parameters
    ----------
    random_state : int, default=0
        Of the uniform numbers that break ties, and of the rows that are dropped.
    most : int, default=16384
        Rows kept, in all columns 8 bytes each; ``BLOCK`` more may wait.

    Attributes
    ----------
    log_capital_ : ndarray of shape (k,), float64
        log M of each column now: the highest says which has changed.
    n_seen_ : int
        Rows of the stream so far.

    References
    ----------
    V. Vovk, I. Nouretdinov, A. Gammerman, "Testing exchangeability on-line", 2003. V. Vovk, A. Gammerman, G. Shafer,
    "Algorithmic learning in a random world", 2005. V. Vovk, I. Petej, I. Nouretdinov, E. Ahlberg, L. Carlsson,
    A. Gammerman, "Retrain or not retrain: conformal test martingales for change-point detection", 2021.
    M. Herbster, M. K. Warmuth, "Tracking the best expert", 1998 (capital laid out anew). J. Ville, "Étude critique de
    la notion de collectif", 1939.
    """

    def __init__(self, random_state=0, most=2**14):
        self.random_state, self.most = random_state, most

    def fit(self, V, shares=None):
        """Take the rows that calibrated, and forget any stream.

        Parameters
        ----------
        V : ndarray of shape (n, k), float64
            k numbers of each row, such as its score and its features. Any may be infinite, or NaN: lowest, and a tie.
        shares : ndarray of shape (k,), float64, default=None
            Of the error that each column may spend, positive, as a part of their sum. None: equal.
        """
        V = np.asarray(V, dtype=np.float64)
        if V.ndim != 2 or not V.size:
            raise ValueError(f"V has shape {V.shape}; pass rows of at least one number, and one row or more.")
        k = V.shape[1]
        shares = np.full(k, 1 / k) if shares is None else np.asarray(shares, dtype=np.float64)
        if shares.shape != (k,) or not (shares > 0).all():
            raise ValueError(f"shares={shares} must be {k} positive numbers, one for each column of V.")
        self.log_shares_, self.n_seen_ = np.log(shares / shares.sum()), 0
        self.stakes_, self.log_capital_ = np.repeat(START, k, axis=1), np.zeros(k)
        self.table_ = np.empty((k, 0), dtype=np.int64)
        self._absorb(_ordered(V[self._kept(len(V))]))
        return self

    def update(self, V):
        """Take m rows, one after the other; how a stream is cut into calls makes no difference, not in the last bit.

        Parameters
        ----------
        V : ndarray of shape (m, k), float64

        Returns
        -------
        log_evidence : ndarray of shape (m,), float64
            max_j log(w_j M_t^j) after each row, in nats, since ``fit``. If the rows of ``fit`` and of the stream are
            exchangeable, it reaches log(1 / a) at any time with a chance of at most a.
        """
        V, k = np.asarray(V, dtype=np.float64), len(self.table_)
        if V.ndim != 2 or V.shape[1] != k:
            raise ValueError(f"V has shape {V.shape}, but the rows of fit had {k} numbers. Pass rows of as many.")
        keys, log_evidence = _ordered(V), np.empty(len(V))
        start = 0
        while start < len(keys):
            some = keys[start : start + BLOCK - len(self.recent_)]
            for t, p in enumerate(self._p_values(some), start):
                log_evidence[t] = self._bet(p)
            start += len(some)
            if len(self.recent_) == BLOCK:
                self._absorb(self.recent_)
        return log_evidence

    def _p_values(self, keys):
        """Those of rows, (m, k), among the table, the recent ones and one another; they become recent."""
        less, up_to = np.empty((2, *keys.shape), dtype=np.int64)
        for j, (column, new) in enumerate(zip(self.table_, keys.T, strict=True)):
            less[:, j], up_to[:, j] = column.searchsorted(new, "left"), column.searchsorted(new, "right")
        n_recent = len(self.recent_)
        self.recent_ = np.concatenate([self.recent_, keys])
        for i, key in enumerate(keys):
            earlier = self.recent_[: n_recent + i]
            less[i] += (earlier < key).sum(axis=0)
            up_to[i] += (earlier <= key).sum(axis=0)
        n_before = self.table_.shape[1] + n_recent + np.arange(len(keys))[:, np.newaxis]
        return (less + self._uniform(*keys.shape) * (up_to - less + 1)) / (n_before + 1)

    def _uniform(self, m, k):
        """Row t of the stream has the same numbers, whatever call it comes in."""
        return np.random.Generator(np.random.PCG64(self.random_state).advance(self.n_seen_ * k)).random((m, k))

    def _bet(self, p):
        rate, x = 1 / (self.n_seen_ + SLOW), 2 * p - 1
        stakes = (1 - rate) * self.stakes_ + rate * START
        stakes *= 1 + BETS[:, :1] * x + BETS[:, 1:] * (1.5 * x * x - 0.5)
        growth = stakes.sum(axis=0)
        self.stakes_, self.log_capital_ = stakes / growth, self.log_capital_ + np.log(growth)
        self.n_seen_ += 1
        return (self.log_capital_ + self.log_shares_).max()

    def _absorb(self, keys):
        """Sort rows into the table, without some if they have become too many; none are recent then."""
        table = np.concatenate([self.table_, keys.T], axis=1)
        table = table[:, self._kept(table.shape[1])]
        table.sort(axis=1, kind="stable")  # merges what is sorted already
        self.table_, self.recent_ = table, np.empty((0, len(table)), dtype=np.int64)

    def _kept(self, n):
        """Which of n rows are kept, whatever they hold; in their order, as most are sorted already."""
        if n <= self.most:
            return slice(None)
        rng = np.random.default_rng([self.random_state, self.n_seen_ + 1])  # not 0, which would be the seed alone
        return np.sort(rng.permutation(n)[: self.most // 2])
