"""Commands that `torchrun` may run in several processes, of which one speaks."""

import warnings

from sb3port.cli.output import Output
from sb3port.errors import UsageError
from sb3port.ppo.ranks.joining import join, told


def refuse_several(option: str) -> None:
    """Refuse what one process does alone.

    Raises:
        UsageError: There are several.
    """
    if told()[1] > 1:
        raise UsageError(f"{option} is for one process", "run it without torchrun")


def output_of_one(as_json: bool, quiet: bool, verbose: bool) -> Output:
    """Give the output of a command; in all processes but the first it prints nothing.

    The processes meet here, so that what ends them from now on is told once, by whom it befell.

    Raises:
        Sb3portError: They cannot meet.
    """
    rank, size = told()
    if size > 1:
        join()
    if rank:
        warnings.simplefilter("ignore")  # the first one has the same to say
    return Output(as_json, quiet, verbose, is_mute=rank > 0)
