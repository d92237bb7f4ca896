"""The components that the package itself brings: kind → name → where the class is. Each is imported when it is used."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tts.components.component import ComponentKind

BUILT_IN: Final[Mapping[ComponentKind, Mapping[str, str]]] = {
    "engines": {
        "transformers": "tts.engines.transformers:TransformersEngine",
        "vllm": "tts.engines.vllm:VLLMEngine",
        "replay": "tts.engines.replay:ReplayEngine",
        "openai": "tts.engines.openai:OpenAIEngine",
        "ray": "tts.engines.ray:RayEngine",
        "transformers_reward": "tts.engines.reward.transformers:TransformersReward",
        "vllm_reward": "tts.engines.vllm.reward:VLLMReward",
        "p_true": "tts.engines.reward.p_true:PTrue",
        "expected_score": "tts.engines.reward.expected_score:ExpectedScore",
        "program_runner": "tts.engines.program_runner:ProgramRunner",
    },
    "samplers": {
        "greedy": "tts.samplers.greedy:Greedy",
        "temperature": "tts.samplers.temperature:Temperature",
        "min_p": "tts.samplers.min_p:MinP",
        "top_n_sigma": "tts.samplers.top_n_sigma:TopNSigma",
        "fire": "tts.samplers.fire:Fire",
        "esamp": "tts.samplers.esamp:ESamp",
        "mixture": "tts.samplers.mixture:Mixture",
        "adaptive_consistency": "tts.samplers.adaptive_consistency:AdaptiveConsistency",
        "esc": "tts.samplers.esc:ESC",
        "deepconf": "tts.samplers.deepconf:DeepConf",
        "budget_forcing": "tts.samplers.budget_forcing:BudgetForcing",
        "budget_sweep": "tts.samplers.budget_sweep:BudgetSweep",
        "prm_beam": "tts.samplers.prm_beam:PRMBeam",
        "dvts": "tts.samplers.dvts:DVTS",
        "particle_filter": "tts.samplers.particle_filter:ParticleFilter",
        "rebase": "tts.samplers.rebase:Rebase",
        "ab_mcts": "tts.samplers.ab_mcts:ABMCTS",
        "tree_of_thoughts": "tts.samplers.tree_of_thoughts:TreeOfThoughts",
        "self_refine": "tts.samplers.self_refine:SelfRefine",
        "self_debug": "tts.samplers.self_debug:SelfDebug",
        "gensynth": "tts.samplers.gensynth:GenSynth",
        "plansearch": "tts.samplers.plansearch:PlanSearch",
    },
    "scorers": {
        "likelihood": "tts.scorers.likelihood:Likelihood",
        "self_certainty": "tts.scorers.self_certainty:SelfCertainty",
        "confidence": "tts.scorers.confidence:Confidence",
        "novelty": "tts.scorers.novelty:Novelty",
        "step_rewards": "tts.scorers.step_rewards:StepRewards",
        "given": "tts.scorers.given:GivenScore",
        "judge": "tts.scorers.judge:Judge",
        "p_true": "tts.scorers.p_true:PTrue",
        "pairwise": "tts.scorers.pairwise:Pairwise",
        "genselect": "tts.scorers.genselect:GenSelect",
        "universal_self_consistency": "tts.scorers.universal_self_consistency:UniversalSelfConsistency",
        "reward_model": "tts.scorers.reward_model:RewardModel",
        "public_tests": "tts.scorers.public_tests:PublicTests",
        "codet": "tts.scorers.codet:CodeT",
        "distinguishing_inputs": "tts.scorers.distinguishing_inputs:DistinguishingInputs",
    },
    "selectors": {
        "first": "tts.selectors.first:First",
        "majority_vote": "tts.selectors.majority_vote:MajorityVote",
        "self_consistency": "tts.selectors.self_consistency:SelfConsistency",
        "best_of_n": "tts.selectors.best_of_n:BestOfN",
        "confidence_vote": "tts.selectors.confidence_vote:ConfidenceVote",
        "similarity_vote": "tts.selectors.similarity_vote:SimilarityVote",
        "borda": "tts.selectors.borda:Borda",
        "oracle": "tts.selectors.oracle:Oracle",
    },
    "verifiers": {
        "math": "tts.verifiers.math:MathVerifier",
        "choice": "tts.verifiers.choice:ChoiceVerifier",
        "code": "tts.verifiers.code:CodeVerifier",
        "text": "tts.verifiers.text:TextVerifier",
    },
    "tasks": {
        "math": "tts.tasks.math:MathTask",
        "choice": "tts.tasks.choice:ChoiceTask",
        "code": "tts.tasks.code:CodeTask",
        "code_completion": "tts.tasks.code:CodeCompletionTask",
        "text": "tts.tasks.text:TextTask",
        "tree_of_thoughts_prompt": "tts.tasks.tree_of_thoughts_prompt:TreeOfThoughtsPrompt",
    },
}
