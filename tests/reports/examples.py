"""Parity reports made by hand, as JSON values: what there can be in one."""

import math
import random
from typing import Any

Report = dict[str, Any]
SHA = "0123456789abcdef" * 4
HOSTILE = (
    "<script>alert(1)</script> \x1b[31m\x00 a|b `c` \\| ]]> &amp; \u202egnp.exe\n"
    "# no heading [x](http://evil) '\" $x$ @user *b* {{ 7*7 }}"
)


def good() -> Report:
    """Every bit the same; outputs that were recorded elsewhere are within noise."""
    return report("bit-exact", [*files_checks(), *oracle_checks(0.0), *reference_checks(2e-7), behaviour()])


def noisy() -> Report:
    """Within noise."""
    return report("within noise", [*files_checks(), *oracle_checks(3e-7)])


def asked() -> Report:
    """Within what the user allowed, and far from the noise."""
    content = report("within atol", [*files_checks(), *oracle_checks(3e-3)])
    content["tolerance"]["atol"] = 0.01
    for check in content["checks"][2:]:
        check["verdict"] = "within atol"
    return content


def failing() -> Report:
    """The value net is wrong."""
    checks = [*files_checks(), *oracle_checks(0.0), output_check("network.value:edge", 0.31, 7), behaviour()]
    checks[1] = {
        **checks[1],
        "verdict": "fail",
        "max_abs": 1.2e-7,
        "reason": "1 of 13 tensors differs: value_net.bias",
    }
    content = report("fail", checks)
    content["tensors"][-1].update(verdict="fail", max_abs=1.2e-7)
    return content


def explained() -> Report:
    """The value net is wrong, and why is known."""
    causes = [
        {
            "kind": "setting",
            "name": "activation_fn",
            "text": "activation_fn: Tanh in the source, ReLU in the port",
            "source": "Tanh",
            "port": "ReLU",
        },
        {"kind": "file", "name": "config.json", "text": "config.json: changed since the conversion"},
    ]
    content = failing()
    for check in content["checks"]:
        check["limit"] = 6.48e-6 if check["noise"] else None
    return {**content, "causes": causes}


def inconclusive() -> Report:
    """The source is gone, so that nothing could be compared."""
    reason = "the source cannot be read again: sb3/ppo-Pendulum-v1 is not on the Hub"
    checks = [blank("integrity", "inconclusive", reason)]
    checks += [
        blank(stage, "skipped", "there is no source to compare with") for stage in ("tensors", "normaliser")
    ]
    checks += [blank(f"network.{name}", "skipped", "there is no oracle") for name in ("mode", "value")]
    return {**report("inconclusive", checks), "observations": [], "tensors": []}


def nothing_ran() -> Report:
    """Every check was skipped."""
    return report("inconclusive", [blank("network.value", "skipped", "there is no oracle")])


def of_dict() -> Report:
    """Dict observations, an infinite difference and one that is not a number."""
    checks = [*files_checks(), output_check("network.logits:drawn", 1e-8, 3)]
    observation = {"achieved_goal": [0.5, -0.25, 1e-9], "pixels": [float(n % 256) for n in range(64)]}
    worst = {"index": [3, 1], "reference": 2.0, "candidate": "inf", "observation": observation}
    checks.append(
        {**checks[-1], "id": "network.value:drawn", "output": "value", "max_abs": "inf", "mean_abs": "nan"}
    )
    checks[-1].update(
        verdict="fail", worst=worst, times_noise="inf", pairs=[[1.0, "nan"], ["-inf", 2.0], [1.0, 1.0]]
    )
    return report("fail", checks)


def hostile() -> Report:
    """Strings of strangers everywhere."""
    content = failing()
    content["port"] = {"name": HOSTILE, "files": {HOSTILE: SHA}}
    content["source"]["location"] = content["source"]["revision"] = HOSTILE
    content["source"]["files"]["checkpoint"]["name"] = HOSTILE
    content["causes"] = [{"kind": HOSTILE, "name": HOSTILE, "text": HOSTILE}]
    content["model"] = dict.fromkeys(content["model"], HOSTILE)
    content["environment"] = {HOSTILE: HOSTILE, "torch": HOSTILE}
    content["observations"][0]["label"] = content["observations"][0]["set"] = HOSTILE
    content["tensors"][0]["name"] = HOSTILE
    for check in content["checks"]:
        check.update(
            id=f"{check['id']}{HOSTILE}", reason=HOSTILE, stage=HOSTILE, output=HOSTILE, against=HOSTILE
        )
    content["checks"][-2]["worst"]["observation"] = {HOSTILE: [1.0]}
    return content


def every() -> dict[str, Report]:
    """Give all of them by name."""
    makers = (good, noisy, asked, failing, explained, inconclusive, nothing_ran, of_dict, hostile)
    return {make.__name__: make() for make in makers}


