"""Batch samplers for ``SentenceTransformerTrainingArguments(batch_sampler=...)``.

>>> from hybridir_mteb.training.samplers import batch_sampler
>>> from hybridir_mteb.training.patterns import Hybrid
>>> make = batch_sampler(Hybrid(alpha=0.5))  # give this to the training arguments
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from sentence_transformers.base.sampler import DefaultBatchSampler

from hybridir_mteb.errors import DataFormatError, SettingError
from hybridir_mteb.ranking.arrays import IntArray
from hybridir_mteb.training.pairs import Draw, ItemTable, PairDataset
from hybridir_mteb.training.patterns import LanguageCounts, Mono, Pattern, Shape

SALT_BITS = 62


class PairBatchSampler(DefaultBatchSampler):
    """Batches of :class:`Draw` from a :class:`PairDataset`.

    The same seed and epoch give the same batches, whatever was drawn before, so a run that is
    resumed within an epoch goes on with the exact next batch. Within a batch, and within the
    batches that several devices take at the same step, no item occurs twice, nor do two items
    with the same passage; these batches share kind and languages, so that negatives gathered from
    other devices are of the same kind as a device's own. An epoch is as many batches as the items
    fill once; items that were used least come first.

    Args:
        dataset: The data.
        batch_size: Pairs of one device.
        seed: Any integer.
        pattern: Kind of batch; by default monolingual.
        temperature: How languages and sources are weighted, see :class:`LanguageCounts`.
        world_size: Number of devices; by default that of ``torch.distributed``.
        **host: What sentence-transformers gives besides, such as ``drop_last``; not used: batches
            are always full, and only seed and epoch count.

    Raises:
        SettingError: ``temperature`` or ``batch_size`` is not positive.
        DataFormatError: No source can fill a batch.
    """

    def __init__(
        self,
        dataset: PairDataset,
        batch_size: int,
        *,
        seed: int = 0,
        pattern: Pattern | None = None,
        temperature: float = 1.0,
        world_size: int | None = None,
        **host: Any,
    ) -> None:
        super().__init__(dataset, batch_size, seed=seed, **{"drop_last": True, **host})
        if temperature <= 0 or batch_size < 1:
            raise SettingError(f"temperature {temperature} and batch size {batch_size}: positive")
        self.dataset = dataset
        self.pattern: Pattern = Mono() if pattern is None else pattern
        self.temperature = temperature
        self.world_size = world_size or _world_size()
        # accelerate looks here for set_epoch when devices share the batches.
        self.sampler: Any = self
        self._sizes = np.bincount(dataset.items.source, minlength=len(dataset.items.sources))
        if not len(self):
            raise DataFormatError(
                f"no source of the training data has the {self.group} items that a batch on all "
                f"devices needs (sizes: {self._sizes.tolist()}): add data, or use smaller batches"
            )

    @property
    def group(self) -> int:
        """Items that the devices use together in one step."""
        return int(self.batch_size * self.world_size)

    def __len__(self) -> int:
        return int((self._sizes // self.group).sum()) * self.world_size

    def __iter__(self) -> Iterator[list[Any]]:
        for _, batch in self.batches():
            yield batch

    def batches(self) -> Iterator[tuple[Shape, list[Draw]]]:
        """The batches of this epoch with the shape that each was drawn from."""
        rng = np.random.default_rng([self.seed, self.epoch])
        pools = [
            _Pool(self.dataset.items, source, self.group, self.temperature, rng)
            for source in range(len(self._sizes))
        ]
        for source in self._schedule(rng):
            pool = pools[source]
            shape = self.pattern.shape(rng, pool.counts)
            items = pool.take(shape)
            for start in range(0, self.group, self.batch_size):
                batch = items[start : start + self.batch_size]
                yield shape, [pool.draw(shape, item) for item in batch]

    def _schedule(self, rng: np.random.Generator) -> list[int]:
        """The source of each step: exact shares in random order."""
        steps = len(self) // self.world_size
        weights = np.where(self._sizes >= self.group, self._sizes, 0) ** (1 / self.temperature)
        weights[self._sizes < self.group] = 0.0
        ideal = weights / weights.sum() * steps
        counts = np.floor(ideal).astype(int)
        for source in np.argsort(counts - ideal, kind="stable")[: steps - counts.sum()]:
            counts[source] += 1
        order: list[int] = rng.permutation(np.repeat(np.arange(len(counts)), counts)).tolist()
        return order


class _Pool:
    """The items of one source and how often each was used in this epoch."""

    def __init__(
        self,
        table: ItemTable,
        source: int,
        group: int,
        temperature: float,
        rng: np.random.Generator,
    ) -> None:
        self._ids: IntArray = np.flatnonzero(table.source == source)
        self._rows = table.rows[self._ids]
        self._has = self._rows >= 0
        self._keys = table.keys
        self._name = table.sources[source]
        self._group = group
        self._rng = rng
        # Uses so far, plus a random fraction that orders items used equally often.
        self._priority = rng.random(len(self._ids))
        self._eligible: dict[tuple[int, tuple[int, ...]], IntArray] = {}
        has = self._has.astype(np.int64)
        distinct = _count_distinct(self._has, [table.keys[item] for item in self._ids])
        self.counts = LanguageCounts(has.T @ has, group, temperature, distinct)

    def take(self, shape: Shape) -> list[int]:
        """Positions of items for one step, those used least first, no two with one passage."""
        wanted = shape.languages, shape.required
        if wanted not in self._eligible:
            fits = self._has[:, list(shape.required)].all(axis=1)
            fits &= self._has.sum(axis=1) >= shape.languages
            self._eligible[wanted] = np.flatnonzero(fits)
        eligible = self._eligible[wanted]
        chosen = self._distinct(self._first(eligible, 4 * self._group))
        if len(chosen) < self._group:
            chosen = self._distinct(self._first(eligible, len(eligible)))
        if len(chosen) < self._group:
            several = f"in {shape.languages} languages or more, " if shape.languages > 1 else ""
            raise DataFormatError(
                f"{self._name}: only {len(chosen)} items {several}with different passages fit a "
                f"{shape.kind} batch, {self._group} are needed: add data, or use smaller batches"
            )
        self._priority[chosen] = np.floor(self._priority[chosen]) + 1
        self._priority[chosen] += self._rng.random(len(chosen))
        return chosen

    def _first(self, eligible: IntArray, count: int) -> IntArray:
        priority = self._priority[eligible]
        if count < len(eligible):
            nearest = np.argpartition(priority, count)[:count]
            eligible, priority = eligible[nearest], priority[nearest]
        return eligible[np.argsort(priority, kind="stable")]

    def _distinct(self, ordered: IntArray) -> list[int]:
        seen: set[int] = set()
        chosen: list[int] = []
        for at in ordered.tolist():
            keys = self._keys[self._ids[at]]
            if seen.isdisjoint(keys):
                seen |= keys
                chosen.append(at)
                if len(chosen) == self._group:
                    break
        return chosen

    def draw(self, shape: Shape, item: int) -> Draw:
        """The rows of one item, in languages that the shape draws."""
        query, passage = shape.draw(self._rng, self._has[item])
        rows = self._rows[item]
        return Draw(int(rows[query]), int(rows[passage]), int(self._rng.integers(1 << SALT_BITS)))


def _count_distinct(has: npt.NDArray[np.bool_], keys: Sequence[frozenset[int]]) -> IntArray | None:
    """Items in each two languages, those with a common passage once; None where none have one."""
    group_of: dict[int, int] = {}
    groups = np.arange(len(keys))
    for item, mine in enumerate(keys):
        known = [group_of[key] for key in mine if key in group_of]
        groups[item] = min(known, default=item)
        for key in mine:
            group_of.setdefault(key, int(groups[item]))
    if np.array_equal(groups, np.arange(len(keys))):
        return None
    languages = range(has.shape[1])
    return np.array(
        [[len(np.unique(groups[has[:, a] & has[:, b]])) for b in languages] for a in languages]
    )


def _world_size() -> int:
    distributed = torch.distributed
    if distributed.is_available() and distributed.is_initialized():
        return int(distributed.get_world_size())
    return 1


def batch_sampler(pattern: Pattern, *, temperature: float = 1.0) -> Callable[..., Any]:
    """A factory for the training arguments' ``batch_sampler``."""
    return partial(PairBatchSampler, pattern=pattern, temperature=temperature)
