"""How a server scales over its rates: demand, concurrency, the Universal Scalability Law, a knee.

They explain a limit and never take its place. X(N) = γN / (1 + α(N-1) + βN(N-1)) is the law of
N. J. Gunther ("Guerrilla Capacity Planning", Springer 2007): α is contention, β coherency. An open
loop has no N; by Little's law it is the rate times the mean response time.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

LEAST = 6
"""Points below which nothing is fitted."""

FAR = 2.0
"""How many times the largest N that was measured a peak may lie away and still be said."""

ROUNDS = 200
DAMPING = 1e-3
"""Of the fit (Levenberg and Marquardt)."""

STUDENT = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160,
    2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086,
)  # fmt: skip
"""Student's t at 97.5 %, by degrees of freedom from 1 on; beyond, the normal's 1.96."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What a request costs and what follows: CPU seconds, CPUs, the rate (1/s) that would use up
    all of them if nothing else came before (utilisation law, U = X D)."""

    demand: float
    cpus: float

    @property
    def ceiling(self) -> float:
        """The rate at which the CPUs are used up."""
        return self.cpus / self.demand


def cost(busy: float, cpus: float, rate: float) -> Cost | None:
    """Of `busy` percent of `cpus` at `rate` answers per second; None where nothing ran."""
    demand = busy / 100 * cpus / rate if rate > 0 else 0.0
    return Cost(demand, cpus) if demand > 0 else None


def concurrency(rate: float, response: float) -> float:
    """Requests in the server at `rate` (1/s) that take `response` seconds on average (Little)."""
    return rate * response


@dataclass(frozen=True, slots=True)
class Usl:
    """A fit: the parameters, their standard errors, the residual one (1/s), the largest N in it."""

    alpha: float
    beta: float
    gamma: float
    errors: tuple[float, float, float]
    residual: float
    freedom: int
    largest: float

    def rate(self, n: float) -> float:
        """X(N), 1/s."""
        return self.gamma * n / (1 + self.alpha * (n - 1) + self.beta * n * (n - 1))

    @property
    def peak(self) -> tuple[float, float] | None:
        """(N, X) of the peak; None where there is none (β = 0)."""
        if self.beta <= 0:
            return None
        n = math.sqrt((1 - self.alpha) / self.beta)
        return n, self.rate(n)

    @property
    def told_peak(self) -> tuple[float, float] | None:
        """The peak if the points tell of it: not far beyond them, and β above 0 for certain."""
        peak = self.peak
        if peak is None or peak[0] > FAR * self.largest:
            return None
        return peak if self.beta - self.half_widths[1] > 0 else None

    @property
    def half_widths(self) -> tuple[float, float, float]:
        """Half the 95 % intervals of α, β, γ."""
        t = STUDENT[self.freedom - 1] if self.freedom <= len(STUDENT) else 1.96
        alpha, beta, gamma = self.errors
        return t * alpha, t * beta, t * gamma


def fit_usl(points: Sequence[tuple[float, float]]) -> Usl | None:
    """Least squares over (N, X) with 0 ≤ α, β ≤ 1 and γ > 0; None for fewer than `LEAST` points."""
    points = [(n, x) for n, x in points if n > 0 and x > 0]
    if len(points) < LEAST:
        return None
    found = [0.01, 1e-4, max(x / n for n, x in points)]
    damping, worst = DAMPING, _squares(points, found)
    for _ in range(ROUNDS):
        step = _step(points, found, damping)
        tried = _bounded([value + change for value, change in zip(found, step, strict=True)])
        squares = _squares(points, tried)
        if squares >= worst:
            damping *= 10
            if damping > 1e12:
                break
            continue
        done = worst - squares < 1e-12 * worst
        found, worst, damping = tried, squares, damping / 10
        if done:
            break
    freedom = len(points) - 3
    variance = worst / freedom
    matrix, _ = _normal(points, found)
    errors = [math.sqrt(max(variance * _solve(matrix, _unit(i))[i], 0.0)) for i in range(3)]
    alpha, beta, gamma = found
    largest = max(n for n, _ in points)
    return Usl(alpha, beta, gamma, (errors[0], errors[1], errors[2]), math.sqrt(variance), freedom,
               largest)  # fmt: skip


def knee(points: Sequence[tuple[float, float]], sensitivity: float = 1.0) -> float | None:
    """The x after which a rising curve that bends down rises little; None where it does not bend.

    Kneedle (V. Satopää et al., "Finding a 'Kneedle' in a Haystack", ICDCSW 2011) over (x, y).
    """
    points = sorted(points)
    if len(points) < 3:
        return None
    xs, ys = _normalised([x for x, _ in points]), _normalised([y for _, y in points])
    if xs is None or ys is None:
        return None
    apart = [y - x for x, y in zip(xs, ys, strict=True)]
    drop = sensitivity / (len(xs) - 1)  # the mean step of x, which is normalised to 1 in all
    for at in range(1, len(apart) - 1):
        if not apart[at - 1] < apart[at] >= apart[at + 1]:
            continue
        for later in apart[at + 1 :]:
            if later > apart[at]:
                break
            if later < apart[at] - drop:
                return points[at][0]
    return None


def _normalised(values: Sequence[float]) -> list[float] | None:
    low, high = min(values), max(values)
    return None if high <= low else [(value - low) / (high - low) for value in values]


def _bounded(values: Sequence[float]) -> list[float]:
    alpha, beta, gamma = values
    return [min(max(alpha, 0.0), 1.0), min(max(beta, 0.0), 1.0), max(gamma, 1e-12)]


def _squares(points: Sequence[tuple[float, float]], values: Sequence[float]) -> float:
    alpha, beta, gamma = values
    return sum((x - gamma * n / (1 + alpha * (n - 1) + beta * n * (n - 1))) ** 2 for n, x in points)


Matrix = list[list[float]]


def _normal(
    points: Sequence[tuple[float, float]], values: Sequence[float]
) -> tuple[Matrix, list[float]]:
    """JᵀJ and Jᵀr of the residuals r = x − X(n)."""
    alpha, beta, gamma = values
    matrix, right = [[0.0] * 3 for _ in range(3)], [0.0] * 3
    for n, x in points:
        below = 1 + alpha * (n - 1) + beta * n * (n - 1)
        model = gamma * n / below
        slopes = (-model * (n - 1) / below, -model * n * (n - 1) / below, n / below)
        for i in range(3):
            right[i] += slopes[i] * (x - model)
            for j in range(3):
                matrix[i][j] += slopes[i] * slopes[j]
    return matrix, right


def _step(
    points: Sequence[tuple[float, float]], values: Sequence[float], damping: float
) -> list[float]:
    matrix, right = _normal(points, values)
    for i in range(3):
        matrix[i][i] *= 1 + damping
        if values[i] <= 0 and right[i] < 0:  # it would leave its bounds: the others move alone
            matrix[i] = [float(i == j) for j in range(3)]
            for j in range(3):
                matrix[j][i] = float(i == j)
            right[i] = 0.0
    return _solve(matrix, right)


def _unit(place: int) -> list[float]:
    return [float(i == place) for i in range(3)]


def _solve(matrix: Matrix, right: Sequence[float]) -> list[float]:
    """The solution of three linear equations (Cramer); zeros where there is none."""
    scale = [math.sqrt(matrix[i][i]) or 1.0 for i in range(3)]
    scaled = [[matrix[i][j] / scale[i] / scale[j] for j in range(3)] for i in range(3)]
    whole = _determinant(scaled)
    if not whole:
        return [0.0] * 3
    found = []
    for place in range(3):
        part = [
            [right[i] / scale[i] if j == place else scaled[i][j] for j in range(3)]
            for i in range(3)
        ]
        found.append(_determinant(part) / whole / scale[place])
    return found


def _determinant(m: Matrix) -> float:
    return (
        m[0][0] * (m[1][1] * m[2][2] - m[1][2] * m[2][1])
        - m[0][1] * (m[1][0] * m[2][2] - m[1][2] * m[2][0])
        + m[0][2] * (m[1][0] * m[2][1] - m[1][1] * m[2][0])
    )
