"""How the contents of a checkpoint are shown: in sections, each row with what tells it, and as JSON."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from sb3port.checkpoint.checkpoint import Checkpoint, Normalizer, RunningMeanStd
from sb3port.checkpoint.contents import YES, Contents, ImportEntry
from sb3port.cli.output import Output
from sb3port.cli.summary import checkpoint_json, policy_rows
from sb3port.errors import Sb3portError
from sb3port.families.algorithms import algorithm_of
from sb3port.families.hyperparameters import ToldSetting, told_settings
from sb3port.files.texts.terminal import TerminalText, shown, shown_rows, styled, terminal, together

_ZIP, _PORT, _CONFIG = "zip", "port", "config.yml"
_OWN, _DANGEROUS = "own code", "dangerous"


def print_contents(output: Output, contents: Contents, command: str) -> None:
    """Print all sections; long lists only where details are wanted.

    Args:
        output: Where to print.
        contents: What was read.
        command: What makes a zip that today's SB3 loads, or else a port; empty where there is no need.
    """
    if contents.normalizer is not None:
        _section(output, "Statistics", _statistics_rows(contents.normalizer))
    elif not contents.files:
        pass  # a pickle of something else: its names are all there is
    else:
        _section(output, "Policy", _policy_rows(contents))
        if contents.loading is not None:
            _section(output, f"SB3 2.9 on Python {contents.loading.python}", _loading_rows(contents, command))
        _section(output, "Training", _training_rows(contents))
        if contents.environment.sources:
            _section(output, "Environment", _environment_rows(contents))
    if contents.files:
        _section(output, "Source", _source_rows(output, contents))
    _print_tensors(output, contents)
    _print_imports(output, contents.imports)
    if contents.unread:
        output.line()
        title = "Remarks" if contents.normalizer else "What could not be read"
        output.line(styled("bold underline", "{}", title))
        output.lines(map(shown, contents.unread), indent=2)


def contents_json(contents: Contents, command: str, refusal: Sb3portError | None) -> dict[str, Any]:
    """Give everything as JSON values; what only a whole policy has is null where there is none."""
    checkpoint = contents.checkpoint
    whole = _WITHOUT if checkpoint is None else checkpoint_json(checkpoint)
    names = list(dict.fromkeys(entry.name for entry in contents.imports)) or whole["imports"]
    return {
        **whole,
        "algorithm": contents.algorithm,
        "sb3_version": contents.sb3_version,
        "environment": asdict(contents.environment),
        "imports": sorted(names),
        "own_code": sorted({e.name for e in contents.imports if e.group == _OWN}) or whole["own_code"],
        "contents": _file_json(contents),
        "loads": _loading_json(contents, command),
        "origins": {
            "training": {name: told.told_by for name, told in _told(contents).items()},
            "environment": dict(contents.origins),
        },
        "statistics": None if contents.normalizer is None else _statistics_json(contents.normalizer),
        "refusal": None
        if refusal is None
        else {"exit_code": refusal.exit_code, "message": refusal.message, "hint": refusal.hint},
    }


_WITHOUT: Mapping[str, Any] = {
    **dict.fromkeys(("source", "spec", "normalizer", "training", "configured")),
    **{name: [] for name in ("tensors", "warnings", "imports", "own_code")},
}


def _file_json(contents: Contents) -> dict[str, Any]:
    spaces = {name: getattr(contents, name) for name in ("observation_space", "action_space")}
    return {
        "files": {role: asdict(file) for role, file in contents.files.items()},
        "policy_class": contents.policy_class,
        "system_info": dict(contents.system_info),
        **{name: None if space is None else space.to_json() for name, space in spaces.items()},
        "settings": dict(contents.settings),
        "tensors": [{**asdict(entry), "shape": list(entry.shape)} for entry in contents.tensors],
        "globals": [asdict(entry) for entry in contents.imports],
        "unread": list(contents.unread),
    }


def _loading_json(contents: Contents, command: str) -> dict[str, Any] | None:
    loading = contents.loading
    return None if loading is None else {**asdict(loading), "verdict": loading.verdict, "command": command}


def _policy_rows(contents: Contents) -> dict[str, object]:
    checkpoint, home = contents.checkpoint, _home(contents)
    if checkpoint is None:
        version = f", SB3 {contents.sb3_version}" if contents.sb3_version else ""
        rows = {
            "algorithm": (contents.algorithm or "unknown") + version,
            "observations": contents.observation_space or "",
            "actions": contents.action_space or "",
            "policy class": contents.policy_class,
        }
        return {name: _by(value, home) for name, value in rows.items() if value}
    statistics = checkpoint.provenance.files.get("statistics")
    origins = {
        "normaliser": statistics.name if statistics else home,
        "environment": contents.origins.get("env_id", home),
    }
    told = {name: _by(value, origins.get(name, home)) for name, value in policy_rows(checkpoint).items()}
    return {**told, **_assumed(checkpoint)}


def _assumed(checkpoint: Checkpoint) -> dict[str, object]:
    """Name the settings for which the file says nothing, so that SB3's default holds."""
    names = checkpoint.spec.assumed
    defaults = ", ".join(f"{name}={getattr(checkpoint.spec, name)}" for name in names)
    return {"assumed": _by(defaults, "SB3's defaults")} if names else {}


