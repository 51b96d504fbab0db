"""Batches: shares, homogeneity, coverage, determinism, resumption, devices."""

from collections import Counter
from itertools import islice

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from hybridir_mteb.errors import DataFormatError, SettingError
from hybridir_mteb.training.pairs import Columns, Draw, Example, PairDataset, Source, TrainingItem
from hybridir_mteb.training.patterns import XX, Bilingual, Cross, Hybrid, Mixed, Mono, pattern
from hybridir_mteb.training.samplers import PairBatchSampler

PATTERNS = [Mono(), XX(), Cross(), Bilingual(), Mixed(), Hybrid()]


def items(n: int, languages: str = "en de fr", prefix: str = "i") -> tuple[TrainingItem, ...]:
    return tuple(
        TrainingItem(
            f"{prefix}{at}",
            {c: Example(f"q {prefix}{at} {c}", f"p {prefix}{at} {c}") for c in languages.split()},
        )
        for at in range(n)
    )


def dataset(*sources: tuple[TrainingItem, ...]) -> PairDataset:
    return PairDataset.build([Source(f"s{at}", found) for at, found in enumerate(sources)])


def languages_of(data: PairDataset, draw: Draw) -> tuple[str, str]:
    return data[draw.query]["language"], data[draw.passage]["language"]


def item_of(data: PairDataset, draw: Draw) -> int:
    query, passage = data[draw.query]["item"], data[draw.passage]["item"]
    assert query == passage
    return int(query)


@pytest.mark.parametrize("kind", PATTERNS, ids=lambda kind: kind.name)
def test_batches_have_the_languages_that_their_kind_promises(kind):
    data = dataset(items(64))
    for shape, batch in PairBatchSampler(data, 8, pattern=kind).batches():
        pairs = [languages_of(data, draw) for draw in batch]
        if shape.kind == "mono":
            assert len(set(pairs)) == 1
            assert pairs[0][0] == pairs[0][1]
        elif shape.kind == "bilingual":
            assert len(set(pairs)) == 1
            assert pairs[0][0] != pairs[0][1]
        elif shape.kind == "cross":
            assert all(query != passage for query, passage in pairs)
            assert len(set(pairs)) > 1
        elif shape.kind == "xx":
            assert all(query == passage for query, passage in pairs)
        else:
            assert shape.kind == "mixed"


def test_mixed_cross_and_xx_mix_languages_within_a_batch():
    data = dataset(items(64))
    mixed = next(iter(PairBatchSampler(data, 32, pattern=Mixed())))
    pairs = Counter(languages_of(data, draw) for draw in mixed)
    assert len(pairs) >= 7  # of the nine; 32 draws miss three of them with probability 0.003
    cross = next(iter(PairBatchSampler(data, 32, pattern=Cross())))
    assert len({languages_of(data, draw) for draw in cross}) >= 5  # of the six
    xx = next(iter(PairBatchSampler(data, 32, pattern=XX())))
    assert len({languages_of(data, draw) for draw in xx}) == 3


@given(
    n=st.integers(10, 60),
    batch=st.integers(2, 5),
    world=st.integers(1, 2),
    seed=st.integers(0, 5),
    kind=st.sampled_from(PATTERNS),
)
def test_an_epoch_covers_parallel_data_once(n, batch, world, seed, kind):
    data = dataset(items(n))
    sampler = PairBatchSampler(data, batch, seed=seed, pattern=kind, world_size=world)
    drawn = [item_of(data, draw) for step in sampler for draw in step]
    assert len(list(sampler)) == len(sampler) == n // (batch * world) * world
    assert len(set(drawn)) == len(drawn) == n // (batch * world) * batch * world


@given(seed=st.integers(0, 20), skip=st.integers(0, 6), kind=st.sampled_from(PATTERNS))
def test_the_same_seed_and_epoch_give_the_same_batches_wherever_one_starts(seed, skip, kind):
    data = dataset(items(40))
    first = PairBatchSampler(data, 5, seed=seed, pattern=kind)
    again = PairBatchSampler(data, 5, seed=seed, pattern=kind)
    first.set_epoch(3)
    list(islice(again, 2))  # what was drawn before an epoch does not matter
    again.set_epoch(3)
    assert list(first)[skip:] == list(islice(again, skip, None))
    again.set_epoch(4)
    assert list(first) != list(again)


