"""Do weights fit a policy?"""

from safetensors import safe_open
from torch import Tensor


def check_weights(expected: dict[str, Tensor], model_file: str) -> None:
    """Raise one ValueError that lists every tensor of a file that is missing, unknown or misshapen.

    Args:
        expected: The policy's state dictionary.
        model_file: A safetensors file, of which only the header is read.
    """
    with safe_open(model_file, framework="pt") as tensors:
        found = {key: tuple(tensors.get_slice(key).get_shape()) for key in tensors.keys()}  # noqa: SIM118
    problems = [f"{key} is missing" for key in expected if key not in found]
    problems += [f"{key} is unknown" for key in found if key not in expected]
    problems += [
        f"{key} has shape {found[key]} instead of {tuple(tensor.shape)}"
        for key, tensor in expected.items()
        if key in found and found[key] != tuple(tensor.shape)
    ]
    if problems:
        raise ValueError(f"The weights in {model_file} do not fit its configuration: {'; '.join(problems)}.")
