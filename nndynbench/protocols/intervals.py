"""95% intervals by the cluster bootstrap, computed for all resamples at once.

Errors on networks of one learning rate go together (on a drawn grid, of one configuration; in extrapolation, of one
block). So whole clusters are drawn: drawing single networks would give intervals half as wide. Clusters are taken as
independent, which neighbouring learning rates are not (docs/scores.md says what that costs). A resample is a count per
cluster, of how often it was drawn. Each metric is computed for a matrix of counts (resamples, clusters), and equals
scikit-learn's and scipy's on the drawn networks. Sums over a cluster's networks are computed once, before the resamples,
and whatever depends on the truths alone is computed once for all methods.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property, lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from nndynbench.arrays import FloatArray, RealArray

RESAMPLES = 1000
LEVEL = 0.95
SEED = 0

# A variance that is smaller than this, relative to that of all networks, is 0.
ROUNDING = 1e-12

# Methods on the same networks are scored one after the other. So this many sets of resamples are kept, and this many facts
# computed from truths.
KEPT = 12


@dataclass(frozen=True)
class Resamples:
    """``counts`` (resamples, clusters): how often each cluster was drawn; ``cluster`` (networks,): the cluster of each
    network.
    """

    counts: FloatArray
    cluster: npt.NDArray[np.int64]
    _kept: dict[tuple[str, bytes], Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def clusters(self) -> int:
        """How many clusters are drawn from."""
        return int(self.counts.shape[1])

    @cached_property
    def weights(self) -> FloatArray:
        """How often each network was drawn, (resamples, networks)."""
        return np.ascontiguousarray(self.counts[:, self.cluster])

    @cached_property
    def drawn(self) -> npt.NDArray[np.float32]:
        """As `weights`, but (networks, resamples) and in single precision."""
        return np.ascontiguousarray(self.whole_counts.T)[self.cluster]

    @cached_property
    def size(self) -> FloatArray:
        """How many networks were drawn, (resamples,)."""
        return self.sums(np.ones(len(self.cluster)))

    def sums(self, values: FloatArray) -> FloatArray:
        """The sum of the drawn networks' values in each resample: (networks,) to (resamples,)."""
        return np.asarray(self.counts @ np.bincount(self.cluster, values, minlength=self.counts.shape[1]))

    def mean(self, values: FloatArray) -> FloatArray:
        """The mean of the drawn networks' values in each resample."""
        return self.sums(values) / self.size

    def variance(self, values: FloatArray) -> FloatArray:
        """The variance of the drawn networks' values in each resample; exactly 0 where they are equal."""
        # The shift cancels, and removes most of the rounding error.
        shifted = values - values.mean()
        variance = self.mean(shifted**2) - self.mean(shifted) ** 2
        return np.where(variance > ROUNDING * values.var(), variance, 0.0)

    def by_cluster(self, values: RealArray) -> RealArray:
        """Sums over each cluster's rows: (networks, …) to (clusters, …)."""
        return np.asarray(self._members.astype(values.dtype) @ values)

    def of_ties(self, values: FloatArray, power: int) -> FloatArray:
        """How many drawn networks share a value, to the given power, summed over the distinct values, in each resample. A
        network that is drawn twice ties with itself.
        """
        _, own, sizes = np.unique(values, return_inverse=True, return_counts=True)
        alone = sizes[own] == 1
        _, group = np.unique(own[~alone], return_inverse=True)
        tied = np.zeros((self.counts.shape[1], int(group.max(initial=-1)) + 1))
        np.add.at(tied, (self.cluster[~alone], group), 1)

        def of_one() -> FloatArray:
            return _to_the(self.counts, power) @ np.bincount(self.cluster[alone], minlength=self.counts.shape[1])

        untied = self.of_truth(f"untied to the {power}", alone, of_one)
        return np.asarray(untied + _to_the(self.counts @ tied, power).sum(axis=1))

    def of_truth(self, name: str, truth: npt.NDArray[Any], compute: Callable[[], Any]) -> Any:
        """Computes something from the truths alone, and keeps it for the next method on the same networks."""
        key = (name, truth.tobytes())
        if key not in self._kept:
            while len(self._kept) >= KEPT:
                del self._kept[next(iter(self._kept))]
            self._kept[key] = compute()
        return self._kept[key]

    @cached_property
    def _members(self) -> Any:
        """A sparse matrix (clusters, networks) that says which network is in which cluster."""
        from scipy.sparse import csr_array

        networks = np.arange(len(self.cluster))
        shape = self.counts.shape[1], len(networks)
        return csr_array((np.ones(len(networks), np.float32), (self.cluster, networks)), shape=shape)

    def of_networks(self, inside: npt.NDArray[np.bool_]) -> Resamples:
        """The same resamples, of some of the networks."""
        return Resamples(self.counts, self.cluster[inside])

    @cached_property
    def whole_counts(self) -> npt.NDArray[np.float32]:
        """The counts in single precision, in which sums of whole numbers are exact up to 2²⁴."""
        return self.counts.astype(np.float32)


