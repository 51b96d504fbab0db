"""Research code: descriptive statistics of our tasks, by mteb's own code; ``make stats``.

``AbsTask.calculate_descriptive_statistics`` would write into the installed mteb; this writes what
it computes into our package. Passages of streamed collections are not read: what mteb counted in
its own task on them is taken over. Collections from the hub are left out, and all others with
``--hub``, which downloads them: ``make stats-hub``. What such a run has written stays.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from typing import Any

from datasets import Dataset
from tqdm import tqdm

from hybridir_mteb.adapters.mteb.register import register, task_metadata_of
from hybridir_mteb.adapters.mteb.statistics import statistics
from hybridir_mteb.collections.hub import HubDataset
from hybridir_mteb.files import write_text

Counts = dict[str, Any]


def streamed_statistics(task: Any) -> dict[str, Any]:
    """Queries and judgements as mteb counts them, passages as it counted them before."""
    task.load_data()
    (split,), (original,) = task.metadata.eval_splits, task.metadata.adapted_from
    for subset in task.metadata.hf_subsets:  # in place of millions, those that are judged
        data = task.dataset[subset][split]
        judged = sorted(
            {passage for grades in data["relevant_docs"].values() for passage in grades}
        )
        data["corpus"] = Dataset.from_dict({"id": judged, "text": judged})
    found = statistics(task)
    known = task_metadata_of(original).descriptive_stats[split]
    pooled = (
        len(found[split]["hf_subset_descriptive_stats"]) if task.setting == "multilingual" else 0
    )
    for subset, counts in found[split]["hf_subset_descriptive_stats"].items():
        passages = known if pooled else known["hf_subset_descriptive_stats"][subset]
        with_passages(counts, passages, 1)
    with_passages(found[split], known, pooled or 1)
    return found


def with_passages(counts: Counts, known: Mapping[str, Any], times: int) -> None:
    """Put the passages of other statistics into these.

    Args:
        counts: Where to.
        known: Statistics with the passages.
        times: How often mteb counts the same pool.
    """
    passages = dict(known["documents_text_statistics"])
    passages["total_text_length"] *= times
    counts["num_documents"] = known["num_documents"] * times
    counts["num_samples"] = counts["num_documents"] + counts["num_queries"]
    characters = counts["queries_text_statistics"]["total_text_length"]
    counts["number_of_characters"] = passages["total_text_length"] + characters
    counts["documents_text_statistics"] = passages


def chosen(*, hub: bool) -> dict[str, Any]:
    """Name -> class of the tasks whose data come from the hub, or of all others."""
    return {
        name: task
        for name, task in register().tasks.items()
        if any(isinstance(file, HubDataset) for file in task.spec.files) is hub
    }


def main() -> None:
    """Write one file for each task."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--hub", action="store_true", help="the tasks whose data are on the hub")
    hub = parser.parse_args().hub
    for task_class in tqdm(chosen(hub=hub).values()):
        task = task_class()
        path = task.metadata.descriptive_stat_path
        if hub and path.exists():
            continue
        found = statistics(task) if task.spec.parallel else streamed_statistics(task)
        write_text(path, json.dumps(found, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
