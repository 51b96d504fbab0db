"""Descriptive statistics of tasks, by MTEB's own code, and where plugins keep theirs.

``AbsTask.calculate_descriptive_statistics`` writes into the installed mteb; this writes nothing.
"""

from __future__ import annotations

from typing import Any

from hybridir_mteb.errors import PluginError, described


def statistics(task: Any) -> dict[str, Any]:
    """The texts and judgements of a task, counted; reads its data, all in memory.

    Args:
        task: A task of MTEB's, or of ours.

    Returns:
        Split -> counts, and those of each subset, as in the file ``<task>.json`` of a folder of
        descriptive statistics. ``CollectionSpec.statistics`` of a plugin names such a folder.

    Raises:
        PluginError: MTEB cannot count the texts of such a task.
    """
    task.load_data()
    compute = task._calculate_descriptive_statistics_from_split
    found: dict[str, Any] = {}
    try:
        for split in task.metadata.eval_splits:
            subsets = list(task.metadata.hf_subsets)
            if subsets == ["default"]:
                found[split] = dict(compute(split, hf_subset="default"))
                continue
            found[split] = dict(compute(split, compute_overall=True))
            found[split]["hf_subset_descriptive_stats"] = {
                subset: compute(split, hf_subset=subset) for subset in subsets
            }
    except Exception as error:  # mteb's code on other people's data
        raise PluginError(
            f"{task.metadata.name}: MTEB cannot count its texts: {described(error)}. Leave them "
            "out with --no-statistics"
        ) from error
    return found