def _by(value: object, told_by: str, instead: str = "") -> TerminalText:
    """Give a value, and dimly what tells it."""
    more = f"; {instead}" if instead else ""
    return terminal("{}{}", value, styled("dim", "  ({}{})", told_by, more))


def _home(contents: Contents) -> str:
    """Name where a checkpoint's own settings are from."""
    main = contents.files.get("checkpoint")
    return _PORT if contents.loading is None and main is not None and not contents.imports else _ZIP


def _loading_rows(contents: Contents, command: str) -> dict[str, object]:
    loading = contents.loading
    assert loading is not None
    told = {"because": loading.problems, "but": loading.losses}
    rows: dict[str, object] = {"loads it": loading.verdict}
    rows |= {name: together("\n", texts) for name, texts in told.items() if texts}
    if loading.needs:
        rows["with"] = f"{loading.needs}, by whose names its arrays are"
    if command:
        rows["mend it with" if " repair " in command else "port it with"] = command
    elif loading.verdict != YES and contents.refusal is not None:
        rows["mending"] = "not by sb3port, which refuses it: see the last line"
    return rows


def _training_rows(contents: Contents) -> dict[str, object]:
    checkpoint = contents.checkpoint
    rows = {name: _by(told.value, told.told_by, told.instead) for name, told in _told(contents).items()}
    if checkpoint is None:
        return dict(rows)
    return {"optimizer": _by(checkpoint.training.optimizer_class, _home(contents)), **rows}


def _told(contents: Contents) -> dict[str, ToldSetting]:
    """Give each setting with what tells it."""
    checkpoint = contents.checkpoint
    if checkpoint is not None:
        algorithm = algorithm_of(checkpoint.spec.algorithm)
        told = told_settings(checkpoint.training, checkpoint.configured, algorithm)
        home = _home(contents)
        return {n: ToldSetting(t.value, t.told_by.replace(_ZIP, home), t.instead) for n, t in told.items()}
    given = contents.configured
    config = {} if given is None else {**given.schedules, **given.hyperparameters}
    more = {n: ToldSetting(value, _CONFIG) for n, value in config.items() if n not in contents.settings}
    return {**{n: ToldSetting(value, _ZIP) for n, value in contents.settings.items()}, **more}


def _environment_rows(contents: Contents) -> dict[str, object]:
    environment, origins = contents.environment, contents.origins
    wrappers = [_call(wrapper.name, wrapper.kwargs) for wrapper in environment.wrappers]
    rows: dict[str, tuple[str, object]] = {
        "id": ("env_id", environment.env_id or "unknown"),
        "arguments": ("env_kwargs", _arguments(environment.env_kwargs)),
        "wrappers": ("wrappers", together("\n", wrappers) if wrappers else ""),
        "frame stack": ("frame_stack", str(environment.frame_stack or "")),
    }
    told = {
        name: _by(value, origins.get(key, _home(contents))) for name, (key, value) in rows.items() if value
    }
    return {**told, "told by": ", ".join(environment.sources)}


def _call(name: str, kwargs: Mapping[str, Any]) -> str:
    return f"{name}({_arguments(kwargs)})" if kwargs else name


def _arguments(kwargs: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in kwargs.items())


def _section(output: Output, title: str, rows: Mapping[str, object]) -> None:
    output.line(styled("bold underline", "{}", title))
    output.fields(shown_rows(rows), indent=2)
    output.line()


def _source_rows(output: Output, contents: Contents) -> dict[str, object]:
    files = {
        role: terminal("{}, {:,} bytes\nsha256 {}", file.name, file.size, file.sha256)
        for role, file in contents.files.items()
    }
    rows: dict[str, object] = {**_place(contents.checkpoint), **files, "written by": _writer(contents)}
    system = contents.system_info
    if system and not output.verbose:
        return {**rows, "system": f"{len(system)} entries of its system_info.txt (-v lists them)"}
    return {**rows, **system}


