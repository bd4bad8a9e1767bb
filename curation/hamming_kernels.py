"""The compiled part of `curation.hamming`. Numba compiles it on first use and keeps the result on disk."""

from collections.abc import Callable
from typing import Any, Final, TypeVar, cast

import numba
import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba.core import cgutils, types
from numba.core.typing.templates import Signature
from numba.extending import intrinsic

Hashes = npt.NDArray[np.uint64]
Numbers = npt.NDArray[np.int64]
Places = npt.NDArray[np.int32]
Buckets = tuple[Hashes, Places, Places]
F = TypeVar("F", bound=Callable[..., Any])
Code = tuple[Signature, Callable[..., Any]]

_LANES: Final = 8  # hashes compared by one instruction, where the processor has 512-bit vectors


class Scan:
    """Compares the buckets of one part, and can pause between chunks.

    Args:
        hashes: (n,).
        against: (m,), or None to compare `hashes` with themselves.
        parts: (parts, 3): shift, width and tolerance of each.
        number: which of them.
        masks: what the keys of compared buckets may differ by.
        radius: bits.
    """

    def __init__(
        self, hashes: Hashes, against: Hashes | None, parts: Numbers, number: int, masks: Numbers, radius: int
    ) -> None:
        shift, width = parts[number, :2]
        self._left: Buckets = _buckets(hashes, shift, width)
        self._right: Buckets = self._left if against is None else _buckets(against, shift, width)
        self._how = (against is None, masks, parts, number, radius)
        self._cursor = np.zeros(3, np.int64)  # bucket, mask, row of the bucket
        self._largest = int(np.diff(self._right[2]).max())

    @property
    def finished(self) -> bool:
        """Whether every bucket was compared."""
        return bool(self._cursor[0] == len(self._left[2]) - 1)

    def next(self, size: int) -> tuple[Numbers, Numbers, npt.NDArray[np.uint8]]:
        """The next pairs (index, other index, distance): at most `size`, or as many as one hash may have."""
        size = max(size, self._largest)
        i, j, bits = np.empty(size, np.int64), np.empty(size, np.int64), np.empty(size, np.uint8)
        found = _compare(self._left, self._right, *self._how, self._cursor, i, j, bits)
        return i[:found], j[:found], bits[:found]


def _compiled(function: F) -> F:
    return cast(F, numba.njit(cache=True, nogil=True)(function))


@intrinsic  # type: ignore[untyped-decorator]
def _popcount(_context: Any, value: Any) -> Code:
    """Number of set bits."""

    def generate(_context: Any, builder: ir.IRBuilder, _signature: Signature, arguments: Any) -> ir.Instruction:
        return builder.ctpop(arguments[0])

    return types.uint64(value), generate


@intrinsic  # type: ignore[untyped-decorator]
def _near(_context: Any, hashes: Any, at: Any, value: Any, limit: Any) -> Code:
    """Bit k of the answer tells whether `hashes[at + k]` is within `limit` bits of `value`, for `_LANES` k.

    Written in vectors, since the compiler does not find them in a loop over a dozen hashes.
    """

    def generate(context: Any, builder: ir.IRBuilder, _signature: Signature, arguments: Any) -> ir.Instruction:
        lanes = ir.VectorType(ir.IntType(64), _LANES)
        array = cgutils.create_struct_proxy(hashes)(context, builder, arguments[0])
        address = builder.bitcast(builder.gep(array.data, [arguments[1]]), lanes.as_pointer())
        values, limits = (_everywhere(builder, lanes, argument) for argument in arguments[2:])
        kind = ir.FunctionType(lanes, [lanes])
        count = cgutils.get_or_insert_function(builder.module, kind, f"llvm.ctpop.v{_LANES}i64")
        bits = builder.call(count, [builder.xor(builder.load(address, align=8), values)])
        near = builder.bitcast(builder.icmp_unsigned("<=", bits, limits), ir.IntType(_LANES))
        return builder.zext(near, ir.IntType(64))

    return types.int64(hashes, at, value, limit), generate


def _everywhere(builder: ir.IRBuilder, lanes: ir.VectorType, value: Any) -> ir.Instruction:
    """The value in every lane of a vector."""
    number = ir.IntType(32)
    first = builder.insert_element(ir.Constant(lanes, ir.Undefined), value, ir.Constant(number, 0))
    return builder.shuffle_vector(first, first, ir.Constant(ir.VectorType(number, _LANES), [0] * _LANES))


@_compiled
def _buckets(hashes: Hashes, shift: int, width: int) -> Buckets:
    """Counting sort by the key of one part: hashes, their indices, where each bucket starts and the last one ends."""
    shifted, mask = np.uint64(shift), np.uint64((1 << width) - 1)
    starts = np.zeros((1 << width) + 1, np.int32)
    for value in hashes:
        starts[np.int64((value >> shifted) & mask) + 1] += 1
    starts = np.cumsum(starts).astype(np.int32)
    place = starts[:-1].copy()
    values = np.zeros(len(hashes) + _LANES, np.uint64)  # `_near` reads beyond the last one
    order = np.empty(len(hashes), np.int32)
    for index in range(len(hashes)):
        key = np.int64((hashes[index] >> shifted) & mask)
        values[place[key]] = hashes[index]
        order[place[key]] = index
        place[key] += 1
    return values, order, starts


@_compiled
def _compare(
    left: Buckets,
    right: Buckets,
    same: bool,
    masks: Numbers,
    parts: Numbers,
    number: int,
    radius: int,
    cursor: Numbers,
    out_i: Numbers,
    out_j: Numbers,
    out_bits: npt.NDArray[np.uint8],
) -> int:
    """Compare buckets from the cursor (bucket, mask, row) on until the output may be full; return the pairs found."""
    a, a_order, a_starts = left
    b, b_order, b_starts = right
    found = 0
    key, probe, row = cursor[0], cursor[1], cursor[2]
    while key < len(a_starts) - 1:
        first, end = np.int64(a_starts[key]), np.int64(a_starts[key + 1])
        while first < end and probe < len(masks):
            other = key ^ masks[probe]
            low, high = np.int64(b_starts[other]), np.int64(b_starts[other + 1])
            while low < high and first + row < end and not (same and other < key):
                value = a[first + row]
                start = first + row + 1 if same and other == key else low
                if found + high - start > len(out_i):
                    cursor[0], cursor[1], cursor[2] = key, probe, row
                    return found
                for block in range(start, high, _LANES):
                    near = _near(b, block, value, np.uint64(radius))
                    at = block
                    while near:
                        if near & 1 and at < high and not _seen(value ^ b[at], parts, number):
                            out_i[found] = a_order[first + row]
                            out_j[found] = b_order[at]
                            out_bits[found] = _popcount(value ^ b[at])
                            found += 1
                        near >>= 1
                        at += 1
                row += 1
            row = 0
            probe += 1
        probe = 0
        key += 1
    cursor[0] = key
    return found


@_compiled
def _seen(difference: np.uint64, parts: Numbers, number: int) -> bool:
    """Whether an earlier part has already found two hashes that differ so."""
    for part in range(number):
        key = (difference >> np.uint64(parts[part, 0])) & np.uint64((1 << parts[part, 1]) - 1)
        if _popcount(key) <= np.uint64(parts[part, 2]):
            return True
    return False
