"""Losses: each term does on a toy problem what its paper says."""

import copy
import math
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from toys.training import write_tiny_decoder, write_tiny_xlmr

from hybridir_mteb.encoders.backbones import BACKBONES
from hybridir_mteb.encoders.load import load_backbone
from hybridir_mteb.encoders.network import add_lora, efficient, freeze_in_bf16, set_dropout
from hybridir_mteb.encoders.token_budget import Precision
from hybridir_mteb.measures.probe import language_probe_accuracy
from hybridir_mteb.plugins.specs import MethodContext
from hybridir_mteb.training.by_length import embed_by_length
from hybridir_mteb.training.losses.adversarial import (
    AdversaryOptions,
    LanguageAdversary,
    ramp,
    reverse_gradient,
)
from hybridir_mteb.training.losses.consistency import Consistency, jensen_shannon
from hybridir_mteb.training.losses.contrastive import (
    BatchLayout,
    CachedContrastiveLoss,
    ContrastiveLoss,
)
from hybridir_mteb.training.losses.distillation import Distillation
from hybridir_mteb.training.losses.erasure import Erasure, cross_covariance
from hybridir_mteb.training.losses.terms import EmbeddedBatch, LossTerm, log_scores
from hybridir_mteb.training.methods import METHODS
from hybridir_mteb.training.teacher import Teacher

DIMENSION, N_LANGUAGES, N_ITEMS, STEPS, BATCH = 16, 3, 150, 600, 32
PLAIN, CACHED = ContrastiveLoss, partial(CachedContrastiveLoss, mini_batch_size=2)


def loaded(name: str, weights: Path) -> SentenceTransformer:
    (backbone,) = [backbone for backbone in BACKBONES if backbone.name == name]
    return load_backbone(backbone, weights=str(weights))


def disturb(model: SentenceTransformer) -> None:
    """Change what is trained."""
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(0.1 * torch.randn_like(parameter))