def _place(checkpoint: Checkpoint | None) -> dict[str, str]:
    if checkpoint is None:
        return {}
    provenance = checkpoint.provenance
    revision = {"revision": provenance.revision} if provenance.revision else {}
    return {provenance.kind: provenance.location, **revision}


def _writer(contents: Contents) -> str:
    if any(file.name.endswith(".safetensors") for file in contents.files.values()):
        return "LeRobot"
    if contents.normalizer is not None:
        return "SB3"
    alone = (
        contents.checkpoint is not None
        and "num_timesteps" not in contents.checkpoint.training.hyperparameters
    )
    return f"SB3 {contents.sb3_version or ('of an unknown version' if alone else 'before 0.9')}"


def _print_tensors(output: Output, contents: Contents) -> None:
    """List the tensors; those that a policy has under today's names."""
    checkpoint = contents.checkpoint
    if checkpoint is None:
        rows = [(entry.name, entry.shape, entry.dtype) for entry in contents.tensors]
    else:
        rows = [(name, array.shape, str(array.dtype)) for name, array in checkpoint.tensors.items()]
    ignored = checkpoint.provenance.ignored if checkpoint else {}
    if not rows:
        return
    output.line(styled("bold underline", "Tensors"))
    if not output.verbose:
        more = f", and {len(ignored)} that stand there twice" if ignored else ""
        output.line(terminal("  {} tensors{} (-v lists them)", len(rows), more))
        output.line()
        return
    columns = ("name", "shape", "dtype")
    output.table([shown(column) for column in columns], [tuple(map(shown, row)) for row in rows])
    if ignored:
        output.line()
        output.line(styled("bold underline", "Tensors that are left out"))
        output.fields(shown_rows(ignored), indent=2)
    output.line()


def _print_imports(output: Output, imports: Iterable[ImportEntry]) -> None:
    """List what pickles would import: always what is not SB3's, all of it where details are wanted."""
    groups = {entry.name: entry.group for entry in imports}
    if not groups:  # a port has no pickles
        return
    title = styled("bold underline", "What its pickles would import")
    output.line(terminal("{} (nothing of it was imported)", title))
    if not output.verbose:
        counts = ", ".join(f"{count} {group}" for group, count in sorted(Counter(groups.values()).items()))
        output.line(terminal("  {} names: {} (-v lists them)", len(groups), counts))
    listed = groups if output.verbose else [n for n, group in groups.items() if group in (_OWN, _DANGEROUS)]
    output.lines((_import(name, groups[name]) for name in sorted(listed)), indent=2)


def _import(name: str, group: str) -> TerminalText:
    if group == _DANGEROUS:
        return styled("bold red", "{} (dangerous)", name)
    return terminal("{} (code that is not SB3's)", name) if group == _OWN else shown(name)


def _statistics_rows(normalizer: Normalizer) -> dict[str, object]:
    """Describe saved statistics, each by its range: they may be of thousands of numbers."""
    rows: dict[str, object] = {
        f"obs_rms {key}".strip(): _range(rms) for key, rms in normalizer.statistics.items()
    }
    if normalizer.ret_rms is not None:
        rows["ret_rms"] = _range(normalizer.ret_rms)
    names = ("clip_obs", "clip_reward", "gamma", "epsilon", "norm_obs", "norm_reward")
    return {**rows, **{name: f"{getattr(normalizer, name)}" for name in names}}


def _range(rms: RunningMeanStd) -> str:
    mean, var = rms.mean, rms.var
    if not mean.size:
        return f"of {mean.shape}"
    shape = f"of {mean.shape}, " if mean.shape else ""
    return (
        f"{shape}over {rms.count:,.0f} samples, mean {_from_to(mean.min(), mean.max())}, "
        f"variance {_from_to(var.min(), var.max())}"
    )


def _from_to(low: float, high: float) -> str:
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"


def _statistics_json(normalizer: Normalizer) -> dict[str, Any]:
    def numbers(rms: RunningMeanStd) -> dict[str, Any]:
        return {
            "shape": list(rms.mean.shape),
            "count": rms.count,
            "mean": rms.mean.tolist(),
            "var": rms.var.tolist(),
        }

    flags = {name: value for name, value in vars(normalizer).items() if not name.endswith("_rms")}
    return {
        **flags,
        "obs_rms": {key: numbers(rms) for key, rms in normalizer.statistics.items()},
        "ret_rms": None if normalizer.ret_rms is None else numbers(normalizer.ret_rms),
    }
