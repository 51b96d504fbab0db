"""Research code: descriptive statistics of our tasks, by mteb's own code; ``make stats``.

``AbsTask.calculate_descriptive_statistics`` would write into the installed mteb; this writes what
it computes into our package.
"""

from __future__ import annotations

import json
from typing import Any

from tqdm import tqdm

from hybridir_mteb.adapters.mteb.register import register
from hybridir_mteb.files import write_text


def statistics(task: Any) -> dict[str, Any]:
    """Overall and by subset, as mteb lays them out."""
    task.load_data()
    found: dict[str, Any] = {}
    for split in task.metadata.eval_splits:
        compute = task._calculate_descriptive_statistics_from_split
        found[split] = compute(split, compute_overall=True)
        found[split]["hf_subset_descriptive_stats"] = {
            subset: compute(split, hf_subset=subset) for subset in task.metadata.hf_subsets
        }
    return found


def main() -> None:
    """Write one file for each task."""
    for _, task_class in tqdm(register().tasks.items()):
        task = task_class()
        path = task.metadata.descriptive_stat_path
        write_text(path, json.dumps(statistics(task), separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
