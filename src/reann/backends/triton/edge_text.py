"""Parts of the text of kernels over the neighbors of atoms.

A program computes one atom. It reads the neighbors in tiles of edges times channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from reann.backends.triton.derivatives import adjoints, tangents
from reann.backends.triton.edge_function import EdgeFunction
from reann.backends.triton.geometry import AXES
from reann.backends.triton.statements import Statements
from reann.backends.triton.symbols import Value, total

LIST = ("positions", "first", "neighbor", "shift", "cell", "system", "order", "rank", "element")
"""Arguments of all kernels: the neighbor list."""
TILE = 128
"""Numbers of a tile, edges times channels: one for each thread. With two, the derivatives by
positions of 32 channels with l <= 3 do not fit into the registers of a GPU."""
LEAST_EDGES, MOST_EDGES = 4, 32
THREADS_OF_WARP = 32


class Shape(NamedTuple):
    """What the text of a kernel depends on besides the function of an edge.

    Attributes
    ----------
    pairs
        Names of numbers of pairs of elements, in the order of their tables.
    far
        Length in Å that empty places of a tile get, beyond the cutoff.
    """

    channels: int
    real: str
    n_elements: int
    pairs: tuple[str, ...]
    far: float

    @property
    def width(self) -> int:
        """Channels of a tile, a power of two."""
        return 1 << (self.channels - 1).bit_length()

    @property
    def edges(self) -> int:
        """Edges of a tile."""
        return max(min(TILE // self.width, MOST_EDGES), LEAST_EDGES)

    @property
    def warps(self) -> int:
        """Groups of threads of a program: a thread for each number of a tile, within limits."""
        return min(max(self.edges * self.width // THREADS_OF_WARP, 4), 8)


class Row:
    """The text of a kernel for one function of an edge."""

    def __init__(self, function: EdgeFunction, shape: Shape) -> None:
        self.function, self.shape = function, shape

    # --- parts of the text ---

    def start(self, row: str) -> list[str]:
        """Return the statements that are the same for all neighbors of an atom."""
        return [
            f"row = {row}",
            "atom = tl.load(order + row).to(tl.int64)",
            "begin = tl.load(first + atom)",
            "end = tl.load(first + atom + 1)",
            *(f"p{x} = tl.load(positions + 3 * atom + {a})" for a, x in enumerate(AXES)),
            "box = cell + 9 * tl.load(system + atom).to(tl.int64)",
            *(f"c{i} = tl.load(box + {i})" for i in range(9)),
            "z_i = tl.load(element + row).to(tl.int64)",
        ]

    def lanes(self) -> list[str]:
        """Return the numbers of edges and channels of a tile."""
        return [
            "n = n_atoms.to(tl.int64)",
            f"lane = tl.arange(0, {self.shape.edges})[:, None]",
            f"k = tl.arange(0, {self.shape.width})[None, :]",
            f"in_row = k < {self.shape.channels}",
        ]

    def edge(self) -> list[str]:
        """Return neighbor and vector of the edges of a tile."""
        moved = [f"s{i} * c{3 * i + a}" for a in range(3) for i in range(3)]
        lines = [
            "e = e0 + lane",
            "here = e < end",
            "j = tl.load(neighbor + e, mask=here, other=atom).to(tl.int64)",
            "rj = tl.load(rank + j).to(tl.int64)",
            "z_j = tl.load(element + rj).to(tl.int64)",
            *(
                f"s{i} = tl.load(shift + 3 * e + {i}, mask=here, other=0).to(tl.float64)"
                for i in range(3)
            ),
        ]
        for a, x in enumerate(AXES):
            cells = " + ".join(moved[3 * a : 3 * a + 3])
            lines += [f"{x} = tl.load(positions + 3 * j + {a}) - p{x} + {cells}"]
            lines += [f"{x} = tl.where(here, {x}, {self.shape.far if a == 0 else 0.0})"]
        table = self.shape.n_elements**2
        for i, name in enumerate(self.shape.pairs):
            place = f"{i * table} + z_i * {self.shape.n_elements} + z_j"
            lines += [f"{name} = tl.load(pairs + {place})"]
        return lines

    def moved(self, prefix: str, *, turned: bool) -> list[str]:
        """Return how the vector of an edge changes: u = v_j - v_i + r . w_j."""
        center, neighbor, sign = ("j", "atom", "-") if turned else ("atom", "j", "")
        lines = []
        for b, x in enumerate(AXES):
            strain = " + ".join(
                f"{sign}{y} * tl.load(strains + 9 * {neighbor} + {3 * a + b})"
                for a, y in enumerate(AXES)
            )
            velocity = [f"tl.load(moves + 3 * {i} + {b})" for i in (neighbor, center)]
            lines.append(f"{prefix}d{x} = {' - '.join(velocity)} + {strain}")
        return lines

    def carried(self, prefix: str) -> list[str]:
        """Return how the vector of an edge changes where the neighbor moves alone."""
        return [f"{prefix}d{x} = tl.load(moves + 3 * j + {b})" for b, x in enumerate(AXES)]

    def loaded(self, pointer: str, component: int | str, row: str) -> str:
        """Return the numbers of one row of an atom."""
        place = f"{pointer} + ({component} * n + {row}) * {self.shape.channels} + k"
        return f"tl.load({place}{self.mask}, other=0.0)" if self.mask else f"tl.load({place})"

    @property
    def mask(self) -> str:
        """The argument that leaves out what is not a channel."""
        return "" if self.shape.width == self.shape.channels else ", mask=in_row"

    def statements(self, prefix: str, *, center: str, neighbor: str, turned: bool) -> Statements:
        """Return statements of values of an edge.

        Parameters
        ----------
        center, neighbor
            Names of the rows of both atoms.
        turned
            Whether the edge is the one in the other direction.
        """

        def load(name: str) -> str:
            kind, _, number = name.rpartition("_")
            if kind in ("h", "dh"):
                number_of_row = self.state_row(int(number), turned=turned)
                return self.loaded({"h": "states", "dh": "rates"}[kind], number_of_row, neighbor)
            if kind == "bar":
                return self.loaded("bars", int(number), center)
            if name in ("dx", "dy", "dz"):
                return f"{prefix}{name}"
            return f"-{name}" if turned and name in AXES else name

        def weight(path: int, n: int) -> str:
            row = path * len(self.function.bases[0]) + n
            place = f"weights + {row * self.shape.channels} + k"
            return f"tl.load({place}{self.mask}{', other=0.0' if self.mask else ''})"

        formulas, bases = self.function.formulas, self.function.bases
        return Statements(formulas, prefix, load, weight=weight, bases=bases)

    def state_row(self, state: int, *, turned: bool) -> int | str:
        """Return the row of a state of the neighbor, which may depend on the center."""
        rows = self.rows_of(state)
        return rows[0] if len(rows) == 1 else f"({rows[0]} + {element_of_center(turned)})"

    def rows_of(self, state: int) -> range:
        """Return the rows of a state."""
        return self.function.rows_of(state, self.shape.n_elements)

    # --- derivatives of the function ---

    def results(self, *, moving: bool) -> list[Value | None]:
        """Return the results, or their rates as edges and states of neighbors move."""
        function, formulas = self.function, self.function.formulas
        if not moving:
            return list(function.results)
        directions = {}
        for x in AXES:
            axis = formulas.input(x, channels=False, double=True)
            directions[axis.number] = formulas.input(f"d{x}", channels=False, double=True)
        for i in function.moving:
            directions[function.states[i].number] = formulas.input(f"dh_{i}")
        return tangents(function.results, directions)

    def adjoints(self, *, moving: bool) -> dict[int, Value]:
        """Return derivatives of the sum of results, or of rates, times `bars`."""
        return adjoints(self._weighted(moving=moving))

    def power(self) -> Value:
        """Return the sum of rates times `bars`, in double precision."""
        products = total(rate * bar for rate, bar in self._weighted(moving=True))
        return products.channel_sum().to_double(True)

    def _weighted(self, *, moving: bool) -> list[tuple[Value, Value]]:
        results = enumerate(self.results(moving=moving))
        bars = self.function.formulas.input
        return [(result, bars(f"bar_{i}")) for i, result in results if result is not None]

    # --- contributions of neighbors to derivatives by the states of an atom ---

    def zero_states(self) -> list[str]:
        """Return the accumulators."""
        return zeros([f"b{i}" for i in self.all_rows], f"{self.shape.edges}, {self.shape.width}")

    @property
    def all_rows(self) -> range:
        """The rows of all states."""
        n = len(self.function.states)
        return range(self.rows_of(n - 1).stop if n else 0)

    def added_to_states(self, code: Statements, derivatives: dict[int, Value]) -> list[str]:
        """Return the statements that add the derivatives."""
        lines, z = [], element_of_center(turned=True)
        for state, value in enumerate(self.function.states):
            if value.number not in derivatives:
                continue
            rows, name = self.rows_of(state), code.name(derivatives[value.number])
            if len(rows) == 1:
                lines.append(f"b{rows[0]} += {name}")
                continue
            lines += [f"b{i} += tl.where({z} == {a}, {name}, 0.0)" for a, i in enumerate(rows)]
        return lines

    def stored_states(self) -> list[str]:
        """Return the statements that write them."""
        lines = []
        for i in self.all_rows:
            place = f"of_states + ({i} * n + row) * {self.shape.channels} + k"
            lines.append(f"tl.store({place}, tl.sum(b{i}, axis=0)[None, :]{self.mask})")
        return lines


def element_of_center(turned: bool) -> str:
    """Return the name of the element of the center of an edge, or of the opposite edge."""
    return "z_j" if turned else "z_i"


def indented(lines: Sequence[str], times: int = 1) -> list[str]:
    """Return lines with additional indentation."""
    return [f"{times * '    '}{line}" for line in lines]


def zeros(names: Sequence[str], shape: str, real: str = "REAL") -> list[str]:
    """Return accumulators that start at zero."""
    return [f"{name} = tl.zeros([{shape}], dtype={real})" for name in names]


def arguments(row: Row, *names: str) -> list[str]:
    """Return the arguments of a kernel."""
    tables = ["pairs"] if row.shape.pairs else []
    weights = ["weights"] if row.function.bases else []
    states = ["states"] if row.function.states else []
    return [*LIST, *tables, *weights, *states, *names, "n_atoms"]


MOVING = ("moves", "strains", "rates")
"""Arguments of the kernels of rates: of positions, strains and states."""
