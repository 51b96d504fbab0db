"""How much memory a training run needs, from sizes alone: an estimate, not a promise."""

from __future__ import annotations

from hybridir_mteb.training.plan import Plan

# Activations of a transformer layer in 16 bit, in bytes for each token and hidden unit, attention
# scores left out (Korthikanti et al. 2022, eq. 2); with checkpointing only its input is kept.
BYTES_OF_LAYER = 34
BYTES_OF_CHECKPOINT = 2
ADAM = 8  # two moments in float32
GRADIENT = 4
LORA_WIDTHS = 18  # (inputs + outputs) of all linear layers of a block, in hidden sizes


def estimate(plan: Plan) -> str:
    """One line: parameters, optimiser and activations of one device without sharding."""
    backbone, recipe, lora = plan.backbone, plan.recipe, plan.lora
    if not backbone.parameters:
        return "unknown: the backbone's entry gives no sizes"
    of_weight = 2 if backbone.decoder else 4
    trained = (
        LORA_WIDTHS * backbone.hidden * lora.rank * backbone.layers if lora else backbone.parameters
    )
    columns = 2 + plan.method.unlabelled
    texts = recipe.mini_batch_size or columns * recipe.batch_size
    of_layer = BYTES_OF_CHECKPOINT if recipe.gradient_checkpointing else BYTES_OF_LAYER
    activations = texts * plan.max_tokens * backbone.hidden * backbone.layers * of_layer
    fixed = backbone.parameters * of_weight + trained * (GRADIENT + ADAM)
    total = fixed + activations
    return (
        f"about {total / 1e9:.1f} GB on one device: {backbone.parameters / 1e9:.2f} G parameters "
        f"({trained / 1e6:.1f} M trained), {fixed / 1e9:.1f} GB for weights and optimiser, "
        f"{activations / 1e9:.1f} GB for activations of {texts} texts of {plan.max_tokens} tokens; "
        "sharding divides the first part by the number of devices"
    )
