"""For tests that fork: their processes have everything imported already."""

import pytest
import torch

needs_fork = pytest.mark.skipif(
    torch.accelerator.is_available(), reason="a process that knows a GPU cannot be forked"
)
