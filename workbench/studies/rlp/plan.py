"""What 11_rlp does: its arms, their sizes by profile, and the plan that its parameters make."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from workbench.corpora import thoughts
from workbench.corpora.loaders.texts import load_corpus
from workbench.engine import loading
from workbench.engine.rl.objective import RLConfig
from workbench.engine.training.lora import Lora
from workbench.errors import UserError
from workbench.studies.rlp.data import Embedded, FileTexts
from workbench.studies.rlp.language import Language
from workbench.studies.rlp.method import Thinking

BASE, TOKENS, COMPUTE = "base", "text, equal tokens", "text, equal compute"
CONTROL = TOKENS
RLP, PURE, RPT = "RLP", "RLP, no next-token loss", "RPT"
ANYWHERE, GRPO, BOTH = "RLP, random positions", "GRPO", "RLP, then GRPO"


@dataclass(frozen=True)
class Sizes:
    """How much is trained and asked."""

    language: Language  #: of the embedded model
    steps: int  #: of RLP, and of GRPO
    prompts_per_step: int  #: of both
    learning_rate: float  #: of both
    text_rate: float  #: learning rate of more text
    n_test: int  #: positions, and chains, that are asked
    draws: int  #: replies to each chain and thoughts at each position; aims get twice as many
    seeds: int  #: trainings of every arm
    variants: bool = True  #: whether other kinds of RLP are trained beside it


SIZES = {
    "quick": Sizes(
        Language((2, 64), 2, 300, 100, 96, 5e-3, most=12_000), 20, 16, 5e-4, 1e-3, 80, 8, 1, variants=False
    ),
    "laptop": Sizes(Language((3, 64), 4, 450, 200, most=30_000), 30, 16, 5e-4, 1e-3, 120, 8, 5),
    "paper": Sizes(Language((4, 128), 8, 1_000, 1_500), 200, 512, 1e-6, 1e-6, 2_000, 16, 5),
}


@dataclass(frozen=True)
class Plan:
    """What is done: see `make_plan`; `source` is what is read, `config` that of all reinforcement."""

    sizes: Sizes
    source: Embedded | FileTexts
    thinking: Thinking
    config: RLConfig
    next_token_weight: float
    baseline: str
    model: str
    lora: Lora | None
    batch_size: int | None
    device: str
    seed: int
    placebo: bool

    @property
    def arms(self) -> tuple[str, ...]:
        """GRPO needs questions whose answers can be checked, which only the embedded language has."""
        checked = (GRPO, BOTH) if isinstance(self.source, Embedded) else ()
        variants = (PURE, RPT, ANYWHERE) if self.sizes.variants else ()
        return (BASE, TOKENS, RLP, COMPUTE, *variants, *checked)

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
        language = self.sizes.language
        if self.model == "embedded":
            return language.rows, language.context
        return self.config.prompts_per_step, 256


def make_plan(params: Any) -> Plan:
    """The plan that the notebook's parameters make.

    Raises:
        UserError: model and text do not go together, or a parameter is out of range.
    """
    sizes = {"steps": params.steps, "learning_rate": params.learning_rate, "seeds": params.seeds}
    changed = {name: value for name, value in sizes.items() if value is not None}
    if min(changed.values(), default=1) <= 0:
        raise UserError("steps, learning_rate and seeds must be above 0.")
    if params.group < 2 or params.temperature <= 0:  # said before the imitator is trained
        raise UserError(
            "Thoughts are judged against others: give group=2 or more, and a temperature above 0."
        )
    chosen = replace(SIZES[params.profile], **changed)
    embedded = params.model == "embedded"
    if embedded != (params.text == "embedded"):
        raise UserError("The embedded model knows the embedded text only: give both model and text.")
    if embedded:
        slots = chosen.language.slots
        source: Embedded | FileTexts = Embedded(slots)
        thinking = Thinking(thoughts.OPENING, thoughts.CLOSING, max_tokens=slots + 3, horizon=1)
    else:
        loading.read_config(params.model)
        thinking = Thinking(f"\n<{params.tag}>", f"</{params.tag}>\n", params.thought_tokens, params.horizon)
        source = FileTexts.of(load_corpus(params.text).texts, thinking, params.seed)
    config = RLConfig(
        group_size=params.group,
        prompts_per_step=chosen.prompts_per_step,
        temperature=params.temperature,
        learning_rate=chosen.learning_rate,
        loss=params.loss,
    )
    lora = Lora() if params.tuning == "lora" else None
    return Plan(chosen, source, thinking, config, params.next_token_weight, params.baseline, params.model,
                lora, params.batch_size, params.device, params.seed, params.placebo)  # fmt: skip
