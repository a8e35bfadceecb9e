"""What a study found: Markdown, a picture, a table, and hyperparameters in rl_zoo3's form."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from sb3port.commands.optimizing.space import Sampled, converted
from sb3port.errors import missing
from sb3port.files.staging import staged_file
from sb3port.files.texts.markdown import Markdown, code, fenced, markdown, table
from sb3port.files.texts.media import joined
from sb3port.files.texts.source_code import shell

if TYPE_CHECKING:
    import optuna

REPORT, PICTURE, TABLE, BEST = "study.md", "study.png", "trials.csv", "best.yml"
_LISTED, _FEW = 10, 10  # trials: that are listed; below which nothing is told of what matters


def write_report(study: "optuna.Study", env: str, fixed: Mapping[str, Any], out: Path) -> None:
    """Write all of it anew.

    Args:
        study: With at least one trial that came to its end.
        env: The environment.
        fixed: What was not searched for, in the form of rl_zoo3's files.
        out: The folder of the study.
    """
    importances = _importances(study)
    has_picture = not missing("plot")
    if has_picture:
        _draw(study, importances, env, out / PICTURE)
    best = as_zoo(converted(study.best_params), fixed)
    _write(out / BEST, yaml.safe_dump({env: best}, sort_keys=False))
    _write(out / TABLE, _csv(study))
    _write(out / REPORT, f"{_markdown(study, env, best, importances, has_picture, out)}\n")


def as_zoo(sampled: Sampled, fixed: Mapping[str, Any]) -> dict[str, Any]:
    """Give hyperparameters as a row of rl_zoo3's `ppo.yml`, which writes classes as code."""
    kwargs = sampled.policy_kwargs
    text = f"dict(net_arch={_code(kwargs['net_arch'])}, activation_fn=nn.{kwargs['activation_fn']})"
    return {**sampled.settings, "policy_kwargs": text, **fixed}


def _code(value: Mapping[str, Any]) -> str:
    return f"dict({', '.join(f'{name}={part}' for name, part in value.items())})"


def _write(path: Path, text: str) -> None:
    with staged_file(path, force=True) as staged:
        staged.write_text(text, encoding="utf-8")


def _importances(study: "optuna.Study") -> dict[str, float]:
    """Tell how much each hyperparameter matters among the best trials; empty while there are too few."""
    from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

    if sum(trial.state.name == "COMPLETE" for trial in study.trials) < _FEW:
        return {}
    try:
        found = get_param_importances(study, evaluator=PedAnovaImportanceEvaluator())
    except (ValueError, RuntimeError):
        return {}
    return {name: float(value) for name, value in found.items() if math.isfinite(value)}


def _csv(study: "optuna.Study") -> str:
    import csv
    import io

    rows = [
        {
            "number": trial.number,
            "state": trial.state.name,
            "value": trial.value if trial.value is not None else "",
            **trial.params,
        }
        for trial in study.trials
    ]
    names = dict.fromkeys(name for row in rows for name in row)
    text = io.StringIO()
    writer = csv.DictWriter(text, list(names))
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _markdown(
    study: "optuna.Study",
    env: str,
    best: Mapping[str, Any],
    importances: Mapping[str, float],
    has_picture: bool,
    out: Path,
) -> Markdown:
    done = [trial for trial in study.trials if trial.state.is_finished() and trial.value is not None]
    pruned = sum(trial.state.name == "PRUNED" for trial in study.trials)
    ranked = sorted((t for t in done if t.state.name == "COMPLETE"), key=lambda t: t.value or 0, reverse=True)
    dest = str(out.parent / f"{out.name}-best")
    command = shell("sb3port train --env {} --config {} --out {}", env, str(out / BEST), dest)
    listed = [[code(name), code(value)] for name, value in best.items()]
    rows = [
        [markdown("{}", trial.number), markdown("{:.2f}", trial.value), code(_short(trial.params))]
        for trial in ranked[:_LISTED]
    ]
    parts = [
        markdown("# Hyperparameters of PPO for {}", env),
        *([markdown("![Returns of the trials, and which hyperparameters matter](study.png)")] * has_picture),
        markdown(
            "{} trials, {} of them pruned. The best, number {}, returned {:.2f}: the mean of one evaluation, "
            "and the best of many is better than it will be again.",
            len(study.trials),
            pruned,
            study.best_trial.number,
            study.best_value,
        ),
        markdown("## The best"),
        table([markdown("hyperparameter"), markdown("value")], listed),
        fenced(command),
        markdown("## The {} best trials", len(rows)),
        table([markdown("{}", title) for title in ("trial", "return", "what it chose")], rows, (0, 1)),
    ]
    if importances:
        shares = [[code(name), markdown("{:.0%}", share)] for name, share in importances.items()]
        parts += [
            markdown("## What matters"),
            table([markdown("hyperparameter"), markdown("share")], shares, (1,)),
        ]
    return joined(Markdown, "\n\n", parts)


def _short(params: Mapping[str, Any]) -> str:
    found = converted(params)
    values = {**found.settings, "activation_fn": found.policy_kwargs["activation_fn"]}
    named = [f"{n} {v:.3g}" if isinstance(v, float) else f"{n} {v}" for n, v in values.items()]
    return ", ".join([*named, f"net_arch {params['net_arch']}"])


def _draw(study: "optuna.Study", importances: Mapping[str, float], env: str, path: Path) -> None:
    """Draw the returns of the trials in their order beside the shares of the hyperparameters."""
    from matplotlib.figure import Figure

    from sb3port.files.texts.plot_text import plot_text

    figure = Figure(figsize=(10, 4.2), layout="constrained")
    widths = (3, 2) if importances else (1,)
    panels = figure.subplots(1, len(widths), squeeze=False, width_ratios=widths)
    left = panels[0][0]
    whole = [t for t in study.trials if t.state.name == "COMPLETE"]
    pruned = [t for t in study.trials if t.state.name == "PRUNED" and t.value is not None]
    left.scatter([t.number for t in pruned], [t.value for t in pruned], s=18, color="#b5b5b5", marker="x")
    left.scatter([t.number for t in whole], [t.value for t in whole], s=22, color="#0072b2", linewidths=0)
    so_far, best = [], float("-inf")
    for trial in whole:
        best = max(best, trial.value or best)
        so_far.append(best)
    left.step([t.number for t in whole], so_far, where="post", color="#d55e00", linewidth=1.8)
    left.set_title(plot_text("Trials on {}", env).text, loc="left", fontsize=12, fontweight="bold")
    axis = "trial: dots came to their end, crosses were pruned, the line is the best so far"
    left.set_xlabel(axis, fontsize=8.5)
    left.set_ylabel("return", fontsize=9)
    if importances:
        _bars(panels[0][1], importances)
    for axes in panels[0]:
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.grid(axis="y" if axes is left else "x", color="#e6e6e6", linewidth=0.8)
        axes.set_axisbelow(True)
        axes.tick_params(length=0, labelsize=9)
    with staged_file(path, force=True) as staged:
        figure.savefig(staged, dpi=150)


def _bars(axes: Any, importances: Mapping[str, float]) -> None:
    names = list(importances)[::-1]
    axes.barh(names, [importances[name] for name in names], color="#0072b2", height=0.6)
    axes.set_title("What matters", loc="left", fontsize=12, fontweight="bold")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