def toy_texts(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """(languages, items, 2 d) queries and passages: meaning in one half, language in the other."""
    generator = torch.Generator().manual_seed(seed)
    of_languages = torch.Generator().manual_seed(99)
    meaning = torch.randn(N_ITEMS, DIMENSION, generator=generator)
    marks = torch.randn(N_LANGUAGES, DIMENSION, generator=of_languages)
    noise = 0.3 * torch.randn(2, N_LANGUAGES, N_ITEMS, 2 * DIMENSION, generator=generator)
    inputs = torch.stack([torch.cat([meaning, mark.expand(N_ITEMS, -1)], dim=1) for mark in marks])
    return inputs + noise[0], inputs + noise[1]


def train_toy(terms: list[LossTerm]) -> tuple[float, float]:
    """Probe accuracy and monolingual recall@1 of a linear encoder on texts that it has not seen.

    Languages are mixed within a batch (X-X): there, knowing the language helps against negatives,
    so that InfoNCE alone keeps it.
    """
    torch.manual_seed(0)
    queries, passages = toy_texts(0)
    encoder = nn.Linear(2 * DIMENSION, DIMENSION, bias=False)
    optimizer = torch.optim.Adam(encoder.parameters(), lr=3e-3)
    rng = np.random.default_rng(0)
    for step in range(STEPS):
        rows = torch.from_numpy(rng.permutation(N_ITEMS)[:BATCH])
        labels = torch.from_numpy(rng.integers(N_LANGUAGES, size=BATCH))
        q, p = (F.normalize(encoder(x[labels, rows]), dim=1) for x in (queries, passages))
        loss = F.cross_entropy(q @ p.T / 0.1, torch.arange(BATCH))
        batch = EmbeddedBatch(q, p, labels, labels, progress=step / STEPS)
        for term in terms:
            loss = loss + term(batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        q, p = (F.normalize(encoder(x), dim=2) for x in toy_texts(1))
    hits = ((q @ p.transpose(1, 2)).argmax(dim=2) == torch.arange(N_ITEMS)).float().mean()
    languages = [str(code) for code in range(N_LANGUAGES) for _ in range(N_ITEMS)]
    items = [str(item) for _ in range(N_LANGUAGES) for item in range(N_ITEMS)]
    flat = p.reshape(-1, DIMENSION).numpy()
    return language_probe_accuracy(flat, languages, items), float(hits)


@pytest.mark.slow
@pytest.mark.parametrize(
    "term",
    [
        LanguageAdversary(
            DIMENSION,
            N_LANGUAGES,
            AdversaryOptions(hidden=32, steps=5, queue_batches=4, learning_rate=5e-3),
        ),
        Erasure(N_LANGUAGES, weight=1.0),
    ],
    ids=["adversarial", "erasure"],
)
def test_a_fresh_probe_reads_the_language_far_less_well_while_retrieval_holds(term):
    plain_probe, plain_hits = train_toy([])
    probe, hits = train_toy([term])
    assert plain_probe > 0.95
    assert probe < 0.65  # chance is 0.33
    assert hits > plain_hits - 0.05


def test_gradient_reversal_is_the_identity_forward_and_minus_strength_backward():
    x = torch.tensor([1.0, -2.0], requires_grad=True)
    y = reverse_gradient(x, 0.3)
    assert torch.equal(y, x)
    y.sum().backward()
    assert torch.allclose(x.grad, torch.tensor([-0.3, -0.3]))
    assert ramp(0.0) == 0.0
    assert ramp(0.5) == pytest.approx(0.98661, abs=1e-5)  # 2 / (1 + e^-5) - 1


def batch_of(n: int, seed: int = 0, progress: float = 0.5, **kwargs: object) -> EmbeddedBatch:
    generator = torch.Generator().manual_seed(seed)
    q, p = (F.normalize(torch.randn(n, DIMENSION, generator=generator), dim=1) for _ in "qp")
    labels = torch.arange(n) % N_LANGUAGES
    return EmbeddedBatch(q, p, labels, labels, progress=progress, **kwargs)


@pytest.mark.parametrize(
    "make",
    [
        lambda: LanguageAdversary(DIMENSION, N_LANGUAGES, AdversaryOptions(hidden=8), seed=1),
        lambda: Erasure(N_LANGUAGES, queue_batches=3),
    ],
    ids=["adversarial", "erasure"],
)
def test_a_restored_term_goes_on_exactly(make):
    one = make()
    for seed in range(5):
        one(batch_of(6, seed))
    other = make()
    other.load_state_dict({k: v.clone() for k, v in one.state_dict().items()})
    for seed in range(5, 8):
        assert torch.equal(one(batch_of(6, seed)), other(batch_of(6, seed)))


def test_the_discriminator_does_not_learn_from_held_out_batches():
    term = LanguageAdversary(DIMENSION, N_LANGUAGES, AdversaryOptions(hidden=8))
    before = {k: v.clone() for k, v in term.state_dict().items()}
    term(batch_of(6, training=False))
    after = term.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[key], after[key]) for key in before)


def test_cross_covariance_by_hand():
    embeddings = torch.tensor([[1.0], [1.0], [-1.0], [-1.0]])
    languages = torch.tensor([0, 0, 1, 1])
    # Mean 0; E[x * onehot_0] = 0.5, E[x] * E[onehot_0] = 0.
    assert cross_covariance(embeddings, languages, 2).tolist() == [[0.5, -0.5]]
    balanced = torch.tensor([0, 1, 0, 1])
    assert cross_covariance(embeddings, balanced, 2).abs().max() == 0