def _to_the(values: FloatArray, power: int) -> FloatArray:
    return np.asarray(math.prod([values] * power))  # numpy's own power of floats costs twenty products


def draw_resamples(clusters: npt.ArrayLike, *, resamples: int = RESAMPLES, seed: int = SEED) -> Resamples:
    """Draw clusters with replacement, as many as there are.

    The same clusters and seed give the same resamples, so two methods can be compared pair by pair.
    """
    [drawn] = draw_alike([clusters], resamples=resamples, seed=seed)
    return drawn


def draw_alike(parts: Sequence[npt.ArrayLike], *, resamples: int = RESAMPLES, seed: int = SEED) -> list[Resamples]:
    """As `draw_resamples`, for several parts that each have their clusters. Clusters are drawn from those of all parts
    together, so one cluster is drawn equally often in all parts that have it.
    """
    labels = [np.asarray(clusters) for clusters in parts]
    _, cluster = np.unique(np.concatenate(labels), return_inverse=True)
    keys = [own.tobytes() for own in np.split(cluster.astype(np.int64), np.cumsum([len(label) for label in labels])[:-1])]
    distinct = tuple(dict.fromkeys(keys))
    drawn = dict(zip(distinct, _drawn(distinct, resamples, seed), strict=True))
    return [drawn[key] for key in keys]


@lru_cache(KEPT)
def _drawn(parts: tuple[bytes, ...], resamples: int, seed: int) -> tuple[Resamples, ...]:
    clusters = [np.frombuffer(networks, np.int64) for networks in parts]
    count = 1 + max(int(cluster.max()) for cluster in clusters)
    counts = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=resamples).astype(np.float64)
    return tuple(_of_part(counts, cluster) for cluster in clusters)


def _of_part(counts: FloatArray, cluster: npt.NDArray[np.int64]) -> Resamples:
    """The resamples of one part: of the clusters that it has, numbered anew if it lacks some."""
    there, own = np.unique(cluster, return_inverse=True)
    return Resamples(np.ascontiguousarray(counts[:, there]), own.astype(np.int64))


@lru_cache(KEPT)
def every_network_once(count: int) -> Resamples:
    """One resample, in which each network is drawn once."""
    return Resamples(np.ones((1, count)), np.arange(count))


def quantiles(values: FloatArray, clusters: int) -> tuple[float, float]:
    """The 95% interval of a metric from its values in the resamples, (resamples,); NaN for a single cluster.

    It is the expanded percentile interval (Hesterberg 2015, doi 10.1080/00031305.2015.1089789). The plain one is too short
    where few clusters are drawn: with ten, it holds the truth 86 to 89 times in a hundred.
    """
    if clusters < 2:
        return math.nan, math.nan
    # nanquantile is slower, even where nothing is missing.
    quantile = np.nanquantile if np.isnan(values).any() else np.quantile
    low, high = quantile(values, _levels(clusters))
    return float(low), float(high)


def without_error(clusters: int) -> tuple[float, float]:
    """The 95% interval of a share that is right where nothing is wrong in any cluster, (NaN, NaN) for a single one.

    Every resample is then without error, too, so resamples say nothing. The low end is Clopper and Pearson's exact bound on
    the share of clusters in which nothing is wrong: 0.93 for 48 clusters, 0.79 for 16.
    """
    from scipy.stats import binomtest

    if clusters < 2:
        return math.nan, math.nan
    return float(binomtest(clusters, clusters).proportion_ci(LEVEL, method="exact").low), 1.0


def widened(clusters: int) -> float:
    """How many times as wide as for very many clusters an interval is: by the variance that resampling n clusters loses,
    (n − 1)/n, and by Student's distribution in place of the normal one.
    """
    from scipy.stats import norm, t

    if clusters < 2:
        return math.inf
    upper = (1 + LEVEL) / 2
    return float(math.sqrt(clusters / (clusters - 1)) * t.ppf(upper, clusters - 1) / norm.ppf(upper))


@cache
def _levels(clusters: int) -> tuple[float, float]:
    """The quantiles between which an interval lies: 0.022 and 0.978 for 48 clusters, 0.0086 and 0.9914 for ten."""
    from scipy.stats import norm

    high = float(norm.cdf(widened(clusters) * norm.ppf((1 + LEVEL) / 2)))
    return 1 - high, high


def ratio(numerator: FloatArray, denominator: FloatArray) -> FloatArray:
    """The quotient; NaN where the denominator is not above 0."""
    return np.divide(numerator, denominator, out=np.full_like(numerator, np.nan), where=denominator > 0)
