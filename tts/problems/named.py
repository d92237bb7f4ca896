"""The sets known by name: those that come with the package, and well-known benchmarks from the Hugging Face hub."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256

from tts.errors import shown
from tts.problems.code_sets import CODE_SETS
from tts.problems.hub import HubSet, check_columns, checked_row, load_hub_set
from tts.problems.jsonl import BadRow, Row
from tts.types import JSON, RowError

Item = Mapping[str, JSON]
Read = Callable[[Item, str, int], dict[str, JSON]]
"""(the set's own row, the problem's id, seed) → a row in our keys."""


GPQA_OPTIONS = ("Correct Answer", "Incorrect Answer 1", "Incorrect Answer 2", "Incorrect Answer 3")


@dataclass(frozen=True, slots=True)
class ProblemSet:
    """What there is to say about a set before it is opened. `source` is `bundled` or a page on the hub."""

    name: str
    description: str
    num_problems: int
    source: str


@dataclass(frozen=True, slots=True)
class NamedHubSet:
    """A benchmark on the hub: where it lies, the columns it must have, and how one of its rows is read.

    `read` None: its columns, but for the id, are our keys already.
    Columns that give the solution away are not read, since what a problem carries must not hold its reference.
    """

    description: str
    num_problems: int
    hub_set: HubSet
    columns: tuple[str, ...]
    read: Read | None = None
    id_column: str | None = None


def named_problem_sets() -> tuple[ProblemSet, ...]:
    """Return every set that can be opened by name, the bundled ones first."""
    hub = (
        ProblemSet(name, known.description, known.num_problems, f"https://huggingface.co/datasets/{known.hub_set.path}")
        for name, known in HUB_SETS.items()
    )
    code = (ProblemSet(name, known.description, known.num_problems, known.page) for name, known in CODE_SETS.items())
    return (*BUNDLED_SETS.values(), *hub, *code)


def named_hub_rows(name: str, seed: int) -> Iterator[Row | RowError]:
    """Load the set now and return its rows; ids are `<name>-<the set's own id, else the index from 0>`."""
    known = HUB_SETS[name]
    dataset = load_hub_set(known.hub_set)
    check_columns(known.hub_set.path, known.columns, dataset.column_names)
    return _read_items(name, known, dataset.select_columns(list(known.columns)), seed)


def _read_items(name: str, known: NamedHubSet, items: Iterable[Item], seed: int) -> Iterator[Row | RowError]:
    for index, item in enumerate(items):
        problem_id = f"{name}-{item[known.id_column] if known.id_column else index}"
        try:
            values = {column: item[column] for column in known.columns if column != known.id_column}
            yield checked_row(index, problem_id, known.read(item, problem_id, seed) if known.read else values)
        except BadRow as error:
            error.problem_id = problem_id
            yield error.record(index + 1)


def _read_gsm8k(item: Item, _id: str, _seed: int) -> dict[str, JSON]:
    """The solution ends in `#### 1,234`; only that number is the answer."""
    answer = str(item["answer"]).rpartition("####")[2].strip().replace(",", "")
    if "####" not in str(item["answer"]) or not answer:
        raise BadRow("bad_answer", f"`answer` must end in `#### number`, got {shown(item['answer'])}: check the set")
    return {"problem": item["question"], "answer": answer}


def _read_gpqa(item: Item, problem_id: str, seed: int) -> dict[str, JSON]:
    """The right option comes first in the set, so the four are put in an order that the seed and the id decide."""
    order = shuffled(len(GPQA_OPTIONS), seed, problem_id)
    choices: list[JSON] = [str(item[GPQA_OPTIONS[place]]).strip() for place in order]
    values = {"problem": item["Question"], "choices": choices, "answer": "ABCD"[order.index(0)]}
    return {**values, "domain": item["High-level domain"], "subdomain": item["Subdomain"]}


def shuffled(num_items: int, seed: int, problem_id: str) -> list[int]:
    """Return 0 … `num_items` - 1 in an order that depends on nothing but the seed and the id, on any machine."""
    return sorted(range(num_items), key=lambda place: sha256(f"{seed}/{problem_id}/{place}".encode()).digest())


BUNDLED_SETS = {
    known.name: known
    for known in (
        ProblemSet("quickstart", "Short problems from one-step arithmetic to algebra, easy to hard", 67, "bundled"),
        ProblemSet("creative", "Opening lines of stories to go on with; there is no right answer", 20, "bundled"),
    )
}

HUB_SETS = {
    "aime_2024": NamedHubSet(
        "American Invitational Mathematics Examination 2024, I and II",
        30,
        HubSet("HuggingFaceH4/aime_2024", "train"),
        ("problem", "answer", "url", "year"),
    ),
    "aime_2025": NamedHubSet(
        "American Invitational Mathematics Examination 2025, I and II",
        30,
        HubSet("math-ai/aime25", "test"),
        ("problem", "answer"),
    ),
    "math_500": NamedHubSet(
        "500 test problems of MATH (Hendrycks et al. 2021), chosen by Lightman et al. 2023",
        500,
        HubSet("HuggingFaceH4/MATH-500", "test"),
        ("problem", "answer", "subject", "level", "unique_id"),
        id_column="unique_id",
    ),
    "gsm8k": NamedHubSet(
        "Grade-school word problems, test split (Cobbe et al. 2021)",
        1319,
        HubSet("openai/gsm8k", "test", "main"),
        ("question", "answer"),
        _read_gsm8k,
    ),
    "gpqa_diamond": NamedHubSet(
        "Graduate-level science, four options (Rein et al. 2023); gated, with your own access",
        198,
        HubSet("Idavidrein/gpqa", "train", "gpqa_diamond"),
        ("Question", *GPQA_OPTIONS, "Record ID", "High-level domain", "Subdomain"),
        _read_gpqa,
        "Record ID",
    ),
}
