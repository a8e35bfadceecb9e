"""Code of the user's own that a policy needs: imported on the user's word, never because a file names it."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sb3port.checkpoint.checkpoint import PolicySpec
from sb3port.errors import Sb3portError, UsageError, need
from sb3port.families.extractors import is_own
from sb3port.files.importing import working_folder_first


def use_extractor(spec: PolicySpec, named: str | None, where: str) -> None:
    """Import the features extractor that a policy needs, if the user names it, and see whether it works.

    One that is registered (`register_extractor`) need not be named.

    Args:
        spec: The policy.
        named: `module:Class`, None where the user names none.
        where: What to call the policy in an error message.

    Raises:
        UsageError: The user does not name what is needed, or there is no such class, or no features extractor
            can be made of it.
    """
    needed = spec.features_extractor if is_own(spec.features_extractor) else None
    if named is not None and named != needed:
        reason = f"needs {needed}" if needed else "needs no code of your own"
        raise UsageError(f"--extractor names {named[:200]}, but {where} {reason}")
    if needed is None:
        return
    need("torch", f"the features extractor {needed[:200]}")
    if named is not None:
        _import(named)
    elif not _is_allowed(needed):
        raise UsageError(
            f"{where} needs the features extractor {needed[:200]}, whose code is not part of it",
            f"if you trust that code, say --extractor {needed[:200]}, in Python extractor={needed[:200]!r}",
        )
    _try(spec)


@contextmanager
def blaming(spec: PolicySpec) -> Iterator[None]:
    """Say that code of the user's own failed, where anything unforeseen fails in a policy that has some.

    Raises:
        UsageError: In place of any other exception.
    """
    try:
        yield
    except Sb3portError:
        raise
    except Exception as error:
        if not is_own(spec.features_extractor):
            raise
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UsageError(
            f"the features extractor {spec.features_extractor} does not compute this policy: {reason[:500]}",
            "name the class that the policy was trained with",
        ) from error


def _import(name: str) -> None:
    """Import what the user names, also for processes that this one starts."""
    from sb3port.families.extractors.own import VARIABLE
    from sb3port.networks.own_extractors import register_extractor

    try:
        with working_folder_first():
            register_extractor(name)
    except ValueError as error:
        raise UsageError(
            f"--extractor {name[:200]} cannot be imported: {error.__cause__ or error}",
            "run sb3port where Python can import it, or set PYTHONPATH",
        ) from error
    os.environ[VARIABLE] = ",".join(filter(None, (os.environ.get(VARIABLE), name)))
    if (folder := str(Path.cwd())) not in sys.path:
        sys.path.append(folder)  # for what the code imports later; last, so that it hides nothing


def _try(spec: PolicySpec) -> None:
    import torch

    from sb3port.networks.own_extractors import make_own

    try:
        with torch.random.fork_rng(devices=[]):
            make_own(spec.features_extractor, spec.observation_space, spec.features_extractor_kwargs)
    except ValueError as error:
        why = repr(error.__cause__) if error.__cause__ else str(error)
        raise UsageError(
            f"the features extractor {spec.features_extractor[:200]} does not work: {why[:500]}",
            "name the class that the policy was trained with",
        ) from error


def _is_allowed(name: str) -> bool:
    from sb3port.networks.own_extractors import registered_extractor

    try:
        registered_extractor(name)
    except ValueError:
        return False
    return True
