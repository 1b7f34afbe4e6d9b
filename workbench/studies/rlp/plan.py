"""What 11_rlp does: its arms, their sizes by profile, and the plan that its parameters make."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from workbench.corpora.loaders.texts import load_corpus
from workbench.corpora.stories import write_stories
from workbench.engine import loading
from workbench.engine.rl.objective import RLConfig
from workbench.engine.training.lora import Lora
from workbench.studies.common.profiles import REAL
from workbench.studies.rlp import problems
from workbench.studies.rlp.data import Embedded, FileTexts
from workbench.studies.rlp.language import Language
from workbench.studies.rlp.method import Thinking

BASE, TOKENS, COMPUTE = "base", "text, equal tokens", "text, equal compute"
CONTROL = COMPUTE
RLP, PURE, RPT, ANYWHERE = "RLP", "RLP, no next-token loss", "RPT", "RLP, random positions"
GRPO, LONGER = "GRPO", "GRPO, equal compute"
AFTER_TEXT, AFTER_RLP = "text, then GRPO", "RLP, then GRPO"
_STORIES, _WORDS, _PROBLEMS = 400, 60, 200  # simulated, for a given model without text; words of each
BEGINS = {LONGER: GRPO, AFTER_TEXT: COMPUTE, AFTER_RLP: RLP}  # the arm that another goes on from


@dataclass(frozen=True)
class Sizes:
    """How much is trained and asked."""

    language: Language  #: of the embedded model
    steps: int  #: of RLP, and of GRPO
    prompts_per_step: int  #: of both
    learning_rate: float  #: of both
    text_rate: float  #: learning rate of more text
    n_test: int  #: chains, counts and problems that are asked, each; positions, half before chains
    draws: int  #: replies to each and thoughts at each position; questions for names get twice as many
    seeds: int  #: trainings of every arm
    variants: bool = True  #: whether other kinds of RLP are trained beside it
    arms: tuple[str, ...] | None = None  #: the only ones that are trained; None: all that can be
    thought_tokens: int = 64  #: longest thought in a given text; a reply to a problem has four times as many
    temperature: float = 1.0  #: of thoughts and replies that are rewarded
    asked_at: float = 1.0  #: temperature of thoughts and replies in the test
    lora: bool = False  #: whether a given model learns through an adapter unless told otherwise


SIZES = {
    "quick": Sizes(Language((2, 64), 2, 260, 50, most=40_000), 12, 16, 7e-5, 6e-4, 40, 8, 1, variants=False),
    "laptop": Sizes(Language((2, 64), 3, 350, 60, most=60_000), 15, 16, 4e-5, 4e-4, 100, 8, 12),
    REAL: Sizes(
        Language((2, 64), 2, 260, 50, most=40_000),
        5,
        2,
        3e-4,
        2e-4,
        20,
        2,
        1,
        variants=False,
        arms=(BASE, RLP, COMPUTE, GRPO),
        thought_tokens=20,
        temperature=0.6,
        asked_at=0.6,
        lora=True,
    ),
    "paper": Sizes(Language((4, 128), 8, 1_000, 500), 200, 512, 1e-6, 1e-6, 2_000, 16, 12),
}


@dataclass(frozen=True)
class Plan:
    """What is done: see `make_plan`; `source` is what is read, `config` that of all reinforcement."""

    sizes: Sizes
    source: Embedded | FileTexts
    config: RLConfig
    next_token_weight: float
    model: str
    lora: Lora | None
    device: str
    seed: int
    placebo: bool

    @property
    def arms(self) -> tuple[str, ...]:
        """GRPO needs questions whose answers can be checked."""
        checked = (GRPO, LONGER, AFTER_TEXT, AFTER_RLP) if self.source.asks else ()
        variants = (PURE, RPT, ANYWHERE) if self.sizes.variants else ()
        arms, only = (BASE, TOKENS, RLP, COMPUTE, *variants, *checked), self.sizes.arms
        return arms if only is None else tuple(arm for arm in arms if arm in only)

    def base(self, folder: Path) -> str | Path:
        """Where the base of a seed is; the folder is that of its beginning."""
        return folder / BASE if self.model == "embedded" else self.model

    @property
    def seeds(self) -> range:
        """Of the trainings of every arm."""
        return range(self.seed, self.seed + self.sizes.seeds)

    @property
    def text_rows(self) -> tuple[int, int]:
        """Rows of a step on more text, and tokens of a row."""
        language, prompts = self.sizes.language, self.config.prompts_per_step
        if self.model == "embedded":
            return min(language.rows, 2 * prompts), language.context
        return self.config.prompts_per_step, 256


def make_plan(params: Any) -> Plan:
    """The plan that the notebook's parameters make.

    Raises:
        UserError: the model or a file cannot be used.
    """
    sizes = {"steps": params.steps, "learning_rate": params.learning_rate, "seeds": params.seeds,
             "thought_tokens": params.thought_tokens, "temperature": params.temperature}  # fmt: skip
    changed = {name: value for name, value in sizes.items() if value is not None}
    chosen = replace(SIZES[params.profile], **changed)
    source = _source(params, chosen)
    config = RLConfig(
        group_size=params.group,
        prompts_per_step=chosen.prompts_per_step,
        temperature=chosen.temperature,
        learning_rate=chosen.learning_rate,
        loss=params.loss,
    )
    lora = Lora() if params.tuning == "lora" or (params.tuning is None and chosen.lora) else None
    return Plan(chosen, source, config, params.next_token_weight, params.model, lora, params.device,
                params.seed, params.placebo)  # fmt: skip


def _source(params: Any, sizes: Sizes) -> Embedded | FileTexts:
    """What is read and asked: the embedded language, or the texts and problems of files.

    At `real-laptop` a given model reads the simulator's stories where it is given no text; then it is also
    rewarded for word problems of one step where it is given no problems.
    """
    if params.model == "embedded" and params.text == "embedded":
        return Embedded(sizes.language.slots)
    simulated = params.text == "embedded" and params.profile == REAL
    loading.read_config(params.model)
    thinking = Thinking(f"\n<{params.tag}>", f"</{params.tag}>\n", sizes.thought_tokens, params.horizon)
    if simulated:
        texts = [" ".join(story.text.split()[:_WORDS]) for story in write_stories(_STORIES, seed=params.seed)]
    else:
        texts = load_corpus(params.text).texts
    if params.data:
        chosen = problems.load(params.data, params.test, params.seed)
    else:
        chosen = problems.easy(_PROBLEMS, sizes.n_test, params.seed) if simulated else ((), ())
    return FileTexts.of(texts, thinking, params.seed, chosen)
