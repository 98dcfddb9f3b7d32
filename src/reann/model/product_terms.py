"""Evaluation of the products of `reann.model.products` for any kind of numbers or symbols.

Generators of kernels evaluate the table with symbols.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import reduce
from itertools import combinations_with_replacement, product
from operator import mul
from typing import Any

from reann.model.products import Contraction, five

Entries = Mapping[tuple[int, ...], Any]
"""Values by their Cartesian indices."""
Total = Callable[[Iterable[Any]], Any]
"""Adds values."""


def contract(contraction: Contraction, values: Mapping[str, Entries], total: Total) -> Entries:
    """Return a contraction of tensors by name."""
    inputs, result = contraction.indices.split("->")
    letters = sorted(set(inputs) - {","})
    terms = defaultdict(list)
    for numbers in product(range(3), repeat=len(letters)):
        at = dict(zip(letters, numbers, strict=True))
        factors = [
            values[name][tuple(at[i] for i in indices)]
            for name, indices in zip(contraction.factors, inputs.split(","), strict=True)
        ]
        terms[tuple(at[i] for i in result)].append(reduce(mul, factors))
    return {i: total(parts) * (1 / contraction.divisor) for i, parts in terms.items()}


def weighted(
    products: Sequence[Contraction],
    weights: Sequence[Any],
    values: Mapping[str, Entries],
    total: Total,
) -> list[Any]:
    """Return the components of the weighted sum of products of one rank.

    Products of the same vectors and tensors differ in scalars, which are summed first.
    """
    factors, tensors = defaultdict(list), {}
    result = ""
    for p, weight in zip(products, weights, strict=True):
        inputs, result = p.indices.split("->")
        pairs = list(zip(p.factors, inputs.split(","), strict=True))
        names, indices = zip(*(pair for pair in pairs if pair[1]), strict=True)
        scalars = [values[name][()] for name, index in pairs if not index]
        form = Contraction(names, f"{','.join(indices)}->{result}")
        tensors[names] = contract(form, values, total)
        factors[names].append(reduce(mul, [*scalars, weight]))
    scales = {names: total(factors[names]) for names in tensors}

    def component(i: tuple[int, ...]) -> Any:
        """Return one of the symmetric part."""
        pairs = {names: total([tensor[i], tensor[i[::-1]]]) for names, tensor in tensors.items()}
        return total(scales[names] * pair * 0.5 for names, pair in pairs.items())

    numbers = {i: component(i) for i in combinations_with_replacement(range(3), len(result))}
    if len(result) == 1:
        return list(numbers.values())
    return five(numbers | {i[::-1]: value for i, value in numbers.items()})