def test_shares_of_kinds_and_languages():
    data = dataset(items(800))
    kinds: Counter[str] = Counter()
    pairs: Counter[tuple[int, ...]] = Counter()
    crossed: Counter[tuple[str, str]] = Counter()
    sampler = PairBatchSampler(data, 2, pattern=Hybrid(alpha=0.3))
    for epoch in range(5):
        sampler.set_epoch(epoch)
        for shape, batch in sampler.batches():
            kinds[shape.kind] += 1
            pairs[shape.required] += 1
            crossed.update(languages_of(data, draw) for draw in batch if shape.kind == "cross")
    total = sum(kinds.values())
    # Four standard deviations of a binomial.
    assert abs(kinds["mono"] / total - 0.3) < 4 * np.sqrt(0.3 * 0.7 / total)
    mono = [pairs[at,] for at in range(3)]
    assert max(mono) - min(mono) < 4 * np.sqrt(2 * kinds["mono"] / 3)
    assert len(crossed) == 6  # ordered pairs of three languages, each as often as the others
    mean = crossed.total() / 6
    assert max(abs(count - mean) for count in crossed.values()) < 4 * np.sqrt(mean)


def share_of_german(pattern: Mono | Bilingual | Mixed, temperature: float = 1.0) -> float:
    """Share of queries in the language that a tenth of the items has."""
    data = dataset(items(900, "en fr") + items(100, "de fr", prefix="d"))
    sampler = PairBatchSampler(data, 2, pattern=pattern, temperature=temperature)
    spoken: Counter[str] = Counter()
    for epoch in range(4):
        sampler.set_epoch(epoch)
        for batch in sampler:
            spoken.update(languages_of(data, draw)[0] for draw in batch)
    return spoken["de"] / (spoken["de"] + spoken["en"])


@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_the_language_of_a_mono_batch_is_uniform(temperature):
    assert abs(share_of_german(Mono(), temperature) - 0.5) < 0.05


@pytest.mark.parametrize("kind", [Bilingual(), Mixed()], ids=lambda kind: kind.name)
def test_languages_in_proportion_to_size_and_flatter_with_temperature(kind):
    assert abs(share_of_german(kind) - 0.1) < 0.03
    assert share_of_german(kind, 1e9) > 0.12


def test_a_cross_batch_holds_no_item_of_a_single_language():
    data = dataset(items(8, "en de") + items(40, "en", "e"))
    for batch in PairBatchSampler(data, 8, pattern=Cross()):
        assert {item_of(data, draw) for draw in batch} == set(range(8))


def test_sources_are_never_mixed_and_have_their_shares():
    data = dataset(items(60), items(30, prefix="j"))
    seen: Counter[int] = Counter()
    for batch in PairBatchSampler(data, 5, pattern=Hybrid()):
        (source,) = {int(data.items.source[item_of(data, draw)]) for draw in batch}
        seen[source] += 1
    assert seen == {0: 12, 1: 6}


def test_partly_parallel_data_fill_every_batch_with_items_that_have_the_languages():
    data = dataset(items(30, "en de") + items(30, "en fr", "f") + items(10, "en", "e"))
    for kind in PATTERNS:
        for batch in PairBatchSampler(data, 4, pattern=kind):
            assert len({item_of(data, draw) for draw in batch}) == 4  # rows are never -1
            assert min(min(draw.query, draw.passage) for draw in batch) >= 0


def test_no_two_items_with_one_passage_share_a_step_on_any_device():
    same = tuple(
        TrainingItem(f"t{at}", {"en": Example(f"question {at}", f"Passage: {at % 20}!")})
        for at in range(80)
    )
    data = dataset(same)
    sampler = PairBatchSampler(data, 4, pattern=Mono(), world_size=2)
    batches = list(sampler)
    for start in range(0, len(batches), 2):
        passages = [
            data[d.passage]["passage"] for batch in batches[start : start + 2] for d in batch
        ]
        assert len(set(passages)) == 8


