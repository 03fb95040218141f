"""Small decoder language models from scratch: tokenizer, model, rows of tokens, objective, and the folder people load.

Qwen2 with ChatML and, for code, fill-in-the-middle tokens: what real models of that family have, so the same pipelines run
them. What they learn from is elsewhere (`corpus_text`, `corpus_code`), and so is the loop (`loop`).
"""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import (
    GenerationConfig,
    LogitsProcessorList,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from pipelines.disk import whole
from pipelines.language.loops import NoThirdTime

Message = dict[str, str]
Piece = tuple[list[int], list[int]]  # token ids, and for each 1 where it counts as something to learn

END, TURN, TURN_END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
FIM = {"prefix": "[PREFIX]", "suffix": "[SUFFIX]"}  # as Codestral has them: what follows the gap comes first
SPECIAL = (END, TURN, TURN_END, *FIM.values())
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
# Words with the blank before them, single digits (numbers are copied digit by digit), punctuation, line ends, indentation.
_SPLIT = r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"


@dataclass(frozen=True)
class Shape:
    """The size of a model; `row` is the length of a training row in tokens."""

    vocabulary: int
    hidden: int = 256
    layers: int = 4
    heads: int = 4
    intermediate: int = 704
    row: int = 384
    context: int = 1024


def train_tokenizer(texts: Iterable[str], vocabulary: int) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer that can write any text, with the chat template and the special tokens of `SPECIAL`."""
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_SPLIT), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=list(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    core.train_from_iterator(texts, trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core,
        eos_token=TURN_END,
        pad_token=END,
        additional_special_tokens=[TURN, *FIM.values()],
        clean_up_tokenization_spaces=False,
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


def build_model(shape: Shape, tokenizer: PreTrainedTokenizerFast, seed: int = 0) -> Qwen2ForCausalLM:
    """An untrained model whose first two layers already look back and copy (see `_teach_copying`)."""
    torch.manual_seed(seed)
    config = Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=shape.hidden,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.heads,
        intermediate_size=shape.intermediate,
        max_position_embeddings=shape.context,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.convert_tokens_to_ids(TURN_END),
        pad_token_id=tokenizer.convert_tokens_to_ids(END),
    )
    model = Qwen2ForCausalLM(config)
    _teach_copying(model)
    return model


@torch.no_grad()
def _teach_copying(model: Qwen2ForCausalLM) -> None:
    """Start from an induction circuit instead of waiting for one to form.

    Facts must be carried from the instruction to the answer, and on two cores the tokens are too few to discover how. In layer
    0, biases make heads look one and two tokens back (rotary positions turn a constant query and key into a preference for a
    distance) and write what they see into a space of its own. In layer 1 a head looks for places whose *previous* token is the
    current one and writes the token found there: together they continue a word that was seen before. All of it stays trainable.
    Source of the idea: Olsson et al. 2022, "In-context Learning and Induction Heads".
    """
    config = model.config
    hidden, heads = config.hidden_size, config.num_attention_heads
    size = hidden // heads
    half = size // 2
    frequency = torch.tensor([10_000.0 ** (-2 * i / size) for i in range(half)])
    basis = torch.linalg.qr(torch.randn(hidden, hidden))[0]
    read, written, copied = basis[:, :size], basis[:, size : 2 * size], basis[:, 2 * size : 3 * size]

    def rows(head: int) -> slice:
        return slice(head * size, (head + 1) * size)

    first, second = model.model.layers[0].self_attn, model.model.layers[1].self_attn
    for layer in (
        model.model.layers
    ):  # otherwise untrained branches drown the words: measured rank of the right token, 1059
        layer.self_attn.o_proj.weight *= 0.1
        layer.mlp.down_proj.weight *= 0.1
    for head, distance in ((0, 1), (1, 1), (2, 2)):
        fast = (frequency > 0.03).float() * 8.0
        first.k_proj.bias[rows(head)] = torch.cat([fast, torch.zeros(half)])
        angle = -distance * frequency
        first.q_proj.bias[rows(head)] = torch.cat([fast * angle.cos(), fast * angle.sin()])
    first.v_proj.weight[rows(0)] = 0.2 * read.T
    first.o_proj.weight[:, rows(0)] = 0.2 * written

    slow = torch.cat([frequency < 0.02, frequency < 0.02]).float()[
        :, None
    ]  # distance does not matter to these
    second.q_proj.weight[rows(0)] = 2.5 * slow * read.T
    second.k_proj.weight[rows(0)] = 2.5 * slow * written.T
    second.v_proj.weight[rows(0)] = 0.2 * copied.T
    second.o_proj.weight[:, rows(0)] = 0.2 * copied


@torch.no_grad()
def take_over(model: Qwen2ForCausalLM, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Begin with what another model of the same shape has learned: all its layers, and its vectors of the tokens both know.

    Other tokens get random vectors of the same mean and spread. What carries over is attention, copying above all: on
    repeated nonsense in a new vocabulary of 3,072 the right token has median rank 70 at once, where chance is 1,536.
    """
    other, known = load_folder(folder)
    learned = dict(other.named_parameters())
    old, new = learned["model.embed_tokens.weight"], model.model.embed_tokens.weight
    for name, parameter in model.named_parameters():
        if parameter is not new:
            parameter.copy_(learned[name])
    new.copy_(old.mean(0) + old.std(0) * torch.randn_like(new))
    numbers = known.get_vocab()
    shared = [(i, numbers[token]) for token, i in tokenizer.get_vocab().items() if token in numbers]
    here, there = zip(*shared, strict=True)
    new[list(here)] = old[list(there)]


# --- rows of tokens ----------------------------------------------------------------------------------------------------


def chat_piece(tokenizer: PreTrainedTokenizerFast, messages: list[Message]) -> Piece:
    """The conversation as the chat template writes it; only the assistant's words are to be learned."""
    ids: list[int] = []
    learn: list[int] = []
    for message in messages:
        answer = message["role"] == "assistant"
        head = tokenizer.encode(f"{TURN}{message['role']}\n")
        body = tokenizer.encode(f"{message['content']}{TURN_END}")
        tail = tokenizer.encode("\n")
        ids += head + body + tail
        learn += [0] * len(head) + [int(answer)] * len(body) + [0] * len(tail)
    return ids, learn


def fim_piece(tokenizer: PreTrainedTokenizerFast, prefix: str, middle: str, suffix: str) -> Piece:
    """Suffix, prefix, and the middle to be written, ended by `END`."""
    asked, answer = tokenizer.encode(gap_prompt(prefix, suffix)), tokenizer.encode(f"{middle}{END}")
    return asked + answer, [1] * (len(asked) + len(answer))


def gap_prompt(prefix: str, suffix: str) -> str:
    """What is said to the model about a gap.

    The prefix stands last, so that filling the gap is reading on. With the suffix in between, as Qwen-Coder has it, a model this
    small did not find back to where the gap is (measured after 1,400 steps: 27 % of next tokens right, no name of 200).
    """
    return f"{FIM['suffix']}{suffix}{FIM['prefix']}{prefix}"


MISSES = 3


def packed(pieces: Iterator[Piece], row: int, filler: int) -> tuple[list[int], list[int]]:
    """One training row: pieces one after another, each ended by `filler`; what is left over is filled up.

    A piece that does not fit is passed over, three times at most.
    """
    ids: list[int] = []
    learn: list[int] = []
    missed = 0
    for piece_ids, piece_learn in pieces:
        if not ids and len(piece_ids) >= row:
            piece_ids, piece_learn = piece_ids[: row - 1], piece_learn[: row - 1]
        if len(ids) + len(piece_ids) + 1 > row:
            missed += 1
            if missed == MISSES:
                break
            continue
        ids += [*piece_ids, filler]
        learn += [*piece_learn, 0]
    missing = row - len(ids)
    return ids + [filler] * missing, learn + [0] * missing


def rows_of(
    pieces: Callable[[int], Iterator[Piece]], batch_size: int, row: int, filler: int
) -> Callable[[int], tuple[Tensor, Tensor]]:
    """Batches for the loop: step → ids and learn-mask, both (batch_size, row), int64 and bool.

    pieces: row number → the pieces that may fill it; rows are numbered step · batch_size + i.
    """

    def batches(step: int) -> tuple[Tensor, Tensor]:
        rows = [packed(pieces(step * batch_size + i), row, filler) for i in range(batch_size)]
        return torch.tensor([ids for ids, _ in rows]), torch.tensor(
            [learn for _, learn in rows], dtype=torch.bool
        )

    return batches


def next_token_loss(model: Qwen2ForCausalLM, batch: tuple[Tensor, Tensor]) -> tuple[Tensor, dict[str, float]]:
    """Mean cross-entropy in nats over the tokens to be learned; matrices in bfloat16, which this CPU generation is fast at."""
    ids, learn = batch
    places = learn[:, 1:].flatten().nonzero()[:, 0]
    targets = ids[:, 1:].flatten()[places]
    # matrices of few different sizes: oneDNN builds and keeps a kernel for each (measured: 1.3 GB after 600 steps)
    missing = -len(places) % 256
    places, targets = F.pad(places, (0, missing)), F.pad(targets, (0, missing), value=-100)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        states = model.model(input_ids=ids[:, :-1]).last_hidden_state  # (B, L - 1, D)
        logits = model.lm_head(states.flatten(0, 1)[places])  # (N, V)
    loss = F.cross_entropy(logits.float(), targets)
    return loss, {"tokens": float(len(places) - missing)}


# --- the folder people load --------------------------------------------------------------------------------------------


def save_folder(
    model: Qwen2ForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    folder: Path,
    sampling: dict[str, object],
    notes: dict[str, object],
) -> None:
    """Write weights (float16), configs, tokenizer and `studio.json` the way transformers reads them."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = {name: p.detach().half().contiguous() for name, p in model.named_parameters()}
    with whole(folder / "model.safetensors") as part:
        save_file(weights, part, metadata={"format": "pt"})
        part.chmod(0o644)
    model.config.dtype = "float16"
    model.config.architectures = ["Qwen2ForCausalLM"]
    model.config.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    told = json.loads((folder / "tokenizer_config.json").read_text())
    told = {
        key: value for key, value in told.items() if key not in ("backend", "is_local", "local_files_only")
    }
    told["tokenizer_class"] = "PreTrainedTokenizerFast"  # the name that other versions and programs know
    (folder / "tokenizer_config.json").write_text(json.dumps(told, indent=2) + "\n")
    ends = [tokenizer.convert_tokens_to_ids(TURN_END), tokenizer.convert_tokens_to_ids(END)]
    GenerationConfig(do_sample=True, eos_token_id=ends, pad_token_id=ends[1], **sampling).save_pretrained(
        folder
    )
    (folder / "studio.json").write_text(json.dumps(notes, indent=1, ensure_ascii=False) + "\n")


def load_folder(folder: Path) -> tuple[Qwen2ForCausalLM, PreTrainedTokenizerFast]:
    """The saved model in float32 and its tokenizer."""
    model = Qwen2ForCausalLM.from_pretrained(folder, dtype=torch.float32)
    return model, PreTrainedTokenizerFast.from_pretrained(folder)


@torch.no_grad()
def write(
    model: Qwen2ForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    prompts: list[str],
    max_new_tokens: int = 256,
    *,
    avoid_loops: bool = False,
    **options: object,
) -> list[str]:
    """Answers to ready prompts (chat template or fill-in-the-middle applied), several at once; greedy unless told otherwise."""
    tokenizer.padding_side = "left"
    inputs = tokenizer(prompts, return_tensors="pt", padding=True, add_special_tokens=False)
    ends = [tokenizer.convert_tokens_to_ids(TURN_END), tokenizer.convert_tokens_to_ids(END)]
    settings = {
        "do_sample": False,
        "repetition_penalty": 1.0,
        "temperature": None,
        "top_p": None,
        "top_k": None,
    } | options
    guards = [NoThirdTime(inputs["input_ids"].shape[1])] if avoid_loops else []
    out = model.generate(
        **inputs,
        logits_processor=LogitsProcessorList(guards),
        max_new_tokens=max_new_tokens,
        eos_token_id=ends,
        pad_token_id=ends[1],
        **settings,
    )
    return tokenizer.batch_decode(out[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)


def as_prompt(tokenizer: PreTrainedTokenizerFast, instruction: str) -> str:
    """The instruction as the chat template presents it to the model."""
    text = tokenizer.apply_chat_template(
        [{"role": "user", "content": instruction}], tokenize=False, add_generation_prompt=True
    )
    return str(text)


def parameters(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())
