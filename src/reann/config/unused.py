"""Fields of the section `model` that are set but have no effect."""

from __future__ import annotations

from reann.config.model import ModelConfig
from reann.config.model_sections import NetworkConfig, OutputForms
from reann.config.presets import changes, shown
from reann.errors import UserError

WITHOUT_L_MAX = ("deep_pot", "symmetry_functions")
"""Hosts that have no angular momentum."""


def refuse_unused(model: ModelConfig) -> None:
    """Raise `UserError` if fields were changed that have no effect."""
    fields = unused(model)
    if fields:
        reasons = "; ".join(f"{field} with {why}" for field, why in fields.items())
        raise UserError(
            f"These fields of the section model have no effect: {reasons}.",
            "model",
            "Remove them, or change the field named after 'with'.",
        )


def unused(model: ModelConfig) -> dict[str, str]:
    """Return the fields that differ from the preset but have no effect, with the reasons."""
    reasons: dict[str, str] = {}
    if model.host in WITHOUT_L_MAX:
        reasons["l_max"] = f"host={model.host}"
    many_body = model.features == "many_body" and model.l_max >= 2
    if model.features != "orbitals":
        reasons["orbitals_per_l"] = reasons["orbitals_per_recursion"] = f"features={model.features}"
        if not many_body:
            lower = f", l_max={model.l_max}" if model.features == "many_body" else ""
            reasons["n_orbitals"] = f"features={model.features}{lower}"
    if model.messages != "equivariant":
        for name in ("channels", "radial_basis", "moment_limit"):
            reasons[name] = f"messages={model.messages}"
    if model.messages == "directional" and model.l_max == 0:
        reasons["messages"] = "l_max=0"
    if model.messages == "directional" and model.n_recursions == 0:
        reasons["messages"] = "n_recursions=0"
    reasons |= _unused_forms(model) | _unused_induction(model)
    reasons |= _unused_in("readout", model.readout)
    if model.n_recursions:
        reasons |= _unused_in("update", model.update)
    changed = changes(model)
    return {f"{n}={shown(changed[n])}": why for n, why in reasons.items() if n in changed}


def _unused_forms(model: ModelConfig) -> dict[str, str]:
    if model.messages == "equivariant":
        return {f"output_forms.{name}": "messages=equivariant" for name in OutputForms.model_fields}
    without = (name for name in OutputForms.model_fields if name not in model.outputs)
    return {f"output_forms.{name}": f"outputs={shown(model.outputs)}" for name in without}


def _unused_induction(model: ModelConfig) -> dict[str, str]:
    if model.messages != "equivariant":
        return {"induction": f"messages={model.messages}"}
    if "polarizability" in model.from_heads:
        return {}
    return {"induction": "field=true" if model.field else f"outputs={shown(model.outputs)}"}


def _unused_in(name: str, network: NetworkConfig) -> dict[str, str]:
    reasons = {}
    if network.blocks == 0:
        why = f"{name}.blocks=0"
        reasons = {f"{name}.residual": why, f"{name}.layer_norm": why}
        if len(network.hidden) > 1:
            reasons[f"{name}.hidden"] = why
    elif len(network.hidden) == 1:
        why = f"{name}.hidden={network.hidden}"
        reasons = {f"{name}.{option}": why for option in ("blocks", "residual", "layer_norm")}
    return reasons
