"""A table put into a data set of the Hugging Face hub."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from tts.errors import MissingExtraError, TTSError, UsageError, shown
from tts.models.hub import hub_for

FILE = "data/candidates.parquet"
"""Where the table stands in the data set: `datasets.load_dataset` finds it there by itself."""


def pusher(name: str) -> Callable[[Path], str]:
    """Return what puts a Parquet file into the data set `name` and returns its address. A new data set is private.

    Raises UsageError where nothing could be put there: no library, no owner, no token; TTSError where the hub does not
    answer, or refuses.
    """
    try:
        from huggingface_hub import HfApi, get_token
        from huggingface_hub.errors import HfHubHTTPError
    except ModuleNotFoundError as error:
        raise MissingExtraError("huggingface_hub", "datasets", "`--push`") from error
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", name, re.ASCII):
        raise UsageError(f"`--push` must be the OWNER/NAME of a data set, got {shown(name)}")
    if get_token() is None:
        raise UsageError("`--push` must have a token of the hub that may write: set HF_TOKEN, or run `hf auth login`")
    with hub_for(f"datasets/{name}") as why:
        if why is not None:
            raise TTSError(f"nothing can be put into {name}: {why}")

    def push(table: Path) -> str:
        api = HfApi()
        try:
            address = api.create_repo(name, repo_type="dataset", private=True, exist_ok=True)
            api.upload_file(
                path_or_fileobj=table, path_in_repo=FILE, repo_id=name, repo_type="dataset", commit_message="Candidates"
            )
        except (HfHubHTTPError, OSError) as error:  # its own words are several lines
            raise TTSError(f"nothing was put into {name}: {' '.join(str(error).split())}") from error
        return str(address)

    return push