def test_distillation_is_zero_at_the_teacher_and_grows_away_from_it():
    batch = batch_of(5)
    same = replace(batch, teacher_queries=batch.queries, teacher_passages=batch.passages)
    assert float(Distillation()(same)) == pytest.approx(0.0, abs=1e-6)
    other = batch_of(5, seed=1)
    away = replace(same, queries=other.queries, passages=other.passages)
    # By the formula: KL(teacher || student), averaged over queries.
    teacher = F.softmax(batch.queries @ batch.passages.T / 0.05, dim=1)
    student = F.softmax(other.queries @ other.passages.T / 0.05, dim=1)
    expected = float((teacher * (teacher / student).log()).sum(dim=1).mean())
    assert float(Distillation()(away)) == pytest.approx(expected, rel=1e-4)
    assert float(Distillation(weight=3)(away)) == pytest.approx(3 * expected, rel=1e-4)
    with pytest.raises(ValueError, match="teacher"):
        Distillation()(batch)
    gaps = [
        (one - two).square().sum(dim=1).mean()
        for one, two in ((other.queries, batch.queries), (other.passages, batch.passages))
    ]
    aligned = Distillation(weight=0, alignment=5)
    assert float(aligned(away)) == pytest.approx(5 * float(sum(gaps)) / 2, rel=1e-4)
    assert float(aligned(same)) == pytest.approx(0.0, abs=1e-6)


def test_the_divergence_of_two_distributions_by_hand():
    rows = [[0.75, 0.25], [0.5, 0.5], [0.2, 0.8]]
    one, other = torch.tensor(rows).log(), torch.tensor([[0.25, 0.75], *rows[1:]]).log()
    # Their mean is (1/2, 1/2): 3/4 ln(3/2) + 1/4 ln(1/2) on either side.
    expected = [0.75 * math.log(1.5) - 0.25 * math.log(2), 0.0, 0.0]
    assert jensen_shannon(one, other).tolist() == pytest.approx(expected, abs=1e-6)
    assert torch.equal(jensen_shannon(one, other), jensen_shannon(other, one))
    apart = torch.tensor([[0.0, -1e4]])  # logarithms of (1, 0), as a softmax gives them
    assert float(jensen_shannon(apart, apart.flip(1))) == pytest.approx(math.log(2))


def test_consistency_by_hand():
    """Two passages at right angles: a query asked as the one has scores of 3/4 and 1/4."""
    axes, own = torch.eye(2, DIMENSION), torch.tensor([0, 0])
    batch = EmbeddedBatch(
        axes,
        axes,
        own,
        own,
        other_queries=torch.stack([axes[1], axes[0]]).requires_grad_(),
        other_language=torch.tensor([1, 0]),  # the second has no other language: it counts as 0
        progress=0.05,
    )
    term = Consistency(1 / math.log(3), weight=8.0, warm_up=0.1)  # half of it is reached
    divergence = 0.75 * math.log(1.5) - 0.25 * math.log(2)
    value = term(batch)
    assert float(value.detach()) == pytest.approx(8.0 * 0.5 * divergence / 2, rel=1e-5)
    assert term.metrics["query_divergence"] == pytest.approx(divergence / 2, rel=1e-5)
    value.backward()
    assert batch.other_queries is not None
    gradient = batch.other_queries.grad
    assert gradient is not None
    assert gradient[0].abs().max() > 0.01
    assert gradient[1].abs().max() == 0
    same = replace(batch, other_queries=axes)
    assert float(term(same)) == pytest.approx(0.0, abs=1e-6)
    sharp = Consistency(0.01, weight=1.0, warm_up=0.0)
    assert float(sharp(batch).detach()) == pytest.approx(math.log(2) / 2, rel=1e-5)
    with pytest.raises(ValueError, match="translated=True"):
        term(batch_of(4))


@pytest.mark.parametrize(("given", "taken"), [(0.0, 0.07), (0.2, 0.2)])
def test_consistency_takes_the_temperature_of_infonce_unless_told_another(given, taken):
    (method,) = [method for method in METHODS if method.name == "consistency"]
    options = {**method.options, "temperature": given, "weight": 2.0}
    assert method.terms is not None
    (term,) = method.terms(MethodContext(options, ("de", "en"), DIMENSION, 0, temperature=0.07))
    assert isinstance(term, Consistency)
    assert (term.temperature, term.weight, term.warm_up) == (taken, 2.0, 0.1)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory, pocket_weights: None) -> SentenceTransformer:
    return loaded("xlmr", write_tiny_xlmr(tmp_path_factory.mktemp("xlmr"))).eval()  # no dropout


