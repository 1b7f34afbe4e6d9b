"""`reinforce` against a bare PyTorch loop with our sampler, and against trl's trainer with its own.

`OMP_NUM_THREADS=1 python -m tests.benchmarks.reinforcement [rounds]`. A 1M Llama writes eight completions of
each of eight prompts a step and learns from them once. What `reinforce` does besides (start-up, saving the
model) counts too.
"""

import os
import sys
import tempfile
import warnings

import torch

from tests.benchmarks.side_by_side import compare
from workbench.engine import models
from workbench.engine.rl.grpo import reinforce
from workbench.engine.rl.objective import RLConfig, group_advantages
from workbench.engine.sampling.sampler import Completion, SamplingParams
from workbench.engine.sampling.transformers_sampler import TransformersSampler
from workbench.engine.training.common import quick_attention

TEXT = "the cat and the dog ran to the park to play with a big red ball and a small blue boat in the sun "
STEPS, NEW = 40, 32
TOKENS = STEPS * 64 * NEW
POLICY = RLConfig(prompts_per_step=8, max_new_tokens=NEW, learning_rate=1e-4, loss="dapo")


def share(tokens: list[int]) -> float:
    return sum(token % 3 == 0 for token in tokens) / len(tokens)


def reward(completions: list[Completion], rows: list[dict]) -> list[float]:
    return [share(each.tokens) for each in completions]


def bare(model: torch.nn.Module, tokenizer: object, prompts: list[str]) -> int:
    """The shortest correct loop: prompts of one length, so that nothing is padded."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=POLICY.learning_rate, weight_decay=0.0, fused=True)
    sampler, group = TransformersSampler(model, tokenizer), POLICY.group_size
    with quick_attention(model, NEW):
        for step in range(STEPS):
            asked = [prompts[(step * 8 + place) % len(prompts)] for place in range(8)]
            found = sampler.sample(asked, SamplingParams(n=group, max_tokens=NEW, seed=step))
            tokens = torch.tensor([each.tokens for row in found for each in row])
            rewards = torch.tensor([[share(each.tokens) for each in row] for row in found])
            advantages = group_advantages(rewards, "group").flatten()
            before = torch.tensor(tokenizer(asked).input_ids).repeat_interleave(group, 0)
            ids = torch.cat((before, tokens), 1)
            model.train()
            logits = model(ids[:, :-1], use_cache=False, logits_to_keep=NEW).logits
            logps = logits.log_softmax(-1).gather(2, tokens[..., None])[..., 0]
            ratio = (logps - logps.detach()).exp()
            clipped = ratio.clamp(1 - POLICY.clip_low, 1 + POLICY.clip_high)
            (-torch.min(ratio * advantages[:, None], clipped * advantages[:, None]).mean()).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
    return TOKENS


def theirs(model: torch.nn.Module, tokenizer: object, prompts: list[str]) -> int:
    """trl's trainer as it comes, without what it logs, draws and saves."""
    from datasets import Dataset
    from transformers import PrinterCallback
    from trl import GRPOConfig, GRPOTrainer

    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        arguments = GRPOConfig(
            folder,
            max_steps=STEPS,
            per_device_train_batch_size=8 * POLICY.group_size,
            learning_rate=POLICY.learning_rate,
            num_generations=POLICY.group_size,
            max_completion_length=NEW,
            loss_type="dapo",
            optim="adamw_torch_fused",
            use_cpu=True,
            bf16=False,
            gradient_checkpointing=False,
            dataloader_pin_memory=False,
            save_strategy="no",
            logging_strategy="no",
            report_to=[],
            disable_tqdm=True,
        )
        trainer = GRPOTrainer(
            model,
            lambda completion_ids, **_: [share(tokens) for tokens in completion_ids],
            arguments,
            Dataset.from_dict({"prompt": prompts}),
            processing_class=tokenizer,
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train()
    return TOKENS


def main(rounds: int = 3) -> None:
    os.environ.update(HF_HUB_OFFLINE="1", HF_HUB_DISABLE_TELEMETRY="1", TQDM_DISABLE="1")
    tokenizer = models.train_tokenizer([TEXT] * 2, 300)
    words = TEXT.split()
    prompts = [" ".join(words[index : index + 6]) for index in range(len(words) - 6)]
    length = min(len(tokenizer(each).input_ids) for each in prompts)
    prompts = [tokenizer.decode(tokenizer(each).input_ids[1:length]) for each in prompts]
    threads = torch.get_num_threads()
    print(f"{STEPS} steps of {8 * POLICY.group_size} completions of {NEW} tokens, {threads} thread(s)")
    size = len(tokenizer)
    tokenizer.add_special_tokens({"eos_token": "<never>"})  # trl ends texts there, but no model writes it

    def fresh() -> torch.nn.Module:
        model = models.build(models.config("tiny:1M", size), seed=0)
        model.config.eos_token_id = model.generation_config.eos_token_id = None  # every row runs to its limit
        return model

    def ours() -> int:
        with tempfile.TemporaryDirectory() as folder:
            rows = [{"prompt": each} for each in prompts]
            reinforce(
                fresh(),
                tokenizer,
                rows,
                reward,
                POLICY,
                steps=STEPS,
                folder=f"{folder}/m",
                checkpoint_every=STEPS,
            )
        return TOKENS

    compare(
        {
            "bare loop, our sampler": lambda: bare(fresh(), tokenizer, prompts),
            "reinforce": ours,
            "trl's own generation": lambda: theirs(fresh(), tokenizer, prompts),
        },
        rounds,
        "tokens",
    )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
