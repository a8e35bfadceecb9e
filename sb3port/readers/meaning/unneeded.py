"""Code in fields that no policy needs: an enum among `info_keywords`, a configuration kept on the model.

SB3 imports or runs it when it loads the file. It is left out here, and said.
"""

from collections.abc import Collection

from sb3port.families.algorithms import Algorithm
from sb3port.readers.formats.archive import Archive
from sb3port.readers.formats.groups import Group, group_of
from sb3port.readers.formats.records import IN_FILE, Global

# These are read, and whoever reads them says what of them is not known; `lr_schedule` is `learning_rate`, and
# `exploration_schedule` is made of three other settings.
_SPACES = ("observation_space", "action_space")
_NEEDED = ("policy_class", "policy_kwargs", *_SPACES, "lr_schedule", "exploration_schedule")
_MAX_FIELDS = 20
_MAX_NAMES = 5


def unneeded_code(archive: Archive, algorithm: Algorithm) -> list[str]:
    """Name in a sentence the code of the author's own that the fields hold that are left out.

    Raises:
        NotPortable: A field is damaged.
    """
    needed = {*_NEEDED, *algorithm.schedules, *algorithm.hyperparameters, *algorithm.replay}
    names = {
        key: own_names(archive.pickle(key).imports)
        for key in archive.data
        if key not in needed and archive.is_pickled(key)
    }
    found = [f"{key[:100]} ({text})" for key, text in names.items() if text]
    if not found:
        return []
    fields = ", ".join(found[:_MAX_FIELDS]) + _more(found, _MAX_FIELDS)
    return [
        f"the file has code that is not SB3's in {fields}, "
        "which SB3 would import or run to load it; the policy does not need it, and it is left out"
    ]


def own_names(imports: Collection[Global]) -> str:
    """List the code of the author's own among the names in a pickle, empty where there is none."""
    own = [name for name in imports if group_of(name) is Group.OWN_CODE]
    carried = sorted(name.name for name in own if name.module == IN_FILE)
    # Of a class that the file carries, its name says more than those of its methods.
    whole = [name for name in carried if not any(name.startswith(f"{other}.") for other in carried)]
    shown = [name for name in whole if "<locals>" not in name] or whole
    texts = sorted(str(name)[:200] for name in own if name.module != IN_FILE)
    texts += [f"{name[:200]}, which the file carries" for name in shown]
    return ", ".join(texts[:_MAX_NAMES]) + _more(texts, _MAX_NAMES)


def _more(items: list[str], limit: int) -> str:
    return f" and {len(items) - limit} more" if len(items) > limit else ""
