"""Best of N: the candidate with the highest score (Stiennon et al. 2020; Cobbe et al. 2021 with a verifier model)."""

from __future__ import annotations

from typing import Annotated

from tts.components.component import Component
from tts.components.slot import Slot
from tts.protocols import AskingScorer, Scorer
from tts.selectors.contenders import rerank, scored_contenders
from tts.types import Ballot, Selection


class BestOfN(Component):
    """Hands in the answered candidate that its scorer likes best. Candidates with the same answer do not add up.

    A candidate without a score abstains. Ties: the most likely candidate (see `tts.selectors.contenders`).
    """

    scorer: Annotated[Scorer | AskingScorer, Slot("scorers")]
    """What ranks the candidates; any finite scores."""

    def select(self, ballot: Ballot) -> Selection:
        """Return the candidate with the highest score; `weights` are the scores. One not finite: ScorerError."""
        return rerank(ballot, scored_contenders(ballot))