def report(verdict: str, checks: list[Report]) -> Report:
    """Make a report of a verdict and its checks."""
    files = {
        "checkpoint": {"name": "ppo-Pendulum-v1.zip", "size": 141090, "sha256": SHA},
        "statistics": {"name": "vec_normalize.pkl", "size": 3031, "sha256": SHA[::-1]},
    }
    source = {"kind": "hub", "location": "sb3/ppo-Pendulum-v1", "revision": "8b6f" * 10, "files": files}
    spaces = {"observation_space": "Box([-1. -1. -8.], [1. 1. 8.], (3,), float32)"}
    spaces["action_space"] = "Box(-2, 2, (1,), float32)"
    sets = {"recorded": "recorded (reference.npz)", "drawn": "drawn from statistics", "edge": "edge cases"}
    observations = [{"set": key, "label": label, "count": 256, "sha256": SHA} for key, label in sets.items()]
    return {
        "schema": "sb3port.parity",
        "version": 1,
        "verdict": verdict,
        "source": {**source, "sb3_version": "1.3.1", "system_info": {}, "no_stats": False},
        "port": {"name": "ppo-Pendulum-v1", "files": {"config.json": SHA, "model.safetensors": SHA[::-1]}},
        "model": {"algorithm": "ppo", **spaces, "policy": "policy [64, 64], value [64, 64], Tanh"},
        "tolerance": {"floor": 1e-6, "noise_factor": 8.0},
        "observations": [
            {**one, "clipped_share": 0.01 if one["set"] == "edge" else None} for one in observations
        ],
        "checks": checks,
        "tensors": [dict(tensor) for tensor in TENSORS],
        "environment": {
            "python": "3.12.13",
            "torch": "2.11.0",
            "sb3port": "0.1.0",
            "device": "cpu",
            "threads": 1,
        },
    }


def blank(name: str, verdict: str, reason: str = "", **fields: Any) -> Report:
    """Make a check in which no numbers were compared."""
    stage, _, rest = name.partition(".")
    output, _, observations = rest.partition(":")
    return {
        "id": name,
        "stage": stage.partition(":")[0],
        "output": output or None,
        "observations": observations or None,
        "against": "source",
        "verdict": verdict,
        "informational": False,
        "reason": reason,
        "count": 0,
        "shape": [],
        **dict.fromkeys(("max_abs", "mean_abs", "max_rel", "max_ulp", "noise", "times_noise")),
        "worst": None,
        "histogram": None,
        "pairs": [],
        **fields,
    }


def files_checks() -> list[Report]:
    """Make the checks of the files."""
    return [
        blank("integrity", "bit-exact", "all SHA-256 are those that were recorded", count=2),
        blank("tensors", "bit-exact", count=9026, max_abs=0.0, mean_abs=0.0, max_ulp=0),
    ]


def oracle_checks(difference: float) -> list[Report]:
    """Make the checks of every output against SB3's own classes, on two sets of observations."""
    outputs = ("normaliser.normalized_observation", "network.mode", "network.value", "distribution.log_prob")
    names = [f"{name}:{kind}" for name in (*outputs, "action.action") for kind in ("recorded", "drawn")]
    return [output_check(name, difference, seed) for seed, name in enumerate(names)]


def reference_checks(difference: float) -> list[Report]:
    """Make checks against recorded outputs."""
    made = [output_check(f"network.{name}:recorded", difference, 50) for name in ("mode", "value")]
    return [{**check, "id": f"{check['id']}@reference", "against": "reference"} for check in made]


def behaviour() -> Report:
    """Make an informational check."""
    reason = "mean return -162.2 ± 49.6 of SB3 and -162.2 ± 49.6 of the port, over 5 episodes"
    return blank("behaviour", "skipped", reason, informational=True, against="oracle")


def output_check(name: str, difference: float, seed: int) -> Report:
    """Make a check of one output whose largest difference is given."""
    drawn = random.Random(seed)
    reference = [drawn.gauss(-1.0, 0.8) for _ in range(128)]
    # One in five numbers is off, and most of them far less than the worst.
    errors = [difference * 10 ** -drawn.uniform(0, 4) if drawn.random() < 0.2 else 0.0 for _ in reference]
    errors[41] = difference
    noise = 8.1e-7
    worst = {"index": [41, 0], "reference": reference[41], "candidate": reference[41] + difference}
    verdict = "bit-exact" if not difference else "within noise" if difference <= 8 * noise else "fail"
    return blank(
        name,
        verdict,
        against="oracle",
        count=256,
        shape=[256, 1],
        max_abs=difference,
        mean_abs=math.fsum(errors) / len(errors),
        max_rel=difference / 2,
        max_ulp=int(difference / 1.2e-7),
        noise=noise,
        times_noise=difference / noise,
        worst={**worst, "observation": {"": [0.98, -0.19, 7.9]}} if difference else None,
        histogram=histogram([*errors, *errors]),
        pairs=[[one, one + error] for one, error in zip(reference, errors, strict=True)],
    )


def histogram(differences: list[float]) -> Report:
    """Count differences as a report does: two bins a decade, from 1e-12 to 1e2."""
    counts = [0] * 28
    for difference in filter(None, differences):
        counts[min(max(math.floor(2 * (math.log10(difference) + 12)), 0), 27)] += 1
    return {"decades": [-12, 2], "per_decade": 2, "zero": differences.count(0.0), "counts": counts}


TENSORS: list[Report] = [
    {"name": name, "shape": shape, "dtype": "float32", "verdict": "bit-exact", "max_abs": 0.0}
    for name, shape in {
        "log_std": [64, 1],
        "mlp_extractor.policy_net.0.weight": [64, 3],
        "mlp_extractor.policy_net.0.bias": [64],
        "mlp_extractor.policy_net.2.weight": [64, 64],
        "mlp_extractor.policy_net.2.bias": [64],
        "action_net.weight": [1, 64],
        "action_net.bias": [1],
        "value_net.weight": [1, 64],
        "value_net.bias": [1],
    }.items()
]