def columns(model: SentenceTransformer) -> list[dict[str, torch.Tensor]]:
    texts = (
        ["one two", "three", "four five", "six"],
        ["uno dos", "tres", "cuatro", "seis siete"],
        ["neg a", "neg b", "neg c", "neg d"],
        ["free a", "free b", "free c", "free d"],
        ["ein zwei", "drei", "vier", "sechs"],
        ["pivot", "query", "of", "each"],
        ["pivot", "passage", "of", "each"],
    )
    return [model.preprocess(list(column)) for column in texts]


def gradients(model: SentenceTransformer, loss: torch.Tensor) -> torch.Tensor:
    model.zero_grad()
    loss.backward()
    return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])


def test_without_terms_it_is_sentence_transformers_own_loss(tiny):
    labels = torch.zeros(4, 2, dtype=torch.long)
    ours = ContrastiveLoss(tiny, temperature=0.05)(columns(tiny)[:3], labels)
    theirs = MultipleNegativesRankingLoss(tiny, scale=20.0)(columns(tiny)[:3], labels)
    assert float(ours) == pytest.approx(float(theirs), rel=1e-6)


def test_the_cached_loss_has_the_gradients_of_the_plain_one(tiny):
    labels = torch.tensor([[0, 1, 2, 1], [1, 1, 0, 2], [2, 0, 1, 0], [0, 0, 0, 0]])
    found = []
    layout = BatchLayout(unlabelled=True, pivot=True, translated=True)
    for kind in (PLAIN, CACHED):
        adversary = LanguageAdversary(16, 3, AdversaryOptions(hidden=8))
        terms = [adversary, Erasure(3), Distillation(), Consistency(0.05)]
        loss = kind(tiny, temperature=0.05, layout=layout, terms=terms, teacher=Teacher(tiny))
        loss.progress = 0.5
        value = loss(columns(tiny), labels)
        found.append((float(value), gradients(tiny, value), dict(loss.metrics)))
    (plain, plain_gradient, plain_logs), (cached, cached_gradient, cached_logs) = found
    assert cached == pytest.approx(plain, rel=1e-5)
    assert torch.allclose(cached_gradient, plain_gradient, atol=1e-5)
    assert plain_logs.keys() == cached_logs.keys()
    named = {"adversarial", "erasure", "distillation", "consistency"}
    assert named | {"infonce", "query_divergence"} <= plain_logs.keys()


def test_gradients_flow_through_the_query_in_another_language_cached_or_not(tiny):
    labels = torch.tensor([[0, 1, 2], [1, 1, 0], [2, 0, 1], [0, 0, 0]])
    chosen = [columns(tiny)[at] for at in (0, 1, 4)]
    query, passage, other = (tiny(dict(c))["sentence_embedding"] for c in chosen)
    scores = log_scores(query, passage, 0.05)
    divergence = jensen_shannon(scores, log_scores(other, passage, 0.05))[:3].sum() / 4
    (share,) = torch.autograd.grad(divergence, other, retain_graph=True)
    assert (share.abs().amax(dim=1) > 1e-4).tolist() == [True, True, True, False]
    expected = gradients(tiny, 4 * divergence - scores.diagonal().mean())
    for kind in (PLAIN, CACHED):
        terms, layout = [Consistency(0.05, weight=4.0, warm_up=0.0)], BatchLayout(translated=True)
        loss = kind(tiny, temperature=0.05, layout=layout, terms=terms)
        found = gradients(tiny, loss([dict(c) for c in chosen], labels))
        assert torch.allclose(found, expected, atol=1e-5)


