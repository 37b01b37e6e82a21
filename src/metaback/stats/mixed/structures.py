"""How a random term makes covariances: its natural parameters, the scale on which they are searched, and the way back.

A block of M sees linear parameters u (the entries of G, or combinations of them), whose derivatives are constant, or a
pair (variance, range) whose correlation is a curve of distance. The search moves on a chart x of its own, chosen so
that every admissible matrix, singular ones too, can be reached: u = u(x). People read natural parameters: variances
and correlations.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from metaback.registry import Registry
from metaback.stats.mixed.records import Floats, Term

Mapped = tuple[Floats, Floats, Floats]  # values (R, a), first (R, a, q) and second derivatives (R, a, q, q) in x
NEAREST = 1e3  # ranges so many times smaller than the smallest distance leave no correlation
FURTHEST = 1e10  # ranges so many times the largest distance are one intercept: nearer ones cost log-likelihood


@dataclass(frozen=True, slots=True)
class Chart:
    """The scale of the search for one term.

    u: from x (R, q) to the parameters that blocks see, natural: to natural parameters; both with derivatives.
    search: from natural parameters (q,) to x. lower, upper: (q,) range of x. kinds: per natural parameter "variance"
    or "correlation" or "range", and its inner levels. patterns: which entries of G the linear parameters u fill, as
    (levels, levels) matrices; None for a curve of distance. allowed: (R,) whether x is within the model's range where
    lower and upper cannot say it.
    """

    u: Callable[[Floats], Mapped]
    natural: Callable[[Floats], Mapped]
    search: Callable[[Floats], Floats]
    lower: Floats
    upper: Floats
    kinds: tuple[tuple[str, tuple[int, ...]], ...]
    patterns: Floats | None
    allowed: Callable[[Floats], np.ndarray] | None = None


Structure = Callable[[Term], Chart]
STRUCTURES: Registry[Structure] = Registry("struct")


def structure(key: str, *, title: str, parameters: str, cite: str = "") -> Callable[[Structure], Structure]:
    """Return the decorator that adds a structure; `parameters` says in words what it estimates."""
    return STRUCTURES.register(key, title=title, cite=cite, parameters=parameters)


def chart_of(term: Term) -> Chart:
    """Return the chart of a term.

    >>> chart_of(Term("ID0", np.arange(3))).kinds
    (('variance', ()),)
    """
    return STRUCTURES[term.structure].function(term)


# ---------------------------------------------------------------- charts that are linear


def unchanged(x: Floats) -> Mapped:
    """Return x itself."""
    R, q = x.shape
    return x, np.broadcast_to(np.eye(q), (R, q, q)), np.zeros((R, q, q, q))


def _variances(kinds: tuple[tuple[str, tuple[int, ...]], ...], patterns: Floats) -> Chart:
    """Return the chart of plain variances, 0 included."""
    q = len(kinds)
    return Chart(unchanged, unchanged, lambda theta: theta, np.zeros(q), np.full(q, np.inf), kinds, patterns)


INTERCEPT = _variances((("variance", ()),), np.ones((1, 1, 1)))


@structure("ID0", title="random intercept", parameters="one variance")
def intercept(term: Term) -> Chart:
    """Return u_i with variance sigma2 for every level of the outer factor: one chart for all such terms."""
    return INTERCEPT


@structure("ID", title="independent effects of one variance", parameters="one variance for all inner levels")
def identity(term: Term) -> Chart:
    """Return G = tau2 I."""
    return _variances((("variance", ()),), np.eye(term.levels)[None])


@structure("DIAG", title="independent effects", parameters="one variance per inner level")
def separate(term: Term) -> Chart:
    """Return G = diag(tau2_1, ..., tau2_L)."""
    kinds = tuple(("variance", (a,)) for a in range(term.levels))
    return _variances(kinds, np.eye(term.levels)[:, :, None] * np.eye(term.levels)[:, None, :])


@structure("GDIAG", title="independent random slopes", parameters="one variance per column")
def separate_slopes(term: Term) -> Chart:
    """Return independent slopes, one variance for each column of Z."""
    r = _columns(term)
    kinds = tuple(("variance", (a,)) for a in range(r))
    return _variances(kinds, np.eye(r)[:, :, None] * np.eye(r)[:, None, :])


@structure("CS", title="compound symmetry", parameters="one variance and one correlation")
def compound(term: Term) -> Chart:
    """Return G = tau2 [(1 - rho) I + rho 11'], searched by its eigenvalues, which need only be at least 0.

    x = (tau2 (1 + (L - 1) rho), tau2 (1 - rho)), u = (tau2 (1 - rho), tau2 rho).
    """
    L = term.levels
    to_u = np.array([[0.0, 1.0], [1 / L, -1 / L]])
    patterns = np.stack([np.eye(L), np.ones((L, L))])
    kinds = (("variance", ()), ("correlation", ()))
    if any(value is not None for value in term.fixed):
        low = -1 / (L - 1) if L > 1 else -1.0
        return Chart(
            _compound_given,
            unchanged,
            lambda theta: theta,
            np.array([0.0, low]),
            np.array([np.inf, 1.0]),
            kinds,
            patterns,
        )

    def linear(x: Floats) -> Mapped:
        return x @ to_u.T, np.broadcast_to(to_u, (x.shape[0], 2, 2)), np.zeros((x.shape[0], 2, 2, 2))

    def natural(x: Floats) -> Mapped:
        return _shares(x, L)

    def search(theta: Floats) -> Floats:
        return np.array([theta[0] * (1 + (L - 1) * theta[1]), theta[0] * (1 - theta[1])])

    return Chart(linear, natural, search, np.zeros(2), np.full(2, np.inf), kinds, patterns)


def _compound_given(x: Floats) -> Mapped:
    """Return (tau2 (1 - rho), tau2 rho) of x = (tau2, rho)."""
    t, r = x[:, 0], x[:, 1]
    u = np.stack([t * (1 - r), t * r], axis=1)
    first = np.stack([np.stack([1 - r, -t], axis=1), np.stack([r, t], axis=1)], axis=1)
    second = np.zeros((x.shape[0], 2, 2, 2))
    second[:, 0, 0, 1] = second[:, 0, 1, 0] = -1
    second[:, 1, 0, 1] = second[:, 1, 1, 0] = 1
    return u, first, second


def _shares(x: Floats, L: int) -> Mapped:
    """Return (tau2, rho) of the two eigenvalues: tau2 = (a + (L - 1) b) / L, rho = (a - b) / (a + (L - 1) b)."""
    a, b = x[:, 0], x[:, 1]
    total = a + (L - 1) * b
    with np.errstate(divide="ignore", invalid="ignore"):
        rho = np.where(total > 0, (a - b) / total, 0.0)
        slopes = np.where(total[:, None] > 0, np.stack([L * b, -L * a], axis=1) / total[:, None] ** 2, 0.0)
    values = np.stack([total / L, rho], axis=1)
    first = np.stack([np.broadcast_to([1 / L, (L - 1) / L], (x.shape[0], 2)), slopes], axis=1)
    return values, first, np.zeros((x.shape[0], 2, 2, 2))


# ---------------------------------------------------------------- charts of whole matrices


def _pairs(L: int) -> list[tuple[int, int]]:
    """List variances first, then pairs (0, 1), (0, 2), ..., (1, 2), ..."""
    return [(a, a) for a in range(L)] + [(a, b) for a in range(L) for b in range(a + 1, L)]


def _entry_patterns(L: int) -> Floats:
    """Return the symmetric matrices that the entries of G fill."""
    patterns = np.zeros((L * (L + 1) // 2, L, L))
    for i, (a, b) in enumerate(_pairs(L)):
        patterns[i, a, b] = patterns[i, b, a] = 1
    return patterns


def _entry_kinds(L: int) -> tuple[tuple[str, tuple[int, ...]], ...]:
    """Name the natural parameters of a whole matrix."""
    return tuple(("variance", (a,)) if a == b else ("correlation", (a, b)) for a, b in _pairs(L))


def _by_root(L: int) -> Chart:
    """Return the chart of G = TT' by its lower triangle T: u = x'Ex / 2; no bound, and every G of any rank."""
    places = [(a, b) for b in range(L) for a in range(b, L)]
    number = {place: i for i, place in enumerate(places)}
    q = len(places)
    E = np.zeros((q, q, q))
    for i, (a, b) in enumerate(_pairs(L)):
        for c in range(min(a, b) + 1):
            E[i, number[a, c], number[b, c]] += 1
            E[i, number[b, c], number[a, c]] += 1

    def u(x: Floats) -> Mapped:
        first = np.einsum("ijk,rk->rij", E, x)
        return 0.5 * np.einsum("rij,rj->ri", first, x), first, np.broadcast_to(E, (x.shape[0], q, q, q))

    def natural(x: Floats) -> Mapped:
        return _through_entries(u(x), L)

    def search(theta: Floats) -> Floats:
        T = _root(_matrix(theta, L))
        return np.array([T[a, b] for a, b in places])

    free = np.full(q, np.inf)
    return Chart(u, natural, search, -free, free, _entry_kinds(L), _entry_patterns(L))


def _matrix(theta: Floats, L: int) -> Floats:
    """Return G of variances and correlations."""
    sd = np.sqrt(np.maximum(theta[:L], 0))
    G = np.eye(L)
    for rho, (a, b) in zip(theta[L:], _pairs(L)[L:], strict=True):
        G[a, b] = G[b, a] = rho
    return G * sd[:, None] * sd


def _root(G: Floats) -> Floats:
    """Return the lower triangle T with G = TT', for singular G too."""
    values, vectors = np.linalg.eigh(G)
    T = np.linalg.qr((vectors * np.sqrt(np.maximum(values, 0))).T)[1].T
    return T * np.where(np.diagonal(T) < 0, -1.0, 1.0)


def _through_entries(mapped: Mapped, L: int) -> Mapped:
    """Turn covariances into correlations, with the derivatives of the first order."""
    u, first, _ = mapped
    values, slopes = u.copy(), first.copy()
    for i, (a, b) in enumerate(_pairs(L)[L:], start=L):
        product = u[:, a] * u[:, b]
        safe = product > 0
        root = np.sqrt(np.where(safe, product, 1.0))
        rho = np.where(safe, u[:, i] / root, 0.0)
        values[:, i] = np.clip(rho, -1, 1)
        relative = [first[:, k] / np.where(safe, u[:, k], 1.0)[:, None] for k in (a, b)]
        slopes[:, i] = first[:, i] / root[:, None] - 0.5 * rho[:, None] * (relative[0] + relative[1])
    return values, slopes, np.zeros((*values.shape, first.shape[2], first.shape[2]))


Correlations = Callable[[Floats], tuple[Floats, Floats, Floats]]


def _by_spreads(
    L: int, correlations: Correlations, low: Floats, kinds: tuple[tuple[str, tuple[int, ...]], ...], checked: bool
) -> Chart:
    """Return the chart of G_ab = s_a s_b c_ab(rho) by standard deviations s and correlations rho.

    correlations: from rho (R, c) to c (R, pairs) and its derivatives. low: (c,) lowest rho.
    """
    E = _entry_patterns(L) * (1 + np.array([a == b for a, b in _pairs(L)])[:, None, None])

    def u(x: Floats) -> Mapped:
        s, rho = x[:, :L], x[:, L:]
        c, c1, c2 = correlations(rho)
        Es = np.einsum("iab,rb->ria", E, s)
        ss = 0.5 * np.einsum("ria,ra->ri", Es, s)
        first = np.concatenate([Es * c[..., None], ss[..., None] * c1], axis=2)
        second = np.zeros((*ss.shape, x.shape[1], x.shape[1]))
        second[:, :, :L, :L] = E * c[..., None, None]
        second[:, :, :L, L:] = Es[..., None] * c1[:, :, None, :]
        second[:, :, L:, :L] = second[:, :, :L, L:].swapaxes(2, 3)
        second[:, :, L:, L:] = ss[..., None, None] * c2
        return ss * c, first, second

    def natural(x: Floats) -> Mapped:
        q = x.shape[1]
        values, first = x.copy(), np.broadcast_to(np.eye(q), (x.shape[0], q, q)).copy()
        values[:, :L] **= 2
        first[:, range(L), range(L)] = 2 * x[:, :L]
        return values, first, np.zeros((x.shape[0], q, q, q))

    def search(theta: Floats) -> Floats:
        return np.concatenate([np.sqrt(np.maximum(theta[:L], 0)), theta[L:]])

    def allowed(x: Floats) -> np.ndarray:
        c = correlations(x[:, L:])[0]
        return np.linalg.eigvalsh(np.einsum("ri,iab->rab", c, _entry_patterns(L)))[:, 0] > -1e-12

    lower = np.concatenate([np.zeros(L), low])
    upper = np.concatenate([np.full(L, np.inf), np.ones(low.size)])
    return Chart(u, natural, search, lower, upper, kinds, _entry_patterns(L), allowed if checked else None)


@structure("UN", title="unstructured", parameters="all variances and correlations")
def unstructured(term: Term) -> Chart:
    """Return G of any form, searched by its triangular root; by its own entries where some are given."""
    return _any_matrix(term, term.levels)


@structure("GEN", title="correlated random slopes", parameters="all variances and correlations of the columns")
def slopes(term: Term) -> Chart:
    """Return slopes with a covariance of any form."""
    return _any_matrix(term, _columns(term))


def _any_matrix(term: Term, L: int) -> Chart:
    """Return the chart of a whole matrix."""
    if all(value is None for value in term.fixed):
        return _by_root(L)
    c = L * (L - 1) // 2
    slope = np.concatenate([np.zeros((L, c)), np.eye(c)])

    def correlations(rho: Floats) -> tuple[Floats, Floats, Floats]:
        R = rho.shape[0]
        values = np.concatenate([np.ones((R, L)), rho], axis=1)
        return values, np.broadcast_to(slope, (R, L + c, c)), np.zeros((R, L + c, c, c))

    return _by_spreads(L, correlations, np.full(c, -1.0), _entry_kinds(L), checked=L > 2)


@structure("HCS", title="heteroscedastic compound symmetry", parameters="one variance per level, one correlation")
def hetero_compound(term: Term) -> Chart:
    """Return G_ab = s_a s_b rho; rho may be below -1 / (L - 1) where a variance is 0: see `faces`."""
    L = term.levels
    return _by_spreads(L, _powers(np.ones(L * (L - 1) // 2), L), np.array([-1 / max(L - 1, 1)]), _one_rho(L), False)


@structure("HAR", title="heteroscedastic first-order autoregression", parameters="one variance per level, one rho")
def hetero_autoregressive(term: Term) -> Chart:
    """Return G_ab = s_a s_b rho^|a - b|."""
    L = term.levels
    steps = np.array([float(b - a) for a, b in _pairs(L)[L:]])
    return _by_spreads(L, _powers(steps, L), np.array([-1.0]), _one_rho(L), False)


def _one_rho(L: int) -> tuple[tuple[str, tuple[int, ...]], ...]:
    """Name variances per level and one correlation."""
    return (*(("variance", (a,)) for a in range(L)), ("correlation", ()))


def _powers(steps: Floats, L: int) -> Correlations:
    """Return correlations rho^step of pairs of levels."""

    def correlations(rho: Floats) -> tuple[Floats, Floats, Floats]:
        R = rho.shape[0]
        value, slope, bend = autoregressive(steps[None], rho)
        ones, zeros = np.ones((R, L)), np.zeros((R, L))
        c1, c2 = np.concatenate([zeros, slope], axis=1), np.concatenate([zeros, bend], axis=1)
        return np.concatenate([ones, value], axis=1), c1[..., None], c2[..., None, None]

    return correlations


def _columns(term: Term) -> int:
    """Count the columns of random slopes."""
    if term.Z is None:
        raise ValueError(f"structure {term.structure} needs the columns Z")
    return term.Z.shape[1]


# ---------------------------------------------------------------- correlations as curves of distance


def autoregressive(d: Floats, rho: Floats) -> tuple[Floats, Floats, Floats]:
    """Return rho^d with its derivatives in rho; d = 0 gives 1."""
    with np.errstate(divide="ignore", invalid="ignore"):
        value = np.where(d == 0, 1.0, rho**d)
        slope = np.where(d == 0, 0.0, d * rho ** (d - 1))
        bend = np.where((d == 0) | (d == 1), 0.0, d * (d - 1) * rho ** (d - 2))
    return value, slope, bend


def _of_log(
    curve: Callable[[Floats], tuple[Floats, Floats, Floats]],
) -> Callable[[Floats, Floats], tuple[Floats, Floats, Floats]]:
    """Return f(d / exp(x)) with derivatives in x, for f with derivatives in z = d / rho: -z f', z f' + z^2 f''."""

    def correlations(d: Floats, x: Floats) -> tuple[Floats, Floats, Floats]:
        z = d * np.exp(-x)
        value, slope, bend = curve(z)
        return value, -z * slope, z * slope + z * z * bend

    return correlations


def _exponential(z: Floats) -> tuple[Floats, Floats, Floats]:
    e = np.exp(-z)
    return e, -e, e


def _gaussian(z: Floats) -> tuple[Floats, Floats, Floats]:
    e = np.exp(-z * z)
    return e, -2 * z * e, (4 * z * z - 2) * e


def _linear(z: Floats) -> tuple[Floats, Floats, Floats]:
    near = z < 1
    return np.where(near, 1 - z, 0.0), np.where(near, -1.0, 0.0), np.zeros_like(z)


def _rational(z: Floats) -> tuple[Floats, Floats, Floats]:
    w = 1 / (1 + z * z)
    return w, -2 * z * w * w, (6 * z * z - 2) * w**3


def _spherical(z: Floats) -> tuple[Floats, Floats, Floats]:
    near = z < 1
    value = 1 - 1.5 * z + 0.5 * z**3
    return np.where(near, value, 0.0), np.where(near, 1.5 * (z * z - 1), 0.0), np.where(near, 3 * z, 0.0)


CURVES: dict[str, Callable[[Floats, Floats], tuple[Floats, Floats, Floats]]] = {
    "AR": autoregressive,
    "CAR": autoregressive,
    "SPEXP": _of_log(_exponential),
    "SPGAU": _of_log(_gaussian),
    "SPLIN": _of_log(_linear),
    "SPRAT": _of_log(_rational),
    "SPSPH": _of_log(_spherical),
}


@structure("AR", title="first-order autoregression", parameters="one variance, correlation of neighbouring levels")
def by_order(term: Term) -> Chart:
    """Return tau2 rho^|a - b| for inner levels a and b."""
    return _by_power(-1.0)


@structure("CAR", title="continuous-time autoregression", parameters="one variance, correlation over one unit of time")
def by_time(term: Term) -> Chart:
    """Return tau2 rho^|t - s| for times t and s."""
    return _by_power(1e-10)


def _by_power(low: float) -> Chart:
    """Return the chart (tau2, rho)."""
    kinds = (("variance", ()), ("correlation", ()))
    return Chart(unchanged, unchanged, lambda theta: theta, np.array([0.0, low]), np.array([np.inf, 1.0]), kinds, None)


@structure("SPEXP", title="exponential decay", parameters="one variance, range of the correlation")
def exponential_decay(term: Term) -> Chart:
    """Return tau2 exp(-d / rho)."""
    return _by_range(term)


@structure("SPGAU", title="Gaussian decay", parameters="one variance, range of the correlation")
def gaussian_decay(term: Term) -> Chart:
    """Return tau2 exp(-d^2 / rho^2)."""
    return _by_range(term)


@structure("SPLIN", title="linear decay", parameters="one variance, range of the correlation")
def linear_decay(term: Term) -> Chart:
    """Return tau2 (1 - d / rho) for d < rho."""
    return _by_range(term)


@structure("SPRAT", title="rational quadratic decay", parameters="one variance, range of the correlation")
def rational_decay(term: Term) -> Chart:
    """Return tau2 [1 - (d / rho)^2 / (1 + (d / rho)^2)]."""
    return _by_range(term)


@structure("SPSPH", title="spherical decay", parameters="one variance, range of the correlation")
def spherical_decay(term: Term) -> Chart:
    """Return tau2 [1 - 3/2 d / rho + 1/2 (d / rho)^3] for d < rho."""
    return _by_range(term)


def _by_range(term: Term) -> Chart:
    """Return the chart (tau2, log rho)."""
    shortest, longest = reach(term)

    def natural(x: Floats) -> Mapped:
        R = x.shape[0]
        values, first = x.copy(), np.broadcast_to(np.eye(2), (R, 2, 2)).copy()
        values[:, 1] = first[:, 1, 1] = np.exp(x[:, 1])
        return values, first, np.zeros((R, 2, 2, 2))

    least = shortest / NEAREST

    def search(theta: Floats) -> Floats:
        return np.array([theta[0], np.log(max(theta[1], least))])  # a range of 0 is that of no correlation

    lower = np.array([0.0, np.log(least)])
    upper = np.array([np.inf, np.log(longest * FURTHEST)])
    return Chart(unchanged, natural, search, lower, upper, (("variance", ()), ("range", ())), None)


def reach(term: Term) -> tuple[float, float]:
    """Return a short and the longest distance between positions of a term, by the size of its coordinates.

    >>> reach(Term("SPEXP", np.zeros(3, dtype=int), position=np.array([[0.0], [1.0], [4.0]])))
    (1.0, 4.0)
    """
    if term.position is None:
        raise ValueError(f"structure {term.structure} needs positions")
    position = np.unique(term.position, axis=0)
    longest = float(np.sqrt((np.ptp(position, axis=0) ** 2).sum())) or 1.0
    gaps = [np.diff(np.unique(column)) for column in position.T]
    shortest = min((float(gap.min()) for gap in gaps if gap.size), default=longest)
    return max(shortest, longest * 1e-6), longest