def test_a_language_of_many_questions_on_few_passages_is_not_drawn():
    few = tuple(
        TrainingItem(f"d{at}", {"de": Example(f"Frage {at}", f"Text {at % 3}")}) for at in range(40)
    )
    data = dataset(items(40, "en") + few)
    sampler = PairBatchSampler(data, 4, pattern=Mono())
    english = data.items.languages.index("en")
    assert {shape.required for shape, _ in sampler.batches()} == {(english,)}
    with pytest.raises(DataFormatError, match="no language has 4 items with different passages"):
        list(PairBatchSampler(dataset(few), 4, pattern=Mono()))


def test_devices_take_the_same_kind_and_languages_at_each_step():
    data = dataset(items(96))
    shapes = [s for s, _ in PairBatchSampler(data, 4, pattern=Hybrid(), world_size=3).batches()]
    assert len(shapes) == 24
    for start in range(0, len(shapes), 3):
        assert len({(s.kind, s.required) for s in shapes[start : start + 3]}) == 1


def test_impossible_batches_say_what_is_missing():
    with pytest.raises(DataFormatError, match="add data, or use smaller batches"):
        PairBatchSampler(dataset(items(3)), 4)
    with pytest.raises(DataFormatError, match="no pair of languages"):
        list(PairBatchSampler(dataset(items(20, "en")), 4, pattern=Bilingual()))
    with pytest.raises(DataFormatError, match="only 0 items in 2 languages or more, with diff"):
        list(PairBatchSampler(dataset(items(20, "en")), 4, pattern=Cross()))
    with pytest.raises(SettingError, match="alpha"):
        Hybrid(alpha=1.5)
    with pytest.raises(SettingError, match="hybrid mixes two of the others"):
        pattern("hybrid", mixes=("mono", "hybrid"))
    with pytest.raises(SettingError, match="positive"):
        PairBatchSampler(dataset(items(9)), 3, temperature=0)


def test_a_pair_carries_what_the_method_asked_for():
    examples = {"en": Example("Q en", "P en", ("n1", "n2")), "de": Example("Q de", "P de", ("n3",))}
    data = PairDataset.build(
        [Source("s", (TrainingItem("i", examples),))],
        Columns(True, "en", lambda text, code, _: f"{code}:{text}", translated=True),
    )
    german, english = 0, 1
    pair = data[Draw(german, english, 7)]
    assert pair == {
        "query": "de:Q de",
        "passage": "en:P en",
        "negative_1": "n1",  # one negative: as many as every example has
        "text": "P en",  # row 7 % 2
        "other_query": "Q en",
        "pivot_query": "Q en",
        "pivot_passage": "P en",
        "label": [0, 1, 1, 1],
    }
    order = ["text", "other_query", "pivot_query", "pivot_passage", "label"]  # as the loss has it
    assert list(pair)[3:] == order


def test_the_other_query_is_in_each_other_language_equally_often():
    sources = [Source("s", items(300, "de en fr tr") + items(20, "en", "e"))]
    data = PairDataset.build(sources, Columns(translated=True))
    seen: Counter[tuple[int, int]] = Counter()
    sampler = PairBatchSampler(data, 8, pattern=Hybrid())
    for epoch in range(8):
        sampler.set_epoch(epoch)
        for batch in sampler:
            for pair in data.__getitems__(batch):
                query, _, other = pair["label"]
                _, item, _ = pair["query"].split()
                assert pair["other_query"] == f"q {item} {data.items.languages[other]}"
                assert (other == query) == item.startswith("e")  # where it has no other
                seen[query, other] += other != query
    for query in range(4):
        drawn = [seen[query, other] for other in range(4) if other != query]
        assert chisquare(drawn).pvalue > 0.001  # one seed, so it is the same in every run
        assert min(drawn) > 100
