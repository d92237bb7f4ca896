"""What a step of ESamp costs in the layout for GPUs, counted: operations, bytes an update, the host's time.

    python benchmarks/esamp_grid.py [--hidden-size 896]

Operations are those of matrix products, by torch's counter, of a step that predicts and trains: on the grid, and on
exactly the rows that there are. Bytes are those that Adam moves, by arithmetic. The host's time is for what it does in
a step with the work itself left out, as it is replayed by a GPU: the gathers, the table, calls that do nothing.
"""

from __future__ import annotations

import argparse
import statistics
import time

import torch
from torch.utils.flop_counter import FlopCounterMode

from tts.engines.vllm.device_plugin import DevicePlugin
from tts.engines.vllm.options import WorkerOptions
from tts.plugins.esamp.controls import control_of
from tts.plugins.esamp.core import ESampCore, StepRow
from tts.plugins.esamp.grid import DistillerGrid, GridSize, cells_for
from tts.plugins.esamp.settings import ESampSettings

SHAPES = ((1, 16), (8, 16), (64, 16))
NUM_TIMED = 300
WIDTH = ESampSettings().width


@torch.inference_mode()
def operations(num_groups: int, num_rows: int, hidden_size: int, train_every: int) -> tuple[float, float]:
    """Return the operations of a step on the grid and on exact rows; the mean of `train_every` steps."""
    settings = ESampSettings(num_slots=num_groups, train_every=train_every, kl_every=0)
    h = torch.randn(num_groups, num_rows, hidden_size)
    grid = DistillerGrid(
        settings, control_of(settings, None), hidden_size, num_rows, half=False, device=torch.device("cpu")
    )
    size = GridSize(num_groups, cells_for(num_rows)[0])
    cells = torch.zeros(*size, hidden_size)
    cells[:, :num_rows] = h
    mask = torch.zeros(*size)
    mask[:, :num_rows] = 1
    with FlopCounterMode(display=False) as on_grid:
        for _ in range(train_every):
            grid.train(grid.predict(cells, cells, mask))
    core = ESampCore(settings, hidden_size, num_rows, all_slots=False)
    rows = [StepRow(f"{group}.{k}", 10, 10) for group in range(num_groups) for k in range(num_rows)]
    for row in rows:
        core.join(row.request_id, row.request_id.split(".")[0])
    with FlopCounterMode(display=False) as exact:
        for _ in range(train_every):
            core.step(rows, h.flatten(0, 1), h.flatten(0, 1))
    return on_grid.get_total_flops() / train_every, exact.get_total_flops() / train_every


@torch.inference_mode()
def host_milliseconds(num_groups: int, num_rows: int, hidden_size: int) -> float:
    """Return the median of the host's time for a step."""
    rows = num_groups * num_rows
    settings = ESampSettings(num_slots=num_groups, width=8, kl_every=0)
    plugin = DevicePlugin(
        WorkerOptions(settings), lambda hidden: hidden, hidden_size=hidden_size, max_rows=rows, max_tokens=16,
        device=torch.device("cpu"), dtype=torch.bfloat16, head=None,
    )  # fmt: skip
    for number in range(rows):
        plugin.admit(str(number), Params(f"g{number // num_rows}", num_rows))
        plugin.seat(str(number), number, 3)
    plugin._members.table.flush()
    size = plugin._core.size
    plugin._halves._graphs[size] = (nothing, nothing, plugin._predict(size))
    index, position = torch.arange(rows), torch.full((rows,), 4)
    draws, states = torch.ones(rows, dtype=torch.bool), torch.zeros(2 * rows, hidden_size, dtype=torch.bfloat16)
    places, times = torch.arange(rows), []
    for _ in range(NUM_TIMED):
        started = time.perf_counter()
        plugin.skip()
        plugin.begin(
            index, position.index_select(0, places), position.index_select(0, places), draws, has_first_tokens=False
        )
        mixed = plugin.mix(states.index_select(0, places), states.index_select(0, places))
        states.index_copy_(0, places, mixed)
        times.append(time.perf_counter() - started)
    return statistics.median(times) * 1e3


def nothing() -> None:
    """Stand for the replay of a graph."""


class Params:
    """A request's parameters, as far as they are looked at."""

    temperature, top_p, top_k, min_p, seed = 1.0, 1.0, 0, 0.0, 1
    all_stop_token_ids, eos_token_id, stop_token_ids = (2,), 2, ()

    def __init__(self, group: str, size: int) -> None:
        self.extra_args = {"esamp_group": group, "esamp_group_size": size}


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hidden-size", type=int, default=896)
    arguments = parser.parse_args()
    d = arguments.hidden_size
    torch.set_num_threads(1)
    print("| groups x rows | GFLOP on the grid | on exact rows | ratio | ratio, train_every 4 | host, ms |")
    print("|---|---|---|---|---|---|")
    for groups, rows in SHAPES:
        grid, exact = operations(groups, rows, d, 1)
        fourth = operations(groups, rows, d, 4) if groups < 64 else None
        ratio = "" if fourth is None else f"{fourth[0] / fourth[1]:.2f}"
        host = host_milliseconds(groups, rows, d)
        print(
            f"| {groups} x {rows} | {grid / 1e9:.2f} | {exact / 1e9:.2f} | {grid / exact:.2f} | {ratio} | {host:.3f} |"
        )
    moved = {"float32": 3 * (4 + 4), "bfloat16 moments and copy": (4 + 4) + 2 * (2 + 2) + 2}
    for name, size in moved.items():
        print(f"{name}: {size} bytes a parameter and update, {size * 6 * d * WIDTH / 1e6:.1f} MB a distiller")


if __name__ == "__main__":
    main()