def test_the_cached_loss_keeps_the_digits_under_autocast(tiny):
    labels = torch.zeros(4, 2, dtype=torch.long)
    values = []
    for kind in (PLAIN, partial(CACHED, mini_batch_size=4)):
        loss = kind(tiny, temperature=0.01)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            values.append(float(loss(columns(tiny)[:2], labels)))
    assert values[1] == pytest.approx(values[0], rel=1e-4)


@pytest.mark.slow
def test_the_teacher_stays_the_backbone_with_and_without_lora(tmp_path, tiny):
    features = columns(tiny)[0]
    expected = tiny(dict(features))["sentence_embedding"].detach()
    for lora in (False, True):
        model = copy.deepcopy(tiny)
        if lora:
            add_lora(model, rank=2, alpha=4, dropout=0.0)
        teacher = Teacher(model)
        disturb(model)
        changed = model(dict(features))["sentence_embedding"].detach()
        assert not torch.allclose(changed, expected, atol=1e-3)
        assert torch.allclose(teacher(features), expected, atol=1e-6)


@pytest.mark.parametrize("side", ["right", "left"])
def test_chunks_by_length_give_the_same_embeddings_and_gradients(tiny, side):
    texts = [" ".join(["word"] * n) for n in (9, 1, 5, 2, 7, 3, 1, 8, 4, 6, 2)]
    tiny.tokenizer.padding_side = side
    try:
        features = tiny.preprocess(texts)
    finally:
        tiny.tokenizer.padding_side = "right"
    widths = []

    def counted(chunk: dict[str, Any]) -> dict[str, Any]:
        widths.append(chunk["input_ids"].shape[1])
        assert chunk["attention_mask"].any(dim=0).all()
        return tiny(chunk)

    found = []
    for rows in (3, len(texts)):
        embeddings = embed_by_length(counted, dict(features), rows)
        found.append((embeddings.detach(), gradients(tiny, (embeddings**3).sum())))
    assert torch.allclose(found[0][0], found[1][0], atol=1e-6)
    assert torch.allclose(found[0][1], found[1][1], atol=1e-5)
    whole = widths.pop()
    assert widths == sorted(widths, reverse=True)
    assert widths[0] == whole > widths[-1]


@pytest.mark.slow
def test_dropout_is_changed_in_every_layer_and_in_attention(tmp_path):
    decoder = loaded("llama3.1-8b", write_tiny_decoder(tmp_path / "llama", "llama"))
    for model in (decoder, loaded("xlmr", write_tiny_xlmr(tmp_path / "xlmr"))):
        model.train()
        batch = model.preprocess(["one two three", "four"])

        def twice(model: SentenceTransformer = model, batch: Any = batch) -> bool:
            one, two = (model(dict(batch))["sentence_embedding"] for _ in range(2))
            return bool(torch.equal(one, two))

        set_dropout(model, 0.5)
        assert not twice()
        set_dropout(model, 0.0)
        assert twice()


def test_what_makes_a_step_cheaper_does_not_change_it(tmp_path):
    model = loaded("xlmr", write_tiny_xlmr(tmp_path)).train()
    set_dropout(model, 0.0)
    torch.manual_seed(0)
    add_lora(model, rank=2, alpha=4, dropout=0.0)
    disturb(model)

    def step() -> tuple[torch.Tensor, torch.Tensor]:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            embeddings = model(columns(model)[0])["sentence_embedding"]
        return embeddings.detach(), gradients(model, embeddings.float().pow(3).sum())

    with sdpa_kernel(SDPBackend.MATH):
        plain, plain_gradient = step()
    freeze_in_bf16(model)
    frozen = [p for p in model.parameters() if p.dtype is torch.bfloat16]
    assert frozen
    assert not any(p.requires_grad for p in frozen)
    with efficient(model, Precision.BF16):
        cheap, cheap_gradient = step()
    assert torch.equal(cheap, plain)
    assert torch.allclose(cheap_gradient, plain_gradient, rtol=1e-2, atol=1e-4)
