"""Model, data, training and evaluation."""

import torch
from peft import LoraConfig, get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict
from torch.nn.functional import cross_entropy
from transformers import BertConfig, BertForSequenceClassification

WORDS, LENGTH, SAMPLES = 64, 12, 400


def get_model(rank: int):
    """Return a small transformer: the same base everywhere, with new adapters of a rank.

    With rank 0 all of it is trained.
    """
    config = BertConfig(
        vocab_size=WORDS,
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=128,
        max_position_embeddings=LENGTH,
        num_labels=2,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)  # stands for a checkpoint
        base = BertForSequenceClassification(config)
    if rank == 0:
        return base
    adapters = LoraConfig(
        task_type="SEQ_CLS", r=rank, lora_alpha=2 * rank, target_modules=["query", "value"]
    )
    return get_peft_model(base, adapters)


def get_weights(model, rank: int):
    """Return what clients send: the adapters alone, or all of the model."""
    return get_peft_model_state_dict(model) if rank else model.state_dict()


def set_weights(model, weights, rank: int):
    """Put what was received into the model."""
    if rank:
        set_peft_model_state_dict(model, weights)
    else:
        model.load_state_dict(weights)


def load_data(partition_id: int, test: bool = False):
    """Return sentences, and whether more of their words are from the upper half than not."""
    generator = torch.Generator().manual_seed(2 * partition_id + test)
    words = torch.randint(0, WORDS, (SAMPLES, LENGTH), generator=generator)
    return words, ((words >= WORDS // 2).sum(1) > LENGTH // 2).long()


def train(model, words, labels, lr):
    """Train the model for one epoch."""
    model.train()
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=lr)
    total = 0.0
    for x, y in zip(words.split(20), labels.split(20), strict=True):
        optimizer.zero_grad()
        loss = cross_entropy(model(input_ids=x).logits, y)
        loss.backward()
        optimizer.step()
        total += loss.item() * len(y)
    return total / len(labels)


@torch.no_grad()
def test(model, words, labels):
    """Return loss and accuracy."""
    model.eval()
    logits = model(input_ids=words).logits
    return cross_entropy(logits, labels).item(), (logits.argmax(1) == labels).float().mean().item()
