"""What the plugin relies on inside mteb: fails by name when mteb changes it."""

import inspect
import sys
from importlib.metadata import version
from typing import Any

import mteb
import pytest

from hybridir_mteb.adapters.mteb.metadata import STATISTICS_DIR
from hybridir_mteb.adapters.mteb.register import check_task, register
from hybridir_mteb.collections.hub import HubDataset
from hybridir_mteb.debias.detect import iso_639
from hybridir_mteb.errors import PluginError

TESTED = "2.26"
TASKS = [task for _, task in register().tasks.items()]


def of_hub(task: Any) -> bool:
    return any(isinstance(file, HubDataset) for file in task.spec.files)


def why() -> str:
    return f"mteb {version('mteb')} differs from the tested {TESTED}"


def test_the_registries_are_where_the_adapter_writes():
    from mteb.models.model_implementations import MODEL_REGISTRY

    module: Any = sys.modules["mteb.get_tasks"]
    assert isinstance(MODEL_REGISTRY, dict), why()
    assert isinstance(module._TASKS_REGISTRY, dict), why()
    assert isinstance(module.TASK_LIST, tuple), why()
    assert isinstance(module._SIMILAR_TASKS, dict), why()
    assert callable(module._create_similar_tasks), why()


def test_the_benchmark_lookups_are_caches_over_the_module():
    import mteb.benchmarks.benchmarks  # noqa: F401

    lookup: Any = sys.modules["mteb.benchmarks.get_benchmark"]
    assert hasattr(lookup._build_registry, "cache_clear"), why()
    assert hasattr(lookup._build_aliases_registry, "cache_clear"), why()


def test_the_methods_that_tasks_override_and_call_are_there():
    from mteb._create_dataloaders import create_dataloader
    from mteb.abstasks.retrieval import AbsTaskRetrieval

    expected = {"model", "data_split", "encode_kwargs", "hf_split", "hf_subset", "timer"}
    found = inspect.signature(AbsTaskRetrieval._evaluate_subset).parameters
    assert expected <= set(found), why()
    assert callable(AbsTaskRetrieval._save_task_predictions), why()
    assert callable(AbsTaskRetrieval._calculate_descriptive_statistics_from_split), why()
    assert {"task_metadata", "prompt_type", "batch_size"} <= set(
        inspect.signature(create_dataloader).parameters
    ), why()


def test_the_package_has_mtebs_own_table_of_languages():
    from mteb.languages.iso_mappings import _get_iso1_to_iso3

    assert iso_639() == _get_iso1_to_iso3(), why()


def test_mteb_finds_models_tasks_and_benchmark():
    assert mteb.get_model_meta("hybridir/pocket-base").embed_dim == 384
    assert mteb.get_task("XQuADRMultilingualRetrieval").metadata.main_score == "map"
    assert len(mteb.get_benchmark("HybridIR").tasks) == 6
    names = {task.metadata.name for task in mteb.get_tasks(languages=["ell"])}
    assert "XQuADRMonolingualRetrieval" in names


def test_names_end_in_retrieval_and_none_is_mtebs_own():
    ours = {task.metadata.name for task in TASKS}
    assert len(ours) == 20 + 36
    for name in ours:
        assert name.endswith("Retrieval")
        assert mteb.get_task(name).__class__.__module__.startswith("hybridir_mteb")
    assert not ours & {"XQuADRetrieval", "MLQARetrieval", "MIRACLRetrieval"}


@pytest.mark.parametrize(
    ("name", "subsets"),
    [
        ("XQuADRMonolingualRetrieval", 11),
        ("XQuADRCrossLingualRetrieval", 110),
        ("XQuADRMultilingualRetrieval", 11),
        ("MLQARMonolingualRetrieval", 7),
        ("MLQARCrossLingualRetrieval", 42),
        ("MLQARMultilingualRetrieval", 7),
        ("MIRACLMonolingualRetrieval", 18),
        ("MIRACLMultilingualRetrieval", 18),
    ],
)
def test_each_setting_has_one_subset_for_each_score(name, subsets):
    assert len(mteb.get_task(name).metadata.hf_subsets) == subsets


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.metadata.name)
def test_metadata_passes_mtebs_own_checks(task):
    metadata = task.metadata
    metadata._validate_metadata()
    assert metadata.is_filled()
    assert " " not in metadata.intext_citation()
    assert metadata.prompt is None
    if of_hub(task):  # statistics would need the real passages
        assert metadata.descriptive_stats is None
        return
    assert metadata.descriptive_stats is not None
    statistics = metadata.descriptive_stats[metadata.eval_splits[0]]
    assert set(statistics["hf_subset_descriptive_stats"]) == set(metadata.hf_subsets)
    assert metadata.n_samples[metadata.eval_splits[0]] == statistics["num_samples"] > 0


def test_the_package_has_statistics_of_its_own_tasks_alone():
    """MTEB writes what a user calculates into the package; nothing of that is committed."""
    files = {path.stem for path in STATISTICS_DIR.glob("*.json")}
    assert files == {t.metadata.name for t in TASKS if not of_hub(t)}


@pytest.mark.slow
def test_descriptive_statistics_are_those_of_the_data(data_dir):
    """The committed file equals what mteb computes now."""
    for name, expected in [
        ("PocketQARMultilingualRetrieval", {"num_queries": 48, "num_documents": 1584}),
        ("XQuADRMultilingualRetrieval", {"num_queries": 1190, "num_documents": 13014}),
        ("MLQARMultilingualRetrieval", {"num_queries": 512, "num_documents": 20534}),
    ]:
        task = mteb.get_task(name)
        split = task.metadata.eval_splits[0]
        committed = task.metadata.descriptive_stats[split]["hf_subset_descriptive_stats"]["de"]
        assert {key: committed[key] for key in expected} == expected
        task.load_data()
        assert task._calculate_descriptive_statistics_from_split(split, hf_subset="de") == committed


def test_models_trained_on_squad_are_not_zero_shot_on_xquad_r():
    meta = mteb.get_model_meta("hybridir/pocket-base")
    assert meta.is_zero_shot_on(mteb.get_tasks(tasks=["XQuADRMonolingualRetrieval"])) is False
    assert meta.is_zero_shot_on(mteb.get_tasks(tasks=["PocketQARMonolingualRetrieval"])) is True


def test_the_benchmark_reports_the_settings_apart():
    benchmark = mteb.get_benchmark("HybridIR")
    grouping = benchmark.aggregations[-1]
    assert [group.label for group in grouping.groups] == [
        "Monolingual",
        "Cross-lingual",
        "Multilingual",
    ]
    assert all(len(group.tasks) == 2 for group in grouping.groups)


class NoLanguageScript(mteb.get_task("PocketQARMonolingualRetrieval").__class__):
    metadata = mteb.get_task("PocketQARMonolingualRetrieval").metadata.model_copy(
        update={"eval_langs": {"de": ["deu"]}}
    )


class Unusable(mteb.get_task("PocketQARMonolingualRetrieval").__class__):
    def __init__(self) -> None:
        raise RuntimeError("no")


@pytest.mark.parametrize(
    ("task", "message"),
    [(1, "subclass of mteb.AbsTask"), (NoLanguageScript, "deu-Latn"), (Unusable, "no")],
)
def test_a_task_that_would_break_mteb_is_refused(task, message):
    with pytest.raises(PluginError, match=message):
        check_task(task)
